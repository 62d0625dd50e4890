"""Losses, links, and the units of a target: what each means, in NumPy.

A new loss is a class here, in ``LOSSES``, and its torch side in ``learning/losses.py``. A new link
has its ONNX form in ``export/_onnx_forms.py``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit, logsumexp, softmax, xlogy

from sk_entity_embed.exceptions import InvalidDataError, InvalidParameterError
from sk_entity_embed.input.target import Target

Float64: TypeAlias = NDArray[np.float64]

MAX_EXPONENT = 88.0
"""Where a logarithmic link cuts outputs off: float32, the type of training, ends there."""
_LEAST_DISTANCE = 1e-3
"""How near the center may come to a bound, as a share of the range, for the sigmoid's sake."""
_LEAST_SHARE = 1e-6
"""Of a class, for its log odds to be finite."""


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

    def compared(self, raw: Float64, scale: Scale) -> Float64:
        """Return what a loss compares with targets in the network's units."""
        return raw

    def output_unit(self, scale: Scale) -> float:
        """Return what one of the first raw output is in the target's units, or below the link."""
        return float(scale.width[0])

    def carried(self, old: Scale, new: Scale) -> tuple[Float64, Float64]:
        """Return factor and offset that make outputs in new units of those in old ones."""
        return old.width / new.width, (old.center - new.center) / new.width


@dataclass(frozen=True, slots=True)
class Log(Link):
    """Quantities that are never negative: exponentials of raw outputs."""

    def predict(self, raw: Float64, scale: Scale) -> Float64:
        return scale.restore(np.exp(np.minimum(raw, MAX_EXPONENT)))

    def output_unit(self, scale: Scale) -> float:
        return 1.0

    def carried(self, old: Scale, new: Scale) -> tuple[Float64, Float64]:
        return np.ones_like(old.width), np.log(old.width / new.width)


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
        share = np.clip((scale.center - self.low) / range_, _LEAST_DISTANCE, 1 - _LEAST_DISTANCE)
        gain: Float64 = scale.width / (range_ * share * (1 - share))
        return logit(share), gain

    def predict(self, raw: Float64, scale: Scale) -> Float64:
        offset, gain = self.sigmoid(scale)
        values: Float64 = self.low + (self.high - self.low) * expit(offset + gain * raw)
        return values

    def compared(self, raw: Float64, scale: Scale) -> Float64:
        return (self.predict(raw, scale) - scale.center) / scale.width

    def output_unit(self, scale: Scale) -> float:
        return float(self.sigmoid(scale)[1][0])

    def carried(self, old: Scale, new: Scale) -> tuple[Float64, Float64]:
        (before, gain), (after, new_gain) = self.sigmoid(old), self.sigmoid(new)
        return gain / new_gain, (before - after) / new_gain


@dataclass(frozen=True, slots=True)
class Loss(ABC):
    """A loss by row and output, of raw outputs and targets in the network's units."""

    name: ClassVar[str]
    """Its name in the parameter `loss`."""
    label: ClassVar[str]
    """The label of an axis, with its unit."""
    of_classes: ClassVar[bool] = False
    """Whether it is of classes, or else of quantities."""
    link: ClassVar[Link] = Link()
    """The map from raw outputs to predictions."""
    may_be_bounded: ClassVar[bool] = True
    """Whether `y_range` can take the place of the link."""
    power: ClassVar[int] = 0
    """Power of the target's unit that the loss is in."""
    is_square: ClassVar[bool] = False
    """Whether it is a square, so that the root of its mean is an error in the target's unit."""
    metrics: ClassVar[tuple[str, ...]] = ()
    """Names of scikit-learn's scorers that suit it, the first one by default."""

    @abstractmethod
    def value(self, raw: Float64, target: Float64) -> Float64:
        """Return the losses of raw outputs, of shape (n_samples, n_losses)."""

    def scale(self, target: Target, weights: Float64) -> Scale:
        """Return the units in which training sees the target."""
        n = target.values.shape[1]
        return Scale(np.zeros(n), np.ones(n))

    def units(self, scale: Scale) -> Float64:
        """Return what a loss of one in the network's units is in the target's own."""
        with np.errstate(over="ignore", under="ignore"):  # squares may be beyond all numbers
            return scale.width**self.power

    def n_losses(self, n_outputs: int) -> int:
        """Return the number of losses of a row."""
        return n_outputs

    def constant(self, target: Float64, weights: Float64) -> Float64 | None:
        """Return the outputs that suit all rows alike; None where they are near zero."""
        return None

    @classmethod
    def for_target(cls, target: Target) -> Loss:
        """Return the form of the loss that fits the target."""
        return cls()

    def check(self, target: Target) -> None:  # noqa: B027
        """Raise an InvalidDataError if the target has values that it is not made for."""


class _OfQuantities(Loss):
    """A loss of quantities, which are centered and scaled by their weighted standard deviation."""

    __slots__ = ()

    def scale(self, target: Target, weights: Float64) -> Scale:
        mean = np.average(target.values, axis=0, weights=weights)
        width = spread(target.values - mean, weights)
        tiny = width <= 1e-12 * np.maximum(np.abs(mean), np.finfo(float).tiny)
        return Scale(mean, np.where(tiny, 1.0, width))


