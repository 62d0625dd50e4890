"""A fitted estimator: what it has learned, how it reads rows, and how it shows itself."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted, validate_data

from sk_entity_embed._links import API_PAGE
from sk_entity_embed._summary.shares import remember_codes
from sk_entity_embed.input.columns import read_table
from sk_entity_embed.input.table import Table
from sk_entity_embed.input.target import TargetKind
from sk_entity_embed.model.fitted import CodedRows, EmbeddingModel
from sk_entity_embed.model.record import FitRecord
from sk_entity_embed.model.tables import EmbeddingFrames

if TYPE_CHECKING:
    from sk_entity_embed._summary.summary import Summary

_HINT = (
    '<div style="font-size:12px;opacity:.75"><code>summary()</code> shows what was learned.</div>'
)
"""What the picture of a fitted estimator in a notebook ends with."""

_State = TypeVar("_State", bound="FittedState")


class FittedState(BaseEstimator):
    """The model that a fit has found, and the attributes and the summary that tell of it."""

    _model: EmbeddingModel
    _record: FitRecord
    if TYPE_CHECKING:  # What a fit sets, for type checkers.
        best_iteration_: int
        categorical_features_: list[str]
        category_counts_: dict[str, NDArray[np.int64]]
        category_target_means_: dict[str, NDArray[np.float64]]
        classes_: NDArray[Any] | None
        dimensions_: dict[str, int]
        feature_names_in_: NDArray[np.object_]
        fold_: NDArray[np.int64] | None
        infrequent_categories_: dict[str, NDArray[Any] | None]
        loss_curve_: NDArray[np.float64]
        n_features_in_: int
        n_iter_: int
        target_type_: TargetKind
        validation_loss_curve_: NDArray[np.float64] | None

    # Where the HTML that stands for an estimator in a notebook leads.
    _doc_link_module = "sk_entity_embed"
    _doc_link_template = API_PAGE

    def _doc_link_url_param_generator(self) -> dict[str, str]:
        return {"name": type(self).__name__}

    @cached_property
    def categories_(self) -> dict[str, NDArray[Any]]:
        """Categories of each column, NaN last if missing is one; made when first asked for."""
        check_is_fitted(self)
        return categories_of(self._model)

    @property
    def embeddings_(self) -> Mapping[str, pd.DataFrame]:
        """Vectors of each categorical column, indexed by category."""
        check_is_fitted(self)
        return EmbeddingFrames(self._model.tables)

    @property
    def biases_(self) -> dict[str, pd.Series]:
        """Bias of each category, by column; there are some under ``head="dot"`` only."""
        check_is_fitted(self)
        tables = self._model.tables
        if not self._model.has_biases:
            raise AttributeError(
                f"{type(self).__name__} has no biases_ with head={self._model.head.name!r}; use "
                "a head that has biases, such as head='dot'."
            )
        return {t.vocabulary.name: t.biases() for t in tables}

    @property
    def interactions_(self) -> dict[tuple[str, str], float]:
        """The pairs of columns that have a table, and the gain of each, in order of choice."""
        check_is_fitted(self)
        names = self.categorical_features_
        pairs = [(names[a], names[b]) for a, b in self._model.crosses]
        return dict(zip(pairs, self._model.gains, strict=True))

    def summary(self, X: Any = None, y: ArrayLike | None = None) -> Summary:
        """What was learned, at a glance.

        For each column it says how many categories there are and how wide their vectors are, how
        many cells are rare, missing or unknown, how much the predictions need the column, and which
        of its frequent categories are near each other. It shows the course of the training, and
        warns of what you may want to change.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), default=None
            Rows with the columns of fit, whose shares of rare, missing and unknown cells are shown.
            By default they are the rows of the last :meth:`transform` or ``predict`` in this
            process, if there were any.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Their target. If given, importances are measured on these rows, which the fit should not
            have seen.

        Returns
        -------
        Summary
            Print it, or let a notebook show it. It has ``to_dict`` and ``to_markdown``.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If the estimator is not fitted.
        ValueError
            If `X` does not have the columns of fit, `y` does not go with the rows or the target of
            fit, or there is a `y` without rows.

        See Also
        --------
        sk_entity_embed.inspection.report : The same as a page of HTML, also of pipelines.

        Notes
        -----
        The importance of a column is how much the loss rises where its vectors, and those of its
        pairs, are replaced by the vector of unknown categories. ``fit`` measures it on some
        of its rows that are out of fold: neither tables nor heads that predict a row have
        learned from it. There are none with ``early_stopping=False`` where one head learns from
        all rows: without `cross_fit`, under ``head="dot"`` or "gru" `pooling`. Give `X` and `y`
        then. Columns that tell the same can replace each other, so that each seems to be worth
        little.

        Examples
        --------
        >>> import numpy as np
        >>> import pandas as pd
        >>> from sk_entity_embed import EntityEmbeddingEncoder
        >>> rng = np.random.default_rng(0)
        >>> X = pd.DataFrame({"city": rng.choice(["Oslo", "Rome", "Lima"], 300)})
        >>> y = X["city"].map({"Oslo": -4.0, "Rome": 16.0, "Lima": 19.0}) + rng.normal(size=300)
        >>> summary = EntityEmbeddingEncoder(random_state=0).fit(X, y).summary()
        >>> print(str(summary).splitlines()[0])
        What EntityEmbeddingEncoder learned from 300 rows
        >>> summary.columns[0].name, summary.columns[0].cardinality
        ('city', 3)
        """
        check_is_fitted(self)
        from sk_entity_embed._summary.gathering import summarize

        return summarize(self, X, y)

    def _html_repr(self) -> str:
        """Return scikit-learn's picture of the estimator; a fitted one says where to look next."""
        picture: str = super()._html_repr()
        return f"{picture}{_HINT}" if hasattr(self, "_model") else picture

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = super().__getstate__()
        if "_model" not in state:
            return state
        # What has been told belongs to the fit, and loggers can rarely be pickled.
        return {"categories_": categories_of(state["_model"]), **state, "callbacks": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__({name: v for name, v in state.items() if name != "categories_"})

    def _with_model(self, model: EmbeddingModel) -> Self:
        """A copy that answers by another model."""
        other = copy(self)
        if hasattr(self, "_sklearn_output_config"):  # set_output changes it in place
            other._sklearn_output_config = dict(self._sklearn_output_config)
        other.__dict__.pop("categories_", None)
        other.__dict__.update(attributes_of(model), _model=model)
        return other

    def _code(self, X: Any) -> CodedRows:
        """Read new rows with the columns of fit, and look them up by the policies of fit."""
        table = self._read(X)  # first, for it says whether there is a fit
        rows = self._model.code(table)
        remember_codes(self, rows.codes, len(rows))
        return rows

    def _read(self, X: Any) -> Table:
        """Read a table with the columns of fit."""
        check_is_fitted(self)
        table = read_table(X)
        validate_data(self, table.header(), reset=False, skip_check_array=True)
        return table


def attributes_of(model: EmbeddingModel) -> dict[str, Any]:
    """Return the public attributes that repeat the model, most of them by column name."""
    by_name = {t.vocabulary.name: t for t in model.tables}
    columns = [model.names[j] for j in model.categorical]
    return {
        "categorical_features_": columns,
        "dimensions_": {n: t.n_axes for n, t in by_name.items()},
        "category_counts_": {n: t.vocabulary.label_counts for n, t in by_name.items()},
        "infrequent_categories_": {n: t.vocabulary.infrequent for n, t in by_name.items()},
    }


def categories_of(model: EmbeddingModel) -> dict[str, NDArray[Any]]:
    """Return the categories of each column, by its name."""
    return {t.vocabulary.name: t.vocabulary.labels for t in model.tables}


def twin(estimator: _State) -> _State:
    """Another estimator with the same attributes; ``copy`` lacks those left out for pickling."""
    other = object.__new__(type(estimator))
    other.__dict__.update(estimator.__dict__)
    return other
