"""ONNX: ``transform`` or ``predict`` as a graph of standard operators, without Python."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sk_entity_embed._access import check_column, exported_step, fitted_model
from sk_entity_embed._writing import write_whole
from sk_entity_embed.exceptions import (
    InvalidDataError,
    InvalidParameterError,
    UnsupportedDataError,
)
from sk_entity_embed.export._onnx_forms import (
    ONNX_HEADS,
    ONNX_LINKS,
    ONNX_POOLINGS,
    Output,
    Prediction,
    onnx_form,
)
from sk_entity_embed.export._onnx_graph import (
    OPSET,
    CategoryInput,
    CrossInput,
    Graph,
    ListInput,
    add_rows,
    add_rows_of_lists,
    add_scaled,
)
from sk_entity_embed.export._text import is_encodable
from sk_entity_embed.input.crosses import CrossVocabulary
from sk_entity_embed.input.messages import shown
from sk_entity_embed.input.vocabulary import UNKNOWN, Vocabulary
from sk_entity_embed.model.fitted import EmbeddingModel

if TYPE_CHECKING:
    from onnx import ModelProto

__all__ = ["to_onnx"]

_OPSETS = {"": OPSET, "ai.onnx.ml": 3}
_IR_VERSION = 8


def to_onnx(
    encoder: Any,
    path: str | os.PathLike[str] | None = None,
    *,
    missing_values: Mapping[str, str | int | None] | None = None,
    handle_unknown: str | None = None,
) -> ModelProto:
    """Return an ONNX model of a fitted encoder's ``transform`` or a predictor's ``predict``.

    The model has one input of shape (n_samples, 1) for each column of `X`, in the same order and
    with the same name. Its outputs depend on the estimator:

    - An encoder has the output ``transformed``, a float tensor of shape
      (n_samples, n_features_out). The metadata hold the names of its columns, those of
      ``get_feature_names_out``, as JSON under ``feature_names_out``.
    - A regressor has the output ``variable``, of type double, with the shape of ``predict``.
    - A classifier has the outputs ``label`` and ``probabilities`` (double), with the shapes of
      ``predict`` and ``predict_proba``. The metadata hold the classes as JSON under ``classes``.

    If a column has the name of an output, the output's name gets underscores.

    ONNX does not convert types, so numbers must have the type of the input:

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

    A column of lists has two inputs. The first has shape (n_samples, n) and holds the items in the
    type above; pad shorter lists with any value to the longest list of the batch. The second, named
    like ``tags_length``, is a tensor(int64) of shape (n_samples, 1) with the number of items in
    each list: 0 if it is empty, and -1 if it is missing. The metadata hold their names as JSON
    under ``lengths``.

    You must feed all inputs, even those that do not influence the output. The vectors equal those
    of ``transform``, bit by bit. Pooled lists, hidden layers and predictions are equal up to the
    rounding of their sums. Only operators of ai.onnx 17 and ai.onnx.ml 3 are used.

    Parameters
    ----------
    encoder : EntityEmbeddingEncoder, EntityEmbeddingRegressor or EntityEmbeddingClassifier
        A fitted estimator, or a fitted pipeline that holds one such step. Only this step is
        exported. The model takes the columns that the step gets in the pipeline.
    path : str or path-like, default=None
        File to write, usually ``*.onnx``. It is written atomically.
    missing_values : dict of str, int or None, default=None
        For columns of text, integers or booleans, the value that stands for a missing cell. ONNX
        has no null, and Python's onnxruntime reads None as the text ``"None"``. The value must not
        be a category of the column. None means that no cell will be missing. You must name the
        columns that had missing cells in fit.
    handle_unknown : {"learned", "zero", "nan"}, default=None
        Vector of unknown categories; None takes the policy of the encoder. Regressors and
        classifiers can only have "learned". A model cannot raise errors. So you must give this
        if ``transform`` would raise one (``handle_unknown="error"``, or ``handle_missing="error"``
        and a column that can be missing); the model then treats such cells as unknown.

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
        If a column holds lists pooled by "gru". Also if categories or classes are not strings,
        numbers or booleans (such as dates, or values of mixed type), or do not fit ONNX's types.
    InvalidDataError
        If the model would exceed the 2 GB that ONNX allows.

    Warns
    -----
    PartialExportWarning
        If you give a pipeline with other steps, which are not part of the model.

    See Also
    --------
    save : Save the estimator itself, to use it in Python.

    Notes
    -----
    For infinite numbers, and for numbers beyond the range of float32, ``transform`` raises an
    error. The model does not. Infinite numbers count as the largest or smallest number of fit, and
    with ``remainder="passthrough"`` both kinds are passed on as infinity.

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
    >>> X = pd.DataFrame({"city": ["Lima", "Oslo", "Rome"] * 40, "day": np.arange(120.0)})
    >>> encoder = EntityEmbeddingEncoder(dimensions=2, max_iter=30, random_state=0)
    >>> model = to_onnx(encoder.fit(X, [21.0, -5.0, 12.0, 23.0, -3.0, 14.0] * 20))
    >>> session = onnxruntime.InferenceSession(model.SerializeToString())
    >>> [(put.name, put.type) for put in session.get_inputs()]
    [('city', 'tensor(string)'), ('day', 'tensor(double)')]
    >>> (vectors,) = session.run(None, {name: X[[name]].to_numpy() for name in X})
    >>> vectors.shape
    (120, 2)
    >>> float(abs(vectors - encoder.transform(X)).max())
    0.0
    """
    try:
        import onnx  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "to_onnx needs onnx; install it with pip install 'sk-entity-embed[onnx]'."
        ) from error
    encoder = exported_step(encoder)
    model = fitted_model(encoder)
    for name in model.names:
        if not name or not is_encodable(name):
            raise InvalidDataError(
                f"Column {name!r} has a name that ONNX does not allow: it must be text in UTF-8 "
                "and not empty. Rename the column before fit."
            )
    graph = Graph(model.names)
    model, columns = read_columns(graph, encoder, missing_values, handle_unknown)
    outputs, facts = add_answers(graph, encoder, model, columns)
    exported = _assemble(graph, outputs, facts, columns, model)
    if path is not None:
        write_whole(path, lambda file: file.write(exported.SerializeToString()))
    return exported


def read_columns(
    graph: Graph, encoder: Any, missing_values: Any, handle_unknown: Any
) -> tuple[EmbeddingModel, list[CategoryInput]]:
    """Return the model as the graph serves it, and how its categorical columns enter."""
    model = fitted_model(encoder)
    markers = {} if missing_values is None else missing_values
    if not isinstance(markers, Mapping):
        raise InvalidParameterError(
            "`missing_values` must be a dict from column names to the value that stands for a "
            f"missing cell, got {shown(markers)}."
        )
    vocabularies = {vocabulary.name: vocabulary for vocabulary in model.vocabularies}
    for name, marker in markers.items():
        vocabulary = vocabularies[
            check_column(name, list(vocabularies), "a name in `missing_values`")
        ]
        if marker is not None:
            _check_marker(vocabulary, marker)
    columns = [_input(graph, model, j, markers) for j in range(len(model.categorical))]
    predicts = hasattr(encoder, "predict")
    return _resolve_unknown(model, columns, handle_unknown, predicts), columns


def add_answers(
    graph: Graph, encoder: Any, model: EmbeddingModel, columns: Sequence[CategoryInput]
) -> Prediction:
    """Add what ``predict``, or else ``transform``, gives; return the outputs and their facts."""
    inputs: list[CategoryInput | CrossInput] = [*columns, *_pairs(model, columns)]
    if hasattr(encoder, "predict"):
        scores = _add_scores(graph, model, inputs)
        form = onnx_form(ONNX_LINKS, model.link, "predictions by the link")
        answers: Prediction = form(graph, model, scores, getattr(encoder, "classes_", None))
        return answers
    features = model.output_names()
    parts = _add_transform(graph, model, inputs)
    output = graph.node("Concat", *parts, axis=1, output=graph.free("transformed"))
    facts = {"feature_names_out": json.dumps(features)}
    return [(output, "FLOAT", ["N", len(features)])], facts


def _check_marker(vocabulary: Vocabulary, marker: Any) -> None:
    """Refuse what is not of the column's type, or one of its categories."""
    kind, what = _kind(vocabulary), f"`missing_values[{vocabulary.name!r}]`"
    if kind == "DOUBLE":
        raise InvalidParameterError(
            f"{what} is not needed: the column's input is floating point, and NaN is a missing "
            "cell there. Leave it out."
        )
    if kind == "STRING":
        fits, wanted = isinstance(marker, str) and is_encodable(marker), "a string"
    else:
        is_whole = isinstance(marker, int | np.integer) and not isinstance(marker, bool)
        fits, wanted = is_whole and -(2**63) <= marker < 2**63, "an integer of 64 bits"
    if not fits:
        raise InvalidParameterError(f"{what} must be {wanted}, got {shown(marker)}.")
    if marker in vocabulary.categories.tolist():
        raise InvalidParameterError(
            f"{what} is {shown(marker)}, which is a category of the column; choose a value that "
            "is not."
        )


