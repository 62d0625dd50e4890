"""The two passes of cross-fitted training: rows teach other folds' tables, and judge their own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sk_entity_embed.input.target import Bounds
from sk_entity_embed.learning.averaging import RunningMean
from sk_entity_embed.learning.examples import Examples, TrainingSet
from sk_entity_embed.learning.layers import ErrorFunction, Layer
from sk_entity_embed.learning.lookup import LookUp
from sk_entity_embed.learning.losses import loss_derivative, loss_function
from sk_entity_embed.learning.network import DotProduct, EmbeddingBank
from sk_entity_embed.learning.optimizers import AdamW, RowAdam
from sk_entity_embed.learning.parallel import submit, together
from sk_entity_embed.learning.perceptron import MLP
from sk_entity_embed.learning.pooling import Pool, pool_mean
from sk_entity_embed.learning.problem import TrainingConfig, TrainingRows

_ROWS_AT_ONCE = 2048
_ITEMS_AT_ONCE = 65_536
"""What is evaluated in one go; of the next steps' rows four times as much is coded."""
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
    head : MLP or DotProduct
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
    beside : Executor, default=None
        Threads that take a part of each step; None for one thread. Both ways give the same numbers.
    """

    def __init__(
        self,
        rows: TrainingRows,
        bank: EmbeddingBank,
        head: MLP | DotProduct,
        pools: Sequence[Pool | None],
        fixed: list[Tensor | None],
        pulled: Sequence[bool],
        config: TrainingConfig,
        generator: torch.Generator,
        device: torch.device,
        *,
        continued: bool = False,
        beside: Executor | None = None,
    ) -> None:
        self.bank, self.head, self.config, self.beside = bank, head, config, beside
        # What is drawn ahead of its time has a generator of its own.
        self.generator = _branch(generator)
        self.n_tables = rows.n_tables
        self.pools = pools
        numbers: dict[str, Any] = {"dtype": torch.int32, "device": device}
        self.validation = torch.as_tensor(np.flatnonzero(rows.validation), **numbers)
        self.training = torch.as_tensor(np.flatnonzero(~rows.validation), **numbers)
        bounds = None if config.bounds is None else _on(device, config.bounds)
        kind: dict[str, Any] = {"multiclass": config.multiclass, "bounds": bounds}
        self.loss = loss_function(config.loss, **kind)
        self.derivative = loss_derivative(config.loss, **kind)
        self.look_up = LookUp(bank, pools, rows.context.shape[1], device)
        self.linear = None
        if isinstance(head, MLP):
            self.linear = MLP(
                self.look_up.width,
                (),
                config.n_outputs,
                dropout=0.0,
                generator=generator,
                device=device,
            )
        is_dot = isinstance(head, DotProduct)
        self.step = DOT_STEP if is_dot else 1.0
        prior_rows = DOT_PRIOR_ROWS if is_dot else PRIOR_ROWS
        self.data = TrainingSet(
            rows,
            bank.n_rows,
            _pulls(rows, bank.n_rows, pulled, prior_rows),
            [pool is pool_mean for pool in pools],
            device,
        )
        self.table_optimizer = RowAdam(bank.weights, fixed, lr=config.learning_rate_init)
        learned = [head, *(pool for pool in pools if isinstance(pool, Layer))]
        layers = learned if self.linear is None else [*learned, self.linear]
        self.head_optimizer = AdamW(
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
        few = _ITEMS_AT_ONCE / self.data.codes.items_per_row
        self.rows_at_once = max(1, int(min(_ROWS_AT_ONCE, few)))
        self.device = device

    def epoch(self) -> Iterator[tuple[Tensor, Tensor]]:
        """One pass over the rows; yields each step's summed losses and weight.

        They stay on the device, so that no step waits for the one before.
        """
        self.head.train()
        for steps in _ahead(self._steps(), self.beside):
            for some in steps:
                yield self._step(some)
        self.average.update()

    def validation_loss(self) -> NDArray[np.float64]:
        """Mean loss of the validation rows, looked up in their own fold's tables."""
        self.head.eval()
        total: Tensor | None = None
        with torch.no_grad(), self.average.applied():
            for rows in torch.split(self.validation, self.rows_at_once):
                some = self.data.of_own_tables(rows)
                losses = self.loss(self.head(self.look_up(some).inputs), some.target)
                summed = (losses * some.weights.unsqueeze(1)).sum(0, dtype=torch.float64)
                total = summed if total is None else total + summed
        weight = self.data.weights[self.validation].sum(dtype=torch.float64)
        assert total is not None
        return (total / weight).cpu().numpy()

    def state(self, into: list[Tensor] | None = None) -> list[Tensor]:
        """A copy of the parameters' mean over the last epochs; of themselves before the first.

        It takes the place of an earlier one, if there is one: tables may fill the memory.
        """
        average = self.average
        source = average.mean if average.n_updates else average.parameters
        if into is None:
            return [tensor.detach().clone() for tensor in source]
        for copy, tensor in zip(into, source, strict=True):
            copy.copy_(tensor.detach())
        return into

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

    def _steps(self) -> Iterator[Callable[[], list[Examples]]]:
        """What gives the rows that steps learn from; several of them are coded at once.

        All training rows teach the head, and these and the validation rows the tables.
        """
        order = self.training[self._permutation(len(self.training))]
        extra = self.validation if self.n_tables > 1 else self.validation[:0]
        extra = extra[self._permutation(len(extra))]
        of_head, of_tables = order.tensor_split(self.n_steps), extra.tensor_split(self.n_steps)
        n = max(1, 4 * self.rows_at_once // (2 * self.config.batch_size))
        for first in range(0, self.n_steps, n):
            at = slice(first, first + n)
            rate = self.config.unknown_rate
            yield partial(self.data.steps, of_head[at], of_tables[at], rate, self.generator)

    def _permutation(self, n: int) -> Tensor:
        return torch.randperm(n, generator=self.generator, device=self.device, dtype=torch.int32)

    def _step(self, some: Examples) -> tuple[Tensor, Tensor]:
        n, seen = some.n_own, self.look_up(some)
        below = any(p is not None and p.learned.requires_grad for p in seen.pooled)
        self.head_optimizer.zero_grad()
        if isinstance(self.head, MLP):
            raw, gradient = self.head.learn(
                seen.inputs,
                n,
                self._errors(some, 1.0),
                below=below,
                linear=self.linear,
                linear_error=self._errors(some, LINEAR_WEIGHT),
                beside=self.beside,
            )
        else:
            raw, gradient = self.head.learn(seen.inputs, n, self._errors(some, 1.0), below=below)
        gradients = self.look_up.gradients(some, seen, gradient)
        rows = [f[m:] for f, m in zip(some.flat, some.n_own_items, strict=True)]
        with together(self.beside, partial(self._end_head_step, raw, some)) as end:
            self.table_optimizer.step(rows, gradients)
        return end.result()

    @torch.no_grad()  # of each thread its own
    def _end_head_step(self, raw: Tensor, some: Examples) -> tuple[Tensor, Tensor]:
        """Move the head; its summed losses and the rows' weight."""
        self.head_optimizer.step()
        weights = some.weights[: some.n_own]
        losses = self.loss(raw, some.target[: some.n_own]) * weights.unsqueeze(1)
        return losses.sum(0, dtype=torch.float64), weights.sum(dtype=torch.float64)

    def _errors(self, some: Examples, of_tables: float) -> ErrorFunction:
        """The objective's gradient in the outputs: mean losses of both halves.

        Parameters
        ----------
        some : Examples
            The rows.
        of_tables : float
            Weight of the loss in the tables' half.
        """
        n, n_losses = some.n_own, 1 if self.config.multiclass else self.config.n_outputs

        def errors(raw: Tensor, rows: slice) -> Tensor:
            weight = 1 / n if rows.start < n else of_tables / (len(some) - n)
            factors = some.weights[rows].mul(weight / n_losses).unsqueeze(1)
            return self.derivative(raw, some.target[rows]).mul_(factors)

        return errors


def _ahead(
    chunks: Iterable[Callable[[], list[Examples]]], beside: Executor | None
) -> Iterator[list[Examples]]:
    """What the functions give, each called while what the one before gave is in use."""
    following: Future[list[Examples]] | None = None
    for chunk in chunks:
        present = None if following is None else following.result()
        following = submit(beside, chunk)  # only now: chunks draw from the same generator
        if present is not None:
            yield present
    if following is not None:
        yield following.result()


def _branch(generator: torch.Generator) -> torch.Generator:
    """A generator of its own draws, seeded by another."""
    seed = torch.randint(2**62, (1,), generator=generator, device=generator.device)
    return torch.Generator(device=generator.device).manual_seed(int(seed.item()))


def _on(device: torch.device, bounds: Bounds) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    low, high, offset, gain = (torch.as_tensor(value, device=device) for value in bounds)
    return low, high, offset, gain


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
