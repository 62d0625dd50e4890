"""Runs of rows on threads."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from sk_entity_embed.input import threads
from sk_entity_embed.input.threads import on_threads, runs


@pytest.mark.parametrize("n_threads", [1, 2, 7])
def test_runs_cover_all_rows_once_and_begin_where_blocks_do(n_threads, monkeypatch):
    monkeypatch.setattr(threads, "_openmp_effective_n_threads", lambda: n_threads)
    for n_rows in (0, 99, 100, 399, 400, 1234):
        found = runs(n_rows, at_least=100)
        rows = np.arange(n_rows)
        assert np.concatenate([rows[run] for run in found]).tolist() == rows.tolist()
        assert len(found) == max(1, min(n_threads, n_rows // 100))
        assert all(run.start % 100 == 0 for run in found)
        assert len(found) == 1 or all(run.stop - run.start >= 100 for run in found)


def test_limits_of_threads_are_kept():
    with threadpool_limits(1):
        assert runs(10**6, at_least=1) == [slice(0, 10**6)]


def test_work_is_done_on_a_thread_for_each_run():
    meeting, seen = threading.Barrier(3, timeout=30), []

    def work(run):
        meeting.wait()  # all three are at work at once
        seen.append(run.start)

    on_threads(work, [slice(0, 1), slice(1, 2), slice(2, 3)])
    assert sorted(seen) == [0, 1, 2]

    def fail(run):
        if run.start == bad:
            raise ValueError(f"rows from {bad}")

    for bad in (0, 2):
        with pytest.raises(ValueError, match=f"rows from {bad}"):
            on_threads(fail, [slice(0, 1), slice(1, 2), slice(2, 3)])
