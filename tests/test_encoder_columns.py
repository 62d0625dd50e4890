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


def encode(make: Make, **params: Any) -> tuple[bytes, bytes, EntityEmbeddingEncoder]:
    """Bytes of the training rows' and of new rows' output, and the encoder."""
    encoder = make_encoder(output="both", remainder="passthrough", **params)
    trained = encoder.fit_transform(make(COLUMNS), Y)
    return trained.tobytes(), encoder.transform(make(UNSEEN)).tobytes(), encoder


def make_regressor() -> EntityEmbeddingRegressor:
    """A regressor of a small network."""
    return EntityEmbeddingRegressor(hidden_layer_sizes=(4,), max_iter=1, cv=2, random_state=0)


@pytest.fixture(scope="module")
def reference() -> tuple[bytes, bytes, EntityEmbeddingEncoder]:
    return encode(lambda columns: make_container("pandas", columns))


def test_equal_data_gives_equal_bytes_whatever_the_container(
    container: Make, reference: tuple[bytes, bytes, EntityEmbeddingEncoder]
) -> None:
    trained, new, encoder = encode(container)
    assert encoder.categorical_features_ == ["x0", "x1"]
    assert trained == reference[0]
    assert new == reference[1]
    for name, vectors in reference[2].embeddings_.items():
        pd.testing.assert_frame_equal(encoder.embeddings_[name], vectors, check_exact=True)


def test_equal_data_gives_equal_bytes_where_numbers_are_categories(container: Make) -> None:
    expected = encode(lambda c: make_container("pandas", c), categorical_features="all")
    got = encode(container, categorical_features="all")
    assert got[0] == expected[0]
    assert got[1] == expected[1]


@pytest.mark.parametrize("features", ["auto", "all"])
def test_one_container_in_fit_and_another_in_transform(container: Make, features: str) -> None:
    for other in ("pandas", "polars"):
        fitted = make_encoder(output="both", categorical_features=features)
        fitted.fit(make_container(other, COLUMNS), Y)
        expected = fitted.transform(make_container(other, UNSEEN)).tobytes()
        if container.name in NAMELESS:  # type: ignore[attr-defined]
            with pytest.warns(UserWarning, match="does not have valid feature names"):
                got = fitted.transform(container(UNSEEN))
        else:
            got = fitted.transform(container(UNSEEN))
        assert got.tobytes() == expected


@pytest.mark.parametrize("name", [c for c in CONTAINERS if c not in NAMELESS])
def test_named_containers_keep_their_names(name: str) -> None:
    X = make_container(name, COLUMNS)
    encoder = make_encoder().fit(X, Y)
    assert encoder.feature_names_in_.tolist() == ["x0", "x1", "x2", "x3"]
    assert encoder.n_features_in_ == 4


@pytest.mark.parametrize("name", NAMELESS)
def test_nameless_containers_have_no_names(name: str) -> None:
    encoder = make_encoder().fit(make_container(name, COLUMNS), Y)
    assert not hasattr(encoder, "feature_names_in_")
    assert encoder.n_features_in_ == 4
    assert encoder.get_feature_names_out()[0] == "x0_0"


@pytest.mark.parametrize(
    "y",
    [
        Y.tolist(),
        pd.Series(Y),
        pd.Series(Y).convert_dtypes(),
        pd.Series(Y, dtype="float64[pyarrow]"),
        pl.Series(Y),
        pa.array(Y),
        pa.chunked_array([Y[:30], Y[30:]]),
    ],
    ids=["list", "pandas", "nullable", "arrow-backed", "polars", "pyarrow", "chunked"],
)
def test_the_target_may_come_in_any_container(
    y: Any, reference: tuple[bytes, bytes, EntityEmbeddingEncoder]
) -> None:
    encoder = make_encoder(output="both", remainder="passthrough")
    trained = encoder.fit_transform(make_container("pandas", COLUMNS), y)
    assert trained.tobytes() == reference[0]


