"""What every job of the speed benchmark needs, in whichever environment it runs.

Only NumPy, pandas and the standard library are imported: old versions of other packages, and none
of ours, may be all there is.
"""

from __future__ import annotations

import ctypes
import gc
import json
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pandas as pd

COLUMNS = ["carrier", "origin", "dest", "tailnum", "month", "hour"]
WIDTHS = [21, 21, 22, 22, 21, 21]
"""Widths of the columns' vectors where 128 numbers a row are asked for."""
LARGE_BATCH = 1024
"""Rows a step where peers are not left to their own default."""


def save_table(path: Path, X: pd.DataFrame, y: np.ndarray) -> None:
    """Write strings and a target so that any version of NumPy and pandas reads them."""
    columns = {name: X[name].fillna("missing").to_numpy(dtype=object).astype(str) for name in X}
    np.savez(path, y=y, **columns)


def load_table(path: str, kind: str = "strings") -> tuple[pd.DataFrame, np.ndarray]:
    """Columns as "strings", of "object" or of "category" dtype, and the target."""
    with np.load(path) as stored:
        y = stored["y"]
        X = pd.DataFrame({name: stored[name].astype(object) for name in stored if name != "y"})
    return X.astype({"strings": str, "object": object, "category": "category"}[kind]), y


def train_and_test(arguments: Mapping[str, Any]) -> tuple[Any, ...]:
    """Training rows, test rows, and their targets."""
    X, y = load_table(arguments["data"])
    n = arguments["n_train"]
    return X[:n], X[n:].reset_index(drop=True), y[:n], y[n:]


def log_loss(y: np.ndarray, probability: np.ndarray) -> float:
    """Mean log-loss of the probabilities of class 1."""
    p = np.clip(np.asarray(probability, dtype=float).ravel(), 1e-7, 1 - 1e-7)
    return float(-np.mean(np.where(y == 1, np.log(p), np.log(1 - p))))


def timed(job: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds that a job takes, and its result."""
    start = time.perf_counter()
    result = job()
    return time.perf_counter() - start, result


def measured(job: Callable[[], Any]) -> tuple[dict[str, float], Any]:
    """Seconds and peak memory of a job, in MB beyond what was in use, and its result."""
    _settle()
    before = _memory_mb("VmRSS")
    seconds, result = timed(job)
    return {"seconds": seconds, "peak_mb": _memory_mb("VmHWM") - before}, result


def one_row_ms(transform: Callable[[pd.DataFrame], Any], X: pd.DataFrame) -> float:
    """Median milliseconds of a transform of a single row."""
    rows = [X[i : i + 1] for i in range(50)]
    for row in rows[:5]:
        transform(row)
    return 1e3 * median(timed(lambda row=row: transform(row))[0] for row in rows)


def main(jobs: Mapping[str, Callable[[dict[str, Any]], dict[str, Any]]]) -> None:
    """Run the job that the command line names; its answer is the last line of the output."""
    name, arguments = sys.argv[1:]
    answer = jobs[name](json.loads(arguments))
    sys.stderr.flush()
    print("\n" + json.dumps(answer), flush=True)


def _settle() -> None:
    """Give free memory back, and forget the peak so far."""
    gc.collect()
    with suppress(OSError, AttributeError):
        # What the allocator kept would otherwise serve the job without being seen.
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    # The process's peak since its start, ru_maxrss, may well be that of reading the data.
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _memory_mb(field: str) -> float:
    """A figure of this process's memory; NaN where there is no /proc."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return float("nan")
    return int(status.split(f"{field}:")[1].split()[0]) * 1024 / 1e6
