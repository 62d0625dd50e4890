"""feature-engine: its imputers and encoders of rare labels before the encoder, its wrapper not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline

from sk_entity_embed.inspection import group_by_column
from tests.samples import make_encoder

pytest.importorskip("feature_engine")

from feature_engine.encoding import RareLabelEncoder
from feature_engine.imputation import CategoricalImputer, MeanMedianImputer
from feature_engine.pipeline import make_pipeline as make_growing_pipeline
from feature_engine.selection import DropConstantFeatures
from feature_engine.wrappers import SklearnTransformerWrapper

# feature-engine 1.9 selects columns in a way that pandas 3 has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:.*select_dtypes")

Rows = tuple[pd.DataFrame, np.ndarray]


@pytest.fixture(scope="module")
def gappy(rows: Rows) -> Rows:
    """Rows with missing cells, and a category that is rare."""
    X = rows[0].copy()
    X.loc[::7, "letter"] = None
    X.loc[::5, "size"] = np.nan
    X.loc[:2, "color"] = "violet"
    return X, rows[1]


@pytest.mark.parametrize("make", [make_pipeline, make_growing_pipeline])
def test_its_steps_come_before_and_after(make, gappy: Rows) -> None:
    X, y = gappy
    model = make(
        CategoricalImputer(),
        MeanMedianImputer(variables=["size"]),
        RareLabelEncoder(tol=0.05, n_categories=2, variables=["color"]),
        make_encoder(remainder="passthrough").set_output(transform="pandas"),
        DropConstantFeatures(),
        Ridge(),
    ).fit(X, y)
    encoder = model[3]
    assert set(encoder.embeddings_["letter"].index) == {*"abcde", "Missing"}
    assert set(encoder.embeddings_["color"].index) == {"blue", "green", "red", "Rare"}
    assert np.isfinite(model.predict(X)).all()
    width = len(encoder.get_feature_names_out())
    found = group_by_column(np.ones((2, width)), model)
    assert found.columns.tolist() == ["letter", "color", "size"]


def test_the_wrapper_takes_a_fixed_list_of_transformers() -> None:
    with pytest.raises(NotImplementedError):
        SklearnTransformerWrapper(make_encoder())
