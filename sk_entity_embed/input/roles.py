"""Numbers that look like ids, and embedded numbers that look like quantities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sk_entity_embed.exceptions import ColumnRoleWarning
from sk_entity_embed.input.lists import Lists
from sk_entity_embed.input.messages import warn
from sk_entity_embed.input.selection import is_whole
from sk_entity_embed.input.table import Table
from sk_entity_embed.input.target import Target

_LEAST_ROWS = 100
_LEAST_VALUES = 50  # Fewer values the network tells apart by the number.
_PRIOR = 2.0  # Rows' worth of caution about the effects of embedded categories.
_NAMES = 5  # Columns that a message names.
_OUTPUTS = 4  # Outputs, or most frequent classes, that are looked at.


def looks_like_ids(values: NDArray[np.float64], y: NDArray[np.float64]) -> bool:
    """Whether many values of a column repeat, and each has a target of its own."""
    codes, levels = _known(values)
    n, n_values = len(codes), len(levels)
    if n < _LEAST_ROWS or n_values < _LEAST_VALUES or n < 3 * n_values:
        return False
    # Counts and amounts have many zeros, and quantities are rounded.
    if np.bincount(codes).max() >= 0.5 * n or (levels % 5 == 0).mean() >= 0.5:
        return False
    tells, nearby, trend = _pattern(codes, y[~np.isnan(values)])
    return tells and nearby < 0.3 and trend < 0.1


def why_quantity(values: NDArray[np.float64], y: NDArray[np.float64]) -> str | None:
    """Reason why single values have too few rows to learn from; None where they have enough."""
    codes, levels = _known(values)
    n, n_values = len(codes), len(levels)
    if n < _LEAST_ROWS:
        return None
    if n < 1.5 * n_values:
        return "hardly any value repeats, so each has little to learn from"
    if n < 10 * n_values and n_values > 1:
        tells, nearby, _ = _pattern(codes, y[~np.isnan(values)])
        if tells and nearby >= 0.5:
            return "few rows share a value, and values near it tell as much"
    return None


def _known(values: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Position of each value that is not missing among the distinct ones, and these in order."""
    codes, levels = pd.factorize(values[~np.isnan(values)], sort=True)
    return codes, levels


def _pattern(codes: NDArray[np.intp], y: NDArray[np.float64]) -> tuple[bool, float, float]:
    """Measure how a target, of shape (n_samples, n_outputs), goes with a column's values.

    The first result is whether the values tell of the target beyond doubt, by the intraclass
    correlation. The others are how much of that the two next values on either side tell, and how
    much a straight line through the ranks: about 0 for ids, which are numbered without order.
    """
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
    tells = bool(within >= 0.02 and within >= 8 * chance)
    return tells, float(nearby / within) if tells else 0.0, float(trend / within) if tells else 0.0


def check_roles(
    selection: Any,
    table: Table,
    categorical: Sequence[int],
    context: Sequence[int],
    codes: Sequence[NDArray[np.integer[Any]] | Lists],
    target: Target,
) -> None:
    """Warn of columns of numbers for which "auto" may have chosen the wrong role.

    `selection` is `categorical_features`; `codes` are those of the embedded columns, from 0.
    """
    if not (isinstance(selection, str) and selection == "auto"):
        return
    y = _outputs(target)
    embedded = [table.columns[j] for j in categorical if table.columns[j].kind == "number"]
    reasons = (
        (c, "fractions" if c.holds_fractions else why_quantity(c.to_numbers(), y)) for c in embedded
    )
    if found := [f"{c.name!r} ({why})" for c, why in reasons if why]:
        warn(
            "X has only numbers, which categorical_features='auto' embeds value by value, but some "
            f"look like quantities: {_some(found)}. Name the columns to embed in "
            "`categorical_features`: the others are context. 'all' embeds all without a warning.",
            ColumnRoleWarning,
        )
    numbers = [table.columns[j] for j in context if is_whole(table.columns[j])]
    rest = _remainder(y, codes) if numbers else y
    if ids := [repr(c.name) for c in numbers if looks_like_ids(c.to_numbers(), rest)]:
        warn(
            "categorical_features='auto' takes numbers for quantities, but some look like ids: "
            f"{_some(ids)} (the target differs from value to value, without any order). Name the "
            "columns to embed in `categorical_features`, with or without these.",
            ColumnRoleWarning,
        )


def _remainder(
    y: NDArray[np.float64], codes: Sequence[NDArray[np.integer[Any]] | Lists]
) -> NDArray[np.float64]:
    """The target less what embedded columns tell: a year is not an id where movies are known."""
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
