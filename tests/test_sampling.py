"""Negative sampling: what is drawn, how often, from whatever container."""

from __future__ import annotations

from itertools import islice, pairwise, product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from sk_entity_embed.exceptions import InvalidDataError, UnsupportedDataError
from sk_entity_embed.sampling import NegativeSampler, _weigh, sample_negatives
from tests.containers import NAMELESS, make_container

PAIRS = pd.DataFrame({"user": list("aaabbc"), "item": list("xyzxyw")})


def as_set(X):
    """Rows as tuples."""
    return set(X.itertuples(index=False, name=None))


def split(X, y):
    """Observed pairs and negatives."""
    return X[y == 1].reset_index(drop=True), X[y == 0].reset_index(drop=True)


@st.composite
def sparse_pairs(draw):
    """Pairs of up to eight by nine values, some of them repeated, each with a negative."""
    n_left, n_right = draw(st.integers(2, 8)), draw(st.integers(2, 9))
    cells = st.tuples(st.integers(0, n_left - 1), st.integers(0, n_right - 1))
    pairs = draw(st.lists(cells, min_size=2, max_size=60))
    lefts, rights = ({p[i] for p in pairs} for i in (0, 1))
    distinct = set(pairs)
    by_left = {a: sum((a, b) in distinct for b in rights) for a in lefts}
    by_right = {b: sum((a, b) in distinct for a in lefts) for b in rights}
    full_left = any(by_left[a] == len(rights) for a, _ in pairs)
    full_right = any(by_right[b] == len(lefts) for _, b in pairs)
    full = any(by_left[a] == len(rights) and by_right[b] == len(lefts) for a, b in pairs)
    impossible = {"right": full_left, "left": full_right, "both": full}
    return pairs, impossible


@settings(max_examples=50, deadline=None)
@given(
    drawn=sparse_pairs(),
    k=st.integers(1, 5),
    strategy=st.sampled_from(["uniform", "popularity"]),
    alpha=st.sampled_from([0.0, 0.75, 3.0, 200.0]),
    side=st.sampled_from(["left", "right", "both"]),
    seed=st.integers(0, 99),
)
def test_negatives_are_new_pairs_of_known_values(drawn, k, strategy, alpha, side, seed):
    pairs, impossible = drawn
    frame = pd.DataFrame(pairs, columns=["a", "b"])
    settings = {"k": k, "strategy": strategy, "alpha": alpha, "side": side, "random_state": seed}
    if impossible[side]:
        with pytest.raises(InvalidDataError, match="no negatives"):
            sample_negatives(frame, **settings)
        return
    X, y = sample_negatives(frame, shuffle=False, **settings)
    positives, negatives = split(X, y)
    assert y.tolist() == [1] * len(pairs) + [0] * (k * len(pairs))
    pd.testing.assert_frame_equal(positives, frame)
    assert not as_set(negatives) & as_set(frame)
    assert set(negatives["a"]) <= set(frame["a"])
    assert set(negatives["b"]) <= set(frame["b"])
    same = {c: negatives[c].to_numpy() == np.repeat(frame[c].to_numpy(), k) for c in "ab"}
    assert (same["a"] ^ same["b"]).all()
    assert side == "both" or same["a" if side == "right" else "b"].all()

    shuffled, labels = sample_negatives(frame, **settings)
    assert sorted(shuffled.assign(y=labels).to_numpy().tolist()) == sorted(
        X.assign(y=y).to_numpy().tolist()
    )


@pytest.mark.parametrize(
    ("strategy", "alpha"), [("uniform", 0.75), ("popularity", 0.75), ("popularity", 0)]
)
def test_values_are_drawn_as_often_as_they_should_be(strategy, alpha):
    items = np.repeat(list("abcdefg"), [1, 2, 4, 8, 16, 32, 1])
    others = pd.DataFrame({"user": np.arange(len(items)).astype(str), "item": items})
    mine = pd.DataFrame({"user": ["me"] * 3, "item": ["b", "e", "e"]})
    pairs = pd.concat([others, mine], ignore_index=True)
    X, y = sample_negatives(pairs, k=4000, strategy=strategy, alpha=alpha, random_state=0)
    found = X["item"][(X["user"] == "me") & (y == 0)].value_counts()
    counts = pairs["item"].value_counts()[list("acdfg")]
    weights = counts**alpha if strategy == "popularity" else counts**0.0
    assert sorted(found.index) == list("acdfg")
    assert chisquare(found[list("acdfg")], weights / weights.sum() * 12_000).pvalue > 0.01


def test_nearly_full_rows_get_what_is_left():
    grid = [(i, j) for i, j in product(range(50), range(50)) if i != j]
    X, y = sample_negatives(grid, k=2, strategy="popularity", random_state=0)
    assert (X["x0"] == X["x1"])[y == 0].all()
    assert (y == 0).sum() == 2 * len(grid)


