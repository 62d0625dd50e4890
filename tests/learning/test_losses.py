"""Losses against scikit-learn's metrics and their formulas."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import expit, softmax
from sklearn import metrics

from sk_entity_embed.learning.losses import TORCH_LOSSES, torch_loss
from sk_entity_embed.model.losses import LOSSES, Bounded, CrossEntropy, Scale
from tests.learning.problems import make_config

RNG = np.random.default_rng(0)
RAW = RNG.standard_normal((50, 3))
QUANTITIES = RNG.standard_normal((50, 3)) * 2
COUNTS = RNG.poisson(1.0, (50, 3)).astype(float)
LABELS = RNG.integers(2, size=(50, 3)).astype(float)


SCALE = Scale(np.array([0.5, -0.2, 0.1]), np.array([1.0, 2.0, 0.3]))


def losses(kind, raw, target):
    """Losses of each row and output, by torch and by NumPy alike."""
    found = TORCH_LOSSES[kind].value(torch.tensor(raw), torch.tensor(target)).numpy()
    np.testing.assert_allclose(kind().value(raw, target), found)
    return found


def bounded(name, low=-3.0, high=5.0):
    """A loss below a link that squashes, and the link."""
    link = Bounded(low, high)
    config = make_config(loss=LOSSES[name](), link=link, scale=SCALE)
    return torch_loss(config, torch.device("cpu")), link


def huber(raw, target):
    error = np.abs(raw - target)
    return np.where(error < 1, error**2 / 2, error - 0.5)


@pytest.mark.parametrize(
    ("name", "target", "metric"),
    [
        ("squared_error", QUANTITIES, lambda y, raw: metrics.mean_squared_error(y, raw)),
        ("absolute_error", QUANTITIES, lambda y, raw: metrics.mean_absolute_error(y, raw)),
        ("huber", QUANTITIES, lambda y, raw: huber(raw, y).mean()),
        ("poisson", COUNTS, lambda y, raw: metrics.mean_poisson_deviance(y, np.exp(raw)) / 2),
        ("log_loss", LABELS, lambda y, raw: metrics.log_loss(y, expit(raw))),
    ],
)
def test_mean_loss_of_each_output(name, target, metric):
    found = losses(LOSSES[name], RAW, target)
    assert found.shape == (50, 3)
    expected = [metric(y, raw) for y, raw in zip(target.T, RAW.T, strict=True)]
    np.testing.assert_allclose(found.mean(axis=0), expected)


def test_exclusive_classes_have_one_loss_a_row():
    classes = RNG.integers(3, size=(50, 1)).astype(float)
    found = losses(CrossEntropy, RAW, classes)
    assert found.shape == (50, 1)
    expected = -np.log(softmax(RAW, axis=1))[np.arange(50), classes[:, 0].astype(int)]
    np.testing.assert_allclose(found[:, 0], expected)
    np.testing.assert_allclose(found.mean(), metrics.log_loss(classes[:, 0], softmax(RAW, axis=1)))


@pytest.mark.parametrize("name", ["poisson", "log_loss"])
def test_extreme_outputs_have_finite_gradients(name):
    raw = torch.tensor([[-80.0], [20.0], [0.0]], requires_grad=True)
    loss = TORCH_LOSSES[LOSSES[name]]
    total = loss.value(raw, torch.tensor([[0.0], [0.0], [1.0]])).sum()
    (gradient,) = torch.autograd.grad(total, raw)
    assert torch.isfinite(total)
    assert torch.isfinite(gradient).all()


@pytest.mark.parametrize("name", ["squared_error", "huber"])
def test_bounded_outputs_are_squashed_before_they_are_compared(name):
    loss, link = bounded(name)
    found = loss.value(torch.tensor(RAW), torch.tensor(QUANTITIES)).numpy()
    squashed = (link.predict(RAW, SCALE) - SCALE.center) / SCALE.width
    np.testing.assert_allclose(found, losses(LOSSES[name], squashed, QUANTITIES), rtol=1e-4)


def test_bounded_outputs_have_finite_gradients():
    raw = torch.tensor([[-300.0] * 3, [300.0] * 3, [0.0] * 3], requires_grad=True)
    loss, link = bounded("squared_error")
    ends = [(np.full(3, v) - SCALE.center) / SCALE.width for v in (link.low, link.high, 5.0)]
    values = loss.value(raw, torch.tensor(np.array(ends), dtype=torch.float32))
    (gradient,) = torch.autograd.grad(values.sum(), raw)
    assert values[:2].sum() < 1e-9
    assert torch.isfinite(gradient).all()
    assert (gradient[2] < 0).all()


BOUNDED = ["squared_error", "absolute_error", "huber"]


@pytest.mark.parametrize(
    ("name", "squashed"),
    [*((name, False) for name in [*BOUNDED, "poisson", "log_loss"]), *((n, True) for n in BOUNDED)],
)
def test_derivatives_are_those_of_torch(name, squashed):
    generator = torch.Generator().manual_seed(0)
    raw = 2 * torch.randn(50, 3, generator=generator)
    target = (torch.rand(50, 3, generator=generator) < 0.5).float()
    loss = bounded(name, -1.0, 2.0)[0] if squashed else TORCH_LOSSES[LOSSES[name]]
    raw.requires_grad_()
    (expected,) = torch.autograd.grad(loss.value(raw, target).sum(), raw)
    found = loss.derivative(raw.detach(), target)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


def test_the_derivative_over_exclusive_classes_is_that_of_torch():
    generator = torch.Generator().manual_seed(0)
    raw = torch.randn(50, 4, generator=generator, requires_grad=True)
    target = torch.randint(0, 4, (50, 1), generator=generator).float()
    loss = TORCH_LOSSES[CrossEntropy]
    (expected,) = torch.autograd.grad(loss.value(raw, target).sum(), raw)
    torch.testing.assert_close(loss.derivative(raw.detach(), target), expected)
