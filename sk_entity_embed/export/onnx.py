"""ONNX: ``transform`` or ``predict`` as a graph of standard operators, without Python."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from sk_entity_embed._access import check_column, exported_step, fitted_model
from sk_entity_embed._writing import write_whole
from sk_entity_embed.exceptions import (
    InvalidDataError,
    InvalidParameterError,
    UnsupportedDataError,
)
from sk_entity_embed.export.onnx_graph import (
    ONNX_POOLINGS,
    CategoryInput,
    Graph,
    ListInput,
    add_scores,
    add_transform,
    onnx_form,
)
from sk_entity_embed.export.onnx_outputs import Output, add_prediction, is_encodable, shape_of
from sk_entity_embed.input.messages import shown
from sk_entity_embed.input.vocabulary import UNKNOWN, Vocabulary
from sk_entity_embed.model.fitted import EmbeddingModel
from sk_entity_embed.model.poolings import Pooling

if TYPE_CHECKING:
    from onnx import ModelProto

__all__ = ["to_onnx"]

_OPSETS = {"": 17, "ai.onnx.ml": 3}
"""Versions of the operator sets, old enough for any runtime since 2022."""
_IR_VERSION = 8
_POLICIES = ("learned", "zero", "nan")


def to_onnx(
    encoder: Any,
    path: str | os.PathLike[str] | None = None,
    *,
    missing_values: Mapping[str, str | int | None] | None = None,
    handle_unknown: str | None = None,
) -> ModelProto:
    """Make an ONNX model of a fitted encoder's ``transform`` or a predictor's ``predict``.

    The model has one input of shape (n_samples, 1) for each column of `X`, in their order and
    called as they are. That of an encoder has one output, ``transformed``, a float tensor of shape
    (n_samples, n_features_out). Its columns are those of ``get_feature_names_out``, which the
    model's metadata hold as JSON under ``feature_names_out``. That of a regressor has the output
    ``variable``, double, of the shape of ``predict``. That of a classifier has ``label`` and
    ``probabilities``, double, of the shapes of ``predict`` and ``predict_proba``; the metadata
    hold the classes as JSON under ``classes``. Outputs whose name a column has gain underscores.

    Numbers must have the input's own type, since ONNX converts nothing:

    ==========================  ==============  ============================================
    column                      input           missing cell
    ==========================  ==============  ============================================
    categories: text, or none   tensor(string)  as `missing_values` says
    categories: integers        tensor(int64)   as `missing_values` says
    categories: booleans        tensor(bool)    as `missing_values` says; the input is then
                                                tensor(int64), with 0 and 1
    categories: floats          tensor(double)  NaN
    context: numbers, booleans  tensor(double)  NaN
    ==========================  ==============  ============================================

    A column of lists has two inputs: one of shape (n_samples, n) with the items, in the type above
    and padded to the longest list of the batch by anything; and after it, named like
    ``tags_length``, a tensor(int64) of shape (n_samples, 1) with the number of items in each list,
    0 if it is empty and -1 if it is missing. The metadata hold their names as JSON under
    ``lengths``.

    All inputs must be fed, those that do not reach the output, too. The vectors equal those of
    ``transform`` bit by bit; pooled lists, hidden layer and predictions up to the rounding of their
    sums. Only operators of ai.onnx 17 and ai.onnx.ml 3 are used.

    Parameters
    ----------
    encoder : EntityEmbeddingEncoder, EntityEmbeddingRegressor or EntityEmbeddingClassifier
        Fitted, or a fitted pipeline that holds one such step. Of a pipeline the step alone
        is exported, and it takes the columns that the step is given.
    path : str or path-like, default=None
        File to write, usually ``*.onnx``; it appears at once or not at all.
    missing_values : dict of str, int or None, default=None
        For columns of text, integers or booleans, what stands for a missing cell, since ONNX has
        no null (Python's onnxruntime reads None as the text ``"None"``). It must not be a
        category of the column; None says that no cell will be missing. Columns that had missing
        cells in fit have to be named.
    handle_unknown : {"learned", "zero", "nan"}, default=None
        The vector of unknown categories; None is the encoder's own policy. Regressors and
        classifiers have "learned" only. It has to be given where ``transform`` would raise
        (``handle_unknown="error"``, or ``handle_missing="error"`` and a column that can be
        missing), because a model cannot: such cells are unknown then.

    Returns
    -------
    onnx.ModelProto
        The model.

    Raises
    ------
    ImportError
        If onnx is not installed.
    InvalidParameterError
        If a parameter does not fit the encoder.
    UnsupportedDataError
        If a column holds lists pooled by "gru", or its categories, or the classes, are no strings,
        integers, booleans or numbers (dates, values of mixed type), or do not fit ONNX's types.
    InvalidDataError
        If the model would exceed the 2 GB that ONNX allows.

    Warns
    -----
    PartialExportWarning
        If a pipeline is given that has other steps, which are no part of the model.

    Notes
    -----
    Numbers that ``transform`` refuses, infinite ones or those beyond the range of float32, are
    not refused here: infinite ones count as the largest or smallest of fit, and
    ``remainder="passthrough"`` hands both on as infinity.

    References
    ----------
    ONNX operators, https://onnx.ai/onnx/operators/.

    Examples
    --------
    >>> import numpy as np
    >>> import onnxruntime
    >>> import pandas as pd
    >>> from sk_entity_embed import EntityEmbeddingEncoder
    >>> from sk_entity_embed.export import to_onnx
    >>> rng = np.random.default_rng(0)
    >>> X = pd.DataFrame({"city": rng.choice(["Oslo", "Rome"], 100), "day": rng.random(100)})
    >>> encoder = EntityEmbeddingEncoder(max_iter=1, random_state=0).fit(X, rng.random(100))
    >>> model = to_onnx(encoder)
    >>> session = onnxruntime.InferenceSession(model.SerializeToString())
    >>> (out,) = session.run(None, {name: X[[name]].to_numpy() for name in X})
    >>> np.array_equal(out, encoder.transform(X))
    True
    """
    _check_onnx()
    encoder = exported_step(encoder)
    model = fitted_model(encoder)
    _check_names(model.names)
    predicts = hasattr(encoder, "predict")
    markers = _check_markers(model, {} if missing_values is None else missing_values)
    graph = Graph(model.names)
    inputs = [_input(graph, model, j, markers) for j in range(len(model.tables))]
    model = _resolve_unknown(model, inputs, handle_unknown, ("learned",) if predicts else _POLICIES)
    if predicts:
        scores = add_scores(graph, model, inputs)
        outputs, facts = add_prediction(graph, model, scores, getattr(encoder, "classes_", None))
    else:
        features = model.output_names()
        parts = add_transform(graph, model, inputs)
        output = graph.node("Concat", *parts, axis=1, output=graph.free("transformed"))
        outputs = [(output, "FLOAT", shape_of(len(features)))]
        facts = {"feature_names_out": json.dumps(features)}
    if lengths := {i.name: i.lists.lengths for i in inputs if i.lists is not None}:
        facts["lengths"] = json.dumps(lengths)
    exported = _model(graph, outputs, facts, inputs, model)
    if path is not None:
        write_whole(path, lambda file: file.write(exported.SerializeToString()))
    return exported


def _check_onnx() -> None:
    try:
        import onnx  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "to_onnx needs onnx; install it with pip install 'sk-entity-embed[onnx]'."
        ) from error


def _check_names(names: Sequence[str]) -> None:
    """Refuse columns whose names cannot be names of ONNX values."""
    for name in names:
        if not name or not is_encodable(name):
            raise InvalidDataError(
                f"Column {name!r} has a name that ONNX does not allow: it must be text in UTF-8 "
                "and not empty. Rename the column before fit."
            )


def _check_markers(model: EmbeddingModel, given: Any) -> dict[str, str | int]:
    """What stands for missing cells, for the columns that can have them."""
    if not isinstance(given, Mapping):
        raise InvalidParameterError(
            "`missing_values` must be a dict from column names to what stands for a missing cell, "
            f"got {shown(given)}."
        )
    vocabularies = {t.vocabulary.name: t.vocabulary for t in model.tables}
    for name, marker in given.items():
        vocabulary = vocabularies[check_column(name, list(vocabularies))]
        if marker is not None:
            _check_marker(vocabulary, marker)
    for name, vocabulary in vocabularies.items():
        lost = vocabulary.knows_missing and _kind(vocabulary) != "DOUBLE"
        if lost and name not in given:
            example = "<missing>" if _kind(vocabulary) == "STRING" else -1
            raise InvalidParameterError(
                f"Column {name!r} had missing cells in fit, but ONNX has no null for its type. Say "
                f"what stands for one, such as missing_values={{{name!r}: "
                f"{example!r}}}, or None if no cell "
                "will be missing."
            )
    return {name: marker for name, marker in given.items() if marker is not None}


def _check_marker(vocabulary: Vocabulary, marker: Any) -> None:
    """Refuse what is not of the column's type, or one of its categories."""
    kind, what = _kind(vocabulary), f"`missing_values[{vocabulary.name!r}]`"
    if kind == "DOUBLE":
        raise InvalidParameterError(
            f"{what} is not needed: the column's input is floating point, and NaN is a missing "
            "cell there. Leave it out."
        )
    if kind == "STRING":
        fits = isinstance(marker, str) and is_encodable(marker)
    else:
        fits = isinstance(marker, int | np.integer) and not isinstance(marker, bool)
        fits = fits and -(2**63) <= int(marker) < 2**63
    if not fits:
        wanted = "a string" if kind == "STRING" else "an integer of 64 bits"
        raise InvalidParameterError(f"{what} must be {wanted}, got {shown(marker)}.")
    if marker in vocabulary.categories.tolist():
        raise InvalidParameterError(
            f"{what} is {shown(marker)}, which is a category of the column; choose a value that is "
            "none."
        )


def _kind(vocabulary: Vocabulary) -> str:
    """Type of a column's input, if ONNX has one for its categories; text where there are none."""
    if vocabulary.keys is None or pa.types.is_null(vocabulary.keys.type):
        if len(vocabulary.categories) == 0:
            return "STRING"
    if vocabulary.keys is not None:
        kind = vocabulary.keys.type
        if pa.types.is_large_string(kind):
            return "STRING"
        if pa.types.is_boolean(kind):
            return "BOOL"
        if pa.types.is_floating(kind):
            return "DOUBLE"
        if int(vocabulary.categories.max(initial=0)) <= np.iinfo(np.int64).max:
            return "INT64"
    raise UnsupportedDataError(
        f"Column {vocabulary.name!r} has categories that no ONNX tensor holds: dates, bytes, "
        "decimals, values of mixed type or integers beyond 64 bits with sign. Turn the column into "
        "strings before fit."
    )


def _input(
    graph: Graph, model: EmbeddingModel, j: int, markers: Mapping[str, str | int]
) -> CategoryInput:
    """How a column enters the model."""
    vocabulary = model.tables[j].vocabulary
    marker: Any = markers.get(vocabulary.name)
    kind, rows = _kind(vocabulary), vocabulary.rows.astype(np.int64)
    keys: Any = vocabulary.categories
    if kind == "STRING":
        keys = [text.encode() for text in [*keys, *([] if marker is None else [marker])]]
    elif kind != "DOUBLE":
        keys = [int(key) for key in [*keys.tolist(), *([] if marker is None else [marker])]]
    if marker is not None:
        rows = np.append(rows, np.int64(vocabulary.missing_row))
        kind = "INT64" if kind == "BOOL" else kind
    if len(rows) == 0:  # a look-up needs a key: it is as unknown as all others
        keys, rows = [b"" if kind == "STRING" else 0], np.array([UNKNOWN], dtype=np.int64)
    lists = _list_input(graph, vocabulary, model.poolings[j], model.max_lengths[j])
    can_miss = kind == "DOUBLE" or marker is not None or lists is not None
    return CategoryInput(vocabulary.name, kind, keys, rows, vocabulary.missing_row, can_miss, lists)


def _list_input(
    graph: Graph, vocabulary: Vocabulary, pooling: Pooling | None, max_length: int | None
) -> ListInput | None:
    """How a column of lists enters the model; None for one of single values."""
    if pooling is None or vocabulary.empty_row is None:
        return None
    onnx_form(ONNX_POOLINGS, pooling, f"lists in column {vocabulary.name!r} pooled by")
    lengths = graph.free(f"{vocabulary.name}_length")
    return ListInput(lengths, pooling, max_length, vocabulary.empty_row)


def _resolve_unknown(
    model: EmbeddingModel,
    inputs: Sequence[CategoryInput],
    asked: str | None,
    allowed: Sequence[str],
) -> EmbeddingModel:
    """Return the model that serves unknown cells as asked: it must not raise."""
    if asked is not None:
        if asked not in allowed:
            raise InvalidParameterError(
                f"`handle_unknown` must be one of {list(allowed)} or None, got {shown(asked)}."
            )
        return model.with_unknown(asked)
    named = " or ".join(filter(None, [", ".join(map(repr, allowed[:-1])), repr(allowed[-1])]))
    choice = f"pass handle_unknown={named} to give such cells a vector instead."
    if model.refuses_unknown:
        raise InvalidParameterError(
            "The encoder has handle_unknown='error', but an ONNX model cannot raise an error on "
            f"unknown categories; {choice}"
        )
    missing = [i.name for i in inputs if i.can_miss]
    if model.refuses_missing and missing:
        raise InvalidParameterError(
            "The encoder has handle_missing='error', but an ONNX model cannot raise an error on "
            f"missing cells of {missing}; {choice}"
        )
    return model


def _model(
    graph: Graph,
    outputs: Sequence[Output],
    facts: Mapping[str, str],
    inputs: Sequence[CategoryInput],
    model: EmbeddingModel,
) -> ModelProto:
    """The graph with its inputs, its outputs and what is known about them."""
    from onnx import TensorProto, helper

    kinds = dict.fromkeys(model.context, "DOUBLE")
    kinds |= dict(zip(model.categorical, (i.kind for i in inputs), strict=True))
    lists = {i.name: i.lists.lengths for i in inputs if i.lists is not None}
    values: list[Output] = []
    for j, name in enumerate(model.names):
        if name in lists:
            values.append((name, kinds[j], ["N", f"{name}_items"]))
            values.append((lists[name], "INT64", shape_of(1)))
        else:
            values.append((name, kinds[j], shape_of(1)))
    taken, given = (
        [helper.make_tensor_value_info(n, getattr(TensorProto, k), s) for n, k, s in infos]
        for infos in (values, outputs)
    )
    exported = helper.make_model(
        helper.make_graph(graph.nodes, "transform", taken, given, graph.constants),
        opset_imports=[helper.make_opsetid(d, v) for d, v in _OPSETS.items()],
        ir_version=_IR_VERSION,
        producer_name="sk_entity_embed",
    )
    helper.set_model_props(exported, dict(facts))
    return exported
