"""scikit-learn's checks, and our own of what every estimator must do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sklearn.utils.estimator_checks as sklearn_checks
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import KFold
from sklearn.utils import get_tags
from sklearn.utils._param_validation import InvalidParameterError as SklearnParameterError

from sk_entity_embed import (
    EntityEmbeddingClassifier,
    EntityEmbeddingEncoder,
    EntityEmbeddingRegressor,
)
from tests.samples import make_encoder, make_rows

_CROSS_FITTED = (
    "demands fit_transform(X, y) == fit(X, y).transform(X); cross-fitting gives the training rows "
    "out-of-fold vectors, as TargetEncoder does"
)


def expected_failures(estimator: Any) -> dict[str, str]:
    """The checks that the method cannot pass, with the reason."""
    reasons = {
        "check_sample_weight_equivalence_on_dense_data": (
            "demands equality to 1e-7 of weighted and repeated rows; mini-batches differ"
        )
    }
    if estimator.head == "dot":
        reasons["check_fit2d_1feature"] = "dot products need two columns, and the message says so"
    if estimator.cross_fit:
        reasons["check_transformer_data_not_an_array"] = _CROSS_FITTED
        reasons["check_transformer_general"] = _CROSS_FITTED
    return reasons


# The checks' own y holds two to four integers, or one integer a row: "auto" makes classes of it,
# "continuous" quantities, and "multiclass" takes it all, with folds that need no class members.
ESTIMATORS = [
    EntityEmbeddingEncoder(),
    EntityEmbeddingEncoder(cross_fit=False),
    EntityEmbeddingEncoder(target_type="continuous"),
    EntityEmbeddingEncoder(target_type="continuous", cross_fit=False),
    EntityEmbeddingEncoder(target_type="continuous", head="dot", cross_fit=False),
    EntityEmbeddingEncoder(target_type="binary"),
    EntityEmbeddingEncoder(target_type="binary", cross_fit=False),
    EntityEmbeddingEncoder(target_type="multiclass", cv=KFold(2, shuffle=True, random_state=0)),
    EntityEmbeddingEncoder(target_type="multiclass", cross_fit=False),
    EntityEmbeddingRegressor(),
    EntityEmbeddingRegressor(categorical_features="all"),
    EntityEmbeddingRegressor(categorical_features="all", cross_fit=False),
    EntityEmbeddingClassifier(),
    EntityEmbeddingClassifier(categorical_features="all"),
    EntityEmbeddingClassifier(categorical_features="all", cross_fit=False),
]


# One check's X has fractions only, of which an encoder warns: there is nothing else to embed.
@pytest.mark.filterwarnings("ignore::sk_entity_embed.exceptions.ColumnRoleWarning")
# The checks' tables are too small for five folds.
@pytest.mark.filterwarnings("ignore::sk_entity_embed.exceptions.FoldsReducedWarning")
@pytest.mark.filterwarnings("ignore::sk_entity_embed.exceptions.RareClassWarning")
@sklearn_checks.parametrize_with_checks(ESTIMATORS, expected_failed_checks=expected_failures)
def test_scikit_learn_checks(estimator: Any, check: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    if getattr(estimator, "target_type", None) == "binary":
        # scikit-learn's hook that adapts y to an estimator's tags, as for classifiers without
        # the tag multi_class; a transformer has no such tag.
        monkeypatch.setattr(sklearn_checks, "_enforce_estimator_tags_y", _two_classes)
    check(estimator)


def _two_classes(estimator: Any, y: Any) -> Any:
    return np.where(y == y.flat[0], y, y.flat[0] + 1)


PARAMETERS = {
    "categorical_features": ["letter", "color"],
    "remainder": "passthrough",
    "dimensions": {"letter": 3},
    "output": "both",
    "target_type": "continuous",
    "loss": "huber",
    "class_weight": "balanced",
    "pooling": {"words": "gru"},
    "max_length": 9,
    "head": "dot",
    "y_range": (0.0, 1.0),
    "hidden_layer_sizes": (7, 5),
    "dropout": 0.3,
    "cross_fit": False,
    "cv": 3,
    "min_frequency": 0.1,
    "max_categories": 9,
    "unknown_rate": 0.05,
    "handle_unknown": "zero",
    "handle_missing": "error",
    "init": "normal",
    "freeze": ["letter"],
    "max_iter": 3,
    "batch_size": 32,
    "learning_rate_init": 0.1,
    "alpha": 0.5,
    "early_stopping": False,
    "validation_fraction": 0.2,
    "n_iter_no_change": 2,
    "tol": 0.01,
    "warm_start": True,
    "device": "cpu",
    "random_state": 1,
    "verbose": 1,
}


PARAMETERS_OF = {
    EntityEmbeddingEncoder: PARAMETERS,
    EntityEmbeddingRegressor: {
        n: v
        for n, v in PARAMETERS.items()
        if n not in ("output", "remainder", "target_type", "class_weight")
    }
    | {"handle_unknown": "error"},
    EntityEmbeddingClassifier: {
        n: v
        for n, v in PARAMETERS.items()
        if n not in ("output", "remainder", "target_type", "y_range")
    }
    | {"handle_unknown": "error", "loss": "log_loss"},
}


def test_get_params_gives_back_every_parameter_as_it_was_given() -> None:
    for cls, parameters in PARAMETERS_OF.items():
        estimator = cls(**parameters)
        assert estimator.get_params() == parameters
        for name, value in parameters.items():
            assert getattr(estimator, name) is value
        assert cls().set_params(**parameters).get_params() == parameters


def test_every_parameter_has_a_constraint() -> None:
    for cls, parameters in PARAMETERS_OF.items():
        assert set(cls._parameter_constraints) == set(parameters)


def test_shared_parameters_have_the_same_defaults() -> None:
    defaults = EntityEmbeddingEncoder().get_params()
    for cls in PARAMETERS_OF:
        own = {n: v for n, v in cls().get_params().items() if n != "loss"}
        assert own == {n: defaults[n] for n in own}


@pytest.mark.parametrize("fitted", [False, True])
def test_a_clone_has_the_parameters_and_nothing_else(fitted: bool) -> None:
    X, y = make_rows(60)
    encoder = make_encoder(dimensions={"letter": 2}, hidden_layer_sizes=[4])
    if fitted:
        encoder.fit(X, y)
    copy = clone(encoder)
    assert copy.get_params() == encoder.get_params()
    assert vars(copy).keys() == encoder.get_params().keys()
    with pytest.raises(NotFittedError):
        copy.transform(X)
    np.testing.assert_array_equal(copy.fit_transform(X, y), clone(copy).fit_transform(X, y))


@pytest.mark.parametrize("method", ["transform", "inverse_transform", "get_feature_names_out"])
def test_an_unfitted_encoder_says_so(method: str) -> None:
    with pytest.raises(NotFittedError, match="not fitted"):
        getattr(EntityEmbeddingEncoder(), method)(np.zeros((2, 2)))


def test_fit_leaves_the_parameters_alone() -> None:
    X, y = make_rows(60)
    sizes, dimensions = [4], {"letter": 2}
    encoder = make_encoder(hidden_layer_sizes=sizes, dimensions=dimensions)
    before = encoder.get_params()
    encoder.fit(X, y)
    assert encoder.get_params() == before
    assert encoder.hidden_layer_sizes is sizes
    assert sizes == [4]
    assert dimensions == {"letter": 2}


def test_fit_leaves_the_rows_alone() -> None:
    X, y = make_rows(60)
    weights = np.ones(60)
    copies = X.copy(), y.copy(), weights.copy()
    make_encoder(output="both", remainder="passthrough").fit_transform(X, y, sample_weight=weights)
    assert X.equals(copies[0])
    np.testing.assert_array_equal(y, copies[1])
    np.testing.assert_array_equal(weights, copies[2])


def test_the_html_repr_shows_changed_parameters_and_whether_it_is_fitted() -> None:
    encoder = make_encoder(dimensions=7)
    html = encoder._repr_html_()
    assert "EntityEmbeddingEncoder" in html
    assert "dimensions" in html
    assert "Not fitted" in html
    X, y = make_rows(60)
    assert "<span>Fitted</span>" in encoder.fit(X, y)._repr_html_()
    assert "dimensions=7" in repr(encoder)


def test_the_tags_say_what_the_encoder_takes_and_gives() -> None:
    tags = get_tags(EntityEmbeddingEncoder())
    assert tags.target_tags.required
    assert tags.target_tags.multi_output
    assert tags.input_tags.allow_nan
    assert tags.input_tags.categorical
    assert tags.input_tags.string
    assert not tags.input_tags.sparse
    assert tags.transformer_tags.preserves_dtype == []
    assert tags.estimator_type is None


NONSENSE = {
    "categorical_features": ["some", 3.5],
    "remainder": ["keep", None],
    "dimensions": [0, -1, 2.5, "wide", None],
    "output": ["both_of_them", None],
    "target_type": ["regression", None],
    "loss": ["mse", None],
    "class_weight": ["heavy", 3],
    "pooling": [3, None, ["mean"]],
    "max_length": [0, -1, 2.5, "long"],
    "head": ["gru", None],
    "y_range": ["auto", 5, 0.5],
    "hidden_layer_sizes": [0, 2.5, "large", None],
    "dropout": [-0.1, 1.0, "much", None],
    "cross_fit": ["yes", 2],
    "cv": [1, "five", 2.5],
    "min_frequency": [0, 1.5, "often"],
    "max_categories": [0, 2.5, "few"],
    "unknown_rate": [-0.1, 1.0, "some", None],
    "handle_unknown": ["ignore", None],
    "handle_missing": ["drop", None],
    "init": ["uniform", 3, None],
    "freeze": ["letter", 3, None],
    "max_iter": [0, 2.5, "many", None],
    "batch_size": [0, 2.5, "large", None],
    "learning_rate_init": [0, -1.0, "fast", None, 1e38, 10**400],
    "alpha": [-1.0, "some", None, 1e38, 10**400],
    "early_stopping": ["yes", None],
    "validation_fraction": [0.0, 1.0, "some", None],
    "n_iter_no_change": [0, 2.5, None],
    "tol": [-1.0, "small", None, 1e38, 10**400],
    "warm_start": ["yes", None],
    "device": [3, None],
    "random_state": [-1, "seed"],
    "verbose": [-1, "loud"],
}


def test_nonsense_covers_every_parameter() -> None:
    assert NONSENSE.keys() == PARAMETERS.keys()


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in NONSENSE.items() for value in values]
)
def test_a_nonsense_parameter_is_named(name: str, value: Any) -> None:
    X, y = make_rows(60)
    encoder = make_encoder(**{name: value})
    with pytest.raises(SklearnParameterError, match=f"{name!r} parameter"):
        encoder.fit(X, y)
    with pytest.raises(SklearnParameterError, match=f"{name!r} parameter"):
        encoder.fit_transform(X, y)
    assert vars(encoder) == encoder.get_params()


# Values of the right type that the parameter's own rules refuse.
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("categorical_features", []),
        ("categorical_features", ["letter", "shape"]),
        ("categorical_features", ["letter", "letter"]),
        ("categorical_features", [5]),
        ("categorical_features", [-4]),
        ("categorical_features", [True, False]),
        ("categorical_features", [False, False, False]),
        ("dimensions", {"shape": 3}),
        ("dimensions", {"size": 3}),
        ("dimensions", {"letter": 0}),
        ("dimensions", {"letter": 2.5}),
        ("dimensions", lambda cardinality: cardinality / 2),
        ("dimensions", lambda cardinality: True),
        ("dimensions", 10**14),
        ("dimensions", 10**30),
        ("hidden_layer_sizes", (10**13,)),
        ("hidden_layer_sizes", (10**30,)),
        ("learning_rate_init", 1e30),
        ("alpha", 1e30),
        ("hidden_layer_sizes", (4, 0)),
        ("hidden_layer_sizes", (4, 2.5)),
        ("hidden_layer_sizes", ("four",)),
        ("class_weight", {0: 2.0}),
        ("cv", [([0, 1], [2, 3])]),
        ("freeze", ["shape"]),
        ("freeze", ["size"]),
        ("init", {"shape": None}),
        ("init", {"letter": [[1.0]]}),
        ("device", "abacus"),
        ("device", "meta"),
        ("loss", "log_loss"),
        ("pooling", "median"),
        ("pooling", {"letter": "sum"}),
        ("pooling", {0: "sum"}),
        ("max_length", {"letter": 3}),
        ("max_length", {"words": 3}),
        ("y_range", (0.0, 1e-9)),
        ("y_range", (1.0,)),
        ("y_range", (9.0, -9.0)),
        ("y_range", (-1e308, 1e308)),
        ("y_range", (-1e9, 1e9)),
        ("y_range", (-(10**400), 10**400)),
    ],
)
def test_a_parameter_that_does_not_fit_the_data_is_named(name: str, value: Any) -> None:
    X, y = make_rows(60)
    encoder = make_encoder(**{name: value})
    with pytest.raises(ValueError, match=name):
        encoder.fit(X, y)
    assert vars(encoder).keys() == encoder.get_params().keys()
