"""The graph that computes ``transform`` or a prediction in ONNX operators, node by node."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sk_entity_embed.exceptions import InvalidDataError, UnsupportedDataError
from sk_entity_embed.input.context import ContextScaling
from sk_entity_embed.input.vocabulary import UNKNOWN
from sk_entity_embed.model.fitted import EmbeddingModel
from sk_entity_embed.model.heads import DotHead, MLPHead
from sk_entity_embed.model.poolings import Max, Mean, Pooling, Sum

_MAX_BYTES = 2**31 - 2**20
"""Protocol buffers end at 2 GiB; the rest is for what is not counted."""


@dataclass(frozen=True, slots=True)
class ListInput:
    """How the cells of a column are lists: padded items, and their number as another input.

    Attributes
    ----------
    lengths : str
        Name of the input of int64, of shape (n_samples, 1): items in each list, -1 if it is
        missing.
    pooling : Pooling
        How the items' vectors become one.
    max_length : int or None
        How many of the last items are used; None for all.
    empty_row : int
        Table row of the empty list.
    """

    lengths: str
    pooling: Pooling
    max_length: int | None
    empty_row: int


@dataclass(frozen=True, slots=True)
class CategoryInput:
    """How one categorical column enters: its tensor type, its keys and their table rows.

    Attributes
    ----------
    name : str
        The column.
    kind : {"STRING", "INT64", "BOOL", "DOUBLE"}
        Name of the tensor's type.
    keys : list or ndarray
        Categories and, last, what stands for a missing cell; of floats, sorted.
    rows : ndarray of int64
        Table row of each.
    missing_row : int
        Table row of NaN.
    can_miss : bool
        Whether a cell can be missing.
    lists : ListInput or None
        How lists become one vector; None for a column of single values.
    """

    name: str
    kind: str
    keys: Any
    rows: NDArray[np.int64]
    missing_row: int
    can_miss: bool
    lists: ListInput | None = None


class Graph:
    """Nodes and constants under names that no column has."""

    def __init__(self, taken: Sequence[str]) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self._taken = set(taken)
        self._prefix = "_"
        while any(name.startswith(self._prefix) for name in taken):
            self._prefix += "_"
        self._bytes = 0

    def free(self, name: str) -> str:
        """A name for an output, which no column has."""
        while name in self._taken:
            name += "_"
        self._taken.add(name)
        return name

    def reserve(self, n_bytes: int) -> None:
        """Count what goes into the model, before it is copied."""
        self._bytes += n_bytes
        if self._bytes > _MAX_BYTES:
            raise InvalidDataError(
                f"The tables need more than {_MAX_BYTES:,} bytes, but an ONNX model ends at 2 GB. "
                "Fit with smaller `dimensions` or with `min_frequency` or `max_categories`, or "
                "export look-up tables with `to_parquet`."
            )

    def constant(self, value: Any) -> str:
        """Name of an array that is part of the model."""
        from onnx import numpy_helper

        array = np.ascontiguousarray(value)
        self.reserve(array.nbytes)
        name = f"{self._prefix}constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def scalar(self, value: int) -> str:
        """Name of an integer without dimensions that is part of the model."""
        from onnx import numpy_helper

        name = f"{self._prefix}constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.array(value, dtype=np.int64), name))
        return name

    def node(self, operator: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        """Name of an operator's result."""
        from onnx import helper

        name = f"{self._prefix}{operator}_{len(self.nodes)}"
        domain = "ai.onnx.ml" if operator == "LabelEncoder" else ""
        self.nodes.append(
            helper.make_node(
                operator, inputs, [output or name], name=name, domain=domain, **attributes
            )
        )
        return output or name

    def cast(self, value: str, kind: str) -> str:
        """Name of a value in another type."""
        from onnx import TensorProto

        return self.node("Cast", value, to=getattr(TensorProto, kind))


def onnx_form(forms: Mapping[type, Any], part: Any, what: str) -> Any:
    """Return what makes ONNX nodes of a part of the model, if there is something."""
    try:
        return forms[type(part)]
    except KeyError:
        name = getattr(part, "name", type(part).__name__)
        known = [getattr(kind, "name", kind.__name__) for kind in forms]
        raise UnsupportedDataError(
            f"There is no ONNX form of {what} {name!r}, only of {known}. Fit with one of these, or "
            "use the estimator's own methods, which need no torch."
        ) from None


