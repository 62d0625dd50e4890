"""Pooling of lists in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.utils.rnn import pack_sequence

from sk_entity_embed import pooling as module
from sk_entity_embed.input.lists import Lists, offsets_of
from sk_entity_embed.model.poolings import GRU, pool

SIMPLE = {"mean": np.mean, "sum": np.sum, "max": np.max}
WIDTH, N_STATE, N_ROWS = 5, 4, 40


def make_lists(n_lists=200, longest=9, seed=0):
    """Lists of random rows, none of them empty."""
    rng = np.random.default_rng(seed)
    offsets = offsets_of(rng.integers(1, longest + 1, n_lists))
    return Lists(rng.integers(0, N_ROWS, offsets[-1]).astype(np.int32), offsets)


def make_source(seed=1):
    """Random vectors."""
    random = np.random.default_rng(seed)
    return random.standard_normal((N_ROWS, WIDTH)).astype(np.float32)


def make_unit():
    """A unit of torch's and ours of the same weights."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        unit = torch.nn.GRU(WIDTH, N_STATE).double()
    weights = [p.detach().numpy() for p in unit.parameters()]
    return unit, GRU(weights[0].T, weights[1].T, *weights[2:])


def pooled(source, lists, how):
    """The answer of :func:`pool`."""
    out = np.full((len(lists), source.shape[1]), 7, dtype=np.float32)
    pool(source, lists, how, out)
    return out


def each(source, lists):
    """The vectors of each list."""
    return [source[part] for part in np.split(lists.items, lists.offsets[1:-1])]


@pytest.fixture(params=[3, 50])
def block(request, monkeypatch):
    """Blocks shorter than a list, and of some lists."""
    monkeypatch.setattr(module, "_GATHERED", request.param)
    monkeypatch.setattr(module, "_STEPPED", request.param)


@pytest.mark.usefixtures("block")
@pytest.mark.parametrize("how", SIMPLE)
def test_vectors_are_pooled_list_by_list(how):
    source, lists = make_source(), make_lists()
    expected = [SIMPLE[how](v.astype(np.float64), axis=0) for v in each(source, lists)]
    np.testing.assert_array_equal(pooled(source, lists, how), np.array(expected, dtype=np.float32))


@pytest.mark.parametrize("how", ["mean", "max"])
def test_not_a_number_spreads_over_its_own_list_only(how):
    source, lists = make_source(), make_lists()
    source[3] = np.nan
    holds = np.array([3 in part for part in np.split(lists.items, lists.offsets[1:-1])])
    assert holds.any()
    np.testing.assert_array_equal(
        np.isnan(pooled(source, lists, how)), np.tile(holds[:, None], WIDTH)
    )


def test_sums_are_in_double_precision():
    source = np.array([[1.0], [2.0**-24]], dtype=np.float32)
    lists = Lists(np.array([0] + [1] * 2**10, dtype=np.int32), np.array([0, 2**10 + 1]))
    assert pooled(source, lists, "sum")[0, 0] == 1 + 2.0**-14


@pytest.mark.usefixtures("block")
def test_a_unit_is_torch_s():
    source, lists = make_source(), make_lists()
    unit, ours = make_unit()
    sequences = [torch.from_numpy(v).double() for v in each(source, lists)]
    with torch.no_grad():
        _, state = unit(pack_sequence(sequences, enforce_sorted=False))
    answer = ours(source, lists)
    assert answer.dtype == np.float64
    assert ours.n_state == answer.shape[1] == N_STATE
    np.testing.assert_allclose(answer, state[0].numpy(), rtol=0, atol=1e-12)


@pytest.mark.parametrize("how", ["mean", "gru"])
def test_a_list_has_the_same_answer_in_any_company(how):
    source, lists = make_source(), make_lists()
    _, unit = make_unit()

    def answer(some):
        return unit(source, some).astype(np.float32) if how == "gru" else pooled(source, some, how)

    together = answer(lists)
    order = np.random.default_rng(2).permutation(len(lists))
    np.testing.assert_array_equal(answer(lists.take(order)), together[order])
    alone = [answer(lists[i : i + 1])[0] for i in range(30)]
    np.testing.assert_array_equal(alone, together[:30])


def test_large_numbers_do_not_overflow_a_unit():
    _, unit = make_unit()
    source = np.full((1, WIDTH), 1e30, dtype=np.float32)
    assert np.isfinite(unit(source, Lists(np.zeros(3, dtype=np.int32), np.array([0, 3])))).all()


def test_no_lists_have_no_vectors():
    none = Lists(np.empty(0, dtype=np.int32), np.zeros(1, dtype=np.int64))
    _, unit = make_unit()
    assert unit(make_source(), none).shape == (0, N_STATE)
    assert pooled(make_source(), none, "mean").shape == (0, WIDTH)
