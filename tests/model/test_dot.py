"""Canonical coordinates under dot products re-parametrise exactly, and fix the basis."""

from __future__ import annotations

import numpy as np
import pytest

from sk_entity_embed.input.lists import Lists, offsets_of
from sk_entity_embed.model.heads import DotHead
from sk_entity_embed.model.heads.base import TrainedColumns
from sk_entity_embed.model.poolings import Mean, Sum

N_AXES, N_CONTEXT = 3, 2


def make_problem(n_columns=3, n_stacks=4, seed=0):
    """Stacks of some columns around means of their own, counts, and a head of uneven weights."""
    rng = np.random.default_rng(seed)
    sizes = [9, 7, 5, 6][:n_columns]
    stacks = [
        (rng.standard_normal((n_stacks, n, N_AXES + 1)) + rng.standard_normal(N_AXES + 1))
        for n in sizes
    ]
    stacks = [s.astype(np.float32) for s in stacks]
    counts = [rng.integers(0, 20, n).astype(float) for n in sizes]
    weights = rng.standard_normal(n_columns), rng.standard_normal(N_CONTEXT)
    return stacks, counts, DotHead(rng.uniform(0.2, 3, N_AXES), *weights, 0.4)


def canonical(problem, poolings=None, unit=1.0):
    """Tables and head of the problem in canonical coordinates."""
    stacks, counts, head = problem
    poolings, frozen = poolings or [None] * len(stacks), [False] * len(stacks)
    rows = np.zeros(0, np.int64), np.zeros((0, N_CONTEXT), np.float32)
    columns = TrainedColumns(stacks, counts, poolings, frozen, [], *rows, (), unit, frozen)
    head = head.canonical(columns)
    assert columns.centered == [p is None for p in poolings]
    return columns.stacks, head


def sample(stacks, table, n=200):
    """Rows that take any category in each column from one table, and context."""
    rng = np.random.default_rng(7)
    rows = [rng.integers(0, s.shape[1], n) for s in stacks]
    vectors = np.hstack([s[table][r] for s, r in zip(stacks, rows, strict=True)])
    return vectors, rng.standard_normal((n, N_CONTEXT)).astype(np.float32)


def spread(stack, count):
    """Axes of the mean table around their weighted mean, and the weights."""
    share = count / count.sum()
    vectors = stack[-1, :, :-1].astype(np.float64)
    return vectors - share @ vectors, share


@pytest.mark.parametrize(
    ("poolings", "unit"), [([None] * 2, 1.0), ([None, Sum(), None], 0.01), ([Sum()] * 4, 250.0)]
)
def test_predictions_agree_in_every_table(poolings, unit):
    problem = make_problem(len(poolings))
    stacks, head = canonical(problem, poolings, unit)
    for table in range(4):
        before = problem[2].raw(*sample(problem[0], table))
        after = head.raw(*sample(stacks, table))
        assert np.abs(after - before).max() < 2e-6 * np.abs(before).max()


@pytest.mark.parametrize(("n_columns", "unit"), [(2, 1.0), (3, 40.0)])
def test_plain_dots_and_biases_are_what_the_head_adds_up(n_columns, unit):
    stacks, head = canonical(make_problem(n_columns), unit=unit)
    assert head.axes.tolist() == [1 / unit] * N_AXES
    assert head.bias_weights.tolist() == [1 / unit] * n_columns
    vectors, context = sample(stacks, -1)
    blocks = vectors.astype(np.float64).reshape(len(vectors), n_columns, -1)
    plain = blocks[:, :, -1].sum(axis=1)
    for j in range(n_columns):
        for k in range(j):
            plain += (blocks[:, j, :-1] * blocks[:, k, :-1]).sum(axis=1)
    rest = unit * (head.raw(vectors, context)[:, 0] - context @ head.context_weights)
    np.testing.assert_allclose(rest - plain, unit * head.intercept, rtol=1e-6)


def test_vectors_and_biases_are_centered_but_for_those_of_sums():
    problem = make_problem()
    for poolings in ([None, None, None], [None, Sum(), Mean()]):
        found, _ = canonical(problem, poolings)
        means = [c @ s[-1] / c.sum() for s, c in zip(found, problem[1], strict=True)]
        for mean, pooling in zip(means, poolings, strict=True):
            assert (np.abs(mean).max() < 1e-5) == (pooling != Sum())
    # A sum's vectors keep their length, however many are added up: the origin stays.
    weighted = problem[0][1][..., :-1] * np.sqrt(problem[2].axes)
    np.testing.assert_allclose(
        np.linalg.norm(found[1][..., :-1], axis=2), np.linalg.norm(weighted, axis=2), rtol=1e-5
    )


