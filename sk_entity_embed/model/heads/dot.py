"""Dot products of all pairs of vectors in NumPy: their answers and their canonical coordinates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from sk_entity_embed.exceptions import InvalidParameterError
from sk_entity_embed.model.coordinates import signs
from sk_entity_embed.model.heads.base import Head, Tables, TrainedColumns
from sk_entity_embed.model.poolings import POOLINGS, SLOW_START, Pooling
from sk_entity_embed.model.symmetry import JOINT_ROTATION, NONE, Symmetry

Float64 = NDArray[np.float64]

_UNITS = 1e-30, 1e30
"""Units of the target that vectors can have: float32 holds them, and their squares."""
_ROUNDS = 20
"""Rounds, at most, of turning all folds towards their mean; most of the way is in the first."""
_STILL = 1e-5
"""Largest change of an entry of the rotations that ends the rounds."""


@dataclass(frozen=True, slots=True)
class DotHead(Head):
    """Dot products of all pairs of vectors, a bias for each category and one for all.

    A column's vector ends with the category's bias. With ``v_j`` the axes before it and ``b_j``
    the bias of column j, numbers ``x``, and all other letters parameters, the one output is
    ``intercept + sum_j c_j b_j + sum_{j<k} sum_a w_a v_ja v_ka + u . x``: a factorisation machine
    whose terms have weights of their own.

    Attributes
    ----------
    axes : ndarray of float64 of shape (n_axes,)
        ``w``, never negative.
    bias_weights : ndarray of float64 of shape (n_columns,)
        ``c``.
    context_weights : ndarray of float64 of shape (n_context,)
        ``u``.
    intercept : float
        The bias of all rows.

    References
    ----------
    Rendle, "Factorization machines", ICDM 2010; Koren, Bell & Volinsky, "Matrix factorization
    techniques for recommender systems", Computer 42 (8), 2009.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_entity_embed.model.heads.dot import DotHead
    >>> head = DotHead(np.ones(2), np.ones(2), np.empty(0), 3.0)
    >>> user, movie = [1.0, 0.5, 0.2], [0.4, -2.0, -0.1]
    >>> head.raw(np.array([user + movie]), np.empty((1, 0))).round(6).tolist()
    [[2.5]]
    """

    axes: NDArray[np.float64]
    bias_weights: NDArray[np.float64]
    context_weights: NDArray[np.float64]
    intercept: float

    name = "dot"
    crosses = False
    biased = True
    moves_together = True
    step = 0.25  # noise in one vector multiplies that in the other
    step_grows = False
    prior_rows = 8.0
    steps = SLOW_START
    n_outputs = 1

    @property
    def symmetry(self) -> Symmetry:
        """Rotations of all columns together, if all axes weigh alike; else none."""
        alike = np.ptp(self.axes) <= 1e-6 * self.axes.max()
        return JOINT_ROTATION if alike else NONE

    def raw(
        self,
        vectors: NDArray[np.float32],
        context: NDArray[np.float32],
        fold: NDArray[np.int64] | None = None,
    ) -> NDArray[np.float64]:
        blocks = vectors.astype(np.float64).reshape(len(vectors), len(self.bias_weights), -1)
        axes = blocks[:, :, :-1]
        total = axes.sum(axis=1)
        # The sum over pairs is half of what the squared sum has beyond the squares.
        pairs = 0.5 * (total**2 - (axes**2).sum(axis=1)) @ self.axes
        biases = blocks[:, :, -1] @ self.bias_weights
        out: NDArray[np.float64] = pairs + biases + self.intercept
        if context.shape[1]:
            out = out + context.astype(np.float64) @ self.context_weights
        return out[:, None]

    @classmethod
    def check(
        cls, names: Sequence[str], n_outputs: int, poolings: Mapping[str, type[Pooling]]
    ) -> None:
        if len(names) < 2:
            raise InvalidParameterError(
                "head='dot' multiplies the vectors of two or more categorical columns, but X "
                f"has {list(names) or 'none'}; name more in `categorical_features`, or use "
                "head='mlp'."
            )
        if n_outputs > 1:
            raise InvalidParameterError(
                f"head='dot' has one output, but y has {n_outputs}; use head='mlp'."
            )
        for column, pooling in poolings.items():
            if pooling.symmetry.linear != "any":
                fitting = [n for n, kind in POOLINGS.items() if kind.symmetry.linear == "any"]
                shown_names = " or ".join(map(repr, fitting))
                raise InvalidParameterError(
                    f"head='dot' takes lists pooled by {shown_names}, but `pooling` is "
                    f"{pooling.name!r} for column {column!r}; use one of these, or head='mlp'."
                )

    @classmethod
    def widths(
        cls, widths: Mapping[str, int], given: Mapping[str, bool], cardinalities: Sequence[int]
    ) -> list[int]:
        """Return one width for all: those that are named must agree, those left open follow."""
        named = [width for name, width in widths.items() if given[name]]
        auto = named[0] if named else dot_width(cardinalities)
        equal = {name: width if given[name] else auto for name, width in widths.items()}
        if len(set(equal.values())) > 1:
            raise InvalidParameterError(
                "head='dot' multiplies the columns' vectors with each other and needs them of "
                f"equal width, but `dimensions` gives {equal}; use one number for all columns."
            )
        return list(equal.values())

    def with_context(self, matrix: NDArray[np.float64], offset: NDArray[np.float64]) -> Self:
        constant = float(offset @ self.context_weights)
        return replace(
            self,
            context_weights=matrix @ self.context_weights,
            intercept=self.intercept + constant,
        )

    def with_outputs(self, factor: NDArray[np.float64], offset: NDArray[np.float64]) -> Self:
        return replace(
            self,
            axes=self.axes * factor[0],
            bias_weights=self.bias_weights * factor[0],
            context_weights=self.context_weights * factor[0],
            intercept=self.intercept * float(factor[0]) + float(offset[0]),
        )

    def for_training(self, tables: Tables) -> tuple[Tables, Self]:
        """Move the weights of axes and biases into the vectors, so that all weights are one."""
        absorbed = [
            _absorb(table, self.axes, weight, 1.0).astype(np.float32)
            for table, weight in zip(tables, self.bias_weights, strict=True)
        ]
        ones = np.ones_like(self.axes), np.ones_like(self.bias_weights)
        return absorbed, replace(self, axes=ones[0], bias_weights=ones[1])

    def align_folds(
        self,
        tables: Tables,
        seen: Sequence[NDArray[np.bool_]],
        counts: Sequence[Float64],
        poolings: Sequence[Pooling | None],
    ) -> tuple[Tables, Self]:
        """Turn the fold tables into one orientation, so that their mean means something.

        Dot products do not notice when all vectors of a fold's tables turn together, so that in
        training each fold's may drift away from the others. The weights of the axes move into the
        vectors, and each fold's are centered; then one orthogonal matrix a fold, the same for all
        columns, brings its vectors as near to the mean of all folds' as it can (generalised
        Procrustes analysis; Gower, Psychometrika 40, 1975).
        """
        plain, head = self.for_training(tables)
        absorbed = [table.astype(np.float64) for table in plain]
        weights = [m * count for m, count in zip(seen, counts, strict=True)]
        for fold in range(len(absorbed[0])):
            _center(
                [table[fold] for table in absorbed],
                [weight[fold] for weight in weights],
                _may_shift(poolings),
            )
        _rotate_folds([table[:, :, :-1] for table in absorbed], weights, seen)
        return [table.astype(np.float32) for table in absorbed], head

    def canonical(self, columns: TrainedColumns) -> Self:
        """Rewrite vectors, biases and head so that plain dot products are what the head adds up.

        The weight of each axis and of each column's biases moves into the vectors, together with
        the unit of the output. The vectors of a column are then centered, unless its lists are
        summed up: what a column's mean vector adds to the dot products with another column is a
        bias of that other column's categories. Biases are centered, too, and one rotation, the same
        for all columns, puts the axes in the order of the variance along them, all columns taken
        together. Frozen vectors of one column keep all as they are.
        """
        if any(columns.frozen):
            return self
        unit = columns.unit if _UNITS[0] <= columns.unit <= _UNITS[1] else 1.0
        stacks = zip(columns.stacks, self.bias_weights, strict=True)
        tables = [_absorb(stack, self.axes, weight, unit) for stack, weight in stacks]
        shares = [c / c.sum() for c in columns.counts]
        means, constant = _means(
            [table[-1] for table in tables], columns.counts, _may_shift(columns.poolings)
        )
        total = np.sum([mean[:-1] for mean in means], axis=0)
        for table, mean in zip(tables, means, strict=True):
            table[:, :, :-1] -= mean[:-1]
            # The other columns' means meet this column's vectors: that is a bias.
            table[:, :, -1] += table[:, :, :-1] @ (total - mean[:-1]) - mean[-1]
        rotation = _rotation(tables, shares)
        for table in tables:
            table[:, :, :-1] = table[:, :, :-1] @ rotation
        columns.stacks = [t.astype(np.float32) for t in tables]
        columns.centered[:] = [p is None for p in columns.poolings]
        return replace(
            self,
            axes=np.full(len(self.axes), 1 / unit),
            bias_weights=np.full(len(self.bias_weights), 1 / unit),
            intercept=self.intercept + float(constant) / unit,
        )


def dot_width(cardinalities: Sequence[int]) -> int:
    """Return the one width of all columns where ``dimensions="auto"`` leaves it open.

    The rank of what two columns have in common is at most the smaller of their cardinalities, so
    the rule "half" is applied to the second largest.

    >>> from sk_entity_embed.model.heads.dot import dot_width
    >>> dot_width([671, 9066]), dot_width([3, 16, 105])
    (50, 8)
    """
    return min(50, (sorted(cardinalities)[-2] + 1) // 2)


def _may_shift(poolings: Sequence[Pooling | None]) -> list[bool]:
    return [p is None or p.symmetry.shift for p in poolings]


def _rotate_folds(
    vectors: Sequence[Float64],
    weights: Sequence[Float64],
    seen: Sequence[NDArray[np.bool_]],
) -> None:
    """Turn each fold's vectors, in place, towards the mean of all folds'.

    Each column has vectors of shape (n_tables, n_rows, n_axes); rows that a table has not seen
    tell nothing of its orientation.
    """
    n_tables = len(vectors[0])
    means = [column[0] for column in vectors]
    for _ in range(_ROUNDS if n_tables > 1 else 0):
        moved = 0.0
        for fold in range(n_tables):
            product = sum(
                (column[fold] * weight[fold, :, None]).T @ mean
                for column, weight, mean in zip(vectors, weights, means, strict=True)
            )
            left, _, right = np.linalg.svd(product)
            rotation = left @ right
            moved = max(moved, float(np.abs(rotation - np.eye(len(rotation))).max()))
            for column in vectors:
                column[fold] = column[fold] @ rotation
        means = [
            np.divide(
                np.einsum("fva,fv->va", column, m.astype(np.float64)),
                np.maximum(m.sum(axis=0), 1)[:, None],
            )
            for column, m in zip(vectors, seen, strict=True)
        ]
        if moved < _STILL:
            break


def _means(
    tables: Sequence[Float64], weights: Sequence[Float64], may_shift: Sequence[bool]
) -> tuple[list[Float64], float]:
    """Return each column's mean vector, zero where it stays, and what all add to predictions."""
    means = [
        weight @ table / weight.sum() if moves and weight.sum() > 0 else np.zeros(table.shape[1])
        for table, weight, moves in zip(tables, weights, may_shift, strict=True)
    ]
    axes = [mean[:-1] for mean in means]
    total = np.sum(axes, axis=0)
    pairs = 0.5 * (total @ total - sum(a @ a for a in axes))
    return means, float(sum(mean[-1] for mean in means) + pairs)


