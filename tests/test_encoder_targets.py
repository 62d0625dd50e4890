"""Every kind of target and loss, weights and groups."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score
from sklearn.model_selection import GroupKFold, StratifiedGroupKFold, StratifiedKFold
from sklearn.pipeline import make_pipeline

from sk_entity_embed import EntityEmbeddingEncoder
from sk_entity_embed.exceptions import InvalidParameterError
from sk_entity_embed.fitting import preparation
from sk_entity_embed.model.heads import MLPHead
from tests.samples import make_encoder, make_rows, of_own_heads, watch_training

N = 240
Rows = tuple[pd.DataFrame, np.ndarray]


def targets(y: np.ndarray) -> dict[str, tuple[Any, str, Any]]:
    """Targets made from a continuous one: values, kind, expected classes."""
    third = np.digitize(y, np.quantile(y, [1 / 3, 2 / 3]))
    high = y > np.median(y)
    return {
        "continuous": (y, "continuous", None),
        "two outputs": (np.column_stack([y, -y]), "continuous", None),
        "texts": (np.where(high, "late", "early"), "binary", ["early", "late"]),
        "gaps": (np.array([3, 7, 100])[third], "multiclass", [3, 7, 100]),
        "labels": (np.column_stack([high, y > 1]).astype(int), "multilabel-indicator", [0, 1]),
    }


@pytest.mark.parametrize("name", targets(np.arange(9.0)))
def test_every_kind_of_target_is_recognised_and_learned(name: str, rows: Rows) -> None:
    X, y = rows
    values, kind, classes = targets(y)[name]
    encoder = make_encoder(max_iter=12, learning_rate_init=0.02, hidden_layer_sizes=(8,))
    out = encoder.fit_transform(X, values)
    assert encoder.target_type_ == kind
    assert (None if encoder.classes_ is None else encoder.classes_.tolist()) == classes
    assert encoder.validation_loss_curve_.min() < 0.8 * _constant_loss(values, kind)
    assert encoder.best_iteration_ > 1
    # the vectors themselves order the rows by what y was made of, out of fold
    assert r2_score(y, LinearRegression().fit(out, y).predict(out)) > 0.5


def _constant_loss(values: np.ndarray, kind: str) -> float:
    """Loss of the best constant prediction, mean over outputs."""
    if kind == "continuous":
        return float(np.mean(np.var(values, axis=0)))
    if kind == "multiclass":
        shares = np.unique(values, return_counts=True)[1] / len(values)
        return float(-(shares * np.log(shares)).sum())
    share = (values == values[0]).mean(axis=0)
    return float(np.mean(-share * np.log(share) - (1 - share) * np.log(1 - share)))


def test_labels_of_any_kind_teach_the_same_vectors(rows: Rows) -> None:
    X, y = rows
    high, third = y > np.median(y), np.digitize(y, [-1.0, 1.0])
    for same in (
        [high.astype(int), high, high.astype(object), np.where(high, 5, 1)],
        [np.array([3, 7, 100])[third], third.astype(float)],
    ):
        assert len({make_encoder().fit_transform(X, labels).tobytes() for labels in same}) == 1


# Losses ------------------------------------------------------------------------------------

# What a loss becomes when y is a thousand times as large.
UNITS = {"squared_error": 1e6, "absolute_error": 1e3, "huber": 1e6, "poisson": 1e3}


@pytest.mark.parametrize("loss", UNITS)
def test_losses_are_reported_in_the_units_of_y_and_shifts_change_nothing(
    loss: str, rows: Rows
) -> None:
    X, y = rows
    y, shift = (np.exp(y / 2), 0) if loss == "poisson" else (y, 500)
    one = make_encoder(loss=loss).fit(X, y)
    thousand = make_encoder(loss=loss).fit(X, 1000 * (y + shift))
    for curve in ("loss_curve_", "validation_loss_curve_"):
        np.testing.assert_allclose(
            getattr(thousand, curve), UNITS[loss] * getattr(one, curve), rtol=1e-3
        )
    np.testing.assert_allclose(thousand.transform(X), one.transform(X), atol=1e-3)


def _poisson_deviance(y: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    log_ratio = np.log(np.where(y > 0, y, 1.0) / prediction)
    return np.where(y > 0, y * log_ratio, 0.0) - y + prediction


def _huber(y: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    unit = y.std()  # quadratic up to one standard deviation, linear beyond it
    scaled = np.abs(y - prediction) / unit
    return np.where(scaled < 1, scaled**2 / 2, scaled - 0.5) * unit**2


LOSSES = {
    "squared_error": lambda y, p: (y - p) ** 2,
    "absolute_error": lambda y, p: np.abs(y - p),
    "huber": _huber,
    "poisson": _poisson_deviance,
}


@pytest.mark.parametrize(
    ("loss", "cross_fit"), [*((loss, True) for loss in LOSSES), ("squared_error", False)]
)
def test_the_best_validation_loss_is_that_of_the_models_own_predictions(
    loss: str, cross_fit: bool, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    # after training the folds' heads are moved to one mean
    monkeypatch.setattr(MLPHead, "_with_equal_means", lambda head, *rows: head)
    X, y = rows
    if not cross_fit:  # else the model's one unknown vector is a mean over folds
        X = X.assign(color=[f"{c} {i // 2}" for i, c in enumerate(X["color"])])  # most of them once
    y = np.random.default_rng(0).poisson(np.exp(y / 2)).astype(float) if loss == "poisson" else y
    encoder = make_encoder(loss=loss, max_iter=5, cross_fit=cross_fit, target_type="continuous")
    validation = watch_training(lambda: encoder.fit(X, y), run=False).rows.validation
    vectors = encoder.fit_transform(X, y)  # each row's from the tables of its own fold
    model = encoder._model
    context = model.scaling.apply(X[["size"]].to_numpy())
    fold = encoder.fold_ if cross_fit else np.zeros(N, dtype=int)
    raw = of_own_heads("raw", model.head, vectors, context, fold)[:, 0]
    if loss == "poisson":
        predicted = np.exp(raw) * y.mean()
    else:
        predicted = raw * y.std() + y.mean()
    best = encoder.validation_loss_curve_[encoder.best_iteration_ - 1]
    losses = LOSSES[loss](y, predicted)
    assert losses[validation].mean() == pytest.approx(best, rel=1e-4)


def test_losses_of_several_outputs_are_averaged(rows: Rows) -> None:
    X, y = rows
    one = make_encoder().fit(X, np.column_stack([y, y]))
    scaled = make_encoder().fit(X, np.column_stack([y, 10 * y]))
    assert one.loss_curve_.ndim == 1
    # each output is scaled inside, so both learn alike; the mean is of both in their own units
    assert scaled.loss_curve_[0] > 20 * one.loss_curve_[0]


# Weights -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("cross_fit", "classes"), [(True, True), (False, False)])
def test_rows_of_zero_weight_are_as_if_they_were_not_there(
    cross_fit: bool, classes: bool, rows: Rows
) -> None:
    X, y = rows
    y = (y > 0).astype(int) if classes else y
    X = X.assign(letter=X["letter"].where(np.arange(N) > 2, "dropped"))
    weight = np.where(np.arange(N) % 3 == 0, 0.0, np.linspace(0.5, 2, N))
    weight[:3] = 0.0
    kept = weight > 0
    weighted = make_encoder(cross_fit=cross_fit, output="both", min_frequency=4)
    dropped = make_encoder(cross_fit=cross_fit, output="both", min_frequency=4)
    out = weighted.fit_transform(X, y, sample_weight=weight)
    expected = dropped.fit_transform(X[kept], y[kept], sample_weight=weight[kept])
    np.testing.assert_array_equal(out[kept], expected)
    np.testing.assert_array_equal(weighted.transform(X), dropped.transform(X))
    assert weighted.categories_["letter"].tolist() == ["a", "b", "c", "d", "e"]
    np.testing.assert_array_equal(
        weighted.category_counts_["letter"], dropped.category_counts_["letter"]
    )
    if cross_fit:
        assert (weighted.fold_[~kept] == -1).all()
        np.testing.assert_array_equal(weighted.fold_[kept], dropped.fold_)


@pytest.mark.parametrize(("cross_fit", "policy"), [(True, "learned"), (False, "nan")])
def test_rows_of_zero_weight_get_the_vectors_of_transform(
    cross_fit: bool, policy: str, rows: Rows
) -> None:
    X, y = rows
    X = X.assign(letter=X["letter"].where(np.arange(N) > 0, "dropped"))
    weight = np.where(np.arange(N) % 3 == 0, 0.0, 1.0)
    encoder = make_encoder(cross_fit=cross_fit, handle_unknown=policy)
    out = encoder.fit_transform(X, y, sample_weight=weight)
    np.testing.assert_array_equal(out[weight == 0], encoder.transform(X)[weight == 0])


def test_weights_of_any_scale_are_the_same(rows: Rows) -> None:
    X, y = rows
    plain, weighted = (
        make_encoder().fit(X, y, sample_weight=weight) for weight in (None, np.full(N, 0.25))
    )
    np.testing.assert_allclose(weighted.transform(X), plain.transform(X), atol=1e-5)


def test_heavy_rows_teach_more() -> None:
    X, y = make_rows(N)
    flipped = np.arange(N) % 2 == 0
    y = np.where(flipped, -y, y)
    heavy = np.where(flipped, 0.01, 1.0)
    settings = {"max_iter": 20, "learning_rate_init": 0.02, "hidden_layer_sizes": (8,)}
    weighted = make_encoder(**settings).fit_transform(X, y, sample_weight=heavy)
    plain = make_encoder(**settings).fit_transform(X, y)
    scores = [
        r2_score(y[~flipped], LinearRegression().fit(v[~flipped], y[~flipped]).predict(v[~flipped]))
        for v in (weighted, plain)
    ]
    assert scores[0] > 0.5
    assert scores[0] > scores[1]


def test_weights_enter_the_scale_of_the_target(rows: Rows) -> None:
    X, y = rows
    weight = np.linspace(0.1, 3, N)
    encoder = make_encoder().fit(X, y, sample_weight=weight)
    mean = np.average(y, weights=weight)
    assert encoder._model.scale.center[0] == pytest.approx(mean)
    assert encoder._model.scale.width[0] == pytest.approx(
        np.sqrt(np.average((y - mean) ** 2, weights=weight))
    )


def test_weights_and_groups_are_routed_through_a_pipeline() -> None:
    X, y = make_rows(120)
    weight, groups = np.linspace(0.0, 2, 120), np.arange(120) // 10
    with sklearn.config_context(enable_metadata_routing=True):
        encoder = make_encoder().set_fit_request(sample_weight=True, groups=True)
        pipeline = make_pipeline(encoder, LinearRegression().set_fit_request(sample_weight=True))
        pipeline.fit(X, y, sample_weight=weight, groups=groups)
    alone = make_encoder()
    out = alone.fit_transform(X, y, sample_weight=weight, groups=groups)
    np.testing.assert_array_equal(pipeline[0].fold_, alone.fold_)
    np.testing.assert_array_equal(pipeline[0].transform(X), alone.transform(X))
    expected = LinearRegression().fit(out, y, sample_weight=weight)
    np.testing.assert_allclose(pipeline[1].coef_, expected.coef_)


# Class weights -----------------------------------------------------------------------------


@pytest.mark.parametrize("balanced", [False, True])
def test_class_weight_is_a_sample_weight(balanced: bool, rows: Rows) -> None:
    X, y = rows
    labels = np.digitize(y, [0.0, 1.5])
    by_class = N / 3 / np.bincount(labels) if balanced else np.array([3.0, 1.0, 0.5])
    given = "balanced" if balanced else dict(enumerate(by_class))
    weighted = make_encoder(class_weight=given).fit(X, labels).transform(X)
    expected = make_encoder().fit(X, labels, sample_weight=by_class[labels])
    np.testing.assert_allclose(weighted, expected.transform(X), atol=1e-5)
    assert not np.allclose(weighted, make_encoder().fit(X, labels).transform(X), atol=1e-3)


def test_class_weight_leaves_the_reported_target_means_alone(rows: Rows) -> None:
    X, y = rows
    labels = (y > 1).astype(int)
    encoder = make_encoder(class_weight={0: 1.0, 1: 50.0}).fit(X, labels)
    expected = pd.Series(labels).groupby(X["letter"]).mean()
    np.testing.assert_allclose(encoder.category_target_means_["letter"], expected)


def test_class_weight_of_each_label(rows: Rows) -> None:
    X, y = rows
    labels = np.column_stack([y > 0, y > 1]).astype(int)
    weights = [{0: 1.0, 1: 3.0}, {0: 2.0, 1: 1.0}]
    encoder = make_encoder(class_weight=weights).fit(X, labels)
    factors = np.where(labels[:, 0], 3.0, 1.0) * np.where(labels[:, 1], 1.0, 2.0)
    expected = make_encoder().fit(X, labels, sample_weight=factors)
    np.testing.assert_allclose(encoder.transform(X), expected.transform(X), atol=1e-5)


@pytest.mark.parametrize(
    ("class_weight", "name", "message"),
    [
        ("balanced", "continuous", "target is continuous"),
        ({"early": 1.0, "noon": 2.0}, "texts", r"names \['noon'\]"),
        ([{0: 1.0, 1: 2.0}], "labels", "does not fit y"),
        ({"early": 0.0, "late": 1.0}, "texts", "must be positive"),
        ({"early": np.nan, "late": 1.0}, "texts", "must be positive"),
    ],
)
def test_class_weight_that_does_not_fit_is_refused(
    class_weight: Any, name: str, message: str, rows: Rows
) -> None:
    X, y = rows
    with pytest.raises(InvalidParameterError, match=f"class_weight.*{message}"):
        make_encoder(class_weight=class_weight).fit(X, targets(y)[name][0])


# Groups ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "cv"),
    [("continuous", GroupKFold(3)), ("binary", StratifiedGroupKFold(3)), ("multiclass", 3)],
)
def test_a_group_is_never_divided(
    kind: str, cv: Any, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    X, y = rows
    monkeypatch.setattr(preparation, "_JUDGED", 60)  # so that some rows are left out
    if kind != "continuous":
        y = np.digitize(y, [0.0] if kind == "binary" else [-1.0, 1.0])
    groups = np.array([f"g{g}" for g in np.random.default_rng(1).integers(0, 25, N)])
    encoder = make_encoder(cv=cv)
    trained = watch_training(lambda: encoder.fit(X, y, groups=groups), run=False).rows
    for part in (trained.fold, trained.validation):
        assert pd.Series(part).groupby(groups).nunique().max() == 1
    assert sorted(set(trained.fold)) == [0, 1, 2]
    assert 0 < trained.validation.sum() < N


def test_groups_keep_their_rows_out_of_validation_without_cross_fitting(rows: Rows) -> None:
    X, y = rows
    groups = np.arange(N) // 12
    encoder = make_encoder(cross_fit=False)
    trained = watch_training(lambda: encoder.fit(X, y, groups=groups), run=False).rows
    validation = trained.validation
    assert pd.Series(validation).groupby(groups).nunique().max() == 1
    assert validation.sum() == 24  # a tenth of the twenty groups


def test_folds_are_stratified_within_groups() -> None:
    X, _ = make_rows(N)
    labels = (np.arange(N) % 10 == 0).astype(int)
    encoder = make_encoder(cv=3).fit(X, labels, groups=np.arange(N) // 2)
    assert pd.Series(labels).groupby(encoder.fold_).sum().tolist() == [8, 8, 8]


def test_splitters_see_labels_and_rows(rows: Rows) -> None:
    X, y = rows
    y, splitter = np.where(y > 1, "late", "early"), StratifiedKFold(4)
    encoder = make_encoder(cv=splitter, max_iter=1).fit(X, y)
    for g, (_, test) in enumerate(splitter.split(X, y)):
        assert (encoder.fold_[test] == g).all()


def test_a_number_of_two_values_is_context_like_any_other() -> None:
    random = np.random.default_rng(0)
    flags = random.integers(0, 2, (600, 4))
    X = pd.DataFrame(flags, columns=list("abcd")).assign(k=random.choice(["u", "v"], 600))
    y = flags @ [1.0, -1.0, 2.0, 0.5] + (X["k"] == "u") + 0.1 * random.normal(size=600)
    encoder = EntityEmbeddingEncoder(max_iter=20, learning_rate_init=0.01, random_state=0).fit(X, y)
    assert encoder.validation_loss_curve_.min() < 0.1 * y.var()
