"""summary() and report(): what was learned, at a glance."""

from __future__ import annotations

import gc
import json
import pickle
import re
import threading
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import log_loss
from sklearn.pipeline import make_pipeline

from sk_entity_embed import EntityEmbeddingClassifier, EntityEmbeddingRegressor, export
from sk_entity_embed._summary import shares
from sk_entity_embed._summary.shares import last_rows
from sk_entity_embed.exceptions import InvalidDataError, UnfinishedTrainingWarning
from sk_entity_embed.inspection import report
from tests.samples import make_encoder, make_rows

HEAD = {"hidden_layer_sizes": (8,), "max_iter": 8, "random_state": 0}


@pytest.fixture(scope="module")
def encoder(rows):
    return make_encoder(**HEAD, min_frequency=2).fit(*gappy(*rows))


def gappy(X, y):
    """The rows with a rare category, and missing cells."""
    X = X.copy()
    X.loc[X.index[0], "letter"] = "once"
    X.loc[X.index[:24], "color"] = None
    return X, y


def column(summary, name):
    return next(f for f in summary.to_dict()["columns"] if f["name"] == name)


# What it says


def test_columns_have_their_cardinality_width_and_shares_of_fit(encoder):
    summary = encoder.summary()
    letter, color = column(summary, "letter"), column(summary, "color")
    assert (letter["cardinality"], color["cardinality"]) == (6, 3)
    assert {f.name: f.width for f in summary.columns} == encoder.dimensions_
    assert letter["fit"] == {"rare": 1 / 240, "missing": 0.0, "unknown": 0.0}
    assert color["fit"] == {"rare": 0.0, "missing": 0.1, "unknown": 0.0}
    assert letter["last"] is None
    assert (summary.n_rows, summary.context) == (240, ("size",))


def test_shares_are_those_of_the_last_transform_or_of_given_rows(rows, container):
    X, y = container(rows[0].to_dict("list")), rows[1]
    encoder = make_encoder(max_iter=1).fit(X, y)
    new = {"letter": ["a", "b", "new", None], "color": ["red"] * 4, "size": [0.5] * 4}
    encoder.transform(container(new))
    assert encoder.summary().columns[0].last.unknown == 2
    assert encoder.summary().n_last == 4
    encoder.transform(X)
    assert encoder.summary().columns[0].last.unknown == 0
    assert encoder.summary(container(new)).columns[0].last.unknown == 2
    assert encoder.summary().n_last == 240  # which summary(X) does not replace
    encoder.fit(X, y)
    assert encoder.summary().n_last is None


def test_what_is_remembered_is_no_part_of_the_estimator(rows):
    X, y = rows
    model = EntityEmbeddingRegressor(**HEAD).fit(X, y)
    before = joblib.hash(model), dict(vars(model)), pickle.dumps(model)
    model.predict(X)
    assert model.summary().n_last == 240
    assert (joblib.hash(model), pickle.dumps(model)) == (before[0], before[2])
    assert vars(model).keys() == before[1].keys()
    assert pickle.loads(pickle.dumps(model)).summary().n_last is None
    with pytest.raises(NotFittedError):
        clone(model).summary()


def test_threads_do_not_mix_their_rows(rows):
    X, y = rows
    encoder = make_encoder(max_iter=1).fit(X, y)
    tables = [X.iloc[:n].assign(letter=["new"] * k + ["a"] * (n - k)) for n, k in ((9, 9), (50, 0))]
    expected = set()
    for table in tables:
        encoder.transform(table)
        expected.add(last_rows(encoder))
    found = set()

    def work(table):
        for _ in range(30):
            encoder.transform(table)
            found.add(last_rows(encoder))

    threads = [threading.Thread(target=work, args=(table,)) for table in tables]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == expected


def test_files_that_are_transformed_are_counted_as_one(rows, tmp_path):
    X, y = rows
    encoder = make_encoder(max_iter=1).fit(X, y)
    blocks = [X.iloc[:100], X.iloc[100:].assign(letter="new")]
    encoder.transform_batches(blocks, tmp_path / "out")
    assert encoder.summary().n_last == 240
    assert column(encoder.summary(), "letter")["last"]["unknown"] == pytest.approx(140 / 240)


