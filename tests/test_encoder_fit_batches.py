"""Fits of rows in blocks: those of fit where rows fit in memory, and as good where they do not."""

from __future__ import annotations

import errno
from contextlib import contextmanager

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

from sk_entity_embed import (
    EntityEmbeddingClassifier,
    EntityEmbeddingEncoder,
    EntityEmbeddingRegressor,
)
from sk_entity_embed.exceptions import (
    InvalidDataError,
    InvalidFileError,
    InvalidParameterError,
)
from sk_entity_embed.fitting.streaming import Drawing
from sk_entity_embed.fitting.survey import Survey, TargetSurvey
from sk_entity_embed.input import sources
from sk_entity_embed.learning.crossfit import CrossFitting

N = 4_000


def make_frame(n=N, seed=0):
    """Two columns of categories, with missing ones, lists, a number, weights, groups, a target."""
    rng = np.random.default_rng(seed)
    effects = np.random.default_rng(1)
    a, b = rng.integers(8, size=n), rng.integers(60, size=n)
    tags, number = rng.integers(5, size=(n, 2)), rng.normal(size=n)
    logit = effects.normal(size=8)[a] + effects.normal(size=60)[b] + 0.5 * number
    logit += effects.normal(size=5)[tags].sum(axis=1)
    frame = pd.DataFrame({"a": [f"a{i}" for i in a], "b": b.astype(str), "number": number})
    frame["tags"] = [[f"t{i}", f"t{j}"] for i, j in tags.tolist()]
    frame.loc[rng.random(n) < 0.1, ["a", "number"]] = None
    frame["weight"] = rng.integers(0, 3, n) / 2
    frame["group"] = rng.integers(40, size=n)
    frame["late"] = np.where(rng.random(n) < 1 / (1 + np.exp(-logit)), "yes", "no")
    frame["delay"] = 3 * logit + rng.normal(size=n) + 20
    return frame


FRAME = make_frame()
FEATURES = ["a", "b", "number", "tags"]


def parts_of(frame, size=700):
    return [frame.iloc[i : i + size] for i in range(0, len(frame), size)]


def write_parquet(frame, folder):
    for i, part in enumerate(parts_of(frame)):
        pq.write_table(pa.Table.from_pandas(part, preserve_index=False), folder / f"{i}.parquet")
    return folder


SOURCES = {
    "frame": lambda frame, _: frame,
    "frames": lambda frame, _: parts_of(frame),
    "function": lambda frame, _: lambda: iter(parts_of(frame)),
    "polars": lambda frame, _: pl.from_pandas(frame).lazy(),
    "reader": lambda frame, _: pa.Table.from_pandas(frame, preserve_index=False).to_reader(500),
    "parquet": write_parquet,
}


def make(kind=EntityEmbeddingEncoder, **parameters):
    return kind(**{"max_iter": 4, "random_state": 0, "batch_size": 128, **parameters})


