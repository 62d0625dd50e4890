"""Canonical coordinates under dot products: plain dots of the vectors are what the head adds up."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sk_entity_embed.canonical import signs
from sk_entity_embed.head import DotHead

Float64 = NDArray[np.float64]

_ROUNDS = 20
"""Rounds, at most, of turning all folds towards their mean; most of the way is in the first."""
_STILL = 1e-5
"""Largest change of an entry of the rotations that ends the rounds."""


def canonicalise_dot(
    stacks: Sequence[NDArray[np.float32]],
    counts: Sequence[Float64],
    head: DotHead,
    *,
    centred: Sequence[bool],
    unit: float = 1.0,
) -> tuple[list[NDArray[np.float32]], DotHead]:
    """Rewrite vectors, biases and head so that the head's weights are all the same.

    The weight of each axis and of each column's biases moves into the vectors, together with
    `unit`. The vectors of a column are then centred: what a column's mean vector adds to the dot
    products with another column is a bias of that other column's categories. Biases are centred,
    too, and one rotation, the same for all columns, puts the axes in the order of the variance
    along them, all columns taken together.

    Parameters
    ----------
    stacks : sequence of ndarray of float32 of shape (n_tables + 1, n_rows, n_axes + 1)
        Tables of each column, biases last; the last table is their mean, from which means and
        variances come.
    counts : sequence of ndarray of float64 of shape (n_rows,)
        Weight of each row.
    head : DotHead
        The head above.
    centred : sequence of bool
        Columns to centre: not those whose lists are summed up, where the shift would depend on
        the list's length.
    unit : float, default=1.0
        What one of the head's output is in the target's units.

    Returns
    -------
    stacks : list of ndarray of float32
        The same tables in new coordinates: a dot product of two vectors, or a bias, is what it
        adds to the prediction in the target's units.
    head : DotHead
        A head that gives the same answers on them; all its weights are ``1 / unit``.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_entity_embed.canonical_dot import canonicalise_dot
    >>> from sk_entity_embed.head import DotHead
    >>> stack = np.array([[[1.0, 0.5], [3.0, 0.0]]], dtype=np.float32)
    >>> head = DotHead(np.array([4.0]), np.array([1.0, 2.0]), np.empty(0), 0.0)
    >>> new, new_head = canonicalise_dot([stack, stack], [np.ones(2)] * 2, head, centred=[True] * 2)
    >>> row, nothing = np.hstack([stack[0, :1], stack[0, 1:]]), np.empty((1, 0))
    >>> new_row = np.hstack([new[0][0, :1], new[1][0, 1:]])
    >>> np.allclose(head.raw(row, nothing), new_head.raw(new_row, nothing))
    True
    """
    tables = [
        _absorb(s, head.axes, c, unit) for s, c in zip(stacks, head.bias_weights, strict=True)
    ]
    shares = [c / c.sum() for c in counts]
    means, constant = _means([table[-1] for table in tables], counts, centred)
    total = np.sum([mean[:-1] for mean in means], axis=0)
    for table, mean in zip(tables, means, strict=True):
        table[:, :, :-1] -= mean[:-1]
        # The other columns' means meet this column's vectors: that is a bias.
        table[:, :, -1] += table[:, :, :-1] @ (total - mean[:-1]) - mean[-1]
    rotation = _rotation(tables, shares)
    for table in tables:
        table[:, :, :-1] = table[:, :, :-1] @ rotation
    new = DotHead(
        axes=np.full(len(head.axes), 1 / unit),
        bias_weights=np.full(len(head.bias_weights), 1 / unit),
        context_weights=head.context_weights,
        intercept=head.intercept + float(constant) / unit,
    )
    return [t.astype(np.float32) for t in tables], new


def share_rotation(
    tables: Sequence[NDArray[np.float32]],
    met: Sequence[NDArray[np.bool_]],
    counts: Sequence[Float64],
    head: DotHead,
    *,
    centred: Sequence[bool],
) -> tuple[list[NDArray[np.float32]], DotHead]:
    """Turn the fold tables into one orientation, so that their mean means something.

    Dot products do not notice when all vectors of a fold's tables turn together, so that in
    training each fold's may drift away from the others. The weights of the axes move into the
    vectors, and each fold's are centred; then one orthogonal matrix a fold, the same for all
    columns, brings its vectors as near to the mean of all folds' as it can (generalised Procrustes
    analysis).

    Parameters
    ----------
    tables : sequence of ndarray of float32 of shape (n_tables, n_rows, n_axes + 1)
        Trained tables of each column, biases last.
    met : sequence of ndarray of bool of shape (n_tables, n_rows)
        Rows that each table learned from; others tell nothing of its orientation.
    counts : sequence of ndarray of float64 of shape (n_rows,)
        Weight of each row.
    head : DotHead
        The head above.
    centred : sequence of bool
        See :func:`canonicalise_dot`.

    Returns
    -------
    tables : list of ndarray of float32
        The same tables, each fold's centred and turned.
    head : DotHead
        A head of equal weights that gives the same answers on them.

    References
    ----------
    Gower, "Generalized Procrustes analysis", Psychometrika 40, 1975.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_entity_embed.canonical_dot import share_rotation
    >>> from sk_entity_embed.head import DotHead
    >>> vectors = np.array([[1.0, 2.0, 0.1], [-1.0, 0.5, 0.2]], dtype=np.float32)
    >>> turned = vectors * np.array([-1, -1, 1], dtype=np.float32)
    >>> head = DotHead(np.ones(2), np.ones(2), np.empty(0), 0.0)
    >>> met, counts = [np.ones((2, 2), dtype=bool)] * 2, [np.ones(2)] * 2
    >>> (first, second), head = share_rotation(
    ...     [np.stack([vectors, turned])] * 2, met, counts, head, centred=[True, True]
    ... )
    >>> np.allclose(first[0], first[1], atol=1e-6)
    True
    """
    plain, head = absorb_weights(tables, head)
    absorbed = [table.astype(np.float64) for table in plain]
    weights = [m * count for m, count in zip(met, counts, strict=True)]
    n_tables = len(absorbed[0])
    for fold in range(n_tables):
        _centre([table[fold] for table in absorbed], [weight[fold] for weight in weights], centred)
    shown = [table[:, :, :-1] for table in absorbed]  # views: what turns
    means = [vectors[0] for vectors in shown]
    for _ in range(_ROUNDS if n_tables > 1 else 0):
        moved = 0.0
        for fold in range(n_tables):
            product = sum(
                (vectors[fold] * weight[fold, :, None]).T @ mean
                for vectors, weight, mean in zip(shown, weights, means, strict=True)
            )
            left, _, right = np.linalg.svd(product)
            rotation = left @ right
            moved = max(moved, float(np.abs(rotation - np.eye(len(rotation))).max()))
            for vectors in shown:
                vectors[fold] = vectors[fold] @ rotation
        means = [
            np.divide(
                np.einsum("fva,fv->va", vectors, m.astype(np.float64)),
                np.maximum(m.sum(axis=0), 1)[:, None],
            )
            for vectors, m in zip(shown, met, strict=True)
        ]
        if moved < _STILL:
            break
    return [table.astype(np.float32) for table in absorbed], head


def _means(
    tables: Sequence[Float64], weights: Sequence[Float64], centred: Sequence[bool]
) -> tuple[list[Float64], float]:
    """Mean vector of each column, zero where it stays, and what they make of all predictions."""
    means = [
        weight @ table / weight.sum() if centre and weight.sum() > 0 else np.zeros(table.shape[1])
        for table, weight, centre in zip(tables, weights, centred, strict=True)
    ]
    axes = [mean[:-1] for mean in means]
    total = np.sum(axes, axis=0)
    pairs = 0.5 * (total @ total - sum(a @ a for a in axes))
    return means, float(sum(mean[-1] for mean in means) + pairs)


def _centre(tables: Sequence[Float64], weights: Sequence[Float64], centred: Sequence[bool]) -> None:
    """Centre the vectors of one fold's tables, in place; biases take up what that changes."""
    means, constant = _means(tables, weights, centred)
    total = np.sum([mean[:-1] for mean in means], axis=0)
    for table, mean in zip(tables, means, strict=True):
        table[:, :-1] -= mean[:-1]
        table[:, -1] += table[:, :-1] @ (total - mean[:-1]) - mean[-1]
    if any(centred):  # the intercept is that of all folds, a column's biases are this one's
        tables[list(centred).index(True)][:, -1] += constant


