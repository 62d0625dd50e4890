"""Kinds of types: which columns may follow each other in the parts of a source."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from sk_entity_embed.exceptions import InvalidDataError
from sk_entity_embed.input.frames import as_frame, common_kind, is_same_kind, kinds_of

CELLS = {
    "text": "a",
    "numbers": 1,
    "booleans": True,
    "bytes": b"a",
    "dates": date(2026, 1, 2),
    "timestamps": datetime(2026, 1, 2),
    "times of day": time(12),
    "durations": timedelta(days=1),
    "lists of text": ["a"],
    "lists of lists of numbers": [[1.5]],
}


def kind(data):
    (found,) = kinds_of(as_frame(data, "block 1"))
    return found


@pytest.mark.parametrize("expected", CELLS)
def test_all_libraries_have_the_same_kinds(expected):
    cells = pa.array([CELLS[expected], None])
    table = pa.table({"a": cells})
    assert kind(table) == expected
    assert kind(table.to_batches()[0]) == expected
    assert kind(pl.from_arrow(table)) == expected
    assert kind(table.to_pandas(types_mapper=pd.ArrowDtype)) == expected
    if not expected.startswith("lists"):
        assert kind(pa.table({"a": pa.DictionaryArray.from_arrays([0], cells[:1])})) == expected
        assert kind(pd.DataFrame({"a": pd.Series([CELLS[expected], None], dtype=object)})) in (
            expected,
            None,
        )
        assert kind(pd.DataFrame({"a": pd.Series([CELLS[expected]])})) == expected


def test_levels_are_of_the_kind_of_what_they_stand_for():
    for values, expected in ((["a", "b"], "text"), ([1, 2], "numbers")):
        assert kind(pd.DataFrame({"a": pd.Categorical(values)})) == expected
    assert kind(pl.DataFrame({"a": pl.Series(["x"], dtype=pl.Categorical)})) == "text"
    assert kind(pl.DataFrame({"a": pl.Series(["x"], dtype=pl.Enum(["x"]))})) == "text"
    assert kind(pl.DataFrame({"a": [Decimal("1.5")]})) == "numbers"
    assert kind(pd.DataFrame({"a": pd.array([1, None], dtype="Int64")})) == "numbers"


def test_columns_without_cells_and_mixed_ones_may_be_anything():
    nothing = [
        pa.table({"a": pa.nulls(2)}),
        pl.DataFrame({"a": [None]}),
        pd.DataFrame({"a": [None, None]}),
        pd.DataFrame({"a": [1, "x"]}, dtype=object),
    ]
    assert [kind(frame) for frame in nothing] == [None] * 4
    assert is_same_kind(None, "text")
    assert common_kind(None, "text") == common_kind("text", None) == "text"
    assert is_same_kind("lists", "lists of text")
    assert common_kind("lists", "lists of text") == "lists of text"
    assert not is_same_kind("lists", "text")
    assert not is_same_kind("lists of numbers", "lists of text")
    struct = pa.table({"a": pa.array([{"x": 1}])})
    assert kind(struct) == "struct<x: int64>"


def test_repeated_names_are_refused():
    frame = pd.DataFrame([[1, 2]], columns=["a", "a"])
    with pytest.raises(InvalidDataError, match="block 1 repeats a column name"):
        as_frame(frame, "block 1")
