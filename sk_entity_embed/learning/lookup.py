"""From rows to what the head sees of them, and back from its gradient to vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor

from sk_entity_embed.learning.examples import Examples
from sk_entity_embed.learning.inputs import ListBatch
from sk_entity_embed.learning.network import EmbeddingBank
from sk_entity_embed.learning.pooling import Pool

_WIDTH_UNIT = 16
"""What the width of the head's input is filled up to a multiple of: products are faster then."""


@dataclass(slots=True)
class Pooled:
    """Vectors of a column's lists.

    Attributes
    ----------
    learned : Tensor of shape (n_own, width)
        Of the rows that teach the head, and the pool if it learns.
    items, taught : Tensor of shape (n_items, width) and (n - n_own, width)
        Of the rows that teach the tables: the items' vectors, and what is made of them.
    """

    learned: Tensor
    items: Tensor
    taught: Tensor


@dataclass(slots=True)
class LookedUp:
    """What rows are to the head.

    Attributes
    ----------
    vectors : list of Tensor
        What the rows of the stacked tables hold, for each column.
    pooled : list of Pooled or None
        Vectors of a column's lists; None for columns of single values.
    inputs : Tensor of shape (n, n_in)
        Vectors side by side, context, and zeros up to a width that suits matrix products.
    """

    vectors: list[Tensor]
    pooled: list[Pooled | None]
    inputs: Tensor


class LookUp:
    """Looks rows up in the tables and pools their lists.

    Parameters
    ----------
    bank : EmbeddingBank
        The tables.
    pools : sequence of Pool or None
        What makes one vector of a column's lists; None for columns of single values.
    n_context : int
        Numbers beside the vectors.
    device : torch.device
        Where it runs.
    """

    def __init__(
        self,
        bank: EmbeddingBank,
        pools: Sequence[Pool | None],
        n_context: int,
        device: torch.device,
    ) -> None:
        self.bank, self.pools = bank, pools
        self._edges = [0, *accumulate(bank.widths)]
        self.width = self._edges[-1] + n_context
        n_padding = -self.width % _WIDTH_UNIT
        self._padding = torch.zeros(1, n_padding, dtype=torch.float32, device=device)

    def __call__(self, some: Examples) -> LookedUp:
        """What the head sees of rows: one vector a column, and the context.

        The graph is cut above pooled lists: what is below belongs to a column alone.
        """
        vectors = self.bank.lookup(some.flat)
        pooled: list[Pooled | None] = []
        parts = []
        for vector, pool, lists, m in zip(
            vectors, self.pools, some.lists, some.n_own_items, strict=True
        ):
            if lists is None or pool is None:
                pooled.append(None)
                parts.append(vector)
                continue
            found = _pool(pool, vector, lists, some.n_own, m)
            pooled.append(found)
            parts += [torch.cat([found.learned.detach(), found.taught.detach()])]
        parts += [some.context, self._padding.expand(len(some), -1)]
        return LookedUp(vectors, pooled, torch.cat(parts, dim=1))

    def gradients(self, some: Examples, seen: LookedUp, gradient: Tensor) -> list[Tensor]:
        """Gradients of the vectors that rows teach, column by column, the pull included.

        Pools that learn get theirs from the rows that teach the head.

        Parameters
        ----------
        some : Examples
            The rows.
        seen : LookedUp
            What they were to the head.
        gradient : Tensor of shape (n, n_in)
            The objective's gradient in it.
        """
        n, gradients = some.n_own, []
        for j, pooled in enumerate(seen.pooled):
            g, m = gradient[:, self._edges[j] : self._edges[j + 1]], some.n_own_items[j]
            if pooled is None:
                g = g[m:]
            else:
                if pooled.learned.requires_grad:
                    torch.autograd.backward((pooled.learned * g[:n]).sum())
                (g,) = torch.autograd.grad((pooled.taught * g[n:]).sum(), pooled.items)
            share = 1 / (len(some) - n)
            gradients.append(torch.addcmul(g, seen.vectors[j][m:], some.pulls[j], value=share))
        return gradients


def _pool(pool: Pool, vectors: Tensor, lists: ListBatch, n: int, n_items: int) -> Pooled:
    """Pool the first `n` lists apart from the others: these teach vectors, those do not."""
    first = lists.part(slice(0, n_items), slice(0, n))
    learned = pool(vectors[:n_items], first.owners, first.lengths)
    items = vectors[n_items:]
    if n == len(lists.lengths):
        return Pooled(learned, items, learned[n:])
    rest = lists.part(slice(n_items, len(vectors)), slice(n, len(lists.lengths)))
    items = items.detach().requires_grad_(torch.is_grad_enabled())
    return Pooled(learned, items, pool(items, rest.owners, rest.lengths))
