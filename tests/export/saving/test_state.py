"""Estimators to documents and back: everything returns, and what cannot is refused by name."""

from __future__ import annotations

import dataclasses
import datetime as dt
import io
import json
import pickle
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from fractions import Fraction
from ipaddress import IPv4Address
from pathlib import Path
from zoneinfo import ZoneInfo

import joblib
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import skops.io
from category_encoders import JamesSteinEncoder
from sklearn import config_context
from sklearn.base import clone
from sklearn.compose import make_column_selector
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from sk_entity_embed import EntityEmbeddingEncoder
from sk_entity_embed.exceptions import InvalidFileError, InvalidParameterError
from sk_entity_embed.export.saving import state
from sk_entity_embed.export.saving.state import describe, restore
from tests.export.fitted import make_dot, make_list_encoder, make_list_rows, make_new_lists
from tests.export.saved import assert_same
from tests.samples import MIXED, make_encoder, make_rows


class Cell:
    """A category of the user's own."""


ODD = [Fraction(1, 3), IPv4Address("10.0.0.1"), Path("a/b"), ZoneInfo("Europe/Oslo")]


class Subclass(EntityEmbeddingEncoder):
    """An encoder of the user's own."""


def there_and_back(encoder):
    document, arrays = describe(encoder)
    document = json.loads(json.dumps(document, allow_nan=False))
    return restore(document, {name: array.copy() for name, array in arrays.items()})


def rows_of_every_kind():
    """A column of each kind of category, one of numbers, and the names of the former."""
    X, y = make_rows(240)
    X["many"] = np.where(np.arange(240) < 200, "many", [f"few {i}" for i in range(240)])
    for name, cells in MIXED.items():
        X[name] = pd.Series(cells * 48, dtype=object)
    X["small"] = np.arange(240, dtype=np.uint8) % 3
    X["when"] = pd.to_datetime(["2026-01-01", "2026-02-01"] * 120)
    X["lone"] = pd.Series(["a\ud800", "</script>", "\n\t'\""] * 80, dtype=object)
    X["objects"] = pd.Series(
        [1, "1", None, Decimal("1.5"), ("a", (1, 2.5)), dt.date(2026, 1, 1), b"x", 10**30] * 30,
        dtype=object,
    )
    X["month"] = pd.period_range("2026-01", periods=240, freq="M").to_numpy()[np.arange(240) % 5]
    X["band"] = pd.cut(np.arange(240) % 10, 3)
    X["odd"] = pd.Series([*ODD, None] * 48, dtype=object)
    X.loc[::7, "size"] = np.nan
    return X, y, [name for name in X if name != "size"]


def labels_of(y):
    return np.array(["low", "middle", "high"])[np.digitize(y, [-1, 1])]


TARGETS = {
    "numbers": lambda y: y,
    "several": lambda y: np.column_stack([y, -y]),
    "binary": lambda y: y > 0,
    "classes": labels_of,
    "object classes": lambda y: labels_of(y).astype(object),
    "integers": lambda y: np.digitize(y, [-1, 1]).astype(np.int16),
    "labels": lambda y: np.column_stack([y > 0, y > 1]).astype(int),
}

SETTINGS = {
    "learned": {},
    "zero": {"handle_unknown": "zero", "cross_fit": False, "min_frequency": 5},
    "nan": {"handle_unknown": "nan", "output": "both", "remainder": "passthrough"},
    "error": {"handle_unknown": "error", "output": "hidden", "max_categories": 4},
    "warm": {"warm_start": True, "early_stopping": False, "hidden_layer_sizes": ()},
}


def state_of(encoder):
    """All attributes, in one order."""
    return dict(sorted(vars(encoder).items()))