@dataclass(frozen=True, slots=True)
class SquaredError(_OfQuantities):
    """The squared difference."""

    name = "squared_error"
    label = "Squared error (squared units of y)"
    power = 2
    is_square = True
    metrics = ("r2", "neg_root_mean_squared_error")

    def value(self, raw: Float64, target: Float64) -> Float64:
        squares: Float64 = (raw - target) ** 2
        return squares


@dataclass(frozen=True, slots=True)
class AbsoluteError(_OfQuantities):
    """The absolute difference."""

    name = "absolute_error"
    label = "Absolute error (units of y)"
    power = 1
    metrics = ("neg_mean_absolute_error", "r2")

    def value(self, raw: Float64, target: Float64) -> Float64:
        return np.abs(raw - target)


@dataclass(frozen=True, slots=True)
class Huber(_OfQuantities):
    """Half the squared difference, linear from one standard deviation of the target on."""

    name = "huber"
    label = "Huber loss (squared units of y)"
    power = 2
    metrics = ("neg_mean_absolute_error", "r2")

    def value(self, raw: Float64, target: Float64) -> Float64:
        size = np.abs(raw - target)
        return np.where(size < 1, 0.5 * size**2, size - 0.5)


@dataclass(frozen=True, slots=True)
class Poisson(Loss):
    """Half the Poisson deviance, with a logarithmic link."""

    name = "poisson"
    label = "Half the Poisson deviance (units of y)"
    link = Log()
    may_be_bounded = False
    power = 1
    metrics = ("neg_mean_poisson_deviance", "r2")

    def value(self, raw: Float64, target: Float64) -> Float64:
        deviance: Float64 = np.exp(raw) - target - target * raw + xlogy(target, target)
        return deviance

    def scale(self, target: Target, weights: Float64) -> Scale:
        # The logarithmic link allows a factor, no shift.
        mean = np.average(target.values, axis=0, weights=weights)
        return Scale(np.zeros(len(mean)), np.where(mean > 0, mean, 1.0))

    def check(self, target: Target) -> None:
        if (target.values < 0).any():
            raise InvalidDataError("loss='poisson' needs a y without negative values.")


@dataclass(frozen=True, slots=True)
class LogLoss(Loss):
    """The log loss of two classes, or of each label of an indicator matrix."""

    name = "log_loss"
    label = "Log-loss (nats)"
    of_classes = True
    link: ClassVar[Link] = Logit()
    may_be_bounded = False
    metrics = ("roc_auc", "neg_log_loss")

    def value(self, raw: Float64, target: Float64) -> Float64:
        return np.logaddexp(0.0, raw) - target * raw

    @classmethod
    def for_target(cls, target: Target) -> Loss:
        return CrossEntropy() if target.has_exclusive_classes else cls()

    def constant(self, target: Float64, weights: Float64) -> Float64 | None:
        share = np.average(target, axis=0, weights=weights)
        odds: Float64 = logit(np.clip(share, _LEAST_SHARE, 1 - _LEAST_SHARE))
        return odds


@dataclass(frozen=True, slots=True)
class CrossEntropy(LogLoss):
    """The log loss of exclusive classes; targets are class numbers."""

    link = Softmax()
    metrics = ("roc_auc_ovr", "neg_log_loss")

    def value(self, raw: Float64, target: Float64) -> Float64:
        own = np.take_along_axis(raw, target[:, :1].astype(np.intp), axis=1)
        return np.asarray(logsumexp(raw, axis=1, keepdims=True)) - own

    def constant(self, target: Float64, weights: Float64) -> Float64 | None:
        return None

    def n_losses(self, n_outputs: int) -> int:
        return 1


LOSSES: dict[str, type[Loss]] = {
    kind.name: kind for kind in (SquaredError, AbsoluteError, Huber, Poisson, LogLoss)
}
"""The losses by name."""


def resolve_loss(name: str, target: Target) -> Loss:
    """Return the loss of that name for a target; "auto" is the first one for its kind.

    Raises
    ------
    InvalidParameterError
        If it does not fit the kind of the target.
    InvalidDataError
        If it does not fit its values.
    """
    fitting = {n: k for n, k in LOSSES.items() if k.of_classes == target.is_classification}
    if name == "auto":
        name = next(iter(fitting))
    if name not in fitting:
        raise InvalidParameterError(
            f"loss={name!r} does not fit a {target.kind} target; use one of {list(fitting)} or "
            "'auto', or set `target_type`."
        )
    loss = fitting[name].for_target(target)
    loss.check(target)
    return loss


def spread(deviation: Float64, weights: Float64) -> Float64:
    """Return the root of the weighted mean square, column by column, whatever the unit.

    Squares are taken in units of a power of two, in which they are numbers and equally exact.
    """
    _, exponent = np.frexp(np.abs(deviation).max(axis=0))
    squares = np.ldexp(deviation, -exponent) ** 2
    width: Float64 = np.ldexp(np.sqrt(np.average(squares, axis=0, weights=weights)), exponent)
    return width
