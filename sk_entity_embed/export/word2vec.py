"""Vectors in the format of word2vec, which gensim and many viewers read."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sk_entity_embed._writing import Write, write_set
from sk_entity_embed.exceptions import InvalidParameterError
from sk_entity_embed.export.labels import MISSING_WORD, UNKNOWN_WORD, to_words
from sk_entity_embed.export.served import Lookup, lookup_of
from sk_entity_embed.export.writing import PathLike, as_lines
from sk_entity_embed.input.vocabulary import MISSING, UNKNOWN

__all__ = ["to_word2vec"]

_Words: TypeAlias = tuple[dict[str, Any], NDArray[np.float32], NDArray[np.int64]]


def to_word2vec(
    encoder: Any,
    column: str | None,
    path: PathLike,
    *,
    binary: bool = False,
    vocab_path: PathLike | None = None,
) -> dict[str, Any]:
    """Write the vectors of one column in the format of word2vec.

    Read them with ``gensim.models.KeyedVectors.load_word2vec_format(path, binary=binary)``.

    Parameters
    ----------
    encoder : EntityEmbeddingEncoder
        Fitted, or a fitted pipeline that holds one such step.
    column : str or None
        The column; None is the only one.
    path : str or path-like
        Where to; what is there is replaced at once, together with the file at `vocab_path`.
    binary : bool, default=False
        Whether to write the binary format. Both keep all digits of float32.
    vocab_path : str or path-like, default=None
        Where to write the training rows of each word, for `fvocab` of gensim's reader, which
        without it makes counts up.

    Returns
    -------
    dict
        The category of each word, in the order of the file: the most frequent one first. None is
        the unknown one, NaN the missing one.

    Raises
    ------
    InvalidParameterError
        If `encoder` is no estimator of this package, or has no such column, or if `path` and
        `vocab_path` are the same file.
    sklearn.exceptions.NotFittedError
        If it is not fitted.

    Notes
    -----
    Words cannot hold white space, so that categories are percent-encoded: white space, control
    characters, ``%`` and a first ``<`` become ``%20``, ``%0A``, ``%25``, ``%3C`` and so on.
    :func:`urllib.parse.unquote` undoes it. Categories that are no strings are written as they are
    printed, dates by ISO 8601; where a column holds strings too, they carry their type, as in
    ``<int>1``. Three words have a meaning of their own: ``<empty>`` is the empty string,
    ``<missing>`` is there where missing is a category, unless ``handle_missing`` is "nan", and
    ``<unknown>``, the vector of all other categories, is there unless ``handle_unknown`` is
    "error" or "nan". Infrequent categories are
    words with the vector they share.

    Of a column of lists, the words are the items, with the items' vectors and counts. Biases, which
    vectors have under ``head="dot"``, are left out: the format is for coordinates.

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
    words, vectors, counts = _words(lookup_of(encoder, column))
    files = {Path(path): _vectors_of(words, vectors, binary)}
    if vocab_path is not None:
        if os.path.realpath(vocab_path) == os.path.realpath(path):
            raise InvalidParameterError(
                f"`vocab_path` and `path` are the same file, {str(path)!r}; give two files."
            )
        pairs = zip(words, counts.tolist(), strict=True)
        files[Path(vocab_path)] = as_lines(f"{word} {count}" for word, count in pairs)
    write_set(files)
    return words


def _vectors_of(words: Iterable[str], vectors: NDArray[np.float32], binary: bool) -> Write:
    """What writes a line, or a record, for each word."""
    header = "{} {}".format(*vectors.shape)
    if binary:
        encoded = [word.encode() for word in words]
        body = (b"%b %b\n" % (w, v.tobytes()) for w, v in zip(encoded, vectors, strict=True))
        return lambda file: file.writelines([f"{header}\n".encode(), *body])
    lines = zip(words, vectors.astype(str).tolist(), strict=True)
    return as_lines([header, *(" ".join([word, *numbers]) for word, numbers in lines)])


def _words(lookup: Lookup) -> _Words:
    """Words with their categories, vectors and counts, the most frequent first."""
    vocabulary = lookup.vocabulary
    meanings = vocabulary.categories.tolist()
    words = to_words(meanings)
    codes, counts = vocabulary.rows.tolist(), vocabulary.counts.tolist()
    if lookup.shows_missing:
        words.append(MISSING_WORD)
        meanings.append(np.nan)
        codes.append(MISSING)
        counts.append(vocabulary.missing_count)
    order = np.argsort(-np.array(counts), kind="stable").tolist()
    if lookup.shows_unknown:
        order.append(len(words))
        words.append(UNKNOWN_WORD)
        meanings.append(None)
        codes.append(UNKNOWN)
        counts.append(0)
    ordered = {words[i]: meanings[i] for i in order}
    rows = np.array(codes, dtype=np.intp)[order]
    return ordered, lookup.coordinates[rows], np.array(counts)[order]
