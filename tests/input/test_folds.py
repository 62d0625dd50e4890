"""Folds are an exact partition; validation rows are whole groups."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn.model_selection import GroupKFold, KFold, ShuffleSplit, StratifiedKFold

from sk_entity_embed.exceptions import (
    FoldsReducedWarning,
    InvalidDataError,
    InvalidParameterError,
    RareClassWarning,
)
from sk_entity_embed.input.folds import assign_folds, pick_validation, warn_of_rare_classes


def folds(n, cv=5, *, strata=None, groups=None, kept=None, seed=0):
    """Folds of `n` rows, all of them kept by default."""
    kept = np.arange(n) if kept is None else np.asarray(kept)
    return assign_folds(cv, strata, groups, kept, n, np.random.RandomState(seed))


def validation(n, fraction=0.1, *, strata=None, groups=None, seed=0):
    """Validation rows of `n` rows."""
    return pick_validation(fraction, strata, groups, n, np.random.RandomState(seed))


@pytest.mark.parametrize("cv", [2, 5, np.int64(4)])
def test_an_integer_gives_shuffled_folds_of_equal_size(cv):
    fold = folds(60, cv)
    assert np.bincount(fold).tolist() == [60 // cv] * cv
    assert not np.array_equal(fold, np.sort(fold))
    assert folds(60, cv).tolist() == fold.tolist() != folds(60, cv, seed=1).tolist()


@pytest.mark.parametrize("n_classes", [0, 2, 50], ids=["plain", "classes", "rare classes"])
def test_groups_are_never_divided(n_classes):
    rng = np.random.default_rng(0)
    groups = np.arange(200) % 25
    strata = np.sort(rng.integers(n_classes, size=200)) if n_classes else None
    fold = folds(200, 5, groups=groups, strata=strata)
    assert set(fold) == set(range(5))
    assert all(len(set(fold[groups == g])) == 1 for g in range(25))
    assert not np.array_equal(fold, folds(200, 5, groups=groups, strata=strata, seed=1))
    groups, strata = np.repeat(np.arange(20), 10), np.repeat(np.tile([0.0, 1.0], 10), 10)
    fold = folds(200, 5, groups=groups, strata=strata)
    np.testing.assert_allclose([strata[fold == f].mean() for f in range(5)], 0.5)


@pytest.mark.parametrize(
    ("n", "strata", "groups", "expected", "what"),
    [
        (3, None, None, 3, "samples"),
        (4, np.array([0, 0, 0, 1]), None, 4, "samples"),
        (9, None, np.repeat([0, 1, 2], 3), 3, "groups"),
        (9, np.repeat([0, 1], [7, 2]), np.repeat([0, 1, 2], 3), 3, "groups"),
    ],
)
def test_too_few_units_reduce_the_folds_with_a_warning(n, strata, groups, expected, what):
    with pytest.warns(FoldsReducedWarning, match=f"cv=5.*{what}.*using {expected} folds"):
        fold = folds(n, 5, strata=strata, groups=groups)
    assert set(fold) == set(range(expected))


@pytest.mark.parametrize(
    "members",
    [[999, 1], [20, 10, 3], [3, 3, 3], [1] * 6, [50, 10, 5]],
    ids=["one of two", "three", "all of three", "all of one", "none"],
)
def test_a_rare_class_costs_no_fold_and_is_in_as_many_as_it_has_members(members):
    strata = np.random.default_rng(0).permutation(np.repeat(np.arange(len(members)), members))
    fold = folds(len(strata), 5, strata=strata)
    assert set(fold) == set(range(5))
    for label, count in enumerate(members):
        assert len(set(fold[strata == label])) == min(5, count)
        assert np.ptp(np.bincount(fold[strata == label], minlength=5)) <= 1
    assert np.ptp(np.bincount(fold)) <= 1


def test_stratified_folds_are_those_of_scikit_learn():
    strata = np.random.default_rng(1).integers(3, size=70).astype(float)
    seed = np.random.RandomState(0).randint(np.iinfo(np.int32).max)
    expected = StratifiedKFold(5, shuffle=True, random_state=seed).split(strata, strata)
    fold = folds(70, 5, strata=strata)
    for f, (_, test) in enumerate(expected):
        np.testing.assert_array_equal(np.flatnonzero(fold == f), test)


def test_rare_classes_are_named_with_their_members_in_one_warning():
    strata = np.repeat([0.0, 1.0, 2.0, 3.0, 4.0], [1, 20, 4, 2, 3])
    labels = np.array(["gold", "iron", "tin", "lead", "zinc"])
    fold = folds(30, 5, strata=strata)
    named = r"5 folds: 'gold' \(1 member\), 'lead' \(2 members\), 'zinc' \(3 members\), 1 more\."
    with pytest.warns(RareClassWarning, match=f"Classes with fewer members.*{named}") as caught:
        warn_of_rare_classes(fold, strata, labels)
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        strata = np.repeat([0.0, 1.0], [20, 5])
        warn_of_rare_classes(folds(25, 5, strata=strata), strata, np.array([False, True]))


@pytest.mark.parametrize(
    "cv",
    [StratifiedKFold(3), GroupKFold(3), list(KFold(3).split(np.zeros(30)))],
    ids=["classes", "groups", "list"],
)
def test_splitters_and_iterables_decide_the_folds(cv):
    strata = np.tile([0, 1], 15)
    groups = np.repeat(np.arange(6), 5) if isinstance(cv, GroupKFold) else None
    fold = folds(30, cv, strata=strata, groups=groups)
    splits = cv if isinstance(cv, list) else cv.split(np.zeros(30), strata, groups)
    for f, (_, test) in enumerate(splits):
        assert np.flatnonzero(fold == f).tolist() == test.tolist()


def test_an_iterable_refers_to_all_rows_and_a_splitter_to_those_kept():
    none, first = np.array([], dtype=int), np.arange(4) < 2
    assert folds(4, [(None, [0, 1]), (None, none), (None, [2, 3])]).tolist() == [0, 0, 1, 1]
    assert folds(4, ((~m, m) for m in (first, ~first))).tolist() == [0, 0, 1, 1]
    kept, thirds = [0, 2, 3, 5], [(None, [0, 1]), (None, [2, 3]), (None, [4, 5])]
    assert folds(6, [(None, [0, 1, 2]), (None, [3, 4, 5])], kept=kept).tolist() == [0, 0, 1, 1]
    assert folds(6, KFold(2), kept=kept).tolist() == [0, 0, 1, 1]
    assert len(folds(6, 2, kept=kept)) == 4
    assert folds(6, thirds, kept=[0, 4, 5]).tolist() == [0, 1, 1]  # renumbered
    with pytest.raises(InvalidParameterError, match=r"`cv` leaves rows .* fewer than two folds"):
        folds(6, thirds, kept=[0, 1])


@pytest.mark.parametrize(
    ("cv", "message"),
    [
        ([(None, [0, 1]), (None, [2])], "exactly once; 3 rows are in none and 0 in several"),
        ([(None, [0, 1, 2]), (None, [2, 3, 4, 5])], "0 rows are in none and 1 in several"),
        ([(None, np.arange(6))], "at least two test sets"),
        ([(None, [0, 1, 2]), (None, [3, 4, 99])], "index arrays into the 6 training rows"),
        ([1, 2], "index arrays"),
        (ShuffleSplit(3, test_size=2, random_state=0), "each row exactly once"),
    ],
)
def test_folds_that_are_no_partition_are_refused(cv, message):
    with pytest.raises(InvalidParameterError, match=f"`cv`.*{message}"):
        folds(6, cv)


@pytest.mark.parametrize(
    ("n", "fraction", "expected"), [(100, 0.1, 10), (100, 0.25, 25), (5, 0.1, 1), (3, 0.999, 2)]
)
def test_a_share_of_the_rows_is_drawn(n, fraction, expected):
    mask = validation(n, fraction)
    assert mask.dtype == bool
    assert mask.sum() == expected
    assert validation(n, fraction).tolist() == mask.tolist()
    assert n < 100 or validation(n, fraction, seed=1).tolist() != mask.tolist()


@pytest.mark.parametrize("strata", [np.arange(100) // 2, np.arange(100)], ids=["pairs", "single"])
def test_validation_is_plain_where_it_cannot_be_stratified(strata):
    assert validation(100, 0.1, strata=strata).sum() == 10


def test_the_only_member_of_a_class_teaches_the_head_and_the_others_stay_stratified():
    strata = np.repeat([0, 1, 2, 3], [80, 18, 1, 1])
    for seed in range(30):
        mask = validation(100, 0.1, strata=strata, seed=seed)
        assert np.bincount(strata[mask]).tolist() == [8, 2]


def test_validation_takes_whole_groups():
    groups = np.repeat(np.arange(20), np.arange(1, 21))
    mask = validation(len(groups), 0.2, groups=groups)
    whole = [mask[groups == g] for g in range(20)]
    assert all(m.all() or not m.any() for m in whole)
    assert sum(m.all() for m in whole) == 4


def test_two_units_are_needed():
    for n, groups, what in ((1, None, "sample"), (6, np.zeros(6, dtype=int), "group")):
        message = f"at least two {what}s, got 1 {what}"
        with pytest.raises(InvalidDataError, match=rf"{message}\..*cross_fit=False"):
            folds(n, 5, groups=groups)
        with pytest.raises(InvalidDataError, match=f"{message}; set early_stopping=False"):
            validation(n, groups=groups)
