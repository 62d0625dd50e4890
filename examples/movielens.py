"""Movies and stars: a recommender
===============================

How many stars? Dot products, biases and a network on the ratings of MovieLens.

Ratings of movies are predicted from who rates what: by ridge regression on one-hot users and
movies, by the dot product of their vectors with and without biases, by a multi-layer perceptron,
and by one that is told more: the movie's genres, a column of lists, its year, and when the rating
was given. Scores are means over random splits, four fifths of the ratings to learn from and one
fifth held out, movies that only the held-out ratings have included. The script then shows what the
vectors of the movies have learned. It reads the folder ``movielens_small_2016`` in ``--data``; else
the ratings are generated.

Run it with ``python examples/movielens.py [--data FOLDER] [--rows N] [--output FOLDER]``.
"""

from __future__ import annotations

import argparse
import time

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from _data import find_data, read_options, save_figure, tell_data
from sklearn.linear_model import Ridge
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from sk_entity_embed import EntityEmbeddingRegressor
from sk_entity_embed.datasets import fetch_movielens, make_ratings
from sk_entity_embed.inspection import EmbeddingHeatmapDisplay, extremes, nearest

# %%
# The ratings
# -----------
# Who rated which movie, and what is known of the movie and the time.


PAIR = ["user", "movie"]
N_SPLITS = 5
STARS = (0.5, 5.0)
FILMS = ["Toy Story (1995)", "Pulp Fiction (1994)", "Star Wars: Episode IV - A New Hope (1977)"]


def read_ratings(options: argparse.Namespace) -> tuple[pd.DataFrame, pd.Series]:
    """Ratings with what is known of the movie and the time, and their stars."""
    path = find_data(options, "movielens_small_2016")
    data = make_ratings(random_state=0) if path is None else fetch_movielens(path)
    movies = data.movies.loc[data.X["movie"]].reset_index()
    X = pd.DataFrame(
        {
            "user": data.X["user"].astype(str).to_numpy(),
            "movie": movies["movie"].map(names(data.movies["title"])),
            "genres": movies["genres"].str.split("|"),
            "year": pd.to_numeric(movies["title"].str.extract(r"\((\d{4})\)\s*$")[0]),
            "time": data.timestamp.to_numpy(),
        }
    )
    X, y = X[: options.rows], data.y[: options.rows]
    size = f"{len(X):,} ratings, {X['user'].nunique():,} users, {X['movie'].nunique():,} movies"
    tell_data(path or "make_ratings", size)
    return X, y


def names(titles: pd.Series) -> pd.Series:
    """Titles that are unique: movies of the same title have their number added."""
    twice = titles.duplicated(keep=False)
    return titles.where(~twice, titles + " #" + titles.index.astype(str))


# %%
# The models
# ----------
# A ridge regression on one-hot columns, dot products with and without a range, and perceptrons.


def models(seed: int) -> dict[str, tuple[object, list[str]]]:
    """What is compared, and the columns that each is given."""
    settings = {"random_state": seed}
    wide = {"head": "dot", "dimensions": 100, **settings}
    ridge = make_pipeline(OneHotEncoder(handle_unknown="ignore"), Ridge(alpha=3))
    return {
        "ridge on one-hot": (ridge, PAIR),
        "dot + bias": (EntityEmbeddingRegressor(**wide), PAIR),
        "dot + bias, y_range": (EntityEmbeddingRegressor(**wide, y_range=(0, 5.5)), PAIR),
        "MLP": (EntityEmbeddingRegressor(**settings), PAIR),
        "MLP, genres, year, time": (
            EntityEmbeddingRegressor(**settings),
            [*PAIR, "genres", "year", "time"],
        ),
    }


def rmse(predicted: np.ndarray, true: pd.Series) -> float:
    """Error in stars, of predictions that are cut to the scale of the stars."""
    return float(np.sqrt(np.mean((np.clip(predicted, *STARS) - true) ** 2)))


def dots_alone(model: EntityEmbeddingRegressor, X: pd.DataFrame, y: pd.Series) -> np.ndarray:
    """Predictions of a model of dot products without its biases."""
    vectors = model.set_output(transform="pandas").transform(X)
    biases = vectors[["user_bias", "movie_bias"]].sum(axis=1).to_numpy()
    return model.predict(X) - biases


def compare(X: pd.DataFrame, y: pd.Series, n_splits: int) -> pd.DataFrame:
    """Error on held-out ratings and seconds of each fit, averaged over random splits."""
    rows = []
    for seed in range(n_splits):
        split = train_test_split(X, y, test_size=0.2, random_state=seed)
        X_train, X_test, y_train, y_test = split
        for name, (model, columns) in models(seed).items():
            start = time.perf_counter()
            model.fit(X_train[columns], y_train)
            seconds = time.perf_counter() - start
            error = rmse(model.predict(X_test[columns]), y_test)
            rows.append({"model": name, "RMSE": error, "fit s": seconds})
            if name == "dot + bias":
                error = rmse(dots_alone(model, X_test[columns], y_test), y_test)
                rows.append({"model": "dot, its biases left out", "RMSE": error, "fit s": seconds})
            print(".", end="", flush=True)
    print()
    means = pd.DataFrame(rows).groupby("model", sort=False)
    table = means["RMSE"].agg(["mean", "std"]).rename(columns={"mean": "RMSE", "std": "sd"})
    return table.round(4).assign(**{"fit s": means["fit s"].mean().round(1)})


# %%
# Errors on held-out ratings
# --------------------------
# The root of the mean squared error, in stars.

options = read_options(__doc__, "ratings to use")
X, y = read_ratings(options)
table = compare(X, y, N_SPLITS if options.rows is None else 1)
print(table.to_string())


# %%
# What the movies' vectors have learned
# -------------------------------------
# The movies at both ends of the first component, and the neighbours of three movies.

model = EntityEmbeddingRegressor(head="dot", dimensions=100, y_range=(0, 5.5), random_state=0)
model.fit(X[PAIR], y)
counts = pd.Series(model.category_counts_["movie"], model.categories_["movie"])
least = int(min(21, counts.nlargest(20).min()))  # few movies have more in a slice
print(f"\nends of the first component, of movies with {least} ratings or more:")
ends = extremes(model, "movie", k=8, min_count=least).round(2)
print(ends.to_string(index=False, max_colwidth=30))
films = [f for f in FILMS if f in counts] or list(counts.nlargest(3).index)
for film in films:
    print(f"\nmovies nearest to {film}:")
    found = nearest(model, "movie", film, k=5, min_count=least)
    print(found[["category", "similarity", "count"]].round(3).to_string(index=False))
best = model.biases_["movie"][counts >= least].nlargest(3)
print("\nlargest biases, before the range squashes them:")
print(best.round(2).to_string())


# %%
# The vectors in colours
# ----------------------

figure, ax = plt.subplots(figsize=(11, 7), layout="constrained")
rated = counts.nlargest(20).index
vectors = model.embeddings_["movie"].loc[rated].iloc[:, :30]  # the further ones are short
EmbeddingHeatmapDisplay.from_estimator(vectors, ax=ax)
ax.set_title("The 20 movies with the most ratings: the first 30 of their 100 axes")
save_figure(figure, options, "movielens_movies.png")
