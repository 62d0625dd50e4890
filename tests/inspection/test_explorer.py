"""The explorer's page as text: what is in it, and what is refused."""

from __future__ import annotations

import base64
import builtins
import itertools
import json
import os
import re
import sys
from hashlib import sha256
from html import unescape
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sk_entity_embed import EntityEmbeddingEncoder
from sk_entity_embed.exceptions import InvalidDataError, InvalidParameterError
from sk_entity_embed.inspection import Explorer, explore, explorer, project
from sk_entity_embed.inspection.displays.theme import DARK, LIGHT
from sk_entity_embed.inspection.explorer import notebook
from sk_entity_embed.inspection.explorer import page as page_module
from sk_entity_embed.inspection.explorer.page import iframe, json_for_html
from tests.inspection.conftest import HOSTILE
from tests.inspection.displays.conftest import make_column
from tests.samples import make_encoder, make_rows

NAMES = [*HOSTILE, "<!--", "\ud800 alone", "@title@", "\\u003c"]


@pytest.fixture(scope="module")
def encoder(rows):
    """Fitted on two columns, one of which has missing and infrequent categories."""
    X, y = rows
    X = X.copy()
    X.loc[:9, "letter"] = None
    X.loc[10:13, "letter"] = ["y", "z", "z", "z"]
    return make_encoder(min_frequency=5).fit(X, y)


@pytest.fixture(scope="module")
def vectors():
    """Vectors made elsewhere, of categories with difficult names."""
    return pd.DataFrame(np.arange(54.0).reshape(18, 3) % 7, index=pd.Index(NAMES, dtype=object))


def data_of(page):
    """The data in a page."""
    (found,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page)
    return json.loads(found)


def numbers(text, dtype):
    """Numbers from base64."""
    return np.frombuffer(base64.b64decode(text), dtype=dtype)


def test_a_column_is_all_there(encoder):
    columns = {c["name"]: c for c in data_of(explore(encoder).to_html())["columns"]}
    assert list(columns) == ["letter", "color"]
    letter = columns["letter"]
    frame = encoder.embeddings_["letter"]
    assert letter["names"] == ["a", "b", "c", "d", "e", "y", "z", "(missing)"]
    assert letter["missing"] == 7
    assert columns["color"]["missing"] is None
    assert letter["counts"] == encoder.category_counts_["letter"].tolist()
    assert letter["width"] == frame.shape[1]
    assert numbers(letter["vectors"], "<f4").tolist() == frame.to_numpy().ravel().tolist()
    (target,) = letter["targets"]
    assert target["name"] == "Target mean"
    assert (
        numbers(target["values"], "<f8").tolist()
        == encoder.category_target_means_["letter"].tolist()
    )
    pca = letter["projections"]["pca"]
    expected = project(encoder, "letter", n_components=3)
    assert pca["3"]["axes"] == list(expected.columns)
    assert numbers(pca["3"]["coordinates"], "<f4").tolist() == (
        expected.to_numpy().astype(np.float32).ravel().tolist()
    )


def test_other_projections_are_in_the_page_when_asked_for():
    vectors = pd.DataFrame(np.random.default_rng(0).normal(size=(20, 4)))
    (column,) = data_of(explore(vectors, methods="tsne").to_html())["columns"]
    assert list(column["projections"]) == ["pca", "tsne"]
    for n in (2, 3):
        expected = project(vectors, method="tsne", n_components=n).to_numpy()
        found = numbers(column["projections"]["tsne"][str(n)]["coordinates"], "<f4")
        np.testing.assert_allclose(found.reshape(20, n), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("classes", "n", "expected"),
    [
        (["no", "yes"], None, ["Share of yes"]),
        (["a", "b", "c"], 3, ["Share of a", "Share of b", "Share of c"]),
        (None, 2, ["Target mean 1", "Target mean 2"]),
    ],
)
def test_target_means_are_named(classes, n, expected):
    X, y = make_rows(120)
    if classes is not None:
        y = np.array(classes)[
            np.digitize(y, np.quantile(y, np.arange(1, len(classes)) / len(classes)))
        ]
    elif n:
        y = np.column_stack([y, -y])
    fitted = make_encoder(cv=2, max_iter=1).fit(X, y)
    column = data_of(explore(fitted, "color").to_html())["columns"][0]
    assert [t["name"] for t in column["targets"]] == expected


