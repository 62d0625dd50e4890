"""Our encoder as the benchmarks run it: one fit for all the outputs that can be cut from it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from sk_entity_embed import EntityEmbeddingEncoder
from sk_entity_embed._access import fitted_model

CUT = ("embedding", "hidden", "both")  # outputs that one fit gives
OUTPUTS = (
    *CUT,
    *sorted(EntityEmbeddingEncoder._parameter_constraints["output"][0].options - set(CUT)),
)


def encode(
    tables: tuple[pd.DataFrame, pd.DataFrame],
    y: np.ndarray,
    categorical: list[str],
    target_type: str,
    seed: int,
    outputs: tuple[str, ...] = CUT,
    **parameters: Any,
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Training rows by ``fit_transform`` and test rows by ``transform``, for each output."""
    encoded = {}
    for output in ("both", *(o for o in outputs if o not in CUT)):
        estimator = EntityEmbeddingEncoder(
            categorical,
            output=output,
            target_type=target_type,
            random_state=seed,
            **parameters,
        )
        train, test = estimator.fit_transform(tables[0], y), estimator.transform(tables[1])
        encoded[output] = (np.asarray(train), np.asarray(test))
        if output == "both":
            edge = fitted_model(estimator).edges[-1]
            for name, part in (("embedding", slice(edge)), ("hidden", slice(edge, None))):
                encoded[name] = tuple(e[:, part] for e in encoded["both"])
    return {o: encoded[o] for o in outputs}
