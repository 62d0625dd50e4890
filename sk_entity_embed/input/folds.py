"""Fold of each row, and the rows that decide when to stop."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.random import RandomState
from numpy.typing import NDArray
from sklearn.model_selection import (
    GroupKFold,
    GroupShuffleSplit,
    KFold,
    StratifiedGroupKFold,
    StratifiedKFold,
    StratifiedShuffleSplit,
)
from sklearn.utils import check_random_state

from sk_entity_embed.exceptions import (
    FoldsReducedWarning,
    InvalidDataError,
    InvalidParameterError,
    RareClassWarning,
)
from sk_entity_embed.input.messages import shown, warn

_SHOWN = 3
"""Rare classes that a warning names."""


def assign_folds(
    cv: Any,
    strata: NDArray[Any] | None,
    groups: NDArray[Any] | None,
    kept: NDArray[np.intp],
    n_samples: int,
    random_state: RandomState,
) -> NDArray[np.int64]:
    """Fold of each row that takes part in training, from 0.

    An iterable of index arrays refers to all `n_samples` rows, a splitter sees those `kept` only,
    which `strata` and `groups` describe. Too few rows or groups reduce an integer, with a warning;
    a class with few members does not: it is in as many folds as it has members.
    """
    cv = 5 if cv is None else cv
    if is_integer(cv):
        return _integer_folds(int(cv), strata, groups, len(kept), random_state)
    if hasattr(cv, "split"):
        y = np.zeros(len(kept)) if strata is None else strata
        return _partition(cv.split(np.zeros((len(kept), 1)), y, groups), len(kept))
    fold = _partition(cv, n_samples)[kept]
    used, renumbered = np.unique(fold, return_inverse=True)
    if len(used) < 2:
        raise InvalidParameterError("`cv` leaves rows of non-zero weight in fewer than two folds.")
    return renumbered.astype(np.int64)


def is_integer(cv: Any) -> bool:
    """True if `cv` is a number of folds, of which None is the default one."""
    return cv is None or isinstance(cv, int | np.integer)


def warn_of_rare_classes(
    fold: NDArray[np.integer[Any]], strata: NDArray[Any], classes: NDArray[Any]
) -> None:
    """Warn if classes, of which `strata` are the positions, have fewer members than folds."""
    n_folds = int(fold.max()) + 1
    members = np.bincount(strata.astype(np.intp), minlength=len(classes))
    rare = np.flatnonzero(members < n_folds)
    if len(rare) == 0:
        return
    rare = rare[np.argsort(members[rare], kind="stable")]
    named = [
        f"{shown(label)} ({n} member{'s' if n > 1 else ''})"
        for label, n in zip(classes[rare[:_SHOWN]].tolist(), members[rare], strict=False)
    ]
    named += [f"{len(rare) - _SHOWN} more"] if len(rare) > _SHOWN else []
    warn(
        f"Classes with fewer members than the {n_folds} folds: {', '.join(named)}. A row whose "
        "class is in no other fold is encoded by tables that have not seen its class. Give more "
        "data or merge rare classes.",
        RareClassWarning,
    )


def pick_validation(
    fraction: float,
    strata: NDArray[Any] | None,
    groups: NDArray[Any] | None,
    n_samples: int,
    random_state: RandomState,
) -> NDArray[np.bool_]:
    """Mark rows whose loss stops training. A head that serves all rows must not learn from them.

    They are a `fraction` of the rows, or whole groups; at least one is drawn and one left. Rows are
    stratified where classes have enough of them, and the only member of a class is left unless
    there are too few others.
    """
    units = n_samples if groups is None else len(np.unique(groups))
    if units < 2:
        what = "sample" if groups is None else "group"
        raise InvalidDataError(
            f"Early stopping needs at least two {what}s, got 1 {what}; set early_stopping=False."
        )
    size = min(max(1, round(fraction * units)), units - 1)
    mask = np.zeros(n_samples, dtype=bool)
    if groups is not None:
        splitter = GroupShuffleSplit(n_splits=1, test_size=size, random_state=random_state)
        _, chosen = next(splitter.split(mask, groups=groups))
    else:
        chosen = _pick_rows(size, strata, n_samples, random_state)
    mask[chosen] = True
    return mask


def _pick_rows(
    size: int, strata: NDArray[Any] | None, n_samples: int, random_state: RandomState
) -> NDArray[np.intp]:
    """Rows by class, where there are enough of each."""
    rows = np.arange(n_samples)
    if strata is None:
        return random_state.permutation(n_samples)[:size]
    _, codes, members = np.unique(strata, return_inverse=True, return_counts=True)
    repeated = rows[members[codes] > 1]
    rows = repeated if len(repeated) > size else rows
    n_classes = len(np.unique(codes[rows]))
    if members[codes[rows]].min() < 2 or min(size, len(rows) - size) < n_classes:
        return rows[random_state.permutation(len(rows))[:size]]
    splitter = StratifiedShuffleSplit(n_splits=1, test_size=size, random_state=random_state)
    _, chosen = next(splitter.split(rows, codes[rows]))
    picked: NDArray[np.intp] = rows[chosen]
    return picked


def _integer_folds(
    n_folds: int,
    strata: NDArray[Any] | None,
    groups: NDArray[Any] | None,
    n_samples: int,
    random_state: RandomState,
) -> NDArray[np.int64]:
    seed = random_state.randint(np.iinfo(np.int32).max)
    n_folds = _reduce(n_folds, n_samples, "sample")
    if groups is not None:
        n_folds = _reduce(n_folds, len(np.unique(groups)), "group")
    if strata is not None:
        codes = np.unique(strata, return_inverse=True)[1]
        return _partition(_stratified(codes, groups, n_folds, seed), n_samples)
    splitter: Any = KFold if groups is None else GroupKFold
    folds = splitter(n_folds, shuffle=True, random_state=seed)
    return _partition(folds.split(np.broadcast_to(0.0, (n_samples, 1)), groups=groups), n_samples)


def _stratified(
    codes: NDArray[np.intp], groups: NDArray[Any] | None, n_folds: int, seed: int
) -> list[tuple[None, NDArray[np.intp]]]:
    """scikit-learn's stratified folds, also where it raises: if every class is rare."""
    n_samples = len(codes)
    splitter: Any
    if groups is None:
        # One more class, with a member for each fold, changes nothing for the others.
        codes = np.append(codes, np.full(n_folds, codes.max() + 1))
        splitter = StratifiedKFold(n_folds, shuffle=True, random_state=seed)
    else:
        # Copies of all rows change no shares, and so no folds.
        n_copies = -(-n_folds // int(np.bincount(codes).max()))
        codes, groups = np.tile(codes, n_copies), np.tile(groups, n_copies)
        # scikit-learn before 1.8 shuffles groups so that folds are not stratified.
        _, groups = np.unique(groups, return_inverse=True)
        order = np.arange(groups.max() + 1)
        check_random_state(seed).shuffle(order)
        groups = np.argsort(order)[groups]
        splitter = StratifiedGroupKFold(n_folds)
    with warnings.catch_warnings():  # warn_of_rare_classes says it
        warnings.simplefilter("ignore", UserWarning)
        splits = splitter.split(np.broadcast_to(0.0, (len(codes), 1)), codes, groups)
        # Nobody needs the other rows' positions.
        return [(None, test[test < n_samples]) for _, test in splits]


def _reduce(n_folds: int, available: int, what: str) -> int:
    if available >= n_folds:
        return n_folds
    if available < 2:
        advice = "Give more data, or"
        if what == "group":
            advice = "Leave `groups` out, pass a splitter such as KFold(shuffle=True) as `cv`, or"
        raise InvalidDataError(
            f"Cross-fitting needs at least two {what}s, got 1 {what}. {advice} set cross_fit=False."
        )
    warn(
        f"cv={n_folds} folds need as many {what}s, but there are {available}; using {available} "
        "folds.",
        FoldsReducedWarning,
    )
    return int(available)


def _partition(splits: Iterable[Any], n_samples: int) -> NDArray[np.int64]:
    """Fold of each row; refuses folds that overlap or leave rows out."""
    fold = np.zeros(n_samples, dtype=np.int64)
    times = np.zeros(n_samples, dtype=np.int32)
    n_folds = 0
    try:
        for _, test in splits:
            members = np.zeros(n_samples, dtype=bool)
            members[np.asarray(test)] = True
            if members.any():
                fold[members] = n_folds
                times += members
                n_folds += 1
    except (IndexError, TypeError, ValueError) as error:
        raise InvalidParameterError(
            f"`cv` must give pairs of index arrays into the {n_samples} training rows: {error}."
        ) from error
    if n_folds < 2 or (times != 1).any():
        raise InvalidParameterError(
            "`cv` must give at least two test sets that cover each row exactly once; "
            f"{int((times == 0).sum())} rows are in none and {int((times > 1).sum())} in several. "
            "Use a splitter such as KFold."
        )
    return fold
