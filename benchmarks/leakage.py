"""What cross-fitting is worth: noise columns, the leak gap, and the trace of a target.

1. A column of 8,000 random levels is added to 40,000 flights; a logistic regression on the encoded
   columns should hardly notice.
2. The leak gap, train minus test AUC of a downstream model, at 1,500 and 40,000 rows.
3. The trace that a row's own target leaves in its features: with random labels there is nothing
   to learn, so whatever predicts the labels of training rows from their features has leaked. The
   columns are those of flights, numbers as context, and ids that occur once; or such ids alone.
   A mean within two standard errors of 0.5 is no trace. Encoders that are not cross-fitted show
   that the measurement sees one.
4. Ids that occur once beside a real column: what they take from the score on new rows.

Results are kept in ``benchmarks/results/cache/leakage`` by the package's source.

Run it with ``python benchmarks/leakage.py [--quick] [--seeds N] [--parts NAME ...]``.
"""

from __future__ import annotations

import argparse
import os
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch and the others count the cores

import numpy as np
import pandas as pd
from _cache import CACHE, kept, mark_of, package_mark
from _common import load_flights, write_results
from _ours import OUTPUTS, encode
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import (
    StratifiedKFold,
    cross_val_score,
    train_test_split,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, OneHotEncoder, StandardScaler, TargetEncoder

from sk_entity_embed import EntityEmbeddingEncoder

PROTOCOL = 1  # raise it with every change of what is measured: kept results are then not used
N_LEVELS = 8_000
N_NUMBERS = 4
LABEL_SEEDS = {500: 12, 1_500: 8, 5_000: 4, 20_000: 2}  # times --seeds: fewer rows, more noise
ONCE_SEEDS = {500: 4, 1_500: 4, 5_000: 2}
CONTROL_ROWS = 1_500  # at which encoders that are not cross-fitted are measured, too
Rows = list[dict[str, Any]]


def ours(seed: int, **parameters: object) -> EntityEmbeddingEncoder:
    return EntityEmbeddingEncoder("all", random_state=seed, **parameters)


def target_encoder(seed: int) -> TargetEncoder:
    return TargetEncoder(cv=StratifiedKFold(5, shuffle=True, random_state=seed))


def logistic() -> object:
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=300))


MODELS: dict[str, Callable[[], Any]] = {
    "logistic": logistic,
    "boosting": lambda: HistGradientBoostingClassifier(random_state=0),
}


def scores(encoder: object, model: object, split: list) -> tuple[float, float]:
    """Train and test AUC of a model on encoded columns; training rows by fit_transform."""
    X_train, X_test, y_train, y_test = split
    train = encoder.fit_transform(X_train, y_train)
    model.fit(train, y_train)
    return (
        roc_auc_score(y_train, model.predict_proba(train)[:, 1]),
        roc_auc_score(y_test, model.predict_proba(encoder.transform(X_test))[:, 1]),
    )


def split_flights(n_rows: int, seed: int) -> list:
    X, late, _ = load_flights(n_rows, seed)
    return train_test_split(X, late, test_size=0.25, stratify=late, random_state=seed)


def noise(n_rows: int, seed: int) -> Rows:
    """Test AUC of a logistic regression without and with the random column."""
    X, late, _ = load_flights(n_rows, seed)
    levels = np.random.default_rng(seed).integers(0, N_LEVELS, len(X))
    noisy = X.assign(noise=np.char.add("level ", levels.astype(str)))
    encoders: dict[str, Callable[[], Any]] = {
        "one-hot": lambda: OneHotEncoder(handle_unknown="ignore"),
        "TargetEncoder": lambda: target_encoder(seed),
        "embeddings": lambda: ours(seed),
        "embeddings, cross_fit=False": lambda: ours(seed, cross_fit=False),
    }
    rows = []
    for name, make in encoders.items():
        one_hot = make_pipeline(MaxAbsScaler(), LogisticRegression(max_iter=300))
        tests = [
            scores(
                make(),
                one_hot if name == "one-hot" else logistic(),
                train_test_split(t, late, test_size=0.25, stratify=late, random_state=seed),
            )[1]
            for t in (X, noisy)
        ]
        found = {"AUC": tests[0], "with noise": tests[1], "cost": tests[0] - tests[1]}
        rows.append({"encoder": name, **found})
    return rows


