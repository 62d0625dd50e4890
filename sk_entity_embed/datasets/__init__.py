"""Data to try things on: generators with known answers, flights, MovieLens.

The names are imported when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sk_entity_embed._lazy import lazy_names

if TYPE_CHECKING:
    from sk_entity_embed.datasets.flights import load_flights as load_flights
    from sk_entity_embed.datasets.generated import make_links as make_links
    from sk_entity_embed.datasets.generated import make_listings as make_listings
    from sk_entity_embed.datasets.generated import make_ratings as make_ratings
    from sk_entity_embed.datasets.generated import make_reviews as make_reviews
    from sk_entity_embed.datasets.generated import make_sequences as make_sequences
    from sk_entity_embed.datasets.generated import make_token_effects as make_token_effects
    from sk_entity_embed.datasets.movielens import fetch_movielens as fetch_movielens
else:
    __getattr__, __dir__, __all__ = lazy_names(
        __name__,
        {
            "flights": ["load_flights"],
            "generated": [
                "make_links",
                "make_listings",
                "make_ratings",
                "make_reviews",
                "make_sequences",
                "make_token_effects",
            ],
            "movielens": ["fetch_movielens"],
        },
    )
