"""Columns of lists through the whole life of an encoder."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.preprocessing import TargetEncoder

from sk_entity_embed import EntityEmbeddingEncoder
from sk_entity_embed.exceptions import InvalidDataError, InvalidParameterError, LeakageWarning
from sk_entity_embed.input.vocabulary import MISSING, UNKNOWN
from sk_entity_embed.model.poolings import GRU, POOLINGS
from tests.list_samples import Rows, make_list_rows, objects, with_words
from tests.samples import make_encoder, make_rows, of_own_heads, watch_learning

LISTED = [["a", "b"], ["c"], [], ["e", "e", "d", "a"], None, ["b", None]]


@pytest.fixture(scope="module")
def list_rows() -> Rows:
    return make_list_rows()


@pytest.fixture(scope="module")
def encoder(list_rows: Rows) -> EntityEmbeddingEncoder:
    """A fitted encoder."""
    return make_encoder(max_iter=3).fit(*list_rows)


def codes_of(encoder: EntityEmbeddingEncoder, cell: Any) -> list[int]:
    """Table rows of a list's items, item by item."""
    vocabulary = encoder._model.tables[0].vocabulary
    known = dict(zip(vocabulary.categories, vocabulary.rows.tolist(), strict=True))
    if cell is None:
        return [vocabulary.missing_row]
    if len(cell) == 0:
        return [vocabulary.empty_row]
    return [vocabulary.missing_row if v is None else known.get(v, UNKNOWN) for v in cell]


def pooled(encoder: EntityEmbeddingEncoder, table: np.ndarray, cell: Any) -> np.ndarray:
    """The vector of a list from a table, in a loop."""
    vectors = table[codes_of(encoder, cell)].astype(np.float64)
    gru = encoder._model.poolings[0]
    if not isinstance(gru, GRU):
        return {"mean": np.mean, "sum": np.sum, "max": np.max}[gru.name](vectors, axis=0)
    n = gru.n_state
    state = np.zeros(n)
    for vector in vectors:
        given = vector @ gru.input_weights + gru.input_bias
        kept = state @ gru.hidden_weights + gru.hidden_bias
        reset, update = np.split(1 / (1 + np.exp(-given[: 2 * n] - kept[: 2 * n])), 2)
        new = np.tanh(given[2 * n :] + reset * kept[2 * n :])
        state = (1 - update) * new + update * state
    return state


def words_of(encoder: EntityEmbeddingEncoder, X: pd.DataFrame) -> np.ndarray:
    """The part of ``transform`` that belongs to the lists."""
    return encoder.transform(X)[:, : encoder.dimensions_["words"]]


# What comes out ----------------------------------------------------------------------------


@pytest.mark.parametrize("pooling", POOLINGS)
def test_lists_are_pooled_from_the_mean_table_and_training_rows_from_their_own_folds(
    pooling: str, list_rows: Rows
) -> None:
    X, y = list_rows
    encoder = make_encoder(pooling=pooling, output="both", max_iter=4)
    out = encoder.fit_transform(X, y)
    table, width = encoder._model.tables[0], encoder.dimensions_["words"]
    expected = [
        pooled(encoder, table.stack[fold], cell)
        for fold, cell in zip(encoder.fold_, X["words"], strict=True)
    ]
    np.testing.assert_allclose(out[:, :width], expected, rtol=1e-5, atol=1e-6)
    assert np.abs(out - encoder.transform(X)).max() > 1e-3
    edges = encoder._model.edges[-1]
    scaled = encoder._model.scaling.apply(X[["size"]].to_numpy())
    hidden = of_own_heads("hidden", encoder._model.head, out[:, :edges], scaled, encoder.fold_)
    np.testing.assert_allclose(out[:, edges:], hidden, rtol=1e-4, atol=1e-5)

    asked = with_words(X, [*LISTED, ["zzz"], ["a", "zzz"]])
    expected = [pooled(encoder, table.vectors, cell) for cell in asked["words"]]
    np.testing.assert_allclose(words_of(encoder, asked), expected, rtol=1e-5, atol=1e-6)
    names = encoder.get_feature_names_out().tolist()
    assert names[:width] == [f"words_{i}" for i in range(width)]


