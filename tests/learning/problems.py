"""Small training problems shared by the tests of `learning`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from sk_entity_embed.learning.problem import StartingPoint, TrainingConfig, TrainingRows

N_ROWS = (6, 9)
"""Table rows of the two columns; the first three are reserved and row 0 is unknown."""

WIDTHS = (3, 2)

CONFIG = TrainingConfig(
    loss="squared_error",
    n_outputs=1,
    multiclass=False,
    hidden_layer_sizes=(8,),
    dropout=0.0,
    unknown_rate=0.0,
    learning_rate_init=0.05,
    alpha=0.01,
    batch_size=16,
    max_iter=3,
    early_stopping=True,
    n_iter_no_change=10,
    tol=1e-4,
    device="cpu",
    seed=0,
    verbose=False,
)


def make_config(**changes: Any) -> TrainingConfig:
    """The settings of these tests with some changed."""
    return replace(CONFIG, **changes)


def make_rows(n: int = 60, n_tables: int = 3, **changes: Any) -> TrainingRows:
    """Rows with two columns, one context number and a fifth of them for validation."""
    rng = np.random.default_rng(0)
    codes = np.column_stack([rng.integers(3, m, n) for m in N_ROWS]).astype(np.int32)
    effects = rng.standard_normal(N_ROWS[0])
    rows = TrainingRows(
        codes=codes,
        context=rng.standard_normal((n, 1)).astype(np.float32),
        target=(effects[codes[:, :1]] + 0.1 * rng.standard_normal((n, 1))).astype(np.float32),
        weights=rng.uniform(0.5, 1.5, n).astype(np.float32),
        fold=np.arange(n, dtype=np.int64) % n_tables,
        validation=rng.permutation(n) < n // 5,
        n_tables=n_tables,
    )
    return replace(rows, **changes)


def make_start(n_tables: int = 3, *, same: bool = True, **changes: Any) -> StartingPoint:
    """Normal vectors, the same in all tables of a column or different ones."""
    rng = np.random.default_rng(1)
    tables = [
        rng.standard_normal((1 if same else n_tables, rows, width)).astype(np.float32)
        for rows, width in zip(N_ROWS, WIDTHS, strict=True)
    ]
    tables = [np.repeat(t, n_tables // len(t), axis=0) for t in tables]
    start = StartingPoint(
        tables, [np.zeros(n, dtype=bool) for n in N_ROWS], [True] * len(N_ROWS), None
    )
    return replace(start, **changes)
