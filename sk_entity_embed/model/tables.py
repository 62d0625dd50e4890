"""Tables of vectors, and the way from table rows to vectors: side by side, lists pooled."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.utils import gen_batches

from sk_entity_embed.input.crosses import AnyVocabulary
from sk_entity_embed.input.lists import Codes, Lists
from sk_entity_embed.input.threads import on_threads, runs
from sk_entity_embed.input.vocabulary import MISSING, UNKNOWN
from sk_entity_embed.model.poolings import Pooling
from sk_entity_embed.model.recognition import NearestRows, VectorIndex
from sk_entity_embed.model.symmetry import Motion

_BLOCK = 4096
_PARALLEL = 2**20  # Numbers of the output that are worth a thread of their own.


def take(codes: Codes, rows: NDArray[np.intp]) -> Codes:
    """Codes of some rows."""
    return codes.take(rows) if isinstance(codes, Lists) else codes[rows]


def shift(codes: Codes, table: NDArray[np.int64], n_rows: int) -> Codes:
    """Return rows in stacked tables, one table after the other, of `n_rows` rows each.

    `codes` are rows of a table, `table` the table of each of them.
    """
    if isinstance(codes, Lists):
        return replace(codes, items=table[codes.rows] * n_rows + codes.items)
    return table * n_rows + codes


def gather(
    sources: Sequence[NDArray[np.float32]],
    rows: Sequence[Codes],
    out: NDArray[np.float32],
    poolings: Sequence[Pooling | None],
) -> None:
    """Write the vectors of several columns side by side into `out`, of float32.

    Column j takes `rows` of ``sources[j]``, of shape (n_rows, width), pooled where they are lists.
    It is done a block of rows at a time, so that blocks stay in cache.
    """
    edges = np.cumsum([0, *(s.shape[1] for s in sources)]).tolist()

    def fill(run: slice) -> None:
        buffers = [np.empty((_BLOCK, s.shape[1]), dtype=np.float32) for s in sources]
        for start in range(run.start, run.stop, _BLOCK):
            at = slice(start, min(start + _BLOCK, run.stop))
            for j, source in enumerate(sources):
                block = out[at, edges[j] : edges[j + 1]]
                taken = block if block.flags.c_contiguous else buffers[j][: len(block)]
                codes = rows[j][at]
                if isinstance(codes, Lists):
                    pooling = poolings[j]
                    assert pooling is not None
                    pooling(source, codes, taken)
                else:
                    # Codes are valid rows; "clip" only spares numpy a second copy of the result.
                    np.take(source, codes, axis=0, out=taken, mode="clip")
                if taken is not block:
                    _as_items(block)[:] = _as_items(taken)

    # Each run begins where a block does, so that sums and products are of the same rows.
    n_blocks = max(1, _PARALLEL // (_BLOCK * max(1, out.shape[1])))
    on_threads(fill, runs(len(out), at_least=n_blocks * _BLOCK))


def _as_items(vectors: NDArray[np.float32]) -> NDArray[np.void]:
    """Each row as one opaque item, which numpy copies at once, not number by number."""
    items: NDArray[np.void] = vectors.view(np.dtype((np.void, 4 * vectors.shape[1])))[:, 0]
    return items


NOT_INFERRED = (NotImplementedError, TypeError, UnicodeEncodeError)
"""Errors that pandas raises for lone surrogates and for intervals of unlike ends."""

Replaced: TypeAlias = Mapping[int, NDArray[np.float32]]
"""Vectors that ``transform`` gives in place of some rows of a table, by row: policies as data."""


class _Derived:
    """Slots for what is made of the fields when it is first needed; no fields, never pickled."""

    __slots__ = ("_indexes",)

    _indexes: tuple[VectorIndex, NearestRows]


@dataclass(frozen=True, slots=True)
class EmbeddingTable(_Derived):
    """The vectors of one column, or of a cross, learned and served.

    Attributes
    ----------
    vocabulary : Vocabulary or CrossVocabulary
        Categories and their rows.
    stack : ndarray of float32 of shape (n_tables + 1, n_rows, width)
        The fold tables and, last, their mean; without cross-fitting, the one table only.
    center : ndarray of float32 of shape (width,)
        Mean vector of the training rows.
    biased : bool
        Whether the last number of each vector is a bias, not an axis.
    unknown, missing : ndarray of float32 of shape (width,) or None
        Vectors that ``transform`` gives unknown categories and missing cells in place of the
        learned ones; None for these.
    """

    vocabulary: AnyVocabulary
    stack: NDArray[np.float32]
    center: NDArray[np.float32]
    biased: bool = False
    unknown: NDArray[np.float32] | None = None
    missing: NDArray[np.float32] | None = None

    @property
    def vectors(self) -> NDArray[np.float32]:
        """The vectors of ``transform``, of shape (n_rows, width)."""
        mean: NDArray[np.float32] = self.stack[-1]
        return mean

    @property
    def width(self) -> int:
        """Numbers in a vector, a bias included."""
        return int(self.stack.shape[2])

    @property
    def n_axes(self) -> int:
        """Numbers in a vector that are coordinates."""
        return self.width - self.biased

    def names(self) -> list[str]:
        """Names of the numbers in a vector, as output columns."""
        return vector_names(self.vocabulary.stem, self.width, biased=self.biased)

    @property
    def replaced(self) -> Replaced:
        """Vectors that ``transform`` gives in place of learned ones, by row."""
        rows = {UNKNOWN: self.unknown, MISSING: self.missing}
        return {row: vector for row, vector in rows.items() if vector is not None}

    @property
    def served(self) -> NDArray[np.float32]:
        """The vectors of ``transform``, replaced ones among them, of shape (n_rows, width)."""
        if not self.replaced:
            return self.vectors
        vectors = self.vectors.copy()
        for row, vector in self.replaced.items():
            vectors[row] = vector
        return vectors

    def moved(self, motion: Motion | None) -> EmbeddingTable:
        """Return the table with all vectors moved; None leaves it as it is."""
        if motion is None:
            return self
        return replace(
            self,
            stack=motion.apply(self.stack),
            center=motion.apply(self.center),
            unknown=None if self.unknown is None else motion.apply(self.unknown),
        )

    def flat(self, codes: Codes, fold: NDArray[np.int64]) -> Codes:
        """Return rows of ``stack``, flattened, that hold each cell's out-of-fold vector.

        `codes` are table rows, `fold` the fold of each training row; -1 asks for the mean table.
        """
        n_tables, n_rows, _ = self.stack.shape
        return shift(codes, fold % n_tables, n_rows)

    def frame(self) -> pd.DataFrame:
        """Vectors of all categories, without a bias, indexed by category."""
        vectors = self.vectors[self.vocabulary.label_rows]
        return pd.DataFrame(vectors[:, : self.n_axes], index=self._index())

    def biases(self) -> pd.Series:
        """Biases of all categories, indexed by category."""
        biases = self.vectors[self.vocabulary.label_rows, -1]
        return pd.Series(biases, index=self._index(), name="bias")

    def _index(self) -> pd.Index:
        levels = [label_index(labels, name) for name, labels in self.vocabulary.parts]
        if len(levels) == 1:
            return levels[0]
        return pd.MultiIndex.from_arrays([level.infer_objects() for level in levels])

    def nearest(self, vectors: NDArray[np.float32]) -> NDArray[Any]:
        """Return the category of the nearest row, exactly that of a vector taken from a table.

        Vectors of shape (n_samples, width) that are not finite are unknown, but those of NaN
        missing where ``transform`` gives NaN for missing cells alone. A category that a table has
        not seen is unknown there. See :meth:`Vocabulary.decode`.
        """
        replaced = self.replaced
        exact, _ = self._recognised()
        found = exact.find(vectors)
        n_tables, n_rows, _ = self.stack.shape
        in_mean = found >= (n_tables - 1) * n_rows
        for row, vector in replaced.items():  # after the mean table, before those of the folds
            equal = np.array_equal(vector, vector) & (vectors == vector).all(axis=1)
            found = np.where(equal & ~in_mean, row, found)
        rows = np.where(found < 0, UNKNOWN, found % n_rows)
        if _is_nan(replaced.get(MISSING)) and not _is_nan(replaced.get(UNKNOWN)):
            rows[np.isnan(vectors).all(axis=1)] = MISSING
        others = np.flatnonzero((found < 0) & np.isfinite(vectors).all(axis=1))
        if len(others):
            rows[others] = self._closest(vectors[others])
        return self.vocabulary.decode(rows)

    def _closest(self, vectors: NDArray[np.float32]) -> NDArray[np.int64]:
        """Return the nearest row of ``transform``; of equally near ones the first."""
        replaced = self.replaced
        _, near = self._recognised()
        rows = near.find(vectors)
        wide = vectors.astype(np.float64)
        least = ((wide - self.vectors[rows]) ** 2).sum(axis=1)
        least[rows < 0] = np.inf
        others = (MISSING, UNKNOWN) if MISSING in self.vocabulary.label_rows else (UNKNOWN,)
        for row in others:
            distances = ((wide - replaced.get(row, self.vectors[row])) ** 2).sum(axis=1)
            nearer = distances <= least  # never to NaN
            rows[nearer], least[nearer] = row, distances[nearer]
        return np.where(rows < 0, UNKNOWN, rows)

    def _recognised(self) -> tuple[VectorIndex, NearestRows]:
        """Indexes of all vectors that stand for something, and of those of categories."""
        if not hasattr(self, "_indexes"):
            used = np.unique(self.vocabulary.label_rows).astype(np.int64)
            n_tables, n_rows, width = self.stack.shape
            positions = []
            for g in (n_tables - 1, *range(n_tables - 1)):
                table = self.stack[g]
                known = used[(table[used] != table[UNKNOWN]).any(axis=1)]
                positions.append(np.append(known, UNKNOWN) + g * n_rows)
            exact = VectorIndex(self.stack.reshape(-1, width), np.concatenate(positions))
            near = NearestRows(self.vectors, used[used > MISSING])
            object.__setattr__(self, "_indexes", (exact, near))
        return self._indexes


def label_index(labels: NDArray[Any], name: str | None = None) -> pd.Index:
    """Return categories as an index of pandas' own type, if it has one; tuples stay whole.

    >>> import numpy as np
    >>> from sk_entity_embed.model.tables import label_index
    >>> label_index(np.array([("a", 1), 2], dtype=object)).tolist()
    [('a', 1), 2]
    """
    try:
        return pd.Index(labels, name=name, tupleize_cols=False)
    except NOT_INFERRED:
        return pd.Index(labels, name=name, tupleize_cols=False, dtype=object)


def vector_names(column: str, width: int, *, biased: bool) -> list[str]:
    """Names of the numbers in a column's vector: ``carrier_0``, ..., and ``carrier_bias``."""
    axes = [f"{column}_{i}" for i in range(width - biased)]
    return [*axes, f"{column}_bias"] if biased else axes


