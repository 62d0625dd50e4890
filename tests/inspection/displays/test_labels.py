"""Labels: none covers another, all lie in the axes, and they are nothing but text."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sk_entity_embed.inspection.displays.labels import (
    LONGEST,
    draw_labels,
    place_labels,
    plain_text,
)
from sk_entity_embed.inspection.displays.theme import LIGHT
from tests.inspection.displays.conftest import boxes_of, overlapping, texts_of

FRAME = np.array([0.0, 0.0, 400.0, 300.0])
FULL = np.array([0.0, 0.0, 50.0, 20.0])
"""A frame with room for one label."""


def place(anchors, sizes, **changes):
    """Places with defaults: small points, nothing required, nothing to avoid."""
    anchors = np.asarray(anchors, dtype=float)
    given = {
        "radii": np.full(len(anchors), 3.0),
        "frame": FRAME,
        "n_required": 0,
        "obstacles": np.empty((0, 4)),
        "points": anchors,
        **changes,
    }
    sizes = np.broadcast_to(np.asarray(sizes, dtype=float), (len(anchors), 2))
    return place_labels(anchors, given.pop("radii"), sizes, given.pop("frame"), **given)


def placed(centers, sizes):
    """Boxes of the labels that were placed."""
    at = ~np.isnan(centers[:, 0])
    half = np.broadcast_to(np.asarray(sizes, dtype=float), centers.shape)[at] / 2
    return np.hstack([centers[at] - half, centers[at] + half])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.floats(0, 6))
@example(seed=0, n=60, distance=0.0)
def test_labels_cover_only_their_own_mark_and_stay_in_the_frame(seed, n, distance):
    rng = np.random.default_rng(seed)
    anchors = rng.uniform(0, 1, (n, 2)) ** 2 * FRAME[2:]
    anchors[n // 2 :] = anchors[0] + distance * rng.uniform(-1, 1, (n - n // 2, 2))
    sizes = rng.uniform((10, 8), (120, 14), (n, 2))
    legend = np.array([[150.0, 100.0, 220.0, 140.0]])
    centers = place(anchors, sizes, obstacles=legend, n_required=min(n, 5))
    boxes = placed(centers, sizes)
    assert not np.isnan(centers[:5]).any()
    assert overlapping(boxes) == []
    assert overlapping(boxes, legend) == []
    at = np.flatnonzero(~np.isnan(centers[:, 0]))
    marks = np.hstack([anchors - 3, anchors + 3])[:5]  # of required labels
    covering = {(at[i], j) for i, j in overlapping(boxes, marks)}
    assert all(np.linalg.norm(anchors[i] - anchors[j]) <= 3 for i, j in covering)
    assert (boxes[:, :2] >= FRAME[:2]).all()
    assert (boxes[:, 2:] <= FRAME[2:]).all()


def test_required_labels_come_first_and_over_others_where_all_is_full():
    anchors = [[6.0, 10.0], [5.0, 10.0]]
    centers = place(anchors, (38, 12), frame=FULL, n_required=1)
    assert np.isnan(centers[:, 0]).tolist() == [False, True]
    boxes = placed(place(anchors, (38, 12), frame=FULL, n_required=2), (38, 12))
    assert len(boxes) == 2
    assert (boxes[:, 2:] <= FULL[2:]).all()
    wide = place([[5.0, 10.0]], (500, 12), n_required=1)
    assert placed(wide, (500, 12))[0, 0] == 0.0  # it starts inside


def test_a_label_hides_as_few_points_as_it_can():
    to_the_right = np.column_stack([np.linspace(205, 300, 50), np.full(50, 150.0)])
    assert place([[200.0, 150.0]], (60, 12))[0, 0] > 200
    assert place([[200.0, 150.0]], (60, 12), points=to_the_right)[0, 0] < 200


def test_labels_lie_on_no_disc_where_they_can_be_moved_and_are_else_left_out():
    right = [230.0, 150.0, 25.0]  # over which the first place would be
    (center,) = place([[200.0, 150.0]], (40, 12), discs=np.array([right]))
    assert center[0] < 200
    grid = np.stack(np.meshgrid(np.arange(0, 401, 10.0), np.arange(0, 301, 10.0)), axis=-1)
    everywhere = np.insert(grid.reshape(-1, 2), 2, 4.0, axis=1)
    assert np.isnan(place([[200.0, 150.0]], (40, 12), discs=everywhere)).all()
    assert not np.isnan(place([[200.0, 150.0]], (40, 12), discs=everywhere, n_required=1)).any()
    around = everywhere[np.abs(everywhere[:, :2] - [200, 150]).max(axis=1) < 40]
    (center,) = place([[200.0, 150.0]], (40, 12), discs=around, n_required=1)
    assert np.abs(center - [200, 150]).max() > 40


def test_a_line_to_a_label_crosses_nothing_where_it_can():
    walls = [[170, 156, 230, 175], [170, 125, 230, 144], [150, 144, 190, 156], [222, 145, 226, 147]]
    points = np.tile([236.0, 150.0], (3, 1))  # which the place without a crossing hides
    (center,) = place(
        [[200.0, 150.0]], (20, 10), obstacles=np.array(walls, float), points=points, n_required=1
    )
    assert center[0] > 230
    assert abs(center[1] - 150) < 10


def test_points_with_a_label_stay_visible_and_hidden_ones_get_none():
    anchors = np.array([[200.0, 150.0], [290.0, 150.0]])
    centers = place(anchors, (60, 12), points=np.empty((0, 2)))
    marks = np.hstack([anchors - 3, anchors + 3])
    assert overlapping(placed(centers, (60, 12)), marks) == []
    anchors[1, 0] = 236.0
    assert np.isnan(place(anchors, (60, 12), points=np.empty((0, 2)))[1]).all()


def draw(ax, positions, texts, n_required=0, **changes):
    """Labels of all the points."""
    positions = np.asarray(positions, dtype=float)
    n = len(positions)
    names = np.array(texts, dtype=object)
    areas = np.full(n, 16.0)
    return draw_labels(ax, LIGHT, positions, areas, np.arange(n), names, n_required, **changes)


@pytest.mark.parametrize("n_required", [0, 40])
def test_drawn_labels_neither_overlap_nor_leave_the_axes(n_required):
    rng = np.random.default_rng(0)
    positions = rng.normal(size=(40, 2))
    texts = [f"label {i}" + "x" * (i % 9) for i in range(40)]
    found = []
    for _ in range(2):
        figure, ax = plt.subplots(figsize=(6, 4), layout="constrained")
        ax.scatter(*positions.T, label="points")
        ax.set(xlabel="x", title="drawn before the labels are placed")
        legend = ax.legend(loc="upper left")
        labels, drawn = draw(ax, positions, texts, n_required, avoid=[legend])
        figure.canvas.draw()
        boxes, frame = boxes_of(labels), ax.get_window_extent().extents
        assert overlapping(boxes) == []
        assert overlapping(boxes, [legend.get_window_extent().extents]) == []
        assert (boxes[:, :2] >= frame[:2] - 1).all()
        assert (boxes[:, 2:] <= frame[2:] + 1).all()
        assert texts_of(labels) == [texts[i] for i in drawn]
        assert len(labels) == 40 if n_required else 20 < len(labels) < 40
        found.append([label.get_position() for label in labels])
    assert found[0] == found[1]


def test_labels_far_from_their_point_have_a_line_to_it():
    _, ax = plt.subplots()
    labels, _ = draw(ax, np.full((30, 2), 0.5), ["some label"] * 30, 30)
    far = [label.arrow_patch is not None for label in labels]
    assert not far[0]
    assert 20 < sum(far) < 30


@pytest.mark.parametrize(
    ("label", "text"),
    [
        (None, "(missing)"),
        (("a", 1), "('a', 1)"),
        ("", "''"),
        ("a\n b\tc", "a b c"),
        ("a\x00b\ud800", "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}"),
        ("x" * (LONGEST + 1), "x" * (LONGEST - 1) + "\N{HORIZONTAL ELLIPSIS}"),
        ("The long title of a book, (and more)", "The long title of a book\u2026"),
    ],
)
def test_plain_text(label, text):
    assert plain_text(label) == text


def test_mathematics_and_straight_letters_stay_as_they_are():
    figure, ax = plt.subplots()
    texts = ["$x$", "$unfinished", r"\alpha", "_{^", "FL"]
    labels, _ = draw(ax, np.arange(10.0).reshape(5, 2), texts, 5)
    figure.canvas.draw()
    assert texts_of(labels) == texts
    for label in labels:
        assert not label.get_parse_math()
        # By itself, matplotlib moves outlines without curves to whole pixels.
        assert [effect._gc["snap"] for effect in label.get_path_effects()] == [False, False]
