"""Jobs of the speed benchmark that run in our own environment: ``python _speed_jobs.py JOB JSON``.

Libraries are imported, and have fitted a few rows, before the clock starts.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from statistics import median
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
from _speed_common import (
    COLUMNS,
    LARGE_BATCH,
    WIDTHS,
    load_table,
    log_loss,
    main,
    measured,
    one_row_ms,
    timed,
    train_and_test,
)

from sk_entity_embed import EntityEmbeddingClassifier, EntityEmbeddingEncoder

Result = dict[str, Any]
N_TABLES = 5
HIDDEN = (128, 64)
CURVE = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20)
"""Epochs of the fits that make up our curve of log-loss over time."""
_LEVELS = (16, 3, 100, 4_000, 12, 20)  # of made-up tables, about those of flights


def fit(arguments: Result) -> Result:
    """The default fit: time, test log-loss, peak memory and what the goal allows for it."""
    X, X_test, y, y_test = train_and_test(arguments)
    _warm_up()
    model = EntityEmbeddingClassifier(random_state=arguments["seed"])
    found, _ = measured(lambda: model.fit(X, y))
    return {
        **found,
        "limit_mb": memory_limit_mb(len(X), sizes_of(model)),
        "log_loss": log_loss(y_test, model.predict_proba(X_test)[:, 1]),
        "epochs": model.n_iter_,
    }


def reach(arguments: Result) -> Result:
    """Time of the quickest whole fit whose test log-loss is at most the target.

    Each point of the curve is a fit of its own with that many epochs, as a user in a hurry would
    ask for it: reading, coding, the step size's fall and canonical coordinates are all in it.
    """
    X, X_test, y, y_test = train_and_test(arguments)
    _warm_up()
    curve: list[list[float]] = []
    for epochs in CURVE:
        model = EntityEmbeddingClassifier(max_iter=epochs, random_state=arguments["seed"])
        seconds, _ = timed(lambda model=model: model.fit(X, y))
        loss = log_loss(y_test, model.predict_proba(X_test)[:, 1])
        curve.append([epochs, seconds, loss])
        if loss <= arguments["target"]:
            return {"seconds": seconds, "epochs": epochs, "curve": curve}
    return {"seconds": float("inf"), "epochs": float("inf"), "curve": curve}


def transform(arguments: Result) -> Result:
    """Transform the whole table; the encoder has learned from its first rows."""
    X, y = load_table(arguments["data"], arguments.get("kind", "strings"))
    train = slice(0, arguments["n_train"])
    encoder = _encoder(arguments["encoder"]).fit(X[train], y[train])
    encoder.transform(X[:10])
    found, out = measured(lambda: encoder.transform(X))
    size = np.asarray(out).nbytes / 1e6
    return {**found, "output_mb": size, "one_row_ms": one_row_ms(encoder.transform, X)}


def peer_fit(arguments: Result) -> Result:
    """Fit of an encoder that does not train a network."""
    X, _, y, _ = train_and_test(arguments)
    _encoder(arguments["encoder"]).fit(X[:500], y[:500])
    found, _ = measured(lambda: _encoder(arguments["encoder"]).fit(X, y))
    return found


def growth_rows(arguments: Result) -> Result:
    """Seconds of an epoch of so many made-up rows."""
    n = arguments["n_rows"]
    X, y = made_up(n, _LEVELS)
    epochs = int(np.clip(1_000_000 // n, 2, 20))
    return {"epoch_seconds": _epoch(X, y, epochs)[0]}


def growth_levels(arguments: Result) -> Result:
    """Milliseconds of a step with a column of so many categories, and the fit's memory."""
    n = arguments["n_rows"]
    X, y = made_up(n, (arguments["n_levels"],))
    seconds, found, sizes = _epoch(X, y, 3)
    return {
        "step_ms": 1e3 * seconds / -(-int(0.9 * n) // LARGE_BATCH),
        "peak_mb": found["peak_mb"],
        "limit_mb": memory_limit_mb(n, sizes),
    }


def transform_growth(arguments: Result) -> Result:
    """Seconds of transforming so many rows of a string column of so many categories."""
    X, y = made_up(arguments["n_rows"], (arguments["n_levels"],))
    X = X.astype(str)
    encoder = EntityEmbeddingEncoder(dimensions=16, max_iter=1, batch_size=8192, random_state=0)
    train = slice(0, max(50_000, arguments["n_levels"]))
    encoder.fit(X[train], y[train])
    encoder.transform(X[:10])
    return {"seconds": median(timed(lambda: encoder.transform(X))[0] for _ in range(3))}


def efficiency(arguments: Result) -> Result:
    """An epoch's share of the rate that the machine's matrix products allow."""
    X, _, y, _ = train_and_test(arguments)
    seconds, _, sizes = _epoch(X, y, 5)
    width = sum(w for _, w in sizes)
    work = epoch_products(len(X), width, HIDDEN)
    peaks = matrix_peaks(width, HIDDEN)
    found = {f"{name}_gflops": rate / 1e9 for name, rate in peaks.items()}
    share = 2 * work / seconds / max(peaks["head"], peaks["head_one_thread"])
    return {"epoch_seconds": seconds, "products_per_epoch": work, **found, "share": share}


def grid(arguments: Result) -> Result:
    """A grid search of 8 candidates and 5 folds over encoder and linear model."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline

    X, _, y, _ = train_and_test(arguments)
    _warm_up()
    model = make_pipeline(
        EntityEmbeddingEncoder(max_iter=arguments["max_iter"], random_state=0),
        LogisticRegression(max_iter=1000),
    )
    candidates = {
        "entityembeddingencoder__dimensions": [3, 5, 8, 10],
        "entityembeddingencoder__alpha": [0.1, 0.3],
    }
    search = GridSearchCV(model, candidates, cv=5, n_jobs=arguments["n_jobs"])
    return {"seconds": timed(lambda: search.fit(X, y))[0]}


def epoch_products(n_rows: int, width: int, hidden: tuple[int, ...]) -> float:
    """Multiply-adds that a cross-fitted epoch cannot do without.

    All rows go forwards and backwards to the vectors without weight gradients; those that are not
    for validation go forwards, backwards to the first hidden layer, and give weight gradients. A
    linear model goes along.
    """
    sizes = (width, *hidden, 1)
    head = sum(a * b for a, b in pairwise(sizes))
    first = sizes[0] * sizes[1]
    tables = 2 * (head + width)
    shared = 2 * (head + width) + head - first
    return n_rows * (tables + 0.9 * shared)


def matrix_peaks(width: int, hidden: tuple[int, ...]) -> dict[str, float]:
    """Best operations a second of float32 products of the head's shapes and of large squares."""
    import torch

    def rate(shapes: list[tuple[int, int, int]]) -> float:
        best = 0.0
        for n, a, b in shapes:
            x, w, out = torch.randn(n, a), torch.randn(a, b), torch.empty(n, b)
            repeats = max(3, int(2e9 / (2 * n * a * b)))
            for _ in range(5):
                start = time.perf_counter()
                for _ in range(repeats):
                    torch.mm(x, w, out=out)
                best = max(best, repeats * 2 * n * a * b / (time.perf_counter() - start))
        return best

    layers = list(zip((width, *hidden), hidden, strict=False))
    head = [(n, a, b) for n in (LARGE_BATCH, 8 * LARGE_BATCH) for a, b in layers]
    peaks = {"head": rate(head), "square": rate([(1024, 1024, 1024)])}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    peaks["head_one_thread"] = rate(head)
    torch.set_num_threads(threads)
    return peaks


def memory_limit_mb(n_rows: int, sizes: list[tuple[int, int]]) -> float:
    """Three times the coded input and four times the tables; `sizes` are their rows and widths."""
    coded = n_rows * 4 * (len(sizes) + 1)  # codes, and the target
    tables = N_TABLES * sum(4 * rows * width for rows, width in sizes)
    return (3 * coded + 4 * tables) / 1e6


def sizes_of(model: Any) -> list[tuple[int, int]]:
    """Rows, those of missing and unknown cells included, and width of each column's tables."""
    return [(len(c) + 2, model.dimensions_[name]) for name, c in model.categories_.items()]


def made_up(n_rows: int, levels: tuple[int, ...]) -> tuple[pd.DataFrame, np.ndarray]:
    """Columns of declared categories, each met at least once if rows suffice, and two classes."""
    rng = np.random.default_rng(0)
    columns, logit = {}, np.zeros(n_rows, dtype=np.float32)
    for j, n in enumerate(levels):
        codes = rng.integers(0, n, n_rows, dtype=np.int32)
        codes[: min(n, n_rows)] = np.arange(min(n, n_rows))
        rng.shuffle(codes)
        labels = pd.Index([f"c{i:07d}" for i in range(n)])
        columns[f"column{j}"] = pd.Categorical.from_codes(codes, labels)
        logit += rng.normal(size=n).astype(np.float32)[codes]
    return pd.DataFrame(columns), (rng.random(n_rows) < 1 / (1 + np.exp(-logit))).astype(int)


@contextmanager
def epoch_times() -> Iterator[list[float]]:
    """Collect the seconds of each epoch of a training within; validation is not in them.

    Where rows are many, an iteration is a part of an epoch, and counts as many times.
    """
    from sk_entity_embed.learning.batches import TrainingSet
    from sk_entity_embed.learning.crossfit import CrossFitting

    seconds: list[float] = []
    original: Callable[..., Iterator[Any]] = CrossFitting.iteration

    def iteration(task: CrossFitting) -> Iterator[Any]:
        assert isinstance(task.batches, TrainingSet)
        start = time.perf_counter()
        yield from original(task)
        seconds.append((time.perf_counter() - start) * task.batches.n_parts)

    with patch.object(CrossFitting, "iteration", iteration):
        yield seconds


def _epoch(
    X: pd.DataFrame, y: np.ndarray, epochs: int
) -> tuple[float, dict[str, float], list[tuple[int, int]]]:
    """Median seconds of an epoch, cost of the whole fit, and the tables' sizes."""
    _warm_up()
    model = EntityEmbeddingClassifier(
        batch_size=LARGE_BATCH, max_iter=epochs, n_iter_no_change=epochs, random_state=0
    )
    with epoch_times() as seconds:
        found, _ = measured(lambda: model.fit(X, y))
    if len(seconds) != epochs:
        raise RuntimeError(f"{len(seconds)} iterations were timed, {epochs} run")
    return median(seconds), found, sizes_of(model)


def _encoder(name: str) -> Any:
    if name == "ours":
        widths = dict(zip(COLUMNS, WIDTHS, strict=True))
        return EntityEmbeddingEncoder(dimensions=widths, max_iter=1, random_state=0)
    if name == "category_encoders":
        from category_encoders import TargetEncoder as Smoothed

        return Smoothed()
    from sklearn.preprocessing import OrdinalEncoder, TargetEncoder

    if name == "OrdinalEncoder":
        return OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    return TargetEncoder()


def _warm_up() -> None:
    X, y = made_up(2_000, (5, 20))
    EntityEmbeddingClassifier(max_iter=1, random_state=0).fit(X, y).predict_proba(X[:10])


JOBS = {
    job.__name__: job
    for job in (
        *(fit, reach, peer_fit, transform),
        *(growth_rows, growth_levels, transform_growth, efficiency, grid),
    )
}

if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        main(JOBS)
