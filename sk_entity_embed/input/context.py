"""Numeric context columns: their ranks' normal scores enter the network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from sk_entity_embed.exceptions import InvalidDataError
from sk_entity_embed.input.table import Column

MAX_KNOTS = 1000


@dataclass(frozen=True, slots=True)
class ContextScaling:
    """A monotone, piecewise linear map for each column, and centered missing indicators."""

    knots: tuple[NDArray[np.float64], ...]
    scores: tuple[NDArray[np.float64], ...]  # the network's number at each knot
    missing_shares: NDArray[np.float64]  # of cells in fit, of shape (n_columns,)

    @property
    def n_context(self) -> int:
        """Numbers a row."""
        return len(self.knots) + int(self.flagged.sum())

    @property
    def flagged(self) -> NDArray[np.bool_]:
        """Columns with a missing indicator: those that had missing cells and others in fit."""
        return (self.missing_shares > 0) & (self.missing_shares < 1)

    def apply(self, numbers: NDArray[np.float64]) -> NDArray[np.float32]:
        """Return the network's numbers for values in their own units, missing ones as NaN.

        The result, of shape (n_samples, n_context), has the scores, 0 where missing and the
        outermost ones beyond the range of fit, and then the indicators.
        """
        missing = np.isnan(numbers)
        out = np.empty((len(numbers), self.n_context), dtype=np.float32)
        for j, (knots, scores) in enumerate(zip(self.knots, self.scores, strict=True)):
            out[:, j] = np.where(missing[:, j], 0.0, np.interp(numbers[:, j], knots, scores))
        flagged = self.flagged
        out[:, len(self.knots) :] = missing[:, flagged] - self.missing_shares[flagged]
        return out


def stack_numbers(columns: Sequence[Column], n_samples: int) -> NDArray[np.float64]:
    """Context columns side by side, missing values as NaN; infinite ones are refused."""
    numbers = np.empty((n_samples, len(columns)))
    for j, column in enumerate(columns):
        numbers[:, j] = column.to_numbers()
        if np.isinf(numbers[:, j]).any():
            raise InvalidDataError(
                f"Column {column.name!r} contains infinity; context numbers must be finite or "
                "missing. Clip it or replace it by NaN."
            )
    return numbers


def fit_context(numbers: NDArray[np.float64]) -> ContextScaling:
    """Learn to make standardised normal scores of mid-ranks of numbers.

    Heavy tails do not reach the network, and few values stay at a moderate distance. A column
    without differences, or without values, becomes 0, whatever comes later.

    Source: van der Waerden, "Order tests for the two-sample problem and their power", 1952.
    """
    missing = np.isnan(numbers)
    maps = [_normal_scores(numbers[~missing[:, j], j]) for j in range(numbers.shape[1])]
    return ContextScaling(
        knots=tuple(knots for knots, _ in maps),
        scores=tuple(scores for _, scores in maps),
        missing_shares=missing.mean(axis=0),
    )


def _normal_scores(
    values: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Distinct values, or quantiles of them, and their standardised normal scores."""
    if len(values) == 0:  # of any later value the score is 0
        return np.zeros(1), np.zeros(1)
    ordered = np.sort(values)
    distinct = np.unique(ordered)
    if len(distinct) > MAX_KNOTS:
        places = np.linspace(0, len(ordered) - 1, MAX_KNOTS).astype(np.intp)
        distinct = np.unique(ordered[places])
    below = np.searchsorted(ordered, distinct, side="left")
    up_to = np.searchsorted(ordered, distinct, side="right")
    scores = ndtri((below + up_to) / (2 * len(ordered)))
    seen = np.interp(ordered, distinct, scores)
    width = seen.std()
    return distinct, (scores - seen.mean()) / (width if width > 1e-12 else 1.0)
