"""Single values to JSON and back, over a closed set of types, and cells made of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterable
from enum import Enum
from typing import Any

import pandas as pd

from sk_entity_embed.export.saving.kinds import KIND_OF, READERS
from sk_entity_embed.export.saving.plain import PLAIN_READERS, UnrepresentableError, pack_plain

MAX_DEPTH = 40
"""Levels of containers inside containers."""

MAX_EQUAL_HASHES = 100
"""Entries of a set, or keys of a dict, that may have one hash. Each is compared with all others of
its hash, so that many take quadratic time. By chance there are two or three: multiples of 2**61 - 1
hash alike, and so do floats that differ by 61 binary places."""

CATEGORIES = (
    "strings, bytes, numbers, booleans, dates, times, durations, periods, intervals, time zones, "
    "decimals, fractions, UUIDs, IP addresses, paths, and tuples and frozen sets of these"
)
"""What a cell can be, in words."""

BUILDERS: dict[str, Callable[[Iterable[Any]], Any]] = {
    "tuple": tuple,
    "set": lambda items: set(_spread(items)),
    "frozenset": lambda items: frozenset(_spread(items)),
}
"""Containers by tag."""

_READERS: dict[str, Callable[[Any], Any]] = {
    **PLAIN_READERS,
    **READERS,
    "missing": lambda x: {"<NA>": pd.NA, "NaT": pd.NaT}[x],
}


def pack_scalar(value: Any, at: str, depth: int = 0) -> Any:
    """The JSON of a single value.

    Parameters
    ----------
    value : object
        The value.
    at : str
        Where it is, for the error.
    depth : int, default=0
        Containers around it.

    Raises
    ------
    UnrepresentableError
        If it is of another type.
    """
    kind = KIND_OF.get(type(value))
    if kind is not None:
        return {kind.tag: kind.describe(value, at)}
    if value is pd.NA or value is pd.NaT:
        return {"missing": str(value)}
    if isinstance(value, Enum):
        return _pack_member(value, at, depth)
    return pack_plain(value, at)


def unpack_scalar(tag: str, content: Any) -> Any:
    """The value of a tag and its content; errors of several kinds where there is none."""
    if tag not in _READERS:
        raise ValueError(f"values of kind {tag!r} are not known")
    return _READERS[tag](content)


def _pack_member(member: Enum, at: str, depth: int) -> Any:
    """The JSON of the value that a member of an enumeration equals, as those of StrEnum do.

    A file does not hold the class, which is code: the member comes back as this value, which
    stands in for it in every look-up.
    """
    value = member.value
    try:
        stands_in = value == member and hash(value) == hash(member)
    except TypeError:
        stands_in = False  # it cannot be hashed
    if stands_in:
        return pack_cell(value, at, depth)
    raise UnrepresentableError(
        f"{at} is {member}, a member of an enumeration: its class is code of yours, and it does "
        "not equal a plain value, as members of StrEnum and IntEnum do. Take its `.name` or its "
        "`.value` before fit"
    )


def pack_cell(value: Any, at: str, depth: int = 0) -> Any:
    """The JSON of a cell of an object array: a scalar, or a tuple or frozen set of cells."""
    if type(value) in (tuple, frozenset):
        if depth >= MAX_DEPTH:
            raise UnrepresentableError(f"{at} is nested more than {MAX_DEPTH} deep")
        if type(value) is frozenset:
            check_hashes(value, at)
        return {type(value).__name__: [pack_cell(v, at, depth + 1) for v in value]}
    return pack_scalar(value, at, depth)


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


def are_crowded(keys: Iterable[Hashable]) -> bool:
    """Whether so many values have one hash that a set or a dict of them takes quadratic time."""
    return max(Counter(map(hash, keys)).values(), default=0) > MAX_EQUAL_HASHES


def check_hashes(keys: Collection[Hashable], at: str) -> None:
    """Refuse to store a set, or keys of a dict, that no file may hold.

    Parameters
    ----------
    keys : collection
        The entries.
    at : str
        Where they are, for the error.

    Raises
    ------
    UnrepresentableError
        If too many have the same hash.
    """
    if are_crowded(keys):
        raise UnrepresentableError(
            f"{at} has more than {MAX_EQUAL_HASHES} entries of the same hash, which Python takes "
            "very long to look up; give them as strings"
        )


def _spread(items: Iterable[Any]) -> list[Any]:
    entries = list(items)
    if are_crowded(entries):
        raise ValueError("a set has too many entries of the same hash")
    return entries


def as_list(content: Any) -> list[Any]:
    """What has to be a JSON array."""
    if type(content) is not list:
        raise ValueError("a sequence is no list")
    return content