@pytest.mark.parametrize(
    "y",
    [
        pd.Series(["p", "q", "r", "q"] * 20),
        pd.Series(["p", "q", "r", "q"] * 20, dtype=object),
        pd.Series(["p", "q", "r", "q"] * 20, dtype="category"),
        pd.Series(["p", "q", "r", "q"] * 20, dtype="string[pyarrow]"),
        pl.Series(["p", "q", "r", "q"] * 20),
        pl.Series(["p", "q", "r", "q"] * 20, dtype=pl.Categorical),
        pa.array(["p", "q", "r", "q"] * 20),
        np.array(["p", "q", "r", "q"] * 20),
    ],
)
def test_labels_may_come_in_any_container(y: Any) -> None:
    encoder = make_encoder().fit(make_container("pandas", COLUMNS), y)
    assert encoder.target_type_ == "multiclass"
    assert encoder.classes_.tolist() == ["p", "q", "r"]


# Which columns -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        ("auto", ["letter", "color"]),
        ("all", ["letter", "color", "size"]),
        (["color", "letter"], ["letter", "color"]),
        ([1, 0], ["letter", "color"]),
        ([-3, -2], ["letter", "color"]),
        (np.array([0, 1]), ["letter", "color"]),
        (("letter", "color"), ["letter", "color"]),
        ([True, True, False], ["letter", "color"]),
        (np.array([True, True, True]), ["letter", "color", "size"]),
        (make_column_selector(dtype_exclude="number"), ["letter", "color"]),
        (make_column_selector(pattern="letter|color|size"), ["letter", "color", "size"]),
        (lambda X: [c for c in X.columns if c != "size"], ["letter", "color"]),
    ],
)
def test_categorical_features_select_columns(selection: Any, expected: list[str]) -> None:
    X, y = make_rows(60)
    encoder = make_encoder(categorical_features=selection).fit(X, y)
    assert encoder.categorical_features_ == expected
    assert list(encoder.embeddings_) == expected
    assert list(encoder.dimensions_) == expected


@pytest.mark.parametrize("selection", [["letter", "color"], [0, 1], [True, True, False]])
def test_every_way_to_name_the_same_columns_gives_the_same_bytes(selection: Any) -> None:
    X, y = make_rows(60)
    named = make_encoder(categorical_features=selection).fit_transform(X, y)
    assert named.tobytes() == make_encoder().fit_transform(X, y).tobytes()


@pytest.mark.parametrize("estimator", [make_encoder, make_regressor])
@pytest.mark.parametrize(
    ("X", "expected"),
    [
        (np.arange(60).reshape(20, 3) % 7, ["x0", "x1", "x2"]),
        ((np.arange(60).reshape(20, 3) % 7).astype(float), ["x0", "x1", "x2"]),
        (pd.DataFrame({"p": [1, None] * 10, "q": [0.5, 1.5, 2.5, 3.5] * 5}), ["p"]),
        (pl.DataFrame({"q": [0.5, 1.5, 2.5, 3.5] * 5, "p": [1, 2] * 10}), ["p"]),
        ([[1, 2.5], [2, 3.5]] * 10, ["x0"]),
    ],
)
def test_all_estimators_embed_whole_numbers_where_there_are_only_numbers(
    estimator: Any, X: Any, expected: list[str]
) -> None:
    fitted = estimator().fit(X, np.arange(20) % 5 / 5)
    assert fitted.categorical_features_ == expected


def test_an_encoder_of_fractions_alone_embeds_them_and_says_so() -> None:
    X, y = make_rows(40)
    with pytest.warns(ColumnRoleWarning, match=r"'size' \(fractions\).*`categorical_features`"):
        encoder = make_encoder().fit(X[["size"]], y)
    assert encoder.categorical_features_ == ["size"]
    assert make_encoder(categorical_features="all").fit(X[["size"]], y).dimensions_["size"] > 1
    assert make_regressor().fit(X[["size"]], y).categorical_features_ == []


