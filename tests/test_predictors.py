"""Regressor and classifier: the network's own predictions."""

from __future__ import annotations

import pickle
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from scipy.special import expit, softmax
from sklearn.base import is_classifier, is_regressor
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score, roc_auc_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import TargetEncoder
from sklearn.utils import get_tags
from sklearn.utils._param_validation import InvalidParameterError as SklearnParameterError

from sk_entity_embed import (
    EntityEmbeddingClassifier,
    EntityEmbeddingEncoder,
    EntityEmbeddingRegressor,
)
from sk_entity_embed.exceptions import (
    InvalidDataError,
    InvalidParameterError,
    LeakageWarning,
    RareClassWarning,
    UnsupportedDataError,
)
from sk_entity_embed.export import to_onnx
from tests.list_samples import make_list_rows
from tests.samples import make_encoder, make_rows

GOOD = {
    "hidden_layer_sizes": (16,),
    "max_iter": 30,
    "learning_rate_init": 2e-2,
    "alpha": 1e-2,
    "random_state": 0,
}
QUICK = {"hidden_layer_sizes": (4,), "max_iter": 2, "cv": 2, "random_state": 0}


def targets(y: np.ndarray) -> dict[str, np.ndarray]:
    """A target of each kind of classes, learnable from the rows of ``make_rows``."""
    return {
        "binary": np.where(y > 0, "late", "early"),
        "multiclass": np.digitize(y, [-1.0, 1.0]) * 10,
        "multilabel-indicator": np.column_stack([y > 0, y > 1, y < -1]).astype(int),
    }


@pytest.fixture(scope="module")
def halves() -> tuple[pd.DataFrame, np.ndarray, pd.DataFrame, np.ndarray]:
    X, y = make_rows(600)
    return X[:400], y[:400], X[400:], y[400:]


@pytest.fixture(scope="module")
def regressor(halves: Any) -> EntityEmbeddingRegressor:
    return EntityEmbeddingRegressor(**GOOD).fit(*halves[:2])


@pytest.fixture(scope="module", params=["binary", "multiclass", "multilabel-indicator"])
def classifier(request: Any, halves: Any) -> EntityEmbeddingClassifier:
    y = targets(halves[1])[request.param]
    return EntityEmbeddingClassifier(**GOOD).fit(halves[0], y)


def by_hand(estimator: Any, X: pd.DataFrame) -> np.ndarray:
    """The network's outputs, one layer after the other, in the mean over the folds' heads."""
    model = estimator._model
    numbers = X[[X.columns[j] for j in model.context]].to_numpy(dtype=float)
    inputs = np.hstack([estimator.transform(X), model.scaling.apply(numbers)]).astype(float)
    outputs = []
    for k in range(model.head.n_heads):
        state = inputs
        for i, (weight, bias) in enumerate(zip(model.head.weights, model.head.biases, strict=True)):
            state = state @ weight[k] + bias[k]
            state = np.maximum(state, 0) if i < len(model.head.weights) - 1 else state
        outputs.append(state)
    return np.mean(outputs, axis=0)


def test_the_regressor_predicts_as_well_as_a_model_on_the_encoders_output(
    halves: Any, regressor: EntityEmbeddingRegressor
) -> None:
    X, y, X_new, y_new = halves
    pipeline = make_pipeline(EntityEmbeddingEncoder(output="both", **GOOD), Ridge()).fit(X, y)
    assert regressor.score(X_new, y_new) == r2_score(y_new, regressor.predict(X_new))
    assert regressor.score(X_new, y_new) > 0.9
    assert regressor.score(X_new, y_new) > pipeline.score(X_new, y_new) - 0.05


@pytest.mark.parametrize(
    ("unit", "params"),
    [(1e300, {}), (1e-300, {"loss": "absolute_error"}), (1e300, {"loss": "poisson"}),
     (1e300, {"y_range": (0, 20)}),
     (1e-300, {"init": TargetEncoder(random_state=0)})],
    ids=str,
)  # fmt: skip
def test_the_unit_of_the_target_does_not_matter(unit: float, params: dict[str, Any]) -> None:
    X, y = make_rows(200)
    y = y - y.min()
    plain = EntityEmbeddingRegressor(**QUICK, **params).fit(X, y)
    if "y_range" in params:
        params = {**params, "y_range": (0, 20 * unit)}
    model = EntityEmbeddingRegressor(**QUICK, **params).fit(X, y * unit)
    np.testing.assert_allclose(model.predict(X) / unit, plain.predict(X), rtol=1e-3)
    vectors = model.transform(X)
    assert np.isfinite(vectors).all()
    assert np.ptp(vectors, axis=0).max() > 1e-3
    for name, means in plain.category_target_means_.items():
        np.testing.assert_allclose(model.category_target_means_[name] / unit, means)


