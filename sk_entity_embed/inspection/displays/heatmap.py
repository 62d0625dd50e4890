"""EmbeddingHeatmapDisplay: the vectors of a column, categories by dimensions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sk_entity_embed.exceptions import InvalidParameterError
from sk_entity_embed.input.messages import shown
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

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ORDERS = ("cluster", "count", "given")
_MOST_CLUSTERED = 10_000
_ROW, _CELL = 0.22, 0.5
"""Inches of a row and of an axis in a figure of its own."""
_LABEL, _SHARE = 0.16, 0.38
"""Inches that a label, and a percentage, take."""


class EmbeddingHeatmapDisplay:
    """Heat map of the vectors of a column: one row a category, one column an axis.

    Make it with :meth:`from_estimator` or :meth:`from_vectors`; :meth:`plot` draws it again, in
    other axes or another theme.

    Parameters
    ----------
    vectors : DataFrame of shape (n_categories, width)
        Vectors, indexed by category, in the order drawn.
    shares : ndarray of float64 of shape (width,), default=None
        Share of the variance that each axis has.
    n_categories : int, default=None
        Categories of the column, if more than are drawn.

    Attributes
    ----------
    image_ : matplotlib AxesImage
        The heat map.
    colorbar_ : matplotlib Colorbar
        Its scale.
    ax_ : matplotlib Axes
        Axes of the heat map.
    figure_ : matplotlib Figure
        Its figure.

    See Also
    --------
    extremes : The categories at the ends of an axis.
    SimilarityDisplay : Similarities instead of vectors.

    Examples
    --------
    >>> import pandas as pd
    >>> from sk_entity_embed.inspection import EmbeddingHeatmapDisplay
    >>> vectors = pd.DataFrame([[2.0, 0.5], [-1.0, 0.2]], index=["Oslo", "Rome"])
    >>> display = EmbeddingHeatmapDisplay.from_vectors(vectors, order=0)
    >>> display.vectors.index.tolist()
    ['Oslo', 'Rome']
    """

    def __init__(
        self,
        *,
        vectors: pd.DataFrame,
        shares: NDArray[np.float64] | None = None,
        n_categories: int | None = None,
    ) -> None:
        self.vectors = vectors
        self.shares = shares
        self.n_categories = n_categories

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        column: str | None = None,
        *,
        categories: Sequence[Any] | None = None,
        k: int = 20,
        order: str | int = "cluster",
        limit: float | None = None,
        ax: Axes | None = None,
        theme: str | None = None,
    ) -> Self:
        """Draw the vectors of a fitted estimator's categories.

        Parameters
        ----------
        estimator : estimator
            Fitted, or a fitted pipeline that holds one such step.
        column : str, default=None
            Name of the column; may be None where there is only one.
        categories : sequence, default=None
            Categories to draw; None takes the `k` most frequent.
        k : int, default=20
            How many to draw where `categories` is None; fewer if there are not as many.
        order : {"cluster", "count", "given"} or int, default="cluster"
            Order from top to bottom: similar vectors side by side (average linkage of Euclidean
            distances, its leaves in the best order), the most frequent first, that of
            `categories`, or by an axis, the highest first. Axes are numbered from 0, as in the
            names of the features.
        limit : float, default=None
            Value at which the colours end, on both sides of 0; None takes one that 2% of the
            numbers pass, so that axes of less variance than the first are seen as well.
        ax : matplotlib Axes, default=None
            Axes to draw in; None makes a figure.
        theme : {"light", "dark"}, default=None
            Ground to draw on; None takes the one that the axes have.

        Returns
        -------
        EmbeddingHeatmapDisplay
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
        display = cls._compute(catalogue_of(estimator, column), categories, k, order)
        return display.plot(ax, theme=theme, limit=limit)

    @classmethod
    def from_vectors(
        cls,
        vectors: Any,
        *,
        categories: Iterable[Any] | None = None,
        counts: Any = None,
        column: str | None = None,
        k: int = 20,
        order: str | int = "cluster",
        limit: float | None = None,
        ax: Axes | None = None,
        theme: str | None = None,
    ) -> Self:
        """Draw vectors made elsewhere.

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
        k : int, default=20
            How many to draw; fewer if there are not as many.
        order : {"cluster", "count", "given"} or int, default="cluster"
            See :meth:`from_estimator`; "given" is the order of `vectors`.
        limit : float, default=None
            Value at which the colours end, on both sides of 0; None takes one that 2% of the
            numbers pass, so that axes of less variance than the first are seen as well.
        ax : matplotlib Axes, default=None
            Axes to draw in; None makes a figure.
        theme : {"light", "dark"}, default=None
            Ground to draw on; None takes the one that the axes have.

        Returns
        -------
        EmbeddingHeatmapDisplay
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
        return cls._compute(catalogue, None, k, order).plot(ax, theme=theme, limit=limit)

    @classmethod
    def _compute(
        cls, catalogue: Catalogue, categories: Sequence[Any] | None, k: int, order: str | int
    ) -> Self:
        chosen = catalogue.take(catalogue.choose(categories, k))
        chosen = chosen.take(_order(chosen, order))
        index = category_index(chosen.labels, catalogue.name)
        return cls(
            vectors=pd.DataFrame(chosen.vectors, index=index),
            shares=_shares(catalogue),
            n_categories=len(catalogue),
        )

    def plot(
        self, ax: Axes | None = None, *, theme: str | None = None, limit: float | None = None
    ) -> Self:
        """Draw the heat map.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw in; None makes a figure.
        theme : {"light", "dark"}, default=None
            Ground to draw on; None takes the one that the axes have.
        limit : float, default=None
            Value at which the colours end, on both sides of 0; None takes one that 2% of the
            numbers pass, so that axes of less variance than the first are seen as well.

        Returns
        -------
        EmbeddingHeatmapDisplay
            The display itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed; the extra is ``plot``.
        InvalidParameterError
            If there is no such theme, or the limit is not positive.
        """
        if limit is not None and not (isinstance(limit, Real) and 0 < limit < np.inf):
            raise InvalidParameterError(f"`limit` must be a positive number, got {shown(limit)}.")
        n, width = self.vectors.shape
        size = np.clip([2.8 + _CELL * width, 1.4 + _ROW * n], [5.0, 2.6], [14.0, 14.0])
        figure, ax, colors = prepare_axes(ax, theme, (float(size[0]), float(size[1])))
        values = self.vectors.to_numpy(dtype=np.float64)
        high = _limit(values) if limit is None else limit
        self.image_ = ax.imshow(
            values,
            cmap=colors.diverging,
            vmin=-high,
            vmax=high,
            aspect="auto",
            interpolation="nearest",
        )
        extend = "both" if np.abs(values).max() > high else "neither"
        self.colorbar_ = figure.colorbar(
            self.image_, ax=ax, pad=0.02, aspect=30, extend=extend, extendfrac=0.03
        )
        self.colorbar_.set_label("Value")
        style_colorbar(self.colorbar_, colors)
        self._label(ax, figure.dpi, colors)
        self.ax_, self.figure_ = ax, figure
        return self

    def _label(self, ax: Axes, dpi: float, colors: Theme) -> None:
        n, width = self.vectors.shape
        box = ax.get_window_extent()
        rows = np.arange(0, n, tick_step(n, box.height / dpi, _LABEL))
        texts = [plain_text(label) for label in self.vectors.index[rows]]
        ax.set_yticks(rows, texts, fontsize=8, parse_math=False)
        with_shares = self.shares is not None and box.width / dpi >= _SHARE * width
        axes = np.arange(0, width, tick_step(width, box.width / dpi, _LABEL + 0.1))
        names = [str(j) for j in axes]
        label = "Axis"
        if with_shares and self.shares is not None:
            names = [f"{j}\n{_percent(self.shares[j])}" for j in axes]
            label = "Axis and its share of the variance"
        ax.set_xticks(axes, names, fontsize=8)
        ax.set_xlabel(label)
        ax.set_title(title_of("Vectors", self.vectors.index, self.n_categories), parse_math=False)
        style_cells(ax, colors)


def _order(chosen: Catalogue, order: str | int) -> NDArray[np.intp]:
    """Positions of the chosen categories from top to bottom."""
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
    return _leaves(chosen.vectors) if order == "cluster" and n > 1 else np.arange(n)


def _leaves(vectors: NDArray[np.float32]) -> NDArray[np.intp]:
    """Order of the leaves of an average linkage tree."""
    from scipy.cluster.hierarchy import leaves_list

    n = len(vectors)
    if n > _MOST_CLUSTERED:
        raise InvalidParameterError(
            f"order='cluster' would compare {n:,} categories with each other; "
            f"{_MOST_CLUSTERED:,} is the most. Lower `k` or choose another `order`."
        )
    return leaves_list(average_linkage(vectors.astype(np.float64), n)).astype(np.intp)


def _shares(catalogue: Catalogue) -> NDArray[np.float64] | None:
    """Share of the variance of all categories' vectors, weighted by rows, on each axis."""
    vectors, weights = catalogue.vectors.astype(np.float64), catalogue.weights
    centred = vectors - np.average(vectors, axis=0, weights=weights)
    variances = np.average(centred**2, axis=0, weights=weights)
    return variances / variances.sum() if variances.any() else None


def _limit(values: NDArray[np.float64]) -> float:
    """Where colours end: few numbers are beyond, and the others use the whole scale."""
    sizes = np.abs(values)
    return float(np.quantile(sizes, 0.98)) or float(sizes.max()) or 1.0


def _percent(share: float) -> str:
    if 0 < share < 0.005:
        return "<1%"
    return f"{share:.0%}"
