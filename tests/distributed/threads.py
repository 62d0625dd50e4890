"""Workers of a fit as threads of this process, which start at once."""

from __future__ import annotations

from typing import Any

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
