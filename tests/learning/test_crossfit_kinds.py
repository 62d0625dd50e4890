"""The two passes under lists and dot products, against loops over rows and items."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from sk_entity_embed.input.lists import Lists, offsets_of
from sk_entity_embed.learning import crossfit
from sk_entity_embed.learning.crossfit import (
    DOT_PRIOR_ROWS,
    DOT_STEP,
    LINEAR_WEIGHT,
    PRIOR_ROWS,
    TABLE_STEP,
)
from sk_entity_embed.learning.learn import _export_head, _export_pool
from sk_entity_embed.pooling import GRU
from sk_entity_embed.tables import gather
from tests.learning.problems import KINDS, N_ROWS, make_config, make_problem
from tests.learning.tasks import (
    all_tables_of,
    codes_of,
    gradients_of,
    head_of,
    layers_of,
    make_task,
    run,
    tables_of,
)

LISTS = [kind for kind in KINDS if kind not in ("plain", "dot")]
DOTS = [kind for kind in KINDS if kind.startswith("dot")]


def items_of(codes, row):
    """Codes of a row, in order."""
    return codes[row : row + 1].items.tolist() if isinstance(codes, Lists) else [int(codes[row])]


def pool_one(vectors, pool):
    """One vector of a row's items, in a loop."""
    total = torch.stack(vectors)
    if pool is None:
        return total[0]
    n = torch.tensor([len(vectors)])
    return pool(total, torch.zeros(len(vectors), dtype=torch.int64), n)[0]


def naive_inputs(task, rows, tables, which, table_of):
    """What enters the head, a row at a time; `table_of` says the table of each."""
    out = []
    for row in which:
        table, parts = table_of(row), []
        for j, codes in enumerate(rows.codes):
            vectors = [tables[j][table, item] for item in items_of(codes, row)]
            parts.append(pool_one(vectors, task.pools[j]))
        out.append(torch.cat([*parts, torch.tensor(rows.context[row])]))
    return torch.stack(out)


def naive_pulls(rows, tables, which, table_of, pooling, prior_rows):
    """Gradient of the pull towards zero, item by item."""
    pulls = []
    for j, codes in enumerate(rows.codes):
        weight = np.zeros(tables[j].shape[:2])
        for row in range(len(rows.fold)):
            for item in items_of(codes, row):
                for table in range(len(weight)):
                    taught = rows.fold[row] != table if rows.cross_fitted else True
                    if taught and (rows.cross_fitted or not rows.validation[row]):
                        weight[table, item] += rows.weights[row]
        pull = torch.zeros_like(tables[j])
        for row in which:
            table, items = table_of(row), items_of(codes, row)
            for item in items:
                share = rows.weights[row] / len(which)
                if pooling[j] == "mean":
                    share = share / len(items) ** 2
                step = share / weight[table, item]
                pull[table, item] += step * prior_rows * tables[j][table, item].detach()
        pulls.append(pull)
    return pulls


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n_tables", [1, 2])
def test_tables_learn_from_head_linear_model_and_pull(n_tables, kind):
    rows, start, config = make_problem(kind, n_tables, same=False, batch_size=60)
    task = make_task(rows, start, config)
    which = np.flatnonzero(~rows.validation) if n_tables == 1 else np.arange(60)

    def table_of(row):
        return n_tables - 1 - rows.fold[row]

    tables = [torch.tensor(t, requires_grad=True) for t in tables_of(task)]
    inputs = naive_inputs(task, rows, tables, which, table_of)
    target, weights = torch.tensor(rows.target[which]), torch.tensor(rows.weights[which])
    loss = ((task.head(inputs) - target) ** 2).mean(1)
    if task.linear is not None:
        loss = loss + LINEAR_WEIGHT * ((task.linear(inputs) - target) ** 2).mean(1)
    gradients = torch.autograd.grad((loss * weights).mean(), tables)
    prior_rows = DOT_PRIOR_ROWS if kind in DOTS else PRIOR_ROWS
    pulls = naive_pulls(rows, tables, which, table_of, start.pooling, prior_rows)
    for found, gradient, pull in zip(gradients_of(task), gradients, pulls, strict=True):
        np.testing.assert_allclose(found, (gradient + pull).numpy(), rtol=1e-3, atol=1e-5)
        assert pull.abs().max() > 1e-3


