"""LossCurveDisplay: training and validation loss by epoch."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sk_entity_embed._access import fitted_step
from sk_entity_embed.exceptions import InvalidDataError, InvalidParameterError
from sk_entity_embed.input.messages import shown
from sk_entity_embed.inspection.displays.docs import documented
from sk_entity_embed.inspection.displays.theme import (
    Theme,
    ThemeName,
    draw_legend,
    name_axes,
    prepare_axes,
)
from sk_entity_embed.model.losses import LOSSES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LINE = 13.0
"""Points between two lines of text."""


@documented(
    curves="""
    loss_curve : array-like of shape (n_iter,)
        Loss of the training rows in each epoch.
    validation_loss_curve : array-like of shape (n_iter,), default=None
        Loss of the validation rows at the end of each epoch.
    best_iteration : int, default=None
        Number of epochs until the state that was kept; 0 is the start. None marks no epoch.""",
)
@dataclass(kw_only=True, eq=False, repr=False)
class LossCurveDisplay:
    """Loss of training and validation rows by epoch, and the epoch that was kept.

    Create it with :meth:`from_estimator` or :meth:`from_curves`. Call :meth:`plot` to draw it
    again, in other axes or another theme.

    Parameters
    ----------
    %(curves)s
    loss : str, default="Loss"
        Name of the loss, for the label of the axis.
    training : str, default="training"
        Name of the first curve.

    Attributes
    ----------
    line_ : matplotlib Line2D
        Loss of the training rows.
    validation_line_ : matplotlib Line2D or None
        Loss of the validation rows.
    best_line_ : matplotlib Line2D or None
        The epoch that was kept.
    texts_ : list of matplotlib Annotation
        Names at the ends of the lines.
    legend_ : matplotlib Legend or None
        The names, if the figure has no layout engine that makes room for them beside the axes.
    %(drawn)s

    Examples
    --------
    >>> from sk_entity_embed.inspection import LossCurveDisplay
    >>> display = LossCurveDisplay.from_curves([0.6, 0.5, 0.4], [0.7, 0.5, 0.6], best_iteration=2)
    >>> display.ax_.get_title()
    'Best validation loss: 0.5 after epoch 2'
    """

    loss_curve: NDArray[np.float64]
    validation_loss_curve: NDArray[np.float64] | None = None
    best_iteration: int | None = None
    loss: str = "Loss"
    training: str = "training"

    @classmethod
    def from_estimator(
        cls, estimator: Any, *, ax: Axes | None = None, theme: ThemeName | None = None
    ) -> Self:
        """Draw the loss curves of a fitted estimator.

        With `cross_fit`, the training loss is computed with the table that never saw the row, but
        with a head that learns from it. It may therefore look better than it is. The validation
        loss is honest, and decides when to stop. Without `early_stopping` there is none.

        Parameters
        ----------
        estimator : estimator
            Fitted, or a fitted pipeline that holds one such step.
        %(axes)s

        %(returns)s

        Raises
        ------
        InvalidDataError
            If no epoch was finished.
        InvalidParameterError
            If it is not an estimator of this package.
        %(not_fitted)s

        Examples
        --------
        >>> from sk_entity_embed import EntityEmbeddingRegressor
        >>> from sk_entity_embed.inspection import LossCurveDisplay
        >>> X, y = [["Lima"], ["Oslo"], ["Rome"]] * 40, [21.0, -5.0, 12.0, 23.0, -3.0, 14.0] * 20
        >>> model = EntityEmbeddingRegressor(max_iter=30, random_state=0).fit(X, y)
        >>> display = LossCurveDisplay.from_estimator(model)
        >>> display.ax_.get_ylabel()
        'Squared error (squared units of y)'
        """
        estimator = fitted_step(estimator)
        validation = estimator.validation_loss_curve_
        loss = estimator.loss
        if loss == "auto":
            loss = "squared_error" if estimator.target_type_ == "continuous" else "log_loss"
        display = cls(
            loss_curve=_curve(estimator.loss_curve_, "loss_curve"),
            validation_loss_curve=None if validation is None else _curve(validation, "validation"),
            best_iteration=None if validation is None else estimator.best_iteration_,
            loss=LOSSES[loss].label,
            training="training" if estimator.fold_ is None else "training,\ntables out of fold",
        )
        return display.plot(ax, theme=theme)

    @classmethod
    def from_curves(
        cls,
        loss_curve: ArrayLike,
        validation_loss_curve: ArrayLike | None = None,
        best_iteration: int | None = None,
        *,
        loss: str = "Loss",
        ax: Axes | None = None,
        theme: ThemeName | None = None,
    ) -> Self:
        """Draw loss curves from numbers.

        Parameters
        ----------
        %(curves)s
        loss : str, default="Loss"
            Name of the loss, for the label of the axis.
        %(axes)s

        %(returns)s

        Raises
        ------
        InvalidDataError
            If a curve is empty, or does not hold numbers.
        InvalidParameterError
            If `best_iteration` is not an epoch of the curves.

        Examples
        --------
        >>> from sk_entity_embed.inspection import LossCurveDisplay
        >>> display = LossCurveDisplay.from_curves(
        ...     [1.2, 0.9, 0.8], [1.1, 0.7, 0.75], best_iteration=2, loss="Mean squared error"
        ... )
        >>> display.ax_.get_title(), display.ax_.get_ylabel()
        ('Best validation loss: 0.7 after epoch 2', 'Mean squared error')
        """
        training, validation = _curve(loss_curve, "loss_curve"), None
        if validation_loss_curve is not None:
            validation = _curve(validation_loss_curve, "validation_loss_curve")
        n = max(len(training), 0 if validation is None else len(validation))
        if best_iteration is not None and not (
            isinstance(best_iteration, Integral) and 0 <= best_iteration <= n
        ):
            raise InvalidParameterError(
                f"`best_iteration` must be an integer from 0 to {n}, got {shown(best_iteration)}."
            )
        curves: dict[str, Any] = {"loss_curve": training, "validation_loss_curve": validation}
        display = cls(**curves, best_iteration=best_iteration, loss=loss)
        return display.plot(ax, theme=theme)

    def plot(self, ax: Axes | None = None, *, theme: ThemeName | None = None) -> Self:
        """Draw the curves.

        If the first or last epochs are far above all others, the scale ends below them. Small
        triangles mark these epochs, and the label of the axis says how high they are.

        Parameters
        ----------
        %(axes)s

        %(end_of_plot)s

        Examples
        --------
        >>> from sk_entity_embed.inspection import LossCurveDisplay
        >>> display = LossCurveDisplay.from_curves([0.6, 0.5, 0.4], [0.7, 0.5, 0.6])
        >>> dark = display.plot(theme="dark")
        >>> dark.line_.get_ydata().tolist(), dark.validation_line_.get_ydata().tolist()
        ([0.6, 0.5, 0.4], [0.7, 0.5, 0.6])
        """
        from matplotlib.ticker import MaxNLocator

        figure, ax, colors = prepare_axes(ax, theme, (6.4, 4.2))
        curves = [(self.loss_curve, self.training, colors.point)]
        if self.validation_loss_curve is not None:
            curves.append((self.validation_loss_curve, "validation", colors.accent))
        lines = []
        for curve, _, color in curves:
            marker = "o" if len(curve) <= 60 else ""  # as far as marks stay apart
            style: dict[str, Any] = {"marker": marker, "markersize": 3.5, "linewidth": 1.8}
            lines += ax.plot(np.arange(1, len(curve) + 1), curve, color=color, **style)
        self.line_, self.validation_line_ = lines[0], lines[1] if len(lines) > 1 else None
        self.best_line_ = self._mark_best(ax, curves[-1], colors)
        n = max(len(curve) for curve, _, _ in curves)
        first = 0.0 if self.best_iteration == 0 else 1.0
        ax.set_xlim(first - 0.03 * n, n + 0.03 * n)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        notes = _end_scale(ax, [curve for curve, _, _ in curves], colors)
        label = f"Epoch ({'; '.join(notes)})" if notes else "Epoch"
        name_axes(ax, colors, self._title(), label, self.loss, grid="y")
        self.texts_, self.legend_ = [], None
        if figure.get_layout_engine() is None:  # nothing makes room beside the axes
            keys = [(line, name) for line, (_, name, _) in zip(lines, curves, strict=True)]
            self.legend_ = draw_legend(ax, keys, colors, loc="best", handlelength=2.0)
        else:
            self.texts_ = _name_ends(ax, curves, ax.get_window_extent().height * 72 / figure.dpi)
        self.ax_, self.figure_ = ax, figure
        return self

    def _mark_best(
        self, ax: Axes, judged: tuple[NDArray[np.float64], str, str], colors: Theme
    ) -> Any:
        """Draw a line at the epoch kept, and a mark on the curve that it is judged by."""
        best = self.best_iteration
        if best is None:
            return None
        dashes: dict[str, Any] = {"linewidth": 1.0, "linestyle": (0, (2, 2)), "zorder": 1}
        line = ax.axvline(best, color=colors.muted, **dashes)
        curve, _, color = judged
        if 1 <= best <= len(curve):
            ax.plot(best, curve[best - 1], "o", markersize=9, color=color, markeredgewidth=0)
        return line

    def _title(self) -> str:
        best, validation = self.best_iteration, self.validation_loss_curve
        if best is None:
            return "Loss by epoch"
        if best == 0:
            return "Kept: the state before the first epoch"
        if validation is None or best > len(validation):
            return f"Loss by epoch; kept: epoch {best}"
        return f"Best validation loss: {validation[best - 1]:.4g} after epoch {best}"


def _curve(values: ArrayLike, name: str) -> NDArray[np.float64]:
    """Return a curve as numbers."""
    try:
        curve = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidDataError(
            f"`{name}` must be numbers, one for each epoch: {error!s:.300}"
        ) from error
    if curve.ndim != 1 or len(curve) == 0:
        raise InvalidDataError(
            f"`{name}` must have one number for each epoch, got shape {curve.shape}; an "
            "estimator whose training was interrupted in its first epoch has none."
        )
    return curve


def _end_scale(ax: Axes, curves: list[NDArray[np.float64]], colors: Theme) -> list[str]:
    """End the scale if a few epochs would squash all others; say what is not seen on it."""
    values, epochs = np.concatenate(curves), np.concatenate([np.arange(len(c)) + 1 for c in curves])
    finite = np.isfinite(values)
    notes = []
    if not finite.any():
        ax.set_yticks([])
    if finite.sum() >= 4:
        low, middle, high, highest = np.quantile(values[finite], [0.0, 0.5, 0.75, 1.0])
        top = float(min(high + 2.0 * (high - low), middle + 10.0 * (middle - low)))
        if low < middle and highest > low + 1.3 * (top - low):
            ax.set_ylim(float(low - 0.06 * (top - low)), top)
            above = np.unique(epochs[finite & (values > top)])
            marks: dict[str, Any] = {"marker": "^", "markersize": 7, "linestyle": ""}
            marks |= {"color": colors.muted, "transform": ax.get_xaxis_transform()}
            ax.plot(above, np.full(len(above), 0.98), **marks)
            notes.append(f"{_listed(above)} above the scale, up to {highest:.3g}")
    lost = np.unique(epochs[~finite])
    if len(lost):
        notes.append(f"{_listed(lost)} not finite")
    return notes


def _listed(epochs: NDArray[np.intp]) -> str:
    return ", ".join(map(str, epochs)) if len(epochs) < 4 else f"{len(epochs)} epochs"


def _name_ends(
    ax: Axes, curves: list[tuple[NDArray[np.float64], str, str]], height: float
) -> list[Any]:
    """Write names at the ends of the lines, apart from each other; `height` is in points."""
    low, high = ax.get_ylim()
    ends = []
    for curve, name, color in curves:
        finite = np.flatnonzero(np.isfinite(curve))
        if len(finite):
            y = float(np.clip(curve[finite[-1]], low, high))
            ends.append((y, int(finite[-1]) + 1, name, color))
    ends.sort(key=lambda end: end[0])
    moves = np.zeros(len(ends))
    if len(ends) == 2:
        needed = _LINE * sum(end[2].count("\n") + 1 for end in ends) / 2
        between = (ends[1][0] - ends[0][0]) / (high - low) * height
        moves += np.array([-0.5, 0.5]) * max(0.0, needed - between)
    style: dict[str, Any] = {"textcoords": "offset points", "va": "center", "fontsize": 9}
    return [
        ax.annotate(
            name, (x, y), xytext=(8.0, float(move)), color=color, annotation_clip=False, **style
        )
        for (y, x, name, color), move in zip(ends, moves, strict=True)
    ]
