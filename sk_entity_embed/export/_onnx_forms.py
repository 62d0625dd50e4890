"""ONNX forms by kind: poolings, heads and links as nodes. A kind that is in no table is refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sk_entity_embed.exceptions import UnsupportedDataError
from sk_entity_embed.export._onnx_graph import Graph
from sk_entity_embed.export._text import is_encodable
from sk_entity_embed.model.fitted import EmbeddingModel
from sk_entity_embed.model.heads import DotHead, MLPHead
from sk_entity_embed.model.losses import MAX_EXPONENT, Bounded, Link, Log, Logit, Softmax
from sk_entity_embed.model.poolings import Max, Mean, Sum

Shape: TypeAlias = list[str | int | None]
Output: TypeAlias = tuple[str, str, Shape]
"""Name, type and shape of an output."""
Prediction: TypeAlias = tuple[list[Output], dict[str, str]]
"""The outputs of a predictor and what to know about them."""


def onnx_form(forms: Mapping[type, Any], part: Any, what: str) -> Any:
    """Return what makes ONNX nodes of a part of the model; refuse a part without a form."""
    try:
        return forms[type(part)]
    except KeyError:
        name = getattr(part, "name", type(part).__name__)
        known = [getattr(kind, "name", kind.__name__) for kind in forms]
        raise UnsupportedDataError(
            f"There is no ONNX form of {what} {name!r}, only of {known}. Fit with one of these, or "
            "use the estimator's own methods, which need no torch."
        ) from None


def _largest(graph: Graph, items: str, used: str, finite: bool) -> str:
    lowest = graph.constant(np.float32(-np.inf))
    largest = graph.node("Where", used, items, lowest)
    largest = graph.reduce("ReduceMax", largest, 1)
    # A maximum passes over NaN, which is in vectors of unknown and missing items alone.
    if finite:
        return largest
    nan = graph.constant(np.float32(np.nan))
    is_nan = graph.node("And", used, graph.node("IsNaN", items))
    spoilt = graph.reduce("ReduceMax", graph.cast(is_nan, "FLOAT"), 1)
    return graph.node("Where", graph.cast(spoilt, "BOOL"), nan, largest)


def _sum(graph: Graph, items: str, used: str, finite: bool) -> str:
    return graph.cast(_total(graph, items, used)[0], "FLOAT")


def _mean(graph: Graph, items: str, used: str, finite: bool) -> str:
    total, by_item = _total(graph, items, used)
    count = graph.node("ReduceSum", graph.cast(used, "DOUBLE"), by_item, keepdims=0)
    return graph.cast(graph.node("Div", total, count), "FLOAT")


def _total(graph: Graph, items: str, used: str) -> tuple[str, str]:
    """Return the sum in float64, and the axis of items."""
    by_item = graph.constant([1])
    items = graph.node("Where", used, graph.cast(items, "DOUBLE"), graph.constant(0.0))
    return graph.node("ReduceSum", items, by_item, keepdims=0), by_item


ONNX_POOLINGS: dict[type, Callable[[Graph, str, str, bool], str]] = {
    Mean: _mean,
    Sum: _sum,
    Max: _largest,
}
"""From items' vectors, which of them are used, and whether all are finite, to a vector a list."""


def _perceptron(
    graph: Graph, head: MLPHead, vectors: Sequence[str], context: str, *, hidden: bool = False
) -> str:
    """Return the last layer, or the last `hidden` one, summed in float64 as in the head."""
    state = graph.node("Concat", *vectors, *filter(None, [context]), axis=1)
    state = graph.cast(state, "DOUBLE")
    n_layers = len(head.weights)
    for i in range(n_layers - hidden):  # of all heads at once, which the first product spreads
        state = graph.node("MatMul", state, graph.constant(head.weights[i]))
        state = graph.node("Add", state, graph.constant(head.biases[i][:, None]))
        state = graph.node("Relu", state) if i < n_layers - 1 else state
    return graph.reduce("ReduceMean", state, 0)


def _dots(graph: Graph, head: DotHead, vectors: Sequence[str], context: str) -> str:
    """Return dot products, biases and context, summed in float64 as in :class:`DotHead`."""
    n_columns, n_axes = len(head.bias_weights), len(head.axes)
    shape = graph.constant([-1, n_columns, n_axes + 1])
    together = graph.node("Concat", *vectors, axis=1)
    blocks = graph.node("Reshape", graph.cast(together, "DOUBLE"), shape)
    axes = graph.node("Gather", blocks, graph.constant(np.arange(n_axes)), axis=2)
    by_column = graph.constant([1])
    total = graph.node("ReduceSum", axes, by_column, keepdims=0)
    squares = graph.node("ReduceSum", graph.node("Mul", axes, axes), by_column, keepdims=0)
    beyond = graph.node("Sub", graph.node("Mul", total, total), squares)
    pairs = graph.node("Mul", beyond, graph.constant(0.5))
    biases = graph.node("Gather", blocks, graph.constant([n_axes]), axis=2)
    biases = graph.node("Squeeze", biases, graph.constant([2]))
    terms = [(pairs, head.axes), (biases, head.bias_weights)]
    if context:
        terms.append((graph.cast(context, "DOUBLE"), head.context_weights))
    score = graph.constant(head.intercept)
    for values, weights in terms:
        summed = graph.node("MatMul", values, graph.constant(weights[:, None]))
        score = graph.node("Add", score, summed)
    return score


