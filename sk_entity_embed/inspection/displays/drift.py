"""DriftDisplay: how far each category moved from one fit to another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sk_entity_embed.exceptions import InvalidDataError, InvalidParameterError
from sk_entity_embed.input.messages import shown
from sk_entity_embed.inspection.alignment import drift
from sk_entity_embed.inspection.catalogue import Source
from sk_entity_embed.inspection.displays.labels import check_number, draw_labels, plain_text
from sk_entity_embed.inspection.displays.theme import (
    LIGHT,
    Theme,
    legend_colors,
    prepare_axes,
    style_axes,
    style_colorbar,
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


class DriftDisplay:
    """Movement of a column's categories between two fits, against their frequency.

    How far a category moves by chance depends on how many rows say where it belongs: compare it
    with others of its frequency. Points are coloured by the share of neighbours that stayed.

    Make it with :meth:`from_estimators` or :meth:`from_frame`; :meth:`plot` draws it again, in
    other axes or another theme.

    Parameters
    ----------
    frame : DataFrame
        What :func:`~sk_entity_embed.inspection.drift` returns for one column.

    Attributes
    ----------
    points_ : matplotlib PathCollection
        The categories that both fits have.
    trend_ : matplotlib Line2D or None
        Median movement of categories of like frequency, where there are many categories.
    colorbar_ : matplotlib Colorbar or None
        Scale of the colours.
    texts_ : list of matplotlib Annotation
        Names of the frequent categories that moved most.
    ax_ : matplotlib Axes
        Axes of the points.
    figure_ : matplotlib Figure
        Its figure.

    See Also
    --------
    drift : The numbers alone.
    align : Vectors that can take the place of another fit's.

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

    def __init__(self, *, frame: pd.DataFrame) -> None:
        self.frame = frame

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
            Name of the column; may be None where the two share only one.
        k : int, default=10
            Nearest neighbours that are compared.
        min_count : int, default=None
            Leave out categories with fewer training rows in either fit, as neighbours too.
        n_labels : int, default=10
            Categories to name: the frequent ones that moved most.
        label_min_count : int, default=None
            Rows that make a category frequent, in both fits; None takes the more frequent half
            of the categories.
        ax : matplotlib Axes, default=None
            Axes to draw in; None makes a figure.
        theme : {"light", "dark"}, default=None
            Ground to draw on; None takes the one that the axes have.

        Returns
        -------
        DriftDisplay
            The drawn display.

        Raises
        ------
        InvalidDataError
            If the column has no category in common.
        InvalidParameterError
            If there is no such column, or a parameter does not fit.
        sklearn.exceptions.NotFittedError
            If one is not fitted.
        """
        frame = drift(encoder, reference, column, k=k, min_count=min_count)
        return cls.from_frame(
            frame,
            column,
            n_labels=n_labels,
            label_min_count=label_min_count,
            ax=ax,
            theme=theme,
        )

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
            Of one column or several.
        column : str, default=None
            Name of the column; may be None where there is only one.
        n_labels : int, default=10
            Categories to name: the frequent ones that moved most.
        label_min_count : int, default=None
            See :meth:`from_estimators`.
        ax : matplotlib Axes, default=None
            Axes to draw in; None makes a figure.
        theme : {"light", "dark"}, default=None
            Ground to draw on; None takes the one that the axes have.

        Returns
        -------
        DriftDisplay
            The drawn display.

        Raises
        ------
        InvalidDataError
            If it is no such frame, or has nothing to draw.
        InvalidParameterError
            If there is no such column, or several and none is chosen.
        """
        if not isinstance(frame, pd.DataFrame) or not set(_NEEDED) <= set(frame.columns):
            raise InvalidDataError(
                f"`frame` must be what `drift` returns, with the columns {list(_NEEDED)}."
            )
        names = list(dict.fromkeys(frame["column"]))
        if column is None and len(names) != 1:
            raise InvalidParameterError(
                f"`column` must name one of the columns compared: {shown(names)}."
            )
        column = names[0] if column is None else column
        if column not in names:
            raise InvalidParameterError(
                f"`column` is {shown(column)}, but `frame` is about {shown(names)}."
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
        ax : matplotlib Axes, default=None
            Axes to draw in; None makes a figure.
        theme : {"light", "dark"}, default=None
            Ground to draw on; None takes the one that the axes have.
        n_labels : int, default=10
            Categories to name: the frequent ones that moved most.
        label_min_count : int, default=None
            Rows that make a category frequent, in both fits; None takes the more frequent half
            of the categories.

        Returns
        -------
        DriftDisplay
            The display itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed; the extra is ``plot``.
        InvalidDataError
            If there is nothing to draw.
        InvalidParameterError
            If there is no such theme, or a parameter does not fit.
        """
        check_number("n_labels", n_labels)
        if label_min_count is not None:
            check_number("label_min_count", label_min_count)
        shared = self.frame[self.frame["status"] == "shared"]
        measure, y = _height(shared)
        counts = _counts(shared)
        overlap = shared["neighbor_overlap"].to_numpy(dtype=np.float64)
        if counts is None and not np.isfinite(overlap).all():
            raise InvalidDataError("`frame` has nothing to draw: one category, without its count.")
        x = overlap if counts is None else counts
        figure, ax, colors = prepare_axes(ax, theme, (7.6, 5.4))
        area = 34.0 if len(y) <= 200 else 16.0 if len(y) <= 2_000 else 12.0
        self.points_ = self._draw_points(ax, x, y, overlap, counts is not None, area, colors)
        self.colorbar_ = None
        if self.points_.get_array() is not None:
            bar: Any = figure.colorbar(self.points_, ax=ax, pad=0.02, aspect=30)
            bar.solids.set_alpha(1.0)
            bar.set_label("Share of neighbours kept")
            style_colorbar(bar, colors)
            self.colorbar_ = bar
        self._name_axes(ax, measure, counts, colors)
        self.trend_ = None if counts is None else _draw_trend(ax, counts, y, colors)
        chosen = _to_name(counts, y, n_labels, label_min_count)
        radii = np.full(len(y), np.sqrt(area) / 2)
        self.texts_, _ = draw_labels(
            ax,
            np.column_stack([x, y])[chosen],
            [plain_text(label) for label in shared["category"].to_numpy(dtype=object)[chosen]],
            colors,
            radii=radii[chosen],
            required=np.ones(len(chosen), dtype=bool),
            points=np.column_stack([x, y]),
            point_radii=radii,
            avoid=[] if self.trend_ is None else [ax.get_legend()],
            kept_clear=np.arange(len(chosen)),
        )
        self.ax_, self.figure_ = ax, figure
        return self

    def _draw_points(
        self,
        ax: Axes,
        x: NDArray[np.float64],
        y: NDArray[np.float64],
        overlap: NDArray[np.float64],
        by_overlap: bool,
        area: float,
        colors: Theme,
    ) -> Any:
        marks: dict[str, Any] = {"s": area, "linewidths": 0, "zorder": 3}
        marks["alpha"] = 0.9 if len(x) <= 200 else 0.7
        if by_overlap and np.isfinite(overlap).any():
            cmap = _visible(colors)
            return ax.scatter(x, y, c=overlap, cmap=cmap, vmin=0.0, vmax=1.0, **marks)
        return ax.scatter(x, y, color=colors.point, **marks)

    def _name_axes(
        self, ax: Axes, measure: str, counts: NDArray[np.float64] | None, colors: Theme
    ) -> None:
        if counts is not None:
            _scale_counts(ax, counts)
        else:
            ax.set_xlim(-0.03, 1.03)
            ax.set_xlabel("Share of neighbours kept")
        ax.set_ylabel(_MEASURES[measure])
        top = ax.get_ylim()[1]
        ax.set_ylim(-0.02 * top, top)  # points without movement are seen as a whole
        status = self.frame["status"].value_counts()
        parts = [f"{status.get('shared', 0):,} in both fits"]
        parts += [f"{status[s]:,} {s}" for s in ("new", "gone") if s in status]
        name = plain_text(self.frame["column"].iloc[0], 40)
        title = f"Drift of {name}\n{', '.join(parts)}"
        ax.set_title(title, fontsize="medium", parse_math=False)
        ax.grid(color=colors.grid, linewidth=0.6)
        ax.set_axisbelow(True)
        style_axes(ax, colors)


def _height(shared: pd.DataFrame) -> tuple[str, NDArray[np.float64]]:
    """The measure of movement that is known, and its values."""
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
    """Rows of each category, in the fit that has fewer; None where they are not known."""
    if not {"count", "reference_count"} <= set(shared.columns):
        return None
    counts = shared[["count", "reference_count"]].min(axis=1).to_numpy(dtype=np.float64)
    return np.maximum(counts, 1.0)  # none at all has no place on a logarithmic axis


def _scale_counts(ax: Axes, counts: NDArray[np.float64]) -> None:
    """A logarithmic axis whose numbers can be read, in narrow ranges too."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

    ax.set_xscale("log")
    ratio = counts.max() / counts.min()
    steps = LogLocator() if ratio >= 300 else LogLocator(subs=(1.0, 2.0, 5.0))
    ax.xaxis.set_major_locator(steps if ratio >= 8 else MaxNLocator(5, integer=True))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:,.0f}"))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_xlabel("Training rows (of the fit that has fewer)")


