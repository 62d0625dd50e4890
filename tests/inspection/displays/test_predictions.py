"""CategoryPredictionDisplay: predicted against observed means."""

from __future__ import annotations

import datetime

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.dummy import DummyRegressor
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.svm import LinearSVC

from sk_entity_embed.exceptions import InvalidDataError, InvalidParameterError
from sk_entity_embed.inspection import CategoryPredictionDisplay
from tests.samples import make_encoder, make_rows

from_predictions = CategoryPredictionDisplay.from_predictions


@pytest.fixture(scope="module")
def regression():
    X, y = make_rows()
    return make_pipeline(make_encoder(), Ridge()).fit(X, y), X, pd.Series(y, name="price")


@pytest.fixture(scope="module")
def classification():
    X, y = make_rows()
    y = np.where(y > 0, "high", "low")
    return make_pipeline(OneHotEncoder(), LogisticRegression()).fit(X, y), X, y


def test_means_of_a_regression(regression):
    model, X, y = regression
    weights = np.random.default_rng(0).random(len(y))
    display = CategoryPredictionDisplay.from_estimator(model, X, y, "letter", sample_weight=weights)
    frame = display.frame.set_index("category")
    predicted = model.predict(X)
    for letter in "abcde":
        at = (X["letter"] == letter).to_numpy()
        assert frame.loc[letter, "count"] == at.sum()
        assert frame.loc[letter, "observed"] == pytest.approx(
            np.average(y[at], weights=weights[at])
        )
        assert frame.loc[letter, "predicted"] == pytest.approx(
            np.average(predicted[at], weights=weights[at])
        )
    np.testing.assert_allclose(
        display.points_.get_offsets(), display.frame[["predicted", "observed"]]
    )
    assert display.ax_.get_xlabel() == "Mean prediction of price"
    assert display.ax_.get_ylabel() == "Observed mean of price"
    assert display.ax_.get_title() == "Predicted and observed by letter"


def test_shares_of_a_class(classification):
    model, X, y = classification
    display = CategoryPredictionDisplay.from_estimator(model, X, y, "color")
    frame = display.frame.set_index("category")
    for color in ("blue", "green", "red"):
        at = (X["color"] == color).to_numpy()
        assert frame.loc[color, "observed"] == pytest.approx((y[at] == "low").mean())
        assert frame.loc[color, "predicted"] == pytest.approx(model.predict_proba(X)[at, 1].mean())
    assert display.ax_.get_ylabel() == "Observed mean of y = low"
    other = CategoryPredictionDisplay.from_estimator(model, X, y, "color", pos_label="high")
    np.testing.assert_allclose(other.frame["observed"], 1 - display.frame["observed"])
    np.testing.assert_allclose(other.frame["predicted"], 1 - display.frame["predicted"])
    hard = CategoryPredictionDisplay.from_estimator(model, X, y, "color", response_method="predict")
    at = (X["color"] == "red").to_numpy()
    assert hard.frame["predicted"].iloc[2] == pytest.approx((model.predict(X)[at] == "low").mean())


def test_several_classes_need_one_to_look_at():
    X, y = make_rows()
    y = np.digitize(y, [-1, 1])
    model = make_pipeline(OneHotEncoder(), LogisticRegression()).fit(X, y)
    with pytest.raises(InvalidParameterError, match=r"3 classes, \[0, 1, 2\]; got None"):
        CategoryPredictionDisplay.from_estimator(model, X, y, "letter")
    display = CategoryPredictionDisplay.from_estimator(model, X, y, "letter", pos_label=2)
    at = (X["letter"] == "e").to_numpy()
    assert display.frame["predicted"].iloc[4] == pytest.approx(model.predict_proba(X)[at, 2].mean())
    assert display.frame["observed"].iloc[4] == pytest.approx((y[at] == 2).mean())


def test_classifiers_without_probabilities():
    X, y = make_rows()
    model = make_pipeline(OneHotEncoder(), LinearSVC()).fit(X, y > 0)
    display = CategoryPredictionDisplay.from_estimator(model, X, y > 0, "letter")
    at = (X["letter"] == "a").to_numpy()
    assert display.frame["predicted"].iloc[0] == pytest.approx(model.predict(X)[at].mean())
    with pytest.raises(InvalidParameterError, match="has no predict_proba"):
        CategoryPredictionDisplay.from_estimator(
            model, X, y > 0, "letter", response_method="predict_proba"
        )


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.5, np.nan, 0.5], [0.5, np.nan]),
        ([datetime.date(2020, 1, 2), None, datetime.date(2020, 1, 2)], None),
        (["\ud800", "a", "\ud800"], ["a", "\ud800"]),
        (pd.Series([(1, 2), (3, 4), (1, 2)]), None),
    ],
)
def test_categories_of_any_kind(values, expected):
    display = from_predictions([1.0, 2.0, 3.0], [1.0, 2.0, 3.0], values, min_count=1)
    assert len(display.frame) == 2
    if expected is not None:
        pd.testing.assert_series_equal(
            display.frame["category"], pd.Series(expected, dtype=object), check_names=False
        )


