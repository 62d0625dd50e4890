"""Two fits of one column: bring their vectors together, and tell what has changed."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, replace
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.linalg import orthogonal_procrustes

from sk_entity_embed._access import check_column, fitted_model, table_of
from sk_entity_embed.exceptions import InvalidDataError, InvalidParameterError
from sk_entity_embed.head import MLPHead
from sk_entity_embed.inspection.catalogue import Catalogue, Source, catalogue_of, label_series
from sk_entity_embed.inspection.search import exact_search
from sk_entity_embed.tables import EmbeddingTable


@dataclass(frozen=True, slots=True)
class RigidMotion:
    """A rotation or reflection, and a shift: ``vector @ rotation + shift``.

    Attributes
    ----------
    rotation : ndarray of float64 of shape (width, width)
        Orthogonal.
    shift : ndarray of float64 of shape (width,)
        Added after it.
    """

    rotation: NDArray[np.float64]
    shift: NDArray[np.float64]

    def apply(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """The moved vectors, of any shape (..., width)."""
        return (vectors.astype(np.float64) @ self.rotation + self.shift).astype(np.float32)


def align(encoder: Any, reference: Any) -> Any:
    """Turn an encoder's vectors so that they can take the place of another fit's.

    Each column is moved by the rotation, reflection and shift that bring its shared categories
    closest to the reference's, each weighted by the smaller of its two counts (orthogonal
    Procrustes [1]_). Distances between categories stay as they are, and so does everything that
    the network predicts: its first layer takes the motion back.

    Parameters
    ----------
    encoder : estimator
        Fitted; it is left as it is.
    reference : estimator
        Fitted, with vectors of the same width for the columns they share.

    Returns
    -------
    estimator
        A copy of `encoder` with moved vectors. Columns that the reference lacks are unchanged, and
        so is the hidden layer.

    Raises
    ------
    InvalidParameterError
        If one is no estimator of this package, no column is shared, or widths differ.
    InvalidDataError
        If a shared column has no category in common.
    sklearn.exceptions.NotFittedError
        If one is not fitted.

    See Also
    --------
    drift : What still differs afterwards.

    References
    ----------
    .. [1] P. Schönemann, "A generalized solution of the orthogonal Procrustes problem",
       Psychometrika 31(1), 1966.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from sk_entity_embed import EntityEmbeddingEncoder
    >>> from sk_entity_embed.inspection import align
    >>> rng = np.random.default_rng(0)
    >>> X = pd.DataFrame({"city": rng.choice(["Oslo", "Rome", "Lima"], 300)})
    >>> y = X["city"].str.len() + rng.normal(size=300)
    >>> old = EntityEmbeddingEncoder(max_iter=3, random_state=0).fit(X, y)
    >>> new = EntityEmbeddingEncoder(max_iter=3, random_state=1).fit(X, y)
    >>> distance = lambda e: float(np.linalg.norm(e.transform(X) - old.transform(X)))
    >>> distance(align(new, old)) <= distance(new)
    True
    """
    model, _ = fitted_model(encoder), fitted_model(reference)
    motions = {}
    for name in _shared_columns(encoder, reference, None):
        table, other = table_of(encoder, name), table_of(reference, name)
        if table.width != other.width:
            raise InvalidParameterError(
                f"Column {name!r} has vectors of {table.width} numbers, but those of `reference` "
                f"have {other.width}; fit both with the same `dimensions`."
            )
        motions[name] = _procrustes(catalogue_of(encoder, name), catalogue_of(reference, name))
    moved = [motions.get(t.vocabulary.name) for t in model.tables]
    aligned = copy(encoder)
    if hasattr(encoder, "_sklearn_output_config"):  # set_output changes it in place
        aligned._sklearn_output_config = dict(encoder._sklearn_output_config)
    aligned._model = replace(
        model,
        tables=tuple(_move(t, m) for t, m in zip(model.tables, moved, strict=True)),
        head=_undo(model.head, model.edges, moved),
    )
    unknown = getattr(encoder, "_unknown", None)
    if unknown is not None:
        aligned._unknown = [
            v if m is None else m.apply(v) for v, m in zip(unknown, moved, strict=True)
        ]
    return aligned


def drift(
    encoder: Source,
    reference: Source,
    column: str | None = None,
    *,
    k: int = 10,
    min_count: int | None = None,
) -> pd.DataFrame:
    """How far each category moved from one fit to another, and how many neighbours it kept.

    Movement is measured after the best rotation, reflection and shift (see :func:`align`), since
    coordinates of two fits are not comparable before. Vectors of different width are compared by
    neighbours alone.

    Parameters
    ----------
    encoder, reference : estimator, DataFrame or mapping of DataFrame
        The new fit and the old one. See :func:`~sk_entity_embed.inspection.nearest`.
    column : str, default=None
        Name of the column; None compares all columns that both have.
    k : int, default=10
        Nearest neighbours, by Euclidean distance among shared categories, that are compared;
        fewer where there are not as many.
    min_count : int, default=None
        Leave out categories with fewer training rows in either fit, as neighbours too.

    Returns
    -------
    DataFrame
        One row a category: ``column``, ``category``, ``status`` ("shared", "new" or "gone"),
        ``movement`` (Euclidean distance), ``relative_movement`` (in units of the root mean square
        distance of the shared vectors from their mean), ``neighbor_overlap`` (share of the `k`
        neighbours that are the same), ``count`` and ``reference_count``. Shared categories come
        first, those that moved most at the top. Measures of other categories are NaN.

    Raises
    ------
    InvalidDataError
        If a column has no category in common, or `min_count` leaves none.
    InvalidParameterError
        If there is no shared column, or a parameter does not fit.

    Examples
    --------
    >>> import pandas as pd
    >>> from sk_entity_embed.inspection import drift
    >>> old = pd.DataFrame([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]], index=["a", "b", "c"])
    >>> turned = old[[1, 0]].set_axis([0, 1], axis=1)
    >>> drift(turned, old, k=1)["movement"].abs().max().round(6)
    np.float64(0.0)
    """
    if not isinstance(k, Integral) or isinstance(k, bool) or k < 1:
        raise InvalidParameterError(f"`k` must be a positive integer, got {k!r}.")
    names = _shared_columns(encoder, reference, column)
    if column is not None:
        names = [check_column(column, names)]
    parts = [
        _column_drift(catalogue_of(encoder, n), catalogue_of(reference, n), int(k), min_count)
        for n in names
    ]
    return pd.concat(parts, ignore_index=True)


def _shared_columns(encoder: Any, reference: Any, column: str | None) -> list[str]:
    names = [_column_names(source, column) for source in (encoder, reference)]
    shared = [n for n in names[0] if n in names[1]]
    if not shared:
        raise InvalidParameterError(
            f"`encoder` has the columns {names[0]}, `reference` {names[1]}: none is shared."
        )
    return shared


def _column_names(source: Any, column: str | None) -> list[str]:
    if isinstance(source, pd.DataFrame | Catalogue):  # a frame is whatever column is asked for
        return [catalogue_of(source, column).name]
    if hasattr(source, "keys"):
        return list(source.keys())
    return [t.vocabulary.name for t in fitted_model(source).tables]


def _shared(
    new: Catalogue, old: Catalogue
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
    """Positions of shared categories in both, and the weight of each."""
    wanted, known = (
        pd.Index(c.labels.astype(object), dtype=object, tupleize_cols=False) for c in (new, old)
    )
    found = known.get_indexer(wanted)
    at = np.flatnonzero(found >= 0)
    if len(at) == 0:
        raise InvalidDataError(f"The two fits of column {new.name!r} share no category.")
    weights = np.minimum(new.weights[at], old.weights[found[at]])
    return at, found[at], weights if weights.any() else np.ones(len(at))


def _procrustes(new: Catalogue, old: Catalogue) -> RigidMotion:
    """The motion that brings the new vectors closest to the old ones, weighted by counts."""
    at, there, weights = _shared(new, old)
    a, b = (c.vectors[i].astype(np.float64) for c, i in ((new, at), (old, there)))
    mean_a, mean_b = np.average(a, axis=0, weights=weights), np.average(b, axis=0, weights=weights)
    root = np.sqrt(weights / weights.max())[:, None]
    rotation, _ = orthogonal_procrustes((a - mean_a) * root, (b - mean_b) * root)
    return RigidMotion(rotation, mean_b - mean_a @ rotation)


def _move(table: EmbeddingTable, motion: RigidMotion | None) -> EmbeddingTable:
    if motion is None:
        return table
    return replace(table, stack=motion.apply(table.stack), centre=motion.apply(table.centre))


def _undo(head: MLPHead, edges: Sequence[int], motions: Sequence[RigidMotion | None]) -> MLPHead:
    """The head for moved vectors: its first layer takes the motions back."""
    first, bias = head.weights[0].copy(), head.biases[0].copy()
    for j, motion in enumerate(motions):
        if motion is not None:
            block = slice(edges[j], edges[j + 1])
            first[block] = motion.rotation.T @ head.weights[0][block]
            bias -= motion.shift @ first[block]
    return replace(head, weights=(first, *head.weights[1:]), biases=(bias, *head.biases[1:]))


def _column_drift(new: Catalogue, old: Catalogue, k: int, min_count: int | None) -> pd.DataFrame:
    if min_count is not None:
        new, old = new.take(new.frequent(min_count)), old.take(old.frequent(min_count))
    at, there, weights = _shared(new, old)
    movement = relative = np.full(len(at), np.nan)
    if new.vectors.shape[1] == old.vectors.shape[1]:
        moved = _procrustes(new, old).apply(new.vectors[at]).astype(np.float64)
        b = old.vectors[there].astype(np.float64)
        movement = np.linalg.norm(moved - b, axis=1)
        centred = b - np.average(b, axis=0, weights=weights)
        size = np.sqrt(np.average((centred**2).sum(axis=1), weights=weights))
        relative = movement / size if size > 0 else relative
    shared = pd.DataFrame(
        {
            "category": label_series(new.labels[at]),
            "status": "shared",
            "movement": movement,
            "relative_movement": relative,
            "neighbor_overlap": _overlap(new.vectors[at], old.vectors[there], k),
        }
    )
    if new.counts is not None and old.counts is not None:
        shared["count"], shared["reference_count"] = new.counts[at], old.counts[there]
    shared = shared.sort_values("movement", ascending=False, kind="stable")
    parts = [shared]
    for catalogue, met, status in ((new, at, "new"), (old, there, "gone")):
        others = catalogue.take(np.setdiff1d(np.arange(len(catalogue)), met))
        if len(others):
            part = pd.DataFrame({"category": label_series(others.labels), "status": status})
            if others.counts is not None and "count" in shared:
                part["count" if status == "new" else "reference_count"] = others.counts
            parts.append(part)
    frame = pd.concat(parts, ignore_index=True)
    for name in {"count", "reference_count"} & set(frame):
        frame[name] = frame[name].fillna(0).astype(np.int64)
    frame.insert(0, "column", new.name)
    return frame


def _overlap(a: NDArray[np.float32], b: NDArray[np.float32], k: int) -> NDArray[np.float64]:
    """Share of each vector's k nearest others that are the same in both sets."""
    k = min(k, len(a) - 1)
    if k == 0:
        return np.full(len(a), np.nan)
    first, second = _neighbours(a, k), _neighbours(b, k)
    common = np.zeros(len(a))
    for i in range(k):
        common += (first[:, i : i + 1] == second).any(axis=1)
    return common / k


def _neighbours(vectors: NDArray[np.float32], k: int) -> NDArray[np.intp]:
    positions, _ = exact_search(vectors, vectors, k + 1, "euclidean")
    itself = positions == np.arange(len(vectors))[:, None]
    itself[~itself.any(axis=1), -1] = True  # among more equal vectors than k + 1
    return positions[~itself].reshape(-1, k)
