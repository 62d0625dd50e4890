"""The two passes of cross-fitted training: rows teach other folds' tables, and judge their own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sk_entity_embed.input.lists import Codes, Lists
from sk_entity_embed.input.target import Bounds
from sk_entity_embed.learning.averaging import RunningMean
from sk_entity_embed.learning.inputs import Batch, CodedColumns
from sk_entity_embed.learning.losses import loss_function
from sk_entity_embed.learning.network import MLP, DotProduct, EmbeddingBank, Layer
from sk_entity_embed.learning.optimizers import RowAdam
from sk_entity_embed.learning.pooling import Pool, pool_mean
from sk_entity_embed.learning.problem import TrainingConfig, TrainingRows

_EVALUATION_BATCH = 8192
_EVALUATION_ITEMS = 262_144
AVERAGED_EPOCHS = 6
"""Epochs that the mean of the parameters reaches back over."""
TABLE_STEP = 1.5
"""Step size of the tables over that of the head: each table learns from a part of the rows."""
LINEAR_WEIGHT = 0.5
"""Weight of the linear model's loss in the tables' gradient."""
PRIOR_ROWS = 3.0
"""Rows that the pull of a category's vector towards zero counts for."""
DOT_STEP = 0.35
"""Step sizes under dot products over those under a perceptron: noise in one vector multiplies that
in the other, and weights of axes that learn faster than the vectors turn them down too early."""
DOT_PRIOR_ROWS = 8.0
"""`PRIOR_ROWS` under dot products."""


