"""Numeric context columns: imputed and scaled before they enter the network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sk_entity_embed.exceptions import InvalidDataError
from sk_entity_embed.input.columns import Column

MAX_QUANTILES = 1000


def stack_numbers(columns: Sequence[Column], n_samples: int) -> NDArray[np.float64]:
    """Context columns side by side.

    Parameters
    ----------
    columns : sequence of Column
        Numeric columns; missing values are allowed, infinite ones are not.
    n_samples : int
        Number of rows.

    Returns
    -------
    ndarray of float64 of shape (n_samples, n_columns)
        Missing values as NaN.

    Raises
    ------
    InvalidDataError
        If a value is infinite.
    """
    numbers = np.empty((n_samples, len(columns)))
    for j, column in enumerate(columns):
        numbers[:, j] = column.to_numbers()
        if np.isinf(numbers[:, j]).any():
            raise InvalidDataError(
                f"Column {column.name!r} contains infinity; context numbers must be finite or "
                "missing. Clip it or replace it by NaN."
            )
    return numbers


def fit_context(numbers: NDArray[np.float64], names: Sequence[str], seed: int) -> Any:
    """Fit the scaling of context columns.

    Medians replace missing values, beside a 0/1 column where a value was missing, and quantiles
    are mapped to a normal distribution, so that heavy tails do not reach the network.

    Parameters
    ----------
    numbers : ndarray of float64 of shape (n_samples, n_columns)
        At least one column.
    names : sequence of str
        Their names.
    seed : int
        Draws the rows that the quantiles of large tables are computed from.

    Returns
    -------
    sklearn.pipeline.Pipeline
        Its ``transform`` gives float64 of shape (n_samples, n_context).

    Raises
    ------
    InvalidDataError
        If a column has only missing values.
    """
    empty = np.isnan(numbers).all(axis=0)
    if empty.any():
        raise InvalidDataError(
            f"Column {names[int(np.argmax(empty))]!r} has only missing values; there is nothing "
            "to learn from. Drop it or fill it in."
        )
    # Imported here: they are slow to import and most tables to serve have no context.
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import QuantileTransformer

    pipeline = make_pipeline(
        SimpleImputer(strategy="median", add_indicator=True),
        QuantileTransformer(
            n_quantiles=min(MAX_QUANTILES, len(numbers)),
            output_distribution="normal",
            random_state=seed,
        ),
    )
    return pipeline.fit(numbers)


def apply_context(pipeline: Any, numbers: NDArray[np.float64]) -> NDArray[np.float32]:
    """Scaled context of shape (n_samples, n_context); no columns without a pipeline."""
    if pipeline is None:
        return np.empty((len(numbers), 0), dtype=np.float32)
    return np.asarray(pipeline.transform(numbers), dtype=np.float32)
