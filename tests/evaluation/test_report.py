"""encoding_report: what is compared, how it is scored, and what happens when something fails."""

from __future__ import annotations

import pickle
import sys
import warnings
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn import config_context
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.compose import make_column_transformer
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.exceptions import FitFailedWarning
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import make_scorer, mean_absolute_error, r2_score
from sklearn.model_selection import GroupKFold, KFold, ShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler, TargetEncoder
from sklearn.tree import DecisionTreeRegressor

from sk_entity_embed import EntityEmbeddingEncoder
from sk_entity_embed._compat import TARGET_ENCODER_TAKES_FOLDS
from sk_entity_embed.evaluation import comparison, encoding_report
from sk_entity_embed.evaluation.comparison import default_models
from sk_entity_embed.evaluation.finding import find
from sk_entity_embed.exceptions import (
    FoldsReducedWarning,
    InvalidDataError,
    InvalidParameterError,
)
from sk_entity_embed.input.target import read_target
from tests.containers import make_container
from tests.samples import make_encoder, make_rows

COLUMNS = [
    *("encoder", "downstream", "scoring", "mean_test_score", "std_test_score", "mean_train_score"),
    *("leak_gap", "difference", "std_difference", "fit_time", "transform_time", "downstream_time"),
    *("n_features", "n_splits"),
]
TIMES = ["fit_time", "transform_time", "downstream_time"]
DEFAULTS = ["TargetEncoder", "CatBoostEncoder", "JamesSteinEncoder", "one-hot"]
OURS = ["embedding", "both", "stacking"]


