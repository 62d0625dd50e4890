"""Optuna: a search over parameters, and trials that are pruned by what callbacks are told."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline

from sk_entity_embed import EntityEmbeddingRegressor
from tests.samples import make_encoder

optuna = pytest.importorskip("optuna")

Rows = tuple[pd.DataFrame, np.ndarray]


@pytest.fixture(autouse=True)
def _quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)


def test_a_study_searches_a_pipeline(rows: Rows) -> None:
    X, y = rows

    def objective(trial):
        encoder = make_encoder(
            dimensions=trial.suggest_int("dimensions", 1, 4),
            output=trial.suggest_categorical("output", ["embedding", "stacking"]),
            max_iter=trial.suggest_int("max_iter", 1, 12),
            learning_rate_init=0.02,
        )
        model = make_pipeline(encoder.set_params(remainder="passthrough"), Ridge())
        return cross_val_score(model, X, y, cv=2, error_score="raise").mean()

    sampler = optuna.samplers.TPESampler(seed=0, n_startup_trials=3)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.optimize(objective, n_trials=6)
    values = [trial.value for trial in study.trials]
    assert len({round(value, 6) for value in values}) > 3
    assert study.best_value > 0.5


def test_trials_that_promise_nothing_are_pruned(rows: Rows) -> None:
    X, y = rows
    epochs: dict[int, int] = {}

    def objective(trial):
        def report(epoch, losses):
            epochs[trial.number] = epoch
            trial.report(losses["validation"], epoch)
            if trial.should_prune():
                raise optuna.TrialPruned

        model = EntityEmbeddingRegressor(
            hidden_layer_sizes=(4,),
            learning_rate_init=trial.suggest_categorical("step", [2e-2, 1e-6]),
            max_iter=8,
            early_stopping=True,
            interactions=None,
            callbacks=[report],
            random_state=0,
        )
        return min(model.fit(X, y).validation_loss_curve_)

    study = optuna.create_study(
        sampler=optuna.samplers.GridSampler({"step": [2e-2, 1e-6]}, seed=1),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=1, n_warmup_steps=2),
    )
    study.enqueue_trial({"step": 2e-2})
    study.enqueue_trial({"step": 1e-6})
    study.optimize(objective, n_trials=2)
    states = [trial.state.name for trial in study.trials]
    assert states == ["COMPLETE", "PRUNED"]
    assert epochs[0] == 8
    assert epochs[1] < 8
    assert study.best_params == {"step": 2e-2}