def _to_name(
    counts: NDArray[np.float64] | None, y: NDArray[np.float64], n: int, least: int | None
) -> NDArray[np.intp]:
    """Positions of the frequent categories that moved most; of few categories all are frequent."""
    may = y > 0
    if counts is not None and (least is not None or len(y) > n):
        may &= counts >= (np.median(counts) if least is None else least)
    order = np.argsort(-y, kind="stable")
    return order[may[order]][:n]


def _draw_trend(
    ax: Axes, counts: NDArray[np.float64], y: NDArray[np.float64], colors: Theme
) -> Any:
    """Median movement in bins of like frequency."""
    if len(y) < _FEWEST_FOR_TREND:
        return None
    octave = np.floor(np.log2(counts)).astype(int)
    bins = [octave == o for o in np.unique(octave)]
    bins = [b for b in bins if b.sum() >= _FEWEST_IN_BIN]
    x = [float(np.exp(np.log(counts[b]).mean())) for b in bins]
    medians = [float(np.median(y[b])) for b in bins]
    (line,) = ax.plot(x, medians, color=colors.ink, linewidth=1.5, zorder=4, label="median")
    left, up = (
        ax.transAxes.inverted().transform(ax.transData.transform(np.column_stack([counts, y]))).T
    )
    above, below = ((left > 0.75) & (up > 0.9)).sum(), ((left > 0.75) & (up < 0.1)).sum()
    loc: Literal["lower right", "upper right"] = "upper right" if above < below else "lower right"
    ax.legend(loc=loc, fontsize=8, **legend_colors(colors))
    return line


def _visible(colors: Theme) -> Any:
    """The part of the sequential colours that stands out from the ground."""
    import matplotlib
    from matplotlib.colors import ListedColormap

    low, high = (0.0, 0.88) if colors is LIGHT else (0.35, 1.0)
    return ListedColormap(matplotlib.colormaps[colors.sequential](np.linspace(low, high, 256)))
