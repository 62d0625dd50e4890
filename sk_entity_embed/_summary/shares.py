"""Shares of rare, missing and unknown cells, and what the last rows of an estimator were.

What is remembered is no part of the estimator: it is not pickled, copied, cloned or saved, and no
result depends on it. Each call replaces it as a whole, so that threads do not mix their rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from sk_entity_embed.input.lists import Codes, Lists
from sk_entity_embed.input.vocabulary import INFREQUENT, MISSING, N_RESERVED, UNKNOWN


@dataclass(frozen=True, slots=True)
class Counts:
    """Cells of a column, or items of its lists, and how many are of no category of their own."""

    n: int = 0
    rare: int = 0
    missing: int = 0
    unknown: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.n + other.n,
            self.rare + other.rare,
            self.missing + other.missing,
            self.unknown + other.unknown,
        )

    @classmethod
    def of(cls, codes: Codes) -> Counts:
        """Count table rows, as a vocabulary gives them."""
        cells = codes.items if isinstance(codes, Lists) else codes
        reserved = cells[cells < N_RESERVED]
        if len(reserved) == 0:
            return cls(len(cells))
        found = np.bincount(reserved, minlength=N_RESERVED).tolist()
        return cls(len(cells), found[INFREQUENT], found[MISSING], found[UNKNOWN])


@dataclass(frozen=True, slots=True)
class SeenRows:
    """Rows that were looked up: how many, and the cells of each column and pair."""

    n_rows: int
    columns: tuple[Counts, ...]

    @classmethod
    def of(cls, codes: Sequence[Codes], n_rows: int) -> SeenRows:
        """Count the cells of some rows."""
        return cls(n_rows, tuple(map(Counts.of, codes)))

    def __add__(self, other: SeenRows) -> SeenRows:
        both = zip(self.columns, other.columns, strict=True)
        return SeenRows(self.n_rows + other.n_rows, tuple(a + b for a, b in both))


_LAST: WeakKeyDictionary[Any, SeenRows] = WeakKeyDictionary()


def remember(estimator: Any, rows: SeenRows) -> None:
    """Remember the last rows that an estimator was given, as long as it lives."""
    with suppress(TypeError):  # subclasses that cannot be hashed
        _LAST[estimator] = rows


def last_rows(estimator: Any) -> SeenRows | None:
    """Return the last rows that an estimator was given in this process since its fit, or None."""
    with suppress(TypeError):
        return _LAST.get(estimator)
    return None


def forget(estimator: Any) -> None:
    """Forget them: a new fit has other categories."""
    with suppress(TypeError):
        _LAST.pop(estimator, None)
