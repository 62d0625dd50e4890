"""The running mean of the parameters."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from sk_entity_embed.learning.optimizers import RunningMean

WINDOW = 3


def make_parameters():
    """A table, which is a plain tensor, and a weight that wants gradients."""
    generator = torch.Generator().manual_seed(0)
    return [
        torch.randn(4, 2, generator=generator),
        nn.Parameter(torch.randn(3, generator=generator)),
    ]


def walk(parameters, n_steps):
    """Change the parameters and update their mean; the states on the way, and the mean."""
    average = RunningMean(parameters, WINDOW)
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


@pytest.mark.parametrize("n_steps", [1, WINDOW])
def test_it_is_the_plain_mean_up_to_the_window(n_steps):
    states, average = walk(make_parameters(), n_steps)
    assert_close(values_of(average.mean), [np.mean(v, axis=0) for v in zip(*states, strict=True)])


def test_beyond_the_window_older_states_fade():
    n_steps = WINDOW + 5
    states, average = walk(make_parameters(), n_steps)
    weights = np.ones(WINDOW) / WINDOW
    for _ in range(n_steps - WINDOW):
        weights = np.append(weights * (1 - 1 / WINDOW), 1 / WINDOW)
    expected = [np.tensordot(weights, np.stack(v), 1) for v in zip(*states, strict=True)]
    assert_close(values_of(average.mean), expected)


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
