"""Legends: what sizes mean, and where they go."""

from __future__ import annotations

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pytest

from sk_entity_embed.inspection.displays.coloring import painter, point_areas
from sk_entity_embed.inspection.displays.keys import dot, draw_legend, draw_legends, size_keys
from sk_entity_embed.inspection.displays.theme import DARK, LIGHT


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def test_sizes_are_those_of_the_points():
    counts = np.array([1, 10, 100])
    keys = size_keys(counts, LIGHT)
    assert [text for _, text in keys] == ["1", "10", "100 rows"]
    sizes = [handle.get_markersize() ** 2 for handle, _ in keys]
    np.testing.assert_allclose(sizes, point_areas(counts, 3))
    assert size_keys(None, LIGHT) == []
    assert [text for _, text in size_keys(counts, LIGHT, "item")] == ["1", "10", "100 items"]
    assert [text for _, text in size_keys(counts[:1], LIGHT, "item")] == ["1 item"]


def test_large_points_do_not_meet_each_other_or_the_text():
    _, ax = plt.subplots()
    legend = draw_legend(ax, [(dot("red", 300.0), "a $b$"), (dot("red", 300.0), "_c")], DARK)
    ax.figure.canvas.draw()
    texts = [text.get_window_extent() for text in legend.get_texts()]
    point = np.sqrt(300.0) * ax.figure.dpi / 72
    assert abs(texts[0].y0 - texts[1].y0) >= 0.95 * point
    assert texts[0].x0 - legend.get_window_extent().x0 > point
    assert [text.get_text() for text in legend.get_texts()] == ["a $b$", "_c"]


def test_nothing_to_explain_has_no_legend():
    _, ax = plt.subplots()
    paint = painter(None, 2, LIGHT)
    assert draw_legends(ax, np.zeros((2, 2)), None, paint, [], LIGHT) == (None, None)


def test_one_entry_wider_than_the_axes_is_one_column():
    _, ax = plt.subplots(figsize=(2, 2), layout="constrained")
    keys = [(dot("red"), "x" * 60), (dot("blue"), "y")]
    legend, _ = draw_legends(ax, np.zeros((2, 2)), None, painter(None, 2, LIGHT), keys, LIGHT)
    assert legend._ncols == 1
