"""Files of the embedding projector, of TensorBoard or on its own."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sk_entity_embed._access import fitted_step
from sk_entity_embed._writing import write_set
from sk_entity_embed.exceptions import InvalidParameterError
from sk_entity_embed.export._served import Lookup, lookup_of, lookups_of
from sk_entity_embed.export._text import PathLike, as_lines, escape_cell, file_names, text_of
from sk_entity_embed.input.messages import shown
from sk_entity_embed.inspection.column_vectors import (
    ColumnVectors,
    column_vectors_of,
    values_by_category,
)

__all__ = ["to_projector"]


def to_projector(
    encoder: Any, column: str | None, folder: PathLike, *, metadata: Any = None
) -> dict[str, list[Path]]:
    """Write the files of the TensorFlow embedding projector.

    Parameters
    ----------
    encoder : EntityEmbeddingEncoder
        A fitted encoder, or a fitted pipeline that holds one such step.
    column : str or None
        Name of the column. None writes all columns, except lists that were all empty in fit.
    folder : str or path-like
        Folder to write to; it is created if it does not exist. Files of the same name are replaced
        atomically. If there is an error, none of them is replaced.
    metadata : Series, DataFrame or mapping, default=None
        More to show about each category: a series, or a frame with several columns, indexed by
        category. If you write several columns, a mapping from their names to series or frames.

    Returns
    -------
    dict of list of Path
        The files ``vectors.tsv`` and ``metadata.tsv`` of each column. They are in `folder` if you
        write one column, else each column has a folder of its own.

    Raises
    ------
    InvalidParameterError
        If `encoder` is not an estimator of this package, has no such column, or `metadata` does not
        fit.
    InvalidDataError
        If `metadata` has none of the categories, or one of them twice.
    sklearn.exceptions.NotFittedError
        If the encoder is not fitted.

    See Also
    --------
    sk_entity_embed.inspection.explore : Make an interactive page that needs no other tool.

    Notes
    -----
    To see the vectors in TensorBoard, run ``tensorboard --logdir FOLDER``; it reads
    ``projector_config.pbtxt``. The projector on its own reads ``projector_config.json``, or you can
    load the two files of a column by hand.

    The metadata have a header and the columns "category", "kind" ("category", "infrequent",
    "missing" or "unknown"), "count", and the mean target as "target_mean" (one column for each
    class or output if there are several). Tabs, line ends and backslashes in names are written as
    ``\\t``, ``\\n`` and ``\\\\``. The last row is the unknown vector, unless ``handle_unknown`` is
    "error" or "nan". Missing cells have no row if ``handle_missing`` is "nan". For a column of
    lists, the rows are the items. The biases of ``head="dot"`` are left out.

    References
    ----------
    .. [1] D. Smilkov et al., "Embedding projector: interactive visualization and interpretation
       of embeddings", 2016, arXiv:1611.05469.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> import pandas as pd
    >>> from sk_entity_embed import EntityEmbeddingEncoder
    >>> from sk_entity_embed.export import to_projector
    >>> X = pd.DataFrame({"city": ["Oslo", "Rome"] * 50})
    >>> encoder = EntityEmbeddingEncoder(max_iter=1).fit(X, np.arange(100) + 0.5)
    >>> countries = pd.Series({"Oslo": "Norway", "Rome": "Italy"}, name="country")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     files = to_projector(encoder, "city", folder, metadata=countries)
    ...     lines = files["city"][1].read_text().splitlines()
    >>> [line.split("\\t") for line in lines[:2]]
    [['category', 'kind', 'count', 'target_mean', 'country'],
     ['Oslo', 'category', '50', '49.5', 'Norway']]
    """
    encoder = fitted_step(encoder)
    if column is None:
        lookups = [found for found in lookups_of(encoder) if len(found.vocabulary.labels)]
    else:
        lookups = [lookup_of(encoder, column)]
    names = [lookup.name for lookup in lookups]
    given = _metadata_by_column(metadata, names)
    tables = [_cells(encoder, lookup, given.get(lookup.name)) for lookup in lookups]
    stems = [""] if len(names) == 1 else [f"{stem}/" for stem in file_names(names)]
    paths, entries, files = {}, [], {}
    for lookup, cells, stem in zip(lookups, tables, stems, strict=True):
        vectors = lookup.coordinates[[row for _, _, row, _ in lookup.shown()]]
        parts = [f"{stem}vectors.tsv", f"{stem}metadata.tsv"]
        paths[lookup.name] = [Path(folder, part) for part in parts]
        for path, rows in zip(paths[lookup.name], (_lines(vectors), cells), strict=True):
            files[path] = as_lines("\t".join(row) for row in rows)
        entry = {"tensorName": lookup.name, "tensorShape": vectors.shape}
        entries.append(entry | {"tensorPath": parts[0], "metadataPath": parts[1]})
    config = json.dumps({"embeddings": entries}, indent=2)
    files[Path(folder, "projector_config.json")] = as_lines([config])
    files[Path(folder, "projector_config.pbtxt")] = as_lines(_config_text(entries))
    write_set(files, make_folders=True)
    return paths


def _metadata_by_column(metadata: Any, names: list[str]) -> Mapping[str, Any]:
    """Return the metadata of each column that has some."""
    kinds = pd.Series | pd.DataFrame
    if metadata is None:
        return {}
    if isinstance(metadata, kinds) and len(names) == 1:
        return {names[0]: metadata}
    if (
        isinstance(metadata, Mapping)
        and set(metadata) <= set(names)
        and all(isinstance(given, kinds) for given in metadata.values())
    ):
        return metadata
    raise InvalidParameterError(
        "`metadata` must be a Series or a DataFrame indexed by category, if it is for one column, "
        f"or a mapping to these from columns that are written, {shown(names)}."
    )


def _lines(vectors: NDArray[np.float32]) -> Iterator[list[str]]:
    """Yield the numbers of each row as text, made when they are written."""
    yield from vectors.astype(str).tolist()


def _cells(encoder: Any, lookup: Lookup, metadata: Any) -> list[tuple[str, ...]]:
    """Return the rows of the metadata, the header first."""
    catalogue, rows = column_vectors_of(encoder, lookup.name), lookup.shown()
    named = {"missing": "(missing)", "unknown": "(unknown)"}
    columns: dict[str, list[Any]] = {
        "category": [named.get(kind) or text_of(category) for kind, category, *_ in rows],
        "kind": [kind for kind, *_ in rows],
        "count": [count for *_, count in rows],
    }
    added = target_means(encoder, catalogue)
    own = own_columns(metadata, catalogue)
    if repeated := [name for name in own if name in columns | added]:
        raise InvalidParameterError(
            f"`metadata` has columns {shown(repeated)}, which the file has already; rename them."
        )
    n_known = sum(kind != "unknown" for kind in columns["kind"])
    for name, values in (added | own).items():
        columns[name] = [*values[:n_known], None][: len(rows)]
    cells = [[_cell(value) for value in values] for values in columns.values()]
    return [tuple(map(escape_cell, columns)), *zip(*cells, strict=True)]


def target_means(encoder: Any, catalogue: ColumnVectors) -> dict[str, list[Any]]:
    """Return the mean target of each category, by name: one, or one a class or output."""
    means = catalogue.target_means
    assert means is not None
    if means.ndim == 1:
        return {"target_mean": list(means)}
    classes = getattr(encoder, "classes_", None)
    labels = range(means.shape[1]) if classes is None else classes
    return {f"target_mean_{c}": list(m) for c, m in zip(labels, means.T, strict=True)}


def own_columns(metadata: Any, catalogue: ColumnVectors) -> dict[str, list[Any]]:
    """Return the user's own columns, in the order of the categories."""
    if metadata is None:
        return {}
    if isinstance(metadata, pd.Series):
        metadata = metadata.to_frame("metadata" if metadata.name is None else metadata.name)
    names = [str(name) for name in metadata.columns]
    if len(set(names)) < len(names):
        raise InvalidParameterError("`metadata` has a column name more than once.")
    return {
        name: list(values_by_category(metadata.iloc[:, k], catalogue, "metadata"))
        for k, name in enumerate(names)
    }


def _cell(value: Any) -> str:
    missing = pd.api.types.is_scalar(value) and pd.isna(value)
    return "" if missing else escape_cell(text_of(value))


def _config_text(entries: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the configuration for TensorBoard: a protocol buffer in text form."""
    for entry in entries:
        yield "embeddings {"
        yield f"  tensor_name: {_quoted(entry['tensorName'])}"
        for size in entry["tensorShape"]:
            yield f"  tensor_shape: {size}"
        yield f"  tensor_path: {_quoted(entry['tensorPath'])}"
        yield f"  metadata_path: {_quoted(entry['metadataPath'])}"
        yield "}"


def _quoted(text: str) -> str:
    """Return a string of a protocol buffer: octal escapes of its bytes in UTF-8."""
    encoded = text.encode(errors="backslashreplace")
    plain = set(range(32, 127)) - set(b'"\\')
    return '"' + "".join(chr(b) if b in plain else f"\\{b:03o}" for b in encoded) + '"'
