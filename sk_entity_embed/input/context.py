"""Numeric context columns: what enters the network is piecewise linear in the number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from sk_entity_embed.exceptions import InvalidDataError
from sk_entity_embed.input.table import Column

MAX_KNOTS = 1000
N_BINS = 16
"""Bins of a number, between quantiles, beside its normal score."""
BIN_WEIGHT = 0.5
"""Length of a bin's full share: a normal score has a standard deviation of one."""
FEW_VALUES = 20
"""Numbers of fewer distinct values lie within one of zero, so that rare ones are no outliers."""


@dataclass(frozen=True, slots=True)
class ContextScaling:
    """Piecewise linear maps for each column, and centered missing indicators.

    `scores` are the network's numbers at the `knots` of each column, of shape (n_knots, n_numbers).
    """

    knots: tuple[NDArray[np.float64], ...]
    scores: tuple[NDArray[np.float64], ...]
    missing_shares: NDArray[np.float64]  # of cells in fit, of shape (n_columns,)

    @property
    def n_context(self) -> int:
        """Numbers a row."""
        return int(sum(s.shape[1] for s in self.scores) + self.flagged.sum())

    @property
    def varying(self) -> list[slice]:
        """Where among the network's numbers those of each column are, if they vary."""
        ends = np.cumsum([s.shape[1] for s in self.scores], dtype=int).tolist()
        return [
            slice(end - scores.shape[1], end)
            for end, scores in zip(ends, self.scores, strict=True)
            if np.ptp(scores[:, 0]) > 0
        ]

    @property
    def flagged(self) -> NDArray[np.bool_]:
        """Columns with a missing indicator: those that had missing cells and others in fit."""
        return (self.missing_shares > 0) & (self.missing_shares < 1)

    def apply(self, numbers: NDArray[np.float64]) -> NDArray[np.float32]:
        """Return the network's numbers for values in their own units, missing ones as NaN.

        The result, of shape (n_samples, n_context), has the scores of each column, 0 where missing
        and the outermost ones beyond the range of fit, and then the indicators.
        """
        missing = np.isnan(numbers)
        out = np.empty((len(numbers), self.n_context), dtype=np.float32)
        end = 0
        for j, (knots, scores) in enumerate(zip(self.knots, self.scores, strict=True)):
            start, end = end, end + scores.shape[1]
            values = np.where(missing[:, j], knots[0], numbers[:, j])
            out[:, start:end] = _interpolate(values, knots, scores)
            out[missing[:, j], start:end] = 0.0
        flagged = self.flagged
        out[:, end:] = missing[:, flagged] - self.missing_shares[flagged]
        return out


def slopes(knots: NDArray[np.float64], scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the slopes after each knot, by the arithmetic of :func:`numpy.interp`."""
    with np.errstate(over="ignore"):
        after = np.diff(scores, axis=0) / np.diff(knots)[:, None]
    after = np.where(np.isfinite(after), after, 0.0)  # knots too near for numbers between them
    return np.concatenate([after, np.zeros((1, scores.shape[1]))])


def _interpolate(
    values: NDArray[np.float64], knots: NDArray[np.float64], scores: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Do as :func:`numpy.interp` for several functions of shape (n_knots, n_functions) at once."""
    values = np.clip(values, knots[0], knots[-1])
    at = np.searchsorted(knots, values, side="right") - 1
    beyond = (values - knots[at])[:, None]
    between: NDArray[np.float64] = slopes(knots, scores)[at] * beyond + scores[at]
    return between


def finite_numbers(column: Column) -> NDArray[np.float64]:
    """The numbers of a context column, missing values as NaN; infinite ones are refused."""
    numbers = column.to_numbers()
    if np.isinf(numbers).any():
        raise InvalidDataError(
            f"Column {column.name!r} contains infinity; context numbers must be finite or "
            "missing. Clip it or replace it by NaN."
        )
    return numbers


def stack_numbers(columns: Sequence[Column], n_samples: int) -> NDArray[np.float64]:
    """Context columns side by side, missing values as NaN; infinite ones are refused."""
    numbers = np.empty((n_samples, len(columns)))
    for j, column in enumerate(columns):
        numbers[:, j] = finite_numbers(column)
    return numbers


def fit_context(numbers: NDArray[np.float64]) -> ContextScaling:
    """Learn to make standardised normal scores of mid-ranks of numbers, and shares of their bins.

    Heavy tails do not reach the network. Columns of few values are shrunk until the farthest one
    is at a distance of one. Those of three values or more are cut at quantiles, too, and each bin
    gives the share of it that a number has passed, from 0 below to 1 above, centered. A column
    without differences, or without values, becomes 0, whatever comes later.

    Sources: van der Waerden, "Order tests for the two-sample problem and their power", 1952;
    Gorishniy et al., "On embeddings for numerical features in tabular deep learning", 2022.
    """
    missing = np.isnan(numbers)
    maps = [_scores(numbers[~missing[:, j], j]) for j in range(numbers.shape[1])]
    return ContextScaling(
        knots=tuple(knots for knots, _ in maps),
        scores=tuple(scores for _, scores in maps),
        missing_shares=missing.mean(axis=0),
    )


def _scores(
    values: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return distinct values, or quantiles of them, and the network's numbers there."""
    if len(values) == 0:  # of any later value the score is 0
        return np.zeros(1), np.zeros((1, 1))
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
    scores = (scores - seen.mean()) / (width if width > 1e-12 else 1.0)
    if len(distinct) < FEW_VALUES:
        scores /= max(1.0, np.abs(scores).max())
    return distinct, np.column_stack([scores, *_bins(ordered, distinct)])


def _bins(ordered: NDArray[np.float64], knots: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Return how far the knots have come through each bin, centered over the values."""
    distinct, counts = np.unique(ordered, return_counts=True)
    # A value of many rows counts for one bin, so that bins are left for the others.
    below = np.cumsum(np.minimum(counts, len(ordered) / N_BINS))
    places = np.searchsorted(below, np.linspace(0, below[-1], N_BINS + 1)[1:-1])
    edges = distinct[np.unique([0, *places, len(distinct) - 1])]
    if len(edges) < 3:
        return []
    bins = []
    for low, high in pairwise(edges):
        share = np.clip(knots, low, high)
        share = (share / 2 - low / 2) / (high / 2 - low / 2)  # halves, for the sake of 1e308
        bins.append(BIN_WEIGHT * (share - np.interp(ordered, knots, share).mean()))
    return bins
