"""EmbeddingDisplay: what is computed, what is drawn, and what is refused."""

from __future__ import annotations

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.colors import LogNorm, to_hex
from matplotlib.text import Text
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression

from sk_entity_embed.exceptions import (
    InvalidDataError,
    InvalidParameterError,
    ProjectionWarning,
)
from sk_entity_embed.inspection import EmbeddingDisplay, nearest, project
from sk_entity_embed.inspection.displays.theme import DARK, LIGHT
from tests.samples import make_encoder, make_rows

ODD = ["$x^2$ and $y$", "_hidden", "a\nb\tc", "", " ", None, "<script>", "x" * 90, "ü", "\ud800", 7]


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def fitted():
    """An encoder of a continuous target, with missing and infrequent categories."""
    X, y = make_rows(240)
    X["letter"] = X["letter"].astype(object)
    X.loc[:9, "letter"] = None
    X.loc[10:12, "letter"] = "rare"
    return make_encoder(min_frequency=5).fit(X, y)


@pytest.fixture(scope="module")
def classified():
    """An encoder of three classes."""
    X, y = make_rows(240)
    return make_encoder().fit(X, np.digitize(y, [-1, 1]).astype(str))


def cloud(n=60, width=5, seed=0):
    """Vectors and counts of categories c0, c1, ..."""
    rng = np.random.default_rng(seed)
    index = pd.Index([f"c{i}" for i in range(n)], name="item")
    vectors = pd.DataFrame(rng.normal(size=(n, width)), index=index)
    return vectors, rng.permutation(np.arange(n)) ** 2 + 1


def texts_of(display):
    return [label.get_text() for label in display.labels_]


def legend_texts(legend):
    return [text.get_text() for text in legend.get_texts()]


def assert_labels_apart(display):
    """No label overlaps another or leaves the axes, in the picture as it is saved."""
    display.figure_.canvas.draw()
    boxes = [Text.get_window_extent(label) for label in display.labels_]
    frame = display.ax_.get_window_extent().padded(1)
    for i, a in enumerate(boxes):
        assert not any(a.overlaps(b) for b in boxes[:i])
        assert (a.min >= frame.min).all()
        assert (a.max <= frame.max).all()


def test_from_estimator(fitted):
    display = EmbeddingDisplay.from_estimator(fitted, "letter")
    assert isinstance(display, EmbeddingDisplay)
    assert display.figure_ is display.ax_.figure
    assert isinstance(display.scatter_, PathCollection)
    np.testing.assert_array_equal(display.coordinates, project(fitted, "letter").to_numpy())
    assert display.counts.tolist() == fitted.category_counts_["letter"].tolist()
    assert sorted(texts_of(display)) == ["(missing)", "a", "b", "c", "d", "e", "rare"]
    assert display.ax_.get_title() == "letter: 7 categories"
    assert display.ax_.get_xlabel().startswith("component 1 (")
    assert display.ax_.get_aspect() == 1.0
    assert_labels_apart(display)


def test_plot_draws_again_what_was_computed(fitted):
    display = EmbeddingDisplay.from_estimator(fitted, "letter", color="count")
    first, coordinates = display.ax_, display.coordinates.copy()
    _, ax = plt.subplots()
    assert display.plot(ax, labels=None, theme="dark") is display
    assert display.ax_ is ax is not first
    assert display.labels_ == []
    assert (display.coordinates == coordinates).all()
    assert to_hex(ax.get_facecolor()) == DARK.background


def test_points_are_as_large_as_their_categories_are_frequent():
    vectors, counts = cloud()
    display = EmbeddingDisplay.from_vectors(vectors, counts=counts)
    order = np.argsort(-counts)
    np.testing.assert_allclose(display.scatter_.get_offsets(), display.coordinates[order])
    assert (np.diff(display.scatter_.get_sizes()) < 0).all()
    assert legend_texts(display.legend_) == ["1", "50", "2,000 rows"]
    plain = EmbeddingDisplay.from_vectors(vectors)
    assert len(set(plain.scatter_.get_sizes())) == 1
    assert plain.legend_ is None
    single = EmbeddingDisplay.from_vectors(vectors, counts=np.ones(60, dtype=int))
    assert legend_texts(single.legend_) == ["1 row"]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("highlight", [None, "c7"])
