"""Neighbours of whole rows, against brute force."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from sk_entity_embed import EntityEmbeddingRegressor
from sk_entity_embed.exceptions import InvalidDataError, InvalidParameterError
from sk_entity_embed.inspection import nearest_rows
from sk_entity_embed.inspection.search import METRICS
from tests.containers import make_container
from tests.inspection.conftest import brute_force
from tests.samples import make_encoder

REPRESENTATIONS = ["embedding", "hidden", "both"]


def as_vectors(encoder, given, X, representation="embedding"):
    """Rows as an encoder with this output gives them, unknown cells learned."""
    same = clone(encoder).set_params(
        output=representation, handle_unknown="learned", handle_missing="category"
    )
    return same.fit(*given).transform(X).astype(float)


@pytest.mark.parametrize("representation", REPRESENTATIONS)
def test_nearest_rows(encoder, data, representation):
    X = data[0]
    vectors = as_vectors(encoder, data, X, representation)
    for metric in METRICS:
        found = nearest_rows(encoder, X, 17, k=200, metric=metric, representation=representation)
        assert list(found) == ["row", "similarity"] + ["distance"] * (metric == "euclidean")
        assert 17 not in found["row"].tolist()
        assert len(set(found["row"])) == 200
        scores = brute_force(vectors, vectors[17], metric)
        np.testing.assert_allclose(found["similarity"], scores[found["row"]], atol=1e-6)
        left = np.setdiff1d(np.arange(len(X)), [*found["row"], 17])
        assert scores[left].max() <= found["similarity"].iloc[-1] + 1e-6


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ([-1, 3], [239, 3]),
        (np.array([2, 2], dtype=np.uint8), [2, 2]),
        (pd.Series([4, 1], index=[9, 8]), [4, 1]),
    ],
)
def test_several_rows(encoder, data, query, expected):
    found = nearest_rows(encoder, data[0], query, k=3)
    assert found["query"].tolist() == [q for q in expected for _ in range(3)]
    alone = nearest_rows(encoder, data[0], expected[-1], k=3)
    assert found["row"].tolist()[-3:] == alone["row"].tolist()
    assert (found["query"] != found["row"]).all()


def test_by_default_there_are_as_many_as_there_are(encoder, data):
    for n in (1, 2, 9):
        X = data[0][:n]
        assert len(nearest_rows(encoder, X, 0)) == min(5, n - 1)
        assert nearest_rows(encoder, X, [0, 0])["query"].tolist() == [0, 0] * min(5, n - 1)
        assert len(nearest_rows(encoder, X, X[:1])) == min(5, n)
        with pytest.raises(InvalidParameterError, match=f"only {n - 1} other rows of X"):
            nearest_rows(encoder, X, 0, k=n)


def test_other_rows_and_equal_ones(encoder, data):
    X = data[0]
    repeated = pd.concat([X.head(40)] * 3, ignore_index=True)
    found = nearest_rows(encoder, repeated, 45, k=2, metric="euclidean", representation="hidden")
    assert found["row"].tolist() == [5, 85]  # in their order
    found = nearest_rows(encoder, X, X.iloc[[5, 30]], k=4)
    assert found["query"].tolist() == [0] * 4 + [1] * 4
    vectors = as_vectors(encoder, data, X)
    equal = np.flatnonzero((vectors == vectors[5]).all(axis=1))[:4]
    assert found["row"].tolist()[: len(equal)] == equal.tolist()  # row 5 itself among them
    one = nearest_rows(encoder, X, X.iloc[[5]], k=2)
    assert one["query"].tolist() == [0, 0]


def test_rows_compared_by_some_columns(encoder, data):
    X = data[0]
    vectors = as_vectors(encoder, data, X)
    width = encoder.dimensions_["letter"]
    parts = {"letter": vectors[:, :width], "shop": vectors[:, width:]}
    for name, part in parts.items():
        found = nearest_rows(encoder, X, 3, k=5, metric="euclidean", columns=[name])
        distances = np.linalg.norm(part.astype(float) - part[3], axis=1)
        np.testing.assert_allclose(found["distance"], distances[found["row"]], atol=1e-12)
        assert np.delete(distances, 3).min() == found["distance"][0]
    both = nearest_rows(encoder, X, 3, columns=["shop", "letter"])
    pd.testing.assert_frame_equal(both, nearest_rows(encoder, X, 3))


@pytest.mark.parametrize("policy", ["zero", "error"])
def test_unknown_and_missing_cells_have_trained_vectors(data, policy):
    X, y = data
    X = X.assign(letter=X["letter"].fillna("a"))
    encoder = make_encoder(
        categorical_features=["letter", "shop"],
        handle_unknown=policy,
        handle_missing="error" if policy == "error" else "category",
    ).fit(X, y)
    strange = X.head(2).assign(letter=["never", None], shop=[99, 0])
    for representation in REPRESENTATIONS:
        found = nearest_rows(encoder, X, strange, k=3, representation=representation)
        known, asked = (as_vectors(encoder, (X, y), r, representation) for r in (X, strange))
        scores = brute_force(known, asked[0], "cosine")
        np.testing.assert_allclose(found["similarity"][0], scores.max(), atol=1e-6)
    among = pd.concat([X, strange], ignore_index=True)
    found = nearest_rows(encoder, among, 0, k=len(X) + 1)
    assert np.isfinite(found["similarity"]).all()


@pytest.mark.parametrize(
    ("query", "error", "message"),
    [
        (240, InvalidDataError, "`query` has positions beyond the 240 rows of X: 240"),
        ([], InvalidDataError, "`query` is empty"),
        (True, ValueError, "Expected 2D array"),
        (pd.DataFrame({"other": [1]}), ValueError, "feature names should match"),
    ],
)
def test_queries_that_are_no_rows(encoder, data, query, error, message):
    with pytest.raises(error, match=message):
        nearest_rows(encoder, data[0], query)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"representation": "raw"}, "`representation` must be 'embedding', 'hidden' or 'both'"),
        ({"representation": "hidden", "columns": ["letter"]}, "`columns` can only be used with"),
        ({"representation": "both", "columns": ["letter"]}, "`columns` can only be used with"),
        ({"columns": []}, r"`columns` must be a list of embedded columns .*got \[\]"),
        ({"columns": ["letter", "size"]}, "`columns` must be a list"),
    ],
)
def test_parameters_of_rows_are_checked(encoder, data, params, message):
    with pytest.raises(InvalidParameterError, match=message):
        nearest_rows(encoder, data[0], 0, **params)


def test_rows_need_the_columns_of_fit_and_a_hidden_layer(encoder, data):
    X, y = data
    with pytest.raises(NotFittedError):
        nearest_rows(make_encoder(), X, 0)
    with pytest.raises(ValueError, match="feature names should match"):
        nearest_rows(encoder, X[["letter"]], 0)
    linear = make_encoder(hidden_layer_sizes=()).fit(X[["letter"]], y)
    assert len(nearest_rows(linear, X[["letter"]], 0)) == 5
    for representation in ("hidden", "both"):
        with pytest.raises(InvalidParameterError, match=f"'{representation}' needs a hidden layer"):
            nearest_rows(linear, X[["letter"]], 0, representation=representation)


def test_rows_of_numbers_are_compared_by_the_hidden_layer():
    X = np.random.default_rng(0).normal(size=(40, 2))
    predictor = EntityEmbeddingRegressor(hidden_layer_sizes=(4,), max_iter=1, random_state=0)
    predictor.fit(X, X[:, 0])
    assert len(nearest_rows(predictor, X, 0, k=3, representation="hidden")) == 3
    for representation in ("embedding", "both"):
        with pytest.raises(InvalidParameterError, match="no embedded columns to compare"):
            nearest_rows(predictor, X, 0, k=3, representation=representation)


def test_rows_of_a_predictor_are_compared_by_both(data):
    X, y = data
    predictor = EntityEmbeddingRegressor(max_iter=2, random_state=0).fit(X, y)
    options = {"k": len(X) - 1, "metric": "euclidean"}
    parts = {
        representation: nearest_rows(predictor, X, 0, representation=representation, **options)
        .set_index("row")["distance"]
        .sort_index()
        for representation in REPRESENTATIONS
    }
    together = np.hypot(parts["embedding"], parts["hidden"])
    np.testing.assert_allclose(parts["both"], together, atol=1e-5)


# Dot products and lists


def test_rows_are_compared_without_biases(dot, ratings):
    X, _ = ratings
    vectors = np.hstack([dot.embeddings_[c].loc[X[c]] for c in ("user", "movie")]).astype(float)
    found = nearest_rows(dot, X, 7, k=399, metric="euclidean")
    np.testing.assert_allclose(
        found["distance"], np.linalg.norm(vectors[found["row"]] - vectors[7], axis=1), atol=1e-5
    )
    found = nearest_rows(dot, X, 7, k=399, metric="euclidean", columns=["movie"])
    movies = vectors[:, 3:]
    np.testing.assert_allclose(
        found["distance"], np.linalg.norm(movies[found["row"]] - movies[7], axis=1), atol=1e-5
    )
    with pytest.raises(InvalidParameterError, match="needs a hidden layer, but the head has none"):
        nearest_rows(dot, X, 0, representation="hidden")


def test_rows_with_lists(listed, tagged):
    X, _ = tagged
    for representation in REPRESENTATIONS:
        options = {"metric": "euclidean", "representation": representation}
        vectors = as_vectors(listed, tagged, X, representation)
        found = nearest_rows(listed, X, [0, 2, 9], k=20, **options)
        for query in (0, 2, 9):
            part = found[found["query"] == query]
            distances = np.linalg.norm(vectors - vectors[query], axis=1)
            np.testing.assert_allclose(part["distance"], distances[part["row"]], atol=1e-5)
            assert np.delete(distances, query).min() == pytest.approx(part["distance"].iloc[0])
        cities = X["city"][[9, 2]].to_numpy()
        other = pd.DataFrame({"tags": [X["tags"][9], []], "city": cities})
        again = nearest_rows(listed, X, other, k=1, **options)
        np.testing.assert_allclose(again["distance"], 0, atol=1e-6)
        assert X["tags"][again["row"][1]] == []


@pytest.mark.parametrize("name", ["polars", "pyarrow", "numpy_object"])
def test_rows_of_other_containers(name):
    columns = {"letter": ["a", "b", None, "", "b"] * 8, "size": [0.5, None, 1.5, 2.0] * 10}
    y, options = np.arange(40) % 7, {"target_type": "continuous", "categorical_features": [0]}
    X = make_container(name, columns)
    encoder = make_encoder(**options).fit(X, y)
    for representation in REPRESENTATIONS:
        vectors = as_vectors(encoder, (X, y), X, representation)
        order = np.argsort(-brute_force(vectors, vectors[2], "cosine").round(9), kind="stable")
        found = nearest_rows(encoder, X, [0, 2], k=3, representation=representation)
        assert found["row"].tolist()[3:] == order[order != 2][:3].tolist()
        new = make_container(name, {column: values[:2] for column, values in columns.items()})
        found = nearest_rows(encoder, X, new, k=2, representation=representation)
        assert found["query"].tolist() == [0, 0, 1, 1]
        np.testing.assert_allclose(found["similarity"][[0, 2]], 1.0, rtol=1e-12)
