"""Names of rows that last: a row that is seen twice is known again by its content, or its group.

A name is a number of 64 bits. It depends on values alone, not on the container, on the rows before
or on the process, so that folds drawn by it stay the same for ever.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.util import hash_array

from sk_entity_embed.input.lists import Codes, Lists

Keys: TypeAlias = NDArray[np.uint64]

_STEP = np.uint64(0x9E3779B97F4A7C15)
_MISSING = np.uint64(0x6D697373696E6721)
_REALS = (bool, np.bool_, int, np.integer, float, np.floating, Decimal, Fraction)


def mixed(keys: Keys, salt: int = 0) -> Keys:
    """Return numbers without any pattern, one for each key (the finaliser of splitmix64)."""
    with np.errstate(over="ignore"):
        z = keys + np.uint64(salt) * _STEP + _STEP
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        out: Keys = z ^ (z >> np.uint64(31))
    return out


def shares(keys: Keys, salt: int) -> NDArray[np.float64]:
    """Return numbers from 0 to 1, evenly spread, one for each key."""
    return (mixed(keys, salt) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def hash_values(values: NDArray[Any]) -> Keys:
    """Return a hash of each value that is equal for equal ones: 1, 1.0 and True are one value."""
    if values.dtype.kind in "mM":  # numbers of a unit, which may be another one the next time
        values = pd.Series(values).astype(object).to_numpy()
    texts = np.array([_text(value) for value in values.tolist()], dtype=object)
    hashed: Keys = hash_array(texts, categorize=False)
    return hashed


def hash_groups(groups: NDArray[Any]) -> Keys:
    """Return a hash of each row's group."""
    codes, labels = pd.factorize(groups)
    return mixed(hash_values(np.asarray(labels)))[codes]


def hash_cells(categories: Keys, positions: Codes) -> Keys:
    """Return a hash of each cell of a column, from those of its categories, without missing.

    `positions` say which of them each cell, or each item of a list, holds; one more is missing.
    """
    known = np.append(categories, _MISSING)
    if isinstance(positions, Lists):
        return _hash_lists(known, positions)
    cells: Keys = known[positions]
    return cells


def hash_rows(cells: Sequence[Keys], numbers: NDArray[np.float64]) -> Keys:
    """Return a hash of each row, from those of its cells and from its `numbers`."""
    keys = np.zeros(len(numbers), dtype=np.uint64)
    for column in cells:
        keys = mixed(keys ^ column)
    return _with_numbers(keys, numbers)


def hash_examples(rows: Keys, target: NDArray[np.float64]) -> Keys:
    """Return a hash of each row with its target."""
    return _with_numbers(rows, target)


def numbered(keys: Keys) -> Keys:
    """Tell equal keys apart by how many of them came before."""
    times = pd.Series(keys).groupby(keys, sort=False).cumcount().to_numpy()
    out = keys.copy()
    again = times > 0
    out[again] = mixed(keys[again] ^ mixed(times[again].astype(np.uint64)))
    return out


def share_of_repeated(keys: Keys) -> float:
    """Return the share of keys that are there more than once."""
    codes, labels = pd.factorize(keys)
    return float((np.bincount(codes, minlength=len(labels)) > 1)[codes].mean())


def _with_numbers(keys: Keys, numbers: NDArray[np.float64]) -> Keys:
    for column in numbers.T:
        values = np.where(np.isnan(column), np.nan, column + 0.0)  # one NaN, and -0.0 is 0.0
        keys = mixed(keys ^ np.ascontiguousarray(values).view(np.uint64))
    return keys


def _hash_lists(known: Keys, lists: Lists) -> Keys:
    """Return a hash of each list, in which the order of items counts."""
    within = np.arange(len(lists.items)) - np.repeat(lists.offsets[:-1], lists.lengths)
    items = mixed(known[lists.items] ^ mixed(within.astype(np.uint64)))
    sums = np.zeros(len(lists), dtype=np.uint64)
    np.add.at(sums, lists.rows, items)
    return mixed(sums ^ lists.lengths.astype(np.uint64))


def _text(value: Hashable) -> bytes:
    if isinstance(value, str):
        return b"t" + value.encode("utf-8", "surrogatepass")
    if isinstance(value, _REALS):
        try:
            return (
                f"n{int(value)}".encode() if value == int(value) else f"n{float(value)!r}".encode()
            )
        except (OverflowError, ValueError):
            return f"n{value}".encode()
    if isinstance(value, bytes):
        return b"b" + value
    return f"{type(value).__name__} {value!r}".encode("utf-8", "surrogatepass")
