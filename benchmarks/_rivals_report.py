"""Tables of the benchmark of whole models."""

from __future__ import annotations

import pandas as pd

BASES = ("LightGBM", "CatBoost")


def summary(scores: pd.DataFrame) -> pd.DataFrame:
    """Differences to the models that most would pick, ranks and seconds, best means first.

    Models that did not finish everywhere are compared where they did, and have no rank.
    """
    means = scores.pivot_table(index="table", columns="model", values="score")
    complete = means.columns[means.notna().all()]
    columns: dict[str, pd.Series] = {}
    for base in (b for b in BASES if b in means):
        difference = means.sub(means[base], axis=0)
        columns[f"to {base}"] = difference.mean()
        columns[f"worst to {base}"] = difference.min()
    columns["rank"] = means[complete].rank(axis=1, ascending=False).mean()
    columns["tables"] = means.notna().sum()
    columns["seconds"] = scores.groupby("model")["seconds"].mean()
    table = pd.DataFrame(columns)
    return table.sort_values(table.columns[0], ascending=False)


def print_report(scores: pd.DataFrame) -> None:
    """Print the scores by table, and the summary."""
    order = scores["table"].unique()
    means = scores.pivot_table(index="model", columns="table", values="score")[order]
    result = summary(scores)
    with pd.option_context("display.width", 200, "display.float_format", "{:.4f}".format):
        print(f"\nMean score (R2 or AUC)\n{means.loc[result.index].to_string()}")
    with pd.option_context("display.width", 200):
        print("\nMean and worst difference, mean rank of those that finished everywhere, seconds")
        shown = result.round({"rank": 1, "seconds": 1}).round(4)
        print(shown.to_string())
