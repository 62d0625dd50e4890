"""Several workers train as one."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from sk_entity_embed.learning import problem
from sk_entity_embed.learning.exchange import SharedSteps
from sk_entity_embed.learning.learn import learn
from sk_entity_embed.learning.parting import PartedKeeper
from sk_entity_embed.learning.sharding import Shard
from tests.learning.problems import KINDS, make_lists, make_problem, make_rows
from tests.learning.workers import on_processes, on_threads, parts_of


def arrays_of(found):
    """All numbers that a training found."""
    tables, result = found
    parts = [*tables, result.loss_curve]
    if result.validation_loss_curve is not None:
        parts.append(result.validation_loss_curve)
    for value in (result.head, *(p for p in result.poolings if p is not None)):
        parts += [getattr(value, name) for name in type(value).__slots__]
    flat = [a for part in parts for a in (part if isinstance(part, tuple) else (part,))]
    return [a for a in flat if isinstance(a, np.ndarray)]


def train(rows, start, config, exchange=None):
    tables = [table.copy() for table in start.tables]
    rows = rows if exchange is None else Shard(rows, exchange)
    return tables, learn(tables, rows, start.point, config, exchange=exchange)


def train_shards(kind, sizes, **settings):
    rows, start, config = make_problem(kind, **settings)
    parts = parts_of(rows, sizes)
    return on_threads(
        lambda exchange: train(parts[exchange.rank], start, config, exchange), len(sizes)
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("batch_size", [7, 40])  # tables exchanged by row, or as a whole
def test_workers_have_the_same_numbers_to_the_bit(kind, batch_size):
    first, *others = train_shards(
        kind, [25, 20, 15], dropout=0.3, unknown_rate=0.1, batch_size=batch_size
    )
    for other in others:
        for a, b in zip(arrays_of(first), arrays_of(other), strict=True):
            np.testing.assert_array_equal(a, b)


def test_processes_have_the_same_numbers_to_the_bit(tmp_path):
    code = """
