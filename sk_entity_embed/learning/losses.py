"""Losses by row and output, on raw network outputs."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

LossFunction = Callable[[Tensor, Tensor], Tensor]


def _poisson(raw: Tensor, target: Tensor) -> Tensor:
    """Half the Poisson deviance, with a logarithmic link."""
    loss: Tensor = raw.exp() - target - target * raw + torch.special.xlogy(target, target)
    return loss


def _cross_entropy(raw: Tensor, target: Tensor) -> Tensor:
    return F.cross_entropy(raw, target[:, 0].long(), reduction="none").unsqueeze(1)


def _elementwise(function: Callable[..., Tensor]) -> LossFunction:
    return lambda raw, target: function(raw, target, reduction="none")


_LOSSES: dict[str, LossFunction] = {
    "squared_error": _elementwise(F.mse_loss),
    "absolute_error": _elementwise(F.l1_loss),
    "huber": _elementwise(F.huber_loss),
    "poisson": _poisson,
    "log_loss": _elementwise(F.binary_cross_entropy_with_logits),
}


def loss_function(
    name: str, *, multiclass: bool, bounds: tuple[Tensor, Tensor, Tensor, Tensor] | None = None
) -> LossFunction:
    """Loss of each row and output.

    Parameters
    ----------
    name : str
        One of the encoder's losses.
    multiclass : bool
        Whether "log_loss" is over exclusive classes.
    bounds : tuple of Tensor of shape (n_outputs,), default=None
        What raw outputs are squashed between before they are compared, and offset and gain of
        the sigmoid that does it.

    Returns
    -------
    callable
        From raw outputs of shape (n, n_outputs) and targets of shape (n, n_target_columns) to
        losses of shape (n, n_losses): one for exclusive classes, else one an output.
    """
    if multiclass:
        return _cross_entropy
    loss = _LOSSES[name]
    if bounds is None:
        return loss
    low, high, offset, gain = bounds
    return lambda raw, target: loss(low + (high - low) * torch.sigmoid(offset + gain * raw), target)


# Their derivatives in the raw output. Autograd gives the same and takes ten times as long, which
# counts where a step takes a millisecond.


def _d_cross_entropy(raw: Tensor, target: Tensor) -> Tensor:
    return raw.softmax(1).scatter_add_(1, target[:, :1].long(), raw.new_full((len(raw), 1), -1.0))


_DERIVATIVES: dict[str, LossFunction] = {
    "squared_error": lambda raw, target: 2 * (raw - target),
    "absolute_error": lambda raw, target: torch.sign(raw - target),
    "huber": lambda raw, target: (raw - target).clamp_(-1.0, 1.0),
    "poisson": lambda raw, target: raw.exp() - target,
    "log_loss": lambda raw, target: raw.sigmoid() - target,
}


def loss_derivative(
    name: str, *, multiclass: bool, bounds: tuple[Tensor, Tensor, Tensor, Tensor] | None = None
) -> LossFunction:
    """Derivative of a row's summed losses in its raw outputs.

    Parameters
    ----------
    name, multiclass, bounds : object
        Those of :func:`loss_function`.

    Returns
    -------
    callable
        From raw outputs of shape (n, n_outputs) and targets of shape (n, n_target_columns) to
        derivatives of shape (n, n_outputs).
    """
    if multiclass:
        return _d_cross_entropy
    derivative = _DERIVATIVES[name]
    if bounds is None:
        return derivative
    low, high, offset, gain = bounds

    def bounded(raw: Tensor, target: Tensor) -> Tensor:
        share = torch.sigmoid(offset + gain * raw)
        slope = (high - low) * gain * share * (1 - share)
        return derivative(low + (high - low) * share, target) * slope

    return bounded