def test_numbers_have_a_colour_bar(theme, highlight):
    vectors, counts = cloud()
    values = pd.Series(np.arange(59.0), index=vectors.index[:59], name="size of $it$")
    display = EmbeddingDisplay.from_vectors(
        vectors, counts=counts, color=values, theme=theme, highlight=highlight
    )
    display.figure_.canvas.draw()
    assert display.colorbar_.ax.get_ylabel() == "size of $it$"
    assert display.colorbar_.solids.get_alpha() in (None, 1.0)
    assert display.color_legend_ is None
    # The one without a value lies below all others and is grey.
    np.testing.assert_allclose(display.scatter_.get_offsets()[0], display.coordinates[59])
    grey = to_hex(display.scatter_.get_facecolors()[0])
    assert grey == (LIGHT if theme == "light" else DARK).grid
    assert legend_texts(display.legend_)[-1] == "no value"


def test_counts_have_a_logarithmic_colour_bar():
    vectors, counts = cloud()
    display = EmbeddingDisplay.from_vectors(vectors, counts=counts, color="count")
    display.figure_.canvas.draw()
    assert isinstance(display.scatter_.norm, LogNorm)
    ticks = [t.get_text() for t in display.colorbar_.ax.get_yticklabels()]
    assert ticks == ["1", "10", "100", "1,000"]


def test_kinds_have_a_legend():
    vectors, _ = cloud()
    kinds = ["$a$", "_b", None, *"cccccccddddddeeeeeffffgghijk", *[True] * 29]
    display = EmbeddingDisplay.from_vectors(vectors, color=kinds, color_label="kind of $it$")
    texts = legend_texts(display.color_legend_)
    assert texts[:3] == ["True", "c", "d"]
    assert texts[-2:] == ["other (5 kinds)", "no value"]
    assert display.color_legend_.get_title().get_text() == "kind of $it$"
    assert display.colorbar_ is None
    display.figure_.canvas.draw()
    edge = display.figure_.bbox.width
    assert display.color_legend_.get_window_extent().x1 <= edge
    assert display.color_legend_.get_window_extent().x0 >= display.ax_.get_window_extent().x1


def test_legends_go_into_axes_without_layout():
    vectors, counts = cloud()
    _, ax = plt.subplots()
    display = EmbeddingDisplay.from_vectors(
        vectors, counts=counts, color=["x", "y"] * 30, labels="all", ax=ax
    )
    display.figure_.canvas.draw()
    frame = ax.get_window_extent()
    legends = [k.get_window_extent() for k in (display.legend_, display.color_legend_)]
    assert not legends[0].overlaps(legends[1])
    for legend in legends:
        assert (legend.min >= frame.min).all()
        assert (legend.max <= frame.max).all()
        assert not any(Text.get_window_extent(t).overlaps(legend) for t in display.labels_)
    assert_labels_apart(display)


def test_target_means(fitted, classified):
    display = EmbeddingDisplay.from_estimator(fitted, "letter", color="target_mean")
    assert display.colorbar_.ax.get_ylabel() == "mean target"
    with pytest.raises(InvalidParameterError, match=r'3 classes; .*\("target_mean", \'0\'\)'):
        EmbeddingDisplay.from_estimator(classified, "letter", color="target_mean")
    display = EmbeddingDisplay.from_estimator(classified, "letter", color=("target_mean", "2"))
    expected = classified.category_target_means_["letter"][:, 2]
    assert display.coloring.values.tolist() == expected.tolist()
    assert display.colorbar_.ax.get_ylabel() == "share of 2"


