"""SimilarityDisplay: how similar the categories of a column are, as a clustered heat map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sk_entity_embed.inspection.column_vectors import Source, column_vectors_of
from sk_entity_embed.inspection.displays.docs import documented
from sk_entity_embed.inspection.displays.heatmap import (
    CHOICE,
    average_linkage,
    category_index,
    check_comparable,
    name_cells,
    ticks_of,
)
from sk_entity_embed.inspection.displays.labels import plain_text
from sk_entity_embed.inspection.displays.theme import Theme, draw_colorbar, prepare_axes
from sk_entity_embed.inspection.neighbors import all_similarities
from sk_entity_embed.inspection.search import check_metric

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_NUMBERS = 12
_MOST_DRAWN = 200
"""Leaves of a tree that can be told apart in a picture."""
_ROW, _NUMBER = 0.17, 0.42
"""Inches of a row in a figure of its own, without and with numbers."""
_TEXT = 0.13
"""Inches that a label takes."""
_LABEL = 24
"""Characters of a label."""
_TREE = 0.11
"""Height of the tree, relative to that of the heat map."""
_NAMES = {"cosine": "Cosine similarity", "dot": "Dot product", "euclidean": "1 / (1 + distance)"}


@documented(
    choice=CHOICE.format(k=40),
    drawing="""
    annotate : bool, default=None
        True if the numbers should be written into the cells. None writes them for at most twelve
        categories.
    dendrogram : bool, default=True
        True if the tree should be drawn above the heat map. Trees of more than 200 leaves are not
        drawn. Axes
        in a figure without a layout engine (``layout="constrained"``) have no room for it.""",
)
@dataclass(kw_only=True, eq=False, repr=False)
class SimilarityDisplay:
    """Heat map of the similarities of a column's categories.

    %(again)s

    Parameters
    ----------
    similarity : DataFrame of shape (n_categories, n_categories)
        Similarities, indexed by category both ways, in the order drawn.
    metric : {"cosine", "euclidean", "dot"}, default="cosine"
        Metric of the similarities.
    linkage : ndarray of float64 of shape (n_categories - 1, 4), default=None
        Tree that the order comes from, in the form of :func:`scipy.cluster.hierarchy.linkage`. Its
        leaves are numbered in the order drawn.
    n_categories : int, default=None
        Number of categories of the column, if not all are drawn.

    Attributes
    ----------
    image_ : matplotlib AxesImage
        The heat map.
    colorbar_ : matplotlib Colorbar
        Scale of the colours.
    texts_ : list of matplotlib Text
        The numbers in the cells, if any.
    dendrogram_ : matplotlib LineCollection or None
        The tree.
    %(drawn)s

    See Also
    --------
    similarity_matrix : Return the numbers as a table.
    EmbeddingHeatmapDisplay : Draw the vectors themselves.

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
    >>> display = SimilarityDisplay.from_estimator(vectors)
    >>> sorted(display.similarity.index[:2])  # similar ones are drawn side by side
    ['Bergen', 'Oslo']
    """

    similarity: pd.DataFrame
    metric: str = "cosine"
    linkage: NDArray[np.float64] | None = None
    n_categories: int | None = None

    @classmethod
    def from_estimator(
        cls,
        estimator: Source,
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
        """Draw the similarities of a column's categories.

        Parameters
        ----------
        %(source)s
        %(choice)s
        metric : {"cosine", "euclidean", "dot"}, default="cosine"
            See :func:`~sk_entity_embed.inspection.nearest`; with "euclidean" the similarity is
            ``1 / (1 + distance)``.
        cluster : bool, default=True
            True if similar categories should be drawn side by side, in the order of the leaves of
            an average linkage tree in which neighbours differ least [1]_. If False, they are in the
            order of `categories`, or the most frequent first.
        %(axes)s
        %(drawing)s

        %(end_of_source)s

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
        >>> display = SimilarityDisplay.from_estimator(vectors, cluster=False, metric="euclidean")
        >>> display.similarity.round(2)
        category  Oslo  Rome  Bergen  Naples
        category
        Oslo      1.00  0.24    0.50    0.25
        Rome      0.24  1.00    0.25    0.50
        Bergen    0.50  0.25    1.00    0.24
        Naples    0.25  0.50    0.24    1.00
        """
        check_metric(metric)
        catalogue = column_vectors_of(estimator, column)
        chosen = catalogue.take(catalogue.choose(categories, k))
        check_comparable(len(chosen))
        matrix, tree = all_similarities(chosen.vectors, metric), None
        if cluster and len(chosen) > 1:
            order, tree = average_linkage(_distances(matrix, metric), len(matrix))
            chosen, matrix = chosen.take(order), matrix[np.ix_(order, order)]
        labels = category_index(chosen)
        frame = pd.DataFrame(matrix, index=labels, columns=labels)
        display = cls(similarity=frame, metric=metric, linkage=tree, n_categories=len(catalogue))
        return display.plot(ax, theme=theme, annotate=annotate, dendrogram=dendrogram)

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
        %(axes)s
        %(drawing)s

        %(end_of_plot)s

        Examples
        --------
        >>> import pandas as pd
        >>> from sk_entity_embed.inspection import SimilarityDisplay
        >>> vectors = pd.DataFrame([[2, 0], [0, 1], [2, 1]], index=["Oslo", "Rome", "Bergen"])
        >>> display = SimilarityDisplay.from_estimator(vectors, cluster=False)
        >>> [text.get_text() for text in display.plot(annotate=True).texts_[:3]]
        ['1.00', '0.00', '0.89']
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
        bar: dict[str, Any] = {"shrink": 0.6, "aspect": 25}
        self.colorbar_ = draw_colorbar(ax, self.image_, _NAMES[self.metric], colors, **bar)
        self.texts_ = _write(ax, self.image_, values) if numbers else []
        has_room = is_own or figure.get_layout_engine() is not None
        tree = self.linkage if dendrogram and has_room and n <= _MOST_DRAWN else None
        flat = tree is not None and tree[:, 2].max() == 0  # nothing to see where all are equal
        self.dendrogram_ = None if tree is None or flat else _draw_tree(ax, tree, colors)
        shown = ticks_of(n, ax.get_window_extent().height / figure.dpi, _TEXT)
        texts = [plain_text(label, _LABEL) for label in self.similarity.index[shown]]
        ax.set_xticks(shown, texts, rotation=90, fontsize=8, parse_math=False)
        ax.set_yticks(shown, texts, fontsize=8, parse_math=False)
        name_cells(ax, colors, "Similarity", self.similarity.index, self.n_categories)
        # Above the tree; matplotlib itself finds that place only after the layout is settled.
        ax.set_title(ax.get_title(), y=1.0 if self.dendrogram_ is None else 1.0 + _TREE)
        self.ax_, self.figure_ = ax, figure
        return self


def _distances(matrix: NDArray[np.float64], metric: str) -> NDArray[np.float64]:
    """Return the condensed distances that belong to similarities."""
    first, second = np.triu_indices(len(matrix), 1)
    pairs = matrix[first, second]
    if metric == "cosine":
        return 1.0 - pairs
    if metric == "euclidean":
        return 1.0 / pairs - 1.0
    squares = np.diagonal(matrix)  # the Euclidean distance, by the law of cosines
    return np.sqrt(np.maximum(squares[first] + squares[second] - 2.0 * pairs, 0.0))


def _limits(values: NDArray[np.float64], metric: str) -> tuple[float, float]:
    """Return the ends of the colour scale; around 0 where the sign means something."""
    if metric == "euclidean":
        low = float(values.min())
        return (low, 1.0) if low < 1.0 else (0.0, 1.0)
    high = 1.0 if metric == "cosine" else float(np.abs(values).max()) or 1.0
    return -high, high


def _write(ax: Axes, image: Any, values: NDArray[np.float64]) -> list[Any]:
    """Write the numbers into their cells, dark on light and light on dark."""
    digits = 2 if np.abs(values).max() < 10 else 0
    shown = image.cmap(image.norm(values))[..., :3]
    bright = shown**2.2 @ (0.2126, 0.7152, 0.0722) > 0.18  # where black has the higher contrast
    texts = []
    for i, j in np.ndindex(values.shape):
        text = f"{values[i, j]:.{digits}f}".replace("-", "\N{MINUS SIGN}")
        color = "#1a1a1a" if bright[i, j] else "#ffffff"
        texts.append(ax.text(j, i, text, ha="center", va="center", fontsize=8, color=color))
    return texts


def _draw_tree(ax: Axes, tree: NDArray[np.float64], colors: Theme) -> Any:
    """Draw the tree above the heat map."""
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
