"""One page of HTML on what a fitted estimator has learned."""

from __future__ import annotations

import os
from html import escape
from importlib import import_module
from inspect import signature
from typing import Any

from sk_entity_embed._steps import Step, find_step
from sk_entity_embed._summary.summary import Summary as Summary
from sk_entity_embed._writing import write_whole
from sk_entity_embed.exceptions import InvalidDataError
from sk_entity_embed.input.messages import shown

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<title>{title}</title>
<style>
:root{{color-scheme:light dark}}
body{{background:Canvas;color:CanvasText;font:14px/1.45 system-ui,sans-serif;
max-width:1000px;margin:2em auto;padding:0 1.2em}}
footer{{margin-top:2em;font-size:12px}}
.muted{{opacity:.75}}
code{{font-size:13px;overflow-wrap:anywhere}}
</style>
</head>
<body>
{summary}
<footer>
<p>Parameters: <code>{parameters}</code></p>
<p class="muted">{origin}</p>
</footer>
</body>
</html>
"""


def report(estimator: Any, path: str | os.PathLike[str], X: Any = None, y: Any = None) -> None:
    """Write one page of HTML on what a fitted estimator has learned.

    The page is that of the estimator's ``summary``, with its parameters. It has no script, asks
    nothing of the network, and follows the reader's choice of light or dark.

    Parameters
    ----------
    estimator : estimator
        Fitted, or a fitted pipeline that holds one such step.
    path : str or path-like
        Where to, such as ``"report.html"``. An existing file is replaced; after an error it is as
        it was.
    X : array-like of shape (n_samples, n_features), default=None
        Rows, as the estimator or pipeline takes them, whose shares of rare, missing and unknown
        cells are shown.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
        Their target. If given, importances are measured on these rows, which the fit should not
        have seen.

    Raises
    ------
    InvalidParameterError
        If it is no estimator of this package and holds none, or several.
    sklearn.exceptions.NotFittedError
        If the estimator is not fitted.
    ValueError
        If `X` or `y` do not fit.
    OSError
        If the file cannot be written.

    See Also
    --------
    Summary : The same for notebooks, terminals and model cards.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from sk_entity_embed import EntityEmbeddingEncoder
    >>> from sk_entity_embed.inspection import report
    >>> X, y = [["Oslo"], ["Rome"], ["Lima"]] * 20, np.linspace(0, 1, 60)
    >>> encoder = EntityEmbeddingEncoder(max_iter=1, random_state=0).fit(X, y)
    >>> page = Path(tempfile.mkdtemp(), "cities.html")
    >>> report(encoder, page)
    >>> page.read_text()[:15]
    '<!DOCTYPE html>'
    """
    step = find_step(estimator)
    if X is None and y is not None:
        raise InvalidDataError("`y` needs the rows that it belongs to; pass X, too.")
    summary = step.estimator.summary(None if X is None else step.rows_given(X), y)
    page = _PAGE.format(
        title=escape(f"{summary.estimator}: what it learned"),
        summary=summary._repr_html_(),
        parameters=escape(_parameters(step.estimator)),
        origin=escape(_origin(estimator, step)),
    )
    data = page.encode("utf-8", errors="xmlcharrefreplace")
    write_whole(path, lambda file: file.write(data))


def _parameters(estimator: Any) -> str:
    """Return the parameters that differ from their defaults."""
    # Subclasses may have parameters without a default.
    own = signature(type(estimator)).parameters
    given = {n: shown(v) for n, v in estimator.get_params(deep=False).items()}
    changed = [f"{n}={v}" for n, v in given.items() if v != shown(own[n].default)]
    return ", ".join(changed) or "all at their defaults"


def _origin(estimator: Any, step: Step) -> str:
    version = import_module("sk_entity_embed").__version__
    place = f"Step {step.name!r} of a {type(estimator).__name__}. " if step.path else ""
    return f"{place}Made by sk_entity_embed {version}."
