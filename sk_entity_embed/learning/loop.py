"""The loop: epochs, progress, stopping. It knows a task and a few numbers, no network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from tqdm.auto import tqdm

_LAST_STEP = 0.3
"""Last step size as a share of the first; averaging does what smaller ones would."""


class Task(Protocol):
    """A training that the loop drives.

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

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


@dataclass(slots=True)
class TrainingState:
    """All that a training has come to: what a checkpoint holds.

    `epochs` hold the losses of training and, perhaps, validation, one value an output. `task` is
    the task's own state, as far as it was asked for, and `best` the state to go back to, None
    before there is one. A training has `diverged` if a loss is no longer finite and there is no
    better state to go back to.
    """

    epochs: list[tuple[NDArray[np.float64], ...]] = field(default_factory=list)
    best: Any = None
    best_loss: float = np.inf
    best_iteration: int = 0
    epochs_without_change: int = 0
    interrupted: bool = False
    diverged: bool = False
    task: dict[str, Any] | None = None

    @property
    def losses(self) -> list[NDArray[np.float64]]:
        """Losses of training, by epoch."""
        return [epoch[0] for epoch in self.epochs]

    @property
    def validation_losses(self) -> list[NDArray[np.float64]]:
        """Losses of validation, by epoch."""
        return [epoch[1] for epoch in self.epochs if len(epoch) > 1]

    def state_dict(self) -> dict[str, Any]:
        """Return the state as tensors, numbers, and lists of them, which ``torch.save`` writes."""
        state = {f.name: getattr(self, f.name) for f in fields(self)}
        epochs = [[losses.tolist() for losses in epoch] for epoch in self.epochs]
        return {**state, "epochs": epochs, "best_loss": float(self.best_loss)}

    @classmethod
    def of(cls, state: dict[str, Any]) -> TrainingState:
        """Return the state that such a dict describes."""
        epochs = [tuple(np.array(losses) for losses in epoch) for epoch in state["epochs"]]
        return cls(**{**state, "epochs": epochs})

    def offer(self, task: Task, loss: float, iteration: int, tol: float) -> None:
        """Keep the task's state after so many epochs if its loss is lower."""
        enough = self.best is None or loss < self.best_loss - tol * abs(self.best_loss)
        self.epochs_without_change = 0 if enough else self.epochs_without_change + 1
        if not loss < self.best_loss:
            return
        try:
            self._keep(task, loss, iteration)
        except KeyboardInterrupt:  # a state that is half copied belongs to no epoch
            self._keep(task, loss, iteration)
            raise

    def _keep(self, task: Task, loss: float, iteration: int) -> None:
        self.best = task.state(self.best)
        self.best_loss, self.best_iteration = loss, iteration


def train(
    task: Task,
    *,
    max_iter: int,
    early_stopping: bool,
    n_iter_no_change: int,
    tol: float,
    verbose: bool,
    label: str = "embeddings",
    baseline: bool = False,
    min_iter: int = 0,
    state: TrainingState | None = None,
    after_epoch: Callable[[TrainingState], None] | None = None,
) -> TrainingState:
    """Train until the validation loss stops falling, and go back to its best state.

    `max_iter` epochs are run at most, and `min_iter` in any case. The validation loss decides with
    `early_stopping` alone: `n_iter_no_change` epochs in a row without an improvement of `tol`,
    relative to the best loss so far, end the training. With `baseline` the state at the start may
    be the best one, as when training goes on. `verbose` shows a progress bar with a
    `label`.

    `after_epoch` is given the state after each epoch, that of the task included, which is valid
    during the call only: training goes on in the same memory. From a `state` training goes on as it
    would have without a stop.

    An interruption from the keyboard ends the training early and is recorded. Before the end of the
    first epoch there is nothing to keep: the state then has no epochs.
    """
    if state is None:
        state = TrainingState()
    elif state.task is not None:
        task.load_state_dict(state.task)
    done = len(state.epochs)
    with tqdm(total=max_iter, initial=done, unit="epoch", disable=not verbose, desc=label) as bar:
        try:
            if early_stopping and baseline and done == 0:
                state.offer(task, float(task.validation_loss().mean()), 0, tol)
            for i in range(done, max_iter):
                if state.epochs_without_change >= n_iter_no_change and i >= min_iter:
                    break
                task.set_learning_rate(_decay(i / max_iter))
                losses = _run_epoch(task)
                # Recorded at once, so that an interruption leaves whole epochs only.
                state.epochs.append(
                    (losses, task.validation_loss()) if early_stopping else (losses,)
                )
                loss = float(state.epochs[-1][-1].mean())
                bar.set_postfix({"validation_loss" if early_stopping else "loss": f"{loss:.4f}"})
                bar.update()
                if not np.isfinite(loss):
                    state.diverged = state.best is None
                    break
                if early_stopping:
                    state.offer(task, loss, i + 1, tol)
                if after_epoch is not None:
                    state.task = task.state_dict()
                    after_epoch(state)
        except KeyboardInterrupt:
            state.interrupted = True
    if state.best is None:
        state.best_iteration = len(state.epochs)
    task.restore(task.state() if state.best is None else state.best)
    state.best = state.task = None  # as large as the tables
    return state


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
