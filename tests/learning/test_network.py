"""The network's parts."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sk_entity_embed.head import MLPHead
from sk_entity_embed.learning.network import MLP, EmbeddingBank


def make_mlp(n_in=4, hidden=(6, 5), n_out=2, *, dropout=0.0, seed=0):
    """A perceptron of its own generator."""
    return MLP(n_in, hidden, n_out, dropout=dropout, generator=torch.Generator().manual_seed(seed))


def parameters_of(mlp):
    """All parameters, as bytes."""
    return [p.detach().numpy().tobytes() for p in mlp.parameters()]


@pytest.fixture
def bank():
    """Two columns with three tables each."""
    generator = torch.Generator().manual_seed(0)
    shapes = [(3, 5, 2), (3, 4, 3)]
    return EmbeddingBank([torch.randn(shape, generator=generator) for shape in shapes])


def test_bank_looks_each_cell_up_in_its_table(bank):
    codes, table = torch.tensor([[4, 0], [1, 3], [1, 3]]), torch.tensor([2, 0, 1])
    found = bank.lookup(bank.flat_rows(codes, table))
    stacks = [w.reshape(3, -1, w.shape[1]) for w in bank.weights]
    expected = [
        torch.cat([s[t, c] for s, c in zip(stacks, cells, strict=True)])
        for cells, t in zip(codes, table, strict=True)
    ]
    assert bank.widths == [2, 3]
    assert bank.n_rows == [5, 4]
    assert torch.equal(found, torch.stack(expected))


def test_bank_gives_copies_without_a_graph(bank):
    flat = bank.flat_rows(torch.tensor([[1, 1]]), torch.tensor([0]))
    found = bank.lookup(flat)
    assert not found.requires_grad
    found += 1
    assert not torch.equal(found, bank.lookup(flat))


@pytest.mark.parametrize("hidden", [(), (6,), (6, 5)])
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


def test_no_dropout_draws_nothing():
    mlp = make_mlp(dropout=0.0).train()
    state = mlp.generator.get_state()
    mlp(torch.ones(2, 4))
    assert torch.equal(mlp.generator.get_state(), state)


def test_randomness_comes_from_the_generator_alone():
    state = torch.get_rng_state()
    first, again, other = (make_mlp(dropout=0.5, seed=s) for s in (1, 1, 2))
    assert parameters_of(first) == parameters_of(again)
    assert parameters_of(first) != parameters_of(other)
    x = torch.ones(3, 4)
    assert torch.equal(first.train()(x), again.train()(x))
    assert torch.equal(torch.get_rng_state(), state)


def test_initial_sizes_keep_the_variance_of_rectified_layers():
    mlp = make_mlp(300, (200, 250), 100)
    sizes = [w.std().item() for w in mlp.weights]
    np.testing.assert_allclose(sizes, [(2 / 300) ** 0.5, (2 / 200) ** 0.5, 250**-0.5], rtol=0.05)
    assert all((b == 0).all() for b in mlp.biases)


def test_parameters_are_float32_whatever_the_default():
    try:
        torch.set_default_dtype(torch.float64)
        mlp = make_mlp()
    finally:
        torch.set_default_dtype(torch.float32)
    assert {p.dtype for p in mlp.parameters()} == {torch.float32}
    assert parameters_of(mlp) == parameters_of(make_mlp())


def test_an_input_without_columns_gives_the_biases():
    mlp = make_mlp(0, (), 2)
    assert mlp(torch.empty(3, 0)).tolist() == [[0.0, 0.0]] * 3
