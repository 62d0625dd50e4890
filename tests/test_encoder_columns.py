"""Any container in, and which of its columns are categorical."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.compose import make_column_selector

from sk_entity_embed import EntityEmbeddingEncoder, EntityEmbeddingRegressor
from sk_entity_embed.exceptions import ColumnRoleWarning, UnsupportedDataError
from tests.containers import CONTAINERS, NAMELESS, PYTHON_OBJECTS, make_container
from tests.samples import make_encoder, make_rows

Make = Callable[[Mapping[str, Sequence[Any]]], Any]

COLUMNS: dict[str, list[Any]] = {
    "x0": ["Zürich", "a", "", None, "b", "a", "naïve", "b"] * 10,
    "x1": [True, False, True, True, False, None, True, False] * 10,
    "x2": [1.5, -2.0, None, 0.25, 1.5, 3.0, 4.0, -1.0] * 10,
    "x3": [3, 1, 2, 3, 1, 2, 5, 4] * 10,
}
UNSEEN: dict[str, list[Any]] = {
    "x0": ["new", "b", None, "a"],
    "x1": [True, None, False, False],
    "x2": [0.0, None, 1.5, 9.0],
    "x3": [1, 7, 3, 2],
}
Y = np.array([1.0, 2.0, 0.5, -1.0, 3.0, 1.5, 0.0, 2.5] * 10)


def make_regressor() -> EntityEmbeddingRegressor:
    """A regressor of a small network."""
    return EntityEmbeddingRegressor(hidden_layer_sizes=(4,), max_iter=1, cv=2, random_state=0)


def fit(X: Any, **params: Any) -> tuple[EntityEmbeddingEncoder, bytes]:
    """An encoder, and the bytes of the training rows' output."""
    encoder = make_encoder(output="both", remainder="passthrough", max_iter=1, **params)
    return encoder, encoder.fit_transform(X, Y).tobytes()


@pytest.fixture(scope="module", params=["auto", "all"])
def reference(request: pytest.FixtureRequest) -> tuple[EntityEmbeddingEncoder, bytes]:
    return fit(make_container("polars", COLUMNS), categorical_features=request.param)


@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
def test_equal_data_gives_equal_bytes_whatever_the_container(
    container: Make, reference: tuple[EntityEmbeddingEncoder, bytes]
) -> None:
    expected, trained = reference
    encoder, got = fit(container(COLUMNS), categorical_features=expected.categorical_features)
    assert got == trained
    for name, vectors in expected.embeddings_.items():
        pd.testing.assert_frame_equal(encoder.embeddings_[name], vectors, check_exact=True)
    new = expected.transform(make_container("polars", UNSEEN)).tobytes()
    assert encoder.transform(container(UNSEEN)).tobytes() == new
    assert expected.transform(container(UNSEEN)).tobytes() == new  # fitted on another container
    assert encoder.n_features_in_ == 4
    names = getattr(encoder, "feature_names_in_", None)
    if container.name in NAMELESS:  # type: ignore[attr-defined]
        assert names is None
        assert encoder.get_feature_names_out()[0] == "x0_0"
    else:
        assert names.tolist() == ["x0", "x1", "x2", "x3"]


# Which columns -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        ("auto", ["letter", "color"]),
        ("all", ["letter", "color", "size"]),
        (["color", "letter"], ["letter", "color"]),
        ([1, 0], ["letter", "color"]),
        (np.array([-3, -2]), ["letter", "color"]),
        ([True, True, False], ["letter", "color"]),
        (make_column_selector(dtype_exclude="number"), ["letter", "color"]),
        (lambda X: [c for c in X.columns if c != "size"], ["letter", "color"]),
    ],
)
def test_categorical_features_select_columns(selection: Any, expected: list[str]) -> None:
    X, y = make_rows(60)
    encoder = make_encoder(categorical_features=selection)
    out = encoder.fit_transform(X, y)
    assert encoder.categorical_features_ == expected
    assert list(encoder.embeddings_) == list(encoder.dimensions_) == expected
    named = make_encoder(categorical_features=expected)
    assert out.tobytes() == named.fit_transform(X, y).tobytes()


@pytest.mark.parametrize("estimator", [make_encoder, make_regressor])
def test_all_estimators_embed_whole_numbers_where_there_are_only_numbers(estimator: Any) -> None:
    for X, expected in (
        ((np.arange(60).reshape(20, 3) % 7).astype(float), ["x0", "x1", "x2"]),
        (pl.DataFrame({"q": [0.5, 1.5, 2.5, 3.5] * 5, "p": [1, None] * 10}), ["p"]),
    ):
        assert estimator().fit(X, np.arange(20) % 5 / 5).categorical_features_ == expected


