"""Colours of the displays, on light and on dark ground, and the axes they are drawn on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sk_entity_embed.exceptions import InvalidParameterError
from sk_entity_embed.input.messages import shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colorbar import Colorbar
    from matplotlib.figure import Figure
    from matplotlib.legend import Legend
    from matplotlib.lines import Line2D

_SMALL = 8.5
"""Size of the letters in legends."""
_AREA = 42.0
"""Area of points in legends whose colour counts, in square points."""

Key: TypeAlias = "tuple[Line2D, str]"
"""A mark of a legend, and what it means."""


@dataclass(frozen=True, slots=True)
class Theme:
    """Colours that can be told apart with any kind of colour vision.

    `categorical` are those of M. Okabe and K. Ito, "Color universal design", 2008, in the order of
    use; `ends` is the part of `sequential` that stands out from the ground.
    """

    background: str
    ink: str
    muted: str
    grid: str
    point: str
    accent: str
    categorical: tuple[str, ...]
    diverging: str
    ends: tuple[float, float]
    sequential: str = "viridis"

    def colormap(self) -> Any:
        """Return the sequential colours, even in lightness, that stand out from the ground."""
        from matplotlib import colormaps
        from matplotlib.colors import ListedColormap

        colors = colormaps[self.sequential](np.linspace(*self.ends, 256))
        return ListedColormap(colors).with_extremes(bad=self.grid)


LIGHT = Theme(
    background="#ffffff",
    ink="#1a1a1a",
    muted="#5f6368",
    grid="#dadce0",
    point="#0072b2",
    accent="#d55e00",
    categorical=("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#60300c"),
    diverging="RdBu_r",
    ends=(0.0, 0.92),
)

DARK = Theme(
    background="#16181d",
    ink="#eceff4",
    muted="#a3aab8",
    grid="#3a3f4b",
    point="#56b4e9",
    accent="#ff9e3d",
    categorical=("#56b4e9", "#e69f00", "#009e73", "#c0459c", "#9c40fc", "#e0502a", "#f0e442"),
    diverging="berlin",
    ends=(0.2, 1.0),
)


ThemeName: TypeAlias = Literal["light", "dark"]


def prepare_axes(
    ax: Axes | None, theme: str | None, figsize: tuple[float, float]
) -> tuple[Figure, Axes, Theme]:
    """Return the figure, the axes to draw on and the colours that can be seen on their ground."""
    if theme not in (None, "light", "dark"):
        raise InvalidParameterError(f"`theme` must be 'light', 'dark' or None, got {shown(theme)}.")
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            "Displays need matplotlib: pip install 'sk-entity-embed[plot]'."
        ) from error
    if ax is None:
        _, ax = plt.subplots(figsize=figsize, layout="constrained")
    figure: Any = ax.get_figure(root=True)
    if theme is None:
        chosen = LIGHT if _is_bright(ax.get_facecolor(), figure.get_facecolor()) else DARK
    else:
        chosen = LIGHT if theme == "light" else DARK
        figure.set_facecolor(chosen.background)
        ax.set_facecolor(chosen.background)
    return figure, ax, chosen


def _is_bright(*grounds: Any) -> bool:
    """Whether dark text can be read on the first of the grounds, through which others show."""
    from matplotlib.colors import to_rgba

    seen, ground = 1.0, 0.0
    for color in (*grounds, "white"):  # the paper, where all else is transparent
        red, green, blue, alpha = to_rgba(color)
        # Relative luminance, by ITU-R BT.709.
        ground += seen * alpha * (0.2126 * red + 0.7152 * green + 0.0722 * blue)
        seen *= 1.0 - alpha
    return ground > 0.4


def name_axes(
    ax: Axes, theme: Theme, title: str, x: str = "", y: str = "", grid: str | None = None
) -> None:
    """Write title and names, not as mathematics, apply the theme, and draw a grid if asked to."""
    ax.set_title(title, parse_math=False)
    ax.set_xlabel(x, parse_math=False)
    ax.set_ylabel(y, parse_math=False)
    if grid is not None:
        ax.title.set_fontsize("medium")
        ax.grid(False)
        ax.grid(True, axis=grid, color=theme.grid, linewidth=0.6)  # type: ignore[arg-type]
        ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(theme.muted)
    ax.tick_params(colors=theme.muted, labelcolor=theme.ink)
    for text in (ax.xaxis.label, ax.yaxis.label, ax.title):
        text.set_color(theme.ink)


def draw_colorbar(ax: Axes, colors: Any, label: str, theme: Theme, **options: Any) -> Colorbar:
    """Draw what the colours of a mappable mean, opaque whatever the points are."""
    figure: Any = ax.get_figure(root=True)
    bar: Colorbar = figure.colorbar(colors, ax=ax, **{"pad": 0.02, "aspect": 30, **options})
    bar.set_label(label, parse_math=False)
    bar.solids.set_alpha(1.0)  # type: ignore[union-attr]
    bar.ax.tick_params(colors=theme.muted, labelcolor=theme.ink)
    bar.ax.yaxis.label.set_color(theme.ink)
    bar.outline.set_edgecolor(theme.grid)
    return bar


def dot(color: str, area: float = _AREA, **style: Any) -> Line2D:
    """Return a mark of a legend; its area is in square points."""
    from matplotlib.lines import Line2D

    style = {"marker": "o", "markeredgecolor": color, "markeredgewidth": 0.8, **style}
    size = float(np.sqrt(area))
    return Line2D([], [], linestyle="none", markersize=size, markerfacecolor=color, **style)


def draw_legend(ax: Axes, keys: list[Key], theme: Theme, **where: Any) -> Legend:
    """Draw a legend whose text is not mathematics, and whose marks have the room they need."""
    widest = max(float(handle.get_markersize()) for handle, _ in keys) / _SMALL
    legend = ax.legend(
        [handle for handle, _ in keys],
        [text for _, text in keys],
        fontsize=_SMALL,
        title_fontsize=_SMALL,
        labelcolor=theme.ink,
        facecolor=theme.background,
        edgecolor=theme.grid,
        **{"handlelength": max(1.2, widest), **where},
        handleheight=max(0.7, 0.95 * widest),
        handletextpad=0.5,
        columnspacing=1.4,
    )
    legend.get_title().set_color(theme.ink)
    for text in (legend.get_title(), *legend.get_texts()):
        text.set_parse_math(False)
    return legend


def draw_legend_below(ax: Axes, keys: list[Key], theme: Theme) -> Legend:
    """Draw a legend below the axes, in as many rows as keep it about as narrow as these."""
    figure: Any = ax.get_figure(root=True)
    box = ax.xaxis.get_tightbbox()  # of ticks, their labels and the name; None if not visible
    below = 0.0 if box is None else ax.get_window_extent().y0 - box.y0
    pad = (below * 72 / figure.dpi + 4.0) / _SMALL
    where: dict[str, Any] = {"loc": "upper center", "bbox_to_anchor": (0.5, 0)}
    for rows in range(1, len(keys) + 1):
        columns = -(-len(keys) // rows)
        legend = draw_legend(ax, keys, theme, ncols=columns, borderaxespad=pad, **where)
        if legend.get_window_extent().width <= 1.1 * ax.get_window_extent().width:
            break
    return legend


def empty_corners(ax: Axes, points: NDArray[np.float64]) -> list[str]:
    """Return the names of the corners of the axes, the one with the fewest points first."""
    ax.autoscale_view()
    x, y = ax.transAxes.inverted().transform(ax.transData.transform(points)).T
    crowds = {
        "upper right": (x > 0.6) & (y > 0.7),
        "lower right": (x > 0.6) & (y < 0.3),
        "lower left": (x < 0.4) & (y < 0.3),
        "upper left": (x < 0.4) & (y > 0.7),
    }
    return sorted(crowds, key=lambda corner: int(crowds[corner].sum()))
