"""What comes out: shapes, names, containers, the way back, fitted attributes."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from typing import Any

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest

from sk_entity_embed import EntityEmbeddingEncoder
from sk_entity_embed.exceptions import InvalidDataError, InvalidParameterError
from sk_entity_embed.model.heads.perceptron import HIDDEN_VARIANCE
from tests.samples import make_encoder, make_rows

N = 240
Rows = tuple[pd.DataFrame, np.ndarray]


@pytest.fixture(scope="module")
def fitted(rows: Rows) -> tuple[EntityEmbeddingEncoder, np.ndarray]:
    """An encoder of both outputs and the numbers, and its fit_transform."""
    encoder = make_encoder(output="both", remainder="passthrough", max_iter=5)
    return encoder, encoder.fit_transform(*rows)


# Shapes and names --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("output", "cross_fit"), [("embedding", True), ("hidden", False), ("both", True)]
)
def test_the_output_is_a_contiguous_float32_array(output: str, cross_fit: bool, rows: Rows) -> None:
    X, y = rows
    encoder = make_encoder(
        output=output, cross_fit=cross_fit, dimensions={"letter": 3, "color": 2},
        hidden_layer_sizes=(6, 4),
    )  # fmt: skip
    width = {"embedding": 5, "hidden": 4, "both": 9}[output]
    for out in (encoder.fit_transform(X, y), encoder.transform(X), encoder.transform(X[:1])):
        assert type(out) is np.ndarray
        assert out.dtype == np.float32
        assert out.flags.c_contiguous
        assert out.shape[1] == width
    assert encoder.fit_transform(X, y).shape[0] == N
    names = [f"letter_{i}" for i in range(3)] + ["color_0", "color_1"]
    hidden = [f"hidden_{i}" for i in range(4)]
    expected = {"embedding": names, "hidden": hidden, "both": names + hidden}[output]
    got = encoder.get_feature_names_out()
    assert got.tolist() == expected
    assert got.dtype == object


def test_the_hidden_layer_is_rectified_and_uses_context(rows: Rows) -> None:
    X, y = rows
    encoder = make_encoder(output="hidden", max_iter=5, hidden_layer_sizes=(8,)).fit(X, y)
    out = encoder.transform(X)
    assert (out >= 0).all()
    assert (out == 0).any()
    assert (out > 0).any()
    assert not np.array_equal(out, encoder.transform(X.assign(size=-X["size"])))


def test_without_a_hidden_layer_there_is_no_hidden_output(rows: Rows) -> None:
    with pytest.raises(InvalidParameterError, match=r"output='both'.*hidden_layer_sizes=\(\)"):
        make_encoder(output="both", hidden_layer_sizes=()).fit(*rows)


def test_without_a_hidden_layer_there_are_vectors(rows: Rows) -> None:
    X, y = rows
    encoder = make_encoder(hidden_layer_sizes=(), max_iter=15, learning_rate_init=0.05).fit(X, y)
    vectors = encoder.embeddings_["letter"]
    # one linear output of each fold's head: what matters is on the first axis, in the order of the
    # effects, and the rest is where the heads differ
    assert abs(np.corrcoef(vectors[0], range(5))[0, 1]) > 0.9
    assert vectors.iloc[:, 1:].var().sum() < 0.01 * vectors[0].var()
    vectors = make_encoder(hidden_layer_sizes=(), cross_fit=False).fit(X, y).embeddings_["letter"]
    assert np.abs(vectors.iloc[:, 1:]).max(axis=None) < 1e-5


@pytest.mark.parametrize(
    ("name", "category", "number", "params"),
    [
        ("c_1", "c", "c_1", {"remainder": "passthrough"}),
        ("hidden_1", "hidden", "n", {"output": "both"}),
        ("hidden_0", "c", "hidden_0", {"output": "both", "remainder": "passthrough"}),
    ],
)
def test_names_that_collide_are_refused(
    name: str, category: str, number: str, params: dict[str, Any], rows: Rows
) -> None:
    X, y = rows
    X = X.set_axis([category, "color", number], axis=1)
    encoder = make_encoder(dimensions=2, **params)
    with pytest.raises(InvalidDataError, match=rf"share the names.*'{name}'.*rename"):
        encoder.fit(X, y)
    assert not hasattr(encoder, "embeddings_")
    assert make_encoder(dimensions=2).fit(X, y).transform(X).shape == (N, 4)


def test_input_features_must_be_those_of_fit(
    fitted: tuple[EntityEmbeddingEncoder, np.ndarray],
) -> None:
    encoder, _ = fitted
    expected = encoder.get_feature_names_out()
    got = encoder.get_feature_names_out(["letter", "color", "size"])
    np.testing.assert_array_equal(got, expected)
    for wrong in (["letter", "color"], ["color", "letter", "size"], ["a", "b", "c"]):
        with pytest.raises(InvalidDataError, match="input_features is not equal to feature_names"):
            encoder.get_feature_names_out(wrong)


def test_input_features_name_columns_that_had_no_names(rows: Rows) -> None:
    X, y = rows
    encoder = make_encoder(remainder="passthrough", dimensions=1)
    encoder.fit(X.to_numpy(dtype=object), y)
    assert encoder.get_feature_names_out().tolist() == ["x0_0", "x1_0", "x2"]
    assert encoder.get_feature_names_out(["p", "q", "r"]).tolist() == ["p_0", "q_0", "r"]
    with pytest.raises(InvalidDataError, match=r"length equal to number of features \(3\), got 2"):
        encoder.get_feature_names_out(["p", "q"])


# Containers --------------------------------------------------------------------------------


def test_set_output_pandas_keeps_index_and_names(rows: Rows) -> None:
    X, y = rows
    X = X.set_index(pd.Index(np.arange(N) * 10 + 3, name="row"))
    plain = make_encoder(remainder="passthrough", output="both")
    encoder = make_encoder(remainder="passthrough", output="both").set_output(transform="pandas")
    for out, expected in (
        (encoder.fit_transform(X, y), plain.fit_transform(X, y)),
        (encoder.transform(X[5:9]), plain.transform(X[5:9])),
    ):
        assert isinstance(out, pd.DataFrame)
        np.testing.assert_array_equal(out.to_numpy(), expected)
        assert out.columns.tolist() == plain.get_feature_names_out().tolist()
        assert (out.dtypes == np.float32).all()
    assert encoder.transform(X).index.equals(X.index)


# The way back ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "output", "cross_fit"),
    [("learned", "both", True), ("zero", "embedding", True), ("nan", "both", False),
     ("error", "embedding", True)],
)  # fmt: skip
def test_inverse_transform_gives_back_every_category(
    policy: str, output: str, cross_fit: bool, rows: Rows
) -> None:
    X, y = rows
    encoder = make_encoder(output=output, cross_fit=cross_fit, handle_unknown=policy)
    for out in (encoder.fit_transform(X, y), encoder.transform(X)):
        back = encoder.inverse_transform(out)
        assert back.dtype == object
        assert back.tolist() == X[["letter", "color"]].to_numpy().tolist()


@pytest.mark.parametrize("policy", ["learned", "zero", "nan"])
def test_inverse_transform_tells_unknown_missing_and_infrequent_apart(policy: str) -> None:
    X, y = make_rows(N)
    X.loc[::7, "letter"] = None
    X.loc[[1, 2, 3], "letter"] = ["f", "g", "h"]
    encoder = make_encoder(handle_unknown=policy, min_frequency=5).fit(X, y)
    asked = X[:4].assign(letter=["?", None, "g", "a"])
    back = encoder.inverse_transform(encoder.transform(asked))
    assert back[0, 0] is None
    assert isinstance(back[1, 0], float)
    assert math.isnan(back[1, 0])
    assert back[2:, 0].tolist() == ["infrequent_sklearn", "a"]
    assert back[:, 1].tolist() == asked["color"].tolist()


@pytest.mark.parametrize(("policy", "cross_fit"), [("learned", False), ("zero", True)])
def test_inverse_transform_of_a_constant_column_is_its_category(
    policy: str, cross_fit: bool, rows: Rows
) -> None:
    X, y = rows
    X = X.assign(letter="same")
    encoder = make_encoder(handle_unknown=policy, cross_fit=cross_fit)
    for out in (encoder.fit_transform(X, y), encoder.transform(X)):
        assert (encoder.inverse_transform(out)[:, 0] == "same").all()


def test_inverse_transform_gives_numbers_their_dtype() -> None:
    y = np.array([0.5, -1.0, 2.0, 0.0] * 10)
    X = np.array([[3, 10], [1, 20], [2, 20], [3, 30]] * 10)
    encoder = make_encoder().fit(X, y)
    back = encoder.inverse_transform(encoder.transform(X))
    assert back.dtype == X.dtype
    np.testing.assert_array_equal(back, X)
    halves = X / 2
    encoder_of_halves = make_encoder(categorical_features="all")
    out = encoder_of_halves.fit_transform(halves, y)
    back = encoder_of_halves.inverse_transform(out)
    assert back.dtype == np.float64
    np.testing.assert_array_equal(back, halves)
    unknown = encoder.inverse_transform(encoder.transform([[3, 10], [7, 20]]))
    assert unknown.dtype == object
    assert unknown.tolist() == [[3, 10], [None, 20]]


def test_inverse_transform_keeps_large_whole_numbers_beside_floats() -> None:
    large = 2**53 + 1  # no float
    X = pd.DataFrame({"id": [large, large + 1, 5, 7] * 5, "half": [0.5, 1.5] * 10})
    encoder = make_encoder(categorical_features="all").fit(X, np.arange(20) % 7 / 7)
    back = encoder.inverse_transform(encoder.transform(X))
    assert [int(v) for v in back[:, 0]] == X["id"].tolist()
    assert back[:, 1].tolist() == X["half"].tolist()


def test_inverse_transform_gives_back_the_numbers_passed_through(rows: Rows) -> None:
    X, y = rows
    X = X[["size", "letter", "color"]].assign(count=np.arange(N))
    encoder = make_encoder(remainder="passthrough", output="both")
    back = encoder.inverse_transform(encoder.fit_transform(X, y))
    assert back.shape == (N, 4)
    np.testing.assert_array_equal(back[:, 0].astype(np.float32), X["size"].astype(np.float32))
    assert back[:, 1].tolist() == X["letter"].tolist()
    np.testing.assert_array_equal(back[:, 3].astype(int), np.arange(N))
    context = make_encoder().fit(X, y)
    assert context.inverse_transform(context.transform(X)).shape == (N, 2)


def test_inverse_transform_needs_embeddings_and_their_width(rows: Rows) -> None:
    X, y = rows
    hidden = make_encoder(output="hidden").fit(X, y)
    with pytest.raises(InvalidParameterError, match="'embedding', 'both' or 'stacking'"):
        hidden.inverse_transform(hidden.transform(X))
    encoder = make_encoder(dimensions=2).fit(X, y)
    with pytest.raises(InvalidDataError, match="X has 3 columns, but the encoder's output has 4"):
        encoder.inverse_transform(np.zeros((2, 3)))


# Fitted attributes -------------------------------------------------------------------------


def test_embeddings_are_the_vectors_of_transform(
    fitted: tuple[EntityEmbeddingEncoder, np.ndarray], rows: Rows
) -> None:
    encoder, _ = fitted
    out, start = encoder.transform(rows[0]), 0
    for name, width in encoder.dimensions_.items():
        vectors = encoder.embeddings_[name]
        assert vectors.index.tolist() == encoder.categories_[name].tolist()
        assert vectors.index.name == name
        assert vectors.shape == (len(encoder.categories_[name]), width)
        assert (vectors.dtypes == np.float32).all()
        np.testing.assert_array_equal(out[:, start : start + width], vectors.loc[rows[0][name]])
        start += width


def test_counts_and_target_means_are_those_of_a_groupby(rows: Rows) -> None:
    X, y = rows
    X = X.assign(letter=X["letter"].where(np.arange(N) % 5 > 0))
    weight = np.linspace(0.0, 2.0, N)
    third = np.digitize(y, [-1.0, 1.0])
    targets = {
        "continuous": (y, y),
        "several": (np.column_stack([y, -y]), np.column_stack([y, -y])),
        "binary": (np.where(y > 0, "yes", "no"), (y > 0).astype(float)),
        "multiclass": (np.array(["p", "q", "r"])[third], np.eye(3)[third]),
        "multilabel": (np.column_stack([y > 0, y > 1]).astype(int),) * 2,
    }
    for target, numbers in targets.values():
        encoder = make_encoder(max_iter=1).fit(X, target, sample_weight=weight)
        for name in ("letter", "color"):
            groups = [X[name] == c for c in sorted(X[name].dropna().unique())]
            groups += [X[name].isna()] if name == "letter" else []
            kept = weight > 0
            counts = [int((g & kept).sum()) for g in groups]
            assert encoder.category_counts_[name].tolist() == counts
            means = [np.average(numbers[g], axis=0, weights=weight[g]) for g in groups]
            np.testing.assert_allclose(encoder.category_target_means_[name], means, rtol=1e-6)
            assert encoder.category_target_means_[name].ndim == np.ndim(numbers)


def test_vectors_are_in_canonical_coordinates(rows: Rows) -> None:
    X, y = rows
    weight = np.linspace(0.5, 2.0, N)
    encoder = make_encoder(max_iter=10, learning_rate_init=0.02, hidden_layer_sizes=(8,))
    encoder.fit(X[["letter", "color"]], y, sample_weight=weight)
    totals = []
    for name in ("letter", "color"):
        vectors = encoder.embeddings_[name].loc[X[name]].to_numpy().astype(float)
        np.testing.assert_allclose(np.average(vectors, axis=0, weights=weight), 0, atol=1e-5)
        covariance = (vectors * weight[:, None]).T @ vectors / weight.sum()
        variances = np.diag(covariance)
        np.testing.assert_allclose(covariance - np.diag(variances), 0, atol=1e-5)
        assert (np.diff(variances) <= 1e-6).all()
        totals.append(variances.sum())
    assert totals[0] > totals[1]  # the letter matters more
    assert np.mean(totals) == pytest.approx(1.0, abs=1e-4)


def test_a_rows_result_does_not_depend_on_its_batch(
    fitted: tuple[EntityEmbeddingEncoder, np.ndarray], rows: Rows
) -> None:
    encoder, _ = fitted
    X = rows[0]
    together = encoder.transform(X)
    for size in (1, 7, 100):
        alone = [encoder.transform(X[i : i + size]) for i in range(0, N, size)]
        np.testing.assert_array_equal(np.vstack(alone), together)
    shuffled = np.random.default_rng(0).permutation(N)
    np.testing.assert_array_equal(encoder.transform(X.iloc[shuffled]), together[shuffled])
    many = pd.concat([X] * 40, ignore_index=True)  # beyond a block of the hidden layer's
    np.testing.assert_array_equal(encoder.transform(many), np.tile(together, (40, 1)))


# Keeping -----------------------------------------------------------------------------------


def test_a_kept_encoder_gives_the_same_bytes(
    fitted: tuple[EntityEmbeddingEncoder, np.ndarray], rows: Rows
) -> None:
    encoder, out = fitted
    file = io.BytesIO()
    joblib.dump(encoder, file)
    file.seek(0)
    again = joblib.load(file)
    X = rows[0].assign(letter=rows[0]["letter"].replace("a", "?"))
    assert again.transform(X).tobytes() == encoder.transform(X).tobytes()
    np.testing.assert_array_equal(again.inverse_transform(out), encoder.inverse_transform(out))
    assert again.get_feature_names_out().tolist() == encoder.get_feature_names_out().tolist()
    assert list(again.embeddings_) == list(encoder.embeddings_)
    for column, frame in encoder.embeddings_.items():
        pd.testing.assert_frame_equal(again.embeddings_[column], frame, check_exact=True)


@pytest.mark.parametrize(
    ("change", "params", "message"),
    [
        (
            lambda X, y: (X.assign(size=[np.inf, *X["size"][1:]]), y, np.arange(N) > 0),
            {"remainder": "passthrough"},
            "Column 'size'",
        ),
        (lambda X, y: (X.assign(size=np.inf), y), {}, "'size' contains infinity"),
        (lambda X, y: (X.drop(columns="color"), np.zeros(N, dtype=int)), {}, "one class"),
        (lambda X, y: (X[["color"]], y), {"device": "abacus"}, "device='abacus'"),
        (lambda X, y: (X.assign(letter_0=1.0), y), {"remainder": "passthrough"}, "share the names"),
        (lambda X, y: (X[["color"]], y), {"cv": [([0], [1])]}, "`cv` must give"),
    ],
)
def test_a_refit_that_fails_leaves_the_encoder_as_it_was(
    change: Callable[..., Any], params: dict[str, Any], message: str, rows: Rows
) -> None:
    X, y = rows
    encoder = make_encoder().fit(X, y)
    out = encoder.transform(X)
    encoder.set_params(**params)
    before = dict(vars(encoder))
    with pytest.raises(ValueError, match=message):
        encoder.fit(*change(X, y))
    assert vars(encoder).keys() == before.keys()
    assert all(vars(encoder)[name] is value for name, value in before.items())
    np.testing.assert_array_equal(encoder.transform(X), out)
    assert encoder.get_feature_names_out().shape == (out.shape[1],)


def test_changed_parameters_wait_for_the_next_fit(rows: Rows) -> None:
    X, y = rows
    encoder = make_encoder().fit(X, y)
    unseen = X.assign(letter="?")
    before, names = encoder.transform(unseen), encoder.get_feature_names_out()
    encoder.set_params(
        output="both", handle_unknown="error", handle_missing="error", remainder="passthrough"
    )
    np.testing.assert_array_equal(encoder.transform(unseen), before)
    np.testing.assert_array_equal(encoder.get_feature_names_out(), names)
    assert encoder.fit(X, y).transform(X).shape[1] > before.shape[1]
    with pytest.raises(InvalidDataError, match="unknown"):
        encoder.transform(unseen)


@pytest.mark.parametrize("cross_fit", [True, False])
def test_inverse_transform_of_vectors_no_table_learned_is_unknown(cross_fit: bool) -> None:
    n = 120
    ids = [f"single {i}" for i in range(n // 2)] + ["common"] * (n // 2)
    X = pd.DataFrame({"id": ids})
    y = np.random.default_rng(0).normal(size=n)
    encoder = make_encoder(cross_fit=cross_fit)
    trained = encoder.inverse_transform(encoder.fit_transform(X, y)).ravel()
    assert set(trained[n // 2 :]) == {"common"}
    right = trained[: n // 2] == np.array(ids[: n // 2], dtype=object)
    unknown = np.equal(trained[: n // 2], None)
    assert (right | unknown).all()
    assert unknown.all() if cross_fit else unknown.any()
    assert encoder.inverse_transform(encoder.transform(pd.DataFrame({"id": ["new"]}))) == [[None]]


def test_numbers_beyond_float32_are_not_passed_through(rows: Rows) -> None:
    X, y = rows
    encoder = make_encoder(remainder="passthrough").fit(X, y)
    with pytest.raises(InvalidDataError, match=r"Column 'size' .* float32"):
        encoder.transform(X.assign(size=1e300))


def test_numbers_that_vary_decide_the_scale_of_vectors(rows: Rows) -> None:
    X, y = rows
    for numbers, scaled in ({}, False), ({"size": 3.0}, False), ({"size": X["size"]}, True):
        encoder = make_encoder(output="both").fit(X[["letter", "color"]].assign(**numbers), y)
        totals = [
            np.average(vectors.to_numpy() ** 2, axis=0, weights=encoder.category_counts_[c]).sum()
            for c, vectors in encoder.embeddings_.items()
        ]
        assert (np.mean(totals) != pytest.approx(1, rel=1e-3)) == scaled


def test_set_output_polars(rows: Rows) -> None:
    X, y = rows
    encoder = make_encoder().set_output(transform="polars")
    out = encoder.fit_transform(pl.from_pandas(X), y)
    assert isinstance(out, pl.DataFrame)
    assert out.columns == make_encoder().fit(X, y).get_feature_names_out().tolist()
    assert set(out.dtypes) == {pl.Float32}
    np.testing.assert_array_equal(out.to_numpy(), make_encoder().fit_transform(X, y))
    np.testing.assert_array_equal(encoder.inverse_transform(out), X[["letter", "color"]])


def test_hidden_layer_sizes_may_be_a_number_or_any_sequence(rows: Rows) -> None:
    found = [
        make_encoder(output="hidden", hidden_layer_sizes=sizes).fit_transform(*rows).tobytes()
        for sizes in ((4,), 4, np.array([4]))
    ]
    assert len(set(found)) == 1


def test_the_hidden_layer_varies_with_what_enters_out_of_fold_flags_left_out(rows: Rows) -> None:
    X, y = rows
    X = X.assign(none=np.where(np.arange(N) % 3 == 0, np.nan, X["size"]))
    encoder = make_encoder(output="both", max_iter=2, hidden_layer_sizes=(16, 8))
    out = encoder.fit_transform(X[["letter", "color", "size", "none"]], y)
    vectors, hidden = np.split(out, [sum(encoder.dimensions_.values())], axis=1)
    wanted = HIDDEN_VARIANCE * (vectors.var(axis=0).sum() + 2)
    assert hidden.var(axis=0).sum() == pytest.approx(wanted, rel=1e-4)
