"""Vocabularies that grow: what was known and what a new block of rows holds, counted together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sk_entity_embed.exceptions import InvalidDataError
from sk_entity_embed.input.cells import from_objects
from sk_entity_embed.input.crosses import CrossVocabulary, count_pairs
from sk_entity_embed.input.kinds import may_be_equal
from sk_entity_embed.input.lists import Codes, Lists, offsets_of
from sk_entity_embed.input.messages import typed
from sk_entity_embed.input.table import Cells, Column, object_array
from sk_entity_embed.input.vocabulary import (
    INFREQUENT,
    MISSING,
    N_RESERVED,
    UNKNOWN,
    Vocabulary,
    infrequent_mask,
    learn_vocabulary,
)

_Rows: TypeAlias = NDArray[np.int32]


def grow_vocabulary(
    old: Vocabulary,
    new: Vocabulary,
    *,
    min_frequency: float | int | None,
    max_categories: int | None,
) -> Vocabulary:
    """Return the vocabulary of all cells that two have counted, in the same form as the old one.

    Which categories are infrequent is judged anew.

    Raises
    ------
    InvalidDataError
        If the two hold categories of which none could be equal, such as text and numbers.
    """
    if old.n_categories and new.n_categories and not _may_meet(old, new):
        raise InvalidDataError(
            f"Column {old.name!r} held categories like {typed(old.categories[0])} in the calls "
            f"before, but holds ones like {typed(new.categories[0])} now, which cannot be equal; "
            "give the column the type that it had."
        )
    fresh = old.locate(_as_column(new)) > old.n_categories
    merged = old
    if fresh.any():
        cells = _cells(new) if not old.n_categories else _joined(old, new, fresh)
        merged = learn_vocabulary(Column(old.name, "category", "", cells))
    counts = np.zeros(merged.n_categories, dtype=np.int64)
    for one in (old, new):
        counts[merged.locate(_as_column(one))] += one.counts
    missing_count = old.missing_count + new.missing_count
    empty_count = old.empty_count + new.empty_count
    rare = infrequent_mask(counts, int(counts.sum()) + missing_count, min_frequency, max_categories)
    rows = np.full(len(counts), INFREQUENT, dtype=np.int32)
    end = N_RESERVED + int((~rare).sum())
    rows[~rare] = np.arange(N_RESERVED, end)
    empty_row = None if old.empty_row is None else end if empty_count else UNKNOWN
    grown = replace(
        merged,
        counts=counts,
        rows=rows,
        missing_count=missing_count,
        missing_row=max(old.missing_row, new.missing_row),
        empty_row=empty_row,
        empty_count=empty_count if old.is_list else 0,
    )
    grown.forget()
    return grown


def positions_before(old: Vocabulary, new: Vocabulary) -> _Rows:
    """Return the position in a grown vocabulary of each one of the old, and of missing, last."""
    found = new.locate(_as_column(old)).astype(np.int32)
    return np.append(found, np.int32(new.n_categories))


def grow_cross(
    old: CrossVocabulary,
    parents: Sequence[Vocabulary],
    before: Sequence[Vocabulary],
    codes: Sequence[NDArray[Any]],
    *,
    min_frequency: float | int | None,
    max_categories: int | None,
) -> CrossVocabulary:
    """Return the pairs that two columns had together so far, of their grown vocabularies.

    `codes` are the table rows of the new cells. Pairs of a category that was infrequent stay with
    the infrequent ones.
    """
    first, second = parents
    rows = [_rows_after(then, now) for then, now in zip(before, parents, strict=True)]
    sides = [own[side] for own, side in zip(rows, old.parents, strict=True)]
    n_keys = first.n_rows * second.n_rows
    added, n_added = count_pairs(codes[0].astype(np.int64) * second.n_rows + codes[1], n_keys)
    keys = np.append(sides[0].astype(np.int64) * second.n_rows + sides[1], added)
    pairs, at = np.unique(keys, return_inverse=True)
    counts = np.bincount(at, np.append(old.counts, n_added), len(pairs)).astype(np.int64)
    known = (pairs >= second.n_rows) & (pairs % second.n_rows != UNKNOWN)
    pairs, counts = pairs[known], counts[known]
    n_cells = int(first.counts.sum()) + first.missing_count
    rare = infrequent_mask(counts, n_cells, min_frequency, max_categories)
    table_rows = np.full(len(pairs), INFREQUENT, dtype=np.int32)
    table_rows[~rare] = np.arange(N_RESERVED, N_RESERVED + int((~rare).sum()))
    return CrossVocabulary(
        name=old.name,
        columns=old.columns,
        levels=(first.levels, second.levels),
        pairs=pairs,
        counts=counts,
        rows=table_rows,
    )


def cross_positions_before(
    old: CrossVocabulary,
    new: CrossVocabulary,
    parents: Sequence[Vocabulary],
    before: Sequence[Vocabulary],
) -> NDArray[np.integer[Any]]:
    """Return the position in grown pairs of each of the old ones."""
    rows = [_rows_after(then, now) for then, now in zip(before, parents, strict=True)]
    first, second = (own[side] for own, side in zip(rows, old.parents, strict=True))
    return new.locate(first, second)


def cross_rows_before(old: CrossVocabulary, new: CrossVocabulary, sides: Sequence[_Rows]) -> _Rows:
    """Return the old row of each row of grown pairs, from those of each row of the parents."""
    rows = np.full(new.n_rows, UNKNOWN, dtype=np.int32)
    if (old.rows == INFREQUENT).any():
        rows[INFREQUENT] = INFREQUENT
    first, second = (own[side] for own, side in zip(sides, new.parents, strict=True))
    known = (first != UNKNOWN) & (second != UNKNOWN)
    before = np.where(known, old.encode(first, second), UNKNOWN)
    frequent = new.rows >= N_RESERVED
    rows[new.rows[frequent]] = before[frequent]
    return rows


def positions_of(column: Column, vocabulary: Vocabulary) -> Codes:
    """Return the position of each cell's category, or lists of them; missing is one more.

    A missing list holds one missing item, and an empty one none.
    """
    missing = vocabulary.n_categories
    if vocabulary.is_list and not column.is_list:  # all missing
        return Lists(np.full(len(column), missing, np.int32), np.arange(len(column) + 1))
    if column.is_list and not vocabulary.is_list:
        return np.full(len(column), missing, dtype=np.int32)
    if column.offsets is None or column.absent is None:
        return vocabulary.locate(column).astype(np.int32)
    at = column.offsets[:-1][column.absent]
    items = np.insert(vocabulary.locate(column.items).astype(np.int32), at, missing)
    return Lists(items, column.offsets + np.append(0, np.cumsum(column.absent)))


def moved_positions(positions: Codes, by: _Rows) -> Codes:
    """Return positions in another vocabulary, where `by` has the new one of each."""
    if isinstance(positions, Lists):
        return Lists(by[positions.items], positions.offsets)
    moved: _Rows = by[positions]
    return moved


def codes_of(positions: Codes, vocabulary: Vocabulary) -> Codes:
    """Return the table rows of positions; the row of empty lists stands in those."""
    if not isinstance(positions, Lists):
        return vocabulary.rows_of(positions)
    rows, empty = vocabulary.rows_of(positions.items), positions.lengths == 0
    if not empty.any():
        return Lists(rows, positions.offsets)
    assert vocabulary.empty_row is not None
    filled = np.insert(rows, positions.offsets[:-1][empty], np.int32(vocabulary.empty_row))
    return Lists(filled, positions.offsets + np.append(0, np.cumsum(empty)))


def join_codes(parts: Sequence[Codes]) -> Codes:
    """Return the codes of some rows and then of others."""
    if isinstance(parts[0], Lists):
        lists = [part for part in parts if isinstance(part, Lists)]
        items = np.concatenate([part.items for part in lists])
        return Lists(items, offsets_of(np.concatenate([part.lengths for part in lists])))
    plain = [part for part in parts if not isinstance(part, Lists)]
    return np.concatenate(plain)


def _rows_after(old: Vocabulary, new: Vocabulary) -> _Rows:
    """Return the row in a grown vocabulary of each row of the old one."""
    rows = np.full(old.n_rows, UNKNOWN, dtype=np.int32)
    rows[MISSING], rows[INFREQUENT] = MISSING, INFREQUENT
    after = new.rows_of(new.locate(_as_column(old)))
    frequent = old.rows >= N_RESERVED
    rows[old.rows[frequent]] = after[frequent]
    return rows


def _may_meet(old: Vocabulary, new: Vocabulary) -> bool:
    return any(may_be_equal(a, b) for a in old.kinds for b in new.kinds)


def _cells(vocabulary: Vocabulary) -> Cells:
    if vocabulary.keys is None:
        return vocabulary.categories.astype(object)
    return vocabulary.keys[:-1]


def _as_column(vocabulary: Vocabulary) -> Column:
    return Column(vocabulary.name, "category", "", _cells(vocabulary))


def _joined(old: Vocabulary, new: Vocabulary, fresh: NDArray[np.bool_]) -> Cells:
    """Return the categories of the old vocabulary and those of the new that are `fresh`."""
    if old.keys is not None and new.keys is not None:
        kind = _common(old.keys.type, new.keys.type)
        if kind is not None:
            added = new.keys[:-1].filter(pa.array(fresh))
            return pa.concat_arrays([old.keys[:-1].cast(kind), added.cast(kind)])
    values = [*old.categories.tolist(), *new.categories[fresh].tolist()]
    return from_objects(old.name, object_array(values)).cells


def _common(kind: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    if kind == other:
        return kind
    if pa.types.is_signed_integer(kind) and pa.types.is_signed_integer(other):
        return pa.int64()
    if pa.types.is_floating(kind) and pa.types.is_floating(other):
        return pa.float64()
    return None
