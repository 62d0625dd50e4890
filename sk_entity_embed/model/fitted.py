"""EmbeddingModel: all that a fitted network needs to answer, in NumPy."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import gen_batches

from sk_entity_embed.exceptions import InvalidDataError
from sk_entity_embed.input.context import ContextScaling, stack_numbers
from sk_entity_embed.input.crosses import cross_name, cross_stem
from sk_entity_embed.input.lists import Codes, Lists
from sk_entity_embed.input.messages import shown
from sk_entity_embed.input.table import Column, Table
from sk_entity_embed.input.unknowns import explain_unknown, warn_unknown
from sk_entity_embed.input.vocabulary import (
    UNKNOWN,
    Vocabulary,
    count_missing,
    refuse_missing,
)
from sk_entity_embed.model.heads import Head
from sk_entity_embed.model.losses import Link, Scale
from sk_entity_embed.model.poolings import Pooling
from sk_entity_embed.model.symmetry import Motion, Symmetry
from sk_entity_embed.model.tables import EmbeddingTable, Replaced, gather, vector_names

_BLOCK = 8192
_MEAN_ROWS = 65_536  # Rows at a time, whose mean over members takes double precision.


@dataclass(frozen=True, slots=True)
class CodedRows:
    """Rows ready for look-up.

    `codes` are table rows of each categorical column, of shape (n_samples,), or Lists of them;
    `numbers` the context columns in their own units, of shape (n_samples, n_context_columns).
    """

    codes: list[Codes]
    numbers: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.numbers)


@dataclass(frozen=True, slots=True)
class Output:
    """The parts of ``transform``, side by side.

    They are vectors, hidden layer, predictions (the head's raw outputs), numbers passed through.
    """

    vectors: bool = True
    hidden: bool = False
    predictions: bool = False
    numbers: bool = False

    @classmethod
    def of(cls, output: str, remainder: str = "drop") -> Output:
        """Return what the parameters of these names say."""
        return cls(
            vectors=output != "hidden",
            hidden=output in ("hidden", "both"),
            predictions=output == "stacking",
            numbers=remainder == "passthrough",
        )

    @property
    def name(self) -> str:
        """The value of the parameter `output` that asks for it."""
        if self.predictions:
            return "stacking"
        if self.hidden:
            return "both" if self.vectors else "hidden"
        return "embedding"

    @property
    def is_named(self) -> bool:
        """Whether it has just the parts that its name stands for."""
        return self == replace(Output.of(self.name), numbers=self.numbers)

    @property
    def reads_head(self) -> bool:
        """Whether the head has a part in it."""
        return self.hidden or self.predictions


@dataclass(frozen=True, slots=True)
class WarmStartState:
    """The state of a fit from which the next one can go on.

    `fingerprint` is a hash of the training rows and of what decides their folds; `fold` and
    `validation` are those of the training rows; `classes` the labels of the target; `layers` the
    parameters that decide the shapes of the network, as text; `fixed` the rows of each column's
    tables that were frozen, and `shrinks` says which columns' vectors shrink towards zero.
    """

    fingerprint: str
    fold: NDArray[np.int64]
    validation: NDArray[np.bool_]
    classes: NDArray[Any] | None
    layers: tuple[str, ...]
    fixed: tuple[NDArray[np.bool_], ...]
    shrinks: tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class EmbeddingModel:
    """A fitted network: a frozen value that answers for rows. Variants of it are new models.

    Attributes
    ----------
    names : tuple of str
        All columns of the input.
    categorical, context : tuple of int
        Their positions by role.
    tables : tuple of EmbeddingTable
        One for each categorical column, then one for each cross.
    poolings : tuple of Pooling or None
        How the lists of each become one vector; None for single values.
    max_lengths : tuple of int or None
        How many of the last items of each column's lists are used; None for all.
    scaling : ContextScaling
        Scaling of the context columns.
    head : Head
        The layers above.
    scale : Scale
        Units of the target.
    link : Link
        What makes predictions of the head's outputs.
    crosses : tuple of pairs of int
        Which of the categorical columns, by their places among them, have tables of their pairs.
    gains : tuple of float
        Share of the variance that each pair explains beside its columns.
    output : Output
        What ``transform`` gives.
    refuses_unknown, refuses_missing : bool
        Whether unknown categories and missing cells raise.
    warm_start : WarmStartState or None
        What the next fit needs to go on; None unless it may.
    """

    names: tuple[str, ...]
    categorical: tuple[int, ...]
    context: tuple[int, ...]
    tables: tuple[EmbeddingTable, ...]
    poolings: tuple[Pooling | None, ...]
    max_lengths: tuple[int | None, ...]
    scaling: ContextScaling
    head: Head
    scale: Scale
    link: Link
    crosses: tuple[tuple[int, int], ...] = ()
    gains: tuple[float, ...] = ()
    output: Output = Output()
    refuses_unknown: bool = False
    refuses_missing: bool = False
    warm_start: WarmStartState | None = None

    @property
    def edges(self) -> list[int]:
        """First output column of each table, and the number of all."""
        return [0, *accumulate(t.width for t in self.tables)]

    @property
    def has_biases(self) -> bool:
        """Whether vectors end with a bias."""
        return self.head.biased

    @property
    def column_tables(self) -> tuple[EmbeddingTable, ...]:
        """The tables of the categorical columns, without those of crosses."""
        return self.tables[: len(self.categorical)]

    @property
    def vocabularies(self) -> tuple[Vocabulary, ...]:
        """The vocabularies of the categorical columns, without those of crosses."""
        return tuple(cast(Vocabulary, table.vocabulary) for table in self.column_tables)

    def output_names(self) -> list[str]:
        """Return the names of the columns of ``transform``."""
        embedded = output_stems([self.names[j] for j in self.categorical], self.crosses)
        return output_names(
            self.output,
            [(name, t.width) for name, t in zip(embedded, self.tables, strict=True)],
            [self.names[j] for j in self.context],
            self.head.n_hidden,
            self.head.n_outputs,
            self.head.biased,
        )

    def symmetry_of(self, column: int) -> Symmetry:
        """Return the motions of a column's vectors that pooling and head can follow."""
        return self.head.symmetry_below(self.poolings[column])

    def moved(self, motions: Sequence[Motion | None]) -> EmbeddingModel:
        """Return the model with moved vectors and the same predictions, by column."""
        pools = [
            p if p is None or m is None or p.items_symmetry is None else p.moved(m)
            for p, m in zip(self.poolings, motions, strict=True)
        ]
        # The head sees nothing of a motion that a pooling takes back.
        seen = [
            None if p is not None and p.items_symmetry is not None else m
            for p, m in zip(self.poolings, motions, strict=True)
        ]
        return replace(
            self,
            tables=tuple(t.moved(m) for t, m in zip(self.tables, motions, strict=True)),
            poolings=tuple(pools),
            head=self.head.moved(seen, self.edges),
        )

    def with_output(self, output: Output) -> EmbeddingModel:
        """Return the model with another ``transform``."""
        return replace(self, output=output)

    def with_unknown(self, handle_unknown: str) -> EmbeddingModel:
        """Return the model that serves unknown categories as the parameter of that name says."""
        vector = _SUBSTITUTES[handle_unknown]
        tables = tuple(replace(t, unknown=vector(t)) for t in self.tables)
        return replace(self, tables=tables, refuses_unknown=handle_unknown == "error")

    def with_missing(self, handle_missing: str) -> EmbeddingModel:
        """Return the model that serves missing cells as the parameter of that name says.

        A pair with a missing side is a pair like any other.
        """
        vector = _SUBSTITUTES[handle_missing]
        columns = tuple(replace(t, missing=vector(t)) for t in self.column_tables)
        tables = columns + self.tables[len(columns) :]
        return replace(self, tables=tables, refuses_missing=handle_missing == "error")

    def code(
        self, table: Table, *, serving: bool = True, told: set[str] | None = None
    ) -> CodedRows:
        """Look the rows of a table, with the columns of fit, up.

        Unless it is `serving`, all unknown categories and missing cells are accepted silently.
        Columns in `told` are not warned of again; those that are warned of join them.

        Raises
        ------
        InvalidDataError
            If a category is unknown or a cell missing where this is refused, or a context number
            is infinite or no number.
        """
        columns = [
            table.columns[j] if n is None else table.columns[j].last(n)
            for j, n in zip(self.categorical, self.max_lengths, strict=True)
        ]
        codes: list[Codes] = []
        for column, vocabulary in zip(columns, self.vocabularies, strict=True):
            if serving and self.refuses_missing and (missing := count_missing(column)):
                refuse_missing(column.name, missing)
            coded = vocabulary.encode(column)
            if serving and self.refuses_unknown:
                _refuse_unknown(column, coded, vocabulary)
            told = set() if told is None else told
            if serving and column.name not in told and warn_unknown(column, coded, vocabulary):
                told.add(column.name)
            codes.append(coded)
        for (first, second), embedded in zip(
            self.crosses, self.tables[len(columns) :], strict=True
        ):
            cross: Any = embedded.vocabulary
            codes.append(cross.encode(codes[first], codes[second]))
        numbers = stack_numbers([table.columns[j] for j in self.context], table.n_rows)
        return CodedRows(codes, numbers)

    def transform(
        self, rows: CodedRows, fold: NDArray[np.int64] | None = None
    ) -> NDArray[np.float32]:
        """Return the output for rows: the parts that `output` names, side by side.

        With the `fold` of each row, tables and head are those that never saw it; None asks for the
        mean table and the mean of the heads. Categories that a table has not seen have the learned
        unknown vector.
        """
        shown, head = self.output, self.head
        n_vectors = self.edges[-1] if shown.vectors else 0
        n_hidden = head.n_hidden if shown.hidden else 0
        n_outputs = head.n_outputs if shown.predictions else 0
        n_passed = rows.numbers.shape[1] if shown.numbers else 0
        widths = (n_vectors, n_hidden, n_outputs, n_passed)
        out = np.empty((len(rows), sum(widths)), dtype=np.float32)
        if n_vectors:
            self.embed(rows.codes, out[:, :n_vectors], fold=fold, served=True)
        if n_hidden:
            self.hidden(rows, out[:, n_vectors : n_vectors + n_hidden], fold=fold)
        if n_outputs:
            end = sum(widths) - n_passed
            out[:, end - n_outputs : end] = self.raw(rows, fold=fold)
        if n_passed:
            refuse_beyond_float32(rows.numbers, [self.names[j] for j in self.context])
            out[:, -n_passed:] = rows.numbers
        return out

    def transform_training(self, rows: CodedRows, folds: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the output for training rows, the mean of what each member gives.

        `folds` are the tables that never saw each row, of shape (n_samples, n_members).
        """
        if folds.shape[1] == 1:
            return self.transform(rows, folds[:, 0])
        parts = []
        for at in gen_batches(len(rows), _MEAN_ROWS):
            block = CodedRows([c[at] for c in rows.codes], rows.numbers[at])
            total = np.zeros((len(block), 1))
            for fold in folds[at].T:
                total = total + self.transform(block, fold)
            parts.append((total / folds.shape[1]).astype(np.float32))
        return np.concatenate(parts)

    def predict(self, rows: CodedRows) -> NDArray[np.float64]:
        """Return quantities in the target's units, or probabilities, one column an output."""
        return self.link.predict(self.raw(rows), self.scale)

    def embed(
        self,
        codes: Sequence[Codes],
        out: NDArray[np.float32],
        *,
        fold: NDArray[np.int64] | None = None,
        served: bool = False,
    ) -> None:
        """Write the vectors of all columns side by side into `out`.

        They are the learned ones, or those of ``transform``, if they are `served`. See
        :meth:`transform` for `fold`.
        """
        stacks = [t.stack if fold is not None else t.stack[-1:] for t in self.tables]
        rows = codes
        if fold is not None:
            rows = [t.flat(c, fold) for t, c in zip(self.tables, codes, strict=True)]
        replaced: list[Replaced] = [t.replaced if served else {} for t in self.tables]
        for j, vectors in enumerate(replaced):
            if vectors and isinstance(codes[j], Lists):  # what is pooled cannot be replaced later
                stacks[j] = stacks[j].copy()
                for row, vector in vectors.items():
                    stacks[j][:, row] = vector
        sources = [s.reshape(-1, s.shape[2]) for s in stacks]
        gather(sources, rows, out, self.poolings)
        for c, vectors, start in zip(codes, replaced, self.edges, strict=False):
            if not isinstance(c, Lists):
                for row, vector in vectors.items():
                    out[np.flatnonzero(c == row), start : start + len(vector)] = vector

    def hidden(
        self, rows: CodedRows, out: NDArray[np.float32], *, fold: NDArray[np.int64] | None = None
    ) -> None:
        """Write the head's last hidden layer, on learned vectors, into `out`."""
        for at, vectors, context in self._blocks(rows, fold):
            out[at] = self.head.hidden(vectors, context, None if fold is None else fold[at])

    def raw(self, rows: CodedRows, *, fold: NDArray[np.int64] | None = None) -> NDArray[np.float64]:
        """Return the head's outputs, on learned vectors, before the link."""
        out = np.empty((len(rows), self.head.n_outputs))
        for at, vectors, context in self._blocks(rows, fold):
            out[at] = self.head.raw(vectors, context, None if fold is None else fold[at])
        return out

    def _blocks(
        self, rows: CodedRows, fold: NDArray[np.int64] | None
    ) -> Iterator[tuple[slice, NDArray[np.float32], NDArray[np.float32]]]:
        """Yield what enters the head, a block of rows at a time: vectors and scaled numbers."""
        for start in range(0, len(rows), _BLOCK):
            at = slice(start, start + _BLOCK)
            block = rows.numbers[at]
            vectors = np.empty((len(block), self.edges[-1]), dtype=np.float32)
            self.embed(
                [c[at] for c in rows.codes], vectors, fold=None if fold is None else fold[at]
            )
            yield at, vectors, self.scaling.apply(block)


_SUBSTITUTES: dict[str, Callable[[EmbeddingTable], NDArray[np.float32] | None]] = {
    "learned": lambda table: None,
    "category": lambda table: None,
    "error": lambda table: None,
    "zero": lambda table: table.center,
    "nan": lambda table: np.full_like(table.center, np.nan),
}
"""Vectors in place of the learned ones, by policy."""


def output_names(
    output: Output,
    embedded: Sequence[tuple[str, int]],
    passed: Sequence[str],
    n_hidden: int,
    n_outputs: int,
    biased: bool,
) -> list[str]:
    """Return the names of output columns, in order.

    `embedded` are stems and widths of columns and crosses, `passed` names of context columns.
    """
    out: list[str] = []
    if output.vectors:
        for name, width in embedded:
            out += vector_names(name, width, biased=biased)
    if output.hidden:
        out += [f"hidden_{i}" for i in range(n_hidden)]
    if output.predictions:
        out += [f"prediction_{i}" for i in range(n_outputs)]
    if output.numbers:
        out += passed
    return out


def embedded_names(columns: Sequence[str], crosses: Sequence[tuple[int, int]]) -> list[str]:
    """Return the names of what has a table: of the categorical columns, then of the crosses."""
    return [*columns, *(cross_name(columns[a], columns[b]) for a, b in crosses)]


def output_stems(columns: Sequence[str], crosses: Sequence[tuple[int, int]]) -> list[str]:
    """Return what output columns are named after, of the same tables."""
    return [*columns, *(cross_stem(columns[a], columns[b]) for a, b in crosses)]


def refuse_beyond_float32(numbers: NDArray[np.float64], names: Sequence[str]) -> None:
    """Refuse numbers that would become infinite in the output."""
    too_large = (np.abs(numbers) > np.finfo(np.float32).max).any(axis=0)
    if too_large.any():
        raise InvalidDataError(
            f"Column {names[int(np.argmax(too_large))]!r} has numbers beyond the range of float32, "
            "the type of the output; scale it, or use remainder='drop'."
        )


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
