"""Residuals by category: means, and how far they are off by chance."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from sk_entity_embed.exceptions import InvalidDataError, InvalidParameterError
from sk_entity_embed.input.columns import read_table
from sk_entity_embed.inspection.residuals import residuals_by_category, summarise


def column_of(values):
    (column,) = read_table(pd.DataFrame({"city": values})).columns
    return column


def test_means_are_weighted_and_rows_without_weight_do_not_count():
    column = column_of(["a", "a", "b", "c"])
    frame = residuals_by_category([1.0, 3.0, 5.0, 9.0], [0.0, 1.0, 5.0, 9.0], column, [1, 3, 2, 0])
    assert frame["category"].tolist() == ["a", "b"]
    assert frame["count"].tolist() == [2, 1]
    assert frame["observed"].tolist() == [2.5, 5.0]
    assert frame["predicted"].tolist() == [0.75, 5.0]


def test_one_row_a_category_is_judged_by_how_they_differ():
    codes = np.arange(4)
    observed = np.array([[3.0], [0.0], [0.0], [-1.0]])
    frame = residuals_by_category(observed, np.zeros(4), column_of(list("abcd")))
    expected = summarise(codes, observed[:, 0], np.zeros(4), np.ones(4))
    np.testing.assert_array_equal(frame["z"], expected["z"])
    np.testing.assert_allclose(frame["standard_error"], np.sqrt(2.5))


def test_chance_alone_is_beyond_two_standard_errors_in_one_of_twenty():
    rng = np.random.default_rng(0)
    codes = np.repeat(np.arange(2000), 10)
    noise = rng.normal(size=len(codes))
    frame = summarise(codes, noise, np.zeros(len(codes)), np.ones(len(codes)))
    assert 0.03 < (frame["z"].abs() > 2).mean() < 0.06
    np.testing.assert_allclose(frame["z"] * frame["standard_error"], frame["observed"])


@pytest.mark.parametrize(
    ("changes", "error", "match"),
    [
        ({"y_true": [1.0]}, InvalidDataError, "y must be 2, one for each row"),
        ({"y_true": ["x", "y"]}, InvalidDataError, "`pos_label` name a class"),
        ({"y_pred": [1.0, np.nan]}, InvalidDataError, "the predictions must be finite"),
        ({"sample_weight": [0, 0]}, InvalidDataError, "`sample_weight` must not be negative"),
        ({"pos_label": "z"}, InvalidParameterError, "No row of `y` is 'z'"),
    ],
)
def test_wrong_rows(changes, error, match):
    given = {"y_true": [1.0, 2.0], "y_pred": [1.0, 2.0], "column": column_of(["a", "b"])}
    with pytest.raises(error, match=match):
        residuals_by_category(**{**given, **changes})


def test_the_rows_of_an_item_are_those_whose_lists_have_it():
    cells = [["a", "b", "a"], ["b"], [], None, ["a", None], [], ["z"]]
    (column,) = read_table(pd.DataFrame({"tags": cells})).columns
    y = np.array([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0])
    weights = [1, 1, 1, 1, 1, 3, 0]
    frame = residuals_by_category(y, -y, column, weights)
    assert [*frame["category"][:2], frame["category"][3]] == ["a", "b", ()]
    assert np.isnan(frame["category"][2])
    assert frame["count"].tolist() == [2, 2, 2, 2]
    assert frame["observed"].tolist() == [8.5, 1.5, 12.0, 25.0]
    assert frame["predicted"].tolist() == [-8.5, -1.5, -12.0, -25.0]


def test_lists_none_of_which_is_empty_have_no_category_for_it():
    (column,) = read_table(pd.DataFrame({"tags": [["a", "b"], ["b"]]})).columns
    frame = residuals_by_category([1.0, 2.0], [1.0, 2.0], column)
    assert frame["category"].tolist() == ["a", "b"]
    assert frame["count"].tolist() == [1, 2]
