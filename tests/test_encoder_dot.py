"""The head of dot products through the whole life of the estimators."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import logit

from sk_entity_embed import (
    EntityEmbeddingClassifier,
    EntityEmbeddingEncoder,
    EntityEmbeddingRegressor,
)
from sk_entity_embed.exceptions import (
    InvalidDataError,
    InvalidParameterError,
)
from sk_entity_embed.input.vocabulary import UNKNOWN
from sk_entity_embed.learning import learn as learning
from sk_entity_embed.learning.crossfit import CrossFitting
from sk_entity_embed.model.heads import DotHead
from tests.list_samples import make_list_rows
from tests.samples import make_encoder

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


@pytest.mark.parametrize(("cross_fit", "dimensions"), [(True, "auto"), (False, 1)])
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


def test_within_bounds_and_of_counts_dots_add_up_before_the_link(ratings: Rows) -> None:
    X, y = ratings
    inside = np.clip(y, 0.5, 5.0)
    settings = {"head": "dot", **QUICK}
    model = EntityEmbeddingRegressor(y_range=(0.5, 5.0), **settings).fit(X, inside)
    rest = logit((model.predict(X) - 0.5) / 4.5) - plain_dots(model, X)
    np.testing.assert_allclose(rest, rest[0], atol=1e-5)
    model = EntityEmbeddingRegressor(loss="poisson", **settings).fit(X, 40 * np.exp(y / 3))
    rest = np.log(model.predict(X)) - plain_dots(model, X)
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


def test_lists_add_up_too() -> None:
    X, y = make_list_rows()
    X = X.drop(columns="size")
    model = EntityEmbeddingRegressor(head="dot", pooling="sum", **QUICK).fit(X, y)
    rest = model.predict(X) - plain_dots(model, X)
    np.testing.assert_allclose(rest, rest[0], atol=1e-4)
    assert set(model.biases_) == {"words", "color"}
    names = model.get_feature_names_out().tolist()
    assert names[model.dimensions_["words"]] == "words_bias"


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
    with pytest.raises(
        AttributeError,
        match="no biases_ with head='mlp'; use a head that has biases, such as head='dot'",
    ):
        _ = model.biases_
    assert not hasattr(make_dot(), "biases_")  # nothing before fit


# Cross-fitting -----------------------------------------------------------------------------


def test_folds_that_turned_apart_in_training_are_turned_together(
    rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    X, y = rows
    fold = np.arange(len(y)) % 3
    X = X.assign(letter=np.where((fold == 1) & (X["letter"] == "a"), "only here", X["letter"]))
    split = [(np.flatnonzero(fold != g), np.flatnonzero(fold == g)) for g in range(3)]
    original, random = learning.learn, np.random.default_rng(0)

    def turn_apart(tables: Any, training: Any, *args: Any) -> Any:
        """Turn all vectors of a fold alike, which changes no dot product within it."""
        result = original(tables, training, *args)
        roots = np.sqrt(result.head.axes)
        for g in range(3):
            rotation = np.linalg.qr(random.standard_normal((3, 3)))[0]
            for table in tables:
                table[g, :, :-1] = table[g, :, :-1] * roots @ rotation / roots
        seen = [UNKNOWN, *training.codes[0][fold != 1]]
        tables[0][1, np.setdiff1d(np.arange(tables[0].shape[1]), seen)] = 5  # never learned
        return result

    plain, turned = (make_dot(cv=split, max_iter=6, learning_rate_init=0.02) for _ in range(2))
    out = plain.fit_transform(X, y)
    monkeypatch.setattr(learning, "learn", turn_apart)
    np.testing.assert_allclose(turned.fit_transform(X, y), out, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(turned.transform(X), plain.transform(X), rtol=1e-3, atol=1e-3)


# Widths ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dimensions", "width"),
    [("auto", 2), (4, 4), ({"letter": 3, 1: 3}, 3), ({"color": 7}, 7)],  # others follow
)
def test_widths_are_equal(dimensions: Any, width: int, rows: Rows) -> None:
    model = make_dot(dimensions=dimensions).fit(*rows)
    assert model.dimensions_ == {"letter": width, "color": width}


@pytest.mark.parametrize("dimensions", [{"letter": 7, "color": 2}, "half"])
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


def test_frozen_vectors_stay_while_biases_learn(rows: Rows) -> None:
    X, y = rows
    vectors = given_vectors()
    encoder = make_dot(init={"color": vectors}, freeze=["color"], learning_rate_init=0.05)
    encoder.fit(X, y)
    np.testing.assert_array_equal(encoder.embeddings_["color"], vectors)
    assert (np.abs(encoder.biases_["color"]) > 1e-4).all()
    assert np.abs(encoder.embeddings_["letter"]).to_numpy().max() > 1e-3
    stack = encoder._model.tables[1].stack
    assert (stack[:, 3:, :-1] == vectors.to_numpy()).all()


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


# Unknown and missing -----------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["zero", "nan"])
def test_policies_for_unknown_categories_replace_the_bias_too(policy: str, rows: Rows) -> None:
    X, y = rows
    encoder = make_dot(handle_unknown=policy).fit(X, y)
    out = encoder.transform(X.iloc[:1].assign(letter="?"))
    np.testing.assert_array_equal(out[:, 4:], encoder.transform(X.iloc[:1])[:, 4:])
    np.testing.assert_array_equal(out[0, :4], 0.0 if policy == "zero" else np.nan)


def test_vectors_lead_back_to_their_categories(fitted: Any, rows: Rows) -> None:
    X, y = rows
    back = fitted.inverse_transform(fitted.transform(X))
    np.testing.assert_array_equal(back, X[["letter", "color"]].to_numpy())
    encoder = make_dot(max_iter=4)
    back = encoder.inverse_transform(encoder.fit_transform(X, y))
    np.testing.assert_array_equal(back, X[["letter", "color"]].to_numpy())


# Going on ----------------------------------------------------------------------------------


def test_warm_start_goes_on_from_every_table(rows: Rows) -> None:
    X, y = rows
    encoder = make_dot(warm_start=True, max_iter=4, y_range=(-9.0, 9.0)).fit(X, y)
    before, stack = encoder._model.raw(encoder._code(X)), encoder._model.tables[0].stack
    encoder.set_params(learning_rate_init=1e-9, max_iter=1).fit(X, y)
    np.testing.assert_allclose(encoder._model.raw(encoder._code(X)), before, atol=1e-4)
    np.testing.assert_allclose(encoder._model.tables[0].stack[:-1], stack[:-1], atol=1e-3)


@pytest.mark.parametrize(
    ("change", "name"),
    [({"head": "mlp"}, "head"), ({"y_range": (-20.0, 20.0)}, "y_range")],
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


@pytest.mark.parametrize(
    ("columns", "shown"), [(["letter", "size"], r"\['letter'\]"), (["size"], "none")]
)
def test_one_column_is_too_few(columns: Any, shown: str, rows: Rows) -> None:
    X, y = rows
    with pytest.raises(InvalidParameterError, match=f"two or more categorical.*X has {shown}"):
        EntityEmbeddingRegressor(head="dot", **QUICK).fit(X[columns], y)


@pytest.mark.parametrize("kind", ["outputs", "multiclass"])
def test_several_outputs_are_refused(kind: str, rows: Rows) -> None:
    X, y = rows
    target, n = np.column_stack([y, y]), 2
    if kind == "multiclass":
        target, n = np.digitize(y, [-1, 1]), 3
    with pytest.raises(InvalidParameterError, match=f"one output, but y has {n}; use head='mlp'"):
        make_dot().fit(X, target)


def test_lists_that_are_neither_averaged_nor_summed_are_refused() -> None:
    X, y = make_list_rows()
    for name, pooling in (("max", "max"), ("gru", {"words": "gru"})):
        message = f"'mean' or 'sum', but `pooling` is '{name}' for column 'words'"
        with pytest.raises(InvalidParameterError, match=message):
            make_dot(pooling=pooling).fit(X, y)


def test_there_is_no_hidden_layer_to_give(rows: Rows) -> None:
    with pytest.raises(InvalidParameterError, match=r"output='both'.*none with head='dot'"):
        make_dot(output="both").fit(*rows)


def test_a_column_called_like_a_bias_is_refused(rows: Rows) -> None:
    X, y = rows
    X = X.rename(columns={"size": "letter_bias"})
    with pytest.raises(InvalidDataError, match=r"share the names \['letter_bias'\]"):
        make_dot(remainder="passthrough").fit(X, y)
    assert make_encoder(remainder="passthrough").fit(X, y).n_features_in_ == 3


# Bounds ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("head", "y_range"), [("mlp", [0.5, 5]), ("dot", np.array([0.5, 5.0]))])
def test_predictions_stay_within_bounds(head: str, y_range: Any, ratings: Rows) -> None:
    X, y = ratings
    y = np.clip(y, 0.5, 5.0)
    model = EntityEmbeddingRegressor(head=head, y_range=y_range, **QUICK).fit(X, y)
    predicted = model.predict(X)
    assert ((predicted > 0.5) & (predicted < 5.0)).all()
    assert np.corrcoef(predicted, y)[0, 1] > 0.3
    free = EntityEmbeddingRegressor(head=head, **QUICK).fit(X, y)
    assert np.abs(free.predict(X) - predicted).max() > 1e-3


def test_losses_within_bounds_are_in_the_targets_units(ratings: Rows) -> None:
    X, y = ratings
    y = 100 * np.clip(y, 0.5, 5.0)
    model = EntityEmbeddingRegressor(y_range=(50, 500), **QUICK).fit(X, y)
    # each row is judged by the head of its own fold, and so it is in the output for stacking
    encoder = EntityEmbeddingEncoder(y_range=(50, 500), output="stacking", **QUICK)
    raw = encoder.fit_transform(X, y)[:, -1:].astype(np.float64)
    error = np.mean((encoder._model.link.predict(raw, encoder._model.scale)[:, 0] - y) ** 2)
    assert model.validation_loss_curve_.min() == pytest.approx(error, rel=0.05)
    assert np.mean((model.predict(X) - y) ** 2) < error


@pytest.mark.parametrize("make", [EntityEmbeddingRegressor, EntityEmbeddingEncoder])
def test_a_target_outside_its_bounds_is_shown(make: Any, ratings: Rows) -> None:
    X, y = ratings
    y = np.clip(y, 0.5, 5.0)
    y[7], y[11] = 5.25, -1.0
    message = r"y has 2 value\(s\) outside y_range=\(0\.5, 5\.0\), the first one 5\.25; widen"
    model = make(y_range=(0.5, 5), **QUICK)
    with pytest.raises(InvalidDataError, match=message):
        model.fit(X, y)
    assert vars(model).keys() == model.get_params().keys()


@pytest.mark.parametrize("y_range", [(1, 1), (1, 2, 3), (0, np.inf), ("a", "b"), (0, None)])
def test_bounds_that_are_none_are_refused(y_range: Any, ratings: Rows) -> None:
    with pytest.raises(InvalidParameterError, match="`y_range` must be two numbers"):
        EntityEmbeddingRegressor(y_range=y_range, **QUICK).fit(*ratings)


def test_classes_and_counts_have_no_bounds(ratings: Rows) -> None:
    X, y = ratings
    with pytest.raises(InvalidParameterError, match=r"`y_range` .* a multiclass target"):
        make_encoder(y_range=(0, 9)).fit(X, np.digitize(y, [2, 4]))
    assert "y_range" not in EntityEmbeddingClassifier().get_params()
    with pytest.raises(InvalidParameterError, match=r"`y_range`.*loss='poisson'"):
        EntityEmbeddingRegressor(loss="poisson", y_range=(0, 99), **QUICK).fit(X, np.exp(y))


# Starting well and going on ----------------------------------------------------------------


def strong_products(n: int) -> Rows:
    """Users and items whose products explain nearly all, with users' own levels."""
    random = np.random.default_rng(1)
    tastes, kinds = random.normal(size=(30, 2)), random.normal(size=(20, 2))
    user, item = random.integers(0, 30, n), random.integers(0, 20, n)
    X = pd.DataFrame({"user": [f"u{i}" for i in user], "item": [f"i{i}" for i in item]})
    return X, (tastes[user] * kinds[item]).sum(axis=1) + 0.3 * random.normal(size=n)


