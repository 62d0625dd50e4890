"""Between preparation and model: starting points before training, the fitted value after it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import joblib
import numpy as np
import pandas as pd
from numpy.random import RandomState
from numpy.typing import NDArray

from sk_entity_embed.canonical import canonicalise
from sk_entity_embed.dimensions import resolve_dimensions
from sk_entity_embed.exceptions import InvalidParameterError
from sk_entity_embed.initialization import (
    InitialVectors,
    check_init,
    encoder_vectors,
    given_vectors,
    normal_vectors,
)
from sk_entity_embed.input.columns import Column
from sk_entity_embed.input.target import Scale, Target
from sk_entity_embed.input.vocabulary import (
    INFREQUENT,
    MISSING,
    N_RESERVED,
    UNKNOWN,
    Vocabulary,
)
from sk_entity_embed.learning.problem import Learned, StartingPoint, TrainingRows
from sk_entity_embed.model import EmbeddingModel
from sk_entity_embed.preparation import Columns, Given, Roles
from sk_entity_embed.tables import EmbeddingTable, merge_tables


@dataclass(frozen=True, slots=True)
class Memory:
    """What ``warm_start`` needs to know of the fit before.

    Attributes
    ----------
    fingerprint : str
        Hash of the training rows and of what decides their folds.
    roles : Roles
        Folds and validation rows.
    columns : tuple
        Names of all columns, and positions of categorical and context ones.
    classes : ndarray or None
        Labels of the target.
    layers : tuple
        The parameters that decide the shapes of the network.
    """

    fingerprint: str
    roles: Roles
    columns: tuple[Any, ...]
    classes: NDArray[Any] | None
    layers: tuple[Any, ...]


def fingerprint(given: Given, columns: Columns, decides_folds: Sequence[Any]) -> str:
    """Hash that is equal for the same rows with the same folds."""
    return joblib.hash(
        (
            columns.codes,
            columns.context_values,
            [v.labels for v in columns.vocabularies],
            given.target.values,
            given.weights,
            given.groups,
            [repr(x) for x in decides_folds],
        )
    )


def check_continuation(
    memory: Memory, columns: tuple[Any, ...], target: Target, layers: tuple[Any, ...]
) -> None:
    """Refuse to go on from a network of another shape.

    Raises
    ------
    InvalidParameterError
        If columns, classes or the network's parameters have changed since the fit before.
    """
    changed = None
    if memory.columns != columns:
        changed = "the columns of X"
    elif not np.array_equal(memory.classes, target.classes):  # type: ignore[arg-type]
        changed = "the classes of y"
    elif memory.layers != layers:
        changed = "`dimensions`, `hidden_layer_sizes`, `loss` or the number of outputs"
    if changed:
        raise InvalidParameterError(
            f"warm_start=True goes on from the fit before, but {changed} differ(s); set "
            "warm_start=False to start over."
        )


def starting_point(
    columns: Columns,
    target: Target,
    roles: Roles,
    *,
    dimensions: Any,
    init: Any,
    freeze: bool | Collection[str],
    random_state: RandomState,
) -> StartingPoint:
    """Vectors for a first fit.

    Raises
    ------
    InvalidParameterError
        If `dimensions`, `init` or `freeze` do not fit the columns.
    """
    vocabularies = columns.vocabularies
    names = [v.name for v in vocabularies]
    frames = check_init(init, names)
    widths = _widths(dimensions, names, vocabularies, frames)
    teaches = _teaches(roles)
    vectors = []
    for j, (vocabulary, width) in enumerate(zip(vocabularies, widths, strict=True)):
        start = normal_vectors(vocabulary.n_rows, width, roles.n_tables, random_state)
        if vocabulary.name in frames:
            vectors.append(given_vectors(frames[vocabulary.name], vocabulary, start))
        elif isinstance(init, str) or isinstance(init, Mapping):
            given = np.zeros(vocabulary.n_rows, dtype=bool)
            given[vocabulary.label_rows] = True
            vectors.append(InitialVectors(start, given))
        else:
            vectors.append(
                encoder_vectors(
                    init, vocabulary, columns.codes[:, j], target, teaches, start, random_state
                )
            )
    frozen = frozen_columns(freeze, names)
    return StartingPoint(
        tables=[v.tables for v in vectors],
        fixed=[v.given & (n in frozen) for v, n in zip(vectors, names, strict=True)],
        head=None,
    )


def continued_point(
    model: EmbeddingModel,
    columns: Columns,
    roles: Roles,
    *,
    same_rows: bool,
    freeze: bool | Collection[str],
) -> StartingPoint:
    """Vectors and head of the fit before.

    For the same rows every fold table goes on. For others all tables start from the mean table,
    and categories new to it from its unknown vector.
    """
    tables, fixed = [], []
    frozen = frozen_columns(freeze, [v.name for v in columns.vocabularies])
    for vocabulary, table in zip(columns.vocabularies, model.tables, strict=True):
        if same_rows:
            tables.append(table.stack[: roles.n_tables].copy())
        else:
            vectors = table.vectors[_rows_before(vocabulary, table.vocabulary)]
            tables.append(np.repeat(vectors[None], roles.n_tables, axis=0))
        known = np.zeros(vocabulary.n_rows, dtype=bool)
        known[vocabulary.label_rows] = vocabulary.name in frozen
        fixed.append(known)
    return StartingPoint(tables, fixed, model.head)


def assemble(
    learned: Learned, start: StartingPoint, rows: TrainingRows, columns: Columns, scale: Scale
) -> EmbeddingModel:
    """The fitted model, in canonical coordinates but for frozen columns."""
    stacks, counts = [], []
    for j, (vocabulary, table) in enumerate(zip(columns.vocabularies, learned.tables, strict=True)):
        n_rows = vocabulary.n_rows
        stacks.append(merge_tables(table, rows.met(j, n_rows)))
        weights = np.bincount(rows.codes[:, j], rows.weights, minlength=n_rows)
        counts.append(weights.astype(np.float64))
    frozen = [bool(fixed.any()) for fixed in start.fixed]
    stacks, head = canonicalise(stacks, counts, learned.head, frozen)
    tables = []
    for j, vocabulary in enumerate(columns.vocabularies):
        centre = np.zeros(stacks[j].shape[2], dtype=np.float32)
        if frozen[j]:
            centre = np.average(stacks[j][-1], axis=0, weights=counts[j]).astype(np.float32)
        tables.append(EmbeddingTable(vocabulary, stacks[j], centre))
    return EmbeddingModel(
        tables=tuple(tables),
        head=head,
        categorical=columns.categorical,
        context=columns.context,
        scaling=columns.scaling,
        scale=scale,
    )


def frozen_columns(freeze: bool | Collection[str], names: Sequence[str]) -> set[str]:
    """Names of the columns whose vectors stay as they start.

    Raises
    ------
    InvalidParameterError
        If `freeze` names a column that is not categorical.
    """
    if isinstance(freeze, bool):
        return set(names) if freeze else set()
    unknown = [name for name in freeze if name not in names]
    if unknown:
        raise InvalidParameterError(
            f"`freeze` names {unknown}, which are no categorical columns: {list(names)}."
        )
    return set(freeze)


def _widths(
    dimensions: Any,
    names: Sequence[str],
    vocabularies: Sequence[Vocabulary],
    frames: Mapping[str, pd.DataFrame],
) -> list[int]:
    """Widths of the columns; given vectors decide theirs unless `dimensions` does."""
    widths = resolve_dimensions(dimensions, names, [v.cardinality for v in vocabularies])
    explicit = isinstance(dimensions, Mapping)
    for j, name in enumerate(names):
        if name not in frames:
            continue
        width = frames[name].shape[1]
        decided = (name in dimensions or j in dimensions) if explicit else dimensions != "auto"
        if decided and width != widths[j]:
            raise InvalidParameterError(
                f"`init[{name!r}]` has {width} columns, but `dimensions` asks for {widths[j]}; "
                "make them equal or leave the column's dimensions to 'auto'."
            )
        widths[j] = width
    return widths


def _teaches(roles: Roles) -> NDArray[np.bool_]:
    """Which rows each table learns from, of shape (n_tables, n_samples)."""
    if roles.n_tables == 1:
        return ~roles.validation[None, :]
    return roles.fold[None, :] != np.arange(roles.n_tables)[:, None]


def _rows_before(new: Vocabulary, old: Vocabulary) -> NDArray[np.int32]:
    """Row that each row of the new vocabulary had in the old one."""
    rows = np.full(new.n_rows, UNKNOWN, dtype=np.int32)
    rows[MISSING] = old.missing_row
    if old.infrequent is not None:
        rows[INFREQUENT] = INFREQUENT
    cells = new.categories.astype(object) if new.keys is None else new.keys
    before = old.encode(Column(new.name, "category", "", cells))
    frequent = new.rows >= N_RESERVED
    rows[new.rows[frequent]] = before[frequent]
    return rows
