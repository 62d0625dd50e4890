"""Pooling of lists in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.utils.rnn import pack_sequence

from sk_entity_embed.input.lists import Lists, offsets_of
from sk_entity_embed.model import poolings
from sk_entity_embed.model.poolings import GRU, Max, Mean, Sum

SIMPLE = {Mean(): np.mean, Sum(): np.sum, Max(): np.max}
WIDTH, N_STATE, N_ROWS = 5, 4, 40


def make_lists(n_lists=200, longest=9, seed=0):
    """Lists of random rows, none of them empty."""
    rng = np.random.default_rng(seed)
    offsets = offsets_of(rng.integers(1, longest + 1, n_lists))
    return Lists(rng.integers(0, N_ROWS, offsets[-1]).astype(np.int32), offsets)


def make_source(seed=1):
    """Random vectors."""
    return np.random.default_rng(seed).standard_normal((N_ROWS, WIDTH)).astype(np.float32)


def make_unit():
    """A unit of torch's and ours of the same weights."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        unit = torch.nn.GRU(WIDTH, N_STATE).double()
    weights = [p.detach().numpy() for p in unit.parameters()]
    return unit, GRU(weights[0].T, weights[1].T, *weights[2:])


def pooled(pooling, source, lists, dtype=np.float32):
    """One vector for each list."""
    width = getattr(pooling, "n_state", source.shape[1])
    out = np.full((len(lists), width), 7, dtype=dtype)
    pooling(source, lists, out)
    return out


def each(source, lists):
    """The vectors of each list."""
    return [source[part] for part in np.split(lists.items, lists.offsets[1:-1])]


@pytest.fixture(params=[3, 50])
def block(request, monkeypatch):
    """Blocks shorter than a list, and of some lists."""
    monkeypatch.setattr(poolings, "_GATHERED", request.param)
    monkeypatch.setattr(poolings, "_STEPPED", request.param)


@pytest.mark.usefixtures("block")
def test_vectors_are_pooled_list_by_list():
    source, lists = make_source(), make_lists()
    for pooling, naive in SIMPLE.items():
        expected = [naive(v.astype(np.float64), axis=0).astype("f4") for v in each(source, lists)]
        np.testing.assert_array_equal(pooled(pooling, source, lists), expected)
    unit, ours = make_unit()
    sequences = [torch.from_numpy(v).double() for v in each(source, lists)]
    with torch.no_grad():
        _, state = unit(pack_sequence(sequences, enforce_sorted=False))
    answer = pooled(ours, source, lists, np.float64)
    np.testing.assert_allclose(answer, state[0].numpy(), rtol=0, atol=1e-12)


@pytest.mark.parametrize("pooling", [Mean(), Max()])
def test_not_a_number_spreads_over_its_own_list_only(pooling):
    source, lists = make_source(), make_lists()
    source[3] = np.nan
    holds = np.array([3 in part for part in np.split(lists.items, lists.offsets[1:-1])])
    assert holds.any()
    found = np.isnan(pooled(pooling, source, lists))
    np.testing.assert_array_equal(found, np.tile(holds[:, None], WIDTH))


def test_sums_are_in_double_precision():
    source = np.array([[1.0], [2.0**-24]], dtype=np.float32)
    lists = Lists(np.array([0] + [1] * 2**10, dtype=np.int32), np.array([0, 2**10 + 1]))
    assert pooled(Sum(), source, lists)[0, 0] == 1 + 2.0**-14


@pytest.mark.parametrize("pooling", [Mean(), make_unit()[1]])
def test_a_list_has_the_same_answer_in_any_company(pooling):
    source, lists = make_source(), make_lists()
    together = pooled(pooling, source, lists)
    order = np.random.default_rng(2).permutation(len(lists))
    np.testing.assert_array_equal(pooled(pooling, source, lists.take(order)), together[order])
    alone = [pooled(pooling, source, lists[i : i + 1])[0] for i in range(30)]
    np.testing.assert_array_equal(alone, together[:30])
    assert pooled(pooling, source, lists[:0]).shape == (0, together.shape[1])


def test_large_numbers_do_not_overflow_a_unit():
    source, three = np.full((1, WIDTH), 1e30, dtype=np.float32), np.zeros(3, dtype=np.int32)
    assert np.isfinite(pooled(make_unit()[1], source, Lists(three, np.array([0, 3])))).all()
