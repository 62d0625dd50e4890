"""The one seam between NumPy and torch: arrays in, arrays out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from threading import Lock, local

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import logit

from sk_entity_embed.exceptions import InvalidParameterError
from sk_entity_embed.head import DotHead, Head, MLPHead
from sk_entity_embed.input.threads import is_forked
from sk_entity_embed.learning.crossfit import CrossFitting
from sk_entity_embed.learning.network import DotProduct, EmbeddingBank
from sk_entity_embed.learning.perceptron import MLP
from sk_entity_embed.learning.pooling import POOLS, GRUPool, Pool
from sk_entity_embed.learning.problem import Learned, StartingPoint, TrainingConfig, TrainingRows
from sk_entity_embed.learning.training import train
from sk_entity_embed.pooling import GRU, Pooler

Float64 = NDArray[np.float64]

_LEAST_SHARE = 1e-6
"""Of a class, for its log odds to be finite."""
_SHARED_PRODUCTS = 8_000_000
"""Multiplications of a forward pass from which on a second thread pays."""


def learn(
    rows: TrainingRows,
    start: StartingPoint,
    config: TrainingConfig,
    *,
    overwrite_start: bool = False,
) -> Learned:
    """Train tables and head.

    Parameters
    ----------
    rows : TrainingRows
        The data.
    start : StartingPoint
        Initial vectors, and an earlier head if training goes on.
    config : TrainingConfig
        Settings.
    overwrite_start : bool, default=False
        Whether the initial tables' memory may be used: it is as large as the result.

    Returns
    -------
    Learned
        The state of the best epoch.

    Raises
    ------
    InvalidParameterError
        If the device does not exist, or training diverged.
    """
    # Whatever the caller has set. All of torch's work is in here: what it shares out among threads
    # never returns in a forked process, for torch's threads are not forked with it.
    with torch.inference_mode(False), torch.enable_grad(), _THREADS.reduced(1) as n_threads:
        device = _device(config.device)
        give = torch.as_tensor if overwrite_start else torch.tensor
        bank = EmbeddingBank([give(table, device=device) for table in start.tables])
        return _learn(rows, start, bank, config, device, n_threads)


def _learn(
    rows: TrainingRows,
    start: StartingPoint,
    bank: EmbeddingBank,
    config: TrainingConfig,
    device: torch.device,
    n_threads: int,
) -> Learned:
    generator = torch.Generator(device=device).manual_seed(config.seed)
    head = _build_head(start.head, bank.widths, rows.context.shape[1], config, generator)
    if start.head is None and isinstance(head, DotProduct) and config.loss == "log_loss":
        _set([head.intercept], [_log_odds(rows)])
    pools = [
        _build_pool(pooler, width, generator)
        for pooler, width in zip(start.pooling, bank.widths, strict=True)
    ]
    with _threads(n_threads, head, config.batch_size, device) as beside:
        task = CrossFitting(
            rows,
            bank,
            head,
            pools,
            _fixed_rows(start, device),
            start.pulled,
            config,
            generator,
            device,
            continued=start.head is not None,
            beside=beside,
        )
        history = train(
            task,
            max_iter=config.max_iter,
            min_iter=config.min_iter,
            early_stopping=config.early_stopping,
            n_iter_no_change=config.n_iter_no_change,
            tol=config.tol,
            verbose=config.verbose,
            baseline=start.head is not None,
        )
    if history.diverged or not _finite(task.average.parameters):
        raise InvalidParameterError(
            "Training diverged: the loss is no longer finite. Lower `learning_rate_init` or "
            "`alpha`, or look for extreme values in y and sample_weight."
        )
    n_tables = rows.n_tables
    return Learned(
        tables=[w.cpu().numpy().reshape(n_tables, -1, w.shape[1]) for w in bank.weights],
        head=_export_head(head),
        pooling=tuple(
            _export_pool(pooler, pool) for pooler, pool in zip(start.pooling, pools, strict=True)
        ),
        loss_curve=np.array(history.losses, dtype=np.float64),
        validation_loss_curve=(
            np.array(history.validation_losses) if config.early_stopping else None
        ),
        best_iteration=history.best_iteration,
        interrupted=history.interrupted,
    )


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
    n: int, head: MLP | DotProduct, batch_size: int, device: torch.device
) -> Iterator[Executor | None]:
    """Threads beside this one, of `n` in all, if they pay.

    Small products gain nothing from a second thread, and on a busy machine each step would wait
    for it. Parts of a step side by side gain more than operations that are shared out one by one.
    """
    products = batch_size * sum(w.numel() for w in head.weights)
    if n == 1 or device.type != "cpu" or not isinstance(head, MLP) or products < _SHARED_PRODUCTS:
        yield None
        return
    each = n // 2 if products >= 8 * _SHARED_PRODUCTS and not is_forked() else 1
    with _THREADS.reduced(each), ThreadPoolExecutor(2) as beside:
        yield beside


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
            f"device={name!r} is not to be had: {error}. Use 'auto' or 'cpu'."
        ) from error
    return device


def _build_head(
    earlier: Head | None,
    widths: Sequence[int],
    n_context: int,
    config: TrainingConfig,
    generator: torch.Generator,
) -> MLP | DotProduct:
    device = generator.device
    head: MLP | DotProduct
    if config.head == "dot":
        head = DotProduct(
            len(widths),
            widths[0],
            n_context,
            dropout=config.dropout,
            generator=generator,
            device=device,
        )
    else:
        try:
            head = MLP(
                sum(widths) + n_context,
                config.hidden_layer_sizes,
                config.n_outputs,
                dropout=config.dropout,
                generator=generator,
                device=device,
            )
        except (RuntimeError, TypeError) as error:  # no memory, no integer of 64 bits
            raise InvalidParameterError(
                f"`hidden_layer_sizes`={config.hidden_layer_sizes} take more memory than there is "
                f"on device {str(device)!r}; give smaller ones."
            ) from error
    if earlier is not None:
        _set(_parameters_of(head), _values_of(earlier))
    return head


def _log_odds(rows: TrainingRows) -> Float64:
    """Of the target among the rows that teach the head: small steps would not get there."""
    learned_from = ~rows.validation
    weights = rows.weights[learned_from].astype(np.float64)
    share = np.average(rows.target[learned_from], axis=0, weights=weights)
    odds: Float64 = logit(np.clip(share, _LEAST_SHARE, 1 - _LEAST_SHARE))
    return odds


def _parameters_of(head: MLP | DotProduct) -> list[torch.Tensor]:
    if isinstance(head, MLP):
        return [*head.weights, *head.biases]
    return [head.roots, head.bias_weights, head.context, head.intercept]


def _values_of(head: Head) -> list[Float64]:
    """Values of a head's parameters, in the order of :func:`_parameters_of`."""
    if isinstance(head, MLPHead):
        return [*(w.T for w in head.weights), *head.biases]
    intercept = np.array([head.intercept])
    return [np.sqrt(head.axes), head.bias_weights, head.context_weights, intercept]


