"""Where the vectors start: normal numbers, given vectors, another library's encoder."""

from __future__ import annotations

import tracemalloc
from contextlib import nullcontext
from dataclasses import replace
from decimal import Decimal

import category_encoders as ce
import numpy as np
import pandas as pd
import pytest
import skrub
from numpy.random import RandomState
from sklearn import config_context
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler, TargetEncoder

from sk_entity_embed import EntityEmbeddingEncoder
from sk_entity_embed.exceptions import InvalidParameterError, UnmatchedCategoriesWarning
from sk_entity_embed.fitting.initialization import (
    INITIAL_SCALE,
    check_init,
    encoder_vectors,
    frozen_columns,
    given_vectors,
    normal_vectors,
)
from sk_entity_embed.input.columns import read_table
from sk_entity_embed.input.target import read_target
from sk_entity_embed.input.vocabulary import INFREQUENT, MISSING, UNKNOWN, learn_vocabulary

CITIES = ["Lima", "Oslo", "Rome", "Bonn", None]
FITS: list[tuple[list, list | None]] = []
"""What each fit of a spy was given: categories and targets."""


class SpyEncoder(TransformerMixin, BaseEstimator):
    """Length of the string; notes what it is fitted on."""

    def fit(self, X, y=None):
        FITS.append((X.iloc[:, 0].tolist(), None if y is None else np.asarray(y).tolist()))
        return self

    def transform(self, X):
        return X.iloc[:, :1].map(lambda v: 0.0 if v is None else float(len(v))).to_numpy()


