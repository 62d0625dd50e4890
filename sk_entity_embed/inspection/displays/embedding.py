"""EmbeddingDisplay: the categories of a column as points in the plane."""

from __future__ import annotations

from dataclasses import dataclass, replace
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sk_entity_embed.exceptions import InvalidParameterError
from sk_entity_embed.inspection import catalogue as catalogues
from sk_entity_embed.inspection.catalogue import Catalogue, Source
from sk_entity_embed.inspection.displays.coloring import (
    Coloring,
    Paint,
    coloring_of,
    log_ticks,
    painter,
    point_areas,
    round_counts,
)
from sk_entity_embed.inspection.displays.labels import draw_labels, plain_text
from sk_entity_embed.inspection.displays.theme import (
    Theme,
    prepare_axes,
    style_axes,
    style_colorbar,
)
from sk_entity_embed.inspection.neighbors import nearest
from sk_entity_embed.inspection.projection import projection_of
from sk_entity_embed.inspection.search import check_metric

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection
    from matplotlib.colorbar import Colorbar
    from matplotlib.legend import Legend
    from matplotlib.lines import Line2D

_FIGSIZE = (7.0, 5.5)
_SMALL = 8.5
_FREQUENT = 20
_TRIED = 2000  # more would not find room, and measuring them takes seconds
_EDGED = 2000
"""Most points that have an edge, and that a vector graphic holds one by one."""

_RING, _KEY, _MARK, _STAR = 14.0, 42.0, 45.0, 170.0
"""Areas of marks, in square points; those of rings, neighbours and stars at least."""

_WIDE = 75
"""Characters in one row of the legend."""

