"""Bigger than memory
==================

Bigger than memory: millions of flights from a folder of Parquet files, a block at a time.

New York flights, each repeated, are written to Parquet files, a fifth of the flights apart. The
encoder learns from the folder with half a million rows in memory, and writes vectors of the
training rows that never saw their own target. A linear model learns from those files batch by batch
and is judged on the other flights. Copies of a flight are kept in one fold by ``groups``: else a
row's own table would learn its target from them. The last lines say how much memory that took, and
how good a fit of the flights in memory, without copies, is.

Run it with ``python examples/bigger_than_memory.py [--rows N] [--output FOLDER]``.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from _data import read_options
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sk_entity_embed import EntityEmbeddingEncoder
from sk_entity_embed.datasets import load_flights

# %%
# Files and models
# ----------------
# The flights as a folder of files, and a linear model that learns batch by batch.


COPIES = 10
BATCH = 100_000


def make_encoder() -> EntityEmbeddingEncoder:
    """The encoder of both fits."""
    return EntityEmbeddingEncoder(output="both", random_state=0)


def write_flights(flights: pd.DataFrame, folder: Path, copies: int) -> int:
    """Write several copies of flights to a file a copy, in another order each; rows written."""
    folder.mkdir()
    for copy in range(copies):
        rows = flights.sample(frac=1.0, random_state=copy)
        table = pa.Table.from_pandas(rows, preserve_index=False)
        pq.write_table(table, folder / f"part-{copy:02d}.parquet")
    return copies * len(flights)


def batches(folder: Path) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Vectors and targets of the files in a folder, some rows at a time."""
    for batch in ds.dataset(folder).to_batches(
        batch_size=BATCH, batch_readahead=1, fragment_readahead=1
    ):
        frame = batch.to_pandas()
        yield frame.drop(columns="late").to_numpy(), frame["late"].to_numpy()


def fit_linear(folder: Path) -> tuple[StandardScaler, SGDClassifier]:
    """A linear model by two passes over files: one for the scale, one to learn."""
    scaler, model = StandardScaler(), SGDClassifier(loss="log_loss", average=True, random_state=0)
    for vectors, _ in batches(folder):
        scaler.partial_fit(vectors)
    for vectors, late in batches(folder):
        model.partial_fit(scaler.transform(vectors), late, classes=[0, 1])
    return scaler, model


def peak_memory() -> str:
    """The most memory that this process has had so far."""
    if sys.platform == "win32":
        return "unknown"
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6:,.0f} MB"


# %%
# The flights
# -----------

options = read_options(__doc__, "flights to use, before they are repeated")
X, late = load_flights(options.rows, random_state=0)
flights = X.assign(late=late.to_numpy().astype(int), flight=np.arange(len(X)))
held_out = np.random.default_rng(0).random(len(flights)) < 0.2
in_memory = min(500_000, 2 * len(flights))

with tempfile.TemporaryDirectory() as place:
    train, test, vectors = (Path(place, name) for name in ("train", "test", "vectors"))
    n = write_flights(flights[~held_out], train, COPIES)
    write_flights(flights[held_out], test, 1)
    before = peak_memory()
    print(f"{n:,} training rows in {COPIES} files; {in_memory:,} in memory at a time")

    start = time.perf_counter()
    encoder = make_encoder().set_params(
        categorical_features=[c for c in X if not pd.api.types.is_float_dtype(X[c])]
    )
    encoder.fit_transform_batches(
        train, vectors, "late", groups="flight", keep=["late"], rows_in_memory=in_memory
    )
    seconds = time.perf_counter() - start
    print(f"learned and encoded in {seconds:.0f} s; peak memory: {peak_memory()}")
    scaler, model = fit_linear(vectors)
    encoder.transform_batches(test, Path(place, "new"), keep=["late"])
    found = [
        (model.decision_function(scaler.transform(new)), true)
        for new, true in batches(Path(place, "new"))
    ]
    scores, true = (np.concatenate(parts) for parts in zip(*found, strict=True))
    print(f"from files:  AUC {roc_auc_score(true, scores):.3f} on other flights")
    print(f"peak memory: {peak_memory()} in the end ({before} before the fit)")


# %%
# The same in memory
# ------------------

whole = make_pipeline(make_encoder(), StandardScaler(), LogisticRegression(max_iter=1000))
whole.fit(X[~held_out], late[~held_out])
score = roc_auc_score(late[held_out], whole.decision_function(X[held_out]))
print(f"in memory:   AUC {score:.3f}, of each flight once")
