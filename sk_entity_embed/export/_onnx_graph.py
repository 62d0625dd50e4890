"""ONNX nodes that do not depend on a kind: how cells become table rows and scaled numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sk_entity_embed.exceptions import InvalidDataError
from sk_entity_embed.input.context import ContextScaling, slopes
from sk_entity_embed.input.vocabulary import UNKNOWN

OPSET = 17
"""Version of the operators of ai.onnx, old enough for any runtime since 2022."""
_MAX_BYTES = 2**31 - 2**20
"""Protocol buffers end at 2 GiB; the rest is for what is not counted."""


@dataclass(frozen=True, slots=True)
class ListInput:
    """How the cells of a column are lists: padded items, and their number as another input.

    `lengths` is the name of that input, -1 where a list is missing. `pooling` makes nodes of the
    items' vectors and of which are used; of a list at most the last `max_length` items are.
    """

    lengths: str
    pooling: Callable[[Graph, str, str, bool], str]
    max_length: int | None
    empty_row: int


@dataclass(frozen=True, slots=True)
class CategoryInput:
    """How a categorical column enters: its tensor type, its keys and the table row of each.

    `kind` is "STRING", "INT64", "BOOL" or "DOUBLE". The last key may stand for a missing cell;
    floats are sorted, and `missing_row` is that of NaN.
    """

    name: str
    kind: str
    keys: Any
    rows: NDArray[np.int64]
    missing_row: int
    can_miss: bool
    lists: ListInput | None = None


@dataclass(frozen=True, slots=True)
class CrossInput:
    """How the cells of two columns enter as pairs: the numbers of pairs, and table rows of each.

    `n_second` are the rows of the second column's table. Pairs of lists are not among them.
    """

    first: CategoryInput
    second: CategoryInput
    n_second: int
    pairs: list[int]
    rows: list[int]
    lists: None = None


class Graph:
    """Nodes and constants under names that are not `taken`, by the columns or by other graphs.

    `tensors` are the names of the columns' inputs, where they are not those of the columns.
    `opset` is the version of the operators.
    """

    def __init__(
        self, taken: Iterable[str], tensors: Mapping[str, str] | None = None, opset: int = OPSET
    ) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self._tensors = tensors
        self._opset = opset
        self._taken = set(taken)
        self._prefix = "_"
        while any(name.startswith(self._prefix) for name in self._taken):
            self._prefix += "_"
        self._bytes = 0
        self._rows: dict[str, str] = {}

    def cells(self, column: str) -> str:
        """Return the name of the input that holds a column's cells."""
        return column if self._tensors is None else self._tensors[column]

    def free(self, name: str) -> str:
        """Return a name for an input or an output, which no column has."""
        while name in self._taken:
            name += "_"
        self._taken.add(name)
        return name

    def once(self, key: str, make: Callable[[], str]) -> str:
        """Return the name of a result that is made when it is first asked for."""
        if key not in self._rows:
            self._rows[key] = make()
        return self._rows[key]

    def reserve(self, n_bytes: int) -> None:
        """Count what goes into the model, before it is copied."""
        self._bytes += n_bytes
        if self._bytes > _MAX_BYTES:
            raise InvalidDataError(
                f"The tables need more than {_MAX_BYTES:,} bytes, but an ONNX model ends at 2 GB. "
                "Fit with smaller `dimensions` or with `min_frequency` or `max_categories`, or "
                "export look-up tables with `to_parquet`."
            )

    def constant(self, value: Any, *, scalar: bool = False) -> str:
        """Add an array of at least one dimension, or a scalar without; return its name."""
        from onnx import numpy_helper

        array = np.array(value) if scalar else np.ascontiguousarray(value)
        self.reserve(array.nbytes)
        name = f"{self._prefix}constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def node(self, operator: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        """Add an operator; return the name of its result."""
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
        """Return the name of a value in another type."""
        from onnx import TensorProto

        return self.node("Cast", value, to=getattr(TensorProto, kind))

    def reduce(self, operator: str, value: str, axis: int, *, keepdims: bool = False) -> str:
        """Reduce a value over one axis, which opset 18 made an input instead of an attribute."""
        if self._opset < 18:
            return self.node(operator, value, axes=[axis], keepdims=int(keepdims))
        return self.node(operator, value, self.constant([axis]), keepdims=int(keepdims))


def add_rows(graph: Graph, entry: CategoryInput | CrossInput) -> str:
    """Return the table row of each cell, or of all items of lists, one after the other."""
    if isinstance(entry, CrossInput):
        return _rows_of_pairs(graph, entry)
    return graph.once(entry.name, lambda: _rows_of_cells(graph, entry))


def _rows_of_pairs(graph: Graph, entry: CrossInput) -> str:
    """Return the table row of each pair of two columns' rows."""
    first, second = add_rows(graph, entry.first), add_rows(graph, entry.second)
    numbers = graph.node("Mul", first, graph.constant([entry.n_second]))
    numbers = graph.node("Add", numbers, second)
    graph.reserve(16 * len(entry.pairs))
    return graph.node(
        "LabelEncoder",
        numbers,
        default_int64=UNKNOWN,
        keys_int64s=entry.pairs,
        values_int64s=entry.rows,
    )


def _rows_of_cells(graph: Graph, entry: CategoryInput) -> str:
    """Return the table row of each cell, or item, by its value."""
    cells = graph.node("Reshape", graph.cells(entry.name), graph.constant([-1]))
    if entry.kind == "DOUBLE":
        return _rows_of_floats(graph, entry, cells)
    if entry.kind == "BOOL":
        cells = graph.cast(cells, "INT64")
    field = "keys_strings" if entry.kind == "STRING" else "keys_int64s"
    graph.reserve(sum(len(k) for k in entry.keys) if entry.kind == "STRING" else 0)
    graph.reserve(16 * len(entry.keys))
    keys = {field: entry.keys, "values_int64s": entry.rows.tolist()}
    return graph.node("LabelEncoder", cells, default_int64=UNKNOWN, **keys)


