"""A hash table of many keys that is built once, where Arrow builds one for every look-up.

Keys and cells are compared by all of their bytes, eight at a time, as *words*. A number has one
word, a string as many as the longest key, filled up with 0xFF, a byte that is in no text.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

LONGEST = 64
"""Bytes of the longest string that may be a key."""

_BLOCK = 32_768  # Values at a time, which stay in cache with all that is made of them.
_MIX = np.uint64(0x9E3779B97F4A7C15)  # 2**64 divided by the golden ratio
_HALF = np.uint64(32)
_WORD = np.dtype("<u8")
_FILL = np.array([2**64 - (1 << 8 * n) for n in range(9)], dtype=np.uint64)
"""What fills up a word of which a string has n bytes."""

_Words: TypeAlias = NDArray[np.uint64]
_Positions: TypeAlias = NDArray[np.int32]
_Slots: TypeAlias = NDArray[np.int64]
_Mask: TypeAlias = NDArray[np.bool_]
_Pending: TypeAlias = tuple[NDArray[np.intp], _Slots, _Words]


class KeyIndex:
    """Positions of distinct numbers of 64 bits, or strings that :func:`fits`, by linear probing."""

    __slots__ = ("_keys", "_shift", "_slots")

    def __init__(self, keys: pa.Array) -> None:
        self._keys = np.empty((_n_words(keys), len(keys)), dtype=np.uint64)
        bits = (4 * len(keys)).bit_length()  # three quarters of the slots or more stay free
        self._shift = np.uint64(64 - bits)
        self._slots = np.full(1 << bits, -1, dtype=np.int32)
        memory = _Memory(len(keys), len(self._keys))
        waiting: list[tuple[_Positions, _Slots]] = []
        for at in _blocks(len(keys)):
            self._keys[:, at] = words = memory.words_of(keys[at])
            own, home = np.arange(at.start, at.stop, dtype=np.int32), self._home(words, memory)
            moved = self._claim(own, home)
            waiting.append((own[moved], home[moved]))
        own, slots = map(np.concatenate, zip(*waiting, strict=True))
        while len(own):
            slots = self._next(slots)
            moved = self._claim(own, slots)
            own, slots = own[moved], slots[moved]

    def find(self, cells: pa.Array, other: int = -1) -> _Positions:
        """Position of each cell, of the keys' type, among the keys; `other` if null or no key."""
        found = np.empty(len(cells), dtype=np.int32)
        memory = _Memory(len(cells), len(self._keys))
        pending: list[_Pending] = []
        n_pending = 0
        for at in _blocks(len(cells)):
            block, positions = _without_long(cells[at]), found[at]
            words = memory.words_of(block)
            slots = self._home(words, memory)
            np.take(self._slots, slots, out=positions, mode="clip")
            if memory.longest > 8 * len(words):
                positions[memory.lengths[: len(block)] > 8 * len(words)] = -1
            if block.null_count:
                positions[block.is_null().to_numpy(zero_copy_only=False)] = -1
            others = np.flatnonzero(self._differ(positions, words, memory))
            others = others[positions[others] >= 0]
            positions[positions < 0] = other
            if len(others):
                pending.append((at.start + others, slots[others], np.take(words, others, axis=1)))
                n_pending += len(others)
            # Those of several blocks together, for most blocks have few.
            if n_pending and (n_pending >= _BLOCK or at.stop == len(cells)):
                self._go_on(found, other, pending)
                pending, n_pending = [], 0
        return found

    def _home(self, words: _Words, memory: _Memory) -> _Slots:
        """The slot in which values of such words are looked for first."""
        hashes, buffer = memory.numbers(words.shape[1])[:2]
        _mix(words, hashes, buffer)
        hashes >>= self._shift
        slots: _Slots = hashes.view(np.int64)
        return slots

    def _differ(self, positions: _Positions, words: _Words, memory: _Memory) -> _Mask:
        """Whether the keys at the positions have other words; for no key, any answer."""
        own, masks = memory.numbers(len(positions))[1], memory.masks(len(positions))
        differ: _Mask = masks[0]
        for w, (keys, word) in enumerate(zip(self._keys, words, strict=True)):
            np.take(keys, positions, out=own, mode="clip")
            np.not_equal(own, word, out=masks[min(w, 1)])
            if w:
                differ |= masks[1]
        return differ

    def _go_on(self, found: _Positions, other: int, parts: list[_Pending]) -> None:
        """Look for cells in the slots after those in which another key was found."""
        cells, slots, words = (np.concatenate(p, axis=-1) for p in zip(*parts, strict=True))
        while len(cells):
            slots = self._next(slots)
            positions = _take(self._slots, slots)
            found[cells] = np.where(positions < 0, other, positions)
            differ = np.zeros(len(cells), dtype=np.bool_)
            for own, word in zip(self._keys, words, strict=True):
                differ |= _take(own, positions) != word
            others = np.flatnonzero(differ & (positions >= 0))
            cells, slots, words = cells[others], slots[others], np.take(words, others, axis=1)

    def _claim(self, keys: _Positions, slots: _Slots) -> _Mask:
        """Put keys into free slots, of several the last one; which keys have to go on."""
        free = np.flatnonzero(_take(self._slots, slots) < 0)
        self._slots[slots[free]] = keys[free]
        moved: _Mask = _take(self._slots, slots) != keys
        return moved

    def _next(self, slots: _Slots) -> _Slots:
        return (slots + 1) & (len(self._slots) - 1)


