"""What to say of a column that has hardly any category of fit."""

from __future__ import annotations

import numpy as np

from sk_entity_embed.exceptions import UnknownCategoriesWarning
from sk_entity_embed.input.columns import Column
from sk_entity_embed.input.kinds import cure_for, kind_of, may_be_equal
from sk_entity_embed.input.lists import Codes, Lists
from sk_entity_embed.input.messages import shown, warn
from sk_entity_embed.input.vocabulary import UNKNOWN, Vocabulary, missing_cells

_FEW, _MOST = 20, 0.9
"""Values from which on a share counts, and the share of unknown ones that is told."""
_SAMPLE = 1_000


def warn_unknown(column: Column, codes: Codes, vocabulary: Vocabulary) -> None:
    """Warn of a column of another kind than in fit, or with hardly any category of fit.

    A column of few values, as in serving, is told of once in the life of a vocabulary.

    Parameters
    ----------
    column : Column
        New rows.
    codes : ndarray of int32 of shape (n_samples,) or Lists
        What `vocabulary` made of them.
    vocabulary : Vocabulary
        The categories of fit.
    """
    cells = codes.items if isinstance(codes, Lists) else codes
    if len(cells) > 4 * _SAMPLE and np.count_nonzero(cells[:: len(cells) // _SAMPLE]) > _SAMPLE / 5:
        return
    if np.count_nonzero(cells) > (1 - _MOST) * len(cells):
        return
    message = explain_unknown(column, vocabulary)
    if message is None or (len(cells) < _FEW and not vocabulary.tell_once()):
        return
    warn(message, UnknownCategoriesWarning)


def explain_unknown(column: Column, vocabulary: Vocabulary) -> str | None:
    """What may be wrong with a column whose values are nearly all unknown; None if nothing is."""
    column = column.items if column.is_list else column
    missing = missing_cells(column)
    unknown = (vocabulary.rows_of(vocabulary.locate(column)) == UNKNOWN) & ~missing
    n, n_unknown = len(column) - int(missing.sum()), int(unknown.sum())
    if n_unknown == 0 or len(vocabulary.categories) == 0:
        return None
    value = column.value(int(np.argmax(unknown)))
    now, before = kind_of(value), vocabulary.kinds
    differs = not any(may_be_equal(now, kind) for kind in before)
    if n_unknown < n and (n < _FEW or n_unknown <= _MOST * n):
        return None
    if not differs and n < _FEW:
        return None
    of_all = "all" if n_unknown == n else f"{n_unknown} of"
    kinds, known = " and ".join(sorted(before)), shown(vocabulary.categories[0])
    if now in before:
        return (
            f"Column {column.name!r} has hardly any category of fit: {of_all} {n} value(s) are "
            f"unknown, such as {shown(value)}; fit had {kinds} such as {known}. If they should be "
            "the same, write them as they were written in fit (spaces, case, leading zeros)."
        )
    cure = cure_for(now, next(iter(before))) if len(before) == 1 else None
    return (
        f"Column {column.name!r} holds {now} now, such as {shown(value)}, but held {kinds} in fit, "
        f"such as {known}: {of_all} {n} value(s) are unknown. Give the column the type of fit"
        f"{f': {cure}' if cure else ''}."
    )
