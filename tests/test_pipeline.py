"""Beside other steps: pipelines, column transformers, searches, worker processes."""

from __future__ import annotations

import multiprocessing
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
from joblib.externals.loky import get_reusable_executor
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from tests.samples import make_encoder, make_rows

N = 240
CATEGORICAL = ["letter", "color"]


def make_columns(**params: Any) -> ColumnTransformer:
    return ColumnTransformer(
        [
            ("encoder", make_encoder(**params), CATEGORICAL),
            ("numbers", StandardScaler(), ["size"]),
        ]
    )


def make_model(**params: Any) -> Pipeline:
    return Pipeline([("columns", make_columns(**params)), ("model", Ridge())])


@pytest.fixture(scope="module")
def rows() -> tuple[pd.DataFrame, np.ndarray]:
    return make_rows(N)


def _children() -> dict[int, str]:
    """State of each child process by its number ("Z" is a zombie).

    The one in which Python itself keeps track of shared resources is left out.
    """
    found = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            state, parent = (path / "stat").read_text().rsplit(")", 1)[1].split()[:2]
            tracker = b"resource_tracker" in (path / "cmdline").read_bytes()
        except (OSError, ValueError):  # it has just ended
            continue
        if int(parent) == os.getpid() and not tracker:
            found[int(path.name)] = state
    return found


def test_grid_search_in_two_processes_leaves_none_behind(
    rows: tuple[pd.DataFrame, np.ndarray],
) -> None:
    before = _children()
    grid = {
        "columns__encoder__dimensions": [1, 4],
        "columns__encoder__output": ["embedding", "both"],
    }
    model = make_model(max_iter=12, learning_rate_init=0.02)
    search = GridSearchCV(model, grid, cv=2, n_jobs=2, error_score="raise")
    search.fit(*rows)
    assert search.cv_results_["mean_test_score"].shape == (4,)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert len(set(search.cv_results_["mean_test_score"])) == 4
    assert search.best_score_ > 0.5
    assert search.predict(rows[0]).shape == (N,)
    best = search.best_estimator_["columns"].named_transformers_["encoder"]
    assert best.dimensions == search.best_params_["columns__encoder__dimensions"]
    assert best.output == search.best_params_["columns__encoder__output"]

    get_reusable_executor().shutdown(wait=True)
    assert multiprocessing.active_children() == []
    deadline = time.monotonic() + 10  # on systems without /proc there is nothing to see
    while set(_children()) - set(before) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert set(_children()) - set(before) == set()


def test_the_search_finds_the_same_in_one_process_and_in_two(
    rows: tuple[pd.DataFrame, np.ndarray],
) -> None:
    grid = {"columns__encoder__dimensions": [1, 3]}
    scores = [
        GridSearchCV(make_model(), grid, cv=2, n_jobs=n).fit(*rows).cv_results_["mean_test_score"]
        for n in (1, 2)
    ]
    get_reusable_executor().shutdown(wait=True)
    np.testing.assert_array_equal(*scores)


def test_a_column_transformer_in_a_pipeline(rows: tuple[pd.DataFrame, np.ndarray]) -> None:
    X, y = rows
    fresh, truth = make_rows(N, seed=7)
    model = make_model(max_iter=15, learning_rate_init=0.02).fit(X, y)
    assert model.score(fresh, truth) > 0.6
    names = model[:-1].get_feature_names_out()
    assert names[0] == "encoder__letter_0"
    assert names[-1] == "numbers__size"
    assert "EntityEmbeddingEncoder" in model._repr_html_()


def test_a_pipeline_trains_on_out_of_fold_vectors(rows: tuple[pd.DataFrame, np.ndarray]) -> None:
    X, y = rows
    model = make_pipeline(make_encoder(), Ridge()).fit(X, y)
    expected = Ridge().fit(make_encoder().fit_transform(X, y), y)
    np.testing.assert_array_equal(model[1].coef_, expected.coef_)
    np.testing.assert_array_equal(model.predict(X), expected.predict(model[0].transform(X)))


