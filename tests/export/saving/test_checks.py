"""What could not come from a fit is found, before a look-up trusts it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from sk_entity_embed.export.saving.checks import check_fitted
from sk_entity_embed.export.saving.state import _derived
from tests.samples import make_encoder, make_rows


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
    return dataclasses.replace(value, **{name: changed(getattr(value, name), rest, new)})


def state_of(encoder):
    params, derived = encoder.get_params(), _derived(encoder._model)
    return {n: v for n, v in vars(encoder).items() if n not in params and n not in derived}


@pytest.fixture(scope="module")
def state():
    """Of strings, integers, mixed objects, and numbers as context; three classes."""
    X, y = make_rows(120)
    X["integer"] = np.arange(120) % 3
    X["mixed"] = pd.Series([1, "a", None] * 40, dtype=object)
    names = ["letter", "color", "integer", "mixed"]
    params = {"categorical_features": names, "min_frequency": 23, "handle_unknown": "zero"}
    encoder = make_encoder(warm_start=True, **params)
    return state_of(encoder.fit(X, np.digitize(y, [-1, 1])))


def put(position, number):
    """Change one entry of an array."""

    def change(array):
        copy = array.copy()
        copy[position] = number
        return copy

    return change


TABLE = "_model.tables.0"
WORDS = f"{TABLE}.vocabulary"
OBJECTS = "_model.tables.3.vocabulary"

CHANGES = [
    ("_model", None, "no model"),
    ("n_features_in_", -1, "no number"),
    ("n_features_in_", True, "no number"),
    ("n_features_in_", 6, "names of the features"),
    ("feature_names_in_", lambda a: a.tolist(), "names of the features"),
    ("feature_names_in_", put(0, 3), "no strings"),
    ("feature_names_in_", put(0, "color"), "repeated"),
    ("feature_names_in_", put(0, "other"), "the table of 'other'"),
    ("feature_names_in_", None, "the table of 'x0'"),
    ("_model.categorical", [0, 1, 3, 4], "no columns"),
    ("_model.categorical", (0, 1, 3, 5), "not in the input"),
    ("_model.categorical", (0, 1, 3, -1), "not in the input"),
    ("_model.categorical", (0, 1, 3, 4.0), "not in the input"),
    ("_model.categorical", (0, 1, 3, 3), "used twice"),
    ("_model.categorical", (0, 1, 3), "is not used"),
    ("_model.context", (), "is not used"),
    ("_model.categorical", (1, 0, 3, 4), "the table of 'color'"),
    ("_model.tables", lambda t: t[:3], "tables and columns"),
    ("_model.tables", list, "tables and columns"),
    (TABLE, None, "another kind"),
    (f"{TABLE}.vocabulary", None, "no vocabulary"),
    (f"{WORDS}.name", 3, "no vocabulary"),
    (f"{WORDS}.categories", list, "no categories"),
    (f"{WORDS}.categories", lambda a: a[:0], "no categories"),
    (f"{WORDS}.categories", lambda a: a[:, None], "no categories"),
    (f"{WORDS}.categories", lambda a: a[:-1], "counts of"),
    (f"{WORDS}.counts", lambda a: a.astype(float), "counts of"),
    (f"{WORDS}.counts", put(0, -1), "negative"),
    (f"{WORDS}.missing_count", -1, "negative"),
    (f"{WORDS}.missing_count", 0.0, "negative"),
    (f"{WORDS}.missing_count", 1, "no missing row"),
    (f"{WORDS}.missing_row", 1, "no missing row"),
    (f"{WORDS}.missing_row", 5, "no missing row"),
    (f"{WORDS}.missing_row", False, "no missing row"),
    (f"{WORDS}.rows", put(0, 10**9), "out of order"),
    (f"{WORDS}.rows", put(0, -1), "out of order"),
    (f"{WORDS}.rows", put(0, 0), "out of order"),
    (f"{WORDS}.rows", lambda a: a.astype(np.int64), "rows of"),
    (f"{WORDS}.rows", lambda a: a[::-1], "out of order"),
    (f"{WORDS}.keys", lambda k: k[:-1], "is missing"),
    (f"{WORDS}.keys", lambda k: pa.concat_arrays([k[:1], k[:1], k[2:]]), "twice"),
    ("_model.tables.2.vocabulary.categories", np.array([0, np.nan, 2]), "is missing"),
    (f"{OBJECTS}.categories", lambda a: a.astype(str), "no objects"),
    (f"{OBJECTS}.categories", put(0, None), "is missing"),
    (f"{OBJECTS}.categories", put(0, pd.NaT), "is missing"),
    (f"{OBJECTS}.categories", put(0, "a"), "twice"),
    (f"{TABLE}.stack", lambda a: a[:, :-1], "vectors of 'letter'"),
    (f"{TABLE}.stack", lambda a: a.astype(np.float64), "vectors of 'letter'"),
    (f"{TABLE}.stack", lambda a: a[0], "vectors of 'letter'"),
    (f"{TABLE}.stack", lambda a: a[:0], "no width or mean"),
    (f"{TABLE}.stack", lambda a: a[:2], "no width or mean"),
    (f"{TABLE}.stack", lambda a: a[:3], "vectors of 'color'"),
    (f"{TABLE}.stack", lambda a: a[:, :, :0], "no width or mean"),
    (f"{TABLE}.centre", lambda a: a[:1], "centre of 'letter'"),
    ("_model.head", None, "no head"),
    ("_model.head.weights", list, "no head"),
    ("_model.head.weights", (), "no layers"),
    ("_model.head.biases", lambda b: b[:1], "no layers"),
    ("_model.head.weights.0", lambda a: a[:-1], "weights of a layer"),
    ("_model.head.weights.0", lambda a: a.astype(np.float32), "weights of a layer"),
    ("_model.head.weights.0", lambda a: a[:, :-1], "biases of a layer"),
    ("_model.head.weights.1", lambda a: a[1:], "weights of a layer"),
    ("_model.head.biases.1", lambda a: a[1:], "biases of a layer"),
    ("_model.scaling", None, "no scaling"),
    ("_model.scaling.knots", (), "knots and context"),
    ("_model.scaling.scores", (), "scores and context"),
    ("_model.scaling.knots.0", lambda a: a[:-1], "scores of a context"),
    ("_model.scaling.knots.0", lambda a: a[::-1], "do not rise"),
    ("_model.scaling.knots.0", put(1, np.nan), "do not rise"),
    ("_model.scaling.missing_shares", lambda a: a[:0], "missing shares"),
    ("_model.scale", None, "no scale"),
    ("_model.scale.center", lambda a: np.zeros(3), "centre of the target"),
    ("_model.scale.width", lambda a: a[:0], "width of the target"),
    ("target_type_", "other", "not known"),
    ("target_type_", ["binary"], "not known"),
    ("target_type_", "continuous", "has classes"),
    ("target_type_", "binary", "3 classes, not 2"),
    ("target_type_", "multilabel-indicator", "centre of the target"),
    ("classes_", None, "no classes"),
    ("classes_", lambda a: a[:2], "2 classes, not 3"),
    ("fold_", put(0, 5), "out of range"),
    ("fold_", put(0, -2), "out of range"),
    ("fold_", lambda a: a[:, None], "folds"),
    ("loss_curve_", None, "loss curve"),
    ("validation_loss_curve_", [1.0], "validation loss curve"),
    ("n_iter_", -1, "no iterations"),
    ("best_iteration_", 1.0, "no iterations"),
    ("category_target_means_", {}, "not the columns'"),
    ("category_target_means_.letter", None, "no arrays"),
    ("category_target_means_.letter", lambda a: a[1:], "target means of 'letter'"),
    ("category_target_means_.mixed", lambda a: a[:, :, None], "target means of 'mixed'"),
    ("_memory", 3, "no memory"),
    ("_memory.fingerprint", None, "no memory"),
    ("_memory.roles", None, "roles do not fit"),
    ("_memory.roles.n_tables", 3, "roles do not fit"),
    ("_memory.roles.fold", put(0, -1), "out of range"),
    ("_memory.roles.validation", lambda a: a[1:], "validation rows"),
    ("_memory.columns", (), "columns remembered"),
    ("_memory.classes", [1], "classes remembered"),
    ("_memory.layers", [], "layers remembered"),
    ("_memory.fixed", [], "frozen rows"),
    ("_memory.fixed.0", lambda a: a[1:], "frozen rows"),
    ("_memory.pulled", (), "pulled columns"),
    ("_memory.pulled.0", 1, "pulled columns"),
    ("_policies", {}, "policies are not known"),
    ("_policies.output", "other", "no policy"),
    ("_policies.output", ["both"], "no policy"),
    ("_policies.handle_unknown", "learned", "no vectors for 'learned'"),
    ("_policies.handle_unknown", "nan", "unknown vector of 'letter' is another"),
    ("_unknown", None, "no vectors for 'zero'"),
    ("_unknown.0", put(0, 7.0), "unknown vector of 'letter' is another"),
    ("_unknown", [], "unknown vectors"),
    ("_unknown", lambda _: [np.zeros(1, np.float32)] * 4, "unknown vector of 'letter'"),
]


def test_what_fit_has_made_is_accepted(state):
    check_fitted(state)
    assert state["_model"].tables[0].vocabulary.infrequent is not None
    without = {n: v for n, v in state.items() if n not in ("_policies", "_unknown")}
    check_fitted(without)  # of an estimator that transforms nothing


@pytest.mark.parametrize(
    ("path", "new", "match"), CHANGES, ids=[f"{i} {c[0]}" for i, c in enumerate(CHANGES)]
)
def test_what_could_not_come_from_a_fit_is_found(state, path, new, match):
    with pytest.raises(ValueError, match=match):
        check_fitted(changed(state, path, new))


def test_hidden_layers_have_to_be_there():
    X, y = make_rows(60)
    state = state_of(make_encoder(hidden_layer_sizes=(), max_iter=1).fit(X, y))
    check_fitted(state)
    with pytest.raises(ValueError, match="no hidden layer"):
        check_fitted(changed(state, "_policies.output", "both"))
    head = changed(state["_model"].head, "weights.0", lambda a: a[:, :0])
    head = changed(head, "biases.0", lambda a: a[:0])
    with pytest.raises(ValueError, match="a layer is empty"):
        check_fitted(changed(state, "_model.head", head))


def test_a_binary_target_has_one_output():
    X, y = make_rows(60)
    state = state_of(make_encoder(max_iter=1).fit(X, np.column_stack([y > 0, y > 1]).astype(int)))
    check_fitted(state)
    with pytest.raises(ValueError, match="several outputs"):
        check_fitted({**state, "target_type_": "binary"})


def test_a_model_needs_a_table():
    X, y = make_rows(60)
    state = state_of(make_encoder(max_iter=1, cross_fit=False).fit(X, y))
    check_fitted(state)
    empty = changed(state, "_model.tables", ())
    empty = changed(empty, "_model.categorical", ())
    with pytest.raises(ValueError, match="there are no tables"):
        check_fitted(changed(empty, "_model.context", (0, 1, 2)))
