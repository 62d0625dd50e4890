"""Contributions by column: what goes where, without SHAP itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.decomposition import PCA
from sklearn.feature_selection import SelectKBest, f_regression
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import FunctionTransformer, PolynomialFeatures, StandardScaler

from sk_entity_embed import EntityEmbeddingEncoder
from sk_entity_embed.exceptions import InvalidDataError, InvalidParameterError
from sk_entity_embed.inspection import group_by_column
from tests.samples import make_encoder

Rows = tuple[pd.DataFrame, np.ndarray]


@dataclass
class Explained:
    """What is read of, and made like, a shap.Explanation."""

    values: Any
    base_values: Any = 0.0
    data: Any = None
    feature_names: Any = None
    output_names: Any = None


@pytest.fixture(scope="module")
def encoder(rows: Rows) -> EntityEmbeddingEncoder:
    return make_encoder(max_iter=1, dimensions=2).fit(*rows)


def test_an_array_keeps_rows_outputs_and_sums(encoder: EntityEmbeddingEncoder) -> None:
    values = np.random.default_rng(0).normal(size=(3, 4, 2))
    found = group_by_column(values, encoder)
    assert found.columns.tolist() == [
        (0, "letter"), (0, "color"), (1, "letter"), (1, "color"),
    ]  # fmt: skip
    np.testing.assert_allclose(found[1]["color"], values[:, 2:, 1].sum(axis=1))
    frame = pd.DataFrame(values[:, :, 0], index=["x", "y", "z"])
    single = group_by_column(frame, encoder)
    assert single.index.tolist() == ["x", "y", "z"]
    np.testing.assert_allclose(single, found[0])


def test_several_steps_and_what_stands_between(rows: Rows) -> None:
    X, y = rows
    first, second = (make_encoder(max_iter=1, dimensions=2, output="both") for _ in "ab")
    columns = make_column_transformer((first, ["letter"]), (second, ["letter", "color"]))
    model = make_pipeline(
        FunctionTransformer(lambda X: X),  # names no columns
        columns,
        StandardScaler(),
        "passthrough",
        SelectKBest(f_regression, k=9),
        Ridge(),
    ).fit(X, y)
    kept = model[4].get_support()
    found = group_by_column(np.ones((1, 9)), model).iloc[0].to_dict()
    of = np.repeat(["letter", "all columns", "letter", "color", "all columns"], [2, 4, 2, 2, 4])
    expected = {
        name: kept[of == name].sum() for name in dict.fromkeys(of) if kept[of == name].any()
    }
    assert found == expected
    union = FeatureUnion([("a", make_encoder(max_iter=1)), ("b", make_encoder(max_iter=1))])
    union.fit(X, y)
    width = len(union.get_feature_names_out())
    assert group_by_column(np.ones((1, width)), union).iloc[0].sum() == width


def test_steps_fitted_on_arrays_have_the_names_of_the_whole(rows: Rows) -> None:
    X, y = rows
    first = make_pipeline(SimpleImputer(strategy="most_frequent"), make_encoder(dimensions=1))
    parts = {"pipeline": first, "size": make_encoder(dimensions=2, categorical_features="all")}
    columns = make_column_transformer((first, ["color", "letter"]), (parts["size"], ["size"]))
    model = make_pipeline(columns, Ridge()).fit(X, y)
    expected = {"color": 1.0, "letter": 1.0, "size": 2.0}
    assert group_by_column(np.ones((1, 4)), model).iloc[0].to_dict() == expected
    alone = make_pipeline(first, Ridge()).fit(X[["letter", "color"]], y)
    found = group_by_column(np.ones((1, 2)), alone).iloc[0].to_dict()
    assert found == {"letter": 1.0, "color": 1.0}
    arrays = make_pipeline(
        make_column_transformer((make_encoder(dimensions=1), [1, 0]), remainder="passthrough"),
        Ridge(),
    ).fit(X[["letter", "color", "size"]].to_numpy(dtype=object), y)
    found = group_by_column(np.ones((1, 3)), arrays).iloc[0].to_dict()
    assert found == {"x1": 1.0, "x0": 1.0, "x2": 1.0}


def test_products_belong_to_all_columns_that_they_are_made_of(rows: Rows) -> None:
    X, y = rows[0][["letter", "color"]].set_axis(["a", "a_b"], axis=1), rows[1]
    model = make_pipeline(make_encoder(dimensions=1), PolynomialFeatures(2), Ridge()).fit(X, y)
    names = ["1", "a_0", "a_b_0", "a_0^2", "a_0 a_b_0", "a_b_0^2"]
    assert model[:2].get_feature_names_out().tolist() == names
    found = group_by_column(np.array([[1.0, 2, 4, 8, 16, 32]]), model).iloc[0].to_dict()
    assert found == {"1": 1.0, "a": 18.0, "a_b": 44.0}
    own = group_by_column(np.ones((1, 6)), model, share_pairs=False).columns.tolist()
    assert own == ["1", "a", "a_b", "a_0 a_b_0"]


def test_cells_beside_an_explanation(rows: Rows) -> None:
    lists = pd.DataFrame({"words": [["a", "b"], [], None, ["b"]] * 10, "n": [1.5, np.nan] * 20})
    encoder = make_encoder(max_iter=1, remainder="passthrough").fit(lists, np.arange(40) + 0.5)
    width = len(encoder.get_feature_names_out())
    grouped = group_by_column(Explained(np.ones((4, width))), encoder, lists.iloc[:4])
    assert grouped.data[:, 0].tolist() == [["a", "b"], [], [], ["b"]]
    assert grouped.data[0, 1] == 1.5
    assert np.isnan(grouped.data[1, 1])
    with pytest.raises(InvalidDataError, match=r"`X` has 5 rows, but `values` explain 4"):
        group_by_column(Explained(np.ones((4, width))), encoder, lists.iloc[:5])


def test_what_does_not_fit_is_refused(encoder: EntityEmbeddingEncoder, rows: Rows) -> None:
    X, y = rows
    with pytest.raises(InvalidDataError, match=r"\(n_samples, 4\[, n_outputs\]\).*\(4,\)\.$"):
        group_by_column(np.ones(4), encoder)
    with pytest.raises(InvalidDataError, match=r"pass values\[:, :-1\]"):
        group_by_column(np.ones((2, 5)), encoder)
    with pytest.raises(InvalidParameterError, match="`X` is for a shap"):
        group_by_column(np.ones((240, 4)), encoder, X)
    mixed = make_pipeline(make_encoder(max_iter=1), PCA(2), Ridge()).fit(X, y)
    with pytest.raises(InvalidParameterError, match="a later step makes others of them"):
        group_by_column(np.ones((2, 2)), mixed)
    for unnamed in (
        make_pipeline(make_encoder(max_iter=1), FunctionTransformer(np.tanh), Ridge()),
        make_column_transformer(
            (make_encoder(max_iter=1), ["letter"]), (FunctionTransformer(abs), ["size"])
        ),
    ):
        with pytest.raises(InvalidParameterError, match=r"does not name .* up to the embedding"):
            group_by_column(np.ones((2, 2)), unnamed.fit(X, y))
    search = GridSearchCV(make_pipeline(make_encoder(max_iter=1), Ridge()), {}, cv=2).fit(X, y)
    with pytest.raises(InvalidParameterError, match="GridSearchCV does not name the columns"):
        group_by_column(np.ones((2, 2)), search)


@pytest.mark.parametrize(
    ("name", "output", "match"),
    [("all columns", "both", "called 'all columns'"), ("letter_0", "embedding", "is named like")],
)
def test_names_that_mean_two_things(name: str, output: str, match: str, rows: Rows) -> None:
    X, y = rows[0].rename(columns={"color": name}), rows[1]
    columns = make_column_transformer(
        (make_encoder(max_iter=1, output=output), ["letter"]),
        (make_encoder(max_iter=1), [name]),
    ).fit(X, y)
    width = len(columns.get_feature_names_out())
    with pytest.raises(InvalidParameterError, match=match):
        group_by_column(np.ones((2, width)), columns)
