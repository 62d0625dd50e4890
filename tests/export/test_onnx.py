"""ONNX: onnxruntime gives what ``transform`` gives, or the export says why it cannot."""

from __future__ import annotations

import json
import os
import sys

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest
from onnx.reference import ReferenceEvaluator

from sk_entity_embed.exceptions import (
    InvalidDataError,
    InvalidParameterError,
    UnsupportedDataError,
)
from sk_entity_embed.export import _onnx_graph as onnx_graph
from sk_entity_embed.export import to_onnx
from tests.export.fitted import make_dot, make_list_encoder, make_list_rows, make_new_lists
from tests.samples import make_encoder, make_rows, set_heads

CITIES = ["Lima", "Oslo", "", "ü漢😀", "a\0b", "q\"u'o\n\tte", "<script>", "</script>", "None", " "]
REALS = [0.1, -0.0, 1e300, np.inf, np.nan, -5]
CATEGORICAL = ["city", "day", "flag", "real"]


def make_table(n, seed=0):
    """Categories of each type, with an infrequent one each, and numbers of several kinds."""
    rng = np.random.default_rng(seed)
    share = np.array([1.0] * (len(CITIES) - 1) + [0.1])
    X = pd.DataFrame(
        {
            "city": rng.choice(CITIES, n, p=share / share.sum()),
            "size": rng.normal(size=n),
            "day": rng.choice([-3, 0, 2**60, 7], n, p=[0.4, 0.3, 0.28, 0.02]),
            "flag": rng.random(n) < 0.5,
            "real": rng.choice(REALS, n, p=[0.3, 0.2, 0.2, 0.2, 0.08, 0.02]),
            "gappy": np.where(rng.random(n) < 0.2, np.nan, 100 * rng.random(n)),
            "whole": rng.integers(0, 4, n).astype(float),
            "constant": np.ones(n),
            "heavy": rng.standard_cauchy(n) * 1e6,
        }
    )
    return X, rng.normal(size=n)


def make_new_rows(X):
    """Rows of fit, and what fit has not seen."""
    new = X.sample(frac=1.0, random_state=1, ignore_index=True)
    new.loc[:9, "city"] = "Atlantis"
    new.loc[5:14, "day"] = 99
    new.loc[10:14, "real"] = [7.5, -np.inf, np.inf, 0.0, -0.0]
    new.loc[15:19, "real"] = [np.nan, np.nextafter(0.1, 1), 0.1, 1e301, -5]
    new.loc[20:29, "size"] = [1e9, -1e9, np.nan, 0.0, 3e38, -3e38, 1e-320, np.nan, 5, -5]
    new.loc[25:29, "constant"] = [2.0, 0.0, np.nan, 1.0, -1.0]
    new.loc[30:34, "whole"] = [0.5, 1.25, 3.0, 4.0, -1.0]
    return new


def run(model, X):
    """What onnxruntime makes of a table, fed column by column."""
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    feeds = {i.name: X[[i.name]].to_numpy() for i in session.get_inputs()}
    (out,) = session.run(None, feeds)
    return out


def kinds_of(model):
    """Type of each input."""
    name = onnx.TensorProto.DataType.Name
    return {i.name: name(i.type.tensor_type.elem_type) for i in model.graph.input}


@pytest.fixture(scope="module")
def table():
    return make_table(600)


@pytest.fixture(scope="module")
def encoder(rows):
    return make_encoder().fit(*rows)


