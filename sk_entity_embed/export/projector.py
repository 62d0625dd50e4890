"""Files of the embedding projector, of TensorBoard or on its own."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sk_entity_embed._access import fitted_step
from sk_entity_embed._writing import Write, write_set
from sk_entity_embed.exceptions import InvalidParameterError
from sk_entity_embed.export.labels import escape_cell, text_of
from sk_entity_embed.export.served import Lookup, lookup_of, lookups_of
from sk_entity_embed.export.writing import PathLike, as_lines, file_names
from sk_entity_embed.input.messages import shown
from sk_entity_embed.input.vocabulary import INFREQUENT, UNKNOWN
from sk_entity_embed.inspection.catalogue import Catalogue, catalogue_of, values_by_category

__all__ = ["to_projector"]

_Entry: TypeAlias = tuple[str, tuple[int, ...], list[str]]
"""Name and shape of a column's vectors, and its two files."""


def to_projector(
    encoder: Any, column: str | None, folder: PathLike, *, metadata: Any = None
) -> dict[str, list[Path]]:
    """Write what the TensorFlow embedding projector shows.

    Parameters
    ----------
    encoder : EntityEmbeddingEncoder
        Fitted, or a fitted pipeline that holds one such step.
    column : str or None
        The column; None is all of them, but for lists that were all empty in fit.
    folder : str or path-like
        Where to; made if it does not exist. Files of the same name are replaced, all of them or,
        after an error, none.
    metadata : Series, DataFrame or mapping, default=None
        More to show about each category: a series, or a frame with several columns, indexed by
        category. Where several columns are written, a mapping from their names to these.

    Returns
    -------
    dict of list of Path
        For each column its ``vectors.tsv`` and ``metadata.tsv``, in `folder` where it is the only
        one, else in a folder of its own.

    Raises
    ------
    InvalidParameterError
        If `encoder` is no estimator of this package, has no such column, or `metadata` does not
        fit.
    InvalidDataError
        If `metadata` has none of the categories, or one of them twice.
    sklearn.exceptions.NotFittedError
        If the encoder is not fitted.

    Notes
    -----
    ``projector_config.pbtxt`` in `folder` is for TensorBoard (``tensorboard --logdir FOLDER``),
    ``projector_config.json`` for the projector on its own, which can also load the two files of
    a column by hand.

    The metadata have a header and the columns "category", "kind" ("category", "infrequent",
    "missing" or "unknown"), "count", and the mean target as "target_mean", or one of them for
    each class or output. Tabs, line ends and backslashes in names are written as ``\\t``, ``\\n``
    and ``\\\\``. The last row is the unknown vector, unless ``handle_unknown`` is "error" or
    "nan"; missing cells have no row if ``handle_missing`` is "nan". Of a column of lists, the rows
    are the items. Biases, which vectors have under ``head="dot"``, are left out.

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
    >>> encoder = EntityEmbeddingEncoder(dimensions=2, max_iter=1, random_state=0)
    >>> encoder = encoder.fit(X, np.arange(100) + 0.5)
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
    folder = Path(folder)
    stems = [""] if len(names) == 1 else [f"{stem}/" for stem in file_names(names)]
    paths, entries, files = {}, [], {}
    for lookup, table, stem in zip(lookups, tables, stems, strict=True):
        vectors = _vectors(lookup)
        parts = [f"{stem}vectors.tsv", f"{stem}metadata.tsv"]
        paths[lookup.name] = [folder / part for part in parts]
        files[paths[lookup.name][0]] = _vector_lines(vectors)
        files[paths[lookup.name][1]] = as_lines("\t".join(row) for row in table)
        entries.append((lookup.name, vectors.shape, parts))
    files[folder / "projector_config.json"] = as_lines(_config_json(entries))
    files[folder / "projector_config.pbtxt"] = as_lines(_config_text(entries))
    write_set(files, make_folders=True)
    return paths


def _metadata_by_column(metadata: Any, names: list[str]) -> Mapping[str, Any]:
    if metadata is None:
        return {}
    if isinstance(metadata, pd.Series | pd.DataFrame):
        if len(names) > 1:
            raise InvalidParameterError(
                f"`metadata` is for one column, but {shown(names)} are written; pass a mapping "
                "from "
                "column names to metadata, or name a `column`."
            )
        return {names[0]: metadata}
    if not isinstance(metadata, Mapping) or not set(metadata) <= set(names):
        raise InvalidParameterError(
            "`metadata` must be a Series or a DataFrame indexed by category, or a mapping to these "
            f"from the columns {shown(names)}."
        )
    for value in metadata.values():
        if not isinstance(value, pd.Series | pd.DataFrame):
            raise InvalidParameterError(
                "`metadata` must map columns to a Series or a DataFrame indexed by category, got "
                f"{type(value).__name__}."
            )
    return metadata


def _vectors(lookup: Lookup) -> NDArray[np.float32]:
    """One row a category, and those of missing and unknown cells where they can be shown."""
    codes = lookup.vocabulary.label_rows if lookup.shows_missing else lookup.vocabulary.rows
    return lookup.coordinates[np.append(codes, UNKNOWN) if lookup.shows_unknown else codes]


def _vector_lines(vectors: NDArray[np.float32]) -> Write:
    """What writes the vectors; their text is made one column at a time."""
    return lambda file: as_lines("\t".join(row) for row in vectors.astype(str).tolist())(file)


def _cells(encoder: Any, lookup: Lookup, metadata: Any) -> list[tuple[str, ...]]:
    """The rows of the metadata, the header first."""
    catalogue = catalogue_of(encoder, lookup.name)
    categories = lookup.vocabulary.categories.tolist()
    kinds = ["infrequent" if r == INFREQUENT else "category" for r in lookup.vocabulary.rows]
    columns = {
        "category": [text_of(category) for category in categories],
        "kind": kinds,
        "count": list(lookup.vocabulary.label_counts),
        **_target_means(encoder, catalogue),
    }
    if lookup.has_missing_category:
        columns["category"].append("(missing)")
        kinds.append("missing")
    added = _added(metadata, catalogue)
    if repeated := [name for name in added if name in columns]:
        raise InvalidParameterError(
            f"`metadata` has columns {shown(repeated)}, which the file has already; rename them."
        )
    columns |= added
    if lookup.has_missing_category and not lookup.shows_missing:
        columns = {name: values[:-1] for name, values in columns.items()}
    if lookup.shows_unknown:
        last = {"category": "(unknown)", "kind": "unknown", "count": 0}
        columns = {name: [*values, last.get(name)] for name, values in columns.items()}
    cells = [[_cell(value) for value in values] for values in columns.values()]
    return [tuple(map(escape_cell, columns)), *zip(*cells, strict=True)]


def _target_means(encoder: Any, catalogue: Catalogue) -> dict[str, list[Any]]:
    means = catalogue.target_means
    assert means is not None
    if means.ndim == 1:
        return {"target_mean": list(means)}
    classes = encoder.classes_
    labels = range(means.shape[1]) if classes is None else classes
    return {f"target_mean_{c}": list(m) for c, m in zip(labels, means.T, strict=True)}


def _added(metadata: Any, catalogue: Catalogue) -> dict[str, list[Any]]:
    """The user's own columns, in the order of the categories."""
    if metadata is None:
        return {}
    if isinstance(metadata, pd.Series):
        name = "metadata" if metadata.name is None else metadata.name
        metadata = metadata.to_frame(name)
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


def _config_json(entries: Sequence[_Entry]) -> list[str]:
    """Lines of the configuration for the projector on its own."""
    as_json = [
        {"tensorName": name, "tensorShape": shape, "tensorPath": v, "metadataPath": m}
        for name, shape, (v, m) in entries
    ]
    return json.dumps({"embeddings": as_json}, indent=2).splitlines()


def _config_text(entries: Sequence[_Entry]) -> list[str]:
    """Lines of the configuration for TensorBoard."""
    lines = []
    for name, shape, (v, m) in entries:
        lines.append("embeddings {")
        lines.append(f"  tensor_name: {_quoted(name)}")
        lines += [f"  tensor_shape: {size}" for size in shape]
        lines += [f"  tensor_path: {_quoted(v)}", f"  metadata_path: {_quoted(m)}", "}"]
    return lines


def _quoted(text: str) -> str:
    """A string of a protocol buffer in text form: octal escapes of its bytes in UTF-8."""
    encoded = text.encode(errors="backslashreplace")
    plain = set(range(32, 127)) - set(b'"\\')
    return '"' + "".join(chr(b) if b in plain else f"\\{b:03o}" for b in encoded) + '"'
