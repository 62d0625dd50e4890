"""From rows to what the head sees of them, and back from its gradient to vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor

from sk_entity_embed.learning.batches import Examples, ListBatch
from sk_entity_embed.learning.poolings import TorchPooling

_WIDTH_UNIT = 16
"""The width of the head's input is filled up to a multiple of this: products are faster then."""


class EmbeddingBank:
    """Tables of vectors, several a column, looked up in one of them for each cell or item."""

    def __init__(self, tables: Sequence[Tensor]) -> None:
        self.n_rows = [t.shape[1] for t in tables]
        self.widths = [t.shape[2] for t in tables]
        self.weights = [t.reshape(-1, t.shape[2]).contiguous() for t in tables]

    def lookup(self, flat: Sequence[Tensor]) -> list[Tensor]:
        """Return each column's vectors at rows of its stacked tables, outside any graph."""
        return [w.index_select(0, i) for w, i in zip(self.weights, flat, strict=True)]


@dataclass(slots=True)
class PooledLists:
    """Vectors of a column's lists.

    `learned` are those of the rows that teach the head, and the pooling if it learns; `items` and
    `others` are of the rows that teach the tables: the items' vectors, and what is made of them.
    """

    learned: Tensor
    items: Tensor
    others: Tensor


@dataclass(slots=True)
class LookedUp:
    """The rows of a step as the head sees them.

    `vectors` are what the rows of each column's stacked tables hold, `pooled` those of lists, None
    for single values. `inputs` has them side by side, context, and zeros up to a width that suits
    matrix products.
    """

    vectors: list[Tensor]
    pooled: list[PooledLists | None]
    inputs: Tensor


class LookUp:
    """Looks rows up in the tables and pools their lists."""

    def __init__(
        self,
        bank: EmbeddingBank,
        pools: Sequence[TorchPooling | None],
        n_context: int,
        device: torch.device,
    ) -> None:
        self.bank, self.pools = bank, pools
        self._edges = [0, *accumulate(bank.widths)]
        self.width = self._edges[-1] + n_context
        n_padding = -self.width % _WIDTH_UNIT
        self._padding = torch.zeros(1, n_padding, dtype=torch.float32, device=device)

    def __call__(self, batch: Examples) -> LookedUp:
        """Return what the head sees of rows: one vector a column, and the context.

        The graph is cut above pooled lists: what is below belongs to a column alone.
        """
        vectors = self.bank.lookup(batch.flat)
        pooled: list[PooledLists | None] = []
        parts = []
        for vector, pool, lists, m in zip(
            vectors, self.pools, batch.lists, batch.n_own_items, strict=True
        ):
            if lists is None or pool is None:
                pooled.append(None)
                parts.append(vector)
                continue
            found = _pool(pool, vector, lists, batch.n_own, m)
            pooled.append(found)
            parts += [torch.cat([found.learned.detach(), found.others.detach()])]
        parts += [batch.context, self._padding.expand(len(batch), -1)]
        return LookedUp(vectors, pooled, torch.cat(parts, dim=1))

    def gradients(self, batch: Examples, seen: LookedUp, gradient: Tensor) -> list[Tensor]:
        """Return gradients of the vectors that rows teach, by column, shrinkage included.

        `gradient` is the objective's in what the head has seen. Poolings that learn get theirs from
        the rows that teach the head.
        """
        n, gradients = batch.n_own, []
        for j, pooled in enumerate(seen.pooled):
            g, m = gradient[:, self._edges[j] : self._edges[j + 1]], batch.n_own_items[j]
            if pooled is None:
                g = g[m:]
            else:
                if pooled.learned.requires_grad:
                    torch.autograd.backward((pooled.learned * g[:n]).sum())
                (g,) = torch.autograd.grad((pooled.others * g[n:]).sum(), pooled.items)
            share = 1 / max(1, batch.n_rows[1])
            gradients.append(torch.addcmul(g, seen.vectors[j][m:], batch.shrinkage[j], value=share))
        return gradients


def _pool(
    pool: TorchPooling, vectors: Tensor, lists: ListBatch, n: int, n_items: int
) -> PooledLists:
    """Pool the first `n` lists apart from the others: these teach vectors, those do not."""
    first = lists.part(slice(0, n_items), slice(0, n))
    learned = pool(vectors[:n_items], first.owners, first.lengths)
    items = vectors[n_items:]
    if n == len(lists.lengths):
        return PooledLists(learned, items, learned[n:])
    rest = lists.part(slice(n_items, len(vectors)), slice(n, len(lists.lengths)))
    items = items.detach().requires_grad_(torch.is_grad_enabled())
    return PooledLists(learned, items, pool(items, rest.owners, rest.lengths))
