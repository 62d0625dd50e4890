"""Canonical coordinates re-parametrise exactly, and fix the basis."""

from __future__ import annotations

import tracemalloc
from itertools import pairwise

import numpy as np
import pytest

from sk_entity_embed.input.lists import Lists, offsets_of
from sk_entity_embed.model.coordinates import MAX_RATIO, canonicalise
from sk_entity_embed.model.heads import MLPHead
from sk_entity_embed.model.poolings import GRU, Max, Mean, Sum
from sk_entity_embed.model.symmetry import AFFINE

WIDTHS, N_ROWS, N_CONTEXT = (4, 3), (9, 7), 2


def make_problem(n_hidden=16, n_stacks=4, seed=0, n_heads=1):
    """Stacks of two columns, their counts and heads that also read two numbers."""
    rng = np.random.default_rng(seed)
    stacks = [
        (rng.standard_normal((n_stacks, n, w)) + rng.standard_normal(w)).astype(np.float32)
        for n, w in zip(N_ROWS, WIDTHS, strict=True)
    ]
    counts = [rng.integers(0, 20, n).astype(float) for n in N_ROWS]
    sizes = [sum(WIDTHS) + N_CONTEXT, n_hidden, 3]
    weights = tuple(rng.standard_normal((n_heads, *s)) for s in pairwise(sizes))
    biases = tuple(rng.standard_normal((n_heads, n)) for n in sizes[1:])
    return stacks, counts, MLPHead(weights, biases)


def canonical(problem, keep=None, n_numbers=0, symmetries=None, pooled=None, numbers=None):
    """Tables and head of the problem in canonical coordinates."""
    stacks, counts, head = problem
    found, *first = canonicalise(
        stacks,
        counts,
        first_of(head),
        bias_of(head),
        symmetries or [AFFINE] * len(stacks),
        keep or [False] * len(stacks),
        numbers=[slice(c, c + 1) for c in range(n_numbers)] if numbers is None else numbers,
        context=CONTEXT,
        pooled=pooled,
    )
    return found, with_first(head, *first)


CONTEXT = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]], dtype=np.float32)
"""Numbers of some rows: uncorrelated, with a standard deviation of one."""


def first_of(head):
    """Weights of the first layers, side by side."""
    return np.concatenate(list(head.weights[0]), axis=1)


def bias_of(head):
    """Their biases."""
    return np.concatenate(list(head.biases[0]))


def with_first(head, weights, bias):
    """Heads with other first layers."""
    first = np.stack(np.split(weights, head.n_heads, axis=1))
    bias = np.stack(np.split(bias, head.n_heads))
    return MLPHead((first, *head.weights[1:]), (bias, *head.biases[1:]))


def assert_agree(before, after, rtol=2e-6):
    """The answers are the same but for the rounding of float32."""
    assert np.abs(after - before).max() < rtol * np.abs(before).max()


def with_numbers_scaled(problem, factors):
    """The problem with a head that reads the numbers as if they were larger by factors."""
    stacks, counts, head = problem
    first = first_of(head).copy()
    first[-N_CONTEXT:] *= np.reshape(factors, (-1, 1))
    return stacks, counts, with_first(head, first, bias_of(head))


def total_variance(stack, count):
    """Total variance of the mean table."""
    vectors, share = centered(stack, count)
    return share @ (vectors**2).sum(axis=1)


def lengths_of(head):
    """Squared length of each row of the first layer."""
    return (first_of(head) ** 2).sum(axis=1)


def predictions(stacks, head, table):
    """Answers for all pairs of categories in one table."""
    rng = np.random.default_rng(7)
    rows = [rng.integers(0, n, 200) for n in N_ROWS]
    vectors = np.hstack([s[table][r] for s, r in zip(stacks, rows, strict=True)])
    return head.raw(vectors, rng.standard_normal((200, N_CONTEXT)))


def first_layer_of(head, column):
    """The part of the first layer that reads a column."""
    start = sum(WIDTHS[:column])
    return first_of(head)[start : start + WIDTHS[column]]


def centered(stack, count):
    """Vectors of the mean table around their weighted mean, and the weights."""
    share = count / count.sum()
    vectors = stack[-1].astype(np.float64)
    return vectors - share @ vectors, share


