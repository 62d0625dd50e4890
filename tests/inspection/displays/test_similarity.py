"""SimilarityDisplay: the clustered heat map of similarities."""

from __future__ import annotations

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from scipy.cluster.hierarchy import leaves_list
from sklearn.exceptions import NotFittedError
from sklearn.preprocessing import OneHotEncoder

from sk_entity_embed.exceptions import InvalidDataError, InvalidParameterError
from sk_entity_embed.inspection import SimilarityDisplay, similarity_matrix
from tests.samples import make_encoder, make_rows

METRICS = ("cosine", "euclidean", "dot")


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def encoder():
    X, y = make_rows()
    return make_encoder().fit(X, y)


@pytest.fixture
def vectors():
    """Two groups of three, taking turns."""
    rng = np.random.default_rng(0)
    centres = np.array([[3.0, 0.0], [-3.0, 1.0]])
    return pd.DataFrame(
        np.tile(centres, (3, 1)) + 0.1 * rng.normal(size=(6, 2)), index=list("abcdef")
    )


def labels_of(display):
    return [t.get_text() for t in display.ax_.get_yticklabels()]


@pytest.mark.parametrize("metric", METRICS)
def test_shows_the_similarities_of_the_package(encoder, metric):
    display = SimilarityDisplay.from_estimator(encoder, "letter", metric=metric)
    expected = similarity_matrix(encoder, "letter", metric=metric)
    order = display.similarity.index
    assert sorted(order) == sorted(expected.index)
    expected = expected.loc[order, order].to_numpy()
    np.testing.assert_allclose(display.similarity.to_numpy(), expected)
    np.testing.assert_allclose(display.image_.get_array(), expected)
    assert labels_of(display) == list(order)


@pytest.mark.parametrize("metric", METRICS)
def test_similar_categories_are_side_by_side(vectors, metric):
    display = SimilarityDisplay.from_vectors(vectors, metric=metric)
    halves = {frozenset(display.similarity.index[:3]), frozenset(display.similarity.index[3:])}
    assert halves == {frozenset("ace"), frozenset("bdf")}
    assert leaves_list(display.linkage).tolist() == list(range(6))
    assert len(display.dendrogram_.get_segments()) == 5


def test_the_tree_ends_in_the_distances_drawn(vectors):
    display = SimilarityDisplay.from_vectors(vectors, metric="euclidean")
    first, second = display.linkage[0, :2].astype(int)
    drawn = display.similarity.to_numpy()
    assert display.linkage[0, 2] == pytest.approx(1 / drawn[first, second] - 1)
    assert drawn[first, second] == np.sort(np.unique(drawn))[-2]


def test_given_order_stays_without_clusters(encoder, vectors):
    display = SimilarityDisplay.from_estimator(
        encoder, "letter", categories=["d", "a", "c"], cluster=False
    )
    assert display.similarity.index.tolist() == ["d", "a", "c"]
    assert display.linkage is None
    assert display.dendrogram_ is None
    assert SimilarityDisplay.from_vectors(vectors, cluster=False).similarity.index[0] == "a"


def test_the_most_frequent_are_drawn(encoder):
    counts = pd.Series(encoder.category_counts_["letter"], encoder.categories_["letter"])
    display = SimilarityDisplay.from_estimator(encoder, "letter", k=2)
    assert set(display.similarity.index) == set(counts.nlargest(2).index)
    assert display.ax_.get_title() == "Similarity of letter: 2 of 5 categories"
    assert SimilarityDisplay.from_estimator(encoder, "color").ax_.get_title() == (
        "Similarity of color"
    )


def test_counts_choose_among_vectors(vectors):
    display = SimilarityDisplay.from_vectors(vectors, counts=[1, 5, 1, 1, 1, 9], k=2, column="x")
    assert set(display.similarity.index) == {"b", "f"}
    assert set(SimilarityDisplay.from_vectors(vectors, k=2).similarity.index) == {"a", "b"}


def test_limits_of_the_colours(vectors):
    limits = {
        m: SimilarityDisplay.from_vectors(vectors, metric=m).image_.get_clim() for m in METRICS
    }
    assert limits["cosine"] == (-1, 1)
    assert limits["dot"][0] == -limits["dot"][1]
    assert limits["dot"][1] >= (vectors**2).sum(axis=1).max() - 1e-5
    assert 0 < limits["euclidean"][0] < limits["euclidean"][1] == 1


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("metric", METRICS)
def test_numbers_can_be_read_in_their_cells(vectors, metric, theme):
    display = SimilarityDisplay.from_vectors(vectors, metric=metric, theme=theme)
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
    many = np.random.default_rng(0).normal(size=(13, 3))
    assert SimilarityDisplay.from_vectors(many).texts_ == []
    assert len(SimilarityDisplay.from_vectors(many, annotate=True).texts_) == 169
    assert SimilarityDisplay.from_vectors(vectors, annotate=False).texts_ == []


