"""Generated sequences: words with moods, students who learn."""

from __future__ import annotations

import numpy as np
import pytest

from sk_entity_embed.datasets import make_reviews, make_sequences
from tests.datasets.same import assert_reproducible


@pytest.mark.parametrize("make", [make_reviews, make_sequences])
def test_equal_seeds_give_equal_data(make):
    assert_reproducible(make)


def test_moods_decide_what_a_review_is():
    data = make_reviews(1500, noise=0, random_state=0)
    words = data.X["sentence"].str.split()
    assert words.str.len().between(10, 30).all()
    assert words.str.len().nunique() == 21
    moods = words.map(lambda found: data.word_effects[found].sum())
    assert (data.y[moods > 0] == 1).all()
    assert (data.y[moods < 0] == 0).all()
    assert 0.4 < data.y.mean() < 0.6
    assert data.word_effects.index.is_unique
    shares = np.mean([mood != 0 for found in words for mood in data.word_effects[found]])
    assert shares == pytest.approx(1 / 6, abs=0.01)


def test_noise_blurs_moods():
    data = make_reviews(1500, noise=3, random_state=0)
    moods = data.X["sentence"].str.split().map(lambda found: data.word_effects[found].sum())
    assert 0.02 < (data.y[moods > 1] == 0).mean() < 0.4


def test_students_differ_and_learn():
    data = make_sequences(400, random_state=0)
    X = data.X
    assert X["step"].equals(X.groupby("student").cumcount().rename("step"))
    assert X.groupby("student").size().between(20, 60).all()
    means = data.y.groupby(X["student"]).mean()
    assert np.corrcoef(means, data.abilities[means.index])[0, 1] > 0.5
    practice = X.groupby(["student", "skill"]).cumcount()
    log_odds = X["student"].map(data.abilities) - X["skill"].map(data.skills["difficulty"])
    log_odds += X["skill"].map(data.skills["gain"]) * practice
    expected = 1 / (1 + np.exp(-log_odds))
    assert (data.y - expected).mean() == pytest.approx(0, abs=0.01)
    assert data.y[practice >= 5].mean() > data.y[practice == 0].mean() + 0.1
    same = X["skill"].eq(X["skill"].shift())[X["step"] > 0]
    assert 0.75 < same.mean() < 0.9


def test_the_smallest_and_bad_parameters():
    assert len(make_sequences(1, 1, 2).X) >= 1
    assert len(make_reviews(1, 2).X) == 1
    with pytest.raises(ValueError, match="n_steps"):
        make_sequences(n_steps=1)
    with pytest.raises(ValueError, match="n_words"):
        make_reviews(n_words=1)
