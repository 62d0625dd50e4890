"""Python values to JSON and arrays, and back, over a closed set of types.

None, booleans, finite floats, lists, and ordinary strings and integers are JSON as they are.
Everything else is an object with one key, the tag that says what it is::

    {"tuple": [1, 2]}    {"float": ["nan"]}    {"array": "model.head.weights.0"}

The content of a tag is a name of an array, a list of parts, or, for a frozen dataclass, its
fields. Reading looks tags up in tables and calls nothing else. Each array is used once, so that
what is read stays in proportion to the file.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import fields
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from functools import partial
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
)
from pathlib import PosixPath, PurePosixPath, PureWindowsPath, WindowsPath
from typing import Any, TypeAlias
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn import model_selection

from sk_entity_embed.input.table import object_array

Arrays: TypeAlias = dict[str, NDArray[Any]]

CATEGORIES = (
    "strings, bytes, numbers, booleans, dates, times, durations, periods, intervals, time zones, "
    "decimals, fractions, UUIDs, IP addresses, paths, and tuples and frozen sets of these"
)
"""What a category can be, in words."""

NUMBERS = {"bool", "float16", "float32", "float64"} | {
    f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)
}
"""Names of the dtypes whose numbers can be stored."""

MAX_DEPTH = 40
"""Levels of containers inside containers."""

MAX_DIGITS = 10_000
"""Characters of one decimal number or integer: long ones take quadratic time."""

MAX_EQUAL_HASHES = 100
"""Entries of a set, or keys of a dict, that may have one hash. Each is compared with all others of
its hash, so that many take quadratic time. By chance there are two or three."""

MAX_MARKS = 5_000_000
"""Lists, objects and keys in a JSON text, unless it has four characters for each of them. They
take up to 20 times the memory of the text. The shortest tagged value has 4 characters for each."""

_MONTHS = "JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC"
_FREQUENCY = re.compile(
    rf"(?:[1-9][0-9]{{0,5}})?(?:([YQ])-(?:{_MONTHS})|(W)-(?:MON|TUE|WED|THU|FRI|SAT|SUN)"
    r"|(M|D|h|min|s|ms|us|ns))"
)
_DAY = 24 * 60 * 60
_PERIODS_A_YEAR = {
    **{"Y": 1, "Q": 4, "M": 12, "W": 53, "D": 366, "h": 366 * 24, "min": 366 * 24 * 60},
    **{"s": 366 * _DAY, "ms": 366 * _DAY * 10**3, "us": 366 * _DAY * 10**6},
    "ns": 366 * _DAY * 10**9,
}
"""At most, by pandas' names of frequencies. That of business days is on its way out."""

_ZONE = re.compile(r"(?=.{1,64}\Z)[A-Za-z0-9_+-]+(?:/[A-Za-z0-9_+-]+){0,3}")
"""Names of time zones. Python calls itself once for each part of a name, so they are bounded."""

_TIME = re.compile(r"(datetime64|timedelta64)(\[[0-9]{0,6}(Y|M|W|D|h|m|s|ms|us|ns|ps|fs|as)\])?")

_SPLITTERS = {
    **dict.fromkeys(
        ("GroupKFold", "KFold", "StratifiedGroupKFold", "StratifiedKFold"),
        ("n_splits", "shuffle", "random_state"),
    ),
    **{"LeaveOneGroupOut": (), "LeaveOneOut": (), "PredefinedSplit": ("test_fold",)},
}


class UnrepresentableError(Exception):
    """A value is of a type that has no place in a file; says where, and what it is."""


