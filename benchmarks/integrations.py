"""What it costs to use the encoder in another way than as a whole-frame step.

skrub
    ``TableVectorizer`` with one encoder a column, which sees no other column, against one encoder
    for the frame (``ApplyToCols``), which sees all columns and the numbers.
CatBoost
    Whole vectors as ``embedding_features`` against the same vectors as plain numbers, and
    CatBoost's own categories (``cat_features``).

Scores are R2, or ROC AUC of classes, on the quarter of the rows that is held out; every model runs
in one thread with its defaults. Run it with ``python benchmarks/integrations.py [--max-rows N]
[--tables NAME ...] [--seeds N ...] [--only skrub|catboost]``.
"""

from __future__ import annotations

import argparse
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch and the others count the cores

import pandas as pd
from _tables import Split, load_split, tables
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import r2_score, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sk_entity_embed import EntityEmbeddingEncoder
from sk_entity_embed.export import embedding_features

TABLES = ("employee_salaries", "hotel_bookings", "flights")


def encoder(**params: Any) -> EntityEmbeddingEncoder:
    """The encoder with its defaults, on the CPU."""
    return EntityEmbeddingEncoder(device="cpu", random_state=0, **params)


def frames(split: Split) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Training and test rows, categories and numbers in one frame."""
    parts = zip(split.categories, split.numbers, strict=True)
    first, second = (
        pd.concat([c.reset_index(drop=True), n.reset_index(drop=True)], axis=1) for c, n in parts
    )
    return first, second


def score(split: Split, model: Any, X: Any) -> float:
    """R2, or ROC AUC, of a fitted model on the test rows."""
    if split.binary:
        return float(roc_auc_score(split.y[1], model.predict_proba(X)[:, 1]))
    return float(r2_score(split.y[1], model.predict(X)))


def skrub_ways(split: Split) -> Iterator[tuple[str, str, float]]:
    """Way, model and score: one encoder a column, and one for the frame."""
    from skrub import ApplyToCols, TableVectorizer

    train, test = frames(split)
    linear = LogisticRegression(max_iter=1000) if split.binary else Ridge()
    trees: Any = HistGradientBoostingClassifier if split.binary else HistGradientBoostingRegressor
    models = {
        "linear": make_pipeline(SimpleImputer(), StandardScaler(), linear),
        "boosting": trees(random_state=0),
    }
    one_a_column = TableVectorizer(low_cardinality=encoder(), high_cardinality=encoder())
    whole = ApplyToCols(encoder(remainder="passthrough"))
    ways = {"TableVectorizer": one_a_column, "ApplyToCols": whole}
    for output in ("both", "stacking"):
        ways[f'ApplyToCols, "{output}"'] = ApplyToCols(
            encoder(remainder="passthrough", output=output)
        )
    for way, step in ways.items():
        vectors, new = step.fit_transform(train, split.y[0]), step.transform(test)
        for name, model in models.items():
            yield way, name, score(split, clone(model).fit(vectors, split.y[0]), new)


def catboost_ways(split: Split) -> Iterator[tuple[str, str, float]]:
    """Way, model and score: vectors as numbers, as embeddings, and CatBoost's own categories."""
    from catboost import CatBoostClassifier, CatBoostRegressor

    train, test = frames(split)
    step = encoder(remainder="passthrough")
    vectors = step.fit_transform(train, split.y[0])
    blocks, names = embedding_features(vectors, step)
    new = step.transform(test)
    new_blocks = embedding_features(new, step).frame
    axes = step.get_feature_names_out()
    both, new_both = (
        b[names].join(pd.DataFrame(v, columns=axes))
        for b, v in ((blocks, vectors), (new_blocks, new))
    )
    ways: dict[str, tuple[Any, Any, dict[str, Any]]] = {
        "vectors as numbers": (vectors, new, {}),
        "embedding_features": (blocks, new_blocks, {"embedding_features": names}),
        "both": (both, new_both, {"embedding_features": names}),
        "cat_features": (train, test, {"cat_features": [*split.categories[0]]}),
    }
    make: Any = CatBoostClassifier if split.binary else CatBoostRegressor
    for way, (X, X_new, kinds) in ways.items():
        model = make(
            iterations=300, random_seed=0, verbose=False, thread_count=1,
            allow_writing_files=False, **kinds,
        )  # fmt: skip
        yield way, "CatBoost", score(split, model.fit(X, split.y[0]), X_new)


def main() -> None:
    """Print a table of scores."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, default=os.environ.get("SK_ENTITY_EMBED_DATA", "."))
    parser.add_argument("--max-rows", type=int, default=20_000)
    parser.add_argument("--tables", nargs="*", default=list(TABLES))
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1])
    parser.add_argument("--only", choices=["skrub", "catboost"])
    asked = parser.parse_args()
    ways = {"skrub": skrub_ways, "catboost": catboost_ways}
    warnings.filterwarnings("ignore", module="sk_entity_embed")
    found = []
    for name in tables(Path(asked.data), asked.tables):
        for seed in asked.seeds:
            split = load_split(name, Path(asked.data), asked.max_rows, seed)
            for library, run in ways.items():
                if asked.only in (None, library):
                    for way, model, value in run(split):
                        found.append((library, name, way, model, seed, value))
                        print(*found[-1][:-1], f"{value:.4f}", sep="\t", flush=True)
    scores = pd.DataFrame(found, columns=["library", "table", "way", "model", "seed", "score"])
    keys = ["library", "model", "way"]
    print(scores.groupby([*keys, "table"], sort=False)["score"].mean().unstack().round(4))


if __name__ == "__main__":
    main()