@contextmanager
def small_blocks():
    """Sources of blocks of 500 rows."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sources, "BLOCK_ROWS", 500)
        patch.setattr("sk_entity_embed.learning.stored.CHUNK_ROWS", 50)
        yield


def assert_same(one, other, X):
    np.testing.assert_array_equal(one.transform(X), other.transform(X))
    for column, frame in one.embeddings_.items():
        pd.testing.assert_frame_equal(frame, other.embeddings_[column])
    for name in ("fold_", "loss_curve_", "validation_loss_curve_"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def ending_with(error, n):
    """An iteration that raises as it begins for the nth time."""
    original, begun = CrossFitting.iteration, []

    def iteration(self):
        begun.append(None)
        if len(begun) == n:
            raise error
        return original(self)

    return iteration


# In memory ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", SOURCES)
def test_rows_that_fit_in_memory_are_fitted_as_fit_does(kind, tmp_path):
    columns = [*FEATURES, "weight", "group", "late"]
    source = SOURCES[kind](FRAME[columns], tmp_path)
    X = FRAME[FEATURES]
    with small_blocks():
        found = make().fit_batches(source, "late", sample_weight="weight", groups="group")
    whole = make().fit(X, FRAME["late"], FRAME["weight"], FRAME["group"])
    assert_same(found, whole, X)
    assert found.feature_names_in_.tolist() == FEATURES


@pytest.mark.parametrize("names", ["delay", ["delay"], ["delay", "number"]], ids=str)
def test_targets_may_be_one_or_several(names):
    several = names if isinstance(names, list) and len(names) > 1 else "delay"
    frame = FRAME[["a", "b", "delay", "number"]].fillna({"number": 0.0})
    X = frame.drop(columns=names)
    found = make(EntityEmbeddingRegressor).fit_batches(parts_of(frame), names)
    whole = make(EntityEmbeddingRegressor).fit(X, frame[several])
    np.testing.assert_array_equal(found.predict(X), whole.predict(X))


# From files --------------------------------------------------------------------------------


def streamed(encoder, frame, y, **options):
    with small_blocks():
        return encoder.fit_batches(parts_of(frame), y, **{"rows_in_memory": 1500, **options})


@pytest.mark.parametrize(
    ("kind", "y", "parameters"),
    [
        (EntityEmbeddingClassifier, "late", {"class_weight": "balanced"}),
        (EntityEmbeddingRegressor, "delay", {"y_range": (-100, 150)}),
        (EntityEmbeddingRegressor, "delay", {"cross_fit": False, "pooling": "gru"}),
    ],
    ids=["classes", "quantities", "one table"],
)
def test_more_rows_are_learned_as_well(kind, y, parameters):
    frame = FRAME[[*FEATURES, "weight", y]]
    X, taking_part = frame[FEATURES], frame["weight"] > 0
    one, more = (make(kind, max_iter=8, **parameters) for _ in range(2))
    one.fit(X, frame[y], frame["weight"])
    streamed(more, frame, y, sample_weight="weight")
    assert more.fold_ is None
    assert more.feature_names_in_.tolist() == FEATURES
    for name in ("category_counts_", "category_target_means_"):
        for column, counted in getattr(one, name).items():
            np.testing.assert_allclose(getattr(more, name)[column], counted, rtol=1e-5)
    assert set(more.category_count_errors_.values()) == {0}
    for column, frame_ in one.embeddings_.items():
        assert more.embeddings_[column].index.equals(frame_.index)
    test = make_frame(seed=5)
    scores = [model.score(test[FEATURES], test[y]) for model in (one, more)]
    assert scores[1] > scores[0] - 0.02
    assert scores[0] > 0.6
    predicted = [np.asarray(m.predict(X)[taking_part] == "yes", float) for m in (one, more)]
    if kind is EntityEmbeddingRegressor:
        predicted = [m.predict(X)[taking_part] for m in (one, more)]
    assert np.corrcoef(*predicted)[0, 1] > 0.8


def test_the_same_seed_gives_the_same_bits_whatever_the_parts():
    frame = FRAME[["a", "b", "number", "late"]]
    fits = []
    for parts in (parts_of(frame), parts_of(frame, 1_111), [frame]):
        with small_blocks():
            fits.append(make().fit_batches(parts, "late", rows_in_memory=1500))
    for other in fits[1:]:
        assert_same(fits[0], other, frame[["a", "b", "number"]])


def test_pairs_are_found_and_counted_over_all_rows():
    rng = np.random.default_rng(0)
    codes = rng.integers(6, size=(N, 2))
    frame = pd.DataFrame(codes.astype(str), columns=["a", "b"])
    effects = rng.normal(size=(6, 6))
    frame["y"] = effects[codes[:, 0], codes[:, 1]] + 0.1 * rng.normal(size=N)
    whole = make().fit(frame[["a", "b"]], frame["y"])
    encoder = streamed(make(), frame, "y")
    assert list(encoder.interactions_) == list(whole.interactions_) == [("a", "b")]
    name = "a:b"
    counts = frame.groupby(["a", "b"]).size().to_numpy()
    np.testing.assert_array_equal(encoder.category_counts_[name], counts)
    means = [e.category_target_means_[name] for e in (encoder, whole)]
    np.testing.assert_allclose(*means, rtol=1e-5)


def test_weights_of_classes_are_in_any_unit():
    frame, fits = FRAME[["a", "b", "late"]], []
    for unit in (1.0, 2.0**900, 2.0**-900):
        encoder = make(class_weight={"yes": 3 * unit, "no": 2 * unit})
        fits.append(streamed(encoder, frame, "late"))
    for other in fits[1:]:
        assert_same(fits[0], other, frame[["a", "b"]])


def test_classes_without_a_weight_have_that_of_one_where_a_block_lacks_others():
    frame = FRAME[["a", "b"]].assign(y=np.repeat(list("abc"), [900, 1900, N - 2800]))
    some, every = {"a": 2, "c": 3}, {"a": 2, "b": 1, "c": 3}
    fits = [streamed(make(class_weight=weights), frame, "y") for weights in (some, every)]
    assert_same(*fits, frame[["a", "b"]])


def test_balanced_labels_are_counted_over_all_rows_of_very_many_kinds():
    rng = np.random.default_rng(0)
    labels = rng.random((N, 12)) < np.linspace(0.1, 0.9, 12)
    target = TargetSurvey("auto")
    for part in np.split(labels.astype(int), 4):
        target.add(part, None)
    survey = Survey([], [], [], None, target, 0)
    found = survey.class_weight("balanced", target.target())
    expected = [{0: N / (2 * (N - n)), 1: N / (2 * n)} for n in labels.sum(axis=0).tolist()]
    assert found == expected
    assert len(target.values) < 1_001 < len(np.unique(labels, axis=0))


@pytest.mark.parametrize("unit", [1e-300, 1.0, 1e305])
def test_mean_and_spread_are_those_of_all_rows_in_any_unit(unit):
    rng = np.random.default_rng(0)
    y, weights = rng.normal(3, 2, N), rng.random(N)
    surveys = [TargetSurvey("continuous") for _ in range(2)]
    for survey, start in zip(surveys, (0, N // 2), strict=True):
        for at in range(start, start + N // 2, 500):
            survey.add(y[at : at + 500] * 1e200, weights[at : at + 500] * unit)
    surveys[0].merge(surveys[1])
    mean = np.average(y, weights=weights)
    np.testing.assert_allclose(surveys[0].mean, mean * 1e200)
    width = np.sqrt(np.average((y - mean) ** 2, weights=weights))
    np.testing.assert_allclose(surveys[0].width, width * 1e200)


def test_blocks_without_any_list_are_rows_of_missing_lists():
    frame = FRAME[["b", "tags", "delay"]].copy()
    frame.loc[500:999, "tags"] = None
    frame.loc[N - 500 :, "tags"] = None
    encoder = streamed(make(min_frequency=0.205), frame, "delay")
    whole = make(min_frequency=0.205).fit(frame[["b", "tags"]], frame["delay"])
    for name in ("category_counts_", "category_target_means_"):
        found, expected = getattr(encoder, name)["tags"], getattr(whole, name)["tags"]
        np.testing.assert_allclose(found, expected, rtol=1e-5)
    tags = [fit.embeddings_["tags"].index for fit in (encoder, whole)]
    assert tags[0].equals(tags[1])


def test_training_rows_get_vectors_that_never_saw_their_target(tmp_path):
    """A target of noise can be read off vectors of rare categories that have seen it."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"id": rng.permutation(N) // 4})
    frame = frame.astype(str).assign(other=rng.integers(5, size=N).astype(str), row=np.arange(N))
    frame["y"] = rng.integers(2, size=N)
    columns = ["id", "other", "y"]
    encoder = make(max_iter=12, early_stopping=False)
    with small_blocks():
        path = encoder.fit_transform_batches(
            parts_of(frame), tmp_path / "v", "y", keep=["y"], rows_in_memory=1500, rows_a_file=900
        )
    written = pq.read_table(path).to_pandas()
    np.testing.assert_array_equal(written.pop("y"), frame["y"])
    seen = encoder.transform(frame[["id", "other", "row"]])

    def auc(vectors):
        vectors = StandardScaler().fit_transform(vectors)
        model = LogisticRegression().fit(vectors, frame["y"])
        return roc_auc_score(frame["y"], model.decision_function(vectors))

    assert columns[:2] == encoder.categorical_features_
    assert auc(seen) > 0.7
    assert auc(written.to_numpy()) < 0.58


