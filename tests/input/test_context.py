"""Context numbers: normal scores of their ranks, shares of bins, missing ones flagged."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import stats

from sk_entity_embed.exceptions import InvalidDataError
from sk_entity_embed.input.columns import read_table
from sk_entity_embed.input.context import (
    BIN_WEIGHT,
    FEW_VALUES,
    MAX_KNOTS,
    N_BINS,
    fit_context,
    slopes,
    stack_numbers,
)


def test_columns_are_stacked_in_their_own_units():
    table = read_table(pd.DataFrame({"a": [1, 2, None], "b": [0.5, None, 1e6]}))
    numbers = stack_numbers(table.columns, 3)
    np.testing.assert_array_equal(numbers, [[1, 0.5], [2, np.nan], [np.nan, 1e6]])
    assert numbers.dtype == np.float64
    assert stack_numbers([], 3).shape == (3, 0)
    assert fit_context(np.empty((3, 0))).apply(np.empty((2, 0))).shape == (2, 0)


def test_infinity_is_refused_by_name():
    for value in (np.inf, -np.inf):
        columns = read_table(pl.DataFrame({"a": [1.0, 2.0], "b": [1.0, value]})).columns
        with pytest.raises(InvalidDataError, match="Column 'b' contains infinity"):
            stack_numbers(columns, 2)


def scaled(x, new=None):
    scaling = fit_context(x)
    return scaling.apply(x if new is None else new)


RANDOM = np.random.default_rng(0)
COLUMNS = {
    "lognormal": np.exp(3 * RANDOM.standard_normal(5000)),
    "flag": RANDOM.integers(0, 2, 5000),
    "counts": RANDOM.poisson(0.3, 5000),
    "many counts": RANDOM.poisson(30, 5000),
    "rare flag": RANDOM.random(5000) < 0.001,
    "hours": RANDOM.integers(0, 24, 5000),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_every_number_is_centered_and_rises_with_the_value(name):
    values = COLUMNS[name].astype(float)
    out = scaled(values[:, None])
    assert out.dtype == np.float32
    np.testing.assert_allclose(out.mean(axis=0, dtype=float), 0, atol=1e-3)
    assert (np.diff(out[np.argsort(values)], axis=0) >= 0).all()
    if len(np.unique(values)) < FEW_VALUES:
        assert 0.9 < np.abs(out[:, 0]).max() <= 1 + 1e-6  # a rare value is no outlier
    else:
        assert out[:, 0].std() == pytest.approx(1, abs=1e-3)
    assert (np.ptp(out[:, 1:], axis=0) == pytest.approx(BIN_WEIGHT)) or out.shape[1] == 1


def test_heavy_tails_become_normal():
    x = np.exp(3 * RANDOM.standard_normal((3000, 1)))
    assert stats.kstest(scaled(x)[:, 0], "norm").statistic < 0.02


def test_bins_lie_between_quantiles_and_give_the_share_that_a_number_has_passed():
    width = 800 / N_BINS
    x = np.arange(801.0)[:, None]
    new = np.arange(0, 801.0, 20)[:, None]
    out = scaled(x, new)
    assert out.shape == (41, 1 + N_BINS)
    shares = np.clip(new / width - np.arange(N_BINS), 0, 1)
    over_all = np.clip(x / width - np.arange(N_BINS), 0, 1).mean(axis=0)
    np.testing.assert_allclose(out[:, 1:], BIN_WEIGHT * (shares - over_all), atol=1e-6)


@pytest.mark.parametrize(
    ("values", "edges"),
    [
        ([0, 1], None),  # nothing between them to tell
        ([0, 1, 2], [0, 1, 2]),
        ([5] * 60 + [0, 6, 7], [0, 5, 6, 7]),  # most rows have the same
        ([0] * 60 + [1, 2, 3], [0, 1, 2, 3]),
        ([-1e308, 0, 1e308], [-1e308, 0, 1e308]),
    ],
)
def test_few_values_have_bins_between_all_of_them(values, edges):
    x = np.array(values, dtype=float)[:, None]
    out = scaled(x)
    assert np.isfinite(out).all()
    edges = [] if edges is None else edges
    assert out.shape[1] == max(1, len(edges))
    for j, (low, high) in enumerate(pairwise(edges), start=1):
        at_ends = scaled(x, np.array([[float(low)], [float(high)]]))[:, j]
        assert np.diff(at_ends) == pytest.approx(BIN_WEIGHT)
        assert at_ends.tolist() == [out[:, j].min(), out[:, j].max()]


def test_zeros_of_most_rows_leave_bins_for_the_others():
    out = scaled(np.append(np.zeros(900), np.arange(1.0, 101))[:, None])
    assert N_BINS / 2 < out.shape[1] - 1 <= N_BINS
    steps = np.ptp(out[900:], axis=0)[1:]
    assert (steps > 0.9 * BIN_WEIGHT).sum() > N_BINS / 2


@pytest.mark.parametrize("name", COLUMNS)
def test_numbers_are_those_of_interpolation_between_knots(name):
    values = COLUMNS[name].astype(float)[:, None]
    scaling = fit_context(values)
    knots, scores = scaling.knots[0], scaling.scores[0]
    assert scores.shape == (len(knots), scaling.n_context)
    at_knots = scaling.apply(knots[:, None])
    np.testing.assert_array_equal(at_knots, scores.astype(np.float32))
    new = np.concatenate([knots, (knots[1:] + knots[:-1]) / 2, [-1e9, 1e9, *RANDOM.random(9)]])
    for j, column in enumerate(scores.T):
        wanted = np.interp(new, knots, column).astype(np.float32)
        np.testing.assert_array_equal(scaling.apply(new[:, None])[:, j], wanted)


def test_knots_too_near_for_a_slope():
    tiny = 5e-324
    scores = np.array([[0.0, 1.0], [1.0, 1.0], [2.0, 0.0]])
    found = slopes(np.array([0.0, tiny, 1.0]), scores)
    assert found.tolist() == [[0.0, 0.0], [1.0, -1.0], [0.0, 0.0]]
    assert not slopes(np.array([-1.7e308, 1.7e308]), scores[:2]).any()


def test_each_column_is_where_it_says():
    constant, missing = np.full(5000, 3.0), np.full(5000, np.nan)
    columns = [COLUMNS["hours"], constant, COLUMNS["flag"], missing, COLUMNS["lognormal"]]
    numbers = np.column_stack([c.astype(float) for c in columns])
    numbers[:7, 4] = np.nan
    scaling = fit_context(numbers)
    out = scaling.apply(numbers)
    assert [s.shape[1] for s in scaling.scores] == [1 + N_BINS, 1, 1, 1, 1 + N_BINS]
    n = 1 + N_BINS
    assert scaling.varying == [slice(0, n), slice(n + 1, n + 2), slice(n + 3, 2 * n + 3)]
    assert out.shape == (5000, scaling.n_context) == (5000, 2 * n + 4)
    for column, where in zip((0, 2), scaling.varying, strict=False):
        np.testing.assert_array_equal(out[:, where], scaled(numbers[:, [column]]))
    assert not out[:, [n, n + 2]].any()
    np.testing.assert_allclose(out[:, -1], np.isnan(numbers[:, 4]) - 7 / 5000, atol=1e-7)


def test_later_values_stay_in_the_range_of_fit():
    out = scaled(np.arange(10.0)[:, None], np.array([[-1e9], [0.0], [9.0], [1e9]]))
    np.testing.assert_array_equal(out[[0, 3]], out[[1, 2]])
    assert (out[1] < out[2]).all()
    assert not scaled(np.full((5, 1), 2013.0), np.array([[2013.0], [2014.0], [-1.0]])).any()
    scaling = fit_context(RANDOM.standard_normal((20 * MAX_KNOTS, 1)))
    assert len(scaling.knots[0]) == MAX_KNOTS


def test_missing_numbers_are_zero_in_all_their_columns_and_a_flag_where_fit_had_some():
    x = np.array([[1.0, 5.0], [2.0, 6.0], [9.0, 7.0], [np.nan, 8.0]])
    out = scaled(x, np.append(x, [[2.0, np.nan]], axis=0))
    assert out.shape == (5, 8)  # a score and two bins, a score and three bins, a flag
    assert not out[3, :3].any()
    assert not out[4, 3:7].any()
    assert out[:3, :3].any(axis=0).all()
    np.testing.assert_allclose(out[:, 7], [-0.25, -0.25, -0.25, 0.75, -0.25])


def test_a_column_of_missing_numbers_only_is_zero_whatever_comes_later_and_has_no_flag():
    x = np.array([[1.0, np.nan], [np.nan, np.nan]])
    out = scaled(x, np.array([[1.0, np.nan], [2.0, 0.0], [np.nan, 1e300], [3.0, -1.0]]))
    assert out.shape == (4, 3)  # two numbers, and the flag of the first
    assert (out[:, 1] == 0).all()
    np.testing.assert_allclose(out[:, 2], [-0.5, -0.5, 0.5, -0.5])
