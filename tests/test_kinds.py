"""Kinds of heads, poolings and losses: one room each, and a toy of each takes every way."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import sk_entity_embed
from sk_entity_embed import EntityEmbeddingEncoder, EntityEmbeddingRegressor
from sk_entity_embed._access import training_output
from sk_entity_embed.exceptions import InvalidParameterError, UnsupportedDataError
from sk_entity_embed.export import load, save, to_onnx
from sk_entity_embed.inspection import align, drift
from sk_entity_embed.learning.heads import TORCH_HEADS, TorchHead
from sk_entity_embed.learning.layers import set_values, to_numpy
from sk_entity_embed.learning.losses import TORCH_LOSSES
from sk_entity_embed.learning.poolings import TORCH_POOLINGS, TorchPooling
from sk_entity_embed.model.heads import HEADS, Head
from sk_entity_embed.model.losses import LOSSES, CrossEntropy
from sk_entity_embed.model.poolings import POOLINGS, Pooling
from sk_entity_embed.model.symmetry import JOINT_ROTATION, LINEAR

PACKAGE = Path(sk_entity_embed.__file__).parent
ROOMS = ("model/heads/", "model/poolings.py", "model/losses.py")
ROOMS += tuple(f"learning/{room}" for room in ("heads/", "poolings.py", "losses.py"))


@dataclass(frozen=True, slots=True)
class LengthHead(Head):
    """Lengths of the columns' summed vectors: rotations of all columns change nothing."""

    name = "length"

    weights: np.ndarray
    """First that of the length, then one for each number."""
    bias: np.ndarray

    n_outputs = 1
    symmetry = JOINT_ROTATION

    def raw(self, vectors, context, fold=None):
        width = self.bias[1:].astype(int)[0]
        total = vectors.astype(float).reshape(len(vectors), -1, width).sum(axis=1)
        inputs = np.column_stack([np.sqrt(1 + (total**2).sum(axis=1)), context])
        return (inputs @ self.weights + self.bias[0])[:, None]


class TorchLengthHead(TorchHead):
    """Its torch side, by its forward pass alone."""

    def __init__(self, shape, config, generator):
        super().__init__(shape, config, generator)
        self.width, self.n_vectors, self.n_in = shape.widths[0], sum(shape.widths), shape.n_in
        self.linear = nn.Parameter(torch.ones(1 + shape.n_context))
        self.bias = nn.Parameter(-torch.ones(1))  # vectors of zero answer zero

    def forward(self, x):
        total = x[:, : self.n_vectors].view(len(x), -1, self.width).sum(1)
        length = (1 + total.square().sum(1)).sqrt().unsqueeze(1)
        inputs = torch.cat([length, x[:, self.n_vectors : self.n_in]], dim=1)
        return (inputs @ self.linear + self.bias).unsqueeze(1)

    def to_numpy(self):
        return LengthHead(to_numpy(self.linear), np.append(to_numpy(self.bias), self.width))

    def set_from(self, head):
        set_values([self.linear, self.bias], [head.weights, head.bias[:1]])


@dataclass(frozen=True, slots=True)
class First(Pooling):
    """The vector of the first item."""

    name = "first"
    symmetry = LINEAR

    def __call__(self, source, lists, out):
        out[:] = source[lists.items[lists.offsets[:-1]]]


class TorchFirst(TorchPooling):
    """Its torch side."""

    kind = First

    def forward(self, items, owners, lengths):
        return items[lengths.cumsum(0) - lengths]


@pytest.fixture(autouse=True)
def toys(monkeypatch):
    """The toy kinds, where a new kind has its places."""
    monkeypatch.setitem(HEADS, "length", LengthHead)
    monkeypatch.setitem(TORCH_HEADS, LengthHead, TorchLengthHead)
    monkeypatch.setitem(POOLINGS, "first", First)
    monkeypatch.setitem(TORCH_POOLINGS, First, TorchFirst)


def rows(n: int = 400) -> tuple[pd.DataFrame, np.ndarray]:
    """Rows whose target is told by the first word."""
    rng = np.random.default_rng(0)
    words = rng.choice(list("abcde"), (n, 2))
    X = pd.DataFrame({"words": words.tolist(), "town": rng.choice(list("xyz"), n)})
    return X, (words[:, 0] > "b") + 0.1 * rng.normal(size=n)


