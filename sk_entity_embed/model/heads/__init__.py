"""The layers above the tables in NumPy, a class for each kind.

A new kind is a class in a module here, in ``HEADS``, and its torch side in the module of the same
name in ``learning/heads``. What is not said of it elsewhere, such as an ONNX form, is refused.
"""

from sk_entity_embed.model.heads.base import Head, heads_of_folds
from sk_entity_embed.model.heads.dot import DotHead
from sk_entity_embed.model.heads.perceptron import MLPHead

__all__ = ["HEADS", "DotHead", "Head", "MLPHead", "heads_of_folds"]

HEADS: dict[str, type[Head]] = {kind.name: kind for kind in (MLPHead, DotHead)}
"""The kinds by name."""
