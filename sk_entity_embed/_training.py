"""The training of an estimator's members, one after the other."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sk_entity_embed._checks import hidden_sizes
from sk_entity_embed._lazy import torch_import
from sk_entity_embed._preparing import assign_folds, first_vectors
from sk_entity_embed.fitting.building import Member, build_member
from sk_entity_embed.fitting.checkpoints import Checkpoints
from sk_entity_embed.fitting.options import max_iter, min_iter, n_heads, rows_a_step
from sk_entity_embed.fitting.outcome import honest_rows
from sk_entity_embed.fitting.preparation import (
    CheckedInput,
    EncodedColumns,
    FoldAssignment,
    Seeds,
    training_rows,
)
from sk_entity_embed.learning.problem import (
    Floats,
    StartingPoint,
    Tell,
    TrainingConfig,
    TrainingResult,
    TrainingRows,
)
from sk_entity_embed.model.heads import HEADS, Head
from sk_entity_embed.model.losses import Link, Scale
from sk_entity_embed.model.poolings import Pooling

if TYPE_CHECKING:
    from sk_entity_embed._estimator import EmbeddingEstimator


class Untrained(NamedTuple):
    """A member before its training."""

    seeds: Seeds
    folds: FoldAssignment
    tables: list[Floats]
    start: StartingPoint


@dataclass(frozen=True, slots=True)
class Trained:
    """Members, what their trainings told, and the table of each row, of shape (n_used, n_members).

    Tables of all members are counted through; None stands for rows that are not in memory. Of a
    training that was interrupted in its first iteration there is a result alone. Rows that the
    first member has not learned from, if there are any, judge its columns.
    """

    members: list[Member]
    results: list[TrainingResult]
    fold: NDArray[np.int64] | None
    judged: TrainingRows | None


def train(
    estimator: EmbeddingEstimator,
    members: Iterable[Untrained],
    given: CheckedInput,
    columns: EncodedColumns,
    scale: Scale,
    link: Link,
    kept: Checkpoints | None,
) -> Trained | None:
    """Train one member after the other; None where no whole iteration was run."""
    with torch_import("Training"):
        from sk_entity_embed.learning.learn import learn

    found: list[Member] = []
    results: list[TrainingResult] = []
    own: list[NDArray[np.int64]] = []
    judged, n_tables = None, 0
    for i, (seeds, folds, tables, start) in enumerate(members):
        rows = training_rows(given, columns, folds, scale)
        heads = n_heads(given.used.n_rows, folds.n_tables, HEADS[estimator.head], start.head)
        n = given.used.n_rows
        config = training_config(estimator, given, columns, n, heads, scale, link, seeds)
        if estimator.n_members > 1:
            config = replace(config, label=f"member {i + 1} of {estimator.n_members}")
        keeper = None if kept is None else kept.keeper(i, estimator.n_members)
        tell = teller(estimator, config, sum(len(before.loss_curve) for before in results))
        result = learn(tables, rows, start, config, keeper, tell)
        results.append(result)
        if len(result.loss_curve):
            if not found:
                judged = honest_rows(rows, given.used.n_rows, result)
            found.append(build_member(tables, result, start, rows, columns, scale, link))
            own.append(folds.fold.astype(np.int64) + n_tables)
            n_tables += folds.n_tables
        if result.interrupted:
            break
    return Trained(found, results, np.stack(own, axis=1), judged) if found else None


def another_member(
    estimator: EmbeddingEstimator,
    given: CheckedInput,
    columns: EncodedColumns,
    folds: FoldAssignment,
    seeds: Seeds,
) -> Untrained:
    """Return a further member before training: other folds, and the first vectors of all."""
    folds = assign_folds(estimator, given, columns, seeds, folds)
    return Untrained(seeds, folds, *first_vectors(estimator, given, columns, folds, seeds))


def training_config(
    estimator: EmbeddingEstimator,
    given: CheckedInput,
    columns: EncodedColumns,
    n: int,
    heads: int,
    scale: Scale,
    link: Link,
    seeds: Seeds,
) -> TrainingConfig:
    head = HEADS[estimator.head]
    batch_size = rows_a_step(estimator.batch_size, n)
    own = columns.vocabularies[: len(columns.categorical)]
    n_levels = max((v.cardinality for v in own), default=0)
    kinds: list[type[Head | Pooling]] = [head, *(p for p in columns.poolings if p is not None)]
    return TrainingConfig(
        head=head,
        poolings=columns.poolings,
        loss=given.loss,
        link=link,
        scale=scale,
        n_outputs=given.target.n_outputs,
        n_heads=heads,
        hidden_layer_sizes=head.hidden_sizes(hidden_sizes(estimator)),
        dropout=float(estimator.dropout),
        unknown_rate=float(estimator.unknown_rate),
        learning_rate_init=float(estimator.learning_rate_init),
        alpha=float(estimator.alpha),
        batch_size=batch_size,
        max_iter=max_iter(estimator.max_iter, n, n_levels, batch_size, kinds),
        min_iter=min_iter(n, batch_size, kinds),
        early_stopping=bool(estimator.early_stopping),
        n_iter_no_change=int(estimator.n_iter_no_change),
        tol=float(estimator.tol),
        device=estimator.device,
        seed=seeds.network,
        branch=seeds.branch,
        verbose=bool(estimator.verbose),
    )


def teller(estimator: EmbeddingEstimator, config: TrainingConfig, first: int = 0) -> Tell | None:
    """Return what tells the callbacks of iterations, which are counted from the `first`."""
    if not estimator.callbacks:
        return None
    callbacks, units = tuple(estimator.callbacks), config.loss.units(config.scale)

    def tell(iteration: int, *losses: NDArray[np.float64]) -> None:
        means = [float(mean_loss(each, units)) for each in losses]
        for callback in callbacks:
            callback(first + iteration, dict(zip(("train", "validation"), means, strict=False)))

    return tell


def mean_loss(losses: NDArray[np.float64], units: Any) -> NDArray[np.float64]:
    """Return the mean over outputs, in the units of `y`."""
    mean: NDArray[np.float64] = (losses * units).mean(axis=-1)
    return mean
