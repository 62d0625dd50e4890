"""What several workers tell each other at each step, so that all of them take the same one."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any, Protocol

import torch
from torch import Tensor, distributed


class Exchange(Protocol):
    """Several workers, each with rows of its own and a copy of all parameters.

    All of them call the same methods in the same order, and get the same bits.
    """

    n_workers: int
    rank: int
    """The number of this worker, from 0."""
    n_bytes: int
    """Bytes that this worker has sent, as if in a ring."""

    def sum(self, tensor: Tensor) -> Tensor:
        """Add up a tensor over the workers, in place."""

    def gather(self, tensor: Tensor) -> list[Tensor]:
        """Return the one-dimensional tensors of all workers, by rank; lengths may differ."""

    def gather_objects(self, value: Any) -> list[Any]:
        """Return the values of all workers, by rank."""


class ProcessGroup:
    """An :class:`Exchange` through the default process group of ``torch.distributed``.

    Gloo and NCCL add up in a ring: each part of a sum is made by one worker for all.
    """

    def __init__(self) -> None:
        self.n_workers, self.rank = distributed.get_world_size(), distributed.get_rank()
        self.n_bytes = 0

    def sum(self, tensor: Tensor) -> Tensor:
        distributed.all_reduce(tensor)
        n = self.n_workers
        self.n_bytes += 2 * (n - 1) * tensor.numel() * tensor.element_size() // n
        return tensor

    def gather(self, tensor: Tensor) -> list[Tensor]:
        lengths = self._stacked(torch.tensor([len(tensor)], device=tensor.device)).tolist()
        padded = tensor.new_empty(max(n for (n,) in lengths))
        padded[: len(tensor)] = tensor
        stacked = self._stacked(padded)
        return [row[:n] for row, (n,) in zip(stacked, lengths, strict=True)]

    def gather_objects(self, value: Any) -> list[Any]:
        found: list[Any] = [None] * self.n_workers
        distributed.all_gather_object(found, value)
        return found

    def _stacked(self, tensor: Tensor) -> Tensor:
        """Return tensors of one length, of all workers."""
        out = tensor.new_empty((self.n_workers, len(tensor)))
        distributed.all_gather(list(out), tensor)
        self.n_bytes += (self.n_workers - 1) * tensor.numel() * tensor.element_size()
        return out


class SharedSteps:
    """Makes the gradients of all workers' rows of those of this worker's.

    Gradients of heads and of small tables are added up as a whole. Of a table with more than
    `dense_rows` rows, only those that the workers met travel, each with the sum of its gradients.
    """

    def __init__(
        self,
        exchange: Exchange,
        parameters: Sequence[Tensor],
        tables: Sequence[Tensor],
        dense_rows: int,
    ) -> None:
        self.exchange, self.parameters = exchange, parameters
        self.tables = tables
        self._dense = [j for j, table in enumerate(tables) if len(table) <= dense_rows]
        self._sparse = [j for j, table in enumerate(tables) if len(table) > dense_rows]
        self._every = {
            j: torch.arange(len(tables[j]), device=tables[j].device) for j in self._dense
        }

    def step(
        self,
        n_rows: tuple[int, int],
        rows: Sequence[Tensor],
        gradients: Sequence[Tensor],
        losses: tuple[Tensor, Tensor],
    ) -> tuple[list[Tensor], list[Tensor], tuple[Tensor, Tensor]]:
        """Give the parameters the gradients of all workers' rows.

        Gradients are means over `n_rows`, those of heads over the first number and those of the
        tables' `rows` over the second. Return rows and gradients of the tables, no row of a table
        twice, and the sums of `losses`, all of them over all workers.
        """
        n_heads, n_tables = n_rows
        own = [_gradient_of(p).mul(n_heads) for p in self.parameters]
        dense = [
            torch.zeros_like(self.tables[j]).index_add_(0, rows[j], gradients[j]).mul_(n_tables)
            for j in self._dense
        ]
        like = losses[0]
        numbers = [like.new_tensor([n_heads, n_tables]), losses[1].view(1), losses[0]]
        parts = [*own, *dense, torch.cat(numbers).to(torch.float32)]
        flat = self.exchange.sum(torch.cat([p.flatten() for p in parts]))
        *found, last = torch.split(flat, [p.numel() for p in parts])
        of_all_heads, of_all_tables = last[0].clamp(min=1.0), last[1].clamp(min=1.0)
        for parameter, total in zip(self.parameters, found, strict=False):
            parameter.grad = total.view(parameter.shape).div_(of_all_heads)
        out_rows, out = list(rows), list(gradients)
        for j, total in zip(self._dense, found[len(own) :], strict=True):
            out_rows[j] = self._every[j]
            out[j] = total.view(self.tables[j].shape).div_(of_all_tables)
        if self._sparse:
            share = n_tables / of_all_tables
            some = [rows[j] for j in self._sparse], [gradients[j] * share for j in self._sparse]
            for j, row, gradient in zip(self._sparse, *self._union(*some), strict=True):
                out_rows[j], out[j] = row, gradient
        sums = last.to(like.dtype)
        return out_rows, out, (sums[3:], sums[2])

    def _union(
        self, rows: Sequence[Tensor], gradients: Sequence[Tensor]
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Return the rows that any worker met, and the sums of their gradients."""
        found = [_summed([row], [g]) for row, g in zip(rows, gradients, strict=True)]
        lengths = torch.tensor([len(row) for row, _ in found], device=rows[0].device)
        parts = [lengths, *(row for row, _ in found)]
        message = torch.cat(
            [
                torch.cat(parts).to(torch.int32),
                torch.cat([g.flatten() for _, g in found]).view(torch.int32),
            ]
        )
        messages = [self._read(m, gradients) for m in self.exchange.gather(message)]
        of_columns = [_summed(*zip(*column, strict=True)) for column in zip(*messages, strict=True)]
        return [row for row, _ in of_columns], [g for _, g in of_columns]

    @staticmethod
    def _read(message: Tensor, like: Sequence[Tensor]) -> list[tuple[Tensor, Tensor]]:
        """Return rows and gradients of each column that a message holds."""
        n, widths = len(like), [g.shape[1] for g in like]
        lengths = message[:n].tolist()
        edges = [n, *(n + e for e in accumulate(lengths))]
        rows = [message[a:b].to(torch.int64) for a, b in pairwise(edges)]
        values = message[edges[-1] :].view(torch.float32)
        sizes = [m * w for m, w in zip(lengths, widths, strict=True)]
        gradients = torch.split(values, sizes)
        return [(r, g.view(-1, w)) for r, g, w in zip(rows, gradients, widths, strict=True)]


def _summed(rows: Sequence[Tensor], gradients: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Return distinct rows and the sums of their gradients, which are added in the order given."""
    distinct, places = torch.unique(torch.cat(list(rows)), return_inverse=True)
    total = gradients[0].new_zeros((len(distinct), gradients[0].shape[1]))
    # On a GPU, equal rows in one call are added in any order: those of a worker differ.
    for place, gradient in zip(torch.split(places, [len(r) for r in rows]), gradients, strict=True):
        total.index_add_(0, place, gradient)
    return distinct, total


def _gradient_of(parameter: Tensor) -> Tensor:
    return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
