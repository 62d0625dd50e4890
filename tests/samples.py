"""Small tables and quick encoders that the encoder's tests share."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

import sk_entity_embed.learning.learn as learning
from sk_entity_embed import EntityEmbeddingEncoder
from sk_entity_embed.fitting import options

EFFECTS = {"a": -2.0, "b": -1.0, "c": 0.0, "d": 1.0, "e": 2.0}
"""What each level of the column "letter" adds to the target of :func:`make_rows`."""


MIXED = {
    "text": ["b", "", "ü漢", None, "b"],
    "integer": [3, -1, 2, 3, 3],
    "gappy": [3, None, 2, 3, 3],
    "real": [0.5, None, -2.0, 0.5, 1e300],
    "flag": [True, False, None, True, True],
}
"""A column of each kind, three of them with missing cells."""


def make_rows(n: int = 240, seed: int = 0) -> tuple[pd.DataFrame, NDArray[np.float64]]:
    """Two categorical columns, a number, and a continuous target that needs all three."""
    random = np.random.default_rng(seed)
    letter = random.choice(list(EFFECTS), n)
    color = random.choice(["blue", "green", "red"], n)
    size = random.normal(size=n)
    X = pd.DataFrame({"letter": letter, "color": color, "size": size})
    y = np.array([EFFECTS[v] for v in letter]) + (color == "red") + 0.5 * size
    return X, y + 0.1 * random.normal(size=n)


def make_encoder(**params: Any) -> EntityEmbeddingEncoder:
    """An encoder of a small network, trained for two epochs unless told otherwise.

    Everything that is tuned now and then is set here, so that no test depends on a default.
    """
    small = {
        "hidden_layer_sizes": (4,),
        "max_iter": 2,
        "dropout": 0.1,
        "unknown_rate": 0.02,
        "learning_rate_init": 5e-3,
        "alpha": 1e-2,
        "n_iter_no_change": 4,
        "interactions": None,
        "random_state": 0,
    }
    return EntityEmbeddingEncoder(**{**small, **params})


def head_of_fold(head: Any, fold: int) -> Any:
    """The head that serves a fold alone, where there are several; else that of all folds."""
    if not head.cross_fits or head.n_heads == 1:
        return head
    k = serving(head, fold)
    parts = (tuple(a[k : k + 1] for a in part) for part in (head.weights, head.biases))
    return type(head)(*parts)


def serving(head: Any, fold: Any) -> Any:
    """The number of the head that serves a fold, or several."""
    return fold if head.folds is None else head.folds[fold]


def of_own_heads(
    ask: str, head: Any, vectors: NDArray[Any], context: NDArray[Any], fold: NDArray[Any]
) -> NDArray[np.float64]:
    """What `raw` or `hidden` of each row's own head gives, a row at a time."""
    answers = [
        getattr(head_of_fold(head, k), ask)(vectors[[i]], context[[i]]) for i, k in enumerate(fold)
    ]
    own = np.concatenate(answers)
    if ask == "raw" or head.shift is None:
        return own
    return own + head.shift[serving(head, fold)]


def set_heads(patch: pytest.MonkeyPatch, n_heads: int) -> None:
    """Give fits of a few rows so many heads at most, as fits of many rows have."""
    patch.setattr(options, "_HEADS", ((0, n_heads),))


class Watched(NamedTuple):
    """A training: what it is given, and the tables of all columns before and after it."""

    rows: Any
    start: Any
    config: Any
    before: list[NDArray[np.float32]]
    after: list[NDArray[np.float32]]


def watch_training(fit: Callable[[], Any], *, run: bool = True) -> Watched:
    """The training within `fit`; where it is not to run, the tables after it are empty."""
    watched: list[Watched] = []
    original = learning.learn

    def spy(tables: Any, *args: Any) -> Any:
        watched.append(Watched(*args[:3], [table.copy() for table in tables], []))
        if not run:
            raise _NotRunError
        result = original(tables, *args)
        watched[0].after.extend(table.copy() for table in tables)
        return result

    with pytest.MonkeyPatch.context() as patch, suppress(_NotRunError):
        patch.setattr(learning, "learn", spy)
        fit()
    (found,) = watched
    return found


def watch_learning(fit: Callable[[], Any]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Tables of all columns before and after the training within `fit`."""
    watched = watch_training(fit)
    return watched.before, watched.after


class _NotRunError(Exception):
    """Ends a fit before it trains."""
