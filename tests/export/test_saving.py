"""Save and load: everything returns, and changed, foreign and forged files are refused."""

from __future__ import annotations

import datetime as dt
import io
import json
import os
import pickle
import subprocess
import sys
import tracemalloc
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import Enum, IntEnum, StrEnum
from pathlib import Path
from typing import Literal

import joblib
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import safetensors
import safetensors.numpy
import skops.io
from category_encoders import JamesSteinEncoder
from numpy.typing import NDArray
from sklearn import config_context
from sklearn.base import clone
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

import sk_entity_embed
from sk_entity_embed import (
    EntityEmbeddingClassifier,
    EntityEmbeddingEncoder,
    EntityEmbeddingRegressor,
)
from sk_entity_embed._state import attributes_of
from sk_entity_embed.exceptions import InvalidFileError, InvalidParameterError
from sk_entity_embed.export import SKOPS_TYPES, _fitted, _values, load, save, saving
from sk_entity_embed.export.saving import describe, restore
from sk_entity_embed.model.heads.dot import DotHead
from sk_entity_embed.model.heads.perceptron import MLPHead
from sk_entity_embed.model.losses import Link, Softmax
from sk_entity_embed.model.poolings import GRU, Mean
from tests.export import make_golden
from tests.export.fitted import make_dot, make_list_encoder, make_list_rows, make_new_lists
from tests.export.saved import KEY, assert_same, put_together, take_apart
from tests.samples import make_encoder, make_rows, set_heads, watch_training

ROOT = Path(sk_entity_embed.__file__).parent.parent
GOLDEN = sorted((Path(__file__).parent / "golden").glob("*.safetensors"))


def golden(name, version=saving.FORMAT_VERSION):
    return GOLDEN[0].with_name(f"v{version}_{name}.safetensors")


def rows_of_classes():
    X, y = make_rows(120)
    X["integer"] = np.arange(120) % 3
    X["mixed"] = pd.Series([1, "a", None] * 40, dtype=object)
    return X, np.digitize(y, [-1, 1])


def make_classes():
    names = ["letter", "color", "integer", "mixed"]
    params = {"categorical_features": names, "min_frequency": 23, "handle_unknown": "zero"}
    return make_encoder(warm_start=True, **params).fit(*rows_of_classes())


def rows_of_tags():
    X, y = make_rows(120)
    return X.assign(tags=[["a"], ["b", "a"], []] * 40), y


def rows_of_arrays():
    X = np.array([["a", "1"], ["b", "2"], ["a", "3"]] * 20, dtype=object)
    return X, np.linspace(0, 1, 60)


def make_predictor(kind, change, **params):
    X, y = make_rows(120)
    quick = {"hidden_layer_sizes": (4,), "max_iter": 1, "random_state": 0, "cv": 2}
    return kind(**{**quick, **params}).fit(X, change(y))


def make_few_heads():
    with pytest.MonkeyPatch.context() as patch:
        set_heads(patch, 2)
        return make_encoder(output="both", warm_start=True, max_iter=4).fit(*make_rows(120))


MAKERS = {
    "classes": make_classes,
    "dot": lambda: make_dot(warm_start=True, pooling="sum", max_length=2).fit(*rows_of_tags()),
    "lists": lambda: make_list_encoder(warm_start=True).fit(*make_list_rows()),
    "few heads": make_few_heads,
    "several": lambda: make_encoder(cross_fit=False, output="both", remainder="passthrough").fit(
        make_rows(60)[0], np.column_stack([make_rows(60)[1]] * 2)
    ),
    "stacking": lambda: make_encoder(output="stacking", remainder="passthrough").fit(
        *rows_of_classes()
    ),
    "labels": lambda: make_encoder(handle_unknown="nan", output="hidden").fit(
        make_rows(60)[0], np.eye(2, dtype=int)[np.arange(60) % 2]
    ),
    "array": lambda: make_encoder(warm_start=True, hidden_layer_sizes=()).fit(*rows_of_arrays()),
    "bounded": lambda: make_predictor(EntityEmbeddingRegressor, np.array, y_range=(-9, 9)),
    "poisson": lambda: make_predictor(EntityEmbeddingRegressor, np.abs, loss="poisson"),
    "binary": lambda: make_predictor(EntityEmbeddingClassifier, lambda y: y > 0),
    "crosses": lambda: make_encoder(
        interactions=[("letter", "color"), ("mixed", "color")],
        categorical_features=["letter", "color", "mixed"],
        min_frequency=12,
        warm_start=True,
    ).fit(*rows_of_classes()),
}


@pytest.fixture(scope="module")
def fitted():
    return {name: make() for name, make in MAKERS.items()}


def there_and_back(estimator):
    document, arrays = describe(estimator)
    document = json.loads(json.dumps(document, allow_nan=False))
    return restore(document, {name: array.copy() for name, array in arrays.items()})


def state_of(estimator):
    """All attributes, in one order."""
    return dict(sorted(vars(estimator).items()))


def asked(estimator):
    """Everything that an estimator says of new rows."""
    X = make_new_lists().assign(color="red", integer=9, mixed=None, tags=[["a", "new"]] * 15)
    if hasattr(estimator, "feature_names_in_"):
        X = X[list(estimator.feature_names_in_)]
    else:
        X = np.array([["a", "3"], ["new", "1"]], dtype=object)
    answers = [estimator.transform(X), dict(estimator.embeddings_)]
    answers += [estimator.predict(X)] if hasattr(estimator, "predict") else []
    return [*answers, estimator.get_feature_names_out(), getattr(estimator, "biases_", None)]


