"""The one seam between NumPy and torch: arrays in, arrays out."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from threading import Lock

import numpy as np
import torch

from sk_entity_embed.exceptions import InvalidParameterError
from sk_entity_embed.head import MLPHead
from sk_entity_embed.learning.crossfit import CrossFitting
from sk_entity_embed.learning.network import MLP, EmbeddingBank
from sk_entity_embed.learning.problem import Learned, StartingPoint, TrainingConfig, TrainingRows
from sk_entity_embed.learning.training import train

_SHARED_PRODUCTS = 64_000_000  # multiplications of a forward pass that two threads share well


def learn(rows: TrainingRows, start: StartingPoint, config: TrainingConfig) -> Learned:
    """Train tables and head.

    Parameters
    ----------
    rows : TrainingRows
        The data.
    start : StartingPoint
        Initial vectors, and an earlier head if training goes on.
    config : TrainingConfig
        Settings.

    Returns
    -------
    Learned
        The state of the best epoch.

    Raises
    ------
    InvalidParameterError
        If the device does not exist, or training diverged.
    """
    with torch.inference_mode(False), torch.enable_grad():  # whatever the caller has set
        return _learn(rows, start, config, _device(config.device))


def _learn(
    rows: TrainingRows, start: StartingPoint, config: TrainingConfig, device: torch.device
) -> Learned:
    generator = torch.Generator(device=device).manual_seed(config.seed)
    bank = EmbeddingBank([torch.tensor(t, device=device) for t in start.tables])
    head = _build_head(start.head, sum(bank.widths) + rows.context.shape[1], config, generator)
    task = CrossFitting(
        rows,
        bank,
        head,
        _fixed_rows(start, device),
        start.pulled,
        config,
        generator,
        device,
        continued=start.head is not None,
    )
    with _threads(head, config.batch_size):
        history = train(
            task,
            max_iter=config.max_iter,
            early_stopping=config.early_stopping,
            n_iter_no_change=config.n_iter_no_change,
            tol=config.tol,
            verbose=config.verbose,
            baseline=start.head is not None,
        )
    if history.diverged or not _finite([*bank.weights, *head.parameters()]):
        raise InvalidParameterError(
            "Training diverged: the loss is no longer finite. Lower `learning_rate_init`, or look "
            "for extreme values in y and sample_weight."
        )
    n_tables = rows.n_tables
    return Learned(
        tables=[w.cpu().numpy().reshape(n_tables, -1, w.shape[1]) for w in bank.weights],
        head=_export_head(head),
        loss_curve=np.array(history.losses, dtype=np.float64),
        validation_loss_curve=(
            np.array(history.validation_losses) if config.early_stopping else None
        ),
        best_iteration=history.best_iteration,
        interrupted=history.interrupted,
    )


def _finite(values: list[torch.Tensor]) -> bool:
    return all(bool(torch.isfinite(v).all()) for v in values)


class _OneThread:
    """Keeps torch to one thread while any training that asked for it runs.

    Small products gain nothing from a second thread, and on a busy machine each step would wait
    for it. The caller's setting comes back when the last of several concurrent trainings ends.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._n_users = 0
        self._before = 1

    def __enter__(self) -> None:
        with self._lock:
            if self._n_users == 0:
                self._before = torch.get_num_threads()
                torch.set_num_threads(1)
            self._n_users += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._n_users -= 1
            if self._n_users == 0:
                torch.set_num_threads(self._before)


_ONE_THREAD = _OneThread()


def _threads(head: MLP, batch_size: int) -> AbstractContextManager[None]:
    products = batch_size * sum(w.numel() for w in head.weights)
    return _ONE_THREAD if products < _SHARED_PRODUCTS else nullcontext()


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
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
    earlier: MLPHead | None, n_in: int, config: TrainingConfig, generator: torch.Generator
) -> MLP:
    device = generator.device
    head = MLP(
        n_in,
        config.hidden_layer_sizes,
        config.n_outputs,
        dropout=config.dropout,
        generator=generator,
        device=device,
    )
    if earlier is not None:
        with torch.no_grad():
            for mine, theirs in zip(head.weights, earlier.weights, strict=True):
                mine.copy_(torch.as_tensor(theirs.T, device=device))
            for mine, theirs in zip(head.biases, earlier.biases, strict=True):
                mine.copy_(torch.as_tensor(theirs, device=device))
    return head


def _export_head(head: MLP) -> MLPHead:
    return MLPHead(
        weights=tuple(w.detach().cpu().numpy().T.astype(np.float64) for w in head.weights),
        biases=tuple(b.detach().cpu().numpy().astype(np.float64) for b in head.biases),
    )


def _fixed_rows(start: StartingPoint, device: torch.device) -> list[torch.Tensor | None]:
    """Fixed rows of the stacked tables, None where all rows may change."""
    return [
        torch.as_tensor(np.tile(fixed, len(table)), device=device) if fixed.any() else None
        for table, fixed in zip(start.tables, start.fixed, strict=True)
    ]
