"""RowAdam is lazy Adam without momentum."""

from __future__ import annotations

import pytest
import torch

from sk_entity_embed.learning.optimizers import AdamW, RowAdam

SHAPES = [(12, 3), (7, 2)]
FREE = [None, None]


def make_weights():
    """Two tables of normal vectors."""
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=generator) for shape in SHAPES]


def make_steps(n_steps, rows=8):
    """Random touched rows, with repeats, and their gradients."""
    generator = torch.Generator().manual_seed(1)
    return [
        (
            [torch.randint(0, n, (rows,), generator=generator) for n, _ in SHAPES],
            [torch.randn(rows, width, generator=generator) for _, width in SHAPES],
        )
        for _ in range(n_steps)
    ]


def test_steps_are_those_of_sparse_adam():
    weights = make_weights()
    ours = RowAdam(weights, FREE, lr=0.1, beta=0.9)
    expected = [torch.nn.Parameter(w.clone()) for w in weights]
    theirs = torch.optim.SparseAdam(expected, lr=0.1, betas=(0.0, 0.9))
    for step, (rows, gradients) in enumerate(make_steps(25)):
        ours.lr = theirs.param_groups[0]["lr"] = 0.1 / (1 + step)
        ours.step(rows, gradients)
        for parameter, index, gradient in zip(expected, rows, gradients, strict=True):
            parameter.grad = torch.sparse_coo_tensor(
                index[None], gradient, parameter.shape, check_invariants=True
            )
        theirs.step()
        for weight, parameter in zip(weights, expected, strict=True):
            torch.testing.assert_close(weight, parameter.detach(), rtol=1e-4, atol=1e-5)


def test_fixed_rows_do_not_move():
    weights, before = make_weights(), make_weights()
    fixed = torch.zeros(12, 3, dtype=torch.bool)
    fixed[[0, 5, 6]] = True
    fixed[8, 1:] = True  # a part of a row
    optimizer = RowAdam(weights, [fixed, None], lr=0.1)
    free = make_weights()
    unfixed = RowAdam(free, FREE, lr=0.1)
    for rows, gradients in make_steps(10):
        optimizer.step(rows, gradients)
        unfixed.step(rows, gradients)
    assert torch.equal(weights[0][fixed], before[0][fixed])
    assert torch.equal(weights[0][~fixed], free[0][~fixed])
    assert torch.equal(weights[1], free[1])


@pytest.mark.parametrize("whole", [0, 100])
def test_small_tables_as_a_whole_and_picked_rows_take_the_same_steps(whole):
    weights, expected = make_weights(), make_weights()
    fixed = [torch.rand(w.shape, generator=torch.Generator().manual_seed(2)) < 0.2 for w in weights]
    ours = RowAdam(weights, fixed, lr=0.1, beta=0.9, whole=whole)
    theirs = RowAdam(expected, fixed, lr=0.1, beta=0.9, whole=10)
    for rows, gradients in make_steps(25):
        ours.step(rows, gradients)
        theirs.step(rows, gradients)
    for weight, wanted in zip(weights, expected, strict=True):
        torch.testing.assert_close(weight, wanted, rtol=1e-5, atol=1e-6)


# The head's optimiser ----------------------------------------------------------------------


def test_adamw_is_that_of_torch():
    generator = torch.Generator().manual_seed(0)
    shapes = [(5, 3), (2, 5), (5,), (2,)]
    start = [torch.randn(s, generator=generator) for s in shapes]
    ours, theirs = ([torch.nn.Parameter(p.clone()) for p in start] for _ in range(2))

    def groups(parameters):
        return [
            {"params": parameters[:2], "weight_decay": 0.3},
            {"params": parameters[2:], "weight_decay": 0.0},
        ]

    one, other = AdamW(groups(ours), lr=0.05), torch.optim.AdamW(groups(theirs), lr=0.05)
    for step in range(20):
        for a, b in zip(ours, theirs, strict=True):
            a.grad = torch.randn(a.shape, generator=generator)
            b.grad = a.grad.clone()
        for optimizer in (one, other):
            for group in optimizer.param_groups:
                group["lr"] = 0.05 / (1 + step)
            optimizer.step()
        for a, b in zip(ours, theirs, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)
    one.zero_grad()
    assert all(p.grad is None for p in ours)
