"""Going on with new rows: names, folds and vocabularies last, and a sample of rows is kept.

A block of rows is trained on together with a sample of all rows before, weighted so that it stands
for them. So nothing is forgotten that is still so, and one call costs about the same as another.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.random import RandomState
from numpy.typing import NDArray
from sklearn.utils import column_or_1d

from sk_entity_embed.exceptions import InvalidDataError, InvalidParameterError
from sk_entity_embed.fitting.initialization import frozen_columns
from sk_entity_embed.fitting.preparation import (
    CheckedInput,
    EncodedColumns,
    FoldAssignment,
    target_sums,
)
from sk_entity_embed.input.context import ContextScaling, stack_numbers
from sk_entity_embed.input.crosses import CrossVocabulary
from sk_entity_embed.input.growing import (
    codes_of,
    cross_positions_before,
    cross_rows_before,
    grow_cross,
    grow_vocabulary,
    join_codes,
    moved_positions,
    positions_before,
    positions_of,
)
from sk_entity_embed.input.identity import (
    Keys,
    hash_cells,
    hash_examples,
    hash_groups,
    hash_rows,
    hash_values,
    mixed,
    numbered,
    share_of_repeated,
    shares,
)
from sk_entity_embed.input.lists import Codes, Lists
from sk_entity_embed.input.table import Table
from sk_entity_embed.input.target import Target, apply_class_weight, to_unit
from sk_entity_embed.input.values import read_array
from sk_entity_embed.input.vocabulary import INFREQUENT, UNKNOWN, Vocabulary, learn_vocabulary
from sk_entity_embed.learning.problem import Floats, StartingPoint
from sk_entity_embed.model.fitted import EmbeddingModel
from sk_entity_embed.model.growth import Growth, KeptRows
from sk_entity_embed.model.heads import Head
from sk_entity_embed.model.losses import Link, Scale
from sk_entity_embed.model.procrustes import nearest_motion, nearest_rotation
from sk_entity_embed.model.symmetry import Motion

KEPT = 100_000
"""Rows of the sample, at most."""
NATURAL = 0.1
"""Rows seen so far that have a row's content by chance, from which on contents name no rows."""
_WEIGHTS = (1e-100, 1e100)
"""The largest weight of a block lies between these."""
_FITTED_ON = 20_000
"""Rows on which numbers in one scaling are expressed by those in another, at most."""


@dataclass(frozen=True, slots=True)
class Block:
    """The rows of a call in vocabularies that count them, too.

    `columns` are of the block's rows, but for the scaling of numbers, which is still to come.
    `positions` say which category each cell of a categorical column holds, `rows` are hashes of the
    used rows' cells, `used` their numbers. `before` has the earlier row of each row of the tables,
    None in a first call, and `moved` the new position of each earlier one in the categorical
    columns. `label_weights` are weights of each label so far.
    """

    columns: EncodedColumns
    positions: list[Codes]
    rows: Keys
    used: NDArray[np.float64]
    label_weights: tuple[NDArray[np.float64], ...]
    before: list[NDArray[np.int32]] | None = None
    moved: list[NDArray[np.int32]] | None = None


@dataclass(frozen=True, slots=True)
class Names:
    """Which rows those of a block are: key and fold of each, and its number as a judge.

    `repeats` and `compared` tell how often contents come again by chance; see Growth.
    """

    keys: Keys
    fold: NDArray[np.int64]
    judges: NDArray[np.float64]
    repeats: float
    compared: float


def first_block(given: CheckedInput, columns: EncodedColumns) -> Block:
    """Return the block of a first call, whose columns are encoded as in fit."""
    positions, hashes = [], []
    for column, vocabulary in zip(_cut(given, columns), columns.vocabularies, strict=False):
        assert isinstance(vocabulary, Vocabulary)
        positions.append(positions_of(column, vocabulary))
        hashes.append(hash_cells(hash_values(vocabulary.categories), positions[-1]))
    used = columns.numbers if given.kept.all() else columns.numbers[given.kept]
    return Block(columns, positions, hash_rows(hashes, used), used, ())


