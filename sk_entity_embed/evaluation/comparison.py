"""Machinery of encoding_report: encoders and the models that follow them, fold by fold."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from importlib.util import find_spec
from itertools import product
from numbers import Integral
from time import perf_counter
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.random import RandomState
from numpy.typing import NDArray
from scipy import sparse
from sklearn import config_context
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler, TargetEncoder
from sklearn.utils import Tags, _safe_indexing, check_array, check_random_state, get_tags

from sk_entity_embed._access import training_output, with_output
from sk_entity_embed._compat import give_folds
from sk_entity_embed.encoder import EntityEmbeddingEncoder
from sk_entity_embed.input.folds import assign_folds
from sk_entity_embed.input.target import Target

MAX_DENSE_LEVELS = 64
"""One-hot columns for each categorical one, at most, for models that take no sparse input."""

MAX_NATIVE_LEVELS = 255
"""Levels of a column, at most, that HistGradientBoosting takes as categories."""

NATIVE = "native"
"""Name of the rows of models that take categories themselves."""

Split: TypeAlias = tuple[NDArray[np.intp], NDArray[np.intp]]
_Encoded: TypeAlias = dict[str, tuple[Any, Any]]


@dataclass(frozen=True, slots=True)
class Rows:
    """Some of the user's rows, in the forms that encoders and models take them.

    `categorical` is a mask of the columns of `X`; `texts` holds these columns, but for the `lists`
    among them, as strings, None where missing, and `numbers` the context columns. `strata` are
    classes by number.
    """

    X: Any
    categorical: list[bool]
    texts: pd.DataFrame
    lists: tuple[str, ...]
    numbers: NDArray[np.float64]
    y: NDArray[Any]
    strata: NDArray[np.float64] | None
    groups: NDArray[Any] | None

    def take(self, rows: NDArray[np.intp]) -> Rows:
        """The same at the given rows."""
        names = ("X", "texts", "numbers", "y", "strata", "groups")
        parts = {k: v for k in names if (v := getattr(self, k)) is not None}
        return replace(self, **{k: _safe_indexing(v, rows) for k, v in parts.items()})

    def split(self, n_folds: int, random: RandomState) -> list[Split]:
        """Shuffled folds that are stratified by class and do not divide groups."""
        n = len(self.y)
        fold = assign_folds(n_folds, self.strata, self.groups, np.arange(n), n, random)
        return [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in np.unique(fold)]


@dataclass(frozen=True, slots=True)
class Contender:
    """An unfitted encoder, its rows of the report, and the models that follow it.

    `rows` maps names to outputs of an embedding encoder, or to None.
    """

    encoder: Any
    rows: Mapping[str, str | None]
    models: Mapping[str, Any]


def default_models(target: Target) -> dict[str, Any]:
    """A linear model and a gradient boosting for the target."""
    numbers = ("numbers", _DenseScaler(), _find_numbers)
    scale = ColumnTransformer([numbers], remainder="passthrough", sparse_threshold=1)
    steps = (SimpleImputer(keep_empty_features=True), scale)
    if target.is_classification:
        linear = make_pipeline(*steps, LogisticRegression(max_iter=1000))
        return {"linear": linear, "boosting": HistGradientBoostingClassifier()}
    return {"linear": make_pipeline(*steps, Ridge()), "boosting": HistGradientBoostingRegressor()}


def default_encoders(models: Mapping[str, Any], rows: Rows, target: Target) -> list[Contender]:
    """Encoders by the target, and one-hot columns as the models can take them."""
    from category_encoders import CatBoostEncoder, JamesSteinEncoder

    encoders = {"TargetEncoder": _target_encoder(target)}
    for encoder in (CatBoostEncoder(), JamesSteinEncoder()):
        encoders[type(encoder).__name__] = _OfNumbers(encoder, target.is_classification)
    complete = OneHotEncoder(handle_unknown="ignore", dtype=np.float32)
    bounded = OneHotEncoder(
        handle_unknown="infrequent_if_exist",
        max_categories=MAX_DENSE_LEVELS,
        sparse_output=False,
        dtype=np.float32,
    )
    contenders = [Contender(e, {name: None}, models) for name, e in encoders.items()]
    for one_hot, is_sparse in ((complete, True), (bounded, False)):
        followers = {name: m for name, m in models.items() if _takes_sparse(m, rows) == is_sparse}
        if followers:
            contenders.append(Contender(one_hot, {"one-hot": None}, followers))
    return contenders


def default_natives(rows: Rows, target: Target, boosting: str) -> list[Contender]:
    """Models that take categories themselves; `boosting` names scikit-learn's."""
    kind, histogram = "Regressor", HistGradientBoostingRegressor
    if target.is_classification:
        kind, histogram = "Classifier", HistGradientBoostingClassifier
    ordinal = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan)
    is_few = rows.texts.nunique(dropna=False) <= MAX_NATIVE_LEVELS
    many = ("many", _target_encoder(target), list(is_few.index[~is_few]))
    few_first = ColumnTransformer([("few", ordinal, list(is_few.index[is_few])), many])
    models = {boosting: make_pipeline(_Categories(int(is_few.sum())), histogram())}
    contenders = [Contender(few_first, {NATIVE: None}, models)]
    n = len(is_few)
    if _is_installed("lightgbm"):
        model = getattr(import_module("lightgbm"), f"LGBM{kind}")(n_jobs=1, verbose=-1)
        models = {"LightGBM": make_pipeline(_Categories(n), model)}
        contenders.append(Contender(ordinal, {NATIVE: None}, models))
    if _is_installed("catboost"):
        model = getattr(import_module("catboost"), f"CatBoost{kind}")(
            cat_features=tuple(range(n)), thread_count=1, verbose=False, allow_writing_files=False
        )
        models = {"CatBoost": make_pipeline(_Categories(n, unseen="unseen"), model)}
        contenders.append(Contender(ordinal, {NATIVE: None}, models))
    return contenders


