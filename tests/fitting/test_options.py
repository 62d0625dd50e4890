"""Parameters that differ by column, and how long a training runs."""

from __future__ import annotations

import numpy as np
import pytest

from sk_entity_embed.exceptions import InvalidParameterError
from sk_entity_embed.fitting import options
from sk_entity_embed.fitting.options import (
    RULES,
    by_column,
    max_iter,
    min_iter,
    n_heads,
    resolve_dimensions,
    resolve_max_length,
    resolve_pooling,
    rows_a_step,
)
from sk_entity_embed.learning.problem import ROWS_AN_ITERATION
from sk_entity_embed.model.heads import DotHead, MLPHead
from sk_entity_embed.model.heads.dot import dot_width
from sk_entity_embed.model.poolings import GRU, Max, Mean, Sum

NAMES, POSITIONS = ["words", "history"], [1, 4]
CARDINALITIES = [16, 105]


def dimensions_of(dimensions):
    """Widths of the two columns."""
    return resolve_dimensions(dimensions, NAMES, CARDINALITIES, POSITIONS)


@pytest.mark.parametrize(
    ("rule", "widths"),
    [
        ("fastai", [2, 2, 3, 8, 21, 278, 600]),
        ("auto", [2, 2, 3, 8, 10, 10, 10]),
        ("fourth_root", [1, 2, 2, 3, 4, 10, 32]),
        ("half", [1, 1, 2, 9, 50, 50, 50]),
    ],
)
def test_named_rules(rule, widths):
    cardinalities = [1, 2, 3, 17, 101, 10_000, 10**6]
    assert resolve_dimensions(rule, [f"x{i}" for i in range(7)], cardinalities) == widths


