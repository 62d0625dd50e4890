"""Speed of look-up and import, as ratios measured in one run.

``transform`` of 1,000,000 flights with 6 string columns to 128 float32 numbers, beside
scikit-learn's ``TargetEncoder.transform`` on the same frame, and the time to import the encoder
beside importing scikit-learn and pandas. Medians of alternating runs.

Run it with ``python benchmarks/transform.py [--rows N] [--repeats N]``.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from statistics import median

from _common import load_flights, write_results
from sklearn.preprocessing import TargetEncoder

from sk_entity_embed import EntityEmbeddingEncoder

COLUMNS = ["carrier", "origin", "dest", "tailnum", "month", "hour"]
WIDTHS = dict(zip(COLUMNS, [21, 21, 22, 22, 21, 21], strict=True))


def alternate(jobs: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Median seconds of each job, run in turn."""
    seconds: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(repeats):
        for name, job in jobs.items():
            start = time.perf_counter()
            job()
            seconds[name].append(time.perf_counter() - start)
    return {name: median(values) for name, values in seconds.items()}


def transforms(n_rows: int, repeats: int) -> dict[str, float]:
    X, late, _ = load_flights(n_rows, seed=0)
    X, train = X[COLUMNS], slice(0, 20_000)
    ours = EntityEmbeddingEncoder(dimensions=WIDTHS, max_iter=1, random_state=0)
    ours.fit(X[train], late[train])
    theirs = TargetEncoder().fit(X[train], late[train])
    declared, objects = X.astype("category"), X.astype(object)
    assert ours.transform(X[:10]).shape == (10, 128)
    return alternate(
        {
            "TargetEncoder.transform": lambda: theirs.transform(X),
            "transform, strings": lambda: ours.transform(X),
            "transform, category dtype": lambda: ours.transform(declared),
            "transform, object dtype": lambda: ours.transform(objects),
            "TargetEncoder.transform, object dtype": lambda: theirs.transform(objects),
            "transform, one row": lambda: ours.transform(X[:1]),
            "TargetEncoder.transform, one row": lambda: theirs.transform(X[:1]),
        },
        repeats,
    )


def imports(repeats: int) -> dict[str, float]:
    def run(code: str) -> Callable[[], object]:
        return lambda: subprocess.run([sys.executable, "-c", code], check=True)

    base = "import sklearn, pandas"
    return alternate(
        {
            "import sklearn, pandas": run(base),
            "and the encoder": run(f"{base}; from sk_entity_embed import EntityEmbeddingEncoder"),
        },
        repeats,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    seconds = transforms(arguments.rows, arguments.repeats) | imports(arguments.repeats)
    for name, value in seconds.items():
        print(f"{name:38s} {value:9.4f} s")
    ratio = seconds["transform, strings"] / seconds["TargetEncoder.transform"]
    objects = seconds["transform, object dtype"] / seconds["TargetEncoder.transform, object dtype"]
    extra = seconds["and the encoder"] - seconds["import sklearn, pandas"]
    print(f"\ntransform / TargetEncoder.transform: {ratio:.3f} (at most 0.5: {ratio <= 0.5})")
    print(f"the same with object columns: {objects:.3f}")
    print(f"import beyond scikit-learn and pandas: {extra:.3f} s (at most 0.3: {extra <= 0.3})")
    write_results(
        "transform",
        {
            "rows": arguments.rows,
            "seconds": {name: round(value, 5) for name, value in seconds.items()},
            "ratio_to_target_encoder": round(ratio, 4),
            "ratio_to_target_encoder_object_dtype": round(objects, 4),
            "extra_import_seconds": round(extra, 4),
        },
    )


if __name__ == "__main__":
    main()
