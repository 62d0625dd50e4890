"""Single values to JSON and back, over a closed set of types, and cells made of them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

MAX_DEPTH = 40
"""Levels of containers inside containers."""

MAX_DIGITS = 10_000
"""Characters of one decimal number or integer: long ones take quadratic time."""

NUMBERS = {"bool", "float16", "float32", "float64"} | {
    f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)
}
"""Names of the dtypes whose numbers can be stored."""

_TIME = re.compile(r"(datetime64|timedelta64)(\[[0-9]{0,6}(Y|M|W|D|h|m|s|ms|us|ns|ps|fs|as)\])?")


BUILDERS: dict[str, Callable[[Iterable[Any]], Any]] = {
    "tuple": tuple,
    "set": set,
    "frozenset": frozenset,
}
"""Containers by tag."""


class UnrepresentableError(Exception):
    """A value is of a type that has no place in a file; says where, and what it is."""


def pack_scalar(value: Any, at: str) -> Any:
    """The JSON of a single value.

    Parameters
    ----------
    value : object
        The value.
    at : str
        Where it is, for the error.

    Raises
    ------
    UnrepresentableError
        If it is of another type.
    """
    kind = type(value)
    if value is None or kind is bool:
        return value
    if kind is int:
        return value if abs(value) < 2**53 else {"int": _short(hex(value), at)}
    if kind is float:
        return value if math.isfinite(value) else {"float": repr(value)}
    if kind is str:
        return {"str": value.encode("utf-8", "surrogatepass").hex()} if _is_lone(value) else value
    if kind in _SCALARS:
        tag, describe = _SCALARS[kind]
        return {tag: describe(value, at)}
    if value is pd.NA or value is pd.NaT:
        return {"missing": str(value)}
    if isinstance(value, np.generic):
        return _pack_numpy(value, at)
    raise UnrepresentableError(f"{at} is {_name_of(value)}")


def unpack_scalar(tag: str, content: Any) -> Any:
    """The value of a tag and its content; errors of several kinds where there is none."""
    if tag not in _SCALAR_READERS:
        raise ValueError(f"values of kind {tag!r} are not known")
    return _SCALAR_READERS[tag](content)


def _name_of(value: Any) -> str:
    kind = type(value)
    if callable(value) and hasattr(value, "__qualname__"):
        return f"the function or class {value.__qualname__}"
    return f"of type {kind.__module__}.{kind.__qualname__}"


def _is_lone(text: str) -> bool:
    """Whether a string has surrogates, which UTF-8 does not."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _short(text: str, at: str) -> str:
    if len(text) > MAX_DIGITS:
        raise UnrepresentableError(f"{at} is a number of {len(text)} characters")
    return text


def _pack_numpy(value: np.generic[Any], at: str) -> dict[str, Any]:
    name = value.dtype.name
    if name in NUMBERS:
        return {"scalar": [name, pack_scalar(value.item(), at)]}
    if value.dtype.kind in "mM":
        return {"time64": [name, pack_scalar(int(value.astype(np.int64)), at)]}
    if type(value) is np.str_:
        return {"np_str": pack_scalar(str(value), at)}
    raise UnrepresentableError(f"{at} is {_name_of(value)}")


def _number(name: str, packed: Any) -> np.generic[Any]:
    if name not in NUMBERS:
        raise ValueError(f"numbers of dtype {name!r} are not known")
    value: np.generic[Any] = np.dtype(name).type(_plain(packed))
    return value


def _plain(packed: Any) -> Any:
    """A scalar inside a scalar."""
    if type(packed) is dict:
        ((tag, content),) = packed.items()
        if tag not in ("int", "float", "str"):
            raise ValueError(f"no plain value: {tag!r}")
        return unpack_scalar(tag, content)
    if type(packed) is list:
        raise ValueError("no plain value: a list")
    return packed  # a number, a string, a boolean or None


def time_dtype(name: str) -> np.dtype[Any]:
    """A dtype of times or durations by its name."""
    if not _TIME.fullmatch(name):
        raise ValueError(f"times of dtype {name!r} are not known")
    return np.dtype(name)


def _time64(name: str, packed: Any) -> Any:
    return np.array(_plain(packed), np.int64).view(time_dtype(name))[()]


def _pack_zone(zone: tzinfo | None, at: str) -> Any:
    if zone is None:
        return None
    if type(zone) is timezone:
        offset = zone.utcoffset(None)
        return [offset.days, offset.seconds, offset.microseconds]
    if type(zone) is ZoneInfo and zone.key is not None:
        return zone.key
    raise UnrepresentableError(f"{at} has a time zone {_name_of(zone)}, which is not zoneinfo's")


