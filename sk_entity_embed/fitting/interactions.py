"""Which pairs of columns get a table of their own: those named, or those that explain most.

A pair is judged by what its categories explain of what the columns leave unexplained, all of it out
of fold: a ridge regression on the target means of the single columns and on the numbers predicts
each row from the other folds, and so does the mean residual of each pair's categories, shrunk
towards zero.
"""

from __future__ import annotations

import re
from collections.abc import Container, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from numbers import Integral
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.random import RandomState
from numpy.typing import NDArray
from scipy.stats import norm

from sk_entity_embed.exceptions import InvalidParameterError
from sk_entity_embed.fitting.preparation import CheckedInput, EncodedColumns, FoldAssignment
from sk_entity_embed.input.crosses import cross_name, cross_stem
from sk_entity_embed.input.lists import Codes, Lists
from sk_entity_embed.input.messages import shown
from sk_entity_embed.input.target import Target
from sk_entity_embed.model.heads import Head
from sk_entity_embed.model.tables import take

_Floats: TypeAlias = NDArray[np.float64]
Pair: TypeAlias = tuple[int, int]

_ROWS = 30_000
"""Rows that pairs are judged on, at most."""
_COLUMNS = 40
"""Columns whose pairs are judged: of more, those that explain most alone."""
_OUTPUTS = 6
"""Outputs or classes that pairs are judged by: of more, those that vary most."""
_AGAIN = 30
"""Best pairs that are judged again each time after one of them was taken."""
_MOST = 6
"""Pairs that "auto" takes at most."""
_CHANCE, _LEAST = 0.01, 1e-3
"""What "auto" asks of a gain: how rarely noise has any as large, and share of the variance."""
_PRIOR = 10.0
"""Rows that the shrinkage of a mean towards zero counts for."""
_FOLDS = 5
_BINS = 50
"""Bins of the quick model's predictions, of about equal numbers of rows."""
_ROUNDS = 3
"""Times that what is left of each column's mean residuals is taken away: shrinkage leaves some."""
_RIDGE = 10.0
"""Penalty of the quick model, in rows."""


def choose_pairs(
    interactions: Any,
    columns: EncodedColumns,
    given: CheckedInput,
    folds: FoldAssignment,
    head: type[Head],
    random_state: RandomState,
) -> dict[Pair, float]:
    """Return the pairs, by places among the categorical columns, and the gain of each.

    They are in the order in which they are taken: the user's, or that of what each explains beside
    those before.

    Raises
    ------
    InvalidParameterError
        If `interactions` does not fit the columns or the head.
    """
    if interactions is None:
        return {}
    single = [j for j, codes in enumerate(columns.codes) if not isinstance(codes, Lists)]
    pairs = _named_pairs(interactions, columns, given, single, head)
    usable = head.crosses and len(single) > 1
    if isinstance(interactions, str) and not usable:
        return {}
    judge = _Judge.of(columns, given, folds, random_state)
    if pairs is not None:
        return judge.named(pairs)
    n = None if isinstance(interactions, str) else int(interactions)
    return judge.best(single, n, _pairs_in_table(columns, single))


def _pairs_in_table(columns: EncodedColumns, single: Sequence[int]) -> set[Pair]:
    """Return pairs that have the name of a column, as where the user has made a cross by hand."""
    names = {*columns.names, *(re.sub(r"_\d+$", "", name) for name in columns.names)}
    embedded = columns.embedded
    return {
        (a, b)
        for a, b in combinations(single, 2)
        if {cross_name(embedded[a], embedded[b]), cross_stem(embedded[a], embedded[b])} & names
    }


