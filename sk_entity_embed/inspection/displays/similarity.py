"""SimilarityDisplay: how similar the categories of a column are, as a clustered heat map."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sk_entity_embed.exceptions import InvalidParameterError
from sk_entity_embed.inspection.catalogue import Catalogue, catalogue_of, from_vectors
from sk_entity_embed.inspection.displays.cells import (
    average_linkage,
    category_index,
    style_cells,
    tick_step,
    title_of,
)
from sk_entity_embed.inspection.displays.labels import column_name, plain_text
from sk_entity_embed.inspection.displays.theme import (
    Theme,
    prepare_axes,
    style_colorbar,
)
from sk_entity_embed.inspection.neighbors import all_similarities
from sk_entity_embed.inspection.search import check_metric

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_NUMBERS = 12
_MOST_DRAWN = 200
"""Leaves of a tree that can be told apart in a picture."""
_LARGEST = 10_000
_ROW, _NUMBER = 0.17, 0.42
"""Inches of a row in a figure of its own, without and with numbers."""
_TEXT = 0.13
"""Inches that a label takes."""
_LABEL = 24
_TREE = 0.11
"""Height of the tree, relative to that of the heat map."""
_NAMES = {"cosine": "Cosine similarity", "dot": "Dot product", "euclidean": "1 / (1 + distance)"}


class SimilarityDisplay:
    """Heat map of the similarities of a column's categories.

    Make it with :meth:`from_estimator` or :meth:`from_vectors`; :meth:`plot` draws it again, in
    other axes or another theme.

    Parameters
    ----------
    similarity : DataFrame of shape (n_categories, n_categories)
        Similarities, indexed by category both ways, in the order drawn.
    metric : {"cosine", "euclidean", "dot"}, default="cosine"
        What they are.
    linkage : ndarray of float64 of shape (n_categories - 1, 4), default=None
        The tree that the order comes from, as of :func:`scipy.cluster.hierarchy.linkage`, its
        leaves numbered in the order drawn.
    n_categories : int, default=None
        Categories of the column, if more than are drawn.

    Attributes
    ----------
    image_ : matplotlib AxesImage
        The heat map.
    colorbar_ : matplotlib Colorbar
        Its scale.
    texts_ : list of matplotlib Text
        The numbers in the cells, if any.
    dendrogram_ : matplotlib LineCollection or None
        The tree.
    ax_ : matplotlib Axes
        Axes of the heat map.
    figure_ : matplotlib Figure
        Its figure.

    See Also
    --------
    similarity_matrix : The numbers alone.
    EmbeddingHeatmapDisplay : The vectors themselves.

    References
    ----------
    .. [1] Z. Bar-Joseph, D. K. Gifford and T. S. Jaakkola, "Fast optimal leaf ordering for
       hierarchical clustering", Bioinformatics 17, 2001.

    Examples
    --------
    >>> import pandas as pd
    >>> from sk_entity_embed.inspection import SimilarityDisplay
    >>> vectors = pd.DataFrame(
    ...     [[2, 0], [-1, 1], [2, 1], [-1, 0]], index=["Oslo", "Rome", "Bergen", "Naples"]
    ... )
    >>> display = SimilarityDisplay.from_vectors(vectors)
    >>> sorted(display.similarity.index[:2])  # similar ones are drawn side by side
    ['Bergen', 'Oslo']
    """

    def __init__(
        self,
        *,
        similarity: pd.DataFrame,
        metric: str = "cosine",
        linkage: NDArray[np.float64] | None = None,
        n_categories: int | None = None,
    ) -> None:
        self.similarity = similarity
        self.metric = metric
        self.linkage = linkage
        self.n_categories = n_categories

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        column: str | None = None,
        *,
        categories: Sequence[Any] | None = None,
        k: int = 40,
        metric: str = "cosine",
        cluster: bool = True,
        ax: Axes | None = None,
        theme: str | None = None,
        annotate: bool | None = None,
        dendrogram: bool = True,
    ) -> Self:
        """Draw the similarities of a fitted estimator's categories.

        Parameters
        ----------
        estimator : estimator
            Fitted, or a fitted pipeline that holds one such step.
        column : str, default=None
            Name of the column; may be None where there is only one.
        categories : sequence, default=None
            Categories to draw; None takes the `k` most frequent.
        k : int, default=40
            How many to draw where `categories` is None; fewer if there are not as many.
        metric : {"cosine", "euclidean", "dot"}, default="cosine"
            See :func:`~sk_entity_embed.inspection.nearest`; with "euclidean" the similarity is
            ``1 / (1 + distance)``.
        cluster : bool, default=True
            Whether to draw similar categories side by side: in the order of the leaves of an
            average linkage tree, in which neighbours differ least. Otherwise they are in the
            order of `categories`, or of their frequency.
        ax : matplotlib Axes, default=None
            Axes to draw in; None makes a figure.
        theme : {"light", "dark"}, default=None
            Ground to draw on; None takes the one that the axes have.
        annotate : bool, default=None
            Whether to write the numbers into the cells; None does for twelve categories or fewer.
        dendrogram : bool, default=True
            Whether to draw the tree above the heat map.

        Returns
        -------
        SimilarityDisplay
            The drawn display.

        Raises
        ------
        InvalidDataError
            If one of the `categories` is unknown or there twice.
        InvalidParameterError
            If there is no such column, or a parameter does not fit.
        sklearn.exceptions.NotFittedError
            If the estimator is not fitted.
        """
        catalogue = catalogue_of(estimator, column)
        display = cls._compute(catalogue, categories, k, metric, cluster)
        return display.plot(ax, theme=theme, annotate=annotate, dendrogram=dendrogram)

    @classmethod
    def from_vectors(
        cls,
        vectors: Any,
        *,
        categories: Iterable[Any] | None = None,
        counts: Any = None,
        column: str | None = None,
        k: int = 40,
        metric: str = "cosine",
        cluster: bool = True,
        ax: Axes | None = None,
        theme: str | None = None,
        annotate: bool | None = None,
        dendrogram: bool = True,
    ) -> Self:
        """Draw the similarities of vectors made elsewhere.

        Parameters
        ----------
        vectors : DataFrame or array-like of shape (n_categories, width)
            One vector a category; a frame is indexed by category.
        categories : iterable, default=None
            What the vectors belong to; by default the index of the frame, or 0, 1, ...
        counts : array-like of int of shape (n_categories,), or Series, default=None
            Rows of each category, to draw the `k` most frequent ones; without them the first `k`
            are drawn.
        column : str, default=None
            What the categories are; by default the name of the frame's index, or "category".
        k : int, default=40
            How many to draw; fewer if there are not as many.
        metric : {"cosine", "euclidean", "dot"}, default="cosine"
            See :meth:`from_estimator`.
        cluster : bool, default=True
            See :meth:`from_estimator`.
        ax : matplotlib Axes, default=None
            Axes to draw in; None makes a figure.
        theme : {"light", "dark"}, default=None
            Ground to draw on; None takes the one that the axes have.
        annotate : bool, default=None
            Whether to write the numbers into the cells; None does for twelve categories or fewer.
        dendrogram : bool, default=True
            Whether to draw the tree above the heat map.

        Returns
        -------
        SimilarityDisplay
            The drawn display.

        Raises
        ------
        InvalidDataError
            If shapes do not agree, a vector is not finite or a category is there twice.
        InvalidParameterError
            If a parameter does not fit.
        """
        name = column_name(vectors, column)
        catalogue = from_vectors(vectors, categories=categories, counts=counts, name=name)
        display = cls._compute(catalogue, None, k, metric, cluster)
        return display.plot(ax, theme=theme, annotate=annotate, dendrogram=dendrogram)

    @classmethod
    def _compute(
        cls,
        catalogue: Catalogue,
        categories: Sequence[Any] | None,
        k: int,
        metric: str,
        cluster: bool,
    ) -> Self:
        check_metric(metric)
        chosen = catalogue.take(catalogue.choose(categories, k))
        if len(chosen) > _LARGEST:
            raise InvalidParameterError(
                f"`k` asks for {len(chosen):,} categories; {_LARGEST:,} can be compared at most."
            )
        matrix = all_similarities(chosen.vectors, metric)
        order, tree = np.arange(len(chosen)), None
        if cluster and len(chosen) > 1:
            order, tree = _cluster(matrix, metric)
        labels = category_index(chosen.labels[order], catalogue.name)
        frame = pd.DataFrame(matrix[np.ix_(order, order)], index=labels, columns=labels)
        return cls(similarity=frame, metric=metric, linkage=tree, n_categories=len(catalogue))

    def plot(
        self,
        ax: Axes | None = None,
        *,
        theme: str | None = None,
        annotate: bool | None = None,
        dendrogram: bool = True,
    ) -> Self:
        """Draw the heat map.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw in; None makes a figure.
        theme : {"light", "dark"}, default=None
            Ground to draw on; None takes the one that the axes have.
        annotate : bool, default=None
            Whether to write the numbers into the cells; None does for twelve categories or fewer.
        dendrogram : bool, default=True
            Whether to draw the tree above the heat map, where there is one of 200 leaves at most.
            Axes in a figure without a layout engine (``layout="constrained"``) have no room for it.

        Returns
        -------
        SimilarityDisplay
            The display itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed; the extra is ``plot``.
        InvalidParameterError
            If there is no such theme.
        """
        n = len(self.similarity)
        numbers = n <= _MOST_NUMBERS if annotate is None else annotate
        side = float(np.clip(2.4 + (_NUMBER if numbers else _ROW) * n, 4.4, 14.0))
        is_own = ax is None
        figure, ax, colors = prepare_axes(ax, theme, (side + 0.4, side))
        if is_own:
            figure.set_layout_engine("compressed")  # leaves no gaps around square axes
        values = self.similarity.to_numpy()
        low, high = _limits(values, self.metric)
        cmap = colors.sequential if self.metric == "euclidean" else colors.diverging
        self.image_ = ax.imshow(values, cmap=cmap, vmin=low, vmax=high, interpolation="nearest")
        self.colorbar_ = figure.colorbar(self.image_, ax=ax, shrink=0.6, pad=0.02, aspect=25)
        self.colorbar_.set_label(_NAMES[self.metric])
        style_colorbar(self.colorbar_, colors)
        self.texts_ = _write(ax, self.image_, values) if numbers else []
        has_room = is_own or figure.get_layout_engine() is not None
        tree = self.linkage if dendrogram and has_room and n <= _MOST_DRAWN else None
        flat = tree is not None and tree[:, 2].max() == 0  # nothing to see where all are equal
        self.dendrogram_ = None if tree is None or flat else _draw_tree(ax, tree, colors)
        self._label(ax, figure.dpi, colors)
        self.ax_, self.figure_ = ax, figure
        return self

    def _label(self, ax: Axes, dpi: float, colors: Theme) -> None:
        n = len(self.similarity)
        inches = ax.get_window_extent().height / dpi
        shown = np.arange(0, n, tick_step(n, inches, _TEXT))
        texts = [plain_text(label, _LABEL) for label in self.similarity.index[shown]]
        ax.set_xticks(shown, texts, rotation=90, fontsize=8, parse_math=False)
        ax.set_yticks(shown, texts, fontsize=8, parse_math=False)
        title = title_of("Similarity", self.similarity.index, self.n_categories)
        # Above the tree; matplotlib itself finds that place only after the layout is settled.
        top = 1.0 if self.dendrogram_ is None else 1.0 + _TREE
        ax.set_title(title, y=top, parse_math=False)
        style_cells(ax, colors)


def _cluster(
    matrix: NDArray[np.float64], metric: str
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """The order of the leaves, and the tree with its leaves numbered in that order."""
    from scipy.cluster.hierarchy import leaves_list

    n = len(matrix)
    first, second = np.triu_indices(n, 1)
    pairs = matrix[first, second]
    if metric == "cosine":
        distances = 1.0 - pairs
    elif metric == "euclidean":
        distances = 1.0 / pairs - 1.0
    else:  # the Euclidean distance, by the law of cosines
        squares = np.diagonal(matrix)
        distances = np.sqrt(np.maximum(squares[first] + squares[second] - 2.0 * pairs, 0.0))
    tree = average_linkage(distances, n)
    order = leaves_list(tree).astype(np.intp)
    numbers = np.arange(2 * n - 1)
    numbers[order] = np.arange(n)
    tree[:, :2] = numbers[tree[:, :2].astype(np.intp)]
    return order, tree


def _limits(values: NDArray[np.float64], metric: str) -> tuple[float, float]:
    """Ends of the colour scale; around 0 where the sign means something."""
    if metric == "euclidean":
        low = float(values.min())
        return (low, 1.0) if low < 1.0 else (0.0, 1.0)
    high = 1.0 if metric == "cosine" else float(np.abs(values).max()) or 1.0
    return -high, high


def _write(ax: Axes, image: Any, values: NDArray[np.float64]) -> list[Any]:
    """The numbers in their cells, dark on light and light on dark."""
    digits = 2 if np.abs(values).max() < 10 else 0
    shown = image.cmap(image.norm(values))[..., :3]
    bright = shown**2.2 @ (0.2126, 0.7152, 0.0722) > 0.18  # where black has the higher contrast
    return [
        ax.text(
            j,
            i,
            f"{values[i, j]:.{digits}f}".replace("-", "\N{MINUS SIGN}"),
            ha="center",
            va="center",
            fontsize=8,
            color="#1a1a1a" if bright[i, j] else "#ffffff",
        )
        for i, j in np.ndindex(values.shape)
    ]


def _draw_tree(ax: Axes, tree: NDArray[np.float64], colors: Theme) -> Any:
    """The tree above the heat map."""
    from matplotlib.collections import LineCollection
    from scipy.cluster.hierarchy import dendrogram

    drawn = dendrogram(tree, no_plot=True)
    x = (np.array(drawn["icoord"]) - 5.0) / 10.0
    y = np.array(drawn["dcoord"])
    above = ax.inset_axes((0.0, 1.005, 1.0, _TREE - 0.01))
    lines = LineCollection(list(np.stack([x, y], axis=2)), colors=colors.muted, linewidths=0.8)
    above.add_collection(lines)
    above.set_xlim(-0.5, len(tree) + 0.5)
    above.set_ylim(0.0, float(y.max()) * 1.05)
    above.set_axis_off()
    return lines
