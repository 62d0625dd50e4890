"""Between preparation and model: starting points before training, the fitted value after it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.random import RandomState
from numpy.typing import NDArray

from sk_entity_embed.canonical import canonicalise, scale_hidden
from sk_entity_embed.dimensions import resolve_dimensions
from sk_entity_embed.exceptions import InvalidParameterError
from sk_entity_embed.head import MLPHead
from sk_entity_embed.initialization import (
    InitialVectors,
    check_init,
    encoder_vectors,
    frozen_columns,
    given_vectors,
    normal_vectors,
)
from sk_entity_embed.input.target import Scale, Target
from sk_entity_embed.learning.problem import Learned, StartingPoint, TrainingRows
from sk_entity_embed.model import EmbeddingModel
from sk_entity_embed.preparation import Columns, Roles
from sk_entity_embed.tables import EmbeddingTable, merge_tables

_SCALE_ROWS = 10_000
"""Training rows that the scale of the hidden layer is taken from."""


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
    widths = _widths(dimensions, columns, frames)
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
        pulled=[isinstance(init, (str, Mapping)) and n not in frames for n in names],
        head=None,
    )


def assemble(
    learned: Learned, start: StartingPoint, rows: TrainingRows, columns: Columns, scale: Scale
) -> EmbeddingModel:
    """The fitted model, in canonical coordinates but for frozen columns."""
    stacks, counts = [], []
    for j, (vocabulary, table) in enumerate(zip(columns.vocabularies, learned.tables, strict=True)):
        n_rows = vocabulary.n_rows
        stacks.append(merge_tables(table, rows.met(j, n_rows), start.fixed[j]))
        weights = np.bincount(rows.codes[:, j], rows.weights, minlength=n_rows)
        counts.append(weights.astype(np.float64))
    frozen = [bool(fixed.any()) for fixed in start.fixed]
    numbers = [c for c, scores in enumerate(columns.scaling.scores) if np.ptp(scores) > 0]
    stacks, head = canonicalise(stacks, counts, learned.head, frozen, numbers=numbers)
    head = _scale_hidden(head, stacks, rows, numbers)
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


def _scale_hidden(
    head: MLPHead,
    stacks: Sequence[NDArray[np.float32]],
    rows: TrainingRows,
    numbers: Sequence[int],
) -> MLPHead:
    """Scale the hidden layer by what it sees of some training rows, in their own fold's tables."""
    some = np.linspace(0, len(rows.codes) - 1, min(len(rows.codes), _SCALE_ROWS)).astype(np.intp)
    fold, codes = rows.fold[some], rows.codes[some]
    looked_up = [stack[fold, codes[:, j]] for j, stack in enumerate(stacks)]
    vectors = np.hstack([np.empty((len(some), 0), dtype=np.float32), *looked_up])
    return scale_hidden(head, vectors, rows.context[some], numbers)


def _widths(dimensions: Any, columns: Columns, frames: Mapping[str, pd.DataFrame]) -> list[int]:
    """Widths of the columns; given vectors decide theirs unless `dimensions` does."""
    names = [v.name for v in columns.vocabularies]
    cardinalities = [v.cardinality for v in columns.vocabularies]
    widths = resolve_dimensions(dimensions, names, cardinalities, columns.categorical)
    for j, (name, position) in enumerate(zip(names, columns.categorical, strict=True)):
        if name not in frames:
            continue
        width = frames[name].shape[1]
        if isinstance(dimensions, Mapping):
            decided = name in dimensions or position in dimensions
        else:
            decided = dimensions != "auto"
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
