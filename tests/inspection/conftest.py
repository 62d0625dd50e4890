"""What the tests of inspection share."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics.pairwise import cosine_similarity, euclidean_distances

from sk_entity_embed.inspection.column_vectors import ColumnVectors
from sk_entity_embed.model.poolings import POOLINGS
from tests.samples import make_encoder, make_rows

HOSTILE = [
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(2)>",
    "<b>bold</b><br>&amp;&lt;",
    "<!-- -->",
    "a \"quote\", 'another'",
    "two\nlines",
    "=1+1",
    "-5",
    "$x^2$",
    "\u05e9\u05dc\u05d5\u05dd \u0639\u0631\u0628\u064a",
    "\U0001f600 \u2028",
    "%{x}",
    "long " * 60,
    "",
]
"""Names that a page must show as text."""


def make_column_vectors(
    vectors, *, categories=None, counts=None, target_means=None, name="category", unit="row"
):
    """The catalogue of a column that was never fitted."""
    if categories is None:
        categories = vectors.index if isinstance(vectors, pd.DataFrame) else range(len(vectors))
    labels = np.fromiter(categories, dtype=object)
    counts = None if counts is None else np.asarray(counts, dtype=np.int64)
    means = None if target_means is None else np.asarray(target_means, dtype=np.float64)
    return ColumnVectors(name, labels, np.asarray(vectors, dtype=np.float32), counts, means, unit)


def brute_force(vectors, query, metric):
    """Similarity of all vectors to one."""
    vectors, query = np.asarray(vectors, dtype=float), np.asarray(query, dtype=float)[None]
    if metric == "cosine":
        return cosine_similarity(vectors, query)[:, 0]
    if metric == "euclidean":
        return 1 / (1 + euclidean_distances(vectors, query)[:, 0])
    return vectors @ query[0]


def make_dot(seed, **params):
    """An encoder of dot products."""
    params = {"dimensions": 3, "max_iter": 6, "learning_rate_init": 0.2, **params}
    return make_encoder(head="dot", random_state=seed, **params)


def make_listed(seed, pooling, **params):
    """An encoder of lists, all of them pooled in one way."""
    return make_encoder(pooling=pooling, dimensions=3, max_iter=4, random_state=seed, **params)


@pytest.fixture(scope="module")
def data():
    """Letters with missing and infrequent ones, and numbered shops."""
    X, y = make_rows(240)
    X["letter"] = X["letter"].astype(object)
    X.loc[:9, "letter"] = None
    X.loc[10, "letter"], X.loc[11, "letter"] = "rare", "seldom"
    X["shop"] = np.arange(240) % 7
    return X[["letter", "shop", "size"]], y


@pytest.fixture(scope="module")
def encoder(data):
    return make_encoder(categorical_features=["letter", "shop"], min_frequency=3).fit(*data)


@pytest.fixture(scope="session")
def ratings():
    """Users and movies of like and unlike taste, and what they rate."""
    rng = np.random.default_rng(0)
    user, movie = rng.integers(0, 9, 400), rng.integers(0, 12, 400)
    tastes, kinds = rng.normal(size=(9, 2)), rng.normal(size=(12, 2))
    X = pd.DataFrame({"user": [f"u{i}" for i in user], "movie": [f"m{i}" for i in movie]})
    X["year"] = rng.normal(size=400)
    return X, 3 + 2 * (tastes[user] * kinds[movie]).sum(axis=1) + 0.1 * X["year"].to_numpy()


@pytest.fixture(scope="session")
def dot(ratings):
    return make_dot(0).fit(*ratings)


@pytest.fixture(scope="session")
def tagged():
    """Lists of tags with repetitions, missing items, missing and empty lists, and a city."""
    rng = np.random.default_rng(0)
    names = np.array(["jazz", "folk", "soul", "rock", "punk", "noise"])
    effects = np.array([2.0, 1.0, 0.5, -0.5, -1.0, -2.0])
    lists = [rng.integers(0, 6, size) for size in rng.integers(0, 5, 300)]
    y = np.array([effects[tags].sum() for tags in lists]) + 0.1 * rng.normal(size=300)
    cells = [names[tags].tolist() for tags in lists]
    cells[0], cells[1], cells[2] = None, ["jazz", None, "jazz"], []
    X = pd.DataFrame({"tags": cells, "city": rng.choice(["Oslo", "Rome"], 300)})
    return X, y


@pytest.fixture(scope="session", params=POOLINGS)
def pooling(request):
    """Every way to pool a list."""
    return request.param


@pytest.fixture(scope="session", params=["mean", "gru"])
def listed(tagged, request):
    """An encoder of lists; what a recurrent unit gives of a row is no mix of its items' vectors."""
    return make_listed(0, request.param).fit(*tagged)
