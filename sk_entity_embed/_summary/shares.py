"""Shares of rare, missing and unknown cells, and what the last rows of an estimator were.

What is remembered is no part of the estimator: it is not pickled, copied, cloned or saved, and no
result depends on it. Each call replaces it as a whole, so that threads do not mix their rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import ref

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


_UNCOUNTED = 4096
"""Rows up to which table rows are kept and counted when somebody asks: one row is served in less
time than it takes to count it."""

_LAST: dict[int, tuple[ref[Any], Callable[[], SeenRows]]] = {}
"""By the identity of an estimator, which need not have a hash, or may equal another one."""


def remember(estimator: Any, rows: SeenRows) -> None:
    """Remember the last rows that an estimator was given, as long as it lives."""
    _keep(estimator, lambda: rows)


def remember_codes(estimator: Any, codes: Sequence[Codes], n_rows: int) -> None:
    """Remember the last rows that an estimator was given by their table rows."""
    if n_rows > _UNCOUNTED:
        remember(estimator, SeenRows.of(codes, n_rows))
    else:
        _keep(estimator, lambda: SeenRows.of(codes, n_rows))


def last_rows(estimator: Any) -> SeenRows | None:
    """Return the last rows that an estimator was given in this process since its fit, or None."""
    kept = _LAST.get(id(estimator))
    return kept[1]() if kept is not None and kept[0]() is estimator else None


def forget(estimator: Any) -> None:
    """Forget them: a new fit has other categories."""
    _LAST.pop(id(estimator), None)


def _keep(estimator: Any, rows: Callable[[], SeenRows]) -> None:
    key = id(estimator)
    _LAST[key] = ref(estimator, lambda _: _LAST.pop(key, None)), rows
