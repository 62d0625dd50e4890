"""Inference of the head without torch."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from sk_entity_embed.head import MLPHead

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


def test_layers_are_rectified_but_the_last_one():
    head = make_head(4, 6)
    x = np.hstack([VECTORS, CONTEXT]).astype(np.float64)
    first = np.maximum(x @ head.weights[0] + head.biases[0], 0)
    second = np.maximum(first @ head.weights[1] + head.biases[1], 0)
    np.testing.assert_allclose(head.hidden(VECTORS, CONTEXT), second)
    raw = head.raw(VECTORS, CONTEXT)
    np.testing.assert_allclose(raw, second @ head.weights[2] + head.biases[2])
    assert (raw < 0).any()
    assert head.n_hidden == 6


def test_without_hidden_layers_it_is_linear():
    head = make_head()
    x = np.hstack([VECTORS, CONTEXT])
    np.testing.assert_allclose(head.raw(VECTORS, CONTEXT), x @ head.weights[0] + head.biases[0])
    assert head.n_hidden == 0


@pytest.mark.parametrize("method", ["hidden", "raw"])
def test_a_row_does_not_depend_on_those_beside_it(method):
    function = getattr(make_head(64, 32), method)
    together = function(VECTORS, CONTEXT)
    assert together.dtype == np.float64
    for i in range(9):
        alone = function(VECTORS[i : i + 1], CONTEXT[i : i + 1])
        assert alone.astype(np.float32).tobytes() == together[i].astype(np.float32).tobytes()


def test_inputs_are_not_changed():
    before = VECTORS.copy(), CONTEXT.copy()
    make_head(4).raw(VECTORS, CONTEXT)
    np.testing.assert_array_equal(VECTORS, before[0])
    np.testing.assert_array_equal(CONTEXT, before[1])
