"""The head of dot products through the whole life of the estimators."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import logit
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

import sk_entity_embed.assembly as assembly
import sk_entity_embed.learning.learn as learning
from sk_entity_embed import (
    EntityEmbeddingClassifier,
    EntityEmbeddingEncoder,
    EntityEmbeddingRegressor,
)
from sk_entity_embed.exceptions import (
    InvalidDataError,
    InvalidParameterError,
    LeakageWarning,
)
from sk_entity_embed.head import DotHead
from sk_entity_embed.input.vocabulary import UNKNOWN
from tests.list_samples import make_list_rows
from tests.samples import make_encoder, make_rows, watch_learning

QUICK = {"max_iter": 3, "cv": 3, "random_state": 0, "learning_rate_init": 0.02}
Rows = tuple[pd.DataFrame, np.ndarray]


def make_ratings(n: int = 1500, seed: int = 0) -> Rows:
    """Users rate items by a product of two traits each, and biases."""
    random = np.random.default_rng(seed)
    users, items = random.normal(size=(20, 3)), random.normal(size=(15, 3))
    u, i = random.integers(20, size=n), random.integers(15, size=n)
    y = 3 + (users[u, :2] * items[i, :2]).sum(axis=1) + 0.5 * users[u, 2] + items[i, 2]
    X = pd.DataFrame({"user": [f"u{v:02}" for v in u], "item": [f"i{v:02}" for v in i]})
    return X, y + 0.1 * random.normal(size=n)


def make_dot(**params: Any) -> EntityEmbeddingEncoder:
    """A small encoder under dot products."""
    return make_encoder(**{"head": "dot", "dimensions": 3, **params})


def plain_dots(model: Any, X: Any) -> np.ndarray:
    """Dot products of all pairs of vectors and the biases, from ``transform`` alone."""
    out = np.asarray(model.transform(X), dtype=np.float64)
    width = next(iter(model.dimensions_.values()))
    blocks = out[:, : (width + 1) * len(model.dimensions_)].reshape(len(out), -1, width + 1)
    total = blocks[:, :, -1].sum(axis=1)
    for j in range(blocks.shape[1]):
        for k in range(j):
            total += (blocks[:, j, :-1] * blocks[:, k, :-1]).sum(axis=1)
    return total


@pytest.fixture(scope="module")
def ratings() -> Rows:
    return make_ratings()


@pytest.fixture(scope="module")
def fitted(rows: Rows) -> EntityEmbeddingEncoder:
    return make_dot(max_iter=4).fit(*rows)


# What the numbers mean ---------------------------------------------------------------------


@pytest.mark.parametrize("dimensions", ["auto", 1, 4])
@pytest.mark.parametrize("cross_fit", [True, False])
def test_dots_and_biases_are_the_prediction_but_for_a_constant(
    cross_fit: bool, dimensions: Any, ratings: Rows
) -> None:
    X, y = ratings
    model = EntityEmbeddingRegressor(
        head="dot", dimensions=dimensions, cross_fit=cross_fit, **QUICK
    ).fit(X, 50 * y)
    rest = model.predict(X) - plain_dots(model, X)
    np.testing.assert_allclose(rest, rest[0], rtol=1e-5)
    assert np.ptp(model.predict(X)) > 10
    asked = pd.DataFrame({"user": ["u01", "nobody", None], "item": ["nothing", "i03", "i04"]})
    np.testing.assert_allclose(model.predict(asked) - plain_dots(model, asked), rest[0], rtol=1e-5)


def test_three_columns_and_numbers_add_up_too(rows: Rows) -> None:
    X, y = rows
    X = X.assign(third=np.where(X["size"] > 0, "p", "q"))
    model = EntityEmbeddingRegressor(head="dot", **QUICK).fit(X, y)
    assert len(model.dimensions_) == 3
    same = X.assign(size=0.25)
    rest = model.predict(same) - plain_dots(model, same)
    np.testing.assert_allclose(rest, rest[0], atol=1e-4)
    # and numbers enter linearly, in their scaled form
    scaled = model._model.scaling.apply(X[["size"]].to_numpy())
    rest = model.predict(X) - plain_dots(model, X)
    weights = model._model.head.context_weights * y.std()
    np.testing.assert_allclose(np.ptp(rest - scaled @ weights), 0, atol=1e-4)
    assert np.ptp(rest) > 0.1


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "huber"])
def test_within_bounds_dots_add_up_before_the_sigmoid(loss: str, ratings: Rows) -> None:
    X, y = ratings
    y = np.clip(y, 0.5, 5.0)
    model = EntityEmbeddingRegressor(head="dot", y_range=(0.5, 5.0), loss=loss, **QUICK).fit(X, y)
    predicted = model.predict(X)
    assert ((predicted > 0.5) & (predicted < 5.0)).all()
    rest = logit((predicted - 0.5) / 4.5) - plain_dots(model, X)
    np.testing.assert_allclose(rest, rest[0], atol=1e-5)


def test_clicks_add_up_before_the_logit(ratings: Rows) -> None:
    X, y = ratings
    model = EntityEmbeddingClassifier(head="dot", **QUICK).fit(X, y > 3)
    rest = logit(model.predict_proba(X)[:, 1]) - plain_dots(model, X)
    np.testing.assert_allclose(rest, rest[0], atol=1e-5)
    np.testing.assert_allclose(
        model.decision_function(X) - plain_dots(model, X), rest[0], atol=1e-5
    )
    assert model.classes_.tolist() == [False, True]


def test_counts_add_up_before_the_logarithm(ratings: Rows) -> None:
    X, y = ratings
    model = EntityEmbeddingRegressor(head="dot", loss="poisson", **QUICK).fit(X, 40 * np.exp(y / 3))
    rest = np.log(model.predict(X)) - plain_dots(model, X)
    np.testing.assert_allclose(rest, rest[0], atol=1e-5)


@pytest.mark.parametrize("way", ["mean", "sum"])
def test_lists_add_up_too(way: str) -> None:
    X, y = make_list_rows()
    X = X.drop(columns="size")
    model = EntityEmbeddingRegressor(head="dot", pooling=way, **QUICK).fit(X, y)
    rest = model.predict(X) - plain_dots(model, X)
    np.testing.assert_allclose(rest, rest[0], atol=1e-4)
    assert set(model.biases_) == {"words", "color"}
    names = model.get_feature_names_out().tolist()
    assert names[model.dimensions_["words"]] == "words_bias"


@pytest.mark.parametrize("y_range", [None, (-30.0, 30.0)])
@pytest.mark.parametrize("way", ["mean", "sum"])
def test_canonical_coordinates_do_not_change_predictions(way: str, y_range: Any) -> None:
    X, y = make_list_rows()
    vectors = pd.DataFrame(3.0 + np.eye(5, 3), index=list("abcde"))  # far from the origin
    settings = {"pooling": way, "init": {"words": vectors}, "y_range": y_range, **QUICK}
    model = EntityEmbeddingRegressor(head="dot", **settings).fit(X, y)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(assembly, "canonicalise_dot", lambda stacks, _, head, **__: (stacks, head))
        as_learned = EntityEmbeddingRegressor(head="dot", **settings).fit(X, y)
    np.testing.assert_allclose(model.predict(X), as_learned.predict(X), rtol=1e-4, atol=1e-4)
    assert np.abs(model.transform(X) - as_learned.transform(X)).max() > 0.1


def test_vectors_and_biases_are_centred_and_axes_ordered(ratings: Rows) -> None:
    X, y = ratings
    model = EntityEmbeddingRegressor(head="dot", dimensions=4, **QUICK).fit(X, y)
    out = model.transform(X).astype(np.float64)
    np.testing.assert_allclose(out.mean(axis=0), 0, atol=1e-4)
    blocks = out.reshape(len(out), 2, 5)[:, :, :-1]
    covariance = sum(np.cov(blocks[:, j].T) for j in range(2))
    assert (np.diff(np.diag(covariance)) < 0).all()
    np.testing.assert_allclose(covariance, np.diag(np.diag(covariance)), atol=1e-4)


def test_products_of_traits_are_learned(ratings: Rows) -> None:
    X, y = ratings
    held, held_y = make_ratings(400, seed=0)  # of the same users and items
    settings = {"learning_rate_init": 4e-3, "random_state": 0, "max_iter": 40}
    model = EntityEmbeddingRegressor(head="dot", **settings).fit(X, y)
    assert model.score(held, held_y) > 0.7
    additive = EntityEmbeddingRegressor(hidden_layer_sizes=(), **settings).fit(X, y)
    assert model.score(held, held_y) > additive.score(held, held_y) + 0.2


def test_the_bias_is_the_last_output_and_no_axis(fitted: Any, rows: Rows) -> None:
    X, _ = rows
    names = ["letter_0", "letter_1", "letter_2", "letter_bias"]
    names += ["color_0", "color_1", "color_2", "color_bias"]
    assert fitted.get_feature_names_out().tolist() == names
    assert fitted.dimensions_ == {"letter": 3, "color": 3}
    frame = pd.DataFrame(fitted.transform(X), columns=names)
    assert list(fitted.biases_) == ["letter", "color"]
    for column in ("letter", "color"):
        biases, vectors = fitted.biases_[column], fitted.embeddings_[column]
        assert vectors.shape[1] == 3
        assert (biases.name, biases.index.name) == ("bias", column)
        np.testing.assert_array_equal(frame[f"{column}_bias"], biases.loc[X[column]])
        axes = frame[[f"{column}_{i}" for i in range(3)]]
        np.testing.assert_array_equal(axes, vectors.loc[X[column]])


def test_without_dot_products_there_are_no_biases(rows: Rows) -> None:
    model = make_encoder().fit(*rows)
    assert not hasattr(model, "biases_")
    with pytest.raises(AttributeError, match="biases_ under head='dot' only, not under 'mlp'"):
        _ = model.biases_
    assert not hasattr(make_dot(), "biases_")  # nothing before fit


# Cross-fitting -----------------------------------------------------------------------------


@pytest.mark.parametrize("with_lists", [False, True])
def test_training_rows_get_the_vectors_of_their_own_folds_tables(
    with_lists: bool, rows: Rows
) -> None:
    X, y = make_list_rows(full=True) if with_lists else rows
    encoder = make_dot(max_iter=4)
    out = encoder.fit_transform(X, y)
    first = X.columns[0]
    table = encoder._model.tables[0]
    lookup = dict(zip(table.vocabulary.categories, table.vocabulary.rows, strict=True))
    expected = [
        table.stack[fold, [lookup[v] for v in (cell if with_lists else [cell])]].mean(axis=0)
        for fold, cell in zip(encoder.fold_, X[first], strict=True)
    ]
    np.testing.assert_allclose(out[:, :4], expected, rtol=1e-5, atol=1e-6)
    assert np.abs(out - encoder.transform(X)).max() > 1e-4
    assert encoder._model.tables[0].stack.shape[0] == 6


def test_a_folds_table_never_learns_from_its_own_rows(rows: Rows) -> None:
    X, y = rows
    fold = np.arange(len(y)) % 3
    X = X.assign(letter=np.where(fold == 1, "only here", X["letter"]))
    split = [(np.flatnonzero(fold != g), np.flatnonzero(fold == g)) for g in range(3)]
    encoder = make_dot(cv=split, early_stopping=False, unknown_rate=0.0)
    (before, *_), (after, *_) = watch_learning(lambda: encoder.fit(X, y))
    vocabulary = encoder._model.tables[0].vocabulary
    row = vocabulary.rows[vocabulary.categories.tolist().index("only here")]
    np.testing.assert_array_equal(after[1, row], before[1, row])  # the bias among them
    assert (np.abs(after[[0, 2], row] - before[[0, 2], row]).max(axis=1) > 1e-5).all()
    table = encoder._model.tables[0].stack[1]
    np.testing.assert_array_equal(table[row], table[UNKNOWN])


def test_folds_that_turned_apart_in_training_are_turned_together(
    rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    X, y = rows
    fold = np.arange(len(y)) % 3
    X = X.assign(letter=np.where((fold == 1) & (X["letter"] == "a"), "only here", X["letter"]))
    split = [(np.flatnonzero(fold != g), np.flatnonzero(fold == g)) for g in range(3)]
    original, random = learning.learn, np.random.default_rng(0)

    def turn_apart(training: Any, start: Any, *args: Any, **options: Any) -> Any:
        """Turn all vectors of a fold alike, which changes no dot product within it."""
        learned = original(training, start, *args, **options)
        roots = np.sqrt(learned.head.axes)
        for g in range(3):
            rotation = np.linalg.qr(random.standard_normal((3, 3)))[0]
            for table in learned.tables:
                table[g, :, :-1] = table[g, :, :-1] * roots @ rotation / roots
        first = learned.tables[0]
        taught = [UNKNOWN, *training.codes[0][fold != 1]]
        first[1, np.setdiff1d(np.arange(first.shape[1]), taught)] = 5  # never learned: no part
        return learned

    plain, turned = (make_dot(cv=split, max_iter=6, learning_rate_init=0.02) for _ in range(2))
    out = plain.fit_transform(X, y)
    monkeypatch.setattr(learning, "learn", turn_apart)
    np.testing.assert_allclose(turned.fit_transform(X, y), out, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(turned.transform(X), plain.transform(X), rtol=1e-3, atol=1e-3)


def test_neither_vectors_nor_biases_hear_their_rows_targets() -> None:
    random = np.random.default_rng(0)
    names = random.integers(0, 150, size=(600, 2)).astype(str)
    X, y = pd.DataFrame(names, columns=["p", "q"]), random.normal(size=600)
    scores = {}
    for cross_fit in (True, False):
        encoder = make_dot(
            cross_fit=cross_fit, early_stopping=False, max_iter=15, learning_rate_init=0.05
        )
        out = encoder.fit_transform(X, y)
        scores[cross_fit] = np.corrcoef(out[:, 3] + out[:, 7], y)[0, 1]
    assert abs(scores[True]) < 0.2
    assert scores[False] > 0.4


# Widths ------------------------------------------------------------------------------------


def test_automatic_widths_are_those_of_the_second_largest_column(ratings: Rows, rows: Rows) -> None:
    assert make_dot(dimensions="auto").fit(*ratings).dimensions_ == {"user": 8, "item": 8}
    assert make_dot(dimensions="auto").fit(*rows).dimensions_ == {"letter": 2, "color": 2}


@pytest.mark.parametrize("dimensions", [2, {"letter": 2, "color": 2}, {0: 2, 1: 2}, lambda n: 2])
def test_widths_may_be_given_if_they_are_equal(dimensions: Any, rows: Rows) -> None:
    assert make_dot(dimensions=dimensions).fit(*rows).dimensions_ == {"letter": 2, "color": 2}


def test_widths_left_open_follow_those_given(rows: Rows) -> None:
    assert make_dot(dimensions={"color": 7}).fit(*rows).dimensions_ == {"letter": 7, "color": 7}


@pytest.mark.parametrize("dimensions", [{"letter": 7, "color": 2}, "half", "fastai", lambda n: n])
def test_unequal_widths_are_refused(dimensions: Any, rows: Rows) -> None:
    message = r"`dimensions` gives \{'letter': \d, 'color': \d\}; use one number"
    with pytest.raises(InvalidParameterError, match=message):
        make_dot(dimensions=dimensions).fit(*rows)


# First vectors -----------------------------------------------------------------------------


def given_vectors(width: int = 3) -> pd.DataFrame:
    """Vectors of the colors."""
    random = np.random.default_rng(0)
    colors = ["blue", "green", "red"]
    return pd.DataFrame(random.normal(size=(3, width)).astype("f4"), index=colors)


@pytest.mark.parametrize("cross_fit", [True, False])
def test_frozen_vectors_stay_while_biases_learn(cross_fit: bool, rows: Rows) -> None:
    X, y = rows
    vectors = given_vectors()
    encoder = make_dot(
        init={"color": vectors}, freeze=["color"], cross_fit=cross_fit, learning_rate_init=0.05
    )
    encoder.fit(X, y)
    np.testing.assert_array_equal(encoder.embeddings_["color"], vectors)
    assert (np.abs(encoder.biases_["color"]) > 1e-4).all()
    assert np.abs(encoder.embeddings_["letter"]).to_numpy().max() > 1e-3
    stack = encoder._model.tables[1].stack
    assert (stack[:, 3:, :-1] == vectors.to_numpy()).all()


def test_the_centre_of_what_is_beside_frozen_vectors_is_its_mean(rows: Rows) -> None:
    X, y = rows
    settings = {"init": {"color": given_vectors()}, "freeze": ["color"], "max_iter": 5}
    encoder = make_dot(handle_unknown="zero", learning_rate_init=0.05, **settings).fit(X, y)
    asked = pd.DataFrame({"letter": ["?"], "color": ["?"], "size": [0.0]})
    np.testing.assert_allclose(
        encoder.transform(asked)[0], encoder.transform(X).mean(axis=0), atol=1e-5
    )


def test_given_vectors_decide_the_width_of_all(rows: Rows) -> None:
    X, y = rows
    encoder = make_dot(init={"color": given_vectors(4)}, dimensions="auto").fit(X, y)
    assert encoder.dimensions_ == {"letter": 4, "color": 4}
    with pytest.raises(InvalidParameterError, match=r"init\['color'\]. has 2 columns"):
        make_dot(init={"color": given_vectors(2)}, dimensions=3).fit(X, y)
    letters = pd.DataFrame(np.eye(5), index=list("abcde"))
    encoder = make_dot(init={"color": given_vectors(2), "letter": letters}, dimensions="auto")
    with pytest.raises(InvalidParameterError, match=r"equal width.*'letter': 5, 'color': 2"):
        encoder.fit(X, y)


def test_given_vectors_that_are_not_frozen_are_a_start(rows: Rows) -> None:
    encoder = make_dot(init={"color": given_vectors()}, learning_rate_init=1e-9, max_iter=1)
    encoder.fit(*rows)
    before, after = given_vectors().to_numpy(), encoder.embeddings_["color"].to_numpy()

    def distances(vectors: np.ndarray) -> np.ndarray:
        return np.linalg.norm(vectors[:, None] - vectors[None], axis=2)

    ratio = distances(after)[0, 1:] / distances(before)[0, 1:]
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-4)


# Unknown and missing -----------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["learned", "zero", "nan", "error"])
def test_every_policy_for_unknown_categories(policy: str, rows: Rows) -> None:
    X, y = rows
    encoder = make_dot(handle_unknown=policy, max_iter=4).fit(X, y)
    asked = X.iloc[:2].assign(letter=["?", "a"])
    if policy == "error":
        with pytest.raises(InvalidDataError, match=r"column 'letter': 1 row\(s\).*'\?'"):
            encoder.transform(asked)
        return
    out = encoder.transform(asked)
    np.testing.assert_array_equal(out[:, 4:], encoder.transform(X.iloc[:2])[:, 4:])
    vector = out[0, :4]
    if policy == "nan":
        assert np.isnan(vector).all()
    elif policy == "zero":  # the centre, which canonical coordinates put there
        assert (vector == 0).all()
    else:
        np.testing.assert_array_equal(vector, encoder._model.tables[0].vectors[UNKNOWN])


def test_missing_and_rare_categories_have_biases(rows: Rows) -> None:
    X, y = rows
    letter = X["letter"].astype(object)
    letter[:10], letter[10] = None, "rare"
    encoder = make_dot(min_frequency=2).fit(X.assign(letter=letter), y)
    biases = encoder.biases_["letter"]
    assert biases.index.tolist()[:-1] == ["a", "b", "c", "d", "e", "rare"]
    assert np.isnan(biases.index.tolist()[-1])
    assert np.isfinite(biases).all()


def test_vectors_lead_back_to_their_categories(fitted: Any, rows: Rows) -> None:
    X, y = rows
    back = fitted.inverse_transform(fitted.transform(X))
    np.testing.assert_array_equal(back, X[["letter", "color"]].to_numpy())
    encoder = make_dot(max_iter=4)
    back = encoder.inverse_transform(encoder.fit_transform(X, y))
    np.testing.assert_array_equal(back, X[["letter", "color"]].to_numpy())


# Weights and parameters --------------------------------------------------------------------


def test_rows_of_zero_weight_are_left_out_and_weights_count(ratings: Rows) -> None:
    X, y = ratings
    weights = (np.arange(len(y)) % 3 > 0).astype(float)
    kept = weights > 0
    model = EntityEmbeddingRegressor(head="dot", **QUICK)
    expected = clone(model).fit(X[kept], y[kept]).predict(X)
    np.testing.assert_array_equal(model.fit(X, y, sample_weight=weights).predict(X), expected)
    heavy = np.where(y > 3, 20.0, 1.0)
    assert clone(model).fit(X, y, sample_weight=heavy).predict(X).mean() > expected.mean() + 0.3


def test_hidden_layers_have_no_part_in_it(rows: Rows) -> None:
    one = make_dot(hidden_layer_sizes=(4,)).fit_transform(*rows)
    other = make_dot(hidden_layer_sizes=()).fit_transform(*rows)
    np.testing.assert_array_equal(one, other)


def test_clones_pickles_searches_and_pipelines(rows: Rows) -> None:
    X, y = rows
    model = EntityEmbeddingRegressor(head="dot", y_range=(-9, 9), **QUICK)
    assert clone(model).get_params() == model.get_params()
    assert model.get_params()["y_range"] == (-9, 9)
    model.fit(X, y)
    kept = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(kept.predict(X), model.predict(X))
    assert kept.biases_["letter"].equals(model.biases_["letter"])
    pipeline = make_pipeline(make_dot(max_iter=1), Ridge()).fit(X, y)
    assert pipeline.predict(X[:3]).shape == (3,)
    search = GridSearchCV(model.set_params(max_iter=1), {"head": ["mlp", "dot"]}, cv=2).fit(X, y)
    assert search.best_params_["head"] in ("mlp", "dot")
    named = make_dot().set_output(transform="pandas").fit_transform(X, y)
    assert named.columns[3] == "letter_bias"


def test_two_fits_are_the_same_and_another_seed_is_not(rows: Rows) -> None:
    one, other = (make_dot(random_state=s).fit_transform(*rows) for s in (0, 0))
    assert one.tobytes() == other.tobytes()
    assert one.tobytes() != make_dot(random_state=1).fit_transform(*rows).tobytes()


# Going on ----------------------------------------------------------------------------------


@pytest.mark.parametrize("y_range", [None, (-9.0, 9.0)])
def test_warm_start_goes_on_from_every_table(y_range: Any, rows: Rows) -> None:
    X, y = rows
    encoder = make_dot(warm_start=True, max_iter=4, y_range=y_range).fit(X, y)
    before, stack = encoder._model.raw(encoder._code(X)), encoder._model.tables[0].stack
    encoder.set_params(learning_rate_init=1e-9, max_iter=1).fit(X, y)
    np.testing.assert_allclose(encoder._model.raw(encoder._code(X)), before, atol=1e-4)
    np.testing.assert_allclose(encoder._model.tables[0].stack[:-1], stack[:-1], atol=1e-3)


def test_warm_start_gets_better_on_the_same_rows(ratings: Rows) -> None:
    X, y = ratings
    model = EntityEmbeddingRegressor(head="dot", warm_start=True, **QUICK).fit(X, y)
    before = model.validation_loss_curve_.min()
    model.set_params(max_iter=10).fit(X, y)
    assert model.validation_loss_curve_.min() < before


def test_warm_start_on_other_rows_warns_and_starts_from_the_mean_table(rows: Rows) -> None:
    X, y = rows
    encoder = make_dot(warm_start=True, max_iter=4).fit(X, y)
    before = encoder._model.raw(encoder._code(X))
    other, target = make_rows(200, seed=3)
    other["letter"] = other["letter"].where(other.index > 3, "new")
    with pytest.warns(LeakageWarning, match="other rows"):
        encoder.set_params(learning_rate_init=1e-9, max_iter=1).fit(other, target)
    assert "new" in encoder.biases_["letter"].index
    np.testing.assert_allclose(encoder._model.raw(encoder._code(X)), before, atol=1e-3)


def test_warm_start_freezes_the_same_vectors_again(rows: Rows) -> None:
    vectors = given_vectors()
    encoder = make_dot(
        warm_start=True, init={"color": vectors}, freeze=["color"], learning_rate_init=0.05
    )
    encoder.fit(*rows)
    biases = encoder.biases_["color"]
    encoder.fit(*rows)
    np.testing.assert_array_equal(encoder.embeddings_["color"], vectors)
    assert not encoder.biases_["color"].equals(biases)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"head": "mlp"}, "head"),
        ({"dimensions": 2}, "dimensions"),
        ({"y_range": (-20.0, 20.0)}, "y_range"),
    ],
)
def test_warm_start_refuses_another_network(change: Any, name: str, rows: Rows) -> None:
    encoder = make_dot(warm_start=True).fit(*rows)
    with pytest.raises(InvalidParameterError, match=f"`{name}`.*warm_start=False"):
        encoder.set_params(**change).fit(*rows)
    encoder.set_params(warm_start=False).fit(*rows)


def test_warm_start_does_not_mind_hidden_layers_it_has_not(rows: Rows) -> None:
    encoder = make_dot(warm_start=True).fit(*rows)
    assert encoder.set_params(hidden_layer_sizes=(9,)).fit(*rows).n_iter_ > 0


# Refusals ----------------------------------------------------------------------------------


@pytest.mark.parametrize("cls", [EntityEmbeddingRegressor, EntityEmbeddingClassifier])
@pytest.mark.parametrize(
    ("columns", "shown"), [(["letter"], r"\['letter'\]"), (["letter", "size"], r"\['letter'\]")]
)
def test_one_column_is_too_few(columns: Any, shown: str, cls: Any, rows: Rows) -> None:
    X, y = rows
    with pytest.raises(InvalidParameterError, match=f"two or more categorical.*there is {shown}"):
        cls(head="dot", **QUICK).fit(X[columns], (y > 0).astype(int))


def test_no_column_is_too_few(rows: Rows) -> None:
    X, y = rows
    with pytest.raises(InvalidParameterError, match=r"two or more categorical.*there is none"):
        EntityEmbeddingRegressor(head="dot", **QUICK).fit(X[["size"]], y)


@pytest.mark.parametrize("kind", ["outputs", "multiclass", "multilabel"])
def test_several_outputs_are_refused(kind: str, rows: Rows) -> None:
    X, y = rows
    target, n = {
        "outputs": (np.column_stack([y, y]), 2),
        "multiclass": (np.digitize(y, [-1, 1]), 3),
        "multilabel": (np.column_stack([y > 0, y > 1]).astype(int), 2),
    }[kind]
    with pytest.raises(InvalidParameterError, match=f"one output, but y has {n}; use head='mlp'"):
        make_dot().fit(X, target)


@pytest.mark.parametrize("way", ["max", "gru"])
def test_lists_that_are_neither_averaged_nor_summed_are_refused(way: str) -> None:
    X, y = make_list_rows()
    message = f"'mean' or 'sum', but `pooling` is '{way}' for column 'words'"
    for pooling in (way, {"words": way}, {0: way}):
        with pytest.raises(InvalidParameterError, match=message):
            make_dot(pooling=pooling).fit(X, y)


@pytest.mark.parametrize("output", ["hidden", "both"])
def test_there_is_no_hidden_layer_to_give(output: str, rows: Rows) -> None:
    with pytest.raises(InvalidParameterError, match=f"output='{output}'.*but head='dot'"):
        make_dot(output=output).fit(*rows)


def test_a_column_called_like_a_bias_is_refused(rows: Rows) -> None:
    X, y = rows
    X = X.rename(columns={"size": "letter_bias"})
    with pytest.raises(InvalidDataError, match=r"share the names \['letter_bias'\]"):
        make_dot(remainder="passthrough").fit(X, y)
    assert make_encoder(remainder="passthrough").fit(X, y).n_features_in_ == 3


# Bounds ------------------------------------------------------------------------------------


@pytest.mark.parametrize("head", ["mlp", "dot"])
@pytest.mark.parametrize("y_range", [(0.5, 5.0), [0.5, 5], np.array([0.5, 5.0])])
def test_predictions_stay_within_bounds(y_range: Any, head: str, ratings: Rows) -> None:
    X, y = ratings
    y = np.clip(y, 0.5, 5.0)
    model = EntityEmbeddingRegressor(head=head, y_range=y_range, **QUICK).fit(X, y)
    predicted = model.predict(X)
    assert ((predicted > 0.5) & (predicted < 5.0)).all()
    assert np.corrcoef(predicted, y)[0, 1] > 0.3
    free = EntityEmbeddingRegressor(head=head, **QUICK).fit(X, y)
    assert np.abs(free.predict(X) - predicted).max() > 1e-3


def test_bounds_hold_for_several_outputs(ratings: Rows) -> None:
    X, y = ratings
    targets = np.column_stack([np.clip(y, 0, 5), 5 - np.clip(y, 0, 5)])
    model = EntityEmbeddingRegressor(y_range=(0, 5), **QUICK).fit(X, targets)
    predicted = model.predict(X)
    assert predicted.shape == targets.shape
    assert ((predicted > 0) & (predicted < 5)).all()
    assert np.corrcoef(predicted[:, 1], targets[:, 1])[0, 1] > 0.3


def test_losses_within_bounds_are_in_the_targets_units(ratings: Rows) -> None:
    X, y = ratings
    y = 100 * np.clip(y, 0.5, 5.0)
    model = EntityEmbeddingRegressor(y_range=(50, 500), **QUICK).fit(X, y)
    error = np.mean((model.predict(X) - y) ** 2)
    assert 0.5 < model.validation_loss_curve_.min() / error < 2


@pytest.mark.parametrize("make", [EntityEmbeddingRegressor, EntityEmbeddingEncoder])
@pytest.mark.parametrize("head", ["mlp", "dot"])
def test_a_target_outside_its_bounds_is_shown(head: str, make: Any, ratings: Rows) -> None:
    X, y = ratings
    y = np.clip(y, 0.5, 5.0)
    y[7], y[11] = 5.25, -1.0
    message = r"y has 2 value\(s\) outside y_range=\(0\.5, 5\.0\), the first one 5\.25; widen"
    model = make(head=head, y_range=(0.5, 5), **QUICK)
    with pytest.raises(InvalidDataError, match=message):
        model.fit(X, y)
    assert vars(model).keys() == model.get_params().keys()


@pytest.mark.parametrize(
    "y_range", [(5, 0.5), (1, 1), (1,), (1, 2, 3), (0, np.inf), (np.nan, 1), ("a", "b"), (0, None)]
)
def test_bounds_that_are_none_are_refused(y_range: Any, ratings: Rows) -> None:
    with pytest.raises(InvalidParameterError, match="`y_range` must be two numbers"):
        EntityEmbeddingRegressor(y_range=y_range, **QUICK).fit(*ratings)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (lambda y: y > 3, "binary target"),
        (lambda y: np.digitize(y, [2, 4]), "multiclass target"),
        (lambda y: np.column_stack([y > 2, y > 4]).astype(int), "multilabel-indicator target"),
    ],
)
def test_classes_have_no_bounds(target: Any, message: str, ratings: Rows) -> None:
    X, y = ratings
    with pytest.raises(InvalidParameterError, match=f"`y_range` squashes .* {message}"):
        make_encoder(y_range=(0, 9)).fit(X, target(y))
    assert "y_range" not in EntityEmbeddingClassifier().get_params()


@pytest.mark.parametrize("make", [EntityEmbeddingRegressor, EntityEmbeddingEncoder])
def test_counts_have_no_bounds(make: Any, ratings: Rows) -> None:
    X, y = ratings
    with pytest.raises(InvalidParameterError, match=r"`y_range`.*loss='poisson'"):
        make(loss="poisson", y_range=(0, 99), **QUICK).fit(X, np.exp(y))


def test_the_fitted_head_is_numpy(fitted: Any) -> None:
    head = fitted._model.head
    assert isinstance(head, DotHead)
    assert head.axes.dtype == head.bias_weights.dtype == np.float64


# Starting well and going on ----------------------------------------------------------------


def strong_products(n: int) -> Rows:
    """Users and items whose products explain nearly all, with users' own levels."""
    random = np.random.default_rng(1)
    tastes, kinds = random.normal(size=(30, 2)), random.normal(size=(20, 2))
    user, item = random.integers(0, 30, n), random.integers(0, 20, n)
    X = pd.DataFrame({"user": [f"u{i}" for i in user], "item": [f"i{i}" for i in item]})
    return X, (tastes[user] * kinds[item]).sum(axis=1) + 0.3 * random.normal(size=n)


