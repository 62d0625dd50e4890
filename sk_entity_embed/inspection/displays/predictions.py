"""CategoryPredictionDisplay: predicted against observed means, category by category."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, is_classifier
from sklearn.utils.validation import check_is_fitted

from sk_entity_embed.exceptions import InvalidDataError, InvalidParameterError
from sk_entity_embed.input.columns import Column, object_array, read_table, read_values
from sk_entity_embed.input.vocabulary import learn_vocabulary
from sk_entity_embed.inspection.catalogue import close_names
from sk_entity_embed.inspection.displays.labels import draw_labels, plain_text
from sk_entity_embed.inspection.displays.theme import Theme, prepare_axes, style_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_PRIOR_ROWS = 5.0
_FAR = 2.0
"""Standard errors beyond which a category is off the line by more than chance."""
_MOST_BARS = 60


class CategoryPredictionDisplay:
    """Mean prediction against mean observation, one point a category.

    Categories on the line are predicted right on average. Those with few rows lie off it by chance:
    colours tell whether a category is further off than two standard errors.

    Make it with :meth:`from_estimator` or :meth:`from_predictions`; :meth:`plot` draws it again,
    in other axes or another theme.

    Parameters
    ----------
    frame : DataFrame
        One row a category, in columns ``category``, ``count`` (rows), ``observed`` and
        ``predicted`` (weighted means), ``standard_error`` (of their difference, given the
        predictions) and ``z`` (their difference in standard errors).
    column : str, default="category"
        Name of the column.
    target : str, default="y"
        What is predicted.
    n_left_out : int, default=0
        Categories that have too few rows to be in the frame.
    min_count : int, default=1
        How many they would have needed.

    Attributes
    ----------
    points_ : matplotlib PathCollection
        The categories.
    line_ : matplotlib Line2D
        Where prediction and observation are equal.
    bars_ : matplotlib LineCollection
        Two standard errors up and down; for the labelled categories only, if there are many.
    texts_ : list of matplotlib Annotation
        Names of the categories that are furthest off.
    legend_ : matplotlib Legend
        What colours and sizes mean.
    ax_ : matplotlib Axes
        Axes of the points.
    figure_ : matplotlib Figure
        Its figure.

    Notes
    -----
    The standard error of a category of weights :math:`w_i` and effective number of rows
    :math:`n = (\\sum w_i)^2 / \\sum w_i^2` is :math:`s / \\sqrt n`. The variance :math:`s^2` of its
    residuals counts as :math:`n - 1` rows against 5 of the mean variance within all categories,
    so that it is not zero where ten rows happen to be alike [1]_.

    References
    ----------
    .. [1] G. K. Smyth, "Linear models and empirical Bayes methods for assessing differential
       expression in microarray experiments", Statistical Applications in Genetics and Molecular
       Biology 3(1), 2004.

    Examples
    --------
    >>> from sk_entity_embed.inspection import CategoryPredictionDisplay
    >>> display = CategoryPredictionDisplay.from_predictions(
    ...     [1.0, 3.0, 10.0], [2.0, 2.0, 9.0], ["Oslo", "Oslo", "Rome"], min_count=1
    ... )
    >>> display.frame[["category", "count", "observed", "predicted"]]
      category  count  observed  predicted
    0     Oslo      2       2.0        2.0
    1     Rome      1      10.0        9.0
    """

    def __init__(
        self,
        *,
        frame: pd.DataFrame,
        column: str = "category",
        target: str = "y",
        n_left_out: int = 0,
        min_count: int = 1,
    ) -> None:
        self.frame = frame
        self.column = column
        self.target = target
        self.n_left_out = n_left_out
        self.min_count = min_count

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        column: str | None = None,
        *,
        response_method: str = "auto",
        pos_label: Any = None,
        sample_weight: Any = None,
        min_count: int = 20,
        n_labels: int = 8,
        ax: Axes | None = None,
        theme: str | None = None,
    ) -> Self:
        """Draw the predictions of any fitted estimator of scikit-learn's kind.

        Parameters
        ----------
        estimator : estimator
            Fitted classifier or regressor, such as a pipeline that ends in one.
        X : array-like of shape (n_samples, n_features)
            Rows, better others than those of fit.
        y : array-like of shape (n_samples,)
            What was observed.
        column : str, default=None
            Column of `X` whose categories are drawn; ``x0``, ``x1``, ... where columns have no
            names. May be None where there is only one.
        response_method : {"auto", "predict_proba", "predict"}, default="auto"
            What of the estimator is drawn; "auto" is `predict_proba` for classifiers that have it.
        pos_label : object, default=None
            For classifiers the class whose share is drawn; None takes the second of two.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each row.
        min_count : int, default=20
            Leave out categories with fewer rows; rows of zero weight do not count.
        n_labels : int, default=8
            Categories to name: those furthest off in standard errors.
        ax : matplotlib Axes, default=None
            Axes to draw in; None makes a figure.
        theme : {"light", "dark"}, default=None
            Ground to draw on; None takes the one that the axes have.

        Returns
        -------
        CategoryPredictionDisplay
            The drawn display.

        Raises
        ------
        InvalidDataError
            If rows do not fit together, or numbers are not finite.
        InvalidParameterError
            If the estimator predicts nothing, there is no such column or class, or no category has
            `min_count` rows.
        """
        table = read_table(X)
        chosen = _choose(table.columns, column)
        predicted, pos_label = _predict(estimator, X, response_method, pos_label)
        display = cls._compute(y, predicted, chosen, sample_weight, pos_label, min_count)
        return display.plot(ax, theme=theme, n_labels=n_labels)

    @classmethod
    def from_predictions(
        cls,
        y_true: Any,
        y_pred: Any,
        categories: Any,
        *,
        column: str = "category",
        pos_label: Any = None,
        sample_weight: Any = None,
        min_count: int = 20,
        n_labels: int = 8,
        ax: Axes | None = None,
        theme: str | None = None,
    ) -> Self:
        """Draw predictions made elsewhere.

        Parameters
        ----------
        y_true : array-like of shape (n_samples,)
            What was observed.
        y_pred : array-like of shape (n_samples,)
            What was predicted: numbers; the probabilities of `pos_label` where that is given.
        categories : array-like of shape (n_samples,)
            Category of each row; None and NaN are the missing one.
        column : str, default="category"
            What the categories are called.
        pos_label : object, default=None
            The class in `y_true` whose share is drawn; None takes `y_true` as numbers.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each row.
        min_count : int, default=20
            Leave out categories with fewer rows; rows of zero weight do not count.
        n_labels : int, default=8
            Categories to name: those furthest off in standard errors.
        ax : matplotlib Axes, default=None
            Axes to draw in; None makes a figure.
        theme : {"light", "dark"}, default=None
            Ground to draw on; None takes the one that the axes have.

        Returns
        -------
        CategoryPredictionDisplay
            The drawn display.

        Raises
        ------
        InvalidDataError
            If rows do not fit together, or numbers are not finite.
        InvalidParameterError
            If no category has `min_count` rows or none the `pos_label`.
        """
        cells = _column_of(categories, column)
        display = cls._compute(y_true, y_pred, cells, sample_weight, pos_label, min_count)
        return display.plot(ax, theme=theme, n_labels=n_labels)

    @classmethod
    def _compute(
        cls,
        y_true: Any,
        y_pred: Any,
        column: Column,
        sample_weight: Any,
        pos_label: Any,
        min_count: int,
    ) -> Self:
        if not isinstance(min_count, Integral) or min_count < 1:
            raise InvalidParameterError(f"`min_count` must be a positive integer: {min_count!r}.")
        n, is_class = len(column), pos_label is not None
        observed = _indicator(y_true, pos_label, n) if is_class else _numbers(y_true, "y", n)
        predicted = _numbers(y_pred, "the predictions", n)
        weights = np.ones(n)
        if sample_weight is not None:
            weights = _numbers(sample_weight, "sample_weight", n)
        if (weights < 0).any() or not weights.any():
            raise InvalidDataError("`sample_weight` must not be negative, nor zero in all rows.")
        used = np.flatnonzero(weights)
        vocabulary = learn_vocabulary(column.take(used))
        frame = _summarise(
            vocabulary.locate(column.take(used)), observed[used], predicted[used], weights[used]
        )
        # An explicit dtype: lone surrogates do not fit pandas' strings.
        frame.insert(0, "category", pd.Series(vocabulary.labels.astype(object), dtype=object))
        frequent = frame["count"] >= min_count
        if not frequent.any():
            raise InvalidParameterError(
                f"No category of column {column.name!r} has `min_count`={min_count} rows; the most "
                f"frequent one has {frame['count'].max()}."
            )
        name = getattr(y_true, "name", None)
        target = "y" if name is None else str(name)
        return cls(
            frame=frame[frequent].reset_index(drop=True),
            column=column.name,
            target=f"{target} = {pos_label}" if is_class else target,
            n_left_out=int((~frequent).sum()),
            min_count=int(min_count),
        )

    def plot(self, ax: Axes | None = None, *, theme: str | None = None, n_labels: int = 8) -> Self:
        """Draw the points.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw in; None makes a figure.
        theme : {"light", "dark"}, default=None
            Ground to draw on; None takes the one that the axes have.
        n_labels : int, default=8
            Categories to name: those furthest off in standard errors, if beyond two of them.

        Returns
        -------
        CategoryPredictionDisplay
            The display itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed; the extra is ``plot``.
        InvalidParameterError
            If there is no such theme.
        """
        figure, ax, colors = prepare_axes(ax, theme, (6.8, 5.8))
        frame = self.frame
        far = frame["z"].abs().to_numpy() > _FAR
        areas = _areas(frame["count"].to_numpy())
        x, y = frame["predicted"].to_numpy(), frame["observed"].to_numpy()
        self.points_ = ax.scatter(
            x,
            y,
            s=areas,
            c=np.where(far, colors.accent, colors.point),
            alpha=0.75 if len(frame) <= 200 else 0.5,
            linewidths=0,
            zorder=3,
        )
        worst = np.argsort(-frame["z"].abs().to_numpy(), kind="stable")
        worst = worst[far[worst]][: max(0, n_labels)]
        self.bars_ = self._draw_bars(ax, worst, colors)
        middle = float(np.clip(np.median(x), y.min(), y.max()))
        self.line_ = ax.axline(
            (middle, middle),
            slope=1.0,
            color=colors.ink,
            linewidth=1.0,
            linestyle=(0, (4, 3)),
            zorder=2,
        )
        self._name_axes(ax, colors)
        self.legend_ = self._explain(ax, far, colors)
        self.texts_, _ = draw_labels(
            ax,
            np.column_stack([x, y])[worst],
            [plain_text(label) for label in frame["category"].to_numpy(dtype=object)[worst]],
            colors,
            radii=np.sqrt(areas[worst]) / 2,
            required=np.ones(len(worst), dtype=bool),
            points=np.column_stack([x, y]),
            point_radii=np.sqrt(areas) / 2,
            avoid=[self.legend_],
            kept_clear=np.arange(len(worst)),
        )
        self.ax_, self.figure_ = ax, figure
        return self

    def _draw_bars(self, ax: Axes, worst: NDArray[np.intp], colors: Theme) -> Any:
        from matplotlib.collections import LineCollection

        are_few = len(self.frame) <= _MOST_BARS
        shown = self.frame if are_few else self.frame.iloc[np.sort(worst)]
        x, y, error = (
            shown[name].to_numpy() for name in ("predicted", "observed", "standard_error")
        )
        ends = np.stack([y - _FAR * error, y + _FAR * error], axis=1)
        segments = np.stack([np.column_stack([x, x]), ends], axis=2)
        bars = LineCollection(list(segments), colors=colors.muted, linewidths=0.9, zorder=2)
        ax.add_collection(bars, autolim=are_few)
        return bars

    def _name_axes(self, ax: Axes, colors: Theme) -> None:
        target = plain_text(self.target, 40)
        ax.set_xlabel(f"Mean prediction of {target}", parse_math=False)
        ax.set_ylabel(f"Observed mean of {target}", parse_math=False)
        title = f"Predicted and observed by {plain_text(self.column, 40)}"
        if self.n_left_out:
            noun = "category" if self.n_left_out == 1 else "categories"
            title += f"\n{self.n_left_out:,} {noun} with fewer than {self.min_count} rows left out"
        ax.set_title(title, fontsize="medium", parse_math=False)
        ax.grid(color=colors.grid, linewidth=0.6)
        ax.set_axisbelow(True)
        style_axes(ax, colors)

    def _explain(self, ax: Axes, far: NDArray[np.bool_], colors: Theme) -> Any:
        counts = self.frame["count"].to_numpy()
        steps = np.unique(np.quantile(counts, [0.0, 0.5, 1.0], method="nearest"))
        areas = dict(zip(counts.tolist(), _areas(counts).tolist(), strict=True))
        dot = {"marker": "o", "linestyle": "", "markeredgewidth": 0}
        entries: list[tuple[str, float, str]] = [
            (f"within 2 standard errors ({(~far).sum():,})", 40.0, colors.point),
            (
                f"beyond ({far.sum():,}; by chance about {0.0455 * len(far):,.0f})",
                40.0,
                colors.accent,
            ),
        ]
        entries += [(_rows(n), areas[int(n)], colors.muted) for n in steps]
        handles = [
            ax.plot([], [], color=color, markersize=np.sqrt(area), label=label, **dot)[0]  # type: ignore[arg-type]
            for label, area, color in entries
        ]
        ax.autoscale_view()
        x, y = (
            ax.transAxes.inverted()
            .transform(ax.transData.transform(self.frame[["predicted", "observed"]]))
            .T
        )
        fuller_below = ((x > 0.6) & (y < 0.3)).sum() > ((x < 0.4) & (y > 0.7)).sum()
        return ax.legend(
            handles=handles,
            loc="upper left" if fuller_below else "lower right",
            fontsize=8,
            labelcolor=colors.ink,
            facecolor=colors.background,
            edgecolor=colors.grid,
        )


def _column_of(categories: Any, name: str) -> Column:
    """Categories, in any container, as a column."""
    values = read_values(categories)
    if not isinstance(values, np.ndarray):
        values = object_array(list(values))
    if values.ndim != 1:
        raise InvalidDataError(f"`categories` must be one a row, got shape {values.shape}.")
    (column,) = read_table(values[:, None]).columns
    return Column(name, column.kind, column.dtype, column.cells, column.indices)


def _choose(columns: Sequence[Column], name: str | None) -> Column:
    """The column to group by."""
    names = [c.name for c in columns]
    if name is None and len(names) == 1:
        return columns[0]
    if name not in names:
        close = close_names(str(name), names, n=1) if name is not None else []
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise InvalidParameterError(
            f"`column` must be one of the columns of X, {names}; got {name!r}.{hint}"
        )
    return columns[names.index(name)]


def _predict(estimator: Any, X: Any, method: str, pos_label: Any) -> tuple[Any, Any]:
    """Predictions, and the class they are about."""
    if method not in ("auto", "predict_proba", "predict"):
        raise InvalidParameterError(
            f"`response_method` must be 'auto', 'predict_proba' or 'predict', got {method!r}."
        )
    name = estimator.__name__ if isinstance(estimator, type) else type(estimator).__name__
    if isinstance(estimator, type) or not hasattr(estimator, "predict"):
        raise InvalidParameterError(
            f"`estimator` must be fitted and predict, but {name} does not; pass a fitted pipeline "
            "that ends in a classifier or regressor, such as make_pipeline(encoder, Ridge())."
        )
    if isinstance(estimator, BaseEstimator):
        check_is_fitted(estimator)
    classifies = hasattr(estimator, "classes_")
    if hasattr(estimator, "__sklearn_tags__"):
        classifies = is_classifier(estimator)
    with_shares = classifies and hasattr(estimator, "predict_proba")
    if method == "predict_proba" and not with_shares:
        raise InvalidParameterError(f"{name} has no predict_proba; use response_method='predict'.")
    if not classifies:
        if pos_label is not None:
            raise InvalidParameterError(f"`pos_label` is for classifiers, which {name} is not.")
        return estimator.predict(X), None
    position = _class_position(estimator.classes_, pos_label)
    pos_label = estimator.classes_[position]
    if method != "predict" and with_shares:
        return np.asarray(estimator.predict_proba(X))[:, position], pos_label
    return np.asarray(read_values(estimator.predict(X))) == pos_label, pos_label


def _class_position(classes: Any, pos_label: Any) -> int:
    """Which class is meant."""
    labels = list(classes) if np.ndim(classes) == 1 else []
    if pos_label is None and len(labels) == 2:
        return 1
    if pos_label is None or pos_label not in labels:
        shown = [v.item() if isinstance(v, np.generic) else v for v in labels[:10]]
        raise InvalidParameterError(
            f"`pos_label` must be one of the {len(labels)} classes, {shown}; got {pos_label!r}."
        )
    return labels.index(pos_label)


def _indicator(y: Any, pos_label: Any, n: int) -> NDArray[np.float64]:
    """Whether each row is of the class."""
    labels = _vector(y, "y", n)
    found = np.fromiter((v == pos_label for v in labels.tolist()), dtype=np.float64, count=n)
    if not found.any():
        raise InvalidParameterError(f"No row of `y` is {pos_label!r}, the `pos_label`.")
    return found


def _numbers(values: Any, what: str, n: int) -> NDArray[np.float64]:
    """Finite numbers, one a row."""
    try:
        numbers = _vector(values, what, n).astype(np.float64)
    except (TypeError, ValueError) as error:
        if isinstance(error, InvalidDataError):
            raise
        raise InvalidDataError(
            f"{what} must be numbers, or `pos_label` name a class: {error}."
        ) from error
    if not np.isfinite(numbers).all():
        raise InvalidDataError(f"{what} must be finite.")
    return numbers


def _vector(values: Any, what: str, n: int) -> NDArray[Any]:
    array = np.asarray(read_values(values))
    if array.shape == (n, 1):
        array = array[:, 0]
    if array.shape != (n,):
        raise InvalidDataError(f"{what} must be {n}, one for each row; got shape {array.shape}.")
    return array


def _summarise(
    codes: NDArray[np.integer[Any]],
    observed: NDArray[np.float64],
    predicted: NDArray[np.float64],
    weights: NDArray[np.float64],
) -> pd.DataFrame:
    """Means, their difference and its standard error, for each category."""
    n_categories = int(codes.max()) + 1
    total = np.bincount(codes, weights, n_categories)
    means = [np.bincount(codes, weights * v, n_categories) / total for v in (observed, predicted)]
    difference = means[0] - means[1]
    residuals = observed - predicted - difference[codes]
    rows = total**2 / np.bincount(codes, weights**2, n_categories)
    squares = np.bincount(codes, weights * residuals**2, n_categories) / total * rows
    freedom = np.maximum(rows - 1.0, 0.0)
    if freedom.sum() > 1e-9:
        pooled = squares.sum() / freedom.sum()
    else:  # one row a category: all there is to tell the noise by is how they differ
        pooled = float(np.average(difference**2, weights=total))
    variance = (squares + _PRIOR_ROWS * pooled) / (freedom + _PRIOR_ROWS)
    error = np.sqrt(variance / rows)
    size = float(np.abs(np.concatenate(means)).max())
    rounding = 1e-12 * size
    sure = np.where(np.abs(difference) > rounding, np.copysign(np.inf, difference), 0.0)
    z = np.divide(difference, error, out=sure, where=error > rounding)
    return pd.DataFrame(
        {
            "count": np.bincount(codes, minlength=n_categories),
            "observed": means[0],
            "predicted": means[1],
            "standard_error": error,
            "z": z,
        }
    )


def _areas(counts: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
    """Areas of points, in square typographic points, as counts are."""
    largest = 220.0 if len(counts) <= 60 else 120.0 if len(counts) <= 500 else 50.0
    return np.maximum(largest * counts / counts.max(), 7.0)


def _rows(n: int) -> str:
    return f"{n:,} row" + ("s" if n != 1 else "")
