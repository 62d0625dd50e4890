"""Text of what is written: categories as words and cells, names of files, lines."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from datetime import date, time
from hashlib import sha256
from typing import Any, TypeAlias
from urllib.parse import quote

from sk_entity_embed._writing import Write

PathLike: TypeAlias = str | os.PathLike[str]

MISSING_WORD, UNKNOWN_WORD, EMPTY_WORD = "<missing>", "<unknown>", "<empty>"
"""Words of the missing and the unknown vector and of the empty string."""

# Word2vec's readers split at white space and lines; lone surrogates have no UTF-8.
_NOT_IN_WORDS = re.compile(r"^<|[%\s\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_NOT_IN_CELLS = re.compile(r"[\\\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_SHORT = {"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"}

_LONGEST = 80
_PLAIN = re.compile(rf"[A-Za-z0-9][A-Za-z0-9_-]{{0,{_LONGEST - 1}}}")
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)", re.IGNORECASE)
"""Names that Windows keeps for devices."""


def text_of(category: Any) -> str:
    """Return a category as text; dates and times by ISO 8601."""
    return category.isoformat() if isinstance(category, date | time) else str(category)


def to_words(categories: Sequence[Any]) -> list[str]:
    """Return a word without white space for each of distinct categories; all differ.

    Where a column has strings and others, the others carry their type, as in ``<int>1``.
    """
    some_text = any(isinstance(category, str) for category in categories)
    words: dict[str, None] = {}
    for category in categories:
        first = escape_word(category if isinstance(category, str) else text_of(category))
        if some_text and not isinstance(category, str):
            first = f"<{type(category).__name__}>{first}"
        word, repeats = first, 1
        while word in words:
            repeats += 1
            word = f"{first}<{repeats}>"
        words[word] = None
    return list(words)


def escape_word(text: str) -> str:
    """Return text as a word; :func:`urllib.parse.unquote` undoes all but ``<empty>``.

    A first ``<`` is encoded, too, so that no category reads as a word with a meaning of its own.
    """
    if not text:
        return EMPTY_WORD
    return _NOT_IN_WORDS.sub(lambda m: quote(m[0], safe="", errors="surrogatepass"), text)


def escape_cell(text: str) -> str:
    """Return text as a cell of a tab-separated file: tabs, line ends and the like are escaped."""
    return _NOT_IN_CELLS.sub(lambda m: _SHORT.get(m[0]) or f"\\u{ord(m[0]):04x}", text)


def is_encodable(text: str) -> bool:
    """Whether text has no lone surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def as_lines(lines: Iterable[str]) -> Write:
    """Return what writes lines of text as UTF-8, each ended by one newline."""
    return lambda file: file.writelines(f"{line}\n".encode() for line in lines)


def file_names(columns: Sequence[str]) -> list[str]:
    """Return a file name without extension for each column, safe on every file system.

    Names differ even where upper and lower case do not: by a checksum where the column's name is
    not plain, or another one differs in case only.
    """
    folded = [column.casefold() for column in columns]
    names = []
    for column, fold in zip(columns, folded, strict=True):
        if _PLAIN.fullmatch(column) and not _RESERVED.fullmatch(column) and folded.count(fold) == 1:
            names.append(column)
        else:
            kept = re.sub(r"[^A-Za-z0-9]+", "-", column)[:_LONGEST].strip("-") or "column"
            checksum = sha256(column.encode(errors="surrogatepass")).hexdigest()[:12]
            names.append(f"{kept}-{checksum}")
    return names
