"""Pooling of lists in torch: against loops, torch's own unit and NumPy."""

from __future__ import annotations

import pytest
import torch
from torch.nn.utils.rnn import pack_sequence

from sk_entity_embed.learning.poolings import TORCH_POOLINGS, GRUPool
from sk_entity_embed.model.poolings import POOLINGS

WIDTH = 4
NAIVE = {"mean": lambda v: v.mean(0), "sum": lambda v: v.sum(0), "max": lambda v: v.amax(0)}


def make_items(lengths, seed=0):
    """Items of some lists in double precision, with a gradient, and the list of each."""
    random = torch.Generator().manual_seed(seed)
    items = torch.randn(sum(lengths), WIDTH, generator=random, dtype=torch.float64)
    owners = torch.repeat_interleave(torch.tensor(lengths))
    return items.requires_grad_(), owners, torch.tensor(lengths)


def make_unit(seed=0):
    """A unit in double precision."""
    return GRUPool(WIDTH, torch.Generator().manual_seed(seed)).double()


def make_pool(name):
    """A pooling without parameters."""
    return TORCH_POOLINGS[POOLINGS[name]](WIDTH, torch.Generator())


def torch_unit(unit):
    """The same unit as one of torch's."""
    theirs = torch.nn.GRU(WIDTH, WIDTH, dtype=torch.float64)
    with torch.no_grad():
        for parameter, mine in zip(theirs.parameters(), [*unit.weights, *unit.biases], strict=True):
            parameter.copy_(mine)
    return theirs


@pytest.mark.parametrize("lengths", [[1], [3, 1, 5, 2]])
@pytest.mark.parametrize("way", NAIVE)
def test_simple_ways_are_those_of_a_loop(way, lengths):
    items, owners, counts = make_items(lengths)
    expected = torch.stack([NAIVE[way](part) for part in items.split(lengths)])
    found = make_pool(way)(items, owners, counts)
    torch.testing.assert_close(found, expected)
    weights = torch.randn(found.shape, generator=torch.Generator().manual_seed(1)).double()
    torch.testing.assert_close(
        torch.autograd.grad((found * weights).sum(), items),
        torch.autograd.grad((expected * weights).sum(), items),
    )


def test_the_largest_of_negative_numbers_is_not_zero():
    items = -torch.ones(3, 2)
    found = make_pool("max")(items, torch.tensor([0, 0, 1]), torch.tensor([2, 1]))
    assert (found == -1).all()


@pytest.mark.parametrize("lengths", [[1], [2, 2, 2], [1, 7, 1, 1, 4]])
def test_the_recurrent_unit_is_that_of_torch(lengths):
    unit, (items, owners, counts) = make_unit(), make_items(lengths)
    theirs = torch_unit(unit)
    packed = pack_sequence(list(items.split(lengths)), enforce_sorted=False)
    expected = theirs(packed)[1][0]
    found = unit(items, owners, counts)
    torch.testing.assert_close(found, expected)
    weights = torch.randn(found.shape, generator=torch.Generator().manual_seed(1)).double()
    mine = torch.autograd.grad((found * weights).sum(), [items, *unit.weights, *unit.biases])
    wanted = torch.autograd.grad((expected * weights).sum(), [items, *theirs.parameters()])
    for one, other in zip(mine, wanted, strict=True):
        torch.testing.assert_close(one, other)


def test_a_units_first_weights_come_from_the_generator_alone():
    state = torch.get_rng_state()
    first, again, other = (make_unit(seed) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), state)
    for one, two, three in zip(
        first.parameters(), again.parameters(), other.parameters(), strict=True
    ):
        assert torch.equal(one, two)
        assert not torch.equal(one, three)
        assert 0.5 * WIDTH**-0.5 < one.abs().max() <= WIDTH**-0.5
