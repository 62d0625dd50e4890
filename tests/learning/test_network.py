"""The network's parts."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sk_entity_embed.head import DotHead, MLPHead
from sk_entity_embed.learning.network import DotProduct
from sk_entity_embed.learning.perceptron import MLP


def make_mlp(n_in=4, hidden=(6, 5), n_out=2, *, dropout=0.0, seed=0):
    """A perceptron of its own generator."""
    return MLP(n_in, hidden, n_out, dropout=dropout, generator=torch.Generator().manual_seed(seed))


def parameters_of(mlp):
    """All parameters, as bytes."""
    return [p.detach().numpy().tobytes() for p in mlp.parameters()]


@pytest.mark.parametrize("hidden", [(), (6, 5)])
def test_forward_is_that_of_the_numpy_head(hidden):
    mlp = make_mlp(hidden=hidden).eval()
    with torch.no_grad():
        for bias in mlp.biases:
            bias.uniform_(-1, 1, generator=mlp.generator)
    head = MLPHead(
        tuple(w.detach().double().numpy().T for w in mlp.weights),
        tuple(b.detach().double().numpy() for b in mlp.biases),
    )
    x = np.random.default_rng(0).standard_normal((7, 4)).astype(np.float32)
    found = mlp(torch.from_numpy(x)).detach().numpy()
    np.testing.assert_allclose(found, head.raw(x[:, :3], x[:, 3:]), atol=1e-5)


def test_dropout_drops_hidden_units_in_training_only():
    mlp = make_mlp(1, (4000,), 1, dropout=0.25)
    with torch.no_grad():
        mlp.weights[0].fill_(1.0)
        mlp.weights[1].fill_(1.0)
    x = torch.ones(1, 1)
    assert mlp.eval()(x).item() == pytest.approx(4000)
    kept = mlp.train()(x).item() * 0.75  # those kept are scaled up to make up for it
    assert kept == pytest.approx(3000, abs=150)
    assert kept == pytest.approx(round(kept), abs=0.01)
    assert mlp(x).item() * 0.75 != kept


def test_randomness_comes_from_the_generator_alone():
    state = torch.get_rng_state()
    first, again, other = (make_mlp(dropout=0.5, seed=s) for s in (1, 1, 2))
    assert parameters_of(first) == parameters_of(again)
    assert parameters_of(first) != parameters_of(other)
    x = torch.ones(3, 4)
    assert torch.equal(first.train()(x), again.train()(x))
    assert torch.equal(torch.get_rng_state(), state)


# Dot products ------------------------------------------------------------------------------


def make_dot(n_columns=3, width=4, n_context=2, *, dropout=0.0, seed=0):
    """Dot products of random weights."""
    generator = torch.Generator().manual_seed(seed)
    dot = DotProduct(n_columns, width, n_context, dropout=dropout, generator=generator)
    with torch.no_grad():
        for parameter in dot.parameters():
            parameter.uniform_(-1, 1, generator=generator)
    return dot


def numpy_head(dot):
    """The same weights in NumPy."""
    roots, biases, context, intercept = (
        p.detach().double().numpy()
        for p in (dot.roots, dot.bias_weights, dot.context, dot.intercept)
    )
    return DotHead(roots**2, biases, context, float(intercept[0]))


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
    np.testing.assert_allclose(found, numpy_head(dot).raw(vectors, context), atol=1e-5)


def test_fresh_dot_products_are_plain():
    dot = DotProduct(2, 3, 1, dropout=0.0, generator=torch.Generator())
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
        dot = DotProduct(2, 3, 1, dropout=0.5, generator=torch.Generator().manual_seed(0))
    finally:
        torch.set_default_dtype(torch.float32)
    assert {p.dtype for p in dot.parameters()} == {torch.float32}
    x = torch.ones(5, 7)
    first = dot.train()(x)
    again = DotProduct(2, 3, 1, dropout=0.5, generator=torch.Generator().manual_seed(0))
    assert torch.equal(again.train()(x), first)
    assert not torch.equal(again(x), first)
    assert torch.equal(torch.get_rng_state(), state)
