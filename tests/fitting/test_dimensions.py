"""Width rules."""

from __future__ import annotations

import numpy as np
import pytest

from sk_entity_embed.fitting.options import RULES, dot_width, resolve_dimensions
from sk_entity_embed.exceptions import InvalidParameterError

NAMES, CARDINALITIES = ["carrier", "dest"], [16, 105]


CASES = [1, 2, 3, 17, 101, 10_000, 10**6]


@pytest.mark.parametrize(
    ("rule", "widths"),
    [
        ("fastai", [2, 2, 3, 8, 21, 278, 600]),
        ("auto", [2, 2, 3, 8, 10, 10, 10]),
        ("fourth_root", [1, 2, 2, 3, 4, 10, 32]),
        ("half", [1, 1, 2, 9, 50, 50, 50]),
    ],
)
def test_named_rules(rule, widths):
    assert resolve_dimensions(rule, [f"x{i}" for i in range(7)], CASES) == widths


@pytest.mark.parametrize(
    ("dimensions", "expected"),
    [
        (np.int64(7), [7, 7]),
        ({1: 4}, [RULES["auto"](16), 4]),
        ({"dest": 1, 0: np.int32(9)}, [9, 1]),
        ({}, [RULES["auto"](16), RULES["auto"](105)]),
        (lambda n: n // 4, [4, 26]),
    ],
)
def test_widths_can_be_given(dimensions, expected):
    found = resolve_dimensions(dimensions, NAMES, CARDINALITIES)
    assert found == expected
    assert {type(w) for w in found} == {int}


@pytest.mark.parametrize("width", [0, 2.5, True, "4", None])
def test_widths_that_are_no_positive_integers_are_refused(width):
    for dimensions in ({"dest": width}, lambda n: width if n > 20 else 3):
        with pytest.raises(InvalidParameterError, match=r"`dimensions` gives .* for column 'dest'"):
            resolve_dimensions(dimensions, NAMES, CARDINALITIES)


@pytest.mark.parametrize("key", ["origin", 2, 0.5])
def test_columns_that_are_not_there_are_refused(key):
    with pytest.raises(InvalidParameterError, match=rf"`dimensions` names {key!r}.*'carrier'"):
        resolve_dimensions({key: 3}, NAMES, CARDINALITIES)


def test_positions_are_those_in_the_table():
    dimensions = {5: 2, "carrier": 3}
    assert resolve_dimensions(dimensions, NAMES, CARDINALITIES, [2, 5]) == [3, 2]
    with pytest.raises(
        InvalidParameterError, match="`dimensions` names 1, which is no categorical"
    ):
        resolve_dimensions({1: 2}, NAMES, CARDINALITIES, [2, 5])


def test_dot_products_are_as_wide_as_half_the_second_largest():
    for cardinalities, width in (([2, 9000], 1), ([3, 16, 105], 8), ([5000, 700, 800], 50)):
        assert dot_width(cardinalities) == dot_width(cardinalities[::-1]) == width