def dump_json(value: Any) -> str:
    """Return the text of a packed value; an UnrepresentableError where no file may hold it."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    if _is_dense(text):
        raise UnrepresentableError(
            "has too many containers, or brackets and colons in text, for a file; give long lists "
            "as NumPy arrays, and text full of brackets in a column of strings alone"
        )
    return text


def parse_json(text: str) -> Any:
    """Return the packed value of a text; many small containers are refused before they are made."""
    if _is_dense(text):
        raise ValueError("it has too many lists and objects for its length")
    return json.loads(text)


def _is_dense(text: str) -> bool:
    return sum(map(text.count, "[{:")) > max(MAX_MARKS, len(text) // 4)


class Packer:
    """Turns values to JSON, and puts the arrays among them into `arrays`.

    `classes` are the frozen dataclasses that may occur, and `dismantle` gives the fields of one of
    them, checked.
    """

    def __init__(
        self,
        classes: Mapping[str, type] | None = None,
        dismantle: Callable[[Any, str], Mapping[str, Any]] | None = None,
    ) -> None:
        self.arrays: Arrays = {}
        self._classes, self._dismantle = classes or {}, dismantle or _fields

    def pack(self, value: Any, at: str, depth: int = 0) -> Any:
        """Return the JSON of a value; `at` says where it is, for errors and names of arrays."""
        kind, inner = type(value), depth + 1
        if depth > MAX_DEPTH:
            raise UnrepresentableError(f"{at[:80]}... is nested too deeply, or holds itself")
        if _is_json(value):
            return value
        if kind in (list, tuple):
            items = [self.pack(v, f"{at}.{i}", inner) for i, v in enumerate(value)]
            return items if kind is list else {"tuple": items}
        if kind in (set, frozenset, dict) and _are_crowded(value):
            raise UnrepresentableError(
                f"{at} has more than {MAX_EQUAL_HASHES} entries of the same hash, which Python "
                "takes very long to look up; give them as strings"
            )
        if kind in (set, frozenset):
            return {kind.__name__: [self.pack(v, f"an entry of {at}", inner) for v in value]}
        if kind is dict:
            return {"dict": [self._pack_pair(k, v, at, inner) for k, v in value.items()]}
        if kind is np.ndarray:
            return self._pack_array(value, at)
        if self._classes.get(kind.__name__) is kind:
            content = self._dismantle(value, at)
            return {
                kind.__name__: {n: self.pack(v, f"{at}.{n}", inner) for n, v in content.items()}
            }
        if kind in _TAG_OF:
            tag = _TAG_OF[kind]
            try:
                parts = KINDS[tag][1](value)
            except UnrepresentableError as error:
                raise UnrepresentableError(f"{at} {error}") from None
            except ValueError as error:  # one that could not be made again
                raise UnrepresentableError(f"{at} is {value!r}, and {error}") from error
            return {tag: [self.pack(part, at, inner) for part in parts]}
        if isinstance(value, Enum):
            return self._pack_member(value, at, depth)
        raise UnrepresentableError(f"{at} is {_name_of(value)}")

    def _pack_pair(self, key: Any, value: Any, at: str, depth: int) -> list[Any]:
        inside = f"{at}.{key}" if isinstance(key, str) else at
        return [self.pack(key, f"a key of {at}", depth), self.pack(value, inside, depth)]

    def _pack_member(self, member: Enum, at: str, depth: int) -> Any:
        """Return the JSON of the value that a member of an enumeration equals, as in StrEnum.

        A file does not hold the class, which is code: the member comes back as this value, which
        stands in for it in every look-up.
        """
        value = member.value
        try:
            stands_in = value == member and hash(value) == hash(member)
        except TypeError:
            stands_in = False  # it cannot be hashed
        if stands_in:
            return self.pack(value, at, depth)
        raise UnrepresentableError(
            f"{at} is {member}, a member of an enumeration: its class is code of yours, and it "
            "does not equal a plain value, as members of StrEnum and IntEnum do. Take its `.name` "
            "or its `.value` before fit"
        )

    def _pack_array(self, array: NDArray[Any], at: str) -> dict[str, Any]:
        kind = array.dtype.kind
        array = array.astype(array.dtype.newbyteorder("="), copy=False)
        if array.dtype.name in NUMBERS:
            transposed = array.flags.f_contiguous and not array.flags.c_contiguous
            return (
                {"array_f": self._put(array.T, at)}
                if transposed
                else {"array": self._put(array, at)}
            )
        if kind in "mM":
            return {"times": [self._put(array.view(np.int64), at), array.dtype.name]}
        if kind == "U" and array.dtype.itemsize:
            points = np.ascontiguousarray(array).reshape(-1).view(np.uint32)
            return {"unicode": self._put(points.reshape(*array.shape, array.itemsize // 4), at)}
        if kind == "O" and array.ndim == 1:
            return {"cells": self._put(self._pack_cells(array, at), f"{at}.json")}
        raise UnrepresentableError(
            f"{at} is an array of dtype {array.dtype} and shape {array.shape}"
        )

    def _pack_cells(self, array: NDArray[np.object_], at: str) -> NDArray[np.uint8]:
        """Return the bytes of a JSON list; its length may exceed what a header can hold."""
        cells = array.tolist()
        if {*map(type, cells)} - {str}:
            cells = [self._pack_cell(v, f"{at}, position {i}") for i, v in enumerate(cells)]
        try:
            raw = dump_json(cells).encode()
        except UnicodeEncodeError:  # lone surrogates
            raw = dump_json([self._pack_cell(v, at) for v in cells]).encode()
        except UnrepresentableError as error:
            raise UnrepresentableError(f"{at} {error}") from None
        return np.frombuffer(raw, np.uint8)

    def _pack_cell(self, cell: Any, at: str) -> Any:
        if _is_json(cell):
            return cell
        try:
            hash(cell)
        except TypeError:
            raise UnrepresentableError(f"{at} is {_name_of(cell)}") from None
        return self.pack(cell, at)

    def _put(self, array: NDArray[Any], at: str) -> str:
        base = at.encode("ascii", "replace").decode()[:200]
        name, k = base, 0
        while name in self.arrays:
            name, k = f"{base}#{k}", k + 1
        self.arrays[name] = array
        return name


class Unpacker:
    """Turns what a :class:`Packer` has made back to values; `arrays` are those not used so far.

    `build` makes a value of one of the `classes` of its fields, and checks it. All methods raise
    errors of several kinds where there is no value.
    """

    def __init__(
        self,
        arrays: Arrays,
        classes: Mapping[str, type] | None = None,
        build: Callable[[type, dict[str, Any]], Any] | None = None,
    ) -> None:
        self.arrays = dict(arrays)
        self._classes, self._build = classes or {}, build or (lambda cls, content: cls(**content))

    def unpack(self, packed: Any, depth: int = 0) -> Any:
        """Return the value of some JSON."""
        if depth > MAX_DEPTH:
            raise ValueError("it is nested too deeply")
        if type(packed) is list:
            return [self.unpack(v, depth + 1) for v in packed]
        if type(packed) is not dict:
            return packed
        ((tag, content),) = packed.items()
        if tag in self._classes:
            inside = {name: self.unpack(v, depth + 1) for name, v in content.items()}
            return self._build(self._classes[tag], inside)
        if tag in _ARRAYS:
            dtype, read = _ARRAYS[tag]
            name, *others = content if type(content) is list else [content]
            array = self.arrays.pop(name)
            if dtype is not None and array.dtype != dtype:
                raise ValueError(f"tensor {name!r} has dtype {array.dtype} instead of {dtype}")
            return self._read_cells(array) if tag == "cells" else read(array, *others)
        if type(content) is not list:
            raise ValueError(f"the content of {tag!r} is not a list")
        parts = [self.unpack(v, depth + 1) for v in content]
        if tag in ("set", "frozenset", "dict"):
            if _are_crowded([key for key, _ in parts] if tag == "dict" else parts):
                raise ValueError(f"a {tag} has too many entries of the same hash")
            return {"set": set, "frozenset": frozenset, "dict": dict}[tag](parts)
        if tag == "tuple":
            return tuple(parts)
        if tag not in KINDS:
            raise ValueError(f"values of kind {tag!r} are not known")
        return KINDS[tag][2](*parts)

    def _read_cells(self, raw: NDArray[np.uint8]) -> NDArray[np.object_]:
        cells = parse_json(raw.tobytes().decode())
        if type(cells) is not list:
            raise ValueError("the cells are not a list")
        if {*map(type, cells)} - {str}:
            cells = [self.unpack(v) if type(v) in (dict, list) else v for v in cells]
            {*map(hash, cells)}  # a TypeError if one is not a category
        return object_array(cells)


def _fields(value: Any, at: str) -> dict[str, Any]:
    return {f.name: getattr(value, f.name) for f in fields(value)}


def _is_json(value: Any) -> bool:
    """Whether a value stands for itself in JSON."""
    kind = type(value)
    if kind is str:
        try:
            value.encode()
        except UnicodeEncodeError:
            return False
        return True
    if kind is int:
        return -(2**53) < value < 2**53
    return value is None or kind is bool or (kind is float and math.isfinite(value))


def _are_crowded(keys: Iterable[Hashable]) -> bool:
    return max(Counter(map(hash, keys)).values(), default=0) > MAX_EQUAL_HASHES


def _name_of(value: Any) -> str:
    kind = type(value)
    if callable(value) and hasattr(value, "__qualname__"):
        return f"the function or class {value.__qualname__}"
    return f"of type {kind.__module__}.{kind.__qualname__}"


def _unicode(points: NDArray[np.uint32]) -> NDArray[np.str_]:
    if points.ndim < 1 or points.shape[-1] == 0 or (points > 0x10FFFF).any():
        raise ValueError("no code points of strings")
    flat = np.ascontiguousarray(points).reshape(-1).view(f"<U{points.shape[-1]}")
    return flat.reshape(points.shape[:-1])


def _time_dtype(name: str) -> np.dtype[Any]:
    if not _TIME.fullmatch(name):
        raise ValueError(f"times of dtype {name!r} are not known")
    return np.dtype(name)


_ARRAYS: dict[str, tuple[Any, Callable[..., Any]]] = {
    "array": (None, lambda array: array),
    "array_f": (None, lambda array: array.T),
    "times": (np.int64, lambda array, name: array.view(_time_dtype(name))),
    "unicode": (np.uint32, _unicode),
    "cells": (np.uint8, lambda array: array),
}
"""By tag, the dtype in the file, and what makes the array of that and of the other content."""


def _as_text(kind: type) -> tuple[Callable[[Any], str], Callable[[str], Any]]:
    return str, kind


_OF_TEXT: dict[type, tuple[Callable[[Any], str], Callable[[str], Any]]] = {
    int: (hex, lambda x: int(x, 16)),
    float: (repr, float),
    str: (
        lambda v: v.encode("utf-8", "surrogatepass").hex(),
        lambda x: bytes.fromhex(x).decode("utf-8", "surrogatepass"),
    ),
    bytes: (bytes.hex, bytes.fromhex),
    np.bytes_: (lambda v: v.hex(), lambda x: np.bytes_(bytes.fromhex(x))),
    date: (date.isoformat, date.fromisoformat),
    **{kind: _as_text(kind) for kind in (Decimal, UUID, np.str_)},
    **{kind: _as_text(kind) for kind in (IPv4Address, IPv4Interface, IPv4Network)},
    **{kind: _as_text(kind) for kind in (IPv6Address, IPv6Interface, IPv6Network)},
    **{kind: _as_text(kind) for kind in (PosixPath, PurePosixPath, PureWindowsPath, WindowsPath)},
}
"""Types whose values are made of one text, with what makes the text and what makes the value."""

_LONG = {"int", "Decimal"}  # which take quadratic time to read


def _text_parts(value: Any) -> tuple[str]:
    text = _OF_TEXT[type(value)][0](value)
    if type(value).__name__ in _LONG and len(text) > MAX_DIGITS:
        raise UnrepresentableError(f"is a number of {len(text)} characters")
    return (text,)


def _read_text(name: str, text: Any) -> Any:
    if type(text) is not str or (name in _LONG and len(text) > MAX_DIGITS):
        raise ValueError(f"no {name} is made of {text!r:.80}")
    try:
        return _TEXT_READERS[name](text)
    except NotImplementedError:  # a path of the other system becomes one that never meets a disk
        return _TEXT_READERS[f"Pure{name}"](text)


def _number(name: str, value: Any) -> Any:
    if name not in NUMBERS or type(value) not in (bool, int, float):
        raise ValueError(f"{value!r} is not a number of dtype {name!r}")
    return np.dtype(name).type(value)


def _time64(name: str, count: int) -> Any:
    return np.array(count, np.int64).view(_time_dtype(name))[()]


def _fraction(numerator: Any, denominator: Any) -> Fraction:
    if type(numerator) is not int or type(denominator) is not int:
        raise ValueError("a fraction is made of two integers")
    return Fraction(numerator, denominator)


def _zone_code(zone: tzinfo | None) -> int | str | None:
    """The microseconds from UTC, or the name."""
    if zone is None:
        return None
    if type(zone) is timezone:
        return zone.utcoffset(None) // timedelta(microseconds=1)
    if type(zone) is not ZoneInfo or zone.key is None:
        raise UnrepresentableError(f"has a time zone {_name_of(zone)}, which is not zoneinfo's")
    if not _ZONE.fullmatch(zone.key):
        raise UnrepresentableError(f"has a time zone of the unknown name {zone.key!r:.80}")
    return zone.key


def _zone(code: Any) -> tzinfo | None:
    if code is None:
        return None
    if type(code) is int:
        return timezone(timedelta(microseconds=code)) if code else UTC
    if not _ZONE.fullmatch(code):
        raise ValueError(f"no time zone has the name {code!r:.80}")
    return ZoneInfo(code)


def _own_zone_parts(zone: tzinfo) -> tuple[Any]:
    code = _zone_code(zone)
    if _zone(code) != zone:  # not the one of its name, which alone is equal to itself
        raise UnrepresentableError(f"is a time zone of its own, {zone!r}")
    return (code,)


def _clock_parts(value: datetime | time) -> tuple[Any, ...]:
    naive = value.replace(tzinfo=None, fold=0)
    return type(value).__name__, naive.isoformat(), value.fold, _zone_code(value.tzinfo)


def _clock(name: str, text: str, fold: int, zone: Any) -> datetime | time:
    kind: Any = {"datetime": datetime, "time": time}[name]
    return kind.fromisoformat(text).replace(fold=fold, tzinfo=_zone(zone))


def _stamp_parts(value: pd.Timestamp) -> tuple[Any, ...]:
    parts = int(value.asm8.astype(np.int64)), value.unit, _zone_code(value.tz)
    _stamp(*parts)
    return parts


def _stamp(count: int, unit: str, zone: Any) -> Any:
    stamp = pd.Timestamp(_time64(f"datetime64[{unit}]", count))
    if not 1 <= stamp.year <= 9999:  # pandas' own limits are wider, and its operations fail there
        raise ValueError(f"a time is in the year {stamp.year}")
    return stamp if zone is None else stamp.tz_localize("UTC").tz_convert(_zone(zone))


def _period_parts(value: pd.Period) -> tuple[Any, ...]:
    _period(value.ordinal, value.freqstr)
    return value.ordinal, value.freqstr


def _period(ordinal: int, frequency: str) -> pd.Period:
    """The period; beyond the year 9999 pandas would compute with it, and wrongly."""
    found = _FREQUENCY.fullmatch(frequency)
    if found is None:
        raise ValueError(f"periods of frequency {frequency!r} are not known")
    most = min(8030 * _PERIODS_A_YEAR[found[found.lastindex or 0]], 2**63 - 1)  # from 1970 on
    value = pd.Period(ordinal=ordinal, freq=frequency) if abs(ordinal) <= most else None
    if type(ordinal) is not int or value is None or not 1 <= value.year <= 9999:
        raise ValueError(
            f"{ordinal!r} is not a period of frequency {frequency!r} up to the year 9999"
        )
    return value


def _interval(left: Any, right: Any, closed: Any) -> pd.Interval:
    for end in (left, right):
        if not isinstance(end, int | float | np.number | pd.Timestamp | pd.Timedelta):
            raise ValueError(
                f"an interval ends at {end!r}, which is not a number, time or duration"
            )
    return pd.Interval(left, right, closed)


def _index_parts(index: pd.Index) -> tuple[Any, ...]:
    if index.dtype == object or str(index.dtype) == "str":
        return index.to_numpy(dtype=object), index.name, str(index.dtype)
    if not isinstance(index.dtype, np.dtype):
        raise UnrepresentableError(
            f"has an index of dtype {index.dtype}; give it by `.astype(object)`"
        )
    return index.to_numpy(), index.name, None


def _index(values: Any, name: Any, dtype: str | None) -> pd.Index:
    if type(values) is not np.ndarray or dtype not in ("object", "str", None):
        raise ValueError("no index")
    if dtype == "str" and not all(type(v) is str or pd.isna(v) for v in values):
        raise ValueError("an index of strings holds something else")
    return pd.Index(values, name=name, dtype=dtype, tupleize_cols=False)


def _frame_parts(frame: pd.DataFrame) -> tuple[Any, ...]:
    for name, dtype in zip(frame.columns, frame.dtypes, strict=True):
        if not isinstance(dtype, np.dtype) or dtype.name not in NUMBERS:
            raise UnrepresentableError(
                f"has a column {name!r} of dtype {dtype} in a data frame; give NumPy's numbers, "
                "by `.astype('float64')`"
            )
    columns = [frame.iloc[:, j].to_numpy() for j in range(frame.shape[1])]
    return columns, frame.index, frame.columns


def _frame(columns: Any, index: Any, names: Any) -> pd.DataFrame:
    # Of a scalar pandas would make as many copies as the index has entries.
    if any(type(c) is not np.ndarray or c.shape != (len(index),) for c in columns):
        raise ValueError("columns of a data frame and its index differ in length")
    frame = pd.DataFrame(dict(enumerate(columns)), index=index)
    frame.columns = names
    return frame


def _series_parts(series: pd.Series) -> tuple[Any, ...]:
    if not isinstance(series.dtype, np.dtype):
        raise UnrepresentableError(f"is a series of dtype {series.dtype}; give a NumPy array")
    return series.to_numpy(), series.index, series.name


def _series(data: Any, index: Any, name: Any) -> pd.Series:
    if type(data) is not np.ndarray or data.shape != (len(index),):
        raise ValueError("values of a series and its index differ in length")
    return pd.Series(data, index=index, name=name)


def _random_parts(random: np.random.RandomState) -> tuple[Any, ...]:
    state = random.get_state(legacy=False)
    if state["bit_generator"] != "MT19937":
        raise UnrepresentableError(f"runs on {state['bit_generator']}; give an integer")
    return state["state"]["key"], state["state"]["pos"], state["has_gauss"], state["gauss"]


def _random(key: Any, pos: int, has_gauss: int, gauss: float) -> np.random.RandomState:
    fits = type(key) is np.ndarray and key.dtype == np.uint32 and key.shape == (624,)
    if not fits or type(pos) is not int or not 0 <= pos <= 624 or has_gauss not in (0, 1):
        raise ValueError("no state of a RandomState")
    random = np.random.RandomState(0)
    random.set_state(("MT19937", key, pos, has_gauss, float(gauss)))
    return random


def _splitter_parts(splitter: Any) -> tuple[Any, ...]:
    name = type(splitter).__name__
    return name, {p: getattr(splitter, p) for p in _SPLITTERS[name]}


def _splitter(name: str, params: dict[str, Any]) -> Any:
    if set(params) != set(_SPLITTERS[name]):
        raise ValueError(f"parameters of {name} are {sorted(params)}")
    return getattr(model_selection, name)(**params)


_NUMPY_NUMBERS = {*(np.dtype(name).type for name in NUMBERS), np.longlong, np.ulonglong}

KINDS: dict[str, tuple[tuple[type, ...], Callable[[Any], Iterable[Any]], Callable[..., Any]]] = {
    **{k.__name__: ((k,), _text_parts, partial(_read_text, k.__name__)) for k in _OF_TEXT},
    "number": ((*_NUMPY_NUMBERS,), lambda v: (v.dtype.name, v.item()), _number),
    "time64": (
        (np.datetime64, np.timedelta64),
        lambda v: (v.dtype.name, int(v.astype(np.int64))),
        _time64,
    ),
    "missing": (
        (type(pd.NA), type(pd.NaT)),
        lambda v: (str(v),),
        lambda x: {"<NA>": pd.NA, "NaT": pd.NaT}[x],
    ),
    "clock": ((datetime, time), _clock_parts, _clock),
    "timedelta": ((timedelta,), lambda v: (v.days, v.seconds, v.microseconds), timedelta),
    "zone": ((timezone, ZoneInfo), _own_zone_parts, _zone),
    "fraction": ((Fraction,), Fraction.as_integer_ratio, _fraction),
    "timestamp": ((pd.Timestamp,), _stamp_parts, _stamp),
    "pd_timedelta": (
        (pd.Timedelta,),
        lambda v: (f"timedelta64[{v.unit}]", int(v.asm8.astype(np.int64))),
        lambda name, count: pd.Timedelta(_time64(name, count)),
    ),
    "period": ((pd.Period,), _period_parts, _period),
    "interval": ((pd.Interval,), lambda v: (v.left, v.right, v.closed), _interval),
    "frame": ((pd.DataFrame,), _frame_parts, _frame),
    "series": ((pd.Series,), _series_parts, _series),
    "range": (
        (pd.RangeIndex,),
        lambda i: (i.start, i.stop, i.step, i.name),
        lambda start, stop, step, name: pd.RangeIndex(start, stop, step, name=name),
    ),
    "index": ((pd.Index, pd.DatetimeIndex, pd.TimedeltaIndex), _index_parts, _index),
    "random_state": ((np.random.RandomState,), _random_parts, _random),
    "splitter": (
        tuple(getattr(model_selection, name) for name in _SPLITTERS),
        _splitter_parts,
        _splitter,
    ),
}
"""By tag, the very types whose values are stored in parts, what gives the parts, and what makes a
value of them: all values that are neither JSON, containers, arrays nor dataclasses."""

_TEXT_READERS = {kind.__name__: read for kind, (_, read) in _OF_TEXT.items()}
_TAG_OF = {kind: tag for tag, (kinds, _, _) in KINDS.items() for kind in kinds}
