"""Parameters that differ by column."""

from __future__ import annotations

import numpy as np
import pytest

from sk_entity_embed.exceptions import InvalidParameterError
from sk_entity_embed.fitting.options import by_column, resolve_max_length, resolve_pooling

NAMES, POSITIONS = ["words", "history"], [1, 4]


@pytest.mark.parametrize(
    ("pooling", "expected"),
    [
        ("gru", ["gru", "gru"]),
        ({}, ["mean", "mean"]),
        ({1: "sum", "history": "max"}, ["sum", "max"]),
        ({np.int64(4): "gru"}, ["mean", "gru"]),
    ],
)
def test_poolings_by_column(pooling, expected):
    assert resolve_pooling(pooling, NAMES, POSITIONS) == expected
    assert not isinstance(pooling, str) or resolve_pooling(pooling, [], []) == []


def test_a_column_named_twice_is_refused():
    with pytest.raises(InvalidParameterError, match=r"`pooling`.*name and by its position.*'hist"):
        resolve_pooling({"history": "gru", 4: "mean"}, NAMES, POSITIONS)


@pytest.mark.parametrize("pooling", ["median", 3, None, ["mean"]])
def test_unknown_poolings_name_the_column(pooling):
    message = (
        r"`pooling` is .* for the lists in column 'history'; it must be one of \['mean', 'sum'"
    )
    for key in ("history", 4):
        with pytest.raises(InvalidParameterError, match=message):
            resolve_pooling({key: pooling}, NAMES, POSITIONS)


@pytest.mark.parametrize("names", [NAMES, []])
def test_an_unknown_way_for_all_is_refused_even_where_there_are_no_lists(names):
    with pytest.raises(InvalidParameterError, match=r"`pooling` is 'median'.*must be one of"):
        resolve_pooling("median", names, POSITIONS[: len(names)])


@pytest.mark.parametrize("key", ["city", 0, 1.0])
def test_columns_that_hold_no_lists_are_refused(key):
    named = rf"names {key!r}, which is no column of lists: \['words', 'history'\]"
    with pytest.raises(InvalidParameterError, match=f"`pooling` {named}"):
        resolve_pooling({key: "sum"}, NAMES, POSITIONS)
    with pytest.raises(InvalidParameterError, match=f"`max_length` {named}"):
        resolve_max_length({key: 3}, NAMES, POSITIONS)


@pytest.mark.parametrize(
    ("max_length", "expected"),
    [
        (None, [None, None]),
        (np.int32(7), [7, 7]),
        (10**30, [2**62, 2**62]),
        ({"history": 3}, [None, 3]),
        ({1: 2, "history": None}, [2, None]),
    ],
)
def test_lengths_by_column(max_length, expected):
    found = resolve_max_length(max_length, NAMES, POSITIONS)
    assert found == expected
    assert {type(n) for n in found} <= {int, type(None)}


@pytest.mark.parametrize("length", [0, 2.0, True, "3"])
def test_lengths_that_are_no_positive_integers_name_the_column(length):
    message = r"`max_length` is .* for the lists in column 'words'; it must be a positive integer"
    with pytest.raises(InvalidParameterError, match=message):
        resolve_max_length({"words": length}, NAMES, POSITIONS)


def test_names_win_over_positions_of_the_same_spelling():
    assert by_column({"1": 7}, "dimensions", ["1", "a"], [0, 1]) == {"1": 7}
    assert by_column({1: 7}, "dimensions", ["1", "a"], [0, 1]) == {"a": 7}