@pytest.mark.parametrize("n_heads", [5, 2])
@pytest.mark.parametrize(
    ("head", "output", "remainder", "unknown"),
    [("mlp", "embedding", "passthrough", "learned"), ("mlp", "embedding", "drop", "nan"),
     ("mlp", "both", "drop", "zero"), ("mlp", "hidden", "passthrough", "learned"),
     ("mlp", "stacking", "passthrough", "nan"), ("dot", "stacking", "drop", "learned"),
     ("dot", "embedding", "passthrough", "zero")],
)  # fmt: skip
def test_onnxruntime_gives_what_transform_gives(
    table, head, output, remainder, unknown, n_heads, monkeypatch
):
    X, y = table
    set_heads(monkeypatch, n_heads)
    encoder = make_encoder(
        categorical_features=CATEGORICAL,
        head=head,
        output=output,
        remainder=remainder,
        handle_unknown=unknown,
        hidden_layer_sizes=(8, 5),
        min_frequency=30,
        max_iter=1,
    ).fit(X, y)
    assert all(encoder.infrequent_categories_[c] is not None for c in ("city", "day", "real"))
    model = to_onnx(encoder)
    onnx.checker.check_model(model, full_check=True)
    new = make_new_rows(X)
    out, expected = run(model, new), encoder.transform(new)
    assert out.dtype == np.float32
    np.testing.assert_allclose(out, expected, rtol=1e-6, atol=1e-6)
    if output != "hidden":
        n_vectors = sum(encoder.dimensions_.values())
        np.testing.assert_array_equal(out[:, :n_vectors], expected[:, :n_vectors])
        assert np.isnan(out).any(axis=1)[:15].all() == (unknown == "nan")
    names = json.loads({p.key: p.value for p in model.metadata_props}["feature_names_out"])
    assert names == encoder.get_feature_names_out().tolist()
    np.testing.assert_array_equal(run(model, new[:1]), out[:1])
    assert run(model, new[:0]).shape == (0, len(names))


def test_the_inputs_are_the_columns(table):
    X, y = table
    model = to_onnx(make_encoder(categorical_features=CATEGORICAL, max_iter=1).fit(X, y))
    assert kinds_of(model) == {
        "city": "STRING",
        "size": "DOUBLE",
        "day": "INT64",
        "flag": "BOOL",
        "real": "DOUBLE",
        "gappy": "DOUBLE",
        "whole": "DOUBLE",
        "constant": "DOUBLE",
        "heavy": "DOUBLE",
    }
    shapes = {
        tuple(d.dim_param or d.dim_value for d in i.type.tensor_type.shape.dim)
        for i in model.graph.input
    }
    assert shapes == {("N", 1)}
    assert [o.name for o in model.graph.output] == ["transformed"]
    assert {o.domain: o.version for o in model.opset_import} == {"": 17, "ai.onnx.ml": 3}


def test_columns_without_context():
    X, y = make_rows(120)
    encoder = make_encoder(output="both", remainder="passthrough").fit(X[["letter"]], y)
    out = run(to_onnx(encoder), X[["letter"]])
    np.testing.assert_allclose(out, encoder.transform(X[["letter"]]), rtol=1e-6, atol=1e-6)


def missing_table():
    X, y = make_rows(150)
    X = X[["letter"]].astype(object)
    X["number"] = pd.array(([1, 2, 3, 4, None] * 30), dtype="Int64")
    X["flag"] = pd.array(([True, False, None] * 50), dtype="boolean")
    X.loc[:9, "letter"] = None
    return X, y


@pytest.fixture(scope="module")
def gappy():
    X, y = missing_table()
    return make_encoder(categorical_features="all").fit(X, y), X


def test_missing_cells_by_a_value_that_stands_for_them(gappy):
    encoder, X = gappy
    model = to_onnx(encoder, missing_values={"letter": "", "number": np.int8(-1), "flag": -1})
    assert kinds_of(model) == {"letter": "STRING", "number": "INT64", "flag": "INT64"}
    filled = X.fillna({"letter": ""})
    filled["number"] = X["number"].fillna(-1).astype(np.int64)
    filled["flag"] = X["flag"].astype("Int64").fillna(-1).astype(np.int64)
    np.testing.assert_array_equal(run(model, filled), encoder.transform(X))


def test_missing_cells_of_fit_need_a_decision(gappy):
    with pytest.raises(InvalidParameterError, match=r"'number' had missing.*missing_values=\{"):
        to_onnx(gappy[0], missing_values={"letter": "?", "flag": 2})


def test_a_stand_in_for_missing_cells_never_seen_in_fit_is_unknown(encoder, rows):
    X = rows[0][:3].copy()
    model = to_onnx(encoder, missing_values={"letter": "?"})
    X["letter"] = ["?", "Z", "a"]
    missing = X.assign(letter=[None, "Z", "a"])
    np.testing.assert_array_equal(run(model, X), encoder.transform(missing))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("?", "`missing_values` must be a dict"),
        ({"lettre": "?"}, "Did you mean 'letter'"),
        ({"letter": 0}, "must be a string, got 0"),
        ({"letter": "a"}, "is a category of the column"),
        ({"number": "?"}, "must be an integer of 64 bits, got '\\?'"),
        ({"number": 2**63}, "must be an integer"),
        ({"flag": 1}, "is a category"),
    ],
)
def test_bad_stand_ins(gappy, given, message):
    with pytest.raises(InvalidParameterError, match=message):
        to_onnx(gappy[0], missing_values=given)


