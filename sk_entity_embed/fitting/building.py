"""From what training found to the fitted model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from sk_entity_embed.fitting.preparation import EncodedColumns
from sk_entity_embed.input.vocabulary import UNKNOWN
from sk_entity_embed.learning.problem import Floats, Rows, StartingPoint, TrainingResult
from sk_entity_embed.model.fitted import EmbeddingModel
from sk_entity_embed.model.heads.base import Head, TrainedColumns
from sk_entity_embed.model.losses import Link, Scale
from sk_entity_embed.model.procrustes import nearest_motion, nearest_rotation
from sk_entity_embed.model.symmetry import Motion
from sk_entity_embed.model.tables import EmbeddingTable, merge_tables

SCALE_ROWS = 10_000
"""Training rows that the scale of the hidden layer is taken from."""


@dataclass(frozen=True, slots=True)
class Member:
    """What one training found, in canonical coordinates of its own."""

    head: Head
    columns: TrainedColumns


def build_member(
    tables: list[Floats],
    result: TrainingResult,
    start: StartingPoint,
    rows: Rows,
    columns: EncodedColumns,
    scale: Scale,
    link: Link,
) -> Member:
    """Return a member, in canonical coordinates but for frozen columns.

    The trained `tables`, of shape (n_tables, n_rows, width) each, are taken over: none are left in
    the list, so that no more memory is taken than has to be.
    """
    counts = rows.label_weights()
    frozen = [bool(fixed.any()) for fixed in start.fixed]
    head = result.head
    if not any(frozen):
        tables[:], head = head.align_folds(tables, rows.seen, counts, result.poolings)
    some = rows.some(SCALE_ROWS)
    trained = TrainedColumns(
        stacks=[
            merge_tables(tables.pop(0), seen, fixed)
            for seen, fixed in zip(rows.seen, start.fixed, strict=True)
        ],
        counts=counts,
        poolings=list(result.poolings),
        frozen=frozen,
        codes=some.codes,
        fold=some.fold.astype(np.int64),
        context=some.context,
        numbers=columns.scaling.varying,
        unit=link.output_unit(scale),
        centered=[False] * len(frozen),
    )
    return Member(head.canonical(trained), trained)


def build_model(
    members: list[Member], columns: EncodedColumns, scale: Scale, link: Link
) -> EmbeddingModel:
    """Return the fitted model, of all `members` in one space.

    It serves learned vectors; policies and output are added by the model's own methods. The list is
    left empty, as that of tables is.
    """
    first, others = members[0], members[1:]
    members.clear()
    joined = _joined([first, *(_moved(other, first) for other in others)]) if others else first
    head, trained = joined.head, joined.columns
    embedded = []
    for j, vocabulary in enumerate(columns.vocabularies):
        stack = trained.stacks[j]
        center = np.zeros(stack.shape[2], dtype=np.float32)
        if not trained.centered[j]:
            center = np.average(stack[-1], axis=0, weights=trained.counts[j]).astype(np.float32)
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


def _moved(member: Member, first: Member) -> Member:
    """Return a member whose vectors are turned and shifted towards those of the first.

    One motion for all of its tables: it tells nothing of a row's fold.
    """
    head, columns = member.head, member.columns
    matched = [
        (_axes(new[-1], head), _axes(old[-1], head), count / count.sum())
        for new, old, count in zip(
            columns.stacks, first.columns.stacks, columns.counts, strict=True
        )
    ]
    motions: list[Motion | None]
    if head.symmetry.joint:
        rotation = nearest_rotation(matched)
        motions = [Motion(rotation, np.zeros(len(rotation)))] * len(matched)
    else:
        motions = [
            None if frozen else nearest_motion(m, head.symmetry_below(pooling))
            for m, pooling, frozen in zip(matched, columns.poolings, columns.frozen, strict=True)
        ]
    edges = [0, *accumulate(stack.shape[2] for stack in columns.stacks)]
    stacks = [
        stack if motion is None else motion.apply(stack)
        for stack, motion in zip(columns.stacks, motions, strict=True)
    ]
    return Member(head.moved(motions, edges), replace(columns, stacks=stacks))


def _axes(table: Floats, head: Head) -> NDArray[np.float64]:
    """Return the vectors of a table without their biases."""
    return table[:, : table.shape[1] - head.biased].astype(np.float64)


def _joined(members: list[Member]) -> Member:
    """Return members in one space as one, whose folds are those of all.

    The mean table is the mean of theirs, and the unknown vector, which stands for all categories
    that a table has not seen, one for all again.
    """
    stacks = []
    for tables in zip(*(member.columns.stacks for member in members), strict=True):
        total = np.stack([table[-1] for table in tables]).sum(axis=0, dtype=np.float64)
        folds = [table[: max(1, len(table) - 1)] for table in tables]
        mean = (total / len(tables)).astype(np.float32)
        for fold in folds:
            unseen = (fold == fold[:, UNKNOWN : UNKNOWN + 1]).all(axis=2)
            fold[unseen] = mean[UNKNOWN]
        stacks.append(np.concatenate([*folds, mean[None]]))
    trained = replace(members[0].columns, stacks=stacks)
    head = members[0].head.joined([member.head for member in members])
    return Member(head.canonical(trained), trained)
