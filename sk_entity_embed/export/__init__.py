"""Carry embeddings elsewhere: safe files, look-up tables and SQL, ONNX, torch, viewers.

The names are imported when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES = {
    "EntityEmbeddings": ".learning.module",
    "load": "files",
    "lookup_frames": "lookup",
    "polars_expressions": "expressions",
    "pyarrow_transform": "expressions",
    "save": "files",
    "sql": "lookup",
    "to_onnx": "onnx",
    "to_parquet": "lookup",
    "to_projector": "projector",
    "to_torch": "torch",
    "to_word2vec": "word2vec",
}

__all__ = [*_HOMES]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f".{_HOMES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
