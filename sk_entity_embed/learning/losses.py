"""Losses and their derivatives on torch tensors.

Each has its value by row and output and the derivative of a row's summed losses in its raw outputs.
Autograd gives the same derivatives and takes ten times as long, which counts where a step takes a
millisecond.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from sk_entity_embed.learning.problem import TrainingConfig
from sk_entity_embed.model.losses import (
    AbsoluteError,
    Bounded,
    CrossEntropy,
    Huber,
    LogLoss,
    Loss,
    Poisson,
    Scale,
    SquaredError,
)

Function: TypeAlias = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class TorchLoss:
    """A loss of raw outputs, of shape (n, n_outputs), and targets, of shape (n, n_target_columns).

    `value` has shape (n, n_losses), `derivative` that of the outputs.
    """

    value: Function
    derivative: Function


def _poisson(raw: Tensor, target: Tensor) -> Tensor:
    loss: Tensor = raw.exp() - target - target * raw + torch.special.xlogy(target, target)
    return loss


def _cross_entropy(raw: Tensor, target: Tensor) -> Tensor:
    return F.cross_entropy(raw, target[:, 0].long(), reduction="none").unsqueeze(1)


def _d_cross_entropy(raw: Tensor, target: Tensor) -> Tensor:
    return raw.softmax(1).scatter_add_(1, target[:, :1].long(), raw.new_full((len(raw), 1), -1.0))


TORCH_LOSSES: dict[type[Loss], TorchLoss] = {
    SquaredError: TorchLoss(
        partial(F.mse_loss, reduction="none"), lambda raw, target: 2 * (raw - target)
    ),
    AbsoluteError: TorchLoss(
        partial(F.l1_loss, reduction="none"), lambda raw, target: torch.sign(raw - target)
    ),
    Huber: TorchLoss(
        partial(F.huber_loss, reduction="none"),
        lambda raw, target: (raw - target).clamp_(-1.0, 1.0),
    ),
    Poisson: TorchLoss(_poisson, lambda raw, target: raw.exp() - target),
    LogLoss: TorchLoss(
        partial(F.binary_cross_entropy_with_logits, reduction="none"),
        lambda raw, target: raw.sigmoid() - target,
    ),
    CrossEntropy: TorchLoss(_cross_entropy, _d_cross_entropy),
}
"""The torch side of each loss."""


def torch_loss(config: TrainingConfig, device: torch.device) -> TorchLoss:
    """Return the loss trained on, of outputs that the link may squash between bounds."""
    loss = TORCH_LOSSES[type(config.loss)]
    if isinstance(config.link, Bounded):
        return _bounded(loss, config.link, config.scale, device)
    return loss


def _bounded(loss: TorchLoss, link: Bounded, scale: Scale, device: torch.device) -> TorchLoss:
    """Return a loss of outputs squashed between bounds, in the network's units."""
    ends = (scale.apply(np.full_like(scale.center, bound)) for bound in (link.low, link.high))
    sigmoid = (part.astype(np.float32) for part in link.sigmoid(scale))
    low, high, offset, gain = (torch.as_tensor(v, device=device) for v in (*ends, *sigmoid))

    def value(raw: Tensor, target: Tensor) -> Tensor:
        return loss.value(low + (high - low) * torch.sigmoid(offset + gain * raw), target)

    def derivative(raw: Tensor, target: Tensor) -> Tensor:
        share = torch.sigmoid(offset + gain * raw)
        slope = (high - low) * gain * share * (1 - share)
        return loss.derivative(low + (high - low) * share, target) * slope

    return TorchLoss(value, derivative)
