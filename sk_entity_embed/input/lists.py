"""Lists in the cells of a column: all items one after the other, and where each list begins."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from sk_entity_embed.exceptions import InvalidDataError, UnsupportedDataError

Offsets: TypeAlias = NDArray[np.int64]
Absent: TypeAlias = NDArray[np.bool_]

_LIST_TYPES = (
    pa.types.is_list,
    pa.types.is_large_list,
    pa.types.is_fixed_size_list,
    pa.types.is_list_view,
    pa.types.is_large_list_view,
)


@dataclass(frozen=True, slots=True)
class Lists:
    """Table rows of several lists: list ``i`` is ``items[offsets[i] : offsets[i + 1]]``.

    What a vocabulary encodes has at least one item in every list.
    """

    items: NDArray[np.integer[Any]]
    offsets: Offsets

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Items in each list."""
        return np.diff(self.offsets)

    @property
    def rows(self) -> NDArray[np.intp]:
        """Position of the list that each item is in."""
        return np.repeat(np.arange(len(self)), self.lengths)

    def take(self, rows: NDArray[np.integer[Any]]) -> Lists:
        """The lists at the given positions, in their order; positions may repeat."""
        positions, offsets = spans(self.offsets[:-1][rows], self.offsets[1:][rows])
        return Lists(self.items[positions], offsets)

    def __getitem__(self, rows: slice) -> Lists:
        start, stop, step = rows.indices(len(self))
        if step != 1:
            return self.take(np.arange(start, stop, step))
        offsets = self.offsets[start : max(start, stop) + 1]
        return Lists(self.items[offsets[0] : offsets[-1]], offsets - offsets[0])


Codes: TypeAlias = NDArray[np.int32] | Lists
"""Table rows of a column: one a cell, or lists of them."""


def spans(starts: Offsets, ends: Offsets) -> tuple[NDArray[np.int64], Offsets]:
    """Positions from each start up to its end, span after span, and where each span begins."""
    lengths = ends - starts
    offsets = offsets_of(lengths)
    return np.repeat(starts - offsets[:-1], lengths) + np.arange(offsets[-1]), offsets


def offsets_of(lengths: NDArray[np.integer[Any]]) -> Offsets:
    """Positions at which lists of the given lengths begin, and the last one ends."""
    offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def is_arrow_list(kind: pa.DataType) -> bool:
    """Whether the cells of an Arrow type are lists."""
    return any(is_type(kind) for is_type in _LIST_TYPES)


def flatten_arrow(
    name: str, array: pa.Array | pa.ChunkedArray
) -> tuple[pa.Array | pa.ChunkedArray, Offsets, Absent]:
    """Items of an Arrow array of lists, where each list begins, and which lists are null.

    Items that a null covers are left out.
    """
    kind = array.type.value_type
    if pa.types.is_nested(kind) and not pa.types.is_run_end_encoded(kind):
        raise _nested(name, str(kind))
    lengths = pc.list_value_length(array).cast(pa.int64())
    absent = np.asarray(array.is_null(), dtype=bool)
    return pc.list_flatten(array), offsets_of(np.asarray(lengths.fill_null(0))), absent


def flatten_objects(
    name: str, values: NDArray[np.object_]
) -> tuple[NDArray[Any], Offsets, Absent] | None:
    """The same of Python lists or one-dimensional NumPy arrays; None where no cell is a list.

    Tuples and strings are single values. The items are objects unless all lists are NumPy arrays of
    one kind.
    """
    if not _has_lists(values):
        return None
    absent = np.asarray(pd.isna(values), dtype=bool)
    lists = values[~absent].tolist()
    for row, cell in zip(np.flatnonzero(~absent).tolist(), lists, strict=True):
        if not isinstance(cell, list | np.ndarray):
            raise _mixed(name, row, cell)
        if isinstance(cell, np.ndarray) and cell.ndim != 1:
            raise _nested(name, f"arrays of {cell.ndim} dimensions")
    lengths = np.zeros(len(values), dtype=np.int64)
    lengths[~absent] = np.fromiter(map(len, lists), dtype=np.int64, count=len(lists))
    items = _join([cell for cell in lists if len(cell)])
    if items.dtype == object and _has_lists(items):
        raise _nested(name, "lists or arrays")
    return items, offsets_of(lengths), absent


def _has_lists(values: Iterable[Any]) -> bool:
    return any(issubclass(t, list | np.ndarray) for t in set(map(type, values)))


def _join(lists: Sequence[list[Any] | NDArray[Any]]) -> NDArray[Any]:
    """Lists that are not empty as one array, in which no value has changed its type."""
    dtypes = {cell.dtype if isinstance(cell, np.ndarray) else None for cell in lists}
    kinds = {None if t is None else t.kind for t in dtypes}
    if None not in dtypes and (len(dtypes) == 1 or (len(kinds) == 1 and kinds <= set("biufSUO"))):
        return np.concatenate(lists)
    cells = [_objects(cell) if isinstance(cell, np.ndarray) else cell for cell in lists]
    count = sum(map(len, cells))
    return np.fromiter(chain.from_iterable(cells), dtype=object, count=count)


def _objects(values: NDArray[Any]) -> Sequence[Any]:
    """The values of an array as Python objects; NumPy itself would make integers of dates."""
    return list(pd.Series(values).astype(object)) if values.dtype.kind in "mM" else values.tolist()


def _mixed(name: str, row: int, value: Any) -> InvalidDataError:
    if isinstance(value, tuple | set | frozenset):
        advice = "turn it into a list too"
    elif isinstance(value, str):
        advice = f"wrap single values as lists, [{value!r}], or split text with .str.split()"
    else:
        advice = f"wrap single values as lists: [{value!r}]"
    return InvalidDataError(
        f"Column {name!r} holds lists as well as single values: row {row} holds {value!r}; "
        f"{advice}."
    )


def _nested(name: str, what: str) -> UnsupportedDataError:
    return UnsupportedDataError(
        f"Column {name!r} holds lists of {what}; the items of a list must be single values. "
        "Flatten each cell first."
    )
