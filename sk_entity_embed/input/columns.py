"""Any container to named one-dimensional columns: the only code that knows data frames.

A table becomes a :class:`Table` of :class:`Column` objects whose cells are Arrow arrays (strings,
numbers, decimals, booleans) or NumPy object arrays (everything else). A column of lists holds the
items of all its lists, and where each list begins. No cell changes its value on the way, so that
equal data gives equal categories, whichever container it came in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from numbers import Number
from typing import Any, Literal, TypeAlias

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from sklearn.utils.validation import check_array

from sk_entity_embed.exceptions import (
    InvalidDataError,
    UnsupportedDataError,
)
from sk_entity_embed.input.lists import (
    Absent,
    Offsets,
    flatten_arrow,
    flatten_objects,
    is_arrow_list,
    spans,
)

Kind: TypeAlias = Literal["category", "number", "other", "list"]
Cells: TypeAlias = pa.Array | NDArray[np.object_]

_REALS = (int, float, Decimal, np.integer, np.floating)
_OTHERS = frozenset(
    {"datetime", "datetime64", "date", "timedelta", "timedelta64", "time", "period", "interval"}
)


@dataclass(frozen=True, slots=True)
class Column:
    """One named column.

    Attributes
    ----------
    name : str
        The column's name; ``"x0"``, ``"x1"``, ... for containers without names.
    kind : {"category", "number", "other", "list"}
        What ``categorical_features="auto"`` makes of it: text, declared categories, booleans and
        lists are categorical, numbers are context, dates and the like need a decision of the
        user's.
    dtype : str
        How the data type reads in an error message.
    cells : pyarrow.Array or ndarray of object
        The cells, or the levels when `indices` is given. Missing cells are Arrow nulls, or
        missing by :func:`pandas.isna`. In a column of lists, "cell" is an item: those of all
        lists, one list after the other.
    indices : ndarray of signed int or None
        Position of each cell's level in `cells`, -1 where it is missing.
    offsets : ndarray of int64 of shape (n_rows + 1,) or None
        Where the items of each row's list begin, and where the last one's end; None for single
        values.
    absent : ndarray of bool of shape (n_rows,) or None
        Which lists are missing; these have no items.
    """

    name: str
    kind: Kind
    dtype: str
    cells: Cells
    indices: NDArray[np.signedinteger[Any]] | None = None
    offsets: Offsets | None = None
    absent: Absent | None = None

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

    def _with_spans(self, starts: Offsets, ends: Offsets, absent: Absent) -> Column:
        """A column of lists whose items are those from `starts` up to `ends`."""
        positions, offsets = spans(starts, ends)
        taken = self.items.take(positions)
        return Column(self.name, self.kind, self.dtype, taken.cells, taken.indices, offsets, absent)

    def take(self, rows: NDArray[np.intp]) -> Column:
        """The same column at the given rows."""
        if self.offsets is not None and self.absent is not None:
            starts, ends = self.offsets[:-1], self.offsets[1:]
            return self._with_spans(starts[rows], ends[rows], self.absent[rows])
        if self.indices is not None:
            return Column(self.name, self.kind, self.dtype, self.cells, self.indices[rows])
        cells = (
            self.cells[rows]
            if isinstance(self.cells, np.ndarray)
            else self.cells.take(pa.array(rows))
        )
        return Column(self.name, self.kind, self.dtype, cells)

    def value(self, row: int) -> Any:
        """One cell, or item of lists, that is not missing, as a Python object."""
        cell = self.cells[row if self.indices is None else int(self.indices[row])]
        return cell.as_py() if isinstance(cell, pa.Scalar) else cell

    def to_numbers(self) -> NDArray[np.float64]:
        """The cells as float64, missing ones as NaN; the column must hold numbers or booleans."""
        if not self.holds_numbers:
            raise InvalidDataError(
                f"Column {self.name!r} must hold numbers, but is of type {self.dtype}; it was "
                "numeric in fit."
            )
        if isinstance(self.cells, np.ndarray):
            return _rounded(self.name, self.cells)
        cells = self.cells
        if pa.types.is_decimal(cells.type):  # by way of text, Arrow rounds to the nearest number
            cells = pc.cast(cells, pa.string())
        values = pc.cast(cells, pa.float64(), safe=False).to_numpy(zero_copy_only=False)
        return np.asarray(values, dtype=np.float64)

    @property
    def holds_numbers(self) -> bool:
        """Whether the column can enter a computation: numbers or booleans, not levels."""
        if self.indices is not None or self.offsets is not None:
            return False
        if isinstance(self.cells, np.ndarray):
            return self.kind == "number"
        kind = self.cells.type
        return is_number(kind) or bool(pa.types.is_boolean(kind) or pa.types.is_null(kind))

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
    """A table read into columns.

    Attributes
    ----------
    columns : tuple of Column
        In the order of the input.
    n_rows : int
        Number of rows.
    labels : list or None
        The container's own column labels; None for arrays and lists.
    """

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


def read_table(X: Any) -> Table:
    """Read a table from any supported container.

    Parameters
    ----------
    X : pandas or polars DataFrame, pyarrow Table, 2-D array-like, or list of lists
        The input samples, of shape (n_samples, n_features).

    Returns
    -------
    Table
        One :class:`Column` for each feature.

    Raises
    ------
    InvalidDataError, ValueError
        If the table is empty, is not two-dimensional or repeats a column name.
    UnsupportedDataError, TypeError
        If the container or the type of a column is not supported.

    Notes
    -----
    Lists are Arrow's and polars' types of lists and arrays, and Python lists or one-dimensional
    NumPy arrays in columns of objects. Tuples and strings are single values.

    Examples
    --------
    >>> from sk_entity_embed.input.columns import read_table
    >>> [(c.name, c.kind) for c in read_table([["JFK", 5.0], ["EWR", 7.5]]).columns]
    [('x0', 'category'), ('x1', 'number')]
    >>> (column,) = read_table([[["jazz", "soul"]], [["jazz"]]]).columns
    >>> column.kind, column.cells.to_pylist(), column.offsets.tolist()
    ('list', ['jazz', 'soul', 'jazz'], [0, 2, 3])
    """
    if isinstance(X, pd.DataFrame) and X.columns.is_unique:
        return _read_pandas(X)
    if isinstance(X, pa.RecordBatch):
        X = pa.Table.from_batches([X])
    if isinstance(X, pa.RecordBatchReader):  # can be read only once
        raise UnsupportedDataError("X is a reader of record batches; pass X.read_all() instead.")
    try:
        frame = nw.from_native(X, pass_through=True, allow_series=True)
    except nw.exceptions.DuplicateError as error:
        raise InvalidDataError(f"X repeats a column name; names must be unique. {error}") from error
    if isinstance(frame, nw.LazyFrame):
        raise UnsupportedDataError(_lazy_message(frame.implementation, "X"))
    if isinstance(frame, nw.Series):
        of_row = "of one row by X.iloc[[0]] instead of X.iloc[0], "
        of_column = (
            "pyarrow.table({'name': X})" if isinstance(X, pa.ChunkedArray) else "X.to_frame()"
        )
        raise InvalidDataError(
            "Expected 2D array, got 1D array instead: X is a series. Pass a data frame, "
            f"{of_row if isinstance(X, pd.Series) else ''}of one column by {of_column}."
        )
    if isinstance(frame, nw.DataFrame):
        return _read_frame(frame, X)
    if isinstance(X, list | tuple) and X and all(isinstance(r, list | tuple) for r in X):
        return _read_lists(X)
    return _read_array(X)


def _lazy_message(implementation: nw.Implementation, name: str) -> str:
    """How to get the rows of a table that is only a plan so far."""
    if implementation.is_polars():
        return f"{name} is a lazy frame; pass {name}.collect() instead."
    ways = {"duckdb": "to_arrow_table()", "dask": "compute()", "ibis": "to_pyarrow()"}
    library = implementation.name.lower()
    return (
        f"{name} is a table of {library} whose rows are not in memory; pass "
        f"{name}.{ways.get(library, 'toPandas()')} instead."
    )


def _read_pandas(X: pd.DataFrame) -> Table:
    """Without narwhals, whose own time would count where there is a single row."""
    labels = list(X.columns)
    _check_shape(len(X), len(labels))
    columns = tuple(
        _from_pandas(series, name)
        for name, (_, series) in zip(_names(labels), X.items(), strict=True)
    )
    return Table(columns, len(X), labels)


def _read_frame(frame: nw.DataFrame[Any], X: Any) -> Table:
    labels = list(X.column_names if isinstance(X, pa.Table) else X.columns)
    _check_shape(len(frame), len(labels))
    names = _names(labels)
    columns = tuple(
        _from_series(frame.get_column(label), name)
        for label, name in zip(frame.columns, names, strict=True)
    )
    return Table(columns, len(frame), labels)


def _read_lists(X: Sequence[Sequence[Any]]) -> Table:
    widths = {len(row) for row in X}
    if len(widths) > 1:
        raise InvalidDataError(
            f"X is a list of rows of different lengths ({min(widths)} to {max(widths)} cells); "
            "every row needs one cell a column."
        )
    _check_shape(len(X), widths.pop())
    columns = tuple(
        _from_objects(f"x{j}", object_array(cells)) for j, cells in enumerate(zip(*X, strict=True))
    )
    return Table(columns, len(X), None)


def _read_array(X: Any) -> Table:
    is_scalar = X is None or isinstance(X, str | bytes | Number)  # for scikit-learn to refuse
    if not (is_scalar or hasattr(X, "__len__") or hasattr(X, "__array__")):
        raise UnsupportedDataError(
            f"X is of type {type(X).__name__}, which is no table in memory; pass a data frame of "
            "pandas or polars, a pyarrow table or a two-dimensional array."
        )
    array = check_array(X, dtype=None, ensure_all_finite=False, input_name="X")
    columns = tuple(_from_vector(f"x{j}", array[:, j]) for j in range(array.shape[1]))
    return Table(columns, array.shape[0], None)


def _check_shape(n_rows: int, n_columns: int) -> None:
    for size, what in ((n_rows, "sample(s)"), (n_columns, "feature(s)")):
        if size == 0:
            raise InvalidDataError(
                f"Found array with 0 {what} (shape=({n_rows}, {n_columns})) while a minimum of 1 "
                "is required."
            )


def _names(labels: list[Any]) -> list[str]:
    """Unique strings for the labels; positions where the labels are not all strings."""
    if all(isinstance(label, str) for label in labels):
        return list(labels)
    return [f"x{j}" for j in range(len(labels))]


def _from_series(series: nw.Series[Any], name: str) -> Column:
    if series.dtype in (nw.Object, nw.Int128, nw.UInt128):
        # Polars' Arrow form of objects holds addresses, and Arrow has no such integers.
        return _from_objects(name, object_array(series.to_list()))
    try:
        array = series.to_arrow()
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, TypeError):
        return _from_objects(name, object_array(series.to_list()))
    return _from_arrow(name, array)


def _from_pandas(series: pd.Series, name: str) -> Column:
    dtype = series.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return _from_categories(name, series.array)
    if isinstance(dtype, pd.StringDtype) and dtype.storage == "pyarrow":
        return _from_arrow(name, pa.array(series.array))
    if isinstance(dtype, pd.SparseDtype):
        return _from_vector(name, np.asarray(series.array))
    if series.dtype == object:
        return _from_objects(name, series.to_numpy(dtype=object))
    if isinstance(dtype, np.dtype) and dtype.kind in "biuf":
        return _from_vector(name, series.to_numpy())
    return _from_series(nw.from_native(series, series_only=True), name)


def _from_categories(name: str, values: Any) -> Column:
    """A column from pandas' declared categories."""
    indices: NDArray[np.signedinteger[Any]] = np.asarray(values.codes)
    levels = values.categories
    if isinstance(levels.dtype, pd.StringDtype) and levels.dtype.storage == "pyarrow":
        levels = pa.array(levels.array)
    if len(indices) < len(levels):
        used, indices = _used(indices)
        levels = levels.take(pa.array(used) if isinstance(levels, pa.Array) else used)
    if isinstance(levels, pa.Array):
        column = _from_arrow(name, levels)
    else:
        column = _from_objects(name, levels.to_numpy(dtype=object))
    return Column(name, "category", "category", column.cells, indices)


