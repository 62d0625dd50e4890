"""Adam for tables, on the rows that a batch touched, and for the head; the mean over epochs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

_NOTHING = torch.empty(0)
MUON_STEP = 0.1
"""Entries of a step of `Muon` over the step size, root mean square: smaller than Adam's."""


class RowAdam:
    """Lazy Adam without momentum: a step costs what its batch costs, whatever the tables' size.

    Each row has one second moment, the mean over its entries, which moves only when the row takes
    part in a batch: a step's direction does not depend on the vectors' coordinates, and the moments
    take little memory. (Lerer et al., "PyTorch-BigGraph: a large-scale graph embedding system",
    SysML 2019, for Adagrad.) There is no first moment (beta1 = 0): rare rows would carry the
    momentum of batches long past. (Kingma & Ba, "Adam: a method for stochastic optimization", ICLR
    2015.) The biases that end `biased` vectors, whose gradients are far larger, have one of their
    own.

    Entries marked in `fixed` never change. Tables of at most `whole` rows are gone through as a
    whole, side by side: where a batch touches about as many, that is quicker than to pick them. The
    steps are the same.
    """

    def __init__(
        self,
        weights: Sequence[Tensor],
        fixed: Sequence[Tensor | None],
        *,
        lr: float,
        beta: float = 0.999,
        eps: float = 1e-8,
        whole: int = 1024,
        biased: bool = False,
    ) -> None:
        self.weights = weights
        self.fixed = fixed
        self.lr = lr
        self.beta = beta
        self.eps = eps
        self.n_steps = 0
        self._small = [j for j, w in enumerate(weights) if len(w) <= whole]
        self._large = [j for j, w in enumerate(weights) if len(w) > whole]
        # Of small tables: one vector of all sums, and where each table's are.
        small = [weights[j] for j in self._small]
        self._totals = torch.cat([torch.zeros_like(w).flatten() for w in small] or [_NOTHING])
        parts = torch.split(self._totals, [w.numel() for w in small])
        self._total_of = [p.view(w.shape) for p, w in zip(parts, small, strict=True)]
        self._biased = biased
        self._moments = [torch.zeros_like(self._mean_square(w)) for w in weights]
        # Of large tables: where in the batch each row was met last.
        self._place = {
            j: torch.zeros(len(weights[j]), dtype=torch.int32, device=weights[j].device)
            for j in self._large
        }

    def step(self, rows: Sequence[Tensor], gradients: Sequence[Tensor]) -> None:
        """Take one step along gradients of shape (n, width) of the touched `rows`.

        Gradients of rows that occur more than once add up.
        """
        self.n_steps += 1
        correction = (1 - self.beta**self.n_steps) ** 0.5
        if self._small:
            self._step_small(rows, gradients, correction)
        for j in self._large:
            self._step_large(j, rows[j], gradients[j], correction)

    def state_dict(self) -> dict[str, Any]:
        """Return the moments and the number of steps."""
        return {"n_steps": self.n_steps, "moments": self._moments}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from such a state."""
        self.n_steps = state["n_steps"]
        for moments, value in zip(self._moments, state["moments"], strict=True):
            moments.copy_(value)

    def reset(self) -> None:
        """Forget the moments, as before the first step."""
        self.n_steps = 0
        for moments in self._moments:
            moments.zero_()

    def _step_small(
        self, rows: Sequence[Tensor], gradients: Sequence[Tensor], correction: float
    ) -> None:
        self._totals.zero_()
        for j, total in zip(self._small, self._total_of, strict=True):
            total.index_add_(0, rows[j], gradients[j])
            mask = self.fixed[j]
            if mask is not None:
                total.masked_fill_(mask, 0.0)
        for j, total in zip(self._small, self._total_of, strict=True):
            moments = self._moments[j]
            square = self._mean_square(total)
            # The moments of rows that were not touched stay: their gradients are zero.
            moments.lerp_(square, square.sign().mul_(1 - self.beta))
            size = moments.sqrt().add_(self.eps * correction)
            self.weights[j].addcdiv_(total, self._spread(size, total), value=-self.lr * correction)

    def _step_large(self, column: int, index: Tensor, gradient: Tensor, correction: float) -> None:
        weight, moments, mask = self.weights[column], self._moments[column], self.fixed[column]
        total = self._sums(column, index, gradient)
        if mask is not None:
            total.masked_fill_(mask.index_select(0, index), 0.0)
        square = self._mean_square(total)
        second = moments.index_select(0, index)
        second.lerp_(square, square.sign().mul_(1 - self.beta))
        moments.index_copy_(0, index, second)
        size = second.sqrt_().add_(self.eps * correction)
        moved = weight.index_select(0, index)
        moved.addcdiv_(total, self._spread(size, total), value=-self.lr * correction)
        weight.index_copy_(0, index, moved)

    def _sums(self, column: int, index: Tensor, gradient: Tensor) -> Tensor:
        """Return gradients, those of repeated rows replaced by their sum.

        Of the places that a row has in the batch, the one written last gathers the sum. Repeated
        rows then take equal steps and write equal values back.
        """
        place = self._place[column]
        every = torch.arange(len(index), dtype=place.dtype, device=place.device)
        last = place.index_copy_(0, index, every).index_select(0, index)
        last = last.to(torch.int64)  # what torch adds up quickly
        return torch.zeros_like(gradient).index_add_(0, last, gradient).index_select(0, last)

    def _mean_square(self, gradient: Tensor) -> Tensor:
        """Return the mean square of each row's entries, of shape (n, 1), and that of a bias."""
        square = gradient.square()
        if not self._biased:
            return square.mean(1, keepdim=True)
        return torch.cat([square[:, :-1].mean(1, keepdim=True), square[:, -1:]], dim=1)

    def _spread(self, size: Tensor, gradient: Tensor) -> Tensor:
        """Return sizes as wide as the gradient, or one of all entries."""
        if not self._biased:
            return size
        axes = size[:, :1].expand(-1, gradient.shape[1] - 1)
        return torch.cat([axes, size[:, 1:]], dim=1)


