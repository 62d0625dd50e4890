"""Copies of rows in several folds are told from rows that are equal by nature."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import GroupKFold

from sk_entity_embed.exceptions import LeakageWarning
from sk_entity_embed.input.duplicates import share_of_copies
from sk_entity_embed.input.lists import Lists
from sk_entity_embed.input.target import read_target
from tests.samples import make_encoder

N = 3000
RNG = np.random.default_rng(0)
NUMBER = RNG.normal(size=N).astype(np.float32)
TABLES = {
    "ids and a number": ({"user": RNG.integers(0, 300, N)}, {"number": NUMBER}),
    "pairs of ids": ({"user": RNG.integers(0, 300, N), "item": RNG.integers(0, 50, N)}, {}),
    "numbers": ({}, {"number": NUMBER, "other": np.abs(NUMBER)}),
    "few categories": ({"a": RNG.integers(0, 8, N), "b": RNG.integers(0, 5, N)}, {}),
    "one column": ({"user": RNG.zipf(1.6, N) % 500}, {}),
}
LARGE = ["ids and a number", "pairs of ids", "numbers"]
NOISE = RNG.random(N)


def share(table, y, rows=slice(None), fold=None, kind="auto"):
    """Share of copies among some rows of a table."""
    codes, numbers = TABLES[table] if isinstance(table, str) else table
    codes = [c[rows].astype(np.int32) for c in codes.values()]
    target = read_target(np.asarray(y)[rows], kind)
    n = len(target.values)
    context = np.column_stack([v[rows] for v in numbers.values()] or [np.empty((n, 0))])
    fold = np.random.default_rng(1).permutation(n) % 5 if fold is None else fold
    return share_of_copies(codes, context.astype(np.float32), target, fold)


def oversampled(y):
    """Rows of which those of the rare targets are drawn again and again."""
    rare = np.flatnonzero(y == 1 if len(np.unique(y)) < 4 else y > np.quantile(y, 0.9))
    return np.append(np.arange(N), RNG.choice(rare, N - 2 * len(rare)))


TARGETS = {
    "binary": (NOISE < 0.1).astype(int),
    "multiclass": np.digitize(NOISE, [0.4, 0.5]),
    "continuous": NOISE,
}


@pytest.mark.parametrize("kind", TARGETS)
def test_copies_of_rare_targets_are_found(kind):
    y = TARGETS[kind]
    for table in LARGE:
        rows = oversampled(y)
        found = share(table, y, rows)
        assert found == pytest.approx(
            1 - (N - np.sum(np.isin(np.arange(N), rows[N:]))) / len(rows), abs=0.15
        )
    assert share("numbers", y, np.arange(2 * N) // 2) > 0.7  # rows that all come twice


def test_equal_rows_of_a_target_that_is_noise_are_natural():
    for table in TABLES:
        for y in (*TARGETS.values(), (NOISE < 0.003).astype(int)):
            assert share(table, y) == 0


def test_equal_rows_of_a_target_that_follows_from_them_are_natural():
    for table in ("pairs of ids", "few categories", "one column"):
        columns = list(TABLES[table][0].values())
        combination = np.unique(np.column_stack(columns), axis=0, return_inverse=True)[1].ravel()
        rng = np.random.default_rng(2)
        for y in (
            sum(rng.normal(size=500)[c] for c in columns),
            (rng.random(N) < 0.3).astype(int)[combination],
            (rng.random(N) < 0.05).astype(int)[combination],
        ):
            assert share(table, y) == 0


def test_many_rows_that_are_all_zeros_are_natural():
    active = NOISE < 0.2
    table = (
        {"user": np.where(active, RNG.integers(0, 300, N), 0)},
        {"amount": np.where(active, NUMBER, 0.0)},
    )
    assert share(table, active.astype(int)) == 0


def test_copies_in_one_fold_are_no_concern():
    y = TARGETS["binary"]
    rows = oversampled(y)
    fold = np.empty(len(rows), dtype=np.int64)
    for k, (_, test) in enumerate(GroupKFold(5).split(rows, groups=rows)):
        fold[test] = k
    assert share("ids and a number", y, rows) > 0.3
    assert share("ids and a number", y, rows, fold) == 0


def test_few_rows_tell_nothing():
    rows = np.arange(98) // 2
    assert share("numbers", TARGETS["continuous"], rows) == 0
    assert share("numbers", TARGETS["continuous"], np.arange(400) // 2) > 0.7


def test_large_tables_are_sampled_by_groups_of_equal_rows():
    n = 250_000
    table = ({"id": np.arange(n) % 7 + 1}, {"number": np.arange(n) / n, "other": -np.arange(n)})
    y, rows = np.arange(n) / 7, np.arange(2 * n) // 2
    assert share(table, y, rows) == pytest.approx(0.8, abs=0.02)
    assert share(table, y) == 0
    assert share(({"id": np.ones(n)}, {}), y) == 0  # perhaps no row is drawn


def test_lists_are_compared_by_their_items():
    y, n = TARGETS["binary"], N
    items, lengths = RNG.integers(3, 60, 4 * n).astype(np.int32), RNG.integers(1, 8, n)
    lists = Lists(np.resize(items, lengths.sum()), np.append(0, np.cumsum(lengths)))
    rows = oversampled(y)
    fold = RNG.permutation(len(rows)) % 5
    none = np.empty((len(rows), 0), dtype=np.float32)
    copies = share_of_copies([lists.take(rows)], none, read_target(y[rows], "auto"), fold)
    assert copies > 0.3
    other = share_of_copies([lists], none[:n], read_target(y, "auto"), fold[:n])
    assert other == 0


def frame(rows):
    """The ids and the number as a data frame."""
    users = TABLES[LARGE[0]][0]["user"].astype(str)
    return pd.DataFrame({"user": users, "number": NUMBER}).iloc[rows]


def test_fit_warns_of_oversampled_rows_and_names_what_helps():
    y = TARGETS["binary"]
    rows = oversampled(y)
    make = partial(make_encoder, hidden_layer_sizes=(4,), max_iter=1, random_state=0)
    message = r"(49|50)% of the rows have copies.*`sample_weight`.*`groups`"
    warm = make(warm_start=True)
    with pytest.warns(LeakageWarning, match=message) as caught:
        warm.fit(frame(rows), y[rows])
    assert len(caught) == 1
    warm.fit(frame(rows), y[rows])  # the same rows: it has been said
    make().fit(frame(rows), y[rows], groups=rows)
    make(cross_fit=False).fit(frame(rows), y[rows])
    unique, weight = np.unique(rows, return_counts=True)
    make().fit(frame(unique), y[unique], sample_weight=weight)


FOLDER = os.environ.get("SK_ENTITY_EMBED_DATA")


@pytest.mark.skipif(FOLDER is None, reason="set SK_ENTITY_EMBED_DATA to the public tables")
@pytest.mark.parametrize(
    ("name", "target", "expected"),
    [
        ("hotel_bookings", "is_canceled", 0.27),  # rooms booked together, with their fate
        ("adult", "Y", 0),
        ("employee_salaries", "Current Annual Salary", 0),
    ],
)
def test_public_tables(name, target, expected):
    X = pd.read_parquet(Path(FOLDER) / f"{name}.parquet")
    y = pd.factorize(X.pop(target))[0]
    X = X.drop(columns=X.columns[X.columns.str.startswith("reservation_status")])
    kind = "binary" if y.max() == 1 else "continuous"
    for part, found in ((X, expected), (X.select_dtypes(exclude="number"), 0)):
        table = ({c: pd.factorize(part[c])[0] + 1 for c in part}, {})
        assert share(table, y, kind=kind) == pytest.approx(found, abs=0.01)
