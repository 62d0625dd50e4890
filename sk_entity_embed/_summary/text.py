"""A summary as text for terminals and as Markdown."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sk_entity_embed._summary.facts import FREQUENT, ColumnFacts
from sk_entity_embed._summary.labels import cut, number, quantity, rise, share, sparkline, text_of

if TYPE_CHECKING:
    from sk_entity_embed._summary.summary import Summary

SHOWN = 30
"""Columns that are shown, the most important ones; a dict has all."""
_LINE = 98
"""Characters of a line of prose."""
_EPOCHS = 40
"""Letters of a curve."""
ARROW = "\N{RIGHTWARDS ARROW}"
_ENDINGS = {
    "patience": "early stopping ended it",
    "budget": "max_iter ended it",
    "interrupted": "it was interrupted",
}


def as_text(summary: Summary) -> str:
    """Return the summary for a terminal."""
    parts = [title(summary), *facts(summary), *_curves(summary)]
    if summary.columns:
        columns = shown_columns(summary)
        rows = [cells(f, summary.n_judged > 0) for f in columns]
        parts += ["", *_aligned([header(summary.n_judged > 0), *rows])]
        parts += ["", *(line for note in notes(summary) for line in textwrap.wrap(note, _LINE))]
        if near := [(f, nearest(f)) for f in columns if f.nearest]:
            width = max(len(name_of(f)) for f, _ in near)
            parts += ["", near_title()]
            parts += [f"  {name_of(f):<{width}}  {found}" for f, found in near]
    if summary.warnings:
        parts += ["", "Warnings"]
        for advice in summary.warnings:
            lines = textwrap.wrap(str(advice), _LINE - 4)
            parts += [f"{'    ' if i else '  - '}{line}" for i, line in enumerate(lines)]
    return "\n".join(parts)


def as_markdown(summary: Summary) -> str:
    """Return the summary in GitHub's dialect of Markdown."""
    parts = [f"### {_escaped(title(summary))}", ""]
    parts += [f"- {_escaped(fact)}" for fact in facts(summary)]
    if summary.columns:
        columns = shown_columns(summary)
        head = [*header(summary.n_judged > 0), "nearest pairs"]
        rows = [[*cells(f, summary.n_judged > 0), nearest(f)] for f in columns]
        line = ["---", *["---:"] * (len(head) - 2), "---"]
        table = [head, line, *(list(map(_escaped, row)) for row in rows)]
        parts += ["", *(f"| {' | '.join(row)} |" for row in table)]
        parts += ["", *(_escaped(note) for note in notes(summary))]
    if summary.warnings:
        parts += ["", "**Warnings**", ""]
        parts += [f"- {_escaped(str(advice))}" for advice in summary.warnings]
    return "\n".join([*parts, ""])


def title(summary: Summary) -> str:
    """Return what was learned from what."""
    rows = "" if summary.n_rows is None else f" from {counted(summary.n_rows, 'row')}"
    return f"What {summary.estimator} learned{rows}"


def facts(summary: Summary) -> list[str]:
    """Return lines on columns, loss and training."""
    n_pairs = sum(f.pair is not None for f in summary.columns)
    lists = sum(f.is_list for f in summary.columns)
    columns = counted(len(summary.columns) - n_pairs, "embedded column")
    columns += f" ({lists} of lists)" if lists else ""
    columns += f", {counted(n_pairs, 'pair')} of columns" if n_pairs else ""
    if summary.context:
        names = ", ".join(map(cut, summary.context[:8]))
        more = f" and {len(summary.context) - 8} more" if len(summary.context) > 8 else ""
        columns += f"; numbers as context: {names}{more}"
    found = [f"Columns: {columns}"]
    if summary.loss is not None:
        given = summary.loss_rows == "given"
        rows = counted(summary.n_judged, "given row" if given else "row")
        where = rows if given else f"{rows} out of fold"
        root = "" if summary.root is None else f", root {quantity(summary.root)} (units of y),"
        found.append(f"{summary.loss_name}: {number(summary.loss)}{root} on {where}")
    n, best = len(summary.loss_curve), summary.best_iteration
    kept = f", epoch {best} was kept" if summary.validation_loss_curve is not None else ""
    ending = f"; {_ENDINGS[summary.ending]}" if summary.ending else ""
    return [*found, f"Training: {counted(n, 'epoch')}{kept}{ending}"]


def header(judged: bool) -> list[str]:
    """Return the names of the columns of the table."""
    return [
        *("column", "categories", "width"),
        *(["importance"] if judged else []),
        *("rare", "missing", "unknown"),
    ]


def cells(f: ColumnFacts, judged: bool) -> list[str]:
    """Return a row of the table."""
    return [
        name_of(f),
        f"{f.cardinality:,}",
        str(f.width),
        *([importance(f)] if judged else []),
        *both_shares(f),
    ]