class CrossFitting:
    """Embedding tables and head under training.

    Each step has two halves, both at the same parameters:

    1. *Tables.* Every row is looked up in a random table of another fold than its own; the
       gradient changes that table only.
    2. *Head.* Every row but the validation ones is looked up in its own fold's table, which never
       saw it; the gradient changes the head only.

    With one table (no cross-fitting) both halves look into it, and validation rows take part in
    neither.

    Three things beside it make the vectors better for others than this head. A linear model of
    vectors and context learns next to a multi-layer head in the same two halves; its loss, added to
    the tables' own, keeps additive effects in plain sight. Each vector is pulled towards zero with
    the weight of a few rows, so that a rare one moves only as far as its rows agree. And what
    counts is the mean of all parameters over the last epochs.

    Parameters
    ----------
    rows : TrainingRows
        The data.
    bank : EmbeddingBank
        The tables.
    head : Layer
        The layers above.
    pools : sequence of Pool or None
        What makes one vector of a column's lists; None for columns of single values. Those that
        are layers learn with the head.
    fixed : list of Tensor or None
        Rows of each table that stay as they are.
    pulled : sequence of bool
        Columns whose vectors are pulled towards zero.
    config : TrainingConfig
        Settings.
    generator : torch.Generator
        Draws batches, tables and unknowns.
    device : torch.device
        Where it runs.
    continued : bool, default=False
        Whether tables and head come from an earlier training, whose mean goes on.
    """

    def __init__(
        self,
        rows: TrainingRows,
        bank: EmbeddingBank,
        head: Layer,
        pools: Sequence[Pool | None],
        fixed: list[Tensor | None],
        pulled: Sequence[bool],
        config: TrainingConfig,
        generator: torch.Generator,
        device: torch.device,
        *,
        continued: bool = False,
    ) -> None:
        self.bank, self.head, self.config, self.generator = bank, head, config, generator
        self.n_tables = rows.n_tables
        self.pools = pools
        self.codes = CodedColumns(rows.codes, len(rows.fold), device)
        self.own_codes = CodedColumns(_own_codes(rows, bank.n_rows), len(rows.fold), device)
        self.context = torch.as_tensor(rows.context, device=device)
        self.target = torch.as_tensor(rows.target, device=device)
        self.weights = torch.as_tensor(rows.weights, device=device)
        self.fold = torch.as_tensor(rows.fold, device=device)
        self.validation = torch.as_tensor(np.flatnonzero(rows.validation), device=device)
        self.training = torch.as_tensor(np.flatnonzero(~rows.validation), device=device)
        bounds = config.bounds
        self.loss = loss_function(
            config.loss,
            multiclass=config.multiclass,
            bounds=None if bounds is None else _on(device, bounds),
        )
        self.linear = None
        if isinstance(head, MLP):
            self.linear = MLP(
                sum(bank.widths) + rows.context.shape[1],
                (),
                config.n_outputs,
                dropout=0.0,
                generator=generator,
                device=device,
            )
        is_dot = isinstance(head, DotProduct)
        self.step = DOT_STEP if is_dot else 1.0
        prior_rows = DOT_PRIOR_ROWS if is_dot else PRIOR_ROWS
        self.pulls = [
            torch.as_tensor(pull, device=device)
            for pull in _pulls(rows, bank.n_rows, pulled, prior_rows)
        ]
        self.table_optimizer = RowAdam(bank.weights, fixed, lr=config.learning_rate_init)
        learned = [head, *(pool for pool in pools if isinstance(pool, Layer))]
        layers = learned if self.linear is None else [*learned, self.linear]
        self.head_optimizer = torch.optim.AdamW(
            [
                {"params": [w for m in layers for w in m.weights], "weight_decay": config.alpha},
                {"params": [b for m in layers for b in m.biases], "weight_decay": 0.0},
            ],
            lr=config.learning_rate_init,
        )
        self.average = RunningMean(
            [*bank.weights, *(p for layer in learned for p in layer.parameters())],
            AVERAGED_EPOCHS,
            n_updates=AVERAGED_EPOCHS if continued else 0,
        )
        items_per_row = self.codes.items_per_row
        self.evaluation_batch = max(
            1, int(min(_EVALUATION_BATCH, _EVALUATION_ITEMS / items_per_row))
        )
        self.device = device

    def epoch(self) -> Iterator[tuple[NDArray[np.float64], float]]:
        """One pass over the rows; yields each step's summed losses and weight."""
        self.head.train()
        for head_rows, extra in self._batches():
            yield self._step(head_rows, extra)
        self.average.update()

    def validation_loss(self) -> NDArray[np.float64]:
        """Mean loss of the validation rows, looked up in their own fold's tables."""
        self.head.eval()
        total: Tensor | None = None
        with torch.no_grad(), self.average.applied():
            for rows in torch.split(self.validation, self.evaluation_batch):
                losses = self.loss(self.head(self._own_inputs(rows)), self.target[rows])
                summed = (losses * self.weights[rows, None]).sum(0, dtype=torch.float64)
                total = summed if total is None else total + summed
        weight = self.weights[self.validation].sum(dtype=torch.float64)
        assert total is not None
        return (total / weight).cpu().numpy()

    def state(self) -> list[Tensor]:
        """A copy of the parameters' mean over the last epochs; of themselves before the first."""
        average = self.average
        source = average.mean if average.n_updates else average.parameters
        return [tensor.detach().clone() for tensor in source]

    def restore(self, state: list[Tensor]) -> None:
        """Make a state the present one."""
        with torch.no_grad():
            for parameter, value in zip(self.average.parameters, state, strict=True):
                parameter.copy_(value)

    def set_learning_rate(self, factor: float) -> None:
        """Scale the step size of both optimisers to a share of its initial value."""
        step = self.config.learning_rate_init * factor * self.step
        self.table_optimizer.lr = step * TABLE_STEP
        for group in self.head_optimizer.param_groups:
            group["lr"] = step

    @property
    def n_steps(self) -> int:
        """Steps of an epoch."""
        return -(-len(self.training) // self.config.batch_size)

    def _batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Training rows of each step, and the validation rows that only teach tables."""
        order = self.training[self._permutation(len(self.training))]
        extra = self.validation if self.n_tables > 1 else self.validation[:0]
        extra = extra[self._permutation(len(extra))]
        return zip(
            torch.tensor_split(order, self.n_steps),
            torch.tensor_split(extra, self.n_steps),
            strict=True,
        )

    def _permutation(self, n: int) -> Tensor:
        return torch.randperm(n, generator=self.generator, device=self.device)

    def _step(self, head_rows: Tensor, extra: Tensor) -> tuple[NDArray[np.float64], float]:
        table_rows = torch.cat([head_rows, extra]) if len(extra) else head_rows
        flat, gradients = self._tables_gradient(table_rows)
        inputs, weights = self._own_inputs(head_rows), self.weights[head_rows]
        losses, linear_losses = self._losses(inputs, head_rows)
        weighted = (losses * weights[:, None]).sum(0)
        objective = weighted.mean() / len(head_rows)
        if linear_losses is not None:
            objective = objective + (linear_losses.mean(1) * weights).mean()
        self.head_optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(objective)
        self.head_optimizer.step()
        self.table_optimizer.step(flat, gradients)
        return weighted.detach().double().cpu().numpy(), float(weights.sum())

    def _tables_gradient(self, rows: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        if not self.bank.weights:
            return [], []
        batch = self.codes.take(rows)
        if self.config.unknown_rate > 0:
            batch.replace_some(self.config.unknown_rate, self.generator)
        flat = batch.flat_rows(self._other_tables(self.fold[rows]), self.bank.n_rows)
        vectors = [v.requires_grad_() for v in self.bank.lookup(flat)]
        loss, linear_losses = self._losses(self._inputs(vectors, batch, rows), rows)
        if linear_losses is not None:
            loss = loss + LINEAR_WEIGHT * linear_losses
        gradients = torch.autograd.grad((loss.mean(1) * self.weights[rows]).mean(), vectors)
        shares = self.weights[rows] / len(rows)
        return flat, [
            g.addcmul(v.detach(), self._pull(j, i, batch, shares)[:, None])
            for j, (g, v, i) in enumerate(zip(gradients, vectors, flat, strict=True))
        ]

    def _pull(self, column: int, flat: Tensor, batch: Batch, shares: Tensor) -> Tensor:
        """How strongly each looked-up vector is pulled towards zero, by the rows' shares.

        An item's part in the mean of its list is what it can move; what the row tells of it, and
        hence the pull that weighs as much, goes by the square.
        """
        pull = self.pulls[column][flat]
        lists = batch.list_of(column)
        if lists is None:
            return pull * shares
        if self.pools[column] is pool_mean:
            shares = shares / lists.lengths.square()
        return pull * shares[lists.owners]

    def _own_inputs(self, rows: Tensor) -> Tensor:
        """What the head sees of rows in the tables of their own fold."""
        batch = self.own_codes.take(rows)
        flat = batch.flat_rows(self.fold[rows], self.bank.n_rows)
        return self._inputs(self.bank.lookup(flat), batch, rows)

    def _inputs(self, vectors: Sequence[Tensor], batch: Batch, rows: Tensor) -> Tensor:
        """What enters the head: one vector a column, and the context."""
        parts = []
        for j, (vector, pool) in enumerate(zip(vectors, self.pools, strict=True)):
            lists = batch.list_of(j)
            if lists is None or pool is None:
                parts.append(vector)
            else:
                parts.append(pool(vector, lists.owners, lists.lengths))
        if self.context.shape[1] or not parts:
            parts.append(self.context[rows])
        return torch.cat(parts, dim=1)

    def _losses(self, inputs: Tensor, rows: Tensor) -> tuple[Tensor, Tensor | None]:
        """Losses of the head and, if there is one, of the linear model, by row and output."""
        target = self.target[rows]
        linear = None if self.linear is None else self.loss(self.linear(inputs), target)
        return self.loss(self.head(inputs), target), linear

    def _other_tables(self, fold: Tensor) -> Tensor:
        """A random table of another fold for each row."""
        if self.n_tables == 1:
            return fold
        shift = torch.randint(
            1, self.n_tables, fold.shape, generator=self.generator, device=self.device
        )
        return (fold + shift) % self.n_tables


def _on(device: torch.device, bounds: Bounds) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    low, high, offset, gain = (torch.as_tensor(value, device=device) for value in bounds)
    return low, high, offset, gain


def _own_codes(rows: TrainingRows, n_rows: list[int]) -> list[Codes]:
    """Codes as the rows' own tables know them: unknown where the category was never met."""
    own: list[Codes] = []
    for j, n in enumerate(n_rows):
        codes, owners = rows.items(j)
        known = np.where(rows.met(j, n)[rows.fold[owners], codes], codes, np.int32(0))
        column = rows.codes[j]
        own.append(replace(column, items=known) if isinstance(column, Lists) else known)
    return own


def _pulls(
    rows: TrainingRows, n_rows: list[int], pulled: Sequence[bool], prior_rows: float
) -> list[NDArray[np.float32]]:
    """For each row of the stacked tables, prior rows over the weight of the rows it learns from.

    Summed over those rows the pull is that of `prior_rows` rows, however many they are. Weights of
    a table's own fold stay out of it, for class weights tell its targets. The unknown row, which
    stands for no rows of its own, has none.
    """
    if rows.cross_fitted:
        taught = [rows.fold != table for table in range(rows.n_tables)]
    else:
        taught = [~rows.validation]
    pulls = []
    for j, n in enumerate(n_rows):
        codes, owners = rows.items(j)
        weights = rows.weights[owners]
        chosen = [t[owners] for t in taught]
        weight = np.stack([np.bincount(codes[t], weights[t], n) for t in chosen])
        pull = np.divide(prior_rows, weight, out=np.zeros_like(weight), where=weight > 0)
        pull[:, 0] = 0.0
        finite = np.minimum(pull, np.finfo(np.float32).max)  # of weights that all but vanish
        pulls.append((finite * pulled[j]).ravel().astype(np.float32))
    return pulls
