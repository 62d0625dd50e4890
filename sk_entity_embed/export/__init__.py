"""Carry embeddings elsewhere: safe files, look-up tables and SQL, ONNX, torch, viewers.

The names are imported when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sk_entity_embed._lazy import lazy_names

if TYPE_CHECKING:
    from sk_entity_embed.export.atlas import atlas_widget as atlas_widget
    from sk_entity_embed.export.atlas import to_atlas as to_atlas
    from sk_entity_embed.export.blocks import embedding_features as embedding_features
    from sk_entity_embed.export.expressions import polars_expressions as polars_expressions
    from sk_entity_embed.export.expressions import pyarrow_transform as pyarrow_transform
    from sk_entity_embed.export.lookup import lookup_frames as lookup_frames
    from sk_entity_embed.export.lookup import sql as sql
    from sk_entity_embed.export.lookup import to_parquet as to_parquet
    from sk_entity_embed.export.onnx import to_onnx as to_onnx
    from sk_entity_embed.export.onnx_pipelines import register_onnx as register_onnx
    from sk_entity_embed.export.projector import to_projector as to_projector
    from sk_entity_embed.export.requirements import serving_requirements as serving_requirements
    from sk_entity_embed.export.saving import load as load
    from sk_entity_embed.export.saving import save as save
    from sk_entity_embed.export.skops_types import SKOPS_TYPES as SKOPS_TYPES
    from sk_entity_embed.export.torch import to_torch as to_torch
    from sk_entity_embed.export.word2vec import to_word2vec as to_word2vec
    from sk_entity_embed.learning.module import EntityEmbeddings as EntityEmbeddings
else:
    __getattr__, __dir__, __all__ = lazy_names(
        __name__,
        {
            ".learning.module": ["EntityEmbeddings"],
            "atlas": ["atlas_widget", "to_atlas"],
            "blocks": ["embedding_features"],
            "expressions": ["polars_expressions", "pyarrow_transform"],
            "lookup": ["lookup_frames", "sql", "to_parquet"],
            "onnx": ["to_onnx"],
            "onnx_pipelines": ["register_onnx"],
            "projector": ["to_projector"],
            "requirements": ["serving_requirements"],
            "saving": ["load", "save"],
            "skops_types": ["SKOPS_TYPES"],
            "torch": ["to_torch"],
            "word2vec": ["to_word2vec"],
        },
    )
