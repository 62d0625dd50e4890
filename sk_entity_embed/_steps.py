"""Embedding steps inside pipelines and other composites, which no other module knows.

A composite is any estimator that holds others: a pipeline, a column transformer, a feature union, a
search, an ensemble, one of the user's own. They are nested at will.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import FixedThresholdClassifier, TunedThresholdClassifierCV
from sklearn.model_selection._search import BaseSearchCV
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.utils import _safe_indexing, check_array
from sklearn.utils.validation import _check_n_features, check_is_fitted

from sk_entity_embed._estimator import EmbeddingEstimator
from sk_entity_embed.exceptions import InvalidParameterError

_CANDIDATES = "best_params_"
"""Attribute of searches that may hold estimators, none of which was fitted."""

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
    fitted : bool
        Whether the whole fitted it as a copy, and holds it in an attribute of its own for that.
    """

    name: str
    estimator: Any
    whole: Any
    fitted: bool

    @property
    def before(self) -> list[Part]:
        """The steps of a pipeline that rows pass before they reach this one."""
        if not isinstance(self.whole, Pipeline):
            return []
        names = [name for name, _ in self.whole.steps]
        ahead = set(names[: names.index(self.name)])
        # Samplers have no transform, and leave new rows as they are.
        parts = [part for part in _parts(self.whole, self.fitted) if part.name in ahead]
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
    estimator : EmbeddingEstimator
        The step.
    path : tuple of Part
        From the outermost to the step itself; empty if that is what was given.
    """

    estimator: EmbeddingEstimator
    path: tuple[Part, ...]

    @property
    def name(self) -> str:
        """Name of the step, as in the names of nested parameters."""
        return _nested(self.path) or type(self.estimator).__name__.lower()

    @property
    def is_fitted(self) -> bool:
        """Whether the step is fitted."""
        return hasattr(self.estimator, "_model")

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
            for other in _parts(part.whole, part.fitted)
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
    if isinstance(estimator, EmbeddingEstimator):
        check_is_fitted(estimator)
        return [Step(estimator, ())]
    steps = _walk(estimator, ())
    if not steps:
        raise InvalidParameterError(
            "Expected a fitted estimator of sk_entity_embed, or a pipeline with one inside, got "
            f"{_describe(estimator)}."
        )
    fitted = [step for step in steps if step.is_fitted]
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
    return any(step.path for step in _walk(estimator, ()))


def _walk(whole: Any, path: tuple[Part, ...]) -> list[Step]:
    """The embedding steps inside an estimator, fitted or not; what it fitted hides its plan."""
    if isinstance(whole, EmbeddingEstimator):
        return [Step(whole, path)]
    found: list[Step] = []
    for fitted in (True, False):
        parts = _parts(whole, fitted)
        steps = [step for part in parts for step in _walk(part.estimator, (*path, part))]
        if any(step.is_fitted for step in steps):
            return steps
        found += steps
    return found


def _parts(whole: Any, fitted: bool) -> list[Part]:
    """The estimators that another one holds: those that it fitted, or those that it was given.

    Some fit what they were given itself: pipelines, unions, frozen estimators.
    """
    # Not by getattr, which a FrozenEstimator answers for what it holds.
    held = getattr(whole, "__dict__", {})
    public = [k for k in held if k[:1] != "_" and k != _CANDIDATES]
    attributes = [k for k in public if k.endswith("_") == fitted]
    attributes.sort(key=lambda k: not k.startswith("named_"))  # the same ones may have numbers, too
    parts: dict[int, Part] = {}
    for name, value in (pair for k in attributes for pair in _named(k, held[k])):
        if _is_estimator(value):
            parts.setdefault(id(value), Part(str(name), value, whole, fitted))
    return [*parts.values()]


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


def _is_estimator(value: Any) -> bool:
    """Whether it is one, or predicts as the parts of a CalibratedClassifierCV do; no class."""
    works = hasattr(value, "fit") or hasattr(value, "predict_proba")
    return works and not isinstance(value, type)


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
    return f"{name}, which has none inside" if _parts(estimator, False) else name
