"""The loop: iterations, progress, stopping. It knows a task and a few numbers, no network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from sk_entity_embed._progress import tqdm
from sk_entity_embed.learning.problem import Tell

_WARM_UP, _LONGEST_WARM_UP, _LAST_STEP = 0.1, 6, 0.2
"""Share of the training in which steps grow, up to a number of iterations, and the last step size
as a share of the largest: averaging does what smaller ones would."""
_FALL, _LOWEST = 0.2, 0.1
"""Iterations in which steps fall once patience is over, as a share of those up to the best state,
and the last step size as a share of the first."""
_CAREFUL = 0.25
"""Step size after an explosion, as a share of that without."""


class Task(Protocol):
    """A training that the loop drives.

    An iteration is a pass over the rows, or a part of one. It yields each step's summed losses, by
    output, and weight: arrays of any library, which are added up before their values are asked for.
    `validation_loss` and `state` are those of the mean over the last steps, not of the last one.
    `state` may reuse the memory of an earlier one. `reset` forgets, after an explosion, what the
    parameters at hand have left behind elsewhere, such as moments of optimizers.
    """

    @property
    def n_steps(self) -> int: ...

    def iteration(self) -> Iterator[tuple[Any, Any]]: ...

    def validation_loss(self) -> NDArray[np.float64]: ...

    def state(self, into: Any = None) -> Any: ...

    def restore(self, state: Any) -> None: ...

    def reset(self) -> None: ...

    def set_learning_rate(self, factor: float) -> None: ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


@dataclass(slots=True)
class TrainingState:
    """All that a training has come to: what a checkpoint holds.

    `iterations` hold the losses of training and, perhaps, validation, one value an output. `task`
    is the task's own state, as far as it was asked for, and `best` the state to go back to: with
    early stopping that at the start, whose loss counts as infinite, before there is a better one.
    Once patience is over, `fall` says from which iteration on steps fall, up to which, and from
    which size. `exploded` is the number of iterations after which a loss was not finite and
    training went back, once. A training has `diverged` if a loss is not finite in the end and there
    is no better state to go back to. One that has `ended` has its parameters in `best`.
    """

    iterations: list[tuple[NDArray[np.float64], ...]] = field(default_factory=list)
    best: Any = None
    best_loss: float = np.inf
    best_iteration: int = 0
    iterations_without_change: int = 0
    fall: tuple[int, int, float] | None = None
    exploded: int | None = None
    interrupted: bool = False
    ended: bool = False
    diverged: bool = False
    task: dict[str, Any] | None = None

    @property
    def losses(self) -> list[NDArray[np.float64]]:
        """Losses of training, by iteration."""
        return [losses[0] for losses in self.iterations]

    @property
    def validation_losses(self) -> list[NDArray[np.float64]]:
        """Losses of validation, by iteration."""
        return [losses[1] for losses in self.iterations if len(losses) > 1]

    def state_dict(self) -> dict[str, Any]:
        """Return the state as tensors, numbers, and lists of them, which ``torch.save`` writes."""
        state = {f.name: getattr(self, f.name) for f in fields(self)}
        iterations = [[losses.tolist() for losses in both] for both in self.iterations]
        return {**state, "iterations": iterations, "best_loss": float(self.best_loss)}

    @classmethod
    def of(cls, state: dict[str, Any]) -> TrainingState:
        """Return the state that such a dict describes."""
        iterations = [tuple(map(np.array, both)) for both in state["iterations"]]
        return cls(**{**state, "iterations": iterations})

    def offer(self, task: Task, loss: float, iteration: int, tol: float) -> None:
        """Keep the task's state after so many iterations if its loss is lower."""
        first = self.best is None or np.isinf(self.best_loss)
        enough = first or loss < self.best_loss - tol * abs(self.best_loss)
        self.iterations_without_change = 0 if enough else self.iterations_without_change + 1
        if not loss < self.best_loss:
            return
        try:
            self._keep(task, loss, iteration)
        except KeyboardInterrupt:  # a state that is half copied belongs to no iteration
            self._keep(task, loss, iteration)
            raise

    def _keep(self, task: Task, loss: float, iteration: int) -> None:
        self.best = task.state(self.best)
        self.best_loss, self.best_iteration = loss, iteration

    def roll_back(self, task: Task) -> bool:
        """Go back to the best state after an explosion, once; return whether it was done."""
        if self.exploded is not None or self.best is None:
            return False
        self.exploded, self.iterations_without_change = len(self.iterations), 0
        task.restore(self.best)
        task.reset()
        return True


