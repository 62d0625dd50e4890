"""Categories, their rows, and what becomes of rare, missing and unknown ones."""

from __future__ import annotations

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.preprocessing import OneHotEncoder

from sk_entity_embed.exceptions import InvalidDataError
from sk_entity_embed.input.columns import read_table
from sk_entity_embed.input.vocabulary import (
    INFREQUENT,
    MISSING,
    N_RESERVED,
    UNKNOWN,
    count_missing,
    learn_vocabulary,
)
from tests.containers import CONTAINERS, make_container
from tests.list_containers import LIST_CONTAINERS, make_lists

TEXT = ["b", "a", None, "b", "", "ü"]


def column_of(values, container="pandas_object"):
    """A column of Python values."""
    (column,) = read_table(make_container(container, {"c": values})).columns
    return column


def series_column(series):
    """A column of a pandas series."""
    (column,) = read_table(series.to_frame("c")).columns
    return column


def test_equal_data_gives_equal_vocabularies_and_codes(container):
    (column,) = read_table(container({"c": TEXT})).columns
    vocabulary = learn_vocabulary(column)
    assert vocabulary.categories.tolist() == ["", "a", "b", "ü"]
    assert vocabulary.keys.type == pa.large_string()
    assert vocabulary.counts.tolist() == [1, 1, 2, 1]
    assert vocabulary.rows.tolist() == [3, 4, 5, 6]
    assert (vocabulary.missing_count, vocabulary.missing_row) == (1, MISSING)
    assert count_missing(column) == 1
    assert (vocabulary.n_rows, vocabulary.cardinality) == (7, 5)
    codes = vocabulary.encode(column)
    assert (codes.tolist(), codes.dtype) == ([5, 4, 1, 5, 3, 6], np.int32)
    assert [None if pd.isna(v) else v for v in vocabulary.decode(codes)] == TEXT
    with pytest.raises(InvalidDataError, match=rf"'{column.name}' has 1 missing.*handle_missing"):
        learn_vocabulary(column, missing="error")


@pytest.mark.parametrize("new", CONTAINERS)
def test_a_vocabulary_of_one_container_encodes_another(new):
    asked = column_of(["ü", None, "new", "a", "A", ""], new)
    for old in ("pandas", "pandas_category", "lists"):
        vocabulary = learn_vocabulary(column_of(TEXT, old))
        assert vocabulary.encode(asked).tolist() == [6, 1, 0, 4, 0, 3]
    without = learn_vocabulary(column_of(["a", "b"]))
    assert (without.missing_row, without.labels.tolist()) == (UNKNOWN, ["a", "b"])
    assert without.encode(asked).tolist() == [0, UNKNOWN, 0, 3, 0, 0]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ([1, 2, None], [2.0, None, 2.5, "1", True], [4, 1, 0, 0, 3]),
        (["1", "2"], [1, 2, None, "1"], [0, 0, 0, 3]),
        ([1, "1"], [1, "1", 1.0, True], [3, 4, 3, 3]),
        ([(1, 2), "a"], [(1, 2), (1,), "a"], [4, 0, 3]),
    ],
)
def test_equality_is_python_s(old, new, expected):
    assert learn_vocabulary(column_of(old)).encode(column_of(new)).tolist() == expected


def test_zeros_of_both_signs_and_tuples_with_missing_entries_are_one_category():
    for dtype in ("float64", object):
        column = series_column(pd.Series([0.0, -0.0, 1.0, -0.0], dtype=dtype))
        vocabulary = learn_vocabulary(column)
        assert vocabulary.counts.tolist() == [3, 1]
        assert vocabulary.encode(column).tolist() == [3, 3, 4, 3]
    (column,) = read_table([[(1, float("nan"))], [(1, float("nan"))], [(2, None)]]).columns
    vocabulary = learn_vocabulary(column)
    assert vocabulary.counts.tolist() == [2, 1]
    assert vocabulary.encode(column).tolist() == [3, 3, 4]


def test_declared_levels_without_rows_are_no_categories():
    levels = pd.Categorical(["b", "a"], categories=["z", "b", "a"], ordered=True)
    vocabulary = learn_vocabulary(series_column(pd.Series(levels)))
    assert vocabulary.categories.tolist() == ["a", "b"]
    enum = pl.DataFrame({"c": pl.Series(["b", "a"], dtype=pl.Enum(["z", "b", "a"]))})
    assert learn_vocabulary(*read_table(enum).columns).categories.tolist() == ["a", "b"]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["b", 2, "a", None, 1.5, True, ("z",)], [True, 1.5, 2, "a", "b", ("z",)]),
        ([(1, "a"), ("a", 1), (None, 2)], [("a", 1), (1, "a"), (None, 2)]),  # by representation
    ],
)
def test_order_is_by_type_and_then_by_value(values, expected):
    for rows in (values, values[::-1]):
        assert learn_vocabulary(column_of(rows)).categories.tolist() == expected