def _named_pairs(
    interactions: Any,
    columns: EncodedColumns,
    given: CheckedInput,
    single: Sequence[int],
    head: type[Head],
) -> list[Pair] | None:
    """Return the pairs that the user names, None where they are to be found."""
    if isinstance(interactions, str):
        return None
    if not head.crosses:
        raise InvalidParameterError(
            f"`interactions` cannot be used with head={head.name!r}, which multiplies the "
            "vectors of all pairs of columns anyway; leave it None."
        )
    if isinstance(interactions, Integral):
        n_pairs = len(single) * (len(single) - 1) // 2
        if isinstance(interactions, bool) or int(interactions) > n_pairs:
            raise InvalidParameterError(
                f"`interactions` is {shown(interactions)}, but there are only {n_pairs} pairs of "
                f"the {len(single)} categorical columns of single values."
            )
        return None
    pairs: list[Pair] = []
    for item in interactions:
        if isinstance(item, str) or not np.iterable(item) or len(list(item)) != 2:
            raise InvalidParameterError(
                "`interactions` must be None, 'auto', a number of pairs, or a list of pairs of "
                f"categorical columns; {shown(item)} is not a pair."
            )
        first, second = (_place(name, item, columns, given, single) for name in item)
        if first == second:
            raise InvalidParameterError(
                f"`interactions` pairs column {columns.embedded[first]!r} with itself: "
                f"{shown(item)}. Name two different columns."
            )
        if {first, second} in [set(pair) for pair in pairs]:
            raise InvalidParameterError(
                f"`interactions` has the pair {shown(item)} more than once. Name it once."
            )
        pairs.append((first, second))
    return pairs


def _place(
    name: Any, pair: Any, columns: EncodedColumns, given: CheckedInput, single: Sequence[int]
) -> int:
    """Return the place of a column, named or numbered by the user, among the categorical ones."""
    names, labels = columns.names, given.table.labels
    is_number = isinstance(name, Integral) and not isinstance(name, bool)
    if labels is not None and name in labels:
        position = labels.index(name)
    elif name in names:
        position = names.index(name)
    elif is_number and -len(names) <= name < len(names):
        position = int(name) % len(names)
    else:
        raise InvalidParameterError(
            f"`interactions` has {shown(name)} in the pair {shown(pair)}, which is not a column of "
            f"X: {shown(list(names))}."
        )
    if position not in columns.categorical:
        raise InvalidParameterError(
            f"`interactions` has {names[position]!r} in the pair {shown(pair)}, which is not a "
            f"categorical column: {shown(columns.embedded)}. Bin its numbers, or name it in "
            "`categorical_features`."
        )
    place = columns.categorical.index(position)
    if place not in single:
        raise InvalidParameterError(
            f"`interactions` has {names[position]!r} in the pair {shown(pair)}, which holds lists; "
            "only columns of single values can be paired."
        )
    return place


