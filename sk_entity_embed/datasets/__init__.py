"""Data to try things on: generators with known answers, flights, MovieLens.

The names are imported when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES = {
    "fetch_movielens": "movielens",
    "load_flights": "flights",
    "make_links": "pairs",
    "make_listings": "tables",
    "make_ratings": "pairs",
    "make_reviews": "sequences",
    "make_sequences": "sequences",
    "make_token_effects": "tables",
}

__all__ = [*_HOMES]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
