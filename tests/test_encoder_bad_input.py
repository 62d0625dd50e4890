"""Bad input: a ValueError or TypeError that names the column or parameter, and nothing changes."""

from __future__ import annotations

import datetime as dt
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from scipy import sparse

from sk_entity_embed import EntityEmbeddingEncoder
from sk_entity_embed.exceptions import EntityEmbedError
from tests.containers import CONTAINERS, NAMELESS, make_container
from tests.samples import make_encoder, make_rows

N = 60
X, Y = make_rows(N)
OBJECTS = X.to_numpy(dtype=object)
FRAMES = (lambda f: f, pl.from_pandas, pa.Table.from_pandas)


@pytest.fixture(scope="module")
def encoder() -> EntityEmbeddingEncoder:
    return make_encoder(output="both", remainder="passthrough").fit(X, Y)


@pytest.fixture(scope="module")
def nameless() -> EntityEmbeddingEncoder:
    return make_encoder().fit(OBJECTS, Y)


@contextmanager
def unchanged(encoder: EntityEmbeddingEncoder) -> Iterator[None]:
    """Everything of the encoder is the same afterwards."""
    before = {name: (id(value), pickle.dumps(value)) for name, value in vars(encoder).items()}
    yield
    after = {name: (id(value), pickle.dumps(value)) for name, value in vars(encoder).items()}
    assert after == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.rename(columns={"color": "hue"}), r"(?s)hue.*color"),
        (lambda f: f[["color", "letter", "size"]], "same order as they were in fit"),
        (lambda f: f.drop(columns="color"), r"(?s)missing.*color"),
        (lambda f: f.assign(extra=1), r"(?s)unseen at fit time.*extra"),
        (lambda f: f[:0], r"0 sample\(s\) \(shape=\(0, 3\)\)"),
        (lambda f: f[[]], r"0 feature\(s\)|0 sample\(s\)"),
        (lambda f: f.assign(size=-np.inf), "Column 'size' contains infinity"),
        (lambda f: f.assign(size="1.5"), "Column 'size' .* was numeric in fit"),
        (lambda f: f.assign(size=pd.Timestamp(0)), "Column 'size' .* was numeric in fit"),
        (
            lambda f: f.assign(size=f["size"].astype(str).astype("category")),
            "Column 'size' .* was numeric in fit",
        ),
    ],
    ids=[
        "name", "order", "missing", "extra", "no rows", "no columns", "infinity", "text", "date",
        "category",
    ],
)  # fmt: skip
def test_transform_refuses_other_columns(
    change: Callable[[Any], Any], message: str, encoder: EntityEmbeddingEncoder
) -> None:
    for frame in FRAMES:
        with unchanged(encoder), pytest.raises(ValueError, match=message):
            encoder.transform(frame(change(X)))


@pytest.mark.parametrize("table", [OBJECTS[:, :2], OBJECTS[:, [0, 1, 2, 2]]])
def test_transform_refuses_another_number_of_columns(
    table: Any, nameless: EntityEmbeddingEncoder
) -> None:
    message = rf"X has {table.shape[1]} features, but .* expecting 3"
    with unchanged(nameless), pytest.raises(ValueError, match=message):
        nameless.transform(table)


@pytest.mark.parametrize(
    ("table", "error", "message"),
    [
        (OBJECTS[:0], ValueError, r"0 sample\(s\)"),
        (OBJECTS[:, :0], ValueError, r"0 feature\(s\)"),
        (OBJECTS[:, 0], ValueError, "Expected 2D array, got 1D array"),
        (OBJECTS[None], ValueError, "Found array with dim 3"),
        (np.array("a"), ValueError, "Expected 2D array, got scalar"),
        ([], ValueError, "Expected 2D array, got 1D array"),
        ([[]], ValueError, r"0 feature\(s\)"),
        ([["a", "b", 1.0], ["a", "b"]], ValueError, "rows of different lengths"),
        (sparse.csr_array(np.eye(3)), TypeError, "[Ss]parse"),
        (sparse.csc_matrix(np.eye(3)), TypeError, "[Ss]parse"),
        (X["letter"], ValueError, "Expected 2D array.*series.*to_frame"),
        (pl.Series(["a"]), ValueError, "Expected 2D array.*series"),
        (pl.from_pandas(X).lazy(), TypeError, "lazy frame; pass X.collect"),
        (None, ValueError, "(?s)Expected 2D array, got scalar.*None"),
        (np.ones((4, 3), dtype=complex), ValueError, "[Cc]omplex"),
    ],
    ids=[
        "no rows", "no columns", "1-D", "3-D", "scalar", "empty list", "empty row", "ragged", "csr",
        "csc", "pandas series", "polars series", "lazy", "None", "complex",
    ],
)  # fmt: skip
def test_what_is_no_table_is_refused(
    table: Any, error: type[Exception], message: str, nameless: EntityEmbeddingEncoder
) -> None:
    for tried in (make_encoder(), nameless):
        for call in (tried.fit, tried.fit_transform):
            with unchanged(tried), pytest.raises(error, match=message):
                call(table, [0.5, 1.5, 2.5])
    with unchanged(nameless), pytest.raises(error, match=message):
        nameless.transform(table)


