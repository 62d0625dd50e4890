"""Save an estimator in one file that is safe to load, and load it.

A file is a safetensors file (see :mod:`sk_entity_embed.export.saving.container`): all arrays are
tensors, and all else is a JSON document in its metadata. Nothing in it is code, and loading calls
nothing that it names: classes are looked up in a closed list.

**When the version of the format has to rise.** `FORMAT_VERSION` rises by one, in the first change
of a release after which

- a file written before would be read wrongly, or not at all, by the new reader, or
- a file written after would be read wrongly by the reader before; that it is refused is enough
  only where the error says to upgrade, as it does for parameters and estimators not known.

So a parameter that is added needs no new version, as long as its default is what was done before;
one that is removed, renamed or means something else does, and so does any change of a fitted
attribute, of a tag of a value or of the layout. Then

1. raise `FORMAT_VERSION`, and keep the function that turned the old document into an estimator
   under its number in `READERS`, usually by bringing the old document into the new form;
2. leave the old golden files in ``tests/export/golden`` as they are, and write new ones with
   ``tests/export/make_golden.py``: the tests load every one of them, for ever;
3. say so in the changelog.

A checker that becomes stricter has to be stricter for all versions: a file may claim any.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from sk_entity_embed._access import exported_step
from sk_entity_embed._steps import holds_step
from sk_entity_embed.exceptions import InvalidFileError
from sk_entity_embed.export.saving.container import Arrays, Document, read, write
from sk_entity_embed.export.saving.state import describe, restore

__all__ = ["load", "save"]

FORMAT_VERSION = 3
"""What :func:`save` writes."""

READERS: dict[int, Callable[[Document, Arrays], Any]] = {
    1: partial(restore, version=1),  # without head="dot", y_range and columns of lists
    2: partial(restore, version=2),  # without periods, intervals and other categories
    3: partial(restore, version=3),
}
"""For each version of the format there ever was, what makes an estimator of it."""


def save(estimator: Any, path: str | os.PathLike[str]) -> None:
    """Save an estimator in one file that is safe to load.

    The file is a safetensors file with a JSON document: no pickle, and no code. It is replaced
    atomically: after an error, a file that was there before is as it was.

    Parameters
    ----------
    estimator : EntityEmbeddingEncoder, EntityEmbeddingRegressor or EntityEmbeddingClassifier
        Fitted, or not: then its parameters are saved. Of a fitted pipeline that holds one of them,
        this step alone is saved, and :func:`load` returns the step. Save whole pipelines with
        joblib or skops.io.
    path : str or path-like
        Where to. An existing file is replaced.

    Raises
    ------
    InvalidParameterError
        If it is another estimator, or has what a file cannot hold: functions, encoders in `init`,
        iterators in `cv`, categories of types of your own, millions of numbers in lists. Nothing is
        written then.
    sklearn.exceptions.NotFittedError
        If it is a pipeline that is not fitted.
    OSError
        If the file cannot be written.

    Warns
    -----
    PartialExportWarning
        If a pipeline is given that has other steps, which are not saved.

    See Also
    --------
    load : The way back.

    Notes
    -----
    Parameters and fitted state come back equal in value and type, so that results are equal to
    the last bit. Categories can be strings, bytes, numbers, booleans, dates, times, durations,
    pandas' periods and intervals, time zones, decimals, fractions, UUIDs, IP addresses, paths, and
    tuples and frozen sets of these. Members of an enumeration that equal a plain value, as those of
    StrEnum and IntEnum do, come back as that value, and are found by it as before. Other members
    are refused: their class is code. Take their ``.name`` or ``.value`` before fit.

    References
    ----------
    https://huggingface.co/docs/safetensors

    Examples
    --------
    >>> import numpy as np
    >>> import tempfile
    >>> from pathlib import Path
    >>> from sk_entity_embed import EntityEmbeddingEncoder
    >>> from sk_entity_embed.export import load, save
    >>> X = [["Oslo"], ["Rome"], ["Lima"]] * 20
    >>> encoder = EntityEmbeddingEncoder(max_iter=1, random_state=0).fit(X, np.linspace(0, 1, 60))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(encoder, Path(folder) / "cities.safetensors")
    ...     loaded = load(Path(folder) / "cities.safetensors")
    >>> bool((loaded.transform(X) == encoder.transform(X)).all())
    True
    """
    if holds_step(estimator):
        estimator = exported_step(estimator)
    document, arrays = describe(estimator)
    write(path, document, arrays, version=FORMAT_VERSION)


def load(path: str | os.PathLike[str]) -> Any:
    """Load an estimator that ``save`` has saved.

    Loading runs no code of the file, and checks everything that is in it: a file from anywhere
    gives an estimator or an error.

    Parameters
    ----------
    path : str or path-like
        The file, of this version of the format or any before it.

    Returns
    -------
    estimator
        As it was saved.

    Raises
    ------
    InvalidFileError
        If the file is of another kind, was cut off, changed or damaged, or is of a newer version
        of the format.
    FileNotFoundError
        If there is no such file.

    See Also
    --------
    save : The way there, with an example.

    Notes
    -----
    The checksum finds damage, not malice: whoever can change a file can change its checksum.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from sk_entity_embed import EntityEmbeddingEncoder
    >>> from sk_entity_embed.export import load, save
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(EntityEmbeddingEncoder(max_iter=7), Path(folder) / "plan.safetensors")
    ...     load(Path(folder) / "plan.safetensors")
    EntityEmbeddingEncoder(max_iter=7)
    """
    try:
        version, document, arrays = read(path, newest=FORMAT_VERSION)
        return READERS[version](document, arrays)
    except InvalidFileError as error:
        raise InvalidFileError(f"{str(Path(path))!r} cannot be loaded: {error}.") from error
