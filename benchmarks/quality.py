"""The worth of encoded columns to downstream models, against every alternative.

For each table and seed (75/25 split, by date for Rossmann) every encoder is fitted with its
defaults on the training rows, and each downstream model is trained on what ``fit_transform``
gave. All encoders get the same strings; numeric columns go to every model beside them, and to
those encoders that can use them. k nearest neighbours see each encoder's output as it comes and
standardised, and the better counts. Scores are R2 or ROC AUC on the held-out rows.

``--max-rows 1000 2000 4000`` measures few rows: three quarters of them to train on, 10,000 and more
held out where the table has them. The mean over tables and the worst table are shown for each, and
results have a file of their own. ``--tables`` also knows tables that are not among the eight.

Finished fits are kept in ``benchmarks/results/cache`` and not repeated by the next run.

Run it with ``python benchmarks/quality.py [--quick] [--data FOLDER] [--max-rows N ...]``.
"""

from __future__ import annotations

import argparse
import gc
import os
import signal
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from _cache import CACHE, kept, mark_of, package_mark
from _common import RESULTS, write_results
from _ours import encode
from _report import BASE, print_report, save_figure, summary
from _tables import Split, load_split, tables
from category_encoders import CatBoostEncoder, GLMMEncoder, JamesSteinEncoder
from lightgbm import LGBMClassifier, LGBMRegressor
from scipy import sparse
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.metrics import r2_score, roc_auc_score
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler, TargetEncoder
from skrub import StringEncoder

MAX_ROWS = 40_000
PROTOCOL = 2  # raise it with every change of what is measured: kept results are then not used
OUT_OF_TIME = "not finished in time"
GLMM_LIMIT = 60  # seconds; a quarter of it in a quick run
HIGH_CARDINALITY = 40  # from where skrub encodes strings rather than making one column a category

OURS: dict[str, dict[str, Any]] = {"ours": {}, "ours, not cross-fitted": {"cross_fit": False}}
RIVALS: dict[str, Callable[[Split, int], Any]] = {
    "target encoder": lambda split, seed: TargetEncoder(
        target_type="binary" if split.binary else "continuous", random_state=seed
    ),
    "one-hot": lambda split, seed: OneHotEncoder(
        handle_unknown="infrequent_if_exist", min_frequency=5
    ),
    "ordinal": lambda split, seed: OrdinalEncoder(
        handle_unknown="use_encoded_value", unknown_value=-1
    ),
    "CatBoost encoder": lambda split, seed: CatBoostEncoder(random_state=seed),
    "James-Stein encoder": lambda split, seed: JamesSteinEncoder(random_state=seed),
    "GLMM encoder": lambda split, seed: GLMMEncoder(
        binomial_target=split.binary, random_state=seed
    ),
    "string encoder": lambda split, seed: _string_encoder(split, seed),
    "native categories": lambda split, seed: OrdinalEncoder(
        max_categories=254, handle_unknown="use_encoded_value", unknown_value=np.nan
    ),
}


