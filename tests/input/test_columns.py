"""Any container to columns: equal data gives equal columns."""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal

import duckdb
import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from scipy import sparse

from sk_entity_embed.exceptions import InvalidDataError, UnsupportedDataError
from sk_entity_embed.input.columns import _lazy_message, read_table, read_values
from sk_entity_embed.input.selection import select_categorical
from sk_entity_embed.input.vocabulary import learn_vocabulary
from tests.containers import NAMELESS, PYTHON_OBJECTS, make_container
from tests.list_containers import LIST_CONTAINERS, make_lists
from tests.samples import MIXED

KINDS = ["category", "number", "number", "number", "category"]
DAY = dt.datetime(2013, 1, 1)
READER = pa.RecordBatchReader.from_batches(pa.schema([]), [])


def read_one(column):
    """The only column of a container."""
    (column,) = read_table(column).columns
    return column


def values_of(column):
    """The cells as Python values, missing ones as None."""
    cells = column.cells.to_pylist() if isinstance(column.cells, pa.Array) else column.cells
    if column.indices is not None:
        cells = [cells[i] if i >= 0 else None for i in column.indices]
    return [None if pd.isna(v) else v for v in cells]


def test_every_container_gives_the_same_names_kinds_and_cells(container):
    table = read_table(container(MIXED))
    nameless = container.name in NAMELESS
    assert [c.name for c in table.columns] == (
        [f"x{j}" for j in range(5)] if nameless else [*MIXED]
    )
    assert table.labels == (None if nameless else [*MIXED])
    assert [c.kind for c in table.columns] == KINDS
    assert table.n_rows == 5
    assert [len(c) for c in table.columns] == [5] * 5
    assert [values_of(c) for c in table.columns] == [*MIXED.values()]
    taken = table.take(np.array([4, 0, 3]))
    expected = [[values[i] for i in (4, 0, 3)] for values in MIXED.values()]
    assert (taken.n_rows, [values_of(c) for c in taken.columns]) == (3, expected)
    header = table.header()
    assert header.shape == ((1, 5) if nameless else (0, 5))
    assert nameless or list(header.columns) == [*MIXED]


@pytest.mark.parametrize("name", [*PYTHON_OBJECTS, "polars objects"])
def test_mixed_types_are_categories_that_keep_their_type(name):
    values = [1, "1", None, (1, 2), "a", 2**70]
    if name == "polars objects":  # whose Arrow form holds addresses
        X = pl.DataFrame({"m": pl.Series(values, dtype=pl.Object)})
    else:
        X = make_container(name, {"m": values})
    column = read_one(X)
    assert (column.kind, column.is_list) == ("category", False)
    assert values_of(column) == values_of(column.last(1)) == values
    vocabulary = learn_vocabulary(column)
    assert vocabulary.keys is None
    assert vocabulary.encode(column).tolist() == [3, 5, 1, 7, 6, 4]


def test_every_missing_value_is_missing():
    for missing in (None, float("nan"), np.float32("nan"), pd.NA, pd.NaT):
        column = read_one(pd.DataFrame({"a": pd.Series(["x", missing, "y"], dtype=object)}))
        assert values_of(column) == ["x", None, "y"]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (np.array([["a"], ["b"]]), "category"),
        (np.array([[True], [False]]), "category"),
        (np.array([[b"a"], [b"b"]]), "category"),
        ([[Decimal("1.5")], [None]], "number"),
        ([[2**63 + 5], [1]], "number"),
        (pd.DataFrame({"a": pd.arrays.SparseArray([0, 0, 1])}), "number"),
        (pd.DataFrame({"a": pd.Categorical([3, 1, None])}), "category"),
        (pl.DataFrame({"a": pl.Series(["b", "a"], dtype=pl.Enum(["b", "a"]))}), "category"),
        (pa.table({"a": pa.array(["a", "b"], pa.string_view())}), "category"),
        (pa.table({"a": pa.array([b"a", None])}), "category"),
    ],
)
def test_kind_follows_the_values(values, kind):
    assert read_one(values).kind == kind


