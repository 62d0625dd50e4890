"""EmbeddingModel: everything a fitted network needs to answer, in NumPy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sk_entity_embed.exceptions import InvalidDataError
from sk_entity_embed.head import Head
from sk_entity_embed.input.columns import Column, Table
from sk_entity_embed.input.context import ContextScaling, stack_numbers
from sk_entity_embed.input.lists import Codes, Lists
from sk_entity_embed.input.messages import shown
from sk_entity_embed.input.target import Scale
from sk_entity_embed.input.unknowns import explain_unknown, warn_unknown
from sk_entity_embed.input.vocabulary import UNKNOWN, Vocabulary, count_missing, refuse_missing
from sk_entity_embed.pooling import Pooler
from sk_entity_embed.tables import EmbeddingTable, Replaced, gather, take

Link: TypeAlias = Literal["identity", "bounded", "log", "logit", "softmax"]

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
    codes : list of ndarray of int32 of shape (n_samples,) or Lists
        Table rows of each categorical column.
    numbers : ndarray of float64 of shape (n_samples, n_context_columns)
        Context columns in their own units.
    """

    codes: list[Codes]
    numbers: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.numbers)

    def take(self, rows: NDArray[np.intp]) -> CodedRows:
        """The same at the given rows."""
        return CodedRows([take(c, rows) for c in self.codes], self.numbers[rows])


@dataclass(frozen=True, slots=True)
class EmbeddingModel:
    """A fitted network.

    Attributes
    ----------
    tables : tuple of EmbeddingTable
        One for each categorical column.
    head : Head
        The layers above them.
    categorical, context : tuple of int
        Positions of the columns in the input.
    scaling : ContextScaling
        Scaling of the context columns.
    scale : Scale
        Units of the target, and bounds of predictions.
    pooling : tuple of {"mean", "sum", "max"}, GRU or None
        How each column's lists become one vector; None for columns of single values.
    max_lengths : tuple of int or None
        How many of the last items of each column's lists are used; None for all.
    """

    tables: tuple[EmbeddingTable, ...]
    head: Head
    categorical: tuple[int, ...]
    context: tuple[int, ...]
    scaling: ContextScaling
    scale: Scale
    pooling: tuple[Pooler | None, ...]
    max_lengths: tuple[int | None, ...]

    @property
    def edges(self) -> list[int]:
        """First output column of each table, and the number of all."""
        return np.cumsum([0, *(t.width for t in self.tables)]).tolist()

    def code(
        self,
        table: Table,
        *,
        refuse_unknown: bool,
        missing_is_error: bool,
        tell_unknown: bool = False,
    ) -> CodedRows:
        """Look the rows of a table up.

        Parameters
        ----------
        table : Table
            New rows, with the columns of fit.
        refuse_unknown, missing_is_error : bool
            Whether unknown categories and missing cells raise.
        tell_unknown : bool, default=False
            Whether to warn of columns that are nearly all unknown.

        Raises
        ------
        InvalidDataError
            If one does, or a context number is infinite or no number.
        """
        columns = [
            table.columns[j] if n is None else table.columns[j].last(n)
            for j, n in zip(self.categorical, self.max_lengths, strict=True)
        ]
        vocabularies = [t.vocabulary for t in self.tables]
        codes = []
        for column, vocabulary in zip(columns, vocabularies, strict=True):
            if missing_is_error and (missing := count_missing(column)):
                refuse_missing(column.name, missing)
            coded = vocabulary.encode(column)
            if refuse_unknown:
                _refuse_unknown(column, coded, vocabulary)
            if tell_unknown:
                warn_unknown(column, coded, vocabulary)
            codes.append(coded)
        numbers = stack_numbers([table.columns[j] for j in self.context], table.n_rows)
        return CodedRows(codes, numbers)

    def embed(
        self,
        codes: Sequence[Codes],
        out: NDArray[np.float32],
        *,
        fold: NDArray[np.int64] | None = None,
        replaced: Sequence[Replaced] | None = None,
    ) -> None:
        """Write the vectors of all columns side by side into `out`.

        Parameters
        ----------
        codes : sequence of ndarray of int32 of shape (n_samples,) or Lists
            Table rows of each column.
        out : ndarray of float32 of shape (n_samples, sum of the widths)
            Filled in place.
        fold : ndarray of int64 of shape (n_samples,), default=None
            Fold of each row, to take its vectors from the tables that never saw it; -1 asks for
            the mean table, as None does for all rows.
        replaced : sequence of mappings from int to ndarray of float32 of shape (width,), \
                default=None
            Vectors for some rows of each column's tables instead of the learned ones.
        """
        stacks = [t.stack if fold is not None else t.stack[-1:] for t in self.tables]
        rows = codes
        if fold is not None:
            rows = [t.flat(c, fold) for t, c in zip(self.tables, codes, strict=True)]
        for j, vectors in enumerate(replaced or ()):
            if vectors and isinstance(codes[j], Lists):  # what is pooled cannot be replaced later
                stacks[j] = stacks[j].copy()
                for row, vector in vectors.items():
                    stacks[j][:, row] = vector
        sources = [s.reshape(-1, s.shape[2]) for s in stacks]
        gather(sources, rows, out, self.pooling)
        for c, vectors, start in zip(codes, replaced or (), self.edges, strict=False):
            if not isinstance(c, Lists):
                for row, vector in vectors.items():
                    out[np.flatnonzero(c == row), start : start + len(vector)] = vector

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
        out = np.empty((len(rows), self.head.n_outputs))
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


def _refuse_unknown(column: Column, codes: Codes, vocabulary: Vocabulary) -> None:
    items = codes.items if isinstance(codes, Lists) else codes
    unknown = np.flatnonzero(items == UNKNOWN)
    if len(unknown) == 0:
        return
    row = unknown[:1]
    if isinstance(codes, Lists):
        row = codes.rows[row]
        unknown = np.unique(codes.rows[unknown])
    cell = column.take(row)
    wrong_kind = explain_unknown(column, codes, vocabulary)
    raise InvalidDataError(
        f"Found unknown categories in column {column.name!r}: {len(unknown)} "
        f"row(s), the first one {_shown(cell, vocabulary)}, and handle_unknown='error'. "
        + (wrong_kind or "Use another policy, such as 'learned', to accept them.")
    )


def _shown(cell: Column, vocabulary: Vocabulary) -> str:
    """The unknown category of a single row, as it reads in an error message."""
    if cell.is_list and not len(cell.items):
        return "a missing list" if count_missing(cell) else "an empty list"
    if cell.is_list:
        at = int(np.argmax(vocabulary.rows_of(vocabulary.locate(cell.items)) == UNKNOWN))
        cell = cell.items.take(np.array([at]))
    return "a missing value" if count_missing(cell) else shown(cell.value(0))
