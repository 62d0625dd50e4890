"""Canonical coordinates: one basis for a column's vectors, fixed by the layer that reads them.

An embedding is only defined up to a change of basis that the layer above undoes. Here the basis is
chosen such that Euclidean distance means "how differently the layer treats two categories", axes
are uncorrelated, and the first ones matter most. Scales follow the layer, too: vectors weigh
against standardised numbers as they do in it. Its answers stay the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import gen_batches

from sk_entity_embed.model.symmetry import Symmetry

Float64 = NDArray[np.float64]

MAX_RATIO = 100.0  # Limit on a column's variance over that of a number, and on its inverse.
NO_VARIANCE = 1e-12  # Variance, relative to the squared mean, that is only rounding.
# Coordinates that small, relative to a column's standard deviation, become zero: standardising an
# axis along which only the unknown vector differs would make that vector enormous.
_ROUNDING = 1e-6
_MOVABLE = ("any", "permutation")  # Linear maps by which vectors come into coordinates.
_BLOCK = 4096  # Rows at a time, so that double precision takes little memory.


@dataclass(frozen=True, slots=True)
class _Basis:
    """``new = (old - mean) @ forward``, ``new_weight = weight`` of the layer in that basis."""

    mean: Float64
    forward: Float64
    weight: Float64
    variance: float


def canonicalise(
    stacks: Sequence[NDArray[np.float32]],
    counts: Sequence[Float64],
    weights: Float64,
    bias: Float64,
    symmetries: Sequence[Symmetry],
    keep: Sequence[bool],
    *,
    numbers: Sequence[slice] = (),
    context: NDArray[np.float32] | None = None,
    pooled: Mapping[int, NDArray[np.float32]] | None = None,
) -> tuple[list[NDArray[np.float32]], Float64, Float64]:
    """Rewrite tables, and the linear layer that reads them, in canonical coordinates.

    With ``W_j`` the part of `weights` that reads column j, ``W_j = Q R`` its thin QR
    decomposition, ``m`` the weighted mean vector and ``V`` the eigenvectors of the weighted
    covariance of ``R (e - m)``, a vector ``e`` becomes ``V' R (e - m)``, ``W_j`` becomes ``Q V``
    and `bias` gains ``W_j m``.

    One factor for all columns then sets their scale. Where numbers enter the layer beside them, it
    is such that a step of length one means as much to the layer, in the mean over the numbers, as
    one standard deviation of a number does; otherwise the columns' mean total variance is one.

    `symmetries` say how each column may move: without shifts the mean stays, with permutations
    alone the axes are scaled only, and vectors of any other symmetry stay as they are, like those
    of columns to `keep` (frozen ones). `stacks` have shape (n_tables + 1, n_rows, width), the mean
    table last; `counts` weigh its rows; `numbers` say where each column of numbers that vary
    is in the `context` of some rows, read after the vectors; `pooled` are the vectors that some
    rows' lists become, for columns of lists. Return stacks, weights and bias.

    >>> import numpy as np
    >>> from sk_entity_embed.model.coordinates import canonicalise
    >>> from sk_entity_embed.model.symmetry import AFFINE
    >>> stack = np.array([[[1.0, 5.0], [3.0, 5.0]]], dtype=np.float32)
    >>> weights, bias = np.array([[2.0], [0.0]]), np.zeros(1)
    >>> (new,), weights, bias = canonicalise(
    ...     [stack], [np.ones(2)], weights, bias, [AFFINE], [False]
    ... )
    >>> np.abs(new[0]).tolist()
    [[1.0, 0.0], [1.0, 0.0]]
    >>> (new[0] @ weights + bias).round(6).tolist()
    [[2.0], [6.0]]
    """
    pooled = pooled or {}
    first, bias = weights.copy(), bias.copy()
    edges = np.cumsum([0, *(s.shape[2] for s in stacks)])
    bases = {
        j: _basis(
            stack[-1], counts[j], first[edges[j] : edges[j + 1]], pooled.get(j), symmetries[j]
        )
        for j, stack in enumerate(stacks)
        if not keep[j] and symmetries[j].linear in _MOVABLE
    }
    # Pooled vectors that cannot move keep their size: what a step of one means is like a number's.
    states = [
        _seen_variance(vectors, first[edges[j] : edges[j + 1]]) / _variance(vectors)
        for j, vectors in pooled.items()
        if symmetries[j].linear not in _MOVABLE and _variance(vectors) > 0
    ]
    variance = float(np.mean([b.variance for b in bases.values()])) if bases else 0.0
    reads = first[edges[-1] :]
    of_numbers = (
        [] if context is None else [_seen_variance(context[:, c], reads[c]) for c in numbers]
    )
    steps = [*(v for v in of_numbers if v > 0), *states]
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
    return out, first, bias


def _factor(variance: float, number: float | None) -> float:
    """Return the scale of vectors, from their variance as the layer sees it and a number's."""
    if not variance > 0:
        return 1.0
    if number is None:
        number = variance
    return float(1 / np.sqrt(np.clip(number, variance / MAX_RATIO, variance * MAX_RATIO)))