@pytest.mark.parametrize(
    "X",
    [
        pd.DataFrame({"d": pd.to_datetime(["2013-01-01", None]).tz_localize("UTC")}),
        pd.DataFrame({"d": pd.period_range("2013", "2014", freq="Y")}),
        pd.DataFrame({"d": pd.interval_range(0, 2)}),
        pl.DataFrame({"d": [dt.date(2013, 1, 1), None]}),
        pa.table({"d": [DAY, None]}),
        [[DAY], [None]],
        np.array([["2013-01-01"], ["2014-01-01"]], dtype="M8[D]"),
        np.array([[1], [2]], dtype="m8[ns]"),
    ],
)
def test_dates_and_the_like_are_neither_category_nor_number(X):
    table = read_table(X)
    assert table.columns[0].kind == "other"
    name = table.columns[0].name
    with pytest.raises(UnsupportedDataError, match=f"Column '{name}'.*categorical_features"):
        select_categorical("auto", table, X)
    assert select_categorical([0], table, X) == ([0], [])


@pytest.mark.parametrize("labels", [["x", 1], [("a", 1), ("b",)]])
def test_labels_that_are_not_strings_are_numbered(labels):
    columns = pd.Index(labels, tupleize_cols=False)
    table = read_table(pd.DataFrame([["a", "b"]], columns=columns))
    assert [c.name for c in table.columns] == ["x0", "x1"]
    assert table.labels == table.header().columns.tolist() == labels


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), InvalidDataError, "X repeats a column name"),
        (pa.table([[1], [2]], names=["a", "a"]), InvalidDataError, "(?s)X repeats .*'a'"),
        (pl.DataFrame({"a": [1]}).lazy(), UnsupportedDataError, "collect"),
        (pd.Series([1]), InvalidDataError, "to_frame"),
        ((i for i in range(3)), UnsupportedDataError, "type generator, which is not a table"),
        (pa.chunked_array([[1]]), InvalidDataError, r"pyarrow\.table"),
        (READER, UnsupportedDataError, r"X\.read_all\(\)"),
        (pd.DataFrame({"a": ["x"]}).iloc[0], InvalidDataError, r"row by X\.iloc\[\[0\]\]"),
        ([[Decimal("sNaN")], [1]], UnsupportedDataError, "'x0' .*signaling NaN"),
        ([[1], [1, 2]], InvalidDataError, "different lengths"),
        (pd.DataFrame({"a": []}), InvalidDataError, r"0 sample\(s\)"),
        ([[]], InvalidDataError, r"0 feature\(s\)"),
        (np.zeros((2, 2, 2)), ValueError, "dim 3"),
        ([1, 2], ValueError, "1D array"),
        (None, ValueError, "scalar"),
        (sparse.csr_array(np.eye(2)), TypeError, "[Ss]parse"),
        (np.array([[1j]]), ValueError, "Complex data not supported"),
        (pd.DataFrame({"z": [1j]}), InvalidDataError, "Complex data not supported: column 'z'"),
        ([["a", 1j]], InvalidDataError, "Complex data not supported: column 'x1'"),
        (pd.DataFrame({"tags": [{"x"}, {"y"}]}), UnsupportedDataError, "'tags'.*sorted lists"),
        (pd.DataFrame({"tags": [[{"x"}]]}), UnsupportedDataError, "'tags'.*hashed"),
        (pd.DataFrame({"tags": [["x"], "y"]}), InvalidDataError, r"'tags'.*row 1.*\['y'\]"),
        (pd.DataFrame({"tags": [[["x"]], ["y"]]}), UnsupportedDataError, "'tags'.*Flatten"),
        (pa.table({"tags": [[{"x": 1}]]}), UnsupportedDataError, "'tags'.*Flatten"),
        (pl.DataFrame({"tags": [{"x": 1}]}), UnsupportedDataError, "'tags'.*nested"),
    ],
)
def test_unusable_tables_are_refused_by_name(X, error, message):
    with pytest.raises(error, match=message):
        read_table(X)


