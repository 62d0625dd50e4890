"""Taking saved files apart, forging them, and comparing what was loaded with what was saved."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

BLANK = "0" * 64


def take_apart(raw):
    """Header without metadata, metadata, document and data of a file's bytes."""
    length = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + length])
    metadata = header.pop("__metadata__")
    return header, metadata, json.loads(metadata["document"]), raw[8 + length :]


def put_together(header, metadata, document, data, *, sign=True, escaped=False):
    """The bytes of a file, with a checksum that fits unless `sign` is False.

    With `escaped`, the header spells the document's brackets, commas and colons by escapes.
    """
    text = document if isinstance(document, str) else json.dumps(document)
    metadata = {**metadata, "document": text}
    if sign:
        metadata["sha256"] = BLANK
    parts = {"__metadata__": metadata, **header}
    raw = json.dumps(parts, separators=(",", ":"))
    if escaped:
        spelled = [f"\\u{ord(c):04x}" if c in "[]{},:" else c for c in json.dumps(text)]
        raw = raw.replace(json.dumps(text), "".join(spelled))
    raw = raw.encode()
    raw = len(raw).to_bytes(8, "little") + raw + data
    if not sign:
        return raw
    digest = hashlib.sha256(raw).hexdigest()
    return raw.replace(f'"sha256":"{BLANK}"'.encode(), f'"sha256":"{digest}"'.encode(), 1)


def tensor(raw, name):
    """A writable copy of a tensor's bytes and their place in the data."""
    header, _, _, data = take_apart(raw)
    begin, end = header[name]["data_offsets"]
    return bytearray(data[begin:end]), slice(begin, end)


def with_tensor(raw, name, array):
    """The file with another array of the same size in place of a tensor."""
    header, metadata, document, data = take_apart(raw)
    place = slice(*header[name]["data_offsets"])
    new = bytearray(data)
    content = np.ascontiguousarray(array).tobytes()
    assert len(content) == place.stop - place.start
    new[place] = content
    return put_together(header, metadata, document, bytes(new))


def assert_same(left: Any, right: Any, at: str = "value") -> None:
    """Compare in type and value, down to dtypes, memory order and the bits of numbers."""
    assert type(left) is type(right), (at, left, right)
    if isinstance(left, np.ndarray):
        assert (left.dtype, left.shape) == (right.dtype, right.shape), at
        assert left.flags.c_contiguous == right.flags.c_contiguous, at
        if left.dtype == object:
            assert_same(left.tolist(), right.tolist(), at)
        else:
            assert left.tobytes() == right.tobytes(), at
    elif dataclasses.is_dataclass(left):
        for field in dataclasses.fields(left):
            name = field.name
            assert_same(getattr(left, name), getattr(right, name), f"{at}.{name}")
    elif isinstance(left, dict):
        assert_same(list(left), list(right), at)
        for key in left:
            assert_same(left[key], right[key], f"{at}[{key!r}]")
    elif isinstance(left, list | tuple):
        assert len(left) == len(right), at
        for i, (a, b) in enumerate(zip(left, right, strict=True)):
            assert_same(a, b, f"{at}[{i}]")
    elif isinstance(left, pd.DataFrame | pd.Series | pd.Index):
        name = {pd.DataFrame: "frame", pd.Series: "series"}.get(type(left), "index")
        getattr(pd.testing, f"assert_{name}_equal")(left, right, check_exact=True)
    elif isinstance(left, np.random.RandomState):
        assert str(left.get_state(legacy=False)) == str(right.get_state(legacy=False)), at
    elif isinstance(left, pa.Array):
        assert left.type == right.type, at
        assert left.equals(right), at
    elif hasattr(left, "__dict__") and not isinstance(left, pd.Period):  # which keep a cache there
        assert_same(vars(left), vars(right), at)
    else:
        assert repr(left) == repr(right), at
