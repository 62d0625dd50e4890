"""Whole models that take categories as they come: ``python _rivals_models.py MODEL SPLIT SEED``.

SPLIT is a pickle of a table's rows (:func:`save_split`). What was measured is printed as JSON.
Imports of libraries are within the functions, since no environment has all of them. Every model
runs in one thread with its defaults, but for those whose names say otherwise.
"""

from __future__ import annotations

import json
import os
import pickle
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

MAX_NATIVE = 255  # levels of a column that HistGradientBoosting takes as they are
CAT_SMOOTH = (1, 10, 50, 200)
MIN_DATA_PER_GROUP = (5, 20, 100, 300)


@dataclass(frozen=True, slots=True)
class Rows:
    """Training and test rows: strings without gaps, numbers, target."""

    binary: bool
    categories: tuple[pd.DataFrame, pd.DataFrame]
    numbers: tuple[pd.DataFrame, pd.DataFrame]
    y: tuple[np.ndarray, np.ndarray]

    @property
    def names(self) -> list[str]:
        """Names of the categorical columns."""
        return list(self.categories[0])

    def tables(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Strings and numbers side by side."""
        first, second = (
            pd.concat(parts, axis=1) for parts in zip(self.categories, self.numbers, strict=True)
        )
        return first, second

    def native(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """The same with categories of the training rows; others are missing."""
        train, test = self.tables()
        levels = {c: np.unique(train[c]) for c in self.names}
        first, second = (
            t.assign(**{c: pd.Categorical(t[c].where(t[c].isin(v)), v) for c, v in levels.items()})
            for t in (train, test)
        )
        return first, second

    def halves(self, share: float, seed: int) -> Rows:
        """Training rows alone, a share of them to train on and the rest to test on."""
        order = np.random.default_rng(seed).permutation(len(self.y[0]))
        cut = int(share * len(order))
        parts = (order[:cut], order[cut:])
        return Rows(
            self.binary,
            *(
                tuple(t.iloc[p].reset_index(drop=True) for p in parts)
                for t in (self.categories[0], self.numbers[0])
            ),
            tuple(self.y[0][p] for p in parts),
        )


def save_split(split: Any, path: Path) -> None:
    """Keep a table's rows for the scripts of other environments."""
    parts = {k: getattr(split, k) for k in ("binary", "categories", "numbers", "y")}
    path.write_bytes(pickle.dumps(parts))


def lightgbm(rows: Rows, seed: int, **parameters: Any) -> np.ndarray:
    """LightGBM with categories as they are."""
    from lightgbm import LGBMClassifier, LGBMRegressor

    model = LGBMClassifier if rows.binary else LGBMRegressor
    model = model(verbose=-1, n_jobs=1, random_state=seed, **parameters)
    train, test = rows.native()
    return _predict(model.fit(train, rows.y[0]), test)


def lightgbm_tuned(rows: Rows, seed: int) -> np.ndarray:
    """The same with what regularises categories chosen on a quarter of the training rows."""
    inner = rows.halves(0.75, seed)
    settings = [
        {"cat_smooth": smooth, "min_data_per_group": least}
        for smooth, least in product(CAT_SMOOTH, MIN_DATA_PER_GROUP)
    ]
    scores = [score(inner, lightgbm(inner, seed, **s)) for s in settings]
    return lightgbm(rows, seed, **settings[int(np.argmax(scores))])


def catboost(rows: Rows, seed: int) -> np.ndarray:
    """CatBoost, which encodes categories and their combinations itself."""
    from catboost import CatBoostClassifier, CatBoostRegressor

    model = (CatBoostClassifier if rows.binary else CatBoostRegressor)(
        thread_count=1, random_seed=seed, verbose=False, allow_writing_files=False
    )
    train, test = rows.tables()
    return _predict(model.fit(train, rows.y[0], cat_features=rows.names), test)


def xgboost(rows: Rows, seed: int) -> np.ndarray:
    """XGBoost with categories as they are."""
    from xgboost import XGBClassifier, XGBRegressor

    model = (XGBClassifier if rows.binary else XGBRegressor)(
        enable_categorical=True, tree_method="hist", n_jobs=1, random_state=seed
    )
    train, test = rows.native()
    return _predict(model.fit(train, rows.y[0]), test)


def hist_gradient_boosting(rows: Rows, seed: int) -> np.ndarray:
    """scikit-learn's, with a TargetEncoder for columns of more levels than it takes."""
    from sklearn.compose import ColumnTransformer
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    train, test = rows.native()
    many = [c for c in rows.names if len(train[c].cat.categories) > MAX_NATIVE]
    encoder = ColumnTransformer(
        [("many", _target_encoder(rows, seed), many)],
        remainder="passthrough",
        verbose_feature_names_out=False,
    ).set_output(transform="pandas")
    if many:
        strings = (t[many] for t in rows.tables())
        first, second = (t.assign(**s) for t, s in zip((train, test), strings, strict=True))
        train, test = encoder.fit_transform(first, rows.y[0]), encoder.transform(second)
    model = HistGradientBoostingClassifier if rows.binary else HistGradientBoostingRegressor
    model = model(categorical_features="from_dtype", random_state=seed)
    return _predict(model.fit(train, rows.y[0]), test)


def target_encoder_lightgbm(rows: Rows, seed: int) -> np.ndarray:
    """LightGBM on scikit-learn's TargetEncoder."""
    from lightgbm import LGBMClassifier, LGBMRegressor

    encoder = _target_encoder(rows, seed)
    train = encoder.fit_transform(rows.categories[0], rows.y[0])
    test = encoder.transform(rows.categories[1])
    model = LGBMClassifier if rows.binary else LGBMRegressor
    model = model(verbose=-1, n_jobs=1, random_state=seed)
    model.fit(np.hstack([train, rows.numbers[0].to_numpy()]), rows.y[0])
    return _predict(model, np.hstack([test, rows.numbers[1].to_numpy()]))


def realmlp(rows: Rows, seed: int) -> np.ndarray:
    """RealMLP with its tuned defaults (arXiv 2407.04491)."""
    from pytabkit import RealMLP_TD_Classifier, RealMLP_TD_Regressor

    return _pytabkit(RealMLP_TD_Classifier if rows.binary else RealMLP_TD_Regressor, rows, seed)


def tabm(rows: Rows, seed: int) -> np.ndarray:
    """TabM (arXiv 2410.24210) with pytabkit's defaults."""
    from pytabkit import TabM_D_Classifier, TabM_D_Regressor

    return _pytabkit(TabM_D_Classifier if rows.binary else TabM_D_Regressor, rows, seed)


MODELS: dict[str, Callable[[Rows, int], np.ndarray]] = {
    "LightGBM": lightgbm,
    "CatBoost": catboost,
    "HistGradientBoosting": hist_gradient_boosting,
    "LightGBM on TargetEncoder": target_encoder_lightgbm,
    "XGBoost": xgboost,
    "LightGBM, tuned": lightgbm_tuned,
    "RealMLP": realmlp,
    "TabM": tabm,
}


def score(rows: Rows, predicted: np.ndarray) -> float:
    """ROC AUC or R2 on the test rows."""
    from sklearn.metrics import r2_score, roc_auc_score

    return float((roc_auc_score if rows.binary else r2_score)(rows.y[1], predicted))


def _target_encoder(rows: Rows, seed: int) -> Any:
    from sklearn.model_selection import KFold, StratifiedKFold
    from sklearn.preprocessing import TargetEncoder

    folds = (StratifiedKFold if rows.binary else KFold)(5, shuffle=True, random_state=seed)
    return TargetEncoder(target_type="binary" if rows.binary else "continuous", cv=folds)


def _pytabkit(kind: Any, rows: Rows, seed: int) -> np.ndarray:
    """Numbers are filled in with the median: neither model takes missing ones."""
    train, test = rows.native()
    numbers = list(rows.numbers[0])
    median = train[numbers].median()
    train, test = (t.fillna(median) if numbers else t for t in (train, test))
    model = kind(device="cpu", random_state=seed, n_threads=1)
    model.fit(train, rows.y[0], cat_col_names=rows.names)
    return _predict(model, test)


def _predict(model: Any, test: Any) -> np.ndarray:
    if hasattr(model, "predict_proba"):
        return np.asarray(model.predict_proba(test))[:, 1]
    return np.asarray(model.predict(test))


def main() -> None:
    """Measure one model on one table."""
    name, path, seed = sys.argv[1:]
    rows = Rows(**pickle.loads(Path(path).read_bytes()))
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
    warnings.simplefilter("ignore")
    start = time.perf_counter()
    predicted = MODELS[name](rows, int(seed))
    seconds = time.perf_counter() - start
    print(json.dumps({"score": round(score(rows, predicted), 5), "seconds": round(seconds, 2)}))


if __name__ == "__main__":
    main()
