"""Alignment and drift: moved vectors are moved back, and nothing that is predicted changes."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ortho_group
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sk_entity_embed import EntityEmbeddingRegressor
from sk_entity_embed._access import fitted_model
from sk_entity_embed.exceptions import InvalidDataError, InvalidParameterError
from sk_entity_embed.inspection import align, drift
from tests.inspection.conftest import make_column_vectors, make_dot, make_listed
from tests.samples import make_encoder, make_rows


def make_data(seed=0, n=300, letters="abcde"):
    """Letters with missing and infrequent ones, numbered shops, a number."""
    X, y = make_rows(n, seed)
    rng = np.random.default_rng(seed + 100)
    X["letter"] = rng.choice(list(letters), n).astype(object)
    X.loc[:9, "letter"] = None
    X.loc[10:11, "letter"] = ["rare", "seldom"]
    X["shop"] = rng.integers(0, 9, n)
    return X[["letter", "shop", "size"]], y


def make_fitted(seed=0, data=None, **params):
    params = {"dimensions": 3, "min_frequency": 3, "max_iter": 4, "random_state": seed, **params}
    columns = ["letter", "shop"]
    return make_encoder(categorical_features=columns, **params).fit(*(data or make_data(seed)))


def make_predictor(seed, **params):
    params = {"dimensions": 3, "max_iter": 3, "hidden_layer_sizes": (4,), **params}
    return EntityEmbeddingRegressor(learning_rate_init=0.05, random_state=seed, **params)


@pytest.fixture(scope="module")
def old():
    return make_fitted(0)


@pytest.fixture(scope="module")
def new():
    return make_fitted(1)


def shared_vectors(new, old, column):
    """Vectors of the categories that both fits have, and the smaller count of each."""
    frames = [e.embeddings_[column] for e in (new, old)]
    shared = frames[0].index.intersection(frames[1].index)
    counts = [
        pd.Series(e.category_counts_[column], index=f.index)[shared].to_numpy(dtype=float)
        for e, f in zip((new, old), frames, strict=True)
    ]
    return (*(f.loc[shared].to_numpy(dtype=float) for f in frames), np.minimum(*counts))


def weighted_procrustes(a, b, weights):
    """The best motion by the textbook: ``a @ rotation + shift``."""
    weights = weights / weights.sum()
    mean_a, mean_b = weights @ a, weights @ b
    u, _, vt = np.linalg.svd((a - mean_a).T @ np.diag(weights) @ (b - mean_b))
    return u @ vt, mean_b - mean_a @ u @ vt


def motion(before, after, column):
    """Rotation and shift that a column was moved by."""
    a, b = (e.embeddings_[column].to_numpy(dtype=float) for e in (before, after))
    rotation = np.linalg.lstsq(a - a.mean(axis=0), b - b.mean(axis=0), rcond=None)[0]
    return rotation, b.mean(axis=0) - a.mean(axis=0) @ rotation


def distance(encoder, reference, columns):
    """Sum of squares, weighted by counts."""
    found = 0.0
    for column in columns:
        a, b, weights = shared_vectors(encoder, reference, column)
        found += float(weights @ ((a - b) ** 2).sum(axis=1))
    return found


def assert_close(a, b, atol=1e-5):
    np.testing.assert_allclose(a, b, atol=atol)


# Alignment


def test_the_aligned_encoder_is_as_close_as_can_be(new, old):
    aligned = align(new, old)
    for name in ("letter", "shop"):
        a, b, weights = shared_vectors(new, old, name)
        assert len(a) >= 8
        rotation, shift = weighted_procrustes(a, b, weights)
        found, _, _ = shared_vectors(aligned, old, name)
        residuals = [weights @ ((v - b) ** 2).sum(axis=1) for v in (found, a @ rotation + shift, a)]
        np.testing.assert_allclose(residuals[0], residuals[1], rtol=1e-4)
        assert residuals[0] < residuals[2]
        assert_close(*(np.linalg.norm(v[:, None] - v[None], axis=2) for v in (found, a)))
    X, _ = make_data()
    assert_close(align(aligned, new).transform(X), new.transform(X))  # a known motion is undone
    assert_close(align(old, old).transform(X), old.transform(X))


def test_the_originals_are_left_alone(old):
    X, _ = make_data()
    new = make_fitted(1)
    before = [pickle.dumps(e) for e in (new, old)]
    aligned = align(new, old).set_output(transform="pandas")
    assert [pickle.dumps(e) for e in (new, old)] == before
    assert isinstance(align(aligned, old).transform(X), pd.DataFrame)
    new.set_output(transform="default")  # the container is not shared either
    assert isinstance(align(new, old).set_output(transform="pandas").transform(X), pd.DataFrame)
    assert isinstance(new.transform(X), np.ndarray)


@pytest.mark.parametrize("policy", ["learned", "zero", "nan", "error"])
def test_unknown_categories_follow_their_policy(old, policy):
    data = make_data(1)
    new = make_fitted(1, data, handle_unknown=policy)
    aligned = align(new, old)
    strange = data[0].head(3).assign(letter="never", shop=99)
    if policy == "error":
        with pytest.raises(InvalidDataError, match="Found unknown categories"):
            aligned.transform(strange)
        return
    found = aligned.transform(strange)[0]
    for name, vector, before in zip(
        ("letter", "shop"), np.split(found, 2), np.split(new.transform(strange)[0], 2), strict=True
    ):
        rotation, shift = motion(new, aligned, name)
        assert_close(vector, before @ rotation + shift, 1e-4)
        if policy == "zero":  # the center of the moved vectors
            counts = aligned.category_counts_[name]
            assert_close(vector, np.average(aligned.embeddings_[name], axis=0, weights=counts))
    back = aligned.inverse_transform(aligned.transform(strange))
    assert back[0, 0] is None


def test_the_aligned_encoder_pickles_and_inverts(old):
    X, y = make_data(1)
    new = make_fitted(1)
    out_of_fold = new.fit_transform(X, y)
    aligned = align(new, old)
    encoded = aligned.transform(X)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(aligned)).transform(X), encoded)
    back, expected = aligned.inverse_transform(encoded), new.inverse_transform(new.transform(X))
    pd.testing.assert_frame_equal(pd.DataFrame(back), pd.DataFrame(expected))
    assert back[20:, 0].tolist() == X["letter"][20:].tolist()
    # Tables of the folds move with those of all rows.
    rows = fitted_model(new).code(new._read(X), serving=False)
    moved = np.empty_like(out_of_fold)
    fitted_model(aligned).embed(rows.codes, moved, fold=new.fold_)
    back, expected = aligned.inverse_transform(moved), new.inverse_transform(out_of_fold)
    assert back.tolist()[20:] == expected.tolist()[20:]
    for before, after in zip(*(np.split(v, 2, axis=1) for v in (out_of_fold, moved)), strict=True):
        assert not np.allclose(before, after, atol=1e-3)
        assert_close(
            *(np.linalg.norm(v[:50, None] - v[None, 50:], axis=2) for v in (before, after))
        )


def test_columns_that_the_reference_lacks_and_all_but_vectors_stay():
    X, y = make_data(1)
    new = make_fitted(1, (X, y), handle_unknown="zero", output="both", remainder="passthrough")
    reference = make_encoder(dimensions=3, min_frequency=3).fit(X[["letter", "size"]], y)
    aligned = align(new, reference)
    assert aligned.get_feature_names_out().tolist() == new.get_feature_names_out().tolist()
    np.testing.assert_array_equal(aligned.embeddings_["shop"], new.embeddings_["shop"])
    assert not np.allclose(aligned.embeddings_["letter"], new.embeddings_["letter"], atol=1e-3)
    for rows in (X, X.assign(shop=99)):
        found, before = aligned.transform(rows), new.transform(rows)
        assert not np.isclose(found[20:, :3], before[20:, :3], atol=1e-3).all(axis=1).any()
        np.testing.assert_array_equal(found[:, 3:6], before[:, 3:6])
        assert_close(found[:, 6:], before[:, 6:])


def test_the_smaller_of_two_counts_weighs():
    """Rows of "a" are many in the new fit only, so that it does not decide the motion."""
    rng = np.random.default_rng(0)
    old = rng.normal(size=(6, 2))
    new = old @ ortho_group.rvs(2, random_state=0) + 3
    new[0] += 10
    counts = np.array([10**6, 9, 8, 7, 6, 5]), np.array([1, 9, 8, 7, 6, 5])
    labels = list("abcdef")
    pairs = zip((new, old), counts, strict=True)
    found = drift(*(make_column_vectors(v, categories=labels, counts=c) for v, c in pairs))
    assert found["category"][0] == "a"
    rotation, shift = weighted_procrustes(new, old, np.minimum(*counts).astype(float))
    expected = np.linalg.norm(new @ rotation + shift - old, axis=1)
    found = found.set_index("category").loc[labels]
    assert_close(found["movement"], expected)
    by_new = weighted_procrustes(new, old, counts[0].astype(float))
    assert not np.allclose(new @ by_new[0] + by_new[1], new @ rotation + shift, atol=0.1)


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"hidden_layer_sizes": ()},
        {"init": {"shop": pd.DataFrame(np.eye(9, 3) + 1)}, "freeze": ["shop"]},
    ],
    ids=["usual", "linear", "frozen"],
)
def test_predictions_of_every_network_stay(params):
    X, y = make_data(2)
    reference, new = (
        make_predictor(seed, categorical_features=["letter", "shop"], **params).fit(X, y)
        for seed in (0, 1)
    )
    aligned = align(new, reference)
    strange = X.assign(letter="never", shop=99)
    for rows in (X, strange):
        assert_close(aligned.predict(rows), new.predict(rows))
    for column in ("letter", "shop"):
        before, after = (distance(e, reference, [column]) for e in (new, aligned))
        assert after <= before * (1 + 1e-6)
    found = drift(aligned, reference, "shop").set_index("category")["movement"]
    a, b, _ = shared_vectors(aligned, reference, "shop")
    assert_close(found.sort_index(), np.linalg.norm(a - b, axis=1))


def test_training_goes_on_from_an_aligned_encoder(old):
    X, y = make_data(1)
    new = make_fitted(1, (X, y), warm_start=True)
    before = new.transform(X)
    aligned = align(new, old)
    aligned.fit(X, y)
    np.testing.assert_array_equal(new.transform(X), before)
    assert np.isfinite(aligned.transform(X)).all()


def test_what_cannot_be_aligned(new, old):
    X, y = make_data(0)
    assert align(make_fitted(0, make_data(0, letters="vwxyz")), old)  # the missing one is shared
    only = make_encoder(dimensions=3).fit(X[["letter"]].assign(letter="q"), y)
    full = make_encoder(dimensions=3).fit(X[["letter"]].fillna("z"), y)
    other = make_encoder().fit(make_rows(100)[0][["color"]], make_rows(100)[1])
    for call in (align, drift):
        with pytest.raises(InvalidDataError, match="two fits of column 'letter' share no category"):
            call(only, full)
        with pytest.raises(InvalidParameterError, match=r"\['color'\].*share none"):
            call(other, old)
        for pair in ((make_encoder(), old), (new, make_encoder())):
            with pytest.raises(NotFittedError):
                call(*pair)
    texts = X.assign(shop=X["shop"].astype(str))
    with pytest.raises(InvalidDataError, match="column 'shop' share no category"):
        align(make_fitted(0, (texts, y)), old)
    wide = make_fitted(1, dimensions={"shop": 4, "letter": 3})
    with pytest.raises(InvalidParameterError, match="'shop' has vectors of 4 numbers"):
        align(wide, old)
    frame = new.embeddings_["letter"]
    for stranger in (frame, new.embeddings_, make_pipeline(StandardScaler()), None):
        for pair in ((stranger, old), (new, stranger)):
            with pytest.raises(InvalidParameterError, match="Expected a fitted estimator"):
                align(*pair)


# Drift


def make_frame(n=12, width=3, seed=0, name="col"):
    rng = np.random.default_rng(seed)
    index = pd.Index([f"c{i:02d}" for i in range(n)], name=name)
    return pd.DataFrame(rng.normal(size=(n, width)), index=index)


def turned(frame, seed=0):
    """The same vectors elsewhere."""
    rotation = ortho_group.rvs(frame.shape[1], random_state=seed)
    return pd.DataFrame(frame.to_numpy() @ rotation + 7, index=frame.index)


def test_known_movements():
    old = make_frame()
    new = turned(old)
    new.iloc[3, 0] += 5
    new.iloc[8, 2] -= 2
    counts = np.where(np.isin(np.arange(12), [3, 8]), 0, 4)  # they do not decide the motion
    pair = [make_column_vectors(f, counts=counts, name="col") for f in (new, old)]
    found = drift(*pair, k=2)
    assert found["category"].tolist()[:2] == ["c03", "c08"]
    np.testing.assert_allclose(found["movement"][:3], [5, 2, 0], atol=1e-5)
    centered = old.to_numpy()[counts > 0]
    centered = centered - centered.mean(axis=0)
    size = np.sqrt((centered**2).sum(axis=1).mean())
    np.testing.assert_allclose(found["relative_movement"], found["movement"] / size, rtol=1e-5)
    assert found["count"].tolist() == found["reference_count"].tolist()
    assert found["count"].tolist()[:3] == [0, 0, 4]
    assert found["neighbor_overlap"][0] < 1


def test_neighbour_overlap_against_brute_force():
    for k in (14, np.int64(40)):  # as many as there are
        assert (drift(make_frame(15, seed=1), make_frame(15), k=k)["neighbor_overlap"] == 1).all()
    for k in (0, 1.0, True, None):
        with pytest.raises(InvalidParameterError, match="`k` must be a positive integer"):
            drift(make_frame(), make_frame(), k=k)
    old, new = make_frame(15, seed=0), make_frame(15, seed=1)
    found = drift(new, old, k=4)
    assert found["movement"].is_monotonic_decreasing
    found = found.set_index("category")["neighbor_overlap"]
    for i, name in enumerate(old.index):
        sets = []
        for frame in (old, new):
            distances = np.linalg.norm(frame.to_numpy() - frame.to_numpy()[i], axis=1)
            distances[i] = np.inf
            sets.append(set(np.argsort(distances)[:4]))
        assert found[name] == len(sets[0] & sets[1]) / 4


def test_new_and_gone_categories():
    old = make_frame()
    new = turned(old)[2:].rename(index={"c05": "fresh", "c06": "newer"})
    found = drift(new, old, k=2)
    assert found["status"].tolist() == ["shared"] * 8 + ["new"] * 2 + ["gone"] * 4
    assert found["category"][8:].tolist() == ["fresh", "newer", "c00", "c01", "c05", "c06"]
    assert found[["movement", "relative_movement", "neighbor_overlap"]][8:].isna().all(axis=None)
    assert found["movement"].max() < 1e-5
    assert found["neighbor_overlap"][:8].tolist() == [1.0] * 8
    alone = drift(make_frame(3, seed=1).rename(index={"c01": "x", "c02": ("y", 1)}), make_frame(3))
    assert alone["category"][2] == ("y", 1)
    assert alone["movement"][0] < 1e-6
    assert alone[["relative_movement", "neighbor_overlap"]].isna().all(axis=None)


def test_counts_of_new_and_gone_categories_are_whole():
    data = make_data(1, letters="abcxy")
    found = drift(make_fitted(1, data), make_fitted(0), "letter")
    assert found["count"].dtype == found["reference_count"].dtype == np.int64
    counts, rows = data[0]["letter"].value_counts(), found.set_index("category")
    assert rows.loc["x", ["status", "count", "reference_count"]].tolist() == ["new", counts["x"], 0]
    assert rows.loc["d", ["status", "count"]].tolist() == ["gone", 0]
    assert rows.loc["a", "count"] == counts["a"]
    missing = found[found["category"].isna()]
    assert missing[["status", "count"]].to_numpy().tolist() == [["shared", 10]]


def test_rare_categories_are_left_out(new, old):
    found = drift(new, old, "letter", min_count=11)
    assert sorted(found["category"]) == list("abcde")
    assert (found[["count", "reference_count"]] >= 11).all(axis=None)
    with pytest.raises(InvalidParameterError, match="No category of column 'letter'"):
        drift(new, old, min_count=1000)
    with pytest.raises(InvalidParameterError, match="`min_count` needs counts"):
        drift(make_frame(), make_frame(), min_count=2)
    a, b = (make_column_vectors(np.eye(2), categories="ab", counts=c) for c in ([9, 1], [1, 9]))
    with pytest.raises(InvalidDataError, match="share no category"):
        drift(a, b, min_count=5)


def test_vectors_of_other_widths_are_compared_by_neighbours():
    old = make_frame(width=3)
    wide = pd.DataFrame(np.hstack([turned(old), np.zeros((12, 2))]), index=old.index)
    wide = wide.rename(index={"c11": "fresh"})
    found = drift(wide, old, k=3)
    assert found["movement"].isna().all()
    assert found["relative_movement"].isna().all()
    assert (found["neighbor_overlap"][:11] == 1).all()
    assert found["category"][:11].tolist() == old.index[:11].tolist()
    assert found["status"][11:].tolist() == ["new", "gone"]


def test_equal_vectors_have_the_same_neighbours_and_among_very_many_the_first():
    vectors = np.repeat(np.random.default_rng(0).normal(size=(3, 2)), [9, 1, 2], axis=0)
    for k in (1, 2, 5):
        found = drift(turned(pd.DataFrame(vectors)), pd.DataFrame(vectors), k=k)
        assert (found["neighbor_overlap"] == 1).all()
    equal, line = pd.DataFrame(np.zeros((5, 1))), pd.DataFrame(np.arange(5.0))
    found = drift(line, equal, k=2).set_index("category")["neighbor_overlap"]
    # all equal: 0 and 1 are the neighbours of 4; on a line they are 3 and 2
    assert found.loc[[4, 3, 0]].tolist() == [0.0, 0.0, 1.0]
    same = drift(equal, equal)
    assert same["category"].tolist() == [0, 1, 2, 3, 4]  # ties keep their order
    assert same["movement"].tolist() == [0.0] * 5
    assert same["relative_movement"].isna().all()


def test_several_columns(new, old):
    found = drift(new, old)
    assert found["column"].drop_duplicates().tolist() == ["letter", "shop"]
    for name, part in found.groupby("column"):
        alone = drift(new, old, name)
        pd.testing.assert_frame_equal(
            part.reset_index(drop=True), alone, check_dtype=False, check_index_type=False
        )
    assert drift(new, old, "shop")["category"].dtype.kind == "i"
    with pytest.raises(InvalidParameterError, match=r"`column` is 'shops'.*Did you mean 'shop'"):
        drift(new, old, "shops")


def test_sources_of_drift_may_be_frames(new, old):
    expected = drift(new, old, "shop")
    columns = ["column", "category", "status", "movement", "relative_movement", "neighbor_overlap"]
    assert list(expected) == [*columns, "count", "reference_count"]
    expected = expected.set_index("category").sort_index()
    for pair in (
        (new.embeddings_, old.embeddings_),
        (new, old.embeddings_["shop"]),
        (new.embeddings_["shop"].rename_axis(None), old.embeddings_["shop"].rename_axis(None)),
    ):
        found = drift(*pair, "shop")
        assert list(found) == columns
        assert (found["column"] == "shop").all()
        found = found.set_index("category").sort_index()
        assert found["neighbor_overlap"].tolist() == expected["neighbor_overlap"].tolist()
    with pytest.raises(InvalidParameterError, match="share none"):
        drift(new.embeddings_["shop"], old.embeddings_["letter"])


# Dot products


def test_dot_products_are_turned_together(dot, ratings):
    X, y = ratings
    new = make_dot(1).fit(X, y)
    aligned = align(new, dot)
    rows = fitted_model(new).code(new._read(X))
    assert_close(fitted_model(aligned).raw(rows), fitted_model(new).raw(rows))
    names = ["user", "movie"]
    assert distance(aligned, dot, names) < distance(new, dot, names)
    moved = [motion(new, aligned, name) for name in names]
    assert_close(moved[0][0], moved[1][0], 1e-4)
    assert_close(moved[0][0] @ moved[0][0].T, np.eye(3), 1e-4)
    for name, (_, shift) in zip(names, moved, strict=True):
        assert_close(shift, 0)
        pd.testing.assert_series_equal(aligned.biases_[name], new.biases_[name])
    assert_close(align(aligned, new).transform(X), new.transform(X))
    assert drift(aligned, new)["movement"].max() < 1e-5


def test_unknown_categories_of_dot_products(dot, ratings):
    X, y = ratings
    new = make_dot(1, handle_unknown="zero").fit(X, y)
    aligned = align(new, dot)
    strange = X.head(1).assign(user="new", movie="other")
    found, before = (np.split(e.transform(strange)[0], 2) for e in (aligned, new))
    for name, vector, old in zip(("user", "movie"), found, before, strict=True):
        assert_close(vector[:3], old[:3] @ motion(new, aligned, name)[0], 1e-4)
        np.testing.assert_array_equal(vector[3], old[3])
    assert aligned.inverse_transform(aligned.transform(strange)).tolist() == [[None, None]]


def test_columns_without_a_shared_category_are_turned_with_the_others(dot, ratings):
    X, y = ratings
    new = make_dot(1).fit(X.assign(user=X["user"] + " junior"), y)
    aligned = align(new, dot)
    assert distance(aligned, dot, ["movie"]) < distance(new, dot, ["movie"])
    assert_close(motion(new, aligned, "user")[0], motion(new, aligned, "movie")[0], 1e-4)
    strangers = make_dot(1).fit(X[["user", "movie"]] + "!", y)
    with pytest.raises(InvalidDataError, match="share no category"):
        align(strangers, dot)


def test_what_cannot_be_aligned_with_dot_products(dot, ratings):
    X, y = ratings
    with pytest.raises(InvalidParameterError, match="head='dot', but `reference` with head='mlp'"):
        align(dot, make_encoder(dimensions=3).fit(X, y))
    with pytest.raises(InvalidParameterError, match="vectors of 2 numbers, but those of `ref"):
        align(make_dot(1, dimensions=2).fit(X, y), dot)
    given = {"user": dot.embeddings_["user"]}
    frozen = make_dot(1, init=given, freeze=["user"]).fit(X, y)
    with pytest.raises(InvalidParameterError, match="frozen with head='dot'"):
        align(frozen, dot)
    assert (drift(frozen, dot)["movement"] > 0).any()


def test_drift_of_dot_products_is_what_alignment_leaves(dot, ratings):
    new = make_dot(1).fit(*ratings)
    aligned, everything = align(new, dot), drift(new, dot)
    for name in ("user", "movie"):
        found = drift(new, dot, name).set_index("category")["movement"]
        left = aligned.embeddings_[name] - dot.embeddings_[name]
        assert_close(found, np.linalg.norm(left.loc[found.index], axis=1))
        np.testing.assert_allclose(everything.query("column == @name")["movement"], found)
    found = drift(make_dot(1, dimensions=2).fit(*ratings), dot)
    assert found["movement"].isna().all()
    assert found["neighbor_overlap"].notna().all()
    assert len(drift(new, dot.embeddings_["user"], "user")) == 9


# Lists


def test_every_pooling_predicts_the_same(tagged, pooling):
    X, y = tagged
    old, new = (make_predictor(seed, pooling=pooling).fit(X, y) for seed in (0, 1))
    aligned = align(new, old)
    strange = pd.DataFrame({"tags": [["new", "jazz"], [], None, ["jazz"] * 9], "city": "Bari"})
    for rows in (X, strange):
        assert_close(aligned.predict(rows), new.predict(rows))
    assert distance(aligned, old, ["tags"]) < distance(new, old, ["tags"])
    rotation, shift = motion(new, aligned, "tags")
    assert (np.abs(shift).max() < 1e-5) == (pooling == "sum")
    is_order = bool(np.allclose(np.sort(np.abs(rotation), axis=1), [0, 0, 1], atol=1e-4))
    assert is_order == (pooling == "max")
    found = drift(new, old, "tags").sort_values("category")["movement"]
    left = aligned.embeddings_["tags"] - old.embeddings_["tags"]
    assert_close(found, np.linalg.norm(left, axis=1))


def test_the_states_of_a_recurrent_unit_stay(tagged):
    X, y = tagged
    new, old = (make_listed(seed, "gru", hidden_layer_sizes=()).fit(X, y) for seed in (1, 0))
    aligned = align(new, old)
    assert aligned.get_feature_names_out()[0] == "tags_0"
    assert_close(aligned.transform(X)[:, :3], new.transform(X)[:, :3])
    assert not np.allclose(aligned.embeddings_["tags"], new.embeddings_["tags"], atol=1e-3)
