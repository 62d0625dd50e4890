"""Batches of codes against a naive loop over rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from sk_entity_embed.input.lists import Lists, offsets_of
from sk_entity_embed.learning import problem
from sk_entity_embed.learning.batches import CodedColumns, TrainingSet
from sk_entity_embed.model.heads import heads_of_folds
from tests.learning.problems import N_ROWS as SIZES
from tests.learning.problems import make_problem, make_rows

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
    rows = make_rows(N)
    for some, items in ((codes, max(means)), ([codes[1]], 1), ([], 1)):
        held = replace(rows, codes=some, n_rows=[1000] * len(some))
        assert held.items_per_row == pytest.approx(items)


# Rows dealt to steps and heads -------------------------------------------------------------


def make_numbered(n_tables, n_heads, **settings):
    """Rows whose context is their number, and a set of them that deals few steps at once."""
    rows, start, config = make_problem("plain", n_tables, n_heads=n_heads, **settings)
    rows = replace(rows, context=np.arange(60, dtype=np.float32)[:, None])
    dealt = TrainingSet(rows, config, start.shrinks, torch.Generator().manual_seed(0))
    dealt._steps_at_once = 3
    return rows, dealt


def steps_of(dealt):
    """All steps of an iteration."""
    return [step for chunk in dealt.iteration() for step in chunk()]


@pytest.mark.parametrize(
    ("n_tables", "n_heads", "batch_size"),
    [(3, 3, 7), (5, 2, 7), (5, 3, 16), (5, 5, 1), (7, 3, 60), (3, 1, 8), (1, 1, 8)],
)
def test_both_halves_of_a_step_are_in_the_order_of_the_heads(n_tables, n_heads, batch_size):
    rows, dealt = make_numbered(n_tables, n_heads, batch_size=batch_size)
    serving, met = heads_of_folds(n_tables, n_heads), []
    n = (~rows.withheld).sum()
    steps = steps_of(dealt)
    assert len(steps) == dealt.n_steps == -(-n // batch_size)
    for step in steps:
        numbers = step.context[:, 0].to(torch.int64).numpy()
        counts = step.weights.numpy() > 0
        np.testing.assert_allclose(step.weights.numpy()[counts], rows.weights[numbers[counts]])
        np.testing.assert_array_equal(step.target.numpy(), rows.target[numbers])
        halves = slice(0, step.n_own), slice(step.n_own, len(step))
        for at, n_rows, own in zip(halves, step.n_rows, (True, False), strict=True):
            assert n_rows == counts[at].sum() > 0
            which, table = numbers[at], step.flat[0][at].numpy() // SIZES[0]
            heads = np.repeat(np.arange(n_heads), len(which) // n_heads)  # as many for each
            fold, counting = rows.fold[which], counts[at]
            if own:
                assert (table == fold).all()
                assert n_heads == 1 or (heads != serving[fold])[counting].all()
            else:
                assert n_tables == 1 or (table != fold)[counting].all()
                assert (heads == serving[table])[counting].all()
            met += [*zip([own] * n_rows, which[counting], strict=True)]
            # A step is as full as its fullest head, and filled up by nothing more.
            most = np.bincount(heads[counting]).max()
            assert len(which) // n_heads <= most + 1
        assert not any(s[~counts[step.n_own :]].any() for s in step.shrinkage)
    each = np.flatnonzero(~rows.withheld).tolist()
    assert sorted(met) == [*((False, row) for row in each), *((True, row) for row in each)]
    for half in range(2):
        sizes = [step.n_rows[half] for step in steps]
        assert max(sizes) - min(sizes) <= 2  # one within the steps that are dealt at once


def test_rows_teach_all_tables_and_heads_but_their_own():
    rows, dealt = make_numbered(5, 3, batch_size=60)
    met = set()
    for _ in range(40):
        (step,) = steps_of(dealt)
        counts = step.weights.numpy() > 0
        fold = rows.fold[step.context[:, 0].to(torch.int64).numpy()]
        heads = np.repeat(np.arange(3), step.n_own // 3)
        own, others = counts[: step.n_own], counts[step.n_own :]
        tables = step.flat[0].numpy()[step.n_own :] // SIZES[0]
        met |= {("head", *pair) for pair in zip(fold[: step.n_own][own], heads[own], strict=True)}
        met |= {("table", *p) for p in zip(fold[step.n_own :][others], tables[others], strict=True)}
    serving = heads_of_folds(5, 3)
    wanted = {("head", f, h) for f in range(5) for h in range(3) if h != serving[f]}
    assert met == wanted | {("table", f, g) for f in range(5) for g in range(5) if f != g}


@pytest.mark.parametrize("kind", ["plain", "dot"])
def test_parts_of_a_pass_have_each_row_once_and_go_on_from_a_state(kind, monkeypatch):
    monkeypatch.setattr(problem, "ROWS_AN_ITERATION", 25)
    rows, start, config = make_problem(kind, batch_size=4)
    rows = replace(rows, context=np.arange(60, dtype=np.float32)[:, None])

    def make(seed):
        generator = torch.Generator().manual_seed(seed)
        return TrainingSet(rows, config, start.shrinks, generator)

    def numbers(dealt):
        return [step.context[step.weights > 0, 0].tolist() for step in steps_of(dealt)]

    def halves(dealt):
        for step in steps_of(dealt):
            for at in (slice(0, step.n_own), slice(step.n_own, None)):
                yield step.context[at][step.weights[at] > 0, 0].tolist()

    dealt = make(0)
    assert dealt.n_parts == -(-(~rows.withheld).sum() // 25) > 1
    for _ in range(2):
        parts = [list(halves(dealt)) for _ in range(dealt.n_parts)]
        learned = sorted(row for part in parts for half in part[::2] for row in half)
        taught = sorted(row for part in parts for half in part[1::2] for row in half)
        assert learned == np.flatnonzero(~rows.withheld).tolist()
        assert taught == list(range(60))  # withheld rows teach the tables
    numbers(dealt)  # the first part of the next pass
    state, drawn = dealt.state_dict(), dealt.generator.get_state()
    other = make(1)
    other.load_state_dict(state)
    other.generator.set_state(drawn)
    for _ in range(dealt.n_parts + 1):
        assert numbers(other) == numbers(dealt)