def test_a_target_of_decimals_is_one_of_numbers() -> None:
    X, y = make_rows(60)
    cents = [Decimal(int(100 * v)) / 100 for v in y]
    expected = EntityEmbeddingRegressor(**QUICK).fit(X, np.array(cents, dtype=float))
    assert make_encoder().fit(X, cents).target_type_ == "continuous"
    for container in (list, pd.Series, pl.Series, pa.array):
        model = EntityEmbeddingRegressor(**QUICK).fit(X, container(cents))
        np.testing.assert_array_equal(model.predict(X), expected.predict(X))


def test_poisson_predictions_are_positive_with_the_right_mean(halves: Any) -> None:
    X, y, X_new, y_new = halves
    counts = np.random.default_rng(0).poisson(3 * np.exp(0.5 * y))
    model = EntityEmbeddingRegressor(loss="poisson", **GOOD).fit(X, counts)
    predicted = model.predict(X_new)
    assert (predicted > 0).all()
    np.testing.assert_allclose(
        predicted, np.exp(by_hand(model, X_new)[:, 0]) * counts.mean(), rtol=1e-9
    )
    assert np.corrcoef(np.log(predicted), y_new)[0, 1] > 0.9
    model.set_params(loss="squared_error")  # waits for the next fit
    np.testing.assert_array_equal(model.predict(X_new), predicted)


def test_integers_are_quantities_for_a_regressor_and_classes_for_a_classifier() -> None:
    X, y = make_rows(240)
    numbers = np.argsort(np.argsort(y)) // 2  # 120 of them: the encoder asks which
    assert EntityEmbeddingRegressor(**QUICK).fit(X, numbers).target_type_ == "continuous"
    with pytest.warns(RareClassWarning):
        model = EntityEmbeddingClassifier(**QUICK | {"cv": 3}).fit(X, numbers)
    assert model.target_type_ == "multiclass"
    assert model.predict_proba(X).shape == (240, 120)


def test_the_classifier_learns(halves: Any, classifier: EntityEmbeddingClassifier) -> None:
    _, _, X_new, y_new = halves
    y_new = targets(y_new)[classifier.target_type_]
    proba = classifier.predict_proba(X_new)
    proba = proba[:, 1] if classifier.target_type_ == "binary" else proba
    assert roc_auc_score(y_new, proba, multi_class="ovr") > 0.9
    assert classifier.score(X_new, y_new) > 0.65


def test_probabilities_are_the_networks(halves: Any, classifier: EntityEmbeddingClassifier) -> None:
    X = halves[2]
    raw, proba = by_hand(classifier, X), classifier.predict_proba(X)
    decision, predicted = classifier.decision_function(X), classifier.predict(X)
    if classifier.target_type_ == "multilabel-indicator":
        np.testing.assert_allclose(proba, expit(raw), rtol=1e-9)
        np.testing.assert_array_equal(predicted, proba > 0.5)
        assert decision.shape == predicted.shape == (200, 3)
        return
    np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=1e-12)
    np.testing.assert_array_equal(predicted, classifier.classes_[proba.argmax(axis=1)])
    if classifier.target_type_ == "binary":
        np.testing.assert_allclose(proba[:, 1], expit(raw[:, 0]), rtol=1e-9)
        np.testing.assert_array_equal(decision > 0, predicted == "late")
        assert decision.shape == (200,)
    else:
        np.testing.assert_allclose(proba, softmax(raw, axis=1), rtol=1e-9)
        np.testing.assert_allclose(decision, raw, rtol=1e-9)


def test_labels_keep_their_type(halves: Any) -> None:
    X, y = halves[:2]
    for labels in (y > 0, np.where(y > 0, 3, -3), pd.Series(np.where(y > 0, "a", "b"))):
        model = EntityEmbeddingClassifier(**QUICK).fit(X, labels)
        assert set(model.predict(X)) <= set(labels)
        assert model.predict(X).dtype == model.classes_.dtype == np.asarray(labels).dtype


