"""Descriptions that several displays share, written once and filled into their docstrings."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from textwrap import indent
from typing import TypeVar

_Display = TypeVar("_Display", bound=type)

_SHARED = {
    "source": """
estimator : estimator, DataFrame or mapping of DataFrame
    A fitted estimator of this package, or a fitted pipeline that holds one such step; or vectors
    made elsewhere, one category a row, indexed by category: a frame for one column, or a mapping
    from column names to frames.
column : str, default=None
    Name of the column; may be None where there is only one. A frame's column is called by this
    name; None takes the name of its index.""",
    "metric": """
metric : {"cosine", "euclidean", "dot"}, default="cosine"
    What is compared; see :func:`~sk_entity_embed.inspection.nearest`.""",
    "ax": """
ax : matplotlib Axes, default=None
    Axes to draw in; None makes a figure.""",
    "theme": """
theme : {"light", "dark"}, default=None
    Ground to draw on; None takes the one that the axes, or matplotlib's settings, have.""",
    "drawn": """
ax_ : matplotlib Axes
    Axes drawn in.
figure_ : matplotlib Figure
    Their figure.""",
    "raises_plot": """
ImportError
    If matplotlib is not installed; the extra is ``plot``.
InvalidParameterError
    If a parameter does not fit.""",
    "raises_source": """
InvalidDataError
    If a category is unknown or named twice; or if a frame does not hold one finite vector for each
    of several distinct categories.
InvalidParameterError
    If `estimator` is something else, there is no such column, or a parameter does not fit.
sklearn.exceptions.NotFittedError
    If the estimator is not fitted.""",
}

_PLACE = re.compile(r"^( *)%\((\w+)\)s$", flags=re.MULTILINE)


def documented(**own: str) -> Callable[[_Display], _Display]:
    """Fill lines like ``%(ax)s`` in the docstrings of a class and of its methods.

    What fills them are the shared descriptions, `own` ones of the class, and the section of what
    a method returns, which is the display itself.
    """
    parts = {name: inspect.cleandoc(text) for name, text in (_SHARED | own).items()}

    def fill(display: _Display) -> _Display:
        parts["returns"] = f"Returns\n-------\n{display.__name__}\n    The display, drawn."
        for member in (display, *vars(display).values()):
            target = getattr(member, "__func__", member)  # the function of a class method
            if isinstance(target.__doc__, str) and "%(" in target.__doc__:
                target.__doc__ = _PLACE.sub(
                    lambda place: indent(parts[place[2]], place[1]), target.__doc__
                )
        return display

    return fill
