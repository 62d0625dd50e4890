"""EmbeddingDisplay: what is computed, what is drawn, and what is refused."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.colors import LogNorm, to_hex

from sk_entity_embed.exceptions import InvalidDataError, InvalidParameterError, ProjectionWarning
from sk_entity_embed.inspection import EmbeddingDisplay, nearest, project
from sk_entity_embed.inspection.displays.coloring import Coloring
from sk_entity_embed.inspection.displays.theme import DARK, LIGHT
from tests.inspection.displays.conftest import (
    assert_labels_apart,
    boxes_of,
    make_column,
    overlapping,
    texts_of,
)
from tests.samples import make_encoder, make_rows

ODD = ["$x^2$ and $y$", "_hidden", "a\nb\tc", "", " ", None, "<script>", "x" * 90, "ü", "\ud800", 7]
draw = EmbeddingDisplay.from_estimator


def cloud(n=60, width=5, counted=True):
    """A column of categories c0, c1, ..."""
    rng = np.random.default_rng(0)
    vectors = pd.DataFrame(rng.normal(size=(n, width)), index=[f"c{i}" for i in range(n)])
    counts = rng.permutation(np.arange(n)) ** 2 + 1
    return make_column(vectors, counts if counted else None, name="item")


@pytest.fixture(scope="module")
def fitted():
    """An encoder of a continuous target, with missing and infrequent categories."""
    X, y = make_rows(240)
    X["letter"] = X["letter"].astype(object)
    X.loc[:9, "letter"] = None
    X.loc[10:12, "letter"] = "rare"
    return make_encoder(min_frequency=5).fit(X, y)


def test_the_map_of_an_estimator(fitted):
    display = draw(fitted, "letter", color="target_mean")
    assert isinstance(display, EmbeddingDisplay)
    assert isinstance(display.scatter_, PathCollection)
    np.testing.assert_array_equal(display.coordinates, project(fitted, "letter").to_numpy())
    assert display.counts.tolist() == fitted.category_counts_["letter"].tolist()
    assert sorted(texts_of(display.labels_)) == ["(missing)", "a", "b", "c", "d", "e", "rare"]
    assert display.ax_.get_title() == "letter: 7 categories"
    assert display.ax_.get_xlabel().startswith("component 1 (")
    assert display.ax_.get_aspect() == 1.0
    assert display.colorbar_.ax.get_ylabel() == "mean target"
    assert_labels_apart(display, display.labels_)
    display = draw(fitted, "letter", highlight=float("nan"))  # the missing one
    assert texts_of(display.legend_)[:2] == ["(missing)", "6 nearest by cosine"]


def test_shares_of_a_class():
    X, y = make_rows(120)
    encoder = make_encoder().fit(X, np.digitize(y, [-1, 1]).astype(str))
    with pytest.raises(InvalidParameterError, match=r'3 classes; .*\("target_mean", \'0\'\)'):
        draw(encoder, "letter", color="target_mean")
    display = draw(encoder, "letter", color=("target_mean", "2"))
    expected = encoder.category_target_means_["letter"][:, 2]
    assert display.coloring.values.tolist() == expected.tolist()
    assert display.colorbar_.ax.get_ylabel() == "share of 2"


@pytest.mark.parametrize(
    ("index_name", "name", "title"), [(None, None, "category"), ("city", "town", "town")]
)
def test_vectors_made_elsewhere(index_name, name, title):
    vectors = pd.DataFrame(np.eye(5), index=pd.Index([*"abcde"], name=index_name))
    display = draw(vectors, name, labels=2)
    assert display.ax_.get_title() == f"{title}: 5 categories"
    assert len(set(display.scatter_.get_sizes())) == 1
    assert display.legend_ is None
    assert texts_of(display.labels_) == ["a", "b"]  # without counts, the first ones
    assert draw({"n": vectors, "m": vectors}, "m").ax_.get_title() == "m: 5 categories"


def test_points_are_as_large_as_their_categories_are_frequent():
    column = cloud()
    display = draw(column)
    order = np.argsort(-column.counts)
    np.testing.assert_allclose(display.scatter_.get_offsets(), display.coordinates[order])
    assert (np.diff(display.scatter_.get_sizes()) < 0).all()
    assert texts_of(display.legend_) == ["1", "50", "2,000 rows"]


@pytest.mark.parametrize(("theme", "highlight"), [("light", None), ("dark", "c7")])
def test_numbers_have_a_colour_bar(theme, highlight):
    values = pd.Series(np.arange(59.0), index=cloud().labels[:59], name="size of $it$")
    display = draw(cloud(), color=values, theme=theme, highlight=highlight)
    display.figure_.canvas.draw()
    assert display.colorbar_.ax.get_ylabel() == "size of $it$"
    assert display.colorbar_.solids.get_alpha() == 1.0
    assert display.color_legend_ is None
    # The one without a value lies below all others and is grey.
    np.testing.assert_allclose(display.scatter_.get_offsets()[0], display.coordinates[59])
    grey = to_hex(display.scatter_.get_facecolors()[0])
    assert grey == (LIGHT if theme == "light" else DARK).grid
    assert texts_of(display.legend_)[-1] == "no value"


def test_counts_have_a_logarithmic_colour_bar():
    display = draw(cloud(), color="count")
    display.figure_.canvas.draw()
    assert isinstance(display.colorbar_.norm, LogNorm)
    ticks = texts_of(display.colorbar_.ax.get_yticklabels())
    assert ticks == ["1", "10", "100", "1,000"]


def test_kinds_have_a_legend():
    kinds = ["$a$", "_b", None, *"cccccccddddddeeeeeffffgghijk", *[True] * 29]
    display = draw(cloud(counted=False), color=kinds, color_label="kind of $it$")
    texts = texts_of(display.color_legend_)
    assert texts[:3] == ["True", "c", "d"]
    assert texts[-2:] == ["other (5 kinds)", "no value"]
    assert display.color_legend_.get_title().get_text() == "kind of $it$"
    assert display.colorbar_ is None
    display.figure_.canvas.draw()
    assert display.color_legend_.get_window_extent().x1 <= display.figure_.bbox.width
    assert display.color_legend_.get_window_extent().x0 >= display.ax_.get_window_extent().x1


def test_legends_go_into_axes_without_layout():
    _, ax = plt.subplots()
    display = draw(cloud(), color=["x", "y"] * 30, labels="all", ax=ax)
    assert_labels_apart(display, display.labels_)
    frame = ax.get_window_extent()
    legends = [k.get_window_extent() for k in (display.legend_, display.color_legend_)]
    assert not legends[0].overlaps(legends[1])
    for legend in legends:
        assert (legend.min >= frame.min).all()
        assert (legend.max <= frame.max).all()
        assert overlapping(boxes_of(display.labels_), [legend.extents]) == []


def test_the_most_frequent_categories_are_labelled():
    names = cloud().labels[np.argsort(-cloud().counts)]
    display = draw(cloud())
    assert 10 < len(display.labels_) <= 20
    assert set(texts_of(display.labels_)) <= set(names[:20])
    assert texts_of(display.labels_)[0] == names[0]
    assert texts_of(display.plot(labels=3).labels_) == list(names[:3])
    for labels in (None, 0, []):
        assert display.plot(labels=labels).labels_ == []


def test_named_categories_are_labelled_in_any_case():
    column = cloud(40)
    column.vectors[:12] = 0.0
    named = [f"c{i}" for i in range(12)]
    display = draw(column, labels=named)
    assert sorted(texts_of(display.labels_)) == sorted(named)
    assert_labels_apart(display, display.labels_)


def test_neighbours_of_a_query_are_pointed_out():
    display = draw(cloud(), highlight="c7", k_neighbors=4, metric="euclidean")
    expected = nearest(cloud(), None, "c7", 4, metric="euclidean")["category"].tolist()
    assert display.neighbors["category"].tolist() == expected
    assert set(texts_of(display.labels_)) == {"c7", *expected}
    assert texts_of(display.legend_)[:2] == ["c7", "4 nearest by Euclidean distance"]
    (lines,) = [c for c in display.ax_.collections if isinstance(c, LineCollection)]
    at = {name: display.coordinates[i] for i, name in enumerate(display.categories)}
    wanted = np.array([[at["c7"], at[name]] for name in expected])
    np.testing.assert_allclose(np.array(lines.get_segments()), wanted)
    assert display.scatter_.get_alpha() < 0.35
    marks = next(c for c in display.ax_.collections if c.get_zorder() == 4)
    assert (np.diff(marks.get_sizes()) <= 0).all()  # small ones above large ones
    assert len(set(marks.get_sizes())) > 1
    assert_labels_apart(display, display.labels_)
    assert len(display.plot(labels=20).labels_) > 5


def test_several_queries_or_one_without_neighbours():
    display = draw(cloud(), highlight=["c7", "c9"], k_neighbors=3)
    assert display.neighbors["query"].tolist() == ["c7"] * 3 + ["c9"] * 3
    assert {"c7", "c9"} <= set(texts_of(display.labels_))
    assert texts_of(display.legend_)[0] == "2 highlighted"
    display = draw(cloud(), highlight="c7", k_neighbors=0)
    assert display.neighbors is None
    assert texts_of(display.labels_) == ["c7"]
    single = draw(pd.DataFrame([[1.0, 2.0]], index=["only"]), highlight="only")
    assert texts_of(single.labels_) == ["only"]


def test_rare_categories_are_left_out_unless_they_are_named():
    column = cloud()
    rare, common = column.labels[column.counts < 100], column.labels[column.counts >= 100]
    values = pd.Series(np.arange(60.0), column.labels)
    display = draw(column, min_count=100, highlight=rare[0], labels=[rare[1]], color=values)
    assert set(display.categories) == {*common, rare[0], rare[1]}
    assert set(display.neighbors["category"]) <= set(common)
    assert display.coloring.values.tolist() == values[display.categories].tolist()
    everything = draw(column)
    kept = np.isin(everything.categories, display.categories)
    np.testing.assert_array_equal(display.coordinates, everything.coordinates[kept])
    assert display.ax_.get_title() == f"item: {kept.sum()} of 60 categories"
    with pytest.raises(InvalidDataError, match=f"'{rare[2]}' is not a category"):
        display.plot(labels=[rare[2]])


def test_methods_that_keep_neighbours_have_no_ticks():
    changes = {"method": "tsne", "min_count": 20, "random_state": 3}
    display = draw(cloud(30), **changes)
    assert display.method == "tsne"
    assert len(display.coordinates) == (cloud(30).counts >= 20).sum()
    assert len(display.ax_.get_xticks()) == len(display.ax_.get_yticks()) == 0
    assert display.ax_.get_xlabel() == "t-SNE 1"
    with pytest.warns(ProjectionWarning, match="only 3 different"):
        few = draw(pd.DataFrame(np.eye(3)), method="tsne")
    assert few.method == "pca"
    assert few.ax_.get_aspect() == 1.0


@pytest.mark.parametrize(
    ("vectors", "color"),
    [([[1.0, 2.0]], "count"), (np.zeros((6, 4)), "kind"), (np.arange(40.0)[:, None], None)],
)
def test_degenerate_vectors(vectors, color):
    n = len(vectors)
    column = make_column(vectors, counts=np.full(n, 5), target_means=np.full(n, 0.5))
    display = draw(column, color=["x"] * n if color == "kind" else color)
    assert_labels_apart(display, display.labels_)
    assert len(display.labels_) >= min(n, 6)


@pytest.mark.filterwarnings("ignore:Glyph .* missing from font")
def test_names_are_nothing_but_text():
    rng = np.random.default_rng(0)
    vectors = pd.DataFrame(rng.normal(size=(len(ODD), 4)), index=pd.Index(ODD, dtype=object))
    column = make_column(vectors, np.arange(len(ODD)), name="a $column$ _{")
    display = draw(column, color=[str(c) for c in ODD], highlight=ODD[0], labels=ODD)
    assert_labels_apart(display, display.labels_)
    texts = texts_of(display.labels_)
    assert len(texts) == len(ODD)
    assert {"$x^2$ and $y$", "a b c", "''", "(missing)", "<script>", "7"} <= set(texts)
    assert max(map(len, texts)) == 28
    assert display.ax_.get_title() == f"a $column$ _{{: {len(ODD)} categories"
    assert texts_of(display.legend_)[0] == "$x^2$ and $y$"


def test_labels_cover_no_point_and_the_title_counts_those_that_fit():
    display = draw(cloud(150), labels="all")
    display.figure_.canvas.draw()
    boxes, dots = boxes_of(display.labels_), display.scatter_
    centers = display.ax_.transData.transform(dots.get_offsets())
    radii = np.sqrt(dots.get_sizes()) / 2 * display.figure_.dpi / 72
    away = np.maximum(boxes[:, None, :2] - centers, centers - boxes[:, None, 2:]).clip(0)
    # labels are placed with a pixel around them
    assert (np.linalg.norm(away, axis=2) > radii - 0.5).all()
    n = len(display.labels_)
    assert 5 < n < 150
    assert display.n_unlabelled_ == 150 - n
    assert display.ax_.get_title() == f"item: 150 categories, {n} of 150 labelled"
    assert display.plot(labels="auto").ax_.get_title() == "item: 150 categories"
    assert display.plot(labels=["c7"]).n_unlabelled_ == 0


def test_many_points_are_pixels_in_vector_graphics():
    display = draw(cloud(2500, 2), labels=300)
    assert display.scatter_.get_rasterized()
    assert not draw(cloud(50)).scatter_.get_rasterized()
    assert 20 < len(display.labels_) < 200
    assert_labels_apart(display, display.labels_)


@pytest.mark.parametrize(
    ("changes", "error", "match"),
    [
        ({"highlight": "c777"}, InvalidDataError, "'c777' is not a category .* Did you mean 'c7'"),
        ({"labels": "c7"}, InvalidParameterError, "`labels` must be"),
        ({"method": "mds"}, InvalidParameterError, "`method` must be"),
        ({"k_neighbors": -1}, InvalidParameterError, "`k_neighbors` must be"),
        ({"color_label": "km"}, InvalidParameterError, "`color_label` is 'km' and `color` is None"),
    ],
)
def test_wrong_parameters(changes, error, match):
    with pytest.raises(error, match=match):
        draw(cloud(12, counted=False), **changes)
    assert plt.get_fignums() == []


@pytest.mark.parametrize("method", ["pca", "tsne"])
def test_a_flat_map_has_a_low_figure_and_one_that_is_given_stays(method):
    long = np.random.default_rng(0).normal(size=(60, 2)) * [10.0, 1.0]
    kinds = [f"kind {i % 7}" for i in range(60)]
    flat = {"method": method, "categories": np.arange(60), "axes": ("a", "b")}
    values = Coloring(np.arange(60.0), "a long name for numbers that the bar has beside it")
    heights, limits = {}, {}
    for name, xy, coloring in (
        ("square", long / [10.0, 1.0], None),
        ("flat", long, None),
        ("kinds", long, Coloring(np.array(kinds, dtype=object), "kinds")),
        ("numbers", long, values),
    ):
        display = EmbeddingDisplay(coordinates=xy, coloring=coloring, **flat).plot()
        figure = display.figure_
        heights[name], limits[name] = figure.get_figheight(), display.ax_.get_ylim()
        figure.draw_without_rendering()
        for artist in (display.color_legend_, display.colorbar_ and display.colorbar_.ax):
            if artist is not None:  # still has room
                box = artist.get_tightbbox()
                assert box.y0 >= 0
                assert box.y1 <= figure.bbox.y1
    if method == "pca":
        low, high = limits["flat"]
        assert np.ptp(long[:, 1]) < high - low < 4 * np.ptp(long[:, 1])
        assert heights["flat"] <= heights["kinds"] < heights["square"]
        assert heights["flat"] < 3.2 < heights["numbers"] < heights["square"]
    else:
        assert set(heights.values()) == {5.5}
    given, ax = plt.subplots(figsize=(7, 5), layout="constrained")
    EmbeddingDisplay(coordinates=long, **flat).plot(ax)
    assert given.get_figheight() == 5.0


def test_the_names_of_axes_stay_in_the_figure():
    # With an equal aspect, limits and thus tick labels change after the layout made room for them.
    rng = np.random.default_rng(0)
    for _ in range(34):
        vectors = rng.normal(size=(60, 4)) * rng.uniform(0.2, 3)
        vectors *= np.array([3, rng.uniform(0.3, 2), 0.5, 0.2])
        counts = rng.integers(1, 3000, 60)
    display = draw(make_column(vectors, counts), labels=None, color=np.arange(60.0))
    for dpi in (100, 110, 150):
        display.figure_.set_dpi(dpi)
        display.figure_.canvas.draw()
        name = display.ax_.yaxis.label.get_window_extent()
        assert name.x0 >= 0
        assert name.x1 <= min(t.get_window_extent().x0 for t in display.ax_.get_yticklabels())


def test_long_legends_and_large_fonts_find_room():
    column = cloud()
    column.labels[7] = "c" * 40
    with plt.rc_context({"font.size": 18}):
        display = draw(column, highlight="c" * 40, metric="euclidean")
        display.figure_.canvas.draw()
    box = display.legend_.get_window_extent()
    assert box.x0 >= 0
    assert box.x1 <= display.figure_.bbox.width
    assert box.y1 <= display.ax_.xaxis.label.get_window_extent().y0 + 2
    ax = display.ax_
    ax.xaxis.set_visible(False)
    assert texts_of(display.plot(ax).legend_)