@pytest.mark.parametrize(
    ("n_hidden", "n_numbers", "keep", "n_heads"),
    [(2, 0, None, 1), (1, 0, None, 3), (16, 1, None, 1), (16, 2, (True, False), 3)],
)
def test_predictions_agree(n_hidden, n_numbers, keep, n_heads):
    problem = make_problem(n_hidden, n_heads=n_heads)
    stacks, head = canonical(problem, keep, n_numbers)
    for table in range(4):
        assert_agree(predictions(problem[0], problem[2], table), predictions(stacks, head, table))


def assert_canonical(stack, count):
    """Vectors are centered and uncorrelated, axes in order, their heaviest deviations positive."""
    vectors, share = centered(stack, count)
    np.testing.assert_allclose(share @ stack[-1], 0, atol=1e-6)
    heaviest = np.argmax(np.abs(vectors) * np.sqrt(count)[:, None], axis=0)
    assert (vectors[heaviest, np.arange(stack.shape[2])] > 0).all()
    covariance = (vectors * share[:, None]).T @ vectors
    variances = np.diag(covariance)
    np.testing.assert_allclose(covariance, np.diag(variances), atol=1e-6)
    assert (np.diff(variances) < 0).all()


@pytest.mark.parametrize("n_heads", [1, 3])
def test_vectors_are_canonical_and_the_first_layer_s_axes_orthogonal_and_of_one_length(n_heads):
    problem = make_problem(n_heads=n_heads)
    stacks, head = canonical(problem)
    lengths = []
    for j, (stack, count) in enumerate(zip(stacks, problem[1], strict=True)):
        assert_canonical(stack, count)
        weight = first_layer_of(head, j)
        gram = weight @ weight.T
        np.testing.assert_allclose(gram, np.diag(np.diag(gram)), atol=1e-10)
        lengths.append(np.diag(gram))
    np.testing.assert_allclose(np.concatenate(lengths), lengths[0][0])
    totals = [total_variance(*parts) for parts in zip(stacks, problem[1], strict=True)]
    np.testing.assert_allclose(np.mean(totals), 1, rtol=1e-5)


def test_beside_numbers_a_step_means_what_one_of_a_number_does():
    problem, n_numbers = make_problem(), N_CONTEXT
    stacks, head = canonical(problem, n_numbers=n_numbers)
    lengths = lengths_of(head)
    numbers = lengths[sum(WIDTHS) : sum(WIDTHS) + n_numbers]
    np.testing.assert_allclose(lengths[: sum(WIDTHS)], numbers.mean())
    # it is one factor for all columns, which changes nothing else
    plain, _ = canonical(problem)
    ratios = [(a / b).ravel() for a, b in zip(stacks, plain, strict=True)]
    np.testing.assert_allclose(np.concatenate(ratios), ratios[0][0], rtol=1e-5)
    assert abs(ratios[0][0] - 1) > 0.1


def test_bins_of_a_column_are_one_number_and_one_that_the_head_does_not_read_is_none():
    problem = make_problem()
    stacks, _ = canonical(problem, numbers=[slice(0, N_CONTEXT)])
    step = (CONTEXT @ first_of(problem[2])[-N_CONTEXT:]).var(axis=0).sum()
    lengths = lengths_of(problem[2])[-N_CONTEXT:]
    np.testing.assert_allclose(step, lengths.sum())
    one, _ = canonical(with_numbers_scaled(problem, [np.sqrt(step / lengths[0]), 0]), n_numbers=2)
    for found, wanted in zip(stacks, one, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_flags_beside_the_numbers_do_not_scale_the_vectors():
    expected, _ = canonical(make_problem(), n_numbers=1)
    found, _ = canonical(with_numbers_scaled(make_problem(), [1, 10]), n_numbers=1)
    for one, wanted in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, wanted)


@pytest.mark.parametrize("factor", [1e-9, 0.5, 1e9])
def test_the_scale_beside_numbers_is_limited(factor):
    problem = with_numbers_scaled(make_problem(), factor)
    parts = list(zip(*problem[:2], strict=True))
    seen = [(s[-1:] @ first_layer_of(problem[2], j), c) for j, (s, c) in enumerate(parts)]
    variance = np.mean([total_variance(*part) for part in seen])
    number = lengths_of(problem[2])[-N_CONTEXT:].mean()
    stacks, head = canonical(problem, n_numbers=N_CONTEXT)
    expected = np.clip(variance / number, 1 / MAX_RATIO, MAX_RATIO)
    found = np.mean([total_variance(*part) for part in zip(stacks, problem[1], strict=True)])
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert (expected in (1 / MAX_RATIO, MAX_RATIO)) == (factor != 0.5)
    assert_agree(predictions(problem[0], problem[2], 0), predictions(stacks, head, 0))


