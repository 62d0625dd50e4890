"""Poolings under training: from the vectors of a list's items to one vector."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sk_entity_embed.learning.layers import Layer, set_values, to_numpy
from sk_entity_embed.learning.recurrence import last_states
from sk_entity_embed.model.poolings import GRU, Max, Mean, Pooling, Sum


class TorchPooling(Layer):
    """A pooling under training. A new kind needs :meth:`forward`; autograd does the rest.

    Its ``__init__`` takes the width of items and pooled vectors, and the generator to draw from.
    One with parameters needs the way to and from NumPy, too.
    """

    kind: type[Pooling]

    def __init__(self, width: int, generator: torch.Generator) -> None:
        super().__init__()

    @abstractmethod
    def forward(self, items: Tensor, owners: Tensor, lengths: Tensor) -> Tensor:
        """Return pooled vectors, of shape (n_lists, width).

        `items` have shape (n_items, width); `owners` tells the list of each of them, and `lengths`
        how long the lists are, none of which is empty.
        """

    def to_numpy(self) -> Pooling:
        """Return the pooling that serves."""
        return self.kind()

    def set_from(self, pooling: Pooling) -> None:
        """Go on from a pooling that serves."""


class SumPool(TorchPooling):
    """Sum of each list's items."""

    kind: type[Pooling] = Sum

    def forward(self, items: Tensor, owners: Tensor, lengths: Tensor) -> Tensor:
        return items.new_zeros(len(lengths), items.shape[1]).index_add(0, owners, items)


class MeanPool(SumPool):
    """Mean of each list's items."""

    kind = Mean

    def forward(self, items: Tensor, owners: Tensor, lengths: Tensor) -> Tensor:
        return super().forward(items, owners, lengths) / lengths.to(items.dtype).unsqueeze(1)


class MaxPool(TorchPooling):
    """Largest entry of each list's items, axis by axis."""

    kind = Max

    def forward(self, items: Tensor, owners: Tensor, lengths: Tensor) -> Tensor:
        out = items.new_zeros(len(lengths), items.shape[1])
        index = owners.unsqueeze(1).expand_as(items)
        return out.scatter_reduce(0, index, items, "amax", include_self=False)


class GRUPool(TorchPooling):
    """The last state of a gated recurrent unit that reads each list from its first item on.

    See :class:`~sk_entity_embed.model.poolings.GRU`.
    """

    kind = GRU

    def __init__(self, width: int, generator: torch.Generator) -> None:
        super().__init__(width, generator)
        shape = (3 * width, width)
        kind: dict[str, Any] = {"dtype": torch.float32, "device": generator.device}
        self.matrices = nn.ParameterList(torch.empty(shape, **kind) for _ in range(2))
        self.offsets = nn.ParameterList(torch.empty(3 * width, **kind) for _ in range(2))
        bound = width**-0.5
        with torch.no_grad():
            for parameter in (*self.matrices, *self.offsets):
                parameter.uniform_(-bound, bound, generator=generator)

    def forward(self, items: Tensor, owners: Tensor, lengths: Tensor) -> Tensor:
        order = torch.argsort(lengths, descending=True, stable=True)
        sorted_lengths = lengths[order]
        starts = (lengths.cumsum(0) - lengths)[order]
        # Lists are sorted, so that those still going on at a step are the first ones.
        steps = torch.arange(int(sorted_lengths[0]), device=items.device)
        going_on = steps.unsqueeze(1) < sorted_lengths.unsqueeze(0)
        positions = (starts.unsqueeze(0) + steps.unsqueeze(1))[going_on]
        given = F.linear(items, self.matrices[0], self.offsets[0])[positions]
        counts = going_on.sum(1).tolist()
        last = last_states(given, self.matrices[1], self.offsets[1], counts)
        return torch.empty_like(last).index_copy(0, order, last)

    def to_numpy(self) -> GRU:
        inputs, hidden = (to_numpy(w).T.copy() for w in self.matrices)
        return GRU(inputs, hidden, *(to_numpy(b) for b in self.offsets))

    def set_from(self, pooling: Pooling) -> None:
        assert isinstance(pooling, GRU)
        set_values(self.matrices, [pooling.input_weights.T, pooling.hidden_weights.T])
        set_values(self.offsets, [pooling.input_bias, pooling.hidden_bias])


TORCH_POOLINGS: dict[type[Pooling], type[TorchPooling]] = {
    pool.kind: pool for pool in (MeanPool, SumPool, MaxPool, GRUPool)
}
"""The torch side of each kind."""
