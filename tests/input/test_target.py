"""y to numbers."""

from __future__ import annotations

import datetime as dt
from functools import partial

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from scipy import sparse
from sklearn.exceptions import DataConversionWarning
from sklearn.utils.class_weight import compute_sample_weight

from sk_entity_embed.exceptions import InvalidDataError, InvalidParameterError
from sk_entity_embed.input.target import (
    apply_class_weight,
    check_target,
    read_target,
    to_unit,
)

INDICATOR = np.array([[1, 0], [0, 1], [1, 1]])


def target_of(y, target_type="auto"):
    """A target of Python values."""
    array = np.array(y)
    return read_target(check_target(array, len(array)), target_type)


@pytest.mark.parametrize(
    ("y", "kind", "classes", "values", "n_outputs", "is_single"),
    [
        ([0.5, 2.0, -1.0], "continuous", None, [[0.5], [2.0], [-1.0]], 1, True),
        ([[0.5, 1.0], [2.0, 3.0]], "continuous", None, [[0.5, 1.0], [2.0, 3.0]], 2, False),
        (["late", "early", "late"], "binary", ["early", "late"], [[1], [0], [1]], 1, True),
        ([True, False], "binary", [False, True], [[1], [0]], 1, True),
        ([7, 3, 100], "multiclass", [3, 7, 100], [[1], [0], [2]], 3, False),
        (["b", "c", "a"], "multiclass", ["a", "b", "c"], [[1], [2], [0]], 3, False),
        (INDICATOR, "multilabel-indicator", [0, 1], INDICATOR.tolist(), 2, False),
    ],
)
def test_kind_classes_and_values(y, kind, classes, values, n_outputs, is_single):
    target = target_of(y)
    assert target.kind == kind
    assert (None if target.classes is None else target.classes.tolist()) == classes
    assert target.values.tolist() == values
    assert (target.n_outputs, target.is_single) == (n_outputs, is_single)
    one_class = kind in ("binary", "multiclass")
    assert (target.strata is None) != one_class
    assert not one_class or target.strata.tolist() == target.values[:, 0].tolist()
    indicators = target.indicators()
    if kind == "multiclass":
        assert sparse.issparse(indicators)
        assert indicators.toarray().tolist() == np.eye(3)[target.values[:, 0].astype(int)].tolist()
    else:
        assert indicators.tolist() == values


@pytest.mark.parametrize(
    ("y", "target_type", "classes"),
    [
        ([0.0, 1.0], "continuous", None),
        ([0.5, 1.5, 2.5], "multiclass", [0.5, 1.5, 2.5]),
        ([0.5, 1.5], "binary", [0.5, 1.5]),
        ([[1, 2], [3, 4]], "continuous", None),
    ],
)
def test_target_type_overrides_the_guess(y, target_type, classes):
    target = target_of(y, target_type)
    assert target.kind == target_type
    assert (None if classes is None else target.classes.tolist()) == classes


Y = [1.5, -2.0, 3.0]
LABELS = ["b", "a", "b"]


@pytest.mark.parametrize(
    "make", [pd.Series, partial(pd.Series, dtype="float64[pyarrow]"), pl.Series, pa.array, list]
)
def test_numbers_in_every_container(make):
    assert read_target(check_target(make(Y), 3), "auto").values[:, 0].tolist() == Y
    frames = {pl.Series: pl.DataFrame, pa.array: pa.table, list: np.column_stack}
    columns = [make(Y), make(Y)] if make is list else {"a": make(Y), "b": make(Y)}
    several = frames.get(make, pd.DataFrame)(columns)
    assert read_target(check_target(several, 3), "auto").values.tolist() == [[v, v] for v in Y]


@pytest.mark.parametrize(
    "y",
    [
        LABELS,
        pd.Series(LABELS, dtype="category"),
        pl.Series(LABELS, dtype=pl.Categorical),
        pa.chunked_array([LABELS]),
        pd.Series([True, False, True], dtype="boolean"),
        pd.Series([2, 1, 2], dtype="Int64"),
    ],
)
def test_labels_in_every_container(y):
    target = read_target(check_target(y, 3), "auto")
    assert target.kind == "binary"
    assert target.values[:, 0].tolist() == [1.0, 0.0, 1.0]


def test_a_column_vector_warns_and_is_flattened():
    with pytest.warns(DataConversionWarning, match="column-vector"):
        array = check_target(np.array([[1.5], [2.5]]), 2)
    assert array.shape == (2,)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([1.0, np.nan], "y contains NaN"),
        ([1.0, np.inf], "y contains infinity"),
        (pd.DataFrame({"a": [1.0, None], "b": [1.0, 2.0]}), "y contains NaN"),
        (pl.Series(["a", None]), "y contains NaN"),
        ([1.0, 2.0, 3.0], "inconsistent numbers of samples: 2 and 3"),
        (np.array([1j, 2], dtype=object), "[Cc]omplex|y cannot be learned from"),
        (np.array([dt.date(2013, 1, 1)] * 2, dtype=object), "cannot be learned.*2013, 1, 1"),
        (np.array(["a", 1], dtype=object), "cannot be learned from.*'a' as well as 1"),
        (np.array([2**70, 1], dtype=object), "cannot be learned.*more than 64 bits"),
        (np.array(["2013", "2014"], "M8[ns]"), "y holds dates or times"),
        (np.array([1e302, 0.5]), "y has values beyond 1e"),
    ],
)
def test_unusable_targets_are_refused(y, message):
    with pytest.raises(ValueError, match=message):
        read_target(check_target(y, 2), "auto")