def _used(
    indices: NDArray[np.signedinteger[Any]],
) -> tuple[NDArray[np.signedinteger[Any]], NDArray[np.signedinteger[Any]]]:
    """The levels that few cells have, and each cell's position among them; -1 stays."""
    used = np.unique(indices[indices >= 0])
    return used, np.where(indices < 0, -1, np.searchsorted(used, indices))


def _from_vector(name: str, values: NDArray[Any]) -> Column:
    """A column from a one-dimensional NumPy array of any dtype."""
    kind = values.dtype.kind
    if kind == "O":
        return _from_objects(name, np.ascontiguousarray(values))
    if kind in "mM":  # as in pandas: numpy would make integers of nanoseconds
        return _from_objects(name, pd.Series(values).astype(object).to_numpy())
    if kind in "USTV":
        return _from_objects(name, values.astype(object), text=kind in "UT")
    if kind == "f" and values.dtype.itemsize not in (4, 8):
        shorter = values.astype(np.float32 if values.dtype.itemsize == 2 else np.float64)
        if not ((shorter == values) | np.isnan(values)).all():  # more digits than Arrow has
            return _from_objects(name, _as_fractions(values))
        values = shorter
    native = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("="))
    return _from_arrow(name, pa.array(native, from_pandas=True))


def _from_objects(name: str, values: NDArray[np.object_], text: bool = False) -> Column:
    """A column from Python objects, its type inferred by value."""
    inferred = "string" if text else pd.api.types.infer_dtype(values, skipna=True)
    if inferred.startswith("mixed"):
        flat = flatten_objects(name, values)
        if flat is not None:
            return _listed(_from_vector(name, flat[0]), "object of lists", *flat[1:])
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