@pytest.mark.parametrize("name", MAKERS)
def test_fitted_estimators_return(fitted, name, tmp_path):
    estimator = fitted[name]
    save(estimator, tmp_path / "ü")
    twin = load(tmp_path / "ü")
    assert_same(state_of(twin), state_of(estimator))
    assert_same(asked(twin), asked(estimator))
    assert repr(twin) == repr(estimator)


@pytest.mark.parametrize("name", ["classes", "dot", "lists", "array"])
def test_training_goes_on_after_loading(fitted, name):
    twin, estimator = there_and_back(fitted[name]), there_and_back(fitted[name])
    before = estimator._model.warm_start.fingerprint
    X, y = {
        "classes": rows_of_classes,
        "lists": make_list_rows,
        "dot": rows_of_tags,
        "array": rows_of_arrays,
    }[name]()
    estimator.fit(X, y)
    assert estimator._model.warm_start.fingerprint == before
    for _ in range(2):
        assert_same(state_of(twin.fit(X, y)), state_of(estimator))
        twin = there_and_back(twin)
        estimator.fit(X, y)


def test_rows_of_zero_weight_and_frozen_vectors_return():
    X, y = make_rows(120)
    init = {"letter": pd.DataFrame(np.eye(3)[:, :2], index=["a", "b", "c"])}
    encoder = make_encoder(warm_start=True, init=init, freeze=["letter"])
    encoder.fit(X, y, sample_weight=np.arange(120) % 4)
    twin = there_and_back(encoder)
    assert (twin.fold_ == -1).sum() == 30
    assert_same(state_of(twin), state_of(encoder))


@pytest.mark.parametrize(
    "params",
    [
        {"random_state": np.random.RandomState(3), "cv": KFold(3, shuffle=True, random_state=1)},
        {"init": {"letter": pd.DataFrame(np.eye(2), index=["a", "b"])}, "freeze": ["letter"]},
        {"class_weight": {"a": 1.5, 2: 3}, "dimensions": {"letter": 2, 1: np.int64(3)}},
        {"class_weight": [{0: 1, 1: 2.5}], "max_iter": np.int32(3), "tol": np.float64(0.1)},
        {"cv": [(np.arange(3), np.arange(3, 6))], "categorical_features": np.array([True, False])},
        {"categorical_features": pd.Index(["a", "b"]), "freeze": np.array(["a"])},
        {"max_iter": float("nan"), "device": LookupError.__name__, "alpha": 10**30},
    ],
)
def test_unfitted_estimators_return(params):
    for kind in (EntityEmbeddingEncoder, EntityEmbeddingRegressor, EntityEmbeddingClassifier):
        known = {n: v for n, v in params.items() if n in kind().get_params()}
        twin = there_and_back(kind(**known))
        assert type(twin) is kind
        assert_same(state_of(twin), state_of(kind(**known)))
        assert_same(clone(twin).get_params(), kind(**known).get_params())


def test_settings_return():
    X, y = make_rows(60)
    encoder = make_encoder(max_iter=1).set_output(transform="pandas").fit(X, y)
    assert_same(there_and_back(encoder).transform(X), encoder.transform(X))
    with config_context(enable_metadata_routing=True):
        encoder = make_encoder().set_fit_request(sample_weight="weights", groups=True)
        twin = there_and_back(encoder)
        assert str(twin.get_metadata_routing()) == str(encoder.get_metadata_routing())
        document, arrays = describe(encoder)
        for change in ({"fit": {"x": True}}, {"__init__": {}}, {"fit": {"groups": "not a name"}}):
            document["settings"]["requests"] = change
            with pytest.raises(InvalidFileError, match=r"request|not a name"):
                restore(document, arrays)


class Cell:
    """A category of the user's own."""


@pytest.mark.parametrize(
    ("params", "match", "remedy"),
    [
        ({"dimensions": lambda n: 2}, "<lambda>; give a number", {"letter": 2, "color": 2}),
        ({"init": JamesSteinEncoder()}, "JamesSteinEncoder; give 'normal' or a dict", "normal"),
        (
            {"categorical_features": make_column_selector(pattern="letter|color")},
            "make_column_selector; give names",
            ["letter", "color"],
        ),
        (
            {"cv": iter([(range(60), range(60, 120)), (range(60, 120), range(60))])},
            "list_iterator; give an integer",
            5,
        ),
        ({"device": type("Device", (str,), {})("cpu")}, "Device; give numbers, strings", "auto"),
    ],
    ids=lambda v: next(iter(v)) if type(v) is dict else "",
)
def test_parameters_that_are_code_are_refused_with_what_to_do(params, match, remedy):
    ((name, _),) = params.items()
    with pytest.raises(InvalidParameterError, match=rf"`{name}` cannot be saved.*{match}"):
        describe(EntityEmbeddingEncoder(**params))
    X, y = make_rows(120)
    encoder = make_encoder(max_iter=1, **params).fit(X, y)
    with pytest.raises(InvalidParameterError, match=r"estimator\.set_params\(") as caught:
        describe(encoder)
    call = str(caught.value).partition("estimator.")[2].partition(", then save")[0]
    eval(f"estimator.{call}", {"estimator": encoder})  # what the message says
    assert encoder.get_params()[name] == remedy
    assert_same(there_and_back(encoder).transform(X), encoder.transform(X))


