"""The multi-layer perceptron under training: its backward pass computes what is asked for only."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from functools import partial
from itertools import pairwise

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
    """Linear layers with their initial weights, drawn from a generator of one's own."""

    def __init__(self, sizes: Sequence[int], generator: torch.Generator) -> None:
        super().__init__()
        device = generator.device
        self.matrices = nn.ParameterList(
            torch.empty(b, a, dtype=torch.float32, device=device) for a, b in pairwise(sizes)
        )
        self.offsets = nn.ParameterList(
            torch.zeros(b, dtype=torch.float32, device=device) for b in sizes[1:]
        )
        # He initialisation of the hidden layers; an output layer of smaller weights.
        for i, weight in enumerate(self.matrices):
            gain = 2.0 if i < len(self.matrices) - 1 else 1.0
            std = (gain / max(1, weight.shape[1])) ** 0.5
            with torch.no_grad():
                weight.normal_(0.0, std, generator=generator)
        # Lists of parameters are slow to go through.
        self.layers = tuple(zip(self.matrices, self.offsets, strict=True))


class MLP(TorchHead):
    """A multi-layer perceptron with rectified, dropped-out hidden layers.

    Beside one that has hidden layers a linear model learns from the same rows; its loss, added to
    the tables' own, keeps additive effects in plain sight for other models on the vectors.
    """

    def __init__(
        self, shape: HeadShape, config: TrainingConfig, generator: torch.Generator
    ) -> None:
        super().__init__(shape, config, generator)
        self.n_in, self.n_out = shape.n_in, config.n_outputs
        sizes = [self.n_in, *config.hidden_layer_sizes, self.n_out]
        try:
            self.linears = Linears(sizes, generator)
        except (RuntimeError, TypeError) as error:  # no memory, no integer of 64 bits
            raise InvalidParameterError(
                f"`hidden_layer_sizes`={config.hidden_layer_sizes} take more memory than there is "
                f"on device {str(generator.device)!r}; give smaller ones."
            ) from error
        self.dropout = Dropout(config.dropout, generator)
        self._layers = self.linears.layers
        self._companions: tuple[Linears, ...] = ()

    def add_companions(self, generator: torch.Generator) -> Sequence[Layer]:
        """Return the linear model beside the perceptron."""
        self._companions = (Linears([self.n_in, self.n_out], generator),)
        return self._companions

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs of the last layer."""
        x = x[:, : self.n_in]
        last = len(self._layers) - 1
        for i, (weight, bias) in enumerate(self._layers):
            x = F.linear(x, weight, bias)
            if i < last:
                x = F.relu(x)
                if self.training:
                    x = self.dropout(x)
        return x

    @property
    def n_products(self) -> int:
        return sum(w.numel() for w, _ in self._layers)

    def to_numpy(self) -> MLPHead:
        weights = (to_numpy(w).T.copy() for w, _ in self._layers)
        return MLPHead(tuple(weights), tuple(to_numpy(b) for _, b in self._layers))

    def set_from(self, head: Head) -> None:
        assert isinstance(head, MLPHead)
        set_values((w for w, _ in self._layers), (w.T for w in head.weights))
        set_values((b for _, b in self._layers), head.biases)

    def learn(
        self,
        x: Tensor,
        n: int,
        error: LossGradient,
        *,
        below: bool = False,
        executor: Executor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Do as :meth:`TorchHead.learn`; the two parts of the rows are gone through apart."""
        with torch.no_grad():
            linears = [self.linears, *self._companions]
            weights = [_padded(model.layers[0][0], x.shape[1]) for model in linears]
            of_input = torch.empty_like(x)
            halves = []
            for rows, learns in ((slice(0, n), True), (slice(n, len(x)), False)):
                wanted = of_input[rows] if below or not learns else None
                # Drawn here, for generators are not for two threads.
                factors = self._factors(rows.stop - rows.start, x.device)
                halves.append(
                    partial(_half, self, x[rows], rows, error, weights, factors, wanted, learns)
                )
            if not below:
                of_input[:n].zero_()
            with together(executor, halves[1]) as other:
                raw = halves[0]()
            other.result()
            return raw, of_input

    def _factors(self, n: int, device: torch.device) -> list[Tensor | None]:
        """Factors of the hidden units of so many rows, layer by layer."""
        if not self.training or self.dropout.n_dropped == 0:
            return [None] * (len(self._layers) - 1)
        return [self.dropout.factors((n, len(b)), device) for _, b in self._layers[:-1]]


def _padded(weight: Tensor, width: int) -> Tensor:
    """Weights of an input layer with zeros for the columns that are not read."""
    return F.pad(weight, (0, width - weight.shape[1])) if width > weight.shape[1] else weight


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
    """Go through one half of a step: forwards, errors, backwards; return the head's outputs."""
    layers = mlp.linears.layers
    units, weights = [x], [input_weights[0], *(w for w, _ in layers[1:])]
    for (_, bias), weight, factor in zip(layers, weights, factors, strict=False):
        layer = torch.addmm(bias, units[-1], weight.t()).relu_()
        units.append(layer if factor is None else layer.mul_(factor))
    raw = torch.addmm(layers[-1][1], units[-1], weights[-1].t())
    gradient = error(raw, rows)
    scale = 1.0 if factors[:1] in ([], [None]) else mlp.dropout.scale
    for i in reversed(range(len(weights))):
        if learns:
            _set_gradients(layers[i], gradient, units[i])
        if i > 0:
            # Rectified and dropped units are zero both: their sign is all that the derivative
            # needs, and the scale of dropout goes into the product.
            down = torch.addmm(units[i], gradient, weights[i], beta=0.0, alpha=scale)
            gradient = _where_positive(down, units[i])
    if of_input is not None:
        torch.mm(gradient, weights[0], out=of_input)
    for linear, weight in zip(mlp._companions, input_weights[1:], strict=True):
        (only,) = linear.layers
        gradient = error(torch.addmm(only[1], x, weight.t()), rows, linear=True)
        if learns:
            _set_gradients(only, gradient, x)
        if of_input is not None:
            of_input.addmm_(gradient, weight)
    return raw


def _set_gradients(layer: tuple[Tensor, Tensor], gradient: Tensor, units: Tensor) -> None:
    weight, bias = layer
    weight.grad = (gradient.t() @ units)[:, : weight.shape[1]]
    bias.grad = gradient.sum(0)


def _where_positive(gradient: Tensor, units: Tensor) -> Tensor:
    """The gradient, in place, where units are positive, else zero."""
    out: Tensor = torch.ops.aten.threshold_backward.grad_input(
        gradient, units, 0.0, grad_input=gradient
    )
    return out
