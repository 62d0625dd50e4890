"""How long a training runs: rows a step, epochs, and steps that slow starters are given."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sk_entity_embed.model.heads import Head
from sk_entity_embed.model.poolings import Pooling


def batch_size(given: int | str, n_samples: int) -> int:
    """Return rows a step: about 100 steps an epoch, in powers of two from 64 to 1024."""
    if given != "auto":
        return int(given)
    return int(np.clip(2 ** round(np.log2(max(1, n_samples / 100))), 64, 1024))


def max_iter(
    given: int | str, n_samples: int, batch_size: int, kinds: Sequence[type[Head | Pooling]]
) -> int:
    """Return epochs at most: four million rows' worth, within 20 to 40.

    Some `kinds` of head and poolings need a number of steps on small data, too.
    """
    if given != "auto":
        return int(given)
    epochs = int(np.clip(round(4_000_000 / max(1, n_samples)), 20, 40))
    least = max(kind.steps.least for kind in kinds)
    return max(epochs, -(-least // _n_steps(n_samples, batch_size)))


def min_iter(n_samples: int, batch_size: int, kinds: Sequence[type[Head | Pooling]]) -> int:
    """Return the epochs before patience counts."""
    steps = max(kind.steps.before_patience for kind in kinds)
    return -(-steps // _n_steps(n_samples, batch_size))


def _n_steps(n_samples: int, batch_size: int) -> int:
    """Return the steps of an epoch, about."""
    return max(1, -(-n_samples // batch_size))
