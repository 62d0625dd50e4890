"""Tables that have been read, one after the other, as one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sk_entity_embed.exceptions import InvalidDataError
from sk_entity_embed.input.lists import offsets_of
from sk_entity_embed.input.table import Cells, Column, Table, object_array


def joined_tables(tables: Sequence[Table]) -> Table:
    """Return the rows of several tables of the same columns, in their order."""
    if len(tables) == 1:
        return tables[0]
    parts = zip(*(table.columns for table in tables), strict=True)
    n_rows = sum(table.n_rows for table in tables)
    return Table(tuple(map(joined_columns, parts)), n_rows, tables[0].labels)


def joined_columns(parts: Sequence[Column]) -> Column:
    """Return the cells of several parts of a column, in their order.

    Levels become cells, for those of each part are its own.
    """
    told = [part for part in parts if not _is_empty(part)] or parts
    first = told[0]
    if any(part.is_list != first.is_list for part in told):
        raise InvalidDataError(
            f"Column {first.name!r} holds lists in some rows and single values in others; give it "
            "one type."
        )
    cells = joined_cells([_plain(part) for part in parts])
    if not first.is_list:
        return Column(first.name, first.kind, first.dtype, cells)
    lengths: list[NDArray[np.int64]] = []
    absent: list[NDArray[np.bool_]] = []
    for part in parts:
        if part.offsets is None or part.absent is None:
            lengths.append(np.zeros(len(part), dtype=np.int64))
            absent.append(np.ones(len(part), dtype=bool))
        else:
            lengths.append(np.diff(part.offsets))
            absent.append(part.absent)
    return Column(
        first.name,
        first.kind,
        first.dtype,
        joined_cells([_plain(part) for part in parts if part.is_list]),
        None,
        offsets_of(np.concatenate(lengths)),
        np.concatenate(absent),
    )


def joined_cells(parts: Sequence[Cells]) -> Cells:
    """Return cells one after the other, in a type that holds all of them."""
    arrow = [part for part in parts if isinstance(part, pa.Array)]
    if len(arrow) == len(parts):
        if len({part.type for part in arrow}) == 1:
            return pa.concat_arrays(arrow)
        try:
            tables = [pa.table({"cells": part}) for part in arrow]
            joined = pa.concat_tables(tables, promote_options="permissive").column(0)
            if pa.types.is_floating(joined.type):
                for part in arrow:
                    part.cast(joined.type)  # fails if it rounds whole numbers, such as long ids
            return joined.combine_chunks()
        except (pa.ArrowInvalid, pa.ArrowTypeError):  # no type of Arrow's holds all
            pass
    objects = [
        object_array(part.to_pylist()) if isinstance(part, pa.Array) else part for part in parts
    ]
    return np.concatenate(objects)


def _plain(column: Column) -> Cells:
    """Return the cells, or all items of lists, without levels."""
    cells = column.cells
    if column.indices is None:
        return cells
    missing = column.indices < 0
    if isinstance(cells, pa.Array):
        return cells.take(pa.array(column.indices, mask=missing))
    values = np.append(cells, np.nan)
    plain: Cells = values[column.indices]
    return plain


def _is_empty(column: Column) -> bool:
    """Whether a column has only missing cells, of no type."""
    return isinstance(column.cells, pa.Array) and pa.types.is_null(column.cells.type)
