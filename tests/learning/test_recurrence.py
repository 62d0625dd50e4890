"""The recurrence's own backward pass."""

from __future__ import annotations

import pytest
import torch

from sk_entity_embed.learning.recurrence import last_states

N_STATE = 3


def make_inputs(counts, seed=0):
    """Gates' inputs, weight and bias in double precision."""
    random = torch.Generator().manual_seed(seed)
    shapes = [(sum(counts), 3 * N_STATE), (3 * N_STATE, N_STATE), (3 * N_STATE,)]
    return [torch.randn(s, generator=random, dtype=torch.float64).requires_grad_() for s in shapes]


@pytest.mark.parametrize(
    ("counts", "needed"),
    [([4], [0, 1, 2]), ([3, 2, 2, 1], [0, 1, 2]), ([3, 2], [0]), ([3, 2], [1, 2])],
)
def test_the_gradient_is_that_of_finite_differences(counts, needed):
    inputs = make_inputs(counts)
    for i, tensor in enumerate(inputs):
        tensor.requires_grad_(i in needed)
    assert torch.autograd.gradcheck(lambda *x: last_states(*x, counts), inputs)


def test_the_incoming_gradient_and_the_inputs_are_left_alone():
    counts, inputs = [3, 2], make_inputs([3, 2])
    before = [x.detach().clone() for x in inputs]
    states, gradient = last_states(*inputs, counts), torch.ones(3, N_STATE, dtype=torch.float64)
    states.backward(gradient)
    assert (gradient == 1).all()
    for now, then in zip(inputs, before, strict=True):
        assert torch.equal(now.detach(), then)
