"""One door to a fitted estimator: what may come in, and what is said to what may not."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sk_entity_embed import EntityEmbeddingEncoder
from sk_entity_embed._access import check_column, fitted_model, served_vectors, table_of
from sk_entity_embed.exceptions import InvalidParameterError
from sk_entity_embed.input.vocabulary import UNKNOWN
from tests.samples import make_encoder, make_rows


@pytest.fixture(scope="module")
def encoder(rows):
    return make_encoder().fit(*rows)


def test_the_model_of_a_fitted_encoder(encoder):
    assert fitted_model(encoder) is encoder._model


def test_an_unfitted_encoder_says_so():
    with pytest.raises(NotFittedError, match="not fitted yet"):
        fitted_model(make_encoder())


@pytest.mark.parametrize(
    ("estimator", "described"),
    [
        (EntityEmbeddingEncoder, "the class EntityEmbeddingEncoder; pass a fitted instance"),
        (StandardScaler(), "got StandardScaler."),
        (None, "got NoneType."),
        ("letter", "got str."),
        (make_pipeline(StandardScaler()), "got Pipeline."),
        (ColumnTransformer([("e", make_encoder(), ["letter"])]), "got ColumnTransformer."),
        (SimpleNamespace(steps=3), "got SimpleNamespace."),
        (SimpleNamespace(steps=[1]), "got SimpleNamespace."),
        (pd.DataFrame({"steps": [1, 2]}), "got DataFrame."),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_anything_else_is_named(estimator, described):
    with pytest.raises(InvalidParameterError) as caught:
        fitted_model(estimator)
    assert str(caught.value).startswith("Expected a fitted estimator of sk_entity_embed, got")
    assert described in str(caught.value)


def test_a_pipeline_points_to_its_encoder(rows):
    pipeline = make_pipeline(make_encoder(), LinearRegression()).fit(*rows)
    with pytest.raises(InvalidParameterError, match=r"`\.named_steps\['entityembeddingencoder'\]`"):
        fitted_model(pipeline)
    assert fitted_model(pipeline.named_steps["entityembeddingencoder"])


def test_a_column_transformer_points_to_its_encoder(rows):
    X, y = rows
    transformer = ColumnTransformer(
        [("scaled", StandardScaler(), ["size"]), ("names", make_encoder(), ["letter"])]
    ).fit(X, y)
    with pytest.raises(InvalidParameterError, match=r"`\.named_transformers_\['names'\]`"):
        fitted_model(transformer)
    assert fitted_model(transformer.named_transformers_["names"])
    without = ColumnTransformer([("scaled", StandardScaler(), ["size"])]).fit(X)
    with pytest.raises(InvalidParameterError, match="got ColumnTransformer"):
        fitted_model(without)


def test_the_table_of_a_column(encoder, rows):
    assert table_of(encoder, "color") is encoder._model.tables[1]
    X, y = rows
    alone = make_encoder().fit(X[["letter", "size"]], y)
    assert table_of(alone, None) is alone._model.tables[0]


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (None, r"must name one of the embedded columns: \['letter', 'color'\]"),
        ("colour", r"Did you mean 'color'\?"),
        ("size", r"the embedded columns are \['letter', 'color'\]\.$"),
        (0, r"`column` is 0, but"),
    ],
)
def test_columns_that_are_not_there(encoder, column, message):
    with pytest.raises(InvalidParameterError, match=message):
        table_of(encoder, column)


def test_check_column_gives_the_only_name():
    assert check_column(None, ["a"]) == "a"
    assert check_column("b", ["a", "b"]) == "b"


@pytest.mark.parametrize("policy", ["learned", "zero", "nan", "error"])
def test_served_vectors_are_those_of_transform(policy):
    X, y = make_rows(120)
    encoder = make_encoder(handle_unknown=policy).fit(X, y)
    served = served_vectors(encoder)
    assert [v.shape for v in served] == [t.vectors.shape for t in encoder._model.tables]
    for vectors, table in zip(served, encoder._model.tables, strict=True):
        np.testing.assert_array_equal(np.delete(vectors, UNKNOWN, 0), table.vectors[1:])
    if policy == "error":
        return
    strange = X.head(1).assign(letter="?", color="?")
    np.testing.assert_array_equal(
        encoder.transform(strange)[0], np.concatenate([v[UNKNOWN] for v in served])
    )


def test_served_vectors_of_an_estimator_without_policies(encoder):
    bare = make_encoder()
    bare.__dict__.update({k: v for k, v in vars(encoder).items() if k != "_unknown"})
    for vectors, table in zip(served_vectors(bare), encoder._model.tables, strict=True):
        assert vectors is table.vectors or np.shares_memory(vectors, table.vectors)
