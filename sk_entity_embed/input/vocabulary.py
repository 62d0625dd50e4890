"""Vocabulary: what a column's categories are, and which table row each of them has.

Every code is a valid row of the column's embedding table. The first rows are reserved::

    0 unknown    1 missing    2 infrequent    3, 4, ... frequent categories in sorted order

A column of lists has one vocabulary of its items; a row of its own for the empty list, where fit
met one, comes last.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from numbers import Integral
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sk_entity_embed.exceptions import InvalidDataError
from sk_entity_embed.input.columns import read_table
from sk_entity_embed.input.distinct import count_values
from sk_entity_embed.input.index import is_text
from sk_entity_embed.input.kinds import kind_of
from sk_entity_embed.input.lists import Codes, Lists
from sk_entity_embed.input.matching import Matcher, is_missing
from sk_entity_embed.input.table import Cells, Column, Indices, object_array
from sk_entity_embed.input.threads import on_threads, runs

UNKNOWN, MISSING, INFREQUENT, N_RESERVED = 0, 1, 2, 3

_BLOCK = 16_384
_PARALLEL = 65_536  # Cells to look up that are worth a thread of their own.

_Rows: TypeAlias = NDArray[np.int32]
_Positions: TypeAlias = NDArray[np.integer[Any]]


@dataclass(frozen=True)  # without slots: what is made of the fields on first use is kept
class Vocabulary:
    """The categories of one column and their table rows, fixed in fit; of lists, of their items."""

    name: str
    categories: NDArray[Any]
    """Distinct, without missing, ordered by type and then by value.

    Texts may be given as None: they are made of the `keys` when they are first asked for."""
    counts: NDArray[np.int64]  # cells, or items of lists, that held each category
    rows: _Rows  # table row of each category; infrequent ones share row INFREQUENT
    missing_count: int  # missing cells; of lists, missing lists and items
    missing_row: int
    """MISSING where missing is a category or has to be told from unknown ones, else UNKNOWN."""
    keys: pa.Array | None
    """The categories and, last, a null for missing, for Arrow's look-up; None where only Python's
    hash and equality can compare them (values of mixed type, dates, tuples)."""
    empty_row: int | None = None
    """Table row of an empty list: the last one where fit met any, else UNKNOWN; None for a column
    of single values."""
    empty_count: int = 0

    def __post_init__(self) -> None:
        if self.categories is None:
            self.forget()

    if not TYPE_CHECKING:  # to which any name would be right

        def __getattr__(self, name: str) -> Any:
            if name != "categories":
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
            return self.__dict__.setdefault("categories", np.asarray(self.keys[:-1]))

    def forget(self) -> None:
        """Let go of what the fields say anyway, until it is needed: look-ups, texts in Python."""
        made = ["_matcher", "_rows_by_position", "_positions_by_row"]
        if self.keys is not None and is_text(self.keys):
            made.append("categories")
        for name in made:
            self.__dict__.pop(name, None)

    def __getstate__(self) -> list[Any]:
        # The keys repeat the categories, and skops cannot make an Arrow array again.
        kind = None if self.keys is None else str(self.keys.type)
        return [kind if f.name == "keys" else getattr(self, f.name) for f in fields(self)]

    def __setstate__(self, state: list[Any]) -> None:
        values = dict(zip((f.name for f in fields(self)), state, strict=True))
        if values["keys"] is not None:
            kind = pa.type_for_alias(values["keys"])
            values["keys"] = arrow_keys(values["categories"], kind)
        self.__dict__.update(values)
        self.forget()

    @property
    def stem(self) -> str:
        """What the output columns are named after."""
        return self.name

    @property
    def n_categories(self) -> int:
        """How many categories there are."""
        return len(self.counts)

    @property
    def is_list(self) -> bool:
        """Whether the column held lists in fit."""
        return self.empty_row is not None

    @property
    def n_rows(self) -> int:
        """Rows of the embedding table, reserved ones and the empty list's included."""
        return int(self.rows.max(initial=N_RESERVED - 1)) + 1 + int(self._knows_empty)

    @property
    def cardinality(self) -> int:
        """Distinct rows in use: frequent categories, the infrequent group, missing, empty."""
        return len(np.unique(self.rows)) + int(self.knows_missing) + int(self._knows_empty)

    @property
    def knows_missing(self) -> bool:
        """Whether missing is a category: fit met some."""
        return self.missing_count > 0

    @property
    def _knows_empty(self) -> bool:
        """Whether the empty list has a row of its own."""
        return self.empty_row is not None and self.empty_row != UNKNOWN

    @property
    def infrequent(self) -> NDArray[Any] | None:
        """The categories grouped as infrequent; None where there are none."""
        grouped = np.flatnonzero(self.rows == INFREQUENT)
        return self._at(grouped) if len(grouped) else None

    @property
    def labels(self) -> NDArray[Any]:
        """The categories, with NaN as the last one where missing is a category."""
        if not self.knows_missing:
            return self.categories
        if self.categories.dtype.kind == "f":
            return np.append(self.categories, np.nan)
        return object_array([*self.categories.tolist(), np.nan])

    @property
    def label_rows(self) -> _Rows:
        """Table row of each of the `labels`."""
        return np.append(self.rows, np.int32(MISSING)) if self.knows_missing else self.rows

    @property
    def label_counts(self) -> NDArray[np.int64]:
        """Rows that held each of the `labels`."""
        return np.append(self.counts, self.missing_count) if self.knows_missing else self.counts

    @property
    def parts(self) -> list[tuple[str, NDArray[Any]]]:
        """Name and `labels` of what a category consists of: of itself."""
        return [(self.name, self.labels)]

    @property
    def levels(self) -> NDArray[Any]:
        """What each table row stands for; see :meth:`decode`."""
        return self.decode(np.arange(self.n_rows)).astype(object)

    @cached_property
    def kinds(self) -> frozenset[str]:
        """Kinds of the categories: "text", "integers", "dates", ..."""
        some = np.arange(self.n_categories if self.keys is None else min(1, self.n_categories))
        return frozenset(map(kind_of, self._at(some).tolist()))

    def tell_once(self) -> bool:
        """Return True at the first call, so that a warning about this column is given once."""
        first = "_told" not in self.__dict__
        self.__dict__["_told"] = True
        return first

    def encode(self, column: Column) -> Codes:
        """Table row of each cell, ``UNKNOWN`` for values not seen in fit, or lists of them.

        No list is empty: `empty_row` stands in an empty list and `missing_row` in a missing one.
        Lists where fit had single values, or the other way round, are refused, unless one side has
        only missing ones.
        """
        if self.is_list != column.is_list:
            return self._encode_other(column)
        codes = self._encode_cells(column)
        return codes if column.offsets is None else self._fill_empty(codes, column)

    def locate(self, column: Column) -> _Positions:
        """Position in `categories` of each cell, or of each item of all lists.

        ``n_categories`` stands for missing ones and ``n_categories + 1`` for unknown ones.
        """
        positions = self._matcher.find(column.cells)
        if column.indices is None:
            return positions
        missing = positions.dtype.type(self.n_categories)
        by_cell: _Positions = np.append(positions, missing)[column.indices]
        return by_cell

    def locate_labels(self, labels: NDArray[np.object_]) -> _Positions:
        """Position of each label; see :meth:`locate`."""
        return self.locate(read_table(labels[:, None]).columns[0])

    def rows_of(self, positions: _Positions) -> _Rows:
        """Table row of each position found by :meth:`locate`."""
        rows: _Rows = np.take(self._rows_by_position, positions, mode="clip")
        return rows

    def decode(self, codes: _Positions) -> NDArray[Any]:
        """The category of each table row, in the dtype of `categories` where it can hold all.

        None stands for the unknown row, NaN for the missing one, ``"infrequent_sklearn"``, as in
        :class:`~sklearn.preprocessing.OneHotEncoder`, for the infrequent one, and ``()`` for the
        empty list's.
        """
        positions = self._positions_by_row[codes]
        own = positions >= 0
        known = self._at(positions[own])
        if known.dtype != object and own.all():
            return known
        values = np.empty(len(codes), dtype=object)
        values[own] = known
        others = {UNKNOWN: None, MISSING: np.nan, INFREQUENT: "infrequent_sklearn"}
        for row in np.flatnonzero(~own):  # one by one: a tuple would be taken apart
            values[row] = others.get(int(codes[row]), ())
        return values

    def rows_before(self, old: Vocabulary) -> _Rows:
        """Return the row in an earlier vocabulary of each row of this one."""
        rows = np.full(self.n_rows, UNKNOWN, dtype=np.int32)
        rows[MISSING] = MISSING if old.knows_missing else UNKNOWN
        if old.infrequent is not None:
            rows[INFREQUENT] = INFREQUENT
        cells = self.categories.astype(object) if self.keys is None else self.keys[:-1]
        before = old.rows_of(old.locate(Column(self.name, "category", "", cells)))
        frequent = self.rows >= N_RESERVED
        rows[self.rows[frequent]] = before[frequent]
        if self.empty_row is not None and old.empty_row is not None and self.empty_row != UNKNOWN:
            rows[self.empty_row] = old.empty_row
        return rows

    @cached_property
    def _matcher(self) -> Matcher:
        return Matcher(self.n_categories, lambda: self.categories, self.keys)

    @cached_property
    def _rows_by_position(self) -> _Rows:
        """Table row of each category, of missing and of unknown."""
        return np.append(self.rows, np.array([self.missing_row, UNKNOWN], dtype=np.int32))

    @cached_property
    def _positions_by_row(self) -> _Rows:
        """Position of the category of each table row, -1 for rows of none or of several."""
        by_row = np.full(self.n_rows, -1, dtype=np.int32)
        frequent = np.flatnonzero(self.rows >= N_RESERVED)
        by_row[self.rows[frequent]] = frequent
        return by_row

    def _at(self, positions: _Positions) -> NDArray[Any]:
        """The categories at some positions; few texts are made without all of them."""
        if "categories" in self.__dict__ or 4 * len(positions) > self.n_categories:
            found: NDArray[Any] = self.categories[positions]
            return found
        assert self.keys is not None
        return np.asarray(self.keys.take(pa.array(positions)))

    def _encode_cells(self, column: Column) -> _Rows:
        """Table row of each cell; of a column of lists, of each item."""
        cells, find = column.cells, self._matcher.find
        if column.indices is not None:
            # The missing row comes last, where the index -1 of missing cells finds it.
            by_level = np.append(self.rows_of(find(cells)), np.int32(self.missing_row))
            return _take(by_level, column.indices)
        if isinstance(cells, np.ndarray) or len(cells) < 2 * _PARALLEL:
            return self.rows_of(find(cells))
        codes = np.empty(len(cells), dtype=np.int32)

        def look_up(run: slice) -> None:
            np.take(self._rows_by_position, find(cells[run]), out=codes[run], mode="clip")

        on_threads(look_up, runs(len(cells), at_least=_PARALLEL))
        return codes

    def _fill_empty(self, codes: _Rows, column: Column) -> Lists:
        """The codes of all items, with a stand-in in every list that has none."""
        assert column.offsets is not None
        assert column.absent is not None
        assert self.empty_row is not None
        empty = np.diff(column.offsets) == 0
        if not empty.any():
            return Lists(codes, column.offsets)
        stand_ins = np.where(column.absent[empty], self.missing_row, self.empty_row)
        filled = np.insert(codes, column.offsets[:-1][empty], stand_ins.astype(np.int32))
        return Lists(filled, column.offsets + np.append(0, np.cumsum(empty)))

    def _encode_other(self, column: Column) -> Codes:
        """Lists where fit had single values, or the other way round: missing ones only."""
        if column.absent is not None and self.n_categories == 0:
            return np.where(column.absent, self.missing_row, UNKNOWN).astype(np.int32)
        if self.is_list and count_missing(column) == len(column):
            n = len(column)
            return Lists(np.full(n, self.missing_row, dtype=np.int32), np.arange(n + 1))
        now, then = "lists", "single values"
        advice = "give one value a row, or fit again"
        if self.is_list:
            now, then = then, now
            advice = "make lists of the cells, for text of several items with .str.split()"
        raise InvalidDataError(
            f"Column {self.name!r} held {then} in fit, but holds {now} ({column.dtype}) "
            f"now; {advice}."
        )


