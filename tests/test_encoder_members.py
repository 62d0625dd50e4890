"""Members: several trainings in one space."""

from __future__ import annotations

import pickle
import warnings
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from onnxruntime import InferenceSession
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import KFold, cross_val_predict

import sk_entity_embed.learning.learn as learning
from sk_entity_embed import EntityEmbeddingClassifier, EntityEmbeddingEncoder, _estimator
from sk_entity_embed import EntityEmbeddingRegressor as Regressor
from sk_entity_embed.exceptions import (
    FoldsReducedWarning,
    InvalidParameterError,
    TrainingInterruptedWarning,
)
from sk_entity_embed.export import load, save, to_onnx
from sk_entity_embed.fitting.building import Member, build_model
from sk_entity_embed.input.vocabulary import N_RESERVED
from sk_entity_embed.inspection import drift
from sk_entity_embed.learning.crossfit import CrossFitting
from sk_entity_embed.model.symmetry import Motion
from tests.samples import make_encoder, make_rows, of_own_heads, set_heads

Rows = tuple[pd.DataFrame, np.ndarray]
BOTH: dict[str, Any] = {"n_members": 3, "output": "both", "remainder": "passthrough", "max_iter": 4}


@pytest.mark.parametrize(("n_heads", "heads"), [(5, [0, 1, 2, 3, 4]), (2, [0, 0, 0, 1, 1])])
def test_training_rows_get_the_mean_of_what_their_own_folds_give(
    n_heads: int, heads: list[int], rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    X, y = rows
    set_heads(monkeypatch, n_heads)
    encoder = make_encoder(**BOTH)
    out = encoder.fit_transform(X, y)
    model, folds = encoder._model, encoder.fold_
    assert folds.shape == (len(X), 3)
    assert model.head.folds.tolist() == [g + n_heads * i for i in range(3) for g in heads]
    assert model.head.n_heads == 3 * n_heads
    assert [t.stack.shape[0] for t in model.tables] == [16] * len(model.tables)
    parts, context = [], model.scaling.apply(X[["size"]].to_numpy())
    codes = model.code(encoder._read(X)).codes
    for fold in folds.T:
        vectors = np.hstack([t.stack[fold, c] for t, c in zip(model.tables, codes, strict=True)])
        hidden = of_own_heads("hidden", model.head, vectors, context, fold)
        parts.append(np.hstack([vectors, hidden, X[["size"]]]))
    np.testing.assert_allclose(out, np.mean(parts, axis=0), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(out[:, -1], X["size"].astype(np.float32))
    assert np.std(parts[0] - parts[1], axis=0)[:-1].max() > 1e-3


def test_predictions_of_training_rows_are_the_mean_of_those_of_their_own_folds(rows: Rows) -> None:
    X, y = rows
    encoder = make_encoder(n_members=2, output="stacking")
    out = encoder.fit_transform(X, y)
    model = encoder._model
    coded = model.code(encoder._read(X))
    raws = [model.raw(coded, fold=fold)[:, 0] for fold in encoder.fold_.T]
    np.testing.assert_allclose(out[:, -1], np.mean(raws, axis=0), rtol=1e-5, atol=1e-6)
    assert np.abs(raws[0] - raws[1]).max() > 1e-3


def test_a_row_is_given_the_tables_that_were_trained_without_it(
    rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[np.ndarray] = []
    original = learning.learn

    def spy(tables: Any, rows: Any, *args: Any) -> Any:
        trained.append(rows.fold.copy())
        return original(tables, rows, *args)

    monkeypatch.setattr(learning, "learn", spy)
    encoder = make_encoder(n_members=3).fit(*rows)
    for k, fold in enumerate(trained):
        np.testing.assert_array_equal(encoder.fold_[:, k], fold + 5 * k)
    agreement = [np.mean(trained[0] == other) for other in trained[1:]]
    assert max(agreement) < 0.4
    np.testing.assert_array_equal(make_encoder().fit(*rows).fold_, trained[0])


def test_no_target_reaches_the_hidden_layer_of_its_row_in_any_member(rows: Rows) -> None:
    """With vectors that stay as they are, nothing else could carry it there.

    But for the common scale, and what all rows of a fold are moved by, to the mean of other heads.
    """
    X, y = rows
    params = {"freeze": True, "early_stopping": False, "interactions": None, "max_iter": 6}
    encoders = [make_encoder(n_members=2, hidden_layer_sizes=(8,), **params) for _ in range(2)]
    folds = encoders[0].fit(X, y).fold_
    own = (folds == folds[0]).all(axis=1)
    swapped = y.copy()
    swapped[own] = y[own][::-1]  # same mean and width
    np.testing.assert_array_equal(encoders[1].fit(X, swapped).fold_, folds)
    for fold in folds.T:
        before, after = (_hidden(encoder, X, fold) for encoder in encoders)
        before, after = (out - out[own].mean(axis=0) for out in (before, after))
        before, after = (out / np.abs(out[own]).max() for out in (before, after))
        np.testing.assert_allclose(after[own], before[own], rtol=1e-5, atol=1e-6)
        assert np.abs(after[~own] - before[~own]).max() > 1e-3


def _hidden(encoder: EntityEmbeddingEncoder, X: pd.DataFrame, fold: np.ndarray) -> np.ndarray:
    model = encoder._model
    out = np.empty((len(X), model.head.n_hidden))
    model.hidden(model.code(encoder._read(X)), out, fold=fold)
    return out


def test_ids_that_occur_once_are_all_given_one_vector(rows: Rows) -> None:
    X, y = rows
    X = X.assign(letter=[f"{c} {i}" for i, c in enumerate(X["letter"])])
    encoder = make_encoder(n_members=3, max_iter=4, dimensions=3, unknown_rate=0.1)
    out = encoder.fit_transform(X, y)[:, :3]
    assert (out == out[0]).all()
    assert np.abs(out).max() > 0


def test_noise_stays_noise() -> None:
    random = np.random.default_rng(0)
    X = pd.DataFrame({"noise": random.integers(0, 200, 600).astype(str), "one": "a"})
    y = random.integers(0, 2, 600)
    encoder = make_encoder(
        n_members=3, early_stopping=False, max_iter=15, learning_rate_init=0.02, output="both"
    )
    out = encoder.fit_transform(X, y)
    model = LogisticRegression(max_iter=1000)
    scores = cross_val_predict(model, out, y, cv=KFold(5), method="decision_function")
    assert 0.42 < roc_auc_score(y, scores) < 0.58


@pytest.mark.parametrize("params", [{}, {"head": "dot"}], ids=str)
def test_members_turned_away_from_the_first_come_back(
    params: dict[str, Any], rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[Any] = []

    def spy(members: list[Member], *args: Any) -> Any:
        kept.append((deepcopy(members), args))
        return build_model(members, *args)

    monkeypatch.setattr(_estimator, "build_model", spy)
    encoder = make_encoder(dimensions=3, max_iter=6, **params).fit(*rows)
    ((first,), args) = kept[0]
    rotation = np.linalg.qr(np.random.default_rng(0).standard_normal((3, 3)))[0]
    shift = np.zeros(3) if "head" in params else np.ones(3)
    motions = [Motion(rotation, shift)] * len(first.columns.stacks)
    width = 3 + first.head.biased
    edges = [width * j for j in range(len(motions) + 1)]
    stacks = [m.apply(s) for m, s in zip(motions, first.columns.stacks, strict=True)]
    turned = Member(first.head.moved(motions, edges), replace(first.columns, stacks=stacks))
    alone = encoder._model
    both = build_model([first, turned], *args)
    for one, two in zip(alone.tables, both.tables, strict=True):
        # of an axis along which the unknown vector alone differs, the sign is free
        np.testing.assert_allclose(two.vectors[N_RESERVED:], one.vectors[N_RESERVED:], atol=1e-4)
    coded = alone.code(encoder._read(rows[0]))
    np.testing.assert_allclose(both.raw(coded), alone.raw(coded), atol=1e-4)


def test_fits_of_several_members_differ_less() -> None:
    random = np.random.default_rng(0)
    level = random.integers(0, 40, 800)
    X = pd.DataFrame({"level": level.astype(str), "other": random.integers(0, 4, 800).astype(str)})
    y = random.standard_normal(40)[level] + random.standard_normal(800)
    moved = {}
    for n_members in (1, 4):
        one, other = (
            make_encoder(
                n_members=n_members,
                random_state=seed,
                max_iter=15,
                learning_rate_init=0.02,
                interactions=None,
            )
            for seed in (0, 1)
        )
        found = drift(one.fit(X, y), other.fit(X, y), "level", k=5)
        moved[n_members] = found["relative_movement"].mean(), -found["neighbor_overlap"].mean()
    assert moved[4] < moved[1]
    assert moved[4][1] < moved[1][1]


def test_the_same_seed_gives_the_same_bytes_with_one_thread_or_two(
    rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = make_encoder(**BOTH).fit_transform(*rows)
    assert make_encoder(**BOTH).fit_transform(*rows).tobytes() == first.tobytes()
    monkeypatch.setattr(learning, "_SHARED_PRODUCTS", 1)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert make_encoder(**BOTH).fit_transform(*rows).tobytes() == first.tobytes()
    finally:
        torch.set_num_threads(before)


def test_without_cross_fitting_fit_transform_is_fit_and_transform(rows: Rows) -> None:
    encoder = make_encoder(cross_fit=False, **BOTH)
    out = encoder.fit_transform(*rows)
    np.testing.assert_array_equal(out, encoder.transform(rows[0]))
    assert encoder.fold_ is None


@pytest.mark.parametrize("n_heads", [5, 2])
@pytest.mark.parametrize("params", [{}, {"head": "dot"}, {"cross_fit": False}], ids=str)
def test_files_and_onnx_models_of_members_answer_alike(
    params: dict[str, Any],
    n_heads: int,
    rows: Rows,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    X, y = rows
    set_heads(monkeypatch, n_heads)
    output = {} if "head" in params else {"output": "both"}
    encoder = make_encoder(n_members=2, **output, **params).fit(X, y)
    expected = encoder.transform(X)
    save(encoder, tmp_path / "members")
    for again in (load(tmp_path / "members"), pickle.loads(pickle.dumps(encoder))):
        np.testing.assert_array_equal(again.transform(X), expected)
        assert again.get_params()["n_members"] == 2
    session = InferenceSession(to_onnx(encoder).SerializeToString())
    given = {name: X[[name]].to_numpy() for name in X}
    given["size"] = given["size"].astype(np.float64)
    np.testing.assert_allclose(session.run(None, given)[0], expected, rtol=1e-5, atol=1e-6)
    vectors = make_encoder(n_members=2, **params).fit(X, y)
    back = vectors.inverse_transform(vectors.transform(X))
    np.testing.assert_array_equal(back, X[["letter", "color"]])


def test_predictions_are_those_of_all_members_heads(rows: Rows, tmp_path: Path) -> None:
    X, y = rows
    model = Regressor(n_members=2, max_iter=3, random_state=0).fit(X, y)
    coded = model._code(X)
    vectors = np.empty((len(X), model._model.edges[-1]), dtype=np.float32)
    model._model.embed(coded.codes, vectors)
    context = model._model.scaling.apply(coded.numbers)
    folds = (np.full(len(X), k) for k in range(10))
    raws = [of_own_heads("raw", model._model.head, vectors, context, fold) for fold in folds]
    np.testing.assert_allclose(model._model.raw(coded), np.mean(raws, axis=0), atol=1e-6)
    numbers = Regressor(n_members=2, max_iter=3, random_state=0).fit(X[["size"]], y)
    save(numbers, tmp_path / "numbers")
    np.testing.assert_array_equal(
        load(tmp_path / "numbers").predict(X[["size"]]), numbers.predict(X[["size"]])
    )
    assert EntityEmbeddingClassifier(n_members=2, max_iter=2).fit(X, y > 0).score(X, y > 0) > 0.5


def test_lists_have_members_unless_their_pooling_learns(rows: Rows) -> None:
    X, y = rows
    X = X.assign(letter=[[a, b] for a, b in zip(X["letter"], X["color"], strict=True)])
    for pooling in ("mean", "sum", "max"):
        out = make_encoder(n_members=2, pooling=pooling).fit_transform(X, y)
        assert np.isfinite(out).all()
    with pytest.raises(InvalidParameterError, match=r"`n_members`=2 .*'gru' for column 'letter'"):
        make_encoder(n_members=2, pooling="gru").fit(X, y)


def test_what_has_one_training_refuses_members(rows: Rows) -> None:
    with pytest.raises(InvalidParameterError, match=r"warm_start=True .*`n_members` is 2"):
        make_encoder(n_members=2, warm_start=True).fit(*rows)
    with pytest.raises(InvalidParameterError, match=r"`n_members`=2 .*head='dot'.*freeze=False"):
        make_encoder(n_members=2, head="dot", freeze=["letter"]).fit(*rows)


def test_frozen_vectors_come_out_exactly(rows: Rows) -> None:
    given = pd.DataFrame(np.eye(5, 2), index=list("abcde"))
    encoder = make_encoder(n_members=2, init={"letter": given}, freeze=["letter"])
    out = encoder.fit_transform(*rows)
    np.testing.assert_array_equal(out[:, :2], given.loc[rows[0]["letter"]])


def test_folds_that_are_given_are_those_of_all_members(rows: Rows) -> None:
    cv = iter([(None, np.arange(len(rows[1]))[k::3]) for k in range(3)])
    fold = make_encoder(n_members=2, cv=cv).fit(*rows).fold_
    np.testing.assert_array_equal(fold[:, 1], fold[:, 0] + 3)


def test_what_members_have_in_common_is_warned_of_once() -> None:
    X, y = make_rows(4)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        make_encoder(n_members=3).fit(X, y)
    assert [w.category for w in caught].count(FoldsReducedWarning) == 1


def test_rows_of_zero_weight_are_in_no_fold_of_any_member(rows: Rows) -> None:
    X, y = rows
    weight = np.arange(len(y)) % 7 > 0
    encoder = make_encoder(n_members=2)
    out = encoder.fit_transform(X, y, sample_weight=weight)
    assert ((encoder.fold_ == -1) == ~weight[:, None]).all()
    np.testing.assert_array_equal(out[~weight], encoder.transform(X)[~weight])


def test_progress_names_the_member(rows: Rows, capfd: pytest.CaptureFixture[str]) -> None:
    make_encoder(n_members=2, verbose=1).fit(*rows)
    shown = capfd.readouterr().err
    assert "member 1 of 2" in shown
    assert "member 2 of 2" in shown


@pytest.mark.parametrize(("epoch", "kept"), [(3, 1), (4, 2)])
def test_ctrl_c_keeps_the_members_so_far(
    epoch: int, kept: int, monkeypatch: pytest.MonkeyPatch, rows: Rows
) -> None:
    original, runs = CrossFitting.iteration, []

    def interrupted(self: Any) -> Any:
        runs.append(1)
        if len(runs) == epoch:
            raise KeyboardInterrupt
        return original(self)

    monkeypatch.setattr(CrossFitting, "iteration", interrupted)
    encoder = make_encoder(n_members=3)
    with pytest.warns(TrainingInterruptedWarning, match="member 2 of 3"):
        out = encoder.fit_transform(*rows)
    assert np.isfinite(out).all()
    assert encoder.fold_.shape == ((len(out),) if kept == 1 else (len(out), kept))
