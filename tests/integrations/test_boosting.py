"""LightGBM, XGBoost and CatBoost on vectors: names, early stopping, whole vectors as features."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from sk_entity_embed.exceptions import InvalidDataError, InvalidParameterError
from sk_entity_embed.export import embedding_features
from tests.samples import make_encoder, make_rows

Rows = tuple[pd.DataFrame, np.ndarray]

MODELS: dict[str, tuple[str, dict[str, Any], str]] = {
    "lightgbm": ("LGBMRegressor", {"n_jobs": 1, "verbose": -1}, "feature_name_"),
    "xgboost": ("XGBRegressor", {"n_jobs": 1}, "feature_names_in_"),
    "catboost": (
        "CatBoostRegressor",
        {"thread_count": 1, "verbose": 0, "allow_writing_files": False},
        "feature_names_",
    ),
}
"""By library: the regressor, its parameters, and the attribute that names what it was given."""


def make_model(library: str, **params: Any) -> Any:
    name, given, _ = MODELS[library]
    return getattr(pytest.importorskip(library), name)(**given, n_estimators=40, **params)


@pytest.mark.parametrize("library", MODELS)
@pytest.mark.parametrize("container", ["pandas", "polars"])
def test_names_of_columns_reach_the_model(library: str, container: str, rows: Rows) -> None:
    X, y = rows
    encoder = make_encoder(interactions=[("letter", "color")], remainder="passthrough")
    model = make_pipeline(encoder.set_output(transform=container), make_model(library)).fit(X, y)
    assert list(getattr(model[-1], MODELS[library][2])) == [*encoder.get_feature_names_out()]
    plain = make_pipeline(clone(encoder).set_output(transform="default"), make_model(library))
    np.testing.assert_allclose(model.predict(X), plain.fit(X, y).predict(X), atol=1e-5)


@pytest.mark.filterwarnings("ignore:The argument 'eval_set' is deprecated")  # LightGBM 4.7
@pytest.mark.parametrize("library", MODELS)
def test_early_stopping_on_new_rows(library: str, rows: Rows) -> None:
    """Rows that decide when to stop are new to the encoder, too, and come from `transform`."""
    X, y = rows
    later, truth = make_rows(100, seed=1)
    encoder = make_encoder(remainder="passthrough", max_iter=10)
    vectors, held_out = encoder.fit_transform(X, y), encoder.transform(later)
    how: dict[str, Any] = {"eval_set": [(held_out, truth)]}
    params: dict[str, Any] = {"learning_rate": 1.0}
    if library == "lightgbm":
        how["callbacks"] = [import_module("lightgbm").early_stopping(2, verbose=False)]
    elif library == "xgboost":
        params |= {"early_stopping_rounds": 2}
        how["verbose"] = False
    else:
        how["early_stopping_rounds"] = 2
    model = make_model(library, **params).fit(vectors, y, **how)
    best = getattr(model, "best_iteration_" if library != "xgboost" else "best_iteration")
    assert 0 < best < 39
    assert model.score(held_out, truth) > 0.5


def test_a_pipeline_encodes_the_rows_that_stop_training(rows: Rows) -> None:
    X, y = rows
    later, truth = make_rows(100, seed=1)
    encoder = make_encoder(remainder="passthrough", max_iter=10)
    model = make_model("lightgbm", learning_rate=1.0, early_stopping_round=2)
    with sklearn.config_context(enable_metadata_routing=True):
        model.set_fit_request(eval_X=True, eval_y=True)
        pipeline = Pipeline([("encoder", encoder), ("model", model)], transform_input=["eval_X"])
        pipeline.fit(X, y, eval_X=later, eval_y=truth)
    vectors, held_out = encoder.fit_transform(X, y), encoder.transform(later)
    expected = make_model("lightgbm", learning_rate=1.0, early_stopping_round=2)
    expected.fit(vectors, y, eval_X=held_out, eval_y=truth)
    assert 0 < model.best_iteration_ < 39
    assert model.best_iteration_ == expected.best_iteration_
    np.testing.assert_allclose(pipeline.predict(later), expected.predict(held_out))


# CatBoost's embedding features


@pytest.mark.parametrize("output", ["embedding", "both", "stacking"])
def test_vectors_become_cells(output: str, rows: Rows) -> None:
    X, y = rows
    X = X.set_index(np.arange(len(X))[::-1])
    pair = [("letter", "color")]
    encoder = make_encoder(output=output, interactions=pair, remainder="passthrough")
    vectors = encoder.set_output(transform="pandas").fit_transform(X, y)
    frame, names = embedding_features(vectors, encoder)
    assert names == ["letter", "color", "letter:color"] + ["hidden"] * (output == "both")
    others = ["prediction_0"] * (output == "stacking") + ["size"]
    assert frame.columns.tolist() == names + others
    assert frame.index.equals(X.index)
    back = np.column_stack(
        [np.stack(frame[c]) if c in names else frame[c].to_numpy()[:, None] for c in frame]
    )
    np.testing.assert_array_equal(back, vectors)


def test_catboost_learns_from_whole_vectors(rows: Rows) -> None:
    X, y = rows
    new, truth = make_rows(200, seed=1)
    columns = make_column_transformer(
        (make_encoder(max_iter=20, learning_rate_init=0.02), ["letter", "color"]),
        (StandardScaler(), ["size"]),
    )
    frame, names = embedding_features(columns.fit_transform(X, y), columns)
    assert frame.columns.tolist() == ["letter", "color", "standardscaler__size"]
    model = make_model("catboost", embedding_features=names).fit(frame, y)
    asked = embedding_features(columns.transform(new), columns).frame
    assert model.score(asked, truth) > 0.5
    assert model.get_embedding_feature_indices() == [0, 1]


def test_what_is_not_the_output_is_refused(rows: Rows) -> None:
    X, y = rows
    encoder = make_encoder(max_iter=1).fit(X, y)
    with pytest.raises(InvalidDataError, match=r"shape \(n_samples, 7\).*got \(2, 3\)"):
        embedding_features(np.ones((2, 3)), encoder)
    named = X.rename(columns={"size": "hidden"})
    both = make_encoder(max_iter=1, output="both", remainder="passthrough")
    vectors = both.fit_transform(named, y)
    with pytest.raises(InvalidParameterError, match="column 'hidden'"):
        embedding_features(vectors, both)
