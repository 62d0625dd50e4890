"""Crosses: pairs of columns as one column, whose table rows come from those of its parents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, ClassVar, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sk_entity_embed.input.table import object_array
from sk_entity_embed.input.threads import on_threads, runs
from sk_entity_embed.input.vocabulary import (
    INFREQUENT,
    MISSING,
    N_RESERVED,
    UNKNOWN,
    Vocabulary,
    infrequent_mask,
)

_Rows: TypeAlias = NDArray[np.int32]

_DENSE = 2**22
"""Pairs of parents' rows, seen or not, up to which an array answers for all of them."""
_BLOCK = 16_384
_PARALLEL = 65_536  # Cells to look up that are worth a thread of their own.


@dataclass(frozen=True)  # without slots: what is made of the fields on first use is kept
class CrossVocabulary:
    """The pairs of categories that two columns had together in fit, and their table rows.

    A pair is a number, the parents' table rows counted through: ``row of the first * rows of the
    second + row of the second``. So a parent's missing cells and its infrequent group take part
    like categories. A pair that fit did not meet is unknown, and so is one with an unknown side.
    The reserved rows are those of :class:`Vocabulary`; none is missing.
    """

    name: str
    columns: tuple[str, str]
    levels: tuple[NDArray[Any], NDArray[Any]]
    """What each table row of the parents stands for; see :meth:`Vocabulary.decode`."""
    pairs: NDArray[np.int64]  # rising
    counts: NDArray[np.int64]  # cells that held each pair
    rows: _Rows  # table row of each pair; infrequent ones share row INFREQUENT

    is_list: ClassVar[bool] = False
    knows_missing: ClassVar[bool] = False
    missing_count: ClassVar[int] = 0
    missing_row: ClassVar[int] = UNKNOWN
    empty_row: ClassVar[int | None] = None
    empty_count: ClassVar[int] = 0
    keys: ClassVar[None] = None

    @property
    def stem(self) -> str:
        """What the output columns are named after."""
        return cross_stem(*self.columns)

    def __getstate__(self) -> list[Any]:
        return [getattr(self, f.name) for f in fields(self)]

    def __setstate__(self, state: list[Any]) -> None:
        self.__dict__.update(zip((f.name for f in fields(self)), state, strict=True))

    @property
    def n_categories(self) -> int:
        """How many pairs there are."""
        return len(self.pairs)

    @property
    def n_rows(self) -> int:
        """Rows of the embedding table, reserved ones included."""
        return int(self.rows.max(initial=N_RESERVED - 1)) + 1

    @property
    def cardinality(self) -> int:
        """Distinct rows in use: frequent pairs and the infrequent group."""
        return len(np.unique(self.rows))

    @property
    def parents(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Table rows of both parents, of each pair."""
        first, second = np.divmod(self.pairs, len(self.levels[1]))
        return first, second

    @property
    def parts(self) -> list[tuple[str, NDArray[Any]]]:
        """Name and categories of each side of the pairs."""
        sides = zip(self.columns, self.levels, self.parents, strict=True)
        return [(name, levels[rows]) for name, levels, rows in sides]

    @cached_property
    def categories(self) -> NDArray[Any]:
        """The pairs as tuples, ordered by the parents' rows."""
        (_, first), (_, second) = self.parts
        return object_array(list(zip(first.tolist(), second.tolist(), strict=True)))

    @property
    def labels(self) -> NDArray[Any]:
        """The pairs as tuples: missing is not one of them, but may be a side of one."""
        return self.categories

    @property
    def label_rows(self) -> _Rows:
        """Table row of each of the `labels`."""
        return self.rows

    @property
    def label_counts(self) -> NDArray[np.int64]:
        """Rows that held each of the `labels`."""
        return self.counts

    @property
    def infrequent(self) -> NDArray[Any] | None:
        """The pairs grouped as infrequent; None where there are none."""
        grouped = self.rows == INFREQUENT
        return self.categories[grouped] if grouped.any() else None

    def locate(self, first: NDArray[Any], second: NDArray[Any]) -> NDArray[np.integer[Any]]:
        """Position in `pairs` of the parents' table rows; ``len(pairs) + 1`` is unknown."""
        unknown, dense = len(self.pairs) + 1, self._dense
        positions: NDArray[np.int32] = np.empty(len(first), dtype=np.int32)

        def look_up(run: slice) -> None:
            for start in range(run.start, run.stop, _BLOCK):
                at = slice(start, min(start + _BLOCK, run.stop))
                keys = first[at].astype(np.int64) * len(self.levels[1]) + second[at]
                if dense is not None:
                    positions[at] = dense[keys]
                else:
                    found = self._hashed.get_indexer(keys)
                    positions[at] = np.where(found < 0, unknown, found)

        on_threads(look_up, runs(len(first), at_least=_PARALLEL))
        return positions

    def locate_labels(self, labels: NDArray[np.object_]) -> NDArray[np.integer[Any]]:
        """Position of each label, a pair of categories; see :meth:`locate`."""
        index = pd.Index(self.categories, dtype=object, tupleize_cols=False)
        found = index.get_indexer(pd.Index(labels, dtype=object, tupleize_cols=False))
        return np.where(found < 0, len(self.pairs) + 1, found)

    def rows_of(self, positions: NDArray[np.integer[Any]]) -> _Rows:
        """Table row of each position found by :meth:`locate`."""
        rows: _Rows = np.append(self.rows, np.array([UNKNOWN, UNKNOWN], np.int32))[positions]
        return rows

    def encode(self, first: NDArray[Any], second: NDArray[Any]) -> _Rows:
        """Table row of each pair of the parents' table rows, ``UNKNOWN`` for those not in fit."""
        return self.rows_of(self.locate(first, second))

    def decode(self, codes: NDArray[np.integer[Any]]) -> NDArray[Any]:
        """The pair of each table row; see :meth:`Vocabulary.decode`."""
        by_row = np.full(self.n_rows, None, dtype=object)
        by_row[MISSING], by_row[INFREQUENT] = np.nan, "infrequent_sklearn"
        frequent = self.rows >= N_RESERVED
        by_row[self.rows[frequent]] = self.categories[frequent]
        decoded: NDArray[Any] = by_row[codes]
        return decoded

    def rows_before(self, old: CrossVocabulary) -> _Rows:
        """Return the row in an earlier vocabulary of each row of this one."""
        rows = np.full(self.n_rows, UNKNOWN, dtype=np.int32)
        if (old.rows == INFREQUENT).any():
            rows[INFREQUENT] = INFREQUENT
        sides = zip(self.levels, old.levels, self.parents, strict=True)
        first, second = (_levels_before(new, then)[side] for new, then, side in sides)
        before = np.where(
            (first == UNKNOWN) | (second == UNKNOWN), UNKNOWN, old.encode(first, second)
        )
        frequent = self.rows >= N_RESERVED
        rows[self.rows[frequent]] = before[frequent]
        return rows

    @cached_property
    def _hashed(self) -> pd.Index:
        """The pairs, to be found by their hash."""
        return pd.Index(self.pairs)

    @cached_property
    def _dense(self) -> _Rows | None:
        """Position of every pair of parents' rows, where these are not too many; else None."""
        n = len(self.levels[0]) * len(self.levels[1])
        if n > max(_DENSE, 4 * len(self.pairs)):
            return None
        positions = np.full(n, len(self.pairs) + 1, dtype=np.int32)
        positions[self.pairs] = np.arange(len(self.pairs), dtype=np.int32)
        return positions


AnyVocabulary: TypeAlias = Vocabulary | CrossVocabulary


def cross_name(first: str, second: str) -> str:
    """Name of the cross of two columns, as formulas write interactions."""
    return f"{first}:{second}"


def cross_stem(first: str, second: str) -> str:
    """What the output columns of a cross are named after: LightGBM takes no colon in names."""
    return f"{first}_x_{second}"


def learn_cross(
    parents: Sequence[Vocabulary],
    codes: Sequence[NDArray[Any]],
    *,
    min_frequency: float | int | None = None,
    max_categories: int | None = None,
) -> CrossVocabulary:
    """Learn the pairs of two columns from the table rows of their cells.

    Infrequent ones are grouped by the rules of columns.
    """
    counter = PairCounter(parents)
    counter.add(*codes)
    return counter.vocabulary(min_frequency=min_frequency, max_categories=max_categories)


class PairCounter:
    """Counts of the pairs of two columns, from table rows of cells that come block by block.

    Where there are more than `most` pairs, the rarest are let go of whenever they are twice as
    many: they count as unknown, and counts of the others may be too small by what was let go of.
    """

    def __init__(self, parents: Sequence[Vocabulary], most: int | None = None) -> None:
        self._parents, self._most = parents, most
        self._n_keys = parents[0].n_rows * parents[1].n_rows
        self._pairs: NDArray[np.int64] = np.zeros(0, dtype=np.int64)
        self._counts: NDArray[np.int64] = np.zeros(0, dtype=np.int64)
        self._waiting: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
        self._n_waiting = self._n_rows = 0

    def add(self, first: NDArray[Any], second: NDArray[Any]) -> None:
        """Count the pairs of some more rows."""
        keys = first.astype(np.int64) * self._parents[1].n_rows + second
        self.take(*count_pairs(keys, self._n_keys), len(keys))

    def counted(self) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
        """Return pairs, how often each is there, and the number of rows, for `take`."""
        self._join()
        return self._pairs, self._counts, self._n_rows

    def take(self, pairs: NDArray[np.int64], counts: NDArray[np.int64], n_rows: int) -> None:
        """Count the pairs of rows that another counter of the same columns has met."""
        self._n_rows += n_rows
        self._waiting.append((pairs, counts))
        self._n_waiting += len(pairs)
        if self._n_waiting > max(_DENSE, len(self._pairs)):
            self._join()

    def vocabulary(
        self, *, min_frequency: float | int | None, max_categories: int | None
    ) -> CrossVocabulary:
        """Return the vocabulary of all pairs of known categories."""
        self._join()
        first, second = self._parents
        pairs, counts = self._pairs, self._counts
        known = (pairs >= second.n_rows) & (pairs % second.n_rows != UNKNOWN)
        pairs, counts = pairs[known], counts[known]
        rare = infrequent_mask(counts, self._n_rows, min_frequency, max_categories)
        rows = np.full(len(pairs), INFREQUENT, dtype=np.int32)
        rows[~rare] = np.arange(N_RESERVED, N_RESERVED + int((~rare).sum()))
        return CrossVocabulary(
            name=cross_name(first.name, second.name),
            columns=(first.name, second.name),
            levels=(first.levels, second.levels),
            pairs=pairs,
            counts=counts,
            rows=rows,
        )

    def _join(self) -> None:
        """Add up the counts of each pair."""
        parts = [(self._pairs, self._counts), *self._waiting]
        keys, times = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        self._waiting, self._n_waiting = [], 0
        self._pairs, where = np.unique(keys, return_inverse=True)
        self._counts = np.zeros(len(self._pairs), dtype=np.int64)
        np.add.at(self._counts, where, times)
        if self._most is not None and len(self._pairs) > 2 * self._most:
            kept = np.sort(np.argsort(-self._counts, kind="stable")[: self._most])
            self._pairs, self._counts = self._pairs[kept], self._counts[kept]


def count_pairs(
    keys: NDArray[np.int64], n_keys: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the distinct ones of numbers below `n_keys`, rising, and how often each is there."""
    if n_keys > max(_DENSE, len(keys)):
        pairs, found = np.unique(keys, return_counts=True)
        return pairs.astype(np.int64), found.astype(np.int64)
    counts = np.bincount(keys, minlength=n_keys)
    pairs = np.flatnonzero(counts)
    return pairs.astype(np.int64), counts[pairs].astype(np.int64)


def _levels_before(new: NDArray[Any], old: NDArray[Any]) -> _Rows:
    """Return the row in an earlier parent of each row of the new one; UNKNOWN where it had none."""
    rows = np.full(len(new), UNKNOWN, dtype=np.int32)
    own = slice(N_RESERVED, None)
    rows[MISSING], rows[INFREQUENT] = MISSING, INFREQUENT
    index = pd.Index(old[own], dtype=object, tupleize_cols=False)
    found = index.get_indexer(pd.Index(new[own], dtype=object, tupleize_cols=False))
    rows[own] = np.where(found < 0, UNKNOWN, found + N_RESERVED)
    return rows