def check_fitted_twin(twin, encoder, X, new):
    """Check that a loaded encoder is the saved one in all that can be seen."""
    assert_same(state_of(twin), state_of(encoder))
    assert_same(twin.transform(X), encoder.transform(X))
    if encoder.handle_unknown != "error":
        assert_same(twin.transform(new), encoder.transform(new))
    assert_same(twin.get_feature_names_out(), encoder.get_feature_names_out())
    for column, frame in encoder.embeddings_.items():
        assert_same(twin.embeddings_[column], frame)
    if encoder.output != "hidden":
        out = encoder.transform(X)
        assert_same(twin.inverse_transform(out), encoder.inverse_transform(out))
    assert repr(twin) == repr(encoder)


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("target", ["numbers", "classes"])
def test_fitted_encoders_return(settings, target):
    X, y, categorical = rows_of_every_kind()
    encoder = make_encoder(categorical_features=categorical, **SETTINGS[settings])
    encoder.fit(X, TARGETS[target](y))
    new = X.assign(letter="new", small=9, objects=None, real=None)
    check_fitted_twin(there_and_back(encoder), encoder, X, new)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("warm_start", [True, False])
def test_all_kinds_of_targets_return(target, warm_start):
    X, y = make_rows(120)
    encoder = make_encoder(warm_start=warm_start, max_iter=1).fit(X, TARGETS[target](y))
    check_fitted_twin(there_and_back(encoder), encoder, X, X.assign(letter="new"))


def test_encoders_of_arrays_have_no_names():
    X = np.array([["a", "1"], ["b", "2"], ["a", "3"]] * 20, dtype=object)
    encoder = make_encoder(warm_start=True).fit(X, np.linspace(0, 1, 60))
    twin = there_and_back(encoder)
    check_fitted_twin(twin, encoder, X, X[:, ::-1])
    assert not hasattr(twin, "feature_names_in_")


def test_rows_of_zero_weight_keep_their_fold():
    X, y = make_rows(120)
    encoder = make_encoder().fit(X, y, sample_weight=np.arange(120) % 4)
    twin = there_and_back(encoder)
    assert (twin.fold_ == -1).sum() == 30
    assert_same(twin.fold_, encoder.fold_)


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"random_state": np.random.RandomState(3), "cv": KFold(3, shuffle=True, random_state=1)},
        {"init": {"letter": pd.DataFrame(np.eye(2), index=["a", "b"])}, "freeze": ["letter"]},
        {"class_weight": {"a": 1.5, 2: 3}, "dimensions": {"letter": 2, 1: np.int64(3)}},
        {"class_weight": [{0: 1, 1: 2.5}], "max_iter": np.int32(3), "tol": np.float64(0.1)},
        {"cv": [(np.arange(3), np.arange(3, 6))], "categorical_features": np.array([True, False])},
        {"categorical_features": pd.Index(["a", "b"]), "freeze": np.array(["a"])},
        {"max_iter": float("nan"), "device": LookupError.__name__, "alpha": 10**30},
    ],
)
def test_unfitted_encoders_return(params):
    encoder = EntityEmbeddingEncoder(**params)
    twin = there_and_back(encoder)
    assert_same(twin.get_params(), encoder.get_params())
    assert_same(state_of(twin), state_of(encoder))
    assert not hasattr(twin, "_model")
    assert_same(clone(twin).get_params(), encoder.get_params())


def test_a_fit_of_the_loaded_plan_is_that_of_the_saved_one():
    X, y = make_rows(120)
    plan = make_encoder(random_state=np.random.RandomState(3), cv=None)
    plan.set_params(cv=KFold(3, shuffle=True, random_state=np.random.RandomState(5)))
    twin = there_and_back(plan)
    assert_same(twin.fit_transform(X, y), plan.fit_transform(X, y))


@pytest.mark.parametrize("freeze", [False, ["letter"]])
def test_training_goes_on_after_loading(freeze):
    X, y = make_rows(120)
    init = {"letter": pd.DataFrame(np.eye(3)[:, :2], index=["a", "b", "c"])}
    encoder = make_encoder(warm_start=True, init=init, freeze=freeze)
    encoder.fit(X, labels_of(y))
    twin = there_and_back(encoder)
    for _ in range(2):
        assert_same(twin.fit_transform(X, labels_of(y)), encoder.fit_transform(X, labels_of(y)))
        assert_same(state_of(twin), state_of(encoder))
        twin = there_and_back(twin)


