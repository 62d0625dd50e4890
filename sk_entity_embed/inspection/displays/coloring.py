"""Colours and sizes of points: what a category's values look like."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sk_entity_embed.exceptions import InvalidDataError, InvalidParameterError
from sk_entity_embed.input.messages import shown
from sk_entity_embed.input.table import object_array
from sk_entity_embed.inspection.column_vectors import ColumnVectors, values_by_category
from sk_entity_embed.inspection.displays.labels import plain_text
from sk_entity_embed.inspection.displays.theme import Theme

_ANY = object()


@dataclass(frozen=True, slots=True)
class Coloring:
    """What colour tells: numbers (NaN: none) or names of kinds (None: none); limits of the bar."""

    values: NDArray[Any]
    label: str
    limits: tuple[float, float] | None = None
    log: bool = False

    @property
    def numeric(self) -> bool:
        """Whether the values are numbers."""
        return self.values.dtype != object

    def take(self, positions: NDArray[np.intp]) -> Coloring:
        """Return the values at the given positions."""
        return replace(self, values=self.values[positions])


@dataclass(frozen=True, slots=True)
class Paint:
    """Colours of points, which of them are grey, and what a legend or colour bar is drawn from."""

    colors: NDArray[Any]
    grey: NDArray[np.bool_]
    kinds: tuple[tuple[str, str], ...] = ()
    mappable: Any = None
    extend: str = "neither"


def coloring_of(
    catalogue: ColumnVectors, color: Any, label: str | None = None, classes: Any = None
) -> Coloring | None:
    """Return what colour tells, from a display's parameter and the classes of the target."""
    if color is None:
        if label is not None:
            raise InvalidParameterError(
                f"`color_label` is {shown(label)} and `color` is None: pass the values that the "
                "label names as `color`."
            )
        return None
    if isinstance(color, str) and color == "count":
        found = _count_coloring(catalogue)
    elif isinstance(color, str) and color == "target_mean":
        found = _target_coloring(catalogue, classes)
    elif isinstance(color, tuple) and len(color) == 2 and str(color[0]) == "target_mean":
        found = _target_coloring(catalogue, classes, color[1])
    elif isinstance(color, str):
        raise InvalidParameterError(
            "`color` must be 'target_mean', 'count' or values for the categories, got "
            f"{shown(color)}; pass the Series itself."
        )
    else:
        name = getattr(color, "name", None)
        if isinstance(color, list | tuple):
            color = object_array(list(color))
        values = typed_values(values_by_category(color, catalogue, "color"))
        found = Coloring(values, "value" if name is None else str(name))
    return found if label is None else replace(found, label=str(label))


def typed_values(values: NDArray[Any]) -> NDArray[Any]:
    """Return values as float64, dates as years; or as text, with None for missing ones."""
    if values.ndim != 1:
        raise InvalidDataError(
            f"`color` must hold one value for each category, got shape {values.shape}."
        )
    # As objects: strings with lone surrogates do not fit pandas' own.
    series = pd.Series(values, dtype=object if values.dtype.kind in "OU" else None)
    missing = series.isna().to_numpy()
    present = series[~missing].tolist()
    if not present:
        raise InvalidDataError("`color` has no value for any of the categories.")
    if all(isinstance(v, date) for v in present):
        present = [v.year + (v.timetuple().tm_yday - 1) / 365.25 for v in present]
    if not all(isinstance(v, Real | Decimal) and not isinstance(v, bool) for v in present):
        texts = object_array([str(v) for v in series.tolist()])
        texts[missing] = None
        return texts
    numbers = np.full(len(series), np.nan)
    numbers[~missing] = np.array(present, dtype=np.float64)
    return np.where(np.isfinite(numbers), numbers, np.nan)


def robust_limits(
    values: NDArray[np.float64], weights: NDArray[np.float64] | None = None
) -> tuple[float, float]:
    """Return the ends of a colour bar: smallest and largest value, or percentiles far inside."""
    known = ~np.isnan(values)
    values = values[known]
    if weights is not None:
        weights = weights[known] if weights[known].any() else None
    ends = np.quantile(values, (0.02, 0.98), weights=weights, method="inverted_cdf")
    low, high = ends.tolist()
    smallest, largest = float(values.min()), float(values.max())
    reach = 0.5 * (high - low)
    if low == high:
        low, high = smallest, largest
    low = smallest if smallest >= low - reach else low
    high = largest if largest <= high + reach else high
    return (low, high) if low < high else (low - 0.5, high + 0.5)


def painter(coloring: Coloring | None, n: int, theme: Theme) -> Paint:
    """Return the colours of `n` points in a theme."""
    if coloring is None:
        return Paint(np.full(n, theme.point), np.zeros(n, dtype=bool))
    paint = _paint_numbers if coloring.numeric else _paint_kinds
    return paint(coloring, theme)


