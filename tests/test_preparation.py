"""What is made of X, y and weights before training, and how little memory it takes."""

from __future__ import annotations

import tracemalloc
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.random import RandomState

from sk_entity_embed.input.target import Scale
from sk_entity_embed.preparation import (
    Columns,
    Given,
    Roles,
    _check_groups,
    assign_roles,
    check_given,
    read_columns,
    training_rows,
)

N = 40_000  # more than are worked on at a time


def give(y: Any, sample_weight: Any = None, X: Any = None) -> Given:
    """Checked input of a column of 50 labels, or of one of lists."""
    labels = np.random.default_rng(0).integers(0, 50, N)
    X = pd.DataFrame({"label": labels.astype(str)}) if X is None else X
    settings = {"target_type": "auto", "loss": "auto", "class_weight": None}
    return check_given(X, y, sample_weight, None, **settings)


def read(given: Given) -> Columns:
    """The only column, as a categorical one."""
    limits = {"min_frequency": None, "max_categories": None, "handle_missing": "category"}
    ways = {"pooling": ["mean"], "max_lengths": [None]}
    return read_columns(given, [0], [], **limits, scaling=None, **ways)


def roles_of(given: Given, n_folds: int = 5) -> Roles:
    """Folds and validation rows."""
    early = {"early_stopping": True, "validation_fraction": 0.1}
    return assign_roles(given, cross_fit=True, cv=n_folds, **early, random_state=RandomState(0))


def targets(kind: str) -> np.ndarray:
    """A target of one of the kinds."""
    rng = np.random.default_rng(1)
    draw = {
        "binary": lambda: rng.integers(0, 2, N),
        "multiclass": lambda: rng.integers(0, 4, N),
        "continuous": lambda: rng.standard_normal(N),
        "outputs": lambda: rng.standard_normal((N, 2)),
        "multilabel-indicator": lambda: rng.integers(0, 2, (N, 3)),
    }
    return draw[kind]()


@pytest.mark.parametrize("lists", [False, True])
@pytest.mark.parametrize(
    "kind", ["binary", "multiclass", "continuous", "outputs", "multilabel-indicator"]
)
def test_target_means_are_weighted_and_over_all_rows(kind: str, lists: bool) -> None:
    rng, y = np.random.default_rng(2), targets(kind)
    weight = rng.uniform(0.5, 2.0, N)
    weight[::5] = 0.0
    cells = [rng.choice(list("abcdef"), rng.integers(0, 4)).tolist() for _ in range(N)]
    if not lists:
        cells = [cell[:1] or ["g"] for cell in cells]
    X = pd.DataFrame({"col": pd.Series(cells if lists else [c[0] for c in cells], dtype=object)})
    given = give(y, weight, X)
    columns = read(given)
    (means,), (vocabulary,) = columns.target_means, columns.vocabularies
    values = (y[:, None] == np.arange(4)).astype(float) if kind == "multiclass" else y
    for label, mean in zip(vocabulary.labels, means, strict=True):
        holds = weight * [cell.count(label) for cell in cells]
        np.testing.assert_allclose(mean, np.average(values, axis=0, weights=holds), rtol=1e-9)


def test_rows_of_no_weight_are_left_out() -> None:
    weight = np.ones(N)
    weight[[1, 30_000]] = 0.0
    given = give(targets("binary"), weight)
    assert np.flatnonzero(~given.kept).tolist() == [1, 30_000]
    assert len(given.weights) == given.used.n_rows == len(given.target.values) == N - 2
    assert len(roles_of(given).fold) == N - 2


@pytest.mark.parametrize(("n_folds", "dtype"), [(5, np.int8), (128, np.int8), (129, np.int16)])
def test_folds_are_kept_in_the_smallest_numbers(n_folds: int, dtype: Any) -> None:
    roles = roles_of(give(targets("continuous")), n_folds)
    assert (roles.fold.dtype, roles.n_tables) == (dtype, n_folds)
    assert np.unique(roles.fold).tolist() == list(range(n_folds))


def test_training_rows_have_targets_in_units_and_weights_of_mean_one() -> None:
    y, weight = targets("outputs"), np.random.default_rng(3).uniform(1, 3, N)
    given = give(y, weight)
    scale = Scale(np.array([1.0, -2.0]), np.array([2.0, 0.5]))
    rows = training_rows(given, read(given), roles_of(given), scale)
    np.testing.assert_array_equal(rows.target, scale.apply(y))
    np.testing.assert_array_equal(rows.weights, (weight / weight.mean()).astype(np.float32))
    assert (rows.target.dtype, rows.weights.dtype) == (np.float32, np.float32)


def test_what_fit_keeps_of_a_row_is_little_more_than_its_codes() -> None:
    X = pd.DataFrame({"label": pd.Categorical(np.arange(N) % 50)})
    y = targets("binary")
    give(y, X=X)  # what is imported or cached at first use does not count
    tracemalloc.start()
    given = give(y, X=X)
    columns, roles = read(given), roles_of(given)
    rows = training_rows(given, columns, roles, Scale(np.zeros(1), np.ones(1)))
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # Codes, network target and weight of 4 bytes, the target of 8, and three masks or folds of 1.
    assert kept < 1.2 * N * (4 + 4 + 4 + 8 + 3)
    assert len(rows.codes[0]) == N


@pytest.mark.parametrize("weight", [1e308, 1e-320])
def test_a_weight_of_all_rows_is_no_weight(weight: float) -> None:
    given = give(targets("outputs"), np.full(N, weight))
    rows = training_rows(given, read(given), roles_of(given), Scale(np.zeros(2), np.ones(2)))
    assert set(rows.weights) == {1.0}


def test_weights_may_be_decimals() -> None:
    weight = [Decimal("0.5"), Decimal("1.5")] * (N // 2)
    given, plain = (give(targets("binary"), w) for w in (weight, np.array(weight, dtype=float)))
    assert given.weights.tolist() == plain.weights.tolist()


@pytest.mark.parametrize("groups", [[3, 1, 2, 1], ["c", "a", "b", "a"], [1.5, -1.0, 0.0, -1.0]])
def test_groups_are_numbered_in_their_order(groups: list[Any]) -> None:
    assert _check_groups(groups, 4).tolist() == [2, 0, 1, 0]
    assert _check_groups(np.array(groups, dtype=object), 4).tolist() == [2, 0, 1, 0]


def test_groups_may_be_of_several_types() -> None:
    groups = np.array(["a", 1, None, 1], dtype=object)
    groups[2] = (2, 3)
    assert _check_groups(groups, 4).tolist() == [0, 1, 2, 1]
