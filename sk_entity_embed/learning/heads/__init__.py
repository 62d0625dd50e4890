"""The heads under training, each in the module of its NumPy side's name."""

from sk_entity_embed.learning.heads.base import HeadShape, LossGradient, TorchHead
from sk_entity_embed.learning.heads.dot import DotProduct
from sk_entity_embed.learning.heads.perceptron import MLP
from sk_entity_embed.model.heads import DotHead, Head, MLPHead

__all__ = ["TORCH_HEADS", "HeadShape", "LossGradient", "TorchHead"]

TORCH_HEADS: dict[type[Head], type[TorchHead]] = {MLPHead: MLP, DotHead: DotProduct}
"""The torch side of each kind."""
