"""Jobs of the GPU benchmark: ``python _gpu_jobs.py JOB JSON``.

Tables are codes: category columns whose categories are numbers, so that a hundred million rows fit
in memory and reading them costs little.
"""

from __future__ import annotations

import os
import platform
import subprocess
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
import torch
from _common import load_flights
from _speed_common import main, measured
from torch import Tensor
from torch.overrides import TorchFunctionMode

from sk_entity_embed import EntityEmbeddingClassifier
from sk_entity_embed.learning import learn as learning

Result = dict[str, Any]
LEVELS = (16, 3, 100, 4_000, 12, 20)  # of the table of many rows, about those of flights
FEW_LEVELS = (50, 12)  # beside the column of many levels
_BLOCK = 10_000_000  # rows made at once


def card(arguments: Result) -> Result:
    """Return the card, its driver and torch's version."""
    found: Result = {"torch": torch.__version__, "cores": _n_cores()}
    if torch.device(arguments["device"]).type != "cuda":
        return {"card": "none", "processor": platform.machine(), **found}
    if not torch.cuda.is_available():
        return {"missing": "torch.cuda.is_available() is False"}
    about = torch.cuda.get_device_properties(arguments["device"])
    return {
        "card": about.name,
        "memory_gb": round(about.total_memory / 1e9, 1),
        "driver": _driver(),
        "cuda": torch.version.cuda,
        **found,
    }


def fit(arguments: Result) -> Result:
    """Return seconds, memory and honest losses of a fit of so many epochs on a device.

    With `same_draws` random numbers are the processor's whatever the device, as slow as that is.
    """
    device = arguments["device"]
    X, y = TABLES[arguments["table"]](arguments)
    settings = {"device": device, "random_state": 0, "batch_size": arguments["batch_size"]}
    small, few = codes(2_000, (5, 20))
    EntityEmbeddingClassifier(max_iter=1, **settings).fit(small, few)  # wakes the card up
    on_gpu = torch.device(device).type == "cuda" and torch.cuda.is_available()
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    model = EntityEmbeddingClassifier(
        max_iter=arguments["epochs"],
        n_iter_no_change=1_000_000,  # both devices run the same number
        interactions=arguments.get("interactions"),
        verbose=arguments.get("verbose", 0),
        **settings,
    )
    draws = draws_of_the_processor() if arguments.get("same_draws") else nullcontext()
    with training_seconds() as spent, draws:
        found, _ = measured(lambda: model.fit(X, y))
    losses = np.reshape(model.validation_loss_curve_, (model.n_iter_, -1)).mean(1)
    return {
        "seconds": found["seconds"],
        "training_seconds": sum(spent),
        "host_mb": found["peak_mb"],
        "device_mb": torch.cuda.max_memory_allocated() / 1e6 if on_gpu else None,
        "rows": len(X),
        "epochs": model.n_iter_,
        "losses": losses.tolist(),
    }


def codes(n_rows: int, levels: Sequence[int]) -> tuple[pd.DataFrame, np.ndarray]:
    """Columns of so many categories, each met if rows suffice, and two classes."""
    rng = np.random.default_rng(0)
    logit = np.zeros(n_rows, dtype=np.float32)
    columns = {}
    for j, n in enumerate(levels):
        column = np.empty(n_rows, dtype=np.int8 if n < 128 else np.int16 if n < 2**15 else np.int32)
        effects = rng.normal(size=n).astype(np.float32)
        for first in range(0, n_rows, _BLOCK):
            part = column[first : first + _BLOCK]
            part[:] = rng.integers(0, n, len(part), dtype=column.dtype)
            if first < n:
                some = min(n, first + len(part)) - first
                part[:some] = np.arange(first, first + some)
            logit[first : first + _BLOCK] += effects[part]
        columns[f"column{j}"] = pd.Categorical.from_codes(column, categories=np.arange(n))
    y = np.empty(n_rows, dtype=np.int8)
    for first in range(0, n_rows, _BLOCK):
        share = 1 / (1 + np.exp(-logit[first : first + _BLOCK]))
        y[first : first + _BLOCK] = rng.random(len(share), dtype=np.float32) < share
    return pd.DataFrame(columns, copy=False), y


def _flights(arguments: Result) -> tuple[pd.DataFrame, np.ndarray]:
    X, late, _ = load_flights(arguments.get("n_rows"), seed=0)
    return X, late


TABLES: dict[str, Callable[[Result], tuple[pd.DataFrame, np.ndarray]]] = {
    "flights": _flights,
    "rows": lambda a: codes(a["n_rows"], LEVELS),
    "levels": lambda a: codes(a["n_rows"], (a["n_levels"], *FEW_LEVELS)),
}


class _Generator(torch.Generator):
    """A generator of the processor that says that it is another device's."""

    def __new__(cls, device: Any = "cpu") -> torch.Generator:
        self = super().__new__(cls)
        self._device = torch.device(device)
        return self

    @property
    def device(self) -> torch.device:
        return self._device


class _Draws(TorchFunctionMode):
    """Draws on the processor what its generators are asked for, and copies it to the device."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if not isinstance(kwargs.get("generator"), _Generator):
            return func(*args, **kwargs)
        if isinstance(args[0], Tensor):  # a method that fills a tensor
            drawn = torch.empty(args[0].shape, dtype=args[0].dtype)
            return args[0].copy_(func(drawn, *args[1:], **kwargs))
        device = kwargs.pop("device")
        return func(*args, **kwargs, device="cpu").to(device)


@contextmanager
def draws_of_the_processor() -> Iterator[None]:
    """Let fits within draw the same numbers on every device.

    Fits of other draws differ by more than fits of other devices: by 0.003 on flights.
    """
    with patch.object(torch, "Generator", _Generator), _Draws():
        yield


@contextmanager
def training_seconds() -> Iterator[list[float]]:
    """Collect the seconds that trainings within take; the rest of a fit is the processor's."""
    seconds: list[float] = []
    original = learning.learn

    def learn(*given: Any) -> Any:
        start = time.perf_counter()
        try:
            return original(*given)
        finally:
            seconds.append(time.perf_counter() - start)

    with patch.object(learning, "learn", learn):
        yield seconds


def _n_cores() -> int:
    """Return the processors that this process may use."""
    own = getattr(os, "sched_getaffinity", None)
    return len(own(0)) if own is not None else os.cpu_count() or 1


def _driver() -> str:
    query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        found = subprocess.run(query, capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return found.stdout.strip().splitlines()[0]


JOBS = {job.__name__: job for job in (card, fit)}

if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        main(JOBS)
