"""Principal components and extremes, against NumPy and the axes of the embedding."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.decomposition import PCA

from sk_entity_embed.exceptions import InvalidParameterError
from sk_entity_embed.inspection import extremes
from sk_entity_embed.inspection.column_vectors import column_vectors_of
from sk_entity_embed.inspection.projection import principal_components
from tests.inspection.conftest import make_column_vectors
from tests.samples import make_encoder, make_rows


@pytest.fixture(scope="module")
def encoder():
    X, y = make_rows(400)
    X["letter"] = X["letter"].astype(object)
    X.loc[:11, "letter"] = None
    X.loc[12, "letter"] = "rare"
    return make_encoder(dimensions=3, max_iter=10).fit(X, y)


def test_components_are_those_of_repeated_vectors():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(30, 4)).astype(np.float32) * [5, 3, 2, 1] @ rng.normal(size=(4, 4))
    weights = rng.integers(1, 9, 30)
    scores, shares = principal_components(vectors, weights.astype(float))
    pca = PCA().fit(np.repeat(vectors.astype(float), weights, axis=0))
    np.testing.assert_allclose(shares, pca.explained_variance_ratio_, atol=1e-9)
    expected = pca.transform(vectors.astype(float))
    np.testing.assert_allclose(np.abs(scores), np.abs(expected), atol=1e-7)
    assert (np.average(scores, axis=0, weights=weights).round(9) == 0).all()


def test_components_of_a_fitted_encoder_are_its_axes(encoder):
    for column in ("letter", "color"):
        catalogue = column_vectors_of(encoder, column)
        scores, shares = principal_components(catalogue.vectors, catalogue.weights)
        size = np.abs(catalogue.vectors).max()
        np.testing.assert_allclose(scores, catalogue.vectors, atol=2e-5 * size)
        assert shares[0] > shares[1]
        np.testing.assert_allclose(shares.sum(), 1.0)


@given(
    hnp.arrays(
        np.float32,
        st.tuples(st.integers(1, 9), st.integers(1, 5)),
        elements=st.floats(-100, 100, width=32),
    )
)
def test_components_keep_distances(vectors):
    scores, shares = principal_components(vectors, np.ones(len(vectors)))
    assert scores.shape == vectors.shape
    wide = vectors.astype(float)
    distances = [np.linalg.norm(x[:, None] - x[None], axis=2) for x in (scores, wide)]
    np.testing.assert_allclose(*distances, atol=1e-9)
    assert (np.diff(shares) <= 1e-12).all()
    assert (shares >= 0).all()
    assert abs(shares.sum() - 1) < 1e-9 or not shares.any()


# Extremes


def test_extremes_of_a_fitted_encoder(encoder):
    catalogue = column_vectors_of(encoder, "letter")
    found = extremes(encoder, "letter", k=2, min_count=None)
    assert list(found) == ["end", "category", "value", "count"]
    assert found["end"].tolist() == ["lowest"] * 2 + ["highest"] * 2
    order = np.argsort(catalogue.vectors[:, 0])
    at = [order[0], order[1], order[-1], order[-2]]
    assert found["category"].tolist() == catalogue.labels[at].tolist()
    np.testing.assert_allclose(found["value"], catalogue.vectors[at, 0], atol=1e-5)
    assert found["count"].tolist() == catalogue.counts[at].tolist()


def test_extremes_of_other_components_ignore_rare_categories_only_in_the_list():
    rng = np.random.default_rng(0)
    catalogue = make_column_vectors(rng.normal(size=(50, 3)), counts=np.arange(50), name="film")
    scores, _ = principal_components(catalogue.vectors, catalogue.weights)
    for component in (1, 2, np.int64(3)):
        found = extremes(catalogue, component=component, k=4)
        assert (found["count"] >= 20).all()
        values = np.sort(scores[20:, component - 1])
        np.testing.assert_array_equal(found["value"], [*values[:4], *values[::-1][:4]])
    everything = extremes(catalogue, k=1, min_count=None)
    assert everything["value"].tolist() == [scores[:, 0].min(), scores[:, 0].max()]


def test_few_categories_stand_at_both_ends(encoder):
    found = extremes(encoder, "color", k=10)
    assert len(found) == 6
    assert found["category"].tolist()[:3] == found["category"].tolist()[:2:-1]
    # Of equal values the first category is lowest and the last highest.
    frame = pd.DataFrame(np.ones((4, 1)), index=list("abcd"))
    assert extremes(frame, k=2, min_count=None)["category"].tolist() == ["a", "b", "d", "c"]


def test_components_are_counted_from_one_and_k_is_positive(encoder):
    for component in (0, 4, 1.0, "1", None, True):
        with pytest.raises(InvalidParameterError, match="`component` must be an integer from 1 to"):
            extremes(encoder, "letter", component)
    for k in (0, 1.5, "1", None, True):
        with pytest.raises(InvalidParameterError, match="`k` must be a positive integer"):
            extremes(encoder, "letter", k=k)


def test_min_count_is_no_hurdle_unless_asked_for(encoder):
    assert "rare" not in extremes(encoder, "letter")["category"].tolist()
    frame = encoder.embeddings_["letter"]  # has no counts
    with pytest.raises(InvalidParameterError, match="or min_count=None"):
        extremes(frame, min_count=20)
    assert set(map(str, extremes(frame)["category"])) == set(map(str, frame.index))
    for counts, n in (([19] * 7, 7), ([19] * 6 + [20], 1)):
        few = make_column_vectors(frame, counts=counts)
        assert len(extremes(few)) == 2 * n
    with pytest.raises(InvalidParameterError, match="the most frequent one has 20"):
        extremes(few, min_count=21)
    with pytest.raises(InvalidParameterError, match="must be a number or None, got 'all'"):
        extremes(few, min_count="all")
