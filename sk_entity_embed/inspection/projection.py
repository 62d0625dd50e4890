"""Principal components and other projections of a column's vectors, and who is at their ends."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from importlib.util import find_spec
from numbers import Integral
from typing import Any, Literal, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn import config_context
from sklearn.utils import check_random_state

from sk_entity_embed.exceptions import InvalidParameterError, ProjectionWarning
from sk_entity_embed.input.messages import shown, warn
from sk_entity_embed.inspection.column_vectors import (
    ColumnVectors,
    Source,
    check_count,
    column_vectors_of,
    is_count,
    label_series,
    usual_min_count,
)
from sk_entity_embed.inspection.displays.docs import documented
from sk_entity_embed.model.tables import label_index

Method: TypeAlias = Literal["pca", "tsne", "umap"]
METHODS = ("pca", "tsne", "umap")


@dataclass(frozen=True, slots=True)
class Projection:
    """Coordinates of a column's categories, the method that made them, and names of the axes."""

    method: Method
    coordinates: NDArray[np.float64]
    axes: tuple[str, ...]


@documented()
def project(
    source: Source,
    column: str | None = None,
    *,
    method: Method = "pca",
    n_components: int = 2,
    random_state: Any = 0,
) -> pd.DataFrame:
    """Return coordinates of all categories of a column, to draw a map of them.

    Parameters
    ----------
    %(from)s
    %(column)s
    method : {"pca", "tsne", "umap"}, default="pca"
        "pca" gives principal components, weighted by training rows; they keep distances as well as
        two or three axes can. t-SNE [1]_ and UMAP [2]_ keep neighbours together, but distances mean
        little. "umap" needs the extra ``umap``. Without it you get principal components and a
        warning.
    n_components : {2, 3}, default=2
        Number of coordinates of a category.
    %(random_state)s

    Returns
    -------
    DataFrame of float64 of shape (n_categories, n_components)
        Coordinates, indexed by category. The columns are named after the axes.

    Raises
    ------
    InvalidParameterError
        If a parameter has another value, or the column does not exist.

    See Also
    --------
    EmbeddingDisplay : Draw the map.
    explore : Make an interactive page.

    Notes
    -----
    Categories that share a vector, as infrequent ones do, share their coordinates.

    References
    ----------
    .. [1] L. van der Maaten and G. Hinton, "Visualizing data using t-SNE", JMLR 9, 2008.
    .. [2] L. McInnes, J. Healy and J. Melville, "UMAP: uniform manifold approximation and
       projection for dimension reduction", 2018, arXiv:1802.03426.

    Examples
    --------
    >>> import pandas as pd
    >>> from sk_entity_embed.inspection import project
    >>> vectors = pd.DataFrame([[0, 0, 1], [2, 0, 1], [4, 1, 1]], index=["a", "b", "c"])
    >>> project(vectors).round(1)
              component 1 (98%)  component 2 (2%)
    category
    a                      -2.0               0.2
    b                      -0.1              -0.3
    c                       2.1               0.2
    """
    catalogue = column_vectors_of(source, column)
    found = projection_of(catalogue, method, n_components, random_state)
    index = label_index(catalogue.labels, catalogue.name)
    return pd.DataFrame(found.coordinates, index=index, columns=list(found.axes))


def projection_of(
    catalogue: ColumnVectors, method: Method, n_components: int = 2, random_state: Any = 0
) -> Projection:
    """Return the projection of a catalogue; see :func:`project`."""
    if method not in METHODS:
        raise InvalidParameterError(f"`method` must be one of {METHODS}, got {shown(method)}.")
    if not isinstance(n_components, Integral) or n_components not in (2, 3):
        raise InvalidParameterError(f"`n_components` must be 2 or 3, got {n_components!r}.")
    if method == "pca":
        return _pca(catalogue, n_components)
    vectors, back = np.unique(catalogue.vectors, axis=0, return_inverse=True)
    reason = ""
    if method == "umap" and find_spec("umap") is None:
        reason = (
            "method='umap' needs umap-learn: pip install 'sk-entity-embed[umap]'. Principal "
            "components are shown instead; method='tsne' needs nothing more."
        )
    elif len(vectors) < 5:
        reason = (
            f"Column {catalogue.name!r} has only {len(vectors)} different vectors, too few for "
            f"method={shown(method)}; principal components are shown instead."
        )
    if reason:
        warn(reason, ProjectionWarning)
        return _pca(catalogue, n_components)
    seed = check_random_state(random_state).randint(np.iinfo(np.int32).max)
    run = _tsne if method == "tsne" else _umap
    with config_context(transform_output="default"):
        coordinates = run(vectors, n_components, seed)[back.ravel()]
    name = {"tsne": "t-SNE", "umap": "UMAP"}[method]
    axes = tuple(f"{name} {i + 1}" for i in range(n_components))
    return Projection(method, coordinates.astype(np.float64), axes)


def _pca(catalogue: ColumnVectors, n_components: int) -> Projection:
    scores, shares = principal_components(catalogue.vectors, catalogue.weights)
    shares = np.append(shares, np.zeros(n_components))
    axes = tuple(f"component {i + 1} ({shares[i]:.0%})" for i in range(n_components))
    return Projection("pca", _first(scores, n_components), axes)


