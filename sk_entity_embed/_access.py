"""What inspection and export may see of an estimator: checked once, with errors that help."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from sk_entity_embed._base import BaseEntityEmbedding
from sk_entity_embed.exceptions import InvalidParameterError
from sk_entity_embed.model import EmbeddingModel
from sk_entity_embed.tables import EmbeddingTable


def fitted_model(estimator: Any) -> EmbeddingModel:
    """The model of a fitted estimator of this package.

    Raises
    ------
    InvalidParameterError
        If it is no estimator of this package.
    sklearn.exceptions.NotFittedError
        If it is not fitted.
    """
    if not isinstance(estimator, BaseEntityEmbedding):
        raise InvalidParameterError(
            f"Expected a fitted estimator of sk_entity_embed, got {_describe(estimator)}."
        )
    check_is_fitted(estimator)
    model: EmbeddingModel = estimator._model
    return model


def table_of(estimator: Any, column: str | None) -> EmbeddingTable:
    """The table of one categorical column.

    Parameters
    ----------
    estimator : estimator
        Fitted.
    column : str or None
        Name of the column; None is the only one.

    Raises
    ------
    InvalidParameterError
        If there is no such column, or None is not enough.
    """
    tables = {t.vocabulary.name: t for t in fitted_model(estimator).tables}
    return tables[check_column(column, list(tables))]


def check_column(column: str | None, names: list[str]) -> str:
    """The name of a column that exists."""
    if not names:
        raise InvalidParameterError(
            "The estimator has no embedded columns: it was fitted on numbers alone. Name some in "
            "`categorical_features` before fit."
        )
    if column is None and len(names) == 1:
        return names[0]
    if column is None:
        raise InvalidParameterError(f"`column` must name one of the embedded columns: {names}.")
    if column not in names:
        close = get_close_matches(str(column), names, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise InvalidParameterError(
            f"`column` is {column!r}, but the embedded columns are {names}.{hint}"
        )
    return column


def served_vectors(estimator: Any) -> list[NDArray[np.float32]]:
    """The vectors that ``transform`` looks up, for each column; row ``UNKNOWN`` by its policy.

    Returns
    -------
    list of ndarray of float32 of shape (n_rows, width)
        NaN in the unknown row where ``handle_unknown="nan"``.
    """
    model = fitted_model(estimator)
    unknown = getattr(estimator, "_unknown", None)
    if unknown is None:
        return [t.vectors for t in model.tables]
    return [t.with_unknown(v) for t, v in zip(model.tables, unknown, strict=True)]


def _describe(estimator: Any) -> str:
    name = type(estimator).__name__
    if isinstance(estimator, type):
        return f"the class {estimator.__name__}; pass a fitted instance"
    if isinstance(estimator, Pipeline):
        steps, where = estimator.steps, "named_steps"
    elif isinstance(estimator, ColumnTransformer) and hasattr(estimator, "transformers_"):
        steps, where = estimator.transformers_, "named_transformers_"
    else:
        return name
    for step in steps:
        if isinstance(step[1], BaseEntityEmbedding):
            return f"{name}; pass its encoder, `.{where}[{step[0]!r}]`"
    return name