def test_an_encoder_of_fractions_alone_embeds_them_and_says_so() -> None:
    X, y = make_rows(40)
    with pytest.warns(ColumnRoleWarning, match=r"'size' \(fractions\).*`categorical_features`"):
        encoder = make_encoder().fit(X[["size"]], y)
    assert encoder.categorical_features_ == ["size"]
    assert make_encoder(categorical_features="all").fit(X[["size"]], y).dimensions_["size"] > 1
    assert make_regressor().fit(X[["size"]], y).categorical_features_ == []


@pytest.mark.parametrize(
    "values",
    [
        pd.date_range("2024-01-01", periods=5),
        pd.period_range("2024-01", periods=5, freq="M"),
        pd.interval_range(0, 5),
        pd.array([datetime.date(2024, 1, d) for d in range(1, 6)], dtype="date32[pyarrow]"),
        np.array([datetime.time(d) for d in range(5)], dtype=object),
    ],
    ids=["datetime", "period", "interval", "arrow-date", "time"],
)
def test_dates_and_the_like_need_a_decision(values: Any) -> None:
    letters = ["a", "b", "c", "d"] * 5
    X = pd.DataFrame({"letter": letters, "when": np.resize(np.arange(5), 20)})
    X["when"] = pd.Series(values).take(X["when"]).reset_index(drop=True)
    y = np.arange(20) % 5 / 5
    with pytest.raises(UnsupportedDataError, match=r"Column 'when' .*`categorical_features`"):
        make_encoder().fit(X, y)
    with pytest.raises(UnsupportedDataError, match=r"Column 'when' .*only numbers"):
        make_encoder(categorical_features=["letter"]).fit(X, y)
    encoder = make_encoder(categorical_features=["letter", "when"]).fit(X, y)
    assert len(encoder.categories_["when"]) == 5
    back = encoder.inverse_transform(encoder.transform(X))
    assert back[:, 1].tolist() == X["when"].tolist()


# Values and dtypes -------------------------------------------------------------------------


def test_values_of_mixed_type_work_and_1_is_not_the_text_1() -> None:
    cells = [1, "1", 2.5, True, ("t", 1), None, "z", 0] * 6
    for name in PYTHON_OBJECTS:
        X = make_container(name, {"x0": cells})
        encoder = make_encoder().fit(X, Y[:48])
        # 1 == True in Python, hence one category; missing is the last.
        assert encoder.categories_["x0"][:-1].tolist() == [0, 1, 2.5, "1", "z", ("t", 1)]
        out = encoder.transform(X)
        assert not np.array_equal(out[0], out[1])
        np.testing.assert_array_equal(out[0], out[3])


def test_values_that_cannot_be_sorted_are_in_one_order_all_the_same() -> None:
    cells = [(1, "a"), ("a", 1), (None, 2), (1, "a")] * 5
    orders = []
    for rows in (cells, cells[::-1]):
        X = pd.DataFrame({"c": pd.Series(rows, dtype=object)})
        encoder = make_encoder().fit(X, np.arange(20) % 4 / 7)
        orders.append(encoder.categories_["c"].tolist())
        assert encoder.inverse_transform(encoder.transform(X)).ravel().tolist() == rows
    assert orders[0] == orders[1]


TEXTS = ["a", "b", "", "c", "a", "b", "ñ", "c"] * 5
NUMBERS = [3, 1, 2, 3, 7, 1, 2, 0] * 5
BOOLEANS = [True, False, True, True, False] * 8


