"""What batches of rows look up: codes on the device, one a cell or several a list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sk_entity_embed.input.lists import Codes, Lists


@dataclass(slots=True)
class ListBatch:
    """Lists of some rows.

    Attributes
    ----------
    codes : Tensor of int of shape (n_items,)
        Table row of each item.
    owners : Tensor of int64 of shape (n_items,)
        Position in the batch of each item's row.
    lengths : Tensor of int64 of shape (n,)
        Items of each row; at least one.
    """

    codes: Tensor
    owners: Tensor
    lengths: Tensor

    def part(self, items: slice, rows: slice) -> ListBatch:
        """The lists of some rows, whose items are those given."""
        owners = self.owners[items]
        return ListBatch(
            self.codes[items], owners - rows.start if rows.start else owners, self.lengths[rows]
        )


@dataclass(slots=True)
class Batch:
    """Codes of some rows.

    Attributes
    ----------
    cells : Tensor of int of shape (n, n_plain)
        Table rows in the columns of single values.
    lists : list of ListBatch
        Items in the columns of lists.
    places : sequence of int
        For each column its position among those of single values, or, counted from -1 down,
        among those of lists.
    """

    cells: Tensor
    lists: list[ListBatch]
    places: Sequence[int]

    def list_of(self, column: int) -> ListBatch | None:
        """The lists of a column; None where cells are single values."""
        place = self.places[column]
        return self.lists[-1 - place] if place < 0 else None

    def flat_rows(self, table: Tensor, n_rows: Sequence[int]) -> list[Tensor]:
        """Rows in the stacked tables of each column, one a cell or item.

        Parameters
        ----------
        table : Tensor of int64 of shape (n,)
            The table to look each row of the batch up in.
        n_rows : sequence of int
            Rows of each column's tables.
        """
        flat = []
        for j, n in enumerate(n_rows):
            lists = self.list_of(j)
            if lists is None:
                flat.append(torch.add(self.cells[:, self.places[j]], table, alpha=n))
            else:
                flat.append(table[lists.owners] * n + lists.codes)
        return flat

    def replace_some(
        self, rate: float, generator: torch.Generator, spared: Tensor | None = None
    ) -> None:
        """Make a share of the cells and items unknown, in place.

        Parameters
        ----------
        rate : float
            The share.
        generator : torch.Generator
            Draws them.
        spared : Tensor of bool of shape (n,), default=None
            Rows to be left alone.
        """
        owned = [(self.cells, None), *((lists.codes, lists.owners) for lists in self.lists)]
        for codes, owners in owned:
            drawn = torch.rand(
                codes.shape, generator=generator, device=codes.device, dtype=torch.float32
            )
            chosen = drawn < rate
            if spared is not None:
                left = ~spared if owners is None else ~spared[owners]
                chosen &= left.unsqueeze(1) if owners is None else left
            codes.masked_fill_(chosen, 0)


class CodedColumns:
    """Codes of all training rows on a device.

    A code whose category the row's own table never met is kept as its complement ``~code``, so
    that one array serves both ways of reading it.

    Parameters
    ----------
    codes : sequence of ndarray of int of shape (n_samples,) or Lists
        Of each column; complements where only other tables met the category.
    n_samples : int
        Rows.
    device : torch.device
        Where they are put.
    """

    def __init__(self, codes: Sequence[Codes], n_samples: int, device: torch.device) -> None:
        plain = [c for c in codes if not isinstance(c, Lists)]
        matrix = np.empty((n_samples, len(plain)), dtype=_smallest_type(plain))
        for k, column in enumerate(plain):
            matrix[:, k] = column
        self._cells = torch.as_tensor(matrix, device=device)
        lists = [c for c in codes if isinstance(c, Lists)]
        self._items = [torch.as_tensor(c.items, device=device) for c in lists]
        self._offsets = [torch.as_tensor(c.offsets, device=device) for c in lists]
        numbers = {False: iter(range(len(plain))), True: iter(range(-1, -1 - len(lists), -1))}
        self._places = [next(numbers[isinstance(c, Lists)]) for c in codes]

    @property
    def items_per_row(self) -> float:
        """Items of a row in the mean, in the column of the longest lists; 1 without lists."""
        return max(
            [1.0, *(len(i) / (len(o) - 1) for i, o in zip(self._items, self._offsets, strict=True))]
        )

    def take(self, rows: Tensor, own: Tensor | None = None) -> Batch:
        """Codes of some rows, copied.

        Parameters
        ----------
        rows : Tensor of int64 of shape (n,)
            Their positions.
        own : Tensor of bool of shape (n,), default=None
            Rows whose codes are to be those that their own table knows: unknown where it never
            met the category. None for no row.
        """
        lists = [
            _take_lists(items, offsets, rows)
            for items, offsets in zip(self._items, self._offsets, strict=True)
        ]
        for column in lists:
            column.codes = _read(column.codes, None if own is None else own[column.owners])
        columns = self._cells.index_select(0, rows).t().contiguous()
        return Batch(_read(columns, own).t(), lists, self._places)


def _read(codes: Tensor, own: Tensor | None) -> Tensor:
    """Codes of which some may be complements; those of `own` are zero there."""
    sign = codes >> (8 * codes.element_size() - 1)  # -1 of complements
    read = codes.bitwise_xor_(sign)
    return read if own is None else read.mul_(1 + sign * own)


def _smallest_type(columns: Sequence[NDArray[np.integer[Any]]]) -> Any:
    """The smallest integer type that holds all codes and their complements."""
    largest = max((int(np.abs(c).max(initial=0)) for c in columns), default=0)
    return np.min_scalar_type(-largest - 1)


def _take_lists(items: Tensor, offsets: Tensor, rows: Tensor) -> ListBatch:
    starts = offsets[rows]
    lengths = offsets[rows + 1] - starts
    ends = lengths.cumsum(0)
    owners = torch.repeat_interleave(lengths)
    within = torch.arange(len(owners), device=rows.device) - (ends - lengths)[owners]
    return ListBatch(items.index_select(0, starts[owners] + within), owners, lengths)