def with_crosses(block: Block, given: CheckedInput, columns: EncodedColumns) -> Block:
    """Return the block of a first call with its pairs, and the weights of all labels."""
    weights = []
    for j, vocabulary in enumerate(columns.vocabularies):
        labels, offsets = _labels(columns, block.positions, j)
        weights.append(target_sums(labels, offsets, len(vocabulary.label_rows), given).weights)
    return replace(block, columns=columns, label_weights=tuple(weights))


def next_block(
    given: CheckedInput,
    model: EmbeddingModel,
    target_means: Sequence[NDArray[np.float64]],
    label_weights: Sequence[NDArray[np.float64]],
    *,
    min_frequency: float | int | None,
    max_categories: int | None,
    handle_missing: Any,
) -> Block:
    """Return a further block, in the vocabularies of the calls before, grown by it."""
    limits: dict[str, Any] = {"min_frequency": min_frequency, "max_categories": max_categories}
    vocabularies: list[Any] = []
    positions, codes, hashes, moved, before = [], [], [], [], []
    for j, n, old in zip(model.categorical, model.max_lengths, model.vocabularies, strict=True):
        column = given.used.columns[j] if n is None else given.used.columns[j].last(n)
        if column.is_list != old.is_list:
            old.encode(column)  # raises, unless all are missing
        new = learn_vocabulary(column, missing=handle_missing)
        if column.is_list and not old.is_list and new.n_categories:
            raise InvalidDataError(
                f"Column {old.name!r} had only missing values in the calls before, but holds "
                "lists now, for which it has no pooling; start over with a first block that has "
                "some lists."
            )
        grown = grow_vocabulary(old, new, **limits)
        found = positions_of(column, new)
        hashes.append(hash_cells(hash_values(new.categories), found))
        if column.is_list == old.is_list:
            positions.append(moved_positions(found, positions_before(new, grown)))
        else:
            positions.append(positions_of(column, grown))
        codes.append(codes_of(positions[-1], grown))
        moved.append(positions_before(old, grown))
        before.append(grown.rows_before(old))
        vocabularies.append(grown)
    own = list(vocabularies)
    after = [m[: len(v.label_rows)] for m, v in zip(moved, model.vocabularies, strict=True)]
    for pair, table in zip(model.crosses, model.tables[len(own) :], strict=True):
        cross: Any = table.vocabulary
        parents, then = [own[k] for k in pair], [model.vocabularies[k] for k in pair]
        cells: Any = [codes[k] for k in pair]
        grown_pairs = grow_cross(cross, parents, then, cells, **limits)
        after.append(cross_positions_before(cross, grown_pairs, parents, then).astype(np.int32))
        before.append(cross_rows_before(cross, grown_pairs, [before[k] for k in pair]))
        vocabularies.append(grown_pairs)
        codes.append(grown_pairs.encode(*cells))
    columns = EncodedColumns(
        names=model.names,
        categorical=model.categorical,
        context=model.context,
        vocabularies=tuple(vocabularies),
        scaling=model.scaling,
        codes=codes,
        numbers=stack_numbers([given.table.columns[j] for j in model.context], given.table.n_rows),
        context_values=np.empty((given.used.n_rows, 0), dtype=np.float32),
        target_means=[],
        poolings=tuple(None if p is None else type(p) for p in model.poolings),
        max_lengths=model.max_lengths,
        crosses=model.crosses,
        gains=model.gains,
    )
    means, weights = [], []
    for j, vocabulary in enumerate(vocabularies):
        labels, offsets = _labels(columns, positions, j)
        by_label = target_sums(labels, offsets, len(vocabulary.label_rows), given)
        sums, totals = by_label.sums, by_label.weights
        earlier = target_means[j].reshape(-1, sums.shape[1]) * label_weights[j][:, None]
        np.add.at(sums, after[j], earlier)
        np.add.at(totals, after[j], label_weights[j])
        mean = sums / totals[:, None]
        means.append(mean[:, 0] if given.target.is_single else mean)
        weights.append(totals)
    columns = replace(columns, target_means=means)
    used = columns.numbers if given.kept.all() else columns.numbers[given.kept]
    rows = hash_rows(hashes, used)
    return Block(columns, positions, rows, used, tuple(weights), before, moved)


