"""The seam between NumPy and torch."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from scipy.special import logit

from sk_entity_embed.exceptions import InvalidParameterError
from sk_entity_embed.model.heads import MLPHead
from sk_entity_embed.model.losses import LogLoss
from sk_entity_embed.model.poolings import GRU
from tests.learning.problems import (
    KINDS,
    N_ROWS,
    WIDTHS,
    fit,
    make_config,
    make_problem,
    make_rows,
    make_start,
)

RANDOM = {"dropout": 0.2, "unknown_rate": 0.1}


def fit_plain(n_tables=3, start=None, **changes):
    """Learn a small problem."""
    start = start or make_start(n_tables)
    return fit(make_rows(n_tables=n_tables), start, make_config(**RANDOM, **changes))


def fit_kind(kind, n_tables=3, **changes):
    """Learn a small problem of a kind."""
    rows, start, config = make_problem(kind, n_tables, **RANDOM, **changes)
    return fit(rows, start, config)


def arrays_of(layer):
    """All numbers of a head or a recurrent unit, in order."""
    values = [getattr(layer, field.name) for field in fields(layer)]
    values = [v for v in values if v is not None]
    return [np.asarray(a) for v in values for a in (v if isinstance(v, tuple) else (v,))]


def bytes_of(learned):
    """Everything learned, as bytes."""
    arrays = [*learned.tables, *arrays_of(learned.head)]
    arrays += [a for unit in learned.poolings if isinstance(unit, GRU) for a in arrays_of(unit)]
    arrays += [learned.loss_curve, learned.validation_loss_curve]
    return [np.ascontiguousarray(a).tobytes() for a in arrays]


def earlier_head():
    """A head of another training."""
    rng = np.random.default_rng(5)
    shapes = [(3, sum(WIDTHS) + 1, 8), (3, 8, 1)]
    return MLPHead(
        tuple(rng.standard_normal(s) for s in shapes),
        tuple(rng.standard_normal((3, n)) for n in (8, 1)),
    )


@pytest.mark.parametrize(("kind", "n_tables"), [("plain", 1), *((kind, 3) for kind in KINDS)])
def test_equal_seeds_give_equal_bytes(kind, n_tables):
    assert bytes_of(fit_kind(kind, n_tables)) == bytes_of(fit_kind(kind, n_tables))
    assert bytes_of(fit_kind(kind, n_tables)) != bytes_of(fit_kind(kind, n_tables, seed=1))


def test_what_the_caller_set_in_torch_stays():
    threads = torch.get_num_threads()
    try:
        torch.manual_seed(1234)
        torch.set_default_dtype(torch.float64)
        torch.set_num_threads(2)
        state = torch.get_rng_state()
        fit_kind("gru")
        assert torch.get_default_dtype() == torch.float64
        assert torch.equal(torch.get_rng_state(), state)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_default_dtype(torch.float32)
        torch.set_num_threads(threads)


@pytest.mark.parametrize(
    ("setting", "kind"),
    [("seed", "gru"), ("dtype", "gru"), ("no_grad", "gru"), ("inference_mode", "gru"),
     ("dtype", "dot_sum"), ("no_grad", "max"), ("inference_mode", "dot_sum")],
)  # fmt: skip
def test_no_setting_of_the_caller_changes_the_result(setting, kind):
    expected = bytes_of(fit_kind(kind))
    try:
        if setting == "seed":
            torch.manual_seed(99)
            found = fit_kind(kind)
        elif setting == "dtype":
            torch.set_default_dtype(torch.float64)
            found = fit_kind(kind)
        else:
            with getattr(torch, setting)():
                found = fit_kind(kind)
    finally:
        torch.set_default_dtype(torch.float32)
    assert bytes_of(found) == expected


def test_arrays_come_back_in_numpy():
    learned = fit_plain()
    assert [t.shape for t in learned.tables] == [
        (3, rows, width) for rows, width in zip(N_ROWS, WIDTHS, strict=True)
    ]
    assert {t.dtype for t in learned.tables} == {np.dtype(np.float32)}
    assert [w.shape for w in learned.head.weights] == [(3, 6, 8), (3, 8, 1)]
    assert [b.shape for b in learned.head.biases] == [(3, 8), (3, 1)]
    assert {a.dtype for a in (*learned.head.weights, *learned.head.biases)} == {
        np.dtype(np.float64)
    }
    assert learned.loss_curve.shape == learned.validation_loss_curve.shape == (3, 1)
    assert learned.best_iteration in (1, 2, 3)
    assert not learned.interrupted


def test_fewer_heads_than_folds_come_back_with_the_folds_that_they_serve():
    head = fit_plain(5, n_heads=2).head
    assert [w.shape for w in head.weights] == [(2, 6, 8), (2, 8, 1)]
    assert head.folds.tolist() == [0, 0, 0, 1, 1]
    again = fit_plain(5, make_start(5, head=head), n_heads=3).head
    assert (again.n_heads, again.folds.tolist()) == (3, [0, 0, 1, 1, 2])


def test_rows_and_an_earlier_head_are_not_changed():
    rows, start = make_rows(), make_start(head=earlier_head())
    given = [*rows.codes, rows.context, rows.target, *start.head.weights]
    before = [a.tobytes() for a in given]
    fit(rows, start, make_config(**RANDOM))
    assert [a.tobytes() for a in given] == before


@pytest.mark.parametrize("kind", ["plain", "gru", "dot_sum"])
def test_the_loss_falls(kind):
    settings = {"n": 200, "max_iter": 20, "learning_rate_init": 0.05}
    rows, start, config = make_problem(kind, **RANDOM, **settings)
    if kind != "plain":  # a target that the list tells in the way that it is pooled
        effects = np.linspace(-1, 1, N_ROWS[0])
        parts = np.split(effects[rows.codes[0].items], rows.codes[0].offsets[1:-1])
        target = np.array([part.sum() if kind == "dot_sum" else part[-1] for part in parts])
        rows = replace(rows, target=(target / target.std())[:, None].astype(np.float32))
    learned = fit(rows, start, config)
    assert learned.validation_loss_curve.min() < 0.6 * learned.validation_loss_curve[0]
    assert learned.loss_curve[-1] < 0.6 * learned.loss_curve[0]


def test_recurrent_units_come_back_with_what_they_learned():
    unit, none = fit_kind("gru").poolings
    assert none is None
    assert unit.input_weights.shape == unit.hidden_weights.shape == (3, 9)
    assert unit.input_bias.shape == unit.hidden_bias.shape == (9,)
    assert {a.dtype for a in arrays_of(unit)} == {np.dtype(np.float64)}
    still = fit_kind("gru", learning_rate_init=1e-12).poolings[0]
    for one, other in zip(arrays_of(unit), arrays_of(still), strict=True):
        assert np.abs(one - other).max() > 1e-3


def test_dot_products_start_from_the_log_odds_of_the_rows_that_teach_the_head():
    rows, start, config = make_problem("dot", loss=LogLoss(), learning_rate_init=1e-9)
    clicks = rows.withheld | (np.random.default_rng(0).uniform(size=60) < 0.3)
    learned = fit(replace(rows, target=clicks[:, None].astype(np.float32)), start, config)
    learned_from = ~rows.withheld
    share = np.average(clicks[learned_from], weights=rows.weights[learned_from])
    assert learned.head.intercept == pytest.approx(logit(share), abs=1e-3)


def test_the_best_iteration_is_returned():
    noise = np.random.default_rng(3).standard_normal((60, 1)).astype(np.float32)
    rows = make_rows(target=noise)  # the longer, the worse
    wide = {"hidden_layer_sizes": (64,)}
    learned = fit(rows, make_start(), make_config(max_iter=20, n_iter_no_change=20, **wide))
    curve = learned.validation_loss_curve[:, 0]
    best = int(np.argmin(curve)) + 1
    assert learned.best_iteration == best < len(curve)
    start = make_start(tables=learned.tables, head=learned.head)
    again = fit(rows, start, make_config(max_iter=1, learning_rate_init=1e-12, **wide))
    np.testing.assert_allclose(again.validation_loss_curve[0], curve[best - 1], rtol=1e-4)


def test_no_validation_loss_is_computed_without_early_stopping():
    learned = fit_plain(early_stopping=False)
    assert learned.validation_loss_curve is None
    assert learned.best_iteration == 3


def test_columns_that_do_not_shrink_are_told_to_training():
    results = [fit_plain(start=make_start(shrinks=p)) for p in ([True, True], [True, False])]
    assert bytes_of(results[0]) != bytes_of(results[1])


@pytest.mark.parametrize("kind", ["plain", "gru", "dot_sum"])
def test_training_goes_on_from_an_earlier_head_and_earlier_units(kind):
    rows, start, config = make_problem(kind, max_iter=2)
    good = fit(rows, start, config)
    again = replace(start, tables=good.tables, head=good.head, poolings=good.poolings)
    learned = fit(rows, again, replace(config, learning_rate_init=1e-12))
    for one, other in zip(arrays_of(learned.head), arrays_of(good.head), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
    for one, other in zip(learned.poolings, good.poolings, strict=True):
        assert type(one) is type(other)
        if isinstance(one, GRU):
            for a, b in zip(arrays_of(one), arrays_of(other), strict=True):
                np.testing.assert_allclose(a, b, atol=1e-6)
    best = good.validation_loss_curve[good.best_iteration - 1]
    np.testing.assert_allclose(learned.validation_loss_curve[0], best, rtol=1e-4)


def test_an_earlier_state_is_kept_where_training_only_harms():
    start = make_start(head=earlier_head())
    good = fit(make_rows(), start, make_config(max_iter=60, n_iter_no_change=60))
    again = make_start(tables=good.tables, head=good.head)
    learned = fit(make_rows(), again, make_config(learning_rate_init=5.0))
    assert learned.best_iteration == 0
    for mine, theirs in zip(learned.tables, good.tables, strict=True):
        assert mine.tobytes() == theirs.tobytes()


def test_fixed_rows_come_back_as_they_were():
    fixed = [np.arange(n) > 2 for n in N_ROWS]
    start = make_start(fixed=fixed)
    learned = fit_plain(start=start, max_iter=2)
    for table, old, mask in zip(learned.tables, start.tables, fixed, strict=True):
        np.testing.assert_array_equal(table[:, mask], old[:, mask])
        assert (table[:, 0] != old[:, 0]).any()


def test_fixed_coordinates_stay_while_biases_learn():
    rows, start, config = make_problem("dot_sum", **RANDOM)
    fixed = [np.arange(n) > 2 for n in N_ROWS]
    learned = fit(rows, replace(start, fixed=fixed), config)
    for table, old, mask in zip(learned.tables, start.tables, fixed, strict=True):
        np.testing.assert_array_equal(table[:, mask, :-1], old[:, mask, :-1])
        assert (table[:, mask, -1] != old[:, mask, -1]).all()
        assert (table[:, 0] != old[:, 0]).all()


def test_diverged_training_is_an_error():
    rows = make_rows(target=np.full((60, 1), 1e30, dtype=np.float32))
    with pytest.raises(InvalidParameterError, match=r"diverged.*`learning_rate_init`"):
        fit(rows, make_start(), make_config())


@pytest.mark.parametrize("device", ["nonsense", "cuda:99", "meta"])
def test_a_device_that_is_not_to_be_had_is_named(device):
    with pytest.raises(InvalidParameterError, match=f"device='{device}'"):
        fit_plain(device=device)


def test_auto_is_the_cpu_where_a_fork_has_left_the_gpu_behind(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "_is_in_bad_fork", lambda: True)
    assert bytes_of(fit_plain(device="auto")) == bytes_of(fit_plain(device="cpu"))


@pytest.mark.skipif(torch.cuda.is_available(), reason="'auto' takes the GPU here")
def test_auto_is_the_cpu_without_a_gpu():
    assert bytes_of(fit_plain(device="auto")) == bytes_of(fit_plain(device="cpu"))
