"""Neighbours of categories and sums of vectors, against brute force."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline

from sk_entity_embed.exceptions import InvalidDataError, InvalidParameterError
from sk_entity_embed.inspection import (
    analogy,
    doesnt_match,
    nearest,
    nearest_rows,
    neighbors,
    similarity_matrix,
)
from sk_entity_embed.inspection.column_vectors import column_vectors_of
from sk_entity_embed.inspection.search import METRICS
from tests.inspection.conftest import brute_force, make_column_vectors
from tests.samples import make_encoder, make_rows


def make_frame(labels=None, n=30, width=3, seed=0):
    labels = [f"c{i}" for i in range(n)] if labels is None else labels
    vectors = np.random.default_rng(seed).normal(size=(len(labels), width))
    index = pd.Index(np.fromiter(labels, dtype=object), dtype=object, tupleize_cols=False)
    return pd.DataFrame(vectors.astype(np.float32), index=index)


# One query


@pytest.mark.parametrize("metric", METRICS)
def test_neighbours_of_a_category(encoder, metric):
    catalogue = column_vectors_of(encoder, "letter")
    found = nearest(encoder, "letter", "b", k=7, metric=metric)
    at = catalogue.locate(found["category"].tolist())
    assert "b" not in found["category"].tolist()
    assert len(set(at)) == 7
    expected = brute_force(catalogue.vectors, catalogue.vectors[1], metric)
    np.testing.assert_allclose(found["similarity"], expected[at], atol=1e-6)
    assert found["similarity"].is_monotonic_decreasing
    assert found["count"].tolist() == catalogue.counts[at].tolist()
    columns = ["category", "similarity", "distance", "count"]
    assert list(found) == [c for c in columns if c != "distance" or metric == "euclidean"]
    if metric == "euclidean":
        wide = catalogue.vectors.astype(float)
        distances = np.linalg.norm(wide[at] - wide[1], axis=1)
        np.testing.assert_allclose(found["distance"], distances, rtol=1e-14)
        np.testing.assert_allclose(found["similarity"], 1 / (1 + distances), rtol=1e-14)


def test_neighbours_of_missing(encoder):
    found = nearest(encoder, "letter", None, k=7)
    assert found["category"].notna().all()
    assert nearest(encoder, "letter", "a", k=7)["category"].isna().sum() == 1
    both = nearest(encoder, "letter", ["a", np.nan], k=7)
    assert both["query"].tolist()[:7] == ["a"] * 7
    assert both["query"][7:].isna().all()


def test_fitted_categories_of_floats_and_booleans():
    X = pd.DataFrame({"real": np.tile([0.5, -2.0, np.nan], 40), "flag": np.tile([True, False], 60)})
    encoder = make_encoder(categorical_features="all", dimensions=2).fit(X, make_rows(120)[1])
    found = nearest(encoder, "real", 0.5, k=2)
    assert set(map(str, found["category"])) == {"-2.0", "nan"}
    assert nearest(encoder, "real", [0.5, -2.0], k=1)["query"].tolist() == [0.5, -2.0]
    vector = nearest(encoder, "real", np.array([0.5, -2.0]), k=1)  # a vector: a float array
    assert "query" not in vector
    assert nearest(encoder, "flag", True, k=1)["category"].tolist() == [False]


# Several queries


@pytest.mark.parametrize("several", [list, pd.Series, np.array])
def test_several_queries_are_one_after_the_other(several):
    frame = make_frame()
    query = several(["c4", "c0", "c4"])
    found = nearest(frame, None, query, k=3)
    assert list(found) == ["query", "category", "similarity"]
    assert found["query"].tolist() == ["c4"] * 3 + ["c0"] * 3 + ["c4"] * 3
    for i, q in enumerate(query):
        part = found[3 * i : 3 * i + 3].drop(columns="query").reset_index(drop=True)
        pd.testing.assert_frame_equal(part, nearest(frame, None, q, k=3))
    assert nearest(frame, None, query[:1], k=2)["query"].tolist() == ["c4", "c4"]


# Vectors


def test_vectors_as_queries():
    frame = make_frame()
    vector = frame.loc["c7"].to_numpy()
    one = nearest(frame, None, vector, k=3)
    assert list(one) == ["category", "similarity"]
    assert one["category"][0] == "c7"  # a vector excludes nothing
    two = nearest(frame, None, np.vstack([vector, -vector]), k=2)
    assert two["query"].tolist() == [0, 0, 1, 1]
    for same in (vector.astype(np.float64), frame.loc["c7"], frame.loc["c7"].astype("Float64")):
        pd.testing.assert_frame_equal(nearest(frame, None, same, k=3), one)


def test_frames_of_vectors_as_queries():
    frame = make_frame()
    asked = frame.loc[["c7", "c3"]] * 2
    found = nearest(frame, None, asked, k=1)
    assert found["query"].tolist() == ["c7", "c3"]
    assert found["category"].tolist() == ["c7", "c3"]
    assert nearest(frame, None, asked.round().astype(int), k=1)["query"].tolist() == ["c7", "c3"]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (np.zeros(2), r"vectors of shape \(2,\), but those of column 'category' have 3 numbers"),
        (np.array([0, np.nan, 0]), "`query` has vectors that are not finite"),
        (np.array([0, 1e200, 0]), "beyond the range of float32"),
        (np.empty((0, 3)), "`query` is empty"),
        (pd.DataFrame([["x", 1, 2]]), "`query` has vectors that are not numbers"),
        ([[1.0, 2.0, 3.0]], "must be hashable"),
        (["c1", None], "None is not a category"),
        (np.array("zzzz"), "'zzzz' is not a category"),
    ],
)
def test_queries_that_are_none(query, message):
    with pytest.raises(InvalidDataError, match=message):
        nearest(make_frame(), None, query, k=1)


# Frequent categories and exclusion


@pytest.fixture(scope="module")
def counted():
    return make_column_vectors(make_frame(n=20), counts=np.arange(20), name="col")


def test_rare_categories_are_left_out_but_may_ask(counted):
    found = nearest(counted, None, "c2", k=10, min_count=10)
    assert sorted(found["category"]) == [f"c{i}" for i in range(10, 20)]
    everything = nearest(counted, None, "c2", k=19)
    kept = everything[everything["count"] >= 10].reset_index(drop=True)
    pd.testing.assert_frame_equal(found, kept)
    both = nearest(counted, None, ["c2", "c12"], k=9, min_count=10)
    assert both.groupby("query").size().tolist() == [9, 9]
    assert "c12" not in both[both["query"] == "c12"]["category"].tolist()
    # one query excludes itself, so that nine is the limit for both
    with pytest.raises(InvalidParameterError, match="only 9 other categories"):
        nearest(counted, None, ["c2", "c12"], k=10, min_count=10)


def test_a_category_excludes_itself_only_not_its_equals():
    for vectors in (np.ones((5, 2)), np.zeros((5, 2))):
        frame = pd.DataFrame(vectors, index=list("abcde"))
        for metric in METRICS:
            found = nearest(frame, None, ["a", "e", "c"], k=4, metric=metric)
            for query, part in found.groupby("query"):
                assert part["category"].tolist() == [c for c in "abcde" if c != query]


def test_k_must_be_a_positive_integer_and_has_a_limit(encoder, data):
    for k in (0, 2.5, True, "3"):
        for call in (
            lambda k: nearest(encoder, "letter", "a", k=k),
            lambda k: nearest_rows(encoder, data[0], 0, k=k),
        ):
            with pytest.raises(InvalidParameterError, match="`k` must be a positive integer or"):
                call(k)
    assert len(nearest(encoder, "shop", 0, k=np.int64(6))) == 6
    with pytest.raises(InvalidParameterError, match="`k` is 7, but there are only 6 other categ"):
        nearest(encoder, "shop", 0, k=7)
    assert len(nearest(encoder, "shop", column_vectors_of(encoder, "shop").vectors[0], k=7)) == 7


@pytest.mark.parametrize("n", [1, 12])
def test_by_default_there_are_as_many_as_there_are(n):
    frame = make_frame(n=n)
    found = nearest(frame, None, "c0")
    assert list(found) == ["category", "similarity"]
    assert len(found) == min(10, n - 1)
    pd.testing.assert_frame_equal(analogy(frame, None, ["c0"]), found)
    several = nearest(frame, None, ["c0"] * 3, metric="euclidean")
    assert list(several) == ["query", "category", "similarity", "distance"]
    assert several["query"].tolist() == ["c0"] * 3 * min(10, n - 1)
    assert len(nearest(frame, None, frame.to_numpy()[0])) == min(10, n)  # excludes nothing
    with pytest.raises(InvalidParameterError, match=f"only {n - 1} other categories"):
        nearest(frame, None, "c0", k=n)


def test_parameters_are_checked(encoder, data):
    calls = [
        lambda **p: nearest(encoder, "shop", 0, k=1, **p),
        lambda **p: analogy(encoder, "shop", [0], k=1, **p),
        lambda **p: similarity_matrix(encoder, "shop", **p),
    ]
    for call in calls:
        with pytest.raises(InvalidParameterError, match="`metric` must be one of"):
            call(metric="manhattan")
        with pytest.raises(InvalidParameterError, match="No category of column 'shop' has"):
            call(min_count=1000)
    with pytest.raises(InvalidParameterError, match="`metric` must be one of"):
        nearest_rows(encoder, data[0], 0, metric="manhattan")
    with pytest.raises(InvalidParameterError, match="`column` must name one of"):
        nearest(encoder, None, "a")


# Analogies


@pytest.mark.parametrize("metric", METRICS)
def test_analogies(metric):
    frame = make_frame(n=40, width=5)
    found = analogy(frame, None, ["c1", "c2"], ["c3"], k=37, metric=metric)
    wide = frame.to_numpy(dtype=float)
    if metric == "cosine":
        wide = wide / np.linalg.norm(wide, axis=1, keepdims=True)
    target = wide[1] + wide[2] - wide[3]
    scores = brute_force(frame, target, metric)
    order = [i for i in np.argsort(-scores) if i not in (1, 2, 3)]
    assert found["category"].tolist() == [f"c{i}" for i in order]
    np.testing.assert_allclose(found["similarity"], scores[order], atol=1e-6)
    if metric == "euclidean":
        np.testing.assert_allclose(
            found["distance"], np.linalg.norm(frame.to_numpy(float)[order] - target, axis=1)
        )


def test_analogies_leave_out_what_was_given_even_if_rare(counted):
    found = analogy(counted, None, ["c1", "c15"], ["c16", "c15"], k=8, min_count=10)
    assert not {"c1", "c15", "c16"} & set(found["category"])
    assert list(found) == ["category", "similarity", "count"]
    with pytest.raises(InvalidParameterError, match="only 8 other"):
        analogy(counted, None, ["c1", "c15"], ["c16", "c15"], k=9, min_count=10)


@pytest.mark.parametrize(
    ("positive", "negative", "error", "message"),
    [
        ("a", (), InvalidParameterError, "`positive` must be a list of categories, got 'a'"),
        (["a"], "b", InvalidParameterError, "`negative` must be a list of categories"),
        ([], ["a"], InvalidParameterError, "`positive` must have at least one"),
    ],
)
def test_analogies_are_of_lists(encoder, positive, negative, error, message):
    with pytest.raises(error, match=message):
        analogy(encoder, "letter", positive, negative)


# All pairs


def test_the_category_that_does_not_match_is_farthest_from_the_mean_of_unit_vectors():
    vectors = pd.DataFrame(np.random.default_rng(0).normal(size=(40, 3)), index=range(40))
    unit = vectors.div(np.linalg.norm(vectors, axis=1), axis=0)
    for seed in range(10):
        asked = np.random.default_rng(seed).choice(40, 6, replace=False)
        farthest = (unit.loc[asked] @ unit.loc[asked].mean()).idxmin()
        assert doesnt_match(vectors, None, asked) == farthest
        distances = np.linalg.norm(
            vectors.to_numpy()[asked, None] - vectors.to_numpy()[asked], axis=2
        )
        lonely = asked[(1 / (1 + distances)).sum(axis=1).argmin()]
        assert doesnt_match(vectors, None, pd.Series(asked), metric="euclidean") == lonely
    # the product of a long vector with itself says nothing of the others
    long = pd.DataFrame([[1.0, 0.0], [1.0, 0.1], [-9.0, 0.0]], index=["a", "b", "c"])
    assert doesnt_match(long, None, ["c", "b", "a"], metric="dot") == "c"
    # repeated ones count once, missing ones are categories, and the first of equals is the answer
    missing = pd.DataFrame(np.eye(3), index=["a", None, "c"])
    assert doesnt_match(missing, None, ["c", "c", "a", None]) == "c"
    assert np.isnan(doesnt_match(missing, None, [None, "c", "a"]))


def test_the_odd_one_out_of_a_pipeline_and_what_is_refused():
    X, y = make_rows(240)
    pipeline = make_pipeline(make_encoder(), Ridge()).fit(X, y)
    found = doesnt_match(pipeline, "letter", ["a", "b", "c", "d"])
    assert found == doesnt_match(pipeline[0], "letter", ["a", "b", "c", "d"])
    with pytest.raises(InvalidDataError, match="'zebra' is not a category of column 'letter'"):
        doesnt_match(pipeline, "letter", ["a", "b", "zebra"])
    for few, message in (
        (["a", "b", "a"], "`categories` must be three different ones at least, got"),
        ("abc", "`categories` must be a list of categories, got 'abc'"),
    ):
        with pytest.raises(InvalidParameterError, match=message):
            doesnt_match(pipeline, "letter", few)
    with pytest.raises(InvalidParameterError, match="metric"):
        doesnt_match(pipeline, "letter", ["a", "b", "c"], metric="manhattan")


@pytest.mark.parametrize("metric", METRICS)
def test_the_similarity_matrix(encoder, metric):
    catalogue = column_vectors_of(encoder, "letter")
    matrix = similarity_matrix(encoder, "letter", metric=metric)
    assert matrix.index[:-1].tolist() == catalogue.labels[:-1].tolist()
    assert matrix.index.name == matrix.columns.name == "letter"
    values = matrix.to_numpy()
    np.testing.assert_array_equal(values, values.T)
    expected = [brute_force(catalogue.vectors, vector, metric) for vector in catalogue.vectors]
    np.testing.assert_allclose(values, expected, atol=1e-6)
    if metric != "dot":
        assert (np.diag(values) == 1).all()
        assert (values <= 1).all()
    found = nearest(encoder, "letter", "b", k=7, metric=metric)
    np.testing.assert_allclose(matrix.loc["b", found["category"]], found["similarity"], atol=1e-12)


def test_the_similarity_matrix_of_chosen_categories(encoder):
    matrix = similarity_matrix(encoder, "letter", ["d", "a", "rare"])
    assert matrix.index.tolist() == matrix.columns.tolist() == ["d", "a", "rare"]
    full = similarity_matrix(encoder, "letter")
    np.testing.assert_allclose(matrix, full.loc[matrix.index, matrix.index], atol=1e-15)
    assert similarity_matrix(encoder, "letter", ["d", "rare"], min_count=2).index.tolist() == ["d"]
    assert similarity_matrix(encoder, "letter", min_count=11).index.tolist() == list("abcde")


def test_a_similarity_matrix_has_limits(encoder, monkeypatch):
    with pytest.raises(InvalidDataError, match="Did you mean 'rare'"):
        similarity_matrix(encoder, "letter", ["raer"])
    for categories in ([], ["rare"]):
        with pytest.raises(InvalidParameterError, match="`categories` must have one"):
            similarity_matrix(encoder, "letter", categories, min_count=2)
    monkeypatch.setattr(neighbors, "_LARGEST_MATRIX", 3)
    assert similarity_matrix(encoder, "letter", ["a", "b", "c"]).shape == (3, 3)
    with pytest.raises(InvalidParameterError, match="of 8 categories would have 64 numbers"):
        similarity_matrix(encoder, "letter")


def test_a_similarity_matrix_of_zeros_and_of_vectors_far_away():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(50, 3)) * [0.1, 1e-3, 1e-3] + [1e6, 0, 0]
    vectors = vectors.astype(np.float32)
    vectors[1] = vectors[0]
    zeros = pd.DataFrame([[0.0, 0.0], [1.0, 1.0]])
    assert similarity_matrix(zeros).to_numpy().tolist() == [[0.0, 0.0], [0.0, 1.0]]
    wide = vectors.astype(float)
    distances = np.linalg.norm(wide[:, None] - wide[None], axis=2)
    outlier = np.vstack([vectors, -1e9 * np.ones((1, 3))])
    for given in (vectors, outlier):
        matrix = similarity_matrix(pd.DataFrame(given), metric="euclidean").to_numpy()
        np.testing.assert_allclose(matrix[:50, :50], 1 / (1 + distances), rtol=1e-12)
    assert matrix[0, 1] == 1


# Dot products and lists


def test_a_vector_of_another_column_asks_by_dot_product(dot):
    users, movies = dot.embeddings_["user"], dot.embeddings_["movie"]
    found = nearest(dot, "movie", users.loc["u3"].to_numpy(), k=12, metric="dot")
    products = (movies @ users.loc["u3"]).sort_values(ascending=False)
    assert found["category"].tolist() == products.index.tolist()
    np.testing.assert_allclose(found["similarity"], products, atol=1e-6)
    found = nearest(dot, "movie", "m1", k=5, metric="dot")  # biases make nothing similar
    expected = nearest(dot.embeddings_, "movie", "m1", k=5, metric="dot")
    pd.testing.assert_frame_equal(found[list(expected)], expected)


def test_messages_cut_long_values():
    long = "x" * 100_000
    vectors = pd.DataFrame([[1.0, 0.0], [0.0, 1.0]], index=["x" * 99_999, "z" * 99_999])
    for ask in (
        lambda: nearest(vectors, None, long, k=1),  # a name close to it, as long
        lambda: similarity_matrix(vectors, None, ["y"]),
        lambda: analogy(vectors, None, long),
        lambda: nearest({long: vectors, "y": vectors}, "z", "y"),
        lambda: nearest(pd.DataFrame([[long]]), None, 0),
    ):
        with pytest.raises((InvalidDataError, InvalidParameterError)) as found:
            ask()
        assert len(str(found.value)) < 600
