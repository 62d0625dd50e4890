"""What colours and sizes tell: values of any kind, their limits and their legends."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from sk_entity_embed.exceptions import InvalidDataError, InvalidParameterError
from sk_entity_embed.inspection.catalogue import from_vectors
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


def catalogue(n=4, **changes):
    """Categories a, b, c, ..."""
    vectors = np.arange(n, dtype=float)[:, None]
    return from_vectors(vectors, categories=list("abcdefghijklmnopqrstuvwxyz"[:n]), **changes)


def objects(*values):
    """An object array."""
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([1, 2]), [1.0, 2.0]),
        (np.array([1.5, np.inf]), [1.5, np.nan]),
        (objects(1, None), [1.0, np.nan]),
        (objects(Decimal("0.5"), 2), [0.5, 2.0]),
        (pd.array([1, None], dtype="Int64"), [1.0, np.nan]),
        (np.array(["2000-01-01", "NaT"], dtype="datetime64[D]"), [2000.0, np.nan]),
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
        (np.array(["x", "y"]), ["x", "y"]),
        (np.array([True, False]), ["True", "False"]),
        (objects(True, None), ["True", None]),
        (objects("x", np.nan, pd.NA), ["x", None, None]),
        (objects(1, "x", 2.5), ["1", "x", "2.5"]),
        (objects(["list"], ("t",)), ["['list']", "('t',)"]),
        (pd.Categorical(["b", None]), ["b", None]),
    ],
)
def test_everything_else_is_a_kind(values, expected):
    found = typed_values(np.asarray(values, dtype=object))
    assert found.dtype == object
    assert found.tolist() == expected


@pytest.mark.parametrize("values", [np.zeros((2, 2)), objects(None, np.nan)])
def test_values_that_tell_nothing_are_refused(values):
    with pytest.raises(InvalidDataError, match="`color`"):
        typed_values(values)


def test_a_series_is_matched_by_category():
    series = pd.Series([3.0, 1.0, 9.0], index=["c", "a", "zebra"], name="size")
    found = coloring_of(catalogue(), series)
    np.testing.assert_array_equal(found.values, [1.0, np.nan, 3.0, np.nan])
    assert (found.label, found.numeric) == ("size", True)


@pytest.mark.parametrize("make", [list, tuple, np.array, pd.array, pd.Index])
def test_other_containers_are_in_order(make):
    found = coloring_of(catalogue(), make(["x", "y", "x", "z"]), "letters")
    assert found.values.tolist() == ["x", "y", "x", "z"]
    assert (found.label, found.numeric) == ("letters", False)


def test_a_pair_of_numbers_is_two_values():
    assert coloring_of(catalogue(2), (4, 2)).values.tolist() == [4.0, 2.0]


@pytest.mark.parametrize(
    ("color", "match"),
    [
        ("longitude", "pass the Series itself"),
        ("count", "needs counts"),
        ("target_mean", "needs mean targets"),
    ],
)
def test_wrong_parameters(color, match):
    with pytest.raises(InvalidParameterError, match=match):
        coloring_of(catalogue(), color)


@pytest.mark.parametrize(
    ("color", "match"),
    [
        (pd.Series([1.0], index=["zebra"]), "none of the categories"),
        ([1.0, 2.0], r"shape \(2,\)"),
        (np.zeros((4, 2)), r"shape \(4, 2\)"),
        (3, r"shape \(\)"),
    ],
)
def test_wrong_values(color, match):
    with pytest.raises(InvalidDataError, match=match):
        coloring_of(catalogue(), color)


@pytest.mark.parametrize(
    ("means", "classes", "color", "values", "label"),
    [
        ([0.0, 2.0], None, "target_mean", [0.0, 2.0], "mean target"),
        ([0.0, 2.0], None, ("target_mean", 0), [0.0, 2.0], "mean target"),
        ([[0.0, 5.0], [2.0, 6.0]], None, ("target_mean", 1), [5.0, 6.0], "mean target 1"),
        ([[0.5], [2.0]], None, "target_mean", [0.5, 2.0], "mean target"),
        ([0.25, 1.0], ["no", "yes"], "target_mean", [0.25, 1.0], "share of yes"),
        ([0.25, 1.0], ["no", "yes"], ("target_mean", "no"), [0.75, 0.0], "share of no"),
        ([[0.5, 0.25, 0.25], [1, 0, 0]], [7, 8, 9], ("target_mean", 8), [0.25, 0], "share of 8"),
    ],
)
def test_target_means(means, classes, color, values, label):
    known = catalogue(2, target_means=means)
    found = coloring_of(known, color, classes=None if classes is None else np.array(classes))
    assert (found.values.tolist(), found.label) == (values, label)


@pytest.mark.parametrize(
    ("color", "classes", "match"),
    [
        ("target_mean", None, r"has 2 outputs; choose .*\(\"target_mean\", 0\)\. There are 0, 1\."),
        ("target_mean", ["x", "y"], r"has 2 classes; choose .*\(\"target_mean\", 'x'\)"),
        (("target_mean", 2), None, "but 2 is none of them"),
        (("target_mean", "z"), ["x", "y"], "but 'z' is none of them"),
    ],
)
def test_one_output_of_several_has_to_be_chosen(color, classes, match):
    with pytest.raises(InvalidParameterError, match=match):
        coloring_of(catalogue(2, target_means=[[0.0, 5.0], [2.0, 6.0]]), color, classes=classes)


def test_an_error_lists_ten_of_many_classes():
    many = catalogue(2, target_means=np.zeros((2, 30)))
    with pytest.raises(InvalidParameterError, match=r"8, 9, \.\.\.\.$"):
        coloring_of(many, "target_mean")


def test_rare_categories_do_not_set_the_limits_of_target_means():
    means = np.append(np.linspace(0.4, 0.6, 20), 1.0)
    counts = np.append(np.full(20, 100), 1)
    found = coloring_of(catalogue(21, target_means=means, counts=counts), "target_mean")
    assert found.limits == (0.4, 0.6)


def test_counts_are_logarithmic():
    found = coloring_of(catalogue(counts=[0, 10, 1000, 3]), "count")
    assert found.log
    assert found.values.tolist() == [1.0, 10.0, 1000.0, 3.0]
    assert found.limits == (1.0, 1000.0)
    assert coloring_of(catalogue(counts=[6] * 4), "count").limits == (3.0, 12.0)


@pytest.mark.parametrize(
    ("values", "limits"),
    [
        ([0.0, 1.0, 2.0], (0.0, 2.0)),
        ([4.0, np.nan], (3.5, 4.5)),
        (np.append(np.zeros(98), [7.0, 7.0]), (0.0, 7.0)),
        (np.append(np.arange(98.0), [500.0, -500.0]), (0.0, 96.0)),
        (np.append(np.arange(98.0), [110.0, -20.0]), (-20.0, 110.0)),
    ],
)
def test_robust_limits(values, limits):
    assert robust_limits(np.asarray(values)) == limits


def test_weights_decide_what_an_outlier_is():
    values = np.array([0.0, 1.0, 50.0])
    assert robust_limits(values, np.array([99.0, 99.0, 1.0])) == (0.0, 1.0)
    assert robust_limits(values, np.array([1.0, 1.0, 1.0])) == (0.0, 50.0)


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_numbers_are_painted_by_a_colour_map(theme):
    paint = painter(Coloring(np.array([1.0, np.nan, 3.0]), "x", limits=(2.0, 4.0)), 3, theme)
    style = paint.colors(np.array([2, 0]))
    assert style["c"].tolist() == [3.0, 1.0]
    assert (style["norm"].vmin, style["norm"].vmax) == (2.0, 4.0)
    assert paint.grey.tolist() == [False, True, False]
    assert paint.extend == "min"


@pytest.mark.parametrize(
    ("limits", "extend"),
    [((1.0, 3.0), "neither"), ((1.0, 2.0), "max"), ((2.0, 3.0), "min"), ((1.5, 2.0), "both")],
)
def test_the_colour_bar_says_where_values_go_on(limits, extend):
    coloring = Coloring(np.array([1.0, 2.0, 3.0]), "x", limits=limits)
    assert painter(coloring, 3, LIGHT).extend == extend


def test_the_seven_most_frequent_kinds_have_colours():
    values = objects(*(kind for i in range(10) for kind in [f"k{i}"] * (10 - i)), None)
    paint = painter(Coloring(values, "x"), len(values), LIGHT)
    texts = [text for _, text in paint.kinds]
    assert texts == [*(f"k{i}" for i in range(7)), "other (3 kinds)", "no value"]
    assert len({color for color, _ in paint.kinds}) == 9
    assert paint.grey.sum() == 3 + 2 + 1 + 1
    first = paint.colors(np.array([0]))["c"]
    assert first.tolist() == [LIGHT.categorical[0]]


def test_an_eighth_kind_keeps_its_name():
    paint = painter(Coloring(objects(*"abcdefgh"), "x"), 8, LIGHT)
    assert [text for _, text in paint.kinds] == list("abcdefgh")


def test_without_values_there_is_one_colour():
    paint = painter(None, 3, DARK)
    assert paint.colors(np.array([0])) == {"color": DARK.point}
    assert not paint.grey.any()


@pytest.mark.parametrize("n", [1, 100, 4000, 37_000, 1_000_000])
def test_areas_grow_with_counts_and_shrink_with_their_number(n):
    areas = point_areas(np.array([0, 1, 10, 1000]), n)
    assert (np.diff(areas) > 0).all()
    assert areas[0] >= 2
    assert areas[-1] <= 300
    assert (point_areas(None, n) >= 6).all()
    assert len(point_areas(None, n)) == n


def test_areas_of_categories_that_nobody_counted():
    assert len(set(point_areas(np.zeros(3, dtype=int), 3).tolist())) == 1


@pytest.mark.parametrize(
    ("counts", "shown"),
    [([1, 17_000], [1, 100, 10_000]), ([0], [0]), ([3, 4], [3, 4]), ([90, 450], [100, 200])],
)
def test_round_counts(counts, shown):
    assert round_counts(np.array(counts)) == shown


def test_log_ticks():
    assert log_ticks(1, 100) == [1, 2, 5, 10, 20, 50, 100]
    assert log_ticks(1, 1000) == [1, 10, 100, 1000]
    assert log_ticks(6, 6) == [6]
    assert log_ticks(1, 10**9) == [10**p for p in range(10)]
