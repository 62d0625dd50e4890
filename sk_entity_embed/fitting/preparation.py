"""From what the user gave to arrays: checked input, encoded columns, folds, training rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from numbers import Number
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.random import RandomState
from numpy.typing import NDArray
from sklearn.utils import check_random_state, column_or_1d, gen_batches
from sklearn.utils.validation import _check_sample_weight

from sk_entity_embed.exceptions import (
    EmptyColumnWarning,
    InvalidDataError,
    InvalidParameterError,
)
from sk_entity_embed.input.columns import read_table
from sk_entity_embed.input.context import ContextScaling, fit_context, stack_numbers
from sk_entity_embed.input.crosses import AnyVocabulary, learn_cross
from sk_entity_embed.input.folds import (
    assign_folds,
    pick_validation,
)
from sk_entity_embed.input.lists import Codes, Lists
from sk_entity_embed.input.messages import shown, warn
from sk_entity_embed.input.table import Column, Table
from sk_entity_embed.input.target import (
    Target,
    TargetForm,
    apply_class_weight,
    check_target,
    read_target,
    to_unit,
)
from sk_entity_embed.input.values import read_array, to_float64
from sk_entity_embed.input.vocabulary import Vocabulary, learn_vocabulary
from sk_entity_embed.learning.problem import TrainingRows
from sk_entity_embed.model.losses import Bounded, Link, Loss, Scale, resolve_loss
from sk_entity_embed.model.poolings import Pooling

_BLOCK = 16_384  # Rows at a time, so that what is made of them takes no memory to speak of.

_JUDGED = 10_000
"""Rows whose loss stops the training, at least, where none has to be withheld for that."""

_SEEDS = np.iinfo(np.int32).max

_WIDEST = 1e6
"""Distance of the bounds of predictions over the spread of the target: 1e7 is too much."""


@dataclass(frozen=True, slots=True)
class CheckedInput:
    """Checked input. `table` has all rows of `X`, `used` those that take part, which `kept` marks.

    The others belong to the rows used: the target, the loss trained on, their weights, without
    (`sample_weight`) and with (`weights`) those of their classes, and their groups.
    """

    table: Table
    used: Table
    kept: NDArray[np.bool_]
    target: Target
    loss: Loss
    sample_weight: NDArray[np.float64]
    weights: NDArray[np.float64]
    groups: NDArray[Any] | None


@dataclass(frozen=True, slots=True)
class EncodedColumns:
    """Roles of the columns and what was learned to read them.

    `names` are those of all columns of `X`, `categorical` and `context` positions among them, and
    `crosses` pairs of places among the categorical ones, each with its gain. For each categorical
    column, and then for each cross, there is a vocabulary, `codes` (table rows of the rows used, or
    Lists of them), the kind of its pooling, None for single values, and the weighted target mean of
    each label, of shape (n_labels,) or (n_labels, n_outputs), in the target's units or as shares of
    the classes. `max_lengths` are the longest lists of the categorical columns, None for any.
    `numbers` are the context columns of all rows in their own units, `context_values` those of the
    rows used, scaled.
    """

    names: tuple[str, ...]
    categorical: tuple[int, ...]
    context: tuple[int, ...]
    vocabularies: tuple[AnyVocabulary, ...]
    scaling: ContextScaling
    codes: list[Codes]
    numbers: NDArray[np.float64]
    context_values: NDArray[np.float32]
    target_means: list[NDArray[np.float64]]
    poolings: tuple[type[Pooling] | None, ...]
    max_lengths: tuple[int | None, ...]
    crosses: tuple[tuple[int, int], ...] = ()
    gains: tuple[float, ...] = ()

    @property
    def embedded(self) -> list[str]:
        """Names of the categorical columns, without crosses."""
        return [self.names[j] for j in self.categorical]

    def crossed(
        self,
        gains: Mapping[tuple[int, int], float],
        given: CheckedInput,
        *,
        min_frequency: float | int | None,
        max_categories: int | None,
    ) -> EncodedColumns:
        """Return the columns with crosses: the pairs that `gains` has, none of them of lists."""
        added = []
        for pair in gains:
            parents = [self.vocabularies[j] for j in pair]
            first, second = (self.codes[j] for j in pair)
            assert not isinstance(first, Lists)
            assert not isinstance(second, Lists)
            vocabulary = learn_cross(
                [v for v in parents if isinstance(v, Vocabulary)],
                [first, second],
                min_frequency=min_frequency,
                max_categories=max_categories,
            )
            positions = vocabulary.locate(first, second)
            means = target_means(positions, None, len(vocabulary.pairs), given)
            added.append((vocabulary, vocabulary.rows_of(positions), means))
        return replace(
            self,
            vocabularies=(*self.vocabularies, *(vocabulary for vocabulary, _, _ in added)),
            codes=[*self.codes, *(codes for _, codes, _ in added)],
            target_means=[*self.target_means, *(means for _, _, means in added)],
            poolings=(*self.poolings, *(None for _ in added)),
            crosses=tuple(gains),
            gains=tuple(gains.values()),
        )


@dataclass(frozen=True, slots=True)
class FoldAssignment:
    """Which fold each row belongs to and which rows decide when to stop.

    `fold` is from 0 to ``n_tables - 1``, all zero without cross-fitting. No head learns from rows
    of `validation` if they are `withheld`; with one head for each fold they need not be.
    """

    fold: NDArray[np.signedinteger[Any]]
    validation: NDArray[np.bool_]
    n_tables: int
    withholds: bool

    @classmethod
    def of(
        cls, fold: NDArray[np.int64], validation: NDArray[np.bool_], withholds: bool
    ) -> FoldAssignment:
        """Return the assignment that stored arrays hold."""
        n_tables = int(fold.max()) + 1
        return cls(fold.astype(np.min_scalar_type(-n_tables)), validation, n_tables, withholds)

    @property
    def withheld(self) -> NDArray[np.bool_]:
        """Rows that no head learns from."""
        return self.validation if self.withholds else np.zeros_like(self.validation)


@dataclass(frozen=True, slots=True)
class Seeds:
    """One independent source of randomness for each purpose, in a fixed order of drawing.

    Members start from the same vectors and the same `network`; what comes after is drawn from a
    `branch` of their own.
    """

    folds: RandomState
    vectors: RandomState
    network: int
    branch: int | None = None

    @classmethod
    def draw(cls, random_state: Any, n_members: int = 1) -> list[Seeds]:
        """Draw all seeds of each member from one `random_state`; those of the first come first."""
        return cls.of(cls.numbers(random_state, n_members))

    @staticmethod
    def numbers(random_state: Any, n_members: int = 1) -> list[list[int]]:
        """Draw the numbers that decide the seeds of all members."""
        source = check_random_state(random_state)
        first: list[int] = source.randint(_SEEDS, size=3).tolist()
        return [first, *source.randint(_SEEDS, size=(n_members - 1, 2)).tolist()]

    @classmethod
    def of(cls, numbers: list[list[int]]) -> list[Seeds]:
        """Return the seeds of each member that such numbers decide."""
        (folds, vectors, network), *others = numbers
        out = [cls(RandomState(folds), RandomState(vectors), network)]
        for folds, branch in others:
            out.append(cls(RandomState(folds), RandomState(vectors), network, branch))
        return out


def check_input(
    X: Any,
    y: Any,
    sample_weight: Any,
    groups: Any,
    *,
    target_type: str,
    loss: str,
    class_weight: Any,
    form: Callable[[NDArray[Any]], TargetForm] | None = None,
) -> CheckedInput:
    """Read and check everything passed to ``fit``; errors name what is wrong.

    Where rows come in parts, a `form` says how to read the target.
    """
    table = read_table(X)
    y_array = check_target(y, table.n_rows)
    weights = _check_weights(sample_weight, table.n_rows)
    group_array = None if groups is None else _check_groups(groups, table.n_rows)
    kept = weights > 0
    used = table
    if not kept.all():
        used = table.take(np.flatnonzero(kept))
        y_array, weights = y_array[kept], weights[kept]
        group_array = None if group_array is None else group_array[kept]
    target = read_target(y_array, target_type) if form is None else form(y_array).read(y_array)
    return CheckedInput(
        table=table,
        used=used,
        kept=kept,
        target=target,
        loss=resolve_loss(loss, target),
        sample_weight=weights,
        weights=apply_class_weight(class_weight, target, weights),
        groups=group_array,
    )


def encode_columns(
    given: CheckedInput,
    categorical: Sequence[int],
    context: Sequence[int],
    *,
    min_frequency: float | int | None,
    max_categories: int | None,
    handle_missing: Any,
    scaling: ContextScaling | None,
    poolings: Sequence[type[Pooling] | None],
    max_lengths: Sequence[int | None],
) -> EncodedColumns:
    """Learn vocabularies and, unless given, scaling of the columns at the given positions.

    Lists of a column with a `max_lengths` lose all but their last items first.
    """
    table = given.used
    cut = [
        table.columns[j] if n is None else table.columns[j].last(n)
        for j, n in zip(categorical, max_lengths, strict=True)
    ]
    vocabularies = tuple(
        learn_vocabulary(
            column,
            min_frequency=min_frequency,
            max_categories=max_categories,
            missing=handle_missing,
        )
        for column in cut
    )
    coded = []
    for column, vocabulary in zip(cut, vocabularies, strict=True):
        codes, positions, offsets = code_column(column, vocabulary)
        n_labels = len(vocabulary.label_rows)
        coded.append((codes, target_means(positions, offsets, n_labels, given)))
    numbers = stack_numbers([given.table.columns[j] for j in context], given.table.n_rows)
    used = numbers if given.kept.all() else numbers[given.kept]
    scaling = fit_context(used) if scaling is None else scaling
    empty = [j for j, v in zip(categorical, vocabularies, strict=True) if v.n_categories == 0]
    empty += [context[k] for k in np.flatnonzero(np.isnan(used).all(axis=0)).tolist()]
    warn_of_empty_columns([table.columns[j].name for j in sorted(empty)])
    for vocabulary in vocabularies:
        vocabulary.forget()
    pa.default_memory_pool().release_unused()  # what reading took and needs no more
    return EncodedColumns(
        names=tuple(c.name for c in table.columns),
        categorical=tuple(categorical),
        context=tuple(context),
        vocabularies=vocabularies,
        scaling=scaling,
        codes=[codes for codes, _ in coded],
        numbers=numbers,
        context_values=scaling.apply(used),
        target_means=[means for _, means in coded],
        poolings=tuple(poolings),
        max_lengths=tuple(max_lengths),
    )


def warn_of_empty_columns(names: list[str]) -> None:
    """Warn once of columns that there is nothing to learn from."""
    if names:
        warn(
            f"Columns {shown(names)} have only missing values or empty lists. Nothing is learned "
            "from them: categories that come later are unknown, and numbers count as missing.",
            EmptyColumnWarning,
        )


def assign_rows(
    given: CheckedInput,
    *,
    cross_fit: bool,
    cv: Any,
    early_stopping: bool,
    validation_fraction: float,
    withholds: bool,
    random_state: RandomState,
) -> FoldAssignment:
    """Draw folds and validation rows: more of these if they need not be withheld."""
    n, strata, groups = given.used.n_rows, given.target.strata, given.groups
    fold, n_tables = np.zeros(n, dtype=np.int8), 1
    if cross_fit:
        kept = np.flatnonzero(given.kept)
        folds = assign_folds(cv, strata, groups, kept, given.table.n_rows, random_state)
        n_tables = int(folds.max()) + 1
        fold = folds.astype(np.min_scalar_type(-n_tables))
    validation = np.zeros(n, dtype=bool)
    if early_stopping and not withholds:
        validation_fraction = max(validation_fraction, min(1.0, _JUDGED / n))
    if early_stopping and validation_fraction == 1.0:
        validation[:] = True
    elif early_stopping:
        validation = pick_validation(validation_fraction, strata, groups, n, random_state)
    return FoldAssignment(fold, validation, n_tables, withholds)


def training_rows(
    given: CheckedInput, columns: EncodedColumns, folds: FoldAssignment, scale: Scale
) -> TrainingRows:
    """Return everything the network trains on.

    An InvalidDataError is raised if the weights leave none for the rows that teach a head, or for
    those that validate it.
    """
    values = given.target.values
    weights = np.divide(
        given.weights, given.weights.mean(), out=np.empty(len(values), dtype=np.float32)
    )
    n_teaching = np.count_nonzero(np.bincount(folds.fold[~folds.withheld & (weights > 0)]))
    needed = 1 if folds.withholds else 2  # for rows of a fold teach the heads of others
    judged = not folds.validation.any() or weights[folds.validation].any()
    if n_teaching < needed or not judged:
        raise InvalidDataError(
            "sample_weight gives nearly all weight to few rows, so that none is left for "
            "training or for early stopping; give weights that differ less."
        )
    target = np.empty(values.shape, dtype=np.float32)
    for at in gen_batches(len(values), _BLOCK):
        target[at] = scale.apply(values[at])
    return TrainingRows(
        codes=columns.codes,
        context=columns.context_values,
        target=target,
        weights=weights,
        fold=folds.fold,
        validation=folds.validation,
        withheld=folds.withheld,
        n_tables=folds.n_tables,
        n_rows=[v.n_rows for v in columns.vocabularies],
    )


def resolve_link(y_range: Any, given: CheckedInput, scale: Scale) -> Link:
    """Return the link of the loss, or, for a `y_range`, one that squashes between its bounds.

    Raises
    ------
    InvalidParameterError
        If the bounds are not two rising numbers, the loss has bounds of its own, or they are so far
        apart that float32 does not tell the values between them apart.
    InvalidDataError
        If a value of the target lies outside.
    """
    if y_range is None:
        return given.loss.link
    target = given.target
    try:
        low, high = (float(bound) for bound in y_range)
    except (TypeError, ValueError, OverflowError):
        low = high = np.nan
    if not (np.isfinite([low, high]).all() and low < high):
        raise InvalidParameterError(
            f"`y_range` must be two numbers, the lower one first, got {shown(y_range)}."
        )
    if not given.loss.may_be_bounded:
        what = (
            f"a {target.kind} target" if target.is_classification else f"loss={given.loss.name!r}"
        )
        raise InvalidParameterError(
            f"`y_range` limits predictions of quantities and cannot be used with {what}; leave "
            "it None."
        )
    outside = (target.values < low) | (target.values > high)
    if outside.any():
        first = target.values[outside][0]
        raise InvalidDataError(
            f"y has {int(outside.sum())} value(s) outside y_range=({low!r}, {high!r}), the first "
            f"one {float(first)!r}; widen `y_range` to hold all of y."
        )
    if not high / 2 - low / 2 <= _WIDEST / 2 * scale.width.min():  # halves, for the sake of 1e308
        raise InvalidParameterError(
            f"`y_range`=({low}, {high}) is too wide for a y that varies by about "
            f"{scale.width.min():.1g}: training cannot tell such values apart. Give bounds that "
            "are nearer to y, or None."
        )
    return Bounded(low, high)


def code_column(
    column: Column, vocabulary: Vocabulary
) -> tuple[Codes, NDArray[np.integer[Any]], NDArray[np.int64] | None]:
    """Return table rows of a column's cells or lists, and the label of each cell or item.

    With labels of items there are offsets: where those of each list begin.
    """
    if column.is_list:
        items, offsets = _locate_items(column, vocabulary)
        return vocabulary.encode(column), items, offsets
    if vocabulary.is_list:  # of single values only missing ones are let through
        n = len(column)
        return vocabulary.encode(column), np.full(n, vocabulary.n_categories), np.arange(n + 1)
    positions = vocabulary.locate(column)
    return vocabulary.rows_of(positions), positions, None


def _locate_items(
    column: Column, vocabulary: Vocabulary
) -> tuple[NDArray[np.integer[Any]], NDArray[np.int64]]:
    """Return the label of each item of a column of lists; a missing list is a missing item."""
    assert column.offsets is not None
    assert column.absent is not None
    missing = vocabulary.n_categories
    at = column.offsets[:-1][column.absent]
    positions = np.insert(vocabulary.locate(column.items), at, missing)
    return positions, column.offsets + np.append(0, np.cumsum(column.absent))


class LabelSums:
    """Weighted sums of the target by label, over the cells or items that hold each.

    A label is the position of a category; that of missing ones comes after all, if it is one, and
    cells of no category count for none.
    """

    def __init__(self, n_labels: int, target: Target) -> None:
        self._n_labels, self._target = n_labels, target
        n = n_labels + 2  # missing ones that are no label, and unknown ones
        self._sums, self._totals = np.zeros(n * target.n_outputs), np.zeros(n)

    def add(
        self,
        positions: NDArray[np.integer[Any]],
        offsets: NDArray[np.int64] | None,
        target: Target,
        weights: NDArray[np.float64],
    ) -> None:
        """Take in some rows, or none."""
        n_outputs = target.n_outputs
        for rows in gen_batches(len(weights), _BLOCK) if len(weights) else ():
            items, owners = rows, rows
            if offsets is not None:
                items = slice(offsets[rows.start], offsets[rows.stop])
                lengths = np.diff(offsets[rows.start : rows.stop + 1])
                owners = np.repeat(np.arange(rows.start, rows.stop), lengths)
            labels = positions[items].astype(np.intp)
            own, values = weights[owners], target.values[owners]
            np.add.at(self._totals, labels, own)
            if target.has_exclusive_classes:
                np.add.at(self._sums, labels * n_outputs + values[:, 0].astype(np.intp), own)
            else:
                for j in range(n_outputs):
                    np.add.at(self._sums, labels * n_outputs + j, own * values[:, j])

    def merge(self, other: LabelSums) -> None:
        """Take in the rows of other sums of the same labels."""
        self._sums = self._sums + other._sums
        self._totals = self._totals + other._totals

    @property
    def sums(self) -> NDArray[np.float64]:
        """Weighted sums of the target, of shape (n_labels, n_outputs)."""
        return self._sums.reshape(-1, self._target.n_outputs)[: self._n_labels]

    @property
    def weights(self) -> NDArray[np.float64]:
        """Weight of the cells or items of each label."""
        return self._totals[: self._n_labels]

    @property
    def means(self) -> NDArray[np.float64]:
        """Target means of the labels, of shape (n_labels,) or (n_labels, n_outputs)."""
        means: NDArray[np.float64] = self.sums / self.weights[:, None]
        return means[:, 0] if self._target.is_single else means


def target_means(
    positions: NDArray[np.integer[Any]],
    offsets: NDArray[np.int64] | None,
    n_labels: int,
    given: CheckedInput,
) -> NDArray[np.float64]:
    """Return the weighted target mean of each label, over the cells or items that hold it."""
    return target_sums(positions, offsets, n_labels, given).means


def target_sums(
    positions: NDArray[np.integer[Any]],
    offsets: NDArray[np.int64] | None,
    n_labels: int,
    given: CheckedInput,
) -> LabelSums:
    """Return each label's weighted sums of the target."""
    sums = LabelSums(n_labels, given.target)
    sums.add(positions, offsets, given.target, given.sample_weight)
    return sums


