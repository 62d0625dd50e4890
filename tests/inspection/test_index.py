"""The index against exact search."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import pytest

from sk_entity_embed.exceptions import InvalidParameterError
from sk_entity_embed.inspection import NeighborIndex, nearest
from sk_entity_embed.inspection.search import METRICS
from tests.inspection.conftest import make_column_vectors


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(0)
    centers = rng.normal(size=(40, 8)) * 3
    vectors = centers[rng.integers(0, 40, 3000)] + rng.normal(size=(3000, 8))
    return pd.DataFrame(vectors, index=[f"c{i}" for i in range(3000)])


@pytest.mark.parametrize("metric", METRICS)
def test_the_index_finds_what_exact_search_finds(frame, metric):
    index = NeighborIndex(frame, metric=metric)
    assert len(index) == 3000
    queries = [f"c{i}" for i in range(0, 3000, 60)]
    found = nearest(frame, None, queries, k=10, metric=metric, index=index)
    exact = nearest(frame, None, queries, k=10, metric=metric)
    pairs = [set(zip(f["query"], f["category"], strict=True)) for f in (found, exact)]
    assert len(pairs[0] & pairs[1]) >= 0.97 * len(pairs[1])
    both = found.merge(exact, on=["query", "category"])
    np.testing.assert_allclose(both["similarity_x"], both["similarity_y"], rtol=1e-12)
    assert (found.groupby("query")["similarity"].diff().dropna() <= 0).all()
    assert list(found) == list(exact)


def test_the_index_knows_frequent_categories_only(frame):
    catalogue = make_column_vectors(frame, counts=np.arange(3000), name="col")
    index = NeighborIndex(catalogue, min_count=1500)
    assert len(index) == 1500
    found = nearest(catalogue, None, ["c3", "c2999"], k=5, min_count=1500, index=index)
    exact = nearest(catalogue, None, ["c3", "c2999"], k=5, min_count=1500)
    assert (found["count"] >= 1500).all()
    assert len(set(found["category"]) & set(exact["category"])) >= 9


def test_an_index_of_other_vectors_is_refused(frame):
    index = NeighborIndex(frame)
    with pytest.raises(InvalidParameterError, match=r"shape of the vectors \(3000, 8\)"):
        nearest(frame[:2999], None, "c3", index=index)
    counted = make_column_vectors(frame, counts=np.full(3000, 9))
    for changes, message in (
        ({"metric": "dot"}, "metric 'cosine', not 'dot'"),
        ({"min_count": 2}, "min_count None, not 2"),
    ):
        with pytest.raises(InvalidParameterError, match=f"`index` was built for .*{message}"):
            nearest(counted, None, "c3", k=5, index=index, **changes)
    with pytest.raises(InvalidParameterError, match="built for other vectors"):
        nearest(frame + 0.01, None, "c3", index=index)
    assert len(nearest(frame.copy(), None, "c3", index=index)) == 10


def test_an_index_in_parts_falls_back_to_exact_search(frame, monkeypatch):
    index = NeighborIndex(frame[:100])
    part = frame[:100]

    class Broken:
        def search(self, asked, k, params):
            return None, np.full((len(asked), k), -1)

    monkeypatch.setattr(index, "_index", Broken())
    found = nearest(part, None, ["c3", "c7"], k=4, index=index)
    pd.testing.assert_frame_equal(found, nearest(part, None, ["c3", "c7"], k=4))


def test_the_index_needs_faiss(monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(ImportError, match=r"pip install 'sk-entity-embed\[index\]'"):
        NeighborIndex(pd.DataFrame(np.eye(3)))


def test_the_index_refuses_sizes_that_end_the_process(frame):
    for name, size in (("n_links", 1), ("ef_construction", 0), ("ef_search", True)):
        with pytest.raises(InvalidParameterError, match=f"`{name}` must be .* integer"):
            NeighborIndex(frame[:50], **{name: size})
    index = NeighborIndex(frame[:50], n_links=np.int64(2), ef_construction=1, ef_search=1)
    assert len(nearest(frame[:50], None, "c3", k=20, index=index)) == 20


def test_the_index_of_few_vectors_is_exact(frame):
    few, queries = frame[:200], frame[200:220].to_numpy()
    for metric in METRICS[:2]:
        index = NeighborIndex(few, metric=metric, n_links=64, ef_search=400)
        found = nearest(few, None, queries, k=20, metric=metric, index=index)
        exact = nearest(few, None, queries, k=20, metric=metric)
        pd.testing.assert_frame_equal(found, exact, check_exact=False, rtol=1e-12)
    with pytest.raises(InvalidParameterError, match="only 199 other"):
        nearest(few, None, "c3", k=200, index=index, metric=metric)