def _kind(vocabulary: Vocabulary) -> str:
    """Return the type of a column's input; text where it has no categories."""
    kind = pa.null() if vocabulary.keys is None else vocabulary.keys.type
    if pa.types.is_large_string(kind):
        return "STRING"
    if pa.types.is_boolean(kind):
        return "BOOL"
    if pa.types.is_floating(kind):
        return "DOUBLE"
    if pa.types.is_null(kind) and len(vocabulary.categories) == 0:
        return "STRING"
    if vocabulary.keys is not None and vocabulary.categories.max(initial=0) < 2**63:
        return "INT64"
    raise UnsupportedDataError(
        f"Column {vocabulary.name!r} has categories that no ONNX tensor holds: dates, bytes, "
        "decimals, values of mixed type or integers beyond 64 bits with sign. Turn the column into "
        "strings before fit."
    )


def _input(
    graph: Graph, model: EmbeddingModel, j: int, markers: Mapping[str, Any]
) -> CategoryInput:
    """Return how a column enters the model; `markers` stand for missing cells."""
    vocabulary = model.vocabularies[j]
    name, kind, marker = vocabulary.name, _kind(vocabulary), markers.get(vocabulary.name)
    if vocabulary.knows_missing and kind != "DOUBLE" and name not in markers:
        example = "<missing>" if kind == "STRING" else -1
        raise InvalidParameterError(
            f"Column {name!r} had missing cells in fit, but ONNX has no null for its type. Say "
            f"what stands for one, such as missing_values={{{name!r}: {example!r}}}, or None if no "
            "cell will be missing."
        )
    rows = vocabulary.rows.astype(np.int64)
    keys: Any = vocabulary.categories
    if kind != "DOUBLE":
        keys = [*keys.tolist(), *([] if marker is None else [marker])]
        keys = [key.encode() if kind == "STRING" else int(key) for key in keys]
    if marker is not None:
        rows = np.append(rows, np.int64(vocabulary.missing_row))
        kind = "INT64" if kind == "BOOL" else kind
    if len(rows) == 0:  # a look-up needs a key: it is as unknown as all others
        keys, rows = [b"" if kind == "STRING" else 0], np.array([UNKNOWN], dtype=np.int64)
    lists = None
    if vocabulary.empty_row is not None:
        what = f"lists in column {name!r} pooled by"
        form = onnx_form(ONNX_POOLINGS, model.poolings[j], what)
        lengths = graph.free(f"{name}_length")
        lists = ListInput(lengths, form, model.max_lengths[j], vocabulary.empty_row)
    can_miss = kind == "DOUBLE" or marker is not None or lists is not None
    return CategoryInput(name, kind, keys, rows, vocabulary.missing_row, can_miss, lists)