FIT: dict[str, tuple[Any, Any, dict[str, Any], type[Exception], str]] = {
    "y too short": (X, Y[:-1], {}, ValueError, "X and y .*60 and 59"),
    "no y": (
        X, None, {}, ValueError, "This EntityEmbeddingEncoder estimator requires y .* y is None"
    ),
    "NaN in y": (X, np.where(Y > 1, np.nan, Y), {}, ValueError, "y contains NaN"),
    "NaN in an output": (
        X, np.column_stack([Y, np.where(Y > 1, np.nan, Y)]), {}, ValueError, "y contains NaN"
    ),
    "infinity in y": (X, np.where(Y > 1, np.inf, Y), {}, ValueError, "y contains infinity"),
    "one text": (X, ["late"] * N, {}, ValueError, r"y has one class only \('late'\)"),
    "one class kept": (
        X, (np.arange(N) > 50).astype(int), {"sample_weight": np.arange(N) <= 50}, ValueError,
        "y has one class only",
    ),
    "constant labels": (
        X, np.tile([1, 0], (N, 1)), {}, ValueError, "one class only in every label"
    ),
    "labels beyond 0 and 1": (
        X, np.column_stack([Y > 0, Y > 1]) * 2, {}, ValueError, "multilabel y may only hold 0 and 1"
    ),
    "empty y": (X[:0], [], {}, ValueError, r"0 sample\(s\)"),
    "sparse y": (X, sparse.csr_array(np.eye(N)), {}, TypeError, "[Ss]parse"),
    "mixed labels": (
        X, np.array(["a", 1] * 30, dtype=object), {}, (ValueError, TypeError),
        "(?s)^.*y.*(labels of one type|no kind)",
    ),
    "decimals and text in y": (
        X, [Decimal("1.5"), "a"] * 30, {}, ValueError, r"y .*Decimal\('1\.5'\) as well as 'a'"
    ),
    "dates in y": (
        X, [dt.date(2020, 1, 2)] * N, {}, ValueError, r"y .*date\(2020, 1, 2\), which is neither"
    ),
    "dicts in y": (X, [{"a": 1}] * N, {}, ValueError, r"y .*\{'a': 1\}, which is neither"),
    "lists in y": (X, [[1], [1, 2]] * 30, {}, ValueError, "y has entries of different lengths"),
    "large integers in y": (X, [10**400, 1] * 30, {}, ValueError, r"y .*1000.*more than 64 bits"),
    "large y": (X, Y * 1e305, {}, ValueError, r"y has values beyond 1e\+301; divide it"),
    "scalar y": (X, 3.0, {}, ValueError, "y must have one value for each row"),
    "text weights": (
        X, Y, {"sample_weight": ["a"] * N}, ValueError, "numbers, but sample_weight holds 'a'"
    ),
    "weights of dates": (
        X, Y, {"sample_weight": np.full(N, np.datetime64("2020"))}, ValueError,
        "sample_weight holds dates",
    ),
    "weights for few": (
        X, Y, {"sample_weight": np.where(np.arange(N) == 3, 1e308, 1.0)}, ValueError,
        "sample_weight gives nearly all weight to few rows.*differ less",
    ),
    "2-D groups": (X, Y, {"groups": np.ones((N, 2))}, ValueError, "groups has 2 columns"),
    "scalar groups": (X, Y, {"groups": 3}, ValueError, "groups must have one value for each row"),
    "groups of lists": (X, Y, {"groups": [[1], [2, 3]] * 30}, ValueError, "groups has entries of"),
    "groups of sets": (X, Y, {"groups": [{1}, {2}] * 30}, ValueError, "groups .*not labels.*'set'"),
    "short weights": (X, Y, {"sample_weight": np.ones(N - 1)}, ValueError, "sample_weight.*59"),
    "negative weights": (
        X, Y, {"sample_weight": -np.ones(N)}, ValueError, "[Nn]egative.*sample_weight"
    ),
    "NaN weights": (
        X, Y, {"sample_weight": np.full(N, np.nan)}, ValueError, "sample_weight contains NaN"
    ),
    "zero weights": (X, Y, {"sample_weight": np.zeros(N)}, ValueError, "[Ss]ample.weight.*zero"),
    "2-D weights": (X, Y, {"sample_weight": np.ones((N, 2))}, ValueError, "[Ss]ample.?weight"),
    "short groups": (X, Y, {"groups": np.arange(N - 1)}, ValueError, "X and groups.*60 and 59"),
    "missing groups": (X, Y, {"groups": [None, "a"] * 30}, ValueError, "groups has missing"),
    "one group": (X, Y, {"groups": np.ones(N)}, ValueError, "two groups"),
    "no columns": (X[[]], Y, {}, ValueError, r"0 feature\(s\) \(shape=\(60, 0\)\)"),
    "repeated name": (
        X.set_axis(["letter", "color", "letter"], axis=1), Y, {}, ValueError,
        "(?s)names must be unique.*'letter'",
    ),
    "repeated label": (
        X.set_axis([1, 2, 1], axis=1), Y, {}, ValueError, "(?s)names must be unique.*1"
    ),
    "repeated Arrow name": (
        pa.Table.from_arrays([pa.array(["a", "b"] * 30)] * 2, names=["p", "p"]), Y, {}, ValueError,
        "(?s)names must be unique.*p",
    ),
    "labels of two kinds": (X.set_axis(["a", "b", 3], axis=1), Y, {}, TypeError, "feature names"),
    "lists of lists": (
        X.assign(color=[["a", ["b"]]] * N), Y, {}, TypeError,
        "Column 'color' holds lists of lists.*Flatten",
    ),
    "lists and text": (
        X.assign(color=[["a", "b"]] * (N - 1) + ["a"]), Y, {}, ValueError,
        r"Column 'color' holds lists as well as single values: row 59 holds 'a'.*\['a'\]",
    ),
    "lists of dicts": (X.assign(color=[[{"a": 1}]] * N), Y, {}, TypeError, "Column 'color'.*hash"),
    "dicts in cells": (X.assign(color=[{"a": 1}] * N), Y, {}, TypeError, "Column 'color'"),
    "lists of fractions": (
        X.assign(color=[[0.5, 1.0]] * N), Y, {}, TypeError,
        "Column 'color' holds lists of fractions.*`categorical_features`",
    ),
    "Arrow structs": (
        pa.table({"p": ["a"] * N, "q": [{"a": 1}] * N}), Y, {}, TypeError,
        "Column 'q' has the nested type",
    ),
    "complex column": (X.assign(size=1j * Y), Y, {}, ValueError, "column 'size' is complex"),
}  # fmt: skip


