"""The same values in every container, width, scale and type that can hold them exactly."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

Make = Callable[[Sequence[Any]], Any]
"""A table with the column "c" of the given values; None is missing."""


def _numpy(dtype: str) -> Make:
    return lambda values: pd.DataFrame({"c": pd.Series(_cast(values, np.dtype(dtype).type, dtype))})


def _cast(values: Sequence[Any], as_type: Any, dtype: Any) -> np.ndarray:
    if np.dtype(dtype).kind == "f":
        return np.array([np.nan if v is None else as_type(_plain(v)) for v in values], dtype)
    return np.array([as_type(_plain(v)) for v in values], dtype)


def _plain(value: Any) -> Any:
    """A whole number as an integer, which NumPy converts exactly."""
    return int(value) if value == int(value) else float(value)


def _nullable(dtype: str) -> Make:
    def make(values: Sequence[Any]) -> pd.DataFrame:
        plain = [pd.NA if v is None else _plain(v) for v in values]
        return pd.DataFrame({"c": pd.array(plain, dtype=dtype)})

    return make


def _objects(as_type: Callable[[Any], Any], wrap: Callable[[pd.Series], Any] | None = None) -> Make:
    def make(values: Sequence[Any]) -> Any:
        cells = pd.Series([None if v is None else as_type(v) for v in values], dtype=object)
        return pd.DataFrame({"c": cells if wrap is None else wrap(cells)})

    return make


def _arrow(kind: pa.DataType, as_type: Callable[[Any], Any] = _plain, wrap: Any = None) -> Make:
    def make(values: Sequence[Any]) -> Any:
        array = pa.array([None if v is None else as_type(v) for v in values], type=kind)
        return pa.table({"c": array}) if wrap is None else wrap(array)

    return make


def _polars(dtype: Any, as_type: Callable[[Any], Any] = _plain) -> Make:
    def make(values: Sequence[Any]) -> pl.DataFrame:
        cells = [None if v is None else as_type(v) for v in values]
        return pl.DataFrame({"c": pl.Series(cells, dtype=dtype)})

    return make


def _decimal(value: Any) -> Decimal:
    if isinstance(value, Fraction):
        raise ValueError("no decimal")
    return Decimal(value)


def _mixed(value: Any) -> Any:
    return int(value) if value == int(value) else value


def _lists(values: Sequence[Any]) -> Any:
    return [[v] for v in values]


def _arrow_dtype(array: pa.Array) -> pd.DataFrame:
    return pd.DataFrame({"c": pd.Series(pd.array(array, dtype=pd.ArrowDtype(array.type)))})


def _encoded(array: pa.Array) -> pa.Table:
    return pa.table({"c": array.dictionary_encode()})


def _run_ends(array: pa.Array) -> pa.Table:
    return pa.table({"c": pc.run_end_encode(array)})


def _bool8(array: pa.Array) -> pa.Table:
    return pa.table({"c": pa.ExtensionArray.from_storage(pa.bool8(), array)})


_INTEGERS = [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]
_PANDAS = [name.replace("int", "Int").replace("uI", "UI") for name in _INTEGERS]

NUMBERS: dict[str, Make] = {
    **{f"numpy {name}": _numpy(name) for name in _INTEGERS},
    **{f"numpy {name}": _numpy(name) for name in ("float16", "float32", "float64", "longdouble")},
    **{f"pandas {name}": _nullable(name) for name in (*_PANDAS, "Float32", "Float64")},
    **{f"arrow {name}": _arrow(pa.type_for_alias(name)) for name in _INTEGERS},
    **{
        f"arrow {t}": _arrow(t)
        for t in (pa.float16(), pa.float32(), pa.float64())
    },
    **{
        f"arrow {t}": _arrow(t, _decimal)
        for t in (
            pa.decimal32(9, 1), pa.decimal32(9, 4), pa.decimal64(18, 2), pa.decimal128(5, 1),
            pa.decimal128(38, 10), pa.decimal128(22, 0), pa.decimal128(38, 20),
            pa.decimal256(76, 30),
        )
    },
    "arrow dictionary of decimals": _arrow(pa.decimal128(38, 12), _decimal, _encoded),
    "arrow dictionary of integers": _arrow(pa.int64(), wrap=_encoded),
    "arrow run-length encoded": _arrow(pa.int64(), wrap=_run_ends),
    "pandas arrow decimal": _arrow(pa.decimal128(38, 11), _decimal, _arrow_dtype),
    "pandas arrow int32": _arrow(pa.int32(), wrap=_arrow_dtype),
    "objects of decimals": _objects(_decimal),
    "objects of long decimals": _objects(lambda v: _decimal(v) + Decimal("0.000")),
    "objects of floats": _objects(float),
    "objects of integers": _objects(int),
    "objects of decimals and integers": _objects(_mixed),
    "objects of NumPy's integers": _objects(np.int64),
    "category of decimals": _objects(_decimal, lambda s: s.astype("category")),
    "category of floats": _objects(float, lambda s: s.astype(float).astype("category")),
    "lists of rows": _lists,
    **{
        f"polars {t}": _polars(t)
        for t in (pl.Int8, pl.Int32, pl.Int64, pl.Int128, pl.UInt64, pl.UInt128)
    },
    "polars Float32": _polars(pl.Float32, float),
    "polars Float64": _polars(pl.Float64, float),
    **{
        f"polars Decimal {s}": _polars(pl.Decimal(38, s), _decimal) for s in (0, 1, 5, 20)
    },
    "numpy bool": _numpy("bool"),
    "pandas boolean": _objects(bool, lambda s: s.astype("boolean")),
    "objects of booleans": _objects(bool),
    "arrow bool8": _arrow(pa.int8(), int, _bool8),
    "polars Boolean": _polars(pl.Boolean, bool),
}  # fmt: skip

TIMES: dict[str, Make] = {
    **{
        f"pandas datetime64[{unit}]": _objects(
            lambda v: v, lambda s, unit=unit: s.astype(f"datetime64[{unit}]")
        )
        for unit in ("s", "ms", "us", "ns")
    },
    **{
        f"arrow timestamp[{unit}]": _arrow(pa.timestamp(unit), lambda v: v)
        for unit in ("s", "ms", "us", "ns")
    },
    **{
        f"polars Datetime({unit})": _polars(pl.Datetime(unit), lambda v: v)
        for unit in ("ms", "us", "ns")
    },
    "objects of datetimes": _objects(lambda v: v),
    "objects of timestamps": _objects(pd.Timestamp),
    "category of timestamps": _objects(pd.Timestamp, lambda s: s.astype("category")),
}


def read_back(X: Any) -> list[Any]:
    """The values of a table as Python's, each equal to what the container holds."""
    if isinstance(X, list):
        return [row[0] for row in X]
    if isinstance(X, pa.Table):
        return _missing_as_none(X["c"].to_pylist())
    if isinstance(X, pl.DataFrame):
        return _missing_as_none(X["c"].to_list())
    cells = X["c"].to_numpy(dtype=object)
    return _missing_as_none([_exact(v) for v in cells])


def _exact(value: Any) -> Any:
    """NumPy's numbers as Python's, whose equality is exact."""
    if isinstance(value, np.longdouble) and np.isfinite(value):
        return Fraction(*value.as_integer_ratio())
    return value.item() if isinstance(value, np.generic) else value


def _missing_as_none(values: Sequence[Any]) -> list[Any]:
    return [None if pd.isna(v) else v for v in values]


def make_exactly(make: Make, values: Sequence[Any]) -> Any | None:
    """The table, or None where it cannot hold the values as they are."""
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            X = make(values)
            back = read_back(X)
    except (
        ArithmeticError, TypeError, ValueError, RuntimeError, pa.ArrowException,
        pl.exceptions.PolarsError,
    ):  # fmt: skip
        return None
    same = all(
        (a is None) == (b is None) and (a is None or a == b)
        for a, b in zip(back, values, strict=True)
    )
    return X if same else None
