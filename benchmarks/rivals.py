"""Whole models with their defaults: what a user would pick instead, and what we put against it.

On each of the eight tables (at most 40,000 rows, a quarter held out, by date for Rossmann) every
model is given the same strings and numbers: gradient boosting that takes categories itself, on
scikit-learn's TargetEncoder, networks for tables, and ours: the network alone, and LightGBM on
each output with the numbers beside it. Scores are R2 or ROC AUC on the held-out rows. Every model
runs in one thread. "LightGBM, tuned" chooses ``cat_smooth`` and ``min_data_per_group`` on a
quarter of the training rows; nothing else is tuned.

CatBoost, XGBoost, RealMLP and TabM have an environment of their own, made once in the folder given
by ``--environments``. A model that takes longer than ``--limit`` on a table is stopped there, and
not tried on tables that are larger.

Finished fits are kept in ``benchmarks/results/cache/rivals`` and not repeated by the next run:
rivals by their version, ours by the package's source.

Run it with ``python benchmarks/rivals.py [--quick] [--data FOLDER] [--models NAME ...]``.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch and the others count the cores

import numpy as np
import pandas as pd
from _cache import CACHE, kept, mark_of, package_mark
from _common import write_results
from _environments import WHOLE_MODELS, EnvironmentUnavailable, python_of
from _ours import OUTPUTS, encode
from _rivals_models import MODELS, save_split
from _rivals_report import print_report, summary
from _tables import Split, load_split, tables
from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn.metrics import r2_score, roc_auc_score

from sk_entity_embed import EntityEmbeddingClassifier, EntityEmbeddingRegressor

HERE = Path(__file__).parent
PROTOCOL = 1  # raise it with every change of what is measured: kept results are then not used
OUT_OF_TIME = "not finished in time"
NETWORK = "our network"
ON_OURS = {output: f'LightGBM on "{output}"' for output in OUTPUTS}
OURS = (NETWORK, *ON_OURS.values())
SLOW = ("LightGBM, tuned", "RealMLP", "TabM")  # not in a quick run
PACKAGES = {  # whose versions decide a rival's results; those of the other environment are pinned
    "LightGBM": ("lightgbm",),
    "LightGBM, tuned": ("lightgbm",),
    "HistGradientBoosting": ("scikit-learn",),
    "LightGBM on TargetEncoder": ("lightgbm", "scikit-learn"),
    "CatBoost": ("catboost",),
    "XGBoost": ("xgboost-cpu",),
    "RealMLP": ("pytabkit",),
    "TabM": ("pytabkit", "tabm"),
}
PINS = dict(r.split("==") for r in WHOLE_MODELS.requirements if "==" in r)


@dataclass
class Table:
    """A table's rows, read when the first model needs them."""

    name: str
    data: Path
    max_rows: int
    seed: int
    folder: Path

    @cached_property
    def split(self) -> Split:
        """Training and test rows."""
        return load_split(self.name, self.data, self.max_rows, self.seed)

    @cached_property
    def file(self) -> Path:
        """The same for scripts."""
        path = self.folder / f"{self.name}-{self.seed}.pickle"
        save_split(self.split, path)
        return path


