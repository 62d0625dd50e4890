"""Runs of rows on several threads, for work that lets go of Python's lock.

Results must not depend on how many threads there are: each run writes to rows of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import TypeVar

from sklearn.utils._openmp_helpers import _openmp_effective_n_threads

_FORKED = 0x40
"""Linux's mark of a process that was forked and has started no program of its own."""


def runs(n_rows: int, at_least: int) -> list[slice]:
    """Divide rows into a run for each thread, of about equal length and `at_least` so many rows.

    Threads are limited as scikit-learn's own are: ``OMP_NUM_THREADS``, the share of the processors,
    threadpoolctl, joblib's workers. Each run starts at a multiple of `at_least`.
    """
    blocks = max(1, n_rows // at_least)
    n = min(blocks, _openmp_effective_n_threads()) if blocks > 1 else 1
    edges = [at_least * (blocks * i // n) for i in range(n)] + [n_rows]
    return [slice(edges[i], edges[i + 1]) for i in range(n)]


def on_threads(work: Callable[[slice], object], rows: Sequence[slice]) -> None:
    """Call a function with each run of rows, every one on a thread of its own."""
    if len(rows) == 1:
        work(rows[0])
        return
    with ThreadPoolExecutor(len(rows) - 1) as pool:
        others = [pool.submit(work, run) for run in rows[1:]]
        work(rows[0])
        for other in others:
            other.result()


def is_forked() -> bool:
    """Whether this process is a fork, in which GNU's OpenMP waits for lost threads forever."""
    try:
        with open("/proc/self/stat", encoding="utf-8", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()  # after the name of the program
    except OSError:
        return False
    return bool(int(fields[6]) & _FORKED)


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
