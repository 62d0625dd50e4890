"""Labels: none covers another, all lie in the axes, and they are nothing but text."""

from __future__ import annotations

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from matplotlib.text import Text

from sk_entity_embed.inspection.displays.labels import (
    LONGEST,
    draw_labels,
    place_labels,
    plain_text,
)
from sk_entity_embed.inspection.displays.theme import LIGHT

FRAME = np.array([0.0, 0.0, 400.0, 300.0])


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def place(anchors, sizes, **changes):
    """Places with defaults: small points, nothing required, nothing to avoid."""
    anchors = np.asarray(anchors, dtype=float)
    given = {
        "radii": np.full(len(anchors), 3.0),
        "frame": FRAME,
        "required": np.zeros(len(anchors), dtype=bool),
        "obstacles": np.empty((0, 4)),
        "points": anchors,
        **changes,
    }
    sizes = np.broadcast_to(np.asarray(sizes, dtype=float), (len(anchors), 2))
    return place_labels(anchors, given.pop("radii"), sizes, given.pop("frame"), **given)


def boxes_of(centres, sizes):
    """Left, bottom, right and top of the labels that were placed."""
    placed = ~np.isnan(centres[:, 0])
    half = np.broadcast_to(np.asarray(sizes, dtype=float), centres.shape)[placed] / 2
    return np.hstack([centres[placed] - half, centres[placed] + half])


def overlapping(boxes, others=None):
    """Pairs of boxes that overlap, a box and itself left out."""
    same = others is None
    others = boxes if same else others
    found = []
    for i, a in enumerate(boxes):
        for j, b in enumerate(others):
            apart = a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]
            if not apart and not (same and i == j):
                found.append((i, j))
    return found


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.floats(0, 6))
@example(seed=0, n=60, distance=0.0)
def test_labels_cover_only_their_own_mark_and_stay_in_the_frame(seed, n, distance):
    rng = np.random.default_rng(seed)
    anchors = rng.uniform(0, 1, (n, 2)) ** 2 * FRAME[2:]
    sizes = rng.uniform((10, 8), (120, 14), (n, 2))
    obstacles = np.array([[150.0, 100.0, 220.0, 140.0]])
    middle = [185.0, 120.0]
    anchors[0] = middle[0] + distance, middle[1]
    own = np.linalg.norm(anchors - middle, axis=1) <= 3.0  # the radius of the points
    centres = place(anchors, sizes, obstacles=obstacles, required=np.arange(n) < 5)
    boxes = boxes_of(centres, sizes)
    assert not np.isnan(centres[:5]).any()
    assert overlapping(boxes) == []
    placed = np.flatnonzero(~np.isnan(centres[:, 0]))
    covering = [placed[i] for i, _ in overlapping(boxes, obstacles)]
    assert own[covering].all()
    # The obstacle reaches beyond all places at its middle, and the first label has free choice.
    assert (0 in covering) == own[0]
    assert (boxes[:, :2] >= FRAME[:2]).all()
    assert (boxes[:, 2:] <= FRAME[2:]).all()


def test_the_most_important_labels_are_placed():
    crowd = np.full((30, 2), 200.0)
    placed = ~np.isnan(place(crowd, (60, 12))[:, 0])
    assert 4 <= placed.sum() <= 8
    assert placed[: placed.sum()].all()


def test_required_labels_of_a_crowd_are_placed_further_away():
    crowd = np.full((30, 2), 200.0)
    centres = place(crowd, (60, 12), required=np.ones(30, dtype=bool))
    assert not np.isnan(centres).any()
    assert overlapping(boxes_of(centres, (60, 12))) == []


def test_required_labels_come_before_important_ones():
    frame = np.array([0.0, 0.0, 50.0, 20.0])  # has room for one label
    anchors = [[5.0, 10.0], [6.0, 10.0]]
    centres = place(anchors, (38, 12), frame=frame, required=np.array([False, True]))
    assert np.isnan(centres[0]).all()
    assert not np.isnan(centres[1]).any()


def test_a_required_label_is_drawn_over_others_where_all_is_full():
    frame = np.array([0.0, 0.0, 50.0, 20.0])
    anchors = [[5.0, 10.0], [6.0, 10.0]]
    centres = place(anchors, (38, 12), frame=frame, required=np.ones(2, dtype=bool))
    boxes = boxes_of(centres, (38, 12))
    assert len(boxes) == 2
    assert (boxes[:, 2:] <= frame[2:]).all()


def test_a_label_wider_than_the_axes_starts_inside():
    centres = place([[5.0, 10.0]], (500, 12), required=np.array([True]))
    assert boxes_of(centres, (500, 12))[0, 0] == 0.0


def test_a_label_hides_as_few_points_as_it_can():
    to_the_right = np.column_stack([np.linspace(205, 300, 50), np.full(50, 150.0)])
    centres = place([[200.0, 150.0]], (60, 12), points=to_the_right)
    assert centres[0, 0] < 200


def test_points_with_a_label_stay_visible():
    sizes = (60, 12)
    anchors = np.array([[200.0, 150.0], [290.0, 150.0]])
    centres = place(anchors, sizes, points=np.empty((0, 2)))
    marks = np.hstack([anchors - 3, anchors + 3])
    assert overlapping(boxes_of(centres, sizes), marks) == []