def _pairs(model: EmbeddingModel, columns: Sequence[CategoryInput]) -> list[CrossInput]:
    """Return how crosses enter the model: by the table rows of two columns."""
    entries = []
    for (a, b), table in zip(model.crosses, model.tables[len(columns) :], strict=True):
        cross = cast(CrossVocabulary, table.vocabulary)
        n_second = model.vocabularies[b].n_rows
        pairs, rows = cross.pairs.tolist(), cross.rows.tolist()
        # A look-up needs a key: 0 are two unknown sides.
        entries.append(CrossInput(columns[a], columns[b], n_second, pairs or [0], rows or [0]))
    return entries


def _resolve_unknown(
    model: EmbeddingModel, inputs: Sequence[CategoryInput], asked: str | None, predicts: bool
) -> EmbeddingModel:
    """Return the model that serves unknown cells as asked: it must not raise."""
    allowed = ["learned"] if predicts else ["learned", "zero", "nan"]
    missing = [entry.name for entry in inputs if entry.can_miss]
    if asked in allowed:
        return model.with_unknown(asked)
    if asked is not None:
        raise InvalidParameterError(
            f"`handle_unknown` must be one of {allowed} or None, got {shown(asked)}."
        )
    if model.refuses_unknown:
        refused = "handle_unknown='error'", "unknown categories"
    elif model.refuses_missing and missing:
        refused = "handle_missing='error'", f"missing cells of {missing}"
    else:
        return model
    raise InvalidParameterError(
        f"The encoder has {refused[0]}, but an ONNX model cannot raise an error on {refused[1]}; "
        f"pass handle_unknown={' or '.join(map(repr, allowed))} to give such cells a vector."
    )


