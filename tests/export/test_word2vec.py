"""Files of word2vec: gensim reads what was written."""

from __future__ import annotations

import warnings
from datetime import date
from urllib.parse import unquote

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError

from sk_entity_embed import EntityEmbeddingEncoder
from sk_entity_embed.exceptions import InvalidParameterError
from sk_entity_embed.export import to_word2vec
from tests.export.fitted import make_list_encoder, make_list_rows
from tests.samples import make_encoder

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # gensim's imports use what SciPy and Python deprecate
    from gensim.models import KeyedVectors

TEXTS = ["plain", "New York", "a\tb", "x\ny", "", "<missing>", "<unknown>", "<empty>", "50%", "%25"]
TEXTS += ["\u00a0", "漢字", "\u2028", "\x85", "\ufeff", "</s>", "a" * 3000, "\r", "\0", "1 2"]


def fit(values, counts=None, **params):
    """An encoder of the column "x" of these values, as often as `counts` says, and more."""
    cells = np.fromiter(values, dtype=object, count=len(values))
    cells = np.repeat(cells, 10 if counts is None else counts)
    X = pd.DataFrame({"x": pd.Series(cells, dtype=object), "y": ["a", "b"] * (len(cells) // 2)})
    params = {"categorical_features": "all", "dimensions": 5, "cv": 2} | params
    return make_encoder(**params).fit(X, np.random.default_rng(0).normal(size=len(X)))


def vector_of(encoder, category):
    """What transform gives for a category of "x"."""
    x = pd.Series(np.fromiter([category], dtype=object, count=1), dtype=object)
    return encoder.transform(pd.DataFrame({"x": x, "y": ["a"]}))[0, :5]


@pytest.fixture(scope="module")
def encoder():
    return fit([*TEXTS, None], counts=range(4, 2 * (len(TEXTS) + 1) + 4, 2))


def test_both_files_change_together(encoder, tmp_path):
    path, vocab = tmp_path / "x.w2v", tmp_path / "x.vocab"
    to_word2vec(encoder, "x", path, vocab_path=vocab)
    before = path.read_bytes(), vocab.read_bytes()
    with pytest.raises(FileNotFoundError, match="no such folder"):
        to_word2vec(fit(["a", "b"]), "x", path, vocab_path=tmp_path / "nothing" / "x.vocab")
    (tmp_path / "link").symlink_to(path)
    for same in (path, tmp_path / "link"):
        with pytest.raises(InvalidParameterError, match="`vocab_path` and `path` are the same"):
            to_word2vec(fit(["a", "b"]), "x", path, vocab_path=same)
    assert (path.read_bytes(), vocab.read_bytes()) == before


@pytest.mark.parametrize("binary", [False, True])
def test_gensim_reads_the_vectors(encoder, binary, tmp_path):
    path, vocab = tmp_path / "x.w2v", str(tmp_path / "x.vocab")
    words = to_word2vec(encoder, "x", path, binary=binary, vocab_path=vocab)
    vectors = KeyedVectors.load_word2vec_format(str(path), binary=binary, fvocab=vocab)
    assert vectors.index_to_key == list(words)
    assert len(words) == len(TEXTS) + 2
    counts = dict(zip(encoder.categories_["x"], encoder.category_counts_["x"], strict=True))
    for word, category in words.items():
        expected = vector_of(encoder, "never seen" if word == "<unknown>" else category)
        np.testing.assert_array_equal(vectors[word], expected)
        if isinstance(category, str):
            assert vectors.get_vecattr(word, "count") == counts[category]
            assert unquote(word) == category or (word, category) == ("<empty>", "")
    assert vectors.get_vecattr("<unknown>", "count") == 0
    shown = [vectors.get_vecattr(word, "count") for word in words]
    assert shown == sorted(shown, reverse=True)
    assert words["<unknown>"] is None
    assert np.isnan(words["<missing>"])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["x.vocab", "x.w2v"]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([0.1, 2.0], {"0.1": 0.1, "2.0": 2.0}),
        ([date(2020, 1, 2), date(2021, 1, 2)], {"2020-01-02": date(2020, 1, 2)}),
        ([1, "1"], {"<int>1": 1, "1": "1"}),
    ],
    ids=str,
)
def test_categories_that_are_no_strings(values, words, tmp_path):
    encoder = fit(values)
    found = to_word2vec(encoder, "x", tmp_path / "x")
    assert found.items() >= words.items()
    vectors = KeyedVectors.load_word2vec_format(tmp_path / "x")
    for word, category in words.items():
        np.testing.assert_array_equal(vectors[word], vector_of(encoder, category))


@pytest.mark.parametrize("binary", [False, True])
def test_extreme_numbers_keep_all_digits(binary, tmp_path):
    random = np.random.default_rng(0)
    bits = random.integers(0, 2**32, (40, 5), dtype=np.uint32)
    given = np.where((bits >> 23) % 256 == 255, 0.0, bits.view(np.float32))
    given = np.clip(given, -1e6, 1e6).astype(np.float32)  # fit sums squares
    names = [f"w{i}" for i in range(40)]
    frame = pd.DataFrame(given, index=names)
    encoder = fit(names, init={"x": frame}, freeze=["x"], handle_unknown="error")
    to_word2vec(encoder, "x", tmp_path / "x", binary=binary)
    vectors = KeyedVectors.load_word2vec_format(tmp_path / "x", binary=binary)
    np.testing.assert_array_equal(vectors[names], encoder.embeddings_["x"].loc[names])


@pytest.mark.parametrize(("policy", "there"), [("zero", True), ("nan", False), ("error", False)])
def test_the_unknown_word_follows_the_policy(policy, there, tmp_path):
    encoder = fit(["a", "b"], handle_unknown=policy)
    words = to_word2vec(encoder, "x", tmp_path / "x")
    assert ("<unknown>" in words) == there
    assert "<missing>" not in words
    if there:
        vectors = KeyedVectors.load_word2vec_format(tmp_path / "x")
        np.testing.assert_array_equal(vectors["<unknown>"], vector_of(encoder, "z"))


def test_bad_parameters(encoder, tmp_path):
    with pytest.raises(InvalidParameterError, match="must name one of the embedded columns"):
        to_word2vec(encoder, None, tmp_path / "x")
    with pytest.raises(InvalidParameterError, match="`column` is 'z'"):
        to_word2vec(encoder, "z", tmp_path / "x")
    with pytest.raises(NotFittedError):
        to_word2vec(EntityEmbeddingEncoder(), "x", tmp_path / "x")
    with pytest.raises(FileNotFoundError):
        to_word2vec(encoder, "x", tmp_path / "no" / "x")
    assert not list(tmp_path.iterdir())


def test_items_of_lists_are_words(tmp_path):
    encoder = make_list_encoder().fit(*make_list_rows())
    words = to_word2vec(encoder, "mean", tmp_path / "x.txt", vocab_path=tmp_path / "x.vocab")
    assert list(words) == ["a", "b", "<missing>", "c", "<unknown>"]
    assert (tmp_path / "x.vocab").read_text().split()[1::2] == ["48", "48", "48", "24", "0"]
    vectors = KeyedVectors.load_word2vec_format(str(tmp_path / "x.txt"))
    np.testing.assert_array_equal(vectors["c"], encoder.embeddings_["mean"].loc["c"])
