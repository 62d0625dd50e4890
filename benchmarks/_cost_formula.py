"""What a fit costs: sums of things counted beforehand, times what each of them took when measured.

Everything is counted from the table's size and the estimator's defaults, by the functions that the
fit itself uses, so that a change of defaults changes the counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from sk_entity_embed import EntityEmbeddingClassifier
from sk_entity_embed.fitting.interactions import _COLUMNS, _ROWS
from sk_entity_embed.fitting.options import max_iter, resolve_dimensions, rows_a_step
from sk_entity_embed.learning.problem import parts_of_pass
from sk_entity_embed.model.heads import HEADS

RESERVED = 3  # rows of a table beside those of categories
FACTOR = 2.0
"""Times that a prediction may be off."""


@dataclass(frozen=True, slots=True)
class Size:
    """A table and a fit: rows, levels of each column, and iterations, None for the default's."""

    n_rows: int
    levels: tuple[int, ...]
    epochs: int | None = None

    @classmethod
    def even(cls, n_rows: int, n_columns: int, n_levels: int, epochs: int | None = None) -> Size:
        """Return the size of a table whose columns have equal numbers of levels."""
        return cls(n_rows, (n_levels,) * n_columns, epochs)

    def __str__(self) -> str:
        few, many = min(self.levels), max(self.levels)
        levels = f"{few:,}" if few == many else f"{few:,} to {many:,}"
        return f"{self.n_rows:,} x {len(self.levels)} x {levels}, epochs {self.epochs or 'default'}"


Counts = Mapping[str, float]


def counts(size: Size) -> tuple[Counts, Counts]:
    """Return what makes up a fit's seconds, and its megabytes."""
    defaults: dict[str, Any] = EntityEmbeddingClassifier().get_params()
    n, n_columns = size.n_rows, len(size.levels)
    batch_size = rows_a_step(defaults["batch_size"], n)
    given = defaults["max_iter"] if size.epochs is None else size.epochs
    kinds = [HEADS[defaults["head"]]]
    iterations = max_iter(given, n, max(size.levels), batch_size, kinds)
    epochs = iterations / parts_of_pass(n)
    steps = epochs * -(-n // batch_size)
    names = [f"column{j}" for j in range(n_columns)]
    widths = resolve_dimensions(defaults["dimensions"], names, size.levels)
    n_tables = 5 if defaults["cross_fit"] else 1
    numbers = n_tables * sum(
        (n + RESERVED) * width for n, width in zip(size.levels, widths, strict=True)
    )
    judged = min(n_columns, _COLUMNS)
    pair_rows = min(n, _ROWS) * judged * (judged - 1) / 2
    seconds = {
        "a fit": 1.0,
        "a pair of columns judged on 10,000 rows": pair_rows / 1e4,
        "a million cells read": n * n_columns / 1e6,
        "a thousand steps": steps / 1e3,
        "a thousand steps, for each column": steps * n_columns / 1e3,
        "a million rows learned from": epochs * n / 1e6,
        "a million cells learned from": epochs * n * n_columns / 1e6,
        "a million numbers of tables": numbers / 1e6,
        "a million numbers of tables, each iteration": iterations * numbers / 1e6,
    }
    megabytes = {
        "a fit": 1.0,
        "a million rows": n / 1e6,
        "a million cells": n * n_columns / 1e6,
        "a million numbers of tables": numbers / 1e6,
        "a million levels": sum(size.levels) / 1e6,
    }
    return seconds, megabytes


def fitted(counted: Sequence[Counts], measured: Sequence[float]) -> Counts:
    """Return the price of each thing counted: non-negative least squares of relative errors."""
    matrix, totals = _matrix(counted), np.asarray(measured, dtype=float)
    prices, _ = nnls(matrix / totals[:, None], np.ones(len(totals)))
    return dict(zip(counted[0], prices.tolist(), strict=True))


def predicted(prices: Counts, counted: Counts) -> float:
    """Return the sum of the things counted times their prices."""
    return sum(prices[name] * n for name, n in counted.items())


def left_out(counted: Sequence[Counts], measured: Sequence[float]) -> list[float]:
    """Return the prediction of each measurement by a formula fitted to all others."""
    out = []
    for i in range(len(measured)):
        others = [j for j in range(len(measured)) if j != i]
        prices = fitted([counted[j] for j in others], [measured[j] for j in others])
        out.append(predicted(prices, counted[i]))
    return out


def off(prediction: float, measurement: float) -> float:
    """Return how many times too large or too small a prediction is, at least 1."""
    small, large = sorted((prediction, measurement))
    return large / small if small > 0 else float("inf")


def _matrix(counted: Sequence[Counts]) -> NDArray[np.float64]:
    return np.array([list(c.values()) for c in counted])