def main() -> None:
    """Measure what is missing, then print, draw and write everything."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--data", type=Path, default=os.environ.get("SK_ENTITY_EMBED_DATA"), help="folder of tables"
    )
    parser.add_argument("--quick", action="store_true", help="few rows, one seed: five minutes")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--max-rows", type=int, nargs="+", default=[MAX_ROWS])
    parser.add_argument("--tables", nargs="+", help="only these; others than the eight, too")
    parser.add_argument("--encoders", nargs="+", choices=[*OURS, *RIVALS], default=[*OURS, *RIVALS])
    parser.add_argument("--fresh", action="store_true", help="measure again what was kept")
    parser.add_argument("--name", help="write results of a part under this name")
    args = parser.parse_args()
    if args.data is None or not args.data.is_dir():
        raise SystemExit("Name the folder of tables: --data FOLDER or SK_ENTITY_EMBED_DATA.")
    if args.quick:
        args.max_rows, args.seeds = [min(*args.max_rows, 6_000)], 1
    names = tables(args.data, args.tables)
    limit = GLMM_LIMIT // 4 if args.quick else GLMM_LIMIT
    parts, records, summaries = {}, [], []
    for rows in args.max_rows:
        seeds = range(args.seeds)
        found = list(_measure(args.data, names, seeds, args.encoders, rows, args.fresh, limit))
        records += [record | {"max_rows": rows} for record in found]
        parts[rows] = pd.DataFrame([row for record in found for row in _flat(record)])
    for rows, scores in parts.items():
        print(f"\n==== at most {rows:,} rows, {rows * 3 // 4:,} of them to train on ====")
        print_report(scores, goals=rows == MAX_ROWS)
        summaries += _summary_records(scores, rows)
    whole = not args.tables and len(args.encoders) == len(OURS) + len(RIVALS)
    if not (whole or args.name):
        print("\na part of the benchmark: nothing written but the cache; --name writes it")
        return
    usual = "quality" if args.max_rows == [MAX_ROWS] else "quality_few"
    name = args.name or ("quality_quick" if args.quick else usual)
    if whole and len(args.max_rows) == 1:
        save_figure(scores, RESULTS / f"{name}.png")
    about = {"max_rows": args.max_rows, "seeds": args.seeds}
    write_results(name, {**about, "summary": summaries, "records": records})


def _summary_records(scores: pd.DataFrame, rows: int) -> list[dict[str, Any]]:
    """The summary as records, with the number of rows it is of."""
    if BASE not in set(scores["encoder"]):
        return []
    return [
        {"max_rows": rows, "encoder": encoder, "model": model}
        | {k: v if isinstance(v, str) else round(float(v), 5) for k, v in found.items()}
        for (encoder, model), found in summary(scores).stack(0).iterrows()
    ]


def _measure(
    data: Path,
    names: list[str],
    seeds: range,
    encoders: list[str],
    max_rows: int,
    fresh: bool,
    glmm_limit: int,
) -> Iterator[dict[str, Any]]:
    """One record a table, seed and encoder, new or kept from an earlier run."""
    too_slow: set[str] = set()
    for name in names:
        for seed in seeds:
            split: Split | None = None
            for encoder in encoders:
                name_of_fit = f"{name}-{max_rows}-{seed}-{encoder}-{_mark(encoder)}.json"
                path = CACHE / "quality" / name_of_fit
                if split is None and (fresh or not path.exists()):
                    split = load_split(name, data, max_rows, seed)
                slow = encoder == "GLMM encoder" and name in too_slow
                measured = partial(_evaluate, encoder, split, seed, 0 if slow else glmm_limit)
                record = {"table": name, "seed": seed, "encoder": encoder}
                record |= kept(path, measured, fresh)
                if "outputs" not in record and record.get("failed", OUT_OF_TIME) == OUT_OF_TIME:
                    too_slow.add(name)
                print(_line(record), flush=True)
                yield record


def _evaluate(encoder: str, split: Split, seed: int, glmm_limit: int) -> dict[str, Any]:
    """Fit one encoder, and every downstream model on each of its outputs."""
    if encoder == "GLMM encoder" and not glmm_limit:
        return {"failed": OUT_OF_TIME}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _reset_peak_memory()
        before = _memory_mb("VmRSS")
        start = time.perf_counter()
        try:
            with _limit(glmm_limit if encoder == "GLMM encoder" else None):
                encoded = (encode_ours if encoder in OURS else _encode)(encoder, split, seed)
        except TimeoutError:
            return {"failed": OUT_OF_TIME}
        except (ValueError, np.linalg.LinAlgError) as error:
            if encoder in OURS:
                raise
            return {"failed": str(error)}
        seconds = time.perf_counter() - start
        peak = _memory_mb("VmHWM") - before
        outputs = {
            output: {"width": train.shape[1], **score_models(encoder, split, train, test, seed)}
            for output, (train, test) in encoded.items()
        }
    return {"fit_seconds": round(seconds, 2), "peak_mb": round(peak), "outputs": outputs}


def encode_ours(encoder: str, split: Split, seed: int) -> dict[str, tuple[Any, Any]]:
    """One fit with all outputs, cut into the three that could have been asked for."""
    train, test = (
        pd.concat([c, n], axis=1) for c, n in zip(split.categories, split.numbers, strict=True)
    )
    return encode(
        (train, test),
        split.y[0],
        list(split.categories[0].columns),
        "binary" if split.binary else "continuous",
        seed,
        **OURS[encoder],
    )


def _encode(encoder: str, split: Split, seed: int) -> dict[str, tuple[Any, Any]]:
    estimator = RIVALS[encoder](split, seed)
    train, test = split.categories
    return {
        "": (_array(estimator.fit_transform(train, split.y[0])), _array(estimator.transform(test)))
    }


def _array(output: Any) -> Any:
    return output.tocsr() if sparse.issparse(output) else np.asarray(output, dtype=np.float64)


def score_models(
    encoder: str,
    split: Split,
    train: Any,
    test: Any,
    seed: int,
    wanted: Sequence[str] = ("LightGBM", "linear", "k-NN"),
) -> dict[str, float]:
    """Held-out score of each downstream model that is wanted."""
    numbers = tuple(n.to_numpy() for n in split.numbers)
    if encoder == "native categories":
        model = (HistGradientBoostingClassifier if split.binary else HistGradientBoostingRegressor)(
            categorical_features=list(range(train.shape[1])), random_state=seed
        )
        return {"HGB": _score(model, _beside(train, numbers[0]), _beside(test, numbers[1]), split)}
    scores = {}
    model = (LGBMClassifier if split.binary else LGBMRegressor)(
        verbose=-1, n_jobs=1, random_state=seed
    )
    raw = _beside(train, numbers[0]), _beside(test, numbers[1])
    scores["LightGBM"] = _score(model, *raw, split)
    if numbers[0].shape[1]:
        scale = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
        numbers = scale.fit_transform(numbers[0]), scale.transform(numbers[1])
    plain = _beside(train, numbers[0]), _beside(test, numbers[1])
    scale = StandardScaler(with_mean=not sparse.issparse(train))
    scaled = scale.fit_transform(plain[0]), scale.transform(plain[1])
    linear = LogisticRegression(max_iter=500) if split.binary else RidgeCV(np.logspace(-2, 4, 13))
    # 0/1 columns standardised would give the rarest levels the largest numbers
    scores["linear"] = _score(linear, *(plain if sparse.issparse(train) else scaled), split)
    if "k-NN" not in wanted:
        return scores
    neighbours = (KNeighborsClassifier if split.binary else KNeighborsRegressor)(n_neighbors=15)
    scores["k-NN, as it comes"] = _score(neighbours, *plain, split)
    scores["k-NN, standardised"] = _score(neighbours, *scaled, split)
    scores["k-NN"] = max(scores["k-NN, as it comes"], scores["k-NN, standardised"])
    return scores


def _score(model: Any, train: Any, test: Any, split: Split) -> float:
    model.fit(train, split.y[0])
    if split.binary:
        return round(float(roc_auc_score(split.y[1], model.predict_proba(test)[:, 1])), 5)
    return round(float(r2_score(split.y[1], model.predict(test))), 5)


def _beside(encoded: Any, numbers: np.ndarray) -> Any:
    """Encoded columns and numbers in one matrix."""
    if sparse.issparse(encoded):
        return sparse.hstack([encoded, sparse.csr_array(numbers)], format="csr")
    return np.hstack([encoded, numbers])


def _string_encoder(split: Split, seed: int) -> Any:
    """skrub's StringEncoder, one-hot below skrub's own limit of cardinality."""
    train = split.categories[0]
    many = [c for c in train if train[c].nunique() >= HIGH_CARDINALITY]
    few = [c for c in train if c not in many]
    one_hot = OneHotEncoder(handle_unknown="ignore", drop="if_binary", sparse_output=False)
    return make_column_transformer(
        (one_hot, few), *((StringEncoder(random_state=seed), c) for c in many)
    )


@contextmanager
def _limit(seconds: int | None) -> Iterator[None]:
    """Raise TimeoutError after a while."""

    def stop(*_: Any) -> None:
        raise TimeoutError

    if seconds is None:
        yield
        return
    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _reset_peak_memory() -> None:
    gc.collect()
    with suppress(OSError):  # Linux only
        Path("/proc/self/clear_refs").write_text("5")


def _memory_mb(field: str) -> float:
    """A figure of this process's memory in MB; NaN where there is no /proc."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return float("nan")
    return int(status.split(f"{field}:")[1].split()[0]) / 1024


