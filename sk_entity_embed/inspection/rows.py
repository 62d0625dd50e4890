"""Neighbours of whole rows."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sk_entity_embed._access import coded_rows, fitted_model
from sk_entity_embed._steps import Step, find_step
from sk_entity_embed.exceptions import InvalidDataError, InvalidParameterError
from sk_entity_embed.input.messages import shown
from sk_entity_embed.inspection.column_vectors import ColumnVectors
from sk_entity_embed.inspection.neighbors import find_neighbors
from sk_entity_embed.inspection.search import Metric, check_metric
from sk_entity_embed.model.fitted import CodedRows, EmbeddingModel

_USUAL = 5
"""Neighbours listed unless told otherwise."""


def nearest_rows(
    estimator: Any,
    X: Any,
    query: Any,
    k: int | None = None,
    *,
    metric: Metric = "cosine",
    representation: Literal["embedding", "hidden", "both"] = "embedding",
    columns: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Return the rows of a table that are most similar to given rows, such as similar listings.

    Rows are compared by their columns' vectors side by side, without biases; lists are pooled. The
    more a column matters to the target, the more it counts. Rows of the same categories are then
    equally similar, whatever their numbers. The network's last hidden layer depends on the context
    numbers, too. With "both", rows are similar if they have similar categories and if their numbers
    have similar effects.

    Parameters
    ----------
    estimator : estimator
        A fitted estimator of this package, or a fitted pipeline that holds one such step.
    X : array-like of shape (n_samples, n_features)
        Rows to search, with the columns of fit. For a pipeline, give rows as the whole pipeline
        takes them; the steps before the embedding are applied. For a column transformer, `X` may
        have other columns.
    query : int, list of int, or array-like of shape (n_queries, n_features)
        Positions of rows of `X`, or a table of other rows.
    k : int, default=None
        Number of neighbours of each query. None gives 5, or all if there are fewer.
    metric : {"cosine", "euclidean", "dot"}, default="cosine"
        What makes rows similar; see :func:`nearest`.
    representation : {"embedding", "hidden", "both"}, default="embedding"
        "embedding" compares rows by their vectors, "hidden" by the last hidden layer, and "both" by
        the two side by side, in the units of ``output="both"``. "hidden" and "both" need a head
        with a hidden layer; the `output` of an encoder does not matter.
    columns : sequence of str, default=None
        With "embedding", the categorical columns to compare by; None takes all.

    Returns
    -------
    DataFrame
        Table with the columns ``row`` (the position in `X`) and ``similarity``, with "euclidean"
        also ``distance``. With several queries, ``query`` is the first column. A row of `X` is not
        its own neighbour.

    Raises
    ------
    ValueError
        If the rows do not have the columns of fit, or a position is not in `X`.
    InvalidParameterError
        If there are fewer than `k` other rows, or a parameter does not fit. Also if the embedding
        step is inside an estimator that may change its rows in unknown ways, such as an ensemble.
    sklearn.exceptions.NotFittedError
        If the estimator is not fitted.

    See Also
    --------
    nearest : Return the most similar categories of one column.

    Notes
    -----
    Unknown and missing cells always have their trained vectors here, for any ``handle_unknown``.

    Examples
    --------
    >>> import pandas as pd
    >>> from sk_entity_embed import EntityEmbeddingEncoder
    >>> from sk_entity_embed.inspection import nearest_rows
    >>> brands, fuels = ["Audi", "BMW", "Fiat", "Seat"], ["petrol", "diesel", "gas"]
    >>> X = pd.DataFrame({"brand": brands * 45, "fuel": fuels * 60})
    >>> price = {"Audi": 31.0, "BMW": 33.0, "Fiat": 14.0, "Seat": 15.0}
    >>> y = X["brand"].map(price) + X["fuel"].map({"petrol": 0.0, "diesel": 2.0, "gas": -4.0})
    >>> y += [1.5, -1.5, 0.5, -0.5, 0.0] * 36
    >>> encoder = EntityEmbeddingEncoder(max_iter=40, random_state=0).fit(X, y)
    >>> cars = X[:12]
    >>> cars.iloc[[0]]
      brand    fuel
    0  Audi  petrol
    >>> cars.iloc[nearest_rows(encoder, cars, 0, k=2, metric="euclidean")["row"]]
      brand    fuel
    9   BMW  petrol
    4  Audi  diesel

    Cars of one brand and fuel that differ in age are equally similar by their vectors alone:

    >>> X["age"] = [i % 7 for i in range(180)]
    >>> encoder = EntityEmbeddingEncoder(max_iter=40, random_state=0).fit(X, y - 2 * X["age"])
    >>> same, query = X[X["brand"].eq("Audi") & X["fuel"].eq("petrol")], X[:1]
    >>> nearest_rows(encoder, same, query, k=7)["similarity"].nunique()
    1
    >>> found = nearest_rows(encoder, same, query, k=3, representation="both")
    >>> same["age"].iloc[found["row"]].tolist()
    [0, 0, 0]
    """
    check_metric(metric)
    step = find_step(estimator)
    model = fitted_model(step.estimator)
    rows = _code(step, X)
    vectors = _represent(model, rows, representation, columns)
    positions = _row_positions(query, len(rows))
    if positions is None:
        asked = _represent(model, _code(step, query), representation, columns)
        own = np.full((len(asked), 1), -1)
        names: NDArray[np.intp] | None = np.arange(len(asked))
    else:
        asked, own = vectors[positions], positions[:, None]
        names = None if isinstance(query, Integral) else positions
    catalogue = ColumnVectors("row", np.arange(len(rows)), vectors, None, None)
    frame = find_neighbors(catalogue, names, asked, own, k, metric, what="rows of X", usual=_USUAL)
    return frame.rename(columns={"category": "row"})


