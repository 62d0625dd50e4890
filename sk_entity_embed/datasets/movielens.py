"""MovieLens ratings, from a file or from GroupLens."""

from __future__ import annotations

import hashlib
import io
import os
import re
import zlib
from collections.abc import Mapping
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.request import urlopen
from zipfile import BadZipFile, ZipFile

import pandas as pd
from sklearn.utils import Bunch

from sk_entity_embed._parameters import check_parameters
from sk_entity_embed._writing import write_set
from sk_entity_embed.exceptions import InvalidFileError

_URL = "https://files.grouplens.org/datasets/movielens/ml-latest-small.zip"
_TIMEOUT = 60
"""Seconds without an answer after which a download is given up."""

_COLUMNS: dict[str, dict[str, Any]] = {
    "ratings.csv": {"userId": str, "movieId": str, "rating": float, "timestamp": int},
    "movies.csv": {"movieId": str, "title": str, "genres": str},
}
"""Files that are read, their columns and data types."""


@check_parameters(path=[str, os.PathLike, None])
def fetch_movielens(path: str | os.PathLike[str] | None = None) -> Bunch:
    r"""Fetch the small MovieLens table: about 100,000 ratings of movies by some 600 users.

    Without `path`, the archive is downloaded from GroupLens once and kept in a cache folder. This
    is the folder in the environment variable ``SK_ENTITY_EMBED_CACHE`` if it is set, else
    ``sk_entity_embed`` in ``XDG_CACHE_HOME`` or ``~/.cache``. The download is checked against the
    MD5 checksum that GroupLens publishes. A damaged archive in the cache is downloaded again.

    GroupLens updates this table now and then. If others should be able to reproduce your figures,
    keep the archive and pass its `path`. The terms of use are in the archive's README: they ask for
    a citation [1]_ and allow no commercial use without permission.

    Parameters
    ----------
    path : str or path-like, default=None
        Archive (zip), or folder with ``ratings.csv`` and ``movies.csv``. None downloads the
        archive. Other MovieLens tables with this layout can be read as well.

    Returns
    -------
    Bunch
        A dictionary whose entries are attributes, too: `X`, a DataFrame with the columns "user" and
        "movie" (ids as strings); `y`, a Series of ratings from 0.5 to 5; `timestamp`, a Series of
        seconds since 1970; `movies`, a DataFrame indexed by movie with "title" and "genres"
        (separated by "|").

    Raises
    ------
    ConnectionError
        If the archive cannot be downloaded.
    FileNotFoundError
        If `path` does not exist.
    InvalidFileError, ValueError
        If the files are not those of a MovieLens table, or the download does not match its
        checksum.

    See Also
    --------
    make_ratings : Make a table with the same columns, without a download.

    References
    ----------
    .. [1] Harper, F. M. and Konstan, J. A. (2015). The MovieLens datasets: history and context.
       ACM Transactions on Interactive Intelligent Systems 5(4), 19.
       https://doi.org/10.1145/2827872

    Examples
    --------
    A folder with two small files of this layout; ``fetch_movielens()`` downloads the whole table:

    >>> import tempfile
    >>> from pathlib import Path
    >>> from sk_entity_embed.datasets import fetch_movielens
    >>> ratings = "userId,movieId,rating,timestamp\n1,7,4.5,964982703\n2,7,3.0,964982931\n"
    >>> movies = "movieId,title,genres\n7,Sabrina (1995),Comedy|Romance\n"
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     size = Path(folder, "ratings.csv").write_text(ratings)
    ...     size = Path(folder, "movies.csv").write_text(movies)
    ...     data = fetch_movielens(folder)
    >>> data.X.assign(rating=data.y)
      user movie  rating
    0    1     7     4.5
    1    2     7     3.0
    >>> data.movies.loc["7"].tolist()
    ['Sabrina (1995)', 'Comedy|Romance']
    """
    if path is None:
        ratings, movies = _cached()
    elif Path(path).is_dir():
        files = {n: p.read_bytes() for n in _COLUMNS if (p := Path(path) / n).is_file()}
        ratings, movies = _tables(files, str(path))
    else:
        ratings, movies = _read_zip(Path(path).read_bytes(), str(path))
    return Bunch(
        X=ratings[["userId", "movieId"]].set_axis(["user", "movie"], axis=1),
        y=ratings["rating"],
        timestamp=ratings["timestamp"],
        movies=movies.set_index("movieId").rename_axis("movie"),
    )


def _tables(files: Mapping[str, bytes], where: str) -> list[pd.DataFrame]:
    """The ratings and the movies."""
    return [_parse(files, name, where) for name in _COLUMNS]


def _read_zip(content: bytes, where: str) -> list[pd.DataFrame]:
    """The tables out of an archive in which they may lie in a folder."""
    try:
        with ZipFile(io.BytesIO(content)) as archive:
            members = {PurePosixPath(name).name: name for name in archive.namelist()}
            files = {name: archive.read(members[name]) for name in _COLUMNS if name in members}
    except (BadZipFile, EOFError, OSError, RuntimeError, ValueError, zlib.error) as error:
        raise InvalidFileError(
            f"{where} is not a readable zip archive ({error}); path must be the archive of a "
            "MovieLens table or a folder with ratings.csv and movies.csv."
        ) from error
    return _tables(files, where)


def _parse(files: Mapping[str, bytes], name: str, where: str) -> pd.DataFrame:
    """One of the tables."""
    types = _COLUMNS[name]
    if name not in files:
        raise InvalidFileError(
            f"There is no {name} in {where}; a MovieLens table has ratings.csv and movies.csv."
        )
    try:
        return pd.read_csv(  # a movie may be called "NA"
            io.BytesIO(files[name]), usecols=list(types), dtype=types, keep_default_na=False
        )
    except ValueError as error:
        raise InvalidFileError(
            f"{name} in {where} is not MovieLens's, which has the columns {', '.join(types)}: "
            f"{error}"
        ) from error


def _cached() -> list[pd.DataFrame]:
    """The tables, from the archive in the cache if it is there and whole, else downloaded."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = os.environ.get("SK_ENTITY_EMBED_CACHE") or Path(home) / "sk_entity_embed"
    archive = Path(folder) / PurePosixPath(_URL).name
    if archive.is_file():
        with suppress(InvalidFileError):
            return _read_zip(archive.read_bytes(), str(archive))
    published, content = _download(f"{_URL}.md5"), _download(_URL)
    checksum = re.search(rb"\b[0-9a-f]{32}\b", published.lower())  # of the program md5 or md5sum
    expected = "none" if checksum is None else checksum.group().decode()
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if found != expected:
        raise InvalidFileError(
            f"What was downloaded from {_URL} has the MD5 checksum {found}, but GroupLens "
            f"publishes {expected} at {_URL}.md5. Nothing was kept; try again, or give the path "
            "of an archive that you trust."
        )
    write_set({archive: lambda file: file.write(content)}, make_folders=True)
    return _read_zip(content, _URL)


def _download(url: str) -> bytes:
    """Content at a URL."""
    try:
        with urlopen(url, timeout=_TIMEOUT) as answer:
            content: bytes = answer.read()
            return content
    except (OSError, HTTPException) as error:
        raise ConnectionError(
            f"Cannot download {url}: {error}. Without a network, fetch the archive elsewhere and "
            "give its path: fetch_movielens(path='ml-latest-small.zip'); or use make_ratings, "
            "which makes a table of the same shape."
        ) from error