def test_rows_of_zero_weight_get_the_vectors_of_new_ones(tmp_path):
    frame = FRAME[["a", "b", "weight", "late"]].copy()
    frame.loc[:599, "weight"] = 0.0  # the first block, and some of the second
    encoder = make()
    with small_blocks():
        path = encoder.fit_transform_batches(
            parts_of(frame), tmp_path / "v", "late", sample_weight="weight", rows_in_memory=1500
        )
    written = pq.read_table(path).to_pandas().to_numpy()
    equal = (written == encoder.transform(frame[["a", "b"]])).all(axis=1)
    without = (frame["weight"] == 0).to_numpy()
    assert equal[without].all()
    assert not equal[~without].all()


def test_vectors_of_rows_in_memory_are_those_of_fit_transform(tmp_path):
    frame = FRAME[[*FEATURES, "weight", "late"]]
    path = make(output="both").fit_transform_batches(
        parts_of(frame), tmp_path / "v", "late", sample_weight="weight"
    )
    found = pq.read_table(path).to_pandas().to_numpy()
    wanted = make(output="both").fit_transform(frame[FEATURES], frame["late"], frame["weight"])
    np.testing.assert_array_equal(found, wanted)


def test_features_may_be_chosen_and_an_index_is_none_of_them(tmp_path):
    frame = FRAME[["a", "b", "late"]].assign(order=np.arange(N)).sample(frac=1.0, random_state=0)
    frame.to_parquet(tmp_path / "rows.parquet")  # with the shuffled index
    by_default = make().fit_batches(tmp_path / "rows.parquet", "late")
    assert by_default.feature_names_in_.tolist() == ["a", "b", "order"]
    for rows in (1500, 10_000):
        encoder = make(output="stacking")
        with small_blocks():
            path = encoder.fit_transform_batches(
                tmp_path / "rows.parquet",
                tmp_path / f"v{rows}",
                "late",
                features=["a"],
                keep=["order", "b"],
                rows_in_memory=rows,
            )
        assert encoder.feature_names_in_.tolist() == ["a"]
        written = pq.read_table(path).to_pandas()
        assert written.columns.tolist()[:2] == ["order", "b"]
        np.testing.assert_array_equal(written["order"], frame["order"])


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ("a", "`features` must be a list"),
        ([], "`features` must be a list"),
        (["a", "c"], "`features` names 'c'"),
        (["a", "late"], "`features` names 'late', which is already"),
    ],
)
def test_features_that_cannot_be_are_refused(features, message):
    with pytest.raises(InvalidParameterError, match=message):
        make().fit_batches(FRAME[["a", "b", "late"]], "late", features=features)