@pytest.mark.parametrize("pooling", [Sum(), Mean()])
def test_predictions_of_lists_agree(pooling):
    stacks, counts, head = make_problem(2)
    found, new = canonical((stacks, counts, head), [pooling, None])
    rng = np.random.default_rng(1)
    offsets = offsets_of(rng.integers(1, 6, 100))
    lists, cells = Lists(rng.integers(0, 9, offsets[-1]), offsets), rng.integers(0, 7, 100)
    answers = []
    for tables, h in ((stacks, head), (found, new)):
        pooled = np.empty((100, N_AXES + 1), dtype=np.float32)
        pooling(tables[0][-1], lists, pooled)
        vectors = np.hstack([pooled, tables[1][-1][cells]])
        answers.append(h.raw(vectors, np.zeros((100, N_CONTEXT), dtype=np.float32)))
    assert np.abs(answers[0] - answers[1]).max() < 3e-6 * np.abs(answers[0]).max()


def test_axes_are_uncorrelated_in_the_order_of_variance_and_deviate_upwards():
    problem = make_problem()
    stacks, _ = canonical(problem)
    parts = [spread(s, c) for s, c in zip(stacks, problem[1], strict=True)]
    covariance = sum((vectors * share[:, None]).T @ vectors for vectors, share in parts)
    variances = np.diag(covariance)
    np.testing.assert_allclose(covariance, np.diag(variances), atol=1e-5)
    assert (np.diff(variances) < 0).all()
    scores = np.vstack([vectors for vectors, _ in parts])
    share = np.concatenate([share for _, share in parts])
    heaviest = (np.abs(scores) * np.sqrt(share)[:, None]).argmax(axis=0)
    assert (scores[heaviest, np.arange(N_AXES)] > 0).all()


def test_a_rotation_and_other_weights_before_do_not_matter():
    stacks, counts, head = make_problem()
    expected, expected_head = canonical((stacks, counts, head))
    rng = np.random.default_rng(0)
    turn = np.linalg.qr(rng.standard_normal((N_AXES, N_AXES)))[0]
    factor = rng.uniform(0.5, 2)
    moved = []
    for j, stack in enumerate(stacks):
        other = stack.astype(np.float64)
        other[..., :-1] = other[..., :-1] * np.sqrt(head.axes) @ turn / factor
        other[..., -1] *= head.bias_weights[j] / 3.0
        moved.append(other.astype(np.float32))
    same = DotHead(
        np.full(N_AXES, factor**2), np.full(3, 3.0), head.context_weights, head.intercept
    )
    found, found_head = canonical((moved, counts, same))
    for one, other in zip(expected, found, strict=True):
        np.testing.assert_allclose(one, other, atol=3e-5)
    np.testing.assert_allclose(found_head.intercept, expected_head.intercept, atol=1e-5)


def test_context_weights_stay_and_what_was_given_is_not_changed():
    stacks, counts, head = make_problem()
    before = [s.copy() for s in stacks]
    _, new = canonical((stacks, counts, head))
    np.testing.assert_array_equal(new.context_weights, head.context_weights)
    assert (head.intercept, head.axes.shape) == (0.4, (N_AXES,))
    for one, other in zip(stacks, before, strict=True):
        np.testing.assert_array_equal(one, other)


def test_means_come_from_the_mean_table_and_counts_weigh():
    stacks, counts, head = make_problem()
    expected, _ = canonical((stacks, counts, head))
    other = [np.concatenate([s[:-1] + 1, s[-1:]]) for s in stacks]
    found, _ = canonical((other, counts, head))
    for one, two in zip(expected, found, strict=True):
        np.testing.assert_array_equal(one[-1], two[-1])
    same, _ = canonical((stacks, [3 * c for c in counts], head))
    np.testing.assert_allclose(same[0], expected[0], atol=1e-5)
    weighed, _ = canonical((stacks, [c[::-1].copy() for c in counts], head))
    assert np.abs(weighed[0] - expected[0]).max() > 0.01
