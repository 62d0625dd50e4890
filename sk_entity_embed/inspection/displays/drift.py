"""DriftDisplay: how far each category moved from one fit to another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sk_entity_embed.exceptions import InvalidDataError, InvalidParameterError
from sk_entity_embed.input.messages import shown
from sk_entity_embed.inspection.alignment import drift
from sk_entity_embed.inspection.column_vectors import Source, check_count
from sk_entity_embed.inspection.displays.docs import documented
from sk_entity_embed.inspection.displays.labels import draw_labels, plain_text
from sk_entity_embed.inspection.displays.theme import (
    Theme,
    draw_colorbar,
    draw_legend,
    empty_corners,
    name_axes,
    prepare_axes,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_NEEDED = ("column", "category", "status", "movement", "relative_movement", "neighbor_overlap")
_MEASURES = {
    "relative_movement": "Movement, relative to the spread of the vectors",
    "movement": "Movement (Euclidean distance)",
    "lost": "Share of neighbours lost",
}
_FEWEST_FOR_TREND = 60
_FEWEST_IN_BIN = 5


@documented(
    naming="""
    n_labels : int, default=10
        Number of categories to name: the frequent ones that moved most.
    label_min_count : int, default=None
        A category is frequent if it has this number of rows in both fits; None takes the more
        frequent half of the categories.""",
)
@dataclass(kw_only=True, eq=False, repr=False)
class DriftDisplay:
    """Movement of a column's categories between two fits, against their frequency.

    Rare categories move further by chance than frequent ones, because few rows decide where they
    are. So compare a category with others of the same frequency. The colour of a point shows the
    share of its neighbours that stayed.

    Create it with :meth:`from_estimators` or :meth:`from_frame`. Call :meth:`plot` to draw it
    again, in other axes or another theme.

    Parameters
    ----------
    frame : DataFrame
        Result of :func:`~sk_entity_embed.inspection.drift` for one column.

    Attributes
    ----------
    points_ : matplotlib PathCollection
        The categories that both fits have.
    trend_ : matplotlib Line2D or None
        Median movement of categories of similar frequency, if there are many categories.
    colorbar_ : matplotlib Colorbar or None
        Scale of the colours.
    texts_ : list of matplotlib Annotation
        Names of the frequent categories that moved most.
    %(drawn)s

    See Also
    --------
    drift : Return the numbers as a table.
    align : Turn vectors so that they can replace those of another fit.

    Examples
    --------
    >>> import pandas as pd
    >>> from sk_entity_embed.inspection import DriftDisplay, drift
    >>> old = pd.DataFrame([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]], index=["a", "b", "c"])
    >>> new = pd.DataFrame([[0.0, 0.0], [1.0, 0.5], [0.0, 2.0]], index=["a", "b", "d"])
    >>> display = DriftDisplay.from_frame(drift(new, old, k=1))
    >>> display.ax_.get_title()
    'Drift of category\\n2 in both fits, 1 new, 1 gone'
    """

    frame: pd.DataFrame

    @classmethod
    def from_estimators(
        cls,
        encoder: Source,
        reference: Source,
        column: str | None = None,
        *,
        k: int = 10,
        min_count: int | None = None,
        n_labels: int = 10,
        label_min_count: int | None = None,
        ax: Axes | None = None,
        theme: str | None = None,
    ) -> Self:
        """Draw how far a column's categories moved from one fit to another.

        Parameters
        ----------
        encoder, reference : estimator, DataFrame or mapping of DataFrame
            The new fit and the old one. See :func:`~sk_entity_embed.inspection.drift`.
        column : str, default=None
            Name of the column; None if the two have only one column in common.
        k : int, default=10
            Number of nearest neighbours that are compared.
        min_count : int, default=None
            Leave out categories with fewer training rows in either fit, also as neighbours.
        %(naming)s
        %(axes)s

        %(returns)s

        Raises
        ------
        InvalidDataError
            If the two fits have no category in common.
        InvalidParameterError
            If the column does not exist, or a parameter does not fit.
        sklearn.exceptions.NotFittedError
            If one of the two is not fitted.

        Examples
        --------
        >>> import pandas as pd
        >>> from sk_entity_embed.inspection import DriftDisplay
        >>> old = pd.DataFrame([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]], index=["Oslo", "Rome", "Lima"])
        >>> new = old.drop("Lima")
        >>> display = DriftDisplay.from_estimators(new, old, k=1)
        >>> display.frame[["category", "status"]]
          category  status
        0     Oslo  shared
        1     Rome  shared
        2     Lima    gone
        """
        frame = drift(encoder, reference, column, k=k, min_count=min_count)
        naming: dict[str, Any] = {"n_labels": n_labels, "label_min_count": label_min_count}
        return cls.from_frame(frame, column, **naming, ax=ax, theme=theme)

    @classmethod
    def from_frame(
        cls,
        frame: pd.DataFrame,
        column: str | None = None,
        *,
        n_labels: int = 10,
        label_min_count: int | None = None,
        ax: Axes | None = None,
        theme: str | None = None,
    ) -> Self:
        """Draw what :func:`~sk_entity_embed.inspection.drift` returned.

        Parameters
        ----------
        frame : DataFrame
            Result of ``drift``, for one column or several.
        column : str, default=None
            Name of the column; None if there is only one.
        %(naming)s
        %(axes)s

        %(returns)s

        Raises
        ------
        InvalidDataError
            If `frame` is not a result of ``drift``, or has nothing to draw.
        InvalidParameterError
            If the column does not exist, or there are several and you name none.

        Examples
        --------
        >>> import pandas as pd
        >>> from sk_entity_embed.inspection import DriftDisplay, drift
        >>> old = pd.DataFrame([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]], index=["a", "b", "c"])
        >>> new = pd.DataFrame([[0.0, 0.0], [1.0, 0.5], [0.0, 2.0]], index=["a", "b", "d"])
        >>> display = DriftDisplay.from_frame(drift({"letter": new}, {"letter": old}, k=1))
        >>> print(display.ax_.get_title())
        Drift of letter
        2 in both fits, 1 new, 1 gone
        """
        if not isinstance(frame, pd.DataFrame) or not set(_NEEDED) <= set(frame.columns):
            raise InvalidDataError(
                f"`frame` must be what `drift` returns, with the columns {list(_NEEDED)}."
            )
        names = list(dict.fromkeys(frame["column"]))
        if column is None and len(names) == 1:
            column = names[0]
        if column not in names:
            raise InvalidParameterError(
                f"`column` must name one of the columns compared, {shown(names)}; got "
                f"{shown(column)}."
            )
        display = cls(frame=frame[frame["column"] == column].reset_index(drop=True))
        return display.plot(ax, theme=theme, n_labels=n_labels, label_min_count=label_min_count)

    def plot(
        self,
        ax: Axes | None = None,
        *,
        theme: str | None = None,
        n_labels: int = 10,
        label_min_count: int | None = None,
    ) -> Self:
        """Draw the points.

        Parameters
        ----------
        %(axes)s
        %(naming)s

        %(returns)s

        Raises
        ------
        ImportError
            If matplotlib is not installed; the extra is ``plot``.
        InvalidDataError
            If there is nothing to draw.
        InvalidParameterError
            If a parameter does not fit.

        Examples
        --------
        >>> import pandas as pd
        >>> from sk_entity_embed.inspection import DriftDisplay, drift
        >>> old = pd.DataFrame([[0, 0], [2, 0], [0, 2], [2, 2], [1, 1]], index=list("abcde"))
        >>> new = pd.DataFrame([[0, 0], [2, 0], [0, 2], [2, 2], [3, 3]], index=list("abcde"))
        >>> display = DriftDisplay.from_frame(drift(new, old, k=1))
        >>> [text.get_text() for text in display.plot(n_labels=1).texts_]  # moved most
        ['e']
        """
        check_count("n_labels", n_labels, 0)
        if label_min_count is not None:
            check_count("label_min_count", label_min_count, 0)
        shared = self.frame[self.frame["status"] == "shared"]
        measure, y = _height(shared)
        counts = _counts(shared)
        overlap = shared["neighbor_overlap"].to_numpy(dtype=np.float64)
        if counts is None and not np.isfinite(overlap).all():
            raise InvalidDataError("`frame` has nothing to draw: one category, without its count.")
        x = overlap if counts is None else counts
        xy = np.column_stack([x, y])
        figure, ax, colors = prepare_axes(ax, theme, (7.6, 5.4))
        area = 34.0 if len(y) <= 200 else 16.0 if len(y) <= 2_000 else 12.0
        alpha = 0.9 if len(y) <= 200 else 0.7
        self.points_ = ax.scatter(x, y, s=area, alpha=alpha, linewidths=0, zorder=3)
        self.colorbar_ = None
        if counts is not None and np.isfinite(overlap).any():
            self.points_.set(array=overlap, cmap=colors.colormap(), clim=(0.0, 1.0))
            label = "Share of neighbours kept"
            self.colorbar_ = draw_colorbar(ax, self.points_, label, colors)
        else:
            self.points_.set_color(colors.point)
        self._name_axes(ax, measure, counts, colors)
        self.trend_ = None if counts is None else _draw_trend(ax, xy, colors)
        chosen = _to_name(counts, y, n_labels, label_min_count)
        names, areas = shared["category"].to_numpy(dtype=object), np.full(len(y), area)
        avoid = [] if self.trend_ is None else [ax.get_legend()]
        self.texts_, _ = draw_labels(ax, colors, xy, areas, chosen, names, len(chosen), avoid)
        self.ax_, self.figure_ = ax, figure
        return self

    def _name_axes(
        self, ax: Axes, measure: str, counts: NDArray[np.float64] | None, colors: Theme
    ) -> None:
        label = "Share of neighbours kept"
        if counts is None:
            ax.set_xlim(-0.03, 1.03)
        else:
            _scale_counts(ax, counts)
            label = "Training rows (of the fit that has fewer)"
        top = ax.get_ylim()[1]
        ax.set_ylim(-0.02 * top, top)  # points without movement are seen as a whole
        status = self.frame["status"].value_counts()
        parts = [f"{status.get('shared', 0):,} in both fits"]
        parts += [f"{status[s]:,} {s}" for s in ("new", "gone") if s in status]
        title = f"Drift of {plain_text(self.frame['column'].iloc[0], 40)}\n{', '.join(parts)}"
        name_axes(ax, colors, title, label, _MEASURES[measure], grid="both")


def _height(shared: pd.DataFrame) -> tuple[str, NDArray[np.float64]]:
    """Return the measure of movement that is known, and its values."""
    for name in ("relative_movement", "movement"):
        values = shared[name].to_numpy(dtype=np.float64)
        if len(values) and np.isfinite(values).all():
            return name, values
    lost = 1.0 - shared["neighbor_overlap"].to_numpy(dtype=np.float64)
    if not np.isfinite(lost).any():
        raise InvalidDataError("`frame` has nothing to draw: no category with a movement.")
    if _counts(shared) is None:
        raise InvalidDataError(
            "`frame` has neither counts nor movements, because vectors made elsewhere of different "
            "width were compared; its column 'neighbor_overlap' is all there is."
        )
    return "lost", lost


def _counts(shared: pd.DataFrame) -> NDArray[np.float64] | None:
    """Return the rows of each category, in the fit that has fewer; None if they are not known."""
    if not {"count", "reference_count"} <= set(shared.columns):
        return None
    counts = shared[["count", "reference_count"]].min(axis=1).to_numpy(dtype=np.float64)
    return np.maximum(counts, 1.0)  # none at all has no place on a logarithmic axis


def _scale_counts(ax: Axes, counts: NDArray[np.float64]) -> None:
    """Set a logarithmic axis whose numbers can be read, in narrow ranges too."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

    ax.set_xscale("log")
    ratio = counts.max() / counts.min()
    steps = LogLocator() if ratio >= 300 else LogLocator(subs=(1.0, 2.0, 5.0))
    ax.xaxis.set_major_locator(steps if ratio >= 8 else MaxNLocator(5, integer=True))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:,.0f}"))
    ax.xaxis.set_minor_formatter(NullFormatter())


