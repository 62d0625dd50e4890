"""skrub: one encoder a column in a TableVectorizer, one for the frame in ApplyToCols and DataOps.

skrub 0.7 called the step for frames ApplyToFrame.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline

from sk_entity_embed.inspection import embedding_steps, group_by_column, nearest
from tests.samples import make_encoder, make_rows

skrub = pytest.importorskip("skrub")

Rows = tuple[pd.DataFrame, np.ndarray]
WholeFrame = getattr(skrub, "ApplyToFrame", skrub.ApplyToCols)


@pytest.fixture(scope="module")
def dated() -> Rows:
    """Rows with a column of dates, which the encoder refuses."""
    X, y = make_rows(240)
    return X.assign(day=pd.Timestamp("2026-01-01") + pd.to_timedelta(np.arange(240), "D")), y


def test_a_table_vectorizer_fits_an_encoder_for_each_column(dated: Rows) -> None:
    X, y = dated
    encoder = make_encoder(interactions=[("letter", "color")])
    alone = make_encoder()
    vectorizer = skrub.TableVectorizer(
        cardinality_threshold=4, low_cardinality=alone, high_cardinality=alone
    )
    out = vectorizer.fit_transform(X, y)
    steps = embedding_steps(vectorizer)
    assert {n: s.feature_names_in_.tolist() for n, s in steps.items()} == {
        "letter": ["letter"],
        "color": ["color"],
    }
    expected = make_encoder().fit_transform(X[["letter"]], y)
    np.testing.assert_array_equal(out[["letter_0", "letter_1", "letter_2", "letter_3"]], expected)
    # Pairs and numbers are out of reach: naming a pair is an error, not ignored.
    with pytest.raises(ValueError, match="interactions"):
        skrub.TableVectorizer(high_cardinality=encoder, cardinality_threshold=2).fit(X, y)


@pytest.mark.parametrize("container", ["pandas", "polars"])
def test_one_encoder_for_the_frame_sees_all_columns(container: str, dated: Rows) -> None:
    X, y = dated
    selected = skrub.selectors.string() | skrub.selectors.numeric()
    make = {"interactions": [("letter", "color")], "remainder": "passthrough", "output": "both"}
    step = WholeFrame(make_encoder(**make), cols=selected)
    given = X
    if container == "polars":
        polars = pytest.importorskip("polars")
        given = polars.from_pandas(X)
    out = step.fit_transform(given, y)
    alone = make_encoder(**make)
    expected = alone.fit_transform(X.drop(columns="day"), y)
    assert list(out.columns) == ["day", *alone.get_feature_names_out()]
    frame = out.to_pandas() if container == "polars" else out
    np.testing.assert_array_equal(frame.drop(columns="day"), expected)  # out of fold
    assert "letter_x_color_0" in out.columns
    new = step.transform(given)
    np.testing.assert_array_equal(new["letter_0"], alone.transform(X.drop(columns="day"))[:, 0])
    found = group_by_column(np.ones((2, len(out.columns))), step)
    assert found.columns.tolist() == ["day", "letter", "color", "size", "all columns"]
    assert nearest(step, "letter", "a", k=1).shape == (1, 3)


def test_data_ops_apply_one_encoder_to_the_frame(dated: Rows) -> None:
    X, y = dated
    table = skrub.var("table", X.assign(delay=y))
    features = table.drop(columns=["delay", "day"]).skb.mark_as_X()
    target = table["delay"].skb.mark_as_y()
    encoder = make_encoder(remainder="passthrough", max_iter=15, learning_rate_init=0.02)
    vectors = features.skb.apply(encoder, y=target).skb.set_name("vectors")
    learner = vectors.skb.apply(Ridge(), y=target).skb.make_learner(fitted=True)
    expected = make_pipeline(encoder, Ridge()).fit(X.drop(columns="day"), y)
    given = {"table": X.assign(delay=y)}
    np.testing.assert_allclose(
        learner.predict(given), expected.predict(X.drop(columns="day")), atol=1e-5
    )
    scores = vectors.skb.apply(Ridge(), y=target).skb.cross_validate(cv=2)["test_score"]
    assert (scores > 0.5).all()
    inside: Any = learner.find_fitted_estimator("vectors")
    pd.testing.assert_frame_equal(nearest(inside, "letter", "a"), nearest(expected, "letter", "a"))
