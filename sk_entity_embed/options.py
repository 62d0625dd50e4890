"""Parameters that differ by column: one value for all, or a mapping from names or positions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import Any

from sk_entity_embed.exceptions import InvalidParameterError
from sk_entity_embed.input.messages import shown
from sk_entity_embed.model.poolings import POOLINGS, Pooling

_LONGEST = 2**62
"""Items of a list; larger numbers mean the same and do not fit 64 bits."""


def by_column(
    value: Mapping[Any, Any], parameter: str, names: Sequence[str], positions: Sequence[int]
) -> dict[str, Any]:
    """A mapping from column names, or positions in `X`, by name."""
    places = dict(zip(positions, names, strict=True))
    named = {_name(key, places, parameter): v for key, v in value.items()}
    if len(named) < len(value):
        raise InvalidParameterError(
            f"`{parameter}` names a column by its name and by its position: "
            f"{shown(list(value))}; once is enough."
        )
    return named


def _name(key: Any, places: Mapping[int, str], parameter: str) -> str:
    if key in places.values():
        return str(key)
    if isinstance(key, Integral) and int(key) in places:
        return places[int(key)]
    kind = "column of lists" if parameter in ("pooling", "max_length") else "categorical column"
    raise InvalidParameterError(
        f"`{parameter}` names {shown(key)}, which is no {kind}: {shown(list(places.values()))}."
    )


def resolve_pooling(
    pooling: str | Mapping[Any, str], names: Sequence[str], positions: Sequence[int]
) -> list[type[Pooling]]:
    """Return each column's kind of pooling; columns that a mapping lacks are pooled by their mean."""
    ways: Mapping[str, Any] = dict.fromkeys(names, pooling)
    if not names and isinstance(pooling, str) and pooling not in POOLINGS:
        raise InvalidParameterError(
            f"`pooling` is {shown(pooling)}; it must be one of {list(POOLINGS)}."
        )
    if isinstance(pooling, Mapping):
        ways = dict.fromkeys(names, "mean") | by_column(pooling, "pooling", names, positions)
    for name, way in ways.items():
        if not isinstance(way, str) or way not in POOLINGS:
            raise InvalidParameterError(
                f"`pooling` is {shown(way)} for the lists in column {name!r}; it must be one of "
                f"{list(POOLINGS)}."
            )
    return [POOLINGS[ways[name]] for name in names]


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
