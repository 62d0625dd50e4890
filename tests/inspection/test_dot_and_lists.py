"""What inspection says of dot products, whose biases it leaves out, and of items of lists."""

from __future__ import annotations

import numpy as np
import pytest

from sk_entity_embed.exceptions import InvalidParameterError
from sk_entity_embed.inspection import (
    DriftDisplay,
    EmbeddingDisplay,
    SimilarityDisplay,
    analogy,
    extremes,
    nearest,
    similarity_matrix,
)
from sk_entity_embed.inspection.projection import principal_components
from tests.inspection.conftest import make_dot, make_listed
from tests.inspection.displays.conftest import texts_of


def test_extremes(dot, listed):
    vectors, counts = dot.embeddings_["movie"].to_numpy(), dot.category_counts_["movie"]
    scores, _ = principal_components(vectors, counts.astype(float))
    found = extremes(dot, "movie", component=3, k=1, min_count=None)
    assert found["value"].tolist() == [scores[:, 2].min(), scores[:, 2].max()]
    with pytest.raises(InvalidParameterError, match="an integer from 1 to 3"):
        extremes(dot, "movie", component=4)  # the bias is none
    found = extremes(listed, "tags", k=2, min_count=20)
    assert None not in found["category"].tolist()
    assert found["count"].min() >= 20


def test_neighbours_of_items(listed):
    found = nearest(listed, "tags", ["jazz", None], k=6)
    assert found["query"][0] == "jazz"
    assert set(found["category"][:6]) >= {"folk", "soul", "rock", "punk", "noise"}
    assert set(found["count"]) <= set(listed.category_counts_["tags"])
    assert similarity_matrix(listed, "tags", ["jazz", "soul"]).shape == (2, 2)
    assert not {"jazz", "rock", "soul"} & set(
        analogy(listed, "tags", ["jazz", "rock"], ["soul"], k=2)["category"]
    )


def test_displays_of_dot_products(dot, ratings):
    display = EmbeddingDisplay.from_estimator(dot, "movie", highlight="m1", metric="dot")
    assert display.coordinates.shape == (12, 2)
    expected = nearest(dot, "movie", "m1", k=10, metric="dot")["category"].tolist()
    assert display.neighbors["category"].tolist() == expected
    display = SimilarityDisplay.from_estimator(dot, "movie", metric="dot", cluster=False)
    vectors = dot.embeddings_["movie"].loc[display.similarity.index].to_numpy(dtype=float)
    np.testing.assert_allclose(display.similarity, vectors @ vectors.T, atol=1e-6)
    display = DriftDisplay.from_estimators(make_dot(1).fit(*ratings), dot, "movie")
    assert len(display.points_.get_offsets()) == 12


def test_displays_of_items(listed, tagged):
    display = EmbeddingDisplay.from_estimator(listed, "tags", color="count")
    assert display.colorbar_.ax.get_ylabel() == "items"
    assert texts_of(display.legend_)[-1].endswith(" items")
    display = EmbeddingDisplay.from_estimator(listed, "city", color="count")
    assert display.colorbar_.ax.get_ylabel() == "rows"
    assert len(SimilarityDisplay.from_estimator(listed, "tags").similarity) == 7
    retrained = make_listed(1, listed.pooling).fit(*tagged)
    display = DriftDisplay.from_estimators(retrained, listed, "tags")
    assert len(display.points_.get_offsets()) == 7