def test_other_parameters_and_estimators_are_refused():
    for params, match in [
        ({"init": {"a": pd.DataFrame({0: ["x"]})}}, r"`init`.*\.a has a column 0 of dtype"),
        ({"cv": [(np.array([Cell()]), [1])]}, r"`cv`\.0\.0, position 0 is of type .*Cell"),
        ({"random_state": np.random.RandomState(np.random.PCG64(1))}, "`random_state`.*PCG64"),
    ]:
        with pytest.raises(InvalidParameterError, match=match):
            describe(EntityEmbeddingEncoder(**params))
    subclass = type("Subclass", (EntityEmbeddingEncoder,), {"__init__": lambda self: None})
    for estimator, match in [
        (OneHotEncoder(), "got OneHotEncoder.*joblib"),
        (make_pipeline(OneHotEncoder()), "or a pipeline with one inside, got Pipeline"),
        (subclass(), "Subclass, a subclass"),
        (EntityEmbeddingEncoder, "got the class EntityEmbeddingEncoder"),
        (type("EntityEmbeddingEncoder", (), {})(), "got EntityEmbeddingEncoder"),
        (None, "got NoneType"),
    ]:
        with pytest.raises(InvalidParameterError, match=match):
            describe(estimator)


@pytest.mark.parametrize("kind", [StrEnum, IntEnum, Enum])
def test_members_of_enumerations_find_their_category_after_loading(kind):
    members = list(kind("Size", {"small": "1", "large": "2"} if kind is not IntEnum else "a b"))
    X = pd.DataFrame({"size": pd.Series([*members, dt.date(2026, 1, 1)] * 20, dtype=object)})
    encoder = make_encoder(max_iter=1, categorical_features="all", cv=2)
    encoder.fit(X, np.linspace(0, 1, 60))
    if kind is Enum:
        shown = r"category \d of column 'size' is Size\.\w+, .*`\.name` or its `\.value`"
        with pytest.raises(InvalidParameterError, match=shown):
            describe(encoder)
        return
    twin = there_and_back(encoder)
    assert {type(c) for c in twin.categories_["size"]} == {dt.date, type(members[0].value)}
    plain = X["size"].map(lambda cell: getattr(cell, "value", cell)).astype(object)
    for rows in (X, plain.to_frame()):
        assert_same(twin.transform(rows), encoder.transform(X))


def test_attributes_and_categories_of_the_users_are_refused():
    X, y = make_rows(60)
    encoder = make_encoder(max_iter=1)
    encoder.note = "mine"
    with pytest.raises(InvalidParameterError, match=r"cannot be saved: \['note'\]"):
        describe(encoder)
    del encoder.note
    encoder.fit(X, y).more = 1
    with pytest.raises(InvalidParameterError, match=r"cannot be saved: \['more'\]"):
        describe(encoder)
    X["own"] = pd.Series([Cell(), Cell()] * 30, dtype=object)
    with pytest.raises(InvalidParameterError, match="category 0 of column 'own' is of type"):
        describe(make_encoder(max_iter=1).fit(X, y))


def changed(value, path, new):
    """A copy of nested values with another one at a dotted path; `new` may be a function."""
    if not path:
        return new(value) if callable(new) else new
    name, _, rest = path.partition(".")
    if isinstance(value, dict):
        return {**value, name: changed(value[name], rest, new)}
    if isinstance(value, tuple | list):
        items = list(value)
        items[int(name)] = changed(items[int(name)], rest, new)
        return type(value)(items)
    return replace(value, **{name: changed(getattr(value, name), rest, new)})


def put(position, number):
    """Change one entry of an array."""

    def change(array):
        copy = array.copy()
        copy[position] = number
        return copy

    return change


def heads(head, which):
    """Some of the perceptrons of a head."""
    parts = (tuple(a[which] for a in part) for part in (head.weights, head.biases))
    return MLPHead(*parts)


TABLE, WORDS = "_model.tables.0", "_model.tables.0.vocabulary"
MIXED, ITEMS, UNIT = "_model.tables.3.vocabulary", "_model.tables.1.vocabulary", "_model.poolings.4"

