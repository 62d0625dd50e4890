"""What inspection and export may see of a fitted estimator."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sk_entity_embed._steps import find_step
from sk_entity_embed.exceptions import InvalidParameterError, PartialExportWarning
from sk_entity_embed.input.messages import shown, warn
from sk_entity_embed.model import EmbeddingModel
from sk_entity_embed.tables import EmbeddingTable


def fitted_step(estimator: Any) -> Any:
    """Return the fitted estimator of this package that another one is or holds."""
    return find_step(estimator).estimator


def exported_step(estimator: Any) -> Any:
    """Return the fitted step, for exports that take the step's rows and not the whole's.

    A PartialExportWarning names the other steps, which the export lacks.
    """
    step = find_step(estimator)
    if around := step.around:
        columns = step.estimator._check_feature_names(None)
        columns = columns if len(columns) < 9 else [*columns[:8], "..."]
        given = f" as {step.before} leave them" if step.before else ""
        warn(
            f"Of the {type(estimator).__name__} only the embedding step {step.name!r} is "
            f"exported, not {around}. It takes the columns {columns}{given}. To say that this is "
            f"what you want, pass inspection.embedding_steps(...)[{step.name!r}].",
            PartialExportWarning,
        )
    return step.estimator


def fitted_model(estimator: Any) -> EmbeddingModel:
    """Return the model of the fitted estimator of this package that an estimator is or holds."""
    model: EmbeddingModel = fitted_step(estimator)._model
    return model


def table_of(estimator: Any, column: str | None) -> EmbeddingTable:
    """Return the table of one embedded column; None is the only one."""
    tables = {t.vocabulary.name: t for t in fitted_model(estimator).tables}
    return tables[check_column(column, list(tables))]


def check_column(column: str | None, names: list[str]) -> str:
    """Return the name of an embedded column; None is the only one."""
    if not names:
        raise InvalidParameterError(
            "The estimator has no embedded columns: it was fitted on numbers alone. Name some in "
            "`categorical_features` before fit."
        )
    if column is None and len(names) == 1:
        return names[0]
    if column is None:
        raise InvalidParameterError(
            f"`column` must name one of the embedded columns: {shown(names)}."
        )
    if column not in names:
        close = get_close_matches(str(column), names, n=1)
        hint = f" Did you mean {shown(close[0])}?" if close else ""
        raise InvalidParameterError(
            f"`column` is {shown(column)}, but the embedded columns are {shown(names)}.{hint}"
        )
    return column


def served_vectors(estimator: Any) -> list[NDArray[np.float32]]:
    """The vectors that ``transform`` looks up, for each column, by its policies.

    Returns
    -------
    list of ndarray of float32 of shape (n_rows, width)
        NaN in the unknown row where ``handle_unknown="nan"``, and in the missing one where
        ``handle_missing="nan"``.
    """
    step = fitted_step(estimator)
    if not hasattr(step, "_policies"):
        return [t.vectors for t in step._model.tables]
    return [
        t.with_rows(vectors) if vectors else t.vectors
        for t, vectors in zip(step._model.tables, step._replaced(), strict=True)
    ]
