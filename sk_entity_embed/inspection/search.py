"""Search of the nearest vectors: exact, or by an index for millions of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.preprocessing import normalize

from sk_entity_embed.exceptions import InvalidParameterError
from sk_entity_embed.inspection.catalogue import Catalogue, Source, catalogue_of

METRICS = ("cosine", "euclidean", "dot")

_BLOCK = 16_384
_QUERIES = 256


def check_metric(metric: str) -> None:
    """Raise InvalidParameterError unless `metric` is known."""
    if metric not in METRICS:
        raise InvalidParameterError(f"`metric` must be one of {METRICS}, got {metric!r}.")


def similarities(
    a: NDArray[np.floating[Any]], b: NDArray[np.floating[Any]], metric: str
) -> NDArray[np.float64]:
    """Similarity of pairs of vectors, row by row.

    Parameters
    ----------
    a, b : ndarray of shape (n, width)
        Vectors.
    metric : {"cosine", "euclidean", "dot"}
        The cosine of the angle (0 for a vector of zeros), ``1 / (1 + distance)``, or the dot
        product.

    Returns
    -------
    ndarray of float64 of shape (n,)
    """
    a, b = a.astype(np.float64), b.astype(np.float64)
    if metric == "euclidean":
        return 1.0 / (1.0 + np.linalg.norm(a - b, axis=1))
    if metric == "cosine":
        a, b = normalize(a), normalize(b)
    found: NDArray[np.float64] = np.einsum("ij,ij->i", a, b)
    return found


def exact_search(
    vectors: NDArray[np.float32], queries: NDArray[np.floating[Any]], k: int, metric: str
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """The k most similar vectors for each query.

    Blocks of vectors are compared with all queries by a matrix product; only what can still be
    among the best is kept. Of equal similarities the first vector wins, whatever the blocks.

    Parameters
    ----------
    vectors : ndarray of float32 of shape (n_vectors, width)
        Where to search.
    queries : ndarray of shape (n_queries, width)
        What to search for.
    k : int
        At most n_vectors.
    metric : {"cosine", "euclidean", "dot"}
        See :func:`similarities`.

    Returns
    -------
    positions : ndarray of int of shape (n_queries, k)
        The most similar ones first.
    similarity : ndarray of float64 of shape (n_queries, k)

    Examples
    --------
    >>> import numpy as np
    >>> from sk_entity_embed.inspection.search import exact_search
    >>> vectors = np.array([[0, 0], [3, 4], [0, 1]], dtype=np.float32)
    >>> positions, similarity = exact_search(vectors, np.zeros((1, 2)), 2, "euclidean")
    >>> positions.tolist(), similarity.tolist()
    ([[0, 2]], [[1.0, 0.5]])
    """
    positions = np.empty((len(queries), k), dtype=np.intp)
    found = np.empty((len(queries), k))
    for start in range(0, len(queries), _QUERIES):
        at = slice(start, start + _QUERIES)
        positions[at], found[at] = _search(vectors, queries[at].astype(np.float64), k, metric)
    return positions, found


def _search(
    vectors: NDArray[np.float32], queries: NDArray[np.float64], k: int, metric: str
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    centre = queries.mean(axis=0)
    compared = queries - centre if metric == "euclidean" else queries
    compared = normalize(queries) if metric == "cosine" else compared
    best = np.full((len(queries), k), -np.inf)
    rows, positions = [np.empty(0, dtype=np.intp)], [np.empty(0, dtype=np.intp)]
    scores = [np.empty(0)]
    for start in range(0, len(vectors), _BLOCK):
        block = vectors[start : start + _BLOCK].astype(np.float64)
        score = _scores(compared, block, centre, metric)
        row, column = np.nonzero(score >= _limit(best)[:, None])
        rows.append(row)
        positions.append(column + start)
        scores.append(score[row, column])
        best = _keep_best(best, row, scores[-1])
    row, position = np.concatenate(rows), np.concatenate(positions)
    may = np.concatenate(scores) >= _limit(best)[row]
    row, position = row[may], position[may]
    # Once more, pair by pair: equal vectors get equal similarities, whatever the block's shape.
    exact = similarities(vectors[position], queries[row], metric)
    order = np.lexsort((position, -exact, row))
    rank = np.arange(len(order)) - np.searchsorted(row[order], row[order])
    chosen = order[rank < k]
    return position[chosen].reshape(-1, k), exact[chosen].reshape(-1, k)


def _scores(
    queries: NDArray[np.float64],
    block: NDArray[np.float64],
    centre: NDArray[np.float64],
    metric: str,
) -> NDArray[np.float64]:
    """What orders a block's vectors as their similarity does, for each query."""
    if metric == "cosine":
        return queries @ normalize(block, copy=False).T
    if metric == "dot":
        return queries @ block.T
    block -= centre  # keeps what is subtracted below small
    return queries @ block.T - 0.5 * np.einsum("ij,ij->i", block, block)


def _limit(best: NDArray[np.float64]) -> NDArray[np.float64]:
    """What a score must reach to be among the best, rounding allowed for."""
    worst = best[:, 0]
    with np.errstate(invalid="ignore"):
        return np.where(np.isfinite(worst), worst - 1e-9 * (1.0 + np.abs(worst)), worst)