def test_containers_asked_for_return():
    X, y = make_rows(60)
    encoder = make_encoder(max_iter=1).set_output(transform="pandas").fit(X, y)
    assert_same(there_and_back(encoder).transform(X), encoder.transform(X))
    assert_same(state_of(there_and_back(clone(encoder))), state_of(clone(encoder)))


def test_metadata_asked_for_return():
    with config_context(enable_metadata_routing=True):
        encoder = make_encoder().set_fit_request(sample_weight="weights", groups=True)
        twin = there_and_back(encoder)
        assert str(twin.get_metadata_routing()) == str(encoder.get_metadata_routing())
        assert_same(describe(twin)[0]["settings"], describe(encoder)[0]["settings"])
        document, arrays = describe(encoder)
        for change in ({"fit": {"x": True}}, {"__init__": {}}, {"fit": {"groups": "not a name"}}):
            document["settings"]["requests"] = change
            with pytest.raises(InvalidFileError):
                restore(document, arrays)


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"dimensions": lambda n: 2}, r"`dimensions` cannot.*<lambda>; give a number"),
        (
            {"categorical_features": make_column_selector(dtype_include=object)},
            "`categorical_features` cannot.*make_column_selector; give names",
        ),
        ({"init": OneHotEncoder()}, "`init` cannot.*OneHotEncoder; give 'normal' or a dict"),
        ({"init": {"a": pd.DataFrame({0: ["x"]})}}, "`init` cannot.*column 0 of a data frame"),
        ({"cv": iter([])}, "`cv` cannot.*list_iterator; give an integer"),
        ({"cv": [(np.array([Cell()]), [1])]}, r"`cv`\.0\.0, position 0 is of type .*Cell"),
        ({"device": Cell()}, "`device` cannot.*Cell; give numbers, strings"),
        ({"random_state": np.random.RandomState(np.random.PCG64(1))}, "`random_state`.*PCG64"),
    ],
)
def test_parameters_that_are_code_are_refused_by_name(params, match):
    with pytest.raises(InvalidParameterError, match=match):
        describe(EntityEmbeddingEncoder(**params))


@pytest.mark.parametrize(
    ("params", "remedy"),
    [
        ({"dimensions": lambda n: 2}, {"dimensions": {"letter": 2, "color": 2}}),
        ({"init": JamesSteinEncoder()}, {"init": "normal"}),
        (
            {"categorical_features": make_column_selector(pattern="letter|color")},
            {"categorical_features": ["letter", "color"]},
        ),
        ({"cv": iter([(range(60), range(60, 120)), (range(60, 120), range(60))])}, {"cv": 5}),
        ({"device": type("Device", (str,), {})("cpu")}, {"device": "auto"}),
    ],
    ids=["dimensions", "init", "categorical_features", "cv", "device"],
)  # fmt: skip
def test_the_remedy_named_for_fitted_encoders_works(params, remedy):
    X, y = make_rows(120)
    encoder = make_encoder(max_iter=1, **params).fit(X, y)
    (name,) = params
    with pytest.raises(InvalidParameterError, match=r"estimator\.set_params\(") as caught:
        describe(encoder)
    call = str(caught.value).partition("estimator.")[2].partition(", then save")[0]
    eval(f"estimator.{call}", {"estimator": encoder})  # what the message says
    assert encoder.get_params()[name] == remedy[name]
    assert_same(there_and_back(encoder).transform(X), encoder.transform(X))


def test_other_estimators_are_refused():
    for estimator, match in [
        (OneHotEncoder(), "got OneHotEncoder.*joblib"),
        (make_pipeline(OneHotEncoder()), "or a pipeline with one inside, got Pipeline"),
        (Subclass(), "Subclass, a subclass"),
        (EntityEmbeddingEncoder, "got the class EntityEmbeddingEncoder"),
        (type("EntityEmbeddingEncoder", (), {})(), "got EntityEmbeddingEncoder"),
        (None, "got NoneType"),
    ]:
        with pytest.raises(InvalidParameterError, match=match):
            describe(estimator)


def test_categories_that_are_objects_are_refused_with_their_column():
    X, y = make_rows(60)
    X["own"] = pd.Series([Cell(), Cell()] * 30, dtype=object)
    encoder = make_encoder(max_iter=1).fit(X, y)
    with pytest.raises(InvalidParameterError, match="category 0 of column 'own' is of type"):
        describe(encoder)


