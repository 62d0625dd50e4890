"""The input of a training and its result: NumPy values, no torch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import InitVar, dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sk_entity_embed.input.lists import Codes, Lists
from sk_entity_embed.model.heads import Head
from sk_entity_embed.model.losses import Link, Loss, Scale
from sk_entity_embed.model.poolings import Pooling

Floats: TypeAlias = NDArray[np.float32]
Float64: TypeAlias = NDArray[np.float64]
Tell: TypeAlias = Callable[..., None]
"""Takes the number of an iteration, its training losses and, perhaps, its validation losses, as
arrays with one value an output, in the network's units."""

ROWS_AN_ITERATION = 500_000
"""Rows of an iteration at most: a pass over more rows is divided into several."""
_BLOCK = 16_384  # Items at a time, whose positions in stacked tables take 64 bits each.


class Rows(ABC):
    """Training rows, wherever they are: all in memory, or in files that are read in parts.

    A pass over them goes through `n_windows` windows, one after the other in memory. What training
    has to know of all rows is found block by block.
    """

    __slots__ = ()

    n_tables: int
    n_rows: Sequence[int]
    """Size of each column's tables."""
    seen: list[NDArray[np.bool_]]
    """Which categories of each column each table learns from, in shape (n_tables, n_rows). The
    unknown row always counts as seen."""
    n_windows: int
    n_chunks: int
    """Chunks of neighbouring rows, about equal, in which windows are read: no fewer than windows,
    and as many for each."""

    @property
    def n_workers(self) -> int:
        """Workers that hold a part of all rows each. They find out together what all of them have
        to know.
        """
        return 1

    def of_all(self, n: int) -> int:
        """Return the sum of a number over the workers."""
        return n

    @property
    @abstractmethod
    def n_samples(self) -> int:
        """How many rows there are."""

    @property
    @abstractmethod
    def n_withheld(self) -> int:
        """How many of them no head learns from."""

    @property
    @abstractmethod
    def n_context(self) -> int:
        """Numbers beside the vectors."""

    @property
    @abstractmethod
    def items_per_row(self) -> float:
        """Mean items of a row, in the column of the longest lists; 1 without lists."""

    @abstractmethod
    def blocks(self) -> Iterator[TrainingRows]:
        """Yield all rows in their order, as many at a time as memory may hold."""

    @abstractmethod
    def window(self, order: NDArray[np.int64], number: int) -> TrainingRows:
        """Return a window of a pass, with the chunks of rows that the `order` gives it."""

    @abstractmethod
    def judges(self) -> tuple[TrainingRows, NDArray[np.intp]]:
        """Return rows, and the places of the validation rows among them."""

    @abstractmethod
    def some(self, n: int) -> TrainingRows:
        """Return some of the rows, `n` at most, at equal distances."""

    @property
    def cross_fitted(self) -> bool:
        """Whether the tables that learn from a row are not the one it is looked up in."""
        return self.n_tables > 1

    def table_weights(self) -> list[Float64]:
        """Return the weight of the rows that each table learns a category from, by column.

        They are of shape (n_tables, n_rows).
        """
        totals = [np.zeros((self.n_tables, n)) for n in self.n_rows]
        for block in self.blocks():
            for j, (total, n) in enumerate(zip(totals, self.n_rows, strict=True)):
                codes, owners = block.items(j)
                weights = block.weights[owners]
                for table, row in enumerate(total):
                    chosen = block.teaching(table)[owners]
                    row += np.bincount(codes[chosen], weights[chosen], n)
        return totals

    def label_weights(self) -> list[Float64]:
        """Return the weight of all rows of each category, by column."""
        totals = [np.zeros(n) for n in self.n_rows]
        for block in self.blocks():
            for j, total in enumerate(totals):
                codes, owners = block.items(j)
                total += np.bincount(codes, block.weights[owners], minlength=len(total))
        return totals

    def mean_target(self) -> tuple[Float64, float]:
        """Return the weighted mean target of the rows that teach the heads, and their weight."""
        mean: Any = 0.0
        total = 0.0
        for block in self.blocks():
            taught = ~block.withheld
            weights = block.weights[taught].astype(np.float64)
            if len(weights):
                target = block.target[taught].astype(np.float64)
                total += (weight := float(weights.sum()))
                mean = mean + (np.average(target, axis=0, weights=weights) - mean) * (
                    weight / total
                )
        return np.asarray(mean), total


def categories_seen(rows: Rows) -> list[NDArray[np.bool_]]:
    """Return which categories of each column each table learns from; see :class:`Rows`."""
    seen = [np.zeros((rows.n_tables, n), dtype=bool) for n in rows.n_rows]
    for block in rows.blocks():
        for j, own in enumerate(seen):
            block.mark(j, own)
    for own in seen:
        if rows.cross_fitted:
            n_folds = own.sum(axis=0, dtype=np.min_scalar_type(rows.n_tables))
            np.greater(n_folds, own, out=own)  # a fold other than the table's own has them
        own[:, 0] = True
    return seen


