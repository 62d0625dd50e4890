"""Values that are equal, and only these, are found among categories."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sk_entity_embed.input.columns import read_table
from sk_entity_embed.input.vocabulary import MISSING, UNKNOWN, learn_vocabulary
from tests.representations import NUMBERS, TIMES, make_exactly

MAKERS = NUMBERS | TIMES

thorough = settings(max_examples=200, deadline=None, derandomize=True, database=None)

NUMBER = st.one_of(
    st.integers(-3, 3),
    st.booleans(),
    st.sampled_from([2**k + d for k in (7, 24, 31, 53, 62, 63, 64, 66) for d in (-1, 0, 1)]),
    st.sampled_from([Decimal(t) for t in ("1.2", "1.20", "0.1", "-0", "1E+2", "0.3", "1.5")]),
    st.decimals(-99, 99, places=2),
    st.decimals(-3, 3, places=10),
    st.sampled_from([Decimal("12345678901234567890"), Decimal("12345678901234567891")]),
    st.floats(-4, 4, width=32),
    st.floats(-4, 4),
    st.sampled_from([0.1, 0.3, 1.2, -0.0, 2.0**53, 2.0**63, 2.0**64, 1e300]),
    st.sampled_from([Fraction(1, 3), Fraction(2**60 + 1, 2**60)]),
)
TIME = st.datetimes(dt.datetime(1999, 1, 1), dt.datetime(2001, 1, 1)).map(
    lambda t: t.replace(microsecond=t.microsecond // 100_000 * 100_000)
)


def draw_table(draw: st.DrawFn, values: list[Any], names: list[str]) -> tuple[str, Any, list[Any]]:
    """A container and those of the values that it can hold."""
    name = draw(st.sampled_from(names))
    held = [v for v in values if make_exactly(MAKERS[name], [v, v]) is not None]
    if not any(v is not None for v in held):
        name, held = "lists of rows", values
    while (X := make_exactly(MAKERS[name], held)) is None:
        held = held[:-1]  # each value alone fits, all together do not
    return name, X, held


@st.composite
def pairs(draw: st.DrawFn, value: st.SearchStrategy[Any], names: list[str]) -> Any:
    """A table to fit and one to look up, perhaps of another type, and their values."""
    pool = draw(st.lists(value, min_size=1, max_size=6)) + draw(st.sampled_from([[], [None]]))
    asked = [*draw(st.permutations(pool)), *draw(st.lists(value, max_size=3))]
    return draw_table(draw, pool, names), draw_table(draw, asked, names)


def check_codes(fitted: Any, asked: Any) -> None:
    _, X, values = fitted
    _, X_new, new = asked
    vocabulary = learn_vocabulary(read_table(X).columns[0])
    codes = vocabulary.encode(read_table(X).columns[0]).tolist()
    (column,) = read_table(X_new).columns
    found = vocabulary.encode(column).tolist()
    many = column.take(np.tile(np.arange(len(column)), 40))  # few cells are found by Python alone
    assert vocabulary.encode(many).tolist() == 40 * found
    for value, code in zip(new, found, strict=True):
        same = {c for v, c in zip(values, codes, strict=True) if v is not None and v == value}
        if value is None:
            assert code == (MISSING if None in values else UNKNOWN)
        else:
            assert same == ({code} if code != UNKNOWN else set()), (value, code)
    assert len(set(codes)) == len({v for v in values if v is not None} | ({None} & {*values}))


@thorough
@given(pairs(NUMBER, sorted(NUMBERS)))
def test_equal_numbers_are_one_category_and_unequal_ones_are_not(pair):
    check_codes(*pair)


@settings(thorough, max_examples=50)
@given(pairs(TIME, [*TIMES, "lists of rows"]))
def test_equal_times_are_one_category_and_unequal_ones_are_not(pair):
    check_codes(*pair)


def test_every_container_of_numbers_is_read():
    for name in NUMBERS:
        X = make_exactly(NUMBERS[name], [1, 0, 1])
        if X is None and name == "arrow float16":
            continue  # this version of pyarrow makes no such array of Python's numbers
        vocabulary = learn_vocabulary(read_table(X).columns[0])
        assert vocabulary.categories.tolist() == [0, 1], name
        assert vocabulary.counts.tolist() == [1, 2], name
    thirds = np.array([[1], [1], [2]], np.longdouble) / 3  # with more digits than Arrow has
    (column,) = read_table(thirds).columns
    assert learn_vocabulary(column).encode(column).tolist() == [3, 3, 4]


@pytest.mark.parametrize(
    ("keys", "cells", "known"),
    [
        (np.array([1, 2**63, 2**64 - 1], np.uint64), np.array([-1, 1, 2]), [1]),
        (np.array([1, 2**63], np.uint64), np.array([2.0**63, -1.0, 0.5, 2.0**64]), [0]),
        (np.array([-1, 1, 2**62]), np.array([2**64 - 1, 1, 2**62], np.uint64), [1, 2]),
        (np.array([2**53, 2**53 + 1]), np.array([2.0**53, 2.0**53 + 2, np.inf]), [0]),
        (np.array([2.0**53, 0.5]), np.array([2**53 + 1, 2**53, 0]), [1]),
        (np.array([1, 2, 3]), np.array([1.5, 2.0, 0.5, np.nan]), [1]),
        (np.array([2.0**63, 0.5]), np.array([2**63 - 1, 2**63 - 1024]), []),
    ],
)
def test_wide_integers_and_floats_are_compared_exactly(keys, cells, known):
    for n_others in (0, 600):  # found by Arrow, and by an index
        others = (np.arange(n_others) + 10).astype(keys.dtype)
        vocabulary = learn_vocabulary(read_table(np.append(keys, others)[:, None]).columns[0])
        for repeats in (1, 50):  # few cells are found by Python, many by Arrow
            (column,) = read_table(np.tile(cells, repeats)[:, None]).columns
            codes = vocabulary.encode(column)[: len(cells)]
            assert np.flatnonzero(codes != UNKNOWN).tolist() == known
            positions = vocabulary.locate(column)[known]
            assert vocabulary.categories[positions].tolist() == cells[known].tolist()