def _check_weights(sample_weight: Any, n_samples: int) -> NDArray[np.float64]:
    """Return each row's weight; a single one, repeated without memory, where none are given."""
    if sample_weight is None:
        return np.broadcast_to(np.float64(1.0), n_samples)
    weights = sample_weight
    if not isinstance(sample_weight, Number):  # the one weight of all rows
        array = read_array(sample_weight, "sample_weight")
        weights = to_float64(array, "sample_weight", "Weights must be numbers")
    weights = _check_sample_weight(
        weights, np.empty((n_samples, 1)), dtype=np.float64, ensure_non_negative=True
    )
    if not weights.any():  # from 1.9 on scikit-learn has refused them already
        raise InvalidDataError("sample_weight is zero for all rows; some have to count.")
    return to_unit(weights)


def _check_groups(groups: Any, n_samples: int) -> NDArray[Any]:
    array = read_array(groups, "groups")
    if array.ndim == 2 and array.shape[1] > 1:
        raise InvalidDataError(f"groups has {array.shape[1]} columns; give one group a row.")
    array = column_or_1d(array)
    if len(array) != n_samples:
        raise InvalidDataError(
            f"X and groups have inconsistent numbers of samples: {n_samples} and {len(array)}."
        )
    if pd.isna(array).any():
        raise InvalidDataError("groups has missing values; give each row a group.")
    try:
        codes, labels = pd.factorize(array)
    except TypeError as error:
        raise InvalidDataError(
            f"groups holds values that are not labels: {error!s:.300}."
        ) from error
    with suppress(TypeError):  # the order of numbers or text, if there is one
        codes = np.argsort(np.argsort(labels))[codes]
    return np.asarray(codes)