def add_transform(
    graph: Graph, model: EmbeddingModel, inputs: Sequence[CategoryInput]
) -> list[str]:
    """The output's blocks of columns: vectors, hidden layer, numbers passed on."""
    output = model.output
    passes = output.numbers and len(model.context) > 0
    parts, learned = [], []
    for table, entry in zip(model.tables, inputs, strict=True):
        if entry.lists is not None:  # what is pooled has no row that could be replaced later
            if output.hidden:
                learned.append(_vectors(graph, table.vectors, entry))
            if output.vectors:
                parts.append(_vectors(graph, table.served, entry))
            continue
        rows = _rows(graph, entry)
        if output.hidden:  # it always reads the learned vector, so the row is replaced later
            learned.append(graph.node("Gather", graph.constant(table.vectors), rows, axis=0))
        if output.hidden and output.vectors:
            parts.append(learned[-1])
            for row, vector in table.replaced.items():
                is_row = graph.node("Equal", rows, graph.constant(np.array([row])))
                column = graph.node("Unsqueeze", is_row, graph.constant(np.array([1])))
                other = graph.constant(vector[None])
                parts[-1] = graph.node("Where", column, other, parts[-1])
        elif not output.hidden:
            served = graph.constant(table.served)
            parts.append(graph.node("Gather", served, rows, axis=0))
    numbers = ""
    if len(model.context) and (output.hidden or passes):
        numbers = graph.node("Concat", *(model.names[j] for j in model.context), axis=1)
    if output.hidden:
        context = _scaled(graph, model.scaling, numbers) if numbers else ""
        form = onnx_form(ONNX_HIDDEN, model.head, "the hidden layer below the head")
        hidden = form(graph, model.head, learned, context)
        parts.append(graph.cast(hidden, "FLOAT"))
    return [*parts, graph.cast(numbers, "FLOAT")] if passes else parts


def add_scores(graph: Graph, model: EmbeddingModel, inputs: Sequence[CategoryInput]) -> str:
    """The head's outputs on learned vectors: doubles of shape (n_samples, n_outputs)."""
    parts = [
        _vectors(graph, table.vectors, entry)
        for table, entry in zip(model.tables, inputs, strict=True)
    ]
    context = ""
    if model.context:
        numbers = graph.node("Concat", *(model.names[j] for j in model.context), axis=1)
        context = _scaled(graph, model.scaling, numbers)
    form = onnx_form(ONNX_HEADS, model.head, "the head")
    return form(graph, model.head, parts, context)


def _vectors(graph: Graph, vectors: NDArray[np.float32], entry: CategoryInput) -> str:
    """A vector for each cell: that of its row, or what is pooled of its items'."""
    if entry.lists is not None:
        return _pooled(graph, vectors, _rows_of_lists(graph, entry, entry.lists), entry.lists)
    return graph.node("Gather", graph.constant(vectors), _rows(graph, entry), axis=0)


def _rows_of_lists(graph: Graph, entry: CategoryInput, lists: ListInput) -> tuple[str, str]:
    """Table rows of the items of lists, and which of them count: of shape (n_samples, n + 1).

    The first one stands for the items of an empty or a missing list.
    """
    shape = graph.node("Shape", entry.name)
    rows = graph.node("Reshape", _rows(graph, entry), shape, allowzero=1)
    lengths = lists.lengths
    is_missing = graph.node("Less", lengths, graph.constant(np.array([[0]])))
    stand_in = graph.node(
        "Where",
        is_missing,
        graph.constant(np.array([[entry.missing_row]])),
        graph.constant(np.array([[lists.empty_row]])),
    )
    n_items = graph.node("Gather", shape, graph.scalar(1), axis=0)
    position = graph.node("Range", graph.scalar(0), n_items, graph.scalar(1))
    used = graph.node("Less", position, lengths)
    if lists.max_length is not None:
        first = graph.node("Sub", lengths, graph.constant(np.array([[lists.max_length]])))
        used = graph.node("And", used, graph.node("GreaterOrEqual", position, first))
    has_none = graph.node("Less", lengths, graph.constant(np.array([[1]])))
    return (
        graph.node("Concat", stand_in, rows, axis=1),
        graph.node("Concat", has_none, used, axis=1),
    )


def _pooled(
    graph: Graph, vectors: NDArray[np.float32], rows: tuple[str, str], lists: ListInput
) -> str:
    """One vector a list, summed in float64 as in the package."""
    items = graph.node("Gather", graph.constant(vectors), rows[0], axis=0)
    used = graph.node("Unsqueeze", rows[1], graph.constant(np.array([2])))
    return ONNX_POOLINGS[type(lists.pooling)](graph, items, used, bool(np.isfinite(vectors).all()))