def _keep_best(
    best: NDArray[np.float64], row: NDArray[np.intp], score: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The k best scores of each query, the worst of them first; `row` is sorted."""
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


class NeighborIndex:
    """An index of one column's vectors, for approximate neighbours among millions.

    Building takes much longer than one exact search: use it for many searches in a million
    vectors or more. Neighbours are found by a hierarchical navigable small-world graph [1]_ of
    faiss; their similarities are exact.

    Parameters
    ----------
    source : estimator, DataFrame or mapping of DataFrame
        See :func:`~sk_entity_embed.inspection.nearest`.
    column : str, default=None
        Name of the column; may be None where there is only one.
    metric : {"cosine", "euclidean", "dot"}, default="cosine"
        Similarity to search by.
    min_count : int, default=None
        Leave out categories with fewer training rows.
    n_links : int, default=32
        Links of each vector in the graph; more find more true neighbours and take more memory.
    ef_construction, ef_search : int, default=100, 128
        Vectors considered while building and while searching.

    Raises
    ------
    ImportError
        If faiss is not installed; the extra is ``index``.

    References
    ----------
    .. [1] Y. Malkov and D. Yashunin, "Efficient and robust approximate nearest neighbor search
       using hierarchical navigable small world graphs", IEEE TPAMI 42(4), 2020.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from sk_entity_embed.inspection import NeighborIndex, nearest
    >>> vectors = pd.DataFrame(np.random.default_rng(0).normal(size=(1000, 8)))
    >>> index = NeighborIndex(vectors)
    >>> nearest(vectors, None, 3, k=2, index=index).equals(nearest(vectors, None, 3, k=2))
    True
    """

    def __init__(
        self,
        source: Source,
        column: str | None = None,
        *,
        metric: str = "cosine",
        min_count: int | None = None,
        n_links: int = 32,
        ef_construction: int = 100,
        ef_search: int = 128,
    ) -> None:
        check_metric(metric)
        try:
            import faiss
        except ImportError as error:
            raise ImportError(
                "NeighborIndex needs faiss: pip install 'sk-entity-embed[index]'. Search without "
                "an index is exact."
            ) from error
        catalogue = catalogue_of(source, column)
        self.metric = metric
        self.min_count = min_count
        self.ef_search = ef_search
        self._positions = catalogue.frequent(min_count)
        vectors = catalogue.vectors[self._positions]
        self._shape = catalogue.vectors.shape
        kind = faiss.METRIC_L2 if metric == "euclidean" else faiss.METRIC_INNER_PRODUCT
        self._index = faiss.IndexHNSWFlat(vectors.shape[1], n_links, kind)
        self._index.hnsw.efConstruction = ef_construction
        self._index.add(normalize(vectors) if metric == "cosine" else np.ascontiguousarray(vectors))

    def __len__(self) -> int:
        """Number of vectors in the index."""
        return len(self._positions)

    def check(self, catalogue: Catalogue, metric: str, min_count: int | None) -> None:
        """Raise unless the index was built for this search.

        Parameters
        ----------
        catalogue : Catalogue
            Where to search.
        metric : str
            The metric asked for.
        min_count : int or None
            The least count asked for.

        Raises
        ------
        InvalidParameterError
            If the index has another metric, another `min_count` or other vectors.
        """
        for name, asked, built in (
            ("metric", metric, self.metric),
            ("min_count", min_count, self.min_count),
            ("shape of the vectors", catalogue.vectors.shape, self._shape),
        ):
            if asked != built:
                raise InvalidParameterError(
                    f"`index` was built for another search: {name} {built!r}, not {asked!r}."
                )

    def search(
        self, vectors: NDArray[np.float32], queries: NDArray[np.floating[Any]], k: int
    ) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        """Approximately the k most similar vectors for each query.

        Parameters
        ----------
        vectors : ndarray of float32 of shape (n_categories, width)
            All vectors of the column.
        queries : ndarray of shape (n_queries, width)
            What to search for.
        k : int
            At most the number of vectors in the index.

        Returns
        -------
        positions : ndarray of int of shape (n_queries, k)
            Positions among all categories, the most similar ones first.
        similarity : ndarray of float64 of shape (n_queries, k)
        """
        from faiss import SearchParametersHNSW  # type: ignore[attr-defined]

        asked = np.ascontiguousarray(queries, dtype=np.float32)
        asked = normalize(asked) if self.metric == "cosine" else asked
        effort = SearchParametersHNSW(efSearch=max(self.ef_search, 2 * k))
        _, found = self._index.search(asked, k, params=effort)
        if (found < 0).any():  # a graph with parts that cannot be reached: rare
            return self._all(vectors, queries, k)
        positions = self._positions[found]
        pairs = similarities(
            vectors[positions.ravel()], np.repeat(queries, k, axis=0), self.metric
        ).reshape(positions.shape)
        order = np.lexsort((positions, -pairs), axis=1)
        return np.take_along_axis(positions, order, 1), np.take_along_axis(pairs, order, 1)

    def _all(
        self, vectors: NDArray[np.float32], queries: NDArray[np.floating[Any]], k: int
    ) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        positions, found = exact_search(vectors[self._positions], queries, k, self.metric)
        return self._positions[positions], found
