"""Goals, table and figure of the speed benchmark."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import NullFormatter

Figures = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""Medians by group, job and measure; a job that did not finish has "failed", and why."""

LARGE, DEFAULT = "embedding-encoder, batch 1024", "embedding-encoder, default"


class NotMeasuredError(LookupError):
    """What a goal needs is not there; the message says why."""


@dataclass(frozen=True, slots=True)
class Goal:
    """A line of what is to be reached: `value` of the figures within `low` and `high`."""

    text: str
    value: Callable[[Figures], float]
    high: float
    low: float = -math.inf

    def judge(self, figures: Figures) -> dict[str, Any]:
        """Whether it is met, with its value, or why it could not be measured."""
        limit = f"at most {self.high:g}" if math.isfinite(self.high) else f"at least {self.low:g}"
        if math.isfinite(self.high) and math.isfinite(self.low):
            limit = f"{self.low:g} to {self.high:g}"
        line = {"goal": self.text, "limit": limit, "value": None}
        try:
            value = self.value(figures)
        except NotMeasuredError as error:
            return {**line, "state": "not measured", "why": str(error)}
        if math.isnan(value):
            return {**line, "state": "not measured", "why": "no figure on this system"}
        met = self.low <= value <= self.high
        return {**line, "value": value, "state": "met" if met else "not met"}


def figure_of(figures: Figures, group: str, job: str, measure: str) -> float:
    """A figure.

    Raises
    ------
    NotMeasuredError
        If it is not there.
    """
    numbers = figures.get(group, {}).get(job)
    if numbers is None:
        raise NotMeasuredError(f"{group}, {job}: not run")
    if "failed" in numbers:
        raise NotMeasuredError(f"{group}, {job}: {numbers['failed']}")
    return float(numbers[measure])


def ratio(group: str, job: str, other: str, measure: str = "seconds") -> Callable[..., float]:
    """Ratio of a job's measure to that of another of its group."""
    return lambda f: figure_of(f, group, job, measure) / figure_of(f, group, other, measure)


def best_rival_loss(figures: Figures) -> float:
    """embedding-encoder's best test log-loss, of its default and its large batch."""
    return min(figure_of(figures, "fit", name, "log_loss") for name in (LARGE, DEFAULT))


def slope(numbers: Mapping[str, Mapping[str, Any]], measure: str) -> float:
    """Slope of the logarithm of a measure over that of the size, by least squares."""
    sizes = [size for size in numbers if "failed" not in numbers[size]]
    if len(sizes) < 2:
        raise NotMeasuredError("fewer than two sizes finished")
    y = np.log([numbers[size][measure] for size in sizes])
    return float(np.polyfit(np.log([float(size) for size in sizes]), y, 1)[0])


def _slope(group: str, measure: str) -> Callable[[Figures], float]:
    return lambda f: slope(f.get(group, {}), measure)


def _last_to_first(group: str, measure: str) -> Callable[[Figures], float]:
    def value(figures: Figures) -> float:
        sizes = sorted(figures.get(group, {}), key=int)
        if len(sizes) < 2:
            raise NotMeasuredError(f"{group}: not run")
        return figure_of(figures, group, sizes[-1], measure) / figure_of(
            figures, group, sizes[0], measure
        )

    return value


def _share_of_limit(group: str, job: str | None) -> Callable[[Figures], float]:
    def value(figures: Figures) -> float:
        name = job or max(figures.get(group, {"0": {}}), key=int)
        peak = figure_of(figures, group, name, "peak_mb")
        return peak / figure_of(figures, group, name, "limit_mb")

    return value


def _reach(other: str) -> Callable[[Figures], float]:
    def value(figures: Figures) -> float:
        rival = figure_of(figures, "fit", other, "seconds")
        return figure_of(figures, "reach", "ours", "seconds") / rival

    return value


def _transform_memory(figures: Figures) -> float:
    size = figure_of(figures, "transform", "ours, strings", "output_mb")
    return figure_of(figures, "transform", "ours, strings", "peak_mb") / (1.2 * size + 100)


