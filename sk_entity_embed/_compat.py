"""What older versions of other libraries lack, in one place; remove with the versions."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray
from sklearn import __version__ as _sklearn_version
from sklearn.utils.fixes import parse_version
from sklearn.utils.multiclass import type_of_target

if TYPE_CHECKING:
    from sklearn.preprocessing import TargetEncoder

TARGET_ENCODER_TAKES_FOLDS = bool(parse_version(_sklearn_version) >= parse_version("1.9"))
"""Whether `cv` of a TargetEncoder may be splits; before, it is their number alone."""


def give_folds(encoder: TargetEncoder, splits: Sequence[Any]) -> None:
    """Have a TargetEncoder cross-fit by the given folds, or else by as many of its own."""
    encoder.set_params(cv=splits if TARGET_ENCODER_TAKES_FOLDS else len(splits))


def kind_of_target(y: NDArray[Any]) -> str:
    """scikit-learn's `type_of_target`, which before 1.9 takes many whole numbers for a mistake."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)
        return str(type_of_target(y, input_name="y", raise_unknown=True))
