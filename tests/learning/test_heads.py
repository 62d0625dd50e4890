"""Heads in torch: against NumPy, and their backward passes against autograd."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from sk_entity_embed.learning.heads import HeadShape, TorchHead
from sk_entity_embed.learning.heads.dot import DotProduct
from sk_entity_embed.learning.heads.perceptron import MLP
from sk_entity_embed.learning.layers import Dropout
from sk_entity_embed.model.heads import MLPHead, heads_of_folds
from tests.learning.problems import make_config
from tests.learning.tasks import naive_answers


def make_mlp(n_in=4, hidden=(6, 5), n_out=2, *, n_heads=1, dropout=0.0, seed=0):
    """Perceptrons of their own generator, with biases, that differ."""
    config = make_config(hidden_layer_sizes=hidden, n_outputs=n_out, dropout=dropout)
    generator = torch.Generator().manual_seed(seed)
    mlp = MLP(shape_of([n_in], 0, n_heads), config, generator)
    disturb(mlp, generator)
    return mlp


def disturb(layer, generator):
    """Move all parameters a little, each head's by its own numbers."""
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.5)


def shape_of(widths, n_context, n_heads):
    """The shape of heads that serve a fold each."""
    return HeadShape(widths, n_context, n_heads, heads_of_folds(n_heads, n_heads))


