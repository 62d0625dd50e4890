"""Twelve months of flights by ``partial_fit``, and a model downstream that is not fitted again.

Two questions. Is what twelve calls have learned as good as one fit on all rows? And does a logistic
regression, fitted on vectors after the sixth month, still work on vectors of later encoders?

Run it with ``python benchmarks/_scale_growth.py [--rows 30000] [--seed 0]``.
"""

from __future__ import annotations

import argparse
import json
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from sk_entity_embed import EntityEmbeddingClassifier
from sk_entity_embed.datasets import load_flights


def growth(
    n_rows: int | None = None, seed: int = 0, *, once: bool = True, **params: Any
) -> dict[str, Any]:
    """Return held-out AUCs of flights, a fifth of each month, and seconds.

    Without `once` the fit on all rows is left out. The pair that counts is named, since no month
    shows it; `params` are further ones of the estimator.
    """
    params = {"interactions": [("month", "day")], **params}
    X, y = load_flights(n_rows, random_state=seed)
    month, y = X["month"].astype(int).to_numpy(), y.to_numpy()
    held = np.random.default_rng(seed).random(len(y)) < 0.2
    grown = EntityEmbeddingClassifier(random_state=seed, **params)
    out: dict[str, Any] = {"rows": len(y), "seed": seed}
    downstream, early, seconds = None, held & (month <= 6), []
    vectors, targets = [], []
    for number in range(1, 13):
        block = (month == number) & ~held
        start = perf_counter()
        grown.partial_fit(X[block], y[block], classes=[False, True])
        seconds.append(perf_counter() - start)
        if number <= 6:
            vectors.append(grown.transform_training(X[block]))
            targets.append(y[block])
        if number == 6:
            downstream = {
                "last block": LogisticRegression(max_iter=1000).fit(vectors[-1], targets[-1]),
                "all blocks": LogisticRegression(max_iter=1000).fit(
                    np.concatenate(vectors), np.concatenate(targets)
                ),
            }
            out["after six"] = {
                n: _auc(m, grown, X[early], y[early]) for n, m in downstream.items()
            }
            out["network after six"] = roc_auc_score(y[early], grown.decision_function(X[early]))
    assert downstream is not None
    out["after twelve"] = {n: _auc(m, grown, X[early], y[early]) for n, m in downstream.items()}
    out["grown"] = roc_auc_score(y[held], grown.decision_function(X[held]))
    out["grown, first half"] = roc_auc_score(y[early], grown.decision_function(X[early]))
    out["seconds"] = {"calls": round(sum(seconds), 1), "last call": round(seconds[-1], 1)}
    if once:
        start = perf_counter()
        whole = EntityEmbeddingClassifier(random_state=seed, **params).fit(X[~held], y[~held])
        out["seconds"]["one fit"] = round(perf_counter() - start, 1)
        out["one fit"] = roc_auc_score(y[held], whole.decision_function(X[held]))
        out["one fit, first half"] = roc_auc_score(y[early], whole.decision_function(X[early]))
    return out


def _auc(model: Any, encoder: Any, X: pd.DataFrame, y: Any) -> float:
    return float(roc_auc_score(y, model.decision_function(encoder.transform(X))))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=None, help="flights to draw; all by default")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print(json.dumps(growth(options.rows, options.seed), indent=1))


if __name__ == "__main__":
    main()
