"""One value a row: target, weights and groups as arrays; what is wrong with them is named."""

from __future__ import annotations

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
from sk_entity_embed.input.columns import natural, read_values
from sk_entity_embed.input.messages import shown


def read_array(values: Any, name: str) -> NDArray[Any]:
    """Values of any container, one or several a row, as an array in their natural dtype.

    Numbers that NumPy has no type for are float64. `name` says what they are, for messages.
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
        raise InvalidDataError(f"{name} must have one value for each row, got {shown(values)}.")
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
    """An array of :func:`read_array` as float64; `needs` begins what is said of other values."""
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
    flat = natural(array.ravel())
    if flat.dtype != object:
        return flat.reshape(array.shape)
    kind = pd.api.types.infer_dtype(flat, skipna=False)
    if kind not in ("floating", "decimal") and not kind.startswith("mixed"):
        return array
    try:
        is_number = all(isinstance(value, Real | Decimal) for value in flat)
        return array.astype(np.float64) if is_number else array
    except (ValueError, OverflowError):  # beyond float64: a number for messages only
        return array


def _first_bad(array: NDArray[Any]) -> str:
    """The first value that is not a number of 64 bits."""
    for value in array.flat:
        try:
            float(value)
        except OverflowError:  # a number all the same
            continue
        except (TypeError, ValueError):
            return shown(value)
    raise AssertionError("all values are numbers")
