"""Dot products under training."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sk_entity_embed.learning.heads.base import HeadShape, TorchHead
from sk_entity_embed.learning.layers import Dropout, set_values, to_numpy
from sk_entity_embed.learning.problem import TrainingConfig
from sk_entity_embed.model.heads import DotHead, Head


class DotProduct(TorchHead):
    """Dot products of all pairs of vectors, with a bias for each category and one for all.

    The last number of a column's vector is its bias. Each axis and each column's biases have a
    weight of the head's: out of fold, tables cannot take back what they have learned by heart,
    but these weights can. That of an axis is a square, hence never negative. Dropout takes a share
    of the vectors' entries and leaves biases alone.
    """

    def __init__(
        self, shape: HeadShape, config: TrainingConfig, generator: torch.Generator
    ) -> None:
        super().__init__(shape, config, generator)
        self.n_columns, self.width = len(shape.widths), shape.widths[0]
        kind: dict[str, Any] = {"dtype": torch.float32, "device": generator.device}
        self.context = nn.Parameter(torch.zeros(shape.n_context, **kind))
        self.roots = nn.Parameter(torch.ones(self.width - 1, **kind))
        self.bias_weights = nn.Parameter(torch.ones(self.n_columns, **kind))
        self.intercept = nn.Parameter(torch.zeros(1, **kind))
        self.dropout = Dropout(config.dropout, generator)

    @property
    def weights(self) -> list[Tensor]:
        """Weights of the numbers: those of axes and biases are pulled towards nothing."""
        return [self.context]

    def forward(self, x: Tensor) -> Tensor:
        """Return outputs of shape (n, 1)."""
        n_vectors = self.n_columns * self.width
        blocks = x[:, :n_vectors].view(len(x), self.n_columns, self.width)
        axes, biases = blocks[:, :, :-1], blocks[:, :, -1]
        if self.training:
            axes = self.dropout(axes)
        pairs = 0.5 * (axes.sum(1).square() - axes.square().sum(1))
        out = pairs @ self.roots.square() + biases @ self.bias_weights + self.intercept
        if self.context.numel():
            out = out + x[:, n_vectors : n_vectors + len(self.context)] @ self.context
        return out.unsqueeze(1)

    def start_at(self, outputs: NDArray[np.float64]) -> None:
        set_values([self.intercept], [outputs])

    def to_numpy(self) -> DotHead:
        roots, bias_weights, context, intercept = map(to_numpy, self._in_order())
        return DotHead(roots**2, bias_weights, context, float(intercept[0]))

    def set_from(self, head: Head) -> None:
        assert isinstance(head, DotHead)
        intercept = np.array([head.intercept])
        values = np.sqrt(head.axes), head.bias_weights, head.context_weights, intercept
        set_values(self._in_order(), values)

    def _in_order(self) -> tuple[Tensor, ...]:
        return self.roots, self.bias_weights, self.context, self.intercept