@pytest.mark.parametrize("kind", [StrEnum, IntEnum, Enum])
def test_members_of_enumerations_find_their_category_after_loading(kind):
    members = list(kind("Size", {"small": "1", "large": "2"} if kind is not IntEnum else "a b"))
    X = pd.DataFrame({"size": pd.Series([*members, dt.date(2026, 1, 1)] * 20, dtype=object)})
    encoder = make_encoder(max_iter=1, categorical_features="all", cv=2).fit(
        X, np.linspace(0, 1, 60)
    )
    assert set(encoder.categories_["size"]) == {*members, dt.date(2026, 1, 1)}
    if kind is Enum:
        shown = r"category \d of column 'size' is Size\.\w+, .*`\.name` or its `\.value`"
        with pytest.raises(InvalidParameterError, match=shown):
            describe(encoder)
        return
    twin = there_and_back(encoder)
    assert {type(c) for c in twin.categories_["size"]} == {dt.date, type(members[0].value)}
    assert_same(twin.transform(X), encoder.transform(X))
    plain = X["size"].map(lambda cell: getattr(cell, "value", cell)).astype(object)
    assert_same(twin.transform(plain.to_frame()), encoder.transform(X))


def test_attributes_of_the_users_are_refused():
    X, y = make_rows(60)
    encoder = make_encoder(max_iter=1)
    encoder.note = "mine"
    with pytest.raises(InvalidParameterError, match=r"no place for: \['note'\]"):
        describe(encoder)
    del encoder.note
    encoder.fit(X, y).more = 1
    with pytest.raises(InvalidParameterError, match=r"no place for: \['more'\]"):
        describe(encoder)
    del encoder.more
    encoder.fold_ = encoder.fold_ + 5
    with pytest.raises(InvalidParameterError, match=r"changed after fit.*folds are out of range"):
        describe(encoder)


def test_everything_that_fit_sets_has_a_place():
    X, y = make_rows(60)
    encoder = make_encoder(max_iter=1).fit(X, y)
    fitted = set(vars(encoder)) - set(encoder.get_params()) - {"feature_names_in_"}
    assert fitted == state._stored_names("EntityEmbeddingEncoder") | set(
        state._derived(encoder._model)
    )


def test_arrow_types_that_have_no_place_are_refused():
    X, y = make_rows(60)
    encoder = make_encoder(max_iter=1).fit(X, y)
    model = encoder._model
    tables = list(model.tables)
    keys = tables[0].vocabulary.keys.cast(pa.string())
    vocabulary = dataclasses.replace(tables[0].vocabulary, keys=keys)
    tables[0] = dataclasses.replace(tables[0], vocabulary=vocabulary)
    encoder._model = dataclasses.replace(model, tables=tuple(tables))
    with pytest.raises(InvalidParameterError, match=r"'letter' .*Arrow's type string"):
        describe(encoder)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda d: d.update({"class": "OneHotEncoder"}), "knows .*EntityEmbeddingEncoder"),
        (lambda d: d.update({"class": "os.system"}), "knows"),
        (lambda d: d.update({"class": ["x"]}), "cannot be"),
        (lambda d: d["parameters"].update(new=1), r"\['new'\].*0\.\d.*--upgrade"),
        (lambda d: d.update(parameters=3), "cannot be"),
        (lambda d: d.update(more=3), "entries are"),
        (lambda d: d.pop("settings"), "entries are"),
        (lambda d: d["settings"].update(set_output={"transform": "x"}), "set_output"),
        (lambda d: d["settings"].update(set_output={"transform": None}), "set_output"),
        (lambda d: d["settings"].update(set_output={"predict": "pandas"}), "set_output"),
        (lambda d: d["settings"].update(set_output=None), "cannot be"),
        (lambda d: d["settings"].pop("requests"), "cannot be"),
        (lambda d: d.update(fitted=3), "cannot be"),
        (lambda d: d.update(fitted={}), "attributes are"),
        (lambda d: d["fitted"].pop("_unknown"), "attributes are"),
        (lambda d: d["fitted"].update(transform=1), "attributes are"),
        (lambda d: d["fitted"].update(__class__=1), "attributes are"),
        (lambda d: d["fitted"].update(_model=None), "no model"),
        (lambda d: d["fitted"]["_model"]["EmbeddingModel"].pop("scale"), "cannot be"),
        (lambda d: d["fitted"]["_model"]["EmbeddingModel"].update(more=1), "cannot be"),
        (lambda d: d["fitted"].update(_model={"Memory": 3}), "cannot be"),
        (lambda d: d["fitted"].update(loss_curve_={"array": "model.head.biases.0"}), "cannot be"),
        (lambda d: d["fitted"].update(validation_loss_curve_=None), "without a use"),
    ],
)
def test_documents_of_no_estimator_are_refused(change, match):
    X, y = make_rows(60)
    document, arrays = describe(make_encoder(max_iter=1).fit(X, y))
    change(document)
    with pytest.raises(InvalidFileError, match=match):
        restore(document, arrays)