@pytest.mark.parametrize(
    ("y", "target_type", "error", "message"),
    [
        ([1, 1, 1], "auto", InvalidDataError, r"one class only \(1\)"),
        (["a", "a"], "auto", InvalidDataError, r"one class only \('a'\)"),
        ([[1, 0], [1, 0]], "multilabel-indicator", InvalidDataError, "one class only"),
        ([[1, 2], [0, 1]], "multilabel-indicator", InvalidDataError, "only hold 0 and 1"),
        ([["a", "b"], ["b", "a"]], "auto", InvalidDataError, "unsupported kind"),
        ([[1, 2], [3, 4]], "auto", InvalidDataError, "target_type='continuous'"),
        ([0.5, 1.5], "classes", InvalidDataError, "Unknown label type: continuous"),
        (["a", "b"], "continuous", InvalidParameterError, "target_type='continuous'.*numeric"),
        (["a", "b"], "quantities", InvalidParameterError, "a regressor needs a numeric y"),
        ([1, 2, 3], "binary", InvalidParameterError, "3 classes; use 'multiclass'"),
        ([[1, 0], [0, 1]], "binary", InvalidParameterError, "one-dimensional"),
        ([1, 0], "multilabel-indicator", InvalidParameterError, r"\(n_samples, n_labels\)"),
    ],
)
def test_targets_that_do_not_fit_their_type_are_refused(y, target_type, error, message):
    with pytest.raises(error, match=message):
        target_of(y, target_type)


def test_labels_without_an_order_are_refused():
    y = np.array(["a", 1, "b"], dtype=object)
    with pytest.raises(InvalidDataError, match="The labels in y cannot be sorted"):
        read_target(check_target(y, 3), "multiclass")


@pytest.mark.parametrize("dtype", [np.int64, np.float64])
def test_more_than_a_hundred_integers_need_a_decision(dtype):
    assert target_of(np.arange(100, dtype=dtype)).kind == "multiclass"
    y = np.arange(101, dtype=dtype)
    with pytest.raises(InvalidParameterError, match=r"target_type='multiclass' or .*'continuous'"):
        target_of(y)
    assert target_of(y, "multiclass").n_outputs == 101
    assert target_of(y, "continuous").n_outputs == 1
    assert target_of([f"c{i}" for i in y]).n_outputs == 101


def test_only_ratios_of_weights_count():
    for factor in (5e-324, 1e-300, 3.0, 1e308):
        weights = to_unit(np.full(4, factor))
        assert 1 <= weights.max() < 2
        assert len(set(weights)) == 1
    ones = np.ones(3)
    assert to_unit(ones) is ones


@pytest.mark.parametrize(
    ("y", "class_weight"),
    [
        (["a", "b", "b"], {"a": 3.0}),
        (["a", "b", "c", "c"], "balanced"),
        ([True, False, False], {True: 4.0}),
        (INDICATOR, "balanced"),
        (INDICATOR, [{0: 1, 1: 2}, {0: 3, 1: 4}]),
    ],
)
def test_class_weights_are_those_of_scikit_learn(y, class_weight):
    weights = np.arange(1.0, len(y) + 1)
    found = apply_class_weight(class_weight, target_of(y), weights)
    expected = weights * compute_sample_weight(class_weight, np.array(y))
    np.testing.assert_allclose(found / found[0], expected / expected[0])
    assert apply_class_weight(None, target_of(y), weights) is weights


@pytest.mark.parametrize(
    ("y", "class_weight", "message"),
    [
        ([0.5, 1.5], "balanced", "needs classes"),
        (["a", "b"], {"a": 1e308, "b": 1.0}, "gives one class less than 1e-30"),
        (["a", "b"], {"a": 0.0, "b": 1.0}, "must be positive and finite"),
        (["a", "b"], {"a": 10**400, "b": 1.0}, "does not fit y"),
        (["a", "b"], {"z": 2.0}, r"names \['z'\], which are not classes of y: \['a', 'b'\]"),
        (INDICATOR, [{0: 1.0}], "does not fit y"),
    ],
)
def test_class_weights_that_do_not_fit_are_refused(y, class_weight, message):
    with pytest.raises(InvalidParameterError, match=f"`class_weight`.*{message}"):
        apply_class_weight(class_weight, target_of(y), np.ones(len(y)))
