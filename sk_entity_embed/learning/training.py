"""The loop: epochs, progress, stopping. It knows a task and a few numbers, no network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from tqdm.auto import tqdm

_LAST_STEP = 0.3
"""Last step size as a share of the first; averaging does what smaller ones would."""


class Task(Protocol):
    """What the loop drives.

    An epoch yields each step's summed losses, by output, and weight: arrays of any library, which
    are added up before their values are asked for. `validation_loss` and `state` are those of the
    mean over the last epochs, not of the last step. `state` may reuse the memory of an earlier one.
    """

    @property
    def n_steps(self) -> int: ...

    def epoch(self) -> Iterator[tuple[Any, Any]]: ...

    def validation_loss(self) -> NDArray[np.float64]: ...

    def state(self, into: Any = None) -> Any: ...

    def restore(self, state: Any) -> None: ...

    def set_learning_rate(self, factor: float) -> None: ...


@dataclass(slots=True)
class History:
    """What happened in training; losses have one value an output.

    It has diverged if a loss was no longer finite and there is no better state to go back to.
    """

    losses: list[NDArray[np.float64]]
    validation_losses: list[NDArray[np.float64]]
    best_iteration: int
    interrupted: bool
    diverged: bool


def train(
    task: Task,
    *,
    max_iter: int,
    early_stopping: bool,
    n_iter_no_change: int,
    tol: float,
    verbose: bool,
    baseline: bool = False,
    min_iter: int = 0,
) -> History:
    """Train until the validation loss stops falling, and go back to its best state.

    Parameters
    ----------
    task : Task
        What to train.
    max_iter : int
        Epochs at most.
    early_stopping : bool
        Whether the validation loss decides; otherwise all epochs are run.
    n_iter_no_change : int
        Epochs in a row without an improvement of `tol` that end the training.
    tol : float
        Smallest improvement that counts, relative to the best loss so far.
    verbose : bool
        Whether to show a progress bar.
    baseline : bool, default=False
        Whether the state at the start may be the best one, as when training goes on.
    min_iter : int, default=0
        Epochs that are run in any case.

    Returns
    -------
    History
        An interruption from the keyboard ends the training early and is recorded there. Before the
        end of the first epoch there is nothing to keep: it then has no losses.
    """
    best = _Best(task, n_iter_no_change, tol)
    epochs: list[tuple[NDArray[np.float64], ...]] = []
    interrupted = diverged = False
    with tqdm(total=max_iter, unit="epoch", disable=not verbose, desc="embeddings") as bar:
        try:
            if early_stopping and baseline:
                best.offer(float(task.validation_loss().mean()), 0)
            for i in range(max_iter):
                task.set_learning_rate(_decay(i / max_iter))
                losses = _run_epoch(task)
                # Recorded at once, so that an interruption leaves whole epochs only.
                epochs.append((losses, task.validation_loss()) if early_stopping else (losses,))
                loss = float(epochs[-1][-1].mean())
                bar.set_postfix({"validation_loss" if early_stopping else "loss": f"{loss:.4f}"})
                bar.update()
                if not np.isfinite(loss):
                    diverged = best.state is None
                    break
                if early_stopping:
                    best.offer(loss, i + 1)
                    if best.patience <= 0 and i + 1 >= min_iter:
                        break
        except KeyboardInterrupt:
            interrupted = True
    task.restore(task.state() if best.state is None else best.state)
    return History(
        losses=[epoch[0] for epoch in epochs],
        validation_losses=[epoch[1] for epoch in epochs] if early_stopping else [],
        best_iteration=len(epochs) if best.state is None else best.iteration,
        interrupted=interrupted,
        diverged=diverged,
    )


class _Best:
    """The best state so far, and how long to wait for a better one."""

    def __init__(self, task: Task, n_iter_no_change: int, tol: float) -> None:
        self.task, self.tol, self.n_iter_no_change = task, tol, n_iter_no_change
        self.patience = n_iter_no_change
        self.loss = np.inf
        self.state: Any = None
        self.iteration = 0

    def offer(self, loss: float, iteration: int) -> None:
        """Keep the task's state after so many epochs if its loss is lower."""
        enough = self.state is None or loss < self.loss - self.tol * abs(self.loss)
        self.patience = self.n_iter_no_change if enough else self.patience - 1
        if not loss < self.loss:
            return
        try:
            self._keep(loss, iteration)
        except KeyboardInterrupt:  # a state that is half copied belongs to no epoch
            self._keep(loss, iteration)
            raise

    def _keep(self, loss: float, iteration: int) -> None:
        self.state = self.task.state(self.state)
        self.loss, self.iteration = loss, iteration


def _run_epoch(task: Task) -> NDArray[np.float64]:
    total: Any = 0.0
    weight: Any = 0.0
    for losses, step_weight in task.epoch():
        total = total + losses
        weight = weight + step_weight
    return np.asarray((total / weight).tolist(), dtype=np.float64)


def _decay(progress: float) -> float:
    """Share of the initial step size: a half cosine from one to `_LAST_STEP`."""
    return _LAST_STEP + (1 - _LAST_STEP) * 0.5 * (1 + float(np.cos(np.pi * progress)))