# Importance


def test_importance_is_the_rise_of_the_loss_where_a_column_is_unknown():
    X, y = make_rows(600)
    labels = np.where(y > 0, "late", "early")
    model = EntityEmbeddingClassifier(interactions=[("letter", "color")], **HEAD)
    model.fit(X[:400], labels[:400])
    new, target = X[400:], labels[400:]
    summary = model.summary(new, target)
    usual = log_loss(target, model.predict_proba(new))
    assert summary.loss == pytest.approx(usual, rel=1e-5)
    assert (summary.n_judged, summary.loss_rows) == (200, "given")
    for name in ("letter", "color"):  # with the pair, which is unknown then, too
        without = log_loss(target, model.predict_proba(new.assign(**{name: "unseen"})))
        found = column(summary, name)["importance"]["rise"]
        assert found == pytest.approx(without / usual - 1, rel=1e-5), name
    assert "A pair's vectors hold what the pair adds beyond its two columns." in str(summary)
    pair = column(summary, "letter:color")
    assert pair["importance"]["rise"] != column(summary, "letter")["importance"]["rise"]
    assert (pair["pair"], pair["gain"]) == (["letter", "color"], model._model.gains[0])


@pytest.mark.parametrize(
    ("params", "n_judged"),
    [
        ({}, 240),
        ({"n_members": 2}, 240),
        ({"head": "dot"}, 24),
        ({"cross_fit": False}, 24),
        ({"early_stopping": False}, 240),
        ({"head": "dot", "early_stopping": False}, 0),
        ({"cross_fit": False, "early_stopping": False}, 0),
    ],
    ids=str,
)
def test_fit_judges_columns_by_rows_that_nothing_has_learned_from(rows, params, n_judged):
    X, y = rows
    summary = make_encoder(**{**HEAD, **params, "max_iter": 2}).fit(X, y).summary()
    assert summary.n_judged == n_judged
    assert (summary.loss is None) == (n_judged == 0)
    assert ("summary(X, y) measures it" in str(summary)) == (n_judged == 0)


