"""The index finds what a dictionary of Python's finds."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from sk_entity_embed.input.index import LONGEST, KeyIndex, fits

TEXT = pa.large_string()


def expected(keys, cells):
    """Positions by Python's own look-up."""
    at = {key: i for i, key in enumerate(keys)}
    return [-1 if cell is None else at.get(cell, -1) for cell in cells]


@pytest.mark.parametrize("seed", range(3))
def test_strings_are_found_by_all_of_their_bytes(seed):
    rng = np.random.default_rng(seed)

    def text():
        return "".join(rng.choice(["a", "b", "\0", "é", "鳥"], rng.integers(0, 20)))

    keys = sorted({text() for _ in range(60)})
    cells = [str(rng.choice(keys)) if i % 3 else text() for i in range(300)]
    cells[::7] = [None] * len(cells[::7])
    index = KeyIndex(pa.array(keys, type=TEXT).slice(2))
    found = index.find(pa.array(cells, type=TEXT).slice(5))
    assert found.dtype == np.int32
    assert found.tolist() == expected(keys[2:], cells[5:])


def test_strings_that_nearly_agree_differ():
    pairs = {"abc": "abc\0", "abc\0": "abc", "12345678": "123456789", "12345678a": "12345678b"}
    pairs |= {"a12345678": "b12345678", "x": "x" * 1000}
    for key, cell in pairs.items():
        index = KeyIndex(pa.array([key], type=TEXT))
        assert index.find(pa.array([cell, key], type=TEXT)).tolist() == [-1, 0]
    index = KeyIndex(pa.array(["", "a"], type=TEXT))  # an empty string is no missing one
    assert index.find(pa.array([None, "", "a"], type=TEXT)).tolist() == [-1, 0, 1]
    assert KeyIndex(pa.array([""], type=TEXT)).find(pa.nulls(2, TEXT)).tolist() == [-1, -1]


@pytest.mark.parametrize("kind", [pa.uint64(), pa.float64()])
def test_numbers_are_found(kind):
    keys = pa.array([0, 3, 7, 2**52], type=kind)
    cells = pa.array([7, None, 2**52, 1, 0], type=kind)
    assert KeyIndex(keys).find(cells).tolist() == [2, -1, 3, -1, 0]
    assert KeyIndex(keys.slice(1)).find(cells.slice(1)).tolist() == [-1, 2, -1, -1]
    assert KeyIndex(keys).find(cells.slice(0, 0)).tolist() == []


@pytest.mark.parametrize("longest", [7, 8, 20])
def test_unknown_missing_and_long_cells_are_told_from_keys_in_every_block(longest):
    rng = np.random.default_rng(longest)
    keys = [f"{i:0{rng.integers(6, longest + 1)}d}" for i in range(40_000)]
    cells = rng.permutation([*keys, *(key + "x" for key in keys), *keys]).astype(object)
    cells[rng.random(len(cells)) < 0.2] = None
    found = KeyIndex(pa.array(keys, type=TEXT)).find(pa.array(cells, type=TEXT), len(keys))
    at = np.array(expected(keys, cells))
    assert np.array_equal(found, np.where(at < 0, len(keys), at))


@pytest.mark.parametrize("kind", [TEXT, pa.int64()])
def test_many_keys_are_found(kind):
    values = np.arange(100_000) * 64  # low bits that are all the same
    keys = pa.array(values).cast(kind)
    rows = np.random.default_rng(0).permutation(len(values))[:50_000]
    assert np.array_equal(KeyIndex(keys).find(keys.take(pa.array(rows))), rows)
    others = pa.array(values[:1000] + 1).cast(kind)
    assert (KeyIndex(keys).find(others) == -1).all()


def test_long_strings_are_no_keys_and_as_cells_take_no_words():
    assert fits(pa.array(["é" * (LONGEST // 2), ""], type=TEXT))
    assert not fits(pa.array(["é" * (LONGEST // 2) + "x"], type=TEXT))
    assert fits(pa.array([2**60]))
    index = KeyIndex(pa.array(["a", "b" * 64], type=TEXT))
    long = ["a" * 100_000, "b" * 64, "a", "b" * 65, None] * 20
    assert index.find(pa.array(long, type=TEXT)).tolist() == [-1, 1, 0, -1, -1] * 20
