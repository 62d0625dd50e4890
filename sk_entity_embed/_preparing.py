"""What an estimator's training is given: coded columns, folds, pairs and first vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.random import RandomState

from sk_entity_embed._checks import hidden_sizes
from sk_entity_embed.exceptions import InvalidParameterError, LeakageWarning
from sk_entity_embed.fitting.initialization import starting_point
from sk_entity_embed.fitting.interactions import choose_pairs
from sk_entity_embed.fitting.options import resolve_max_length, resolve_pooling
from sk_entity_embed.fitting.preparation import (
    CheckedInput,
    EncodedColumns,
    FoldAssignment,
    Seeds,
    assign_rows,
    encode_columns,
)
from sk_entity_embed.fitting.warm_start import check_continuation, continued_point, fingerprint
from sk_entity_embed.input.duplicates import check_duplicates
from sk_entity_embed.input.folds import is_integer, warn_of_rare_classes
from sk_entity_embed.input.messages import warn
from sk_entity_embed.input.roles import check_roles
from sk_entity_embed.input.selection import select_categorical
from sk_entity_embed.input.table import Table
from sk_entity_embed.input.target import Target
from sk_entity_embed.learning.problem import Floats, StartingPoint
from sk_entity_embed.model.fitted import EmbeddingModel, WarmStartState, embedded_names
from sk_entity_embed.model.heads import HEADS
from sk_entity_embed.model.losses import Link
from sk_entity_embed.model.poolings import Pooling

if TYPE_CHECKING:
    from sk_entity_embed._estimator import EmbeddingEstimator

_CONTINUED_ELSEWHERE = (
    "warm_start continues with other rows, folds or categories than the previous fit. All "
    "tables start from the mean table, so rows of the previous fit get vectors that have seen "
    "their targets, also in fit_transform. Encode training rows with a new encoder."
)


def encode_table(
    estimator: EmbeddingEstimator,
    given: CheckedInput,
    X: Any,
    before: EmbeddingModel | None,
    link: Link,
) -> EncodedColumns:
    """Choose the categorical columns and code them; refuse what the fit before does not suit."""
    categorical, context = select_categorical(
        estimator.categorical_features, given.used, X, required=estimator._needs_categories
    )
    names = tuple(c.name for c in given.table.columns)
    if before is not None:
        layers = layers_of(estimator, given, link)
        check_continuation(before, names, categorical, given.target, layers)
    table, target = given.used, given.target
    columns = encode_columns(
        given,
        categorical,
        context,
        min_frequency=estimator.min_frequency,
        max_categories=estimator.max_categories,
        handle_missing=estimator.handle_missing,
        scaling=None if before is None else before.scaling,
        poolings=poolings_of(estimator, table, categorical, target),
        max_lengths=lengths_of_lists(estimator, table, categorical),
    )
    chosen = estimator.categorical_features
    check_roles(chosen, table, categorical, context, columns.codes, target)
    return columns


def poolings_of(
    estimator: EmbeddingEstimator, table: Table, categorical: Sequence[int], target: Target
) -> list[type[Pooling] | None]:
    """Return each categorical column's kind of pooling, None of single values."""
    lists = [j for j in categorical if table.columns[j].is_list]
    names = [c.name for c in table.columns]
    kinds = resolve_pooling(estimator.pooling, [names[j] for j in lists], lists)
    pooling = dict(zip(lists, kinds, strict=True))
    HEADS[estimator.head].check(
        [names[j] for j in categorical],
        target.n_outputs,
        {names[j]: kind for j, kind in pooling.items()},
    )
    for j, kind in pooling.items():
        if kind.learns and estimator.n_members > 1:
            raise InvalidParameterError(
                f"With `n_members`={estimator.n_members} the vectors of all members are rotated "
                f"into one space, but the output of `pooling`={kind.name!r} for column "
                f"{names[j]!r} cannot be rotated; use n_members=1 or another pooling."
            )
    return [pooling.get(j) for j in categorical]


def lengths_of_lists(
    estimator: EmbeddingEstimator, table: Table, categorical: Sequence[int]
) -> list[int | None]:
    """Return how many last items of each categorical column's lists are used."""
    lists = [j for j in categorical if table.columns[j].is_list]
    named = resolve_max_length(estimator.max_length, [table.columns[j].name for j in lists], lists)
    lengths = dict(zip(lists, named, strict=True))
    return [lengths.get(j) for j in categorical]


def draw_folds(
    estimator: EmbeddingEstimator, given: CheckedInput, columns: EncodedColumns, seeds: Seeds
) -> FoldAssignment:
    """Draw folds and validation rows, and warn of copies in other folds."""
    folds = assign_folds(estimator, given, columns, seeds)
    target = given.target
    if cross_fits(estimator, columns):
        if is_integer(estimator.cv) and target.strata is not None and target.classes is not None:
            warn_of_rare_classes(folds.fold, target.strata, target.classes)
        check_duplicates(columns.codes, columns.context_values, target, folds.fold)
    return folds


def assign_folds(
    estimator: EmbeddingEstimator,
    given: CheckedInput,
    columns: EncodedColumns,
    seeds: Seeds,
    of_first: FoldAssignment | None = None,
) -> FoldAssignment:
    """Draw folds and validation rows; those `of_first` where `cv` has folds of its own."""
    if of_first is not None and not is_integer(estimator.cv):
        return of_first
    return assign_rows(
        given,
        cross_fit=cross_fits(estimator, columns),
        cv=estimator.cv if of_first is None else of_first.n_tables,
        early_stopping=estimator.early_stopping,
        validation_fraction=estimator.validation_fraction,
        withholds=withholds(estimator, columns),
        random_state=seeds.folds,
    )


