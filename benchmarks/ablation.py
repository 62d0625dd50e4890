"""What each choice in the method is worth: the quality benchmark with one thing changed at a time.

Each variant is measured against the defaults on the same splits (at most 8,000 rows a table), by
the mean over tables of the difference in held-out score. Differences below 0.002 are within the
noise of one seed.

Run it with ``python benchmarks/ablation.py [--data FOLDER] [--seeds N]``.
"""

from __future__ import annotations

import argparse
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pandas as pd
from _common import write_results
from _report import MODELS
from _tables import Split, load_split, tables
from quality import OURS, encode_ours, score_models

from sk_entity_embed.fitting import options
from sk_entity_embed.learning import crossfit, loop
from sk_entity_embed.model.coordinates import canonicalise
from sk_entity_embed.model.heads import MLPHead, perceptron

Patch = tuple[Any, str, Any]
_ALONE = 1e9
"""A power of time at which the last state is all that counts."""
VARIANTS: dict[str, tuple[dict[str, Any], list[Patch]]] = {
    "no cross-fitting": ({"cross_fit": False}, []),
    "10 folds": ({"cv": 10}, []),
    "no averaging over steps": ({}, [(crossfit, "MEAN_POWER", _ALONE)]),
    "no averaging, steps fall to 5 %": (
        {},
        [(crossfit, "MEAN_POWER", _ALONE), (loop, "_LAST_STEP", 0.05)],
    ),
    "averaging over a half": ({}, [(crossfit, "MEAN_POWER", 1.0)]),
    "steps do not grow at first": ({}, [(loop, "_WARM_UP", 1e-9)]),
    "a head for each fold": ({}, [(options, "_HEADS", ())]),
    "two heads": ({}, [(options, "_HEADS", ((0, 2),))]),
    "no linear model beside the head": ({}, [(crossfit, "LINEAR_WEIGHT", 0.0)]),
    "no shrinkage towards zero": ({}, [(MLPHead, "prior_rows", 0.0)]),
    "tables step like the head": ({}, [(crossfit, "TABLE_STEP", 1.0)]),
    "hidden layers (256, 128)": ({"hidden_layer_sizes": (256, 128)}, []),
    "fastai's widths": ({"dimensions": "fastai"}, []),
    "dropout 0.25": ({"dropout": 0.25}, []),
    "no dropout": ({"dropout": 0.0}, []),
    "unknown rate 0.1": ({"unknown_rate": 0.1}, []),
    "columns scaled to variance 1": (
        {},
        [(perceptron, "canonicalise", lambda *a, numbers, **k: canonicalise(*a, **k))],
    ),
    "hidden layer's scale as trained": (
        {},
        [(MLPHead, "_with_hidden_scale", lambda head, *_: head)],
    ),
}


def main() -> None:
    """Measure defaults and variants, print and write the differences."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, default=os.environ.get("SK_ENTITY_EMBED_DATA"))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--max-rows", type=int, default=8_000)
    parser.add_argument("--tables", nargs="+", help="only these")
    args = parser.parse_args()
    if args.data is None or not Path(args.data).is_dir():
        raise SystemExit("Name the folder of tables: --data FOLDER or SK_ENTITY_EMBED_DATA.")
    data = Path(args.data)
    splits = [
        (load_split(name, data, args.max_rows, seed), seed)
        for name in tables(data, args.tables)
        for seed in range(args.seeds)
    ]
    reference = _measure(splits, {}, [])
    found = {}
    for name, (parameters, patches) in VARIANTS.items():
        difference = _measure(splits, parameters, patches) - reference
        found[name] = difference.mean().round(4)
        print(f"{name:34}", *(f"{k} {v:+.4f}  " for k, v in found[name].items()), flush=True)
    table = pd.DataFrame(found).T
    print("\nMean difference to the defaults\n" + table.to_string(float_format="{:+.4f}".format))
    write_results(
        "ablation",
        {
            "max_rows": args.max_rows,
            "seeds": args.seeds,
            "tables": sorted({split.name for split, _ in splits}),
            "differences": table.to_dict("index"),
        },
    )


def _measure(
    splits: list[tuple[Split, int]], parameters: dict[str, Any], patches: list[Patch]
) -> pd.DataFrame:
    """Scores of "embedding" and "both", a row a table and seed."""
    rows = []
    with _patched(patches), patch.dict(OURS, {"variant": parameters}), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for split, seed in splits:
            outputs = encode_ours("variant", split, seed)
            score: Callable[..., dict[str, float]] = partial(score_models, "variant", split)
            scores = {o: score(*outputs[o], seed) for o in ("embedding", "both")}
            rows.append({f"{o}, {m}": s[m] for o, s in scores.items() for m in MODELS})
    return pd.DataFrame(rows)


@contextmanager
def _patched(patches: list[Patch]) -> Iterator[None]:
    with ExitStack() as stack:
        for module, name, value in patches:
            stack.enter_context(patch.object(module, name, value))
        yield


if __name__ == "__main__":
    main()
