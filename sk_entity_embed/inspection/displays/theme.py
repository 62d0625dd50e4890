"""Colours of the displays, on light and on dark ground, and the axes they are drawn on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sk_entity_embed.exceptions import InvalidParameterError
from sk_entity_embed.input.messages import shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True)
class Theme:
    """Colours that can be told apart with any kind of colour vision.

    Attributes
    ----------
    background, ink, muted, grid : str
        Ground, text, secondary text and fine lines.
    point, accent : str
        Ordinary marks, and the one mark to look at.
    categorical : tuple of str
        Colours of kinds, in the order of use [1]_. All of them, and the greys, are apart for people
        who do not see red, green or blue, too, by a model of what these see [2]_.
    sequential, diverging : str
        Colour maps of quantities, even in lightness, and of signed ones.

    References
    ----------
    .. [1] M. Okabe and K. Ito, "Color universal design", 2008.
    .. [2] G. M. Machado, M. M. Oliveira and L. A. F. Fernandes, "A physiologically-based model for
       simulation of color vision deficiency", IEEE TVCG 15(6), 2009.
    """

    background: str
    ink: str
    muted: str
    grid: str
    point: str
    accent: str
    categorical: tuple[str, ...]
    sequential: str
    diverging: str


LIGHT = Theme(
    background="#ffffff",
    ink="#1a1a1a",
    muted="#5f6368",
    grid="#dadce0",
    point="#0072b2",
    accent="#d55e00",
    categorical=(
        "#0072b2",
        "#e69f00",
        "#009e73",
        "#cc79a7",
        "#56b4e9",
        "#d55e00",
        "#60300c",
    ),
    sequential="viridis",
    diverging="RdBu_r",
)

DARK = Theme(
    background="#16181d",
    ink="#eceff4",
    muted="#a3aab8",
    grid="#3a3f4b",
    point="#56b4e9",
    accent="#ff9e3d",
    categorical=(
        "#56b4e9",
        "#e69f00",
        "#009e73",
        "#c0459c",
        "#9c40fc",
        "#e0502a",
        "#f0e442",
    ),
    sequential="viridis",
    diverging="berlin",
)


def prepare_axes(
    ax: Axes | None, theme: str | None, figsize: tuple[float, float]
) -> tuple[Figure, Axes, Theme]:
    """Axes to draw on, and the colours for their ground.

    Parameters
    ----------
    ax : matplotlib Axes or None
        Axes of the caller's; None makes a figure.
    theme : {"light", "dark"} or None
        Ground to draw on; None takes the one that the axes, or matplotlib's settings, have.
    figsize : tuple of float
        Inches of a new figure.

    Raises
    ------
    ImportError
        If matplotlib is not installed; the extra is ``plot``.
    InvalidParameterError
        If there is no such theme.
    """
    if theme not in (None, "light", "dark"):
        raise InvalidParameterError(f"`theme` must be 'light', 'dark' or None, got {shown(theme)}.")
    plt = import_pyplot()
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


def style_axes(ax: Axes, theme: Theme) -> None:
    """Text and lines of axes in the theme's colours; two spines are enough."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(theme.muted)
    ax.tick_params(colors=theme.muted, labelcolor=theme.ink)
    for text in (ax.xaxis.label, ax.yaxis.label, ax.title):
        text.set_color(theme.ink)


def legend_colors(theme: Theme) -> dict[str, Any]:
    """Arguments of ``Axes.legend`` for a legend in the theme's colours."""
    return {"labelcolor": theme.ink, "facecolor": theme.background, "edgecolor": theme.grid}


def style_colorbar(bar: Any, theme: Theme) -> None:
    """Text and lines of a colour bar in the theme's colours."""
    bar.ax.tick_params(colors=theme.muted, labelcolor=theme.ink)
    bar.ax.yaxis.label.set_color(theme.ink)
    bar.ax.xaxis.label.set_color(theme.ink)
    bar.outline.set_edgecolor(theme.grid)


def import_pyplot() -> Any:
    """matplotlib.pyplot, or an error that says how to get it."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            "Displays need matplotlib: pip install 'sk-entity-embed[plot]'."
        ) from error
    return plt