def learn_vocabulary(
    column: Column,
    *,
    min_frequency: float | int | None = None,
    max_categories: int | None = None,
    missing: Literal["category", "nan", "error"] = "category",
) -> Vocabulary:
    """Learn the categories of a column, or of the items of its lists: equal ones of equal values.

    Infrequent ones are grouped as in :class:`~sklearn.preprocessing.OneHotEncoder`; missing does
    not count. With ``missing="nan"`` missing cells keep a row of their own where fit had none.
    """
    values, counts, missing_count = count_values(column)
    absent_count, empty_count = count_lists(column)
    return vocabulary_of(
        column,
        values,
        counts,
        n_cells=int(counts.sum()) + missing_count,
        missing_count=missing_count + absent_count,
        empty_count=empty_count,
        min_frequency=min_frequency,
        max_categories=max_categories,
        missing=missing,
    )


def vocabulary_of(
    column: Column,
    values: NDArray[Any] | pa.Array,
    counts: NDArray[np.int64],
    *,
    n_cells: int,
    missing_count: int,
    empty_count: int,
    min_frequency: float | int | None,
    max_categories: int | None,
    missing: Literal["category", "nan", "error"],
) -> Vocabulary:
    """Return the vocabulary of a column whose values, in their order, have been counted."""
    if missing_count and missing == "error":
        refuse_missing(column.name, missing_count)
    rare = infrequent_mask(counts, n_cells, min_frequency, max_categories)
    rows = np.full(len(values), INFREQUENT, dtype=np.int32)
    end = N_RESERVED + int((~rare).sum())
    rows[~rare] = np.arange(N_RESERVED, end)
    empty_row = end if empty_count else UNKNOWN
    return Vocabulary(
        name=column.name,
        categories=cast(Any, None) if isinstance(values, pa.Array) else values,
        counts=counts,
        rows=rows,
        missing_count=missing_count,
        missing_row=MISSING if missing_count or missing == "nan" else UNKNOWN,
        keys=_keys(values, column.cells),
        empty_row=empty_row if column.is_list else None,
        empty_count=empty_count,
    )


