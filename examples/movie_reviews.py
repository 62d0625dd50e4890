"""Movie reviews as lists of words
===============================

Is a sentence of a movie review for the film or against it? Words as lists, without a grammar.

``sentences.str.split()`` makes a column of word lists, and a second one holds pairs of neighbouring
words; the network sees the mean of each list's vectors. The script compares that with counts of
words, then also of pairs, under a logistic regression, with scikit-learn's defaults but for enough
iterations, in five folds. It lists the words nearest to two others and draws the frequent ones. The
sentences are those of ``rt_polarity`` (Pang and Lee) in the folder ``--data``, else they are
generated; pairs mean nothing in these.

Most words and pairs of a small corpus are rare, and a mean of 20 of them is easy to learn by heart.
Three settings work against it: what is seen once shares one vector (``min_frequency=2``), and each
step of training hides three items in ten (``unknown_rate=0.3``) and half of a small hidden layer
(``dropout=0.5``).

Run it with ``python examples/movie_reviews.py [--data FOLDER] [--rows N] [--output FOLDER]``.
"""

from __future__ import annotations

import argparse
import time
from itertools import pairwise
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from _data import find_data, read_options, save_figure, tell_data
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline

from sk_entity_embed import EntityEmbeddingClassifier
from sk_entity_embed.datasets import make_reviews
from sk_entity_embed.inspection import EmbeddingDisplay, extremes, nearest

# %%
# Sentences as lists
# ------------------
# Each sentence becomes a list of words and a list of pairs of words.


QUERIES = ["brilliant", "boring"]
SHOWN = 0.002  # times an item is there at least, by sentence, to be listed or drawn


def read_sentences(options: argparse.Namespace) -> pd.DataFrame:
    """Sentences, and whether they are for the film."""
    path = find_data(options, "rt_polarity/rt-polarity.pos")
    if path is None:
        data = make_reviews(10_000 if options.rows is None else options.rows, random_state=0)
        frame = data.X.assign(positive=data.y)
    else:
        parts = []
        for positive, name in enumerate(["rt-polarity.neg", "rt-polarity.pos"]):
            # str.splitlines would also cut at control characters that are not line ends here.
            lines = path.with_name(name).read_text(encoding="latin-1").strip().split("\n")
            parts.append(pd.DataFrame({"sentence": lines, "positive": positive}))
        frame = pd.concat(parts, ignore_index=True)
        frame = frame.sample(n=min(options.rows or len(frame), len(frame)), random_state=0)
    tell_data(path or "make_reviews", f"{len(frame):,} sentences")
    return frame.reset_index(drop=True)


def network() -> EntityEmbeddingClassifier:
    """The network above the means of the lists."""
    return EntityEmbeddingClassifier(
        pooling="mean",
        min_frequency=2,
        unknown_rate=0.3,
        hidden_layer_sizes=32,
        dropout=0.5,
        random_state=0,
    )


def list_items(sentences: pd.Series) -> pd.DataFrame:
    """The words of each sentence, and each two that stand side by side."""
    words = sentences.str.split()
    pairs = [[f"{a} {b}" for a, b in pairwise(sentence)] for sentence in words]
    return pd.DataFrame({"words": words, "pairs": pd.Series(pairs, words.index)})


# %%
# The models
# ----------
# Counts of words under a logistic regression, and the network on lists.


def compare(items: pd.DataFrame, sentences: pd.Series, y: pd.Series) -> pd.DataFrame:
    """Accuracy in five folds, and how much more that is than with counts of words."""
    regression = LogisticRegression(max_iter=1000)
    words = make_pipeline(CountVectorizer(), regression)
    pairs = make_pipeline(CountVectorizer(ngram_range=(1, 2)), regression)
    models: dict[str, tuple[Any, Any]] = {
        "LogisticRegression, words": (words, sentences),
        "LogisticRegression, words and pairs": (pairs, sentences),
        "EntityEmbeddingClassifier": (network(), items),
    }
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    scores, seconds = {}, {}
    for name, (model, X) in models.items():
        start = time.perf_counter()
        scores[name] = cross_val_score(model, X, y, cv=folds)
        seconds[name] = round((time.perf_counter() - start) / 5, 1)
    table = pd.DataFrame(scores)
    gain = table.sub(table.iloc[:, 0], axis=0)
    columns = {
        "accuracy": table.mean(),
        "gain": gain.mean(),
        "sd of gain": gain.std(),
        "folds won": (gain > 0).sum(),
    }
    return pd.DataFrame(columns).round(4).assign(**{"s a fold": pd.Series(seconds)})


def draw_words(
    model: EntityEmbeddingClassifier, near: list[str], min_count: int, options: argparse.Namespace
) -> None:
    """Frequent words by the first axis of their vectors, and by how often they are there."""
    ends = extremes(model, "words", component=1, k=6, min_count=min_count)["category"]
    display = EmbeddingDisplay.from_estimator(
        model,
        "words",
        color="target_mean",
        color_label="share of the sentences with it that are for the film",
        min_count=min_count,
    )
    plt.close(display.figure_)  # it is drawn again below, with another second axis
    # For or against is a single question: the other axes hold next to nothing.
    display.coordinates[:, 1] = np.log2(display.counts)
    display.axes = ("first axis of the vectors", "times it is there, as a power of two")
    figure, ax = plt.subplots(figsize=(13, 6.5), layout="constrained")
    display.plot(ax, labels=list(dict.fromkeys([*near, *ends])))
    ax.set_title(f"Words of reviews; named are both ends, and some near {' and '.join(QUERIES)}")
    save_figure(figure, options, "movie_reviews_words.png")


# %%
# Accuracy
# --------
# Five folds of all sentences.

options = read_options(__doc__, "sentences to use")
if options.rows is not None and options.rows < 300:
    raise SystemExit(
        f"--rows: {options.rows} sentences are too few to learn from; give 300 or more"
    )
frame = read_sentences(options)
items = list_items(frame["sentence"])
print("\naccuracy on sentences held out, five folds:")
print(compare(items, frame["sentence"], frame["positive"]).to_string())


# %%
# Words that mean the same
# ------------------------
# Neighbours of two words, and the words at both ends of the first axis.

model = network().fit(items, frame["positive"])
common = max(2, round(SHOWN * len(frame)))
print(f"\nnearest words, of those that are there {common} times or more:")
near = [word for word in QUERIES if word in model.categories_["words"]]
for query in list(near):
    found = nearest(model, "words", query, k=8, metric="euclidean", min_count=common)
    print(f"  {query}: {', '.join(found['category'])}")
    near += found["category"][:4].tolist()
draw_words(model, near, common, options)
