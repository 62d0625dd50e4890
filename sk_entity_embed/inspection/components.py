"""Principal components of a column's vectors, and the categories at their ends."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sk_entity_embed.exceptions import InvalidParameterError
from sk_entity_embed.input.messages import shown
from sk_entity_embed.inspection.catalogue import (
    Source,
    catalogue_of,
    check_count,
    is_count,
    label_series,
    usual_min_count,
)
from sk_entity_embed.inspection.displays.docs import documented


def principal_components(
    vectors: NDArray[np.float32], weights: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return scores on weighted principal components, and shares of the variance.

    A component points the way of the axis it depends on most: those of an encoder are its axes.
    """
    centred = vectors.astype(np.float64)
    centred -= np.average(centred, axis=0, weights=weights)
    covariance = (centred * (weights / weights.sum())[:, None]).T @ centred
    variances, axes = np.linalg.eigh(covariance)
    axes, variances = axes[:, ::-1], np.maximum(variances[::-1], 0.0)
    signs = np.sign(axes[np.argmax(np.abs(axes), axis=0), np.arange(len(axes))])
    scores = centred @ (axes * signs)
    total = variances.sum()
    return scores + 0.0, variances / total if total > 0 else variances


@documented()
def extremes(
    source: Source,
    column: str | None = None,
    component: int = 1,
    k: int = 10,
    min_count: int | str | None = "auto",
) -> pd.DataFrame:
    """The categories lowest and highest on a principal component: what an axis is about.

    Components are those of the vectors of all categories, each weighted by its training rows or,
    in a column of lists, items. For a fitted encoder they are the axes of the embedding, up to
    sign; but not under ``head="dot"``, whose axes are those of all columns together, nor for lists
    pooled by "max".

    Parameters
    ----------
    %(from)s
    %(column)s
    component : int, default=1
        Number of the component, from 1.
    k : int, default=10
        Categories at each end; fewer where there are not as many.
    min_count : int, "auto" or None, default="auto"
        Leave out categories with fewer training rows. None takes all. "auto" is 20, or None where
        no category has as many, or nobody knows how many (vectors made elsewhere).

    Returns
    -------
    DataFrame
        Columns ``end`` ("lowest" or "highest"), ``category``, ``value`` and, where counts are
        known, ``count``; at each end the outermost category first.

    Raises
    ------
    InvalidParameterError
        If there is no such component, or no category has `min_count` rows.

    Examples
    --------
    >>> import pandas as pd
    >>> from sk_entity_embed.inspection import extremes
    >>> films = pd.DataFrame([[-2.0], [0.1], [1.5]], index=["Pi", "Jaws", "Alien"])
    >>> extremes(films, k=1).round(1)
           end category  value
    0   lowest       Pi   -1.9
    1  highest    Alien    1.6
    """
    catalogue = catalogue_of(source, column)
    width = catalogue.vectors.shape[1]
    if not is_count(component) or component > width:
        raise InvalidParameterError(
            f"`component` must be an integer from 1 to {width}, the width of the vectors of column "
            f"{catalogue.name!r}; got {shown(component)}."
        )
    check_count("k", k)
    scores, _ = principal_components(catalogue.vectors, catalogue.weights)
    positions = catalogue.frequent(usual_min_count(min_count, catalogue.counts))
    values = scores[positions, component - 1]
    order = np.argsort(values, kind="stable")
    k = min(int(k), len(order))
    chosen = positions[np.concatenate([order[:k], order[::-1][:k]])]
    frame = pd.DataFrame(
        {
            "end": np.repeat(["lowest", "highest"], k),
            "category": label_series(catalogue.labels[chosen]),
            "value": scores[chosen, component - 1],
        }
    )
    if catalogue.counts is not None:
        frame["count"] = catalogue.counts[chosen]
    return frame
