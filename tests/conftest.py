"""Fixtures that all tests share."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.containers import CONTAINERS, make_container
from tests.samples import make_rows


@pytest.fixture(params=CONTAINERS)
def container(request: pytest.FixtureRequest) -> Callable[[dict[str, list[Any]]], Any]:
    """A function from ``{column: values}`` to a table, once for every container."""
    make = partial(make_container, request.param)
    make.name = request.param  # type: ignore[attr-defined]
    return make


@pytest.fixture(scope="module")
def rows() -> tuple[pd.DataFrame, np.ndarray]:
    """A table of 240 rows and its target."""
    return make_rows(240)
