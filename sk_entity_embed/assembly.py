"""Between preparation and model: starting points before training, the fitted value after it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.random import RandomState
from numpy.typing import NDArray

from sk_entity_embed.canonical import Pooled, canonicalise, canonicalise_items, scale_hidden
from sk_entity_embed.canonical_dot import canonicalise_dot, share_rotation
from sk_entity_embed.dimensions import dot_width, resolve_dimensions
from sk_entity_embed.exceptions import InvalidParameterError
from sk_entity_embed.head import DotHead, MLPHead
from sk_entity_embed.initialization import (
    InitialVectors,
    check_init,
    encoder_vectors,
    frozen_columns,
    given_vectors,
    normal_vectors,
)
from sk_entity_embed.input.lists import Codes, Lists
from sk_entity_embed.input.target import Loss, Scale, Target
from sk_entity_embed.input.vocabulary import Vocabulary
from sk_entity_embed.learning.problem import Learned, StartingPoint, TrainingRows
from sk_entity_embed.model import EmbeddingModel
from sk_entity_embed.options import by_column
from sk_entity_embed.pooling import GRU, Pooler
from sk_entity_embed.preparation import Columns, Roles
from sk_entity_embed.tables import EmbeddingTable, gather, merge_tables, shift, take

_UNITS = 1e-30, 1e30
"""Units of the target that dot products can have: float32 holds vectors in them, and squares."""
_SCALE_ROWS = 10_000
"""Training rows that the scale of the hidden layer is taken from."""


def starting_point(
    columns: Columns,
    target: Target,
    roles: Roles,
    *,
    head: str,
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
    biased = head == "dot"
    if biased:
        widths = _equal_widths(widths, vocabularies, dimensions, frames, columns.categorical)
    vectors = []
    for j, (vocabulary, width) in enumerate(zip(vocabularies, widths, strict=True)):
        try:
            start = normal_vectors(vocabulary.n_rows, width, roles.n_tables, random_state)
        except (MemoryError, ValueError) as error:
            raise InvalidParameterError(
                f"`dimensions` gives {width} for column {vocabulary.name!r}, whose tables then "
                "take more memory than there is; give less."
            ) from error
        if vocabulary.name in frames:
            vectors.append(given_vectors(frames[vocabulary.name], vocabulary, start))
        elif isinstance(init, str | Mapping) or len(vocabulary.categories) == 0:
            given = np.zeros(vocabulary.n_rows, dtype=bool)
            given[vocabulary.label_rows] = True
            vectors.append(InitialVectors(start, given))
        else:
            codes, taught, teaching = _by_item(columns.codes[j], target, _teaches(roles))
            vectors.append(
                encoder_vectors(init, vocabulary, codes, taught, teaching, start, random_state)
            )
    frozen = frozen_columns(freeze, names)
    return StartingPoint(
        tables=[_with_bias(v.tables) if biased else v.tables for v in vectors],
        biased=biased,
        fixed=[v.given & (n in frozen) for v, n in zip(vectors, names, strict=True)],
        pulled=[isinstance(init, (str, Mapping)) and n not in frames for n in names],
        head=None,
        pooling=columns.pooling,
    )


def _by_item(
    codes: Codes, target: Target, teaches: NDArray[np.bool_]
) -> tuple[NDArray[np.integer[Any]], Target, NDArray[np.bool_]]:
    """Codes, target and teaching rows, one an item where the column holds lists."""
    if not isinstance(codes, Lists):
        return codes, target, teaches
    rows = codes.rows
    return codes.items, replace(target, values=target.values[rows]), teaches[:, rows]


def _with_bias(tables: NDArray[np.float32]) -> NDArray[np.float32]:
    """Tables with a bias of zero after each vector."""
    return np.pad(tables, ((0, 0), (0, 0), (0, 1)))


def _equal_widths(
    widths: list[int],
    vocabularies: Sequence[Vocabulary],
    dimensions: Any,
    frames: Collection[str],
    positions: Sequence[int],
) -> list[int]:
    """Widths for dot products: those named must agree, and those left open follow them."""
    names = [v.name for v in vocabularies]
    named: Collection[Any] = frames
    if isinstance(dimensions, Mapping):
        named = {*frames, *by_column(dimensions, "dimensions", names, positions)}
    elif dimensions != "auto":
        named = names
    given = [w for w, name in zip(widths, names, strict=True) if name in named]
    auto = given[0] if given else dot_width([v.cardinality for v in vocabularies])
    widths = [w if name in named else auto for w, name in zip(widths, names, strict=True)]
    if len(set(widths)) > 1:
        shown = dict(zip(names, widths, strict=True))
        raise InvalidParameterError(
            "head='dot' multiplies the columns' vectors with each other and needs them of equal "
            f"width, but `dimensions` gives {shown}; use one number for all columns."
        )
    return widths


def assemble(
    learned: Learned,
    start: StartingPoint,
    rows: TrainingRows,
    columns: Columns,
    scale: Scale,
    loss: Loss,
) -> EmbeddingModel:
    """The fitted model, in canonical coordinates but for frozen columns.

    The tables of `learned` and `start` are let go when they are no longer needed: none are left.
    """
    met, counts = [], []
    for j, vocabulary in enumerate(columns.vocabularies):
        met.append(rows.met(j, vocabulary.n_rows))
        codes, owners = rows.items(j)
        weights = np.bincount(codes, rows.weights[owners], minlength=vocabulary.n_rows)
        counts.append(weights.astype(np.float64))
    frozen = [bool(fixed.any()) for fixed in start.fixed]
    learned_tables, head, pooling = [*learned.tables], learned.head, learned.pooling
    learned.tables.clear()
    start.tables.clear()
    if isinstance(head, DotHead) and not any(frozen):
        centred = [way != "sum" for way in pooling]
        learned_tables, head = share_rotation(learned_tables, met, counts, head, centred=centred)
    stacks = [
        merge_tables(learned_tables.pop(0), m, fixed)
        for m, fixed in zip(met, start.fixed, strict=True)
    ]
    if isinstance(head, DotHead):
        if not any(frozen):
            centred = [way != "sum" for way in pooling]
            unit = scale.output_unit(loss)
            if not _UNITS[0] <= unit <= _UNITS[1]:
                unit = 1.0
            stacks, head = canonicalise_dot(stacks, counts, head, centred=centred, unit=unit)
    else:
        stacks, head, pooling = _canonical(stacks, counts, head, pooling, frozen, rows, columns)
    tables = []
    as_learned = start.biased and any(frozen)
    for j, vocabulary in enumerate(columns.vocabularies):
        centre = np.zeros(stacks[j].shape[2], dtype=np.float32)
        if frozen[j] or as_learned or pooling[j] is not None:
            centre = np.average(stacks[j][-1], axis=0, weights=counts[j]).astype(np.float32)
        tables.append(EmbeddingTable(vocabulary, stacks[j], centre, start.biased))
    return EmbeddingModel(
        tables=tuple(tables),
        head=head,
        categorical=columns.categorical,
        context=columns.context,
        scaling=columns.scaling,
        scale=scale,
        pooling=pooling,
        max_lengths=columns.max_lengths,
    )


def _canonical(
    stacks: list[NDArray[np.float32]],
    counts: Sequence[NDArray[np.float64]],
    head: MLPHead,
    pooling: tuple[Pooler | None, ...],
    frozen: Sequence[bool],
    rows: TrainingRows,
    columns: Columns,
) -> tuple[list[NDArray[np.float32]], MLPHead, tuple[Pooler | None, ...]]:
    """Canonical coordinates below a multi-layer perceptron."""
    poolers = list(pooling)
    some = np.linspace(0, len(rows.fold) - 1, min(len(rows.fold), _SCALE_ROWS)).astype(np.intp)
    pooled = {}
    for j, pooler in enumerate(poolers):
        if pooler is None:
            continue
        if isinstance(pooler, GRU) and not frozen[j]:
            stacks[j], poolers[j] = canonicalise_items(stacks[j], counts[j], pooler)
        block = np.empty((len(some), stacks[j].shape[2]), dtype=np.float32)
        gather([stacks[j][-1]], [take(rows.codes[j], some)], block, [poolers[j]])
        pooled[j] = Pooled("gru" if isinstance(pooler, GRU) else pooler, block)
    keep = [f or isinstance(p, GRU) for f, p in zip(frozen, poolers, strict=True)]
    numbers = [c for c, scores in enumerate(columns.scaling.scores) if np.ptp(scores) > 0]
    stacks, head = canonicalise(stacks, counts, head, keep, numbers=numbers, pooled=pooled)
    # The hidden layer's scale is taken from rows in their own fold's tables.
    sources = [stack.reshape(-1, stack.shape[2]) for stack in stacks]
    codes = [
        shift(take(c, some), rows.fold[some].astype(np.int64), stack.shape[1])
        for c, stack in zip(rows.codes, stacks, strict=True)
    ]
    vectors = np.empty((len(some), sum(s.shape[1] for s in sources)), dtype=np.float32)
    gather(sources, codes, vectors, poolers)
    head = scale_hidden(head, vectors, rows.context[some], numbers)
    return stacks, head, tuple(poolers)


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
