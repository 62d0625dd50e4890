"""Encoders compared on the user's own data.

The names are imported when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sk_entity_embed._lazy import lazy_names

if TYPE_CHECKING:
    from sk_entity_embed.evaluation.report import encoding_report as encoding_report
else:
    __getattr__, __dir__, __all__ = lazy_names(__name__, {"report": ["encoding_report"]})
