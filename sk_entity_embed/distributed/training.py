"""What each worker of a training does, and how the driver starts them."""

from __future__ import annotations

import os
import pickle
import shutil
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from sk_entity_embed.distributed.coding import Coded, training_rows
from sk_entity_embed.exceptions import EntityEmbedError, InvalidParameterError
from sk_entity_embed.learning.problem import Floats, StartingPoint, TrainingConfig, TrainingResult
from sk_entity_embed.learning.sharding import Told

if TYPE_CHECKING:
    from sk_entity_embed.learning.exchange import Exchange
    from sk_entity_embed.learning.parting import PartedKeeper

_RESULT = "result.pickle"


@dataclass(frozen=True, slots=True)
class Cluster:
    """What a training takes of the cluster; the names are those of :func:`fit`."""

    num_workers: int
    use_gpu: bool
    resources_per_worker: Mapping[str, float] | None
    storage_path: str | None
    max_failures: int
    checkpoint_interval: float


@dataclass(frozen=True, slots=True)
class Shards:
    """The rows of all workers: for each, parts of coded pieces, as (reference, start, stop)."""

    parts: Sequence[Sequence[tuple[Any, int, int]]]
    n_samples: int
    n_tables: int
    n_rows: Sequence[int]
    mean_weight: float
    withholds: bool


