"""The same table in every container the package reads."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa

CONTAINERS = (
    "pandas",
    "pandas_object",
    "pandas_nullable",
    "pandas_arrow",
    "pandas_category",
    "polars",
    "polars_categorical",
    "pyarrow",
    "numpy_object",
    "lists",
)
"""Names that :func:`make_container` knows."""

NAMELESS = ("numpy_object", "lists")
"""Containers without column names: the columns read as ``x0``, ``x1``, ..."""

PYTHON_OBJECTS = ("pandas", "pandas_object", "pandas_category", "numpy_object", "lists")
"""Containers whose columns may hold values of mixed type."""


def make_container(name: str, columns: Mapping[str, Sequence[Any]]) -> Any:
    """Put columns of Python values (None is missing) into the container called `name`.

    The "category" containers declare the columns of strings (pandas: and of booleans) only, so
    that numbers remain numbers.
    """
    data = {column: list(values) for column, values in columns.items()}
    if name == "lists":
        return [list(row) for row in zip(*data.values(), strict=True)]
    if name == "numpy_object":
        out = np.empty((len(next(iter(data.values()))), len(data)), dtype=object)
        for j, values in enumerate(data.values()):
            out[:, j] = values
        return out
    if name == "pyarrow":
        return pa.table(data)
    if name.startswith("polars"):
        frame = pl.DataFrame(data, strict=False)
        return frame.with_columns(pl.col(pl.String).cast(pl.Categorical)) if "_" in name else frame
    frame = pd.DataFrame(data)
    if name == "pandas":
        return frame
    if name == "pandas_object":
        return pd.DataFrame({c: pd.Series(v, dtype=object) for c, v in data.items()})
    if name in ("pandas_nullable", "pandas_arrow"):
        with warnings.catch_warnings():  # pandas 2.2 tries to make infinity an integer
            warnings.simplefilter("ignore", RuntimeWarning)
            backend = "pyarrow" if name == "pandas_arrow" else "numpy_nullable"
            return frame.convert_dtypes(dtype_backend=backend)
    if name == "pandas_category":
        chosen = [c for c, v in data.items() if not _holds_numbers(v)]
        return frame.astype(dict.fromkeys(chosen, "category"))
    raise ValueError(f"{name=} is not one of {CONTAINERS}.")


def _holds_numbers(values: Sequence[Any]) -> bool:
    known = [v for v in values if v is not None]
    return all(isinstance(v, int | float) and not isinstance(v, bool) for v in known)
