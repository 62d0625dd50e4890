"""What a report found and recommends, in one sentence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sk_entity_embed.evaluation.comparison import NATIVE

CLEAR = 2.0
"""Standard errors of the folds' differences from which one of two is called better."""


def find(folds: pd.DataFrame, outputs: Sequence[str], scoring: str) -> str:
    """Return what to use: an output with a model, or what is better than all of them.

    `folds` are the scores of the single folds, `outputs` the rows of the user's estimator.
    """
    scores: Any = folds.set_index(["encoder", "downstream", "fold"])["test_score"].unstack("fold")
    means = scores.mean(axis=1, skipna=False).dropna()
    times = folds.groupby(["encoder", "downstream"])[["fit_time", "downstream_time"]].mean()
    seconds: Any = times.sum(axis=1)
    is_ours = means.index.get_level_values("encoder").isin(outputs)
    if not is_ours.any():
        return "No output could be scored in every fold; `folds` says why (`return_folds=True`)."
    ours = means[is_ours].idxmax()
    best = f"{_output(ours)}, the best of the outputs ({scoring} {means[ours]:.4f})"
    if is_ours.all():
        return f"Use {best}; there is nothing to compare it with."
    other = means[~is_ours].idxmax()
    rival = f"{_other(other)} ({means[other]:.4f})"
    gain, error = _difference(scores.loc[ours].to_numpy(), scores.loc[other].to_numpy())
    margin = f"by {abs(gain):.4f} \u00b1 {error:.4f}"
    took = f"{seconds[ours]:.1f} s against {seconds[other]:.1f} s to fit"
    if abs(gain) <= CLEAR * error or gain == 0:
        quicker = _output(ours) if seconds[ours] <= seconds[other] else _other(other)
        return (
            f"Nothing is clearly better: {best}, and {rival} differ {margin}, no more than folds "
            f"do; take {quicker}, which is quicker ({took})."
        )
    if gain > 0:
        return f"Use {best}: it is ahead of all others, the next being {rival}, {margin}; {took}."
    return f"Another model is better: {rival} is ahead of {best}, {margin}; {took}."


def _difference(ours: NDArray[np.float64], other: NDArray[np.float64]) -> tuple[float, float]:
    """Mean difference of the folds and its standard error; 0 where there is one fold."""
    difference = ours - other
    n = len(difference)
    return float(difference.mean()), float(difference.std(ddof=1) / np.sqrt(n)) if n > 1 else 0.0


def _output(row: tuple[str, str]) -> str:
    return f"output={row[0]!r} under {row[1]!r}"


def _other(row: tuple[str, str]) -> str:
    encoder, model = row
    if encoder == NATIVE:
        return f"{model!r} with categories as they are"
    return f"{encoder!r} under {model!r}"
