"""A training goes on from its state as it would have without a stop."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest
import torch

from sk_entity_embed import EntityEmbeddingRegressor
from sk_entity_embed.learning import crossfit, problem
from sk_entity_embed.learning import learn as learning
from sk_entity_embed.learning.loop import TrainingState, train


class Stop(Exception):
    """Ends a training after an iteration."""


@pytest.mark.parametrize(
    "parameters",
    [{}, {"head": "dot"}, {"pooling": "gru"}, {"pooling": "sum", "early_stopping": False}],
    ids=str,
)
@pytest.mark.parametrize("rows_an_iteration", [500, 90])
def test_training_goes_on_from_a_written_state(monkeypatch, parameters, rows_an_iteration):
    # Two iterations are two passes over the rows, or the first half of one.
    monkeypatch.setattr(problem, "ROWS_AN_ITERATION", rows_an_iteration)
    monkeypatch.setattr(crossfit, "MUON_BATCH", 40)
    monkeypatch.setattr(crossfit, "UPDATES", 7)  # one in some steps
    rng = np.random.default_rng(0)
    words = rng.choice(list("abcdefgh"), (300, 3))
    X = pd.DataFrame(
        {"words": words.tolist(), "town": rng.choice(list("xyz"), 300), "size": rng.random(300)}
    )
    y = (words[:, 0] > "c") + 0.1 * rng.normal(size=300)
    written = io.BytesIO()

    def stop_after_two(state: TrainingState) -> None:
        if len(state.iterations) == 2:
            torch.save(state.state_dict(), written)
            raise Stop

    def fit(**how: object) -> np.ndarray:
        monkeypatch.setattr(learning, "train", lambda task, **kw: train(task, **kw, **how))
        model = EntityEmbeddingRegressor(random_state=0, max_iter=5, batch_size=40, **parameters)
        return model.fit(X, y).predict(X)

    whole = fit()
    with pytest.raises(Stop):
        fit(after_iteration=stop_after_two)
    written.seek(0)
    state = TrainingState.of(torch.load(written, weights_only=True))
    np.testing.assert_array_equal(fit(state=state), whole)


def test_a_training_that_has_stopped_runs_no_further_iteration(monkeypatch):
    rng = np.random.default_rng(0)
    X, y = pd.DataFrame({"town": rng.choice(list("xyz"), 200)}), rng.normal(size=200)
    written = io.BytesIO()

    def write(state: TrainingState) -> None:
        written.seek(0)
        written.truncate()
        torch.save(state.state_dict(), written)

    def fit(**how: object) -> EntityEmbeddingRegressor:
        monkeypatch.setattr(learning, "train", lambda task, **kw: train(task, **kw, **how))
        impatient = {"n_iter_no_change": 1, "tol": 1.0, "max_iter": 30, "random_state": 0}
        return EntityEmbeddingRegressor(**impatient).fit(X, y)

    whole = fit(after_iteration=write)
    written.seek(0)
    again = fit(state=TrainingState.of(torch.load(written, weights_only=True)))
    assert again.n_iter_ == whole.n_iter_ < 30
    np.testing.assert_array_equal(again.predict(X), whole.predict(X))
