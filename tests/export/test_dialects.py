"""SQL in the dialects that sqlglot writes: databases give what ``transform`` gives."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import subprocess
import tempfile
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest

from sk_entity_embed.exceptions import (
    EmptyColumnWarning,
    InvalidDataError,
    InvalidParameterError,
    UnsupportedDataError,
)
from sk_entity_embed.export import lookup_frames, sql
from sk_entity_embed.export._dialects import DIALECTS
from tests.export.test_lookup import SEEN, draw, fit, with_id
from tests.samples import make_encoder

sqlglot = pytest.importorskip("sqlglot")

KINDS = ("text", "integer", "real", "flag", "day", "moment")
TYPES = {
    **{"text": "text", "integer": "bigint", "real": "double precision", "flag": "boolean"},
    **{"day": "date", "moment": "timestamp", "size": "double precision", "id": "integer"},
}
TEXTS = [text for text in SEEN["text"] if text != "\0"]


@pytest.fixture(scope="module")
def without_zero():
    """Texts of fit that all databases can hold."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(SEEN, "text", TEXTS)
        yield


@pytest.fixture(scope="module")
def encoder(without_zero):
    return fit(KINDS, remainder="passthrough")


@pytest.fixture(scope="module")
def rows(without_zero):
    return with_id(draw(np.random.default_rng(1), KINDS, 200, new=True))


def transformed(encoder, rows):
    return encoder.transform(
        rows[[*encoder.feature_names_in_]]
        if isinstance(rows, pd.DataFrame)
        else rows.select([*encoder.feature_names_in_])
    )


# --- PostgreSQL, where it is installed


class Postgres:
    """A server of one's own, which listens at a socket in its folder, and psql."""

    def __init__(self, folder, programs):
        self.folder, self.programs = Path(folder), programs
        self.user = {"user": "postgres"} if os.geteuid() == 0 else {}
        if self.user:  # the server refuses to run as root
            shutil.chown(folder, "postgres")
        self.call("initdb", "-D", self.folder / "data", "-U", "postgres", "--no-sync", "-E", "UTF8")
        options = f"-k {folder} -c listen_addresses='' -c fsync=off"
        self.call("pg_ctl", "-D", self.folder / "data", "-w", "-o", options, "start")

    def call(self, program, *args, stdin=None):
        command = [self.programs[program], *map(str, args)]
        log = self.folder / "log"
        if program == "pg_ctl":  # the server would hold a pipe open
            command[-1:-1] = ["-l", str(log)]
        return subprocess.run(
            command,
            input=stdin,
            text=True,
            cwd=self.folder,
            check=program != "psql",
            stdout=subprocess.DEVNULL if program == "pg_ctl" else subprocess.PIPE,
            stderr=subprocess.DEVNULL if program == "pg_ctl" else subprocess.PIPE,
            **(self.user if program != "psql" else {}),
        )

    def stop(self):
        self.call("pg_ctl", "-D", self.folder / "data", "-m", "immediate", "stop")

    def run(self, query, stdin=None):
        """The lines that a query answers; an error of the database is a ValueError."""
        args = ["-h", self.folder, "-U", "postgres", "-qXtA", "-v", "ON_ERROR_STOP=1", "-c", query]
        answer = self.call("psql", *args, stdin=stdin)
        if answer.returncode:
            raise ValueError(answer.stderr)
        return answer.stdout.splitlines()

    def load(self, name, types, columns):
        """Make a table of columns."""
        quoted = ", ".join(f'"{n}" {kind}' for n, kind in types.items())
        self.run(f'DROP TABLE IF EXISTS "{name}" CASCADE; CREATE TABLE "{name}" ({quoted})')
        cells = zip(*(map(_copied, columns[n]) for n in types), strict=True)
        lines = "".join("\t".join(row) + "\n" for row in cells)
        self.run(f'COPY "{name}" FROM STDIN', stdin=lines)

    def table(self, query):
        """Names and numbers of a query's result, ordered by the column "id"."""
        self.run(f"DROP VIEW IF EXISTS answer; CREATE VIEW answer AS {query}")
        names = self.run(
            "SELECT attname || ' ' || atttypid::regtype FROM pg_attribute "
            "WHERE attrelid = 'answer'::regclass ORDER BY attnum"
        )
        lines = self.run('COPY (SELECT * FROM answer ORDER BY "id") TO STDOUT')
        cells = [[np.nan if c == "\\N" else float(c) for c in line.split("\t")] for line in lines]
        return names[1:], np.array(cells, dtype=np.float64)[:, 1:].astype(np.float32)


