"""Colour bars and legends of a map: what its colours, its sizes and its marks mean."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sk_entity_embed.inspection.displays.coloring import (
    Coloring,
    Paint,
    log_ticks,
    point_areas,
    round_counts,
)
from sk_entity_embed.inspection.displays.theme import Theme, legend_colors, style_colorbar

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection
    from matplotlib.colorbar import Colorbar
    from matplotlib.legend import Legend
    from matplotlib.lines import Line2D

Key: TypeAlias = "tuple[Line2D, str]"
"""A point of a legend, and what it means."""

_SMALL = 8.5
_AREA = 42.0
"""Area of the points whose colour counts, in square points."""


def dot(
    color: str,
    area: float = _AREA,
    *,
    marker: str = "o",
    edge: str | None = None,
    width: float = 0.8,
) -> Line2D:
    """A point of a legend; its area is in square points."""
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


def draw_colorbar(
    scatter: PathCollection, ax: Axes, coloring: Coloring, paint: Paint, theme: Theme
) -> Colorbar:
    """What the colours of numbers are; opaque, whatever the points are."""
    figure: Any = ax.get_figure(root=True)
    alpha = scatter.get_alpha()
    scatter.set_alpha(None)
    bar: Colorbar = figure.colorbar(scatter, ax=ax, extend=paint.extend, shrink=0.8, aspect=25)
    scatter.set_alpha(alpha)
    bar.set_label(coloring.label, parse_math=False)
    if coloring.log:
        ticks = log_ticks(int(np.nanmin(coloring.values)), int(np.nanmax(coloring.values)))
        bar.set_ticks(ticks, labels=[f"{tick:,}" for tick in ticks])
        bar.minorticks_off()
    style_colorbar(bar, theme)
    return bar


def size_keys(counts: NDArray[np.int64] | None, theme: Theme, unit: str = "row") -> list[Key]:
    """What the sizes are."""
    if counts is None:
        return []
    shown = round_counts(counts)
    areas = point_areas(np.append(shown, counts.max()), len(counts))[:-1]
    texts = [f"{count:,}" for count in shown]
    texts[-1] += f" {unit}" if shown[-1] == 1 else f" {unit}s"
    return [(dot(theme.muted, a), t) for a, t in zip(areas, texts, strict=True)]


def draw_legend(ax: Axes, keys: list[Key], theme: Theme, **where: Any) -> Legend:
    """A legend whose text is nothing but text, and whose points have the room they need."""
    widest = max(float(handle.get_markersize()) for handle, _ in keys) / _SMALL
    legend = ax.legend(
        [handle for handle, _ in keys],
        [text for _, text in keys],
        fontsize=_SMALL,
        title_fontsize=_SMALL,
        **{"handlelength": max(1.2, widest), **where},
        handleheight=max(0.7, 0.95 * widest),
        handletextpad=0.5,
        columnspacing=1.4,
        **legend_colors(theme),
    )
    legend.get_title().set_color(theme.ink)
    for text in (legend.get_title(), *legend.get_texts()):
        text.set_parse_math(False)
    return legend


def draw_legends(
    ax: Axes,
    coordinates: NDArray[np.float64],
    coloring: Coloring | None,
    paint: Paint,
    keys: list[Key],
    theme: Theme,
) -> tuple[Legend | None, Legend | None]:
    """The legend of all else, below the axes, and that of the kinds, at their right.

    They go into the axes, where these are emptiest, if the figure has no layout engine that makes
    room around them.
    """
    legend = color_legend = None
    figure: Any = ax.get_figure(root=True)
    is_inside = figure.get_layout_engine() is None
    corners = _empty_corners(coordinates)
    if coloring is not None and paint.kinds:
        where: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (1, 1)}
        if is_inside:
            where = {"loc": corners.pop(0)}
        kinds = [(dot(color), text) for color, text in paint.kinds]
        color_legend = draw_legend(ax, kinds, theme, title=coloring.label, **where)
        ax.add_artist(color_legend).set_clip_on(False)  # or the layout leaves it out
    elif coloring is not None and paint.grey.any():
        keys = [*keys, (dot(theme.grid), "no value")]
    if keys and is_inside:
        legend = draw_legend(ax, keys, theme, loc=corners.pop(0))
    elif keys:
        legend = _legend_below(ax, keys, theme)
    return legend, color_legend


def _legend_below(ax: Axes, keys: list[Key], theme: Theme) -> Legend:
    """A legend below the axes, in as many rows as keep it about as narrow as these."""
    where = {"loc": "upper center", "bbox_to_anchor": (0.5, 0)}
    pad = _height_below(ax) / _SMALL
    for rows in range(1, len(keys) + 1):
        columns = math.ceil(len(keys) / rows)
        legend = draw_legend(ax, keys, theme, ncols=columns, borderaxespad=pad, **where)
        if legend.get_window_extent().width <= 1.1 * ax.get_window_extent().width:
            break
    return legend


def _height_below(ax: Axes) -> float:
    """Points that ticks, their labels and the name of the axis take below the axes."""
    lines = [float(ax.xaxis.label.get_fontsize())]
    if len(ax.get_xticks()):
        lines.append(float(ax.get_xticklabels()[0].get_fontsize()))
    return 11.0 + 1.2 * sum(lines)


def _empty_corners(coordinates: NDArray[np.float64]) -> list[str]:
    """Corners of the axes, the one with the fewest points first."""
    right, upper = (coordinates > coordinates.mean(axis=0)).T
    crowds = {
        "upper right": right & upper,
        "lower right": right & ~upper,
        "lower left": ~right & ~upper,
        "upper left": ~right & upper,
    }
    return sorted(crowds, key=lambda corner: int(crowds[corner].sum()))
