"""Types of the standard library and of pandas whose values have an exact form, in one table.

A value is stored as numbers and text, and made of these again by a function named here. Nothing
that a file says is looked up anywhere else, and what pandas computes wrongly is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from fractions import Fraction
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
)
from pathlib import PosixPath, PurePosixPath, PureWindowsPath, WindowsPath
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from sk_entity_embed.export.saving.plain import (
    UnrepresentableError,
    digits,
    pack_plain,
    read_time64,
    short,
    unpack_plain,
)

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
"""Names of time zones. The longest that is known has 38 characters and 4 parts, with its folder.
Python looks for each part in a call of its own, and has no more calls than the stack is deep."""

_OF_TEXT = {
    kind.__name__: kind
    for kind in (
        *(IPv4Address, IPv6Address, IPv4Network, IPv6Network, IPv4Interface, IPv6Interface),
        *(PurePosixPath, PureWindowsPath, PosixPath, WindowsPath),
    )
}
"""Types that make an equal value of a value's text, by name."""


@dataclass(frozen=True, slots=True)
class Kind:
    """How values of some types are stored.

    Attributes
    ----------
    tag : str
        What stands before them in a file.
    types : tuple of type
        The very types; subclasses have values of another kind.
    describe : callable
        From a value, and where it is, to JSON.
    read : callable
        From this JSON to a value; raises errors of several kinds for any other.
    """

    tag: str
    types: tuple[type, ...]
    describe: Callable[[Any, str], Any]
    read: Callable[[Any], Any]


def pack_zone(zone: tzinfo | None, at: str) -> Any:
    """The JSON of a time zone: its offset from UTC, or its name."""
    if zone is None:
        return None
    if type(zone) is timezone:
        offset = zone.utcoffset(None)
        return [offset.days, offset.seconds, offset.microseconds]
    if type(zone) is ZoneInfo and zone.key is not None:
        if not _ZONE.fullmatch(zone.key):
            raise UnrepresentableError(f"{at} has a time zone of the unknown name {zone.key!r:.80}")
        return zone.key
    kind = f"{type(zone).__module__}.{type(zone).__qualname__}"
    raise UnrepresentableError(f"{at} has a time zone of type {kind}, which is not zoneinfo's")


def _zone(packed: Any) -> tzinfo | None:
    return None if packed is None else _some_zone(packed)


def _some_zone(packed: Any) -> tzinfo:
    if type(packed) is list:
        offset = timedelta(*packed)
        return timezone(offset) if offset else UTC
    if not _ZONE.fullmatch(packed):
        raise ValueError(f"no time zone has the name {packed!r:.80}")
    return ZoneInfo(packed)


def _pack_some_zone(zone: tzinfo, at: str) -> Any:
    packed = pack_zone(zone, at)
    if _some_zone(packed) != zone:  # not the one of its name, which alone is equal to itself
        raise UnrepresentableError(f"{at} is a time zone of its own, {zone!r}")
    return packed


def _clock(value: datetime | time, at: str) -> list[Any]:
    naive = value.replace(tzinfo=None, fold=0)
    return [naive.isoformat(), value.fold, pack_zone(value.tzinfo, at)]


def _count(value: pd.Timestamp | pd.Timedelta) -> int:
    """Units since the epoch, or of a duration."""
    return int(value.asm8.astype(np.int64))


def _stamp(value: pd.Timestamp, at: str) -> list[Any]:
    if not 1 <= value.year <= 9999:
        raise UnrepresentableError(f"{at} is a time in the year {value.year}")
    return [pack_plain(_count(value), at), value.unit, pack_zone(value.tz, at)]


def _read_stamp(count: int, unit: str, zone: Any) -> Any:
    stamp = pd.Timestamp(read_time64(f"datetime64[{unit}]", count))
    if not 1 <= stamp.year <= 9999:  # pandas' own limits are wider, and its operations fail there
        raise ValueError(f"a time is in the year {stamp.year}")
    return stamp if zone is None else stamp.tz_localize("UTC").tz_convert(_zone(zone))


def _period(value: pd.Period, at: str) -> list[Any]:
    try:
        _read_period(value.ordinal, value.freqstr)
    except ValueError as error:
        raise UnrepresentableError(f"{at} is {value!r}, and {error}") from error
    return [value.ordinal, value.freqstr]