def test_the_most_frequent_categories_are_labelled():
    vectors, counts = cloud()
    names = vectors.index[np.argsort(-counts)]
    display = EmbeddingDisplay.from_vectors(vectors, counts=counts)
    assert 10 < len(display.labels_) <= 20
    assert set(texts_of(display)) <= set(names[:20])
    assert texts_of(display)[0] == names[0]
    assert_labels_apart(display)
    few = EmbeddingDisplay.from_vectors(vectors, counts=counts, labels=3)
    assert texts_of(few) == list(names[:3])
    every = EmbeddingDisplay.from_vectors(vectors, counts=counts, labels="all")
    assert len(every.labels_) > len(display.labels_)
    assert_labels_apart(every)


def test_without_counts_the_first_categories_are_labelled():
    vectors, _ = cloud()
    assert texts_of(EmbeddingDisplay.from_vectors(vectors, labels=2)) == ["c0", "c1"]


@pytest.mark.parametrize("labels", [None, 0, []])
def test_no_labels(labels):
    vectors, _ = cloud()
    assert EmbeddingDisplay.from_vectors(vectors, labels=labels).labels_ == []


@pytest.mark.parametrize("make", [list, tuple, pd.Index, np.array])
def test_named_categories_are_labelled_in_any_case(make):
    vectors, counts = cloud(40)
    vectors.iloc[:12] = 0.0
    named = [f"c{i}" for i in range(12)]
    display = EmbeddingDisplay.from_vectors(vectors, counts=counts, labels=make(named))
    assert sorted(texts_of(display)) == sorted(named)
    assert_labels_apart(display)


def test_neighbours_of_a_query_are_pointed_out():
    vectors, counts = cloud()
    display = EmbeddingDisplay.from_vectors(
        vectors, counts=counts, highlight="c7", k_neighbors=4, metric="euclidean"
    )
    expected = nearest(vectors, None, "c7", 4, metric="euclidean")["category"].tolist()
    assert display.neighbors["category"].tolist() == expected
    assert set(texts_of(display)) == {"c7", *expected}
    assert legend_texts(display.legend_)[:2] == ["c7", "4 nearest by Euclidean distance"]
    (lines,) = [c for c in display.ax_.collections if isinstance(c, LineCollection)]
    at = {name: display.coordinates[i] for i, name in enumerate(display.categories)}
    wanted = np.array([[at["c7"], at[name]] for name in expected])
    np.testing.assert_allclose(np.array(lines.get_segments()), wanted)
    assert display.scatter_.get_alpha() < 0.35
    assert_labels_apart(display)
    assert len(display.plot(labels=20).labels_) > 5


def test_several_queries():
    vectors, _ = cloud()
    display = EmbeddingDisplay.from_vectors(vectors, highlight=["c7", "c9"], k_neighbors=3)
    assert display.neighbors["query"].tolist() == ["c7"] * 3 + ["c9"] * 3
    assert {"c7", "c9"} <= set(texts_of(display))
    assert legend_texts(display.legend_)[0] == "2 highlighted"


def test_a_long_legend_has_two_rows():
    vectors, counts = cloud()
    display = EmbeddingDisplay.from_vectors(
        vectors.rename({"c7": "c" * 40}), counts=counts, highlight="c" * 40, metric="euclidean"
    )
    display.figure_.canvas.draw()
    box = display.legend_.get_window_extent()
    assert box.x0 >= 0
    assert box.x1 <= display.figure_.bbox.width


def test_the_missing_category_can_be_highlighted(fitted):
    display = EmbeddingDisplay.from_estimator(fitted, "letter", highlight=float("nan"))
    assert legend_texts(display.legend_)[:2] == ["(missing)", "6 nearest by cosine"]
    assert len(display.labels_) == 7


def test_a_query_needs_no_neighbours():
    vectors, _ = cloud()
    display = EmbeddingDisplay.from_vectors(vectors, highlight="c7", k_neighbors=0)
    assert display.neighbors is None
    assert texts_of(display) == ["c7"]
    single = EmbeddingDisplay.from_vectors([[1.0, 2.0]], categories=["only"], highlight="only")
    assert texts_of(single) == ["only"]


