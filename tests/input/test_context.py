"""Context numbers: medians for missing ones, normal quantiles."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from sk_entity_embed.exceptions import InvalidDataError
from sk_entity_embed.input.columns import read_table
from sk_entity_embed.input.context import apply_context, fit_context, stack_numbers


def test_columns_are_stacked_in_their_own_units(container):
    table = read_table(container({"a": [1, 2, None], "b": [0.5, None, 1e6]}))
    numbers = stack_numbers(table.columns, 3)
    np.testing.assert_array_equal(numbers, [[1, 0.5], [2, np.nan], [np.nan, 1e6]])
    assert numbers.dtype == np.float64


def test_no_columns_are_an_empty_block():
    assert stack_numbers([], 3).shape == (3, 0)


@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_infinity_is_refused_by_name(container, value):
    columns = read_table(container({"a": [1.0, 2.0], "b": [1.0, value]})).columns
    with pytest.raises(InvalidDataError, match=f"'{columns[1].name}' contains infinity"):
        stack_numbers(columns, 2)


def test_quantiles_become_normal_whatever_the_tail():
    x = np.exp(3 * np.random.default_rng(0).standard_normal((3000, 1)))
    scaled = apply_context(fit_context(x, ["x"], 0), x)
    assert scaled.dtype == np.float32
    inner = scaled[np.abs(scaled) < 5]
    assert stats.kstest(inner, "norm").statistic < 0.02
    assert np.array_equal(np.argsort(scaled[:, 0], kind="stable"), np.argsort(x[:, 0]))


def test_missing_numbers_become_the_median_and_a_flag():
    x = np.array([[1.0, 5.0], [2.0, 6.0], [9.0, 7.0], [np.nan, 8.0]])
    scaled = apply_context(fit_context(x, ["a", "b"], 0), x)
    assert scaled.shape == (4, 3)
    assert scaled[3, 0] == pytest.approx(scaled[1, 0])
    assert len(np.unique(scaled[:3, 2])) == 1
    assert scaled[3, 2] != scaled[0, 2]


def test_new_missing_numbers_are_imputed_without_a_flag():
    pipeline = fit_context(np.array([[1.0], [2.0], [9.0]]), ["a"], 0)
    scaled = apply_context(pipeline, np.array([[np.nan], [2.0], [-1e9]]))
    assert scaled.shape == (3, 1)
    assert scaled[0] == scaled[1]
    assert np.isfinite(scaled).all()


def test_constant_columns_are_finite():
    scaled = apply_context(fit_context(np.ones((5, 1)), ["a"], 0), np.array([[1.0], [2.0]]))
    assert np.isfinite(scaled).all()


def test_a_column_of_missing_numbers_only_is_refused_by_name():
    x = np.array([[1.0, np.nan], [2.0, np.nan]])
    with pytest.raises(InvalidDataError, match="'b' has only missing values"):
        fit_context(x, ["a", "b"], 0)


def test_scaling_follows_the_seed_only():
    x = np.random.default_rng(0).standard_normal((20_000, 1))  # more rows than are sampled
    first, again, other = (apply_context(fit_context(x, ["a"], s), x) for s in (1, 1, 2))
    assert first.tobytes() == again.tobytes()
    assert first.tobytes() != other.tobytes()


def test_no_pipeline_gives_no_columns():
    assert apply_context(None, np.empty((3, 0))).shape == (3, 0)
