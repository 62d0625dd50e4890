"""Every kind of target and loss, weights and groups."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import sklearn
from sklearn.base import clone
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import r2_score, roc_auc_score
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    StratifiedGroupKFold,
    StratifiedKFold,
    cross_validate,
)
from sklearn.pipeline import make_pipeline

from sk_entity_embed import EntityEmbeddingEncoder
from sk_entity_embed.exceptions import InvalidDataError, InvalidParameterError
from tests.samples import make_encoder, make_rows

N = 240


@pytest.fixture(scope="module")
def rows() -> tuple[pd.DataFrame, np.ndarray]:
    return make_rows(N)


def targets(y: np.ndarray) -> dict[str, tuple[Any, str, Any]]:
    """Targets made from a continuous one: values, kind, expected classes."""
    third = np.digitize(y, np.quantile(y, [1 / 3, 2 / 3]))
    high = y > np.median(y)
    return {
        "continuous": (y, "continuous", None),
        "column vector": (np.column_stack([y, -y]), "continuous", None),
        "few floats": (np.round(y) + 0.5, "continuous", None),
        "0 and 1": (high.astype(int), "binary", [0, 1]),
        "booleans": (high, "binary", [False, True]),
        "boolean objects": (high.astype(object), "binary", [False, True]),
        "1 and 5": (np.where(high, 5, 1), "binary", [1, 5]),
        "-1.0 and 1.0": (np.where(high, 1.0, -1.0), "binary", [-1.0, 1.0]),
        "texts": (np.where(high, "late", "early"), "binary", ["early", "late"]),
        "gaps": (np.array([3, 7, 100])[third], "multiclass", [3, 7, 100]),
        "names": (np.array(["x", "a", "ü"])[third], "multiclass", ["a", "x", "ü"]),
        "whole floats": (third.astype(float), "multiclass", [0.0, 1.0, 2.0]),
        "labels": (np.column_stack([high, y > 1]).astype(int), "multilabel-indicator", [0, 1]),
    }


NAMES = list(targets(np.arange(9.0)))


@pytest.mark.parametrize("name", NAMES)
def test_every_kind_of_target_is_recognised_and_learned(
    name: str, rows: tuple[pd.DataFrame, np.ndarray]
) -> None:
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


def test_labels_of_any_kind_teach_the_same_vectors(rows: tuple[pd.DataFrame, np.ndarray]) -> None:
    X, y = rows
    by_name = targets(y)
    for same in (["0 and 1", "booleans", "1 and 5", "-1.0 and 1.0"], ["gaps", "whole floats"]):
        outputs = {make_encoder().fit_transform(X, by_name[n][0]).tobytes() for n in same}
        assert len(outputs) == 1


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame,
        lambda data: pd.DataFrame(data).convert_dtypes(),
        lambda data: pd.DataFrame(data).convert_dtypes(dtype_backend="pyarrow"),
        lambda data: pd.DataFrame(data, dtype=object),
        pl.DataFrame,
        pa.table,
    ],
    ids=["pandas", "nullable", "arrow-backed", "object", "polars", "pyarrow"],
)
def test_several_outputs_may_come_in_any_frame(
    frame: Any, rows: tuple[pd.DataFrame, np.ndarray]
) -> None:
    X, y = rows
    data = {"p": y, "q": np.round(y)}
    encoder = make_encoder(target_type="continuous").fit(X, frame(data))
    expected = make_encoder().fit(X, np.column_stack([y, np.round(y)]))
    np.testing.assert_array_equal(encoder.transform(X), expected.transform(X))
    assert make_encoder().fit(X, frame(data)).target_type_ == "continuous"


def test_a_column_vector_is_one_output(rows: tuple[pd.DataFrame, np.ndarray]) -> None:
    X, y = rows
    with pytest.warns(sklearn.exceptions.DataConversionWarning):
        column = make_encoder().fit(X, y[:, None])
    np.testing.assert_array_equal(column.transform(X), make_encoder().fit(X, y).transform(X))


@pytest.mark.parametrize(
    ("target_type", "kind"), [("continuous", "continuous"), ("multiclass", "multiclass")]
)
def test_target_type_overrides_what_y_looks_like(
    target_type: str, kind: str, rows: tuple[pd.DataFrame, np.ndarray]
) -> None:
    X, _ = rows
    encoder = make_encoder(target_type=target_type).fit(X, np.arange(N) % 2)
    assert encoder.target_type_ == kind
    assert (encoder.classes_ is None) == (kind == "continuous")


def test_many_whole_numbers_need_a_decision(rows: tuple[pd.DataFrame, np.ndarray]) -> None:
    X, _ = rows
    with pytest.raises(InvalidParameterError, match=r"240 distinct integers.*target_type"):
        make_encoder().fit(X, np.arange(N))
    assert make_encoder(cv=2).fit(X, np.arange(N) // 3).target_type_ == "multiclass"
    encoder = make_encoder(target_type="continuous").fit(X, np.arange(N))
    assert encoder.target_type_ == "continuous"


def test_two_whole_number_columns_that_are_no_indicators_need_a_decision(
    rows: tuple[pd.DataFrame, np.ndarray],
) -> None:
    X, _ = rows
    y = np.column_stack([np.arange(N) % 5, np.arange(N) % 3])
    with pytest.raises(InvalidDataError, match="target_type='continuous'"):
        make_encoder().fit(X, y)
    assert make_encoder(target_type="continuous").fit(X, y).target_type_ == "continuous"


# Losses ------------------------------------------------------------------------------------

# What a loss becomes when y is a thousand times as large.
UNITS = {"squared_error": 1e6, "absolute_error": 1e3, "huber": 1e6, "poisson": 1e3}


@pytest.mark.parametrize("loss", UNITS)
def test_losses_are_reported_in_the_units_of_y(
    loss: str, rows: tuple[pd.DataFrame, np.ndarray]
) -> None:
    X, y = rows
    y = np.exp(y / 2) if loss == "poisson" else y
    one = make_encoder(loss=loss, max_iter=4).fit(X, y)
    thousand = make_encoder(loss=loss, max_iter=4).fit(X, 1000 * y)
    for curve in ("loss_curve_", "validation_loss_curve_"):
        np.testing.assert_allclose(
            getattr(thousand, curve), UNITS[loss] * getattr(one, curve), rtol=1e-3
        )
    np.testing.assert_allclose(thousand.transform(X), one.transform(X), atol=1e-3)


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "huber"])
def test_shifting_the_target_changes_nothing(
    loss: str, rows: tuple[pd.DataFrame, np.ndarray]
) -> None:
    X, y = rows
    plain, shifted = make_encoder(loss=loss).fit(X, y), make_encoder(loss=loss).fit(X, y + 500)
    np.testing.assert_allclose(shifted.loss_curve_, plain.loss_curve_, rtol=1e-3)
    np.testing.assert_allclose(shifted.transform(X), plain.transform(X), atol=1e-3)


def _poisson_deviance(y: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    log_ratio = np.log(np.where(y > 0, y, 1.0) / prediction)
    return np.where(y > 0, y * log_ratio, 0.0) - y + prediction


LOSSES = {
    "squared_error": lambda y, p: (y - p) ** 2,
    "absolute_error": lambda y, p: np.abs(y - p),
    "huber": None,
    "poisson": _poisson_deviance,
}


@pytest.mark.parametrize("loss", LOSSES)
def test_the_validation_loss_is_that_of_the_best_constant_or_better(
    loss: str, rows: tuple[pd.DataFrame, np.ndarray]
) -> None:
    X, y = rows
    y = np.random.default_rng(0).poisson(np.exp(y / 2)).astype(float) if loss == "poisson" else y
    encoder = make_encoder(
        loss=loss, max_iter=25, learning_rate_init=0.02, hidden_layer_sizes=(16,), cv=3,
        target_type="continuous",
    ).fit(X, y)  # fmt: skip
    deviation = y - np.mean(y)
    if loss == "huber":  # quadratic up to one standard deviation, linear beyond it
        unit = y.std()
        scaled = np.abs(deviation) / unit
        constant = np.where(scaled < 1, scaled**2 / 2, scaled - 0.5).mean() * unit**2
    else:
        centre = np.median(y) if loss == "absolute_error" else np.mean(y)
        constant = LOSSES[loss](y, np.full(N, centre)).mean()
    assert encoder.validation_loss_curve_.min() < 0.7 * constant
    assert encoder.loss_curve_[0] == pytest.approx(constant, rel=1.0)


@pytest.mark.parametrize("cross_fit", [True, False])
@pytest.mark.parametrize("loss", LOSSES)
def test_the_best_validation_loss_is_that_of_the_models_own_predictions(
    loss: str, cross_fit: bool, rows: tuple[pd.DataFrame, np.ndarray]
) -> None:
    X, y = rows
    X = X.assign(color=[f"{c} {i // 2}" for i, c in enumerate(X["color"])])  # most of them once
    y = np.random.default_rng(0).poisson(np.exp(y / 2)).astype(float) if loss == "poisson" else y
    encoder = make_encoder(loss=loss, max_iter=5, cross_fit=cross_fit, target_type="continuous")
    encoder.fit(X, y)
    model = encoder._model
    coded = model.code(encoder._read(X), refuse_unknown=False, missing_is_error=False)
    vectors = np.empty((N, model.edges[-1]), dtype=np.float32)
    model.embed(coded.codes, vectors, fold=encoder.fold_)
    raw = model.head.raw(vectors, model.scaling.apply(coded.numbers))[:, 0]
    if loss == "poisson":
        losses = _poisson_deviance(y, np.exp(raw) * model.scale.width[0])
    elif loss == "huber":
        unit = model.scale.width[0]
        scaled = np.abs((y - model.scale.center[0]) / unit - raw)
        losses = np.where(scaled < 1, scaled**2 / 2, scaled - 0.5) * unit**2
    else:
        losses = LOSSES[loss](y, raw * model.scale.width[0] + model.scale.center[0])
    validation = _validation_rows(encoder, X, y)
    best = encoder.validation_loss_curve_[encoder.best_iteration_ - 1]
    assert losses[validation].mean() == pytest.approx(best, rel=1e-4)


def _validation_rows(encoder: EntityEmbeddingEncoder, X: Any, y: np.ndarray) -> np.ndarray:
    again = clone(encoder).set_params(warm_start=True).fit(X, y)
    assert again.validation_loss_curve_.tolist() == encoder.validation_loss_curve_.tolist()
    return again._memory.roles.validation


def test_losses_of_several_outputs_are_averaged(rows: tuple[pd.DataFrame, np.ndarray]) -> None:
    X, y = rows
    one = make_encoder().fit(X, np.column_stack([y, y]))
    scaled = make_encoder().fit(X, np.column_stack([y, 10 * y]))
    assert one.loss_curve_.ndim == 1
    # each output is scaled inside, so both learn alike; the mean is of both in their own units
    assert scaled.loss_curve_[0] > 20 * one.loss_curve_[0]


@pytest.mark.parametrize(
    ("loss", "name"),
    [("log_loss", "continuous"), ("squared_error", "0 and 1"), ("poisson", "texts")],
)
def test_a_loss_that_does_not_fit_the_target_is_refused(
    loss: str, name: str, rows: tuple[pd.DataFrame, np.ndarray]
) -> None:
    X, y = rows
    with pytest.raises(InvalidParameterError, match=f"loss='{loss}' does not fit"):
        make_encoder(loss=loss).fit(X, targets(y)[name][0])


# Weights -----------------------------------------------------------------------------------


@pytest.mark.parametrize("cross_fit", [True, False])
@pytest.mark.parametrize("classes", [True, False])
def test_rows_of_zero_weight_are_as_if_they_were_not_there(
    cross_fit: bool, classes: bool, rows: tuple[pd.DataFrame, np.ndarray]
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


@pytest.mark.parametrize("cross_fit", [True, False])
@pytest.mark.parametrize("policy", ["learned", "zero", "nan"])
def test_rows_of_zero_weight_get_the_vectors_of_transform(
    cross_fit: bool, policy: str, rows: tuple[pd.DataFrame, np.ndarray]
) -> None:
    X, y = rows
    X = X.assign(letter=X["letter"].where(np.arange(N) > 0, "dropped"))
    weight = np.where(np.arange(N) % 3 == 0, 0.0, 1.0)
    encoder = make_encoder(cross_fit=cross_fit, handle_unknown=policy)
    out = encoder.fit_transform(X, y, sample_weight=weight)
    np.testing.assert_array_equal(out[weight == 0], encoder.transform(X)[weight == 0])


def test_zero_weight_lets_an_iterable_of_splits_refer_to_all_rows() -> None:
    X, y = make_rows(60)
    weight = np.ones(60)
    weight[::4] = 0.0
    splits = list(KFold(3).split(X))
    encoder = make_encoder(cv=splits).fit(X, y, sample_weight=weight)
    expected = np.repeat([0, 1, 2], 20)
    expected[::4] = -1
    np.testing.assert_array_equal(encoder.fold_, expected)


def test_weights_of_any_scale_are_the_same(rows: tuple[pd.DataFrame, np.ndarray]) -> None:
    X, y = rows
    plain = make_encoder().fit(X, y)
    for weight in (np.ones(N), np.full(N, 0.25), np.full(N, 8.0)):
        weighted = make_encoder().fit(X, y, sample_weight=weight)
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


def test_weights_enter_the_scale_of_the_target(rows: tuple[pd.DataFrame, np.ndarray]) -> None:
    X, y = rows
    weight = np.linspace(0.1, 3, N)
    encoder = make_encoder().fit(X, y, sample_weight=weight)
    mean = np.average(y, weights=weight)
    assert encoder._model.scale.center[0] == pytest.approx(mean)
    assert encoder._model.scale.width[0] == pytest.approx(
        np.sqrt(np.average((y - mean) ** 2, weights=weight))
    )


@pytest.fixture
def _metadata_routing() -> Any:
    with sklearn.config_context(enable_metadata_routing=True):
        yield


@pytest.mark.usefixtures("_metadata_routing")
def test_weights_and_groups_are_routed_through_a_pipeline() -> None:
    X, y = make_rows(120)
    weight, groups = np.linspace(0.0, 2, 120), np.arange(120) // 10
    encoder = make_encoder().set_fit_request(sample_weight=True, groups=True)
    pipeline = make_pipeline(encoder, LinearRegression().set_fit_request(sample_weight=True))
    pipeline.fit(X, y, sample_weight=weight, groups=groups)
    alone = make_encoder()
    out = alone.fit_transform(X, y, sample_weight=weight, groups=groups)
    np.testing.assert_array_equal(pipeline[0].fold_, alone.fold_)
    np.testing.assert_array_equal(pipeline[0].transform(X), alone.transform(X))
    expected = LinearRegression().fit(out, y, sample_weight=weight)
    np.testing.assert_allclose(pipeline[1].coef_, expected.coef_)


@pytest.mark.usefixtures("_metadata_routing")
def test_weights_are_routed_by_cross_validate() -> None:
    X, y = make_rows(120)
    pipeline = make_pipeline(
        make_encoder().set_fit_request(sample_weight=True, groups=False),
        LinearRegression()
        .set_fit_request(sample_weight=False)
        .set_score_request(sample_weight=True),
    )
    weight = (np.arange(120) % 2).astype(float)
    found = cross_validate(
        pipeline, X, y, cv=2, params={"sample_weight": weight}, return_estimator=True
    )
    for estimator in found["estimator"]:
        assert (estimator[0].fold_ == -1).mean() == 0.5


# Class weights -----------------------------------------------------------------------------


def test_class_weight_is_a_sample_weight(rows: tuple[pd.DataFrame, np.ndarray]) -> None:
    X, y = rows
    for labels in (np.where(y > 1, "rare", "usual"), np.digitize(y, [0.0, 1.5])):
        classes, codes = np.unique(labels, return_inverse=True)
        share = np.bincount(codes) / N
        factors = dict(zip(classes.tolist(), [3.0, 1.0, 0.5], strict=False))
        balanced = 1 / (share * len(classes))
        for given, by_class in ((factors, [*factors.values()]), ("balanced", balanced)):
            weighted = make_encoder(class_weight=given).fit(X, labels)
            expected = make_encoder().fit(X, labels, sample_weight=np.array(by_class)[codes])
            np.testing.assert_allclose(weighted.transform(X), expected.transform(X), atol=1e-5)
            assert not np.allclose(
                weighted.transform(X), make_encoder().fit(X, labels).transform(X), atol=1e-3
            )


def test_class_weight_leaves_the_reported_target_means_alone(
    rows: tuple[pd.DataFrame, np.ndarray],
) -> None:
    X, y = rows
    labels = (y > 1).astype(int)
    encoder = make_encoder(class_weight={0: 1.0, 1: 50.0}).fit(X, labels)
    expected = pd.Series(labels).groupby(X["letter"]).mean()
    np.testing.assert_allclose(encoder.category_target_means_["letter"], expected)


def test_class_weight_of_each_label(rows: tuple[pd.DataFrame, np.ndarray]) -> None:
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
        ({0: 1.0, 1: 2.0}, "continuous", "target is continuous"),
        ({0: 1.0, 2: 2.0}, "0 and 1", r"names \[2\]"),
        ({"early": 1.0, "noon": 2.0}, "texts", r"names \['noon'\]"),
        ([{0: 1.0, 1: 2.0}], "labels", "does not fit y"),
    ],
)
def test_class_weight_that_does_not_fit_is_refused(
    class_weight: Any, name: str, message: str, rows: tuple[pd.DataFrame, np.ndarray]
) -> None:
    X, y = rows
    with pytest.raises(InvalidParameterError, match=f"class_weight.*{message}"):
        make_encoder(class_weight=class_weight).fit(X, targets(y)[name][0])


# Groups ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["continuous", "binary", "multiclass"])
@pytest.mark.parametrize("text", [True, False])
@pytest.mark.parametrize("cv", [3, None])
def test_a_group_is_never_divided(
    kind: str, text: bool, cv: int | None, rows: tuple[pd.DataFrame, np.ndarray]
) -> None:
    X, y = rows
    if kind != "continuous":
        y = np.digitize(y, [0.0] if kind == "binary" else [-1.0, 1.0])
    groups = np.random.default_rng(1).integers(0, 25, N)
    named = np.array([f"g{g}" for g in groups]) if text else groups
    splitter = GroupKFold(3) if kind == "continuous" else StratifiedGroupKFold(3)
    encoder = make_encoder(cv=cv or splitter, warm_start=True).fit(X, y, groups=named)
    roles = encoder._memory.roles
    for part in (encoder.fold_, roles.validation):
        assert pd.Series(part).groupby(groups).nunique().max() == 1
    assert sorted(set(encoder.fold_)) == [0, 1, 2]
    assert 0 < roles.validation.sum() < N


def test_without_groups_the_same_rows_are_divided(rows: tuple[pd.DataFrame, np.ndarray]) -> None:
    X, y = rows
    groups = np.random.default_rng(1).integers(0, 25, N)
    encoder = make_encoder(cv=3).fit(X, y)
    assert pd.Series(encoder.fold_).groupby(groups).nunique().max() == 3


def test_groups_keep_their_rows_out_of_validation_without_cross_fitting(
    rows: tuple[pd.DataFrame, np.ndarray],
) -> None:
    X, y = rows
    groups = np.arange(N) // 12
    encoder = make_encoder(cross_fit=False, warm_start=True).fit(X, y, groups=groups)
    validation = encoder._memory.roles.validation
    assert pd.Series(validation).groupby(groups).nunique().max() == 1
    assert validation.sum() == 24  # a tenth of the twenty groups


def test_folds_are_stratified_within_groups() -> None:
    X, _ = make_rows(N)
    labels = (np.arange(N) % 10 == 0).astype(int)
    encoder = make_encoder(cv=3).fit(X, labels, groups=np.arange(N) // 2)
    assert pd.Series(labels).groupby(encoder.fold_).sum().tolist() == [8, 8, 8]


@pytest.mark.parametrize(
    ("splitter", "labels"), [(StratifiedKFold(4), True), (KFold(4), False), (KFold(4), True)]
)
def test_splitters_see_labels_and_rows(
    splitter: Any, labels: bool, rows: tuple[pd.DataFrame, np.ndarray]
) -> None:
    X, y = rows
    y = np.where(y > 1, "late", "early") if labels else y
    encoder = make_encoder(cv=splitter).fit(X, y)
    for g, (_, test) in enumerate(splitter.split(X, y)):
        assert (encoder.fold_[test] == g).all()


def test_the_vectors_of_a_binary_target_serve_a_classifier(
    rows: tuple[pd.DataFrame, np.ndarray],
) -> None:
    X, y = rows
    fresh, truth = make_rows(N, seed=9)
    pipeline = make_pipeline(
        make_encoder(max_iter=15, learning_rate_init=0.02), LogisticRegression()
    )
    pipeline.fit(X, y > 0.5)
    assert roc_auc_score(truth > 0.5, pipeline.predict_proba(fresh)[:, 1]) > 0.85


@pytest.mark.parametrize("weights", [{0: -1.0, 1: 1.5}, {0: 0.0, 1: 1.0}, {0: np.nan, 1: 1.0}])
def test_class_weights_that_are_no_weights_are_refused(weights: dict[int, float]) -> None:
    X, y = make_rows(60)
    with pytest.raises(InvalidParameterError, match="`class_weight` must be positive"):
        make_encoder(class_weight=weights).fit(X, (y > y.mean()).astype(int))


def test_a_number_of_two_values_is_context_like_any_other() -> None:
    random = np.random.default_rng(0)
    flags = random.integers(0, 2, (1500, 4))
    X = pd.DataFrame(flags, columns=list("abcd")).assign(k=random.choice(["u", "v"], 1500))
    y = flags @ [1.0, -1.0, 2.0, 0.5] + (X["k"] == "u") + 0.1 * random.normal(size=1500)
    encoder = EntityEmbeddingEncoder(random_state=0).fit(X, y)
    assert encoder.validation_loss_curve_.min() < 0.1 * y.var()
