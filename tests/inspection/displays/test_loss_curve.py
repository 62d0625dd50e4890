"""LossCurveDisplay: loss by epoch."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.neural_network import MLPRegressor

from sk_entity_embed.exceptions import InvalidDataError, InvalidParameterError
from sk_entity_embed.inspection import LossCurveDisplay
from tests.samples import make_encoder, make_rows


def test_shows_the_curves_of_an_encoder(encoder):
    display = LossCurveDisplay.from_estimator(encoder)
    for line, curve in (
        (display.line_, encoder.loss_curve_),
        (display.validation_line_, encoder.validation_loss_curve_),
    ):
        x, y = line.get_data()
        assert x.tolist() == list(range(1, encoder.n_iter_ + 1))
        np.testing.assert_array_equal(y, curve)
    best = encoder.best_iteration_
    assert display.best_line_.get_xdata()[0] == best
    loss = encoder.validation_loss_curve_[best - 1]
    assert display.ax_.get_title() == f"Best validation loss: {loss:.4g} after epoch {best}"
    assert [t.get_text() for t in display.texts_] in (
        ["validation", "training,\ntables out of fold"],
        ["training,\ntables out of fold", "validation"],
    )


def test_without_early_stopping_and_cross_fitting():
    X, y = make_rows(80)
    encoder = make_encoder(early_stopping=False, cross_fit=False).fit(X, y)
    display = LossCurveDisplay.from_estimator(encoder)
    assert display.validation_line_ is None
    assert display.best_line_ is None
    assert [t.get_text() for t in display.texts_] == ["training"]
    assert display.ax_.get_title() == "Loss by epoch"


@pytest.mark.parametrize(
    ("loss", "target", "label"),
    [
        ("auto", "class", "Log-loss (nats)"),
        ("poisson", "number", "Half the Poisson deviance (units of y)"),
    ],
)
def test_units(loss, target, label):
    X, y = make_rows(80)
    y = np.exp(y) if target == "number" else y > 0
    encoder = make_encoder(max_iter=1, loss=loss).fit(X, y)
    assert LossCurveDisplay.from_estimator(encoder).ax_.get_ylabel() == label


def test_which_epoch_was_kept():
    display = LossCurveDisplay.from_curves([0.5, 0.4, 0.3], [0.6, 0.7, 0.8], 0)
    assert display.ax_.get_title() == "Kept: the state before the first epoch"
    assert display.best_line_.get_xdata()[0] == 0
    assert display.ax_.get_xlim()[0] < 0

    display = LossCurveDisplay.from_curves([0.5, 0.4, 0.3], best_iteration=2)
    assert display.ax_.get_title() == "Loss by epoch; kept: epoch 2"
    assert [line.get_ydata()[0] for line in display.ax_.lines[-1:]] == [0.4]

    display = LossCurveDisplay.from_curves([0.5, 0.4], [0.6, 0.5])
    assert display.best_line_ is None
    assert display.ax_.get_title() == "Loss by epoch"


def test_steep_first_epochs_leave_room_for_the_rest():
    epochs = np.arange(30)
    rest = 0.5 + 0.3 * np.exp(-epochs / 6)
    steep = rest + 40 * np.exp(-3.0 * epochs)
    display = LossCurveDisplay.from_curves(steep, rest)
    assert display.ax_.get_ylim()[1] < 2
    assert display.ax_.get_xlabel() == "Epoch (1, 2, 3 above the scale, up to 40.8)"
    (marks,) = [line for line in display.ax_.lines if line.get_marker() == "^"]
    assert marks.get_xdata().tolist() == [1, 2, 3]
    plain = LossCurveDisplay.from_curves(rest, rest)
    assert plain.ax_.get_xlabel() == "Epoch"
    assert plain.ax_.get_ylim()[1] > rest.max()
    curve = [0.6, 0.5, 0.45, 0.44, 0.43, 1e5, 1e9, 1e12, 1e12]
    display = LossCurveDisplay.from_curves([0.5, 0.4, 0.3, 0.3, 0.2, 0.2, 0.2, 0.2, 0.2], curve)
    assert display.ax_.get_ylim()[1] < 10
    assert display.ax_.get_xlabel() == "Epoch (4 epochs above the scale, up to 1e+12)"


def test_losses_that_are_not_finite():
    display = LossCurveDisplay.from_curves([0.5, 0.4, np.nan], [0.6, 0.5, np.inf], 2)
    display.figure_.canvas.draw()
    assert display.ax_.get_xlabel() == "Epoch (3 not finite)"
    assert [t.xy[0] for t in display.texts_] == [2, 2]
    nothing = LossCurveDisplay.from_curves([np.nan], [np.nan], 0)
    nothing.figure_.canvas.draw()
    assert nothing.ax_.get_xlabel() == "Epoch (1 not finite)"
    assert nothing.texts_ == []
    assert len(nothing.ax_.get_yticks()) == 0


@pytest.mark.parametrize("gap", [0.0])
def test_names_do_not_touch(gap):
    curve = np.array([1.0, 0.5, 0.2])
    display = LossCurveDisplay.from_curves(curve, curve + gap)
    display.figure_.canvas.draw()
    below, above = (t.get_window_extent() for t in display.texts_)
    assert below.y1 <= above.y0 + 1
    assert above.x1 <= display.figure_.bbox.x1
    assert all(t.get_fontsize() >= 8 for t in display.texts_)


def test_long_curves_have_no_marks():
    assert LossCurveDisplay.from_curves(np.linspace(1, 0, 61)).line_.get_marker() == ""
    assert LossCurveDisplay.from_curves(np.linspace(1, 0, 60)).line_.get_marker() == "o"
    uneven = LossCurveDisplay.from_curves([0.5, 0.4], [0.6, 0.5, 0.4], 3, loss="cost in $ and $")
    assert uneven.ax_.get_xlim()[1] > 3
    uneven.figure_.canvas.draw()
    assert not uneven.ax_.yaxis.label.get_parse_math()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([],), InvalidDataError, "first epoch"),
        (([[1.0, 2.0]],), InvalidDataError, "one number for each epoch"),
        (([1.0], ["low"]), InvalidDataError, "`validation_loss_curve` must be numbers"),
        (([1.0], [1.0], 2), InvalidParameterError, "from 0 to 1"),
        (([1.0], None, 0.5), InvalidParameterError, "from 0 to 1"),
    ],
)
def test_refuses(arguments, error, message):
    with pytest.raises(error, match=message):
        LossCurveDisplay.from_curves(*arguments)


def test_refuses_estimators_without_curves():
    with pytest.raises(NotFittedError):
        LossCurveDisplay.from_estimator(make_encoder())
    with pytest.raises(InvalidParameterError, match="MLPRegressor"):
        LossCurveDisplay.from_estimator(MLPRegressor())


def test_without_a_layout_names_are_in_a_legend():
    _, ax = plt.subplots()
    display = LossCurveDisplay.from_curves([3.0, 2.0, 1.0], [3.0, 2.5, 2.0], ax=ax)
    assert display.texts_ == []
    assert [t.get_text() for t in display.legend_.get_texts()] == ["training", "validation"]
    frame, legend = ax.get_window_extent(), display.legend_.get_window_extent()
    assert frame.x0 <= legend.x0 <= legend.x1 <= frame.x1
    assert LossCurveDisplay.from_curves([3.0, 2.0]).legend_ is None
