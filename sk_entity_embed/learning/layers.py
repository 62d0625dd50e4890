"""The base of learned layers, and dropout."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import prod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn


class Layer(nn.Module):
    """A part of the network that learns with the head.

    `weights` are what weight decay shrinks: matrices, unless a subclass says otherwise.
    """

    @property
    def weights(self) -> Sequence[Tensor]:
        """Parameters that weight decay shrinks."""
        return [p for p in self.parameters() if p.ndim > 1]

    @property
    def biases(self) -> Sequence[Tensor]:
        """Parameters that it leaves alone."""
        decayed = {id(p) for p in self.weights}
        return [p for p in self.parameters() if id(p) not in decayed]


class Dropout:
    """Random factors of mean one, drawn from a generator of one's own, in steps of 1/256.

    Factors are drawn in stock, for several calls at once, and each of them serves a few times in
    other places: the generator is what dropout costs.
    """

    _STOCK = 2
    """Calls that a stock is drawn for."""
    _USES = 8
    """Times that a factor serves."""
    _STRIDE = 0.618034
    """Share of the stock between the beginnings of two calls: later ones fall between earlier."""

    def __init__(self, rate: float, generator: torch.Generator) -> None:
        self.n_dropped = min(255, round(256 * rate))
        self.generator = generator
        self._stocks: dict[int, tuple[Tensor, int]] = {}

    @property
    def scale(self) -> float:
        """Factor of the units that are kept."""
        return 256 / (256 - self.n_dropped)

    def __call__(self, x: Tensor) -> Tensor:
        """Return `x` with some units dropped."""
        return x if self.n_dropped == 0 else x * self.factors(x.shape, x.device)

    def factors(self, shape: Sequence[int], device: torch.device) -> Tensor:
        """Return a factor for each unit, of float32: zero, or `scale`."""
        size, place = prod(shape), shape[-1]
        stock, n_calls = self._stocks.get(place, (torch.empty(0), 0))
        if n_calls == self._STOCK * self._USES or len(stock) < self._STOCK * size:
            stock, n_calls = self._draw(self._STOCK * size, device), 0
        start = int(self._STRIDE * n_calls * len(stock)) % (len(stock) - size + 1)
        self._stocks[place] = stock, n_calls + 1
        return stock[start : start + size].view(*shape)

    def state_dict(self) -> dict[str, Any]:
        """Return what later factors depend on, beside the generator."""
        return {"stocks": {place: (stock.clone(), n) for place, (stock, n) in self._stocks.items()}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from such a state."""
        device = self.generator.device
        self._stocks = {k: (s.to(device, copy=True), n) for k, (s, n) in state["stocks"].items()}

    def _draw(self, n: int, device: torch.device) -> Tensor:
        """Return so many factors. One byte decides for each: a 64-bit draw serves eight."""
        words = torch.empty(-(-n // 8), dtype=torch.int64, device=device)
        words.random_(-(2**63), None, generator=self.generator)
        drawn = words.view(torch.uint8)[:n].to(torch.float32)
        # One where the byte is at least n_dropped, else zero; comparisons are slower.
        return drawn.sub_(self.n_dropped - 1).clamp_(0.0, 1.0).mul_(self.scale)


def to_numpy(parameter: Tensor) -> NDArray[np.float64]:
    """Return a parameter's values for serving."""
    values: NDArray[np.float64] = parameter.detach().cpu().numpy().astype(np.float64)
    return values


def set_values(parameters: Iterable[Tensor], values: Iterable[NDArray[Any]]) -> None:
    """Set parameters in place."""
    with torch.no_grad():
        for parameter, value in zip(parameters, values, strict=True):
            parameter.copy_(torch.as_tensor(value, device=parameter.device))
