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
"""What the width of the head's input is filled up to a multiple of: products are faster then."""


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


@dataclass(slots=True)
class PooledLists:
    """Vectors of a column's lists.

    Attributes
    ----------
    learned : Tensor of shape (n_own, width)
        Of the rows that teach the head, and the pool if it learns.
    items, others : Tensor of shape (n_items, width) and (n - n_own, width)
        Of the rows that teach the tables: the items' vectors, and what is made of them.
    """

    learned: Tensor
    items: Tensor
    others: Tensor


@dataclass(slots=True)
class LookedUp:
    """What rows are to the head.

    Attributes
    ----------
    vectors : list of Tensor
        What the rows of the stacked tables hold, for each column.
    pooled : list of PooledLists or None
        Vectors of a column's lists; None for columns of single values.
    inputs : Tensor of shape (n, n_in)
        Vectors side by side, context, and zeros up to a width that suits matrix products.
    """

    vectors: list[Tensor]
    pooled: list[PooledLists | None]
    inputs: Tensor


class LookUp:
    """Looks rows up in the tables and pools their lists.

    Parameters
    ----------
    bank : EmbeddingBank
        The tables.
    pools : sequence of TorchPooling or None
        What makes one vector of a column's lists; None for columns of single values.
    n_context : int
        Numbers beside the vectors.
    device : torch.device
        Where it runs.
    """

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
        """What the head sees of rows: one vector a column, and the context.

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
        """Gradients of the vectors that rows teach, column by column, shrinkage included.

        Pools that learn get theirs from the rows that teach the head.

        Parameters
        ----------
        batch : Examples
            The rows.
        seen : LookedUp
            What they were to the head.
        gradient : Tensor of shape (n, n_in)
            The objective's gradient in it.
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
            share = 1 / (len(batch) - n)
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
