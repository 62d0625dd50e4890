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
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from tests.samples import make_encoder, make_rows

N = 240
CATEGORICAL = ["letter", "color"]
Rows = tuple[pd.DataFrame, np.ndarray]


def make_columns(**params: Any) -> ColumnTransformer:
    return ColumnTransformer(
        [
            ("encoder", make_encoder(**params), CATEGORICAL),
            ("numbers", StandardScaler(), ["size"]),
        ]
    )


def make_model(**params: Any) -> Pipeline:
    return Pipeline([("columns", make_columns(**params)), ("model", Ridge())])


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


def test_a_search_in_two_processes_finds_the_same_as_in_one_and_leaves_none_behind(
    rows: Rows,
) -> None:
    before = _children()
    grid = {
        "columns__encoder__dimensions": [1, 4],
        "columns__encoder__output": ["embedding", "both"],
    }
    one, two = (
        GridSearchCV(make_model(), grid, cv=2, n_jobs=n, error_score="raise").fit(*rows)
        for n in (1, 2)
    )
    np.testing.assert_array_equal(*(s.cv_results_["mean_test_score"] for s in (one, two)))
    assert len(set(two.cv_results_["mean_test_score"])) == 4
    assert two.predict(rows[0]).shape == (N,)
    best = two.best_estimator_["columns"].named_transformers_["encoder"]
    assert best.dimensions == two.best_params_["columns__encoder__dimensions"]

    get_reusable_executor().shutdown(wait=True)
    assert multiprocessing.active_children() == []
    deadline = time.monotonic() + 10  # on systems without /proc there is nothing to see
    while set(_children()) - set(before) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert set(_children()) - set(before) == set()


def test_a_column_transformer_in_a_pipeline(rows: Rows) -> None:
    fresh, truth = make_rows(N, seed=7)
    model = make_model(max_iter=15, learning_rate_init=0.02).fit(*rows)
    assert model.score(fresh, truth) > 0.6
    names = model[:-1].get_feature_names_out()
    assert (names[0], names[-1]) == ("encoder__letter_0", "numbers__size")
    assert "EntityEmbeddingEncoder" in model._repr_html_()


def test_a_pipeline_trains_on_out_of_fold_vectors(rows: Rows) -> None:
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
def test_the_model_downstream_gets_float32(output: str, rows: Rows) -> None:
    X, y = rows
    encoder = make_encoder(output=output, remainder="passthrough", max_iter=1)
    model = make_pipeline(encoder, Recorder())
    model.fit(X, y).predict(X)
    for array in (model[1].seen_, model[1].asked_):
        assert array.dtype == np.float32
        assert array.flags.c_contiguous


@pytest.mark.parametrize(
    ("container", "frame", "read"),
    [("pandas", pd.DataFrame, lambda X: X), ("polars", pl.DataFrame, pl.from_pandas)],
)
def test_frames_come_out_of_a_column_transformer(
    container: str, frame: type, read: Any, rows: Rows
) -> None:
    if container == "polars":
        pytest.importorskip("sklearn", "1.9", reason="older ones select no columns of polars 2")
    X, y = rows
    X = X.set_index(np.arange(N)[::-1])
    columns = make_columns(output="both").set_output(transform=container)
    out = columns.fit_transform(read(X), y)
    assert isinstance(out, frame)
    assert list(out.columns) == columns.get_feature_names_out().tolist()
    expected = make_columns(output="both").fit_transform(X, y)
    np.testing.assert_array_equal(out.to_numpy(), expected)
    again = columns.transform(read(X))
    assert isinstance(again, frame)
    if container == "pandas":
        assert out.index.equals(X.index)
        assert again.index.equals(X.index)
    with sklearn.config_context(transform_output=container):
        assert isinstance(make_columns().fit_transform(read(X), y), frame)


def test_a_feature_union_beside_one_hot(rows: Rows) -> None:
    X, y = rows
    union = FeatureUnion(
        [("dense", make_encoder(dimensions=2)), ("wide", OneHotEncoder(sparse_output=False))]
    )
    assert union.fit_transform(X[CATEGORICAL], y).shape == (N, 4 + 8)
    assert union.get_feature_names_out()[0] == "dense__letter_0"


def test_cross_val_score_meets_unknown_categories(rows: Rows) -> None:
    X, y = rows
    X = X.assign(id=[f"row {i}" for i in range(N)])
    labels = np.where(y > 0, "high", "low")
    encoder = make_encoder(max_iter=10, learning_rate_init=0.02)
    model = make_pipeline(encoder, LogisticRegression())
    scores = cross_val_score(model, X, labels, cv=2, scoring="roc_auc", error_score="raise")
    assert (scores > 0.7).all()
    assert not hasattr(encoder, "embeddings_")
