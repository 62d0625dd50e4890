"""Names of files that any file system takes, and lines of text in them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import TypeAlias

from sk_entity_embed._writing import Write

PathLike: TypeAlias = str | os.PathLike[str]

_LONGEST = 80
_PLAIN = re.compile(rf"[A-Za-z0-9][A-Za-z0-9_-]{{0,{_LONGEST - 1}}}")
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)", re.IGNORECASE)


def file_names(columns: Sequence[str]) -> list[str]:
    """A file name without extension for each column.

    Parameters
    ----------
    columns : sequence of str
        Any names.

    Returns
    -------
    list of str
        The name itself where it is of ASCII letters, digits, ``-`` and ``_``; else what is left
        of it and a checksum, so that names differ even where upper and lower case do not.
    """
    folded = [column.casefold() for column in columns]
    return [
        column if _is_plain(column) and folded.count(fold) == 1 else _with_checksum(column)
        for column, fold in zip(columns, folded, strict=True)
    ]


def as_lines(lines: Iterable[str]) -> Write:
    """What writes lines of text as UTF-8, each ended by one newline."""
    return lambda file: file.writelines(f"{line}\n".encode() for line in lines)


def _is_plain(name: str) -> bool:
    return bool(_PLAIN.fullmatch(name)) and not _RESERVED.fullmatch(name)


def _with_checksum(name: str) -> str:
    """What is left of a name, and a checksum of all of it."""
    kept = re.sub(r"[^A-Za-z0-9]+", "-", name)[:_LONGEST].strip("-") or "column"
    return f"{kept}-{sha256(name.encode(errors='surrogatepass')).hexdigest()[:12]}"
