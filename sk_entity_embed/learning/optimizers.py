"""Adam on the rows that a batch touched, leaving all others alone."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


class RowAdam:
    """Lazy Adam without momentum: a step costs what its batch costs, whatever the tables' size.

    The second moments of a row only move when the row takes part in a batch, as in
    :class:`torch.optim.SparseAdam`, but without building sparse tensors. There is no first moment
    (beta1 = 0): rare rows would carry the momentum of batches long past.

    Parameters
    ----------
    weights : sequence of Tensor of shape (n_rows, width)
        Changed in place.
    fixed : sequence of Tensor of bool of shape (n_rows, width) or None
        Entries never to change; None where there are none.
    lr : float
        Step size.
    beta : float, default=0.999
        Decay of the second moments.
    eps : float, default=1e-8
        Keeps the step finite where gradients vanish.

    References
    ----------
    Kingma & Ba, "Adam: a method for stochastic optimization", ICLR 2015.
    """

    def __init__(
        self,
        weights: Sequence[Tensor],
        fixed: Sequence[Tensor | None],
        *,
        lr: float,
        beta: float = 0.999,
        eps: float = 1e-8,
    ) -> None:
        self.weights = weights
        self.fixed = fixed
        self.lr = lr
        self.beta = beta
        self.eps = eps
        self.n_steps = 0
        self._gradient = [torch.zeros_like(w) for w in weights]
        self._second = [torch.zeros_like(w) for w in weights]

    def step(self, rows: Sequence[Tensor], gradients: Sequence[Tensor]) -> None:
        """Take one step.

        Parameters
        ----------
        rows : sequence of Tensor of int of shape (n,)
            Touched rows of each weight; repeats add up.
        gradients : sequence of Tensor of shape (n, width)
            Gradient of each of them.
        """
        self.n_steps += 1
        correction = (1 - self.beta**self.n_steps) ** 0.5
        for j, (index, gradient) in enumerate(zip(rows, gradients, strict=True)):
            total = self._gradient[j]
            total.index_add_(0, index, gradient)
            # Repeated rows gather equal values and write equal values back.
            g = total[index]
            total[index] = 0.0
            mask = self.fixed[j]
            if mask is not None:
                g = g.masked_fill_(mask[index], 0.0)
            second = self._second[j][index].mul_(self.beta).addcmul_(g, g, value=1 - self.beta)
            self._second[j][index] = second
            update = g.mul_(self.lr).div_(second.sqrt().div_(correction).add_(self.eps))
            self.weights[j][index] = self.weights[j][index].sub_(update)
