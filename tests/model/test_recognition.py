"""Vectors are recognised exactly, else by the nearest, and the index for it is made once."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from sk_entity_embed.model import recognition
from sk_entity_embed.model.recognition import NearestRows, VectorIndex
from tests.samples import make_encoder


@pytest.mark.parametrize("collide", [False, True])
def test_equal_vectors_are_found_and_the_first_of_them(collide, monkeypatch):
    if collide:  # two hashes for all
        monkeypatch.setattr(recognition, "_hash", lambda v: (v[:, 0] > 0).astype(np.uint64))
    asked = np.random.default_rng(0).integers(-3, 4, size=(500, 3)).astype(np.float32)
    known, positions = asked[:300], np.random.default_rng(1).permutation(300)[:200]
    expected = [next((int(p) for p in positions if (known[p] == v).all()), -1) for v in asked]
    assert -1 in expected
    assert VectorIndex(known, positions).find(asked).tolist() == expected


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_the_nearest_is_that_of_double_precision(scale):
    rng = np.random.default_rng(0)
    for shift in (0.0, 1e4):
        known = ((rng.standard_normal((400, 5)) + shift) * scale).astype(np.float32)
        asked = ((rng.standard_normal((50, 5)) + shift) * scale).astype(np.float32)
        pairs = asked[:, None].astype(np.float64) - known[None]
        for rows in (np.arange(400), np.arange(1, 400, 2)):
            expected = rows[(pairs[:, rows] ** 2).sum(axis=2).argmin(axis=1)]
            assert NearestRows(known, rows).find(asked).tolist() == expected.tolist()
    assert NearestRows(known, rows[:0]).find(asked).tolist() == [-1] * 50


class Key:
    """A category that counts how often it is hashed."""

    n_hashes = 0

    def __init__(self, number: int) -> None:
        self.number = number

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Key) and self.number == other.number

    def __hash__(self) -> int:
        Key.n_hashes += 1
        return hash(self.number)


def test_serving_a_row_does_not_go_through_all_categories(monkeypatch):
    X = np.array([[Key(i // 2)] for i in range(4_000)], dtype=object)
    y = np.random.default_rng(0).normal(size=4_000)
    encoder = make_encoder(categorical_features="all", cv=2, max_iter=1).fit(X, y)
    row = X[7:8]
    expected = encoder.transform(row)
    noisy = expected + np.float32(1e-6)
    assert encoder.inverse_transform(noisy)[0, 0] == encoder.inverse_transform(expected)[0, 0]
    for name in ("VectorIndex", "NearestRows"):
        monkeypatch.setattr(
            f"sk_entity_embed.model.tables.{name}", None
        )  # no other one can be made
    Key.n_hashes = 0
    np.testing.assert_array_equal(encoder.transform(row), expected)
    assert encoder.inverse_transform(expected)[0, 0] == row[0, 0]
    assert encoder.inverse_transform(noisy)[0, 0] == row[0, 0]
    assert Key.n_hashes < 20


def test_indexes_are_no_part_of_the_model():
    X = [["a"], ["b"], ["c"]] * 20
    encoder = make_encoder(cv=2, max_iter=1).fit(X, np.linspace(0, 1, 60))
    before = pickle.dumps(encoder)
    encoder.inverse_transform(encoder.transform(X))
    assert pickle.dumps(encoder) == before
