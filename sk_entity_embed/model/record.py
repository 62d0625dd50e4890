"""FitRecord: what a fit remembers of itself, and how much the loss needs each column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import gen_batches

from sk_entity_embed.input.lists import Codes, Lists
from sk_entity_embed.input.vocabulary import UNKNOWN
from sk_entity_embed.model.fitted import EmbeddingModel
from sk_entity_embed.model.losses import Loss

_BLOCK = 8192  # Rows at a time, whose hidden layers take memory.

Ending: TypeAlias = Literal["patience", "budget", "interrupted"]
"""What ended a training: the validation loss, the number of iterations, or the keyboard."""


@dataclass(frozen=True, slots=True)
class Importances:
    """The loss of rows that a model has not learned from, and how it rises without each column.

    The mean `loss` is in the unit of the target, `scaled_loss` in the network's, where outputs
    count alike. `rises` are those of the latter where the vectors of a column, and of its pairs,
    are replaced by the unknown one: of the categorical columns first, then of the pairs alone.
    `errors` are their standard errors; NaN where one row alone counts.
    """

    n_rows: int
    loss: float
    scaled_loss: float
    rises: tuple[float, ...]
    errors: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class FitRecord:
    """How a training ended, and what its columns are worth.

    `still_falling` is the share by which the validation loss fell in the last fifth of a training
    that the number of iterations ended, if it was worth a warning. `importances` are of rows that
    are out of fold; None where there are none.
    """

    ending: Ending
    still_falling: float | None
    importances: Importances | None


def measure_importances(
    model: EmbeddingModel,
    loss: Loss,
    codes: Sequence[Codes],
    context: NDArray[np.float32],
    target: NDArray[np.floating],
    weights: NDArray[np.floating],
    fold: NDArray[np.int64] | None = None,
) -> Importances:
    """Return what columns are worth for rows with scaled numbers and targets.

    With the `fold` of each row it is looked up in the tables that never saw it.
    """
    edges, n_columns = model.edges, len(model.categorical)
    vectors = np.empty((len(target), edges[-1]), dtype=np.float32)
    model.embed(codes, vectors, fold=fold)
    unknown = _unknown_vectors(model)

    def losses(x: NDArray[np.float32]) -> NDArray[np.float64]:
        own = np.empty((len(x), loss.n_losses(model.head.n_outputs)))
        for at in gen_batches(len(x), _BLOCK):
            raw = model.head.raw(x[at], context[at], None if fold is None else fold[at])
            outputs = model.link.compared(raw, model.scale)
            own[at] = loss.value(outputs, target[at].astype(np.float64))
        return own

    share = weights.astype(np.float64) / weights.sum(dtype=np.float64)
    usual = losses(vectors)
    left = 1.0 - share @ share  # of one row there is no error to tell
    own = share**2 / left if left > 1e-9 else np.full(len(share), np.nan)
    rises, errors = [], []
    for j in range(len(model.tables)):
        pairs = [n_columns + k for k, pair in enumerate(model.crosses) if j in pair]
        without = vectors.copy()
        for i in (j, *(pairs if j < n_columns else ())):
            without[:, edges[i] : edges[i + 1]] = unknown[:, edges[i] : edges[i + 1]]
        more = (losses(without) - usual).mean(axis=1)
        rises.append(float(share @ more))
        errors.append(float(np.sqrt(own @ (more - rises[-1]) ** 2)))
    own_unit = float((share @ usual * loss.units(model.scale)).mean())
    scaled = float((share @ usual).mean())
    return Importances(len(target), own_unit, scaled, tuple(rises), tuple(errors))


def _unknown_vectors(model: EmbeddingModel) -> NDArray[np.float32]:
    """Return the vectors of a row of which nothing is known, of shape (1, width)."""
    cell = np.full(1, UNKNOWN, dtype=np.int32)
    codes = [Lists(cell, np.arange(2)) if t.vocabulary.is_list else cell for t in model.tables]
    vectors = np.empty((1, model.edges[-1]), dtype=np.float32)
    model.embed(codes, vectors)
    return vectors