def test_numbers_are_context_beside_a_categorical_column() -> None:
    X, y = make_rows(120)
    encoder = make_encoder(output="hidden").fit(X, y)
    moved = encoder.transform(X.assign(size=X["size"] + 1.0))
    assert not np.array_equal(encoder.transform(X), moved)
    only = make_encoder(output="hidden", categorical_features="all").fit(X, y)
    unseen = only.transform(X.assign(size=100.0))
    np.testing.assert_array_equal(unseen, only.transform(X.assign(size=200.0)))


@pytest.mark.parametrize(
    "values",
    [
        pd.date_range("2024-01-01", periods=5),
        pd.timedelta_range("1h", periods=5),
        pd.period_range("2024-01", periods=5, freq="M"),
        pd.interval_range(0, 5),
        pd.array([datetime.date(2024, 1, d) for d in range(1, 6)], dtype="date32[pyarrow]"),
        np.array([datetime.time(d) for d in range(5)], dtype=object),
        np.array([datetime.date(2024, 1, d) for d in range(1, 6)], dtype=object),
    ],
    ids=["datetime", "timedelta", "period", "interval", "arrow-date", "time", "date"],
)
def test_dates_and_the_like_need_a_decision(values: Any) -> None:
    letters = ["a", "b", "c", "d"] * 5
    X = pd.DataFrame({"letter": letters, "when": pd.Series(values).take(np.arange(20) % 5)})
    X.index = pd.RangeIndex(20)
    X["letter"] = letters
    y = np.arange(20) % 5 / 5
    with pytest.raises(UnsupportedDataError, match=r"Column 'when' .*`categorical_features`"):
        make_encoder().fit(X, y)
    with pytest.raises(UnsupportedDataError, match=r"Column 'when' .*only numbers"):
        make_encoder(categorical_features=["letter"]).fit(X, y)
    encoder = make_encoder(categorical_features=["letter", "when"]).fit(X, y)
    assert len(encoder.categories_["when"]) == 5
    back = encoder.inverse_transform(encoder.transform(X))
    assert back[:, 1].tolist() == X["when"].tolist()


@pytest.mark.parametrize("frame", [pl.DataFrame, pa.table, pd.DataFrame])
def test_dates_named_as_categories_are_equal_in_all_containers(frame: Any) -> None:
    when = [datetime.datetime(2024, 1, 1 + d % 5) for d in range(20)]
    y = np.arange(20) % 5 / 5
    with pytest.raises(UnsupportedDataError, match="Column 'when'"):
        make_encoder().fit(frame({"when": when}), y)
    encoder = make_encoder(categorical_features=["when"]).fit(frame({"when": when}), y)
    expected = make_encoder(categorical_features=["when"]).fit(pd.DataFrame({"when": when}), y)
    assert len(encoder.categories_["when"]) == 5
    got = encoder.transform(frame({"when": when[::-1]}))
    assert got.tobytes() == expected.transform(pd.DataFrame({"when": when[::-1]})).tobytes()


# Values and dtypes -------------------------------------------------------------------------


@pytest.mark.parametrize("name", PYTHON_OBJECTS)
def test_values_of_mixed_type_work_and_1_is_not_the_text_1(name: str) -> None:
    cells = [1, "1", 2.5, True, ("t", 1), None, "z", 0] * 6
    X = make_container(name, {"x0": cells})
    y = np.array([1.0, -1.0, 0.0, 1.0, 2.0, 3.0, -2.0, 0.5] * 6)
    encoder = make_encoder(max_iter=8).fit(X, y)
    # 1 == True in Python, hence one category; missing is the last.
    assert encoder.categories_["x0"][:-1].tolist() == [0, 1, 2.5, "1", "z", ("t", 1)]
    out = encoder.transform(X)
    assert not np.array_equal(out[0], out[1])
    np.testing.assert_array_equal(out[0], out[3])