def _listed(items: Column, dtype: str, offsets: Offsets, absent: Absent) -> Column:
    """A column of lists from the column of their items."""
    return Column(items.name, "list", dtype, items.cells, items.indices, offsets, absent)


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


def _as_fractions(values: NDArray[Any]) -> NDArray[np.object_]:
    """Long floats as exact fractions; infinite and missing ones as Python's floats."""
    finite = np.isfinite(values)
    cells = zip(values, finite, strict=True)
    return object_array([Fraction(*v.as_integer_ratio()) if f else float(v) for v, f in cells])


def object_array(values: Sequence[Any]) -> NDArray[np.object_]:
    """Any values, sequences among them, as a one-dimensional array of objects."""
    return np.fromiter(values, dtype=object, count=len(values))


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


def _from_arrow(name: str, array: pa.Array | pa.ChunkedArray) -> Column:
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
    if pa.types.is_decimal(kind):
        if kind.bit_width < 128:  # which have few of Arrow's functions
            array = array.cast(pa.decimal128(kind.precision, kind.scale))
        return Column(name, "number", dtype, array)
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


def _from_dictionary(name: str, array: pa.DictionaryArray) -> Column:
    """A column from Arrow's levels and the position of each cell among them."""
    if is_arrow_list(array.type.value_type):
        return _from_arrow(name, array.dictionary.take(array.indices))
    indices, levels = _indices(array), array.dictionary
    if len(indices) < len(levels):
        used, indices = _used(indices)
        levels = levels.take(pa.array(used))
    return Column(name, "category", str(array.type), _from_arrow(name, levels).cells, indices)


