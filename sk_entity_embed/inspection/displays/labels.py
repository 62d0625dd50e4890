"""Labels at points, none of which covers another: where they go, and drawing them."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sk_entity_embed.exceptions import InvalidParameterError
from sk_entity_embed.input.messages import shown
from sk_entity_embed.inspection.catalogue import text_of
from sk_entity_embed.inspection.displays.theme import Theme

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Annotation

LONGEST = 28
"""Characters of a label; longer ones end in an ellipsis."""

_GAP = 3.0
_CELL = 4.0
_TURNS = 24
_CROSSING = 1000.0

_AROUND = np.array([(1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1)])
"""Directions of a label from its point, the preferred ones first."""


def plain_text(label: Any, longest: int = LONGEST) -> str:
    """A category as one short line of text that can be drawn.

    White space becomes single blanks, what cannot be printed the replacement character, and a
    string of nothing else is shown with its quotes.

    Examples
    --------
    >>> from sk_entity_embed.inspection.displays.labels import plain_text
    >>> [plain_text(v) for v in ("a\\nb", "", None, "The Lord of the Rings: The Two Towers")]
    ['a b', "''", '(missing)', 'The Lord of the Rings: The…']
    """
    whole = text_of(label)
    text = " ".join(whole.split())
    if not text:
        return repr(whole)[:longest]
    text = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return (
        text
        if len(text) <= longest
        else text[: longest - 1].rstrip(" ([,:;-") + "\N{HORIZONTAL ELLIPSIS}"
    )


def column_name(vectors: Any, column: str | None) -> str:
    """The given name of a column of vectors made elsewhere, or that of the frame's index."""
    if column is not None:
        return str(column)
    name = vectors.index.name if isinstance(vectors, pd.DataFrame) else None
    return "category" if name is None else str(name)


def check_number(name: str, value: Any) -> None:
    """Raise InvalidParameterError unless a parameter is an integer of 0 or more."""
    if not isinstance(value, Integral) or isinstance(value, bool) or int(value) < 0:
        raise InvalidParameterError(
            f"`{name}` must be an integer of 0 or more, got {shown(value)}."
        )