def test_rare_categories_are_left_out_unless_they_are_named():
    vectors, counts = cloud()
    rare, common = vectors.index[counts < 100], vectors.index[counts >= 100]
    display = EmbeddingDisplay.from_vectors(
        vectors, counts=counts, min_count=100, highlight=rare[0], labels=[rare[1]]
    )
    assert set(display.categories) == {*common, rare[0], rare[1]}
    assert set(display.neighbors["category"]) <= set(common)
    whole = project(vectors)  # with counts, components differ
    assert whole.shape == (60, 2)
    everything = EmbeddingDisplay.from_vectors(vectors, counts=counts)
    kept = np.isin(everything.categories, display.categories)
    np.testing.assert_array_equal(display.coordinates, everything.coordinates[kept])


def test_colours_follow_the_categories_that_are_left():
    vectors, counts = cloud()
    display = EmbeddingDisplay.from_vectors(
        vectors, counts=counts, min_count=100, color=np.arange(60.0)
    )
    assert display.coloring.values.tolist() == np.flatnonzero(counts >= 100).tolist()


def test_methods_that_keep_neighbours_have_no_ticks():
    vectors, counts = cloud(30)
    changes = {"counts": counts, "method": "tsne", "min_count": 20, "random_state": 3}
    display = EmbeddingDisplay.from_vectors(vectors, **changes)
    assert display.method == "tsne"
    assert len(display.coordinates) == (counts >= 20).sum()
    assert len(display.ax_.get_xticks()) == len(display.ax_.get_yticks()) == 0
    assert display.ax_.get_xlabel() == "t-SNE 1"
    again = EmbeddingDisplay.from_vectors(vectors, **changes)
    np.testing.assert_array_equal(again.coordinates, display.coordinates)
    assert texts_of(again) == texts_of(display)


def test_too_few_vectors_for_a_method_have_the_scale_of_components():
    with pytest.warns(ProjectionWarning, match="only 3 different"):
        display = EmbeddingDisplay.from_vectors(np.eye(3), method="tsne")
    assert display.method == "pca"
    assert display.ax_.get_aspect() == 1.0


@pytest.mark.parametrize(
    "vectors",
    [[[1.0, 2.0]], [[1.0], [2.0]], np.zeros((6, 4)), np.arange(40.0)[:, None], np.eye(2)],
)
@pytest.mark.parametrize("color", [None, "count", "target_mean", "kind"])
def test_degenerate_vectors(vectors, color):
    n = len(vectors)
    display = EmbeddingDisplay.from_vectors(
        vectors,
        counts=np.full(n, 5),
        target_means=np.full(n, 0.5),
        color=["x"] * n if color == "kind" else color,
    )
    assert_labels_apart(display)
    assert len(display.labels_) >= min(n, 6)


@pytest.mark.filterwarnings("ignore:Glyph .* missing from font")
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_names_are_nothing_but_text(theme):
    rng = np.random.default_rng(0)
    display = EmbeddingDisplay.from_vectors(
        rng.normal(size=(len(ODD), 4)),
        categories=ODD,
        counts=np.arange(len(ODD)),
        column="a $column$ _{",
        color=[str(c) for c in ODD],
        highlight="$x^2$ and $y$",
        labels=ODD,
        theme=theme,
    )
    assert_labels_apart(display)
    texts = texts_of(display)
    assert len(texts) == len(ODD)
    assert {"$x^2$ and $y$", "a b c", "''", "(missing)", "<script>", "7"} <= set(texts)
    assert max(map(len, texts)) == 28
    assert display.ax_.get_title() == f"a $column$ _{{: {len(ODD)} categories"
    assert legend_texts(display.legend_)[0] == "$x^2$ and $y$"


def test_many_points_are_pixels_in_vector_graphics():
    vectors, counts = cloud(2500, 2)
    display = EmbeddingDisplay.from_vectors(vectors, counts=counts, labels="all")
    assert display.scatter_.get_rasterized()
    assert not EmbeddingDisplay.from_vectors(*cloud(50)[:1]).scatter_.get_rasterized()
    assert 20 < len(display.labels_) < 200
    assert_labels_apart(display)