def test_names_are_data():
    names = ["a$b$", "\ud800", "two\nlines", None, "<script>", "long " * 10]
    display = SimilarityDisplay.from_vectors(
        np.eye(6), categories=names, cluster=False, column="$x$"
    )
    display.figure_.canvas.draw()
    assert labels_of(display) == [
        "a$b$",
        "\N{REPLACEMENT CHARACTER}",
        "two lines",
        "(missing)",
        "<script>",
        "long long long long lon…",
    ]
    texts = [*display.ax_.get_yticklabels(), *display.ax_.get_xticklabels(), display.ax_.title]
    assert not any(t.get_parse_math() for t in texts)
    assert all(t.get_fontsize() >= 8 for t in texts)
    assert display.ax_.get_title() == "Similarity of $x$"


def test_labels_are_thinned_where_there_is_no_room():
    vectors = np.random.default_rng(0).normal(size=(60, 3))
    _, ax = plt.subplots(figsize=(3, 3))
    display = SimilarityDisplay.from_vectors(vectors, k=60, cluster=False, ax=ax)
    assert 2 < len(labels_of(display)) < 25
    assert labels_of(display)[:2] == ["0", str(int(display.ax_.get_yticks()[1]))]
    assert len(labels_of(SimilarityDisplay.from_vectors(vectors, k=60))) == 60


def test_many_categories_have_no_tree():
    vectors = np.random.default_rng(0).normal(size=(201, 3))
    assert SimilarityDisplay.from_vectors(vectors, k=300).dendrogram_ is None
    assert SimilarityDisplay.from_vectors(vectors, k=200).dendrogram_ is not None
    assert SimilarityDisplay.from_vectors(vectors, k=9, dendrogram=False).dendrogram_ is None


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("vectors", [np.ones((1, 2)), np.ones((4, 2)), np.zeros((3, 2))])
def test_nothing_to_tell_apart(vectors, metric):
    display = SimilarityDisplay.from_vectors(vectors, metric=metric)
    display.figure_.canvas.draw()
    low, high = display.image_.get_clim()
    assert low < high
    assert len(np.unique(display.similarity.round(9))) <= 2


def test_draws_again_elsewhere(encoder):
    display = SimilarityDisplay.from_estimator(encoder, "letter")
    _, ax = plt.subplots()
    before = display.ax_
    assert display.plot(ax, theme="dark") is display
    assert display.ax_ is ax is not before
    assert display.figure_ is ax.figure
    assert ax.get_facecolor() != before.get_facecolor()


def test_the_title_is_above_the_tree(vectors):
    display = SimilarityDisplay.from_vectors(vectors)
    display.figure_.canvas.draw()
    tree = display.dendrogram_.axes.get_window_extent()
    title = display.ax_.title.get_window_extent()
    assert tree.y1 <= title.y0
    assert title.y1 <= display.figure_.bbox.y1


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"column": "leter"}, "Did you mean 'letter'"),
        ({"column": None}, "must name one"),
        ({"categories": ["A"]}, "Did you mean 'a'"),
        ({"categories": ["a", "a"]}, "more than once"),
        ({"categories": []}, "is empty"),
        ({"categories": "abc"}, "must be a list"),
        ({"categories": 3}, "must be a list"),
        ({"k": 0}, "positive integer"),
        ({"k": True}, "positive integer"),
        ({"k": 2.0}, "positive integer"),
        ({"metric": "manhattan"}, "`metric`"),
        ({"theme": "sepia"}, "`theme`"),
    ],
)
def test_refuses(encoder, parameters, message):
    with pytest.raises((InvalidParameterError, InvalidDataError), match=message):
        SimilarityDisplay.from_estimator(encoder, **{"column": "letter", **parameters})


def test_refuses_what_it_cannot_look_at():
    with pytest.raises(NotFittedError):
        SimilarityDisplay.from_estimator(make_encoder(), "letter")
    with pytest.raises(InvalidParameterError, match="OneHotEncoder"):
        SimilarityDisplay.from_estimator(OneHotEncoder(), "letter")
    with pytest.raises(InvalidParameterError, match="10,000"):
        SimilarityDisplay.from_vectors(np.ones((10_001, 1)), k=10_001)
    with pytest.raises(InvalidDataError, match="finite"):
        SimilarityDisplay.from_vectors([[np.nan]])


def test_the_tree_needs_room(vectors):
    for layout, has_room in ((None, False), ("constrained", True)):
        _, ax = plt.subplots(layout=layout)
        display = SimilarityDisplay.from_vectors(vectors, ax=ax)
        assert (display.dendrogram_ is not None) == has_room
        display.figure_.canvas.draw()
        assert ax.title.get_window_extent().y1 <= display.figure_.bbox.y1


def test_no_grid_is_drawn_over_the_cells():
    with plt.rc_context({"axes.grid": True}):
        display = SimilarityDisplay.from_vectors(np.eye(3))
    assert not any(line.get_visible() for line in display.ax_.get_xgridlines())


def test_the_index_names_the_column():
    frame = pd.DataFrame(np.eye(3), index=pd.Index(list("abc"), name="city"))
    assert SimilarityDisplay.from_vectors(frame).ax_.get_title() == "Similarity of city"


def test_dot_products_and_items_of_lists(dot, listed):
    display = SimilarityDisplay.from_estimator(dot, "movie", metric="dot", cluster=False)
    vectors = dot.embeddings_["movie"].loc[display.similarity.index].to_numpy(dtype=float)
    np.testing.assert_allclose(display.similarity, vectors @ vectors.T, atol=1e-6)
    display = SimilarityDisplay.from_estimator(listed, "tags")
    assert len(display.similarity) == 7
