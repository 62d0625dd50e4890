"""The base of heads under training: torch modules that learn from one part of a step's rows."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sk_entity_embed.learning.layers import Layer
from sk_entity_embed.learning.problem import TrainingConfig
from sk_entity_embed.model.heads import Head


class LossGradient(Protocol):
    """The objective's gradient in the outputs of some rows.

    `linear` asks for that of the linear model that may learn beside the head.
    """

    def __call__(self, raw: Tensor, rows: slice, *, linear: bool = False) -> Tensor: ...


@dataclass(frozen=True, slots=True)
class HeadShape:
    """The input of a head: columns of vectors of these widths, then so many numbers.

    Of heads of some folds only there are `n_heads` side by side; those of `folds` say which one
    each fold is served by.
    """

    widths: Sequence[int]
    n_context: int
    n_heads: int
    folds: NDArray[np.int64]

    @property
    def n_in(self) -> int:
        """All numbers of a row."""
        return sum(self.widths) + self.n_context


class TorchHead(Layer):
    """A head under training. A new kind needs :meth:`forward`, and the way to and from NumPy.

    Its ``__init__`` takes a :class:`HeadShape`, the :class:`TrainingConfig` and the generator to
    draw from; torch's global generator is left alone. Input may be wider than the shape says:
    further columns are not to be read.
    """

    def __init__(
        self, shape: HeadShape, config: TrainingConfig, generator: torch.Generator
    ) -> None:
        super().__init__()

    @abstractmethod
    def to_numpy(self) -> Head:
        """Return the head that serves."""

    @abstractmethod
    def set_from(self, head: Head) -> None:
        """Go on from a head that serves."""

    def start_at(self, outputs: NDArray[np.float64]) -> None:
        """Start at outputs that suit all rows alike, where small steps would not get there."""

    def add_companions(self, generator: torch.Generator) -> Sequence[Layer]:
        """Return layers that learn beside the head and are not part of the model."""
        return ()

    @property
    def hidden_weights(self) -> Sequence[Tensor]:
        """Matrices of hidden layers, of shape (n_heads, n_out, n_in)."""
        return ()

    @property
    def n_products(self) -> int:
        """Multiplications of a row's forward pass that can be shared out among threads."""
        return 0

    def learn(
        self,
        x: Tensor,
        n: int,
        error: LossGradient,
        *,
        below: bool = False,
        executor: Executor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Give the parameters their gradients from the first `n` rows, and the input its own.

        Here autograd does it. Both parts of the rows are in the order of the heads, as many for
        each. Return the outputs of the first rows and the objective's gradient in the input `x`, of
        shape (n_rows, n_in). That is zero for the first rows, unless what is `below` learns from
        them, too. The `executor`, if any, takes a part of the work.
        """
        own, rest = x[:n].detach().requires_grad_(below), x[n:].detach().requires_grad_()
        raw = self(own)
        parameters = list(self.parameters())
        for parameter in parameters:  # of the other rows they learn nothing
            parameter.requires_grad_(False)
        others = self(rest)
        for parameter in parameters:
            parameter.requires_grad_(True)
        outputs = raw.detach()
        errors = [error(outputs, slice(0, n)), error(others.detach(), slice(n, len(x)))]
        learning = [raw, others] if raw.requires_grad else [others]
        torch.autograd.backward(learning, errors[-len(learning) :])
        of_own = own.grad if below else torch.zeros_like(own)
        assert of_own is not None
        assert rest.grad is not None
        return outputs, torch.cat([of_own, rest.grad])
