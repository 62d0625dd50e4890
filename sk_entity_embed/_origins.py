"""Which columns of the input each output column of a fitted estimator comes from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sklearn.pipeline import Pipeline

from sk_entity_embed._estimator import EmbeddingEstimator
from sk_entity_embed._steps import embeds, find_steps
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
    known = {c.name: c.origin for step in steps for c in _of_model(step.estimator._model)}
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
            f"{steps[0].name!r}: a later step makes others of them. Pass the steps up to the "
            "embedding step, and values for its output."
        )
    return found


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


def _names_in(estimator: Any) -> list[str]:
    """Return the names of the columns that an estimator was given, where it knows them."""
    return [str(name) for name in getattr(estimator, "feature_names_in_", ())]


def _names(estimator: Any) -> tuple[list[str], list[str]]:
    """Return names of columns that go into an estimator, and that come out or reach its predictor.

    Of a pipeline they go into it, or into the step that embeds.
    """
    inputs = _names_in(estimator)
    if not isinstance(estimator, Pipeline):
        if not hasattr(estimator, "get_feature_names_out"):
            raise InvalidParameterError(
                f"{type(estimator).__name__} does not name the columns that it gives; pass the "
                "fitted pipeline, or embedding step, inside it."
            )
        return inputs, [str(name) for name in estimator.get_feature_names_out()]
    outputs: list[str] | None = None
    for _, step in estimator.steps:
        if not hasattr(step, "transform"):  # a sampler, a predictor, or "passthrough"
            continue
        if outputs is not None:
            outputs = [str(name) for name in step.get_feature_names_out(outputs)]
        elif embeds(step):  # steps before may not say their names
            own, outputs = _names(step)
            inputs = [*dict.fromkeys([*inputs, *own])]
    return inputs, outputs or []


def _column(name: str, known: dict[str, Origin], inputs: Sequence[str]) -> OutputColumn:
    """Return an output column with its origin, by its name with and without prefixes."""
    parts = name.split(_PREFIX)
    shorter = [_PREFIX.join(parts[k:]) for k in range(len(parts))]
    for short in shorter:
        if short in known:
            return OutputColumn(name, known[short])
    for short in shorter:
        named = [c for c in inputs if short == c or short.startswith(f"{c}_")]
        if named:
            return OutputColumn(name, Origin(name, (max(named, key=len),)))
    return OutputColumn(name, Origin(name, (name,)))
