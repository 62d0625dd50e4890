"""Two fits of one column: bring their vectors together, and tell what has changed."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, replace
from numbers import Integral
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.linalg import orthogonal_procrustes
from scipy.optimize import linear_sum_assignment

from sk_entity_embed._access import check_column, fitted_model, fitted_step, table_of
from sk_entity_embed.exceptions import InvalidDataError, InvalidParameterError
from sk_entity_embed.head import DotHead
from sk_entity_embed.input.messages import shown
from sk_entity_embed.inspection.catalogue import (
    Catalogue,
    Source,
    catalogue_of,
    label_series,
    source_of,
)
from sk_entity_embed.inspection.search import exact_search
from sk_entity_embed.model import EmbeddingModel
from sk_entity_embed.pooling import GRU, Pooler
from sk_entity_embed.tables import EmbeddingTable

_Matched: TypeAlias = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]
"""Vectors of the shared categories in both fits, and the weight of each."""


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
        """The moved vectors, of any shape (..., width); numbers after these, biases, stay."""
        n = len(self.shift)
        moved = vectors.copy()
        moved[..., :n] = vectors[..., :n].astype(np.float64) @ self.rotation + self.shift
        return moved


def align(encoder: Any, reference: Any) -> Any:
    """Turn an encoder's vectors so that they can take the place of another fit's.

    Each column is moved by the rotation, reflection and shift that bring its shared categories
    closest to the reference's, each weighted by the smaller of its two counts (orthogonal
    Procrustes [1]_). Distances between categories stay as they are, and so does everything that
    the network predicts: its first layer takes the motion back. What else reads the vectors allows
    less, see Notes.

    Parameters
    ----------
    encoder : estimator
        Fitted, or a fitted pipeline that holds one such step; it is left as it is.
    reference : estimator
        The same, with vectors of the same width for the columns they share.

    Returns
    -------
    estimator
        A copy of `encoder`, or of the embedding step in it, with moved vectors. Columns that the
        reference lacks are unchanged, but for those of dot products, and so are biases, the hidden
        layer and what a recurrent unit makes of lists.

    Raises
    ------
    InvalidParameterError
        If one is no estimator of this package, no column is shared, widths or heads differ, or
        vectors below ``head="dot"`` were frozen.
    InvalidDataError
        If a shared column has no category in common; below ``head="dot"``, if none has one.
    sklearn.exceptions.NotFittedError
        If one is not fitted.

    See Also
    --------
    drift : What still differs afterwards.

    Notes
    -----
    Below ``head="dot"`` one rotation or reflection moves all columns alike, for dot products
    between them to stay; columns weigh alike in its choice. Of the items of lists, those that are
    averaged move as other categories do; those that are summed are not shifted, and those of which
    the largest entries are taken change only the order of their axes and shift. Items of
    ``pooling="gru"`` move freely, and the unit's input weights take that back; its states, which
    are what ``transform`` gives of the column, can no more be aligned than the hidden layer.

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
    encoder, reference = fitted_step(encoder), fitted_step(reference)
    model = encoder._model
    names = _shared_columns(encoder, reference, None)
    _check_shapes(encoder, reference, names)
    pairs = {n: (catalogue_of(encoder, n), catalogue_of(reference, n)) for n in names}
    moved: list[RigidMotion | None]
    if isinstance(model.head, DotHead):
        _check_dot(model.head)
        moved = [_joint_motion(list(pairs.values()))] * len(model.tables)
    else:
        ways = _ways(encoder)
        motions = {n: _motion(*pairs[n], ways.get(n)) for n in names}
        moved = [motions.get(t.vocabulary.name) for t in model.tables]
    aligned = copy(encoder)
    if hasattr(encoder, "_sklearn_output_config"):  # set_output changes it in place
        aligned._sklearn_output_config = dict(encoder._sklearn_output_config)
    aligned._model = _move_model(model, moved)
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

    Movement is measured after the best rotation, reflection and shift, or what else the network
    of `encoder` allows (see the Notes of :func:`align`), since coordinates of two fits are not
    comparable before. Vectors of different width are compared by neighbours alone. Biases are no
    part of it.

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
        neighbours that are the same), ``count`` and ``reference_count`` (training rows, or items in
        a column of lists). Shared categories come
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
        raise InvalidParameterError(f"`k` must be a positive integer, got {shown(k)}.")
    encoder, reference = source_of(encoder), source_of(reference)
    shared = _shared_columns(encoder, reference, column)
    names = shared if column is None else [check_column(column, shared)]
    together = None
    if _is_estimator(encoder) and isinstance(fitted_model(encoder).head, DotHead):
        pairs = [(catalogue_of(encoder, n), catalogue_of(reference, n)) for n in shared]
        together = _joint_motion([pair for pair in pairs if _same_width(*pair)])
    ways = _ways(encoder)
    parts = []
    for name in names:
        new, old = catalogue_of(encoder, name), catalogue_of(reference, name)
        parts.append(_column_drift(new, old, int(k), min_count, ways.get(name), together))
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


