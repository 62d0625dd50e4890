"""Answers of the heads in NumPy."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from sk_entity_embed.model.heads import DotHead, MLPHead, heads_of_folds
from sk_entity_embed.model.heads.perceptron import HIDDEN_VARIANCE


def make_mlp(*hidden, n_heads=3):
    """Perceptrons on five inputs with two outputs, and rows for them."""
    sizes, rng = [5, *hidden, 2], np.random.default_rng(2)
    weights = tuple(rng.standard_normal((n_heads, *s)) for s in pairwise(sizes))
    head = MLPHead(weights, tuple(rng.standard_normal((n_heads, n)) for n in sizes[1:]))
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


def naive(head, k, inputs):
    """Hidden layer and outputs of one perceptron for a row."""
    state = hidden = inputs.astype(np.float64)
    for i, (weights, biases) in enumerate(zip(head.weights, head.biases, strict=True)):
        hidden = state
        state = state @ weights[k] + biases[k]
        state = state if i == len(head.weights) - 1 else np.maximum(state, 0)
    return hidden, state


FOLD = np.array([2, 0, 1, 1, 0, 2, 4, 3, 1])


@pytest.mark.parametrize("hidden", [(6,), (6, 4)])
@pytest.mark.parametrize("n_heads", [1, 2, 3, 5])
def test_new_rows_get_the_mean_of_all_perceptrons_and_training_rows_their_own(hidden, n_heads):
    head, vectors, context = make_mlp(*hidden, n_heads=n_heads)
    serving = heads_of_folds(5, n_heads)
    head = replace(head, folds=None if n_heads == 5 else serving)
    assert (head.n_heads, head.n_folds, head.n_outputs) == (n_heads, 5, 2)
    assert head.n_hidden == hidden[-1]
    rows = np.hstack([vectors, context])
    parts = [[naive(head, k, row) for k in range(n_heads)] for row in rows]
    states, raw = (np.array([[p[i] for p in row] for row in parts]) for i in range(2))
    np.testing.assert_allclose(head.raw(vectors, context), raw.mean(axis=1))
    np.testing.assert_allclose(head.hidden(vectors, context), states.mean(axis=1))
    own = np.arange(9), serving[FOLD]
    np.testing.assert_allclose(head.hidden(vectors, context, FOLD), states[own])
    np.testing.assert_allclose(head.raw(vectors, context, FOLD), raw[own])
    shifted = replace(head, shift=np.random.default_rng(4).normal(size=(n_heads, hidden[-1])))
    expected = states[own] + shifted.shift[serving[FOLD]]
    np.testing.assert_allclose(shifted.hidden(vectors, context, FOLD), expected)


@pytest.mark.parametrize(
    ("n_folds", "n_heads", "serving"),
    [(5, 5, [0, 1, 2, 3, 4]), (5, 3, [0, 0, 1, 1, 2]), (5, 2, [0, 0, 0, 1, 1]), (3, 1, [0, 0, 0])],
)
def test_each_head_serves_a_run_of_folds(n_folds, n_heads, serving):
    assert heads_of_folds(n_folds, n_heads).tolist() == serving


def test_heads_of_several_trainings_serve_the_folds_of_each():
    (head, vectors, context), (other, *_) = make_mlp(6, n_heads=2), make_mlp(6, n_heads=3)
    head = replace(head, folds=heads_of_folds(3, 2))
    joined = MLPHead.joined([head, other, head])
    assert (joined.n_heads, joined.n_folds) == (7, 9)
    fold = np.array([2, 0, 1, 1, 0, 2, 0, 2, 1])
    for first, member in ((0, head), (3, other), (6, head)):
        found = joined.raw(vectors, context, first + fold)
        np.testing.assert_array_equal(found, member.raw(vectors, context, fold))


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
    fold = np.arange(len(inputs[0])) % 3
    scaled = head._with_hidden_scale(*inputs, fold, n_numbers)
    wanted = HIDDEN_VARIANCE * (inputs[0].var(axis=0).sum() + n_numbers)
    before, found = head.hidden(*inputs, fold), scaled.hidden(*inputs, fold)
    assert abs(before.var(axis=0).sum() / wanted - 1) > 0.01
    np.testing.assert_allclose(found.var(axis=0).sum(), wanted, rtol=1e-5)
    np.testing.assert_allclose(found, before * (found.max() / before.max()), rtol=1e-9)
    np.testing.assert_allclose(scaled.raw(*inputs), head.raw(*inputs), rtol=1e-9, atol=1e-9)
    # Only the layers on either side of it have changed.
    kept = [*zip(scaled.weights[:-2], head.weights[:-2], strict=True)]
    kept += zip(scaled.biases[:-2], head.biases[:-2], strict=True)
    for one, other in (*kept, (scaled.biases[-1], head.biases[-1])):
        np.testing.assert_array_equal(one, other)


def test_units_that_hardly_move_are_left_out_and_their_mean_goes_into_the_offset():
    head, inputs = make_mlp(6)[0], make_inputs()
    fold = np.arange(len(inputs[0])) % 3
    weights, biases = head.weights[0].copy(), head.biases[0].copy()
    for unit, moves in ((1, 1e-3), (4, 0.2)):
        weights[:, :, unit] *= moves
        biases[:, unit] = 7.0
    head = MLPHead((weights, head.weights[1]), (biases, head.biases[1]))
    before, scaled = head.hidden(*inputs, fold), head._with_hidden_scale(*inputs, fold, 2)
    after = scaled.hidden(*inputs, fold)
    assert not after[:, 1].any()
    kept = [0, 2, 3, 4, 5]
    np.testing.assert_allclose(after[:, kept], before[:, kept] * (after[0, 4] / before[0, 4]))
    np.testing.assert_allclose(scaled.raw(*inputs), head.raw(*inputs), atol=0.02)


def test_a_hidden_layer_that_does_not_vary_is_left_alone():
    head, (vectors, context) = make_mlp(16)[0], make_inputs()
    dead = MLPHead(head.weights, (head.biases[0] - 1e6, head.biases[1]))
    fold = np.arange(len(vectors)) % 3
    for given in (make_mlp()[0], dead):
        assert given._with_hidden_scale(vectors, context, fold, 2) is given
    assert head._with_hidden_scale(np.zeros_like(vectors), context, fold, 0) is head
    constant = [np.repeat(a[:1], 241, axis=0) for a in (vectors, context)]
    one = np.ones(241, dtype=np.int64)
    assert head._with_hidden_scale(*constant, one, 2) is head  # it varies by rounding only
