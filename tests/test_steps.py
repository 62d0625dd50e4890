"""Embedding steps are found in every composite, and are given the rows that they were fitted on."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import StackingRegressor, VotingRegressor
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV, TunedThresholdClassifierCV
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from skrub import TableVectorizer

from sk_entity_embed._access import fitted_step
from sk_entity_embed._steps import find_step
from sk_entity_embed.exceptions import InvalidParameterError
from sk_entity_embed.inspection import embedding_steps, nearest_rows
from tests.containers import NAMELESS, make_container
from tests.samples import make_encoder


class Passing(BaseEstimator):
    """A composite of the user's own, which tells nobody what its part is given."""

    def __init__(self, coder=None):
        self.coder = coder

    def fit(self, X, y):
        self.coder_ = clone(self.coder).fit(X, y)
        self.scaler_ = StandardScaler()
        return self


def no_score(estimator, X, y):
    return 0.0


STEP = "entityembeddingencoder"
COMPOSITES = {
    "best of a search": (
        lambda e: GridSearchCV(e, {"max_iter": [1]}, cv=2, scoring=no_score),
        "estimator",
    ),
    "candidate of a search": (
        lambda e: RandomizedSearchCV(
            make_pipeline("passthrough", DummyClassifier()), {"passthrough": [e]}, n_iter=1, cv=2
        ),
        "estimator__passthrough",
    ),
    "regressor of a target": (
        lambda e: TransformedTargetRegressor(
            make_pipeline(e, Ridge()), func=np.sqrt, inverse_func=np.square
        ),
        f"regressor__{STEP}",
    ),
    "part of a union": (
        lambda e: FeatureUnion([("a", "drop"), ("b", "passthrough"), ("c", e)]),
        "c",
    ),
    "remainder": (
        lambda e: ColumnTransformer([("size", StandardScaler(), ["size"])], remainder=e),
        "remainder",
    ),
    "beside empty columns": (
        lambda e: ColumnTransformer([("none", make_encoder(), []), ("some", e, ["letter"])]),
        "some",
    ),
    "model with a threshold": (
        lambda e: TunedThresholdClassifierCV(make_pipeline(e, LogisticRegression()), cv=2),
        f"estimator__{STEP}",
    ),
    "calibrated": (
        lambda e: CalibratedClassifierCV(
            make_pipeline(e, LogisticRegression()), cv=2, ensemble=False
        ),
        f"calibrated_classifiers_[0]__estimator__{STEP}",
    ),
    "one of a vote": (
        lambda e: VotingRegressor([("a", make_pipeline(e, Ridge())), ("b", DummyRegressor())]),
        f"a__{STEP}",
    ),
    "one of a stack": (
        lambda e: StackingRegressor([("a", make_pipeline(e, Ridge()))], Ridge(), cv=2),
        f"a__{STEP}",
    ),
    "one of several outputs": (
        lambda e: MultiOutputRegressor(make_pipeline(e, Ridge())),
        f"estimators_[0]__{STEP}",
    ),
    "own": (Passing, "coder"),
    "skrub's": (lambda e: TableVectorizer(low_cardinality=e), "letter"),
}
"""How an encoder is put into another estimator, and its name there."""


@pytest.mark.parametrize("kind", COMPOSITES)
def test_steps_of_every_composite(rows, kind):
    make, name = COMPOSITES[kind]
    X, y = rows[0][["letter", "size"]], (rows[1] > 0).astype(int)
    plan = make_encoder(cv=2, categorical_features=[0], max_iter=1, handle_missing="error")
    model = make(plan).fit(X, y[:, None] if kind == "one of several outputs" else y)
    step = find_step(model)
    assert step.name == name
    assert step.estimator.handle_missing == "error"
    assert embedding_steps(model) == {name: step.estimator}
    frozen = make_pipeline(FrozenEstimator(model))
    assert fitted_step(frozen) is step.estimator