@pytest.mark.parametrize("min_frequency", [None, 1, 3, 0.125, 0.25, 0.999])
def test_rare_categories_are_those_of_one_hot_encoder(min_frequency):
    values = ["a"] * 8 + ["b"] * 5 + ["c"] * 5 + ["d"] * 3 + ["e"] * 2 + ["f"]
    for max_categories in (None, 1, 2, 3, 10):
        settings = {"min_frequency": min_frequency, "max_categories": max_categories}
        vocabulary = learn_vocabulary(column_of(values), **settings)
        reference = OneHotEncoder(**settings).fit(np.array(values, dtype=object)[:, None])
        groups = settings != {"min_frequency": None, "max_categories": None}
        rare = reference.infrequent_categories_[0] if groups else None
        expected = [] if rare is None else rare.tolist()
        found = vocabulary.infrequent
        assert (found is None) == (rare is None)
        assert expected == ([] if found is None else found.tolist())
        assert vocabulary.n_rows == N_RESERVED + 6 - len(expected)
        assert vocabulary.cardinality == 6 - len(expected) + (rare is not None)


def test_missing_counts_in_shares_but_not_as_a_category():
    values = ["a"] * 4 + ["b"] * 2 + [None] * 14
    vocabulary = learn_vocabulary(column_of(values), min_frequency=0.15, max_categories=2)
    assert vocabulary.infrequent.tolist() == ["b"]
    assert vocabulary.encode(column_of(["a", "b", None, "c"])).tolist() == [3, 2, 1, 0]
    assert vocabulary.cardinality == 3
    decoded = vocabulary.decode(np.array([UNKNOWN, INFREQUENT, 3, MISSING]))
    assert decoded[:3].tolist() == [None, "infrequent_sklearn", "a"]
    assert np.isnan(decoded[3])


EMPTY = {
    "object": ("category", pd.Series([None, np.nan], dtype=object)),
    "NA": ("category", pd.Series([pd.NA, pd.NA], dtype=object)),
    "NaT": ("other", pd.Series([pd.NaT, pd.NaT], dtype=object)),
    "float": ("number", pd.Series([np.nan, np.nan])),
    "sparse": ("number", pd.Series(pd.arrays.SparseArray([np.nan, np.nan]))),
    "Int64": ("number", pd.Series([None, None], dtype="Int64")),
    "boolean": ("category", pd.Series([None, None], dtype="boolean")),
    "levels": ("category", pd.Series(pd.Categorical([None, None], categories=[1, 2]))),
    "Arrow null": ("category", pa.nulls(2)),
    "Arrow date": ("other", pa.nulls(2, pa.date32())),
    "Arrow dictionary": ("category", pa.nulls(2, pa.dictionary(pa.int8(), pa.string()))),
    "polars enum": ("category", pl.Series([None, None], dtype=pl.Enum(["x"]))),
    "polars object": ("category", pl.Series([None, None], dtype=pl.Object)),
}
LATER = ["x", None], [1, None], [1.5, np.nan], [True, None], [(1, 2), None], [["x"], None]


def single_column(values):
    frames = {pd.Series: pd.DataFrame, pl.Series: pl.DataFrame}
    return read_table(frames.get(type(values), pa.table)({"c": values})).columns[0]


@pytest.mark.parametrize(("kind", "values"), EMPTY.values(), ids=EMPTY)
def test_of_missing_cells_only_there_are_no_categories_and_all_values_are_unknown(kind, values):
    column = single_column(values)
    assert column.kind == kind
    learned = learn_vocabulary(column, min_frequency=2, max_categories=1)
    for vocabulary in (learned, pickle.loads(pickle.dumps(learned))):
        assert len(vocabulary.categories) == 0
        assert pd.isna(vocabulary.labels).tolist() == [True]
        assert vocabulary.label_counts.tolist() == [2]
        assert (vocabulary.cardinality, vocabulary.n_rows) == (1, N_RESERVED)
        assert vocabulary.infrequent is None
        assert vocabulary.encode(column).tolist() == [MISSING, MISSING]
        assert vocabulary.decode(np.array([UNKNOWN]))[0] is None
        for cells in LATER:
            expected = [MISSING if c is None or c != c else UNKNOWN for c in cells]
            later = [single_column(pd.Series(cells, dtype=object))]
            if not any(isinstance(c, list) for c in cells):
                later.append(single_column(pd.Series(cells, dtype="category")))
            for new in later:
                assert vocabulary.encode(new).tolist() == expected
    with pytest.raises(InvalidDataError, match=r"'c' has 2 missing.*handle_missing"):
        learn_vocabulary(column, missing="error")


