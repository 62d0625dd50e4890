"""Time against quality: fits of shorter and longer budgets, from 750 to 630,000 training rows.

For each table, the default budget (``max_iter="auto"``) times a quarter, a half, one, two and four,
each a fit of its own: seconds, the honest loss of the validation rows, and the held-out scores of
the network and of LightGBM and a linear model on its vectors. The picture shows each table's scores
less those of the default.

Run it with ``python benchmarks/frontier.py [--data FOLDER] [--tables NAME ...] [--seeds N]``;
``--name NAME`` keeps the results of another version of the package apart.
"""

from __future__ import annotations

import argparse
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from _common import RESULTS, write_results
from _tables import Split, load_split
from quality import score_models
from sklearn.metrics import r2_score, roc_auc_score

from sk_entity_embed import EntityEmbeddingEncoder
from sk_entity_embed._access import training_output, with_output
from sk_entity_embed.fitting.options import max_iter, rows_a_step
from sk_entity_embed.model.heads import MLPHead

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
TABLES = {  # rows drawn, a quarter of which are for testing
    "uk_used_cars": 1_000,
    "employee_salaries": 4_000,
    "amazon_access": 26_000,
    "hotel_bookings": 119_000,
    "flights": 327_000,
    "rossmann": 844_000,
}
BUDGETS = (0.25, 0.5, 1.0, 2.0, 4.0)
MODELS = {"network": "tab:blue", "LightGBM": "tab:orange", "linear": "tab:green"}


def measure(split: Split, factor: float, budget: int, seed: int) -> dict[str, Any]:
    """Fit once with a share of the budget; time, honest loss and held-out scores."""
    names = list(split.categories[0].columns)
    train, test = (
        pd.concat([c, n], axis=1) for c, n in zip(split.categories, split.numbers, strict=True)
    )
    encoder = EntityEmbeddingEncoder(
        names,
        output="both",
        target_type="binary" if split.binary else "continuous",
        max_iter=max(1, round(factor * budget)),
        random_state=seed,
    )
    start = time.perf_counter()
    encoder.fit(train, split.y[0])
    seconds = time.perf_counter() - start
    vectors = training_output(encoder, train, "embedding")
    of_test = np.asarray(with_output(encoder, "embedding").transform(test))
    scores = score_models("sk_entity_embed", split, vectors, of_test, seed, ("LightGBM", "linear"))
    raw = encoder._model.predict(encoder._code(test))
    raw = raw if raw.ndim == 1 else raw[:, -1]
    scores["network"] = float((roc_auc_score if split.binary else r2_score)(split.y[1], raw))
    best = encoder.validation_loss_curve_[max(0, encoder.best_iteration_ - 1)]
    return {
        "factor": factor,
        "iterations": encoder.n_iter_,
        "seconds": round(seconds, 2),
        "honest_loss": float(best),
        **scores,
    }


def default_budget(split: Split) -> int:
    """Iterations that ``max_iter="auto"`` allows."""
    n, levels = len(split.y[0]), int(split.categories[0].nunique().max())
    return max_iter("auto", n, levels, rows_a_step("auto", n), [MLPHead])


def save_figure(records: list[dict[str, Any]], path: Path, title: str) -> None:
    """Draw, for each table, scores less the default's over seconds."""
    import matplotlib.pyplot as plt

    frame = pd.DataFrame(records)
    names = list(dict.fromkeys(frame["table"]))
    n_lines = -(-len(names) // 3)
    figure, axes = plt.subplots(
        n_lines, 3, figsize=(11, 3.3 * n_lines), layout="constrained", squeeze=False
    )
    for axis in axes.flat[len(names) :]:
        axis.axis("off")
    for axis, name in zip(axes.flat, names, strict=False):
        of_table = frame[frame["table"] == name].groupby("factor").mean(numeric_only=True)
        default = of_table.loc[1.0]
        for model, color in MODELS.items():
            difference = of_table[model] - default[model]
            axis.plot(of_table.index, difference, "o-", color=color, label=model, ms=4)
        axis.axvline(1.0, color="0.6", lw=1, ls="--")
        axis.axhline(0, color="0.8", lw=0.8)
        axis.set_xscale("log")
        ticks = [f"{factor:g}\n{s:.1f} s" for factor, s in of_table["seconds"].items()]
        axis.set_xticks(of_table.index, ticks)
        axis.minorticks_off()
        rows = int(frame.loc[frame["table"] == name, "rows"].iloc[0])
        axis.set_title(f"{name}, {rows:,} rows", fontsize=10)
        axis.set_xlabel("budget over the default's")
    axes[0, 0].set_ylabel("score less the default's")
    axes[0, 0].legend(frameon=False, fontsize=9)
    figure.suptitle(title, fontsize=10)
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the public tables")
    parser.add_argument("--tables", nargs="+", default=list(TABLES), choices=list(TABLES))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--name", default="frontier", help="name of the results")
    args = parser.parse_args()
    records = []
    for name in args.tables:
        for seed in range(args.seeds):
            split = load_split(name, args.data, TABLES[name], seed)
            n = len(split.y[0])
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                budget = default_budget(split)
                for factor in BUDGETS:
                    record = {"table": name, "rows": n, "seed": seed}
                    record |= measure(split, factor, budget, seed)
                    records.append(record)
                    print(record, flush=True)
    write_results(args.name, {"budgets": BUDGETS, "fits": records})
    save_figure(
        records,
        RESULTS / f"{args.name}.png",
        "Scores of fits with a quarter to four times the default budget (dashed)",
    )


if __name__ == "__main__":
    main()