def name_rows(
    block: Block,
    given: CheckedInput,
    groups: Keys | None,
    n_folds: int,
    growth: Growth,
) -> Names:
    """Name the rows of a block, and draw folds and judges by the names.

    A row's name is its content. Where contents come again by chance, it is no name: all natural
    copies would be in one fold, whose table then lacks all of them. Copies in the block are told
    apart by their order, and where rows before are likely to have the same content, the call is a
    part of the name. Rows of one of the `groups` stay together, whatever their content.
    """
    contents = hash_examples(block.rows, given.target.values)
    n, repeats, compared = len(contents), growth.repeats, growth.compared
    if n > 1 and groups is None:
        repeated = min(share_of_repeated(contents), 1 - 0.5 / n)
        repeats, compared = repeats - float(np.log1p(-repeated)), compared + n - 1
    chance = repeats / compared if compared else 0.0
    keys = numbered(contents)
    if groups is not None:
        keys = mixed(keys ^ groups)
    elif chance * (growth.n_rows + n) > NATURAL:
        keys = mixed(keys ^ mixed(np.array([growth.n_calls], dtype=np.uint64)))
    owners = keys if groups is None else groups
    fold = (mixed(owners, _salt(growth.seed, 0)) % np.uint64(n_folds)).astype(np.int64)
    return Names(keys, fold, shares(owners, _salt(growth.seed, 1)), repeats, compared)


def group_keys(groups: Any, kept: NDArray[np.bool_]) -> Keys:
    """Return a hash of the group of each used row, of groups that are checked."""
    return hash_groups(column_or_1d(read_array(groups, "groups"))[kept])


def before_first(seed: int, settings: tuple[str, ...]) -> Growth:
    """Return what is known before the first block."""
    none = np.empty(0)
    kept = KeptRows(
        none.astype(np.uint64), none.astype(np.int64), none, (), none[:, None], none[:, None],
        none, 1.0,
    )  # fmt: skip
    return Growth(seed, 0, 0, 0.0, 0.0, None, (), settings, (), (), "", kept)


def after_block(
    growth: Growth,
    block: Block,
    names: Names,
    given: CheckedInput,
    kept: KeptRows,
    start: StartingPoint,
    class_rows: NDArray[np.float64] | None,
) -> Growth:
    """Return what is kept after a block."""
    return replace(
        growth,
        n_calls=growth.n_calls + 1,
        n_rows=growth.n_rows + given.used.n_rows,
        repeats=names.repeats,
        compared=names.compared,
        class_rows=class_rows,
        label_weights=block.label_weights,
        fixed=start.fixed,
        shrinks=tuple(map(bool, start.shrinks)),
        block=mark_of(given.table, block.columns.categorical),
        kept=kept,
    )


def with_earlier(new: KeptRows, earlier: KeptRows) -> tuple[KeptRows, NDArray[np.float64]]:
    """Return new rows and earlier ones, which stand for all that were seen, and their weights."""
    return join(new, earlier), np.concatenate([new.weights, earlier.weights / earlier.share])


def mark_of(table: Table, categorical: Sequence[int]) -> str:
    """Return a hash of the cells of a table, by which the rows of a block are known again."""
    cells, numbers = [], []
    for j, column in enumerate(table.columns):
        if j in categorical:
            own = learn_vocabulary(column)
            cells.append(hash_cells(hash_values(own.categories), positions_of(column, own)))
        else:
            numbers.append(column)
    rows = hash_rows(cells, stack_numbers(numbers, table.n_rows))
    return hashlib.blake2b(rows.tobytes(), digest_size=16).hexdigest()


def nothing_kept(model: EmbeddingModel, n_columns: int) -> KeptRows:
    """Return the sample of no rows."""
    none = np.empty(0, dtype=np.int32)
    lists = Lists(none, np.zeros(1, dtype=np.int64))
    return KeptRows(
        keys=np.empty(0, dtype=np.uint64),
        fold=np.empty(0, dtype=np.int64),
        judges=np.empty(0),
        positions=tuple(lists if v.is_list else none for v in model.vocabularies),
        numbers=np.empty((0, len(model.context))),
        target=np.empty((0, n_columns)),
        weights=np.empty(0),
        share=1.0,
    )


def as_kept(block: Block, names: Names, given: CheckedInput) -> KeptRows:
    """Return all rows of a block in the form of the sample."""
    return KeptRows(
        names.keys,
        names.fold,
        names.judges,
        tuple(block.positions),
        block.used,
        given.target.values,
        given.sample_weight,
        1.0,
    )