def test_axes_that_share_both_scales():
    vectors, _ = cloud()
    figure, axes = plt.subplots(1, 2, sharex=True, sharey=True, layout="constrained")
    for ax in axes:
        EmbeddingDisplay.from_vectors(vectors, ax=ax)
    figure.canvas.draw()
    assert [ax.get_adjustable() for ax in axes] == ["box", "box"]


@pytest.mark.parametrize(
    ("index_name", "name", "title"),
    [("city", None, "city"), (None, None, "category"), ("city", "town", "town")],
)
def test_the_column_has_a_name(index_name, name, title):
    vectors, _ = cloud(5)
    vectors.index.name = index_name
    display = EmbeddingDisplay.from_vectors(vectors, column=name)
    assert display.ax_.get_title() == f"{title}: 5 categories"


@pytest.mark.parametrize(
    ("changes", "error", "match"),
    [
        ({"highlight": "c777"}, InvalidDataError, "'c777' is no category .* Did you mean 'c7'"),
        ({"labels": ["c777"]}, InvalidDataError, "'c777' is no category"),
        ({"labels": "c7"}, InvalidParameterError, "`labels` must be"),
        ({"labels": -1}, InvalidParameterError, "`labels` must be"),
        ({"labels": True}, InvalidParameterError, "`labels` must be"),
        ({"labels": 2.5}, InvalidParameterError, "`labels` must be"),
        ({"theme": "blue"}, InvalidParameterError, "`theme` must be"),
        ({"method": "mds"}, InvalidParameterError, "`method` must be"),
        ({"metric": "manhattan"}, InvalidParameterError, "`metric` must be"),
        ({"min_count": 5}, InvalidParameterError, "`min_count` needs counts"),
        ({"k_neighbors": -1}, InvalidParameterError, "`k_neighbors` must be"),
        ({"k_neighbors": 2.0}, InvalidParameterError, "`k_neighbors` must be"),
        ({"k_neighbors": True}, InvalidParameterError, "`k_neighbors` must be"),
        ({"color": "c7"}, InvalidParameterError, "`color` must be"),
        ({"color": pd.Series([1], index=["zebra"])}, InvalidDataError, "none of the categories"),
        ({"highlight": [["c1"]]}, InvalidDataError, "must be hashable"),
    ],
)
def test_wrong_parameters(changes, error, match):
    vectors, _ = cloud(12)
    with pytest.raises(error, match=match):
        EmbeddingDisplay.from_vectors(vectors, **changes)
    assert plt.get_fignums() == []


def test_wrong_sources(fitted):
    with pytest.raises(NotFittedError):
        EmbeddingDisplay.from_estimator(make_encoder(), "letter")
    with pytest.raises(InvalidParameterError, match="got LinearRegression"):
        EmbeddingDisplay.from_estimator(LinearRegression(), "letter")
    with pytest.raises(InvalidParameterError, match="Did you mean 'letter'"):
        EmbeddingDisplay.from_estimator(fitted, "leter")
    with pytest.raises(InvalidParameterError, match="`column` must name"):
        EmbeddingDisplay.from_estimator(fitted)


def test_a_label_that_is_not_drawn_is_refused():
    vectors, counts = cloud()
    display = EmbeddingDisplay.from_vectors(vectors, counts=counts, min_count=100)
    with pytest.raises(InvalidDataError, match="is no category"):
        display.plot(labels=[vectors.index[int(np.argmin(counts))]])


