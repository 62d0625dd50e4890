"""One table of many: its names, kinds of types and parts, in whatever library it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import narwhals.stable.v2 as nw
import pandas as pd
import pyarrow as pa

from sk_entity_embed.exceptions import InvalidDataError, UnsupportedDataError
from sk_entity_embed.input.table import is_number

Frame: TypeAlias = nw.DataFrame[Any]
KindOfType: TypeAlias = str | None
"""How the cells of a column read in a message; None where there are none, or any may come."""

_ARROW_KINDS = (
    (pa.types.is_boolean, "booleans"),
    (is_number, "numbers"),
    (pa.types.is_date, "dates"),
    (pa.types.is_time, "times of day"),
    (pa.types.is_timestamp, "timestamps"),
    (pa.types.is_duration, "durations"),
)
_TEXT = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
_LIST = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
_LIST_VIEW = (pa.types.is_list_view, pa.types.is_large_list_view)
_BYTES = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary)
_GROUPS = ((_TEXT, "text"), (_BYTES, "bytes"))

_NARWHALS_KINDS: tuple[tuple[tuple[type[nw.dtypes.DType], ...], str], ...] = (
    ((nw.String, nw.Categorical, nw.Enum), "text"),
    ((nw.Boolean,), "booleans"),
    ((nw.Date,), "dates"),
    ((nw.Time,), "times of day"),
    ((nw.Datetime,), "timestamps"),
    ((nw.Duration,), "durations"),
    ((nw.Binary,), "bytes"),
)

_OBJECT_KINDS = {
    "string": "text",
    "bytes": "bytes",
    "boolean": "booleans",
    "integer": "numbers",
    "floating": "numbers",
    "mixed-integer-float": "numbers",
    "decimal": "numbers",
    "date": "dates",
    "time": "times of day",
    "datetime": "timestamps",
    "datetime64": "timestamps",
    "timedelta": "durations",
    "timedelta64": "durations",
}
"""What pandas infers of a column of objects; all else may be mixed."""


def is_eager(data: Any) -> bool:
    """Whether this is a table in memory with named columns."""
    if isinstance(data, pa.Table | pa.RecordBatch):
        return True
    try:
        return isinstance(nw.from_native(data, pass_through=True), nw.DataFrame)
    except nw.exceptions.DuplicateError:
        return True  # for `as_frame` to refuse


def as_frame(data: Any, place: str) -> Frame:
    """Return a table in memory, or an error that says what the thing at this place is."""
    if isinstance(data, pa.RecordBatch):
        data = pa.Table.from_batches([data])
    try:
        frame = nw.from_native(data, pass_through=True)
    except nw.exceptions.DuplicateError as error:
        raise InvalidDataError(f"{place} repeats a column name; names must be unique.") from error
    if not isinstance(frame, nw.DataFrame):
        raise UnsupportedDataError(
            f"{place} is of type {type(data).__name__}, which is not a table in memory with named "
            "columns; give frames of pandas or polars, or tables or record batches of pyarrow."
        )
    return frame


def dtypes_of(frame: Frame) -> list[Any]:
    """Return what has to be equal in two tables for their rows to be joined."""
    native = frame.to_native()
    types = native.schema.types if isinstance(native, pa.Table) else list(native.dtypes)
    return [type(native), *types]


def kinds_of(frame: Frame) -> list[KindOfType]:
    """Return the kind of each column's type; levels and what they stand for are of one kind."""
    native = frame.to_native()
    if isinstance(native, pa.Table):
        return [kind_of_arrow(t) for t in native.schema.types]
    if isinstance(native, pd.DataFrame):
        return [_kind_of_pandas(native.iloc[:, j]) for j in range(native.shape[1])]
    return [_kind_of_narwhals(dtype) for dtype in frame.schema.dtypes()]


def is_same_kind(one: KindOfType, other: KindOfType) -> bool:
    """Whether columns of these kinds may follow each other."""
    if one is None or other is None or one == other:
        return True
    return "lists" in (one, other) and one.startswith("lists") and other.startswith("lists")


def common_kind(one: KindOfType, other: KindOfType) -> KindOfType:
    """Return the more definite one of two kinds that may follow each other."""
    return other if one in (None, "lists") and other is not None else one


def kind_of_arrow(dtype: pa.DataType) -> KindOfType:
    """Return the kind of an Arrow type."""
    if pa.types.is_null(dtype):
        return None
    if pa.types.is_dictionary(dtype) or pa.types.is_run_end_encoded(dtype):
        return kind_of_arrow(dtype.value_type)
    if any(is_type(dtype) for is_type in (*_LIST, *_LIST_VIEW)):
        return _lists_of(kind_of_arrow(dtype.value_type))
    for is_type, kind in _ARROW_KINDS:
        if is_type(dtype):
            return kind
    for types, kind in _GROUPS:
        if any(is_type(dtype) for is_type in types):
            return kind
    return str(dtype)


def _kind_of_pandas(series: pd.Series[Any]) -> KindOfType:
    dtype = series.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return _kind_of_pandas(pd.Series(dtype.categories))
    if isinstance(dtype, pd.ArrowDtype):
        return kind_of_arrow(dtype.pyarrow_dtype)
    if pd.api.types.is_object_dtype(dtype):
        return _OBJECT_KINDS.get(pd.api.types.infer_dtype(series, skipna=True))
    return _kind_of_narwhals(nw.from_native(series, series_only=True).dtype)


def _kind_of_narwhals(dtype: Any) -> KindOfType:
    if isinstance(dtype, nw.List | nw.Array):
        inner = dtype.inner
        return _lists_of(_kind_of_narwhals(inner() if isinstance(inner, type) else inner))
    if dtype.is_numeric():
        return "numbers"
    for types, kind in _NARWHALS_KINDS:
        if isinstance(dtype, types):
            return kind
    return None if isinstance(dtype, nw.Unknown | nw.Object) else str(dtype)


def _lists_of(kind: KindOfType) -> str:
    return "lists" if kind is None else f"lists of {kind}"


def check_names(names: Sequence[Any], first: Sequence[Any], place: str, first_place: str) -> None:
    """Refuse a table whose columns are not those of the first one, in their order."""
    if list(names) == list(first):
        return
    lost = [name for name in first if name not in names]
    added = [name for name in names if name not in first]
    parts = [f"lacks {lost[:5]}"] if lost else []
    parts += [f"has {added[:5]} beside"] if added else []
    found = " and ".join(parts) or "has them in another order"
    raise InvalidDataError(
        f"{place[0].upper()}{place[1:]} has other columns than {first_place}: it {found}. All "
        "parts of a source need the same columns in the same order."
    )