def test_quantities_are_no_classes() -> None:
    X, y = make_rows(60)
    with pytest.raises(InvalidDataError, match="Unknown label type: continuous"):
        EntityEmbeddingClassifier(**QUICK).fit(X, y)
    with pytest.raises(InvalidDataError, match="Unknown label type: multiclass-multioutput"):
        EntityEmbeddingClassifier(**QUICK).fit(X, np.column_stack([np.arange(60) % 3] * 2))
    with pytest.raises(InvalidDataError, match="one class only"):
        EntityEmbeddingClassifier(**QUICK).fit(X, np.zeros(60))
    with pytest.raises(InvalidParameterError, match="a regressor needs a numeric y"):
        EntityEmbeddingRegressor(**QUICK).fit(X, np.where(y > 0, "a", "b"))
    with pytest.raises(InvalidDataError, match="without negative values"):
        EntityEmbeddingRegressor(loss="poisson", **QUICK).fit(X, y)


@pytest.mark.parametrize(
    ("cls", "name", "value"),
    [
        (EntityEmbeddingRegressor, "loss", "log_loss"),
        (EntityEmbeddingClassifier, "loss", "squared_error"),
        (EntityEmbeddingClassifier, "handle_unknown", "zero"),
        (EntityEmbeddingRegressor, "handle_missing", "nan"),
    ],
)
def test_what_does_not_fit_a_predictor_is_named(cls: Any, name: str, value: Any) -> None:
    X, y = make_rows(60)
    with pytest.raises(SklearnParameterError, match=f"{name!r} parameter"):
        cls(**{name: value}).fit(X, y > 0)


def test_class_weights_move_the_predictions(halves: Any) -> None:
    X, y, X_new, _ = halves
    plain, balanced = (
        EntityEmbeddingClassifier(class_weight=w, **QUICK).fit(X, y > 1) for w in (None, "balanced")
    )
    assert balanced.predict_proba(X_new)[:, 1].mean() > plain.predict_proba(X_new)[:, 1].mean()


def test_unknown_and_missing_cells_have_predictions(halves: Any) -> None:
    X, y, X_new, _ = halves
    model = EntityEmbeddingRegressor(**GOOD).fit(X, y)
    odd = X_new[:3].copy()
    odd["letter"] = ["never seen", None, "a"]
    odd.loc[odd.index[2], "size"] = None
    predicted = model.predict(odd)
    assert np.isfinite(predicted).all()
    assert predicted[0] != predicted[2]
    strict = EntityEmbeddingRegressor(handle_unknown="error", handle_missing="error", **QUICK)
    strict.fit(X, y)
    with pytest.raises(InvalidDataError, match="unknown categories in column 'letter'"):
        strict.predict(odd[:1])
    with pytest.raises(InvalidDataError, match="letter"):
        strict.predict(odd[1:2])


def test_numbers_alone_are_context(halves: Any) -> None:
    random = np.random.default_rng(0)
    X = random.normal(size=(500, 3))
    y = X[:, 0] - 2 * np.abs(X[:, 1])
    model = EntityEmbeddingRegressor(**GOOD).fit(X[:400], y[:400])
    assert model.score(X[400:], y[400:]) > 0.9
    assert model.categorical_features_ == []
    assert dict(model.embeddings_) == {}
    assert model.fold_ is None
    assert model.transform(X).shape == (500, 0)
    assert model.inverse_transform(model.transform(X)).shape == (500, 0)
    assert model.get_feature_names_out().tolist() == []
    np.testing.assert_allclose(
        model.predict(X), pickle.loads(pickle.dumps(model)).predict(X), rtol=0
    )
    X[0, 0] = np.nan
    assert np.isfinite(model.predict(X)).all()


def test_numbers_alone_go_on_training_without_a_warning() -> None:
    X, y = make_rows(240)
    model = EntityEmbeddingRegressor(warm_start=True, **QUICK).fit(X[["size"]], y)
    model.fit(X[["size"]][:200], y[:200])  # nothing there that could leak
    model = EntityEmbeddingRegressor(warm_start=True, **QUICK).fit(X, y)
    with pytest.warns(LeakageWarning):
        model.fit(X[:200], y[:200])


