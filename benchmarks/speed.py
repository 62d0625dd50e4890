"""Speed and memory against peers, on the same data in one run, and against what is to be reached.

- Fit on New York flights, 260,000 rows and 6 string columns, late or not: time, test log-loss,
  memory; time to embedding-encoder's best test log-loss; an epoch's share of the rate that the
  machine's matrix products allow.
- The first fit of a fresh process, 1,000 rows, from before the first import on.
- Transform of 1,000,000 rows to 128 float32 numbers: time, one row, memory.
- Growth with rows and categories. GridSearchCV with two processes.

Every measurement is a process of its own; jobs that are compared run in turn, and medians count.
Peers whose versions clash with ours get environments of their own, made once in the folder given
by ``--environments``. Without a way to install one, its lines are "not measured".

Run it with ``python benchmarks/speed.py [--quick] [--rows N] [--environments FOLDER]``. ``--quick``
takes smaller tables and leaves embedding-encoder, with its TensorFlow, pytorch-tabular
and grid search out.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

from _common import RESULTS, load_flights, run_job, write_results
from _environments import (
    EMBEDDING_ENCODER,
    PYTORCH_TABULAR,
    SKORCH,
    Environment,
    EnvironmentUnavailable,
    python_of,
)
from _speed_common import COLUMNS, LARGE_BATCH, save_table
from _speed_report import (
    DEFAULT,
    LARGE,
    NotMeasuredError,
    best_rival_loss,
    judge,
    print_report,
    save_figure,
)

HERE = Path(__file__).resolve().parent
LIMIT = 3600  # seconds a job
ALONE = 3  # runs at most of what is compared with no peer: growth, and grid search
FIRST_ROWS = 1_000  # of the first fit of a process
BYTES_A_ROW = 1_200  # of memory, at the most, of a fit of six columns with its data


@dataclass(frozen=True, slots=True)
class Sizes:
    """Rows of the measurements, numbers of categories, and kinds of columns beside strings."""

    fit: int = 260_000
    transform: int = 1_000_000
    grid: int = 30_000
    grid_epochs: int = 10
    epoch: tuple[int, ...] = (10_000, 100_000, 1_000_000, 10_000_000)
    levels: tuple[int, ...] = (1_000, 30_000, 1_000_000)
    step: int = 2_000_000
    transform_rows: tuple[int, ...] = (100_000, 300_000, 1_000_000, 3_000_000)
    transform_levels: int = 1_000_000
    kinds: tuple[str, ...] = ("category", "object")


QUICK = Sizes(
    fit=30_000,
    transform=200_000,
    grid=0,  # so short a search would time little but the start of processes
    epoch=(10_000, 30_000, 100_000),
    levels=(1_000, 100_000),
    step=200_000,
    transform_rows=(30_000, 100_000, 300_000),
    transform_levels=200_000,
    kinds=("category",),
)


@dataclass(frozen=True, slots=True)
class Job:
    """A measurement: a job of a script, its arguments, and the environment that it needs."""

    script: str
    name: str
    arguments: Mapping[str, Any]
    environment: Environment | None = None


def scaled(sizes: Sizes, n_rows: int) -> Sizes:
    """Sizes with `n_rows` rows to fit, and all other rows and categories in proportion."""
    kept = {"grid_epochs": sizes.grid_epochs, "kinds": sizes.kinds}

    def scale(size: Any) -> Any:
        if isinstance(size, tuple):
            return tuple(map(scale, size))
        return max(200, round(size * n_rows / sizes.fit)) if size else 0

    return Sizes(**kept, **{k: scale(v) for k, v in asdict(sizes).items() if k not in kept})


class Bench:
    """Runs jobs in processes of their own.

    Parameters
    ----------
    repeats : int
        Runs of each job.
    environments : Path
        Where environments are kept.
    left_out : dict
        Names of environments not to be used, and why.
    """

    def __init__(self, repeats: int, environments: Path, left_out: Mapping[str, str]) -> None:
        self.repeats, self.environments = repeats, environments
        self.failures = dict(left_out)

    def alternate(
        self, jobs: Mapping[str, Job], most: int | None = None
    ) -> dict[str, dict[str, Any]]:
        """Medians of what each job measures; all run in turn, `repeats` times or `most`."""
        runs: dict[str, list[dict[str, Any]]] = {name: [] for name in jobs}
        failed: dict[str, str] = {}
        repeats = self.repeats if most is None else min(most, self.repeats)
        for i in range(repeats):
            for name, job in jobs.items():
                if name in failed:
                    continue
                print(f"  {i + 1}/{repeats} {job.name}: {name}", file=sys.stderr, flush=True)
                try:
                    runs[name].append(self.run(job, seed=i))
                except (RuntimeError, subprocess.TimeoutExpired) as error:
                    failed[name] = str(error)
        return {n: {"failed": failed[n]} if n in failed else medians(runs[n]) for n in jobs}

    def run(self, job: Job, seed: int) -> dict[str, Any]:
        """What a job answers.

        Raises
        ------
        RuntimeError
            If it fails, or its environment is not to be had.
        """
        command = [self._python(job.environment), str(HERE / job.script)]
        return run_job(command, job.name, {"seed": seed, **job.arguments}, LIMIT)

    def _python(self, environment: Environment | None) -> str:
        if environment is None:
            return sys.executable
        name = environment.name
        if name not in self.failures:
            try:
                return str(python_of(environment, self.environments))
            except EnvironmentUnavailable as error:
                self.failures[name] = f"its environment cannot be made: {error}"
        raise RuntimeError(self.failures[name])


def medians(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Median of every number; of anything else, the first run's."""
    first = runs[0]
    return {
        k: median(run[k] for run in runs) if isinstance(v, int | float) else v
        for k, v in first.items()
    }


