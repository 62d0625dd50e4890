"""The optimisers against loops, and against those of torch."""

from __future__ import annotations

import pytest
import torch

from sk_entity_embed.learning.optimizers import MUON_STEP, AdamW, Muon, RowAdam

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


def test_steps_are_those_of_a_loop_over_rows():
    weights = make_weights()
    ours = RowAdam(weights, FREE, lr=0.1, beta=0.9)
    expected = [w.double() for w in weights]
    moments = [torch.zeros(n, dtype=torch.float64) for n, _ in SHAPES]
    for step, (rows, gradients) in enumerate(make_steps(25)):
        ours.lr = 0.1 / (1 + step)
        ours.step(rows, gradients)
        correction = 1 - 0.9 ** (step + 1)
        for table, moment, index, gradient in zip(expected, moments, rows, gradients, strict=True):
            for row in index.unique():
                total = gradient[index == row].double().sum(0)
                moment[row] = 0.9 * moment[row] + 0.1 * total.square().mean()
                table[row] -= ours.lr * total / (moment[row] / correction).sqrt()
        for weight, table in zip(weights, expected, strict=True):
            torch.testing.assert_close(weight.double(), table, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("whole", [0, 100])
def test_steps_do_not_depend_on_the_coordinates_of_vectors(whole):
    turn = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(3)))[0]
    weights = make_weights()[:1]
    turned = [weights[0] @ turn]
    ours, theirs = (RowAdam(w, [None], lr=0.1, whole=whole) for w in (weights, turned))
    for rows, gradients in make_steps(10):
        ours.step(rows[:1], gradients[:1])
        theirs.step(rows[:1], [gradients[0] @ turn])
    assert not torch.allclose(weights[0], make_weights()[0], atol=0.1)
    torch.testing.assert_close(weights[0] @ turn, turned[0], rtol=1e-4, atol=1e-5)


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
    whole = ~fixed.any(1)  # the free entry of row 8 is alone in the mean of its row's squares
    assert torch.equal(weights[0][whole], free[0][whole])
    assert weights[0][8, 0] != before[0][8, 0]
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


@pytest.mark.parametrize("whole", [0, 100])
def test_biases_have_moments_of_their_own(whole):
    weights = make_weights()
    axes, biases = ([w[:, part].clone() for w in weights] for part in (slice(-1), slice(-1, None)))
    together = RowAdam(weights, FREE, lr=0.1, whole=whole, biased=True)
    apart = [RowAdam(w, FREE, lr=0.1, whole=whole) for w in (axes, biases)]
    for rows, gradients in make_steps(10):
        gradients = [100 ** torch.arange(g.shape[1]) * g for g in gradients]
        together.step(rows, gradients)
        for optimizer, part in zip(apart, (slice(-1), slice(-1, None)), strict=True):
            optimizer.step(rows, [g[:, part] for g in gradients])
    for weight, *parts in zip(weights, axes, biases, strict=True):
        torch.testing.assert_close(weight, torch.cat(parts, dim=1))


# The heads' optimisers ---------------------------------------------------------------------


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


@pytest.mark.parametrize("shape", [(2, 8, 24), (3, 24, 8), (1, 6, 6)])
def test_steps_of_muon_are_orthogonal_matrices_of_each_head(shape):
    generator = torch.Generator().manual_seed(0)
    parameter = torch.nn.Parameter(torch.randn(shape, generator=generator))
    # Directions of very different strength, and heads too.
    left, right = (torch.linalg.qr(torch.randn(shape[0], n, 6, generator=generator))[0]
                   for n in shape[1:])  # fmt: skip
    strength = torch.tensor([1.0, 0.8, 0.6, 0.4, 0.3, 0.2])
    heads = torch.tensor([1e-3, 1.0, 1e3])[: shape[0], None]
    parameter.grad = left @ torch.diag_embed(heads * strength) @ right.mT
    optimizer, before = Muon([parameter], lr=0.01, weight_decay=0.0), parameter.detach().clone()
    optimizer.step()
    move = (before - parameter.detach()) / (0.01 * MUON_STEP * max(shape[1:]) ** 0.5)
    found = left.mT @ move @ right  # in the gradient's own directions
    for head in found:
        assert (head - torch.diag(head.diag())).abs().max() < 0.05
        assert head.diag().sub(1).abs().max() < 0.35
    if max(shape[1:]) > 6:
        assert torch.linalg.svdvals(move)[:, 6:].abs().max() < 0.05
    for k in range(shape[0]):  # each head as if it were alone
        alone = torch.nn.Parameter(before[k : k + 1].clone())
        alone.grad = parameter.grad[k : k + 1].clone()
        Muon([alone], lr=0.01, weight_decay=0.0).step()
        torch.testing.assert_close(alone[0], parameter[k], rtol=1e-4, atol=1e-5)


def test_muon_looks_ahead_along_a_momentum_and_weights_decay():
    generator = torch.Generator().manual_seed(0)
    gradients = torch.randn(4, 1, 5, 3, generator=generator)
    parameter = torch.nn.Parameter(torch.randn(1, 5, 3, generator=generator))
    expected, first = parameter.detach().clone(), torch.zeros(1, 5, 3)
    optimizer = Muon([parameter], lr=0.1, weight_decay=0.3, momentum=0.9)
    for gradient in gradients:
        parameter.grad = gradient.clone()
        optimizer.step()
        first = 0.9 * first + 0.1 * gradient
        move = optimizer._orthogonal(0.1 * gradient + 0.9 * first)
        expected = (1 - 0.1 * 0.3) * expected - 0.1 * MUON_STEP * 5**0.5 * move
        torch.testing.assert_close(parameter.detach(), expected)
    state = optimizer.state_dict()
    other = torch.nn.Parameter(parameter.detach().clone())
    again = Muon([other], lr=0.1, weight_decay=0.3, momentum=0.9)
    again.load_state_dict(state)
    for one, task in ((parameter, optimizer), (other, again)):
        one.grad = gradients[0].clone()
        task.step()
    assert torch.equal(parameter, other)
    optimizer.zero_grad()
    optimizer.step()  # nothing to learn from, nothing moves
    assert torch.equal(parameter, other)
