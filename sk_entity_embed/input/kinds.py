"""Kinds of values in words of plain English, and how to turn one into another."""

from __future__ import annotations

from collections.abc import Hashable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd

_TYPES: tuple[tuple[Any, str], ...] = (
    (str, "text"),
    ((bool, np.bool_), "booleans"),
    ((int, np.integer), "integers"),
    ((float, np.floating), "floats"),
    (Decimal, "decimals"),
    (Fraction, "fractions"),
    (bytes, "bytes"),
    (datetime, "times"),
    (date, "dates"),
    (time, "times of day"),
    ((timedelta, pd.Timedelta), "durations"),
    (tuple, "tuples"),
)
_NUMBERS = frozenset({"booleans", "integers", "floats", "decimals", "fractions"})
"""Kinds whose values may be equal to each other."""

_CURES = {
    ("text", "booleans"): "turn it into text: .astype(str)",
    ("text", "integers"): "read it as text (dtype=str), with the leading zeros it has there",
    ("text", "floats"): "read it as text (dtype=str), as it was before fit",
    ("text", "bytes"): "decode it: .str.decode('utf-8')",
    ("bytes", "text"): "encode it: .str.encode('utf-8')",
    ("booleans", "text"): ".map({'True': True, 'False': False})",
    ("integers", "text"): "turn it into numbers: .astype(int)",
    ("floats", "text"): "turn it into numbers: .astype(float)",
    ("floats", "decimals"): "turn it into floats: .astype(float)",
    ("decimals", "text"): "turn it into numbers: .map(decimal.Decimal)",
    ("decimals", "floats"): "read it as decimals: the float nearest to a decimal is another number",
    ("times", "times with a time zone"): "drop the time zone: .dt.tz_localize(None)",
    ("times with a time zone", "times"): "give the time zone: .dt.tz_localize(...)",
    ("dates", "times"): "drop the time of day: .dt.date",
    ("dates", "times with a time zone"): "drop the time of day: .dt.date",
    ("times", "dates"): "turn it into times: pandas.to_datetime",
    ("dates", "text"): "turn it into dates: pandas.to_datetime(...).dt.date",
    ("times", "text"): "turn it into times: pandas.to_datetime",
}
"""Conversions that give a column its type of fit, by its kind then and now."""


def kind_of(value: Hashable) -> str:
    """Return what a value is, in a word of plain English."""
    for types, kind in _TYPES:
        if isinstance(value, types):
            aware = isinstance(value, datetime) and value.tzinfo is not None
            return f"{kind} with a time zone" if aware else kind
    return f"values of type {type(value).__name__}"


def may_be_equal(kind: str, other: str) -> bool:
    """Whether values of two kinds can be equal."""
    return kind == other or {kind, other} <= _NUMBERS


def cure_for(now: str, then: str) -> str | None:
    """Return how to make a column of one kind what it was in fit; None if that is not known."""
    return _CURES.get((then, now))
