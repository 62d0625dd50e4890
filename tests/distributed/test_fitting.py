"""A fit on a cluster is that of one process, and survives its workers."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import roc_auc_score

from sk_entity_embed import EntityEmbeddingClassifier, EntityEmbeddingRegressor
from sk_entity_embed.distributed import fit, transform
from sk_entity_embed.exceptions import InvalidDataError, InvalidParameterError
from tests.distributed.killing import Killer

N_PARTS, PART = 3, 600
FEATURES = ["town", "kind", "words", "size"]
SETTINGS = {
    "random_state": 0,
    "batch_size": 64,
    "max_iter": 12,
    "interactions": [("town", "kind")],
    "hidden_layer_sizes": (16,),
}
TOWNS = [f"town {i}" for i in range(60)]
EFFECTS = dict(zip(TOWNS, np.random.default_rng(1).standard_normal(60) * 1.5, strict=True))


def make_rows(n, seed):
    rng = np.random.default_rng(seed)
    X = pd.DataFrame({"town": rng.choice(TOWNS, n), "kind": rng.choice(list("abc"), n)})
    X["words"] = [rng.choice(list("uvwxyz"), rng.integers(0, 4)).tolist() for _ in range(n)]
    X["size"] = rng.standard_normal(n)
    X.loc[rng.random(n) < 0.1, "size"] = np.nan
    signal = X["town"].map(EFFECTS) + (X["kind"] == "a") + X["size"].fillna(0)
    X["bought"] = np.where(rng.random(n) < 1 / (1 + np.exp(-signal)), "yes", "no")
    X["weight"] = rng.integers(0, 3, n) / 2
    return X


PARTS = [make_rows(PART, seed) for seed in range(N_PARTS)]
NEW = make_rows(1000, 99)


def auc(model):
    return roc_auc_score(NEW["bought"], model.predict_proba(NEW[FEATURES])[:, 1])


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rows")
    for i, part in enumerate(PARTS):
        table = pa.Table.from_pandas(part, preserve_index=False)
        pq.write_table(table, folder / f"{i}.parquet")
    return folder


@pytest.fixture(scope="session")
def fitted(ray, folder, tmp_path_factory):
    storage = tmp_path_factory.mktemp("storage")
    model = EntityEmbeddingClassifier(**SETTINGS)
    assert fit(model, folder, y="bought", sample_weight="weight", storage_path=storage) is model
    assert list(storage.glob("*/*")) == []  # tidied up
    return model


def test_two_workers_find_what_one_process_finds(fitted):
    rows = pd.concat(PARTS, ignore_index=True)
    alone = EntityEmbeddingClassifier(**SETTINGS)
    alone.fit(rows[FEATURES], rows["bought"], sample_weight=rows["weight"])
    assert auc(alone) > 0.75
    assert auc(fitted) == pytest.approx(auc(alone), abs=0.02)
    np.testing.assert_array_equal(fitted.classes_, ["no", "yes"])
    assert fitted.fold_ is None
    assert list(fitted.embeddings_) == list(alone.embeddings_)
    for name, categories in alone.categories_.items():
        assert fitted.categories_[name].tolist() == categories.tolist()
        np.testing.assert_array_equal(fitted.category_counts_[name], alone.category_counts_[name])
        np.testing.assert_allclose(
            fitted.category_target_means_[name], alone.category_target_means_[name]
        )


def test_a_killed_worker_changes_nothing(ray, fitted, tmp_path):
    dd = pytest.importorskip("dask.dataframe")
    frames = dd.concat([dd.from_pandas(part, npartitions=1) for part in PARTS])
    model = EntityEmbeddingClassifier(**SETTINGS)
    given = {"y": "bought", "sample_weight": "weight", "checkpoint_interval": 0.0}
    with Killer(tmp_path) as killer:
        fit(model, frames, storage_path=tmp_path, **given)
    assert killer.killed is not None
    assert model.n_iter_ == fitted.n_iter_
    np.testing.assert_array_equal(model.loss_curve_, fitted.loss_curve_)
    np.testing.assert_array_equal(
        model.predict_proba(NEW[FEATURES]), fitted.predict_proba(NEW[FEATURES])
    )


def test_rows_are_encoded_where_they_are(ray, fitted, folder):
    found = transform(fitted, folder, keep=["weight", "bought"]).to_pandas()
    rows = pd.concat(PARTS, ignore_index=True)
    names = fitted.get_feature_names_out().tolist()
    assert found.columns.tolist() == ["weight", "bought", *names]
    np.testing.assert_array_equal(found[names].to_numpy(), fitted.transform(rows[FEATURES]))
    np.testing.assert_array_equal(found["weight"], rows["weight"])
    assert found[names[0]].dtype == np.float32


def test_errors_name_cause_and_cure(ray, folder, tmp_path):
    model = EntityEmbeddingClassifier(**SETTINGS)
    on = partial(fit, model, folder)
    with pytest.raises(InvalidParameterError, match="`y` names 'price', which is not a column"):
        on(y="price")
    with pytest.raises(InvalidDataError, match=r"In file .*0.parquet.*: .*negative or missing"):
        on(y="bought", sample_weight="size")
    with pytest.raises(InvalidParameterError, match="spread over machines; leave `n_members` at"):
        fit(EntityEmbeddingClassifier(n_members=2), folder, y="bought")
    with pytest.raises(InvalidParameterError, match="device='cuda', but workers get no GPU"):
        fit(EntityEmbeddingClassifier(device="cuda"), folder, y="bought")
    with pytest.raises(InvalidParameterError, match="`num_workers` must be at least 1, got 0"):
        on(y="bought", num_workers=0)
    with pytest.raises(InvalidParameterError, match="has 1800 rows, fewer than num_workers=5000"):
        on(y="bought", num_workers=5000)
    with pytest.raises(InvalidDataError, match="The data set has no rows"):
        fit(model, PARTS[0][:0], y="bought")
    one_class = PARTS[0].assign(bought="yes")
    with pytest.raises(InvalidDataError, match=r"one class only \('yes'\)"):
        fit(model, one_class, y="bought")
    with pytest.raises(InvalidDataError, match="unknown|numeric|In block 1"):
        late = pd.concat([PARTS[0], PARTS[1].assign(size=np.inf)])
        fit(model, ray.data.from_pandas([late[:PART], late[PART:]]), y="bought")
    with pytest.raises(FileNotFoundError):
        fit(model, tmp_path / "nothing.parquet", y="bought")
    assert not hasattr(model, "classes_")


def test_a_training_that_diverges_is_not_tried_again(ray):
    X = pd.DataFrame({"town": np.tile(TOWNS, 5), "price": np.tile([1e300, 0.0, 1.0], 100)})
    model = EntityEmbeddingRegressor(
        random_state=0, max_iter=3, learning_rate_init=1e30, early_stopping=False
    )
    with pytest.raises(InvalidParameterError, match="Training diverged"):
        fit(model, X, y="price", num_workers=1, max_failures=3)
