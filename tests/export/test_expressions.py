"""Polars expressions and the Arrow function: equal to transform."""

from __future__ import annotations

import io
import pickle
import re
import sys
from datetime import date, datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.exceptions import NotFittedError

from sk_entity_embed import EntityEmbeddingEncoder
from sk_entity_embed.exceptions import (
    InvalidDataError,
    InvalidParameterError,
    UnsupportedDataError,
)
from sk_entity_embed.export import polars_expressions, pyarrow_transform
from tests.export.fitted import make_list_encoder, make_list_rows, make_new_lists
from tests.samples import make_encoder

SEEN = {
    "text": ["a", "A", "a ", "", "it's", "x\ny\tz", "\0", "漢ü", "<script>", "1"],
    "integer": [-1, 0, 1, 300, 2**62],
    "real": [0.0, 0.1, -2.5, 1e300, float("inf")],
    "flag": [True, False],
    "day": [date(2020, 1, 1), date(1969, 12, 31)],
    "moment": [datetime(2020, 1, 1), datetime(2020, 1, 1, 3, 4, 5, 678901)],
}
NEW = {
    "text": ["b", "A "],
    "integer": [3, 2**61],
    "real": [-0.0, 0.2, float("nan")],
    "flag": [],
    "day": [date(2021, 1, 1)],
    "moment": [datetime(2021, 1, 1)],
}
POLICIES = [
    {"remainder": "passthrough"},
    {"handle_unknown": "nan"},
    {"missing": 0.0, "handle_unknown": "zero"},
    {"min_frequency": 30, "kinds": ("moment", "text"), "dimensions": 1},
    {"head": "dot", "remainder": "passthrough"},
]


def draw(random, kinds, n, *, new=False, missing=0.1):
    """A polars frame of random cells, with the number "size"."""
    columns = {}
    for kind in kinds:
        choices = SEEN[kind] + NEW[kind] if new else SEEN[kind]
        cells = [choices[i] for i in random.integers(0, len(choices), n)]
        columns[kind] = [None if random.random() < missing else cell for cell in cells]
    columns["size"] = [None if random.random() < 0.1 else random.normal() for _ in range(n)]
    return pl.DataFrame(columns, strict=False)


def fit(kinds=tuple(SEEN), missing=0.1, **params):
    random = np.random.default_rng(0)
    X = draw(random, kinds, 240, missing=missing)
    params = {"categorical_features": list(kinds), "dimensions": 3, "cv": 2, **params}
    return make_encoder(**params).fit(X, random.normal(size=240))


def fit_column(values, **params):
    """An encoder of one column called "x"."""
    X = pl.DataFrame({"x": values * 20}) if isinstance(values, list) else values
    y = np.random.default_rng(0).normal(size=len(X))
    return make_encoder(cv=2, categorical_features="all", **params).fit(X, y)


def assert_same(found, encoder, rows):
    """Equal bit for bit to transform."""
    assert found.columns == encoder.get_feature_names_out().tolist()
    assert set(found.dtypes) == {pl.Float32}
    array, expected = found.to_numpy(), encoder.transform(rows)
    np.testing.assert_array_equal(array, expected)
    assert (np.signbit(array) == np.signbit(expected))[~np.isnan(array)].all()


@pytest.mark.parametrize("params", POLICIES, ids=str)
def test_polars_gives_the_same_numbers(params):
    encoder = fit(**params)
    kinds = encoder.categorical_features_
    rows = draw(np.random.default_rng(1), kinds, 300, new=True, missing=params.get("missing", 0.1))
    expressions = polars_expressions(encoder)
    assert_same(rows.select(expressions), encoder, rows)
    assert_same(rows.lazy().select(expressions).collect(), encoder, rows)
    assert_same(rows.lazy().select(expressions).collect(engine="streaming"), encoder, rows)
    added = rows.with_columns(expressions)
    assert_same(added.select(encoder.get_feature_names_out().tolist()), encoder, rows)


