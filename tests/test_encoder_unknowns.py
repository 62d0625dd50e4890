"""Missing, rare and unknown categories, and numbers passed through."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from sk_entity_embed import EntityEmbeddingEncoder
from sk_entity_embed.exceptions import EmptyColumnWarning, InvalidDataError
from sk_entity_embed.input.vocabulary import UNKNOWN
from tests.samples import make_encoder, make_rows, watch_learning

Frame = pd.DataFrame


def with_gaps(n: int = 120) -> tuple[Frame, np.ndarray]:
    """Rows of which every fifth lacks its letter, and a target that says so."""
    X, y = make_rows(n)
    X.loc[::5, "letter"] = None
    y[::5] = 4.0
    return X, y


@pytest.fixture(scope="module")
def fitted() -> tuple[EntityEmbeddingEncoder, Frame]:
    X, y = with_gaps()
    return make_encoder(max_iter=8).fit(X, y), X


# Missing -----------------------------------------------------------------------------------


def test_missing_is_a_category_of_its_own(fitted: tuple[EntityEmbeddingEncoder, Frame]) -> None:
    encoder, X = fitted
    assert encoder.categories_["letter"][:-1].tolist() == ["a", "b", "c", "d", "e"]
    assert np.isnan(encoder.categories_["letter"][-1])
    assert encoder.category_counts_["letter"][-1] == 24
    assert encoder.category_target_means_["letter"][-1] == pytest.approx(4.0)
    out = encoder.transform(X)[:, : encoder.dimensions_["letter"]]
    np.testing.assert_array_equal(out[0], encoder.embeddings_["letter"].iloc[-1])
    unknown = encoder.transform(X.assign(letter="?"))[:, : encoder.dimensions_["letter"]]
    assert not np.allclose(out[0], unknown[0])


def test_missing_is_unknown_where_fit_saw_none() -> None:
    X, y = make_rows(60)
    encoder = make_encoder(max_iter=4).fit(X, y)
    missing = encoder.transform(X.assign(letter=None))
    np.testing.assert_array_equal(missing, encoder.transform(X.assign(letter="?")))
    zero = make_encoder(handle_unknown="zero").fit(X, y)
    out = zero.transform(X.assign(letter=None))[:, : zero.dimensions_["letter"]]
    assert (out == 0).all()


def test_missing_can_be_an_error_in_fit_and_in_transform() -> None:
    X, y = with_gaps()
    encoder = make_encoder(handle_missing="error")
    with pytest.raises(InvalidDataError, match=r"Column 'letter' has 24 missing"):
        encoder.fit(X, y)
    full, y = make_rows(120)
    encoder.fit(full, y)
    assert encoder.transform(full).shape[0] == 120
    with pytest.raises(InvalidDataError, match=r"Column 'letter' has 24 missing"):
        encoder.transform(X)


@pytest.mark.parametrize(
    ("gaps_in_fit", "cross_fit", "output"),
    [(True, True, "both"), (False, False, "both"), (True, False, "embedding")],
)
def test_missing_vectors_may_be_nan_where_the_head_sees_the_learned_one(
    gaps_in_fit: bool, cross_fit: bool, output: str
) -> None:
    X, y = with_gaps() if gaps_in_fit else make_rows(120)
    params = {"cross_fit": cross_fit, "output": output, "max_iter": 4}
    learned = make_encoder(**params)
    encoder = make_encoder(handle_missing="nan", **params)
    asked, _ = with_gaps()
    trained, out = learned.fit_transform(X, y), encoder.fit_transform(X, y)
    width = learned.dimensions_["letter"]
    for expected, got, rows in (
        (trained, out, X),
        (learned.transform(asked), encoder.transform(asked), asked),
        (learned.transform(asked[:1]), encoder.transform(asked[:1]), asked[:1]),
    ):
        expected[rows["letter"].isna(), :width] = np.nan
        np.testing.assert_array_equal(got, expected)
    # What was learned stays to be looked at, with no category more than fit has seen.
    pd.testing.assert_frame_equal(encoder.embeddings_["letter"], learned.embeddings_["letter"])
    assert len(encoder.categories_["letter"]) == 5 + gaps_in_fit
    counts = encoder.category_counts_["letter"]
    assert counts.tolist() == learned.category_counts_["letter"].tolist()


@pytest.mark.parametrize("policy", ["zero", "nan", "error"])
def test_unknown_categories_keep_their_policy_beside_missing_cells_of_nan(policy: str) -> None:
    X, y = make_rows(120)
    encoder = make_encoder(handle_missing="nan", handle_unknown=policy).fit(X, y)
    plain = make_encoder(handle_unknown=policy).fit(X, y)
    width = encoder.dimensions_["letter"]
    gone = encoder.transform(X.assign(letter=None))
    assert np.isnan(gone[:, :width]).all()
    assert np.isfinite(gone[:, width:]).all()
    if policy != "error":
        unseen = X.assign(letter="?")
        np.testing.assert_array_equal(encoder.transform(unseen), plain.transform(unseen))
    back = encoder.inverse_transform(gone)[0, 0]
    assert back is None if policy == "nan" else np.isnan(back)


@pytest.mark.parametrize("pooling", ["max", "gru"])
def test_a_missing_item_makes_the_vector_of_its_list_nan(pooling: str) -> None:
    lists = [["a", "b"], ["a", None], None, [], ["b"]] * 12
    X, y = pd.DataFrame({"words": pd.Series(lists, dtype=object)}), np.arange(60) % 7 / 7
    encoder = make_encoder(pooling=pooling, handle_missing="nan", output="both")
    learned = make_encoder(pooling=pooling, output="both")
    trained, out = learned.fit_transform(X, y), encoder.fit_transform(X, y)
    width = encoder.dimensions_["words"]
    for expected, got in ((trained, out), (learned.transform(X), encoder.transform(X))):
        expected[np.isin(np.arange(60) % 5, [1, 2]), :width] = np.nan
        np.testing.assert_array_equal(got, expected)


def test_an_empty_column_of_nan_has_unknown_categories_only() -> None:
    X, y = make_rows(60)
    empty = X.assign(letter=pd.Series([None] * 60, dtype=object))
    with pytest.warns(EmptyColumnWarning):
        encoder = make_encoder(handle_missing="nan").fit(empty, y)
    assert np.isnan(encoder.transform(empty)[:, : encoder.dimensions_["letter"]]).all()
    out = encoder.transform(X)
    assert np.isfinite(out).all()
    assert encoder.inverse_transform(out)[0, 0] is None
    assert encoder.inverse_transform(out + np.float32(0.01))[0, 0] is None


GONE = [None, np.nan, pd.NA, pd.NaT]
MARKERS = {
    "pandas": pd.DataFrame({"c": pd.Series(["a", *GONE, "a"], dtype=object)}),
    "nullable": pd.DataFrame({"c": pd.Series(["a", pd.NA, "a"], dtype="string")}),
    "arrow-backed": pd.DataFrame({"c": pd.Series(["a", None, "a"], dtype="string[pyarrow]")}),
    "category": pd.DataFrame({"c": pd.Categorical(["a", None, "a"])}),
    "polars category": pl.DataFrame({"c": ["a", None, "a"]}, schema={"c": pl.Categorical}),
    "dictionary": pa.table({"c": pa.array(["a", None, "a"]).dictionary_encode()}),
}


@pytest.mark.parametrize("table", [*MARKERS.values()], ids=[*MARKERS])
def test_every_missing_marker_is_the_same_category(table: Any) -> None:
    repeated = pd.DataFrame({"c": ["a", "b", None, "a"] * 10})
    y = np.array([0.0, 1.0, 5.0, 0.1] * 10)
    encoder = make_encoder(max_iter=5, unknown_rate=0.0).fit(repeated, y)
    out = encoder.transform(table)
    assert (out[1:-1] == encoder.embeddings_["c"].iloc[-1].to_numpy()).all()
    np.testing.assert_array_equal(out[0], encoder.embeddings_["c"].loc["a"])
    n = len(out) - 2
    with pytest.raises(InvalidDataError, match=rf"Column 'c' has {n} missing"):
        make_encoder(handle_missing="error").fit(table, np.arange(n + 2) / 7)
    strict = make_encoder(handle_missing="error").fit(repeated.dropna(), y[:30])
    with pytest.raises(InvalidDataError, match=rf"Column 'c' has {n} missing"):
        strict.transform(table)


def test_every_missing_marker_without_column_names() -> None:
    table = [["a"], *([gone] for gone in GONE), ["b"]]
    y = np.arange(6) / 3
    encoder = make_encoder(cv=2).fit(table, y)
    assert encoder.categories_["x0"][:2].tolist() == ["a", "b"]
    assert encoder.category_counts_["x0"].tolist() == [1, 1, 4]
    with pytest.raises(InvalidDataError, match=r"Column 'x0' has 4 missing"):
        make_encoder(handle_missing="error").fit(table, y)


@pytest.mark.parametrize(
    "column",
    [
        pd.Series([1, None, 2, 3] * 10, dtype="Int64"),
        pl.Series([1.0, float("nan"), 2.0, 3.0] * 10),
        pl.Series([1.0, None, 2.0, 3.0] * 10),
        pa.array([1.0, float("nan"), 2.0, 3.0] * 10),
    ],
    ids=["Int64", "polars nan", "polars null", "arrow nan"],
)
def test_a_missing_number_is_a_category_or_context_alike(column: Any) -> None:
    y = np.array([0.0, 5.0, 1.0, 2.0] * 10)
    letters = ["a", "b", "a", "b"] * 10
    frame = {pd.Series: pd.DataFrame, pl.Series: pl.DataFrame}.get(type(column), pa.table)
    numbers = [1.0, np.nan, 2.0, 3.0] * 10
    category, context = make_encoder(), make_encoder(output="hidden")
    expected = category.fit_transform(pd.DataFrame({"c": numbers}), y)
    np.testing.assert_array_equal(category.fit_transform(frame({"c": column}), y), expected)
    np.testing.assert_array_equal(category.categories_["c"].astype(float), [1.0, 2.0, 3.0, np.nan])
    expected = context.fit_transform(pd.DataFrame({"c": numbers, "l": letters}), y)
    found = context.fit_transform(frame({"c": column, "l": letters}), y)
    np.testing.assert_array_equal(found, expected)


# Rare --------------------------------------------------------------------------------------

SKEWED = np.repeat(["a", "b", "c", "d", "e", "f"], [40, 20, 12, 6, 6, 1])


@pytest.mark.parametrize(
    ("min_frequency", "max_categories"),
    [(6, None), (0.08, None), (None, 1), (None, 6), (7, 3)],
)
def test_rare_levels_are_those_of_one_hot_encoder(
    min_frequency: float | None, max_categories: int | None
) -> None:
    limits = {"min_frequency": min_frequency, "max_categories": max_categories}
    X, y = pd.DataFrame({"c": SKEWED}), np.random.default_rng(0).normal(size=len(SKEWED))
    expected = OneHotEncoder(**limits).fit(X).infrequent_categories_[0]
    got = make_encoder(max_iter=1, **limits).fit(X, y).infrequent_categories_["c"]
    assert (None if got is None else got.tolist()) == (
        None if expected is None else expected.tolist()
    )


def test_rare_levels_share_a_vector_and_keep_their_counts() -> None:
    X = pd.DataFrame({"c": [*SKEWED, None, None]})  # missing cells are never rare
    y = np.random.default_rng(0).normal(size=len(X))
    weight = np.where(X["c"] == "a", 0.01, 5.0)  # and weights make no level rare
    encoder = make_encoder(min_frequency=10).fit(X, y, sample_weight=weight)
    assert encoder.infrequent_categories_["c"].tolist() == ["d", "e", "f"]
    vectors = encoder.embeddings_["c"]
    np.testing.assert_array_equal(vectors.loc["d"], vectors.loc["f"])
    assert not np.array_equal(vectors.loc["d"], vectors.loc["a"])
    assert not np.array_equal(vectors.loc["d"], vectors.iloc[-1])
    assert encoder.category_counts_["c"].tolist() == [40, 20, 12, 6, 6, 1, 2]
    out = encoder.transform(pd.DataFrame({"c": ["f", "unseen"]}))
    np.testing.assert_array_equal(out[0], vectors.loc["f"])
    assert not np.array_equal(out[1], out[0])


# Unknown -----------------------------------------------------------------------------------


def unseen_letters(X: Frame) -> Frame:
    return X.assign(letter="?")


@pytest.mark.parametrize(
    ("policy", "cross_fit"), [("zero", True), ("zero", False), ("nan", False), ("error", True)]
)
def test_handle_unknown_changes_the_unknown_row_only(policy: str, cross_fit: bool) -> None:
    X, y = make_rows(120)
    params = {"cross_fit": cross_fit, "output": "both", "max_iter": 4}
    encoder, learned = make_encoder(handle_unknown=policy, **params), make_encoder(**params)
    trained = encoder.fit_transform(X, y)
    np.testing.assert_array_equal(trained, learned.fit_transform(X, y))
    np.testing.assert_array_equal(encoder.transform(X), learned.transform(X))
    unseen, width = unseen_letters(X), encoder.dimensions_["letter"]
    if policy == "error":
        with pytest.raises(InvalidDataError, match=r"unknown categories in column 'letter'.*'\?'"):
            encoder.transform(unseen)
        return
    out = encoder.transform(unseen)
    expected = 0.0 if policy == "zero" else np.nan
    np.testing.assert_array_equal(out[:, :width], np.full((len(X), width), expected))
    # the hidden layer is that of the learned vector
    np.testing.assert_array_equal(out[:, width:], learned.transform(unseen)[:, width:])


def test_missing_that_fit_never_saw_is_an_unknown_error() -> None:
    X, y = make_rows(60)
    encoder = make_encoder(handle_unknown="error").fit(X, y)
    with pytest.raises(InvalidDataError, match=r"'letter'.* 60 row\(s\).*missing value"):
        encoder.transform(X.assign(letter=None))


def test_the_unknown_error_shows_the_value_in_any_container() -> None:
    X, y = make_rows(60)
    encoder = make_encoder(handle_unknown="error").fit(X, y)
    X.loc[7, "color"] = "pink"
    with pytest.raises(InvalidDataError, match=r"column 'color'.*1 row\(s\).*'pink'"):
        encoder.transform(pl.from_pandas(X))


def test_the_zero_of_a_frozen_column_is_its_center() -> None:
    X, y = make_rows(120)
    given = pd.DataFrame(
        np.arange(10.0).reshape(5, 2) + 3.0, index=["a", "b", "c", "d", "e"], dtype=np.float32
    )
    encoder = make_encoder(init={"letter": given}, freeze=["letter"], handle_unknown="zero")
    encoder.fit(X, y)
    out = encoder.transform(unseen_letters(X))[0, :2]
    shares = X["letter"].value_counts(normalize=True)
    np.testing.assert_allclose(out, given.T @ shares.loc[given.index], rtol=1e-5)


def test_the_unknown_row_is_trained_by_replacing_codes() -> None:
    for rate in (0.0, 0.3):
        encoder = make_encoder(early_stopping=False, max_iter=6, unknown_rate=rate)
        fit = partial(encoder.fit, *make_rows(240))
        (before, *_), (after, *_) = watch_learning(fit)
        moved = np.abs(after - before)[:, UNKNOWN].max(axis=1)
        assert (moved > 1e-3).all() if rate else (moved == 0).all()


def test_a_category_that_only_its_own_fold_holds_is_unknown_there() -> None:
    X, y = make_rows(120)
    X.loc[0, "letter"] = "once"
    encoder = make_encoder(max_iter=4)
    trained = encoder.fit_transform(X, y)
    table, width = encoder._model.tables[0], encoder.dimensions_["letter"]
    own = table.stack[encoder.fold_[0]]
    np.testing.assert_array_equal(trained[0, :width], own[UNKNOWN])
    unknown = encoder.transform(unseen_letters(X[:1]))[0, :width]
    np.testing.assert_array_equal(unknown, table.vectors[UNKNOWN])
    assert not np.array_equal(encoder.transform(X)[0, :width], trained[0, :width])
    # the mean is over the tables that saw it only
    row = table.vocabulary.encode(_column(["once"]))[0]
    others = np.delete(table.stack[:-1, row], encoder.fold_[0], axis=0)
    np.testing.assert_allclose(table.vectors[row], others.mean(axis=0), atol=1e-6)


def test_a_category_of_validation_rows_only_is_unknown_without_cross_fitting() -> None:
    X, y = make_rows(60)
    X["letter"] = [f"level {i}" for i in range(60)]
    encoder = make_encoder(cross_fit=False, validation_fraction=0.2).fit(X, y)
    table = encoder._model.tables[0]
    unknown = (table.vectors == table.vectors[UNKNOWN]).all(axis=1)
    assert unknown[table.vocabulary.label_rows].sum() == 12


def _column(values: list[Any]) -> Any:
    from sk_entity_embed.input.columns import read_table

    return read_table([[v] for v in values]).columns[0]


# Numbers passed through --------------------------------------------------------------------


@pytest.mark.parametrize("output", ["embedding", "hidden"])
def test_passthrough_keeps_numbers_their_names_and_their_gaps(output: str) -> None:
    X, y = make_rows(120)
    X.insert(0, "first", np.arange(120))
    X.loc[3, "size"] = np.nan
    encoder = make_encoder(remainder="passthrough", output=output)
    for out in (encoder.fit_transform(X, y), encoder.transform(X)):
        assert out.dtype == np.float32
        np.testing.assert_array_equal(out[:, -2:], X[["first", "size"]].to_numpy(np.float32))
    assert encoder.get_feature_names_out()[-2:].tolist() == ["first", "size"]
    dropped = make_encoder(output=output).fit(X, y)
    np.testing.assert_array_equal(dropped.transform(X), encoder.transform(X)[:, :-2])
    assert dropped.get_feature_names_out().tolist() == encoder.get_feature_names_out().tolist()[:-2]


def test_standardised_vectors_of_unknown_categories_stay_moderate():
    # three levels span two axes; in the others only the unknown vector differs from zero
    X, y = make_rows(300)
    encoder = make_encoder(cross_fit=False, dimensions=5, unknown_rate=0.2, max_iter=5)
    model = make_pipeline(encoder, StandardScaler(), Ridge()).fit(X[["color"]], y)
    vectors = encoder.transform(X[["color"]])
    assert (np.ptp(vectors, axis=0) == 0).sum() == 3
    predicted = model.predict(pd.DataFrame({"color": ["puce"]}))
    assert y.min() - np.ptp(y) < predicted[0] < y.max() + np.ptp(y)
