"""Rows in parts: what grows, what stays, folds that last, and what is kept to go on."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.preprocessing import StandardScaler

from sk_entity_embed import (
    EntityEmbeddingClassifier,
    EntityEmbeddingEncoder,
    EntityEmbeddingRegressor,
)
from sk_entity_embed.exceptions import (
    EmptyColumnWarning,
    InvalidDataError,
    InvalidParameterError,
)
from sk_entity_embed.export import load, save
from sk_entity_embed.fitting import growing
from sk_entity_embed.input.vocabulary import INFREQUENT, MISSING, N_RESERVED, UNKNOWN
from sk_entity_embed.inspection import align
from sk_entity_embed.learning.crossfit import CrossFitting
from tests.samples import make_encoder, make_rows, watch_training


def make_blocks(n: int = 240) -> list[tuple[pd.DataFrame, np.ndarray]]:
    """Three blocks of rows, of which the later ones have new categories and missing cells."""
    X, y = make_rows(n)
    part = n // 3
    X.loc[part:, "letter"] = X["letter"][part:].where(y[part:] < 1.5, X["letter"][part:] + "'")
    X.loc[X.index[part::7], "color"] = None
    X.loc[X.index[2 * part :: 5], "size"] = np.nan
    return [(X[i : i + part], y[i : i + part]) for i in range(0, n, part)]


def grown(blocks: Any, **params: Any) -> EntityEmbeddingEncoder:
    """An encoder that has learned from blocks, one after the other."""
    encoder = make_encoder(**params)
    for X, y in blocks:
        encoder.partial_fit(X, y)
    return encoder


def joined(blocks: Any) -> tuple[pd.DataFrame, np.ndarray]:
    """All rows of some blocks."""
    return pd.concat([X for X, _ in blocks]), np.concatenate([y for _, y in blocks])


# What grows --------------------------------------------------------------------------------


@pytest.mark.parametrize("container", [pd.DataFrame, pl.from_pandas, pd.DataFrame.to_numpy])
def test_counts_and_means_of_several_calls_are_those_of_one_fit(container: Any) -> None:
    blocks = make_blocks()
    params = {"categorical_features": [0, 1], "interactions": [(0, 1)], "min_frequency": 12}
    encoder = grown([(container(X), y) for X, y in blocks], **params)
    X, y = joined(blocks)
    whole = make_encoder(**params).fit(container(X), y)
    for name, labels in whole.categories_.items():
        if ":" in name:  # pairs of what was infrequent once stay with the infrequent ones
            assert encoder.category_counts_[name].sum() == len(X)
            continue
        assert encoder.categories_[name].tolist()[:-1] == labels.tolist()[:-1]
        np.testing.assert_array_equal(encoder.category_counts_[name], whole.category_counts_[name])
        means = encoder.category_target_means_[name], whole.category_target_means_[name]
        np.testing.assert_allclose(*means)
        groups = encoder.infrequent_categories_[name], whole.infrequent_categories_[name]
        np.testing.assert_array_equal(*(np.array(g).astype(str) for g in groups))
    assert encoder.infrequent_categories_[next(iter(whole.categories_))] is not None


def test_new_categories_start_unknown_and_those_that_were_infrequent_from_their_group() -> None:
    first = pd.DataFrame({"k": list("aaaabbbbc") * 6, "one": "x"})
    second = pd.DataFrame({"k": list("aaaaccccd") * 6, "one": "x"})
    y = np.arange(54.0) / 7
    encoder = make_encoder(min_frequency=7, max_iter=4).partial_fit(first, y)
    old = encoder._model.tables[0]
    seen = watch_training(lambda: encoder.partial_fit(second, y))
    new = encoder._model.tables[0].vocabulary
    rows = dict(zip(new.categories.tolist(), new.rows.tolist(), strict=True))
    assert rows == {"a": 3, "b": 4, "c": 5, "d": INFREQUENT}
    before, known = seen.before[0], old.vocabulary.rows
    np.testing.assert_array_equal(before[:, rows["a"]], old.stack[:-1, known[0]])
    np.testing.assert_array_equal(before[:, rows["b"]], old.stack[:-1, known[1]])
    np.testing.assert_array_equal(before[:, rows["c"]], old.stack[:-1, INFREQUENT])
    assert (old.stack[:, INFREQUENT] != old.stack[:, UNKNOWN]).any()
    plain = make_encoder(max_iter=4).partial_fit(first, y)
    unknown = plain._model.tables[0].stack[:-1, UNKNOWN]
    seen = watch_training(lambda: plain.partial_fit(second, y))
    np.testing.assert_array_equal(seen.before[0][:, N_RESERVED + 3], unknown)


def test_categories_that_do_not_come_again_keep_what_they_have_learned() -> None:
    X, y = make_rows(200)
    encoder = make_encoder(max_iter=10).partial_fit(X, y)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(growing, "KEPT", 1)
        encoder.partial_fit(X, y)  # what is kept is one row
        there = X["letter"] != "a"
        encoder.partial_fit(X[there], y[there])
    table = encoder._model.tables[0]
    assert (table.stack[:, N_RESERVED] != table.stack[:, UNKNOWN]).any(axis=1).all()
    assert encoder.category_counts_["letter"][0] == 2 * (~there).sum()


@pytest.mark.parametrize("old", [[1, 2, 3], [1.0, 2.0, 3.5], [True, False, True]])
def test_equal_values_of_other_types_are_one_category(old: list[Any]) -> None:
    y = np.arange(30.0) / 7
    encoder = make_encoder(categorical_features="all")
    encoder.partial_fit(pd.DataFrame({"k": old * 10, "j": "a"}), y)
    new = [1.0, 2.0, np.nan]
    encoder.partial_fit(pd.DataFrame({"k": new * 10, "j": "a"}), y)
    labels = encoder.categories_["k"]
    counts = dict(zip(labels[:-1].tolist(), encoder.category_counts_["k"].tolist(), strict=False))
    assert counts[1] == 10 + 10 * old.count(1)
    assert counts[2] == 10 + 10 * old.count(2)
    assert np.isnan(labels[-1])
    assert encoder._model.tables[0].vocabulary.missing_row == MISSING


def test_weights_are_in_one_unit_for_all_calls() -> None:
    X = pd.DataFrame({"k": ["a", "b"] * 20, "one": "x"})
    encoder = make_encoder(target_type="continuous")
    encoder.partial_fit(X, np.tile([1.0, 2.0], 20), sample_weight=np.full(40, 300.0))
    encoder.partial_fit(X, np.tile([5.0, 6.0], 20), sample_weight=np.full(40, 100.0))
    np.testing.assert_allclose(encoder.category_target_means_["k"], [2.0, 3.0])
    weights = encoder._growth.kept.weights
    assert sorted(set(weights.tolist())) == [100.0, 300.0]


@pytest.mark.parametrize(
    "params",
    [
        {"head": "dot", "dimensions": 2},
        {"cross_fit": False},
        {"pooling": "gru", "max_length": 3},
        {"output": "both", "remainder": "passthrough", "handle_missing": "nan"},
        {"loss": "poisson"},
        {"y_range": (-1.0, 30.0)},
        {"early_stopping": False, "cv": 3, "output": "stacking"},
    ],
    ids=str,
)
def test_every_kind_of_network_grows(params: dict[str, Any]) -> None:
    blocks = make_blocks(150)
    if "pooling" in params:
        for X, _ in blocks:
            lists = [[v, "z"] if i % 3 else [] for i, v in enumerate(X["letter"])]
            X["letter"] = pd.Series(lists, index=X.index)
            X.loc[X.index[4], "letter"] = None
    encoder = make_encoder(**params)
    for X, y in blocks:
        encoder.partial_fit(X, np.abs(y))
        vectors = encoder.transform_training(X)
        assert vectors.shape == (len(X), len(encoder.get_feature_names_out()))
        assert np.isfinite(vectors[:, :2]).all()
        np.testing.assert_array_equal(np.isfinite(encoder.transform(X)), np.isfinite(vectors))
        if encoder.fold_ is None:
            np.testing.assert_array_equal(vectors, encoder.transform(X))
    assert encoder._growth.n_rows == 150


def test_classes_without_a_weight_have_that_of_one_where_a_block_lacks_others() -> None:
    X, _ = make_rows(60)
    vectors = []
    for weights in ({"a": 2, "c": 3}, {"a": 2, "b": 1, "c": 3}):
        encoder = make_encoder(class_weight=weights)
        for labels in (["a", "b"], ["b", "c"]):
            encoder.partial_fit(X, np.resize(labels, 60), classes=list("abc"))
        vectors.append(encoder.transform(X))
    np.testing.assert_array_equal(*vectors)


def test_indicators_and_classes_grow() -> None:
    blocks = make_blocks(150)
    model = EntityEmbeddingClassifier(max_iter=2, random_state=0)
    for X, y in blocks:
        model.partial_fit(X, np.column_stack([y > 0, y > 1]).astype(int))
    assert model.predict_proba(blocks[0][0]).shape == (50, 2)
    model = EntityEmbeddingClassifier(max_iter=2, random_state=0, class_weight="balanced")
    for (X, y), labels in zip(blocks, ["low", "mid", "top"], strict=True):
        y = np.where(y > 1, labels, "low")
        model.partial_fit(X, y, classes=["top", "low", "mid"])
    assert model.classes_.tolist() == ["low", "mid", "top"]
    assert model._growth.class_rows.sum() == 150
    assert model.predict_proba(blocks[0][0]).shape == (50, 3)


# Folds -------------------------------------------------------------------------------------


def test_a_row_seen_again_keeps_its_fold_in_any_container_order_and_company() -> None:
    blocks = make_blocks()
    X, y = joined(blocks[:2])
    X = X.assign(whole=np.arange(len(X)) % 5)
    encoder = make_encoder(categorical_features=["letter", "color", "whole"]).partial_fit(X, y)
    folds = encoder.fold_
    assert np.bincount(folds, minlength=5).min() > 10
    order = np.random.default_rng(1).permutation(len(X))
    more = pd.concat([X.iloc[order], X[:40].assign(letter="q")]).astype({"whole": float})
    encoder.partial_fit(pl.from_pandas(more), np.concatenate([y[order], y[:40]]))
    np.testing.assert_array_equal(encoder.fold_[: len(X)], folds[order])
    assert len(encoder._growth.kept) == len(X) + 40  # the same rows are kept once
    encoder.partial_fit(X, y + 1)
    assert (encoder.fold_ != folds).mean() > 0.5


def test_groups_keep_their_fold_whatever_the_content() -> None:
    (X, y), (other, more), _ = make_blocks()
    groups = np.arange(80) % 23
    encoder = make_encoder().partial_fit(X, y, groups=groups)
    folds = encoder.fold_
    encoder.partial_fit(other, more, groups=groups[::-1].astype(float))
    np.testing.assert_array_equal(encoder.fold_, folds[::-1])
    assert all(len(set(folds[groups == g])) == 1 for g in range(23))


@pytest.mark.parametrize(("one", "other"), [("M8[ns]", "M8[s]"), ("m8[ns]", "m8[ms]")])
def test_groups_of_times_are_known_again_in_any_unit(one: str, other: str) -> None:
    X, y = make_rows(60)
    days = np.repeat(np.arange(20), 3).astype(one[:2] + "[D]")
    folds = [make_encoder().partial_fit(X, y, groups=days.astype(u)).fold_ for u in (one, other)]
    np.testing.assert_array_equal(*folds)


def test_one_group_is_not_taken_apart() -> None:
    X, y = make_rows(60)
    encoder = make_encoder()
    with pytest.raises(InvalidDataError, match="All groups so far are in one fold"):
        encoder.partial_fit(X, y, groups=np.ones(60))
    encoder.partial_fit(X, y, groups=np.arange(60) // 6)
    assert len(set(encoder.partial_fit(X, y, groups=np.ones(60)).fold_)) == 1


def test_natural_copies_are_spread_over_the_folds() -> None:
    rng = np.random.default_rng(0)
    encoder, contents, folds = make_encoder(max_iter=1), [], []
    for _ in range(25):
        X = pd.DataFrame({"k": rng.integers(0, 50, 60).astype(str), "one": "a"})
        y = rng.integers(0, 2, 60)
        encoder.partial_fit(X, y, classes=[0, 1])
        contents += [f"{k} {v}" for k, v in zip(X["k"], y, strict=True)]
        folds += encoder.fold_.tolist()
    shares = pd.crosstab(pd.Series(contents), pd.Series(folds), normalize="index")
    often = pd.Series(contents).value_counts()
    assert shares.loc[often.index[often >= 15]].max(axis=1).mean() < 0.45  # 0.38 by chance


def test_copies_within_a_block_are_spread_over_the_folds() -> None:
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"k": rng.choice(list("abc"), 600), "one": "a"})
    y = rng.integers(0, 2, 600)
    encoder = make_encoder(max_iter=1).partial_fit(X, y, classes=[0, 1])
    shares = pd.crosstab(X["k"] + pd.Series(y).astype(str), encoder.fold_, normalize="index")
    assert shares.to_numpy().max() < 0.35
    assert len(encoder._growth.kept) == 600


def test_no_target_reaches_the_table_of_its_own_fold_in_a_second_call() -> None:
    X, y = make_rows(200)
    params = {"early_stopping": False, "max_iter": 3, "unknown_rate": 0.0, "dropout": 0.0}
    groups = np.arange(200)
    first = make_encoder(**params).partial_fit(X, y, groups=groups)
    own, tables = first.fold_ == 2, []
    for n in (1, 2):
        target = y.copy()
        target[own] = np.roll(y[own], n)  # same mean and width
        encoder = pickle.loads(pickle.dumps(first))
        seen = watch_training(lambda e=encoder, t=target: e.partial_fit(X, t, groups=groups))
        tables.append(seen.after[0])
        np.testing.assert_array_equal(encoder.fold_, first.fold_)
        np.testing.assert_array_equal(seen.rows.fold[200:], np.full(own.sum(), 2))
    change = np.abs(tables[1] - tables[0]).max(axis=(1, 2))
    assert change[2] < 0.01 * change[[0, 1, 3, 4]].min()  # the order of sums leaves a trace


def test_no_target_reaches_the_prediction_of_its_own_row_over_two_calls() -> None:
    """With vectors that stay as they are only heads could carry it there."""
    X, y = make_rows(200)
    groups, out = np.arange(200), []
    params = {"freeze": True, "early_stopping": False, "max_iter": 4, "output": "stacking"}
    own = make_encoder(**params).partial_fit(X, y, groups=groups).fold_ == 1
    swapped = y.copy()
    swapped[own] = y[own][::-1]
    for target in (y, swapped):
        encoder = make_encoder(**params)
        for _ in range(2):
            encoder.partial_fit(X, target, groups=groups)
        out.append(encoder.transform_training(X))
    change = (out[1] - out[0])[:, -1]
    # all but what moves a fold to the mean of other heads
    assert np.abs(change[own] - change[own].mean()).max() < 0.02 * np.abs(change[~own]).max()


def test_the_vector_of_a_row_seen_twice_does_not_hear_its_own_target() -> None:
    random = np.random.default_rng(0)
    X = pd.DataFrame({"noise": random.integers(0, 200, 600).astype(str), "id": np.arange(600) / 7})
    y = random.integers(0, 2, 600)
    encoder = make_encoder(
        early_stopping=False, max_iter=10, learning_rate_init=0.02, hidden_layer_sizes=(8,),
        dimensions=4,
    )  # fmt: skip
    for _ in range(2):
        encoder.partial_fit(X, y, classes=[0, 1])
    aucs = []
    for vectors in (encoder.transform_training(X), encoder.transform(X)):
        out, logistic = StandardScaler().fit_transform(vectors), LogisticRegression()
        scores = cross_val_predict(logistic, out, y, cv=KFold(5), method="decision_function")
        aucs.append(roc_auc_score(y, scores))
    assert 0.4 < aucs[0] < 0.6
    assert aucs[1] > 0.68


# Rows just seen ----------------------------------------------------------------------------


def test_rows_of_the_last_block_get_vectors_of_their_own_fold_in_any_container() -> None:
    blocks = make_blocks()
    encoder = grown(blocks[:2])
    X, y = blocks[2]
    weights = np.ones(len(X))
    weights[5:9] = 0
    encoder.partial_fit(X, y, sample_weight=weights)
    vectors = encoder.transform_training(X)
    np.testing.assert_array_equal(encoder.transform_training(pl.from_pandas(X)), vectors)
    own = encoder.fold_
    assert own[5:9].tolist() == [-1] * 4
    np.testing.assert_array_equal(vectors[5:9], encoder.transform(X)[5:9])
    table = encoder._model.tables[0]
    codes = table.vocabulary.encode(encoder._read(X).columns[0])
    taught = own >= 0
    expected = table.stack[own[taught], codes[taught]]
    np.testing.assert_array_equal(vectors[taught, : table.width], expected)
    frame = encoder.set_output(transform="pandas").transform_training(X)
    assert frame.columns.tolist() == encoder.get_feature_names_out().tolist()
    assert frame.index.equals(X.index)


def test_other_rows_than_the_last_are_refused() -> None:
    blocks = make_blocks()
    encoder = grown(blocks)
    X = blocks[2][0]
    for other in (blocks[0][0], X[::-1], X[:-1], X.assign(size=X["size"] + 1e-9)):
        with pytest.raises(InvalidDataError, match=r"rows of the last partial_fit, in their order"):
            encoder.transform_training(other)
    with pytest.raises(InvalidDataError, match="use fit_transform"):
        encoder.fit(*blocks[0]).transform_training(blocks[0][0])


# Going on ----------------------------------------------------------------------------------


@pytest.mark.parametrize("head", ["mlp", "dot"])
def test_vectors_stay_as_near_to_those_of_the_call_before_as_the_network_allows(head: str) -> None:
    X, y = make_rows(240)
    encoder = make_encoder(head=head, dimensions=3, max_iter=6).partial_fit(X, y)
    before = pickle.loads(pickle.dumps(encoder))
    encoder.partial_fit(X, y)
    now = encoder.transform(X)
    np.testing.assert_allclose(align(encoder, before).transform(X), now, atol=1e-5)
    spread = np.linalg.norm(now - now.mean(axis=0))
    assert 0 < np.linalg.norm(now - before.transform(X)) < 0.7 * spread


@pytest.mark.parametrize(
    "params",
    [{}, {"loss": "poisson"}, {"y_range": (0.0, 900.0)}, {"head": "dot", "dimensions": 2}],
    ids=str,
)
def test_other_units_of_target_and_numbers_leave_predictions_as_they_are(
    params: dict[str, Any],
) -> None:
    X, y = make_rows(300)
    y = np.exp(y / 2)
    model = EntityEmbeddingRegressor(
        max_iter=8, hidden_layer_sizes=(8,), random_state=0, interactions=None, **params
    )
    model.partial_fit(X, y)
    before, scale = model.predict(X), model._model.scale
    model.set_params(learning_rate_init=1e-12)
    other = X.assign(size=3 * X["size"] + 1)
    model.partial_fit(other, 30 * y)
    after = model._model
    assert after.scale.width[0] > 5 * scale.width[0]
    assert len(after.scaling.knots[0]) > 400
    # nothing was learned; numbers are expressed by others up to the bends between knots
    assert np.corrcoef(model.predict(X), before)[0, 1] > 0.99
    assert np.abs(model.predict(X) - before).mean() < 0.1 * before.std()


def test_kept_rows_are_an_even_sample_that_stands_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growing, "KEPT", 100)
    X, y = make_rows(800)
    X = X.assign(size=np.arange(800.0))
    encoder = make_encoder(max_iter=1)
    for at in range(0, 800, 160):
        seen = watch_training(lambda a=at: encoder.partial_fit(X[a : a + 160], y[a : a + 160]))
        assert len(encoder._growth.kept) == 100
    kept = encoder._growth.kept
    assert kept.share == pytest.approx(100 / 800, rel=0.3)
    assert np.bincount((kept.numbers[:, 0] // 160).astype(int), minlength=5).min() >= 10
    assert len(seen.rows.weights) == 260
    stands_for = seen.rows.weights[160:] / seen.rows.weights[:160].mean()
    assert stands_for.sum() == pytest.approx(640, rel=0.3)
    np.testing.assert_allclose(seen.start.shrinks, 260 / (160 + stands_for.sum()), rtol=1e-6)


@pytest.mark.parametrize("way", ["pickle", "save"])
def test_a_stored_estimator_goes_on_to_the_same_bits(way: str, tmp_path: Any) -> None:
    blocks = make_blocks()
    for X, _ in blocks:
        words = [[v, "z"][: i % 3] for i, v in enumerate(X["letter"])]
        X["words"] = pd.Series(words, index=X.index)
    params = {"interactions": [("letter", "color")], "handle_missing": "nan"}
    encoder = grown(blocks[:2], **params)
    if way == "save":
        save(encoder, tmp_path / "grown")
        stored = load(tmp_path / "grown")
    else:
        stored = pickle.loads(pickle.dumps(encoder))
    np.testing.assert_array_equal(
        stored.transform_training(blocks[1][0]), encoder.transform_training(blocks[1][0])
    )
    for one in (encoder, stored):
        one.partial_fit(*blocks[2])
    for a, b in zip(encoder._model.tables, stored._model.tables, strict=True):
        np.testing.assert_array_equal(a.stack, b.stack)


def test_fit_starts_afresh_and_partial_fit_after_it_goes_on() -> None:
    blocks = make_blocks()
    encoder = grown(blocks).fit(*blocks[0])
    fresh = make_encoder().fit(*blocks[0])
    assert vars(encoder).keys() == vars(fresh).keys()
    np.testing.assert_array_equal(encoder.transform(blocks[0][0]), fresh.transform(blocks[0][0]))
    seen = watch_training(lambda: encoder.partial_fit(*blocks[1]))
    assert encoder.category_counts_["letter"].sum() == 160
    known = fresh._model.tables[0].stack[0, N_RESERVED:]
    assert (seen.before[0][0][:, None] == known).all(axis=2).any(axis=0).all()
    assert len(encoder.partial_fit(*blocks[2]).transform_training(blocks[2][0])) == 80


def test_frozen_vectors_stay_and_new_categories_learn() -> None:
    blocks = make_blocks()
    vectors = pd.DataFrame(np.eye(5, 3), index=list("abcde"))
    encoder = grown(blocks, init={"letter": vectors}, freeze=["letter"], max_iter=4)
    learned = encoder.embeddings_["letter"]
    assert encoder._growth.shrinks == (False, True)
    np.testing.assert_allclose(learned.loc[list("abcde")], vectors, atol=1e-6)
    assert {"c'", "d'", "e'"} <= set(learned.index)
    unknown = encoder._model.tables[0].vectors[UNKNOWN]
    assert np.abs(learned.loc["e'"] - unknown).max() > 1e-3


# What does not go on -----------------------------------------------------------------------


def unchanged(estimator: Any, call: Any, error: Any, message: str) -> None:
    """Check that a call is refused and leaves the estimator as it was."""
    before = dict(vars(estimator))
    with pytest.raises(error, match=message):
        call()
    assert vars(estimator).keys() == before.keys()
    assert all(vars(estimator)[name] is before[name] for name in before)


def test_classes_are_needed_once_and_stay() -> None:
    X, y = make_rows(60)
    labels = np.where(y > 0, "hot", "cold")
    model = EntityEmbeddingClassifier(max_iter=1, random_state=0)
    for one in (model, make_encoder(), make_encoder(target_type="binary")):
        unchanged(
            one,
            lambda e=one: e.partial_fit(X, labels),
            InvalidParameterError,
            "classes must be passed on the first call to partial_fit",
        )
    every = ["cold", "hot", "mild"]
    model.partial_fit(X, labels, classes=every)
    model.partial_fit(X, np.full(60, "hot"))
    assert model.predict_proba(X).shape == (60, 3)
    cases: list[tuple[Any, Any, Any, str]] = [
        (labels, ["cold", "hot"], InvalidParameterError, "not the same as on last call"),
        (np.where(y > 0, "warm", "hot"), None, InvalidDataError, "'warm', which is not one of"),
        (y[:, None] > [0, 1], None, InvalidDataError, r"y has 2 column\(s\), but had 1"),
    ]
    for target, classes, error, message in cases:
        call = lambda t=target, c=classes: model.partial_fit(X, t, classes=c)  # noqa: E731
        unchanged(model, call, error, message)
    regressor = EntityEmbeddingRegressor()
    with pytest.raises(InvalidParameterError, match="y holds quantities; leave them out"):
        regressor.partial_fit(X, y, classes=[0, 1])
    with pytest.raises(InvalidParameterError, match="one class only"):
        make_encoder().partial_fit(X, labels, classes=["cold"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hidden_layer_sizes": (7,)}, r"parameters have changed.*hidden_layer_sizes=\(7,\)"),
        ({"cv": 4}, r"parameters have changed.*cv=4"),
        ({"n_members": 2}, "`n_members` is 2; use n_members=1"),
        ({"cv": KFold(3)}, "`cv` is KFold.*give the number of folds"),
        ({"max_iter": 0}, "'max_iter' parameter"),
    ],
)
def test_parameters_that_have_to_stay_are_named(change: dict[str, Any], message: str) -> None:
    blocks = make_blocks()
    encoder = grown(blocks[:1]).set_params(**change)
    unchanged(encoder, lambda: encoder.partial_fit(*blocks[1]), ValueError, message)


@pytest.mark.parametrize(
    "change", [{"hidden_layer_sizes": (7, 4)}, {"loss": "poisson"}, {"head": "dot"}]
)
def test_another_network_than_that_of_a_fit_is_refused(change: dict[str, Any]) -> None:
    X, y = make_rows(60)
    encoder = make_encoder(hidden_layer_sizes=(6, 4)).fit(X, y).set_params(**change)
    message = next(iter(change))
    unchanged(encoder, lambda: encoder.partial_fit(X, y**2), ValueError, f"previous fit.*{message}")


def test_checkpoints_are_refused() -> None:
    encoder = make_encoder()
    encoder.checkpoint = "folder"
    with pytest.raises(InvalidParameterError, match="partial_fit writes no checkpoints"):
        encoder.partial_fit(*make_rows(60))


def test_lists_in_a_column_that_was_all_missing_are_refused() -> None:
    X, y = make_rows(60)
    encoder = make_encoder(target_type="continuous")
    with pytest.warns(EmptyColumnWarning):
        encoder.partial_fit(X.assign(tags=None), y)
    later = X.assign(tags=[["a", "b"], ["c"], None] * 20)
    message = "'tags' had only missing values in the calls before, but holds lists now"
    unchanged(encoder, lambda: encoder.partial_fit(later, y), InvalidDataError, message)


def test_columns_that_differ_are_named() -> None:
    blocks = make_blocks()
    encoder = grown(blocks[:1], handle_missing="category")
    X, y = blocks[1]
    others = {
        "letter": (X.rename(columns={"letter": "sign"}), "feature names"),
        "size": (X.assign(size="big"), "Column 'size' must hold numbers"),
        "kind": (X.assign(letter=1), r"Column 'letter' held.*'a' \(str\).*1 \(int\)"),
        "lists": (X.assign(letter=[["a"]] * len(X)), "Column 'letter' held single values"),
    }
    for other, message in others.values():
        unchanged(encoder, lambda o=other: encoder.partial_fit(o, y), ValueError, message)


def test_ctrl_c_leaves_the_estimator_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = make_blocks()
    encoder, first = grown(blocks[:1]), make_encoder()

    def interrupted(self: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(CrossFitting, "iteration", interrupted)
    for one in (encoder, first):
        call = lambda e=one: e.partial_fit(*blocks[1])  # noqa: E731
        unchanged(one, call, KeyboardInterrupt, "has learned nothing from this block")


def test_a_single_row_is_enough_only_later() -> None:
    X, y = make_rows(60)
    for params, message in (({}, "at least two samples"), ({"cross_fit": False}, "two samples")):
        encoder = make_encoder(**params)
        with pytest.raises(InvalidDataError, match=message):
            encoder.partial_fit(X[:1], y[:1])
        encoder.partial_fit(X[:2], y[:2]).partial_fit(X[:1], y[:1]).partial_fit(X[5:6], y[5:6])
        assert np.isfinite(encoder.transform(X)).all()
