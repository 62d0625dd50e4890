"""One-dimensional cells of any library to a :class:`Column`; no cell changes its value."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any, TypeAlias

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from sk_entity_embed.exceptions import InvalidDataError, UnsupportedDataError
from sk_entity_embed.input.lists import (
    Absent,
    Offsets,
    flatten_arrow,
    flatten_objects,
    is_arrow_list,
)
from sk_entity_embed.input.table import Column, Indices, Kind, is_number, object_array

_REALS = (int, float, Decimal, np.integer, np.floating)
_OTHERS = frozenset(
    {"datetime", "datetime64", "date", "timedelta", "timedelta64", "time", "period", "interval"}
)
_Array: TypeAlias = pa.Array | pa.ChunkedArray


def from_pandas(series: pd.Series, name: str) -> Column:
    """A column from a series of pandas."""
    dtype = series.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return _from_categories(name, series.array)
    if isinstance(dtype, pd.StringDtype) and dtype.storage == "pyarrow":
        return _from_arrow(name, pa.array(series.array))
    if isinstance(dtype, pd.SparseDtype):
        return from_vector(name, np.asarray(series.array))
    if isinstance(dtype, np.dtype) and dtype.kind in "biufO":
        return from_vector(name, series.to_numpy())
    return from_series(nw.from_native(series, series_only=True), name)


def from_series(series: nw.Series[Any], name: str) -> Column:
    """A column from a series of any library that narwhals knows."""
    if series.dtype in (nw.Object, nw.Int128, nw.UInt128):
        # Polars' Arrow form of objects holds addresses, and Arrow has no such integers.
        return from_objects(name, object_array(series.to_list()))
    try:
        array = series.to_arrow()
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, TypeError):
        return from_objects(name, object_array(series.to_list()))
    return _from_arrow(name, array)


def from_vector(name: str, values: NDArray[Any]) -> Column:
    """A column from a one-dimensional NumPy array of any dtype."""
    kind = values.dtype.kind
    if kind == "O":
        return from_objects(name, np.ascontiguousarray(values))
    if kind in "mM":  # as in pandas: numpy would make integers of nanoseconds
        return from_objects(name, pd.Series(values).astype(object).to_numpy())
    if kind in "USTV":
        return from_objects(name, values.astype(object), text=kind in "UT")
    if kind == "f" and values.dtype.itemsize not in (4, 8):
        shorter = values.astype(np.float32 if values.dtype.itemsize == 2 else np.float64)
        if not ((shorter == values) | np.isnan(values)).all():  # more digits than Arrow has
            return from_objects(name, _as_fractions(values))
        values = shorter
    native = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("="))
    return _from_arrow(name, pa.array(native, from_pandas=True))


def from_objects(name: str, values: NDArray[np.object_], text: bool = False) -> Column:
    """A column from Python objects, its type inferred by value unless they are `text`."""
    inferred = "string" if text else pd.api.types.infer_dtype(values, skipna=True)
    if inferred.startswith("mixed"):
        flat = flatten_objects(name, values)
        if flat is not None:
            return _listed(from_vector(name, flat[0]), "object of lists", *flat[1:])
        if inferred != "mixed-integer-float" and _are_reals(values):
            inferred = "decimal"
    if inferred == "complex":
        raise InvalidDataError(f"Complex data not supported: column {name!r} is complex.")
    if inferred == "empty":
        return Column(name, "category", "object, all missing", pa.nulls(len(values)))
    dtype = f"object of {inferred}"
    kind, convert = _CONVERSIONS.get(inferred, ("category", None))
    if convert is not None:
        try:
            if (array := convert(values)) is not None:
                return Column(name, kind, dtype, array)
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError, UnicodeEncodeError):
            kind = "category"  # lone surrogates, integers beyond 64 bits: Python's own equality
    return Column(name, kind, dtype, _hashable(name, values))


def _are_reals(values: NDArray[np.object_]) -> bool:
    """Whether the cells are real numbers of several types, such as decimals and integers."""
    types = set(map(type, values)) - {type(None), type(pd.NA), type(pd.NaT)}
    return all(issubclass(t, _REALS) and not issubclass(t, bool) for t in types)


def _integers(values: NDArray[np.object_]) -> pa.Array:
    try:
        return pa.array(values, type=pa.int64(), from_pandas=True)
    except (OverflowError, pa.ArrowInvalid):
        return pa.array(values, type=pa.uint64(), from_pandas=True)


def _floats(values: NDArray[np.object_]) -> pa.Array | None:
    """Floats, or None where an integer among them is none."""
    known = ~pd.isna(values)
    out = np.full(len(values), np.nan)
    out[known] = values[known].astype(np.float64)
    same = out[known].tolist() == values[known].tolist()
    return pa.array(out, from_pandas=True) if same else None


_CONVERSIONS: dict[str, tuple[Kind, Callable[[NDArray[np.object_]], pa.Array | None] | None]] = {
    "string": ("category", lambda v: pa.array(v, type=pa.large_string(), from_pandas=True)),
    "boolean": ("category", lambda v: pa.array(v, type=pa.bool_(), from_pandas=True)),
    "integer": ("number", _integers),
    "floating": ("number", _floats),
    "mixed-integer-float": ("number", _floats),
    "decimal": ("number", None),
    **dict.fromkeys(_OTHERS, ("other", None)),
}
"""Kind of column, and Arrow's form of the cells where it has an exact one, by inferred type."""