class SupervisedSpy(SpyEncoder):
    """The same, but it says that it needs y."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags


@pytest.fixture(autouse=True)
def _no_fits():
    FITS.clear()


def vocabulary_of(values, **settings):
    """Vocabulary and codes of Python values."""
    (column,) = read_table([[v] for v in values]).columns
    vocabulary = learn_vocabulary(column, **settings)
    return vocabulary, vocabulary.encode(column)


def problem(target="continuous", n=90):
    """A vocabulary, codes, target, and the rows that each of three tables learns from."""
    rng = np.random.default_rng(0)
    vocabulary, codes = vocabulary_of([CITIES[i] for i in rng.integers(5, size=n)])
    y = {
        "continuous": rng.standard_normal(n) + codes,
        "multiclass": rng.choice(["r", "g", "b"], n),
        "outputs": rng.standard_normal((n, 2)) + codes[:, None],
    }[target]
    return vocabulary, codes, read_target(y, "auto"), np.arange(n) % 3 != np.arange(3)[:, None]


def start_of(vocabulary, width=4, n_tables=3):
    """Normal vectors."""
    return normal_vectors(vocabulary.n_rows, width, n_tables, RandomState(0))


def given(frame, vocabulary):
    """Initial vectors from given ones."""
    return given_vectors(frame, vocabulary, start_of(vocabulary, frame.shape[1]))


def encode(encoder, parts, width=4):
    """Initial vectors from an encoder."""
    vocabulary, codes, target, mask = parts
    start = start_of(vocabulary, width, len(mask))
    return encoder_vectors(encoder, vocabulary, codes, target, mask, start, RandomState(1))


def learned_by(encoder, parts, width=4):
    """What the encoder adds to the tenth of the normal vectors."""
    start = start_of(parts[0], width, len(parts[3]))
    return encode(encoder, parts, width).tables - 0.1 * start


def test_many_normal_vectors_are_drawn_as_one_stream_without_more_memory_than_theirs():
    shape, seed = (40_000, 5), 0
    tracemalloc.start()
    tables = normal_vectors(*shape, 3, RandomState(seed))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    drawn = RandomState(seed).standard_normal(shape) * INITIAL_SCALE
    np.testing.assert_array_equal(tables, [drawn.astype(np.float32)] * 3)
    assert tables.dtype == np.float32
    assert peak < 1.7 * tables.nbytes


def test_given_vectors_are_placed_by_category():
    vocabulary, codes = vocabulary_of(["b", "a", "b", "c"])
    frame = pd.DataFrame([[1.0, 2.0], [3.0, 4.0], [9.0, 9.0]], index=["b", "a", "elsewhere"])
    found = given(frame, vocabulary)
    for table in found.tables:
        assert table[codes[[0, 1]]].tolist() == [[1.0, 2.0], [3.0, 4.0]]
    around = start_of(vocabulary, 2)[0] + frame.to_numpy().mean(axis=0)
    for row in (UNKNOWN, codes[3]):
        np.testing.assert_allclose(found.tables[:, row], [around[row]] * 3, rtol=1e-6)
    assert np.flatnonzero(found.given).tolist() == sorted(codes[[0, 1]])
    assert found.tables.dtype == np.float32
    # Infrequent categories share the mean of their vectors.
    vocabulary, _ = vocabulary_of(["a", "a", "x", "y", "z"], min_frequency=2)
    found = given(pd.DataFrame([[1.0], [2.0], [6.0]], index=["a", "x", "y"]), vocabulary)
    assert (found.tables[:, INFREQUENT] == 4.0).all()
    assert np.flatnonzero(found.given).tolist() == [INFREQUENT, 3]


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA])
def test_missing_can_be_given_a_vector(missing):
    vocabulary, _ = vocabulary_of(["a", None])
    frame = pd.DataFrame([[5.0]], index=pd.Index([missing], dtype=object))
    found = given(frame, vocabulary)
    assert (found.tables[:, MISSING] == 5.0).all()
    assert np.flatnonzero(found.given).tolist() == [MISSING]
    without, _ = vocabulary_of(["a", "b"])  # there, it is not that of unknown
    frame.loc["a"] = 1.0
    found = given(frame, without)
    assert not (found.tables[:, UNKNOWN] == 5.0).any()
    assert np.flatnonzero(found.given).tolist() == [3]


@pytest.mark.parametrize(
    "values", [[1, 2, 3], [1.5, 2.5, 3.5], [1, "1", None], [(1, 2), (3, 4)], [b"a", "b"]]
)
def test_categories_of_all_types_find_their_vectors(values):
    index = pd.Index(np.fromiter(values, dtype=object), tupleize_cols=False)
    frame = pd.DataFrame({"d": np.arange(len(values)) + 10.0}, index=index)
    single, lists = vocabulary_of(values), vocabulary_of([*([v] for v in values), []])
    for vocabulary, codes in (single, (lists[0], lists[1].items[:-1])):
        found = given(frame, vocabulary)
        assert found.tables[0, codes, 0].tolist() == frame["d"].tolist()
        assert found.given.sum() == len(values)  # not the empty list


DECIMALS = [Decimal("1.50"), Decimal("2.5")]


@pytest.mark.parametrize(
    ("values", "labels", "message"),
    [
        ([1, 2], ["1", "2"], r"'1' \(str\).*like 1 \(int\).*astype\('int64'\)"),
        (["1", "2"], [1, 2], r"like 1 \(int\).*'1' \(str\).*astype\('str'\)"),
        ([1.0, None], [None, "1"], r"'1' \(str\).*like 1.0 \(float\).*astype\('float64'\)"),
        ([True, False], ["True", "False"], "'True' .*like False .*spelling and in type"),
        (["a", "b"], pd.MultiIndex.from_tuples([("a", 1)]), "tuple.*spelling and in type"),
        (DECIMALS, ["1.5", "2.5"], r"frame\.index\.map\(str\)\.map\(decimal\.Decimal\)"),
        (DECIMALS, ["1.50", "x"], "spelling and in type"),
    ],
)
def test_vectors_of_no_category_are_refused_with_a_label_of_each_side(values, labels, message):
    vocabulary, _ = vocabulary_of(values)
    frame = pd.DataFrame({"d": np.arange(len(labels)) * 1.0}, index=labels)
    with pytest.raises(InvalidParameterError, match=rf"`init\['x0'\]` has no vector.*{message}"):
        given(frame, vocabulary)


def test_frozen_vectors_are_kept_by_fit_where_a_label_is_a_category():
    X, y = pd.DataFrame({"user": [1, 2] * 20}), np.arange(40) / 7
    frame = pd.DataFrame([[0.5], [1.5]], index=["1", "2"])
    encoder = EntityEmbeddingEncoder(["user"], init={"user": frame}, freeze=True, max_iter=1)
    with pytest.raises(InvalidParameterError, match=r"`init\['user'\]`.*astype\('int64'\)"):
        encoder.fit(X, y)
    frame.index = frame.index.astype("int64")
    vectors = encoder.fit(X, y).embeddings_["user"]
    assert vectors[vectors.columns[0]].tolist() == [0.5, 1.5]


CELLS = list("aaaaaabcdef")  # "a" is more than half of them
LEXICON = [f"word {i}" for i in range(50)]


@pytest.mark.parametrize(
    ("labels", "covered"),
    [
        (["b", *LEXICON], "9.1%"),
        (["b", "c", "d", "e", "word", *LEXICON], "36%"),
        (["b", "c", "missing"], None),  # most given are used
        (["a", *LEXICON], None),  # most cells have one
        ([None], None),
    ],
)
def test_few_matches_on_both_sides_warn_with_the_shares(labels, covered):
    vocabulary, _ = vocabulary_of([*CELLS, None])
    frame = pd.DataFrame({"d": np.ones(len(labels))}, index=pd.Index(labels, dtype=object))
    message = rf"{covered} of the cells of column 'x0'.*'a' \(str\)"
    expected = pytest.warns(UnmatchedCategoriesWarning, match=message) if covered else nullcontext()
    with expected:
        assert given(frame, vocabulary).given.any()


FRAME = pd.DataFrame([[1.0, 2.0]], index=["a"])


@pytest.mark.parametrize(
    ("init", "message"),
    [
        (7, "`init` must be"),
        ({"town": FRAME}, r"`init` names 'town'.*\['city'\]"),
        ({"city": FRAME.to_numpy()}, r"`init\['city'\]` must be a pandas DataFrame"),
        ({"city": FRAME.iloc[:, :0]}, r"`init\['city'\]` must be a pandas DataFrame"),
        ({"city": pd.concat([FRAME, FRAME])}, r"`init\['city'\]` has a category more than once"),
        ({"city": FRAME * np.nan}, r"`init\['city'\]` must hold finite numbers"),
        ({"city": FRAME.astype(str) + "x"}, r"`init\['city'\]` must hold finite numbers"),
    ],
)
def test_given_vectors_that_cannot_be_used_are_refused(init, message):
    with pytest.raises(InvalidParameterError, match=message):
        check_init(init, ["city"])


def test_only_categorical_columns_can_be_frozen():
    assert frozen_columns(True, ["city"]) == frozen_columns(["city"], ["city", "x"]) == {"city"}
    with pytest.raises(InvalidParameterError, match=r"`freeze` names \['town'\].*\['city'\]"):
        frozen_columns(["town"], ["city"])


ENCODERS = {
    "james_stein": ce.JamesSteinEncoder(),
    "count": ce.CountEncoder(),
    "string": skrub.StringEncoder(n_components=2, random_state=0),
    "target": TargetEncoder(),
    "one_hot": OneHotEncoder(handle_unknown="ignore"),
    "polars": OneHotEncoder(sparse_output=False).set_output(transform="polars"),
}


@pytest.mark.parametrize("name", ENCODERS)
def test_encoders_of_other_libraries_start_the_vectors(name):
    for target in ("continuous", "multiclass"):
        parts = problem(target)
        found, rows = encode(ENCODERS[name], parts), np.unique(parts[1])
        assert found.tables.shape == (3, parts[0].n_rows, 4)
        assert found.tables.dtype == np.float32
        assert np.flatnonzero(found.given).tolist() == rows.tolist()
        size = np.sqrt((learned_by(ENCODERS[name], parts)[:, rows] ** 2).mean())
        assert size == pytest.approx(INITIAL_SCALE, rel=0.5)
        assert (found.tables != found.tables[0]).any() == (name in ("james_stein", "target"))


@pytest.mark.parametrize("name", ["count", "one_hot", "target"])
def test_encoded_categories_keep_their_distances(name):
    parts = problem()
    rows = np.unique(parts[1])
    vectors = learned_by(ENCODERS[name], parts, width=6)[:, rows]
    if name == "target":  # one encoding, mapped along one axis for all folds
        directions = np.linalg.svd(vectors.reshape(-1, 6))[1]
        assert directions[1] < 1e-5 * directions[0]
        for table, mask in zip(vectors, parts[3], strict=True):  # centered by the fold's own rows
            share = np.bincount(parts[1][mask])[rows]
            np.testing.assert_allclose(share @ table / share.sum(), 0, atol=1e-7)
        return
    counts = np.bincount(parts[1])[rows]
    distances = np.linalg.norm(vectors[0][:, None] - vectors[0][None], axis=2)
    expected = np.abs(counts[:, None] - counts[None]).astype(float)
    if name == "one_hot":
        expected = 1 - np.eye(len(rows))
    np.testing.assert_allclose(distances / distances.max(), expected / expected.max(), atol=1e-5)


def test_a_class_that_no_row_of_a_table_has_is_kept_from_the_encoder():
    vocabulary, codes, _, mask = problem()
    target = read_target(np.where(np.arange(90) == 4, "yes", "no"), "auto")
    for encoder in (ce.WOEEncoder(), ce.JamesSteinEncoder()):  # table 1 learns of "no" alone
        learned = learned_by(encoder, (vocabulary, codes, target, mask))
        assert [bool((np.abs(m) > 1e-6).any()) for m in learned] == [True, False, True]


def test_no_row_of_a_fold_reaches_the_fit_of_its_table():
    rng = np.random.default_rng(0)
    ids = np.arange(60) + 0.5  # a target that names its row
    X = pd.DataFrame({"city": [CITIES[i] for i in rng.integers(5, size=60)]})
    encoder = EntityEmbeddingEncoder(init=SupervisedSpy(), cv=3, max_iter=1, random_state=0)
    encoder.fit(X, ids)
    cities = X["city"].astype(object).where(X["city"].notna(), None)
    assert len(FITS) == 3
    for fold, (texts, y) in enumerate(FITS):
        expected = np.flatnonzero(encoder.fold_ != fold)
        assert sorted(y) == ids[expected].tolist()
        assert texts == [cities[int(v)] for v in y]


def test_without_cross_fitting_validation_rows_do_not_reach_the_fit():
    ids = np.arange(60) + 0.5
    X = pd.DataFrame({"city": ["Lima", "Oslo", "Rome"] * 20})
    settings = {"init": SupervisedSpy(), "cross_fit": False, "max_iter": 1, "random_state": 0}
    EntityEmbeddingEncoder(**settings).fit(X, ids)
    EntityEmbeddingEncoder(**settings, early_stopping=False).fit(X, ids)
    assert [len(y) for _, y in FITS] == [54, 60]


@pytest.mark.parametrize(("target", "n_fits"), [("multiclass", 9), ("outputs", 6)])
def test_supervised_encoders_see_one_output_at_a_time(target, n_fits):
    encode(SupervisedSpy(), problem(target))
    assert len(FITS) == n_fits
    assert all(isinstance(y[0], float if target == "outputs" else int) for _, y in FITS)


def test_an_encoder_that_needs_no_y_is_fitted_once_on_texts_without_it():
    vocabulary, codes = vocabulary_of([3] * 4 + [7, None, 8], min_frequency=2)
    target = read_target(np.arange(7) + 0.5, "auto")
    codes[3] = UNKNOWN
    found = encode(SpyEncoder(), (vocabulary, codes, target, np.ones((3, 7), dtype=bool)))
    assert FITS == [(["3"] * 3 + [None, "infrequent", None, "infrequent"], None)]
    assert not found.given[UNKNOWN]


def test_an_encoder_that_tells_nothing_apart_leaves_a_tenth_of_the_normal_vectors():
    vocabulary, codes = vocabulary_of(["Lima", "Oslo", "Rome"])
    parts = vocabulary, codes, read_target(np.arange(3) + 0.5, "auto"), np.ones((1, 3), dtype=bool)
    np.testing.assert_allclose(learned_by(SpyEncoder(), parts), 0, atol=1e-7)


class BrokenEncoder(SpyEncoder):
    """Gives missing numbers."""

    def transform(self, X):
        return np.full((len(X), 1), np.nan)


@pytest.mark.parametrize(
    ("encoder", "message"),
    [
        (StandardScaler(), r"`init=StandardScaler\(\)` cannot encode column 'x0'.*strings"),
        (BrokenEncoder(), r"`init=BrokenEncoder\(\)` gives missing or infinite"),
        (ce.WOEEncoder(), r"`init=WOEEncoder\(\)` cannot encode column 'x0'"),
    ],
)
def test_encoders_that_fail_are_named(encoder, message):
    with pytest.raises(InvalidParameterError, match=message):
        encode(encoder, problem())


@pytest.mark.parametrize("name", ["count", "string", "polars"])
def test_encoders_give_the_same_whatever_scikit_learn_is_set_to(name):
    expected = encode(ENCODERS[name], problem()).tables
    for setting in ({"transform_output": "pandas"}, {"transform_output": "polars"}):
        with config_context(**setting, enable_metadata_routing=True):
            found = encode(ENCODERS[name], problem()).tables
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_pipeline_with_a_supervised_step_is_fitted_for_each_table_too(monkeypatch):
    X = pd.DataFrame({"c": np.repeat(list("abcdef"), 20)})
    y = np.repeat(np.arange(6.0), 20) + 0.01 * np.arange(120)
    original, fits = TargetEncoder.fit, []

    def fit(self, X, y):
        fits.append(len(X))
        return original(self, X, y)

    monkeypatch.setattr(TargetEncoder, "fit", fit)
    pipeline = make_pipeline("passthrough", TargetEncoder(target_type="continuous"))
    EntityEmbeddingEncoder(init=pipeline, max_iter=1, random_state=0).fit(X, y)
    assert fits == [96] * 5


def test_an_encoder_reads_items_with_a_text_for_the_empty_list():
    cells = [["Lima", "Oslo"], [], None, ["Rome", None], ["Lima"], ["x"]] * 5 + [["odd"]]
    vocabulary, codes = vocabulary_of(cells, min_frequency=2)
    target, rows = read_target(np.arange(31) / 7, "auto"), codes.rows
    target = replace(target, values=target.values[rows])
    mask = np.arange(31) % 3 != np.arange(3)[:, None]
    vectors = encode(SupervisedSpy(), (vocabulary, codes.items, target, mask[:, rows]))
    assert len(FITS) == 3
    for g, (texts, told) in enumerate(FITS):
        expected = []
        for i in np.flatnonzero(mask[g]):
            cell = [None] if cells[i] is None else cells[i] or [""]
            expected += [("infrequent" if v == "odd" else v, i / 7) for v in cell]
        assert texts == [text for text, _ in expected]
        np.testing.assert_allclose(told, [value for _, value in expected])
    assert vectors.given[vocabulary.empty_row]
    assert not vectors.given[UNKNOWN]