@pytest.mark.parametrize(
    ("values", "labels", "dtype"),
    [
        ([2.5, 1.0, None], [1.0, 2.5, np.nan], np.float64),
        ([2, 1], [1, 2], np.int64),
        ([2, 1, None], [1, 2, np.nan], object),
        (["a", None], ["a", np.nan], object),
        ([True, False], [False, True], bool),
        ([1, "1", None], [1, "1", np.nan], object),
    ],
)
def test_labels_rows_and_counts_agree(values, labels, dtype):
    column = column_of(values)
    vocabulary = learn_vocabulary(column)
    assert vocabulary.labels.dtype == dtype
    assert [None if v != v else v for v in vocabulary.labels] == [
        None if v != v else v for v in labels
    ]
    known = [v for v in labels if v == v]
    rows = vocabulary.label_rows.tolist()
    assert rows == [3, 4, 5][: len(known)] + [MISSING] * (None in values)
    assert vocabulary.encode(column_of(known)).tolist() == rows[: len(known)]
    assert vocabulary.label_counts.tolist() == [1] * len(labels)
    assert vocabulary.decode(np.array([3])).dtype == vocabulary.categories.dtype
    assert vocabulary.decode(np.array([3, UNKNOWN])).tolist() == [known[0], None]
    again = pickle.loads(pickle.dumps(vocabulary))
    assert again.encode(column).tolist() == vocabulary.encode(column).tolist()


@pytest.mark.parametrize("old", [["a\ud800", "b"], ["b", "x"]])
def test_lone_surrogates_are_text_like_any_other(old):
    vocabulary = learn_vocabulary(column_of(old, "lists"))
    for new in (["b", "a\ud800", "c"], ["b", "x", "c"]):
        codes = [N_RESERVED + old.index(v) if v in old else UNKNOWN for v in new]
        assert vocabulary.encode(column_of(new, "lists")).tolist() == codes


LISTS = [["b", "a"], None, [], ["a", None, "c"], ["b"]]


def list_column(values, container="lists"):
    """A column of lists."""
    (column,) = read_table(make_lists(container, values)).columns
    return column


def rows_of(lists):
    """Table rows of each list."""
    return [part.tolist() for part in np.split(lists.items, lists.offsets[1:-1])]


@pytest.mark.parametrize("name", LIST_CONTAINERS)
def test_equal_lists_give_equal_vocabularies_and_codes(name):
    column = list_column(LISTS, name)
    vocabulary = learn_vocabulary(column)
    assert vocabulary.is_list
    assert vocabulary.categories.tolist() == ["a", "b", "c"]
    assert vocabulary.counts.tolist() == [2, 2, 1]
    assert (vocabulary.missing_count, vocabulary.missing_row) == (2, MISSING)
    assert (vocabulary.empty_count, vocabulary.empty_row, vocabulary.n_rows) == (1, 6, 7)
    assert vocabulary.cardinality == 5
    assert vocabulary.labels.tolist()[:3] == ["a", "b", "c"]
    assert vocabulary.label_counts.tolist() == [2, 2, 1, 2]
    codes = vocabulary.encode(column)
    assert codes.items.dtype == np.int32
    assert rows_of(codes) == [[4, 3], [1], [6], [3, 1, 5], [4]]
    assert vocabulary.decode(codes.items[[0, 3]]).tolist() == ["b", ()]
    assert vocabulary.locate(column).tolist() == [1, 0, 0, 3, 2, 1]
    assert vocabulary.locate(column.items).tolist() == [1, 0, 0, 3, 2, 1]
    assert rows_of(vocabulary.encode(column.last(1))) == [[3], [1], [6], [5], [4]]
    asked = list_column([[], None, [], ["a", "new"], None, ["b", "c"], [], None], name)
    assert rows_of(vocabulary.encode(asked)) == [[6], [1], [6], [3, 0], [1], [4, 5], [6], [1]]
    assert count_missing(column) == 2
    again = pickle.loads(pickle.dumps(vocabulary))
    assert (again.empty_row, again.empty_count) == (6, 1)
    assert again.keys.equals(vocabulary.keys)
    assert rows_of(again.encode(column)) == rows_of(codes)
    fewer = learn_vocabulary(list_column([["b"], ["a", "b"]]))
    assert (fewer.empty_row, fewer.n_rows, fewer.cardinality) == (UNKNOWN, 5, 2)
    assert rows_of(fewer.encode(column)) == [[4, 3], [0], [0], [3, 0, 0], [4]]