def test_polars_expressions_travel():
    encoder = fit()
    rows = draw(np.random.default_rng(1), list(SEEN), 30, new=True)
    there = [
        pl.Expr.deserialize(io.BytesIO(e.meta.serialize())) for e in polars_expressions(encoder)
    ]
    assert_same(rows.select(there), encoder, rows)


def test_polars_of_no_values():
    encoder = fit_column(["a", "b", None])
    rows = pl.DataFrame({"x": [None, None]})
    assert_same(rows.select(polars_expressions(encoder)), encoder, rows)
    assert rows.clear().select(polars_expressions(encoder)).shape == (0, encoder.dimensions_["x"])


@pytest.mark.parametrize(
    ("fitted", "dtype"),
    [
        ([1, 300, -5, None], pl.Int64),
        ([1, 300, 2**63 + 5], pl.UInt64),
        ([2**53, 2**53 + 1, None], pl.Int64),
        ([0.1, 1.0, 0.25, None], pl.Float32),
        ([True, False], pl.Boolean),
    ],
    ids=str,
)
def test_polars_numbers_in_other_types(fitted, dtype):
    encoder = fit_column(pl.DataFrame({"x": pl.Series(fitted * 20, dtype=dtype)}))
    expressions = polars_expressions(encoder)
    for cells, other in [
        ([1, 5, None, 0, -1], pl.Int8),
        ([1, 300, -5, None], pl.Int64),
        ([1, 300], pl.UInt64),
        ([2**53, None, 2**53 + 1], pl.Int64),
        ([2.0**53, 2.0**53 + 2, float("inf")], pl.Float64),
        ([1.0, float("nan"), None, -0.0, 0.1, 300.0, 0.5], pl.Float64),
        ([0.1, 0.25, 1.0, None], pl.Float32),
        ([True, False, None], pl.Boolean),
    ]:
        rows = pl.DataFrame({"x": pl.Series(cells, dtype=other)})
        assert_same(rows.select(expressions), encoder, rows)


def test_polars_refuses_other_kinds_of_type():
    for fitted, other in (([1, 2], ["1"]), (["1", "2"], [1])):
        expressions = polars_expressions(fit_column(fitted))
        with pytest.raises(pl.exceptions.InvalidOperationError, match="arithmetic"):
            pl.DataFrame({"x": other}).select(expressions)


@pytest.mark.parametrize("name", ["*", "^x.*$", ""])
def test_polars_names_are_no_patterns(name):
    X = pl.DataFrame({name: ["a", "b", None] * 20, "xyz": ["c", "d", "e"] * 20})
    encoder = make_encoder(cv=2).fit(X, np.random.default_rng(0).normal(size=60))
    assert_same(X.select(polars_expressions(encoder)), encoder, X)


REFUSALS = [
    ({"handle_unknown": "error"}, 0.0, ["z", None]),
    ({"handle_unknown": "error"}, 0.2, ["z"]),
    ({"handle_missing": "error"}, 0.0, [None]),
]


@pytest.mark.parametrize(("params", "missing", "refused"), REFUSALS, ids=str)
def test_what_transform_refuses(params, missing, refused):
    encoder = fit(kinds=("text",), missing=missing, **params)
    expressions, function = polars_expressions(encoder), pyarrow_transform(encoder)
    fine = {"a", "", *([None] if missing else []), "z", None} - set(refused)
    rows = pl.DataFrame({"text": list(fine), "size": 0.0}, schema_overrides={"text": pl.String})
    assert_same(rows.select(expressions), encoder, rows)
    assert_same(pl.from_arrow(function(rows.to_arrow())), encoder, rows)
    for cell in refused:
        bad = pl.DataFrame({"text": ["a", cell], "size": 0.0})
        with pytest.raises(InvalidDataError) as refusal:
            encoder.transform(bad)
        with pytest.raises(pl.exceptions.InvalidOperationError, match="incomplete mapping"):
            bad.select(expressions)
        with pytest.raises(InvalidDataError, match=re.escape(str(refusal.value))):
            function(bad.to_arrow())


