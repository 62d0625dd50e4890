"""Parameters that differ by column."""

from __future__ import annotations

import numpy as np
import pytest

from sk_entity_embed.exceptions import InvalidParameterError
from sk_entity_embed.options import by_column, resolve_max_length, resolve_pooling
from sk_entity_embed.pooling import POOLINGS

NAMES, POSITIONS = ["words", "history"], [1, 4]


@pytest.mark.parametrize("way", POOLINGS)
def test_one_way_is_that_of_all_columns(way):
    assert resolve_pooling(way, NAMES, POSITIONS) == [way, way]
    assert resolve_pooling(way, [], []) == []


@pytest.mark.parametrize(
    ("pooling", "expected"),
    [
        ({}, ["mean", "mean"]),
        ({"history": "gru"}, ["mean", "gru"]),
        ({1: "sum", "history": "max"}, ["sum", "max"]),
        ({np.int64(4): "gru"}, ["mean", "gru"]),
    ],
)
def test_ways_by_column(pooling, expected):
    assert resolve_pooling(pooling, NAMES, POSITIONS) == expected


def test_a_column_named_twice_is_refused():
    with pytest.raises(InvalidParameterError, match=r"`pooling`.*name and by its position.*'hist"):
        resolve_pooling({"history": "gru", 4: "mean"}, NAMES, POSITIONS)


@pytest.mark.parametrize("way", ["median", "MEAN", 3, None, ["mean"]])
@pytest.mark.parametrize("by", ["name", "position"])
def test_unknown_ways_name_the_column(by, way):
    key = "history" if by == "name" else 4
    message = (
        r"`pooling` is .* for the lists in column 'history'; it must be one of \['mean', 'sum'"
    )
    with pytest.raises(InvalidParameterError, match=message):
        resolve_pooling({key: way}, NAMES, POSITIONS)


@pytest.mark.parametrize("names", [NAMES, []])
def test_an_unknown_way_for_all_is_refused_even_where_there_are_no_lists(names):
    with pytest.raises(InvalidParameterError, match=r"`pooling` is 'median'.*must be one of"):
        resolve_pooling("median", names, POSITIONS[: len(names)])


@pytest.mark.parametrize("parameter", ["pooling", "max_length"])
@pytest.mark.parametrize("key", ["city", 0, -1, 1.0])
def test_columns_that_hold_no_lists_are_refused(key, parameter):
    resolve, value = {
        "pooling": (resolve_pooling, "sum"),
        "max_length": (resolve_max_length, 3),
    }[parameter]
    message = rf"`{parameter}` names {key!r}, which is no column of lists: \['words', 'history'\]"
    with pytest.raises(InvalidParameterError, match=message):
        resolve({key: value}, NAMES, POSITIONS)


@pytest.mark.parametrize(
    ("max_length", "expected"),
    [
        (None, [None, None]),
        (7, [7, 7]),
        (np.int32(7), [7, 7]),
        (10**30, [2**62, 2**62]),
        ({}, [None, None]),
        ({"history": 3}, [None, 3]),
        ({1: 2, "history": None}, [2, None]),
    ],
)
def test_lengths_by_column(max_length, expected):
    found = resolve_max_length(max_length, NAMES, POSITIONS)
    assert found == expected
    assert {type(n) for n in found} <= {int, type(None)}


@pytest.mark.parametrize("length", [0, -1, 2.0, True, "3"])
def test_lengths_that_are_no_positive_integers_name_the_column(length):
    message = r"`max_length` is .* for the lists in column 'words'; it must be a positive integer"
    with pytest.raises(InvalidParameterError, match=message):
        resolve_max_length({"words": length}, NAMES, POSITIONS)


def test_names_win_over_positions_of_the_same_spelling():
    assert by_column({"1": 7}, "dimensions", ["1", "a"], [0, 1]) == {"1": 7}
    assert by_column({1: 7}, "dimensions", ["1", "a"], [0, 1]) == {"a": 7}