def add_rows_of_lists(graph: Graph, entry: CategoryInput, lists: ListInput) -> tuple[str, str]:
    """Return table rows of lists' items, and which of them count: of shape (n_samples, n + 1).

    The first one stands for the items of an empty or a missing list.
    """
    shape = graph.node("Shape", graph.cells(entry.name))
    rows = graph.node("Reshape", add_rows(graph, entry), shape, allowzero=1)
    lengths = lists.lengths
    is_missing = graph.node("Less", lengths, graph.constant([[0]]))
    missing, empty = graph.constant([[entry.missing_row]]), graph.constant([[lists.empty_row]])
    stand_in = graph.node("Where", is_missing, missing, empty)
    n_items = graph.node("Gather", shape, graph.constant(1, scalar=True), axis=0)
    ends = (graph.constant(0, scalar=True), n_items, graph.constant(1, scalar=True))
    position = graph.node("Range", *ends)
    used = graph.node("Less", position, lengths)
    if lists.max_length is not None:
        first = graph.node("Sub", lengths, graph.constant([[lists.max_length]]))
        used = graph.node("And", used, graph.node("GreaterOrEqual", position, first))
    has_none = graph.node("Less", lengths, graph.constant([[1]]))
    return (
        graph.node("Concat", stand_in, rows, axis=1),
        graph.node("Concat", has_none, used, axis=1),
    )


def add_scaled(graph: Graph, scaling: ContextScaling, numbers: str) -> str:
    """Return the network's numbers, as :meth:`ContextScaling.apply` makes them."""
    missing = graph.node("IsNaN", numbers)
    first, last = (graph.constant([[k[end] for k in scaling.knots]]) for end in (0, -1))
    known = graph.node("Where", missing, first, numbers)
    known = graph.node("Min", graph.node("Max", known, first), last)
    flat, at = _search(graph, known, scaling.knots)
    beyond = graph.node("Sub", known, graph.node("Gather", flat, at))
    # From here on there is a column for each of the network's numbers.
    size = _padded_size(scaling.knots)
    source = np.repeat(np.arange(len(scaling.scores)), [s.shape[1] for s in scaling.scores])
    missing_of, beyond, at = (
        graph.node("Gather", of_column, graph.constant(source), axis=-1)
        for of_column in (missing, beyond, at)
    )
    at = graph.node("Add", at, graph.constant((np.arange(len(source)) - source) * size))
    after = [slopes(k, s) for k, s in zip(scaling.knots, scaling.scores, strict=True)]
    slope, score = (
        graph.node("Gather", graph.constant(_pad(functions, 0.0).ravel()), at)
        for functions in ([f for m in of for f in m.T] for of in (after, scaling.scores))
    )
    score = graph.node("Add", graph.node("Mul", slope, beyond), score)
    score = graph.node("Where", missing_of, graph.constant(0.0), score)
    parts = [graph.cast(score, "FLOAT")]
    flagged = np.flatnonzero(scaling.flagged)
    if len(flagged):
        flags = graph.cast(graph.node("Gather", missing, graph.constant(flagged), axis=1), "DOUBLE")
        shares = graph.constant(scaling.missing_shares[flagged][None])
        parts.append(graph.cast(graph.node("Sub", flags, shares), "FLOAT"))
    return graph.node("Concat", *parts, axis=1)


def _rows_of_floats(graph: Graph, entry: CategoryInput, cells: str) -> str:
    """Return table rows of floats: before ai.onnx.ml 4 no operator looks doubles up."""
    keys = np.asarray(entry.keys, dtype=np.float64)
    flat, at = _search(graph, cells, [keys])
    # An infinite cell ends in the padding, which is the last category if that is infinite, too.
    padding = entry.rows[-1] if np.isposinf(keys[-1]) else UNKNOWN
    rows = _pad([entry.rows], padding)
    found = graph.node("Equal", cells, graph.node("Gather", flat, at))
    row = graph.node("Gather", graph.constant(rows.ravel()), at)
    row = graph.node("Where", found, row, graph.constant([UNKNOWN]))
    missing = graph.constant([entry.missing_row])
    return graph.node("Where", graph.node("IsNaN", cells), missing, row)


def _search(graph: Graph, cells: str, keys: Sequence[NDArray[np.float64]]) -> tuple[str, str]:
    """Search each column in its own sorted keys, by halving, a step at a time for all cells.

    Return the keys of all columns, one after the other, and the position there of the last key not
    above each cell, or of the column's first one.
    """
    padded = _pad(keys, np.inf)
    n_columns, size = padded.shape
    flat = graph.constant(padded.ravel())
    at = graph.constant(np.arange(n_columns) * size)
    while size > 1:
        size //= 2
        further = graph.node("Add", at, graph.constant([size]))
        reached = graph.node("GreaterOrEqual", cells, graph.node("Gather", flat, further))
        at = graph.node("Where", reached, further, at)
    return flat, at


def _padded_size(columns: Sequence[NDArray[Any]]) -> int:
    return 1 << (max(len(c) for c in columns) - 1).bit_length()


def _pad(columns: Sequence[NDArray[Any]], value: Any) -> NDArray[Any]:
    """Return one column a row, all of the same length, a power of two."""
    padded = np.full((len(columns), _padded_size(columns)), value, dtype=columns[0].dtype)
    for j, column in enumerate(columns):
        padded[j, : len(column)] = column
    return padded