@pytest.mark.parametrize("case", FIT)
def test_fit_refuses_what_cannot_be_learned_from(
    case: str, encoder: EntityEmbeddingEncoder
) -> None:
    table, y, metadata, error, message = FIT[case]
    alone = make_encoder(cross_fit=False)
    for tried in (make_encoder(), alone, encoder):  # a refit that is refused changes nothing
        with unchanged(tried), pytest.raises(error, match=message) as caught:
            tried.fit(table, y, **metadata)
        assert len(str(caught.value)) < 500  # a value, never all of them
    for tried in (make_encoder(), alone):
        with unchanged(tried), pytest.raises(error, match=message):
            tried.fit_transform(table, y, **metadata)


def test_infinite_context_numbers_are_named_in_every_container(
    encoder: EntityEmbeddingEncoder, nameless: EntityEmbeddingEncoder
) -> None:
    columns = {"letter": ["a", "b"], "color": ["red", "blue"], "size": [1.0, float("inf")]}
    for name in CONTAINERS:
        table = make_container(name, columns)
        fitted, column = (nameless, "x2") if name in NAMELESS else (encoder, "size")
        message = f"Column '{column}' contains infinity.*Clip"
        with unchanged(fitted), pytest.raises(ValueError, match=message):
            fitted.transform(table)
        with pytest.raises(ValueError, match=message):
            make_encoder().fit(table, [0.5, 1.5])