def test_values_that_cannot_be_sorted_are_in_one_order_all_the_same() -> None:
    cells = [(1, "a"), ("a", 1), (None, 2), (1, "a")] * 5
    y = np.arange(20) % 4 / 7
    orders = []
    for rows in (cells, cells[::-1]):
        X = pd.DataFrame({"c": pd.Series(rows, dtype=object)})
        encoder = make_encoder().fit(X, y)
        orders.append(encoder.categories_["c"].tolist())
        assert encoder.inverse_transform(encoder.transform(X)).ravel().tolist() == rows
    assert orders[0] == orders[1]
    assert set(orders[0]) == set(cells)


def test_text_is_unknown_where_numbers_were_categories_and_the_other_way_round() -> None:
    y = np.array([0.0, 1.0] * 10)
    numbers, texts = pd.DataFrame({"c": [1, 2] * 10}), pd.DataFrame({"c": ["1", "2"] * 10})
    for fitted, asked in ((numbers, texts), (texts, numbers)):
        encoder = make_encoder(target_type="continuous", handle_unknown="nan").fit(fitted, y)
        assert np.isnan(encoder.transform(asked)).all()
        assert np.isfinite(encoder.transform(fitted)).all()


TEXTS = ["a", "b", "", "c", "a", "b", "ñ", "c"] * 5


@pytest.mark.parametrize(
    "column",
    [
        pd.Series(TEXTS),
        pd.Series(TEXTS, dtype=object),
        pd.Series(TEXTS, dtype="category"),
        pd.Series(TEXTS, dtype="string"),
        pd.Series(TEXTS, dtype="string[pyarrow]"),
        pd.Series(TEXTS, dtype="string[python]"),
        pd.Series(TEXTS, dtype=pd.ArrowDtype(pa.large_string())),
        pd.Series(TEXTS, dtype=pd.ArrowDtype(pa.dictionary(pa.int32(), pa.string()))),
        pl.Series(TEXTS),
        pl.Series(TEXTS, dtype=pl.Categorical),
        pl.Series(TEXTS, dtype=pl.Enum(["unused", "ñ", "c", "b", "a", ""])),
        pa.array(TEXTS),
        pa.array(TEXTS, pa.large_string()),
        pa.array(TEXTS, pa.string_view()),
        pa.array(TEXTS).dictionary_encode(),
        pa.chunked_array([TEXTS[:10], TEXTS[10:]]),
        pa.chunked_array([pa.array(t).dictionary_encode() for t in (TEXTS[:9], TEXTS[9:])]),
        np.array(TEXTS),
        np.array(TEXTS, dtype=object),
    ],
    ids=lambda c: f"{type(c).__module__.split('.')[0]}-{getattr(c, 'dtype', None) or c.type}",
)
def test_every_dtype_of_text_is_the_same_column(column: Any) -> None:
    expected = make_encoder().fit_transform(pd.DataFrame({"x0": TEXTS}), Y[:40])
    encoder = make_encoder()
    assert encoder.fit_transform(_frame(column), Y[:40]).tobytes() == expected.tobytes()
    assert encoder.categories_["x0"].tolist() == ["", "a", "b", "c", "ñ"]


NUMBERS = [3, 1, 2, 3, 7, 1, 2, 0] * 5


