"""Taking saved files apart, forging them, and comparing what was loaded with what was saved."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

KEY = "sk_entity_embed"
DTYPES = {
    **{"BOOL": "bool", "F16": "float16", "F32": "float32", "F64": "float64"},
    **{f"{s[:1].upper() or 'I'}{8 * n}": f"{s}int{8 * n}" for s in ("", "u") for n in (1, 2, 4, 8)},
}


def take_apart(raw):
    """Descriptions of the tensors, the document and the data of a file's bytes."""
    length = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + length])
    text = header.pop("__metadata__")[KEY]
    return header, json.loads(text.partition(" ")[2]), raw[8 + length :]


def checksum(header, text, data):
    """The checksum that a file should have; of tensors that cannot be, any."""
    names = sorted(header)
    try:
        told = [text, [(n, DTYPES[header[n]["dtype"]], header[n]["shape"]) for n in names]]
        digest = hashlib.sha256(json.dumps(told).encode())
        for name in names:
            digest.update(data[slice(*header[name]["data_offsets"])])
    except (KeyError, TypeError):
        return "0" * 64
    return digest.hexdigest()


def put_together(header, document, data, *, digest=None):
    """The bytes of a file, with a checksum that fits unless there is another `digest`."""
    text = document if isinstance(document, str) else json.dumps(document)
    digest = checksum(header, text, data) if digest is None else digest
    raw = json.dumps({"__metadata__": {KEY: f"{digest} {text}"}, **header}).encode()
    return len(raw).to_bytes(8, "little") + raw + data


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
    elif hasattr(left, "__dict__") and not isinstance(left, pd.Period | pd.Timedelta):  # caches
        assert_same(vars(left), vars(right), at)
    else:
        assert repr(left) == repr(right), at
