"""Our encoder as the benchmarks run it: one fit for all the outputs that can be cut from it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from sk_entity_embed import EntityEmbeddingEncoder
from sk_entity_embed._access import training_output, with_output

OUTPUTS = ("embedding", "hidden", "both", "stacking")


def encode(
    tables: tuple[pd.DataFrame, pd.DataFrame],
    y: np.ndarray,
    categorical: list[str],
    target_type: str,
    seed: int,
    outputs: tuple[str, ...] = OUTPUTS,
    **parameters: Any,
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Training rows by ``fit_transform`` and test rows by ``transform``, for each output."""
    estimator = EntityEmbeddingEncoder(
        categorical,
        output="both",
        target_type=target_type,
        random_state=seed,
        **parameters,
    )
    estimator.fit(tables[0], y)
    return {
        output: (
            training_output(estimator, tables[0], output),
            np.asarray(with_output(estimator, output).transform(tables[1])),
        )
        for output in outputs
    }
