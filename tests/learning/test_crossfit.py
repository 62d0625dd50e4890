"""The central promise: a training row's vectors and its head are not moved by its own target."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from sk_entity_embed.input.lists import Lists, offsets_of
from sk_entity_embed.learning import batches, problem
from sk_entity_embed.learning.crossfit import (
    LARGEST_BATCH,
    MEAN_POWER,
    MUON_BATCH,
    NORMAL_BATCH,
    UPDATES,
)
from sk_entity_embed.learning.optimizers import Muon
from sk_entity_embed.model.heads import heads_of_folds
from sk_entity_embed.model.losses import Bounded
from sk_entity_embed.model.tables import gather
from tests.learning.problems import KINDS, N_ROWS, make_config, make_problem, make_rows, make_start
from tests.learning.tasks import (
    all_tables_of,
    answers_of,
    codes_of,
    first_codes,
    gradients_of,
    head_of,
    heads_of,
    heads_serving,
    items_of,
    linear_of,
    make_task,
    parameters_of,
    run,
    served_parts,
    settings_of,
    tables_of,
    with_foreign_categories,
    with_other_targets,
    without_losses,
)
from tests.samples import of_own_heads

FOLDS = [(0, "plain", 3, 3), (1, "plain", 3, 3), (2, "plain", 3, 2), (3, "plain", 5, 2)]
FOLDS += [(2, "plain", 5, 3), (1, "mean", 3, 3), (2, "max", 3, 3), (0, "gru", 5, 3)]
FOLDS += [(1, "dot_sum", 3, 1)]
"""A fold, a kind, and the numbers of tables and heads."""
WITH_HEADS = [case for case in FOLDS if case[3] > 1]


@pytest.mark.parametrize(("fold", "kind", "n_tables", "n_heads"), FOLDS)
def test_steps_on_rows_of_one_fold_leave_its_table_and_its_head_as_they_are(
    fold, kind, n_tables, n_heads
):
    settings = {"unknown_rate": 0.3, "dropout": 0.2, "alpha": 0.0, "n_heads": n_heads}
    rows, start, config = make_problem(kind, n_tables, **settings)
    task = make_task(replace(rows, fold=np.full(60, fold)), start, config)
    own = heads_of_folds(n_tables, n_heads)[fold]
    before, heads = all_tables_of(task), cross_fitted_heads_of(task)
    run(task)
    for old, new in zip(before, all_tables_of(task), strict=True):
        for table in range(n_tables):
            assert (old[table].tobytes() == new[table].tobytes()) == (table == fold)
    for head, (old, new) in enumerate(zip(heads, cross_fitted_heads_of(task), strict=True)):
        assert {a == b for a, b in zip(old, new, strict=True)} == {head == own}


def cross_fitted_heads_of(task):
    """The parameters of each head, where there are several."""
    return heads_of(task) if task.config.head.cross_fits else []


def with_some_changed(rows, which):
    """The rows as they are, and some of them with other targets and with other weights."""
    # class weights would tell their targets
    weights = np.where(which, first_codes(rows) * rows.weights, rows.weights)
    other_weights = replace(rows, weights=weights.astype(np.float32))
    return rows, with_other_targets(rows, which), other_weights


@pytest.mark.parametrize(("fold", "kind", "n_tables", "n_heads"), FOLDS)
def test_targets_and_weights_of_a_fold_move_no_vector_of_its_table(fold, kind, n_tables, n_heads):
    settings = {"unknown_rate": 0.1, "dropout": 0.2, "n_heads": n_heads}
    rows, start, config = make_problem(kind, n_tables, **settings)
    kinds = with_some_changed(rows, rows.fold == fold)
    tasks = [make_task(r, start, config, train_head=False) for r in kinds]
    for task in tasks:
        run(task, 5)
    expected, *changed = map(all_tables_of, tasks)
    for found in changed:
        for one, other in zip(expected, found, strict=True):
            for table in range(n_tables):
                assert (one[table].tobytes() == other[table].tobytes()) == (table == fold)


@pytest.mark.parametrize(("fold", "kind", "n_tables", "n_heads"), WITH_HEADS)
def test_targets_and_weights_of_the_folds_of_a_head_do_not_move_it(fold, kind, n_tables, n_heads):
    settings = {"unknown_rate": 0.1, "dropout": 0.2, "n_heads": n_heads}
    rows, start, config = make_problem(kind, n_tables, **settings)
    # A unit that learns is one for all folds, and stays as it is for this.
    serving = heads_of_folds(n_tables, n_heads)
    kinds = with_some_changed(rows, serving[rows.fold] == serving[fold])
    tasks = [make_task(r, start, config, train_tables=False) for r in kinds]
    for task in tasks:
        for pool in filter(None, task.pools):
            for parameter in pool.parameters():
                parameter.requires_grad_(False)
        run(task, 5)
    expected, *changed = map(heads_of, tasks)
    for found in changed:
        for head, (old, new) in enumerate(zip(expected, found, strict=True)):
            assert {a == b for a, b in zip(old, new, strict=True)} == {head == serving[fold]}


@pytest.mark.parametrize(("fold", "kind", "n_tables", "n_heads"), WITH_HEADS)
def test_a_step_of_both_halves_brings_nothing_of_a_fold_to_its_head_and_table(
    fold, kind, n_tables, n_heads
):
    settings = {"unknown_rate": 0.1, "dropout": 0.2, "batch_size": 60, "n_heads": n_heads}
    rows, start, config = make_problem(kind, n_tables, **settings)
    serving = heads_of_folds(n_tables, n_heads)
    own = serving[fold]
    of_fold = rows.fold == fold
    for changed in (of_fold, serving[rows.fold] == own):
        tasks = [make_task(r, start, config) for r in with_some_changed(rows, changed)]
        for task in tasks:
            assert len(run(task, 1)) == 1
        expected, *others = ((all_tables_of(task), heads_of(task)) for task in tasks)
        for tables, heads in others:
            for head in range(n_heads):
                assert (heads[head] == expected[1][head]) == (head == own)
            if changed is not of_fold:  # other folds of the head teach the fold's table
                continue
            for one, other in zip(expected[0], tables, strict=True):
                for k in range(n_tables):
                    assert (one[k].tobytes() == other[k].tobytes()) == (k == fold)


@pytest.mark.parametrize(("n_tables", "n_heads"), [(3, 3), (5, 3)])
def test_heads_start_alike_and_each_table_learns_through_the_one_that_serves_it(n_tables, n_heads):
    settings = {"n_heads": n_heads, "batch_size": 60}
    task = make_task(*make_problem("plain", n_tables, dropout=0.2, **settings))
    assert heads_of(task)[0] == heads_of(task)[1] == heads_of(task)[2]
    run(task)
    assert len({head[0] for head in heads_of(task)}) == 3
    # a head that answers nothing, and whose linear model does, teaches its tables nothing
    rows, start, config = make_problem("plain", n_tables, **settings)
    task = make_task(rows, replace(start, shrinks=[False, False]), config)
    with torch.no_grad():
        for weight in (task.head.weights[-1], task.layers[-1].weights[0]):
            weight[1] = 0.0
    serving = heads_of_folds(n_tables, n_heads)
    for gradient in gradients_of(task):
        assert [bool(g.any()) for g in gradient] == (serving != 1).tolist()


@pytest.mark.parametrize("kind", ["dot", "dot_sum", "gru"])
def test_withheld_rows_never_change_what_learns_from_all_folds(kind):
    rows, start, config = make_problem(kind, dropout=0.2)
    assert rows.withheld.any()
    changed = with_other_targets(rows, rows.withheld)
    tasks = [make_task(r, start, config, train_tables=False) for r in (rows, changed)]
    untouched = head_of(tasks[0])
    for task in tasks:
        run(task)
    assert head_of(tasks[0]) == head_of(tasks[1])
    assert head_of(tasks[0]) != untouched
    tasks = [make_task(r, start, config, train_head=False) for r in (rows, changed)]
    for task in tasks:
        run(task)
    assert not np.array_equal(*(tables_of(task)[0] for task in tasks))


def test_rows_that_stop_the_training_teach_the_heads_of_other_folds():
    rows, start, config = make_problem("plain", dropout=0.2)
    changed = with_other_targets(rows, rows.validation)
    tasks = [make_task(r, start, config, train_tables=False) for r in (rows, changed)]
    for task in tasks:
        run(task)
    for one, other in zip(*map(heads_of, tasks), strict=True):
        assert one != other


@pytest.mark.parametrize("kind", KINDS)
def test_withheld_rows_change_nothing_without_cross_fitting(kind):
    rows, start, config = make_problem(kind, 1, dropout=0.2, unknown_rate=0.1)
    validation = rows.withheld
    assert validation.any()
    codes = []
    for column in rows.codes:
        if isinstance(column, Lists):  # of the same length, so that as many numbers are drawn
            items = np.where(validation[column.rows], np.int32(3), column.items)
            codes.append(replace(column, items=items))
        else:
            codes.append(np.where(validation, np.int32(3), column))
    changed = replace(
        with_other_targets(rows, validation),
        codes=codes,
        context=np.where(validation[:, None], np.float32(9), rows.context),
        weights=np.where(validation, np.float32(7), rows.weights),
    )
    tasks = [make_task(r, start, config) for r in (rows, changed)]
    untouched = head_of(tasks[0])
    for task in tasks:
        run(task)
    assert head_of(tasks[0]) == head_of(tasks[1]) != untouched
    for one, other in zip(*map(all_tables_of, tasks), strict=True):
        assert one.tobytes() == other.tobytes()


@pytest.mark.parametrize("kind", ["plain", "mean"])
def test_each_item_teaches_any_table_but_its_rows_own(kind):
    rows, start, config = make_problem(kind)
    rows = replace(rows, fold=np.zeros(60, dtype=np.int64), validation=np.zeros(60, dtype=bool))
    task = make_task(rows, start, config)
    before = tables_of(task)[0]
    run(task, 15)
    moved = (tables_of(task)[0] != before).any(axis=2)
    used = np.unique([item for row in range(60) for item in items_of(rows.codes[0], row)])
    assert moved[1:, used].all()
    assert not moved[0].any()
    assert not np.delete(moved, used, axis=1).any()


def test_own_look_up_falls_back_to_unknown_where_the_own_table_never_saw_a_category():
    rows = make_rows()
    second = (3 + rows.fold).astype(np.int32)  # each category is in one fold only
    second[:2] = 7  # in folds 0 and 1
    own = codes_of(make_task(replace(rows, codes=[rows.codes[0], second])), own=True).cells.numpy()
    np.testing.assert_array_equal(own[:, 0], rows.codes[0])
    assert own[:2, 1].tolist() == [7, 7]
    assert set(own[2:, 1]) == {0}


def test_items_that_the_own_table_never_saw_are_unknown_there():
    rows, start, config = make_problem("mean")
    lists = rows.codes[0]
    items = np.where(rows.fold[lists.rows] == 1, np.int32(5), np.int32(4))
    items[np.flatnonzero(rows.fold[lists.rows] == 0)[0]] = 5  # the only 5 that table 1 sees
    for first in (5, 4):
        items[np.flatnonzero(rows.fold[lists.rows] == 0)[0]] = first
        rows = replace(rows, codes=[replace(lists, items=items), rows.codes[1]])
        own = codes_of(make_task(rows, start, config), own=True).lists[0]
        assert own.codes.tolist() == np.where((first == 4) & (items == 5), 0, items).tolist()
        assert own.lengths.tolist() == lists.lengths.tolist()


def test_asking_for_the_validation_loss_does_not_change_training():
    config = make_config(dropout=0.5, unknown_rate=0.2)
    asked, left_alone = (make_task(make_rows(), config=config) for _ in range(2))
    for _ in range(2):
        asked.validation_loss()
        run(asked, 1)
        run(left_alone, 1)
    assert head_of(asked) == head_of(left_alone)


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


@pytest.mark.parametrize(
    ("batch_size", "kind", "n"),
    [(1, "plain", 60), (7, "plain", 60), (60, "plain", 60), (7, "dot", 48)],
)
def test_every_row_that_is_not_withheld_takes_part_once_an_iteration(batch_size, kind, n):
    rows, start, config = make_problem(kind, batch_size=batch_size)
    task = make_task(rows, start, config)
    steps = run(task, 1)
    assert len(steps) == task.n_steps == -(-n // batch_size)
    total = sum(weight for _, weight in steps)
    np.testing.assert_allclose(total, rows.weights[~rows.withheld].sum(), rtol=1e-5)


@pytest.mark.parametrize("kind", ["plain", "dot"])
def test_a_pass_over_many_rows_is_divided_into_iterations(kind, monkeypatch):
    monkeypatch.setattr(problem, "ROWS_AN_ITERATION", 25)
    rows, start, config = make_problem(kind, batch_size=10)
    task = make_task(rows, start, config)
    n = (~rows.withheld).sum()
    n_parts = -(-n // 25)
    assert task.n_steps == n // n_parts // 10 + (n // n_parts % 10 > 0)
    weights = [float(weight) for _, weight in run(task, 2 * n_parts)]
    assert len(weights) == 2 * n_parts * task.n_steps
    wanted = rows.weights[~rows.withheld].sum()
    passes = np.split(np.array(weights), 2)
    np.testing.assert_allclose([p.sum() for p in passes], wanted, rtol=1e-5)
    assert not np.allclose(*passes)  # in another order


@pytest.mark.parametrize("kind", ["plain", "mean"])
def test_the_unknown_row_is_trained_by_codes_that_are_replaced_for_one_step(kind):
    for rate in (0.0, 0.4):
        rows, start, config = make_problem(kind, unknown_rate=rate)
        task = make_task(rows, start, config)
        before = tables_of(task)
        run(task, 3)
        codes = codes_of(task)
        kept = codes.cells[:, 0] if kind == "plain" else codes.lists[0].codes
        assert (
            kept.tolist()
            == np.concatenate([items_of(rows.codes[0], row) for row in range(60)]).tolist()
        )
        for old, new in zip(before, tables_of(task), strict=True):
            assert ((old[:, 0] != new[:, 0]).any(axis=1) == (rate > 0)).all()


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


# The state ---------------------------------------------------------------------------------


def test_the_state_is_the_mean_over_steps_and_moves_so_many_times_a_training():
    settings = {"max_iter": 90, "batch_size": 15}
    task = make_task(*make_problem("plain", **settings))
    every = 90 * task.n_steps // UPDATES
    assert every == 3
    state, moved = task.state(), []
    steps = (step for _ in range(90) for step in task.iteration())
    for number, _ in enumerate(steps, start=1):
        present = task.state()
        if number < every:  # before the first mean the state is the present one
            assert torch.equal(present[0], task.average.parameters[0])
        elif not torch.equal(present[0], state[0]):
            moved.append(number)
        state = present
    assert moved == [every * k for k in range(1, UPDATES + 1)]


def test_the_mean_of_large_tables_moves_less_often_but_in_each_iteration(monkeypatch):
    settings = {"max_iter": 3, "batch_size": 4}
    n_steps = make_task(*make_problem("plain", **settings)).n_steps
    numbers = sum(p.numel() for p in parameters_of(make_task(*make_problem("plain", **settings))))
    for a_row, every in ((numbers, 1), (numbers / 20, 5), (1e-9, n_steps)):
        monkeypatch.setattr("sk_entity_embed.learning.crossfit.UPDATED_A_ROW", a_row)
        task = make_task(*make_problem("plain", **settings))
        run(task, 1)
        assert task.average.n_updates == n_steps // every


def test_each_iteration_of_a_long_training_has_its_own_validation_loss():
    task = make_task(*make_problem("plain", max_iter=1000))
    losses = []
    for _ in range(3):
        run(task, 1)
        losses.append(float(task.validation_loss()[0]))
    assert len(set(losses)) == 3


def test_the_state_is_a_copy_and_can_be_restored():
    task = make_task(*make_problem("gru"))
    run(task, 2)
    state, present = task.state(), tables_of(task)
    kept = [s.clone() for s in state]
    run(task, 1)
    for one, other in zip(state, kept, strict=True):
        assert torch.equal(one, other)
    task.restore(state)
    for found, mean, wanted in zip(parameters_of(task), task.state(), kept, strict=True):
        assert torch.equal(found.detach(), wanted)
        assert torch.equal(mean, wanted)  # training goes on from it
    assert not np.array_equal(tables_of(task)[0], present[0])  # the mean, not the last step
    run(task, 1)
    for one, other in zip(state, kept, strict=True):
        assert torch.equal(one, other)


def test_a_continued_training_starts_from_the_mean_of_the_one_before():
    task = make_task(*make_problem("plain", batch_size=60), continued=True)
    before = [p.detach().clone() for p in parameters_of(task)]
    run(task, 1)
    share = (1 + MEAN_POWER) / (UPDATES + 1 + MEAN_POWER)
    for mean, old, new in zip(task.state(), before, parameters_of(task), strict=True):
        torch.testing.assert_close(mean, old + (new.detach() - old) * share)


@pytest.mark.parametrize("batch_size", [16, LARGEST_BATCH, 4 * LARGEST_BATCH])
@pytest.mark.parametrize("kind", ["plain", "dot_sum"])
def test_step_sizes_of_both_halves_are_scaled_and_may_grow_with_the_root_of_rows(kind, batch_size):
    task = make_task(*make_problem(kind, batch_size=batch_size))
    task.set_learning_rate(0.5)
    head, tables, _, linear = settings_of(kind)
    n = batch_size if task.config.head.step_grows else NORMAL_BATCH
    of_tables = (n / NORMAL_BATCH) ** 0.5
    of_head = (min(n, LARGEST_BATCH) / NORMAL_BATCH) ** 0.5
    assert task.table_optimizer.lr == pytest.approx(0.025 * tables * of_tables)
    sizes = [g["lr"] for o in task.head_optimizers for g in o.param_groups]
    assert len(sizes) == (3 if kind == "plain" and batch_size >= MUON_BATCH else 2)
    assert sizes == pytest.approx([0.025 * head * of_head] * len(sizes))
    assert (linear_of(task) is None) == (linear == 0)


BIASES = re.compile("bias|offset|intercept|roots")  # roots: the axes' weights start at one


@pytest.mark.parametrize(("kind", "n_biases"), [("plain", 3), ("gru", 5), ("dot_sum", 3)])
def test_only_weights_decay(kind, n_biases):
    task = make_task(*make_problem(kind))
    (optimizer,) = task.head_optimizers
    weights, biases = optimizer.param_groups
    assert (weights["weight_decay"], biases["weight_decay"]) == (0.01, 0.0)
    names = [(name, p) for layer in task.layers for name, p in layer.named_parameters()]
    of_biases = {id(p) for name, p in names if BIASES.search(name)}
    assert len(of_biases) == n_biases
    assert {id(p) for p in biases["params"]} == of_biases
    assert {id(p) for p in weights["params"]} == {id(p) for _, p in names} - of_biases
    assert len(weights["params"]) + len(biases["params"]) == len(names)


@pytest.mark.parametrize("kind", ["plain", "gru", "dot_sum"])
def test_hidden_matrices_of_perceptrons_take_orthogonal_steps_where_these_are_large(kind):
    settings = {"hidden_layer_sizes": (8, 6), "batch_size": MUON_BATCH}
    task = make_task(*make_problem(kind, **settings))
    hidden = [] if kind == "dot_sum" else list(task.head.linears.matrices)[:2]
    _, *others = task.head_optimizers
    assert [type(o) for o in others] == [Muon] * (len(hidden) > 0)
    parameters = [p for o in task.head_optimizers for g in o.param_groups for p in g["params"]]
    assert len(parameters) == len({id(p) for p in parameters})
    assert {id(p) for p in parameters} == {id(p) for x in task.layers for p in x.parameters()}
    if others:
        (group,) = others[0].param_groups
        assert [id(p) for p in group["params"]] == [id(p) for p in hidden]
        assert group["weight_decay"] == 0.01
    before = [p.detach().clone() for p in parameters]
    run(task, 1)
    assert not any(torch.equal(a, b) for a, b in zip(before, parameters, strict=True))


# What both halves learn, against loops over rows and items ----------------------------------


def naive_inputs(task, rows, tables, which, table_of):
    """What enters the head, a row at a time; `table_of` says the table of each."""
    out = []
    for row in which:
        table, parts = table_of(row), []
        for vectors, codes, pool in zip(tables, rows.codes, task.pools, strict=True):
            items = torch.stack([vectors[table, item] for item in items_of(codes, row)])
            if pool is not None:
                n = torch.tensor([len(items)])
                items = pool(items, torch.zeros(len(items), dtype=torch.int64), n)
            parts.append(items[0])
        out.append(torch.cat([*parts, torch.tensor(rows.context[row])]))
    return torch.stack(out)


def naive_shrinkage(rows, tables, which, table_of, pooling, prior_rows):
    """Gradient of the shrinkage towards zero, item by item."""
    found = []
    for j, codes in enumerate(rows.codes):
        weight = np.zeros(tables[j].shape[:2])
        for row in range(len(rows.fold)):
            for item in items_of(codes, row):
                for table in range(len(weight)):
                    taught = rows.fold[row] != table if rows.cross_fitted else True
                    if taught and (rows.cross_fitted or not rows.withheld[row]):
                        weight[table, item] += rows.weights[row]
        pull = torch.zeros_like(tables[j])
        for row in which:
            table, items = table_of(row), items_of(codes, row)
            for item in items:
                share = rows.weights[row] / len(which)
                if pooling[j] is not None and pooling[j].shares_gradient:
                    share = share / len(items) ** 2
                step = share / weight[table, item]
                pull[table, item] += step * prior_rows * tables[j][table, item].detach()
        found.append(pull)
    return found


def unlike(task):
    """The task with heads, and linear models beside them, that differ from fold to fold."""
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for layer in task.layers:
            for parameter in layer.parameters():
                parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.3)
    return task


def make_wide_problem(kind, *args, **settings):
    """A problem with two outputs, where the head has so many, and folds of unequal sizes."""
    n_outputs = 1 if kind.startswith("dot") else 2
    rows, start, config = make_problem(kind, *args, n_outputs=n_outputs, **settings)
    target = np.hstack([rows.target, 1 - 2 * rows.target**2])[:, :n_outputs]
    fold = np.where(np.arange(60) % 5 == 0, 0, rows.fold)
    return replace(rows, target=target, fold=fold), start, config


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n_tables", [1, 2])
def test_tables_learn_from_head_linear_model_and_shrinkage(n_tables, kind):
    rows, start, config = make_wide_problem(kind, n_tables, same=False, batch_size=60)
    shrinks = [True, n_tables == 1]
    task = unlike(make_task(rows, replace(start, shrinks=shrinks), config))
    # with two tables, that of another fold is the other one, and withheld rows teach, too
    which = np.flatnonzero(~rows.withheld) if n_tables == 1 else np.arange(60)

    def table_of(row):
        return n_tables - 1 - rows.fold[row]

    _, _, prior_rows, linear = settings_of(kind)
    tables = [torch.tensor(t, requires_grad=True) for t in tables_of(task)]
    inputs = naive_inputs(task, rows, tables, which, table_of)
    target, weights = torch.tensor(rows.target[which]), torch.tensor(rows.weights[which])
    through = heads_serving(task, table_of(which))  # the head of each table
    loss = ((answers_of(task, inputs, through) - target) ** 2).mean(1)
    if linear:
        loss = loss + linear * ((linear_of(task)(inputs, through) - target) ** 2).mean(1)
    gradients = torch.autograd.grad((loss * weights).mean(), tables)
    pulls = naive_shrinkage(rows, tables, which, table_of, config.poolings, prior_rows)
    for j, (found, gradient, pull) in enumerate(
        zip(gradients_of(task), gradients, pulls, strict=True)
    ):
        assert pull.abs().max() > 1e-3
        expected = gradient + pull if shrinks[j] else gradient
        np.testing.assert_allclose(found, expected.numpy(), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_the_head_and_units_learn_from_the_own_tables_alone(kind):
    settings = {"batch_size": 60, "unknown_rate": 0.5}  # for the tables' half alone
    rows, start, config = make_wide_problem(kind, 2, same=False, **settings)
    rows = with_foreign_categories(rows)
    task = unlike(make_task(rows, start, config))
    which = np.flatnonzero(~rows.withheld)
    tables = [torch.tensor(t) for t in tables_of(task)]
    for table, seen in zip(tables, rows.seen, strict=True):  # others are unknown there
        table[~seen] = table[:, :1].expand_as(table)[~seen]
    assert not rows.seen[1][0, 8]
    inputs = naive_inputs(task, rows, tables, which, lambda row: rows.fold[row])
    target, weights = torch.tensor(rows.target[which]), torch.tensor(rows.weights[which])[:, None]
    others = heads_serving(task, 1 - rows.fold[which])  # it teaches the head of the other fold
    errors = (answers_of(task, inputs, others) - target) ** 2 * weights
    loss = (
        errors
        if linear_of(task) is None
        else errors + (linear_of(task)(inputs, others) - target) ** 2 * weights
    )
    parameters = [p for layer in task.layers for p in layer.parameters()]
    n_rows = len(rows.fold) if config.head.cross_fits else len(which)  # withheld ones weigh nothing
    expected = torch.autograd.grad(loss.mean() * len(which) / n_rows, parameters)
    losses, weight = next(task.iteration())
    for parameter, wanted in zip(parameters, expected, strict=True):
        torch.testing.assert_close(parameter.grad, wanted, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(losses, errors.sum(0).tolist(), rtol=1e-4)
    np.testing.assert_allclose(weight, weights.sum(), rtol=1e-5)


@pytest.mark.parametrize(
    ("kind", "n_tables", "n_heads"),
    [*((kind, n, None) for kind in KINDS for n in (1, 3)), ("plain", 5, 2), ("gru", 4, 3)],
)
def test_the_validation_loss_is_that_of_the_model_served_through_the_own_head(
    kind, n_tables, n_heads
):
    link = Bounded(-4.0, 4.0)
    rows, start, config = make_problem(
        kind, n_tables, same=False, dropout=0.5, unknown_rate=0.3, link=link
    )
    config = replace(config, n_heads=n_heads or config.n_heads)
    rows = with_foreign_categories(rows)
    task = make_task(rows, start, config)
    run(task, 3)
    which = np.flatnonzero(rows.validation)
    head, pooling, sources = served_parts(task)
    codes = []
    for column, n in zip(rows.codes, N_ROWS, strict=True):
        seen = rows.seen[len(codes)]
        cells = [[r if seen[rows.fold[i], r] else 0 for r in items_of(column, i)] for i in which]
        flat = [rows.fold[i] * n + c for i, row in zip(which, cells, strict=True) for c in row]
        lists = Lists(np.array(flat), offsets_of(np.array([len(c) for c in cells])))
        codes.append(lists if isinstance(column, Lists) else lists.items)
    assert (codes[1] % N_ROWS[1] == 0).any()  # some are unknown
    vectors = np.empty((len(which), sum(task.bank.widths)), dtype=np.float32)
    gather(sources, codes, vectors, pooling)
    raw = of_own_heads("raw", head, vectors, rows.context[which], rows.fold[which])
    predicted = link.predict(raw, config.scale)
    errors = (predicted - rows.target[which]) ** 2
    expected = np.average(errors, axis=0, weights=rows.weights[which])
    np.testing.assert_allclose(task.validation_loss(), expected, rtol=1e-4)


@pytest.mark.parametrize("kind", ["plain", "gru"])
def test_batches_of_the_validation_loss_do_not_change_it(kind, monkeypatch):
    rows, start, config = make_problem(kind, same=False)
    expected = make_task(rows, start, config).validation_loss()
    monkeypatch.setattr(batches, "_ITEMS_AT_ONCE", 9)
    task = make_task(rows, start, config)
    assert 1 <= task.batches._judges[1][0].numel() <= 9
    np.testing.assert_allclose(task.validation_loss(), expected, rtol=1e-6)
    monkeypatch.setattr(batches, "_ITEMS_AT_ONCE", 0)
    assert len(make_task(rows, start, config).batches._judges[1]) == rows.validation.sum()


def test_shrinkage_leads_all_but_the_unknown_row_to_zero():
    start = make_start(same=False, shrinks=[True, False])
    rows = make_rows()
    for codes in rows.codes:
        codes[::5] = 0  # the unknown row does not shrink even where rows bear it
    task = without_losses(make_task(rows, start, make_config(unknown_rate=0.3)))
    run(task, 3)
    tables = tables_of(task)
    np.testing.assert_array_equal(tables[1], start.tables[1])  # a column that does not shrink
    np.testing.assert_array_equal(tables[0][:, :3], start.tables[0][:, :3])  # no rows of their own
    before, after = np.abs(start.tables[0][:, 3:]), np.abs(tables[0][:, 3:])
    assert (after < before).mean() > 0.9  # a step may pass zero
    assert after.mean() < 0.7 * before.mean()


def test_weights_that_all_but_vanish_do_not_break_shrinkage():
    rows = make_rows()
    weights = np.where(rows.codes[0] == 3, np.float32(1e-42), rows.weights)
    task = make_task(replace(rows, weights=weights))
    run(task)
    assert all(np.isfinite(t).all() for t in tables_of(task))
    assert not np.array_equal(tables_of(task)[0][:, 3], make_start().tables[0][:, 3])


@pytest.mark.parametrize("missing", ["context", "categories"])
def test_rows_without_context_or_categories_are_learned(missing):
    rows, start, config = make_problem("plain")
    if missing == "context":
        rows = replace(rows, context=np.empty((60, 0), dtype=np.float32))
    else:
        rows = replace(rows, codes=[], n_rows=[])
        start = replace(start, tables=[], fixed=[], shrinks=[], poolings=[])
        config = replace(config, poolings=())
    task = make_task(rows, start, config)
    before = task.validation_loss()
    run(task, 2)
    assert len(tables_of(task)) == len(rows.codes)
    assert task.validation_loss() != before
