"""Context numbers: normal scores of their ranks, missing ones flagged."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import stats

from sk_entity_embed.exceptions import InvalidDataError
from sk_entity_embed.input.columns import read_table
from sk_entity_embed.input.context import MAX_KNOTS, fit_context, stack_numbers


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


@pytest.mark.parametrize(
    "values",
    [
        np.exp(3 * RANDOM.standard_normal(5000)),
        RANDOM.integers(0, 2, 5000),
        RANDOM.poisson(0.3, 5000),
        (RANDOM.random(5000) < 0.001).astype(float),
    ],
    ids=["lognormal", "flag", "counts", "rare flag"],
)
def test_every_column_has_mean_zero_and_width_one(values):
    out = scaled(values.astype(float)[:, None])
    assert out.dtype == np.float32
    assert abs(out.mean()) < 1e-3
    assert out.std() == pytest.approx(1, abs=1e-3)
    assert (np.diff(out[np.argsort(values), 0]) >= 0).all()


def test_heavy_tails_become_normal():
    x = np.exp(3 * RANDOM.standard_normal((3000, 1)))
    assert stats.kstest(scaled(x)[:, 0], "norm").statistic < 0.02


def test_later_values_stay_in_the_range_of_fit():
    out = scaled(np.arange(10.0)[:, None], np.array([[-1e9], [0.0], [9.0], [1e9]]))
    assert out[0] == out[1] < out[2] == out[3]
    assert not scaled(np.full((5, 1), 2013.0), np.array([[2013.0], [2014.0], [-1.0]])).any()
    scaling = fit_context(RANDOM.standard_normal((20 * MAX_KNOTS, 1)))
    assert len(scaling.knots[0]) == MAX_KNOTS


def test_missing_numbers_are_the_mean_score_and_a_flag_where_fit_had_some():
    x = np.array([[1.0, 5.0], [2.0, 6.0], [9.0, 7.0], [np.nan, 8.0]])
    out = scaled(x, np.append(x, [[2.0, np.nan]], axis=0))
    assert out.shape == (5, 3)
    assert out[3, 0] == out[4, 1] == 0.0
    np.testing.assert_allclose(out[:, 2], [-0.25, -0.25, -0.25, 0.75, -0.25])


def test_a_column_of_missing_numbers_only_is_zero_whatever_comes_later_and_has_no_flag():
    x = np.array([[1.0, np.nan], [np.nan, np.nan]])
    out = scaled(x, np.array([[1.0, np.nan], [2.0, 0.0], [np.nan, 1e300], [3.0, -1.0]]))
    assert out.shape == (4, 3)  # two numbers, and the flag of the first
    assert (out[:, 1] == 0).all()
    np.testing.assert_allclose(out[:, 2], [-0.5, -0.5, 0.5, -0.5])
