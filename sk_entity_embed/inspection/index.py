"""NeighborIndex: approximate search among millions of vectors."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.preprocessing import normalize

from sk_entity_embed.exceptions import InvalidParameterError
from sk_entity_embed.input.messages import shown
from sk_entity_embed.inspection.column_vectors import (
    ColumnVectors,
    Source,
    check_count,
    column_vectors_of,
)
from sk_entity_embed.inspection.displays.docs import documented
from sk_entity_embed.inspection.search import (
    check_metric,
    closeness_of,
    exact_search,
    similarity_from,
)


@documented()
class NeighborIndex:
    """An index of one column's vectors, to search neighbours among millions of categories.

    The search is approximate: it may miss a neighbour, but similarities are exact. Building the
    index takes much longer than one exact search, so use it for many searches in a million vectors
    or more. It is a hierarchical navigable small-world graph [1]_ of the library faiss.

    Parameters
    ----------
    %(from)s
    %(column)s
    metric : {"cosine", "euclidean", "dot"}, default="cosine"
        Similarity to search by; see :func:`~sk_entity_embed.inspection.nearest`.
    %(min_count)s
    n_links : int, default=32
        Number of links of each vector in the graph. More links find more of the true neighbours,
        and take more memory.
    ef_construction, ef_search : int, default=100, 128
        Number of vectors considered while building and while searching. Larger values are slower
        and find more of the true neighbours.

    Raises
    ------
    InvalidParameterError
        If a parameter is out of range or the column does not exist.
    ImportError
        If faiss is not installed; the extra is ``index``.

    See Also
    --------
    nearest : Search with this index, or exactly without one.

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
    >>> nearest(vectors, None, 3, k=2, index=index).round(2)
      category  similarity
    0      525        0.94
    1      250        0.84
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
        # With other sizes, faiss ends the process.
        check_count("n_links", n_links, 2)
        check_count("ef_construction", ef_construction)
        check_count("ef_search", ef_search)
        try:
            import faiss
        except ImportError as error:
            raise ImportError(
                "NeighborIndex needs faiss: pip install 'sk-entity-embed[index]'. Search without "
                "an index is exact."
            ) from error
        catalogue = column_vectors_of(source, column)
        self.metric = metric
        self.min_count = min_count
        self.ef_search = ef_search
        self._positions = catalogue.frequent(min_count)
        vectors = catalogue.vectors[self._positions]
        self._shape = catalogue.vectors.shape
        self._sample = _sample(catalogue.vectors)
        kind = faiss.METRIC_L2 if metric == "euclidean" else faiss.METRIC_INNER_PRODUCT
        self._index = faiss.IndexHNSWFlat(vectors.shape[1], int(n_links), kind)
        self._index.hnsw.efConstruction = int(ef_construction)
        self._index.add(normalize(vectors) if metric == "cosine" else np.ascontiguousarray(vectors))

    def __len__(self) -> int:
        """Number of vectors in the index."""
        return len(self._positions)


def check_index(
    index: NeighborIndex, catalogue: ColumnVectors, metric: str, min_count: int | None
) -> None:
    """Raise InvalidParameterError unless the index was built for this search."""
    if not isinstance(index, NeighborIndex):
        raise InvalidParameterError(f"`index` must be a NeighborIndex or None, got {shown(index)}.")
    for name, asked, built in (
        ("metric", metric, index.metric),
        ("min_count", min_count, index.min_count),
        ("shape of the vectors", catalogue.vectors.shape, index._shape),
    ):
        if asked != built:
            raise InvalidParameterError(
                f"`index` was built for another search: {name} {shown(built)}, not {shown(asked)}."
            )
    if not np.array_equal(_sample(catalogue.vectors), index._sample):
        raise InvalidParameterError(
            "`index` was built for other vectors; build it again after a fit."
        )


def index_search(
    index: NeighborIndex, vectors: NDArray[np.float32], queries: NDArray[np.floating[Any]], k: int
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Return what :func:`exact_search` does, approximately, among all `vectors` of a column."""
    faiss: Any = import_module("faiss")  # its own types lack what is used here
    asked = np.ascontiguousarray(queries, dtype=np.float32)
    asked = normalize(asked) if index.metric == "cosine" else asked
    effort = faiss.SearchParametersHNSW(efSearch=max(int(index.ef_search), 2 * k))
    _, reached = index._index.search(asked, k, params=effort)
    if (reached < 0).any():  # a graph with parts that cannot be reached: rare
        positions, found = exact_search(vectors[index._positions], queries, k, index.metric)
        return index._positions[positions], found
    positions = index._positions[reached]
    pairs = closeness_of(vectors[positions.ravel()], np.repeat(queries, k, axis=0), index.metric)
    pairs = pairs.reshape(positions.shape)
    order = np.lexsort((positions, -pairs), axis=1)
    found = similarity_from(np.take_along_axis(pairs, order, 1), index.metric)
    return np.take_along_axis(positions, order, 1), found


def _sample(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """A few hundred vectors, by which those of another fit are told."""
    return vectors[:: max(1, len(vectors) // 500)].copy()
