"""The network: an embedding bank of several tables a column, and dot products above it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from sk_entity_embed.learning.layers import Dropout, ErrorFunction, Layer


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
        return [w.index_select(0, i) for w, i in zip(self.weights, flat, strict=True)]


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
    - input: (n, n_columns * width + n_context), or wider: further columns are not read
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
        self._in_order = (self.roots, self.bias_weights, self.context, self.intercept)
        self.dropout = Dropout(dropout, generator)

    def forward(self, x: Tensor) -> Tensor:
        """Predictions."""
        return self._products(x, *self._in_order)

    def learn(
        self, x: Tensor, n: int, error: ErrorFunction, *, below: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Give the parameters their gradients, and the input its own.

        Parameters
        ----------
        x : Tensor of shape (n_rows, n_in)
            Input.
        n : int
            Number of rows, the first ones, that the parameters learn from.
        error : callable
            The objective's gradient in the outputs of some rows.
        below : bool, default=False
            Whether these rows have a gradient in the input, as all others do; else it is zero.

        Returns
        -------
        raw : Tensor of shape (n, 1)
            Outputs of the first rows.
        of_input : Tensor of shape (n_rows, n_in)
            The objective's gradient in the input.
        """
        x = x.detach().requires_grad_()
        out = self._products(x[:n] if below else x[:n].detach(), *self._in_order)
        rest = self._products(x[n:], *(p.detach() for p in self._in_order))
        raw = out.detach()
        errors = torch.cat([error(raw, slice(0, n)), error(rest.detach(), slice(n, len(x)))])
        torch.autograd.backward((torch.cat([out, rest]) * errors).sum())
        assert x.grad is not None
        return raw, x.grad

    def _products(
        self, x: Tensor, roots: Tensor, bias_weights: Tensor, context: Tensor, intercept: Tensor
    ) -> Tensor:
        n_vectors = self.n_columns * self.width
        blocks = x[:, :n_vectors].view(len(x), self.n_columns, self.width)
        axes, biases = blocks[:, :, :-1], blocks[:, :, -1]
        if self.training:
            axes = self.dropout(axes)
        pairs = 0.5 * (axes.sum(1).square() - axes.square().sum(1))
        out = pairs @ roots.square() + biases @ bias_weights + intercept
        if context.numel():
            out = out + x[:, n_vectors : n_vectors + len(context)] @ context
        return out.unsqueeze(1)