def test_a_folds_table_never_learns_from_items_of_its_own_rows() -> None:
    X, y = make_list_rows(full=True)
    fold = np.arange(len(y)) % 3
    lists = [[*cell, "here"] if f == 1 else cell for cell, f in zip(X["words"], fold, strict=True)]
    split = [(np.flatnonzero(fold != g), np.flatnonzero(fold == g)) for g in range(3)]
    encoder = make_encoder(
        pooling="gru", cv=split, unknown_rate=0.0, dropout=0.0, early_stopping=False, max_iter=3
    )
    given = X.assign(words=objects(lists))
    (before, *_), (after, *_) = watch_learning(lambda: encoder.fit(given, y))
    row = codes_of(encoder, ["here"])[0]
    np.testing.assert_array_equal(after[1, row], before[1, row])
    assert (np.abs(after[[0, 2], row] - before[[0, 2], row]).max(axis=1) > 1e-4).all()
    table = encoder._model.tables[0].stack[1]  # where the item is served as unknown
    np.testing.assert_array_equal(table[row], table[UNKNOWN])


def test_lists_of_one_item_are_learned_as_single_values_are() -> None:
    X, y = make_rows(200)
    lists = X.drop(columns="color").assign(letter=objects([[v] for v in X["letter"]]))
    plain = X.drop(columns="color")
    settings = {"max_iter": 3, "unknown_rate": 0.1, "output": "both"}
    expected = make_encoder(**settings).fit_transform(plain, y)
    found = make_encoder(**settings).fit_transform(lists, y)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


# Empty, missing and unknown ----------------------------------------------------------------


def test_empty_lists_have_a_vector_of_their_own_where_fit_saw_one(list_rows: Rows) -> None:
    X, y = list_rows
    empty, unknown = with_words(X, [[]]), with_words(X, [["zzz"]])
    seen = make_encoder().fit(X, y)
    assert np.abs(seen.transform(empty) - seen.transform(unknown)).max() > 1e-6
    full, y = make_list_rows(full=True)
    unseen = make_encoder().fit(full, y)
    out = words_of(unseen, with_words(X, [None, [None], ["zzz"], []]))
    assert (out == out[0]).all()  # missing ones, too
    assert "()" not in str(seen.categories_["words"])


def test_a_missing_list_is_a_list_of_one_missing_item(encoder: Any, list_rows: Rows) -> None:
    X = list_rows[0]
    missing = [None, [None], np.nan, [np.nan], pd.NA]
    out = words_of(encoder, with_words(X, missing))
    assert (out == out[0]).all()
    row = encoder._model.tables[0].vocabulary.missing_row
    assert row == MISSING
    assert encoder.category_counts_["words"][-1] == 40
    unknown = words_of(encoder, with_words(X, [["zzz"]]))
    assert np.abs(out[0] - unknown[0]).max() > 1e-6


def test_a_column_of_missing_lists_is_no_error_in_transform(encoder: Any, list_rows: Rows) -> None:
    X = list_rows[0].iloc[:3]
    out = encoder.transform(X.assign(words=None))
    np.testing.assert_array_equal(out, encoder.transform(with_words(X, [None] * 3)))


@pytest.mark.parametrize("pooling", ["max", "gru"])
def test_unknown_items_may_become_zero_or_nan(pooling: str, list_rows: Rows) -> None:
    X, y = list_rows
    asked = with_words(X, [["a", "zzz"], ["a", "b"], ["zzz"]])
    settings = {"pooling": pooling, "output": "both"}
    learned = make_encoder(**settings).fit(X, y)
    width, edge = learned.dimensions_["words"], learned._model.edges[-1]
    expected = learned.transform(asked)
    nan = make_encoder(handle_unknown="nan", **settings).fit(X, y).transform(asked)
    assert np.isnan(nan[[0, 2], :width]).all()
    np.testing.assert_array_equal(nan[1], expected[1])
    np.testing.assert_array_equal(nan[:, width:], expected[:, width:])
    zero = make_encoder(handle_unknown="zero", **settings).fit(X, y)
    table = zero._model.tables[0]
    items = [row for cell in X["words"] for row in codes_of(zero, cell)]
    center = table.vectors[items].mean(axis=0)
    vectors = table.vectors.copy()
    vectors[UNKNOWN] = center
    found = zero.transform(asked)
    for row, cell in enumerate(asked["words"]):
        np.testing.assert_allclose(
            found[row, :width], pooled(zero, vectors, cell), rtol=1e-4, atol=1e-5
        )
    assert np.abs(found[0] - expected[0])[:width].max() > 1e-7
    np.testing.assert_array_equal(found[:, edge:], expected[:, edge:])  # of the trained one


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ([["a"], ["b", "zzz"], ["yyy"]], r"column 'words': 2 row\(s\), the first one 'zzz'"),
        ([["a"], []], "the first one an empty list"),
        ([None, ["a"]], "the first one a missing list"),
        ([["a", None], ["a"]], "the first one a missing value"),
    ],
)
def test_unknown_items_may_be_an_error(cells: Any, message: str) -> None:
    X, y = make_list_rows(full=True)
    encoder = make_encoder(handle_unknown="error").fit(X, y)
    with pytest.raises(InvalidDataError, match=f"unknown categories in {message}|{message}"):
        encoder.transform(with_words(X, cells))
    assert encoder.transform(with_words(X, [["a", "b"], ["e"]])).shape[0] == 2


