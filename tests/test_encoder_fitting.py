"""Folds, leakage, determinism, stopping, going on, and given vectors."""

from __future__ import annotations

import pickle
import warnings
from contextlib import nullcontext
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from category_encoders import JamesSteinEncoder
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import KFold, TimeSeriesSplit, cross_val_predict
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from skrub import StringEncoder

from sk_entity_embed import EntityEmbeddingEncoder
from sk_entity_embed.exceptions import (
    InvalidDataError,
    InvalidParameterError,
    LeakageWarning,
    RareClassWarning,
    TrainingInterruptedWarning,
    UnmatchedCategoriesWarning,
)
from sk_entity_embed.fitting import preparation
from sk_entity_embed.input.vocabulary import INFREQUENT, UNKNOWN
from sk_entity_embed.learning import crossfit
from sk_entity_embed.learning.crossfit import CrossFitting
from tests.samples import (
    head_of_fold,
    make_encoder,
    make_rows,
    of_own_heads,
    set_heads,
    watch_learning,
    watch_training,
)

N = 240
Rows = tuple[pd.DataFrame, np.ndarray]


@pytest.fixture(scope="module")
def trained(rows: Rows) -> tuple[EntityEmbeddingEncoder, np.ndarray]:
    """An encoder that stopped early, and what its fit_transform gave."""
    encoder = make_encoder(
        max_iter=80, learning_rate_init=0.05, n_iter_no_change=3, hidden_layer_sizes=(8,)
    )
    return encoder, encoder.fit_transform(*rows)


# Cross-fitting -----------------------------------------------------------------------------


@pytest.mark.parametrize("cv", [5, KFold(3), np.int64(4)])
def test_fold_is_a_partition_of_the_rows(cv: Any, rows: Rows) -> None:
    encoder = make_encoder(cv=cv, max_iter=1).fit(*rows)
    n_folds = cv.get_n_splits() if isinstance(cv, KFold) else cv
    sizes = np.bincount(encoder.fold_)
    assert encoder.fold_.shape == (N,)
    assert len(sizes) == n_folds
    assert sizes.max() - sizes.min() <= 1
    assert encoder._model.tables[0].stack.shape[0] == n_folds + 1
    if not isinstance(cv, KFold):  # rows are drawn
        assert np.abs(np.diff(encoder.fold_)).sum() > N / 2


def test_training_rows_get_the_vectors_of_their_own_folds_tables(rows: Rows) -> None:
    X, y = rows
    encoder = make_encoder(output="both", max_iter=4)
    out = encoder.fit_transform(X, y)
    expected = []
    for table, name in zip(encoder._model.tables, ["letter", "color"], strict=True):
        lookup = dict(zip(table.vocabulary.categories, table.vocabulary.rows, strict=True))
        expected.append(table.stack[encoder.fold_, [lookup[v] for v in X[name]]])
    vectors = np.hstack(expected)
    np.testing.assert_array_equal(out[:, : vectors.shape[1]], vectors)
    assert np.abs(out - encoder.transform(X)).max() > 1e-3
    # the hidden layer, too, is that of the own fold's vectors, and of the head that never saw them
    head, width = encoder._model.head, vectors.shape[1]
    context = encoder._model.scaling.apply(X[["size"]].to_numpy())
    hidden = of_own_heads("hidden", head, vectors, context, encoder.fold_)
    np.testing.assert_allclose(out[:, width:], hidden, rtol=1e-5, atol=1e-6)
    alone = make_encoder(output="hidden", max_iter=4).fit_transform(X, y)
    np.testing.assert_array_equal(alone, out[:, width:])
    predictions = make_encoder(output="stacking", max_iter=4).fit_transform(X, y)[:, width:]
    raw = of_own_heads("raw", head, vectors, context, encoder.fold_)
    np.testing.assert_allclose(predictions, raw, rtol=1e-5, atol=1e-6)
    # new rows get the mean of all heads
    new = encoder.transform(X)
    heads = [head_of_fold(head, k).hidden(new[:, :width], context) for k in range(5)]
    np.testing.assert_allclose(new[:, width:], np.mean(heads, axis=0), rtol=1e-5, atol=1e-6)
    assert np.std(heads, axis=0).max() > 1e-3


@pytest.mark.parametrize("fold", [0, 3])
def test_no_target_of_a_fold_reaches_the_hidden_layer_of_its_rows(fold: int, rows: Rows) -> None:
    """With vectors that stay as they are, nothing else could carry it there."""
    X, y = rows
    params = {"freeze": True, "early_stopping": False, "output": "hidden", "max_iter": 6}
    encoders = [make_encoder(hidden_layer_sizes=(8, 6), **params) for _ in range(2)]
    before = encoders[0].fit_transform(X, y)
    own = encoders[0].fold_ == fold
    swapped = y.copy()
    swapped[own] = y[own][::-1]  # same mean and width
    after = encoders[1].fit_transform(X, swapped)
    np.testing.assert_array_equal(encoders[1].fold_, encoders[0].fold_)
    # all but the scale, which is that of all rows, and what moves a fold to the mean of other heads
    before, after = (out - out[own].mean(axis=0) for out in (before, after))
    before, after = (out / np.abs(out[own]).max() for out in (before, after))
    np.testing.assert_allclose(after[own], before[own], rtol=1e-5, atol=1e-6)
    assert np.abs(after[~own] - before[~own]).max() > 1e-2


