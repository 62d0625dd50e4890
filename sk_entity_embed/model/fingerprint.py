"""A hash of a fitted model, equal for models that give equal answers, in any process."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from sk_entity_embed.input.vocabulary import Vocabulary
from sk_entity_embed.model.fitted import EmbeddingModel

_AT_ONCE = 65_536


def fingerprint(model: EmbeddingModel) -> str:
    """Return a hash of all that answers depend on."""
    hasher = hashlib.blake2b(digest_size=16)
    for part in _parts(model):
        hasher.update(len(part).to_bytes(8))
        hasher.update(part)
    return hasher.hexdigest()


def _parts(value: Any) -> Iterator[bytes | memoryview]:
    """The bytes of a value, and of what it consists of; each follows its type."""
    yield type(value).__name__.encode()
    if is_dataclass(value) and not isinstance(value, type):
        for name in _names(value):
            yield name.encode()
            yield from _parts(getattr(value, name))
    elif isinstance(value, pa.Array):
        for start in range(0, len(value), _AT_ONCE):
            yield repr(value[start : start + _AT_ONCE].to_pylist()).encode(errors="surrogatepass")
    elif isinstance(value, np.ndarray) and value.dtype == object:
        yield from _parts(value.shape)
        for start in range(0, value.size, _AT_ONCE):
            cells = value.ravel()[start : start + _AT_ONCE].tolist()
            yield repr([*map(_cell, cells)]).encode(errors="surrogatepass")
    elif isinstance(value, np.ndarray):
        yield str((value.dtype, value.shape)).encode()
        yield np.ascontiguousarray(value).reshape(-1).view(np.uint8).data
    elif isinstance(value, tuple | list):
        for part in value:
            yield from _parts(part)
    else:
        yield repr(value).encode(errors="surrogatepass")


def _names(value: Any) -> list[str]:
    """Fields that answers depend on: keys say the same as categories, in less memory."""
    without = {"warm_start"} if isinstance(value, EmbeddingModel) else set()
    if isinstance(value, Vocabulary) and value.keys is not None:
        without = {"categories"}
    return [f.name for f in fields(value) if f.name not in without]


def _cell(cell: Any) -> Any:
    return sorted(map(repr, cell)) if isinstance(cell, frozenset) else (type(cell).__name__, cell)
