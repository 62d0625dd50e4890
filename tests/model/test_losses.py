"""Losses and links: the units of training, and predictions from raw outputs."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from scipy.special import expit, softmax

from sk_entity_embed.exceptions import InvalidDataError, InvalidParameterError
from sk_entity_embed.fitting.preparation import check_input, resolve_link
from sk_entity_embed.input.target import read_target
from sk_entity_embed.model.losses import (
    LOSSES,
    Bounded,
    CrossEntropy,
    Link,
    Log,
    Logit,
    LogLoss,
    Scale,
    Softmax,
    resolve_loss,
)

TARGETS = {
    "quantity": [0.5, 1.5, 2.5],
    "binary": ["a", "b", "b"],
    "multiclass": ["a", "b", "c"],
    "multilabel": [[1, 0], [0, 1], [1, 1]],
}
OF_QUANTITIES = ["squared_error", "absolute_error", "huber", "poisson"]
SCALE = Scale(np.array([3.0, 5.0]), np.array([2.0, 0.5]))
RAW = np.array([[0.0, 0.0], [1.0, -2.0], [300.0, -300.0]])


def target_of(y, target_type="auto"):
    return read_target(np.array(y), target_type)


def scale_of(loss, y, weights):
    """The units in which training sees quantities."""
    return LOSSES[loss]().scale(target_of(y, "continuous"), np.array(weights))


@pytest.mark.parametrize(
    ("y", "default", "name", "link"),
    [
        ("quantity", LOSSES["squared_error"], "squared_error", Link),
        ("binary", LogLoss, "log_loss", Logit),
        ("multiclass", CrossEntropy, "log_loss", Softmax),
        ("multilabel", LogLoss, "log_loss", Logit),
    ],
)
def test_each_kind_of_target_has_a_default_loss_and_link(y, default, name, link):
    target = target_of(TARGETS[y])
    assert resolve_loss("auto", target) == resolve_loss(name, target) == default()
    assert type(resolve_loss("auto", target).link) is link


def test_losses_that_do_not_fit_the_target_are_refused():
    quantity, binary = target_of(TARGETS["quantity"]), target_of(TARGETS["binary"])
    for loss in OF_QUANTITIES:
        assert resolve_loss(loss, quantity) == LOSSES[loss]()
        message = rf"loss='{loss}' does not fit a binary target; use one of \['log_loss'\]"
        with pytest.raises(InvalidParameterError, match=message):
            resolve_loss(loss, binary)
    with pytest.raises(InvalidParameterError, match=r"loss='log_loss' .* continuous .*'huber'"):
        resolve_loss("log_loss", quantity)
    with pytest.raises(InvalidDataError, match="loss='poisson' needs a y without negative"):
        resolve_loss("poisson", target_of([0.5, -1.5]))


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "huber"])
def test_scale_is_the_weighted_mean_and_deviation(loss):
    y, weights = np.array([[1.0, 10.0], [3.0, 10.0], [100.0, 40.0]]), [1.0, 3.0, 0.5]
    scale = scale_of(loss, y, weights)
    mean = np.average(y, axis=0, weights=weights)
    width = np.sqrt(np.average((y - mean) ** 2, axis=0, weights=weights))
    np.testing.assert_allclose(scale.center, mean)
    np.testing.assert_allclose(scale.width, width)
    np.testing.assert_allclose(scale.apply(y), (y - mean) / width, rtol=1e-6)
    np.testing.assert_allclose(scale.restore((y - mean) / width), y)
    assert scale.apply(y).dtype == np.float32
    power = 1 if loss == "absolute_error" else 2
    np.testing.assert_allclose(LOSSES[loss]().units(scale), width**power)


def test_poisson_is_scaled_by_its_mean_and_not_shifted():
    scale = scale_of("poisson", [0.0, 1.0, 5.0], [1.0, 1.0, 2.0])
    assert (scale.center.tolist(), scale.width.tolist()) == ([0.0], [11 / 4])
    assert LOSSES["poisson"]().units(scale).tolist() == [11 / 4]
    assert scale_of("poisson", [0.0, 0.0], [1.0, 1.0]).width.tolist() == [1.0]


@pytest.mark.parametrize("exponent", [-1020, 990])
@pytest.mark.parametrize("loss", ["squared_error", "poisson"])
def test_scale_follows_the_unit_to_the_last_bit(loss, exponent):
    y, weights = np.array([[1.1, 10.0], [3.3, 10.5], [100.0, 40.0]]), [1.0, 3.0, 0.5]
    unit = 2.0**exponent
    plain, scale = scale_of(loss, y, weights), scale_of(loss, y * unit, weights)
    assert scale.center.tolist() == (plain.center * unit).tolist()
    assert scale.width.tolist() == (plain.width * unit).tolist()
    assert scale.apply(y * unit).tolist() == plain.apply(y).tolist()


@pytest.mark.parametrize("value", [0.0, 1.1, 1e-300, 1e300])
def test_a_constant_quantity_keeps_its_units(value):
    scale = scale_of("squared_error", [value] * 3, [1.0] * 3)
    assert scale.width.tolist() == [1.0]
    np.testing.assert_allclose(scale.apply(np.full((3, 1), value)), 0.0, atol=1e-3)


@pytest.mark.parametrize("y", ["binary", "multiclass", "multilabel"])
def test_classes_are_not_scaled(y):
    target = target_of(TARGETS[y])
    loss = resolve_loss("auto", target)
    scale = loss.scale(target, np.ones(3))
    assert scale.apply(target.values).tolist() == target.values.tolist()
    assert loss.units(scale).tolist() == [1.0] * target.values.shape[1]


def test_training_starts_from_the_log_odds_of_labels():
    y, weights = np.array([[1.0, 0.0], [0.0, 0.0]]), np.array([3.0, 1.0])
    np.testing.assert_allclose(expit(LogLoss().constant(y, weights)), [0.75, 1e-6])
    assert CrossEntropy().constant(y, weights) is None
    assert LOSSES["huber"]().constant(y, weights) is None
    assert (LogLoss().n_losses(3), CrossEntropy().n_losses(3)) == (3, 1)


def test_predictions_of_each_link():
    quantities = Link().predict(RAW, SCALE)
    assert quantities.tolist() == [[3, 5], [5, 4], [603, -145]]
    counts = Log().predict(RAW, Scale(np.zeros(2), SCALE.width))
    np.testing.assert_allclose(counts[:2], np.exp(RAW[:2]) * SCALE.width)
    assert counts[2].tolist() == [2 * np.exp(88.0), 0.5 * np.exp(-300.0)]  # where float32 ends
    np.testing.assert_allclose(Logit().predict(RAW, SCALE), expit(RAW))
    both = np.column_stack([expit(-RAW[:, 0]), expit(RAW[:, 0])])
    np.testing.assert_allclose(Logit().predict(RAW[:, :1], SCALE), both)
    np.testing.assert_allclose(Softmax().predict(RAW, SCALE), softmax(RAW, axis=1))


@pytest.mark.parametrize("bounds", [(-3.0, 8.0), (3.0, 6.0), (-1e7, 1e7)])
def test_bounded_predictions_start_at_the_center_and_end_at_the_bounds(bounds):
    link = Bounded(*bounds)
    low, high = bounds
    found = link.predict(np.array([[-1e9] * 2, [0.0] * 2, [1e9] * 2]), SCALE)
    assert found[[0, 2]].tolist() == [[low] * 2, [high] * 2]
    nearest = (high - low) / 1000  # a center at a bound is moved inwards
    center = np.clip(SCALE.center, low + nearest, high - nearest)
    np.testing.assert_allclose(found[1], center, atol=1e-8)
    slope = link.predict(np.full((1, 2), 1e-5), SCALE)[0] - found[1]
    np.testing.assert_allclose(slope / 1e-5, SCALE.width, rtol=1e-2)


def test_the_unit_of_outputs_is_below_the_link():
    assert Link().output_unit(SCALE) == 2.0
    assert Log().output_unit(SCALE) == 1.0
    assert Logit().output_unit(Scale(np.zeros(1), np.ones(1))) == 1.0
    offset, gain = Bounded(1.0, 5.0).sigmoid(SCALE)
    assert (offset[0], Bounded(1.0, 5.0).output_unit(SCALE)) == (0.0, gain[0]) == (0.0, 2.0)


def resolve(y_range, y=(1.25, 2.0, 4.0), loss="auto"):
    """The link of a fit with a `y_range`."""
    X = [["a"]] * len(y)
    checked = check_input(X, y, None, None, target_type="auto", loss=loss, class_weight=None)
    return resolve_link(y_range, checked, checked.loss.scale(checked.target, checked.weights))


def test_a_range_takes_the_place_of_the_links_of_quantities():
    assert resolve(None) == Link()
    assert resolve((0, 9)) == resolve(np.array([0.0, 9.0]), loss="huber") == Bounded(0.0, 9.0)
    refused = partial(pytest.raises, InvalidParameterError)
    with refused(match=r"`y_range` .* cannot be used with a multiclass target"):
        resolve((0, 9), TARGETS["multiclass"])
    with refused(match=r"`y_range` .* cannot be used with loss='poisson'"):
        resolve((0, 9), loss="poisson")


@pytest.mark.parametrize(
    ("y_range", "error", "message"),
    [
        ((1.0,), InvalidParameterError, r"`y_range` must be two numbers.*got \(1.0,\)"),
        ((1, 1), InvalidParameterError, r"`y_range` must be two numbers, the lower one first"),
        ((0, np.inf), InvalidParameterError, r"`y_range` must be two numbers"),
        (("a", "b"), InvalidParameterError, r"`y_range` must be two numbers.*'a', 'b'"),
        ((-(10**400), 10**400), InvalidParameterError, r"`y_range` must be two numbers.*\.\.\."),
        ((1.5, 3), InvalidDataError, r"y has 2 value.*outside y_range=\(1.5, 3.0\).*one 1.25"),
        ((-1e308, 1e308), InvalidParameterError, "`y_range`=.* is too wide for a y that varies"),
    ],
)
def test_bounds_that_do_not_fit_are_refused(y_range, error, message):
    with pytest.raises(error, match=message):
        resolve(y_range)
