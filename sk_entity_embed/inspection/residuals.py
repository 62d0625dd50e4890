"""Residuals by category: how far mean predictions are off, and how far they are by chance."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sk_entity_embed.exceptions import InvalidDataError, InvalidParameterError
from sk_entity_embed.input.columns import read_values
from sk_entity_embed.input.lists import Lists
from sk_entity_embed.input.messages import shown
from sk_entity_embed.input.table import Column, object_array
from sk_entity_embed.input.vocabulary import learn_vocabulary

_PRIOR_ROWS = 5.0


def residuals_by_category(
    y_true: Any, y_pred: Any, column: Column, sample_weight: Any = None, pos_label: Any = None
) -> pd.DataFrame:
    """Return ``category`` and what :func:`summarise` tells of it, for each one of a column.

    With a `pos_label` its shares are compared. ``()``, the last one, are rows with an empty list.
    """
    n = len(column)
    is_class = pos_label is not None
    observed = _is_class(y_true, pos_label, n) if is_class else _numbers(y_true, "y", n)
    predicted = _numbers(y_pred, "the predictions", n)
    weights = np.ones(n)
    if sample_weight is not None:
        weights = _numbers(sample_weight, "sample_weight", n)
    if (weights < 0).any() or not weights.any():
        raise InvalidDataError("`sample_weight` must not be negative, nor zero in all rows.")
    used = np.flatnonzero(weights)
    labels, codes, rows = _categories(column.take(used))
    rows = used[rows]
    frame = summarise(codes, observed[rows], predicted[rows], weights[rows])
    # An explicit dtype: lone surrogates do not fit pandas' strings.
    frame.insert(0, "category", pd.Series(labels, dtype=object))
    return frame


def summarise(
    codes: NDArray[np.integer[Any]],
    observed: NDArray[np.float64],
    predicted: NDArray[np.float64],
    weights: NDArray[np.float64],
) -> pd.DataFrame:
    """Return means of each category, their difference in standard errors and what these are."""
    n_categories = int(codes.max()) + 1
    total = np.bincount(codes, weights, n_categories)
    means = [np.bincount(codes, weights * v, n_categories) / total for v in (observed, predicted)]
    difference = means[0] - means[1]
    residuals = observed - predicted - difference[codes]
    rows = total**2 / np.bincount(codes, weights**2, n_categories)
    squares = np.bincount(codes, weights * residuals**2, n_categories) / total * rows
    freedom = np.maximum(rows - 1.0, 0.0)
    if freedom.sum() > 1e-9:
        pooled = squares.sum() / freedom.sum()
    else:  # one row a category: all there is to tell the noise by is how they differ
        pooled = float(np.average(difference**2, weights=total))
    variance = (squares + _PRIOR_ROWS * pooled) / (freedom + _PRIOR_ROWS)
    error = np.sqrt(variance / rows)
    size = float(np.abs(np.concatenate(means)).max())
    rounding = 1e-12 * size
    sure = np.where(np.abs(difference) > rounding, np.copysign(np.inf, difference), 0.0)
    z = np.divide(difference, error, out=sure, where=error > rounding)
    return pd.DataFrame(
        {
            "count": np.bincount(codes, minlength=n_categories),
            "observed": means[0],
            "predicted": means[1],
            "standard_error": error,
            "z": z,
        }
    )


def _categories(
    column: Column,
) -> tuple[NDArray[np.object_], NDArray[np.integer[Any]], NDArray[np.intp]]:
    """Return categories, and pairs of a category's position and a row that holds it."""
    vocabulary = learn_vocabulary(column)
    labels = vocabulary.labels.tolist()
    encoded = vocabulary.encode(column)
    if not isinstance(encoded, Lists):
        return object_array(labels), vocabulary.locate(column), np.arange(len(column))
    position = np.zeros(vocabulary.n_rows, dtype=np.int64)
    position[vocabulary.label_rows] = np.arange(len(labels))
    if vocabulary.empty_count:
        position[-1] = len(labels)
        labels.append(())
    pairs = np.unique(encoded.rows * len(labels) + position[encoded.items])
    return object_array(labels), pairs % len(labels), pairs // len(labels)


def _is_class(y: Any, pos_label: Any, n: int) -> NDArray[np.float64]:
    """Return 1 for each row of the class, else 0."""
    labels = _vector(y, "y", n)
    found = np.fromiter((v == pos_label for v in labels.tolist()), dtype=np.float64, count=n)
    if not found.any():
        raise InvalidParameterError(f"No row of `y` is {shown(pos_label)}, the `pos_label`.")
    return found


def _numbers(values: Any, what: str, n: int) -> NDArray[np.float64]:
    """Return finite numbers, one a row."""
    try:
        numbers = _vector(values, what, n).astype(np.float64)
    except (TypeError, ValueError) as error:
        if isinstance(error, InvalidDataError):
            raise
        raise InvalidDataError(
            f"{what} must be numbers, or `pos_label` name a class: {error!s:.300}."
        ) from error
    if not np.isfinite(numbers).all():
        raise InvalidDataError(f"{what} must be finite.")
    return numbers


def _vector(values: Any, what: str, n: int) -> NDArray[Any]:
    array = np.asarray(read_values(values))
    if array.shape == (n, 1):
        array = array[:, 0]
    if array.shape != (n,):
        raise InvalidDataError(f"{what} must be {n}, one for each row; got shape {array.shape}.")
    return array