def leak_gap(n_rows: int, seed: int) -> Rows:
    """Train minus test AUC by number of rows, encoder and downstream model."""
    split = split_flights(n_rows, seed)
    X_train, X_test, y_train, _ = split
    encoded = encode((X_train, X_test), y_train, list(X_train), "binary", seed, OUTPUTS)
    without = ours(seed, cross_fit=False)
    encoded["embedding, cross_fit=False"] = _encoded(without, split)
    encoded = {"TargetEncoder": _encoded(target_encoder(seed), split), **encoded}
    rows = []
    for name, (train, test) in encoded.items():
        for model_name, make in MODELS.items():
            model = make().fit(train, y_train)
            aucs = [
                roc_auc_score(y, model.predict_proba(X)[:, 1])
                for X, y in ((train, y_train), (test, split[3]))
            ]
            found = {"train AUC": aucs[0], "test AUC": aucs[1], "leak gap": aucs[0] - aucs[1]}
            rows.append({"rows": n_rows, "model": model_name, "features": name, **found})
    return rows


def _encoded(encoder: Any, split: list) -> tuple[np.ndarray, np.ndarray]:
    return encoder.fit_transform(split[0], split[2]), encoder.transform(split[1])


def random_labels(n_rows: int, seed: int) -> Rows:
    """Cross-validated AUC for random labels from training rows' features: 0.5 is no trace."""
    rng = np.random.default_rng(seed)
    flights, _, _ = load_flights(n_rows, seed)
    labels = rng.integers(0, 2, n_rows)
    ids = pd.DataFrame({"id": np.char.add("id ", rng.permutation(n_rows).astype(str))})
    numbers = pd.DataFrame(
        rng.normal(size=(n_rows, N_NUMBERS)), columns=[f"number{i}" for i in range(N_NUMBERS)]
    )
    tables = {"flights, numbers, ids": (flights.join(ids), numbers), "ids alone": (ids, None)}
    rows = []
    for columns, (X, context) in tables.items():
        given = X if context is None else X.join(context)
        encoded = encode((given, given[:1]), labels, list(X), "binary", seed, OUTPUTS)
        features = {name: train for name, (train, _) in encoded.items()}
        features["TargetEncoder"] = target_encoder(seed).fit_transform(X, labels)
        if n_rows == CONTROL_ROWS and seed < 3:
            features["TargetEncoder, not cross-fitted"] = (
                target_encoder(seed).fit(X, labels).transform(X)
            )
            features["embedding, cross_fit=False"] = EntityEmbeddingEncoder(
                list(X), cross_fit=False, random_state=seed
            ).fit_transform(given, labels)
        for name, train in features.items():
            for model_name, make in MODELS.items():
                folds = StratifiedKFold(5, shuffle=True, random_state=1_000 + seed)
                auc = cross_val_score(make(), train, labels, cv=folds, scoring="roc_auc").mean()
                about = {"rows": n_rows, "columns": columns, "model": model_name}
                rows.append({**about, "features": name, "AUC": auc})
    return rows


def ids_that_occur_once(n_rows: int, seed: int) -> Rows:
    """AUC on new rows with a real column alone, and with ids that occur once beside it."""
    rng = np.random.default_rng(seed)
    n_test = 10_000
    effects = rng.normal(0, 1.2, 50)
    codes = rng.integers(0, 50, n_rows + n_test)
    y = (rng.random(len(codes)) < 1 / (1 + np.exp(-effects[codes]))).astype(int)
    X = pd.DataFrame({"real": np.char.add("level ", codes.astype(str))})
    ids = X.assign(id=np.char.add("id ", rng.permutation(len(codes)).astype(str)))
    aucs: dict[tuple[str, str], list[float]] = {}
    for table in (X, ids):
        train, test = table[:n_rows], table[n_rows:].reset_index(drop=True)
        split = [train, test, y[:n_rows], y[n_rows:]]
        encoded = encode((train, test), y[:n_rows], list(table), "binary", seed, OUTPUTS)
        encoded["TargetEncoder"] = _encoded(target_encoder(seed), split)
        for name, (seen, new) in encoded.items():
            for model_name, make in MODELS.items():
                model = make().fit(seen, y[:n_rows])
                auc = roc_auc_score(y[n_rows:], model.predict_proba(new)[:, 1])
                aucs.setdefault((model_name, name), []).append(auc)
    return [
        {"rows": n_rows, "model": m, "features": f, "real alone": a, "with ids": b, "change": b - a}
        for (m, f), (a, b) in aucs.items()
    ]


