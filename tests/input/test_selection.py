"""Which columns are categorical and which are context."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from sk_entity_embed.exceptions import InvalidParameterError, UnsupportedDataError
from sk_entity_embed.input.columns import read_table
from sk_entity_embed.input.selection import is_whole, select_categorical
from tests.containers import NAMELESS
from tests.samples import MIXED


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        ("all", [0, 1, 2]),
        ("n", [1]),
        (["t", "s"], [0, 2]),
        (np.array([-1, 0]), [0, 2]),
        (("s", 2), [0, 2]),
        ([True, False, True], [0, 2]),
        (pd.Index(["s", "t"]), [0, 2]),
        (lambda X: X.columns != "n", [0, 2]),
    ],
)
def test_categorical_columns_can_be_named_numbered_masked_or_selected(selection, expected):
    X = pd.DataFrame({"s": [1], "n": [1.5], "t": [True]})
    categorical, context = select_categorical(selection, read_table(X), X)
    assert categorical == expected
    assert context == [j for j in range(3) if j not in expected]
    labelled = pd.DataFrame([[1, 2]], columns=[1, 0])  # own labels come before positions
    assert select_categorical([1], read_table(labelled), labelled) == ([0], [1])


def test_auto_takes_text_categories_booleans_and_lists(container):
    X = container(MIXED)
    assert select_categorical("auto", read_table(X), X) == ([0, 4], [1, 2, 3])
    lists = [[1, ["a"], [1]], [2, [], None]]
    assert select_categorical("auto", read_table(lists), lists) == ([1, 2], [0])
    if container.name in NAMELESS:
        assert select_categorical(["x0"], read_table(X), X)[0] == [0]


def test_auto_takes_whole_numbers_where_there_are_only_numbers():
    X = pd.DataFrame({"a": [1, 2], "b": [0.5, None], "c": [3.0, None]})
    for required in (False, True):
        found = select_categorical("auto", read_table(X), X, required=required)
        assert found == ([0, 2], [1])
    X = pd.DataFrame({"b": [0.5, None], "inf": [1.0, float("inf")]})
    assert select_categorical("auto", read_table(X), X, required=False) == ([], [0, 1])
    assert select_categorical("auto", read_table(X), X) == ([0, 1], [])


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        (["s", "none"], "'none', which is not a column"),
        ([0, 9], "9, which is not a column"),
        ([-4], "-4, which is not a column"),
        ([True, False], "mask of 2 values.*3 columns"),
        ([False] * 3, "selects no column"),
        ([], "selects no column"),
        (["s", 0], "more than once"),
        (lambda X: [1.5], "1.5, which is not a column"),
    ],
)
def test_a_selection_that_does_not_fit_is_refused(selection, message):
    X = pd.DataFrame({"s": [1], "n": [1.5], "t": [2]})
    with pytest.raises(InvalidParameterError, match=f"`categorical_features`.*{message}"):
        select_categorical(selection, read_table(X), X)


@pytest.mark.parametrize(
    ("cells", "what"),
    [
        (["c", "d"], "of type large_string|of type object"),
        (pd.Categorical([1, 2]), "of type category"),
        ([[1], [2, 3]], "lists"),
    ],
    ids=["text", "levels", "lists"],
)
def test_only_numbers_can_be_context(cells, what):
    X = pd.DataFrame({"s": ["a", "b"], "t": cells})
    message = f"Column 't' (is|holds) ({what}).*`categorical_features`; only numbers can be context"
    with pytest.raises(UnsupportedDataError, match=message):
        select_categorical(["s"], read_table(X), X)


def test_auto_refuses_lists_of_fractions():
    X = pd.DataFrame({"s": ["a", "b"], "v": [[0.5, 1.0], None]})
    with pytest.raises(UnsupportedDataError, match=r"'v' holds lists of fractions"):
        select_categorical("auto", read_table(X), X)
    assert select_categorical("all", read_table(X), X) == ([0, 1], [])
    assert select_categorical(["s", "v"], read_table(X), X) == ([0, 1], [])
    whole = X.assign(v=[[2.0, float("nan")], None])
    assert select_categorical("auto", read_table(whole), whole) == ([0, 1], [])


@pytest.mark.parametrize(
    ("values", "whole"),
    [
        ([Decimal(1), Decimal("2.0")], True),
        ([Decimal(1), 2, None], True),
        ([Decimal("1.5"), Decimal(2)], False),
        ([1.0, np.nan], True),
        ([1.5, np.nan], False),
        ([np.inf, 1.0], False),
    ],
)
def test_numbers_are_whole_by_value(values, whole):
    assert is_whole(read_table([[v] for v in values]).columns[0]) is whole
    if isinstance(values[0], Decimal):
        cells = pa.array(map(Decimal, filter(None, values)), pa.decimal128(9, 2))
        assert is_whole(read_table(pa.table({"a": cells})).columns[0]) is whole
        assert not is_whole(read_table(pa.table({"a": pa.nulls(2, cells.type)})).columns[0])