def absorb_weights(
    tables: Sequence[NDArray[np.float32]], head: DotHead
) -> tuple[list[NDArray[np.float32]], DotHead]:
    """Move the weights of axes and biases into the vectors.

    Parameters
    ----------
    tables : sequence of ndarray of float32 of shape (n_tables, n_rows, n_axes + 1)
        Tables of each column, biases last.
    head : DotHead
        The head above.

    Returns
    -------
    tables : list of ndarray of float32
        The same in units in which all weights are one.
    head : DotHead
        A head of such weights, which gives the same answers on them.
    """
    absorbed = [
        _absorb(table, head.axes, weight, 1.0).astype(np.float32)
        for table, weight in zip(tables, head.bias_weights, strict=True)
    ]
    ones = np.ones_like(head.axes), np.ones_like(head.bias_weights)
    return absorbed, DotHead(*ones, head.context_weights, head.intercept)


def _absorb(stack: NDArray[np.float32], axes: Float64, bias_weight: float, unit: float) -> Float64:
    table = stack.astype(np.float64)
    table[:, :, :-1] *= np.sqrt(axes * unit)
    table[:, :, -1] *= bias_weight * unit
    return table


def _rotation(tables: Sequence[Float64], shares: Sequence[Float64]) -> Float64:
    """Eigenvectors of the columns' summed covariance, by descending variance."""
    vectors = [t[-1, :, :-1] for t in tables]
    spread = [v - share @ v for v, share in zip(vectors, shares, strict=True)]
    covariance = sum((d * share[:, None]).T @ d for d, share in zip(spread, shares, strict=True))
    _, rotation = np.linalg.eigh(covariance)
    rotation = rotation[:, ::-1]
    scores = np.vstack([d @ rotation for d in spread])
    rotated: Float64 = rotation * signs(scores, np.concatenate(shares))
    return rotated