def _mark(encoder: str) -> str:
    """Changes with whatever could change an encoder's results."""
    packages = ["lightgbm", "scikit-learn", "category-encoders", "skrub", "torch", "numpy"]
    ours = package_mark() if encoder in OURS else ""
    return mark_of(PROTOCOL, OURS.get(encoder), *map(version, packages), ours)


def _flat(record: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A row for each output and downstream model."""
    for output, scores in record.get("outputs", {}).items():
        encoder = f"{record['encoder']}: {output}" if output else record["encoder"]
        if encoder.startswith("ours: "):
            encoder = f'"{output}"'
        for model, score in scores.items():
            if model != "width":
                yield {
                    "table": record["table"],
                    "seed": record["seed"],
                    "encoder": encoder,
                    "model": model,
                    "score": score,
                    "width": scores["width"],
                    "seconds": record["fit_seconds"],
                    "peak_mb": record["peak_mb"],
                }


def _line(record: dict[str, Any]) -> str:
    where = f"{record['table']:>18} {record['seed']} {record['encoder']:<24}"
    if "outputs" not in record:
        return f"{where} {record.get('failed', OUT_OF_TIME)}"
    first = next(iter(record["outputs"].values()))
    return f"{where} {record['fit_seconds']:7.1f} s  " + "  ".join(
        f"{m} {first[m]:.4f}" for m in ("linear", "LightGBM", "k-NN", "HGB") if m in first
    )


if __name__ == "__main__":
    main()
