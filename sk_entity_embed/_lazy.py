"""What is imported when it is first used: names of a package, and large libraries."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any


def lazy_names(
    package: str, names: Mapping[str, Sequence[str]], modules: Sequence[str] = ()
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Return ``__getattr__``, ``__dir__`` and ``__all__`` of a package.

    `names` are those that its modules define, by module (one that begins
    with a dot is in another package); `modules` are public themselves. Type
    checkers read the imports under ``TYPE_CHECKING`` beside the call instead.
    """
    homes = {name: module for module, defined in names.items() for name in defined}
    public = [*homes, *modules]

    def get(name: str) -> Any:
        if name in modules:
            return import_module(f"{package}.{name}")
        if name in homes:
            with first_import("sklearn"):
                return getattr(import_module(f".{homes[name]}", package), name)
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return get, lambda: sorted(public), public


@contextmanager
def torch_import(task: str) -> Iterator[None]:
    """Import what needs torch for a task, and say how to install it where it is lacking."""
    try:
        with first_import("torch"):
            yield
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise ImportError(
            f"{task} needs torch, which is not installed: pip install torch. Without it, fitted "
            "estimators still answer (transform, predict, export)."
        ) from error


@contextmanager
def first_import(library: str) -> Iterator[None]:
    """Keep the garbage collector from looking through a large library while it is imported.

    What was made meanwhile then counts as old; else the next collections would look through all of
    it. A collector that is off, or has frozen objects, is left alone.
    """
    if library in sys.modules or not gc.isenabled() or gc.get_freeze_count():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.unfreeze()  # into the oldest generation
        gc.enable()
