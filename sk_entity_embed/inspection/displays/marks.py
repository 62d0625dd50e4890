"""What a map points out: highlighted categories, their neighbours, and what is labelled."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sk_entity_embed.exceptions import InvalidParameterError
from sk_entity_embed.input.messages import shown
from sk_entity_embed.inspection.catalogue import Catalogue
from sk_entity_embed.inspection.displays.coloring import Paint
from sk_entity_embed.inspection.displays.keys import Key, dot
from sk_entity_embed.inspection.displays.labels import check_number, plain_text
from sk_entity_embed.inspection.displays.theme import Theme
from sk_entity_embed.inspection.neighbors import nearest

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_FREQUENT = 20
_TRIED = 2000  # more would not find room, and measuring them takes seconds
_MARK, _STAR = 45.0, 170.0
"""Areas of neighbours and of stars at least, in square points."""
_METRICS = {"cosine": "cosine", "euclidean": "Euclidean distance", "dot": "dot product"}


@dataclass(frozen=True, slots=True)
class Marks:
    """Positions of categories that are drawn in another way than the rest.

    Attributes
    ----------
    queries, required, labelled : ndarray of int
        Highlighted ones; those that get a label in any case; all that may get one, the most
        important first.
    pairs : ndarray of int of shape (n_pairs, 2)
        Highlighted ones and their neighbours.
    """

    queries: NDArray[np.intp]
    required: NDArray[np.intp]
    labelled: NDArray[np.intp]
    pairs: NDArray[np.intp]


def listed(highlight: Any) -> list[Any]:
    """The highlighted categories as a list."""
    if highlight is None:
        return []
    several = isinstance(highlight, list | pd.Series | pd.Index | np.ndarray)
    return list(highlight) if several else [highlight]


def named(labels: Any) -> list[Any]:
    """The categories that `labels` names."""
    if labels is None or (isinstance(labels, str) and labels in ("auto", "all")):
        return []
    if isinstance(labels, Integral) and not isinstance(labels, bool) and int(labels) >= 0:
        return []
    if isinstance(labels, list | tuple | set | pd.Series | pd.Index | np.ndarray):
        return list(labels)
    raise InvalidParameterError(
        "`labels` must be 'auto', 'all', None, a number of categories or a list of them, got "
        f"{shown(labels)}."
    )


def neighbors_of(
    catalogue: Catalogue, queries: list[Any], k: int, metric: str, min_count: int | None
) -> pd.DataFrame | None:
    """The neighbours of the queries, as many as there are at most."""
    check_number("k_neighbors", k)
    candidates = catalogue.frequent(min_count)
    own = np.isin(catalogue.locate(queries), candidates)
    k = min(int(k), len(candidates) - int(own.any()))
    if not queries or k == 0:
        return None
    return nearest(catalogue, None, queries, k, metric=metric, min_count=min_count)


def marks_of(
    catalogue: Catalogue, queries: list[Any], neighbors: pd.DataFrame | None, labels: Any
) -> Marks:
    """Positions of what is pointed out and of what is labelled."""
    highlighted = catalogue.locate(queries)
    pairs = np.empty((0, 2), dtype=np.intp)
    if neighbors is not None:
        columns = [catalogue.locate(list(neighbors[c])) for c in ("query", "category")]
        pairs = np.column_stack(columns)
    order = np.argsort(-catalogue.weights, kind="stable").astype(np.intp)
    if isinstance(labels, str):
        n = len(order) if labels == "all" else (0 if len(highlighted) else _FREQUENT)
    else:
        n = int(labels) if isinstance(labels, Integral) else 0
    required = _distinct(highlighted, catalogue.locate(named(labels)), pairs[:, 1])
    labelled = _distinct(required, order[: min(n, _TRIED)])
    return Marks(highlighted, required, labelled, pairs)


def draw_marks(
    ax: Axes,
    coordinates: NDArray[np.float64],
    marks: Marks,
    areas: NDArray[np.float64],
    paint: Paint,
    theme: Theme,
) -> NDArray[np.float64]:
    """Stars, rings and lines of what is pointed out; gives areas with those of the marks."""
    from matplotlib.collections import LineCollection

    areas = areas.copy()
    lines = LineCollection(
        list(coordinates[marks.pairs]), colors=theme.accent, linewidths=0.8, alpha=0.6, zorder=3
    )
    ax.add_collection(lines, autolim=False)
    near = np.unique(marks.pairs[:, 1])
    areas[near] = np.maximum(areas[near], _MARK)
    near = near[np.argsort(-areas[near], kind="stable")]  # small ones above large ones
    ax.scatter(
        coordinates[near, 0],
        coordinates[near, 1],
        s=areas[near],
        edgecolors=theme.accent,
        linewidths=1.5,
        zorder=4,
        **paint.colors(near),
    )
    areas[marks.queries] = np.maximum(areas[marks.queries], _STAR)
    ax.scatter(
        coordinates[marks.queries, 0],
        coordinates[marks.queries, 1],
        s=areas[marks.queries],
        marker="*",
        color=theme.accent,
        edgecolors=theme.ink,
        linewidths=0.8,
        zorder=5,
    )
    return areas


def mark_keys(marks: Marks, queries: list[Any], metric: str, theme: Theme) -> list[Key]:
    """What the stars and the rings are."""
    keys = []
    if queries:
        text = plain_text(queries[0]) if len(queries) == 1 else f"{len(queries)} highlighted"
        keys.append((dot(theme.accent, _STAR, marker="*", edge=theme.ink), text))
    if len(marks.pairs):
        text = f"{len(marks.pairs) // len(queries)} nearest by {_METRICS[metric]}"
        keys.append((dot("none", _MARK, edge=theme.accent, width=1.5), text))
    return keys


def _distinct(*positions: NDArray[np.intp]) -> NDArray[np.intp]:
    """Positions without those that came before."""
    joined = np.concatenate(positions)
    return joined[np.sort(np.unique(joined, return_index=True)[1])]