CROSS = "_model.tables.3.vocabulary"
CHANGES = {
    "classes": [
        ("_record.importances.rises", [lambda r: r[1:], list]),
        ("_record.importances.n_rows", [-1, 3.0]),
        ("_record.importances", [lambda i: replace(i, rises=i.rises * 2, errors=i.errors * 2)]),
        ("_record.ending", ["never", None]),
        ("n_features_in_", [-1, True, 6]),
        ("feature_names_in_", [list, put(0, 3), put(0, "color"), put(0, "other"), None]),
        ("_model.categorical", [(0, 1, 3, 5), (0, 1, 3, 3), (0, 1, 3), (1, 0, 3, 4)]),
        ("_model.context", [()]),
        ("_model", [None]),
        (f"{WORDS}.name", [3, "other"]),
        (f"{WORDS}.categories", [list, lambda a: a[:, None], lambda a: a[:-1]]),
        (f"{WORDS}.counts", [lambda a: a.astype(float), put(0, -1)]),
        (f"{WORDS}.missing_count", [-1, 0.0, 1]),
        (f"{WORDS}.missing_row", [1, 5, False]),
        (f"{WORDS}.rows", [put(0, 10**9), put(0, -1), put(0, 0), lambda a: a.astype(np.int64)]),
        (f"{WORDS}.rows", [lambda a: a[::-1]]),
        (f"{WORDS}.keys", [lambda k: k[:-1], lambda k: pa.concat_arrays([k[:1], k[:1], k[2:]])]),
        (f"{WORDS}.keys", [lambda k: k.cast(pa.string())]),
        ("_model.tables.2.vocabulary.categories", [np.array([0, np.nan, 2])]),
        (f"{MIXED}.categories", [lambda a: a.astype(str), put(0, None), put(0, pd.NaT)]),
        (f"{MIXED}.categories", [put(0, "a")]),
        (f"{TABLE}.stack", [lambda a: a[:, :-1], lambda a: a.astype(np.float64), lambda a: a[0]]),
        (f"{TABLE}.stack", [lambda a: a[:0], lambda a: a[:2], lambda a: a[:3]]),
        (f"{TABLE}.stack", [lambda a: a[:, :, :0]]),
        (f"{WORDS}.empty_count", [1, -1]),
        (f"{WORDS}.empty_row", [0]),
        (f"{TABLE}.biased", [True]),
        ("_model.poolings.0", [lambda _: Mean()]),
        ("_model.max_lengths.0", [3]),
        ("_model.head", [DotHead(np.ones(2), np.ones(4), np.ones(1), 0.0), None]),
        ("_model.head.weights", [list, ()]),
        ("_model.head.weights.0", [lambda a: a[:, :-1], lambda a: a.astype(np.float32)]),
        ("_model.head.weights.0", [lambda a: a[:, :, :-1], lambda a: a[0], lambda a: a[:2]]),
        ("_model.head.weights.1", [lambda a: a[:, 1:], lambda a: a[1:], lambda a: a[..., :0]]),
        ("_model.head.biases.0", [lambda b: b[0], lambda b: b[:1], lambda b: b[:, 1:]]),
        ("_model.head.biases.1", [lambda b: b[1:], lambda b: b[..., None]]),
        ("_model.head", [lambda h: heads(h, slice(0, 2)), lambda h: heads(h, slice(0, 0))]),
        ("_model.head", [lambda h: heads(h, [0, 1, 2, 3, 4, 0])]),
        ("_model.head.folds", [put(0, 5), put(0, -1), put(0, 1), lambda f: f[:-1]]),
        ("_model.head.folds", [lambda f: np.append(f, 0), lambda f: f[:, None], lambda f: f[0]]),
        ("_model.head.folds", [lambda f: f.astype(np.int32), list]),
        ("_model.scaling.scores.0", [lambda a: a[:-1], lambda a: a[:, 0], lambda a: a[:, :0]]),
        ("_model.scaling.scores.0", [lambda a: a[:, 1:], lambda a: a.astype(np.float32)]),
        ("_model.scaling.knots", [()]),
        ("_model.scaling.knots.0", [lambda a: a[:-1], lambda a: a[::-1], put(1, np.nan)]),
        ("_model.scaling.missing_shares", [lambda a: a[:0]]),
        ("_model.scale.center", [np.zeros(3)]),
        ("target_type_", ["other", ["binary"], "continuous", "binary", "multilabel-indicator"]),
        ("classes_", [None, lambda a: a[:2]]),
        ("fold_", [put(0, 5), put(0, -2), lambda a: a[:, None]]),
        ("validation_loss_curve_", [[1.0]]),
        ("n_iter_", [-1]),
        ("category_target_means_", [{}]),
        ("category_target_means_.letter", [None, lambda a: a[1:]]),
        ("category_target_means_.mixed", [lambda a: a[:, :, None]]),
        ("_model.warm_start.fold", [put(0, -1)]),
        ("_model.warm_start.validation", [lambda a: a[1:]]),
        ("_model.warm_start.fixed.0", [lambda a: a[1:]]),
        ("_model.warm_start.shrinks", [()]),
    ],
    "dot": [
        (f"{TABLE}.biased", [False, 1]),
        (f"{TABLE}.stack", [lambda a: a[:, :, :1]]),
        (TABLE, [lambda t: replace(t, stack=t.stack[:, :, 1:], center=t.center[1:])]),
        ("_model.head", [None]),
        ("_model.head.axes", [lambda a: a[1:], lambda a: a.astype(np.float32), put(0, -1.0)]),
        ("_model.head.axes", [put(0, np.nan)]),
        ("_model.head.bias_weights", [lambda a: a[1:]]),
        ("_model.head.context_weights", [lambda a: a[1:]]),
        ("_model.head.intercept", [1, np.nan, np.float64(1)]),
        ("target_type_", ["multilabel-indicator"]),
        ("_model.link.low", [9.0, np.nan]),
    ],
    "lists": [
        (f"{ITEMS}.empty_row", [None, 0, 5, 6.0, 10**9]),
        (f"{ITEMS}.empty_count", [0, True]),
        (f"{MIXED}.empty_row", [None, 6, False]),
        (f"{MIXED}.empty_count", [2]),
        ("_model.tables.1.stack", [lambda a: a[:, :-1]]),
        ("_model.poolings.1", [None, "mean"]),
        ("_model.max_lengths.2", [0, 2**63, True, 2.0]),
        (f"{UNIT}.input_weights", [lambda a: a[1:], lambda a: a.astype(np.float32)]),
        (f"{UNIT}.hidden_weights", [lambda a: a[:, :-3], None]),
        (f"{UNIT}.input_bias", [lambda a: a[:3]]),
        (f"{UNIT}.hidden_bias", [lambda a: a[None]]),
    ],
    "crosses": [
        ("_model.crosses", [((0, 1),), ((0, 1), (1, 0)), ((0, 1), (2, 2)), ((0, 1), (2, 3))]),
        ("_model.crosses", [((1, 0), (2, 1)), [(0, 1), (2, 1)], ((0, 1), (2, 1.0)), ()]),
        ("_model.gains", [(0.5,), (1, 2), None]),
        ("_model.poolings", [lambda p: p[:-1]]),
        ("_model.tables", [lambda t: t[:-1], lambda t: (*t[:3], t[4], t[3])]),
        ("_model.tables", [lambda t: (t[3], *t[1:]), lambda t: (*t[:4], t[0])]),
        (f"{CROSS}.name", ["letter:size", "letter"]),
        (f"{CROSS}.columns", [("color", "letter"), ("letter",), ["letter", "color"]]),
        (f"{CROSS}.pairs", [put(0, 0), put(0, -1), put(-1, 10**9), lambda a: a[::-1]]),
        (f"{CROSS}.pairs", [lambda a: a[1:], lambda a: a.astype(np.int32), lambda a: a[:, None]]),
        (f"{CROSS}.pairs", [put(0, 6), put(1, 19)]),  # with an unknown side, and twice
        (f"{CROSS}.rows", [put(0, 10**9), put(0, -1), put(0, 0), lambda a: a.astype(np.int64)]),
        (f"{CROSS}.counts", [put(0, -1), lambda a: a.astype(float)]),
        (f"{CROSS}.levels", [lambda v: v[:1], lambda v: (v[0], v[1][:-1]), lambda v: (v[1], v[0])]),
        (f"{CROSS}.levels", [lambda v: (v[0], np.append(v[1][:-1], "other")), ()]),
        ("_model.tables.3.stack", [lambda a: a[:, :-1]]),
        ("_model.tables.3.missing", [lambda _: np.zeros(3, np.float32)]),
        ("category_target_means_", [lambda m: {n: m[n] for n in list(m)[:3]}]),
    ],
    "several": [("_model.head.biases.0", [lambda b: b[:, :0]])],
    "array": [("_model.output.hidden", [True]), ("_model.output.vectors", [False])],
    "stacking": [("_model.output.hidden", [True]), ("_model.output.vectors", [False, 1])],
    "labels": [("target_type_", ["binary"])],
    "poisson": [("_model.link", [Softmax(), None])],
    "binary": [("_model.link", [Softmax(), Link()])],
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_could_not_come_from_a_fit_is_neither_saved_nor_loaded(fitted, name):
    known = {*fitted[name].get_params(), *attributes_of(fitted[name]._model)}
    state = {n: v for n, v in vars(fitted[name]).items() if n not in known}
    twin = there_and_back(fitted[name])
    for path, others in CHANGES[name]:
        for new in others:
            vars(twin).update(changed(state, path, new))
            with pytest.raises(InvalidParameterError, match=r"no longer holds|Arrow's type string"):
                describe(twin)
    vars(twin).update(state)
    describe(twin)


@dataclass(frozen=True, slots=True)
class Toy:
    """A class that may join a model: what its annotations say is packed and checked."""

    name: str
    kind: Literal["a", "b"]
    pair: tuple[int, float]
    parts: tuple[Toy, ...]
    by_key: Mapping[str, NDArray[np.float64]]
    flags: Sequence[NDArray[np.bool_]]
    more: float | None = None


GOOD = {
    **{"name": "x", "kind": "a", "pair": (1, 2.5), "parts": (), "more": None},
    **{"by_key": {"k": np.ones(2)}, "flags": [np.array([True])]},
}


def test_classes_are_packed_and_checked_by_their_annotations(monkeypatch):
    classes = {**_fitted.classes(), "Toy": Toy}
    monkeypatch.setitem(_fitted.RULES, Toy, lambda toy: iter([(toy.name, "it has no name")]))
    toy = Toy(**{**GOOD, "parts": (Toy(**GOOD),)})
    packer = _values.Packer(classes, _fitted.dismantle)
    packed = json.loads(json.dumps(packer.pack(toy, "toy")))
    found = _values.Unpacker(packer.arrays, classes, _fitted.build).unpack(packed)
    assert_same(found, toy)
    for name, wrong in {
        **{"name": 3, "kind": "c", "pair": (1, 2.5, 3), "parts": [toy], "more": 1, "flags": toy},
        "by_key": {"k": np.ones(2, np.float32)},
    }.items():
        with pytest.raises(ValueError, match=f"Toy.*: {name} is of another type than fit gives"):
            _fitted.build(Toy, {**GOOD, name: wrong})
    with pytest.raises(ValueError, match="it has no name"):
        _fitted.build(Toy, {**GOOD, "name": ""})
    with pytest.raises(ValueError, match="the content of 'Toy' is not a list"):
        _values.Unpacker({}, _fitted.classes(), _fitted.build).unpack({"Toy": {}})


def test_checks_are_those_of_files_too(fitted):
    document, arrays = describe(fitted["dot"])
    arrays["model.head.axes"] = -arrays["model.head.axes"]
    with pytest.raises(InvalidFileError, match="is not valid: DotHead: a weight is negative"):
        restore(document, arrays)
    document, arrays = describe(fitted["classes"])
    arrays["model.tables.0.vocabulary.counts"] = arrays["model.tables.0.vocabulary.counts"][1:]
    with pytest.raises(InvalidFileError, match="Vocabulary of column 'letter': counts has"):
        restore(document, arrays)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda d: d.update({"class": "OneHotEncoder"}), "knows .*EntityEmbeddingEncoder"),
        (lambda d: d.update({"class": ["x"]}), "is not valid"),
        (lambda d: d["parameters"].update(new=1), r"\['new'\].*0\.\d.*--upgrade"),
        (lambda d: d.update(parameters=3), "is not valid"),
        (lambda d: d.update(more=3), "entries are"),
        (lambda d: d.pop("settings"), "entries are"),
        (lambda d: d["settings"].update(set_output={"transform": None}), "set_output"),
        (lambda d: d["settings"].update(set_output={"predict": "pandas"}), "set_output"),
        (lambda d: d["settings"].pop("requests"), "is not valid"),
        (lambda d: d.update(fitted=3), "is not valid"),
        (lambda d: d.update(fitted={}), "attributes are"),
        (lambda d: d["fitted"].update(__class__=1), "attributes are"),
        (lambda d: d["fitted"].update(_model=None), "_model is of another type"),
        (lambda d: d["fitted"]["_model"]["EmbeddingModel"].pop("scale"), "fields are"),
        (lambda d: d["fitted"]["_model"]["EmbeddingModel"].update(more=1), "fields are"),
        (lambda d: d["fitted"].update(_model={"Scale": 3}), "is not valid"),
        (
            lambda d: d["fitted"].update(loss_curve_={"array": "model.head.biases.0"}),
            "is not valid",
        ),
        (lambda d: d["fitted"].update(validation_loss_curve_=None), "without a use"),
    ],
)
def test_documents_of_no_estimator_are_refused(fitted, change, match):
    document, arrays = describe(fitted["several"])
    document = json.loads(json.dumps(document))
    change(document)
    with pytest.raises(InvalidFileError, match=match):
        restore(document, arrays)


