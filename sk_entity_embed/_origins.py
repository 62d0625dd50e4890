"""Which columns of the input each output column of a fitted estimator comes from."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sklearn.pipeline import Pipeline

from sk_entity_embed._estimator import EmbeddingEstimator
from sk_entity_embed._steps import Step, embeds, find_steps, names_after, names_in
from sk_entity_embed.exceptions import InvalidParameterError
from sk_entity_embed.model.fitted import EmbeddingModel

_PREFIX = "__"
"""What column transformers and unions put between a part's name and that of a column."""


@dataclass(frozen=True, slots=True)
class Origin:
    """What an output column is part of, and which columns of the input that comes from.

    `columns` is one name, two for a pair of columns, or none for what all columns go into. With
    `is_vector` the output columns of this name are the axes of one vector.
    """

    name: str
    columns: tuple[str, ...]
    is_vector: bool = False


@dataclass(frozen=True, slots=True)
class OutputColumn:
    """One output column by its name, and its origin."""

    name: str
    origin: Origin


def output_columns(estimator: Any) -> list[OutputColumn]:
    """Return what a fitted estimator of this package, or one that holds some, gives ``transform``.

    Of a pipeline that ends with a predictor it is what the predictor is given. Columns of other
    transformers belong to the column of the input that they are named after.

    Raises InvalidParameterError if none of the columns is that of an embedding step, as after a
    PCA, or names do not tell.
    """
    steps = find_steps(estimator)
    known = {c.name: c.origin for step in steps for c in _of_step(step)}
    if isinstance(estimator, EmbeddingEstimator):
        return [OutputColumn(name, origin) for name, origin in known.items()]
    inputs, names = _names(estimator)
    if taken := [n for n in inputs if n in known and n not in known[n].columns]:
        raise InvalidParameterError(
            f"Column {taken[0]!r} of X is named like an output column of an embedding step, so "
            "names do not tell them apart; rename it."
        )
    found = [_column(name, known, inputs) for name in names]
    if not {c.origin for c in found} & {*known.values()}:
        raise InvalidParameterError(
            f"The {type(estimator).__name__} gives none of the columns of its embedding step "
            f"{steps[0].name!r}: a later step makes others of them, or gives them other "
            "names. Pass the steps up to the embedding step, and values for its output."
        )
    return found


def _of_step(step: Step) -> list[OutputColumn]:
    """Return the output columns of a step, by the names that the whole has for its columns, too.

    A step that was fitted on arrays has none of its own, and is told them when names are asked for.
    """
    columns, estimator = _of_model(step.estimator._model), step.estimator
    names = None if hasattr(estimator, "feature_names_in_") else step.names_given()
    if names is None or len(names) != estimator.n_features_in_:
        return columns
    told = dict(zip(estimator._model.names, names, strict=True))
    outputs = estimator.get_feature_names_out(names)
    origins: dict[Origin, Origin] = {}
    for c in columns:
        parts = tuple(told[name] for name in c.origin.columns)
        name = c.origin.name if len(parts) == 0 else ":".join(parts)
        origins[c.origin] = Origin(name, parts, c.origin.is_vector)
    renamed = zip(outputs, columns, strict=True)
    return [*columns, *(OutputColumn(str(name), origins[c.origin]) for name, c in renamed)]


def _of_model(model: EmbeddingModel) -> list[OutputColumn]:
    """Return the output columns of a fitted model."""
    tables = [table.vocabulary.name for table in model.tables]
    sources: list[tuple[str, ...]] = [(name,) for name in tables[: len(model.categorical)]]
    sources += [(tables[a], tables[b]) for a, b in model.crosses]
    origins: list[Origin] = []
    if model.output.vectors:
        for table, name, columns in zip(model.tables, tables, sources, strict=True):
            origins += [Origin(name, columns, is_vector=True)] * table.width
    if model.output.hidden:
        origins += [Origin("hidden", (), is_vector=True)] * model.head.n_hidden
    if model.output.predictions:
        origins += [Origin(f"prediction_{i}", ()) for i in range(model.head.n_outputs)]
    if model.output.numbers:
        origins += [Origin(model.names[j], (model.names[j],)) for j in model.context]
    return [OutputColumn(n, o) for n, o in zip(model.output_names(), origins, strict=True)]


def _names(estimator: Any, given: list[str] | None = None) -> tuple[list[str], list[str]]:
    """Return names of columns that go into an estimator, and that come out or reach its predictor.

    Of a pipeline they go into it, or into the step that embeds. They are `given` to an estimator
    that was fitted on arrays.
    """
    inputs = names_in(estimator, given) or []
    if not isinstance(estimator, Pipeline):
        if not hasattr(estimator, "get_feature_names_out"):
            raise InvalidParameterError(
                f"{type(estimator).__name__} does not name the columns that it gives; pass the "
                "fitted pipeline, or embedding step, inside it."
            )
        return inputs, _outputs(estimator, given)
    names: list[str] | None = names_in(estimator, given)
    outputs: list[str] | None = None
    for _, step in estimator.steps:
        if not hasattr(step, "transform"):  # a sampler, a predictor, or "passthrough"
            continue
        if outputs is not None:
            outputs = _outputs(step, outputs)
        elif embeds(step):
            has_own = names is None or hasattr(step, "feature_names_in_")
            own, outputs = _names(step, None if has_own else names)
            inputs = [*dict.fromkeys([*inputs, *own])]
        else:
            names = names_after(step, names)
    return inputs, outputs or []


def _outputs(step: Any, given: list[str] | None) -> list[str]:
    """Return the names of what a step gives."""
    try:
        return [str(name) for name in step.get_feature_names_out(given)]
    except AttributeError as error:  # its own, or of a part of it
        raise InvalidParameterError(
            f"The step {type(step).__name__} does not name the columns that it gives: "
            f"{str(error).rstrip('.')}. Pass the steps up to the embedding step, and values for "
            "its output. Or have the names told, in a FunctionTransformer by "
            'feature_names_out="one-to-one".'
        ) from error


def _made_of(name: str, known: dict[str, Origin], inputs: Sequence[str]) -> Origin | None:
    """Return the origin of an output column of a step, or of a product of some; else None.

    ``PolynomialFeatures`` names products after what they are made of: ``city_0 day^2``.
    """
    if name in known:
        return known[name]
    factors = [re.sub(r"\^\d+$", "", factor) for factor in name.split(" ")]
    if not any(factor in known for factor in factors):
        return None
    if not all(factor in known or factor in inputs for factor in factors):
        return None
    parts = [known[f].columns if f in known else (f,) for f in factors]
    return Origin(name, () if () in parts else tuple(dict.fromkeys(itertools.chain(*parts))))


def _column(name: str, known: dict[str, Origin], inputs: Sequence[str]) -> OutputColumn:
    """Return an output column with its origin, by its name with and without prefixes."""
    parts = name.split(_PREFIX)
    shorter = [_PREFIX.join(parts[k:]) for k in range(len(parts))]
    for short in shorter:
        if origin := _made_of(short, known, inputs):
            return OutputColumn(name, origin)
    for short in shorter:
        named = [c for c in inputs if short == c or short.startswith(f"{c}_")]
        if named:
            return OutputColumn(name, Origin(name, (max(named, key=len),)))
    return OutputColumn(name, Origin(name, (name,)))
