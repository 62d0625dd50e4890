"""A small table with a column of lists, which the estimators' tests share."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tests.samples import EFFECTS

Rows = tuple[pd.DataFrame, NDArray[np.float64]]


def objects(cells: Any) -> pd.Series:
    """Lists, and None, as a column."""
    return pd.Series(list(cells), dtype=object)


def make_list_rows(n: int = 240, seed: int = 0, *, full: bool = False) -> Rows:
    """Lists of letters, a color, a number, and a target of the mean letter and the others.

    Unless `full`, some lists are empty, some are missing and some hold a missing item.
    """
    random = np.random.default_rng(seed)
    lists: list[list[Any] | None] = [
        random.choice(list(EFFECTS), random.integers(1, 5)).tolist() for _ in range(n)
    ]
    told = np.array([np.mean([EFFECTS[v] for v in cell or "c"]) for cell in lists])
    if not full:
        for i in range(0, n - 8, 12):
            lists[i], lists[i + 4] = [], None
            lists[i + 8] = [*(lists[i + 8] or []), None]
    color = random.choice(["blue", "green", "red"], n)
    size = random.normal(size=n)
    X = pd.DataFrame({"words": objects(lists), "color": color, "size": size})
    return X, 2 * told + (color == "red") + 0.5 * size + 0.1 * random.normal(size=n)


def with_words(X: pd.DataFrame, cells: Any) -> pd.DataFrame:
    """The first rows of a table with other lists."""
    cells = objects(cells)
    return X.iloc[: len(cells)].reset_index(drop=True).assign(words=cells)
