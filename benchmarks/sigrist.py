"""Our network and models on our outputs beside published errors, on the published folds.

F. Sigrist (2023), "A Comparison of Machine Learning Methods for Data with High-Cardinality
Categorical Variables" (arXiv 2307.02071), gives errors of six models on two of its tables for
five folds each: gradient boosting with native categories ("boost_cat"), CatBoost, GPBoost, a linear
mixed model ("linear"; these four tuned), a plain embedding network ("embed") and LMMNN ("lmm").
IMDB has 38,190 directors, 1,712 types and 157 numbers, most of them indicators of words; InstEval
students, lecturers and departments, and what they rated. Ours have their defaults: the network, and
LightGBM and ridge on each output with the numbers beside it. Errors are mean squared errors.

Finished fits are kept in ``benchmarks/results/cache/sigrist`` and not repeated by the next run.

Run it with ``python benchmarks/sigrist.py [--data FOLDER] [--tables NAME ...] [--folds K ...]``.
"""

from __future__ import annotations

import argparse
import json
import os
import time
import warnings
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch and the others count the cores

import numpy as np
import pandas as pd
from _cache import CACHE, kept, mark_of, package_mark
from _common import write_results
from _ours import OUTPUTS, encode
from lightgbm import LGBMRegressor
from sklearn.linear_model import RidgeCV
from sklearn.metrics import mean_squared_error
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sk_entity_embed import EntityEmbeddingRegressor

PROTOCOL = 1  # raise it with every change of what is measured: kept results are then not used
TABLES = ("imdb", "inst_eval")
KINDS = ("network", "outputs")


class Fold:
    """Training and test rows of a published fold; `max_rows` bounds the training rows."""

    def __init__(self, frame: pd.DataFrame, about: dict[str, Any], fold: int, max_rows: int | None):
        self.categorical = about["categorical"]
        tested = (frame["fold"] == fold).to_numpy()
        train = np.flatnonzero(~tested)
        if max_rows is not None:
            train = np.sort(np.random.default_rng(0).permutation(train)[:max_rows])
        X = frame.drop(columns=["fold", about["target"]])
        X = X.astype(dict.fromkeys(self.categorical, str))
        y = frame[about["target"]].to_numpy(dtype=float)
        parts = (train, np.flatnonzero(tested))
        self.X = tuple(X.iloc[rows].reset_index(drop=True) for rows in parts)
        self.y = tuple(y[rows] for rows in parts)
        self.numbers = tuple(x.drop(columns=self.categorical).to_numpy(float) for x in self.X)

    def error(self, predicted: np.ndarray) -> float:
        """Mean squared error on the test rows."""
        return round(float(mean_squared_error(self.y[1], predicted)), 5)


def network(fold: Fold, seed: int) -> dict[str, Any]:
    """Our network as the model."""
    start = time.perf_counter()
    model = EntityEmbeddingRegressor(fold.categorical, random_state=seed).fit(fold.X[0], fold.y[0])
    error = fold.error(model.predict(fold.X[1]))
    return {"our network": {"error": error, "seconds": round(time.perf_counter() - start, 1)}}


def outputs(fold: Fold, seed: int) -> dict[str, Any]:
    """LightGBM and ridge on each output of one encoder; each has the whole time of its fit."""
    start = time.perf_counter()
    encoded = encode(fold.X, fold.y[0], fold.categorical, "continuous", seed, OUTPUTS)
    fit_seconds = time.perf_counter() - start
    found = {}
    for output, parts in encoded.items():
        train, test = (np.hstack(p) for p in zip(parts, fold.numbers, strict=True))
        models = {
            "LightGBM": LGBMRegressor(verbose=-1, n_jobs=1, random_state=seed),
            "ridge": make_pipeline(StandardScaler(), RidgeCV(np.logspace(-2, 4, 13))),
        }
        for name, model in models.items():
            start = time.perf_counter()
            error = fold.error(model.fit(train, fold.y[0]).predict(test))
            seconds = fit_seconds + time.perf_counter() - start
            found[f'{name} on "{output}"'] = {"error": error, "seconds": round(seconds, 1)}
    return found