ONNX_HEADS: dict[type, Callable[..., str]] = {MLPHead: _perceptron, DotHead: _dots}
"""From the columns' vectors and the context, if any, to scores, or to the last hidden layer."""


def _quantities(
    graph: Graph, model: EmbeddingModel, scores: str, classes: None, *units: Any
) -> Prediction:
    """Return scores in the target's units, or in `units`: width and center of the scores."""
    width, center = units or (model.scale.width, model.scale.center)
    scores = graph.node("Mul", scores, graph.constant(width))
    scores = graph.node("Add", scores, graph.constant(center))
    name, n_outputs = graph.free("variable"), model.head.n_outputs
    if n_outputs > 1:
        graph.node("Identity", scores, output=name)
        return [(name, "DOUBLE", ["N", n_outputs])], {}
    graph.node("Squeeze", scores, graph.constant([1]), output=name)
    return [(name, "DOUBLE", ["N"])], {}


def _exponentials(graph: Graph, model: EmbeddingModel, scores: str, classes: None) -> Prediction:
    scores = graph.node("Exp", graph.node("Min", scores, graph.constant(MAX_EXPONENT)))
    return _quantities(graph, model, scores, classes)


def _squashed(graph: Graph, model: EmbeddingModel, scores: str, classes: None) -> Prediction:
    link: Any = model.link
    offset, gain = link.sigmoid(model.scale)
    scores = graph.node("Mul", scores, graph.constant(gain))
    scores = graph.node("Add", scores, graph.constant(offset))
    units = np.float64(link.high) - np.float64(link.low), np.float64(link.low)
    return _quantities(graph, model, graph.node("Sigmoid", scores), classes, *units)


def _log_odds(
    graph: Graph, model: EmbeddingModel, scores: str, classes: NDArray[Any]
) -> Prediction:
    """Return answers of a classifier of two classes, or of each of several labels."""
    label, probabilities = graph.free("label"), graph.free("probabilities")
    kind, values = _labels(classes)
    positive = graph.cast(graph.node("Greater", scores, graph.constant(0.0)), "INT64")
    if model.head.n_outputs > 1:
        graph.node("Identity", positive, output=label)
        graph.node("Sigmoid", scores, output=probabilities)
        return _answers((label, "INT64", ["N", len(values)]), probabilities, values)
    best = graph.node("Squeeze", positive, graph.constant([1]))
    both = graph.node("Mul", scores, graph.constant([[-1.0, 1.0]]))
    graph.node("Sigmoid", both, output=probabilities)
    graph.node("Gather", graph.constant(values), best, output=label)
    return _answers((label, kind, ["N"]), probabilities, values)


def _exclusive(
    graph: Graph, model: EmbeddingModel, scores: str, classes: NDArray[Any]
) -> Prediction:
    """Return answers of a classifier of exclusive classes."""
    label, probabilities = graph.free("label"), graph.free("probabilities")
    kind, values = _labels(classes)
    best = graph.node("ArgMax", scores, axis=1, keepdims=0)
    graph.node("Softmax", scores, axis=1, output=probabilities)
    graph.node("Gather", graph.constant(values), best, output=label)
    return _answers((label, kind, ["N"]), probabilities, values)


def _answers(label: Output, probabilities: str, classes: NDArray[Any]) -> Prediction:
    outputs: list[Output] = [label, (probabilities, "DOUBLE", ["N", len(classes)])]
    return outputs, {"classes": json.dumps(classes.tolist())}


ONNX_LINKS: dict[type, Callable[..., Prediction]] = {
    Link: _quantities,
    Log: _exponentials,
    Bounded: _squashed,
    Logit: _log_odds,
    Softmax: _exclusive,
}
"""From scores, and classes if there are any, to outputs of ``predict`` and ``predict_proba``."""


def _labels(classes: NDArray[Any]) -> tuple[str, NDArray[Any]]:
    """Return the type of the labels, and the labels in it."""
    values = classes.tolist()
    if all(isinstance(v, str) and is_encodable(v) for v in values):
        return "STRING", np.array(values, dtype=object)
    kinds = {bool: ("BOOL", np.bool_), int: ("INT64", np.int64), float: ("DOUBLE", np.float64)}
    types = {type(v) for v in values}
    if len(types) == 1 and (found := kinds.get(types.pop())):
        try:
            return found[0], np.array(values, dtype=found[1])
        except OverflowError:
            pass
    raise UnsupportedDataError(
        "The classes are of a type that no ONNX tensor holds: they must all be text, integers of "
        f"64 bits, booleans or numbers, got {values[:3]}. Turn them into strings before fit."
    )