def test_infinite_numbers_may_be_categories() -> None:
    table = pd.DataFrame({"c": [1.0, np.inf, -np.inf, 2.0] * 5})
    encoder = make_encoder(categorical_features="all").fit(table, np.arange(20) % 7 / 7)
    assert encoder.categories_["c"].tolist() == [-np.inf, 1.0, 2.0, np.inf]


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_number_that_is_missing_throughout_is_no_error_in_transform(name: str) -> None:
    columns = {"x0": ["a", "b"] * 10, "x1": [1.0, 2.0, None, 4.0] * 5}
    fitted = make_encoder(output="hidden", max_iter=1, cross_fit=False)
    fitted.fit(make_container(name, columns), np.arange(20) % 7 / 7)
    out = fitted.transform(make_container(name, {**columns, "x1": [None] * 20}))
    np.testing.assert_array_equal(out[2::4], fitted.transform(make_container(name, columns))[2::4])


@pytest.mark.parametrize(
    ("features", "error", "message"),
    [
        (["letter"], TypeError, "Column 'color' .*not among the `categorical_features`"),
        (["letter", "hue"], ValueError, "`categorical_features` has 'hue'.*letter.*color"),
        ([0, 7], ValueError, "`categorical_features` has 7"),
        ([-4], ValueError, "`categorical_features` has -4"),
        ([True, False], ValueError, "`categorical_features` is a mask of 2 values.*3 columns"),
        ([False] * 3, ValueError, "`categorical_features` selects no column"),
        ([0, "letter", 1], ValueError, "`categorical_features` selects a column more than once"),
        (lambda X: ["hue"], ValueError, "`categorical_features` has 'hue'"),
        (lambda X: [], ValueError, "`categorical_features` selects no column"),
    ],
)
def test_a_selection_that_does_not_fit_is_refused(
    features: Any, error: type[Exception], message: str
) -> None:
    encoder = make_encoder(categorical_features=features)
    with pytest.raises(error, match=message):
        encoder.fit(X, Y)
    assert vars(encoder) == encoder.get_params()


@pytest.mark.parametrize(
    ("y", "params", "message"),
    [
        (np.arange(N) % 3, {"target_type": "binary"}, "target_type='binary', but y has 3 classes"),
        (np.array(["a", 1] * 30, dtype=object), {"target_type": "multiclass"}, "labels in y .*one"),
        (["a", "b"] * 30, {"target_type": "continuous"}, "target_type='continuous' needs a num"),
        (Y, {"target_type": "multilabel-indicator"}, "multilabel-indicator' needs a y of shape"),
        (np.column_stack([Y, Y]), {"target_type": "binary"}, "needs a one-dimensional y"),
        (np.column_stack([Y, Y]), {"target_type": "multilabel-indicator"}, "only hold 0 and 1"),
        (Y - 100, {"loss": "poisson"}, "loss='poisson' needs a y without negative values"),
        (Y > 0, {"loss": "huber"}, r"loss='huber' does not fit a binary target.*log_loss"),
        (Y, {"loss": "log_loss"}, r"loss='log_loss' does not fit a continuous target"),
    ],
)
def test_a_target_that_does_not_fit_the_parameters_is_refused(
    y: Any, params: dict[str, Any], message: str
) -> None:
    encoder = make_encoder(**params)
    with unchanged(encoder), pytest.raises(ValueError, match=message):
        encoder.fit(X, y)


def test_the_packages_errors_are_built_in_ones_too(encoder: EntityEmbeddingEncoder) -> None:
    lazy = pl.from_pandas(X).lazy()
    for table, error in ((X.assign(size=np.inf), ValueError), (lazy, TypeError)):
        with pytest.raises(EntityEmbedError) as caught:
            encoder.transform(table)
        assert isinstance(caught.value, error)
