"""Fit and score on a cluster with Ray, from more rows than one machine holds.

The names are imported when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sk_entity_embed._lazy import lazy_names

if TYPE_CHECKING:
    from sk_entity_embed.distributed.fitting import fit as fit
    from sk_entity_embed.distributed.scoring import transform as transform
else:
    __getattr__, __dir__, __all__ = lazy_names(
        __name__, {"fitting": ["fit"], "scoring": ["transform"]}
    )
