"""Losses against scikit-learn's metrics and their formulas."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import expit, softmax
from sklearn import metrics

from sk_entity_embed.learning.losses import loss_derivative, loss_function

RNG = np.random.default_rng(0)
RAW = RNG.standard_normal((50, 3))
QUANTITIES = RNG.standard_normal((50, 3)) * 2
COUNTS = RNG.poisson(1.0, (50, 3)).astype(float)
LABELS = RNG.integers(2, size=(50, 3)).astype(float)


def losses(name, raw, target, multiclass=False):
    """Losses of each row and output."""
    found = loss_function(name, multiclass=multiclass)(torch.tensor(raw), torch.tensor(target))
    return found.numpy()


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
    found = losses(name, RAW, target)
    assert found.shape == (50, 3)
    expected = [metric(y, raw) for y, raw in zip(target.T, RAW.T, strict=True)]
    np.testing.assert_allclose(found.mean(axis=0), expected)


def test_exclusive_classes_have_one_loss_a_row():
    classes = RNG.integers(3, size=(50, 1)).astype(float)
    found = losses("log_loss", RAW, classes, multiclass=True)
    assert found.shape == (50, 1)
    expected = -np.log(softmax(RAW, axis=1))[np.arange(50), classes[:, 0].astype(int)]
    np.testing.assert_allclose(found[:, 0], expected)
    np.testing.assert_allclose(found.mean(), metrics.log_loss(classes[:, 0], softmax(RAW, axis=1)))


@pytest.mark.parametrize("name", ["poisson", "log_loss"])
def test_extreme_outputs_have_finite_gradients(name):
    raw = torch.tensor([[-80.0], [20.0], [0.0]], requires_grad=True)
    total = loss_function(name, multiclass=False)(raw, torch.tensor([[0.0], [0.0], [1.0]])).sum()
    (gradient,) = torch.autograd.grad(total, raw)
    assert torch.isfinite(total)
    assert torch.isfinite(gradient).all()


@pytest.mark.parametrize("name", ["squared_error", "huber"])
def test_bounded_outputs_are_squashed_before_they_are_compared(name):
    low, high = np.array([-3.0, -1.0, 0.0]), np.array([3.0, 5.0, 0.5])
    offset, gain = np.array([0.5, -1.0, 0.0]), np.array([1.0, 2.0, 0.3])
    bounds = tuple(torch.tensor(value) for value in (low, high, offset, gain))
    function = loss_function(name, multiclass=False, bounds=bounds)
    found = function(torch.tensor(RAW), torch.tensor(QUANTITIES)).numpy()
    squashed = low + (high - low) * expit(offset + gain * RAW)
    np.testing.assert_allclose(found, losses(name, squashed, QUANTITIES))


def test_bounded_outputs_have_finite_gradients():
    raw = torch.tensor([[-200.0], [200.0], [0.0]], requires_grad=True)
    bounds = tuple(torch.tensor([value]) for value in (1.0, 5.0, 0.0, 1.0))
    function = loss_function("squared_error", multiclass=False, bounds=bounds)
    loss = function(raw, torch.tensor([[1.0], [5.0], [2.0]]))
    (gradient,) = torch.autograd.grad(loss.sum(), raw)
    assert loss[:2].sum() == 0
    assert torch.isfinite(gradient).all()
    assert gradient[2] > 0


BOUNDED = ["squared_error", "absolute_error", "huber"]


@pytest.mark.parametrize(
    ("name", "bounded"),
    [*((name, False) for name in [*BOUNDED, "poisson", "log_loss"]), *((n, True) for n in BOUNDED)],
)
def test_derivatives_are_those_of_torch(name, bounded):
    generator = torch.Generator().manual_seed(0)
    raw = 2 * torch.randn(50, 3, generator=generator)
    target = (torch.rand(50, 3, generator=generator) < 0.5).float()
    bounds = None
    if bounded:
        bounds = tuple(torch.tensor(v) for v in ([-1.0] * 3, [2.0] * 3, [0.5, 0, -1], [1.0, 2, 3]))
    loss = loss_function(name, multiclass=False, bounds=bounds)
    raw.requires_grad_()
    (expected,) = torch.autograd.grad(loss(raw, target).sum(), raw)
    found = loss_derivative(name, multiclass=False, bounds=bounds)(raw.detach(), target)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


def test_the_derivative_over_exclusive_classes_is_that_of_torch():
    generator = torch.Generator().manual_seed(0)
    raw = torch.randn(50, 4, generator=generator, requires_grad=True)
    target = torch.randint(0, 4, (50, 1), generator=generator).float()
    loss = loss_function("log_loss", multiclass=True)
    (expected,) = torch.autograd.grad(loss(raw, target).sum(), raw)
    found = loss_derivative("log_loss", multiclass=True)(raw.detach(), target)
    torch.testing.assert_close(found, expected)
