"""Values in messages, and warnings that name the user's line."""

from __future__ import annotations

import os
import reprlib
import sys
import warnings
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import sklearn

_LIBRARIES = tuple(
    f"{folder}{os.sep}"
    for folder in (
        Path(__file__).parents[1],
        Path(sklearn.__file__).parent,
        Path(joblib.__file__).parent,  # pipelines call their steps by way of it
    )
)
_LONGEST = 10_000
"""Bits of the longest integer that Python is asked to write: it refuses very long ones."""


class _Cut(reprlib.Repr):
    """Representations that are never longer than a line, nor made of all of a long value."""

    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = 60

    def repr_int(self, x: int, level: int) -> str:
        if x.bit_length() < _LONGEST:
            return super().repr_int(x, level)
        return f"an integer of {x.bit_length()} bits"

    def repr_bytes(self, x: bytes, level: int) -> str:
        return self.repr_instance(x[: self.maxother], level)


_CUT = _Cut()


def shown(value: Any) -> str:
    """A value as it reads in a message, cut where it is long."""
    return _CUT.repr(value.item() if isinstance(value, np.generic) else value)


def typed(value: Any) -> str:
    """A value as it reads in a message, with its type."""
    value = value.item() if isinstance(value, np.generic) else value
    return f"{shown(value)} ({type(value).__name__})"


def warn(message: str, category: type[Warning]) -> None:
    """Warn at the line that called the package, directly or by way of scikit-learn and joblib."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_LIBRARIES):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)
