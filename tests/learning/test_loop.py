"""The loop, driven by a task without a network."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import pytest

from sk_entity_embed.learning import loop
from sk_entity_embed.learning.loop import TrainingState, step_size, train


class FakeTask:
    """A task whose state is the number of its finished iterations.

    Parameters
    ----------
    validation : sequence
        Validation losses, the one before training first.
    interrupt : tuple of (str, int)
        A place, "iteration" or "validation", and the iteration in which Ctrl-C is pressed there.
    """

    n_steps = 2

    def __init__(self, validation=(), interrupt=(None, 0)):
        self.validation = [np.atleast_1d(np.array(v, dtype=float)) for v in validation]
        self.interrupt = interrupt
        self.n_iterations = 0
        self.restored, self.all_restored = "nothing", []
        self.factors = []
        self.n_validations = 0
        self.resets = []  # the iterations before each

    def iteration(self):
        yield np.array([2.0, 4.0]), 1.0
        if self.interrupt == ("iteration", self.n_iterations + 1):
            raise KeyboardInterrupt
        self.n_iterations += 1
        yield np.array([6.0, 0.0]), 3.0

    def validation_loss(self):
        self.n_validations += 1
        if self.interrupt == ("validation", self.n_iterations):
            raise KeyboardInterrupt
        return self.validation[self.n_iterations]

    def state(self, into=None):
        return self.n_iterations

    def restore(self, state):
        self.restored = state
        self.all_restored.append(state)

    def reset(self):
        self.resets.append(self.n_iterations)

    def set_learning_rate(self, factor):
        self.factors.append(factor)

    def state_dict(self):
        return {}

    def load_state_dict(self, state):
        assert state == {}


def run(task, **changes):
    """Train with settings that stop after three iterations without improvement."""
    settings = {
        "max_iter": 10,
        "early_stopping": True,
        "n_iter_no_change": 3,
        "tol": 1e-4,
        "verbose": False,
    }
    return train(task, **{**settings, **changes})


def test_when_patience_runs_out_training_goes_on_from_the_best_state_with_smaller_steps():
    losses = [9, 8, 7, 6, 5, 4, 3, 2, 2.5, 2.1, 2.2, 2.3, 1.9, 1, 1]
    task = FakeTask([*losses, *[1] * 100])
    history = run(task, max_iter=100)
    # the best after 7; patience is over after 10, and a fifth of 7 iterations follows
    assert task.n_iterations == 11
    assert [v.item() for v in history.validation_losses] == losses[1:12]
    assert task.all_restored == [7, 7]
    assert (history.best_iteration, history.fall) == (7, (10, 11, step_size(7, 100)))
    assert not history.interrupted
    task = FakeTask([*range(100, 80, -1), *[90] * 3, 82, 83, 70, 71, 60, *[60] * 99])
    history = run(task, max_iter=100)
    # patience is not asked for again, and what is better in the end is kept
    assert history.fall == (22, 26, step_size(19, 100))
    assert task.n_iterations == 26
    assert (history.best_iteration, task.all_restored) == (25, [19, 25])


def test_late_in_a_training_steps_are_small_already():
    task = FakeTask([9, *range(8, 0, -1), *[1.5] * 5])
    history = run(task, n_iter_no_change=1)
    assert task.n_iterations == 9
    assert task.all_restored == [8, 8]
    assert history.best_iteration == 8


def test_as_many_iterations_as_asked_for_are_run_in_any_case():
    task = FakeTask([9, 3, 2, 2.5, 2.1, 2.2, 1.5, 3, 3, 3, 3])
    assert run(task, min_iter=7).best_iteration == 6
    assert task.n_iterations == 9


def test_an_improvement_renews_the_patience():
    task = FakeTask([9, 3, 4, 4, 2, 4, 4, 1, 4, 4, 4])
    history = run(task)
    assert task.n_iterations == 10
    assert history.best_iteration == task.restored == 7


def test_small_improvements_are_kept_but_do_not_renew_the_patience():
    task = FakeTask([9, 1.0, 0.999, 0.998, 0.997, 0.996, 0.1, 0, 0, 0, 0])
    history = run(task, tol=0.01)
    assert history.fall[:2] == (4, 5)
    assert task.n_iterations == history.best_iteration == task.restored == 5


@pytest.mark.parametrize(("scale", "sign"), [(1e-9, 1), (1e9, -1)])
def test_tol_is_relative(scale, sign):
    losses = [scale * (sign * 100 - 5 * i) for i in range(11)]
    assert run(task := FakeTask(losses), tol=0.03).best_iteration == task.n_iterations == 10
    assert run(FakeTask(losses), tol=0.2).fall[0] == 4


def test_outputs_are_averaged_to_decide():
    task = FakeTask([[9, 9], [3, 1], [1, 2], [0, 4], [0, 4], [0, 4], [0, 4]])
    assert run(task).best_iteration == 2


def test_losses_of_an_iteration_are_weighted_means():
    history = run(FakeTask([1] * 3), max_iter=2)
    assert [v.tolist() for v in history.losses] == [[2.0, 1.0], [2.0, 1.0]]


def test_all_iterations_are_run_without_early_stopping():
    task = FakeTask()
    history = run(task, early_stopping=False, baseline=True)
    assert task.n_iterations == history.best_iteration == len(history.losses) == 10
    assert task.n_validations == 0
    assert task.restored == 10
    assert history.validation_losses == []


@pytest.mark.parametrize(("interrupt", "best"), [(("validation", 4), 2), (("iteration", 2), 1)])
def test_an_interruption_keeps_the_best_state(interrupt, best):
    task = FakeTask([9, 3, 2, 4, 1, 1], interrupt)
    history = run(task)
    assert history.interrupted
    assert history.best_iteration == task.restored == best
    assert len(history.validation_losses) == interrupt[1] - 1
    assert len(history.losses) == len(history.validation_losses)


@pytest.mark.parametrize(("early_stopping", "n"), [(True, 0), (False, 2)])
def test_an_interruption_without_a_best_state_keeps_the_current_one(early_stopping, n):
    task = FakeTask([9, 3], ("iteration", n + 1))
    history = run(task, early_stopping=early_stopping)
    assert history.interrupted
    assert history.best_iteration == len(history.losses) == task.restored == n


def test_the_state_at_the_start_may_be_the_best():
    losses = [5, 6, 7, 8, 1, 2, 2, 2, 2]
    task = FakeTask(losses)
    history = run(task, baseline=True)
    assert (history.best_iteration, task.restored, task.n_iterations) == (0, 0, 3)
    task = FakeTask(losses)
    history = run(task, baseline=False)
    assert (history.best_iteration, task.restored) == (4, 4)
    assert len(history.validation_losses) == task.n_validations == 8


def test_an_interruption_before_any_iteration_leaves_a_record_of_none():
    task = FakeTask([9, 3], ("validation", 0))  # of the state that training goes on from
    history = run(task, baseline=True)
    assert history.interrupted
    assert (history.losses, history.validation_losses, task.restored) == ([], [], 0)


def test_an_interruption_between_an_iterations_end_and_its_record_leaves_whole_ones(monkeypatch):
    class Bar:
        """A progress bar that Ctrl-C is pressed in, once the first iteration is done."""

        def __init__(self, **settings): ...
        def close(self): ...
        def update(self, n): ...
        def set_postfix_str(self, shown):
            raise KeyboardInterrupt

    monkeypatch.setattr(loop, "tqdm", Bar)
    history = run(task := FakeTask([9, 3, 2]))
    assert history.interrupted
    assert len(history.losses) == len(history.validation_losses) == history.best_iteration == 1
    assert task.restored == 1


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_training_that_explodes_goes_back_once_and_on_with_a_quarter_of_the_step(value):
    task, calm = (FakeTask([9, 3, 2, v, 1, 1.5, 0.9, 0.5, 1, 1, 1]) for v in (value, 2.5))
    history = run(task)
    run(calm)
    assert (task.all_restored, task.resets) == ([2, 7], [3])
    assert (history.exploded, history.best_iteration, history.diverged) == (3, 7, False)
    assert len(history.iterations) == task.n_iterations == 10
    assert task.factors[:6] == calm.factors[:6]
    assert task.factors[6:] == [0.25 * factor for factor in calm.factors[6:]]
    # patience begins anew: that of a training that was about to end, too
    assert run(FakeTask([9, 1, 2, 2, value, 2, 2, 0.5, 1, 1, 1])).best_iteration == 7


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_the_second_explosion_ends_the_training_at_the_best_state(value):
    task = FakeTask([9, 3, 2, value, 1, value, 0.5])
    history = run(task)
    assert task.n_iterations == 5
    assert (history.exploded, history.best_iteration, task.restored) == (3, 4, 4)
    assert not history.diverged


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_without_a_finite_state_to_go_back_to_training_has_diverged(value):
    assert run(task := FakeTask([9, value, value, 1])).diverged
    assert (task.n_iterations, task.all_restored[0]) == (2, 0)
    assert run(FakeTask([9, value]), max_iter=1).diverged
    assert not run(FakeTask([9, value, value, 1]), baseline=True).diverged
    task = FakeTask([9, value, *[1] * 9])
    assert (run(task).exploded, task.all_restored[0]) == (1, 0)  # from the start once more
    task = FakeTask()
    task.iteration = lambda: iter([(np.array([value]), 1.0)] * 2)
    assert run(task, early_stopping=False).diverged
    assert task.resets == []  # there is no state to go back to


def test_a_training_loss_that_is_not_finite_is_an_explosion_too():
    class Exploding(FakeTask):
        def iteration(self):
            for losses, weight in super().iteration():
                yield losses + (np.inf if self.n_iterations == 2 else 0.0), weight

    history = run(task := Exploding([9, 3, 1, 2, 2, 2, 2]))
    assert (history.exploded, history.best_iteration, task.resets) == (2, 1, [2])


def test_steps_grow_to_the_largest_and_then_fall_in_a_straight_line():
    task = FakeTask()
    run(task, early_stopping=False)
    progress = (np.arange(20) + 0.5) / 20  # the middle of each of two steps an iteration
    np.testing.assert_allclose(task.factors, np.interp(progress, [0, 0.1, 1], [0, 1, 0.2]))
    assert step_size(1, 10) == pytest.approx(1.0)
    assert step_size(30, 30) == pytest.approx(0.2)


def test_steps_of_the_fall_begin_at_the_size_of_the_best_state():
    task = FakeTask([*range(200, 180, -1), *[190] * 200])
    fall = run(task, max_iter=100).fall
    assert fall == (22, 26, step_size(19, 100))
    done = np.arange(22, 26, 0.5) + 0.25
    expected = step_size(19, 100) * np.interp(done, [22, 26], [1.0, 0.1])
    np.testing.assert_allclose(task.factors[44:], expected)


def test_the_state_is_asked_for_where_it_is_due():
    class Asked(FakeTask):
        n_asked = 0

        def state_dict(self):
            self.n_asked += 1
            return {}

    task, given, due = Asked([1] * 11), [], iter([False, True, False, True])
    keep = lambda state: given.append(len(state.iterations))  # noqa: E731
    run(task, max_iter=4, after_iteration=keep, due=lambda: next(due))
    assert (given, task.n_asked) == ([2, 4], 2)


@pytest.mark.parametrize("explodes", [False, True])
def test_a_training_that_goes_on_takes_the_steps_of_one_without_a_stop(explodes):
    losses = [*range(200, 180, -1), *[190] * 200]
    losses[20] = np.nan if explodes else losses[20]
    for stop in (4, 20, 21, 22, 24):  # before steps fall, and as they do
        whole, stopped = FakeTask(losses), []
        run(whole, max_iter=100)

        def stop_there(state, stop=stop, stopped=stopped):
            if len(state.iterations) == stop:
                stopped.append(TrainingState.of(deepcopy(state.state_dict())))
                raise KeyboardInterrupt

        run(FakeTask(losses), max_iter=100, after_iteration=stop_there)
        rest = FakeTask(losses)
        rest.n_iterations = stop
        history = run(rest, max_iter=100, state=stopped[0])
        assert rest.factors == whole.factors[2 * stop :]
        assert (rest.n_iterations, history.best_iteration) == (whole.n_iterations, 19)
        assert history.fall == (22 + explodes, 26 + explodes, step_size(19, 100))
        assert len(history.losses) == whole.n_iterations == 26 + explodes


def test_a_progress_bar_counts_rows_and_shows_the_validation_loss_when_asked_for(capfd):
    run(FakeTask([1] * 11), verbose=False)
    assert capfd.readouterr() == ("", "")
    run(FakeTask([9, 3, 2, 1.25]), verbose=True, max_iter=3, n_rows=5_000, label="vectors")
    shown = capfd.readouterr().err.rpartition("\r")[2]
    for part in ("vectors: 100%", " rows/s", ", 3/3, validation_loss=1.2500]"):
        assert part in shown
    assert len(shown.strip()) <= 80
    state = TrainingState(iterations=[(np.ones(1), np.ones(1))] * 2)  # two of three are done
    run(FakeTask([9, 3, 2, 1.25]), verbose=True, max_iter=3, n_rows=5_000, state=state)
    shown = capfd.readouterr().err
    assert "vectors:  67% [" in shown.replace("embeddings", "vectors")
    assert " 100% [" in shown
    assert ", 3/3, " in shown.rpartition("\r")[2]


def test_an_interrupt_while_a_state_is_copied_leaves_a_whole_one():
    class Copying(FakeTask):
        """Its state is a list of two numbers, and Ctrl-C is pressed between them, once."""

        pressed = False

        def state(self, into=None):
            into = [None, None] if into is None else into
            into[0] = self.n_iterations
            if self.n_iterations == 3 and not self.pressed:
                self.pressed = True
                raise KeyboardInterrupt
            into[1] = self.n_iterations
            return into

    task = Copying(validation=[9, 8, 7, 6, 5])
    history = run(task)
    assert history.interrupted
    assert task.restored == [3, 3]
    assert history.best_iteration == len(history.losses) == 3
