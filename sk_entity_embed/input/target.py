"""y to numbers: what kind of target it is, its classes and its scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Number
from typing import Any, Literal, TypeAlias, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse
from sklearn.utils import column_or_1d
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import type_of_target

from sk_entity_embed.exceptions import InvalidDataError, InvalidParameterError
from sk_entity_embed.input.messages import shown
from sk_entity_embed.input.values import read_array, to_float64

TargetKind: TypeAlias = Literal["continuous", "binary", "multiclass", "multilabel-indicator"]

MAX_INTEGER_CLASSES = 100
_LARGEST = 1e301
"""Quantity of which sums over some million rows are numbers."""
_LEAST_WEIGHT = 1e-30
"""Of one class over that of another: training knows no numbers below 1e-38."""
_CLASSIFICATION = ("binary", "multiclass", "multilabel-indicator")


@dataclass(frozen=True, slots=True)
class Target:
    """A target the network can learn."""

    kind: TargetKind
    values: NDArray[np.float64]
    """In original units, 0/1 for binary and multilabel targets, class numbers for multiclass ones;
    of shape (n_samples, n_columns)."""
    classes: NDArray[Any] | None  # sorted labels, column numbers if multilabel, None if continuous
    n_outputs: int  # of the network
    is_single: bool  # whether a one-dimensional answer describes a row

    @property
    def is_classification(self) -> bool:
        """Whether the target has classes."""
        return self.kind in _CLASSIFICATION

    @property
    def has_exclusive_classes(self) -> bool:
        """Whether each row belongs to one of several classes, given by its number."""
        return self.kind == "multiclass"

    @property
    def strata(self) -> NDArray[np.float64] | None:
        """Class of each row where folds can be stratified by it, else None."""
        return self.values[:, 0] if self.kind in ("binary", "multiclass") else None

    def indicators(self) -> NDArray[np.float64] | sparse.csr_array:
        """The values with one column an output: a sparse one-hot matrix for multiclass."""
        if not self.has_exclusive_classes:
            return self.values
        n = len(self.values)
        columns = self.values[:, 0].astype(np.intp)
        return sparse.csr_array((np.ones(n), columns, np.arange(n + 1)), shape=(n, self.n_outputs))


@dataclass(frozen=True, slots=True)
class TargetForm:
    """What a target is before any of its values are seen, where they come in parts."""

    kind: TargetKind
    classes: NDArray[Any] | None
    n_columns: int
    """Columns of `y`; 1 of a one-dimensional one."""

    def read(self, array: NDArray[Any], before: str = "the first partial_fit") -> Target:
        """Turn a target checked by :func:`check_target` into numbers; it may lack classes.

        Errors say what `before` gave the target its form.
        """
        n_columns = array.shape[1] if array.ndim == 2 else 1
        if n_columns != self.n_columns:
            raise InvalidDataError(
                f"y has {n_columns} column(s), but had {self.n_columns} in {before}."
            )
        if self.kind == "continuous":
            return read_target(array, "quantities")
        if self.kind == "multilabel-indicator":
            values = _indicators(array)
            return Target(self.kind, values, self.classes, values.shape[1], is_single=False)
        assert self.classes is not None
        is_binary = self.kind == "binary"
        n_outputs = 1 if is_binary else len(self.classes)
        values = _known_classes(array, self.classes, f"the `classes` of {before}")
        return Target(self.kind, values, self.classes, n_outputs, is_single=is_binary)

    def check_classes(self, classes: Any) -> None:
        """Refuse other classes than those of the first block."""
        given = sorted_classes(classes)
        if self.classes is None or not np.array_equal(given, self.classes):
            known = None if self.classes is None else self.classes.tolist()
            raise InvalidParameterError(
                f"`classes={shown(given.tolist())}` is not the same as on last call to "
                f"partial_fit, was: {shown(known)}."
            )

    @classmethod
    def of(cls, array: NDArray[Any], classes: Any, target_type: str) -> TargetForm:
        """Return the form of a target by its first block and the `classes` of all of it.

        Raises
        ------
        InvalidParameterError
            If there are classes, and they are not given or do not fit.
        """
        n_columns = array.shape[1] if array.ndim == 2 else 1
        quantities = ("continuous", "quantities")
        kind = "classes"
        if target_type in quantities:
            kind = "continuous"
        elif array.ndim == 2 or (classes is None and target_type == "auto"):
            kind = _kind(array, target_type)
        if kind == "continuous":
            if classes is not None:
                raise InvalidParameterError(
                    "`classes` are given, but y holds quantities; leave them out."
                )
            return cls("continuous", None, n_columns)
        if kind == "multilabel-indicator":
            own = np.arange(n_columns)
            if classes is not None and not np.array_equal(classes, own):
                raise InvalidParameterError(
                    "`classes` of an indicator matrix are the numbers of its columns, "
                    f"{own.tolist()}; leave them out."
                )
            return cls("multilabel-indicator", own, n_columns)
        if classes is None:
            cure = " For quantities set target_type='continuous'." if target_type == "auto" else ""
            raise InvalidParameterError(
                "classes must be passed on the first call to partial_fit, since a block need not "
                f"hold all of them: classes=numpy.unique(y) of all rows.{cure}"
            )
        labels = sorted_classes(classes)
        if len(labels) < 2:
            raise InvalidParameterError(
                f"`classes` has one class only ({labels.tolist()}); at least two are needed."
            )
        if target_type == "binary" and len(labels) > 2:
            raise InvalidParameterError(
                f"target_type='binary', but `classes` has {len(labels)}; use 'multiclass'."
            )
        two = len(labels) == 2 and target_type != "multiclass"
        return cls("binary" if two else "multiclass", labels, 1)


def sorted_classes(classes: Any) -> NDArray[Any]:
    """Return the distinct `classes` of a call, sorted."""
    array = read_array(classes, "classes")
    try:
        found: NDArray[Any] = np.unique(array)
    except TypeError as error:
        raise InvalidParameterError(
            f"`classes` cannot be sorted ({error}); use labels of one type."
        ) from error
    return found


def check_target(y: Any, n_samples: int) -> NDArray[Any]:
    """Read a target of any container; refuse missing and infinite values and another length."""
    array = read_array(y, "y")
    if array.dtype.kind in "mM":
        raise InvalidDataError(f"y holds dates or times ({array.dtype}); give numbers or labels.")
    if array.ndim == 2 and array.shape[1] == 1:
        array = column_or_1d(array, warn=True)
    if missing := int(pd.isna(array).sum()):
        raise InvalidDataError(f"Input y contains NaN ({missing} values missing).")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise InvalidDataError("Input y contains infinity.")
    if len(array) != n_samples:
        raise InvalidDataError(
            f"X and y have inconsistent numbers of samples: {n_samples} and {len(array)}."
        )
    return array


def read_target(array: NDArray[Any], target_type: str) -> Target:
    """Find out what a target checked by :func:`check_target` is and turn it into numbers.

    The type "auto" follows :func:`~sklearn.utils.multiclass.type_of_target`. Regressors read
    "quantities", which are continuous, and classifiers "classes", of the kind that they are.
    """
    kind = _kind(array, target_type)
    if kind == "continuous":
        asked = "a regressor" if target_type == "quantities" else "target_type='continuous'"
        values = _continuous(array, asked)
        return Target(kind, values, None, values.shape[1], is_single=array.ndim == 1)
    if kind == "multilabel-indicator":
        values = _multilabel(array)
        n_labels = values.shape[1]
        return Target(kind, values, np.arange(n_labels), n_labels, is_single=False)
    values, classes = _classes(array, kind)
    is_binary = kind == "binary"
    return Target(kind, values, classes, 1 if is_binary else len(classes), is_single=is_binary)


def target_like(target: Target, array: NDArray[Any]) -> Target:
    """Return further rows of a target whose kind and classes are known.

    Raises
    ------
    InvalidDataError
        If a value is of another kind, or of no class that is known.
    """
    if target.kind == "continuous":
        return replace(target, values=_continuous(array, "a continuous target"))
    if target.kind == "multilabel-indicator":
        return replace(target, values=_indicators(array))
    assert target.classes is not None
    values = _known_classes(array, target.classes, "the classes that were there at first")
    return replace(target, values=values)


def _known_classes(array: NDArray[Any], classes: NDArray[Any], said: str) -> NDArray[np.float64]:
    """Return the number of each row's class, of shape (n_samples, 1); refuse others."""
    codes = pd.Index(classes, tupleize_cols=False).get_indexer(pd.Index(array))
    if (codes < 0).any():
        raise InvalidDataError(
            f"y holds {shown(array[codes < 0].tolist()[0])}, which is not one of {said}: "
            f"{shown(classes.tolist())}."
        )
    return codes.reshape(-1, 1).astype(np.float64)


