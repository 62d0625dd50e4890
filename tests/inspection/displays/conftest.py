"""What the tests of displays share: closed figures, columns of vectors, and what is drawn."""

from __future__ import annotations

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from sk_entity_embed.input.table import object_array
from sk_entity_embed.inspection.column_vectors import ColumnVectors
from tests.samples import make_encoder, make_rows


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def encoder():
    """An encoder of letters a to e and of three colours."""
    X, y = make_rows()
    return make_encoder(dimensions=3).fit(X, y)


def make_column(vectors, counts=None, target_means=None, name="category"):
    """A column as a fitted estimator has it, with counts and target means."""
    frame = pd.DataFrame(vectors)
    labels = object_array([np.nan if label is None else label for label in frame.index])
    return ColumnVectors(
        name,
        labels,
        np.array(frame, dtype=np.float32),
        None if counts is None else np.asarray(counts),
        None if target_means is None else np.asarray(target_means, dtype=float),
    )


def texts_of(artists):
    """The texts of labels, or of a legend."""
    return [t.get_text() for t in getattr(artists, "get_texts", lambda: artists)()]


def boxes_of(artists):
    """Left, bottom, right and top of texts, without the lines to their points."""
    return np.array([Text.get_window_extent(t).extents for t in artists]).reshape(-1, 4)


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


def assert_labels_apart(display, labels):
    """No label overlaps another or a legend, or leaves the axes, in the picture as it is saved."""
    display.figure_.canvas.draw()
    boxes, frame = boxes_of(labels), display.ax_.get_window_extent().padded(1).extents
    assert overlapping(boxes) == []
    assert (boxes[:, :2] >= frame[:2]).all()
    assert (boxes[:, 2:] <= frame[2:]).all()
    if legend := display.ax_.get_legend():
        assert overlapping(boxes, [legend.get_window_extent().extents]) == []
