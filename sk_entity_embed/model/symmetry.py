"""Which motions of vectors a head or a pooling can follow: one declaration, read by all.

Canonical coordinates, ``align``, ``drift`` and the alignment of folds move vectors. What may move
them how is declared here by what reads the vectors, once for each kind.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Linear: TypeAlias = Literal["none", "permutation", "rotation", "any"]
_ORDER: tuple[Linear, ...] = ("none", "permutation", "rotation", "any")


@dataclass(frozen=True, slots=True)
class Symmetry:
    """Motions of vectors after which their reader gives the same answers, once it has moved too.

    `linear` names the linear maps: none; permutations of the axes, with one positive factor;
    rotations and reflections; or any. `shift` allows a shift after it. `joint` says that all
    columns have to move alike; the reader itself then stays as it is, and so would not notice if
    the tables of one fold turned away from those of the others.
    """

    linear: Linear
    shift: bool = False
    joint: bool = False

    def __and__(self, other: Symmetry) -> Symmetry:
        """Return the motions that both allow."""
        return Symmetry(
            min(self.linear, other.linear, key=_ORDER.index),
            self.shift and other.shift,
            self.joint or other.joint,
        )


NONE = Symmetry("none")
PERMUTATION = Symmetry("permutation", shift=True)
JOINT_ROTATION = Symmetry("rotation", joint=True)
LINEAR = Symmetry("any")
AFFINE = Symmetry("any", shift=True)


@dataclass(frozen=True, slots=True)
class Motion:
    """A rotation, reflection or permutation of the axes, then a shift: ``v @ rotation + shift``."""

    rotation: NDArray[np.float64]
    shift: NDArray[np.float64]

    def apply(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return moved vectors, of any shape (..., width); numbers after these, biases, stay."""
        n = len(self.shift)
        moved = vectors.copy()
        moved[..., :n] = vectors[..., :n].astype(np.float64) @ self.rotation + self.shift
        return moved


def undo(
    weights: NDArray[np.float64],
    bias: NDArray[np.float64],
    edges: Sequence[int],
    motions: Sequence[Motion | None],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return a linear layer's weights and bias for moved vectors: they take the motions back.

    Block j of the rows of `weights`, between two `edges`, reads the vectors that ``motions[j]``
    moves.
    """
    first, bias = weights.copy(), bias.copy()
    for j, motion in enumerate(motions):
        if motion is not None:
            block = slice(edges[j], edges[j + 1])
            first[block] = motion.rotation.T @ weights[block]
            bias -= motion.shift @ first[block]
    return first, bias