@pytest.mark.parametrize("rows_in_memory", [1500, 10_000])
def test_an_interrupted_fit_writes_no_vectors(tmp_path, monkeypatch, rows_in_memory):
    monkeypatch.setattr(CrossFitting, "iteration", ending_with(KeyboardInterrupt, 3))
    settings = {"checkpoint": tmp_path / "kept", "checkpoint_interval": 0}
    source, rest = parts_of(FRAME[["a", "b", "late"]]), {"rows_in_memory": rows_in_memory}
    encoder = make(**settings)
    with small_blocks():
        with (
            pytest.warns(UserWarning, match="goes on from the files"),
            pytest.raises(KeyboardInterrupt, match="no vectors of the training rows"),
        ):
            encoder.fit_transform_batches(source, tmp_path / "v", "late", **rest)
        assert encoder.n_iter_ == 2
        assert not (tmp_path / "v").exists()
        again = make(**settings)
        again.fit_transform_batches(source, tmp_path / "v", "late", **rest)
        whole = make().fit_batches(source, "late", **rest)
    assert_same(again, whole, FRAME[["a", "b"]])
    assert [path.name for path in tmp_path.iterdir() if any(path.iterdir())] == ["v"]


def test_a_checkpoint_stays_until_the_vectors_are_written(tmp_path):
    source = parts_of(FRAME[["a", "b", "late"]])
    encoder = make(checkpoint=tmp_path / "kept", checkpoint_interval=0)
    with small_blocks():
        make(random_state=1).fit_transform_batches(source, tmp_path / "v", "late")
        with pytest.raises(InvalidFileError, match="another model"):
            encoder.fit_transform_batches(source, tmp_path / "v", "late", rows_in_memory=1500)
        assert len(list((tmp_path / "kept").iterdir())) == 1
        encoder.fit_transform_batches(source, tmp_path / "w", "late", rows_in_memory=1500)
    assert not any((tmp_path / "kept").iterdir())