@pytest.mark.parametrize(
    "column",
    [
        *(pd.Series(NUMBERS, dtype=t) for t in ("int64", "int8", "uint16", "uint64", "float32")),
        *(pd.Series(NUMBERS, dtype=t) for t in ("Int64", "UInt8", "Float64", "int32[pyarrow]")),
        *(pd.Series(NUMBERS, dtype=t) for t in ("object", "category", "double[pyarrow]")),
        *(pl.Series(NUMBERS, dtype=t) for t in (pl.Int64, pl.UInt8, pl.Float32)),
        *(pa.array(NUMBERS, t) for t in (pa.int16(), pa.uint64(), pa.float32())),
        pa.array(np.array(NUMBERS, dtype=np.float16)),
        *(np.array(NUMBERS, t) for t in ("i4", "u1", "f8", "f2", "O", ">i4", ">f8")),
    ],
    ids=lambda c: f"{type(c).__module__.split('.')[0]}-{getattr(c, 'dtype', None) or c.type}",
)
def test_every_dtype_of_numbers_is_the_same_column(column: Any) -> None:
    expected = make_encoder(categorical_features="all")
    expected.fit(pd.DataFrame({"x0": NUMBERS}), Y[:40])
    encoder = make_encoder(categorical_features="all").fit(_frame(column), Y[:40])
    assert encoder.categories_["x0"].tolist() == [0, 1, 2, 3, 7]
    assert _vectors(encoder) == _vectors(expected)
    # and as context, beside text
    context = make_encoder(output="hidden", categorical_features=["x1"])
    frame = _frame(column, x1=TEXTS)
    expected_hidden = make_encoder(output="hidden").fit_transform(
        pd.DataFrame({"x0": NUMBERS, "x1": TEXTS}), Y[:40]
    )
    if getattr(column, "dtype", None) != "category":
        got = context.fit_transform(frame, Y[:40])
        assert got.tobytes() == expected_hidden.tobytes()


BOOLEANS = [True, False, True, True, False] * 8


@pytest.mark.parametrize(
    "column",
    [
        *(pd.Series(BOOLEANS, dtype=t) for t in ("bool", "boolean", "bool[pyarrow]", "object")),
        pd.Series(BOOLEANS, dtype="category"),
        pl.Series(BOOLEANS),
        pa.array(BOOLEANS),
        np.array(BOOLEANS),
        np.array(BOOLEANS, dtype=object),
    ],
    ids=lambda c: f"{type(c).__module__.split('.')[0]}-{getattr(c, 'dtype', None) or c.type}",
)
def test_every_dtype_of_booleans_is_the_same_column(column: Any) -> None:
    expected = make_encoder().fit(pd.DataFrame({"x0": BOOLEANS, "n": Y[:40]}), Y[:40])
    encoder = make_encoder().fit(_frame(column, n=Y[:40]), Y[:40])
    assert encoder.categorical_features_[:1] == ["x0"]
    assert encoder.categories_["x0"].tolist() == [False, True]
    assert _vectors(encoder) == _vectors(expected)
    alone = make_encoder().fit(_frame(column), Y[:40])
    assert alone.categories_["x0"].tolist() == [False, True]


def test_whole_numbers_with_a_gap_are_floats_in_pandas_and_the_same_column() -> None:
    gap = [1, 2, None, 3] * 10
    y = Y[:40]
    columns = [
        pd.Series(gap),
        pd.Series(gap, dtype="Int64"),
        pd.Series(gap, dtype="int64[pyarrow]"),
        pd.Series(gap, dtype=object),
        pl.Series(gap),
        pa.array(gap),
    ]
    assert columns[0].dtype == "float64"
    outputs = set()
    for column in columns:
        encoder = make_encoder(categorical_features="all")
        outputs.add(encoder.fit_transform(_frame(column), y).tobytes())
        assert encoder.categories_["x0"][:3].tolist() == [1, 2, 3]
        assert np.isnan(encoder.categories_["x0"][3])
        unseen = pd.DataFrame({"x0": pd.Series([3, 2], dtype="int64")})
        again = encoder.transform(unseen)
        np.testing.assert_array_equal(again, encoder.transform(unseen.astype("float64")))
        np.testing.assert_array_equal(again[1], encoder.embeddings_["x0"].loc[2])
    assert len(outputs) == 1