def _center(
    tables: Sequence[Float64], weights: Sequence[Float64], may_shift: Sequence[bool]
) -> None:
    """Center the vectors of one fold's tables, in place; biases take up what that changes."""
    means, constant = _means(tables, weights, may_shift)
    total = np.sum([mean[:-1] for mean in means], axis=0)
    for table, mean in zip(tables, means, strict=True):
        table[:, :-1] -= mean[:-1]
        table[:, -1] += table[:, :-1] @ (total - mean[:-1]) - mean[-1]
    if any(may_shift):  # the intercept is that of all folds, a column's biases are this one's
        tables[list(may_shift).index(True)][:, -1] += constant


def _absorb(stack: NDArray[np.float32], axes: Float64, bias_weight: float, unit: float) -> Float64:
    table = stack.astype(np.float64)
    table[:, :, :-1] *= np.sqrt(axes * unit)
    table[:, :, -1] *= bias_weight * unit
    return table


def _rotation(tables: Sequence[Float64], shares: Sequence[Float64]) -> Float64:
    """Return the eigenvectors of the columns' summed covariance, by descending variance."""
    vectors = [t[-1, :, :-1] for t in tables]
    spread = [v - share @ v for v, share in zip(vectors, shares, strict=True)]
    covariance = sum((d * share[:, None]).T @ d for d, share in zip(spread, shares, strict=True))
    _, rotation = np.linalg.eigh(covariance)
    rotation = rotation[:, ::-1]
    scores = np.vstack([d @ rotation for d in spread])
    rotated: Float64 = rotation * signs(scores, np.concatenate(shares))
    return rotated
