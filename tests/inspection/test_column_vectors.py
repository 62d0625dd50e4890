"""Catalogues: from fitted encoders, from vectors made elsewhere, and look-up by category."""

from __future__ import annotations

import difflib

import numpy as np
import pandas as pd
import pytest

from sk_entity_embed.exceptions import (
    EmptyColumnWarning,
    InvalidDataError,
    InvalidParameterError,
)
from sk_entity_embed.inspection import column_vectors as module
from sk_entity_embed.inspection.column_vectors import (
    close_names,
    column_vectors_of,
    label_series,
    text_of,
    values_by_category,
)
from sk_entity_embed.model.tables import label_index
from tests.inspection.conftest import make_column_vectors
from tests.samples import make_encoder


def letters(labels):
    """A catalogue of the column "col"."""
    labels = list(labels)
    return make_column_vectors(np.eye(len(labels)), categories=labels, name="col")


# From a fitted encoder


def test_a_fitted_encoder_gives_its_categories(encoder, data):
    X, y = data
    found = column_vectors_of(encoder, "letter")
    assert found.name == "letter"
    assert found.labels[:-1].tolist() == ["a", "b", "c", "d", "e", "rare", "seldom"]
    assert np.isnan(found.labels[-1])
    assert found.texts[-2:] == ["seldom", "(missing)"]
    np.testing.assert_array_equal(found.vectors, encoder.embeddings_["letter"].to_numpy())
    assert found.counts.tolist() == [*X["letter"].value_counts()[found.labels[:-1]], 10]
    means = pd.Series(y).groupby(X["letter"].to_numpy()).mean()
    np.testing.assert_allclose(found.target_means[:-1], means[found.labels[:-1]])
    np.testing.assert_allclose(found.target_means[-1], y[:10].mean())
    assert column_vectors_of(found, None) is found
    rare, seldom = found.locate(["rare", "seldom"])  # infrequent ones share a vector
    np.testing.assert_array_equal(found.vectors[rare], found.vectors[seldom])


def test_the_items_of_lists_are_the_categories(listed, tagged, dot):
    biased = column_vectors_of(dot, "movie")  # without the bias
    np.testing.assert_array_equal(biased.vectors, dot.embeddings_["movie"])
    assert (biased.vectors.shape, biased.unit) == ((12, 3), "row")
    X, y = tagged
    found = column_vectors_of(listed, "tags")
    assert found.texts == ["folk", "jazz", "noise", "punk", "rock", "soul", "(missing)"]
    np.testing.assert_array_equal(found.vectors, listed.embeddings_["tags"])
    cells = [[] if cell is None else cell for cell in X["tags"]]
    items = [(item, mean) for cell, mean in zip(cells, y, strict=True) for item in cell]
    for name, count, mean in zip(found.labels[:-1], found.counts, found.target_means, strict=False):
        of_item = [target for item, target in items if item == name]
        assert count == len(of_item)
        assert mean == pytest.approx(np.mean(of_item))
    assert found.counts[-1] == 2  # a missing list and a missing item
    assert found.unit == found.take(np.array([0])).unit == "item"
    assert column_vectors_of(listed, "city").unit == "row"
    with pytest.raises(InvalidParameterError, match="has `min_count`=9999 items; the most freq"):
        found.frequent(9999)


def test_a_column_of_nothing_but_empty_lists_has_no_categories():
    X = pd.DataFrame({"tags": [[]] * 40, "kind": ["a", "b"] * 20})
    with pytest.warns(EmptyColumnWarning, match="tags"):
        fitted = make_encoder(max_iter=1).fit(X, np.linspace(0.0, 1.0, 40))
    with pytest.raises(InvalidDataError, match="'tags' has no categories to look at"):
        column_vectors_of(fitted, "tags")


# Look-up


@pytest.mark.parametrize("missing", [None, pd.NA])
def test_whatever_is_missing_is_the_missing_category(encoder, missing):
    assert column_vectors_of(encoder, "letter").locate([missing]).tolist() == [7]
    frame = pd.DataFrame([[1.0], [2.0]], index=pd.Index(["a", missing], dtype=object))
    found = column_vectors_of(frame, None)
    assert found.locate([None, "a", np.nan]).tolist() == [1, 0, 1]
    assert found.texts == ["a", "(missing)"]