@dataclass(frozen=True, slots=True)
class TrainingRows(Rows):
    """Coded training rows in memory.

    `codes` are table rows of each cell, or Lists of each item's, column by column; `context` scaled
    numbers; `target` scaled quantities, 0/1 indicators, or class numbers; `weights` positive, of
    mean one. `fold` is from 0 to ``n_tables - 1``, all zero without cross-fitting, in a type as
    small as it may be: sums and products need a larger one. The loss of `validation` rows stops the
    training, and no head learns from those `withheld`. `n_rows` is the size of each column's
    tables. What tables have `seen` follows from the others, unless the rows are a part of others.
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
    seen_by_all: InitVar[list[NDArray[np.bool_]] | None] = None
    seen: list[NDArray[np.bool_]] = field(init=False)
    n_windows: int = field(default=1, init=False)
    n_chunks: int = field(default=1, init=False)

    def __post_init__(self, seen_by_all: list[NDArray[np.bool_]] | None) -> None:
        object.__setattr__(self, "seen", seen_by_all)
        if seen_by_all is None:
            object.__setattr__(self, "seen", categories_seen(self))

    def add_seen(self, before: Sequence[NDArray[np.bool_]]) -> None:
        """Count what each table has learned in an earlier training as seen, too."""
        for seen, earlier in zip(self.seen, before, strict=True):
            np.logical_or(seen, earlier, out=seen)

    @property
    def n_samples(self) -> int:
        return len(self.fold)

    @property
    def n_withheld(self) -> int:
        return int(np.count_nonzero(self.withheld))

    @property
    def n_context(self) -> int:
        return int(self.context.shape[1])

    @property
    def items_per_row(self) -> float:
        lists = [c for c in self.codes if isinstance(c, Lists)]
        return max([1.0, *(len(c.items) / len(c) for c in lists)])

    def blocks(self) -> Iterator[TrainingRows]:
        yield self

    def window(self, order: NDArray[np.int64], number: int) -> TrainingRows:
        return self

    def judges(self) -> tuple[TrainingRows, NDArray[np.intp]]:
        return self, np.flatnonzero(self.validation)

    def some(self, n: int) -> TrainingRows:
        return self.take(equally_spaced(self.n_samples, n))

    def take(self, at: NDArray[np.intp]) -> TrainingRows:
        """Return the rows at some places."""
        return TrainingRows(
            codes=[c.take(at) for c in self.codes],
            context=self.context[at],
            target=self.target[at],
            weights=self.weights[at],
            fold=self.fold[at],
            validation=self.validation[at],
            withheld=self.withheld[at],
            n_tables=self.n_tables,
            n_rows=self.n_rows,
            seen_by_all=self.seen,
        )

    def items(self, column: int) -> tuple[NDArray[np.integer[Any]], NDArray[np.intp] | slice]:
        """Return table rows of all cells or items of a column, and the training row of each.

        The latter is a slice where cells and rows are the same.
        """
        codes = self.codes[column]
        if isinstance(codes, Lists):
            return codes.items, codes.rows
        return codes, slice(None)

    def teaching(self, table: int) -> NDArray[np.bool_]:
        """Return which rows a table learns from."""
        return self.fold != table if self.cross_fitted else ~self.withheld

    def mark(self, column: int, inside: NDArray[np.bool_]) -> None:
        """Mark the categories of a column that the rows of each fold have; without folds, those
        that rows which are not withheld have.
        """
        codes, owners = self.items(column)
        if not self.cross_fitted:
            inside[0, codes[~self.withheld[owners]]] = True
            return
        flat, fold = inside.reshape(-1), self.fold[owners]
        for first in range(0, len(codes), _BLOCK):
            at = slice(first, first + _BLOCK)
            flat[fold[at].astype(np.intp) * inside.shape[1] + codes[at]] = True


def equally_spaced(n: int, most: int) -> NDArray[np.intp]:
    """Return places of some of `n` rows, `most` at most, from the first to the last."""
    return np.linspace(0, n - 1, min(n, most)).astype(np.intp)


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
    reached. All iterations may be `used_up`. If the loss `exploded`, in the iteration of that
    number, training went back to the best state before it, once.
    """

    head: Head
    poolings: tuple[Pooling | None, ...]
    loss_curve: NDArray[np.float64]
    validation_loss_curve: NDArray[np.float64] | None
    best_iteration: int
    interrupted: bool
    used_up: bool
    exploded: int | None = None


def parts_of_pass(n_rows: int) -> int:
    """Return the iterations that a pass over so many rows is divided into."""
    return max(1, -(-n_rows // ROWS_AN_ITERATION))
