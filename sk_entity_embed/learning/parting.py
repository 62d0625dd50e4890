"""Checkpoints of a training on several workers: what all share, once, and what each has alone."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from sk_entity_embed.learning.exchange import Exchange
from sk_entity_embed.learning.loop import TrainingState

_OWN = ("batches", "generators", "dropout")
"""Parts of a task's state that differ between workers."""

Report = Callable[[str | None, Mapping[str, Any]], None]
"""Takes a folder of files, and numbers that tell how far the training is."""


class PartedKeeper:
    """Keeps the state of a training on several workers, so that a later one goes on from there.

    Every worker reports a file of its own; the first one adds what all of them have.

    Parameters
    ----------
    exchange : Exchange
        The way to the other workers.
    interval : float
        Seconds from one checkpoint to the next, at least. The first worker's clock decides.
    folder : str or None
        Files of the last checkpoint of all workers; None where there is none.
    report : callable
        Keeps files; every worker calls it as often.
    """

    def __init__(
        self, exchange: Exchange, interval: float, folder: str | None, report: Report
    ) -> None:
        self.exchange, self.interval, self.folder, self.report = exchange, interval, folder, report
        self._since = time.monotonic()

    @property
    def path(self) -> str | None:
        """Where the last checkpoint is, in words."""
        return self.folder

    def load(self, device: torch.device) -> TrainingState | None:
        """Return the state to go on from, None where there is none."""
        if self.folder is None:
            return None
        shared, own = (
            torch.load(os.path.join(self.folder, name), map_location=device, weights_only=True)
            for name in self._names()
        )
        # Where it was: orders of rows are worked with on the device, drawn states beside it.
        shared["task"] |= own
        return TrainingState.of(shared)

    def due(self) -> bool:
        """Return whether the state shall be kept now."""
        waited = float(time.monotonic() - self._since >= self.interval)
        told = torch.tensor([waited if self.exchange.rank == 0 else 0.0], dtype=torch.float64)
        return bool(self.exchange.sum(told) > 0)

    def save(self, state: TrainingState) -> None:
        """Keep the state."""
        shared = state.state_dict()
        task = shared.pop("task")
        own = {name: task[name] for name in _OWN}
        shared["task"] = {name: value for name, value in task.items() if name not in _OWN}
        last = {"iteration": len(state.iterations), "loss": float(state.losses[-1].mean())}
        if state.validation_losses:
            last["validation_loss"] = float(state.validation_losses[-1].mean())
        with tempfile.TemporaryDirectory(prefix="sk_entity_embed-") as folder:
            of_all, of_one = (os.path.join(folder, name) for name in self._names())
            torch.save(own, of_one)
            if self.exchange.rank == 0:
                torch.save(shared, of_all)
            self.report(folder, last)
        self._since = time.monotonic()

    def forget(self) -> None:
        """Do nothing: who reads the checkpoints removes them."""

    def end(self, state: TrainingState, parameters: list[Tensor]) -> None:
        """Do nothing: the result follows at once."""

    def _names(self) -> tuple[str, str]:
        return "shared.pt", f"worker-{self.exchange.rank}.pt"
