"""The first fit of a fresh process, imports included: ``python _speed_first.py first_fit JSON``."""

from __future__ import annotations

import json
import sys
import time


def first_fit(n_rows: int, seed: int) -> dict[str, float]:
    """Seconds from before the first import to the end of a fit, and those of a second fit."""
    start = time.perf_counter()
    import numpy as np
    import pandas as pd

    from sk_entity_embed import EntityEmbeddingEncoder

    rng = np.random.default_rng(seed)
    X = pd.DataFrame({f"c{n}": rng.integers(0, n, n_rows).astype(str) for n in (5, 30, 300)})
    y = rng.random(n_rows)
    ends = [time.perf_counter()]
    for _ in range(2):
        EntityEmbeddingEncoder(random_state=0).fit(X, y)
        ends.append(time.perf_counter())
    return {
        "seconds": ends[1] - start,
        "before_fit_seconds": ends[0] - start,
        "second_fit_seconds": ends[2] - ends[1],
    }


if __name__ == "__main__":
    print(json.dumps(first_fit(**json.loads(sys.argv[2]))), flush=True)
