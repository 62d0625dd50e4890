"""Answers of the heads in NumPy."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from sk_entity_embed.model.heads import DotHead, MLPHead
from sk_entity_embed.model.heads.perceptron import HIDDEN_VARIANCE


def make_mlp(*hidden):
    """A perceptron on five inputs with two outputs, and rows for it."""
    sizes, rng = [5, *hidden, 2], np.random.default_rng(2)
    weights = tuple(rng.standard_normal(s) for s in pairwise(sizes))
    head = MLPHead(weights, tuple(rng.standard_normal(n) for n in sizes[1:]))
    return head, *(rng.standard_normal((9, n)).astype(np.float32) for n in (3, 2))


def make_dot(n_columns=3, n_axes=2, n_context=2):
    """Dot products of random weights, and rows for them."""
    rng = np.random.default_rng(3)
    axes = rng.uniform(0, 2, n_axes)
    head = DotHead(axes, rng.standard_normal(n_columns), rng.standard_normal(n_context), 0.7)
    vectors = rng.standard_normal((9, n_columns * (n_axes + 1))).astype(np.float32)
    return head, vectors, rng.standard_normal((9, n_context)).astype(np.float32)


@pytest.mark.parametrize("problem", [make_mlp(64, 32), make_dot(3, 40)], ids=["mlp", "dot"])
def test_a_row_does_not_depend_on_those_beside_it(problem):
    head, vectors, context = problem
    before, together = vectors.copy(), head.raw(vectors, context)
    assert together.dtype == np.float64
    np.testing.assert_array_equal(vectors, before)
    for i in range(9):
        alone = head.raw(vectors[i : i + 1], context[i : i + 1])
        assert alone.astype(np.float32).tobytes() == together[i].astype(np.float32).tobytes()


@pytest.mark.parametrize(("n_columns", "n_axes", "n_context"), [(2, 1, 0), (5, 4, 2), (3, 0, 2)])
def test_dot_products_are_sums_over_pairs_of_columns(n_columns, n_axes, n_context):
    head, vectors, context = make_dot(n_columns, n_axes, n_context)
    expected = []
    for row, numbers in zip(vectors.astype(np.float64), context, strict=True):
        blocks = row.reshape(n_columns, n_axes + 1)
        total = head.intercept + float(head.context_weights @ numbers)
        for j in range(n_columns):
            total += head.bias_weights[j] * blocks[j, -1]
            for k in range(j):
                total += sum(head.axes[a] * blocks[j, a] * blocks[k, a] for a in range(n_axes))
        expected.append([total])
    np.testing.assert_allclose(head.raw(vectors, context), expected)
    assert (head.n_hidden, head.n_outputs) == (0, 1)
    assert head.hidden(vectors, context).shape == (9, 0)


# The scale of a perceptron's hidden layer ---------------------------------------------------


def make_inputs(n=1500):
    """Random vectors and numbers."""
    rng = np.random.default_rng(2)
    return [(1 + 2 * rng.standard_normal((n, width))).astype(np.float32) for width in (3, 2)]


@pytest.mark.parametrize(("n_numbers", "hidden"), [(0, (1,)), (1, (16,)), (2, (5, 4, 3))])
def test_the_hidden_layer_varies_a_few_times_as_much_as_what_enters(n_numbers, hidden):
    head, inputs = make_mlp(*hidden)[0], make_inputs()
    scaled = head._with_hidden_scale(*inputs, n_numbers)
    wanted = HIDDEN_VARIANCE * (inputs[0].var(axis=0).sum() + n_numbers)
    before, found = head.hidden(*inputs), scaled.hidden(*inputs)
    assert abs(before.var(axis=0).sum() / wanted - 1) > 0.01
    np.testing.assert_allclose(found.var(axis=0).sum(), wanted, rtol=1e-5)
    np.testing.assert_allclose(found, before * (found.max() / before.max()), rtol=1e-9)
    np.testing.assert_allclose(scaled.raw(*inputs), head.raw(*inputs), rtol=1e-9, atol=1e-9)
    # Only the layers on either side of it have changed.
    kept = [*zip(scaled.weights[:-2], head.weights[:-2], strict=True)]
    kept += zip(scaled.biases[:-2], head.biases[:-2], strict=True)
    for one, other in (*kept, (scaled.biases[-1], head.biases[-1])):
        np.testing.assert_array_equal(one, other)


def test_a_hidden_layer_that_does_not_vary_is_left_alone():
    head, (vectors, context) = make_mlp(16)[0], make_inputs()
    dead = MLPHead(head.weights, (head.biases[0] - 1e6, head.biases[1]))
    for given in (make_mlp()[0], dead):
        assert given._with_hidden_scale(vectors, context, 2) is given
    assert head._with_hidden_scale(np.zeros_like(vectors), context, 0) is head
    constant = [np.repeat(a[:1], 241, axis=0) for a in (vectors, context)]
    assert head._with_hidden_scale(*constant, 2) is head  # it varies by rounding only
