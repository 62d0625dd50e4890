"""Numbers and text, of Python and of NumPy, to JSON and back."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np

MAX_DIGITS = 10_000
"""Characters of one decimal number or integer: long ones take quadratic time."""

NUMBERS = {"bool", "float16", "float32", "float64"} | {
    f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)
}
"""Names of the dtypes whose numbers can be stored."""

_TIME = re.compile(r"(datetime64|timedelta64)(\[[0-9]{0,6}(Y|M|W|D|h|m|s|ms|us|ns|ps|fs|as)\])?")


class UnrepresentableError(Exception):
    """A value is of a type that has no place in a file; says where, and what it is."""


def pack_plain(value: Any, at: str) -> Any:
    """The JSON of None, a boolean, a number or text.

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
        return value if abs(value) < 2**53 else {"int": short(hex(value), at)}
    if kind is float:
        return value if math.isfinite(value) else {"float": repr(value)}
    if kind is str:
        return {"str": value.encode("utf-8", "surrogatepass").hex()} if _is_lone(value) else value
    if isinstance(value, np.generic):
        return _pack_numpy(value, at)
    raise UnrepresentableError(f"{at} is {_name_of(value)}")


def unpack_plain(packed: Any) -> Any:
    """The value of some JSON that :func:`pack_plain` makes; errors of several kinds otherwise."""
    if type(packed) is dict:
        ((tag, content),) = packed.items()
        if tag not in PLAIN_READERS:
            raise ValueError(f"no plain value: {tag!r}")
        return PLAIN_READERS[tag](content)
    if type(packed) is list:
        raise ValueError("no plain value: a list")
    return packed  # a number, a string, a boolean or None


def short(text: str, at: str) -> str:
    """A number's digits, if they are not too many to store."""
    if len(text) > MAX_DIGITS:
        raise UnrepresentableError(f"{at} is a number of {len(text)} characters")
    return text


def digits(text: str) -> str:
    """A number's digits, if they are not too many to read."""
    if len(text) > MAX_DIGITS:
        raise ValueError("a number has too many digits")
    return text


def time_dtype(name: str) -> np.dtype[Any]:
    """A dtype of times or durations by its name."""
    if not _TIME.fullmatch(name):
        raise ValueError(f"times of dtype {name!r} are not known")
    return np.dtype(name)


def read_time64(name: str, packed: Any) -> Any:
    """A time or a duration of NumPy, of the name of its dtype and its number."""
    return np.array(unpack_plain(packed), np.int64).view(time_dtype(name))[()]


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


def _pack_numpy(value: np.generic[Any], at: str) -> dict[str, Any]:
    name = value.dtype.name
    if name in NUMBERS:
        return {"scalar": [name, pack_plain(value.item(), at)]}
    if value.dtype.kind in "mM":
        return {"time64": [name, pack_plain(int(value.astype(np.int64)), at)]}
    if type(value) is np.str_:
        return {"np_str": pack_plain(str(value), at)}
    if type(value) is np.bytes_:
        return {"np_bytes": value.hex()}
    raise UnrepresentableError(f"{at} is {_name_of(value)}")


def _number(name: str, packed: Any) -> np.generic[Any]:
    if name not in NUMBERS:
        raise ValueError(f"numbers of dtype {name!r} are not known")
    value: np.generic[Any] = np.dtype(name).type(unpack_plain(packed))
    return value


PLAIN_READERS: dict[str, Callable[[Any], Any]] = {
    "int": lambda x: int(digits(x), 16),
    "float": lambda x: {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}[x],
    "str": lambda x: bytes.fromhex(x).decode("utf-8", "surrogatepass"),
    "scalar": lambda x: _number(*x),
    "time64": lambda x: read_time64(*x),
    "np_str": lambda x: np.str_(unpack_plain(x)),
    "np_bytes": lambda x: np.bytes_(bytes.fromhex(x)),
}
"""What makes a value of a tag's content."""
