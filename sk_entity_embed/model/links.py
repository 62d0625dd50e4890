"""Units of the target, and links from the network's raw outputs to predictions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit, softmax

Float64: TypeAlias = NDArray[np.float64]

MAX_EXPONENT = 88.0
"""Where a logarithmic link cuts outputs off: float32, the type of training, ends there."""
_LEAST_SHARE = 1e-3
"""How near the center may come to a bound, as a share of the range, for the sigmoid's sake."""


@dataclass(frozen=True, slots=True)
class Scale:
    """Affine map between a target's units and the network's: ``(y - center) / width``.

    Both have shape (n_outputs,); classes have zeros and ones.
    """

    center: Float64
    width: Float64

    def apply(self, values: Float64) -> NDArray[np.float32]:
        """Return values in the network's units."""
        return ((values - self.center) / self.width).astype(np.float32)

    def restore(self, values: Float64) -> Float64:
        """Return values in the target's units."""
        return values * self.width + self.center


@dataclass(frozen=True, slots=True)
class Link:
    """Predictions that are the network's outputs in other units."""

    def predict(self, raw: Float64, scale: Scale) -> Float64:
        """Return quantities in the target's units, or probabilities."""
        return scale.restore(raw)

    def output_unit(self, scale: Scale) -> float:
        """Return what one of the first raw output is in the target's units, or below the link."""
        return float(scale.width[0])


@dataclass(frozen=True, slots=True)
class Log(Link):
    """Quantities that are never negative: exponentials of raw outputs."""

    def predict(self, raw: Float64, scale: Scale) -> Float64:
        return scale.restore(np.exp(np.minimum(raw, MAX_EXPONENT)))

    def output_unit(self, scale: Scale) -> float:
        return 1.0


@dataclass(frozen=True, slots=True)
class Logit(Link):
    """Probabilities of two classes from one raw output, or of each of several labels."""

    def predict(self, raw: Float64, scale: Scale) -> Float64:
        return np.asarray(expit(raw * [-1.0, 1.0] if raw.shape[1] == 1 else raw))


@dataclass(frozen=True, slots=True)
class Softmax(Link):
    """Probabilities of exclusive classes."""

    def predict(self, raw: Float64, scale: Scale) -> Float64:
        return np.asarray(softmax(raw, axis=1))


@dataclass(frozen=True, slots=True)
class Bounded(Link):
    """Quantities between two bounds, in the target's units: a sigmoid squashes raw outputs."""

    low: float
    high: float

    def sigmoid(self, scale: Scale) -> tuple[Float64, Float64]:
        """Return offset and gain of the sigmoid, of shape (n_outputs,) each.

        At a raw output of 0 it gives the center, and a step of 1 from there is, at first, one
        width: whatever the bounds, the network starts and moves as it would without.
        """
        range_ = self.high - self.low
        share = np.clip((scale.center - self.low) / range_, _LEAST_SHARE, 1 - _LEAST_SHARE)
        gain: Float64 = scale.width / (range_ * share * (1 - share))
        return logit(share), gain

    def predict(self, raw: Float64, scale: Scale) -> Float64:
        offset, gain = self.sigmoid(scale)
        values: Float64 = self.low + (self.high - self.low) * expit(offset + gain * raw)
        return values

    def output_unit(self, scale: Scale) -> float:
        return float(self.sigmoid(scale)[1][0])
