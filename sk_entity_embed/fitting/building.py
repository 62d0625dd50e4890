"""From what training found to the fitted model."""

from __future__ import annotations

import numpy as np

from sk_entity_embed.fitting.preparation import EncodedColumns
from sk_entity_embed.learning.problem import Floats, StartingPoint, TrainingResult, TrainingRows
from sk_entity_embed.model.fitted import EmbeddingModel
from sk_entity_embed.model.heads.base import TrainedColumns
from sk_entity_embed.model.losses import Link, Scale
from sk_entity_embed.model.tables import EmbeddingTable, merge_tables, take

_SCALE_ROWS = 10_000
"""Training rows that the scale of the hidden layer is taken from."""


def build_model(
    tables: list[Floats],
    result: TrainingResult,
    start: StartingPoint,
    rows: TrainingRows,
    columns: EncodedColumns,
    scale: Scale,
    link: Link,
) -> EmbeddingModel:
    """Return the fitted model, in canonical coordinates but for frozen columns.

    It serves learned vectors; policies and output are added by the model's own methods. The trained
    `tables`, of shape (n_tables, n_rows, width) each, are taken over: none are left in the list, so
    that no more memory is taken than has to be.
    """
    counts = []
    for j, vocabulary in enumerate(columns.vocabularies):
        codes, owners = rows.items(j)
        weights = np.bincount(codes, rows.weights[owners], minlength=vocabulary.n_rows)
        counts.append(weights.astype(np.float64))
    frozen = [bool(fixed.any()) for fixed in start.fixed]
    head = result.head
    if not any(frozen):
        tables[:], head = head.align_folds(tables, rows.seen, counts, result.poolings)
    some = np.linspace(0, len(rows.fold) - 1, min(len(rows.fold), _SCALE_ROWS)).astype(np.intp)
    trained = TrainedColumns(
        stacks=[
            merge_tables(tables.pop(0), seen, fixed)
            for seen, fixed in zip(rows.seen, start.fixed, strict=True)
        ],
        counts=counts,
        poolings=list(result.poolings),
        frozen=frozen,
        codes=[take(codes, some) for codes in rows.codes],
        fold=rows.fold[some].astype(np.int64),
        context=rows.context[some],
        numbers=columns.scaling.varying,
        unit=link.output_unit(scale),
        centered=[False] * len(frozen),
    )
    head = head.canonical(trained)
    embedded = []
    for j, vocabulary in enumerate(columns.vocabularies):
        stack = trained.stacks[j]
        center = np.zeros(stack.shape[2], dtype=np.float32)
        if not trained.centered[j]:
            center = np.average(stack[-1], axis=0, weights=counts[j]).astype(np.float32)
        embedded.append(EmbeddingTable(vocabulary, stack, center, head.biased))
    return EmbeddingModel(
        names=columns.names,
        categorical=columns.categorical,
        context=columns.context,
        tables=tuple(embedded),
        poolings=tuple(trained.poolings),
        max_lengths=columns.max_lengths,
        scaling=columns.scaling,
        head=head,
        scale=scale,
        link=link,
        crosses=columns.crosses,
        gains=columns.gains,
    )
