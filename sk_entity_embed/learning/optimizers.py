"""Adam for tables, on the rows that a batch touched, and for the head; the mean over epochs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

_NOTHING = torch.empty(0)


class RowAdam:
    """Lazy Adam without momentum: a step costs what its batch costs, whatever the tables' size.

    The second moments of a row only move when the row takes part in a batch, as in
    :class:`torch.optim.SparseAdam`, but without building sparse tensors. There is no first moment
    (beta1 = 0): rare rows would carry the momentum of batches long past. (Kingma & Ba, "Adam: a
    method for stochastic optimization", ICLR 2015.)

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
    ) -> None:
        self.weights = weights
        self.fixed = fixed
        self.lr = lr
        self.beta = beta
        self.eps = eps
        self.n_steps = 0
        self._small = [j for j, w in enumerate(weights) if len(w) <= whole]
        self._large = [j for j, w in enumerate(weights) if len(w) > whole]
        # Of small tables: one vector of all numbers, and where each table's are.
        small = [weights[j] for j in self._small]
        self._moments = torch.cat([torch.zeros_like(w).flatten() for w in small] or [_NOTHING])
        self._totals = torch.zeros_like(self._moments)
        parts = torch.split(self._totals, [w.numel() for w in small])
        self._total_of = [p.view(w.shape) for p, w in zip(parts, small, strict=True)]
        # Of large tables: the moments, and where in the batch each row was met last.
        self._moments_of = {j: torch.zeros_like(weights[j]) for j in self._large}
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
        return {
            "n_steps": self.n_steps,
            "moments": self._moments,
            "moments_of": self._moments_of,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from such a state."""
        self.n_steps = state["n_steps"]
        self._moments.copy_(state["moments"])
        for column, moments in self._moments_of.items():
            moments.copy_(state["moments_of"][column])

    def _step_small(
        self, rows: Sequence[Tensor], gradients: Sequence[Tensor], correction: float
    ) -> None:
        self._totals.zero_()
        for j, total in zip(self._small, self._total_of, strict=True):
            total.index_add_(0, rows[j], gradients[j])
            mask = self.fixed[j]
            if mask is not None:
                total.masked_fill_(mask, 0.0)
        square = self._totals.square()
        # The moments of rows that were not touched stay: their gradients are zero.
        self._moments.lerp_(square, square.sign().mul_(1 - self.beta))
        self._totals.div_(self._moments.sqrt().add_(self.eps * correction))
        for j, move in zip(self._small, self._total_of, strict=True):
            self.weights[j].sub_(move, alpha=self.lr * correction)

    def _step_large(self, column: int, index: Tensor, gradient: Tensor, correction: float) -> None:
        weight, moments, mask = self.weights[column], self._moments_of[column], self.fixed[column]
        total = self._sums(column, index, gradient)
        if mask is not None:
            total.masked_fill_(mask.index_select(0, index), 0.0)
        square = total.square()
        second = moments.index_select(0, index)
        second.lerp_(square, square.sign().mul_(1 - self.beta))
        moments.index_copy_(0, index, second)
        size = second.sqrt_().add_(self.eps * correction)
        moved = weight.index_select(0, index)
        moved.addcdiv_(total, size, value=-self.lr * correction)
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

    def zero_grad(self) -> None:
        """Forget the parameters' gradients."""
        for parameter in self._parameters:
            parameter.grad = None


def _gradient_of(parameter: Tensor) -> Tensor:
    """Return a parameter's gradient in one dimension; zeros if it has none."""
    gradient = parameter.grad
    return torch.zeros_like(parameter).flatten() if gradient is None else gradient.flatten()


class RunningMean:
    """Mean of parameters over epochs: the plain mean of the first ones, then an exponential one.

    Averaging removes much of the noise that single batches leave in vectors, for all tables alike
    and without a look at other folds. (Polyak & Juditsky, 1992; Izmailov et al., UAI 2018.) From
    `window` epochs on each new one counts for ``1 / window``; the present state may stand for
    `n_updates` already.
    """

    def __init__(self, parameters: Sequence[Tensor], window: int, n_updates: int = 0) -> None:
        self.parameters = parameters
        self.window = window
        self.mean = [p.detach().clone() for p in parameters]
        self.n_updates = n_updates

    def update(self) -> None:
        """Take the present state in."""
        self.n_updates += 1
        share = 1 / min(self.n_updates, self.window)
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
