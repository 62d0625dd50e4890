"""Generated tables of any size, written to Parquet block by block, and fits of them.

Each function that is a job runs in a process of its own, whose memory may be limited.
"""

from __future__ import annotations

import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

LEVELS = {"user": 1_000_000, "item": 100_000, "city": 5_000, "device": 300, "hour": 24}
"""Levels of the categorical columns; there is one number beside them."""
CGROUPS = {
    "/sys/fs/cgroup/memory": ("memory.limit_in_bytes", "cgroup.procs"),
    "/sys/fs/cgroup": ("memory.max", "cgroup.procs"),
}
"""Where groups of processes have a limit of memory, and the files to write: versions 1 and 2."""
_BLOCK = 1_000_000


def write_table(path: Path, n_rows: int, seed: int = 0) -> None:
    """Write a table whose binary target depends on all columns and on a pair of them."""
    rng = np.random.default_rng(seed)
    effects = {name: rng.normal(size=n) for name, n in LEVELS.items()}
    pair = rng.normal(size=(LEVELS["device"], LEVELS["hour"]))
    names = {
        "city": pa.array([f"city {i}" for i in range(LEVELS["city"])]),
        "device": pa.array([f"device {i}" for i in range(LEVELS["device"])]),
    }
    rng = np.random.default_rng([seed, n_rows])  # other rows of the same law for other sizes
    writer = None
    for start in range(0, n_rows, _BLOCK):
        n = min(_BLOCK, n_rows - start)
        # Skewed, as ids are: a few levels have many rows.
        codes = {name: (m * rng.random(n) ** 2).astype(np.int32) for name, m in LEVELS.items()}
        number = rng.normal(size=n)
        logit = 0.4 * np.sin(2 * number) + 0.5 * pair[codes["device"], codes["hour"]]
        for name, code in codes.items():
            logit += 0.5 * effects[name][code]
        columns: dict[str, Any] = {}
        for name, code in codes.items():
            columns[name] = names[name].take(pa.array(code)) if name in names else pa.array(code)
        columns["number"] = pa.array(number)
        columns["y"] = pa.array((rng.random(n) < 1 / (1 + np.exp(-logit))).astype(np.int8))
        table = pa.table(columns)
        if writer is None:
            writer = pq.ParquetWriter(path, table.schema)
        writer.write_table(table, row_group_size=_BLOCK)
    assert writer is not None
    writer.close()


def fit_job(given: dict[str, Any]) -> dict[str, Any]:
    """Fit a generated table in memory or from its file; seconds, memory, and how good it is."""
    from sklearn.metrics import roc_auc_score

    from sk_entity_embed import EntityEmbeddingClassifier

    enforced = limit_memory(given.get("limit_gb"))
    parts = timed_parts()
    model = EntityEmbeddingClassifier(
        categorical_features=list(LEVELS), random_state=0, max_iter=given["max_iter"]
    )
    start = time.perf_counter()
    if given["streamed"]:
        model.fit_batches(
            given["path"],
            "y",
            rows_in_memory=given["rows_in_memory"],
            spill_dir=given["spill_dir"],
        )
    else:
        table = pq.read_table(given["path"])
        model.fit(table.drop_columns("y"), table["y"])
    seconds = time.perf_counter() - start
    test = pq.read_table(given["test"])
    auc = roc_auc_score(test["y"].to_numpy(), model.predict_proba(test.drop_columns("y"))[:, 1])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {
        "seconds": seconds,
        "peak_gb": peak,
        "auc": auc,
        "iterations": model.n_iter_,
        "limit": enforced,
        "parts": parts,
    }


def timed_parts() -> dict[str, float]:
    """Return seconds of the parts of a fit, which are filled in while it runs."""
    from sk_entity_embed import _batch_fitting
    from sk_entity_embed.learning import learn

    seconds: dict[str, float] = {}

    def watch(owner: Any, name: str, label: str) -> None:
        original = getattr(owner, name)

        def timed(*args: Any, **options: Any) -> Any:
            start = time.perf_counter()
            result = original(*args, **options)
            seconds[label] = seconds.get(label, 0.0) + time.perf_counter() - start
            return result

        setattr(owner, name, timed)

    watch(_batch_fitting.Streamed, "_survey", "counting")
    watch(_batch_fitting.Streamed, "_write", "coding")
    watch(learn, "learn", "training")
    return seconds