def arrow_keys(categories: NDArray[Any] | pa.Array, kind: pa.DataType) -> pa.Array:
    """Categories as an Arrow array of a type, and a null for missing."""
    return pa.concat_arrays([pa.array(categories, type=kind), pa.nulls(1, kind)])


def _keys(values: NDArray[Any] | pa.Array, cells: Cells) -> pa.Array | None:
    if isinstance(cells, np.ndarray) or pa.types.is_decimal(cells.type):
        return None
    return arrow_keys(values, cells.type)


def refuse_missing(name: str, count: int) -> None:
    """Raise the error of ``handle_missing="error"``."""
    raise InvalidDataError(
        f"Column {name!r} has {count} missing value(s) and handle_missing='error'; fill them in "
        "or use handle_missing='category'."
    )


def count_missing(column: Column) -> int:
    """Rows in which the column is missing; of a column of lists, missing lists and items."""
    return int(missing_cells(column).sum()) + count_lists(column)[0]


def missing_cells(column: Column) -> NDArray[np.bool_]:
    """Mask of the missing cells, or items of lists."""
    missing = is_missing(column.cells)
    if column.indices is None:
        return missing
    by_cell: NDArray[np.bool_] = np.append(missing, True)[column.indices]
    return by_cell


def count_lists(column: Column) -> tuple[int, int]:
    """Numbers of missing and of empty lists."""
    if column.offsets is None or column.absent is None:
        return 0, 0
    empty = (np.diff(column.offsets) == 0) & ~column.absent
    return int(column.absent.sum()), int(empty.sum())


def infrequent_mask(
    counts: NDArray[np.int64],
    n_samples: int,
    min_frequency: float | int | None,
    max_categories: int | None,
) -> NDArray[np.bool_]:
    """Mask of infrequent categories, by OneHotEncoder's rules."""
    mask = np.zeros(len(counts), dtype=bool)
    if isinstance(min_frequency, Integral):
        mask = counts < min_frequency
    elif min_frequency is not None:
        mask = counts < min_frequency * n_samples
    n_kept = len(counts) - int(mask.sum()) + 1
    if max_categories is not None and max_categories < n_kept:
        # Stable, so that of equally frequent categories the first ones are grouped.
        by_count = np.argsort(counts, kind="stable")
        mask[by_count[: len(counts) - (max_categories - 1)]] = True
    return mask


def _take(values: _Rows, indices: Indices) -> _Rows:
    """Values at the given positions, a block at a time: numpy widens the positions first."""
    taken = np.empty(len(indices), dtype=values.dtype)

    def take(run: slice) -> None:
        for start in range(run.start, run.stop, _BLOCK):
            at = slice(start, min(start + _BLOCK, run.stop))
            taken[at] = values[indices[at]]

    on_threads(take, runs(len(indices), at_least=4 * _PARALLEL))
    return taken
