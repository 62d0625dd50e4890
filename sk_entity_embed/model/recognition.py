"""The row of a table that holds a vector, or is nearest to it, by an index that is built once."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import pairwise_distances_argmin
from sklearn.utils import gen_batches

from sk_entity_embed.input.index import mix

_BLOCK = 4_000_000  # Distances at a time.


class VectorIndex:
    """Rows by the exact vector that they hold: of those at `positions`, the first of equal ones."""

    __slots__ = ("_hashes", "_positions", "_vectors")

    def __init__(self, vectors: NDArray[np.float32], positions: NDArray[np.integer[Any]]) -> None:
        hashes = np.empty(len(positions), dtype=np.uint64)
        for at in gen_batches(len(positions), 65_536):
            hashes[at] = _hash(vectors[positions[at]])
        order = np.argsort(hashes, kind="stable")
        self._vectors = vectors
        self._hashes, self._positions = hashes[order], positions[order]

    def find(self, vectors: NDArray[np.float32]) -> NDArray[np.int64]:
        """Return the position of each vector, -1 where it is not there."""
        hashes = _hash(vectors)
        places = np.searchsorted(self._hashes, hashes)
        found = np.full(len(vectors), -1, dtype=np.int64)
        open_ = np.arange(len(vectors))
        while len(open_):
            at = places[open_]
            same = at < len(self._hashes)
            same[same] = self._hashes[at[same]] == hashes[open_[same]]
            open_ = open_[same]
            positions = self._positions[places[open_]]
            equal = (self._vectors[positions] == vectors[open_]).all(axis=1)
            found[open_[equal]] = positions[equal]
            open_ = open_[~equal]
            places[open_] += 1  # another vector of the same hash
        return found


class NearestRows:
    """The nearest of rising `rows` by Euclidean distance, the first of equally near ones."""

    __slots__ = ("_norms", "_rows", "_vectors")

    def __init__(self, vectors: NDArray[np.float32], rows: NDArray[np.int64]) -> None:
        together = len(rows) and rows[-1] - rows[0] + 1 == len(rows)
        self._vectors = vectors[rows[0] : rows[-1] + 1] if together else vectors[rows]
        self._norms = np.einsum("ij,ij->i", self._vectors, self._vectors)
        self._rows = rows

    def find(self, queries: NDArray[np.float32]) -> NDArray[np.int64]:
        """Return the row nearest to each finite query; -1 where there are no rows."""
        found = np.full(len(queries), -1, dtype=np.int64)
        if len(self._rows):
            for at in gen_batches(len(queries), max(1, _BLOCK // len(self._rows))):
                found[at] = self._rows[self._find(queries[at])]
        return found

    def _find(self, queries: NDArray[np.float32]) -> NDArray[np.intp]:
        """Positions among the rows."""
        with np.errstate(over="ignore", invalid="ignore"):
            distances = self._norms - 2 * (queries @ self._vectors.T)
            sizes = np.einsum("ij,ij->i", queries, queries) + self._norms.max()
        if not (np.isfinite(distances).all() and np.isfinite(sizes).all()):
            wide = self._vectors.astype(np.float64)
            return np.asarray(pairwise_distances_argmin(queries.astype(np.float64), wide))
        # Rounding may have changed the order of those that are nearly as near.
        limits = distances.min(axis=1) + 4 * np.finfo(np.float32).eps * queries.shape[1] * sizes
        found = np.empty(len(queries), dtype=np.intp)
        for i, (row, limit) in enumerate(zip(distances, limits, strict=True)):
            near = np.flatnonzero(row <= limit)
            offsets = self._vectors[near].astype(np.float64) - queries[i]
            found[i] = near[np.argmin((offsets**2).sum(axis=1))]
        return found


def _hash(vectors: NDArray[np.float32]) -> NDArray[np.uint64]:
    """Return a number for each vector, equal for equal ones."""
    return mix((vectors + np.float32(0.0)).view(np.uint32).T)  # -0.0 becomes 0.0
