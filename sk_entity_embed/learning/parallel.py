"""Two things at a time, or one after the other where there is no second thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, wait
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")


def submit(executor: Executor | None, task: Callable[[], T]) -> Future[T]:
    """Start a task in another thread, or run it now if there is none."""
    if executor is not None:
        return executor.submit(task)
    future: Future[T] = Future()
    future.set_result(task())
    return future


@contextmanager
def together(executor: Executor | None, task: Callable[[], T]) -> Iterator[Future[T]]:
    """Run a task beside the body, and wait for it, even if the body fails."""
    other = submit(executor, task)
    try:
        yield other
    finally:
        try:
            wait([other])
        except KeyboardInterrupt:  # nothing may go on in the background
            wait([other])
            raise
