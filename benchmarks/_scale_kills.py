"""Fits with checkpoints that are killed at random moments and run again, until they end.

``python benchmarks/_scale_kills.py --kills 200`` ends with an error unless each fit ends in the
bits of an undisturbed one: the vectors of training rows and of new ones, the categories' vectors,
predictions and losses.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sk_entity_embed import EntityEmbeddingRegressor

FITS: dict[str, dict[str, Any]] = {
    "perceptron": {"checkpoint_interval": 0},
    "every 0.2 s": {"checkpoint_interval": 0.2},
    "two members": {"checkpoint_interval": 0, "n_members": 2, "max_iter": 4},
    "dot products": {"checkpoint_interval": 0, "head": "dot", "interactions": None},
    "wide tables": {"checkpoint_interval": 0, "dimensions": 100},
    "rows on disk": {"checkpoint_interval": 0, "rows_in_memory": 4000},
    "recurrent lists": {"checkpoint_interval": 0, "pooling": "gru", "max_iter": 4},
}
"""The fits that are killed in turn, and what is special of each."""
MOST_A_FIT = 4
"""Kills of a fit; then it may end, so that there are many of them."""


def make_rows(n_rows: int, seed: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Columns of a few and of many categories, a number, and a target."""
    rng = np.random.default_rng(seed)
    shop, city = rng.zipf(1.5, n_rows) % 2000, rng.integers(0, 40, n_rows)
    frame = pd.DataFrame(
        {
            "shop": [f"s{i}" for i in shop],
            "city": pd.Categorical([f"c{i}" for i in city]),
            "size": rng.normal(size=n_rows),
        }
    )
    effects = np.random.default_rng(99).normal(size=2000)
    return frame, effects[shop] + effects[city] * frame["size"] + rng.normal(size=n_rows)


def fit(name: str, n_rows: int, folder: str | None, found: str) -> None:
    """Fit, with checkpoints in a folder, and write what was found."""
    X, y = make_rows(n_rows, 0)
    new, _ = make_rows(500, 1)
    parameters = {"max_iter": 8, "random_state": 0, **FITS[name]}
    if parameters.get("pooling") == "gru":
        for frame in (X, new):
            frame["both"] = [[a, b] for a, b in zip(frame.pop("city"), frame["shop"], strict=True)]
    in_memory = parameters.pop("rows_in_memory", None)
    model = EntityEmbeddingRegressor(checkpoint=folder, **parameters)
    if in_memory is None:
        vectors = model.fit_transform(X, y)
    else:
        table = X.assign(y=y)
        parts = [table[i : i + 1000] for i in range(0, n_rows, 1000)]
        vectors = model.fit_batches(parts, y="y", rows_in_memory=in_memory).transform(X)
    arrays = {
        "fit_transform": vectors,
        "transform": model.transform(new),
        "predictions": model.predict(new),
        "losses": model.validation_loss_curve_,
        **{name: frame.to_numpy() for name, frame in model.embeddings_.items()},
    }
    with open(f"{found}.new", "wb") as file:
        np.savez(file, **arrays)
    os.replace(f"{found}.new", found)


def kill_fits(
    n_kills: int, n_rows: int = 15_000, seed: int = 0, names: list[str] | None = None
) -> dict[str, Any]:
    """Kill fits at random moments, so many times, and count what became of them.

    Each one is run again in a new process until it ends, and may be killed again meanwhile.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["sk_entity_embed.learning.learn", "sk_entity_embed.predictors"])
    draw = random.Random(seed)
    first = context.Process(target=int)  # the server has imported everything before time is taken
    first.start()
    first.join()
    kills = {"without a checkpoint": 0, "with one": 0, "within a write": 0}
    counts = {"fits": 0, "fits killed more than once": 0, "fits with other bits": 0}
    names = [*FITS] if names is None else names
    with tempfile.TemporaryDirectory() as space:
        expected: dict[str, tuple[dict[str, np.ndarray], float]] = {}
        while sum(kills.values()) < n_kills:
            name = names[counts["fits"] % len(names)]
            if name not in expected:
                expected[name] = _undisturbed(context, name, n_rows, Path(space))
            arrays, seconds = expected[name]
            found = Path(space, f"{counts['fits']}.npz")
            folder = Path(space, str(counts["fits"]))
            n_of_fit = 0
            while not found.exists():
                process = context.Process(target=fit, args=(name, n_rows, str(folder), str(found)))
                process.start()
                more = sum(kills.values()) < n_kills and n_of_fit < MOST_A_FIT
                process.join(draw.uniform(0, 1.05 * seconds) if more else None)
                if process.is_alive():
                    process.kill()
                    process.join()
                    kills[_left(folder)] += 1
                    n_of_fit += 1
                elif process.exitcode != 0:
                    raise RuntimeError(f"The fit {name!r} failed; see above.")
            with np.load(found) as again:
                same = all(np.array_equal(again[key], array) for key, array in arrays.items())
            counts["fits"] += 1
            counts["fits killed more than once"] += n_of_fit > 1
            counts["fits with other bits"] += not same
            if left := [path.name for path in folder.iterdir()]:
                raise RuntimeError(f"The fit {name!r} has left {left}.")
    return {"kills": sum(kills.values()), **kills, **counts}


def _undisturbed(
    context: Any, name: str, n_rows: int, space: Path
) -> tuple[dict[str, np.ndarray], float]:
    """Return what a fit without checkpoints finds, and how long it takes."""
    found = space / f"{name}.npz"
    begun = time.monotonic()
    process = context.Process(target=fit, args=(name, n_rows, None, str(found)))
    process.start()
    process.join()
    with np.load(found) as arrays:
        return dict(arrays), time.monotonic() - begun


def _left(folder: Path) -> str:
    """Return what a killed fit has left in its folder."""
    names = [path.name for path in folder.iterdir()] if folder.exists() else []
    if any(name.endswith(".new") for name in names):
        return "within a write"
    return "with one" if any(name.endswith(".ckpt") for name in names) else "without a checkpoint"


def main() -> None:
    """Kill fits, print the counts, and fail if a fit ended in other bits."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--rows", type=int, default=15_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="file for the counts")
    options = parser.parse_args()
    begun = time.monotonic()
    counts = kill_fits(options.kills, options.rows, options.seed)
    counts["seconds"] = round(time.monotonic() - begun)
    for name, count in counts.items():
        print(f"{name:28}{count:6}")
    if options.json is not None:
        options.json.write_text(json.dumps(counts, indent=1) + "\n")
    if counts["fits with other bits"]:
        raise SystemExit("Some fits ended in other bits than an undisturbed one.")


if __name__ == "__main__":
    main()