@dataclass(frozen=True, slots=True)
class Part:
    """A measurement: its title, function, seeds by number of rows, and what to average over."""

    title: str
    measure: Callable[[int, int], Rows]
    seeds: dict[int, int]
    keys: list[str]

    def records(self, name: str, factor: int, max_rows: int) -> Iterator[dict[str, Any]]:
        """What was measured for every number of rows and seed, new or kept from an earlier run."""
        mark = mark_of(PROTOCOL, package_mark(), OUTPUTS)
        for n_rows, times in self.seeds.items():
            for seed in range(times * factor if n_rows <= max_rows else 0):
                path = CACHE / "leakage" / f"{name}-{n_rows}-{seed}-{mark}.json"
                yield from kept(path, lambda n=n_rows, s=seed: {"rows": self.measure(n, s)})["rows"]


PARTS = {
    "noise": Part(
        "A column of 8,000 random levels, 40,000 flights, logistic regression",
        noise,
        {40_000: 1},
        ["encoder"],
    ),
    "leak_gap": Part(
        "Leak gap: train minus test AUC of flights",
        leak_gap,
        {1_500: 1, 40_000: 1},
        ["rows", "model", "features"],
    ),
    "random_labels": Part(
        "Trace: random labels predicted from training rows' own features; 0.5 is none",
        random_labels,
        LABEL_SEEDS,
        ["columns", "model", "features", "rows"],
    ),
    "ids_that_occur_once": Part(
        "Ids that occur once beside a real column: AUC on new rows",
        ids_that_occur_once,
        ONCE_SEEDS,
        ["model", "features", "rows"],
    ),
}


def trace_table(records: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Mean, standard error, and distance from 0.5 in standard errors; 0 where all are 0.5."""
    grouped = records.groupby(keys, sort=False)["AUC"]
    table = pd.DataFrame({"AUC": grouped.mean(), "SE": grouped.sem(), "seeds": grouped.count()})
    distance = table["AUC"] - 0.5
    table["SEs from 0.5"] = (distance / table["SE"]).where(distance.abs() > 1e-9, 0.0)
    return table


def once_table(records: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Means, and of the change its standard error and worst seed."""
    grouped = records.groupby(keys, sort=False)
    table = grouped[["real alone", "with ids", "change"]].mean()
    table["SE"], table["worst"] = grouped["change"].sem(), grouped["change"].min()
    return table


def main() -> None:
    """Measure what is missing, then print and write everything."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="traces at few rows, fewer seeds")
    parser.add_argument("--seeds", type=int, default=3, help="random splits to average over")
    parser.add_argument("--max-rows", type=int, default=40_000)
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--name", help="write results of a part under this name")
    args = parser.parse_args()
    if args.quick:
        args.seeds, args.max_rows = 1, 1_500
    warnings.simplefilter("ignore")
    results: dict[str, Any] = {"seeds": args.seeds, "max_rows": args.max_rows}
    for name in args.parts:
        part = PARTS[name]
        records = pd.DataFrame(part.records(name, args.seeds, args.max_rows))
        if records.empty:
            continue
        if name == "random_labels":
            table = trace_table(records, part.keys)
            of_ours = table.index.get_level_values("features").isin(OUTPUTS)
            beyond = table[of_ours & (table["SEs from 0.5"].abs() > 2)]
        elif name == "ids_that_occur_once":
            table = once_table(records, part.keys)
        else:
            table = records.groupby(part.keys, sort=False).mean()
        print(f"\n{part.title}\n{table.round(4).to_string()}", flush=True)
        if name == "random_labels":
            shown = "none" if beyond.empty else "\n" + beyond.round(4).to_string()
            print(f"\nOf ours, beyond two standard errors of 0.5: {shown}")
        if name == "noise":
            cost = float(table.loc["embeddings", "cost"])
            results["noise_costs_less_than_0.01"] = cost < 0.01
            print(f"noise costs embeddings {cost:.4f} AUC; less than 0.01: {cost < 0.01}")
        results[name] = table.round(4).reset_index().to_dict(orient="records")
    whole = len(args.parts) == len(PARTS) and (args.quick or args.max_rows >= 40_000)
    if not (whole or args.name):
        print("\na part of the benchmark: nothing written but the cache; --name writes it")
        return
    write_results(args.name or ("leakage_quick" if args.quick else "leakage"), results)


if __name__ == "__main__":
    main()