def _is_installed(library: str) -> bool:
    return find_spec(library) is not None


def _target_encoder(target: Target) -> TargetEncoder:
    is_binary = target.classes is not None and len(target.classes) == 2
    return TargetEncoder(target_type="binary" if is_binary else target.kind)


# Sparse columns fit no data frame, and scikit-learn 1.9's TargetEncoder fails with routing.
@config_context(transform_output="default", enable_metadata_routing=False)
def run(
    contender: Contender, rows: Rows, scorer: Any, fold: int, split: Split, seed: int
) -> list[dict[str, Any]]:
    """Fit an encoder and the models after it in one fold; a failure becomes a record."""
    train, test = rows.take(split[0]), rows.take(split[1])
    encoded: list[tuple[dict[str, Any], Any, Any]]
    try:
        encoded = list(_encode(contender, train, test, seed))
    except Exception as error:
        message = _first_line(error)
        encoded = [({"encoder": row, "error": message}, None, None) for row in contender.rows]
    records = []
    for (about, X_train, X_test), (name, model) in product(encoded, contender.models.items()):
        record = {**about, "downstream": name, "fold": fold}
        if "error" not in about:
            if not _takes_sparse(model, rows):
                X_train, X_test = _dense(X_train), _dense(X_test)
            try:
                record |= _score(_seeded(model, seed), scorer, (X_train, train.y), (X_test, test.y))
            except Exception as error:
                record["error"] = f"downstream {name!r}: {_first_line(error)}"
        records.append(record)
    return records


def _encode(
    contender: Contender, train: Rows, test: Rows, seed: int
) -> Iterator[tuple[dict[str, Any], Any, Any]]:
    """For each row of the report: what it measured, and training and test rows for models."""
    encoder = _seeded(contender.encoder, seed)
    is_network = isinstance(encoder, EntityEmbeddingEncoder)
    start = perf_counter()
    if is_network:
        fitted = _fit_network(encoder, contender.rows, train)
    else:
        fitted = dict.fromkeys(contender.rows, (encoder, _fit_other(encoder, train, seed)))
    fit_time = perf_counter() - start
    known = ~np.isnan(train.numbers).all(axis=0)  # of missing numbers alone nothing can be learned
    for name, (transformer, encoded) in fitted.items():
        start = perf_counter()
        encoded_test = transformer.transform(test.X if is_network else test.texts)
        times = {"fit_time": fit_time, "transform_time": perf_counter() - start}
        X_train = _append(encoded, train.numbers[:, known])
        X_test = _append(encoded_test, test.numbers[:, known])
        yield {"encoder": name, "n_features": X_train.shape[1], **times}, X_train, X_test


def _fit_network(
    encoder: EntityEmbeddingEncoder, rows: Mapping[str, str | None], train: Rows
) -> _Encoded:
    """One fitted network, as an encoder for each output, and their training rows."""
    encoder.set_params(remainder="drop", categorical_features=train.categorical)
    encoder.fit(train.X, train.y, groups=train.groups)
    return {
        name: (
            with_output(encoder, str(output)),
            training_output(encoder, train.X, str(output)),
        )
        for name, output in rows.items()
    }


def _fit_other(encoder: Any, train: Rows, seed: int) -> Any:
    """Fit any other encoder; its encoding of the training rows."""
    parts = [encoder, *encoder.get_params().values()] if hasattr(encoder, "get_params") else []
    for part in parts:  # a TargetEncoder has no `random_state`; a fitted one is frozen
        is_free = isinstance(part, TargetEncoder) and not hasattr(part, "encodings_")
        if is_free and isinstance(part.cv, Integral | None):
            give_folds(part, train.split(int(part.cv or 5), RandomState(seed)))
    if hasattr(encoder, "fit_transform"):
        return encoder.fit_transform(train.texts, train.y)
    encoder.fit(train.texts, train.y)
    return encoder.transform(train.texts)