@dataclass(frozen=True, slots=True)
class Job:
    """All that a worker is given beside its rows."""

    tables: list[Floats]
    start: StartingPoint
    config: TrainingConfig
    shards: Shards
    interval: float
    n_told: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the workers found, or the error that all of them met.

    `n_bytes` are what each worker has sent since it was started last, in `n_steps` steps.
    """

    tables: list[Floats] | None
    result: TrainingResult | None
    told: Told | None
    error: EntityEmbedError | None
    n_bytes: int = 0


def divide(references: Sequence[Any], sizes: Sequence[int], n_workers: int) -> list[Any]:
    """Deal rows to workers: neighbours, as many to each, but for one."""
    total = sum(sizes)
    edges = [total * k // n_workers for k in range(n_workers + 1)]
    shards: list[list[tuple[Any, int, int]]] = [[] for _ in range(n_workers)]
    first = 0
    for reference, n in zip(references, sizes, strict=True):
        for k, shard in enumerate(shards):
            start, stop = max(edges[k], first), min(edges[k + 1], first + n)
            if start < stop:
                shard.append((reference, start - first, stop - first))
        first += n
    return shards


def train(ray: Any, job: Job, cluster: Cluster) -> Outcome:
    """Train on workers of the cluster, and return what they found.

    Their checkpoints are removed at the end, unless the training fails.
    """
    from ray.train import CheckpointConfig, FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig, TorchTrainer

    shards, resources = job.shards, cluster.resources_per_worker
    own = None
    if cluster.storage_path is None:
        own = tempfile.mkdtemp(prefix="sk_entity_embed-")
    given = {"job": [ray.put(replace(job, shards=replace(shards, parts=[])))]}
    trainer = partial(
        TorchTrainer,
        work,
        train_loop_config={**given, "shards": shards.parts},
        scaling_config=ScalingConfig(
            num_workers=cluster.num_workers,
            use_gpu=cluster.use_gpu,
            resources_per_worker=None if resources is None else dict(resources),
        ),
        run_config=RunConfig(
            name=f"sk_entity_embed-{uuid4().hex}",
            storage_path=cluster.storage_path or own,
            failure_config=FailureConfig(max_failures=cluster.max_failures),
            checkpoint_config=CheckpointConfig(num_to_keep=1),
        ),
        torch_config=TorchConfig(backend="cpu:gloo,cuda:nccl" if cluster.use_gpu else "gloo"),
    )
    try:
        found = _persist(ray, trainer, cluster.max_failures)
        with found.checkpoint.as_directory() as folder:
            outcome: Outcome = _read(folder)
        if own is None:
            found.filesystem.delete_dir(found.path)
    finally:
        if own is not None:
            shutil.rmtree(own, ignore_errors=True)
    return outcome


@contextmanager
def _own_signals() -> Iterator[None]:
    """Give Ctrl-C back to this process: Ray keeps it after the end of a training."""
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread() and before is not None:
            signal.signal(signal.SIGINT, before)


def _persist(ray: Any, trainer: Callable[[], Any], max_failures: int) -> Any:
    """Run a training, and again if workers die while they are started, which Ray gives up at.

    A run of the same name goes on from the last checkpoint.
    """
    for left in reversed(range(max_failures + 1)):
        try:
            with _own_signals():
                return trainer().fit()
        except ray.train.ControllerError as error:
            died = isinstance(error.controller_failure, ray.exceptions.RayError)
            if left == 0 or not died:
                raise


def work(given: Mapping[str, Any]) -> None:
    """Train on the rows of one worker, from the last checkpoint on, if there is one."""
    import ray
    import ray.train.torch
    from ray import train as running

    from sk_entity_embed.learning.exchange import ProcessGroup
    from sk_entity_embed.learning.parting import PartedKeeper

    job: Job = ray.get(given["job"][0])
    if job.config.device == "cuda":  # the one of this worker, of all that its machine has
        device = str(running.torch.get_device())
        job = replace(job, config=replace(job.config, device=device))
    last = running.get_checkpoint()
    with tempfile.TemporaryDirectory(prefix="sk_entity_embed-") as folder:
        if last is not None:
            last.to_directory(folder)
            if os.path.exists(os.path.join(folder, _RESULT)):  # all but the end was done
                return
        exchange = ProcessGroup()
        before = None if last is None else folder
        keeper = PartedKeeper(exchange, job.interval, before, _report)
        own = given["shards"][exchange.rank]
        coded = ray.get([reference for reference, _, _ in own])
        parts = [(rows, a, b) for rows, (_, a, b) in zip(coded, own, strict=True)]
        del coded
        outcome = train_shard(job, parts, exchange, keeper)
    with tempfile.TemporaryDirectory(prefix="sk_entity_embed-") as folder:
        if exchange.rank > 0:
            _report(None, {})
            return
        with open(os.path.join(folder, _RESULT), "wb") as file:
            pickle.dump(outcome, file, protocol=pickle.HIGHEST_PROTOCOL)
        _report(folder, {"bytes_sent": outcome.n_bytes})


def train_shard(
    job: Job, parts: list[tuple[Coded, int, int]], exchange: Exchange, keeper: PartedKeeper
) -> Outcome:
    """Train with other workers, each on rows of its own, which are taken over."""
    from sk_entity_embed.learning.learn import learn
    from sk_entity_embed.learning.sharding import Shard

    shards = job.shards
    own = training_rows(parts, shards.n_tables, shards.n_rows, shards.mean_weight, shards.withholds)
    parts.clear()
    rows = Shard(own, exchange)
    tables = [table.copy() for table in job.tables]  # what Ray gives cannot be written to
    config = replace(job.config, verbose=job.config.verbose and exchange.rank == 0)
    try:
        result = learn(tables, rows, job.start, config, keeper, exchange=exchange)
    except EntityEmbedError as error:  # of all workers alike: none need try again
        return Outcome(None, None, None, error)
    n_bytes = exchange.n_bytes
    return Outcome(tables, result, Told.by(rows, job.n_told), None, n_bytes)


def check(cluster: Cluster, n_machines: int, device: str) -> str:
    """Refuse what does not go together; return the device of the workers."""
    if cluster.num_workers < 1:
        raise InvalidParameterError(f"`num_workers` must be at least 1, got {cluster.num_workers}.")
    if cluster.storage_path is None and n_machines > 1:
        raise InvalidParameterError(
            f"The cluster has {n_machines} machines. Give `storage_path` a folder that all of "
            "them see, such as one in a shared file system or 's3://bucket/folder', for "
            "checkpoints and the result."
        )
    on_gpu = device == "cuda" or device.startswith("cuda:")
    if on_gpu and not cluster.use_gpu:
        raise InvalidParameterError(
            f"The estimator has device={device!r}, but workers get no GPU; set use_gpu=True."
        )
    if device == "cpu" and cluster.use_gpu:
        raise InvalidParameterError(
            "use_gpu=True, but the estimator has device='cpu'; set device='auto'."
        )
    return "cuda" if cluster.use_gpu else "cpu"


def _report(folder: str | None, numbers: Mapping[str, Any]) -> None:
    from ray import train as running

    checkpoint = None if folder is None else running.Checkpoint.from_directory(folder)
    running.report(dict(numbers), checkpoint=checkpoint)


def _read(folder: str) -> Outcome:
    with open(os.path.join(folder, _RESULT), "rb") as file:
        outcome: Outcome = pickle.load(file)
    return outcome
