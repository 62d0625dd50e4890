"""What holds of every fitted estimator: types, shapes and ranges that ``transform`` relies on.

Look-ups trust the model, so that a model from a file has to be checked before it is used. Each
function raises a :class:`ValueError` that says what does not fit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import pandas as pd
import pyarrow.compute as pc

from sk_entity_embed.fitting.preparation import Roles
from sk_entity_embed.fitting.warm_start import Memory
from sk_entity_embed.input.context import ContextScaling
from sk_entity_embed.input.target import Scale
from sk_entity_embed.input.vocabulary import INFREQUENT, MISSING, N_RESERVED, UNKNOWN, Vocabulary
from sk_entity_embed.model.fitted import LINKS, EmbeddingModel
from sk_entity_embed.model.heads import DotHead, MLPHead
from sk_entity_embed.model.poolings import GRU
from sk_entity_embed.model.tables import EmbeddingTable

_POLICIES = {
    "output": ("embedding", "hidden", "both"),
    "remainder": ("drop", "passthrough"),
    "handle_unknown": ("learned", "zero", "nan", "error"),
    "handle_missing": ("category", "nan", "error"),
}
_OF_PREDICTORS = {
    "output": ("embedding",),
    "remainder": ("drop",),
    "handle_unknown": ("learned", "error"),
    "handle_missing": ("category", "error"),
}
_KINDS = ("continuous", "binary", "multiclass", "multilabel-indicator")


def check_fitted(state: Mapping[str, Any]) -> None:
    """Check the fitted attributes against each other.

    Parameters
    ----------
    state : mapping
        Attributes by name, without those that can be made of the model.

    Raises
    ------
    ValueError
        If something could not come from a fit.
    """
    model = state["_model"]
    need(type(model) is EmbeddingModel, "there is no model")
    names = _check_names(state)
    _check_columns(model, names, state["n_features_in_"])
    need(len(model.tables) > 0 or "_link" in state, "there are no tables")
    _check_tables(model)
    _check_scaling(model.scaling, len(model.context))
    _check_pooling(model)
    if type(model.head) is DotHead:
        _check_dot(model)
    else:
        _check_layers(model)
    _check_target(model, state["target_type_"], state.get("classes_"))
    _check_record(model, state)
    if state["_memory"] is not None:
        _check_memory(state["_memory"], model, names)
    if "_policies" in state:
        _check_policies(model, state["_policies"], state["_unknown"])
    if "_link" in state:
        _check_predictor(state)


def need(holds: bool, otherwise: str) -> None:
    """Raise a ValueError unless something holds."""
    if not holds:
        raise ValueError(otherwise)


def _check_vocabulary(vocabulary: Any) -> None:
    """Check that every category has a row, and every row that is in use a category.

    Raises
    ------
    ValueError
        If not.
    """
    need(type(vocabulary) is Vocabulary and type(vocabulary.name) is str, "there is no vocabulary")
    v, at = vocabulary, f"column {vocabulary.name!r}"
    need(type(v.categories) is np.ndarray and v.categories.ndim == 1, f"{at} has no categories")
    n = len(v.categories)
    _array(v.counts, np.int64, (n,), f"counts of {at}")
    _array(v.rows, np.int32, (n,), f"rows of {at}")
    own = v.rows[v.rows != INFREQUENT]
    need(np.array_equal(own, N_RESERVED + np.arange(len(own))), f"rows of {at} are out of order")
    need(_is_count(v.missing_count) and (v.counts >= 0).all(), f"counts of {at} are negative")
    fits = _is_count(v.missing_row) and v.missing_row in (MISSING, UNKNOWN)
    need(fits and (v.missing_row or not v.missing_count), f"{at} has no missing row")
    need(_is_count(v.empty_count), f"counts of {at} are negative")
    if v.empty_row is None:
        need(v.empty_count == 0, f"{at} has empty lists, but no lists")
    else:
        expected = N_RESERVED + len(own) if v.empty_count else UNKNOWN
        need(
            _is_count(v.empty_row) and v.empty_row == expected,
            f"{at} has no row for the empty list",
        )
    if v.keys is None:
        need(v.categories.dtype == object, f"categories of {at} are no objects")
        need(not pd.isna(v.categories).any(), f"a category of {at} is missing")
        index = pd.Index(v.categories, dtype=object, tupleize_cols=False)
        need(index.is_unique, f"{at} has a category twice")
    else:
        known = v.categories == v.categories  # NaN is not
        need(v.keys.null_count == 1 and bool(np.all(known)), f"a category of {at} is missing")
        need(n == 0 or pc.count_distinct(v.keys).as_py() == n, f"{at} has a category twice")


def _array(array: Any, dtype: Any, shape: Sequence[int | None], what: str) -> None:
    """Check the dtype and the shape of an array; None is any length."""
    fits = (
        type(array) is np.ndarray
        and array.dtype == dtype
        and array.ndim == len(shape)
        and all(n is None or n == m for n, m in zip(shape, array.shape, strict=True))
    )
    found = f"{array.dtype} {array.shape}" if type(array) is np.ndarray else type(array).__name__
    need(fits, f"{what}: expected {np.dtype(dtype)} {shape}, found {found}")


def _is_count(number: Any) -> bool:
    return type(number) is int and number >= 0


def _is_sequence(values: Any, length: int, kind: type[tuple[Any, ...] | list[Any]] = tuple) -> bool:
    return type(values) is kind and len(values) == length


def _check_names(state: Mapping[str, Any]) -> list[str]:
    """Names of the input columns."""
    n, labels = state["n_features_in_"], state.get("feature_names_in_")
    need(_is_count(n), "the number of features is no number")
    if labels is None:
        return []
    _array(labels, np.object_, (n,), "names of the features")
    need(all(type(name) is str for name in labels), "names of the features are no strings")
    need(len(set(labels)) == n, "names of the features are repeated")
    return list(labels)


def _check_columns(model: EmbeddingModel, names: list[str], n_features: int) -> None:
    """Check which columns of the input the tables and the context come from."""
    need(type(model.categorical) is tuple and type(model.context) is tuple, "no columns")
    positions = [*model.categorical, *model.context]
    need(all(_is_count(j) and j < n_features for j in positions), "a column is not in the input")
    need(len(set(positions)) == len(positions), "a column is used twice")
    need(len(positions) == n_features, "a column of the input is not used")
    need(_is_sequence(model.tables, len(model.categorical)), "tables and columns do not fit")
    for position, table in zip(model.categorical, model.tables, strict=True):
        need(type(table) is EmbeddingTable, "a table is of another kind")
        _check_vocabulary(table.vocabulary)
        name = names[position] if names else f"x{position}"
        need(table.vocabulary.name == name, f"the table of {name!r} has another name")


def _check_tables(model: EmbeddingModel) -> None:
    """Check that every row of a vocabulary has a vector."""
    n_tables = None
    for table in model.tables:
        name = table.vocabulary.name
        _array(
            table.stack,
            np.float32,
            (n_tables, table.vocabulary.n_rows, None),
            f"vectors of {name!r}",
        )
        n_tables = table.stack.shape[0]
        biased = type(model.head) is DotHead
        need(table.biased is biased, f"vectors of {name!r} have a bias that the head does not read")
        need(
            n_tables not in (0, 2) and table.n_axes > 0,
            f"vectors of {name!r} have no width or mean",
        )
        _array(table.centre, np.float32, (table.width,), f"centre of {name!r}")


def _check_pooling(model: EmbeddingModel) -> None:
    """Check that lists, and only lists, are pooled, in a way that gives vectors of their width."""
    n = len(model.tables)
    need(_is_sequence(model.pooling, n), "ways of pooling and tables do not fit")
    need(_is_sequence(model.max_lengths, n), "lengths of lists and tables do not fit")
    for table, pooler, length in zip(model.tables, model.pooling, model.max_lengths, strict=True):
        at = f"column {table.vocabulary.name!r}"
        if not table.vocabulary.is_list:
            need(pooler is None and length is None, f"{at} is pooled, but has no lists")
            continue
        fits = length is None or (_is_count(length) and 0 < length < 2**63)
        need(fits, f"{at} has no length of lists")
        if type(pooler) is GRU:
            _check_gru(pooler, table.width, at)
        else:
            known = type(pooler) is str and pooler in ("mean", "sum", "max")
            need(known, f"{pooler!r} is no way to pool {at}")


def _check_gru(unit: GRU, width: int, at: str) -> None:
    """Check that a unit turns vectors of a width into others of it."""
    for weights in (unit.input_weights, unit.hidden_weights):
        _array(weights, np.float64, (width, 3 * width), f"weights of the unit of {at}")
    for bias in (unit.input_bias, unit.hidden_bias):
        _array(bias, np.float64, (3 * width,), f"biases of the unit of {at}")


def _check_layers(model: EmbeddingModel) -> None:
    """Check that the layers fit vectors, context and each other."""
    head = cast(MLPHead, model.head)
    need(type(head) is MLPHead and type(head.weights) is tuple, "there is no head")
    need(len(head.weights) > 0 and _is_sequence(head.biases, len(head.weights)), "no layers")
    width = model.edges[-1] + model.scaling.n_context
    for weights, biases in zip(head.weights, head.biases, strict=True):
        _array(weights, np.float64, (width, None), "weights of a layer")
        width = weights.shape[1]
        _array(biases, np.float64, (width,), "biases of a layer")
        need(width > 0, "a layer is empty")


def _check_dot(model: EmbeddingModel) -> None:
    """Check that a head can multiply the vectors of all columns."""
    head, tables = cast(DotHead, model.head), model.tables
    need(len(tables) > 1, "one column has nothing to be multiplied with")
    (n_axes, *others) = {table.n_axes for table in tables}
    need(not others, "vectors of the columns differ in width")
    _array(head.axes, np.float64, (n_axes,), "weights of the axes")
    need(bool((head.axes >= 0).all()), "weights of the axes are negative")
    _array(head.bias_weights, np.float64, (len(tables),), "weights of the biases")
    _array(head.context_weights, np.float64, (model.scaling.n_context,), "weights of the context")
    is_number = type(head.intercept) is float and np.isfinite(head.intercept)
    need(bool(is_number), "the intercept is no number")
    for table, pooler in zip(tables, model.pooling, strict=True):
        at = f"column {table.vocabulary.name!r}"
        need(pooler in (None, "mean", "sum"), f"{pooler!r} is no way to pool {at} for products")


def _check_scaling(scaling: Any, n_columns: int) -> None:
    need(type(scaling) is ContextScaling, "there is no scaling of the context")
    need(_is_sequence(scaling.knots, n_columns), "knots and context columns do not fit")
    need(_is_sequence(scaling.scores, n_columns), "scores and context columns do not fit")
    for knots, scores in zip(scaling.knots, scaling.scores, strict=True):
        _array(knots, np.float64, (None,), "knots of a context column")
        _array(scores, np.float64, (len(knots),), "scores of a context column")
        need(len(knots) > 0 and bool((knots[1:] > knots[:-1]).all()), "knots do not rise")
    _array(scaling.missing_shares, np.float64, (n_columns,), "missing shares")


def _check_target(model: EmbeddingModel, kind: Any, classes: Any) -> None:
    """Check that the head's outputs are the target's."""
    need(type(kind) is str and kind in _KINDS, "the kind of target is not known")
    n_outputs = model.head.n_outputs
    if kind == "continuous":
        need(classes is None, "a continuous target has classes")
    else:
        need(type(classes) is np.ndarray and classes.ndim == 1, "the target has no classes")
        n_classes = 2 if kind == "binary" else n_outputs
        need(len(classes) == n_classes, f"the target has {len(classes)} classes, not {n_classes}")
        need(kind != "binary" or n_outputs == 1, "a binary target has several outputs")
    is_dot = type(model.head) is DotHead
    need(not is_dot or kind in ("continuous", "binary"), f"a {kind} target has several outputs")
    need(type(model.scale) is Scale, "the target has no scale")
    width = 1 if kind == "multiclass" else n_outputs
    _array(model.scale.center, np.float64, (width,), "centre of the target")
    _array(model.scale.width, np.float64, (width,), "width of the target")
    bounds = model.scale.bounds
    if bounds is not None:
        need(kind == "continuous", f"a {kind} target has bounds")
        _array(bounds, np.float64, (2,), "bounds of the target")
        need(bool(np.isfinite(bounds).all()) and bounds[0] < bounds[1], "bounds do not rise")


def _check_predictor(state: Mapping[str, Any]) -> None:
    """Check that a predictor's outputs are read as what they are, and that its policies fit."""
    link, kind = state["_link"], state["target_type_"]
    links = {LINKS[kind]} | ({LINKS["poisson"]} if kind == "continuous" else set())
    if state["_model"].scale.bounds is not None:
        links = {"bounded"}
    need(type(link) is str and link in links, f"{link!r} is no link for a {kind} target")
    # A regressor has no attribute classes_, and a classifier no continuous target.
    need((kind == "continuous") == ("classes_" not in state), "the target is of another kind")
    for name, allowed in _OF_PREDICTORS.items():
        value = state["_policies"][name]
        need(value in allowed, f"{name}={value!r} is no policy of a predictor")


