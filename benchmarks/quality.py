"""The worth of encoded columns to downstream models, against every alternative.

For each table and seed (75/25 split, by date for Rossmann) every encoder is fitted with its
defaults on the training rows, and each downstream model is trained on what ``fit_transform``
gave. All encoders get the same strings; numeric columns go to every model beside them, and to
those encoders that can use them. k nearest neighbours see each encoder's output as it comes and
standardised, and the better counts. Scores are R2 or ROC AUC on the held-out rows.

Finished fits are kept in ``benchmarks/results/cache`` and not repeated by the next run.

Run it with ``python benchmarks/quality.py [--quick] [--data FOLDER]``.
"""

from __future__ import annotations

import argparse
import ast
import gc
import hashlib
import json
import os
import signal
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from _common import RESULTS, write_results
from _report import print_report, save_figure
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

import sk_entity_embed
from sk_entity_embed import EntityEmbeddingEncoder

CACHE = RESULTS / "cache" / "quality"
PROTOCOL = 1  # raise it with every change of what is measured: kept results are then not used
REPORTING = {"report.py", "comparison.py"}  # modules that no fit runs
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
    parser.add_argument("--max-rows", type=int, default=40_000)
    parser.add_argument("--tables", nargs="+", help="only these")
    parser.add_argument("--encoders", nargs="+", choices=[*OURS, *RIVALS], default=[*OURS, *RIVALS])
    parser.add_argument("--fresh", action="store_true", help="measure again what was kept")
    args = parser.parse_args()
    if args.data is None or not args.data.is_dir():
        raise SystemExit("Name the folder of tables: --data FOLDER or SK_ENTITY_EMBED_DATA.")
    if args.quick:
        args.max_rows, args.seeds = min(args.max_rows, 6_000), 1
    names = [n for n in tables(args.data) if not args.tables or n in args.tables]
    records = list(
        _measure(
            args.data,
            names,
            range(args.seeds),
            args.encoders,
            args.max_rows,
            args.fresh,
            GLMM_LIMIT // 4 if args.quick else GLMM_LIMIT,
        )
    )
    scores = pd.DataFrame([row for record in records for row in _flat(record)])
    print_report(scores)
    if args.tables or len(args.encoders) < len(OURS) + len(RIVALS):
        print("\na part of the benchmark: nothing written but the cache")
        return
    name = "quality_quick" if args.quick else "quality"
    save_figure(scores, RESULTS / f"{name}.png")
    write_results(name, {"max_rows": args.max_rows, "seeds": args.seeds, "records": records})


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
                path = CACHE / f"{name}-{max_rows}-{seed}-{encoder}-{_mark(encoder)}.json"
                if path.exists() and not fresh:
                    record = json.loads(path.read_text())
                else:
                    if split is None:
                        split = load_split(name, data, max_rows, seed)
                    slow = encoder == "GLMM encoder" and name in too_slow
                    record = {"table": name, "seed": seed, "encoder": encoder}
                    record |= (
                        {"failed": OUT_OF_TIME}
                        if slow
                        else _evaluate(encoder, split, seed, glmm_limit)
                    )
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_text(json.dumps(record))
                if "outputs" not in record and record.get("failed", OUT_OF_TIME) == OUT_OF_TIME:
                    too_slow.add(name)
                print(_line(record), flush=True)
                yield record


def _evaluate(encoder: str, split: Split, seed: int, glmm_limit: int) -> dict[str, Any]:
    """Fit one encoder, and every downstream model on each of its outputs."""
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
    estimator = EntityEmbeddingEncoder(
        list(split.categories[0].columns),
        output="both",
        target_type="binary" if split.binary else "continuous",
        random_state=seed,
        **OURS[encoder],
    )
    both = (estimator.fit_transform(train, split.y[0]), estimator.transform(test))
    edge = sum(estimator.dimensions_.values())
    return {
        "embedding": (both[0][:, :edge], both[1][:, :edge]),
        "hidden": (both[0][:, edge:], both[1][:, edge:]),
        "both": both,
    }


def _encode(encoder: str, split: Split, seed: int) -> dict[str, tuple[Any, Any]]:
    estimator = RIVALS[encoder](split, seed)
    train, test = split.categories
    return {
        "": (_array(estimator.fit_transform(train, split.y[0])), _array(estimator.transform(test)))
    }


def _array(output: Any) -> Any:
    return output.tocsr() if sparse.issparse(output) else np.asarray(output, dtype=np.float64)


def score_models(encoder: str, split: Split, train: Any, test: Any, seed: int) -> dict[str, float]:
    """Held-out score of each downstream model."""
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


@cache
def _mark(encoder: str) -> str:
    """Changes with whatever could change an encoder's results."""
    text = f"{PROTOCOL} {OURS.get(encoder)}"
    packages = ["lightgbm", "scikit-learn", "category-encoders", "skrub", "torch", "numpy"]
    text += "".join(version(p) for p in packages)
    if encoder in OURS:
        folder = Path(sk_entity_embed.__file__).parent
        text += "".join(_code(p) for p in sorted(folder.rglob("*.py")) if p.name not in REPORTING)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _code(path: Path) -> str:
    """What a module does: its source without comments and docstrings."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            node.value.value = None
    return ast.dump(tree)


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
