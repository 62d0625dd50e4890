"""The same column of lists in every container that can hold one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa

ARROW_TYPES = {
    "arrow_list": pa.list_(pa.string()),
    "arrow_large_list": pa.large_list(pa.large_string()),
    "arrow_list_view": pa.list_view(pa.string()),
    "arrow_large_list_view": pa.large_list_view(pa.string_view()),
    "arrow_list_of_dictionary": pa.list_(pa.dictionary(pa.int8(), pa.string())),
}
"""Arrow types of lists of strings."""

LIST_CONTAINERS = (
    *ARROW_TYPES,
    "arrow_sliced",
    "arrow_sliced_view",
    "arrow_chunked",
    "arrow_chunked_dictionary",
    "arrow_dictionary_of_lists",
    "pandas_object",
    "pandas_nan",
    "pandas_na",
    "pandas_arrays",
    "pandas_arrow",
    "polars",
    "polars_categorical",
    "polars_enum",
    "polars_object",
    "numpy_object",
    "lists",
)
"""Names that :func:`make_lists` knows."""


def make_lists(name: str, values: Sequence[list[str | None] | None], label: str = "tags") -> Any:
    """Put lists of strings (None is missing) into the only column of the container `name`."""
    kind, _, rest = name.partition("_")
    if kind == "arrow":
        return pa.table({label: _arrow(name, values)})
    if kind == "polars":
        return pl.DataFrame({label: pl.Series(values, dtype=_polars_type(rest, values))})
    if kind == "pandas":
        return pd.DataFrame({label: _pandas(rest, values)})
    if name == "numpy_object":
        return objects(values)[:, None]
    if name == "lists":
        return [[cell] for cell in values]
    raise ValueError(f"{name=} is not one of {LIST_CONTAINERS}.")


def objects(values: Sequence[Any]) -> np.ndarray:
    """Any values as a one-dimensional array of objects."""
    return np.fromiter(values, dtype=object, count=len(values))


def _arrow(name: str, values: Sequence[Any]) -> pa.Array | pa.ChunkedArray:
    if name in ARROW_TYPES:
        return pa.array(values, type=ARROW_TYPES[name])
    if name.startswith("arrow_sliced"):
        kind = ARROW_TYPES["arrow_list_view" if name.endswith("view") else "arrow_list"]
        padded = [["before", None], None, *values, ["behind"]]
        return pa.array(padded, type=kind).slice(2, len(values))
    if name.startswith("arrow_chunked"):
        is_coded = name.endswith("dictionary")
        kind = ARROW_TYPES["arrow_list_of_dictionary" if is_coded else "arrow_list"]
        parts = (values[:2], [], values[2:])
        return pa.chunked_array([pa.array(part, type=kind) for part in parts])
    levels = [cell for cell in values if cell is not None]
    numbers = iter(range(len(levels)))
    indices = pa.array([None if cell is None else next(numbers) for cell in values], pa.int32())
    lists = pa.array(levels, type=ARROW_TYPES["arrow_list"])
    return pa.DictionaryArray.from_arrays(indices, lists)


def _polars_type(rest: str, values: Sequence[Any]) -> Any:
    if rest == "object":
        return pl.Object
    items = sorted({x for cell in values for x in cell or () if x is not None}, reverse=True)
    inner = {"": pl.String, "categorical": pl.Categorical, "enum": pl.Enum(items)}
    return pl.List(inner[rest])


def _pandas(rest: str, values: Sequence[Any]) -> pd.Series:
    if rest == "arrow":
        return pd.Series(values, dtype=pd.ArrowDtype(ARROW_TYPES["arrow_list"]))
    missing = {"object": None, "arrays": None, "nan": np.nan, "na": pd.NA}[rest]
    cells = [missing if cell is None else cell for cell in values]
    if rest == "arrays":
        cells = [cell if cell is None else np.array(cell, dtype=object) for cell in cells]
    return pd.Series(cells, dtype=object)
