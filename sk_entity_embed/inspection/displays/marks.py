"""The marks of a map: highlighted categories, their neighbours, labels and legends."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sk_entity_embed.exceptions import InvalidParameterError
from sk_entity_embed.input.messages import shown
from sk_entity_embed.inspection.column_vectors import ColumnVectors, check_count, is_count
from sk_entity_embed.inspection.displays.coloring import Coloring, Paint, point_areas, round_counts
from sk_entity_embed.inspection.displays.labels import plain_text
from sk_entity_embed.inspection.displays.theme import (
    Key,
    Theme,
    dot,
    draw_legend,
    draw_legend_below,
    empty_corners,
)
from sk_entity_embed.inspection.neighbors import nearest
from sk_entity_embed.inspection.search import Metric

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.legend import Legend

_FREQUENT = 20
_TRIED = 2000  # more would not find room, and measuring them takes seconds
_MARK, _STAR = 45.0, 170.0
"""Areas of neighbours and of stars at least, in square points."""
_METRICS = {"cosine": "cosine", "euclidean": "Euclidean distance", "dot": "dot product"}


@dataclass(frozen=True, slots=True)
class Marks:
    """Positions of queries, of labels (`n_required` in any case) and of (query, neighbour).

    `n_asked` is the number of labels asked for, among them those that are not even tried.
    """

    queries: NDArray[np.intp]
    labelled: NDArray[np.intp]
    n_required: int
    pairs: NDArray[np.intp]
    n_asked: int


def listed(highlight: Any) -> list[Any]:
    """Return the highlighted categories as a list."""
    if highlight is None:
        return []
    several = isinstance(highlight, list | pd.Series | pd.Index | np.ndarray)
    return list(highlight) if several else [highlight]


def named(labels: Any) -> list[Any]:
    """Return the categories that `labels` names."""
    if labels is None or (isinstance(labels, str) and labels in ("auto", "all")):
        return []
    if is_count(labels, 0):
        return []
    if isinstance(labels, list | tuple | set | pd.Series | pd.Index | np.ndarray):
        return list(labels)
    raise InvalidParameterError(
        "`labels` must be 'auto', 'all', None, a number of categories or a list of them, got "
        f"{shown(labels)}."
    )


def neighbors_of(
    catalogue: ColumnVectors, queries: list[Any], k: int, metric: Metric, min_count: int | None
) -> pd.DataFrame | None:
    """Return the neighbours of the queries, as many as there are at most."""
    check_count("k_neighbors", k, 0)
    candidates = catalogue.frequent(min_count)
    own = np.isin(catalogue.locate(queries), candidates)
    k = min(int(k), len(candidates) - int(own.any()))
    if not queries or k == 0:
        return None
    return nearest(catalogue, None, queries, k, metric=metric, min_count=min_count)


def marks_of(
    catalogue: ColumnVectors, queries: list[Any], neighbors: pd.DataFrame | None, labels: Any
) -> Marks:
    """Return positions of what is pointed out and of what is labelled."""
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
    asked = catalogue.locate(named(labels))
    required = pd.unique(np.concatenate([highlighted, asked, pairs[:, 1]]))
    labelled = pd.unique(np.concatenate([required, order[: min(n, _TRIED)]]))
    n_asked = len(np.union1d(required, order[:n]))
    return Marks(highlighted, labelled, len(required), pairs, n_asked)


def draw_marks(
    ax: Axes,
    xy: NDArray[np.float64],
    marks: Marks,
    areas: NDArray[np.float64],
    paint: Paint,
    theme: Theme,
) -> NDArray[np.float64]:
    """Draw stars, rings and lines of what is pointed out; return areas with those of the marks."""
    from matplotlib.collections import LineCollection

    areas = areas.copy()
    lines = LineCollection(
        list(xy[marks.pairs]), colors=theme.accent, linewidths=0.8, alpha=0.6, zorder=3
    )
    ax.add_collection(lines, autolim=False)
    near = np.unique(marks.pairs[:, 1])
    areas[near] = np.maximum(areas[near], _MARK)
    near = near[np.argsort(-areas[near], kind="stable")]  # small ones above large ones
    ring: dict[str, Any] = {"edgecolors": theme.accent, "linewidths": 1.5, "zorder": 4}
    ax.scatter(xy[near, 0], xy[near, 1], s=areas[near], c=paint.colors[near], **ring)
    stars = marks.queries
    areas[stars] = np.maximum(areas[stars], _STAR)
    star: dict[str, Any] = {"marker": "*", "edgecolors": theme.ink, "linewidths": 0.8, "zorder": 5}
    ax.scatter(xy[stars, 0], xy[stars, 1], s=areas[stars], color=theme.accent, **star)
    return areas


def mark_keys(marks: Marks, queries: list[Any], metric: str, theme: Theme) -> list[Key]:
    """Return what the stars and the rings are."""
    keys = []
    if queries:
        text = plain_text(queries[0]) if len(queries) == 1 else f"{len(queries)} highlighted"
        keys.append((dot(theme.accent, _STAR, marker="*", markeredgecolor=theme.ink), text))
    if len(marks.pairs):
        text = f"{len(marks.pairs) // len(queries)} nearest by {_METRICS[metric]}"
        ring = dot("none", _MARK, markeredgecolor=theme.accent, markeredgewidth=1.5)
        keys.append((ring, text))
    return keys


def size_keys(counts: NDArray[np.int64] | None, theme: Theme, unit: str = "row") -> list[Key]:
    """Return what the sizes are."""
    if counts is None:
        return []
    shown = round_counts(counts)
    areas = point_areas(np.append(shown, counts.max()), len(counts))[:-1]
    texts = [f"{count:,}" for count in shown]
    texts[-1] += f" {unit}" if shown[-1] == 1 else f" {unit}s"
    return [(dot(theme.muted, a), t) for a, t in zip(areas, texts, strict=True)]


def draw_legends(
    ax: Axes,
    xy: NDArray[np.float64],
    coloring: Coloring | None,
    paint: Paint,
    keys: list[Key],
    theme: Theme,
) -> tuple[Legend | None, Legend | None]:
    """Draw the legends of kinds and of all else: around the axes, or into the emptiest corners."""
    legend = color_legend = None
    figure: Any = ax.get_figure(root=True)
    is_inside = figure.get_layout_engine() is None
    corners = empty_corners(ax, xy)
    if coloring is not None and paint.kinds:
        where: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (1, 1)}
        if is_inside:
            where = {"loc": corners.pop(0)}
        kinds = [(dot(color), text) for color, text in paint.kinds]
        color_legend = draw_legend(ax, kinds, theme, title=coloring.label, **where)
        ax.add_artist(color_legend).set_clip_on(False)  # or the layout leaves it out
    elif paint.grey.any():
        keys = [*keys, (dot(theme.grid), "no value")]
    if keys and is_inside:
        legend = draw_legend(ax, keys, theme, loc=corners.pop(0))
    elif keys:
        legend = draw_legend_below(ax, keys, theme)
    return legend, color_legend
