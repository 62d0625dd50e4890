"""Going on from an earlier fit: what is remembered of it, and where training goes on."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

import joblib
import numpy as np
from numpy.typing import NDArray

from sk_entity_embed.canonical_dot import absorb_weights
from sk_entity_embed.exceptions import InvalidParameterError, UnmatchedCategoriesWarning
from sk_entity_embed.head import DotHead
from sk_entity_embed.initialization import frozen_columns, typed
from sk_entity_embed.input.columns import Column
from sk_entity_embed.input.lists import Lists
from sk_entity_embed.input.messages import warn
from sk_entity_embed.input.target import Target
from sk_entity_embed.input.vocabulary import INFREQUENT, MISSING, N_RESERVED, UNKNOWN, Vocabulary
from sk_entity_embed.learning.problem import StartingPoint
from sk_entity_embed.model import EmbeddingModel
from sk_entity_embed.preparation import Columns, Given, Roles


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
    fixed : sequence of ndarray of bool of shape (n_rows,)
        Rows of each column's tables that were frozen.
    pulled : sequence of bool
        Columns whose vectors are pulled towards zero.
    """

    fingerprint: str
    roles: Roles
    columns: tuple[Any, ...]
    classes: NDArray[Any] | None
    layers: tuple[Any, ...]
    fixed: Sequence[NDArray[np.bool_]]
    pulled: Sequence[bool]

    def __post_init__(self) -> None:
        if isinstance(self.roles, Roles):  # a file may hold anything, which is checked later
            fold = self.roles.fold.astype(np.int64, copy=False)  # the type that files have
            object.__setattr__(self, "roles", replace(self.roles, fold=fold))


def fingerprint(given: Given, columns: Columns, decides_folds: Sequence[Any]) -> str:
    """Hash that is equal for the same rows with the same folds."""
    codes: Any = columns.codes
    if not any(isinstance(c, Lists) for c in codes):  # one matrix, as files of version 1 have it
        codes = np.stack(codes, axis=1) if codes else np.empty((given.used.n_rows, 0), np.int32)
    return joblib.hash(
        (
            codes,
            columns.context_values,
            [v.labels for v in columns.vocabularies],
            np.ascontiguousarray(given.target.values),  # the order in memory tells nothing
            given.groups,
            # Without addresses in memory, which differ after a reload.
            [re.sub(r" at 0x[0-9A-Fa-f]+", "", repr(x)) for x in decides_folds],
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
        changed = (
            "`dimensions`, `pooling`, `max_length`, `head`, `y_range`, `hidden_layer_sizes`, "
            "`loss` or the number of outputs"
        )
    if changed:
        raise InvalidParameterError(
            f"warm_start=True goes on from the fit before, but {changed} differ(s); set "
            "warm_start=False to start over."
        )


def continued_point(
    model: EmbeddingModel,
    memory: Memory,
    columns: Columns,
    roles: Roles,
    *,
    same_rows: bool,
    freeze: bool | Collection[str],
) -> StartingPoint:
    """Vectors and head of the fit before.

    For the same rows every fold table goes on. For others all tables start from the mean table,
    and categories new to it from its unknown vector.

    Warns
    -----
    UnmatchedCategoriesWarning
        If a column has no category of the fit before.
    """
    tables, fixed = [], []
    frozen = frozen_columns(freeze, [v.name for v in columns.vocabularies])
    for j, (vocabulary, table) in enumerate(zip(columns.vocabularies, model.tables, strict=True)):
        before = _rows_before(vocabulary, table.vocabulary)
        both = len(vocabulary.categories) and len(table.vocabulary.categories)
        if both and (before[vocabulary.rows] == UNKNOWN).all():
            _warn_of_strangers(vocabulary, table.vocabulary)
        if same_rows:
            tables.append(table.stack[: roles.n_tables].copy())
        else:
            tables.append(np.repeat(table.vectors[before][None], roles.n_tables, axis=0))
        kept = memory.fixed[j][before]
        if not kept.any():  # frozen for the first time: all categories known so far
            kept[vocabulary.label_rows] = before[vocabulary.label_rows] != UNKNOWN
        fixed.append(kept & (vocabulary.name in frozen))
    head, biased = model.head, isinstance(model.head, DotHead)
    if isinstance(head, DotHead) and not any(f.any() for f in fixed):
        # Steps and pulls are made for vectors in the network's units, not in the target's.
        tables, head = absorb_weights(tables, head)
    return StartingPoint(tables, biased, fixed, memory.pulled, head, model.pooling)


def _warn_of_strangers(new: Vocabulary, old: Vocabulary) -> None:
    """Say that a column shares no category with the fit before, which often is one of type."""
    warn(
        f"warm_start goes on, but column {new.name!r} has no category of the fit before, and all "
        f"of its vectors start from the unknown one. It has categories like "
        f"{typed(new.categories[0])}, and had ones like {typed(old.categories[0])}.",
        UnmatchedCategoriesWarning,
    )


def _rows_before(new: Vocabulary, old: Vocabulary) -> NDArray[np.int32]:
    """Row that each row of the new vocabulary had in the old one."""
    rows = np.full(new.n_rows, UNKNOWN, dtype=np.int32)
    rows[MISSING] = MISSING if old.knows_missing else UNKNOWN
    if old.infrequent is not None:
        rows[INFREQUENT] = INFREQUENT
    cells = new.categories.astype(object) if new.keys is None else new.keys[:-1]
    before = old.rows_of(old.locate(Column(new.name, "category", "", cells)))
    frequent = new.rows >= N_RESERVED
    rows[new.rows[frequent]] = before[frequent]
    if new.empty_row is not None and old.empty_row is not None and new.empty_row != UNKNOWN:
        rows[new.empty_row] = old.empty_row
    return rows
