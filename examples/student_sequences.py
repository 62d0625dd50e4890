"""Histories of students
=====================

Will a student's next answer be right? Histories as lists, read by a recurrent unit.

A row is one step of a student in a tutoring system: the last 50 steps before it as a list of tokens
such as "26 right", and the skill of the step itself. Two networks learn from a random part of the
steps, one that reads the history in its order (``pooling="gru"``) and one that takes the mean of
its vectors; folds and validation rows are whole students (``groups``). The script compares them, on
other students, with gradient boosting on numbers that sum histories up, which learns from all
steps. Its last row is given the step before in full, so that only longer patterns set it apart.

The steps are those of ``assist2009.parquet`` in the folder ``--data`` (ASSISTments 2009-2010, with
a row for each skill of a problem, as in the work on "deep knowledge tracing"), else they are
generated. What is generated depends on nothing but sums, so that boosting on sums wins there.

Run it with ``python examples/student_sequences.py [--data FOLDER] [--rows N] [--output FOLDER]``.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from _data import find_data, read_options, save_figure, target_encoder, tell_data
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import Pipeline, make_pipeline

from sk_entity_embed import EntityEmbeddingClassifier
from sk_entity_embed.datasets import make_sequences
from sk_entity_embed.inspection import EmbeddingDisplay, LossCurveDisplay

# %%
# Steps and histories
# -------------------
# A row is one step of a student: the steps before it as a list, and its skill.


LENGTH = 50  # steps of a history; 100 gain next to nothing
SAMPLE = 60_000  # steps that the networks learn from
SUMMARIES = {
    "skill": ["skill"],
    "+ counts and shares so far": ["steps", "share", "steps on skill", "share on skill", "last 10"],
    "+ the step before": ["skill before", "answer before", "same skill"],
}


def read_log(options: argparse.Namespace) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Steps of the students to learn from, and of others, each by student and in order."""
    path = find_data(options, "assist2009.parquet")
    if path is None:
        data = make_sequences(1200, random_state=0)
        log = data.X.assign(correct=data.y)
        held_out = log["student"].isin(data.abilities.index[::3])
    else:
        log = pd.read_parquet(path)
        held_out = log["split"] == "test"
    parts = log[~held_out][: options.rows], log[held_out][: options.rows]
    size = f"{len(parts[0]):,} steps to learn from and {len(parts[1]):,} of other students"
    tell_data(path or "make_sequences", size)
    return parts[0].reset_index(drop=True), parts[1].reset_index(drop=True)


def list_histories(log: pd.DataFrame, chosen: np.ndarray) -> pd.DataFrame:
    """The tokens before each chosen step, and its skill."""
    answers = log["correct"].map({1: "right", 0: "wrong"})
    tokens = (log["skill"] + " " + answers).to_numpy(dtype=object)
    lengths = log.groupby("student").cumcount().clip(upper=LENGTH).to_numpy()
    histories = [tokens[row - lengths[row] : row] for row in chosen]
    return pd.DataFrame({"history": pd.Series(histories, chosen), "skill": log["skill"][chosen]})


def summarise(log: pd.DataFrame) -> pd.DataFrame:
    """Numbers that sum the history of each step up."""
    student, pair = log.groupby("student"), log.groupby(["student", "skill"])
    frame = log[["skill"]].assign(steps=student.cumcount())
    frame["share"] = (student["correct"].cumsum() - log["correct"]) / frame["steps"]
    frame["steps on skill"] = pair.cumcount()
    frame["share on skill"] = (pair["correct"].cumsum() - log["correct"]) / frame["steps on skill"]
    frame["answer before"] = student["correct"].shift()
    last = frame.groupby(log["student"])["answer before"].rolling(10, min_periods=1).mean()
    frame["last 10"] = last.droplevel(0)
    frame["skill before"] = student["skill"].shift().fillna("none")
    frame["same skill"] = (frame["skill"] == frame["skill before"]).astype(int)
    return frame


# %%
# The models
# ----------
# Boosting on sums of the history, and networks on the history itself.


def boosting(columns: list[str]) -> Pipeline:
    """Gradient boosting on numbers and target-encoded skills."""
    skills = [name for name in columns if name in ("skill", "skill before")]
    encode = make_column_transformer((target_encoder(), skills), remainder="passthrough")
    return make_pipeline(encode, HistGradientBoostingClassifier(random_state=0))


def network(pooling: str) -> EntityEmbeddingClassifier:
    """A network on history and skill."""
    return EntityEmbeddingClassifier(
        pooling=pooling,
        dimensions={"history": 48, "skill": 16},
        cross_fit=False,  # 110 skills and their answers are frequent, and one table learns faster
        learning_rate_init=0.004,
        max_iter=12,
        random_state=0,
    )


def compare(log: pd.DataFrame, other: pd.DataFrame) -> tuple[pd.DataFrame, Pipeline]:
    """AUC of all models on other students, and the last model, fitted."""
    X, X_other = summarise(log), summarise(other)
    columns: list[str] = []
    candidates: list[tuple[Any, ...]] = []
    for name, more in SUMMARIES.items():
        columns = columns + more
        model = boosting(columns)
        candidates.append((f"boosting: {name}", model, X[columns], X_other[columns], {}))
    random = np.random.default_rng(0)
    chosen = np.sort(random.choice(len(log), min(SAMPLE, len(log)), replace=False))
    X, X_other = list_histories(log, chosen), list_histories(other, np.arange(len(other)))
    students = {"groups": log["student"].to_numpy()[chosen]}
    for pooling in ("mean", "gru"):
        model = network(pooling)
        candidates.append((f"network: pooling={pooling!r}", model, X, X_other, students))

    rows = {}
    for name, model, X, X_other, groups in candidates:
        start = time.perf_counter()
        model.fit(X, log["correct"][X.index], **groups)
        seconds = time.perf_counter() - start
        auc = roc_auc_score(other["correct"], model.predict_proba(X_other)[:, 1])
        rows[name] = {"steps": len(X), "AUC": round(auc, 4), "fit s": round(seconds)}
    return pd.DataFrame.from_dict(rows, orient="index"), model


def draw(model: EntityEmbeddingClassifier, options: argparse.Namespace) -> None:
    """Losses, the skills asked for, and the tokens of histories."""
    figure, axes = plt.subplots(1, 3, figsize=(19, 6.2), layout="constrained")
    LossCurveDisplay.from_estimator(model, ax=axes[0])
    EmbeddingDisplay.from_estimator(
        model, "skill", color="target_mean", color_label="share of right answers", ax=axes[1]
    )
    axes[1].set_title("Skills asked for")
    tokens = model.categories_["history"]
    answers = pd.Series([str(token).split()[-1] for token in tokens], tokens, name="answer")
    EmbeddingDisplay.from_estimator(model, "history", color=answers, ax=axes[2])
    axes[2].set_title("Steps of histories: a skill and its answer")
    save_figure(figure, options, "student_sequences.png")


# %%
# AUC on other students
# ---------------------

options = read_options(__doc__, "steps to learn from, and to test on")
if options.rows is not None and options.rows < 300:
    raise SystemExit(f"--rows: {options.rows} steps are too few to learn from; give 300 or more")
log, other = read_log(options)
table, model = compare(log, other)
print("\nAUC on other students:")
print(table.to_string())

# %%
# Losses, skills and steps
# ------------------------

draw(model, options)