@pytest.mark.parametrize(("n_heads", "heads"), [(2, [0, 0, 0, 1, 1]), (3, [0, 0, 1, 1, 2])])
def test_with_fewer_heads_than_folds_training_rows_get_that_of_their_fold(
    n_heads: int, heads: list[int], rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    X, y = rows
    set_heads(monkeypatch, n_heads)
    encoder = make_encoder(output="both", max_iter=4)
    out = encoder.fit_transform(X, y)
    head, width = encoder._model.head, encoder._model.edges[-1]
    assert head.folds.tolist() == heads
    assert head.n_heads == n_heads
    context = encoder._model.scaling.apply(X[["size"]].to_numpy())
    hidden = of_own_heads("hidden", head, out[:, :width], context, encoder.fold_)
    np.testing.assert_allclose(out[:, width:], hidden, rtol=1e-5, atol=1e-6)
    stacking = make_encoder(output="stacking", max_iter=4).fit_transform(X, y)
    np.testing.assert_array_equal(stacking[:, :width], out[:, :width])
    raw = of_own_heads("raw", head, out[:, :width], context, encoder.fold_)
    np.testing.assert_allclose(stacking[:, width:], raw, rtol=1e-5, atol=1e-6)
    # new rows get the mean of all heads, each of which counts once
    new = encoder.transform(X)
    each = [head_of_fold(head, heads.index(g)) for g in range(n_heads)]
    hidden = np.mean([h.hidden(new[:, :width], context) for h in each], axis=0)
    np.testing.assert_allclose(new[:, width:], hidden, rtol=1e-5, atol=1e-6)
    assert np.ptp([h.hidden(new[:, :width], context) for h in each], axis=0).max() > 1e-3


@pytest.mark.parametrize("fold", [0, 4])
@pytest.mark.parametrize("output", ["both", "stacking"])
def test_with_fewer_heads_no_target_of_a_fold_reaches_rows_of_the_same_head(
    output: str, fold: int, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As above; a head serves several folds, and has learned from none of them."""
    X, y = rows
    set_heads(monkeypatch, 2)
    params = {"freeze": True, "early_stopping": False, "max_iter": 6, "output": output}
    encoders = [make_encoder(hidden_layer_sizes=(8, 6), **params) for _ in range(2)]
    before = encoders[0].fit_transform(X, y)
    folds = encoders[0].fold_
    swapped = y.copy()
    swapped[folds == fold] = y[folds == fold][::-1]  # same mean and width
    after = encoders[1].fit_transform(X, swapped)
    np.testing.assert_array_equal(encoders[1].fold_, folds)
    heads = encoders[1]._model.head.folds
    assert heads.tolist() == [0, 0, 0, 1, 1]
    width = encoders[0]._model.edges[-1]
    np.testing.assert_array_equal(after[:, :width], before[:, :width])
    before, after = before[:, width:], after[:, width:]
    own = heads[folds] == heads[fold]
    before, after = (out - out[own].mean(axis=0) for out in (before, after))
    before, after = (out / np.abs(out[own]).max() for out in (before, after))
    np.testing.assert_allclose(after[own], before[own], rtol=1e-4, atol=1e-5)
    assert np.abs(after[~own] - before[~own]).max() > 1e-2


@pytest.mark.parametrize(("first", "second"), [(5, 2), (2, 5), (3, 2)])
def test_of_the_same_rows_the_head_of_each_fold_goes_on_whatever_their_number(
    first: int, second: int, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another one would have seen the fold."""
    X, y = rows
    encoder = make_encoder(warm_start=True, learning_rate_init=1e-9)
    set_heads(monkeypatch, first)
    head = encoder.fit(X, y)._model.head
    set_heads(monkeypatch, second)
    again = encoder.fit(X, y)._model.head
    assert again.n_heads == first
    np.testing.assert_array_equal(again.folds, head.folds)
    with pytest.warns(LeakageWarning):  # of other folds no head is free
        assert encoder.set_params(cv=4).fit(X, y)._model.head.n_heads == min(second, 4)


@pytest.mark.parametrize("n_heads", [5, 2])
@pytest.mark.parametrize("params", [{}, {"n_members": 2}, {"hidden_layer_sizes": (6,)}], ids=str)
@pytest.mark.parametrize("output", ["both", "stacking"])
def test_heads_do_not_tell_the_fold_of_rows_that_are_all_unknown(
    output: str,
    params: dict[str, Any],
    n_heads: int,
    rows: Rows,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ids that occur once are unknown to the tables of their rows: all rows look alike."""
    set_heads(monkeypatch, n_heads)
    X = pd.DataFrame({"id": [f"id {i}" for i in range(len(rows[1]))]})
    out = make_encoder(max_iter=4, output=output, **params).fit_transform(X, rows[1])
    assert (out == out[0]).all()
    assert np.abs(out).max() > 0


@pytest.mark.parametrize("params", [{}, {"pooling": "max"}, {"head": "dot"}], ids=str)
def test_unknown_vectors_of_training_rows_do_not_tell_their_fold(
    params: dict[str, Any], rows: Rows
) -> None:
    X, y = rows
    X = X.assign(letter=[f"{c} {i}" for i, c in enumerate(X["letter"])])  # each of them once
    if "pooling" in params:
        X["letter"] = [[v] for v in X["letter"]]
    encoder = make_encoder(max_iter=4, dimensions=3, unknown_rate=0.1, **params)
    out = encoder.fit_transform(X, y)[:, :3]
    assert (out == out[0]).all()
    stack = encoder._model.tables[0].stack
    assert (stack[:, UNKNOWN] == stack[0, UNKNOWN]).all()
    assert np.abs(stack[0, UNKNOWN]).max() > 0


def test_transform_gives_the_mean_of_the_fold_tables(
    trained: tuple[EntityEmbeddingEncoder, np.ndarray],
) -> None:
    for table in trained[0]._model.tables:
        mean = table.stack[:-1].mean(axis=0)
        used = [UNKNOWN, *table.vocabulary.label_rows]
        np.testing.assert_allclose(table.vectors[used], mean[used], atol=1e-6)


def test_a_folds_table_never_learns_from_its_own_rows(rows: Rows) -> None:
    X, y = rows
    encoder = make_encoder(early_stopping=False, unknown_rate=0.0, max_iter=1, dropout=0.0)
    before, after = _tables(encoder, X, y)
    assert np.abs(after - before).max() > 1e-4
    assert (before == before[:1]).all()
    # every level of fold 0's own lies in fold 0 alone, so that nothing moves it in table 0
    fold = encoder.fold_
    lonely = X.assign(letter=np.where(fold == 0, "only here", X["letter"]))
    split = [(np.flatnonzero(fold != g), np.flatnonzero(fold == g)) for g in range(5)]
    encoder = make_encoder(
        early_stopping=False, unknown_rate=0.0, max_iter=3, dropout=0.0, cv=split
    )
    before, after = _tables(encoder, lonely, y)
    row = encoder._model.tables[0].vocabulary.rows[-1]
    assert encoder.categories_["letter"][-1] == "only here"
    np.testing.assert_array_equal(after[0, row], before[0, row])
    assert (np.abs(after[1:, row] - before[1:, row]).max(axis=1) > 1e-4).all()


def _tables(
    encoder: EntityEmbeddingEncoder, X: pd.DataFrame, y: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Tables of the first column before and after training."""
    before, after = watch_learning(lambda: encoder.fit(X, y))
    return before[0], after[0]


def test_the_vector_of_a_row_does_not_hear_its_own_target() -> None:
    """Cross-fitting as a promise about leakage: pure noise stays noise."""
    random = np.random.default_rng(0)
    n = 600
    X = pd.DataFrame({"noise": random.integers(0, 200, n).astype(str), "one": "a"})
    y = random.integers(0, 2, n)
    aucs = {}
    for cross_fit in (True, False):
        encoder = make_encoder(
            cross_fit=cross_fit, early_stopping=False, max_iter=15, learning_rate_init=0.02,
            hidden_layer_sizes=(8,), dimensions=4,
        )  # fmt: skip
        out = StandardScaler().fit_transform(encoder.fit_transform(X, y))
        scores = cross_val_predict(
            LogisticRegression(), out, y, cv=KFold(5), method="decision_function"
        )
        aucs[cross_fit] = roc_auc_score(y, scores)
    assert 0.42 < aucs[True] < 0.58
    assert aucs[False] > 0.8


@pytest.mark.parametrize("early_stopping", [True, False])
def test_without_cross_fitting_fit_transform_is_fit_and_transform(
    early_stopping: bool, rows: Rows
) -> None:
    X, y = rows
    X = X.assign(letter=X["letter"] + (np.arange(N) // 4).astype(str))  # nearly all of them rare
    params = {"cross_fit": False, "output": "both", "early_stopping": early_stopping}
    encoder = make_encoder(**params)
    out = encoder.fit_transform(X, y)
    np.testing.assert_array_equal(out, make_encoder(**params).fit(X, y).transform(X))
    np.testing.assert_array_equal(out, encoder.transform(X))
    assert encoder.fold_ is None
    assert encoder._model.tables[0].stack.shape[0] == 1


# Folds given -------------------------------------------------------------------------------


def _thirds() -> list[tuple[np.ndarray, np.ndarray]]:
    return [(np.flatnonzero(np.arange(N) % 3 != g), np.arange(N)[g::3]) for g in range(3)]


def test_folds_may_be_given_as_splits(rows: Rows) -> None:
    cv = ((None, np.isin(np.arange(N), test)) for _, test in _thirds())
    np.testing.assert_array_equal(make_encoder(cv=cv).fit(*rows).fold_, np.arange(N) % 3)


@pytest.mark.parametrize(
    ("cv", "message"),
    [
        (TimeSeriesSplit(3), "60 rows are in none and 0 in several"),
        ([*_thirds(), _thirds()[0]], "0 rows are in none and 80 in several"),
        ([(None, np.arange(N))], "at least two test sets"),
        ([3, 4], "pairs of index arrays"),
    ],
)
def test_folds_that_are_no_partition_are_refused(cv: Any, message: str, rows: Rows) -> None:
    encoder = make_encoder(cv=cv)
    with pytest.raises(InvalidParameterError, match=f"`cv` .*{message}"):
        encoder.fit(*rows)
    assert not hasattr(encoder, "fold_")


def test_one_row_cannot_stop_early_without_cross_fitting_either() -> None:
    X, _ = make_rows(1)
    with pytest.raises(InvalidDataError, match="got 1 sample; set early_stopping=False"):
        make_encoder(cross_fit=False).fit(X, [0.5])
    encoder = make_encoder(cross_fit=False, early_stopping=False).fit(X, [0.5])
    assert encoder.transform(X).shape[0] == 1


def test_folds_that_weights_empty_are_refused() -> None:
    X, y = make_rows(60)
    weight = (np.arange(60) < 20).astype(float)
    with pytest.raises(InvalidParameterError, match="`cv` leaves rows of non-zero weight in fewer"):
        make_encoder(cv=list(KFold(3).split(X))).fit(X, y, sample_weight=weight)


@pytest.mark.parametrize(("head", "class_weight"), [("mlp", "balanced"), ("dot", None)])
def test_a_single_positive_keeps_five_folds_and_is_bearable(head: str, class_weight: Any) -> None:
    X, _ = make_rows(300)
    y = np.array(["no"] * 300)
    y[7] = "ok"
    encoder = make_encoder(head=head, class_weight=class_weight, cv=5, max_iter=6)
    with pytest.warns(RareClassWarning, match=r"5 folds: 'ok' \(1 member\)\.") as caught:
        out = encoder.fit_transform(X, y)
    assert len(caught) == 1
    assert sorted(set(encoder.fold_)) == [0, 1, 2, 3, 4]
    assert np.isfinite(out).all()
    assert np.abs(out).max() < 10
    assert np.isfinite(encoder.loss_curve_).all()


def test_a_single_label_among_labels_needs_no_warning(rows: Rows) -> None:
    X, _ = rows
    y = np.column_stack([np.arange(240) % 2, np.arange(240) == 0]).astype(int)
    encoder = make_encoder().fit(X, y)
    assert len(set(encoder.fold_)) == 5
    assert np.isfinite(encoder.transform(X)).all()


# Determinism -------------------------------------------------------------------------------


@pytest.mark.parametrize("cross_fit", [True, False])
def test_the_same_seed_gives_the_same_bytes(cross_fit: bool, rows: Rows) -> None:
    X, y = rows
    X = X.assign(size=X["size"].where(np.arange(N) % 7 > 0))
    params = {"cross_fit": cross_fit, "output": "both", "max_iter": 3}
    first, second = make_encoder(**params), make_encoder(**params)
    assert first.fit_transform(X, y).tobytes() == second.fit_transform(X, y).tobytes()
    for name in ("embeddings_", "loss_curve_", "validation_loss_curve_", "fold_", "categories_"):
        assert pickle.dumps(getattr(first, name)) == pickle.dumps(getattr(second, name))
    assert pickle.dumps(first) == pickle.dumps(second)


def test_different_seeds_differ(rows: Rows) -> None:
    X, y = rows
    first, second = make_encoder(random_state=0).fit(X, y), make_encoder(random_state=1).fit(X, y)
    assert not np.array_equal(first.fold_, second.fold_)
    assert not np.allclose(first.transform(X), second.transform(X), atol=1e-3)
    for state in (None, np.random.RandomState(0)):  # an object moves on
        one, other = (make_encoder(random_state=state).fit(X, y).transform(X) for _ in range(2))
        assert not np.allclose(one, other, atol=1e-3)
    again = make_encoder(random_state=np.random.RandomState(0)).fit_transform(X, y)
    state = np.random.RandomState(0)
    assert make_encoder(random_state=state).fit_transform(X, y).tobytes() == again.tobytes()


def test_fit_leaves_the_global_random_states_and_threads_alone(rows: Rows) -> None:
    import torch

    def state() -> tuple[Any, ...]:
        numpy_state = np.random.get_state()  # noqa: NPY002
        return (
            numpy_state[1].tolist(), numpy_state[2], torch.get_rng_state().tolist(),
            torch.get_num_threads(), torch.get_default_dtype(), torch.is_grad_enabled(),
        )  # fmt: skip

    torch.rand(3)
    before = state()
    make_encoder().fit(*rows)
    assert state() == before


# Stopping ----------------------------------------------------------------------------------


def test_training_stops_after_n_iter_no_change_epochs_without_a_gain(
    trained: tuple[EntityEmbeddingEncoder, np.ndarray],
) -> None:
    encoder, _ = trained
    assert encoder.n_iter_ < encoder.max_iter
    curve = encoder.validation_loss_curve_
    assert encoder.best_iteration_ == np.argmin(curve) + 1
    assert encoder.n_iter_ == len(curve) == len(encoder.loss_curve_)
    assert encoder.best_iteration_ <= encoder.n_iter_ < encoder.max_iter
    best, waited = curve[0], [0]
    for loss in curve[1:]:
        waited.append(0 if loss < best * (1 - encoder.tol) else waited[-1] + 1)
        best = min(best, loss)
    assert max(waited) >= 3
    stopped = waited.index(3) + 1
    # from the best state on, a few iterations with smaller steps follow
    assert len(curve) == stopped + max(1, round(0.2 * (np.argmin(curve[:stopped]) + 1)))


def test_tol_decides_what_a_gain_is(rows: Rows) -> None:
    params = {"max_iter": 12, "learning_rate_init": 0.02, "n_iter_no_change": 2}
    patient, hasty = make_encoder(tol=0.0, **params), make_encoder(tol=0.9, **params)
    assert hasty.fit(*rows).n_iter_ == 1 + 2 + 1  # one that counts, patience, and one at the end
    assert patient.fit(*rows).n_iter_ > 4


def test_without_early_stopping_every_epoch_is_run_and_the_last_kept(rows: Rows) -> None:
    encoder = make_encoder(early_stopping=False, max_iter=7, learning_rate_init=0.2).fit(*rows)
    assert encoder.n_iter_ == encoder.best_iteration_ == len(encoder.loss_curve_) == 7
    assert encoder.validation_loss_curve_ is None


def test_the_honest_loss_does_not_hear_the_validation_targets_through_a_head_of_all_rows(
    rows: Rows,
) -> None:
    """With frozen vectors only the head learns: validation targets cannot change anything."""
    X, y = rows
    params = {"freeze": True, "unknown_rate": 0.0, "cross_fit": False, "output": "hidden"}
    first = make_encoder(**params)
    watched = watch_training(lambda: first.fit(X, y)).rows
    validation = watched.withheld
    np.testing.assert_array_equal(validation, watched.validation)
    swapped = y.copy()
    swapped[validation] = y[validation][::-1]  # same mean and width
    second = make_encoder(**params).fit(X, swapped)
    np.testing.assert_allclose(first.transform(X), second.transform(X), atol=1e-5)
    np.testing.assert_allclose(first.loss_curve_, second.loss_curve_, rtol=1e-5)
    assert not np.allclose(first.validation_loss_curve_, second.validation_loss_curve_, rtol=1e-3)


@pytest.mark.parametrize("params", [{"cross_fit": False}, {"head": "dot"}], ids=str)
def test_validation_fraction_is_the_share_of_rows_that_a_head_of_all_rows_is_not_given(
    params: dict[str, Any], rows: Rows
) -> None:
    for fraction, expected in ((0.1, 24), (0.25, 60), (0.001, 1), (0.999, 239)):
        encoder = make_encoder(validation_fraction=fraction, **params)
        watched = watch_training(lambda encoder=encoder: encoder.fit(*rows), run=False)
        assert watched.rows.validation.sum() == watched.rows.withheld.sum() == expected


@pytest.mark.parametrize(
    ("least", "fraction", "expected"),
    [(10_000, 0.1, 240), (240, 0.1, 240), (100, 0.1, 100), (100, 0.5, 120), (1, 0.25, 60)],
)
def test_heads_of_folds_are_given_all_rows_and_judged_by_many(
    least: int, fraction: float, expected: int, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert preparation._JUDGED == 10_000
    monkeypatch.setattr(preparation, "_JUDGED", least)
    for early_stopping in (True, False):
        encoder = make_encoder(validation_fraction=fraction, early_stopping=early_stopping)
        watched = watch_training(lambda encoder=encoder: encoder.fit(*rows), run=False)
        assert watched.rows.n_tables == 5
        assert not watched.rows.withheld.any()
        assert watched.rows.validation.sum() == expected * early_stopping


def test_verbose_shows_the_validation_loss_and_0_nothing(
    rows: Rows, capfd: pytest.CaptureFixture[str]
) -> None:
    make_encoder(verbose=0).fit(*rows)
    make_encoder(verbose=0, cross_fit=False).fit(*rows)
    assert capfd.readouterr() == ("", "")
    encoder = make_encoder(verbose=1, target_type="continuous").fit(*rows)
    shown = capfd.readouterr()
    assert shown.out == ""
    assert (
        f"validation_loss={encoder.validation_loss_curve_[-1] / np.var(rows[1]):.4f}" in shown.err
    )
    assert "2/2" in shown.err


@pytest.mark.parametrize(
    ("batch_size", "steps"), [(30, 8), (1000, 1), (239, 2), (240, 1), ("auto", 8)]
)
def test_batch_size_is_the_rows_of_a_step(
    batch_size: int | str, steps: int, monkeypatch: pytest.MonkeyPatch, rows: Rows
) -> None:
    taken: list[Any] = []
    step = CrossFitting._step

    def count(self: Any, *args: Any) -> Any:
        taken.append(args)
        return step(self, *args)

    monkeypatch.setattr(CrossFitting, "_step", count)
    make_encoder(batch_size=batch_size, max_iter=1).fit(*rows)
    assert len(taken) == steps


@pytest.mark.parametrize(
    ("n", "params", "n_iter"),
    [
        (240, {}, 100),
        (10_000, {"batch_size": 4096}, 45),  # as many passes, however many steps they have
        (300_000, {}, 9),
        (240, {"head": "dot", "batch_size": 64}, 750),  # 3,000 steps to leave the saddle
        (100_000, {"head": "dot", "batch_size": 1024}, 31),
    ],
)
def test_automatic_iterations_are_fewer_for_many_rows(
    n: int, params: dict[str, Any], n_iter: int
) -> None:
    X = pd.DataFrame({"p": pd.Categorical(np.arange(n) % 7), "q": pd.Categorical(np.arange(n) % 3)})
    X, y = pd.concat([X, X[:40]]), np.arange(n + 40) % 11 / 7
    weight = np.r_[np.ones(n), np.zeros(40)]  # rows that take no part are not counted
    for max_iter, expected in (("auto", n_iter), (3, 3)):
        encoder = EntityEmbeddingEncoder(max_iter=max_iter, **params)
        watched = watch_training(
            lambda encoder=encoder: encoder.fit(X, y, sample_weight=weight), run=False
        )
        assert watched.config.max_iter == expected
    assert EntityEmbeddingEncoder().max_iter == "auto"


def test_training_that_diverges_at_once_is_refused(rows: Rows) -> None:
    X, y = rows
    encoder = make_encoder(loss="poisson", early_stopping=False).fit(X, np.exp(y))
    before = encoder.transform(X)
    encoder.set_params(learning_rate_init=1e30)
    with pytest.raises(InvalidParameterError, match=r"diverged.*`learning_rate_init`"):
        encoder.fit(X, np.exp(y))
    np.testing.assert_array_equal(encoder.transform(X), before)


@pytest.mark.parametrize("early_stopping", [True, False])
def test_ctrl_c_keeps_the_best_so_far_and_warns(
    early_stopping: bool, monkeypatch: pytest.MonkeyPatch, rows: Rows
) -> None:
    X, y = rows
    iteration, runs = CrossFitting.iteration, []

    def interrupted(self: Any) -> Any:
        runs.append(1)
        if len(runs) == 3:
            raise KeyboardInterrupt
        return iteration(self)

    monkeypatch.setattr(CrossFitting, "iteration", interrupted)
    encoder = make_encoder(max_iter=9, early_stopping=early_stopping)
    with pytest.warns(TrainingInterruptedWarning, match=r"after 2 iteration\(s\)"):
        out = encoder.fit_transform(X, y)
    monkeypatch.undo()
    assert encoder.n_iter_ == encoder.best_iteration_ == len(encoder.loss_curve_) == 2
    assert np.isfinite(out).all()
    np.testing.assert_array_equal(encoder.inverse_transform(out), X[["letter", "color"]])


def press_ctrl_c(monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    """Interrupt the first epoch: in one of its steps, or in the validation at its end."""

    def interrupted(self: Any, *args: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(CrossFitting, where, interrupted)


@pytest.mark.parametrize(
    ("method", "where"), [("fit", "_step"), ("fit_transform", "validation_loss")]
)
def test_ctrl_c_in_the_first_epoch_of_a_first_fit_is_raised(
    method: str, where: str, monkeypatch: pytest.MonkeyPatch, rows: Rows
) -> None:
    press_ctrl_c(monkeypatch, where)
    encoder = make_encoder()
    with pytest.raises(KeyboardInterrupt, match="before the end of its first iteration"):
        getattr(encoder, method)(*rows)
    assert vars(encoder) == encoder.get_params()


@pytest.mark.parametrize(
    ("early_stopping", "where", "warm_start", "same_rows"),
    [
        (False, "_step", False, True),
        (True, "_step", True, False),
        (True, "validation_loss", True, True),
    ],
)
def test_ctrl_c_in_the_first_epoch_of_a_refit_keeps_the_earlier_fit(
    early_stopping: bool, where: str, warm_start: bool, same_rows: bool,
    monkeypatch: pytest.MonkeyPatch, rows: Rows,
) -> None:  # fmt: skip
    X, y = rows
    encoder = make_encoder(warm_start=warm_start, early_stopping=early_stopping).fit(X, y)
    before = dict(vars(encoder))
    press_ctrl_c(monkeypatch, where)
    again = (X, y) if same_rows else (X[::-1], y[::-1])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert encoder.fit(*again) is encoder
        with pytest.raises(KeyboardInterrupt, match="no vectors of these rows"):
            encoder.fit_transform(*again)
    interrupted = [str(w.message) for w in caught if w.category is TrainingInterruptedWarning]
    assert "first iteration; the estimator keeps its earlier fit" in interrupted[0]
    assert all(vars(encoder)[name] is value for name, value in before.items())
    assert vars(encoder).keys() == before.keys()


# Going on ----------------------------------------------------------------------------------


@pytest.mark.parametrize("cross_fit", [True, False])
def test_warm_start_on_the_same_rows_keeps_folds_and_does_not_get_worse(
    cross_fit: bool, rows: Rows
) -> None:
    seeds = np.random.RandomState(0)  # moves on: folds drawn anew would be others
    encoder = make_encoder(warm_start=True, cross_fit=cross_fit, random_state=seeds, max_iter=4)
    encoder.fit(*rows)
    fold = encoder.fold_
    first = best = encoder.validation_loss_curve_[encoder.best_iteration_ - 1]
    for _ in range(3):
        encoder.set_params(learning_rate_init=0.04).fit(*rows)
        np.testing.assert_array_equal(encoder.fold_, fold)
        if encoder.best_iteration_:  # 0 where the fit before was better throughout
            assert encoder.validation_loss_curve_[encoder.best_iteration_ - 1] < best
            best = encoder.validation_loss_curve_[encoder.best_iteration_ - 1]
    assert best < 0.7 * first


def test_warm_start_on_the_same_rows_goes_on_from_every_fold_table(rows: Rows) -> None:
    X, y = rows
    encoder = make_encoder(warm_start=True, max_iter=4).fit(X, y)
    stack = encoder._model.tables[0].stack
    before, _ = _tables(encoder, X, y)
    np.testing.assert_array_equal(before, stack[:-1])
    assert not np.allclose(before[0], before[1], atol=1e-3)
    # other rows may have seen the targets of all folds: only the mean goes on, and that of unknown
    # is where a new category starts
    table = encoder._model.tables[0]
    other = X.assign(letter=X["letter"].where(np.arange(N) > 9, "f"))
    with pytest.warns(LeakageWarning, match="seen their targets"):
        before, _ = _tables(encoder, other, y)
    assert encoder.categories_["letter"].tolist() == ["a", "b", "c", "d", "e", "f"]
    known = [*table.vocabulary.label_rows, UNKNOWN]
    rows_ = encoder._model.tables[0].vocabulary.label_rows
    np.testing.assert_array_equal(before[:, rows_], np.stack([table.stack[-1][known]] * 5))


def test_warm_start_on_other_rows_keeps_the_vector_of_rare_categories(rows: Rows) -> None:
    X, y = rows
    rare = X.assign(letter=X["letter"].where(np.arange(N) > 2, "rare"))
    encoder = make_encoder(warm_start=True, min_frequency=4).fit(rare, y)
    expected = encoder._model.tables[0].vectors[INFREQUENT]
    other = X.assign(letter=X["letter"].where(np.arange(N) < N - 2, "another"))
    with pytest.warns(LeakageWarning):
        before, _ = _tables(encoder, other, y)
    np.testing.assert_array_equal(before[:, INFREQUENT], np.stack([expected] * 5))


def test_warm_start_that_finds_nothing_better_keeps_what_it_had(rows: Rows) -> None:
    X, y = rows
    encoder = make_encoder(warm_start=True, max_iter=20, learning_rate_init=0.02).fit(X, y)
    before = encoder.transform(X)
    encoder.set_params(learning_rate_init=10.0, max_iter=2).fit(X, y)
    assert encoder.best_iteration_ == 0
    # the same vectors but for the canonical basis, found anew from its own result
    np.testing.assert_allclose(encoder.transform(X), before, atol=1e-3)


def test_warm_start_names_a_column_without_a_category_of_the_fit_before(rows: Rows) -> None:
    X, y = rows
    X = X.assign(letter=np.arange(N) % 5)
    encoder = make_encoder(
        categorical_features=["letter", "color"], warm_start=True, max_iter=1
    ).fit(X, y)
    text = X.assign(letter=X["letter"].astype(str))
    message = r"column 'letter' has none of its categories.*like '0' \(str\).*like 0 \(int\)"
    with pytest.warns(LeakageWarning), pytest.warns(UnmatchedCategoriesWarning, match=message):
        encoder.fit(text, y)


def test_warm_start_with_other_weights_keeps_the_folds_and_with_other_folds_warns(
    rows: Rows,
) -> None:
    X, y = rows
    encoder = make_encoder(warm_start=True, cv=3).fit(X, y)
    fold = encoder.fold_
    encoder.fit(X, y, sample_weight=np.linspace(0.5, 1.5, N))  # a warning would be an error
    np.testing.assert_array_equal(encoder.fold_, fold)
    with pytest.warns(LeakageWarning):
        encoder.set_params(cv=4).fit(X, y)


@pytest.mark.parametrize("change", [{"cv": 5}, {"cv": 2}, {"cross_fit": False}], ids=str)
def test_warm_start_goes_on_with_heads_of_another_number_of_folds(
    change: dict[str, Any], rows: Rows
) -> None:
    X, y = rows
    encoder = make_encoder(warm_start=True, cv=3, max_iter=20, learning_rate_init=0.02).fit(X, y)
    assert encoder._model.head.n_heads == 3
    reached = encoder.validation_loss_curve_.min()
    encoder.set_params(learning_rate_init=1e-6, max_iter=1, **change)
    promised = pytest.warns(LeakageWarning) if "cv" in change else nullcontext()
    with promised:
        encoder.fit(X, y)
    assert encoder._model.head.n_heads == change.get("cv", 1)
    assert encoder.validation_loss_curve_[0] < 1.2 * reached


def test_warm_start_freezes_the_same_vectors_again(rows: Rows) -> None:
    X, y = rows
    vectors = pd.DataFrame({"one": [1.0, -1.0]}, index=["blue", "green"])
    encoder = make_encoder(
        warm_start=True, init={"color": vectors}, freeze=["color"], learning_rate_init=0.05
    ).fit(X, y)
    before = encoder.embeddings_["color"]
    after = encoder.fit(X, y).embeddings_["color"]
    pd.testing.assert_frame_equal(after.loc[vectors.index], before.loc[vectors.index])
    assert encoder.best_iteration_ > 0
    assert abs(after.loc["red", 0] - before.loc["red", 0]) > 1e-4  # given by nobody, so trained


def test_a_loss_that_diverges_after_a_good_epoch_warns(
    rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, epochs = CrossFitting.validation_loss, []

    def broken(self: CrossFitting) -> np.ndarray:
        epochs.append(None)
        return original(self) * (np.nan if len(epochs) in (2, 4) else 1.0)

    monkeypatch.setattr(CrossFitting, "validation_loss", broken)
    encoder = make_encoder(max_iter=9)
    with pytest.warns(ConvergenceWarning, match=r"after 3 iteration.*learning_rate_init"):
        encoder.fit(*rows)
    assert (encoder.best_iteration_, encoder.n_iter_) == (3, 4)
    epochs.clear()
    strict = make_encoder(max_iter=9)
    with warnings.catch_warnings(action="error"), pytest.raises(ConvergenceWarning):
        strict.fit(*rows)  # the warning comes last
    np.testing.assert_array_equal(strict.transform(rows[0]), encoder.transform(rows[0]))


@pytest.mark.parametrize(("parameters", "epoch"), [({}, 3), ({}, 1), ({"head": "dot"}, 2)])
def test_a_training_that_explodes_once_recovers(
    parameters: dict[str, Any], epoch: int, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, epochs = CrossFitting.iteration, []

    def exploding(self: CrossFitting) -> Any:
        epochs.append(None)
        steps = original(self)
        yield next(steps)
        if len(epochs) == epoch:  # every parameter, the linear models beside the heads included
            with torch.no_grad():
                for parameter in (*self.bank.weights, *self.layers[-1].parameters()):
                    parameter.fill_(1e30)
        yield from steps

    monkeypatch.setattr(CrossFitting, "iteration", exploding)
    monkeypatch.setattr(crossfit, "MUON_BATCH", 16)
    encoder = make_encoder(max_iter=12, batch_size=32, **parameters)
    with pytest.warns(ConvergenceWarning, match=rf"in iteration {epoch}: .*a quarter of the step"):
        encoder.fit(*rows)
    curve = encoder.validation_loss_curve_
    assert np.flatnonzero(~np.isfinite(curve)).tolist() == [epoch - 1]
    assert len(curve) == len(encoder.loss_curve_) == len(epochs) == 12
    assert encoder.best_iteration_ == 12
    assert curve[-1] < curve[epoch] < 2 * encoder.loss_curve_[-1] + 2
    assert np.isfinite(encoder.transform(rows[0])).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda X, y: (X.rename(columns={"color": "hue"}), y, {}), "the columns of X"),
        (lambda X, y: (X, np.where(y == "low", "tiny", y), {}), "the classes of y"),
        (lambda X, y: (X, np.arange(N) / 7, {}), "the classes of y"),
        (lambda X, y: (X, y, {"hidden_layer_sizes": (5,)}), "hidden_layer_sizes"),
        (lambda X, y: (X, y, {"dimensions": 3}), "dimensions"),
    ],
)
def test_warm_start_refuses_another_network(change: Any, message: str, rows: Rows) -> None:
    X, y = rows
    labels = np.where(y > 0, "high", "low")
    encoder = make_encoder(warm_start=True).fit(X, labels)
    before = encoder.transform(X)
    other, target, params = change(X, labels)
    encoder.set_params(**params)
    with pytest.raises(InvalidParameterError, match=f"{message}.*warm_start=False"):
        encoder.fit(other, target)
    np.testing.assert_array_equal(encoder.transform(X), before)
    assert encoder.set_params(warm_start=False).fit(other, target).n_iter_ > 0


def test_warm_start_refuses_other_outputs_and_losses(rows: Rows) -> None:
    X, y = rows
    encoder = make_encoder(warm_start=True).fit(X, y)
    with pytest.raises(InvalidParameterError, match=r"the number of outputs.*warm_start=False"):
        encoder.fit(X, np.column_stack([y, y]))
    with pytest.raises(InvalidParameterError, match=r"loss.*warm_start=False"):
        encoder.set_params(loss="poisson").fit(X, np.abs(y))


# Given vectors -----------------------------------------------------------------------------

GIVEN = pd.DataFrame(
    np.random.default_rng(3).normal(size=(5, 3)).astype(np.float32), index=list("edcba")
)


@pytest.mark.parametrize(("cross_fit", "freeze"), [(True, ["letter"]), (False, True)])
def test_frozen_vectors_come_out_exactly(cross_fit: bool, freeze: Any, rows: Rows) -> None:
    X, y = rows
    encoder = make_encoder(
        init={"letter": GIVEN}, freeze=freeze, cross_fit=cross_fit, output="both", max_iter=4
    )
    out = encoder.fit_transform(X, y)
    expected = GIVEN.loc[X["letter"]].to_numpy()
    if cross_fit:
        np.testing.assert_array_equal(out[:, :3], expected)
    np.testing.assert_array_equal(encoder.transform(X)[:, :3], expected)
    assert encoder.dimensions_["letter"] == 3
    moved = make_encoder(init={"letter": GIVEN}, cross_fit=cross_fit).fit(X, y)
    assert not np.allclose(moved.transform(X)[:, :3], expected)


def test_frozen_vectors_need_no_row_to_learn_from() -> None:
    # One row of "rare", which may be set aside for validation, and then teaches nothing.
    X = pd.DataFrame({"letter": ["a", "b"] * 50 + ["rare"]})
    given = pd.DataFrame([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], index=["a", "b", "rare"])
    params = {"init": {"letter": given}, "freeze": True, "cross_fit": False, "max_iter": 1}
    seeds = {True: -1, False: -1}
    for seed in range(99):
        encoder = make_encoder(random_state=seed, **params)
        fit = partial(encoder.fit, X, np.arange(101) / 7)
        seeds[bool(watch_training(fit, run=False).rows.validation[-1])] = seed
        if min(seeds.values()) >= 0:
            break
    for seed in seeds.values():
        encoder = make_encoder(random_state=seed, **params).fit(X, np.arange(101) / 7)
        np.testing.assert_array_equal(encoder.transform(X[-1:]), [[5.0, 6.0]])


def test_freeze_named_columns_only(rows: Rows) -> None:
    X, y = rows
    for freeze, still in ((["letter"], [True, False]), (["color"], [False, True]), (True, [1, 1])):
        frozen = _moved(make_encoder(freeze=freeze, unknown_rate=0.0), X, y)
        assert [not m for m in frozen] == [bool(s) for s in still]
    assert all(_moved(make_encoder(unknown_rate=0.0), X, y))


def _moved(encoder: EntityEmbeddingEncoder, X: pd.DataFrame, y: np.ndarray) -> list[bool]:
    """Whether training changed each column's vectors."""
    before, after = watch_learning(lambda: encoder.fit(X, y))
    return [bool((a != b).any()) for a, b in zip(after, before, strict=True)]


def test_the_unknown_row_of_a_frozen_column_is_trained(rows: Rows) -> None:
    encoder = make_encoder(init={"letter": GIVEN}, freeze=["letter"], unknown_rate=0.3, max_iter=4)
    before, after = _tables(encoder, *rows)
    assert (np.abs(after[:, UNKNOWN] - before[:, UNKNOWN]).max(axis=1) > 1e-3).all()
    rows_ = encoder._model.tables[0].vocabulary.rows
    np.testing.assert_array_equal(after[:, rows_], before[:, rows_])


@pytest.mark.parametrize("dimensions", [4, {0: 4}, lambda n: 4])
def test_given_vectors_and_dimensions_must_agree(dimensions: Any, rows: Rows) -> None:
    with pytest.raises(InvalidParameterError, match=r"`init\['letter'\]` has 3 columns, but"):
        make_encoder(init={"letter": GIVEN}, dimensions=dimensions).fit(*rows)
    encoder = make_encoder(init={"letter": GIVEN}, dimensions={"letter": 3, "color": 2})
    assert encoder.fit(*rows).dimensions_ == {"letter": 3, "color": 2}


@pytest.mark.parametrize(
    ("init", "shrinks"),
    [
        ("normal", [True, True]),
        ({}, [True, True]),
        ({"letter": GIVEN}, [False, True]),
        (OneHotEncoder(handle_unknown="ignore"), [False, False]),
    ],
    ids=["normal", "nothing given", "given", "encoder"],
)
def test_given_vectors_do_not_shrink(init: Any, shrinks: list[bool], rows: Rows) -> None:
    X, y = rows
    encoder = make_encoder(init=init, warm_start=True)
    assert _shrinks(encoder, X, y) == shrinks
    assert _shrinks(encoder, X, y) == shrinks  # going on
    with pytest.warns(LeakageWarning):
        assert _shrinks(encoder, X[: N // 2], y[: N // 2]) == shrinks


def _shrinks(encoder: EntityEmbeddingEncoder, X: pd.DataFrame, y: np.ndarray) -> list[bool]:
    """Whether the vectors of each column shrink towards zero."""
    return list(watch_training(lambda: encoder.fit(X, y)).start.shrinks)


def test_class_weights_do_not_tell_the_vectors_their_target() -> None:
    """Rare categories are pulled by the weight of other folds' rows, never by their own."""
    random = np.random.default_rng(0)
    n = 1500
    X = pd.DataFrame({"noise": random.integers(0, 500, n).astype(str)})
    y = (random.random(n) < 0.3).astype(int)
    encoder = make_encoder(
        class_weight={0: 1, 1: 30}, max_iter=15, hidden_layer_sizes=(8,), dimensions=4
    )
    norms = np.linalg.norm(encoder.fit_transform(X, y), axis=1)
    assert 0.45 < roc_auc_score(y, norms) < 0.55


def test_an_encoder_that_needs_y_is_fitted_without_the_tables_own_rows() -> None:
    X, y = make_rows(N)
    params = {"init": JamesSteinEncoder(), "cv": _thirds(), "target_type": "continuous"}
    before, _ = _tables(make_encoder(**params), X, y)
    changed = y.copy()
    changed[::3] += 100 * (X["letter"][::3] == "a")  # the rows of fold 0
    after, _ = _tables(make_encoder(**params), X, changed)
    np.testing.assert_array_equal(before[0], after[0])
    assert not np.allclose(before[1], after[1], atol=1e-3)


def test_without_cross_fitting_an_encoder_that_needs_y_is_fitted_without_validation_rows(
    rows: Rows,
) -> None:
    X, y = rows

    def start(target: np.ndarray) -> Any:
        params = {"init": JamesSteinEncoder(), "cross_fit": False, "target_type": "continuous"}
        return watch_training(lambda: make_encoder(**params).fit(X, target), run=False)

    first = start(y)
    changed = start(y + 100 * (first.rows.validation & (X["letter"] == "a")))
    np.testing.assert_array_equal(changed.before[0], first.before[0])


def test_the_tables_start_alike_from_an_encoder_that_needs_no_y_and_can_be_frozen(
    rows: Rows,
) -> None:
    encoder = make_encoder(init=StringEncoder(n_components=2), freeze=True, unknown_rate=0.0)
    before, after = _tables(encoder, *rows)
    np.testing.assert_array_equal(before, np.broadcast_to(before[:1], before.shape))
    np.testing.assert_array_equal(before, after)


def test_a_reloaded_encoder_goes_on_with_the_same_rows(rows: Rows) -> None:
    X, y = rows
    cv = KFold(3, shuffle=True, random_state=np.random.RandomState(0))
    encoder = make_encoder(warm_start=True, cv=cv).fit(X, y)
    loaded = pickle.loads(pickle.dumps(encoder)).fit(X, y)  # without a LeakageWarning
    np.testing.assert_array_equal(loaded.fold_, encoder.fold_)


def test_going_on_does_not_depend_on_the_order_of_y_in_memory(rows: Rows) -> None:
    X, y = rows
    both = np.column_stack([y, -y])
    encoder = make_encoder(warm_start=True)
    encoder.fit(X, np.asfortranarray(both))
    fold = encoder.fold_
    encoder.fit(X, both.copy())
    np.testing.assert_array_equal(encoder.fold_, fold)