def test_metadata_of_every_type():
    index = pd.Index(["b", "a", "z"])
    metadata = pd.DataFrame(
        {
            "number": [1, 2, 3],
            "nullable": pd.array([None, 5, 6], dtype="Int64"),
            "flag": [True, False, True],
            "text": pd.Series(["x\ud800", None, "<b>"], index=index, dtype=object),
            "day": pd.to_datetime(["2020-01-01", None, "2021-01-01"]),
            "kind": pd.Categorical(["u", "v", "w"]),
            "complex": [1j, 2j, 3j],
        },
        index=index,
    )
    metadata[7] = 0.5
    vectors = pd.DataFrame(np.eye(3), index=["a", "b", "c"])
    fields = data_of(explore(vectors, metadata=metadata).to_html())["columns"][0]["fields"]
    found = {}
    for field in fields:
        if "kinds" in field:
            kinds = [*field["kinds"], None]
            found[field["name"]] = [kinds[c] for c in numbers(field["codes"], "<i4")]
        else:
            values = numbers(field["values"], "<f8")
            found[field["name"]] = [None if np.isnan(v) else v for v in values]
    assert found == {
        "number": [2, 1, None],
        "nullable": [5, None, None],
        "flag": ["False", "True", None],
        "text": [None, "x\ud800", None],
        "day": [None, "2020-01-01 00:00:00", None],
        "kind": ["v", "u", None],
        "complex": ["2j", "1j", None],
        "7": [0.5, 0.5, None],
    }


def test_metadata_says_which_column_it_is_about(encoder):
    price = pd.Series({"a": 1.0, "b": 2.0})
    hue = pd.DataFrame({"hue": {"red": 0.0}}).rename_axis("color")
    for metadata, expected in (
        ({"letter": price}, {"letter": ["Metadata"], "color": []}),
        (hue, {"letter": [], "color": ["hue"]}),
        ({"letter": price.rename("p"), "color": hue}, {"letter": ["p"], "color": ["hue"]}),
    ):
        columns = data_of(explore(encoder, metadata=metadata).to_html())["columns"]
        assert {c["name"]: [f["name"] for f in c["fields"]] for c in columns} == expected


@pytest.mark.parametrize(
    ("metadata", "error", "message"),
    [
        ({"letters": pd.Series({"a": 1})}, InvalidParameterError, "column 'letters', but"),
        (pd.Series({"a": 1}), InvalidParameterError, "must be a mapping from columns"),
        ({"letter": [1, 2]}, InvalidParameterError, "of column 'letter' must be a Series or Data"),
        ({"color": pd.Series({"a": 1})}, InvalidDataError, "has none of the categories of column"),
    ],
)
def test_metadata_that_does_not_fit_is_refused(encoder, metadata, error, message):
    with pytest.raises(error, match=message):
        explore(encoder, metadata=metadata)


def test_columns_are_chosen(encoder):
    for column, expected in (
        (None, ("letter", "color")),
        ("color", ("color",)),
        (["color", "letter"], ("color", "letter")),
    ):
        made = explore(encoder, column)
        assert isinstance(made, Explorer)
        assert made.columns == expected
        assert made.title == f"Embeddings of {', '.join(expected)}"
    frames = {name: pd.DataFrame(np.eye(2)) for name in "abcdef"}
    assert explore(frames).title == "Embeddings of a, b, c, d and 2 more"


