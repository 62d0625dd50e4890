"""The summary of a fitted estimator, perhaps measured on rows."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from sk_entity_embed._summary.advice import advice_on
from sk_entity_embed._summary.facts import facts_of, rows_of_fit
from sk_entity_embed._summary.shares import SeenRows, last_rows
from sk_entity_embed._summary.summary import Summary
from sk_entity_embed.exceptions import InvalidDataError
from sk_entity_embed.input.target import TargetForm, check_target
from sk_entity_embed.model.fitted import CodedRows
from sk_entity_embed.model.losses import LOSSES, resolve_loss
from sk_entity_embed.model.record import FitRecord, Importances, measure_importances


def summarize(estimator: Any, X: Any, y: Any) -> Summary:
    """Return the summary of a fitted estimator; rows take the place of those that it remembers."""
    model = estimator._model
    record: FitRecord | None = getattr(estimator, "_record", None)
    importances, last = None if record is None else record.importances, last_rows(estimator)
    if X is None and y is not None:
        raise InvalidDataError("summary(y=...) needs the rows that `y` belongs to; pass X, too.")
    if X is not None:
        rows = model.code(estimator._read(X), serving=False)
        last = SeenRows.of(rows.codes, len(rows))
        importances = importances if y is None else _measured(estimator, rows, y)
    facts = facts_of(model, importances, last)
    curves = [c for c in (estimator.loss_curve_, estimator.validation_loss_curve_) if c is not None]
    n_judged = 0 if importances is None else importances.n_rows
    kind = LOSSES[_loss_name(estimator)]
    return Summary(
        estimator=type(estimator).__name__,
        n_rows=rows_of_fit(facts),
        loss_name=kind.label,
        loss=None if importances is None else importances.loss,
        root=None if importances is None or not kind.is_square else math.sqrt(importances.loss),
        n_judged=n_judged,
        loss_rows=None if importances is None else "out of fold" if y is None else "given",
        loss_curve=estimator.loss_curve_,
        validation_loss_curve=estimator.validation_loss_curve_,
        best_iteration=estimator.best_iteration_,
        ending=None if record is None else record.ending,
        columns=facts,
        context=tuple(model.names[j] for j in model.context),
        n_last=None if last is None else last.n_rows,
        last_rows=None if last is None else "transformed" if X is None else "given",
        warnings=advice_on(facts, record, curves, estimator.min_frequency, n_judged),
    )


def _measured(estimator: Any, rows: CodedRows, y: Any) -> Importances:
    """Return what columns are worth for rows and targets."""
    model, kind = estimator._model, estimator.target_type_
    if len(rows) == 0:
        raise InvalidDataError("X has no rows to measure importances on.")
    several = kind in ("continuous", "multilabel-indicator")
    form = TargetForm(
        kind, getattr(estimator, "classes_", None), model.head.n_outputs if several else 1
    )
    target = form.read(check_target(y, len(rows)), "fit")
    loss = resolve_loss(_loss_name(estimator), target)
    weights = np.ones(len(rows))
    context, values = model.scaling.apply(rows.numbers), model.scale.apply(target.values)
    return measure_importances(model, loss, rows.codes, context, values, weights)


def _loss_name(estimator: Any) -> str:
    """Return the name of the loss trained on."""
    name: str = estimator._target_options()["loss"]
    if name != "auto":
        return name
    of_classes = estimator.target_type_ != "continuous"
    return next(n for n, kind in LOSSES.items() if kind.of_classes == of_classes)
