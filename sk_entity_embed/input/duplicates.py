"""Copies of rows in several folds, as oversampling makes them: a row's table learns its target.

Equal rows are natural where few categories are combined, so three questions are asked. Are the
targets of equal rows equal far more often than by chance? If the target is not noise but follows
from the columns, that is natural, too. Then copies show in one of two ways: rare targets have them
and others do not, or rows that agree in all columns but one agree in that one as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sk_entity_embed.exceptions import LeakageWarning
from sk_entity_embed.input.lists import Codes, Lists
from sk_entity_embed.input.messages import warn
from sk_entity_embed.input.target import Target

_LEAST_ROWS, _MOST_ROWS = 100, 100_000
_LEAST_SHARE = 0.05  # Share of rows with copies that is worth a warning.
_FEW_COPIES = 32  # Of rows whatever their target; many equal ones are all zeros, say.
_AGREEMENT = 0.8  # Of equal rows' targets, in excess of chance: 0 by chance, 1 if all are equal.
_LEAST_EXPECTED = 20  # Rows whose targets had to differ by chance, for an agreement to count.

Keys = NDArray[np.uint64]


def check_duplicates(
    codes: Sequence[Codes],
    context: NDArray[np.float32],
    target: Target,
    fold: NDArray[np.integer[Any]],
) -> None:
    """Warn if rows, equal in their `codes`, their `context` and target, are in several folds."""
    share = share_of_copies(codes, context, target, fold)
    if share > 0:
        warn(
            f"{share:.0%} of the rows have copies in other folds, equal in all columns and in y, "
            "as after oversampling. The table that encodes a row learns its target from the "
            "copies, so fit_transform leaks. Pass `sample_weight` instead of copies, or "
            "`groups` that keep the copies of a row together, or encode before you oversample.",
            LeakageWarning,
        )


def share_of_copies(
    codes: Sequence[Codes],
    context: NDArray[np.float32],
    target: Target,
    fold: NDArray[np.integer[Any]],
) -> float:
    """Share of the rows that have copies in other folds; 0 where equal rows are natural."""
    n = len(fold)
    if n < _LEAST_ROWS:
        return 0.0
    keys = np.zeros(n, dtype=np.uint64)
    for marks in _columns(codes, context):
        keys += marks
    some = _sample(keys)
    if len(some) < _LEAST_ROWS:  # nearly all rows are equal
        return 0.0
    values = target.values[some] + 0.0  # -0.0 is 0.0
    y = np.zeros(len(some), dtype=np.uint64)
    for column, factor in zip(values.T, _factors(values.shape[1], seed=1), strict=True):
        y += column.copy().view(np.uint64) * factor
    copied, alike, n_equal = _find_copies(keys[some], y, fold[some])
    share = float(copied.mean())
    if share < _LEAST_SHARE:
        return 0.0
    if _are_oversampled(copied, alike, n_equal, values[:, 0], target.is_classification):
        return share
    few = copied & (n_equal <= _FEW_COPIES)
    share = float(few.mean())
    if share < _LEAST_SHARE:
        return 0.0
    natural = _agree_by_chance(keys, _columns(codes, context), some[few], n_equal[few])
    return 0.0 if natural else share


def _find_copies(
    keys: Keys, y: Keys, fold: NDArray[np.integer[Any]]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.int64]]:
    """Find rows that have copies in other folds; three arrays of shape (n_samples,).

    The first marks rows among whose likes targets agree beyond chance; rows with about as many
    likes are judged together, so that large, natural groups do not hide small ones. The second
    marks rows with a copy in another fold. The third counts the rows equal in all columns.
    """
    folds = fold.astype(np.uint64) * _factors(1, seed=2)[0]
    n_equal = _counts(keys)
    others = n_equal - _counts(keys + folds)
    size = np.log2(np.maximum(others, 1)).astype(np.intp) + (others > 0)
    if (size > 0).mean() < _LEAST_SHARE:
        return np.zeros(len(keys), dtype=bool), others > 0, n_equal
    same = _counts(keys + y) - _counts(keys + y + folds)
    differ = np.bincount(size, 1 - same / np.maximum(others, 1))
    expected = np.bincount(size, 1 - _counts(y) / len(y))
    agree = (expected >= _LEAST_EXPECTED) & (differ <= (1 - _AGREEMENT) * expected)
    agree[0] = False
    return agree[size] & (same > 0), same > 0, n_equal


def _are_oversampled(
    copied: NDArray[np.bool_],
    alike: NDArray[np.bool_],
    n_equal: NDArray[np.int64],
    values: NDArray[np.float64],
    is_classification: bool,
) -> bool:
    """Whether rows of some targets have copies, about as many each, and rows of others have none.

    Those with copies are not the majority: the many rows that are all zeros, say, are not
    oversampled.
    """
    if not is_classification:
        edges = np.unique(np.quantile(values, [0.2, 0.4, 0.6, 0.8]))
        values = np.searchsorted(edges, values, side="right").astype(np.float64)
    part = pd.factorize(values)[0]
    n = np.bincount(part)
    shares = np.bincount(part, copied) / n
    most = np.argmax(shares)
    few = (np.bincount(part, alike) / n)[n >= _LEAST_EXPECTED].min(initial=1.0)
    sizes = n_equal[part == most]
    variance = sizes.mean() * (1 / sizes).mean() - 1  # of the sizes of groups, relative to mean**2
    return bool(shares[most] - few >= 0.5 and n[most] <= 0.55 * len(values) and variance <= 0.35)


def _agree_by_chance(
    keys: Keys, columns: Iterator[Keys], rows: NDArray[np.intp], n_equal: NDArray[np.int64]
) -> bool:
    """Whether some column tells rows apart that are equal in all others."""
    n = len(keys)
    for marks in columns:
        alike = _counts(marks)
        chance = (alike - 1).mean() / (n - 1)
        if chance > 0.999:
            continue
        others = _counts(keys - marks)[rows]
        agreement = ((n_equal - 1) / (others - 1)).mean()
        if agreement < (1 + chance) / 2:
            return True
    return False


def _columns(codes: Sequence[Codes], context: NDArray[np.float32]) -> Iterator[Keys]:
    """For each column, numbers that are equal where its cells are; their sums tell rows apart."""
    factors = iter(_factors(len(codes) + context.shape[1], seed=0))
    for column in codes:
        if isinstance(column, Lists):
            random = _factors(int(column.items.max()) + 1, seed=3)[column.items]
            yield np.add.reduceat(random, column.offsets[:-1]) * next(factors)
        else:
            yield column.astype(np.uint64) * next(factors)
    for numbers in context.T:
        yield (numbers + np.float32(0)).view(np.uint32).astype(np.uint64) * next(factors)


def _factors(n: int, seed: int) -> Keys:
    """Random odd numbers: products by them are equal only where the other factors are."""
    drawn = np.random.default_rng(seed).integers(2**63, size=n, dtype=np.uint64)
    return 2 * drawn + 1


def _counts(keys: Keys) -> NDArray[np.int64]:
    """Number of keys that are equal to each."""
    codes = pd.factorize(keys)[0]
    counts: NDArray[np.int64] = np.bincount(codes)[codes]
    return counts


def _sample(keys: Keys) -> NDArray[np.intp]:
    """Positions of all rows, or of some: of equal ones all or none."""
    step = -(-len(keys) // _MOST_ROWS)
    if step == 1:
        return np.arange(len(keys))
    mixed = (keys ^ (keys >> np.uint64(31))) * _factors(1, seed=4)[0]
    return np.flatnonzero((mixed >> np.uint64(40)) % np.uint64(step) == 0)
