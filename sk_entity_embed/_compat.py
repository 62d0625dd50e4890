"""What older versions of other libraries lack, in one place; remove with the versions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sklearn import __version__ as _sklearn_version
from sklearn.preprocessing import TargetEncoder
from sklearn.utils.fixes import parse_version

TARGET_ENCODER_TAKES_FOLDS = parse_version(_sklearn_version) >= parse_version("1.9")
"""Whether `cv` of a TargetEncoder may be splits; before, it is their number alone."""


def give_folds(encoder: TargetEncoder, splits: Sequence[Any]) -> None:
    """Have a TargetEncoder cross-fit by the given folds, or else by as many of its own."""
    encoder.set_params(cv=splits if TARGET_ENCODER_TAKES_FOLDS else len(splits))