@pytest.mark.parametrize(
    "column",
    [
        *(pd.Series(TEXTS, dtype=t) for t in ("string", "string[pyarrow]", "string[python]")),
        pd.Series(TEXTS, dtype=pd.ArrowDtype(pa.dictionary(pa.int32(), pa.string()))),
        pl.Series(TEXTS, dtype=pl.Enum(["unused", "ñ", "c", "b", "a", ""])),
        *(pa.array(TEXTS, t) for t in (pa.large_string(), pa.string_view())),
        pa.chunked_array([pa.array(t).dictionary_encode() for t in (TEXTS[:9], TEXTS[9:])]),
        np.array(TEXTS),
        *(pd.Series(NUMBERS, dtype=t) for t in ("uint16", "float32", "Int64", "int32[pyarrow]")),
        *(pd.Series(NUMBERS, dtype=t) for t in ("category", "double[pyarrow]")),
        pl.Series(NUMBERS, dtype=pl.UInt8),
        *(pa.array(NUMBERS, t) for t in (pa.uint64(), pa.float32())),
        pa.array(np.array(NUMBERS, dtype=np.float16)),
        *(np.array(NUMBERS, t) for t in ("u1", "f2", ">i4", ">f8")),
        *(pd.Series(BOOLEANS, dtype=t) for t in ("boolean", "bool[pyarrow]", "category")),
        pl.Series(BOOLEANS),
        pa.array(BOOLEANS),
        np.array(BOOLEANS, dtype=object),
    ],
    ids=lambda c: f"{type(c).__module__.split('.')[0]}-{getattr(c, 'dtype', None) or c.type}",
)
def test_every_dtype_of_the_same_values_is_the_same_column(column: Any) -> None:
    values = {"a": TEXTS, 3: NUMBERS, True: BOOLEANS}[np.asarray(column).tolist()[0]]
    is_category = values is not NUMBERS or getattr(column, "dtype", None) == "category"
    beside = {"x1": TEXTS, "x2": Y[:40]}
    for features, others, chosen in (
        ("all", {}, ["x0"]),
        ("auto", beside, ["x0", "x1"] if is_category else ["x1"]),
    ):
        params = {"output": "both", "max_iter": 1}
        expected = make_encoder(categorical_features=chosen, **params)
        encoder = make_encoder(categorical_features=features, **params)
        trained = expected.fit_transform(pd.DataFrame({"x0": values, **others}), Y[:40])
        assert (
            encoder.fit_transform(_frame(column, **others), Y[:40]).tobytes() == trained.tobytes()
        )
        assert encoder.categorical_features_ == chosen
        if features == "all":
            assert encoder.categories_["x0"].tolist() == sorted(set(values))


def test_whole_numbers_beyond_63_bits_are_numbers_in_every_container() -> None:
    columns = {"x0": [2**63 + 5, 1, 2, 3] * 10, "x1": ["a", "b", "c", "d"] * 10}
    for name in CONTAINERS:
        if name == "pyarrow":  # infers signed integers only
            table = pa.table({"x0": pa.array(columns["x0"], pa.uint64()), "x1": columns["x1"]})
        else:
            table = make_container(name, columns)
        assert make_encoder(max_iter=1).fit(table, Y[:40]).categorical_features_ == ["x1"]
        encoder = make_encoder(categorical_features="all", max_iter=1).fit(table, Y[:40])
        assert encoder.categories_["x0"].tolist() == [1, 2, 3, 2**63 + 5]


def test_a_constant_column_is_one_category_in_the_center() -> None:
    X = pd.DataFrame({"c": ["a"] * 40})
    for sizes in ((), (4,)):
        encoder = make_encoder(hidden_layer_sizes=sizes).fit(X, Y[:40])
        assert encoder.categories_["c"].tolist() == ["a"]
        np.testing.assert_allclose(encoder.transform(X), 0, atol=1e-6)
        assert set(encoder.inverse_transform(encoder.transform(X)).ravel()) == {"a"}


def test_labels_that_are_no_strings_are_positions_and_can_be_selected() -> None:
    X, y = make_rows(60)
    expected = make_encoder().fit_transform(X, y)
    X.columns = [10, 20, 5]
    for selection in ("auto", [20, 10]):
        encoder = make_encoder(categorical_features=selection)
        assert encoder.fit_transform(X, y).tobytes() == expected.tobytes()
        assert encoder.categorical_features_ == ["x0", "x1"]
        assert encoder.get_feature_names_out()[0] == "x0_0"
        assert not hasattr(encoder, "feature_names_in_")


def test_pandas_sparse_columns_are_read_by_value() -> None:
    dense = pd.DataFrame({"c": [0, 0, 1, 2] * 10})
    encoder = make_encoder().fit(dense.astype(pd.SparseDtype("int64", 0)), Y[:40])
    assert _vectors(encoder) == _vectors(make_encoder().fit(dense, Y[:40]))


def _vectors(encoder: EntityEmbeddingEncoder) -> bytes:
    return encoder.embeddings_["x0" if "x0" in encoder.embeddings_ else "c"].to_numpy().tobytes()


def _frame(column: Any, **others: Any) -> Any:
    """The column as "x0" of a table of its own kind."""
    if isinstance(column, pd.Series):
        return pd.DataFrame({"x0": column, **others})
    if isinstance(column, pl.Series):
        return pl.DataFrame({"x0": column, **others})
    if isinstance(column, np.ndarray):
        if not others:
            return column.reshape(-1, 1)
        mixed = np.empty((len(column), 1 + len(others)), dtype=object)
        mixed[:, 0] = column
        for j, values in enumerate(others.values(), start=1):
            mixed[:, j] = values
        return mixed
    return pa.table({"x0": column, **others})