import numpy as np
from tests.learning.problems import make_problem
from tests.learning.test_exchange import arrays_of, train
from tests.learning.workers import parts_of
rows, start, config = make_problem("mean", dropout=0.3, batch_size=8)
found = arrays_of(train(parts_of(rows, [35, 25])[rank], start, config, exchange))
np.savez(f"{folder}/{rank}", *found, n_bytes=exchange.n_bytes)
"""
    on_processes(code, 2, tmp_path)
    first, second = (dict(np.load(tmp_path / f"{rank}.npz")) for rank in range(2))
    del first["n_bytes"], second["n_bytes"]
    assert len(first) > 4
    assert all((first[name] == second[name]).all() for name in first)
    # As threads find it, which add up in the same order.
    in_threads = train_shards("mean", [35, 25], dropout=0.3, batch_size=8)[0]
    for a, b in zip(arrays_of(in_threads), first.values(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)


def test_workers_that_draw_nothing_train_as_one():
    # One step an iteration, one table, one head: neither order nor choice is left to chance.
    settings = {"n_tables": 1, "n_heads": 1, "batch_size": 1000, "max_iter": 6}
    rows, start, config = make_problem("plain", **settings)
    alone = train(rows, start, config)
    together = train_shards("plain", [37, 23], **settings)[0]
    for a, b in zip(arrays_of(alone), arrays_of(together), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_all_workers_take_as_many_steps_and_stop_together(monkeypatch):
    monkeypatch.setattr(problem, "ROWS_AN_ITERATION", 20)  # three parts of a pass
    rows, start, config = make_problem(
        "plain", batch_size=4, max_iter=40, n_iter_no_change=1, tol=0.2
    )
    rows = replace(rows, validation=np.arange(60) < 8)  # the second worker has no judges
    parts = parts_of(rows, [55, 5])
    found = on_threads(lambda exchange: train(parts[exchange.rank], start, config, exchange))
    lengths = {len(result.loss_curve) for _, result in found}
    assert len(lengths) == 1
    assert lengths.pop() < 40


def test_a_shard_knows_what_all_rows_tell():
    rows = make_rows(50, weights=np.linspace(0.5, 1.5, 50, dtype=np.float32))
    rows = replace(rows, codes=[make_lists(rows.codes[0]), rows.codes[1]])
    parts = parts_of(rows, [30, 19, 1])
    shards = on_threads(lambda exchange: facts(Shard(parts[exchange.rank], exchange)), 3)
    for shard in shards:
        for a, b in zip(shard, facts(rows), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-6)
    assert not (parts[2].seen[1] == rows.seen[1]).all()


def facts(rows):
    some = rows.some(1000)
    windows = [rows.window(np.arange(1), 0), rows.judges()[0]]
    assert all(held.seen is rows.seen for held in windows)
    return [
        *rows.seen,
        *rows.table_weights(),
        *rows.label_weights(),
        *rows.mean_target(),
        some.codes[0].items,
        some.codes[0].offsets,
        some.context,
        rows.of_all(rows.n_samples),
    ]


def test_a_step_takes_the_mean_over_all_rows_and_sends_rows_once():
    generator = torch.Generator().manual_seed(0)
    tables = [torch.zeros(4, 2), torch.zeros(1000, 3)]  # sent as a whole, and by row
    n_rows = [(3, 6), (1, 2)]
    rows = [[torch.randint(4, (6,), generator=generator), torch.tensor([7, 9, 7, 7, 9, 999])]]
    rows.append([torch.tensor([0, 0]), torch.tensor([7, 0])])
    gradients = [
        [torch.randn(len(r), w, generator=generator) for r, w in zip(both, (2, 3), strict=True)]
        for both in rows
    ]
    losses = [(torch.tensor([1.0, 2.0]).double(), torch.tensor(3.0).double()) for _ in range(2)]

    def work(exchange):
        weight = nn.Parameter(torch.zeros(2, 2))
        weight.grad = torch.full((2, 2), 1.0 + exchange.rank)
        shared = SharedSteps(exchange, [weight, nn.Parameter(torch.zeros(5))], tables, 10)
        rank = exchange.rank
        step = shared.step(n_rows[rank], rows[rank], gradients[rank], losses[rank])
        return weight.grad, *step

    (grad, at, of_tables, sums), other = on_threads(work)
    torch.testing.assert_close(grad, torch.full((2, 2), (3 * 1.0 + 1 * 2.0) / 4))
    for j, table in enumerate(tables):
        expected = torch.zeros_like(table)
        for both, g, (_, n) in zip(rows, gradients, n_rows, strict=True):
            expected.index_add_(0, both[j], g[j] * n / 8)
        found = torch.zeros_like(table).index_add_(0, at[j], of_tables[j])
        torch.testing.assert_close(found, expected)
        assert len(at[j].unique()) == len(at[j])
    assert at[1].tolist() == [0, 7, 9, 999]
    assert sums[0].tolist() == [2.0, 4.0]
    assert sums[1].item() == 6.0
    assert all((a == b).all() for a, b in zip(at + of_tables, other[1] + other[2], strict=True))


class Stop(Exception):
    """Ends a training after an iteration."""


@pytest.mark.parametrize("kind", ["plain", "gru"])
def test_a_training_goes_on_from_the_checkpoints_of_all_workers(kind, tmp_path):
    rows, start, config = make_problem(kind, dropout=0.3, unknown_rate=0.1, max_iter=6)
    parts = parts_of(rows, [35, 25])
    last = [0, 0]

    def run(exchange, stops_after, folder=None):
        def report(files, numbers):
            shutil.copytree(files, tmp_path / str(numbers["iteration"]), dirs_exist_ok=True)
            last[exchange.rank] = numbers["iteration"]
            if numbers["iteration"] == stops_after:
                exchange.gather_objects(None)  # until all files are there
                raise Stop

        keeper = PartedKeeper(exchange, 0.0, folder, report)
        tables = [table.copy() for table in start.tables]
        shard = Shard(parts[exchange.rank], exchange)
        return tables, learn(tables, shard, start.point, config, keeper, exchange=exchange)

    def stopped(exchange):
        with pytest.raises(Stop):
            run(exchange, 2)

    expected = on_threads(lambda exchange: run(exchange, None))[0]
    shutil.rmtree(tmp_path / "3")
    on_threads(stopped)
    assert last == [2, 2]
    found = on_threads(lambda exchange: run(exchange, None, tmp_path / "2"))
    for one in found:
        for a, b in zip(arrays_of(one), arrays_of(expected), strict=True):
            np.testing.assert_array_equal(a, b)
    names = {path.name for path in (tmp_path / "2").iterdir()}
    assert names == {"shared.pt", "worker-0.pt", "worker-1.pt"}


def test_the_first_clock_decides_when_all_write():
    def work(exchange):
        keeper = PartedKeeper(exchange, 3600.0, None, lambda *_: None)
        waits = keeper.due()
        keeper._since -= 4000.0 * (1 - exchange.rank)
        return waits, keeper.due()

    assert on_threads(work) == [(False, True)] * 2