def point_areas(counts: NDArray[np.int64] | None, n: int) -> NDArray[np.float64]:
    """Return the areas of `n` points in square typographic points, by the roots of their counts."""
    largest = float(np.clip(3000 / np.sqrt(n), 14.0, 300.0))
    if counts is None:
        return np.full(n, max(largest / 4, 6.0))
    smallest = max(largest / 20, 2.5)
    shares = np.sqrt(counts / max(int(counts.max()), 1))
    areas: NDArray[np.float64] = smallest + (largest - smallest) * shares
    return areas


def opacity(n: int) -> float:
    """Return the opacity of each of `n` points: the more there are, the less one hides others."""
    return float(np.clip(1.35 - 0.23 * np.log10(n), 0.2, 0.9))


def round_counts(counts: NDArray[np.int64]) -> list[int]:
    """Return up to three round numbers between the smallest and the largest count."""
    inside = log_ticks(int(counts.min()), int(counts.max()), most=100)
    return sorted({inside[0], inside[len(inside) // 2], inside[-1]})


def log_ticks(low: int, high: int, most: int = 7) -> list[int]:
    """Return round numbers on a logarithmic scale, only powers of ten if others were too many."""
    powers = [10**p for p in range(len(str(high)))]
    for steps in ((1, 2, 5), (1,)):
        inside = [m * power for power in powers for m in steps if low <= m * power <= high]
        if len(inside) <= most:
            break
    return inside if len(inside) > 1 else sorted({low, high})


def _count_coloring(catalogue: ColumnVectors) -> Coloring:
    counts = catalogue.counts
    if counts is None:
        raise InvalidParameterError(
            "color='count' needs counts, which vectors alone do not have; pass a fitted estimator, "
            "or counts of the categories as a Series."
        )
    low, high = max(int(counts.min()), 1), max(int(counts.max()), 1)
    limits = (float(low), float(high)) if high > low else (high / 2, high * 2.0)
    return Coloring(
        np.maximum(counts, 1).astype(np.float64), f"{catalogue.unit}s", limits, log=True
    )


def _target_coloring(catalogue: ColumnVectors, classes: Any, output: Any = _ANY) -> Coloring:
    """Return the mean target of one output, or the share of one class."""
    means = catalogue.target_means
    if means is None:
        raise InvalidParameterError(
            "color='target_mean' needs mean targets, which vectors alone do not have; pass a "
            "fitted estimator, or means of the categories as a Series."
        )
    columns = means.reshape(len(means), -1).T
    names = list(range(len(columns))) if classes is None else np.asarray(classes).tolist()
    if len(names) > len(columns):  # of two classes, the share of the second one is known
        columns = np.stack([1.0 - columns[0], columns[0]])
    if output is _ANY and (means.ndim == 1 or len(columns) == 1):
        output = names[-1]
    if output not in names:
        kind = "outputs" if classes is None else "classes"
        given = "" if output is _ANY else f", but {shown(output)} is none of them"
        listing = ", ".join(map(shown, names[:10])) + (", ..." if len(names) > 10 else "")
        raise InvalidParameterError(
            f"The target has {len(names)} {kind}{given}; choose the one that the colours show "
            f'with color=("target_mean", {shown(names[0])}). There are {listing}.'
        )
    values = columns[names.index(output)]
    if classes is not None:
        label = f"share of {output}"
    else:
        label = "mean target" if len(names) == 1 else f"mean target {output}"
    return Coloring(values, label, robust_limits(values, catalogue.weights))


def _paint_numbers(coloring: Coloring, theme: Theme) -> Paint:
    """Return colours by a colour map."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LogNorm, Normalize

    values = coloring.values
    low, high = coloring.limits or robust_limits(values)
    mappable = ScalarMappable((LogNorm if coloring.log else Normalize)(low, high), theme.colormap())
    beyond = int((values < low).any()) + 2 * int((values > high).any())
    return Paint(
        np.asarray(mappable.to_rgba(np.ma.masked_invalid(values))),
        np.isnan(values),
        mappable=mappable,
        extend=("neither", "min", "max", "both")[beyond],
    )


def _paint_kinds(coloring: Coloring, theme: Theme) -> Paint:
    """Return colours of the kinds that most categories have; the rest are one grey."""
    values = coloring.values
    tally = Counter(v for v in values.tolist() if v is not None)
    ordered = sorted(tally, key=lambda kind: (-tally[kind], kind))
    named, rest = np.split(np.array(ordered, dtype=object), [len(theme.categorical)])
    color_of = dict(zip(named, theme.categorical, strict=False)) | dict.fromkeys(rest, theme.muted)
    kinds = [(color_of[kind], plain_text(kind)) for kind in named]
    if len(rest):
        text = plain_text(rest[0]) if len(rest) == 1 else f"other ({len(rest):,} kinds)"
        kinds.append((theme.muted, text))
    if None in values.tolist():
        kinds.append((theme.grid, "no value"))
    colors = np.array([color_of.get(v, theme.grid) for v in values.tolist()])
    return Paint(colors, ~np.isin(values, named), tuple(kinds))