@pytest.mark.parametrize(
    ("labels", "asked"), [([1, 2, 3], np.int64(2)), (["a", 5, ("x", 1), "\ud800"], ("x", 1))]
)
def test_categories_of_every_type_are_found(labels, asked):
    catalogue = letters(labels)
    assert catalogue.locate([asked]).tolist() == [labels.index(asked)]
    assert catalogue.locate(labels[::-1]).tolist() == list(range(len(labels)))[::-1]
    assert catalogue.locate([labels[0], labels[0]]).tolist() == [0, 0]
    assert catalogue.locate([]).tolist() == []


@pytest.mark.parametrize(
    ("labels", "asked", "message"),
    [
        (
            ["Oslo", "Rome"],
            "oslo",
            r"'oslo' is not a category of column 'col'\. Did you mean 'Oslo'",
        ),
        (["Oslo", "Rome"], "Lima", r"It has 2 categories, such as 'Oslo'\."),
        (["5", "7"], 5, r"5 is not a category .* Did you mean '5'\?"),
        (["Oslo"], None, "No cell was missing"),
        (["Rom", "Rome", "Roma", "Romb"], "Romea", r"Did you mean 'Rome', 'Roma', 'Rom'\?"),
    ],
)
def test_unknown_categories_are_told_from_close_ones(labels, asked, message):
    with pytest.raises(InvalidDataError, match=message):
        letters(labels).locate([labels[0], asked])


def test_suggestions_among_very_many_names_compare_few(monkeypatch):
    monkeypatch.setattr(module, "_MANY", 50)
    names = [f"{i:05d} street" for i in range(3000)] + ["Avenue Road", "other Avenue Road"]
    compared = []

    def spy(wanted, possible, n):
        compared.append(len(list(possible)))
        return difflib.get_close_matches(wanted, possible, n=n)

    monkeypatch.setattr(module, "get_close_matches", spy)
    assert close_names("avenu road", names)[0] == "Avenue Road"  # begins alike
    assert close_names("AVENUE ROAD", names)[:2] == ["Avenue Road", "other Avenue Road"]
    assert close_names("00017 stret", names)[0] == "00017 street"
    assert close_names("", names) == []
    assert max(compared) <= 50
    monkeypatch.undo()
    assert close_names("roem", ["Oslo", "Rome", "ROME"]) == ["Rome"]
    assert close_names("ab", ["abc", "abd", "abe", "abf"], n=2) == ["abf", "abe"]


# Frequent and chosen categories


def test_frequent_categories(encoder):
    found = column_vectors_of(encoder, "letter")
    assert found.frequent(None).tolist() == found.frequent(0).tolist() == list(range(8))
    assert found.frequent(2).tolist() == [0, 1, 2, 3, 4, 7]
    most = int(found.counts.max())
    assert len(found.frequent(most)) >= 1
    with pytest.raises(InvalidParameterError, match=f"`min_count`={most + 1}.*has {most}"):
        found.frequent(most + 1)
    with pytest.raises(InvalidParameterError, match="`min_count` needs counts"):
        letters("ab").frequent(1)
    with pytest.raises(InvalidParameterError, match="`min_count` must be a number or None"):
        found.frequent("5")


def test_categories_are_chosen_by_number_or_by_name():
    found = make_column_vectors(np.eye(4), categories="abcd", counts=[2, 9, 2, 5])
    assert found.choose(None, 3).tolist() == [1, 3, 0]  # of equal counts the first one
    assert found.choose(None, np.int64(99)).tolist() == [1, 3, 0, 2]
    assert letters("abc").choose(None, 2).tolist() == [0, 1]
    never = make_column_vectors(np.eye(2), counts=[0, 0])  # weigh alike, as without counts
    assert never.weights.tolist() == letters("ab").weights.tolist() == [1.0, 1.0]
    for given in (["c", "a"], ("c", "a"), pd.Index(["c", "a"]), iter("ca")):
        assert found.choose(given, 0).tolist() == [2, 0]


@pytest.mark.parametrize(
    ("given", "k", "error", "message"),
    [
        (None, 0, InvalidParameterError, "`k` must be a positive integer, got 0"),
        (None, True, InvalidParameterError, "`k` must be a positive integer, got True"),
        ("abc", 3, InvalidParameterError, "`categories` must be a list, got 'abc'"),
        ([], 3, InvalidParameterError, "`categories` is empty"),
        (["a", "a"], 3, InvalidDataError, "`categories` has a category more than once"),
    ],
)
def test_choices_are_checked(given, k, error, message):
    with pytest.raises(error, match=message):
        letters("abc").choose(given, k)


