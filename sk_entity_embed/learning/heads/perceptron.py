"""Multi-layer perceptrons under training, one a fold, in one pass: each step computes what is asked
for only.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from functools import partial
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sk_entity_embed.exceptions import InvalidParameterError
from sk_entity_embed.input.threads import together
from sk_entity_embed.learning.heads.base import HeadShape, LossGradient, TorchHead
from sk_entity_embed.learning.layers import Dropout, Layer, set_values, to_numpy
from sk_entity_embed.learning.problem import TrainingConfig
from sk_entity_embed.model.heads import Head, MLPHead


class Linears(Layer):
    """Linear layers, several of each side by side, with initial weights of one's own generator.

    Matrices have shape (n_heads, n_out, n_in), offsets (n_heads, 1, n_out). All heads start from
    the same weights.
    """

    def __init__(self, sizes: Sequence[int], n_heads: int, generator: torch.Generator) -> None:
        super().__init__()
        device = generator.device
        self.matrices = nn.ParameterList(
            torch.empty(n_heads, b, a, dtype=torch.float32, device=device)
            for a, b in pairwise(sizes)
        )
        self.offsets = nn.ParameterList(
            torch.zeros(n_heads, 1, b, dtype=torch.float32, device=device) for b in sizes[1:]
        )
        # He initialisation of the hidden layers; an output layer of smaller weights.
        for i, weight in enumerate(self.matrices):
            gain = 2.0 if i < len(self.matrices) - 1 else 1.0
            std = (gain / max(1, weight.shape[2])) ** 0.5
            with torch.no_grad():
                weight[0].normal_(0.0, std, generator=generator)
                weight[1:] = weight[0]
        # Lists of parameters are slow to go through.
        self.layers = tuple(zip(self.matrices, self.offsets, strict=True))

    @property
    def weights(self) -> Sequence[Tensor]:
        return list(self.matrices)


class MLP(TorchHead):
    """Multi-layer perceptrons with rectified, dropped-out hidden layers, each for some folds.

    It learns from the rows of all others, and the tables of its folds learn through it. So what a
    row is given has passed no head that saw its target. Beside those with hidden layers linear
    models learn from the same rows; their losses, added to the tables' own, keep additive effects
    in plain sight for other models on the vectors.
    """

    def __init__(
        self, shape: HeadShape, config: TrainingConfig, generator: torch.Generator
    ) -> None:
        super().__init__(shape, config, generator)
        self.n_in, self.n_out, self.n_heads = shape.n_in, config.n_outputs, shape.n_heads
        self.folds = shape.folds
        sizes = [self.n_in, *config.hidden_layer_sizes, self.n_out]
        try:
            self.linears = Linears(sizes, self.n_heads, generator)
        except (RuntimeError, TypeError) as error:  # no memory, no integer of 64 bits
            raise InvalidParameterError(
                f"`hidden_layer_sizes`={config.hidden_layer_sizes} need more memory than device "
                f"{str(generator.device)!r} has; use smaller ones."
            ) from error
        self.dropout = Dropout(config.dropout, generator)
        self._layers = self.linears.layers
        self._companions: tuple[Linears, ...] = ()

    @property
    def weights(self) -> Sequence[Tensor]:
        return self.linears.weights

    def add_companions(self, generator: torch.Generator) -> Sequence[Layer]:
        """Return the linear models beside the perceptrons."""
        self._companions = (Linears([self.n_in, self.n_out], self.n_heads, generator),)
        return self._companions

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs of the last layer, of rows in the order of the heads."""
        state = self._by_head(x[:, : self.n_in])
        last = len(self._layers) - 1
        for i, (weight, bias) in enumerate(self._layers):
            state = torch.baddbmm(bias, state, weight.transpose(1, 2))
            if i < last:
                state = F.relu(state)
        outputs: Tensor = state.flatten(0, 1)
        return outputs

    def _by_head(self, x: Tensor) -> Tensor:
        """Rows in the order of the heads, of shape (n_heads, n, n_in)."""
        return x.reshape(self.n_heads, -1, x.shape[1])

    @property
    def hidden_weights(self) -> Sequence[Tensor]:
        return self.weights[:-1]

    @property
    def n_products(self) -> int:
        return sum(w[0].numel() for w, _ in self._layers)

    def to_numpy(self) -> MLPHead:
        weights = (to_numpy(w).transpose(0, 2, 1).copy() for w, _ in self._layers)
        biases = (to_numpy(b)[:, 0] for _, b in self._layers)
        return MLPHead(tuple(weights), tuple(biases), folds=self.folds)

    def set_from(self, head: Head) -> None:
        assert isinstance(head, MLPHead)
        heads = np.arange(self.n_heads) % head.n_heads  # of another number of folds
        set_values(
            (w for w, _ in self._layers), (w[heads].transpose(0, 2, 1) for w in head.weights)
        )
        set_values((b for _, b in self._layers), (b[heads, None] for b in head.biases))

    def learn(
        self,
        x: Tensor,
        n: int,
        error: LossGradient,
        *,
        below: bool = False,
        executor: Executor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Do as :meth:`TorchHead.learn`; its two parts are gone through apart."""
        with torch.no_grad():
            linears = [self.linears, *self._companions]
            weights = [_padded(model.layers[0][0], x.shape[1]) for model in linears]
            of_input = torch.empty_like(x)
            halves = []
            for rows, learns in ((slice(0, n), True), (slice(n, len(x)), False)):
                wanted = of_input[rows] if below or not learns else None
                # Drawn here, for generators are not for two threads.
                inputs = self._by_head(x[rows])
                factors = self._factors(inputs.shape[:2], x.device)
                given = (self, inputs, rows, error, weights, factors, wanted, learns)
                halves.append(partial(_half, *given))
            if not below:
                of_input[:n].zero_()
            with together(executor, halves[1]) as other:
                raw = halves[0]()
            other.result()
            return raw, of_input

    def _factors(self, shape: Sequence[int], device: torch.device) -> list[Tensor | None]:
        """Factors of the hidden units of so many rows, layer by layer."""
        if not self.training or self.dropout.n_dropped == 0:
            return [None] * (len(self._layers) - 1)
        return [self.dropout.factors((*shape, w.shape[1]), device) for w, _ in self._layers[:-1]]


def _padded(weight: Tensor, width: int) -> Tensor:
    """Weights of an input layer with zeros for the columns that are not read."""
    return F.pad(weight, (0, width - weight.shape[2])) if width > weight.shape[2] else weight


@torch.no_grad()  # of each thread its own
def _half(
    mlp: MLP,
    x: Tensor,
    rows: slice,
    error: LossGradient,
    input_weights: Sequence[Tensor],
    factors: Sequence[Tensor | None],
    of_input: Tensor | None,
    learns: bool,
) -> Tensor:
    """Go through one half of a step: forwards, errors, backwards; return the heads' outputs."""
    layers = mlp.linears.layers
    units, weights = [x], [input_weights[0], *(w for w, _ in layers[1:])]
    for (_, bias), weight, factor in zip(layers, weights, factors, strict=False):
        layer = torch.baddbmm(bias, units[-1], weight.transpose(1, 2)).relu_()
        units.append(layer if factor is None else layer.mul_(factor))
    raw = torch.baddbmm(layers[-1][1], units[-1], weights[-1].transpose(1, 2)).flatten(0, 1)
    gradient = error(raw, rows).view(*x.shape[:2], -1)
    scale = 1.0 if factors[:1] in ([], [None]) else mlp.dropout.scale
    for i in reversed(range(len(weights))):
        if learns:
            _set_gradients(layers[i], gradient, units[i])
        if i > 0:
            # Rectified and dropped units are zero both: their sign is all that the derivative
            # needs, and the scale of dropout goes into the product.
            down = torch.baddbmm(units[i], gradient, weights[i], beta=0.0, alpha=scale)
            gradient = _where_positive(down, units[i])
    found = None if of_input is None else of_input.view(x.shape)
    if found is not None:
        torch.bmm(gradient, weights[0], out=found)
    for linear, weight in zip(mlp._companions, input_weights[1:], strict=True):
        (only,) = linear.layers
        outputs = torch.baddbmm(only[1], x, weight.transpose(1, 2)).flatten(0, 1)
        gradient = error(outputs, rows, linear=True).view(*x.shape[:2], -1)
        if learns:
            _set_gradients(only, gradient, x)
        if found is not None:
            found.baddbmm_(gradient, weight)
    return raw


def _set_gradients(layer: tuple[Tensor, Tensor], gradient: Tensor, units: Tensor) -> None:
    weight, bias = layer
    weight.grad = torch.bmm(gradient.transpose(1, 2), units)[:, :, : weight.shape[2]]
    bias.grad = gradient.sum(1, keepdim=True)


def _where_positive(gradient: Tensor, units: Tensor) -> Tensor:
    """The gradient, in place, where units are positive, else zero."""
    out: Tensor = torch.ops.aten.threshold_backward.grad_input(
        gradient, units, 0.0, grad_input=gradient
    )
    return out
