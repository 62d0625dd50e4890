"""Embedding Atlas: a map of millions of categories, as a file, a web page or a widget."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from sk_entity_embed._access import fitted_step
from sk_entity_embed._writing import write_whole
from sk_entity_embed.exceptions import InvalidParameterError
from sk_entity_embed.export._text import PathLike
from sk_entity_embed.export.projector import own_columns, target_means
from sk_entity_embed.input.messages import shown
from sk_entity_embed.inspection.column_vectors import ColumnVectors, check_count, column_vectors_of
from sk_entity_embed.inspection.index import NeighborIndex, check_index, index_search
from sk_entity_embed.inspection.projection import Method, projection_of
from sk_entity_embed.inspection.search import Metric, check_metric, exact_search

__all__ = ["atlas_widget", "to_atlas"]


def to_atlas(
    encoder: Any,
    column: str | None = None,
    path: PathLike | None = None,
    *,
    method: Method = "pca",
    k: int = 10,
    metric: Metric = "cosine",
    index: NeighborIndex | None = None,
    metadata: Any = None,
    random_state: Any = 0,
) -> pa.Table:
    """Return a column's categories as a table for Embedding Atlas, and write it to a file.

    Embedding Atlas [1]_ shows maps of millions of points in a browser or a notebook, with search,
    neighbours and charts that filter each other. This function needs nothing of it. Show the file
    by its command line, which does not compute anything anew::

        embedding-atlas city.parquet --text category --x x --y y --neighbors neighbors

    Add ``--export-application folder`` to get a web page to publish.

    Parameters
    ----------
    encoder : EntityEmbeddingEncoder
        Fitted, or a fitted pipeline that holds one such step.
    column : str, default=None
        The column; may be None where there is only one.
    path : str or path-like, default=None
        Parquet file to write; it appears at once or not at all. None writes none.
    method : {"pca", "tsne", "umap"}, default="pca"
        How the map is made; see :func:`sk_entity_embed.inspection.project`.
    k : int, default=10
        Nearest neighbours of each category; 0 leaves them out. All pairs of categories are
        compared, so that twice as many take four times as long (20,000 take about 12 seconds on
        one core): give an `index` for more.
    metric : {"cosine", "euclidean", "dot"}, default="cosine"
        What makes categories neighbours; see :func:`sk_entity_embed.inspection.nearest`.
    index : NeighborIndex, default=None
        Search neighbours by it, approximately.
    metadata : Series or DataFrame, default=None
        More to show about each category, indexed by category.
    random_state : int, RandomState instance or None, default=0
        For the methods "tsne" and "umap".

    Returns
    -------
    pyarrow.Table of shape (n_categories, n_columns)
        "category", as text; "count"; "target_mean", or one of them for each class or output; the
        columns of `metadata`; "x" and "y"; and "neighbors", with the numbers of the nearest rows as
        "ids" and "distances" to them. The distance of "cosine" is one minus the cosine, and that
        of "dot" minus the product.

    Raises
    ------
    InvalidParameterError
        If a parameter is out of range, `metadata` does not fit, or there is no such column.
    InvalidDataError
        If `metadata` has none of the categories, or one of them twice.
    sklearn.exceptions.NotFittedError
        If the encoder is not fitted.

    See Also
    --------
    atlas_widget : The same in a notebook.
    sk_entity_embed.inspection.explore : A page of its own for up to some ten thousand categories.
    to_projector : Files for TensorBoard.

    Notes
    -----
    Categories of a column of lists are its items, and those of a cross are pairs. The biases of
    ``head="dot"`` are left out.

    References
    ----------
    .. [1] D. Ren et al., "Embedding Atlas: low-friction, interactive embedding visualization",
       2025, arXiv:2505.06386.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from sk_entity_embed import EntityEmbeddingEncoder
    >>> from sk_entity_embed.export import to_atlas
    >>> X = pd.DataFrame({"city": ["Oslo", "Rome", "Lima"] * 40})
    >>> encoder = EntityEmbeddingEncoder(max_iter=1, random_state=0)
    >>> table = to_atlas(encoder.fit(X, np.arange(120) + 0.5), "city", k=2)
    >>> table.column_names
    ['category', 'count', 'target_mean', 'x', 'y', 'neighbors']
    >>> sorted(table["neighbors"][0].as_py()["ids"])
    [1, 2]
    """
    check_metric(metric)
    check_count("k", k, least=0)
    encoder = fitted_step(encoder)
    catalogue = column_vectors_of(encoder, column)
    if k >= len(catalogue):
        k = len(catalogue) - 1
    texts = [text.encode(errors="backslashreplace").decode() for text in catalogue.texts]
    columns: dict[str, Any] = {"category": texts, "count": catalogue.counts}
    columns |= target_means(encoder, catalogue)
    place = projection_of(catalogue, method, 2, random_state).coordinates.astype(np.float32)
    own = own_columns(metadata, catalogue)
    if taken := [name for name in own if name in [*columns, "x", "y", "neighbors"]]:
        raise InvalidParameterError(
            f"`metadata` has columns {shown(taken)}, which the table has already; rename them."
        )
    columns |= {name: _values(values) for name, values in own.items()}
    columns |= {"x": place[:, 0], "y": place[:, 1]}
    if k:
        columns["neighbors"] = _neighbors(catalogue, k, metric, index)
    table = pa.table(columns)
    if path is not None:
        write_whole(path, partial(pq.write_table, table))
    return table


def atlas_widget(encoder: Any, column: str | None = None, **params: Any) -> Any:
    """Return the widget of Embedding Atlas for a notebook, with a column's categories.

    Parameters
    ----------
    encoder : EntityEmbeddingEncoder
        Fitted, or a fitted pipeline that holds one such step.
    column : str, default=None
        The column; may be None where there is only one.
    **params
        Parameters of :func:`to_atlas`.

    Returns
    -------
    embedding_atlas.widget.EmbeddingAtlasWidget
        The widget; its method ``selection`` returns the rows that you select in it.

    Raises
    ------
    ImportError
        If embedding-atlas or anywidget is not installed; the extra is ``atlas``.

    See Also
    --------
    to_atlas : The table that is shown, which needs no extra, and the errors it raises.

    Examples
    --------
    >>> from sk_entity_embed.export import atlas_widget
    >>> widget = atlas_widget(encoder, "city")  # doctest: +SKIP
    >>> widget.selection().column_names  # doctest: +SKIP
    ['category', 'count', 'target_mean', 'x', 'y', 'neighbors', '__row_index__']
    """
    try:
        from embedding_atlas.widget import EmbeddingAtlasWidget
    except ImportError as error:
        raise ImportError(
            "atlas_widget needs embedding-atlas and anywidget; install them with "
            "pip install 'sk-entity-embed[atlas]'. to_atlas writes its files without it."
        ) from error
    table = to_atlas(encoder, column, **params)
    near = {"neighbors": "neighbors"} if "neighbors" in table.column_names else {}
    return EmbeddingAtlasWidget(table, x="x", y="y", text="category", **near)


def _values(values: list[Any]) -> pa.Array:
    """Return values in Arrow's type for them, or as texts where they have none in common."""
    try:
        return pa.array(values, from_pandas=True)
    except (pa.ArrowException, OverflowError, UnicodeEncodeError):
        texts = [None if v is None else str(v) for v in values]
        return pa.array([t and t.encode(errors="backslashreplace").decode() for t in texts])


