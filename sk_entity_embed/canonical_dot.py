"""Canonical coordinates under dot products: plain dots of the vectors are what the head adds up."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sk_entity_embed.canonical import signs
from sk_entity_embed.head import DotHead

Float64 = NDArray[np.float64]


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
    means = [
        share @ table[-1] if centre else np.zeros(table.shape[2])
        for share, table, centre in zip(shares, tables, centred, strict=True)
    ]
    axes = [mean[:-1] for mean in means]
    total = np.sum(axes, axis=0)
    constant = sum(mean[-1] for mean in means)
    constant += 0.5 * (total @ total - sum(a @ a for a in axes))
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
