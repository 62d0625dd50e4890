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
    kind = np.dtype(dtype)

    def make(values: Sequence[Any]) -> pd.DataFrame:
        gap = [np.nan] if kind.kind == "f" else []  # of other types None raises an error
        cells = [gap[0] if v is None and gap else kind.type(_plain(v)) for v in values]
        return pd.DataFrame({"c": pd.Series(np.array(cells, kind))})

    return make


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
        cells = pd.Series(_each(values, as_type), dtype=object)
        return pd.DataFrame({"c": cells if wrap is None else wrap(cells)})

    return make


def _arrow(kind: pa.DataType, as_type: Callable[[Any], Any] = _plain, wrap: Any = None) -> Make:
    def make(values: Sequence[Any]) -> Any:
        array = pa.array(_each(values, as_type), type=kind)
        return pa.table({"c": array}) if wrap is None else wrap(array)

    return make


def _polars(dtype: Any, as_type: Callable[[Any], Any] = _plain) -> Make:
    return lambda values: pl.DataFrame({"c": pl.Series(_each(values, as_type), dtype=dtype)})


def _each(values: Sequence[Any], as_type: Callable[[Any], Any]) -> list[Any]:
    return [None if v is None else as_type(v) for v in values]


def _decimal(value: Any) -> Decimal:
    if isinstance(value, Fraction):
        raise ValueError("no decimal")
    return Decimal(value)


def _mixed(value: Any) -> Any:
    return int(value) if value == int(value) else value


def _arrow_dtype(array: pa.Array) -> pd.DataFrame:
    return pd.DataFrame({"c": pd.Series(pd.array(array, dtype=pd.ArrowDtype(array.type)))})


def _encoded(array: pa.Array) -> pa.Table:
    return pa.table({"c": array.dictionary_encode()})


def _run_ends(array: pa.Array) -> pa.Table:
    return pa.table({"c": pc.run_end_encode(array)})


def _bool8(array: pa.Array) -> pa.Table:
    return pa.table({"c": pa.ExtensionArray.from_storage(pa.bool8(), array)})


_INTEGERS = [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 32, 64)]
_PANDAS = ["Int8", "Int64", "UInt16", "UInt64", "Float32", "Float64"]
_FLOATS = ("float16", "float32", "float64", "longdouble")
_DECIMALS = [(9, 1), (18, 2), (38, 10), (22, 0), (38, 20)]

NUMBERS: dict[str, Make] = {
    **{f"numpy {name}": _numpy(name) for name in (*_INTEGERS, *_FLOATS, "bool")},
    **{f"pandas {name}": _nullable(name) for name in _PANDAS},
    **{f"arrow {name}": _arrow(pa.type_for_alias(name)) for name in (*_INTEGERS, *_FLOATS[:3])},
    **{f"arrow decimal {p}, {s}": _arrow(pa.decimal128(p, s), _decimal) for p, s in _DECIMALS},
    **{
        f"arrow {name}": _arrow(getattr(pa, name)(*args), _decimal)
        for name, args in {"decimal32": (9, 4), "decimal64": (18, 2)}.items()
        if hasattr(pa, name)  # not in pyarrow 18
    },
    "arrow decimal256": _arrow(pa.decimal256(76, 30), _decimal),
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
    "lists of rows": lambda values: [[v] for v in values],
    **{f"polars {t}": _polars(t) for t in (pl.Int8, pl.Int64, pl.Int128, pl.UInt64, pl.UInt128)},
    **{f"polars {t}": _polars(t, float) for t in (pl.Float32, pl.Float64)},
    **{f"polars Decimal {s}": _polars(pl.Decimal(38, s), _decimal) for s in (0, 1, 5, 20)},
    "pandas boolean": _objects(bool, lambda s: s.astype("boolean")),
    "objects of booleans": _objects(bool),
    "arrow bool8": _arrow(pa.int8(), int, _bool8),
    "polars Boolean": _polars(pl.Boolean, bool),
}

_UNITS = ("s", "ms", "us", "ns")


def _same(value: Any) -> Any:
    return value


def _times(unit: str) -> Make:
    return _objects(_same, lambda cells: cells.astype(f"datetime64[{unit}]"))


TIMES: dict[str, Make] = {
    **{f"pandas datetime64[{unit}]": _times(unit) for unit in _UNITS},
    **{f"arrow timestamp[{unit}]": _arrow(pa.timestamp(unit), _same) for unit in _UNITS},
    **{f"polars Datetime({unit})": _polars(pl.Datetime(unit), _same) for unit in _UNITS[1:]},
    "objects of datetimes": _objects(_same),
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


_ERRORS = (pa.ArrowException, pl.exceptions.PolarsError)


def make_exactly(make: Make, values: Sequence[Any]) -> Any | None:
    """The table, or None where it cannot hold the values as they are."""
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            X = make(values)
            back = read_back(X)
    except (ArithmeticError, TypeError, ValueError, RuntimeError, *_ERRORS):
        return None
    same = all(
        (a is None) == (b is None) and (a is None or a == b)
        for a, b in zip(back, values, strict=True)
    )
    return X if same else None
