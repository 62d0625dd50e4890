"""Vocabulary: what a column's categories are, and which table row each of them has.

Every code is a valid row of the column's embedding table. The first rows are reserved::

    0 unknown    1 missing    2 infrequent    3, 4, ... frequent categories in sorted order

A column of lists has one vocabulary of its items; a row of its own for the empty list, where fit
met one, comes last.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, fields
from decimal import Decimal
from fractions import Fraction
from numbers import Integral
from typing import Any, Literal, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from sk_entity_embed.exceptions import InvalidDataError
from sk_entity_embed.input.columns import Cells, Column, object_array
from sk_entity_embed.input.kinds import kind_of
from sk_entity_embed.input.lists import Codes, Lists
from sk_entity_embed.input.matching import Matcher, is_missing, is_text
from sk_entity_embed.input.threads import on_threads, runs

UNKNOWN, MISSING, INFREQUENT, N_RESERVED = 0, 1, 2, 3

_BLOCK = 16_384
_PARALLEL = 65_536  # Cells to look up that are worth a thread of their own.

_NUMBERS = (bool, np.bool_, int, np.integer, float, np.floating, Decimal, Fraction)
"""Types whose values are equal where they are equal numbers."""
_LONGEST_DECIMAL = 76
"""Digits of the longest decimal number in Arrow."""

_Rows: TypeAlias = NDArray[np.int32]


class _Derived:
    """Slots for what is made of the fields when it is first needed; no fields, never pickled."""

    __slots__ = ("_by_position", "_by_row", "_kinds", "_matcher", "_told")

    _by_position: _Rows
    _by_row: _Rows
    _kinds: frozenset[str]
    _matcher: Matcher
    _told: bool


@dataclass(frozen=True, slots=True)
class Vocabulary(_Derived):
    """The categories of one column and their table rows, fixed in fit.

    Attributes
    ----------
    name : str
        The column's name.
    categories : ndarray of shape (n_categories,)
        Distinct values seen in fit, missing excluded, ordered by type and then by value.
    counts : ndarray of int64 of shape (n_categories,)
        Rows that held each category; in a column of lists, items that are it.
    rows : ndarray of int32 of shape (n_categories,)
        Table row of each category; infrequent ones share row ``INFREQUENT``.
    missing_count : int
        Rows in which the column was missing; in a column of lists, missing lists and items.
    missing_row : int
        ``MISSING`` where missing is a category of its own or has to be told from unknown ones,
        else ``UNKNOWN``.
    keys : pyarrow.Array or None
        The categories and, last, a null for missing, for Arrow's look-up; None where only
        Python's hash and equality can compare them (values of mixed type, dates, tuples).
    empty_row : int or None
        Table row of an empty list: the last one where fit met any, else ``UNKNOWN``; None for
        a column of single values.
    empty_count : int
        Empty lists in fit.
    """

    name: str
    categories: NDArray[Any]
    counts: NDArray[np.int64]
    rows: _Rows
    missing_count: int
    missing_row: int
    keys: pa.Array | None
    empty_row: int | None = None
    empty_count: int = 0

    def __getstate__(self) -> list[Any]:
        # The keys repeat the categories, and skops cannot make an Arrow array again.
        kind = None if self.keys is None else str(self.keys.type)
        return [kind if f.name == "keys" else getattr(self, f.name) for f in fields(self)]

    def __setstate__(self, state: list[Any]) -> None:
        for i, field in enumerate(fields(self)):
            # Those pickled before there were lists lack the last fields.
            value = state[i] if i < len(state) else field.default
            if field.name == "keys" and value is not None:
                value = arrow_keys(self.categories, pa.type_for_alias(value))
            object.__setattr__(self, field.name, value)

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
        n_others = int(self.knows_missing) + int(self._knows_empty)
        return len(np.unique(self.rows)) + n_others

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
        grouped = self.rows == INFREQUENT
        return self.categories[grouped] if grouped.any() else None

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
        if not self.knows_missing:
            return self.rows
        return np.append(self.rows, np.int32(MISSING))

    @property
    def label_counts(self) -> NDArray[np.int64]:
        """Rows that held each of the `labels`."""
        if not self.knows_missing:
            return self.counts
        return np.append(self.counts, self.missing_count)

    @property
    def kinds(self) -> frozenset[str]:
        """What the categories are: "text", "integers", "dates", ..."""
        if not hasattr(self, "_kinds"):
            some = self.categories if self.keys is None else self.categories[:1]
            object.__setattr__(self, "_kinds", frozenset(map(kind_of, some.tolist())))
        return self._kinds

    def tell_once(self) -> bool:
        """True at the first call, so that a warning about this column can be given once."""
        first = not hasattr(self, "_told")
        object.__setattr__(self, "_told", True)
        return first

    def encode(self, column: Column) -> Codes:
        """Table row of each cell, or of each item of its list.

        Parameters
        ----------
        column : Column
            A column of lists where fit had one, else of single values; values of another type
            than the vocabulary's are unknown.

        Returns
        -------
        ndarray of int32 of shape (n_samples,), or Lists
            ``UNKNOWN`` for values not seen in fit. A vocabulary of lists gives lists, none of
            them empty: `empty_row` stands in an empty list and `missing_row` in a missing one.

        Raises
        ------
        InvalidDataError
            If the column holds lists and held single values in fit, or the other way round. A
            column of which every cell is missing may stand for missing lists, and where fit met
            missing cells alone all lists are unknown.
        """
        if self.is_list != column.is_list:
            return self._encode_other(column)
        codes = self._encode_cells(column)
        return codes if column.offsets is None else self._fill_empty(codes, column)

    def rows_of(self, positions: NDArray[np.integer[Any]]) -> _Rows:
        """Table row of each position found by :meth:`locate`."""
        rows: _Rows = self._rows_by_position()[positions]
        return rows

    def _rows_by_position(self) -> _Rows:
        """Table row of each category, of missing and of unknown."""
        if not hasattr(self, "_by_position"):
            ends = np.array([self.missing_row, UNKNOWN], dtype=np.int32)
            object.__setattr__(self, "_by_position", np.append(self.rows, ends))
        return self._by_position

    def _encode_cells(self, column: Column) -> _Rows:
        """Table row of each cell; of a column of lists, of each item."""
        rows, cells = self._rows_by_position(), column.cells
        if column.indices is not None:
            # The missing row comes last, where the index -1 of missing cells finds it.
            by_level = np.append(rows[self._locate_cells(cells)], rows[-2:-1])
            return _take(by_level, column.indices)
        if isinstance(cells, np.ndarray) or len(cells) < 2 * _PARALLEL:
            return self.rows_of(self._locate_cells(cells))
        codes = np.empty(len(cells), dtype=np.int32)

        def look_up(run: slice) -> None:
            codes[run] = rows[self._locate_cells(cells[run])]

        on_threads(look_up, runs(len(cells), at_least=_PARALLEL))
        return codes

    def locate(self, column: Column) -> NDArray[np.integer[Any]]:
        """Position of each cell's category in `categories`.

        Parameters
        ----------
        column : Column
            Any column; of a column of lists, the items are located.

        Returns
        -------
        ndarray of int of shape (n_samples,) or (n_items,)
            ``n_categories`` for missing cells and ``n_categories + 1`` for unknown ones. Empty
            and missing lists have no items, so nothing stands for them.
        """
        positions = self._locate_cells(column.cells)
        if column.indices is None:
            return positions
        missing = positions.dtype.type(len(self.categories))
        by_cell: NDArray[np.integer[Any]] = np.append(positions, missing)[column.indices]
        return by_cell

    def decode(self, codes: NDArray[np.integer[Any]]) -> NDArray[Any]:
        """The category of each table row.

        Parameters
        ----------
        codes : ndarray of int of shape (n_samples,)
            Table rows.

        Returns
        -------
        ndarray of shape (n_samples,)
            None for the unknown row, NaN for the missing one, ``"infrequent_sklearn"``, as in
            :class:`~sklearn.preprocessing.OneHotEncoder`, for the infrequent one, and ``()`` for
            the empty list's. In the dtype of `categories` where it can hold the answer, else
            object.
        """
        if not hasattr(self, "_by_row"):
            by_row = np.full(self.n_rows, -1, dtype=np.int32)
            frequent = np.flatnonzero(self.rows >= N_RESERVED)
            by_row[self.rows[frequent]] = frequent
            object.__setattr__(self, "_by_row", by_row)
        positions = self._by_row[codes]
        own = positions >= 0
        if self.categories.dtype != object and own.all():
            found: NDArray[Any] = self.categories[positions]
            return found
        values = np.empty(len(codes), dtype=object)
        values[own] = self.categories[positions[own]]
        others: dict[int, Any] = {UNKNOWN: None, MISSING: np.nan, INFREQUENT: "infrequent_sklearn"}
        if self._knows_empty:
            others[int(self.empty_row or 0)] = ()
        for code, value in others.items():
            for row in np.flatnonzero(codes == code):
                values[row] = value  # one by one, since a tuple would be taken apart
        return values

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
        added = np.append(0, np.cumsum(empty))
        return Lists(filled, column.offsets + added)

    def _encode_other(self, column: Column) -> Codes:
        """Lists where fit had single values, or the other way round: missing ones only."""
        if column.absent is not None and len(self.categories) == 0:
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

    def _locate_cells(self, cells: Cells) -> NDArray[np.integer[Any]]:
        if not hasattr(self, "_matcher"):
            object.__setattr__(self, "_matcher", Matcher(self.categories, self.keys))
        return self._matcher.find(cells)


def learn_vocabulary(
    column: Column,
    *,
    min_frequency: float | int | None = None,
    max_categories: int | None = None,
    missing: Literal["category", "nan", "error"] = "category",
) -> Vocabulary:
    """Learn a column's categories.

    Parameters
    ----------
    column : Column
        The training rows. Of a column of lists, the items are learned, and where this says
        "rows" it counts items.
    min_frequency : int or float, default=None
        Categories with fewer rows (int), or a smaller share of the rows (float), are infrequent.
    max_categories : int, default=None
        Upper limit on the distinct rows, the infrequent group included. Missing does not count.
    missing : {"category", "nan", "error"}, default="category"
        Whether missing cells, lists or items are a category or an error. With "nan" they keep a
        row of their own where fit met none.

    Returns
    -------
    Vocabulary
        Equal for equal values, in whatever order or container they came. Without categories
        where every cell is missing or no list has an item.

    Raises
    ------
    InvalidDataError
        If a cell is missing and `missing` is "error".

    Examples
    --------
    >>> from sk_entity_embed.input.columns import read_table
    >>> from sk_entity_embed.input.vocabulary import learn_vocabulary
    >>> (column,) = read_table([["b"], ["a"], ["b"], [None]]).columns
    >>> vocabulary = learn_vocabulary(column)
    >>> vocabulary.categories.tolist(), vocabulary.encode(column).tolist()
    (['a', 'b'], [4, 3, 4, 1])

    Lists have codes of their items, and a row of its own stands for the empty list:

    >>> (column,) = read_table([[["b", "a"]], [[]], [["b"]]]).columns
    >>> lists = learn_vocabulary(column).encode(column)
    >>> lists.items.tolist(), lists.offsets.tolist()
    ([4, 3, 5, 4], [0, 2, 3, 4])
    """
    categories, counts, missing_count = _count(column)
    n_cells = int(counts.sum()) + missing_count
    absent_count, empty_count = _count_lists(column)
    missing_count += absent_count
    if missing_count and missing == "error":
        refuse_missing(column.name, missing_count)
    infrequent = _infrequent(counts, n_cells, min_frequency, max_categories)
    rows = np.full(len(categories), INFREQUENT, dtype=np.int32)
    end = N_RESERVED + int((~infrequent).sum())
    rows[~infrequent] = np.arange(N_RESERVED, end)
    empty_row = end if empty_count else UNKNOWN
    return Vocabulary(
        name=column.name,
        categories=categories,
        counts=counts,
        rows=rows,
        missing_count=missing_count,
        missing_row=MISSING if missing_count or missing == "nan" else UNKNOWN,
        keys=_keys(categories, column.cells),
        empty_row=empty_row if column.is_list else None,
        empty_count=empty_count,
    )


def arrow_keys(categories: NDArray[Any], kind: pa.DataType) -> pa.Array:
    """Categories as an Arrow array of a type, and a null for missing."""
    return pa.concat_arrays([pa.array(categories, type=kind), pa.nulls(1, kind)])


def refuse_missing(name: str, count: int) -> None:
    """Raise the error of ``handle_missing="error"``."""
    raise InvalidDataError(
        f"Column {name!r} has {count} missing value(s) and handle_missing='error'; fill them in "
        "or use handle_missing='category'."
    )


def count_missing(column: Column) -> int:
    """Rows in which the column is missing; of a column of lists, missing lists and items."""
    return int(missing_cells(column).sum()) + _count_lists(column)[0]


def missing_cells(column: Column) -> NDArray[np.bool_]:
    """Which cells, or items of lists, are missing."""
    missing = is_missing(column.cells)
    if column.indices is None:
        return missing
    by_cell: NDArray[np.bool_] = np.append(missing, True)[column.indices]
    return by_cell


def _count(column: Column) -> tuple[NDArray[Any], NDArray[np.int64], int]:
    """Distinct values in order, their counts, and the number of missing cells."""
    cells = column.cells
    if isinstance(cells, np.ndarray):
        positions, values = _factorize(cells)
    else:
        if pa.types.is_floating(cells.type):
            cells = pc.add(cells, pa.scalar(0.0, cells.type))  # -0.0 is 0.0
        encoded = pc.dictionary_encode(cells)
        # Texts become Python's once, when their order is known.
        values = encoded.dictionary if is_text(cells) else np.asarray(encoded.dictionary)
        if pa.types.is_decimal(cells.type):
            values = object_array(list(map(_stripped, encoded.dictionary.to_pylist())))
        positions = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    if column.indices is not None:
        positions = np.append(positions, -1)[column.indices]
    counts = np.bincount(positions[positions >= 0], minlength=len(values)).astype(np.int64)
    order = _order(values)
    order = order[counts[order] > 0]
    found = values.take(pa.array(order)) if isinstance(values, pa.Array) else values[order]
    return np.asarray(found), counts[order], int((positions < 0).sum())


def _count_lists(column: Column) -> tuple[int, int]:
    """Numbers of missing and of empty lists."""
    if column.offsets is None or column.absent is None:
        return 0, 0
    empty = (np.diff(column.offsets) == 0) & ~column.absent
    return int(column.absent.sum()), int(empty.sum())


def _infrequent(
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


def _order(values: NDArray[Any] | pa.Array) -> NDArray[np.intp]:
    """Positions that sort values by type, then by value."""
    if isinstance(values, pa.Array):  # UTF-8 sorts as code points do
        return np.asarray(pc.sort_indices(values), dtype=np.intp)
    if values.dtype != object:
        return np.argsort(values, kind="stable")
    if all(type(v) is str for v in values):
        try:  # UTF-8 sorts as code points do
            texts = pa.array(values, type=pa.large_string())
            return np.asarray(pc.sort_indices(texts), dtype=np.intp)
        except UnicodeEncodeError:
            return np.argsort(values, kind="stable")
    groups: dict[str, list[int]] = {}
    for i, value in enumerate(values):
        groups.setdefault(_type_name(value), []).append(i)
    order: list[int] = []
    for _, members in sorted(groups.items()):
        order += _sorted_members(values, members)
    return np.array(order, dtype=np.intp)


def _type_name(value: Hashable) -> str:
    # Python's numbers are equal across types (1 == 1.0 == True), so they sort as one type.
    if isinstance(value, _NUMBERS):
        return "0 number"
    return f"1 {type(value).__module__}.{type(value).__qualname__}"


def _sorted_members(values: NDArray[Any], members: list[int]) -> list[int]:
    try:
        return sorted(members, key=lambda i: values[i])
    except TypeError:
        return sorted(members, key=lambda i: repr(values[i]))


def _factorize(cells: NDArray[np.object_]) -> tuple[NDArray[np.intp], NDArray[np.object_]]:
    """Position of each cell among the distinct values, -1 where it is missing, and these values.

    Of equal numbers of several types the one of the first type in `_NUMBERS` stands for all, and
    decimals lose the zeros at their end, which depend on the scale of the container.
    """
    missing = is_missing(cells)
    # Not by pandas' own factorize, which takes different lone surrogates for one text.
    values = object_array(list(dict.fromkeys(cells[~missing].tolist())))
    index = pd.Index(values, dtype=object, tupleize_cols=False)
    if index.has_duplicates:  # tuples with NaN, which Python takes for different ones
        values = values[~index.duplicated()]
        index = pd.Index(values, dtype=object, tupleize_cols=False)
    positions = index.get_indexer(pd.Index(cells, dtype=object, tupleize_cols=False))
    positions[missing] = -1
    types = set(map(type, cells.tolist()))
    ranks = {t: rank for t in types if (rank := _rank(t)) < len(_NUMBERS)}
    if len(ranks) > 1:
        by_cell = np.array([ranks.get(type(v), len(_NUMBERS)) for v in cells.tolist()])
        last_first = np.argsort(-by_cell, kind="stable")
        last_first = last_first[positions[last_first] >= 0]
        values[positions[last_first]] = cells[last_first]
    if Decimal in types:
        values = object_array([_stripped(v) if type(v) is Decimal else v for v in values])
    return positions, values


def _rank(kind: type) -> int:
    """Position of the first of the types of numbers that a type is, or their number."""
    return next((i for i, t in enumerate(_NUMBERS) if issubclass(kind, t)), len(_NUMBERS))


def _stripped(value: Decimal) -> Decimal:
    """The same number written without an exponent and without zeros that end its fraction."""
    sign, digits, exponent = value.as_tuple()  # exact, whatever precision the context has
    if not isinstance(exponent, int) or exponent > _LONGEST_DECIMAL:
        return value
    if not any(digits):
        return Decimal(0)
    if exponent > 0:
        return Decimal((sign, (*digits, *[0] * exponent), 0))
    kept = len(digits)
    while exponent < 0 and digits[kept - 1] == 0:
        kept, exponent = kept - 1, exponent + 1
    return Decimal((sign, digits[:kept], exponent))


def _keys(categories: NDArray[Any], cells: Cells) -> pa.Array | None:
    if isinstance(cells, np.ndarray) or pa.types.is_decimal(cells.type):
        return None
    return arrow_keys(categories, cells.type)


def _take(values: _Rows, indices: NDArray[np.signedinteger[Any]]) -> _Rows:
    """Values at the given positions, a block at a time: numpy widens the positions first."""
    taken = np.empty(len(indices), dtype=values.dtype)

    def take(run: slice) -> None:
        for start in range(run.start, run.stop, _BLOCK):
            at = slice(start, min(start + _BLOCK, run.stop))
            taken[at] = values[indices[at]]

    on_threads(take, runs(len(indices), at_least=4 * _PARALLEL))
    return taken