def test_both_sides_are_replaced_alike_and_the_possible_one_where_one_is_full():
    grid = [(f"u{i}", f"i{j}") for i, j in product(range(30), range(30)) if (i + j) % 3]
    X, y = sample_negatives(grid, k=10, side="both", shuffle=False, random_state=0)
    left = X["x0"][y == 0].to_numpy() == np.repeat([a for a, _ in grid], 10)
    assert abs(left.mean() - 0.5) < 0.02
    fan = [("fan", item) for item in "xyz"] + [("a", "x"), ("b", "y")]
    X, y = sample_negatives(fan, k=50, side="both", shuffle=False, random_state=0)
    negatives = X[y == 0].to_numpy()[: 3 * 50]
    assert "fan" not in negatives[:, 0]
    assert (negatives[:, 1] == np.repeat(list("xyz"), 50)).all()
    X, y = sample_negatives([(b, a) for a, b in fan], k=50, side="both", shuffle=False)
    assert "fan" not in X["x1"][y == 0].to_numpy()[: 3 * 50]


@pytest.mark.parametrize(
    ("side", "told"),
    [
        ("right", "row 1 .* 'fan' of column 'user' is paired with every value of column 'item'"),
        ("left", "row 0 .* 'hit' of column 'item' is paired with every value of column 'user'"),
        ("both", "row 2 .* 'fan' of column 'user' .* and 'hit' of column 'item' is"),
    ],
)
def test_pairs_without_negatives_are_refused_by_name(side, told):
    rows = [("a", "hit"), ("fan", "x"), ("fan", "hit"), ("b", "hit")]
    with pytest.raises(InvalidDataError, match=told):
        sample_negatives(pd.DataFrame(rows, columns=["user", "item"]), side=side)
    numbers = np.array([[7, 1], [7, 2], [8, 1]])
    with pytest.raises(InvalidDataError, match=r"row 0 of pairs: 7 of .*'x1'\. Drop such rows\.$"):
        NegativeSampler(numbers)
    fan = [("fan", "x"), ("fan", "y"), ("a", "x"), ("b", "y")]
    with pytest.raises(InvalidDataError, match=r"Drop such rows, or .* by side='both'\.$"):
        NegativeSampler(fan)
    assert len(sample_negatives(fan, side="both")[0]) == 8


def test_missing_cells_are_refused_with_their_column():
    pairs = pd.DataFrame({"user": ["a", "b", "c"], "item": [None, "x", None]})
    for table in (pairs, pairs.astype("category")):
        with pytest.raises(InvalidDataError, match=r"'item' of pairs has 2 missing value\(s\);"):
            sample_negatives(table)


def test_other_bad_input_is_refused():
    for bad in (PAIRS[["user"]], PAIRS.assign(n=1), [[1, 2, 3]]):
        with pytest.raises(InvalidDataError, match="pairs must have two columns, got"):
            sample_negatives(bad)
    with pytest.raises(InvalidDataError, match="0 sample"):
        sample_negatives(PAIRS.head(0))
    with pytest.raises(InvalidDataError, match="1D"):
        sample_negatives(PAIRS["user"])
    with pytest.raises(UnsupportedDataError, match=r"'a' of pairs holds lists.*explode\('a'\)"):
        sample_negatives(pd.DataFrame({"a": [[1], [2]], "b": [1, 2]}))


@pytest.mark.parametrize("function", [sample_negatives, NegativeSampler])
def test_bad_parameters_are_named_at_once(function):
    wrong = {"k": 0, "strategy": "popular", "alpha": -1, "side": "top", "shuffle": "yes"}
    for name, value in {**wrong, "random_state": "seed"}.items():
        with pytest.raises(ValueError, match=f"'{name}' parameter of {function.__name__}"):
            function(PAIRS, **{name: value})
    with pytest.raises(ValueError, match="'n_epochs'"):
        NegativeSampler(PAIRS, n_epochs=0)
    with pytest.raises(ValueError, match="'batch_size'"):
        NegativeSampler(PAIRS).batches(0)
    with pytest.raises(ValueError, match="'number'"):
        NegativeSampler(PAIRS).epoch(-1)


@pytest.mark.parametrize("name", ["pandas_arrow", "pandas_category", "polars", "pyarrow", "lists"])
def test_containers_give_equal_tables(name):
    data = {"user": list("aaabbc"), "item": [3, 1, 2, 3, 1, 4]}
    pairs = make_container(name, data)
    X, y = sample_negatives(pairs, k=3, random_state=0)
    expected, labels = sample_negatives(make_container("pandas", data), k=3, random_state=0)
    assert list(X.columns) == (["x0", "x1"] if name in NAMELESS else ["user", "item"])
    assert X.to_numpy().tolist() == expected.to_numpy().tolist()
    assert y.tolist() == labels.tolist()
    if isinstance(pairs, pd.DataFrame):
        assert X.dtypes.tolist() == pairs.dtypes.tolist()


