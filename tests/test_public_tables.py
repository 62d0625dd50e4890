"""What the vectors are worth on public tables, where their folder is given."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.metrics import get_scorer
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, TargetEncoder

from sk_entity_embed import EntityEmbeddingEncoder

FOLDER = os.environ.get("SK_ENTITY_EMBED_DATA")
pytestmark = pytest.mark.skipif(
    FOLDER is None, reason="set SK_ENTITY_EMBED_DATA to the folder of public tables"
)


def split(name: str) -> tuple[list[Any], str]:
    """Categorical columns and target of up to 15,000 rows, in train and test, and the task."""
    assert FOLDER is not None
    index = json.loads((Path(FOLDER) / "index.json").read_text())
    table = next(t for t in index if t["name"] == name)
    frame = pd.read_parquet(Path(FOLDER) / f"{name}.parquet")
    frame = frame.sample(min(15_000, len(frame)), random_state=0)
    X = frame[list(table["categorical"])].astype(object)
    X = X.where(X.notna(), "missing").astype(str)
    parts = train_test_split(X, frame[table["target"]].to_numpy(), random_state=0)
    return parts, table["task"]


def linear_score(encoder: Any, parts: list[Any], task: str) -> float:
    """Accuracy of ranking (AUC) or R2 of a linear model on encoded columns."""
    X_train, X_test, y_train, y_test = parts
    model = LogisticRegression(max_iter=500) if task == "binary" else RidgeCV(np.logspace(-3, 3, 7))
    pipeline = make_pipeline(encoder, StandardScaler(), model).fit(X_train, y_train)
    scorer = get_scorer("roc_auc" if task == "binary" else "r2")
    return float(scorer(pipeline, X_test, y_test))


# Rooms of one hotel booking are equal rows, and are cancelled together.
@pytest.mark.filterwarnings("ignore:1.% of the rows have copies")
@pytest.mark.parametrize(
    ("name", "output", "margin"),
    [
        ("employee_salaries", "both", 0.02),
        ("hotel_bookings", "both", 0.02),
        ("amazon_access", "embedding", 0.0),
    ],
)
def test_linear_models_are_better_than_on_target_encoding(
    name: str, output: str, margin: float
) -> None:
    parts, task = split(name)
    target_type = "binary" if task == "binary" else "continuous"
    ours = EntityEmbeddingEncoder("all", output=output, target_type=target_type, random_state=0)
    theirs = TargetEncoder(target_type=target_type)
    assert linear_score(ours, parts, task) > linear_score(theirs, parts, task) + margin
