"""Any container to columns or arrays: with `cells`, the only code that knows data frames."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Number
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from sklearn.utils.validation import check_array

from sk_entity_embed.exceptions import InvalidDataError, UnsupportedDataError
from sk_entity_embed.input.cells import from_objects, from_pandas, from_series, from_vector
from sk_entity_embed.input.table import Table, object_array


def read_table(X: Any) -> Table:
    """Read a table from a pandas or polars DataFrame, pyarrow Table, 2-D array or list of lists.

    Cells may be lists of Arrow's, polars' or Python's, or one-dimensional arrays; tuples are single
    values. What has been read is returned.
    """
    if isinstance(X, Table):
        return X
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
        raise _series_error(X)
    if isinstance(frame, nw.DataFrame):
        return _read_frame(frame, X)
    if isinstance(X, list | tuple) and X and all(isinstance(r, list | tuple) for r in X):
        return _read_lists(X)
    return _read_array(X)


def _lazy_message(implementation: nw.Implementation, name: str) -> str:
    """Say how to get the rows of a table that is only a plan so far."""
    if implementation.is_polars():
        return f"{name} is a lazy frame; pass {name}.collect() instead."
    ways = {"duckdb": "to_arrow_table()", "dask": "compute()", "ibis": "to_pyarrow()"}
    library = implementation.name.lower()
    return (
        f"{name} is a table of {library} whose rows are not in memory; pass "
        f"{name}.{ways.get(library, 'toPandas()')} instead."
    )


def _series_error(X: Any) -> InvalidDataError:
    of_row = "of one row by X.iloc[[0]] instead of X.iloc[0], " if isinstance(X, pd.Series) else ""
    is_arrow = isinstance(X, pa.ChunkedArray)
    of_column = "pyarrow.table({'name': X})" if is_arrow else "X.to_frame()"
    return InvalidDataError(
        "Expected 2D array, got 1D array instead: X is a series. Pass a data frame, "
        f"{of_row}of one column by {of_column}."
    )


def _read_pandas(X: pd.DataFrame) -> Table:
    """Without narwhals, whose own time would count where there is a single row."""
    labels = list(X.columns)
    _check_shape(len(X), len(labels))
    columns = tuple(map(from_pandas, (series for _, series in X.items()), _names(labels)))
    return Table(columns, len(X), labels)


def _read_frame(frame: nw.DataFrame[Any], X: Any) -> Table:
    labels = list(X.column_names if isinstance(X, pa.Table) else X.columns)
    _check_shape(len(frame), len(labels))
    named = zip(_names(labels), frame.columns, strict=True)
    columns = tuple(from_series(frame.get_column(label), name) for name, label in named)
    return Table(columns, len(frame), labels)


def _read_lists(X: Sequence[Sequence[Any]]) -> Table:
    widths = set(map(len, X))
    if len(widths) > 1:
        raise InvalidDataError(
            f"X is a list of rows of different lengths ({min(widths)} to {max(widths)} cells); "
            "every row needs one cell a column."
        )
    _check_shape(len(X), widths.pop())
    cells = enumerate(zip(*X, strict=True))
    columns = tuple(from_objects(f"x{j}", object_array(values)) for j, values in cells)
    return Table(columns, len(X), None)


def _read_array(X: Any) -> Table:
    is_scalar = X is None or isinstance(X, str | bytes | Number)  # for scikit-learn to refuse
    if not (is_scalar or hasattr(X, "__len__") or hasattr(X, "__array__")):
        raise UnsupportedDataError(
            f"X is of type {type(X).__name__}, which is not a table in memory; pass a frame of "
            "pandas or polars, a pyarrow table or a two-dimensional array."
        )
    array = check_array(X, dtype=None, ensure_all_finite=False, input_name="X")
    columns = tuple(from_vector(f"x{j}", values) for j, values in enumerate(array.T))
    return Table(columns, len(array), None)


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


def read_values(y: Any, name: str = "y") -> Any:
    """Cells of a data frame library, one or several a row, as an array in their natural dtype.

    Missing ones are NaN or None. Anything else is returned as it is, for scikit-learn to check.
    """
    if isinstance(y, np.ndarray):
        return natural(y)
    if isinstance(y, pa.Array):
        y = pa.chunked_array([y])
    values = nw.from_native(y, pass_through=True, allow_series=True)
    if isinstance(values, nw.LazyFrame):
        raise UnsupportedDataError(_lazy_message(values.implementation, name))
    if isinstance(values, nw.DataFrame):
        columns = [natural(_to_numpy(values.get_column(c))) for c in values.columns]
        return np.column_stack(columns) if columns else np.empty((len(values), 0))
    if isinstance(values, nw.Series):
        return natural(_to_numpy(values))
    return y


def _to_numpy(series: nw.Series[Any]) -> NDArray[Any]:
    """A series as an array; of objects where NumPy has no such integers."""
    wide = series.dtype in (nw.Int128, nw.UInt128)
    return object_array(series.to_list()) if wide else series.to_numpy()


def natural(array: NDArray[Any]) -> NDArray[Any]:
    """Objects as numbers, booleans or times where all of them are."""
    if array.dtype != object or array.ndim != 1:
        return array
    try:
        return array if pd.isna(array).any() else pd.Series(array).infer_objects().to_numpy()
    except OverflowError:  # of pandas 2, for integers beyond float64
        return array
