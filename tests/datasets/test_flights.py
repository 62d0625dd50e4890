"""The flights from New York."""

from __future__ import annotations

import pytest

from sk_entity_embed.datasets import flights, load_flights
from sk_entity_embed.exceptions import InvalidParameterError


def test_rows_are_drawn_reproducibly():
    X, y = load_flights(500, random_state=0)
    assert X.shape == (500, 7)
    assert X.index.tolist() == y.index.tolist() == list(range(500))
    assert all(isinstance(value, str) for value in X.iloc[0])
    assert not X.isna().any(axis=None)
    assert y.dtype == bool
    assert 0.1 < y.mean() < 0.4
    assert X.equals(load_flights(500, random_state=0)[0])
    assert not X.equals(load_flights(500, random_state=1)[0])


def test_all_flights_that_arrived_and_no_more():
    X, y = load_flights()
    assert len(X) == len(y) == 327_346
    assert X.iloc[0].tolist() == ["UA", "EWR", "IAH", "N14228", "1", "1", "5"]
    with pytest.raises(InvalidParameterError, match="n_rows=400000 is more than the 327346"):
        load_flights(400_000)


def test_without_the_package_its_extra_is_named(monkeypatch):
    monkeypatch.setattr(flights, "find_spec", lambda _: None)
    with pytest.raises(ImportError, match=r"pip install 'sk-entity-embed\[datasets\]'"):
        load_flights(10)
