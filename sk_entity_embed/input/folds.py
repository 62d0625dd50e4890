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

from sk_entity_embed.exceptions import (
    FoldsReducedWarning,
    InvalidDataError,
    InvalidParameterError,
)


def assign_folds(
    cv: Any,
    strata: NDArray[Any] | None,
    groups: NDArray[Any] | None,
    kept: NDArray[np.intp],
    n_samples: int,
    random_state: RandomState,
) -> NDArray[np.int64]:
    """Fold of each row that takes part in training.

    Parameters
    ----------
    cv : int, splitter, iterable of (train, test) indices or None
        Folds; None means 5. Their test sets must cover each row exactly once.
    strata : ndarray of shape (n_kept,) or None
        Class of each row kept, to stratify by.
    groups : ndarray of shape (n_kept,) or None
        Group of each row kept; a group is never divided between folds by an integer `cv`.
    kept : ndarray of int of shape (n_kept,)
        Rows of non-zero weight. An iterable refers to all rows, a splitter sees these only.
    n_samples : int
        Number of all rows.
    random_state : RandomState
        Shuffles the folds of an integer `cv`.

    Returns
    -------
    ndarray of int64 of shape (n_kept,)
        Fold numbers from 0.

    Raises
    ------
    InvalidParameterError
        If the folds are not an exact partition of the rows.
    InvalidDataError
        If there are too few rows, class members or groups for two folds.
    """
    cv = 5 if cv is None else cv
    if isinstance(cv, int | np.integer):
        splits = _integer_folds(int(cv), strata, groups, len(kept), random_state)
        return _partition(splits, len(kept))
    if hasattr(cv, "split"):
        y = np.zeros(len(kept)) if strata is None else strata
        return _partition(cv.split(np.zeros((len(kept), 1)), y, groups), len(kept))
    fold = _partition(cv, n_samples)[kept]
    used, renumbered = np.unique(fold, return_inverse=True)
    if len(used) < 2:
        raise InvalidParameterError("`cv` leaves rows of non-zero weight in fewer than two folds.")
    return renumbered.astype(np.int64)


def pick_validation(
    fraction: float,
    strata: NDArray[Any] | None,
    groups: NDArray[Any] | None,
    n_samples: int,
    random_state: RandomState,
) -> NDArray[np.bool_]:
    """Rows that the head never sees, so that their loss can stop training.

    Parameters
    ----------
    fraction : float
        Share of the rows, or of the groups where there are groups.
    strata, groups : ndarray of shape (n_samples,) or None
        Class and group of each row. Groups are kept whole.
    n_samples : int
        Number of rows.
    random_state : RandomState
        Draws the rows.

    Returns
    -------
    ndarray of bool of shape (n_samples,)
        At least one row (or group) is drawn, and at least one left.

    Raises
    ------
    InvalidDataError
        If there are fewer than two rows or groups.
    """
    units = n_samples if groups is None else len(np.unique(groups))
    if units < 2:
        raise InvalidDataError(
            f"Early stopping needs two {'rows' if groups is None else 'groups'} at least, but "
            f"n_samples = {n_samples}; set early_stopping=False."
        )
    size = min(max(1, round(fraction * units)), units - 1)
    mask = np.zeros(n_samples, dtype=bool)
    if groups is not None:
        splitter = GroupShuffleSplit(n_splits=1, test_size=size, random_state=random_state)
        _, chosen = next(splitter.split(mask, groups=groups))
    elif strata is not None and _can_stratify(strata, size):
        stratified = StratifiedShuffleSplit(n_splits=1, test_size=size, random_state=random_state)
        _, chosen = next(stratified.split(mask, strata))
    else:
        chosen = random_state.permutation(n_samples)[:size]
    mask[chosen] = True
    return mask


def _can_stratify(strata: NDArray[Any], size: int) -> bool:
    counts = np.unique(strata, return_counts=True)[1]
    return bool(counts.min() >= 2 and min(size, len(strata) - size) >= len(counts))


def _integer_folds(
    n_folds: int,
    strata: NDArray[Any] | None,
    groups: NDArray[Any] | None,
    n_samples: int,
    random_state: RandomState,
) -> Iterable[Any]:
    seed = random_state.randint(np.iinfo(np.int32).max)
    n_folds = _reduce(n_folds, n_samples, "rows")
    if groups is not None:
        n_folds = _reduce(n_folds, len(np.unique(groups)), "groups")
    if strata is not None:
        members = np.unique(strata, return_counts=True)[1]
        common = np.sort(members)[-2]  # at least two classes must be there out of fold
        n_folds = _reduce(n_folds, min(common, max(2, members.min())), "members of each class")
    splitter: Any
    if groups is not None and strata is not None:
        splitter = StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed)
    elif groups is not None:
        splitter = GroupKFold(n_folds, shuffle=True, random_state=seed)
    elif strata is not None:
        splitter = StratifiedKFold(n_folds, shuffle=True, random_state=seed)
    else:
        splitter = KFold(n_folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        # Said in _reduce; a class of one member remains possible and is in one fold only.
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        splits = splitter.split(np.broadcast_to(0.0, (n_samples, 1)), strata, groups)
        return [(None, test) for _, test in splits]  # nobody needs the other rows' positions


def _reduce(n_folds: int, available: int, what: str) -> int:
    if available >= n_folds:
        return n_folds
    if available < 2:
        raise InvalidDataError(
            f"Cross-fitting needs at least two {what}, got {available} "
            f"(n_samples = 1 is too few). Give more data, merge or drop rare classes, pass a "
            "splitter such as KFold(shuffle=True) as `cv`, or set cross_fit=False."
        )
    warnings.warn(
        f"cv={n_folds} folds need as many {what}, but there are too few; using {available} folds.",
        FoldsReducedWarning,
        stacklevel=2,
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