class AdamW:
    """Adam with decoupled weight decay, all parameters in one vector.

    Torch's own gives the same steps; it loads torch's compiler when it is made, which takes a
    second, and a step of few small parameters costs it twice as much. (Loshchilov & Hutter,
    "Decoupled weight decay regularization", ICLR 2019.) Each of the `param_groups` has "params" and
    "weight_decay"; the "lr" of a group may be changed.
    """

    def __init__(
        self,
        param_groups: Sequence[dict[str, Any]],
        *,
        lr: float,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ) -> None:
        self.param_groups = [{**group, "lr": lr} for group in param_groups]
        self.betas, self.eps = betas, eps
        self.n_steps = 0
        self._parameters = [p for group in self.param_groups for p in group["params"]]
        self._sizes = [p.numel() for p in self._parameters]
        self._first, self._second = (
            torch.cat([torch.zeros_like(p).flatten() for p in self._parameters]) for _ in range(2)
        )

    @torch.no_grad()
    def step(self) -> None:
        """Take one step along the parameters' gradients."""
        self.n_steps += 1
        first, second = self.betas
        gradient = torch.cat([_gradient_of(p) for p in self._parameters])
        self._first.lerp_(gradient, 1 - first)
        self._second.mul_(second).addcmul_(gradient, gradient, value=1 - second)
        size = self._second.sqrt().div_((1 - second**self.n_steps) ** 0.5).add_(self.eps)
        moves = iter(torch.split(self._first / size, self._sizes))
        for group in self.param_groups:
            lr, decay = group["lr"], group["weight_decay"]
            for parameter in group["params"]:
                if decay:
                    parameter.mul_(1 - lr * decay)
                move = next(moves).view(parameter.shape)
                parameter.sub_(move, alpha=lr / (1 - first**self.n_steps))

    def state_dict(self) -> dict[str, Any]:
        """Return the moments and the number of steps."""
        return {"n_steps": self.n_steps, "first": self._first, "second": self._second}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from such a state."""
        self.n_steps = state["n_steps"]
        self._first.copy_(state["first"])
        self._second.copy_(state["second"])

    def reset(self) -> None:
        """Forget the moments, as before the first step."""
        self.n_steps = 0
        self._first.zero_()
        self._second.zero_()

    def zero_grad(self) -> None:
        """Forget the parameters' gradients."""
        for parameter in self._parameters:
            parameter.grad = None


