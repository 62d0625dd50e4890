"""Warnings about a column that has hardly any category of fit."""

from __future__ import annotations

import numpy as np

from sk_entity_embed.exceptions import UnknownCategoriesWarning
from sk_entity_embed.input.kinds import cure_for, kind_of, may_be_equal
from sk_entity_embed.input.lists import Codes, Lists
from sk_entity_embed.input.messages import shown, warn
from sk_entity_embed.input.table import Column
from sk_entity_embed.input.vocabulary import MISSING, UNKNOWN, Vocabulary, missing_cells

_FEW, _MOST, _SOME = 20, 0.9, 0.5
"""Values from which on a share counts, and the shares of unknown ones that give a warning.

The lower share is for values of another kind, of which some may be equal to categories, as 0.5 is
to a decimal.
"""


def warn_unknown(column: Column, codes: Codes, vocabulary: Vocabulary) -> bool:
    """Warn if new rows are of another kind than in fit, or have hardly any category of fit.

    Returns True if so. A column of few values, as in serving, gives one warning in the life of a
    vocabulary.
    """
    cells = codes.items if isinstance(codes, Lists) else codes
    n_known = np.count_nonzero(cells > MISSING)
    if n_known > (1 - _SOME) * np.count_nonzero(cells != MISSING):
        return False
    message = explain_unknown(column, codes, vocabulary)
    if message is None or not (len(cells) >= _FEW or vocabulary.tell_once()):
        return False
    warn(message, UnknownCategoriesWarning)
    return True


def explain_unknown(column: Column, codes: Codes, vocabulary: Vocabulary) -> str | None:
    """Return what may be wrong with a column of nearly all unknown values; None if nothing is."""
    if vocabulary.n_categories == 0:
        return None
    if isinstance(codes, Lists):  # which have stand-ins for empty lists
        column = column.items
        codes = vocabulary.rows_of(vocabulary.locate(column))
    missing = missing_cells(column)
    unknown = (codes == UNKNOWN) & ~missing
    n, n_unknown = len(column) - int(missing.sum()), int(unknown.sum())
    if n_unknown == 0:
        return None
    value = column.value(int(np.argmax(unknown)))
    now, before = kind_of(value), vocabulary.kinds
    share, known = n_unknown / n, shown(vocabulary.categories[0])
    is_other_kind = n == n_unknown and not any(may_be_equal(now, kind) for kind in before)
    if not is_other_kind and (n < _FEW or share <= (_MOST if now in before else _SOME)):
        return None
    counted = f"{n_unknown} of {n} values are" if n_unknown < n else f"all {n} values are"
    counted = "its value is" if n == 1 else counted
    kinds = " and ".join(sorted(before))
    if now in before:
        spelling = " (spaces, case, leading zeros)" if now == "text" else ""
        return (
            f"Column {column.name!r} has hardly any category of fit: {counted} unknown, such as "
            f"{shown(value)}; fit had {kinds} such as {known}. If they should be the same, write "
            f"them as they were written in fit{spelling}. If they are new, ignore this."
        )
    cure = cure_for(now, next(iter(before))) if len(before) == 1 else None
    return (
        f"Column {column.name!r} holds {now} now, such as {shown(value)}, but held {kinds} in fit, "
        f"such as {known}: {counted} unknown. Give the column the type of fit"
        f"{f': {cure}' if cure else ''}."
    )