def test_rare_items_are_counted_by_item():
    values = [["a", "a", "a"], ["a", "b", "c"], [], ["b", None], None]
    share = learn_vocabulary(list_column(values), min_frequency=0.2)
    assert share.infrequent.tolist() == ["c"]  # 1 of 8 items; of 5 rows it would be frequent
    assert (share.n_rows, share.empty_row, share.cardinality) == (6, 5, 5)
    assert rows_of(share.encode(list_column([["c", "b"], []]))) == [[INFREQUENT, 4], [5]]
    few = learn_vocabulary(list_column(values), max_categories=2)
    assert few.infrequent.tolist() == ["b", "c"]


def test_missing_lists_and_items_can_be_an_error():
    for values in ([["a"], None], [["a", None], ["b"]]):
        with pytest.raises(InvalidDataError, match=r"'x0' has 1 missing.*handle_missing"):
            learn_vocabulary(list_column(values), missing="error")
    assert learn_vocabulary(list_column([["a"], []]), missing="error").empty_count == 1


@pytest.mark.parametrize(
    ("values", "codes", "cardinality"),
    [
        ([[], None], [3, MISSING], 2),
        ([[], []], [3, 3], 1),
        ([[None], []], [MISSING, 3], 2),
        ([[None], [None]], [MISSING, MISSING], 1),
    ],
)
def test_lists_without_anything_in_them_have_no_categories(values, codes, cardinality):
    learned = learn_vocabulary(list_column(values))
    for vocabulary in (learned, pickle.loads(pickle.dumps(learned))):
        assert len(vocabulary.categories) == 0
        assert vocabulary.cardinality == cardinality
        assert vocabulary.encode(list_column(values)).items.tolist() == codes
        for later in (["x", "y"], [1, 2], [None, 2.5]):
            items = vocabulary.encode(list_column([later, later])).items
            known = [vocabulary.missing_row if v is None else UNKNOWN for v in later]
            assert items.tolist() == 2 * known


def test_lists_and_single_values_are_not_mistaken_for_each_other():
    lists, single = learn_vocabulary(list_column(LISTS)), learn_vocabulary(column_of(TEXT))
    assert not single.is_list
    message = r"'x0' held lists in fit.*single values.*make lists"
    with pytest.raises(InvalidDataError, match=message):
        lists.encode(column_of(["a", None]))
    with pytest.raises(InvalidDataError, match=r"'c' held single values in fit.*holds lists"):
        single.encode(list_column(LISTS))


def test_a_column_of_missing_cells_only_is_one_of_missing_lists(container):
    (asked,) = read_table(container({"c": [None, None]})).columns
    for known, row in (([["a"], None], MISSING), ([["a"]], UNKNOWN)):
        codes = learn_vocabulary(list_column(known)).encode(asked)
        assert rows_of(codes) == [[row], [row]]
        assert codes.items.dtype == np.int32


def text(n):
    return pd.DataFrame({"c": [f"level {i}" for i in range(n)]})


MANY = {
    "text": text(2_000),
    "long text": "a text that is longer than sixty-four bytes, and so no key: " + text(2_000),
    "integers": pd.DataFrame({"c": np.arange(2_000, dtype=np.int32) - 7}),
    "floats": pd.DataFrame({"c": np.arange(2_000) / 3 - 5}),
}


