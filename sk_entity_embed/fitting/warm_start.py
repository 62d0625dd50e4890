"""Going on from an earlier fit: whether the rows are the same, and where training goes on."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Any

import joblib
import numpy as np

from sk_entity_embed.exceptions import InvalidParameterError, UnmatchedCategoriesWarning
from sk_entity_embed.fitting.initialization import frozen_columns
from sk_entity_embed.fitting.preparation import CheckedInput, EncodedColumns
from sk_entity_embed.input.messages import typed, warn
from sk_entity_embed.input.target import Target
from sk_entity_embed.input.vocabulary import UNKNOWN
from sk_entity_embed.learning.problem import Floats, StartingPoint
from sk_entity_embed.model.fitted import EmbeddingModel


def fingerprint(given: CheckedInput, columns: EncodedColumns, decides_folds: Sequence[Any]) -> str:
    """Return a hash that is equal for the same rows with the same folds."""
    mark: str = joblib.hash(
        (
            columns.codes,
            columns.context_values,
            [v.labels for v in columns.vocabularies],
            np.ascontiguousarray(given.target.values),  # the order in memory tells nothing
            given.groups,
            # Without addresses in memory, which differ after a reload.
            [re.sub(r" at 0x[0-9A-Fa-f]+", "", repr(x)) for x in decides_folds],
        )
    )
    return mark


def check_continuation(
    model: EmbeddingModel,
    names: tuple[str, ...],
    categorical: Sequence[int],
    target: Target,
    layers: tuple[str, ...],
) -> None:
    """Refuse to go on with other columns, classes or layers than those of the fit before."""
    changed, state = None, model.warm_start
    assert state is not None
    if (model.names, model.categorical) != (names, tuple(categorical)):
        changed = "the columns of X"
    elif not np.array_equal(state.classes, target.classes):  # type: ignore[arg-type]
        changed = "the classes of y"
    elif state.layers != layers:
        changed = (
            "`dimensions`, `pooling`, `max_length`, `head`, `y_range`, `hidden_layer_sizes`, "
            "`interactions`, `loss` or the number of outputs"
        )
    if changed:
        raise InvalidParameterError(
            f"warm_start=True continues the previous fit, but {changed} differ(s) from it; set "
            "warm_start=False to start over."
        )


def continued_point(
    model: EmbeddingModel,
    columns: EncodedColumns,
    n_tables: int,
    *,
    same_rows: bool,
    freeze: bool | Collection[str],
) -> tuple[list[Floats], StartingPoint]:
    """Return tables, and head and poolings, of the fit before.

    For the same rows every fold table goes on. For others all tables start from the mean table,
    and categories new to it from its unknown vector. A column without a category of the fit before
    is warned of.
    """
    tables, fixed, state = [], [], model.warm_start
    assert state is not None
    frozen = frozen_columns(freeze, [v.name for v in columns.vocabularies])
    for j, (vocabulary, table) in enumerate(zip(columns.vocabularies, model.tables, strict=True)):
        before = vocabulary.rows_before(table.vocabulary)  # type: ignore[arg-type]
        both = vocabulary.n_categories and table.vocabulary.n_categories
        if both and (before[vocabulary.rows] == UNKNOWN).all():
            warn(
                f"warm_start continues the previous fit, but column {vocabulary.name!r} has none "
                "of its categories, so all of its vectors start from the unknown one. The "
                f"column has categories like {typed(vocabulary.categories[0])} now, and had "
                f"categories like {typed(table.vocabulary.categories[0])} before.",
                UnmatchedCategoriesWarning,
            )
        if same_rows:
            tables.append(table.stack[:n_tables].copy())
        else:
            tables.append(np.repeat(table.vectors[before][None], n_tables, axis=0))
        kept = state.fixed[j][before]
        if not kept.any() and j < len(columns.categorical):  # frozen for the first time: all known
            kept[vocabulary.label_rows] = before[vocabulary.label_rows] != UNKNOWN
        fixed.append(kept & (vocabulary.name in frozen))
    head = model.head
    if not any(f.any() for f in fixed):
        tables, head = head.for_training(tables)
    return tables, StartingPoint(tuple(fixed), state.shrinks, head, model.poolings)