def _read_period(ordinal: int, frequency: str) -> pd.Period:
    """The period; beyond the year 9999 pandas would compute with it, and wrongly."""
    found = _FREQUENCY.fullmatch(frequency)
    if found is None:
        raise ValueError(f"periods of frequency {frequency!r} are not known")
    most = min(8030 * _PERIODS_A_YEAR[found[found.lastindex or 0]], 2**63 - 1)  # from 1970 on
    if type(ordinal) is not int or abs(ordinal) > most:
        raise ValueError(f"{ordinal!r} is no period of frequency {frequency!r}")
    value = pd.Period(ordinal=ordinal, freq=frequency)
    if not 1 <= value.year <= 9999:
        raise ValueError(f"a period is in the year {value.year}")
    return value


def _pack_end(end: Any, at: str) -> Any:
    kind = KIND_OF.get(type(end))
    return pack_plain(end, at) if kind is None else {kind.tag: kind.describe(end, at)}


def _read_end(packed: Any) -> Any:
    tag = next(iter(packed), None) if type(packed) is dict else None
    end = (
        READERS[tag](packed[tag]) if tag in ("timestamp", "pd_timedelta") else unpack_plain(packed)
    )
    if not isinstance(end, int | float | np.number | pd.Timestamp | pd.Timedelta):
        raise ValueError(f"an interval ends at {end!r}, which is no number, time or duration")
    return end


def _read_interval(left: Any, right: Any, closed: Any) -> pd.Interval:
    return pd.Interval(_read_end(left), _read_end(right), closed)


def _read_fraction(*parts: Any) -> Fraction:
    numerator, denominator = map(unpack_plain, parts)
    if type(numerator) is not int or type(denominator) is not int:
        raise ValueError("a fraction is made of two integers")
    return Fraction(numerator, denominator)


def _read_text(name: str, packed: Any) -> Any:
    """A value of its text; for a path of the other system, the type that never meets a disk."""
    text = unpack_plain(packed)
    if type(text) is not str:
        raise ValueError(f"{name} is made of text")
    try:
        return _OF_TEXT[name](text)
    except NotImplementedError:
        return _OF_TEXT[f"Pure{name}"](text)


KINDS = (
    Kind("bytes", (bytes,), lambda v, at: v.hex(), bytes.fromhex),
    Kind("date", (date,), lambda v, at: v.isoformat(), date.fromisoformat),
    Kind(
        "datetime",
        (datetime,),
        _clock,
        lambda x: datetime.fromisoformat(x[0]).replace(fold=x[1], tzinfo=_zone(x[2])),
    ),
    Kind(
        "time",
        (time,),
        _clock,
        lambda x: time.fromisoformat(x[0]).replace(fold=x[1], tzinfo=_zone(x[2])),
    ),
    Kind(
        "timedelta",
        (timedelta,),
        lambda v, at: [v.days, v.seconds, v.microseconds],
        lambda x: timedelta(days=x[0], seconds=x[1], microseconds=x[2]),
    ),
    Kind("zone", (timezone, ZoneInfo), _pack_some_zone, _some_zone),
    Kind("decimal", (Decimal,), lambda v, at: short(str(v), at), lambda x: Decimal(digits(x))),
    Kind(
        "fraction",
        (Fraction,),
        lambda v, at: [pack_plain(n, at) for n in v.as_integer_ratio()],
        lambda x: _read_fraction(*x),
    ),
    Kind("uuid", (UUID,), lambda v, at: v.hex, lambda x: UUID(hex=x)),
    Kind(
        "of_text",
        tuple(_OF_TEXT.values()),
        lambda v, at: [type(v).__name__, pack_plain(str(v), at)],
        lambda x: _read_text(*x),
    ),
    Kind("timestamp", (pd.Timestamp,), _stamp, lambda x: _read_stamp(*x)),
    Kind(
        "pd_timedelta",
        (pd.Timedelta,),
        lambda v, at: [pack_plain(_count(v), at), v.unit],
        lambda x: pd.Timedelta(read_time64(f"timedelta64[{x[1]}]", x[0])),
    ),
    Kind("period", (pd.Period,), _period, lambda x: _read_period(*x)),
    Kind(
        "interval",
        (pd.Interval,),
        lambda v, at: [_pack_end(v.left, at), _pack_end(v.right, at), v.closed],
        lambda x: _read_interval(*x),
    ),
)
"""All of them."""

KIND_OF = {kind: found for found in KINDS for kind in found.types}
"""The kind of a type's values."""

READERS = {kind.tag: kind.read for kind in KINDS}
"""What makes a value of a tag's content."""
