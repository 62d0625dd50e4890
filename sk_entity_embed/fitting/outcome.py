"""How trainings ended: what is recorded, and what is said of those that did not go well."""

from __future__ import annotations

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from sk_entity_embed.exceptions import TrainingInterruptedWarning, UnfinishedTrainingWarning
from sk_entity_embed.input.messages import warn
from sk_entity_embed.learning.problem import Rows, TrainingResult, TrainingRows, equally_spaced
from sk_entity_embed.model.fitted import EmbeddingModel
from sk_entity_embed.model.losses import Loss
from sk_entity_embed.model.record import Ending, FitRecord, measure_importances

_TELLING, _STILL_FALLING = 5, 0.02
"""Iterations that tell whether a loss is still falling, and by how much of it in the last fifth."""
_JUDGED, _PREDICTED = 100, (10_000, 40_000)
"""Rows that columns are judged by, at least, and how many predictions that may take: as many as
there are rows, between two bounds. Training takes a hundred times as long."""


def honest_rows(rows: Rows, n_samples: int, result: TrainingResult) -> TrainingRows | None:
    """Return training rows that are judged by tables and heads which never learned from them.

    None where there are no such rows: one head, or one pooling, learned from all.
    """
    least, most = _PREDICTED
    n = max(_JUDGED, min(max(n_samples, least), most) // (1 + len(rows.n_rows)))
    shared = result.head.n_heads == 1 or any(p and p.learns for p in result.poolings)
    if rows.n_tables > 1 and not shared:
        return rows.some(n)
    judged, places = rows.judges()
    places = places[judged.withheld[places]]
    return judged.take(places[equally_spaced(len(places), n)]) if len(places) else None


def record_of(
    result: TrainingResult, judged: TrainingRows | None, model: EmbeddingModel, loss: Loss
) -> FitRecord:
    """Return what a fit remembers of its training, and of some rows that are `judged` honestly."""
    importances = None
    if judged is not None and judged.weights.any():
        arrays = judged.codes, judged.context, judged.target, judged.weights
        importances = measure_importances(model, loss, *arrays, judged.fold.astype(np.int64))
    ending: Ending = "budget" if result.used_up else "patience"
    ending = "interrupted" if result.interrupted else ending
    return FitRecord(ending, still_falling(result), importances)


def still_falling(result: TrainingResult) -> float | None:
    """Return the share by which the loss fell to the end of a training that ended too early.

    None if it did not, or has too few iterations to tell.
    """
    curve, n = result.validation_loss_curve, result.best_iteration
    if curve is None or not (result.used_up and n == len(curve) >= _TELLING):
        return None
    losses = curve.mean(axis=1)
    before, last = losses[int(0.8 * n) - 1], losses[-1]
    gain = (before - last) / abs(before) if before else 0.0
    return float(gain) if gain > _STILL_FALLING else None


def warn_of_budget(result: TrainingResult) -> None:
    """Say that a training ended early for want of iterations, if it has enough of them to tell."""
    n, gain = result.best_iteration, still_falling(result)
    if gain is not None:
        warn(
            f"Training ended after {n} iterations, and the validation loss was still falling: by "
            f"{gain:.0%} in the last fifth of them. max_iter={2 * n}, twice as many, would "
            "probably lower it further.",
            UnfinishedTrainingWarning,
        )


def warn_of_training(
    results: list[TrainingResult], n_members: int, checkpoint: str | None = None
) -> None:
    """Say what went wrong in trainings that have a result nevertheless.

    An interrupted one may have left a `checkpoint` in a folder.
    """
    result = results[-1]
    kept = f"the best state so far, after {result.best_iteration} iteration(s), was kept."
    if result.best_iteration == 0:
        kept = "no iteration was better than the fit before, whose state was kept."
    if result.interrupted and n_members > 1:
        kept = f"it was that of member {len(results)} of {n_members}, and those so far were kept."
    if result.interrupted:
        message = f"Training was interrupted; {kept}"
        if checkpoint is not None:
            message += f" The next fit of the same rows goes on from the files in {checkpoint!r}."
        warn(message, TrainingInterruptedWarning)
    curves = [c for r in results for c in (r.loss_curve, r.validation_loss_curve)]
    if all(np.isfinite(c).all() for c in curves if c is not None):
        return
    exploded = next((r for r in results if _recovered(r)), None)
    if exploded is None:
        message = f"The loss is no longer finite: {kept} Lower `learning_rate_init`."
    else:
        message = (
            f"The loss was not finite in iteration {exploded.exploded}: training went back to its "
            "best state so far and on from there with a quarter of the step size. Lower "
            "`learning_rate_init`."
        )
    warn(message, ConvergenceWarning)


def _recovered(result: TrainingResult) -> bool:
    """Return whether the training went on after an explosion and ended well."""
    n = len(result.loss_curve)
    return result.exploded is not None and result.exploded < n and _is_finite(result, n - 1)


def _is_finite(result: TrainingResult, iteration: int) -> bool:
    curves = (result.loss_curve, result.validation_loss_curve)
    return all(np.isfinite(c[iteration]).all() for c in curves if c is not None)