def _code(step: Step, X: Any) -> CodedRows:
    return coded_rows(step.estimator, step.rows_given(X))


def _represent(
    model: EmbeddingModel, rows: CodedRows, representation: str, columns: Sequence[str] | None
) -> NDArray[np.float32]:
    """Return the rows as vectors to compare."""
    if representation not in tuple(_PARTS):
        raise InvalidParameterError(
            "`representation` must be 'embedding', 'hidden' or 'both', got "
            f"{shown(representation)}."
        )
    if representation != "embedding" and columns is not None:
        raise InvalidParameterError(
            "`columns` can only be used with representation='embedding'; the hidden layer "
            "belongs to all columns together."
        )
    parts = [part(model, rows, representation, columns) for part in _PARTS[representation]]
    return parts[0] if len(parts) == 1 else np.hstack(parts)


def _hidden(
    model: EmbeddingModel, rows: CodedRows, representation: str, columns: Sequence[str] | None
) -> NDArray[np.float32]:
    """Return the last hidden layer of rows."""
    if not model.head.n_hidden:
        raise InvalidParameterError(
            f"representation={representation!r} needs a hidden layer, but the head has none."
        )
    out = np.empty((len(rows), model.head.n_hidden), dtype=np.float32)
    model.hidden(rows, out)
    return out


def _vectors(
    model: EmbeddingModel, rows: CodedRows, representation: str, columns: Sequence[str] | None
) -> NDArray[np.float32]:
    """Return the vectors of rows side by side, of all columns or of some, without biases."""
    names = [t.vocabulary.name for t in model.tables]
    if not names:
        raise InvalidParameterError(
            "The estimator has no embedded columns to compare rows by; use representation='hidden'."
        )
    unknown = [c for c in columns or () if c not in names]
    if unknown or (columns is not None and (isinstance(columns, str) or len(columns) == 0)):
        raise InvalidParameterError(
            f"`columns` must be a list of embedded columns ({shown(names)}), got {shown(columns)}."
        )
    out = np.empty((len(rows), model.edges[-1]), dtype=np.float32)
    model.embed(rows.codes, out)
    if columns is None and not model.has_biases:
        return out
    blocks = [
        out[:, edge : edge + table.n_axes]
        for edge, table in zip(model.edges, model.tables, strict=False)
        if columns is None or table.vocabulary.name in columns
    ]
    return np.ascontiguousarray(np.hstack(blocks))


_PARTS = {"embedding": [_vectors], "hidden": [_hidden], "both": [_vectors, _hidden]}
"""What rows are compared by, side by side."""


def _row_positions(query: Any, n_rows: int) -> NDArray[np.intp] | None:
    """Return positions in the table; None if the query is a table itself."""
    if isinstance(query, list | range | pd.Series | pd.Index):
        several = list(query)
    elif isinstance(query, np.ndarray) and query.ndim == 1:
        several = query.tolist()
    else:
        several = [query]
    if not several:
        raise InvalidDataError("`query` is empty; give one query at least.")
    if not all(isinstance(q, Integral) and not isinstance(q, bool) for q in several):
        return None
    positions = np.array(several, dtype=np.intp)
    if ((positions < -n_rows) | (positions >= n_rows)).any():
        raise InvalidDataError(
            f"`query` has positions beyond the {n_rows} rows of X: {shown(query)}."
        )
    return positions % n_rows
