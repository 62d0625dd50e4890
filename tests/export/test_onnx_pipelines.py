"""Pipelines through skl2onnx: onnxruntime gives what scikit-learn gives."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    StackingRegressor,
)
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline

from sk_entity_embed import (
    EntityEmbeddingClassifier,
    EntityEmbeddingEncoder,
    EntityEmbeddingRegressor,
)
from sk_entity_embed.exceptions import InvalidParameterError, UnsupportedDataError
from sk_entity_embed.export import register_onnx
from tests.export.fitted import make_dot, make_list_encoder, make_list_rows
from tests.samples import make_encoder

skl2onnx = pytest.importorskip("skl2onnx")
types = pytest.importorskip("skl2onnx.common.data_types")

TYPES = {
    "city": "StringTensorType",
    "day": "Int64TensorType",
    "flag": "BooleanTensorType",
    "real": "DoubleTensorType",
    "size": "DoubleTensorType",
    "weight": "FloatTensorType",
}
CATEGORICAL = ["city", "day", "flag", "real"]
MISSING = {"missing_values": {"city": "<missing>"}}


@pytest.fixture(scope="module", autouse=True)
def _registered():
    register_onnx()


@pytest.fixture(scope="module")
def table():
    """Categories of each type, some cells missing, and two numbers."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame(
        {
            "city": rng.choice(["Lima", "Oslo", "ü漢"], 400),
            "day": rng.choice([-3, 0, 2**60], 400),
            "flag": rng.random(400) < 0.5,
            "real": rng.choice([0.1, -5.0, np.nan], 400),
            "size": rng.normal(size=400),
            "weight": rng.normal(size=400).astype(np.float32),
        }
    )
    X.loc[rng.random(400) < 0.1, "city"] = None
    X.loc[rng.random(400) < 0.1, "size"] = np.nan
    y = 2.0 * (X["city"] == "Oslo") + X["flag"] + (X["real"] > 0) + rng.normal(size=400)
    return X, y.to_numpy()


@pytest.fixture(scope="module")
def new_rows(table):
    """Rows of fit, and cells that fit has not seen."""
    new = table[0][:60].reset_index(drop=True)
    new.loc[:9, "city"] = "Atlantis"
    new.loc[5:14, "day"] = 99
    new.loc[10:14, "real"] = [7.5, 0.1, np.nan, 0.0, -5]
    return new


def run(model, X):
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    feeds = {i.name: X[[i.name]].to_numpy() for i in session.get_inputs()}
    return session.run(None, {n: _filled(cells) for n, cells in feeds.items()})


def _filled(cells):
    return np.where(pd.isna(cells), "<missing>", cells) if cells.dtype.kind in "OUT" else cells


def convert(estimator, X, options=None, **params):
    given = [(name, getattr(types, TYPES[name])([None, 1])) for name in X]
    return skl2onnx.to_onnx(estimator, initial_types=given, options=options, **params)


def make_columns(**params):
    """An encoder of some columns beside numbers that pass."""
    encoder = make_encoder(categorical_features=CATEGORICAL, remainder="drop", **params)
    return ColumnTransformer(
        [("encoder", encoder, [*CATEGORICAL, "size"]), ("numbers", "passthrough", ["weight"])]
    )


def of_encoder(estimator):
    return {EntityEmbeddingEncoder: MISSING, id(estimator): {"zipmap": False}}


@pytest.mark.parametrize("opset", [14, 17, 18, None])
@pytest.mark.parametrize("output", ["embedding", "stacking"])
def test_logistic_regression_on_vectors(table, new_rows, output, opset):
    X, y = table
    columns = make_columns(output=output)
    pipeline = make_pipeline(columns, LogisticRegression(max_iter=2000)).fit(X, y > 1)
    model = convert(pipeline, X, of_encoder(pipeline[-1]), target_opset=opset)
    onnx.checker.check_model(model, full_check=True)
    label, probabilities = run(model, new_rows)
    np.testing.assert_array_equal(label.astype(bool), pipeline.predict(new_rows))
    np.testing.assert_allclose(probabilities, pipeline.predict_proba(new_rows), atol=1e-6)


@pytest.mark.parametrize("classifies", [True, False])
def test_boosted_trees_on_vectors(table, new_rows, classifies):
    X, y = table
    columns = make_columns(interactions=[("city", "flag")], dimensions=2)
    if classifies:
        pipeline = make_pipeline(columns, HistGradientBoostingClassifier(max_iter=10))
        pipeline.fit(X, np.digitize(y, [0.5, 1.5]))
        _, found = run(convert(pipeline, X, of_encoder(pipeline[-1])), new_rows)
        np.testing.assert_allclose(found, pipeline.predict_proba(new_rows), atol=1e-6)
    else:
        pipeline = make_pipeline(columns, HistGradientBoostingRegressor(max_iter=10)).fit(X, y)
        (found,) = run(convert(pipeline, X, {EntityEmbeddingEncoder: MISSING}), new_rows)
        np.testing.assert_allclose(found.ravel(), pipeline.predict(new_rows), atol=1e-6)