def _copied(cell):
    """A cell in the text format of COPY."""
    if cell is None:
        return r"\N"
    text = str(cell).lower() if isinstance(cell, bool) else str(cell)
    for letter, escaped in {"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"}.items():
        text = text.replace(letter, escaped)
    return text


@pytest.fixture(scope="module")
def postgres():
    names = ["initdb", "pg_ctl", "psql"]
    places = [os.environ["PATH"], *map(str, sorted(Path("/usr/lib/postgresql").glob("*/bin")))]
    programs = {name: shutil.which(name, path=os.pathsep.join(places)) for name in names}
    if not all(programs.values()):
        pytest.skip("PostgreSQL's server is not installed")
    with tempfile.TemporaryDirectory(dir="/tmp", ignore_cleanup_errors=True) as folder:
        server = Postgres(folder, programs)
        yield server
        server.stop()


@pytest.mark.parametrize("form", ["inline", "tables"])
@pytest.mark.parametrize("unknown", ["learned", "nan"])
def test_postgres_gives_the_same_numbers(postgres, encoder, rows, form, unknown):
    if unknown == "nan":
        encoder = fit(("text", "real"), handle_unknown="nan")
    kinds = encoder.categorical_features_
    types = {n: TYPES[n] for n in ("id", *kinds, "size")}
    postgres.load("rows", types, {n: rows[n].to_pylist() for n in types})
    lookups = None
    if form == "tables":
        lookups = {}
        for name, frame in lookup_frames(encoder).items():
            lookups[name] = f"v {name}"
            kinds_of = {"category": TYPES[name], "kind": "text"}
            kinds_of |= dict.fromkeys(frame.columns[2:], "real")
            frame = frame.astype(object).where(frame.notna(), None)
            for vector in frame.columns[2:]:
                frame[vector] = frame[vector].map(lambda v: "NaN" if v is None else v)
            postgres.load(lookups[name], kinds_of, frame)
    query = sql(encoder, "rows", lookups=lookups, keep="id", dialect="postgres")
    names, found = postgres.table(query)
    assert names == [f"{n} real" for n in encoder.get_feature_names_out()]
    np.testing.assert_array_equal(found, transformed(encoder, rows))


def test_postgres_finds_crosses_and_fails_where_transform_does(postgres, without_zero):
    X = draw(np.random.default_rng(0), ("text", "integer"), 240, missing=0.0)
    params = {"interactions": [("text", "integer")], "handle_unknown": "error", "dimensions": 2}
    encoder = make_encoder(categorical_features=["text", "integer"], **params)
    encoder.fit(X, np.random.default_rng(0).normal(size=240))
    rows = with_id(X)
    types = {n: TYPES[n] for n in ("id", "text", "integer", "size")}
    postgres.load("pairs", types, {n: rows[n].to_pylist() for n in types})
    query = sql(encoder, ("public", "pairs"), keep=["id"], dialect="postgres")
    np.testing.assert_array_equal(postgres.table(query)[1], transformed(encoder, rows))
    postgres.run("INSERT INTO pairs VALUES (999, 'it''s new', 0, 0)")
    with pytest.raises(ValueError, match=r"'text' has missing or unknown.*Found: it's new"):
        postgres.table(query)


