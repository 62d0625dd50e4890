"""What the two heat maps share: rows in an order, labels that fit, and plain axes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sk_entity_embed.exceptions import InvalidParameterError
from sk_entity_embed.inspection.catalogue import Catalogue
from sk_entity_embed.inspection.displays.labels import plain_text
from sk_entity_embed.inspection.displays.theme import Theme, name_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_ORDERED = 1_000
"""Leaves whose best order is found within a second or two."""
_MOST_COMPARED = 10_000

CHOICE = """
categories : sequence, default=None
    Categories to draw; None takes the `k` most frequent, of vectors alone the first `k`.
k : int, default={k}
    How many to draw where `categories` is None; fewer if there are not as many."""
"""Description of the parameters that choose categories."""


def check_comparable(n: int) -> None:
    """Raise InvalidParameterError if so many categories cannot be compared with each other."""
    if n > _MOST_COMPARED:
        raise InvalidParameterError(
            f"{n:,} categories would be compared with each other; {_MOST_COMPARED:,} is the most. "
            "Lower `k`."
        )


def category_index(chosen: Catalogue) -> pd.Index:
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
