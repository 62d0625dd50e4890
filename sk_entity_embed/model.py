"""EmbeddingModel: everything a fitted network needs to answer, in NumPy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sk_entity_embed.exceptions import InvalidDataError
from sk_entity_embed.head import MLPHead
from sk_entity_embed.input.columns import Column, Table
from sk_entity_embed.input.context import ContextScaling, stack_numbers
from sk_entity_embed.input.target import Scale
from sk_entity_embed.input.vocabulary import UNKNOWN, Vocabulary, count_missing, refuse_missing
from sk_entity_embed.tables import EmbeddingTable, gather

Link: TypeAlias = Literal["identity", "log", "logit", "softmax"]

LINKS: dict[str, Link] = {
    "continuous": "identity",
    "poisson": "log",
    "binary": "logit",
    "multilabel-indicator": "logit",
    "multiclass": "softmax",
}
"""What the head's outputs are of the target, by its kind or loss."""

MAX_EXPONENT = 88.0
"""What a logarithmic link cuts outputs at: float32, the type of training, ends there."""

_BLOCK = 8192


@dataclass(frozen=True, slots=True)
class CodedRows:
    """Rows ready for look-up.

    Attributes
    ----------
    codes : list of ndarray of int32 of shape (n_samples,)
        Table rows of each categorical column.
    numbers : ndarray of float64 of shape (n_samples, n_context_columns)
        Context columns in their own units.
    """

    codes: list[NDArray[np.int32]]
    numbers: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.numbers)

    def take(self, rows: NDArray[np.intp]) -> CodedRows:
        """The same at the given rows."""
        return CodedRows([c[rows] for c in self.codes], self.numbers[rows])


@dataclass(frozen=True, slots=True)
class EmbeddingModel:
    """A fitted network.

    Attributes
    ----------
    tables : tuple of EmbeddingTable
        One for each categorical column.
    head : MLPHead
        The layers above them.
    categorical, context : tuple of int
        Positions of the columns in the input.
    scaling : ContextScaling
        Scaling of the context columns.
    scale : Scale
        Units of the target.
    """

    tables: tuple[EmbeddingTable, ...]
    head: MLPHead
    categorical: tuple[int, ...]
    context: tuple[int, ...]
    scaling: ContextScaling
    scale: Scale

    @property
    def edges(self) -> list[int]:
        """First output column of each table, and the number of all."""
        return np.cumsum([0, *(t.width for t in self.tables)]).tolist()

    def code(self, table: Table, *, refuse_unknown: bool, missing_is_error: bool) -> CodedRows:
        """Look the rows of a table up.

        Parameters
        ----------
        table : Table
            New rows, with the columns of fit.
        refuse_unknown, missing_is_error : bool
            Whether unknown categories and missing cells raise.

        Raises
        ------
        InvalidDataError
            If one does, or a context number is infinite or no number.
        """
        columns = [table.columns[j] for j in self.categorical]
        vocabularies = [t.vocabulary for t in self.tables]
        codes = []
        for column, vocabulary in zip(columns, vocabularies, strict=True):
            if missing_is_error and (missing := count_missing(column)):
                refuse_missing(column.name, missing)
            coded = vocabulary.encode(column)
            if refuse_unknown:
                _refuse_unknown(column, coded, vocabulary)
            codes.append(coded)
        numbers = stack_numbers([table.columns[j] for j in self.context], table.n_rows)
        return CodedRows(codes, numbers)

    def embed(
        self,
        codes: Sequence[NDArray[np.integer[Any]]],
        out: NDArray[np.float32],
        *,
        fold: NDArray[np.int64] | None = None,
        unknown: Sequence[NDArray[np.float32]] | None = None,
    ) -> None:
        """Write the vectors of all columns side by side into `out`.

        Parameters
        ----------
        codes : sequence of ndarray of int32 of shape (n_samples,)
            Table rows of each column.
        out : ndarray of float32 of shape (n_samples, sum of the widths)
            Filled in place.
        fold : ndarray of int64 of shape (n_samples,), default=None
            Fold of each row, to take its vectors from the tables that never saw it; -1 asks for
            the mean table, as None does for all rows.
        unknown : sequence of ndarray of float32 of shape (width,), default=None
            Vectors for unknown categories instead of the learned ones.
        """
        if fold is not None:
            sources = [t.stack.reshape(-1, t.width) for t in self.tables]
            codes = [t.flat(c, fold) for t, c in zip(self.tables, codes, strict=True)]
        elif unknown is not None:
            sources = [t.with_unknown(v) for t, v in zip(self.tables, unknown, strict=True)]
        else:
            sources = [t.vectors for t in self.tables]
        gather(sources, codes, out)

    def hidden(
        self, rows: CodedRows, out: NDArray[np.float32], *, fold: NDArray[np.int64] | None = None
    ) -> None:
        """Write the head's last hidden layer, on learned vectors, into `out`.

        Parameters
        ----------
        rows : CodedRows
            The rows.
        out : ndarray of float32 of shape (n_samples, n_hidden)
            Filled in place.
        fold : ndarray of int64 of shape (n_samples,), default=None
            As in :meth:`embed`.
        """
        for at, vectors, context in self._blocks(rows, fold):
            out[at] = self.head.hidden(vectors, context)

    def raw(self, rows: CodedRows) -> NDArray[np.float64]:
        """The head's outputs, on learned vectors, before any link function.

        Parameters
        ----------
        rows : CodedRows
            The rows.

        Returns
        -------
        ndarray of float64 of shape (n_samples, n_outputs)
            In the network's units.
        """
        out = np.empty((len(rows), len(self.head.biases[-1])))
        for at, vectors, context in self._blocks(rows, None):
            out[at] = self.head.raw(vectors, context)
        return out

    def _blocks(
        self, rows: CodedRows, fold: NDArray[np.int64] | None
    ) -> Iterator[tuple[slice, NDArray[np.float32], NDArray[np.float32]]]:
        """What enters the head, a block of rows at a time: vectors and scaled numbers."""
        for start in range(0, len(rows), _BLOCK):
            at = slice(start, start + _BLOCK)
            block = rows.numbers[at]
            vectors = np.empty((len(block), self.edges[-1]), dtype=np.float32)
            self.embed(
                [c[at] for c in rows.codes], vectors, fold=None if fold is None else fold[at]
            )
            yield at, vectors, self.scaling.apply(block)


def _refuse_unknown(column: Column, codes: NDArray[np.int32], vocabulary: Vocabulary) -> None:
    unknown = np.flatnonzero(codes == UNKNOWN)
    if len(unknown) == 0:
        return
    cell = column.take(unknown[:1])
    if count_missing(cell):
        shown = "a missing value"
    else:
        position = 0 if cell.indices is None else int(cell.indices[0])
        value = cell.cells[position]
        shown = repr(value.as_py() if hasattr(value, "as_py") else value)
    raise InvalidDataError(
        f"Found unknown categories in column {column.name!r}: {len(unknown)} "
        f"row(s), the first one {shown}, and handle_unknown='error'. Use another policy, such as "
        "'learned', to accept them."
    )