def _is_estimator(source: Any) -> bool:
    return not isinstance(source, pd.DataFrame | Catalogue) and not hasattr(source, "keys")


def _ways(source: Any) -> dict[str, Pooler | None]:
    """How the lists of each column are pooled, as far as that is known."""
    if not _is_estimator(source):
        return {}
    model = fitted_model(source)
    names = [t.vocabulary.name for t in model.tables]
    return dict(zip(names, model.pooling, strict=True))


def _check_shapes(encoder: Any, reference: Any, names: Sequence[str]) -> None:
    """Refuse heads of two kinds and vectors of two widths."""
    heads = [
        "dot" if isinstance(fitted_model(e).head, DotHead) else "mlp" for e in (encoder, reference)
    ]
    if heads[0] != heads[1]:
        raise InvalidParameterError(
            f"`encoder` was fitted with head={heads[0]!r}, but `reference` with head={heads[1]!r}; "
            "fit both with the same `head`."
        )
    for name in names:
        widths = [table_of(e, name).n_axes for e in (encoder, reference)]
        if widths[0] != widths[1]:
            raise InvalidParameterError(
                f"Column {name!r} has vectors of {widths[0]} numbers, but those of `reference` "
                f"have {widths[1]}; fit both with the same `dimensions`."
            )


def _matched(new: Catalogue, old: Catalogue) -> _Matched:
    at, there, weights = _shared(new, old)
    a, b = new.vectors[at].astype(np.float64), old.vectors[there].astype(np.float64)
    return a, b, weights / weights.sum()


def _motion(new: Catalogue, old: Catalogue, way: Pooler | None) -> RigidMotion:
    """The motion that brings a column's new vectors closest to the old ones, weighted by counts.

    Lists pooled in this `way` have to follow their items.
    """
    a, b, weights = _matched(new, old)
    if way == "sum":
        return RigidMotion(_rotation([(a, b, weights)]), np.zeros(a.shape[1]))
    mean_a, mean_b = weights @ a, weights @ b
    turn = _permutation if way == "max" else _rotation
    rotation = turn([(a - mean_a, b - mean_b, weights)])
    return RigidMotion(rotation, mean_b - mean_a @ rotation)


def _joint_motion(pairs: Sequence[tuple[Catalogue, Catalogue]]) -> RigidMotion | None:
    """One rotation for all columns, under which dot products between them stay.

    None if there are no pairs.

    Raises
    ------
    InvalidDataError
        If no column has a category in common.
    """
    matched, errors = [], []
    for new, old in pairs:
        try:
            matched.append(_matched(new, old))
        except InvalidDataError as error:  # the others tell how this column moves
            errors.append(error)
    if not matched:
        if errors:
            raise errors[0]
        return None
    rotation = _rotation(matched)
    return RigidMotion(rotation, np.zeros(len(rotation)))


