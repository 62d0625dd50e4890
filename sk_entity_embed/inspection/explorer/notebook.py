"""Plotly once a notebook: which of its cells hands the library over to the others."""

from __future__ import annotations

import os
import sys
from typing import Any

_carrier: tuple[Any, Any] | None = None
"""Cell whose output has the library, and the request by which it was run last."""


def is_shared() -> bool:
    """Return whether outputs of several cells are parts of one page, as in Jupyter.

    Elsewhere, or where each output is a page of its own, every explorer needs all there is.
    """
    isolated = "google.colab" in sys.modules or "DATABRICKS_RUNTIME_VERSION" in os.environ
    return getattr(_shell(), "kernel", None) is not None and not isolated


def carries() -> bool:
    """Return whether the present cell's output has to have the library, and note that it has.

    The first cell with an explorer does, also when it is run again: its output is a new one then.
    """
    global _carrier
    parent: dict[str, Any] = getattr(_shell(), "get_parent", dict)() or {}
    cell = parent.get("metadata", {}).get("cellId")
    request = parent.get("header", {}).get("msg_id")
    again = _carrier is not None and cell is not None and cell == _carrier[0]
    if _carrier is not None and not (again and request != _carrier[1]):
        return False
    _carrier = cell, request
    return True


def _shell() -> Any:
    """Return the shell of IPython that runs this code; None where there is none."""
    ipython = sys.modules.get("IPython")
    return None if ipython is None else ipython.get_ipython()
