"""Exports of columns without categories, and of missing cells that are given NaN."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import onnxruntime
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from sk_entity_embed import EntityEmbeddingEncoder
from sk_entity_embed.exceptions import EmptyColumnWarning
from sk_entity_embed.export import (
    lookup_frames,
    polars_expressions,
    pyarrow_transform,
    sql,
    to_onnx,
    to_parquet,
    to_projector,
    to_torch,
    to_word2vec,
)
from sk_entity_embed.inspection import explore
from tests.samples import make_encoder

N = 40
LETTERS = ["a", "b", "c", "b"] * (N // 4)
Y = np.arange(N) % 7 / 7

EMPTY: dict[str, tuple[pd.Series, list[Any], Any]] = {
    "no type": (pd.Series([None] * N, dtype=object), ["x", None, "nan"], "<none>"),
    "no type, numbers": (pd.Series([None] * N, dtype=object), [1, None, 2], None),
    "text": (pd.Series([None] * N, dtype="string"), ["x", None, ""], "<none>"),
    "integers": (pd.Series([None] * N, dtype="Int64"), [1, None, 0], -1),
    "floats": (pd.Series([np.nan] * N), [1.5, float("nan"), 0.0], float("nan")),
    "booleans": (pd.Series([None] * N, dtype="boolean"), [True, None, False], -1),
    "dates": (pd.Series([pd.NaT] * N), ["2020-01-01", None, ""], None),
}
"""For each type: a column of missing cells, what comes later, and the marker of a missing cell."""


def fit_empty(cells: pd.Series, **params: Any) -> EntityEmbeddingEncoder:
    encoder = make_encoder(categorical_features=["c", "letter"], **params)
    with pytest.warns(EmptyColumnWarning):
        return encoder.fit(pd.DataFrame({"c": cells, "letter": LETTERS}), Y)


def query(table: pa.Table, statement: str) -> np.ndarray:
    with duckdb.connect() as connection:
        connection.register("rows", table)
        frame = connection.execute(f"{statement} ORDER BY id").df()
    return frame.drop(columns="id").to_numpy(dtype=np.float32)


def check_look_ups(encoder: EntityEmbeddingEncoder, table: pa.Table, folder: Path) -> None:
    """Everything that looks single values up gives what transform gives."""
    expected = encoder.transform(table)
    numbered = table.append_column("id", pa.array(range(len(table))))
    files = to_parquet(encoder, folder)
    for lookups in (files, None):
        found = query(numbered, sql(encoder, "rows", lookups=lookups, keep="id"))
        np.testing.assert_array_equal(found, expected)
    if not pa.types.is_floating(table["c"].type):  # in standard SQL only NULL is missing
        found = query(numbered, sql(encoder, "rows", dialect="standard", keep="id"))
        np.testing.assert_array_equal(found, expected)
    found = pl.from_arrow(table).select(polars_expressions(encoder)).to_numpy()
    np.testing.assert_array_equal(found, expected)
    columns = pyarrow_transform(encoder)(table).columns
    np.testing.assert_array_equal(np.column_stack(columns), expected)


@pytest.mark.parametrize(
    ("kind", "missing", "unknown"),
    [("no type", "category", "nan"), ("no type, numbers", "nan", "learned"),
     ("text", "nan", "nan"), ("integers", "category", "learned"), ("floats", "nan", "learned"),
     ("booleans", "category", "nan"), ("dates", "nan", "nan")],
)  # fmt: skip
def test_a_column_without_categories_is_looked_up(
    kind: str, missing: str, unknown: str, tmp_path: Path
) -> None:
    cells, later, _ = EMPTY[kind]
    encoder = fit_empty(cells, handle_missing=missing, handle_unknown=unknown)
    frame = lookup_frames(encoder)["c"]
    assert frame["kind"].tolist() == ["missing", "unknown"]
    assert frame["category"].isna().all()
    new = pa.table({"c": pa.array(later, from_pandas=False), "letter": ["a", None, "?"]})
    check_look_ups(encoder, new, tmp_path)


def run_onnx(model: Any, columns: dict[str, list[Any]]) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.SerializeToString())
    kinds = {"tensor(string)": object, "tensor(int64)": np.int64, "tensor(bool)": bool}
    inputs = {
        i.name: np.array(columns[i.name], dtype=kinds.get(i.type, float))[:, None]
        for i in session.get_inputs()
    }
    (out,) = session.run(None, inputs)
    return out


@pytest.mark.parametrize(
    ("kind", "missing", "output"),
    [("no type", "nan", "both"), ("integers", "category", "embedding"),
     ("floats", "nan", "embedding"), ("booleans", "category", "both")],
)  # fmt: skip
def test_a_column_without_categories_is_an_onnx_model(kind: str, missing: str, output: str) -> None:
    cells, later, marker = EMPTY[kind]
    encoder = fit_empty(cells, handle_missing=missing, output=output)
    table = pd.DataFrame({"c": pd.Series(later, dtype=object), "letter": ["a", "b", "?"]})
    marked = [marker if pd.isna(v) else v for v in later]
    for given, asked in ((marker, marked), (None, [later[0], later[2], later[0]])):
        markers = {} if kind == "floats" else {"c": given}
        out = run_onnx(
            to_onnx(encoder, missing_values=markers), {"c": asked, "letter": table.letter}
        )
        true = [None if v is marker or v != v else v for v in asked]
        expected = encoder.transform(table.assign(c=pd.Series(true, dtype=object)))
        np.testing.assert_allclose(out, expected, atol=1e-6)


# Missing cells of NaN ----------------------------------------------------------------------


def make_gaps(gaps: bool = True) -> pd.DataFrame:
    cells = ["a", "b", None if gaps else "a", "b"] * (N // 4)
    return pd.DataFrame({"c": pd.Series(cells, dtype=object), "letter": LETTERS})


@pytest.mark.parametrize(
    ("gaps_in_fit", "unknown"), [(True, "zero"), (False, "learned"), (False, "nan")]
)
def test_missing_cells_of_nan_are_looked_up_as_such(
    gaps_in_fit: bool, unknown: str, tmp_path: Path
) -> None:
    encoder = make_encoder(handle_missing="nan", handle_unknown=unknown)
    encoder.fit(make_gaps(gaps_in_fit), Y)
    new = pa.table({"c": ["a", None, "?"], "letter": ["a", None, "?"]})
    assert np.isnan(encoder.transform(new)[1]).all()
    check_look_ups(encoder, new, tmp_path)
    module = to_torch(encoder)
    np.testing.assert_array_equal(
        module(module.encode(new)).detach().numpy(), encoder.transform(new)
    )
    back = make_encoder(init=module.to_frames(), freeze=True).fit(make_gaps(gaps_in_fit), Y)
    np.testing.assert_array_equal(
        back.embeddings_["c"].loc[["a", "b"]], encoder.embeddings_["c"].loc[["a", "b"]]
    )


@pytest.mark.parametrize(("unknown", "output"), [("zero", "embedding"), ("nan", "both")])
def test_missing_cells_of_nan_are_so_in_an_onnx_model(unknown: str, output: str) -> None:
    encoder = make_encoder(handle_missing="nan", handle_unknown=unknown, output=output)
    X = make_gaps()
    encoder.fit(X, Y)
    asked = pd.DataFrame({"c": ["a", "", "?", ""], "letter": ["b", "a", "", "?"]})
    model = to_onnx(encoder, missing_values={"c": "", "letter": ""})
    expected = encoder.transform(asked.replace("", None).astype(object))
    np.testing.assert_allclose(run_onnx(model, asked.to_dict("list")), expected, atol=1e-6)


@pytest.mark.parametrize("pooling", ["mean", "max"])
def test_lists_with_missing_items_of_nan_are_exported(pooling: str) -> None:
    lists = [["a", "b"], ["a", None], None, [], ["b"]] * 8
    X = pd.DataFrame({"words": pd.Series(lists, dtype=object)})
    encoder = make_encoder(pooling=pooling, handle_missing="nan", output="both").fit(X, Y)
    session = onnxruntime.InferenceSession(
        to_onnx(encoder, missing_values={"words": ""}).SerializeToString()
    )
    items = np.array([["a", "b"], ["a", ""], ["", ""], ["", ""], ["b", "a"]], dtype=object)
    feed = {"words": items, "words_length": np.array([2, 2, -1, 0, 1])[:, None]}
    np.testing.assert_allclose(session.run(None, feed)[0], encoder.transform(X[:5]), atol=1e-6)
    look_up = pyarrow_transform(make_encoder(pooling=pooling, handle_missing="nan").fit(X, Y))
    found = np.column_stack(look_up(pa.table({"words": lists[:5]})).columns)
    assert np.isnan(found).all(axis=1).tolist() == [False, True, True, False, False]


def test_no_nan_is_drawn(tmp_path: Path) -> None:
    encoder = make_encoder(handle_missing="nan").fit(make_gaps(), Y)
    words = to_word2vec(encoder, "c", tmp_path / "c.txt")
    assert list(words) == ["b", "a", "<unknown>"]
    vectors, metadata = to_projector(encoder, "c", tmp_path)["c"]
    for path in (tmp_path / "c.txt", vectors, metadata):
        assert "nan" not in path.read_text()
    rows = [line.split("\t")[:2] for line in metadata.read_text().splitlines()]
    kinds = [["category", "kind"], ["a", "category"], ["b", "category"], ["(unknown)", "unknown"]]
    assert rows == kinds
    assert len(vectors.read_text().splitlines()) == 3
    assert explore(encoder)._payload["columns"][0]["names"] == ["a", "b", "(missing)"]


def test_a_column_of_numbers_that_fit_never_saw_is_constant_in_an_onnx_model() -> None:
    encoder = make_encoder(output="hidden")
    X = pd.DataFrame({"letter": LETTERS, "size": np.nan, "age": [1.0, np.nan] * (N // 2)})
    with pytest.warns(EmptyColumnWarning):
        encoder.fit(X, Y)
    new = {"letter": ["a"] * 3, "size": [np.nan, 5.0, 1e300], "age": [1.0] * 3}
    out = run_onnx(to_onnx(encoder), new)
    np.testing.assert_allclose(out, encoder.transform(pd.DataFrame(new)), rtol=1e-6)
    assert (out == out[0]).all()
