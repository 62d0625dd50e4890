"""A summary as HTML: no script, no network, in the colours of the page around it."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sk_entity_embed._summary import text
from sk_entity_embed._summary.facts import ColumnFacts
from sk_entity_embed._summary.labels import text_of

if TYPE_CHECKING:
    from sk_entity_embed._summary.summary import Summary

_WIDTH, _HEIGHT, _EDGE = 260, 76, 6
"""Size of the picture of the curves, and the room around them."""
_NONE = "0 %"
"""A share that is not worth a look."""

# Lines and muted texts are half transparent, so that they suit a light and a dark ground; blue and
# orange stand out from both.
STYLE = """
.sk-ee-summary{font:14px/1.45 system-ui,sans-serif;color:inherit;max-width:1000px}
.sk-ee-summary h3{font-size:16px;margin:0 0 .4em;font-weight:600}
.sk-ee-summary .top{display:flex;flex-wrap:wrap;gap:.6em 2em;align-items:flex-start}
.sk-ee-summary .top ul{flex:1 1 300px}
.sk-ee-summary .top .muted{max-width:260px}
.sk-ee-summary ul{margin:0;padding-left:1.2em}
.sk-ee-summary li{margin:.15em 0}
.sk-ee-summary .wide{overflow-x:auto;margin:.8em 0 .4em}
.sk-ee-summary table{border-collapse:collapse;margin:0;font-size:13px;color:inherit;border:0}
.sk-ee-summary tr,.sk-ee-summary td,.sk-ee-summary th{background:none!important;color:inherit}
.sk-ee-summary td,.sk-ee-summary th{padding:.3em .7em;text-align:right;white-space:nowrap;
border:0;border-bottom:1px solid rgba(128,128,128,.3);vertical-align:top}
.sk-ee-summary th{font-weight:600;border-bottom-color:rgba(128,128,128,.7)}
.sk-ee-summary .text{text-align:left;white-space:normal;overflow-wrap:break-word;min-width:8em}
.sk-ee-summary .near{min-width:15em;width:50%}
.sk-ee-summary .note,.sk-ee-summary .muted{opacity:.75;font-size:12px}
.sk-ee-summary .none{opacity:.5}
.sk-ee-summary .note{margin:.2em 0}
.sk-ee-summary .bar{display:block;height:3px;margin-top:3px;border-radius:2px;background:#3a86c8;
margin-left:auto}
.sk-ee-summary .warn{border-left:3px solid #e0861a;padding:.1em 0 .1em .8em;margin:.8em 0 0}
.sk-ee-summary svg{display:block}
"""


def as_html(summary: Summary) -> str:
    """Return the summary as one element with a style of its own."""
    return (
        f'<div class="sk-ee-summary"><style>{STYLE}</style>'
        f"<h3>{escape(text.title(summary))}</h3>"
        f'<div class="top">{_list(text.facts(summary))}{_picture(summary)}</div>'
        f"{_table(summary)}{_warnings(summary)}</div>"
    )


def _list(lines: Sequence[str]) -> str:
    return f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul>"


def _table(summary: Summary) -> str:
    if not summary.columns:
        return ""
    judged, columns = summary.n_judged > 0, text.shown_columns(summary)
    first, *others = text.header(judged)
    head = f'<th class="text">{first}</th>' + "".join(f"<th>{name}</th>" for name in others)
    head += '<th class="text">nearest pairs</th>'
    most = max((f.importance.rise for f in columns if f.importance), default=0.0)
    body = "".join(f"<tr>{_row(f, judged, most)}</tr>" for f in columns)
    lines = [*text.notes(summary), f"{text.near_title()}."]
    notes = "".join(f'<p class="note">{escape(line)}</p>' for line in lines)
    return (
        f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
        f"</div>{notes}"
    )


def _row(f: ColumnFacts, judged: bool, most: float) -> str:
    name, *cells = map(escape, text.cells(f, judged))
    if judged and f.importance is not None:
        width = 0 if most <= 0 else round(100 * f.importance.rise / most)
        cells[2] += f'<span class="bar" style="width:{max(0, width)}%"></span>'
    near = ", ".join(
        f"<span>{escape(text_of(p.first))} ~ {escape(text_of(p.second))}&nbsp;"
        f'<span class="muted">{p.distance:.2f}</span></span>'
        for p in f.nearest
    )
    numbers = "".join(
        f'<td class="none">{cell}</td>' if cell == _NONE else f"<td>{_two_lines(cell)}</td>"
        for cell in cells
    )
    return f'<td class="text">{name}</td>{numbers}<td class="text near">{near}</td>'


def _two_lines(cell: str) -> str:
    """Break a cell before an arrow."""
    return cell.replace(f" {text.ARROW}", f"<br>{text.ARROW}")


def _warnings(summary: Summary) -> str:
    if not summary.warnings:
        return ""
    lines = "".join(
        f"<li>{escape(a.found)} <b>{escape(a.advice)}</b></li>" for a in summary.warnings
    )
    return f'<div class="warn"><ul>{lines}</ul></div>'


def _picture(summary: Summary) -> str:
    """Draw the curves, and a mark at the epoch that was kept."""
    training, validation = summary.loss_curve, summary.validation_loss_curve
    curves = [c for c in (training, validation) if c is not None and len(c)]
    if not curves:
        return ""
    low, high = text.limits(curves)
    n = max(map(len, curves))
    styles = ['stroke="currentColor" stroke-opacity=".55"', 'stroke="#3a86c8"']
    marks = [
        f'<polyline fill="none" stroke-width="1.8" {style} points="{_points(c, n, low, high)}"/>'
        for c, style in zip(curves, styles, strict=False)
    ]
    key = f"Loss by epoch: training {text.ends(training)} (grey)"
    if validation is not None and len(validation):
        key += f", validation {text.ends(validation)} (blue)"
        if 1 <= (best := summary.best_iteration) <= len(validation):
            x, y = _place(best - 1, validation[best - 1], n, low, high)
            marks.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="#3a86c8"/>')
            key += "; the dot is the epoch that was kept"
    ends = f'<text x="{_EDGE}" y="{_HEIGHT + 12}">1</text>'
    if n > 1:
        ends += f'<text x="{_WIDTH - _EDGE}" y="{_HEIGHT + 12}" text-anchor="end">{n}</text>'
    return (
        f'<div><svg role="img" width="{_WIDTH}" height="{_HEIGHT + 16}" '
        f'viewBox="0 0 {_WIDTH} {_HEIGHT + 16}"><title>{escape(key)}</title>'
        f'<path d="M0 {_HEIGHT}H{_WIDTH}" stroke="currentColor" stroke-opacity=".3"/>'
        f'{"".join(marks)}<g fill="currentColor" fill-opacity=".75" font-size="11">{ends}</g></svg>'
        f'<div class="muted">{escape(key)}</div></div>'
    )


def _points(curve: NDArray[np.float64], n: int, low: float, high: float) -> str:
    places = [_place(i, v, n, low, high) for i, v in enumerate(curve) if np.isfinite(v)]
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in places)


def _place(i: int, value: float, n: int, low: float, high: float) -> tuple[float, float]:
    """Return where an epoch's loss is in the picture; one above the scale is at its upper end."""
    x = _EDGE + (_WIDTH - 2 * _EDGE) * i / max(1, n - 1)
    level = (min(float(value), high) - low) / ((high - low) or 1.0)
    return x, _HEIGHT - _EDGE - (_HEIGHT - 2 * _EDGE) * level
