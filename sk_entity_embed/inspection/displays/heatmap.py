"""EmbeddingHeatmapDisplay: the vectors of a column, categories by dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sk_entity_embed.exceptions import InvalidParameterError
from sk_entity_embed.input.messages import shown
from sk_entity_embed.inspection.column_vectors import ColumnVectors, Source, column_vectors_of
from sk_entity_embed.inspection.displays.docs import documented
from sk_entity_embed.inspection.displays.labels import plain_text
from sk_entity_embed.inspection.displays.theme import Theme, draw_colorbar, name_axes, prepare_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ORDERS = ("cluster", "count", "given")
_ROW, _CELL = 0.22, 0.5
"""Inches of a row and of an axis in a figure of its own."""
_LABEL, _SHARE = 0.16, 0.38
"""Inches that a label, and a percentage, take."""
_MOST_ORDERED = 1_000
"""Leaves whose best order is found within a second or two."""
_MOST_COMPARED = 10_000

CHOICE = """
categories : sequence, default=None
    Categories to draw. None takes the `k` most frequent, or the first `k` if counts are not known.
k : int, default={k}
    Number of categories to draw if `categories` is None."""
"""Description of the parameters that choose categories."""


@documented(
    choice=CHOICE.format(k=20),
    limit="""
    limit : float, default=None
        Value at which the colour scale ends, on both sides of 0. None takes the value that 2% of
        the numbers exceed, so that axes with little variance can be seen, too.""",
)
@dataclass(kw_only=True, eq=False, repr=False)
class EmbeddingHeatmapDisplay:
    """Heat map of a column's vectors, with one row for each category and one column for each axis.

    %(again)s

    Parameters
    ----------
    vectors : DataFrame of shape (n_categories, width)
        Vectors, indexed by category, in the order drawn.
    shares : ndarray of float64 of shape (width,), default=None
        Share of the variance on each axis.
    n_categories : int, default=None
        Number of categories of the column, if not all are drawn.

    Attributes
    ----------
    image_ : matplotlib AxesImage
        The heat map.
    colorbar_ : matplotlib Colorbar
        Scale of the colours.
    %(drawn)s

    See Also
    --------
    extremes : Return the categories at the ends of an axis.
    SimilarityDisplay : Draw similarities instead of vectors.

    Examples
    --------
    >>> import pandas as pd
    >>> from sk_entity_embed.inspection import EmbeddingHeatmapDisplay
    >>> vectors = pd.DataFrame([[2.0, 0.5], [-1.0, 0.2]], index=["Oslo", "Rome"])
    >>> display = EmbeddingHeatmapDisplay.from_estimator(vectors, order=0)
    >>> display.vectors.index.tolist()
    ['Oslo', 'Rome']
    """

    vectors: pd.DataFrame
    shares: NDArray[np.float64] | None = None
    n_categories: int | None = None

    @classmethod
    def from_estimator(
        cls,
        estimator: Source,
        column: str | None = None,
        *,
        categories: Sequence[Any] | None = None,
        k: int = 20,
        order: str | int = "cluster",
        limit: float | None = None,
        ax: Axes | None = None,
        theme: str | None = None,
    ) -> Self:
        """Draw the vectors of a column's categories.

        Parameters
        ----------
        %(source)s
        %(choice)s
        order : {"cluster", "count", "given"} or int, default="cluster"
            Order from top to bottom. "cluster" puts similar vectors side by side (average linkage
            of Euclidean distances, with the best order of its leaves). "count" puts the most
            frequent categories first. "given" keeps the order of `categories`. A number sorts by
            this axis, the highest value first. Axes are numbered from 0, as in the names of the
            output columns.
        %(limit)s
        %(axes)s

        %(end_of_source)s

        Examples
        --------
        >>> import pandas as pd
        >>> from sk_entity_embed.inspection import EmbeddingHeatmapDisplay
        >>> vectors = pd.DataFrame(
        ...     [[2.0, 0.1], [-1.0, 0.9], [1.8, 0.4]], index=["Oslo", "Rome", "Bergen"]
        ... )
        >>> display = EmbeddingHeatmapDisplay.from_estimator(vectors, order=0)
        >>> display.vectors  # in the order drawn
                    0    1
        category
        Oslo      2.0  0.1
        Bergen    1.8  0.4
        Rome     -1.0  0.9
        """
        catalogue = column_vectors_of(estimator, column)
        chosen = catalogue.take(catalogue.choose(categories, k))
        chosen = chosen.take(_order(chosen, order))
        vectors = pd.DataFrame(chosen.vectors, index=category_index(chosen))
        display = cls(vectors=vectors, shares=_shares(catalogue), n_categories=len(catalogue))
        return display.plot(ax, theme=theme, limit=limit)

    def plot(
        self, ax: Axes | None = None, *, theme: str | None = None, limit: float | None = None
    ) -> Self:
        """Draw the heat map.

        Parameters
        ----------
        %(axes)s
        %(limit)s

        %(end_of_plot)s

        Examples
        --------
        >>> import pandas as pd
        >>> from sk_entity_embed.inspection import EmbeddingHeatmapDisplay
        >>> vectors = pd.DataFrame([[2.0, 0.5], [-1.0, 0.2]], index=["Oslo", "Rome"])
        >>> display = EmbeddingHeatmapDisplay.from_estimator(vectors)
        >>> display.plot(limit=3).image_.get_clim()
        (-3.0, 3.0)
        """
        if limit is not None and not (isinstance(limit, Real) and 0 < limit < np.inf):
            raise InvalidParameterError(f"`limit` must be a positive number, got {shown(limit)}.")
        n, width = self.vectors.shape
        size = np.clip([2.8 + _CELL * width, 1.4 + _ROW * n], [5.0, 2.6], [14.0, 14.0])
        figure, ax, colors = prepare_axes(ax, theme, (float(size[0]), float(size[1])))
        values = self.vectors.to_numpy(dtype=np.float64)
        sizes = np.abs(values)
        usual = float(np.quantile(sizes, 0.98)) or float(sizes.max()) or 1.0
        high = usual if limit is None else limit
        cells: dict[str, Any] = {"aspect": "auto", "interpolation": "nearest"}
        self.image_ = ax.imshow(values, cmap=colors.diverging, vmin=-high, vmax=high, **cells)
        extend = "both" if sizes.max() > high else "neither"
        bar: dict[str, Any] = {"extend": extend, "extendfrac": 0.03}
        self.colorbar_ = draw_colorbar(ax, self.image_, "Value", colors, **bar)
        self._label(ax, figure.dpi, colors)
        self.ax_, self.figure_ = ax, figure
        return self

    def _label(self, ax: Axes, dpi: float, colors: Theme) -> None:
        n, width = self.vectors.shape
        box = ax.get_window_extent()
        rows = ticks_of(n, box.height / dpi, _LABEL)
        texts = [plain_text(label) for label in self.vectors.index[rows]]
        ax.set_yticks(rows, texts, fontsize=8, parse_math=False)
        axes = ticks_of(width, box.width / dpi, _LABEL + 0.1)
        names, label = [str(j) for j in axes], "Axis"
        if self.shares is not None and box.width / dpi >= _SHARE * width:
            names = [f"{j}\n{_percent(self.shares[j])}" for j in axes]
            label = "Axis and its share of the variance"
        ax.set_xticks(axes, names, fontsize=8)
        name_cells(ax, colors, "Vectors", self.vectors.index, self.n_categories, x=label)


def _order(chosen: ColumnVectors, order: str | int) -> NDArray[np.intp]:
    """Return positions of the chosen categories from top to bottom."""
    n, width = chosen.vectors.shape
    if isinstance(order, Integral) and not isinstance(order, bool):
        if not 0 <= order < width:
            raise InvalidParameterError(
                f"`order` is axis {order}, but column {chosen.name!r} has the axes 0 to "
                f"{width - 1}."
            )
        return np.argsort(-chosen.vectors[:, order], kind="stable")
    if order not in _ORDERS:
        raise InvalidParameterError(
            f"`order` must be one of {_ORDERS} or the number of an axis, got {shown(order)}."
        )
    if order == "count":
        return np.argsort(-chosen.weights, kind="stable")
    if order == "given":
        return np.arange(n)
    check_comparable(n)
    return average_linkage(chosen.vectors.astype(np.float64), n)[0]


def _shares(catalogue: ColumnVectors) -> NDArray[np.float64] | None:
    """Return the share of each axis in the variance of all vectors, weighted by rows."""
    vectors, weights = catalogue.vectors.astype(np.float64), catalogue.weights
    centered = vectors - np.average(vectors, axis=0, weights=weights)
    variances = np.average(centered**2, axis=0, weights=weights)
    return variances / variances.sum() if variances.any() else None


def _percent(share: float) -> str:
    return "<1%" if 0 < share < 0.005 else f"{share:.0%}"


def check_comparable(n: int) -> None:
    """Raise InvalidParameterError if so many categories cannot be compared with each other."""
    if n > _MOST_COMPARED:
        raise InvalidParameterError(
            f"{n:,} categories would be compared with each other; {_MOST_COMPARED:,} is the most. "
            "Lower `k`."
        )


def category_index(chosen: ColumnVectors) -> pd.Index:
    """Return the categories as an index of objects, whatever they are."""
    labels = chosen.labels.astype(object)
    return pd.Index(labels, dtype=object, tupleize_cols=False, name=chosen.name)


def average_linkage(
    data: NDArray[np.float64], n: int
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Return the best order of `n` leaves, and the tree; `data` are vectors or their distances."""
    from scipy.cluster.hierarchy import leaves_list, linkage

    if n == 1:
        return np.zeros(1, dtype=np.intp), np.empty((0, 4))
    tree: NDArray[np.float64] = linkage(data, method="average", optimal_ordering=n <= _MOST_ORDERED)
    order = leaves_list(tree).astype(np.intp)
    numbers = np.arange(2 * n - 1)
    numbers[order] = np.arange(n)
    tree[:, :2] = numbers[tree[:, :2].astype(np.intp)]
    return order, tree


def ticks_of(n: int, inches: float, label: float) -> NDArray[np.intp]:
    """Return as many positions among `n` as have room, if each label takes `label` inches."""
    return np.arange(0, n, max(1, int(np.ceil(n * label / max(inches, label)))))


def name_cells(
    ax: Axes, theme: Theme, what: str, index: pd.Index, n_categories: int | None, **names: Any
) -> None:
    """Write a title that says how many categories there are, and remove lines around the cells."""
    title = f"{what} of {plain_text(index.name, 40)}"
    if n_categories is not None and n_categories > len(index):
        title += f": {len(index):,} of {n_categories:,} categories"
    name_axes(ax, theme, title, **names)
    ax.grid(False)
    ax.spines[:].set_visible(False)
    ax.tick_params(length=2)
