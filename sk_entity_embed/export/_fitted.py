"""What a file holds of an estimator, and what has to hold of it: tables of classes and rules.

Look-ups trust the model, so that a model from a file is checked before it is used, and one that
was changed after fit before it is saved. Types come from the classes' own annotations. A class that
joins the model needs an entry in `_CLASSES`, and where its arrays have to fit each other, in
`SHAPES` and `RULES`.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from types import SimpleNamespace
from typing import Any, Literal, TypeAlias, Union, get_args, get_origin, get_type_hints

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from sk_entity_embed.export._values import UnrepresentableError
from sk_entity_embed.input.context import ContextScaling
from sk_entity_embed.input.crosses import CrossVocabulary, cross_name
from sk_entity_embed.input.lists import Lists
from sk_entity_embed.input.messages import shown
from sk_entity_embed.input.target import TargetKind
from sk_entity_embed.input.vocabulary import (
    INFREQUENT,
    MISSING,
    N_RESERVED,
    UNKNOWN,
    Vocabulary,
    arrow_keys,
)
from sk_entity_embed.model.fitted import EmbeddingModel, Output, WarmStartState
from sk_entity_embed.model.growth import Growth, KeptRows
from sk_entity_embed.model.heads import HEADS
from sk_entity_embed.model.heads.dot import DotHead
from sk_entity_embed.model.heads.perceptron import MLPHead
from sk_entity_embed.model.losses import Bounded, Link, Log, Logit, Scale, Softmax
from sk_entity_embed.model.poolings import GRU, POOLINGS
from sk_entity_embed.model.record import FitRecord, Importances
from sk_entity_embed.model.tables import EmbeddingTable

_CLASSES = (
    *(Link, Log, Logit, Softmax, Bounded),
    *(ContextScaling, CrossVocabulary, EmbeddingModel, EmbeddingTable, Output, Scale),
    *(Vocabulary, WarmStartState, Growth, KeptRows, Lists, FitRecord, Importances),
)


def classes() -> dict[str, type]:
    """Return the dataclasses that a file can hold, by name: heads and poolings are registered."""
    return {cls.__name__: cls for cls in (*HEADS.values(), *POOLINGS.values(), *_CLASSES)}


ATTRIBUTES: dict[str, Any] = {
    "_model": EmbeddingModel,
    "best_iteration_": int,
    "category_target_means_": dict[str, NDArray[np.float64]],
    "fold_": NDArray[np.int64] | None,
    "loss_curve_": NDArray[np.float64],
    "n_features_in_": int,
    "n_iter_": int,
    "target_type_": TargetKind,
    "validation_loss_curve_": NDArray[np.float64] | None,
}
"""Fitted attributes of every estimator that a file holds, with their types."""

SOME_HAVE: dict[str, Any] = {
    "_growth": Growth,
    "_record": FitRecord | None,
    "category_count_errors_": dict[str, int],
    "classes_": NDArray[Any] | None,
    "feature_names_in_": NDArray[np.object_],
}
"""Those that only some estimators have."""

OPTIONAL = {"_growth", "_record", "category_count_errors_", "feature_names_in_"}
"""Those that an estimator of any class may have or not."""

SHAPES: dict[type, dict[str, str]] = {
    Vocabulary: {"categories": "n", "counts": "n", "rows": "n"},
    CrossVocabulary: {"pairs": "n", "counts": "n", "rows": "n"},
    EmbeddingTable: {"stack": "trw", "center": "w", "unknown": "w", "missing": "w"},
    GRU: {"input_weights": "wg", "hidden_weights": "wg", "input_bias": "g", "hidden_bias": "g"},
    MLPHead: {"folds": "f"},
    DotHead: {"axes": "a", "bias_weights": "t", "context_weights": "c"},
    ContextScaling: {"missing_shares": "c"},
    Scale: {"center": "n", "width": "n"},
    WarmStartState: {"fold": "n", "validation": "n"},
    KeptRows: {
        **dict.fromkeys(("keys", "fold", "judges", "weights"), "n"),
        "numbers": "nc",
        "target": "nt",
    },
    Lists: {"items": "i", "offsets": "l"},
    SimpleNamespace: {  # an estimator
        "feature_names_in_": "f",
        "classes_": "c",
        "loss_curve_": "e",
        "validation_loss_curve_": "v",
    },
}
"""Of arrays of each class a letter for each dimension; a letter has one size in a value."""

_KEY_TYPES = {
    str(kind): kind
    for kind in (
        *(pa.int8(), pa.int16(), pa.int32(), pa.int64()),
        *(pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()),
        *(pa.bool_(), pa.float64(), pa.large_string(), pa.null()),
    )
}


Rules: TypeAlias = Iterator[tuple[Any, str]]


def _vocabulary(v: Vocabulary) -> Rules:
    own, n = v.rows[v.rows != INFREQUENT], len(v.categories)
    yield np.array_equal(own, N_RESERVED + np.arange(len(own))), "the rows are out of order"
    counts = (v.missing_count, v.empty_count, v.counts.min(initial=0))
    yield min(counts) >= 0, "a count is negative"
    fits = v.missing_row == MISSING or (v.missing_row == UNKNOWN and not v.missing_count)
    yield fits, "missing cells have no row"
    empty_row = N_RESERVED + len(own) if v.empty_count else UNKNOWN
    fits = v.empty_count == 0 if v.empty_row is None else v.empty_row == empty_row
    yield fits, "the empty list has no row, or there are no lists"
    if v.keys is None:
        yield v.categories.dtype == object, "the categories are not objects"
        index = pd.Index(v.categories, dtype=object, tupleize_cols=False)
        yield not index.hasnans and index.is_unique, "a category is missing or there twice"
    else:
        fits = (len(v.keys), v.keys.null_count) == (n + 1, 1)
        known = bool((v.categories == v.categories).all())  # NaN is not
        once = n == 0 or pc.count_distinct(v.keys).as_py() == n
        yield fits and known and once, "a category is missing or there twice"


def _cross(v: CrossVocabulary) -> Rules:
    yield v.name == cross_name(*v.columns), "the name is not that of a pair"
    own = v.rows[v.rows != INFREQUENT]
    yield np.array_equal(own, N_RESERVED + np.arange(len(own))), "the rows are out of order"
    yield v.counts.min(initial=0) >= 0, "a count is negative"
    yield all(side.ndim == 1 and len(side) >= N_RESERVED for side in v.levels), "sides have no rows"
    yield (np.diff(v.pairs) > 0).all(), "the pairs do not rise"
    n_second = len(v.levels[1])
    ends = v.pairs.min(initial=n_second), v.pairs.max(initial=0)
    yield ends[0] >= n_second and ends[1] < len(v.levels[0]) * n_second, "a pair is out of range"
    yield (v.pairs % n_second != UNKNOWN).all(), "a pair has an unknown side"


def _table(t: EmbeddingTable) -> Rules:
    yield t.stack.shape[1] == t.vocabulary.n_rows, "vectors and categories do not fit"
    yield len(t.stack) not in (0, 2), "there is no table, or no mean of tables"
    yield t.n_axes > 0, "the vectors have no width"
    own = t.vocabulary.knows_missing or t.missing is not None
    yield own == (t.vocabulary.missing_row == MISSING), "missing cells have no row"


def _gru(unit: GRU) -> Rules:
    yield 3 * unit.n_state == len(unit.input_bias), "the gates do not fit the state"


def _mlp(head: MLPHead) -> Rules:
    yield 0 < len(head.weights) == len(head.biases), "layers and biases do not fit"
    n_inputs = None
    for weights, biases in zip(head.weights, head.biases, strict=True):
        yield weights.ndim == 3 and n_inputs in (None, weights.shape[1]), "the layers do not fit"
        fit = biases.shape == weights.shape[::2] and biases.size > 0
        yield fit and len(biases) == head.n_heads, "a layer and biases do not fit"
        n_inputs = biases.shape[1]
    if head.folds is not None:
        fits = set(head.folds.tolist()) == set(range(head.n_heads))
        yield fits, "the heads are not those of the folds"
    if head.shift is not None:
        yield head.shift.shape == (head.n_heads, head.n_hidden), "the shift fits no hidden layer"


def _dot(head: DotHead) -> Rules:
    yield (head.axes >= 0).all(), "a weight is negative"
    yield np.isfinite(head.intercept), "the intercept is not a number"


def _scaling(scaling: ContextScaling) -> Rules:
    n = len(scaling.missing_shares)
    yield len(scaling.knots) == len(scaling.scores) == n, "knots and columns do not fit"
    for knots, scores in zip(scaling.knots, scaling.scores, strict=True):
        yield knots.ndim == 1 and len(knots) > 0, "a column has no knots"
        yield scores.ndim == 2 and scores.shape[1] > 0, "a column has no scores"
        yield len(knots) == len(scores), "knots and scores do not fit"
        yield (knots[1:] > knots[:-1]).all(), "the knots do not rise"


def _bounded(link: Bounded) -> Rules:
    yield np.isfinite([link.low, link.high]).all() and link.low < link.high, "bounds do not rise"


def _model(m: EmbeddingModel) -> Rules:
    n = len(m.categorical)
    yield n == len(m.max_lengths), "the columns do not fit"
    yield n + len(m.crosses) == len(m.tables) == len(m.poolings), "the tables do not fit"
    yield len(m.context) == len(m.scaling.knots), "the context columns do not fit"
    used = sorted(m.categorical + m.context)
    yield used == list(range(len(m.names))), "not every column of the input is used once"
    yield len(set(m.names)) == len(m.names), "a name is there twice"
    own_names = [t.vocabulary.name for t in m.column_tables]
    expected = [m.names[j] for j in m.categorical]
    yield own_names == expected, "a table has the name of another column"
    yield from _model_crosses(m)
    yield len({len(t.stack) for t in m.tables}) < 2, "the columns differ in their folds"
    yield all(t.biased is m.head.biased for t in m.tables), "the head does not read the biases"
    lengths = [*m.max_lengths, *(None for _ in m.crosses)]
    for table, pooling, length in zip(m.tables, m.poolings, lengths, strict=True):
        at = f"column {table.vocabulary.name!r}"
        if table.vocabulary.is_list:
            yield length is None or 0 < length < 2**63, f"{at} has no length of lists"
            width_of = WIDTHS.get(type(pooling))
            width = table.width if width_of is None else width_of(pooling)
            fits = pooling is not None and width == table.width
            yield fits, f"{at} has no way to pool its lists"
        else:
            yield pooling is None and length is None, f"{at} is pooled, but has no lists"
    yield from FITS.get(type(m.head), lambda head, m: iter(()))(m.head, m)
    yield m.head.n_hidden > 0 or not m.output.hidden, "there is no hidden layer"
    yield m.output.is_named, "the output is none that can be asked for"
    state = m.warm_start
    if state is not None:
        yield ((state.fold >= 0) & (state.fold < n_folds(m))).all(), "folds are out of range"
        rows = [(t.vocabulary.n_rows,) for t in m.tables]
        yield [f.shape for f in state.fixed] == rows, "the frozen rows are others"
        yield len(state.shrinks) == len(rows), "the columns that shrink are others"


def _model_crosses(m: EmbeddingModel) -> Rules:
    yield len(m.gains) == len(m.crosses), "gains and pairs do not fit"
    yield m.head.crosses or not m.crosses, "the head has no pairs"
    n, names = len(m.categorical), [m.names[j] for j in m.categorical]
    in_range = all(0 <= a < n and 0 <= b < n and a != b for a, b in m.crosses)
    yield in_range, "a pair is not of two columns"
    yield len({frozenset(pair) for pair in m.crosses}) == len(m.crosses), "a pair is there twice"
    columns = m.vocabularies
    yield all(isinstance(v, Vocabulary) for v in columns), "a column has the table of a pair"
    for (a, b), table in zip(m.crosses, m.tables[n:], strict=True):
        cross: Any = table.vocabulary
        sides = columns[a], columns[b]
        yield isinstance(cross, CrossVocabulary), "a pair has the table of a column"
        yield cross.columns == (names[a], names[b]), "a pair has the name of another"
        yield cross.name not in m.names, "a pair has the name of a column"
        yield not any(side.is_list for side in sides), "a pair has a side of lists"
        for levels, side in zip(cross.levels, sides, strict=True):
            same = list(map(_same, levels.tolist(), side.levels.tolist()))
            fits = len(levels) == side.n_rows and all(same)
            yield fits, "a pair has other categories than its columns"


def _same(one: Any, other: Any) -> bool:
    """Whether two categories are equal, or both missing."""
    both_missing = one != one and other != other
    return type(one) is type(other) and bool(one == other or both_missing)


def _mlp_fits(head: MLPHead, m: EmbeddingModel) -> Rules:
    n_inputs = m.edges[-1] + m.scaling.n_context
    yield head.weights[0].shape[1] == n_inputs, "the head does not fit the columns"
    fits = not m.tables or head.n_folds in (1, n_folds(m))
    yield fits, "the heads do not fit the folds"


def _dot_fits(head: DotHead, m: EmbeddingModel) -> Rules:
    widths, n = {t.n_axes for t in m.tables}, len(m.tables)
    yield n > 1 and widths == {len(head.axes)}, "the axes of the head do not fit the columns"
    sizes = (len(head.bias_weights), len(head.context_weights))
    yield sizes == (n, m.scaling.n_context), "the head does not fit the columns"


FITS: dict[type, Callable[[Any, EmbeddingModel], Rules]] = {MLPHead: _mlp_fits, DotHead: _dot_fits}
"""Rules between a head of some kind and the model around it."""

WIDTHS: dict[type, Callable[[Any], int]] = {GRU: lambda unit: unit.n_state}
"""Width of the vectors that poolings of some kinds give; those of others keep the width."""


def n_folds(m: EmbeddingModel) -> int:
    """Return the number of tables that were trained: all of the stack but the mean."""
    return max(1, len(m.tables[0].stack) - 1) if m.tables else 1


def _lists(lists: Lists) -> Rules:
    rise = len(lists.offsets) > 0 and (np.diff(lists.offsets) >= 0).all()
    yield rise and lists.offsets[0] == 0, "lists do not follow each other"
    yield lists.offsets[-1] == len(lists.items), "lists and items do not fit"


def _kept(kept: KeptRows) -> Rules:
    yield all(len(p) == len(kept) for p in kept.positions), "the kept rows do not fit"
    yield 0 < kept.share <= 1, "the share of kept rows is none"


def _growth(g: Growth, m: EmbeddingModel) -> Rules:
    """Say what has to hold between what is kept of earlier rows and the model."""
    kept = g.kept
    yield min(g.seed, g.n_calls, g.n_rows) >= 0, "a number of calls or rows is negative"
    labels = [(len(t.vocabulary.label_rows),) for t in m.tables]
    yield [w.shape for w in g.label_weights] == labels, "the weights of labels are of others"
    rows = [(t.vocabulary.n_rows,) for t in m.tables]
    yield [f.shape for f in g.fixed] == rows, "the frozen rows are others"
    yield len(g.shrinks) == len(rows), "the columns that shrink are others"
    yield len(kept.positions) == len(m.categorical), "the kept rows have other columns"
    yield kept.numbers.shape[1] == len(m.context), "the kept rows have other numbers"
    yield ((kept.fold >= 0) & (kept.fold < n_folds(m))).all(), "folds are out of range"
    for at, vocabulary in zip(kept.positions, m.vocabularies, strict=True):
        yield isinstance(at, Lists) == vocabulary.is_list, "kept rows hold lists, or none"
        cells = at.items if isinstance(at, Lists) else at
        most = vocabulary.n_categories - (0 if vocabulary.knows_missing else 1)
        fits = cells.min(initial=0) >= 0 and cells.max(initial=-1) <= most
        yield fits, "a category of the kept rows is not known"


def _importances(worth: Importances) -> Rules:
    yield len(worth.rises) == len(worth.errors), "importances and their errors do not fit"
    yield worth.n_rows >= 0, "a number of rows is negative"


def _estimator(s: Any) -> Rules:
    """Say what has to hold of the fitted attributes; those that are not there are None."""
    m, kind, n_outputs = s._model, s.target_type_, s._model.head.n_outputs
    yield min(s.n_iter_, s.best_iteration_) >= 0, "a number is negative"
    yield s.n_features_in_ == len(m.names), "the number of features does not fit"
    given = s.feature_names_in_
    yield given is None or tuple(given) == m.names, "the names of the features do not fit"

    yield (kind == "continuous") == (s.classes_ is None), f"a {kind} target has classes, or none"
    n_classes = 2 if kind == "binary" else n_outputs
    fits = s.classes_ is None or len(s.classes_) == n_classes
    yield fits, f"the classes are not the head's {n_classes}"
    yield kind != "binary" or n_outputs == 1, "a binary target has several outputs"
    width = 1 if kind == "multiclass" else n_outputs
    yield len(m.scale.center) == width, "the scale does not fit the target"
    yield type(m.link) in _LINKS[kind], f"a {kind} target has another link"

    fits = s.fold_ is None or s.fold_.ndim == 1 or (s.fold_.ndim == 2 and s.fold_.shape[1] > 1)
    yield fits, "there is neither one fold of each row nor several"
    fits = s.fold_ is None or ((s.fold_ >= -1) & (s.fold_ < n_folds(m))).all()
    yield fits, "folds are out of range"
    names = [t.vocabulary.name for t in m.tables]
    yield list(s.category_target_means_) == names, "target means are of other columns"
    for table in m.tables:
        means, n = s.category_target_means_[table.vocabulary.name], len(table.vocabulary.label_rows)
        fits = means.ndim in (1, 2) and len(means) == n
        yield fits, f"target means of {table.vocabulary.name!r} do not fit"
    errors = s.category_count_errors_ or {}
    yield set(errors) <= set(names), "errors of counts are of other columns"
    yield min(errors.values(), default=0) >= 0, "an error of counts is negative"
    if s._growth is not None:
        yield from _growth(s._growth, m)
    if s._record is not None and s._record.importances is not None:
        worth = s._record.importances
        fits = len(worth.rises) == len(worth.errors) == len(m.tables)
        yield fits, "importances are of other columns"


_LINKS: dict[str, tuple[type, ...]] = {
    "continuous": (Link, Log, Bounded),
    "binary": (Logit,),
    "multilabel-indicator": (Logit,),
    "multiclass": (Softmax,),
}


RULES: dict[type, Callable[[Any], Rules]] = {
    Vocabulary: _vocabulary,
    CrossVocabulary: _cross,
    EmbeddingTable: _table,
    GRU: _gru,
    MLPHead: _mlp,
    DotHead: _dot,
    ContextScaling: _scaling,
    Bounded: _bounded,
    KeptRows: _kept,
    Lists: _lists,
    Importances: _importances,
    EmbeddingModel: _model,
    SimpleNamespace: _estimator,
}
"""What gives, for a value of a class with the right types and shapes, whether each rule holds, and
what to say if not. Later rules are read only where those before hold."""


def names_for(name: str) -> set[str]:
    """Return the attributes that a file holds of every fitted estimator of a class."""
    return {*ATTRIBUTES} | ({"classes_"} if name != "EntityEmbeddingRegressor" else set())


def dismantle(value: Any, at: str) -> dict[str, Any]:
    """Return the fields of a dataclass, checked, as a file holds them."""
    content = {f.name: getattr(value, f.name) for f in fields(value)}
    _check_types(content, _hints(type(value)), at)
    check_value(value, at)
    if isinstance(value, Vocabulary) and value.keys is not None:  # the categories in Arrow's form
        kind = str(value.keys.type)
        if kind not in _KEY_TYPES:
            raise UnrepresentableError(
                f"column {value.name!r} has categories of Arrow's type {kind}"
            )
        content["keys"] = kind
    return content


def build(cls: type, content: dict[str, Any]) -> Any:
    """Return the value of a class that has these fields, checked; a ValueError if there is none."""
    named = content.get("name", getattr(content.get("vocabulary"), "name", None))
    at = cls.__name__ if named is None else f"{cls.__name__} of column {shown(named)}"
    hints = _hints(cls)
    require(set(content) == set(hints), f"{at}: the fields are {shown(sorted(content))}")
    if cls is Vocabulary and content["keys"] is not None:
        content["keys"] = _keys(content["categories"], content["keys"])
    _check_types(content, hints, at)
    value = cls(**content)
    check_value(value, at)
    if isinstance(value, Vocabulary):
        value.forget()
    return value


def check_fitted(state: Mapping[str, Any]) -> None:
    """Check an estimator's stored attributes; a ValueError says what is wrong."""
    known = ATTRIBUTES | SOME_HAVE
    _check_types(state, {name: known[name] for name in state}, "estimator")
    check_value(SimpleNamespace(**{**dict.fromkeys(known), **state}), "estimator")


