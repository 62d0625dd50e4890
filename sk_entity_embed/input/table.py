"""A table as columns, whatever container it came in.

The cells of a :class:`Column` are an Arrow array (strings, numbers, decimals, booleans) or a NumPy
array of objects (everything else). No cell changes its value on the way here, so that equal data
gives equal categories.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from typing import Any, Literal, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from sk_entity_embed.exceptions import InvalidDataError
from sk_entity_embed.input.lists import Absent, Offsets, spans

Kind: TypeAlias = Literal["category", "number", "other", "list"]
"""Role that ``categorical_features="auto"`` gives a column: text, declared categories, booleans and
lists are categorical, numbers are context, dates and the like need a decision of the user's."""
Cells: TypeAlias = pa.Array | NDArray[np.object_]
Indices: TypeAlias = NDArray[np.signedinteger[Any]]


@dataclass(frozen=True, slots=True)
class Column:
    """One named column: its cells, or its levels and their `indices`; of lists, all items.

    Missing cells are Arrow nulls, or missing by :func:`pandas.isna`.
    """

    name: str  # "x0", "x1", ... for containers without names
    kind: Kind
    dtype: str  # how the data type reads in an error message
    cells: Cells
    indices: Indices | None = None  # position of each cell's level in `cells`, -1 if it is missing
    offsets: Offsets | None = None  # where the items of each row's list begin, and the last end
    absent: Absent | None = None  # which lists are missing; these have no items

    def __len__(self) -> int:
        if self.offsets is not None:
            return len(self.offsets) - 1
        return len(self.cells) if self.indices is None else len(self.indices)

    @property
    def is_list(self) -> bool:
        """Whether the cells are lists."""
        return self.offsets is not None

    @property
    def items(self) -> Column:
        """The items of all lists, one list after the other, as a column of single values."""
        return Column(self.name, "category", self.dtype, self.cells, self.indices)

    def last(self, n: int) -> Column:
        """The same column with the last `n` items of each list only; single values stay."""
        if self.offsets is None or self.absent is None:
            return self
        starts, ends = self.offsets[:-1], self.offsets[1:]
        return self._with_spans(np.maximum(starts, ends - n), ends, self.absent)

    def take(self, rows: NDArray[np.intp]) -> Column:
        """The same column at the given rows."""
        if self.offsets is not None and self.absent is not None:
            starts, ends = self.offsets[:-1], self.offsets[1:]
            return self._with_spans(starts[rows], ends[rows], self.absent[rows])
        if self.indices is not None:
            return replace(self, indices=self.indices[rows])
        return replace(self, cells=self.cells.take(rows))

    def _with_spans(self, starts: Offsets, ends: Offsets, absent: Absent) -> Column:
        """A column of lists whose items are those from `starts` up to `ends`."""
        positions, offsets = spans(starts, ends)
        taken = self.items.take(positions)
        return Column(self.name, self.kind, self.dtype, taken.cells, taken.indices, offsets, absent)

    def value(self, row: int) -> Any:
        """One cell, or item of lists, that is not missing, as a Python object."""
        cell = self.cells[row if self.indices is None else int(self.indices[row])]
        return cell.as_py() if isinstance(cell, pa.Scalar) else cell

    def to_objects(self) -> NDArray[np.object_]:
        """The cells as Python objects, lists as lists; missing ones as Arrow or pandas has them."""
        if self.offsets is not None:
            items = self.items.to_objects()
            return object_array([list(part) for part in np.split(items, self.offsets[1:-1])])
        cells = self.cells
        values = cells.to_pylist() if isinstance(cells, pa.Array) else cells.tolist()
        if self.indices is None:
            return object_array(values)
        return object_array([*values, None])[self.indices]

    @property
    def holds_numbers(self) -> bool:
        """Whether the column can enter a computation: numbers or booleans, not levels."""
        if self.indices is not None or self.offsets is not None:
            return False
        if isinstance(self.cells, np.ndarray):
            return self.kind == "number"
        kind = self.cells.type
        return is_number(kind) or bool(pa.types.is_boolean(kind) or pa.types.is_null(kind))

    def to_numbers(self) -> NDArray[np.float64]:
        """The cells as float64, missing ones as NaN; the column must hold numbers or booleans."""
        if not self.holds_numbers:
            raise InvalidDataError(
                f"Column {self.name!r} must hold numbers, but is of type {self.dtype}; it was "
                "numeric in fit."
            )
        cells = self.cells
        if isinstance(cells, np.ndarray):
            return _rounded(self.name, cells)
        if pa.types.is_decimal(cells.type):  # by way of text, Arrow rounds to the nearest number
            cells = pc.cast(cells, pa.string())
        values = pc.cast(cells, pa.float64(), safe=False).to_numpy(zero_copy_only=False)
        return np.asarray(values, dtype=np.float64)

    @property
    def holds_fractions(self) -> bool:
        """Whether a cell or item is a number that is not whole."""
        cells = self.cells
        if isinstance(cells, np.ndarray):
            known = cells[~pd.isna(cells)].tolist()
            return any(isinstance(v, float | Decimal | Fraction) and v % 1 != 0 for v in known)
        if not (pa.types.is_floating(cells.type) or pa.types.is_decimal(cells.type)):
            return False
        return bool(pc.any(pc.not_equal(pc.floor(cells), cells)).as_py())


@dataclass(frozen=True, slots=True)
class Table:
    """A table read into columns, in their order; `labels` are None for arrays and lists."""

    columns: tuple[Column, ...]
    n_rows: int
    labels: list[Any] | None

    def header(self) -> Any:
        """A row-less stand-in with the same labels, for scikit-learn's checks of names."""
        if self.labels is None:
            return np.empty((1, len(self.columns)))
        return pd.DataFrame(
            np.empty((0, len(self.columns))), columns=pd.Index(self.labels, tupleize_cols=False)
        )

    def take(self, rows: NDArray[np.intp]) -> Table:
        """The same table at the given rows."""
        return Table(tuple(c.take(rows) for c in self.columns), len(rows), self.labels)


def is_number(kind: pa.DataType) -> bool:
    """Whether an Arrow type is one of numbers."""
    types = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal)
    return any(is_type(kind) for is_type in types)


def object_array(values: Sequence[Any]) -> NDArray[np.object_]:
    """Any values, sequences among them, as a one-dimensional array of objects."""
    return np.fromiter(values, dtype=object, count=len(values))


def _rounded(name: str, values: NDArray[np.object_]) -> NDArray[np.float64]:
    """Python's numbers as the nearest float64, missing ones as NaN."""
    known = ~pd.isna(values)
    out = np.full(len(values), np.nan)
    try:
        out[known] = [float(value) for value in values[known]]
    except OverflowError as error:
        raise InvalidDataError(
            f"Column {name!r} has a number beyond the range of float64; scale it."
        ) from error
    return out
