"""What inspection and export may see of an estimator: checked once, with errors that help.

Whatever the user gives, an estimator of this package or a composite of scikit-learn's that holds
one, is searched here for the embedding step; no other module knows composites.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import FixedThresholdClassifier, TunedThresholdClassifierCV
from sklearn.model_selection._search import BaseSearchCV
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.utils import _safe_indexing, check_array
from sklearn.utils.validation import _check_n_features, check_is_fitted

from sk_entity_embed._base import BaseEntityEmbedding
from sk_entity_embed.exceptions import InvalidParameterError, PartialExportWarning
from sk_entity_embed.model import EmbeddingModel
from sk_entity_embed.tables import EmbeddingTable

_FITTED = (
    "best_estimator_",
    "regressor_",
    "named_estimators_",
    "estimators_",
    "final_estimator_",
    "calibrated_classifiers_",
    "transformers_",
    "estimator_",
)
"""Attributes in which composites keep what they fitted; those with names of their own first."""

_GIVEN = (
    "steps",
    "transformer_list",
    "transformers",
    "remainder",
    "estimators",
    "final_estimator",
    "estimator",
    "regressor",
)
"""Parameters in which they are given it, and in which some, such as pipelines, keep it fitted."""

_SAME_ROWS = (
    BaseSearchCV,
    FeatureUnion,
    FixedThresholdClassifier,
    FrozenEstimator,
    TransformedTargetRegressor,
    TunedThresholdClassifierCV,
)
"""Composites that hand the rows on as they are."""


@dataclass(frozen=True, slots=True)
class Part:
    """An estimator inside another one.

    Attributes
    ----------
    name : str
        As in the names of nested parameters.
    estimator : object
        The part.
    whole : object
        What holds it.
    """

    name: str
    estimator: Any
    whole: Any

    @property
    def before(self) -> list[Part]:
        """The steps of a pipeline that rows pass before they reach this one."""
        if not isinstance(self.whole, Pipeline):
            return []
        names = [name for name, _ in self.whole.steps]
        ahead = set(names[: names.index(self.name)])
        # Samplers have no transform, and leave new rows as they are.
        parts = [part for part in _parts(self.whole) if part.name in ahead]
        return [part for part in parts if hasattr(part.estimator, "transform")]

    def rows_given(self, X: Any) -> Any:
        """What the part is given when the whole is given the rows `X`."""
        if isinstance(self.whole, ColumnTransformer):
            return _selected(self.whole, self.name, X)
        if not isinstance(self.whole, (Pipeline, *_SAME_ROWS)):
            raise InvalidParameterError(
                f"It is not known what {type(self.whole).__name__} gives {self.name!r} of the rows "
                "of X; pass the embedding step itself, and the rows that it is given."
            )
        for part in self.before:
            X = part.estimator.transform(X)
        return X


@dataclass(frozen=True, slots=True)
class Step:
    """An estimator of this package, and the way to it from what the user gave.

    Attributes
    ----------
    estimator : BaseEntityEmbedding
        The step.
    path : tuple of Part
        From the outermost to the step itself; empty if that is what was given.
    """

    estimator: BaseEntityEmbedding
    path: tuple[Part, ...]

    @property
    def name(self) -> str:
        """Name of the step, as in the names of nested parameters."""
        return _nested(self.path) or type(self.estimator).__name__.lower()

    @property
    def before(self) -> list[str]:
        """Names of the steps that rows pass before."""
        return [
            _nested([*self.path[:k], other])
            for k, part in enumerate(self.path)
            for other in part.before
        ]

    @property
    def around(self) -> list[str]:
        """Names of all other parts of what was given."""
        return [
            _nested([*self.path[:k], other])
            for k, part in enumerate(self.path)
            for other in _parts(part.whole)
            if other.estimator is not part.estimator
        ]

    def rows_given(self, X: Any) -> Any:
        """What the step is given when all is given the rows `X`."""
        for part in self.path:
            X = part.rows_given(X)
        return X


def find_steps(estimator: Any) -> list[Step]:
    """All fitted embedding steps of an estimator: itself, or those inside it.

    Raises
    ------
    InvalidParameterError
        If there is none.
    sklearn.exceptions.NotFittedError
        If none of them is fitted.
    """
    if isinstance(estimator, BaseEntityEmbedding):
        check_is_fitted(estimator)
        return [Step(estimator, ())]
    steps = [*_walk(estimator, ())]
    if not steps:
        raise InvalidParameterError(
            "Expected a fitted estimator of sk_entity_embed, or a pipeline with one inside, got "
            f"{_describe(estimator)}."
        )
    fitted = [step for step in steps if hasattr(step.estimator, "_model")]
    if not fitted:
        name, how = type(estimator).__name__, ""
        if getattr(estimator, "refit", True) is False:
            how = " with refit=True"
        raise NotFittedError(
            f"This {name} instance is not fitted yet: its embedding step {steps[0].name!r} is "
            f"not. Call 'fit' of the {name}{how} first."
        )
    return fitted


def find_step(estimator: Any) -> Step:
    """The one fitted embedding step of an estimator.

    Raises
    ------
    InvalidParameterError
        If there is none, or several.
    sklearn.exceptions.NotFittedError
        If it is not fitted.
    """
    steps = find_steps(estimator)
    if len(steps) > 1:
        names = [step.name for step in steps]
        raise InvalidParameterError(
            f"The {type(estimator).__name__} holds {len(names)} embedding steps: {names}. Pass "
            f"one of them: inspection.embedding_steps(...)[{names[0]!r}]."
        )
    return steps[0]


def holds_step(estimator: Any) -> bool:
    """True if an estimator is no estimator of this package, but holds one, fitted or not."""
    step = next(_walk(estimator, ()), None)
    return step is not None and len(step.path) > 0


def fitted_step(estimator: Any) -> Any:
    """The fitted estimator of this package that another one is or holds; see :func:`find_step`."""
    return find_step(estimator).estimator


def exported_step(estimator: Any) -> Any:
    """The step as :func:`fitted_step` finds it, for what takes the step's rows and not the whole's.

    Warns
    -----
    PartialExportWarning
        If there are other steps, which what is exported lacks.
    """
    step = find_step(estimator)
    if around := step.around:
        columns = step.estimator._check_feature_names(None)
        columns = columns if len(columns) < 9 else [*columns[:8], "..."]
        given = f" as {step.before} leave them" if step.before else ""
        warnings.warn(
            f"Of the {type(estimator).__name__} only the embedding step {step.name!r} is "
            f"exported, not {around}. It takes the columns {columns}{given}. To say that this is "
            f"what you want, pass inspection.embedding_steps(...)[{step.name!r}].",
            PartialExportWarning,
            stacklevel=3,
        )
    return step.estimator


def fitted_model(estimator: Any) -> EmbeddingModel:
    """The model of the fitted estimator of this package that an estimator is, or holds.

    Raises
    ------
    InvalidParameterError
        If there is none, or several.
    sklearn.exceptions.NotFittedError
        If it is not fitted.
    """
    model: EmbeddingModel = fitted_step(estimator)._model
    return model


def table_of(estimator: Any, column: str | None) -> EmbeddingTable:
    """The table of one categorical column.

    Parameters
    ----------
    estimator : estimator
        Fitted.
    column : str or None
        Name of the column; None is the only one.

    Raises
    ------
    InvalidParameterError
        If there is no such column, or None is not enough.
    """
    tables = {t.vocabulary.name: t for t in fitted_model(estimator).tables}
    return tables[check_column(column, list(tables))]


def check_column(column: str | None, names: list[str]) -> str:
    """The name of a column that exists."""
    if not names:
        raise InvalidParameterError(
            "The estimator has no embedded columns: it was fitted on numbers alone. Name some in "
            "`categorical_features` before fit."
        )
    if column is None and len(names) == 1:
        return names[0]
    if column is None:
        raise InvalidParameterError(f"`column` must name one of the embedded columns: {names}.")
    if column not in names:
        close = get_close_matches(str(column), names, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise InvalidParameterError(
            f"`column` is {column!r}, but the embedded columns are {names}.{hint}"
        )
    return column


def served_vectors(estimator: Any) -> list[NDArray[np.float32]]:
    """The vectors that ``transform`` looks up, for each column; row ``UNKNOWN`` by its policy.

    Returns
    -------
    list of ndarray of float32 of shape (n_rows, width)
        NaN in the unknown row where ``handle_unknown="nan"``.
    """
    step = fitted_step(estimator)
    model, unknown = step._model, getattr(step, "_unknown", None)
    if unknown is None:
        return [t.vectors for t in model.tables]
    return [t.with_unknown(v) for t, v in zip(model.tables, unknown, strict=True)]


def _walk(whole: Any, path: tuple[Part, ...]) -> Iterator[Step]:
    """The embedding steps inside an estimator, fitted or not."""
    if isinstance(whole, BaseEntityEmbedding):
        yield Step(whole, path)
        return
    for part in _parts(whole):
        yield from _walk(part.estimator, (*path, part))


def _parts(whole: Any) -> list[Part]:
    """The estimators that a composite holds: fitted ones, or else those that it was given."""
    # Not by getattr, which a FrozenEstimator answers for what it holds.
    held = getattr(whole, "__dict__", {})
    for attributes in (_FITTED, _GIVEN):
        parts: dict[int, Part] = {}  # several attributes of ensembles hold the same estimators
        for name, value in (pair for a in attributes for pair in _named(a, held.get(a))):
            if _is_object(value):
                parts.setdefault(id(value), Part(str(name), value, whole))
        if parts:
            return [*parts.values()]
    return []


def _named(attribute: str, value: Any) -> list[tuple[Any, Any]]:
    """What an attribute holds, with names: an estimator, or several of them in a container."""
    if isinstance(value, Mapping):
        return [*value.items()]
    if not isinstance(value, list | tuple):
        return [(attribute.removeprefix("best_").rstrip("_"), value)]
    return [
        v[:2] if isinstance(v, tuple) and len(v) > 1 else (f"{attribute}[{i}]", v)
        for i, v in enumerate(value)
    ]


def _is_object(value: Any) -> bool:
    """Whether it can be an estimator: no "drop" or None, and no class."""
    return hasattr(value, "__dict__") and not isinstance(value, type)


def _nested(parts: Any) -> str:
    return "__".join(part.name for part in parts)


def _selected(whole: ColumnTransformer, name: str, X: Any) -> Any:
    """The columns that a column transformer gives one of its parts."""
    check_is_fitted(whole)
    X = X if hasattr(X, "shape") else check_array(X, dtype=object, ensure_all_finite="allow-nan")
    columns: Any = whole._transformer_to_input_indices[name]
    if hasattr(whole, "feature_names_in_") and hasattr(X, "columns"):
        columns = whole.feature_names_in_[columns]  # there may be others between them
    else:
        _check_n_features(whole, X, reset=False)
    return _safe_indexing(X, columns, axis=1)


def _describe(estimator: Any) -> str:
    if isinstance(estimator, type):
        return f"the class {estimator.__name__}; pass a fitted instance"
    name = type(estimator).__name__
    return f"{name}, which has none inside" if _parts(estimator) else name