def steps_job(given: dict[str, Any]) -> dict[str, Any]:
    """Seconds of a step by its rows, in iterations of a generated table in memory."""
    from unittest.mock import patch

    from sk_entity_embed import EntityEmbeddingClassifier
    from sk_entity_embed.learning.crossfit import CrossFitting

    table = pq.read_table(given["path"]).slice(0, given["n_rows"])
    X, y = table.drop_columns("y"), table["y"]
    out: dict[str, Any] = {}
    original = CrossFitting.iteration
    for rows in given["rows_a_step"]:
        found: list[float] = []

        def iteration(task: Any, found: list[float] = found) -> Any:
            start = time.perf_counter()
            yield from original(task)
            found.append((time.perf_counter() - start) / task.n_steps)

        model = EntityEmbeddingClassifier(
            categorical_features=list(LEVELS), random_state=0, batch_size=rows, max_iter=3
        )
        with patch.object(CrossFitting, "iteration", iteration):
            model.fit(X, y)
        out[str(rows)] = min(found)
    return out


def limit_memory(gigabytes: float | None) -> str | None:
    """Let the system end this process if its memory grows beyond a limit; how it is enforced."""
    if gigabytes is None:
        return None
    limit = int(gigabytes * 2**30)
    for root, names in CGROUPS.items():
        group = Path(root, "sk_entity_embed")
        try:
            group.mkdir(exist_ok=True)
            (group / names[0]).write_text(str(limit))
            (group / names[1]).write_text("0")  # this process
            return f"cgroup of {gigabytes} GiB, files in cache included"
        except OSError:
            continue
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    return f"ulimit -d of {gigabytes} GiB"


def flights_job(given: dict[str, Any]) -> dict[str, Any]:
    """Flights from files and from memory: how good the network and a model on its vectors are."""
    import pandas as pd
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.preprocessing import StandardScaler

    from sk_entity_embed import EntityEmbeddingClassifier
    from sk_entity_embed.datasets import load_flights

    X, y = load_flights(given["n_rows"], random_state=0)
    held = np.random.default_rng(0).random(len(y)) < 0.2
    train, late = X[~held], y[~held].to_numpy()
    out: dict[str, Any] = {"rows": len(late)}
    for name, rows in (("memory", len(late)), ("files", len(late) // 4)):
        model = EntityEmbeddingClassifier(random_state=given["seed"])
        with tempfile.TemporaryDirectory() as folder:
            frame = pa.Table.from_pandas(train.assign(late=late), preserve_index=False)
            pq.write_table(frame, Path(folder, "rows.parquet"))
            if name == "memory":
                vectors = model.fit_transform(train, late)
            else:
                path = model.fit_transform_batches(
                    Path(folder, "rows.parquet"), Path(folder, "v"), "late", rows_in_memory=rows
                )
                vectors = pq.read_table(path).to_pandas().to_numpy()
        scaler = StandardScaler().fit(vectors)
        linear = LogisticRegression(max_iter=500).fit(scaler.transform(vectors), late)
        scores = linear.decision_function(scaler.transform(model.transform(X[held])))
        out[name] = {
            "downstream": roc_auc_score(y[held], scores),
            "network": roc_auc_score(y[held], model.predict_proba(pd.DataFrame(X[held]))[:, 1]),
        }
    return out


def workers_job(given: dict[str, Any]) -> dict[str, Any]:
    """Seconds and bytes of iterations of two workers of one core each, and of one such process.

    They are the difference of a long fit and a short one: workers take their time to start.
    """
    import ray
    import torch

    from sk_entity_embed import EntityEmbeddingClassifier
    from sk_entity_embed.distributed import fit, fitting

    told: list[dict[str, float]] = []
    original = fitting.train

    def watched(*args: Any) -> Any:
        start = time.perf_counter()
        outcome = original(*args)
        told.append({"seconds": time.perf_counter() - start, "n_bytes": outcome.n_bytes})
        return outcome

    def model(iterations: int) -> EntityEmbeddingClassifier:
        return EntityEmbeddingClassifier(
            categorical_features=list(LEVELS),
            random_state=0,
            max_iter=iterations,
            n_iter_no_change=iterations,
        )

    few, many = given["iterations"]
    fitting.train = watched
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level=40)
    for iterations in (few, many):
        fit(model(iterations), given["path"], y="y", num_workers=2)
    ray.shutdown()
    torch.set_num_threads(1)
    alone = []
    for iterations in (few, many):
        parts = timed_parts()
        model(iterations).fit_batches(given["path"], "y")
        alone.append(parts["training"])
    return {
        "iterations": many - few,
        "training": told[1]["seconds"] - told[0]["seconds"],
        "start": told[0]["seconds"]
        - few / (many - few) * (told[1]["seconds"] - told[0]["seconds"]),
        "n_bytes": told[1]["n_bytes"] - told[0]["n_bytes"],
        "one process": alone[1] - alone[0],
    }


JOBS = {"workers": workers_job, "fit": fit_job, "flights": flights_job, "steps": steps_job}

if __name__ == "__main__":
    from _speed_common import main

    main(JOBS)
