"""What is counted of rows block by block is what all rows together give."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest

from sk_entity_embed.exceptions import InvalidDataError, InvalidParameterError
from sk_entity_embed.fitting.survey import Sample, Survey, TargetSurvey
from sk_entity_embed.input.blocks import Roles, read_block


def survey_target(parts, target_type="auto"):
    """Two surveys, each of every other part, merged; one went through pickle."""
    both = [TargetSurvey(target_type) for _ in range(2)]
    for i, part in enumerate(parts):
        both[i % 2].add(np.asarray(part), None)
    first = pickle.loads(pickle.dumps(both[0]))
    first.merge(both[1])
    return first


@pytest.mark.parametrize(
    ("values", "kind", "classes"),
    [
        (np.arange(30) % 2, "binary", [0, 1]),
        (np.arange(30) % 3, "multiclass", [0, 1, 2]),
        (np.array(["no", "yes", "maybe"])[np.arange(30) % 3], "multiclass", ["maybe", "no", "yes"]),
        (np.arange(30) / 7, "continuous", None),
        (np.arange(6_000).astype(float) + (np.arange(6_000) == 5_999) / 2, "continuous", None),
        (np.array([[0, 1, 1], [1, 0, 1]])[np.arange(30) % 2], "multilabel-indicator", [0, 1, 2]),
        (np.arange(60).reshape(30, 2) / 7, "continuous", None),
    ],
)
def test_kind_and_classes_are_those_of_all_parts(values, kind, classes):
    found = survey_target(np.array_split(values, 7))
    target = found.target()
    assert target.kind == kind
    assert (target.classes is None) if classes is None else target.classes.tolist() == classes
    assert len(found.values) <= 1_000
    if classes is not None and values.ndim == 1:
        np.testing.assert_array_equal(found.counts, np.unique(values, return_counts=True)[1])


def test_many_integers_need_a_decision_and_many_labels_do_not():
    with pytest.raises(InvalidParameterError, match="target_type"):
        survey_target([np.arange(5_000), np.arange(5_000)]).target()
    labels = [f"label {i}" for i in range(1_500)]
    assert len(survey_target([labels, labels]).target().classes) == 1_500
    several = survey_target([np.arange(1_500), np.arange(1_500)], "multiclass").target()
    assert several.n_outputs == 1_500


def test_mean_and_spread_are_weighted():
    rng = np.random.default_rng(0)
    y, w = 1e6 + rng.normal(size=(900, 2)) * [1.0, 50.0], rng.uniform(0, 2, 900)
    found = TargetSurvey("continuous")
    for start in range(0, 900, 70):
        found.add(y[start : start + 70], w[start : start + 70])
    rows, weights = found.like_all(found.target())
    mean = np.average(y, axis=0, weights=w)
    width = np.sqrt(np.average((y - mean) ** 2, axis=0, weights=w))
    np.testing.assert_allclose(np.average(rows.values, axis=0, weights=weights), mean)
    np.testing.assert_allclose(rows.values.std(axis=0), width, rtol=1e-6)


@pytest.mark.parametrize("later", [["a", "b"], [[1.0], [2.0]]])
def test_a_target_that_changes_its_type_is_refused(later):
    found = survey_target([[1.0, 2.0]])
    with pytest.raises(InvalidDataError, match=r"y changes its type: it was float64 like 1\.0"):
        found.add(np.asarray(later), None)


def rows_of(n, start=0):
    number = np.arange(start, start + n)
    frame = pd.DataFrame(
        {"a": (number % 7).astype(str), "b": number.astype(float), "y": number % 2}
    )
    frame.loc[number % 10 == 0, "b"] = np.nan
    return read_block(frame, Roles("y"))


def test_a_sample_is_even_and_no_larger_than_asked():
    met = []
    for seed in range(20):
        random, sample = np.random.default_rng(seed), Sample(50)
        for start in range(0, 1_000, 100):
            sample.add(rows_of(100, start), random.random(100))
            assert sample._held <= 2 * 50 + 100
        rows = sample.rows()
        assert len(rows) == 50
        met.append(rows.table.columns[1].to_numbers())
        assert np.nanmin(np.diff(met[-1])) > 0  # in the order of the rows
    met = np.concatenate(met)
    counts = np.histogram(met[~np.isnan(met)], bins=5, range=(0, 1_000))[0]
    assert counts.min() > 0.7 * 20 * 50 * 0.9 / 5


def test_surveys_of_parts_are_merged():
    surveys = [Survey([0], [1], [None], None, TargetSurvey("auto"), seed=3) for _ in range(3)]
    for number in range(6):
        surveys[number % 2].add(rows_of(50, 50 * number), number)
        surveys[2].add(rows_of(50, 50 * number), number)
    merged = pickle.loads(pickle.dumps(surveys[0]))
    merged.merge(surveys[1])
    whole = surveys[2]
    assert merged.n_rows == whole.n_rows == 300
    assert merged.missing.tolist() == whole.missing.tolist() == [30]
    options = {"min_frequency": None, "max_categories": None, "missing": "category"}
    one, other = (s.counters[0].vocabulary(**options) for s in (merged, whole))
    assert one.categories.tolist() == other.categories.tolist()
    np.testing.assert_array_equal(one.counts, other.counts)
    drawn = [np.sort(s.sample.rows().table.columns[1].to_numbers()) for s in (merged, whole)]
    np.testing.assert_array_equal(*drawn)


@pytest.mark.parametrize("kind", ["multiclass", "multilabel"])
def test_balanced_classes_weigh_as_in_scikit_learn(kind):
    from sklearn.utils.class_weight import compute_sample_weight

    from sk_entity_embed.input.target import class_factors, target_like

    y = np.array([0, 0, 0, 1, 2, 2] * 5)
    if kind == "multilabel":
        y = np.array([[0, 1], [1, 1], [0, 0]])[np.arange(30) % 3]
    found = Survey([], [], [], None, survey_target(np.array_split(y, 4)), seed=0)
    target = found.target.target()
    weights = found.class_weight("balanced", target)
    np.testing.assert_allclose(
        class_factors(weights, target_like(target, y[:7])), compute_sample_weight("balanced", y)[:7]
    )
