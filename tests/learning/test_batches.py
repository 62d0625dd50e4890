"""Batches of codes against a naive loop over rows."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sk_entity_embed.input.lists import Lists, offsets_of
from sk_entity_embed.learning.batches import CodedColumns

N, N_ROWS = 30, [7, 9, 5, 11]
CPU = torch.device("cpu")


def make_codes(seed=0):
    """A column of lists, one of single values, another of lists and another of single values."""
    rng = np.random.default_rng(seed)
    codes = []
    for j, n in enumerate(N_ROWS):
        if j % 2:
            codes.append(rng.integers(1, n, N).astype(np.int32))
        else:
            offsets = offsets_of(rng.integers(1, 6, N))
            codes.append(Lists(rng.integers(1, n, offsets[-1]).astype(np.int32), offsets))
    return codes


def items_of(codes, row):
    """Codes of a row, in order."""
    return codes[row : row + 1].items.tolist() if isinstance(codes, Lists) else [codes[row]]


ROWS = [[3], [29, 4, 4, 17, 0]]


@pytest.mark.parametrize("rows", ROWS)
def test_a_batch_holds_the_codes_of_its_rows(rows):
    codes = make_codes()
    batch = CodedColumns(codes, N, CPU).take(torch.tensor(rows))
    for j, column in enumerate(codes):
        lists = batch.list_of(j)
        if not isinstance(column, Lists):
            assert lists is None
            assert batch.cells[:, batch.places[j]].tolist() == column[rows].tolist()
            continue
        expected = [(i, item) for i, row in enumerate(rows) for item in items_of(column, row)]
        assert list(zip(lists.owners.tolist(), lists.codes.tolist(), strict=True)) == expected
        assert lists.lengths.tolist() == [len(items_of(column, row)) for row in rows]


@pytest.mark.parametrize("rows", ROWS)
def test_flat_rows_are_in_the_table_of_each_row(rows):
    codes, tables = make_codes(), np.random.default_rng(1).integers(0, 4, len(rows))
    batch = CodedColumns(codes, N, CPU).take(torch.tensor(rows))
    flat = batch.flat_rows(torch.tensor(tables), N_ROWS)
    for found, column, n in zip(flat, codes, N_ROWS, strict=True):
        expected = [
            table * n + item
            for row, table in zip(rows, tables, strict=True)
            for item in items_of(column, row)
        ]
        assert found.tolist() == expected
        assert found.dtype == torch.int64


@pytest.mark.parametrize("kept", [[0, 2], [1, 3]])
def test_columns_may_be_all_of_one_sort(kept):
    codes = [make_codes()[j] for j in kept]
    batch = CodedColumns(codes, N, CPU).take(torch.tensor([5, 2]))
    for j, column in enumerate(codes):
        lists = batch.list_of(j)
        found = batch.cells[:, batch.places[j]] if lists is None else lists.codes
        assert found.tolist() == items_of(column, 5) + items_of(column, 2)
    assert batch.cells.shape == (2, sum(not isinstance(c, Lists) for c in codes))


def test_some_codes_become_unknown_in_the_batch_alone():
    codes = make_codes()
    columns, everything = CodedColumns(codes, N, CPU), torch.arange(N)
    batch, before = columns.take(everything), columns.take(everything)
    batch.replace_some(0.3, torch.Generator().manual_seed(0))
    parts = [(batch.cells, before.cells)]
    parts += [(a.codes, b.codes) for a, b in zip(batch.lists, before.lists, strict=True)]
    for after, codes_before in parts:
        changed = after != codes_before
        assert (after[changed] == 0).all()
        assert 0.1 < changed.float().mean() < 0.5
    again = columns.take(everything)
    assert torch.equal(again.cells, before.cells)
    for one, other in zip(again.lists, before.lists, strict=True):
        assert torch.equal(one.codes, other.codes)


def test_the_longest_column_of_lists_tells_the_items_of_a_row():
    codes = make_codes()
    means = [len(c.items) / N for c in codes if isinstance(c, Lists)]
    assert CodedColumns(codes, N, CPU).items_per_row == pytest.approx(max(means))
    assert CodedColumns([codes[1]], N, CPU).items_per_row == 1
    assert CodedColumns([], N, CPU).items_per_row == 1
