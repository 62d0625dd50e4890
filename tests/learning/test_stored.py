"""Training rows in files: the same rows, weights and steps as those in memory."""

from __future__ import annotations

import threading
from dataclasses import replace
from itertools import chain

import numpy as np
import pytest
import torch

from sk_entity_embed.input.lists import Lists
from sk_entity_embed.learning import problem, stored
from sk_entity_embed.learning.batches import TrainingSet
from sk_entity_embed.learning.stored import RowFiles, StoredRows
from tests.learning.problems import KINDS, make_problem


def store(folder, rows, window_rows, *, block=17):
    """The same rows in files, written in several blocks."""
    folder.mkdir(parents=True, exist_ok=True)
    of_lists = [isinstance(codes, Lists) for codes in rows.codes]
    n_targets = rows.target.shape[1]
    files = RowFiles(folder, rows.n_rows, of_lists, rows.n_context, n_targets)
    for start in range(0, rows.n_samples, block):
        part = rows.take(np.arange(start, min(start + block, rows.n_samples)))
        files.append(
            part.codes,
            context=part.context,
            target=part.target,
            weights=2.0 * part.weights,
            fold=part.fold,
            validation=part.validation,
        )
    return StoredRows(
        files,
        n_tables=rows.n_tables,
        mean_weight=2.0,
        withholds=rows.n_withheld > 0,
        window_rows=window_rows,
    )


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(stored, "BLOCK_ROWS", 23)
    monkeypatch.setattr(stored, "CHUNK_ROWS", 4)


def numbered(kind, n_tables=3):
    """Rows whose context is their number."""
    rows, start, config = make_problem(kind, n_tables, batch_size=4)
    return replace(rows, context=np.arange(60, dtype=np.float32)[:, None]), start, config


def assert_equal(found, wanted):
    for name in ("context", "target", "weights", "fold", "validation", "withheld"):
        np.testing.assert_array_equal(getattr(found, name), getattr(wanted, name))
    for codes, others in zip(found.codes, wanted.codes, strict=True):
        if isinstance(others, Lists):
            np.testing.assert_array_equal(codes.offsets, others.offsets)
            codes, others = codes.items, others.items
        np.testing.assert_array_equal(codes, others)


