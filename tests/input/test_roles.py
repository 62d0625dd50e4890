"""Warnings about numbers that "auto" may have taken for the wrong thing."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge

from sk_entity_embed import EntityEmbeddingEncoder
from sk_entity_embed.evaluation import encoding_report
from sk_entity_embed.exceptions import ColumnRoleWarning
from sk_entity_embed.input.columns import read_table
from sk_entity_embed.input.roles import check_roles, looks_like_ids, why_quantity
from sk_entity_embed.input.selection import select_categorical
from sk_entity_embed.input.target import read_target

N = 4000
RNG = np.random.default_rng(0)
IDS = RNG.integers(0, 300, N)
"""Repeated whole numbers, numbered without order."""
NOISE = RNG.normal(size=N)
ID_EFFECT = RNG.normal(size=1000)


def messages(X, y, selection="auto", target_type="auto"):
    """What is said about a table."""
    X = pd.DataFrame(X)
    table = read_table(X)
    categorical, context = select_categorical(selection, table, X)
    codes = [pd.factorize(X.iloc[:, j])[0] + 1 for j in categorical]
    target = read_target(np.asarray(y), target_type)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        check_roles(selection, table, categorical, context, codes, target)
    assert all(w.category is ColumnRoleWarning for w in caught)
    return [str(w.message) for w in caught]


TEXT = RNG.choice(["a", "b", "c"], N)
BY_ID = ID_EFFECT[IDS] + NOISE

TARGETS = {
    "continuous": BY_ID,
    "binary": BY_ID > 0.5,
    "multiclass": np.digitize(BY_ID, [-1, 0, 1, 2]),
    "outputs": np.column_stack([NOISE, BY_ID]),
    "multilabel": np.column_stack([NOISE > 0, BY_ID > 0]).astype(int),
}


@pytest.mark.parametrize("kind", TARGETS)
def test_ids_that_are_context_are_named(kind):
    for ids in (IDS, np.where(NOISE > 2, np.nan, IDS), IDS.astype(object)):
        (message,) = messages({"text": TEXT, "agent": ids, "noise": NOISE}, TARGETS[kind])
        assert "look like ids: 'agent' (" in message
        assert "`categorical_features`" in message


QUANTITIES = {
    "steps": np.digitize(NOISE, np.linspace(-2, 2, 200)),
    "cycle": (np.arange(N) * 7) % 360,
    "zeros": np.where(RNG.random(N) < 0.6, 0, IDS),
    "few": IDS % 40,
    "prices": IDS * 25,
    "rounded": np.round(np.exp(4 + NOISE), -1).astype(int),
    "noise": RNG.integers(0, 300, N),
    "unique": np.arange(N) * 3,
    "fractions": IDS / 2,
}
BY_QUANTITY = {
    "cycle": np.cos(np.radians(QUANTITIES["cycle"])),  # of no trend
    "zeros": ID_EFFECT[QUANTITIES["zeros"]],
    "few": ID_EFFECT[IDS % 40],
    "prices": BY_ID,
    "noise": NOISE,
    "fractions": BY_ID,
}


def test_numbers_that_belong_to_embedded_categories_are_no_ids():
    """A movie's year has an effect of its own only as long as nobody knows the movie."""
    year = RNG.integers(1920, 2000, 300)[IDS]
    assert "'year'" in messages({"text": TEXT, "year": year}, BY_ID)[0]
    assert messages({"movie": IDS.astype(str), "year": year}, BY_ID) == []


@pytest.mark.parametrize("name", QUANTITIES)
def test_quantities_that_are_context_are_not(name):
    y = BY_QUANTITY.get(name, NOISE) + 0.3 * RNG.normal(size=N)
    assert messages({"text": TEXT, name: QUANTITIES[name]}, y) == []


def test_embedded_quantities_are_named_with_the_reason():
    mileage = np.round(np.exp(10 + NOISE)).astype(int) // 40  # about three rows a value
    X = {"user": IDS, "mileage": mileage, "number": RNG.permutation(N), "age": IDS % 60}
    (message,) = messages(X, NOISE + BY_ID)
    assert "'mileage' (few rows share a value, and values near it tell as much)" in message
    assert "'number' (hardly any value repeats, so each has little to learn from)" in message
    assert not any(name in message for name in ("'user'", "'age'"))


def test_fractions_that_have_to_be_embedded_are_named_but_for_a_long_list():
    X = {f"x{j}": RNG.normal(size=50) for j in range(7)}
    (message,) = messages(X, np.arange(50) / 7)
    assert "'x0' (fractions), " in message
    assert "'x4' (fractions) and 2 more" in message


@pytest.mark.parametrize("selection", ["all", ["text"], lambda X: ["text"]])
def test_nothing_is_said_of_what_the_user_has_chosen(selection):
    assert messages({"text": TEXT, "agent": IDS}, BY_ID, selection) == []


def test_small_tables_tell_too_little():
    for n in (1, 2, 99):
        X = {"user": np.arange(n), "item": np.zeros(n, dtype=int)}
        assert messages(X, np.arange(n) + 0.5) == []
        assert messages({"text": TEXT[:n], **X}, np.arange(n) + 0.5) == []


@pytest.mark.parametrize(
    "values",
    [np.full(200, np.nan), np.ones(200), np.r_[1.0, np.full(199, np.nan)], np.arange(200.0) // 3],
)
def test_a_pattern_of_nothing_is_no_pattern(values):
    for y in (np.zeros((200, 1)), np.arange(200.0)[:, None]):
        assert not looks_like_ids(values, y)
    assert why_quantity(values, np.zeros((200, 1))) is None


def test_fit_and_report_warn_once_each():
    X, y = pd.DataFrame({"text": TEXT, "agent": IDS})[:2000], BY_ID[:2000]
    encoder = EntityEmbeddingEncoder(hidden_layer_sizes=(), max_iter=1, cv=2)
    with pytest.warns(ColumnRoleWarning, match="'agent'") as in_fit:
        encoder.fit(X, y)
    with pytest.warns(ColumnRoleWarning, match="'agent'") as in_report:
        encoding_report(encoder, X, y, downstream=Ridge(), encoders={}, cv=2)
    assert len(in_fit) == len(in_report) == 1


FOLDER = os.environ.get("SK_ENTITY_EMBED_DATA")


@pytest.mark.skipif(FOLDER is None, reason="set SK_ENTITY_EMBED_DATA to the public tables")
@pytest.mark.parametrize(
    ("name", "target", "expected"),
    [
        ("hotel_bookings", "is_canceled", ["'agent', 'company' ("]),
        ("adult", "Y", []),
        ("lahman_salaries", "salary", []),
    ],
)
def test_ids_of_public_tables_are_found_and_no_quantities(name, target, expected):
    X = pd.read_parquet(Path(FOLDER) / f"{name}.parquet")
    y = X.pop(target)
    X = X.drop(columns=X.columns[X.columns.str.startswith("reservation_status")])
    found = messages(X, y, target_type="continuous" if y.nunique() > 2 else "binary")
    assert len(found) == len(expected)
    assert all(text in message for text, message in zip(expected, found, strict=True))