def test_the_names_of_axes_stay_in_the_figure():
    # With an equal aspect, limits and thus tick labels change after the layout made room for them.
    rng = np.random.default_rng(0)
    for _ in range(34):
        vectors = rng.normal(size=(60, 4)) * rng.uniform(0.2, 3)
        vectors *= np.array([3, rng.uniform(0.3, 2), 0.5, 0.2])
        counts = rng.integers(1, 3000, 60)
    display = EmbeddingDisplay.from_vectors(
        vectors, labels=None, color=np.arange(60.0), counts=counts
    )
    for dpi in (100, 110, 150):
        display.figure_.set_dpi(dpi)
        display.figure_.canvas.draw()
        name = display.ax_.yaxis.label.get_window_extent()
        assert name.x0 >= 0
        assert name.x1 <= min(t.get_window_extent().x0 for t in display.ax_.get_yticklabels())


def test_what_is_left_out_is_counted():
    vectors, counts = cloud()
    display = EmbeddingDisplay.from_vectors(vectors, counts=counts, min_count=100)
    assert display.n_categories == 60
    assert display.ax_.get_title() == f"item: {(counts >= 100).sum()} of 60 categories"


def test_small_neighbours_are_drawn_above_large_ones():
    vectors, counts = cloud()
    display = EmbeddingDisplay.from_vectors(vectors, counts=counts, highlight="c7")
    marks = next(c for c in display.ax_.collections if c.get_zorder() == 4)
    assert (np.diff(marks.get_sizes()) <= 0).all()
    assert len(set(marks.get_sizes())) > 1


def test_large_fonts_do_not_meet_the_legend():
    vectors, counts = cloud()
    with plt.rc_context({"font.size": 18}):
        display = EmbeddingDisplay.from_vectors(vectors, counts=counts)
        display.figure_.canvas.draw()
        name = display.ax_.xaxis.label.get_window_extent()
        assert display.legend_.get_window_extent().y1 <= name.y0 + 2


def test_a_legend_is_no_wider_than_its_axes():
    vectors, counts = cloud()
    figure, axes = plt.subplots(1, 3, figsize=(13, 5), layout="constrained")
    for ax in axes:
        display = EmbeddingDisplay.from_vectors(
            vectors, counts=counts, highlight="c7", metric="euclidean", ax=ax
        )
    figure.canvas.draw()
    assert display.legend_.get_window_extent().width <= 1.2 * ax.get_window_extent().width


def test_labels_of_straight_lines_are_not_distorted():
    vectors, _ = cloud(3)
    display = EmbeddingDisplay.from_vectors(vectors.rename({"c0": "FLL"}))
    # By itself, matplotlib moves outlines without curves to whole pixels.
    for label in display.labels_:
        assert [effect._gc["snap"] for effect in label.get_path_effects()] == [False, False]


# Dot products and lists


def test_the_map_of_a_column_of_dot_products(dot):
    display = EmbeddingDisplay.from_estimator(dot, "movie", highlight="m1", metric="dot")
    expected = project(dot.embeddings_["movie"]).to_numpy()
    assert display.coordinates.shape == expected.shape
    queried = display.neighbors["category"].tolist()
    assert queried == nearest(dot, "movie", "m1", k=10, metric="dot")["category"].tolist()


def test_counts_of_lists_are_of_items(listed):
    display = EmbeddingDisplay.from_estimator(listed, "tags", color="count")
    assert display.colorbar_.ax.get_ylabel() == "items"
    assert legend_texts(display.legend_)[-1].endswith(" items")
    assert legend_texts(display.plot().legend_)[-1].endswith(" items")
    display = EmbeddingDisplay.from_estimator(listed, "city", color="count")
    assert display.colorbar_.ax.get_ylabel() == "rows"


def test_missing_lists_have_a_target_mean_and_a_colour(tagged):
    X, y = tagged
    X = X.assign(tags=[cell and [i for i in cell if i is not None] for cell in X["tags"]])
    encoder = make_encoder().fit(X, y)
    missing = np.array([cell is None for cell in X["tags"]])
    assert encoder.category_target_means_["tags"][-1] == pytest.approx(np.mean(y[missing]))
    display = EmbeddingDisplay.from_estimator(encoder, "tags", color="target_mean")
    assert np.isfinite(display.coloring.values[-1])
    assert np.isfinite(display.colorbar_.vmax)