def withholds(estimator: EmbeddingEstimator, columns: EncodedColumns) -> bool:
    """Whether validation rows are held back: layers that all folds share must not see them."""
    shared = any(pooling is not None and pooling.learns for pooling in columns.poolings)
    return shared or not (cross_fits(estimator, columns) and HEADS[estimator.head].cross_fits)


def cross_fits(estimator: EmbeddingEstimator, columns: EncodedColumns) -> bool:
    """Whether there are folds: without tables they would have no purpose."""
    return bool(estimator.cross_fit) and len(columns.categorical) > 0


def add_crosses(
    estimator: EmbeddingEstimator,
    given: CheckedInput,
    columns: EncodedColumns,
    before: EmbeddingModel | None,
    drawn: FoldAssignment | None,
    seeds: Seeds,
) -> EncodedColumns:
    """Add crosses: new ones, or those of the fit before."""
    if before is not None:
        gains = dict(zip(before.crosses, before.gains, strict=True))
    else:
        assert drawn is not None
        head, source = HEADS[estimator.head], RandomState(seeds.network)
        gains = choose_pairs(estimator.interactions, columns, given, drawn, head, source)
    names = [columns.names[j] for j in columns.categorical]
    pairs = embedded_names(names, list(gains))[len(names) :]
    for k, name in enumerate(pairs):
        if name in pairs[:k]:
            raise InvalidParameterError(
                f"Two pairs in `interactions` have the same name {name!r}; rename one of their "
                "columns."
            )
        if name in columns.names:
            raise InvalidParameterError(
                f"The pair {name!r} in `interactions` has the same name as a column of X; "
                "rename the column."
            )
    return columns.crossed(
        gains, given, min_frequency=estimator.min_frequency, max_categories=estimator.max_categories
    )


def starting_state(
    estimator: EmbeddingEstimator,
    given: CheckedInput,
    columns: EncodedColumns,
    before: EmbeddingModel | None,
    mark: str,
    drawn: FoldAssignment | None,
    seeds: Seeds,
) -> tuple[FoldAssignment, list[Floats], StartingPoint]:
    """Folds and first vectors: new ones, or those of the fit before."""
    state = None if before is None else before.warm_start
    same_rows = state is not None and state.fingerprint == mark
    cross_fit = cross_fits(estimator, columns)
    if state is not None and same_rows:
        withheld = withholds(estimator, columns)
        folds = FoldAssignment.of(state.fold, state.validation, withheld)
    else:
        folds = draw_folds(estimator, given, columns, seeds) if drawn is None else drawn
    if before is not None:
        tables, start = continued_point(
            before, columns, folds.n_tables, same_rows=same_rows, freeze=estimator.freeze
        )
        if cross_fit and not same_rows:
            warn(_CONTINUED_ELSEWHERE, LeakageWarning)
        return folds, tables, start
    return folds, *first_vectors(estimator, given, columns, folds, seeds)


def first_vectors(
    estimator: EmbeddingEstimator,
    given: CheckedInput,
    columns: EncodedColumns,
    folds: FoldAssignment,
    seeds: Seeds,
) -> tuple[list[Floats], StartingPoint]:
    """New vectors, and all else that a first fit starts from."""
    tables, start = starting_point(
        columns,
        given.target,
        folds,
        head=HEADS[estimator.head],
        dimensions=estimator.dimensions,
        init=estimator.init,
        freeze=estimator.freeze,
        random_state=seeds.vectors,
    )
    if (
        estimator.n_members > 1
        and HEADS[estimator.head].moves_together
        and any(map(np.any, start.fixed))
    ):
        raise InvalidParameterError(
            f"With `n_members`={estimator.n_members} the vectors of all members are rotated into "
            f"one space. head={estimator.head!r} rotates all columns together, so frozen vectors "
            "cannot stay as they are; use n_members=1 or freeze=False."
        )
    return tables, start


def warm_start_state(
    estimator: EmbeddingEstimator,
    mark: str,
    given: CheckedInput,
    folds: FoldAssignment,
    start: StartingPoint,
    link: Link,
) -> WarmStartState | None:
    """Return the state from which the next fit can go on; None unless it may."""
    if not estimator.warm_start:
        return None
    return WarmStartState(
        fingerprint=mark,
        fold=folds.fold.astype(np.int64),
        validation=folds.validation,
        classes=given.target.classes,
        layers=layers_of(estimator, given, link),
        fixed=start.fixed,
        shrinks=tuple(map(bool, start.shrinks)),
    )


def fingerprint_of(
    estimator: EmbeddingEstimator, given: CheckedInput, columns: EncodedColumns
) -> str:
    """Return a hash of the rows and folds, to tell whether the next fit has the same."""
    decides_folds = (
        estimator.cross_fit,
        estimator.cv,
        estimator.early_stopping,
        estimator.validation_fraction,
    )
    return fingerprint(given, columns, decides_folds) if estimator.warm_start else ""


def layers_of(estimator: EmbeddingEstimator, given: CheckedInput, link: Link) -> tuple[str, ...]:
    """Return the settings that decide the network's shapes and the meaning of its outputs."""
    sizes = HEADS[estimator.head].hidden_sizes(hidden_sizes(estimator))
    parts = [estimator.dimensions, sizes, given.loss, given.target.n_outputs, estimator.head]
    parts += [estimator.pooling, estimator.max_length, link]
    parts += [] if estimator.interactions is None else [estimator.interactions]
    return tuple(repr(part) for part in parts)
