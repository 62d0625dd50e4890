"""Pooling of lists: from the vectors of a list's items to one vector."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sk_entity_embed.learning.layers import Layer
from sk_entity_embed.learning.recurrence import last_states

Pool: TypeAlias = Callable[[Tensor, Tensor, Tensor], Tensor]
"""From items of shape (n_items, width), the list of each item and the lists' lengths, none of
which is zero, to (n_lists, width)."""


def pool_sum(items: Tensor, owners: Tensor, lengths: Tensor) -> Tensor:
    """Sum of each list's items."""
    return items.new_zeros(len(lengths), items.shape[1]).index_add(0, owners, items)


def pool_mean(items: Tensor, owners: Tensor, lengths: Tensor) -> Tensor:
    """Mean of each list's items."""
    return pool_sum(items, owners, lengths) / lengths.to(items.dtype).unsqueeze(1)


def pool_max(items: Tensor, owners: Tensor, lengths: Tensor) -> Tensor:
    """Largest entry of each list's items, axis by axis."""
    out = items.new_zeros(len(lengths), items.shape[1])
    index = owners.unsqueeze(1).expand_as(items)
    return out.scatter_reduce(0, index, items, "amax", include_self=False)


class GRUPool(Layer):
    """The last state of a gated recurrent unit that reads each list from its first item on.

    Parameters
    ----------
    width : int
        Width of items and state.
    generator : torch.Generator
        Draws initial weights; torch's global generator is left alone.

    References
    ----------
    Cho et al., "Learning phrase representations using RNN encoder-decoder for statistical machine
    translation", EMNLP 2014.
    """

    def __init__(
        self, width: int, *, generator: torch.Generator, device: torch.device | None = None
    ) -> None:
        super().__init__()
        shape = (3 * width, width)
        kind: dict[str, Any] = {"dtype": torch.float32, "device": device}
        self.weights = nn.ParameterList(torch.empty(shape, **kind) for _ in range(2))
        self.biases = nn.ParameterList(torch.empty(3 * width, **kind) for _ in range(2))
        bound = width**-0.5
        with torch.no_grad():
            for parameter in (*self.weights, *self.biases):
                parameter.uniform_(-bound, bound, generator=generator)

    def forward(self, items: Tensor, owners: Tensor, lengths: Tensor) -> Tensor:
        order = torch.argsort(lengths, descending=True, stable=True)
        sorted_lengths = lengths[order]
        starts = (lengths.cumsum(0) - lengths)[order]
        # Lists are sorted, so that those still going on at a step are the first ones.
        steps = torch.arange(int(sorted_lengths[0]), device=items.device)
        going_on = steps.unsqueeze(1) < sorted_lengths.unsqueeze(0)
        positions = (starts.unsqueeze(0) + steps.unsqueeze(1))[going_on]
        given = F.linear(items, self.weights[0], self.biases[0])[positions]
        counts = going_on.sum(1).tolist()
        last = last_states(given, self.weights[1], self.biases[1], counts)
        return torch.empty_like(last).index_copy(0, order, last)


POOLS: dict[str, Pool] = {"mean": pool_mean, "sum": pool_sum, "max": pool_max}
"""Ways of pooling that have nothing to learn."""
