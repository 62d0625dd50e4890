"""Exact search against brute force."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics.pairwise import cosine_similarity

from sk_entity_embed.inspection import search
from sk_entity_embed.inspection.search import METRICS, closeness_of, exact_search, similarity_from


def similarities(a, b, metric):
    """Similarity of pairs of vectors, row by row."""
    return similarity_from(closeness_of(a, b, metric), metric)


def reference(vectors, queries, k, metric):
    """All similarities in float64, ordered by closeness and, of equal ones, position."""
    wide, asked = vectors.astype(np.float64), np.asarray(queries, dtype=np.float64)
    rows = [similarities(wide, np.repeat(q[None], len(wide), 0), metric) for q in asked]
    closeness = rows
    if metric == "euclidean":
        closeness = [-np.linalg.norm(wide - q, axis=1) for q in asked]
    order = [np.lexsort((np.arange(len(wide)), -c))[:k] for c in closeness]
    return np.array(order), np.array([r[o] for r, o in zip(rows, order, strict=True)])


def check(vectors, queries, k, metric):
    """Compare with the reference."""
    before = vectors.copy(), queries.copy()
    positions, similarity = exact_search(vectors, queries, k, metric)
    np.testing.assert_array_equal(vectors, before[0])
    np.testing.assert_array_equal(queries, before[1])
    expected_positions, expected = reference(vectors, queries, k, metric)
    np.testing.assert_array_equal(positions, expected_positions)
    np.testing.assert_allclose(similarity, expected, rtol=1e-12, atol=1e-300)
    assert (np.diff(similarity, axis=1) <= 0).all()


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks that tiny tables fill several times."""
    monkeypatch.setattr(search, "_BLOCK", 7)
    monkeypatch.setattr(search, "_FIRST", 3)
    monkeypatch.setattr(search, "_QUERIES", 3)
    monkeypatch.setattr(search, "_CHUNK", 5)


# Similarity of pairs


def test_similarities_are_what_scikit_learn_and_numpy_say():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 20, 5)).astype(np.float32)
    np.testing.assert_allclose(
        similarities(a, b, "cosine"), np.diag(cosine_similarity(a.astype(float), b)), atol=1e-15
    )
    wide = a.astype(float), b.astype(float)
    distances = np.sqrt(((wide[0] - wide[1]) ** 2).sum(axis=1))
    np.testing.assert_allclose(similarities(a, b, "euclidean"), 1 / (1 + distances), rtol=1e-14)
    np.testing.assert_allclose(
        similarities(a, b, "dot"), (wide[0] * wide[1]).sum(axis=1), atol=1e-14
    )


def test_zeros_are_like_nothing_by_cosine_and_equal_vectors_like_each_other():
    zero, one = np.zeros((1, 3), np.float32), np.ones((1, 3), np.float32)
    assert similarities(zero, one, "cosine").tolist() == [0.0]
    assert similarities(zero, zero, "cosine").tolist() == [0.0]
    assert similarities(one, one, "euclidean").tolist() == [1.0]


# Exact search


@pytest.mark.parametrize("metric", METRICS)
def test_exact_search_of_more_than_a_block(metric, monkeypatch):
    monkeypatch.setattr(search, "_BLOCK", 256)
    monkeypatch.setattr(search, "_FIRST", 64)
    rng = np.random.default_rng(0)
    for width in (1, 20):
        vectors = rng.normal(size=(1000, width)).astype(np.float32)
        check(vectors, vectors[:300:3], 10, metric)
        check(vectors, rng.normal(size=(5, width)), 1, metric)
        check(vectors, vectors[:2], 1000, metric)


coarse = st.integers(-2, 2).map(float)  # many ties
anything = st.floats(-(2.0**100), 2.0**100, width=32)


