"""DriftDisplay: movement against frequency."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError

from sk_entity_embed.exceptions import InvalidDataError, InvalidParameterError
from sk_entity_embed.inspection import DriftDisplay, drift
from tests.inspection.displays.conftest import texts_of
from tests.samples import make_encoder, make_rows


@pytest.fixture(scope="module")
def fits():
    X, y = make_rows()
    rest = X["letter"] != "e"
    return make_encoder(dimensions=3).fit(X, y), make_encoder(dimensions=3, random_state=1).fit(
        X[rest], y[rest]
    )


def make_frame(n=100, **columns):
    """What drift returns for n categories, each more frequent than the one before."""
    random = np.random.default_rng(0)
    frame = {
        "column": "plane",
        "category": [f"c{i}" for i in range(n)],
        "status": "shared",
        "movement": random.random(n) + 0.1,
        "relative_movement": random.random(n) + 0.1,
        "neighbor_overlap": random.random(n),
        "count": np.arange(n) + 1,
        "reference_count": np.arange(n)[::1] + 2,
    }
    return pd.DataFrame({**frame, **columns})


def names_of(display):
    return set(texts_of(display.texts_))


def test_shows_what_drift_says(fits):
    display = DriftDisplay.from_estimators(*fits, "letter", k=2)
    frame = drift(*fits, "letter", k=2)
    pd.testing.assert_frame_equal(display.frame, frame)
    shared = frame[frame["status"] == "shared"]
    x, y = display.points_.get_offsets().T
    np.testing.assert_array_equal(x, shared[["count", "reference_count"]].min(axis=1))
    np.testing.assert_allclose(y, shared["relative_movement"])
    np.testing.assert_allclose(display.points_.get_array(), shared["neighbor_overlap"])
    assert display.points_.get_clim() == (0, 1)
    assert display.ax_.get_title() == "Drift of letter\n4 in both fits, 1 new"
    assert display.ax_.get_xscale() == "log"
    assert "spread" in display.ax_.get_ylabel()
    assert display.trend_ is None
    assert names_of(display) == {"a", "b", "c", "d"}  # few ones are all named
    title = DriftDisplay.from_estimators(*fits[::-1], "letter").ax_.get_title()
    assert title == "Drift of letter\n4 in both fits, 1 gone"


def test_frequent_categories_that_moved_most_are_named():
    movement = np.full(100, 0.1)
    movement[[3, 60, 70, 80]] = [9.0, 5.0, 6.0, 0.0]
    frame = make_frame(relative_movement=movement)
    assert names_of(DriftDisplay.from_frame(frame, n_labels=2)) == {"c60", "c70"}
    display = DriftDisplay.from_frame(frame, n_labels=2, label_min_count=65)
    assert "c70" in names_of(display)
    assert "c60" not in names_of(display)
    assert "c3" in names_of(DriftDisplay.from_frame(frame, n_labels=2, label_min_count=0))
    assert names_of(DriftDisplay.from_frame(frame, n_labels=0)) == set()
    still = make_frame(5, relative_movement=[0.0, 0.0, 0.3, 0.0, 0.0])
    assert names_of(DriftDisplay.from_frame(still)) == {"c2"}


def test_the_trend_is_the_median_of_like_frequencies():
    movement = np.log(np.arange(100) + 1) + 1
    display = DriftDisplay.from_frame(make_frame(relative_movement=movement))
    x, y = display.trend_.get_data()
    np.testing.assert_allclose(y, np.log(x) + 1, atol=0.1)
    assert DriftDisplay.from_frame(make_frame(59)).trend_ is None


def test_measures_that_are_not_known(fits):
    absolute = make_frame(relative_movement=np.nan)
    display = DriftDisplay.from_frame(absolute)
    np.testing.assert_allclose(display.points_.get_offsets()[:, 1], absolute["movement"])
    assert display.ax_.get_ylabel() == "Movement (Euclidean distance)"
    lost = make_frame(relative_movement=np.nan, movement=np.nan)
    display = DriftDisplay.from_frame(lost)
    np.testing.assert_allclose(display.points_.get_offsets()[:, 1], 1 - lost["neighbor_overlap"])
    plain = DriftDisplay.from_frame(make_frame(neighbor_overlap=np.nan))
    assert plain.colorbar_ is None
    X, y = make_rows()
    wider = make_encoder(dimensions=2).fit(X, y)
    assert "lost" in DriftDisplay.from_estimators(fits[0], wider, "letter").ax_.get_ylabel()


def test_vectors_without_counts():
    random = np.random.default_rng(0)
    old = pd.DataFrame(random.normal(size=(70, 3)))
    display = DriftDisplay.from_estimators(old + random.normal(size=(70, 3)), old, k=5)
    frame = display.frame
    x, y = display.points_.get_offsets().T
    np.testing.assert_allclose(x, frame["neighbor_overlap"])
    np.testing.assert_allclose(y, frame["relative_movement"])
    assert display.ax_.get_xlabel() == "Share of neighbours kept"
    assert display.colorbar_ is None
    assert display.trend_ is None
    same = DriftDisplay.from_estimators(old, old)
    same.figure_.canvas.draw()
    assert same.ax_.get_ylim()[0] < 0 < same.ax_.get_ylim()[1]


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        (np.arange(11_000, 11_100), None),
        (np.arange(100) ** 2, {"1", "10", "100", "1,000", "10,000"}),
        (np.full(100, 7), {"7"}),
    ],
)
def test_counts_can_be_read(counts, expected):
    display = DriftDisplay.from_frame(make_frame(count=counts, reference_count=counts))
    display.figure_.canvas.draw()
    low, high = display.ax_.get_xlim()
    ticks = display.ax_.get_xticks()
    shown = {
        t.get_text()
        for t, at in zip(display.ax_.get_xticklabels(), ticks, strict=True)
        if low <= at <= high
    }
    assert len(shown) >= (3 if expected is None else 1)
    assert expected is None or expected <= shown
    least = display.points_.get_offsets()[:, 0].min()
    assert least == max(counts.min(), 1)  # none at all has a place, too
    assert all(t.get_text() == "" for t in display.ax_.get_xticklabels(minor=True))


def test_names_are_data():
    names = ["a$b$", "", "two\nlines", np.nan, "<script>"]
    frame = make_frame(5, category=pd.Series(names, dtype=object), column="$x$ y$")
    display = DriftDisplay.from_frame(frame)
    display.figure_.canvas.draw()
    assert names_of(display) == {"a$b$", "''", "two lines", "(missing)", "<script>"}
    assert display.ax_.get_title().startswith("Drift of $x$ y$\n")
    assert not any(t.get_parse_math() for t in [*display.texts_, display.ax_.title])


def test_one_of_several_columns(fits):
    frame = drift(*fits)
    display = DriftDisplay.from_frame(frame, "color")
    assert set(display.frame["column"]) == {"color"}
    with pytest.raises(InvalidParameterError, match=r"\['letter', 'color'\]"):
        DriftDisplay.from_frame(frame)
    with pytest.raises(InvalidParameterError, match=r"\['letter', 'color'\]"):
        DriftDisplay.from_estimators(*fits)
    with pytest.raises(InvalidParameterError, match="got 'size'"):
        DriftDisplay.from_frame(frame, "size")


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (pd.DataFrame({"a": [1]}), "a result of `drift`"),
        (make_frame(status="new"), "nothing to draw"),
        (
            make_frame(movement=np.nan, relative_movement=np.nan).drop(columns="count"),
            "different width",
        ),
        (make_frame(1, neighbor_overlap=np.nan).drop(columns="count"), "without its count"),
    ],
)
def test_refuses_frames(frame, message):
    with pytest.raises(InvalidDataError, match=message):
        DriftDisplay.from_frame(frame)


def test_refuses(fits):
    with pytest.raises(InvalidParameterError, match="`n_labels`"):
        DriftDisplay.from_frame(make_frame(), n_labels=-1)
    with pytest.raises(InvalidParameterError, match="`label_min_count`"):
        DriftDisplay.from_frame(make_frame(), label_min_count=0.5)
    with pytest.raises(InvalidParameterError, match="Did you mean 'letter'"):
        DriftDisplay.from_estimators(*fits, "leter")
    with pytest.raises(NotFittedError):
        DriftDisplay.from_estimators(make_encoder(), fits[0], "letter")
