"""Colours that can be told apart, and axes whose ground decides on them."""

from __future__ import annotations

import matplotlib

matplotlib.use("Agg")
import sys
from itertools import combinations

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgb

from sk_entity_embed.exceptions import InvalidParameterError
from sk_entity_embed.inspection.displays.theme import DARK, LIGHT, prepare_axes

VISION = {
    "all": np.eye(3),
    "no red": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
    "no green": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
    "no blue": [[1.256, -0.077, -0.179], [-0.078, 0.931, 0.148], [0.005, 0.691, 0.304]],
}
"""Linear RGB as people see it, by G. M. Machado et al., IEEE TVCG 15(6), 2009."""

TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def linear(color):
    c = np.array(to_rgb(color))
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def lab(color, vision):
    """CIE L*a*b* of a colour as somebody sees it."""
    xyz = TO_XYZ @ np.clip(np.array(vision) @ linear(color), 0, 1) / [0.9505, 1.0, 1.089]
    x, y, z = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_kinds_can_be_told_apart(theme, vision):
    seen = {c: lab(c, VISION[vision]) for c in (*theme.categorical, theme.muted, theme.grid)}
    for a, b in combinations(seen, 2):
        assert np.linalg.norm(seen[a] - seen[b]) > 15, (a, b)


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_text_and_marks_stand_out_from_the_ground(theme):
    ground = TO_XYZ[1] @ linear(theme.background)
    for color, least in [(theme.ink, 12), (theme.muted, 5), (theme.point, 4), (theme.accent, 3)]:
        light, dark = sorted([TO_XYZ[1] @ linear(color), ground], reverse=True)
        assert (light + 0.05) / (dark + 0.05) > least


@pytest.mark.parametrize(
    ("ax_ground", "figure_ground", "expected"),
    [
        ("white", "black", LIGHT),
        ("black", "white", DARK),
        ("#eaeaf2", "white", LIGHT),
        ("none", "white", LIGHT),
        ("none", "black", DARK),
        ("none", "none", LIGHT),
        ((0.0, 0.0, 0.0, 0.1), "white", LIGHT),
        ((1.0, 1.0, 1.0, 0.1), "black", DARK),
    ],
)
def test_colours_go_by_what_is_seen_behind_them(ax_ground, figure_ground, expected):
    figure, ax = plt.subplots(facecolor=figure_ground)
    ax.set_facecolor(ax_ground)
    assert prepare_axes(ax, None, (1.0, 1.0)) == (figure, ax, expected)


def test_a_theme_has_its_ground():
    figure, ax = plt.subplots()
    assert prepare_axes(ax, "dark", (1.0, 1.0))[2] is DARK
    assert figure.get_facecolor()[:3] == ax.get_facecolor()[:3] == to_rgb(DARK.background)
    with pytest.raises(InvalidParameterError, match="`theme` must be"):
        prepare_axes(ax, "blue", (1.0, 1.0))


def test_settings_of_matplotlib_decide_on_a_new_figure():
    with plt.style.context("dark_background"):
        assert prepare_axes(None, None, (2.0, 1.0))[2] is DARK
    assert prepare_axes(None, None, (2.0, 1.0))[2] is LIGHT


def test_matplotlib_is_asked_for(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"pip install 'sk-entity-embed\[plot\]'"):
        prepare_axes(None, None, (1.0, 1.0))