def check_value(value: Any, at: str) -> None:
    """Check a value by the shapes and rules of its class."""
    sizes: dict[str, int] = {}
    for name, letters in SHAPES.get(type(value), {}).items():
        array = getattr(value, name)
        if array is None:
            continue
        fits = array.ndim == len(letters) and all(
            (int(c) if c.isdigit() else sizes.setdefault(c, n)) == n
            for c, n in zip(letters, array.shape, strict=True)
        )
        require(fits, f"{at}: {name} has the shape {array.shape}, which does not fit")
    for holds, message in RULES.get(type(value), lambda _: iter(()))(value):
        require(bool(holds), f"{at}: {message}")


def require(holds: bool, otherwise: str) -> None:
    """Raise a ValueError unless something holds."""
    if not holds:
        raise ValueError(otherwise)


def _hints(cls: Any) -> dict[str, Any]:
    found = get_type_hints(cls)
    return {f.name: found[f.name] for f in fields(cls)}


def _check_types(values: Mapping[str, Any], hints: Mapping[str, Any], at: str) -> None:
    for name, value in values.items():
        if not conforms(value, hints[name]):
            found = type(value).__name__
            if isinstance(value, np.ndarray):
                found = f"an array of {value.dtype}"
            raise ValueError(f"{at}: {name} is of another type than fit gives, {found}")