@pytest.mark.parametrize(
    "X",
    [[["7"], ["8"]], [["a"], [7]], pd.DataFrame({"x0": pd.Categorical([7])}), [[DAY]], [[[1, 2]]]],
    ids=["text", "mixed", "levels", "date", "lists"],
)
def test_what_is_no_number_is_refused_by_name_where_numbers_were(X):
    column = read_one(X)
    assert not column.holds_numbers
    with pytest.raises(InvalidDataError, match=r"Column 'x0' must hold numbers"):
        column.to_numbers()


def test_booleans_and_missing_cells_are_numbers_where_numbers_are_asked_for(container):
    X = container({"flag": [False, True, True], "n": [1, None, 3], "none": [None] * 3})
    flag, n, none = read_table(X).columns
    np.testing.assert_array_equal(n.to_numbers(), [1.0, np.nan, 3.0])
    assert np.isnan(none.to_numbers()).all()
    if container.name != "pandas_category":
        assert flag.to_numbers().tolist() == [0.0, 1.0, 1.0]


@pytest.mark.parametrize(
    "type_", [pa.string(), pa.int64(), pa.dictionary(pa.int8(), pa.string())], ids=str
)
def test_chunked_arrow_columns_of_pandas_are_read_whole(type_):
    cells = [[1, 2], [3, 1]] if type_ == pa.int64() else [["a", "b"], ["c", "a"]]
    parts = [
        pd.DataFrame({"c": pd.Series(pd.array(part, dtype=pd.ArrowDtype(type_)))}) for part in cells
    ]
    column = read_one(pd.concat(parts, ignore_index=True))
    assert learn_vocabulary(column).encode(column).tolist() == [3, 4, 5, 3]
    chunks = [pa.array(v).dictionary_encode() for v in (["a", "b"], ["b", "c"])]
    unified = read_one(pa.table({"a": pa.chunked_array(chunks)}))
    assert values_of(unified) == ["a", "b", "b", "c"]


LISTS = [["b", "a"], None, [], ["a", None, "ü漢"], ["b"]]


def lists_of(column):
    """The cells of a column of lists, missing ones as None."""
    items, offsets = values_of(column.items), column.offsets
    cells = [items[offsets[i] : offsets[i + 1]] for i in range(len(column))]
    assert offsets[-1] == len(items)
    assert not any(cell for cell, absent in zip(cells, column.absent, strict=True) if absent)
    return [None if absent else cell for cell, absent in zip(cells, column.absent, strict=True)]


@pytest.mark.parametrize("name", LIST_CONTAINERS)
def test_every_container_gives_the_same_lists(name):
    column = read_one(make_lists(name, LISTS))
    assert column.name == ("x0" if name in NAMELESS else "tags")
    assert (column.kind, column.is_list, column.holds_numbers) == ("list", True, False)
    assert (len(column), len(column.items)) == (5, 6)
    assert lists_of(column) == LISTS
    assert column.offsets.dtype == np.int64
    assert not column.items.is_list
    taken = column.take(np.array([4, 3, 3, 1, 0, 2]))
    assert lists_of(taken) == [LISTS[i] for i in (4, 3, 3, 1, 0, 2)]
    assert lists_of(column.last(2)) == [cell and cell[-2:] for cell in LISTS]
    assert lists_of(column.last(9).take(np.array([3, 1]))) == [LISTS[3], None]
    assert (taken.kind, column.last(1).kind) == ("list", "list")


def test_lists_of_a_fixed_size_and_without_items_are_lists():
    pairs = pa.array([["c", "d"], ["a", "b"], None], pa.list_(pa.string(), 2))[1:]
    of_polars = pl.Series([["a", "b"], None], dtype=pl.Array(pl.String, 2))
    for X in (pa.table({"a": pairs}), pl.DataFrame({"a": of_polars})):
        assert lists_of(read_one(X)) == [["a", "b"], None]
    for X in ([[[]], [None]], pl.DataFrame({"a": [[], None]}), pa.table({"a": [[], None]})):
        assert lists_of(read_one(X)) == [[], None]


