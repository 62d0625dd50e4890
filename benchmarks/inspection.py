"""Speed and size of inspection and files.

- ``nearest`` over 1,000,000 vectors of 50 numbers, 100 queries at once: exact, each metric; and by
  a ``NeighborIndex``, with the share of the true neighbours it finds.
- The explorer and the scatter of 37,000 categories of 50 numbers: seconds to build, size of file.
- ``export.save`` and ``load`` of the million vectors, beside joblib in the same run.

Run it with ``python benchmarks/inspection.py [--quick]``.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import joblib
import matplotlib
import numpy as np
import pandas as pd
from _common import write_results

from sk_entity_embed import EntityEmbeddingEncoder
from sk_entity_embed.export import load, save
from sk_entity_embed.input.columns import read_table
from sk_entity_embed.input.vocabulary import learn_vocabulary
from sk_entity_embed.inspection import EmbeddingDisplay, NeighborIndex, explore, nearest
from sk_entity_embed.model.tables import EmbeddingTable

matplotlib.use("Agg")

WIDTH, QUERIES, K = 50, 100, 10


def timed(job: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds that a job takes, and its result."""
    start = time.perf_counter()
    result = job()
    return time.perf_counter() - start, result


def clustered(n: int, width: int, seed: int = 0) -> np.ndarray:
    """Vectors in 200 clusters, as embeddings are: even noise has no neighbours worth finding."""
    rng = np.random.default_rng(seed)
    centers = rng.normal(size=(200, width))
    noise = rng.normal(scale=0.5, size=(n, width))
    return (centers[rng.integers(0, 200, n)] + noise).astype(np.float32)


def large_encoder(n: int) -> EntityEmbeddingEncoder:
    """A fitted encoder with one column of n strings; its vectors are drawn, not trained."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"id": rng.choice(["a", "b", "c"], 60)})
    small = EntityEmbeddingEncoder(dimensions=WIDTH, cross_fit=False, max_iter=1, random_state=0)
    small.fit(X, rng.random(60))
    ids = pd.DataFrame({"id": [f"customer {i:07d}" for i in range(n)]})
    vocabulary = learn_vocabulary(read_table(ids).columns[0])
    stack = clustered(vocabulary.n_rows, WIDTH)[None]
    table = EmbeddingTable(vocabulary, stack, stack[0].mean(axis=0))
    small._model = replace(small._model, tables=(table,))
    small.categories_ = {"id": vocabulary.labels}
    small.category_counts_ = {"id": vocabulary.label_counts}
    small.category_target_means_ = {"id": rng.random(n)}
    return small


def neighbours(encoder: EntityEmbeddingEncoder, n: int) -> dict[str, float]:
    queries = [f"customer {i:07d}" for i in range(0, n, n // QUERIES)][:QUERIES]
    seconds = {}
    for metric in ("cosine", "euclidean", "dot"):
        jobs = [
            timed(lambda m=metric: nearest(encoder, "id", queries, K, metric=m)) for _ in range(2)
        ]
        seconds[f"nearest, {metric}"] = min(t for t, _ in jobs)
    exact = nearest(encoder, "id", queries, K)
    seconds["index, build"], index = timed(lambda: NeighborIndex(encoder, "id"))
    seconds["index, nearest"], found = timed(
        lambda: nearest(encoder, "id", queries, K, index=index)
    )
    pairs = [set(zip(f["query"], f["category"], strict=True)) for f in (exact, found)]
    return seconds | {"index, recall": len(pairs[0] & pairs[1]) / len(pairs[0])}


def pictures(n: int, folder: Path) -> dict[str, float]:
    vectors = pd.DataFrame(clustered(n, WIDTH, 1), index=[f"category {i}" for i in range(n)])
    found: dict[str, float] = {}
    for method in ("pca", "umap"):
        seconds, explorer = timed(lambda m=method: explore(vectors, methods=("pca", m)))
        more, _ = timed(lambda e=explorer: e.save(folder / "explorer.html"))
        found[f"explorer, {method}"] = seconds + more
        found[f"explorer, {method}, MB"] = (folder / "explorer.html").stat().st_size / 1e6

    def draw() -> None:
        display = EmbeddingDisplay.from_estimator(vectors)
        display.figure_.savefig(folder / "scatter.png")

    found["scatter, pca"], _ = timed(draw)
    return found


def files(encoder: EntityEmbeddingEncoder, folder: Path) -> dict[str, float]:
    safe, pickled = folder / "encoder.safetensors", folder / "encoder.joblib"
    return {
        "save": timed(lambda: save(encoder, safe))[0],
        "load": timed(lambda: load(safe))[0],
        "joblib.dump": timed(lambda: joblib.dump(encoder, pickled))[0],
        "joblib.load": timed(lambda: joblib.load(pickled))[0],
        "save, MB": safe.stat().st_size / 1e6,
        "joblib.dump, MB": pickled.stat().st_size / 1e6,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a twentieth of the categories")
    args = parser.parse_args()
    n, n_drawn = (50_000, 2_000) if args.quick else (1_000_000, 37_000)
    encoder = large_encoder(n)
    with tempfile.TemporaryDirectory() as name:
        found = {
            "neighbours": neighbours(encoder, n),
            "files": files(encoder, Path(name)),
            "pictures": pictures(n_drawn, Path(name)),
        }
    for group, numbers in found.items():
        print(group)
        for what, value in numbers.items():
            print(f"  {what:24s}{value:10.3f}")
    if not args.quick:
        write_results("inspection", {"categories": n, "drawn": n_drawn, **found})


if __name__ == "__main__":
    main()