@st.composite
def problems(draw):
    """Vectors, queries and a number of neighbours."""
    width = draw(st.integers(1, 4))
    elements = draw(st.sampled_from([coarse, anything]))
    vectors = draw(
        hnp.arrays(np.float32, st.tuples(st.integers(1, 30), st.just(width)), elements=elements)
    )
    if draw(st.booleans()):
        queries = vectors[draw(st.lists(st.integers(0, len(vectors) - 1), min_size=1, max_size=9))]
    else:
        shape = st.tuples(st.integers(1, 9), st.just(width))
        queries = draw(hnp.arrays(np.float64, shape, elements=elements))
    return vectors, queries, draw(st.integers(1, len(vectors)))


@pytest.mark.parametrize("metric", METRICS)
@settings(deadline=None, max_examples=30)
@given(problem=problems(), block=st.sampled_from([1, 2, 7, 100]), pairs=st.sampled_from([0, 10**6]))
def test_exact_search_is_the_sorted_table(metric, problem, block, pairs):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "_BLOCK", block)
        patch.setattr(search, "_FIRST", 2)
        patch.setattr(search, "_QUERIES", 4)
        patch.setattr(search, "_PAIRS", pairs)
        patch.setattr(search, "_CHUNK", 1000)
        check(*problem, metric)


def test_tiny_distances_still_order():
    vectors = np.array([[3e-20], [1e-20], [2e-20]], dtype=np.float32)
    positions, similarity = exact_search(vectors, np.zeros((1, 1)), 3, "euclidean")
    assert positions.tolist() == [[1, 2, 0]]
    assert similarity.tolist() == [[1.0, 1.0, 1.0]]


def test_vectors_of_every_size_and_far_from_the_origin(small_blocks):
    rng = np.random.default_rng(0)
    mixed = 10.0 ** rng.integers(-15, 15, size=(60, 1))
    for metric in METRICS:
        for scale in (1e-30, 1e-8, 1.0, 1e15, 1e30, mixed):
            vectors = (rng.normal(size=(60, 3)) * scale).astype(np.float32)
            check(vectors, vectors[:8], 5, metric)
    vectors = (1e6 + rng.normal(size=(200, 4))).astype(np.float32)
    check(vectors, vectors[:20], 6, "euclidean")
    queries = np.vstack([vectors[:3], -vectors[:3], np.zeros((1, 4))])  # no center helps here
    check(vectors, queries, 6, "euclidean")


def test_of_equal_vectors_the_first_wins(small_blocks):
    rng = np.random.default_rng(0)
    vectors = np.tile(rng.normal(size=(1, 13)), (50, 1)).astype(np.float32)
    for metric in METRICS:
        positions, similarity = exact_search(vectors, vectors[40:45], 4, metric)
        assert positions.tolist() == [[0, 1, 2, 3]] * 5
        assert (similarity == similarity[0, 0]).all()
    for metric in ("cosine", "dot"):  # to which all vectors are alike
        positions, similarity = exact_search(vectors, np.zeros((2, 13)), 3, metric)
        assert positions.tolist() == [[0, 1, 2]] * 2
        assert (similarity == 0).all()


@pytest.mark.parametrize(("metric", "k"), [("cosine", 1), ("euclidean", 40), ("dot", 3)])
def test_very_many_copies_are_compared_once(metric, k, monkeypatch, small_blocks):
    monkeypatch.setattr(search, "_PAIRS", 50)
    compared = []
    closeness = search.closeness_of
    monkeypatch.setattr(
        search, "closeness_of", lambda a, b, m: compared.append(len(a)) or closeness(a, b, m)
    )
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(2000, 4)).astype(np.float32)
    vectors[rng.random(2000) < 0.95] = 0.5
    queries = vectors[:5]
    positions, _ = exact_search(vectors, queries, k, metric)
    assert sum(compared) < 3000  # five queries have 9,500 pairs with copies
    monkeypatch.undo()
    np.testing.assert_array_equal(positions, reference(vectors, queries, k, metric)[0])


def test_signs_of_zero_do_not_make_copies_different():
    vectors = np.array([[0.0, 1.0], [-0.0, 1.0], [0.0, 1.0], [1.0, 0.0]], dtype=np.float32)
    assert search._first_copies(vectors, 2).tolist() == [0, 1, 3]
    assert search._first_copies(vectors, 3).tolist() == [0, 1, 2, 3]