def test_the_vectors_are_the_encoders() -> None:
    X, y = make_rows(240)
    encoder, model = EntityEmbeddingEncoder(**QUICK), EntityEmbeddingRegressor(**QUICK)
    np.testing.assert_array_equal(encoder.fit_transform(X, y), model.fit_transform(X, y))
    np.testing.assert_array_equal(encoder.transform(X), model.transform(X))
    assert model.get_feature_names_out().tolist() == encoder.get_feature_names_out().tolist()
    assert model.embeddings_["letter"].equals(encoder.embeddings_["letter"])
    assert (
        model.inverse_transform(model.transform(X))
        == encoder.inverse_transform(encoder.transform(X))
    ).all()
    frame = model.set_output(transform="pandas").transform(X)
    assert frame.columns.tolist() == model.get_feature_names_out().tolist()


def test_the_predictors_say_what_they_are() -> None:
    regressor, classifier = EntityEmbeddingRegressor(), EntityEmbeddingClassifier()
    assert is_regressor(regressor)
    assert is_classifier(classifier)
    assert get_tags(classifier).classifier_tags.multi_label
    for estimator in (regressor, classifier):
        tags = get_tags(estimator)
        assert tags.input_tags.allow_nan
        assert tags.input_tags.string
        assert tags.target_tags.multi_output
    assert not hasattr(regressor, "predict_proba")
    assert not hasattr(EntityEmbeddingEncoder(), "predict")


@pytest.fixture(scope="module")
def fitted() -> dict[str, Any]:
    """A quick predictor of each kind, fitted on rows with a missing cell."""
    X, y = make_rows(120)
    X.loc[3, ["letter", "size"]] = None
    made: dict[str, Any] = {
        kind: EntityEmbeddingClassifier(**QUICK).fit(X, labels)
        for kind, labels in targets(y).items()
    }
    made["poisson"] = EntityEmbeddingRegressor(loss="poisson", **QUICK).fit(X, np.exp(y))
    made["several"] = EntityEmbeddingRegressor(**QUICK).fit(X, np.column_stack([y, -y]))
    made["strict"] = EntityEmbeddingRegressor(handle_unknown="error", **QUICK).fit(X, y)
    made["linear"] = EntityEmbeddingClassifier(**QUICK | {"hidden_layer_sizes": ()})
    made["linear"].fit(X[["letter"]], y > 0)
    return made


NAMES = ["binary", "linear", "multiclass", "multilabel-indicator", "poisson", "several", "strict"]


def new_rows(model: Any) -> pd.DataFrame:
    X, _ = make_rows(40, seed=1)
    X.loc[2, ["letter", "size"]] = None
    X.loc[3, "size"] = 1e9
    if model.handle_unknown != "error":
        X.loc[4, "letter"] = "never seen"
    return X[list(model.feature_names_in_)]


def run_onnx(model: Any, X: pd.DataFrame, **options: Any) -> list[np.ndarray]:
    """What onnxruntime makes of the exported model."""
    onnxruntime = pytest.importorskip("onnxruntime")
    markers = {"letter": "<missing>"} if "letter" in model.categorical_features_ else {}
    exported = to_onnx(model, missing_values=markers, **options)
    session = onnxruntime.InferenceSession(exported.SerializeToString())
    feed = {}
    for name in X:
        cells = X[name].to_numpy()
        if name in model.categorical_features_:
            cells = X[name].fillna("<missing>").to_numpy(dtype=object)
        feed[name] = cells[:, None]
    outputs: list[np.ndarray] = session.run(None, feed)
    for output, described in zip(outputs, session.get_outputs(), strict=True):
        assert described.shape[1:] == list(output.shape[1:])
    return outputs


@pytest.mark.parametrize("name", NAMES)
def test_onnx_predicts_the_same(fitted: Any, name: str) -> None:
    model = fitted[name]
    X = new_rows(model)
    options = {"handle_unknown": "learned"} if name == "strict" else {}
    outputs = run_onnx(model, X, **options)
    if is_regressor(model):
        np.testing.assert_allclose(outputs[0], model.predict(X), rtol=1e-12)
        assert outputs[0].dtype == np.float64
        return
    label, probabilities = outputs
    np.testing.assert_array_equal(label, model.predict(X))
    np.testing.assert_allclose(probabilities, model.predict_proba(X), rtol=1e-6)


