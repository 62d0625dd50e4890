"""Rules for the width of a column's vectors."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from numbers import Integral
from typing import Any

from sk_entity_embed.exceptions import InvalidParameterError
from sk_entity_embed.input.messages import shown
from sk_entity_embed.options import by_column

__all__ = ["RULES", "resolve_dimensions"]


def _auto(cardinality: int) -> int:
    return min(10, _fastai(cardinality))


def _fastai(cardinality: int) -> int:
    return min(600, max(1, round(1.6 * cardinality**0.56)))


def _fourth_root(cardinality: int) -> int:
    return math.ceil(cardinality**0.25)


def _half(cardinality: int) -> int:
    return min(50, (cardinality + 1) // 2)


RULES: dict[str, Callable[[int], int]] = {
    "auto": _auto,
    "fastai": _fastai,
    "fourth_root": _fourth_root,
    "half": _half,
}
"""Named rules, from a column's cardinality to its width.

- ``"fastai"``: ``min(600, round(1.6 n^0.56))``, the rule of the fastai library.
- ``"auto"``: fastai's rule, 10 at most.
- ``"fourth_root"``: ``ceil(n^0.25)``, TensorFlow's rule of thumb.
- ``"half"``: ``min(50, ceil(n / 2))``, common in entity-embedding tutorials.
"""


def resolve_dimensions(
    dimensions: Any,
    names: Sequence[str],
    cardinalities: Sequence[int],
    positions: Sequence[int] | None = None,
) -> list[int]:
    """Width of each column's vectors.

    `dimensions` is one width, a named rule, a function of the cardinality, or a mapping from column
    names or `positions` in `X` (by default the first ones) to widths; columns not in it follow
    "auto".
    """
    if isinstance(dimensions, str):
        return [RULES[dimensions](n) for n in cardinalities]
    if isinstance(dimensions, Mapping):
        places = range(len(names)) if positions is None else positions
        given = by_column(dimensions, "dimensions", names, places)
        return [
            _check(name, given[name]) if name in given else _auto(n)
            for name, n in zip(names, cardinalities, strict=True)
        ]
    if callable(dimensions):
        return [_check(name, dimensions(n)) for name, n in zip(names, cardinalities, strict=True)]
    return [_check(name, dimensions) for name in names]


def _check(name: str, width: Any) -> int:
    if isinstance(width, bool) or not isinstance(width, Integral) or int(width) < 1:
        raise InvalidParameterError(
            f"`dimensions` gives {shown(width)} for column {name!r}; widths are positive integers."
        )
    return int(width)
