"""scikit-learn's checks, and our own of what every estimator must do."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.utils import get_tags
from sklearn.utils._param_validation import InvalidParameterError as SklearnParameterError
from sklearn.utils.estimator_checks import parametrize_with_checks

from sk_entity_embed import (
    EntityEmbeddingClassifier,
    EntityEmbeddingEncoder,
    EntityEmbeddingRegressor,
)
from sk_entity_embed._links import DOCS_URL
from tests.samples import make_encoder, make_rows

CLASSES = (EntityEmbeddingEncoder, EntityEmbeddingRegressor, EntityEmbeddingClassifier)


def expected_failures(estimator: Any) -> dict[str, str]:
    """The checks that the method cannot pass, with the reason."""
    reasons = {
        "check_sample_weight_equivalence_on_dense_data": (
            "demands equality to 1e-7 of weighted and repeated rows; mini-batches differ"
        )
    }
    if getattr(estimator, "target_type", None) == "auto":
        reasons["check_n_features_in_after_fitting"] = (
            "calls partial_fit without classes on a target of classes; the message asks for them"
        )
    if estimator.head == "dot":
        reasons["check_fit2d_1feature"] = "dot products need two columns, and the message says so"
    if estimator.cross_fit:
        reasons |= dict.fromkeys(
            ("check_transformer_data_not_an_array", "check_transformer_general"),
            "demands fit_transform(X, y) == fit(X, y).transform(X); cross-fitting gives the "
            "training rows out-of-fold vectors, as TargetEncoder does",
        )
    return reasons


# One check's X has fractions only, of which an encoder warns: there is nothing else to embed.
@pytest.mark.filterwarnings("ignore::sk_entity_embed.exceptions.ColumnRoleWarning")
# The checks' tables are too small for five folds.
@pytest.mark.filterwarnings("ignore::sk_entity_embed.exceptions.FoldsReducedWarning")
@pytest.mark.filterwarnings("ignore::sk_entity_embed.exceptions.RareClassWarning")
@parametrize_with_checks(
    [
        EntityEmbeddingEncoder(),
        EntityEmbeddingEncoder(cross_fit=False, max_iter=4),
        EntityEmbeddingEncoder(target_type="continuous", head="dot", cross_fit=False, max_iter=2),
        EntityEmbeddingRegressor(),
        EntityEmbeddingClassifier(),
    ],
    expected_failed_checks=expected_failures,
)
def test_scikit_learn_checks(estimator: Any, check: Any) -> None:
    check(estimator)


def test_every_parameter_has_a_constraint_and_one_default_for_all_classes() -> None:
    shared = EntityEmbeddingEncoder().get_params()
    for cls in CLASSES:
        own = cls().get_params()
        assert set(cls._parameter_constraints) == set(own)
        own.pop("loss")
        assert own == {n: shared[n] for n in own}


def test_a_clone_has_the_parameters_and_nothing_else() -> None:
    X, y = make_rows(60)
    encoder = make_encoder(dimensions={"letter": 2}, hidden_layer_sizes=[4]).fit(X, y)
    copy = clone(encoder)
    assert copy.get_params() == encoder.get_params()
    assert vars(copy).keys() == encoder.get_params().keys()
    np.testing.assert_array_equal(copy.fit(X, y).transform(X), encoder.transform(X))


@pytest.mark.parametrize("method", ["transform", "inverse_transform", "get_feature_names_out"])
def test_an_unfitted_encoder_says_so(method: str) -> None:
    with pytest.raises(NotFittedError, match=r"EntityEmbeddingEncoder .*not fitted"):
        getattr(EntityEmbeddingEncoder(), method)(np.zeros((2, 2)))


def test_fit_leaves_parameters_and_rows_alone() -> None:
    X, y = make_rows(60)
    sizes, dimensions, weights = [4], {"letter": 2}, np.ones(60)
    copies = X.copy(), y.copy()
    encoder = make_encoder(
        hidden_layer_sizes=sizes, dimensions=dimensions, output="both", remainder="passthrough"
    )
    before = encoder.get_params()
    encoder.fit_transform(X, y, sample_weight=weights)
    assert encoder.get_params() == before
    assert encoder.hidden_layer_sizes is sizes
    assert (sizes, dimensions) == ([4], {"letter": 2})
    assert X.equals(copies[0])
    np.testing.assert_array_equal(y, copies[1])
    np.testing.assert_array_equal(weights, np.ones(60))


def test_the_html_repr_shows_changed_parameters_and_whether_it_is_fitted() -> None:
    encoder = make_encoder(dimensions=7)
    html = encoder._repr_html_()
    assert all(text in html for text in ("EntityEmbeddingEncoder", "dimensions", "Not fitted"))
    assert "<span>Fitted</span>" in encoder.fit(*make_rows(60))._repr_html_()
    assert "dimensions=7" in repr(encoder)


@pytest.mark.parametrize("kind", CLASSES)
def test_the_html_repr_leads_to_the_documentation(kind: Any) -> None:
    name = kind.__name__
    page = f"https://sk-entity-embed.readthedocs.io/en/stable/api/generated/sk_entity_embed.{name}"
    html = make_pipeline(kind())._repr_html_()
    assert f'href="{page}.html">?<span>Documentation for {name}</span>' in html
    pytest.importorskip("sklearn", "1.8", reason="parameters have links from then on")
    for parameter in kind().get_params():  # each to its own text
        assert f'href="{page}.html#:~:text={parameter},-' in html
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    assert project.get("urls", {}).get("Documentation", DOCS_URL) == DOCS_URL


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


NONSENSE: dict[str, list[Any]] = {
    "categorical_features": ["some", 3.5],
    "remainder": ["keep", None],
    "dimensions": [0, -1, 2.5, "wide", None],
    "output": ["both_of_them", None],
    "target_type": ["regression", None],
    "loss": ["mse", None],
    "class_weight": ["heavy", 3],
    "pooling": [3, None, ["mean"]],
    "max_length": [0, -1, 2.5, "long"],
    "interactions": [0, -1, 2.5, "all"],
    "head": ["gru", None],
    "y_range": ["auto", 5, 0.5],
    "hidden_layer_sizes": [0, 2.5, "large", None],
    "dropout": [-0.1, 1.0, "much", None],
    "cross_fit": ["yes", 2],
    "cv": [1, "five", 2.5],
    "n_members": [0, -1, 2.5, "some", None],
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
    "checkpoint": [3, False],
    "checkpoint_interval": [-1.0, "often", None],
    "callbacks": [print, "print", [print, "print"], {print: 1}],
    "device": [3, None],
    "random_state": [-1, "seed"],
    "verbose": [-1, "loud"],
}


@pytest.mark.parametrize("name", EntityEmbeddingEncoder().get_params())
def test_a_nonsense_parameter_is_named(name: str) -> None:
    X, y = make_rows(20)
    for value in NONSENSE[name]:
        encoder = make_encoder(**{name: value})
        for fit in (encoder.fit, encoder.fit_transform):
            with pytest.raises(SklearnParameterError, match=f"{name!r} parameter"):
                fit(X, y)
            assert vars(encoder) == encoder.get_params()


# Values of the right type that the parameter's own rules refuse. Selections of columns, splits,
# losses and class weights have tests beside what they do.
@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("dimensions", {"shape": 3}, "`dimensions` names 'shape'"),
        ("dimensions", {"size": 3}, "`dimensions` names 'size'"),
        ("dimensions", {"letter": 0}, "`dimensions` gives 0 for column 'letter'"),
        ("dimensions", lambda cardinality: cardinality / 2, "`dimensions` gives 2.5 for column"),
        ("dimensions", 10**30, "`dimensions` gives 10+ for column 'letter'.*memory"),
        ("hidden_layer_sizes", (10**30,), "`hidden_layer_sizes`=.*memory"),
        ("hidden_layer_sizes", (4, 0), r"`hidden_layer_sizes` .*positive.*\(4, 0\)"),
        ("hidden_layer_sizes", (4, 2.5), r"`hidden_layer_sizes` .*positive.*\(4, 2.5\)"),
        ("learning_rate_init", 1e30, "diverged.*`learning_rate_init`"),
        ("alpha", 1e30, "diverged.*`alpha`"),
        ("freeze", ["shape"], r"`freeze` names \['shape'\]"),
        ("freeze", ["size"], r"`freeze` names \['size'\]"),
        ("init", {"shape": [[1.0]]}, "`init` names 'shape'"),
        ("init", {"letter": [[1.0]]}, r"`init\['letter'\]` must be a pandas DataFrame"),
        ("device", "abacus", "device='abacus'.*cpu"),
        ("device", "meta", "device='meta'.*'cpu'"),
        ("pooling", "median", "`pooling` is 'median'.*'gru'"),
        ("pooling", {"letter": "sum"}, "`pooling` names 'letter'"),
        ("pooling", {0: "sum"}, "`pooling` names 0"),
        ("max_length", {"words": 3}, "`max_length` names 'words'"),
        ("y_range", (0.0, 1e-9), r"y has 60 value.*outside y_range=\(0.0, 1e-09\)"),
        ("y_range", (9.0, -9.0), r"`y_range` must be two numbers.*lower one first"),
        ("y_range", (-1e308, 1e308), "`y_range`=.* is too wide"),
        ("y_range", (-(10**400), 10**400), r"`y_range` must be two numbers.*10+\.\.\.0"),
    ],
)
def test_a_parameter_that_does_not_fit_the_data_is_named(
    name: str, value: Any, message: str
) -> None:
    encoder = make_encoder(**{name: value})
    with pytest.raises(ValueError, match=message):
        encoder.fit(*make_rows(60))
    assert vars(encoder).keys() == encoder.get_params().keys()
