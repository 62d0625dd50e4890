"""EmbeddingHeatmapDisplay and SimilarityDisplay: categories by dimensions, and by each other."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from scipy.cluster.hierarchy import leaves_list

from sk_entity_embed.exceptions import InvalidDataError, InvalidParameterError
from sk_entity_embed.inspection import EmbeddingHeatmapDisplay, SimilarityDisplay, similarity_matrix
from sk_entity_embed.inspection.displays.heatmap import ticks_of
from tests.inspection.displays.conftest import make_column, texts_of

METRICS = ("cosine", "euclidean", "dot")
ODD = ["a$b$", "\ud800", "two\nlines", np.nan, "<script>", "x" * 60]
heatmap = EmbeddingHeatmapDisplay.from_estimator
similarity = SimilarityDisplay.from_estimator


@pytest.fixture
def vectors():
    """Two groups of three, taking turns."""
    rng = np.random.default_rng(0)
    centers = np.tile([[3.0, 0.0], [-3.0, 1.0]], (3, 1))
    return pd.DataFrame(centers + 0.1 * rng.normal(size=(6, 2)), index=list("abcdef"))


def noise(n, width=3):
    return pd.DataFrame(np.random.default_rng(0).normal(size=(n, width)))


def rows_of(display):
    return texts_of(display.ax_.get_yticklabels())


def axes_of(display):
    return texts_of(display.ax_.get_xticklabels())


def test_shows_the_vectors(encoder, dot):
    display = heatmap(encoder, "letter")
    expected = encoder.embeddings_["letter"]
    assert sorted(display.vectors.index) == sorted(expected.index)
    np.testing.assert_array_equal(display.vectors, expected.loc[display.vectors.index])
    np.testing.assert_allclose(display.image_.get_array(), display.vectors)
    assert rows_of(display) == display.vectors.index.tolist()
    assert heatmap(dot, "movie").vectors.shape == (12, 3)  # no bias among the axes


def test_axes_have_the_numbers_of_the_features_and_their_shares(encoder):
    display = heatmap(encoder, "letter")
    vectors = encoder.embeddings_["letter"].to_numpy(dtype=float)
    counts = encoder.category_counts_["letter"]
    centered = vectors - np.average(vectors, axis=0, weights=counts)
    variances = np.average(centered**2, axis=0, weights=counts)
    np.testing.assert_allclose(display.shares, variances / variances.sum())
    assert [a.partition("\n")[0] for a in axes_of(display)] == ["0", "1", "2"]
    assert axes_of(display)[0].endswith(f"{display.shares[0]:.0%}")
    assert "share of the variance" in display.ax_.get_xlabel()
    one = heatmap(encoder, "letter", categories=["a"])
    np.testing.assert_array_equal(one.shares, display.shares)  # of all categories
    small = heatmap(pd.DataFrame(np.diag([10.0, 0.1, 0.0])))
    assert axes_of(small) == ["0\n100%", "1\n<1%", "2\n0%"]


def test_orders_of_the_rows(encoder):
    given = ["d", "a", "c"]
    order = lambda **p: heatmap(encoder, "letter", **p).vectors.index.tolist()  # noqa: E731
    assert order(categories=given, order="given") == given
    counts = dict(zip("abcde", encoder.category_counts_["letter"], strict=True))
    assert [counts[c] for c in order(order="count")] == sorted(counts.values(), reverse=True)
    for axis in (0, np.int64(2)):
        values = encoder.embeddings_["letter"].loc[order(order=axis), axis]
        assert values.is_monotonic_decreasing
    assert order(order="count", k=2) == order(order="count")[:2]
    clustered = heatmap(pd.DataFrame([[0.0], [9.0], [1.0], [8.0], [2.0]])).vectors[0].tolist()
    assert clustered in ([0, 1, 2, 8, 9], [9, 8, 2, 1, 0])


def test_colours_are_symmetric_and_a_few_numbers_are_beyond():
    vectors = noise(20, 10)
    vectors.iloc[3, 0] = 50.0
    display = heatmap(vectors)
    low, high = display.image_.get_clim()
    assert low == -high
    assert 1 < high < 10
    assert display.colorbar_.extend == "both"
    display.plot(limit=50)
    assert display.image_.get_clim() == (-50, 50)
    assert display.colorbar_.extend == "neither"
    assert heatmap(vectors, limit=2).image_.get_clim() == (-2, 2)
    vectors[:] = 0.0
    vectors.iloc[0, 0] = 3.0
    assert heatmap(vectors).image_.get_clim() == (-3, 3)


def test_shows_the_similarities_of_the_package(encoder):
    display = similarity(encoder, "letter", metric="euclidean")
    expected = similarity_matrix(encoder, "letter", metric="euclidean")
    order = display.similarity.index
    assert sorted(order) == sorted(expected.index)
    expected = expected.loc[order, order].to_numpy()
    np.testing.assert_allclose(display.similarity.to_numpy(), expected)
    np.testing.assert_allclose(display.image_.get_array(), expected)
    assert rows_of(display) == axes_of(display) == list(order)


@pytest.mark.parametrize("metric", METRICS)
def test_similar_categories_are_side_by_side(vectors, metric):
    display = similarity(vectors, metric=metric)
    halves = {frozenset(display.similarity.index[:3]), frozenset(display.similarity.index[3:])}
    assert halves == {frozenset("ace"), frozenset("bdf")}
    assert leaves_list(display.linkage).tolist() == list(range(6))
    assert len(display.dendrogram_.get_segments()) == 5
    order = display.similarity.index  # the first two leaves to meet are the closest ones
    first, second = order[display.linkage[0, :2].astype(int)]
    distance = display.linkage[0, 2]
    if metric == "cosine":
        assert distance == pytest.approx(1 - display.similarity.loc[first, second])
    else:
        gap = np.linalg.norm(vectors.loc[first] - vectors.loc[second])
        assert distance == pytest.approx(gap, abs=1e-3)


def test_the_given_order_has_no_tree(encoder):
    display = similarity(encoder, "letter", categories=["d", "a", "c"], cluster=False)
    assert display.similarity.index.tolist() == ["d", "a", "c"]
    assert display.linkage is None
    assert display.dendrogram_ is None


def test_the_most_frequent_are_drawn(vectors):
    column = make_column(vectors, counts=[1, 5, 1, 1, 1, 9], name="x")
    display = similarity(column, k=2)
    assert set(display.similarity.index) == {"b", "f"}
    assert display.ax_.get_title() == "Similarity of x: 2 of 6 categories"
    assert set(similarity(vectors, k=2).similarity.index) == {"a", "b"}
    named = pd.DataFrame(vectors.to_numpy(), index=pd.Index(range(6), name="city"))
    assert similarity(named).ax_.get_title() == "Similarity of city"
    assert heatmap(named, "town").ax_.get_title() == "Vectors of town"


def test_limits_of_the_colours(vectors):
    limits = {m: similarity(vectors, metric=m).image_.get_clim() for m in METRICS}
    assert limits["cosine"] == (-1, 1)
    assert limits["dot"][0] == -limits["dot"][1]
    assert limits["dot"][1] >= (vectors**2).sum(axis=1).max() - 1e-5
    assert 0 < limits["euclidean"][0] < limits["euclidean"][1] == 1


@pytest.mark.parametrize(("metric", "theme"), [("cosine", "dark"), ("euclidean", "light")])
def test_numbers_can_be_read_in_their_cells(vectors, metric, theme):
    display = similarity(vectors, metric=metric, theme=theme)
    drawn = display.similarity.to_numpy()
    assert len(display.texts_) == 36
    for text in display.texts_:
        j, i = text.get_position()
        assert text.get_fontsize() >= 8
        assert float(text.get_text().replace("\N{MINUS SIGN}", "-")) == pytest.approx(
            drawn[i, j], abs=0.006 if np.abs(drawn).max() < 10 else 0.6
        )
        cell = display.image_.cmap(display.image_.norm(drawn[i, j]))[:3]
        light = [
            np.power(c, 2.2) @ [0.2126, 0.7152, 0.0722] + 0.05
            for c in (np.array(cell), np.array(to_rgb(text.get_color())))
        ]
        assert max(light) / min(light) > 4


def test_numbers_are_for_few_categories_or_on_demand(vectors):
    assert similarity(noise(13)).texts_ == []
    assert len(similarity(noise(13), annotate=True).texts_) == 169
    assert similarity(vectors, annotate=False).texts_ == []


@pytest.mark.parametrize("draw", [heatmap, similarity])
def test_names_are_data(draw):
    options = {"order": "given"} if draw is heatmap else {"cluster": False}
    display = draw(pd.DataFrame(np.eye(6), index=pd.Index(ODD, dtype=object)), "$x$", **options)
    display.figure_.canvas.draw()
    *rows, last = rows_of(display)
    assert rows == ["a$b$", "\N{REPLACEMENT CHARACTER}", "two lines", "(missing)", "<script>"]
    assert len(last) < 40
    assert last.endswith("…")
    texts = [*display.ax_.get_yticklabels(), display.ax_.title]
    assert not any(t.get_parse_math() for t in texts)
    assert all(t.get_fontsize() >= 8 for t in [*texts, *display.ax_.get_xticklabels()])
    assert display.ax_.get_title().endswith(" of $x$")


def test_labels_are_thinned_where_there_is_no_room():
    cases = [(10, 5.0, 1), (8, 1.0, 1), (9, 1.0, 2), (800, 2.0, 50), (3, 0, 3)]
    for n, inches, step in cases:
        assert ticks_of(n, inches, 0.125).tolist() == list(range(0, n, step))
    column = make_column(noise(300, 100), counts=np.arange(300))
    display = heatmap(column, k=200, order="count")
    assert display.vectors.index[0] == 299
    assert display.ax_.get_title() == "Vectors of category: 200 of 300 categories"
    for labels in (rows_of(display), axes_of(display)):
        assert 10 < len(labels) < 100
    assert "%" not in axes_of(display)[0]
    assert max(display.figure_.get_size_inches()) <= 14
    _, ax = plt.subplots(figsize=(3, 3))
    assert 2 < len(rows_of(similarity(noise(60), k=60, cluster=False, ax=ax))) < 25


def test_trees_need_room(vectors):
    assert similarity(noise(201), k=300).dendrogram_ is None
    assert similarity(vectors, dendrogram=False).dendrogram_ is None
    for layout in (None, "constrained", "own"):
        ax = None if layout == "own" else plt.subplots(layout=layout)[1]
        display = similarity(vectors, ax=ax)
        display.figure_.canvas.draw()
        title = display.ax_.title.get_window_extent()
        assert title.y1 <= display.figure_.bbox.y1
        assert (display.dendrogram_ is not None) == (layout is not None)
        if display.dendrogram_:
            assert display.dendrogram_.axes.get_window_extent().y1 <= title.y0


@pytest.mark.parametrize("vectors", [np.ones((1, 2)), np.zeros((3, 2))])
def test_nothing_to_tell_apart(vectors):
    vectors = pd.DataFrame(vectors)
    for display in (heatmap(vectors), *(similarity(vectors, metric=m) for m in METRICS)):
        display.figure_.canvas.draw()
        low, high = display.image_.get_clim()
        assert low < high


@pytest.mark.parametrize(
    ("draw", "parameters", "message"),
    [
        (heatmap, {"order": "alphabet"}, "`order` must be one of"),
        (heatmap, {"order": -1}, "`order` is axis -1, .* axes 0 to 2"),
        (heatmap, {"limit": 0}, "`limit` must be a positive number"),
        (heatmap, {"limit": np.nan}, "`limit` must be a positive number"),
        (similarity, {"k": 0}, "`k` must be a positive integer"),
    ],
)
def test_refuses(encoder, draw, parameters, message):
    with pytest.raises((InvalidParameterError, InvalidDataError), match=message):
        draw(encoder, **{"column": "letter", **parameters})
    assert plt.get_fignums() == []


@pytest.mark.parametrize("draw", [heatmap, similarity])
def test_refuses_very_many(draw):
    with pytest.raises(InvalidParameterError, match=r"10,001 categories .* the most is 10,000"):
        draw(pd.DataFrame(np.ones((10_001, 1))), k=10_001)