LONG_ZONE = "a/" * 500 + "b"


@pytest.mark.parametrize(
    "value",
    [
        {"zone": LONG_ZONE},
        {"datetime": ["2026-01-01", 0, LONG_ZONE]},
        {"time": ["00:00", 0, LONG_ZONE]},
        {"timestamp": [0, "ns", LONG_ZONE]},
        {"zone": "Europe/" * 4 + "Oslo"},
        {"zone": "Europe/Oslo\n"},
    ],
    ids=lambda v: next(iter(v)),
)
def test_time_zones_of_no_known_form_are_refused_before_they_are_looked_up(value):
    document, arrays = describe(EntityEmbeddingEncoder())
    document["parameters"]["init"] = value
    with pytest.raises(InvalidFileError, match=r"no time zone has the name .{,82}$"):
        restore(document, arrays)


@pytest.mark.parametrize("error", [RecursionError, MemoryError])
def test_no_error_of_the_interpreter_gets_out(error, monkeypatch):
    def fail(*_):
        raise error

    document, arrays = describe(EntityEmbeddingEncoder())
    monkeypatch.setattr(state, "_restore", fail)
    with pytest.raises(InvalidFileError, match=f"cannot be: {error.__name__}"):
        restore(document, arrays)


@pytest.mark.parametrize("kind", ["string", "large_string", "int32", "bool", [1], "object"])
def test_keys_have_the_type_of_the_categories(kind):
    X = [[n, "a"] for n in (1, 2, 3)] * 20
    encoder = make_encoder(max_iter=1, categorical_features="all").fit(X, np.linspace(0, 1, 60))
    document, arrays = describe(encoder)
    model = document["fitted"]["_model"]["EmbeddingModel"]
    vocabulary = model["tables"]["tuple"][0]["EmbeddingTable"]["vocabulary"]["Vocabulary"]
    assert vocabulary["keys"] == "int64"
    vocabulary["keys"] = kind
    with pytest.raises(InvalidFileError):
        restore(document, arrays)


def test_parameters_that_are_younger_than_a_file_get_their_defaults():
    document, arrays = describe(EntityEmbeddingEncoder(max_iter=3))
    del document["parameters"]["n_iter_no_change"], document["parameters"]["categorical_features"]
    found = restore(document, arrays)
    assert repr(found) == "EntityEmbeddingEncoder(max_iter=3)"


DOTS_AND_LISTS = {
    "dot": lambda: make_dot().fit(*make_rows(120)),
    "unbounded dot": lambda: make_dot(y_range=None, warm_start=True).fit(*make_rows(120)),
    "dot of lists": lambda: make_dot(pooling="sum").fit(*make_list_rows()),
    "bounded perceptron": lambda: make_encoder(y_range=(-9, 9), output="both").fit(*make_rows(120)),
    "lists": lambda: make_list_encoder(output="both", remainder="passthrough").fit(
        *make_list_rows()
    ),
    "warm lists": lambda: make_list_encoder(warm_start=True, handle_unknown="zero").fit(
        *make_list_rows()
    ),
}


