"""Look-up tables and SQL: data bases give what transform gives."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import date, datetime
from fractions import Fraction
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from sk_entity_embed.exceptions import (
    InvalidDataError,
    InvalidParameterError,
    UnsupportedDataError,
)
from sk_entity_embed.export import lookup, lookup_frames, sql, to_parquet
from tests.export.fitted import make_list_encoder, make_list_rows, make_new_lists
from tests.samples import make_encoder

SEEN = {
    "text": ["a", "A", "a ", "", "it's", 'q"q', "x\ny\tz", "\0", "漢ü", "<script>", "NULL", "%"],
    "integer": [-1, 0, 1, 2, 2**62, -(2**63)],
    "real": [0.0, 0.1, -2.5, 1e300, 5e-324, float("inf")],
    "flag": [True, False],
    "day": [date(2020, 1, 1), date(1969, 12, 31), date(2024, 2, 29)],
    "moment": [datetime(2020, 1, 1), datetime(2020, 1, 1, 3, 4, 5, 678901)],
}
"""Categories of fit, by kind of column."""

NEW = {
    "text": ["b", "b ", "null", "漢", "drop table", "--"],
    "integer": [3, 2**61, -2],
    "real": [-0.0, 0.2, 1e-300, float("nan"), float("-inf")],
    "flag": [],
    "day": [date(2020, 1, 2)],
    "moment": [datetime(2020, 1, 1, 3, 4, 5, 678902)],
}
"""What was not in fit, and other ways to write what was."""

TYPES = {"integer": pa.int64(), "real": pa.float64(), "flag": pa.bool_(), "day": pa.date32()}
TYPES |= {"text": pa.string(), "moment": pa.timestamp("us")}


def draw(random, kinds, n, *, new=False, missing=0.1):
    """A table of random cells, with the number "size" and a target."""
    columns = {}
    for kind in kinds:
        choices = SEEN[kind] + NEW[kind] if new else SEEN[kind]
        cells = [choices[i] for i in random.integers(0, len(choices), n)]
        cells = [None if random.random() < missing else cell for cell in cells]
        columns[kind] = pa.array(cells, type=TYPES[kind])
    size = np.where(random.random(n) < 0.1, np.nan, random.normal(size=n) * 1e9)
    columns["size"] = pa.array(size, from_pandas=True)
    return pa.table(columns)


def fit(kinds=tuple(SEEN), missing=0.1, **params):
    """An encoder of random rows."""
    random = np.random.default_rng(0)
    X = draw(random, kinds, 240, missing=missing)
    params = {"categorical_features": list(kinds), "dimensions": 3, "cv": 2, **params}
    return make_encoder(**params).fit(X, random.normal(size=240))


def run(query, **tables):
    """Result of a query in a new DuckDB, as float32, ordered by the first column."""
    with duckdb.connect() as connection:
        for name, table in tables.items():
            connection.register(name, table)
        result = connection.sql(query).to_arrow_table().sort_by("id")
    assert all(t == pa.float32() for t in result.schema.types[1:])
    assert result["id"].to_pylist() == list(range(result.num_rows))
    names = result.column_names[1:]
    return names, np.column_stack([result[n].to_numpy() for n in names])


def with_id(table):
    return table.append_column("id", pa.array(range(table.num_rows)))


@pytest.fixture(scope="module")
def encoder():
    return fit(remainder="passthrough")


@pytest.mark.parametrize(
    ("form", "params"),
    [
        ("inline", {"remainder": "passthrough"}),
        ("files", {"remainder": "passthrough"}),
        ("tables", {}),
        ("frames", {"handle_unknown": "zero"}),
        ("inline", {"handle_unknown": "nan"}),
        ("files", {"handle_unknown": "nan"}),
        ("inline", {"missing": 0.0}),
        ("files", {"missing": 0.0, "handle_missing": "error"}),
        ("files", {"min_frequency": 25, "kinds": ("day", "text"), "cross_fit": False}),
        ("inline", {"head": "dot", "remainder": "passthrough", "dimensions": 1}),
        ("files", {"head": "dot", "handle_unknown": "nan", "kinds": ("text", "flag")}),
    ],
    ids=str,
)
def test_duckdb_gives_the_same_numbers(form, params, tmp_path):
    encoder = fit(**params)
    kinds = encoder.categorical_features_
    rows = draw(np.random.default_rng(1), kinds, 300, new=True, missing=params.get("missing", 0.1))
    if encoder.handle_missing == "error":  # NaN is missing
        rows = rows.filter(pc.invert(pc.is_nan(rows["real"])))
    tables = {"rows": with_id(rows)}
    lookups = None
    if form != "inline":
        lookups = to_parquet(encoder, tmp_path / "it's [a] *folder?")
    if form in ("tables", "frames"):
        frames = lookup_frames(encoder)
        for name, path in lookups.items():
            tables[f"v {name}"] = pq.read_table(path) if form == "tables" else frames[name]
        lookups = {name: f"v {name}" for name in lookups}
    names, found = run(sql(encoder, "rows", lookups=lookups, keep=["id"]), **tables)
    assert names == encoder.get_feature_names_out().tolist()
    expected = encoder.transform(rows)
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == np.float32
    # Bit for bit, the sign of zero included, but for the payload of NaN.
    assert (np.signbit(found) == np.signbit(expected))[~np.isnan(found)].all()


def test_pandas_rows_and_other_numeric_types(tmp_path):
    encoder = fit(kinds=("integer", "real", "flag"))
    floats = pd.DataFrame(
        {
            "integer": [1.0, np.nan, 1.5, 2.0**62, 0.0],
            "real": np.array([0.1, 0.0, -2.5, np.nan, np.inf], dtype=np.float32),
            "flag": [1, 0, 2, 1, 1],
            "size": 0.0,
        }
    )
    for lookups in (None, to_parquet(encoder, tmp_path)):
        query = sql(encoder, "rows", lookups=lookups, keep="id")
        _, found = run(query, rows=floats.assign(id=range(5)))
        np.testing.assert_array_equal(found, encoder.transform(floats))


def test_floats_find_one_of_the_integers_they_may_stand_for(tmp_path):
    near = [2**53, 2**53 + 1, 2**53 + 3, 2**53 + 4, 2**24, 2**24 + 1]
    X = pd.DataFrame({"n": near * 20})
    encoder = make_encoder(categorical_features="all", cv=2).fit(X, np.linspace(0, 1, 120))
    floats = [float(n) for n in near]
    for cells in (floats, np.float32(floats), np.float32([2**24 + 2, 0.5, np.nan] * 2), near):
        new = pd.DataFrame({"n": cells, "id": range(6)})
        for lookups in (None, to_parquet(encoder, tmp_path)):
            _, found = run(sql(encoder, "rows", lookups=lookups, keep="id"), rows=new)
            np.testing.assert_array_equal(found, encoder.transform(new[["n"]]))


@pytest.mark.parametrize("name", ["select", "kind", 'x"; --'])
def test_names_that_mean_something(name, tmp_path):
    X = pd.DataFrame({name: ["a", "b", None] * 20})
    encoder = make_encoder(cv=2, dimensions=2).fit(X, np.random.default_rng(0).normal(size=60))
    for lookups in (None, to_parquet(encoder, tmp_path)):
        _, found = run(
            sql(encoder, "rows", keep="id", lookups=lookups), rows=X.assign(id=range(60))
        )
        np.testing.assert_array_equal(found, encoder.transform(X))


def test_the_rows_may_be_called_as_the_query_calls_its_own(encoder):
    rows = draw(np.random.default_rng(2), list(SEEN), 20, new=True)
    for name in ("Lookup_1", "r"):
        _, found = run(sql(encoder, name, keep="id"), **{name: with_id(rows)})
        np.testing.assert_array_equal(found, encoder.transform(rows))
    _, found = run(sql(encoder, ["lookup_0"], keep="id"), lookup_0=with_id(rows))
    np.testing.assert_array_equal(found, encoder.transform(rows))


def fit_columns(*categorical, **numbers):
    """An encoder, with columns of these names, and its rows."""
    X = pd.DataFrame({name: ["a", "b"] * 20 for name in categorical} | numbers)
    encoder = make_encoder(
        categorical_features=list(categorical),
        remainder="passthrough",
        cv=2,
        max_iter=1,
        dimensions=1,
    )
    return encoder.fit(X, np.random.default_rng(0).normal(size=40)), X


ALPHABETS = [  # two names, and whether Java's equalsIgnoreCase takes them for one
    ("\u0131", "i", True),
    ("\u00b5", "\u03bc", True),
    ("\u00df", "ss", False),
]


@pytest.mark.parametrize(("name", "other", "alike"), ALPHABETS)
def test_case_beyond_ascii_counts_in_duckdb_and_not_elsewhere(name, other, alike):
    encoder, X = fit_columns(name, other)
    query = sql(encoder, "rows", keep="id")
    names, found = run(query, rows=X.assign(id=range(40)))
    assert list(names) == list(encoder.get_feature_names_out())
    np.testing.assert_array_equal(found, encoder.transform(X))
    if not alike:
        assert sql(encoder, "rows", dialect="standard")
        return
    with pytest.raises(InvalidDataError, match="are one name to databases that ignore"):
        sql(encoder, "rows", dialect="standard")


@pytest.mark.parametrize(
    ("categorical", "numbers", "keep", "pair", "dialect"),
    [
        (["Type", "type"], [], [], {"Type", "type"}, "duckdb"),
        (["Type"], ["TYPE"], [], {"Type", "TYPE"}, "standard"),
        (["g"], ["G_0"], [], {"g_0", "G_0"}, "duckdb"),
        (["g"], [], ["G_0"], {"g_0", "G_0"}, "standard"),
        (["g"], ["n"], ["G"], {"g", "G"}, "duckdb"),
        (["g"], ["n"], ["x", "X"], {"x", "X"}, "duckdb"),
    ],
)
def test_names_that_differ_in_case_only_are_refused(categorical, numbers, keep, pair, dialect):
    encoder, _ = fit_columns(*categorical, **dict.fromkeys(numbers, 1.0))
    error = InvalidParameterError if keep else InvalidDataError
    with pytest.raises(error, match="are one name to") as found:
        sql(encoder, "rows", keep=keep, dialect=dialect)
    assert all(repr(name) in str(found.value) for name in pair)
    assert ("leave it out of `keep`" in str(found.value)) == bool(keep)


def test_names_that_no_database_has_are_refused():
    name = "a\0b"
    encoder, _ = fit_columns(name, "b")
    with pytest.raises(InvalidDataError, match="has a name that SQL does not allow"):
        sql(encoder, "rows")
    encoder, _ = fit_columns("b")
    for keep in ("", name, "\ud800", 3):
        with pytest.raises(InvalidParameterError, match=r"`keep` has .* SQL does not allow"):
            sql(encoder, "rows", keep=[keep])


def test_a_file_has_each_name_once_whatever_its_case(tmp_path):
    encoder, X = fit_columns("kind", "KIND", "category", "Category_0", "type", "Type")
    paths = to_parquet(encoder, tmp_path)
    assert len({path.name.casefold() for path in paths.values()}) == 6
    expected = pd.DataFrame(encoder.transform(X[:2]), columns=encoder.get_feature_names_out())
    for name, path in paths.items():
        with duckdb.connect() as connection:
            found = connection.read_parquet(str(path)).to_arrow_table()
        assert found.column_names == [
            "category",
            "kind",
            f"{name}_0",
        ]  # DuckDB renames repeated ones
        assert found[f"{name}_0"].to_pylist()[:2] == expected[f"{name}_0"].tolist()


def test_a_folder_is_not_taken_for_a_column(tmp_path):
    encoder, X = fit_columns("g")
    query = sql(encoder, "rows", keep="id", lookups=to_parquet(encoder, tmp_path / "kind=missing"))
    _, found = run(query, rows=X.assign(id=range(40)))
    np.testing.assert_array_equal(found, encoder.transform(X))


def test_no_collation_finds_two_rows_for_one(encoder):
    rows = draw(np.random.default_rng(2), list(SEEN), 50, new=True)
    query = sql(encoder, "rows", keep=["id"])
    with duckdb.connect() as connection:
        connection.execute("SET default_collation = 'nocase'")
        connection.register("given", with_id(rows))
        changed = "* REPLACE (text COLLATE nocase AS text)"
        connection.execute(f"CREATE TABLE rows AS SELECT {changed} FROM given")
        found = connection.sql(query).to_arrow_table().sort_by("id")
    assert found["id"].to_pylist() == list(range(50))
    found = np.column_stack([found[n].to_numpy() for n in found.column_names[1:]])
    np.testing.assert_array_equal(found, encoder.transform(rows))


def test_qualified_names_and_files_of_rows(encoder, tmp_path):
    rows = draw(np.random.default_rng(2), list(SEEN), 20, new=True)
    path = tmp_path / "a[b]'c*.parquet"
    pq.write_table(with_id(rows), path)
    pq.write_table(with_id(rows), tmp_path / "a[b]'cd.parquet")
    _, found = run(sql(encoder, path, keep="id"))
    np.testing.assert_array_equal(found, encoder.transform(rows))
    with duckdb.connect() as connection:
        connection.register("given", rows)
        connection.execute('CREATE SCHEMA "s.t"; CREATE TABLE "s.t"."lookup_0" AS FROM given')
        found = connection.sql(sql(encoder, ("s.t", "lookup_0"))).fetchall()
    assert len(found) == 20


@pytest.mark.parametrize("form", ["inline", "files"])
def test_what_transform_refuses_fails(form, tmp_path):
    encoder = fit(kinds=("text",), handle_unknown="error", missing=0.0)
    lookups = to_parquet(encoder, tmp_path) if form == "files" else None
    query = sql(encoder, "rows", lookups=lookups, keep="id")
    size = pa.array([0.0, 0.0])
    fine = pa.table({"text": ["a", ""], "size": size})
    _, found = run(query, rows=with_id(fine))
    np.testing.assert_array_equal(found, encoder.transform(fine))
    for cell in ("b", None):
        bad = pa.table({"text": ["a", cell], "size": size})
        with pytest.raises(ValueError, match="text"):
            encoder.transform(bad)
        with pytest.raises(duckdb.Error, match="Column 'text' has missing or unknown values"):
            run(query, rows=with_id(bad))


def test_missing_cells_may_be_refused_alone():
    encoder = fit(kinds=("text",), handle_missing="error", missing=0.0)
    query = sql(encoder, "rows", keep="id")
    fine = pa.table({"text": ["a", "unheard of"], "size": [0.0, 0.0]})
    _, found = run(query, rows=with_id(fine))
    np.testing.assert_array_equal(found, encoder.transform(fine))
    with pytest.raises(duckdb.Error, match="has missing values"):
        run(query, rows=with_id(pa.table({"text": pa.array([None], pa.string())})))


def test_standard_sql_in_another_database(monkeypatch):
    monkeypatch.setitem(SEEN, "text", [t for t in SEEN["text"] if t != "\0"])
    encoder = fit(kinds=("text", "integer", "flag"), remainder="passthrough")
    rows = draw(np.random.default_rng(3), ["text", "integer", "flag"], 200, new=True)
    query = sql(encoder, "rows", keep=["id"], dialect="standard")
    for name in ("isnan", "read_parquet", "error("):
        assert name not in query
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE rows (text TEXT, integer INTEGER, flag, size, id)")
        cells = list(zip(*with_id(rows).to_pydict().values(), strict=True))
        connection.executemany("INSERT INTO rows VALUES (?, ?, ?, ?, ?)", cells)
        found = connection.execute(query).fetchall()
    found = np.array(sorted(found), dtype=np.float64)[:, 1:].astype(np.float32)
    np.testing.assert_array_equal(found, encoder.transform(rows))


def test_the_query_refuses_what_is_no_look_up():
    for output in ("hidden", "both", "stacking"):
        encoder = fit(kinds=("flag",), output=output)
        with pytest.raises(InvalidParameterError, match=f"output='{output}'"):
            sql(encoder, "rows")
        assert list(lookup_frames(encoder)["flag"].columns[2:]) == ["flag_0", "flag_1", "flag_2"]


def test_bad_parameters(encoder, tmp_path):
    with pytest.raises(InvalidParameterError, match=r"`lookups` lacks the columns \['integer'"):
        sql(encoder, "rows", lookups={"text": "t"})
    with pytest.raises(
        InvalidParameterError,
        match=r"'text_0', which is also the name of an output column",
    ):
        sql(encoder, "rows", keep=["text_0"])
    with pytest.raises(InvalidParameterError, match=r"^`keep` has 'id' more than once\. Write it"):
        sql(encoder, "rows", keep=["id", "id"])
    message = r"^`keep` must be a list of names of columns, got None\. Give \(\) to keep none"
    with pytest.raises(InvalidParameterError, match=message):
        sql(encoder, "rows", keep=None)
    with pytest.raises(InvalidParameterError, match="`dialect` is 'mysql'"):
        sql(encoder, "rows", dialect="mysql")
    for table in ("", [], 3, ["a", ""], ["a", 1], "a\0", ["\ud800"], Path("a\0b")):
        with pytest.raises(InvalidParameterError, match="`table` must be the name"):
            sql(encoder, table)
    with pytest.raises(InvalidParameterError, match="`table` is a file"):
        sql(encoder, tmp_path, dialect="standard")
    with pytest.raises(InvalidParameterError, match="`lookups` must be the name"):
        sql(encoder, "rows", lookups=dict.fromkeys(SEEN, 3))
    assert sql(encoder, "rows", lookups=dict.fromkeys(SEEN)) == sql(encoder, "rows")


def test_frames_hold_what_transform_gives(encoder):
    frames = lookup_frames(encoder)
    assert list(frames) == list(SEEN)
    names = [n for frame in frames.values() for n in frame.columns[2:]]
    assert [*names, "size"] == encoder.get_feature_names_out().tolist()
    for kind, frame in frames.items():
        assert frame["kind"].tolist() == ["category"] * len(SEEN[kind]) + ["missing", "unknown"]
        assert frame["category"].isna().tolist() == [False] * len(SEEN[kind]) + [True, True]
        assert (frame.dtypes[2:] == np.float32).all()
        assert set(frame["category"].dropna()) == set(SEEN[kind])
    assert [str(frames[k]["category"].dtype) for k in ("integer", "real", "flag")] == [
        "Int64",
        "float64",
        "boolean",
    ]
    rows = draw(np.random.default_rng(4), list(SEEN), 50, new=True)
    expected = encoder.transform(rows)
    frame = frames["text"].set_index("category")
    known = frame[frame["kind"] == "category"].drop(columns="kind")
    by_kind = frame.set_index("kind").loc[["missing", "unknown"]]
    for i, cell in enumerate(rows["text"].to_pylist()):
        row = by_kind.loc["missing"] if cell is None else by_kind.loc["unknown"]
        row = known.loc[cell] if cell in known.index else row
        np.testing.assert_array_equal(row.to_numpy(), expected[i, :3])


def test_frames_of_periods_and_intervals_join(tmp_path):
    random = np.random.default_rng(0)
    X = pd.DataFrame(
        {
            "month": pd.Series(pd.period_range("2026-01", periods=90, freq="M")[np.arange(90) % 4]),
            "band": pd.cut(random.random(90), [0, 0.3, 0.6, 1]),
            "span": pd.Series(pd.arrays.IntervalArray.from_breaks(range(91))[np.arange(90) % 3]),
        }
    )
    encoder = make_encoder(categorical_features="all", cv=2).fit(X, random.normal(size=90))
    for name, frame in lookup_frames(encoder).items():
        vectors = frame[frame["kind"] == "category"].drop(columns="kind")
        joined = X[[name]].merge(vectors, left_on=name, right_on="category", how="left")
        expected = encoder.set_output(transform="pandas").transform(X)
        pd.testing.assert_frame_equal(joined.iloc[:, 2:], expected[joined.columns[2:]])


def test_files_change_together(tmp_path, monkeypatch):
    before = {p: p.read_bytes() for p in to_parquet(fit_columns("a", "b")[0], tmp_path).values()}
    encoder, _ = fit_columns("a", "b", n=np.arange(40.0))
    write = lookup.pq.write_table

    def full(table, file):
        write(table, file)
        if "b_0" in table.column_names:
            raise OSError("No space left on device")

    monkeypatch.setattr(lookup.pq, "write_table", full)
    with pytest.raises(OSError, match="No space left"):
        to_parquet(encoder, tmp_path)
    assert {p: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_files(encoder, tmp_path):
    paths = to_parquet(encoder, str(tmp_path / "new" / "folder"))
    assert {n: p.name for n, p in paths.items()} == {n: f"{n}.parquet" for n in SEEN}
    schemas = {n: pq.read_schema(p).field("category").type for n, p in paths.items()}
    assert pa.types.is_timestamp(schemas.pop("moment"))  # in the unit of the version of pandas
    expected = {**TYPES, "text": pa.large_string()}
    del expected["moment"]
    assert schemas == expected
    for name, frame in lookup_frames(encoder).items():
        read = pd.read_parquet(paths[name])
        assert read.columns.tolist() == frame.columns.tolist()
        np.testing.assert_array_equal(read.iloc[:, 1:], frame.iloc[:, 1:])


BAD_KEYS = {
    "int, str": [1, "1"],
    "tuple": [(1, 2), (3, 4)],
    "str": ["\ud800", "a"],
    "int": [2**70, 1],
    "Interval": [pd.Interval(0, 1), pd.Interval(1, 2)],
    "Fraction": [Fraction(1, 2), Fraction(1, 3)],
}


@pytest.mark.parametrize("types", BAD_KEYS)
def test_categories_that_are_no_keys_are_refused_before_writing(types, tmp_path):
    X = np.empty((40, 2), dtype=object)
    X[:, 0] = ["a", "b"] * 20
    X[:, 1] = np.fromiter(BAD_KEYS[types] * 20, dtype=object, count=40)
    encoder = make_encoder(cv=2, max_iter=1, categorical_features="all")
    encoder.fit(X, np.random.default_rng(0).normal(size=40))
    message = f"column 'x1' cannot be keys of a table: they are of type {types}"
    with pytest.raises(UnsupportedDataError, match=message):
        to_parquet(encoder, tmp_path / "folder")
    assert not (tmp_path / "folder").exists()
    with pytest.raises(UnsupportedDataError, match=message):
        sql(encoder, "rows")


NO_LITERALS = {
    "bytes": [b"a", b"\0"],
    "nano": [pd.Timestamp("2020-01-01 00:00:00.000000001"), pd.Timestamp("2020-01-02")],
}


@pytest.mark.parametrize("kind", NO_LITERALS)
def test_keys_without_literals_go_by_files(kind, tmp_path):
    X = pd.DataFrame({"x": NO_LITERALS[kind] * 20})
    encoder = make_encoder(cv=2, max_iter=1, categorical_features="all")
    encoder.fit(X, np.random.default_rng(0).normal(size=40))
    with pytest.raises(UnsupportedDataError, match="'x' cannot be written into a query"):
        sql(encoder, "rows")
    query = sql(encoder, "rows", keep="id", lookups=to_parquet(encoder, tmp_path))
    rows = pa.table({"x": pa.array(X["x"]), "id": range(40)})
    _, found = run(query, rows=rows)
    np.testing.assert_array_equal(found, encoder.transform(X))


@pytest.mark.parametrize("kind", ["real", "text"])
def test_standard_sql_has_no_infinity_and_no_zero_byte(kind):
    encoder = fit(kinds=(kind,))
    with pytest.raises(UnsupportedDataError, match=f"'{kind}' cannot be written into a query"):
        sql(encoder, "rows", dialect="standard")
    assert 'FROM "rows"' in sql(encoder, "rows", dialect="standard", lookups={kind: "t"})


def pooled_by_hand(frame, cell, way, max_length):
    """A list's vector, by the rows of the table of items."""
    vectors = frame.iloc[:, 2:].to_numpy()
    of_kind = {kind: vectors[i] for i, kind in enumerate(frame["kind"]) if kind != "category"}
    of_item = {
        item: vectors[i]
        for i, (item, kind) in enumerate(zip(frame["category"], frame["kind"], strict=True))
        if kind == "category"
    }
    if cell is None:
        return of_kind["missing"]
    if not cell:
        return of_kind["empty"]
    items = cell[-max_length:] if max_length else cell
    rows = [of_kind["missing"] if i is None else of_item.get(i, of_kind["unknown"]) for i in items]
    return getattr(np.array(rows, dtype=np.float64), way)(axis=0).astype(np.float32)