@pytest.mark.parametrize("kind", KINDS)
def test_the_head_and_units_learn_from_the_own_tables_alone(kind):
    rows, start, config = make_problem(kind, same=False, batch_size=60)
    task = make_task(rows, start, config)
    which = np.flatnonzero(~rows.validation)
    tables = [torch.tensor(t) for t in tables_of(task)]
    inputs = naive_inputs(task, rows, tables, which, lambda row: rows.fold[row])
    target, weights = torch.tensor(rows.target[which]), torch.tensor(rows.weights[which])
    loss = ((task.head(inputs) - target) ** 2).mean(1)
    if task.linear is not None:
        loss = loss + ((task.linear(inputs) - target) ** 2).mean(1)
    layers = [*layers_of(task), *([] if task.linear is None else [task.linear])]
    parameters = [p for layer in layers for p in layer.parameters()]
    expected = torch.autograd.grad((loss * weights).mean(), parameters)
    next(task.epoch())
    for parameter, wanted in zip(parameters, expected, strict=True):
        torch.testing.assert_close(parameter.grad, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n_tables", [1, 3])
def test_the_validation_loss_is_that_of_the_model_served(n_tables, kind):
    rows, start, config = make_problem(
        kind, n_tables, same=False, dropout=0.5, unknown_rate=0.3, bounds=bounds_of(-4.0, 4.0)
    )
    task = make_task(rows, start, config)
    run(task, 3)
    which = np.flatnonzero(rows.validation)
    with task.average.applied():
        head = _export_head(task.head)
        pooling = [_export_pool(w, p) for w, p in zip(start.pooling, task.pools, strict=True)]
        sources = [w.numpy().copy() for w in task.bank.weights]
    codes = []
    for column, n in zip(rows.codes, N_ROWS, strict=True):
        met = rows.met(len(codes), n)
        cells = [[r if met[rows.fold[i], r] else 0 for r in items_of(column, i)] for i in which]
        flat = [rows.fold[i] * n + c for i, row in zip(which, cells, strict=True) for c in row]
        lists = Lists(np.array(flat), offsets_of(np.array([len(c) for c in cells])))
        codes.append(lists if isinstance(column, Lists) else lists.items)
    vectors = np.empty((len(which), sum(task.bank.widths)), dtype=np.float32)
    gather(sources, codes, vectors, pooling)
    raw = head.raw(vectors, rows.context[which])
    predicted = -4 + 8 / (1 + np.exp(-raw))
    errors = (predicted - rows.target[which]) ** 2
    expected = np.average(errors, axis=0, weights=rows.weights[which])
    np.testing.assert_allclose(task.validation_loss(), expected, rtol=1e-4)


def bounds_of(low, high):
    """Bounds of a single output."""
    return tuple(np.array([value], dtype=np.float32) for value in (low, high, 0.0, 1.0))


@pytest.mark.parametrize("kind", KINDS)
def test_validation_rows_change_nothing_without_cross_fitting(kind):
    rows, start, config = make_problem(kind, 1, dropout=0.2, unknown_rate=0.1)
    validation = rows.validation
    codes = []
    for column in rows.codes:
        if isinstance(column, Lists):  # of the same length, so that as many numbers are drawn
            items = np.where(validation[column.rows], np.int32(3), column.items)
            codes.append(replace(column, items=items))
        else:
            codes.append(np.where(validation, np.int32(3), column))
    changed = replace(rows, target=np.where(validation[:, None], 9, rows.target), codes=codes)
    changed = replace(changed, target=changed.target.astype(np.float32))
    tasks = [make_task(r, start, config) for r in (rows, changed)]
    for task in tasks:
        run(task)
    assert head_of(tasks[0]) == head_of(tasks[1])
    for one, other in zip(*map(all_tables_of, tasks), strict=True):
        assert one.tobytes() == other.tobytes()


@pytest.mark.parametrize("kind", LISTS)
def test_each_item_teaches_any_table_but_its_rows_own(kind):
    rows, start, config = make_problem(kind, n=60)
    rows = replace(rows, fold=np.zeros(60, dtype=np.int64), validation=np.zeros(60, dtype=bool))
    task = make_task(rows, start, config)
    before = tables_of(task)[0]
    run(task, 15)
    moved = (tables_of(task)[0] != before).any(axis=2)
    used = np.unique(rows.codes[0].items)
    assert moved[1:, used].all()
    assert not moved[0].any()
    assert not np.delete(moved, used, axis=1).any()


@pytest.mark.parametrize("kind", LISTS)
def test_items_that_the_own_table_never_met_are_unknown_there(kind):
    rows, start, config = make_problem(kind)
    lists = rows.codes[0]
    items = np.where(rows.fold[lists.rows] == 1, np.int32(5), np.int32(4))
    items[np.flatnonzero(rows.fold[lists.rows] == 0)[0]] = 5  # so that table 1 meets it, too
    rows = replace(rows, codes=[replace(lists, items=items), rows.codes[1]])
    task = make_task(rows, start, config)
    expected = np.where(rows.met(0, N_ROWS[0])[rows.fold[lists.rows], items], items, 0)
    own = codes_of(task, own=True).lists[0]
    assert own.codes.tolist() == expected.tolist()
    assert own.lengths.tolist() == lists.lengths.tolist()
    assert set(np.unique(expected)) == {4, 5}
    alone = replace(lists, items=np.where(rows.fold[lists.rows] == 1, np.int32(5), np.int32(4)))
    rows = replace(rows, codes=[alone, rows.codes[1]])
    own = codes_of(make_task(rows, start, config), own=True).lists[0]
    assert set(own.codes.numpy()[rows.fold[lists.rows] == 1]) == {0}


@pytest.mark.parametrize("n_tables", [1, 3])
def test_met_items(n_tables):
    rows, _, _ = make_problem("mean", n_tables)
    lists = Lists(np.array([3, 4, 3, 5, 5, 4, 1], dtype=np.int32), np.array([0, 2, 3, 5, 6, 7]))
    rows = replace(
        rows,
        codes=[lists],
        fold=np.array([0, 1, 2, 2, 0]) % n_tables,
        validation=np.array([False, False, True, False, False]),
    )
    expected = {1: [[0, 1, 3, 4]], 3: [[0, 3, 4, 5], [0, 1, 3, 4, 5], [0, 1, 3, 4]]}
    assert [np.flatnonzero(m).tolist() for m in rows.met(0, 7)] == expected[n_tables]


@pytest.mark.parametrize("kind", LISTS)
def test_replaced_items_do_not_stay_replaced_and_train_the_unknown_row(kind):
    rows, start, config = make_problem(kind, unknown_rate=0.4)
    task, before = make_task(rows, start, config), make_task(rows, start, config)
    run(task, 3)
    kept = codes_of(task).lists[0]
    assert kept.codes.tolist() == rows.codes[0].items.tolist()
    unknown = tables_of(task)[0][:, 0]
    assert (unknown != tables_of(before)[0][:, 0]).any(axis=1).all()


@pytest.mark.parametrize("kind", DOTS)
def test_under_dot_products_there_is_no_linear_model_and_steps_are_smaller(kind):
    task = make_task(*make_problem(kind))
    assert task.linear is None
    task.set_learning_rate(0.5)
    step = 0.025 * DOT_STEP
    assert task.table_optimizer.lr == pytest.approx(step * TABLE_STEP)
    assert [g["lr"] for g in task.head_optimizer.param_groups] == pytest.approx([step, step])
    assert DOT_STEP < 1


def test_only_the_weights_of_numbers_decay_under_dot_products():
    task = make_task(*make_problem("dot"))
    weights, biases = task.head_optimizer.param_groups
    assert (weights["weight_decay"], biases["weight_decay"]) == (0.01, 0.0)
    assert [id(p) for p in weights["params"]] == [id(task.head.context)]
    assert len(biases["params"]) == 3


def test_a_recurrent_units_weights_decay_with_the_heads():
    task = make_task(*make_problem("gru"))
    weights, biases = task.head_optimizer.param_groups
    unit = task.pools[0]
    assert {id(w) for w in unit.weights} <= {id(p) for p in weights["params"]}
    assert {id(b) for b in unit.biases} <= {id(p) for p in biases["params"]}


def test_a_recurrent_unit_is_part_of_the_state():
    rows, start, config = make_problem("gru")
    task = make_task(rows, start, config)
    run(task, 2)
    state, unit = task.state(), task.pools[0]
    run(task, 1)
    task.restore(state)
    restored = list(unit.parameters())
    for found, kept in zip(restored, state[-len(restored) :], strict=True):
        assert torch.equal(found.detach(), kept)
    assert isinstance(_export_pool("gru", unit), GRU)


def test_a_sum_pulls_an_item_by_its_rows_and_a_mean_by_its_part():
    pulls = {}
    for kind in ("sum", "mean"):
        rows, start, config = make_problem(kind, 1, batch_size=60)
        two = Lists(np.tile(np.array([3, 4], dtype=np.int32), 60), 2 * np.arange(61))
        rows = replace(rows, codes=[two, rows.codes[1]])
        task = make_task(rows, start, config)
        with torch.no_grad():
            task.head.weights[-1].zero_()
            task.linear.weights[0].zero_()
        pulls[kind] = gradients_of(task)[0][0, 3:5]
    np.testing.assert_allclose(pulls["sum"], 4 * pulls["mean"], rtol=1e-5)
    assert np.abs(pulls["sum"]).min() > 0


def test_bounds_squash_what_the_head_gives():
    bounds = bounds_of(-1.0, 1.0)
    rows, start, _ = make_problem("plain")
    task = make_task(rows, start, make_config(bounds=bounds))
    assert (task.loss(torch.tensor([[50.0]]), torch.tensor([[1.0]])) == 0).all()
    assert task.loss(torch.tensor([[0.0]]), torch.tensor([[1.0]])).item() == pytest.approx(1.0)


@pytest.mark.parametrize("kind", ["plain", "mean", "gru", "dot_sum"])
def test_batches_of_the_validation_loss_do_not_change_it(kind, monkeypatch):
    rows, start, config = make_problem(kind, same=False)
    expected = make_task(rows, start, config).validation_loss()
    monkeypatch.setattr(crossfit, "_ITEMS_AT_ONCE", 9)
    task = make_task(rows, start, config)
    assert 1 <= task.rows_at_once <= 9
    np.testing.assert_allclose(task.validation_loss(), expected, rtol=1e-6)
    monkeypatch.setattr(crossfit, "_ITEMS_AT_ONCE", 0)
    assert make_task(rows, start, config).rows_at_once == 1


def test_rows_without_categories_are_learned():
    rows, start, config = make_problem("plain")
    rows = replace(rows, codes=[])
    start = replace(start, tables=[], fixed=[], pulled=[], pooling=[])
    task = make_task(rows, start, config)
    before = task.validation_loss()
    run(task, 2)
    assert tables_of(task) == []
    assert task.validation_loss() != before
