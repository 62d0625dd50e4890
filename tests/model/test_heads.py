"""Inference of the head without torch."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from sk_entity_embed.model.heads import DotHead, MLPHead

RNG = np.random.default_rng(0)
VECTORS = RNG.standard_normal((9, 3)).astype(np.float32)
CONTEXT = RNG.standard_normal((9, 2)).astype(np.float32)


def make_head(*hidden):
    """A head on five inputs with two outputs."""
    sizes = [5, *hidden, 2]
    rng = np.random.default_rng(2)
    return MLPHead(
        tuple(rng.standard_normal(s) for s in pairwise(sizes)),
        tuple(rng.standard_normal(n) for n in sizes[1:]),
    )


def test_a_row_does_not_depend_on_those_beside_it():
    function = make_head(64, 32).raw
    together = function(VECTORS, CONTEXT)
    assert together.dtype == np.float64
    for i in range(9):
        alone = function(VECTORS[i : i + 1], CONTEXT[i : i + 1])
        assert alone.astype(np.float32).tobytes() == together[i].astype(np.float32).tobytes()


# Dot products ------------------------------------------------------------------------------


def make_dot(n_columns=3, n_axes=2, n_context=2):
    """Dot products of random weights, and rows for them."""
    rng = np.random.default_rng(3)
    axes = rng.uniform(0, 2, n_axes)
    weights = rng.standard_normal(n_columns), rng.standard_normal(n_context)
    head = DotHead(axes, *weights, 0.7)
    vectors = rng.standard_normal((9, n_columns * (n_axes + 1))).astype(np.float32)
    return head, vectors, rng.standard_normal((9, n_context)).astype(np.float32)


@pytest.mark.parametrize(("n_columns", "n_axes", "n_context"), [(2, 1, 0), (5, 4, 2), (3, 0, 2)])
def test_dot_products_are_sums_over_pairs_of_columns(n_columns, n_axes, n_context):
    head, vectors, context = make_dot(n_columns, n_axes, n_context)
    expected = []
    for row, numbers in zip(vectors.astype(np.float64), context, strict=True):
        blocks = row.reshape(n_columns, n_axes + 1)
        total = head.intercept + sum(
            w * x for w, x in zip(head.context_weights, numbers, strict=True)
        )
        for j in range(n_columns):
            total += head.bias_weights[j] * blocks[j, -1]
            for k in range(j):
                total += sum(head.axes[a] * blocks[j, a] * blocks[k, a] for a in range(n_axes))
        expected.append([total])
    np.testing.assert_allclose(head.raw(vectors, context), expected)


def test_dot_products_have_no_hidden_layer():
    head, vectors, context = make_dot()
    assert (head.n_hidden, head.n_outputs) == (0, 1)
    assert head.hidden(vectors, context).shape == (9, 0)


def test_a_dot_product_does_not_depend_on_the_rows_beside_it():
    head, vectors, context = make_dot(3, 40)
    before = vectors.copy()
    together = head.raw(vectors, context)
    assert together.dtype == np.float64
    np.testing.assert_array_equal(vectors, before)
    for i in range(9):
        alone = head.raw(vectors[i : i + 1], context[i : i + 1])
        assert alone.astype(np.float32).tobytes() == together[i].astype(np.float32).tobytes()
