"""Parameters resolved: those that differ by column, and how long a training runs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from numbers import Integral
from typing import Any

import numpy as np

from sk_entity_embed.exceptions import InvalidParameterError
from sk_entity_embed.input.messages import shown
from sk_entity_embed.learning.problem import parts_of_pass
from sk_entity_embed.model.heads import Head
from sk_entity_embed.model.poolings import POOLINGS, Pooling

_LONGEST = 2**62
"""Items of a list; larger numbers mean the same and do not fit 64 bits."""
_PASSES, _MOST_PASSES, _LEAST_PASSES = 4500, 100, 16
"""Passes over the rows: so many, divided by the root of the rows, up to a limit, and where levels
are rare not less than another."""
_HEADS = ((200_000, 2), (50_000, 3))
"""Rows from which on there are so many heads."""


def by_column(
    value: Mapping[Any, Any], parameter: str, names: Sequence[str], positions: Sequence[int]
) -> dict[str, Any]:
    """A mapping from column names, or positions in `X`, by name."""
    places = dict(zip(positions, names, strict=True))
    named = {_name(key, places, parameter): v for key, v in value.items()}
    if len(named) < len(value):
        raise InvalidParameterError(
            f"`{parameter}` names a column by its name and by its position: "
            f"{shown(list(value))}; name it once."
        )
    return named


def _name(key: Any, places: Mapping[int, str], parameter: str) -> str:
    if key in places.values():
        return str(key)
    if isinstance(key, Integral) and int(key) in places:
        return places[int(key)]
    kind = "column of lists" if parameter in ("pooling", "max_length") else "categorical column"
    raise InvalidParameterError(
        f"`{parameter}` names {shown(key)}, which is not a {kind}: {shown(list(places.values()))}."
    )


def _auto(cardinality: int) -> int:
    return min(10, _fastai(cardinality))


def _fastai(cardinality: int) -> int:
    width: float = 1.6 * cardinality**0.56
    return min(600, max(1, round(width)))


def _fourth_root(cardinality: int) -> int:
    root: float = cardinality**0.25
    return math.ceil(root)


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


def resolve_pooling(
    pooling: str | Mapping[Any, str], names: Sequence[str], positions: Sequence[int]
) -> list[type[Pooling]]:
    """Return each column's kind of pooling; a column that a mapping lacks is pooled by its mean."""
    kinds: Mapping[str, Any] = dict.fromkeys(names, pooling)
    if not names and isinstance(pooling, str) and pooling not in POOLINGS:
        raise InvalidParameterError(
            f"`pooling` is {shown(pooling)}; it must be one of {list(POOLINGS)}."
        )
    if isinstance(pooling, Mapping):
        kinds = dict.fromkeys(names, "mean") | by_column(pooling, "pooling", names, positions)
    for name, kind in kinds.items():
        if not isinstance(kind, str) or kind not in POOLINGS:
            raise InvalidParameterError(
                f"`pooling` is {shown(kind)} for the lists in column {name!r}; it must be one of "
                f"{list(POOLINGS)}."
            )
    return [POOLINGS[kinds[name]] for name in names]


def resolve_max_length(
    max_length: int | Mapping[Any, int | None] | None,
    names: Sequence[str],
    positions: Sequence[int],
) -> list[int | None]:
    """Number of last items of each column's lists that are used; None for all."""
    lengths: dict[str, Any] = dict.fromkeys(names, max_length)
    if isinstance(max_length, Mapping):
        given = by_column(max_length, "max_length", names, positions)
        lengths = dict.fromkeys(names, None) | given
    for name, n in lengths.items():
        if n is None:
            continue
        if isinstance(n, bool) or not isinstance(n, Integral) or n < 1:
            raise InvalidParameterError(
                f"`max_length` is {shown(n)} for the lists in column {name!r}; it must be a "
                "positive integer, or None to keep all items."
            )
        lengths[name] = min(int(n), _LONGEST)
    return [lengths[name] for name in names]


def rows_a_step(given: int | str, n_samples: int) -> int:
    """Return rows a step: 27 to 54 steps a pass over the rows, in powers of two from 32 to 2048."""
    if given != "auto":
        return min(int(given), max(1, n_samples))
    power = math.floor(math.log2(max(1.0, n_samples / 27)))
    return int(np.clip(2**power, 32, 2048))


def max_iter(
    given: int | str,
    n_samples: int,
    n_levels: int,
    batch_size: int,
    kinds: Sequence[type[Head | Pooling]],
) -> int:
    """Return iterations at most: the fewer the more rows there are, and the more levels the more.

    That is 30 passes over 22,500 rows and 9 over 250,000, falling with the root of the rows, 100 at
    most; where the `n_levels` of a column have four rows each or fewer, 16 at least.
    Some `kinds` of head and poolings need a number of steps on small data, too.
    """
    if given != "auto":
        return int(given)
    passes = min(_MOST_PASSES, _PASSES / math.sqrt(n_samples))
    passes = max(1.0, passes, _LEAST_PASSES * min(1.0, 4 * n_levels / n_samples))
    iterations = math.ceil(passes * parts_of_pass(n_samples))
    least = max(kind.steps.least for kind in kinds)
    return max(iterations, math.ceil(least / _n_steps(n_samples, batch_size)))


def min_iter(n_samples: int, batch_size: int, kinds: Sequence[type[Head | Pooling]]) -> int:
    """Return the iterations before patience counts."""
    steps = max(kind.steps.before_patience for kind in kinds)
    return -(-steps // _n_steps(n_samples, batch_size))


def n_heads(n_samples: int, n_tables: int, head: type[Head], before: Head | None = None) -> int:
    """Return how many heads there are: one for each fold of few rows, and fewer of many.

    Each learns from the rows of the folds that others serve, in an equal share of the steps' rows:
    few heads learn sooner, many learn from more of the rows. Heads of the fit `before` go on, for
    each fold the one that never saw it.
    """
    if not head.cross_fits:
        return 1
    if before is not None and before.n_folds == n_tables:
        return before.n_heads
    most = next((m for rows, m in _HEADS if n_samples >= rows), n_tables)
    return min(most, n_tables)


def _n_steps(n_samples: int, batch_size: int) -> int:
    """Return the steps of an iteration, about."""
    return max(1, math.ceil(n_samples / (batch_size * parts_of_pass(n_samples))))