@pytest.mark.parametrize(
    ("dimensions", "expected"),
    [
        (np.int64(7), [7, 7]),
        ({4: 4}, [RULES["auto"](16), 4]),
        ({"history": 1, 1: np.int32(9)}, [9, 1]),
        (lambda n: n // 4, [4, 26]),
    ],
)
def test_widths_can_be_given(dimensions, expected):
    found = dimensions_of(dimensions)
    assert found == expected
    assert {type(w) for w in found} == {int}


@pytest.mark.parametrize("width", [0, 2.5, True, None])
def test_widths_that_are_no_positive_integers_are_refused(width):
    for dimensions in ({"history": width}, lambda n: width if n > 20 else 3):
        with pytest.raises(
            InvalidParameterError, match=r"`dimensions` gives .* for column 'history'"
        ):
            dimensions_of(dimensions)


def test_dot_products_are_as_wide_as_half_the_second_largest():
    for cardinalities, width in (([2, 9000], 1), ([3, 16, 105], 8), ([5000, 700, 800], 50)):
        assert dot_width(cardinalities) == dot_width(cardinalities[::-1]) == width


@pytest.mark.parametrize(
    ("pooling", "expected"),
    [
        ("gru", [GRU, GRU]),
        ({1: "sum", "history": "max"}, [Sum, Max]),
        ({np.int64(4): "gru"}, [Mean, GRU]),
    ],
)
def test_poolings_by_column(pooling, expected):
    assert resolve_pooling(pooling, NAMES, POSITIONS) == expected
    assert not isinstance(pooling, str) or resolve_pooling(pooling, [], []) == []


@pytest.mark.parametrize("pooling", ["median", 3, None, ["mean"]])
def test_unknown_poolings_name_the_column(pooling):
    message = r"`pooling` is .* for the lists in column 'history'; it must be one of \['mean'"
    with pytest.raises(InvalidParameterError, match=message):
        resolve_pooling({4: pooling}, NAMES, POSITIONS)


@pytest.mark.parametrize("names", [NAMES, []])
def test_an_unknown_pooling_for_all_is_refused_even_where_there_are_no_lists(names):
    with pytest.raises(InvalidParameterError, match=r"`pooling` is 'median'.*must be one of"):
        resolve_pooling("median", names, POSITIONS[: len(names)])


@pytest.mark.parametrize(
    ("max_length", "expected"),
    [
        (None, [None, None]),
        (np.int32(7), [7, 7]),
        (10**30, [2**62, 2**62]),
        ({"history": 3}, [None, 3]),
        ({1: 2, "history": None}, [2, None]),
    ],
)
def test_lengths_by_column(max_length, expected):
    found = resolve_max_length(max_length, NAMES, POSITIONS)
    assert found == expected
    assert {type(n) for n in found} <= {int, type(None)}


@pytest.mark.parametrize("length", [0, 2.0, True])
def test_lengths_that_are_no_positive_integers_name_the_column(length):
    message = r"`max_length` is .* for the lists in column 'words'; it must be a positive integer"
    with pytest.raises(InvalidParameterError, match=message):
        resolve_max_length({"words": length}, NAMES, POSITIONS)


@pytest.mark.parametrize("key", ["city", 0, 1.5])
def test_keys_that_name_no_column_are_refused(key):
    for parameter, kind in (("pooling", "column of lists"), ("dimensions", "categorical column")):
        message = rf"`{parameter}` names {key!r}, which is not a {kind}: \['words', 'history'\]"
        with pytest.raises(InvalidParameterError, match=message):
            by_column({key: 3}, parameter, NAMES, POSITIONS)


def test_a_column_is_named_once_and_names_win_over_positions_of_the_same_spelling():
    with pytest.raises(InvalidParameterError, match=r"`pooling`.*name and by its position.*'hist"):
        resolve_pooling({"history": "gru", 4: "mean"}, NAMES, POSITIONS)
    assert by_column({"1": 7}, "dimensions", ["1", "a"], [0, 1]) == {"1": 7}
    assert by_column({1: 7}, "dimensions", ["1", "a"], [0, 1]) == {"a": 7}


# How long a training runs ------------------------------------------------------------------


def test_rows_a_step_are_a_power_of_two_that_gives_some_dozens_of_steps_a_pass():
    for n in (1_500, 10_000, 40_000, 80_000):
        rows = rows_a_step("auto", n)
        assert rows & (rows - 1) == 0
        assert 27 <= n / rows < 54
    assert [rows_a_step("auto", n) for n in (1, 60, 10**7)] == [32, 32, 2048]
    assert rows_a_step(np.int64(7), 10**7) == 7


def passes_of(n, n_levels=5):
    """Passes over so many rows at most."""
    iterations = max_iter("auto", n, n_levels, rows_a_step("auto", n), [MLPHead])
    return iterations / -(-n // ROWS_AN_ITERATION)


def test_few_rows_are_gone_over_many_times_and_many_rows_seldom():
    passes = [passes_of(n) for n in (200, 2_000, 40_000, 200_000, 10**6, 10**7)]
    assert passes == sorted(passes, reverse=True)
    assert passes[0] == passes[1] == options._MOST_PASSES
    # as the root of the rows, whether or not a pass is divided into iterations
    for n in (100_000, 200_000, 10**6, 10**7):
        assert passes_of(n) == pytest.approx(passes_of(n // 4) / 2, rel=0.1)


def test_columns_of_rare_levels_are_gone_over_some_times_at_least():
    n, least = 10**7, options._LEAST_PASSES
    assert passes_of(n) < 0.2 * least
    assert passes_of(n, n // 8) == pytest.approx(least / 2, rel=0.1)  # eight rows each
    assert passes_of(n, n // 4) == passes_of(n, n // 2) == pytest.approx(least, rel=0.1)
    assert passes_of(1_000, 1_000) == options._MOST_PASSES


def test_given_iterations_are_kept():
    assert max_iter(7, 10**6, 5, 32, [MLPHead, GRU]) == 7
    assert type(max_iter(np.int64(7), 10, 5, 32, [MLPHead])) is int


@pytest.mark.parametrize("kind", [GRU, DotHead])
def test_kinds_that_need_steps_get_them_whatever_the_rows(kind):
    n, rows = 300, 32
    a_pass = -(-n // rows)
    assert kind.steps.least > 0
    assert max_iter("auto", n, 5, rows, [MLPHead, kind]) == -(-kind.steps.least // a_pass)
    assert min_iter(n, rows, [MLPHead, kind]) == -(-kind.steps.before_patience // a_pass)
    assert min_iter(n, rows, [MLPHead]) == 0
    # An iteration over many rows is a part of a pass.
    many, an_iteration = 4 * ROWS_AN_ITERATION, ROWS_AN_ITERATION / 2048
    steps = min_iter(many, 2048, [kind]) * an_iteration
    assert kind.steps.before_patience <= steps < kind.steps.before_patience + 2 * an_iteration


def test_heads_are_as_many_as_folds_of_few_rows_and_fewer_of_many():
    found = [n_heads(n, 5, MLPHead) for n in (100, 49_999, 50_000, 199_999, 200_000, 10**8)]
    assert found == [5, 5, 3, 3, 2, 2]
    assert [n_heads(10**8, n, MLPHead) for n in (1, 2, 3)] == [1, 2, 2]
    assert [n_heads(n, 5, DotHead) for n in (100, 10**8)] == [1, 1]
