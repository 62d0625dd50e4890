"""Fits with ``device="cuda"``: on a GPU where there is one, else on a pretended one.

A pretended GPU refuses what a real one would, and computes on the CPU; see ``pretended.py``.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import fields, is_dataclass, replace

import numpy as np
import pandas as pd
import pytest
import torch

from sk_entity_embed import (
    EntityEmbeddingClassifier,
    EntityEmbeddingEncoder,
    EntityEmbeddingRegressor,
)
from sk_entity_embed.learning import batches
from sk_entity_embed.learning.batches import TrainingSet
from tests.learning.pretended import GPU, on_a_pretended_gpu, pretended_gpu
from tests.learning.problems import KINDS, fit, make_problem
from tests.learning.tasks import make_task, tables_of

REAL = torch.cuda.is_available()


@pytest.fixture
def gpu():
    """A GPU, or what is taken for one."""
    with nullcontext() if REAL else pretended_gpu():
        yield


def make_table(n=240):
    """Two columns of strings, one of lists and a number; three classes and a number to learn."""
    rng = np.random.default_rng(0)
    words = rng.choice(list("abcdefgh"), (n, 3))
    lists = [list(row[:k]) for row, k in zip(words, rng.integers(1, 4, n), strict=True)]
    towns = rng.choice([f"town {i}" for i in range(20)], n)
    X = pd.DataFrame({"day": words[:, 2], "town": towns, "words": lists, "size": rng.random(n)})
    y = (words[:, 0] > "c") + (towns > "town 2") + 0.1 * rng.normal(size=n)
    return X, y


CASES = {
    "default": {},
    "one table": {"cross_fit": False},
    "members": {"n_members": 2},
    "gru": {"pooling": "gru"},
    "max": {"pooling": "max", "interactions": [("day", "town")]},
    "dot": {"head": "dot", "dimensions": 3},
    "no hidden layer": {"hidden_layer_sizes": (), "unknown_rate": 0.3},
    "frozen": {"freeze": ["day"], "early_stopping": False},
}


@pytest.mark.parametrize("parameters", CASES.values(), ids=CASES)
def test_fitted_state_of_a_gpu_is_numpy_and_answers_like_the_cpus(gpu, parameters):
    X, y = make_table()
    settings = {"max_iter": 3, "batch_size": 64, "random_state": 0, **parameters}
    model = EntityEmbeddingRegressor(device="cuda", **settings).fit(X, y)
    stored = pickle.dumps(model)
    assert b"torch" not in stored
    np.testing.assert_array_equal(pickle.loads(stored).predict(X), model.predict(X))
    assert np.isfinite(model.loss_curve_).all()
    on_cpu = model.set_params(device="cpu").fit(X, y)  # of other draws, where the GPU is real
    again = EntityEmbeddingRegressor(device="cuda", **settings).fit(X, y)
    assert again.loss_curve_[-1] == pytest.approx(on_cpu.loss_curve_[-1], rel=0.2)


def test_classes_learn_on_a_gpu_and_a_seed_gives_nearly_the_same_again(gpu):
    X, y = make_table()
    y = np.digitize(y, [0.5, 1.5])
    settings = {"max_iter": 3, "batch_size": 64, "random_state": 0, "device": "cuda"}
    first, second = (EntityEmbeddingClassifier(**settings).fit(X, y) for _ in range(2))
    # Sums of a GPU may differ in their last bits, which grow from step to step.
    np.testing.assert_allclose(first.loss_curve_, second.loss_curve_, rtol=1e-2)
    np.testing.assert_allclose(first.predict_proba(X), second.predict_proba(X), atol=0.05)


def test_a_fit_goes_on_from_the_cpu_to_a_gpu_and_back(gpu):
    X, y = make_table()
    encoder = EntityEmbeddingEncoder(warm_start=True, max_iter=4, batch_size=64, random_state=0)
    first = encoder.fit(X, y).validation_loss_curve_
    for device in ("cuda", "cpu"):
        losses = encoder.set_params(device=device).fit(X, y).validation_loss_curve_
        assert min(losses) < first[0]
        assert encoder.transform(X).dtype == np.float32


class Moved:
    """Batches of the CPU on a GPU: so both learn from the same draws."""

    def __init__(self, batches: TrainingSet, generator: torch.Generator) -> None:
        self.n_tables, self.n_steps = batches.n_tables, batches.n_steps
        self.n_context, self.generator = batches.n_context, generator
        self._batches = batches

    def iteration(self) -> Iterator[Callable]:
        for steps in self._batches.iteration():
            yield lambda steps=steps: [moved(batch) for batch in steps()]

    def validation(self) -> Iterator:
        return map(moved, self._batches.validation())


def moved(value):
    """A value whose tensors are on the GPU."""
    if isinstance(value, torch.Tensor):
        return value.to(GPU)
    if isinstance(value, list):
        return [moved(v) for v in value]
    if is_dataclass(value):
        return replace(value, **{f.name: moved(getattr(value, f.name)) for f in fields(value)})
    return value


@pytest.mark.parametrize("kind", KINDS)
def test_steps_of_a_gpu_are_those_of_the_cpu(gpu, kind):
    problem = make_problem(kind)
    task = make_task(*problem)
    generator = torch.Generator(device=GPU).manual_seed(0)
    on_gpu = make_task(*problem, device=GPU, batches=Moved(make_task(*problem).batches, generator))
    with torch.no_grad():
        for layer, other in zip(task.layers, on_gpu.layers, strict=True):
            other.load_state_dict(layer.state_dict())
    for _ in range(2):
        losses = [(a.cpu(), b.cpu()) for a, b in on_gpu.iteration()]
        torch.testing.assert_close(losses, list(task.iteration()), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(on_gpu.validation_loss(), task.validation_loss(), rtol=1e-3)
    for weight, table in zip(on_gpu.bank.weights, tables_of(task), strict=True):
        # A gradient of nothing but rounding moves a number by a whole step, whatever its sign.
        difference = np.abs(weight.cpu().numpy().reshape(table.shape) - table)
        assert np.quantile(difference, 0.9) < 1e-3


@pytest.mark.parametrize("kind", ["gru", "dot_sum"])
def test_a_training_goes_on_from_a_state_that_was_loaded_to_the_cpu(gpu, kind):
    problem = make_problem(kind, dropout=0.3, unknown_rate=0.1)
    task = make_task(*problem, device=GPU)
    list(task.iteration())
    written = io.BytesIO()
    torch.save(task.state_dict(), written)
    written.seek(0)
    other = make_task(*problem, device=GPU)
    other.load_state_dict(torch.load(written, weights_only=True, map_location="cpu"))
    losses = [[loss.item() for loss, _ in t.iteration()] for t in (task, other)]
    np.testing.assert_allclose(*losses, rtol=1e-3)


@pytest.mark.parametrize("n_tables", [1, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_every_operation_of_a_training_is_on_its_device(kind, n_tables):
    rows, start, config = make_problem(kind, n_tables, dropout=0.2, unknown_rate=0.1)
    start = replace(start, fixed=[np.arange(len(f)) > 3 for f in start.fixed])
    found, _ = on_a_pretended_gpu(lambda: fit(rows, start, replace(config, device="cuda")))
    for table, other in zip(found.tables, fit(rows, start, config).tables, strict=True):
        np.testing.assert_array_equal(table, other)


@pytest.mark.parametrize("kind", ["plain", "mean", "dot_sum"])
@pytest.mark.parametrize("one_by_one", [False, True])
def test_no_step_waits_for_the_gpu_but_where_rows_are_dealt(kind, one_by_one, monkeypatch):
    if one_by_one:  # rows of each step are dealt out apart
        monkeypatch.setattr(batches, "_ROWS_AT_ONCE", 1)
    rows, start, config = make_problem(kind, n=200, batch_size=4, device="cuda")
    n_steps = -(-(~rows.withheld).sum() // 4)
    counts = []
    for max_iter in (1, 2):
        longer = replace(config, max_iter=max_iter, n_iter_no_change=5, early_stopping=False)
        _, waits = on_a_pretended_gpu(lambda longer=longer: fit(rows, start, longer))
        counts.append(len(waits))
    # The sizes of heads' parts in both halves, and with lists, how long these are.
    a_deal = 2 if kind == "plain" else 5
    assert counts[1] - counts[0] <= a_deal * (n_steps if one_by_one else 1) + 3


def test_a_pretended_gpu_refuses_what_a_gpu_would():
    with pretended_gpu():
        here, there = torch.zeros(3), torch.zeros(3, device="cuda")
        assert (there + 1.0).to(torch.float64).device == GPU
        assert here.device.type == there.cpu().device.type == "cpu"
        assert there.add_(here.to(GPU)).tolist() == [0.0, 0.0, 0.0]
        for refused in (
            lambda: here + there,
            lambda: torch.cat([here, there]),
            lambda: there.masked_fill_(here > 0, 1.0),
            lambda: there.uniform_(generator=torch.Generator()),
            lambda: torch.rand(3, generator=torch.Generator(device="cuda")),
        ):
            with pytest.raises(RuntimeError, match="device"):
                refused()
        with pytest.raises(TypeError, match="numpy"):
            there.numpy()