def place_labels(
    anchors: NDArray[np.float64],
    radii: NDArray[np.float64],
    sizes: NDArray[np.float64],
    frame: NDArray[np.float64],
    *,
    required: NDArray[np.bool_],
    obstacles: NDArray[np.float64],
    points: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Where labels go, so that none covers another; all lengths are in pixels.

    One label after the other gets the place at its point that hides the fewest points. Required
    labels come first, and look for a place further and further away if there is none at the point;
    others are left out then.

    Parameters
    ----------
    anchors : ndarray of shape (n, 2)
        The points that are labelled, the most important one first.
    radii : ndarray of shape (n,)
        Their radii.
    sizes : ndarray of shape (n, 2)
        Widths and heights of the labels.
    frame : ndarray of shape (4,)
        Where labels may be: left, bottom, right and top.
    required : ndarray of bool of shape (n,)
        Labels that have to be drawn; where all is full, over others.
    obstacles : ndarray of shape (m, 4)
        Boxes not to cover, as `frame`; those around the label's own point do not count.
    points : ndarray of shape (p, 2)
        All points.

    Returns
    -------
    ndarray of shape (n, 2)
        Centres of the labels; NaN for those left out.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_entity_embed.inspection.displays.labels import place_labels
    >>> anchors = np.array([[50.0, 50.0], [52.0, 50.0]])
    >>> place_labels(
    ...     anchors,
    ...     np.full(2, 2.0),
    ...     np.full((2, 2), [20.0, 8.0]),
    ...     np.array([0, 0, 100, 100]),
    ...     required=np.zeros(2, dtype=bool),
    ...     obstacles=np.empty((0, 4)),
    ...     points=anchors,
    ... ).tolist()
    [[65.0, 50.0], [37.0, 50.0]]
    """
    crowd = _Crowd(points, frame)
    centres = np.full((len(anchors), 2), np.nan)
    written = np.empty((0, 4))
    for i in np.argsort(~required, kind="stable"):
        anchor, radius, size = anchors[i], radii[i], sizes[i]
        hidden = _overlaps(np.tile(anchor, (1, 2)), written).any()
        if hidden and not required[i]:
            continue
        middles = (obstacles[:, :2] + obstacles[:, 2:]) / 2
        own = np.linalg.norm(middles - anchor, axis=1) <= radius
        blocked = np.concatenate([written, obstacles[~own]])
        best = _best(_near(anchor, radius, size), size, frame, blocked, crowd)
        if best is None and required[i]:
            best = _further_away(anchor, radius, size, frame, blocked, crowd)
        if best is not None:
            centres[i] = best
            written = np.concatenate([written, _boxes(best[None], size)])
            obstacles = np.concatenate([obstacles, _boxes(anchor[None], 2 * radius)])
    return centres


def draw_labels(
    ax: Axes,
    positions: NDArray[np.float64],
    texts: Sequence[str],
    theme: Theme,
    *,
    radii: NDArray[np.float64],
    required: NDArray[np.bool_],
    points: NDArray[np.float64],
    point_radii: NDArray[np.float64],
    avoid: Sequence[Any] = (),
    kept_clear: NDArray[np.intp] | None = None,
    fontsize: float = 9.0,
) -> tuple[list[Annotation], NDArray[np.intp]]:
    """Write labels at points of axes, where there is room for them.

    Places are found for the figure as it is: limits, aspect and layout have to be final.

    Parameters
    ----------
    ax : matplotlib Axes
        Where to draw.
    positions : ndarray of shape (n, 2)
        Data coordinates of the labelled points, the most important one first.
    texts : sequence of str
        Labels, drawn as they are.
    theme : Theme
        Colours.
    radii : ndarray of shape (n,)
        Radii of the points, in typographic points.
    required : ndarray of bool of shape (n,)
        Labels that have to be drawn; those far from their point get a line to it.
    points : ndarray of shape (p, 2)
        Data coordinates of everything drawn, which labels hide as little of as they can.
    point_radii : ndarray of shape (p,)
        Their radii, in typographic points.
    avoid : sequence of artists
        Not to be covered, such as legends.
    kept_clear : ndarray of int, default=None
        Positions among the labelled points whose marks are not to be covered.
    fontsize : float, default=9.0
        Size of the labels.

    Returns
    -------
    labels : list of matplotlib Annotation
        The labels drawn.
    drawn : ndarray of int
        Which of the labels they are.
    """
    figure = ax.get_figure(root=True)
    assert figure is not None
    figure.draw_without_rendering()  # settles layout and aspect, which pixels depend on
    pixel = figure.dpi / 72
    anchors = ax.transData.transform(positions)
    marks = _boxes(anchors, 2 * pixel * radii[:, None] + 2)
    boxes = [a.get_window_extent().extents for a in avoid]
    obstacles = np.concatenate(
        [marks[[] if kept_clear is None else kept_clear], np.reshape(boxes, (-1, 4))]
    )
    sizes = _text_sizes(ax, texts, fontsize) + 2 * pixel
    centres = place_labels(
        anchors,
        radii * pixel,
        sizes,
        np.array(ax.get_window_extent().padded(-pixel).extents),
        required=required,
        obstacles=obstacles,
        points=_covered(ax.transData.transform(points), point_radii * pixel),
    )
    gaps = np.hypot(*np.maximum(np.abs(centres - anchors) - sizes / 2, 0).T)
    far = gaps > 1.5 * (radii * pixel + _GAP)
    offsets = (centres - anchors) / pixel
    drawn = np.flatnonzero(~np.isnan(centres[:, 0]))
    labels = [
        _annotate(ax, texts[i], positions[i], offsets[i], bool(far[i]), theme, fontsize)
        for i in drawn.tolist()
    ]
    return labels, drawn


class _Crowd:
    """How many points a box hides, looked up in sums over cells instead of counted."""

    def __init__(self, points: NDArray[np.float64], frame: NDArray[np.float64]) -> None:
        self._origin = frame[:2]
        cells = np.maximum(np.ceil((frame[2:] - frame[:2]) / _CELL), 1).astype(int)
        edges = [frame[j] + _CELL * np.arange(cells[j] + 1) for j in (0, 1)]
        counts, _, _ = np.histogram2d(points[:, 0], points[:, 1], bins=edges)
        self._sums = np.zeros(cells + 1)
        self._sums[1:, 1:] = counts.cumsum(axis=0).cumsum(axis=1)

    def count(self, boxes: NDArray[np.float64]) -> NDArray[np.float64]:
        """Points in each box, to the nearest cell."""
        cells = (boxes.reshape(-1, 2, 2) - self._origin) / _CELL
        last = np.array(self._sums.shape) - 1
        (x0, y0), (x1, y1) = np.clip(np.rint(cells), 0, last).astype(int).transpose(1, 2, 0)
        sums = self._sums
        hidden: NDArray[np.float64] = sums[x1, y1] - sums[x0, y1] - sums[x1, y0] + sums[x0, y0]
        return hidden


def _best(
    centres: NDArray[np.float64],
    size: NDArray[np.float64],
    frame: NDArray[np.float64],
    blocked: NDArray[np.float64],
    crowd: _Crowd,
    costs: NDArray[np.float64] | float = 0.0,
) -> NDArray[np.float64] | None:
    """Of the centres at which a label covers nothing, the first with the fewest points."""
    boxes = _boxes(centres, size)
    free = _inside(boxes, frame) & ~_overlaps(boxes, blocked).any(axis=1)
    if not free.any():
        return None
    total = np.where(free, crowd.count(boxes) + costs, np.inf)
    best: NDArray[np.float64] = centres[np.argmin(total)]
    return best


def _near(
    anchor: NDArray[np.float64], radius: float, size: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Centres of a label on the eight sides of its point, closer at the corners of a disc."""
    corner = np.where((_AROUND != 0).all(axis=1), 0.75, 1.0)[:, None]
    near: NDArray[np.float64] = anchor + _AROUND * (size / 2 + corner * (radius + _GAP))
    return near


def _further_away(
    anchor: NDArray[np.float64],
    radius: float,
    size: NDArray[np.float64],
    frame: NDArray[np.float64],
    blocked: NDArray[np.float64],
    crowd: _Crowd,
) -> NDArray[np.float64]:
    """A place on the smallest ring around the point that has one; where none has, the middle."""
    angles = 2 * np.pi / _TURNS * np.arange(_TURNS)
    ring = np.column_stack([np.cos(angles), np.sin(angles)])
    reach = float(np.hypot(*(frame[2:] - frame[:2])))
    for distance in np.arange(radius + _GAP + size[1] / 2, reach, size[1] / 2):
        centres: NDArray[np.float64] = anchor + ring * (size / 2 + distance)
        costs = np.where(_crosses(anchor, centres, blocked), _CROSSING, 0.0)
        best = _best(centres, size, frame, blocked, crowd, costs)
        if best is not None:
            return best
    low, high = frame[:2] + size / 2, frame[2:] - size / 2
    clipped: NDArray[np.float64] = np.clip(anchor, low, np.maximum(low, high))
    return clipped


def _crosses(
    anchor: NDArray[np.float64], centres: NDArray[np.float64], blocked: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Whether the line from a point to each centre goes through a blocked box."""
    steps = np.linspace(0.0, 1.0, 12)[:, None, None]
    places = (anchor + steps * (centres - anchor)).reshape(-1, 2)
    met = _overlaps(np.hstack([places, places]), blocked).any(axis=1)
    return np.any(met.reshape(len(steps), len(centres)), axis=0)


def _boxes(centres: NDArray[np.float64], sizes: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """Left, bottom, right and top of boxes."""
    return np.hstack([centres - sizes / 2, centres + sizes / 2])


def _inside(boxes: NDArray[np.float64], frame: NDArray[np.float64]) -> NDArray[np.bool_]:
    return np.all((boxes[:, :2] >= frame[:2]) & (boxes[:, 2:] <= frame[2:]), axis=1)


def _overlaps(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether each box of `a` overlaps each of `b`, of shape (len(a), len(b))."""
    low, high = a[:, None, :2] < b[None, :, 2:], a[:, None, 2:] > b[None, :, :2]
    return np.all(low & high, axis=2)


def _covered(centres: NDArray[np.float64], radii: NDArray[np.float64]) -> NDArray[np.float64]:
    """Centres of discs, and eight places near their rims."""
    directions = _AROUND / np.linalg.norm(_AROUND, axis=1, keepdims=True)
    rims = centres[:, None] + 0.8 * radii[:, None, None] * directions
    return np.concatenate([centres, rims.reshape(-1, 2)])


def _text_sizes(ax: Axes, texts: Sequence[str], fontsize: float) -> NDArray[np.float64]:
    """Width and height of each text, in pixels."""
    probe = ax.text(0, 0, "", fontsize=fontsize, parse_math=False, usetex=False)
    sizes = np.empty((len(texts), 2))
    for i, text in enumerate(texts):
        probe.set_text(text)
        sizes[i] = probe.get_window_extent().size
    probe.remove()
    return sizes


def _annotate(
    ax: Axes,
    text: str,
    position: NDArray[np.float64],
    offset: NDArray[np.float64],
    far: bool,
    theme: Theme,
    fontsize: float,
) -> Annotation:
    """A label at an offset in typographic points, with a line if it lies far away."""
    from matplotlib.patheffects import Stroke

    # Letters of straight lines only, as of "FL", would be moved to whole pixels, part by part.
    halo = Stroke(linewidth=2.5, foreground=theme.background, alpha=0.9, snap=False)
    ink = Stroke(linewidth=0.0, snap=False)
    line = {"arrowstyle": "-", "color": theme.muted, "linewidth": 0.7, "shrinkA": 0, "shrinkB": 0}
    label = ax.annotate(
        text,
        (position[0], position[1]),
        xytext=(offset[0], offset[1]),
        textcoords="offset points",
        ha="center",
        va="center",
        fontsize=fontsize,
        color=theme.ink,
        parse_math=False,
        usetex=False,
        zorder=6,
        path_effects=[halo, ink],
        arrowprops=line if far else None,
    )
    label.set_in_layout(False)
    return label
