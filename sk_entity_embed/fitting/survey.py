"""What a fit has to know of all rows before it can code them, block by block.

A survey is a value of its own that can be pickled and merged with others: parts of a table may be
surveyed on several machines.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sk_entity_embed.exceptions import InvalidDataError
from sk_entity_embed.input.blocks import BlockRows
from sk_entity_embed.input.context import finite_numbers
from sk_entity_embed.input.counting import ValueCounter
from sk_entity_embed.input.joining import joined_tables
from sk_entity_embed.input.messages import shown
from sk_entity_embed.input.target import Target, read_target
from sk_entity_embed.model.losses import spread

SAMPLE_ROWS = 300_000
"""Rows drawn from all, for what is not counted: ranks of numbers, pairs, roles, copies."""
_DISTINCT = 1_000
"""Distinct targets that are kept, where these are numbers that may be quantities."""
_NUMBERS = "biuf"


@dataclass(slots=True)
class TargetSurvey:
    """Kind, classes and spread of a target of which parts come one after the other.

    `values` are distinct targets, or rows of several: all where they may be classes, some where
    they are numbers that cannot, or rows of several. `n_rows` and `sums` are of all, as they are;
    `mean` and `width` (the standard deviation) are weighted. `total` is the weight of all, in a
    unit of two to the `exponent`, so that sums of large weights are numbers.
    """

    target_type: str
    values: NDArray[Any] | None = None
    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    n_rows: int = 0
    sums: Any = 0.0
    total: float = 0.0
    exponent: int = 0
    mean: Any = 0.0
    width: Any = 0.0

    def add(self, y: NDArray[Any], weights: NDArray[np.float64] | None) -> None:
        """Take in some more rows."""
        axis = 0 if y.ndim == 2 else None
        values, counts = np.unique(y, axis=axis, return_counts=True)
        self._take(values, counts)
        if y.dtype.kind in _NUMBERS:
            w = np.ones(len(y)) if weights is None else weights
            exponent = int(np.frexp(w.max(initial=0.0))[1])
            w = np.ldexp(w, -exponent)
            total = float(w.sum())
            if total > 0:
                numbers = y.reshape(len(y), -1).astype(np.float64)
                with np.errstate(over="ignore", invalid="ignore"):  # too large ones are refused
                    self.n_rows, self.sums = self.n_rows + len(y), self.sums + numbers.sum(axis=0)
                    mean = np.average(numbers, axis=0, weights=w)
                    self._join(total, exponent, mean, spread(numbers - mean, w))

    def merge(self, other: TargetSurvey) -> None:
        """Take in what another survey has met."""
        if other.values is not None:
            self._take(other.values, other.counts)
        if other.total > 0:
            self.n_rows, self.sums = self.n_rows + other.n_rows, self.sums + other.sums
            self._join(other.total, other.exponent, other.mean, other.width)

    def target(self) -> Target:
        """Return the distinct targets as a target, of the kind that all of them have."""
        assert self.values is not None
        return read_target(self.values, self.target_type)

    def like_all(self, target: Target) -> tuple[Target, NDArray[np.float64]]:
        """Return two rows with mean and spread of all, as a target, and their weights."""
        values = np.stack([self.mean - self.width, self.mean + self.width])
        return replace(target, values=values), np.ones(2)

    def _take(self, values: NDArray[Any], counts: NDArray[np.int64]) -> None:
        if self.values is not None:
            before = self.values
            numbers = [a.dtype.kind in _NUMBERS for a in (before, values)]
            if numbers[0] != numbers[1] or before.shape[1:] != values.shape[1:]:
                kinds = [f"{a.dtype} like {shown(a.tolist()[0])}" for a in (before, values)]
                raise InvalidDataError(f"y changes its type: it was {kinds[0]}, and is {kinds[1]}.")
            values = np.concatenate([before, values])
            counts = np.concatenate([self.counts, counts])
        axis = 0 if values.ndim == 2 else None
        distinct, where = np.unique(values, axis=axis, return_inverse=True)
        sums = np.zeros(len(distinct), dtype=np.int64)
        np.add.at(sums, where.reshape(-1), counts)
        may_be_many = values.ndim == 2 or self.target_type in ("auto", "quantities", "continuous")
        if may_be_many and values.dtype.kind in _NUMBERS and len(distinct) > _DISTINCT:
            # One that is not whole, if there is any, tells quantities from classes.
            by_row = distinct.reshape(len(distinct), -1)
            whole = (by_row == np.floor(by_row)).all(axis=1)
            kept = np.sort(np.argsort(whole, kind="stable")[:_DISTINCT])
            distinct, sums = distinct[kept], sums[kept]
        self.values, self.counts = distinct, sums

    def _join(self, total: float, exponent: int, mean: Any, width: Any) -> None:
        """Join means and deviations (Chan, Golub & LeVeque, 1979), none of them squared."""
        unit = max(exponent, self.exponent) if self.total else exponent
        before, more = np.ldexp(self.total, self.exponent - unit), np.ldexp(total, exponent - unit)
        both = before + more
        old, new = before / both, more / both
        distance = mean - self.mean
        within = np.hypot(self.width * np.sqrt(old), width * np.sqrt(new))
        self.mean = self.mean + distance * new
        self.width = np.hypot(within, np.abs(distance) * np.sqrt(old) * np.sqrt(new))
        self.total, self.exponent = float(both), unit


class Sample:
    """Rows drawn from all with equal chances: those with the smallest of random numbers."""

    def __init__(self, size: int = SAMPLE_ROWS) -> None:
        self.size = size
        self._parts: list[BlockRows] = []
        self._keys: list[NDArray[np.float64]] = []
        self._held = 0
        self._bar = 1.0

    def expect(self, n: int) -> None:
        """Hold few more rows than needed on the way, since about `n` will be offered."""
        self._bar = min(1.0, 1.1 * self.size / max(1, n))

    def add(self, rows: BlockRows, keys: NDArray[np.float64]) -> None:
        """Offer some more rows, each with a random number of its own."""
        chosen = np.flatnonzero(keys < self._bar)
        self._keep(rows.take(chosen), keys[chosen])

    def merge(self, other: Sample) -> None:
        """Offer the rows of another sample."""
        for rows, keys in zip(other._parts, other._keys, strict=True):
            self.add(rows, keys)

    def rows(self) -> BlockRows:
        """Return the rows, in the order in which they were offered."""
        self._cut()
        parts = self._parts
        weights = [part.weights for part in parts if part.weights is not None]
        groups = [part.groups for part in parts if part.groups is not None]
        return BlockRows(
            None,
            joined_tables([part.table for part in parts]),
            np.concatenate([part.y for part in parts]),
            np.concatenate(weights) if weights else None,
            np.concatenate(groups) if groups else None,
        )

    def _keep(self, rows: BlockRows, keys: NDArray[np.float64]) -> None:
        if len(keys) == 0:
            return
        self._parts.append(rows)
        self._keys.append(keys)
        self._held += len(keys)
        if self._held > 2 * self.size:
            self._cut()

    def _cut(self) -> None:
        if self._held <= self.size:
            return
        keys = np.concatenate(self._keys)
        self._bar = float(np.partition(keys, self.size)[self.size])
        parts, kept = self._parts, self._keys
        self._parts, self._keys, self._held = [], [], 0
        for rows, own in zip(parts, kept, strict=True):
            self.add(rows, own)


@dataclass(slots=True)
class Survey:
    """All that is counted of rows before they are coded.

    `categorical` and `context` are positions of columns, `max_lengths` those of the categorical
    ones, `max_categories` the encoder's parameter. Random numbers come from the `seed` and from the
    number of each block. `missing` counts missing cells of the context columns.
    """

    categorical: Sequence[int]
    context: Sequence[int]
    max_lengths: Sequence[int | None]
    max_categories: int | None
    target: TargetSurvey
    seed: int
    counters: list[ValueCounter] = field(default_factory=list)
    missing: NDArray[np.int64] = field(init=False)
    sample: Sample = field(default_factory=Sample)
    n_rows: int = 0
    largest_weight: float = 0.0

    def __post_init__(self) -> None:
        self.missing = np.zeros(len(self.context), dtype=np.int64)

    def add(self, rows: BlockRows, number: int) -> None:
        """Take in a block: the one of that number."""
        if rows.weights is not None:
            rows = rows.take(np.flatnonzero(rows.weights > 0))
            self.largest_weight = max(self.largest_weight, rows.weights.max(initial=0.0))  # type: ignore[union-attr]
        if len(rows) == 0:
            return
        columns = rows.table.columns
        if not self.counters:
            names = [columns[j].name for j in self.categorical]
            self.counters = [ValueCounter(name, self.max_categories) for name in names]
        for j, n, counter in zip(self.categorical, self.max_lengths, self.counters, strict=True):
            counter.add(columns[j] if n is None else columns[j].last(n))
        for k, j in enumerate(self.context):
            self.missing[k] += np.isnan(finite_numbers(columns[j])).sum()
        self.target.add(rows.y, rows.weights)
        keys = np.random.default_rng([self.seed, number]).random(len(rows))
        self.sample.add(rows, keys)
        self.n_rows += len(rows)

    def merge(self, other: Survey) -> None:
        """Take in what another survey has met."""
        if not self.counters:
            self.counters = other.counters
        else:
            for counter, more in zip(self.counters, other.counters, strict=False):
                counter.merge(more)
        self.missing = self.missing + other.missing
        self.target.merge(other.target)
        self.sample.merge(other.sample)
        self.n_rows += other.n_rows
        self.largest_weight = max(self.largest_weight, other.largest_weight)

    def class_weight(self, class_weight: Any, target: Target) -> Any:
        """Return the weights of classes, where "balanced" is worked out from all rows."""
        if not isinstance(class_weight, str) or target.classes is None:
            return class_weight
        if target.kind == "multilabel-indicator":
            n, ones = self.target.n_rows, self.target.sums.tolist()
            return [{0: n / (2 * max(n - m, 1)), 1: n / (2 * max(m, 1))} for m in ones]
        shares = self.target.counts / self.target.counts.sum()
        values = 1 / (len(shares) * shares)
        weights: Mapping[Any, float] = dict(
            zip(target.classes.tolist(), values.tolist(), strict=True)
        )
        return weights