class _Memory:
    """Where a block of values is worked on: fresh memory would cost more than most of the work."""

    __slots__ = ("_data", "_masks", "_numbers", "_words", "lengths", "longest")

    def __init__(self, n_values: int, n_words: int) -> None:
        n = min(n_values, _BLOCK)
        self._numbers = np.empty((5, n), dtype=np.uint64)
        self._words = np.empty((n_words, n), dtype=_WORD)
        self._data = np.empty(0, dtype=_WORD)
        self._masks = np.empty((2, n), dtype=np.bool_)
        self.lengths, self.longest = np.empty(n, dtype=np.int64), 0

    def numbers(self, n: int) -> _Words:
        """Five arrays of `n` numbers."""
        return self._numbers[:, :n]

    def masks(self, n: int) -> _Mask:
        """Two masks of `n` values."""
        return self._masks[:, :n]

    def words_of(self, array: pa.Array) -> _Words:
        """Words of each value; `lengths` of strings tell longer ones than all keys."""
        if not is_text(array):
            numbers = np.frombuffer(array.buffers()[1], np.uint64, len(array), 8 * array.offset)
            return numbers[None, :]
        offsets, n = _offsets(array), len(array)
        words, lengths = self._words[:, :n], self.lengths[:n]
        np.subtract(offsets[1:], offsets[:-1], out=lengths)
        shortest, self.longest = np.minimum.reduce(lengths), np.maximum.reduce(lengths)
        data = self._aligned(array, offsets)
        at, missing = self._numbers[:2, :n].view(np.int64)
        shift, rest, following = self._numbers[2:, :n]
        np.subtract(offsets[:-1], offsets[0], out=at)
        np.left_shift(at, 3, out=shift.view(np.int64))
        np.bitwise_and(shift, np.uint64(56), out=shift)  # bits before the string in its first word
        np.subtract(np.uint64(64), shift, out=rest)
        at >>= 3
        np.take(data, at, out=words[0], mode="clip")
        for w, word in enumerate(words):
            at += 1
            np.right_shift(word, shift, out=word)
            after = words[w + 1] if w + 1 < len(words) else following
            np.take(data, at, out=after, mode="clip")
            np.left_shift(after, rest, out=following)  # by 64 gives 0
            word |= following
            if shortest < 8 * (w + 1):
                np.subtract(lengths, 8 * w, out=missing)
                np.clip(missing, 0, 8, out=missing)
                np.take(_FILL, missing, out=following, mode="clip")
                word |= following
        return words

    def _aligned(self, array: pa.Array, offsets: NDArray[np.int64]) -> _Words:
        """The bytes of all strings, in words that begin with the first of them."""
        n_bytes = int(offsets[-1] - offsets[0])
        if 8 * len(self._data) < n_bytes + 8:
            self._data = np.empty(n_bytes // 8 + n_bytes // 64 + 2, dtype=_WORD)
        if n_bytes:
            self._data.view(np.uint8)[:n_bytes] = np.frombuffer(
                array.buffers()[2], np.uint8, n_bytes, int(offsets[0])
            )
        return self._data


def mix(words: NDArray[np.unsignedinteger[Any]]) -> _Words:
    """A number for each column of an array of words, equal for equal columns."""
    out, buffer = np.empty((2, words.shape[1]), dtype=np.uint64)
    return _mix(words, out, buffer)


def _mix(words: NDArray[np.unsignedinteger[Any]], out: _Words, buffer: _Words) -> _Words:
    np.multiply(words[0], _MIX, out=out)
    for word in words[1:]:
        np.right_shift(out, _HALF, out=buffer)
        out ^= buffer
        out += word
        out *= _MIX
    return out


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
    return max(1, -(-int(np.diff(_offsets(keys)).max(initial=0)) // 8)) if is_text(keys) else 1