def _first(scores: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    """Return the first `n` columns; those that are not there are 0."""
    first = np.zeros((len(scores), n))
    first[:, : scores.shape[1]] = scores[:, :n]
    return first


def _tsne(vectors: NDArray[np.float32], n_components: int, seed: int) -> NDArray[np.floating[Any]]:
    from sklearn.manifold import TSNE

    perplexity = min(30.0, (len(vectors) - 1) / 3)
    start = _start(vectors, n_components, 1e-4, seed)
    model = TSNE(n_components, perplexity=perplexity, init=start, random_state=seed)
    coordinates: NDArray[np.floating[Any]] = model.fit_transform(vectors)
    return coordinates


def _umap(vectors: NDArray[np.float32], n_components: int, seed: int) -> NDArray[np.floating[Any]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about tensorflow, which is not needed
        from umap import UMAP

        model = UMAP(
            n_components=n_components,
            n_neighbors=min(15, len(vectors) - 1),
            init=_start(vectors, n_components, 10.0 / 3, seed),
            random_state=seed,
            n_jobs=1,  # what a seed implies
        )
        coordinates: NDArray[np.floating[Any]] = model.fit_transform(vectors)
    return coordinates


def _start(
    vectors: NDArray[np.float32], n_components: int, size: float, seed: int
) -> NDArray[np.float32]:
    """Return principal components of the given standard deviation, which keep the large scale."""
    scores, _ = principal_components(vectors, np.ones(len(vectors)))
    start = _first(scores, n_components)
    start += np.random.default_rng(seed).normal(size=start.shape) * 1e-4 * start[:, 0].std()
    return (start * (size / start[:, 0].std())).astype(np.float32)


def principal_components(
    vectors: NDArray[np.float32], weights: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return scores on weighted principal components, and shares of the variance.

    A component points the way of the axis it depends on most: those of an encoder are its axes.
    """
    centered = vectors.astype(np.float64)
    centered -= np.average(centered, axis=0, weights=weights)
    covariance = (centered * (weights / weights.sum())[:, None]).T @ centered
    variances, axes = np.linalg.eigh(covariance)
    axes, variances = axes[:, ::-1], np.maximum(variances[::-1], 0.0)
    signs = np.sign(axes[np.argmax(np.abs(axes), axis=0), np.arange(len(axes))])
    scores = centered @ (axes * signs)
    total = variances.sum()
    return scores + 0.0, variances / total if total > 0 else variances


@documented()
def extremes(
    source: Source,
    column: str | None = None,
    component: int = 1,
    k: int = 10,
    min_count: int | str | None = "auto",
) -> pd.DataFrame:
    """Return the categories lowest and highest on a principal component, to see what it means.

    The components are computed from the vectors of all categories, weighted by their training rows
    (or items, in a column of lists). For a fitted encoder they are the axes of the embedding, up to
    their sign. There are two exceptions: ``head="dot"``, where all columns share their axes, and
    lists pooled by "max".

    Parameters
    ----------
    %(from)s
    %(column)s
    component : int, default=1
        Number of the component, from 1.
    k : int, default=10
        Number of categories at each end.
    min_count : int, "auto" or None, default="auto"
        Leave out categories with fewer training rows. None takes all categories. "auto" is 20, or
        None if no category has 20 rows, or if counts are not known (vectors made elsewhere).

    Returns
    -------
    DataFrame
        Table with the columns ``end`` ("lowest" or "highest"), ``category``, ``value`` and, if
        counts are known, ``count``. At each end the outermost category comes first.

    Raises
    ------
    InvalidParameterError
        If the component does not exist, or no category has `min_count` rows.

    See Also
    --------
    EmbeddingHeatmapDisplay : Draw all axes at once.

    Examples
    --------
    >>> import pandas as pd
    >>> from sk_entity_embed.inspection import extremes
    >>> films = pd.DataFrame([[-2.0], [0.1], [1.5]], index=["Pi", "Jaws", "Alien"])
    >>> extremes(films, k=1).round(1)
           end category  value
    0   lowest       Pi   -1.9
    1  highest    Alien    1.6
    """
    catalogue = column_vectors_of(source, column)
    width = catalogue.vectors.shape[1]
    if not is_count(component) or component > width:
        raise InvalidParameterError(
            f"`component` must be an integer from 1 to {width}, the width of the vectors of column "
            f"{catalogue.name!r}; got {shown(component)}."
        )
    check_count("k", k)
    scores, _ = principal_components(catalogue.vectors, catalogue.weights)
    positions = catalogue.frequent(usual_min_count(min_count, catalogue.counts))
    values = scores[positions, component - 1]
    order = np.argsort(values, kind="stable")
    k = min(int(k), len(order))
    chosen = positions[np.concatenate([order[:k], order[::-1][:k]])]
    frame = pd.DataFrame(
        {
            "end": np.repeat(["lowest", "highest"], k),
            "category": label_series(catalogue.labels[chosen]),
            "value": scores[chosen, component - 1],
        }
    )
    if catalogue.counts is not None:
        frame["count"] = catalogue.counts[chosen]
    return frame