def test_importances_of_fit_are_out_of_fold():
    """An id of each row tells of it where its vector has seen the row, and nothing where not."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"id": [f"{i}" for i in range(300)], "noise": rng.choice(["a", "b"], 300)})
    y = rng.normal(size=300)
    settings = {"head": "mlp", "alpha": 0.0, "early_stopping": False, **HEAD, "max_iter": 40}
    model = EntityEmbeddingRegressor(learning_rate_init=0.05, interactions=None, **settings)
    model.fit(X, y)
    honest, seen = model.summary().columns[0], model.summary(X, y).columns[0]
    assert seen.importance.rise > 0.2
    assert abs(honest.importance.rise) < 0.05


def test_the_loss_is_that_of_validation_whatever_the_link(rows):
    X, y = rows
    for params in ({"y_range": (-9, 9)}, {"loss": "huber"}, {}):
        model = EntityEmbeddingRegressor(**{**HEAD, "max_iter": 3}, **params).fit(X, y)
        best = model.validation_loss_curve_[model.best_iteration_ - 1]
        assert model.summary().loss == pytest.approx(best, rel=0.02), params


def test_squared_errors_have_a_root_in_the_units_of_y(rows):
    X, y = rows
    model = EntityEmbeddingRegressor(**HEAD).fit(X, 1e5 * y)
    summary = model.summary(X, 1e5 * y)
    error = np.sqrt(np.mean((model.predict(X) - 1e5 * y) ** 2))
    assert summary.to_dict()["root"] == pytest.approx(error, rel=1e-5)
    assert f", root {summary.root:,.0f} (units of y), on 240 given rows" in str(summary)
    huber = EntityEmbeddingRegressor(loss="huber", **HEAD).fit(X, y).summary(X, y)
    assert huber.root is None
    assert "root" not in str(huber)


def test_outputs_count_alike_in_importances(rows):
    X, y = rows
    both = np.column_stack([1000 * (X["color"] == "red"), y])
    model = EntityEmbeddingRegressor(**{**HEAD, "max_iter": 30}).fit(X, both)
    letter, color = (f.importance.rise for f in model.summary(X, both).columns)
    assert letter > 0.2 * color  # though its output is a millionth of the loss in y's own units


def test_rows_and_target_are_checked(encoder, rows):
    X, y = rows
    with pytest.raises(InvalidDataError, match="pass X, too"):
        encoder.summary(y=y)
    with pytest.raises(InvalidDataError, match="inconsistent numbers of samples"):
        encoder.summary(X, y[:-1])
    with pytest.raises(InvalidDataError, match=r"y has 2 column\(s\), but had 1 in fit"):
        encoder.summary(X, np.column_stack([y, y]))
    classifier = EntityEmbeddingClassifier(**{**HEAD, "max_iter": 1}).fit(X, y > 0)
    with pytest.raises(InvalidDataError, match="the `classes` of fit"):
        classifier.summary(X, np.full(len(y), 7))


# Nearest pairs, lists, parts


def test_pairs_of_frequent_categories_are_near_where_the_target_is():
    rng = np.random.default_rng(1)
    effects = {"a": 0.0, "b": 0.05, "c": 3.0, "d": 3.05, "e": -5.0}
    X = pd.DataFrame({"x": rng.choice([*effects], 600)})
    y = X["x"].map(effects).to_numpy() + 0.05 * rng.normal(size=600)
    model = EntityEmbeddingRegressor(**{**HEAD, "max_iter": 40}).fit(X, y)
    pairs = model.summary().columns[0].nearest
    assert {frozenset((p.first, p.second)) for p in pairs} == {frozenset("ab"), frozenset("cd")}
    assert all(p.distance < 0.5 for p in pairs)


def test_lists_are_counted_by_items(rows):
    _, y = rows
    tags = [["a", "b"], [], ["a"], None] * 60
    encoder = make_encoder(max_iter=1).fit(pd.DataFrame({"tags": tags}), y)
    encoder.transform(pd.DataFrame({"tags": [["a", "new", "new", "b"]]}))
    facts = column(encoder.summary(), "tags")
    assert facts["is_list"]
    assert encoder.summary().n_rows is None
    assert facts["last"]["unknown"] == 0.5
    assert "1 embedded column (1 of lists)" in str(encoder.summary())


def test_rows_in_parts_have_a_summary(rows):
    X, y = rows
    encoder = make_encoder(max_iter=2, target_type="continuous")
    encoder.partial_fit(X[:120], y[:120])
    encoder.transform(X)
    encoder.partial_fit(X[120:], y[120:])
    summary = encoder.summary()
    assert (summary.n_rows, summary.n_last) == (240, None)
    assert summary.columns[0].importance is not None


def test_rows_from_files_have_a_summary(rows):
    X, y = rows
    blocks = [X.assign(y=y).iloc[at : at + 60] for at in range(0, 240, 60)]
    for head, n_judged in (("mlp", 240), ("dot", None)):
        encoder = make_encoder(head=head).fit_batches(blocks, y="y", rows_in_memory=80)
        summary = encoder.summary()
        assert summary.n_rows == 240
        assert (summary.n_judged == n_judged) if n_judged else 0 < summary.n_judged < 60
        assert summary.columns[0].importance is not None


# Warnings


def test_warnings_tell_what_to_do(rows):
    X, y = rows
    many = [f"{i if i < 60 else 60 + i % 40}" for i in range(240)]  # 60 seen once, 40 often
    X = X.assign(id=[f"{i}" for i in range(240)], rare=many)
    encoder = make_encoder().fit(X, y)
    encoder.transform(X.assign(letter=["new"] * 100 + [None] * 140))
    texts = [str(warning) for warning in encoder.summary().warnings]
    assert any(re.match("id looks like an id: it has 240 categories in 240 rows", t) for t in texts)
    once = "Most categories of rare were seen once: 60 of 100. min_frequency=2"
    assert any(t.startswith(once) for t in texts)
    assert any("100 % of the new cells of letter are unknown" in t for t in texts)
    quiet = make_encoder(min_frequency=9).fit(X, y)
    texts = [str(warning) for warning in quiet.summary().warnings]
    assert not any("once" in t or "new cells" in t for t in texts)
    assert any(t.startswith("100 % of the rows have rare categories of rare") for t in texts)


def test_a_fit_that_the_budget_ended_says_so():
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 40, 800)
    X, y = pd.DataFrame({"c": [f"c{i}" for i in codes]}), rng.standard_normal(40)[codes]
    encoder = EntityEmbeddingRegressor(**{**HEAD, "max_iter": 6})
    with pytest.warns(UnfinishedTrainingWarning):
        encoder.fit(X, y)
    summary = encoder.summary()
    assert summary.ending == "budget"
    assert summary.warnings[0].advice == "Try max_iter=12."
    assert "max_iter ended it" in str(summary)


def test_a_column_without_use_is_named():
    X, y = make_rows(3000)
    X = X.assign(noise=np.random.default_rng(1).choice(["u", "v"], 3000))
    settings = {**HEAD, "max_iter": 30, "interactions": None}
    summary = EntityEmbeddingRegressor(**settings).fit(X, y).summary()
    found = next(a for a in summary.warnings if "rises by less than" in a.found)
    assert found.columns == ("noise",)


def test_one_row_proves_nothing(rows):
    X, y = rows
    model = EntityEmbeddingRegressor(**HEAD).fit(X, y)
    summary = model.summary(X[:1], y[:1])
    assert np.isnan([f.importance.error for f in summary.columns]).all()
    assert not any("rises by less than" in a.found for a in summary.warnings)
    text = str(summary)
    assert "on 1 given row\n" in text
    assert "in the 1 row given" in " ".join(text.split())
    assert "nan" not in text + summary.to_markdown() + summary._repr_html_()
    assert summary.to_dict()["columns"][0]["importance"]["standard_error"] is None


@pytest.mark.filterwarnings("ignore:(overflow|invalid value) encountered:RuntimeWarning")
def test_an_infinite_loss_has_no_importances(rows):
    X, y = rows
    far = np.where(np.arange(len(y)) == 0, 1e300, y)
    summary = EntityEmbeddingRegressor(**HEAD).fit(X, y).summary(X, far)
    assert [f.importance for f in summary.columns] == [None, None]
    assert "nan" not in str(summary) + summary._repr_html_()


# Forms


TRICKY = ["</style><script>", "a|b\n*c*", "\ud800", "", "(x)"]


@pytest.fixture(scope="module")
def tricky():
    rng = np.random.default_rng(0)
    cells = pd.Series([TRICKY[i] for i in rng.integers(0, len(TRICKY), 100)], dtype=object)
    X = pd.DataFrame({"a<b>|c": cells, "n": pd.Categorical(rng.choice([1, 2, 3], 100))})
    return make_encoder(max_iter=1).fit(X, rng.normal(size=100))


class Checker(HTMLParser):
    """Collects tags, and checks that they are closed in order."""

    def __init__(self):
        super().__init__()
        self.open, self.tags = [], set()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.add(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_html_is_well_formed_without_scripts_or_network(tricky, tmp_path):
    report(tricky, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    for html in (tricky.summary()._repr_html_(), page):
        checker = Checker()
        checker.feed(html)
        assert checker.open == []
        assert checker.tags.isdisjoint({"script", "img", "link", "iframe"})
        assert not re.search(r"https?:|url\(|@import", html)
    assert "&lt;/style&gt;&lt;script&gt;" in page
    assert len(page) < 20_000
    svg = re.search("<svg.*?</svg>", page).group()
    assert len(ET.fromstring(svg).findall("polyline")) == 2


def test_markdown_keeps_its_table_whatever_categories_are(tricky):
    lines = tricky.summary().to_markdown().splitlines()
    table = [line for line in lines if line.startswith("|")]
    assert len(table) == 2 + len(tricky.summary().columns)
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in table} == {9}


def test_markdown_shows_characters_of_html_as_they_are():
    X, y = pd.DataFrame({"&lt;": list("abc") * 20}), np.arange(60) + 0.5
    found = make_encoder(max_iter=1).fit(X, y).summary().to_markdown()
    assert "| \\&lt; |" in found


def test_summaries_can_be_in_sets_and_compared(encoder, rows):
    one, other = encoder.summary(), make_encoder(max_iter=1).fit(*rows).summary()
    assert len({one, other}) == 2
    assert one != other


def test_the_dict_is_json_and_comes_back_from_files(tricky, encoder, tmp_path):
    for fitted in (tricky, encoder):
        found = json.loads(json.dumps(pickle.loads(pickle.dumps(fitted)).summary().to_dict()))
        export.save(fitted, tmp_path / "saved")
        assert export.load(tmp_path / "saved").summary().to_dict() == found
        json.dumps(found, allow_nan=False).encode()


def test_estimators_of_before_have_a_summary_without_importances(rows):
    encoder = make_encoder(max_iter=1).fit(*rows)
    del encoder._record
    summary = encoder.summary()
    assert (summary.ending, summary.loss) == (None, None)
    assert repr(summary) == str(summary)


def test_numbers_alone_have_a_summary(rows):
    X, y = rows
    model = EntityEmbeddingRegressor(**{**HEAD, "max_iter": 2}).fit(X[["size"]], y)
    assert "0 embedded columns; numbers as context: size" in str(model.summary())
    assert "<table" not in model.summary()._repr_html_()


def test_many_columns_are_cut_by_importance():
    rng = np.random.default_rng(0)
    X = pd.DataFrame({f"c{j}": rng.choice(["a", "b", "c"], 300) for j in range(33)})
    y = 3.0 * (X["c32"] == "a")
    model = EntityEmbeddingRegressor(**{**HEAD, "interactions": None}).fit(X, y)
    text = str(model.summary())
    assert re.search(r"^column .*\nc32 ", text, re.MULTILINE)
    assert "3 columns are not shown" in text
    assert len(model.summary().to_dict()["columns"]) == 33


def test_a_page_of_a_subclass_names_parameters_without_a_default(rows, tmp_path):
    class Noted(EntityEmbeddingRegressor):
        def __init__(self, note, max_iter=5):
            super().__init__(max_iter=max_iter)
            self.note = note

    report(Noted("<of May>").fit(*rows), tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<code>note=&#x27;&lt;of May&gt;&#x27;</code>" in page


def test_a_failed_report_leaves_the_file_as_it_was(encoder, rows, tmp_path):
    path = tmp_path / "page.html"
    path.write_text("before")
    with pytest.raises(InvalidDataError, match="pass X, too"):
        report(encoder, path, y=rows[1])
    assert [p.name for p in tmp_path.iterdir()] == ["page.html"]
    assert path.read_text() == "before"


def test_rows_for_a_pipeline_pass_the_steps_before(rows, tmp_path):
    X, y = rows
    pipeline = make_pipeline("passthrough", EntityEmbeddingRegressor(**HEAD)).fit(X, y)
    report(pipeline, tmp_path / "page.html", X.assign(letter="new"), y)
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "100 % of the new cells of letter are unknown" in page
    assert "on 240 given rows" in page
    assert "Step &#x27;entityembeddingregressor&#x27; of a Pipeline" in page


def test_the_picture_of_a_fitted_estimator_points_to_the_summary(encoder):
    assert "<code>summary()</code>" in encoder._repr_mimebundle_()["text/html"]
    assert "summary()" not in clone(encoder)._repr_mimebundle_()["text/html"]


def test_last_rows_belong_to_one_estimator_and_go_with_it(rows):
    class Equal(EntityEmbeddingRegressor):  # an estimator that equals others, and has no hash
        def __eq__(self, other):
            return isinstance(other, Equal)

        __hash__ = None

    X, y = rows
    one, other = (Equal(max_iter=1, random_state=0).fit(X, y) for _ in range(2))
    n_before = len(shares._LAST)
    one.predict(X[:7])
    assert (last_rows(one).n_rows, last_rows(other)) == (7, None)
    del one
    gc.collect()
    assert len(shares._LAST) <= n_before
