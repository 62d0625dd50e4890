"""A fit on a cluster is that of one process, and survives its workers."""

from __future__ import annotations

import signal
from functools import partial

import joblib
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV

import sk_entity_embed.distributed.fitting as fitting
from sk_entity_embed import EntityEmbeddingClassifier, EntityEmbeddingRegressor
from sk_entity_embed.distributed import fit, transform
from sk_entity_embed.distributed.pieces import find_pieces, table_of
from sk_entity_embed.exceptions import InvalidDataError, InvalidParameterError
from tests.distributed.killing import Killer
from tests.distributed.threads import in_this_process, train_in_threads

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


@pytest.fixture(scope="package")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rows")
    for i, part in enumerate(PARTS):
        table = pa.Table.from_pandas(part, preserve_index=False)
        pq.write_table(table, folder / f"{i}.parquet")
    return folder


@pytest.fixture(scope="package")
def fitted(folder):
    """A fit without any failure, and without Ray."""
    model = EntityEmbeddingClassifier(**SETTINGS)
    with in_this_process():
        assert fit(model, folder, y="bought", sample_weight="weight") is model
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
    both = [model.summary() for model in (fitted, alone)]
    assert both[0].loss == pytest.approx(both[1].loss, rel=0.1)
    best = [max(summary.columns, key=lambda f: f.importance.rise).name for summary in both]
    assert best[0] == best[1]


def test_a_killed_worker_changes_nothing(ray, fitted, folder, tmp_path, monkeypatch):
    # A worker that dies while it is started is an error to Ray.
    errors = [ray.train.ControllerError(ray.exceptions.ActorDiedError())]
    original = ray.train.torch.TorchTrainer.fit

    def once(trainer):
        if errors:
            raise errors.pop()
        return original(trainer)

    monkeypatch.setattr(ray.train.torch.TorchTrainer, "fit", once)
    model = EntityEmbeddingClassifier(**SETTINGS)
    given = {"y": "bought", "sample_weight": "weight", "checkpoint_interval": 0.0}
    ctrl_c = signal.getsignal(signal.SIGINT)
    with Killer(tmp_path) as killer:
        fit(model, folder, storage_path=tmp_path, **given)
    assert killer.killed is not None
    assert signal.getsignal(signal.SIGINT) is ctrl_c  # Ray would keep it
    np.testing.assert_array_equal(model.loss_curve_, fitted.loss_curve_)
    np.testing.assert_array_equal(
        model.predict_proba(NEW[FEATURES]), fitted.predict_proba(NEW[FEATURES])
    )
    assert list(tmp_path.glob("*/checkpoint*")) == []  # tidied up


def test_rows_are_encoded_where_they_are(ray, fitted, folder):
    vectors = transform(fitted, folder, keep=["weight", "bought"])
    rows = pd.concat(PARTS, ignore_index=True)
    names = fitted.get_feature_names_out().tolist()
    assert vectors.schema().names == ["weight", "bought", *names]
    assert set(vectors.schema().types[2:]) == {pa.float32()}
    found = vectors.to_pandas()
    np.testing.assert_array_equal(found[names].to_numpy(), fitted.transform(rows[FEATURES]))
    np.testing.assert_array_equal(found["weight"], rows["weight"])
    with pytest.raises(InvalidParameterError, match="has no column 'colour'; it has"):
        transform(fitted, folder, keep=["colour"])
    named = rows.rename(columns={"weight": "town_0"})
    with pytest.raises(InvalidParameterError, match=r"`keep` names \['town_0'\], which are col"):
        transform(fitted, named, keep=["town_0"])


def test_rows_of_dask_and_others_come_in_their_order(ray, folder):
    dd = pytest.importorskip("dask.dataframe")
    rows = pd.concat(PARTS, ignore_index=True)
    plain = rows.drop(columns="words")  # which Dask makes text of
    kinds = {
        "files": [str(folder / f"{i}.parquet") for i in range(N_PARTS)],
        "ray": ray.data.from_pandas(PARTS),
        "dask": dd.concat([dd.from_pandas(part, npartitions=1) for part in PARTS]),
        "pandas": rows,
        "arrow": pa.Table.from_pandas(rows),
    }
    for kind, dataset in kinds.items():
        pieces = find_pieces(ray, dataset)
        parts = [p if kind == "files" else ray.get(p) for p in pieces.parts]
        found = pa.concat_tables(table_of(part) for part in parts).to_pandas()
        assert pieces.n_rows == len(rows)
        for name in plain:
            pairs = zip(found[name].tolist(), rows[name].tolist(), strict=True)
            assert all(a == b or (pd.isna(a) and pd.isna(b)) for a, b in pairs), (kind, name)
    assert len(find_pieces(ray, kinds["files"]).parts) == N_PARTS


def test_search_on_a_cluster(ray):
    from ray.util.joblib import register_ray

    register_ray()
    rows = PARTS[0]
    model = EntityEmbeddingClassifier(random_state=0, max_iter=2)
    search = GridSearchCV(model, {"dropout": [0.0, 0.2]}, cv=2, n_jobs=2)
    with joblib.parallel_backend("ray"):
        search.fit(rows[FEATURES[:2]], rows["bought"])
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    expected = GridSearchCV(model, {"dropout": [0.0, 0.2]}, cv=2)
    expected.fit(rows[FEATURES[:2]], rows["bought"])
    np.testing.assert_array_equal(
        search.cv_results_["mean_test_score"], expected.cv_results_["mean_test_score"]
    )


def test_errors_name_cause_and_cure(ray, folder, tmp_path):
    model = EntityEmbeddingClassifier(**SETTINGS)
    on = partial(fit, model, folder)
    with pytest.raises(InvalidParameterError, match="`y` names 'price', which is not a column"):
        on(y="price")
    with pytest.raises(InvalidDataError, match=r"^File .*0\.parquet.*: .*negative or missing"):
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
    late = ray.data.from_pandas([PARTS[0], PARTS[1].assign(size=np.inf)])
    with pytest.raises(InvalidDataError, match=r"Block 1 of the data set: .*'size'.* infinity"):
        fit(model, late, y="bought")
    with pytest.raises(InvalidParameterError, match="`checkpoint`='here' is for fits in one pro"):
        fit(EntityEmbeddingClassifier(checkpoint="here"), folder, y="bought")
    with pytest.raises(FileNotFoundError):
        fit(model, tmp_path / "nothing.parquet", y="bought")
    assert not hasattr(model, "classes_")


def test_parts_without_rows_or_weight_change_nothing(ray, monkeypatch):
    monkeypatch.setattr(fitting, "train", train_in_threads)
    rows = PARTS[0].drop(columns="words")
    parts = [rows[:0], rows[:300], rows[300:300], rows[300:].assign(weight=0.0)]
    model = EntityEmbeddingClassifier(random_state=0, max_iter=2, interactions=[("town", "kind")])
    fit(model, ray.data.from_pandas(parts), y="bought", sample_weight="weight")
    assert model.category_counts_["kind"].sum() == (rows["weight"][:300] > 0).sum()


def test_a_training_that_diverges_is_not_tried_again(ray, monkeypatch):
    monkeypatch.setattr(fitting, "train", train_in_threads)
    X = pd.DataFrame({"town": np.tile(TOWNS, 5), "price": np.tile([1e30, 0.0, 1.0], 100)})
    model = EntityEmbeddingRegressor(
        random_state=0, max_iter=3, learning_rate_init=1e30, early_stopping=False
    )
    with pytest.raises(InvalidParameterError, match="Training diverged"):
        fit(model, X, y="price")