def _add_transform(
    graph: Graph, model: EmbeddingModel, inputs: Sequence[CategoryInput | CrossInput]
) -> list[str]:
    """Return the output's blocks of columns: vectors, what the head gives, numbers passed on."""
    output, parts, learned = model.output, [], []
    for table, entry in zip(model.tables, inputs, strict=True):
        if entry.lists is not None:  # what is pooled has no row that could be replaced later
            if output.reads_head:
                learned.append(_vectors(graph, table.vectors, entry))
            if output.vectors:
                parts.append(_vectors(graph, table.served, entry))
            continue
        rows = add_rows(graph, entry)
        vectors = graph.constant(table.vectors if output.reads_head else table.served)
        part = graph.node("Gather", vectors, rows, axis=0)
        if output.reads_head:  # it always reads the learned vector, so the row is replaced later
            learned.append(part)
            for row, vector in table.replaced.items() if output.vectors else ():
                is_row = graph.node("Equal", rows, graph.constant([row]))
                column = graph.node("Unsqueeze", is_row, graph.constant([1]))
                part = graph.node("Where", column, graph.constant(vector[None]), part)
        if output.vectors:
            parts.append(part)
    passes = output.numbers and len(model.context) > 0
    numbers = _numbers(graph, model) if output.reads_head or passes else ""
    if output.reads_head:
        context = add_scaled(graph, model.scaling, numbers) if numbers else ""
        form = onnx_form(ONNX_HEADS, model.head, "the head")
        asked = {"hidden": True} if output.hidden else {}
        parts.append(graph.cast(form(graph, model.head, learned, context, **asked), "FLOAT"))
    return [*parts, graph.cast(numbers, "FLOAT")] if passes else parts


def _add_scores(
    graph: Graph, model: EmbeddingModel, inputs: Sequence[CategoryInput | CrossInput]
) -> str:
    """Return the head's outputs on learned vectors: doubles of shape (n_samples, n_outputs)."""
    columns = zip(model.tables, inputs, strict=True)
    parts = [_vectors(graph, table.vectors, entry) for table, entry in columns]
    numbers = _numbers(graph, model)
    context = add_scaled(graph, model.scaling, numbers) if numbers else ""
    return str(onnx_form(ONNX_HEADS, model.head, "the head")(graph, model.head, parts, context))


def _numbers(graph: Graph, model: EmbeddingModel) -> str:
    """Return the context columns side by side; an empty name if there are none."""
    names = [graph.cells(model.names[j]) for j in model.context]
    return graph.node("Concat", *names, axis=1) if names else ""


def _vectors(graph: Graph, vectors: NDArray[np.float32], entry: CategoryInput | CrossInput) -> str:
    """Return a vector for each cell: that of its row, or what is pooled of its items'."""
    if entry.lists is None:
        return graph.node("Gather", graph.constant(vectors), add_rows(graph, entry), axis=0)
    rows, counts = add_rows_of_lists(graph, entry, entry.lists)
    items = graph.node("Gather", graph.constant(vectors), rows, axis=0)
    used = graph.node("Unsqueeze", counts, graph.constant([2]))
    return entry.lists.pooling(graph, items, used, bool(np.isfinite(vectors).all()))


def _assemble(
    graph: Graph,
    outputs: Sequence[Output],
    facts: dict[str, str],
    inputs: Sequence[CategoryInput],
    model: EmbeddingModel,
) -> ModelProto:
    """Return the graph with its inputs, its outputs and what is known about them."""
    from onnx import TensorProto, helper

    entries = {entry.name: entry for entry in inputs}
    lengths, values = {}, list[Output]()
    for name in model.names:
        entry = entries.get(name)
        kind = "DOUBLE" if entry is None else entry.kind
        if entry is None or entry.lists is None:
            values.append((name, kind, ["N", 1]))
        else:
            lengths[name] = entry.lists.lengths
            values.append((name, kind, ["N", f"{name}_items"]))
            values.append((lengths[name], "INT64", ["N", 1]))
    if lengths:
        facts = {**facts, "lengths": json.dumps(lengths)}
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
    helper.set_model_props(exported, facts)
    return exported
