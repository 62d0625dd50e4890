"""Predictions in ONNX operators: from the head's outputs to quantities, labels, probabilities."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sk_entity_embed.exceptions import UnsupportedDataError
from sk_entity_embed.export.onnx_graph import Graph
from sk_entity_embed.input.target import Scale
from sk_entity_embed.model import MAX_EXPONENT

Output = tuple[str, str, list[str | int | None]]
"""Name, type and shape of an output."""


def add_prediction(
    graph: Graph, scale: Scale, scores: str, estimator: Any
) -> tuple[list[Output], dict[str, str]]:
    """Make predictions of the head's outputs.

    Parameters
    ----------
    graph : Graph
        Gains nodes.
    scale : Scale
        Units of the target.
    scores : str
        Name of the outputs of the head.
    estimator : estimator
        A fitted regressor or classifier.

    Returns
    -------
    outputs : list of Output
        Those of the model.
    facts : dict of str
        What is to be known about them.

    Raises
    ------
    UnsupportedDataError
        If there is no type for the classes.
    """
    if estimator._link in ("identity", "bounded", "log"):
        return [_quantities(graph, scale, scores, estimator._link)], {}
    return _classes(graph, scores, estimator)


def _quantities(graph: Graph, scale: Scale, scores: str, link: str) -> Output:
    """A regressor's answer."""
    n_outputs, width, center = len(scale.width), scale.width, scale.center
    if link == "log":
        scores = graph.node("Exp", graph.node("Min", scores, graph.constant(MAX_EXPONENT)))
    elif scale.bounds is not None:
        low, high = scale.bounds
        offset, gain = scale.sigmoid()
        scores = graph.node("Mul", scores, graph.constant(gain))
        scores = graph.node("Add", scores, graph.constant(offset))
        scores, width, center = graph.node("Sigmoid", scores), high - low, low
    scores = graph.node("Mul", scores, graph.constant(width))
    scores = graph.node("Add", scores, graph.constant(center))
    name = graph.free("variable")
    if n_outputs > 1:
        return graph.node("Identity", scores, output=name), "DOUBLE", shape_of(n_outputs)
    axis = graph.constant(np.array([1]))
    return graph.node("Squeeze", scores, axis, output=name), "DOUBLE", shape_of(None)


def _classes(graph: Graph, scores: str, estimator: Any) -> tuple[list[Output], dict[str, str]]:
    """A classifier's answers."""
    label, probabilities = graph.free("label"), graph.free("probabilities")
    kind, classes = _labels(estimator.classes_)
    positive = graph.cast(graph.node("Greater", scores, graph.constant(0.0)), "INT64")
    if estimator.target_type_ == "multilabel-indicator":
        graph.node("Identity", positive, output=label)
        graph.node("Sigmoid", scores, output=probabilities)
        kind, shape = "INT64", shape_of(len(classes))
    else:
        if estimator._link == "softmax":
            best = graph.node("ArgMax", scores, axis=1, keepdims=0)
            graph.node("Softmax", scores, axis=1, output=probabilities)
        else:
            best = graph.node("Squeeze", positive, graph.constant(np.array([1])))
            both = graph.node("Mul", scores, graph.constant(np.array([[-1.0, 1.0]])))
            graph.node("Sigmoid", both, output=probabilities)
        graph.node("Gather", graph.constant(classes), best, output=label)
        shape = shape_of(None)
    facts = {"classes": json.dumps(classes.tolist())}
    return [(label, kind, shape), (probabilities, "DOUBLE", shape_of(len(classes)))], facts


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
