"""What cross-fitting is worth: noise columns, the leak gap, and the trace of a target.

1. A column of 8,000 random levels is added to 40,000 flights; a logistic regression on the encoded
   columns should hardly notice.
2. The leak gap, train minus test AUC of a downstream model, at 1,500 and 40,000 rows.
3. The trace that a row's own target leaves in its features: with random labels there is nothing
   to learn, so whatever predicts the labels of training rows from their features has leaked.

Run it with ``python benchmarks/leakage.py [--seeds N]``.
"""

from __future__ import annotations

import argparse
import warnings

import numpy as np
import pandas as pd
from _common import load_flights, write_results
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, OneHotEncoder, StandardScaler, TargetEncoder

from sk_entity_embed import EntityEmbeddingEncoder

N_LEVELS = 8_000


def ours(seed: int, **parameters: object) -> EntityEmbeddingEncoder:
    return EntityEmbeddingEncoder("all", random_state=seed, **parameters)


def logistic() -> object:
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=300))


MODELS = {
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


def noise(seeds: range) -> pd.DataFrame:
    """Test AUC of a logistic regression without and with the random column."""
    rows = []
    for seed in seeds:
        X, late, _ = load_flights(40_000, seed)
        levels = np.random.default_rng(seed).integers(0, N_LEVELS, len(X))
        noisy = X.assign(noise=np.char.add("level ", levels.astype(str)))
        encoders = {
            "one-hot": lambda: OneHotEncoder(handle_unknown="ignore"),
            "TargetEncoder": TargetEncoder,
            "embeddings": lambda seed=seed: ours(seed),
            "embeddings, cross_fit=False": lambda seed=seed: ours(seed, cross_fit=False),
        }
        for name, make in encoders.items():
            model = (
                make_pipeline(MaxAbsScaler(), LogisticRegression(max_iter=300))
                if name == "one-hot"
                else logistic()
            )
            tests = [
                scores(
                    make(),
                    model,
                    train_test_split(t, late, test_size=0.25, stratify=late, random_state=seed),
                )[1]
                for t in (X, noisy)
            ]
            rows.append({"encoder": name, "AUC": tests[0], "with noise": tests[1]})
    table = pd.DataFrame(rows).groupby("encoder", sort=False).mean()
    table["cost"] = table["AUC"] - table["with noise"]
    return table


def leak_gap(seeds: range) -> pd.DataFrame:
    """Train minus test AUC by number of rows, encoder and downstream model."""
    rows = []
    for n_rows in (1_500, 40_000):
        for seed in seeds:
            split = split_flights(n_rows, seed)
            encoders = {"TargetEncoder": TargetEncoder}
            for output in ("embedding", "hidden", "both"):
                encoders[output] = lambda o=output, s=seed: ours(s, output=o)
            encoders["embedding, cross_fit=False"] = lambda s=seed: ours(s, cross_fit=False)
            for name, make in encoders.items():
                for model_name, model in MODELS.items():
                    train, test = scores(make(), model(), split)
                    rows.append(
                        {
                            "rows": n_rows,
                            "features": name,
                            "model": model_name,
                            "train AUC": train,
                            "test AUC": test,
                            "leak gap": train - test,
                        }
                    )
    keys = ["rows", "model", "features"]
    return pd.DataFrame(rows).groupby(keys, sort=False).mean()


def trace(seeds: range, n_rows: int = 3_000) -> pd.DataFrame:
    """Cross-validated AUC for random labels from training rows' features: 0.5 is no trace."""
    rows = []
    for seed in seeds:
        X, _, _ = load_flights(n_rows, seed)
        labels = np.random.default_rng(seed).integers(0, 2, n_rows)
        encoders = {
            "TargetEncoder": TargetEncoder(),
            "TargetEncoder, not cross-fitted": TargetEncoder(),
            **{o: ours(seed, output=o) for o in ("embedding", "hidden", "both")},
            "embedding, cross_fit=False": ours(seed, cross_fit=False),
        }
        for name, encoder in encoders.items():
            crossed = "not" not in name
            features = (
                encoder.fit_transform(X, labels) if crossed else encoder.fit(X, labels).transform(X)
            )
            row = {"features": name}
            for model_name, model in MODELS.items():
                auc = cross_val_score(model(), features, labels, cv=5, scoring="roc_auc")
                row[f"{model_name} AUC"] = auc.mean()
            rows.append(row)
    return pd.DataFrame(rows).groupby("features", sort=False).mean()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3, help="random splits to average over")
    seeds = range(parser.parse_args().seeds)
    warnings.simplefilter("ignore")
    parts = {
        "noise": ("A column of 8,000 random levels, 40,000 flights, logistic regression", noise),
        "leak_gap": ("Leak gap: train minus test AUC", leak_gap),
        "trace": ("Trace: random labels of 3,000 flights predicted from their own features", trace),
    }
    results = {"seeds": len(seeds)}
    for name, (title, measure) in parts.items():
        table = measure(seeds).round(4)
        print(f"\n{title} (mean of {len(seeds)} seeds)\n{table.to_string()}", flush=True)
        results[name] = table.reset_index().to_dict(orient="records")
    cost = next(r["cost"] for r in results["noise"] if r["encoder"] == "embeddings")
    results["noise_costs_less_than_0.01"] = bool(cost < 0.01)
    print(f"\nnoise costs cross-fitted embeddings {cost:.4f} AUC; less than 0.01: {cost < 0.01}")
    write_results("leakage", results)


if __name__ == "__main__":
    main()