@pytest.mark.parametrize("cell", [None, ["a", None]])
def test_missing_may_be_an_error(cell: Any) -> None:
    X, y = make_list_rows(full=True)
    X.at[3, "words"] = []  # which is not missing
    encoder = make_encoder(handle_missing="error").fit(X, y)
    message = r"Column 'words' has 1 missing value\(s\) and handle_missing='error'"
    bad = with_words(X, [["a"], cell, []])
    with pytest.raises(InvalidDataError, match=message):
        encoder.transform(bad)
    with pytest.raises(InvalidDataError, match=message):
        make_encoder(handle_missing="error").fit(pd.concat([X, bad[1:2]]), np.append(y, 0.5))
    assert encoder.transform(with_words(X, [["a"], []])).shape[0] == 2


# Items -------------------------------------------------------------------------------------


def test_categories_and_counts_are_those_of_items(encoder: Any, list_rows: Rows) -> None:
    items = [v for cell in list_rows[0]["words"] for v in ([None] if cell is None else cell)]
    counts = pd.Series(items, dtype=object).value_counts(dropna=False)
    assert encoder.categories_["words"][:-1].tolist() == list("abcde")
    assert np.isnan(encoder.categories_["words"][-1])
    expected = [counts[v] for v in "abcde"] + [sum(v is None for v in items)]
    assert encoder.category_counts_["words"].tolist() == expected
    assert encoder.embeddings_["words"].shape == (6, encoder.dimensions_["words"])
    single = words_of(encoder, with_words(list_rows[0], [["d"]]))[0]
    np.testing.assert_allclose(encoder.embeddings_["words"].loc["d"], single, rtol=1e-6)


@pytest.mark.parametrize("kind", ["outputs", "multiclass"])
def test_target_means_are_those_of_items(kind: str, list_rows: Rows) -> None:
    X, y = list_rows
    target = np.column_stack([y, y**2]) if kind == "outputs" else np.digitize(y, [-1.0, 1.0])
    weights = np.random.default_rng(0).uniform(0.5, 2, len(y))
    encoder = make_encoder(max_iter=1).fit(X, target, sample_weight=weights)
    shown = np.eye(3)[target] if kind == "multiclass" else target
    values: dict[Any, list[Any]] = {}
    for cell, value, weight in zip(X["words"], shown, weights, strict=True):
        for item in [None] if cell is None else cell:
            values.setdefault(item, []).append((value, weight))
    for k, label in enumerate([*"abcde", None]):
        rows, w = zip(*values[label], strict=True)
        np.testing.assert_allclose(
            encoder.category_target_means_["words"][k], np.average(rows, axis=0, weights=w)
        )


@pytest.mark.parametrize("max_length", [2, {0: 2}])
def test_max_length_keeps_the_last_items_in_fit_and_in_transform(max_length: Any) -> None:
    X, y = make_list_rows()
    X.at[3, "words"] = ["early", "a", "b"]
    cut = X.assign(words=X["words"].map(lambda c: c if c is None else c[-2:]))
    settings = {"pooling": "gru", "max_iter": 2}
    expected = make_encoder(**settings)
    wanted = expected.fit_transform(cut, y)
    encoder = make_encoder(max_length=max_length, **settings)
    np.testing.assert_array_equal(encoder.fit_transform(X, y), wanted)
    assert "early" not in encoder.categories_["words"]
    np.testing.assert_array_equal(encoder.transform(X), expected.transform(cut))
    long, short = (with_words(X, [c]) for c in (["zzz", None, "d", "e"], ["d", "e"]))
    np.testing.assert_array_equal(encoder.transform(long), encoder.transform(short))