@pytest.mark.parametrize("kind", MANY)
@pytest.mark.parametrize("missing", [False, True])
def test_few_cells_among_many_categories_are_found_as_many_are(kind, missing, monkeypatch):
    X = MANY[kind]
    known = X.iloc[::2].reset_index(drop=True)
    if missing:
        known.loc[[500, 600], "c"] = None
        X = X.copy().astype(known.dtypes)
        X.loc[[0, 3], "c"] = None
    (column,) = read_table(known).columns
    vocabulary = learn_vocabulary(column)
    cells = [read_table(X).columns[0].take(np.arange(n)) for n in (1, 4, 300)]
    others = [[0], [0.0], [-0.0], [0.5], [True], [None], [2**40], [np.uint64(3)]]
    cells += [column_of(values) for values in others]
    few = [vocabulary.encode(c).tolist() for c in cells]
    matcher = vocabulary._matcher
    assert (matcher._index is None) == (kind == "long text")  # which Python's index finds
    monkeypatch.setattr("sk_entity_embed.input.matching._INDEXED", 10**9)
    assert few == [vocabulary.encode(c).tolist() for c in cells]
    assert few[2][1] == few[2][7] == UNKNOWN
    assert few[2][2] > MISSING
    if missing:
        assert few[2][0] == few[2][3] == MISSING


def test_the_index_is_no_part_of_what_is_learned():
    (column,) = read_table(MANY["text"]).columns
    vocabulary = learn_vocabulary(column)
    before = pickle.dumps(vocabulary)
    few = column.take(np.arange(3))
    expected = vocabulary.encode(few).tolist()
    assert "_matcher" in vars(vocabulary)
    assert pickle.dumps(vocabulary) == before
    for same in (copy.copy(vocabulary), copy.deepcopy(vocabulary), pickle.loads(before)):
        assert "_matcher" not in vars(same)
        assert same.encode(few).tolist() == expected


def test_texts_are_made_when_they_are_asked_for():
    cells = pd.Series([f"level {i % 1000}" for i in range(2000)] + ["once", None])
    vocabulary = learn_vocabulary(column := series_column(cells), min_frequency=2)
    vocabulary.encode(column)
    grouped = vocabulary.infrequent
    assert "categories" not in vars(vocabulary)
    expected = sorted(cells.dropna().unique())
    assert vocabulary.categories.dtype == object
    assert vocabulary.categories.tolist() == expected
    assert vocabulary.categories is vocabulary.categories
    assert grouped.tolist() == ["once"]
    same = pickle.loads(pickle.dumps(vocabulary))
    assert "categories" not in vars(same)
    assert same.categories.tolist() == expected
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = vocabulary.nothing


def test_several_threads_may_look_up_at_once():
    X = MANY["text"]
    (column,) = read_table(X).columns
    vocabulary = learn_vocabulary(column)
    expected = vocabulary.encode(column).tolist()
    blocks = [column.take(np.arange(a, a + 100)) for a in range(0, len(X), 100)]
    for _ in range(10):
        fresh = copy.copy(vocabulary)
        with ThreadPoolExecutor(8) as pool:
            assert np.concatenate([*pool.map(fresh.encode, blocks)]).tolist() == expected


@pytest.mark.parametrize("kind", ["text", "category"])
def test_codes_do_not_depend_on_the_number_of_threads(kind, monkeypatch):
    rng = np.random.default_rng(0)
    values = pd.Series(rng.choice([f"v{i}" for i in range(50)], 1_000))
    values[rng.random(1_000) < 0.1] = None
    column = series_column(values if kind == "text" else values.astype(kind))
    vocabulary = learn_vocabulary(column.take(np.arange(20)))
    alone = vocabulary.encode(column).tolist()
    monkeypatch.setattr("sk_entity_embed.input.vocabulary._PARALLEL", 64)
    monkeypatch.setattr("sk_entity_embed.input.vocabulary._BLOCK", 10)
    monkeypatch.setattr("sk_entity_embed.input.threads._openmp_effective_n_threads", lambda: 3)
    assert vocabulary.encode(column).tolist() == alone


def test_declared_categories_are_found_whether_they_are_few_or_many():
    levels = [f"v{i:02d}" for i in range(50)]
    vocabulary = learn_vocabulary(column_of(levels[1:]))
    for n_cells in (5, 500):
        codes = np.arange(n_cells) % 51 - 1
        found = vocabulary.encode(
            series_column(pd.Series(pd.Categorical.from_codes(codes, levels)))
        )
        assert found.tolist() == np.where(codes < 1, UNKNOWN, codes + N_RESERVED - 1).tolist()


@pytest.mark.parametrize("order", [1, -1])
def test_of_equal_numbers_the_same_one_stands_for_all_whatever_came_first(order):
    values = [True, 1, 1.0, Decimal("1.00"), Fraction(1), "a", Decimal("2.50"), Fraction(5, 2)]
    (column,) = read_table([[v] for v in values[::order]]).columns
    categories = learn_vocabulary(column).categories.tolist()
    assert list(map(repr, categories)) == ["True", "Decimal('2.5')", "'a'"]
