"""The two passes of cross-fitted training: rows teach other folds' tables and heads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sk_entity_embed.input.threads import submit
from sk_entity_embed.learning.batches import Batches, Examples
from sk_entity_embed.learning.exchange import Exchange, SharedSteps
from sk_entity_embed.learning.heads import LossGradient, TorchHead
from sk_entity_embed.learning.layers import Dropout, Layer
from sk_entity_embed.learning.lookup import EmbeddingBank, LookUp
from sk_entity_embed.learning.losses import torch_loss
from sk_entity_embed.learning.optimizers import AdamW, Muon, RowAdam, RunningMean
from sk_entity_embed.learning.poolings import TorchPooling
from sk_entity_embed.learning.problem import TrainingConfig

MEAN_POWER, UPDATES = 5.0, 120
"""Power of time that states weigh by in the mean of the parameters, and its updates in all."""
TABLE_STEP = 1.5
"""Step size of the tables over that of the heads: each table learns from a part of the rows."""
NORMAL_BATCH, LARGEST_BATCH = 256, 512
"""Rows a step that `learning_rate_init` is for, by whose root it grows, of heads up to a number."""
MUON_BATCH = 2048
"""Rows a step from which on hidden layers take orthogonal steps."""
UPDATED_A_ROW = 300
"""Numbers that the mean takes in for each row of the steps between its updates, at most: a tenth of
the time that steps take. Large tables are taken in less often."""
LINEAR_WEIGHT = 0.5
"""Weight of the linear model's loss in the tables' gradient."""


class CrossFitting:
    """Embedding tables and heads under training.

    Each step has two halves, both at the same parameters:

    1. *Tables.* A row is looked up in the table of another fold, drawn for it, and goes through the
       head that serves this fold; the gradient changes the table only.
    2. *Heads.* A row is looked up in its own fold's table, which never saw it, and goes through one
       of the heads that serve other folds; the gradient changes the head only.

    Heads that serve all folds (dot products) learn from all rows but the validation ones. With one
    table (no cross-fitting) both halves look into it, and validation rows take part in neither.

    Three things make the vectors better for others than these heads. A perceptron has a linear
    model beside it. Each vector shrinks towards zero with the weight of a few rows, so that a rare
    one moves only as far as its rows agree. And what counts is the mean of all parameters over the
    last epochs.

    Parameters
    ----------
    batches : Batches
        Where the rows come from.
    bank : EmbeddingBank
        The tables.
    head : TorchHead
        The layers above, those of all folds in one.
    pools : sequence of TorchPooling or None
        What makes one vector of a column's lists; None for columns of single values. Those with
        parameters learn with the head.
    fixed : list of Tensor or None
        Entries of each table that stay as they are.
    config : TrainingConfig
        Settings.
    generator : torch.Generator
        Draws initial weights of the head's companions.
    continued : bool, default=False
        Whether tables and head come from an earlier training, whose mean goes on.
    executor : Executor, default=None
        Threads that take a part of each step; None for one thread. Both give the same numbers.
    exchange : Exchange, default=None
        The way to other workers, which train the same tables and head on rows of their own; None
        for a training alone.
    """

    def __init__(
        self,
        batches: Batches,
        bank: EmbeddingBank,
        head: TorchHead,
        pools: Sequence[TorchPooling | None],
        fixed: list[Tensor | None],
        config: TrainingConfig,
        generator: torch.Generator,
        *,
        continued: bool = False,
        executor: Executor | None = None,
        exchange: Exchange | None = None,
    ) -> None:
        self.batches, self.bank, self.head, self.pools = batches, bank, head, pools
        self.config, self.executor, self.generator = config, executor, generator
        self.loss = torch_loss(config, generator.device)
        self.look_up = LookUp(bank, pools, batches.n_context, generator.device)
        self.table_optimizer = RowAdam(
            bank.weights, fixed, lr=config.learning_rate_init, biased=config.head.biased
        )
        learned = [head, *(pool for pool in pools if pool is not None)]
        self.companions = head.add_companions(generator)
        self.layers = [*learned, *self.companions]
        self.head_optimizers = _head_optimizers(head, self.layers, config)
        self.exchange = exchange
        self._shared = None
        if exchange is not None:
            parameters = [p for layer in self.layers for p in layer.parameters()]
            dense_rows = config.batch_size // 2  # the fewer bytes from there on
            self._shared = SharedSteps(exchange, parameters, bank.weights, dense_rows)
        self.average = RunningMean(
            [*bank.weights, *(p for layer in learned for p in layer.parameters())],
            MEAN_POWER,
            n_updates=UPDATES if continued else 0,
        )
        self._n_taken = 0
        n_numbers = sum(p.numel() for p in self.average.parameters)
        every = config.max_iter * batches.n_steps // UPDATES
        every = max(1, every, n_numbers // (UPDATED_A_ROW * config.batch_size))
        # Once an iteration at least: its validation loss is that of the mean.
        self._steps_an_update = min(every, batches.n_steps)

    def iteration(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Go over the rows of an iteration; yield each step's summed losses and weight.

        They stay on the device, so that no step waits for the one before.
        """
        self.head.train()
        ahead = _Ahead(self.batches.iteration(), self.executor)
        for steps in ahead:
            for batch in steps:
                yield self._step(batch, ahead)

    def validation_loss(self) -> NDArray[np.float64]:
        """Return the mean loss of the validation rows, looked up in their own fold's tables."""
        self.head.eval()
        n = self.config.loss.n_losses(self.config.n_outputs)
        total = torch.zeros(n + 1, dtype=torch.float64, device=self.generator.device)
        with torch.no_grad(), self.average.applied():
            for batch in self.batches.validation():
                losses, weights = self._losses(self.head(self.look_up(batch).inputs), batch)
                total += torch.cat([losses, weights.view(1)])
        if self.exchange is not None:
            self.exchange.sum(total)
        mean: NDArray[np.float64] = (total[:-1] / total[-1]).cpu().numpy()
        return mean

    def state(self, into: list[Tensor] | None = None) -> list[Tensor]:
        """Copy the parameters' mean over the last steps; themselves before the first.

        The copy takes the place of an earlier one, if there is one: tables may fill the memory.
        """
        average = self.average
        source = average.mean if average.n_updates else average.parameters
        if into is None:
            return [tensor.detach().clone() for tensor in source]
        for copy, tensor in zip(into, source, strict=True):
            copy.copy_(tensor.detach())
        return into

    def restore(self, state: list[Tensor]) -> None:
        """Make a state the present one, and the mean so far."""
        with torch.no_grad():
            for parameter, mean, value in zip(
                self.average.parameters, self.average.mean, state, strict=True
            ):
                parameter.copy_(value)
                mean.copy_(value)

    def reset(self) -> None:
        """Forget moments and companions, and let the mean start anew from the present parameters.

        Restoring a state leaves these as they were, perhaps with what is no number.
        """
        for optimizer in (self.table_optimizer, *self.head_optimizers):
            optimizer.reset()
        self.average.n_updates = 0
        with torch.no_grad():
            for companion in self.companions:
                for parameter in companion.parameters():
                    parameter.zero_()

    def set_learning_rate(self, factor: float) -> None:
        """Set the step sizes of all optimisers to a share of the largest."""
        head = self.config.head
        step = self.config.learning_rate_init * factor * head.step
        n = self.config.batch_size if head.step_grows else NORMAL_BATCH
        self.table_optimizer.lr = step * TABLE_STEP * (n / NORMAL_BATCH) ** 0.5
        for optimizer in self.head_optimizers:
            for group in optimizer.param_groups:
                group["lr"] = step * (min(n, LARGEST_BATCH) / NORMAL_BATCH) ** 0.5

    def state_dict(self) -> dict[str, Any]:
        """Return all that the next iteration depends on: tensors, numbers and lists of them.

        ``torch.save`` writes it, and a training with the same rows and settings that loads it goes
        on as this one would have. It shares the memory of the training: write it before the next
        step.
        """
        return {
            "tables": self.bank.weights,
            "layers": [layer.state_dict() for layer in self.layers],
            "table_optimizer": self.table_optimizer.state_dict(),
            "head_optimizers": [o.state_dict() for o in self.head_optimizers],
            "average": self.average.state_dict(),
            "n_taken": self._n_taken,
            "batches": self.batches.state_dict(),
            "generators": [g.get_state() for g in self._generators()],
            "dropout": [d.state_dict() for d in self._dropouts()],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from such a state."""
        with torch.no_grad():
            for table, value in zip(self.bank.weights, state["tables"], strict=True):
                table.copy_(value)
        for layer, values in zip(self.layers, state["layers"], strict=True):
            layer.load_state_dict(values)
        self.table_optimizer.load_state_dict(state["table_optimizer"])
        for optimizer, values in zip(self.head_optimizers, state["head_optimizers"], strict=True):
            optimizer.load_state_dict(values)
        self.average.load_state_dict(state["average"])
        self._n_taken = state["n_taken"]
        self.batches.load_state_dict(state["batches"])
        for generator, value in zip(self._generators(), state["generators"], strict=True):
            generator.set_state(value.cpu())  # wherever the rest was loaded to
        for dropout, values in zip(self._dropouts(), state["dropout"], strict=True):
            dropout.load_state_dict(values)

    def _generators(self) -> list[torch.Generator]:
        return [self.generator, self.batches.generator]

    def _dropouts(self) -> list[Dropout]:
        parts = [part for layer in self.layers for part in vars(layer).values()]
        return [part for part in parts if isinstance(part, Dropout)]

    @property
    def n_steps(self) -> int:
        """Steps of an iteration."""
        return self.batches.n_steps

    def _step(self, batch: Examples, ahead: _Ahead) -> tuple[Tensor, Tensor]:
        seen = self.look_up(batch)
        below = any(p is not None and p.learned.requires_grad for p in seen.pooled)
        for optimizer in self.head_optimizers:
            optimizer.zero_grad()
        raw, gradient = self.head.learn(
            seen.inputs,
            batch.n_own,
            self._loss_gradient(batch),
            below=below,
            executor=self.executor,
        )
        ahead.prepare()  # beside what follows, which is made of small operations
        gradients = self.look_up.gradients(batch, seen, gradient)
        rows = [f[m:] for f, m in zip(batch.flat, batch.n_own_items, strict=True)]
        losses = self._losses(raw, batch)
        if self._shared is not None:
            rows, gradients, losses = self._shared.step(batch.n_rows, rows, gradients, losses)
        self.table_optimizer.step(rows, gradients)
        for optimizer in self.head_optimizers:
            optimizer.step()
        self._n_taken += 1
        if self._n_taken % self._steps_an_update == 0:
            self.average.update()
        return losses

    @torch.no_grad()
    def _losses(self, raw: Tensor, batch: Examples) -> tuple[Tensor, Tensor]:
        """Return summed losses and weight of the rows in own tables."""
        weights = batch.weights[: batch.n_own]
        losses = self.loss.value(raw, batch.target[: batch.n_own]) * weights.unsqueeze(1)
        return losses.sum(0, dtype=torch.float64), weights.sum(dtype=torch.float64)

    def _loss_gradient(self, batch: Examples) -> LossGradient:
        """Return the objective's gradient: mean losses of both halves."""
        n, n_losses = batch.n_own, self.config.loss.n_losses(self.config.n_outputs)
        n_heads, n_tables = (max(1, n) for n in batch.n_rows)

        def gradient(raw: Tensor, rows: slice, *, linear: bool = False) -> Tensor:
            of_tables = LINEAR_WEIGHT if linear else 1.0
            weight = 1 / n_heads if rows.start < n else of_tables / n_tables
            factors = batch.weights[rows].mul(weight / n_losses).unsqueeze(1)
            return self.loss.derivative(raw, batch.target[rows]).mul_(factors)

        return gradient


def _head_optimizers(
    head: TorchHead, layers: Sequence[Layer], config: TrainingConfig
) -> list[AdamW | Muon]:
    """Return what moves heads, poolings and companions; weights decay, biases do not."""
    hidden = list(head.hidden_weights) if config.batch_size >= MUON_BATCH else []
    apart = {id(w) for w in hidden}
    lr, decay = config.learning_rate_init, config.alpha
    weights = [w for layer in layers for w in layer.weights if id(w) not in apart]
    groups: list[dict[str, Any]] = [
        {"params": weights, "weight_decay": decay},
        {"params": [b for layer in layers for b in layer.biases], "weight_decay": 0.0},
    ]
    adam = AdamW(groups, lr=lr)
    return [adam, Muon(hidden, lr=lr, weight_decay=decay)] if hidden else [adam]


class _Ahead:
    """Steps, whose rows are prepared while those before are taken, once they are asked for."""

    def __init__(
        self, chunks: Iterable[Callable[[], list[Examples]]], executor: Executor | None
    ) -> None:
        self._chunks, self._executor = iter(chunks), executor
        self._following: Future[list[Examples]] | None = None

    def prepare(self) -> None:
        """Begin with the rows of the next few steps, unless they are on their way."""
        if self._following is None and (chunk := next(self._chunks, None)) is not None:
            self._following = submit(self._executor, chunk)

    def __iter__(self) -> Iterator[list[Examples]]:
        self.prepare()
        while self._following is not None:
            steps, self._following = self._following.result(), None
            yield steps
            self.prepare()