def _largest(graph: Graph, items: str, used: str, finite: bool) -> str:
    lowest = graph.constant(np.array(-np.inf, dtype=np.float32))
    largest = graph.node("Where", used, items, lowest)
    largest = graph.node("ReduceMax", largest, axes=[1], keepdims=0)
    # A maximum passes over NaN, which is in vectors of unknown and missing items alone.
    if finite:
        return largest
    nan = graph.constant(np.array(np.nan, dtype=np.float32))
    is_nan = graph.node("And", used, graph.node("IsNaN", items))
    spoilt = graph.node("ReduceMax", graph.cast(is_nan, "FLOAT"), axes=[1], keepdims=0)
    return graph.node("Where", graph.cast(spoilt, "BOOL"), nan, largest)


def _sum(graph: Graph, items: str, used: str, finite: bool) -> str:
    by_item = graph.constant(np.array([1]))
    return graph.cast(_total(graph, items, used, by_item), "FLOAT")


def _mean(graph: Graph, items: str, used: str, finite: bool) -> str:
    by_item = graph.constant(np.array([1]))
    total = _total(graph, items, used, by_item)
    count = graph.node("ReduceSum", graph.cast(used, "DOUBLE"), by_item, keepdims=0)
    return graph.cast(graph.node("Div", total, count), "FLOAT")


def _total(graph: Graph, items: str, used: str, by_item: str) -> str:
    items = graph.node("Where", used, graph.cast(items, "DOUBLE"), graph.constant(0.0))
    return graph.node("ReduceSum", items, by_item, keepdims=0)


ONNX_POOLINGS: dict[type, Callable[[Graph, str, str, bool], str]] = {
    Mean: _mean,
    Sum: _sum,
    Max: _largest,
}
"""The form of each pooling: nodes from items and which of them are used to one vector a list."""


def _rows(graph: Graph, entry: CategoryInput) -> str:
    """Table row of each cell, or of all items of lists, one after the other."""
    cells = graph.node("Reshape", entry.name, graph.constant(np.array([-1])))
    if entry.kind == "DOUBLE":
        return _rows_of_floats(graph, entry, cells)
    if entry.kind == "BOOL":
        cells = graph.cast(cells, "INT64")
    field = "keys_strings" if entry.kind == "STRING" else "keys_int64s"
    graph.reserve(sum(len(k) for k in entry.keys) if entry.kind == "STRING" else 0)
    graph.reserve(16 * len(entry.keys))
    keys = {field: entry.keys, "values_int64s": entry.rows.tolist()}
    return graph.node("LabelEncoder", cells, default_int64=UNKNOWN, **keys)


def _rows_of_floats(graph: Graph, entry: CategoryInput, cells: str) -> str:
    """Table rows of floating point numbers: before ai.onnx.ml 4 no operator looks doubles up."""
    keys = np.asarray(entry.keys, dtype=np.float64)
    flat, at = _search(graph, cells, [keys])
    # An infinite cell ends in the padding, which is the last category if that is infinite, too.
    padding = entry.rows[-1] if np.isposinf(keys[-1]) else UNKNOWN
    rows = _pad([entry.rows], padding)
    found = graph.node("Equal", cells, graph.node("Gather", flat, at))
    row = graph.node("Gather", graph.constant(rows.ravel()), at)
    row = graph.node("Where", found, row, graph.constant(np.array([UNKNOWN])))
    missing = graph.constant(np.array([entry.missing_row]))
    return graph.node("Where", graph.node("IsNaN", cells), missing, row)


def _search(graph: Graph, cells: str, keys: Sequence[NDArray[np.float64]]) -> tuple[str, str]:
    """Binary search of each column in its own sorted keys, a step at a time for all cells.

    Returns
    -------
    flat : str
        The keys of all columns, one after the other.
    at : str
        Position in `flat` of the last key not above each cell; the column's first one if none is.
    """
    padded = _pad(keys, np.inf)
    n_columns, size = padded.shape
    flat = graph.constant(padded.ravel())
    at = graph.constant(np.arange(n_columns) * size)
    while size > 1:
        size //= 2
        further = graph.node("Add", at, graph.constant(np.array([size])))
        reached = graph.node("GreaterOrEqual", cells, graph.node("Gather", flat, further))
        at = graph.node("Where", reached, further, at)
    return flat, at


def _pad(columns: Sequence[NDArray[Any]], value: Any) -> NDArray[Any]:
    """One column a row, all of the same length, a power of two."""
    size = 1 << (max(len(c) for c in columns) - 1).bit_length()
    padded = np.full((len(columns), size), value, dtype=columns[0].dtype)
    for j, column in enumerate(columns):
        padded[j, : len(column)] = column
    return padded