def conforms(value: Any, hint: Any) -> bool:
    """Whether a value is what a type annotation says; subclasses are not, but of dataclasses."""
    origin, args = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if origin in (Union, types.UnionType):
        return any(conforms(value, arg) for arg in args)
    if origin is Literal:
        return any(type(value) is type(arg) and value == arg for arg in args)
    if origin is np.ndarray:
        (scalar,) = get_args(args[1])
        kind = get_origin(scalar) or scalar
        fits = type(value) is np.ndarray
        return fits and (kind is Any or issubclass(value.dtype.type, kind))
    if origin is tuple and args[-1] is not Ellipsis:
        fits = type(value) is tuple and len(value) == len(args)
        return fits and all(map(conforms, value, args))
    if origin in (tuple, list, Sequence):
        allowed = (list, tuple) if origin is Sequence else (origin,)
        return type(value) in allowed and all(conforms(v, args[0]) for v in value)
    if origin in (dict, Mapping):
        fits = type(value) is dict
        return fits and all(conforms(k, args[0]) and conforms(v, args[1]) for k, v in value.items())
    if hint is None or hint is type(None):
        return value is None
    return isinstance(value, hint) and (
        type(value) is hint or is_dataclass(value) or hint is pa.Array
    )


def _keys(categories: Any, name: Any) -> pa.Array:
    """Arrow's form of categories, and a null, of a type by its name."""
    kind = _KEY_TYPES[name]
    as_objects = pa.types.is_large_string(kind) or pa.types.is_null(kind)
    natural = object if as_objects else kind.to_pandas_dtype()
    fits = type(categories) is np.ndarray and categories.ndim == 1 and categories.dtype == natural
    require(fits, f"categories are not of type {name}")
    return arrow_keys(categories, kind)
