"""Crosses: pairs of columns with tables of their own, chosen, trained, served and exported."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import onnxruntime
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import skops.io

from sk_entity_embed import (
    EntityEmbeddingClassifier,
    EntityEmbeddingEncoder,
    EntityEmbeddingRegressor,
)
from sk_entity_embed.exceptions import InvalidParameterError, LeakageWarning
from sk_entity_embed.export import (
    load,
    lookup_frames,
    polars_expressions,
    pyarrow_transform,
    save,
    sql,
    to_onnx,
    to_parquet,
    to_projector,
    to_torch,
    to_word2vec,
)
from sk_entity_embed.fitting import interactions
from sk_entity_embed.input.vocabulary import INFREQUENT, N_RESERVED, UNKNOWN
from sk_entity_embed.inspection import (
    DriftDisplay,
    EmbeddingDisplay,
    SimilarityDisplay,
    align,
    drift,
    explore,
    nearest,
)
from tests.samples import make_encoder, watch_learning

CITIES, KINDS = ["Lima", "Oslo", "Rome", "Bern"], ["x", "y", "z"]
PAIR = ("city", "kind")


def make_pairs(n: int = 600, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    """Rows whose target is a matter of pairs of city and kind; city may be missing."""
    random = np.random.default_rng(seed)
    X = pd.DataFrame(
        {
            "city": random.choice([*CITIES, None], n, p=[0.3, 0.3, 0.2, 0.1, 0.1]),
            "kind": random.choice(KINDS, n),
            "month": random.integers(1, 13, n),
            "size": random.normal(size=n),
        }
    )
    effects = {(c, k): random.normal() for c in [*CITIES, "?"] for k in KINDS}
    y = np.array([effects[pair] for pair in zip(X["city"].fillna("?"), X["kind"], strict=True)])
    return X, y + 0.3 * X["size"].to_numpy() + 0.3 * random.normal(size=n)


COLUMNS = ["city", "kind", "month"]


def crossed(**params: Any) -> EntityEmbeddingEncoder:
    return make_encoder(**{"categorical_features": COLUMNS, "interactions": [PAIR], **params})


@pytest.fixture(scope="module")
def pairs() -> tuple[pd.DataFrame, np.ndarray]:
    return make_pairs()


@pytest.fixture(scope="module")
def fitted(pairs: tuple[pd.DataFrame, np.ndarray]) -> EntityEmbeddingEncoder:
    return crossed(max_iter=4, interactions=[PAIR, ("month", 1)]).fit(*pairs)


@pytest.fixture
def new() -> pd.DataFrame:
    """Rows of serving: pairs met, pairs not met, unknown and missing cells."""
    return pd.DataFrame(
        {
            "city": ["Oslo", "Rome", None, "Atlantis", "Lima", None],
            "kind": ["x", "new", "z", "y", None, "x"],
            "month": [1, 12, 3, 99, 4, 5],
            "size": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6],
        }
    )


def vectors_of(table: pd.DataFrame) -> np.ndarray:
    return table.to_numpy(dtype=np.float32)


# Choice --------------------------------------------------------------------------------------


def test_the_pair_that_matters_is_found(pairs) -> None:
    X, y = make_pairs(3000)
    found = {
        k: make_encoder(categorical_features=COLUMNS, interactions=k, max_iter=1).fit(X, y)
        for k in ("auto", 1, 2)
    }
    for encoder in found.values():
        assert next(iter(encoder.interactions_)) == PAIR
        assert encoder.interactions_[PAIR] > 0.2
    assert list(found["auto"].interactions_) == [PAIR]
    assert len(found[2].interactions_) == 2
    noise = np.random.default_rng(1).normal(size=len(X))
    encoder = make_encoder(categorical_features=COLUMNS, interactions="auto", max_iter=1)
    assert encoder.fit(X, noise).interactions_ == {}
    assert make_encoder(max_iter=1).fit(*pairs).interactions_ == {}


def test_pairs_that_say_the_same_are_not_taken_twice() -> None:
    X, y = make_pairs(3000)
    X["town"] = X["city"].map({c: c.upper() for c in CITIES})
    columns = [*COLUMNS, "town"]
    encoder = make_encoder(categorical_features=columns, interactions=2, max_iter=1).fit(X, y)
    first, second = encoder.interactions_.values()
    assert first > 0.2
    assert second < 0.01


def test_of_many_columns_those_that_explain_most_alone_are_paired(monkeypatch) -> None:
    X, y = make_pairs(3000)
    noise = {f"noise {k}": np.random.default_rng(k).integers(0, 9, len(X)) for k in range(4)}
    X, columns = X.assign(**noise), [*COLUMNS, *noise]
    monkeypatch.setattr(interactions, "_COLUMNS", 2)
    encoder = make_encoder(categorical_features=columns, interactions=3, max_iter=1).fit(X, y)
    assert list(encoder.interactions_) == [PAIR]


@pytest.mark.parametrize("kind", ["classes", "outputs", "lists", "huge"])
def test_all_targets_and_weights_have_a_say(kind: str) -> None:
    X, y = make_pairs(2000)
    weights = np.ones(len(X))
    target: Any = y
    if kind == "classes":
        target = pd.cut(y, 3, labels=["low", "middle", "high"]).astype(str)
    elif kind == "huge":
        target = y * 1e300
    elif kind == "outputs":
        target = np.column_stack([np.random.default_rng(0).normal(size=len(y)), y])
    else:
        X["tags"] = [["a"], [], ["b", "a"], None] * 500
        target = np.where(X["month"] > 6, y, 1000.0)  # rows that do not count say another thing
        weights = (X["month"] > 6) + 1e-9
    columns = [*COLUMNS, *(["tags"] if kind == "lists" else [])]
    encoder = make_encoder(categorical_features=columns, interactions=1, max_iter=1)
    assert list(encoder.fit(X, target, sample_weight=weights).interactions_) == [PAIR]


def test_the_choice_is_the_same_each_time_and_without_cross_fitting_too(pairs) -> None:
    X, y = make_pairs(2000)
    for params in ({}, {"cross_fit": False}):
        one, two = (
            make_encoder(categorical_features=COLUMNS, interactions=3, max_iter=2, **params)
            for _ in range(2)
        )
        groups = np.arange(len(X)) // 4
        np.testing.assert_array_equal(
            one.fit_transform(X, y, groups=groups), two.fit_transform(X, y, groups=groups)
        )
        assert one.interactions_ == two.interactions_
        assert next(iter(one.interactions_)) == PAIR


def test_the_gain_is_out_of_fold() -> None:
    random = np.random.default_rng(0)
    n = 4000
    X = pd.DataFrame({c: random.integers(0, 300, n).astype(str) for c in "abc"})
    encoder = make_encoder(interactions=3, max_iter=1).fit(X, random.normal(size=n))
    assert max(encoder.interactions_.values()) < 1e-3  # most pairs occur once: they tell nothing


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([("city", "nowhere")], "'nowhere' in the pair .* not a column of X"),
        ([("city", "size")], "'size' in the pair .* not a categorical column"),
        ([("city", "city")], "pairs column 'city' with itself"),
        ([("city", "kind"), ("kind", "city")], r"the pair \('kind', 'city'\) more than once"),
        ([("city", "tags")], "'tags' in the pair .* holds lists"),
        ([("city", "kind", "month")], "is not a pair"),
        (["city"], "is not a pair"),
        (4, "is 4, but there are only 3 pairs of the 3"),
        (0, "interactions"),
        ("all", "interactions"),
    ],
)
def test_what_is_no_pair_is_refused(given: Any, message: str, pairs) -> None:
    X, y = pairs
    X = X.assign(tags=[["a", "b"]] * len(X))
    encoder = make_encoder(categorical_features=[*COLUMNS, "tags"], interactions=given)
    with pytest.raises(
        InvalidParameterError if message != "interactions" else ValueError, match=message
    ):
        encoder.fit(X, y)


def test_too_few_columns_and_the_dot_head_have_no_pairs(pairs) -> None:
    X, y = pairs
    one = X[["city", "size"]]
    with pytest.raises(InvalidParameterError, match="only 0 pairs"):
        make_encoder(interactions=1).fit(one, y)
    assert make_encoder(interactions="auto").fit(one, y).interactions_ == {}
    dot = {"categorical_features": COLUMNS, "head": "dot"}
    with pytest.raises(
        InvalidParameterError, match=r"`interactions` cannot be used with head='dot'"
    ):
        make_encoder(interactions=[PAIR], **dot).fit(X, y)
    assert make_encoder(interactions="auto", **dot).fit(X, y).interactions_ == {}


def test_a_name_that_a_column_has_is_refused(pairs) -> None:
    X, y = pairs
    with pytest.raises(
        InvalidParameterError, match=r"The pair 'city:kind' in `interactions` has the same name"
    ):
        crossed().fit(X.assign(**{"city:kind": 0.5}), y)
    for name in ("city:kind", "city_x_kind", "city_x_kind_0"):  # made by hand
        auto = crossed(interactions="auto", remainder="passthrough", max_iter=1)
        assert PAIR in auto.fit(X.assign(free=0.5), y).interactions_
        assert PAIR not in auto.fit(X.assign(**{name: 0.5}), y).interactions_
    colons = pd.DataFrame(dict.fromkeys(("a", "b:c", "a:b", "c"), X["city"]))
    twice = make_encoder(interactions=[("a", "b:c"), ("a:b", "c")], categorical_features="all")
    with pytest.raises(InvalidParameterError, match=r"Two pairs .* have the same name 'a:b:c'"):
        twice.fit(colons, y)


# Rows and tables -----------------------------------------------------------------------------


def test_a_folds_table_of_pairs_never_learns_from_its_own_rows() -> None:
    X, y = make_pairs()
    fold = np.arange(len(X)) % 5
    X["kind"] = np.where((fold == 0) & (X["city"] == "Oslo"), "only here", X["kind"])
    X.loc[(fold != 0) & (X["city"] == "Lima"), "kind"] = "only here"
    split = [(np.flatnonzero(fold != g), np.flatnonzero(fold == g)) for g in range(5)]
    encoder = crossed(early_stopping=False, unknown_rate=0.0, max_iter=3, dropout=0.0, cv=split)
    before, after = (tables[3] for tables in watch_learning(lambda: encoder.fit(X, y)))
    vocabulary = encoder._model.tables[3].vocabulary
    row = vocabulary.rows[vocabulary.labels.tolist().index(("Oslo", "only here"))]
    np.testing.assert_array_equal(after[0, row], before[0, row])
    assert (np.abs(after[1:, row] - before[1:, row]).max(axis=1) > 1e-4).all()
    out = encoder.fit(X, y).fit_transform(X, y)
    start, end = encoder._model.edges[3:5]
    rows = vocabulary.encode(*encoder._model.code(_table(encoder, X)).codes[:2])
    np.testing.assert_array_equal(
        out[:, start:end], encoder._model.tables[3].stack[encoder.fold_, rows]
    )


def _table(encoder: EntityEmbeddingEncoder, X: pd.DataFrame) -> Any:
    return encoder._read(X)


def test_pairs_have_rows_of_their_own(pairs, fitted, new) -> None:
    X, _ = pairs
    counts = X.groupby(list(PAIR), dropna=False).size()
    assert fitted.dimensions_["city:kind"] == 3
    assert fitted.get_feature_names_out().tolist()[-6:-3] == [f"city_x_kind_{i}" for i in range(3)]
    frame = fitted.embeddings_["city:kind"]
    assert frame.index.names == list(PAIR)
    assert len(frame) == len(fitted.categories_["city:kind"]) == len(counts)
    found = dict(
        zip(fitted.categories_["city:kind"], fitted.category_counts_["city:kind"], strict=True)
    )
    assert found[("Oslo", "x")] == counts[("Oslo", "x")]
    mean = pairs[1][(X["city"] == "Oslo") & (X["kind"] == "x")].mean()
    position = fitted.categories_["city:kind"].tolist().index(("Oslo", "x"))
    assert fitted.category_target_means_["city:kind"][position] == pytest.approx(mean)
    assert fitted.categorical_features_ == COLUMNS
    out = fitted.transform(new)[:, -6:-3]
    np.testing.assert_array_equal(out[0], frame.loc[("Oslo", "x")])
    np.testing.assert_array_equal(out[2], frame[frame.index.get_level_values(0).isna()].iloc[2])
    unknown = fitted._model.tables[3].vectors[UNKNOWN]
    np.testing.assert_array_equal(out[[1, 3, 4]], [unknown] * 3)  # one side is not known


def test_a_pair_not_met_is_unknown_and_no_policy_refuses_it(pairs, new) -> None:
    X, y = pairs
    kept = ~((X["city"] == "Oslo") & (X["kind"] == "x"))
    asked = new.iloc[[0, 2]]
    encoder = crossed(handle_unknown="error").fit(X[kept], y[kept])
    vector = encoder._model.tables[3].vectors[UNKNOWN]
    np.testing.assert_array_equal(encoder.transform(asked)[0, -3:], vector)
    encoder = crossed(handle_unknown="nan", handle_missing="nan").fit(X[kept], y[kept])
    out = encoder.transform(asked)
    assert np.isnan(out[0, -3:]).all()
    assert np.isnan(out[1, :2]).all()  # the missing city
    assert np.isfinite(out[1, -3:]).all()  # with a kind it is a pair like any other
    assert encoder.inverse_transform(out).shape == (2, 3)


def test_infrequent_pairs_and_groups_of_infrequent_categories(pairs) -> None:
    X, y = pairs
    encoder = crossed(min_frequency=30).fit(X, y)
    counts = X.groupby(list(PAIR), dropna=False).size()
    rare = encoder.infrequent_categories_["city:kind"]
    assert len(rare) == (counts < 30).sum() > 1
    vocabulary = encoder._model.tables[3].vocabulary
    assert (vocabulary.rows[vocabulary.counts < 30] == INFREQUENT).all()
    assert len(encoder.embeddings_["city:kind"].loc[rare].drop_duplicates()) == 1
    encoder = crossed(max_categories=3).fit(X, y)
    levels = {level for pair in encoder.categories_["city:kind"] for level in pair}
    assert "infrequent_sklearn" in levels
    assert encoder._model.tables[3].vocabulary.n_rows <= N_RESERVED + 2


@pytest.mark.parametrize("n_levels", [50, 5000])
def test_few_and_many_pairs_are_looked_up_alike(n_levels: int) -> None:
    random = np.random.default_rng(0)
    X = pd.DataFrame({c: random.integers(0, n_levels, 4000) for c in "ab"})
    encoder = make_encoder(categorical_features="all", interactions=[("b", "a")], max_iter=1)
    encoder.fit(X, random.normal(size=4000))
    vocabulary = encoder._model.tables[2].vocabulary
    assert (vocabulary._dense is None) == (n_levels > 2048)
    other = pd.DataFrame({c: random.integers(0, n_levels + 5, 4000) for c in "ab"})
    rows = encoder._model.code(_table(encoder, other)).codes[2]
    known = dict(zip(vocabulary.labels.tolist(), vocabulary.rows, strict=True))
    expected = [known.get(pair, UNKNOWN) for pair in zip(other["b"], other["a"], strict=True)]
    np.testing.assert_array_equal(rows, expected)


def test_containers_agree(pairs, fitted, new) -> None:
    X, y = pairs
    out = fitted.transform(new)
    same = crossed(max_iter=4, interactions=[PAIR, ("month", 1)]).fit(pl.from_pandas(X), y)
    np.testing.assert_array_equal(same.transform(pa.Table.from_pandas(new)), out)
    plain = make_encoder(
        categorical_features=[0, 1, 2], interactions=[(0, 1), (-2, "x1")], max_iter=4
    ).fit(X.to_numpy(dtype=object), y)
    np.testing.assert_array_equal(plain.transform(new.to_numpy(dtype=object)), out)
    assert list(plain.interactions_) == [("x0", "x1"), ("x2", "x1")]


def test_predictors_have_them_too(pairs, new) -> None:
    X, y = pairs
    params = {"categorical_features": COLUMNS, "max_iter": 20, "random_state": 0}
    plain = EntityEmbeddingRegressor(**params).fit(X[:400], y[:400])
    model = EntityEmbeddingRegressor(interactions=[PAIR], **params).fit(X[:400], y[:400])
    assert model.dimensions_["city:kind"] == 3
    assert model.score(X[400:], y[400:]) > plain.score(X[400:], y[400:]) - 0.05
    classifier = EntityEmbeddingClassifier(interactions="auto", **params).fit(X, y > 0)
    assert classifier.predict_proba(new).shape == (6, 2)


def test_width_and_first_vectors(pairs) -> None:
    X, y = pairs
    assert crossed(dimensions=2).fit(X, y).dimensions_["city:kind"] == 2
    assert crossed(dimensions=7).fit(X, y).dimensions_["city:kind"] == 3
    assert crossed(dimensions={"city:kind": 5}).fit(X, y).dimensions_["city:kind"] == 5
    encoder = crossed(max_iter=3).fit(X, y)
    frames = to_torch(encoder, "city:kind").to_frames()
    kept = crossed(init=frames, freeze=["city:kind"]).fit(X, y)
    pd.testing.assert_frame_equal(kept.embeddings_["city:kind"], encoder.embeddings_["city:kind"])
    crossed(init=frames, freeze=True).fit(X, y)
    crossed(freeze=True).fit(X, y)  # first vectors of pairs are no vectors to keep


def test_warm_start_goes_on_with_the_same_pairs(pairs, new) -> None:
    X, y = pairs
    encoder = make_encoder(
        categorical_features=COLUMNS, interactions=2, warm_start=True, max_iter=2
    ).fit(X, y)
    chosen = encoder.interactions_
    before = encoder._model.tables[3].stack
    tables, _ = watch_learning(lambda: encoder.fit(X, y))
    np.testing.assert_array_equal(tables[3], before[:-1])
    assert encoder.interactions_ == chosen
    other = X.replace({"kind": {"z": "w"}})
    mean = encoder.embeddings_["city:kind"]
    with pytest.warns(LeakageWarning):
        tables, _ = watch_learning(lambda: encoder.fit(other, y))
    vocabulary = encoder._model.tables[3].vocabulary
    row = vocabulary.rows[vocabulary.labels.tolist().index(("Oslo", "x"))]
    np.testing.assert_array_equal(tables[3][0, row], mean.loc[("Oslo", "x")])
    with pytest.raises(InvalidParameterError, match="`interactions`"):
        encoder.set_params(interactions=1).fit(X, y)


# Files and exports ---------------------------------------------------------------------------


def test_files_keep_them(fitted, new, tmp_path: Path) -> None:
    save(fitted, tmp_path / "file")
    loaded = load(tmp_path / "file")
    assert loaded.interactions_ == fitted.interactions_
    dumped = skops.io.dumps(fitted)
    skopsed = skops.io.loads(dumped, trusted=skops.io.get_untrusted_types(data=dumped))
    for twin in (loaded, pickle.loads(pickle.dumps(fitted)), skopsed):
        np.testing.assert_array_equal(twin.transform(new), fitted.transform(new))
        assert (
            twin.categories_["city:kind"].tolist()[4:]
            == fitted.categories_["city:kind"].tolist()[4:]
        )
        assert twin.embeddings_["city:kind"].equals(fitted.embeddings_["city:kind"])
    np.testing.assert_array_equal(align(loaded, fitted).transform(new), fitted.transform(new))


def test_onnx_equals_transform(fitted, pairs, new) -> None:
    markers = {"city": "?", "kind": "?", "month": -1}
    feeds = {
        "city": new[["city"]].fillna("?").to_numpy(dtype=object),
        "kind": new[["kind"]].fillna("?").to_numpy(dtype=object),
        "month": new[["month"]].to_numpy(),
        "size": new[["size"]].to_numpy(),
    }
    exported = to_onnx(fitted, missing_values=markers)
    session = onnxruntime.InferenceSession(exported.SerializeToString())
    np.testing.assert_array_equal(session.run(None, feeds)[0], fitted.transform(new))
    params = {"categorical_features": COLUMNS, "max_iter": 2, "interactions": [PAIR]}
    model = EntityEmbeddingRegressor(random_state=0, **params).fit(*pairs)
    session = onnxruntime.InferenceSession(
        to_onnx(model, missing_values=markers).SerializeToString()
    )
    np.testing.assert_allclose(session.run(None, feeds)[0].ravel(), model.predict(new), rtol=1e-9)


@pytest.mark.parametrize("policies", [{}, {"handle_unknown": "nan", "handle_missing": "nan"}])
@pytest.mark.parametrize("params", [{}, {"max_categories": 3, "min_frequency": 20}])
def test_tables_and_queries_equal_transform(policies, params, pairs, new, tmp_path: Path) -> None:
    encoder = crossed(interactions=[PAIR, ("month", "kind")], **params, **policies).fit(*pairs)
    expected = encoder.transform(new)
    out = pl.from_pandas(new).select(polars_expressions(encoder)).to_numpy()
    np.testing.assert_array_equal(out, expected)
    arrow = pyarrow_transform(encoder)(pa.Table.from_pandas(new))
    assert arrow.column_names == encoder.get_feature_names_out().tolist()
    np.testing.assert_array_equal(arrow.to_pandas().to_numpy(), expected)
    trips = new.assign(at=range(len(new)))  # noqa: F841
    files = to_parquet(encoder, tmp_path)
    for lookups in (None, files):
        for dialect in ("duckdb", "standard"):
            given = lookups if dialect == "duckdb" else None
            query = sql(encoder, "trips", keep=["at"], lookups=given, dialect=dialect)
            found = duckdb.sql(query).df().sort_values("at").drop(columns="at")
            assert found.columns.tolist() == encoder.get_feature_names_out().tolist()
            np.testing.assert_array_equal(found.to_numpy(dtype=np.float32), expected)
    frames = lookup_frames(encoder)
    assert frames["city:kind"].columns.tolist()[:3] == ["row_0", "row_1", "kind"]
    assert "row" in frames["city"]
    assert frames["city:kind"].equals(pd.read_parquet(files["city:kind"]))


def test_the_torch_module_equals_transform(fitted, new) -> None:
    module = to_torch(fitted)
    out = module(module.encode(new)).detach().numpy()
    np.testing.assert_array_equal(out, fitted.transform(new))
    alone = to_torch(fitted, "city:kind")
    assert alone.columns == ("city:kind",)
    np.testing.assert_array_equal(
        alone(alone.encode(new[["kind", "city"]])).detach().numpy(), out[:, -6:-3]
    )


def test_viewers_know_them(fitted, pairs, tmp_path: Path) -> None:
    found = nearest(fitted, "city:kind", [("Oslo", "x"), (None, "x")], k=2)
    assert len(found) == 4
    assert set(found["category"]) <= set(fitted.categories_["city:kind"])
    frame = drift(fitted, fitted, "city:kind")
    assert (frame["neighbor_overlap"] == 1).all()
    paths = to_projector(fitted, "city:kind", tmp_path)
    assert "('Oslo', 'x')\tcategory" in paths["city:kind"][1].read_text()
    words = to_word2vec(fitted, "city:kind", tmp_path / "words.txt")
    assert words["('Oslo',%20'x')"] == ("Oslo", "x")
    assert r"Oslo \u00d7 x" in explore(fitted, "city:kind").to_html()


@pytest.mark.parametrize("source", ["encoder", "frames"])
def test_displays_show_pairs(fitted, source: str) -> None:
    given = fitted if source == "encoder" else {"city:kind": fitted.embeddings_["city:kind"]}
    shown = SimilarityDisplay.from_estimator(given, "city:kind").plot()
    texts = [label.get_text() for label in shown.ax_.get_xticklabels()]
    assert "Oslo \N{MULTIPLICATION SIGN} x" in texts
    assert "(missing) \N{MULTIPLICATION SIGN} x" in texts
    EmbeddingDisplay.from_estimator(given, "city:kind").plot()
    DriftDisplay.from_estimators(given, given, "city:kind").plot()
