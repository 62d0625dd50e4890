"""Training rows of which each worker holds a part, and what all have to know of the rest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sk_entity_embed.learning.exchange import Exchange
from sk_entity_embed.learning.problem import Float64, Rows, TrainingRows
from sk_entity_embed.learning.stored import joined_codes


class Shard(Rows):
    """The rows of one worker, which knows of the others' what it needs.

    Which categories tables see, weights, the mean target and `some` of the rows are those of all
    workers. They are found together: each worker asks for them in the same order.
    """

    def __init__(self, own: Rows, exchange: Exchange) -> None:
        self.own, self._exchange = own, exchange
        self.n_tables, self.n_rows = own.n_tables, own.n_rows
        self.n_windows, self.n_chunks = own.n_windows, own.n_chunks
        # What a table sees in the rows of any worker it sees in those of all.
        self.seen = [total > 0 for total in self._total([s.astype(np.uint8) for s in own.seen])]

    @property
    def n_workers(self) -> int:
        return self._exchange.n_workers

    def of_all(self, n: int) -> int:
        return sum(self._exchange.gather_objects(n))

    @property
    def n_samples(self) -> int:
        return self.own.n_samples

    @property
    def n_withheld(self) -> int:
        return self.own.n_withheld

    @property
    def n_context(self) -> int:
        return self.own.n_context

    @property
    def items_per_row(self) -> float:
        return self.own.items_per_row

    def blocks(self) -> Iterator[TrainingRows]:
        return map(self._knowing, self.own.blocks())

    def window(self, order: NDArray[np.int64], number: int) -> TrainingRows:
        return self._knowing(self.own.window(order, number))

    def judges(self) -> tuple[TrainingRows, NDArray[np.intp]]:
        rows, places = self.own.judges()
        return self._knowing(rows), places

    def some(self, n: int) -> TrainingRows:
        """Return rows of all workers, about as many of each."""
        each = max(1, n // self.n_workers)
        return self._knowing(joined(self._exchange.gather_objects(self.own.some(each))))

    def table_weights(self) -> list[Float64]:
        return self._total(self.own.table_weights())

    def label_weights(self) -> list[Float64]:
        return self._total(self.own.label_weights())

    def mean_target(self) -> tuple[Float64, float]:
        found = self._exchange.gather_objects(self.own.mean_target())
        weight = sum(w for _, w in found)
        return sum(mean * (w / weight) for mean, w in found if w), weight

    def _knowing(self, rows: TrainingRows) -> TrainingRows:
        """Return rows whose tables have seen what other workers showed them."""
        return replace(rows, seen_by_all=self.seen)

    def _total(self, arrays: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
        """Add arrays up over the workers."""
        return [self._exchange.sum(torch.from_numpy(a)).numpy() for a in arrays]


def joined(parts: Sequence[TrainingRows]) -> TrainingRows:
    """Return rows one after the other."""
    first = parts[0]
    names = ("context", "target", "weights", "fold", "validation", "withheld")
    return TrainingRows(
        codes=[joined_codes(codes) for codes in zip(*(p.codes for p in parts), strict=True)],
        **{name: np.concatenate([getattr(p, name) for p in parts]) for name in names},
        n_tables=first.n_tables,
        n_rows=first.n_rows,
        seen_by_all=first.seen,
    )


@dataclass(frozen=True, slots=True)
class Told:
    """What the rows of all workers tell, without the rows: see :class:`Rows`."""

    seen: list[NDArray[np.bool_]]
    weights: list[Float64]
    sample: TrainingRows

    @property
    def n_tables(self) -> int:
        """Tables of each column."""
        return self.sample.n_tables

    @property
    def n_rows(self) -> Sequence[int]:
        """Size of each column's tables."""
        return self.sample.n_rows

    @classmethod
    def by(cls, rows: Rows, n: int) -> Told:
        """Return what rows tell, and `n` of them; all workers ask at once."""
        return cls(rows.seen, rows.label_weights(), rows.some(n))

    def label_weights(self) -> list[Float64]:
        """Return the weight of all rows of each category, by column."""
        return self.weights

    def some(self, n: int) -> TrainingRows:
        """Return the rows that there are, `n` of them at most."""
        return self.sample.some(n)

    def judges(self) -> tuple[TrainingRows, NDArray[np.intp]]:
        """Return the rows that there are, and the places of validation rows among them."""
        return self.sample.judges()
