"""Look at embeddings: neighbours, components, displays, an explorer, comparison of fits.

The names are imported when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES = {
    "CategoryPredictionDisplay": "displays.predictions",
    "DriftDisplay": "displays.drift",
    "EmbeddingDisplay": "displays.embedding",
    "EmbeddingHeatmapDisplay": "displays.heatmap",
    "Explorer": "explorer",
    "LossCurveDisplay": "displays.loss_curve",
    "NeighborIndex": "index",
    "SimilarityDisplay": "displays.similarity",
    "align": "alignment",
    "analogy": "neighbors",
    "drift": "alignment",
    "embedding_steps": "steps",
    "explore": "explorer",
    "extremes": "components",
    "nearest": "neighbors",
    "nearest_rows": "rows",
    "project": "projection",
    "similarity_matrix": "neighbors",
}

__all__ = [*_HOMES]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
