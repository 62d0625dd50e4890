"""EmbeddingTable: look-up, means over folds, and the way back."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from sk_entity_embed.input.columns import read_table
from sk_entity_embed.input.lists import Lists
from sk_entity_embed.input.vocabulary import INFREQUENT, MISSING, UNKNOWN, learn_vocabulary
from sk_entity_embed.model.poolings import GRU, Mean
from sk_entity_embed.model.tables import (
    EmbeddingFrames,
    EmbeddingTable,
    gather,
    merge_tables,
)

VALUES = ["a"] * 3 + ["b"] * 3 + ["c"] * 2 + ["x", "y", None]


def make_table(values=VALUES, n_tables=3, width=2, min_frequency=2):
    """A table of normal vectors; "x" and "y" are infrequent."""
    (column,) = read_table(pd.DataFrame({"col": pd.Series(values, dtype=object)})).columns
    vocabulary = learn_vocabulary(column, min_frequency=min_frequency)
    rng = np.random.default_rng(0)
    stack = rng.standard_normal((n_tables + 1, vocabulary.n_rows, width)).astype(np.float32)
    return EmbeddingTable(vocabulary, stack, np.zeros(width, dtype=np.float32))


def names(decoded):
    """Categories with missing ones as "nan"."""
    return ["nan" if v is not None and v != v else v for v in decoded]


EXPECTED = {UNKNOWN: None, MISSING: "nan", INFREQUENT: "infrequent_sklearn", 3: "a", 4: "b", 5: "c"}


def test_frame_has_a_row_for_every_category():
    frame = make_table().frame()
    assert frame.index.name == "col"
    assert names(frame.index) == ["a", "b", "c", "x", "y", "nan"]
    table = make_table()
    np.testing.assert_array_equal(frame.loc["b"], table.vectors[4])
    np.testing.assert_array_equal(frame.loc["x"], table.vectors[INFREQUENT])
    np.testing.assert_array_equal(frame.loc["y"], table.vectors[INFREQUENT])
    np.testing.assert_array_equal(frame.iloc[-1], table.vectors[MISSING])
    assert (frame.dtypes == np.float32).all()


def test_frames_are_made_for_each_column_by_name():
    table = make_table([(1, 2), (1, 2), (3, 4), (3, 4)])  # tuples stay whole
    frames = EmbeddingFrames([table])
    assert (list(frames), len(frames)) == (["col"], 1)
    assert frames["col"].index.tolist() == [(1, 2), (3, 4)]
    assert repr(frames) == "EmbeddingFrames({'col': (2, 2)})"
    with pytest.raises(KeyError, match="x1"):
        frames["x1"]


def test_vectors_of_any_table_give_exactly_their_category():
    table = make_table()
    for vectors in table.stack:
        found = table.nearest(vectors)
        assert names(found) == [EXPECTED[row] for row in range(6)]


def test_exactness_does_not_depend_on_distance():
    table = make_table(width=3)
    table.stack[:, 4] = np.nextafter(table.stack[:, 3], np.float32(10))  # one bit apart
    table.stack[0, 3] = 1e6
    table.stack[1, 3] = table.vectors[5] + np.float32(1e-3)  # nearest to another category
    for vectors in table.stack:
        assert table.nearest(vectors[3:4]).tolist() == ["a"]


def test_a_category_is_unknown_in_a_table_that_has_not_seen_it():
    table = make_table()
    table.stack[0, 4] = table.stack[0, UNKNOWN]
    assert names(table.nearest(table.stack[0])) == [
        None,
        "nan",
        "infrequent_sklearn",
        "a",
        None,
        "c",
    ]


def test_other_vectors_give_the_nearest_served_category():
    table = make_table()
    noise = 1e-3 * np.random.default_rng(1).standard_normal(table.vectors.shape)
    found = table.nearest((table.vectors + noise).astype(np.float32))
    assert names(found) == [EXPECTED[row] for row in range(6)]
    far = np.float32(100) * table.vectors[3:4]
    distances = np.linalg.norm(table.vectors - far, axis=1)
    assert names(table.nearest(far)) == [EXPECTED[int(distances.argmin())]]


def test_unused_rows_are_never_the_nearest():
    table = make_table(["a", "a", "b", "b"])
    table.stack[:, [MISSING, INFREQUENT]] = 0.0
    table.stack[:, [UNKNOWN, 3, 4]] = 5.0 + np.arange(3, dtype=np.float32)[:, None]
    assert table.nearest(np.full((1, 2), 1e-3, np.float32)).tolist() == [None]


def test_vectors_that_are_not_finite_are_unknown():
    table = make_table()
    asked = table.vectors[3:6].copy()
    asked[0, 1], asked[2, 0] = np.nan, np.inf
    assert table.nearest(asked).tolist() == [None, "b", None]


@pytest.mark.parametrize("policy", ["unknown", "missing"])
def test_a_vector_of_nan_is_what_it_stands_for_and_never_the_nearest(policy):
    nan = np.full(2, np.nan, dtype=np.float32)
    table = replace(make_table(), **{policy: nan})
    served = table.served
    assert np.isnan(served[UNKNOWN if policy == "unknown" else MISSING]).all()
    asked = np.concatenate([served, served[3:4] + np.float32(1e-4)])
    assert names(table.nearest(asked)) == [*(EXPECTED[row] for row in range(6)), "a"]
    half = np.array([[np.nan, 1.0], [np.inf, np.inf]], dtype=np.float32)
    assert table.nearest(half).tolist() == [None, None]
    assert replace(table, unknown=nan, missing=nan).nearest(nan[None]).tolist() == [None]
    never = replace(make_table(["a", "a", "b", "b"]), missing=nan)  # fit saw none missing
    assert names(never.nearest(nan[None])) == ["nan"]


def test_the_unknown_vector_of_a_policy_comes_before_those_of_the_folds():
    table = make_table()
    vector = table.vectors[3] + np.float32(0.5)
    table.stack[0, 5] = vector
    zero = replace(table, unknown=vector)
    assert zero.nearest(vector[None]).tolist() == [None]
    assert zero.nearest(vector[None] + np.float32(1e-4)).tolist() == [None]
    same = replace(table, unknown=table.stack[-1, 3].copy())
    assert same.nearest(table.stack[-1, 3:4]).tolist() == ["a"]
    table = make_table()
    table.stack[0, 5] = table.vectors[3]  # a fold's "c" is what transform gives for "a"
    assert table.nearest(table.vectors[3:4]).tolist() == ["a"]


def test_signs_of_zeros_do_not_matter():
    table = make_table()
    table.stack[-1, 3] = 1e-3  # the nearest
    table.stack[0, 4] = 0.0  # the same
    assert table.nearest(np.full((1, 2), -0.0, np.float32)).tolist() == ["b"]
    table.stack[0, 4] = -0.0
    assert table.nearest(np.zeros((1, 2), np.float32)).tolist() == ["b"]


@pytest.mark.parametrize("n", [0, 40_000])
def test_gather_writes_columns_side_by_side_into_place(n):
    rng = np.random.default_rng(0)
    sources = [rng.standard_normal((50, w)).astype(np.float32) for w in (3, 1)]
    rows = [rng.integers(50, size=n).astype(dtype) for dtype in (np.int32, np.int64)]
    out = np.full((n, 6), -1, dtype=np.float32)
    gather(sources, rows, out[:, 1:5], [None, None])
    np.testing.assert_array_equal(out[:, 1:4], sources[0][rows[0]])
    np.testing.assert_array_equal(out[:, 4:5], sources[1][rows[1]])
    assert (out[:, [0, 5]] == -1).all()


def test_gather_does_not_depend_on_the_number_of_threads(monkeypatch):
    rng = np.random.default_rng(0)
    n = 30_000
    sources = [rng.standard_normal((50, 3)).astype(np.float32) for _ in range(3)]
    lists = Lists(rng.integers(0, 50, 2 * n), np.arange(0, 2 * n + 1, 2))
    weights = rng.standard_normal((2, 9))
    unit = GRU(rng.standard_normal((3, 9)), rng.standard_normal((3, 9)), weights[0], weights[1])
    rows, poolings = [rng.integers(0, 50, n), lists, lists], [None, Mean(), unit]
    found = []
    for n_threads in (1, 2, 3):
        limit = lambda n=n_threads: n  # noqa: E731
        monkeypatch.setattr("sk_entity_embed.input.threads._openmp_effective_n_threads", limit)
        monkeypatch.setattr("sk_entity_embed.model.tables._PARALLEL", 1000)
        out = np.empty((n, 9), dtype=np.float32)
        gather(sources, rows, out, poolings)
        found.append(out.tobytes())
    assert found[0] == found[1] == found[2]


def test_many_rows_are_merged_without_copies_of_their_tables():
    rng = np.random.default_rng(0)
    tables = rng.standard_normal((5, 50_000, 4)).astype(np.float32)
    seen = rng.random((5, 50_000)) < 0.7
    before, fixed = tables.copy(), rng.random(50_000) < 0.1
    tracemalloc.start()
    stack = merge_tables(tables, seen, fixed)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1.3 * stack.nbytes
    np.testing.assert_array_equal(tables, before)
    unknown = tables[:, 0].mean(axis=0, dtype=np.float64).astype(np.float32)
    np.testing.assert_array_equal(stack[:, 0], [unknown] * 6)
    filled = np.where((seen | fixed)[:, 1:, None], tables[:, 1:], unknown)
    np.testing.assert_array_equal(stack[:5, 1:], filled)
    seen |= fixed & ~seen.any(axis=0)
    known = seen.any(axis=0) & (np.arange(50_000) > 0)
    mean = np.average(tables[:, known], axis=0, weights=np.repeat(seen[:, known, None], 4, axis=2))
    np.testing.assert_allclose(stack[5, known], mean, rtol=1e-6, atol=1e-7)
    np.testing.assert_array_equal(stack[5, ~known], [stack[5, 0]] * (~known).sum())


def test_a_single_table_is_its_own_mean():
    tables = np.random.default_rng(0).standard_normal((1, 5, 2)).astype(np.float32)
    seen = np.array([[True, False, True, True, False]])
    stack = merge_tables(tables, seen, np.zeros(seen.shape[1], dtype=bool))
    assert stack.shape == (1, 5, 2)
    np.testing.assert_array_equal(stack[0, [0, 2, 3]], tables[0, [0, 2, 3]])
    np.testing.assert_array_equal(stack[0, [1, 4]], tables[0, [0, 0]])
