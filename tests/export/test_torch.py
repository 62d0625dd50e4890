"""Torch: modules with the vectors of ``transform``, and the way back through ``init``."""

from __future__ import annotations

import copy
import datetime
import io
import pickle
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from sk_entity_embed.exceptions import (
    InvalidDataError,
    InvalidParameterError,
    UnsupportedDataError,
)
from sk_entity_embed.export import EntityEmbeddings, to_torch
from tests.containers import make_container
from tests.export.fitted import make_dot, make_list_encoder, make_list_rows
from tests.samples import make_encoder, make_rows, set_heads

KINDS = {
    "a.b": ["x", "", "q\"u'o\n\tte", "<script>", "ü漢", None],
    "keys": ["u", "v"],
    "": [1, 2, 3],
    "real": [0.1, -0.0, np.inf, np.nan, 1e300],
    "flag": [True, False],
    "gappy flag": [True, False, None],
    "gappy integer": [1, 2, None],
    "date": [datetime.date(2020, 1, 1), datetime.date(2021, 5, 5), None],
    "time": [pd.Timestamp("2020-01-01"), pd.Timestamp("2022-03-03")],
    "mixed": [1, "1", (1, 2), None, 2.5],
    "bytes": [b"a", b"b"],
    "surrogates": ["\ud800", "k"],
    "large": [2**63 + 5, 3],
}
"""Columns of each kind, some under names that torch's containers refuse."""


def make_table(n=200):
    rng = np.random.default_rng(0)
    X = pd.DataFrame(
        {
            name: pd.Series([values[i] for i in rng.integers(0, len(values), n)], dtype=object)
            for name, values in KINDS.items()
        }
    )
    X.insert(3, "size", rng.normal(size=n))
    return X, rng.normal(size=n)


def encoder_of(**params):
    return make_encoder(categorical_features=list(KINDS), max_iter=1, **params)


def vectors_of(module, X):
    """What the module makes of a table."""
    with torch.no_grad():
        return module(module.encode(X)).numpy()


def shake(module):
    """Other vectors, as after training."""
    with torch.no_grad():
        for weight in module.parameters():
            weight.add_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(0)))


@pytest.fixture(scope="module")
def table():
    return make_table()


@pytest.fixture(scope="module")
def encoder(table):
    return encoder_of().fit(*table)


@pytest.fixture(scope="module")
def letters(rows):
    return make_encoder().fit(*rows)


@pytest.fixture
def module(letters):
    return to_torch(letters)


@pytest.mark.parametrize(
    ("unknown", "min_frequency"), [("learned", 45), ("zero", None), ("nan", 45)]
)
def test_the_module_gives_what_transform_gives(table, unknown, min_frequency):
    X, y = table
    encoder = encoder_of(handle_unknown=unknown, min_frequency=min_frequency).fit(X, y)
    new = X[:50].copy()
    new.loc[:9, "a.b"], new.loc[5:14, "flag"] = "never seen", None
    out = vectors_of(to_torch(encoder), new)
    assert out.dtype == np.float32
    np.testing.assert_array_equal(out, encoder.transform(new))
    assert np.isnan(out).any() == (unknown == "nan")


@pytest.mark.parametrize("n_heads", [5, 2])
def test_the_vectors_are_those_of_the_columns_whatever_the_output(rows, n_heads, monkeypatch):
    X, y = rows
    set_heads(monkeypatch, n_heads)
    out = vectors_of(to_torch(make_encoder(output="both", remainder="passthrough").fit(X, y)), X)
    np.testing.assert_array_equal(out, make_encoder().fit(X, y).transform(X))


def test_rows_are_laid_out_as_documented():
    X = pd.DataFrame({"c": ["b"] * 30 + ["a"] * 30 + ["rare"] * 2 + [None] * 10})
    module = to_torch(make_encoder(min_frequency=5).fit(X, np.linspace(0, 0.9, len(X))))
    codes = module.encode(pd.DataFrame({"c": ["?", None, "rare", "a", "b"]}))
    assert codes.dtype == torch.int64
    assert codes.tolist() == [[0], [1], [2], [3], [4]]
    assert module["c"].num_embeddings == 5


def test_columns_in_the_order_asked_for(letters, rows):
    X, _ = rows
    out = letters.transform(X)
    width = letters.dimensions_["letter"]
    swapped = to_torch(letters, ["color", "letter"])
    assert swapped.columns == tuple(swapped) == ("color", "letter")
    expected = np.hstack([out[:, width:], out[:, :width]])
    np.testing.assert_array_equal(vectors_of(swapped, X), expected)
    one = to_torch(letters, "color")
    np.testing.assert_array_equal(vectors_of(one, X), out[:, width:])
    assert "color" in one
    assert "letter" not in one


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (["colour"], "Did you mean 'color'"),
        ([], "at least one column"),
        (["color", "color"], "each of them once"),
    ],
)
def test_bad_columns(letters, columns, message):
    with pytest.raises(InvalidParameterError, match=message):
        to_torch(letters, columns)


def test_leading_dimensions_are_kept(module, rows):
    codes = module.encode(rows[0][:6])
    batched = module(codes.reshape(2, 3, 2))
    assert batched.shape == (2, 3, module(codes).shape[1])
    assert torch.equal(batched.reshape(6, -1), module(codes))
    assert torch.equal(module(codes.int()), module(codes))