def apply_class_weight(
    class_weight: Any, target: Target, weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Row weights times the weights of their classes, as scikit-learn has them, in another unit."""
    if class_weight is None:
        return weights
    return weights * to_unit(class_factors(class_weight, target))


def class_factors(class_weight: Any, target: Target) -> NDArray[np.float64]:
    """Return the weight of each row's class."""
    if target.classes is None:
        raise InvalidParameterError("`class_weight` needs classes, but the target is continuous.")
    if target.kind == "multilabel-indicator":
        labels: NDArray[Any] = target.values.astype(int)
        if isinstance(class_weight, list):
            class_weight = [_completed(one, (0, 1)) for one in class_weight]
    else:
        labels = target.classes[target.values[:, 0].astype(int)]
        known = set(target.classes.tolist())
        if isinstance(class_weight, Mapping) and not known.issuperset(class_weight):
            raise InvalidParameterError(
                f"`class_weight` names {[k for k in class_weight if k not in known]}, which are "
                f"not classes of y: {target.classes.tolist()}."
            )
        class_weight = _completed(class_weight, target.classes.tolist())
    try:
        factors = compute_sample_weight(class_weight, labels)
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidParameterError(f"`class_weight` does not fit y: {error}") from error
    if not (np.isfinite(factors).all() and (factors > 0).all()):
        raise InvalidParameterError(
            "`class_weight` must be positive and finite for every class; rows are left out with "
            "a sample_weight of zero."
        )
    if factors.min() < _LEAST_WEIGHT * factors.max():
        raise InvalidParameterError(
            f"`class_weight` gives one class less than {_LEAST_WEIGHT} of another's weight, which "
            "is too little to train with; give weights that differ less."
        )
    checked: NDArray[np.float64] = factors
    return checked


def _completed(class_weight: Any, classes: Sequence[Any]) -> Any:
    """Give classes without a weight that of one: not all may be among some rows."""
    if not isinstance(class_weight, Mapping) or not set(classes).issuperset(class_weight):
        return class_weight
    return {label: class_weight.get(label, 1) for label in classes}


def to_unit(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights of which the largest is at least one and below two, so that sums stay finite.

    Only ratios of weights count, and a power of two changes no digit of them.
    """
    exponent = np.frexp(weights.max())[1] - 1
    return np.ldexp(weights, -exponent) if exponent else weights


def _kind(array: NDArray[Any], target_type: str) -> TargetKind:
    if target_type == "quantities":
        return "continuous"
    if target_type not in ("auto", "classes"):
        wide = array.ndim == 2
        if wide and target_type in ("binary", "multiclass"):
            raise InvalidParameterError(
                f"target_type={target_type!r} needs a one-dimensional y, got shape {array.shape}."
            )
        if not wide and target_type == "multilabel-indicator":
            raise InvalidParameterError(
                "target_type='multilabel-indicator' needs a y of shape (n_samples, n_labels)."
            )
        return cast(TargetKind, target_type)
    try:
        with np.errstate(invalid="ignore"):  # numbers beyond those of 64-bit integers
            kind = type_of_target(array, input_name="y", raise_unknown=True)
    except (TypeError, ValueError) as error:  # whose message may hold all of y
        raise InvalidDataError(
            f"y is of no kind that can be learned: {_first_unknown(array)}. Give numbers or labels "
            "of one type."
        ) from error
    if target_type == "classes":
        if kind not in _CLASSIFICATION:
            raise InvalidDataError(
                f"Unknown label type: {kind}. A classifier needs one column of labels or an "
                "indicator matrix of 0 and 1; use a regressor for quantities."
            )
        return cast(TargetKind, kind)
    if kind in ("continuous", "continuous-multioutput"):
        return "continuous"
    if kind == "multiclass" and array.dtype.kind in "iuf":
        n_distinct = len(np.unique(array))
        if n_distinct > MAX_INTEGER_CLASSES:
            raise InvalidParameterError(
                f"y has {n_distinct} distinct integers, which could be classes or quantities; "
                "say which with target_type='multiclass' or target_type='continuous'."
            )
    if kind in _CLASSIFICATION:
        return cast(TargetKind, kind)
    raise InvalidDataError(
        f"y is of the unsupported kind {kind!r}; give one column of numbers or labels, several "
        "columns of numbers (target_type='continuous') or an indicator matrix of 0 and 1."
    )


def _first_unknown(array: NDArray[Any]) -> str:
    """Say what is wrong with the first value that is neither a number nor text."""
    first: dict[bool, Any] = {}
    for value in array.flat:
        is_text = isinstance(value, str)
        if isinstance(value, int) and not -(2**63) <= value < 2**64:
            return f"it holds {shown(value)}, which takes more than 64 bits"
        if not is_text and not isinstance(value, Number | np.bool_):
            return f"it holds {shown(value)}, which is neither a number nor text"
        first.setdefault(is_text, value)
    return f"it holds {' as well as '.join(shown(value) for value in first.values())}"


def _continuous(array: NDArray[Any], asked: str) -> NDArray[np.float64]:
    needs = f"{asked} needs a numeric y"
    values = to_float64(array, "y", needs, error=InvalidParameterError)
    if np.abs(values).max() > _LARGEST:
        raise InvalidDataError(f"y has values beyond {_LARGEST}; divide it by a constant.")
    return values.reshape(len(values), -1)


def _multilabel(array: NDArray[Any]) -> NDArray[np.float64]:
    values = _indicators(array)
    if (values == values[0]).all():
        raise InvalidDataError("y has one class only in every label; there is nothing to learn.")
    return values


def _indicators(array: NDArray[Any]) -> NDArray[np.float64]:
    values = _continuous(array, "target_type='multilabel-indicator'")
    if not np.isin(values, (0.0, 1.0)).all():
        raise InvalidDataError("A multilabel y may only hold 0 and 1.")
    return values


def _classes(
    array: NDArray[Any], kind: Literal["binary", "multiclass"]
) -> tuple[NDArray[np.float64], NDArray[Any]]:
    try:
        classes, codes = np.unique(array, return_inverse=True)
    except TypeError as error:
        raise InvalidDataError(
            f"The labels in y cannot be sorted ({error}); use labels of one type."
        ) from error
    if len(classes) < 2:
        raise InvalidDataError(
            f"y has one class only ({classes.tolist()[0]!r}); at least two are needed."
        )
    if kind == "binary" and len(classes) > 2:
        raise InvalidParameterError(
            f"target_type='binary', but y has {len(classes)} classes; use 'multiclass'."
        )
    return codes.reshape(-1, 1).astype(np.float64), classes
