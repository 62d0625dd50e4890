"""A hash table of many keys that is built once, where Arrow builds one for every look-up.

Keys and cells are compared by all of their bytes, eight at a time: a number has one such *word*, a
string as many as it needs and, last, its length.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

LONGEST = 64
"""Bytes of the longest string that may be a key."""

_BLOCK = 65_536  # Values at a time, which nearly stay in cache with all that is made of them.
_MIX = np.uint64(0x9E3779B97F4A7C15)  # 2**64 divided by the golden ratio
_HALF = np.uint64(32)
_BYTE = np.uint64(8)
_FIRST = np.array([(1 << 8 * n) - 1 for n in range(9)], dtype=np.uint64)  # n bytes of a word

_Words = NDArray[np.uint64]
_Positions = NDArray[np.int32]
_Slots = NDArray[np.int64]


class KeyIndex:
    """Positions of distinct numbers of 64 bits, or strings that :func:`fits`, by linear probing."""

    __slots__ = ("_keys", "_shift", "_slots")

    def __init__(self, keys: pa.Array) -> None:
        self._keys = np.empty((_n_words(keys), len(keys)), dtype=np.uint64)
        bits = (4 * len(keys)).bit_length()  # three quarters of the slots or more stay free
        self._shift = np.uint64(64 - bits)
        self._slots = np.full(1 << bits, -1, dtype=np.int32)
        slots = np.empty(len(keys), dtype=np.int64)
        for at in _blocks(len(keys)):
            self._keys[:, at] = words = _words(keys[at], len(self._keys))
            slots[at] = self._home(words)
        waiting = np.arange(len(keys), dtype=np.int32)
        while len(waiting):
            free = self._slots[slots] < 0
            self._slots[slots[free]] = waiting[free]  # of several keys the last one stays
            moved = self._slots[slots] != waiting
            waiting, slots = waiting[moved], self._next(slots[moved])

    def find(self, cells: pa.Array) -> _Positions:
        """Position of each cell, of the keys' type, among the keys; -1 if it is null or no key."""
        found = np.empty(len(cells), dtype=np.int32)
        for at in _blocks(len(cells)):
            block = _without_long(cells[at])
            positions = self._probe(_words(block, len(self._keys)))
            if block.null_count:
                positions[block.is_null().to_numpy(zero_copy_only=False)] = -1
            found[at] = positions
        return found

    def _probe(self, words: _Words) -> _Positions:
        slots = self._home(words)
        found = _take(self._slots, slots)
        others = np.flatnonzero(self._differ(found, words))
        slots = slots[others]
        while len(others):
            slots = self._next(slots)
            found[others] = at = _take(self._slots, slots)
            going_on = self._differ(at, words[:, others])
            others, slots = others[going_on], slots[going_on]
        return found

    def _differ(self, positions: _Positions, words: _Words) -> NDArray[np.bool_]:
        """Whether there are keys at the positions and they have other words."""
        differ: NDArray[np.bool_] = _take(self._keys[0], positions) != words[0]
        for own, word in zip(self._keys[1:], words[1:], strict=True):
            differ |= _take(own, positions) != word
        differ &= positions >= 0
        return differ

    def _home(self, words: _Words) -> _Slots:
        """The slot in which values of such words are looked for first."""
        slots: _Slots = (mix(words) >> self._shift).astype(np.int64)
        return slots

    def _next(self, slots: _Slots) -> _Slots:
        return (slots + 1) & (len(self._slots) - 1)


def mix(words: NDArray[np.unsignedinteger[Any]]) -> NDArray[np.uint64]:
    """A number for each column of an array of words, equal for equal columns."""
    mixed: NDArray[np.uint64] = words[0] * _MIX
    for word in words[1:]:
        mixed ^= mixed >> _HALF
        mixed += word
        mixed *= _MIX
    return mixed


def _take(values: NDArray[Any], positions: NDArray[np.signedinteger[Any]]) -> NDArray[Any]:
    """Values at the positions, quicker than by brackets; the first one's at position -1."""
    return np.take(values, positions, mode="clip")


def _without_long(cells: pa.Array) -> pa.Array:
    """Strings that are longer than any key as null, where they take much memory."""
    if not is_text(cells):
        return cells
    offsets = _offsets(cells)
    if offsets[-1] - offsets[0] <= _BLOCK * LONGEST:
        return cells
    return pc.if_else(pc.greater(pc.binary_length(cells), LONGEST), None, cells)


def fits(keys: pa.Array) -> bool:
    """Whether no key is a string longer than `LONGEST`."""
    return not is_text(keys) or int(np.diff(_offsets(keys)).max(initial=0)) <= LONGEST


def is_text(array: pa.Array) -> bool:
    """Whether an Arrow array holds strings."""
    return bool(pa.types.is_large_string(array.type))


def _blocks(n: int) -> Iterator[slice]:
    return (slice(start, min(start + _BLOCK, n)) for start in range(0, n, _BLOCK))


def _offsets(array: pa.Array) -> NDArray[np.int64]:
    """Positions at which the bytes of each string begin."""
    return np.frombuffer(array.buffers()[1], np.int64, len(array) + 1, 8 * array.offset)


def _n_words(keys: pa.Array) -> int:
    """Words of the longest key."""
    return 1 + -(-int(np.diff(_offsets(keys)).max(initial=0)) // 8) if is_text(keys) else 1


def _words(array: pa.Array, n_words: int) -> _Words:
    """Words of each value; a longer string than the keys differs from all by its length."""
    if not is_text(array):
        numbers = np.frombuffer(array.buffers()[1], np.uint64, len(array), 8 * array.offset)
        return numbers[None, :]
    offsets = _offsets(array)
    first, lengths = offsets[:-1] - offsets[0], np.diff(offsets)
    n_bytes = int(offsets[-1] - offsets[0])
    # A copy begins and ends where words do, whatever buffer the strings are in.
    data = np.zeros(n_bytes // 8 + n_words + 1, dtype="<u8")
    if n_bytes:
        data.view(np.uint8)[:n_bytes] = np.frombuffer(
            array.buffers()[2], np.uint8, n_bytes, int(offsets[0])
        )
    at, shift = first >> 3, (first & 7).astype(np.uint64) * _BYTE
    words = np.empty((n_words, len(array)), dtype=np.uint64)
    for w in range(n_words - 1):
        words[w] = data[at + w] >> shift
        words[w] |= data[at + (w + 1)] << (np.uint64(64) - shift)  # a shift by 64 gives 0
        words[w] &= _FIRST[np.clip(lengths - 8 * w, 0, 8)]
    words[-1] = lengths
    return words
