"""Two things at a time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from threading import Event, get_ident

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from sk_entity_embed.input.threads import together
from sk_entity_embed.learning import learn as module
from sk_entity_embed.learning.crossfit import _Ahead
from tests.learning.problems import KINDS, fit, make_problem
from tests.learning.tasks import make_task


def test_a_failing_body_waits_for_the_task():
    event, done = Event(), []

    def task():
        event.wait(10)
        done.append(1)

    def fail(pool):
        with together(pool, task):
            event.set()
            raise KeyError

    with ThreadPoolExecutor(1) as pool:
        with pytest.raises(KeyError):
            fail(pool)
        assert done == [1]


@pytest.mark.parametrize(
    ("kind", "rows_at_once", "n_heads"),
    [("plain", 2048, 3), ("plain", 4, 2), *((kind, 4, None) for kind in KINDS)],
)
def test_threads_change_no_bit_of_a_training(kind, rows_at_once, n_heads):
    rows, start, config = make_problem(kind, unknown_rate=0.1, dropout=0.3, batch_size=8)
    config = replace(config, n_heads=n_heads or config.n_heads)
    states = []
    for n_threads in (0, 1, 2, 2):
        with ThreadPoolExecutor(max(1, n_threads)) as pool:
            task = make_task(rows, start, config, executor=pool if n_threads else None)
            task.batches._steps_at_once = max(1, 4 * rows_at_once // 16)
            for _ in range(4):
                losses = [loss.tolist() for loss, _ in task.iteration()]
            states.append((losses, [t.numpy().tobytes() for t in task.state()]))
    assert all(state == states[0] for state in states)


def test_rows_are_prepared_one_chunk_ahead_in_the_other_thread_once_asked_for():
    done, threads = [Event() for _ in range(4)], set()

    def chunk(number):
        threads.add(get_ident())
        done[number].set()
        return [number]

    with ThreadPoolExecutor(1) as pool:
        ahead = _Ahead((partial(chunk, number) for number in range(4)), pool)
        steps = iter(ahead)
        assert next(steps) == [0]
        assert not done[1].is_set()
        for _ in range(2):  # asked for by each step
            ahead.prepare()
        assert done[1].wait(10)
        assert not done[2].wait(0.05)
        assert list(steps) == [[1], [2], [3]]
    assert len(threads) == 1
    assert get_ident() not in threads


def test_each_step_asks_for_the_rows_of_the_next():
    task = make_task(*make_problem("plain"))
    task.batches._steps_at_once, prepare, asked = 1, task.batches.steps, []
    task.batches.steps = lambda *given: asked.append(1) or prepare(*given)
    with ThreadPoolExecutor(1) as pool:
        task.executor = pool
        steps = task.iteration()
        for number in range(1, task.n_steps):
            next(steps)
            pool.submit(int).result()  # what was asked for before is done
            assert len(asked) == number + 1


@pytest.mark.parametrize("n_threads", [0, 1])
def test_an_error_of_rows_that_are_prepared_is_raised(n_threads):
    with ThreadPoolExecutor(1) as pool, pytest.raises(ZeroDivisionError):
        list(_Ahead([lambda: [1], lambda: [1 / 0]], pool if n_threads else None))


@pytest.mark.parametrize(
    ("batch_size", "n_threads", "forked", "each"),
    [(4, 4, False, None), (10**6, 1, False, None), (10**6, 4, False, 1), (10**7, 4, False, 2),
     (10**7, 4, True, 1)],
)  # fmt: skip
def test_large_steps_get_a_second_thread(batch_size, n_threads, forked, each, monkeypatch):
    monkeypatch.setattr(module, "is_forked", lambda: forked)
    rows, start, config = make_problem("plain")
    head = make_task(rows, start, config).head
    config = replace(config, batch_size=batch_size)
    with module._THREADS.reduced(1):
        with module._threads(n_threads, head, config, torch.device("cpu")) as executor:
            assert (executor is None) == (each is None)
            assert torch.get_num_threads() == (each or 1)
        assert torch.get_num_threads() == 1


def test_all_work_of_torch_is_done_within_the_threads_given():
    n_threads = []

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
            n_threads.append(torch.get_num_threads())
            return operation(*args, **(kwargs or {}))

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with Watch():
            fit(*make_problem("gru"))
    finally:
        torch.set_num_threads(before)
    assert len(n_threads) > 100
    assert set(n_threads) == {1}


def test_each_thread_gets_its_number_back_whichever_training_ends_first():
    before, started, ended = torch.get_num_threads(), Event(), Event()
    seen = []

    def other():
        with module._THREADS.reduced(1):
            started.set()
            ended.wait(10)
        seen.append(torch.get_num_threads())

    torch.set_num_threads(2)
    try:
        with ThreadPoolExecutor(1) as pool:
            task = pool.submit(other)
            started.wait(10)
            with module._THREADS.reduced(1):
                assert torch.get_num_threads() == 1
            assert torch.get_num_threads() == 2
            ended.set()
            task.result()
        assert seen == [2]
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
