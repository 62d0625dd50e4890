"""A running mean of the parameters over the last epochs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor


class RunningMean:
    """Mean of parameters over epochs: the plain mean of the first ones, then an exponential one.

    Averaging removes much of the noise that single batches leave in vectors, for all tables alike
    and without a look at other folds.

    Parameters
    ----------
    parameters : sequence of Tensor
        What is under training; changed by :meth:`applied` alone, and only for its duration.
    window : int
        Number of epochs from which on each new one counts for ``1 / window``.
    n_updates : int, default=0
        Epochs that the present state already stands for, where training goes on.

    References
    ----------
    Polyak & Juditsky, "Acceleration of stochastic approximation by averaging", 1992; Izmailov et
    al., "Averaging weights leads to wider optima and better generalization", UAI 2018.
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