def _set(parameters: Sequence[torch.Tensor], values: Sequence[Float64]) -> None:
    with torch.no_grad():
        for parameter, value in zip(parameters, values, strict=True):
            parameter.copy_(torch.as_tensor(value, device=parameter.device))


def _export_head(head: MLP | DotProduct) -> Head:
    values = [_to_numpy(p) for p in _parameters_of(head)]
    if isinstance(head, MLP):
        n = len(head.weights)
        return MLPHead(tuple(w.T.copy() for w in values[:n]), tuple(values[n:]))
    roots, bias_weights, context_weights, intercept = values
    return DotHead(roots**2, bias_weights, context_weights, float(intercept[0]))


def _build_pool(pooler: Pooler | None, width: int, generator: torch.Generator) -> Pool | None:
    if pooler is None:
        return None
    if isinstance(pooler, str) and pooler != "gru":
        return POOLS[pooler]
    pool = GRUPool(width, generator=generator, device=generator.device)
    if isinstance(pooler, GRU):
        values = [pooler.input_weights.T, pooler.hidden_weights.T]
        _set([*pool.weights, *pool.biases], [*values, pooler.input_bias, pooler.hidden_bias])
    return pool


def _export_pool(pooler: Pooler | None, pool: Pool | None) -> Pooler | None:
    if not isinstance(pool, GRUPool):
        return pooler
    inputs, hidden = (_to_numpy(w).T.copy() for w in pool.weights)
    return GRU(inputs, hidden, *(_to_numpy(b) for b in pool.biases))


def _to_numpy(parameter: torch.Tensor) -> Float64:
    values: Float64 = parameter.detach().cpu().numpy().astype(np.float64)
    return values


def _fixed_rows(start: StartingPoint, device: torch.device) -> list[torch.Tensor | None]:
    """Fixed entries of the stacked tables, None where all may change."""
    masks: list[torch.Tensor | None] = []
    for table, fixed in zip(start.tables, start.fixed, strict=True):
        n_tables, _, width = table.shape
        mask = np.repeat(np.tile(fixed, n_tables)[:, None], width, axis=1)
        if start.biased:
            mask[:, -1] = False
        masks.append(torch.as_tensor(mask, device=device) if mask.any() else None)
    return masks