@pytest.mark.parametrize(
    "parameters",
    [{"head": "length", "dimensions": 3}, {"pooling": "first"}],
    ids=["head", "pooling"],
)
def test_a_toy_kind_takes_every_way(tmp_path, parameters):
    X, y = rows()
    first, second = (
        EntityEmbeddingEncoder(random_state=seed, max_iter=6, **parameters) for seed in (0, 1)
    )
    out_of_fold = first.fit_transform(X, y)
    assert not np.array_equal(out_of_fold, first.transform(X))
    stacked = training_output(first, X, "stacking")
    np.testing.assert_array_equal(stacked[:, :-1], out_of_fold)
    assert np.corrcoef(stacked[:, -1], y)[0, 1] > 0.3
    second.fit(X, y)
    moved = align(second, first)
    np.testing.assert_allclose(  # the network answers as before
        moved._model.raw(moved._model.code(moved._read(X))),
        second._model.raw(second._model.code(second._read(X))),
        atol=1e-4,
    )
    distance = [np.linalg.norm(e.transform(X) - first.transform(X)) for e in (moved, second)]
    assert distance[0] < distance[1]
    assert drift(second, first, "town")["movement"].notna().all()
    save(first, tmp_path / "toy")
    np.testing.assert_array_equal(load(tmp_path / "toy").transform(X), first.transform(X))
    if "pooling" in parameters:
        with pytest.raises(UnsupportedDataError, match=r"pooled by 'first'"):
            to_onnx(first)


def test_a_toy_head_predicts_and_is_refused_by_onnx():
    X, _ = rows()
    y = np.where(X["town"] == "z", 3.0, 1.0)
    regressor = EntityEmbeddingRegressor(
        head="length", dimensions=3, learning_rate_init=0.05, random_state=0, max_iter=20
    )
    assert regressor.fit(X, y).score(X, y) > 0.9
    with pytest.raises(UnsupportedDataError, match=r"the head 'length'"):
        to_onnx(regressor)
    with pytest.raises(InvalidParameterError, match=r"output='hidden'.*head='length'"):
        EntityEmbeddingEncoder(head="length", output="hidden").fit(X, y)


def test_each_kind_has_both_sides():
    assert {*HEADS.values()} == {*TORCH_HEADS}
    assert {*POOLINGS.values()} == {*TORCH_POOLINGS}
    assert {*LOSSES.values(), CrossEntropy} == {*TORCH_LOSSES}


def test_no_code_outside_the_rooms_asks_for_a_kind():
    """Neither by class nor by name: a new kind would have to be added there."""
    classes = {kind.__name__ for kind in (*HEADS.values(), *POOLINGS.values())}
    classes |= {kind.__name__ for kind in (*LOSSES.values(), *TORCH_HEADS.values())}
    classes |= {kind.__name__ for kind in (*TORCH_POOLINGS.values(), CrossEntropy)}
    names = {*HEADS, *POOLINGS, *LOSSES}
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        place = path.relative_to(PACKAGE).as_posix()
        if not place.startswith(ROOMS):
            tests = kind_tests(ast.parse(path.read_text()), classes, names)
            found += [f"{place}:{line}" for line in tests]
    assert found == []


def kind_tests(tree: ast.AST, classes: set[str], names: set[str]) -> list[int]:
    """Lines that compare something with a kind's class or name."""

    def asks_for_kind(node: ast.AST) -> bool:
        parts = node.elts if isinstance(node, ast.Tuple | ast.List | ast.Set) else [node]
        named = {n.id for part in parts for n in ast.walk(part) if isinstance(n, ast.Name)}
        said = {part.value for part in parts if isinstance(part, ast.Constant)}
        return bool(named & classes or {s for s in said if isinstance(s, str)} & names)

    lines = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in (
            "isinstance",
            "issubclass",
        ):
            lines += [node.lineno] * asks_for_kind(node.args[1])
        elif isinstance(node, ast.Compare):
            lines += [node.lineno] * any(map(asks_for_kind, [node.left, *node.comparators]))
        elif isinstance(node, ast.Match):
            lines += [c.pattern.lineno for c in node.cases if asks_for_kind(c.pattern)]
    return lines