@pytest.mark.parametrize("n_tables", [1, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_rows_in_files_are_the_rows(tmp_path, small_blocks, kind, n_tables):
    rows, _, _ = numbered(kind, n_tables)
    held = store(tmp_path, rows, 20)
    assert (held.n_samples, held.n_windows, held.n_context) == (60, 3, 1)
    assert held.n_withheld == rows.n_withheld
    assert held.items_per_row == pytest.approx(rows.items_per_row)
    seen = 0
    for block in held.blocks():
        n = block.n_samples
        assert_equal(block, rows.take(np.arange(seen, seen + n)))
        seen += n
    assert seen == 60
    judges, places = held.judges()
    assert_equal(judges.take(places), rows.take(np.flatnonzero(rows.validation)))
    assert_equal(held.some(7), rows.some(7))
    for of_rows in ("seen", "table_weights", "label_weights"):
        found, wanted = (getattr(r, of_rows) for r in (held, rows))
        found, wanted = (found, wanted) if of_rows == "seen" else (found(), wanted())
        for one, other in zip(found, wanted, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-6)
    np.testing.assert_allclose(held.mean_target()[0], rows.mean_target()[0])


def numbers_of(dealt, own):
    """Numbers of the rows that teach heads, or tables, in an iteration."""
    found = []
    for chunk in dealt.iteration():
        for step in chunk():
            at = slice(0, step.n_own) if own else slice(step.n_own, None)
            found += step.context[at][step.weights[at] > 0, 0].tolist()
    return found


@pytest.mark.parametrize("kind", ["plain", "dot"])
def test_each_pass_has_each_row_once_in_another_order(tmp_path, small_blocks, kind, monkeypatch):
    monkeypatch.setattr(problem, "ROWS_AN_ITERATION", 10)
    rows, start, config = numbered(kind)
    held = store(tmp_path, rows, 20)
    dealt = TrainingSet(held, config, start.shrinks, torch.Generator().manual_seed(0))
    passes = []
    for _ in range(2):
        learned = [numbers_of(dealt, own=True) for _ in range(dealt.n_parts)]
        assert sorted(chain(*learned)) == np.flatnonzero(~rows.withheld).tolist()
        passes.append(learned)
    assert passes[0] != passes[1]
    # Parts of a window have its rows, which are of chunks from all over the rows.
    first = sorted(chain(*passes[0][: len(passes[0]) // 3]))
    assert len(first) < 60 / 2
    assert np.ptp(first) > 20


def test_small_windows_share_an_iteration(tmp_path, small_blocks):
    rows, start, config = numbered("plain")
    held = store(tmp_path, rows, 12)
    dealt = TrainingSet(held, config, start.shrinks, torch.Generator().manual_seed(0))
    assert held.n_windows == 5
    assert dealt.n_steps == sum(len(chunk()) for chunk in dealt.iteration())
    assert sorted(numbers_of(dealt, own=False)) == list(range(60))


def test_a_pass_goes_on_from_a_state(tmp_path, small_blocks, monkeypatch):
    monkeypatch.setattr(problem, "ROWS_AN_ITERATION", 10)
    rows, start, config = numbered("plain")

    def make(seed):
        held = store(tmp_path / str(seed), rows, 20)
        return TrainingSet(held, config, start.shrinks, torch.Generator().manual_seed(seed))

    dealt = make(0)
    for taken in range(dealt.n_parts + 1):
        other = make(taken + 1)
        other.load_state_dict(dealt.state_dict())
        other.generator.set_state(dealt.generator.get_state())
        drawn = dealt.generator.get_state()
        state = dealt.state_dict()
        for _ in range(dealt.n_parts):
            assert numbers_of(other, own=True) == numbers_of(dealt, own=True)
        dealt.load_state_dict(state)
        dealt.generator.set_state(drawn)
        numbers_of(dealt, own=True)


def test_one_window_gives_the_steps_of_rows_in_memory(tmp_path):
    rows, start, config = numbered("mean")
    steps = []
    for each in (rows, store(tmp_path, rows, 60)):
        generator = torch.Generator().manual_seed(0)
        dealt = TrainingSet(each, config, start.shrinks, generator)
        steps.append([step for chunk in dealt.iteration() for step in chunk()])
    for one, other in zip(*steps, strict=True):
        for name in ("context", "target", "weights"):
            assert torch.equal(getattr(one, name), getattr(other, name))
        assert all(map(torch.equal, one.flat, other.flat))


def test_the_next_window_is_read_while_steps_are_taken(tmp_path, small_blocks, monkeypatch):
    rows, start, config = numbered("plain")
    held = store(tmp_path, rows, 20)
    read, threads = held.window, []

    def noted(order, number):
        threads.append((number, threading.current_thread() is threading.main_thread()))
        return read(order, number)

    monkeypatch.setattr(held, "window", noted)
    dealt = TrainingSet(held, config, start.shrinks, torch.Generator().manual_seed(0))
    for _ in range(2):
        assert sorted(numbers_of(dealt, own=False)) == list(range(60))
    assert threads == 2 * [(0, True), (1, False), (2, False)]


def test_a_window_that_cannot_be_read_ends_the_training(tmp_path, small_blocks, monkeypatch):
    rows, start, config = numbered("plain")
    held = store(tmp_path, rows, 20)
    read = held.window

    def failing(order, number):
        if number == 1:
            raise OSError("the disk is gone")
        return read(order, number)

    monkeypatch.setattr(held, "window", failing)
    dealt = TrainingSet(held, config, start.shrinks, torch.Generator().manual_seed(0))
    with pytest.raises(OSError, match="the disk is gone"):
        numbers_of(dealt, own=False)
