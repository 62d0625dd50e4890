"""imbalanced-learn: samplers come after the encoder; copies made before it need groups."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression

from sk_entity_embed.exceptions import LeakageWarning
from sk_entity_embed.inspection import group_by_column, nearest
from tests.samples import make_encoder

pytest.importorskip("imblearn")

from imblearn.over_sampling import SMOTE, RandomOverSampler
from imblearn.pipeline import make_pipeline
from imblearn.under_sampling import RandomUnderSampler

Noise = tuple[pd.DataFrame, np.ndarray]


class Recorder(ClassifierMixin, BaseEstimator):
    """A model that keeps what it is given."""

    def fit(self, X, y):
        self.seen_, self.target_ = X, y
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        self.asked_ = X
        return np.zeros(len(X), dtype=int)


@pytest.fixture(scope="module")
def noise() -> Noise:
    """Rows of many ids, a tenth of them of the rare class, which nothing tells."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"id": rng.integers(0, 400, 1000).astype(str), "size": rng.normal(size=1000)})
    return X, (rng.random(1000) < 0.1).astype(int)


def train_score(vectors: np.ndarray, y: np.ndarray) -> float:
    """Share of the training rows that a linear model on their vectors gets right."""
    return LogisticRegression().fit(vectors, y).score(vectors, y)


@pytest.mark.parametrize("sampler", [RandomOverSampler, SMOTE, RandomUnderSampler])
def test_after_the_encoder_samplers_are_given_vectors_out_of_fold(
    sampler: type, noise: Noise
) -> None:
    X, y = noise
    model = make_pipeline(make_encoder(), sampler(random_state=0), Recorder()).fit(X, y)
    vectors = make_encoder().fit_transform(X, y)
    expected = sampler(random_state=0).fit_resample(vectors, y)
    np.testing.assert_array_equal(model[-1].seen_, expected[0])
    np.testing.assert_array_equal(model[-1].target_, expected[1])
    model.predict(X)  # samplers are for fit alone
    np.testing.assert_array_equal(model[-1].asked_, model[0].transform(X))
    assert nearest(model, "id", "7", k=2).shape == (2, 3)
    assert group_by_column(np.ones((2, vectors.shape[1])), model).columns.tolist() == ["id"]


def test_copies_made_before_the_encoder_leak_unless_they_are_groups(noise: Noise) -> None:
    X, y = noise
    sampler = RandomOverSampler(random_state=0)
    more, labels = sampler.fit_resample(X, y)
    encoder = make_encoder(max_iter=20, learning_rate_init=0.02)
    with pytest.warns(LeakageWarning, match="copies in other folds"):
        leaking = train_score(encoder.fit_transform(more, labels), labels)
    # Any warning is an error: that of copies has to be gone.
    copies = sampler.sample_indices_
    together = train_score(encoder.fit_transform(more, labels, groups=copies), labels)
    folds = pd.Series(encoder.fold_).groupby(copies).nunique()
    assert folds.max() == 1
    assert leaking > 0.75
    assert together < 0.6  # nothing tells the classes

    with pytest.warns(LeakageWarning):
        make_pipeline(RandomOverSampler(random_state=0), make_encoder(), Recorder()).fit(X, y)


def test_before_the_encoder_rows_may_be_left_out(noise: Noise) -> None:
    model = make_pipeline(RandomUnderSampler(random_state=0), make_encoder(), Recorder())
    model.fit(*noise)
    assert len(model[-1].seen_) == 2 * noise[1].sum()
