"""What a fitted model says of itself: columns, pairs, shares, importance, nearest categories."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sk_entity_embed._summary.shares import Counts, SeenRows
from sk_entity_embed.input.crosses import AnyVocabulary
from sk_entity_embed.input.vocabulary import INFREQUENT, N_RESERVED
from sk_entity_embed.model.fitted import EmbeddingModel
from sk_entity_embed.model.record import Importances
from sk_entity_embed.model.tables import EmbeddingTable

FREQUENT, PAIRS = 20, 3
"""Most frequent categories that are compared, and pairs of near ones that are named."""


@dataclass(frozen=True, slots=True)
class Importance:
    """How much the loss rises without a column, as a share of it, and the rise's standard error."""

    rise: float
    error: float


@dataclass(frozen=True, slots=True)
class NearPair:
    """Two frequent categories that are near each other.

    Their distance is in units of the usual one, the median of those between frequent categories.
    """

    first: Any
    second: Any
    distance: float


@dataclass(frozen=True, slots=True)
class ColumnFacts:
    """What was learned of a column, or of a pair of columns.

    `fit` and `last` count cells of the training rows and of the rows last seen, or items of lists.
    `once` is the share of categories that one cell had. `gain` is the share of the target's
    variance that a pair explains beside its columns.
    """

    name: str
    pair: tuple[str, str] | None
    is_list: bool
    cardinality: int
    width: int
    fit: Counts
    last: Counts | None
    once: float
    gain: float | None
    importance: Importance | None
    nearest: tuple[NearPair, ...]


def facts_of(
    model: EmbeddingModel, importances: Importances | None, last: SeenRows | None
) -> tuple[ColumnFacts, ...]:
    """Return what was learned of each column, and then of each pair."""
    names = [model.names[j] for j in model.categorical]
    n = len(names)
    pairs = [None] * n + [(names[a], names[b]) for a, b in model.crosses]
    gains = [None] * n + [float(gain) for gain in model.gains]
    return tuple(
        _facts(table, pairs[j], gains[j], _importance(importances, j), _counts(last, j))
        for j, table in enumerate(model.tables)
    )


def rows_of_fit(facts: Sequence[ColumnFacts]) -> int | None:
    """Return how many rows a column of single values had in fit; None where there is none."""
    return next((f.fit.n for f in facts if f.pair is None and not f.is_list), None)


def _facts(
    table: EmbeddingTable,
    pair: tuple[str, str] | None,
    gain: float | None,
    importance: Importance | None,
    last: Counts | None,
) -> ColumnFacts:
    vocabulary = table.vocabulary
    counts = vocabulary.counts
    n = int(counts.sum()) + vocabulary.missing_count + vocabulary.empty_count
    rare = int(counts[vocabulary.rows == INFREQUENT].sum())
    return ColumnFacts(
        name=vocabulary.name,
        pair=pair,
        is_list=vocabulary.is_list,
        cardinality=vocabulary.n_categories,
        width=table.n_axes,
        fit=Counts(n, rare, vocabulary.missing_count),
        last=last,
        once=float((counts == 1).mean()) if len(counts) else 0.0,
        gain=gain,
        importance=importance,
        nearest=_nearest(table, vocabulary),
    )


def _importance(importances: Importances | None, j: int) -> Importance | None:
    if importances is None or not importances.scaled_loss > 0:
        return None
    rise, error = (v[j] / importances.scaled_loss for v in (importances.rises, importances.errors))
    return Importance(rise, error) if np.isfinite(rise) else None  # the loss may be infinite


def _counts(last: SeenRows | None, j: int) -> Counts | None:
    return None if last is None else last.columns[j]


def _nearest(table: EmbeddingTable, vocabulary: AnyVocabulary) -> tuple[NearPair, ...]:
    """Return the nearest ones of the most frequent categories, each in one pair at most."""
    own = np.flatnonzero(vocabulary.rows >= N_RESERVED)
    most = own[np.argsort(-vocabulary.counts[own], kind="stable")[:FREQUENT]]
    if len(most) < 3:  # of two there is one pair, however far apart
        return ()
    rows = vocabulary.rows[most]
    vectors = table.vectors[rows, : table.n_axes].astype(np.float64)
    first, second = np.triu_indices(len(rows), 1)
    distances = np.linalg.norm(vectors[first] - vectors[second], axis=1)
    usual = float(np.median(distances))
    if not usual > 0:
        return ()
    labels = vocabulary.decode(rows).tolist()
    found: list[NearPair] = []
    used: set[int] = set()
    for k in np.argsort(distances, kind="stable"):
        a, b = int(first[k]), int(second[k])
        if not used & {a, b}:
            found.append(NearPair(labels[a], labels[b], float(distances[k]) / usual))
            used |= {a, b}
        if len(found) == PAIRS:
            break
    return tuple(found)
