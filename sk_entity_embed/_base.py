"""What every estimator of the package shares: parameters, fit, fitted attributes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import Tags
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

from sk_entity_embed.assembly import assemble, starting_point
from sk_entity_embed.dimensions import RULES
from sk_entity_embed.exceptions import (
    InvalidDataError,
    InvalidParameterError,
    LeakageWarning,
    TrainingInterruptedWarning,
)
from sk_entity_embed.input.columns import Table, read_table
from sk_entity_embed.input.duplicates import check_duplicates
from sk_entity_embed.input.messages import shown, warn
from sk_entity_embed.input.roles import check_roles
from sk_entity_embed.input.selection import select_categorical
from sk_entity_embed.input.target import Scale, check_y_range
from sk_entity_embed.learning.problem import Learned, StartingPoint, TrainingConfig
from sk_entity_embed.model import EmbeddingModel
from sk_entity_embed.options import resolve_max_length, resolve_pooling
from sk_entity_embed.preparation import (
    Columns,
    Given,
    Roles,
    Seeds,
    assign_roles,
    check_given,
    read_columns,
    target_scale,
    training_rows,
)
from sk_entity_embed.tables import EmbeddingFrames
from sk_entity_embed.warm_start import (
    Memory,
    check_continuation,
    continued_point,
    fingerprint,
)

_CONTINUED_ELSEWHERE = (
    "warm_start goes on with other rows, folds or categories than the fit before: all tables start "
    "from the mean table, so rows that the earlier fit has seen get vectors that have seen their "
    "targets, in fit_transform too. Encode training rows with an encoder fitted afresh."
)

INTERRUPTED_EARLY = "Training was interrupted before the end of its first epoch"

_SLOW_STEPS, _SLOW_START = 3000, 750
"""Steps that dot products and recurrent units are given, and those before patience counts.