def test_few_rows_within_wide_bounds_are_learned_and_folds_share_an_orientation() -> None:
    X, y = strong_products(1000)
    y = np.clip(5 + y, 0, 10)
    model = EntityEmbeddingRegressor(head="dot", y_range=(0, 100), random_state=0)
    assert model.fit(X[:750], y[:750]).score(X[750:], y[750:]) > 0.75
    stack = model._model.tables[0].stack[:, 3:, :-1].astype(np.float64)
    mean = stack[-1]
    for vectors in stack[:-1]:
        assert np.sum(vectors * mean) > 0.8 * np.linalg.norm(vectors) * np.linalg.norm(mean)


def test_rare_clicks_are_predicted_as_rare() -> None:
    X, products = strong_products(600)
    random = np.random.default_rng(0)
    clicks = (random.uniform(size=600) < 1 / (1 + np.exp(4 - products))).astype(int)
    model = EntityEmbeddingClassifier(head="dot", random_state=0).fit(X, clicks)
    assert abs(model.predict_proba(X)[:, 1].mean() - clicks.mean()) < 0.02


@pytest.mark.parametrize(("head", "growth"), [("dot", 1.0), ("mlp", 2.0)])
def test_steps_of_dot_products_do_not_grow_with_the_rows_a_step(
    head: str, growth: float, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[float] = []
    original = CrossFitting.set_learning_rate

    def spy(self: CrossFitting, factor: float) -> None:
        original(self, factor)
        taken.append(self.table_optimizer.lr / factor)

    monkeypatch.setattr(CrossFitting, "set_learning_rate", spy)
    for batch_size in (16, 64):
        make_dot(head=head, batch_size=batch_size, max_iter=1).fit(*rows)
    assert taken[-1] / taken[0] == pytest.approx(growth)


def test_patience_does_not_end_the_training_of_dot_products_before_750_steps(rows: Rows) -> None:
    impatient = {"tol": 1e6, "n_iter_no_change": 1, "max_iter": 40, "batch_size": 8}  # 30 steps
    # a fifth of the iterations up to the best state follow, with smaller steps
    dot = make_dot(**impatient).fit(*rows)
    best = np.argmin(dot.validation_loss_curve_[:25]) + 1
    assert dot.n_iter_ == 25 + max(1, round(0.2 * best))
    assert make_dot(**impatient, head="mlp").fit(*rows).n_iter_ == 2 + 1


def test_canonical_coordinates_do_not_change_predictions() -> None:
    X, y = make_list_rows()
    vectors = pd.DataFrame(3.0 + np.eye(5, 3), index=list("abcde"))  # far from the origin
    settings = {"pooling": "sum", "init": {"words": vectors}, **QUICK}
    model = EntityEmbeddingRegressor(head="dot", **settings).fit(X, y)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DotHead, "canonical", lambda head, columns: head)
        as_learned = EntityEmbeddingRegressor(head="dot", **settings).fit(X, y)
    np.testing.assert_allclose(model.predict(X), as_learned.predict(X), rtol=1e-4, atol=1e-4)
    assert np.abs(model.transform(X) - as_learned.transform(X)).max() > 0.1


def test_the_center_of_what_is_beside_frozen_vectors_is_its_mean(rows: Rows) -> None:
    X, y = rows
    settings = {"init": {"color": given_vectors()}, "freeze": ["color"], "max_iter": 5}
    encoder = make_dot(handle_unknown="zero", learning_rate_init=0.05, **settings).fit(X, y)
    asked = pd.DataFrame({"letter": ["?"], "color": ["?"], "size": [0.0]})
    np.testing.assert_allclose(
        encoder.transform(asked)[0], encoder.transform(X).mean(axis=0), atol=1e-5
    )
