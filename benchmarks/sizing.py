"""On paper: time, memory and network bytes of fits of 10^6 to 10^11 rows on 1 to 256 workers.

What was measured by ``benchmarks/scale.py`` (seconds to count and code a row, seconds of a step by
its rows, bytes a step) gives prices; what is counted beforehand (rows, steps, numbers of tables) is
multiplied by them. Predictions are checked against what was measured as a whole. Cores are as
those of the machine, networks are given.

Run it with ``python benchmarks/sizing.py [--write]``; ``--write`` puts the tables into
docs/guide/sizing.md.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from _common import RESULTS
from _scale_rows import LEVELS

from sk_entity_embed.fitting.options import max_iter, n_heads, rows_a_step
from sk_entity_embed.learning.problem import parts_of_pass
from sk_entity_embed.model.heads import HEADS

PAGE = Path(__file__).parents[1] / "docs" / "guide" / "sizing.md"
BEGIN, END = (
    "<!-- made by benchmarks/sizing.py -->",
    "<!-- end of what benchmarks/sizing.py made -->",
)
HEAD = HEADS["mlp"]
WIDTH, N_TABLES, OTHERS = 10, 5, 4
"""Width of vectors, tables of a column, and columns beside the largest one."""
HIDDEN = (128, 64)
LIBRARIES_GB = 0.35
WINDOW = 2_000_000
NETWORK = 1.25e9
"""Bytes a second between two machines: 10 gigabits."""
LATENCY = 1e-4
"""Seconds of a message between machines, of which a step has about four."""
CORES = 2
"""Of a worker, as measured."""


@dataclass(frozen=True, slots=True)
class Prices:
    """What was measured: seconds a row, and of a step, a constant and what a row adds."""

    count: float
    code: float
    step: float
    row: float
    judge: float = 0.3
    """A validation row over a training row, which is looked up twice and goes back, too."""

    @classmethod
    def of(cls, results: Mapping[str, Any]) -> Prices:
        """Return the prices that the largest fit from files and steps of several sizes tell."""
        largest = max((f for f in results["rows"]["fits"] if f["streamed"]), key=_n_rows)
        n = largest["n_rows"]
        sizes = np.array([int(rows) for rows in results["steps"]])
        seconds = np.array(list(results["steps"].values()))
        design = np.column_stack([np.ones(len(sizes)), sizes]) / seconds[:, None]
        step, row = np.linalg.lstsq(design, np.ones(len(sizes)), rcond=None)[0]
        parts = largest["parts"]
        return cls(parts["counting"] / n, parts["coding"] / n, max(float(step), 0.0), float(row))


def _n_rows(fit: Mapping[str, Any]) -> int:
    return int(fit["n_rows"])


@dataclass(frozen=True, slots=True)
class Fit:
    """A fit on paper: `levels` of the largest of five columns, and one number."""

    n_rows: float
    levels: float = float(LEVELS["user"])
    workers: int = 1
    rows_a_step: int | None = None
    iterations: int | None = None
    cores: int = CORES
    """Of each worker."""

    @property
    def batch(self) -> int:
        """Rows a step, of all workers."""
        return self.rows_a_step or rows_a_step("auto", int(self.n_rows))

    @property
    def passes(self) -> float:
        """Passes over the rows: those of the default budget, none of which may be needed."""
        n, parts = int(self.n_rows), parts_of_pass(int(self.n_rows))
        if self.iterations is not None:
            return self.iterations / parts
        return max_iter("auto", n, int(self.levels), self.batch, [HEAD]) / parts

    @property
    def steps(self) -> float:
        """Steps in all."""
        return self.passes * math.ceil(self.n_rows / self.batch)

    @property
    def numbers(self) -> float:
        """Numbers in the tables of all folds."""
        few = sum(n for name, n in LEVELS.items() if name != "user")
        return N_TABLES * WIDTH * (self.levels + few)

    @property
    def head_numbers(self) -> int:
        """Numbers of the perceptrons of all folds, and the linear models beside them."""
        inputs, outputs = (OTHERS + 1) * WIDTH + 18, 1
        sizes = [inputs, *HIDDEN, outputs]
        one = sum((a + 1) * b for a, b in pairwise(sizes)) + inputs + 1
        return one * n_heads(int(self.n_rows), N_TABLES, HEAD)

    @property
    def bytes_a_step(self) -> float:
        """Bytes that a worker sends in a step: the network's gradient, and rows of tables."""
        if self.workers == 1:
            return 0.0
        own = self.batch / self.workers
        pairs = (OTHERS + 1) * own * 4 * (WIDTH + 1)
        return 2 * 4 * self.head_numbers + pairs * (self.workers - 1)

    def seconds(self, prices: Prices) -> dict[str, float]:
        """Return the seconds of each part."""
        n, w = self.n_rows, self.workers
        judged = min(0.1 * n, 100_000) if n > WINDOW else max(0.1 * n, min(n, 10_000))
        iterations = self.passes * parts_of_pass(int(n))
        own = self.batch / w * CORES / self.cores
        network = self.steps * (self.bytes_a_step / NETWORK + 4 * LATENCY * (w > 1))
        return {
            "counting": n * prices.count / w * CORES / self.cores,
            "coding": n * prices.code / w * CORES / self.cores,
            "steps": self.steps * (prices.step + own * prices.row),
            "validation": iterations * judged * prices.row * prices.judge * own / self.batch,
            "network": network,
        }

    def gigabytes(self) -> dict[str, float]:
        """Return the memory of a worker."""
        shard = self.n_rows / self.workers
        window = min(shard, WINDOW) if self.workers == 1 else shard
        return {
            "libraries": LIBRARIES_GB,
            # Parameters, mean and best state; one moment a row; shrinkage and places.
            "tables": (3 * 4 * self.numbers + 12 * self.numbers / WIDTH) / 1e9,
            "rows": window * 180 / 1e9,
            "categories": self.levels * 100 / 1e9,
        }

    def disk_gb(self) -> float:
        """Return the gigabytes of temporary files."""
        return self.n_rows * (4 * (OTHERS + 1) + 4 * 18 + 11) / 1e9 if self.n_rows > WINDOW else 0.0


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [header, ["---:"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def duration(seconds: float) -> str:
    """Return seconds in the unit that reads best."""
    for unit, size in (("days", 86_400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 1.5 * size:
            return f"{seconds / size:,.0f} {unit}"
    return f"{seconds:,.0f} s"


def gigabytes(size: float) -> str:
    """Return gigabytes with as many digits as they deserve."""
    return f"{size:,.1f} GB" if size < 10 else f"{size:,.0f} GB"


def predictions(prices: Prices) -> str:
    """Return the table of fits on paper."""
    rows = []
    for n in (1e6, 1e7, 1e8, 1e9, 1e10, 1e11):
        for workers in (1, 4, 16, 256):
            if (workers > 1 and n < 1e8) or (workers == 256 and n < 1e9):
                continue
            for levels in (1e3, 1e6, 1e9):
                # Few levels make no difference to many rows, and many need many.
                if levels > n / 10 or (levels < 1e6 and n > 1e7):
                    continue
                large = 2048 if workers == 1 else 2048 * workers
                fit = Fit(n, levels, workers, large)
                seconds, memory = fit.seconds(prices), fit.gigabytes()
                total = sum(seconds.values())
                most = max(seconds, key=lambda part: seconds[part])
                rows.append(
                    [
                        f"10^{round(math.log10(n))}",
                        f"10^{round(math.log10(levels))}",
                        f"{workers}",
                        duration(total),
                        f"{most} {seconds[most] / total:.0%}",
                        gigabytes(sum(memory.values())),
                        f"{fit.bytes_a_step / 1e6:,.1f} MB" if workers > 1 else "",
                        gigabytes(fit.disk_gb()) if workers == 1 and fit.disk_gb() else "",
                    ]
                )
    names = ["rows", "levels", "workers", "time", "most of it", "memory of each", "sent a step"]
    return table([*names, "temporary files"], rows)


def checks(prices: Prices, results: Mapping[str, Any]) -> str:
    """Return the table of what was measured beside what the formula says."""
    rows = []
    for fit in results["rows"]["fits"]:
        if not fit["streamed"] and fit["n_rows"] > WINDOW:
            continue
        made = Fit(fit["n_rows"], iterations=fit["iterations"])
        seconds, memory = sum(made.seconds(prices).values()), sum(made.gigabytes().values())
        where = "files" if fit["streamed"] else "memory"
        rows.append(
            [
                f"{fit['n_rows']:,}",
                "1",
                where,
                f"{fit['seconds']:,.0f} s",
                f"{seconds:,.0f} s",
                f"{fit['peak_gb'] * 1.0737:.1f} GB",
                f"{memory:.1f} GB",
            ]
        )
    if "workers" in results:
        found = results["workers"]
        made = Fit(found["n_rows"], workers=2, iterations=found["iterations"], cores=1)
        parts = made.seconds(prices)
        training = sum(parts[part] for part in ("steps", "validation", "network"))
        sent = found["n_bytes"] / made.steps / 1e6
        rows.append(
            [
                f"{found['n_rows']:,}",
                "2, a core each",
                "a cluster, training alone",
                f"{found['training']:,.0f} s",
                f"{training:,.0f} s",
                f"sent a step: {sent:.2f} MB",
                f"{made.bytes_a_step / 1e6:.2f} MB",
            ]
        )
    return table(
        ["rows", "workers", "from", "measured", "predicted", "memory measured", "predicted"], rows
    )


def main() -> None:
    """Print the tables, or write them into the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--write", action="store_true", help="write them into the docs")
    options = parser.parse_args()
    results = json.loads((RESULTS / "scale.json").read_text())["results"]
    prices = Prices.of(results)
    micro = 1e6
    told = (
        f"Prices: {micro * prices.count:.2f} µs to count a row, {micro * prices.code:.2f} µs to "
        f"code it; {1e3 * prices.step:.1f} ms a step and {micro * prices.row:.2f} µs for each of "
        "its rows."
    )
    said = "Predictions beside measurements, of a million levels and the iterations that were run:"
    made = "\n\n".join([told, predictions(prices), said, checks(prices, results)])
    print(made)
    if options.write:
        page = PAGE.read_text()
        before, after = page.split(BEGIN)[0], page.split(END)[1]
        PAGE.write_text(f"{before}{BEGIN}\n\n{made}\n\n{END}{after}")


if __name__ == "__main__":
    main()