def test_standard_error_of_many_rows_is_that_of_the_mean():
    random = np.random.default_rng(0)
    residual = random.normal(size=4_000)
    y_pred = random.normal(size=4_000) * 5
    frame = from_predictions(y_pred + residual, y_pred, ["a"] * 4_000).frame
    error = residual.std(ddof=1) / np.sqrt(4_000)
    assert frame["standard_error"].iloc[0] == pytest.approx(error, rel=1e-6)
    assert frame["z"].iloc[0] == pytest.approx(residual.mean() / error, rel=1e-6)


def test_standard_error_depends_on_effective_rows():
    random = np.random.default_rng(0)
    y, names = random.normal(size=2_000), np.repeat(["a", "b"], 1_000)
    plain = from_predictions(y, np.zeros(2_000), names).frame
    scaled = from_predictions(y, np.zeros(2_000), names, sample_weight=np.full(2_000, 7.0)).frame
    pd.testing.assert_frame_equal(plain, scaled)
    weights = np.where(np.arange(2_000) % 10, 1e-9, 1.0)
    few = from_predictions(y, np.zeros(2_000), names, sample_weight=weights).frame
    assert (few["standard_error"] > 2.5 * plain["standard_error"]).all()


def test_no_noise_at_all():
    display = from_predictions([1.0, 1.0, 2.0], [1.0, 1.0, 1.0], ["a", "a", "b"], min_count=1)
    display.figure_.canvas.draw()
    assert display.frame["z"].tolist() == [0.0, np.inf]
    assert [t.get_text() for t in display.texts_] == ["b"]
    exact = from_predictions([0.1 + 0.2] * 3, [0.3] * 3, ["a"] * 3, min_count=1)
    assert exact.frame["z"].tolist() == [0.0]


def test_rare_categories_are_left_out():
    names = ["a"] * 30 + ["b"] * 2 + ["c"] * 5
    y = np.arange(37.0)
    display = from_predictions(y, y, names)
    assert display.frame["category"].tolist() == ["a"]
    assert display.ax_.get_title().endswith("\n2 categories with fewer than 20 rows left out")
    one = from_predictions(y, y, names, min_count=3)
    assert one.ax_.get_title().endswith("\n1 category with fewer than 3 rows left out")
    with pytest.raises(InvalidParameterError, match="the most frequent one has 30"):
        from_predictions(y, y, names, min_count=31)


def test_few_rows_are_drawn_by_default():
    y, names = np.arange(24.0), ["a"] * 19 + ["b"] * 5
    display = from_predictions(y, y, names)
    assert display.frame["category"].tolist() == ["a", "b"]
    assert "left out" not in display.ax_.get_title()
    display = from_predictions(y, y, names, min_count=None)
    assert display.frame["category"].tolist() == ["a", "b"]
    with pytest.raises(InvalidParameterError, match="the most frequent one has 19"):
        from_predictions(y, y, names, min_count=20)


def make_many(n_categories, off=()):
    """Predictions of 50 rows a category, right but for the given categories."""
    random = np.random.default_rng(1)
    names = np.repeat(np.arange(n_categories), 50)
    means = np.arange(n_categories) * 1.0
    y = means[names] + random.choice([-1.0, 1.0], len(names))
    y -= (np.bincount(names, y - means[names]) / 50)[names]
    means[list(off)] += 3.0
    return y, means[names], names


def test_the_furthest_off_are_named_and_coloured():
    display = from_predictions(*make_many(30, off=[4, 17]), theme="light")
    assert {t.get_text() for t in display.texts_} == {"4", "17"}
    colors = [tuple(c) for c in display.points_.get_facecolors()]
    assert [i for i, c in enumerate(colors) if colors.count(c) == 2] == [4, 17]
    legend = [t.get_text() for t in display.legend_.get_texts()]
    assert legend == ["within 2 standard errors (28)", "beyond (2; by chance about 1)", "50 rows"]
    few = [t.get_text() for t in from_predictions(*make_many(9)).legend_.get_texts()]
    assert few[1] == "beyond (0; by chance fewer than 1)"
    assert len(from_predictions(*make_many(30, off=[4, 17]), n_labels=1).texts_) == 1
    assert from_predictions(*make_many(30, off=[4, 17]), n_labels=0).texts_ == []


