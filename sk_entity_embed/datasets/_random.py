"""What the generators share."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from numpy.random import Generator, RandomState
from numpy.typing import NDArray
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval


def at_least(least: int) -> list[Any]:
    """Constraint of a parameter that is a whole number."""
    return [Interval(Integral, least, None, closed="left")]


def make_generator(random_state: int | RandomState | None) -> Generator:
    """NumPy's newer generator from a `random_state` as scikit-learn takes it."""
    seed = check_random_state(random_state).randint(np.iinfo(np.int32).max)
    return np.random.default_rng(seed)


def popularity(n: int, random: Generator, power: float = 0.8) -> NDArray[np.float64]:
    """Shares of `n` things of which few are much more popular than most, in random order."""
    shares = random.permutation(np.arange(1, n + 1, dtype=np.float64) ** -power)
    scaled: NDArray[np.float64] = shares / shares.sum()
    return scaled


def number_names(prefix: str, n: int) -> NDArray[np.object_]:
    """Names such as "user_007", in alphabetical order."""
    width = len(str(n - 1))
    return np.array([f"{prefix}_{i:0{width}d}" for i in range(n)], dtype=object)


def draw_distinct(log_weights: NDArray[np.float64], n: int, random: Generator) -> NDArray[np.intp]:
    """Positions of `n` different cells of the last axis, drawn in proportion to their weights.

    The largest sums of log-weight and Gumbel noise are a sample without replacement.
    """
    keys = log_weights + random.gumbel(size=log_weights.shape)
    drawn: NDArray[np.intp] = np.argpartition(-keys, n - 1, axis=-1)[..., :n]
    return drawn