def test_unknown_cells_that_transform_refuses(rows):
    X, y = rows
    encoder = make_encoder(handle_unknown="error", output="both").fit(X, y)
    with pytest.raises(InvalidParameterError, match="handle_unknown='error', but an ONNX model"):
        to_onnx(encoder)
    new = X[:4].assign(letter=["Z", "a", "b", "c"])
    for policy in ("learned", "zero", "nan"):
        out = run(to_onnx(encoder, handle_unknown=policy), new)
        other = make_encoder(handle_unknown=policy, output="both").fit(X, y)
        np.testing.assert_allclose(out, other.transform(new), rtol=1e-6, atol=1e-6)


def test_missing_cells_that_transform_refuses(rows, table):
    X, y = table[0][["real"]].fillna(8.0), table[1]
    encoder = make_encoder(categorical_features=["real"], handle_missing="error", max_iter=1)
    encoder.fit(X, y)
    with pytest.raises(InvalidParameterError, match=r"missing cells of \['real'\]"):
        to_onnx(encoder)
    out = run(to_onnx(encoder, handle_unknown="nan"), X[:2].assign(real=[np.nan, 8.0]))
    assert np.isnan(out).tolist() == [[True] * out.shape[1], [False] * out.shape[1]]
    text = make_encoder(handle_missing="error").fit(*rows)
    to_onnx(text)  # no cell of an ONNX text can be missing
    with pytest.raises(InvalidParameterError, match=r"missing cells of \['letter'\]"):
        to_onnx(text, missing_values={"letter": "?"})


@pytest.mark.parametrize(
    "values",
    [
        [1, "1", 2, "x"],
        ["\ud800", "a", "b", "c"],
        [2**63 + 1, 2**63 + 2, 3, 4],
    ],
    ids=["mixed", "lone surrogates", "64 bits without sign"],
)
def test_categories_without_a_tensor_type(values):
    X = pd.DataFrame({"odd": pd.Series(values * 20, dtype=object), "n": np.arange(80.0)})
    encoder = make_encoder(categorical_features=["odd"]).fit(X, np.linspace(0, 0.9, 80))
    with pytest.raises(UnsupportedDataError, match="'odd' has categories that no ONNX tensor"):
        to_onnx(encoder)


@pytest.mark.parametrize("dtype", ["uint64", "Int32", "float32"])
def test_narrow_and_nullable_categories(dtype):
    X = pd.DataFrame({"k": pd.Series([1, 2, 3, 4] * 20).astype(dtype)})
    encoder = make_encoder(categorical_features="all").fit(X, np.linspace(0, 0.9, 80))
    wide = X.astype(float if "loat" in dtype else np.int64)
    np.testing.assert_array_equal(run(to_onnx(encoder), wide), encoder.transform(X))


def test_columns_without_names_are_called_by_position():
    rows = [["b", 1.0], ["", 2.0], ["ü漢", 0.5]] * 20
    encoder = make_encoder(output="both").fit(rows, np.linspace(0, 0.9, 60))
    found = run(to_onnx(encoder), pd.DataFrame(rows, columns=["x0", "x1"]))
    np.testing.assert_allclose(found, encoder.transform(rows), rtol=1e-6, atol=1e-6)


NAMES = ["transformed", "transformed_", "_constant_0", "__Gather_1", "a.b/c", " ", "<script>", "ü"]


def test_any_column_name():
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.choice(["u", "v"], (60, len(NAMES))), columns=NAMES)
    X["size"] = rng.random(60)
    encoder = make_encoder(output="both").fit(X, rng.random(60))
    model = to_onnx(encoder)
    onnx.checker.check_model(model, full_check=True)
    assert [i.name for i in model.graph.input] == list(X.columns)
    assert model.graph.output[0].name == "transformed__"
    np.testing.assert_allclose(run(model, X), encoder.transform(X), rtol=1e-6, atol=1e-6)