def ours(name: str, **arguments: Any) -> Job:
    return Job("_speed_jobs.py", name, arguments)


def peer(name: str, environment: Environment, **arguments: Any) -> Job:
    return Job("_speed_peers.py", name, arguments, environment)


def measure_fits(bench: Bench, sizes: Sizes, folder: Path) -> dict[str, Any]:
    """Fits of all, the time to the rival's best log-loss, an epoch's efficiency, grid search."""
    data = {"data": flights(folder / "fit.npz", sizes.fit + sizes.fit // 4), "n_train": sizes.fit}
    figures: dict[str, Any] = {}
    figures["fit"] = bench.alternate(
        {
            "ours": ours("fit", **data),
            LARGE: peer("fit_embedding_encoder", EMBEDDING_ENCODER, batch_size=LARGE_BATCH, **data),
            DEFAULT: peer("fit_embedding_encoder", EMBEDDING_ENCODER, **data),
            "skorch": peer("fit_skorch", SKORCH, **data),
            "pytorch-tabular": peer("fit_pytorch_tabular", PYTORCH_TABULAR, **data),
            **{
                name: ours("peer_fit", encoder=name, **data)
                for name in ("TargetEncoder", "OrdinalEncoder", "category_encoders")
            },
        }
    )
    try:
        target = best_rival_loss(figures)
        figures["reach"] = bench.alternate({"ours": ours("reach", target=target, **data)})
    except NotMeasuredError as error:
        figures["reach"] = {"ours": {"failed": str(error)}}
    figures["efficiency"] = bench.alternate({"ours": ours("efficiency", **data)})
    first = Job("_speed_first.py", "first_fit", {"n_rows": FIRST_ROWS})
    figures["first fit"] = bench.alternate({"ours": first})
    searched = {**data, "n_train": sizes.grid, "max_iter": sizes.grid_epochs}
    if sizes.grid:
        figures["grid"] = bench.alternate(
            {f"n_jobs={n}": ours("grid", n_jobs=n, **searched) for n in (1, 2)}, ALONE
        )
    return figures


def measure_transforms(bench: Bench, sizes: Sizes, folder: Path) -> dict[str, Any]:
    """Transforms of all, of strings and of columns declared or stored otherwise."""
    data = {
        "data": flights(folder / "transform.npz", sizes.transform),
        "n_train": min(20_000, sizes.transform),
    }
    jobs = {
        f"ours, {kind}": ours("transform", encoder="ours", kind=kind, **data)
        for kind in ("strings", *sizes.kinds)
    }
    for kind in sizes.kinds:
        job = ours("transform", encoder="TargetEncoder", kind=kind, **data)
        jobs[f"TargetEncoder, {kind}"] = job
    for name in ("TargetEncoder", "OrdinalEncoder", "category_encoders"):
        jobs[name] = ours("transform", encoder=name, **data)
    jobs["embedding-encoder"] = peer("transform_embedding_encoder", EMBEDDING_ENCODER, **data)
    figures = bench.alternate(jobs)
    for numbers in figures.values():
        if "seconds" in numbers:
            numbers["rows_per_s"] = sizes.transform / numbers["seconds"]
    return {"transform": figures}


def measure_growth(bench: Bench, sizes: Sizes) -> dict[str, Any]:
    """Epochs by rows, steps by categories, transforms by both."""
    levels, rows = sizes.levels, sizes.transform_rows
    jobs = {
        "epoch": {n: ours("growth_rows", n_rows=n) for n in sizes.epoch},
        "step": {n: ours("growth_levels", n_rows=sizes.step, n_levels=n) for n in levels},
        "transform rows": {
            n: ours("transform_growth", n_rows=n, n_levels=min(1_000, rows[0])) for n in rows
        },
        "transform levels": {
            n: ours("transform_growth", n_rows=sizes.transform_levels, n_levels=n) for n in levels
        },
    }
    return {
        group: bench.alternate({str(n): job for n, job in by_size.items()}, ALONE)
        for group, by_size in jobs.items()
    }


def flights(path: Path, n_rows: int) -> str:
    """Write so many flights to a file; its path."""
    X, late, _ = load_flights(n_rows, seed=0)
    save_table(path, X[COLUMNS], late)
    return str(path)


def fitting_memory(sizes: Sizes) -> Sizes:
    """Without the numbers of rows that are too many for this machine's free memory."""
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    kept = tuple(n for n in sizes.epoch if n * BYTES_A_ROW < free or n <= 1_000_000)
    for n in set(sizes.epoch) - set(kept):
        print(f"left out: an epoch of {n:,} rows, for want of memory")
    return replace(sizes, epoch=kept)


def finite(value: Any) -> Any:
    """A value as JSON has it: None for what is no number or has no end."""
    if isinstance(value, dict):
        return {k: finite(v) for k, v in value.items()}
    if isinstance(value, list):
        return [finite(v) for v in value]
    if isinstance(value, float):
        return float(f"{value:.5g}") if math.isfinite(value) else None
    return value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="smaller tables, fewer peers")
    parser.add_argument("--rows", type=int, help="rows to fit; all other sizes in proportion")
    parser.add_argument("--repeats", type=int, help="runs of each job: 5, or 3 with --quick")
    parser.add_argument("--environments", type=Path, default=RESULTS / "cache" / "environments")
    parser.add_argument("--without", nargs="+", default=[], help="peers not to be measured")
    args = parser.parse_args()
    sizes = QUICK if args.quick else Sizes()
    sizes = fitting_memory(scaled(sizes, args.rows) if args.rows else sizes)
    slow_to_import = (EMBEDDING_ENCODER, PYTORCH_TABULAR)
    left_out = {e.name: "left out by --quick" for e in slow_to_import} if args.quick else {}
    left_out |= dict.fromkeys(args.without, "left out by --without")
    bench = Bench(args.repeats or (3 if args.quick else 5), args.environments, left_out)
    load = os.getloadavg()[0]
    print(f"load of the machine before: {load:.1f} on {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        figures = {
            **measure_fits(bench, sizes, folder),
            **measure_transforms(bench, sizes, folder),
            **measure_growth(bench, sizes),
        }
    lines = judge(figures)
    print_report(figures, lines)
    stem = "speed_quick" if args.quick or args.rows else "speed"
    found = {
        "sizes": asdict(sizes),
        "repeats": bench.repeats,
        "load_before": round(load, 2),
        "threads": os.environ.get("OMP_NUM_THREADS", "not limited"),
        "goals": lines,
        **figures,
    }
    write_results(stem, finite(found))
    about = json.loads((RESULTS / f"{stem}.json").read_text())
    title = f"{about['machine']}, commit {about['commit']}"
    save_figure(figures, title, RESULTS / f"{stem}.png")


if __name__ == "__main__":
    main()