def test_vectors_made_elsewhere(vectors):
    assert explore(vectors).columns == ("category",)
    assert explore(vectors, "word").columns == ("word",)
    assert explore({"w": vectors, 3: vectors}).columns == ("w", "3")
    assert explore({"w": vectors, 3: vectors}, 3).columns == ("3",)
    (column,) = data_of(explore(vectors).to_html())["columns"]
    assert column["counts"] is None
    assert column["targets"] == []
    counted = make_column(vectors, np.arange(18), np.ones((18, 2)), name="w")
    (column,) = data_of(explore(counted).to_html())["columns"]
    assert column["counts"] == list(range(18))
    assert [t["name"] for t in column["targets"]] == ["Target mean 1", "Target mean 2"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"column": "colour"}, "Did you mean 'color'"),
        ({"column": ["color", "color"]}, "each once"),
        ({"methods": ("pca", "lda")}, "`methods` must be of .* got 'lda'"),
    ],
)
def test_parameters_are_checked(encoder, arguments, message):
    with pytest.raises(InvalidParameterError, match=message):
        explore(encoder, **arguments)


def test_what_cannot_be_explored_is_refused(encoder, vectors, monkeypatch):
    with pytest.raises(NotFittedError):
        explore(EntityEmbeddingEncoder())
    with pytest.raises(InvalidParameterError, match="got Pipeline, which has none inside"):
        explore(make_pipeline("passthrough", StandardScaler()))
    with pytest.raises(InvalidParameterError, match="the name to give to the one column"):
        explore(vectors, ["a", "b"])
    with pytest.raises(InvalidDataError, match="must be finite"):
        explore(vectors / 0)
    monkeypatch.setattr(explorer, "_LARGEST", 10)
    with pytest.raises(InvalidParameterError, match="more than browsers open"):
        explore(vectors)


def test_names_stay_data(vectors):
    page = explore(vectors, title="</title><script>alert(3)</script>\ud800").to_html()
    (column,) = data_of(page)["columns"]
    assert column["names"] == NAMES
    assert "alert(1)" in page
    for tag in ("<script>alert", "<img src=x", "</title><script>alert"):
        assert tag not in page
    assert "&lt;/title&gt;&lt;script&gt;alert(3)&lt;/script&gt;?" in page
    assert page.encode("utf-8")
    text = json_for_html({"names": NAMES})  # cannot close its element
    assert not set("<>&\u2028\u2029\n") & set(text)
    assert text.isascii()
    assert json.loads(text) == {"names": NAMES}


