"""Alignment and drift: known motions are undone, and nothing that is predicted changes."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ortho_group
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sk_entity_embed.exceptions import InvalidDataError, InvalidParameterError
from sk_entity_embed.input.vocabulary import UNKNOWN
from sk_entity_embed.inspection import align, drift
from sk_entity_embed.inspection.alignment import _motion
from sk_entity_embed.inspection.catalogue import from_vectors
from sk_entity_embed.model import CodedRows
from tests.inspection.conftest import make_dot, make_listed
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


@pytest.fixture(scope="module")
def old():
    return make_fitted(0)


@pytest.fixture(scope="module")
def new():
    return make_fitted(1)


def weighted_procrustes(a, b, weights):
    """The best motion by the textbook: ``a @ rotation + shift``."""
    weights = weights / weights.sum()
    mean_a, mean_b = weights @ a, weights @ b
    u, _, vt = np.linalg.svd((a - mean_a).T @ np.diag(weights) @ (b - mean_b))
    return u @ vt, mean_b - mean_a @ u @ vt


def moved_copy(encoder, seed=0, columns=None):
    """The same encoder in other coordinates, made by hand."""
    rng = np.random.default_rng(seed)
    model = encoder._model
    first, bias = model.head.weights[0].copy(), model.head.biases[0].copy()
    tables = []
    for j, table in enumerate(model.tables):
        if columns is not None and table.vocabulary.name not in columns:
            tables.append(table)
            continue
        rotation = ortho_group.rvs(table.width, random_state=rng.integers(99))
        rotation[:, 0] *= -np.sign(np.linalg.det(rotation))  # a reflection
        shift = rng.normal(size=table.width)
        rows = slice(model.edges[j], model.edges[j + 1])
        first[rows] = rotation.T @ first[rows]
        bias -= shift @ first[rows]
        tables.append(
            replace(
                table,
                stack=(table.stack @ rotation + shift).astype(np.float32),
                centre=(table.centre @ rotation + shift).astype(np.float32),
            )
        )
    out = make_encoder()
    out.__dict__.update(vars(encoder))
    head = replace(
        model.head,
        weights=(first, *model.head.weights[1:]),
        biases=(bias, *model.head.biases[1:]),
    )
    out._model = replace(model, tables=tuple(tables), head=head)
    return out


def outputs(encoder, X):
    """Hidden layer and raw output of the network."""
    model = encoder._model
    rows = model.code(encoder._read(X), refuse_unknown=False, missing_is_error=False)
    return network(model, rows)


def network(model, rows, fold=None):
    hidden = np.empty((len(rows), model.head.n_hidden), dtype=np.float32)
    model.hidden(rows, hidden, fold=fold)
    vectors = np.empty((len(rows), model.edges[-1]), dtype=np.float32)
    model.embed(rows.codes, vectors, fold=fold)
    return hidden, model.head.raw(vectors, model.scaling.apply(rows.numbers))


# Alignment


def test_a_known_motion_is_undone(old):
    X, _ = make_data()
    other = moved_copy(old)
    assert not np.allclose(other.transform(X), old.transform(X), atol=0.1)
    for a, b in zip(outputs(other, X), outputs(old, X), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    aligned = align(other, old)
    np.testing.assert_allclose(aligned.transform(X), old.transform(X), atol=1e-5)
    for table, expected in zip(aligned._model.tables, old._model.tables, strict=True):
        np.testing.assert_allclose(table.stack, expected.stack, atol=1e-5)
        np.testing.assert_allclose(table.centre, expected.centre, atol=1e-5)
        assert table.stack.dtype == table.centre.dtype == np.float32


def test_a_fit_is_aligned_to_itself(old):
    X, _ = make_data()
    np.testing.assert_allclose(align(old, old).transform(X), old.transform(X), atol=1e-5)


def test_the_aligned_encoder_predicts_the_same(new, old):
    X, _ = make_data(3)
    X.loc[20:30, "letter"] = "never seen"
    aligned = align(new, old)
    for a, b in zip(outputs(aligned, X), outputs(new, X), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    rng = np.random.default_rng(0)
    model, moved = new._model, aligned._model
    codes = [rng.integers(0, t.vocabulary.n_rows, 50).astype(np.int32) for t in model.tables]
    rows = CodedRows(codes, rng.normal(size=(50, 1)))
    for fold in (rng.integers(-1, 5, 50), np.full(50, -1), None):  # out of fold, too
        for a, b in zip(network(moved, rows, fold), network(model, rows, fold), strict=True):
            np.testing.assert_allclose(a, b, atol=1e-5)


def test_the_aligned_encoder_is_as_close_as_can_be(new, old):
    aligned = align(new, old)
    for name in ("letter", "shop"):
        a, b = (e.embeddings_[name] for e in (new, old))
        pairs = zip((new, old), (a, b), strict=True)
        counts = [pd.Series(e.category_counts_[name], index=f.index) for e, f in pairs]
        shared = a.index.intersection(b.index)
        assert len(shared) >= 8
        weights = np.minimum(counts[0][shared], counts[1][shared]).to_numpy(dtype=float)
        a, b = (f.loc[shared].to_numpy(dtype=float) for f in (a, b))
        rotation, shift = weighted_procrustes(a, b, weights)
        found = aligned.embeddings_[name].loc[shared].to_numpy(dtype=float)
        best = a @ rotation + shift
        residuals = [weights @ ((v - b) ** 2).sum(axis=1) for v in (found, best, a)]
        np.testing.assert_allclose(residuals[0], residuals[1], rtol=1e-4)
        assert residuals[0] < residuals[2]
        np.testing.assert_allclose(
            np.linalg.norm(found[:, None] - found[None], axis=2),
            np.linalg.norm(a[:, None] - a[None], axis=2),
            atol=1e-5,
        )


def test_the_originals_are_left_alone(new, old):
    before = [pickle.dumps(e) for e in (new, old)]
    aligned = align(new, old)
    aligned.set_output(transform="pandas")
    assert [pickle.dumps(e) for e in (new, old)] == before
    assert aligned is not new
    assert aligned._model.head is not new._model.head


def test_the_container_of_the_output_is_not_shared(old):
    new = make_fitted(1).set_output(transform="default")
    aligned = align(new, old).set_output(transform="pandas")
    X, _ = make_data()
    assert isinstance(aligned.transform(X), pd.DataFrame)
    assert isinstance(new.transform(X), np.ndarray)
    assert isinstance(align(aligned, old).transform(X), pd.DataFrame)


@pytest.mark.parametrize("output", ["embedding", "hidden", "both"])
@pytest.mark.parametrize("remainder", ["drop", "passthrough"])
def test_every_output_of_the_aligned_encoder(old, output, remainder):
    X, _ = make_data(1)
    new = make_fitted(1, output=output, remainder=remainder)
    aligned = align(new, old)
    names = new.get_feature_names_out().tolist()
    assert aligned.get_feature_names_out().tolist() == names
    same = [j for j, n in enumerate(names) if n.startswith("hidden") or n == "size"]
    np.testing.assert_allclose(aligned.transform(X)[:, same], new.transform(X)[:, same], atol=1e-5)
    if output != "hidden":
        assert not np.allclose(aligned.transform(X), new.transform(X), atol=1e-3)


@pytest.mark.parametrize("policy", ["learned", "zero", "nan", "error"])
def test_unknown_categories_follow_their_policy(old, policy):
    data = make_data(1)
    new = make_fitted(1, data, handle_unknown=policy)
    aligned = align(moved_copy(new), new)
    for vectors in (new._unknown, aligned._unknown):
        assert (vectors is None) == (policy in ("learned", "error"))
    strange = data[0].head(3).assign(letter="never", shop=99)
    if policy == "error":
        with pytest.raises(InvalidDataError, match="Found unknown categories"):
            aligned.transform(strange)
        return
    other = align(new, old)
    expected = {
        "learned": [t.vectors[UNKNOWN] for t in other._model.tables],
        "zero": [t.centre for t in other._model.tables],
        "nan": [np.full(t.width, np.nan) for t in other._model.tables],
    }[policy]
    np.testing.assert_array_equal(other.transform(strange)[0], np.concatenate(expected))
    back = aligned.inverse_transform(aligned.transform(strange))
    assert back[0, 0] is None


def test_the_moved_centre_is_the_centre_of_the_moved_rows(new, old):
    aligned = align(new, old)
    for table in aligned._model.tables:
        vocabulary = table.vocabulary
        mean = np.average(
            table.vectors[vocabulary.label_rows], axis=0, weights=vocabulary.label_counts
        )
        np.testing.assert_allclose(table.centre, mean, atol=1e-5)


def test_zero_is_the_moved_centre(old):
    data = make_data(1)
    new = make_fitted(1, data, handle_unknown="zero")
    other = moved_copy(new)
    other._unknown = [t.centre for t in other._model.tables]
    aligned = align(other, new)
    strange = data[0].head(1).assign(letter="never", shop=99)
    np.testing.assert_allclose(aligned.transform(strange), new.transform(strange), atol=1e-5)


def test_the_aligned_encoder_pickles_and_inverts(new, old):
    X, _ = make_data(1)
    aligned = align(new, old)
    again = pickle.loads(pickle.dumps(aligned))
    encoded = aligned.transform(X)
    np.testing.assert_array_equal(again.transform(X), encoded)
    back, expected = (e.inverse_transform(e.transform(X)) for e in (aligned, new))
    pd.testing.assert_frame_equal(pd.DataFrame(back), pd.DataFrame(expected))
    assert back[20:, 0].tolist() == X["letter"][20:].tolist()


def test_vectors_out_of_fold_are_inverted_too(old):
    X, y = make_data(1)
    encoder = make_encoder(
        categorical_features=["letter", "shop"], dimensions=3, min_frequency=3, random_state=1
    )
    out_of_fold = encoder.fit_transform(X, y)
    aligned = align(encoder, old)
    rows = encoder._model.code(encoder._read(X), refuse_unknown=False, missing_is_error=False)
    moved = np.empty_like(out_of_fold)
    aligned._model.embed(rows.codes, moved, fold=encoder.fold_)
    assert (
        aligned.inverse_transform(moved).tolist()[20:]
        == (encoder.inverse_transform(out_of_fold).tolist()[20:])
    )
    for edge in (0, 3):  # the motion of a column is one for all folds
        a, b = out_of_fold[:, edge : edge + 3], moved[:, edge : edge + 3]
        distances = [np.linalg.norm(v[:50, None] - v[None, 50:], axis=2) for v in (a, b)]
        np.testing.assert_allclose(*distances, atol=1e-5)


def test_columns_that_the_reference_lacks_stay():
    X, y = make_data(1)
    new = make_fitted(1, (X, y))
    reference = make_encoder(dimensions=3, min_frequency=3).fit(X[["letter", "size"]], y)
    aligned = align(new, reference)
    assert aligned._model.tables[1] is new._model.tables[1]
    assert not np.allclose(aligned._model.tables[0].stack, new._model.tables[0].stack, atol=1e-3)
    for a, b in zip(outputs(aligned, X), outputs(new, X), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    zero = align(make_fitted(1, (X, y), handle_unknown="zero"), reference)
    np.testing.assert_array_equal(zero._unknown[1], new._model.tables[1].centre)


def test_the_smaller_of_two_counts_weighs():
    """Rows of "a" are many in the new fit only, so that it does not decide the motion."""
    rng = np.random.default_rng(0)
    old = rng.normal(size=(6, 2))
    new = old @ ortho_group.rvs(2, random_state=0) + 3
    new[0] += 10
    counts = np.array([10**6, 9, 8, 7, 6, 5]), np.array([1, 9, 8, 7, 6, 5])
    labels = list("abcdef")
    catalogues = [
        from_vectors(v, categories=labels, counts=c, name="col")
        for v, c in zip((new, old), counts, strict=True)
    ]
    found = drift(*catalogues)
    assert found["category"][0] == "a"
    rotation, shift = weighted_procrustes(new, old, np.minimum(*counts).astype(float))
    expected = np.linalg.norm(new @ rotation + shift - old, axis=1)
    found = found.set_index("category").loc[labels]
    np.testing.assert_allclose(found["movement"], expected, atol=1e-5)
    by_new = weighted_procrustes(new, old, counts[0].astype(float))
    assert not np.allclose(new @ by_new[0] + by_new[1], new @ rotation + shift, atol=0.1)


def test_frozen_vectors_are_aligned_too(old):
    X, y = make_data(1)
    given = {"shop": pd.DataFrame(np.random.default_rng(0).normal(size=(9, 3)), index=range(9))}
    new = make_fitted(1, (X, y), init=given, freeze=["shop"])
    np.testing.assert_allclose(new.embeddings_["shop"], given["shop"], rtol=1e-6)
    aligned = align(new, old)
    for a, b in zip(outputs(aligned, X), outputs(new, X), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    found = drift(aligned, old, "shop")["movement"]
    direct = np.linalg.norm(aligned.embeddings_["shop"] - old.embeddings_["shop"], axis=1)
    np.testing.assert_allclose(np.sort(found), np.sort(direct), atol=1e-5)


@pytest.mark.parametrize(
    "params", [{"cross_fit": False}, {"hidden_layer_sizes": ()}, {"dimensions": 1}]
)
def test_other_shapes_of_networks(params):
    X, _ = make_data(2)
    new, reference = make_fitted(1, **params), make_fitted(0, **params)
    aligned = align(new, reference)
    rows = new._model.code(new._read(X), refuse_unknown=False, missing_is_error=False)
    raws = []
    for model in (aligned._model, new._model):
        vectors = np.empty((len(rows), model.edges[-1]), dtype=np.float32)
        model.embed(rows.codes, vectors)
        raws.append(model.head.raw(vectors, model.scaling.apply(rows.numbers)))
    np.testing.assert_allclose(*raws, atol=1e-5)
    before, after = (drift_without_alignment(e, reference, "letter") for e in (new, aligned))
    assert after <= before


def drift_without_alignment(encoder, reference, column):
    a, b = (e.embeddings_[column] for e in (encoder, reference))
    shared = a.index.intersection(b.index)
    counts = [
        pd.Series(e.category_counts_[column], index=f.index)[shared].to_numpy()
        for e, f in ((encoder, a), (reference, b))
    ]
    squares = ((a.loc[shared] - b.loc[shared]) ** 2).sum(axis=1).to_numpy()
    return float(np.minimum(*counts) @ squares)


def test_training_goes_on_from_an_aligned_encoder(old):
    X, y = make_data(1)
    new = make_fitted(1, (X, y), warm_start=True)
    aligned = align(new, old)
    state = new._model
    aligned.fit(X, y)
    assert new._model is state
    assert np.isfinite(aligned.transform(X)).all()


def test_categories_without_rows_in_common(old):
    other = make_fitted(0, make_data(0, letters="vwxyz"))
    assert align(other, old)  # missing ones and the rare ones are in common
    X, y = make_data(0)
    only = make_encoder(dimensions=3).fit(X[["letter"]].assign(letter="q"), y)
    full = make_encoder(dimensions=3).fit(X[["letter"]].fillna("z"), y)
    for call in (align, drift):
        with pytest.raises(InvalidDataError, match="two fits of column 'letter' share no category"):
            call(only, full)


def test_texts_are_not_numbers(old):
    X, y = make_data(0)
    X = X.assign(shop=X["shop"].astype(str))
    with pytest.raises(InvalidDataError, match="column 'shop' share no category"):
        align(make_fitted(0, (X, y)), old)


def test_widths_must_agree(old):
    wide = make_fitted(1, dimensions={"shop": 4, "letter": 3})
    with pytest.raises(InvalidParameterError, match="'shop' has vectors of 4 numbers"):
        align(wide, old)


def test_no_shared_column(old):
    X, y = make_rows(100)
    other = make_encoder().fit(X[["color"]], y)
    for call in (align, drift):
        with pytest.raises(InvalidParameterError, match=r"\['color'\].*none is shared"):
            call(other, old)


def test_both_must_be_fitted_estimators(new, old):
    for pair in ((make_encoder(), old), (new, make_encoder())):
        with pytest.raises(NotFittedError):
            align(*pair)
        with pytest.raises(NotFittedError):
            drift(*pair)
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


def test_a_turn_is_no_movement():
    old = make_frame()
    found = drift(turned(old), old, k=3)
    assert list(found) == [
        "column",
        "category",
        "status",
        "movement",
        "relative_movement",
        "neighbor_overlap",
    ]
    assert (found["column"] == "col").all()
    assert (found["status"] == "shared").all()
    assert found["movement"].max() < 1e-5
    assert (found["neighbor_overlap"] == 1).all()
    assert set(found["category"]) == set(old.index)


def test_known_movements():
    old = make_frame()
    new = turned(old)
    new.iloc[3, 0] += 5
    new.iloc[8, 2] -= 2
    counts = np.where(np.isin(np.arange(12), [3, 8]), 0, 4)  # they do not decide the motion
    pair = [from_vectors(f, counts=counts, name="col") for f in (new, old)]
    found = drift(*pair, k=2)
    assert found["category"].tolist()[:2] == ["c03", "c08"]
    np.testing.assert_allclose(found["movement"][:3], [5, 2, 0], atol=1e-5)
    centred = old.to_numpy()[counts > 0]
    centred = centred - centred.mean(axis=0)
    size = np.sqrt((centred**2).sum(axis=1).mean())
    np.testing.assert_allclose(found["relative_movement"], found["movement"] / size, rtol=1e-5)
    assert found["count"].tolist() == found["reference_count"].tolist()
    assert found["count"].tolist()[:3] == [0, 0, 4]
    assert found["neighbor_overlap"][0] < 1


def test_movements_are_sorted_and_ties_keep_their_order():
    rng = np.random.default_rng(0)
    old = make_frame()
    found = drift(old + rng.normal(size=old.shape), old)
    assert found["movement"].is_monotonic_decreasing
    same = drift(pd.DataFrame(np.zeros((4, 2))), pd.DataFrame(np.zeros((4, 2))))
    assert same["category"].tolist() == [0, 1, 2, 3]
    assert same["movement"].tolist() == [0.0] * 4
    assert same["relative_movement"].isna().all()


def test_neighbour_overlap_against_brute_force():
    old, new = make_frame(15, seed=0), make_frame(15, seed=1)
    found = drift(new, old, k=4).set_index("category")["neighbor_overlap"]
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
    measures = found[["movement", "relative_movement", "neighbor_overlap"]]
    assert measures[8:].isna().all(axis=None)
    assert measures[:8].notna().all(axis=None)
    assert found["movement"].max() < 1e-5
    assert found["neighbor_overlap"][:8].tolist() == [1.0] * 8


def test_counts_of_new_and_gone_categories_are_whole():
    old = make_fitted(0)
    data = make_data(1, letters="abcxy")
    found = drift(make_fitted(1, data), old, "letter")
    assert list(found)[-2:] == ["count", "reference_count"]
    assert found["count"].dtype == found["reference_count"].dtype == np.int64
    rows = found.set_index("category")
    counts = data[0]["letter"].value_counts()
    assert rows.loc["x", "status"] == "new"
    assert rows.loc["x", "count"] == counts["x"]
    assert rows.loc["x", "reference_count"] == 0
    assert rows.loc["d", "status"] == "gone"
    assert rows.loc["d", "count"] == 0
    assert rows.loc["a", "count"] == counts["a"]
    missing = found[found["category"].isna()]
    assert missing["status"].tolist() == ["shared"]
    assert missing["count"].tolist() == [10]


def test_rare_categories_are_left_out(new, old):
    found = drift(new, old, "letter", min_count=11)
    assert sorted(found["category"]) == list("abcde")
    assert (found[["count", "reference_count"]] >= 11).all(axis=None)
    with pytest.raises(InvalidParameterError, match="No category of column 'letter'"):
        drift(new, old, min_count=1000)
    with pytest.raises(InvalidParameterError, match="`min_count` needs counts"):
        drift(make_frame(), make_frame(), min_count=2)
    a, b = (from_vectors(np.eye(2), categories="ab", counts=c) for c in ([9, 1], [1, 9]))
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


@pytest.mark.parametrize("k", [11, 12, 500, np.int64(40)])
def test_as_many_neighbours_as_there_are(k):
    found = drift(make_frame(seed=1), make_frame(), k=k)
    assert (found["neighbor_overlap"] == 1).all()


@pytest.mark.parametrize("k", [0, -1, 1.0, True, "2", None])
def test_k_must_be_a_positive_integer(k):
    with pytest.raises(InvalidParameterError, match="`k` must be a positive integer"):
        drift(make_frame(), make_frame(), k=k)


def test_a_single_shared_category():
    old, new = make_frame(3), make_frame(3, seed=1).rename(index={"c01": "x", "c02": "y"})
    found = drift(new, old)
    assert found["status"].tolist() == ["shared", "new", "new", "gone", "gone"]
    assert found["movement"][0] < 1e-6
    assert np.isnan(found["neighbor_overlap"][0])
    assert np.isnan(found["relative_movement"][0])


def test_equal_vectors_have_the_same_neighbours():
    vectors = np.repeat(np.random.default_rng(0).normal(size=(3, 2)), [9, 1, 2], axis=0)
    old = pd.DataFrame(vectors)
    for k in (1, 2, 5):
        found = drift(turned(old), old, k=k)
        assert (found["neighbor_overlap"] == 1).all()
        assert found["movement"].max() < 1e-5


def test_among_very_many_equal_vectors_the_first_are_neighbours():
    equal, line = pd.DataFrame(np.zeros((5, 1))), pd.DataFrame(np.arange(5.0))
    found = drift(line, equal, k=2).set_index("category")["neighbor_overlap"]
    # all equal: 0 and 1 are the neighbours of 4; on a line they are 3 and 2
    assert found.loc[[4, 3, 0]].tolist() == [0.0, 0.0, 1.0]


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
    columns = list(expected)[:-2]
    weighted = expected.sort_values("category")["movement"].to_numpy()
    for pair in (
        (new.embeddings_, old.embeddings_),
        (dict(new.embeddings_), old),
        (new, old.embeddings_["shop"]),
        (new.embeddings_["shop"].rename_axis(None), old.embeddings_["shop"].rename_axis(None)),
    ):
        found = drift(*pair, "shop")
        assert list(found) == columns
        assert (found["column"] == "shop").all()
        # without counts every category weighs the same, and the motion is another
        assert abs(found["movement"].sum() - weighted.sum()) < weighted.sum()
        pd.testing.assert_series_equal(
            found.sort_values("category")["neighbor_overlap"].reset_index(drop=True),
            expected.sort_values("category")["neighbor_overlap"].reset_index(drop=True),
        )
    with pytest.raises(InvalidParameterError, match="none is shared"):
        drift(new.embeddings_["shop"], old.embeddings_["letter"])
    with pytest.raises(InvalidParameterError, match="Expected a fitted estimator"):
        drift([1, 2], old)


def test_nothing_is_left_after_alignment(new, old):
    before, after = (drift(e, old) for e in (new, align(new, old)))
    for column in ("movement", "neighbor_overlap"):
        np.testing.assert_allclose(before[column], after[column], atol=1e-5)
    moved = drift(moved_copy(old), old)
    assert moved["movement"].max() < 1e-5
    assert (moved["neighbor_overlap"] == 1).all()


def test_drift_of_names_of_every_type():
    labels = np.fromiter([("a", 1), "\ud800", 5, np.nan], dtype=object, count=4)
    frame = pd.DataFrame(np.eye(4), index=pd.Index(labels, dtype=object, tupleize_cols=False))
    found = drift(frame, frame[:3])
    assert found["category"][3:].isna().tolist() == [True]
    assert set(found["category"][:3]) == {("a", 1), "\ud800", 5}


# Dot products


def all_raw(encoder, X, fold=None):
    """Raw outputs of the network, from the tables of the folds where these are given."""
    model = encoder._model
    rows = model.code(encoder._read(X), refuse_unknown=False, missing_is_error=False)
    vectors = np.empty((len(rows), model.edges[-1]), dtype=np.float32)
    model.embed(rows.codes, vectors, fold=fold)
    return model.head.raw(vectors, model.scaling.apply(rows.numbers))


def distance_to(encoder, reference, names):
    return sum(
        float(((encoder.embeddings_[n] - reference.embeddings_[n]) ** 2).to_numpy().sum())
        for n in names
    )


def test_dot_products_are_turned_together(dot, ratings):
    X, _ = ratings
    new = make_dot(1).fit(*ratings)
    aligned = align(new, dot)
    fold = np.arange(len(X)) % 5 - 1
    for rows, folds in ((X, None), (X, fold), (X.assign(user="new", movie="other"), None)):
        np.testing.assert_allclose(
            all_raw(aligned, rows, folds), all_raw(new, rows, folds), atol=1e-5
        )
    names = ["user", "movie"]
    assert distance_to(aligned, dot, names) < distance_to(new, dot, names)
    turns = [
        np.linalg.lstsq(new.embeddings_[n], aligned.embeddings_[n], rcond=None)[0] for n in names
    ]
    np.testing.assert_allclose(*turns, atol=1e-4)
    np.testing.assert_allclose(turns[0] @ turns[0].T, np.eye(3), atol=1e-4)
    for name in names:
        pd.testing.assert_series_equal(aligned.biases_[name], new.biases_[name])


def test_a_turned_fit_of_dot_products_is_turned_back(dot, ratings):
    rotation = ortho_group.rvs(3, random_state=0)
    rotation[:, 0] *= -np.sign(np.linalg.det(rotation))
    other = make_dot(0)
    other.__dict__.update(vars(dot))
    tables = []
    for table in dot._model.tables:
        stack = table.stack.copy()
        stack[..., :3] = stack[..., :3] @ rotation
        tables.append(replace(table, stack=stack))
    other._model = replace(dot._model, tables=tuple(tables))
    aligned = align(other, dot)
    np.testing.assert_allclose(aligned.transform(ratings[0]), dot.transform(ratings[0]), atol=1e-5)
    assert drift(other, dot)["movement"].max() < 1e-5


@pytest.mark.parametrize("policy", ["zero", "nan"])
def test_unknown_categories_of_dot_products(dot, ratings, policy):
    X, y = ratings
    new = make_dot(1, handle_unknown=policy).fit(X, y)
    aligned = align(new, dot)
    strange = X.head(1).assign(user="new", movie="other")
    centre = [t.centre if policy == "zero" else np.full(4, np.nan) for t in aligned._model.tables]
    np.testing.assert_array_equal(aligned.transform(strange)[0], np.concatenate(centre))
    assert aligned.inverse_transform(aligned.transform(strange)).tolist() == [[None, None]]


def test_columns_without_a_shared_category_are_turned_with_the_others(dot, ratings):
    X, y = ratings
    new = make_dot(1).fit(X.assign(user=X["user"] + " junior"), y)
    aligned = align(new, dot)
    movies = distance_to(aligned, dot, ["movie"])
    assert movies < distance_to(new, dot, ["movie"])
    rows = X.assign(user=X["user"] + " junior")
    np.testing.assert_allclose(all_raw(aligned, rows), all_raw(new, rows), atol=1e-5)
    found = drift(new, dot, "movie")
    assert (found["movement"] ** 2).sum() == pytest.approx(movies, rel=1e-4)
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
    with pytest.raises(InvalidParameterError, match="frozen below head='dot'"):
        align(frozen, dot)
    assert (drift(frozen, dot)["movement"] > 0).any()


def test_drift_of_dot_products_is_what_alignment_leaves(dot, ratings):
    new = make_dot(1).fit(*ratings)
    aligned = align(new, dot)
    everything = drift(new, dot)
    for name in ("user", "movie"):
        found = drift(new, dot, name).set_index("category")["movement"]
        left = aligned.embeddings_[name] - dot.embeddings_[name]
        np.testing.assert_allclose(found, np.linalg.norm(left.loc[found.index], axis=1), atol=1e-5)
        of_all = everything[everything["column"] == name]["movement"]
        np.testing.assert_allclose(of_all, found)
    other = make_dot(1, dimensions=2).fit(*ratings)
    found = drift(other, dot)
    assert found["movement"].isna().all()
    assert found["neighbor_overlap"].notna().all()
    users = dot.embeddings_["user"]
    turned = drift(new, users, "user")
    assert len(turned) == 9


# Lists


def test_every_pooling_predicts_the_same(listed, tagged, pooling):
    X, y = tagged
    new = make_listed(1, pooling).fit(X, y)
    aligned = align(new, listed)
    strange = pd.DataFrame({"tags": [["new", "jazz"], [], None, ["jazz"] * 9], "city": "Bari"})
    fold = np.arange(len(X)) % 5 - 1
    for rows, folds in ((X, None), (X, fold), (strange, None)):
        np.testing.assert_allclose(
            all_raw(aligned, rows, folds), all_raw(new, rows, folds), atol=1e-5
        )
    assert distance_to(aligned, listed, ["tags"]) < distance_to(new, listed, ["tags"])
    found = drift(new, listed, "tags").sort_values("category")["movement"]
    left = aligned.embeddings_["tags"] - listed.embeddings_["tags"]
    np.testing.assert_allclose(found, np.linalg.norm(left, axis=1), atol=1e-5)


def test_motions_that_poolings_allow(tagged):
    X, y = tagged
    for pooling in ("sum", "max", "mean"):
        new, old = (make_listed(seed, pooling).fit(X, y) for seed in (1, 0))
        a, b = (
            np.asarray(align(new, old).embeddings_["tags"]),
            np.asarray(new.embeddings_["tags"]),
        )
        turn = np.linalg.lstsq(b - b[0], a - a[0], rcond=None)[0]
        shift = a[0] - b[0] @ turn
        assert (np.abs(shift).max() < 1e-5) == (pooling == "sum")
        is_order = bool(np.allclose(np.sort(turn, axis=1), [0, 0, 1], atol=1e-4))
        assert is_order == (pooling == "max")


def test_axes_in_another_order_are_put_back():
    rng = np.random.default_rng(0)
    old = rng.normal(size=(8, 4))
    new = old[:, [2, 0, 3, 1]] + 5
    catalogues = (from_vectors(vectors, name="tags") for vectors in (new, old))
    motion = _motion(*catalogues, "max")
    np.testing.assert_allclose(motion.apply(new), old, atol=1e-5)


def test_summed_items_are_turned_about_nothing():
    rng = np.random.default_rng(0)
    old = rng.normal(size=(8, 3)) + 4
    new = old @ ortho_group.rvs(3, random_state=0)
    motion = _motion(*(from_vectors(v, name="tags") for v in (new, old)), "sum")
    assert not motion.shift.any()
    np.testing.assert_allclose(motion.apply(new), old, atol=1e-5)


def test_the_states_of_a_recurrent_unit_stay(tagged):
    X, y = tagged
    new, old = (make_listed(seed, "gru", hidden_layer_sizes=()).fit(X, y) for seed in (1, 0))
    aligned = align(new, old)
    states = [list(e.get_feature_names_out()).index("tags_0") for e in (new, aligned)]
    assert states == [0, 0]
    np.testing.assert_allclose(aligned.transform(X)[:, :3], new.transform(X)[:, :3], atol=1e-5)
    assert not np.allclose(aligned.embeddings_["tags"], new.embeddings_["tags"], atol=1e-3)
    assert aligned._model.pooling[0] is not new._model.pooling[0]


def test_a_column_of_lists_that_the_reference_lacks_stays(listed, tagged):
    X, y = tagged
    aligned = align(listed, make_encoder(dimensions=3).fit(X[["city"]], y))
    assert aligned._model.tables[0] is listed._model.tables[0]
    assert aligned._model.pooling[0] is listed._model.pooling[0]
