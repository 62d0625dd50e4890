"""Labels at points, which cover neither each other nor points: texts, places, and drawing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sk_entity_embed.inspection.column_vectors import text_of
from sk_entity_embed.inspection.displays.theme import Theme

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Annotation

LONGEST = 28
"""Characters of a label; longer ones end in an ellipsis."""

_GAP = 3.0
"""Pixels between a point and its label."""
_CELL = 4.0
"""Pixels of a cell in which points are counted."""
_CROSSING = 1000.0
"""Points that a line through a mark or a label is as bad as hiding."""
_CLOUD = 300
"""Points from which on labels may cover some: they are a cloud then, with no gaps for labels."""
_OPTIONAL, _CLEAR = 3, 12
"""Distances at which an optional label looks for a place, and a required one for one that covers no
point."""

_AROUND = np.array([(1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1)])
"""Directions of a label from its point, the preferred ones first."""


def plain_text(label: Any, longest: int = LONGEST) -> str:
    """Return a category as one short line of text that can be drawn."""
    whole = text_of(label)
    text = " ".join(whole.split())
    if not text:
        return repr(whole)[:longest]
    text = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    if len(text) <= longest:
        return text
    return text[: longest - 1].rstrip(" ([,:;-") + "\N{HORIZONTAL ELLIPSIS}"


def draw_labels(
    ax: Axes,
    theme: Theme,
    points: NDArray[np.float64],
    areas: NDArray[np.float64],
    labelled: NDArray[np.intp],
    names: NDArray[Any],
    n_required: int,
    avoid: Sequence[Any] = (),
    fontsize: float = 9.0,
) -> tuple[list[Annotation], NDArray[np.intp]]:
    """Label points, in their order of importance, where there is room in the figure as it is.

    The first `n_required` labels are drawn in any case, and far ones get a line to their point. No
    other label lies on a point, unless there are so many that they are a cloud. Return the labels
    and the positions of their points.
    """
    figure = ax.get_figure(root=True)
    assert figure is not None
    figure.draw_without_rendering()  # settles layout and aspect, which pixels depend on
    pixel = figure.dpi / 72
    centers, radii = ax.transData.transform(points), np.sqrt(areas) / 2 * pixel
    texts = [plain_text(name) for name in names[labelled].tolist()]
    sizes = _text_sizes(ax, texts, fontsize) + 2 * pixel
    frame = np.array(ax.get_window_extent().padded(-pixel).extents)
    anchors, radii_there = centers[labelled], radii[labelled]
    places = place_labels(
        anchors,
        radii_there,
        sizes,
        frame,
        n_required=n_required,
        obstacles=np.reshape([a.get_window_extent().extents for a in avoid], (-1, 4)),
        points=_covered(centers, radii),
        discs=np.column_stack([centers, radii]) if len(centers) < _CLOUD else None,
    )
    gaps = np.hypot(*np.maximum(np.abs(places - anchors) - sizes / 2, 0).T)
    far = gaps > 1.5 * (radii_there + _GAP)
    offsets = (places - anchors) / pixel
    drawn = np.flatnonzero(~np.isnan(places[:, 0]))
    labels = [
        _annotate(ax, theme, texts[i], points[labelled[i]], offsets[i], bool(far[i]), fontsize)
        for i in drawn.tolist()
    ]
    return labels, labelled[drawn]


def place_labels(
    anchors: NDArray[np.float64],
    radii: NDArray[np.float64],
    sizes: NDArray[np.float64],
    frame: NDArray[np.float64],
    *,
    n_required: int,
    obstacles: NDArray[np.float64],
    points: NDArray[np.float64],
    discs: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """Return the centers of labels that do not cover each other; NaN for those left out.

    Each gets the place at its point that hides the fewest of `points`, and none of the `discs`
    (center and radius), for which it looks a little further away; without any, it is left out. The
    first `n_required` look further and further, then hide discs, and are drawn over others where
    all is full. Lengths are in pixels.
    """
    crowd = _Crowd(points, frame)
    centers = np.full((len(anchors), 2), np.nan)
    written = np.empty((0, 4))
    marks, clear = _boxes(anchors, 2 * radii[:, None] + 2), np.arange(len(anchors)) < n_required
    for i, (anchor, radius, size) in enumerate(zip(anchors, radii, sizes, strict=True)):
        is_required = i < n_required
        if not is_required and _overlaps(np.tile(anchor, (1, 2)), written).any():
            continue  # the label of a hidden point would seem to be that of another
        others = clear & (np.linalg.norm(anchors - anchor, axis=1) > radius)
        blocked = np.concatenate([written, obstacles, marks[others]])
        reach = float(np.hypot(*(frame[2:] - frame[:2])))
        place = None
        for hidden, n_rings in _searches(is_required, discs):
            rings = islice(_rings(radius, size, reach), n_rings)
            for turn, ring in enumerate(rings):
                line = "none" if turn == 0 else "any" if is_required else "clear"
                place = _best(anchor, anchor + ring, size, frame, blocked, crowd, hidden, line)
                if place is not None:
                    break
            if place is not None:
                break
        if place is None and is_required:
            low, high = frame[:2] + size / 2, frame[2:] - size / 2
            place = np.clip(anchor, low, np.maximum(low, high))
        if place is not None:
            centers[i], clear[i] = place, True
            written = np.concatenate([written, _boxes(place[None], size)])
    return centers


def _searches(
    is_required: bool, discs: NDArray[np.float64] | None
) -> list[tuple[NDArray[np.float64] | None, int | None]]:
    """Return what a label may not cover, and how many rings it looks at, try by try."""
    if not is_required:
        return [(discs, 1 if discs is None else _OPTIONAL)]
    return [(None, None)] if discs is None else [(discs, _CLEAR), (None, None)]


class _Crowd:
    """How many points a box hides, looked up in sums over cells instead of counted."""

    def __init__(self, points: NDArray[np.float64], frame: NDArray[np.float64]) -> None:
        self._origin = frame[:2]
        cells = np.maximum(np.ceil((frame[2:] - frame[:2]) / _CELL), 1).astype(int)
        edges = [frame[j] + _CELL * np.arange(cells[j] + 1) for j in (0, 1)]
        counts, _, _ = np.histogram2d(points[:, 0], points[:, 1], bins=edges)
        self._sums = np.pad(counts.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))

    def count(self, boxes: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the number of points in each box, to the nearest cell."""
        cells = (boxes.reshape(-1, 2, 2) - self._origin) / _CELL
        last = np.array(self._sums.shape) - 1
        (x0, y0), (x1, y1) = np.clip(np.rint(cells), 0, last).astype(int).transpose(1, 2, 0)
        sums = self._sums
        hidden: NDArray[np.float64] = sums[x1, y1] - sums[x0, y1] - sums[x1, y0] + sums[x0, y0]
        return hidden