class Muon:
    """Momentum whose steps are orthogonal matrices: all directions of a layer learn at one rate.

    For the matrices of hidden layers, several side by side: of shape (n, n_out, n_in). What costs
    a few small matrix products a step pays where steps are large. (Jordan et al., "Muon: an
    optimizer for hidden layers in neural networks", 2024; the size of steps as in Liu et al.,
    "Muon is scalable for LLM training", 2025.)
    """

    _ITERATIONS = 4
    _COEFFICIENTS = 3.4445, -4.7750, 2.0315

    def __init__(
        self,
        parameters: Sequence[Tensor],
        *,
        lr: float,
        weight_decay: float,
        momentum: float = 0.95,
    ) -> None:
        group = {"params": list(parameters), "lr": lr, "weight_decay": weight_decay}
        self.param_groups: list[dict[str, Any]] = [group]
        self.momentum = momentum
        self._first = [torch.zeros_like(p) for p in parameters]

    @torch.no_grad()
    def step(self) -> None:
        """Take one step along the parameters' gradients."""
        for group in self.param_groups:
            lr = group["lr"]
            for parameter, first in zip(group["params"], self._first, strict=True):
                gradient = parameter.grad
                if gradient is None:
                    continue
                first.lerp_(gradient, 1 - self.momentum)
                move = self._orthogonal(torch.lerp(gradient, first, self.momentum))
                parameter.mul_(1 - lr * group["weight_decay"])
                parameter.sub_(move, alpha=lr * MUON_STEP * max(parameter.shape[1:]) ** 0.5)

    def _orthogonal(self, matrices: Tensor) -> Tensor:
        """Return about the nearest orthogonal matrices, by a Newton-Schulz iteration."""
        a, b, c = self._COEFFICIENTS
        x: Tensor = matrices / matrices.norm(dim=(1, 2), keepdim=True).add_(1e-7)
        wide = x.shape[1] <= x.shape[2]
        x = x if wide else x.transpose(1, 2)
        for _ in range(self._ITERATIONS):
            square = torch.bmm(x, x.transpose(1, 2))
            x = torch.baddbmm(x, torch.baddbmm(square, square, square, beta=b, alpha=c), x, beta=a)
        return x if wide else x.transpose(1, 2)

    def state_dict(self) -> dict[str, Any]:
        """Return the momentum."""
        return {"first": self._first}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from such a state."""
        for first, value in zip(self._first, state["first"], strict=True):
            first.copy_(value)

    def reset(self) -> None:
        """Forget the momentum."""
        for first in self._first:
            first.zero_()

    def zero_grad(self) -> None:
        """Forget the parameters' gradients."""
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.grad = None


def _gradient_of(parameter: Tensor) -> Tensor:
    """Return a parameter's gradient in one dimension; zeros if it has none."""
    gradient = parameter.grad
    return torch.zeros_like(parameter).flatten() if gradient is None else gradient.flatten()


class RunningMean:
    """Mean of parameters over the last part of a training, however long it has been so far.

    Averaging removes much of the noise that single batches leave in vectors, for all tables alike
    and without a look at other folds. (Polyak & Juditsky, 1992; Izmailov et al., UAI 2018.) States
    weigh by a `power` of the time they were met at: the mean reaches back over about one part in
    ``power + 1`` of all updates. (Shamir & Zhang, "Stochastic gradient descent for non-smooth
    optimization", ICML 2013.) The present state may stand for `n_updates` already.
    """

    def __init__(self, parameters: Sequence[Tensor], power: float, n_updates: int = 0) -> None:
        self.parameters = parameters
        self.power = power
        self.mean = [p.detach().clone() for p in parameters]
        self.n_updates = n_updates

    def update(self) -> None:
        """Take the present state in."""
        self.n_updates += 1
        share = (1 + self.power) / (self.n_updates + self.power)
        for mean, parameter in zip(self.mean, self.parameters, strict=True):
            mean.lerp_(parameter.detach(), share)

    def state_dict(self) -> dict[str, Any]:
        """Return the mean and the number of updates."""
        return {"mean": self.mean, "n_updates": self.n_updates}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from such a state."""
        self.n_updates = state["n_updates"]
        for mean, value in zip(self.mean, state["mean"], strict=True):
            mean.copy_(value)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Put the mean in the parameters' place for a while; nothing is copied."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def _swap(self) -> None:
        for mean, parameter in zip(self.mean, self.parameters, strict=True):
            mean.data, parameter.data = parameter.data, mean.data