def others(kept: KeptRows, block: Block, names: Names) -> KeptRows:
    """Return kept rows that the block does not bring again, in the grown vocabularies."""
    if block.moved is not None:
        moved = [moved_positions(p, by) for p, by in zip(kept.positions, block.moved, strict=True)]
        kept = replace(kept, positions=tuple(moved))
    again = np.isin(kept.keys, names.keys, kind="sort")  # NumPy 2.0 overflows in tables
    return kept.take(np.flatnonzero(~again)) if again.any() else kept


def sample(new: KeptRows, kept: KeptRows, seed: int) -> KeptRows:
    """Return an even sample of all rows so far, from that of earlier ones and all new ones."""
    rows = join(new, kept)
    place = shares(rows.keys, _salt(seed, 2))
    if len(rows) <= KEPT:
        return replace(rows, share=kept.share)
    at = np.argpartition(place, KEPT)[:KEPT]
    at.sort()
    return replace(rows.take(at), share=float(place[at].max()))


def join(first: KeptRows, second: KeptRows) -> KeptRows:
    """Return rows and then others; the share is that of the first."""
    pairs = zip(first.positions, second.positions, strict=True)
    return KeptRows(
        np.concatenate([first.keys, second.keys]),
        np.concatenate([first.fold, second.fold]),
        np.concatenate([first.judges, second.judges]),
        tuple(join_codes(pair) for pair in pairs),
        np.concatenate([first.numbers, second.numbers]),
        np.concatenate([first.target, second.target]),
        np.concatenate([first.weights, second.weights]),
        first.share,
    )


def training_input(
    given: CheckedInput,
    rows: KeptRows,
    weights: NDArray[np.float64],
    class_weight: Any,
) -> CheckedInput:
    """Return what is trained on: the rows of a block and kept ones, `rows` together."""
    n, weights = len(rows), to_unit(weights)
    target = replace(given.target, values=rows.target)
    return replace(
        given,
        used=Table((), n, None),
        target=target,
        sample_weight=weights,
        weights=apply_class_weight(class_weight, target, weights),
        groups=None,
    )


def training_columns(block: Block, rows: KeptRows, scaling: ContextScaling) -> EncodedColumns:
    """Return the coded columns of the rows of a block and kept ones."""
    columns, n = block.columns, len(block.used)
    codes: list[Codes] = []
    some = rows.take(np.arange(n, len(rows)))
    for j, vocabulary in enumerate(columns.vocabularies):
        if isinstance(vocabulary, CrossVocabulary):
            first, second = columns.crosses[j - len(columns.categorical)]
            sides: Any = codes[first], codes[second]
            codes.append(vocabulary.encode(*sides))
        else:
            codes.append(join_codes([columns.codes[j], codes_of(some.positions[j], vocabulary)]))
    return replace(
        columns, codes=codes, scaling=scaling, context_values=scaling.apply(rows.numbers)
    )


def assign(
    rows: KeptRows,
    n_new: int,
    n_folds: int,
    *,
    early_stopping: bool,
    validation_fraction: float,
    withholds: bool,
    grouped: bool,
) -> FoldAssignment:
    """Return folds and judges of rows by their names, of which the first `n_new` are new.

    More rows judge if they need not be withheld, and then new rows alone: old ones, which are many,
    would stop the training before it has learned of a new category. At least one row is in another
    fold than the others, one judges, and one teaches.
    """
    fold, judges, n = rows.fold, rows.judges, len(rows)
    if n_folds > 1 and (fold == fold[0]).all():
        if grouped:  # none of which is taken apart
            raise InvalidDataError(
                "All groups so far are in one fold, but cross-fitting needs two. Give a first "
                "block of more groups, or set cross_fit=False."
            )
        if n == 1:
            raise InvalidDataError(
                "Cross-fitting needs at least two samples, got 1 sample. Give more data, or set "
                "cross_fit=False."
            )
        fold = fold.copy()
        last = int(np.argmax(judges))
        fold[last] = (fold[last] + 1) % n_folds
    validation = np.zeros(n, dtype=bool)
    if early_stopping and not withholds:
        validation_fraction = max(validation_fraction, min(1.0, _JUDGED / n_new))
        first = judges[:n_new]
        validation[:n_new] = (first < validation_fraction) | (first == first.min())
    elif early_stopping:
        validation = (judges < validation_fraction) | (judges == judges.min())
    if withholds and validation.all():
        if n == 1:
            raise InvalidDataError(
                "Early stopping needs at least two samples, got 1 sample; set early_stopping=False."
            )
        validation[np.argmax(judges)] = False
    return FoldAssignment(fold.astype(np.min_scalar_type(-n_folds)), validation, n_folds, withholds)