@pytest.mark.parametrize("rows_in_memory", [1500, 10_000])
def test_a_kept_column_of_the_name_of_an_output_is_refused_before_training(
    tmp_path, monkeypatch, rows_in_memory
):
    monkeypatch.setattr(CrossFitting, "iteration", ending_with(ZeroDivisionError, 1))
    frame = FRAME[["a", "number", "late"]]
    with small_blocks(), pytest.raises(InvalidParameterError, match="`keep` names the column"):
        make(remainder="passthrough").fit_transform_batches(
            frame, tmp_path, "late", keep=["number"], rows_in_memory=rows_in_memory
        )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"path": "inside"}, "`path`=.* is inside the folder"),
        ({"keep": ["id"]}, "`keep`: .*no column 'id'"),
        ({"rows_a_file": 0}, "`rows_a_file`"),
        ({"compression": "zip"}, "`compression`"),
    ],
)
def test_where_vectors_go_is_checked_before_a_fit(options, message, tmp_path):
    folder = tmp_path / "rows"
    folder.mkdir()
    source = write_parquet(FRAME[["a", "late"]], folder)
    options = {"path": "beside", **options}
    path = folder / "inside" if options.pop("path") == "inside" else tmp_path / "beside"
    encoder = make()
    with pytest.raises(ValueError, match=message):
        encoder.fit_transform_batches(source, path, "late", **options)
    assert not hasattr(encoder, "n_features_in_")


@pytest.mark.parametrize("groups", [False, True])
def test_folds_and_judges_are_drawn_evenly_and_keep_groups_together(groups):
    drawing = Drawing(n_tables=5, judged=0.2, seed=3)
    labels = np.random.default_rng(0).integers(4_000, size=20_000) if groups else None
    fold, judges = drawing.draw(20_000, labels, 0)
    others = labels if labels is None else labels.astype(float)  # equal in another block
    again, _ = drawing.draw(20_000, others, 1)
    assert np.bincount(fold).min() > 0.9 * 4_000
    assert 0.18 < judges.mean() < 0.22
    for f in range(5):
        assert 0.14 < judges[fold == f].mean() < 0.26
    if labels is not None:
        assert (pd.Series(fold).groupby(labels).nunique() == 1).all()
        assert (pd.Series(judges).groupby(labels).nunique() == 1).all()
    assert np.array_equal(fold, again) == groups


