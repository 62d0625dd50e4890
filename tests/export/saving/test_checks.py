"""What could not come from a fit is found, before a look-up trusts it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from sk_entity_embed.export.saving.checks import check_fitted
from sk_entity_embed.export.saving.state import _derived
from sk_entity_embed.model.heads import DotHead
from tests.export.fitted import make_dot, make_list_encoder, make_list_rows
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
    (f"{WORDS}.categories", lambda a: a[:0], "counts of"),
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
    (f"{WORDS}.empty_count", 1, "empty lists, but no lists"),
    (f"{WORDS}.empty_count", -1, "negative"),
    (f"{WORDS}.empty_row", 0, "is no way to pool"),
    (f"{TABLE}.biased", True, "a bias that the head does not read"),
    ("_model.pooling", (), "ways of pooling and tables"),
    ("_model.pooling", [None] * 4, "ways of pooling and tables"),
    ("_model.pooling.0", "mean", "is pooled, but has no lists"),
    ("_model.max_lengths", (), "lengths of lists and tables"),
    ("_model.max_lengths.0", 3, "is pooled, but has no lists"),
    ("_model.scale.bounds", np.zeros(2), "a multiclass target has bounds"),
    ("_model.head", DotHead(np.ones(2), np.ones(4), np.ones(1), 0.0), "a bias that the head"),
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


@pytest.fixture(scope="module")
def dot():
    """Of dot products of three columns, one of them of lists, and a number; with bounds."""
    X, y = make_rows(120)
    X["tags"] = pd.Series([["a"], ["b", "a"], []] * 40)
    return state_of(make_dot(warm_start=True, pooling="sum", max_length=2).fit(X, y))


CHANGES_OF_DOTS = [
    (f"{TABLE}.biased", False, "a bias that the head does not read"),
    (f"{TABLE}.biased", 1, "a bias that the head does not read"),
    (f"{TABLE}.stack", lambda a: a[:, :, :1], "no width or mean"),
    (TABLE, lambda t: narrower(t), "differ in width"),
    ("_model.head", None, "a bias that the head does not read"),
    ("_model.head.axes", lambda a: a[1:], "weights of the axes"),
    ("_model.head.axes", lambda a: a.astype(np.float32), "weights of the axes"),
    ("_model.head.axes", put(0, -1.0), "axes are negative"),
    ("_model.head.axes", put(0, np.nan), "axes are negative"),
    ("_model.head.bias_weights", lambda a: a[1:], "weights of the biases"),
    ("_model.head.context_weights", lambda a: a[1:], "weights of the context"),
    ("_model.head.intercept", 1, "intercept is no number"),
    ("_model.head.intercept", np.nan, "intercept is no number"),
    ("_model.head.intercept", np.float64(1), "intercept is no number"),
    ("_model.pooling.2", "max", "'max' is no way to pool column 'tags' for products"),
    ("_model.scale.bounds", lambda a: a[:1], "bounds of the target"),
    ("_model.scale.bounds", lambda a: tuple(a), "bounds of the target"),
    ("_model.scale.bounds", lambda a: a[::-1], "bounds do not rise"),
    ("_model.scale.bounds", put(1, np.inf), "bounds do not rise"),
    ("_model.scale.bounds", None, "'bounded' is no link"),
    ("_link", "identity", "'identity' is no link"),
    ("_link", "log", "'log' is no link"),
]


def narrower(table):
    """A table of one axis less."""
    return dataclasses.replace(table, stack=table.stack[:, :, 1:], centre=table.centre[1:])


@pytest.mark.parametrize(
    ("path", "new", "match"),
    CHANGES_OF_DOTS,
    ids=[f"{i} {c[0]}" for i, c in enumerate(CHANGES_OF_DOTS)],
)
def test_what_could_not_come_from_a_fit_of_dots_is_found(dot, path, new, match):
    check_fitted(dot)
    with pytest.raises(ValueError, match=match):
        check_fitted(changed(dot, path, new))


def test_dots_have_two_columns_and_one_output(dot):
    model = dot["_model"]
    alone = {"tables": model.tables[:1], "categorical": (0,), "context": (1, 2, 3)}
    scaling = dataclasses.replace(
        model.scaling,
        knots=model.scaling.knots * 3,
        scores=model.scaling.scores * 3,
        missing_shares=np.zeros(3),
    )
    lonely = dataclasses.replace(model, scaling=scaling, pooling=(None,), max_lengths=(None,))
    with pytest.raises(ValueError, match="nothing to be multiplied with"):
        check_fitted({**dot, "_model": dataclasses.replace(lonely, **alone)})
    classes = {"target_type_": "multilabel-indicator", "classes_": np.arange(1)}
    with pytest.raises(ValueError, match="a multilabel-indicator target has several outputs"):
        check_fitted({**dot, **classes})


@pytest.fixture(scope="module")
def lists():
    """Columns of single values, and of lists that are pooled in each way."""
    return state_of(make_list_encoder(warm_start=True).fit(*make_list_rows()))


UNIT = "_model.pooling.4"
CHANGES_OF_LISTS = [
    ("_model.tables.1.vocabulary.empty_row", None, "empty lists, but no lists"),
    ("_model.tables.1.vocabulary.empty_row", 0, "no row for the empty list"),
    ("_model.tables.1.vocabulary.empty_row", 5, "no row for the empty list"),
    ("_model.tables.1.vocabulary.empty_row", 6.0, "no row for the empty list"),
    ("_model.tables.1.vocabulary.empty_row", 10**9, "no row for the empty list"),
    ("_model.tables.1.vocabulary.empty_count", 0, "no row for the empty list"),
    ("_model.tables.1.vocabulary.empty_count", True, "negative"),
    ("_model.tables.3.vocabulary.empty_row", None, "is pooled, but has no lists"),
    ("_model.tables.3.vocabulary.empty_row", 6, "no row for the empty list"),
    ("_model.tables.3.vocabulary.empty_row", False, "no row for the empty list"),
    ("_model.tables.3.vocabulary.empty_count", 2, "no row for the empty list"),
    ("_model.tables.1.stack", lambda a: a[:, :-1], "vectors of 'mean'"),
    ("_model.pooling.0", "mean", "is pooled, but has no lists"),
    ("_model.pooling.1", None, "None is no way to pool"),
    ("_model.pooling.1", "gru", "'gru' is no way to pool"),
    ("_model.pooling.1", ["mean"], "is no way to pool"),
    ("_model.max_lengths.2", 0, "no length of lists"),
    ("_model.max_lengths.2", 2**63, "no length of lists"),
    ("_model.max_lengths.2", True, "no length of lists"),
    ("_model.max_lengths.2", 2.0, "no length of lists"),
    (f"{UNIT}.input_weights", lambda a: a[1:], "weights of the unit of column 'gru'"),
    (f"{UNIT}.input_weights", lambda a: a.astype(np.float32), "weights of the unit"),
    (f"{UNIT}.hidden_weights", lambda a: a[:, :-3], "weights of the unit"),
    (f"{UNIT}.hidden_weights", None, "weights of the unit"),
    (f"{UNIT}.input_bias", lambda a: a[:3], "biases of the unit"),
    (f"{UNIT}.hidden_bias", lambda a: a[None], "biases of the unit"),
    ("_memory.layers", lambda layers: layers[:4], "layers remembered"),
]


@pytest.mark.parametrize(
    ("path", "new", "match"),
    CHANGES_OF_LISTS,
    ids=[f"{i} {c[0]}" for i, c in enumerate(CHANGES_OF_LISTS)],
)
def test_what_could_not_come_from_a_fit_of_lists_is_found(lists, path, new, match):
    check_fitted(lists)
    with pytest.raises(ValueError, match=match):
        check_fitted(changed(lists, path, new))