class Recorder(RegressorMixin, BaseEstimator):
    """A model that keeps what it is given."""

    def fit(self, X: Any, y: Any) -> Recorder:
        self.seen_ = X
        return self

    def predict(self, X: Any) -> Any:
        self.asked_ = X
        return np.zeros(len(X))


@pytest.mark.parametrize("output", ["embedding", "hidden", "both"])
def test_the_model_downstream_gets_float32(
    output: str, rows: tuple[pd.DataFrame, np.ndarray]
) -> None:
    X, y = rows
    model = make_pipeline(make_encoder(output=output, remainder="passthrough"), Recorder())
    model.fit(X, y).predict(X)
    for array in (model[1].seen_, model[1].asked_):
        assert array.dtype == np.float32
        assert array.flags.c_contiguous


@pytest.mark.parametrize(
    ("container", "frame", "read"),
    [("pandas", pd.DataFrame, lambda X: X), ("polars", pl.DataFrame, pl.from_pandas)],
)
def test_frames_come_out_of_a_column_transformer(
    container: str, frame: type, read: Any, rows: tuple[pd.DataFrame, np.ndarray]
) -> None:
    X, y = rows
    columns = make_columns(output="both").set_output(transform=container)
    out = columns.fit_transform(read(X), y)
    assert isinstance(out, frame)
    assert list(out.columns) == columns.get_feature_names_out().tolist()
    expected = make_columns(output="both").fit_transform(X, y)
    np.testing.assert_array_equal(out.to_numpy(), expected)
    again = columns.transform(read(X))
    assert isinstance(again, frame)
    with sklearn.config_context(transform_output=container):
        other = make_columns(output="both").fit_transform(read(X), y)
    assert isinstance(other, frame)


def test_pandas_output_keeps_the_index(rows: tuple[pd.DataFrame, np.ndarray]) -> None:
    X, y = rows
    X = X.set_index(np.arange(N)[::-1])
    out = make_columns().set_output(transform="pandas").fit_transform(X, y)
    assert out.index.equals(X.index)


def test_a_dtype_selector_picks_the_columns(rows: tuple[pd.DataFrame, np.ndarray]) -> None:
    X, y = rows
    selected = ColumnTransformer(
        [("encoder", make_encoder(), make_column_selector(dtype_exclude="number"))]
    )
    named = ColumnTransformer([("encoder", make_encoder(), CATEGORICAL)])
    np.testing.assert_array_equal(selected.fit_transform(X, y), named.fit_transform(X, y))


def test_a_feature_union_beside_one_hot(rows: tuple[pd.DataFrame, np.ndarray]) -> None:
    X, y = rows
    union = FeatureUnion(
        [("dense", make_encoder(dimensions=2)), ("wide", OneHotEncoder(sparse_output=False))]
    )
    out = union.fit_transform(X[CATEGORICAL], y)
    assert out.shape == (N, 4 + 8)
    assert union.get_feature_names_out()[0] == "dense__letter_0"


@pytest.mark.parametrize("model", [Ridge(), HistGradientBoostingRegressor(max_iter=10)])
def test_cross_val_score(model: Any, rows: tuple[pd.DataFrame, np.ndarray]) -> None:
    encoder = make_encoder(max_iter=15, learning_rate_init=0.02)
    scores = cross_val_score(make_pipeline(encoder, model), *rows, cv=3, error_score="raise")
    assert (scores > 0.4).all()
    assert not hasattr(encoder, "embeddings_")


def test_cross_val_score_meets_unknown_categories(rows: tuple[pd.DataFrame, np.ndarray]) -> None:
    X, y = rows
    X = X.assign(id=[f"row {i}" for i in range(N)])
    labels = np.where(y > 0, "high", "low")
    model = make_pipeline(make_encoder(max_iter=10, learning_rate_init=0.02), LogisticRegression())
    scores = cross_val_score(model, X, labels, cv=2, scoring="roc_auc", error_score="raise")
    assert (scores > 0.7).all()