def _n_folds(model: EmbeddingModel) -> int:
    """Tables that were trained: all of the stack but the mean."""
    return max(1, len(model.tables[0].stack) - 1) if model.tables else 1


def _check_record(model: EmbeddingModel, state: Mapping[str, Any]) -> None:
    """Check what is told of the training."""
    if state["fold_"] is not None:
        _check_fold(state["fold_"], -1, _n_folds(model))
    _array(state["loss_curve_"], np.float64, (None,), "loss curve")
    if state["validation_loss_curve_"] is not None:
        _array(state["validation_loss_curve_"], np.float64, (None,), "validation loss curve")
    need(_is_count(state["n_iter_"]) and _is_count(state["best_iteration_"]), "no iterations")
    means, names = state["category_target_means_"], [t.vocabulary.name for t in model.tables]
    need(type(means) is dict and list(means) == names, "target means are not the columns'")
    for table in model.tables:
        array, n = means[table.vocabulary.name], len(table.vocabulary.label_rows)
        need(type(array) is np.ndarray, "target means are no arrays")
        shape = (n, None) if array.ndim == 2 else (n,)
        _array(array, np.float64, shape, f"target means of {table.vocabulary.name!r}")


def _check_fold(fold: Any, first: int, n_folds: int) -> None:
    _array(fold, np.int64, (None,), "folds")
    need(bool(((fold >= first) & (fold < n_folds)).all()), "folds are out of range")


