"""Exact search of the nearest vectors, and what makes vectors similar."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from sklearn.preprocessing import normalize

from sk_entity_embed.exceptions import InvalidParameterError
from sk_entity_embed.input.messages import shown

Metric: TypeAlias = Literal["cosine", "euclidean", "dot"]
METRICS = ("cosine", "euclidean", "dot")

_BLOCK = 16_384
"""Vectors compared at once."""
_FIRST = 1024
"""Vectors compared at first, or four for each one wanted."""
_QUERIES = 256
"""Queries compared at once."""
_PAIRS = 1_000_000
"""Pairs held beside the best, above which they are looked at more closely."""
_CHUNK = 100_000
"""Pairs compared at once."""


def check_metric(metric: str) -> None:
    """Raise InvalidParameterError unless `metric` is known."""
    if metric not in METRICS:
        raise InvalidParameterError(f"`metric` must be one of {METRICS}, got {shown(metric)}.")


def closeness_of(
    a: NDArray[np.floating[Any]], b: NDArray[np.floating[Any]], metric: str
) -> NDArray[np.float64]:
    """Return what pairs are ordered by: their similarity, or their distance with a minus."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    if metric == "euclidean":
        return -np.asarray(np.linalg.norm(a - b, axis=1))
    if metric == "cosine":
        a, b = normalize(a), normalize(b)
    found: NDArray[np.float64] = np.einsum("ij,ij->i", a, b)
    return found


def similarity_from(closeness: NDArray[np.float64], metric: str) -> NDArray[np.float64]:
    """Return the similarities of pairs of this closeness: ``1 / (1 + distance)`` of distances."""
    return 1.0 / (1.0 - closeness) if metric == "euclidean" else closeness


def exact_search(
    vectors: NDArray[np.float32], queries: NDArray[np.floating[Any]], k: int, metric: str
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Return positions of the k most similar vectors for each query, and their similarities.

    Both have shape (n_queries, k). Of equal vectors the first wins, whatever the blocks.
    """
    positions = np.empty((len(queries), k), dtype=np.intp)
    closeness = np.empty((len(queries), k))
    kept = None
    for start in range(0, len(queries), _QUERIES):
        at = slice(start, start + _QUERIES)
        asked = queries[at].astype(np.float64)
        found = _search(vectors, asked, k, metric, patient=kept is not None)
        if found is None:  # very many are equally good, mostly copies of one vector
            kept = _first_copies(vectors, k)
            vectors = vectors[kept]
            found = _search(vectors, asked, k, metric, patient=True)
            assert found is not None
        positions[at] = found[0] if kept is None else kept[found[0]]
        closeness[at] = found[1]
    return positions, similarity_from(closeness, metric)


def _search(
    vectors: NDArray[np.float32],
    queries: NDArray[np.float64],
    k: int,
    metric: str,
    *,
    patient: bool,
) -> tuple[NDArray[np.intp], NDArray[np.float64]] | None:
    """Return positions and closeness of the best; None if too many are equal, unless `patient`."""
    center = queries.mean(axis=0)
    compared = queries - center if metric == "euclidean" else normalize(queries)
    margin = _rounding(queries) * (compared**2).sum(axis=1) if metric == "euclidean" else 0.0
    margin = np.broadcast_to(2.0 * margin, len(queries))
    best = np.full((len(queries), k), -np.inf)
    row, position, upper = np.empty(0, np.intp), np.empty(0, np.intp), np.empty(0)
    # A small block first: all of its pairs are held, and of the others only what beats the best.
    first = min(_BLOCK, max(_FIRST, 4 * k))
    for start in [0, *range(first, len(vectors), _BLOCK)]:
        block = vectors[start : start + _BLOCK if start else first].astype(np.float64)
        scores, error = _upper_scores(compared, block, center, metric)
        new_row, column = np.nonzero(scores >= best[:, :1])
        score = scores[new_row, column]
        best = _keep_best(best, new_row, score - 2.0 * error[column] - margin[new_row])
        row = np.concatenate([row, new_row])
        position = np.concatenate([position, column + start])
        upper = np.concatenate([upper, score])
        may = upper >= best[row, 0]
        row, position, upper = row[may], position[may], upper[may]
        if len(row) > _PAIRS + 2 * best.size:
            if not patient:
                return None
            chosen, _ = _choose(vectors, queries, row, position, k, metric)
            row, position, upper = row[chosen], position[chosen], upper[chosen]
    chosen, closeness = _choose(vectors, queries, row, position, k, metric)
    return position[chosen].reshape(-1, k), closeness.reshape(-1, k)


def _upper_scores(
    queries: NDArray[np.float64],
    block: NDArray[np.float64],
    center: NDArray[np.float64],
    metric: str,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return what orders a block as closeness does, rounded up, and how far for each vector."""
    small = _rounding(block)
    if metric == "euclidean":
        block -= center  # keeps what is subtracted below small
        squares = np.einsum("ij,ij->i", block, block)
        error, offset = small * squares, -0.5 * squares
    elif metric == "cosine":
        block = normalize(block, copy=False)
        error, offset = np.full(len(block), small), 0.0
    else:
        error, offset = small * np.sqrt(np.einsum("ij,ij->i", block, block)), 0.0
    scores: NDArray[np.float64] = queries @ block.T
    scores += error + offset
    return scores, error


def _rounding(vectors: NDArray[np.float64]) -> float:
    """Return a bound on the relative rounding error of a dot product, with room to spare."""
    return 4.0 * (vectors.shape[1] + 8) * float(np.finfo(np.float64).eps)


def _keep_best(
    best: NDArray[np.float64], row: NDArray[np.intp], score: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the k best scores of each query, the worst of them first; `row` is sorted."""
    n, k = best.shape
    counts = np.bincount(row, minlength=n)
    width = int(counts.max(initial=0))
    if width == 0:
        return best
    joined = np.full((n, k + width), -np.inf)
    joined[:, :k] = best
    joined[row, k + np.arange(len(row)) - (np.cumsum(counts) - counts)[row]] = score
    kept: NDArray[np.float64] = np.partition(joined, width, axis=1)[:, width:]
    # np.partition leaves its pivot, here the worst of the best, in the first place.
    return kept


def _choose(
    vectors: NDArray[np.float32],
    queries: NDArray[np.float64],
    row: NDArray[np.intp],
    position: NDArray[np.intp],
    k: int,
    metric: str,
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Return which pairs are each query's k closest, compared one by one, and how close."""
    closeness = np.empty(len(row))
    for start in range(0, len(row), _CHUNK):
        at = slice(start, start + _CHUNK)
        closeness[at] = closeness_of(vectors[position[at]], queries[row[at]], metric)
    order = np.lexsort((position, -closeness, row))
    rank = np.arange(len(order)) - np.searchsorted(row[order], row[order])
    chosen = order[rank < k]
    return chosen, closeness[chosen]


def _first_copies(vectors: NDArray[np.float32], k: int) -> NDArray[np.intp]:
    """Return positions of vectors but those equal to k before them, which are never among k."""
    width = 4 * vectors.shape[1]
    clean = np.ascontiguousarray(vectors + np.float32(0.0))  # -0.0 is 0.0
    cells = pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(width), len(clean), [None, pa.py_buffer(clean)]
    )
    codes = cells.dictionary_encode().indices.to_numpy(zero_copy_only=False)
    order = np.argsort(codes, kind="stable")
    rank = np.arange(len(order)) - np.searchsorted(codes[order], codes[order])
    return np.sort(order[rank < k])
