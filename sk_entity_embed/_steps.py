"""Embedding steps inside pipelines and other composites.

A composite is any estimator that holds others: a pipeline, a column transformer, a feature union, a
search, an ensemble, one of the user's own. They are nested at will.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import FixedThresholdClassifier, TunedThresholdClassifierCV
from sklearn.model_selection._search import BaseSearchCV
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.utils import _safe_indexing, check_array
from sklearn.utils.validation import _check_n_features, _is_fitted, check_is_fitted

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
    """An estimator inside another one, its whole; `fitted` if the whole fitted a copy of its own.

    Its name is as in the names of nested parameters.
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
        return [p for p in self.beside if p.name in ahead and hasattr(p.estimator, "transform")]

    @property
    def beside(self) -> list[Part]:
        """All other parts of the whole."""
        parts = _parts(self.whole, self.fitted)
        return [part for part in parts if part.estimator is not self.estimator]

    def rows_given(self, X: Any) -> Any:
        """Return what the part is given when the whole is given the rows `X`."""
        if isinstance(self.whole, ColumnTransformer):
            return _selected(self.whole, self.name, X)
        if not isinstance(self.whole, (Pipeline, *_SAME_ROWS)):
            raise InvalidParameterError(
                f"{type(self.whole).__name__} may change the rows of X before they reach "
                f"{self.name!r}; pass the embedding step itself, with the rows that it gets."
            )
        for part in self.before:
            X = part.estimator.transform(X)
        return X

    def names_given(self, names: list[str] | None) -> list[str] | None:
        """Return names of the columns that the part is given, where the whole is given `names`."""
        names = names_in(self.whole, names)
        if names is not None and isinstance(self.whole, ColumnTransformer):
            return [names[j] for j in self.whole._transformer_to_input_indices[self.name]]
        for part in self.before:
            names = names_after(part.estimator, names)
        return names


@dataclass(frozen=True, slots=True)
class Step:
    """An estimator of this package, and the path to it: from the outermost part to itself.

    The path is empty if the step itself is what the user gave.
    """

    estimator: EmbeddingEstimator
    path: tuple[Part, ...]

    @property
    def name(self) -> str:
        """Name of the step, as in the names of nested parameters."""
        return _nested(self.path) or type(self.estimator).__name__.lower()

    @property
    def before(self) -> list[str]:
        """Names of the steps that rows pass before."""
        return self._names(lambda part: part.before)

    @property
    def around(self) -> list[str]:
        """Names of all other parts of what was given."""
        return self._names(lambda part: part.beside)

    def _names(self, others: Callable[[Part], list[Part]]) -> list[str]:
        return [
            _nested([*self.path[:k], other])
            for k, part in enumerate(self.path)
            for other in others(part)
        ]

    def names_given(self) -> list[str] | None:
        """Return the names that its columns have in what it is part of, where they can be told."""
        names: list[str] | None = None
        for part in self.path:
            names = part.names_given(names)
        return names

    def rows_given(self, X: Any) -> Any:
        """Return what the step is given when all is given the rows `X`."""
        for part in self.path:
            X = part.rows_given(X)
        return X


def find_steps(estimator: Any) -> list[Step]:
    """Return all fitted embedding steps of an estimator: itself, or those inside it.

    Raises InvalidParameterError if there is none, NotFittedError if none of them is fitted.
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
    fitted = [step for step in steps if _is_fitted(step.estimator)]
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
    """Return the one fitted embedding step of an estimator.

    Raises InvalidParameterError if there is none, or several; NotFittedError if it is not fitted.
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
    """Return whether an estimator is none of this package but holds one, fitted or not."""
    return any(step.path for step in _walk(estimator, ()))


def embeds(estimator: Any) -> bool:
    """Return whether an estimator is one of this package or holds one, fitted or not."""
    return bool(_walk(estimator, ()))


def names_in(estimator: Any, given: list[str] | None) -> list[str] | None:
    """Return the names of the columns of an estimator: its own, or those `given`, or by number."""
    if (own := getattr(estimator, "feature_names_in_", None)) is not None:
        return [str(name) for name in own]
    n = getattr(estimator, "n_features_in_", None)
    if given is not None:
        return given if n in (None, len(given)) else None
    return None if n is None else [f"x{j}" for j in range(n)]


def names_after(estimator: Any, names: list[str] | None) -> list[str] | None:
    """Return the names of a transformer's output, None where it does not say them."""
    try:
        return [str(name) for name in estimator.get_feature_names_out(names)]
    except (AttributeError, ValueError):
        return None


def _walk(whole: Any, path: tuple[Part, ...]) -> list[Step]:
    """Return the embedding steps inside an estimator, fitted or not.

    Copies that it fitted hide what they were copied from.
    """
    if isinstance(whole, EmbeddingEstimator):
        return [Step(whole, path)]
    found: list[Step] = []
    for fitted in (True, False):
        parts = _parts(whole, fitted)
        steps = [step for part in parts for step in _walk(part.estimator, (*path, part))]
        if any(_is_fitted(step.estimator) for step in steps):
            return steps
        found += steps
    return found


def _parts(whole: Any, fitted: bool) -> list[Part]:
    """Return the estimators that another one holds: copies that it fitted, or those it was given.

    Pipelines, unions and frozen estimators fit those that they were given.
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
    """Return what an attribute holds, with names: an estimator, or several in a container."""
    if isinstance(value, Mapping):
        return [*value.items()]
    if not isinstance(value, list | tuple):
        return [(attribute.removeprefix("best_").rstrip("_"), value)]
    return [
        v[:2] if isinstance(v, tuple) and len(v) > 1 else (f"{attribute}[{i}]", v)
        for i, v in enumerate(value)
    ]


def _is_estimator(value: Any) -> bool:
    """Return whether it is one, or predicts as parts of a CalibratedClassifierCV do; no class."""
    works = hasattr(value, "fit") or hasattr(value, "predict_proba")
    return works and not isinstance(value, type)


def _nested(parts: Sequence[Part]) -> str:
    return "__".join(part.name for part in parts)


def _selected(whole: ColumnTransformer, name: str, X: Any) -> Any:
    """Return the columns that a column transformer gives one of its parts."""
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