def _rings(radius: float, size: NDArray[np.float64], reach: float) -> Iterator[NDArray[np.float64]]:
    """Yield places of a label around its point: its eight sides, then further and further away."""
    corner = np.where((_AROUND != 0).all(axis=1), 0.75, 1.0)[:, None]
    yield _AROUND * (size / 2 + corner * (radius + _GAP))
    angles = np.linspace(0.0, 2 * np.pi, 24, endpoint=False)
    ring = np.column_stack([np.cos(angles), np.sin(angles)])
    for distance in np.arange(radius + _GAP + size[1] / 2, reach, size[1] / 2):
        yield ring * (size / 2 + distance)


def _best(
    anchor: NDArray[np.float64],
    centers: NDArray[np.float64],
    size: NDArray[np.float64],
    frame: NDArray[np.float64],
    blocked: NDArray[np.float64],
    crowd: _Crowd,
    discs: NDArray[np.float64] | None,
    line: str,
) -> NDArray[np.float64] | None:
    """Return the first of the free centers that hide the fewest points; None if none is free.

    A free center covers none of the discs. `line` says which line to the point there may be:
    "none", "any", or one that is "clear" of marks and labels.
    """
    boxes = _boxes(centers, size)
    inside = np.all((boxes[:, :2] >= frame[:2]) & (boxes[:, 2:] <= frame[2:]), axis=1)
    free = inside & ~_overlaps(boxes, blocked).any(axis=1)
    if discs is not None:
        free &= ~_hides(boxes, discs).any(axis=1)
    if not free.any():
        return None
    costs = crowd.count(boxes)
    if line != "none":
        steps = np.linspace(0.0, 1.0, 12)[:, None, None]
        places = (anchor + steps * (centers - anchor)).reshape(-1, 2)
        crossing = _overlaps(np.hstack([places, places]), blocked).any(axis=1)
        crosses: NDArray[np.bool_] = np.any(crossing.reshape(12, -1), axis=0)
        if line == "clear" and crosses[free].all():
            return None
        costs = costs + _CROSSING * crosses
    best: NDArray[np.float64] = centers[np.argmin(np.where(free, costs, np.inf))]
    return best


def _boxes(centers: NDArray[np.float64], sizes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return left, bottom, right and top of boxes."""
    return np.hstack([centers - sizes / 2, centers + sizes / 2])


def _overlaps(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return whether each box of `a` overlaps each of `b`, of shape (len(a), len(b))."""
    low, high = a[:, None, :2] < b[None, :, 2:], a[:, None, 2:] > b[None, :, :2]
    return np.all(low & high, axis=2)


def _hides(boxes: NDArray[np.float64], discs: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return whether each box reaches into each disc, of shape (len(boxes), len(discs))."""
    low, high = boxes[:, None, :2] - discs[:, :2], discs[:, :2] - boxes[:, None, 2:]
    away = np.maximum(np.maximum(low, high), 0.0)
    return np.asarray(np.hypot(away[..., 0], away[..., 1]) < discs[:, 2])


def _covered(centers: NDArray[np.float64], radii: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the centers of discs, and eight places near their rims."""
    directions = _AROUND / np.linalg.norm(_AROUND, axis=1, keepdims=True)
    rims = centers[:, None] + 0.8 * radii[:, None, None] * directions
    return np.concatenate([centers, rims.reshape(-1, 2)])


def _text_sizes(ax: Axes, texts: Sequence[str], fontsize: float) -> NDArray[np.float64]:
    """Return the width and the height of each text, in pixels."""
    probe = ax.text(0, 0, "", fontsize=fontsize, parse_math=False, usetex=False)
    sizes = np.empty((len(texts), 2))
    for i, text in enumerate(texts):
        probe.set_text(text)
        sizes[i] = probe.get_window_extent().size
    probe.remove()
    return sizes


def _annotate(
    ax: Axes,
    theme: Theme,
    text: str,
    point: NDArray[np.float64],
    offset: NDArray[np.float64],
    is_far: bool,
    fontsize: float,
) -> Annotation:
    """Draw a label at an offset in typographic points, with a line if it lies far away."""
    from matplotlib.patheffects import Stroke

    # Letters of straight lines only, as of "FL", would be moved to whole pixels, part by part.
    halo = Stroke(linewidth=2.5, foreground=theme.background, alpha=0.9, snap=False)
    ink = Stroke(linewidth=0.0, snap=False)
    line = {"arrowstyle": "-", "color": theme.muted, "linewidth": 0.7, "shrinkA": 0, "shrinkB": 0}
    label = ax.annotate(
        text,
        (point[0], point[1]),
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
        arrowprops=line if is_far else None,
    )
    label.set_in_layout(False)
    return label
