"""What colours and sizes tell: values of any kind, their limits and their legends."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from sk_entity_embed.exceptions import InvalidDataError, InvalidParameterError
from sk_entity_embed.inspection.displays.coloring import (
    Coloring,
    coloring_of,
    log_ticks,
    painter,
    point_areas,
    robust_limits,
    round_counts,
    typed_values,
)
from sk_entity_embed.inspection.displays.theme import DARK, LIGHT
from tests.inspection.displays.conftest import make_column


def letters(n=4, **changes):
    """Categories a, b, c, ..."""
    return make_column(
        pd.DataFrame(np.arange(n)[:, None], index=[*"abcdefghijklmnopqrstu"[:n]]), **changes
    )


def objects(*values):
    """An object array."""
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([1.5, np.inf]), [1.5, np.nan]),
        (objects(Decimal("0.5"), 2), [0.5, 2.0]),
        (pd.array([1, None], dtype="Int64"), [1.0, np.nan]),
        (objects(date(1066, 1, 1), None), [1066.0, np.nan]),
    ],
)
def test_numbers_and_dates_are_numbers(values, expected):
    found = typed_values(np.asarray(values))
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([True, False]), ["True", "False"]),
        (objects("x", np.nan, pd.NA), ["x", None, None]),
        (objects(1, "x\ud800", 2.5), ["1", "x\ud800", "2.5"]),
    ],
)
def test_everything_else_is_a_kind(values, expected):
    found = typed_values(np.asarray(values, dtype=object))
    assert found.dtype == object
    assert found.tolist() == expected


def test_a_series_is_matched_by_category_and_other_containers_are_in_order():
    series = pd.Series([3.0, 1.0, 9.0], index=["c", "a", "zebra"], name="size")
    found = coloring_of(letters(), series)
    np.testing.assert_array_equal(found.values, [1.0, np.nan, 3.0, np.nan])
    assert (found.label, found.numeric) == ("size", True)
    for make in (list, tuple, np.array, pd.array, pd.Index):
        found = coloring_of(letters(), make(["x", "y", "x", "z"]), "letters")
        assert found.values.tolist() == ["x", "y", "x", "z"]
        assert (found.label, found.numeric) == ("letters", False)
    assert coloring_of(letters(2), (4, 2)).values.tolist() == [4.0, 2.0]  # no ("target_mean", 2)


@pytest.mark.parametrize(
    ("color", "error", "match"),
    [
        ("longitude", InvalidParameterError, "`color` .*'longitude'; pass the Series itself"),
        ("count", InvalidParameterError, "color='count' needs counts"),
        ("target_mean", InvalidParameterError, "color='target_mean' needs mean targets"),
        (np.zeros((4, 2)), InvalidDataError, r"`color` .* shape \(4, 2\)"),
        ([None, np.nan, None, None], InvalidDataError, "`color` has no value"),
    ],
)
def test_values_that_tell_nothing_are_refused(color, error, match):
    with pytest.raises(error, match=match):
        coloring_of(letters(), color)


@pytest.mark.parametrize(
    ("means", "classes", "color", "values", "label"),
    [
        ([[0.0, 5.0], [2.0, 6.0]], None, ("target_mean", 1), [5.0, 6.0], "mean target 1"),
        ([[0.5], [2.0]], None, "target_mean", [0.5, 2.0], "mean target"),
        ([0.25, 1.0], ["no", "yes"], "target_mean", [0.25, 1.0], "share of yes"),
        ([0.25, 1.0], ["no", "yes"], ("target_mean", "no"), [0.75, 0.0], "share of no"),
        ([[0.5, 0.25, 0.25], [1, 0, 0]], [7, 8, 9], ("target_mean", 8), [0.25, 0], "share of 8"),
    ],
)
def test_target_means(means, classes, color, values, label):
    found = coloring_of(letters(2, target_means=means), color, classes=classes)
    assert (found.values.tolist(), found.label) == (values, label)


@pytest.mark.parametrize(
    ("n", "classes", "color", "match"),
    [
        (2, ["x", "y"], ("target_mean", "z"), r"2 classes, but 'z' is none of them"),
        (30, None, "target_mean", r"8, 9, \.\.\.\.$"),
    ],
)
def test_one_output_of_several_has_to_be_chosen(n, classes, color, match):
    with pytest.raises(InvalidParameterError, match=match):
        coloring_of(letters(2, target_means=np.zeros((2, n))), color, classes=classes)


def test_rare_categories_do_not_set_the_limits_of_target_means():
    means = np.append(np.linspace(0.4, 0.6, 20), 1.0)
    counts = np.append(np.full(20, 100), 1)
    found = coloring_of(letters(21, target_means=means, counts=counts), "target_mean")
    assert found.limits == (0.4, 0.6)


def test_counts_are_logarithmic():
    found = coloring_of(letters(counts=[0, 10, 1000, 3]), "count")
    assert found.log
    assert found.values.tolist() == [1.0, 10.0, 1000.0, 3.0]
    assert found.limits == (1.0, 1000.0)
    assert coloring_of(letters(counts=[6] * 4), "count").limits == (3.0, 12.0)


@pytest.mark.parametrize(
    ("values", "weights", "limits"),
    [
        ([4.0, np.nan], None, (3.5, 4.5)),
        (np.append(np.zeros(98), [7.0, 7.0]), None, (0.0, 7.0)),
        (np.append(np.arange(98.0), [500.0, -500.0]), None, (0.0, 96.0)),
        (np.append(np.arange(98.0), [110.0, -20.0]), None, (-20.0, 110.0)),
        ([0.0, 1.0, 50.0], [99.0, 99.0, 1.0], (0.0, 1.0)),
        ([0.0, np.nan, 50.0], [0.0, 1.0, 0.0], (0.0, 50.0)),
    ],
)
def test_robust_limits(values, weights, limits):
    weights = None if weights is None else np.array(weights)
    assert robust_limits(np.asarray(values), weights) == limits


def test_numbers_are_painted_by_a_colour_map():
    theme = DARK
    values = np.array([1.0, np.nan, 3.0])
    paint = painter(Coloring(values, "x", limits=(2.0, 4.0)), 3, theme)
    norm = paint.mappable.norm
    assert (norm.vmin, norm.vmax) == (2.0, 4.0)
    colors = [to_hex(c) for c in paint.colors]
    assert colors[1] == theme.grid
    assert colors[2] == to_hex(theme.colormap()(0.5))
    assert paint.grey.tolist() == [False, True, False]
    for limits, extend in [
        ((1, 3), "neither"),
        ((1, 2), "max"),
        ((2, 3), "min"),
        ((2, 2.5), "both"),
    ]:
        assert painter(Coloring(values, "x", limits=limits), 3, theme).extend == extend


def test_the_seven_most_frequent_kinds_have_colours():
    values = objects(*(kind for i in range(10) for kind in [f"k{i}"] * (10 - i)), None)
    paint = painter(Coloring(values, "x"), len(values), LIGHT)
    texts = [text for _, text in paint.kinds]
    assert texts == [*(f"k{i}" for i in range(7)), "other (3 kinds)", "no value"]
    assert len({color for color, _ in paint.kinds}) == 9
    assert paint.grey.sum() == 3 + 2 + 1 + 1
    assert paint.colors[0] == LIGHT.categorical[0]
    assert paint.colors[-1] == LIGHT.grid
    paint = painter(Coloring(objects(*"abcdefgh"), "x"), 8, LIGHT)
    assert [text for _, text in paint.kinds] == list("abcdefgh")  # an eighth keeps its name


@pytest.mark.parametrize("n", [1, 1_000_000])
def test_areas_grow_with_counts_and_shrink_with_their_number(n):
    areas = point_areas(np.array([0, 1, 10, 1000]), n)
    assert (np.diff(areas) > 0).all()
    assert 2 <= areas[0] < areas[-1] <= 300
    assert (point_areas(None, n) >= 6).all()
    assert len(point_areas(None, n)) == n
    assert len(set(point_areas(np.zeros(3, dtype=int), n).tolist())) == 1


def test_round_numbers():
    cases = {(1, 17_000): [1, 100, 10_000], (0,): [0], (3, 4): [3, 4], (90, 450): [100, 200]}
    for counts, shown in cases.items():
        assert round_counts(np.array(counts)) == shown
    assert log_ticks(1, 100) == [1, 2, 5, 10, 20, 50, 100]
    assert log_ticks(6, 6) == [6]
    assert log_ticks(1, 10**9) == [10**p for p in range(10)]