def test_few_rows_are_learned_and_folds_share_an_orientation() -> None:
    X, y = strong_products(1000)
    model = EntityEmbeddingRegressor(head="dot", random_state=0).fit(X[:750], y[:750])
    assert model.score(X[750:], y[750:]) > 0.8
    stack = model._model.tables[0].stack[:, 3:, :-1].astype(np.float64)
    mean = stack[-1]
    for vectors in stack[:-1]:
        assert np.sum(vectors * mean) > 0.8 * np.linalg.norm(vectors) * np.linalg.norm(mean)


def test_rare_clicks_are_predicted_as_rare() -> None:
    X, products = strong_products(1000)
    random = np.random.default_rng(0)
    clicks = (random.uniform(size=1000) < 1 / (1 + np.exp(4 - products))).astype(int)
    model = EntityEmbeddingClassifier(head="dot", random_state=0).fit(X, clicks)
    assert abs(model.predict_proba(X)[:, 1].mean() - clicks.mean()) < 0.02


def test_patience_does_not_end_the_training_of_dot_products_before_750_steps(rows: Rows) -> None:
    impatient = {"tol": 1e6, "n_iter_no_change": 1, "max_iter": 40, "batch_size": 8}  # 30 steps
    assert make_dot(**impatient).fit(*rows).n_iter_ == 25
    assert make_dot(**impatient, head="mlp").fit(*rows).n_iter_ == 2


@pytest.mark.parametrize("head", ["dot", "mlp"])
def test_bounds_far_from_the_target_cost_little(head: str) -> None:
    X, y = strong_products(1000)
    y = np.clip(5 + y, 0, 10)
    model = EntityEmbeddingRegressor(head=head, y_range=(0, 100), random_state=0)
    assert model.fit(X[:750], y[:750]).score(X[750:], y[750:]) > 0.75


@pytest.mark.parametrize("unit", [1e-4, 1.0, 1e7])
def test_going_on_does_not_depend_on_the_units_of_y(unit: float) -> None:
    X, y = strong_products(600)
    settings = {"dimensions": 4, "early_stopping": False, "max_iter": 80, "random_state": 0}
    model = EntityEmbeddingRegressor(head="dot", warm_start=True, **settings).fit(X, y * unit)
    before = model.loss_curve_[-1]
    model.fit(X, y * unit)
    assert model.loss_curve_.max() < 1.6 * before  # steps start large again
    assert model.score(X, y * unit) > 0.5