def test_expressions_refuse_what_is_no_look_up():
    for output in ("hidden", "both", "stacking"):
        encoder = fit(kinds=("flag",), output=output)
        for function in (polars_expressions, pyarrow_transform):
            with pytest.raises(InvalidParameterError, match=f"output='{output}'"):
                function(encoder)


def test_expressions_need_keys_of_one_type():
    X = np.empty((40, 1), dtype=object)
    X[:, 0] = [1, "1"] * 20
    encoder = make_encoder(cv=2).fit(X, np.random.default_rng(0).normal(size=40))
    with pytest.raises(UnsupportedDataError, match="'x0' cannot be keys"):
        polars_expressions(encoder)
    rows = pa.table({"x0": ["1", None]})
    found = pyarrow_transform(encoder)(rows)
    expected = encoder.transform(np.array([["1"], [None]], dtype=object))
    np.testing.assert_array_equal(pl.from_arrow(found).to_numpy(), expected)


def test_expressions_without_polars(monkeypatch):
    monkeypatch.setitem(sys.modules, "polars", None)
    encoder = make_encoder(cv=2).fit(pd.DataFrame({"x": ["a", "b"] * 20}), np.arange(40) / 7)
    with pytest.raises(ImportError, match="pip install polars"):
        polars_expressions(encoder)


@pytest.mark.parametrize("function", [polars_expressions, pyarrow_transform])
def test_only_fitted_encoders(function):
    with pytest.raises(NotFittedError):
        function(EntityEmbeddingEncoder())
    with pytest.raises(InvalidParameterError, match="got object"):
        function(object())


@pytest.mark.parametrize("params", POLICIES, ids=str)
def test_arrow_gives_the_same_numbers(params):
    encoder = fit(**params)
    kinds = encoder.categorical_features_
    rows = draw(np.random.default_rng(1), kinds, 300, new=True, missing=params.get("missing", 0.1))
    function = pickle.loads(pickle.dumps(pyarrow_transform(encoder)))
    table = rows.to_arrow()
    chunked = pa.concat_tables([table.slice(0, 100), table.slice(100, 0), table.slice(100)])
    for given in (table, chunked, table.select(table.column_names[::-1])):
        found = function(given)
        assert isinstance(found, pa.Table)
        assert set(found.schema.types) == {pa.float32()}
        assert_same(pl.from_arrow(found), encoder, rows)
    batches = [function(batch) for batch in chunked.to_batches()]
    assert all(isinstance(batch, pa.RecordBatch) for batch in batches)
    assert_same(pl.from_arrow(pa.Table.from_batches(batches)), encoder, rows)


def test_arrow_dictionaries_and_types_beside_those_of_fit():
    encoder = fit(kinds=("text", "integer"))
    function = pyarrow_transform(encoder)
    table = pa.table(
        {
            "text": pa.array(["a", None, "b", "1"]).dictionary_encode(),
            "integer": pa.array([1.0, None, 0.5, float("nan")]),
            "size": [0.0] * 4,
        }
    )
    assert_same(pl.from_arrow(function(table)), encoder, table)
    table = pa.table({"text": [1, 2], "integer": ["1", "0"], "size": [0.0, 0.0]})
    assert_same(pl.from_arrow(function(table)), encoder, table)


def test_arrow_of_no_rows_and_of_bad_data():
    encoder = fit(remainder="passthrough")
    function = pyarrow_transform(encoder)
    table = draw(np.random.default_rng(1), list(SEEN), 3).to_arrow()
    empty = function(table.slice(0, 0))
    assert empty.num_rows == 0
    assert empty.schema == function(table).schema
    with pytest.raises(InvalidDataError, match=r"lacks the columns \['text', 'size'\]"):
        function(table.drop(["text", "size"]))
    with pytest.raises(UnsupportedDataError, match="must be a pyarrow Table or RecordBatch"):
        function(pd.DataFrame())


