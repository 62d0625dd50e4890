"""Bytes on disk: a JSON document and named arrays in one checked file, written in one piece.

The file is a safetensors file, which other programs can open::

    8 bytes      length of the header, little-endian
    header       JSON: for each tensor its dtype, shape and data_offsets, and "__metadata__"
    data         the tensors in the order of their offsets, without gaps

``__metadata__`` holds four strings: "format", "format_version", "document" (the JSON document)
and "sha256", the hash of the whole file with these 64 digits replaced by zeros.

What is read is checked before anything is allocated for it, and JSON is bounded before it is
parsed, so that a bad file costs about the memory of a good one. Nothing here knows what the
document says.

References
----------
https://huggingface.co/docs/safetensors#format
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import stat
from collections.abc import Iterable, Mapping
from typing import IO, Any, NoReturn, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sk_entity_embed._writing import write_whole
from sk_entity_embed.exceptions import InvalidFileError, InvalidParameterError
from sk_entity_embed.input.messages import shown

FORMAT = "sk_entity_embed"
MAX_HEADER = 100_000_000
"""Bytes of the header; other readers of the format accept no more either."""

MAX_NODES = 5_000_000
"""Values in the header or the document, which take up to about 120 bytes of memory each.

An encoder of 10,000 columns with starting vectors for all of them has 2.3 million, and one of
10,000 columns without has 1.4 million. They are counted before they are made, by the marks that
begin or part values; marks inside strings count as well.
"""

Document: TypeAlias = dict[str, Any]
Arrays: TypeAlias = dict[str, NDArray[Any]]

_NAMES = {
    "bool": "BOOL",
    "uint8": "U8",
    "int8": "I8",
    "uint16": "U16",
    "int16": "I16",
    "float16": "F16",
    "uint32": "U32",
    "int32": "I32",
    "float32": "F32",
    "uint64": "U64",
    "int64": "I64",
    "float64": "F64",
}
_DTYPES = {name: np.dtype(dtype).newbyteorder("<") for dtype, name in _NAMES.items()}
_MAX_DIMENSIONS = 64
_BLANK = "0" * 64
_NODES, _CONTAINERS = "[{,:", "[{:"
"""Marks of all values in JSON, and of those that take much more memory than text."""


def write(
    path: str | os.PathLike[str],
    document: Document,
    arrays: Mapping[str, NDArray[Any]],
    *,
    version: int,
) -> None:
    """Write a file in one piece: after any failure the old one is there, or none.

    Parameters
    ----------
    path : str or path-like
        Where to; an existing file is replaced and keeps its permissions, and where it is a link,
        the file behind it is replaced.
    document : dict
        Of what JSON can hold.
    arrays : mapping of ndarray
        Of booleans, integers or floating-point numbers of up to 64 bits; stored in C order.
    version : int
        Version of the format that the document follows.

    Raises
    ------
    InvalidParameterError
        If the document is too long for a header, or has too many values.
    OSError
        If the file cannot be written.
    """
    stored = {
        name: np.asarray(a, a.dtype.newbyteorder("<"), order="C") for name, a in arrays.items()
    }
    # Wide numbers first keep every tensor aligned in the file, as the format's own writer does.
    names = sorted(stored, key=lambda name: (-stored[name].dtype.itemsize, name))
    header = _make_header(document, [(name, stored[name]) for name in names], version)
    chunks = [_flat(stored[name]) for name in names]
    digest = hashlib.sha256(header)
    for chunk in chunks:
        digest.update(chunk.data)
    header = header.replace(_digits(_BLANK), _digits(digest.hexdigest()), 1)
    write_whole(path, lambda file: file.writelines([header, *(chunk.data for chunk in chunks)]))


def read(path: str | os.PathLike[str], *, newest: int) -> tuple[int, Document, Arrays]:
    """Read a file that :func:`write` has written.

    Parameters
    ----------
    path : str or path-like
        The file.
    newest : int
        The latest version of the format that can be read.

    Returns
    -------
    version : int
        Version of the format, from 1 to `newest`.
    document : dict
        The document.
    arrays : dict of ndarray
        The arrays, writable and in C order.

    Raises
    ------
    InvalidFileError
        If it is another kind of file, was cut off or changed, or is of a newer version.
    OSError
        If it cannot be opened.
    """
    if not stat.S_ISREG(os.stat(path).st_mode):
        _refuse("it is no file")
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        start = _read_header(file, size)
        header = _parse(_decode(start[8:]), "header")
        metadata = header.pop("__metadata__", None)
        version = _check_metadata(metadata, newest)
        places = _places(header, size, size - len(start))
        digest = hashlib.sha256(_blanked(start, metadata["sha256"]))
        arrays = {name: _read_array(file, *place, digest) for name, place in places}
        if file.read(1):
            _refuse("it grew while it was read")
    if digest.hexdigest() != metadata["sha256"]:
        _refuse("its checksum does not fit: the file was changed or damaged")
    for name, array in arrays.items():
        if array.dtype == bool and array.size and array.view(np.uint8).max() > 1:
            _refuse(f"tensor {shown(name)} has bytes that are neither true nor false")
    return version, _parse(metadata["document"], "document"), arrays


def is_dense(text: str) -> bool:
    """Whether JSON may hold more containers than cells of its length need.

    The shortest cell that is no number or string, an empty tuple, takes 3 marks and 13 characters.
    """
    return _count(text, _CONTAINERS) > max(MAX_NODES, len(text) // 4)


def parse_json(text: str) -> Any:
    """Read JSON strictly: no repeated keys, no NaN, and a bounded depth.

    Raises
    ------
    ValueError
        If it is not JSON of this kind, or is dense.
    """
    if is_dense(text):
        raise ValueError("it has too many lists and objects for its length")
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _refuse(reason: str) -> NoReturn:
    raise InvalidFileError(reason)


def _count(text: str, marks: str) -> int:
    return sum(map(text.count, marks))


def _make_header(
    document: Document, tensors: Iterable[tuple[str, NDArray[Any]]], version: int
) -> bytes:
    """Length and header, with a checksum of zeros."""
    metadata = {
        "format": FORMAT,
        "format_version": str(version),
        "sha256": _BLANK,
        "document": json.dumps(document, ensure_ascii=False, allow_nan=False),
    }
    header: dict[str, Any] = {"__metadata__": metadata}
    end = 0
    for name, array in tensors:
        begin, end = end, end + array.nbytes
        header[name] = {
            "dtype": _NAMES[array.dtype.name],
            "shape": list(array.shape),
            "data_offsets": [begin, end],
        }
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":"))
    raw = text.encode()
    raw += b" " * (-len(raw) % 8)
    for found, most, what in (
        (len(raw), MAX_HEADER, "bytes of text"),
        (_count(text, _NODES), MAX_NODES, "values"),
    ):
        if found > most:
            raise InvalidParameterError(
                f"The parameters and columns take {found} {what} besides arrays, and a file has "
                f"room for {most}. Give long lists, such as the splits in `cv`, as NumPy arrays, "
                "or use joblib."
            )
    return len(raw).to_bytes(8, "little") + raw


def _digits(hexadecimal: str) -> bytes:
    return f'"sha256":"{hexadecimal}"'.encode()


def _blanked(start: bytes, hexadecimal: str) -> bytes:
    """What the checksum of the header was computed from."""
    if start.count(_digits(hexadecimal)) != 1:
        _refuse("its checksum is not where it should be")
    return start.replace(_digits(hexadecimal), _digits(_BLANK))


def _flat(array: NDArray[Any]) -> NDArray[np.uint8]:
    """The bytes of an array, without a copy."""
    return array.reshape(-1).view(np.uint8)


def _read_header(file: IO[bytes], size: int) -> bytes:
    """Length and header, if the file can hold them."""
    start = file.read(8)
    length = int.from_bytes(start, "little")
    if size < 10 or len(start) < 8:
        _refuse(f"it has {size} bytes, which is too short")
    if length > min(size - 8, MAX_HEADER):
        _refuse("it does not begin as a safetensors file does, or was cut off")
    start += file.read(length)
    if len(start) < 8 + length or start[8:9] != b"{":
        _refuse("it does not begin as a safetensors file does")
    return start


def _decode(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise InvalidFileError(f"its header is no valid JSON: {error}") from None


def _parse(text: str, what: str) -> dict[str, Any]:
    if _count(text, _NODES) > MAX_NODES:
        _refuse(f"its {what} has more than {MAX_NODES} values")
    try:
        text.encode()  # JSON can escape half a character
        found = parse_json(text)
    except ValueError as error:
        raise InvalidFileError(f"its {what} is no valid JSON: {error}") from error
    if not isinstance(found, dict):
        _refuse(f"its {what} is no JSON object")
    return found


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is repeated")
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _check_metadata(metadata: Any, newest: int) -> int:
    """Version of the format, of a file that is ours."""
    if not isinstance(metadata, dict) or metadata.get("format") != FORMAT:
        _refuse("it is a safetensors file, but not one of sk_entity_embed")
    version = metadata.get("format_version")
    if not isinstance(version, str) or not re.fullmatch("[1-9][0-9]{0,8}", version):
        _refuse(f"its format version {shown(version)} is no number")
    if int(version) > newest:
        _refuse(
            f"it has format version {version}, and this version of sk_entity_embed reads up to "
            f"{newest}: pip install --upgrade sk-entity-embed"
        )
    if set(metadata) != {"format", "format_version", "sha256", "document"}:
        _refuse(f"its metadata are {shown(sorted(metadata))}")
    if not isinstance(metadata["document"], str) or not isinstance(metadata["sha256"], str):
        _refuse("its document or its checksum is no text")
    if not re.fullmatch("[0-9a-f]{64}", metadata["sha256"]):
        _refuse("its checksum is no sha256")
    return int(version)


def _places(
    header: dict[str, Any], size: int, n_bytes: int
) -> list[tuple[str, tuple[np.dtype[Any], tuple[int, ...]]]]:
    """Dtype and shape of each tensor, in the order of the data, if they fill it exactly."""
    found = [(*_check_entry(name, entry, size), name) for name, entry in header.items()]
    found.sort(key=lambda place: (place[0], place[1]))
    position = 0
    for begin, end, _, _, name in found:
        if begin != position:
            _refuse(f"tensor {shown(name)} begins at byte {begin} instead of {position}")
        position = end
    if position != n_bytes:
        what = "was cut off" if position > n_bytes else "is too long"
        _refuse(f"it {what}: its header describes {position} bytes of data, and it has {n_bytes}")
    return [(name, (dtype, shape)) for _, _, dtype, shape, name in found]


def _check_entry(
    name: str, entry: Any, size: int
) -> tuple[int, int, np.dtype[Any], tuple[int, ...]]:
    """Begin, end, dtype and shape of a tensor, if they fit each other."""
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        _refuse(f"tensor {shown(name)} is not described as safetensors does")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _DTYPES:
        _refuse(f"tensor {shown(name)} has the unknown dtype {shown(dtype)}")
    if not all(
        isinstance(numbers, list) and all(type(n) is int and 0 <= n <= size for n in numbers)
        for numbers in (shape, offsets)
    ):
        _refuse(f"tensor {shown(name)} has a shape or offsets beyond the file")
    # Before products are made: that of a million factors takes minutes.
    if len(offsets) != 2 or len(shape) > _MAX_DIMENSIONS:
        _refuse(f"tensor {shown(name)} has {len(offsets)} offsets and {len(shape)} dimensions")
    # An empty tensor has no bytes to hold its shape against, so that the file's size has to do.
    if math.prod(n for n in shape if n) > size:
        _refuse(f"tensor {shown(name)} of shape {shape} is larger than the file")
    if math.prod(shape) * _DTYPES[dtype].itemsize != offsets[1] - offsets[0]:
        held = offsets[1] - offsets[0]
        _refuse(f"tensor {shown(name)} of shape {shape} does not fit its {held} bytes")
    return offsets[0], offsets[1], _DTYPES[dtype], tuple(shape)


def _read_array(
    file: IO[bytes], dtype: np.dtype[Any], shape: tuple[int, ...], digest: Any
) -> NDArray[Any]:
    """The next tensor, whose bytes the file is known to have."""
    array: NDArray[Any] = np.empty(shape, dtype)
    flat = _flat(array)
    if file.readinto(flat.data) < len(flat):  # type: ignore[attr-defined]
        _refuse("it was cut off while it was read")
    digest.update(flat.data)
    return array.astype(dtype.newbyteorder("="), copy=False)
