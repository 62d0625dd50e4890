"""Neighbours of categories and of sums of vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.preprocessing import normalize

from sk_entity_embed.exceptions import InvalidDataError, InvalidParameterError
from sk_entity_embed.input.messages import shown
from sk_entity_embed.inspection.column_vectors import (
    ColumnVectors,
    Source,
    check_count,
    column_vectors_of,
    label_series,
)
from sk_entity_embed.inspection.displays.docs import documented
from sk_entity_embed.inspection.index import NeighborIndex, check_index, index_search
from sk_entity_embed.inspection.search import Metric, check_metric, exact_search
from sk_entity_embed.model.tables import label_index

_LARGEST_MATRIX = 10_000
_USUAL = 10
"""Neighbours listed unless told otherwise."""


@documented()
def nearest(
    source: Source,
    column: str | None,
    query: Any,
    k: int | None = None,
    *,
    metric: Metric = "cosine",
    min_count: int | None = None,
    index: NeighborIndex | None = None,
) -> pd.DataFrame:
    """Return the categories that are most similar to a category, a vector, or several of them.

    Parameters
    ----------
    %(vectors)s
    column : str or None
        Name of the column; None if there is only one.
    query : category, list of categories, ndarray or DataFrame
        One category (a string, a number, None for missing, ...), or several as a list, a series or
        an index. You can also give a vector as an array or series of floats, several vectors as the
        rows of an array, or a data frame of vectors, whose index names them.
    k : int, default=None
        Number of neighbours of each query. None gives 10, or all if there are fewer.
    metric : {"cosine", "euclidean", "dot"}, default="cosine"
        What makes vectors similar. With "euclidean", two categories are close if the network treats
        them alike. "cosine" compares directions only: two categories are close if they differ from
        the average category in the same way, however strongly. "dot" is the dot product.
    %(min_count)s
    index : NeighborIndex, default=None
        Index for an approximate search. None compares all vectors; for a million of them this takes
        less than a second.

    Returns
    -------
    DataFrame
        The most similar categories first, with the columns ``category``, ``similarity`` and
        ``count`` (if counts are known). With "euclidean" there is also ``distance``, and the
        similarity is ``1 / (1 + distance)``. A category is not its own neighbour. With several
        queries, the first column ``query`` holds the category, or the number of the vector's row.

    Raises
    ------
    InvalidDataError
        If a category is unknown (the message suggests similar names) or a vector has another width.
    InvalidParameterError
        If there are fewer than `k` other categories, or another parameter does not fit.
    %(not_fitted)s

    See Also
    --------
    nearest_rows : Return the most similar rows of a table.
    analogy : Return the categories nearest to a sum of vectors.
    similarity_matrix : Return the similarities of all pairs.
    NeighborIndex : Search among millions of categories.

    Notes
    -----
    Vectors are compared without biases. With ``head="dot"`` all columns have the same axes. If you
    query with a vector of another column and ``metric="dot"``, the similarity is what the pair adds
    to the prediction, apart from the biases (with a `y_range`, before the sigmoid). The categories
    of a column of lists are its items, and counts are those of items.

    Examples
    --------
    >>> import pandas as pd
    >>> from sk_entity_embed.inspection import nearest
    >>> vectors = pd.DataFrame(
    ...     [[2.0, 0.1], [1.8, 0.0], [-1.0, 0.9]], index=["Oslo", "Bergen", "Rome"]
    ... )
    >>> nearest(vectors, None, "Oslo", k=2).round(2)
      category  similarity
    0   Bergen        1.00
    1     Rome       -0.71
    """
    check_metric(metric)
    catalogue = column_vectors_of(source, column)
    names, vectors, own = _read_query(query, catalogue)
    return find_neighbors(catalogue, names, vectors, own[:, None], k, metric, min_count, index)


@documented()
def analogy(
    source: Source,
    column: str | None,
    positive: Sequence[Any],
    negative: Sequence[Any] = (),
    k: int | None = None,
    *,
    metric: Metric = "cosine",
    min_count: int | None = None,
    index: NeighborIndex | None = None,
) -> pd.DataFrame:
    """Return the categories that are most similar to a sum of others, such as ``a - b + c``.

    Parameters
    ----------
    %(from)s
    column : str or None
        Name of the column; None if there is only one.
    positive : sequence of categories
        Categories whose vectors are added, such as ``a`` and ``c``.
    negative : sequence of categories, default=()
        Categories whose vectors are subtracted, such as ``b``.
    k : int, default=None
        Number of answers. None gives 10, or all if there are fewer.
    metric : {"cosine", "euclidean", "dot"}, default="cosine"
        See :func:`nearest`. With "cosine" the vectors are scaled to length one before they are
        added [1]_.
    %(min_count)s
    index : NeighborIndex, default=None
        See :func:`nearest`.

    Returns
    -------
    DataFrame
        Table as from :func:`nearest`, without the categories that you give.

    Raises
    ------
    InvalidDataError
        If a category is unknown.
    InvalidParameterError
        If no category is given or a parameter does not fit.

    See Also
    --------
    nearest : Return the neighbours of single categories.

    References
    ----------
    .. [1] O. Levy and Y. Goldberg, "Linguistic regularities in sparse and explicit word
       representations", CoNLL 2014, equation 3.

    Examples
    --------
    >>> import pandas as pd
    >>> from sk_entity_embed.inspection import analogy
    >>> vectors = pd.DataFrame(
    ...     [[1.0, 1.0], [1.0, -1.1], [-1.0, 1.2], [-1.0, -1.0]],
    ...     index=["queen", "king", "woman", "man"],
    ... )
    >>> analogy(vectors, None, positive=["king", "woman"], negative=["man"]).round(2)
      category  similarity
    0    queen         1.0
    """
    check_metric(metric)
    _check_categories("positive", positive)
    _check_categories("negative", negative)
    if len(positive) == 0:
        raise InvalidParameterError("`positive` must have at least one category.")
    catalogue = column_vectors_of(source, column)
    own = catalogue.locate([*positive, *negative])
    vectors = catalogue.vectors[own].astype(np.float64)
    vectors = normalize(vectors) if metric == "cosine" else vectors
    signs = np.repeat([1.0, -1.0], [len(positive), len(negative)])
    target = (signs @ vectors)[None]
    return find_neighbors(catalogue, None, target, own[None], k, metric, min_count, index)


@documented()
def doesnt_match(
    source: Source,
    column: str | None,
    categories: Sequence[Any],
    *,
    metric: Metric = "cosine",
) -> Any:
    """Return the category that is least like the others in a list.

    Parameters
    ----------
    %(from)s
    column : str or None
        Name of the column; may be None where there is only one.
    categories : sequence of categories
        Three or more of them. Repeated ones count once.
    metric : {"cosine", "euclidean", "dot"}, default="cosine"
        See :func:`nearest`. With "cosine" the answer is the category whose vector of unit length is
        farthest from the mean of all of them, as in gensim's method of this name.

    Returns
    -------
    object
        The category with the lowest mean similarity to the others; the first of them where several
        have the same. A missing category is NaN.

    Raises
    ------
    InvalidDataError
        If a category is unknown; the message names it and suggests close ones.
    InvalidParameterError
        If there are fewer than three categories, or a parameter does not fit.
    %(not_fitted)s

    See Also
    --------
    similarity_matrix : Similarity of each pair of categories, from which the answer follows.

    Examples
    --------
    >>> import pandas as pd
    >>> from sk_entity_embed.inspection import doesnt_match
    >>> vectors = pd.DataFrame(
    ...     [[2.0, 0.1], [1.8, 0.0], [-1.0, 0.9]], index=["Oslo", "Bergen", "Rome"]
    ... )
    >>> doesnt_match(vectors, None, ["Oslo", "Rome", "Bergen"])
    'Rome'
    """
    check_metric(metric)
    _check_categories("categories", categories)
    catalogue = column_vectors_of(source, column)
    own = catalogue.locate([*categories])
    own = own[np.sort(np.unique(own, return_index=True)[1])]
    if len(own) < 3:
        raise InvalidParameterError(
            f"`categories` must be three different ones at least, got {shown(list(categories))}: "
            "of two, neither is the odd one out."
        )
    similarities = all_similarities(catalogue.vectors[own], metric)
    np.fill_diagonal(similarities, 0.0)
    return catalogue.labels[own].tolist()[int(similarities.sum(axis=1).argmin())]


@documented()
def similarity_matrix(
    source: Source,
    column: str | None = None,
    categories: Sequence[Any] | None = None,
    *,
    metric: Metric = "cosine",
    min_count: int | None = None,
) -> pd.DataFrame:
    """Return the similarity of every pair of categories.

    Parameters
    ----------
    %(from)s
    %(column)s
    categories : sequence, default=None
        Categories, in the order of the result. None takes all.
    metric : {"cosine", "euclidean", "dot"}, default="cosine"
        See :func:`nearest`; with "euclidean" the similarity is ``1 / (1 + distance)``.
    %(min_count)s

    Returns
    -------
    DataFrame of float64 of shape (n_categories, n_categories)
        Similarities; rows and columns are indexed by category.

    Raises
    ------
    InvalidDataError
        If a category is unknown.
    InvalidParameterError
        If there are more than 10,000 categories, or a parameter does not fit.

    Examples
    --------
    >>> import pandas as pd
    >>> from sk_entity_embed.inspection import similarity_matrix
    >>> vectors = pd.DataFrame(
    ...     [[2.0, 0.1], [1.8, 0.0], [-1.0, 0.9]], index=["Oslo", "Bergen", "Rome"]
    ... )
    >>> similarity_matrix(vectors).round(2)
    category  Oslo  Bergen  Rome
    category
    Oslo      1.00    1.00 -0.71
    Bergen    1.00    1.00 -0.74
    Rome     -0.71   -0.74  1.00
    """
    check_metric(metric)
    catalogue = column_vectors_of(source, column)
    positions = catalogue.frequent(min_count)
    if categories is not None:
        asked = catalogue.locate(list(categories))
        positions = asked[np.isin(asked, positions)]
    if len(positions) == 0:
        raise InvalidParameterError(
            "`categories` must have one category at least, with `min_count` rows."
        )
    if len(positions) > _LARGEST_MATRIX:
        raise InvalidParameterError(
            f"The similarity matrix of {len(positions):,} categories would have "
            f"{len(positions) ** 2:,} numbers; choose `categories`, or raise `min_count`."
        )
    chosen = catalogue.take(positions)
    index = label_index(chosen.labels, catalogue.name)
    return pd.DataFrame(all_similarities(chosen.vectors, metric), index=index, columns=index)


def all_similarities(vectors: NDArray[np.float32], metric: str) -> NDArray[np.float64]:
    """Return the similarity of every pair of vectors, exactly 1 for a vector and itself."""
    wide = vectors.astype(np.float64)
    wide = normalize(wide) if metric == "cosine" else wide
    matrix: NDArray[np.float64]
    if metric == "euclidean":
        from scipy.spatial.distance import cdist

        matrix = 1.0 / (1.0 + cdist(wide, wide))
    else:
        matrix = wide @ wide.T
    if metric == "cosine":
        matrix = np.clip(matrix, -1.0, 1.0)
        np.fill_diagonal(matrix, np.where(wide.any(axis=1), 1.0, 0.0))
    return (matrix + matrix.T) / 2


def _check_categories(name: str, given: Any) -> None:
    if isinstance(given, str) or not isinstance(
        given, Sequence | np.ndarray | pd.Index | pd.Series
    ):
        raise InvalidParameterError(f"`{name}` must be a list of categories, got {shown(given)}.")


def _read_query(
    query: Any, catalogue: ColumnVectors
) -> tuple[NDArray[Any] | None, NDArray[Any], NDArray[np.intp]]:
    """Return names of queries (None for a single one), their vectors, own positions or -1."""
    if isinstance(query, np.ndarray) and query.ndim == 0:
        query = query.item()
    if isinstance(query, pd.Series) and pd.api.types.is_float_dtype(query.dtype):
        query = query.to_numpy(dtype=np.float64)  # a row of a frame of vectors
    if isinstance(query, np.ndarray) and query.dtype.kind == "f":
        vectors, names = query, None if query.ndim == 1 else np.arange(len(query))
    elif isinstance(query, pd.DataFrame):
        names = query.index.to_numpy()
        try:
            vectors = query.to_numpy(dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise InvalidDataError(
                f"`query` has vectors that are not numbers: {error!s:.300}."
            ) from error
    else:
        several = isinstance(query, list | pd.Series | pd.Index | np.ndarray)
        own = catalogue.locate(list(query) if several else [query])
        return catalogue.labels[own] if several else None, catalogue.vectors[own], own
    vectors = np.atleast_2d(vectors)
    width = catalogue.vectors.shape[1]
    if vectors.ndim != 2 or vectors.shape[1] != width:
        raise InvalidDataError(
            f"`query` has vectors of shape {vectors.shape[1:]}, but those of column "
            f"{catalogue.name!r} have {width} numbers."
        )
    if not (np.abs(vectors) <= np.finfo(np.float32).max).all():
        raise InvalidDataError(
            "`query` has vectors that are not finite, or beyond the range of float32."
        )
    return names, vectors, np.full(len(vectors), -1)


def find_neighbors(
    catalogue: ColumnVectors,
    names: NDArray[Any] | None,
    queries: NDArray[Any],
    excluded: NDArray[np.intp],
    k: int | None,
    metric: str,
    min_count: int | None = None,
    index: NeighborIndex | None = None,
    what: str = "categories",
    usual: int = _USUAL,
) -> pd.DataFrame:
    """Return the `k` (or `usual`) neighbours of each query; `names` are the first column.

    `excluded` has shape (n_queries, n_excluded), with -1 for nothing.
    """
    if k is not None:
        check_count("k", k, also=" or None")
    if len(queries) == 0:
        raise InvalidDataError("`query` is empty; give one query at least.")
    candidates = catalogue.frequent(min_count)
    n_excluded = _count_excluded(excluded, candidates, len(catalogue))
    n_others = len(candidates) - n_excluded
    k = min(usual, n_others) if k is None else int(k)
    if k > n_others:
        raise InvalidParameterError(
            f"`k` is {k}, but there are only {n_others} other {what} to choose from."
        )
    wanted = k + n_excluded
    if index is not None:
        check_index(index, catalogue, metric, min_count)
        positions, found = index_search(index, catalogue.vectors, queries, wanted)
    else:
        everything = len(candidates) == len(catalogue)
        vectors = catalogue.vectors if everything else catalogue.vectors[candidates]
        positions, found = exact_search(vectors, queries, wanted, metric)
        positions = candidates[positions]
    own = (positions[:, :, None] == excluded[:, None, :]).any(axis=2)
    kept = np.argsort(own, axis=1, kind="stable")[:, :k]
    flat, similarity = (np.take_along_axis(v, kept, 1).ravel() for v in (positions, found))
    frame = pd.DataFrame(
        {"category": label_series(catalogue.labels[flat]), "similarity": similarity}
    )
    if names is not None:
        frame.insert(0, "query", label_series(np.repeat(names, k)))
    if metric == "euclidean":
        pairs = np.repeat(queries, k, axis=0).astype(np.float64)
        frame["distance"] = np.linalg.norm(pairs - catalogue.vectors[flat], axis=1)
    if catalogue.counts is not None:
        frame["count"] = catalogue.counts[flat]
    return frame


def _count_excluded(excluded: NDArray[np.intp], candidates: NDArray[np.intp], n: int) -> int:
    """Return how many candidates one query excludes at most."""
    is_candidate = np.zeros(n + 1, dtype=bool)  # the last one stands for -1, nothing
    is_candidate[candidates] = True
    ordered = np.sort(excluded, axis=1)
    first = np.diff(ordered, axis=1, prepend=-2) != 0
    return int((is_candidate[ordered] & first).sum(axis=1).max())
