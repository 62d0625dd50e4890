"""The end of a training: its budget, and what is said of one that was too small."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import ConvergenceWarning

from sk_entity_embed import EntityEmbeddingEncoder
from sk_entity_embed.exceptions import UnfinishedTrainingWarning


@pytest.fixture(scope="module")
def rows():
    """A column whose effect takes long to learn in full."""
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 40, 2_000)
    X = pd.DataFrame({"c": [f"c{i}" for i in codes], "x": rng.standard_normal(2_000)})
    return X, rng.standard_normal(40)[codes] + 0.1 * rng.standard_normal(2_000)


def warnings_of(rows, **parameters):
    encoder = EntityEmbeddingEncoder(["c"], random_state=0, **parameters)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        encoder.fit(*rows)
    return encoder, [w for w in caught if w.category is UnfinishedTrainingWarning]


def test_a_training_that_ends_while_its_loss_falls_says_so_and_what_would_help(rows):
    encoder, (caught,) = warnings_of(rows, max_iter=6)
    curve = encoder.validation_loss_curve_
    gain = 1 - curve[-1] / curve[3]
    assert issubclass(caught.category, ConvergenceWarning)
    assert f"after 6 iterations, and the validation loss was still falling: by {gain:.0%}" in str(
        caught.message
    )
    assert "max_iter=12" in str(caught.message)
    longer, _ = warnings_of(rows, max_iter=12)
    assert longer.validation_loss_curve_.min() < 0.95 * curve.min()


@pytest.mark.parametrize(
    "parameters",
    [{"max_iter": 400, "n_iter_no_change": 3}, {"max_iter": 4}, {"early_stopping": False}],
)
def test_nothing_is_said_of_others(rows, parameters):
    """Of those whose patience ended them, that cannot tell yet, or have no honest loss."""
    assert warnings_of(rows, **parameters)[1] == []


def test_after_patience_training_goes_on_from_the_best_state_with_ever_smaller_steps(rows):
    encoder, _ = warnings_of(rows, max_iter=400, n_iter_no_change=3)
    curve = encoder.validation_loss_curve_
    assert encoder.n_iter_ < 300
    # Patience was over after `start` iterations, and steps fell in a fifth of those up to the best.
    best = [1 + int(np.argmin(curve[:start])) for start in range(1, len(curve) + 1)]
    starts = [
        start
        for start, b in enumerate(best[:-1], start=1)
        if start - b >= 3 and start + max(1, round(0.2 * b)) == len(curve)
    ]
    assert starts
    assert curve[starts[0] :].min() < curve[: starts[0]].min()