def test_a_linear_head_is_rewritten_too():
    stacks, counts, head = make_problem()
    problem = stacks, counts, MLPHead((head.weights[0][:, :, :1],), (head.biases[0][:, :1],))
    found, head = canonical(problem, n_numbers=N_CONTEXT)
    assert_agree(predictions(stacks, problem[2], 0), predictions(found, head, 0))
    lengths = lengths_of(head)
    for j, stack in enumerate(found):
        assert (stack[:, :, 1:] == 0).all()
        np.testing.assert_allclose(lengths[sum(WIDTHS[:j])], lengths[-N_CONTEXT:].mean())


def test_a_change_of_basis_and_a_shift_do_not_matter():
    stacks, counts, head = make_problem()
    expected, expected_head = canonical((stacks, counts, head))
    rng = np.random.default_rng(3)
    first, bias, moved, start = first_of(head).copy(), bias_of(head).copy(), [], 0
    for stack, width in zip(stacks, WIDTHS, strict=True):
        basis = rng.standard_normal((width, width)) + 2 * np.eye(width)
        shift, block = rng.standard_normal(width), slice(start, start + width)
        moved.append((stack @ basis.T + shift).astype(np.float32))
        first[block] = np.linalg.inv(basis).T @ first[block]
        bias -= shift @ first[block]
        start += width
    found, found_head = canonical((moved, counts, with_first(head, first, bias)))
    for one, other in zip(expected, found, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-5)
    np.testing.assert_allclose(first_of(expected_head), first_of(found_head), atol=2e-5)
    np.testing.assert_allclose(bias_of(expected_head), bias_of(found_head), atol=1e-4)


@pytest.mark.parametrize("seed", range(3))
def test_signs_of_two_equally_heavy_categories_do_not_depend_on_rounding(seed):
    stack = np.array([[[1.0, 2.0], [4.0, -1.0]]], dtype=np.float32)
    head = MLPHead((np.array([[[1.0, 0.5], [0.2, 1.0]]]),), (np.zeros((1, 2)),))
    (expected,), _ = canonical(([stack], [np.ones(2)], head))
    basis = np.random.default_rng(seed).standard_normal((2, 2)) + 2 * np.eye(2)
    moved = MLPHead((np.linalg.inv(basis).T @ head.weights[0],), head.biases)
    (found,), _ = canonical(([(stack @ basis.T).astype("f4")], [np.ones(2)], moved))
    np.testing.assert_allclose(found[..., 0], expected[..., 0], atol=1e-5)


def test_coordinates_that_are_only_rounding_become_zero():
    other = np.nextafter(np.float32(5), np.float32(6))
    stack = np.array([[[1, 5], [2, other], [3, 5], [2, 9]]], dtype=np.float32)
    head = MLPHead((np.eye(2)[None],), (np.zeros((1, 2)),))
    (found,), _ = canonical(([stack], [np.array([1.0, 1.0, 1.0, 0.0])], head))
    assert (found[0, :3, 1] == 0).all()
    assert abs(found[0, 3, 1]) > 1


def test_constant_tables_become_zeros():
    stacks, counts, head = make_problem()
    constant = [np.broadcast_to(s[:1, :1], s.shape).copy() for s in stacks]
    found, found_head = canonical((constant, counts, head), n_numbers=N_CONTEXT)
    for stack in found:
        np.testing.assert_allclose(stack, 0, atol=1e-5)
    assert np.isfinite(first_of(found_head)).all()
    before, after = predictions(constant, head, 0), predictions(found, found_head, 0)
    np.testing.assert_allclose(after, before, rtol=1e-5, atol=1e-5)


def test_a_head_that_reads_nothing_gives_zeros():
    stacks, counts, head = make_problem()
    blind = with_first(head, np.zeros_like(first_of(head)), bias_of(head))
    found, found_head = canonical((stacks, counts, blind), n_numbers=N_CONTEXT)
    assert all((stack == 0).all() for stack in found)
    assert np.isfinite(first_of(found_head)).all()


@pytest.mark.parametrize("second", [False, True])
def test_frozen_columns_are_left_alone_and_do_not_scale_the_others(second):
    problem = make_problem()
    stacks, head = canonical(problem, (True, second))
    assert stacks[0] is problem[0][0]
    np.testing.assert_array_equal(first_layer_of(head, 0), first_layer_of(problem[2], 0))
    if second:
        assert stacks[1] is problem[0][1]
        np.testing.assert_array_equal(first_of(head), first_of(problem[2]))
        np.testing.assert_array_equal(bias_of(head), bias_of(problem[2]))
    else:
        np.testing.assert_allclose(total_variance(stacks[1], problem[1][1]), 1, rtol=1e-5)


