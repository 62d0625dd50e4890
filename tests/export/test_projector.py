"""Files of the embedding projector."""

from __future__ import annotations

import json
import os
import re
from datetime import date

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError

from sk_entity_embed import EntityEmbeddingEncoder
from sk_entity_embed.exceptions import InvalidDataError, InvalidParameterError
from sk_entity_embed.export import to_projector
from tests.export.fitted import make_dot
from tests.samples import make_encoder, make_rows

TEXTS = ["plain", "New York", "a\tb", "x\ny", "", "back\\slash", "<b>", "(missing)", "\u2028", '"q']


def fit(values=TEXTS, y=None, n=20, **params):
    """An encoder of the columns "x", of these values, and "a b"."""
    cells = np.fromiter(values * n, dtype=object, count=len(values) * n)
    X = pd.DataFrame({"x": pd.Series(cells, dtype=object), "a b": ["a", "b"] * (len(cells) // 2)})
    params = {"categorical_features": "all", "dimensions": 3, "cv": 2} | params
    y = np.random.default_rng(0).normal(size=len(X)) if y is None else y
    return make_encoder(**params).fit(X, y)


def read(path):
    """The cells of a file, line by line."""
    text = path.read_bytes().decode()
    assert text.endswith("\n")
    return [line.split("\t") for line in text[:-1].split("\n")]


@pytest.fixture(scope="module")
def encoder():
    return fit([*TEXTS, None])


def test_vectors_and_metadata(encoder, tmp_path):
    paths = to_projector(encoder, "x", str(tmp_path / "new" / "folder"))
    vectors, metadata = paths["x"]
    assert (vectors.name, metadata.name) == ("vectors.tsv", "metadata.tsv")
    numbers = np.array(read(vectors), dtype=np.float32)
    header, *cells = read(metadata)
    assert header == ["category", "kind", "count", "target_mean"]
    assert len(cells) == len(numbers) == len(TEXTS) + 2
    shown = {"\t": r"\t", "\n": r"\n", "\\": r"\\", "\u2028": r"\u2028"}
    categories = encoder.categories_["x"][:-1]
    names = ["".join(shown.get(c, c) for c in text) for text in categories]
    assert [row[0] for row in cells] == [*names, "(missing)", "(unknown)"]
    assert [row[1] for row in cells] == ["category"] * len(TEXTS) + ["missing", "unknown"]
    assert [row[2] for row in cells] == ["20"] * (len(TEXTS) + 1) + ["0"]
    means = encoder.category_target_means_["x"]
    assert [float(row[3]) for row in cells[:-1]] == means.tolist()
    assert cells[-1][3] == ""
    X = pd.DataFrame({"x": [*categories, None, "never seen"], "a b": "a"})
    np.testing.assert_array_equal(numbers, encoder.transform(X)[:, :3])
    table = pd.read_csv(metadata, sep="\t", quoting=3, keep_default_na=False)
    assert table["category"].tolist() == [row[0] for row in cells]


def test_configurations(encoder, tmp_path):
    paths = to_projector(encoder, None, tmp_path)
    assert [*paths] == ["x", "a b"]
    config = json.loads((tmp_path / "projector_config.json").read_text())["embeddings"]
    text = (tmp_path / "projector_config.pbtxt").read_text()
    assert [entry["tensorName"] for entry in config] == ["x", "a b"]
    for entry, files in zip(config, paths.values(), strict=True):
        assert [tmp_path / entry["tensorPath"], tmp_path / entry["metadataPath"]] == files
        numbers = np.array(read(files[0]), dtype=np.float32)
        assert entry["tensorShape"] == list(numbers.shape)
        assert len(read(files[1])) == len(numbers) + 1
        assert f'tensor_path: "{entry["tensorPath"]}"' in text
        assert f'metadata_path: "{entry["metadataPath"]}"' in text
    assert re.findall(r"tensor_shape: (\d+)", text) == ["12", "3", "3", "3"]
    assert paths["x"][0].parent.name == "x"
    assert paths["a b"][0].parent.name.startswith("a-b-")


def test_files_change_together(encoder, tmp_path, monkeypatch):
    to_projector(encoder, None, tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.*")}
    calls = []

    def full(descriptor):
        calls.append(descriptor)
        if len(calls) == 5:
            raise OSError("No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        to_projector(fit([*TEXTS, None], n=10), None, tmp_path)
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before


def test_names_in_configurations(tmp_path):
    name = 'quote" back\\ line\n é'
    X = pd.DataFrame({name: ["a", "b"] * 20})
    encoder = make_encoder(cv=2).fit(X, np.random.default_rng(0).normal(size=40))
    to_projector(encoder, None, tmp_path)
    text = (tmp_path / "projector_config.pbtxt").read_text()
    assert r'tensor_name: "quote\042 back\134 line\012 \303\251"' in text
    config = json.loads((tmp_path / "projector_config.json").read_text())
    assert config["embeddings"][0]["tensorName"] == name


def test_metadata_of_the_user(encoder, tmp_path):
    index = ["plain", "x\ny", np.nan]
    frame = pd.DataFrame(
        {"size": [1.5, 2.0, 3.0], "note": ["a\tb", None, "none"], "day": date(2020, 1, 1)},
        index=index,
    )
    header, *rows = read(to_projector(encoder, "x", tmp_path, metadata=frame)["x"][1])
    assert header[4:] == ["size", "note", "day"]
    by_name = {row[0]: row[4:] for row in rows if row[1] == "category"}
    assert by_name["plain"] == ["1.5", r"a\tb", "2020-01-01"]
    assert by_name[r"x\ny"] == ["2.0", "", "2020-01-01"]
    assert by_name["New York"] == ["", "", ""]
    assert rows[-2][4:] == ["3.0", "none", "2020-01-01"]
    assert rows[-1][4:] == ["", "", ""]


def test_a_series_and_metadata_of_several_columns(encoder, tmp_path):
    series = pd.Series({"a": "first", "b": "second"})
    header, *rows = read(to_projector(encoder, "a b", tmp_path, metadata=series)["a b"][1])
    assert header[-1] == "metadata"
    assert [row[-1] for row in rows] == ["first", "second", ""]
    both = to_projector(encoder, None, tmp_path, metadata={"a b": series.rename("rank")})
    assert read(both["a b"][1])[0][-1] == "rank"
    assert read(both["x"][1])[0][-1] == "target_mean"


def test_bad_metadata(encoder, tmp_path):
    series = pd.Series({"plain": 1})
    cases = [
        ("x", series.rename("count"), r"columns \['count'\]"),
        (None, series, "if it is for one column"),
        ("x", {"a b": series}, "or a mapping to these"),
        ("x", [1, 2], "must be a Series"),
        ("x", {"x": [1, 2]}, "a mapping to these"),
        ("x", pd.DataFrame([[1, 2]], index=["plain"], columns=["n", "n"]), "more than once"),
    ]
    for column, metadata, message in cases:
        with pytest.raises(InvalidParameterError, match=message):
            to_projector(encoder, column, tmp_path / "folder", metadata=metadata)
    with pytest.raises(InvalidDataError, match="none of the categories"):
        to_projector(encoder, "x", tmp_path / "folder", metadata=pd.Series({"z": 1}))
    assert not (tmp_path / "folder").exists()


@pytest.mark.parametrize("policy", ["zero", "nan", "error"])
def test_the_unknown_row_follows_the_policy(policy, tmp_path):
    encoder = fit(["a", "b"], handle_unknown=policy)
    vectors, metadata = to_projector(encoder, "x", tmp_path)["x"]
    numbers = np.array(read(vectors), dtype=np.float32)
    kinds = [row[1] for row in read(metadata)[1:]]
    assert kinds == ["category"] * 2 + ["unknown"] * (policy in ("learned", "zero"))
    assert len(numbers) == len(kinds)
    if len(kinds) == 3:
        X = pd.DataFrame({"x": ["z"], "a b": ["a"]})
        np.testing.assert_array_equal(numbers[2:], encoder.transform(X)[:, :3])


def test_target_means_of_classes_and_outputs(tmp_path):
    classes = np.array(["u", "v", "w\t"])[np.arange(60) % 3]
    encoder = fit(["a", "b", "c"], y=classes)
    header, *rows = read(to_projector(encoder, "x", tmp_path)["x"][1])
    assert header[3:] == ["target_mean_u", "target_mean_v", r"target_mean_w\t"]
    assert np.array([row[3:] for row in rows[:3]], dtype=float).tolist() == np.eye(3).tolist()
    encoder = fit(["a", "b"], y=np.random.default_rng(0).normal(size=(40, 2)))
    header = read(to_projector(encoder, "x", tmp_path)["x"][1])[0]
    assert header[3:] == ["target_mean_0", "target_mean_1"]


def test_only_fitted_encoders_and_their_columns(tmp_path):
    with pytest.raises(NotFittedError):
        to_projector(EntityEmbeddingEncoder(), None, tmp_path)
    X, y = make_rows(60)
    with pytest.raises(InvalidParameterError, match="Did you mean 'letter'"):
        to_projector(make_encoder(cv=2).fit(X, y), "leter", tmp_path)


def test_biases_are_left_out(tmp_path):
    model = make_dot().fit(*make_rows(60))
    vectors, _ = to_projector(model, "letter", tmp_path)["letter"]
    numbers = np.array(read(vectors), dtype=np.float32)
    np.testing.assert_array_equal(numbers[:-1], model.embeddings_["letter"])
    config = json.loads((tmp_path / "projector_config.json").read_text())
    assert config["embeddings"][0]["tensorShape"] == list(numbers.shape)