@pytest.fixture(autouse=True)
def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start each test with nothing recorded, and without libraries that may be installed."""
    Recorder.seen.clear()
    monkeypatch.setattr(comparison, "_is_installed", lambda library: False)


def quick(X: Any, y: Any, estimator: Any = None, **options: Any) -> Any:
    """A report of one linear model and two folds."""
    options = {"downstream": Ridge(), "cv": 2, "random_state": 0, **options}
    return encoding_report(make_encoder() if estimator is None else estimator, X, y, **options)


def row_of(report: pd.DataFrame, encoder: str, downstream: str = "Ridge") -> pd.Series:
    """The one row of an encoder and a model."""
    chosen = report[(report["encoder"] == encoder) & (report["downstream"] == downstream)]
    assert len(chosen) == 1
    return chosen.iloc[0]


class Recorder(TransformerMixin, BaseEstimator):
    """An encoder that keeps what it was given, in a list that all of them share."""

    seen: list[tuple[Any, Any]] = []  # noqa: RUF012

    def fit(self, X: Any, y: Any) -> Recorder:
        self.seen.append((X, y))
        return self

    def transform(self, X: Any) -> Any:
        return np.zeros((len(X), 1))


gives_folds = pytest.mark.skipif(
    not TARGET_ENCODER_TAKES_FOLDS, reason="scikit-learn before 1.9 gives a TargetEncoder no folds"
)


class RecordingTargetEncoder(TargetEncoder):
    """A TargetEncoder that keeps what it was given, and its inner folds."""

    def fit_transform(self, X: Any, y: Any) -> Any:
        Recorder.seen.append((X, self.cv))
        return super().fit_transform(X, y)


class Fails(TransformerMixin, BaseEstimator):
    """An encoder that fails where the training rows hold the given letter."""

    def __init__(self, letter: str) -> None:
        self.letter = letter

    def fit(self, X: Any, y: Any = None) -> Fails:
        if self.letter in set(X["letter"]):
            raise RuntimeError("out of order")
        return self

    def transform(self, X: Any) -> Any:
        return np.zeros((len(X), 1))


class Plain:
    """No scikit-learn class: fit and transform only."""

    def fit(self, X: Any, y: Any) -> None:
        self.mean = float(np.mean(y))

    def transform(self, X: Any) -> list[list[float]]:
        return [[self.mean]] * len(X)


def test_default_report(rows: tuple[pd.DataFrame, np.ndarray]) -> None:
    report = encoding_report(make_encoder(), *rows, cv=2, random_state=0)
    assert report.columns.tolist() == COLUMNS
    encoders = [*DEFAULTS, *OURS]
    pairs = {(encoder, downstream) for encoder in encoders for downstream in ("linear", "boosting")}
    pairs.add(("native", "boosting"))
    assert set(zip(report["encoder"], report["downstream"], strict=True)) == pairs
    assert report["downstream"].tolist() == ["linear"] * 7 + ["boosting"] * 8
    for _, part in report.groupby("downstream"):
        assert part["mean_test_score"].is_monotonic_decreasing
    assert set(report["scoring"]) == {"r2"}
    assert set(report["n_splits"]) == {2}
    assert (report[TIMES] > 0).all(axis=None)
    assert report.index.tolist() == list(range(15))
    assert "under 'linear'" in report.attrs["finding"]
    assert row_of(report, "one-hot", "linear")["mean_test_score"] > 0.95
    # Context is appended to all: one number beside two encoded columns.
    for encoder in DEFAULTS[:3]:
        assert row_of(report, encoder, "linear")["n_features"] == 3
        assert row_of(report, encoder, "linear")["mean_test_score"] > 0.9
    assert row_of(report, "one-hot", "boosting")["n_features"] == 5 + 3 + 1
    assert (report[report["encoder"] == "TargetEncoder"]["difference"] == 0).all()
    native, reference = (row_of(report, e, "boosting") for e in ("native", "TargetEncoder"))
    gain = native["mean_test_score"] - reference["mean_test_score"]
    assert native["difference"] == pytest.approx(gain)


def test_ordered_statistics_do_not_depend_on_the_order_of_rows() -> None:
    X, y = make_rows(240)
    order = np.argsort(y)  # by which each row would follow rows of smaller targets
    report, folds = quick(X.iloc[order], y[order], cv=KFold(2, shuffle=True), return_folds=True)
    expected = quick(X, y)
    found = row_of(report, "CatBoostEncoder")["mean_test_score"]
    assert found == pytest.approx(row_of(expected, "CatBoostEncoder")["mean_test_score"], abs=0.1)
    assert folds["error"].isna().all()


def test_default_encoders_leak_as_much_as_is_told() -> None:
    random = np.random.default_rng(0)
    X = pd.DataFrame({"noise": random.integers(0, 200, 600).astype(str)})
    gap = quick(X, random.normal(size=600)).set_index("encoder")["leak_gap"]
    assert gap["JamesSteinEncoder"] > 0.3
    assert max(gap["TargetEncoder"], gap["CatBoostEncoder"], gap["embedding"]) < 0.15


@gives_folds
@pytest.mark.parametrize("n_members", [1, 2])
def test_numbers_equal_an_explicit_loop(
    n_members: int, rows: tuple[pd.DataFrame, np.ndarray]
) -> None:
    X, y = rows
    members = {"n_members": n_members}
    cv = KFold(3, shuffle=True, random_state=4)
    inner = KFold(2, shuffle=True, random_state=5)
    encoders = {"by target": TargetEncoder(cv=inner)}
    estimator = make_encoder(**members)
    report, folds = quick(X, y, estimator, encoders=encoders, cv=cv, return_folds=True)
    assert len(folds) == len(report) * 3
    assert folds["error"].isna().all()
    scores: dict[str, list[tuple[float, float]]] = {n: [] for n in ("by target", *OURS)}
    for train, test in cv.split(X):
        for name, found in scores.items():
            if name == "by target":
                encoder, columns = TargetEncoder(cv=inner), ["letter", "color"]
            else:
                encoder, columns = make_encoder(output=name, **members), list(X)
            A = encoder.fit_transform(X.iloc[train][columns], y[train])
            B = encoder.transform(X.iloc[test][columns])
            A, B = (np.column_stack([Z, X["size"].iloc[i]]) for Z, i in ((A, train), (B, test)))
            model = Ridge().fit(A, y[train])
            found.append((model.score(A, y[train]), model.score(B, y[test])))
    reference = np.array(scores["by target"])[:, 1]
    for name, found in scores.items():
        row, (train, test) = row_of(report, name), np.array(found).T
        expected = {
            "mean_test_score": test.mean(),
            "std_test_score": test.std(),
            "mean_train_score": train.mean(),
            "leak_gap": train.mean() - test.mean(),
            "difference": (test - reference).mean(),
            "std_difference": (test - reference).std(),
        }
        np.testing.assert_allclose([row[k] for k in expected], list(expected.values()), atol=1e-12)
        part = folds[folds["encoder"] == name]
        np.testing.assert_allclose(part["test_score"], test, atol=1e-12)
        assert row["fit_time"] == pytest.approx(part["fit_time"].mean())


def test_models_that_overwrite_their_input_spoil_no_scores() -> None:
    X, y = make_rows(120)
    models = {
        f"{mean} {copy}": make_pipeline(StandardScaler(copy=copy, with_mean=mean), Ridge())
        for mean in (False, True)  # with sparse columns, and with dense ones
        for copy in (False, True)
    }
    encoders = {"one-hot": OneHotEncoder(), "dense": OneHotEncoder(sparse_output=False)}
    report = quick(X[["letter", "color"]], y, encoders=encoders, downstream=models)
    scores = report.sort_values(["downstream", "encoder"])[["mean_train_score", "mean_test_score"]]
    for copied, overwritten in scores.to_numpy().reshape(2, 2, -1):
        np.testing.assert_allclose(copied, overwritten)


def test_rows_of_the_estimator_are_its_outputs(rows: tuple[pd.DataFrame, np.ndarray]) -> None:
    X, y = rows
    outputs = [*OURS, "hidden"]
    variants = {f"alone {o}": make_encoder(output=o) for o in outputs}
    report = quick(X, y, make_encoder(output="hidden"), encoders=variants).set_index("encoder")
    shared = report.loc[outputs]
    assert len(report) == 8
    # One network for all gives what one for each would.
    for measure in ("mean_test_score", "mean_train_score", "n_features"):
        assert shared[measure].tolist() == report.loc[[*variants], measure].tolist()
    assert shared["fit_time"].nunique() == 1
    plain = quick(X, y, encoders={})
    assert sorted(plain["encoder"]) == sorted(OURS)
    best = plain["encoder"][0]
    assert plain.attrs["finding"].startswith(f"Use output={best!r} under 'Ridge', the best of")


@pytest.mark.parametrize("name", ["polars", "pyarrow", "lists"])
def test_containers_give_equal_scores(name: str) -> None:
    X, y = make_rows(60)
    data = {column: X[column].tolist() for column in X}
    data["letter"][3] = data["size"][5] = None
    options = {"downstream": DecisionTreeRegressor(max_depth=3), "encoders": {}}
    found, expected = (
        quick(make_container(n, data), y.tolist(), make_encoder(max_iter=1, cv=2), **options)
        for n in (name, "pandas")
    )
    pd.testing.assert_frame_equal(found.drop(columns=TIMES), expected.drop(columns=TIMES))


def test_encoders_get_categorical_columns_as_strings() -> None:
    X, y = make_rows(60)
    X["code"] = np.arange(60) % 3
    X["mixed"] = pd.Series([1, "1", None] * 20, dtype=object)
    estimator = make_encoder(categorical_features=["code", "mixed", "letter"])
    quick(X.drop(columns="color"), y, estimator, encoders={"recorder": Recorder()})
    assert len(Recorder.seen) == 2
    texts = pd.concat([texts for texts, _ in Recorder.seen]).sort_index()
    assert texts.columns.tolist() == ["letter", "code", "mixed"]
    assert texts["letter"].tolist() == X["letter"].tolist()
    assert texts["code"].tolist() == X["code"].astype(str).tolist()
    assert texts["mixed"].tolist() == ["1", "'1'", None] * 20


def test_masks_selectors_and_labels_that_are_numbers_choose_columns() -> None:
    X, y = make_rows(60)
    X, options = X[["size", "letter"]], {"encoders": {"target": TargetEncoder()}}
    choices: list[Any] = [["letter"], [1], [False, True], lambda X: ["letter"]]
    reports = [quick(X, y, make_encoder(categorical_features=c), **options) for c in choices]
    numbered = make_encoder(categorical_features=[0])
    reports.append(quick(X.set_axis([1, 0], axis="columns"), y, numbered, **options))
    for report in reports[1:]:
        pd.testing.assert_frame_equal(
            report.drop(columns=TIMES), reports[0].drop(columns=TIMES), check_exact=True
        )


@pytest.mark.parametrize("n_classes", [2, 3])
def test_classes(n_classes: int) -> None:
    X, y = make_rows(240)
    labels = np.array(["low", "middle", "high"])[np.digitize(y, [0.0, 1.0][: n_classes - 1])]
    report = encoding_report(make_encoder(), X, labels, cv=2, random_state=0)
    assert set(report["scoring"]) == {"roc_auc" if n_classes == 2 else "roc_auc_ovr"}
    assert len(report) == 15
    predictions = row_of(report, "stacking", "linear")["n_features"]
    predictions -= row_of(report, "embedding", "linear")["n_features"]
    assert predictions == {2: 1, 3: 3}[n_classes]
    assert report["mean_test_score"].notna().all()
    for encoder in DEFAULTS:
        assert row_of(report, encoder, "linear")["mean_test_score"] > 0.85
    for encoder in DEFAULTS[:3]:
        columns = {2: 2, 3: 6}[n_classes]
        assert row_of(report, encoder, "linear")["n_features"] == columns + 1


def test_folds_of_classes_are_stratified() -> None:
    X, _ = make_rows(60)
    labels = (np.arange(60) < 9).astype(int)
    options = {"encoders": {"recorder": Recorder()}, "downstream": LogisticRegression()}
    quick(X, labels, cv=3, **options)
    assert [y.sum() for _, y in Recorder.seen] == [6, 6, 6]


def test_classes_that_a_fold_lacks_are_refused_by_the_default_score() -> None:
    X, _ = make_rows(60)
    labels = np.repeat(["a", "b", "c"], 20)
    options = {"encoders": {}, "downstream": DummyClassifier(), "cv": KFold(3)}
    with pytest.raises(InvalidParameterError, match=r"training rows of fold 0 lack .*\['a'\]"):
        quick(X, labels, **options)
    assert quick(X, labels, scoring="accuracy", **options)["mean_test_score"].tolist() == [0, 0, 0]
    with pytest.raises(InvalidParameterError, match="test rows of fold 0 lack"):
        quick(X, labels, **{**options, "cv": [(np.arange(60), np.arange(10))]})


def test_integers_follow_the_estimators_target_type() -> None:
    X, y = make_rows(240)
    counts = np.round(100 * y).astype(int)
    with pytest.raises(InvalidParameterError, match="target_type"):
        quick(X, counts)
    report = quick(X, counts, make_encoder(target_type="continuous", max_iter=1))
    assert set(report["scoring"]) == {"r2"}
    for encoder in DEFAULTS[:3]:
        assert row_of(report, encoder)["n_features"] == 3


def test_several_outputs_need_encoders_models_and_a_score() -> None:
    X, y = make_rows(60)
    wide = np.column_stack([y, -y])
    with pytest.raises(InvalidParameterError, match=r"2 outputs.*`downstream` and `scoring`"):
        quick(X, wide)
    report = quick(X, wide, encoders={"ordinal": OrdinalEncoder()}, scoring="r2")
    assert sorted(report["encoder"]) == ["both", "embedding", "ordinal", "stacking"]
    widths = [row_of(report, name)["n_features"] for name in ("embedding", "stacking")]
    assert widths[1] - widths[0] == 2
    assert report["mean_test_score"].notna().all()
    tags = np.column_stack([y > 0, y > 1]).astype(int)
    options = {"encoders": {}, "downstream": DummyClassifier(), "scoring": "accuracy"}
    assert len(quick(X, tags, **options)) == 3


def test_one_hot_columns_are_complete_where_models_take_sparse_input() -> None:
    random = np.random.default_rng(0)
    X = pd.DataFrame({"many": random.integers(0, 90, 900).astype(str), "n": random.random(900)})
    models = {
        "ridge": Ridge(),
        "tree": HistGradientBoostingRegressor(max_iter=1),
        "refuses": make_pipeline(StandardScaler(), Ridge()),
    }
    report = quick(X, random.random(900), make_encoder(max_iter=1), downstream=models)
    assert row_of(report, "one-hot", "ridge")["n_features"] > 85
    assert row_of(report, "one-hot", "tree")["n_features"] == 64 + 1
    assert row_of(report, "one-hot", "refuses")["n_features"] == 64 + 1


class RecordingCatBoost(DummyRegressor):
    """In the place of CatBoost: keeps what it was given."""

    def __init__(self, cat_features: Any = None, **options: Any) -> None:
        super().__init__()
        self.cat_features = cat_features

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> RecordingCatBoost:
        Recorder.seen.append((X, self.cat_features))
        return super().fit(X, y, sample_weight)

    def predict(self, X: Any, return_std: bool = False) -> Any:
        Recorder.seen.append((X, self.cat_features))
        return super().predict(X, return_std)


def test_models_that_take_categories_get_them_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    module: Any = SimpleNamespace(CatBoostRegressor=RecordingCatBoost)
    monkeypatch.setitem(sys.modules, "catboost", module)
    monkeypatch.setattr(comparison, "_is_installed", lambda library: library == "catboost")
    X, y = make_rows(60)
    X.loc[0, "letter"], X.loc[59, "color"] = None, "new"
    report = quick(X, y, make_encoder(max_iter=1), cv=[(np.arange(50), np.arange(50, 60))])
    native = report[report["encoder"] == "native"]
    assert native["downstream"].tolist() == ["HistGradientBoosting", "CatBoost"]
    assert native["difference"].isna().all()  # no other encoder is followed by these
    (train, places), _, (test, _) = Recorder.seen
    assert places == (0, 1)
    texts = X[["letter", "color"]].fillna("missing")  # a category like others
    assert test.iloc[9, 1] == "unseen"
    for j, name in enumerate(texts):
        cells = pd.concat([train, test])[str(j)].tolist()
        known = [
            (code, text) for code, text in zip(cells, texts[name], strict=True) if text != "new"
        ]
        assert len(set(known)) == len({code for code, _ in known}) == len({t for _, t in known})
    np.testing.assert_array_equal(train.iloc[:, 2], X["size"][:50])
    assert not [n for n in quick(X, y, encoders={})["encoder"] if n == "native"]


@gives_folds
def test_columns_of_too_many_levels_are_target_encoded_by_groups(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(comparison, "TargetEncoder", RecordingTargetEncoder)
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 300, 1_200)
    X = pd.DataFrame({"many": codes.astype(str), "few": rng.choice(["a", "b"], 1_200)})
    y = rng.normal(size=300)[codes] + (X["few"] == "a") * 2.0
    groups = np.arange(1_200) % 40
    report = quick(X, y, make_encoder(max_iter=1), groups=groups)
    assert row_of(report, "native", "HistGradientBoosting")["mean_test_score"] > 0.6
    alone = [splits for texts, splits in Recorder.seen if list(texts) == ["many"]]
    assert len(alone) == 2
    for splits in alone:
        assert len(splits) == 5  # drawn by groups, no integer any more


def test_lightgbm_is_compared_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("lightgbm")
    monkeypatch.setattr(comparison, "_is_installed", lambda library: library == "lightgbm")
    X, y = make_rows(2_000)
    for target, model in ((y, Ridge()), (np.where(y > 0, "late", "early"), DummyClassifier())):
        report = quick(X, target, make_encoder(max_iter=1), downstream=model)
        assert row_of(report, "native", "LightGBM")["mean_test_score"] > 0.8


@pytest.mark.parametrize(
    ("ours", "other", "start"),
    [
        (
            [0.8, 0.9],
            [0.6, 0.7],
            "Use output='both' under 'linear', the best of the outputs (r2",
        ),
        (
            [0.6, 0.7],
            [0.8, 0.9],
            "Another model is better: 'CatBoost' with categories as they",
        ),
        (
            [0.9, 0.7],
            [0.7, 0.9],
            "Nothing is clearly better: output='both' under 'linear'",
        ),
        (
            [0.8, 0.9],
            None,
            "Use output='both' under 'linear', the best of the outputs (r2",
        ),
        ([0.8, np.nan], [0.8, 0.9], "No output could be scored in every fold"),
    ],
)
@pytest.mark.parametrize("output", ["both", "stacking"])
def test_the_finding_names_the_best_output_or_what_is_better(
    ours: list[float], other: list[float] | None, start: str, output: str
) -> None:
    scores = {("both", "linear"): ours}
    if other is not None:
        scores[("native", "CatBoost")] = other
        scores[("TargetEncoder", "linear")] = [0.5, 0.5]
    folds = pd.DataFrame(
        [
            (*names, fold, score, 1.0 if names[0] == "native" else 2.0, 0.5)
            for names, values in scores.items()
            for fold, score in enumerate(values)
        ],
        columns=["encoder", "downstream", "fold", "test_score", "fit_time", "downstream_time"],
    )
    found = find(folds.replace("both", output), OURS, "r2")
    assert found.startswith(start.replace("both", output))
    assert ("nothing to compare it with" in found) == (other is None)
    if start.startswith("Nothing"):
        assert found.endswith("which is quicker (2.5 s against 1.5 s to fit).")
        assert "take 'CatBoost' with categories as they are" in found
    if start.startswith("Another"):
        assert "by 0.2000 \u00b1 0.0000" in found


def test_own_encoders_models_and_scores(rows: tuple[pd.DataFrame, np.ndarray]) -> None:
    X, y = rows
    encoders = {
        "plain": Plain(),
        "frame": OrdinalEncoder().set_output(transform="pandas"),
        "sparse": OneHotEncoder(),
        "pipeline": make_pipeline(OneHotEncoder(sparse_output=False), StandardScaler()),
    }
    models = {"tree": HistGradientBoostingRegressor(max_iter=1), "ridge": Ridge()}
    negative = make_scorer(mean_absolute_error, greater_is_better=False)
    report = quick(X, y, encoders=encoders, downstream=models, scoring=negative)
    assert set(report["scoring"]) == {"callable"}
    assert (report["mean_test_score"] < 0).all()
    assert row_of(report, "plain", "ridge")["n_features"] == 2
    assert row_of(report, "sparse", "tree")["n_features"] == 9  # made dense, not cut
    assert row_of(report, "plain", "tree")["difference"] == 0
    gain = row_of(report, "pipeline", "ridge")["mean_test_score"]
    gain -= row_of(report, "plain", "ridge")["mean_test_score"]
    assert row_of(report, "pipeline", "ridge")["difference"] == pytest.approx(gain)

    def half_r2(model: Any, X: Any, y: Any) -> float:
        return r2_score(y, model.predict(X)) / 2

    assert set(quick(X, y, encoders={}, scoring=half_r2)["scoring"]) == {"half_r2"}


@gives_folds
def test_groups_are_not_divided_anywhere() -> None:
    X, y = make_rows(120)
    X = X.assign(group=np.repeat([f"g{i}" for i in range(12)], 10))[["letter", "group"]]
    inner = make_encoder(categorical_features="all", cv=GroupKFold(2))  # fails without groups
    one = RecordingTargetEncoder(cv=3)
    encoders = {"target": one, "pipe": make_pipeline(make_column_transformer((one, ["group"])))}
    report = quick(X, y, inner, groups=X["group"], encoders=encoders)
    assert report["mean_test_score"].notna().all()
    assert one.cv == 3
    assert len(Recorder.seen) == 4
    assert not set(Recorder.seen[0][0]["group"]) & set(Recorder.seen[2][0]["group"])
    for texts, splits in Recorder.seen:
        assert len(splits) == 3
        for train, test in splits:
            assert len(train) + len(test) == len(texts)
            group = texts["group"].to_numpy()
            assert not set(group[train]) & set(group[test])


def test_splitters_and_iterables(rows: tuple[pd.DataFrame, np.ndarray]) -> None:
    X, y = rows
    options = {"estimator": make_encoder(max_iter=1), "encoders": {}}
    assert set(quick(X, y, cv=ShuffleSplit(3, random_state=0), **options)["n_splits"]) == {3}
    assert set(quick(X, y, cv=None, **options)["n_splits"]) == {5}
    mask = np.arange(240) < 120
    report = quick(X, y, cv=iter([(mask, ~mask)]), **options)
    expected = quick(X, y, cv=[(np.arange(120), np.arange(120, 240))], **options)
    pd.testing.assert_frame_equal(report.drop(columns=TIMES), expected.drop(columns=TIMES))


def test_random_state_decides_everything_and_n_jobs_nothing() -> None:
    X, y = make_rows(120)
    estimator = EntityEmbeddingEncoder(max_iter=1, hidden_layer_sizes=(4,), device="cpu")
    models = {"tree": DecisionTreeRegressor(max_features=1)}
    pipe = make_pipeline(TargetEncoder(), StandardScaler())
    encoders = {"target": TargetEncoder(), "pipe": pipe, "ours": make_pipeline(clone(estimator))}

    def scores(seed: int, n_jobs: int = 1) -> pd.DataFrame:
        options = {"downstream": models, "encoders": encoders, "n_jobs": n_jobs}
        return quick(X, y, estimator, random_state=seed, **options).drop(columns=TIMES)

    np.random.seed(0)  # noqa: NPY002
    first = scores(1)
    np.random.seed(1)  # noqa: NPY002
    pd.testing.assert_frame_equal(first, scores(1, n_jobs=2))
    assert not first.equals(scores(2))


def test_nothing_given_is_changed(rows: tuple[pd.DataFrame, np.ndarray]) -> None:
    X, y = rows[0].copy(), rows[1].copy()
    estimator = EntityEmbeddingEncoder(max_iter=1).fit(X, y)
    texts = X[["letter", "color"]]
    encoders = {
        "target": TargetEncoder(),
        "ordinal": make_pipeline(OrdinalEncoder()),
        "frozen": make_pipeline(FrozenEstimator(TargetEncoder().fit(texts, y))),
    }
    models = {"tree": DecisionTreeRegressor()}
    given = (estimator, X, y, encoders, models)
    before = pickle.dumps(given)
    quick(X, y, estimator, encoders=encoders, downstream=models)
    assert pickle.dumps(given) == before


def test_what_fails_is_named_and_the_rest_is_kept() -> None:
    X, y = make_rows(60)
    X.loc[30, "letter"] = "only here"
    X.loc[0, "size"] = np.nan  # Ridge takes no missing numbers
    cv = [(np.arange(30), np.arange(30, 60)), (np.arange(30, 60), np.arange(30))]
    encoders = {"fails": Fails("only here"), "target": TargetEncoder()}
    models = {"ridge": Ridge(), "mean": DummyRegressor()}
    with pytest.warns(FitFailedWarning) as caught:
        report, folds = quick(X, y, encoders=encoders, downstream=models, cv=cv, return_folds=True)
    assert len(caught) == 1
    assert "encoder 'fails', fold 1: RuntimeError: out of order" in str(caught[0].message)
    assert "fold 0: downstream 'ridge': ValueError: Input X con" in str(caught[0].message)
    assert caught[0].filename == __file__
    counts = report.groupby("downstream")["mean_test_score"].count()
    assert counts.to_dict() == {"mean": 4, "ridge": 0}
    assert report["encoder"].tolist()[-1] == "fails"
    assert report["difference"].isna().all()  # the reference has failed
    failed = folds[(folds["encoder"] == "fails") & (folds["downstream"] == "mean")]
    assert failed["error"].tolist() == [None, "RuntimeError: out of order"]
    assert failed["test_score"].notna().tolist() == [True, False]


def test_nothing_that_works_is_an_error() -> None:
    X, y = make_rows(60)
    with pytest.raises(InvalidParameterError, match=r"Nothing could be scored.*downstream 'Ridge'"):
        quick(X, y, encoders={}, scoring=lambda model, X, y: {})


def test_missing_and_unknown_cells_reach_the_default_models() -> None:
    X, y = make_rows(120)
    X.loc[::7, "letter"] = None
    X.loc[::5, "size"] = np.nan
    X["flag"] = 1.0
    X.loc[100, "flag"] = np.nan
    X.loc[119, "color"] = "new"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        report = encoding_report(make_encoder(handle_unknown="nan"), X, y, cv=KFold(2))
    assert report["mean_test_score"].notna().all()


def test_global_settings_of_scikit_learn_do_not_matter() -> None:
    X, y = make_rows(60)
    options = {"estimator": make_encoder(max_iter=1), "downstream": None}
    expected = quick(X, y, **options)
    with config_context(transform_output="pandas", enable_metadata_routing=True):
        report = quick(X, y, **options)
    pd.testing.assert_frame_equal(report.drop(columns=TIMES), expected.drop(columns=TIMES))


def test_the_default_linear_model_scales_no_indicators() -> None:
    year = 2000.0 + np.arange(6)
    X = np.column_stack([np.eye(3)[[0, 1, 2, 0, 1, 2]], year])
    scale = default_models(read_target(year, "auto"))["linear"][1]
    for given in (X, sparse.csc_matrix(X)):
        out = scale.fit_transform(given)
        assert sparse.issparse(out) == sparse.issparse(given)
        out = out.toarray() if sparse.issparse(out) else out
        np.testing.assert_allclose(out[:, 0], (year - year.mean()) / year.std())
        np.testing.assert_array_equal(out[:, 1:], X[:, :3])
    np.testing.assert_array_equal(scale.fit_transform(X[:, :3]), X[:, :3])


def test_progress_bar(
    rows: tuple[pd.DataFrame, np.ndarray], capsys: pytest.CaptureFixture[str]
) -> None:
    quick(*rows, encoders={"ordinal": OrdinalEncoder()}, verbose=1)
    assert "encoders: 100%" in (shown := capsys.readouterr().err)
    assert "4/4" in shown
    quick(*rows, encoders={})
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"estimator": OrdinalEncoder()}, "'estimator' parameter of encoding_report"),
        ({"estimator": EntityEmbeddingEncoder(max_iter=0)}, "`estimator` cannot .*'max_iter'"),
        ({"estimator": EntityEmbeddingEncoder(["no"])}, "`categorical_features` has 'no'"),
        ({"encoders": {"a": OrdinalEncoder}}, r"`encoders\['a'\]` must be an instance with"),
        (
            {"encoders": {"a": EntityEmbeddingEncoder(max_iter=0)}},
            r"`encoders\['a'\]` cannot .*'max_iter'",
        ),
        ({"encoders": {"a": Ridge()}}, r"`encoders\['a'\]` .* methods fit and transform"),
        ({"encoders": {1: OrdinalEncoder()}}, "`encoders` must be named by strings, got 1"),
        ({"encoders": {"both": OrdinalEncoder()}}, r"`encoders` has \['both'\], which are names"),
        ({"downstream": Ridge}, "`downstream.*must be an instance"),
        ({"downstream": {}}, "`downstream` is empty"),
        ({"scoring": "r3"}, "'scoring' parameter"),
        ({"cv": [([0, 1], [999])]}, "`cv` does not split the 60 rows of X: .*999"),
        ({"cv": [([0, 1], np.arange(0))]}, "`cv` must give training and test rows"),
        ({"cv": []}, "`cv` must give"),
    ],
)
def test_bad_parameters_are_named_before_anything_is_fitted(
    options: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(EntityEmbeddingEncoder, "fit_transform", None)
    with pytest.raises(ValueError, match=message):
        quick(*make_rows(60), **options)


def test_bad_data_are_refused_before_anything_is_fitted() -> None:
    X, y = make_rows(60)
    with pytest.raises(InvalidDataError, match="60 and 59"):
        quick(X, y[1:])
    with pytest.raises(ValueError, match="requires y to be passed"):
        quick(X, None)
    with pytest.raises(InvalidDataError, match=r"^An integer `cv` needs two rows and two groups"):
        quick(X, y, groups=np.zeros(60))
    with pytest.raises(InvalidParameterError, match=r"lack the classes \[True\]"):
        quick(X, np.arange(60) == 0)
    with pytest.raises(InvalidDataError, match="Column 'size' contains infinity"):
        quick(X.assign(size=np.inf), y)


def test_a_class_of_few_members_reduces_the_folds_that_test_it(rows: Any) -> None:
    X, y = rows
    labels = np.where(np.arange(240) < 3, "rare", np.where(y > 0, "late", "early"))
    model = LogisticRegression()
    with pytest.warns(FoldsReducedWarning, match="cv=4 .* rarest class has 3; using 3 folds"):
        report = quick(X, labels, make_encoder(cv=2), encoders={}, cv=4, downstream=model)
    assert set(report["n_splits"]) == {3}


@pytest.mark.parametrize(
    ("settings", "n_features"),
    [({"head": "dot", "dimensions": 3}, 2 * 4 + 1), ({"hidden_layer_sizes": ()}, None)],
)
def test_without_hidden_layers_there_are_embeddings_and_predictions(
    rows: tuple[pd.DataFrame, np.ndarray], settings: dict[str, Any], n_features: int | None
) -> None:
    report = quick(*rows, make_encoder(**settings), encoders={})
    assert sorted(report["encoder"]) == ["embedding", "stacking"]
    embedding, stacking = (row_of(report, name) for name in ("embedding", "stacking"))
    assert embedding["difference"] == 0.0
    assert n_features in (None, embedding["n_features"])  # dot products have biases, too
    assert stacking["n_features"] == embedding["n_features"] + 1


def make_lists() -> tuple[pd.DataFrame, np.ndarray]:
    """Rows of which a list of letters, sometimes empty or missing, decides the target."""
    rng = np.random.default_rng(0)
    X, y = make_rows()
    X["tags"] = [list(rng.choice(["x", "y", "z"], size)) for size in rng.integers(0, 4, len(X))]
    X.loc[0, "tags"] = None
    y = y + np.array([3.0 * (cell is not None and "x" in cell) for cell in X["tags"]])
    return X, y


def test_columns_of_lists_go_to_embeddings_alone() -> None:
    X, y = make_lists()
    other = make_encoder(dimensions=2)
    encoders = {"recorder": Recorder(), "other": other}
    report = quick(X, y, make_encoder(dimensions=3, pooling="gru"), encoders=encoders)
    assert [list(given) for given, _ in Recorder.seen] == [["letter", "color"]] * 2
    assert row_of(report, "embedding")["n_features"] == 3 * 3 + 1
    assert row_of(report, "both")["n_features"] == 3 * 3 + 4 + 1
    assert row_of(report, "other")["n_features"] == 3 * 2 + 1
    assert report["mean_test_score"].notna().all()


def test_lists_alone_leave_other_encoders_nothing() -> None:
    X, y = make_lists()
    X = X[["tags", "size"]]
    for encoders in (None, {"recorder": Recorder(), "ours": make_encoder()}):
        with pytest.raises(InvalidParameterError, match=r"hold lists, \['tags'\], which only"):
            quick(X, y, encoders=encoders)
    report = quick(X, y, encoders={"ours": make_encoder(dimensions=1)})
    assert sorted(report["encoder"]) == ["both", "embedding", "ours", "stacking"]
    assert row_of(report, "stacking")["n_features"] == row_of(report, "embedding")["n_features"] + 1
