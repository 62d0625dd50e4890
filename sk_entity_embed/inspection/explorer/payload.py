"""The data of the explorer's page about a column, as values that JSON can hold."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sk_entity_embed.exceptions import InvalidParameterError
from sk_entity_embed.input.messages import shown
from sk_entity_embed.input.table import object_array
from sk_entity_embed.inspection.column_vectors import ColumnVectors, values_by_category
from sk_entity_embed.inspection.projection import Method, projection_of


def column_payload(
    catalogue: ColumnVectors,
    methods: Sequence[Method],
    random_state: Any,
    targets: Sequence[str],
    metadata: pd.DataFrame | None,
) -> dict[str, Any]:
    """Return all that the page knows of a column; many numbers are base64 of their bytes."""
    means = catalogue.target_means
    columns = [] if means is None else list(means.reshape(len(catalogue), -1).T)
    counts = None if catalogue.counts is None else catalogue.counts.tolist()
    missing = pd.isna(pd.Series(catalogue.labels, dtype=object)).to_numpy().nonzero()[0]
    return {
        "name": str(catalogue.name),
        "names": catalogue.texts,
        "missing": int(missing[0]) if len(missing) else None,
        "width": int(catalogue.vectors.shape[1]),
        "vectors": _packed(catalogue.vectors, "<f4"),
        "counts": counts,
        "unit": catalogue.unit,
        "targets": [
            {"name": name, "values": _packed(values, "<f8")}
            for name, values in zip(targets, columns, strict=True)
        ],
        "projections": {m: _coordinates(catalogue, m, random_state) for m in methods},
        "fields": [] if metadata is None else _fields(metadata, catalogue),
    }


def target_names(catalogue: ColumnVectors, classes: NDArray[Any] | None) -> list[str]:
    """Return what the target means of a column are called."""
    if catalogue.target_means is None:
        return []
    n = 1 if catalogue.target_means.ndim == 1 else catalogue.target_means.shape[1]
    if n == 1:
        if classes is None or list(classes) in ([0, 1], [False, True]):
            return ["Target mean"]
        return [f"Share of {classes[-1]}"]
    if classes is not None and len(classes) == n:
        return [f"Share of {c}" for c in classes]
    return [f"Target mean {i + 1}" for i in range(n)]


def metadata_by_column(metadata: Any, columns: Sequence[str]) -> dict[str, pd.DataFrame]:
    """Return the metadata of each column that has some, checked."""
    if metadata is None:
        return {}
    if isinstance(metadata, Mapping):
        for name in metadata:
            if name not in columns:
                raise InvalidParameterError(
                    f"`metadata` is given for column {shown(name)}, but the columns shown are "
                    f"{shown(list(columns))}."
                )
        return {name: _frame(values, name) for name, values in metadata.items()}
    if len(columns) == 1:
        return {columns[0]: _frame(metadata, columns[0])}
    frame = _frame(metadata, None)
    about = frame.index.name
    if isinstance(about, str) and about in columns:
        return {about: frame}
    raise InvalidParameterError(
        f"`metadata` must be a mapping from columns to data frames, as several columns are shown "
        f"({shown(list(columns))}); or name its index after the column it is about."
    )


def _frame(values: Any, column: str | None) -> pd.DataFrame:
    if isinstance(values, pd.Series):
        return values.to_frame("Metadata" if values.name is None else values.name)
    if isinstance(values, pd.DataFrame):
        return values
    of = "" if column is None else f" of column {shown(column)}"
    raise InvalidParameterError(
        f"`metadata`{of} must be a Series or DataFrame indexed by category, got "
        f"{type(values).__name__}."
    )


def _fields(metadata: pd.DataFrame, catalogue: ColumnVectors) -> list[dict[str, Any]]:
    """Return metadata as numbers, or as kinds and which of them each category has (-1: missing)."""
    fields: list[dict[str, Any]] = []
    for position, name in enumerate(metadata.columns):
        values = metadata.iloc[:, position]
        what = f"metadata[{shown(name)}]"
        if _is_number(values):
            found = values_by_category(values.astype(np.float64), catalogue, what)
            fields.append({"name": str(name), "values": _packed(found, "<f8")})
            continue
        codes, kinds = pd.factorize(values_by_category(_texts(values), catalogue, what))
        fields.append({"name": str(name), "kinds": list(kinds), "codes": _packed(codes, "<i4")})
    return fields


def _texts(values: pd.Series) -> pd.Series:
    """Return values as text, None where missing: objects, which can hold lone surrogates."""
    given = values.astype(object).to_numpy()
    missing = pd.isna(given)
    texts = [None if m else str(v) for v, m in zip(given, missing, strict=True)]
    return pd.Series(object_array(texts), index=values.index, dtype=object)


def _is_number(values: pd.Series) -> bool:
    kind = pd.api.types
    is_plain = not (kind.is_bool_dtype(values) or kind.is_complex_dtype(values))
    return bool(is_plain and kind.is_numeric_dtype(values))


def _coordinates(catalogue: ColumnVectors, method: Method, random_state: Any) -> dict[str, Any]:
    """Return coordinates in three dimensions, and in two if those are not the first of them."""
    found = {}
    for n_components in (3,) if method == "pca" else (2, 3):
        projection = projection_of(catalogue, method, n_components, random_state)
        found[str(n_components)] = {
            "axes": list(projection.axes),
            "coordinates": _packed(projection.coordinates, "<f4"),
        }
    return found


def _packed(values: Any, dtype: str) -> str:
    return b64encode(np.ascontiguousarray(values, dtype=dtype).tobytes()).decode("ascii")
