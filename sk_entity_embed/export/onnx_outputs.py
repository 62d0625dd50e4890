"""Predictions in ONNX operators: from the head's outputs to quantities, labels, probabilities."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sk_entity_embed.exceptions import UnsupportedDataError
from sk_entity_embed.export.onnx_graph import Graph, onnx_form
from sk_entity_embed.model.fitted import EmbeddingModel
from sk_entity_embed.model.losses import (
    MAX_EXPONENT,
    Bounded,
    Link,
    Log,
    Logit,
    Scale,
    Softmax,
)

Output = tuple[str, str, list[str | int | None]]
"""Name, type and shape of an output."""


def add_prediction(
    graph: Graph, model: EmbeddingModel, scores: str, classes: NDArray[Any] | None
) -> tuple[list[Output], dict[str, str]]:
    """Make predictions of the head's `scores`; return the outputs and what to know about them.

    Raises
    ------
    UnsupportedDataError
        If the link has no form in ONNX, or there is no type for the `classes`.
    """
    form = onnx_form(ONNX_LINKS, model.link, "predictions by the link")
    return form(graph, model.link, model.scale, scores, classes)


def _quantities(
    graph: Graph, link: Link, scale: Scale, scores: str, classes: NDArray[Any] | None
) -> tuple[list[Output], dict[str, str]]:
    """A regressor's answer, of scores in the network's units."""
    return _restored(graph, scores, scale.width, scale.center)


def _exponentials(
    graph: Graph, link: Log, scale: Scale, scores: str, classes: NDArray[Any] | None
) -> tuple[list[Output], dict[str, str]]:
    scores = graph.node("Exp", graph.node("Min", scores, graph.constant(MAX_EXPONENT)))
    return _restored(graph, scores, scale.width, scale.center)


def _squashed(
    graph: Graph, link: Bounded, scale: Scale, scores: str, classes: NDArray[Any] | None
) -> tuple[list[Output], dict[str, str]]:
    offset, gain = link.sigmoid(scale)
    scores = graph.node("Mul", scores, graph.constant(gain))
    scores = graph.node("Add", scores, graph.constant(offset))
    width, low = np.float64(link.high) - np.float64(link.low), np.float64(link.low)
    return _restored(graph, graph.node("Sigmoid", scores), width, low, n_outputs=len(scale.width))


def _restored(
    graph: Graph, scores: str, width: Any, center: Any, n_outputs: int | None = None
) -> tuple[list[Output], dict[str, str]]:
    """The output of shape (n_samples,) or (n_samples, n_outputs) in the target's units."""
    n_outputs = len(width) if n_outputs is None else n_outputs
    scores = graph.node("Mul", scores, graph.constant(width))
    scores = graph.node("Add", scores, graph.constant(center))
    name = graph.free("variable")
    if n_outputs > 1:
        output = graph.node("Identity", scores, output=name), "DOUBLE", shape_of(n_outputs)
        return [output], {}
    axis = graph.constant(np.array([1]))
    return [(graph.node("Squeeze", scores, axis, output=name), "DOUBLE", shape_of(None))], {}


def _log_odds(
    graph: Graph, link: Logit, scale: Scale, scores: str, classes: NDArray[Any] | None
) -> tuple[list[Output], dict[str, str]]:
    """Answers of a classifier of two classes, or of each of several labels."""
    assert classes is not None
    label, probabilities = graph.free("label"), graph.free("probabilities")
    kind, values = _labels(classes)
    positive = graph.cast(graph.node("Greater", scores, graph.constant(0.0)), "INT64")
    if len(scale.width) > 1:
        graph.node("Identity", positive, output=label)
        graph.node("Sigmoid", scores, output=probabilities)
        kind, shape = "INT64", shape_of(len(values))
    else:
        best = graph.node("Squeeze", positive, graph.constant(np.array([1])))
        both = graph.node("Mul", scores, graph.constant(np.array([[-1.0, 1.0]])))
        graph.node("Sigmoid", both, output=probabilities)
        graph.node("Gather", graph.constant(values), best, output=label)
        shape = shape_of(None)
    return _classified(label, kind, shape, probabilities, values)


def _exclusive(
    graph: Graph, link: Softmax, scale: Scale, scores: str, classes: NDArray[Any] | None
) -> tuple[list[Output], dict[str, str]]:
    """Answers of a classifier of exclusive classes."""
    assert classes is not None
    label, probabilities = graph.free("label"), graph.free("probabilities")
    kind, values = _labels(classes)
    best = graph.node("ArgMax", scores, axis=1, keepdims=0)
    graph.node("Softmax", scores, axis=1, output=probabilities)
    graph.node("Gather", graph.constant(values), best, output=label)
    return _classified(label, kind, shape_of(None), probabilities, values)


def _classified(
    label: str, kind: str, shape: Any, probabilities: str, classes: NDArray[Any]
) -> tuple[list[Output], dict[str, str]]:
    outputs: list[Output] = [(label, kind, shape)]
    outputs.append((probabilities, "DOUBLE", shape_of(len(classes))))
    return outputs, {"classes": json.dumps(classes.tolist())}


ONNX_LINKS: dict[type, Any] = {
    Link: _quantities,
    Log: _exponentials,
    Bounded: _squashed,
    Logit: _log_odds,
    Softmax: _exclusive,
}
"""The form of each link."""


def shape_of(n: int | None) -> list[str | int | None]:
    """Shape of an output of `n` columns, or of one without a second axis."""
    return ["N"] if n is None else ["N", n]


def is_encodable(text: str) -> bool:
    """Whether a text has no lone surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _labels(classes: NDArray[Any]) -> tuple[str, NDArray[Any]]:
    """Type of the labels, and the labels in it."""
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
