"""The one seam between NumPy and torch: arrays in, arrays out."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import closing, contextmanager
from threading import Lock, local
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sk_entity_embed._progress import tqdm
from sk_entity_embed.exceptions import InvalidParameterError
from sk_entity_embed.input.threads import is_forked
from sk_entity_embed.learning.batches import TrainingSet
from sk_entity_embed.learning.checkpoints import Keeper
from sk_entity_embed.learning.crossfit import CrossFitting
from sk_entity_embed.learning.exchange import Exchange
from sk_entity_embed.learning.heads import TORCH_HEADS, HeadShape, TorchHead
from sk_entity_embed.learning.lookup import EmbeddingBank
from sk_entity_embed.learning.loop import train
from sk_entity_embed.learning.parting import PartedKeeper
from sk_entity_embed.learning.poolings import TORCH_POOLINGS, TorchPooling
from sk_entity_embed.learning.problem import (
    Floats,
    Rows,
    StartingPoint,
    Tell,
    TrainingConfig,
    TrainingResult,
)
from sk_entity_embed.model.heads import heads_of_folds

Float64 = NDArray[np.float64]

_SHARED_PRODUCTS = 8_000_000
"""Multiplications of a forward pass from which on a second thread pays."""


def learn(
    tables: list[Floats],
    rows: Rows,
    start: StartingPoint,
    config: TrainingConfig,
    keeper: Keeper | PartedKeeper | None = None,
    tell: Tell | None = None,
    *,
    exchange: Exchange | None = None,
) -> TrainingResult:
    """Train tables and head, perhaps with other workers, each on a :class:`Shard` of the rows.

    The `tables`, of shape (n_tables, n_rows, width) each, are taken over: in the list they are
    replaced by trained ones, perhaps in their memory. The `keeper` gives the state to go on from,
    and keeps later ones. Each iteration is told to `tell`; what that raises is raised here.

    Raises
    ------
    InvalidParameterError
        If the device does not exist, or training diverged.
    """
    # Whatever the caller has set. All of torch's work is in here: what it shares out among threads
    # never returns in a forked process, for torch's threads are not forked with it.
    with torch.inference_mode(False), torch.enable_grad(), _THREADS.reduced(1) as n_threads:
        generator = torch.Generator(device=_device(config.device)).manual_seed(config.seed)
        bank = EmbeddingBank([torch.as_tensor(t, device=generator.device) for t in tables])
        head, pools = _build(bank.widths, rows, start, config, generator)
        if config.branch is not None:
            generator.manual_seed(config.branch)
        # What is drawn ahead of its time has a generator of its own.
        batches = TrainingSet(rows, config, start.shrinks, _branch(generator))
        with (
            closing(batches),
            _threads(n_threads, head, config, generator.device) as executor,
        ):
            task = CrossFitting(
                batches,
                bank,
                head,
                pools,
                _fixed_entries(tables, start, config, generator.device),
                config,
                generator,
                continued=start.head is not None,
                executor=executor,
                exchange=exchange,
            )
            if exchange is not None:  # from here on each worker draws for itself
                for own in (generator, batches.generator):
                    _diverge(own, exchange.rank)
            kept = {} if keeper is None else _kept(keeper, generator.device, config)
            state = train(
                task,
                max_iter=config.max_iter,
                min_iter=config.min_iter,
                early_stopping=config.early_stopping,
                n_iter_no_change=config.n_iter_no_change,
                tol=config.tol,
                verbose=config.verbose,
                n_rows=batches.n_rows_an_iteration,
                label=config.label,
                baseline=start.head is not None,
                tell=tell,
                **kept,
            )
        if state.diverged or not _finite(task.average.parameters):
            if keeper is not None:
                keeper.forget()
            raise InvalidParameterError(
                "Training diverged: the loss is no longer finite. Lower `learning_rate_init` or "
                "`alpha`, or look for extreme values in y and sample_weight."
            )
        if keeper is not None and not state.interrupted:
            keeper.end(state, [*task.average.parameters])
        tables[:] = [w.cpu().numpy().reshape(rows.n_tables, -1, w.shape[1]) for w in bank.weights]
        return TrainingResult(
            head=head.to_numpy(),
            poolings=tuple(None if pool is None else pool.to_numpy() for pool in pools),
            loss_curve=np.array(state.losses, dtype=np.float64),
            validation_loss_curve=(
                np.array(state.validation_losses) if config.early_stopping else None
            ),
            best_iteration=state.best_iteration,
            interrupted=state.interrupted,
            used_up=len(state.iterations) == config.max_iter and state.fall is None,
            exploded=state.exploded,
        )


def _build(
    widths: Sequence[int],
    rows: Rows,
    start: StartingPoint,
    config: TrainingConfig,
    generator: torch.Generator,
) -> tuple[TorchHead, list[TorchPooling | None]]:
    """Return head and poolings, new ones or those to go on from."""
    folds = heads_of_folds(rows.n_tables, config.n_heads)
    head = TORCH_HEADS[config.head](
        HeadShape(widths, rows.n_context, config.n_heads, folds), config, generator
    )
    if start.head is not None:
        head.set_from(start.head)
    elif (outputs := _start_outputs(rows, config)) is not None:
        head.start_at(outputs)
    pools = []
    for kind, earlier, width in zip(config.poolings, start.poolings, widths, strict=True):
        pool = None if kind is None else TORCH_POOLINGS[kind](width, generator)
        if pool is not None and earlier is not None:
            pool.set_from(earlier)
        pools.append(pool)
    return head, pools


def _kept(
    keeper: Keeper | PartedKeeper, device: torch.device, config: TrainingConfig
) -> dict[str, Any]:
    """Return where the loop goes on from, and how it keeps its state."""
    state = keeper.load(device)
    if state is not None and config.verbose:
        n = len(state.iterations)
        said = f"{config.label}: goes on after {n} iteration(s), from {str(keeper.path)!r}"
        tqdm.write(said, file=sys.stderr)
    return {"state": state, "after_iteration": keeper.save, "due": keeper.due}


def _finite(values: Sequence[torch.Tensor]) -> bool:
    return all(bool(torch.isfinite(v).all()) for v in values)


class _Threads:
    """Torch's threads while trainings run.

    Torch keeps a number for each thread of Python's, and gives new ones the last that was set. Of
    several concurrent trainings, the first finds what the caller had set, and each that ends gives
    it back to its own thread.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._n_users = 0
        self._before = 1
        self._own = local()

    @contextmanager
    def reduced(self, n: int) -> Iterator[int]:
        """Let each operation use so many; gives how many it could use before."""
        depth = getattr(self._own, "depth", 0)
        with self._lock:
            found = torch.get_num_threads()
            if self._n_users == 0:
                self._before = found
            before = found if depth else self._before
            self._n_users += 1
            self._own.depth = depth + 1
            torch.set_num_threads(n)
        try:
            yield found
        finally:
            with self._lock:
                self._n_users -= 1
                self._own.depth = depth
                torch.set_num_threads(before)


