"""Whether generated data are the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


def assert_reproducible(make: Callable[..., Any]) -> None:
    """Equal seeds give equal data in all parts, other seeds other data."""
    first, second, other = (make(random_state=seed) for seed in (5, 5, 6))
    assert set(first) == set(second)
    assert all(part.equals(second[name]) for name, part in first.items())
    assert not all(part.equals(other[name]) for name, part in first.items())
    state = np.random.RandomState(5)
    again = make(random_state=state)
    assert all(part.equals(again[name]) for name, part in first.items())
