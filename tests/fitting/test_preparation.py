"""What fit makes of targets, weights and groups before training, and how little it keeps."""

from __future__ import annotations

import tracemalloc
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.samples import make_encoder, watch_training

N = 40_000  # more than are worked on at a time
RNG = np.random.default_rng(1)
TARGETS: dict[str, Any] = {
    "binary": RNG.integers(0, 2, N),
    "multiclass": RNG.integers(0, 4, N),
    "outputs": RNG.standard_normal((N, 2)),
    "multilabel-indicator": RNG.integers(0, 2, (N, 3)),
}
X = pd.DataFrame({"label": pd.Categorical(np.arange(N) % 50)})


def prepare(y: Any, table: Any = X, **metadata: Any) -> Any:
    """The rows that training is given."""
    return watch_training(lambda: make_encoder().fit(table, y, **metadata), run=False).rows


LISTS = [RNG.choice(list("abcdef"), n).tolist() for n in RNG.integers(0, 4, N)]


@pytest.mark.parametrize("kind", TARGETS)
def test_target_means_are_weighted_and_over_all_rows(kind: str) -> None:
    y, weight = TARGETS[kind], RNG.uniform(0.5, 2.0, N)
    weight[::5] = 0.0
    table = X.assign(lists=pd.Series(LISTS, dtype=object))
    encoder = make_encoder(categorical_features="all", max_iter=1, cv=2, batch_size=N)
    encoder.fit(table, y, sample_weight=weight)
    values = (y[:, None] == np.arange(4)).astype(float) if kind == "multiclass" else y
    for name, cells in (("lists", LISTS), ("label", [[n] for n in np.arange(N) % 50])):
        for label in encoder.categories_[name][:3]:
            expected = np.average(values, axis=0, weights=weight * [c.count(label) for c in cells])
            mean = encoder.category_target_means_[name][encoder.categories_[name] == label][0]
            np.testing.assert_allclose(mean, expected, rtol=1e-9)


@pytest.mark.parametrize(("n_folds", "dtype"), [(128, np.int8), (129, np.int16)])
def test_folds_are_kept_in_the_smallest_numbers(n_folds: int, dtype: Any) -> None:
    encoder = make_encoder(cv=n_folds)
    rows = watch_training(lambda: encoder.fit(X, TARGETS["binary"]), run=False).rows
    assert (rows.fold.dtype, rows.n_tables) == (dtype, n_folds)
    assert np.unique(rows.fold).tolist() == list(range(n_folds))


def test_training_rows_have_targets_of_mean_zero_and_weights_of_mean_one() -> None:
    y, weight = 100 * TARGETS["outputs"] + 7, RNG.uniform(1, 3, N)
    rows = prepare(y, sample_weight=weight)
    np.testing.assert_allclose(np.average(rows.target, axis=0, weights=weight), 0, atol=1e-6)
    np.testing.assert_allclose(np.average(rows.target**2, axis=0, weights=weight), 1, rtol=1e-5)
    np.testing.assert_array_equal(rows.weights, (weight / weight.mean()).astype(np.float32))
    assert rows.target.dtype == np.float32


def test_what_fit_keeps_of_a_row_is_little_more_than_its_codes() -> None:
    y = TARGETS["binary"]
    prepare(y)  # what is imported or cached at first use does not count
    tracemalloc.start()
    rows = prepare(y)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # Codes, network target and weight of 4 bytes, and two masks or folds of 1.
    assert kept < 1.2 * N * (4 + 4 + 4 + 2)
    assert len(rows.codes[0]) == N


@pytest.mark.parametrize("weight", [1e308, 1e-320])
def test_a_weight_of_all_rows_is_no_weight(weight: float) -> None:
    assert set(prepare(TARGETS["outputs"], sample_weight=np.full(N, weight)).weights) == {1.0}


def test_weights_may_be_decimals() -> None:
    weight = [Decimal("0.5"), Decimal("1.5")] * (N // 2)
    rows = prepare(TARGETS["binary"], sample_weight=weight)
    np.testing.assert_array_equal(rows.weights, np.array(weight, dtype=np.float32))


@pytest.mark.filterwarnings("ignore::sk_entity_embed.exceptions.FoldsReducedWarning")
def test_groups_may_be_of_any_type_and_are_numbered_in_their_order() -> None:
    numbers, y, table = (np.arange(200) * 3 + 2) % 4, TARGETS["binary"][:200], X[:200]
    expected = prepare(y, table, groups=numbers).fold
    for names in (["a", "b", "c", "d"], [-1.0, 0.0, 1.5, 2.0], ["a", 1, "b", (2, 3)]):
        groups = np.empty(200, dtype=object)
        groups[:] = [names[i] for i in numbers]
        fold = prepare(y, table, groups=groups).fold
        assert pd.Series(fold).groupby(numbers).nunique().max() == 1
        if (2, 3) not in names:  # which have no order
            np.testing.assert_array_equal(fold, expected)