def test_a_postgres_column_of_missing_cells_alone(postgres):
    X = pd.DataFrame({"void": [None] * 60, "letter": ["a", "b"] * 30})
    encoder = make_encoder(categorical_features=["void", "letter"], dimensions=2)
    with pytest.warns(EmptyColumnWarning):
        encoder.fit(X, np.linspace(0, 1, 60))
    types = {"id": "integer", "void": "real", "letter": "text"}
    cells = {"id": [0, 1, 2], "void": ["NaN", None, 3.5], "letter": ["a", "b", "a"]}
    postgres.load("void", types, cells)
    query = sql(encoder, "void", keep="id", dialect="postgres")
    rows = pd.DataFrame({"void": [np.nan, np.nan, 3.5], "letter": ["a", "b", "a"]})
    np.testing.assert_array_equal(postgres.table(query)[1], transformed(encoder, rows))


# --- SQLite


@pytest.mark.parametrize("form", ["inline", "tables"])
def test_sqlite_gives_the_same_vectors(rows, form, without_zero):
    kinds = ["text", "integer", "flag", "real"]
    finite = [value for value in SEEN["real"] if np.isfinite(value)]
    with pytest.MonkeyPatch.context() as patch:
        if form == "inline":
            patch.setitem(SEEN, "real", finite)
        encoder = fit(kinds, remainder="passthrough")
    rows = rows.select([*kinds, "size", "id"])
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute('CREATE TABLE "rows" (text TEXT, integer, flag, real REAL, size, id)')
        connection.executemany(
            'INSERT INTO "rows" VALUES (?, ?, ?, ?, ?, ?)',
            zip(*(rows[n].to_pylist() for n in rows.column_names), strict=True),
        )
        lookups = None
        if form == "tables":
            frames = lookup_frames(encoder)
            lookups = {name: f"v {name}" for name in frames}
            for name, frame in frames.items():
                frame.to_sql(lookups[name], connection, index=False)
        query = sql(encoder, "rows", lookups=lookups, keep="id", dialect="sqlite")
        cursor = connection.execute(f'SELECT * FROM ({query}) ORDER BY "id"')
        names = [column[0] for column in cursor.description]
        found = np.array(cursor.fetchall(), dtype=np.float64)[:, 1:]
    assert names[1:] == encoder.get_feature_names_out().tolist()
    expected = transformed(encoder, rows)
    np.testing.assert_array_equal(found.astype(np.float32), expected)
    # Vectors are those of transform; numbers that are passed through keep double precision.
    np.testing.assert_array_equal(found[:, :-1], expected[:, :-1].astype(np.float64))


# --- BigQuery and Snowflake, whose SQL sqlglot reads


@pytest.mark.parametrize("dialect", ["bigquery", "snowflake"])
@pytest.mark.parametrize("given", [None, "tables"])
def test_sqlglot_reads_what_is_written(encoder, rows, dialect, given):
    """What it reads is the same query: DuckDB gives the same vectors."""
    frames = lookup_frames(encoder)
    lookups = {name: f"v_{name}" for name in frames} if given else None
    query = sql(encoder, ("data", "rows"), lookups=lookups, keep="id", dialect=dialect)
    (tree,) = sqlglot.parse(query, read=dialect)
    assert tree.named_selects == ["id", *encoder.get_feature_names_out()]
    read = tree.sql("duckdb")
    # Bytes of a text are what each database has its own way for.
    read = read.replace("TO_BINARY(", "encode(").replace(", 'UTF-8')", ")")
    read = re.sub(r"CAST\((\S+) AS BLOB\)", r"encode(\1)", read)
    with duckdb.connect() as connection:
        connection.sql("CREATE SCHEMA data")
        connection.sql("CREATE TABLE data.rows AS SELECT * FROM rows")
        for name, frame in frames.items():
            if lookups:
                connection.register(lookups[name], frame)
        found = connection.sql(read).to_arrow_table().sort_by("id")
    found = np.column_stack([found[n].to_numpy() for n in found.column_names[1:]])
    np.testing.assert_array_equal(found.astype(np.float32), transformed(encoder, rows))