def test_what_max_length_cuts_off_is_neither_unknown_nor_missing() -> None:
    X, y = make_list_rows(full=True)
    X.at[3, "words"] = [None, "a", "b"]
    encoder = make_encoder(max_length=2, handle_unknown="error", handle_missing="error").fit(X, y)
    assert encoder.transform(with_words(X, [["zzz", None, "a", "b"]])).shape[0] == 1
    with pytest.raises(InvalidDataError, match="'zzz'"):
        encoder.transform(with_words(X, [["a", "zzz", "b"]]))


def test_several_columns_of_lists_are_pooled_each_by_its_own(list_rows: Rows) -> None:
    X, y = list_rows
    X = X.assign(others=objects(X["words"][::-1]))
    encoder = make_encoder(pooling={"others": "sum", 0: "max"}, max_length={"others": 1}).fit(X, y)
    assert [p and p.name for p in encoder._model.poolings] == ["max", None, "sum"]
    assert encoder._model.max_lengths == (None, None, 1)
    one = make_encoder(pooling={"others": "gru"}, max_iter=1).fit(X, y)
    assert [p and p.name for p in one._model.poolings] == ["mean", None, "gru"]


# Containers and text -----------------------------------------------------------------------


def test_strings_are_never_split() -> None:
    X, y = make_list_rows(full=True)
    text = X.assign(words=X["words"].map(" ".join))
    encoder = make_encoder().fit(text, y)
    assert set(encoder.categories_["words"]) == set(text["words"])
    assert encoder._model.poolings[0] is None
    listed = make_encoder().fit(X, y)
    with pytest.raises(
        InvalidDataError, match=r"'words' held lists in fit.*single values.*make lists"
    ):
        listed.transform(text)
    with pytest.raises(InvalidDataError, match=r"'words' held single values in fit.*holds lists"):
        encoder.transform(X)
    tuples = X.assign(words=objects(map(tuple, X["words"])))
    assert make_encoder().fit(tuples, y)._model.poolings[0] is None


def test_lists_of_numbers_are_lists_of_categories(list_rows: Rows) -> None:
    X, y = make_list_rows(full=True)
    numbers = X.assign(words=objects([[ord(v) for v in cell] for cell in X["words"]]))
    arrays = X.assign(words=objects([np.array(cell) for cell in numbers["words"]]))
    encoder = make_encoder().fit(numbers, y)
    assert encoder.categories_["words"].tolist() == [ord(v) for v in "abcde"]
    found = make_encoder().fit_transform(arrays, y)
    np.testing.assert_array_equal(found, make_encoder().fit_transform(numbers, y))


# Targets and first vectors -----------------------------------------------------------------


def test_rows_of_zero_weight_are_left_out(list_rows: Rows) -> None:
    X, y = list_rows
    extra = with_words(X, [["zzz"], ["a", "b"]])
    weights = np.append(np.ones(len(y)), [0, 0])
    encoder = make_encoder(pooling="gru")
    out = encoder.fit_transform(pd.concat([X, extra]), np.append(y, [9, 9]), sample_weight=weights)
    np.testing.assert_array_equal(out[: len(y)], make_encoder(pooling="gru").fit_transform(X, y))
    assert "zzz" not in encoder.categories_["words"]
    np.testing.assert_array_equal(out[len(y) :], encoder.transform(extra))


def test_an_encoder_starts_items_from_the_targets_of_other_folds_rows(list_rows: Rows) -> None:
    X, y = list_rows
    first = TargetEncoder(smooth=1e-9, target_type="continuous", cv=2)
    encoder = make_encoder(init=first, max_iter=1, dimensions=2)
    (table, *_), _ = watch_learning(lambda: encoder.fit(X, y))
    for g in range(5):
        told: dict[str, list[float]] = {letter: [] for letter in "abcde"}
        for cell, value, fold in zip(X["words"], y, encoder.fold_, strict=True):
            for item in cell or []:
                if item is not None and fold != g:
                    told[item].append(value)
        means = [np.mean(told[letter]) for letter in "abcde"]
        vectors = table[g, codes_of(encoder, list("abcde"))]
        along = vectors @ (vectors[-1] - vectors[0])
        assert np.corrcoef(means, along)[0, 1] > 0.95


