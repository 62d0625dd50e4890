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


def naive(given, weight, bias, counts):
    """Last states by the formula, item by item, with torch's own gradient."""
    starts = torch.tensor([0, *counts]).cumsum(0).tolist()
    states = []
    for i in range(counts[0]):
        state = torch.zeros(N_STATE, dtype=given.dtype)
        for start, count in zip(starts, counts, strict=False):
            if i < count:
                kept = weight @ state + bias
                reset, update, new = given[start + i].split(N_STATE)
                recalled = kept.split(N_STATE)
                reset, update = (reset + recalled[0]).sigmoid(), (update + recalled[1]).sigmoid()
                new = (new + reset * recalled[2]).tanh()
                state = (1 - update) * new + update * state
        states.append(state)
    return torch.stack(states)


COUNTS = [[4], [3, 2, 2, 1]]


@pytest.mark.parametrize("counts", COUNTS)
def test_states_are_those_of_the_formula(counts):
    inputs = make_inputs(counts)
    torch.testing.assert_close(last_states(*inputs, counts), naive(*inputs, counts))


@pytest.mark.parametrize("counts", COUNTS)
def test_the_gradient_is_that_of_finite_differences(counts):
    inputs = make_inputs(counts)
    assert torch.autograd.gradcheck(lambda *x: last_states(*x, counts), inputs)


@pytest.mark.parametrize("needed", [[0], [1, 2], [0, 2]])
def test_a_part_of_the_gradient_can_be_asked_for(needed):
    counts, inputs = [3, 2], make_inputs([3, 2])
    for i, tensor in enumerate(inputs):
        tensor.requires_grad_(i in needed)
    asked = [inputs[i] for i in needed]
    weights = torch.arange(9, dtype=torch.float64).view(3, 3)
    mine = torch.autograd.grad((last_states(*inputs, counts) * weights).sum(), asked)
    theirs = torch.autograd.grad((naive(*inputs, counts) * weights).sum(), asked)
    for one, other in zip(mine, theirs, strict=True):
        torch.testing.assert_close(one, other)


def test_the_incoming_gradient_and_the_inputs_are_left_alone():
    counts, inputs = [3, 2], make_inputs([3, 2])
    before = [x.detach().clone() for x in inputs]
    states, gradient = last_states(*inputs, counts), torch.ones(3, N_STATE, dtype=torch.float64)
    states.backward(gradient)
    assert (gradient == 1).all()
    for now, then in zip(inputs, before, strict=True):
        assert torch.equal(now.detach(), then)
