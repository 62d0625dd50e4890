"""How far two seeds agree about neighbours: a property of the vectors that no score shows.

For the 100 most frequent categories of a column, the share of the 10 nearest categories (Euclidean
distance, among all categories of the column) that fits with different seeds have in common, in the
mean over pairs of seeds. Folds, first vectors, batches and validation rows all differ.

Run it with ``python benchmarks/stability.py [--quick] [--rows N] [--members 1 2 4]
[--data FOLDER]``.
"""

from __future__ import annotations

import argparse
import itertools
import os
import time
from pathlib import Path

import numpy as np
import pandas as pd
from _common import load_flights, write_results
from sklearn.neighbors import NearestNeighbors

from sk_entity_embed import EntityEmbeddingEncoder

N_FREQUENT, N_NEIGHBOURS = 100, 10
ROSSMANN = ["Store", "DayOfWeek", "Promo", "year", "month", "day", "State"]


def main() -> None:
    """Fit with several seeds, compare, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, default=os.environ.get("SK_ENTITY_EMBED_DATA"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="30,000 rows, two seeds")
    parser.add_argument("--rows", type=int, default=None, help="in place of 200,000")
    parser.add_argument("--members", type=int, nargs="+", default=[1], help="`n_members` to try")
    args = parser.parse_args()
    n_rows = args.rows or (30_000 if args.quick else 200_000)
    seeds = range(2 if args.quick else args.seeds)
    X, late, _ = load_flights(n_rows, 0)
    found = {_named("flights, dest", m): _compare(X, late, "dest", seeds, m) for m in args.members}
    if args.data is not None and (Path(args.data) / "rossmann.parquet").exists():
        stores, sales = _load_rossmann(Path(args.data), n_rows)
        for m in args.members:
            found[_named("Rossmann, Store", m)] = _compare(stores, sales, "Store", seeds, m)
    print(f"{'':30}{'overlap':>9}{'by chance':>11}{'categories':>12}{'s a fit':>9}")
    for name, record in found.items():
        print(
            f"{name:30}{record['overlap']:9.3f}{record['chance']:11.3f}"
            f"{record['categories']:12d}{record['seconds']:9.1f}"
        )
    if not args.quick:
        write_results("stability", {"n_rows": n_rows, "seeds": len(seeds), "columns": found})


def _named(name: str, n_members: int) -> str:
    return name if n_members == 1 else f"{name}, {n_members} members"


def _load_rossmann(data: Path, n_rows: int) -> tuple[pd.DataFrame, np.ndarray]:
    """The seven features of the entity embeddings paper as strings, and the logarithm of sales."""
    frame = pd.read_parquet(data / "rossmann.parquet")
    frame = frame[frame["Sales"] > 0].sample(n_rows, random_state=0).reset_index(drop=True)
    date = pd.to_datetime(frame["Date"])
    frame["year"], frame["month"], frame["day"] = date.dt.year, date.dt.month, date.dt.day
    return frame[ROSSMANN].astype(str), np.log(frame["Sales"].to_numpy(dtype=float))


def _compare(
    X: pd.DataFrame, y: np.ndarray, column: str, seeds: range, n_members: int
) -> dict[str, float]:
    """Mean overlap of the neighbours over all pairs of seeds."""
    neighbours, start = [], time.perf_counter()
    for seed in seeds:
        encoder = EntityEmbeddingEncoder(
            categorical_features="all", n_members=n_members, random_state=seed
        )
        vectors = encoder.fit(X, y).embeddings_[column]
        frequent = np.argsort(-encoder.category_counts_[column], kind="stable")[:N_FREQUENT]
        index = NearestNeighbors(n_neighbors=N_NEIGHBOURS).fit(vectors)
        # no query: a vector is not its own neighbour
        neighbours.append(index.kneighbors(return_distance=False)[frequent])
    seconds = (time.perf_counter() - start) / len(seeds)
    overlaps = [
        np.mean([len(set(p) & set(q)) / N_NEIGHBOURS for p, q in zip(a, b, strict=True)])
        for a, b in itertools.combinations(neighbours, 2)
    ]
    return {
        "overlap": round(float(np.mean(overlaps)), 3),
        "chance": round(N_NEIGHBOURS / (len(vectors) - 1), 3),
        "categories": len(vectors),
        "seconds": round(seconds, 1),
    }


if __name__ == "__main__":
    main()