@pytest.mark.parametrize("pooling", ["max", "gru"])
def test_frozen_vectors_of_items_come_out_unchanged(pooling: str, list_rows: Rows) -> None:
    X, y = list_rows
    random = np.random.default_rng(0)
    vectors = pd.DataFrame(random.normal(size=(5, 3)).astype("f4"), index=list("abcde"))
    encoder = make_encoder(
        pooling=pooling, init={"words": vectors}, freeze=["words"], learning_rate_init=0.05
    )
    encoder.fit(X, y)
    found = encoder.embeddings_["words"].loc[list("abcde")]
    np.testing.assert_array_equal(found.to_numpy(), vectors.to_numpy())
    out = words_of(encoder, with_words(X, [["a", "c"]]))[0]
    if pooling == "max":
        np.testing.assert_allclose(out, vectors.loc[["a", "c"]].max(), rtol=1e-5)


# Going on ----------------------------------------------------------------------------------


@pytest.mark.parametrize("pooling", ["sum", "gru"])
def test_warm_start_on_the_same_rows_goes_on_from_every_table(
    pooling: str, list_rows: Rows
) -> None:
    encoder = make_encoder(pooling=pooling, warm_start=True, max_iter=4).fit(*list_rows)
    before, model = encoder.transform(list_rows[0]), encoder._model
    fold = encoder.fold_.copy()
    encoder.set_params(learning_rate_init=1e-9, max_iter=1).fit(*list_rows)
    np.testing.assert_array_equal(encoder.fold_, fold)
    after = encoder.transform(list_rows[0])
    np.testing.assert_allclose(after, before, atol=2e-4 * np.abs(before).max())
    assert encoder._model is not model


def test_warm_start_on_other_rows_starts_from_the_mean_table(list_rows: Rows) -> None:
    encoder = make_encoder(pooling="gru", warm_start=True, max_iter=4).fit(*list_rows)
    asked = with_words(list_rows[0], LISTED)
    raw = encoder._model.raw(encoder._code(asked))
    X, y = make_list_rows(seed=1)
    X.at[7, "words"] = ["new", "a"]
    with pytest.warns(LeakageWarning, match="other rows"):
        encoder.set_params(learning_rate_init=1e-9, max_iter=1).fit(X, y)
    assert "new" in encoder.categories_["words"]
    np.testing.assert_allclose(encoder._model.raw(encoder._code(asked)), raw, atol=1e-3)


@pytest.mark.parametrize("change", [{"pooling": {"words": "gru"}}, {"max_length": 2}])
def test_warm_start_refuses_another_pooling_or_length(change: Any, list_rows: Rows) -> None:
    encoder = make_encoder(warm_start=True).fit(*list_rows)
    (name,) = change
    with pytest.raises(InvalidParameterError, match=f"`{name}`.*warm_start=False"):
        encoder.set_params(**change).fit(*list_rows)
    assert encoder.set_params(warm_start=False).fit(*list_rows).n_iter_ > 0


# Refusals ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"pooling": {"words": "median"}}, "`pooling` is 'median' .* in column 'words'"),
        ({"pooling": {"color": "sum"}}, r"`pooling` names 'color', which is not a column of lists"),
        ({"pooling": {"tags": "sum"}}, r"`pooling` names 'tags', .*\['words'\]"),
        (
            {"max_length": {"color": 3}},
            "`max_length` names 'color', which is not a column of lists",
        ),
        ({"max_length": {"words": 0}}, "`max_length` is 0 for the lists in column 'words'"),
    ],
)
def test_settings_that_do_not_fit_the_lists_are_named(
    settings: Any, message: str, list_rows: Rows
) -> None:
    encoder = make_encoder(**settings)
    with pytest.raises(InvalidParameterError, match=message):
        encoder.fit(*list_rows)
    assert vars(encoder).keys() == encoder.get_params().keys()


def test_a_pooling_is_checked_even_without_lists() -> None:
    with pytest.raises(InvalidParameterError, match="`pooling` is 'median'"):
        make_encoder(pooling="median").fit(*make_rows(60))
    assert make_encoder(pooling="gru", max_length=3).fit(*make_rows(60)).n_iter_ == 2


def test_pooled_lists_cannot_be_taken_apart(encoder: Any, list_rows: Rows) -> None:
    out = encoder.transform(list_rows[0])
    with pytest.raises(InvalidParameterError, match="column 'words' holds lists"):
        encoder.inverse_transform(out)