@pytest.mark.parametrize("name", CONTAINERS)
@pytest.mark.parametrize("features", ["auto", "all"])
def test_whole_numbers_beyond_63_bits_are_numbers_in_every_container(
    name: str, features: str
) -> None:
    columns = {"x0": [2**63 + 5, 1, 2, 3] * 10, "x1": ["a", "b", "c", "d"] * 10}
    if name == "pyarrow":  # infers signed integers only
        table = pa.table({"x0": pa.array(columns["x0"], pa.uint64()), "x1": columns["x1"]})
    else:
        table = make_container(name, columns)
    encoder = make_encoder(categorical_features=features).fit(table, Y[:40])
    assert encoder.categorical_features_ == (["x1"] if features == "auto" else ["x0", "x1"])
    if features == "all":
        assert encoder.categories_["x0"].tolist() == [1, 2, 3, 2**63 + 5]


def test_text_that_is_no_unicode_is_a_category_like_any_other() -> None:
    X = pd.DataFrame({"c": pd.Series(["\ud800", "b", "a", "b"] * 10, dtype=object)})
    encoder = make_encoder().fit(X, Y[:40])
    assert encoder.categories_["c"].tolist() == ["a", "b", "\ud800"]
    assert encoder.inverse_transform(encoder.transform(X)).ravel().tolist() == X["c"].tolist()
    other = encoder.transform(pd.DataFrame({"c": ["a", "b"]}))
    np.testing.assert_array_equal(other, encoder.embeddings_["c"].iloc[:2])


def test_minus_zero_is_zero() -> None:
    X = pd.DataFrame({"x0": [0.0, -0.0, 1.0, 2.0] * 10})
    encoder = make_encoder().fit(X, Y[:40])
    assert encoder.categories_["x0"].tolist() == [0.0, 1.0, 2.0]
    out = encoder.transform(X)
    np.testing.assert_array_equal(out[0], out[1])


def test_unused_levels_and_the_declared_order_do_not_matter() -> None:
    plain = pd.DataFrame({"c": ["b", "a", "c", "a"] * 10})
    expected = make_encoder().fit(plain, Y[:40])
    for levels, ordered in ((["z", "c", "b", "a", "q"], True), (["a", "b", "c", "0"], False)):
        dtype = pd.CategoricalDtype(levels, ordered=ordered)
        encoder = make_encoder().fit(plain.astype({"c": dtype}), Y[:40])
        assert encoder.categories_["c"].tolist() == ["a", "b", "c"]
        assert _vectors(encoder) == _vectors(expected)
        reordered = plain.astype({"c": pd.CategoricalDtype(["c", "a", "b"])})
        assert encoder.transform(reordered).tobytes() == expected.transform(plain).tobytes()


def test_the_order_of_rows_does_not_order_the_categories() -> None:
    X, y = make_rows(60)
    shuffled = make_encoder().fit(X[::-1], y[::-1])
    assert shuffled.categories_["letter"].tolist() == ["a", "b", "c", "d", "e"]


@pytest.mark.parametrize("labels", [[0, 1, 2], [10, 20, 5], [("a", 1), ("a", 2), ("b", 1)]])
def test_labels_that_are_no_strings_are_positions(labels: list[Any]) -> None:
    X, y = make_rows(60)
    expected = make_encoder().fit_transform(X, y)
    X.columns = pd.Index(labels, tupleize_cols=False)
    encoder = make_encoder()
    assert encoder.fit_transform(X, y).tobytes() == expected.tobytes()
    assert encoder.categorical_features_ == ["x0", "x1"]
    assert encoder.get_feature_names_out()[0] == "x0_0"
    assert not hasattr(encoder, "feature_names_in_")


def test_integer_labels_can_be_selected() -> None:
    X, y = make_rows(60)
    X.columns = [10, 20, 5]
    encoder = make_encoder(categorical_features=[20, 10]).fit(X, y)
    assert encoder.categorical_features_ == ["x0", "x1"]


def test_column_names_that_mix_strings_and_numbers_are_refused() -> None:
    X, y = make_rows(60)
    X.columns = ["letter", 1, "size"]
    with pytest.raises(TypeError, match="feature names"):
        make_encoder().fit(X, y)


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