def _zone(packed: Any) -> tzinfo | None:
    if packed is None:
        return None
    if type(packed) is list:
        offset = timedelta(*packed)
        return timezone(offset) if offset else UTC
    return ZoneInfo(packed)


def _clock(value: datetime | time, at: str) -> list[Any]:
    naive = value.replace(tzinfo=None, fold=0)
    return [naive.isoformat(), value.fold, _pack_zone(value.tzinfo, at)]


def _count(value: pd.Timestamp | pd.Timedelta) -> int:
    """Units since the epoch, or of a duration."""
    return int(value.asm8.astype(np.int64))


def _stamp(value: pd.Timestamp, at: str) -> list[Any]:
    if not 1 <= value.year <= 9999:
        raise UnrepresentableError(f"{at} is a time in the year {value.year}")
    return [pack_scalar(_count(value), at), value.unit, _pack_zone(value.tz, at)]


def _read_stamp(count: int, unit: str, zone: Any) -> Any:
    stamp = pd.Timestamp(_time64(f"datetime64[{unit}]", count))
    if not 1 <= stamp.year <= 9999:  # pandas' own limits are wider, and its operations fail there
        raise ValueError(f"a time is in the year {stamp.year}")
    return stamp if zone is None else stamp.tz_localize("UTC").tz_convert(_zone(zone))


_SCALARS: dict[type, tuple[str, Callable[[Any, str], Any]]] = {
    bytes: ("bytes", lambda v, at: v.hex()),
    date: ("date", lambda v, at: v.isoformat()),
    datetime: ("datetime", _clock),
    time: ("time", _clock),
    timedelta: ("timedelta", lambda v, at: [v.days, v.seconds, v.microseconds]),
    Decimal: ("decimal", lambda v, at: _short(str(v), at)),
    UUID: ("uuid", lambda v, at: v.hex),
    pd.Timestamp: ("timestamp", _stamp),
    pd.Timedelta: ("pd_timedelta", lambda v, at: [pack_scalar(_count(v), at), v.unit]),
}


def as_list(content: Any) -> list[Any]:
    """What has to be a JSON array."""
    if type(content) is not list:
        raise ValueError("a sequence is no list")
    return content


def _digits(text: str) -> str:
    if len(text) > MAX_DIGITS:
        raise ValueError("a number has too many digits")
    return text


_SCALAR_READERS: dict[str, Callable[[Any], Any]] = {
    "int": lambda x: int(_digits(x), 16),
    "float": lambda x: {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}[x],
    "str": lambda x: bytes.fromhex(x).decode("utf-8", "surrogatepass"),
    "bytes": bytes.fromhex,
    "date": date.fromisoformat,
    "datetime": lambda x: datetime.fromisoformat(x[0]).replace(fold=x[1], tzinfo=_zone(x[2])),
    "time": lambda x: time.fromisoformat(x[0]).replace(fold=x[1], tzinfo=_zone(x[2])),
    "timedelta": lambda x: timedelta(days=x[0], seconds=x[1], microseconds=x[2]),
    "decimal": lambda x: Decimal(_digits(x)),
    "uuid": lambda x: UUID(hex=x),
    "timestamp": lambda x: _read_stamp(*x),
    "pd_timedelta": lambda x: pd.Timedelta(_time64(f"timedelta64[{x[1]}]", x[0])),
    "missing": lambda x: {"<NA>": pd.NA, "NaT": pd.NaT}[x],
    "scalar": lambda x: _number(*x),
    "time64": lambda x: _time64(*x),
    "np_str": lambda x: np.str_(_plain(x)),
}


def pack_cell(value: Any, at: str, depth: int = 0) -> Any:
    """The JSON of a cell of an object array: a scalar, or a tuple or frozen set of cells."""
    if type(value) in (tuple, frozenset) and depth < MAX_DEPTH:
        return {type(value).__name__: [pack_cell(v, at, depth + 1) for v in value]}
    return pack_scalar(value, at)


def unpack_cell(packed: Any, depth: int = 0) -> Any:
    """The cell of some JSON, which can be hashed."""
    if type(packed) is list or depth > MAX_DEPTH:
        raise ValueError("a cell is a list, or nested too deeply")
    if type(packed) is not dict:
        return packed
    ((tag, content),) = packed.items()
    if tag in ("tuple", "frozenset"):
        return BUILDERS[tag](unpack_cell(v, depth + 1) for v in as_list(content))
    return unpack_scalar(tag, content)
