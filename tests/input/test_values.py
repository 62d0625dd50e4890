"""One value a row as an array, and messages that show one value at most."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from scipy import sparse

from sk_entity_embed.exceptions import (
    InvalidDataError,
    InvalidParameterError,
    UnsupportedDataError,
)
from sk_entity_embed.input.values import read_array, to_float64

DECIMALS = [Decimal("1.50"), Decimal("-2.25"), Decimal("3.00")]
FLOATS = [1.5, -2.25, 3.0]


@pytest.mark.parametrize(
    "make", [list, pd.Series, pl.Series, pa.array, lambda v: pa.chunked_array([v])]
)
def test_decimals_are_numbers_in_every_container(make):
    array = read_array(make(DECIMALS), "y")
    assert (array.dtype, array.tolist()) == (np.float64, FLOATS)
    for mixed in ([Decimal("1.5"), -2.25, 3], [Fraction(3, 2), Fraction(-9, 4), 3]):
        assert read_array(mixed, "y").tolist() == FLOATS
    for frame in (pd.DataFrame, pl.DataFrame, pa.table):
        array = read_array(frame({"a": DECIMALS, "b": FLOATS}), "y")
        assert (array.dtype, array.tolist()) == (np.float64, [[v, v] for v in FLOATS])


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        (np.array([[True, False]], dtype=object), bool),
        (np.array([[1, 0]], dtype=object), np.int64),
        (np.array([[1.5, 2]], dtype=object), np.float64),
        (pd.Index([1.5, 2.0], dtype=object), np.float64),
        (np.array(["a", 1], dtype=object), object),
        (np.array([Decimal("1.5"), None]), object),
        (np.array([10**30, 1]), object),
        (np.array([dt.date(2020, 1, 1)]), object),
        (np.float32([1, 2]), np.float32),
    ],
)
def test_other_values_keep_their_type(values, dtype):
    array = read_array(values, "groups")
    assert array.dtype == dtype
    assert array.tolist() == np.asarray(values).tolist()


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        (sparse.csr_array(np.eye(3)), UnsupportedDataError, r"y is sparse; pass y\.toarray"),
        (pl.LazyFrame({"y": [1]}), UnsupportedDataError, r"y is a lazy frame; pass y\.collect\("),
        ([[1], [1, 2]], InvalidDataError, "y has entries of different lengths"),
        ("a" * 999, InvalidDataError, "y must have one value for each row, got 'aaa"),
        (set(range(999)), InvalidDataError, "y must have one value for each row"),
        (np.zeros((2, 2, 2)), InvalidDataError, "dim 3 as y"),
        (np.ones(99) * 1j, InvalidDataError, "Complex data not supported: y is complex"),
        (np.zeros(3, dtype=[("a", float)]), InvalidDataError, "y holds records"),
    ],
)
def test_what_is_no_array_of_values_is_named(values, error, message):
    with pytest.raises(error, match=message) as caught:
        read_array(values, "y")
    assert len(str(caught.value)) < 120


@pytest.mark.parametrize(
    ("values", "bad"),
    [
        (["1.5", "a", "b"], "'a'"),
        (["x" * 9999], "'xxx"),
        ([1.5, {"b": 2}], r"\{'b': 2\}"),
        (np.array([dt.date(2020, 1, 2)] * 99), r"datetime.date\(2020, 1, 2\)"),
        (pd.date_range("2020", periods=99), "dates or times"),
    ],
)
def test_the_first_value_that_is_no_number_is_shown(values, bad):
    array = np.array(values, dtype=object) if isinstance(values, list) else values
    for error in (InvalidDataError, InvalidParameterError):
        with pytest.raises(error, match=f"Somebody needs numbers, but y holds {bad}") as caught:
            to_float64(read_array(array, "y"), "y", "Somebody needs numbers", error=error)
        assert len(str(caught.value)) < 100


@pytest.mark.parametrize("value", [10**400, Decimal("1e400"), Decimal("Infinity"), np.inf])
def test_numbers_beyond_float64_are_refused(value):
    array = read_array(np.array([value, 1], dtype=object), "y")
    for error in (InvalidDataError, InvalidParameterError):
        with pytest.raises(InvalidDataError, match="y contains infinity or a value too large"):
            to_float64(array, "y", "Somebody needs numbers", error=error)
