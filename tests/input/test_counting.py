"""Counts of values that come in parts."""

from __future__ import annotations

import pickle
from collections.abc import Callable

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from sk_entity_embed.input.columns import read_table
from sk_entity_embed.input.counting import ValueCounter
from sk_entity_embed.input.vocabulary import learn_vocabulary

CONTAINERS: dict[str, Callable] = {
    "text": lambda v: pd.DataFrame({"a": v}),
    "levels": lambda v: pd.DataFrame({"a": pd.Categorical(v)}),
    "polars": lambda v: pl.DataFrame({"a": pl.Series(v.tolist(), dtype=pl.Enum(sorted({*v})))}),
    "floats": lambda v: pa.table({"a": np.where(v == "1", -0.0, v.astype(float))}),
    "integers": lambda v: pa.table({"a": v.astype(np.int64)}),
    "tuples": lambda v: pd.DataFrame({"a": [(t,) for t in v]}),
    "lists": lambda v: pd.DataFrame({"a": [t.split("1") if t != "2" else [] for t in v]}),
}  # fmt: skip


def make_values(n=5_000):
    values = np.random.default_rng(0).zipf(1.4, n)
    return np.minimum(values, 10**6).astype(str)


def count(parts, max_categories=None):
    """The counter of all parts: two, one of them pickled, merged."""
    counters = [ValueCounter("a", max_categories) for _ in range(2)]
    for i, part in enumerate(parts):
        counters[i % 2].add(read_table(part).columns[0])
    first = pickle.loads(pickle.dumps(counters[0]))
    first.merge(counters[1])
    return first


@pytest.mark.parametrize("kind", CONTAINERS)
def test_parts_give_the_vocabulary_of_the_whole(kind):
    values, convert = make_values(), CONTAINERS[kind]
    column = read_table(convert(values)).columns[0]
    for options in ({}, {"min_frequency": 3}, {"max_categories": 9, "min_frequency": 0.001}):
        whole = learn_vocabulary(column, **options)
        parts = [convert(part) for part in np.array_split(values, 7)]
        defaults = {"min_frequency": None, "max_categories": None, "missing": "category"}
        found = count(parts).vocabulary(**{**defaults, **options})
        assert found.categories.tolist() == whole.categories.tolist()
        for name in ("counts", "rows", "label_counts"):
            np.testing.assert_array_equal(getattr(found, name), getattr(whole, name))
        assert (found.empty_row, found.missing_row) == (whole.empty_row, whole.missing_row)


@pytest.mark.parametrize("kind", ["text", "integers", "tuples"])
def test_a_sketch_keeps_the_frequent_values_of_many(kind):
    values, convert = make_values(40_000), CONTAINERS[kind]
    whole = learn_vocabulary(read_table(convert(values)).columns[0])
    counter = count([convert(part) for part in np.array_split(values, 5)], 20)
    assert len(whole.categories) > 10 * 20
    assert 0 < counter.largest_error < 0.01 * len(values)
    found = counter.vocabulary(min_frequency=None, max_categories=20, missing="category")
    frequent = np.sort(whole.counts)[-19:]
    assert len(found.categories) == 19
    assert found.infrequent is None
    np.testing.assert_allclose(np.sort(found.counts), frequent, atol=counter.largest_error)
    assert counter.n_cells == len(values)
    assert len(counter.cells) == 0  # none are kept beside the sketch


def test_few_values_are_counted_one_by_one():
    counter = count([pa.table({"a": ["x", "y"] * 50})], 20)
    assert counter.largest_error == 0


def test_types_of_parts_are_joined():
    parts = [pa.table({"a": pa.array(v, t)}) for v, t in (([1, 2], pa.int8()), ([2.0, 3.5], None))]
    found = count([*parts, pa.table({"a": pa.nulls(2)})]).vocabulary(
        min_frequency=None, max_categories=None, missing="category"
    )
    assert found.categories.tolist() == [1.0, 2.0, 3.5]
    assert found.label_counts.tolist() == [1, 2, 1, 2]
