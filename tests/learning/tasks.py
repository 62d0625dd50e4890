"""Tasks of cross-fitted training, and what the tests read from them."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import torch

from sk_entity_embed.input.lists import Lists
from sk_entity_embed.learning.batches import TrainingSet
from sk_entity_embed.learning.crossfit import LINEAR_WEIGHT, TABLE_STEP, CrossFitting
from sk_entity_embed.learning.learn import _branch, _build, _fixed_entries
from sk_entity_embed.learning.lookup import EmbeddingBank
from sk_entity_embed.model.heads import DotHead, MLPHead, heads_of_folds
from tests.learning.problems import make_config, make_start


def make_task(
    rows,
    start=None,
    config=None,
    *,
    train_head=True,
    train_tables=True,
    device="cpu",
    batches=None,
    **options,
):
    """A task ready for its first step; either half can be held fixed, and batches given."""
    config = config or make_config(n_heads=rows.n_tables)
    start = start or make_start(rows.n_tables)
    generator = torch.Generator(device=device).manual_seed(config.seed)
    bank = EmbeddingBank([torch.tensor(t, device=generator.device) for t in start.tables])
    head, pools = _build(bank.widths, rows, start.point, config, generator)
    if batches is None:
        batches = TrainingSet(rows, config, start.shrinks, _branch(generator))
    fixed = _fixed_entries(start.tables, start.point, config, generator.device)
    task = CrossFitting(batches, bank, head, pools, fixed, config, generator, **options)
    if not train_tables:
        task.table_optimizer.lr = 0.0
    if not train_head:
        hold_head(task)
    return task


def hold_head(task):
    """Let no step move head, poolings and companions."""
    for optimizer in task.head_optimizers:
        for group in optimizer.param_groups:
            group["lr"] = 0.0


def run(task, n_iterations=2):
    """Train for some iterations; the losses and weights of all steps."""
    return [step for _ in range(n_iterations) for step in task.iteration()]


def settings_of(kind):
    """Step sizes of head and tables over the learning rate, prior rows and the linear weight."""
    head = DotHead if kind.startswith("dot") else MLPHead
    linear = 0.0 if head.biased else LINEAR_WEIGHT
    return head.step, head.step * TABLE_STEP, head.prior_rows, linear


def served_parts(task):
    """Head and poolings in NumPy, and the flat tables, in the mean over the last steps."""
    with task.average.applied():
        poolings = [None if pool is None else pool.to_numpy() for pool in task.pools]
        return task.head.to_numpy(), poolings, [w.numpy().copy() for w in task.bank.weights]


def parameters_of(task):
    """All that is kept of a training, in the order of its state."""
    return [*task.bank.weights, *(p for layer in layers_of(task) for p in layer.parameters())]


def tables_of(task):
    """Tables of each column, of shape (n_tables, n_rows, width)."""
    return [
        w.numpy().reshape(task.batches.n_tables, -1, w.shape[1]).copy() for w in task.bank.weights
    ]


def mean_tables_of(task):
    """The same in the mean over the last steps."""
    with task.average.applied():
        return tables_of(task)


def all_tables_of(task):
    """Tables as they are, and in the mean over the last steps."""
    return [*tables_of(task), *mean_tables_of(task)]


def layers_of(task):
    """The head and what else learns with it and is kept: recurrent units."""
    return [task.head, *(pool for pool in task.pools if pool is not None)]


def head_of(task):
    """All parameters of the head, of its mean and of the linear model beside it, as bytes."""
    kept = [p for layer in layers_of(task) for p in layer.parameters()]
    with task.average.applied():
        mean = [p.detach().numpy().tobytes() for p in kept]
    parameters = [p for layer in task.layers for p in layer.parameters()]
    return [p.detach().numpy().tobytes() for p in parameters] + mean


def heads_of(task):
    """The same of each perceptron and linear model side by side, without recurrent units."""
    kept = [*task.head.parameters()]
    with task.average.applied():
        mean = [p.detach().numpy().copy() for p in kept]
    beside = [p for layer in task.layers[len(layers_of(task)) :] for p in layer.parameters()]
    arrays = [p.detach().numpy() for p in (*kept, *beside)] + mean
    return [[a[head].tobytes() for a in arrays] for head in range(task.config.n_heads)]


def gradients_of(task):
    """Gradient of the tables in one step, of shape (n_tables, n_rows, width) for each column."""
    caught = []
    task.table_optimizer.step = lambda *given: caught.append(given)
    next(task.iteration())
    ((flat, gradients),) = caught
    totals = [torch.zeros_like(w) for w in task.bank.weights]
    for total, index, gradient in zip(totals, flat, gradients, strict=True):
        total.index_add_(0, index, gradient)
    return [t.numpy().reshape(task.batches.n_tables, -1, t.shape[1]) for t in totals]


def without_losses(task):
    """The task with a head and a linear model that read nothing: only shrinkage is left."""
    with torch.no_grad():
        task.head.weights[-1].zero_()
        task.layers[-1].weights[0].zero_()
    hold_head(task)
    return task


def answers_of(task, x, heads):
    """Outputs of rows that each go through a head of their own."""
    head = task.head
    return naive_answers(head.linears.layers, x, heads) if hasattr(head, "linears") else head(x)


def linear_of(task):
    """The linear models beside the head, as a function of rows and heads; None without them."""
    beside = task.layers[len(layers_of(task)) :]
    return partial(naive_answers, beside[0].layers) if beside else None


def naive_answers(layers, x, heads):
    """Outputs of layers of several heads side by side, one row at a time."""
    out = []
    for state, k in zip(x, heads.tolist(), strict=True):
        for i, (weight, bias) in enumerate(layers):
            state = weight[k] @ (state if i == 0 else torch.relu(state)) + bias[k, 0]
        out.append(state)
    return torch.stack(out)


def heads_serving(task, folds):
    """The head that serves each fold."""
    return torch.as_tensor(heads_of_folds(task.batches.n_tables, task.config.n_heads)[folds])


def codes_of(task, *, own=False):
    """Codes of all 60 rows; with `own`, as the rows' own tables know them."""
    return task.batches._window.codes.take(torch.arange(60), torch.full((60,), own))


def items_of(codes, row):
    """Codes of a row, in order."""
    return codes[row : row + 1].items.tolist() if isinstance(codes, Lists) else [int(codes[row])]


def first_codes(rows):
    """A code of each row in column 0: of a list, its first item's."""
    codes = rows.codes[0]
    return codes.items[codes.offsets[:-1]] if isinstance(codes, Lists) else codes


def with_other_targets(rows, which):
    """The same rows, some of them with entirely different targets."""
    target = rows.target.copy()
    target[which] = 50.0 - 3.0 * target[which]
    return replace(rows, target=target)


def with_foreign_categories(rows):
    """The same rows, but for category 8 of column 1, which the tables of its rows never see."""
    foreign = rows.withheld if rows.n_tables == 1 else (rows.fold == 0) & (rows.codes[1] > 5)
    codes = np.where(foreign, 8, np.minimum(rows.codes[1], 7)).astype(np.int32)
    return replace(rows, codes=[rows.codes[0], codes])