@pytest.mark.parametrize(
    ("target", "zipmap"),
    [("text", False), ("bool", True), ("three", "columns"), ("labels", False), ("labels", True)],
)
def test_a_classifier_at_the_end(table, new_rows, target, zipmap):
    X, y = table
    targets = {
        "text": np.where(y > 1, "high", "low"),
        "bool": y > 1,
        "three": np.digitize(y, [0.5, 1.5]),
        "labels": np.column_stack([y > 0.5, y > 1.5]).astype(int),
    }
    params = {"hidden_layer_sizes": (4,), "max_iter": 2, "random_state": 0}
    classifier = EntityEmbeddingClassifier(categorical_features=CATEGORICAL, **params)
    pipeline = make_pipeline(classifier).fit(X, targets[target])
    options = {id(classifier): {"zipmap": zipmap, **MISSING}}
    label, *rest = run(convert(pipeline, X, options), new_rows)
    expected = pipeline.predict_proba(new_rows)
    np.testing.assert_array_equal(label, pipeline.predict(new_rows))
    found = rest[0] if zipmap is False else np.column_stack(rest)
    if zipmap is True:
        found = pd.DataFrame(rest[0]).to_numpy()
        assert list(rest[0][0]) == list(classifier.classes_)
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("n_targets", [1, 2])
def test_a_regressor(table, new_rows, n_targets):
    X, y = table
    X, y = X[["city", "day", "size"]], y if n_targets == 1 else np.column_stack([y, -y])
    regressor = make_dot() if n_targets == 1 else EntityEmbeddingRegressor(max_iter=1)
    regressor.set_params(categorical_features=["city", "day"]).fit(X, y)
    (found,) = run(convert(regressor, X, {type(regressor): MISSING}), new_rows)
    assert found.shape == (60, n_targets)
    np.testing.assert_allclose(found.squeeze(), regressor.predict(new_rows[[*X]]), atol=1e-12)


def test_a_stack_of_regressors(table):
    """Its converter takes one tensor of numbers for all columns."""
    X, y = table
    X = X[["day", "real"]].astype(float)
    dots = [(str(k), make_dot(random_state=k, categorical_features="all")) for k in (0, 1)]
    stack = StackingRegressor(dots, Ridge(), cv=2).fit(X, y)
    model = skl2onnx.to_onnx(stack, initial_types=[("X", types.DoubleTensorType([None, 2]))])
    session = onnxruntime.InferenceSession(model.SerializeToString())
    (found,) = session.run(None, {"X": X.to_numpy()})
    np.testing.assert_allclose(found.ravel(), stack.predict(X), atol=1e-6)


def test_columns_come_by_name_or_side_by_side(table):
    X, y = table
    X = X[["city", "flag"]].assign(city=X["city"].fillna("-"), flag=X["flag"].map(str))
    encoder = make_encoder().fit(X, y)
    expected = encoder.transform(X)
    kind = types.StringTensorType
    named = [("flag", kind([None, 1])), ("city", kind([None, 1]))]
    (found,) = run(skl2onnx.to_onnx(encoder, initial_types=named), X)
    np.testing.assert_array_equal(found, expected)
    together = skl2onnx.to_onnx(encoder, initial_types=[("X", kind([None, 2]))])
    session = onnxruntime.InferenceSession(together.SerializeToString())
    np.testing.assert_array_equal(session.run(None, {"X": X.to_numpy(object)})[0], expected)


def test_two_encoders_share_a_model(table, new_rows):
    """The names of their nodes do not clash."""
    X, y = table
    columns = ColumnTransformer(
        [("a", make_encoder(), ["city"]), ("b", make_encoder(random_state=1), ["city", "day"])]
    )
    columns.set_params(b__categorical_features=["city", "day"]).fit(X[["city", "day"]], y)
    (found,) = run(
        convert(columns, X[["city", "day"]], {EntityEmbeddingEncoder: MISSING}), new_rows
    )
    np.testing.assert_array_equal(found, columns.transform(new_rows[["city", "day"]]))


def test_registering_again_changes_nothing():
    parse = pytest.importorskip("skl2onnx._parse")
    before = parse.do_not_merge_columns
    register_onnx()
    assert parse.do_not_merge_columns == before


@pytest.mark.parametrize(
    ("given", "options", "opset", "message"),
    [
        (
            {"day": "FloatTensorType"},
            MISSING,
            None,
            "'day' is a FloatTensorType.*'Int64Tensor",
        ),
        ({"real": "FloatTensorType"}, MISSING, None, "'real' is a FloatTensorType.*'DoubleTensor"),
        ({"size": "StringTensorType"}, MISSING, None, "'size' is a StringTensorType"),
        ({}, {}, None, "'city' had missing cells in fit"),
        ({}, {**MISSING, "handle_unknown": "guess"}, None, "'guess'"),
        ({}, MISSING, 13, "`target_opset` is 13"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_named(table, given, options, opset, message):
    X, y = table
    X = X.drop(columns="weight")
    encoder = make_encoder(categorical_features=CATEGORICAL, max_iter=1).fit(X, y)
    kinds = [(name, getattr(types, given.get(name, TYPES[name]))([None, 1])) for name in X]
    with pytest.raises(InvalidParameterError, match=message):
        skl2onnx.to_onnx(
            encoder, initial_types=kinds, options={id(encoder): options}, target_opset=opset
        )


def test_too_few_inputs_are_named(table):
    X, y = table
    encoder = make_encoder(max_iter=1).fit(X[["city", "day"]], y)
    with pytest.raises(InvalidParameterError, match=r"2 columns, but .* have 1.*\['city', 'day'\]"):
        convert(encoder, X[["city"]], {id(encoder): MISSING})


def test_lists_are_refused():
    X, y = make_list_rows()
    encoder = make_list_encoder().fit(X, y)
    with pytest.raises(UnsupportedDataError, match=r"'mean' holds lists.*export.to_onnx"):
        skl2onnx.to_onnx(encoder, initial_types=[("X", types.StringTensorType([None, 6]))])