_THREADS = _Threads()


@contextmanager
def _threads(
    n: int, head: TorchHead, config: TrainingConfig, device: torch.device
) -> Iterator[Executor | None]:
    """Threads beside this one, of `n` in all, if they pay.

    Small products gain nothing from a second thread, and on a busy machine each step would wait
    for it. Parts of a step side by side gain more than operations that are shared out one by one.
    """
    products = config.batch_size * head.n_products
    if n == 1 or device.type != "cpu" or products < _SHARED_PRODUCTS:
        yield None
        return
    each = n // 2 if products >= 8 * _SHARED_PRODUCTS and not is_forked() else 1
    with _THREADS.reduced(each), ThreadPoolExecutor(1) as executor:
        yield executor


def _device(name: str) -> torch.device:
    if name == "auto":  # a process that was forked from one that used the GPU cannot use it
        usable = torch.cuda.is_available() and not torch.cuda._is_in_bad_fork()
        return torch.device("cuda" if usable else "cpu")
    try:
        device = torch.device(name)
        # "meta" holds no numbers, "mps" none of 64 bits
        torch.ones(1, device=device, dtype=torch.float64).item()
    except (RuntimeError, AssertionError, NotImplementedError, TypeError) as error:
        raise InvalidParameterError(
            f"device={name!r} cannot be used: {error}. Use 'auto' or 'cpu'."
        ) from error
    return device


def _branch(generator: torch.Generator) -> torch.Generator:
    """Return a generator of its own draws, seeded by another."""
    seed = torch.randint(2**62, (1,), generator=generator, device=generator.device)
    return torch.Generator(device=generator.device).manual_seed(int(seed.item()))


def _diverge(generator: torch.Generator, rank: int) -> None:
    """Let the first worker's draws go on, and those of others begin anew."""
    if rank > 0:
        seeds = np.random.SeedSequence((generator.initial_seed(), rank))
        generator.manual_seed(int(seeds.generate_state(1, np.uint64)[0] >> 2))


def _start_outputs(rows: Rows, config: TrainingConfig) -> Float64 | None:
    """Return the outputs that suit all rows that teach the head alike; None where they are zero."""
    mean, _ = rows.mean_target()
    return config.loss.constant(mean[None], np.ones(1))


def _fixed_entries(
    tables: Sequence[Floats], start: StartingPoint, config: TrainingConfig, device: torch.device
) -> list[torch.Tensor | None]:
    """Return fixed entries of the stacked tables, None where all may change."""
    masks: list[torch.Tensor | None] = []
    for table, fixed in zip(tables, start.fixed, strict=True):
        n_tables, _, width = table.shape
        mask = np.repeat(np.tile(fixed, n_tables)[:, None], width, axis=1)
        if config.head.biased:
            mask[:, -1] = False
        masks.append(torch.as_tensor(mask, device=device) if mask.any() else None)
    return masks
