"""A cluster that is this process: tasks are calls, and workers are threads."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

import sk_entity_embed.distributed.coding as coding
import sk_entity_embed.distributed.fitting as fitting
from sk_entity_embed.distributed import training
from sk_entity_embed.learning.parting import PartedKeeper
from tests.learning.workers import on_threads


def train_in_threads(ray: Any, job: Any, cluster: Any) -> Any:
    """Do what the workers do, in this process."""

    def work(exchange: Any) -> Any:
        parts = [(ray.get(ref), a, b) for ref, a, b in job.shards.parts[exchange.rank]]
        keeper = PartedKeeper(exchange, 3600.0, None, lambda *_: None)
        return training.train_shard(job, parts, exchange, keeper)

    return on_threads(work, cluster.num_workers)[0]


class Ref:
    """A value that Ray would hold: what is read of it is a copy."""

    def __init__(self, value: Any) -> None:
        self._written = pickle.dumps(value)

    def read(self) -> Any:
        return pickle.loads(self._written)


class InProcess:
    """What a fit needs of Ray."""

    exceptions = SimpleNamespace(RayTaskError=())

    def put(self, value: Any) -> Ref:
        return Ref(value)

    def get(self, given: Any) -> Any:
        return given.read() if isinstance(given, Ref) else [self.get(one) for one in given]

    def remote(self, function: Any = None, *, num_returns: int = 1) -> Any:
        if function is None:
            return lambda function: self.remote(function, num_returns=num_returns)

        def call(*given: Any) -> Any:
            found = function(*(g.read() if isinstance(g, Ref) else g for g in given))
            return Ref(found) if num_returns == 1 else [Ref(one) for one in found]

        return SimpleNamespace(remote=call)


@contextmanager
def in_this_process() -> Iterator[None]:
    """Fit without Ray."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fitting, "train", train_in_threads)
        patch.setattr(fitting, "import_ray", lambda _: InProcess())
        patch.setattr(fitting, "check_machines", lambda *_: 1)
        patch.setattr(coding, "held", lambda references: references[0].read())
        yield
