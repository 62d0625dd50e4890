"""Vectors in the format of word2vec, which gensim and many viewers read."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sk_entity_embed._writing import Write, write_set
from sk_entity_embed.exceptions import InvalidParameterError
from sk_entity_embed.export._served import lookup_of
from sk_entity_embed.export._text import (
    MISSING_WORD,
    UNKNOWN_WORD,
    PathLike,
    as_lines,
    to_words,
)

__all__ = ["to_word2vec"]

_WORDS = {"missing": MISSING_WORD, "unknown": UNKNOWN_WORD}


def to_word2vec(
    encoder: Any,
    column: str | None,
    path: PathLike,
    *,
    binary: bool = False,
    vocab_path: PathLike | None = None,
) -> dict[str, Any]:
    """Write the vectors of one column in the format of word2vec.

    To read them, call ``gensim.models.KeyedVectors.load_word2vec_format(path, binary=binary)``.

    Parameters
    ----------
    encoder : EntityEmbeddingEncoder
        A fitted encoder, or a fitted pipeline that holds one such step.
    column : str or None
        Name of the column; None if there is only one.
    path : str or path-like
        File to write. An existing file is replaced atomically, together with that at `vocab_path`.
    binary : bool, default=False
        True if the file should be binary. Both formats keep all digits of float32.
    vocab_path : str or path-like, default=None
        File for the number of training rows of each word. Give it to gensim's reader as `fvocab`.
        Without it, gensim invents counts.

    Returns
    -------
    dict
        The category of each word, in the order of the file: the most frequent one first. None
        stands for unknown, NaN for missing.

    Raises
    ------
    InvalidParameterError
        If `encoder` is not an estimator of this package, the column does not exist, or `path` and
        `vocab_path` are the same file.
    sklearn.exceptions.NotFittedError
        If it is not fitted.

    See Also
    --------
    to_projector : Write files for the TensorFlow embedding projector.

    Notes
    -----
    Words cannot contain white space, so categories are percent-encoded: white space, control
    characters, ``%`` and a first ``<`` become ``%20``, ``%0A``, ``%25``, ``%3C`` and so on.
    :func:`urllib.parse.unquote` decodes them. Categories that are not strings are written as
    Python prints them, and dates in ISO 8601. If the column holds strings, too, they carry their
    type, as in ``<int>1``.

    Three words are special. ``<empty>`` is the empty string. ``<missing>`` is written if missing is
    a category, unless ``handle_missing`` is "nan". ``<unknown>`` is the vector of all other
    categories; it is written unless ``handle_unknown`` is "error" or "nan". Infrequent categories
    are words with the vector they share.

    For a column of lists, the words are the items, with the items' vectors and counts. The biases
    of ``head="dot"`` are left out, since the format is for coordinates.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> import pandas as pd
    >>> from sk_entity_embed import EntityEmbeddingEncoder
    >>> from sk_entity_embed.export import to_word2vec
    >>> X = pd.DataFrame({"city": ["Oslo", "New York"] * 50})
    >>> encoder = EntityEmbeddingEncoder(dimensions=2, max_iter=1, random_state=0)
    >>> encoder = encoder.fit(X, np.arange(100) + 0.5)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     words = to_word2vec(encoder, "city", Path(folder, "city.txt"))
    ...     first_line = Path(folder, "city.txt").read_text().splitlines()[0]
    >>> words
    {'New%20York': 'New York', 'Oslo': 'Oslo', '<unknown>': None}
    >>> first_line
    '3 2'
    """
    lookup = lookup_of(encoder, column)
    shown = lookup.shown()
    words = to_words([category for kind, category, *_ in shown if kind not in _WORDS])
    words += [_WORDS[kind] for kind, *_ in shown if kind in _WORDS]
    order = sorted(range(len(shown)), key=lambda i: -shown[i][3])
    meanings = {words[i]: shown[i][1] for i in order}
    rows = [shown[i][2] for i in order]
    files = {Path(path): _vectors_of(meanings, lookup.coordinates[rows], binary)}
    if vocab_path is not None:
        if os.path.realpath(vocab_path) == os.path.realpath(path):
            raise InvalidParameterError(
                f"`vocab_path` and `path` are the same file, {str(path)!r}; give two files."
            )
        counts = [f"{words[i]} {shown[i][3]}" for i in order]
        files[Path(vocab_path)] = as_lines(counts)
    write_set(files)
    return meanings


def _vectors_of(words: Iterable[str], vectors: NDArray[np.float32], binary: bool) -> Write:
    """Return what writes a line, or a record, for each word."""
    header = "{} {}".format(*vectors.shape)
    if binary:
        encoded = [word.encode() for word in words]
        body = (b"%b %b\n" % (w, v.tobytes()) for w, v in zip(encoded, vectors, strict=True))
        return lambda file: file.writelines([f"{header}\n".encode(), *body])
    lines = zip(words, vectors.astype(str).tolist(), strict=True)
    return as_lines([header, *(" ".join([word, *numbers]) for word, numbers in lines)])