def test_names_that_onnx_has_not():
    X = pd.DataFrame({"": ["u", "v"] * 30})
    encoder = make_encoder().fit(X, np.linspace(0, 0.9, 60))
    with pytest.raises(InvalidDataError, match="Column '' has a name that ONNX"):
        to_onnx(encoder)
    encoder.feature_names_in_ = np.array(["\ud800"], dtype=object)
    with pytest.raises(InvalidDataError, match="has a name that ONNX"):
        to_onnx(encoder)


def test_the_file_is_the_model(encoder, rows, tmp_path):
    path = tmp_path / "encoder.onnx"
    path.write_text("older")
    model = to_onnx(encoder, str(path))
    assert onnx.load(path) == model == to_onnx(encoder)
    assert os.listdir(tmp_path) == ["encoder.onnx"]
    np.testing.assert_array_equal(run(onnx.load(path), rows[0]), encoder.transform(rows[0]))


def test_many_categories(monkeypatch):
    X = pd.DataFrame({"letter": [f"name {i}" for i in range(5_000)]})
    encoder = make_encoder(dimensions=2, cross_fit=False, batch_size=1000, max_iter=1)
    encoder.fit(X, np.random.default_rng(0).normal(size=5_000))
    model = to_onnx(encoder)
    asked = pd.concat([X, pd.DataFrame({"letter": ["no name"]})])
    np.testing.assert_array_equal(run(model, asked), encoder.transform(asked))
    monkeypatch.setattr(onnx_graph, "_MAX_BYTES", model.ByteSize())
    with pytest.raises(InvalidDataError, match="at most 2 GB"):  # sizes are not underestimated
        to_onnx(encoder)


def test_onnx_is_an_extra(encoder, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r"pip install 'sk-entity-embed\[onnx\]'"):
        to_onnx(encoder)


@pytest.mark.parametrize(
    ("head", "y_range", "numbers", "n_outputs"),
    [
        ("dot", None, ["size", "gappy"], 1),
        ("dot", (-8, 9.5), [], 1),
        ("mlp", (-8, 9.5), ["size"], 2),
    ],
)
def test_predictions_of_dots_and_within_bounds(table, head, y_range, numbers, n_outputs):
    X, y = table
    y, columns = np.column_stack([y, -y])[:, :n_outputs].squeeze(), [*CATEGORICAL, *numbers]
    settings = {"head": head, "y_range": y_range, "hidden_layer_sizes": (6,)}
    predictor = make_dot(**settings, categorical_features=CATEGORICAL).fit(X[columns], y)
    model, new = to_onnx(predictor), make_new_rows(X)[columns]
    onnx.checker.check_model(model, full_check=True)
    out, expected = run(model, new), predictor.predict(new)
    assert out.dtype == np.float64
    np.testing.assert_allclose(out, expected, rtol=1e-6, atol=1e-6)
    assert run(model, new[:0]).shape == (0, *expected.shape[1:])
    np.testing.assert_allclose(run(model, new[:1]), out[:1], rtol=1e-9)
    feeds = {c: new[[c]].to_numpy() for c in new}
    feeds["city"] = feeds["city"].astype(object)
    (other,) = ReferenceEvaluator(model).run(None, feeds)
    np.testing.assert_allclose(other, expected, rtol=1e-6, atol=1e-6)


WAYS = ["mean", "sum", "max"]
MISSING_ITEMS = {"mean": "?", "sum": -1, "max": "?"}


def fed(model, X):
    """Inputs of a model, the lists of a table padded by what is no item."""
    facts = {p.key: p.value for p in model.metadata_props}
    lengths, feeds = json.loads(facts["lengths"]), {}
    for name in X:
        if name not in lengths:
            feeds[name] = X[[name]].to_numpy()
            continue
        cells = X[name].tolist()
        counts = [-1 if cell is None else len(cell) for cell in cells]
        padding = 99 if name == "sum" else "padding"
        padded = np.full((len(X), max(counts, default=0)), padding, dtype=object)
        for row, cell in zip(padded, cells, strict=True):
            row[: len(cell or [])] = [MISSING_ITEMS[name] if i is None else i for i in cell or []]
        feeds[name] = padded.astype(np.int64) if name == "sum" else padded
        feeds[lengths[name]] = np.array(counts, dtype=np.int64).reshape(-1, 1)
    return feeds