def _scaled(graph: Graph, scaling: ContextScaling, numbers: str) -> str:
    """The network's numbers, as :meth:`ContextScaling.apply` makes them."""
    missing = graph.node("IsNaN", numbers)
    first, last = (graph.constant(np.array([[k[end] for k in scaling.knots]])) for end in (0, -1))
    known = graph.node("Where", missing, first, numbers)
    known = graph.node("Min", graph.node("Max", known, first), last)
    flat, at = _search(graph, known, scaling.knots)
    slopes = [_slopes(k, s) for k, s in zip(scaling.knots, scaling.scores, strict=True)]
    slope, score = (
        graph.node("Gather", graph.constant(_pad(values, 0.0).ravel()), at)
        for values in (slopes, scaling.scores)
    )
    beyond = graph.node("Sub", known, graph.node("Gather", flat, at))
    score = graph.node("Add", graph.node("Mul", slope, beyond), score)
    score = graph.node("Where", missing, graph.constant(np.array([0.0])), score)
    parts = [graph.cast(score, "FLOAT")]
    flagged = np.flatnonzero(scaling.flagged)
    if len(flagged):
        flags = graph.cast(graph.node("Gather", missing, graph.constant(flagged), axis=1), "DOUBLE")
        shares = graph.constant(scaling.missing_shares[flagged][None])
        parts.append(graph.cast(graph.node("Sub", flags, shares), "FLOAT"))
    return graph.node("Concat", *parts, axis=1)


def _slopes(knots: NDArray[np.float64], scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Slope after each knot, by the arithmetic of :func:`numpy.interp`."""
    with np.errstate(over="ignore"):
        slopes = np.append(np.diff(scores) / np.diff(knots), 0.0)
    return np.where(np.isfinite(slopes), slopes, 0.0)  # knots too near for numbers between them


def _perceptron(graph: Graph, head: MLPHead, vectors: Sequence[str], context: str) -> str:
    return _layers(graph, head, vectors, context, len(head.weights))


def _hidden(graph: Graph, head: MLPHead, vectors: Sequence[str], context: str) -> str:
    return _layers(graph, head, vectors, context, len(head.weights) - 1)


def _layers(
    graph: Graph, head: MLPHead, vectors: Sequence[str], context: str, n_layers: int
) -> str:
    """The first layers of a perceptron, summed in float64 as in :class:`MLPHead`."""
    state = graph.node("Concat", *vectors, *filter(None, [context]), axis=1)
    state = graph.cast(state, "DOUBLE")
    last = len(head.weights) - 1
    for i in range(n_layers):
        state = graph.node("MatMul", state, graph.constant(head.weights[i]))
        state = graph.node("Add", state, graph.constant(head.biases[i]))
        state = graph.node("Relu", state) if i < last else state
    return state


def _dots(graph: Graph, head: DotHead, vectors: Sequence[str], context: str) -> str:
    """Dot products, biases and context, summed in float64 as in :class:`DotHead`."""
    n_columns, n_axes = len(head.bias_weights), len(head.axes)
    shape = graph.constant(np.array([-1, n_columns, n_axes + 1]))
    together = graph.node("Concat", *vectors, axis=1)
    blocks = graph.node("Reshape", graph.cast(together, "DOUBLE"), shape)
    axes = graph.node("Gather", blocks, graph.constant(np.arange(n_axes)), axis=2)
    by_column = graph.constant(np.array([1]))
    total = graph.node("ReduceSum", axes, by_column, keepdims=0)
    squares = graph.node("ReduceSum", graph.node("Mul", axes, axes), by_column, keepdims=0)
    beyond = graph.node("Sub", graph.node("Mul", total, total), squares)
    pairs = graph.node("Mul", beyond, graph.constant(0.5))
    biases = graph.node("Gather", blocks, graph.constant(np.array([n_axes])), axis=2)
    biases = graph.node("Squeeze", biases, graph.constant(np.array([2])))
    terms = [(pairs, head.axes), (biases, head.bias_weights)]
    if context:
        terms.append((graph.cast(context, "DOUBLE"), head.context_weights))
    score = graph.constant(head.intercept)
    for values, weights in terms:
        summed = graph.node("MatMul", values, graph.constant(weights[:, None]))
        score = graph.node("Add", score, summed)
    return score


ONNX_HEADS: dict[type, Callable[..., str]] = {MLPHead: _perceptron, DotHead: _dots}
"""The form of each head: nodes from vectors and context to scores."""
ONNX_HIDDEN: dict[type, Callable[..., str]] = {MLPHead: _hidden}
"""The form of the last hidden layer of those that have one."""
