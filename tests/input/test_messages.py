"""Messages are short, whatever they show, and warnings name the user's line."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline

from sk_entity_embed.exceptions import EntityEmbedWarning
from sk_entity_embed.input.messages import shown
from tests.samples import make_encoder


def test_values_are_cut_where_they_are_long():
    for value in ("x" * 10**7, b"x" * 10**7, 10**5000, -(10**100_000), tuple(range(10**5))):
        assert len(shown(value)) < 500
    assert len(shown(["x" * 10**6] * 100)) < 500
    short = {"a": "'a'", b"a": "b'a'", 2**70: str(2**70), np.float64(0.5): "0.5"}
    assert [shown(v) for v in short] == [*short.values()]


@pytest.mark.parametrize("method", ["fit", "fit_transform"])
def test_warnings_of_fit_name_the_line_of_the_user(method):
    X = pd.DataFrame({"a": ["x", "y"] * 30, "empty": [None] * 60})
    y = ["rare", *["n", "m"] * 29, "n"]
    encoder = make_encoder(cv=5, max_iter=1)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        getattr(encoder, method)(X, y)
    own = [w for w in caught if issubclass(w.category, EntityEmbedWarning)]
    assert {w.category.__name__ for w in own} == {"EmptyColumnWarning", "RareClassWarning"}
    assert {w.filename for w in own} == {__file__}


def test_warnings_in_a_pipeline_name_the_line_of_the_user():
    X, y = pd.DataFrame({"a": ["x", "y"] * 30, "empty": [None] * 60}), np.arange(60.0)
    columns = ColumnTransformer([("embed", make_encoder(max_iter=1), ["a", "empty"])])
    pipeline = make_pipeline(columns, LinearRegression())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        pipeline.fit(X, y).predict(X.assign(a="new"))
    own = [w for w in caught if issubclass(w.category, EntityEmbedWarning)]
    assert {"EmptyColumnWarning", "UnknownCategoriesWarning"} <= {w.category.__name__ for w in own}
    assert {w.filename for w in own} == {__file__}
