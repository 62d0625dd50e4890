"""Where training starts: widths, first vectors, frozen rows."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.random import RandomState
from numpy.typing import NDArray

from sk_entity_embed.exceptions import InvalidParameterError
from sk_entity_embed.fitting.initialization import (
    InitialVectors,
    check_init,
    encoder_vectors,
    frozen_columns,
    given_vectors,
    normal_vectors,
)
from sk_entity_embed.fitting.options import resolve_dimensions
from sk_entity_embed.fitting.preparation import EncodedColumns, FoldAssignment
from sk_entity_embed.input.lists import Codes, Lists
from sk_entity_embed.input.target import Target
from sk_entity_embed.learning.problem import Floats, StartingPoint
from sk_entity_embed.model.heads import Head


def starting_point(
    columns: EncodedColumns,
    target: Target,
    folds: FoldAssignment,
    *,
    head: type[Head],
    dimensions: Any,
    init: Any,
    freeze: bool | Collection[str],
    random_state: RandomState,
) -> tuple[list[Floats], StartingPoint]:
    """Return tables, of shape (n_tables, n_rows, width), and all else a first fit starts from."""
    vocabularies = columns.vocabularies
    names = [v.name for v in vocabularies]
    frames = check_init(init, names)
    widths = _widths(dimensions, columns, frames, head)
    vectors = []
    for j, (vocabulary, width) in enumerate(zip(vocabularies, widths, strict=True)):
        try:
            first = normal_vectors(vocabulary.n_rows, width, folds.n_tables, random_state)
        except (MemoryError, ValueError) as error:
            raise InvalidParameterError(
                f"`dimensions` gives {width} for column {vocabulary.name!r}, whose tables then "
                "take more memory than there is; give less."
            ) from error
        if vocabulary.name in frames:
            vectors.append(given_vectors(frames[vocabulary.name], vocabulary, first))
        elif isinstance(init, str | Mapping) or len(vocabulary.categories) == 0:
            given = np.zeros(vocabulary.n_rows, dtype=bool)
            given[vocabulary.label_rows] = True
            vectors.append(InitialVectors(first, given))
        else:
            codes, targets, mask = _by_item(columns.codes[j], target, _train_mask(folds))
            vectors.append(
                encoder_vectors(init, vocabulary, codes, targets, mask, first, random_state)
            )
    frozen = frozen_columns(freeze, names)
    tables = [np.pad(v.tables, ((0, 0), (0, 0), (0, int(head.biased)))) for v in vectors]
    start = StartingPoint(
        fixed=tuple(v.given & (n in frozen) for v, n in zip(vectors, names, strict=True)),
        shrinks=tuple(isinstance(init, (str, Mapping)) and n not in frames for n in names),
        head=None,
        poolings=(None,) * len(names),
    )
    return tables, start


def _by_item(
    codes: Codes, target: Target, train_mask: NDArray[np.bool_]
) -> tuple[NDArray[np.integer[Any]], Target, NDArray[np.bool_]]:
    """Return codes, target and train mask, one an item where the column holds lists."""
    if not isinstance(codes, Lists):
        return codes, target, train_mask
    rows = codes.rows
    return codes.items, replace(target, values=target.values[rows]), train_mask[:, rows]


def _widths(
    dimensions: Any, columns: EncodedColumns, frames: Mapping[str, pd.DataFrame], head: type[Head]
) -> list[int]:
    """Return the columns' widths; given vectors decide theirs unless `dimensions` does."""
    names = [v.name for v in columns.vocabularies]
    cardinalities = [v.cardinality for v in columns.vocabularies]
    widths = resolve_dimensions(dimensions, names, cardinalities, columns.categorical)
    given = {}
    for j, (name, position) in enumerate(zip(names, columns.categorical, strict=True)):
        decided = dimensions != "auto"
        if isinstance(dimensions, Mapping):
            decided = name in dimensions or position in dimensions
        given[name] = decided or name in frames
        if name not in frames:
            continue
        width = frames[name].shape[1]
        if decided and width != widths[j]:
            raise InvalidParameterError(
                f"`init[{name!r}]` has {width} columns, but `dimensions` asks for {widths[j]}; "
                "make them equal or leave the column's dimensions to 'auto'."
            )
        widths[j] = width
    return head.widths(dict(zip(names, widths, strict=True)), given, cardinalities)


def _train_mask(folds: FoldAssignment) -> NDArray[np.bool_]:
    """Return which rows each table learns from, of shape (n_tables, n_samples)."""
    if folds.n_tables == 1:
        return ~folds.validation[None, :]
    mask: NDArray[np.bool_] = folds.fold[None, :] != np.arange(folds.n_tables)[:, None]
    return mask
