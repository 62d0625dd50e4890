"""Categories as words and as cells."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time
from urllib.parse import unquote

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sk_entity_embed.export._text import (
    EMPTY_WORD,
    MISSING_WORD,
    UNKNOWN_WORD,
    escape_cell,
    escape_word,
    to_words,
)

MARKED = ["<missing>", "<unknown>", "<empty>", "<int>1", "%3Cmissing%3E", "%", "%%", " ", "\u3000"]


@given(st.text(st.characters(exclude_categories=[])) | st.sampled_from(MARKED))
def test_words_come_back(text):
    word = escape_word(text)
    assert word.split() == [word]
    assert word not in (MISSING_WORD, UNKNOWN_WORD)
    assert word.encode().decode() == word
    if text:
        assert word != EMPTY_WORD
        assert unquote(word, errors="surrogatepass") == text
    else:
        assert word == EMPTY_WORD


@settings(max_examples=25)
@given(st.lists(st.text() | st.integers() | st.floats(allow_nan=False), unique=True))
def test_different_categories_have_different_words(categories):
    assert len(set(to_words(categories))) == len(categories)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_cells_come_back_and_break_no_line(text):
    cell = escape_cell(text)
    assert not set(cell) & set("\t\n\r\0\x1c\x85\u2028\u2029")
    assert cell.splitlines() in ([cell], [])
    back = {"\\\\": "\\", r"\t": "\t", r"\n": "\n", r"\r": "\r"}
    undone = re.sub(
        r"\\(u....|.)", lambda m: back.get(m[0]) or chr(int(m[0].removeprefix(r"\u"), 16)), cell
    )
    assert undone == text


@pytest.mark.parametrize(
    ("categories", "words"),
    [
        (["plain", "a b", "50%", "a<b", "<b>"], ["plain", "a%20b", "50%25", "a<b", "%3Cb>"]),
        (["", "<empty>"], ["<empty>", "%3Cempty>"]),
        ([1, 2.5, True], ["1", "2.5", "True"]),
        (list(np.array([0.1, 2], dtype=np.float32)), ["0.1", "2.0"]),
        ([1, "1", "<int>1"], ["<int>1", "1", "%3Cint>1"]),
        ([date(2020, 1, 2), time(3)], ["2020-01-02", "03:00:00"]),
        ([datetime(2020, 1, 2, 3, tzinfo=UTC)], ["2020-01-02T03:00:00+00:00"]),
        ([(1, "a b")], ["(1,%20'a%20b')"]),
        ([1, np.str_("x")], ["<int>1", "x"]),
    ],
)
def test_words_of(categories, words):
    assert to_words(categories) == words


def test_values_that_print_alike():
    class Same:
        def __str__(self):
            return "same"

    assert to_words([Same(), Same(), Same()]) == ["same", "same<2>", "same<3>"]
