"""Columns that are nearly all unknown, often because their type has changed, are told of."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from sk_entity_embed import EntityEmbeddingClassifier
from sk_entity_embed.exceptions import InvalidDataError, UnknownCategoriesWarning
from tests.samples import make_encoder

# The configuration lets other tests look up made-up categories: here the warning is the subject.
pytestmark = pytest.mark.filterwarnings(
    "error::sk_entity_embed.exceptions.UnknownCategoriesWarning"
)

DAYS = [dt.date(2020, 1, 1 + i) for i in range(3)]
NAIVE = [dt.datetime(2020, 1, 1 + i) for i in range(3)]
AWARE = [t.replace(tzinfo=dt.UTC) for t in NAIVE]

PAIRS: list[tuple[list[Any], list[Any], str]] = [
    (["01234", "00099"], [1234, 99], r"such as 1234, but held text in fit, .*'00099'.*zeros"),
    ([1, 2], ["1", "2"], r"such as '1', but held integers .* such as 1: .*\.astype\(int\)"),
    (["True", "False"], [True, False], r"booleans now.*text.*\.astype\(str\)"),
    (NAIVE, AWARE, r"times with a time zone now.*tz_localize\(None\)"),
    (DAYS, NAIVE, r"times now.*dates in fit.*\.dt\.date"),
    ([b"a", b"b"], ["a", "b"], r"text now.*bytes.*encode"),
    ([0.1, 0.2], [Decimal("0.1"), Decimal("0.2")] * 10, r"decimals now.*floats in fit.*astype"),
    ([Decimal("0.1")], [0.1] * 20, r"such as 0.1, but held decimals .*Decimal\('0.1'\)"),
    (["a", 1], [("a",)], r"tuples now.*integers and text in fit.*Give the column the type of fit"),
    (["1", "2", None], [1.0, 2.0, None] * 7, r"floats now.*text in fit.*all 14 values are unknown"),
    ([Decimal("0.1"), Decimal("0.5")], [0.1, 0.1, 0.5] * 7, r"floats now.*decimals.*14 of 21"),
    (["a", "b"], ["a"] + ["b "] * 19, r"hardly any.*19 of 20 values.*'b '.*'a'.*spaces, case"),
]


def fit(values: list[Any], **params: Any) -> Any:
    X = pd.DataFrame({"zip": pd.Series(values * 20, dtype=object), "other": "x"})
    y = np.random.default_rng(0).normal(size=len(X))
    return make_encoder(categorical_features=[0, 1], cv=2, max_iter=1, **params).fit(X, y)


def table(values: list[Any]) -> pd.DataFrame:
    return pd.DataFrame({"zip": pd.Series(values, dtype=object), "other": "x"})


@pytest.mark.parametrize(("then", "now", "said"), PAIRS, ids=lambda p: str(p)[:30])
def test_a_column_of_another_kind_is_told_of(then, now, said):
    message = f"Column 'zip' (has|holds).*{said}"
    with pytest.warns(UnknownCategoriesWarning, match=message) as caught:
        fit(then).transform(table(now))
    assert [w.filename for w in caught] == [__file__]
    with pytest.raises(InvalidDataError, match=f"handle_unknown='error'.*{said}"):
        fit(then, handle_unknown="error").transform(table(now))


@pytest.mark.parametrize(
    ("then", "now"),
    [
        (["a", "b"], ["c"] * 19),  # too few to tell
        (["a", "b"], ["c"] * 45 + ["a"] * 5),
        (["a", "b", None], [None] * 40 + ["c"] * 3),
        ([1, 2], [1.0, 3.0] * 20),
        ([0.5, 1.5], [7]),
        (["a", 1], [2]),
        (NAIVE, [pd.Timestamp("2020-01-02")]),
    ],
)
def test_other_columns_are_not(then, now):
    fit(then).transform(table(now))  # a warning would be an error


def test_few_rows_of_another_kind_are_told_of_once():
    encoder = fit(["1", "2"])
    with pytest.warns(UnknownCategoriesWarning, match=r"its value is unknown"):
        encoder.transform(table([1]))
    encoder.transform(table([2]))  # a warning would be an error
    for _ in range(2):
        with pytest.warns(UnknownCategoriesWarning, match="all 20 values are unknown"):
            encoder.transform(table([1] * 20))


def test_many_rows_are_judged_by_all_of_them():
    encoder = fit(["a", "b"])
    with pytest.warns(UnknownCategoriesWarning, match="9100 of 10000 values"):
        encoder.transform(table((["c"] * 91 + ["a"] * 9) * 100))
    encoder.transform(table((["c"] * 89 + ["a"] * 11) * 100))


def test_items_of_lists_are_told_of_and_predictors_tell_too():
    X = pl.DataFrame({"tags": [["a", "b"], ["a"], []] * 20})
    model = EntityEmbeddingClassifier(max_iter=1, cv=2, random_state=0)
    model.fit(X, np.arange(60) % 2)
    with pytest.warns(UnknownCategoriesWarning, match="'tags' holds integers now") as caught:
        model.predict(pl.DataFrame({"tags": [[1, 2], [3]]}))
    assert caught[0].filename == __file__


def test_long_categories_are_cut_in_messages():
    encoder = fit(["a", "b"], handle_unknown="error")
    with pytest.raises(InvalidDataError) as error:
        encoder.transform(table(["x" * 10_000_000, "y" * 1_000]))
    assert len(str(error.value)) < 400
    with pytest.raises(InvalidDataError) as error:
        encoder.transform(table([tuple(range(100_000))]))
    assert len(str(error.value)) < 800


def test_training_rows_are_not_told_of():
    X = table(["a", "b"] * 20 + ["c", "d"] * 20)
    encoder = make_encoder(categorical_features=[0, 1], cv=2, max_iter=1)
    encoder.fit_transform(X, np.linspace(0, 1, 80), sample_weight=[1] * 40 + [0] * 40)
