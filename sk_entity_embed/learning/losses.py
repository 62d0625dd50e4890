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
