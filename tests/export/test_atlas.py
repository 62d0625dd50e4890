"""Tables for Embedding Atlas, and its widget."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sk_entity_embed.exceptions import InvalidParameterError
from sk_entity_embed.export import atlas_widget, to_atlas
from sk_entity_embed.inspection import NeighborIndex, nearest, project
from tests.export.fitted import make_list_encoder, make_list_rows
from tests.samples import make_encoder

NAMES = [f"n{i:02}" for i in range(40)]


@pytest.fixture(scope="module")
def encoder():
    rng = np.random.default_rng(0)
    other = pd.Series(["a\ud800", None] * 400, dtype=object)
    X = pd.DataFrame({"name": rng.choice(NAMES, 800), "other": other})
    y = X["name"].str[1:].astype(int) + rng.normal(size=800)
    return make_encoder(dimensions=3).fit(X, y)


@pytest.mark.parametrize("metric", ["cosine", "euclidean", "dot"])
def test_the_table_holds_map_neighbours_and_facts(encoder, metric, tmp_path):
    kinds = pd.Series({name: len(name) for name in NAMES[1:]}, name="length")
    table = to_atlas(encoder, "name", tmp_path / "a.parquet", k=4, metric=metric, metadata=kinds)
    assert table.equals(pq.read_table(tmp_path / "a.parquet"))
    assert table.column_names == [
        *("category", "count", "target_mean", "length", "x", "y", "neighbors")
    ]
    assert table["category"].to_pylist() == NAMES
    assert table["count"].to_pylist() == encoder._model.vocabularies[0].counts.tolist()
    assert table["length"].to_pylist() == [None, *[3] * 39]
    place = np.column_stack([table["x"], table["y"]])
    np.testing.assert_allclose(place, project(encoder, "name"), rtol=1e-6)
    for row, entry in enumerate(table["neighbors"].to_pylist()):
        expected = nearest(encoder, "name", NAMES[row], k=4, metric=metric)
        assert [NAMES[i] for i in entry["ids"]] == expected["category"].tolist()
        distance = expected["distance"] if metric == "euclidean" else -expected["similarity"]
        distance = distance + 1 if metric == "cosine" else distance
        np.testing.assert_allclose(entry["distances"], distance, atol=1e-6)


def test_an_index_finds_the_same_neighbours(encoder):
    pytest.importorskip("faiss")
    index = NeighborIndex(encoder, "name")
    assert to_atlas(encoder, "name", index=index).equals(to_atlas(encoder, "name"))
    with pytest.raises(InvalidParameterError, match="another search: metric"):
        to_atlas(encoder, "name", index=index, metric="dot")


def test_few_categories_odd_texts_and_no_neighbours(encoder):
    table = to_atlas(encoder, "other")
    assert table["category"].to_pylist() == ["a\\ud800", "(missing)"]
    assert [entry["ids"] for entry in table["neighbors"].to_pylist()] == [[1], [0]]
    assert "neighbors" not in to_atlas(encoder, "other", k=0).column_names
    X, y = make_list_rows()
    items = to_atlas(make_list_encoder().fit(X, y), "sum")
    assert items["category"].to_pylist() == ["1", "2", "3"]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"k": -1}, "`k` must be"),
        ({"metric": "angle"}, "`metric` must be"),
        ({"metadata": pd.DataFrame({"x": [1]}, index=["n01"])}, r"\['x'\], which the table has"),
    ],
)
def test_what_does_not_fit_is_named(encoder, params, message):
    with pytest.raises(InvalidParameterError, match=message):
        to_atlas(encoder, "name", **params)


def test_metadata_of_mixed_types_become_texts(encoder):
    metadata = pd.Series(["x", 1, None], index=NAMES[:3], dtype=object, name="note")
    notes = to_atlas(encoder, "name", metadata=metadata)["note"]
    assert notes.to_pylist()[:3] == ["x", "1", None]
    assert notes.type == pa.string()


@pytest.mark.filterwarnings("ignore")  # those of its own libraries
def test_the_widget_shows_the_table(encoder):
    pytest.importorskip("anywidget")
    pytest.importorskip("embedding_atlas")
    widget = atlas_widget(encoder, "name", k=3)
    assert widget._props["data"]["neighbors"] == "neighbors"
    shown = widget.selection("arrow").read_all()
    assert shown["category"].to_pylist() == NAMES
    assert len(shown["neighbors"][0].as_py()["ids"]) == 3


def test_without_the_extra_the_widget_names_it(encoder, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "embedding_atlas.widget", None)
    with pytest.raises(ImportError, match=r"sk-entity-embed\[atlas\]"):
        atlas_widget(encoder, "name")