def test_context_weights_are_not_touched_and_what_is_given_is_not_changed():
    problem, same = make_problem(), make_problem()
    _, head = canonical(problem, n_numbers=N_CONTEXT)
    np.testing.assert_array_equal(first_of(head)[-N_CONTEXT:], first_of(problem[2])[-N_CONTEXT:])
    np.testing.assert_array_equal(first_of(problem[2]), first_of(same[2]))
    np.testing.assert_array_equal(bias_of(problem[2]), bias_of(same[2]))
    for stack, before in zip(problem[0], same[0], strict=True):
        np.testing.assert_array_equal(stack, before)


def test_counts_weigh_the_categories_of_the_mean_table():
    stacks, counts, head = make_problem()
    one, _ = canonical((stacks, counts, head))
    same, _ = canonical((stacks, [3 * c for c in counts], head))
    other, _ = canonical((stacks, [c[::-1].copy() for c in counts], head))
    np.testing.assert_allclose(one[0], same[0], atol=1e-6)
    assert np.abs(one[0] - other[0]).max() > 0.01
    folds = [np.concatenate([s[:-1] + 1, s[-1:]]) for s in stacks]  # the mean table decides alone
    np.testing.assert_array_equal(one[0][-1], canonical((folds, counts, head))[0][0][-1])


# Lists -------------------------------------------------------------------------------------


def make_lists(n=200, seed=5):
    """Lists of the first column's categories."""
    rng = np.random.default_rng(seed)
    offsets = offsets_of(rng.integers(1, 6, n))
    return Lists(rng.integers(0, N_ROWS[0], offsets[-1]), offsets)


def make_unit(width=WIDTHS[0], seed=6):
    """A recurrent unit of random weights."""
    rng = np.random.default_rng(seed)
    shapes = (width, 3 * width), (width, 3 * width), (3 * width,), (3 * width,)
    return GRU(*(rng.standard_normal(s) for s in shapes))


def pooled_rows(table, pooling, lists=None):
    """One vector a list from one table."""
    lists = make_lists() if lists is None else lists
    out = np.empty((len(lists), table.shape[1]), dtype=np.float32)
    pooling(table, lists, out)
    return out


def canonical_lists(problem, pooling, lists=None, n_numbers=0):
    """The problem with lists in its first column, pooled so, in canonical coordinates."""
    stacks, counts, _ = problem
    stack, pooling = pooling.canonical(stacks[0], counts[0])
    problem = [stack, stacks[1]], *problem[1:]
    symmetries = [pooling.symmetry, AFFINE]
    pooled = {0: pooled_rows(stack[-1], pooling, lists)}
    found, head = canonical(problem, None, n_numbers, symmetries, pooled)
    return found, head, pooling


def answers(stacks, head, pooling, table, lists=None):
    """Predictions for lists in the first column."""
    rng, first = np.random.default_rng(7), pooled_rows(stacks[0][table], pooling, lists)
    second = stacks[1][table][rng.integers(0, N_ROWS[1], len(first))]
    return head.raw(np.hstack([first, second]), rng.standard_normal((len(first), N_CONTEXT)))


@pytest.mark.parametrize(
    ("n_hidden", "n_numbers", "pooling"),
    [(16, 2, Mean()), (2, 2, Sum()), (16, 0, Max()), (16, 0, make_unit()), (2, 2, make_unit())],
)
def test_predictions_of_lists_agree(n_hidden, n_numbers, pooling):
    problem = make_problem(n_hidden)
    found = canonical_lists(problem, pooling, n_numbers=n_numbers)
    if pooling == Mean():  # centered by their items
        assert np.abs(problem[1][0] @ found[0][0][-1]).max() < 1e-6 * problem[1][0].sum()
    for table in range(4):
        before = answers(problem[0], problem[2], pooling, table)
        assert_agree(before, answers(*found, table), 5e-6)


def test_sums_keep_their_origin_and_are_rotated():
    problem = make_problem()
    stacks, _, _ = canonical_lists(problem, Sum())
    seen = problem[0][0].astype(np.float64) @ first_layer_of(problem[2], 0)
    ratio = np.linalg.norm(stacks[0], axis=2) / np.linalg.norm(seen, axis=2)
    np.testing.assert_allclose(ratio, ratio[0, 0], rtol=1e-4)
    vectors, share = centered(stacks[0], problem[1][0])
    covariance = (vectors * share[:, None]).T @ vectors
    np.testing.assert_allclose(covariance, np.diag(np.diag(covariance)), atol=1e-6)
    assert np.abs(share @ stacks[0][-1]).max() > 1e-3


