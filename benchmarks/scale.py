"""What more rows cost: time, memory and quality of fits from files, in parts, and by workers.

Fits of a generated table of five categorical columns (one of a million levels) and a number, in
memory and from a Parquet file, the latter under a limit of memory that the system enforces; flights
from files against flights in memory; twelve months of flights by ``partial_fit``; fits that are
killed and go on; and, with ray installed, two workers. Fits of generated tables are processes of
their own.

Run it with ``python benchmarks/scale.py [--quick] [--only PART ...] [--folder FOLDER]``: the folder
is for generated tables and files (about 6 GB, an hour on two cores). Results of parts that are not
run stay as they are in ``results/scale.json``.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from _common import RESULTS, run_job, write_results
from _scale_rows import write_table

HERE = Path(__file__).resolve().parent
ROWS = [sys.executable, str(HERE / "_scale_rows.py")]
LIMIT_GB = 4.0
HOUR = 3600.0


def generated(folder: Path, n_rows: int) -> Path:
    """Return the path of a generated table, written unless it is there."""
    path = folder / f"rows-{n_rows}.parquet"
    if not path.exists():
        written = path.with_suffix(".new")
        write_table(written, n_rows)
        written.rename(path)
    return path


def rows(folder: Path, quick: bool) -> dict[str, Any]:
    """Fits of generated tables, in memory and from files."""
    test = generated(folder, 200_000)
    sizes = (20_000, 50_000) if quick else (1_000_000, 10_000_000, 100_000_000)
    found = []
    for n_rows in sizes:
        path = generated(folder, n_rows)
        for streamed in (False, True):
            if n_rows > 10_000_000 and not streamed:
                continue
            given = {
                "path": str(path),
                "test": str(test),
                "streamed": streamed,
                "rows_in_memory": min(2_000_000, n_rows // 2),
                "spill_dir": str(folder),
                "max_iter": 2 if quick else "auto",
                "limit_gb": LIMIT_GB if streamed else None,
            }
            answer = run_job(ROWS, "fit", given, 2 * HOUR)
            found.append({"n_rows": n_rows, "streamed": streamed, **answer})
            print(json.dumps(found[-1]), flush=True)
    return {"fits": found}


def steps(folder: Path, quick: bool) -> dict[str, Any]:
    """Seconds of a step by its rows."""
    n_rows = 20_000 if quick else 1_000_000
    given = {
        "path": str(generated(folder, n_rows)),
        "n_rows": n_rows,
        "rows_a_step": [512, 2048] if quick else [512, 2048, 8192, 32_768],
    }
    return run_job(ROWS, "steps", given, HOUR)


def flights(folder: Path, quick: bool) -> dict[str, Any]:
    """Flights from files against flights in memory, by three seeds."""
    seeds = (0,) if quick else (0, 1, 2)
    n_rows = 4_000 if quick else None
    jobs = [run_job(ROWS, "flights", {"n_rows": n_rows, "seed": s}, HOUR) for s in seeds]
    return {"seeds": jobs}


def months(folder: Path, quick: bool) -> dict[str, Any]:
    """Twelve months of flights by partial_fit."""
    from _scale_growth import growth

    return growth(6_000 if quick else None)


def kills(folder: Path, quick: bool) -> dict[str, Any]:
    """Fits that are killed at random moments."""
    from _scale_kills import kill_fits

    return kill_fits(4 if quick else 200)


def cluster(folder: Path, quick: bool) -> dict[str, Any]:
    """Flights by two workers on this machine and by one process, and workers that are killed."""
    sys.path.insert(0, str(HERE.parent))  # the tests have what kills
    from _scale_cluster import compare, kill

    n_rows = 4_000 if quick else None
    return {
        "flights": compare(1 if quick else 2, n_rows),
        "kills": kill(1, 4_000) if quick else kill(),
    }


def workers(folder: Path, quick: bool) -> dict[str, Any]:
    """A generated table by two workers of one core each."""
    n_rows = 20_000 if quick else 1_000_000
    given = {"path": str(generated(folder, n_rows)), "iterations": [1, 2] if quick else [2, 8]}
    return {"n_rows": n_rows, **run_job(ROWS, "workers", given, HOUR)}


PARTS: dict[str, Callable[[Path, bool], dict[str, Any]]] = {
    "rows": rows,
    "steps": steps,
    "flights": flights,
    "months": months,
    "kills": kills,
    "cluster": cluster,
    "workers": workers,
}


def main() -> None:
    """Run parts and write what they found."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="small sizes, a few minutes")
    parser.add_argument("--only", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--folder", type=Path, default=None, help="for generated tables")
    options = parser.parse_args()
    name = "scale_quick" if options.quick else "scale"
    before = RESULTS / f"{name}.json"
    results = json.loads(before.read_text())["results"] if before.exists() else {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for part in options.only:
            results[part] = PARTS[part](folder, options.quick)
            print(part, json.dumps(results[part]), flush=True)
            write_results(name, {"results": results})


if __name__ == "__main__":
    main()
