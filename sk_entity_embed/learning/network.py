"""The network: an embedding bank of several tables a column, and the head above it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class EmbeddingBank:
    """Tables of vectors, several a column, looked up in one of them for each cell or item.

    Parameters
    ----------
    tables : sequence of Tensor of shape (n_tables, n_rows, width)
        Starting vectors of each column.
    """

    def __init__(self, tables: Sequence[Tensor]) -> None:
        self.n_rows = [t.shape[1] for t in tables]
        self.widths = [t.shape[2] for t in tables]
        self.weights = [t.reshape(-1, t.shape[2]).contiguous() for t in tables]

    def lookup(self, flat: Sequence[Tensor]) -> list[Tensor]:
        """Vectors of each column at rows of its stacked tables, detached from any graph."""
        return [w[i] for w, i in zip(self.weights, flat, strict=True)]


class Layer(nn.Module):
    """A part of the network that learns with the head.

    Attributes
    ----------
    weights, biases : ParameterList
        What weight decay shrinks, and what it leaves alone.
    """

    weights: nn.ParameterList
    biases: nn.ParameterList


class Dropout:
    """Random factors of mean one, drawn from a generator of one's own.

    Parameters
    ----------
    rate : float
        Share of units dropped, in steps of 1/256.
    generator : torch.Generator
        Draws; torch's global generator is left alone.
    """

    def __init__(self, rate: float, generator: torch.Generator) -> None:
        self.n_dropped = min(255, round(256 * rate))
        self.generator = generator

    def __call__(self, x: Tensor) -> Tensor:
        """`x` with some units dropped.

        One byte decides for each unit, so that a 64-bit draw serves eight of them; the generator
        is what dropout costs.
        """
        if self.n_dropped == 0:
            return x
        words = torch.empty(-(-x.numel() // 8), dtype=torch.int64, device=x.device)
        words.random_(-(2**63), None, generator=self.generator)
        drawn = words.view(torch.uint8)[: x.numel()].view(x.shape)
        return x * (drawn >= self.n_dropped).to(x.dtype).mul_(256 / (256 - self.n_dropped))


class MLP(Layer):
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
        self.dropout = Dropout(dropout, generator)
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
                if self.training:
                    x = self.dropout(x)
        return x


class DotProduct(Layer):
    """Dot products of all pairs of vectors, with a bias for each category and one for all.

    The last number of a column's vector is its bias. Each axis and each column's biases have a
    weight of the head's: out of fold, tables cannot take back what they have learned by heart,
    but these weights can. That of an axis is a square, hence never negative.

    Parameters
    ----------
    n_columns, width : int
        Columns and the width of their vectors, the bias included.
    n_context : int
        Numbers beside them, which enter linearly.
    dropout : float
        Share of the vectors' entries dropped in training, biases left alone.
    generator : torch.Generator
        Draws dropout masks.

    Shape
    -----
    - input: (n, n_columns * width + n_context)
    - output: (n, 1)
    """

    def __init__(
        self,
        n_columns: int,
        width: int,
        n_context: int,
        *,
        dropout: float,
        generator: torch.Generator,
        device: torch.device | None = None,
    ) -> None:
        super().__init__()
        self.n_columns, self.width = n_columns, width
        kind: dict[str, Any] = {"dtype": torch.float32, "device": device}
        self.context = nn.Parameter(torch.zeros(n_context, **kind))
        self.roots = nn.Parameter(torch.ones(width - 1, **kind))
        self.bias_weights = nn.Parameter(torch.ones(n_columns, **kind))
        self.intercept = nn.Parameter(torch.zeros(1, **kind))
        self.weights = nn.ParameterList([self.context])
        self.biases = nn.ParameterList([self.roots, self.bias_weights, self.intercept])
        self.dropout = Dropout(dropout, generator)

    def forward(self, x: Tensor) -> Tensor:
        n_vectors = self.n_columns * self.width
        blocks = x[:, :n_vectors].view(len(x), self.n_columns, self.width)
        axes, biases = blocks[:, :, :-1], blocks[:, :, -1]
        if self.training:
            axes = self.dropout(axes)
        pairs = 0.5 * (axes.sum(1).square() - axes.square().sum(1))
        out = pairs @ self.roots.square() + biases @ self.bias_weights + self.intercept
        if self.context.numel():
            out = out + x[:, n_vectors:] @ self.context
        return out.unsqueeze(1)
