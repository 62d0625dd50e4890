"""One value a row: target, weights and groups as arrays; what is wrong with them is named."""

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from sk_entity_embed.exceptions import (
    InvalidDataError,
    InvalidParameterError,
    UnsupportedDataError,
)
from sk_entity_embed.input.columns import read_values
from sk_entity_embed.input.messages import shown


def read_array(values: Any, name: str) -> NDArray[Any]:
    """Read values of any container as an array.

    Parameters
    ----------
    values : array-like of shape (n_samples,) or (n_samples, n_columns)
        One value a row, or several.
    name : str
        What they are, for messages.

    Returns
    -------
    ndarray of shape (n_samples,) or (n_samples, n_columns)
        In their natural dtype. Decimals and other numbers that NumPy has no type for are float64,
        where all values are numbers.

    Raises
    ------
    UnsupportedDataError
        If the values are a sparse matrix.
    InvalidDataError
        If they are of another shape, or complex numbers or records.

    Examples
    --------
    >>> from decimal import Decimal
    >>> from sk_entity_embed.input.values import read_array
    >>> read_array([Decimal("1.50"), Decimal("2")], "y").tolist()
    [1.5, 2.0]
    """
    if sparse.issparse(values):
        raise UnsupportedDataError(f"{name} is sparse; pass {name}.toarray() instead.")
    try:
        array = np.asarray(read_values(values, name))
    except ValueError as error:
        raise InvalidDataError(
            f"{name} has entries of different lengths; give one value a row."
        ) from error
    if array.ndim == 0:
        raise InvalidDataError(f"{name} must have one value a row, got {shown(values)}.")
    if array.ndim > 2:
        raise InvalidDataError(
            f"Found array with dim {array.ndim} as {name}; give one value a row."
        )
    array = _as_numbers(array) if array.dtype == object else array
    if array.dtype.kind == "c":
        raise InvalidDataError(f"Complex data not supported: {name} is complex.")
    if array.dtype.kind == "V":
        raise InvalidDataError(f"{name} holds records ({array.dtype}); give single values.")
    return array


def to_float64(
    array: NDArray[Any],
    name: str,
    needs: str,
    *,
    error: type[InvalidDataError | InvalidParameterError] = InvalidDataError,
) -> NDArray[np.float64]:
    """Turn an array of numbers into float64.

    Parameters
    ----------
    array : ndarray
        From :func:`read_array`.
    name : str
        What they are, for messages.
    needs : str
        Who needs numbers: the beginning of the message where there are none.
    error : type, default=InvalidDataError
        What is raised then.

    Raises
    ------
    InvalidDataError or InvalidParameterError
        If a value is no number.
    InvalidDataError
        If one is beyond the range of float64.
    """
    if array.dtype.kind in "mM":
        raise error(f"{needs}, but {name} holds dates or times ({array.dtype}).")
    try:
        with np.errstate(over="ignore"):
            numbers: NDArray[np.float64] = array.astype(np.float64)
    except (TypeError, ValueError) as reason:
        raise error(f"{needs}, but {name} holds {_first_bad(array)}.") from reason
    except OverflowError:  # an integer
        numbers = np.full(1, np.inf)
    if np.isinf(numbers).any():
        raise InvalidDataError(
            f"Input {name} contains infinity or a value too large for dtype('float64')."
        )
    return numbers


def _as_numbers(array: NDArray[np.object_]) -> NDArray[Any]:
    """Objects as numbers or booleans, where all of them are."""
    flat = array.ravel()
    kind = pd.api.types.infer_dtype(flat, skipna=False)
    if kind in ("boolean", "integer", "floating"):
        with suppress(OverflowError):  # of pandas 2, for integers beyond float64
            return pd.Series(flat).infer_objects().to_numpy().reshape(array.shape)
    if kind != "decimal" and not kind.startswith("mixed"):
        return array
    try:
        is_number = all(isinstance(value, Real | Decimal) for value in flat)
        return array.astype(np.float64) if is_number else array
    except (ValueError, OverflowError):  # beyond float64: a number for messages only
        return array


def _first_bad(array: NDArray[Any]) -> str:
    """The first value that is no number of 64 bits."""
    for value in array.flat:
        try:
            float(value)
        except OverflowError:  # a number all the same
            continue
        except (TypeError, ValueError):
            return shown(value)
    raise AssertionError("all values are numbers")