def test_numbers_passed_through_stay_null_and_round_as_in_transform():
    encoder = fit(kinds=("flag",), remainder="passthrough")
    whole = [2**53 + 1, 2**60 + 2**36 + 1, None]
    rows = pl.DataFrame({"flag": [True] * 3, "size": pl.Series(whole, dtype=pl.Int64)})
    for found in (
        rows.select(polars_expressions(encoder)),
        pl.from_arrow(pyarrow_transform(encoder)(rows.to_arrow())),
    ):
        assert_same(found, encoder, rows)
        assert found["size"].is_null().to_list() == [False, False, True]


def arrow_of(X):
    """The rows of lists as an Arrow table."""
    return pa.Table.from_pandas(X, preserve_index=False)


@pytest.mark.parametrize("policy", ["zero", "nan"])
def test_arrow_pools_lists(policy):
    X, y = make_list_rows()
    encoder = make_list_encoder(handle_unknown=policy, remainder="passthrough").fit(X, y)
    function = pickle.loads(pickle.dumps(pyarrow_transform(encoder)))
    table = arrow_of(make_new_lists())
    assert_same(pl.from_arrow(function(table)), encoder, table)
    assert function(table.slice(0, 0)).schema == function(table).schema


@pytest.mark.parametrize(
    ("column", "cells", "refused"),
    [
        ("mean", [["a"], ["b", "new"], ["new"]], "unknown .* 'mean': 2 row"),
        ("max", [["x"], [], ["x"]], "unknown .* 'max': 1 row"),
        ("max", [["x"], ["x", None], None], "'max': 2 row.* a missing value"),
        ("letter", ["a", "new", "b"], "unknown .* 'letter': 1 row"),
    ],
)
def test_arrow_refuses_what_transform_does_in_lists(column, cells, refused):
    encoder = make_list_encoder(handle_unknown="error").fit(*make_list_rows())
    X = make_list_rows(3)[0].assign(**{column: pd.Series(cells, dtype=object)})
    function = pyarrow_transform(encoder)
    with pytest.raises(InvalidDataError, match=refused) as refusal:
        encoder.transform(X)
    with pytest.raises(InvalidDataError, match=re.escape(str(refusal.value))):
        function(arrow_of(X))
    known = arrow_of(make_list_rows(3)[0])
    assert_same(pl.from_arrow(function(known)), encoder, known)


def test_arrow_refuses_lists_for_single_values():
    encoder = make_list_encoder().fit(*make_list_rows())
    X = make_list_rows(3)[0]
    for wrong in ({"letter": [["a"]] * 3}, {"mean": ["a"] * 3}):
        with pytest.raises(InvalidDataError, match="in fit, but holds"):
            pyarrow_transform(encoder)(arrow_of(X.assign(**wrong)))


def test_polars_expressions_refuse_lists():
    encoder = make_list_encoder().fit(*make_list_rows())
    with pytest.raises(UnsupportedDataError, match=r"The expressions .* 'mean' holds lists"):
        polars_expressions(encoder)


@pytest.mark.parametrize("scale", [1, 9])
def test_polars_decimals_under_policies_that_refuse(scale):
    values = [Decimal("1.5"), Decimal("2.5"), Decimal(3)]
    X = pl.DataFrame({"x": pl.Series(values * 20, dtype=pl.Decimal(38, 2))})
    encoder = make_encoder(categorical_features="all", cv=2, handle_unknown="error")
    encoder.fit(X, np.random.default_rng(0).normal(size=60))
    expressions = polars_expressions(encoder)
    rows = pl.DataFrame({"x": pl.Series(values, dtype=pl.Decimal(38, scale))})
    assert_same(rows.select(expressions), encoder, rows)
    unknown = pl.DataFrame({"x": pl.Series([Decimal("1.6")], dtype=pl.Decimal(38, scale))})
    with pytest.raises(pl.exceptions.InvalidOperationError):
        unknown.select(expressions)


@pytest.mark.parametrize("dtype", [pl.Categorical, pl.Enum(["z", "a", "b"])], ids=str)
def test_polars_text_in_other_types(dtype):
    encoder = fit_column(["a", "b", "c", None])
    rows = pl.DataFrame({"x": pl.Series(["a", None, "z", "b"], dtype=dtype)})
    assert_same(rows.select(polars_expressions(encoder)), encoder, rows)
