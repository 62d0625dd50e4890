"""Tables and a figure of the quality benchmark."""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from _tables import MAIN_TABLES

BASE = "target encoder"
MODELS = ("linear", "LightGBM", "k-NN")
OURS = ('"embedding"', '"hidden"', '"both"')
DRAWN = (-0.1, 0.2)  # differences that the figure has room for
GOALS = {  # mean difference to TargetEncoder on the five main tables
    '"embedding"': {"linear": 0.024, "LightGBM": 0.008, "k-NN": 0.020},
    '"both"': {"linear": 0.043, "LightGBM": 0.008, "k-NN": 0.030},
}


def print_report(scores: pd.DataFrame, goals: bool = True) -> None:
    """Print differences to TargetEncoder, ranks, worst tables, costs, and the goals met or not."""
    means = scores.pivot_table(index=["model", "table"], columns="encoder", values="score")
    tables = list(scores["table"].unique())
    with pd.option_context("display.width", 160, "display.float_format", "{:.4f}".format):
        for model in (*MODELS, "HGB"):
            if model not in means.index:
                continue
            print(f"\n{model}: mean score")
            shown = means.loc[model].reindex(tables).T.dropna(how="all")
            order = shown.mean(axis=1).sort_values(ascending=False).index
            print(shown.loc[order].to_string())
        if BASE in means:
            print("\nMean difference to TargetEncoder, and mean rank among the rivals and itself")
            result = summary(scores)
            shown = result.drop(columns=["worst", "worst table"], level=1)
            print(shown.to_string())
            print("\nThe worst table's difference to TargetEncoder")
            worst = [(model, what) for model in MODELS for what in ("worst", "worst table")]
            print(result[worst].to_string())
            if {'"both"', '"embedding"'} <= set(means):
                _print_both(means)
            if goals:
                _print_goals(scores, means)
    costs = scores.groupby("encoder")[["width", "seconds", "peak_mb"]].mean().round(1)
    print("\nMean width, seconds and memory (MB above what was there) of fit and transform")
    print(costs.to_string())


def summary(scores: pd.DataFrame) -> pd.DataFrame:
    """Differences to TargetEncoder (main and all tables, the worst one), and mean ranks."""
    means = scores.pivot_table(index=["model", "table"], columns="encoder", values="score")
    columns = {}
    for model in MODELS:
        table = means.loc[model]
        difference = table.sub(table[BASE], axis=0)
        main = difference.index.isin(MAIN_TABLES)
        columns[model, "main"] = difference[main].mean()
        columns[model, "all"] = difference.mean()
        columns[model, "worst"] = difference.min()
        columns[model, "worst table"] = difference.apply(_worst)
        columns[model, "rank"] = _ranks(table).mean()
    return pd.DataFrame(columns).dropna(how="all").sort_values((MODELS[0], "all"), ascending=False)


def _worst(differences: pd.Series) -> str | None:
    """Name of the table with the lowest value; None where there is no value."""
    return None if differences.isna().all() else str(differences.idxmin())


def _print_both(means: pd.DataFrame) -> None:
    """What the hidden layer adds to the vectors, or takes from them, by table."""
    print('\n"both" minus "embedding", by table')
    difference = means['"both"'] - means['"embedding"']
    print(difference.unstack("table").reindex(list(MODELS)).to_string())


def _rivals(table: pd.DataFrame) -> list[str]:
    """Encoders that are not ours."""
    return [e for e in table.columns if e not in OURS and not e.startswith("ours")]


def _ranks(table: pd.DataFrame) -> pd.DataFrame:
    """Rank of each encoder among the rivals and itself, 1 is best, NaN where it did not finish."""
    rivals = table[_rivals(table)]
    return pd.DataFrame(
        {
            e: (1 + rivals.drop(columns=e, errors="ignore").gt(table[e], axis=0).sum(axis=1)).where(
                table[e].notna()
            )
            for e in table.columns
        }
    )


def _print_goals(scores: pd.DataFrame, means: pd.DataFrame) -> None:
    result = summary(scores)
    print("\nGoals")
    for encoder, goals in GOALS.items():
        if encoder not in result.index:
            return
        for model, goal in goals.items():
            value = result.loc[encoder, (model, "main")]
            _goal(f"{encoder}, {model}, main tables: {value:+.4f}, goal {goal:+.3f}", value >= goal)
    for model in MODELS:
        rank = min(result.loc[e, (model, "rank")] for e in GOALS)
        _goal(f"{model}: mean rank {rank:.2f}, goal 2.0", rank <= 2.0)
    for model in MODELS:
        table = means.loc[model]
        best = table[_rivals(table)].max(axis=1)
        lost = table[list(GOALS)].max(axis=1) - best
        for name, value in lost.items():
            limit = -0.003 if name == "adult" else -0.005
            if value < 0:
                label = f"{model}, {name}: {value:+.4f} to the best rival, goal {limit:+.3f}"
                _goal(label, value >= limit)


def _goal(text: str, met: bool) -> None:
    print(f"  {'met   ' if met else 'MISSED'}  {text}")


def save_figure(scores: pd.DataFrame, path: Path) -> None:
    """Draw each encoder's differences to TargetEncoder: a dot a table, a bar for their mean."""
    means = scores.pivot_table(index=["model", "table"], columns="encoder", values="score")
    if BASE not in means:
        return
    result = summary(scores)
    keep = [e for e in result.index if not e.startswith("ours") or "embedding" in e]
    order = result.loc[keep].xs("all", axis=1, level=1).mean(axis=1).sort_values().index
    figure, axes = plt.subplots(
        1, len(MODELS), figsize=(11, 0.36 * len(order) + 1.4), sharey=True, layout="constrained"
    )
    for ax, model in zip(axes, MODELS, strict=True):
        table = means.loc[model]
        difference = table.sub(table[BASE], axis=0)
        for i, encoder in enumerate(order):
            values = difference[encoder].dropna().clip(*DRAWN)
            colour = "#0072B2" if encoder in OURS else "#7f7f7f"
            ax.scatter(values, np.full(len(values), i), s=14, color=colour, alpha=0.6)
            mean = np.clip(difference[encoder].mean(), *DRAWN)
            ax.plot([mean] * 2, [i - 0.3, i + 0.3], color=colour, linewidth=2.5)
        ax.axvline(0, color="black", linewidth=0.8)
        ax.set_xlim(-0.11, 0.21)
        ax.set_title(model)
        ax.grid(axis="x", alpha=0.3)
    axes[0].set_yticks(range(len(order)), order)
    figure.supxlabel(
        "difference to TargetEncoder (R2 or AUC): a dot a table, a bar for the mean; "
        f"what is beyond {DRAWN[0]} and {DRAWN[1]} stands at the edge",
        fontsize=10,
    )
    figure.savefig(path, dpi=120)
    print(f"wrote {path.name}")
