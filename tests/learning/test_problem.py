"""Training rows: which categories a table learns from."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from tests.learning.problems import make_lists, make_rows


def naive_seen(rows, codes, owners, n_rows):
    """Which rows each table sees, one item at a time."""
    seen = np.zeros((rows.n_tables, n_rows), dtype=bool)
    for code, row in zip(codes, owners, strict=True):
        for table in range(rows.n_tables):
            learns = int(rows.fold[row]) != table if rows.cross_fitted else not rows.withheld[row]
            seen[table, code] |= learns
    seen[:, 0] = True
    return seen


@pytest.mark.parametrize("lists", [False, True])
@pytest.mark.parametrize("n_tables", [1, 3])
def test_a_table_sees_the_categories_of_other_folds(n_tables, lists):
    n, n_rows = 17_000, 9_000  # more items than are worked on at a time, most of them once
    fold = (np.random.default_rng(1).permutation(n) % n_tables).astype(np.int8)
    codes = np.random.default_rng(2).integers(3, n_rows, n).astype(np.int32)
    rows = make_rows(n, n_tables, fold=fold)
    items, owners = codes, np.arange(n)
    if lists:
        column = make_lists(codes, longest=2)
        items, owners = column.items, column.rows
        rows = replace(rows, codes=[column], n_rows=[n_rows])
    else:
        rows = replace(rows, codes=[codes], n_rows=[n_rows])
    seen = rows.seen[0]
    assert 0.1 < seen.mean() < 0.99
    np.testing.assert_array_equal(seen, naive_seen(rows, items, owners, n_rows))


def test_what_tables_have_seen_takes_a_byte_each():
    n, n_rows = 100_000, 50_000
    fold = (np.arange(n) % 5).astype(np.int8)
    codes = np.random.default_rng(0).integers(3, n_rows, n).astype(np.int32)
    rows = make_rows(n, 5, fold=fold)
    tracemalloc.start()
    seen = replace(rows, codes=[codes], n_rows=[n_rows]).seen[0]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1.5 * seen.nbytes + 32 * 16_384


@pytest.mark.parametrize("n_tables", [128, 256])
def test_a_category_of_every_fold_is_seen_by_every_table(n_tables):
    rows = make_rows(
        2 * n_tables,
        n_tables,
        fold=np.arange(2 * n_tables) % n_tables,
        codes=[np.repeat([3, 4], n_tables).astype(np.int32)],
        n_rows=[6],
    )
    assert rows.seen[0][:, [3, 4]].all()
    assert not rows.seen[0][:, 5].any()
