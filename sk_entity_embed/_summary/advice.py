"""What a summary warns of, and what can be done about it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sk_entity_embed._summary.facts import ColumnFacts, Importance
from sk_entity_embed._summary.labels import share
from sk_entity_embed.model.record import FitRecord

SOME_CATEGORIES = 20
"""Categories from which on shares of them tell something."""
ROWS_OF_ID = 1.5
"""Rows of a category, on average, up to which a column looks like an id."""
SEEN_ONCE = 0.5
"""Share of categories seen once from which on they are grouped with advantage."""
MUCH_RARE = 0.5
"""Share of rows whose categories are grouped as rare."""
MUCH_UNKNOWN = 0.1
"""Share of new rows whose categories are unknown."""
MORE_MISSING = 0.2
"""By how much the share of missing cells may be larger in new rows than in fit."""
LITTLE, ERRORS = 0.005, 2.0
"""Rise of the loss, as a share of it, up to which a column is of little use, and how many of its
standard errors the rise has to be below that."""
_NAMES = 8  # Columns that a warning names.


@dataclass(frozen=True, slots=True)
class Advice:
    """Something to know about a fit, the columns it is about, and what to do."""

    columns: tuple[str, ...]
    found: str
    advice: str

    def __str__(self) -> str:
        return f"{self.found} {self.advice}"


def advice_on(
    facts: Sequence[ColumnFacts],
    record: FitRecord | None,
    curves: Sequence[Any],
    min_frequency: float | int | None,
    n_judged: int,
) -> tuple[Advice, ...]:
    """Return warnings: first of the training, then of columns, then of new rows."""
    columns = [f for f in facts if f.pair is None]
    return (
        *_on_training(record, curves),
        *(a for f in columns for a in _on_fit(f, min_frequency)),
        *_on_use(columns, n_judged),
        *(a for f in columns for a in _on_new_rows(f)),
    )


def _on_training(record: FitRecord | None, curves: Sequence[Any]) -> Iterator[Advice]:
    n = len(curves[0])
    if not all(np.isfinite(curve).all() for curve in curves):
        yield Advice((), "The loss was not finite in some epochs.", "Lower learning_rate_init.")
    if record is None:
        return
    if record.still_falling is not None:
        yield Advice(
            (),
            f"max_iter ended the fit after {n} epochs, and the validation loss was still falling: "
            f"by {share(record.still_falling)} in the last fifth of them.",
            f"Try max_iter={2 * n}.",
        )
    if record.ending == "interrupted":
        yield Advice((), f"The fit was interrupted after {n} epochs.", "Fit again to the end.")


def _on_fit(f: ColumnFacts, min_frequency: float | int | None) -> Iterator[Advice]:
    n = f.fit.n - f.fit.missing
    once = f.cardinality * f.once
    if f.cardinality < SOME_CATEGORIES:
        return
    if n < ROWS_OF_ID * f.cardinality and not f.is_list:
        yield Advice(
            (f.name,),
            f"{f.name} looks like an id: it has {f.cardinality:,} categories in {n:,} rows.",
            "Leave it out, or use a coarser column, such as a group, a prefix or a date's month.",
        )
    elif f.once > SEEN_ONCE and (min_frequency is None or min_frequency == 1):
        yield Advice(
            (f.name,),
            f"Most categories of {f.name} were seen once: {once:,.0f} of {f.cardinality:,}.",
            "min_frequency=2 gives them one vector together, and makes the model smaller.",
        )
    if f.fit.rare > MUCH_RARE * f.fit.n:
        yield Advice(
            (f.name,),
            f"{share(f.fit.rare / f.fit.n)} of the rows have rare categories of {f.name}, which "
            "share one vector.",
            "Lower min_frequency, or raise max_categories.",
        )


def _on_use(columns: Sequence[ColumnFacts], n_judged: int) -> Iterator[Advice]:
    """Warn of columns that are of little use, beyond doubt."""
    idle = tuple(f.name for f in columns if f.importance and _is_little(f.importance))
    if not idle:
        return
    more = f" and {len(idle) - _NAMES} more" if len(idle) > _NAMES else ""
    each, them = ("", "it") if len(idle) == 1 else ("any one of ", "them")
    yield Advice(
        idle,
        f"Without {each}{', '.join(idle[:_NAMES])}{more} the loss of {n_judged:,} rows rises by "
        f"less than {share(LITTLE)}.",
        f"Compare a model without {them} on rows held out: it may be as good, and is simpler.",
    )


def _is_little(worth: Importance) -> bool:
    return worth.rise + ERRORS * worth.error < LITTLE


def _on_new_rows(f: ColumnFacts) -> Iterator[Advice]:
    last = f.last
    if last is None or last.n == 0:
        return
    if last.unknown > MUCH_UNKNOWN * last.n:
        yield Advice(
            (f.name,),
            f"{share(last.unknown / last.n)} of the new cells of {f.name} are unknown.",
            "Check that they are written as in fit. If they are new, fit again with newer rows.",
        )
    usual = f.fit.missing / f.fit.n if f.fit.n else 0.0
    if last.missing / last.n > usual + MORE_MISSING:
        yield Advice(
            (f.name,),
            f"{share(last.missing / last.n)} of the new cells of {f.name} are missing, and "
            f"{share(usual)} were in fit.",
            "Check where they come from.",
        )
