"""From what was learned to the fitted model."""

from __future__ import annotations

from typing import Any
from weakref import ref

import numpy as np
import pandas as pd
import pytest

from sk_entity_embed import EntityEmbeddingRegressor, _training
from sk_entity_embed.fitting.building import build_member


@pytest.mark.parametrize("head", ["mlp", "dot"])
def test_tables_of_training_are_let_go_when_they_are_merged(
    head: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[Any] = []

    def spy(tables: list[Any], *args: Any) -> Any:
        trained.extend(map(ref, tables))
        member = build_member(tables, *args)
        assert [table() for table in trained] == [None, None]
        return member

    monkeypatch.setattr(_training, "build_member", spy)
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.integers(0, 5, (60, 2)).astype(str))
    EntityEmbeddingRegressor(head=head, max_iter=1).fit(X, rng.standard_normal(60))
    assert trained


def test_files_and_a_later_fit_find_folds_in_64_bits() -> None:
    rng = np.random.default_rng(0)
    X, y = pd.DataFrame(rng.integers(0, 5, (60, 2)).astype(str)), rng.standard_normal(60)
    regressor = EntityEmbeddingRegressor(max_iter=1, warm_start=True).fit(X, y)
    fold, kept = regressor.fold_, regressor._model.warm_start.fold
    assert fold.dtype == kept.dtype == np.int64
    np.testing.assert_array_equal(kept, fold)
    np.testing.assert_array_equal(regressor.fit(X, y).fold_, fold)
