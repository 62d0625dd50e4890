"""Entity embeddings for categorical columns, inside scikit-learn.

The public names are imported when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sk_entity_embed._lazy import lazy_names

__version__ = "0.1.0"

if TYPE_CHECKING:
    from sk_entity_embed import datasets as datasets
    from sk_entity_embed import evaluation as evaluation
    from sk_entity_embed import exceptions as exceptions
    from sk_entity_embed import export as export
    from sk_entity_embed import inspection as inspection
    from sk_entity_embed import sampling as sampling
    from sk_entity_embed.encoder import EntityEmbeddingEncoder as EntityEmbeddingEncoder
    from sk_entity_embed.predictors import EntityEmbeddingClassifier as EntityEmbeddingClassifier
    from sk_entity_embed.predictors import EntityEmbeddingRegressor as EntityEmbeddingRegressor
else:
    __getattr__, __dir__, __all__ = lazy_names(
        __name__,
        {
            "encoder": ["EntityEmbeddingEncoder"],
            "predictors": ["EntityEmbeddingClassifier", "EntityEmbeddingRegressor"],
        },
        modules=("datasets", "evaluation", "exceptions", "export", "inspection", "sampling"),
    )
    __all__ += ["__version__"]