def growing_point(
    model: EmbeddingModel,
    head: Head,
    block: Block,
    fixed: Sequence[NDArray[np.bool_]],
    shrinks: Sequence[bool],
    n_folds: int,
    freeze: bool | Collection[str],
) -> tuple[list[Floats], StartingPoint, list[NDArray[np.bool_]]]:
    """Return tables, head and poolings to go on from, and what each table has seen so far.

    Each fold's table goes on. Rows of new categories start from the unknown vector, and those of
    categories that were infrequent from the infrequent one.
    """
    assert block.before is not None
    columns = block.columns
    frozen = frozen_columns(freeze, [v.name for v in columns.vocabularies])
    tables, seen, masks = [], [], []
    for j, (vocabulary, table, before) in enumerate(
        zip(columns.vocabularies, model.tables, block.before, strict=True)
    ):
        stack = table.stack[:n_folds]
        tables.append(stack[:, before])
        learned = (stack != stack[:, UNKNOWN : UNKNOWN + 1]).any(axis=2)
        learned[:, UNKNOWN] = False
        seen.append(learned[:, before])
        kept = fixed[j][before]
        if not kept.any() and j < len(columns.categorical):  # frozen for the first time: all known
            kept[vocabulary.label_rows] = before[vocabulary.label_rows] != UNKNOWN
        masks.append(kept & (vocabulary.name in frozen))
    if not any(mask.any() for mask in masks):
        tables, head = head.for_training(tables)
    return tables, StartingPoint(tuple(masks), tuple(shrinks), head, model.poolings), seen


def with_numbers(
    head: Head, numbers: NDArray[np.float64], old: ContextScaling, new: ContextScaling
) -> tuple[Head, ContextScaling]:
    """Return the head for numbers in a new scaling; itself, and the old one, if it cannot follow.

    Numbers in the old scaling are expressed by those in the new one, by least squares.
    """
    if not old.knots:
        return head, new
    some = np.linspace(0, len(numbers) - 1, min(len(numbers), _FITTED_ON)).astype(np.intp)
    now = new.apply(numbers[some]).astype(np.float64)
    design = np.column_stack([now, np.ones(len(some))])
    found = np.linalg.lstsq(design, old.apply(numbers[some]).astype(np.float64), rcond=1e-6)[0]
    moved = head.with_context(found[:-1], found[-1])
    return (head, old) if moved is None else (moved, new)


def with_scale(head: Head, model: EmbeddingModel, new: Scale, link: Link) -> tuple[Head, Scale]:
    """Return the head for targets in new units; itself, and the old ones, if it cannot follow."""
    old = model.scale
    if np.array_equal(old.center, new.center) and np.array_equal(old.width, new.width):
        return head, old
    moved = head.with_outputs(*link.carried(old, new))
    return (head, old) if moved is None else (moved, new)


def aligned(
    model: EmbeddingModel, earlier: EmbeddingModel, block: Block, fixed: Sequence[Any]
) -> EmbeddingModel:
    """Return the model with vectors turned and shifted to where those of the earlier one were.

    The best rigid motions that the network can follow, by what columns share, weighted by counts.
    """
    assert block.before is not None
    matched: list[Any] = []
    for table, then, before in zip(model.tables, earlier.tables, block.before, strict=True):
        counts = np.zeros(table.vocabulary.n_rows)
        np.add.at(counts, table.vocabulary.label_rows, table.vocabulary.label_counts)
        common = (before != UNKNOWN) & ((before != INFREQUENT) | (np.arange(len(before)) == before))
        weights = counts * common
        if not weights.any():
            matched.append(None)
            continue
        axes = slice(0, table.n_axes)
        new, old = table.vectors[:, axes], then.vectors[before][:, axes]
        matched.append((new.astype(float), old.astype(float), weights / weights.sum()))
    symmetries = [model.symmetry_of(j) for j in range(len(model.tables))]
    motions: list[Motion | None] = [None] * len(matched)
    frozen = [bool(np.any(f)) for f in fixed]
    if any(s.joint for s in symmetries):
        known = [m for m in matched if m is not None]
        if known and not any(frozen):
            turn = nearest_rotation(known)
            motions = [Motion(turn, np.zeros(len(turn)))] * len(matched)
    else:
        motions = [
            None if m is None or keeps else nearest_motion(m, s)
            for m, s, keeps in zip(matched, symmetries, frozen, strict=True)
        ]
    return model.moved(motions) if any(m is not None for m in motions) else model


