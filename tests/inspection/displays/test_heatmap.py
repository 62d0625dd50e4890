"""EmbeddingHeatmapDisplay: categories by dimensions."""

from __future__ import annotations

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError

from sk_entity_embed.exceptions import InvalidDataError, InvalidParameterError
from sk_entity_embed.inspection import EmbeddingHeatmapDisplay
from tests.samples import make_encoder, make_rows


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def encoder():
    X, y = make_rows()
    return make_encoder(dimensions=3).fit(X, y)


def rows_of(display):
    return [t.get_text() for t in display.ax_.get_yticklabels()]


def axes_of(display):
    return [t.get_text() for t in display.ax_.get_xticklabels()]


def test_shows_the_vectors(encoder):
    display = EmbeddingHeatmapDisplay.from_estimator(encoder, "letter")
    expected = encoder.embeddings_["letter"]
    assert sorted(display.vectors.index) == sorted(expected.index)
    np.testing.assert_array_equal(display.vectors, expected.loc[display.vectors.index])
    np.testing.assert_allclose(display.image_.get_array(), display.vectors)
    assert rows_of(display) == display.vectors.index.tolist()


def test_axes_have_the_numbers_of_the_features_and_their_shares(encoder):
    display = EmbeddingHeatmapDisplay.from_estimator(encoder, "letter")
    vectors = encoder.embeddings_["letter"].to_numpy(dtype=float)
    counts = encoder.category_counts_["letter"]
    centred = vectors - np.average(vectors, axis=0, weights=counts)
    variances = np.average(centred**2, axis=0, weights=counts)
    np.testing.assert_allclose(display.shares, variances / variances.sum())
    assert [a.partition("\n")[0] for a in axes_of(display)] == ["0", "1", "2"]
    assert axes_of(display)[0].endswith(f"{display.shares[0]:.0%}")
    assert "share of the variance" in display.ax_.get_xlabel()


def test_small_shares_are_not_none():
    vectors = np.diag([10.0, 0.1, 0.0])
    display = EmbeddingHeatmapDisplay.from_vectors(vectors)
    assert axes_of(display) == ["0\n100%", "1\n<1%", "2\n0%"]


def test_shares_are_of_all_categories(encoder):
    one = EmbeddingHeatmapDisplay.from_estimator(encoder, "letter", categories=["a"])
    everything = EmbeddingHeatmapDisplay.from_estimator(encoder, "letter")
    np.testing.assert_array_equal(one.shares, everything.shares)


def test_orders(encoder):
    make = EmbeddingHeatmapDisplay.from_estimator
    given = ["d", "a", "c"]
    order = lambda **p: make(encoder, "letter", **p).vectors.index.tolist()  # noqa: E731
    assert order(categories=given, order="given") == given
    counts = dict(zip("abcde", encoder.category_counts_["letter"], strict=True))
    assert [counts[c] for c in order(order="count")] == sorted(counts.values(), reverse=True)
    for axis in (0, np.int64(2)):
        values = encoder.embeddings_["letter"].loc[order(order=axis), axis]
        assert values.is_monotonic_decreasing
    assert order(order="count", k=2) == order(order="count")[:2]


def test_similar_vectors_are_side_by_side():
    vectors = np.array([[0.0], [9.0], [1.0], [8.0], [2.0]])
    drawn = EmbeddingHeatmapDisplay.from_vectors(vectors).vectors[0].tolist()
    assert drawn in ([0, 1, 2, 8, 9], [9, 8, 2, 1, 0])


def test_colours_are_symmetric_and_a_few_numbers_are_beyond():
    vectors = np.random.default_rng(0).normal(size=(20, 10))
    vectors[3, 0] = 50.0
    display = EmbeddingHeatmapDisplay.from_vectors(vectors)
    low, high = display.image_.get_clim()
    assert low == -high
    assert 1 < high < 10
    assert display.colorbar_.extend == "both"
    display.plot(limit=50)
    assert display.image_.get_clim() == (-50, 50)
    assert display.colorbar_.extend == "neither"
    limited = EmbeddingHeatmapDisplay.from_vectors(vectors, limit=2)
    assert limited.image_.get_clim() == (-2, 2)


@pytest.mark.parametrize("vectors", [[[1.0]], np.zeros((5, 3)), np.full((4, 2), -2.0)])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nothing_to_tell_apart(vectors, theme):
    display = EmbeddingHeatmapDisplay.from_vectors(vectors, theme=theme)
    display.figure_.canvas.draw()
    assert display.shares is None
    assert display.ax_.get_xlabel() == "Axis"
    assert axes_of(display) == [str(j) for j in range(np.shape(vectors)[1])]
    assert display.image_.get_clim()[1] > 0