def _as_fractions(values: NDArray[Any]) -> NDArray[np.object_]:
    """Long floats as exact fractions; infinite and missing ones as Python's floats."""
    finite = np.isfinite(values)
    cells = zip(values, finite, strict=True)
    return object_array([Fraction(*v.as_integer_ratio()) if f else float(v) for v, f in cells])


def _hashable(name: str, values: NDArray[np.object_]) -> NDArray[np.object_]:
    """Refuse cells that cannot be categories, with the column's name."""
    try:
        set(values.tolist())
    except TypeError as error:
        raise UnsupportedDataError(
            f"Column {name!r} holds cells that cannot be hashed ({error}); categories must be "
            "hashable: strings, numbers, dates or tuples, or lists of these. Turn sets into "
            "sorted lists, and signaling NaN of decimals into None."
        ) from error
    return values


def _listed(items: Column, dtype: str, offsets: Offsets, absent: Absent) -> Column:
    """A column of lists from the column of their items."""
    return Column(items.name, "list", dtype, items.cells, items.indices, offsets, absent)


def _from_arrow(name: str, array: _Array) -> Column:
    array = _plain(array)
    kind, dtype = array.type, str(array.type)
    if is_arrow_list(kind):
        items, offsets, absent = flatten_arrow(name, array)
        return _listed(_from_arrow(name, items), dtype, offsets, absent)
    if isinstance(array, pa.ChunkedArray):  # pandas' Arrow columns after a concatenation
        if pa.types.is_dictionary(kind):
            array = array.unify_dictionaries()
        elif pa.types.is_string(kind):  # large enough for any number of chunks
            array = array.cast(pa.large_string())
        array = array.combine_chunks()
        kind = array.type
    if pa.types.is_dictionary(kind):
        return _from_dictionary(name, array)
    if pa.types.is_string(kind) or pa.types.is_string_view(kind):
        return Column(name, "category", dtype, array.cast(pa.large_string()))
    if pa.types.is_large_string(kind) or pa.types.is_boolean(kind) or pa.types.is_null(kind):
        return Column(name, "category", dtype, array)
    if pa.types.is_floating(kind):
        return Column(name, "number", dtype, _without_nan(array))
    if pa.types.is_decimal(kind) and kind.bit_width < 128:  # which have few of Arrow's functions
        array = array.cast(pa.decimal128(kind.precision, kind.scale))
    if is_number(kind):
        return Column(name, "number", dtype, array)
    if pa.types.is_nested(kind):
        raise UnsupportedDataError(
            f"Column {name!r} has the nested type {dtype}; categories must be single values. "
            "Expand or join the cells into strings first."
        )
    objects = array.to_pandas().astype(object).to_numpy()
    is_bytes = bool(pd.api.types.infer_dtype(objects, skipna=True) == "bytes")
    return Column(name, "category" if is_bytes else "other", dtype, _hashable(name, objects))


def _plain(array: _Array) -> _Array:
    """The cells without run-length encoding, and booleans of a byte as Arrow's own."""
    if isinstance(array, pa.ChunkedArray) and array.type in (pa.bool8(), pa.uuid()):
        array = array.combine_chunks()
    if pa.types.is_run_end_encoded(array.type):
        return _plain(_decoded(array))
    return pc.cast(array.storage, pa.bool_()) if array.type == pa.bool8() else array


def _decoded(array: _Array) -> pa.Array:
    """Run-length encoded cells, one by one; Arrow's own function has no dictionaries."""
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    starts = np.append(0, np.asarray(array.run_ends))
    ends = np.clip(starts[1:] - array.offset, 0, len(array))
    lengths = np.diff(np.append(0, ends))
    return array.values.take(pa.array(np.repeat(np.arange(len(lengths)), lengths)))


def _without_nan(array: pa.Array) -> pa.Array:
    """Floats as 64 bits, with nulls where they are not numbers."""
    values = pc.cast(array, pa.float64(), safe=False)
    missing = pc.is_nan(values)
    if pc.any(missing).as_py():
        values = pc.if_else(missing, pa.scalar(None, pa.float64()), values)
    return values


def _from_categories(name: str, values: Any) -> Column:
    """A column from pandas' declared categories."""
    levels = values.categories
    if isinstance(levels.dtype, pd.StringDtype) and levels.dtype.storage == "pyarrow":
        levels = pa.array(levels.array)
    levels, indices = _used(levels, np.asarray(values.codes))
    if isinstance(levels, pa.Array):
        column = _from_arrow(name, levels)
    else:
        column = from_objects(name, levels.to_numpy(dtype=object))
    return Column(name, "category", "category", column.cells, indices)


def _from_dictionary(name: str, array: pa.DictionaryArray) -> Column:
    """A column from Arrow's levels and the position of each cell among them."""
    if is_arrow_list(array.type.value_type):
        return _from_arrow(name, array.dictionary.take(array.indices))
    indices = array.indices
    if not pa.types.is_signed_integer(indices.type):  # which have no -1 for missing
        small = len(array.dictionary) <= np.iinfo(np.int32).max
        indices = indices.cast(pa.int32() if small else pa.int64())
    at = indices.fill_null(-1).to_numpy(zero_copy_only=False)
    levels, at = _used(array.dictionary, at)
    return Column(name, "category", str(array.type), _from_arrow(name, levels).cells, at)


def _used(levels: Any, indices: Indices) -> tuple[Any, Indices]:
    """The levels that few cells have, and each cell's position among them; -1 stays."""
    if len(indices) >= len(levels):
        return levels, indices
    used = np.unique(indices[indices >= 0])
    return levels.take(used), np.where(indices < 0, -1, np.searchsorted(used, indices))