def _to_name(
    counts: NDArray[np.float64] | None, y: NDArray[np.float64], n: int, least: int | None
) -> NDArray[np.intp]:
    """Return the frequent categories that moved most; of few categories all are frequent."""
    may = y > 0
    if counts is not None and (least is not None or len(y) > n):
        may &= counts >= (np.median(counts) if least is None else least)
    order = np.argsort(-y, kind="stable")
    return order[may[order]][:n]


def _draw_trend(ax: Axes, xy: NDArray[np.float64], colors: Theme) -> Any:
    """Draw the median movement in bins of like frequency, and its legend."""
    if len(xy) < _FEWEST_FOR_TREND:
        return None
    frame = pd.DataFrame({"x": np.log(xy[:, 0]), "y": xy[:, 1]})
    bins = frame.groupby(np.floor(np.log2(xy[:, 0])))
    trend = bins.agg(n=("x", "size"), x=("x", "mean"), y=("y", "median"))
    trend = trend[trend["n"] >= _FEWEST_IN_BIN]
    (line,) = ax.plot(np.exp(trend["x"]), trend["y"], color=colors.ink, linewidth=1.5, zorder=4)
    loc = next(c for c in empty_corners(ax, xy) if c.endswith("right"))
    draw_legend(ax, [(line, "median")], colors, loc=loc, handlelength=2.0)
    return line