def test_largest_entries_are_scaled_only():
    problem = make_problem()
    stacks, head, _ = canonical_lists(problem, Max())
    ratio = stacks[0] / problem[0][0]
    np.testing.assert_allclose(ratio, ratio[0, 0, 0], rtol=1e-5)
    assert ratio[0, 0, 0] > 0
    weights = first_layer_of(head, 0) * ratio[0, 0, 0]
    np.testing.assert_allclose(weights, first_layer_of(problem[2], 0), rtol=1e-5)


def test_a_unit_keeps_its_states_and_its_items_become_canonical():
    problem, old = make_problem(), make_unit()
    stacks, head, new = canonical_lists(problem, old)
    np.testing.assert_array_equal(first_layer_of(head, 0), first_layer_of(problem[2], 0))
    before, after = (pooled_rows(s[0][-1], u) for s, u in ((problem[0], old), (stacks, new)))
    np.testing.assert_allclose(after, before, atol=1e-5)
    assert_canonical(stacks[0], problem[1][0])
    np.testing.assert_allclose(total_variance(stacks[0], problem[1][0]), 1, rtol=1e-5)
    for one, other in (
        (new.hidden_weights, old.hidden_weights),
        (new.hidden_bias, old.hidden_bias),
    ):
        np.testing.assert_array_equal(one, other)
    # They scale the other column as numbers do.
    states = after.astype(np.float64)
    step = (states @ first_layer_of(head, 0)).var(axis=0).sum() / states.var(axis=0).sum()
    np.testing.assert_allclose(lengths_of(head)[WIDTHS[0] : sum(WIDTHS)], step, rtol=1e-4)


@pytest.mark.parametrize("pooling", [Mean(), Sum(), Max()])
def test_scale_comes_from_what_lists_are_pooled_to(pooling):
    problem = make_problem()
    stacks, _, _ = canonical_lists(problem, pooling)
    pooled = pooled_rows(stacks[0][-1], pooling).astype(float)
    total = pooled.var(axis=0).sum() + total_variance(stacks[1], problem[1][1])
    # The axes of the largest entries are not those of the head, which decides.
    np.testing.assert_allclose(total / 2, 1, rtol=1 if pooling == Max() else 1e-4)


@pytest.mark.parametrize(
    ("constant", "n", "pooling"),
    [(True, 1, Mean()), (False, 3, Sum()), (True, 241, Max()), (False, 241, make_unit())],
)
def test_lists_that_are_all_the_same_have_no_scale(constant, n, pooling):
    lists = make_lists(1)
    lists = Lists(np.tile(lists.items, n), len(lists.items) * np.arange(n + 1))
    problem = make_problem()
    if constant:  # so that the other column has none either
        problem[0][1] = np.broadcast_to(problem[0][1][:1, :1], problem[0][1].shape).copy()
    found = canonical_lists(problem, pooling, lists)
    for one, other in zip(found[0], problem[0], strict=True):
        assert np.abs(one).max() < 100 * np.abs(other).max()
    before = answers(problem[0], problem[2], pooling, 1, lists)
    assert_agree(before, answers(*found, 1, lists), 5e-6)


# Memory ------------------------------------------------------------------------------------


def test_large_tables_are_moved_block_by_block():
    rng = np.random.default_rng(0)
    stack = rng.standard_normal((6, 50_000, 8)).astype(np.float32)
    before, counts = stack.copy(), rng.uniform(1, 2, 50_000)
    weights = rng.standard_normal((1, 8, 16)), rng.standard_normal((1, 16, 1))
    head = MLPHead(weights, (np.zeros((1, 16)), np.zeros((1, 1))))
    tracemalloc.start()
    (moved,), new_head = canonical(([stack], [counts], head))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1.2 * stack.nbytes  # the result; before it, three arrays of twice a table
    np.testing.assert_array_equal(stack, before)
    nothing = np.empty((6 * 50_000, 0), dtype=np.float32)
    was = head.raw(stack.reshape(-1, 8), nothing)
    np.testing.assert_allclose(
        new_head.raw(moved.reshape(-1, 8), nothing), was, rtol=1e-5, atol=1e-4
    )
