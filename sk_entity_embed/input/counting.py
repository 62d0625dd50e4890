"""Counts of the values of a column that comes block by block, in bounded memory where asked."""

from __future__ import annotations

import math
import pickle
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sk_entity_embed.input.distinct import count_values, distinct_cells
from sk_entity_embed.input.joining import joined_cells
from sk_entity_embed.input.table import Cells, Column, object_array
from sk_entity_embed.input.vocabulary import (
    Vocabulary,
    count_lists,
    infrequent_mask,
    vocabulary_of,
)

SKETCHED_FROM = 10
"""Distinct values over `max_categories` from which on a sketch counts them."""
_WAITING = 65_536
"""Values of blocks that wait to be joined, at least: not each block costs as all values do."""


class ValueCounter:
    """Distinct values of a column, of its items where it holds lists, and how often each was met.

    Counts of parts can be merged. They are exact up to a number of distinct values, ten times
    `max_categories`. From there on a sketch of the frequent ones (Anderson et al., "A
    high-performance algorithm for identifying frequent items in data streams", IMC 2017, as in
    Apache DataSketches) takes the place of the table of all.
    """

    def __init__(self, name: str, max_categories: int | None = None) -> None:
        self.name = name
        self.kind: Any = "category"
        self.dtype = "null"
        self.is_list = False
        self.cells: Cells = pa.nulls(0)
        self.counts: NDArray[np.int64] = np.zeros(0, dtype=np.int64)
        self.n_cells = 0
        self.missing_count = 0  # cells, items and lists
        self.bare_count = 0  # of those, cells of parts without values: they may be lists
        self.absent_count = 0  # lists
        self.empty_count = 0
        self._waiting: list[tuple[Cells, NDArray[np.int64]]] = []
        self._n_waiting = 0
        self._limit = None if max_categories is None else SKETCHED_FROM * max_categories
        self._sketch: Any = None

    def add(self, column: Column) -> None:
        """Count the cells of some more rows."""
        cells, counts, missing = distinct_cells(column)
        absent, empty = count_lists(column)
        if len(cells) or self.dtype == "null":
            self.kind, self.dtype = column.kind, column.dtype
        self.is_list |= column.is_list
        self._take(cells, counts)
        self.n_cells += int(counts.sum()) + missing
        self.missing_count += missing
        self.bare_count += 0 if len(cells) or column.is_list else missing
        self.absent_count += absent
        self.empty_count += empty

    def merge(self, other: ValueCounter) -> None:
        """Add what another counter has met."""
        if len(other.cells) or self.dtype == "null":
            self.kind, self.dtype = other.kind, other.dtype
        self.is_list |= other.is_list
        other._join()
        if other._sketch is not None:
            self._start_sketch()
            self._sketch.merge(other._sketch)
        self._take(other.cells, other.counts)
        for name in ("n_cells", "missing_count", "bare_count", "absent_count", "empty_count"):
            setattr(self, name, getattr(self, name) + getattr(other, name))

    @property
    def largest_error(self) -> int:
        """By how much a count may be off; 0 where all values were counted."""
        self._join()
        if self._sketch is None:
            return 0
        return int(self._sketch.epsilon * self._sketch.total_weight) + 1

    def vocabulary(
        self,
        *,
        min_frequency: float | int | None,
        max_categories: int | None,
        missing: Literal["category", "nan", "error"],
    ) -> Vocabulary:
        """Return the vocabulary, as if all cells had been there at once.

        Of values counted by a sketch it has the most frequent ones alone; all others are unknown.
        """
        self._join()
        n_cells = self.n_cells - (self.bare_count if self.is_list else 0)
        column, times = self._distinct()
        values, counts, _ = count_values(column, times)
        if self._sketch is not None:
            kept = ~infrequent_mask(counts, n_cells, min_frequency, max_categories)
            values, counts = values.take(np.flatnonzero(kept)), counts[kept]
        return vocabulary_of(
            column,
            values,
            counts,
            n_cells=n_cells,
            missing_count=self.missing_count + self.absent_count,
            empty_count=self.empty_count,
            min_frequency=min_frequency,
            max_categories=max_categories,
            missing=missing,
        )

    def _take(self, cells: Cells, counts: NDArray[np.int64]) -> None:
        if len(cells) == 0:
            return
        if self._sketch is None:
            self._waiting.append((cells, counts))
            self._n_waiting += len(cells)
            if self._n_waiting > max(_WAITING, len(self.cells)):
                self._join()
            return
        self.cells = joined_cells([self.cells, cells])[:0]  # keeps the type alone
        update = self._sketch.update
        for value, count in zip(cells.tolist(), counts.tolist(), strict=True):
            update(value, count)

    def _join(self) -> None:
        """Add up the counts of equal cells; if there are too many, a sketch goes on."""
        parts, self._waiting, self._n_waiting = self._waiting, [], 0
        if not parts:
            return
        if len(self.cells):
            parts = [(self.cells, self.counts), *parts]
        joined = joined_cells([cells for cells, _ in parts])
        times = np.concatenate([counts for _, counts in parts])
        both = Column(self.name, "category", "", joined)
        self.cells, self.counts, _ = distinct_cells(both, times)
        if self._limit is not None and len(self.cells) > self._limit:
            self._start_sketch()

    def _start_sketch(self) -> None:
        """Let a sketch go on from what has been counted."""
        self._join()
        if self._sketch is not None:
            return
        self._sketch = _new_sketch(self.name, self._limit or 1)
        cells, counts, self.cells, self.counts = (
            self.cells,
            self.counts,
            self.cells[:0],
            self.counts[:0],
        )
        self._take(cells, counts)

    def _distinct(self) -> tuple[Column, NDArray[np.int64]]:
        """Return the distinct values as a column, and how often each was met."""
        cells, counts = self.cells, self.counts
        if self._sketch is not None:
            from datasketches import frequent_items_error_type

            found = self._sketch.get_frequent_items(frequent_items_error_type.NO_FALSE_NEGATIVES)
            values = [item[0] for item in found]
            counts = np.array([item[1] for item in found], dtype=np.int64)
            if isinstance(cells, pa.Array):
                cells = pa.array(values, type=cells.type)
            else:
                cells = object_array(values)
        offsets = absent = None
        if self.is_list:
            offsets, absent = np.zeros(1, dtype=np.int64), np.zeros(0, dtype=bool)
        return Column(self.name, self.kind, self.dtype, cells, None, offsets, absent), counts

    def __getstate__(self) -> dict[str, Any]:
        self._join()
        sketch = None if self._sketch is None else self._sketch.serialize(_pickling())
        return {**self.__dict__, "_sketch": sketch}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if self._sketch is not None:
            from datasketches import frequent_items_sketch

            self._sketch = frequent_items_sketch.deserialize(self._sketch, _pickling())


def _new_sketch(name: str, limit: int) -> Any:
    """Return a sketch that tells apart at least as many values as a limit says."""
    try:
        from datasketches import frequent_items_sketch
    except ImportError as error:
        raise ImportError(
            f"Column {name!r} has more distinct values than {SKETCHED_FROM} times "
            "`max_categories`, which a sketch of the package datasketches counts: install "
            "sk-entity-embed[scale], or set max_categories=None to count all of them."
        ) from error
    return frequent_items_sketch(math.ceil(math.log2(limit / 0.75)) + 1)


def _pickling() -> Any:
    """Return how a sketch writes its values."""
    from datasketches import PyObjectSerDe

    class Pickling(PyObjectSerDe):  # type: ignore[misc]
        def get_size(self, item: Any) -> int:
            return 4 + len(pickle.dumps(item))

        def to_bytes(self, item: Any) -> bytes:
            data = pickle.dumps(item)
            return len(data).to_bytes(4, "little") + data

        def from_bytes(self, data: bytes, offset: int) -> tuple[Any, int]:
            size = int.from_bytes(data[offset : offset + 4], "little")
            return pickle.loads(data[offset + 4 : offset + 4 + size]), 4 + size

    return Pickling()