def train(
    task: Task,
    *,
    max_iter: int,
    early_stopping: bool,
    n_iter_no_change: int,
    tol: float,
    verbose: bool,
    n_rows: float = 1.0,
    label: str = "embeddings",
    baseline: bool = False,
    min_iter: int = 0,
    state: TrainingState | None = None,
    after_iteration: Callable[[TrainingState], None] | None = None,
    due: Callable[[], bool] = lambda: True,
    tell: Tell | None = None,
) -> TrainingState:
    """Train until the validation loss stops falling, and go back to its best state.

    `max_iter` iterations are run at most, and `min_iter` in any case. The validation loss decides
    with `early_stopping` alone: `n_iter_no_change` iterations in a row without an improvement of
    `tol`, relative to the best loss so far, end it: training goes back to the best state, and takes
    a few iterations of ever smaller steps from there. With `baseline` the state at the
    start may be the best one, as when training goes on. `verbose` shows a progress line with a
    `label`: time left, rows a second, iterations and losses. An iteration has `n_rows`
    rows.

    `after_iteration` is given the state after each one that finds it `due`, that of the task
    included, which is valid during the call only: training goes on in the same memory. From a
    `state` training goes on as it would have without a stop.

    `tell` is given the number of each iteration that has ended, and its losses. Whatever it raises
    ends the training and is raised here, an interruption from the keyboard included; of that
    iteration nothing has been kept then.

    Where a loss is no longer finite, training with `early_stopping` goes back to the best state
    once, and goes on from there with a quarter of the step size; the second time it ends.

    An interruption from the keyboard ends the training early and is recorded. Before the end of the
    first iteration there is nothing to keep: the state then has no iterations.
    """
    if state is None:
        state = TrainingState()
    elif state.task is not None:
        task.load_state_dict(state.task)
        state.task = None
    if state.ended:
        task.restore(state.best)
        state.best = None
        return state
    done = len(state.iterations)
    telling = False
    with _Progress(n_rows, task.n_steps, max_iter, done, label, verbose) as progress:
        try:
            if early_stopping and done == 0:
                state.best = task.state()  # where to go back to if the first iteration explodes
                if baseline:
                    state.offer(task, float(task.validation_loss().mean()), 0, tol)
            for i in range(done, max_iter):
                impatient = state.iterations_without_change >= n_iter_no_change and i >= min_iter
                if impatient and state.fall is None:
                    state.fall = _fall(state.best_iteration, i, max_iter)
                    task.restore(state.best)
                if state.fall is not None and i >= state.fall[1]:
                    break
                losses = _run_iteration(task, i, max_iter, state, progress)
                # Recorded at once, so that an interruption leaves whole iterations only.
                state.iterations.append(
                    (losses, task.validation_loss()) if early_stopping else (losses,)
                )
                loss = float(state.iterations[-1][-1].mean())
                progress.show(i + 1, **{"validation_loss" if early_stopping else "loss": loss})
                if tell is not None:
                    telling = True
                    tell(i + 1, *state.iterations[-1])
                    telling = False
                finite = all(np.isfinite(both).all() for both in state.iterations[-1])
                if not finite and not state.roll_back(task):
                    break
                if early_stopping and finite:
                    state.offer(task, loss, i + 1, tol)
                if after_iteration is not None and due():
                    state.task = task.state_dict()
                    after_iteration(state)
        except KeyboardInterrupt:
            if telling:
                raise
            state.interrupted = True
    if np.isinf(state.best_loss):
        state.best, state.best_iteration = task.state(state.best), len(state.iterations)
    whole = all(np.isfinite(both).all() for losses in state.iterations[-1:] for both in losses)
    state.diverged = not whole and np.isinf(state.best_loss)
    task.restore(state.best)
    state.best = state.task = None  # as large as the tables
    return state


class _Progress:
    """A line of 80 characters: time, rows a second, iteration and loss; or nothing."""

    def __init__(
        self, n_rows: float, n_steps: int, max_iter: int, done: int, label: str, verbose: bool
    ) -> None:
        self.max_iter, self._share = max_iter, n_rows / n_steps
        self._bar = tqdm(
            total=max_iter * n_rows,
            initial=done * n_rows,
            unit=" rows",
            unit_scale=True,
            disable=not verbose,
            desc=label,
            bar_format="{desc}: {percentage:3.0f}% [{elapsed}<{remaining}, {rate_fmt}{postfix}]",
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def step(self) -> None:
        """Count the rows of a step."""
        self._bar.update(self._share)

    def show(self, iteration: int, **losses: float) -> None:
        """Show iterations and losses."""
        shown = "".join(f", {name}={loss:.4f}" for name, loss in losses.items())
        self._bar.set_postfix_str(f"{iteration}/{self.max_iter}{shown}")


def _run_iteration(
    task: Task,
    iteration: int,
    max_iter: int,
    state: TrainingState,
    progress: _Progress,
) -> NDArray[np.float64]:
    total: Any = 0.0
    weight: Any = 0.0
    careful = 1.0 if state.exploded is None else _CAREFUL
    steps = iter(task.iteration())
    for k in range(task.n_steps):
        done = iteration + (k + 0.5) / task.n_steps
        task.set_learning_rate(careful * step_size(done, max_iter, state.fall))
        losses, step_weight = next(steps)
        total = total + losses
        weight = weight + step_weight
        progress.step()
    next(steps, None)  # what comes after the last step
    return np.asarray((total / weight).tolist(), dtype=np.float64)


def step_size(done: float, max_iter: int, fall: tuple[int, int, float] | None = None) -> float:
    """Return the step size after so many iterations, as a share of the largest.

    It grows to one in a straight line and falls to `_LAST_STEP`; once patience is over it falls
    from where it was when the loss was lowest.
    """
    if fall is not None:
        start, end, height = fall
        return height * (1 - (1 - _LOWEST) * (done - start) / (end - start))
    warm_up = min(_WARM_UP * max_iter, _LONGEST_WARM_UP)
    if done < warm_up:
        return done / warm_up
    return 1 - (1 - _LAST_STEP) * (done - warm_up) / (max_iter - warm_up)


def _fall(best_iteration: int, iteration: int, max_iter: int) -> tuple[int, int, float]:
    """Return from when to when steps fall, and from which size; late ones are small already."""
    height = step_size(best_iteration, max_iter)  # zero of a state before all steps
    falls = height > 0 and iteration < (1 - _FALL) * max_iter
    n = max(1, round(_FALL * best_iteration)) if falls else 0
    return iteration, min(iteration + n, max_iter), height