def test_error_bars_of_few_categories_or_the_named_ones():
    few = from_predictions(*make_many(60, off=[7]))
    assert len(few.bars_.get_segments()) == 60
    many = from_predictions(*make_many(61, off=[7]))
    ((low, high),) = many.bars_.get_segments()
    row = many.frame.iloc[7]
    assert low.tolist() == pytest.approx(
        [row["predicted"], row["observed"] - 2 * row["standard_error"]]
    )
    assert high[1] - low[1] == pytest.approx(4 * row["standard_error"])


def test_the_line_is_where_both_are_equal():
    display = from_predictions(*make_many(30), n_labels=0)
    assert display.line_.get_slope() == 1
    x, y = display.line_.get_xy1()
    assert x == y
    low, high = display.ax_.get_xlim()
    assert low < x < high
    assert display.ax_.get_xlim()[0] > -5  # the line asks for no room


def test_names_are_data():
    names = np.repeat(["a$b$", "two\nlines", "<script>", "plain"], 40)
    y = np.tile([-1.0, 1.0], 80)
    display = from_predictions(
        pd.Series(y, name="cost $ $"), y + np.repeat([5, 6, 7, 0], 40), names, column="$x$"
    )
    display.figure_.canvas.draw()
    assert {t.get_text() for t in display.texts_} == {"a$b$", "two lines", "<script>"}
    axes = [display.ax_.xaxis.label, display.ax_.yaxis.label, display.ax_.title]
    assert not any(t.get_parse_math() for t in [*display.texts_, *axes])
    assert display.ax_.get_title() == "Predicted and observed by $x$"


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"column": "leter"}, "one of the columns of X.*Did you mean 'letter'"),
        (
            {"response_method": "decision_function"},
            "`response_method` must be .* got 'decision_function'",
        ),
        ({"response_method": "predict_proba"}, "use response_method='predict'"),
        ({"pos_label": 1}, "`pos_label` is for classifiers"),
        ({"min_count": 1.5}, "`min_count` must be an integer"),
        ({"sample_weight": [1.0]}, "sample_weight must be 240"),
        ({"n_labels": -1}, "`n_labels` must be an integer of at least 0"),
    ],
)
def test_refuses(regression, parameters, message):
    model, X, y = regression
    with pytest.raises((InvalidParameterError, InvalidDataError), match=message):
        CategoryPredictionDisplay.from_estimator(model, X, y, **{"column": "letter", **parameters})
    assert plt.get_fignums() == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1.0, 2.0], [1.0], ["a", "b"]), "the predictions must be 2"),
        (([1.0, 2.0], [1.0, 2.0], [[["a"]], [["b"]]]), "holds lists of lists"),
        (([1.0, 2.0], [1.0, 2.0], np.array([["a"], ["b"]])), "must have one value for each row"),
    ],
)
def test_refuses_predictions(arguments, message):
    with pytest.raises((InvalidDataError, TypeError), match=message):
        from_predictions(*arguments, min_count=1)


def test_columns_as_one(regression):
    _, X, y = regression
    display = CategoryPredictionDisplay.from_estimator(
        DummyRegressor().fit(X[["letter"]], y), X[["letter"]], y.to_frame()
    )
    assert display.frame["category"].tolist() == list("abcde")


def test_estimators_that_do_not_predict(regression):
    _, X, y = regression
    for estimator in (make_encoder().fit(X, y), make_pipeline(make_encoder()).fit(X, y)):
        with pytest.raises(InvalidParameterError, match="pass a fitted pipeline"):
            CategoryPredictionDisplay.from_estimator(estimator, X, y, "letter")
    with pytest.raises(InvalidParameterError, match="Ridge does not"):
        CategoryPredictionDisplay.from_estimator(Ridge, X, y, "letter")
    with pytest.raises(NotFittedError):
        CategoryPredictionDisplay.from_estimator(Ridge(), X, y, "letter")


def test_predictors_of_other_libraries():
    class Mean:
        def predict(self, X):
            return np.full(len(X), 2.0)

    X, y = make_rows()
    display = CategoryPredictionDisplay.from_estimator(Mean(), X, y, "letter")
    assert (display.frame["predicted"] == 2.0).all()

    class Shares(Mean):
        classes_ = ("no", "yes")

        def predict_proba(self, X):
            return np.tile([0.75, 0.25], (len(X), 1))

    display = CategoryPredictionDisplay.from_estimator(
        Shares(), X, np.where(y > 0, "yes", "no"), "letter"
    )
    assert (display.frame["predicted"] == 0.25).all()


def test_lists_of_categories():
    cells = pa.array([["a", "b"], ["b"], [], ["a", "b"]])
    display = from_predictions([1.0, 2.0, 3.0, 5.0], np.zeros(4), cells, min_count=1, column="tags")
    assert display.frame["category"].tolist() == ["a", "b", ()]
    assert display.frame["observed"].tolist() == [3.0, 8 / 3, 3.0]
    assert display.column == "tags"
