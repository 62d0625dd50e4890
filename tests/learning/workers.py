"""Workers of a test: threads that exchange tensors in memory, or processes that do so by gloo."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier
from typing import Any

import numpy as np
import torch

from sk_entity_embed.learning.problem import TrainingRows


class InMemory:
    """An exchange between threads."""

    def __init__(self, rank: int, places: list[Any], barrier: Barrier) -> None:
        self.rank, self.n_workers, self.n_bytes = rank, len(places), 0
        self._places, self._barrier = places, barrier

    def gather_objects(self, value: Any) -> list[Any]:
        self._places[self.rank] = value
        self._barrier.wait(60)
        found = list(self._places)
        self._barrier.wait(60)
        return found

    def gather(self, tensor: torch.Tensor) -> list[torch.Tensor]:
        return self.gather_objects(tensor.clone())

    def sum(self, tensor: torch.Tensor) -> torch.Tensor:
        first, *others = self.gather(tensor)
        for other in others:
            first = first + other
        return tensor.copy_(first)


def on_threads(work: Callable[[InMemory], Any], n_workers: int = 2) -> list[Any]:
    """Results of workers, by rank."""
    places, barrier = [None] * n_workers, Barrier(n_workers)

    def run(rank: int) -> Any:
        try:
            return work(InMemory(rank, places, barrier))
        except BaseException:
            barrier.abort()
            raise

    with ThreadPoolExecutor(n_workers) as pool:
        return list(pool.map(run, range(n_workers)))


def on_processes(code: str, n_workers: int, folder: Any) -> None:
    """Run code in processes of one group; it finds `exchange` and `folder`."""
    start = f"""
import sys
import torch
from torch import distributed
rank, n_workers, folder = int(sys.argv[1]), {n_workers}, sys.argv[2]
distributed.init_process_group(
    "gloo", init_method=f"file://{{folder}}/meeting", rank=rank, world_size=n_workers
)
from sk_entity_embed.learning.exchange import ProcessGroup
exchange = ProcessGroup()
{code}
distributed.destroy_process_group()
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    running = [
        subprocess.Popen([sys.executable, "-c", start, str(rank), str(folder)], env=environment)
        for rank in range(n_workers)
    ]
    assert [process.wait(120) for process in running] == [0] * n_workers


def parts_of(rows: TrainingRows, sizes: list[int]) -> list[TrainingRows]:
    """Rows divided among workers, who know nothing of each other's."""
    places = np.split(np.arange(rows.n_samples), np.cumsum(sizes)[:-1])
    return [replace(rows.take(at), seen_by_all=None) for at in places]
