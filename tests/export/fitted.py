"""Estimators of dot products and of lists, which several export tests share."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sk_entity_embed import EntityEmbeddingRegressor
from tests.samples import make_encoder, make_rows

POOLINGS = ("mean", "sum", "max", "gru")

LISTS: dict[str, list[list[Any] | None]] = {
    "mean": [["a", "b"], [], None, ["b"], ["c", None, "a"]],
    "sum": [[3, 1], [2], [3, 3, 3], [], [1]],
    "max": [["x"], ["y", "x"], ["x"], ["z", "z"], ["y"]],
    "gru": [[True, False], [None], [False], None, [True, True, False]],
}
"""Cells of columns of lists, each named by how it is pooled; "max" has no empty or missing ones."""


def make_dot(**params: Any) -> Any:
    """A quick regressor of dot products, with predictions within bounds."""
    quick = {"head": "dot", "dimensions": 3, "max_iter": 1, "random_state": 0, "y_range": (-9, 9)}
    return EntityEmbeddingRegressor(**{**quick, **params})


def make_list_rows(n: int = 120) -> tuple[pd.DataFrame, NDArray[np.float64]]:
    """A column of each kind of list, one of single values and a number."""
    X, y = make_rows(n)
    for name, cells in LISTS.items():
        X[name] = pd.Series((cells * n)[:n], dtype=object)
    return X[["letter", *LISTS, "size"]], y


def make_new_lists() -> pd.DataFrame:
    """Rows of fit, and lists of unknown and missing items, longer than before, or not there."""
    X = make_list_rows(10)[0]
    new: dict[str, list[Any]] = {
        "mean": [["new"], ["a"] * 9, [None, None], [], None],
        "sum": [[9, 9], [1, 2, 3] * 5, [], None, [None, 1]],
        "max": [["new", "x"], [], None, ["y", "x", "z"], [None]],
        "gru": [[True] * 20, [], None, [False, None], [True]],
    }
    return pd.concat([X, X[:5].assign(**new)], ignore_index=True)


def make_list_encoder(**params: Any) -> Any:
    """An unfitted encoder for the rows of :func:`make_list_rows`."""
    own = {
        "pooling": {name: name for name in POOLINGS},
        "max_length": {"sum": 2, "gru": 2},
        "dimensions": {"letter": 2, "mean": 3, "sum": 2, "max": 2, "gru": 3},
        "max_iter": 1,
    }
    return make_encoder(**{**own, **params})