@pytest.mark.parametrize(
    ("dialect", "parts"),
    [
        ("bigquery", ["CAST(`r`.`text` AS BYTES)", "IS_NAN(CAST(`r`.`real` AS FLOAT64))",
                      "UNNEST([", "ERROR('Column \\'text\\'", "CAST('2020-01-01' AS DATE)"]),
        ("snowflake", ["TO_BINARY(\"r\".\"text\", 'UTF-8')", 'CAST("r"."real" AS DOUBLE) = ',
                       "'it\\'s'", "TIMESTAMPNTZ)"]),
        ("postgres", ['CAST("r"."text" AS TEXT) COLLATE "C"', "DOUBLE PRECISION", "'it''s'"]),
    ],
)  # fmt: skip
def test_each_dialect_has_its_own_ways(dialect, parts, without_zero):
    encoder = fit(KINDS, handle_unknown="error", missing=0.0)
    query = sql(encoder, "rows", dialect=dialect)
    assert [part for part in parts if part not in query] == []


@pytest.mark.parametrize("dialect", ["postgres", "bigquery", "snowflake", "sqlite"])
def test_exact_numbers_are_written_exactly_or_refused(dialect):
    cells = [Decimal("0.10"), Decimal("12345678901234567890.5")] * 30
    encoder = make_encoder(categorical_features=["price"], max_iter=1)
    encoder.fit(pd.DataFrame({"price": pd.Series(cells, dtype=object)}), np.linspace(0, 1, 60))
    if dialect == "sqlite":
        with pytest.raises(UnsupportedDataError, match="'price' cannot be written"):
            sql(encoder, "rows", dialect=dialect)
        return
    number = "CAST('12345678901234567890.5' AS BIGNUMERIC)" if dialect == "bigquery" else ""
    assert (number or "(12345678901234567890.5,") in sql(encoder, "rows", dialect=dialect)


@pytest.mark.parametrize("kind", ["day", "moment", "real"])
def test_sqlite_has_no_dates_and_no_infinity(kind):
    with pytest.raises(UnsupportedDataError, match=f"'{kind}' cannot be written.*to_parquet"):
        sql(fit((kind,), max_iter=1), "rows", dialect="sqlite")


def test_names_that_a_database_cuts_or_does_not_have():
    X = pd.DataFrame({"ü" * 31: ["a", "b"] * 30, "a.b": ["a", "b"] * 30})
    y = np.linspace(0, 1, 60)
    long = make_encoder(max_iter=1, dimensions=1).fit(X[["ü" * 31]], y)
    with pytest.raises(InvalidDataError, match="more than 63 bytes, which PostgreSQL cuts off"):
        sql(long, "rows", dialect="postgres")
    dotted = make_encoder(max_iter=1, dimensions=1).fit(X[["a.b"]], y)
    with pytest.raises(InvalidDataError, match=r"'a.b' has '\.', which BigQuery does not allow"):
        sql(dotted, "rows", dialect="bigquery")
    with pytest.raises(InvalidParameterError, match=r"`keep` has 'x/y', a name with '/'"):
        sql(fit(("flag",), max_iter=1), "rows", keep="x/y", dialect="bigquery")


@pytest.mark.parametrize(("dialect", "alike"), [("postgres", False), ("snowflake", False),
                                                ("bigquery", True), ("sqlite", True)])  # fmt: skip
def test_case_counts_in_names_where_the_database_says_so(dialect, alike):
    X = pd.DataFrame({"a": ["a", "b"] * 30, "A": ["a", "b"] * 30})
    encoder = make_encoder(max_iter=1, dimensions=1).fit(X, np.linspace(0, 1, 60))
    if alike:
        with pytest.raises(InvalidDataError, match="'A' and 'a' are one name"):
            sql(encoder, "rows", dialect=dialect)
    else:
        assert '"A_0"' in sql(encoder, "rows", dialect=dialect)


def test_unknown_dialects_get_a_list():
    with pytest.raises(InvalidParameterError) as raised:
        sql(fit(("flag",), max_iter=1), "rows", dialect="postgresql")
    assert all(repr(name) in str(raised.value) for name in DIALECTS)


def test_without_sqlglot_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "sqlglot", None)
    with pytest.raises(ImportError, match=r"sk-entity-embed\[sql\]"):
        sql(fit(("flag",), max_iter=1), "rows", dialect="snowflake")