def _rotation(matched: Sequence[_Matched]) -> NDArray[np.float64]:
    """The orthogonal matrix that brings vectors closest to others."""
    roots = [np.sqrt(weights)[:, None] for _, _, weights in matched]
    new, old = (
        np.vstack([part[i] * root for part, root in zip(matched, roots, strict=True)])
        for i in (0, 1)
    )
    rotation: NDArray[np.float64] = orthogonal_procrustes(new, old)[0]
    return rotation


def _permutation(matched: Sequence[_Matched]) -> NDArray[np.float64]:
    """The order of axes that brings vectors closest to others."""
    ((a, b, weights),) = matched
    found = linear_sum_assignment((a * weights[:, None]).T @ b, maximize=True)
    matrix = np.zeros((a.shape[1], a.shape[1]))
    matrix[found] = 1.0
    return matrix


def _check_dot(head: DotHead) -> None:
    """Refuse axes of different weights: dot products do not stay when these are mixed."""
    if np.ptp(head.axes) > 1e-6 * head.axes.max():
        raise InvalidParameterError(
            "`encoder` cannot be aligned: its vectors were frozen below head='dot', whose axes "
            "have weights of their own and cannot be rotated; fit it without `freeze`."
        )


def _move_model(model: EmbeddingModel, moved: Sequence[RigidMotion | None]) -> EmbeddingModel:
    """The model with moved tables, in which all that reads them takes the motions back."""
    tables = tuple(_move(t, m) for t, m in zip(model.tables, moved, strict=True))
    if isinstance(model.head, DotHead):
        return replace(model, tables=tables)
    units = [
        pooler if motion is None or not isinstance(pooler, GRU) else _undo_items(pooler, motion)
        for pooler, motion in zip(model.pooling, moved, strict=True)
    ]
    # The head reads states where a recurrent unit reads the vectors.
    read = [None if isinstance(p, GRU) else m for p, m in zip(model.pooling, moved, strict=True)]
    first, bias = _undo(model.head.weights[0], model.head.biases[0], model.edges, read)
    head = replace(
        model.head,
        weights=(first, *model.head.weights[1:]),
        biases=(bias, *model.head.biases[1:]),
    )
    return replace(model, tables=tables, head=head, pooling=tuple(units))


def _move(table: EmbeddingTable, motion: RigidMotion | None) -> EmbeddingTable:
    if motion is None:
        return table
    return replace(table, stack=motion.apply(table.stack), centre=motion.apply(table.centre))


def _undo_items(unit: GRU, motion: RigidMotion) -> GRU:
    """The recurrent unit for moved items."""
    edges = [0, len(unit.input_weights)]
    weights, bias = _undo(unit.input_weights, unit.input_bias, edges, [motion])
    return replace(unit, input_weights=weights, input_bias=bias)


def _undo(
    weights: NDArray[np.float64],
    bias: NDArray[np.float64],
    edges: Sequence[int],
    motions: Sequence[RigidMotion | None],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weights and bias for moved vectors: they take the motions back."""
    first, bias = weights.copy(), bias.copy()
    for j, motion in enumerate(motions):
        if motion is not None:
            block = slice(edges[j], edges[j + 1])
            first[block] = motion.rotation.T @ weights[block]
            bias -= motion.shift @ first[block]
    return first, bias


def _same_width(new: Catalogue, old: Catalogue) -> bool:
    return new.vectors.shape[1] == old.vectors.shape[1]


def _column_drift(
    new: Catalogue,
    old: Catalogue,
    k: int,
    min_count: int | None,
    way: Pooler | None,
    together: RigidMotion | None,
) -> pd.DataFrame:
    """Drift of one column, after the motion of all columns `together`, or else its own."""
    if min_count is not None:
        new, old = new.take(new.frequent(min_count)), old.take(old.frequent(min_count))
    at, there, weights = _shared(new, old)
    movement = relative = np.full(len(at), np.nan)
    if _same_width(new, old):
        motion = together or _motion(new, old, way)
        moved = motion.apply(new.vectors[at]).astype(np.float64)
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
