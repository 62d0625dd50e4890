"""The types of this package that skops has to trust when it loads a fitted estimator.

Examples
--------
>>> import numpy as np
>>> import pandas as pd
>>> import skops.io
>>> from sk_entity_embed import EntityEmbeddingEncoder
>>> from sk_entity_embed.export import SKOPS_TYPES
>>> X = pd.DataFrame({"city": ["Oslo", "Rome"] * 50})
>>> encoder = EntityEmbeddingEncoder(max_iter=1, random_state=0).fit(X, np.arange(100) + 0.5)
>>> loaded = skops.io.loads(skops.io.dumps(encoder), trusted=SKOPS_TYPES)
>>> np.array_equal(loaded.transform(X), encoder.transform(X))
True
"""

from __future__ import annotations

__all__ = ["SKOPS_TYPES"]

SKOPS_TYPES: list[str] = [
    "sk_entity_embed.encoder.EntityEmbeddingEncoder",
    "sk_entity_embed.input.context.ContextScaling",
    "sk_entity_embed.input.crosses.CrossVocabulary",
    "sk_entity_embed.input.lists.Lists",
    "sk_entity_embed.input.vocabulary.Vocabulary",
    "sk_entity_embed.model.fitted.EmbeddingModel",
    "sk_entity_embed.model.fitted.Output",
    "sk_entity_embed.model.fitted.WarmStartState",
    "sk_entity_embed.model.growth.Growth",
    "sk_entity_embed.model.growth.KeptRows",
    "sk_entity_embed.model.heads.dot.DotHead",
    "sk_entity_embed.model.heads.perceptron.MLPHead",
    "sk_entity_embed.model.losses.Bounded",
    "sk_entity_embed.model.losses.Link",
    "sk_entity_embed.model.losses.Log",
    "sk_entity_embed.model.losses.Logit",
    "sk_entity_embed.model.losses.Scale",
    "sk_entity_embed.model.losses.Softmax",
    "sk_entity_embed.model.poolings.GRU",
    "sk_entity_embed.model.poolings.Max",
    "sk_entity_embed.model.poolings.Mean",
    "sk_entity_embed.model.poolings.Sum",
    "sk_entity_embed.model.record.FitRecord",
    "sk_entity_embed.model.record.Importances",
    "sk_entity_embed.model.tables.EmbeddingTable",
    "sk_entity_embed.predictors.EntityEmbeddingClassifier",
    "sk_entity_embed.predictors.EntityEmbeddingRegressor",
]
"""All types of this package that a fitted estimator can hold, for ``skops.io.load(trusted=...)``.

Each is an estimator or a plain dataclass of arrays, numbers and texts; none runs code of its own
when it is loaded. Types of other packages are not listed: those of categories such as
:class:`pandas.Timestamp`, and those of other steps of a pipeline.
"""
