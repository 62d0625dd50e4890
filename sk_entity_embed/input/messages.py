"""Values in messages."""

from __future__ import annotations

import reprlib
from typing import Any

import numpy as np

_CUT = reprlib.Repr()
_CUT.maxstring = _CUT.maxother = 60


def shown(value: Any) -> str:
    """A value as it reads in a message, cut where it is long.

    Examples
    --------
    >>> from sk_entity_embed.input.messages import shown
    >>> shown("Oslo"), len(shown("x" * 1_000_000))
    ("'Oslo'", 60)
    """
    return _CUT.repr(value.item() if isinstance(value, np.generic) else value)