def in_order(n, n_heads):
    """The head of each row, as many for each."""
    return torch.arange(n_heads).repeat_interleave(n // n_heads)


def parameters_of(mlp):
    """All parameters, as bytes."""
    return [p.detach().numpy().tobytes() for p in mlp.parameters()]


@pytest.mark.parametrize(("hidden", "n_heads"), [((), 1), ((), 4), ((6, 5), 1), ((6, 5), 4)])
def test_forward_is_that_of_the_numpy_heads(hidden, n_heads):
    mlp = make_mlp(hidden=hidden, n_heads=n_heads).eval()
    head = mlp.to_numpy()
    assert head.n_heads == n_heads
    x = np.random.default_rng(0).standard_normal((8, 4)).astype(np.float32)
    found = mlp(torch.from_numpy(np.pad(x, ((0, 0), (0, 3)), constant_values=np.nan)))
    for row, k in enumerate(in_order(8, n_heads).tolist()):
        own = MLPHead(*(tuple(a[k : k + 1] for a in part) for part in (head.weights, head.biases)))
        expected = own.raw(x[[row], :3], x[[row], 3:])[0]
        np.testing.assert_allclose(found[row].detach().numpy(), expected, atol=1e-5)


def test_heads_of_several_folds_come_back_with_whom_they_serve():
    shape = HeadShape([4], 0, 2, heads_of_folds(5, 2))
    head = MLP(shape, make_config(), torch.Generator().manual_seed(0)).to_numpy()
    assert (head.n_heads, head.n_folds) == (2, 5)
    assert head.folds.tolist() == [0, 0, 0, 1, 1]


@pytest.mark.parametrize(("n_heads", "n_before"), [(3, 3), (3, 1), (2, 3), (5, 2)])
def test_heads_go_on_from_those_of_a_training_with_any_number_of_folds(n_heads, n_before):
    before, mlp = make_mlp(n_heads=n_before, seed=1), make_mlp(n_heads=n_heads, seed=2)
    mlp.set_from(before.to_numpy())
    for new, old in zip(mlp.parameters(), before.parameters(), strict=True):
        for k in range(n_heads):
            assert torch.equal(new[k], old[k % n_before])


def test_dropout_drops_hidden_units_in_training_only():
    mlp = make_mlp(1, (4000,), 1, dropout=0.25)
    with torch.no_grad():
        for weight, bias in zip(mlp.weights, mlp.biases, strict=True):
            weight.fill_(1.0)
            bias.zero_()
    x = torch.ones(2, 1)

    def answer():
        return mlp.learn(x, 1, lambda raw, rows, *, linear=False: raw)[0].item()

    mlp.eval()
    assert answer() == mlp(x)[0].item() == pytest.approx(4000)
    mlp.train()
    kept = answer() * 0.75  # those kept are scaled up to make up for it
    assert kept == pytest.approx(3000, abs=150)
    assert kept == pytest.approx(round(kept), abs=0.01)
    assert answer() * 0.75 != kept


def test_randomness_comes_from_the_generator_alone():
    def fresh(seed):
        return make_mlp(N_IN, (6, 5), N_OUT, n_heads=3, dropout=0.5, seed=seed).train()

    state = torch.get_rng_state()
    first, again, other = map(fresh, (1, 1, 2))
    assert parameters_of(first) == parameters_of(again)
    assert parameters_of(first) != parameters_of(other)
    x, target = make_input()
    error = errors_of(target)
    one, two = (m.learn(x, N_OWN, error)[0] for m in (first, again))
    assert torch.equal(one, two)
    assert not torch.equal(one, first.learn(x, N_OWN, error)[0])
    assert torch.equal(torch.get_rng_state(), state)


# Dot products ------------------------------------------------------------------------------


def make_dot(n_columns=3, width=4, n_context=2, *, dropout=0.0, seed=0):
    """Dot products of random weights."""
    generator = torch.Generator().manual_seed(seed)
    shape = shape_of([width] * n_columns, n_context, 1)
    dot = DotProduct(shape, make_config(dropout=dropout), generator)
    with torch.no_grad():
        for parameter in dot.parameters():
            parameter.uniform_(-1, 1, generator=generator)
    return dot


def make_rows_for(n_columns, width, n_context, n=7):
    """Vectors and context of some rows."""
    rng = np.random.default_rng(0)
    shapes = (n, n_columns * width), (n, n_context)
    return [rng.standard_normal(s).astype(np.float32) for s in shapes]


@pytest.mark.parametrize(("n_columns", "width", "n_context"), [(2, 4, 0), (4, 3, 2), (3, 1, 2)])
def test_dot_products_are_those_of_the_numpy_head(n_columns, width, n_context):
    dot = make_dot(n_columns, width, n_context)
    vectors, context = make_rows_for(n_columns, width, n_context)
    found = dot(torch.tensor(np.hstack([vectors, context]))).detach().numpy()
    assert found.shape == (7, 1)
    np.testing.assert_allclose(found, dot.to_numpy().raw(vectors, context), atol=1e-5)


def test_fresh_dot_products_are_plain():
    dot = DotProduct(shape_of([3, 3], 1, 1), make_config(), torch.Generator())
    assert dot.roots.tolist() == [1, 1]
    assert dot.bias_weights.tolist() == [1, 1]
    assert dot.context.tolist() == dot.intercept.tolist() == [0]
    x = torch.tensor([[1.0, 2.0, 0.5, 3.0, -1.0, 0.25, 9.0]])
    assert dot(x).tolist() == [[1.75]]


def test_dropout_of_vectors_leaves_biases_and_numbers_alone():
    dot = make_dot(2, 4, 2, dropout=0.5)
    vectors, context = make_rows_for(2, 4, 2, 400)
    x = torch.tensor(np.hstack([vectors, context]))
    dropped = (dot.train()(x) - dot.eval()(x)).detach()
    assert (dropped != 0).float().mean() > 0.9
    vectors.reshape(400, 2, 4)[:, :, :3] = 0.0
    x = torch.tensor(np.hstack([vectors, context]))
    assert torch.equal(dot.train()(x), dot.eval()(x))


def test_dot_products_are_float32_and_draw_from_their_generator_alone():
    state = torch.get_rng_state()
    try:
        torch.set_default_dtype(torch.float64)
        dot = DotProduct(
            shape_of([3, 3], 1, 1), make_config(dropout=0.5), torch.Generator().manual_seed(0)
        )
    finally:
        torch.set_default_dtype(torch.float32)
    assert {p.dtype for p in dot.parameters()} == {torch.float32}
    x = torch.ones(5, 7)
    first = dot.train()(x)
    again = DotProduct(
        shape_of([3, 3], 1, 1), make_config(dropout=0.5), torch.Generator().manual_seed(0)
    )
    assert torch.equal(again.train()(x), first)
    assert not torch.equal(again(x), first)
    assert torch.equal(torch.get_rng_state(), state)


# Learning ----------------------------------------------------------------------------------

N, N_OWN, N_IN, N_OUT = 36, 24, 5, 2


def make_input(width=N_IN):
    """Rows, and what the errors are made of."""
    generator = torch.Generator().manual_seed(1)
    return torch.randn(N, width, generator=generator), torch.randn(N, N_OUT, generator=generator)


def errors_of(target):
    """Gradient of half the squared error; of the linear model half of it in the other rows."""

    def errors(raw, rows, *, linear=False):
        return (raw - target[rows]) * (0.5 if linear and rows.start > 0 else 1.0)

    return errors


def naive(layers, x):
    """Outputs of both halves, each in the order of the heads, row by row."""
    n_heads = len(layers[0][0])
    halves = (x[:N_OWN], x[N_OWN:])
    return torch.cat([naive_answers(layers, h, in_order(len(h), n_heads)) for h in halves])


def objective(layers, x, target, weight=1.0):
    """What those are the gradient of."""
    squares = 0.5 * (naive(layers, x) - target).square().sum(1)
    return squares[:N_OWN].sum(), weight * squares[N_OWN:].sum()


@pytest.mark.parametrize(
    ("hidden", "with_linear", "below", "n_threads", "n_heads"),
    [
        ((), False, True, 2, 1),
        ((), True, False, 0, 4),
        ((7,), True, False, 0, 1),
        ((7,), True, False, 2, 4),
        ((7, 6), True, True, 2, 4),
        ((7, 6), False, False, 0, 4),
    ],
)
def test_gradients_are_those_of_torch(hidden, with_linear, below, n_threads, n_heads):
    mlp = make_mlp(N_IN, hidden, N_OUT, n_heads=n_heads)
    models = [(mlp.linears.layers, 1.0)]
    if with_linear:
        (beside,) = mlp.add_companions(torch.Generator().manual_seed(3))
        disturb(beside, torch.Generator().manual_seed(6))
        models.append((beside.layers, 0.5))
    x, target = make_input()
    given = x.clone().requires_grad_()
    parts = [objective(m, given, target, w) for m, w in models]
    own, other = (sum(part[k] for part in parts) for k in range(2))
    parameters = [*mlp.parameters(), *(beside.parameters() if with_linear else [])]
    of_parameters = torch.autograd.grad(own, parameters, retain_graph=True)
    (of_input,) = torch.autograd.grad(own + other if below else other, given)
    expected = mlp(x[:N_OWN]).detach()

    with ThreadPoolExecutor(2) as pool:
        raw, found = mlp.learn(
            torch.nn.functional.pad(x, (0, 3)),
            N_OWN,
            errors_of(target),
            below=below,
            executor=pool if n_threads else None,
        )
    torch.testing.assert_close(raw, expected)
    torch.testing.assert_close(found[:, :N_IN], of_input)
    for parameter, wanted in zip(parameters, of_parameters, strict=True):
        torch.testing.assert_close(parameter.grad, wanted)


@pytest.mark.parametrize("n_heads", [1, 3])
def test_dropped_units_have_no_part_in_the_gradient(n_heads):
    mlp, twin = (make_mlp(N_IN, (50, 40), N_OUT, n_heads=n_heads, dropout=0.5) for _ in range(2))
    x, target = make_input()
    given = x.clone().requires_grad_()
    # the same factors in the same order: those of one half, then those of the other
    out = torch.cat([dropped(twin.train(), half) for half in (given[:N_OWN], given[N_OWN:])])
    squares = 0.5 * (out - target).square().sum(1)
    parameters = list(twin.parameters())
    of_parameters = torch.autograd.grad(squares[:N_OWN].sum(), parameters, retain_graph=True)
    (of_input,) = torch.autograd.grad(squares[N_OWN:].sum(), given)
    raw, found = mlp.train().learn(x, N_OWN, errors_of(target))
    near = {"rtol": 1e-4, "atol": 1e-3}
    torch.testing.assert_close(raw, out[:N_OWN].detach(), **near)
    assert not torch.allclose(raw, mlp(x[:N_OWN]), rtol=0.01)
    torch.testing.assert_close(found, of_input, **near)
    for parameter, wanted in zip(mlp.parameters(), of_parameters, strict=True):
        torch.testing.assert_close(parameter.grad, wanted, **near)


def dropped(mlp, x):
    """Outputs row by row, with the next factors of the perceptrons' dropout."""
    n = len(x) // mlp.n_heads
    factors, out = mlp._factors((mlp.n_heads, n), x.device), []
    for number, state in enumerate(x):
        k, place = divmod(number, n)
        for i, (weight, bias) in enumerate(mlp.linears.layers):
            state = weight[k] @ state + bias[k, 0]
            if i < len(factors):
                state = torch.relu(state) * factors[i][k, place]
        out.append(state)
    return torch.stack(out)


def test_an_error_in_the_other_thread_is_raised():
    def failing(raw, rows, *, linear=False):
        if rows.start > 0:
            raise ZeroDivisionError
        return raw

    x, _ = make_input()
    mlp = make_mlp(N_IN, (7,), N_OUT, n_heads=2)
    with ThreadPoolExecutor(2) as pool, pytest.raises(ZeroDivisionError):
        mlp.learn(x, N_OWN, failing, executor=pool)


@pytest.mark.parametrize("below", [False, True])
def test_a_heads_learning_by_autograd_is_that_of_the_perceptron(below):
    mlp, twin = (make_mlp(N_IN, (7, 6), N_OUT, n_heads=3) for _ in range(2))
    x, target = make_input()
    raw, found = mlp.learn(x, N_OWN, errors_of(target), below=below)
    others = TorchHead.learn(twin, x, N_OWN, errors_of(target), below=below)
    torch.testing.assert_close((raw, found), others)
    for one, other in zip(mlp.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad)


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
