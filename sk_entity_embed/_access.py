"""The one door from a fitted estimator to inspection and export."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sk_entity_embed._checks import n_hidden
from sk_entity_embed._steps import find_step
from sk_entity_embed.exceptions import PartialExportWarning
from sk_entity_embed.fitting.preparation import CheckedInput
from sk_entity_embed.input.messages import warn
from sk_entity_embed.input.selection import check_column
from sk_entity_embed.model.fitted import CodedRows, EmbeddingModel, Output
from sk_entity_embed.model.tables import EmbeddingTable


def fitted_step(estimator: Any) -> Any:
    """Return the fitted estimator of this package that another one is or holds."""
    return find_step(estimator).estimator


def exported_step(estimator: Any) -> Any:
    """Return the fitted step, for exports that take the step's rows and not the whole's.

    A PartialExportWarning names the other steps, which the export lacks.
    """
    step = find_step(estimator)
    if around := step.around:
        columns = list(step.estimator._model.names)
        columns = columns if len(columns) < 9 else [*columns[:8], "..."]
        given = f" as {step.before} leave them" if step.before else ""
        warn(
            f"Only the embedding step {step.name!r} of the {type(estimator).__name__} is "
            f"exported, without the steps {around}. It takes the columns {columns}{given}. To "
            "export it without this warning, pass "
            f"inspection.embedding_steps(...)[{step.name!r}].",
            PartialExportWarning,
        )
    return step.estimator


def fitted_model(estimator: Any) -> EmbeddingModel:
    """Return the model of the fitted estimator of this package that an estimator is or holds."""
    model: EmbeddingModel = fitted_step(estimator)._model
    return model


def coded_rows(estimator: Any, X: Any) -> CodedRows:
    """Return rows with the columns of fit, looked up; unknown and missing cells are accepted."""
    return fitted_model(estimator).code(fitted_step(estimator)._read(X), serving=False)


def with_model(estimator: Any, model: EmbeddingModel) -> Any:
    """Return a copy of a fitted estimator that answers by another model."""
    return estimator._with_model(model)


def with_output(estimator: Any, output: str) -> Any:
    """Return a copy of a fitted encoder with another ``output``, passing no numbers through."""
    return with_model(estimator, fitted_model(estimator).with_output(Output.of(output)))


def training_output(estimator: Any, X: Any, output: str) -> NDArray[np.float32]:
    """Return what ``fit_transform`` gives with another ``output``; `X` are the rows of the fit."""
    model = fitted_model(estimator).with_output(Output.of(output))
    coded, fold = coded_rows(estimator, X), fitted_step(estimator).fold_
    if fold is None:
        return model.transform(coded)
    assert (fold >= 0).all(), "rows of zero weight are in no fold"
    return model.transform_training(coded, fold.reshape(len(fold), -1))


def check_data(estimator: Any, X: Any, y: Any, groups: Any) -> CheckedInput:
    """Return data as an unfitted estimator reads them in ``fit``, checked."""
    checked: CheckedInput = estimator._check_input(X, y, None, groups)
    return checked


def has_hidden_layer(estimator: Any) -> bool:
    """Return whether an unfitted estimator's parameters give it a hidden layer."""
    return bool(n_hidden(estimator))


def table_of(estimator: Any, column: str | None) -> EmbeddingTable:
    """Return the table of one embedded column; None is the only one."""
    tables = {t.vocabulary.name: t for t in fitted_model(estimator).tables}
    return tables[check_column(column, list(tables))]
