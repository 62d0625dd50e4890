"""What the two heat maps share: rows in an order, labels that fit, and plain axes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sk_entity_embed.inspection.displays.labels import plain_text
from sk_entity_embed.inspection.displays.theme import Theme, style_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_ORDERED = 1_000
"""Leaves whose best order is found within a second or two."""


def category_index(labels: NDArray[Any], name: str) -> pd.Index:
    """Categories as an index of objects, whatever they are."""
    return pd.Index(labels.astype(object), dtype=object, tupleize_cols=False, name=name)


def average_linkage(data: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    """Tree of `n` vectors, or of their condensed distances, its leaves in the best order."""
    from scipy.cluster.hierarchy import linkage

    tree: NDArray[np.float64] = linkage(data, method="average", optimal_ordering=n <= _MOST_ORDERED)
    return tree


def tick_step(n: int, inches: float, label: float) -> int:
    """Every which of `n` labels has room, if each takes `label` inches."""
    return max(1, int(np.ceil(n * label / max(inches, label))))


def title_of(what: str, index: pd.Index, n_categories: int | None) -> str:
    """A title that says how many categories there are, if not all are drawn."""
    title = f"{what} of {plain_text(index.name, 40)}"
    if n_categories is not None and n_categories > len(index):
        title += f": {len(index):,} of {n_categories:,} categories"
    return title


def style_cells(ax: Axes, theme: Theme) -> None:
    """Axes without lines around or across the cells."""
    ax.grid(False)
    style_axes(ax, theme)
    ax.spines[:].set_visible(False)
    ax.tick_params(length=2)