def measure(args: argparse.Namespace, tables: list[str]) -> Iterator[dict[str, Any]]:
    """One record a table, fold, seed and model, new or kept from an earlier run."""
    published = json.loads((args.data / "sigrist" / "published.json").read_text())
    versions = [version(p) for p in ("lightgbm", "numpy", "scikit-learn", "torch")]
    mark = mark_of(PROTOCOL, package_mark(), OUTPUTS, *versions)
    for table in tables:
        frame = pd.read_parquet(args.data / "sigrist" / f"{table}.parquet")
        for number in args.folds:
            errors = published[table]["mean_squared_error_by_fold"]
            for model, values in errors.items():
                yield _record(table, number, None, f"{model} (published)", error=values[number])
            fold: Fold | None = None
            for seed, kind in ((s, k) for s in range(args.seeds) for k in args.models):
                name = f"{table}-{args.max_rows or 'all'}-fold{number}-{seed}-{kind}-{mark}.json"
                path = CACHE / "sigrist" / name
                if fold is None and (args.fresh or not path.exists()):
                    fold = Fold(frame, published[table], number, args.max_rows)
                function = network if kind == "network" else outputs
                found = kept(path, lambda f=function, d=fold, s=seed: f(d, s), args.fresh)
                for model, values in found.items():
                    record = _record(table, number, seed, model, **values)
                    print(
                        f"{table:>10} fold {number} seed {seed} {model:<24} "
                        f"{record['error']:.4f} {record['seconds']:7.1f} s",
                        flush=True,
                    )
                    yield record


def _record(table: str, fold: int, seed: int | None, model: str, **found: Any) -> dict[str, Any]:
    return {"table": table, "fold": fold, "seed": seed, "model": model, **found}


def summary(records: list[dict[str, Any]]) -> pd.DataFrame:
    """Mean squared error by table and fold, and the mean of these folds, best means first."""
    table = pd.DataFrame(records).pivot_table(
        index=["table", "model"], columns="fold", values="error"
    )
    table["mean"] = table.mean(axis=1)
    return table.sort_values(["table", "mean"])


def main() -> None:
    """Measure what is missing, then print and write everything."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--data", type=Path, default=os.environ.get("SK_ENTITY_EMBED_DATA"), help="folder of tables"
    )
    parser.add_argument("--quick", action="store_true", help="one fold, 6,000 training rows")
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=list(TABLES))
    parser.add_argument("--folds", nargs="+", type=int, choices=range(5), default=list(range(5)))
    parser.add_argument("--models", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--seeds", type=int, default=1, help="fits of each fold")
    parser.add_argument("--max-rows", type=int, help="training rows, at most")
    parser.add_argument("--fresh", action="store_true", help="measure again what was kept")
    parser.add_argument("--name", help="write results of a part under this name")
    args = parser.parse_args()
    if args.data is None or not (args.data / "sigrist").is_dir():
        raise SystemExit("Name the folder of tables: --data FOLDER or SK_ENTITY_EMBED_DATA.")
    if args.quick:
        args.folds, args.max_rows = args.folds[:1], 6_000
    warnings.simplefilter("ignore")
    records = list(measure(args, args.tables))
    result = summary(records).round(4)
    print(f"\nMean squared error by fold\n{result.to_string()}")
    complete = len(args.tables) == len(TABLES) and len(args.models) == len(KINDS)
    whole = complete and len(args.folds) == 5 and args.max_rows is None
    name = args.name or ("sigrist_quick" if args.quick else "sigrist")
    if not (whole or args.quick or args.name):
        print("\na part of the benchmark: nothing written but the cache; --name writes it")
        return
    rows = result.reset_index().rename(columns=str).to_dict(orient="records")
    write_results(
        name,
        {
            "max_rows": args.max_rows,
            "folds": args.folds,
            "seeds": args.seeds,
            "summary": rows,
            "records": records,
        },
    )


if __name__ == "__main__":
    main()