@pytest.mark.parametrize("kind", ["string", "large_string", "int32", [1], "object"])
def test_keys_have_the_type_of_the_categories(fitted, kind):
    document, arrays = describe(fitted["classes"])
    tables = document["fitted"]["_model"]["EmbeddingModel"]["tables"]["tuple"]
    vocabulary = tables[2]["EmbeddingTable"]["vocabulary"]["Vocabulary"]
    assert vocabulary["keys"] == "int64"
    vocabulary["keys"] = kind
    with pytest.raises(InvalidFileError, match="is not valid"):
        restore(document, arrays)


def test_parameters_that_are_younger_than_a_file_get_their_defaults():
    document, arrays = describe(EntityEmbeddingEncoder(max_iter=3))
    del document["parameters"]["n_iter_no_change"], document["parameters"]["categorical_features"]
    assert repr(restore(document, arrays)) == "EntityEmbeddingEncoder(max_iter=3)"


@pytest.mark.parametrize("error", [RecursionError, MemoryError])
def test_no_error_of_the_interpreter_gets_out(error, monkeypatch):
    def fail(*_):
        raise error

    document, arrays = describe(EntityEmbeddingEncoder())
    monkeypatch.setattr(saving, "_restore", fail)
    with pytest.raises(InvalidFileError, match=f"is not valid: {error.__name__}"):
        restore(document, arrays)


