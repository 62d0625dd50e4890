"""From what was learned to the fitted model."""

from __future__ import annotations

from typing import Any
from weakref import ref

import numpy as np
import pandas as pd
import pytest

from sk_entity_embed import EntityEmbeddingRegressor
from sk_entity_embed import _base as base


@pytest.mark.parametrize("head", ["mlp", "dot"])
def test_tables_of_training_are_let_go_when_they_are_merged(
    head: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, trained = base.assemble, []

    def spy(learned: Any, start: Any, *args: Any) -> Any:
        trained.extend(ref(table) for table in (*learned.tables, *start.tables))
        model = original(learned, start, *args)
        assert len(trained) == 4
        assert not [table for table in trained if table() is not None]
        return model

    monkeypatch.setattr(base, "assemble", spy)
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.integers(0, 5, (60, 2)).astype(str))
    EntityEmbeddingRegressor(head=head, max_iter=1).fit(X, rng.standard_normal(60))
    assert trained


def test_files_and_a_later_fit_find_folds_in_64_bits() -> None:
    rng = np.random.default_rng(0)
    X, y = pd.DataFrame(rng.integers(0, 5, (60, 2)).astype(str)), rng.standard_normal(60)
    model = EntityEmbeddingRegressor(max_iter=1, warm_start=True).fit(X, y)
    assert model._memory.roles.fold.dtype == np.int64
    fold = model.fold_
    np.testing.assert_array_equal(model._memory.roles.fold, fold)
    np.testing.assert_array_equal(model.fit(X, y).fold_, fold)
