"""What tests and doctests share: pictures without a screen, files out of the way."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import pytest
from _pytest.doctest import DoctestItem

os.environ["MPLBACKEND"] = "agg"
# Threads of scikit-learn's boosting wait for each other by spinning: with a worker on each core
# small fits would take ten times as long.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(autouse=True)
def _doctests_write_elsewhere(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files that a documented example writes do not land in the checkout."""
    if isinstance(request.node, DoctestItem):
        monkeypatch.chdir(request.getfixturevalue("tmp_path"))


@pytest.fixture(autouse=True)
def _closed_figures() -> Iterator[None]:
    """Close the figures that a test leaves open."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")