def test_only_the_two_scripts_may_run(vectors, monkeypatch):
    page = explore(vectors).to_html()
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', page)
    policy = policy.replace("&#x27;", "'")
    assert "default-src 'none'" in policy
    assert "connect-src 'none'" in policy
    scripts = re.findall(r"<script>(.*?)</script>", page, flags=re.DOTALL)
    assert len(scripts) == 2
    for script in scripts:
        digest = base64.b64encode(sha256(script.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy
    assert "'unsafe-inline'" not in policy.partition("script-src")[2].partition(";")[0]
    # Scripts are as a parser hands them on.
    monkeypatch.setattr(page_module, "plotly_source", lambda: "'</script><!--'\r\nx\ry")
    assert "<script>'<\\/script><\\!--'\nx\ny</script>" in explore(vectors).to_html()


def test_the_same_data_make_the_same_file(encoder, tmp_path):
    first = explore(encoder, methods=["pca"]).save(tmp_path / "a.html")
    second = explore(encoder).save(str(tmp_path / "b.html"))
    assert first.read_bytes() == second.read_bytes()
    assert first.read_text(encoding="utf-8") == explore(encoder).to_html()


def test_a_failed_save_leaves_the_file_as_it_was(vectors, tmp_path, monkeypatch):
    path = tmp_path / "page.html"
    path.write_text("before")
    made = explore(vectors)

    def fail(*args):
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        made.save(path)
    assert path.read_text() == "before"
    assert [p.name for p in tmp_path.iterdir()] == ["page.html"]
    with pytest.raises(FileNotFoundError):
        made.save(tmp_path / "nowhere" / "page.html")


def test_a_notebook_shows_it_in_a_frame(vectors):
    made = explore(vectors, title='A "title" <b>', height=333)
    shown = made._repr_html_()
    assert shown.startswith('<iframe title="A &quot;title&quot; &lt;b&gt;"')
    assert "height:333px" in shown
    (content,) = re.findall(r"srcdoc='([^']*)'", shown)
    assert content.isascii()  # a notebook's encoding does not matter
    assert unescape(content) == made.to_html()
    assert "srcdoc='&amp;quot;\"&#39;&#252;'" in iframe("&quot;\"'\u00fc", "t", 1)
    assert repr(made) == "Explorer(columns=('category',), title='A \"title\" <b>')"


@pytest.fixture
def kernel(monkeypatch):
    """A function that runs a cell in a kernel: cells have an id, and each run is a new request."""
    parent, runs = {}, itertools.count()
    shell = SimpleNamespace(kernel=object(), get_parent=lambda: parent)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    monkeypatch.setattr(notebook, "_carrier", None)

    def run(cell, *made):
        parent.update(header={"msg_id": next(runs)}, metadata={"cellId": cell} if cell else {})
        return [explorer._repr_html_() for explorer in made]

    return run


def test_plotly_is_in_a_notebook_once_and_frames_are_small(vectors, kernel):
    made = explore(vectors)
    first, second = kernel("a", made, made)
    (third,) = kernel("b", made)
    assert first.startswith("<script>")
    assert first.endswith(second)
    assert third == second
    assert second.startswith("<iframe")
    assert len(second) < 150_000 < 1_500_000 < len(first) < 2_500_000
    # The frame's policy knows the plotly of the page.
    page = unescape(re.findall(r"srcdoc='([^']*)'", second)[0])
    policies = [re.findall(r"'sha256-[^']*'", unescape(p)) for p in (page, made.to_html())]
    assert policies[0] == policies[1]
    # A cell that is run again has a new output; another one does not take its place.
    assert kernel("b", made) == [third]
    assert kernel("a", made) == [first]


def test_cells_without_ids_and_outputs_that_are_pages_of_their_own(vectors, kernel, monkeypatch):
    made = explore(vectors)
    assert [len(kernel(None, made)[0]) > 1e6 for _ in range(3)] == [True, False, False]
    whole = iframe(made.to_html(), made.title, made.height)
    with monkeypatch.context() as patch:
        patch.setenv("DATABRICKS_RUNTIME_VERSION", "17")
        assert kernel("d", made) == [whole]
    monkeypatch.setitem(sys.modules, "google.colab", SimpleNamespace())
    assert kernel("c", made) == [whole]


def test_the_page_opens_on_the_largest_column_unless_columns_are_named(vectors):
    pairs = pd.DataFrame(np.eye(9), index=pd.MultiIndex.from_product([range(3), range(3)]))
    columns = {"a:b": pairs, "b": vectors.iloc[:2], "a": vectors, "c": vectors}
    assert data_of(explore(columns).to_html())["first"] == 2
    assert data_of(explore(columns, ["c", "a"]).to_html())["first"] == 0
    assert data_of(explore({"a:b": pairs}).to_html())["first"] == 0


def test_plotly_is_asked_for_before_the_work(vectors, monkeypatch):
    real = builtins.__import__

    def without_plotly(name, *args, **kwargs):
        if name.partition(".")[0] == "plotly":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_plotly)
    with pytest.raises(ImportError, match=r"pip install 'sk-entity-embed\[explore\]'"):
        explore(vectors, methods=("tsne",))


def test_kinds_have_the_colours_of_the_displays(vectors):
    page = explore(vectors).to_html()
    for theme in (LIGHT, DARK):
        assert json.dumps(theme.categorical) in page
        assert json.dumps({"other": theme.muted, "missing": theme.grid}) in page
    scripts = (Path(page_module.__file__).parent / "colours.js").read_text(encoding="utf-8")
    assert not set(LIGHT.categorical + DARK.categorical) & set(re.findall("#[0-9a-f]{6}", scripts))


def test_a_page_has_less_than_seven_bytes_for_each_number():
    vectors = np.random.default_rng(0).normal(size=(4000, 50))
    few, many = (len(explore(pd.DataFrame(vectors[:n])).to_html()) for n in (2, 4000))
    assert (many - few) / vectors.size < 7  # names and coordinates included
