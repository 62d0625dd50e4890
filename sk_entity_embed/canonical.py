"""Canonical coordinates: one basis for a column's vectors, fixed by what the head does with them.

An embedding is only defined up to a change of basis that the head's first layer undoes. Here the
basis is chosen such that Euclidean distance means "how differently the head treats two
categories", axes are uncorrelated, and the first ones matter most. Scales follow the head, too:
vectors weigh against standardised numbers as they do in it, and the hidden layer weighs a few times
what it is made of. The predictions stay the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import gen_batches

from sk_entity_embed.head import MLPHead
from sk_entity_embed.pooling import GRU

Float64 = NDArray[np.float64]


HIDDEN_VARIANCE = 3.0
"""Total variance of the hidden layer, relative to that of all that enters the head."""
MAX_RATIO = 100.0
"""Limit on the variance of an embedded column against a standardised number, and its inverse."""
_ROUNDING = 1e-6
"""Coordinates that small, relative to a column's standard deviation, become zero.

Otherwise an axis in which training rows do not vary, but the unknown vector differs from them,
would have a tiny variance, and standardising it would make the unknown vector enormous.
"""
_NO_VARIANCE = 1e-12
"""Variance, relative to the squared mean, that is only rounding."""
_BLOCK = 4096  # Rows at a time, for double precision to take no memory to speak of.
_BLOCK_OF_HIDDEN = 1024  # Rows at a time that hold a number for each hidden unit.


@dataclass(frozen=True, slots=True)
class Pooled:
    """How the lists of a column become one vector, and what comes out.

    Attributes
    ----------
    way : {"mean", "sum", "max", "gru"}
        The pooling.
    vectors : ndarray of float32 of shape (n_samples, width)
        Pooled vectors of some training rows.
    """

    way: str
    vectors: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class _Basis:
    """``new = (old - mean) @ forward``, ``new_weight = weight`` of the head in that basis."""

    mean: Float64
    forward: Float64
    weight: Float64
    variance: float


def canonicalise(
    stacks: Sequence[NDArray[np.float32]],
    counts: Sequence[Float64],
    head: MLPHead,
    keep: Sequence[bool],
    *,
    numbers: Sequence[int] = (),
    pooled: Mapping[int, Pooled] | None = None,
) -> tuple[list[NDArray[np.float32]], MLPHead]:
    """Rewrite tables and head in canonical coordinates.

    With ``W_j`` the part of the head's first layer that reads column j, ``W_j = Q R`` its thin QR
    decomposition, ``m`` the weighted mean vector and ``V`` the eigenvectors of the weighted
    covariance of ``R (e - m)``, a vector ``e`` becomes ``V' R (e - m)``, ``W_j`` becomes ``Q V``
    and the bias gains ``W_j m``.

    One factor for all columns then sets their scale. Where numbers enter the head beside them, it
    is such that a step of length one means as much to the head, in the mean over the numbers, as
    one standard deviation of a number does; otherwise the columns' mean total variance is one.

    Parameters
    ----------
    stacks : sequence of ndarray of float32 of shape (n_tables + 1, n_rows, width)
        Tables of each column; the last one is their mean, from which mean and covariance come.
    counts : sequence of ndarray of float64 of shape (n_rows,)
        Weight of each row.
    head : MLPHead
        The layers above.
    keep : sequence of bool
        Columns to leave in the coordinates they have (frozen vectors).
    numbers : sequence of int, default=()
        Which of the context columns, read after the vectors, are standardised numbers that vary.
    pooled : mapping from int to Pooled, default=None
        The columns of lists, by their position among the `stacks`. Means of lists follow the
        vectors in any basis. Sums are not centred, for the shift would depend on the list's
        length; largest entries keep their axes, and are scaled only. The states of a recurrent
        unit stay as they are, too, and are to be kept.

    Returns
    -------
    stacks : list of ndarray of float32
        The same vectors in new coordinates, padded with zeros to the old width.
    head : MLPHead
        A head that gives the same answers on them.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_entity_embed.canonical import canonicalise
    >>> from sk_entity_embed.head import MLPHead
    >>> stack = np.array([[[1.0, 5.0], [3.0, 5.0]]], dtype=np.float32)
    >>> head = MLPHead((np.array([[2.0], [0.0]]),), (np.zeros(1),))
    >>> (new,), new_head = canonicalise([stack], [np.ones(2)], head, [False])
    >>> np.abs(new[0]).tolist()
    [[1.0, 0.0], [1.0, 0.0]]
    >>> new_head.raw(new[0], np.empty((2, 0), np.float32)).round(6).tolist()
    [[2.0], [6.0]]
    """
    first, bias = head.weights[0].copy(), head.biases[0].copy()
    edges = np.cumsum([0, *(s.shape[2] for s in stacks)])
    bases = {
        j: _basis(
            stack[-1],
            counts[j],
            first[edges[j] : edges[j + 1]],
            (pooled or {}).get(j),
        )
        for j, stack in enumerate(stacks)
        if not keep[j]
    }
    # States of a recurrent unit keep their size: what a step of one means is like a number's.
    states = [
        _seen_variance(p.vectors, first[edges[j] : edges[j + 1]]) / _variance(p.vectors)
        for j, p in (pooled or {}).items()
        if p.way == "gru" and _variance(p.vectors) > 0
    ]
    variance = float(np.mean([b.variance for b in bases.values()])) if bases else 0.0
    squares = (first[[edges[-1] + c for c in numbers]] ** 2).sum(axis=1)
    steps = [*squares.tolist(), *states]
    factor = _factor(variance, float(np.mean(steps)) if steps else None)
    out = []
    for j, stack in enumerate(stacks):
        if j not in bases:
            out.append(stack)
            continue
        basis, rows = bases[j], slice(edges[j], edges[j + 1])
        bias += basis.mean @ first[rows]
        first[rows] = basis.weight / factor
        least = _ROUNDING * factor * np.sqrt(basis.variance)
        out.append(_move(stack, basis.mean, basis.forward * factor, least))
    return out, MLPHead((first, *head.weights[1:]), (bias, *head.biases[1:]))


def canonicalise_items(
    stack: NDArray[np.float32], counts: Float64, unit: GRU
) -> tuple[NDArray[np.float32], GRU]:
    """Rewrite the table that a recurrent unit reads, as :func:`canonicalise` does for a head.

    Parameters
    ----------
    stack : ndarray of float32 of shape (n_tables + 1, n_rows, width)
        Tables of the items.
    counts : ndarray of float64 of shape (n_rows,)
        Weight of each row.
    unit : GRU
        The recurrent unit.

    Returns
    -------
    stack : ndarray of float32
        The same vectors in new coordinates, of a mean total variance of one.
    unit : GRU
        A unit that gives the same states on them.
    """
    reader = MLPHead((unit.input_weights,), (unit.input_bias,))
    (moved,), reader = canonicalise([stack], [counts], reader, [False])
    return moved, replace(unit, input_weights=reader.weights[0], input_bias=reader.biases[0])


def scale_hidden(
    head: MLPHead,
    vectors: NDArray[np.float32],
    context: NDArray[np.float32],
    numbers: Sequence[int],
) -> MLPHead:
    """Scale the last hidden layer to a few times the total variance of what enters the head.

    Rectified units commute with positive factors, so that the next layer can undo the scaling.

    Parameters
    ----------
    head : MLPHead
        The layers above the tables.
    vectors : ndarray of float32 of shape (n_samples, n_vectors)
        The columns' vectors of some rows, side by side.
    context : ndarray of float32 of shape (n_samples, n_context)
        Their scaled numbers.
    numbers : sequence of int
        Which of them are standardised numbers that vary, rather than flags.

    Returns
    -------
    MLPHead
        A head that gives the same answers.
    """
    if head.n_hidden == 0:
        return head
    wanted = HIDDEN_VARIANCE * (float(vectors.var(axis=0).sum()) + len(numbers))
    hidden = np.empty((len(vectors), head.n_hidden))
    for at in gen_batches(len(vectors), _BLOCK_OF_HIDDEN):
        hidden[at] = head.hidden(vectors[at], context[at])
    mean = hidden.mean(axis=0)
    hidden -= mean
    hidden *= hidden
    present = float(hidden.mean(axis=0).sum())
    if not (wanted > 0 and present > _NO_VARIANCE * float((mean**2).sum())):
        return head
    scale = float(np.sqrt(wanted / present))
    *weights, last, output = head.weights
    *biases, bias, output_bias = head.biases
    return MLPHead((*weights, last * scale, output / scale), (*biases, bias * scale, output_bias))


def _factor(variance: float, number: float | None) -> float:
    """Scale of the vectors.

    Parameters
    ----------
    variance : float
        Mean total variance of a column as the head sees it.
    number : float or None
        The same of a standardised number; None where there is none.
    """
    if not variance > 0:
        return 1.0
    if number is None:
        number = variance
    return float(1 / np.sqrt(np.clip(number, variance / MAX_RATIO, variance * MAX_RATIO)))


def _move(
    stack: NDArray[np.float32], mean: Float64, forward: Float64, least: float
) -> NDArray[np.float32]:
    """Vectors in another basis, where coordinates smaller than `least` are zero."""
    moved = np.empty_like(stack)
    for before, after in zip(stack, moved, strict=True):
        for at in gen_batches(len(before), _BLOCK):
            block = (before[at] - mean) @ forward
            block[np.abs(block) < least] = 0.0
            after[at] = block
    return moved


def _basis(
    vectors: NDArray[np.float32], counts: Float64, weight: Float64, pooled: Pooled | None
) -> _Basis:
    """Canonical basis of one column; `weight` has shape (width, n_hidden)."""
    width, n_hidden = weight.shape
    # A rotation keeps the variance of what the head reads.
    seen_variance = 0.0
    if pooled is not None:
        seen_variance = _seen_variance(pooled.vectors, weight)
    if pooled is not None and pooled.way == "max":
        own = _variance(pooled.vectors)
        scale = np.sqrt(seen_variance / own) if own > 0 and seen_variance > 0 else 1.0
        return _Basis(np.zeros(width), np.eye(width) * scale, weight / scale, seen_variance)
    share = counts / counts.sum()
    centred = vectors.astype(np.float64)
    mean = share @ centred
    centred -= mean
    q, r = np.linalg.qr(weight.T)  # (n_hidden, rank), (rank, width)
    seen = centred @ r.T
    del centred  # each is as large as two tables
    if (share @ seen**2).sum() <= _NO_VARIANCE * ((r @ mean) ** 2).sum():
        seen[:] = 0.0  # a constant column, but for the rounding of float32
    variances, axes = np.linalg.eigh((seen * share[:, None]).T @ seen)
    axes = axes[:, ::-1]
    seen = seen @ axes
    axes = axes * signs(seen, share)
    rank = axes.shape[1]
    forward = np.zeros((width, width))
    forward[:, :rank] = r.T @ axes
    new_weight = np.zeros((width, n_hidden))
    new_weight[:rank] = (q @ axes).T
    variance = float(variances.clip(min=0).sum()) if pooled is None else seen_variance
    shift = np.zeros(width) if pooled is not None and pooled.way == "sum" else mean
    return _Basis(shift, forward, new_weight, variance)


def _seen_variance(vectors: NDArray[np.float32], weight: Float64) -> float:
    """Total variance of what the head reads of some vectors."""
    return _variance(vectors.astype(np.float64) @ weight)


def _variance(values: NDArray[np.floating[Any]]) -> float:
    """Total variance of some vectors; zero where there is only rounding."""
    variance = float(values.var(axis=0, dtype=np.float64).sum())
    mean = values.mean(axis=0, dtype=np.float64)
    return variance if variance > _NO_VARIANCE * float(mean @ mean) else 0.0


def signs(scores: Float64, share: Float64) -> Float64:
    """Signs that make the heaviest deviation of each axis positive.

    Parameters
    ----------
    scores : ndarray of float64 of shape (n_rows, n_axes)
        Coordinates, centred.
    share : ndarray of float64 of shape (n_rows,)
        Weight of each row.

    Returns
    -------
    ndarray of float64 of shape (n_axes,)
        1 or -1.
    """
    weight = np.abs(scores)
    weight *= np.sqrt(share)[:, None]
    heaviest = np.argmax(weight >= (1 - 1e-6) * weight.max(axis=0), axis=0)  # the first of equals
    signs = np.sign(scores[heaviest, np.arange(scores.shape[1])])
    return np.where(signs == 0, 1.0, signs)