def asked(estimator):
    """Everything that an estimator says of new rows."""
    X = make_new_lists().assign(color="red")[list(estimator.feature_names_in_)]
    answers = [estimator.transform(X)]
    answers += [estimator.predict(X)] if hasattr(estimator, "predict") else []
    return [*answers, dict(estimator.embeddings_), getattr(estimator, "biases_", None)]


@pytest.fixture(scope="module", params=DOTS_AND_LISTS)
def dot_or_lists(request):
    return DOTS_AND_LISTS[request.param]()


def test_dots_and_lists_return(dot_or_lists):
    twin = there_and_back(dot_or_lists)
    assert_same(state_of(twin), state_of(dot_or_lists))
    assert_same(asked(twin), asked(dot_or_lists))


def test_dots_and_lists_return_by_other_ways(dot_or_lists):
    file = io.BytesIO()
    joblib.dump(dot_or_lists, file)
    file.seek(0)
    assert_same(asked(joblib.load(file)), asked(dot_or_lists))
    assert_same(asked(pickle.loads(pickle.dumps(dot_or_lists))), asked(dot_or_lists))
    dumped = skops.io.dumps(dot_or_lists)
    trusted = skops.io.get_untrusted_types(data=dumped)
    assert all(name.startswith("sk_entity_embed.") for name in trusted)
    twin = skops.io.loads(dumped, trusted=trusted)
    assert_same(asked(twin), asked(dot_or_lists))
    assert_same(twin._model, dot_or_lists._model)


@pytest.mark.parametrize("kind", ["unbounded dot", "warm lists"])
def test_training_of_dots_and_lists_goes_on_after_loading(kind):
    estimator = DOTS_AND_LISTS[kind]()
    X, y = make_rows(120) if "dot" in kind else make_list_rows()
    twin = there_and_back(estimator)
    assert_same(asked(twin.fit(X, y)), asked(estimator.fit(X, y)))


@pytest.mark.parametrize(
    "change",
    [
        lambda model: model.pop("pooling"),
        lambda model: model.update(pooling=None),
        lambda model: model["head"].update(MLPHead={}),
    ],
)
def test_models_without_what_version_2_has_are_refused(change):
    document, arrays = describe(DOTS_AND_LISTS["dot"]())
    change(document["fitted"]["_model"]["EmbeddingModel"])
    with pytest.raises(InvalidFileError):
        restore(document, arrays)


def test_models_of_version_2_are_refused_in_files_of_version_1():
    with pytest.raises(InvalidFileError, match="pooling"):
        restore(*describe(DOTS_AND_LISTS["dot"]()), version=1)
    memory = describe(make_encoder(warm_start=True, max_iter=1).fit(*make_rows(60)))
    del memory[0]["fitted"]["_model"]["EmbeddingModel"]["pooling"]
    del memory[0]["fitted"]["_model"]["EmbeddingModel"]["max_lengths"]
    with pytest.raises(InvalidFileError, match="layers remembered are not described"):
        restore(*memory, version=1)


@pytest.mark.parametrize("settings", SETTINGS)
def test_joblib_and_skops_work_as_well(settings):
    X, y, categorical = rows_of_every_kind()
    categorical.remove("when")  # skops cannot make pandas' timestamps again
    X = X.drop(columns="when")
    encoder = make_encoder(categorical_features=categorical, **SETTINGS[settings]).fit(X, y)
    file = io.BytesIO()
    joblib.dump(encoder, file)
    file.seek(0)
    assert_same(joblib.load(file).transform(X), encoder.transform(X))
    dumped = skops.io.dumps(encoder)
    ours = "sk_entity_embed."
    trusted = skops.io.get_untrusted_types(data=dumped)
    others = [name for name in trusted if not name.startswith(ours)]
    libraries = {name.split(".")[0] for name in others}  # of the cells of columns of objects
    assert libraries == {*"datetime decimal fractions ipaddress pandas pathlib zoneinfo".split()}
    twin = skops.io.loads(dumped, trusted=trusted)
    assert_same(twin.transform(X), encoder.transform(X))
    assert_same(twin._model, encoder._model)