@pytest.mark.parametrize("name", ["dot", "lists", "classes"])
def test_joblib_and_pickle_work_as_well(fitted, name):
    estimator, file = fitted[name], io.BytesIO()
    joblib.dump(estimator, file)
    file.seek(0)
    assert_same(asked(joblib.load(file)), asked(estimator))
    assert_same(asked(pickle.loads(pickle.dumps(estimator))), asked(estimator))


@pytest.mark.parametrize("name", MAKERS)
def test_skops_loads_with_the_published_types(fitted, name):
    estimator = fitted[name]
    twin = skops.io.loads(skops.io.dumps(estimator), trusted=SKOPS_TYPES)
    assert_same(asked(twin), asked(estimator))
    assert_same(twin._model, estimator._model)


def test_skops_loads_what_grows_what_has_members_and_pipelines(tmp_path):
    X, y = rows_of_tags()
    growing = make_encoder(max_length=2).partial_fit(X, y)
    columns = ColumnTransformer([("encoder", make_encoder(n_members=2), ["letter", "color"])])
    pipeline = make_pipeline(columns, LogisticRegression()).fit(X, y > 0)
    for estimator, method in [(growing, "transform"), (pipeline, "predict_proba")]:
        skops.io.dump(estimator, tmp_path / "file")
        twin = skops.io.load(tmp_path / "file", trusted=SKOPS_TYPES)
        assert_same(getattr(twin, method)(X), getattr(estimator, method)(X))


def test_the_published_types_are_those_of_saved_files():
    kinds = {*_fitted.classes().values(), EntityEmbeddingEncoder}
    kinds |= {EntityEmbeddingClassifier, EntityEmbeddingRegressor}
    assert sorted(f"{kind.__module__}.{kind.__qualname__}" for kind in kinds) == SKOPS_TYPES


# --- files


@pytest.fixture
def path(fitted, tmp_path):
    found = tmp_path / "encoder.safetensors"
    save(fitted["several"], found)
    return found


def refused(path, raw, match):
    path.write_bytes(raw)
    with pytest.raises(InvalidFileError, match=rf"cannot be loaded: .*{match}"):
        load(path)


def test_other_programs_can_read_the_file(fitted, path, tmp_path):
    head = safetensors.numpy.load_file(path)["model.head.weights.0"]
    assert_same(head, np.ascontiguousarray(fitted["several"]._model.head.weights[0]))
    with safetensors.safe_open(path, "np") as file:
        digest, _, text = file.metadata()[KEY].partition(" ")
    assert len(digest) == 64
    assert json.loads(text)["class"] == "EntityEmbeddingEncoder"
    save(load(path), tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == path.read_bytes()


def test_changes_and_truncations_are_found(tmp_path):
    path = tmp_path / "file"
    init = {"a": pd.DataFrame(np.eye(2), index=["x", 1])}
    save(EntityEmbeddingEncoder(init=init), path)
    raw, before = path.read_bytes(), load(path).get_params()
    for position in range(0, len(raw), 5):
        flipped = bytearray(raw)
        flipped[position] ^= 1 << position % 8
        path.write_bytes(flipped)
        with suppress(InvalidFileError):  # or another space between the parts of the header
            assert_same(load(path).get_params(), before)
        path.write_bytes(raw[:position])
        with pytest.raises(InvalidFileError, match="not a safetensors file, or was cut off"):
            load(path)
    refused(path, raw + b"\0", "not a safetensors file, or was cut off")


def test_foreign_files_are_refused(tmp_path):
    path, arrays = tmp_path / "file", {"a": np.arange(3)}
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("a", "b")
    for raw in (path.read_bytes(), b"", b"\0" * 100, pickle.dumps({"a": 1}, 2)):
        refused(path, raw, "not a safetensors file")
    for metadata in (None, {"format": "np"}, {KEY: ""}, {KEY: "0 {}"}):
        refused(path, safetensors.numpy.save(arrays, metadata), "but not one of sk_entity_embed")
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "nothing")
    os.mkfifo(tmp_path / "pipe")
    for other in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(InvalidFileError, match="it is not a file"):
            load(other)