def _check_memory(memory: Any, model: EmbeddingModel, names: list[str]) -> None:
    """Check what ``warm_start`` goes on from."""
    need(type(memory) is Memory and type(memory.fingerprint) is str, "there is no memory")
    roles, n = memory.roles, len(model.tables)
    need(type(roles) is Roles and roles.n_tables == _n_folds(model), "roles do not fit the tables")
    _check_fold(roles.fold, 0, _n_folds(model))
    _array(roles.validation, np.bool_, roles.fold.shape, "validation rows")
    labels = tuple(names or (f"x{j}" for j in range(len(model.categorical) + len(model.context))))
    need(
        memory.columns == (labels, model.categorical, model.context),
        "the columns remembered are others",
    )
    need(type(memory.classes) in (type(None), np.ndarray), "classes remembered are no array")
    need(_is_sequence(memory.layers, 8), "layers remembered are not described")
    need(_is_sequence(memory.fixed, n, list), "frozen rows do not fit the tables")
    need(_is_sequence(memory.pulled, n, list), "pulled columns do not fit the tables")
    need(all(type(pulled) is bool for pulled in memory.pulled), "pulled columns are no booleans")
    for fixed, table in zip(memory.fixed, model.tables, strict=True):
        _array(fixed, np.bool_, (table.vocabulary.n_rows,), "frozen rows")


def _check_policies(model: EmbeddingModel, policies: Any, unknown: Any) -> None:
    """Check what ``transform`` was told to do."""
    need(type(policies) is dict and set(policies) == set(_POLICIES), "policies are not known")
    for name, value in policies.items():
        need(type(value) is str and value in _POLICIES[name], f"{name}={value!r} is no policy")
    need(policies["output"] == "embedding" or model.head.n_hidden > 0, "there is no hidden layer")
    for table in model.tables:
        v = table.vocabulary
        own = v.knows_missing or policies["handle_missing"] == "nan"
        need(own == (v.missing_row == MISSING), f"column {v.name!r} has no missing row")
    policy = policies["handle_unknown"]
    need((unknown is None) == (policy in ("learned", "error")), f"no vectors for {policy!r}")
    if unknown is None:
        return
    need(_is_sequence(unknown, len(model.tables), list), "unknown vectors do not fit the tables")
    for vector, table in zip(unknown, model.tables, strict=True):
        what = f"unknown vector of {table.vocabulary.name!r}"
        _array(vector, np.float32, (table.width,), what)
        expected = table.centre if policy == "zero" else np.full_like(table.centre, np.nan)
        need(np.array_equal(vector, expected, equal_nan=True), f"{what} is another")
