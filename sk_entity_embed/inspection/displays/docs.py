"""Descriptions that functions and displays share, written once and filled into docstrings."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from textwrap import indent
from typing import Any, TypeVar

_Documented = TypeVar("_Documented", bound=Callable[..., Any])

_SOURCE = """
{name} : estimator, DataFrame or mapping of DataFrame
    A fitted estimator of this package, or a fitted pipeline that holds one such step. You can also
    give vectors made elsewhere: a data frame with one row for each category, indexed by category,
    or a mapping from column names to such frames."""

_THEME = """
theme : {"light", "dark"}, default=None
    Background to draw on; None keeps the background of the axes, or of matplotlib's settings."""

_SHARED = {
    "vectors": _SOURCE.format(name="source"),
    "vectors_of_columns": _SOURCE.format(name="encoder"),
    "from": """
source : estimator, DataFrame or mapping of DataFrame
    See :func:`~sk_entity_embed.inspection.nearest`.""",
    "column": """
column : str, default=None
    Name of the column; None if there is only one.""",
    "not_fitted": """
sklearn.exceptions.NotFittedError
    If the estimator is not fitted.""",
    "random_state": """
random_state : int, RandomState instance or None, default=0
    Seed of t-SNE and UMAP.""",
    "min_count": """
min_count : int, default=None
    Leave out categories with fewer training rows.""",
    "source": f"""{_SOURCE.format(name="estimator")}
column : str, default=None
    Name of the column; None if there is only one. For a data frame, the name that the drawing
    shows; None takes the name of its index.""",
    "metric": """
metric : {"cosine", "euclidean", "dot"}, default="cosine"
    What is compared; see :func:`~sk_entity_embed.inspection.nearest`.""",
    "ax": """
ax : matplotlib Axes, default=None
    Axes to draw in; None creates a figure.""",
    "theme": _THEME,
    "axes": f"%(ax)s{_THEME}",
    "drawn": """
ax_ : matplotlib Axes
    The axes with the drawing.
figure_ : matplotlib Figure
    Figure of these axes.""",
    "again": """
Create it with :meth:`from_estimator`. Call :meth:`plot` to draw it again, in other axes or another
theme.""",
    "end_of_plot": """
%(returns)s

Raises
------
ImportError
    If matplotlib is not installed; the extra is ``plot``.
InvalidParameterError
    If a parameter does not fit.""",
    "end_of_source": """
%(returns)s

Raises
------
InvalidDataError
    If a category is unknown or named twice, or if a data frame does not hold one finite vector for
    each of several distinct categories.
InvalidParameterError
    If `estimator` is none of these, the column does not exist, or a parameter does not fit.
sklearn.exceptions.NotFittedError
    If the estimator is not fitted.""",
}

_PLACE = re.compile(r"^( *)%\((\w+)\)s$", flags=re.MULTILINE)


def documented(**own: str) -> Callable[[_Documented], _Documented]:
    """Fill lines like ``%(ax)s`` in the docstrings of a function, or of a class and its methods."""
    parts = {name: inspect.cleandoc(text) for name, text in (_SHARED | own).items()}

    def fill(found: _Documented) -> _Documented:
        parts["returns"] = f"Returns\n-------\n{found.__name__}\n    The display, drawn."
        for member in (found, *vars(found).values()):
            target = getattr(member, "__func__", member)  # the function of a class method
            while isinstance(target.__doc__, str) and "%(" in target.__doc__:
                target.__doc__ = _PLACE.sub(
                    lambda place: indent(parts[place[2]], place[1]), target.__doc__
                )
        return found

    return fill