@pytest.mark.parametrize(
    ("values", "items"),
    [
        ([[1, None], [3]], pa.array([1, None, 3])),
        ([[1.5], [2.0, float("nan")]], pa.array([1.5, 2.0, None])),
        ([["1", "2"], ["a,b"]], pa.array(["1", "2", "a,b"], pa.large_string())),
        ([[DAY], [DAY]], np.array([DAY, DAY], dtype=object)),
    ],
)
def test_items_are_typed_together_whatever_holds_them(values, items):
    for X in ([[v] for v in values], pa.table({"a": values}), pl.DataFrame({"a": values})):
        column = read_one(X)
        assert column.kind == "list"
        assert type(column.cells) is type(items)
        assert column.cells.tolist() == items.tolist()


def test_tables_of_other_libraries_are_told_how_to_load_themselves():
    ways = {"DASK": "compute", "IBIS": "to_pyarrow", "PYSPARK": "toPandas"}
    for implementation, way in ways.items():
        message = _lazy_message(nw.Implementation[implementation], "X")
        assert re.search(rf"table of {implementation.lower()} .*{way}\(\)", message)


def test_relations_of_duckdb_are_told_how_to_load_themselves():
    with duckdb.connect() as connection:
        relation = connection.sql("SELECT 1 AS a")
        try:
            nw.from_native(relation)
        except ModuleNotFoundError:
            pytest.skip("this version of narwhals does not know this version of DuckDB")
        with pytest.raises(UnsupportedDataError, match=r"of duckdb .*X\.to_arrow_table\(\)"):
            read_table(relation)


def test_record_batches_and_chunks_of_any_encoding_are_read():
    batch = pa.record_batch({"a": pa.array(["x", None])})
    assert read_table(batch).columns[0].cells.to_pylist() == ["x", None]
    runs = pc.run_end_encode(pa.chunked_array([["x", None], ["x", "y"]]))
    (column,) = read_table(pa.table({"a": runs})).columns
    assert column.cells.to_pylist() == ["x", None, "x", "y"]
    levels = pa.array(["p", None, "q"]).dictionary_encode()
    coded = pa.RunEndEncodedArray.from_arrays([2, 3, 5], levels)
    for part, expected in ((coded, ["p", "p", None, "q", "q"]), (coded[1:4], ["p", None, "q"])):
        (column,) = read_table(pa.table({"a": part})).columns
        assert ["pq"[i] if i >= 0 else None for i in column.indices] == expected
    lists = pa.ListArray.from_arrays([0, 2, 3], pc.run_end_encode(pa.array(["x", "x", "y"])))
    (column,) = read_table(pa.table({"a": lists})).columns
    assert column.cells.to_pylist() == ["x", "x", "y"]
    flags = pa.ExtensionArray.from_storage(pa.bool8(), pa.array([1, 0, None], pa.int8()))
    for array in (flags, pa.chunked_array([flags])):
        (column,) = read_table(pa.table({"a": array})).columns
        assert column.cells.equals(pa.array([True, False, None]))


def test_integers_of_128_bits_are_read_wherever_they_are():
    wide = pl.Series([1, 2**40, 3], dtype=pl.Int128)
    assert read_table(pl.DataFrame({"a": wide})).columns[0].cells.to_pylist() == [1, 2**40, 3]
    (column,) = read_table(pl.DataFrame({"a": [[1], [2, 3]]}, {"a": pl.List(pl.Int128)})).columns
    assert column.is_list
    assert column.cells.to_pylist() == [1, 2, 3]
    assert read_values(wide).tolist() == [1, 2**40, 3]
    assert read_values(wide).dtype == np.int64
    assert read_values(pl.DataFrame({"a": wide, "b": wide})).dtype == np.int64


def test_decimals_are_numbers_and_are_rounded_once():
    values = [Decimal("1.2"), None, Decimal("-3")]
    for cells in (values, pa.array(values, pa.decimal128(9, 4))):
        column = read_one(pa.table({"a": cells}))
        assert (column.kind, column.holds_numbers, column.holds_fractions) == ("number", True, True)
        np.testing.assert_array_equal(column.to_numbers(), [1.2, np.nan, -3.0])
    beyond = read_one([[Decimal(10) ** 400], [10**400], [0.5]])
    with pytest.raises(InvalidDataError, match="'x0' has a number beyond the range of float64"):
        beyond.to_numbers()
