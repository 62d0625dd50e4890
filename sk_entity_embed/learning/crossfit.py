"""The two passes of cross-fitted training: rows teach other folds' tables, and judge their own."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sk_entity_embed.learning.losses import loss_function
from sk_entity_embed.learning.network import MLP, EmbeddingBank
from sk_entity_embed.learning.optimizers import RowAdam
from sk_entity_embed.learning.problem import TrainingConfig, TrainingRows

_EVALUATION_BATCH = 8192


class CrossFitting:
    """Embedding tables and head under training.

    Each step has two halves, both at the same parameters:

    1. *Tables.* Every row is looked up in a random table of another fold than its own; the
       gradient changes that table only.
    2. *Head.* Every row but the validation ones is looked up in its own fold's table, which never
       saw it; the gradient changes the head only.

    With one table (no cross-fitting) both halves look into it, and validation rows take part in
    neither.

    Parameters
    ----------
    rows : TrainingRows
        The data.
    bank : EmbeddingBank
        The tables.
    head : MLP
        The layers above.
    fixed : list of Tensor or None
        Rows of each table that stay as they are.
    config : TrainingConfig
        Settings.
    generator : torch.Generator
        Draws batches, tables and unknowns.
    device : torch.device
        Where it runs.
    """

    def __init__(
        self,
        rows: TrainingRows,
        bank: EmbeddingBank,
        head: MLP,
        fixed: list[Tensor | None],
        config: TrainingConfig,
        generator: torch.Generator,
        device: torch.device,
    ) -> None:
        self.bank, self.head, self.config, self.generator = bank, head, config, generator
        self.n_tables = rows.n_tables
        self.codes = torch.as_tensor(rows.codes, device=device)
        self.own_codes = torch.as_tensor(_own_codes(rows, bank.n_rows), device=device)
        self.context = torch.as_tensor(rows.context, device=device)
        self.target = torch.as_tensor(rows.target, device=device)
        self.weights = torch.as_tensor(rows.weights, device=device)
        self.fold = torch.as_tensor(rows.fold, device=device)
        self.validation = torch.as_tensor(np.flatnonzero(rows.validation), device=device)
        self.training = torch.as_tensor(np.flatnonzero(~rows.validation), device=device)
        self.loss = loss_function(config.loss, multiclass=config.multiclass)
        self.table_optimizer = RowAdam(bank.weights, fixed, lr=config.learning_rate_init)
        self.head_optimizer = torch.optim.AdamW(
            [
                {"params": list(head.weights), "weight_decay": config.alpha},
                {"params": list(head.biases), "weight_decay": 0.0},
            ],
            lr=config.learning_rate_init,
        )
        self.device = device

    def epoch(self) -> Iterator[tuple[NDArray[np.float64], float]]:
        """One pass over the rows; yields each step's summed losses and weight."""
        self.head.train()
        for head_rows, extra in self._batches():
            yield self._step(head_rows, extra)

    def validation_loss(self) -> NDArray[np.float64]:
        """Mean loss of the validation rows, looked up in their own fold's tables."""
        self.head.eval()
        total: Tensor | None = None
        with torch.no_grad():
            for rows in torch.split(self.validation, _EVALUATION_BATCH):
                losses = self._own_losses(rows)
                summed = (losses * self.weights[rows, None]).sum(0, dtype=torch.float64)
                total = summed if total is None else total + summed
        weight = self.weights[self.validation].sum(dtype=torch.float64)
        assert total is not None
        return (total / weight).cpu().numpy()

    def state(self) -> list[Tensor]:
        """A copy of all parameters."""
        return [p.detach().clone() for p in self._parameters()]

    def restore(self, state: list[Tensor]) -> None:
        """Go back to an earlier state."""
        with torch.no_grad():
            for parameter, value in zip(self._parameters(), state, strict=True):
                parameter.copy_(value)

    def set_learning_rate(self, factor: float) -> None:
        """Scale the step size of both optimisers to a share of its initial value."""
        self.table_optimizer.lr = self.config.learning_rate_init * factor
        for group in self.head_optimizer.param_groups:
            group["lr"] = self.config.learning_rate_init * factor

    @property
    def n_steps(self) -> int:
        """Steps of an epoch."""
        return -(-len(self.training) // self.config.batch_size)

    def _parameters(self) -> list[Tensor]:
        return [*self.bank.weights, *self.head.parameters()]

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
        losses = self._own_losses(head_rows)
        weights = self.weights[head_rows]
        weighted = (losses * weights[:, None]).sum(0)
        self.head_optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(weighted.mean() / len(head_rows))
        self.head_optimizer.step()
        self.table_optimizer.step(flat, gradients)
        return weighted.detach().double().cpu().numpy(), float(weights.sum())

    def _tables_gradient(self, rows: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        codes = self._with_unknowns(self.codes[rows])
        flat = self.bank.flat_rows(codes, self._other_tables(self.fold[rows]))
        vectors = self.bank.lookup(flat).requires_grad_()
        losses = self.loss(self._outputs(vectors, rows), self.target[rows])
        loss = (losses.mean(1) * self.weights[rows]).mean()
        (gradient,) = torch.autograd.grad(loss, vectors)
        return flat, list(torch.split(gradient, self.bank.widths, dim=1))

    def _own_losses(self, rows: Tensor) -> Tensor:
        flat = self.bank.flat_rows(self.own_codes[rows], self.fold[rows])
        return self.loss(self._outputs(self.bank.lookup(flat), rows), self.target[rows])

    def _outputs(self, vectors: Tensor, rows: Tensor) -> Tensor:
        if self.context.shape[1]:
            vectors = torch.cat([vectors, self.context[rows]], dim=1)
        outputs: Tensor = self.head(vectors)
        return outputs

    def _other_tables(self, fold: Tensor) -> Tensor:
        """A random table of another fold for each row."""
        if self.n_tables == 1:
            return fold
        shift = torch.randint(
            1, self.n_tables, fold.shape, generator=self.generator, device=self.device
        )
        return (fold + shift) % self.n_tables

    def _with_unknowns(self, codes: Tensor) -> Tensor:
        """Codes with a share replaced by the unknown row, so that it is trained."""
        if self.config.unknown_rate == 0:
            return codes
        drawn = torch.rand(
            codes.shape, generator=self.generator, device=self.device, dtype=torch.float32
        )
        return codes.masked_fill_(drawn < self.config.unknown_rate, 0)


def _own_codes(rows: TrainingRows, n_rows: list[int]) -> NDArray[np.int32]:
    """Codes as the rows' own tables know them: unknown where the category was never met."""
    own = rows.codes.copy()
    for j, n in enumerate(n_rows):
        met = rows.met(j, n)
        own[~met[rows.fold, rows.codes[:, j]], j] = 0
    return own
