"""Small training problems shared by the tests of `learning`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from types import SimpleNamespace
from typing import Any, TypeAlias

import numpy as np

from sk_entity_embed.input.lists import Lists, offsets_of
from sk_entity_embed.learning.learn import learn
from sk_entity_embed.learning.problem import StartingPoint, TrainingConfig, TrainingRows
from sk_entity_embed.model.heads import DotHead, Head, MLPHead
from sk_entity_embed.model.losses import Link, Scale, SquaredError
from sk_entity_embed.model.poolings import POOLINGS, Pooling

N_ROWS = (6, 9)
"""Table rows of the two columns; the first three are reserved and row 0 is unknown."""

WIDTHS = (3, 2)

CONFIG = TrainingConfig(
    head=MLPHead,
    poolings=(None, None),
    loss=SquaredError(),
    link=Link(),
    scale=Scale(np.zeros(1), np.ones(1)),
    n_outputs=1,
    n_heads=3,
    hidden_layer_sizes=(8,),
    dropout=0.0,
    unknown_rate=0.0,
    learning_rate_init=0.05,
    alpha=0.01,
    batch_size=16,
    max_iter=3,
    min_iter=0,
    early_stopping=True,
    n_iter_no_change=10,
    tol=1e-4,
    device="cpu",
    seed=0,
    verbose=False,
)


@dataclass(frozen=True)
class Start:
    """Tables, and all else that training starts from."""

    tables: Sequence[np.ndarray]
    fixed: Sequence[np.ndarray]
    shrinks: Sequence[bool]
    head: Head | None = None
    poolings: Sequence[Pooling | None] = (None, None)

    @property
    def point(self) -> Start:
        """What training takes beside the tables."""
        return StartingPoint(*map(tuple, (self.fixed, self.shrinks)), self.head, self.poolings)


def fit(rows: TrainingRows, start: Start, config: TrainingConfig) -> SimpleNamespace:
    """Train copies of the tables; what was learned, the tables among it."""
    tables = [table.copy() for table in start.tables]
    result = learn(tables, rows, start.point, config)
    return SimpleNamespace(
        tables=tables, **{f.name: getattr(result, f.name) for f in fields(result)}
    )


def make_config(**changes: Any) -> TrainingConfig:
    """The settings of these tests, of three heads, with some changed."""
    return replace(CONFIG, **changes)


def make_rows(n: int = 60, n_tables: int = 3, **changes: Any) -> TrainingRows:
    """Rows with two columns, one context number and a fifth of them for validation.

    These are withheld where there is a single table.
    """
    rng = np.random.default_rng(0)
    codes = [rng.integers(3, m, n).astype(np.int32) for m in N_ROWS]
    effects = rng.standard_normal(N_ROWS[0])
    rows = TrainingRows(
        codes=codes,
        context=rng.standard_normal((n, 1)).astype(np.float32),
        target=(effects[codes[0]][:, None] + 0.1 * rng.standard_normal((n, 1))).astype(np.float32),
        weights=rng.uniform(0.5, 1.5, n).astype(np.float32),
        fold=np.arange(n, dtype=np.int64) % n_tables,
        validation=(validation := rng.permutation(n) < n // 5),
        withheld=validation & (n_tables == 1),
        n_tables=n_tables,
        n_rows=N_ROWS,
    )
    return replace(rows, **changes)


def make_lists(first: np.ndarray, longest: int = 4, seed: int = 2) -> Lists:
    """Lists of one item or more of column 0, each beginning with a given one."""
    rng = np.random.default_rng(seed)
    offsets = offsets_of(rng.integers(1, longest + 1, len(first)))
    items = rng.integers(3, N_ROWS[0], offsets[-1]).astype(np.int32)
    items[offsets[:-1]] = first
    return Lists(items, offsets)


def make_start(
    n_tables: int = 3, *, same: bool = True, widths: Sequence[int] = WIDTHS, **changes: Any
) -> Start:
    """Normal vectors, the same in all tables of a column or different ones."""
    rng = np.random.default_rng(1)
    tables = [
        rng.standard_normal((1 if same else n_tables, rows, width)).astype(np.float32)
        for rows, width in zip(N_ROWS, widths, strict=True)
    ]
    tables = [np.repeat(t, n_tables // len(t), axis=0) for t in tables]
    fixed = [np.zeros(rows, dtype=bool) for rows in N_ROWS]
    return replace(Start(tables, fixed, [True, True]), **changes)


Problem: TypeAlias = tuple[TrainingRows, Start, TrainingConfig]

KINDS = ("plain", "mean", "max", "gru", "dot_sum")
"""Every head and way of pooling once; a way of pooling makes column 0 one of lists."""


def make_problem(
    kind: str, n_tables: int = 3, *, same: bool = True, n: int = 60, **settings: Any
) -> Problem:
    """Rows, start and settings of a small problem under a head and a way of pooling.

    Validation rows are withheld where a head or a pooling learns from all folds.
    """
    rows = make_rows(n, n_tables)
    way = kind.removeprefix("dot").removeprefix("_")
    way = None if way in ("", "plain") else way
    if way is not None:
        rows = replace(rows, codes=[make_lists(rows.codes[0]), rows.codes[1]])
    head = DotHead if kind.startswith("dot") else MLPHead
    if not head.cross_fits or (way is not None and POOLINGS[way].learns):
        rows = replace(rows, withheld=rows.validation)
    config = make_config(
        head=head,
        poolings=(POOLINGS.get(way), None),
        **{"n_heads": n_tables if head.cross_fits else 1, **settings},
    )
    widths = (3, 3) if head.biased else WIDTHS
    return rows, make_start(n_tables, same=same, widths=widths), config