def name_of(f: ColumnFacts) -> str:
    """Return a column's name, or those of a pair."""
    if f.pair is not None:
        return " \N{MULTIPLICATION SIGN} ".join(map(cut, f.pair))
    return cut(f.name)


def importance(f: ColumnFacts) -> str:
    """Return how much the loss rises without a column, as far as it is known."""
    worth = f.importance
    if worth is None:
        return ""
    error = f" \N{PLUS-MINUS SIGN} {100 * worth.error:.1f}" if np.isfinite(worth.error) else ""
    return rise(worth.rise) + error


def both_shares(f: ColumnFacts) -> list[str]:
    """Return shares of rare, missing and unknown cells in fit and, where they differ, now."""
    out = []
    for kind in ("rare", "missing", "unknown"):
        then = share(getattr(f.fit, kind) / max(1, f.fit.n))
        if f.last is not None and f.last.n:
            now = share(getattr(f.last, kind) / f.last.n)
            then = then if now == then else f"{then} {ARROW} {now}"
        out.append(then)
    return out


def nearest(f: ColumnFacts) -> str:
    """Return the nearest pairs of a column's most frequent categories."""
    return ", ".join(
        f"{text_of(p.first)} ~ {text_of(p.second)} ({p.distance:.2f})" for p in f.nearest
    )


def near_title() -> str:
    """Return what the nearest pairs are."""
    return (
        f"Nearest pairs of the {FREQUENT} most frequent categories (distance, where 1 is that of "
        "a usual pair)"
    )


def notes(summary: Summary) -> list[str]:
    """Return what the columns of the table mean."""
    out = []
    if summary.n_judged:
        out.append(
            "Importance: how much the loss rises where the column is unknown, with its standard "
            "error."
        )
        if summary.context:
            out.append(
                "Numbers as context are not judged; permutation importance of the whole pipeline "
                "judges all columns alike."
            )
    elif summary.columns:
        out.append(
            "Importance is not known: no row of the fit is out of fold. summary(X, y) measures it "
            "on rows that the fit has not seen."
        )
    if any(f.pair is not None for f in summary.columns):
        out.append("A pair's vectors hold what the pair adds beyond its two columns.")
    last = "; no row has been transformed since"
    if summary.n_last is not None:
        which = "given" if summary.last_rows == "given" else "of the last transform or predict"
        rows = counted(summary.n_last, "row")
        last = f"; after an arrow, where they differ, in the {rows} {which}"
    out.append(f"Rare, missing, unknown: shares of cells in fit{last}.")
    if (n := len(summary.columns) - SHOWN) > 0:
        out.append(f"{n} columns are not shown; to_dict() has them.")
    return out


def shown_columns(summary: Summary) -> list[ColumnFacts]:
    """Return the columns, the most important ones first."""

    def worth(f: ColumnFacts) -> float:
        return -np.inf if f.importance is None else f.importance.rise

    return sorted(summary.columns, key=worth, reverse=True)[:SHOWN]


def limits(curves: Sequence[NDArray[np.float64]]) -> tuple[float, float]:
    """Return the ends of a scale on which a few high epochs do not squash all others."""
    values = np.concatenate(curves)
    values = values[np.isfinite(values)]
    if len(values) == 0:
        return 0.0, 1.0
    low, middle, highest = np.quantile(values, [0.0, 0.75, 1.0])
    return float(low), float(min(highest, middle + 3 * (middle - low)) if middle > low else highest)


def ends(curve: NDArray[np.float64]) -> str:
    """Return the first and the last loss."""
    return f"{number(curve[0])} {ARROW} {number(curve[-1])}"


def counted(n: int, what: str) -> str:
    """Return a number of things."""
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def _curves(summary: Summary) -> list[str]:
    """Return a line for each curve."""
    curves = {"training": summary.loss_curve, "validation": summary.validation_loss_curve}
    known = {name: c for name, c in curves.items() if c is not None and len(c)}
    if not known:
        return []
    low, high = limits([*known.values()])
    width = max(map(len, known))
    return [
        f"  {name:<{width}}  {sparkline(_thinned(c), low, high)}  {ends(c)}"
        for name, c in known.items()
    ]


def _thinned(curve: NDArray[np.float64]) -> NDArray[np.float64]:
    n = len(curve)
    thinned: NDArray[np.float64] = curve[np.linspace(0, n - 1, min(n, _EPOCHS)).astype(np.intp)]
    return thinned


def _aligned(rows: list[list[str]]) -> list[str]:
    """Return the rows of a table, texts to the left and numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(w) if j == 0 else cell.rjust(w)
            for j, (cell, w) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _escaped(text: str) -> str:
    """Return text that Markdown shows as it is."""
    return re.sub(r"([\\`*_{}\[\]<>#|~&])", r"\\\1", text)