class EmbeddingFrames(Mapping[str, pd.DataFrame]):
    """Vectors of several columns as data frames, made when they are asked for."""

    def __init__(self, tables: Sequence[EmbeddingTable]) -> None:
        self._tables = {t.vocabulary.name: t for t in tables}

    def __getitem__(self, column: str) -> pd.DataFrame:
        return self._tables[column].frame()

    def __iter__(self) -> Iterator[str]:
        return iter(self._tables)

    def __len__(self) -> int:
        return len(self._tables)

    def __repr__(self) -> str:
        shapes = {n: (len(t.vocabulary.labels), t.n_axes) for n, t in self._tables.items()}
        return f"EmbeddingFrames({shapes})"


def merge_tables(
    tables: NDArray[np.float32], seen: NDArray[np.bool_], fixed: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Stack the fold tables, of shape (n_tables, n_rows, width), and their mean.

    The unknown vector becomes one for all: different ones would tell the fold of a row. Rows that a
    table has not `seen`, of shape (n_tables, n_rows), get it, but for `fixed` ones, which were
    frozen and need nothing to learn from. The mean is over the tables that have seen the row, or,
    of a fixed row that none has seen, over all. A single table is returned alone: shape
    (1, n_rows, width).
    """
    n_tables, n_rows, width = tables.shape
    stack = np.empty((n_tables + (n_tables > 1), n_rows, width), dtype=np.float32)
    unknown = tables[:, UNKNOWN].mean(axis=0, dtype=np.float64)
    for filled, table, known in zip(stack, tables, seen | fixed, strict=False):
        filled[:] = table
        filled[~known] = unknown
    stack[:, UNKNOWN] = unknown
    if n_tables == 1:
        return stack
    seen = seen | (fixed & ~seen.any(axis=0))
    n_seen = seen.sum(axis=0)
    for at in gen_batches(n_rows, _BLOCK):
        total = np.zeros((at.stop - at.start, width))
        for table, known in zip(tables[:, at], seen[:, at], strict=True):
            np.add(total, table, out=total, where=known[:, None])
        stack[-1, at] = total / np.maximum(n_seen[at], 1)[:, None]
    n_seen[UNKNOWN] = 0
    stack[-1, n_seen == 0] = unknown
    return stack


def _is_nan(vector: NDArray[np.float32] | None) -> bool:
    return vector is not None and bool(np.isnan(vector).any())