def test_onnx_of_predictors_knows_its_classes_and_limits(fitted: Any, halves: Any) -> None:
    facts = {
        p.key: p.value
        for p in to_onnx(fitted["linear"], missing_values={"letter": None}).metadata_props
    }
    assert facts == {"classes": "[false, true]"}
    with pytest.raises(InvalidParameterError, match="pass handle_unknown='learned' to"):
        to_onnx(fitted["strict"], missing_values={"letter": None})
    with pytest.raises(InvalidParameterError, match=r"must be one of \['learned'\]"):
        to_onnx(fitted["strict"], missing_values={"letter": None}, handle_unknown="nan")
    X, y = halves[:2]
    floats = EntityEmbeddingClassifier(**QUICK).fit(X, (y > 0) * 2.0)
    assert run_onnx(floats, X[:3])[0].dtype == np.float64
    for classes in (np.array(["a", 1], dtype=object), np.array(["\ud800", "a"], dtype=object)):
        floats.classes_ = classes
        with pytest.raises(UnsupportedDataError, match="The classes are of a type"):
            to_onnx(floats)
    floats.classes_ = np.array([0, 2**64 - 1], dtype=np.uint64)
    with pytest.raises(UnsupportedDataError, match="The classes are of a type"):
        to_onnx(floats)


def test_an_onnx_output_never_has_a_columns_name() -> None:
    X, y = make_rows(60)
    X = X.rename(columns={"letter": "label", "color": "variable"})
    outputs = [o.name for o in to_onnx(EntityEmbeddingRegressor(**QUICK).fit(X, y)).graph.output]
    assert outputs == ["variable_"]
    model = EntityEmbeddingClassifier(**QUICK).fit(X, y > 0)
    assert [o.name for o in to_onnx(model).graph.output] == ["label_", "probabilities"]


# Lists and bounds --------------------------------------------------------------------------


def test_predictors_of_lists_are_the_encoders_network() -> None:
    X, y = make_list_rows()
    regressor = EntityEmbeddingRegressor(pooling="gru", **QUICK).fit(X, y)
    encoder = EntityEmbeddingEncoder(pooling="gru", output="both", **QUICK).fit(X, y)
    vectors, width = regressor.transform(X), regressor.transform(X).shape[1]
    np.testing.assert_array_equal(vectors, encoder.transform(X)[:, :width])
    context = encoder._model.scaling.apply(X[["size"]].to_numpy())
    hidden = regressor._model.head.hidden(vectors, context)
    np.testing.assert_allclose(encoder.transform(X)[:, width:], hidden, rtol=1e-5, atol=1e-6)
    expected = regressor._model.scale.restore(by_hand(regressor, X))[:, 0]
    np.testing.assert_allclose(regressor.predict(X), expected, rtol=1e-4, atol=1e-4)


def test_bounded_predictions_are_a_sigmoid_of_the_networks_outputs(halves: Any) -> None:
    X, y = halves[:2]
    low, high = y.min() - 0.1, y.max() + 0.1
    model = EntityEmbeddingRegressor(y_range=(low, high), **QUICK).fit(X, y)
    raw = model._model.raw(model._code(X))[:, 0]
    scale = model._model.scale
    share = (scale.center[0] - low) / (high - low)
    slope = scale.width[0] / ((high - low) * share * (1 - share))
    expected = low + (high - low) * expit(np.log(share / (1 - share)) + slope * raw)
    np.testing.assert_allclose(model.predict(X), expected)
    free = EntityEmbeddingRegressor(**QUICK).fit(X, y)
    assert np.abs(free.predict(X) - model.predict(X)).max() > 1e-3


def test_model_selection_over_heads_and_poolings() -> None:
    X, y = make_list_rows()
    grid = {"pooling": ["mean", "sum"], "head": ["mlp", "dot"]}
    search = GridSearchCV(EntityEmbeddingRegressor(**QUICK), grid, cv=2).fit(X, y)
    assert len(set(search.cv_results_["mean_test_score"])) == 4
    assert search.best_estimator_.predict(X).shape == (240,)


def test_several_quantities_are_predicted_together(halves: Any) -> None:
    X, y, X_new, y_new = halves
    model = EntityEmbeddingRegressor(**GOOD).fit(X, np.column_stack([y, 100 - 20 * y]))
    predicted = model.predict(X_new)
    assert predicted.shape == (200, 2)
    assert model.score(X_new, np.column_stack([y_new, 100 - 20 * y_new])) > 0.85