def run_lists(model, X):
    session = onnxruntime.InferenceSession(model.SerializeToString())
    assert [i.name for i in session.get_inputs()] == list(fed(model, X))
    return session.run(None, fed(model, X))[0]


@pytest.fixture(scope="module")
def list_rows():
    X, y = make_list_rows()
    return X[["letter", *WAYS, "size"]], y


@pytest.mark.parametrize(
    ("output", "unknown"),
    [("hidden", "learned"), ("embedding", "nan"), ("both", "zero"), ("stacking", "nan")],
)
def test_lists_are_pooled(list_rows, output, unknown):
    X, y = list_rows
    own = {"pooling": {w: w for w in WAYS}, "max_length": {"sum": 2}, "dimensions": 3}
    encoder = make_list_encoder(**own, output=output, handle_unknown=unknown).fit(X, y)
    model = to_onnx(encoder, missing_values=MISSING_ITEMS)
    onnx.checker.check_model(model, full_check=True)
    read = {name for node in model.graph.node for name in node.input}
    assert {c.name for c in model.graph.initializer} <= read
    new = make_new_lists()[list(X)]
    out, expected = run_lists(model, new), encoder.transform(new)
    np.testing.assert_allclose(out, expected, rtol=1e-6, atol=1e-6)
    if output == "embedding":
        np.testing.assert_array_equal(out, expected)  # of so few items, sums are exact enough
        assert np.isnan(out).any() == (unknown == "nan")
    np.testing.assert_array_equal(run_lists(model, new[:1]), out[:1])
    assert run_lists(model, new[:0]).shape == (0, expected.shape[1])
    nothing = new[:4].assign(**{w: [[], None, [], None] for w in WAYS})
    np.testing.assert_allclose(
        run_lists(model, nothing), encoder.transform(nothing), rtol=1e-6, atol=1e-6
    )
    (other,) = ReferenceEvaluator(model).run(None, fed(model, new[10:]))
    np.testing.assert_allclose(other, expected[10:], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("head", ["dot", "mlp"])
def test_predictions_of_lists(list_rows, head):
    X, y = list_rows[0].drop(columns="max"), list_rows[1]
    own = {"head": head, "pooling": {"sum": "sum"}, "hidden_layer_sizes": (4,)}
    predictor = make_dot(**own).fit(X, y)
    model = to_onnx(predictor, missing_values={n: MISSING_ITEMS[n] for n in ("mean",)})
    new = make_new_lists()[list(X)]
    new = new[[None not in (cell or []) for cell in new["sum"]]]
    np.testing.assert_allclose(run_lists(model, new), predictor.predict(new), rtol=1e-6)


def test_the_length_is_called_as_no_column_is(list_rows):
    X, y = list_rows
    X = X.rename(columns={"letter": "max_length"})[["max_length", "max"]]
    own = {"pooling": "max", "max_length": None, "dimensions": 2}
    model = to_onnx(make_list_encoder(**own).fit(X, y))
    assert [i.name for i in model.graph.input] == ["max_length", "max", "max_length_"]
    facts = {p.key: p.value for p in model.metadata_props}
    assert json.loads(facts["lengths"]) == {"max": "max_length_"}


def test_missing_lists_that_transform_refuses(list_rows):
    X, y = list_rows[0][["letter", "max"]], list_rows[1]
    own = {"pooling": "max", "max_length": None, "dimensions": 2, "handle_missing": "error"}
    encoder = make_list_encoder(**own).fit(X, y)
    with pytest.raises(InvalidParameterError, match=r"missing cells of \['max'\]"):
        to_onnx(encoder)
    new = X[:2].assign(max=[["x"], None])
    out = run_lists(to_onnx(encoder, handle_unknown="nan"), new)
    assert np.isnan(out[:, 2:]).tolist() == [[False] * 2, [True] * 2]


def test_recurrent_units_are_refused():
    encoder = make_list_encoder().fit(*make_list_rows())
    markers = {"mean": "?", "sum": -1, "gru": -1}
    with pytest.raises(UnsupportedDataError, match="lists in column 'gru' pooled by 'gru'"):
        to_onnx(encoder, missing_values=markers)
