"""The loop: epochs, progress, stopping. It knows a task and a few numbers, no network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from tqdm.auto import tqdm


class Task(Protocol):
    """What the loop drives."""

    @property
    def n_steps(self) -> int: ...

    def epoch(self) -> Iterator[tuple[NDArray[np.float64], float]]: ...

    def validation_loss(self) -> NDArray[np.float64]: ...

    def state(self) -> Any: ...

    def restore(self, state: Any) -> None: ...

    def set_learning_rate(self, factor: float) -> None: ...


@dataclass(slots=True)
class History:
    """What happened in training; losses have one value an output."""

    losses: list[NDArray[np.float64]]
    validation_losses: list[NDArray[np.float64]]
    best_iteration: int
    interrupted: bool


def train(
    task: Task,
    *,
    max_iter: int,
    early_stopping: bool,
    n_iter_no_change: int,
    tol: float,
    verbose: bool,
    baseline: bool = False,
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

    Returns
    -------
    History
        An interruption from the keyboard ends the training early and is recorded there.
    """
    history = History([], [], 0, False)
    best_loss = float(task.validation_loss().mean()) if early_stopping and baseline else np.inf
    best_state = task.state() if np.isfinite(best_loss) else None
    patience = n_iter_no_change
    with tqdm(total=max_iter, unit="epoch", disable=not verbose, desc="embeddings") as bar:
        try:
            for i in range(max_iter):
                task.set_learning_rate(_decay(i / max_iter))
                history.losses.append(_run_epoch(task))
                if early_stopping:
                    losses = task.validation_loss()
                    history.validation_losses.append(losses)
                    loss = float(losses.mean())
                    bar.set_postfix(validation_loss=f"{loss:.4f}")
                    patience = (
                        (
                            n_iter_no_change
                            if loss < best_loss - tol * abs(best_loss)
                            else patience - 1
                        )
                        if np.isfinite(best_loss)
                        else n_iter_no_change
                    )
                    if loss < best_loss:
                        best_loss, best_state = loss, task.state()
                        history.best_iteration = i + 1
                else:
                    history.best_iteration = i + 1
                bar.update()
                if early_stopping and patience <= 0:
                    break
        except KeyboardInterrupt:
            history.interrupted = True
    if best_state is not None:
        task.restore(best_state)
    return history


def _run_epoch(task: Task) -> NDArray[np.float64]:
    total, weight = np.zeros(()), 0.0
    for losses, step_weight in task.epoch():
        total = total + losses
        weight += step_weight
    return np.asarray(total / weight)


def _decay(progress: float) -> float:
    """Share of the initial step size: a half cosine from one to a twentieth."""
    return 0.05 + 0.95 * 0.5 * (1 + float(np.cos(np.pi * progress)))
