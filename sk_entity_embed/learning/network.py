"""The network: an embedding bank of several tables a column, and the head above it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class EmbeddingBank:
    """Tables of vectors, several a column, looked up in one of them for each cell.

    Parameters
    ----------
    tables : sequence of Tensor of shape (n_tables, n_rows, width)
        Starting vectors of each column.

    Shape
    -----
    - codes: (n, n_columns), table: (n,)
    - output: (n, sum of the widths)
    """

    def __init__(self, tables: Sequence[Tensor]) -> None:
        self.n_rows = [t.shape[1] for t in tables]
        self.widths = [t.shape[2] for t in tables]
        self.weights = [t.reshape(-1, t.shape[2]).contiguous() for t in tables]

    def flat_rows(self, codes: Tensor, table: Tensor) -> list[Tensor]:
        """Row of each cell in the stacked tables of its column."""
        return [table * n + codes[:, j] for j, n in enumerate(self.n_rows)]

    def lookup(self, flat: Sequence[Tensor]) -> Tensor:
        """Vectors of all columns side by side, detached from any graph."""
        return torch.cat([w[i] for w, i in zip(self.weights, flat, strict=True)], dim=1)


class MLP(nn.Module):
    """A multi-layer perceptron with rectified, dropped-out hidden layers.

    Parameters
    ----------
    n_in, n_out : int
        Widths of input and output.
    hidden : sequence of int
        Widths between them.
    dropout : float
        Share of hidden units dropped in training, in steps of 1/256.
    generator : torch.Generator
        Draws initial weights and dropout masks; torch's global generator is left alone.

    Shape
    -----
    - input: (n, n_in)
    - output: (n, n_out)
    """

    def __init__(
        self,
        n_in: int,
        hidden: Sequence[int],
        n_out: int,
        *,
        dropout: float,
        generator: torch.Generator,
        device: torch.device | None = None,
    ) -> None:
        super().__init__()
        sizes = [n_in, *hidden, n_out]
        self.weights = nn.ParameterList(
            torch.empty(b, a, dtype=torch.float32, device=device) for a, b in pairwise(sizes)
        )
        self.biases = nn.ParameterList(
            torch.zeros(b, dtype=torch.float32, device=device) for b in sizes[1:]
        )
        self._n_dropped = min(255, round(256 * dropout))
        self.generator = generator
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """He initialisation of the hidden layers; an output layer of smaller weights."""
        for i, weight in enumerate(self.weights):
            gain = 2.0 if i < len(self.weights) - 1 else 1.0
            std = (gain / max(1, weight.shape[1])) ** 0.5
            with torch.no_grad():
                weight.normal_(0.0, std, generator=self.generator)

    def forward(self, x: Tensor) -> Tensor:
        last = len(self.weights) - 1
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = F.linear(x, weight, bias)
            if i < last:
                x = F.relu(x)
                if self.training and self._n_dropped > 0:
                    x = x * self._mask(x)
        return x

    def _mask(self, x: Tensor) -> Tensor:
        """Random factors of mean one: zero where a unit is dropped.

        One byte decides for each unit, so that a 64-bit draw serves eight of them; the generator
        is what dropout costs.
        """
        words = torch.empty(-(-x.numel() // 8), dtype=torch.int64, device=x.device)
        words.random_(-(2**63), None, generator=self.generator)
        drawn = words.view(torch.uint8)[: x.numel()].view(x.shape)
        return (drawn >= self._n_dropped).to(x.dtype).mul_(256 / (256 - self._n_dropped))