def entry(dtype, shape, end):
    return {"x": {"dtype": dtype, "shape": shape, "data_offsets": [0, end]}}


@pytest.mark.parametrize(
    ("header", "match"),
    [
        (entry("U8", [2**40], 2**40), "cut off"),
        (entry("U8", [2**40], 6), "cut off"),
        (entry("U8", [2**40, 0], 0), "cut off"),
        ({**entry("U8", [6], 6), "y": entry("U8", [2**40, 0], 0)["x"]}, "larger than the file"),
        (entry("U8", [1] * 64 + [6], 6), "dimension"),
        (entry("F8_E4M3", [6], 6), "not a safetensors file"),
        (
            {**entry("U8", [6], 6), "y": entry("C64", [0], 0)["x"]},
            "unknown dtype complex64|not a safetensors file",
        ),
        (entry("BOOL", [6], 6), "neither true nor false"),
        (entry("U8", [-6], 6), "cut off"),
    ],
)
def test_what_tensors_declare_is_not_believed(path, header, match):
    _, document, _ = take_apart(path.read_bytes())
    raw = put_together(header, document, b"\1\0\1\0\2\0")
    tracemalloc.start()
    try:
        refused(path, raw, match)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
        refused(path, (2**40).to_bytes(8, "little") + raw[8:], "not a safetensors file")
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_the_document_the_version_and_the_checksum_are_checked(path, monkeypatch):
    header, document, data = take_apart(path.read_bytes())
    now = saving.FORMAT_VERSION
    for text, match in [
        ("[]", "format version None is not a positive integer"),
        ("{", "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ({**document, "format_version": 0}, "format version 0 is not a positive integer"),
        ({**document, "format_version": "1"}, "format version '1' is not a positive integer"),
        ({**document, "format_version": now + 1}, f"reads up to {now}: pip install --upgrade"),
    ]:
        refused(path, put_together(header, text, data), match)
    refused(path, put_together(header, document, data, digest="0" * 64), "checksum does not fit")
    upgrade = {now: lambda old, _: {**old, "format_version": now + 1, "package_version": "9"}}
    monkeypatch.setattr(saving, "FORMAT_VERSION", now + 1)
    monkeypatch.setattr(saving, "UPGRADES", upgrade)
    path.write_bytes(put_together(header, {**document, "class": "Older"}, data))
    with pytest.raises(InvalidFileError, match="'Older', written by sk_entity_embed 9"):
        load(path)


@pytest.mark.parametrize("forged", [[0, 1, 2, 3, 5], [0, 1, 2, 3, -1], [0, 0, 1, 2, 3]], ids=str)
def test_files_whose_folds_name_no_head_or_leave_one_out_are_refused(fitted, tmp_path, forged):
    path = tmp_path / "file"
    save(fitted["classes"], path)
    header, document, data = take_apart(path.read_bytes())
    start, end = header["model.head.folds"]["data_offsets"]
    assert data[start:end] == np.arange(5).tobytes()
    changed = data[:start] + np.array(forged).tobytes() + data[end:]
    refused(path, put_together(header, document, changed), "the heads are not those of the folds")
    path.write_bytes(put_together(header, document, data))
    load(path)


def test_a_crowded_file_costs_no_more_memory_than_a_good_one(path, monkeypatch):
    monkeypatch.setattr(_values, "MAX_MARKS", 1000)
    header, _, data = take_apart(path.read_bytes())
    for text in ("[" + "[]," * 100_000 + "[]]", "{" + '"":{},' * 100_000 + '"":0}'):
        raw = put_together(header, text, data)
        tracemalloc.start()
        try:
            refused(path, raw, "too many lists and objects")
            assert tracemalloc.get_traced_memory()[1] < 5 * len(raw)
        finally:
            tracemalloc.stop()


def test_what_has_no_room_is_not_written(path, monkeypatch):
    before = path.read_bytes()
    with pytest.raises(InvalidParameterError, match="`dimensions` cannot be saved"):
        save(make_encoder(dimensions=lambda n: 2), path)
    monkeypatch.setattr(saving, "_MAX_HEADER", 400)
    with pytest.raises(InvalidParameterError, match=r"bytes of text .* 400.* NumPy arrays"):
        save(EntityEmbeddingEncoder(), path)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


class Bomb:
    """What leaves a mark when it is unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


def test_nothing_of_a_file_is_run(path, tmp_path):
    mark = tmp_path / "mark"
    payloads = [pickle.dumps(Bomb(mark), protocol) for protocol in range(6)]
    header, document, data = take_apart(path.read_bytes())
    forged = [*payloads, *(p + path.read_bytes() for p in payloads)]
    code = f"__import__('os').mkdir({str(mark)!r})"
    for name in ("hidden_layer_sizes", "init", "cv", "random_state"):
        for value in (
            {"pickle": [payloads[0].hex()]},
            {"bytes": [payloads[2].hex()]},
            {"eval": [code]},
            {"os.mkdir": [str(mark)]},
            {"splitter": ["__import__", {"dict": []}]},
            {"splitter": [code, {"dict": []}]},
            code,
        ):
            parameters = {**document["parameters"], name: value}
            forged.append(put_together(header, {**document, "parameters": parameters}, data))
    for name in ("os.mkdir", "sk_entity_embed.encoder.EntityEmbeddingEncoder", "Pipeline"):
        forged.append(put_together(header, {**document, "class": name}, data))
    for raw in forged:
        path.write_bytes(raw)
        try:
            repr(load(path))
        except InvalidFileError:
            continue
    assert not mark.exists()
    pickle.loads(payloads[0])
    assert mark.exists()  # the payload does what it is for


def test_the_registry_is_of_the_packages_estimators():
    estimators = [n for n in sk_entity_embed.__all__ if n.startswith("EntityEmbedding")]
    assert sorted(saving.REGISTRY) == sorted(estimators)


# --- golden and mutated files


def test_every_golden_file_is_loaded_and_none_rewritten():
    versions = {int(path.name[1:].partition("_")[0]) for path in GOLDEN}
    assert versions == set(range(1, saving.FORMAT_VERSION + 1))
    assert set(saving.UPGRADES) == set(range(1, saving.FORMAT_VERSION))
    with pytest.raises(SystemExit, match="never rewritten"):
        make_golden.main()


def test_files_of_the_first_version_hold_one_perceptron_and_one_number_a_column():
    plain, classifier = load(golden("plain", 1)), load(golden("classifier", 1))
    for model in (plain._model, classifier._model):
        assert model.head.n_heads == 1 < len(model.tables[0].stack) - 1
        assert [s.shape[1] for s in model.scaling.scores] == [1]
    X = make_golden.golden_rows(12)[list(plain.feature_names_in_)]
    assert plain.fit(X, np.linspace(-1, 1, 72))._model.head.n_heads == 2
    assert (plain.interactions, classifier.interactions) == (None, None)  # there were none
    lists = load(golden("lists", 1))  # a warm start goes on from the one for every fold
    X = make_golden.golden_rows(12)[list(lists.feature_names_in_)]
    assert lists.fit(X, np.linspace(-1, 1, 72))._model.head.n_heads == 2


@pytest.mark.parametrize("name", ["plain", "lists", "classifier", "crosses"])
def test_files_of_the_second_version_hold_a_perceptron_of_each_fold(name, monkeypatch):
    before = load(golden(name, 2))
    head, n_folds = before._model.head, len(before._model.tables[0].stack) - 1
    assert head.folds is None
    assert head.n_heads == head.n_folds == n_folds == 2
    assert load(golden(name))._model.head.folds.tolist() == [0, 1]
    if before._model.warm_start is None:
        return
    # Of the same rows each fold's own goes on: another one has seen the fold.
    set_heads(monkeypatch, 1)
    X = make_golden.golden_rows(12)[list(before.feature_names_in_)]
    watched = watch_training(lambda: before.fit(X, np.linspace(-1, 1, 72)), run=False)
    assert (watched.rows.n_tables, watched.config.n_heads) == (2, 2)


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_golden_files_give_what_was_recorded(path, tmp_path):
    estimator, recorded = load(path), np.load(path.with_suffix(".npy"), allow_pickle=False)
    out = make_golden.answer(estimator)
    assert (out.dtype, out.shape) == (recorded.dtype, recorded.shape)
    exact = np.zeros(out.shape[1], dtype=bool)
    for j, pooler in enumerate(estimator._model.poolings):
        exact[slice(*estimator._model.edges[j : j + 2])] = not isinstance(pooler, GRU)
    assert out[:, exact].tobytes() == recorded[:, exact].tobytes()
    # Sums of another BLAS differ.
    np.testing.assert_allclose(out[:, ~exact], recorded[:, ~exact], rtol=1e-5, equal_nan=True)
    save(estimator, tmp_path / "again")
    assert_same(vars(load(tmp_path / "again")), vars(estimator))


def test_golden_files_hold_what_they_are_for():
    plain, classifier = load(golden("plain")), load(golden("classifier"))
    for name in plain.categories_:
        known = {cell for cell in make_golden.CELLS[name][:6] if cell is not None}
        assert {c for c in plain.categories_[name] if not pd.isna(c)} == known
    for name, cells in make_golden.KINDS.items():
        found = classifier.categories_[name]
        assert {(type(c), c) for c in found} == {(type(c), c) for c in cells[:6]}
    assert plain.infrequent_categories_["rare"].tolist() == ["seldom"]
    assert classifier.classes_.tolist() == ["high", "low", "middle"]
    dot, lists = load(golden("dot")), load(golden("lists"))
    assert type(dot._model.head) is DotHead
    assert lists._model.poolings[1] == Mean()
    assert type(lists._model.poolings[4]) is GRU
    for estimator in (dot, lists):  # the folds, and all that decides them, are known again
        before = estimator._model.warm_start.fingerprint
        X = make_golden.golden_rows(12)[list(estimator.feature_names_in_)]
        assert estimator.fit(X, np.linspace(-1, 1, 72))._model.warm_start.fingerprint == before


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited by Linux's means")
@pytest.mark.parametrize(
    "path",
    [*map(golden, ["plain", "dot", "lists", "classifier", "crosses"]), golden("plain", 1)],
    ids=lambda path: path.stem,
)
def test_mutated_files_are_refused_or_loaded(path):
    command = [sys.executable, "-m", "tests.export.mutate", str(path), "250"]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=900,
        env={**os.environ, "PYTHONPATH": str(ROOT), "ARROW_DEFAULT_MEMORY_POOL": "system"},
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout)
    assert sum(counts.values()) == 250
    assert counts["refused"] > 150
    assert counts["loaded"] > 6