class Bench:
    """Measures models, or finds what was kept of them.

    Parameters
    ----------
    environments : Path
        Where the environment of other libraries is kept.
    limit : float
        Seconds that a rival may take on a table.
    fresh : bool
        Whether to measure again what was kept.
    """

    def __init__(self, environments: Path, limit: float, fresh: bool) -> None:
        self.environments, self.limit, self.fresh = environments, limit, fresh
        self.too_large: dict[str, int] = {}  # rows at which a model ran out of time
        self.unavailable: str | None = None

    def records(self, table: Table, models: list[str]) -> Iterator[dict[str, Any]]:
        """One record a model: its score and seconds, or why there are none."""
        about = {"table": table.name, "seed": table.seed}
        for model in (m for m in models if m in MODELS):
            yield about | {"model": model} | self._rival(table, model)
        if NETWORK in models:
            yield about | {"model": NETWORK} | self._kept(table, "network", measure_network)
        if wanted := [o for o, model in ON_OURS.items() if model in models]:
            found = self._kept(table, "encoder", measure_encoder)
            yield from (about | {"model": ON_OURS[o]} | found[o] for o in wanted)

    def _kept(self, table: Table, name: str, measure: Any) -> dict[str, Any]:
        versions = [version(p) for p in ("lightgbm", "numpy", "torch")]
        mark = mark_of(PROTOCOL, package_mark(), OUTPUTS, *versions)
        return kept(_path(table, name, mark), lambda: measure(table.split, table.seed), self.fresh)

    def _rival(self, table: Table, model: str) -> dict[str, Any]:
        packages = PACKAGES[model]
        versions = [PINS[p] if p in PINS else version(p) for p in packages]
        path = _path(table, model, mark_of(PROTOCOL, *versions))
        again = self.fresh
        if path.exists():
            before = json.loads(path.read_text())
            again |= "score" not in before and before.get("limit", 0) < self.limit
        if path.exists() and not again:
            found: dict[str, Any] = before
        else:
            found = self._run(table, model, own=packages[0] not in PINS)
            if "unavailable" in found:  # which may be otherwise another time
                return {"failed": found["unavailable"]}
            kept(path, lambda: found, again)
        if "limit" in found:
            n = len(table.split.y[0])
            self.too_large[model] = min(n, self.too_large.get(model, n))
        return found

    def _run(self, table: Table, model: str, own: bool) -> dict[str, Any]:
        """Run a model's script and read what it measured."""
        if len(table.split.y[0]) >= self.too_large.get(model, np.inf):
            return {"failed": OUT_OF_TIME, "limit": self.limit}
        try:
            python = sys.executable if own else self._python()
        except EnvironmentUnavailable as error:
            return {"unavailable": f"its environment cannot be made: {error}"}
        script = [python, str(HERE / "_rivals_models.py"), model]
        try:
            done = subprocess.run(
                [*script, str(table.file), str(table.seed)],
                capture_output=True,
                text=True,
                timeout=self.limit,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return {"failed": OUT_OF_TIME, "limit": self.limit}
        if done.returncode:
            return {"failed": (done.stderr.strip().splitlines() or ["no message"])[-1][:300]}
        found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
        return found

    def _python(self) -> str:
        """Interpreter of the other environment; it is tried once."""
        if self.unavailable is not None:
            raise EnvironmentUnavailable(self.unavailable)
        try:
            return str(python_of(WHOLE_MODELS, self.environments))
        except EnvironmentUnavailable as error:
            self.unavailable = str(error)
            raise


def _path(table: Table, name: str, mark: str) -> Path:
    return CACHE / "rivals" / f"{table.name}-{table.max_rows}-{table.seed}-{name}-{mark}.json"


def measure_network(split: Split, seed: int) -> dict[str, Any]:
    """Our network as the model."""
    model = EntityEmbeddingClassifier if split.binary else EntityEmbeddingRegressor
    train, test = _tables(split)
    start = time.perf_counter()
    model = model(list(split.categories[0]), random_state=seed).fit(train, split.y[0])
    found = _score(split, model, test)
    return {"score": found, "seconds": round(time.perf_counter() - start, 2)}


def measure_encoder(split: Split, seed: int) -> dict[str, Any]:
    """LightGBM on every output of one fit; each has the whole time of the fit."""
    start = time.perf_counter()
    encoded = encode(
        _tables(split),
        split.y[0],
        list(split.categories[0]),
        "binary" if split.binary else "continuous",
        seed,
        OUTPUTS,
    )
    fit_seconds = time.perf_counter() - start
    found = {}
    for output, parts in encoded.items():
        start = time.perf_counter()
        train, test = (
            np.hstack([part, numbers.to_numpy()])
            for part, numbers in zip(parts, split.numbers, strict=True)
        )
        model = LGBMClassifier if split.binary else LGBMRegressor
        model = model(verbose=-1, n_jobs=1, random_state=seed).fit(train, split.y[0])
        found[output] = {
            "score": _score(split, model, test),
            "seconds": round(fit_seconds + time.perf_counter() - start, 2),
        }
    return found


def _tables(split: Split) -> tuple[pd.DataFrame, pd.DataFrame]:
    train, test = (
        pd.concat(parts, axis=1) for parts in zip(split.categories, split.numbers, strict=True)
    )
    return train, test


def _score(split: Split, model: Any, test: Any) -> float:
    if split.binary:
        return round(float(roc_auc_score(split.y[1], model.predict_proba(test)[:, 1])), 5)
    return round(float(r2_score(split.y[1], model.predict(test))), 5)


def main() -> None:
    """Measure what is missing, then print and write everything."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--data", type=Path, default=os.environ.get("SK_ENTITY_EMBED_DATA"), help="folder of tables"
    )
    everything = [*MODELS, *OURS]
    parser.add_argument("--quick", action="store_true", help="few rows, one seed, no slow models")
    parser.add_argument("--seeds", type=int, default=3, help="number of random splits")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--max-rows", type=int, default=40_000)
    parser.add_argument("--tables", nargs="+", help="only these; others than the eight, too")
    parser.add_argument("--models", nargs="+", choices=everything, help="only these")
    parser.add_argument("--limit", type=float, default=300, help="seconds for a rival and table")
    parser.add_argument("--environments", type=Path, default=CACHE / "environments")
    parser.add_argument("--fresh", action="store_true", help="measure again what was kept")
    parser.add_argument("--name", help="write results of a part under this name")
    args = parser.parse_args()
    if args.data is None or not args.data.is_dir():
        raise SystemExit("Name the folder of tables: --data FOLDER or SK_ENTITY_EMBED_DATA.")
    if args.quick:
        args.max_rows, args.seeds = min(args.max_rows, 6_000), 1
    models = args.models or [m for m in everything if not (args.quick and m in SLOW)]
    warnings.simplefilter("ignore")
    bench = Bench(args.environments, args.limit, args.fresh)
    seeds = range(args.first_seed, args.first_seed + args.seeds)
    records = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in seeds:
            for name in tables(args.data, args.tables):
                table = Table(name, args.data, args.max_rows, seed, Path(folder))
                for record in bench.records(table, models):
                    print(_line(record), flush=True)
                    records.append(record)
    scores = pd.DataFrame([r for r in records if "score" in r])
    print_report(scores)
    name = args.name or ("rivals_quick" if args.quick else "rivals")
    if (args.tables or args.models) and not args.name:
        print("\na part of the benchmark: nothing written but the cache; --name writes it")
        return
    rows = summary(scores).round(5).reset_index().to_dict(orient="records")
    write_results(
        name,
        {"max_rows": args.max_rows, "seeds": list(seeds), "summary": rows, "records": records},
    )


def _line(record: dict[str, Any]) -> str:
    where = f"{record['table']:>18} {record['seed']} {record['model']:<26}"
    if "score" not in record:
        return f"{where} {record['failed']}"
    return f"{where} {record['score']:.4f} {record['seconds']:8.1f} s"


if __name__ == "__main__":
    main()