@dataclass
class _Judge:
    """Some training rows, and what is not yet explained of their targets.

    `residual` is of shape (n_samples, n_outputs), `total` the weighted sum of squares of the
    targets around their mean, `alone` the gain of each column.
    """

    codes: list[Codes]
    fold: NDArray[np.int64]
    weights: _Floats
    residual: _Floats
    total: float
    alone: list[float] = field(default_factory=list)

    @classmethod
    def of(
        cls,
        columns: EncodedColumns,
        given: CheckedInput,
        folds: FoldAssignment,
        random_state: RandomState,
    ) -> _Judge:
        """Take a sample of the rows, and leave what a quick model does not explain."""
        rows = np.arange(given.used.n_rows)
        if folds.n_tables == 1:
            rows = rows[~folds.validation]
        if len(rows) > _ROWS:
            rows = np.sort(random_state.choice(rows, _ROWS, replace=False))
        fold = folds.fold[rows].astype(np.int64)
        if folds.n_tables == 1:
            fold = _own_folds(
                None if given.groups is None else given.groups[rows], len(rows), random_state
            )
        _, fold = np.unique(fold, return_inverse=True)
        weights = given.weights[rows].astype(np.float64)
        targets = _targets(given.target, rows, weights)
        codes = [_compact(take(c, rows)) for c in columns.codes]
        total = float((weights[:, None] * targets**2).sum())
        judge = cls(codes, fold, weights, targets, total if total > 0 else 1.0)
        found = [judge.explained([j]) for j in range(len(codes))]
        judge.alone = [gain for _, gain, _ in found]
        table = np.hstack(
            [*(means for means, _, _ in found), columns.context_values[rows].astype(np.float64)]
        )
        judge.without_columns(table)
        return judge

    def without_columns(self, table: _Floats) -> None:
        """Take away what single columns and numbers explain: none of it is a pair's merit.

        Effects that add up under a link, such as the logistic one, look like interactions under
        another, so that the curve from the regression's predictions to the targets goes, too.
        """
        predicted = self.predicted(table)
        self.residual = self.residual - predicted
        n = len(predicted)
        for k in range(predicted.shape[1]):
            ranks = np.argsort(np.argsort(predicted[:, k], kind="stable"), kind="stable")
            bins: Codes = (ranks * _BINS // n).astype(np.int32)
            curve = replace(self, codes=[bins], residual=self.residual[:, k : k + 1])
            self.residual[:, k] -= curve.explained([0])[0][:, 0]
        for j in [*range(len(self.codes))] * _ROUNDS:
            self.residual = self.residual - self.explained([j])[0]

    def named(self, pairs: Sequence[Pair]) -> dict[Pair, float]:
        """Return the gain of each pair beside those before it."""
        return {pair: self._take(pair) for pair in pairs}

    def best(
        self, single: Sequence[int], n: int | None, others: Container[Pair] = ()
    ) -> dict[Pair, float]:
        """Return the `n` pairs that explain most, one after the other; None: the clear ones.

        The `others` are not taken.
        """
        if len(single) > _COLUMNS:
            single = sorted(sorted(single, key=lambda j: -self.alone[j])[:_COLUMNS])
        pairs = [pair for pair in combinations(single, 2) if pair not in others]
        gains = [self.explained(pair)[1] for pair in pairs]
        chosen: dict[Pair, float] = {}
        order = np.argsort([-gain for gain in gains], kind="stable")
        n_near = max(_AGAIN, 2 * (n or 0))
        near = [pairs[k] for k in order[:n_near]]
        bar = float(norm.isf(_CHANCE / max(len(pairs), 1)))
        while near and len(chosen) < (_MOST if n is None else n):
            judged = [self.explained(pair)[1:] for pair in near]
            first = int(np.argmax([gain for gain, _ in judged]))
            gain, errors = judged[first]
            if n is None and (gain < _LEAST or errors < bar):
                break
            pair = near.pop(first)
            chosen[pair] = self._take(pair)
        return chosen

    def _take(self, pair: Pair) -> float:
        """Explain what a pair does, and return how much that is."""
        predicted, gain, _ = self.explained(pair)
        self.residual = self.residual - predicted
        return gain

    def explained(self, columns: Sequence[int]) -> tuple[_Floats, float, float]:
        """Return what one column, or a pair, predicts of the residual out of fold.

        Beside it the share of the targets' variance that this explains, and how many standard
        errors of noise the agreement of both is from zero.
        """
        codes, owners = self._cells(columns)
        n_folds, n_cells = int(self.fold.max()) + 1, int(codes.max(initial=0)) + 1
        weights, at = self.weights[owners], codes * n_folds + self.fold[owners]
        counts = np.bincount(at, weights, minlength=n_cells * n_folds)
        others = _of_others(counts, n_folds) + _PRIOR
        predicted = np.empty_like(self.residual)
        n_items = np.maximum(np.bincount(owners, minlength=len(self.fold)), 1)
        for k in range(self.residual.shape[1]):
            values = weights * self.residual[owners, k]
            sums = np.bincount(at, values, minlength=n_cells * n_folds)
            means = (_of_others(sums, n_folds) / others)[at]
            is_single = len(means) == len(predicted)
            predicted[:, k] = (
                means if is_single else np.bincount(owners, means, len(predicted)) / n_items
            )
        agreement = self.weights * (predicted * self.residual).sum(axis=1)
        size = float((self.weights[:, None] * predicted**2).sum())
        # How far the means can be trusted: those of many small categories less than of few.
        trust = float(np.clip(agreement.sum() / max(size, 1e-300), 0, 1))
        gain = abs(trust * (2 * float(agreement.sum()) - trust * size)) / self.total
        noise = float(np.sqrt((agreement**2).sum()))
        return trust * predicted, gain, float(agreement.sum()) / max(noise, 1e-300)

    def _cells(self, columns: Sequence[int]) -> tuple[NDArray[np.int64], NDArray[np.intp]]:
        """Return a number for each cell, or item of lists, and the row of each."""
        codes = self.codes[columns[0]]
        if isinstance(codes, Lists):
            return codes.items.astype(np.int64), codes.rows
        rows = np.arange(len(self.fold))
        if len(columns) == 1:
            return codes.astype(np.int64), rows
        second = self.codes[columns[1]]
        assert not isinstance(second, Lists)
        keys = codes.astype(np.int64) * (int(second.max(initial=0)) + 1) + second
        return pd.factorize(keys)[0].astype(np.int64), rows

    def predicted(self, table: _Floats) -> _Floats:
        """Return what a ridge regression on a table predicts of the residual, out of fold."""
        mean = np.average(table, axis=0, weights=self.weights)
        spread = np.sqrt(np.average((table - mean) ** 2, axis=0, weights=self.weights))
        table = (table - mean) / np.where(spread > 0, spread, 1.0)
        weighted = table * self.weights[:, None]
        products, sums = weighted.T @ table, weighted.T @ self.residual
        penalty = _RIDGE * np.eye(table.shape[1])
        predicted = np.empty_like(self.residual)
        for f in range(int(self.fold.max()) + 1):
            own = self.fold == f
            left = products - weighted[own].T @ table[own] + penalty
            slopes = np.linalg.solve(left, sums - weighted[own].T @ self.residual[own])
            predicted[own] = table[own] @ slopes
        return predicted


def _of_others(sums: NDArray[Any], n_folds: int) -> _Floats:
    """Return, of sums by cell and fold, those over all other folds."""
    by_cell = sums.reshape(-1, n_folds)
    others: _Floats = (by_cell.sum(axis=1, keepdims=True) - by_cell).reshape(-1)
    return others


def _own_folds(groups: NDArray[Any] | None, n: int, random_state: RandomState) -> NDArray[np.int64]:
    """Draw folds, where the fit has none, that divide no group."""
    if groups is None:
        return (random_state.permutation(n) % _FOLDS).astype(np.int64)
    _, numbers = np.unique(groups, return_inverse=True)
    return (random_state.permutation(int(numbers.max()) + 1) % _FOLDS)[numbers].astype(np.int64)


def _targets(target: Target, rows: NDArray[np.intp], weights: _Floats) -> _Floats:
    """Return centered targets of one unit, one column an output or class."""
    values = target.values[rows].astype(np.float64)
    if target.has_exclusive_classes:
        values = (values == np.arange(target.n_outputs)).astype(np.float64)
    else:
        largest = np.abs(values).max(axis=0)
        values /= np.where(largest > 0, largest, 1.0)  # squares of 1e300 are too large
        values -= np.average(values, axis=0, weights=weights)
        values /= np.maximum(np.sqrt(np.average(values**2, axis=0, weights=weights)), 1e-300)
    values = values - np.average(values, axis=0, weights=weights)
    spread = np.average(values**2, axis=0, weights=weights)
    most = np.sort(np.argsort(-spread, kind="stable")[:_OUTPUTS])
    chosen: _Floats = values[:, most]
    return chosen


def _compact(codes: Codes) -> Codes:
    """Number the table rows that occur from zero."""
    if isinstance(codes, Lists):
        return Lists(pd.factorize(codes.items)[0].astype(np.int32), codes.offsets)
    return pd.factorize(codes)[0].astype(np.int32)