_METRICS = {"cosine": "cosine", "euclidean": "Euclidean distance", "dot": "dot product"}


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
    name : str, default="category"
        Name of the column.
    counts : ndarray of int of shape (n_categories,), default=None
        Training rows of each category; None draws points of one size.
    coloring : Coloring, default=None
        What colour tells; None draws points of one colour.
    neighbors : DataFrame, default=None
        Queries and their neighbours to point out, as of
        :func:`~sk_entity_embed.inspection.nearest` for several queries.
    queries : sequence, default=()
        Categories to point out.
    metric : {"cosine", "euclidean", "dot"}, default="cosine"
        What the neighbours were found by.

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
        name: str = "category",
        counts: NDArray[np.int64] | None = None,
        coloring: Coloring | None = None,
        neighbors: pd.DataFrame | None = None,
        queries: Any = (),
        metric: str = "cosine",
    ) -> None:
        self.categories = categories
        self.coordinates = coordinates
        self.axes = axes
        self.method = method
        self.name = name
        self.counts = counts
        self.coloring = coloring
        self.neighbors = neighbors
        self.queries = queries
        self.metric = metric

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
            Fitted.
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
        name: str | None = None,
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
        name : str, default=None
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
        if name is None:
            index_name = vectors.index.name if isinstance(vectors, pd.DataFrame) else None
            name = "category" if index_name is None else str(index_name)
        catalogue = catalogues.from_vectors(
            vectors, categories=categories, counts=counts, target_means=target_means, name=name
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
        queries = _listed(highlight)
        neighbors = _neighbors(catalogue, queries, k_neighbors, metric, min_count)
        frequent = catalogue.frequent(min_count)
        named = catalogue.locate([*queries, *_named(labels)])
        shown = np.union1d(frequent, named).astype(np.intp)
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
            name=catalogue.name,
            counts=drawn.counts,
            coloring=None if coloring is None else coloring.take(shown),
            queries=queries,
            neighbors=neighbors,
            metric=metric,
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
        marks = self._marks(labels)
        figure, ax, colors = prepare_axes(ax, theme, _FIGSIZE)
        self.figure_, self.ax_ = figure, ax
        areas = point_areas(self.counts, len(self.categories))
        paint = painter(self.coloring, len(self.categories), colors)
        self._draw_points(areas, paint, marks)
        areas = self._draw_marks(marks, areas, paint, colors)
        self._draw_axes(colors)
        self._draw_keys(marks, paint, colors)
        rings = self._draw_rings(colors)
        self.labels_, drawn = draw_labels(
            ax,
            self.coordinates[marks.labelled],
            [plain_text(c) for c in self.categories[marks.labelled].tolist()],
            colors,
            radii=np.sqrt(areas[marks.labelled]) / 2,
            required=np.isin(marks.labelled, marks.required),
            points=self.coordinates,
            point_radii=np.sqrt(areas) / 2,
            avoid=[k for k in (self.legend_, self.color_legend_) if k is not None],
            kept_clear=np.flatnonzero(np.isin(marks.labelled, marks.required)),
            fontsize=fontsize,
        )
        ringed = np.setdiff1d(marks.labelled[drawn], np.append(marks.pairs, marks.queries))
        rings.set_offsets(self.coordinates[ringed])
        rings.set_sizes(np.maximum(areas[ringed], _RING))
        return self

    def _marks(self, labels: Any) -> Marks:
        """Positions of what is pointed out and of what is labelled."""
        vectors = self.coordinates.astype(np.float32)
        catalogue = Catalogue(self.name, self.categories, vectors, self.counts, None)
        queries = catalogue.locate(list(self.queries))
        pairs = np.empty((0, 2), dtype=np.intp)
        if self.neighbors is not None:
            columns = [catalogue.locate(list(self.neighbors[c])) for c in ("query", "category")]
            pairs = np.column_stack(columns)
        named = catalogue.locate(_named(labels))
        order = np.argsort(-catalogue.weights, kind="stable").astype(np.intp)
        if isinstance(labels, str):
            n = len(order) if labels == "all" else (0 if len(queries) else _FREQUENT)
        else:
            n = int(labels) if isinstance(labels, Integral) else 0
        required = _distinct(queries, named, pairs[:, 1])
        return Marks(queries, pairs, named, required, _distinct(required, order[: min(n, _TRIED)]))

    def _draw_points(self, areas: NDArray[np.float64], paint: Paint, marks: Marks) -> None:
        """All points; large ones below small ones, those without a value below all."""
        n = len(self.categories)
        order = np.lexsort((-areas, ~paint.grey))
        alpha = float(np.clip(1.35 - 0.23 * np.log10(n), 0.2, 0.9))
        self.scatter_ = self.ax_.scatter(
            self.coordinates[order, 0],
            self.coordinates[order, 1],
            s=areas[order],
            alpha=0.3 * alpha if len(marks.queries) else alpha,
            edgecolors=self.ax_.get_facecolor() if n <= _EDGED else "none",
            linewidths=0.5,
            rasterized=n > _EDGED,
            zorder=2,
            **paint.colors(order),
        )

    def _draw_marks(
        self, marks: Marks, areas: NDArray[np.float64], paint: Paint, theme: Theme
    ) -> NDArray[np.float64]:
        """Stars, rings and lines of what is pointed out; gives areas with those of the marks."""
        from matplotlib.collections import LineCollection

        ax, xy, areas = self.ax_, self.coordinates, areas.copy()
        lines = LineCollection(
            list(xy[marks.pairs]), colors=theme.accent, linewidths=0.8, alpha=0.6, zorder=3
        )
        ax.add_collection(lines, autolim=False)
        near = np.unique(marks.pairs[:, 1])
        areas[near] = np.maximum(areas[near], _MARK)
        ax.scatter(
            xy[near, 0],
            xy[near, 1],
            s=areas[near],
            edgecolors=theme.accent,
            linewidths=1.5,
            zorder=4,
            **paint.colors(near),
        )
        areas[marks.queries] = np.maximum(areas[marks.queries], _STAR)
        ax.scatter(
            xy[marks.queries, 0],
            xy[marks.queries, 1],
            s=areas[marks.queries],
            marker="*",
            color=theme.accent,
            edgecolors=theme.ink,
            linewidths=0.8,
            zorder=5,
        )
        return areas

    def _draw_rings(self, theme: Theme) -> PathCollection:
        """Thin rings that tell which points of a crowd the labels are of, not anywhere yet.

        They are made before the labels: a new artist would change the limits under them.
        """
        return self.ax_.scatter(
            [], [], facecolors="none", edgecolors=theme.ink, linewidths=0.8, zorder=3.5
        )

    def _draw_axes(self, theme: Theme) -> None:
        """Title, names and scale of the axes."""
        ax, n = self.ax_, len(self.categories)
        ax.margins(0.07)
        ax.autoscale_view()
        if self.method == "pca":
            shared = [g.get_siblings(ax) for g in (ax.get_shared_x_axes(), ax.get_shared_y_axes())]
            both = all(len(siblings) > 1 for siblings in shared)
            ax.set_aspect("equal", adjustable="box" if both else "datalim")
        else:
            ax.set(xticks=[], yticks=[])
        ax.set_xlabel(self.axes[0])
        ax.set_ylabel(self.axes[1])
        kinds = "category" if n == 1 else "categories"
        ax.set_title(f"{plain_text(self.name, 40)}: {n:,} {kinds}", parse_math=False)
        style_axes(ax, theme)

    def _draw_keys(self, marks: Marks, paint: Paint, theme: Theme) -> None:
        """Colour bar and legends."""
        ax = self.ax_
        self.colorbar_ = self.color_legend_ = self.legend_ = None
        if self.coloring is not None and self.coloring.numeric:
            self.colorbar_ = self._draw_colorbar(self.coloring, paint)
            style_colorbar(self.colorbar_, theme)
        corners = self._empty_corners()
        outside = self.figure_.get_layout_engine() is not None
        if paint.kinds and self.coloring is not None:
            keys = [(_dot(color, _KEY), text) for color, text in paint.kinds]
            where: dict[str, Any] = {"loc": corners.pop(0)}
            if outside:
                where = {"loc": "upper left", "bbox_to_anchor": (1, 1)}
            self.color_legend_ = _legend(ax, keys, theme, title=self.coloring.label, **where)
            ax.add_artist(self.color_legend_).set_clip_on(False)  # or the layout leaves it out
        keys = [*self._mark_keys(marks, theme), *self._size_keys(theme)]
        if self.colorbar_ is not None and paint.grey.any():
            keys.append((_dot(theme.grid, _KEY), "no value"))
        if keys:
            where = {"loc": corners.pop(0)}
            if outside:
                rows = 1 + (sum(len(text) + 4 for _, text in keys) > _WIDE)
                where = {
                    "loc": "upper center",
                    "bbox_to_anchor": (0.5, 0),
                    "ncols": -(-len(keys) // rows),
                }
                where["borderaxespad"] = 4.2 if len(ax.get_xticks()) else 2.6
            self.legend_ = _legend(ax, keys, theme, **where)

    def _empty_corners(self) -> list[str]:
        """Corners of the axes, the one with the fewest points first."""
        right, upper = (self.coordinates > self.coordinates.mean(axis=0)).T
        crowds = {
            "upper right": right & upper,
            "lower right": right & ~upper,
            "lower left": ~right & ~upper,
            "upper left": ~right & upper,
        }
        return sorted(crowds, key=lambda corner: int(crowds[corner].sum()))

    def _draw_colorbar(self, coloring: Coloring, paint: Paint) -> Colorbar:
        """What the colours of numbers are; opaque, whatever the points are."""
        alpha = self.scatter_.get_alpha()
        self.scatter_.set_alpha(None)
        bar = self.figure_.colorbar(
            self.scatter_, ax=self.ax_, extend=paint.extend, shrink=0.8, aspect=25
        )
        self.scatter_.set_alpha(alpha)
        bar.set_label(coloring.label, parse_math=False)
        if coloring.log:
            ticks = log_ticks(int(np.nanmin(coloring.values)), int(np.nanmax(coloring.values)))
            bar.set_ticks(ticks, labels=[f"{tick:,}" for tick in ticks])
            bar.minorticks_off()
        return bar

    def _mark_keys(self, marks: Marks, theme: Theme) -> list[tuple[Line2D, str]]:
        """What the star and the rings are."""
        keys = []
        if len(marks.queries):
            one = plain_text(self.queries[0])
            text = one if len(marks.queries) == 1 else f"{len(marks.queries)} highlighted"
            keys.append((_dot(theme.accent, _STAR, marker="*", edge=theme.ink), text))
        if len(marks.pairs):
            k = len(marks.pairs) // len(marks.queries)
            text = f"{k} nearest by {_METRICS[self.metric]}"
            keys.append((_dot("none", _MARK, edge=theme.accent, width=1.5), text))
        return keys

    def _size_keys(self, theme: Theme) -> list[tuple[Line2D, str]]:
        """What the sizes are."""
        if self.counts is None:
            return []
        shown = round_counts(self.counts)
        areas = point_areas(np.append(shown, self.counts.max()), len(self.counts))[:-1]
        texts = [f"{count:,}" for count in shown]
        texts[-1] += " row" if shown[-1] == 1 else " rows"
        return [(_dot(theme.muted, a), t) for a, t in zip(areas, texts, strict=True)]


@dataclass(frozen=True, slots=True)
class Marks:
    """Positions of categories that are drawn in another way than the rest.

    Attributes
    ----------
    queries, named, required, labelled : ndarray of int
        Highlighted ones; those labelled by name; those that get a label in any case; all that may
        get one, the most important first.
    pairs : ndarray of int of shape (n_pairs, 2)
        Highlighted ones and their neighbours.
    """

    queries: NDArray[np.intp]
    pairs: NDArray[np.intp]
    named: NDArray[np.intp]
    required: NDArray[np.intp]
    labelled: NDArray[np.intp]


def _neighbors(
    catalogue: Catalogue, queries: list[Any], k: int, metric: str, min_count: int | None
) -> pd.DataFrame | None:
    """The neighbours of the queries, as many as there are at most."""
    if not isinstance(k, Integral) or isinstance(k, bool) or int(k) < 0:
        raise InvalidParameterError(f"`k_neighbors` must be an integer of 0 or more, got {k!r}.")
    candidates = catalogue.frequent(min_count)
    own = np.isin(catalogue.locate(queries), candidates)
    k = min(int(k), len(candidates) - int(own.any()))
    if not queries or k == 0:
        return None
    return nearest(catalogue, None, queries, k, metric=metric, min_count=min_count)


def _listed(highlight: Any) -> list[Any]:
    """The highlighted categories as a list."""
    if highlight is None:
        return []
    several = isinstance(highlight, list | pd.Series | pd.Index | np.ndarray)
    return list(highlight) if several else [highlight]


def _named(labels: Any) -> list[Any]:
    """The categories that `labels` names."""
    if labels is None or (isinstance(labels, str) and labels in ("auto", "all")):
        return []
    if isinstance(labels, Integral) and not isinstance(labels, bool) and int(labels) >= 0:
        return []
    if isinstance(labels, list | tuple | set | pd.Series | pd.Index | np.ndarray):
        return list(labels)
    raise InvalidParameterError(
        "`labels` must be 'auto', 'all', None, a number of categories or a list of them, got "
        f"{labels!r}."
    )


def _distinct(*positions: NDArray[np.intp]) -> NDArray[np.intp]:
    """Positions without those that came before."""
    joined = np.concatenate(positions)
    return joined[np.sort(np.unique(joined, return_index=True)[1])]


def _dot(
    color: str, area: float, *, marker: str = "o", edge: str | None = None, width: float = 0.8
) -> Line2D:
    """A point of a legend."""
    from matplotlib.lines import Line2D

    return Line2D(
        [],
        [],
        linestyle="none",
        marker=marker,
        markersize=float(np.sqrt(area)),
        markerfacecolor=color,
        markeredgecolor=color if edge is None else edge,
        markeredgewidth=width,
    )


def _legend(ax: Axes, keys: list[tuple[Line2D, str]], theme: Theme, **where: Any) -> Legend:
    """A legend whose text is nothing but text."""
    legend = ax.legend(
        [handle for handle, _ in keys],
        [text for _, text in keys],
        fontsize=_SMALL,
        title_fontsize=_SMALL,
        labelcolor=theme.ink,
        facecolor=theme.background,
        edgecolor=theme.grid,
        handletextpad=0.3,
        columnspacing=1.2,
        **where,
    )
    legend.get_title().set_color(theme.ink)
    for text in (legend.get_title(), *legend.get_texts()):
        text.set_parse_math(False)
    return legend
