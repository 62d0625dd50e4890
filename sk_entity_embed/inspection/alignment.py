"""Two fits of one column: bring their vectors together, and tell what has changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sk_entity_embed._access import check_column, fitted_model, fitted_step, with_model
from sk_entity_embed.exceptions import InvalidDataError, InvalidParameterError
from sk_entity_embed.inspection.column_vectors import (
    ColumnVectors,
    Source,
    check_count,
    column_vectors_of,
    label_series,
    source_of,
)
from sk_entity_embed.inspection.search import exact_search
from sk_entity_embed.model.fitted import EmbeddingModel
from sk_entity_embed.model.procrustes import Matched, nearest_motion, nearest_rotation
from sk_entity_embed.model.symmetry import AFFINE, Motion, Symmetry


def align(encoder: Any, reference: Any) -> Any:
    """Return an encoder whose vectors are turned so that they can replace those of another fit.

    The vectors of two fits have different axes, so you cannot compare their coordinates. `align`
    rotates, reflects and shifts each column so that the categories of both fits come as close as
    possible to the reference. Each category has the smaller of its two counts as weight (orthogonal
    Procrustes [1]_). Distances between categories stay the same. Predictions stay the same, too:
    the network's first layer undoes the motion. Some columns can be moved less freely, see Notes.

    Parameters
    ----------
    encoder : estimator
        A fitted estimator of this package, or a fitted pipeline that holds one such step. It is not
        changed.
    reference : estimator
        The same, for example last month's fit. Shared columns must have vectors of the same width.

    Returns
    -------
    estimator
        A copy of `encoder`, or of the embedding step in it, with moved vectors. Columns that the
        reference lacks are unchanged, except with ``head="dot"``. Biases, the hidden layer and the
        output of a recurrent unit for lists are unchanged as well.

    Raises
    ------
    InvalidParameterError
        If one of the two is not an estimator of this package, they share no column, widths or heads
        differ, or vectors of ``head="dot"`` were frozen.
    InvalidDataError
        If a shared column has no category in common; with ``head="dot"``, if no column has one.
    sklearn.exceptions.NotFittedError
        If one of the two is not fitted.

    See Also
    --------
    drift : Measure what still differs afterwards.

    Notes
    -----
    With ``head="dot"`` all columns get the same rotation or reflection, so that dot products
    between columns stay the same. All columns have the same weight in its choice.

    Items of lists depend on the `pooling`. With "mean" they move like other categories. With "sum"
    they are not shifted. With "max" only the order of their axes and the shift change. With "gru"
    they move freely, and the unit's input weights undo the motion. The unit's states, which are the
    output of ``transform`` for the column, cannot be aligned, and neither can the hidden layer.

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
    >>> X = pd.DataFrame({"city": rng.choice(["Lima", "Oslo", "Rome"], 200)})
    >>> y = X["city"].map({"Lima": 22.0, "Oslo": -4.0, "Rome": 12.0}) + rng.normal(size=200)
    >>> old = EntityEmbeddingEncoder(dimensions=2, max_iter=20, random_state=0).fit(X, y)
    >>> new = EntityEmbeddingEncoder(dimensions=2, max_iter=20, random_state=3).fit(X, y)
    >>> for encoder in (new, align(new, old)):  # before and after
    ...     moved = encoder.embeddings_["city"] - old.embeddings_["city"]
    ...     print(f"{np.linalg.norm(moved):.1f}")
    1.3
    0.1
    """
    encoder, reference = fitted_step(encoder), fitted_step(reference)
    model = fitted_model(encoder)
    names = _shared_columns(encoder, reference, None)
    _check_shapes(model, fitted_model(reference), names)
    pairs = {n: (column_vectors_of(encoder, n), column_vectors_of(reference, n)) for n in names}
    symmetries = _symmetries(model, names)
    together = _joint_motion(symmetries, pairs)
    motions = {
        name: together if symmetry.joint else _motion(*pairs[name], symmetry, together)
        for name, symmetry in symmetries.items()
        if symmetry.joint or name in pairs
    }
    if all(motion is None for motion in motions.values()):
        raise InvalidParameterError(
            f"`encoder` cannot be aligned: its head={model.head.name!r} or its pooling of lists "
            "does not allow its vectors to be turned. Where vectors were frozen below head='dot', "
            "fit without `freeze`."
        )
    moved = model.moved([motions.get(t.vocabulary.name) for t in model.tables])
    return with_model(encoder, moved)


def drift(
    encoder: Source,
    reference: Source,
    column: str | None = None,
    *,
    k: int = 10,
    min_count: int | None = None,
) -> pd.DataFrame:
    """Return how far each category moved between two fits, and how many neighbours it kept.

    The coordinates of two fits cannot be compared directly. Movement is therefore measured after
    the best rotation, reflection and shift that the network of `encoder` allows (see the Notes of
    :func:`align`). Vectors of different width are compared by their neighbours only. Biases are
    not compared.

    Parameters
    ----------
    encoder, reference : estimator, DataFrame or mapping of DataFrame
        The new fit and the old one. See :func:`~sk_entity_embed.inspection.nearest`.
    column : str, default=None
        Name of the column. None compares all columns that both fits have.
    k : int, default=10
        Number of nearest neighbours that are compared, by Euclidean distance among shared
        categories. With fewer categories, all of them are compared.
    min_count : int, default=None
        Leave out categories with fewer training rows in either fit, also as neighbours.

    Returns
    -------
    DataFrame
        One row for each category, with the columns ``column``, ``category``, ``status`` ("shared",
        "new" or "gone"), ``movement`` (Euclidean distance), ``relative_movement`` (in units of the
        root mean square distance of the shared vectors from their mean), ``neighbor_overlap``
        (share of the `k` neighbours that are the same), ``count`` and ``reference_count`` (training
        rows, or items in a column of lists). Shared categories come first, and among them those
        that moved most. Measures of the other categories are NaN.

    Raises
    ------
    InvalidDataError
        If a column has no category in common, or `min_count` leaves none.
    InvalidParameterError
        If the two fits share no column, or a parameter does not fit.

    See Also
    --------
    align : Turn the vectors so that they can replace those of another fit.
    DriftDisplay : Draw this table.

    Examples
    --------
    Category "e" moved, "f" is new, and the axes of the new fit are swapped:

    >>> import pandas as pd
    >>> from sk_entity_embed.inspection import drift
    >>> old = pd.DataFrame([[0, 0], [2, 0], [0, 3], [2, 3], [1, 1]], index=list("abcde"))
    >>> new = pd.DataFrame([[0, 0], [0, 2], [3, 0], [3, 2], [3, 3], [1, 0]], index=list("abcdef"))
    >>> drift(new, old, k=1)[["category", "status", "movement", "neighbor_overlap"]].round(1)
      category  status  movement  neighbor_overlap
    0        e  shared       2.2               0.0
    1        b  shared       0.7               0.0
    2        a  shared       0.6               0.0
    3        d  shared       0.5               0.0
    4        c  shared       0.4               1.0
    5        f     new       NaN               NaN
    """
    check_count("k", k)
    encoder, reference = source_of(encoder), source_of(reference)
    shared = _shared_columns(encoder, reference, column)
    names = shared if column is None else [check_column(column, shared)]
    pairs = {n: (column_vectors_of(encoder, n), column_vectors_of(reference, n)) for n in shared}
    model = fitted_model(encoder) if _is_estimator(encoder) else None
    symmetries = _symmetries(model, shared)
    together = _joint_motion(symmetries, pairs)
    parts = [_column_drift(*pairs[n], int(k), min_count, symmetries[n], together) for n in names]
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
    if isinstance(source, pd.DataFrame | ColumnVectors):  # a frame is whatever column is asked for
        return [column_vectors_of(source, column).name]
    if hasattr(source, "keys"):
        return list(source.keys())
    return [t.vocabulary.name for t in fitted_model(source).tables]


def _shared(
    new: ColumnVectors, old: ColumnVectors
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
    return not isinstance(source, pd.DataFrame | ColumnVectors) and not hasattr(source, "keys")


def _check_shapes(model: EmbeddingModel, reference: EmbeddingModel, names: Sequence[str]) -> None:
    """Refuse heads of two kinds and vectors of two widths."""
    heads = [m.head.name for m in (model, reference)]
    if heads[0] != heads[1]:
        raise InvalidParameterError(
            f"`encoder` was fitted with head={heads[0]!r}, but `reference` with head={heads[1]!r}; "
            "fit both with the same `head`."
        )
    n_axes = [{t.vocabulary.name: t.n_axes for t in m.tables} for m in (model, reference)]
    for name in names:
        if n_axes[0][name] != n_axes[1][name]:
            raise InvalidParameterError(
                f"Column {name!r} has vectors of {n_axes[0][name]} numbers, but those of "
                f"`reference` have {n_axes[1][name]}; fit both with the same `dimensions`."
            )


def _matched(new: ColumnVectors, old: ColumnVectors) -> Matched:
    at, there, weights = _shared(new, old)
    a, b = new.vectors[at].astype(np.float64), old.vectors[there].astype(np.float64)
    return a, b, weights / weights.sum()


def _symmetries(model: EmbeddingModel | None, names: Sequence[str]) -> dict[str, Symmetry]:
    """Return how each column may move; vectors of no network may move as they like."""
    if model is None:
        return dict.fromkeys(names, AFFINE)
    return {t.vocabulary.name: model.symmetry_of(j) for j, t in enumerate(model.tables)}


def _joint_motion(
    symmetries: Mapping[str, Symmetry], pairs: Mapping[str, tuple[ColumnVectors, ColumnVectors]]
) -> Motion | None:
    """Return one rotation for the columns that have to move alike; None if there are none."""
    matched, errors = [], []
    for name, (new, old) in pairs.items():
        if not symmetries[name].joint or not _same_width(new, old):
            continue
        try:
            matched.append(_matched(new, old))
        except InvalidDataError as error:  # the others tell how this column moves
            errors.append(error)
    if not matched:
        if errors:
            raise errors[0]
        return None
    rotation = nearest_rotation(matched)
    return Motion(rotation, np.zeros(len(rotation)))


def _motion(
    new: ColumnVectors, old: ColumnVectors, symmetry: Symmetry, together: Motion | None
) -> Motion | None:
    """Return the rigid motion allowed that brings vectors closest; None if they cannot move."""
    if symmetry.linear == "none" or symmetry.joint:
        return together if symmetry.joint else None
    return nearest_motion(_matched(new, old), symmetry)


def _same_width(new: ColumnVectors, old: ColumnVectors) -> bool:
    return new.vectors.shape[1] == old.vectors.shape[1]


def _column_drift(
    new: ColumnVectors,
    old: ColumnVectors,
    k: int,
    min_count: int | None,
    symmetry: Symmetry,
    together: Motion | None,
) -> pd.DataFrame:
    """Return the drift of one column, after the motion that its network allows."""
    if min_count is not None:
        new, old = new.take(new.frequent(min_count)), old.take(old.frequent(min_count))
    at, there, weights = _shared(new, old)
    movement = relative = np.full(len(at), np.nan)
    if _same_width(new, old):
        motion = _motion(new, old, symmetry, together)
        moved = new.vectors[at] if motion is None else motion.apply(new.vectors[at])
        b = old.vectors[there].astype(np.float64)
        movement = np.linalg.norm(moved.astype(np.float64) - b, axis=1)
        centered = b - np.average(b, axis=0, weights=weights)
        size = np.sqrt(np.average((centered**2).sum(axis=1), weights=weights))
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
    for catalogue, seen, status in ((new, at, "new"), (old, there, "gone")):
        others = catalogue.take(np.setdiff1d(np.arange(len(catalogue)), seen))
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