def test_a_point_hidden_by_a_label_gets_none():
    anchors = np.array([[200.0, 150.0], [236.0, 150.0]])
    centres = place(anchors, (60, 12), points=np.empty((0, 2)))
    assert np.isnan(centres[1]).all()


def test_a_label_may_cover_what_marks_its_own_point():
    anchor = np.array([[200.0, 150.0]])
    own = np.array([[180.0, 130.0, 220.0, 170.0]])
    beside = place(anchor, (60, 12), obstacles=own)
    assert beside.tolist() == place(anchor, (60, 12)).tolist()


def draw(ax, positions, texts, required=False, **changes):
    """Labels with defaults."""
    positions = np.asarray(positions, dtype=float)
    n = len(positions)
    given = {"points": positions, "point_radii": np.full(n, 2.0), **changes}
    return draw_labels(
        ax,
        positions,
        texts,
        LIGHT,
        radii=np.full(n, 2.0),
        required=np.full(n, required),
        **given,
    )


def extents(labels):
    """Boxes of the texts, without their lines."""
    return np.array([Text.get_window_extent(label).extents for label in labels])


@pytest.mark.parametrize("required", [False, True])
def test_drawn_labels_neither_overlap_nor_leave_the_axes(required):
    rng = np.random.default_rng(0)
    positions = rng.normal(size=(40, 2))
    texts = [f"label {i} " + "x" * (i % 9) for i in range(40)]
    figure, ax = plt.subplots(figsize=(6, 4), layout="constrained")
    ax.scatter(*positions.T)
    ax.set(xlabel="x", title="drawn before the labels are placed")
    labels, drawn = draw(ax, positions, texts, required)
    figure.canvas.draw()
    boxes, frame = extents(labels), ax.get_window_extent().extents
    assert overlapping(boxes) == []
    assert (boxes[:, :2] >= frame[:2] - 1).all()
    assert (boxes[:, 2:] <= frame[2:] + 1).all()
    assert [label.get_text() for label in labels] == [texts[i] for i in drawn]
    assert len(labels) == 40 if required else 20 < len(labels) < 40


def test_labels_far_from_their_point_have_a_line_to_it():
    _, ax = plt.subplots()
    labels, _ = draw(ax, np.full((30, 2), 0.5), ["some label"] * 30, required=True)
    far = [label.arrow_patch is not None for label in labels]
    assert not far[0]
    assert 20 < sum(far) < 30


def test_labels_do_not_cover_legends_and_marks():
    figure, ax = plt.subplots()
    ax.plot([0, 1], [0, 1], label="a line")
    legend = ax.legend(loc="upper left")
    rng = np.random.default_rng(0)
    positions = rng.uniform((0.0, 0.6), (0.3, 0.9), (30, 2))
    kept = np.arange(5)
    labels, _ = draw(ax, positions, ["label"] * 30, True, avoid=[legend], kept_clear=kept)
    figure.canvas.draw()
    marks = ax.transData.transform(positions[kept])
    marks = np.hstack([marks - 2, marks + 2])
    boxes = extents(labels)
    assert overlapping(boxes, [legend.get_window_extent().extents]) == []
    assert overlapping(boxes, marks) == []


def test_drawing_twice_gives_the_same():
    rng = np.random.default_rng(0)
    positions, texts = rng.normal(size=(40, 2)), [f"label {i}" for i in range(40)]
    found = []
    for _ in range(2):
        _, ax = plt.subplots()
        labels, _ = draw(ax, positions, texts)
        found.append([(label.get_text(), *label.get_position()) for label in labels])
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("label", "text"),
    [
        ("Oslo", "Oslo"),
        (None, "(missing)"),
        (float("nan"), "(missing)"),
        (3, "3"),
        (True, "True"),
        ("", "''"),
        (" \t", r"' \t'"),
        ("a\n b\tc", "a b c"),
        ("a\x00b", "a\N{REPLACEMENT CHARACTER}b"),
        ("\ud800", "\N{REPLACEMENT CHARACTER}"),
        ("$x^2$ _y", "$x^2$ _y"),
        ("<script>", "<script>"),
        (("a", 1), "('a', 1)"),
    ],
)
def test_plain_text(label, text):
    assert plain_text(label) == text


def test_long_labels_end_in_an_ellipsis():
    assert plain_text("x" * 28) == "x" * 28
    assert plain_text("x" * 29) == "x" * 27 + "\N{HORIZONTAL ELLIPSIS}"
    assert plain_text("The long title of a book, (and more)") == "The long title of a book\u2026"
    assert len(plain_text(" " * 99)) == LONGEST


@pytest.mark.parametrize("text", ["$x$", "$unfinished", r"\alpha", "$\\frac$", "_{^"])
def test_mathematics_stays_text(text):
    figure, ax = plt.subplots()
    (label,), _ = draw(ax, [[0.5, 0.5]], [text])
    figure.canvas.draw()
    assert label.get_text() == text
    assert not label.get_parse_math()
