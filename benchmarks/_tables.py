"""The public tables that quality is measured on, split into training and test rows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from _common import load_flights
from sklearn.model_selection import train_test_split

MISSING = "(missing)"
TEST_ROWS = 10_000  # at least, where the table has them: few rows to train on need many to judge by
LOG_TARGETS = {"uk_used_cars", "ebay_used_cars", "lahman_salaries"}
MAIN_TABLES = (
    "amazon_access",
    "employee_salaries",
    "uk_used_cars",
    "hotel_bookings",
    "adult",
)
OTHER_TABLES = ("ebay_used_cars", "rossmann", "flights")
FURTHER_TABLES = ("lahman_salaries", "loans")  # measured where they are asked for by name


@dataclass(frozen=True, slots=True)
class Split:
    """Training and test rows of a table: strings without gaps, numbers, target."""

    name: str
    task: str
    categories: tuple[pd.DataFrame, pd.DataFrame]
    numbers: tuple[pd.DataFrame, pd.DataFrame]
    y: tuple[np.ndarray, np.ndarray]

    @property
    def binary(self) -> bool:
        """Whether the target is a class of two."""
        return self.task == "binary"


def load_split(name: str, data: Path, max_rows: int, seed: int) -> Split:
    """Draw at most `max_rows` rows of a table and hold a quarter of them out.

    Rows that were not drawn join those held out, up to 10,000, so that what few rows teach is
    measured without the noise of fewer ones.
    Rossmann is split by date and the players' salaries by year, so that what is new in later years
    is in the test rows alone; all others at random (stratified where the target is a class).
    Categories are strings, missing ones a string of their own, so that all encoders are given
    the same.
    """
    frame, y, task, categorical, numeric, periods = _read(name, data)
    rng = np.random.default_rng(seed)
    if periods is None:
        order = rng.permutation(len(frame))
        rows, others = order[:max_rows], order[max_rows:]
        train, test = train_test_split(
            rows, test_size=0.25, random_state=seed, stratify=y[rows] if task == "binary" else None
        )
        parts = [train, np.concatenate([test, others[: max(TEST_ROWS - len(test), 0)]])]
    else:
        sizes = (int(0.75 * max_rows), max(int(0.25 * max_rows), TEST_ROWS))
        parts = [rng.permutation(part)[:size] for part, size in zip(periods, sizes, strict=True)]
    strings = frame[categorical].apply(_strings)
    numbers = frame[numeric].astype(float)
    return Split(
        name,
        task,
        categories=tuple(_take(strings, rows) for rows in parts),
        numbers=tuple(_take(numbers, rows) for rows in parts),
        y=tuple(y[rows] for rows in parts),
    )


def tables(data: Path, wanted: Sequence[str] | None = None) -> list[str]:
    """Names of the tables at hand, those of the goals first; further ones only if wanted."""
    names: tuple[str, ...] = (*MAIN_TABLES, *OTHER_TABLES)
    if wanted:
        everything = (*names, *FURTHER_TABLES)
        if unknown := sorted(set(wanted) - set(everything)):
            raise SystemExit(f"There is no table {unknown[0]!r}, only {', '.join(everything)}.")
        names = tuple(n for n in everything if n in wanted)
    return [n for n in names if n == "flights" or (data / f"{n}.parquet").exists()]


def _read(
    name: str, data: Path
) -> tuple[pd.DataFrame, np.ndarray, str, list[str], list[str], Sequence[np.ndarray] | None]:
    """Columns, target and task; earlier and later rows of tables that are split by time."""
    if name == "flights":
        X, late, _ = load_flights(None, 0)
        return X, late, "binary", list(X.columns), [], None
    index = {t["name"]: t for t in json.loads((data / "index.json").read_text())}
    about: dict[str, Any] = index[name]
    frame = pd.read_parquet(data / f"{name}.parquet")
    categorical, numeric = list(about["categorical"]), list(about.get("numeric", []))
    periods = None
    if name == "rossmann":
        frame = frame[frame["Sales"] > 0].reset_index(drop=True)
        date = pd.to_datetime(frame["Date"])
        frame["year"], frame["month"], frame["day"] = date.dt.year, date.dt.month, date.dt.day
        categorical = [c for c in categorical if c != "Open"] + ["year", "month", "day"]
        numeric = ["CompetitionDistance"]
        periods = _periods(date.to_numpy())
    if name == "lahman_salaries":
        periods = _periods(frame["yearID"].to_numpy(), whole=True)
    y = frame[about["target"]].to_numpy()
    if about["task"] == "binary":
        y = pd.factorize(y, sort=True)[0]
    elif name in LOG_TARGETS:
        y = np.log(np.maximum(y.astype(float), 1.0))
    else:
        y = y.astype(float)
    return frame, y, about["task"], categorical, numeric, periods


def _periods(time: np.ndarray, whole: bool = False) -> Sequence[np.ndarray]:
    """The earlier three quarters of the rows and the later one; `whole` keeps a time together."""
    order = np.argsort(time, kind="stable")
    cut = int(0.75 * len(order))
    if whole:
        cut = int(np.searchsorted(time[order], time[order[cut]]))
    return order[:cut], order[cut:]


def _strings(column: pd.Series) -> pd.Series:
    return column.astype("string").fillna(MISSING).astype(str)


def _take(frame: pd.DataFrame, rows: np.ndarray) -> pd.DataFrame:
    return frame.iloc[rows].reset_index(drop=True)
