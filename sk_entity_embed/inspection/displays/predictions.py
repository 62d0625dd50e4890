"""CategoryPredictionDisplay: predicted against observed means, category by category."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, is_classifier
from sklearn.utils.validation import check_is_fitted

from sk_entity_embed.exceptions import InvalidDataError, InvalidParameterError
from sk_entity_embed.input.columns import read_table, read_values
from sk_entity_embed.input.messages import shown
from sk_entity_embed.input.table import Column, object_array
from sk_entity_embed.inspection.column_vectors import check_count, close_names, usual_min_count
from sk_entity_embed.inspection.displays.coloring import opacity, round_counts
from sk_entity_embed.inspection.displays.docs import documented
from sk_entity_embed.inspection.displays.labels import draw_labels, plain_text
from sk_entity_embed.inspection.displays.theme import (
    Theme,
    ThemeName,
    dot,
    draw_legend,
    empty_corners,
    name_axes,
    prepare_axes,
)
from sk_entity_embed.inspection.residuals import residuals_by_category

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_FAR = 2.0
"""Standard errors beyond which a category is off the line by more than chance."""
_MOST_BARS = 60


@documented(
    rows="""
    sample_weight : array-like of shape (n_samples,), default=None
        Weight of each row.
    min_count : int, "auto" or None, default="auto"
        Leave out categories with fewer rows; rows of zero weight do not count. None keeps all
        categories. "auto" is 20, or None if no category has 20 rows.""",
    n_labels="""
    n_labels : int, default=8
        Number of categories to name: those furthest off in standard errors, if more than two.""",
)
@dataclass(kw_only=True, eq=False, repr=False)
class CategoryPredictionDisplay:
    """Mean prediction against mean observation, with one point for each category.

    Categories on the line are predicted correctly on average. Categories with few rows can lie off
    the line by chance. The colour says whether a category is off by more than two standard errors.

    Create it with :meth:`from_estimator` or :meth:`from_predictions`. Call :meth:`plot` to draw it
    again, in other axes or another theme.

    Parameters
    ----------
    frame : DataFrame
        One row for each category, with the columns ``category``, ``count`` (rows), ``observed`` and
        ``predicted`` (weighted means), ``standard_error`` (of their difference, given the
        predictions) and ``z`` (their difference in standard errors).
    column : str, default="category"
        Name of the column.
    target : str, default="y"
        Name of the target.
    n_left_out : int, default=0
        Number of categories that have too few rows to be in the frame.
    min_count : int, default=1
        Number of rows that a category in the frame has at least.

    Attributes
    ----------
    points_ : matplotlib PathCollection
        The categories.
    line_ : matplotlib Line2D
        Line on which prediction and observation are equal.
    bars_ : matplotlib LineCollection
        Two standard errors up and down. If there are many categories, only for those with a name.
    texts_ : list of matplotlib Annotation
        Names of the categories that are furthest off.
    legend_ : matplotlib Legend
        Meaning of colours and sizes.
    %(drawn)s

    Notes
    -----
    The standard error of a category of weights :math:`w_i` and effective number of rows
    :math:`n = (\\sum w_i)^2 / \\sum w_i^2` is :math:`s / \\sqrt n`. The variance :math:`s^2` of its
    residuals is averaged with the mean variance within all categories, with the weights
    :math:`n - 1` and 5. It is therefore not zero if ten rows happen to be alike [1]_.

    References
    ----------
    .. [1] G. K. Smyth, "Linear models and empirical Bayes methods for assessing differential
       expression in microarray experiments", Statistical Applications in Genetics and Molecular
       Biology 3(1), 2004.

    Examples
    --------
    >>> from sk_entity_embed.inspection import CategoryPredictionDisplay
    >>> display = CategoryPredictionDisplay.from_predictions(
    ...     [1.0, 3.0, 10.0], [2.0, 2.0, 9.0], ["Oslo", "Oslo", "Rome"]
    ... )
    >>> display.frame[["category", "count", "observed", "predicted"]]
      category  count  observed  predicted
    0     Oslo      2       2.0        2.0
    1     Rome      1      10.0        9.0
    """

    frame: pd.DataFrame
    column: str = "category"
    target: str = "y"
    n_left_out: int = 0
    min_count: int = 1

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        column: str | None = None,
        *,
        response_method: Literal["auto", "predict_proba", "predict"] = "auto",
        pos_label: Any = None,
        sample_weight: Any = None,
        min_count: int | str | None = "auto",
        n_labels: int = 8,
        ax: Axes | None = None,
        theme: ThemeName | None = None,
    ) -> Self:
        """Draw the predictions of any fitted estimator that follows scikit-learn's conventions.

        Parameters
        ----------
        estimator : estimator
            Fitted classifier or regressor, such as a pipeline that ends in one.
        X : array-like of shape (n_samples, n_features)
            Rows to predict. Take rows that the estimator was not fitted on.
        y : array-like of shape (n_samples,)
            True targets of these rows.
        column : str, default=None
            Column of `X` whose categories are drawn; None if there is only one. Columns without
            names are called ``x0``, ``x1``, ... In a column of lists, the rows of a category are
            those whose lists contain it; rows with an empty list have the category ``()``.
        response_method : {"auto", "predict_proba", "predict"}, default="auto"
            Method of the estimator to call. "auto" is `predict_proba` for classifiers that have it.
        pos_label : object, default=None
            For classifiers, the class whose share is drawn; None takes the second of two classes.
        %(rows)s
        %(n_labels)s
        %(axes)s

        %(returns)s

        Raises
        ------
        InvalidDataError
            If `X` and `y` have different numbers of rows, or numbers are not finite.
        InvalidParameterError
            If the estimator cannot predict, the column or class does not exist, or no category has
            `min_count` rows.

        Examples
        --------
        >>> from sk_entity_embed import EntityEmbeddingRegressor
        >>> from sk_entity_embed.inspection import CategoryPredictionDisplay
        >>> X, y = [["Lima"], ["Oslo"], ["Rome"]] * 40, [21.0, -5.0, 12.0, 23.0, -3.0, 14.0] * 20
        >>> model = EntityEmbeddingRegressor(max_iter=30, random_state=0).fit(X, y)
        >>> display = CategoryPredictionDisplay.from_estimator(model, X, y)
        >>> display.frame[["category", "count", "observed", "predicted"]].round(0)
          category  count  observed  predicted
        0     Lima     40      22.0       22.0
        1     Oslo     40      -4.0       -4.0
        2     Rome     40      13.0       13.0
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
        min_count: int | str | None = "auto",
        n_labels: int = 8,
        ax: Axes | None = None,
        theme: ThemeName | None = None,
    ) -> Self:
        """Draw predictions made elsewhere.

        Parameters
        ----------
        y_true : array-like of shape (n_samples,)
            True targets.
        y_pred : array-like of shape (n_samples,)
            Predictions: numbers, or the probabilities of `pos_label` if you give that.
        categories : array-like of shape (n_samples,)
            Category of each row, or its list of categories. None and NaN are missing.
        column : str, default="category"
            Name of the categories, for the drawing.
        pos_label : object, default=None
            Class in `y_true` whose share is drawn. None takes `y_true` as numbers.
        %(rows)s
        %(n_labels)s
        %(axes)s

        %(returns)s

        Raises
        ------
        InvalidDataError
            If the arguments have different numbers of rows, or numbers are not finite.
        InvalidParameterError
            If no category has `min_count` rows, or no row has the class `pos_label`.

        Examples
        --------
        >>> from sk_entity_embed.inspection import CategoryPredictionDisplay
        >>> late, probability = ["yes", "no", "no", "yes"], [0.8, 0.4, 0.1, 0.7]
        >>> display = CategoryPredictionDisplay.from_predictions(
        ...     late, probability, ["JFK", "JFK", "LGA", "LGA"], column="airport", pos_label="yes"
        ... )
        >>> display.frame[["category", "count", "observed", "predicted"]]
          category  count  observed  predicted
        0      JFK      2       0.5        0.6
        1      LGA      2       0.5        0.4
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
        min_count: int | str | None,
    ) -> Self:
        if min_count is not None and min_count != "auto":
            check_count("min_count", min_count, 0)
        frame = residuals_by_category(y_true, y_pred, column, sample_weight, pos_label)
        least = usual_min_count(min_count, frame["count"].to_numpy())
        min_count = 1 if least is None else int(least)
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
            target=target if pos_label is None else f"{target} = {pos_label}",
            n_left_out=int((~frequent).sum()),
            min_count=min_count,
        )

    def plot(
        self, ax: Axes | None = None, *, theme: ThemeName | None = None, n_labels: int = 8
    ) -> Self:
        """Draw the points.

        Parameters
        ----------
        %(axes)s
        %(n_labels)s

        %(end_of_plot)s

        Examples
        --------
        >>> from sk_entity_embed.inspection import CategoryPredictionDisplay
        >>> display = CategoryPredictionDisplay.from_predictions(
        ...     [1.0, 1.1, 0.9, 1.0, 5.0, 5.1], [1.0] * 4 + [2.0] * 2, ["Oslo"] * 4 + ["Rome"] * 2
        ... )
        >>> [text.get_text() for text in display.plot(n_labels=1).texts_]
        ['Rome']
        """
        check_count("n_labels", n_labels, 0)
        figure, ax, colors = prepare_axes(ax, theme, (6.8, 5.8))
        frame = self.frame
        size = frame["z"].abs().to_numpy()
        far, counts = size > _FAR, frame["count"].to_numpy()
        areas = _areas(counts, counts)
        xy = frame[["predicted", "observed"]].to_numpy()
        shades = np.where(far, colors.accent, colors.point)
        style: dict[str, Any] = {"alpha": opacity(len(frame)), "linewidths": 0, "zorder": 2}
        self.points_ = ax.scatter(xy[:, 0], xy[:, 1], s=areas, c=shades, **style)
        worst = np.argsort(-size, kind="stable")
        worst = worst[far[worst]][:n_labels]
        self.bars_ = self._draw_bars(ax, worst, colors)
        middle = float(np.clip(np.median(xy[:, 0]), xy[:, 1].min(), xy[:, 1].max()))
        dashes: dict[str, Any] = {"linewidth": 1.0, "linestyle": (0, (4, 3)), "zorder": 3}
        self.line_ = ax.axline((middle, middle), slope=1.0, color=colors.ink, **dashes)
        self._name_axes(ax, colors)
        self.legend_ = self._explain(ax, xy, far, colors)
        names, avoid = frame["category"].to_numpy(dtype=object), [self.legend_]
        self.texts_, _ = draw_labels(ax, colors, xy, areas, worst, names, len(worst), avoid)
        self.ax_, self.figure_ = ax, figure
        return self

    def _draw_bars(self, ax: Axes, worst: NDArray[np.intp], colors: Theme) -> Any:
        from matplotlib.collections import LineCollection

        are_few = len(self.frame) <= _MOST_BARS
        shown = self.frame if are_few else self.frame.iloc[np.sort(worst)]
        x, y, error = shown[["predicted", "observed", "standard_error"]].to_numpy().T
        ends = [np.column_stack([x, y + reach * error]) for reach in (-_FAR, _FAR)]
        zorder = 1.5 if are_few else 3.0  # below the points, unless these hide them
        style: dict[str, Any] = {"colors": colors.muted, "linewidths": 0.9, "zorder": zorder}
        bars = LineCollection(list(np.stack(ends, axis=1)), **style)
        ax.add_collection(bars, autolim=are_few)
        return bars

    def _name_axes(self, ax: Axes, colors: Theme) -> None:
        target = plain_text(self.target, 40)
        title = f"Predicted and observed by {plain_text(self.column, 40)}"
        if self.n_left_out:
            noun = "category" if self.n_left_out == 1 else "categories"
            title += f"\n{self.n_left_out:,} {noun} with fewer than {self.min_count} rows left out"
        names = f"Mean prediction of {target}", f"Observed mean of {target}"
        name_axes(ax, colors, title, *names, grid="both")

    def _explain(
        self, ax: Axes, xy: NDArray[np.float64], far: NDArray[np.bool_], colors: Theme
    ) -> Any:
        """Draw what colours and sizes mean, off the line, on the emptier side of it."""
        n = round(0.0455 * len(far))
        by_chance = f"about {n:,}" if n else "fewer than 1"
        keys = [
            (dot(colors.point), f"within 2 standard errors ({(~far).sum():,})"),
            (dot(colors.accent), f"beyond ({far.sum():,}; by chance {by_chance})"),
        ]
        counts = self.frame["count"].to_numpy()
        shown = round_counts(counts)
        for area, n in zip(_areas(np.array(shown), counts), shown, strict=True):
            text = f"{n:,} row" + ("s" if n != 1 else "")
            keys.append((dot(colors.muted, float(area)), text))
        loc = next(c for c in empty_corners(ax, xy) if c in ("upper left", "lower right"))
        return draw_legend(ax, keys, colors, loc=loc)


def _column_of(categories: Any, name: str) -> Column:
    """Return categories, in any container, as a column."""
    values = read_values(categories)
    if not isinstance(values, np.ndarray):
        values = object_array(list(values))
    if values.ndim != 1:
        raise InvalidDataError(
            f"`categories` must have one value for each row, got shape {values.shape}."
        )
    (column,) = read_table(values[:, None]).columns
    return replace(column, name=name)


def _choose(columns: Sequence[Column], name: str | None) -> Column:
    """Return the column to group by."""
    names = [c.name for c in columns]
    if name is None and len(names) == 1:
        return columns[0]
    if name not in names:
        close = close_names(str(name), names, n=1) if name is not None else []
        hint = f" Did you mean {shown(close[0])}?" if close else ""
        raise InvalidParameterError(
            f"`column` must be one of the columns of X, {shown(names)}; got {shown(name)}.{hint}"
        )
    return columns[names.index(name)]


def _predict(estimator: Any, X: Any, method: str, pos_label: Any) -> tuple[Any, Any]:
    """Return predictions, and the class they are about."""
    if method not in ("auto", "predict_proba", "predict"):
        raise InvalidParameterError(
            f"`response_method` must be 'auto', 'predict_proba' or 'predict', got {shown(method)}."
        )
    name = estimator.__name__ if isinstance(estimator, type) else type(estimator).__name__
    if isinstance(estimator, type) or not hasattr(estimator, "predict"):
        raise InvalidParameterError(
            f"`estimator` must be fitted and have a `predict`, but {name} does not; pass a "
            "fitted pipeline that ends in a classifier or regressor, such as "
            "make_pipeline(encoder, Ridge())."
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
    """Return the position of the class that is meant."""
    labels = list(classes) if np.ndim(classes) == 1 else []
    if pos_label is None and len(labels) == 2:
        return 1
    if pos_label is None or pos_label not in labels:
        first = ", ".join(map(shown, labels[:10]))
        raise InvalidParameterError(
            f"`pos_label` must be one of the {len(labels)} classes, [{first}]; got "
            f"{shown(pos_label)}."
        )
    return labels.index(pos_label)


def _areas(
    counts: NDArray[np.integer[Any]], drawn: NDArray[np.integer[Any]]
) -> NDArray[np.float64]:
    """Return areas of points of the given counts among those drawn, in square points."""
    n = len(drawn)
    largest = 220.0 if n <= 60 else 120.0 if n <= 500 else 50.0 * np.sqrt(min(1.0, 2000 / n))
    return np.maximum(largest * counts / drawn.max(), 7.0)