def _neighbors(
    catalogue: ColumnVectors, k: int, metric: Metric, index: NeighborIndex | None
) -> pa.StructArray:
    """Return numbers of the nearest rows of each row, itself not among them, and distances."""
    vectors = catalogue.vectors
    if index is None:
        positions, found = exact_search(vectors, vectors, k + 1, metric)
    else:
        check_index(index, catalogue, metric, None)
        positions, found = index_search(index, vectors, vectors, k + 1)
    own = positions == np.arange(len(vectors))[:, None]
    # Among more than k copies of itself a row need not be found; the last one gives way then.
    kept = np.argsort(own, axis=1, kind="stable")[:, :k]
    ids, near = (np.take_along_axis(values, kept, 1) for values in (positions, found))
    distances = {"cosine": 1.0 - near, "dot": -near}.get(metric, 1.0 / near - 1.0)
    return pa.StructArray.from_arrays(
        [_lists(ids), _lists(distances.astype(np.float32))], ["ids", "distances"]
    )


def _lists(values: NDArray[Any]) -> pa.LargeListArray:
    """Return a list for each row of an array."""
    ends = pa.array(np.arange(0, values.size + 1, values.shape[1]), pa.int64())
    return pa.LargeListArray.from_arrays(ends, pa.array(values.ravel()))
