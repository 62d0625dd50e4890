"""Training rows on a device, and what a step needs of some of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

import numpy as np
import torch
from torch import Tensor

from sk_entity_embed.input.lists import Codes, Lists
from sk_entity_embed.learning.inputs import CodedColumns, ListBatch
from sk_entity_embed.learning.problem import Floats, TrainingRows


@dataclass(slots=True)
class Examples:
    """Some rows: where to look them up, and what to learn from them.

    The first ones are looked up in the tables of their own fold; these teach the head. The others
    teach the tables.

    Attributes
    ----------
    n_own : int
        Number of the first ones.
    n_own_items : list of int
        What of each column is theirs: cells or items.
    flat : list of Tensor of int64
        Rows of the stacked tables, one a cell or item, for each column.
    lists : list of ListBatch or None
        The lists of each column; None for single values.
    context : Tensor of float32 of shape (n, n_context)
        Numbers.
    target : Tensor of float32 of shape (n, n_target_columns)
        Targets.
    weights : Tensor of float32 of shape (n,)
        Weights.
    pulls : list of Tensor of shape (n_items, 1)
        How strongly each looked-up vector is pulled towards zero, column by column, times the
        number of rows that teach the tables in a step.
    """

    n_own: int
    n_own_items: list[int]
    flat: list[Tensor]
    lists: list[ListBatch | None]
    context: Tensor
    target: Tensor
    weights: Tensor
    pulls: list[Tensor]

    def __len__(self) -> int:
        return len(self.weights)


class TrainingSet:
    """All training rows on a device.

    Parameters
    ----------
    rows : TrainingRows
        The data.
    n_rows : list of int
        Rows of each column's tables.
    pulls : sequence of ndarray of float32
        For each row of a column's stacked tables, prior rows over the weight of those it learns
        from.
    per_item : sequence of bool
        Columns whose lists are averaged. What a row tells of an item goes by the square of the
        item's share in the mean, and so does the pull that weighs as much.
    device : torch.device
        Where they are put.
    """

    def __init__(
        self,
        rows: TrainingRows,
        n_rows: list[int],
        pulls: Sequence[Floats],
        per_item: Sequence[bool],
        device: torch.device,
    ) -> None:
        self.pulls = [torch.as_tensor(pull, device=device) for pull in pulls]
        self.per_item = per_item
        self.n_rows, self.n_tables = n_rows, rows.n_tables
        self.codes = CodedColumns(marked_codes(rows, n_rows), len(rows.fold), device)
        self.context = torch.as_tensor(rows.context, device=device)
        self.target = torch.as_tensor(rows.target, device=device)
        self.weights = torch.as_tensor(rows.weights, device=device)
        fold_type = np.min_scalar_type(-rows.n_tables)
        self.fold = torch.as_tensor(rows.fold.astype(fold_type), device=device)

    def of_own_tables(self, rows: Tensor) -> Examples:
        """Rows to be looked up in the tables of their own fold."""
        batch = self.codes.take(rows, torch.ones_like(rows, dtype=torch.bool))
        flat = batch.flat_rows(self._fold_of(rows), self.n_rows)
        lists = [batch.list_of(j) for j in range(len(self.n_rows))]
        return Examples(len(rows), [len(f) for f in flat], flat, lists, *self._numbers(rows), [])

    def steps(
        self,
        of_head: Sequence[Tensor],
        more_of_tables: Sequence[Tensor],
        unknown_rate: float,
        generator: torch.Generator,
    ) -> list[Examples]:
        """What some steps need, coded in one go.

        Parameters
        ----------
        of_head, more_of_tables : sequence of Tensor of int
            Rows that teach head and tables, and rows that teach the tables only, step by step.
        unknown_rate : float
            Share of cells and items that the tables see as unknown.
        generator : torch.Generator
            Draws these, and the table of another fold that each row teaches.
        """
        parts, sizes = [], []
        for first, more in zip(of_head, more_of_tables, strict=True):
            parts += [first, first, more]
            sizes += [len(first), len(first) + len(more)]
        rows = torch.cat(parts)
        own = torch.tensor([True, False] * len(of_head), device=rows.device)
        own = own.repeat_interleave(torch.tensor(sizes, device=rows.device), output_size=len(rows))
        batch = self.codes.take(rows, own)
        if unknown_rate > 0:
            batch.replace_some(unknown_rate, generator, spared=own)
        flat = batch.flat_rows(self._tables_of(rows, own, generator), self.n_rows)
        numbers = self._numbers(rows)
        lists = [batch.list_of(j) for j in range(len(self.n_rows))]
        pulls = [self._pull(j, flat[j], lists[j], numbers[-1]) for j in range(len(flat))]
        return list(_split(sizes, flat, lists, numbers, pulls))

    def _tables_of(self, rows: Tensor, own: Tensor, generator: torch.Generator) -> Tensor:
        """The rows' own tables, or random ones of other folds."""
        fold = self._fold_of(rows)
        if self.n_tables == 1:
            return fold
        shift = torch.randint(1, self.n_tables, fold.shape, generator=generator, device=fold.device)
        return fold.add_(shift.masked_fill_(own, 0)).remainder_(self.n_tables)

    def _numbers(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Context, target and weights."""
        context, target, weights = (
            t.index_select(0, rows) for t in (self.context, self.target, self.weights)
        )
        return context, target, weights

    def _pull(self, column: int, flat: Tensor, lists: ListBatch | None, weights: Tensor) -> Tensor:
        pull = self.pulls[column].index_select(0, flat)
        if lists is None:
            return pull.mul_(weights).unsqueeze(1)
        if self.per_item[column]:
            weights = weights / lists.lengths.square()
        return pull.mul_(weights[lists.owners]).unsqueeze(1)

    def _fold_of(self, rows: Tensor) -> Tensor:
        return self.fold.index_select(0, rows).to(torch.int64)


def _split(
    sizes: Sequence[int],
    flat: Sequence[Tensor],
    lists: Sequence[ListBatch | None],
    numbers: Sequence[Tensor],
    pulls: Sequence[Tensor],
) -> Iterator[Examples]:
    """Examples of each step: of every two sizes, the first is that of the rows in own tables."""
    edges = [0, *accumulate(sizes)]
    item_edges = [
        edges
        if c is None
        else [
            0,
            *c.lengths.cumsum(0)[torch.tensor(edges[1:], device=c.lengths.device) - 1].tolist(),
        ]
        for c in lists
    ]
    for k in range(0, len(sizes), 2):
        start, end = edges[k], edges[k + 2]
        at = [slice(e[k], e[k + 2]) for e in item_edges]
        context, target, weights = (t[start:end] for t in numbers)
        yield Examples(
            n_own=sizes[k],
            n_own_items=[e[k + 1] - e[k] for e in item_edges],
            flat=[f[i] for f, i in zip(flat, at, strict=True)],
            lists=[
                None if c is None else c.part(i, slice(start, end))
                for c, i in zip(lists, at, strict=True)
            ],
            context=context,
            target=target,
            weights=weights,
            pulls=[p[e[k + 1] : e[k + 2]] for p, e in zip(pulls, item_edges, strict=True)],
        )


def marked_codes(rows: TrainingRows, n_rows: list[int]) -> list[Codes]:
    """Codes, and complements of those whose category the rows' own tables never met."""
    marked: list[Codes] = []
    for j, n in enumerate(n_rows):
        codes, owners = rows.items(j)
        known = np.where(rows.met(j, n)[rows.fold[owners], codes], codes, ~codes)
        column = rows.codes[j]
        marked.append(replace(column, items=known) if isinstance(column, Lists) else known)
    return marked
