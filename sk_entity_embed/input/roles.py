"""Numbers that look like ids, and embedded numbers that look like quantities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sk_entity_embed.exceptions import ColumnRoleWarning
from sk_entity_embed.input.lists import Lists
from sk_entity_embed.input.messages import warn
from sk_entity_embed.input.selection import is_whole
from sk_entity_embed.input.table import Column, Table
from sk_entity_embed.input.target import Target

_LEAST_ROWS = 100
_LEAST_VALUES = 50  # Fewer values the network tells apart by the number.
_PRIOR = 2.0  # Rows' worth of caution about the effects of embedded categories.
_NAMES = 5  # Columns that a message names.
_OUTPUTS = 4  # Outputs, or most frequent classes, that are looked at.


@dataclass(frozen=True, slots=True)
class Pattern:
    """How a target goes with the values of a column of numbers."""

    n_rows: int
    """Rows in which the column is known."""
    n_values: int
    """Distinct values."""
    top: float
    """Share of the rows with the most frequent value."""
    round: float
    """Share of the values that are multiples of five."""
    within: float
    """Share of the target's variance that rows of one value have in common (the intraclass
    correlation)."""
    certainty: float
    """`within` in standard errors of it under chance."""
    nearby: float
    """How much of `within` the two next values on either side tell: about 0 for ids."""
    trend: float
    """How much of `within` a straight line through the values' ranks tells: about 0 for ids."""

    @property
    def tells(self) -> bool:
        """Whether the values tell something of the target, beyond doubt."""
        return self.within >= 0.02 and self.certainty >= 8

    @property
    def looks_like_ids(self) -> bool:
        """Whether many values repeat, and each has a target of its own."""
        return (
            self.n_rows >= _LEAST_ROWS
            and self.n_values >= _LEAST_VALUES
            and self.n_rows >= 3 * self.n_values
            and self.top < 0.5  # else the other values are counts and amounts beside many zeros
            and self.round < 0.5  # else they are rounded
            and self.tells
            and self.nearby < 0.3
            and self.trend < 0.1
        )

    @property
    def why_quantity(self) -> str | None:
        """Reason why single values have too few rows to learn from; None where they have enough."""
        if self.n_rows < _LEAST_ROWS:
            return None
        if self.n_rows < 1.5 * self.n_values:
            return "hardly any value repeats, so each has little to learn from"
        if self.n_rows < 10 * self.n_values and self.tells and self.nearby >= 0.5:
            return "few rows share a value, and values near it tell as much"
        return None


def pattern(values: NDArray[np.float64], y: NDArray[np.float64]) -> Pattern:
    """Find out how a target, of shape (n_samples, n_outputs), goes with a column of numbers."""
    known = ~np.isnan(values)
    codes, levels = pd.factorize(values[known], sort=True)
    if len(levels) < 2:
        return Pattern(len(codes), len(levels), 1.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    y = y[known]
    y = y - y.mean(axis=0)
    n = np.bincount(codes).astype(np.float64)
    sums = np.stack([np.bincount(codes, column) for column in y.T], axis=1)
    squares = np.bincount(codes, np.einsum("ij,ij->i", y, y))
    total = max(squares.sum(), np.finfo(float).tiny)
    pairs = n > 1
    m = np.where(pairs, n, 2.0)  # of values without a second row nothing is used
    rows = max(n[pairs].sum(), 1.0)
    own = ((sums**2).sum(axis=1) - squares) / (m - 1)
    within = own[pairs].sum() / rows * len(codes) / total
    chance = np.sqrt((2 * m / (m - 1))[pairs].sum()) / rows
    around, n_around = _around(sums), np.maximum(_around(n[:, None]), 1.0)
    nearby = (sums * around / n_around).sum() / total
    ranks = np.cumsum(n) - n / 2
    ranks -= np.average(ranks, weights=n)
    trend = ((ranks @ sums) ** 2).sum() / (n @ ranks**2) / total
    scale = within if within > 0 else np.inf
    return Pattern(
        n_rows=len(codes),
        n_values=len(levels),
        top=n.max() / len(codes),
        round=float((levels % 5 == 0).mean()),
        within=within,
        certainty=within / chance if pairs.any() else 0.0,
        nearby=nearby / scale,
        trend=trend / scale,
    )


def check_roles(
    selection: Any,
    table: Table,
    categorical: Sequence[int],
    context: Sequence[int],
    codes: Sequence[NDArray[np.integer[Any]] | Lists],
    target: Target,
) -> None:
    """Warn of columns of numbers for which "auto" may have chosen the wrong role.

    `selection` is the parameter `categorical_features`; `codes` are the categories of each embedded
    column, from 0.
    """
    if not (isinstance(selection, str) and selection == "auto"):
        return
    y = _outputs(target)
    embedded = [table.columns[j] for j in categorical if table.columns[j].kind == "number"]
    if found := [f"{c.name!r} ({why})" for c in embedded if (why := _quantity(c, y))]:
        warn(
            "X has only numbers, which categorical_features='auto' embeds value by value, but some "
            f"look like quantities: {_some(found)}. Name the columns to embed in "
            "`categorical_features`: the others are context. 'all' embeds all without a warning.",
            ColumnRoleWarning,
        )
    numbers = [table.columns[j] for j in context if is_whole(table.columns[j])]
    rest = _remainder(y, codes) if numbers else y
    if ids := [repr(c.name) for c in numbers if pattern(c.to_numbers(), rest).looks_like_ids]:
        warn(
            "categorical_features='auto' takes numbers for quantities, but some look like ids: "
            f"{_some(ids)} (the target differs from value to value, without any order). Name the "
            "columns to embed in `categorical_features`, with or without these.",
            ColumnRoleWarning,
        )


def _quantity(column: Column, y: NDArray[np.float64]) -> str | None:
    """Reason why an embedded column looks like a quantity; None where it does not."""
    if column.holds_fractions:
        return "fractions"
    return pattern(column.to_numbers(), y).why_quantity


def _remainder(
    y: NDArray[np.float64], codes: Sequence[NDArray[np.integer[Any]] | Lists]
) -> NDArray[np.float64]:
    """The target without what the embedded columns tell of it, one after the other.

    A movie's year looks like an id only as long as the movies of a year have their own effects.
    """
    rest: NDArray[np.float64] = y - y.mean(axis=0)
    for column in codes:
        if isinstance(column, Lists):
            continue
        n = np.bincount(column)
        for values in rest.T:
            values -= (np.bincount(column, values) / (n + _PRIOR))[column]
    return rest


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMES} more" if len(names) > _NAMES else ""
    return ", ".join(names[:_NAMES]) + more


def _outputs(target: Target) -> NDArray[np.float64]:
    """Some outputs, without outliers, or indicators of the most frequent classes."""
    values: NDArray[np.float64] = target.values[:, :_OUTPUTS]
    if target.kind == "multiclass":
        frequent = np.argsort(-np.bincount(target.values[:, 0].astype(np.intp)), kind="stable")
        values = np.equal(target.values, frequent[:_OUTPUTS]).astype(np.float64)
    if target.kind == "continuous":
        some = values[:: max(1, len(values) // 10_000)]
        low, high = np.quantile(some, [0.05, 0.95], axis=0)
        values = np.clip(values, low, high)
    return values


def _around(sums: NDArray[Any]) -> NDArray[Any]:
    """For each value, the sum over the two next values on either side."""
    padded = np.pad(sums, ((2, 2), (0, 0)))
    around: NDArray[Any] = padded[:-4] + padded[1:-3] + padded[3:-1] + padded[4:]
    return around
