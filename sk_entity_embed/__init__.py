"""Entity embeddings for categorical columns, inside scikit-learn.

The public names are imported when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sk_entity_embed.encoder import EntityEmbeddingEncoder
    from sk_entity_embed.predictors import EntityEmbeddingClassifier, EntityEmbeddingRegressor

__version__ = "0.1.0"

__all__ = [
    "EntityEmbeddingClassifier",
    "EntityEmbeddingEncoder",
    "EntityEmbeddingRegressor",
    "__version__",
    "datasets",
    "evaluation",
    "exceptions",
    "export",
    "inspection",
    "sampling",
]

_HOMES = {
    "EntityEmbeddingClassifier": "sk_entity_embed.predictors",
    "EntityEmbeddingEncoder": "sk_entity_embed.encoder",
    "EntityEmbeddingRegressor": "sk_entity_embed.predictors",
}
_MODULES = ("datasets", "evaluation", "exceptions", "export", "inspection", "sampling")


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    if name in _MODULES:
        return import_module(f"sk_entity_embed.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