def test_few_numbers_that_are_not_zero_have_colours():
    vectors = np.zeros((20, 10))
    vectors[0, 0] = 3.0
    assert EmbeddingHeatmapDisplay.from_vectors(vectors).image_.get_clim() == (-3, 3)


def test_names_are_data():
    names = ["a$b$", "\ud800", "two\nlines", np.nan, "<script>", "x" * 60]
    display = EmbeddingHeatmapDisplay.from_vectors(
        np.eye(6), categories=names, order="given", column="$x$"
    )
    display.figure_.canvas.draw()
    assert rows_of(display)[:5] == [
        "a$b$",
        "\N{REPLACEMENT CHARACTER}",
        "two lines",
        "(missing)",
        "<script>",
    ]
    assert len(rows_of(display)[5]) < 40
    assert rows_of(display)[5].endswith("…")
    texts = [*display.ax_.get_yticklabels(), display.ax_.title]
    assert not any(t.get_parse_math() for t in texts)
    assert all(t.get_fontsize() >= 8 for t in [*texts, *display.ax_.get_xticklabels()])
    assert display.ax_.get_title() == "Vectors of $x$"


def test_labels_are_thinned_where_there_is_no_room():
    vectors = np.random.default_rng(0).normal(size=(500, 200))
    counts = np.arange(500)
    display = EmbeddingHeatmapDisplay.from_vectors(vectors, counts=counts, k=200, order="count")
    assert display.vectors.index[0] == 499
    assert display.ax_.get_title() == "Vectors of category: 200 of 500 categories"
    for labels in (rows_of(display), axes_of(display)):
        assert 10 < len(labels) < 100
    assert "%" not in axes_of(display)[0]
    assert max(display.figure_.get_size_inches()) <= 14


def test_draws_again_elsewhere(encoder):
    display = EmbeddingHeatmapDisplay.from_estimator(encoder, "letter")
    _, ax = plt.subplots()
    assert display.plot(ax, theme="dark") is display
    assert display.ax_ is ax
    assert display.figure_ is ax.figure


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"column": "leter"}, "Did you mean 'letter'"),
        ({"categories": ["A"]}, "Did you mean 'a'"),
        ({"categories": ["a", "a"]}, "more than once"),
        ({"categories": []}, "is empty"),
        ({"categories": "abc"}, "must be a list"),
        ({"k": 0}, "positive integer"),
        ({"order": "alphabet"}, "`order` must be one of"),
        ({"order": True}, "`order` must be one of"),
        ({"order": 3}, "axes 0 to 2"),
        ({"order": -1}, "axes 0 to 2"),
        ({"limit": 0}, "`limit`"),
        ({"limit": "high"}, "`limit`"),
        ({"limit": np.nan}, "`limit`"),
        ({"theme": "sepia"}, "`theme`"),
    ],
)
def test_refuses(encoder, parameters, message):
    with pytest.raises((InvalidParameterError, InvalidDataError), match=message):
        EmbeddingHeatmapDisplay.from_estimator(encoder, **{"column": "letter", **parameters})


def test_refuses_what_it_cannot_look_at():
    with pytest.raises(NotFittedError):
        EmbeddingHeatmapDisplay.from_estimator(make_encoder(), "letter")
    with pytest.raises(InvalidParameterError, match="10,000"):
        EmbeddingHeatmapDisplay.from_vectors(np.ones((10_001, 1)), k=10_001)
    with pytest.raises(InvalidDataError, match="numbers"):
        EmbeddingHeatmapDisplay.from_vectors(pd.DataFrame({"a": ["x"]}))


@pytest.mark.parametrize("limit", [-1, 0, "x", float("nan")])
def test_a_wrong_limit_leaves_no_figure(limit):
    with pytest.raises(InvalidParameterError, match="`limit` must be a positive number"):
        EmbeddingHeatmapDisplay.from_vectors(np.eye(3), limit=limit)
    assert plt.get_fignums() == []


def test_no_grid_is_drawn_over_the_cells():
    with plt.rc_context({"axes.grid": True}):
        display = EmbeddingHeatmapDisplay.from_vectors(np.eye(3))
    assert not any(line.get_visible() for line in display.ax_.get_xgridlines())


def test_the_index_names_the_column():
    frame = pd.DataFrame(np.eye(3), index=pd.Index(list("abc"), name="city"))
    assert EmbeddingHeatmapDisplay.from_vectors(frame).ax_.get_title() == "Vectors of city"
    named = EmbeddingHeatmapDisplay.from_vectors(frame, column="town")
    assert named.ax_.get_title() == "Vectors of town"


def test_a_column_of_dot_products_has_no_bias_among_its_axes(dot):
    display = EmbeddingHeatmapDisplay.from_estimator(dot, "movie", order="given")
    assert display.vectors.shape == (12, 3)
    assert len(display.shares) == 3