Both start near a saddle, where products of small numbers have small gradients.
"""

_LARGEST = 1e30
"""Of what training multiplies with: products with it are numbers of its type, float32."""

TARGET_TYPES = {"auto", "continuous", "binary", "multiclass", "multilabel-indicator"}
QUANTITY_LOSSES = {"squared_error", "absolute_error", "huber", "poisson"}
CLASS_WEIGHT = [dict, list, StrOptions({"balanced"}), None]


class BaseEntityEmbedding(BaseEstimator):
    """Fit of the cross-fitted embedding network, without a way to use it.

    Subclasses declare the parameters in their ``__init__``, as scikit-learn requires. They may have
    `target_type`, `loss` and `class_weight` among them, or say how ``y`` is read in
    :meth:`_reading`.
    """

    _needs_categories: ClassVar[bool] = True
    """Whether at least one column has to be embedded."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "categorical_features": [StrOptions({"auto", "all"}), "array-like", callable],
        "dimensions": [
            Interval(Integral, 1, None, closed="left"),
            StrOptions(set(RULES)),
            dict,
            callable,
        ],
        "head": [StrOptions({"mlp", "dot"})],
        "pooling": [str, dict],
        "max_length": [Interval(Integral, 1, None, closed="left"), dict, None],
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "cross_fit": ["boolean"],
        "cv": ["cv_object"],
        "min_frequency": [
            Interval(Integral, 1, None, closed="left"),
            Interval(Real, 0, 1, closed="neither"),
            None,
        ],
        "max_categories": [Interval(Integral, 1, None, closed="left"), None],
        "unknown_rate": [Interval(Real, 0, 1, closed="left")],
        "handle_missing": [StrOptions({"category", "error"})],
        "init": [StrOptions({"normal"}), dict, HasMethods(["fit", "transform"])],
        "freeze": ["boolean", "array-like"],
        "max_iter": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "batch_size": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "learning_rate_init": [Interval(Real, 0, _LARGEST, closed="right")],
        "alpha": [Interval(Real, 0, _LARGEST, closed="both")],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, _LARGEST, closed="both")],
        "warm_start": ["boolean"],
        "device": [str],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def _fit(self, X: Any, y: Any, sample_weight: Any, groups: Any) -> Table | None:
        """Fit, and return the table read from `X`; None where no whole epoch was run.

        The whole fit is built beside the estimator, which changes by one assignment: whatever is
        raised here, it has either the earlier state or the new one.
        """
        from sk_entity_embed.learning.learn import learn

        self._check_parameters()
        seeds = Seeds.draw(self.random_state)
        given = self._check_input(X, y, sample_weight, groups)
        previous = self._previous()
        columns = self._read_columns(given, X, previous)
        mark = self._mark(given, columns)
        roles, start, scale = self._start(given, columns, previous, mark, seeds)
        self._check_start(start, columns, given.table)
        rows = training_rows(given, columns, roles, scale)
        config = self._training_config(given, columns, scale, seeds)
        learned = learn(rows, start, config, overwrite_start=True)
        if len(learned.loss_curve) == 0:
            return None
        model = assemble(learned, start, rows, columns, scale, given.target.loss)
        fitted = _twin(self)
        validate_data(fitted, given.table.header(), reset=True, skip_check_array=True)
        fitted.__dict__.update(
            self._state(model, learned, given, columns, roles),
            _memory=self._remember(mark, given, columns, roles, start),
        )
        self.__dict__ = fitted.__dict__
        _warn(learned)
        return given.table

    def _keep_earlier(self) -> None:
        """Keep the fit before one that was interrupted too early, and say so.

        Raises
        ------
        KeyboardInterrupt
            If there is none.
        """
        if not hasattr(self, "_model"):
            raise KeyboardInterrupt(f"{INTERRUPTED_EARLY}; the estimator is not fitted.")
        message = f"{INTERRUPTED_EARLY}; the estimator keeps its earlier fit."
        warn(message, TrainingInterruptedWarning)

    def _read(self, X: Any) -> Table:
        """Read a table to look up, with the columns of fit."""
        check_is_fitted(self)
        table = read_table(X)
        validate_data(self, table.header(), reset=False, skip_check_array=True)
        return table

    def _check_parameters(self) -> None:
        """Room for a subclass's checks before anything is read."""

    def _check_start(self, start: StartingPoint, columns: Columns, table: Table) -> None:
        """Room for a subclass's checks just before training."""

    def _check_feature_names(self, input_features: Any) -> list[str]:
        """Names of the input columns, after checking those the user gives."""
        names = getattr(self, "feature_names_in_", None)
        if input_features is None:
            return (
                list(names) if names is not None else [f"x{j}" for j in range(self.n_features_in_)]
            )
        given = np.asarray(input_features, dtype=object)
        if names is not None and not np.array_equal(names, given):
            raise InvalidDataError("input_features is not equal to feature_names_in_")
        if len(given) != self.n_features_in_:
            raise InvalidDataError(
                "input_features should have length equal to number of features "
                f"({self.n_features_in_}), got {len(given)}"
            )
        return [str(name) for name in given]

    def _check_input(self, X: Any, y: Any, sample_weight: Any, groups: Any) -> Given:
        if y is None:
            validate_data(_twin(self), "no_validation", y)  # scikit-learn's own message
        given = check_given(
            X,
            y,
            sample_weight,
            groups,
            **self._reading(),
        )
        validate_data(_twin(self), given.table.header(), reset=True, skip_check_array=True)
        return given

    def _reading(self) -> dict[str, Any]:
        """How the target is read."""
        return {
            "target_type": self.target_type,
            "loss": self.loss,
            "class_weight": self.class_weight,
        }

    def _read_columns(
        self, given: Given, X: Any, previous: tuple[EmbeddingModel, Memory] | None
    ) -> Columns:
        categorical, context = select_categorical(
            self.categorical_features, given.used, X, required=self._needs_categories
        )
        if previous is not None:
            shape = _shape(given.table, categorical, context)
            check_continuation(previous[1], shape, given.target, self._layers(given))
        lists = [j for j in categorical if given.used.columns[j].is_list]
        names = [given.used.columns[j].name for j in lists]
        pooling = dict(zip(lists, resolve_pooling(self.pooling, names, lists), strict=True))
        lengths = dict(zip(lists, resolve_max_length(self.max_length, names, lists), strict=True))
        if self.head == "dot":
            _check_dot(given, categorical, pooling)
        columns = read_columns(
            given,
            categorical,
            context,
            min_frequency=self.min_frequency,
            max_categories=self.max_categories,
            handle_missing=self.handle_missing,
            scaling=None if previous is None else previous[0].scaling,
            pooling=[pooling.get(j) for j in categorical],
            max_lengths=[lengths.get(j) for j in categorical],
        )
        chosen, target = self.categorical_features, given.target
        check_roles(chosen, given.used, categorical, context, columns.codes, target)
        return columns

    def _previous(self) -> tuple[EmbeddingModel, Memory] | None:
        """The fit to go on from, if any."""
        memory = getattr(self, "_memory", None)
        return (self._model, memory) if self.warm_start and memory is not None else None

    def _start(
        self,
        given: Given,
        columns: Columns,
        previous: tuple[EmbeddingModel, Memory] | None,
        mark: str,
        seeds: Seeds,
    ) -> tuple[Roles, StartingPoint, Scale]:
        """Folds, first vectors and units of the target: new ones, or those of the fit before."""
        same_rows = previous is not None and previous[1].fingerprint == mark
        cross_fit = self._cross_fits(columns)
        if previous is not None and same_rows:
            roles = previous[1].roles
        else:
            roles = assign_roles(
                given,
                cross_fit=cross_fit,
                cv=self.cv,
                early_stopping=self.early_stopping,
                validation_fraction=self.validation_fraction,
                random_state=seeds.folds,
            )
            if cross_fit:
                check_duplicates(columns.codes, columns.context_values, given.target, roles.fold)
        if previous is not None:
            model, memory = previous
            start = continued_point(
                model, memory, columns, roles, same_rows=same_rows, freeze=self.freeze
            )
            if cross_fit and not same_rows:
                warn(_CONTINUED_ELSEWHERE, LeakageWarning)
            return roles, start, model.scale
        start = starting_point(
            columns,
            given.target,
            roles,
            head=self.head,
            dimensions=self.dimensions,
            init=self.init,
            freeze=self.freeze,
            random_state=seeds.vectors,
        )
        return roles, start, target_scale(given, self._bounds(given))

    def _bounds(self, given: Given) -> tuple[float, float] | None:
        """Lowest and highest prediction; None where the estimator has or was given none."""
        return check_y_range(getattr(self, "y_range", None), given.target)

    def _cross_fits(self, columns: Columns) -> bool:
        """Whether there are folds: without tables they would have no purpose."""
        return bool(self.cross_fit) and len(columns.categorical) > 0

    def _remember(
        self, mark: str, given: Given, columns: Columns, roles: Roles, start: StartingPoint
    ) -> Memory | None:
        """What the next fit needs to go on from this one, if it may."""
        if not self.warm_start:
            return None
        shape = _shape(given.table, columns.categorical, columns.context)
        classes, layers = given.target.classes, self._layers(given)
        return Memory(mark, roles, shape, classes, layers, start.fixed, start.pulled)

    def _mark(self, given: Given, columns: Columns) -> str:
        """What tells whether the next fit has the same rows and folds."""
        decides_folds = (self.cross_fit, self.cv, self.early_stopping, self.validation_fraction)
        return fingerprint(given, columns, decides_folds) if self.warm_start else ""

    def _hidden_sizes(self) -> tuple[int, ...]:
        sizes = self.hidden_layer_sizes
        sizes = (sizes,) if isinstance(sizes, Integral) else tuple(sizes)
        if any(isinstance(n, bool) or not isinstance(n, Integral) or n < 1 for n in sizes):
            raise InvalidParameterError(
                "`hidden_layer_sizes` must be positive integers, got "
                f"{shown(self.hidden_layer_sizes)}."
            )
        return tuple(int(n) for n in sizes)

    def _layers(self, given: Given) -> tuple[Any, ...]:
        """What decides the shapes and the meaning of the network's outputs."""
        target = given.target
        return (
            repr(self.dimensions),
            self._hidden_sizes() if self.head == "mlp" else (),
            target.loss,
            target.n_outputs,
            self.head,
            repr(self.pooling),
            repr(self.max_length),
            self._bounds(given),
        )

    def _training_config(
        self, given: Given, columns: Columns, scale: Scale, seeds: Seeds
    ) -> TrainingConfig:
        target = given.target
        batch_size = _batch_size(self.batch_size, given.used.n_rows)
        slow = self.head == "dot" or "gru" in columns.pooling
        return TrainingConfig(
            loss=target.loss,
            n_outputs=target.n_outputs,
            multiclass=target.kind == "multiclass",
            bounds=scale.network_bounds(),
            head=self.head,
            hidden_layer_sizes=self._hidden_sizes(),
            dropout=float(self.dropout),
            unknown_rate=float(self.unknown_rate),
            learning_rate_init=float(self.learning_rate_init),
            alpha=float(self.alpha),
            batch_size=batch_size,
            max_iter=_max_iter(self.max_iter, given.used.n_rows, batch_size if slow else None),
            min_iter=-(-_SLOW_START // _steps(given.used.n_rows, batch_size)) if slow else 0,
            early_stopping=bool(self.early_stopping),
            n_iter_no_change=int(self.n_iter_no_change),
            tol=float(self.tol),
            device=self.device,
            seed=seeds.network,
            verbose=bool(self.verbose),
        )

    def _state(
        self,
        model: EmbeddingModel,
        learned: Learned,
        given: Given,
        columns: Columns,
        roles: Roles,
    ) -> dict[str, Any]:
        """The fitted attributes by name; public mappings are by column name."""
        tables, target = model.tables, given.target
        by_name = {t.vocabulary.name: t for t in tables}
        fold = None
        if self._cross_fits(columns):
            fold = np.full(given.table.n_rows, -1, dtype=np.int64)
            fold[given.kept] = roles.fold
        losses, validation_losses = learned.loss_curve, learned.validation_loss_curve
        units = model.scale.loss_units(target.loss)
        return {
            "_model": model,
            "categorical_features_": list(by_name),
            "dimensions_": {n: t.n_axes for n, t in by_name.items()},
            "categories_": {n: t.vocabulary.labels for n, t in by_name.items()},
            "category_counts_": {n: t.vocabulary.label_counts for n, t in by_name.items()},
            "category_target_means_": dict(zip(by_name, columns.target_means, strict=True)),
            "infrequent_categories_": {n: t.vocabulary.infrequent for n, t in by_name.items()},
            "target_type_": target.kind,
            "classes_": target.classes,
            "fold_": fold,
            "loss_curve_": (losses * units).mean(axis=1),
            "validation_loss_curve_": (
                None if validation_losses is None else (validation_losses * units).mean(axis=1)
            ),
            "best_iteration_": learned.best_iteration,
            "n_iter_": len(losses),
        }

    @property
    def embeddings_(self) -> Mapping[str, pd.DataFrame]:
        """Vectors of each categorical column, indexed by category."""
        check_is_fitted(self)
        return EmbeddingFrames(self._model.tables)

    @property
    def biases_(self) -> dict[str, pd.Series]:
        """Bias of each category, by column; there are some under ``head="dot"`` only."""
        check_is_fitted(self)
        tables = self._model.tables
        if not any(table.biased for table in tables):
            raise AttributeError(
                f"{type(self).__name__} has biases_ under head='dot' only, not under 'mlp'."
            )
        return {t.vocabulary.name: t.biases() for t in tables}

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.target_tags.multi_output = True
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        return tags


def _twin(estimator: BaseEntityEmbedding) -> BaseEntityEmbedding:
    """Another estimator with the same attributes; ``copy`` lacks those left out for pickling."""
    twin = object.__new__(type(estimator))
    twin.__dict__.update(estimator.__dict__)
    return twin


def _warn(learned: Learned) -> None:
    """Say what went wrong in a training that has a result nevertheless."""
    kept = f"the best state so far, after {learned.best_iteration} full epoch(s), was kept."
    if learned.best_iteration == 0:
        kept = "no epoch was better than the fit before, whose state was kept."
    if learned.interrupted:
        message = f"Training was interrupted; {kept}"
        warn(message, TrainingInterruptedWarning)
    curves = [learned.loss_curve, learned.validation_loss_curve]
    if not all(np.isfinite(c).all() for c in curves if c is not None):
        message = f"The loss is no longer finite: {kept} Lower `learning_rate_init`."
        warn(message, ConvergenceWarning)


def _check_dot(given: Given, categorical: Sequence[int], pooling: Mapping[int, str]) -> None:
    """Refuse what dot products cannot be made of.

    Raises
    ------
    InvalidParameterError
        If there are no two columns, or several outputs, or lists are not summed or averaged.
    """
    columns = given.used.columns
    names = [columns[j].name for j in categorical]
    if len(names) < 2:
        raise InvalidParameterError(
            "head='dot' multiplies the vectors of two or more categorical columns, but there is "
            f"{names or 'none'}; name more in `categorical_features`, or use head='mlp'."
        )
    if given.target.n_outputs > 1:
        raise InvalidParameterError(
            f"head='dot' has one output, but y has {given.target.n_outputs}; use head='mlp'."
        )
    for j, way in pooling.items():
        if way not in ("mean", "sum"):
            raise InvalidParameterError(
                "head='dot' takes lists pooled by 'mean' or 'sum', but `pooling` is "
                f"{shown(way)} for "
                f"column {columns[j].name!r}; use one of these, or head='mlp'."
            )


def _shape(table: Table, categorical: Sequence[int], context: Sequence[int]) -> tuple[Any, ...]:
    """What must not change between a fit and the one that goes on from it."""
    return tuple(c.name for c in table.columns), tuple(categorical), tuple(context)


def _batch_size(batch_size: int | str, n_samples: int) -> int:
    """Rows a step: about 100 steps an epoch, in powers of two from 64 to 1024."""
    if batch_size != "auto":
        return int(batch_size)
    return int(np.clip(2 ** round(np.log2(max(1, n_samples / 100))), 64, 1024))


def _steps(n_samples: int, batch_size: int) -> int:
    """Steps of an epoch, about."""
    return max(1, -(-n_samples // batch_size))


def _max_iter(max_iter: int | str, n_samples: int, slow_batch: int | None) -> int:
    """Epochs: four million rows' worth, within 20 to 40.

    Parameters
    ----------
    max_iter : int or "auto"
        What the user asks for.
    n_samples : int
        Training rows.
    slow_batch : int or None
        Rows a step of a network that starts slowly, which needs some thousand steps on small data,
        too; None for others.
    """
    if max_iter != "auto":
        return int(max_iter)
    epochs = int(np.clip(round(4_000_000 / max(1, n_samples)), 20, 40))
    if slow_batch is None:
        return epochs
    return max(epochs, -(-_SLOW_STEPS // _steps(n_samples, slow_batch)))
