"""Tokens with known effects
=========================

What an embedding learns of tokens whose effects are known, first of five, then of 5,000.

Each token adds its effect to a number, and there is noise of half the effects' standard deviation.
A network that only sees tokens and numbers should put the tokens in the order of their effects
along the first axis of the embedding. How well that can be done at all, the mean of each token's
observations tells.

The means and the predictions of five tokens are in order even with 20 observations of each. The
first axis often is not: 100 rows are two steps an epoch, and training stops after some 50 steps,
when the network predicts well but still holds tokens apart in directions that it started with by
chance. Some hundred steps, by more epochs or by more rows, leave one axis, the effect.

Run it with ``python examples/token_effects.py [--rows N] [--output FOLDER]``; there is no file of
tokens that ``--data`` could name.
"""

from __future__ import annotations

import argparse
import time

import matplotlib.pyplot as plt
import pandas as pd
from _data import read_options, save_figure, tell_data
from scipy.stats import spearmanr
from sklearn.utils import Bunch

from sk_entity_embed import EntityEmbeddingRegressor
from sk_entity_embed.datasets import make_token_effects
from sk_entity_embed.inspection import (
    CategoryPredictionDisplay,
    LossCurveDisplay,
    SimilarityDisplay,
)

# %%
# Settings
# --------
# What is fitted, and how the order along the first axis is judged.


SETTINGS = {  # observations of each token, and parameters
    "20 rows a token": (20, {}),
    "20 rows a token, 200 epochs": (20, {"early_stopping": False, "max_iter": 200}),
    "1,000 rows a token": (1000, {}),
}


def learn(data: Bunch, seed: int = 0, **parameters: object) -> EntityEmbeddingRegressor:
    """The network, by default with the parameters that it has for any table."""
    return EntityEmbeddingRegressor(random_state=seed, **parameters).fit(data.X, data.y)


def predict_tokens(model: EntityEmbeddingRegressor, data: Bunch) -> pd.Series:
    """Prediction of each token, in the order of its effect."""
    tokens = data.effects.sort_values().index
    return pd.Series(model.predict(tokens.to_frame(index=False)), index=tokens, name="prediction")


def rank_correlations(model: EntityEmbeddingRegressor, data: Bunch) -> dict[str, float]:
    """Spearman's correlation of the true effects with what is known or learned of the tokens."""
    values = {
        "means": data.y.groupby(data.X["token"]).mean(),
        "predictions": predict_tokens(model, data),
        "first axis": model.embeddings_["token"][0],
    }
    effects = data.effects
    found = {name: spearmanr(v[effects.index], effects).statistic for name, v in values.items()}
    return found | {"first axis": abs(found["first axis"])}  # which end is which means nothing


def draw_many(n_draws: int) -> pd.DataFrame:
    """Mean rank correlations over several draws of five tokens, by setting."""
    rows = {}
    for name, (n_per_token, parameters) in SETTINGS.items():
        draws = []
        for seed in range(n_draws):
            data = make_token_effects(5, n_per_token, random_state=seed)
            draws.append(rank_correlations(learn(data, seed, **parameters), data))
        table = pd.DataFrame(draws)
        axis_in_order = (table["first axis"] > 0.999).sum()
        rows[name] = table.mean().round(3).to_dict() | {
            "axis in order": f"{axis_in_order} of {n_draws}"
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def draw_predictions(model: EntityEmbeddingRegressor, data: Bunch, ax: plt.Axes) -> None:
    """Predictions of all tokens against their true effects."""
    predicted = predict_tokens(model, data)
    effects = data.effects[predicted.index]
    display = CategoryPredictionDisplay.from_predictions(
        effects.to_numpy(), predicted, effects.index, column="token", min_count=1, n_labels=0, ax=ax
    )
    display.legend_.remove()  # it tells of rows and noise; effects have neither
    display.points_.set_color(display.points_.get_facecolor()[:1])
    ax.set(title="Predictions and true effects", xlabel="prediction", ylabel="true effect")


def draw_five(options: argparse.Namespace) -> None:
    """One fit of five tokens: losses, similarities and predictions."""
    data = make_token_effects(5, 1000, random_state=0)
    model = learn(data)
    print("five tokens, 1,000 rows of each; rank correlation with the true effects:")
    print(format_numbers(rank_correlations(model, data)))
    figure, axes = plt.subplots(1, 3, figsize=(17, 5.2), layout="constrained")
    LossCurveDisplay.from_estimator(model, ax=axes[0])
    named = model.embeddings_["token"].rename(lambda t: f"{t} ({data.effects[t]:g})")
    SimilarityDisplay.from_estimator(named, metric="euclidean", ax=axes[1])
    draw_predictions(model, data, axes[2])
    save_figure(figure, options, "token_effects_five.png")


def draw_thousands(n_tokens: int, options: argparse.Namespace) -> None:
    """Thousands of tokens, of which 20 rows each are not enough to be sure of the order."""
    data = make_token_effects(n_tokens, 20, random_state=0)
    start = time.perf_counter()
    model = learn(data)
    seconds = time.perf_counter() - start
    print(f"\n{n_tokens:,} tokens, 20 rows of each, fitted in {seconds:.0f} s:")
    print(format_numbers(rank_correlations(model, data)))
    figure, ax = plt.subplots(figsize=(6.8, 5.8), layout="constrained")
    draw_predictions(model, data, ax)
    save_figure(figure, options, "token_effects_thousands.png")


def format_numbers(numbers: dict[str, float]) -> str:
    """Names and numbers on a line."""
    return "  " + ", ".join(f"{name} {number:.4f}" for name, number in numbers.items())


# %%
# Five tokens
# -----------
# With 1,000 rows a token, the network finds their order and their effects.

options = read_options(__doc__, "rows of the large table, 20 of each token")
n_tokens = 5000 if options.rows is None else max(options.rows // 20, 2)
tell_data("make_token_effects", f"5 tokens, then {n_tokens:,}")
draw_five(options)

# %%
# How many rows are enough
# ------------------------
# The same five tokens, drawn several times, with fewer rows and more epochs.

n_draws = 10 if options.rows is None else 2
print(f"\nmean rank correlations of {n_draws} draws of five tokens:")
print(draw_many(n_draws).to_string())

# %%
# Thousands of tokens
# -------------------
# Twenty noisy rows of each.

draw_thousands(n_tokens, options)