def test_tables_of_items_are_all_that_pooling_needs(tmp_path):
    X, y = make_list_rows()
    encoder = make_list_encoder(handle_unknown="zero").fit(X, y)
    frames, paths = lookup_frames(encoder), to_parquet(encoder, tmp_path)
    new = make_new_lists()
    expected = dict(zip(encoder.get_feature_names_out(), encoder.transform(new).T, strict=True))
    for way in ("mean", "sum", "max"):
        assert frames[way]["kind"].tolist()[-3:] == ["missing", "empty", "unknown"]
        stored = pd.read_parquet(paths[way])
        assert stored["kind"].tolist() == frames[way]["kind"].tolist()
        found = [pooled_by_hand(frames[way], c, way, 2 if way == "sum" else 0) for c in new[way]]
        columns = [n for n in expected if n.startswith(f"{way}_")]
        assert frames[way].columns.tolist() == ["category", "kind", *columns]
        np.testing.assert_array_equal(stored[columns], frames[way][columns])
        np.testing.assert_array_equal(np.array(found).T, [expected[n] for n in columns])
    assert "empty" not in set(frames["letter"]["kind"])


def test_empty_lists_have_a_row_where_they_are_served():
    X, y = make_list_rows()
    frames = lookup_frames(make_list_encoder(handle_unknown="error").fit(X, y))
    assert frames["mean"]["kind"].tolist()[-2:] == ["missing", "empty"]
    assert set(frames["max"]["kind"]) == {"category"}  # there, an empty list is unknown
    frames = lookup_frames(make_list_encoder().fit(X, y))
    unknown, empty = (frames["max"].set_index("kind").loc[k][1:] for k in ("unknown", "empty"))
    assert unknown.tolist() == empty.tolist()


