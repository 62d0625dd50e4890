"""The central promise: no training row's vectors are moved by its own target."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from sk_entity_embed.head import MLPHead
from sk_entity_embed.learning.crossfit import (
    AVERAGED_EPOCHS,
    LINEAR_WEIGHT,
    PRIOR_ROWS,
    TABLE_STEP,
    CrossFitting,
)
from tests.learning.problems import (
    KINDS,
    N_ROWS,
    WIDTHS,
    make_config,
    make_problem,
    make_rows,
    make_start,
)
from tests.learning.tasks import (
    all_tables_of,
    cells_of,
    first_codes,
    gradients_of,
    head_of,
    make_task,
    mean_tables_of,
    own_inputs,
    run,
    tables_of,
    with_foreign_categories,
    with_other_targets,
    without_losses,
)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("unknown_rate", [0.0, 0.3])
@pytest.mark.parametrize("fold", [0, 1, 2])
def test_steps_on_rows_of_one_fold_leave_its_table_as_it_is(fold, unknown_rate, kind):
    rows, start, config = make_problem(kind, unknown_rate=unknown_rate)
    task = make_task(replace(rows, fold=np.full(60, fold)), start, config)
    before = all_tables_of(task)
    run(task)
    for old, new in zip(before, all_tables_of(task), strict=True):
        for table in range(3):
            assert (old[table].tobytes() == new[table].tobytes()) == (table == fold)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fold", [0, 1, 2])
def test_targets_of_a_fold_move_no_vector_of_its_table(fold, kind):
    rows, start, config = make_problem(kind, unknown_rate=0.1, dropout=0.2)
    changed = with_other_targets(rows, rows.fold == fold)
    tasks = [make_task(r, start, config, train_head=False) for r in (rows, changed)]
    for task in tasks:
        run(task, AVERAGED_EPOCHS + 2)
    for one, other in zip(*map(all_tables_of, tasks), strict=True):
        for table in range(3):
            assert (one[table].tobytes() == other[table].tobytes()) == (table == fold)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fold", [0, 1, 2])
def test_weights_of_a_fold_move_no_vector_of_its_table(fold, kind):
    # class weights would tell its targets
    rows, start, config = make_problem(kind, unknown_rate=0.1, dropout=0.2)
    weights = np.where(rows.fold == fold, first_codes(rows) * rows.weights, rows.weights)
    changed = replace(rows, weights=weights.astype(np.float32))
    tasks = [make_task(r, start, config, train_head=False) for r in (rows, changed)]
    for task in tasks:
        run(task, 3)
    for one, other in zip(*map(all_tables_of, tasks), strict=True):
        for table in range(3):
            assert (one[table].tobytes() == other[table].tobytes()) == (table == fold)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n_tables", [1, 3])
def test_validation_rows_never_change_the_head(n_tables, kind):
    rows, start, config = make_problem(kind, n_tables, dropout=0.2)
    changed = with_other_targets(rows, rows.validation)
    tasks = [make_task(r, start, config, train_tables=False) for r in (rows, changed)]
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
    changed = replace(
        with_other_targets(rows, rows.validation),
        context=np.where(rows.validation[:, None], np.float32(9), rows.context),
        weights=np.where(rows.validation, np.float32(7), rows.weights),
        codes=[np.where(rows.validation, np.int32(3), c) for c in rows.codes],
    )
    config = make_config(dropout=0.2, unknown_rate=0.1)
    tasks = [make_task(r, config=config) for r in (rows, changed)]
    for task in tasks:
        run(task)
    assert head_of(tasks[0]) == head_of(tasks[1])
    for one, other in zip(*map(all_tables_of, tasks), strict=True):
        assert one.tobytes() == other.tobytes()


def test_without_cross_fitting_both_halves_train():
    task = make_task(make_rows(n_tables=1))
    tables, head = tables_of(task), head_of(task)
    run(task)
    assert head_of(task) != head
    assert not np.array_equal(tables_of(task)[0], tables[0])


def test_own_look_up_falls_back_to_unknown_where_the_own_table_never_met_a_category():
    rows = make_rows()
    second = (3 + rows.fold).astype(np.int32)  # each category is in one fold only
    second[:2] = 7  # in folds 0 and 1
    rows = replace(rows, codes=[rows.codes[0], second])
    own = cells_of(make_task(rows), own=True)
    np.testing.assert_array_equal(own[:, 0], rows.codes[0])
    assert own[:2, 1].tolist() == [7, 7]
    assert set(own[2:, 1]) == {0}


def test_without_cross_fitting_categories_of_validation_rows_only_are_unknown():
    rows = with_foreign_categories(make_rows(n_tables=1))
    own = cells_of(make_task(rows), own=True)
    assert set(own[rows.validation, 1]) == {0}
    for j, codes in enumerate(rows.codes):
        np.testing.assert_array_equal(own[~rows.validation, j], codes[~rows.validation])


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
    run(task, 3)
    which = np.flatnonzero(rows.validation)
    with task.average.applied():
        head = MLPHead(
            tuple(w.detach().double().numpy().T for w in task.head.weights),
            tuple(b.detach().double().numpy() for b in task.head.biases),
        )
        inputs = own_inputs(task, rows, which)
    raw = head.raw(inputs, np.empty((len(which), 0), np.float32))
    errors = (raw - rows.target[which]) ** 2
    expected = np.average(errors, axis=0, weights=rows.weights[which])
    np.testing.assert_allclose(task.validation_loss(), expected, rtol=1e-5)
    assert task.validation_loss().tolist() == task.validation_loss().tolist()


def test_the_head_learns_from_the_own_tables_alone():
    rows = with_foreign_categories(make_rows())
    task = make_task(rows, make_start(same=False), make_config(batch_size=60))
    which = np.flatnonzero(~rows.validation)
    inputs = torch.tensor(own_inputs(task, rows, which))
    for model in (task.linear, task.head):
        errors = (model(inputs) - torch.tensor(rows.target[which])) ** 2
        weighted = errors[:, 0] * torch.tensor(rows.weights[which])
        for parameter in model.parameters():
            parameter.expected = torch.autograd.grad(weighted.mean(), parameter, retain_graph=True)[
                0
            ]
    ((losses, weight),) = task.epoch()
    for parameter in (*task.head.parameters(), *task.linear.parameters()):
        torch.testing.assert_close(parameter.grad, parameter.expected)
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
    used = np.unique(rows.codes[0])
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
    for j, codes in enumerate(make_rows().codes):
        np.testing.assert_array_equal(cells_of(task)[:, j], codes)


def test_weights_scale_what_a_row_teaches():
    rows = make_rows()
    light = rows.codes[0] == 3
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


@pytest.mark.parametrize("n_epochs", [1, 3])
def test_the_state_is_the_mean_over_epochs(n_epochs):
    task = make_task(make_rows(), config=make_config(dropout=0.2))
    states = []
    for _ in range(n_epochs):
        run(task, 1)
        parameters = [*task.bank.weights, *task.head.parameters()]
        states.append([p.detach().numpy().copy() for p in parameters])
    for found, *seen in zip(task.state(), *states, strict=True):
        np.testing.assert_allclose(found.numpy(), np.mean(seen, axis=0), rtol=1e-5, atol=1e-6)


def test_old_epochs_fade_from_the_state():
    task = make_task(make_rows())
    run(task, AVERAGED_EPOCHS)
    before = task.state()
    run(task, 1)
    present = [*task.bank.weights, *task.head.parameters()]
    for old, new, mean in zip(before, present, task.state(), strict=True):
        torch.testing.assert_close(mean, old + (new.detach() - old) / AVERAGED_EPOCHS)


def test_the_state_changes_at_the_end_of_an_epoch_only():
    task = make_task(make_rows())
    run(task, 1)
    before = task.state()
    steps = task.epoch()
    for _ in range(task.n_steps):
        next(steps)
        for one, other in zip(before, task.state(), strict=True):
            assert torch.equal(one, other)
    assert next(steps, None) is None
    assert not torch.equal(before[0], task.state()[0])


def test_the_state_is_a_copy_and_can_be_restored():
    task = make_task(make_rows())
    run(task, 2)
    state, present = task.state(), tables_of(task)
    kept = [s.clone() for s in state]
    run(task, 1)
    for one, other in zip(state, kept, strict=True):
        assert torch.equal(one, other)
    task.restore(state)
    parameters = [*task.bank.weights, *task.head.parameters()]
    for found, wanted in zip(parameters, kept, strict=True):
        assert torch.equal(found.detach(), wanted)
    assert not np.array_equal(tables_of(task)[0], present[0])  # the mean, not the last step
    run(task, 1)
    for one, other in zip(state, kept, strict=True):
        assert torch.equal(one, other)


def test_the_learning_rate_of_both_halves_is_scaled():
    task = make_task(make_rows())
    task.set_learning_rate(0.5)
    assert task.table_optimizer.lr == pytest.approx(0.025 * TABLE_STEP)
    assert [g["lr"] for g in task.head_optimizer.param_groups] == [0.025, 0.025]
    assert TABLE_STEP > 1


def test_only_weights_decay():
    task = make_task(make_rows())
    weights, biases = task.head_optimizer.param_groups
    assert (weights["weight_decay"], biases["weight_decay"]) == (0.01, 0.0)
    models = (task.head, task.linear)
    for group, expected in (
        (weights, [w for m in models for w in m.weights]),
        (biases, [b for m in models for b in m.biases]),
    ):
        assert [id(p) for p in group["params"]] == [id(p) for p in expected]


# The tables' objective ---------------------------------------------------------------------


@pytest.mark.parametrize("pulled", [[True, True], [False, True], [False, False]])
@pytest.mark.parametrize("n_tables", [1, 2])
def test_tables_learn_from_head_linear_model_and_pull(n_tables, pulled):
    rows = make_rows(n_tables=n_tables)
    rows = replace(rows, target=np.hstack([rows.target, 1 - 2 * rows.target**2]))
    config = make_config(batch_size=60, n_outputs=2)
    task = make_task(rows, make_start(n_tables, same=False, pulled=pulled), config)
    # with two tables, that of another fold is the other one, and validation rows teach, too
    which = np.flatnonzero(~rows.validation) if n_tables == 1 else np.arange(60)
    tables = [torch.tensor(t, requires_grad=True) for t in tables_of(task)]
    other = n_tables - 1 - rows.fold[which]
    vectors = [t[other, c[which]] for t, c in zip(tables, rows.codes, strict=True)]
    inputs = torch.cat([*vectors, torch.tensor(rows.context[which])], dim=1)
    target, weights = torch.tensor(rows.target[which]), torch.tensor(rows.weights[which])
    loss = ((task.head(inputs) - target) ** 2).mean(1)
    loss = loss + LINEAR_WEIGHT * ((task.linear(inputs) - target) ** 2).mean(1)
    expected = torch.autograd.grad((loss * weights).mean(), tables)
    for j, found in enumerate(gradients_of(task)):
        wanted = expected[j].numpy().copy()
        if pulled[j]:  # as if some rows more of each category had zero for a target
            touched = np.zeros(wanted.shape[:2], dtype=bool)
            touched[other, rows.codes[j][which]] = True
            vectors = tables[j].detach().numpy()
            wanted += PRIOR_ROWS / len(which) * vectors * touched[:, :, None]
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-6)
    assert LINEAR_WEIGHT > 0
    assert PRIOR_ROWS > 0


def test_the_linear_model_learns_beside_the_head():
    rows = make_rows()
    task = make_task(rows, make_start(same=False))
    which = np.flatnonzero(~rows.validation)
    target = torch.tensor(rows.target[which])

    def loss():
        with torch.no_grad():
            return float(
                ((task.linear(torch.tensor(own_inputs(task, rows, which))) - target) ** 2).mean()
            )

    before = loss()
    run(task, 30)
    assert loss() < 0.5 * before
    assert [w.shape for w in task.linear.weights] == [(1, sum(WIDTHS) + 1)]
    # and it is no part of what is kept
    assert len(task.state()) == len(task.bank.weights) + len(list(task.head.parameters()))


@pytest.mark.parametrize("n_tables", [1, 3])
def test_the_pull_leads_all_but_the_unknown_row_to_zero(n_tables):
    start = make_start(n_tables, same=False, pulled=[True, False])
    config = make_config(unknown_rate=0.3)
    rows = make_rows(n_tables=n_tables)
    for codes in rows.codes:
        codes[::5] = 0  # the unknown row is not pulled even where rows bear it
    task = without_losses(make_task(rows, start, config))
    run(task, 3)
    tables = tables_of(task)
    np.testing.assert_array_equal(tables[1], start.tables[1])  # a column that is not pulled
    np.testing.assert_array_equal(tables[0][:, :3], start.tables[0][:, :3])  # no rows of their own
    before, after = np.abs(start.tables[0][:, 3:]), np.abs(tables[0][:, 3:])
    assert (after < before).mean() > 0.9  # a step may pass zero
    assert after.mean() < 0.7 * before.mean()


def test_fixed_rows_are_not_pulled():
    fixed = [np.arange(n) % 2 == 1 for n in N_ROWS]
    start = make_start(fixed=fixed)
    task = without_losses(make_task(make_rows(), start))
    run(task)
    for table, old, mask in zip(tables_of(task), start.tables, fixed, strict=True):
        np.testing.assert_array_equal(table[:, mask], old[:, mask])


def test_rare_categories_end_nearer_to_zero():
    rng = np.random.default_rng(0)
    codes = [rng.integers(4, n, 300).astype(np.int32) for n in N_ROWS]
    codes[0][:3] = 3  # in each fold once
    target = (4.0 * (codes[0][:, None] % 2) - 2).astype(np.float32)
    rows = make_rows(300, codes=codes, target=target)
    norms = {}
    for pulled in (True, False):
        start = make_start(pulled=[pulled, pulled])
        start = replace(start, tables=[0.1 * t for t in start.tables])
        task = make_task(rows, start)
        run(task, 20)
        norms[pulled] = np.linalg.norm(mean_tables_of(task)[0], axis=2).mean(axis=0)
    ratio = norms[True] / norms[False]
    assert ratio[3] < 0.8
    assert ratio[3] < 0.95 * ratio[4:].min()


def test_weights_that_all_but_vanish_do_not_break_the_pull():
    rows = make_rows()
    weights = np.where(rows.codes[0] == 3, np.float32(1e-42), rows.weights)
    task = make_task(replace(rows, weights=weights))
    run(task)
    assert all(np.isfinite(t).all() for t in tables_of(task))
    assert not np.array_equal(tables_of(task)[0][:, 3], make_start().tables[0][:, 3])


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
        codes=[np.array([3, 3, 4, 4, 5, 1], dtype=np.int32)],
        fold=np.array([0, 1, 2, 2, 1, 0]) % n_tables,
        validation=np.array([False, False, False, True, True, False]),
    )
    expected = {
        1: [[0, 1, 3, 4]],
        3: [[0, 3, 4, 5], [0, 1, 3, 4], [0, 1, 3, 5]],
    }
    assert [np.flatnonzero(m).tolist() for m in rows.met(0, 7)] == expected[n_tables]
    assert rows.cross_fitted == (n_tables > 1)


def test_before_the_first_epoch_ends_the_state_is_the_present_one():
    task = make_task(make_rows())
    before = task.state()
    next(task.epoch())
    after = task.state()
    assert not torch.equal(before[0], after[0])  # no epoch has ended: nothing to average yet
    for _ in task.epoch():
        pass
    np.testing.assert_array_equal(task.state()[0], task.average.mean[0])


def test_a_continued_training_starts_from_the_mean_of_the_one_before():
    rows = make_rows()
    fresh = make_task(rows)
    continued = CrossFitting(
        rows,
        fresh.bank,
        fresh.head,
        [None] * len(N_ROWS),
        [None] * len(N_ROWS),
        [True] * len(N_ROWS),
        make_config(),
        torch.Generator().manual_seed(0),
        torch.device("cpu"),
        continued=True,
    )
    before = [m.clone() for m in continued.average.mean]
    for _ in continued.epoch():
        pass
    for mean, old, new in zip(
        continued.average.mean, before, continued.average.parameters, strict=True
    ):
        expected = old + (new.detach() - old) / AVERAGED_EPOCHS
        torch.testing.assert_close(mean, expected)
