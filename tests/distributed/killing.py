"""A worker is killed while it trains."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from threading import Event, Thread


def children_of(pid: int) -> list[int]:
    """All processes that a process has started, and those that these have."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = [int(child) for child in task.read_text().split()]
        except OSError:  # it has ended
            continue
        for child in children:
            found += [child, *children_of(child)]
    return found


def training_workers() -> list[int]:
    """Workers of Ray Train among the processes that this one has started."""
    found = []
    for pid in children_of(os.getpid()):
        try:
            name = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        if b"RayTrainWorker" in name:
            found.append(pid)
    return sorted(found)


class Killer:
    """Kills one of the workers, some seconds after there are workers and so many checkpoints.

    Use it in ``with``; `killed` is then the worker's process, None where there was no time.
    """

    def __init__(self, folder: Path, n_checkpoints: int = 2, delay: float = 0.0) -> None:
        self.folder, self.n_checkpoints, self.delay = folder, n_checkpoints, delay
        self.killed: int | None = None
        self._ended = Event()
        self._thread = Thread(target=self._run)

    def __enter__(self) -> Killer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        met: set[str] = set()
        while not self._ended.wait(0.005):
            met |= {path.parent.name for path in self.folder.glob("*/checkpoint_*/shared.pt")}
            if len(met) >= self.n_checkpoints and training_workers():
                break
        self._ended.wait(self.delay)
        workers = training_workers()
        if workers and not self._ended.is_set():
            self.killed = workers[-1]
            os.kill(self.killed, signal.SIGKILL)