OURS = "ours, strings"
GOALS = (
    Goal("fit: its best log-loss, time over embedding-encoder's at 1024", _reach(LARGE), 0.5),
    Goal("fit: its best log-loss, time over embedding-encoder's default", _reach(DEFAULT), 0.05),
    Goal("fit: default, time over embedding-encoder's at 1024", ratio("fit", "ours", LARGE), 1.2),
    Goal(
        "fit: default, test log-loss less embedding-encoder's best",
        lambda f: figure_of(f, "fit", "ours", "log_loss") - best_rival_loss(f),
        0.0,
    ),
    Goal(
        "fit: an epoch's share of the matrix-product peak",
        lambda f: figure_of(f, "efficiency", "ours", "share"),
        math.inf,
        0.45,
    ),
    Goal(
        "first fit in a fresh process, 1,000 rows, s",
        lambda f: figure_of(f, "first fit", "ours", "seconds"),
        2.0,
    ),
    Goal("transform over TargetEncoder's", ratio("transform", OURS, "TargetEncoder"), 0.33),
    Goal("transform over category_encoders'", ratio("transform", OURS, "category_encoders"), 0.33),
    Goal("transform over embedding-encoder's", ratio("transform", OURS, "embedding-encoder"), 0.15),
    Goal(
        "transform, category dtype, over TargetEncoder's of strings",
        ratio("transform", "ours, category", "TargetEncoder"),
        0.2,
    ),
    Goal(
        "transform, category dtype, over TargetEncoder's of the same",
        ratio("transform", "ours, category", "TargetEncoder, category"),
        0.2,
    ),
    Goal(
        "transform of one row, ms",
        lambda f: figure_of(f, "transform", OURS, "one_row_ms"),
        1.0,
    ),
    Goal("growth: epoch by rows, slope", _slope("epoch", "epoch_seconds"), 1.05, 0.95),
    Goal("growth: step, many levels over few", _last_to_first("step", "step_ms"), 1.5),
    Goal("growth: transform by rows, slope", _slope("transform rows", "seconds"), 1.05, 0.95),
    Goal(
        "growth: transform, many levels over few",
        _last_to_first("transform levels", "seconds"),
        1.5,
    ),
    Goal("memory: fit of flights over its limit", _share_of_limit("fit", "ours"), 1.0),
    Goal("memory: fit of many levels over its limit", _share_of_limit("step", None), 1.0),
    Goal("memory: transform over its limit", _transform_memory, 1.0),
    Goal("GridSearchCV, n_jobs=2 over n_jobs=1", ratio("grid", "n_jobs=2", "n_jobs=1"), 0.65),
)


def judge(figures: Figures) -> list[dict[str, Any]]:
    """Every goal's line."""
    return [goal.judge(figures) for goal in GOALS]


def print_report(figures: Figures, lines: list[dict[str, Any]]) -> None:
    """Print all medians, and the table of goals."""
    for group, jobs in figures.items():
        print(f"\n{group}")
        for name, numbers in jobs.items():
            if "failed" in numbers:
                print(f"  {name:32s}failed: {numbers['failed']}")
                continue
            shown = (f"{k} {v:,.4g}" for k, v in numbers.items() if isinstance(v, int | float))
            print(f"  {name:32s}" + "  ".join(shown))
    print(f"\n{'goal':62s}{'value':>9s}  {'limit':14s}")
    for line in lines:
        value = "" if line["value"] is None else f"{line['value']:.4g}"
        why = f" ({line['why']})" if "why" in line else ""
        print(f"{line['goal']:62s}{value:>9s}  {line['limit']:14s}{line['state']}{why}")


_PANELS = (
    ("epoch", "epoch_seconds", "rows", "seconds an epoch"),
    ("step", "step_ms", "categories", "milliseconds a step"),
    ("transform rows", "seconds", "rows", "seconds of transform"),
    ("transform levels", "seconds", "categories", "seconds of transform"),
)


def save_figure(figures: Figures, title: str, path: Path) -> None:
    """Draw growth with rows and categories on logarithmic axes, beside lines of slope one."""
    figure, axes = plt.subplots(1, len(_PANELS), figsize=(13, 3.6), layout="constrained")
    for ax, (group, measure, x_label, y_label) in zip(axes, _PANELS, strict=True):
        found = {
            float(size): numbers[measure]
            for size, numbers in figures.get(group, {}).items()
            if measure in numbers
        }
        x, y = np.array(sorted(found)), np.array([found[s] for s in sorted(found)])
        if len(x):
            ax.loglog(x, y, "o-", color="#0072B2")
            steady = y[0] if x_label == "categories" else y[-1] * x / x[-1]
            ax.loglog(x, np.broadcast_to(steady, x.shape), "--", color="#7f7f7f", linewidth=1)
            ax.set_ylim(y.min() / 3, y.max() * 3)
        ax.xaxis.set_minor_formatter(NullFormatter())
        ax.set_xlabel(x_label)
        ax.set_title(y_label, fontsize=10)
        ax.grid(alpha=0.3, which="both")
    figure.suptitle(f"{title}; dashed: linear in rows, constant in categories", fontsize=9)
    figure.savefig(path, dpi=110)
    plt.close(figure)
    print(f"wrote benchmarks/results/{path.name}")
