"""Summary: the facts of a fit, as text, dict, Markdown and HTML."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sk_entity_embed._summary import html, text
from sk_entity_embed._summary.advice import Advice
from sk_entity_embed._summary.facts import ColumnFacts
from sk_entity_embed._summary.labels import plain
from sk_entity_embed._summary.shares import Counts
from sk_entity_embed.model.record import Ending


@dataclass(frozen=True, slots=True, repr=False, eq=False)  # arrays are not compared
class Summary:
    """What a fitted estimator has learned.

    Print it, or let a notebook show it. It holds numbers and the names of a few categories, no rows
    and no estimator.

    Parameters
    ----------
    estimator : str
        Name of its class.
    n_rows : int or None
        Training rows; None if there are only columns of lists, which do not tell.
    loss_name : str
        What the loss is, with its unit.
    loss : float or None
        Mean loss of `n_judged` rows.
    root : float or None
        Root of the mean squared error, in the units of `y`; None with other losses.
    n_judged : int
        Rows that `loss` and importances are measured on; 0 if there are none. Those of the fit are
        out of fold: no table and no head that predicts one of them has learned from it.
    loss_rows : {"out of fold", "given"} or None
        Whether they are training rows, or were given to ``summary``.
    loss_curve, validation_loss_curve : ndarray of shape (n_iter,)
        Losses by epoch; the latter is None without `early_stopping`.
    best_iteration : int
        Epochs after which the state was reached that was kept.
    ending : {"patience", "budget", "interrupted"} or None
        What ended the training: the validation loss stopped falling, `max_iter` was reached, or the
        user. None if it is not known, of a file of an earlier version.
    columns : tuple
        What was learned of each embedded column and pair of columns.
    context : tuple of str
        Names of the columns of numbers.
    n_last : int or None
        Rows of the last ``transform`` or ``predict``, or those given; None if there was none in
        this process since the fit.
    last_rows : {"transformed", "given"} or None
        Which of the two they are.
    warnings : tuple
        What to look at, and what to do about it; ``str`` of each is a sentence or two.

    See Also
    --------
    report : One page of HTML.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_entity_embed import EntityEmbeddingEncoder
    >>> X, y = [["Oslo"], ["Rome"], ["Lima"]] * 20, np.linspace(0, 1, 60)
    >>> encoder = EntityEmbeddingEncoder(max_iter=1, random_state=0).fit(X, y)
    >>> summary = encoder.summary()
    >>> summary.ending, [column.name for column in summary.columns]
    ('budget', ['x0'])
    """

    estimator: str
    n_rows: int | None
    loss_name: str
    loss: float | None
    root: float | None
    n_judged: int
    loss_rows: Literal["out of fold", "given"] | None
    loss_curve: NDArray[np.float64]
    validation_loss_curve: NDArray[np.float64] | None
    best_iteration: int
    ending: Ending | None
    columns: tuple[ColumnFacts, ...]
    context: tuple[str, ...]
    n_last: int | None
    last_rows: Literal["transformed", "given"] | None
    warnings: tuple[Advice, ...]

    def __repr__(self) -> str:
        return text.as_text(self)

    def _repr_html_(self) -> str:
        """Return HTML for notebooks, without scripts, in the colours of the page around it."""
        return html.as_html(self)

    def to_markdown(self) -> str:
        """Return the summary in Markdown, for a model card.

        Returns
        -------
        str
            Tables in GitHub's dialect, without headings above the third level.

        Examples
        --------
        >>> import numpy as np
        >>> from sk_entity_embed import EntityEmbeddingEncoder
        >>> X, y = [["Oslo"], ["Rome"], ["Lima"]] * 20, np.linspace(0, 1, 60)
        >>> encoder = EntityEmbeddingEncoder(max_iter=1, random_state=0).fit(X, y)
        >>> print(encoder.summary().to_markdown().splitlines()[0])
        ### What EntityEmbeddingEncoder learned from 60 rows
        """
        return text.as_markdown(self)

    def to_dict(self) -> dict[str, Any]:
        """Return the summary as numbers, texts, lists and dicts, which JSON can hold.

        Returns
        -------
        dict
            Shares are from 0 to 1. Numbers that are not finite are None, and categories that JSON
            has no type for are texts.

        Examples
        --------
        >>> import numpy as np
        >>> from sk_entity_embed import EntityEmbeddingEncoder
        >>> X, y = [["Oslo"], ["Rome"], ["Lima"]] * 20, np.linspace(0, 1, 60)
        >>> encoder = EntityEmbeddingEncoder(max_iter=1, random_state=0).fit(X, y)
        >>> column = encoder.summary().to_dict()["columns"][0]
        >>> column["name"], column["cardinality"], column["fit"]
        ('x0', 3, {'rare': 0.0, 'missing': 0.0, 'unknown': 0.0})
        """
        validation = self.validation_loss_curve
        return {
            "estimator": self.estimator,
            "n_rows": self.n_rows,
            "loss_name": self.loss_name,
            "loss": _number(self.loss),
            "root": _number(self.root),
            "n_judged": self.n_judged,
            "loss_rows": self.loss_rows,
            "training": {
                "loss_curve": list(map(_number, self.loss_curve)),
                "validation_loss_curve": (
                    None if validation is None else list(map(_number, validation))
                ),
                "best_iteration": self.best_iteration,
                "ending": self.ending,
            },
            "columns": [_column(facts) for facts in self.columns],
            "context": list(self.context),
            "n_last": self.n_last,
            "last_rows": self.last_rows,
            "warnings": [
                {"columns": list(a.columns), "found": a.found, "advice": a.advice}
                for a in self.warnings
            ],
        }


def _column(facts: ColumnFacts) -> dict[str, Any]:
    worth = facts.importance
    return {
        "name": facts.name,
        "pair": None if facts.pair is None else list(facts.pair),
        "is_list": facts.is_list,
        "cardinality": facts.cardinality,
        "width": facts.width,
        "fit": _shares(facts.fit),
        "last": None if facts.last is None else _shares(facts.last),
        "seen_once": facts.once,
        "gain": _number(facts.gain),
        "importance": None
        if worth is None
        else {"rise": _number(worth.rise), "standard_error": _number(worth.error)},
        "nearest": [
            {"pair": [plain(p.first), plain(p.second)], "distance": p.distance}
            for p in facts.nearest
        ],
    }


def _shares(counts: Counts) -> dict[str, float]:
    n = max(1, counts.n)
    return {
        "rare": counts.rare / n,
        "missing": counts.missing / n,
        "unknown": counts.unknown / n,
    }


def _number(value: Any) -> float | None:
    return None if value is None or not np.isfinite(value) else float(value)