def _score(
    model: Any, scorer: Any, train: tuple[Any, Any], test: tuple[Any, Any]
) -> dict[str, float]:
    """Fit a model on training rows and score it on both; it may overwrite what it gets."""
    X = train[0].copy()  # copy.copy would share the cells of sparse columns
    start = perf_counter()
    model.fit(X, train[1])
    seconds = perf_counter() - start
    scores = [float(scorer(model, X.copy(), y)) for X, y in (train, test)]
    return {"downstream_time": seconds, "train_score": scores[0], "test_score": scores[1]}


def _seeded(estimator: Any, seed: int) -> Any:
    """A clone in which every `random_state` that was None is the seed."""
    copied = clone(estimator, safe=False)
    if hasattr(copied, "get_params"):
        parameters = copied.get_params().items()
        free = [k for k, v in parameters if k.split("__")[-1] == "random_state" and v is None]
        copied.set_params(**dict.fromkeys(free, seed))
    return copied


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"


def _takes_sparse(model: Any, rows: Rows) -> bool:
    """Whether a model takes sparse columns, and missing numbers in them: pipelines may fill in."""
    if not hasattr(model, "__sklearn_tags__") or not get_tags(model).input_tags.sparse:
        return False
    return hasattr(model, "steps") or not np.isnan(rows.numbers).any()


def _append(encoded: Any, numbers: NDArray[Any]) -> Any:
    """An encoder's output, in whatever container, and numbers: sparse where the output is."""
    numeric = [np.float64, np.float32]
    matrix = check_array(encoded, accept_sparse="csr", dtype=numeric, ensure_all_finite=False)
    if numbers.shape[1] == 0:
        return matrix
    if sparse.issparse(matrix):
        return sparse.hstack([matrix, sparse.csr_matrix(numbers)], format="csr")
    return np.hstack([matrix, numbers])


def _dense(X: Any) -> NDArray[Any]:
    return X.toarray() if sparse.issparse(X) else X


def _find_numbers(X: Any) -> NDArray[np.intp]:
    """Columns that are not indicators, which hold 0 and 1 only."""
    if sparse.issparse(X):
        cells = X.tocoo()
        return np.unique(cells.col[~np.isin(cells.data, (0, 1))])
    return np.flatnonzero((~np.isin(X, (0, 1))).any(axis=0))


class _DenseScaler(StandardScaler):
    """StandardScaler that centers sparse columns, too: they come out dense."""

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> _DenseScaler:
        return super().fit(_dense(X), y, sample_weight)

    def transform(self, X: Any, copy: bool | None = None) -> NDArray[Any]:
        return super().transform(_dense(X), copy)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


class _Categories(TransformerMixin, BaseEstimator):
    """A data frame whose first columns, codes, are categories of the training rows.

    NaN is the code of a category that the training rows lack; `unseen` names it, None leaves it.
    """

    def __init__(self, n_categorical: int, unseen: str | None = None) -> None:
        self.n_categorical = n_categorical
        self.unseen = unseen

    def fit(self, X: NDArray[Any], y: Any = None) -> _Categories:
        self.levels_ = [np.unique(codes).astype(int) for codes in X[:, : self.n_categorical].T]
        return self

    def transform(self, X: NDArray[Any]) -> pd.DataFrame:
        frame = pd.DataFrame(X, columns=[str(j) for j in range(X.shape[1])])
        for name, levels in zip(frame, self.levels_, strict=False):
            column = pd.Series(pd.Categorical(frame[name], categories=levels))
            if self.unseen is not None:
                column = column.astype(object).where(column.notna(), self.unseen).astype(str)
            frame[name] = column
        return frame


class _OfNumbers(TransformerMixin, BaseEstimator):
    """An encoder of category_encoders, fitted to numbers: for classes, to one after the other.

    Training rows come in random order, since CatBoostEncoder encodes each by those before it.
    """

    def __init__(self, encoder: Any, of_classes: bool, random_state: Any = None) -> None:
        self.encoder = encoder
        self.of_classes = of_classes
        self.random_state = random_state

    def fit_transform(self, X: pd.DataFrame, y: NDArray[Any]) -> NDArray[Any]:
        targets = [y]
        if self.of_classes:
            classes = np.unique(y)
            targets = [(y == c).astype(float) for c in classes[len(classes) == 2 :]]
        order = check_random_state(self.random_state).permutation(len(y))
        self.encoders_ = [clone(self.encoder) for _ in targets]
        parts = [
            _quietly(encoder.fit_transform, X.iloc[order], target[order])
            for encoder, target in zip(self.encoders_, targets, strict=True)
        ]
        return np.hstack(parts)[np.argsort(order)]

    def transform(self, X: pd.DataFrame) -> NDArray[Any]:
        return np.hstack([_quietly(encoder.transform, X) for encoder in self.encoders_])


def _quietly(method: Any, *given: Any) -> Any:
    """Call a method while pandas does not warn of an option that category_encoders sets."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "'future.no_silent_downcasting' is deprecated")
        return method(*given)
