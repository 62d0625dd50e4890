"""Colours and sizes of points: what a category's values look like."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sk_entity_embed.exceptions import InvalidDataError, InvalidParameterError
from sk_entity_embed.input.columns import object_array
from sk_entity_embed.input.messages import shown
from sk_entity_embed.inspection.catalogue import Catalogue, values_by_category
from sk_entity_embed.inspection.displays.labels import plain_text
from sk_entity_embed.inspection.displays.theme import LIGHT, Theme

_KINDS = 7


@dataclass(frozen=True, slots=True)
class Coloring:
    """What colour tells of each category.

    Attributes
    ----------
    values : ndarray of float64 or of object, of shape (n_categories,)
        Numbers, NaN where there is none; or names of kinds, None where there is none.
    label : str
        What the values are.
    limits : tuple of float, default=None
        Numbers at the ends of the colour bar; None takes :func:`robust_limits`.
    log : bool, default=False
        Whether colours go by the logarithm.
    """

    values: NDArray[Any]
    label: str
    limits: tuple[float, float] | None = None
    log: bool = False

    @property
    def numeric(self) -> bool:
        """Whether the values are numbers."""
        return self.values.dtype != object

    def take(self, positions: NDArray[np.intp]) -> Coloring:
        """The values at the given positions."""
        return replace(self, values=self.values[positions])


@dataclass(frozen=True, slots=True)
class Paint:
    """Colours of points.

    Attributes
    ----------
    colors : callable
        From positions to arguments of ``scatter``.
    grey : ndarray of bool of shape (n_categories,)
        Points that have no value.
    kinds : tuple of (color, text)
        Legend of the kinds.
    extend : {"neither", "min", "max", "both"}
        Ends of the colour bar beyond which there are values.
    """

    colors: Callable[[NDArray[np.intp]], dict[str, Any]]
    grey: NDArray[np.bool_]
    kinds: tuple[tuple[str, str], ...] = ()
    extend: str = "neither"


def coloring_of(
    catalogue: Catalogue, color: Any, label: str | None = None, classes: Any = None
) -> Coloring | None:
    """What colour tells, from the parameter of a display.

    Parameters
    ----------
    catalogue : Catalogue
        The categories.
    color : None, "target_mean", "count", tuple, Series, mapping or array-like
        See :meth:`~sk_entity_embed.inspection.EmbeddingDisplay.from_estimator`.
    label : str, default=None
        What the values are; None takes what is known.
    classes : array-like, default=None
        Classes of the target, of which target means are shares.

    Raises
    ------
    InvalidDataError
        If `color` has none of the categories, or another shape.
    InvalidParameterError
        If `color` is another string, or needs what the catalogue does not have.

    Examples
    --------
    >>> from sk_entity_embed.inspection.catalogue import from_vectors
    >>> from sk_entity_embed.inspection.displays.coloring import coloring_of
    >>> catalogue = from_vectors([[0.0], [1.0]], categories=["a", "b"])
    >>> coloring_of(catalogue, {"b": 4, "c": 6}).values.tolist()
    [nan, 4.0]
    """
    if color is None:
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
            f"{shown(color)}; "
            "pass the Series itself."
        )
    else:
        name = getattr(color, "name", None)
        if isinstance(color, list | tuple):
            color = object_array(list(color))
        values = typed_values(values_by_category(color, catalogue, "color"))
        found = Coloring(values, "value" if name is None else str(name))
    return found if label is None else replace(found, label=str(label))


def typed_values(values: NDArray[Any]) -> NDArray[Any]:
    """Values as float64, dates as years; or as text, with None for missing ones.

    Raises
    ------
    InvalidDataError
        If there is not one value for each category, or no value at all.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_entity_embed.inspection.displays.coloring import typed_values
    >>> typed_values(np.array([1, None], dtype=object)), typed_values(np.array([True, False]))
    (array([ 1., nan]), array(['True', 'False'], dtype=object))
    """
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
    """Ends of a colour bar that no few outliers set.

    These are the smallest and the largest value, unless that is far beyond the 2nd or the 98th
    percentile; then it is the percentile.

    Parameters
    ----------
    values : ndarray of float64
        Values; NaN is left out.
    weights : ndarray of float64, default=None
        How much each of them counts.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_entity_embed.inspection.displays.coloring import robust_limits
    >>> robust_limits(np.append(np.arange(100.0), [1000.0, np.nan]))
    (0.0, 98.0)
    """
    known = ~np.isnan(values)
    values = values[known]
    weights = np.ones(len(values)) if weights is None else weights[known]
    order = np.argsort(values, kind="stable")
    shares = np.cumsum(weights[order]) / max(weights.sum(), 1e-300)
    last = len(order) - 1
    low, high = values[order[np.minimum(np.searchsorted(shares, (0.02, 0.98)), last)]].tolist()
    smallest, largest = float(values.min()), float(values.max())
    reach = 0.5 * (high - low)
    if low == high:
        low, high = smallest, largest
    low = smallest if smallest >= low - reach else low
    high = largest if largest <= high + reach else high
    if low == high:
        return low - 0.5, high + 0.5
    return low, high


def painter(coloring: Coloring | None, n: int, theme: Theme) -> Paint:
    """What draws `n` points in the colours of a theme."""
    if coloring is None:
        return Paint(lambda positions: {"color": theme.point}, np.zeros(n, dtype=bool))
    if coloring.numeric:
        return _number_paint(coloring, theme)
    return _kind_paint(coloring.values, theme)


def point_areas(counts: NDArray[np.int64] | None, n: int) -> NDArray[np.float64]:
    """Areas of `n` points by the square root of their counts, in square typographic points.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_entity_embed.inspection.displays.coloring import point_areas
    >>> point_areas(np.array([0, 25, 100]), 100).tolist()
    [15.0, 157.5, 300.0]
    """
    largest = float(np.clip(3000 / np.sqrt(n), 14.0, 300.0))
    if counts is None:
        return np.full(n, max(largest / 4, 6.0))
    smallest = max(largest / 20, 2.5)
    shares = np.sqrt(counts / max(int(counts.max()), 1))
    areas: NDArray[np.float64] = smallest + (largest - smallest) * shares
    return areas


def opacity(n: int) -> float:
    """Opacity of each of `n` points: the more there are, the less one hides of others.

    Examples
    --------
    >>> from sk_entity_embed.inspection.displays.coloring import opacity
    >>> [round(opacity(n), 2) for n in (10, 1_000, 100_000)]
    [0.9, 0.66, 0.2]
    """
    return float(np.clip(1.35 - 0.23 * np.log10(n), 0.2, 0.9))


def round_counts(counts: NDArray[np.int64]) -> list[int]:
    """Up to three round numbers between the smallest and the largest count.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_entity_embed.inspection.displays.coloring import round_counts
    >>> round_counts(np.array([3, 870, 12])), round_counts(np.array([7, 7]))
    ([5, 50, 500], [7])
    """
    inside = log_ticks(int(counts.min()), int(counts.max()), most=100)
    return sorted({inside[0], inside[len(inside) // 2], inside[-1]})


def log_ticks(low: int, high: int, most: int = 7) -> list[int]:
    """Round numbers on a logarithmic scale: powers of ten if twos and fives were too many.

    Examples
    --------
    >>> from sk_entity_embed.inspection.displays.coloring import log_ticks
    >>> log_ticks(3, 120), log_ticks(1, 20_000), log_ticks(11, 19)
    ([5, 10, 20, 50, 100], [1, 10, 100, 1000, 10000], [11, 19])
    """
    powers = [10**p for p in range(len(str(high)))]
    for steps in ((1, 2, 5), (1,)):
        inside = [m * power for power in powers for m in steps if low <= m * power <= high]
        if len(inside) <= most:
            break
    return inside if len(inside) > 1 else sorted({low, high})


def _count_coloring(catalogue: Catalogue) -> Coloring:
    counts = catalogue.counts
    if counts is None:
        raise InvalidParameterError(
            "color='count' needs counts, which vectors alone do not have; pass `counts` as well."
        )
    low, high = max(int(counts.min()), 1), max(int(counts.max()), 1)
    limits = (float(low), float(high)) if high > low else (high / 2, high * 2.0)
    return Coloring(
        np.maximum(counts, 1).astype(np.float64), f"{catalogue.unit}s", limits, log=True
    )


_ANY = object()


def _target_coloring(catalogue: Catalogue, classes: Any, output: Any = _ANY) -> Coloring:
    """The mean target of one output, or the share of one class."""
    means = catalogue.target_means
    if means is None:
        raise InvalidParameterError(
            "color='target_mean' needs mean targets, which vectors alone do not have; pass "
            "`target_means` as well."
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
        raise InvalidParameterError(
            f"The target has {len(names)} {kind}{given}; choose the one that colours tell of by "
            f'color=("target_mean", {shown(names[0])}). There are {_listing(names)}.'
        )
    values = columns[names.index(output)]
    if classes is not None:
        label = f"share of {output}"
    else:
        label = "mean target" if len(names) == 1 else f"mean target {output}"
    return Coloring(values, label, robust_limits(values, catalogue.weights))


def _listing(names: list[Any]) -> str:
    """The first of some names."""
    return ", ".join(map(shown, names[:10])) + (", ..." if len(names) > 10 else "")


def _number_paint(coloring: Coloring, theme: Theme) -> Paint:
    """Colours by a colour map."""
    from matplotlib import colormaps
    from matplotlib.colors import ListedColormap, LogNorm, Normalize

    values = coloring.values
    low, high = coloring.limits or robust_limits(values)
    # The end of the map that is like the ground is left out.
    ends = (0.0, 0.93) if theme.background == LIGHT.background else (0.15, 1.0)
    listed = ListedColormap(colormaps[theme.sequential](np.linspace(*ends, 256)))
    style = {
        "cmap": listed.with_extremes(bad=theme.grid),
        "norm": LogNorm(low, high) if coloring.log else Normalize(low, high),
        "plotnonfinite": True,
    }
    beyond = (bool((values < low).any()), bool((values > high).any()))
    extend = {(False, False): "neither", (True, False): "min", (False, True): "max"}
    return Paint(
        lambda positions: {"c": values[positions], **style},
        np.isnan(values),
        extend=extend.get(beyond, "both"),
    )


def _kind_paint(values: NDArray[Any], theme: Theme) -> Paint:
    """Colours of the kinds that most categories have; the rest are one grey, missing another."""
    tally = Counter(v for v in values.tolist() if v is not None)
    ordered = sorted(tally, key=lambda kind: (-tally[kind], kind))
    shown, rest = ordered[:_KINDS], ordered[_KINDS:]
    color_of = dict(zip(shown, theme.categorical, strict=False)) | dict.fromkeys(rest, theme.muted)
    kinds = [(color_of[kind], plain_text(kind)) for kind in shown]
    if rest:
        text = plain_text(rest[0]) if len(rest) == 1 else f"other ({len(rest):,} kinds)"
        kinds.append((theme.muted, text))
    missing = np.array([v is None for v in values])
    if missing.any():
        kinds.append((theme.grid, "no value"))
    colors = np.array([color_of.get(v, theme.grid) for v in values.tolist()])
    grey = missing | np.isin(values, np.array(rest, dtype=object))
    return Paint(lambda positions: {"c": colors[positions]}, grey, tuple(kinds))
