"""Columns of which the training rows hold missing values only."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path
from typing import Any

import category_encoders as ce
import numpy as np
import pandas as pd
import pytest

from sk_entity_embed import (
    EntityEmbeddingClassifier,
    EntityEmbeddingEncoder,
    EntityEmbeddingRegressor,
)
from sk_entity_embed.exceptions import EmptyColumnWarning, InvalidDataError
from sk_entity_embed.export import load, save
from sk_entity_embed.inspection import EmbeddingDisplay, nearest
from tests.containers import CONTAINERS, make_container
from tests.samples import make_encoder, make_rows

N = 60
X, Y = make_rows(N)
EMPTY = X.assign(color=pd.Series([None] * N, dtype=object), size=np.nan)
"""One of two categorical columns and the only number are missing throughout."""
NEW = pd.DataFrame(
    {"letter": ["a"] * 4, "color": ["red", None, 7, "red"], "size": [0, 1, 1e300, None]}
)


def fit(estimator: Any, table: Any = EMPTY, y: Any = Y, **metadata: Any) -> Any:
    """A fitted estimator, after the one warning that has to come."""
    with pytest.warns(EmptyColumnWarning) as caught:
        estimator.fit(table, y, **metadata)
    assert [w.category for w in caught].count(EmptyColumnWarning) == 1
    return estimator


def test_one_warning_names_all_empty_columns_in_every_container() -> None:
    columns = {"x0": ["a", "b"] * 10, "x1": [None] * 20, "x2": [1.0, None] * 10, "x3": [None] * 20}
    for name in CONTAINERS:
        table, encoder = make_container(name, columns), make_encoder(max_iter=1)
        with pytest.warns(
            EmptyColumnWarning, match=r"Columns \['x1', 'x3'\] have only missing val"
        ):
            encoder.fit(table, np.arange(20) % 7 / 7)
        assert np.isfinite(encoder.transform(table)).all()


@pytest.mark.parametrize("params", [{}, {"cross_fit": False}, {"head": "dot"}, {"output": "both"}])
def test_an_empty_column_has_its_missing_vector_and_the_unknown_one(params: dict[str, Any]) -> None:
    encoder = fit(make_encoder(**params))
    with pytest.warns(EmptyColumnWarning):
        trained = make_encoder(**params).fit_transform(EMPTY, Y)
    assert np.isfinite(trained).all()
    assert pd.isna(encoder.categories_["color"]).tolist() == [True]
    assert encoder.category_counts_["color"].tolist() == [N]
    np.testing.assert_allclose(encoder.category_target_means_["color"], Y.mean())
    assert encoder.embeddings_["color"].index.isna().tolist() == [True]
    out = encoder.transform(NEW)
    assert np.isfinite(out).all()
    np.testing.assert_array_equal(out[0], out[3])
    np.testing.assert_array_equal(out[0], out[2])
    first = encoder.get_feature_names_out().tolist().index("color_0")
    n_axes = encoder.dimensions_["color"]
    np.testing.assert_array_equal(
        out[1, first : first + n_axes], encoder.embeddings_["color"].iloc[0]
    )
    back = encoder.inverse_transform(out)[:, 1]
    assert back[0] is None
    assert np.isnan(back[1])


def test_later_categories_are_unknown_by_every_policy() -> None:
    encoder = fit(make_encoder(handle_unknown="error"))
    with pytest.raises(InvalidDataError, match=r"column 'color': 3 row\(s\).*'red'"):
        encoder.transform(NEW)
    assert np.isfinite(encoder.transform(NEW.iloc[1:2])).all()
    columns = [n.startswith("color") for n in encoder.get_feature_names_out()]
    for policy, expected in (("zero", 0.0), ("nan", np.nan)):
        unknown = fit(make_encoder(handle_unknown=policy)).transform(NEW)[0, columns]
        np.testing.assert_array_equal(unknown, np.full(sum(columns), expected))


def test_later_lists_are_unknown_however_many_items_they_hold() -> None:
    out = fit(make_encoder()).transform(NEW.assign(color=[["a", "b"], [], None, ["c"]][: len(NEW)]))
    assert np.isfinite(out).all()


def test_a_column_is_empty_by_the_rows_that_have_weight() -> None:
    once = X.assign(color=X["color"].where(np.arange(N) == 3))
    encoder = fit(make_encoder(), once, sample_weight=np.arange(N) != 3)
    assert len(encoder.categories_["color"]) == 1


@pytest.mark.parametrize(
    ("kind", "head"), [(EntityEmbeddingRegressor, "dot"), (EntityEmbeddingClassifier, "mlp")]
)
def test_where_all_columns_are_empty_the_prediction_is_the_mean(kind: Any, head: str) -> None:
    table = EMPTY.assign(letter=EMPTY["color"], word=pd.Series([None] * N, dtype="string"))
    y = Y if kind is EntityEmbeddingRegressor else Y > 1
    model = fit(kind(head=head, max_iter=3, random_state=0), table, y)
    predict = model.predict if kind is EntityEmbeddingRegressor else model.predict_proba
    predicted = np.asarray(predict(table)).reshape(N, -1)[:, -1]
    assert np.ptp(predicted) == 0
    assert abs(predicted[0] - y.mean()) < 0.3 * y.std()
    other = np.asarray(predict(NEW.assign(word="w")))
    assert np.isfinite(other).all()


def test_a_number_that_fit_never_saw_adds_the_same_to_every_row() -> None:
    model = fit(EntityEmbeddingRegressor(max_iter=2, random_state=0))
    asked = NEW.assign(color=None, size=[np.nan, 0.0, 1e300, -5.0])
    assert np.ptp(model.predict(asked)) == 0


def test_cross_validation_goes_on_where_a_fold_lacks_all_values() -> None:
    rare = X.copy()
    rare.loc[3:, ["color", "size"]] = None
    for start in range(0, N, 20):
        rest = np.r_[0:start, start + 20 : N]
        model = EntityEmbeddingRegressor(max_iter=1, random_state=0)
        with warnings.catch_warnings():
            warnings.simplefilter("error" if start else "ignore")
            model.fit(rare.iloc[rest], Y[rest])
        assert np.isfinite(model.predict(rare)).all()


@pytest.mark.parametrize(
    ("cells", "pooling"), [([[], None], "gru"), ([[], []], "mean"), ([[None], [None]], "max")]
)
def test_lists_without_items_are_learned_as_such(cells: list[Any], pooling: str) -> None:
    table = X[["letter"]].assign(words=pd.Series(cells * (N // 2), dtype=object))
    encoder = fit(make_encoder(pooling=pooling), table)
    new = pd.DataFrame({"letter": "a", "words": [["x"], ["x", "y"], [1], [], None]})
    assert np.isfinite(encoder.transform(new)).all()
    if cells == [[], []]:
        assert len(encoder.embeddings_["words"]) == 0
        with pytest.raises(InvalidDataError, match="'words' has no categories to look at"):
            EmbeddingDisplay.from_estimator(encoder, "words")


def test_it_is_saved_pickled_and_looked_at_like_any_other(tmp_path: Path) -> None:
    encoder = fit(make_encoder(warm_start=True))
    save(encoder, tmp_path / "encoder")
    expected = encoder.transform(NEW).tobytes()
    assert pickle.loads(pickle.dumps(encoder)).transform(NEW).tobytes() == expected
    assert load(tmp_path / "encoder").transform(NEW).tobytes() == expected
    assert EmbeddingDisplay.from_estimator(encoder, "color").coordinates.shape[0] == 1
    assert len(nearest(encoder, "color", None)) == 0
    with pytest.raises(ValueError, match="only 0 other categories"):
        nearest(encoder, "color", None, k=1)


@pytest.mark.parametrize("freeze", [False, True])
def test_warm_starts_go_from_and_to_an_empty_column(freeze: bool) -> None:
    params = {"warm_start": True, "dimensions": 3, "freeze": freeze, "cross_fit": False}
    encoder = fit(make_encoder(**params))
    missing = encoder.embeddings_["color"].iloc[0]
    encoder.fit(X, Y)
    assert encoder.categories_["color"].tolist() == ["blue", "green", "red"]
    fit(encoder)
    assert pd.isna(encoder.categories_["color"]).tolist() == [True]
    again = fit(make_encoder(**params))
    fit(again)
    if freeze:
        np.testing.assert_array_equal(again.embeddings_["color"].iloc[0], missing)
    assert np.isfinite(again.transform(NEW)).all()


def test_an_encoder_that_starts_the_vectors_is_spared_an_empty_column() -> None:
    encoder = fit(make_encoder(init=ce.TargetEncoder()))
    assert np.isfinite(encoder.transform(EMPTY)).all()


def test_vectors_of_an_empty_column_start_another_fit() -> None:
    vectors = fit(make_encoder()).embeddings_["color"]
    encoder: EntityEmbeddingEncoder = fit(make_encoder(init={"color": vectors}, freeze=["color"]))
    np.testing.assert_array_equal(encoder.embeddings_["color"], vectors)
