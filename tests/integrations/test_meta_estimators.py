"""scikit-learn's estimators and tools that take another estimator."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import StackingRegressor, VotingClassifier
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.inspection import partial_dependence, permutation_importance
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import get_scorer, log_loss
from sklearn.model_selection import (
    GroupKFold,
    HalvingGridSearchCV,
    cross_val_predict,
    cross_validate,
    learning_curve,
)
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from sk_entity_embed import EntityEmbeddingRegressor
from tests.samples import EFFECTS, make_encoder, make_rows

Rows = tuple[pd.DataFrame, np.ndarray]


def make_model(**params: Any) -> Pipeline:
    """A linear model on vectors and the number."""
    learned = {"max_iter": 15, "learning_rate_init": 0.02, "remainder": "passthrough"}
    return make_pipeline(make_encoder(**learned | params), Ridge())


def make_classifier() -> Pipeline:
    return make_pipeline(
        make_encoder(max_iter=15, learning_rate_init=0.02, remainder="passthrough"),
        LogisticRegression(),
    )


@pytest.fixture(scope="module")
def new() -> Rows:
    return make_rows(200, seed=5)


def test_a_halving_search_with_few_rows_at_first(rows: Rows) -> None:
    name = "entityembeddingencoder"
    grid = {f"{name}__learning_rate_init": [1e-6, 0.02], f"{name}__dimensions": [1, 4]}
    search = HalvingGridSearchCV(
        make_model(), grid, cv=2, factor=2, min_resources=60, random_state=0, error_score="raise"
    ).fit(*rows)
    assert search.n_resources_ == [60, 120, 240]
    assert search.best_params_[f"{name}__learning_rate_init"] == 0.02


def test_a_search_halves_epochs_instead_of_rows(rows: Rows) -> None:
    name = "entityembeddingencoder"
    search = HalvingGridSearchCV(
        make_model(),
        {f"{name}__learning_rate_init": [1e-6, 0.02]},
        resource=f"{name}__max_iter",
        min_resources=4,
        max_resources=8,
        factor=2,
        cv=2,
        random_state=0,
        error_score="raise",
    ).fit(*rows)
    assert search.n_resources_ == [4, 8]
    assert search.best_estimator_[0].max_iter == 8


def test_stacking_and_voting(rows: Rows, new: Rows) -> None:
    stack = StackingRegressor(
        [
            ("vectors", make_model()),
            ("network", EntityEmbeddingRegressor(max_iter=5, cv=2, random_state=0)),
        ],
        Ridge(),
        cv=3,
    ).fit(*rows)
    assert stack.score(*new) > 0.8
    vote = VotingClassifier(
        [("a", make_classifier()), ("b", make_classifier())], voting="soft", weights=[1, 1]
    ).fit(rows[0], rows[1] > 0)
    own = make_classifier().fit(rows[0], rows[1] > 0)
    np.testing.assert_allclose(vote.predict_proba(new[0]), own.predict_proba(new[0]), atol=1e-6)


@pytest.mark.parametrize("ensemble", [True, False])
def test_calibration(ensemble: bool, rows: Rows, new: Rows) -> None:
    y, truth = rows[1] > 0, new[1] > 0
    calibrated = CalibratedClassifierCV(make_classifier(), cv=2, ensemble=ensemble).fit(rows[0], y)
    assert log_loss(truth, calibrated.predict_proba(new[0])[:, 1]) < 0.5


def test_a_target_on_another_scale(rows: Rows, new: Rows) -> None:
    model = TransformedTargetRegressor(make_model(), func=np.log, inverse_func=np.exp)
    model.fit(rows[0], np.exp(rows[1]))
    own = make_model().fit(*rows)
    np.testing.assert_allclose(model.predict(new[0]), np.exp(own.predict(new[0])), rtol=1e-4)


def test_importances_are_those_of_columns(rows: Rows, new: Rows) -> None:
    model = make_model().fit(*rows)
    found = permutation_importance(model, *new, n_repeats=3, random_state=0)
    assert len(found.importances_mean) == 3  # letter, color, size: not their axes
    assert found.importances_mean.argmax() == 0
    assert (found.importances_mean > 0).all()


def test_partial_dependence_of_a_category(rows: Rows, new: Rows) -> None:
    model = make_model().fit(*rows)
    found = partial_dependence(model, new[0], ["letter"], categorical_features=["letter"])
    assert found["grid_values"][0].tolist() == [*EFFECTS]
    assert (np.diff(found["average"][0]) > 0.5).all()  # effects rise by 1
    both = partial_dependence(model, new[0], ["size"], grid_resolution=5)
    assert (np.diff(both["average"][0]) > 0).all()


def test_curves_and_predictions_of_rows_held_out(rows: Rows) -> None:
    X, y = rows
    sizes, _, scores = learning_curve(
        make_model(), X, y, train_sizes=[0.1, 1.0], cv=3, error_score="raise"
    )
    assert sizes.tolist() == [16, 160]
    assert scores[1].mean() > scores[0].mean()
    predicted = cross_val_predict(make_model(), X, y, cv=3)
    assert np.corrcoef(predicted, y)[0, 1] > 0.8


def test_weights_and_groups_reach_the_encoder(rows: Rows) -> None:
    X, y = rows
    rng = np.random.default_rng(0)
    group, weight = np.repeat(np.arange(24), 10), rng.uniform(0.5, 2, len(X))
    with sklearn.config_context(enable_metadata_routing=True):
        encoder = make_encoder(cv=3).set_fit_request(groups=True, sample_weight=True)
        ridge = Ridge().set_fit_request(sample_weight=True)
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        model = make_pipeline(encoder, scaler, ridge)
        model.fit(X, y, groups=group, sample_weight=weight)
        alone = make_encoder(cv=3)
        vectors = alone.fit_transform(X, y, groups=group, sample_weight=weight)
        np.testing.assert_array_equal(model[0].fold_, alone.fold_)
        assert pd.Series(model[0].fold_).groupby(group).nunique().max() == 1
        expected = Ridge().fit(StandardScaler().fit_transform(vectors), y, sample_weight=weight)
        np.testing.assert_allclose(model[-1].coef_, expected.coef_, rtol=1e-5)

        # Not the pipeline's own score, through which scikit-learn 1.7 routes no weights.
        found = cross_validate(
            model, X, y, cv=GroupKFold(3), return_estimator=True, error_score="raise",
            scoring=get_scorer("r2").set_score_request(sample_weight=True),
            params={"groups": group, "sample_weight": weight},
        )  # fmt: skip
        for fitted, (train, _) in zip(
            found["estimator"], GroupKFold(3).split(X, y, group), strict=True
        ):
            folds = pd.Series(fitted[0].fold_)
            assert folds.groupby(group[train]).nunique().max() == 1