def test_counts_of_very_many_values_may_be_off_and_say_so():
    frame = pd.DataFrame({"id": np.random.default_rng(0).zipf(1.5, N).astype(str)})
    frame["y"] = (frame["id"] == "1").astype(int)
    encoder = streamed(make(max_categories=10, interactions=None), frame, "y")
    (error,) = encoder.category_count_errors_.values()
    assert error > 0
    assert len(encoder.categories_["id"]) == 9
    counts = frame["id"].value_counts()[encoder.categories_["id"]]
    np.testing.assert_allclose(encoder.category_counts_["id"], counts, atol=error)
    unknown = encoder.transform(pd.DataFrame({"id": ["never seen"]}))
    rare = encoder.transform(pd.DataFrame({"id": [frame["id"].value_counts().index[-1]]}))
    np.testing.assert_array_equal(unknown, rare)


def test_a_fit_that_is_stopped_goes_on_from_its_checkpoint(tmp_path, monkeypatch):
    frame = FRAME[["a", "b", "number", "late"]]
    X = frame[["a", "b", "number"]]
    settings = {"checkpoint": tmp_path, "checkpoint_interval": 0, "max_iter": 5}
    whole = streamed(make(max_iter=5), frame, "late")
    with monkeypatch.context() as patch:
        patch.setattr(CrossFitting, "iteration", ending_with(ZeroDivisionError, 4))
        with pytest.raises(ZeroDivisionError):
            streamed(make(**settings), frame, "late")
    with pytest.raises(InvalidParameterError, match=r"another fit: .*y"):
        streamed(make(**settings), frame.assign(late=frame["late"].to_numpy()[::-1]), "late")
    with pytest.raises(InvalidParameterError, match="another fit: `rows_in_memory`"):
        streamed(make(**settings), frame, "late", rows_in_memory=1400)
    assert_same(streamed(make(**settings), frame, "late"), whole, X)
    assert not list(tmp_path.iterdir())


# Faults ------------------------------------------------------------------------------------


def spoiled(frame, column, values, *, part):
    """Parts of a frame, one of them with other values in a column."""
    parts = [p.copy() for p in parts_of(frame)]
    parts[part][column] = values(parts[part][column])
    return parts


@pytest.mark.parametrize("rows_in_memory", [1500, 10_000])
@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        (lambda f: iter(parts_of(f)), {}, "read only once"),
        (lambda f: [], {}, "no rows"),
        (lambda f: f.iloc[:0], {}, "no rows"),
        (lambda f: [*parts_of(f), f.drop(columns="b")], {}, "Block 7.*'b'"),
        (lambda f: spoiled(f, "number", lambda c: c.astype(str), part=4), {}, "'number'.*block 5"),
        (lambda f: spoiled(f, "late", lambda c: None, part=4), {}, "[Bb]lock 5: .*y contains NaN"),
        (lambda f: spoiled(f, "number", lambda c: np.inf, part=4), {}, "'number' contains inf"),
        (lambda f: f, {"y": "late "}, "`y` names 'late '"),
        (lambda f: f, {"sample_weight": "w"}, "`sample_weight` names 'w'"),
        (lambda f: f, {"groups": "late"}, "more than once"),
        (lambda f: f.assign(weight=-1.0), {"sample_weight": "weight"}, "[Ww]eight"),
        (lambda f: f.assign(weight=0.0), {"sample_weight": "weight"}, "[Ww]eight"),
        (lambda f: f.assign(late="no"), {}, "one class only"),
        (lambda f: f[["late"]], {}, "no column to learn from"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_source_is_said(source, options, message, rows_in_memory, tmp_path):
    encoder = make().fit(FRAME[["a"]], FRAME["late"])
    before = encoder.__dict__
    options = {"y": "late", "rows_in_memory": rows_in_memory, "spill_dir": tmp_path, **options}
    with small_blocks(), pytest.raises((ValueError, TypeError), match=f"(?s){message}"):
        encoder.fit_batches(source(FRAME[["a", "b", "number", "late"]]), **options)
    assert encoder.__dict__ is before
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("parameters", "name"),
    [
        ({"warm_start": True}, "warm_start"),
        ({"n_members": 2}, "n_members"),
        ({"cv": [([0], [1])]}, "cv"),
        ({"init": StandardScaler()}, "init"),
    ],
)
def test_parameters_that_need_all_rows_are_refused(parameters, name):
    with pytest.raises(InvalidParameterError, match=f"`{name}`=.*rows_in_memory"):
        streamed(make(**parameters), FRAME[["a", "b", "late"]], "late")
    with pytest.raises(InvalidParameterError, match="`rows_in_memory` must be"):
        make().fit_batches(FRAME, "late", rows_in_memory=0)


