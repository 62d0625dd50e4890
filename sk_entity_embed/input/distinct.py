"""Distinct values of a column, in an order that depends on the values alone, and their counts."""

from __future__ import annotations

from collections.abc import Hashable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from sk_entity_embed.input.index import is_text
from sk_entity_embed.input.matching import is_missing
from sk_entity_embed.input.table import Cells, Column, object_array

_NUMBERS = (bool, np.bool_, int, np.integer, float, np.floating, Decimal, Fraction)
"""Types whose values are equal where they are equal numbers."""
_LONGEST_DECIMAL = 76
"""Digits of the longest decimal number in Arrow."""


def count_values(
    column: Column, times: NDArray[np.int64] | None = None
) -> tuple[NDArray[Any] | pa.Array, NDArray[np.int64], int]:
    """Distinct values, by type and then by value, their counts, and the number of missing cells.

    Texts stay in Arrow's form. Each cell counts once, or as many `times` as is given.
    """
    cells = column.cells
    if isinstance(cells, np.ndarray):
        positions, values = _factorize(cells)
    else:
        if pa.types.is_floating(cells.type):
            cells = pc.add(cells, pa.scalar(0.0, cells.type))  # -0.0 is 0.0
        encoded = pc.dictionary_encode(cells)
        values = encoded.dictionary if is_text(cells) else np.asarray(encoded.dictionary)
        if pa.types.is_decimal(cells.type):
            values = object_array(list(map(_stripped, encoded.dictionary.to_pylist())))
        positions = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    if column.indices is not None:
        positions = np.append(positions, -1)[column.indices]
    known = positions >= 0
    counts = _sums(positions[known], None if times is None else times[known], len(values))
    order = _order(values)
    order = order[counts[order] > 0]
    return values.take(order), counts[order], int((~known).sum())


def distinct_cells(
    column: Column, times: NDArray[np.int64] | None = None
) -> tuple[Cells, NDArray[np.int64], int]:
    """Return the distinct cells in the type they came in, their counts, and that of missing ones.

    They are in the order in which they were met, and some may be equal as values. Each counts once,
    or as many `times` as is given.
    """
    cells = column.cells
    if isinstance(cells, np.ndarray):
        positions, values = _factorize(cells)
    else:
        encoded = pc.dictionary_encode(cells)
        values = encoded.dictionary
        positions = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    if column.indices is not None:
        positions = np.append(positions, -1)[column.indices]
    known = positions >= 0
    counts = _sums(positions[known], None if times is None else times[known], len(values))
    met = np.flatnonzero(counts)
    return values.take(met), counts[met], int((~known).sum())


def _sums(
    positions: NDArray[np.intp], times: NDArray[np.int64] | None, n: int
) -> NDArray[np.int64]:
    if times is None:
        return np.bincount(positions, minlength=n).astype(np.int64)
    sums = np.zeros(n, dtype=np.int64)
    np.add.at(sums, positions, times)
    return sums


def _order(values: NDArray[Any] | pa.Array) -> NDArray[np.intp]:
    """Positions that sort values by type, then by value."""
    if isinstance(values, np.ndarray) and values.dtype != object:
        return np.argsort(values, kind="stable")
    if isinstance(values, np.ndarray) and all(type(v) is str for v in values):
        try:
            values = pa.array(values, type=pa.large_string())
        except UnicodeEncodeError:
            return np.argsort(values, kind="stable")
    if isinstance(values, pa.Array):  # UTF-8 sorts as code points do
        return np.asarray(pc.sort_indices(values), dtype=np.intp)
    groups: dict[str, list[int]] = {}
    for i, value in enumerate(values):
        groups.setdefault(_type_name(value), []).append(i)
    order: list[int] = []
    for _, members in sorted(groups.items()):
        try:
            order += sorted(members, key=lambda i: values[i])
        except TypeError:
            order += sorted(members, key=lambda i: repr(values[i]))
    return np.array(order, dtype=np.intp)


def _type_name(value: Hashable) -> str:
    # Python's numbers are equal across types (1 == 1.0 == True), so they sort as one type.
    if isinstance(value, _NUMBERS):
        return "0 number"
    return f"1 {type(value).__module__}.{type(value).__qualname__}"


def _factorize(cells: NDArray[np.object_]) -> tuple[NDArray[np.intp], NDArray[np.object_]]:
    """Position of each cell among the distinct values, -1 where it is missing, and these values.

    Of equal numbers the one of the first type in `_NUMBERS` stands for all; decimals are stripped.
    """
    missing = is_missing(cells)
    # Not by pandas' own factorize, which takes different lone surrogates for one text.
    values = object_array(list(dict.fromkeys(cells[~missing].tolist())))
    index = pd.Index(values, dtype=object, tupleize_cols=False)
    if index.has_duplicates:  # tuples with NaN, which Python takes for different ones
        values = values[~index.duplicated()]
        index = pd.Index(values, dtype=object, tupleize_cols=False)
    positions = index.get_indexer(pd.Index(cells, dtype=object, tupleize_cols=False))
    positions[missing] = -1
    types = set(map(type, cells.tolist()))
    ranks = {t: rank for t in types if (rank := _rank(t)) < len(_NUMBERS)}
    if len(ranks) > 1:
        by_cell = np.array([ranks.get(type(v), len(_NUMBERS)) for v in cells.tolist()])
        last_first = np.argsort(-by_cell, kind="stable")
        last_first = last_first[positions[last_first] >= 0]
        values[positions[last_first]] = cells[last_first]
    if Decimal in types:
        values = object_array([_stripped(v) if type(v) is Decimal else v for v in values])
    return positions, values


def _rank(kind: type) -> int:
    """Position of the first of the types of numbers that a type is, or their number."""
    return next((i for i, t in enumerate(_NUMBERS) if issubclass(kind, t)), len(_NUMBERS))


def _stripped(value: Decimal) -> Decimal:
    """The same number written without an exponent and without zeros that end its fraction."""
    sign, digits, exponent = value.as_tuple()  # exact, whatever precision the context has
    if not isinstance(exponent, int) or exponent > _LONGEST_DECIMAL:
        return value
    if not any(digits):
        return Decimal(0)
    if exponent > 0:
        return Decimal((sign, (*digits, *[0] * exponent), 0))
    kept = len(digits)
    while exponent < 0 and digits[kept - 1] == 0:
        kept, exponent = kept - 1, exponent + 1
    return Decimal((sign, digits[:kept], exponent))
