"""The seam between NumPy and torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sk_entity_embed.exceptions import InvalidParameterError
from sk_entity_embed.head import MLPHead
from sk_entity_embed.learning.averaging import RunningMean
from sk_entity_embed.learning.learn import learn
from tests.learning.problems import N_ROWS, WIDTHS, make_config, make_rows, make_start

RANDOM = {"dropout": 0.2, "unknown_rate": 0.1}


def fit(n_tables=3, start=None, **changes):
    """Learn a small problem."""
    start = start or make_start(n_tables)
    return learn(make_rows(n_tables=n_tables), start, make_config(**RANDOM, **changes))


def bytes_of(learned):
    """Everything learned, as bytes."""
    arrays = [*learned.tables, *learned.head.weights, *learned.head.biases]
    arrays += [learned.loss_curve, learned.validation_loss_curve]
    return [np.ascontiguousarray(a).tobytes() for a in arrays]


def earlier_head():
    """A head of another training."""
    rng = np.random.default_rng(5)
    shapes = [(sum(WIDTHS) + 1, 8), (8, 1)]
    return MLPHead(
        tuple(rng.standard_normal(s) for s in shapes), tuple(rng.standard_normal(n) for n in (8, 1))
    )


@pytest.mark.parametrize("n_tables", [1, 3])
def test_equal_seeds_give_equal_bytes(n_tables):
    assert bytes_of(fit(n_tables)) == bytes_of(fit(n_tables))
    assert bytes_of(fit(n_tables)) != bytes_of(fit(n_tables, seed=1))


def test_what_the_caller_set_in_torch_stays():
    threads = torch.get_num_threads()
    try:
        torch.manual_seed(1234)
        torch.set_default_dtype(torch.float64)
        torch.set_num_threads(2)
        state = torch.get_rng_state()
        fit()
        assert torch.get_default_dtype() == torch.float64
        assert torch.equal(torch.get_rng_state(), state)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_default_dtype(torch.float32)
        torch.set_num_threads(threads)


@pytest.mark.parametrize("setting", ["seed", "dtype", "no_grad", "inference_mode"])
def test_no_setting_of_the_caller_changes_the_result(setting):
    expected = bytes_of(fit())
    try:
        if setting == "seed":
            torch.manual_seed(99)
            found = fit()
        elif setting == "dtype":
            torch.set_default_dtype(torch.float64)
            found = fit()
        else:
            with getattr(torch, setting)():
                found = fit()
    finally:
        torch.set_default_dtype(torch.float32)
    assert bytes_of(found) == expected


@pytest.mark.parametrize("n_tables", [1, 3])
def test_arrays_come_back_in_numpy(n_tables):
    learned = fit(n_tables)
    assert [t.shape for t in learned.tables] == [
        (n_tables, rows, width) for rows, width in zip(N_ROWS, WIDTHS, strict=True)
    ]
    assert {t.dtype for t in learned.tables} == {np.dtype(np.float32)}
    assert [w.shape for w in learned.head.weights] == [(6, 8), (8, 1)]
    assert {a.dtype for a in (*learned.head.weights, *learned.head.biases)} == {
        np.dtype(np.float64)
    }
    assert learned.loss_curve.shape == learned.validation_loss_curve.shape == (3, 1)
    assert learned.best_iteration in (1, 2, 3)
    assert not learned.interrupted


def test_what_was_given_is_not_changed():
    rows, start = make_rows(), make_start(head=earlier_head())
    given = [rows.codes, rows.context, rows.target, *start.tables, *start.head.weights]
    before = [a.tobytes() for a in given]
    learn(rows, start, make_config(**RANDOM))
    assert [a.tobytes() for a in given] == before


def test_the_loss_falls():
    learned = fit(max_iter=30)
    assert learned.validation_loss_curve.min() < 0.5 * learned.validation_loss_curve[0]
    assert learned.loss_curve[-1] < 0.5 * learned.loss_curve[0]


def test_the_best_epoch_is_returned():
    noise = np.random.default_rng(3).standard_normal((60, 1)).astype(np.float32)
    rows = make_rows(target=noise)  # the longer, the worse
    wide = {"hidden_layer_sizes": (64,)}
    learned = learn(rows, make_start(), make_config(max_iter=20, n_iter_no_change=20, **wide))
    curve = learned.validation_loss_curve[:, 0]
    best = int(np.argmin(curve)) + 1
    assert learned.best_iteration == best < len(curve)
    start = make_start(tables=learned.tables, head=learned.head)
    again = learn(rows, start, make_config(max_iter=1, learning_rate_init=1e-12, **wide))
    np.testing.assert_allclose(again.validation_loss_curve[0], curve[best - 1], rtol=1e-4)


def test_no_validation_loss_is_computed_without_early_stopping():
    learned = fit(early_stopping=False)
    assert learned.validation_loss_curve is None
    assert learned.best_iteration == 3


@pytest.mark.parametrize("early_stopping", [True, False])
def test_the_mean_over_epochs_is_returned(early_stopping, monkeypatch):
    states, update = [], RunningMean.update

    def spy(self):
        update(self)
        states.append([p.detach().numpy().copy() for p in self.parameters])

    monkeypatch.setattr(RunningMean, "update", spy)
    learned = fit(early_stopping=early_stopping)
    assert len(states) == 3
    tables = [np.mean(s, axis=0) for s in zip(*states[: learned.best_iteration], strict=True)]
    for found, expected in zip(learned.tables, tables, strict=False):
        np.testing.assert_allclose(found, expected.reshape(found.shape), rtol=1e-5, atol=1e-6)
    for found, expected in zip(learned.head.weights, tables[2:4], strict=True):
        np.testing.assert_allclose(found, expected.T, rtol=1e-5, atol=1e-6)


def test_columns_that_are_not_pulled_are_told_to_training():
    results = [fit(start=make_start(pulled=p)) for p in ([True, True], [True, False])]
    assert bytes_of(results[0]) != bytes_of(results[1])


def test_training_goes_on_from_an_earlier_head():
    head = earlier_head()
    learned = fit(start=make_start(head=head), max_iter=1, learning_rate_init=1e-9)
    for mine, theirs in zip(learned.head.weights, head.weights, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-6)
    for mine, theirs in zip(learned.head.biases, head.biases, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-6)


def test_an_earlier_state_is_kept_where_training_only_harms():
    start = make_start(head=earlier_head())
    good = learn(make_rows(), start, make_config(max_iter=60, n_iter_no_change=60))
    again = make_start(tables=good.tables, head=good.head)
    learned = learn(make_rows(), again, make_config(learning_rate_init=5.0))
    assert learned.best_iteration == 0
    for mine, theirs in zip(learned.tables, good.tables, strict=True):
        assert mine.tobytes() == theirs.tobytes()


def test_fixed_rows_come_back_as_they_were():
    fixed = [np.arange(n) > 2 for n in N_ROWS]
    start = make_start(fixed=fixed)
    learned = fit(start=start, max_iter=2)
    for table, old, mask in zip(learned.tables, start.tables, fixed, strict=True):
        np.testing.assert_array_equal(table[:, mask], old[:, mask])
        assert (table[:, 0] != old[:, 0]).any()


@pytest.mark.parametrize("early_stopping", [True, False])
def test_diverged_training_is_an_error(early_stopping):
    rows = make_rows(target=np.full((60, 1), 1e30, dtype=np.float32))
    config = make_config(early_stopping=early_stopping)
    with pytest.raises(InvalidParameterError, match=r"diverged.*`learning_rate_init`"):
        learn(rows, make_start(), config)


@pytest.mark.parametrize("device", ["nonsense", "cuda:99", "meta"])
def test_a_device_that_is_not_to_be_had_is_named(device):
    with pytest.raises(InvalidParameterError, match=f"device='{device}'"):
        fit(device=device)


@pytest.mark.skipif(torch.cuda.is_available(), reason="'auto' takes the GPU here")
def test_auto_is_the_cpu_without_a_gpu():
    assert bytes_of(fit(device="auto")) == bytes_of(fit(device="cpu"))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_learns_as_well():
    learned = fit(device="cuda", max_iter=30)
    assert learned.validation_loss_curve.min() < 0.5 * learned.validation_loss_curve[0]
