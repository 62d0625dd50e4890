"""What the tests of neighbours share."""

from __future__ import annotations

import numpy as np
import pytest

from tests.samples import make_encoder, make_rows


@pytest.fixture(scope="module")
def data():
    """Letters with missing and infrequent ones, and numbered shops."""
    X, y = make_rows(240)
    X["letter"] = X["letter"].astype(object)
    X.loc[:9, "letter"] = None
    X.loc[10, "letter"], X.loc[11, "letter"] = "rare", "seldom"
    X["shop"] = np.arange(240) % 7
    return X[["letter", "shop", "size"]], y


@pytest.fixture(scope="module")
def encoder(data):
    return make_encoder(categorical_features=["letter", "shop"], min_frequency=3).fit(*data)
