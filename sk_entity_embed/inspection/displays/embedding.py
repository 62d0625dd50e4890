"""EmbeddingDisplay: the categories of a column as points in the plane."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sk_entity_embed.inspection.column_vectors import (
    ColumnVectors,
    Source,
    column_vectors_of,
    source_of,
)
from sk_entity_embed.inspection.displays.coloring import (
    Coloring,
    Paint,
    coloring_of,
    log_ticks,
    opacity,
    painter,
    point_areas,
)
from sk_entity_embed.inspection.displays.docs import documented
from sk_entity_embed.inspection.displays.labels import draw_labels, plain_text
from sk_entity_embed.inspection.displays.marks import (
    draw_legends,
    draw_marks,
    listed,
    mark_keys,
    marks_of,
    named,
    neighbors_of,
    size_keys,
)
from sk_entity_embed.inspection.displays.theme import (
    Theme,
    ThemeName,
    draw_colorbar,
    name_axes,
    prepare_axes,
)
from sk_entity_embed.inspection.projection import Method, projection_of
from sk_entity_embed.inspection.search import Metric, check_metric

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection

_EDGED = 2000
"""Most points that have an edge, and that a vector graphic holds one by one."""
_MARGIN = 0.07
"""Around the points, as a share of what they span."""
_BAR = 25.0
"""Height of a colour bar, in widths, beside axes of the usual height."""
_LEAST_HEIGHT, _ABOVE_AND_BELOW = 1.7, 0.9
"""Height of the axes of a figure that fits its points, at least, and what of it is for labels and
for the size of points, in inches."""
_RING = 14.0
"""Area of the rings of labelled points at least, in square points."""


@documented(
    labels="""
    labels : "auto", "all", int, list of categories or None, default="auto"
        Categories to label. A number labels the most frequent ones (the first ones if there are no
        counts), and "all" labels all of them. A label that would cover another, or a point, is
        moved or left out; the title then says how many there are. Only in a cloud of 300 points or
        more labels may cover points. The categories of a list always get a label, and so do
        highlighted categories and their neighbours. "auto" is 20 if no category is highlighted,
        else 0, and says nothing of those left out.""",
)
@dataclass(kw_only=True, eq=False, repr=False)
class EmbeddingDisplay:
    """Map of a column's categories: each category is a point in the plane.

    Frequent categories have larger points. The colour can show any value of a category, and points
    get a label if there is room. Create it with :meth:`from_estimator`, which computes everything.
    Call :meth:`plot` to draw it again, in other axes or another theme.

    Parameters
    ----------
    categories : ndarray of shape (n_categories,)
        Categories; NaN stands for missing.
    coordinates : ndarray of float64 of shape (n_categories, 2)
        Coordinates of the points.
    axes : tuple of str, default=("", "")
        Labels of the two axes.
    method : {"pca", "tsne", "umap"}, default="pca"
        Method that computed the coordinates. With "pca" the axes have ticks and the same scale.
    column : str, default="category"
        Name of the column.
    counts : ndarray of int of shape (n_categories,), default=None
        Training rows of each category, or items of lists. None draws all points in one size.
    coloring : Coloring, default=None
        Meaning of the colours. None draws all points in one colour.
    neighbors : DataFrame, default=None
        Highlighted categories and their neighbours, as
        :func:`~sk_entity_embed.inspection.nearest` returns them for several queries.
    queries : sequence, default=()
        Categories to highlight.
    metric : {"cosine", "euclidean", "dot"}, default="cosine"
        Metric by which the neighbours were found.
    n_categories : int, default=None
        Number of categories of the column, if not all are drawn.
    unit : {"row", "item"}, default="row"
        What `counts` counts: rows, or items of lists.

    Attributes
    ----------
    scatter_ : matplotlib PathCollection
        The points, the most frequent categories first.
    labels_ : list of matplotlib Annotation
        The labels that found room.
    n_unlabelled_ : int
        Categories that were to get a label and found no room for it.
    legend_ : matplotlib Legend or None
        Meaning of sizes and highlights.
    color_legend_ : matplotlib Legend or None
        Meaning of the colours, if they show kinds.
    colorbar_ : matplotlib Colorbar or None
        Meaning of the colours, if they show numbers.
    %(drawn)s

    See Also
    --------
    sk_entity_embed.inspection.explore : Make an interactive page with the same map.
    sk_entity_embed.inspection.project : Return the coordinates as a table.
    sk_entity_embed.inspection.nearest : Return the neighbours as a table.

    Examples
    --------
    >>> import pandas as pd
    >>> from sk_entity_embed.inspection import EmbeddingDisplay
    >>> vectors = pd.DataFrame(
    ...     [[2.0, 0.1], [1.8, 0.4], [-1.0, 0.9], [-1.2, 0.7]],
    ...     index=["Oslo", "Bergen", "Rome", "Bari"],
    ... )
    >>> display = EmbeddingDisplay.from_estimator(vectors, color=["N", "N", "I", "I"])
    >>> sorted(label.get_text() for label in display.labels_)
    ['Bari', 'Bergen', 'Oslo', 'Rome']
    """

    categories: NDArray[Any]
    coordinates: NDArray[np.float64]
    axes: tuple[str, ...] = ("", "")
    method: Method = "pca"
    column: str = "category"
    counts: NDArray[np.int64] | None = None
    coloring: Coloring | None = None
    neighbors: pd.DataFrame | None = None
    queries: Any = ()
    metric: Metric = "cosine"
    n_categories: int | None = None
    unit: str = "row"

    @classmethod
    def from_estimator(
        cls,
        estimator: Source,
        column: str | None = None,
        *,
        method: Method = "pca",
        random_state: Any = 0,
        min_count: int | None = None,
        color: Any = None,
        color_label: str | None = None,
        highlight: Any = None,
        k_neighbors: int = 10,
        metric: Metric = "cosine",
        labels: Any = "auto",
        theme: ThemeName | None = None,
        ax: Axes | None = None,
    ) -> Self:
        """Draw the vectors of a column.

        Parameters
        ----------
        %(source)s
        method : {"pca", "tsne", "umap"}, default="pca"
            See :func:`~sk_entity_embed.inspection.project`.
        %(random_state)s
        min_count : int, default=None
            Leave out categories with fewer training rows, unless they are highlighted or labelled
            by name.
        color : "target_mean", "count", tuple, Series, mapping or array-like, default=None
            What the colours show: the mean target of a category, its training rows (on a
            logarithmic scale), or values of your own. ``("target_mean", output)`` chooses one of
            several outputs by its number, or one of several classes. A series or a mapping is
            matched by category, an array is in the order of ``categories_``. Numbers and dates get
            a colour bar. Strings and booleans get a legend of the seven most frequent kinds.
            Categories without a value are grey; if no category has a value, it is an error.
            Vectors made elsewhere have neither target means nor counts.
        color_label : str, default=None
            Name of the values of ``color``; None takes the name of the series.
        highlight : category or list of categories, default=None
            Categories to highlight, with lines to their neighbours.
        k_neighbors : int, default=10
            Number of neighbours of each highlighted category; 0 shows none.
        %(metric)s
        %(labels)s
        %(theme)s
        %(ax)s

        %(end_of_source)s

        Examples
        --------
        >>> import numpy as np
        >>> import pandas as pd
        >>> from sk_entity_embed import EntityEmbeddingEncoder
        >>> from sk_entity_embed.inspection import EmbeddingDisplay
        >>> rng = np.random.default_rng(0)
        >>> X = pd.DataFrame({"city": rng.choice(["Lima", "Oslo", "Rome"], 99)})
        >>> encoder = EntityEmbeddingEncoder(max_iter=2, random_state=0)
        >>> encoder = encoder.fit(X, X["city"] == "Oslo")
        >>> display = EmbeddingDisplay.from_estimator(encoder, color="target_mean")
        >>> display.colorbar_.ax.get_ylabel()
        'share of True'

        Vectors made elsewhere:

        >>> vectors = pd.DataFrame(
        ...     [[2.0, 0.1], [1.8, 0.4], [-1.0, 0.9]], index=["Oslo", "Bergen", "Rome"]
        ... )
        >>> display = EmbeddingDisplay.from_estimator(vectors, highlight="Oslo", k_neighbors=1)
        >>> display.neighbors["category"].tolist()
        ['Bergen']
        """
        source = source_of(estimator)
        catalogue = column_vectors_of(source, column)
        coloring = coloring_of(catalogue, color, color_label, getattr(source, "classes_", None))
        check_metric(metric)
        queries = listed(highlight)
        neighbors = neighbors_of(catalogue, queries, k_neighbors, metric, min_count)
        asked = catalogue.locate([*queries, *named(labels)])
        shown = np.union1d(catalogue.frequent(min_count), asked).astype(np.intp)
        drawn = catalogue.take(shown)
        # Components are those of all categories, as in `extremes`.
        found = projection_of(catalogue if method == "pca" else drawn, method, 2, random_state)
        display = cls(
            categories=drawn.labels,
            coordinates=found.coordinates[shown] if method == "pca" else found.coordinates,
            axes=found.axes,
            method=found.method,
            column=catalogue.name,
            counts=drawn.counts,
            coloring=None if coloring is None else coloring.take(shown),
            queries=queries,
            neighbors=neighbors,
            metric=metric,
            n_categories=len(catalogue),
            unit=catalogue.unit,
        )
        return display.plot(ax, labels=labels, theme=theme)

    def plot(
        self,
        ax: Axes | None = None,
        *,
        labels: Any = "auto",
        theme: ThemeName | None = None,
        fontsize: float = 9.0,
    ) -> Self:
        """Draw what was computed.

        Without `ax`, a map of principal components gets a figure as low as its points are flat,
        because both axes have one scale. Labels are placed for the present size of the figure. If
        the figure has a layout engine, as from ``plt.subplots(layout="constrained")``, legends are
        beside the axes, else inside.

        Parameters
        ----------
        %(ax)s
        %(labels)s
        %(theme)s
        fontsize : float, default=9.0
            Size of the labels.

        %(returns)s

        Raises
        ------
        ImportError
            If matplotlib is not installed; the extra is ``plot``.
        InvalidDataError
            If a label is not one of the categories in the drawing.
        InvalidParameterError
            If a parameter does not fit.

        Examples
        --------
        >>> import matplotlib.pyplot as plt
        >>> import pandas as pd
        >>> from sk_entity_embed.inspection import EmbeddingDisplay
        >>> vectors = pd.DataFrame(
        ...     [[2.0, 0.1], [1.8, 0.4], [-1.0, 0.9]], index=["Oslo", "Bergen", "Rome"]
        ... )
        >>> display = EmbeddingDisplay.from_estimator(vectors)
        >>> figure, ax = plt.subplots(figsize=(4, 3), layout="constrained")
        >>> [label.get_text() for label in display.plot(ax, labels=["Rome"], theme="dark").labels_]
        ['Rome']
        """
        xy, n = self.coordinates, len(self.categories)
        catalogue = ColumnVectors(
            self.column, self.categories, xy.astype(np.float32), self.counts, None
        )
        queries = list(self.queries)
        marks = marks_of(catalogue, queries, self.neighbors, labels)
        fits = ax is None and self.method == "pca"  # the figure's height is that of the points
        figure, ax, colors = prepare_axes(ax, theme, (7.0, 5.5))
        areas, paint = point_areas(self.counts, n), painter(self.coloring, n, colors)
        self.scatter_ = _draw_points(ax, xy, areas, paint, is_ground=bool(queries))
        areas = draw_marks(ax, xy, marks, areas, paint, colors)
        self._draw_axes(ax, colors)
        self.colorbar_ = None
        if self.coloring is not None and self.coloring.numeric:
            aspect = _BAR * min(1.0, _height_of(xy, 5.5) / 4.5) if fits else _BAR
            self.colorbar_ = _draw_scale(ax, self.coloring, paint, colors, aspect)
        keys = mark_keys(marks, queries, self.metric, colors)
        keys += size_keys(self.counts, colors, self.unit)
        legends = draw_legends(ax, xy, self.coloring, paint, keys, colors)
        self.legend_, self.color_legend_ = legends
        if fits:
            _set_height(ax, xy, self.color_legend_, self.colorbar_)
        if self.method == "pca":
            _set_equal(ax)
        # Thin rings tell which points of a crowd the labels are of. They are made before the
        # labels: a new artist would change the limits under them.
        ring: dict[str, Any] = {"facecolors": "none", "edgecolors": colors.ink, "linewidths": 0.8}
        rings = ax.scatter([], [], zorder=3.5, **ring)
        avoid = [legend for legend in legends if legend is not None]
        names, n_required = self.categories, marks.n_required
        self.labels_, written = draw_labels(
            ax, colors, xy, areas, marks.labelled, names, n_required, avoid, fontsize
        )
        self.n_unlabelled_ = marks.n_asked - len(written)
        if self.n_unlabelled_ and not (isinstance(labels, str) and labels == "auto"):
            title = f"{ax.get_title()}, {len(written):,} of {marks.n_asked:,} labelled"
            ax.set_title(title, parse_math=False)
        ringed = np.setdiff1d(written, np.append(marks.pairs, marks.queries))
        rings.set_offsets(xy[ringed])
        rings.set_sizes(np.maximum(areas[ringed], _RING))
        self.ax_, self.figure_ = ax, figure
        return self

    def _draw_axes(self, ax: Axes, theme: Theme) -> None:
        n = len(self.categories)
        ax.margins(_MARGIN)
        ax.autoscale_view()
        if self.method != "pca":
            ax.set(xticks=[], yticks=[])
        total = n if self.n_categories is None else self.n_categories
        shown = f"{n:,}" if total == n else f"{n:,} of {total:,}"
        kinds = "category" if total == 1 else "categories"
        name_axes(ax, theme, f"{plain_text(self.column, 40)}: {shown} {kinds}", *self.axes)


def _draw_points(
    ax: Axes, xy: NDArray[np.float64], areas: NDArray[np.float64], paint: Paint, *, is_ground: bool
) -> PathCollection:
    """Draw the points, large ones below small ones and grey ones below all; pale as a ground."""
    n = len(xy)
    order = np.lexsort((-areas, ~paint.grey))
    return ax.scatter(
        xy[order, 0],
        xy[order, 1],
        s=areas[order],
        c=paint.colors[order],
        alpha=opacity(n) * (0.3 if is_ground else 1.0),
        edgecolors=ax.get_facecolor() if n <= _EDGED else "none",
        linewidths=0.5,
        rasterized=n > _EDGED,
        zorder=2,
    )


def _draw_scale(ax: Axes, coloring: Coloring, paint: Paint, theme: Theme, aspect: float) -> Any:
    """Draw what the colours of numbers are."""
    options: dict[str, Any] = {"extend": paint.extend, "shrink": 0.8, "aspect": aspect, "pad": 0.05}
    bar = draw_colorbar(ax, paint.mappable, coloring.label, theme, **options)
    if coloring.log:
        ticks = log_ticks(int(np.nanmin(coloring.values)), int(np.nanmax(coloring.values)))
        bar.set_ticks(ticks, labels=[f"{tick:,}" for tick in ticks])
        bar.minorticks_off()
    return bar


def _set_height(ax: Axes, xy: NDArray[np.float64], legend: Any, bar: Any) -> None:
    """Make a figure lower whose points, at one scale on both axes, would leave its height empty.

    What stands beside the points, and keeps its size, still has room.
    """
    figure: Any = ax.get_figure(root=True)
    figure.draw_without_rendering()  # so that all has its place
    width, height = (side / figure.dpi for side in ax.get_window_extent().size)
    beside = [ax.yaxis.label, legend, None if bar is None else bar.ax.yaxis.label]
    needed = max(
        [_height_of(xy, width)]
        + [each.get_window_extent().height / figure.dpi + 0.1 for each in filter(None, beside)]
    )
    if needed < height:
        figure.set_figheight(figure.get_figheight() - (height - needed))


def _height_of(xy: NDArray[np.float64], width: float) -> float:
    """Return how high axes of some width have to be for points at one scale, in inches."""
    wide, high = np.ptp(xy, axis=0) if len(xy) else (0.0, 0.0)
    share = high / ((1 + 2 * _MARGIN) * wide) if wide > 0 else 1.0
    return float(max(_LEAST_HEIGHT, width * share + _ABOVE_AND_BELOW))


def _set_equal(ax: Axes) -> None:
    """Set one scale on both axes, whose limits follow the room there is.

    The name of the vertical axis gets a fixed place: an equal aspect changes limits after the
    layout, and longer tick labels would push a name that follows them out of the figure.
    """
    from matplotlib.transforms import ScaledTranslation

    shared = [g.get_siblings(ax) for g in (ax.get_shared_x_axes(), ax.get_shared_y_axes())]
    both = all(len(siblings) > 1 for siblings in shared)
    ax.set_aspect("equal", adjustable="box" if both else "datalim")
    figure: Any = ax.get_figure(root=True)
    figure.draw_without_rendering()
    edge = ax.get_window_extent().x0
    labels = [label.get_window_extent() for label in ax.get_yticklabels() if label.get_text()]
    reach = max([edge - box.x0 for box in labels if box.width], default=0.0) / figure.dpi
    longer = 0.7 * float(ax.yaxis.label.get_fontsize()) / 72  # a character more than now
    away = ScaledTranslation(-(reach + longer), 0, figure.dpi_scale_trans)
    ax.yaxis.set_label_coords(0.0, 0.5, ax.transAxes + away)
