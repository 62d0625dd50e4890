"""category_encoders: its wrappers are for its own encoders; others stand beside ours."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from category_encoders import CountEncoder, TargetEncoder
from category_encoders.wrapper import NestedCVWrapper, PolynomialWrapper
from sklearn.compose import make_column_transformer
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline

from tests.samples import make_encoder

Rows = tuple[pd.DataFrame, np.ndarray]


def test_encoders_of_both_libraries_stand_side_by_side(rows: Rows) -> None:
    X, y = rows
    columns = make_column_transformer(
        (make_encoder(), ["letter"]), (TargetEncoder(), ["color"]), remainder="passthrough"
    )
    model = make_pipeline(columns, Ridge()).fit(X, y)
    assert model[:-1].get_feature_names_out()[-2:].tolist() == [
        "targetencoder__color",
        "remainder__size",
    ]
    before = make_pipeline(CountEncoder(cols=["color"]), make_encoder(max_iter=1), Ridge())
    assert before.fit(X, y)[1].categorical_features_ == ["letter"]


def test_nested_folds_give_vectors_of_several_spaces(rows: Rows) -> None:
    """It runs, but each part of the rows is encoded by a network of its own."""
    X, y = rows
    params = {"max_iter": 30, "learning_rate_init": 0.02, "hidden_layer_sizes": (16,)}
    encoder = make_encoder(**params).set_output(transform="pandas")  # the wrapper needs frames
    wrapper = NestedCVWrapper(encoder, cv=KFold(5, shuffle=True, random_state=0))
    mixed = np.asarray(wrapper.fit_transform(X, y))
    own = make_encoder(**params).fit_transform(X, y)
    assert mixed.shape == own.shape
    nested, cross_fitted = (Ridge().fit(v, y).score(v, y) for v in (mixed, own))
    assert cross_fitted > nested + 0.1
    alone = make_encoder(**params).fit(X, y)
    np.testing.assert_array_equal(wrapper.transform(X), alone.transform(X))


def test_a_wrapper_for_several_classes_is_not_needed(rows: Rows) -> None:
    X, y = rows
    labels = np.digitize(y, [-1.0, 1.0]).astype(str)
    with pytest.raises(TypeError, match=r"transform\(\) takes 2 positional arguments"):
        PolynomialWrapper(make_encoder(max_iter=1)).fit_transform(X, labels)
    assert make_encoder(max_iter=1).fit(X, labels).classes_.tolist() == ["0", "1", "2"]