def test_queries_refuse_lists():
    encoder = make_list_encoder().fit(*make_list_rows())
    with pytest.raises(UnsupportedDataError, match=r"The query .* column 'mean' holds lists"):
        sql(encoder, "rows")


def test_frames_of_intervals_that_pandas_has_no_type_for():
    spans = [pd.Interval(0, 2**63 + 2), pd.Interval(0, 2**70), pd.Interval(np.int8(0), 1)]
    X = pd.DataFrame({"span": pd.Series(spans * 20, dtype=object)})
    encoder = make_encoder(categorical_features="all", cv=2)
    encoder.fit(X, np.random.default_rng(0).normal(size=60))
    assert set(lookup_frames(encoder)["span"]["category"][:3]) == set(spans)
    assert set(encoder.embeddings_["span"].index) == set(spans)


def test_spark_has_its_own_names_texts_and_files(tmp_path):
    X = pd.DataFrame({"a`b": ["O'Hare", "C:\\new"] * 30, "n": np.arange(60.0)})
    settings = {"max_iter": 1, "dimensions": 1}
    encoder = make_encoder(handle_unknown="error", remainder="passthrough", **settings)
    encoder.fit(X, X["n"] + 0.5)
    query = sql(encoder, ("db", "rows"), keep=["id"], dialect="spark")
    assert "FROM `db`.`rows` AS `r`" in query
    assert "('O''Hare', 'category'" in query
    assert "('C:\\\\new', 'category'" in query
    assert "CAST(`c0`.`category` AS BINARY) = CAST(`r`.`a``b` AS BINARY)" in query
    assert "THEN raise_error('Column ''a`b'' has missing or unknown values" in query
    assert "CAST(CAST(`r`.`n` AS DOUBLE) AS REAL) AS `n`" in query
    assert '"' not in query
    lookups = to_parquet(encoder, tmp_path / "x`y")
    query = sql(encoder, "rows", lookups=lookups, dialect="spark")
    assert f"(SELECT * FROM parquet.`{tmp_path}/x``y/" in query
    both = make_encoder(categorical_features="all", **settings)
    both.fit(pd.DataFrame(dict.fromkeys(["é", "É"], X["n"])), X["n"] + 0.5)
    with pytest.raises(InvalidDataError, match="are one name to Spark"):
        sql(both, "rows", dialect="spark")
