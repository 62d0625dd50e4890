"""output="stacking": vectors, and the network's raw predictions that are out of fold."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy.special import expit, softmax
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import KFold, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeRegressor

from sk_entity_embed import EntityEmbeddingClassifier, EntityEmbeddingRegressor
from sk_entity_embed.exceptions import InvalidDataError
from tests.samples import head_of_fold, make_encoder, make_rows, of_own_heads

N = 240
Rows = tuple[pd.DataFrame, NDArray[np.float64]]

TARGETS = {
    "continuous": lambda y: y,
    "several": lambda y: np.column_stack([y, -(y**2)]),
    "binary": lambda y: np.where(y > 0, "late", "early"),
    "multiclass": lambda y: np.array(["low", "middle", "high"])[np.digitize(y, [-1.0, 1.0])],
    "multilabel": lambda y: np.column_stack([y > 0, y > 1]).astype(int),
}
N_PREDICTIONS = {"continuous": 1, "several": 2, "binary": 1, "multiclass": 3, "multilabel": 2}

EDGES = [
    {},
    {"interactions": [("letter", "color")], "remainder": "passthrough"},
    {"head": "dot", "dimensions": 3},
    {"hidden_layer_sizes": (), "remainder": "passthrough"},
    {"cross_fit": False},
]


def make_stacking(**params: Any) -> Any:
    """A quick encoder of vectors and predictions."""
    return make_encoder(**{"output": "stacking", **params})


def n_vectors(encoder: Any) -> int:
    """Number of columns of the vectors, which come first."""
    return int(encoder._model.edges[-1])


# What comes out ------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", TARGETS)
def test_predictions_follow_the_vectors_one_a_raw_output(kind: str, rows: Rows) -> None:
    X, y = rows
    encoder = make_stacking(dimensions=2, remainder="passthrough")
    out = encoder.fit_transform(X, TARGETS[kind](y))
    predictions = [f"prediction_{i}" for i in range(N_PREDICTIONS[kind])]
    names = ["letter_0", "letter_1", "color_0", "color_1", *predictions, "size"]
    assert encoder.get_feature_names_out().tolist() == names
    for given in (out, encoder.transform(X), encoder.transform(X[:1])):
        assert type(given) is np.ndarray
        assert given.dtype == np.float32
        assert given.flags.c_contiguous
        assert given.shape[1] == len(names)
        assert (given[:, :-1].std(axis=0) > 0).all() or len(given) == 1
        np.testing.assert_array_equal(given[:, -1], X["size"].astype(np.float32)[: len(given)])


@pytest.mark.parametrize("params", EDGES, ids=str)
def test_the_parts_are_those_of_other_outputs(params: dict[str, Any], rows: Rows) -> None:
    X, y = rows
    stacking, plain = make_stacking(**params), make_encoder(**params)
    for found, expected in (
        (stacking.fit_transform(X, y), plain.fit_transform(X, y)),
        (stacking.transform(X), plain.transform(X)),
    ):
        width = n_vectors(stacking)
        assert found.shape[1] == expected.shape[1] + 1
        np.testing.assert_array_equal(found[:, :width], expected[:, :width])
        np.testing.assert_array_equal(found[:, width + 1 :], expected[:, width:])
    names = plain.get_feature_names_out().tolist()
    names.insert(width, "prediction_0")
    assert stacking.get_feature_names_out().tolist() == names


def test_predictions_are_those_of_the_predictors_before_the_link(rows: Rows) -> None:
    X, y = rows
    shared = {"hidden_layer_sizes": (4,), "max_iter": 2, "alpha": 1e-2, "random_state": 0}
    shared |= {"learning_rate_init": 5e-3, "dropout": 0.1, "unknown_rate": 0.02}
    shared |= {"n_iter_no_change": 4, "interactions": None}

    def predictions(kind: str) -> NDArray[np.float32]:
        encoder = make_stacking().fit(X, TARGETS[kind](y))
        return np.asarray(encoder.transform(X)[:, n_vectors(encoder) :])

    expected = EntityEmbeddingRegressor(**shared).fit(X, y).predict(X)
    found = predictions("continuous")[:, 0]
    slope, offset = np.polyfit(found, expected, 1)
    np.testing.assert_allclose(slope * found + offset, expected, atol=1e-5)
    assert (slope, offset) == pytest.approx((y.std(), y.mean()), rel=1e-4)
    classifier = EntityEmbeddingClassifier(**shared)
    expected = classifier.fit(X, TARGETS["binary"](y)).predict_proba(X)[:, 1]
    np.testing.assert_allclose(expit(predictions("binary")[:, 0]), expected, atol=1e-6)
    expected = classifier.fit(X, TARGETS["multiclass"](y)).predict_proba(X)
    np.testing.assert_allclose(softmax(predictions("multiclass"), axis=1), expected, atol=1e-6)


def test_names_that_collide_with_predictions_are_refused(rows: Rows) -> None:
    X, y = rows
    X = X.rename(columns={"size": "prediction_1"})
    encoder = make_stacking(remainder="passthrough")
    with pytest.raises(InvalidDataError, match=r"share the names.*'prediction_1'.*rename"):
        encoder.fit(X, TARGETS["several"](y))
    assert encoder.fit(X, y).transform(X[:1]).shape[1] == n_vectors(encoder) + 2


def test_set_output_pandas_keeps_index_and_names(rows: Rows) -> None:
    X, y = rows
    X = X.set_index(pd.Index(np.arange(N) * 10 + 3, name="row"))
    plain, encoder = make_stacking(), make_stacking().set_output(transform="pandas")
    for out, expected in (
        (encoder.fit_transform(X, y), plain.fit_transform(X, y)),
        (encoder.transform(X), plain.transform(X)),
    ):
        assert out.columns.tolist() == plain.get_feature_names_out().tolist()
        assert out.index.equals(X.index)
        np.testing.assert_array_equal(out.to_numpy(), expected)


@pytest.mark.parametrize("params", EDGES, ids=str)
def test_inverse_transform_ignores_predictions(params: dict[str, Any], rows: Rows) -> None:
    X, y = rows
    passes = "remainder" in params
    encoder = make_stacking(**params)
    for out in (encoder.fit_transform(X, y), encoder.transform(X)):
        out[:, n_vectors(encoder)] = 1e6
        back = encoder.inverse_transform(out)
        assert back[:, :2].tolist() == X[["letter", "color"]].to_numpy().tolist()
        assert back.shape[1] == 2 + passes
        if passes:
            np.testing.assert_array_equal(back[:, 2].astype(np.float32), X["size"].astype("f4"))


@pytest.mark.parametrize("policy", ["zero", "nan"])
def test_predictions_read_learned_vectors_whatever_is_served(policy: str, rows: Rows) -> None:
    X, y = rows
    X = X.assign(color=X["color"].where(np.arange(N) % 7 > 0))
    new = X[:60].assign(letter=["?", *X["letter"][1:60]], size=[np.nan, *X["size"][1:60]])
    missing = {"zero": "category", "nan": "nan"}[policy]
    encoder = make_stacking(handle_unknown=policy, handle_missing=missing)
    plain = make_stacking()
    for found, expected in (
        (encoder.fit_transform(X, y), plain.fit_transform(X, y)),
        (encoder.transform(new), plain.transform(new)),
    ):
        np.testing.assert_array_equal(found[:, -1], expected[:, -1])
        assert np.isfinite(found[:, -1]).all()
    assert not np.array_equal(found, expected)


def test_a_tree_after_it_in_a_pipeline() -> None:
    X, y = make_rows(600)

    def score(output: str) -> float:
        encoder = make_encoder(
            output=output, max_iter=20, learning_rate_init=0.02, hidden_layer_sizes=(16,)
        )
        tree = DecisionTreeRegressor(max_depth=3, random_state=0)
        model = make_pipeline(encoder.set_output(transform="pandas"), tree)
        return float(cross_val_score(model, X, y, cv=2).mean())

    # a shallow tree cannot add the parts of the target up: the network has done so
    assert score("stacking") > score("embedding") + 0.05


# Out of fold ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "params"),
    [
        *(("continuous", params) for params in EDGES[:4]),
        *(("several", params) for params in (EDGES[0], EDGES[3])),
        ("multiclass", EDGES[1]),
    ],
    ids=str,
)
def test_training_rows_get_the_predictions_of_their_own_folds_head_and_tables(
    kind: str, params: dict[str, Any], rows: Rows
) -> None:
    X, y = rows
    encoder = make_stacking(max_iter=4, **params)
    out = encoder.fit_transform(X, TARGETS[kind](y))
    model, width = encoder._model, n_vectors(encoder)
    context = model.scaling.apply(X[["size"]].to_numpy())
    end = width + N_PREDICTIONS[kind]
    own = of_own_heads("raw", model.head, out[:, :width], context, encoder.fold_)
    np.testing.assert_allclose(out[:, width:end], own, rtol=1e-5, atol=1e-6)
    new = encoder.transform(X)
    raw = [head_of_fold(model.head, k).raw(new[:, :width], context) for k in range(5)]
    np.testing.assert_allclose(new[:, width:end], np.mean(raw, axis=0), rtol=1e-5, atol=1e-6)
    assert np.abs(new - out)[:, width:end].max() > 1e-3
    assert (np.std(raw, axis=0).max() > 1e-3) == model.head.cross_fits


def test_rows_of_zero_weight_get_what_transform_gives(rows: Rows) -> None:
    X, y = rows
    weight = (np.arange(N) % 4 > 0).astype(float)
    encoder = make_stacking(max_iter=4)
    out, new = encoder.fit_transform(X, y, sample_weight=weight), encoder.transform(X)
    is_new = (out == new).all(axis=1)
    np.testing.assert_array_equal(is_new, weight == 0)


@pytest.mark.parametrize("fold", [0, 3])
@pytest.mark.parametrize("sizes", [(), (8, 6)])
def test_no_target_of_a_fold_reaches_the_predictions_of_its_rows(
    fold: int, sizes: tuple[int, ...], rows: Rows
) -> None:
    """With vectors that stay as they are, nothing else could carry it there.

    But for what all rows of a fold are moved by, to the mean of other heads.
    """
    X, y = rows
    params = {"freeze": True, "early_stopping": False, "max_iter": 6, "hidden_layer_sizes": sizes}
    encoders = [make_stacking(**params) for _ in range(2)]
    before = encoders[0].fit_transform(X, y)[:, -1]
    own = encoders[0].fold_ == fold
    swapped = y.copy()
    swapped[own] = y[own][::-1]  # same mean and width
    after = encoders[1].fit_transform(X, swapped)[:, -1]
    np.testing.assert_array_equal(encoders[1].fold_, encoders[0].fold_)
    moved = after - before
    np.testing.assert_allclose(moved[own], moved[own][0], rtol=0, atol=2e-5)
    assert np.ptp(moved[~own]) > 1e-2


def _random_labels(n: int, seed: int) -> tuple[pd.DataFrame, NDArray[np.int64]]:
    """Rows that could be told apart, and labels that have nothing to do with them."""
    random = np.random.default_rng(seed)
    X = pd.DataFrame(
        {
            "many": random.integers(0, n // 3, n).astype(str),
            "once": [f"id {i}" for i in range(n)],
            "size": random.normal(size=n),
        }
    )
    return X, random.integers(0, 2, n)


@pytest.mark.parametrize("cross_fit", [True, False])
def test_a_rows_own_label_moves_its_prediction_no_more_than_that_of_others(
    cross_fit: bool,
) -> None:
    """A row of great weight, whose random label is the other one, moves the whole network."""
    X, y = _random_labels(N, 0)
    params = {"early_stopping": False, "max_iter": 15, "learning_rate_init": 0.02}
    params |= {"hidden_layer_sizes": (8,), "cross_fit": cross_fit, "dimensions": 3}
    moved, others = [], []
    for row in range(0, 60, 10):
        weight = np.ones(N)
        weight[row] = 20.0
        flipped = y.copy()
        flipped[row] = 1 - y[row]
        encoders = [make_stacking(**params) for _ in range(2)]
        before, after = (
            encoder.fit_transform(X, labels, sample_weight=weight)[:, -1]
            for encoder, labels in zip(encoders, (y, flipped), strict=True)
        )
        change = np.abs(after - before)
        moved.append(change[row])
        others.append(np.median(np.delete(change, row)))
    if cross_fit:
        assert np.mean(moved) < np.mean(others)
    else:
        assert (np.array(moved) > 2 * np.array(others)).all()


def test_predictions_of_random_labels_tell_nothing_of_them() -> None:
    X, y = _random_labels(600, 1)
    aucs = {}
    for cross_fit in (True, False):
        encoder = make_stacking(
            cross_fit=cross_fit, early_stopping=False, max_iter=15, learning_rate_init=0.02,
            hidden_layer_sizes=(8,), dimensions=4,
        )  # fmt: skip
        out = StandardScaler().fit_transform(encoder.fit_transform(X, y)[:, -1:])
        scores = cross_val_predict(
            LogisticRegression(), out, y, cv=KFold(5), method="decision_function"
        )
        aucs[cross_fit] = roc_auc_score(y, scores)
    assert 0.42 < aucs[True] < 0.58, aucs
    assert aucs[False] > 0.8


def test_a_linear_model_trusts_predictions_as_much_as_new_rows_bear(rows: Rows) -> None:
    """Training and new rows are alike: what is fitted on the former holds for the latter."""
    X, y = make_rows(500)
    X = X.assign(noise=[f"n{i % 150}" for i in range(500)])
    encoder = make_stacking(max_iter=20, learning_rate_init=0.02, hidden_layer_sizes=(16,))
    ridge = Ridge().fit(encoder.fit_transform(X[:300], y[:300])[:, -1:], y[:300])
    new = encoder.transform(X[300:])[:, -1:]
    slope = np.polyfit(ridge.predict(new), y[300:], 1)[0]
    assert 0.85 < slope < 1.15