def _move(
    stack: NDArray[np.float32], mean: Float64, forward: Float64, least: float
) -> NDArray[np.float32]:
    """Return vectors in another basis, coordinates smaller than `least` as zero."""
    moved = np.empty_like(stack)
    for before, after in zip(stack, moved, strict=True):
        for at in gen_batches(len(before), _BLOCK):
            block = (before[at] - mean) @ forward
            block[np.abs(block) < least] = 0.0
            after[at] = block
    return moved


def _basis(
    vectors: NDArray[np.float32],
    counts: Float64,
    weight: Float64,
    pooled: NDArray[np.float32] | None,
    symmetry: Symmetry,
) -> _Basis:
    """Return the canonical basis of one column; `weight` has shape (width, n_hidden)."""
    width, n_hidden = weight.shape
    # A rotation keeps the variance of what the layer reads.
    seen_variance = 0.0 if pooled is None else _seen_variance(pooled, weight)
    if symmetry.linear == "permutation":
        own = 0.0 if pooled is None else _variance(pooled)
        scale = np.sqrt(seen_variance / own) if own > 0 and seen_variance > 0 else 1.0
        return _Basis(np.zeros(width), np.eye(width) * scale, weight / scale, seen_variance)
    share = counts / counts.sum()
    centered = vectors.astype(np.float64)
    mean = share @ centered
    centered -= mean
    q, r = np.linalg.qr(weight.T)  # (n_hidden, rank), (rank, width)
    seen = centered @ r.T
    del centered  # each is as large as two tables
    if (share @ seen**2).sum() <= NO_VARIANCE * ((r @ mean) ** 2).sum():
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
    shift = mean if symmetry.shift else np.zeros(width)
    return _Basis(shift, forward, new_weight, variance)


def _seen_variance(vectors: NDArray[np.float32], weight: Float64) -> float:
    """Return the total variance of what the head reads of some vectors."""
    return _variance(vectors.astype(np.float64) @ weight)


def _variance(values: NDArray[np.floating[Any]]) -> float:
    """Return the total variance of some vectors; zero where there is only rounding."""
    variance = float(values.var(axis=0, dtype=np.float64).sum())
    mean = values.mean(axis=0, dtype=np.float64)
    return variance if variance > NO_VARIANCE * float(mean @ mean) else 0.0


def signs(scores: Float64, share: Float64) -> Float64:
    """Return signs that make each axis' heaviest deviation positive, of (n_rows, n_axes) scores."""
    weight = np.abs(scores)
    weight *= np.sqrt(share)[:, None]
    heaviest = np.argmax(weight >= (1 - 1e-6) * weight.max(axis=0), axis=0)  # the first of equals
    signs = np.sign(scores[heaviest, np.arange(scores.shape[1])])
    return np.where(signs == 0, 1.0, signs)
