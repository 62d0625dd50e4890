"""Lists: taking them, and finding them in Arrow arrays and among Python objects."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sk_entity_embed.exceptions import InvalidDataError, UnsupportedDataError
from sk_entity_embed.input.lists import (
    Lists,
    flatten_arrow,
    flatten_objects,
    offsets_of,
)
from tests.list_containers import ARROW_TYPES, objects

TEXTS = st.lists(st.none() | st.lists(st.none() | st.sampled_from("abc"), max_size=4), max_size=8)


DAY = dt.datetime(2013, 1, 1)


def make(*cells):
    """Lists of numbers."""
    items = np.array([x for cell in cells for x in cell], dtype=np.int32)
    return Lists(items, offsets_of(np.array([len(cell) for cell in cells], dtype=int)))


def cells_of(lists):
    """The lists as Python lists."""
    return [
        lists.items[lists.offsets[i] : lists.offsets[i + 1]].tolist() for i in range(len(lists))
    ]


@settings(max_examples=40, derandomize=True, database=None, deadline=None)
@given(
    cells=st.lists(st.lists(st.integers(0, 9), max_size=4), min_size=1, max_size=8),
    data=st.data(),
)
def test_lists_are_taken_and_sliced_as_python_s_are(cells, data):
    lists = make(*cells)
    rows = data.draw(st.lists(st.integers(-len(cells), len(cells) - 1), max_size=12))
    taken = lists.take(np.array(rows, dtype=np.intp))
    assert lists.lengths.tolist() == [len(cell) for cell in cells]
    assert lists.rows.tolist() == [i for i, cell in enumerate(cells) for _ in cell]
    assert np.shares_memory(lists[:].items, lists.items) or not len(lists.items)
    assert cells_of(taken) == [cells[i] for i in rows]
    bounds = st.none() | st.integers(-10, 10)
    step = data.draw(st.sampled_from([None, 1, 2, -1]))
    part = slice(data.draw(bounds), data.draw(bounds), step)
    assert cells_of(lists[part]) == cells[part]
    for some in (taken, lists[part]):
        assert some.items.dtype == np.int32
        assert some.offsets.dtype == np.int64
        assert some.offsets[0] == 0
        assert some.offsets[-1] == len(some.items)


@settings(max_examples=40, derandomize=True, database=None, deadline=None)
@given(
    name=st.sampled_from([*ARROW_TYPES]),
    values=TEXTS,
    start=st.integers(0, 3),
    split=st.integers(0, 8),
)
def test_arrow_and_python_lists_are_equal(name, values, start, split):
    array = pa.array(values, type=ARROW_TYPES[name])
    chunked = pa.chunked_array([array[:split], array[split:]])
    values = values[start:]
    for source in (array[start:], chunked[start:]):
        items, offsets, absent = flatten_arrow("c", source)
        found = flatten_objects("c", objects(values))
        if found is None:
            assert not any(isinstance(cell, list) for cell in values)
            found = [], [0] * (len(values) + 1), [True] * len(values)
        assert items.to_pylist() == list(found[0])
        assert offsets.tolist() == list(found[1])
        assert absent.tolist() == list(found[2])


def test_items_under_an_arrow_null_are_dropped():
    array = pa.ListArray.from_arrays(
        pa.array([0, 2, 4, 4, 5]),
        pa.array(["a", "b", "x", "y", "c"]),
        mask=pa.array([False, True, False, False]),
    )
    items, offsets, absent = flatten_arrow("c", array)
    assert items.to_pylist() == ["a", "b", "c"]
    assert offsets.tolist() == [0, 2, 2, 2, 3]
    assert absent.tolist() == [False, True, False, False]


@pytest.mark.parametrize(
    ("cells", "items", "dtype"),
    [
        ([np.array([1, 2], dtype=np.int8), np.array([300])], [1, 2, 300], np.int64),
        ([np.array([1]), np.array([])], [1], np.int64),
        ([np.array(["a"]), np.array(["bcd"])], ["a", "bcd"], "<U3"),
        ([np.array([2**64 - 1], dtype=np.uint64), np.array([-1])], [2**64 - 1, -1], object),
        ([np.array([1]), np.array([1.5])], [1, 1.5], object),
        ([np.array([1]), ["1", None]], [1, "1", None], object),
        ([np.array(["2013-01-01"], dtype="M8[D]"), [DAY]], [DAY, DAY], object),
        ([[], np.array([])], [], object),
    ],
)
def test_arrays_are_joined_and_their_values_kept(cells, items, dtype):
    found, offsets, _ = flatten_objects("c", objects(cells))
    assert found.dtype == dtype
    assert found.tolist() == items
    assert all(isinstance(x, type(y)) for x, y in zip(found.tolist(), items, strict=True))
    assert np.diff(offsets).tolist() == [len(cell) for cell in cells]


@pytest.mark.parametrize(
    ("odd", "message"),
    [
        ("a", r"row 2 holds 'a'; wrap single values as lists, \['a'\]"),
        (7, r"row 2 holds 7; wrap single values as lists: \[7\]"),
        (("a", "b"), r"row 2 holds \('a', 'b'\); turn it into a list"),
    ],
)
def test_lists_beside_single_values_are_refused_by_row(odd, message):
    with pytest.raises(InvalidDataError, match=f"Column 'tags'.*{message}"):
        flatten_objects("tags", objects([["a"], None, odd, "later"]))


@pytest.mark.parametrize(
    "cells",
    [[["a"], [["b"]]], [[np.array([1])], ["b"]], [np.zeros((2, 2)), np.zeros(1)], [np.array(1)]],
)
def test_nested_lists_are_refused_by_name(cells):
    with pytest.raises(UnsupportedDataError, match=r"'tags'.*single values. Flatten each cell"):
        flatten_objects("tags", objects(cells))
