"""One door to a fitted estimator: what may come in, and what is said to what may not."""

from __future__ import annotations

import re
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sk_entity_embed import (
    EntityEmbeddingEncoder,
    EntityEmbeddingRegressor,
    _access,
    export,
    inspection,
)
from sk_entity_embed._access import exported_step, fitted_model, table_of
from sk_entity_embed.exceptions import InvalidParameterError, PartialExportWarning
from tests.composites import (
    EVERYTHING,
    NAME,
    OF_ROWS,
    SEVERAL,
    WITHOUT,
    assert_alike,
    lower,
    make_nested,
    make_raw,
    make_several,
)
from tests.samples import make_encoder


@pytest.fixture(scope="module")
def encoder(rows):
    return make_encoder().fit(*rows)


def test_an_unfitted_encoder_says_so():
    with pytest.raises(NotFittedError, match="not fitted yet"):
        fitted_model(make_encoder())


@pytest.mark.parametrize(
    ("estimator", "described"),
    [
        (EntityEmbeddingEncoder, "the class EntityEmbeddingEncoder; pass a fitted instance"),
        (StandardScaler(), "got StandardScaler."),
        (None, "got NoneType."),
        (make_pipeline(StandardScaler()), "got Pipeline, which has none inside."),
        (ColumnTransformer([("e", "drop", ["letter"])]), "got ColumnTransformer."),
        (SimpleNamespace(steps=[1]), "got SimpleNamespace."),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_anything_else_is_named(estimator, described):
    with pytest.raises(InvalidParameterError) as caught:
        fitted_model(estimator)
    assert str(caught.value).startswith("Expected a fitted estimator of sk_entity_embed, or a pip")
    assert described in str(caught.value)


# Steps of pipelines


@pytest.fixture(scope="module")
def nested():
    return make_nested().fit(*make_raw())


@pytest.fixture(scope="module")
def several():
    return make_several().fit(*make_raw())


def test_every_public_function_is_tried():
    public = {*inspection.__all__, *export.__all__}
    assert not set(EVERYTHING) & set(WITHOUT)
    assert public == {*EVERYTHING, *WITHOUT}


@pytest.mark.parametrize("name", EVERYTHING)
def test_functions_find_the_step(nested, name, tmp_path):
    step = nested.named_steps["columns"].named_transformers_["inner"].named_steps["encoder"]
    expected = EVERYTHING[name](step, tmp_path / "step")
    if name in OF_ROWS:
        with pytest.warns(
            PartialExportWarning, match=f"{NAME!r} of the Pipeline is exported"
        ) as caught:
            found = EVERYTHING[name](nested, tmp_path / "nested")
        assert caught[0].filename != _access.__file__
    else:
        found = EVERYTHING[name](nested, tmp_path / "nested")
    assert_alike(found, expected)


def test_functions_ask_for_one_of_several_steps(several, tmp_path):
    assert list(inspection.embedding_steps(several)) == SEVERAL
    shown = f"Pipeline holds 2 embedding steps: {SEVERAL}. Pass one of them: inspection.embedding_"
    for name in EVERYTHING.keys() - {"embedding_steps"}:
        with pytest.raises(InvalidParameterError) as caught:
            EVERYTHING[name](several, tmp_path)
        assert shown in str(caught.value), name
    assert not list(tmp_path.iterdir())


def test_functions_tell_that_a_pipeline_is_not_fitted(tmp_path):
    shown = f"This Pipeline instance is not fitted yet: its embedding step {NAME!r}"
    for name, call in EVERYTHING.items():
        with pytest.raises(NotFittedError) as caught:
            call(make_nested(), tmp_path)
        assert str(caught.value).startswith(shown), name


def test_what_is_exported_of_a_pipeline_is_told(nested, rows):
    shown = (
        f"Only the embedding step {NAME!r} of the Pipeline is exported, without the steps "
        "['lower', 'model', 'columns__numbers']. It takes the columns ['letter', 'color'] as "
        "['lower'] leave them"
    )
    with pytest.warns(PartialExportWarning, match=re.escape(shown)):
        exported_step(nested)
    X, y = rows
    alone = make_pipeline("passthrough", make_encoder()).fit(X, y)
    assert exported_step(alone) is alone[1]  # no warning: nothing is missing
    assert exported_step(alone[1]) is alone[1]
    chosen = ColumnTransformer([("e", make_encoder(), ["letter"])]).fit(X, y)
    assert exported_step(chosen) is chosen.named_transformers_["e"]
    wide = pd.DataFrame(np.eye(20), columns=[f"c{j}" for j in range(20)]).assign(letter="a", b="c")
    model = make_pipeline(make_encoder(cv=2), LinearRegression()).fit(wide, np.arange(20) + 0.5)
    with pytest.warns(PartialExportWarning, match=r"'c7', '\.\.\.'\]\. To export it"):
        exported_step(model)


# Rows of pipelines


def test_nearest_rows_of_a_pipeline_are_given_what_the_pipeline_is(nested, several):
    X, _ = make_raw()
    step = inspection.embedding_steps(nested)[NAME]
    seen = lower(X)[["letter", "color"]]
    for asked, expected in ((3, 3), (X[2:4], seen[2:4])):
        pd.testing.assert_frame_equal(
            inspection.nearest_rows(nested, X, asked, representation="hidden"),
            inspection.nearest_rows(step, seen, expected, representation="hidden"),
        )
    with pytest.raises(InvalidParameterError, match="columns__letters"):
        inspection.nearest_rows(several, X, 0)
    with pytest.raises(NotFittedError, match=NAME):
        inspection.nearest_rows(make_nested(), X, 0)


def test_predictions_are_those_of_the_whole_pipeline(nested, several):
    X, y = make_raw()
    for model in (nested, several):
        display = inspection.CategoryPredictionDisplay.from_estimator(model, X, y, "letter")
        means = pd.Series(model.predict(X)).groupby(X["letter"].to_numpy()).mean()
        assert display.frame["category"].tolist() == list("ABCDE")  # as in X, not as in the step
        np.testing.assert_allclose(display.frame["predicted"], means)
    with pytest.raises(NotFittedError):
        inspection.CategoryPredictionDisplay.from_estimator(make_nested(), X, y, "letter")


def test_align_turns_the_step_and_gives_it_back(nested):
    X, y = make_raw()
    other = make_nested(make_encoder(random_state=1)).fit(X, y)
    found = inspection.align(other, nested)
    steps = [inspection.embedding_steps(model)[NAME] for model in (other, nested)]
    assert type(found) is type(steps[0])
    pd.testing.assert_frame_equal(
        found.embeddings_["letter"], inspection.align(*steps).embeddings_["letter"]
    )


# Tables


def test_the_table_of_a_column(encoder, rows):
    assert table_of(encoder, "color") is fitted_model(encoder).tables[1]
    X, y = rows
    alone = make_encoder().fit(X[["letter", "size"]], y)
    assert table_of(alone, None) is fitted_model(alone).tables[0]
    numbers = EntityEmbeddingRegressor(max_iter=1).fit(X[["size"]], y)
    with pytest.raises(InvalidParameterError, match="fitted on numbers alone"):
        table_of(numbers, None)


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