def test_a_source_that_changes_between_passes_is_refused():
    frame, calls = FRAME[["a", "b", "late"]], []

    def source():
        calls.append(None)
        later = frame if len(calls) < 3 else frame.replace({"late": {"yes": "perhaps"}})
        return iter(parts_of(later))

    with small_blocks(), pytest.raises(InvalidDataError, match=r"y holds 'perhaps'.*'no', 'yes'"):
        make().fit_batches(source, "late", rows_in_memory=1500)


def test_roles_that_differ_between_blocks_are_refused():
    frame = pd.DataFrame({"a": np.arange(N) % 7, "b": np.arange(N) % 5, "y": np.arange(N) % 2})
    later = frame.assign(b=frame["b"] + 0.5)
    with small_blocks(), pytest.raises(InvalidDataError, match=r"'b'.*categorical_features"):
        make().fit_batches([frame, later], "y", rows_in_memory=1500)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"y": []}, "`y` must be the name of a column, or a list of names"),
        ({"y": None}, "`y` must be the name"),
        ({"groups": 3}, "`groups` must be the name of a column"),
        ({"spill_dir": "nowhere"}, "`spill_dir`='nowhere' is not a folder"),
        ({"keep": ["a", "a"]}, "`keep` names a column twice"),
        ({"path": "others"}, "was not written by transform_batches"),
    ],
    ids=str,
)
def test_what_cannot_be_done_is_said_before_anything_is_learned(options, message, tmp_path):
    (tmp_path / "others").mkdir()
    FRAME[["a"]].to_parquet(tmp_path / "others" / "rows.parquet")
    options = {"y": "late", "path": "new", **options}
    encoder = make()
    path = tmp_path / options.pop("path")
    with pytest.raises(ValueError, match=message):
        encoder.fit_transform_batches([FRAME[["a", "late"]]], path, **options)
    assert not hasattr(encoder, "classes_")


def test_few_groups_are_refused():
    frame = FRAME[["a", "b", "late"]].assign(group=1)
    with pytest.raises(InvalidDataError, match=r"too few groups|at least two groups"):
        streamed(make(), frame, "late", groups="group")


def test_a_full_disk_is_an_error_that_names_the_folder(tmp_path):
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    frame = make_frame(3 * N)[["a", "b", "number", "late"]]
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        with pytest.raises(OSError) as caught:  # noqa: PT011
            streamed(make(), frame, "late", spill_dir=tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.errno in (errno.EFBIG, errno.ENOSPC)
    assert str(tmp_path) in caught.value.__notes__[0]
    assert not list(tmp_path.iterdir())


def test_an_interrupted_fit_keeps_its_best_state(monkeypatch):
    monkeypatch.setattr(CrossFitting, "iteration", ending_with(KeyboardInterrupt, 3))
    encoder = make()
    with pytest.warns(UserWarning, match="interrupted"):
        streamed(encoder, FRAME[["a", "b", "late"]], "late")
    assert encoder.n_iter_ == 2
