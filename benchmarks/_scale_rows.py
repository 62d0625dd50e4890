"""Generated tables of any size, written to Parquet block by block, and fits of them.

Each function that is a job runs in a process of its own, whose memory may be limited.
"""

from __future__ import annotations

import resource
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

LEVELS = {"user": 1_000_000, "item": 100_000, "city": 5_000, "device": 300, "hour": 24}
"""Levels of the categorical columns; there is one number beside them."""
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

    if given.get("limit_gb"):
        limit = int(given["limit_gb"] * 2**30)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    model = EntityEmbeddingClassifier(
        categorical_features=list(LEVELS), random_state=0, verbose=1, max_iter=given["max_iter"]
    )
    start = time.perf_counter()
    if given["streamed"]:
        model.fit_batches(given["path"], "y", spill_dir=given["spill_dir"])
    else:
        table = pq.read_table(given["path"])
        model.fit(table.drop_columns("y"), table["y"])
    seconds = time.perf_counter() - start
    test = pq.read_table(given["test"])
    auc = roc_auc_score(test["y"].to_numpy(), model.predict_proba(test.drop_columns("y"))[:, 1])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {"seconds": seconds, "peak_gb": peak, "auc": auc, "iterations": model.n_iter_}


JOBS = {"fit": fit_job}

if __name__ == "__main__":
    from _speed_common import main

    main(JOBS)