@pytest.mark.parametrize(
    "make",
    [
        lambda e: GridSearchCV(e, {}, refit=False),
        lambda e: ColumnTransformer([("e", e, ["letter"])]),
        lambda e: ColumnTransformer([], remainder=e),
        lambda e: VotingRegressor([("e", e)]),
        lambda e: TableVectorizer(low_cardinality=e),
        lambda e: Passing(e),
        lambda e: TransformedTargetRegressor(make_pipeline(e, Ridge())),
    ],
    ids=lambda make: type(make(None)).__name__,
)
def test_composites_that_are_not_fitted(make):
    how = " with refit=True" if isinstance(make(None), GridSearchCV) else ""
    with pytest.raises(
        NotFittedError, match=rf"not fitted yet: .* Call 'fit' of the \w+{how} first"
    ):
        find_step(make(make_encoder()))
    with pytest.raises(NotFittedError, match="This Pipeline instance is not fitted yet: "):
        find_step(make_pipeline(make(make_encoder())))


def test_what_was_fitted_hides_what_it_was_copied_from(rows):
    X, y = rows
    first = make_encoder(random_state=3).fit(X, y)
    for whole in (MultiOutputRegressor(make_pipeline(first, Ridge())), Passing(first)):
        assert find_step(whole).estimator is first
        step = find_step(whole.fit(X, y[:, None] if whole.__class__ is not Passing else y))
        assert step.estimator is not first


def test_a_fitted_step_alone_has_its_own_name(rows):
    encoder = make_encoder(max_iter=1).fit(*rows)
    assert embedding_steps(encoder) == {STEP: encoder}


# Rows


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        ("pandas", ["letter", "flag"]),
        ("pandas", [2, 0]),
        ("polars", ["letter", "flag"]),
        ("pyarrow", slice(0, 3, 2)),
        ("numpy_object", [True, False, True]),
        ("lists", [2, 0]),
    ],
)
def test_a_column_transformer_selects_the_columns_of_fit(name, columns):
    if name == "polars":
        pytest.importorskip("sklearn", "1.9", reason="older ones select no columns of polars 2")
    cells = {"flag": [True, False] * 20, "size": [1.5, 2.5] * 20, "letter": list("abca") * 10}
    X = make_container(name, cells)
    encoder = make_encoder(categorical_features="all", max_iter=1)
    model = ColumnTransformer([("size", "drop", [1]), ("e", encoder, columns)])
    model.fit(X, np.arange(40) + 0.5)
    step = find_step(model)
    expected = model.transform(X)
    np.testing.assert_array_equal(step.estimator.transform(step.rows_given(X)), expected)
    if name not in NAMELESS:
        others = make_container(name, {"new": [0] * 40, **dict(reversed(cells.items()))})
        found = step.estimator.transform(step.rows_given(others))
        np.testing.assert_array_equal(found, expected)
    else:
        with pytest.raises(ValueError, match="features"):
            step.rows_given(make_container(name, {**cells, "new": [0] * 40}))


def test_rows_pass_the_steps_before_and_no_other(rows):
    X, y = rows[0][["letter", "size"]], (rows[1] > 0).astype(int)
    for kind in ("best of a search", "regressor of a target", "part of a union"):
        model = make_pipeline(FunctionTransformer(renamed), COMPOSITES[kind][0](make_encoder(cv=2)))
        step = find_step(model.fit(X, y))
        pd.testing.assert_frame_equal(step.rows_given(X), renamed(X))
        assert step.before == ["functiontransformer"]
    bag = COMPOSITES["one of several outputs"][0](make_encoder(cv=2)).fit(X, y[:, None])
    with pytest.raises(
        InvalidParameterError, match=r"MultiOutputRegressor may change .* pass the embed"
    ):
        nearest_rows(bag, X, 0)


def renamed(X):
    return X.rename(columns={"letter": "sign"})
