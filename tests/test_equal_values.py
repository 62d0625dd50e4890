"""Equal in value, equal in vector: of every container and type, and in what is exported."""

from __future__ import annotations

from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings

from sk_entity_embed.exceptions import UnsupportedDataError
from sk_entity_embed.export import polars_expressions, pyarrow_transform, sql, to_parquet
from tests.input.test_matching import MAKERS, NUMBER, pairs
from tests.representations import NUMBERS, make_exactly
from tests.samples import make_encoder

pytestmark = pytest.mark.filterwarnings("ignore:X (does not have valid|has) feature names")

REPEATS = 12
LOOKED_UP = sorted(n for n in NUMBERS if n.startswith(("arrow", "polars", "numpy", "pandas")))


def fit(name: str, values: list[Any]) -> tuple[Any, Any]:
    """An encoder fitted on the values, several times each, and the table of one of each."""
    X = make_exactly(MAKERS[name], values * REPEATS)
    y = np.random.default_rng(0).normal(size=len(values) * REPEATS)
    encoder = make_encoder(categorical_features="all", dimensions=2, cv=2, max_iter=1)
    return encoder.fit(X, y), make_exactly(MAKERS[name], values)


def exports(encoder: Any, X: Any, folder: Any) -> dict[str, np.ndarray]:
    """What each export makes of a table; those that refuse it are left out."""
    found = {}
    if isinstance(X, pl.DataFrame):
        try:
            found["polars"] = X.select(polars_expressions(encoder)).to_numpy()
        except pl.exceptions.PolarsError as error:
            refused(str(error), encoder)
    if isinstance(X, pa.Table):
        found["arrow"] = np.column_stack(pyarrow_transform(encoder)(X).columns)
    with duckdb.connect() as connection:
        try:
            connection.register("given", X.to_arrow() if isinstance(X, pl.DataFrame) else X)
            connection.execute(
                "CREATE TABLE rows AS SELECT c, row_number() OVER () AS id FROM given"
            )
            back = [row[0] for row in connection.sql("SELECT c FROM rows").fetchall()]
        except (duckdb.Error, pa.ArrowException):
            return found  # a type that the data base does not have
        if not same_cells(back, X):
            return found
        for lookups in (None, to_parquet(encoder, folder)):
            query = sql(encoder, "rows", lookups=lookups, keep="id")
            try:
                answer = connection.sql(f"SELECT * FROM ({query}) ORDER BY id").fetchnumpy()
            except (duckdb.ConversionException, duckdb.InvalidInputException) as error:
                refused(str(error), encoder)
                continue
            columns = [np.ma.filled(answer[n], np.nan) for n in encoder.get_feature_names_out()]
            found["duckdb" if lookups is None else "parquet"] = np.column_stack(columns)
    return found


def refused(message: str, encoder: Any) -> None:
    """Only numbers that an engine would round may be refused."""
    words = ("ecimal", "DECIMAL", "supertype", "is_in", "not supported", "out of range", "overflow")
    assert any(word in message for word in (*words, "not compared with them exactly")), message


def same_cells(back: list[Any], X: Any) -> bool:
    column = X["c"].to_pylist() if isinstance(X, pa.Table) else list(X["c"])
    return all((pd.isna(a) and pd.isna(b)) or a == b for a, b in zip(back, column, strict=True))


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(pair=pairs(NUMBER, LOOKED_UP))
def test_exports_agree_with_transform(pair, tmp_path_factory):
    (name, _, values), (_, asked, _) = pair
    if isinstance(asked, list) or name == "lists of rows":
        return
    encoder, _ = fit(name, values)
    try:
        polars_expressions(encoder)
    except UnsupportedDataError:
        return  # categories that no data base has, such as fractions
    expected = encoder.transform(asked)
    folder = tmp_path_factory.mktemp("lookups")
    for engine, vectors in exports(encoder, asked, folder).items():
        np.testing.assert_array_equal(vectors, expected, err_msg=engine)


DECIMALS = [f"{i / 100:.2f}" for i in range(0, 10_000, 7)]


def test_exported_decimals_all_find_their_vector(tmp_path):
    values = [pa.scalar(text).cast(pa.decimal128(5, 2)).as_py() for text in DECIMALS]
    X = pa.table({"c": pa.array(values, pa.decimal128(5, 2))})
    encoder = make_encoder(categorical_features="all", dimensions=2, cv=2, max_iter=1)
    encoder.fit(X, np.random.default_rng(0).normal(size=len(values)))
    asked = pa.table({"c": pa.array(values, pa.decimal128(38, 10))})
    expected = encoder.transform(X)
    np.testing.assert_array_equal(encoder.transform(asked), expected)
    found = exports(encoder, asked, tmp_path) | exports(encoder, pl.from_arrow(asked), tmp_path)
    assert set(found) == {"arrow", "polars", "duckdb", "parquet"}
    for engine, vectors in found.items():
        np.testing.assert_array_equal(vectors, expected, err_msg=engine)
