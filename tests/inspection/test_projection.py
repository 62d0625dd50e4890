"""Projections: shapes, repeatability, tiny tables and what happens without UMAP."""

from __future__ import annotations

import importlib.util

import numpy as np
import pandas as pd
import pytest
from sklearn import config_context
from sklearn.manifold import trustworthiness
from threadpoolctl import threadpool_limits

from sk_entity_embed.exceptions import InvalidDataError, InvalidParameterError, ProjectionWarning
from sk_entity_embed.inspection import project, projection
from sk_entity_embed.inspection.column_vectors import column_vectors_of
from sk_entity_embed.inspection.projection import principal_components, projection_of
from tests.inspection.conftest import make_column_vectors
from tests.samples import make_encoder, make_rows

UMAP = pytest.param(
    "umap",
    marks=pytest.mark.skipif(
        importlib.util.find_spec("umap") is None, reason="umap-learn is not installed"
    ),
)


def make_frame(n=30, width=4, seed=0):
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(n, width)) + 8 * np.eye(3, width)[np.arange(n) % 3]
    return pd.DataFrame(vectors, index=pd.Index([f"c{i}" for i in range(n)], name="col"))


@pytest.fixture(autouse=True)
def one_thread():
    """UMAP leaves OpenMP with several threads, which wait for each other on a busy machine."""
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="module")
def encoder():
    X, y = make_rows(240)
    X["letter"] = X["letter"].astype(object)
    X.loc[:9, "letter"] = None
    X.loc[10:12, "letter"] = ["rare", "seldom", "<script>"]
    return make_encoder(min_frequency=3, dimensions=3).fit(X, y)


@pytest.mark.parametrize(
    ("method", "n_components", "name"),
    [
        ("pca", 3, "component"),
        ("tsne", 2, "t-SNE"),
        pytest.param("umap", 2, "UMAP", marks=UMAP.marks),
    ],
)
def test_projections(method, n_components, name):
    frame = make_frame()
    found = project(frame, method=method, n_components=n_components)
    assert found.shape == (30, n_components)
    assert found.index.tolist() == frame.index.tolist()
    assert found.index.name == "col"
    assert (found.dtypes == np.float64).all()
    assert np.isfinite(found.to_numpy()).all()
    assert trustworthiness(frame, found, n_neighbors=5) > 0.8
    axes = [axis.split("(")[0].strip() for axis in found]
    assert axes == [f"{name} {i + 1}" for i in range(n_components)]
    assert projection_of(column_vectors_of(frame, None), method, n_components).method == method


@pytest.mark.parametrize("method", ["tsne", UMAP])
def test_projections_repeat_with_a_seed(method):
    frame = make_frame()
    np.random.seed(3)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    seeded = project(frame, method=method, random_state=5)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002
    with config_context(transform_output="pandas"):
        again = project(frame, method=method, random_state=np.random.RandomState(5))
    pd.testing.assert_frame_equal(seeded, again)
    assert not np.allclose(seeded, project(frame, method=method, random_state=np.int64(6)))
    assert np.isfinite(project(frame, method=method, random_state=None)).all(axis=None)


def test_principal_components_are_weighted_by_rows():
    frame = make_frame()
    catalogue = make_column_vectors(frame, counts=np.arange(30), name="col")
    scores, shares = principal_components(catalogue.vectors, catalogue.weights)
    found = project(catalogue, n_components=3)
    np.testing.assert_array_equal(found, scores[:, :3])
    assert list(found) == [f"component {i + 1} ({shares[i]:.0%})" for i in range(3)]
    assert not np.allclose(found, project(frame, n_components=3))


def test_infrequent_categories_share_their_coordinates(encoder):
    found = project(encoder, "letter", method="tsne")
    assert len(found) == 9
    assert found.index.isna().sum() == 1
    shared = found.loc[["rare", "seldom", "<script>"]].to_numpy()
    np.testing.assert_array_equal(shared, np.repeat(shared[:1], 3, axis=0))
    assert len(np.unique(found, axis=0)) == 7


def test_vectors_of_one_number():
    frame = pd.DataFrame(np.arange(12.0)[:, None] ** 2)
    found = project(frame, n_components=3)
    assert found.shape == (12, 3)
    assert np.isfinite(found.to_numpy()).all()
    assert not found.iloc[:, 1:].any(axis=None)
    assert list(found)[1] == "component 2 (0%)"


def test_tiny_tables_fall_back_to_principal_components():
    for n in (1, 4):
        frame = make_frame(n)
        shown = f"only {n} different vectors.*'tsne'"
        with pytest.warns(ProjectionWarning, match=shown) as caught:
            found = project(frame, method="tsne")
        assert len(caught) == 1
        pd.testing.assert_frame_equal(found, project(frame))
    repeated = pd.concat([make_frame(5)] * 4, ignore_index=True)  # five are enough
    found = project(repeated, method="tsne")
    np.testing.assert_array_equal(found[:5], found[15:])
    assert len(np.unique(found, axis=0)) == 5


def test_principal_components_of_tiny_tables_and_equal_vectors():
    for n in (1, 2, 3):
        found = project(make_frame(n, width=2), n_components=3)
        assert found.shape == (n, 3)
        assert np.isfinite(found.to_numpy()).all()
    assert not project(pd.DataFrame(np.ones((20, 3)))).any(axis=None)


def test_without_umap_there_are_principal_components(monkeypatch):
    monkeypatch.setattr(projection, "find_spec", lambda name: None)
    frame = make_frame()
    message = r"pip install 'sk-entity-embed\[umap\]'.*method='tsne' needs nothing more"
    with pytest.warns(ProjectionWarning, match=message) as caught:
        found = project(frame, method="umap")
    assert caught[0].filename == __file__
    pd.testing.assert_frame_equal(found, project(frame))
    with pytest.warns(ProjectionWarning):
        assert projection_of(column_vectors_of(frame, None), "umap").method == "pca"


def test_the_start_has_the_size_that_is_asked_for():
    vectors = make_frame().to_numpy(dtype=np.float32)
    scores, _ = principal_components(vectors, np.ones(30))
    for size in (1e-4, 10.0 / 3):
        start = projection._start(vectors, 3, size, 0)
        np.testing.assert_allclose(start[:, 0].std(), size, rtol=1e-5)
        ratio = start[:, 1].std() / start[:, 0].std()
        np.testing.assert_allclose(ratio, scores[:, 1].std() / scores[:, 0].std(), rtol=1e-2)


def test_parameters_are_checked(encoder):
    for method in ("PCA", "mds", None):
        with pytest.raises(InvalidParameterError, match=r"`method` must be one of \('pca', 'tsn"):
            project(make_frame(), method=method)
    for n_components in (1, 4, 2.0, True):
        with pytest.raises(InvalidParameterError, match="`n_components` must be 2 or 3, got"):
            project(make_frame(), n_components=n_components)
    with pytest.raises(InvalidParameterError, match="`column` must name one of"):
        project(encoder)
    with pytest.raises(InvalidDataError, match="must be finite"):
        project(pd.DataFrame([[np.nan]]))
    with pytest.raises(InvalidParameterError, match="got NoneType"):
        project(None)