# From frames and mappings


def test_frames_give_their_index(encoder):
    frame = encoder.embeddings_["shop"]
    found = column_vectors_of(frame, None)
    assert found.name == "shop"
    assert found.labels.tolist() == list(range(7))
    assert found.counts is None
    np.testing.assert_array_equal(found.vectors, frame.to_numpy())
    assert column_vectors_of(frame, "store").name == "store"
    assert column_vectors_of(frame.rename_axis(None), None).name == "category"
    assert column_vectors_of(frame.rename_axis(0), None).name == "0"


def test_mappings_of_frames(encoder):
    mapping = dict(encoder.embeddings_)
    assert column_vectors_of(mapping, "shop").labels.tolist() == list(range(7))
    assert column_vectors_of(encoder.embeddings_, "shop").name == "shop"
    assert column_vectors_of({"shop": mapping["shop"]}, None).name == "shop"
    assert column_vectors_of({"shop": np.eye(2)}, None).labels.tolist() == [0, 1]
    with pytest.raises(InvalidDataError, match=r"'shop' must be a table .* got shape \(2,\)"):
        column_vectors_of({"shop": [1.0, 2.0]}, None)
    with pytest.raises(InvalidParameterError, match="`column` must name one"):
        column_vectors_of(mapping, None)
    with pytest.raises(InvalidParameterError, match="Did you mean 'shop'"):
        column_vectors_of(mapping, "shops")
    with pytest.raises(InvalidParameterError, match="got list"):
        column_vectors_of([[1.0]], None)


@pytest.mark.parametrize(
    ("vectors", "index", "message"),
    [
        ([[1.0], [np.nan]], "ab", "'c' must be finite"),
        ([[1e300], [1.0]], "ab", "within the range of float32"),
        ([["x"], [1.0]], "ab", "'c' must be numbers: could not convert"),
        (np.zeros((0, 3)), "", r"'c' must be a table .* got shape \(0, 3\)"),
        (np.eye(3), "aba", "'c' have a category more than once"),
        (np.eye(2), [None, np.nan], "'c' have a category more than once"),
    ],
)
def test_vectors_that_are_none(vectors, index, message):
    frame = pd.DataFrame(vectors, index=pd.Index(list(index), dtype=object))
    with pytest.raises(InvalidDataError, match=message):
        column_vectors_of({"c": frame}, "c")


# Values to show beside categories


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"c": "z", "a": "x", "b": "y", "other": "w"}, ["x", "y", "z"]),
        (pd.Series([1.5, 2.5, 3.5], index=pd.CategoricalIndex(["b", "a", "c"])), [2.5, 1.5, 3.5]),
    ],
)
def test_values_by_category(values, expected):
    assert values_by_category(values, letters("abc"), "color").tolist() == expected


def test_values_that_a_series_lacks_are_missing():
    catalogue = letters(["a", "b", np.nan])
    numbers = values_by_category(pd.Series([7], index=["b"]), catalogue, "color")
    np.testing.assert_array_equal(numbers, [np.nan, 7.0, np.nan])
    names = values_by_category({"a": "x", np.nan: "y"}, catalogue, "color")
    assert names[[0, 2]].tolist() == ["x", "y"]
    assert pd.isna(names[1])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1, 2], r"`color` has shape \(2,\), but column 'col' has 3 categories"),
        (pd.Series([1, 2], index=["a", "a"]), "`color` has a category more than once"),
        (pd.Series([1, 2]), "none of the categories of column 'col'.*such as 'a'"),
    ],
)
def test_values_that_do_not_match(values, message):
    with pytest.raises(InvalidDataError, match=message):
        values_by_category(values, letters("abc"), "color")


# Categories in frames, pictures and messages


@pytest.mark.parametrize(
    "labels",
    [["a", "\ud800"], [("a", 1), ("b", 2)], [pd.Interval(0, 2**70), pd.Interval(1, 2)]],
    ids=str,
)
def test_labels_in_frames_and_pictures_stay_what_they_are(labels):
    array = np.fromiter(labels, dtype=object, count=len(labels))
    index = label_index(array, "n")
    assert index.tolist() == labels
    assert index.nlevels == 1
    assert index.name == "n"
    assert label_series(array).tolist() == labels
    assert [text_of(label) for label in labels] == [str(label) for label in labels]
    assert [text_of(label) for label in (pd.NaT, (), "()")] == ["(missing)", "(empty list)", "()"]
