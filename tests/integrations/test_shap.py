"""SHAP values of models on vectors, by column of the table."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from sk_entity_embed.inspection import group_by_column
from tests.samples import make_encoder, make_rows

shap = pytest.importorskip("shap")

Rows = tuple[pd.DataFrame, np.ndarray]


@pytest.fixture(scope="module")
def model(rows: Rows) -> Pipeline:
    encoder = make_encoder(
        output="stacking", interactions=[("letter", "color")], remainder="passthrough", max_iter=15
    )
    trees = HistGradientBoostingRegressor(max_iter=20, random_state=0)
    return make_pipeline(encoder, trees).fit(*rows)


@pytest.fixture(scope="module")
def explanation(model: Pipeline, rows: Rows) -> Any:
    return shap.TreeExplainer(model[-1])(model[:-1].transform(rows[0]))


def test_columns_sum_to_the_prediction(model: Pipeline, explanation: Any, rows: Rows) -> None:
    found = group_by_column(explanation.values, model)
    assert found.columns.tolist() == ["letter", "color", "size", "all columns"]
    np.testing.assert_allclose(
        found.sum(axis=1) + explanation.base_values, model.predict(rows[0]), atol=1e-6
    )
    names = model[0].get_feature_names_out().tolist()
    parts = pd.DataFrame(explanation.values, columns=names)
    pair = parts.filter(like="letter_x_color").sum(axis=1)
    own = parts.filter(regex=r"letter_\d").sum(axis=1)
    assert pair.abs().max() > 0
    np.testing.assert_allclose(found["letter"], own + pair / 2)
    np.testing.assert_allclose(found["all columns"], parts["prediction_0"])
    np.testing.assert_allclose(found["size"], parts["size"])

    apart = group_by_column(explanation.values, model, share_pairs=False)
    np.testing.assert_allclose(apart["letter"], own)
    np.testing.assert_allclose(apart["letter:color"], pair)


def test_an_explanation_stays_one_and_can_be_drawn(
    model: Pipeline, explanation: Any, rows: Rows
) -> None:
    X = rows[0].assign(letter=rows[0]["letter"].astype("category"))
    grouped = group_by_column(explanation, model, X)
    assert grouped.feature_names == ["letter", "color", "size", "all columns"]
    np.testing.assert_array_equal(grouped.values, group_by_column(explanation.values, model))
    np.testing.assert_array_equal(grouped.base_values, explanation.base_values)
    assert grouped[3].data[:3].tolist() == rows[0].iloc[3].tolist()
    axes = shap.plots.waterfall(grouped[3], show=False)
    assert f"{X['letter'][3]} = letter" in [t.get_text() for t in axes.get_yticklabels()]
    shap.plots.beeswarm(grouped, show=False)
    shap.plots.beeswarm(group_by_column(explanation, model), show=False)
    shap.plots.bar(grouped, show=False)


def test_several_outputs(rows: Rows) -> None:
    X, y = rows
    labels = np.digitize(y, [-1.0, 1.0])
    encoder = make_encoder(output="both", max_iter=10)
    vectors = encoder.fit_transform(X, labels)
    forest = GradientBoostingClassifier(n_estimators=3, max_depth=2).fit(vectors, labels > 0)
    values = shap.TreeExplainer(forest).shap_values(vectors)
    both = np.stack([values, -values], axis=2)
    found = group_by_column(both, encoder)
    assert found[1].columns.tolist() == ["letter", "color", "all columns"]
    np.testing.assert_allclose(found[1].sum(axis=1), -values.sum(axis=1))
    pd.testing.assert_frame_equal(found[0], group_by_column(values, encoder), check_names=False)
    explained = group_by_column(shap.Explanation(both, np.zeros((len(X), 2))), encoder)
    np.testing.assert_allclose(explained[..., 1].values, found[1])


def test_columns_of_other_transformers_go_to_the_column_they_are_named_after() -> None:
    X, y = make_rows(80)
    X = X.assign(sizes=X["size"] ** 2, tag=np.where(X["size"] > 0, "x", "y"))
    columns = make_column_transformer(
        (make_encoder(), ["letter", "color"]),
        (OneHotEncoder(sparse_output=False), ["color", "tag"]),
        (StandardScaler(), ["size", "sizes"]),
    )
    model = make_pipeline(columns, StandardScaler(), HistGradientBoostingRegressor(max_iter=2))
    model.fit(X, y)
    width = model[:-1].transform(X).shape[1]
    found = group_by_column(np.ones((2, width)), model)
    n_letters, n_colors = (make_encoder().fit(X, y).dimensions_[c] for c in ("letter", "color"))
    assert found.iloc[0].to_dict() == {
        "letter": n_letters, "color": n_colors + 3, "tag": 2, "size": 1, "sizes": 1,
    }  # fmt: skip
