"""EmbeddingDisplay: the categories of a column as points in the plane."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sk_entity_embed.inspection import catalogue as catalogues
from sk_entity_embed.inspection.catalogue import Catalogue, Source
from sk_entity_embed.inspection.displays.coloring import (
    Coloring,
    Paint,
    coloring_of,
    opacity,
    painter,
    point_areas,
)
from sk_entity_embed.inspection.displays.keys import draw_colorbar, draw_legends, size_keys
from sk_entity_embed.inspection.displays.labels import column_name, draw_labels, plain_text
from sk_entity_embed.inspection.displays.marks import (
    draw_marks,
    listed,
    mark_keys,
    marks_of,
    named,
    neighbors_of,
)
from sk_entity_embed.inspection.displays.theme import Theme, prepare_axes, style_axes
from sk_entity_embed.inspection.projection import projection_of
from sk_entity_embed.inspection.search import check_metric

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection

_FIGSIZE = (7.0, 5.5)
_EDGED = 2000
"""Most points that have an edge, and that a vector graphic holds one by one."""
_RING = 14.0
"""Area of the rings of labelled points at least, in square points."""


class EmbeddingDisplay:
    """The categories of a column as points in the plane.

    Points are as large as the category is frequent, coloured by any value of a category, and
    labelled where there is room. It is made by :meth:`from_estimator` or :meth:`from_vectors`;
    what is computed is stored, and :meth:`plot` only draws.

    Parameters
    ----------
    categories : ndarray of shape (n_categories,)
        Categories; NaN is the missing one.
    coordinates : ndarray of float64 of shape (n_categories, 2)
        Where they are.
    axes : tuple of str, default=("", "")
        What the coordinates are.
    method : {"pca", "tsne", "umap"}, default="pca"
        What made the coordinates; only those of "pca" have ticks and one scale on both axes.
    column : str, default="category"
        Name of the column.
    counts : ndarray of int of shape (n_categories,), default=None
        Training rows of each category, or items of lists; None draws points of one size.
    coloring : Coloring, default=None
        What colour tells; None draws points of one colour.
    neighbors : DataFrame, default=None
        Queries and their neighbours to point out, as of
        :func:`~sk_entity_embed.inspection.nearest` for several queries.
    queries : sequence, default=()
        Categories to point out.
    metric : {"cosine", "euclidean", "dot"}, default="cosine"
        What the neighbours were found by.
    n_categories : int, default=None
        Categories of the column, if more than are drawn.
    unit : {"row", "item"}, default="row"
        What the counts count.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes drawn on.
    figure_ : matplotlib Figure
        Their figure.
    scatter_ : matplotlib PathCollection
        The points, the most frequent categories first.
    labels_ : list of matplotlib Annotation
        The labels that found room.
    legend_ : matplotlib Legend or None
        Sizes and what is pointed out.
    color_legend_ : matplotlib Legend or None
        Colours of kinds.
    colorbar_ : matplotlib Colorbar or None
        Colours of numbers.

    See Also
    --------
    sk_entity_embed.inspection.project : The coordinates as a table.
    sk_entity_embed.inspection.nearest : The neighbours as a table.

    Examples
    --------
    >>> import pandas as pd
    >>> from sk_entity_embed.inspection import EmbeddingDisplay
    >>> vectors = pd.DataFrame(
    ...     [[2.0, 0.1], [1.8, 0.4], [-1.0, 0.9], [-1.2, 0.7]],
    ...     index=["Oslo", "Bergen", "Rome", "Bari"],
    ... )
    >>> display = EmbeddingDisplay.from_vectors(vectors, color=["N", "N", "I", "I"])
    >>> sorted(label.get_text() for label in display.labels_)
    ['Bari', 'Bergen', 'Oslo', 'Rome']
    """

    def __init__(
        self,
        *,
        categories: NDArray[Any],
        coordinates: NDArray[np.float64],
        axes: tuple[str, ...] = ("", ""),
        method: str = "pca",
        column: str = "category",
        counts: NDArray[np.int64] | None = None,
        coloring: Coloring | None = None,
        neighbors: pd.DataFrame | None = None,
        queries: Any = (),
        metric: str = "cosine",
        n_categories: int | None = None,
        unit: str = "row",
    ) -> None:
        self.categories = categories
        self.coordinates = coordinates
        self.axes = axes
        self.method = method
        self.column = column
        self.counts = counts
        self.coloring = coloring
        self.neighbors = neighbors
        self.queries = queries
        self.metric = metric
        self.n_categories = n_categories
        self.unit = unit

    @classmethod
    def from_estimator(
        cls,
        estimator: Source,
        column: str | None = None,
        *,
        method: str = "pca",
        random_state: Any = 0,
        min_count: int | None = None,
        color: Any = None,
        color_label: str | None = None,
        highlight: Any = None,
        k_neighbors: int = 10,
        metric: str = "cosine",
        labels: Any = "auto",
        theme: str | None = None,
        ax: Axes | None = None,
    ) -> EmbeddingDisplay:
        """Draw a column of a fitted estimator.

        Parameters
        ----------
        estimator : estimator
            Fitted, or a fitted pipeline that holds one such step.
        column : str, default=None
            Name of the column; may be None where there is only one.
        method : {"pca", "tsne", "umap"}, default="pca"
            See :func:`~sk_entity_embed.inspection.project`.
        random_state : int, RandomState instance or None, default=0
            Seed of t-SNE and UMAP.
        min_count : int, default=None
            Leave out categories with fewer training rows, unless they are highlighted or labelled
            by name.
        color : "target_mean", "count", tuple, Series, mapping or array-like, default=None
            What colours tell: the mean target of a category, its training rows (on a logarithmic
            scale), or values of any kind. ``("target_mean", output)`` chooses among several
            outputs by their number, among classes by the class. A series or a mapping is matched
            by category, an array is in the order of ``categories_``. Numbers and dates get a
            colour bar; strings and booleans a legend of the seven kinds that most categories have.
            Grey has no value.
        color_label : str, default=None
            What the values are; None takes the name of the series.
        highlight : category or list of categories, default=None
            Point out categories, joined to their neighbours.
        k_neighbors : int, default=10
            Neighbours of each highlighted category, as many as there are at most; 0 shows none.
        metric : {"cosine", "euclidean", "dot"}, default="cosine"
            What the neighbours are found by.
        labels : "auto", "all", int, list of categories or None, default="auto"
            See :meth:`plot`.
        theme : {"light", "dark"}, default=None
            See :meth:`plot`.
        ax : matplotlib Axes, default=None
            See :meth:`plot`.

        Returns
        -------
        EmbeddingDisplay
            Drawn.

        Raises
        ------
        InvalidDataError
            If a highlighted or labelled category is unknown (close names are suggested), or `color`
            has none of the categories.
        InvalidParameterError
            If a parameter does not fit, or `estimator` is something else.
        sklearn.exceptions.NotFittedError
            If the estimator is not fitted.

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
        """
        estimator = catalogues.source_of(estimator)
        catalogue = catalogues.catalogue_of(estimator, column)
        classes = getattr(estimator, "classes_", None)
        display = cls._computed(
            catalogue,
            coloring_of(catalogue, color, color_label, classes),
            method=method,
            random_state=random_state,
            min_count=min_count,
            highlight=highlight,
            k_neighbors=k_neighbors,
            metric=metric,
            labels=labels,
        )
        return display.plot(ax, labels=labels, theme=theme)

    @classmethod
    def from_vectors(
        cls,
        vectors: Any,
        *,
        categories: Any = None,
        counts: Any = None,
        target_means: Any = None,
        column: str | None = None,
        method: str = "pca",
        random_state: Any = 0,
        min_count: int | None = None,
        color: Any = None,
        color_label: str | None = None,
        highlight: Any = None,
        k_neighbors: int = 10,
        metric: str = "cosine",
        labels: Any = "auto",
        theme: str | None = None,
        ax: Axes | None = None,
    ) -> EmbeddingDisplay:
        """Draw vectors made elsewhere.

        Parameters
        ----------
        vectors : DataFrame or array-like of shape (n_categories, width)
            One vector a category; a frame is indexed by category.
        categories : iterable, default=None
            The categories; by default the index of the frame, or 0, 1, ...
        counts : array-like of int of shape (n_categories,), or Series, default=None
            Rows of each category; a series is matched by its index.
        target_means : array-like of float, or Series, default=None
            Mean target of each category, of shape (n_categories,) or (n_categories, n_outputs).
        column : str, default=None
            What the categories are; by default the name of the frame's index, or "category".
        method, random_state, min_count, color, color_label, highlight, k_neighbors, metric : object
            See :meth:`from_estimator`.
        labels, theme, ax : object
            See :meth:`plot`.

        Returns
        -------
        EmbeddingDisplay
            Drawn.

        Raises
        ------
        InvalidDataError
            If shapes do not agree, a vector is not finite, a category is there twice, a highlighted
            or labelled one is not there, or `color` has none of the categories.
        InvalidParameterError
            If a parameter does not fit.

        Examples
        --------
        >>> from sk_entity_embed.inspection import EmbeddingDisplay
        >>> display = EmbeddingDisplay.from_vectors(
        ...     [[2.0, 0.1], [1.8, 0.4], [-1.0, 0.9]],
        ...     categories=["Oslo", "Bergen", "Rome"],
        ...     counts=[50, 20, 80],
        ...     highlight="Oslo",
        ...     k_neighbors=1,
        ... )
        >>> display.neighbors["category"].tolist()
        ['Bergen']
        """
        catalogue = catalogues.from_vectors(
            vectors,
            categories=categories,
            counts=counts,
            target_means=target_means,
            name=column_name(vectors, column),
        )
        display = cls._computed(
            catalogue,
            coloring_of(catalogue, color, color_label),
            method=method,
            random_state=random_state,
            min_count=min_count,
            highlight=highlight,
            k_neighbors=k_neighbors,
            metric=metric,
            labels=labels,
        )
        return display.plot(ax, labels=labels, theme=theme)

    @classmethod
    def _computed(
        cls,
        catalogue: Catalogue,
        coloring: Coloring | None,
        *,
        method: str,
        random_state: Any,
        min_count: int | None,
        highlight: Any,
        k_neighbors: int,
        metric: str,
        labels: Any,
    ) -> EmbeddingDisplay:
        """A display of what is to be drawn, not drawn yet."""
        check_metric(metric)
        queries = listed(highlight)
        neighbors = neighbors_of(catalogue, queries, k_neighbors, metric, min_count)
        frequent = catalogue.frequent(min_count)
        asked = catalogue.locate([*queries, *named(labels)])
        shown = np.union1d(frequent, asked).astype(np.intp)
        drawn = catalogue.take(shown)
        if method == "pca":  # components are those of all categories, as in `extremes`
            found = projection_of(catalogue, method, 2, random_state)
            found = replace(found, coordinates=found.coordinates[shown])
        else:
            found = projection_of(drawn, method, 2, random_state)
        return cls(
            categories=drawn.labels,
            coordinates=found.coordinates,
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

    def plot(
        self,
        ax: Axes | None = None,
        *,
        labels: Any = "auto",
        theme: str | None = None,
        fontsize: float = 9.0,
    ) -> EmbeddingDisplay:
        """Draw what was computed.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a figure. Labels get their places in the figure as it is,
            and legends go beside the axes if the figure has a layout engine, as
            ``plt.subplots(layout="constrained")`` gives it, else into them.
        labels : "auto", "all", int, list of categories or None, default="auto"
            Categories to label: as many of the most frequent ones (without counts, of the first
            ones), or all, where there is room; or those of a list, which get a label in any case,
            as highlighted categories and their neighbours do. "auto" is 20 without highlighted
            ones and no more with them.
        theme : {"light", "dark"}, default=None
            Ground to draw on; None takes that of the axes or of matplotlib's settings.
        fontsize : float, default=9.0
            Size of the labels.

        Returns
        -------
        EmbeddingDisplay
            This display.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        InvalidDataError
            If a label is no category that is drawn.
        InvalidParameterError
            If `labels` or `theme` are something else.

        Examples
        --------
        >>> import matplotlib.pyplot as plt
        >>> from sk_entity_embed.inspection import EmbeddingDisplay
        >>> display = EmbeddingDisplay.from_vectors([[2.0, 0.1], [1.8, 0.4], [-1.0, 0.9]])
        >>> figure, ax = plt.subplots(figsize=(4, 3), layout="constrained")
        >>> len(display.plot(ax, labels=[2], theme="dark").labels_)
        1
        """
        xy, n = self.coordinates, len(self.categories)
        catalogue = Catalogue(
            self.column, self.categories, xy.astype(np.float32), self.counts, None
        )
        queries = list(self.queries)
        marks = marks_of(catalogue, queries, self.neighbors, labels)
        figure, ax, colors = prepare_axes(ax, theme, _FIGSIZE)
        areas, paint = point_areas(self.counts, n), painter(self.coloring, n, colors)
        self.scatter_ = _draw_points(ax, xy, areas, paint, is_ground=bool(queries))
        areas = draw_marks(ax, xy, marks, areas, paint, colors)
        self._draw_axes(ax, colors)
        self.colorbar_ = None
        if self.coloring is not None and self.coloring.numeric:
            self.colorbar_ = draw_colorbar(self.scatter_, ax, self.coloring, paint, colors)
        keys = mark_keys(marks, queries, self.metric, colors)
        keys += size_keys(self.counts, colors, self.unit)
        legends = draw_legends(ax, xy, self.coloring, paint, keys, colors)
        self.legend_, self.color_legend_ = legends
        if self.method == "pca":
            _set_equal(ax)
        rings = _draw_rings(ax, colors)
        required = np.isin(marks.labelled, marks.required)
        self.labels_, written = draw_labels(
            ax,
            xy[marks.labelled],
            [plain_text(c) for c in self.categories[marks.labelled].tolist()],
            colors,
            radii=np.sqrt(areas[marks.labelled]) / 2,
            required=required,
            points=xy,
            point_radii=np.sqrt(areas) / 2,
            avoid=[legend for legend in legends if legend is not None],
            kept_clear=np.flatnonzero(required),
            fontsize=fontsize,
        )
        ringed = np.setdiff1d(marks.labelled[written], np.append(marks.pairs, marks.queries))
        rings.set_offsets(xy[ringed])
        rings.set_sizes(np.maximum(areas[ringed], _RING))
        self.ax_, self.figure_ = ax, figure
        return self

    def _draw_axes(self, ax: Axes, theme: Theme) -> None:
        """Title, names and scale of the axes."""
        n = len(self.categories)
        ax.margins(0.07)
        ax.autoscale_view()
        if self.method != "pca":
            ax.set(xticks=[], yticks=[])
        ax.set_xlabel(self.axes[0])
        ax.set_ylabel(self.axes[1])
        total = n if self.n_categories is None else self.n_categories
        shown = f"{n:,}" if total == n else f"{n:,} of {total:,}"
        kinds = "category" if total == 1 else "categories"
        ax.set_title(f"{plain_text(self.column, 40)}: {shown} {kinds}", parse_math=False)
        style_axes(ax, theme)


def _draw_points(
    ax: Axes,
    coordinates: NDArray[np.float64],
    areas: NDArray[np.float64],
    paint: Paint,
    *,
    is_ground: bool,
) -> PathCollection:
    """All points; large ones below small ones, those without a value below all.

    They are pale where they are the ground of what is pointed out.
    """
    n = len(coordinates)
    order = np.lexsort((-areas, ~paint.grey))
    alpha = opacity(n)
    return ax.scatter(
        coordinates[order, 0],
        coordinates[order, 1],
        s=areas[order],
        alpha=0.3 * alpha if is_ground else alpha,
        edgecolors=ax.get_facecolor() if n <= _EDGED else "none",
        linewidths=0.5,
        rasterized=n > _EDGED,
        zorder=2,
        **paint.colors(order),
    )


def _set_equal(ax: Axes) -> None:
    """One scale on both axes, whose limits follow the room there is.

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


def _draw_rings(ax: Axes, theme: Theme) -> PathCollection:
    """Thin rings that tell which points of a crowd the labels are of, not anywhere yet.

    They are made before the labels: a new artist would change the limits under them.
    """
    return ax.scatter([], [], facecolors="none", edgecolors=theme.ink, linewidths=0.8, zorder=3.5)
