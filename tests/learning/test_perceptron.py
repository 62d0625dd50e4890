"""The perceptron's own backward pass against torch's."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from sk_entity_embed.learning.layers import Dropout
from sk_entity_embed.learning.perceptron import MLP

N, N_OWN, N_IN, N_OUT = 37, 15, 5, 2


def make_mlp(hidden, dropout=0.0, seed=0):
    """A perceptron of its own generator with biases."""
    generator = torch.Generator().manual_seed(seed)
    mlp = MLP(N_IN, hidden, N_OUT, dropout=dropout, generator=generator)
    with torch.no_grad():
        for bias in mlp.biases:
            bias.uniform_(-1, 1, generator=generator)
    return mlp


def make_input(width=N_IN):
    """Rows, and what the errors are made of."""
    generator = torch.Generator().manual_seed(1)
    return torch.randn(N, width, generator=generator), torch.randn(N, N_OUT, generator=generator)


def errors_of(target, weight=1.0):
    """Gradient of half the squared error, times a weight in the other rows."""
    return lambda raw, rows: (raw - target[rows]) * (1.0 if rows.start == 0 else weight)


def objective(mlp, x, target, weight=1.0):
    """What those are the gradient of."""
    squares = 0.5 * (mlp(x) - target).square().sum(1)
    return squares[:N_OWN].sum(), weight * squares[N_OWN:].sum()


@pytest.mark.parametrize(
    ("hidden", "with_linear", "below", "n_threads"),
    [
        ((), False, True, 2),
        ((7,), True, False, 0),
        ((7, 6), True, True, 2),
        ((7, 6), False, False, 0),
    ],
)
def test_gradients_are_those_of_torch(hidden, with_linear, below, n_threads):
    mlp = make_mlp(hidden)
    linear = make_mlp((), seed=3) if with_linear else None
    x, target = make_input()
    models = [(mlp, 1.0), *([(linear, 0.5)] if linear is not None else [])]
    given = x.clone().requires_grad_()
    parts = [objective(m, given, target, w) for m, w in models]
    own, other = (sum(part[k] for part in parts) for k in range(2))
    parameters = [p for m, _ in models for p in m.parameters()]
    of_parameters = torch.autograd.grad(own, parameters, retain_graph=True)
    (of_input,) = torch.autograd.grad(own + other if below else other, given)
    expected = mlp(x)[:N_OWN].detach()

    with ThreadPoolExecutor(2) as pool:
        raw, found = mlp.learn(
            torch.nn.functional.pad(x, (0, 3)),
            N_OWN,
            errors_of(target),
            below=below,
            linear=linear,
            linear_error=errors_of(target, 0.5),
            beside=pool if n_threads else None,
        )
    torch.testing.assert_close(raw, expected)
    torch.testing.assert_close(found[:, :N_IN], of_input)
    for parameter, wanted in zip(parameters, of_parameters, strict=True):
        torch.testing.assert_close(parameter.grad, wanted)


def test_dropped_units_have_no_part_in_the_gradient():
    mlp, twin = make_mlp((50, 40), dropout=0.5), make_mlp((50, 40), dropout=0.5)
    x, target = make_input()
    given = x.clone().requires_grad_()
    # the same factors in the same order: those of one half, then those of the other
    out = torch.cat([twin.train()(given[:N_OWN]), twin(given[N_OWN:])])
    squares = 0.5 * (out - target).square().sum(1)
    parameters = list(twin.parameters())
    of_parameters = torch.autograd.grad(squares[:N_OWN].sum(), parameters, retain_graph=True)
    (of_input,) = torch.autograd.grad(squares[N_OWN:].sum(), given)
    raw, found = mlp.train().learn(x, N_OWN, errors_of(target))
    torch.testing.assert_close(raw, out[:N_OWN].detach())
    assert not torch.allclose(raw, mlp.eval()(x)[:N_OWN])
    torch.testing.assert_close(found, of_input)
    for parameter, wanted in zip(mlp.parameters(), of_parameters, strict=True):
        torch.testing.assert_close(parameter.grad, wanted)


def test_an_error_in_the_other_thread_is_raised():
    def failing(raw, rows):
        if rows.start > 0:
            raise ZeroDivisionError
        return raw

    x, _ = make_input()
    with ThreadPoolExecutor(2) as pool, pytest.raises(ZeroDivisionError):
        make_mlp((7,)).learn(x, N_OWN, failing, beside=pool)


# Dropout -----------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [0.1, 0.9])
def test_factors_have_mean_one_and_drop_their_share(rate):
    dropout = Dropout(rate, torch.Generator().manual_seed(0))
    factors = torch.stack([dropout.factors((50, 64), torch.device("cpu")) for _ in range(64)])
    assert factors.unique().tolist() == pytest.approx([0.0, dropout.scale])
    assert (factors == 0).float().mean().item() == pytest.approx(rate, abs=0.01)
    assert factors.mean().item() == pytest.approx(1.0, abs=0.02)
    # every unit and every row is dropped as often
    for axes in ((0, 1), (0, 2)):
        shares = (factors == 0).float().mean(axes)
        assert shares.sub(rate).abs().max() < 0.05


def test_factors_of_larger_batches_are_not_the_same_each_time():
    dropout = Dropout(0.5, torch.Generator().manual_seed(0))
    larger = []
    for _ in range(4):
        dropout.factors((20, 16), torch.device("cpu"))
        larger.append(dropout.factors((40, 16), torch.device("cpu")).clone())
    assert not any(torch.equal(a, b) for i, a in enumerate(larger) for b in larger[:i])
