"""Categories, numbers and shares as they read in a summary."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import pandas as pd

_LONGEST = 24
"""Letters of a name that are shown."""


def plain(label: Any) -> Any:
    """Return a category as JSON can hold it: a text where it has no type for it."""
    if isinstance(label, tuple):
        return [plain(side) for side in label]
    if label is None or isinstance(label, bool | int):
        return label
    if isinstance(label, float):
        return label if math.isfinite(label) else None
    # Lone surrogates have no bytes.
    return str(label).encode(errors="backslashreplace").decode()


def text_of(label: Any) -> str:
    """Return a category on one line, cut where it is long."""
    if isinstance(label, tuple):
        return " \N{MULTIPLICATION SIGN} ".join(map(text_of, label))
    missing = pd.api.types.is_scalar(label) and pd.isna(label)
    return cut("(missing)" if missing else str(label))


def cut(name: str) -> str:
    """Return a name on one line, of printable letters, cut where it is long."""
    shown = "".join(letter if letter.isprintable() else " " for letter in name) or "''"
    return shown if len(shown) <= _LONGEST else f"{shown[: _LONGEST - 1]}\N{HORIZONTAL ELLIPSIS}"


def share(value: float) -> str:
    """Return a share in per cent, with two digits that count."""
    percent = 100 * value
    if percent == 0:
        return "0 %"
    size = abs(percent)
    if size < 0.05:
        return "<0.1 %" if percent > 0 else "0 %"
    return f"{percent:.1f} %" if size < 9.95 else f"{percent:.0f} %"


def rise(value: float) -> str:
    """Return a relative change in per cent, with its sign."""
    shown = share(value).removeprefix("<")
    return shown if value <= 0 or shown == "0 %" else f"+{shown}"


def number(value: float) -> str:
    """Return a number with four digits that count."""
    return f"{value:.4g}"


def quantity(value: float) -> str:
    """Return a number in the user's units: in full where it is large, else four digits."""
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e15 else number(value)


def sparkline(curve: Iterable[float], low: float, high: float) -> str:
    """Return a curve as blocks of eight heights; what is above is as high as the highest."""
    blocks, span = "▁▂▃▄▅▆▇█", (high - low) or 1.0
    return "".join(
        blocks[max(0, min(7, int(8 * (v - low) / span)))] if math.isfinite(v) else "?"
        for v in curve
    )