@pytest.mark.parametrize("name", ["pandas", "polars", "lists"])
def test_tables_to_code(letters, module, name):
    container = partial(make_container, name)
    columns = {"letter": ["a", "z", None], "color": ["red", "green", "blue"], "size": [1.0, 2, 3]}
    codes = module.encode(container(columns))
    assert codes.tolist() == [[3, 5], [0, 4], [0, 3]]
    one = to_torch(letters, "color").encode(container(columns))
    assert torch.equal(one, codes[:, 1:])
    if name == "lists":
        with pytest.raises(InvalidDataError, match="that has all 3 columns of fit"):
            module.encode(container({"color": ["red"], "letter": ["a"]}))
    else:
        swapped = {"other": [1, 2, 3], "color": columns["color"], "letter": columns["letter"]}
        assert torch.equal(module.encode(container(swapped)), codes)
        with pytest.raises(InvalidDataError, match=r"no column 'letter', only \['color'\]"):
            module.encode(container({"color": ["red"]}))


def test_cells_that_transform_refuses(rows):
    X, y = rows
    module = to_torch(make_encoder(handle_unknown="error").fit(X, y))
    new = X[:4].assign(letter=["a", "?", "b", "!"])
    with pytest.raises(InvalidDataError, match=r"column 'letter': 2 row.*row 1, .*'learned'"):
        module.encode(new)
    module = to_torch(make_encoder(handle_missing="error").fit(X, y))
    with pytest.raises(InvalidDataError, match="'letter' has 1 missing"):
        module.encode(X[:2].assign(letter=["a", None]))


def test_training_leaves_the_encoder_alone(rows, letters):
    X, y = rows
    before = letters.transform(X).copy()
    module = to_torch(letters)
    network = nn.Sequential(module, nn.Linear(before.shape[1], 1))
    codes, target = module.encode(X), torch.tensor(y, dtype=torch.float32)
    ((network(codes)[:, 0] - target) ** 2).mean().backward()
    with torch.no_grad():
        for parameter in network.parameters():
            assert parameter.grad.abs().max() > 0
            parameter.sub_(parameter.grad)
    assert not np.array_equal(vectors_of(module, X), before)
    np.testing.assert_array_equal(letters.transform(X), before)


def test_copies(encoder, table):
    X, _ = table
    module = to_torch(encoder)
    file = io.BytesIO()
    torch.save(module, file)
    file.seek(0)
    copies = [
        copy.deepcopy(module),
        pickle.loads(pickle.dumps(module)),
        torch.load(file, weights_only=False),
    ]
    expected = vectors_of(module, X)
    shake(module)
    for other in copies:
        assert type(other) is type(module) is EntityEmbeddings
        np.testing.assert_array_equal(vectors_of(other, X), expected)


def test_state_dict(letters, rows, tmp_path):
    trained, fresh = to_torch(letters), to_torch(letters)
    shake(trained)
    torch.save(trained.state_dict(), tmp_path / "weights.pt")
    state = torch.load(tmp_path / "weights.pt", weights_only=True)
    assert list(state) == ["embeddings.0.weight", "embeddings.1.weight"]
    fresh.load_state_dict(state)
    np.testing.assert_array_equal(vectors_of(fresh, rows[0]), vectors_of(trained, rows[0]))


@pytest.mark.parametrize(
    ("grouped", "grouped_again", "cross_fit"), [(45, 45, True), (45, None, False)]
)
def test_the_way_back(table, grouped, grouped_again, cross_fit):
    X, y = table
    module = to_torch(encoder_of(min_frequency=grouped).fit(X, y))
    shake(module)
    back = encoder_of(
        init=module.to_frames(),
        freeze=True,
        min_frequency=grouped_again,
        cross_fit=cross_fit,
        random_state=3,
    ).fit(X, y)
    np.testing.assert_array_equal(back.transform(X), vectors_of(module, X))
    new = X[:1].assign(keys="never seen")
    position = list(KINDS).index("keys")
    edges = np.cumsum([0, *back.dimensions_.values()])
    unknown = back.transform(new)[0, edges[position] : edges[position + 1]]
    assert np.isfinite(unknown).all()
    assert not np.array_equal(unknown, module["keys"].weight[0].detach().numpy())


def test_the_way_back_in_groups_of_other_members(rows):
    X, y = make_rows(200)
    X = X[["letter"]]
    module = to_torch(make_encoder(dimensions=2).fit(X, y))
    frames = module.to_frames()
    back = make_encoder(init=frames, freeze=True, max_categories=3).fit(X, y)
    grouped = back.infrequent_categories_["letter"]
    assert len(grouped) == 3
    expected = frames["letter"].loc[grouped].to_numpy(dtype=np.float64).mean(axis=0)
    out = back.transform(pd.DataFrame({"letter": grouped}))
    np.testing.assert_allclose(out, np.tile(expected, (3, 1)), rtol=1e-6)


def test_vectors_of_dots_end_with_their_biases(rows):
    X, y = rows
    model = make_dot().fit(X, y)
    module = to_torch(model)
    np.testing.assert_array_equal(vectors_of(module, X), model.transform(X))
    for column, frame in module.to_frames().items():
        pd.testing.assert_frame_equal(frame, model.embeddings_[column])
    again = make_dot(init=module.to_frames(), freeze=True).fit(X, y)
    for column, frame in again.embeddings_.items():
        pd.testing.assert_frame_equal(frame, model.embeddings_[column])


def test_columns_of_lists_are_left_to_the_user():
    X, y = make_list_rows()
    encoder = make_list_encoder().fit(X, y)
    with pytest.raises(UnsupportedDataError, match=r"'mean' holds lists.* Name other `columns`"):
        to_torch(encoder)
    with pytest.raises(UnsupportedDataError, match="'gru' holds lists"):
        to_torch(encoder, ["letter", "gru"])
    module = to_torch(encoder, "letter")
    np.testing.assert_array_equal(vectors_of(module, X), encoder.transform(X)[:, :2])


def test_repr_names_the_columns(module):
    assert "columns=['letter', 'color']" in repr(module)
