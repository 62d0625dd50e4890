"""Procrustes: the motion, of those allowed, that brings vectors closest to others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import orthogonal_procrustes
from scipy.optimize import linear_sum_assignment

from sk_entity_embed.model.symmetry import Motion, Symmetry

Matched: TypeAlias = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]
"""Vectors of the same categories in two fits, and the weight of each; weights add up to one."""


def nearest_motion(matched: Matched, symmetry: Symmetry) -> Motion | None:
    """Return the rigid motion of one column that brings it closest; None if it cannot move."""
    new, old, weights = matched
    if symmetry.linear == "none":
        return None
    turn = nearest_permutation if symmetry.linear == "permutation" else nearest_rotation
    if not symmetry.shift:
        return Motion(turn([matched]), np.zeros(new.shape[1]))
    means = weights @ new, weights @ old
    rotation = turn([(new - means[0], old - means[1], weights)])
    return Motion(rotation, means[1] - means[0] @ rotation)


def nearest_rotation(matched: Sequence[Matched]) -> NDArray[np.float64]:
    """Return the orthogonal matrix that brings vectors of some columns closest to others.

    Schönemann, "A generalized solution of the orthogonal Procrustes problem", Psychometrika 31,
    1966.
    """
    roots = [np.sqrt(weights)[:, None] for _, _, weights in matched]
    new, old = (
        np.vstack([part[i] * root for part, root in zip(matched, roots, strict=True)])
        for i in (0, 1)
    )
    rotation: NDArray[np.float64] = orthogonal_procrustes(new, old)[0]
    return rotation


def nearest_permutation(matched: Sequence[Matched]) -> NDArray[np.float64]:
    """Return the order of axes that brings vectors of some columns closest to others."""
    product = sum((new * weights[:, None]).T @ old for new, old, weights in matched)
    matrix = np.zeros_like(product)
    matrix[linear_sum_assignment(product, maximize=True)] = 1.0
    return matrix
