"""The multi-layer perceptron, with a backward pass that computes what is asked for only."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sk_entity_embed.learning.layers import Dropout, ErrorFunction, Layer
from sk_entity_embed.learning.parallel import together


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
    - input: (n, n_in), or wider: further columns are not read
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
        # Lists of parameters are slow to go through.
        self._layers = tuple(zip(self.weights, self.biases, strict=True))

    def reset_parameters(self) -> None:
        """He initialisation of the hidden layers; an output layer of smaller weights."""
        for i, weight in enumerate(self.weights):
            gain = 2.0 if i < len(self.weights) - 1 else 1.0
            std = (gain / max(1, weight.shape[1])) ** 0.5
            with torch.no_grad():
                weight.normal_(0.0, std, generator=self.generator)

    def forward(self, x: Tensor) -> Tensor:
        """Output of the last layer."""
        x = x[:, : self.weights[0].shape[1]]
        last = len(self.weights) - 1
        for i, (weight, bias) in enumerate(self._layers):
            x = F.linear(x, weight, bias)
            if i < last:
                x = F.relu(x)
                if self.training:
                    x = self.dropout(x)
        return x

    def learn(
        self,
        x: Tensor,
        n: int,
        error: ErrorFunction,
        *,
        below: bool = False,
        linear: MLP | None = None,
        linear_error: ErrorFunction | None = None,
        beside: Executor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Give the parameters their gradients, and the input its own.

        The rows that the parameters learn from and the others are gone through apart.

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
        linear : MLP, default=None
            A model without hidden layers that learns beside this one, from the same rows.
        linear_error : callable, default=None
            The objective's gradient in its outputs.
        beside : Executor, default=None
            What goes through the other rows beside the first ones; None for one after the other.

        Returns
        -------
        raw : Tensor of shape (n, n_out)
            Outputs of the first rows.
        of_input : Tensor of shape (n_rows, n_in)
            The objective's gradient in the input.
        """
        with torch.no_grad():
            models = [(self, error)]
            if linear is not None and linear_error is not None:
                models.append((linear, linear_error))
            weights = [_padded(model.weights[0], x.shape[1]) for model, _ in models]
            of_input = torch.empty_like(x)
            halves = []
            for rows, learns in ((slice(0, n), True), (slice(n, len(x)), False)):
                wanted = of_input[rows] if below or not learns else None
                # Drawn here, for generators are not for two threads.
                factors = self._factors(rows.stop - rows.start, x.device)
                halves.append(
                    partial(_half, x[rows], rows, models, weights, factors, wanted, learns)
                )
            if not below:
                of_input[:n].zero_()
            with together(beside, halves[1]) as other:
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
    x: Tensor,
    rows: slice,
    models: Sequence[tuple[MLP, ErrorFunction]],
    input_weights: Sequence[Tensor],
    factors: Sequence[Tensor | None],
    of_input: Tensor | None,
    learns: bool,
) -> Tensor:
    """One half of a step: forwards, errors, backwards; the first model's outputs."""
    (model, error), *others = models
    units, weights = [x], [input_weights[0], *(w for w, _ in model._layers[1:])]
    for (_, bias), weight, factor in zip(model._layers, weights, factors, strict=False):
        layer = torch.addmm(bias, units[-1], weight.t()).relu_()
        units.append(layer if factor is None else layer.mul_(factor))
    raw = torch.addmm(model._layers[-1][1], units[-1], weights[-1].t())
    gradient = error(raw, rows)
    scale = 1.0 if factors[:1] in ([], [None]) else model.dropout.scale
    for i in reversed(range(len(weights))):
        if learns:
            _set_gradients(model, i, gradient, units[i])
        if i > 0:
            # Rectified and dropped units are zero both: their sign is all that the derivative
            # needs, and the scale of dropout goes into the product.
            down = torch.addmm(units[i], gradient, weights[i], beta=0.0, alpha=scale)
            gradient = _where_positive(down, units[i])
    if of_input is not None:
        torch.mm(gradient, weights[0], out=of_input)
    for (linear, linear_error), weight in zip(others, input_weights[1:], strict=True):
        gradient = linear_error(torch.addmm(linear._layers[0][1], x, weight.t()), rows)
        if learns:
            _set_gradients(linear, 0, gradient, x)
        if of_input is not None:
            of_input.addmm_(gradient, weight)
    return raw


def _set_gradients(model: MLP, layer: int, gradient: Tensor, units: Tensor) -> None:
    weight, bias = model._layers[layer]
    weight.grad = (gradient.t() @ units)[:, : weight.shape[1]]
    bias.grad = gradient.sum(0)


def _where_positive(gradient: Tensor, units: Tensor) -> Tensor:
    """The gradient, in place, where units are positive, else zero."""
    out: Tensor = torch.ops.aten.threshold_backward.grad_input(
        gradient, units, 0.0, grad_input=gradient
    )
    return out
