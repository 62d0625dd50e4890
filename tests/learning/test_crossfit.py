"""The central promise: no training row's vectors are moved by its own target."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from sk_entity_embed.head import MLPHead
from sk_entity_embed.learning.crossfit import CrossFitting
from sk_entity_embed.learning.learn import _build_head
from sk_entity_embed.learning.network import EmbeddingBank
from tests.learning.problems import N_ROWS, WIDTHS, make_config, make_rows, make_start


def make_task(rows, start=None, config=None, *, train_head=True, train_tables=True):
    """A task ready for its first step; either half can be held fixed."""
    config = config or make_config()
    start = start or make_start(rows.n_tables)
    generator = torch.Generator().manual_seed(config.seed)
    bank = EmbeddingBank([torch.tensor(t) for t in start.tables])
    head = _build_head(None, sum(bank.widths) + rows.context.shape[1], config, generator)
    fixed = [torch.as_tensor(np.tile(f, rows.n_tables)) for f in start.fixed]
    task = CrossFitting(rows, bank, head, fixed, config, generator, torch.device("cpu"))
    if not train_tables:
        task.table_optimizer.lr = 0.0
    if not train_head:
        for group in task.head_optimizer.param_groups:
            group["lr"] = 0.0
    return task


def run(task, n_epochs=2):
    """Train for some epochs; the losses and weights of all steps."""
    return [step for _ in range(n_epochs) for step in task.epoch()]


def tables_of(task):
    """Tables of each column, of shape (n_tables, n_rows, width)."""
    return [w.numpy().reshape(task.n_tables, -1, w.shape[1]).copy() for w in task.bank.weights]


def head_of(task):
    """All parameters of the head, as bytes."""
    return [p.detach().numpy().tobytes() for p in task.head.parameters()]


def own_inputs(task, rows, which):
    """What the head reads of rows with foreign categories, looked up in their own tables."""
    fold = rows.fold[which]
    tables = tables_of(task)
    codes = np.where(rows.codes[which] == 8, 0, rows.codes[which])
    return np.hstack([*(t[fold, codes[:, j]] for j, t in enumerate(tables)), rows.context[which]])


def with_other_targets(rows, which):
    """The same rows, some of them with entirely different targets."""
    target = rows.target.copy()
    target[which] = 50.0 - 3.0 * target[which]
    return replace(rows, target=target)


def with_foreign_categories(rows):
    """The same rows, but for category 8 of column 1, which the tables of its rows never meet."""
    foreign = rows.validation if rows.n_tables == 1 else rows.fold == 0
    codes = rows.codes.copy()
    codes[:, 1] = np.where(foreign, 8, np.minimum(codes[:, 1], 7))
    return replace(rows, codes=codes)


@pytest.mark.parametrize("unknown_rate", [0.0, 0.3])
@pytest.mark.parametrize("fold", [0, 1, 2])
def test_steps_on_rows_of_one_fold_leave_its_table_as_it_is(fold, unknown_rate):
    rows = make_rows(fold=np.full(60, fold))
    task = make_task(rows, config=make_config(unknown_rate=unknown_rate))
    before = tables_of(task)
    run(task)
    for old, new in zip(before, tables_of(task), strict=True):
        for table in range(3):
            assert (old[table].tobytes() == new[table].tobytes()) == (table == fold)


@pytest.mark.parametrize("fold", [0, 1, 2])
def test_targets_of_a_fold_move_no_vector_of_its_table(fold):
    rows = make_rows()
    changed = with_other_targets(rows, rows.fold == fold)
    config = make_config(unknown_rate=0.1, dropout=0.2)
    tasks = [make_task(r, config=config, train_head=False) for r in (rows, changed)]
    for task in tasks:
        run(task, 3)
    for one, other in zip(*map(tables_of, tasks), strict=True):
        for table in range(3):
            assert (one[table].tobytes() == other[table].tobytes()) == (table == fold)


@pytest.mark.parametrize("n_tables", [1, 3])
def test_validation_rows_never_change_the_head(n_tables):
    rows = make_rows(n_tables=n_tables)
    changed = with_other_targets(rows, rows.validation)
    config = make_config(dropout=0.2)
    tasks = [make_task(r, config=config, train_tables=False) for r in (rows, changed)]
    untouched = head_of(tasks[0])
    for task in tasks:
        run(task)
    assert head_of(tasks[0]) == head_of(tasks[1])
    assert head_of(tasks[0]) != untouched


def test_validation_rows_teach_the_tables_of_other_folds():
    rows = make_rows()
    changed = with_other_targets(rows, rows.validation)
    tasks = [make_task(r, train_head=False) for r in (rows, changed)]
    for task in tasks:
        run(task)
    assert not np.array_equal(tables_of(tasks[0])[0], tables_of(tasks[1])[0])


def test_validation_rows_change_nothing_without_cross_fitting():
    rows = make_rows(n_tables=1)
    context = np.where(rows.validation[:, None], np.float32(9), rows.context)
    changed = replace(with_other_targets(rows, rows.validation), context=context)
    config = make_config(dropout=0.2, unknown_rate=0.1)
    tasks = [make_task(r, config=config) for r in (rows, changed)]
    for task in tasks:
        run(task)
    assert head_of(tasks[0]) == head_of(tasks[1])
    for one, other in zip(*map(tables_of, tasks), strict=True):
        assert one.tobytes() == other.tobytes()


def test_without_cross_fitting_both_halves_train():
    task = make_task(make_rows(n_tables=1))
    tables, head = tables_of(task), head_of(task)
    run(task)
    assert head_of(task) != head
    assert not np.array_equal(tables_of(task)[0], tables[0])


def test_own_look_up_falls_back_to_unknown_where_the_own_table_never_met_a_category():
    rows = make_rows()
    codes = rows.codes.copy()
    codes[:, 1] = 3 + rows.fold  # each category is in one fold only
    codes[:2, 1] = 7  # in folds 0 and 1
    rows = replace(rows, codes=codes)
    own = make_task(rows).own_codes.numpy()
    np.testing.assert_array_equal(own[:, 0], codes[:, 0])
    assert own[:2, 1].tolist() == [7, 7]
    assert set(own[2:, 1]) == {0}


def test_without_cross_fitting_categories_of_validation_rows_only_are_unknown():
    rows = with_foreign_categories(make_rows(n_tables=1))
    own = make_task(rows).own_codes.numpy()
    assert set(own[rows.validation, 1]) == {0}
    np.testing.assert_array_equal(own[~rows.validation], rows.codes[~rows.validation])


def test_asking_for_the_validation_loss_does_not_change_training():
    config = make_config(dropout=0.5, unknown_rate=0.2)
    asked, left_alone = (make_task(make_rows(), config=config) for _ in range(2))
    for _ in range(2):
        asked.validation_loss()
        run(asked, 1)
        run(left_alone, 1)
    assert head_of(asked) == head_of(left_alone)


@pytest.mark.parametrize("n_tables", [1, 3])
def test_validation_loss_looks_into_the_own_tables(n_tables):
    rows = with_foreign_categories(make_rows(n_tables=n_tables))
    config = make_config(dropout=0.5, unknown_rate=0.5)
    task = make_task(rows, make_start(n_tables, same=False), config)
    run(task, 1)
    head = MLPHead(
        tuple(w.detach().double().numpy().T for w in task.head.weights),
        tuple(b.detach().double().numpy() for b in task.head.biases),
    )
    which = np.flatnonzero(rows.validation)
    raw = head.raw(own_inputs(task, rows, which), np.empty((len(which), 0), np.float32))
    errors = (raw - rows.target[which]) ** 2
    expected = np.average(errors, axis=0, weights=rows.weights[which])
    np.testing.assert_allclose(task.validation_loss(), expected, rtol=1e-5)
    assert task.validation_loss().tolist() == task.validation_loss().tolist()


def test_the_head_learns_from_the_own_tables_alone():
    rows = with_foreign_categories(make_rows())
    task = make_task(rows, make_start(same=False), make_config(batch_size=60))
    which = np.flatnonzero(~rows.validation)
    inputs = torch.tensor(own_inputs(task, rows, which))
    errors = (task.head(inputs) - torch.tensor(rows.target[which])) ** 2
    weighted = errors[:, 0] * torch.tensor(rows.weights[which])
    expected = torch.autograd.grad(weighted.mean(), list(task.head.parameters()))
    ((losses, weight),) = task.epoch()
    for parameter, gradient in zip(task.head.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient)
    np.testing.assert_allclose(losses, [weighted.sum().item()], rtol=1e-5)
    np.testing.assert_allclose(weight, rows.weights[which].sum(), rtol=1e-5)


def test_both_halves_of_a_step_use_the_same_parameters():
    rows = make_rows()
    config = make_config(batch_size=60)
    both = make_task(rows, config=config)
    tables_only = make_task(rows, config=config, train_head=False)
    head_only = make_task(rows, config=config, train_tables=False)
    for task in (both, tables_only, head_only):
        run(task, 1)
    assert head_of(both) == head_of(head_only)
    for one, other in zip(tables_of(both), tables_of(tables_only), strict=True):
        assert one.tobytes() == other.tobytes()


@pytest.mark.parametrize("batch_size", [7, 16, 48, 1000])
def test_every_training_row_takes_part_once_an_epoch(batch_size):
    rows = make_rows()
    task = make_task(rows, config=make_config(batch_size=batch_size))
    steps = run(task, 1)
    assert len(steps) == task.n_steps == -(-48 // batch_size)
    total = sum(weight for _, weight in steps)
    np.testing.assert_allclose(total, rows.weights[~rows.validation].sum(), rtol=1e-5)


def test_each_row_teaches_any_table_but_its_own():
    rows = make_rows(n_tables=3, n=6, fold=np.zeros(6, dtype=np.int64))
    rows = replace(rows, validation=np.zeros(6, dtype=bool))
    task = make_task(rows)
    before = tables_of(task)[0]
    run(task, 15)
    moved = (tables_of(task)[0] != before).any(axis=2)
    used = np.unique(rows.codes[:, 0])
    assert moved[1:, used].all()
    assert not moved[0].any()
    assert not np.delete(moved, used, axis=1).any()


def test_the_unknown_row_is_trained_by_replaced_codes_only():
    untrained = make_task(make_rows())
    trained = make_task(make_rows(), config=make_config(unknown_rate=0.3))
    start = tables_of(untrained)
    for task in (untrained, trained):
        run(task, 3)
    for j in range(2):
        np.testing.assert_array_equal(tables_of(untrained)[j][:, 0], start[j][:, 0])
        assert (tables_of(trained)[j][:, 0] != start[j][:, 0]).any(axis=1).all()


def test_replaced_codes_do_not_stay_replaced():
    task = make_task(make_rows(), config=make_config(unknown_rate=0.5))
    run(task)
    np.testing.assert_array_equal(task.codes.numpy(), make_rows().codes)


def test_weights_scale_what_a_row_teaches():
    rows = make_rows()
    light = rows.codes[:, 0] == 3
    rows = replace(rows, weights=np.where(light, 0, rows.weights).astype("f4"))
    changed = with_other_targets(rows, light)
    tasks = [make_task(r) for r in (rows, changed)]
    start = tables_of(tasks[0])
    for task in tasks:
        run(task)
    assert head_of(tasks[0]) == head_of(tasks[1])
    np.testing.assert_array_equal(tables_of(tasks[1])[0][:, 3], start[0][:, 3])
    assert (tables_of(tasks[1])[0][:, 4] != start[0][:, 4]).all()


def test_fixed_rows_are_not_trained():
    fixed = [np.arange(n) % 2 == 1 for n in N_ROWS]
    start = make_start(fixed=fixed)
    task = make_task(make_rows(), start)
    run(task)
    for j, mask in enumerate(fixed):
        np.testing.assert_array_equal(tables_of(task)[j][:, mask], start.tables[j][:, mask])
        assert (tables_of(task)[j][:, ~mask][:, 2:] != start.tables[j][:, ~mask][:, 2:]).any()


def test_state_is_a_copy_and_can_be_restored():
    task = make_task(make_rows())
    run(task, 1)
    state, tables, head = task.state(), tables_of(task), head_of(task)
    run(task, 1)
    assert head_of(task) != head
    task.restore(state)
    assert head_of(task) == head
    assert [t.tobytes() for t in tables_of(task)] == [t.tobytes() for t in tables]


def test_the_learning_rate_of_both_halves_is_scaled():
    task = make_task(make_rows())
    task.set_learning_rate(0.5)
    assert task.table_optimizer.lr == 0.025
    assert [g["lr"] for g in task.head_optimizer.param_groups] == [0.025, 0.025]


def test_only_weights_decay():
    task = make_task(make_rows())
    weights, biases = task.head_optimizer.param_groups
    assert (weights["weight_decay"], biases["weight_decay"]) == (0.01, 0.0)
    assert len(weights["params"]) == len(biases["params"]) == 2


def test_rows_without_context_are_learned():
    rows = make_rows(context=np.empty((60, 0), dtype=np.float32))
    task = make_task(rows)
    before = task.validation_loss()
    run(task, 30)
    assert task.head.weights[0].shape[1] == sum(WIDTHS)
    assert task.validation_loss() < before


@pytest.mark.parametrize("n_tables", [1, 3])
def test_met_categories(n_tables):
    rows = make_rows(
        6,
        n_tables,
        codes=np.array([[3], [3], [4], [4], [5], [1]], dtype=np.int32),
        fold=np.array([0, 1, 2, 2, 1, 0]) % n_tables,
        validation=np.array([False, False, False, True, True, False]),
    )
    expected = {
        1: [[0, 1, 3, 4]],
        3: [[0, 3, 4, 5], [0, 1, 3, 4], [0, 1, 3, 5]],
    }
    assert [np.flatnonzero(m).tolist() for m in rows.met(0, 7)] == expected[n_tables]
    assert rows.cross_fitted == (n_tables > 1)