def in_own_unit(given: CheckedInput, sample_weight: Any) -> CheckedInput:
    """Return the block with weights in the user's unit, in which those of other blocks are, too."""
    if sample_weight is None:
        return given
    largest = np.max(read_array(np.atleast_1d(sample_weight), "sample_weight").astype(np.float64))
    if not _WEIGHTS[0] < largest < _WEIGHTS[1]:
        raise InvalidDataError(
            f"sample_weight has {largest:.1g} as its largest value, which weights of other calls "
            "cannot be compared with; give weights nearer to one."
        )
    unit = largest / given.sample_weight.max()
    return replace(given, sample_weight=given.sample_weight * unit, weights=given.weights * unit)


def balanced(class_weight: Any, class_rows: NDArray[np.float64] | None, target: Target) -> Any:
    """Return weights that make up for unequal numbers of rows so far; others as they are."""
    if not (isinstance(class_weight, str) and class_weight == "balanced") or class_rows is None:
        return class_weight
    assert target.classes is not None
    if target.kind == "multilabel-indicator":
        raise InvalidParameterError(
            "class_weight='balanced' cannot be used in partial_fit on an indicator matrix; give "
            "a list of weights."
        )
    known = class_rows > 0
    weights = class_rows.sum() / (known.sum() * np.maximum(class_rows, 1))
    return {
        label: float(w)
        for label, w, there in zip(target.classes.tolist(), weights, known, strict=True)
        if there
    }


def class_rows(target: Target) -> NDArray[np.float64] | None:
    """Return the rows of each class; None for quantities."""
    if target.classes is None:
        return None
    if target.kind == "multilabel-indicator":
        return np.asarray(target.values.sum(axis=0))
    codes = target.values[:, 0].astype(np.intp)
    return np.bincount(codes, minlength=len(target.classes)).astype(np.float64)


def after_fit(
    model: EmbeddingModel,
    shrinks: Sequence[bool],
    settings: tuple[str, ...],
    n_rows: int,
    n_columns: int,
    random_state: RandomState,
) -> Growth:
    """Return what is kept of a fit that kept nothing: its counts."""
    return Growth(
        seed=int(random_state.randint(np.iinfo(np.int32).max)),
        n_calls=1,
        n_rows=n_rows,
        repeats=0.0,
        compared=0.0,
        class_rows=None,
        label_weights=tuple(t.vocabulary.label_counts.astype(np.float64) for t in model.tables),
        settings=settings,
        fixed=tuple(np.zeros(t.vocabulary.n_rows, dtype=bool) for t in model.tables),
        shrinks=tuple(shrinks),
        block="",
        kept=nothing_kept(model, n_columns),
    )


_JUDGED = 10_000
"""Rows whose loss stops the training, at least, where none has to be withheld for that."""


def _salt(seed: int, purpose: int) -> int:
    return 4 * seed + purpose + 1


def _cut(given: CheckedInput, columns: EncodedColumns) -> list[Any]:
    return [
        given.used.columns[j] if n is None else given.used.columns[j].last(n)
        for j, n in zip(columns.categorical, columns.max_lengths, strict=True)
    ]


def _labels(
    columns: EncodedColumns, positions: Sequence[Codes], j: int
) -> tuple[NDArray[Any], NDArray[np.int64] | None]:
    """Return the label of each cell or item of a column or a pair, and where each list begins."""
    if j >= len(columns.categorical):
        first, second = columns.crosses[j - len(columns.categorical)]
        cross: Any = columns.vocabularies[j]
        return cross.locate(columns.codes[first], columns.codes[second]), None
    at = positions[j]
    return (at.items, at.offsets) if isinstance(at, Lists) else (at, None)
