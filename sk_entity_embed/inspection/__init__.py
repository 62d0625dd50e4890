"""Look at embeddings: neighbours, components, displays, an explorer, comparison of fits.

The names are imported when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sk_entity_embed._lazy import lazy_names

if TYPE_CHECKING:
    from sk_entity_embed.inspection.alignment import align as align
    from sk_entity_embed.inspection.alignment import drift as drift
    from sk_entity_embed.inspection.contributions import group_by_column as group_by_column
    from sk_entity_embed.inspection.displays.drift import DriftDisplay as DriftDisplay
    from sk_entity_embed.inspection.displays.embedding import EmbeddingDisplay as EmbeddingDisplay
    from sk_entity_embed.inspection.displays.heatmap import (
        EmbeddingHeatmapDisplay as EmbeddingHeatmapDisplay,
    )
    from sk_entity_embed.inspection.displays.loss_curve import LossCurveDisplay as LossCurveDisplay
    from sk_entity_embed.inspection.displays.predictions import (
        CategoryPredictionDisplay as CategoryPredictionDisplay,
    )
    from sk_entity_embed.inspection.displays.similarity import (
        SimilarityDisplay as SimilarityDisplay,
    )
    from sk_entity_embed.inspection.explorer import Explorer as Explorer
    from sk_entity_embed.inspection.explorer import explore as explore
    from sk_entity_embed.inspection.index import NeighborIndex as NeighborIndex
    from sk_entity_embed.inspection.neighbors import analogy as analogy
    from sk_entity_embed.inspection.neighbors import doesnt_match as doesnt_match
    from sk_entity_embed.inspection.neighbors import nearest as nearest
    from sk_entity_embed.inspection.neighbors import similarity_matrix as similarity_matrix
    from sk_entity_embed.inspection.projection import extremes as extremes
    from sk_entity_embed.inspection.projection import project as project
    from sk_entity_embed.inspection.reporting import Summary as Summary
    from sk_entity_embed.inspection.reporting import report as report
    from sk_entity_embed.inspection.rows import nearest_rows as nearest_rows
    from sk_entity_embed.inspection.steps import embedding_steps as embedding_steps
else:
    __getattr__, __dir__, __all__ = lazy_names(
        __name__,
        {
            "alignment": ["align", "drift"],
            "contributions": ["group_by_column"],
            "displays.drift": ["DriftDisplay"],
            "displays.embedding": ["EmbeddingDisplay"],
            "displays.heatmap": ["EmbeddingHeatmapDisplay"],
            "displays.loss_curve": ["LossCurveDisplay"],
            "displays.predictions": ["CategoryPredictionDisplay"],
            "displays.similarity": ["SimilarityDisplay"],
            "explorer": ["Explorer", "explore"],
            "index": ["NeighborIndex"],
            "neighbors": ["analogy", "doesnt_match", "nearest", "similarity_matrix"],
            "projection": ["extremes", "project"],
            "reporting": ["Summary", "report"],
            "rows": ["nearest_rows"],
            "steps": ["embedding_steps"],
        },
    )
