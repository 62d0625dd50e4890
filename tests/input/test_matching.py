"""Values that are equal, and only these, are found among categories."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sk_entity_embed.input.columns import read_table
from sk_entity_embed.input.vocabulary import MISSING, UNKNOWN, learn_vocabulary
from tests.representations import NUMBERS, TIMES, make_exactly

MAKERS = NUMBERS | TIMES

thorough = settings(max_examples=400, deadline=None, derandomize=True, database=None)

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
    found = vocabulary.encode(read_table(X_new).columns[0]).tolist()
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


@settings(thorough, max_examples=150)
@given(pairs(TIME, [*TIMES, "lists of rows"]))
def test_equal_times_are_one_category_and_unequal_ones_are_not(pair):
    check_codes(*pair)


@pytest.mark.parametrize("name", sorted(NUMBERS))
def test_every_container_of_numbers_is_read(name):
    values = [1, 0, 1]
    X = make_exactly(NUMBERS[name], values)
    vocabulary = learn_vocabulary(read_table(X).columns[0])
    assert vocabulary.categories.tolist() == [0, 1]
    assert vocabulary.counts.tolist() == [1, 2]