def test_values_of_mixed_type_come_back_as_they_are():
    lefts = ["a", 1, (2, 3), "quote \"'", "", "line\nbreak\t", "ü漢"]
    for name in ("pandas", "lists"):
        pairs = make_container(name, {"a": lefts, "b": lefts[::-1]})
        X, _ = sample_negatives(pairs, k=2, side="both", random_state=0)
        assert set(X.iloc[:, 0]) == set(lefts)
        assert {type(v) for v in X.iloc[:, 0]} == {str, int, tuple}


def test_data_types_labels_and_index():
    numbers, days = pd.array([1, 2, 3, 2], dtype="int8"), pd.to_datetime(["2020-01-01"] * 4)
    pairs = pd.DataFrame({("a", 1): numbers, 7: days + pd.to_timedelta([0, 1, 2, 0], unit="D")})
    for table in (pairs, pairs.set_axis(["a", "b"], axis=1).astype("category")):
        X, _ = sample_negatives(table.set_axis([9, 9, 3, 1]), random_state=0)
        assert X.columns.tolist() == table.columns.tolist()
        assert X.dtypes.tolist() == table.dtypes.tolist()
        assert X.index.tolist() == list(range(8))


def test_equal_seeds_give_equal_tables_and_the_pairs_stay_as_they_are():
    before = PAIRS.copy()
    tables = [sample_negatives(PAIRS, k=20, random_state=s)[0] for s in (0, 0, 1)]
    assert tables[0].equals(tables[1])
    assert not tables[0].equals(tables[2])
    state = np.random.RandomState(0)
    first, second = (sample_negatives(PAIRS, k=20, random_state=state)[0] for _ in range(2))
    assert first.equals(tables[0])
    assert not first.equals(second)
    free = [sample_negatives(PAIRS, k=20)[0] for _ in range(2)]
    assert not free[0].equals(free[1])
    assert before.equals(PAIRS)


@pytest.mark.parametrize("shuffle", [True, False])
def test_every_epoch_is_fresh_and_the_same_in_every_loop(shuffle):
    sampler = NegativeSampler(PAIRS, k=8, n_epochs=4, shuffle=shuffle, random_state=0)
    first, second = ([X for X, _ in sampler] for _ in range(2))
    assert len(sampler) == len(first) == 4
    assert all(a.equals(b) for a, b in zip(first, second, strict=True))
    assert not any(a.equals(b) for a, b in pairwise(first))
    assert first[2].equals(sampler.epoch(2)[0])
    alone = sample_negatives(PAIRS, k=8, shuffle=shuffle, random_state=0)[0]
    assert first[0].equals(alone)
    endless = NegativeSampler(PAIRS, n_epochs=None, random_state=0)
    assert len(list(islice(endless, 25))) == len(list(islice(endless.batches(4), 25))) == 25
    with pytest.raises(TypeError, match="no length"):
        len(endless)


@pytest.mark.parametrize(("size", "shuffle"), [(1, True), (4, False), (100, True)])
def test_batches_hold_every_pair_once_an_epoch(size, shuffle):
    sampler = NegativeSampler(PAIRS, k=2, n_epochs=2, shuffle=shuffle, random_state=0)
    batches = list(sampler.batches(size))
    assert all(X.equals(Z) for (X, _), (Z, _) in zip(batches, sampler.batches(size), strict=True))
    assert all(len(X) == len(y) == 3 * y.sum() <= 3 * size for X, y in batches)
    n_batches = -(-6 // size)
    assert len(batches) == 2 * n_batches
    epochs = []
    for part in (batches[:n_batches], batches[n_batches:]):
        X, y = pd.concat([X for X, _ in part]), np.concatenate([y for _, y in part])
        positives, negatives = split(X, y)
        assert sorted(positives.to_numpy().tolist()) == sorted(PAIRS.to_numpy().tolist())
        assert positives.equals(PAIRS) or shuffle
        assert not as_set(negatives) & as_set(PAIRS)
        epochs.append(negatives)
    assert not epochs[0].equals(epochs[1])


def test_weights_fit_64_bits_and_leave_nobody_out():
    counts = np.array([1, 10**9, 3])
    for n_entities in (1, 10**6, 10**12):
        for power in (0.5, 1, 50):
            weights = _weigh(counts, power, n_entities)
            assert weights.min() >= 1
            assert int(weights.sum()) * n_entities < 2**63
    assert _weigh(counts, 0, 5).tolist() == [1, 1, 1]
