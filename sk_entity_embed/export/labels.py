"""Categories as text: words without white space, cells of a tab-separated file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, time
from typing import Any
from urllib.parse import quote

MISSING_WORD, UNKNOWN_WORD, EMPTY_WORD = "<missing>", "<unknown>", "<empty>"
"""Words of the missing and the unknown vector and of the empty string."""

# Word2vec's readers split at white space and lines; lone surrogates have no UTF-8.
_NOT_IN_WORDS = re.compile(r"^<|[%\s\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_NOT_IN_CELLS = re.compile(r"[\\\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_SHORT = {"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"}


def text_of(category: Any) -> str:
    """A category as text; dates and times by ISO 8601."""
    return category.isoformat() if isinstance(category, date | time) else str(category)


def to_words(categories: Sequence[Any]) -> list[str]:
    """A word for each category, different for different ones.

    Parameters
    ----------
    categories : sequence
        Distinct categories.

    Returns
    -------
    list of str
        Not empty and without white space. Strings are escaped, others written by their text;
        where a column has both, others carry their type, as in ``<int>1``.
    """
    some_text = any(isinstance(category, str) for category in categories)
    taken: set[str] = set()
    words = []
    for category in categories:
        word = first = _word(category, some_text)
        repeats = 1
        while word in taken:
            repeats += 1
            word = f"{first}<{repeats}>"
        taken.add(word)
        words.append(word)
    return words


def escape_word(text: str) -> str:
    """Text as a word: percent-encoding of what a word cannot hold.

    :func:`urllib.parse.unquote` undoes it, but for the empty string. A first ``<`` is encoded as
    well, so that no category reads as one of the words with a meaning of their own.
    """
    if not text:
        return EMPTY_WORD
    return _NOT_IN_WORDS.sub(lambda m: quote(m[0], safe="", errors="surrogatepass"), text)


def escape_cell(text: str) -> str:
    """Text as a cell of a tab-separated file: backslash escapes of tabs, line ends and the like."""
    return _NOT_IN_CELLS.sub(lambda m: _SHORT.get(m[0]) or f"\\u{ord(m[0]):04x}", text)


def _word(category: Any, some_text: bool) -> str:
    if isinstance(category, str):
        return escape_word(category)
    word = escape_word(text_of(category))
    return f"<{type(category).__name__}>{word}" if some_text else word
