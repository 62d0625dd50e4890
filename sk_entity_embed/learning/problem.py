"""The input of a training and its result: NumPy values, no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sk_entity_embed.input.lists import Codes, Lists
from sk_entity_embed.model.heads import Head
from sk_entity_embed.model.losses import Link, Loss, Scale
from sk_entity_embed.model.poolings import Pooling

Floats: TypeAlias = NDArray[np.float32]

ROWS_AN_ITERATION = 500_000
"""Rows of an iteration at most: a pass over more rows is divided into several."""
_BLOCK = 16_384  # Items at a time, whose positions in stacked tables take 64 bits each.


@dataclass(frozen=True, slots=True)
class TrainingRows:
    """Coded training rows.

    `codes` are table rows of each cell, or Lists of each item's, column by column; `context` scaled
    numbers; `target` scaled quantities, 0/1 indicators, or class numbers; `weights` positive, of
    mean one. `fold` is from 0 to ``n_tables - 1``, all zero without cross-fitting, in a type as
    small as it may be: sums and products need a larger one. The loss of `validation` rows stops the
    training, and no head learns from those `withheld`. `n_rows` is the size of each column's
    tables.

    `seen`, made of the others, says which categories of each column each table learns from, in
    shape (n_tables, n_rows). The unknown row always counts as seen.
    """

    codes: Sequence[Codes]
    context: Floats
    target: Floats
    weights: Floats
    fold: NDArray[np.signedinteger[Any]]
    validation: NDArray[np.bool_]
    withheld: NDArray[np.bool_]
    n_tables: int
    n_rows: Sequence[int]
    seen: list[NDArray[np.bool_]] = field(init=False)

    def __post_init__(self) -> None:
        seen = [self._seen(j, n) for j, n in enumerate(self.n_rows)]
        object.__setattr__(self, "seen", seen)

    def add_seen(self, before: Sequence[NDArray[np.bool_]]) -> None:
        """Count what each table has learned in an earlier training as seen, too."""
        for seen, earlier in zip(self.seen, before, strict=True):
            np.logical_or(seen, earlier, out=seen)

    @property
    def cross_fitted(self) -> bool:
        """Whether the tables that learn from a row are not the one it is looked up in."""
        return self.n_tables > 1

    def items(self, column: int) -> tuple[NDArray[np.integer[Any]], NDArray[np.intp] | slice]:
        """Return table rows of all cells or items of a column, and the training row of each.

        The latter is a slice where cells and rows are the same.
        """
        codes = self.codes[column]
        if isinstance(codes, Lists):
            return codes.items, codes.rows
        return codes, slice(None)

    def _seen(self, column: int, n_rows: int) -> NDArray[np.bool_]:
        codes, owners = self.items(column)
        seen = np.zeros((self.n_tables, n_rows), dtype=bool)
        if not self.cross_fitted:
            seen[0, codes[~self.withheld[owners]]] = True
        else:
            inside, fold = seen.reshape(-1), self.fold[owners]
            for first in range(0, len(codes), _BLOCK):
                at = slice(first, first + _BLOCK)
                inside[fold[at].astype(np.intp) * n_rows + codes[at]] = True
            n_folds = seen.sum(axis=0, dtype=np.min_scalar_type(self.n_tables))
            np.greater(n_folds, seen, out=seen)  # a fold other than the table's own has them
        seen[:, 0] = True
        return seen


@dataclass(frozen=True, slots=True)
class StartingPoint:
    """Where the parameters start, beside the tables, which training takes over.

    Training leaves `fixed` rows of the tables as they are; their biases learn all the same.
    `shrinks` says how strongly each column's vectors shrink towards zero, 1 for as usual; those
    that start from given vectors do not. `head` and `poolings` are earlier ones to go on from, None
    for new ones.
    """

    fixed: tuple[NDArray[np.bool_], ...]
    shrinks: tuple[float, ...]
    head: Head | None
    poolings: tuple[Pooling | None, ...]


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """Settings of network and training; most names are the encoder's.

    `head` and `poolings` are kinds, the latter None for columns of single values; of heads of some
    folds only there are `n_heads`. `link` and
    `scale` tell how the loss compares outputs where these are squashed. The `seed` decides all that
    is drawn, but for what comes after the first weights where there is a `branch`, a seed of its
    own: so several trainings start alike and go different ways. Progress has a `label`.
    """

    head: type[Head]
    poolings: tuple[type[Pooling] | None, ...]
    loss: Loss
    link: Link
    scale: Scale
    n_outputs: int
    n_heads: int
    hidden_layer_sizes: tuple[int, ...]
    dropout: float
    unknown_rate: float
    learning_rate_init: float
    alpha: float
    batch_size: int
    max_iter: int
    min_iter: int
    early_stopping: bool
    n_iter_no_change: int
    tol: float
    device: str
    seed: int
    verbose: bool
    branch: int | None = None
    label: str = "embeddings"


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """The result of a training, beside the tables.

    `loss_curve`, of shape (n_iter, n_losses), is the mean training loss of the heads in each
    iteration, by output, in the network's units; `validation_loss_curve` that of the validation
    rows at the end of each, or None. After `best_iteration` iterations the state returned was
    reached. All iterations may be `used_up`.
    """

    head: Head
    poolings: tuple[Pooling | None, ...]
    loss_curve: NDArray[np.float64]
    validation_loss_curve: NDArray[np.float64] | None
    best_iteration: int
    interrupted: bool
    used_up: bool


def parts_of_pass(n_rows: int) -> int:
    """Return the iterations that a pass over so many rows is divided into."""
    return max(1, -(-n_rows // ROWS_AN_ITERATION))
