"""Positions of values among categories: equal in value, whatever type, width or scale they have.

Numbers are compared exactly, as Python does: 1, 1.0, True and ``Decimal("1.00")`` are equal, the
decimal 1.2 and the float nearest to it are not, and no integer is rounded on the way.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from sk_entity_embed.input.index import KeyIndex, fits, is_text
from sk_entity_embed.input.table import Cells, is_number, object_array

_MANY = 30_000  # Keys for which an index is quicker however many cells there are.
_INDEXED = 512  # Keys of which Arrow makes a hash table no slower than an index finds a cell.
_FEW = 32  # Cells that Python finds among few keys before Arrow has made its hash table.

_Positions: TypeAlias = NDArray[np.integer[Any]]
_making = Lock()


class Matcher:
    """Positions of values among categories; what a search needs is built once, when it is needed.

    `categories` gives all `n`. `keys` are the categories and a null, last; None where no type of
    Arrow's keeps all values.
    """

    __slots__ = ("_by_value", "_categories", "_index", "_indexable", "_keys", "_n", "_objects")

    def __init__(
        self, n: int, categories: Callable[[], NDArray[Any]], keys: pa.Array | None
    ) -> None:
        self._n = n
        self._categories = categories
        self._keys = None if keys is None else _in_common_type(keys)
        self._indexable = self._keys is not None and fits(self._keys)
        self._by_value: dict[Any, int] | None = None
        self._index: KeyIndex | None = None
        self._objects: pd.Index | None = None

    def find(self, cells: Cells) -> _Positions:
        """Position of each cell's category; ``n_categories`` if missing, one more if unknown."""
        n = self._n
        if isinstance(cells, np.ndarray):
            return self._find_objects(cells)
        if n == 0 or pa.types.is_null(cells.type):
            return np.where(is_missing(cells), n, n + 1)
        if self._keys is None or pa.types.is_decimal(cells.type):
            return self._find_distinct(cells)
        if len(cells) <= _FEW and n < _INDEXED:
            return self._find_few(cells)
        if is_text(self._keys) != is_text(cells):
            return np.where(is_missing(cells), n, n + 1)
        exact, inexact = (cells, None) if is_text(cells) else _convert(cells, self._keys.type)
        positions = self._find_keys(exact)
        if inexact is not None:
            positions = np.where(inexact, n + 1, positions)
        return positions

    def _find_keys(self, cells: pa.Array) -> _Positions:
        """Positions of cells of the keys' own type."""
        keys, n = self._keys, self._n
        assert keys is not None
        if n < max(_INDEXED, min(len(cells) // 2, _MANY)):
            return np.asarray(pc.index_in(cells, value_set=keys).fill_null(n + 1))
        if not self._indexable:
            return self._find_distinct(cells)
        if self._index is None:
            with _making:  # one thread makes it, others wait
                if self._index is None:
                    self._index = KeyIndex(keys[:-1])
        positions = self._index.find(cells, n + 1)
        if cells.null_count:
            positions[is_missing(cells)] = n
        return positions

    def _find_few(self, cells: pa.Array) -> _Positions:
        """Positions of few cells among few keys, which Python compares as exactly."""
        n = self._n
        if self._by_value is None:
            self._by_value = {v: i for i, v in enumerate(self._categories().tolist())} | {None: n}
        return np.array([self._by_value.get(v, n + 1) for v in cells.to_pylist()], dtype=np.intp)

    def _find_distinct(self, cells: pa.Array) -> _Positions:
        """Positions by Python's hash and equality, of each distinct value once."""
        encoded = pc.dictionary_encode(cells)
        found = self._find_objects(object_array(encoded.dictionary.to_pylist()))
        at = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        positions: _Positions = np.append(found, self._n)[at]
        return positions

    def _find_objects(self, cells: NDArray[np.object_]) -> _Positions:
        """Positions by Python's hash and equality."""
        n = self._n
        if self._objects is None:
            with _making:
                if self._objects is None:
                    objects = self._categories().astype(object)
                    index = pd.Index(objects, dtype=object, tupleize_cols=False)
                    index.get_indexer(index[:1])  # makes its hash table
                    self._objects = index
        found = self._objects.get_indexer(pd.Index(cells, dtype=object, tupleize_cols=False))
        return np.where(is_missing(cells), n, np.where(found < 0, n + 1, found))


def is_missing(cells: Cells) -> NDArray[np.bool_]:
    """Mask of the missing cells."""
    if isinstance(cells, np.ndarray):
        return np.asarray(pd.isna(cells), dtype=bool)
    return np.asarray(cells.is_null().to_numpy(zero_copy_only=False), dtype=bool)


def _in_common_type(keys: pa.Array) -> pa.Array:
    """Keys in the type in which they are compared: text, or numbers of 64 bits."""
    if not is_number(keys.type) and not pa.types.is_boolean(keys.type):
        return keys
    if pa.types.is_floating(keys.type):
        return pc.add(pc.cast(keys, pa.float64()), 0.0)  # -0.0 is 0.0
    wide = pa.int64()
    if keys.type == pa.uint64() and (pc.max(keys).as_py() or 0) > np.iinfo(np.int64).max:
        wide = pa.uint64()
    return pc.cast(keys, wide)


def _convert(cells: pa.Array, kind: pa.DataType) -> tuple[pa.Array, NDArray[np.bool_] | None]:
    """Numbers in another type, and which of them have no equal there; None where all have."""
    if pa.types.is_floating(kind):
        return _to_floats(cells)
    if cells.type == kind:
        return cells, None
    if pa.types.is_floating(cells.type):
        return _to_whole(cells, kind)
    if pa.uint64() not in (cells.type, kind) or pa.types.is_boolean(cells.type):
        return pc.cast(cells, kind), None
    limit = pa.scalar(0 if kind == pa.uint64() else np.iinfo(np.int64).max, cells.type)
    beyond = pc.less(cells, limit) if kind == pa.uint64() else pc.greater(cells, limit)
    outside = np.asarray(beyond.fill_null(False).to_numpy(zero_copy_only=False))
    return pc.cast(cells, kind, safe=False), outside if outside.any() else None


def _to_floats(cells: pa.Array) -> tuple[pa.Array, NDArray[np.bool_] | None]:
    """Numbers as float64, and which integers are none."""
    floats = pc.add(pc.cast(cells, pa.float64(), safe=False), 0.0)  # -0.0 is 0.0
    if not pa.types.is_integer(cells.type) or cells.type.bit_width < 64:
        return floats, None
    back, outside = _to_whole(floats, cells.type)
    rounded = np.asarray(pc.not_equal(back, cells).fill_null(False))
    return floats, rounded if outside is None else rounded | outside


def _to_whole(cells: pa.Array, kind: pa.DataType) -> tuple[pa.Array, NDArray[np.bool_] | None]:
    """Floats as integers of 64 bits, and which are none; these, and missing ones, are 0 or null."""
    values = cells.to_numpy(
        zero_copy_only=False
    )  # NaN where missing, which is not an integer either
    limits = np.iinfo(kind.to_pandas_dtype())
    # The highest integer is not a float64; the float after it is.
    fits_in = (values >= float(limits.min)) & (values < float(limits.max))
    fits_in &= np.floor(values) == values
    whole = np.where(fits_in, values, 0).astype(limits.dtype)
    missing = is_missing(cells)
    outside = ~(fits_in | missing)
    return pa.array(whole, mask=missing), outside if outside.any() else None
