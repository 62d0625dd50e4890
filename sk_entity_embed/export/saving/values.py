"""Python values to JSON and arrays, and back, over a closed set of types.

None, booleans, finite floats, lists, and ordinary strings and integers are JSON as they are.
Everything else is an object with one key, the tag that says what it is::

    {"tuple": [1, 2]}    {"float": "nan"}    {"array": "model.head.weights.0"}

Reading looks tags up in a table and calls nothing that the file names. Each array of the file is
used once, so that what is read stays in proportion to the file.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from sklearn import model_selection

from sk_entity_embed.export.saving.container import Arrays, is_dense, parse_json
from sk_entity_embed.export.saving.plain import NUMBERS, UnrepresentableError, time_dtype
from sk_entity_embed.export.saving.scalars import (
    BUILDERS,
    MAX_DEPTH,
    are_crowded,
    as_list,
    check_hashes,
    pack_cell,
    pack_scalar,
    unpack_cell,
    unpack_scalar,
)
from sk_entity_embed.input.table import object_array

Structures: TypeAlias = Mapping[str, tuple[type, Callable[[Any], Any], Callable[[Any], Any]]]
"""Further types by tag: the type, what describes its value, what makes it of the description."""

_SPLITTERS = {
    "GroupKFold": ("n_splits", "shuffle", "random_state"),
    "KFold": ("n_splits", "shuffle", "random_state"),
    "LeaveOneGroupOut": (),
    "LeaveOneOut": (),
    "PredefinedSplit": ("test_fold",),
    "StratifiedGroupKFold": ("n_splits", "shuffle", "random_state"),
    "StratifiedKFold": ("n_splits", "shuffle", "random_state"),
}


class Packer:
    """Turns values to JSON, and puts aside the arrays among them.

    Parameters
    ----------
    structures : mapping
        Further types that may occur.

    Attributes
    ----------
    arrays : dict of ndarray
        The arrays met so far, by the names that stand for them.
    """

    def __init__(self, structures: Structures | None = None) -> None:
        self.arrays: Arrays = {}
        self._structures = {
            kind: (tag, describe) for tag, (kind, describe, _) in (structures or {}).items()
        }

    def pack(self, value: Any, at: str, depth: int = 0) -> Any:
        """The JSON of a value.

        Parameters
        ----------
        value : object
            The value.
        at : str
            Where it is, for names of arrays and for errors.
        depth : int
            Containers around it.

        Raises
        ------
        UnrepresentableError
            If it, or a value inside it, is of another type.
        """
        if depth > MAX_DEPTH:
            raise UnrepresentableError(f"{at[:40]}... is nested too deeply, or holds itself")
        kind = type(value)
        if kind in _CONTAINERS:
            tag = _CONTAINERS[kind]
            if kind in (set, frozenset):
                check_hashes(value, at)
            items = [self.pack(v, f"{at}.{i}", depth + 1) for i, v in enumerate(value)]
            return {tag: items} if tag else items
        if kind is dict:
            check_hashes(value, at)
            return {"dict": [self._pack_pair(k, v, at, depth) for k, v in value.items()]}
        if kind is np.ndarray:
            return self._pack_array(value, at)
        if kind in self._structures:
            tag, describe = self._structures[kind]
            return {tag: self._pack_fields(describe(value), at, depth)}
        if kind in _COMPOSITES:
            tag, describe = _COMPOSITES[kind]
            return {tag: self.pack(describe(value), at, depth + 1)}
        return pack_scalar(value, at, depth)

    def _pack_pair(self, key: Any, value: Any, at: str, depth: int) -> list[Any]:
        inside = f"{at}.{key}" if isinstance(key, str) else at
        return [self.pack(key, f"a key of {at}", depth + 1), self.pack(value, inside, depth + 1)]

    def _pack_fields(self, fields: Mapping[str, Any], at: str, depth: int) -> dict[str, Any]:
        return {name: self.pack(v, f"{at}.{name}", depth + 1) for name, v in fields.items()}

    def _pack_array(self, array: NDArray[Any], at: str) -> dict[str, Any]:
        kind = array.dtype.kind
        if array.dtype.name in NUMBERS:
            transposed = array.flags.f_contiguous and not array.flags.c_contiguous
            return (
                {"array_f": self._put(array.T, at)}
                if transposed
                else {"array": self._put(array, at)}
            )
        if kind in "mM":
            return {
                "times": [
                    self._put(array.astype(array.dtype.newbyteorder("=")).view(np.int64), at),
                    array.dtype.name,
                ]
            }
        if kind == "U" and array.dtype.itemsize:
            native = np.array(array, array.dtype.newbyteorder("="), order="C")
            points = native.reshape(-1).view(np.uint32).reshape(*array.shape, native.itemsize // 4)
            return {"unicode": self._put(points, at)}
        if kind == "O" and array.ndim == 1:
            return self._pack_objects(array, at)
        raise UnrepresentableError(
            f"{at} is an array of dtype {array.dtype} and shape {array.shape}"
        )

    def _pack_objects(self, array: NDArray[np.object_], at: str) -> dict[str, Any]:
        if all(type(v) is str for v in array):
            data, offsets = _text_buffers(array)
            return {"strings": [self._put(data, f"{at}.utf8"), self._put(offsets, f"{at}.offsets")]}
        cells = [pack_cell(v, f"{at}, position {i}") for i, v in enumerate(array)]
        text = json.dumps(cells, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        if is_dense(text):  # text full of brackets
            raise UnrepresentableError(
                f"{at} has too many brackets and colons in text beside other values; make all "
                "values strings"
            )
        return {"objects": self._put(np.frombuffer(text.encode(), np.uint8), f"{at}.json")}

    def _put(self, array: NDArray[Any], at: str) -> str:
        base = at.encode("ascii", "replace").decode()[:200]
        name, k = base, 0
        while name in self.arrays:
            name, k = f"{base}#{k}", k + 1
        self.arrays[name] = array
        return name


class Unpacker:
    """Turns what a :class:`Packer` has made back to values.

    Parameters
    ----------
    arrays : mapping of ndarray
        The arrays of the file.
    structures : mapping
        Further types that may occur.

    Attributes
    ----------
    arrays : dict of ndarray
        Those that were not used so far.
    """

    def __init__(self, arrays: Arrays, structures: Structures | None = None) -> None:
        self.arrays = dict(arrays)
        self._structures = structures or {}
        self._readers: dict[str, Callable[[Any], Any]] = {
            "array": self._take,
            "array_f": lambda name: self._take(name).T,
            "times": lambda x: self._take(x[0], np.int64).view(time_dtype(x[1])),
            "unicode": lambda name: _unicode(self._take(name, np.uint32)),
            "strings": lambda x: _texts(self._take(x[0], np.uint8), self._take(x[1], np.int64)),
            "objects": lambda name: _cells(self._take(name, np.uint8)),
        }

    def unpack(self, packed: Any, depth: int = 0) -> Any:
        """The value of some JSON.

        Raises
        ------
        Exception
            Of several kinds, if it is nothing that a :class:`Packer` makes.
        """
        if depth > MAX_DEPTH:
            raise ValueError("values are nested too deeply")
        if type(packed) is list:
            return [self.unpack(v, depth + 1) for v in packed]
        if type(packed) is not dict:
            return packed
        ((tag, content),) = packed.items()
        if tag in self._readers:
            return self._readers[tag](content)
        if tag in BUILDERS:
            return BUILDERS[tag](self.unpack(as_list(content), depth))
        if tag == "dict":
            return self._unpack_dict(content, depth)
        if tag in self._structures:
            make = self._structures[tag][2]
            return make({name: self.unpack(v, depth + 1) for name, v in content.items()})
        if tag in _COMPOSITE_READERS:
            return _COMPOSITE_READERS[tag](*self.unpack(content, depth + 1))
        return unpack_scalar(tag, content)

    def _unpack_dict(self, content: Any, depth: int) -> dict[Any, Any]:
        pairs = [(self.unpack(k, depth + 1), self.unpack(v, depth + 1)) for k, v in content]
        if are_crowded(key for key, _ in pairs):
            raise ValueError("a dict has too many keys of the same hash")
        return dict(pairs)

    def _take(self, name: str, dtype: Any = None) -> NDArray[Any]:
        array = self.arrays.pop(name)
        if dtype is not None and array.dtype != dtype:
            raise ValueError(
                f"tensor {name!r} has dtype {array.dtype} instead of {np.dtype(dtype)}"
            )
        return array


def _cells(raw: NDArray[np.uint8]) -> NDArray[np.object_]:
    return object_array([unpack_cell(v) for v in as_list(parse_json(raw.tobytes().decode()))])


def _text_buffers(texts: NDArray[np.object_]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """All strings as UTF-8, one after the other, and where each begins and the last ends."""
    n = len(texts)
    if n == 0:
        return np.empty(0, np.uint8), np.zeros(1, np.int64)
    try:
        array = pa.array(texts, type=pa.large_string(), from_pandas=False)
    except UnicodeEncodeError:  # lone surrogates are not Arrow's
        encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
        array = pa.array(encoded, type=pa.large_binary())
    _, offsets, data = array.buffers()
    ends = np.frombuffer(offsets, np.int64, n + 1)
    used = int(ends[-1])
    return np.frombuffer(data, np.uint8, used) if used else np.empty(0, np.uint8), ends


def _texts(data: NDArray[np.uint8], offsets: NDArray[np.int64]) -> NDArray[np.object_]:
    if data.ndim != 1 or offsets.ndim != 1 or len(offsets) == 0:
        raise ValueError("strings are stored in one dimension")
    if offsets[0] != 0 or offsets[-1] != len(data) or (offsets[1:] < offsets[:-1]).any():
        raise ValueError("strings begin or end outside their bytes")
    array = pa.LargeStringArray.from_buffers(
        len(offsets) - 1, pa.py_buffer(offsets), pa.py_buffer(data)
    )
    try:
        array.validate(full=True)
    except pa.ArrowInvalid:
        raw, ends = data.tobytes(), offsets.tolist()
        return object_array([raw[i:j].decode("utf-8", "surrogatepass") for i, j in pairwise(ends)])
    texts: NDArray[np.object_] = array.to_numpy(zero_copy_only=False)
    return texts


def _unicode(points: NDArray[np.uint32]) -> NDArray[np.str_]:
    if points.ndim < 1 or points.shape[-1] == 0 or (points > 0x10FFFF).any():
        raise ValueError("no code points of strings")
    flat = np.ascontiguousarray(points).reshape(-1).view(f"<U{points.shape[-1]}")
    return flat.reshape(points.shape[:-1])


def _describe_index(index: pd.Index) -> tuple[Any, ...]:
    if index.dtype == object or str(index.dtype) == "str":
        return index.to_numpy(dtype=object), index.name, str(index.dtype)
    if not isinstance(index.dtype, np.dtype):
        raise UnrepresentableError(
            f"an index is of dtype {index.dtype}; give it by `.astype(object)`"
        )
    return index.to_numpy(), index.name, None


def _read_index(values: NDArray[Any], name: Any, dtype: str | None) -> pd.Index:
    if type(values) is not np.ndarray or dtype not in ("object", "str", None):
        raise ValueError("no index")
    if dtype == "str":
        if not all(type(v) is str or pd.isna(v) for v in values):
            raise ValueError("an index of strings holds something else")
        return pd.Index(values, dtype="str", name=name, tupleize_cols=False)
    return pd.Index(values, name=name, dtype=dtype, tupleize_cols=False)


def _describe_frame(frame: pd.DataFrame) -> tuple[Any, ...]:
    for name, dtype in zip(frame.columns, frame.dtypes, strict=True):
        if not isinstance(dtype, np.dtype) or dtype.name not in NUMBERS:
            raise UnrepresentableError(
                f"column {name!r} of a data frame is of dtype {dtype}; give NumPy's numbers, by "
                "`.astype('float64')`"
            )
    if len(set(frame.dtypes)) == 1:
        return frame.to_numpy(), frame.index, frame.columns
    return [frame.iloc[:, j].to_numpy() for j in range(frame.shape[1])], frame.index, frame.columns


def _read_frame(data: Any, index: pd.Index, columns: pd.Index) -> pd.DataFrame:
    if not isinstance(index, pd.Index) or not isinstance(columns, pd.Index):
        raise ValueError("a data frame has no index")
    if type(data) is np.ndarray:
        return pd.DataFrame(data, index=index, columns=columns)
    for column in data:
        if type(column) is not np.ndarray or column.shape != (len(index),):
            raise ValueError("columns of a data frame differ in length")
    frame = pd.DataFrame(dict(enumerate(data)), index=index)
    frame.columns = columns
    return frame


def _describe_series(series: pd.Series) -> tuple[Any, ...]:
    if not isinstance(series.dtype, np.dtype):
        raise UnrepresentableError(f"a series is of dtype {series.dtype}; give a NumPy array")
    return series.to_numpy(), series.index, series.name


def _read_series(data: NDArray[Any], index: pd.Index, name: Any) -> pd.Series:
    # Of a scalar pandas would make as many copies as the index has entries.
    if type(data) is not np.ndarray or data.ndim != 1 or not isinstance(index, pd.Index):
        raise ValueError("no series")
    return pd.Series(data, index=index, name=name)


def _describe_random(random: np.random.RandomState) -> tuple[Any, ...]:
    state = random.get_state(legacy=False)
    if state["bit_generator"] != "MT19937":
        raise UnrepresentableError(
            f"a RandomState runs on {state['bit_generator']}; give an integer"
        )
    return state["state"]["key"], state["state"]["pos"], state["has_gauss"], state["gauss"]


def _read_random(key: Any, pos: int, has_gauss: int, gauss: float) -> np.random.RandomState:
    random = np.random.RandomState(0)
    fits = type(key) is np.ndarray and key.dtype == np.uint32 and key.shape == (624,)
    if not fits or type(pos) is not int or not 0 <= pos <= 624 or has_gauss not in (0, 1):
        raise ValueError("no state of a RandomState")
    random.set_state(("MT19937", key, pos, has_gauss, float(gauss)))
    return random


def _describe_splitter(splitter: Any) -> tuple[Any, ...]:
    name = type(splitter).__name__
    return name, {p: getattr(splitter, p) for p in _SPLITTERS[name]}


def _read_splitter(name: str, params: dict[str, Any]) -> Any:
    if set(params) != set(_SPLITTERS[name]):
        raise ValueError(f"parameters of {name} are {sorted(params)}")
    return getattr(model_selection, name)(**params)


_CONTAINERS: dict[type, str | None] = {
    list: None,
    tuple: "tuple",
    set: "set",
    frozenset: "frozenset",
}
_INDEXES = (pd.Index, pd.DatetimeIndex, pd.TimedeltaIndex)
_COMPOSITES: dict[type, tuple[str, Callable[[Any], tuple[Any, ...]]]] = {
    pd.DataFrame: ("frame", _describe_frame),
    pd.Series: ("series", _describe_series),
    pd.RangeIndex: ("range", lambda i: (i.start, i.stop, i.step, i.name)),
    **dict.fromkeys(_INDEXES, ("index", _describe_index)),
    np.random.RandomState: ("random_state", _describe_random),
    **{getattr(model_selection, n): ("splitter", _describe_splitter) for n in _SPLITTERS},
}
_COMPOSITE_READERS: dict[str, Callable[..., Any]] = {
    "frame": _read_frame,
    "series": _read_series,
    "range": lambda start, stop, step, name: pd.RangeIndex(start, stop, step, name=name),
    "index": _read_index,
    "random_state": _read_random,
    "splitter": _read_splitter,
}
