"""Finished fits, kept so that no run repeats them, and what they are keyed by."""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from _common import RESULTS

import sk_entity_embed

CACHE = RESULTS / "cache"
NOT_OF_FITS = {"datasets", "evaluation", "export", "inspection"}  # rooms that no fit runs


def kept(path: Path, measure: Callable[[], dict[str, Any]], again: bool = False) -> dict[str, Any]:
    """What a file holds, or what is measured and put there; `again` measures in any case."""
    if path.exists() and not again:
        record: dict[str, Any] = json.loads(path.read_text())
        return record
    record = measure()
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".part")  # a run may be stopped at any time
    unfinished.write_text(json.dumps(record))
    unfinished.replace(path)
    return record


@cache
def package_mark() -> str:
    """Changes with whatever could change a fit of ours: its source, but not what explains it."""
    folder = Path(sk_entity_embed.__file__).parent
    paths = sorted(p.relative_to(folder) for p in folder.rglob("*.py"))
    return mark_of(*(_code(folder / p) for p in paths if p.parts[0] not in NOT_OF_FITS))


def mark_of(*parts: object) -> str:
    """A short hash of what a result depends on."""
    return hashlib.sha256(" ".join(map(str, parts)).encode()).hexdigest()[:12]


def _code(path: Path) -> str:
    """What a module does: its source without comments and docstrings."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            node.value.value = None
    return ast.dump(tree)