def _plain(array: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """The cells without run-length encoding, and booleans of a byte as Arrow's own."""
    if isinstance(array, pa.ChunkedArray) and array.type in (pa.bool8(), pa.uuid()):
        array = array.combine_chunks()
    if pa.types.is_run_end_encoded(array.type):
        return _plain(_decoded(array))
    return pc.cast(array.storage, pa.bool_()) if array.type == pa.bool8() else array


def _decoded(array: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Run-length encoded cells, one by one; Arrow's own function has no dictionaries."""
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    starts = np.append(0, np.asarray(array.run_ends))
    ends = np.clip(starts[1:] - array.offset, 0, len(array))
    lengths = np.diff(np.append(0, ends))
    return array.values.take(pa.array(np.repeat(np.arange(len(lengths)), lengths)))


def _without_nan(array: pa.Array) -> pa.Array:
    """Floats as 64 bits, with nulls where they are no numbers."""
    values = pc.cast(array, pa.float64(), safe=False)
    missing = pc.is_nan(values)
    if pc.any(missing).as_py():
        values = pc.if_else(missing, pa.scalar(None, pa.float64()), values)
    return values


def is_number(kind: pa.DataType) -> bool:
    """Whether an Arrow type is one of numbers."""
    types = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal)
    return any(is_type(kind) for is_type in types)


def _indices(array: pa.DictionaryArray) -> NDArray[np.signedinteger[Any]]:
    """Position of each cell's level, in an integer type that has a -1 for missing."""
    indices = array.indices
    if not pa.types.is_signed_integer(indices.type):
        small = len(array.dictionary) <= np.iinfo(np.int32).max
        indices = indices.cast(pa.int32() if small else pa.int64())
    at: NDArray[np.signedinteger[Any]] = indices.fill_null(-1).to_numpy(zero_copy_only=False)
    return at


def read_values(y: Any, name: str = "y") -> Any:
    """A target, weights or groups as NumPy, from any container.

    Parameters
    ----------
    y : array-like, pandas or polars Series or DataFrame, or pyarrow array or table
        One value a row, or one column an output.
    name : str, default="y"
        What it is, for the error.

    Returns
    -------
    ndarray or object
        Cells of a data frame library as an array in their natural dtype, missing ones as NaN or
        None; anything else as it is, for scikit-learn to check.

    Raises
    ------
    UnsupportedDataError
        If its rows are not in memory.
    """
    if isinstance(y, pa.Array):
        y = pa.chunked_array([y])
    values = nw.from_native(y, pass_through=True, allow_series=True)
    if isinstance(values, nw.LazyFrame):
        raise UnsupportedDataError(_lazy_message(values.implementation, name))
    if isinstance(values, nw.DataFrame):
        columns = [_natural(_to_numpy(values.get_column(c))) for c in values.columns]
        return np.column_stack(columns) if columns else np.empty((len(values), 0))
    if isinstance(values, nw.Series):
        return _natural(_to_numpy(values))
    return _natural(y) if isinstance(y, np.ndarray) else y


def _to_numpy(series: nw.Series[Any]) -> NDArray[Any]:
    """A series as an array; of objects where NumPy has no such integers."""
    wide = series.dtype in (nw.Int128, nw.UInt128)
    return object_array(series.to_list()) if wide else series.to_numpy()


def _natural(array: NDArray[Any]) -> NDArray[Any]:
    """Objects become numbers or booleans where all of them are."""
    if array.dtype != object or array.ndim != 1:
        return array
    try:
        return array if pd.isna(array).any() else pd.Series(array).infer_objects().to_numpy()
    except OverflowError:  # of pandas 2, for integers beyond float64
        return array
