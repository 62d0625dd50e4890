"""The running mean of the parameters."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from sk_entity_embed.learning.optimizers import RunningMean

POWER = 2.0


def make_parameters():
    """A table, which is a plain tensor, and a weight that wants gradients."""
    generator = torch.Generator().manual_seed(0)
    return [
        torch.randn(4, 2, generator=generator),
        nn.Parameter(torch.randn(3, generator=generator)),
    ]


def walk(parameters, n_steps, power=POWER):
    """Change the parameters and update their mean; the states on the way, and the mean."""
    average = RunningMean(parameters, power)
    generator = torch.Generator().manual_seed(1)
    states = []
    for _ in range(n_steps):
        with torch.no_grad():
            for parameter in parameters:
                parameter.add_(torch.randn(parameter.shape, generator=generator))
        average.update()
        states.append(values_of(parameters))
    return states, average


def values_of(tensors):
    """Copies in NumPy."""
    return [t.detach().numpy().copy() for t in tensors]


def assert_close(found, expected):
    """Two lists of arrays agree but for rounding."""
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("power", [0.0, 1.0, 5.0])
def test_states_weigh_by_a_power_of_their_time(power):
    states, average = walk(make_parameters(), n_steps := 9, power)
    weights = np.ones(1)  # state k of n by about k to the power: exactly so for whole powers 0, 1
    for n in range(2, n_steps + 1):
        share = (1 + power) / (n + power)
        weights = np.append(weights * (1 - share), share)
    if power <= 1:
        plain = np.arange(1.0, n_steps + 1) ** power
        np.testing.assert_allclose(weights, plain / plain.sum())
    assert (np.diff(weights) > 0).all() == (power > 0)
    expected = [np.tensordot(weights, np.stack(v), 1) for v in zip(*states, strict=True)]
    assert_close(values_of(average.mean), expected)


def test_the_present_state_may_stand_for_many_updates():
    (parameter,) = parameters = [torch.ones(2)]
    average = RunningMean(parameters, 1.0, n_updates=3)
    parameter.zero_()
    average.update()
    assert_close(average.mean, [np.full(2, 1 - 2 / 5)])


@pytest.mark.parametrize("error", [None, KeyboardInterrupt])
def test_the_mean_stands_in_for_a_while(error):
    parameters = make_parameters()
    _, average = walk(parameters, 4)
    present, mean = values_of(parameters), values_of(average.mean)
    inside = []

    def use():
        with average.applied():
            inside.extend(values_of(parameters))
            if error is not None:
                raise error

    if error is None:
        use()
    else:
        with pytest.raises(error):
            use()
    for found, expected in ((inside, mean), (values_of(parameters), present)):
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_array_equal(one, other)
    for one, other in zip(values_of(average.mean), mean, strict=True):
        np.testing.assert_array_equal(one, other)
