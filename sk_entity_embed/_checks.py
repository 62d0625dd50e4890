"""Checks of the parameters: what each may be, and what does not go together."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

from sklearn.utils._param_validation import HasMethods, Interval, StrOptions

from sk_entity_embed._parameters import ListOfFunctions
from sk_entity_embed.exceptions import InvalidDataError, InvalidParameterError
from sk_entity_embed.fitting.options import RULES
from sk_entity_embed.fitting.preparation import EncodedColumns
from sk_entity_embed.input.messages import shown
from sk_entity_embed.learning.problem import Floats
from sk_entity_embed.model.fitted import Output, output_names, output_stems, refuse_beyond_float32
from sk_entity_embed.model.heads import HEADS
from sk_entity_embed.model.losses import LOSSES

if TYPE_CHECKING:
    from sk_entity_embed._estimator import EmbeddingEstimator

_LARGEST = 1e30
"""Of what training multiplies with: products with it are numbers of its type, float32."""

TARGET_TYPES = {"auto", "continuous", "binary", "multiclass", "multilabel-indicator"}
QUANTITY_LOSSES = {name for name, loss in LOSSES.items() if not loss.of_classes}
CLASS_LOSSES = {*LOSSES} - QUANTITY_LOSSES
CLASS_WEIGHT = [dict, list, StrOptions({"balanced"}), None]

CONSTRAINTS: dict[str, list[Any]] = {
    "categorical_features": [StrOptions({"auto", "all"}), "array-like", callable],
    "dimensions": [
        Interval(Integral, 1, None, closed="left"),
        StrOptions(set(RULES)),
        dict,
        callable,
    ],
    "head": [StrOptions(HEADS.keys())],
    "pooling": [str, dict],
    "max_length": [Interval(Integral, 1, None, closed="left"), dict, None],
    "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
    "dropout": [Interval(Real, 0, 1, closed="left")],
    "cross_fit": ["boolean"],
    "cv": ["cv_object"],
    "n_members": [Interval(Integral, 1, None, closed="left")],
    "min_frequency": [
        Interval(Integral, 1, None, closed="left"),
        Interval(Real, 0, 1, closed="neither"),
        None,
    ],
    "max_categories": [Interval(Integral, 1, None, closed="left"), None],
    "unknown_rate": [Interval(Real, 0, 1, closed="left")],
    "handle_missing": [StrOptions({"category", "error"})],
    "interactions": [
        Interval(Integral, 1, None, closed="left"),
        StrOptions({"auto"}),
        "array-like",
        None,
    ],
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
    "checkpoint": [str, os.PathLike, None],
    "checkpoint_interval": [Interval(Real, 0, None, closed="left")],
    "callbacks": [ListOfFunctions("fn(epoch, losses)"), None],
    "device": [str],
    "random_state": ["random_state"],
    "verbose": ["verbose"],
}
"""What each parameter that all estimators have may be, as scikit-learn checks it."""


def output_of(estimator: EmbeddingEstimator) -> Output:
    """Return the output of :meth:`transform` by the parameters."""
    return Output.of(
        getattr(estimator, "output", "embedding"), getattr(estimator, "remainder", "drop")
    )


def n_hidden(estimator: EmbeddingEstimator) -> int:
    """Width of the last hidden layer, by the parameters."""
    sizes = HEADS[estimator.head].hidden_sizes(hidden_sizes(estimator))
    return sizes[-1] if sizes else 0


def hidden_sizes(estimator: EmbeddingEstimator) -> tuple[int, ...]:
    """Widths of the hidden layers, by the parameters."""
    sizes = estimator.hidden_layer_sizes
    sizes = (sizes,) if isinstance(sizes, Integral) else tuple(sizes)
    if any(isinstance(n, bool) or not isinstance(n, Integral) or n < 1 for n in sizes):
        raise InvalidParameterError(
            "`hidden_layer_sizes` must be positive integers, got "
            f"{shown(estimator.hidden_layer_sizes)}."
        )
    return tuple(int(n) for n in sizes)


def check_output(estimator: EmbeddingEstimator) -> None:
    """Refuse an output that the network does not have."""
    uses_none = not HEADS[estimator.head].hidden_sizes((1,))
    if output_of(estimator).hidden and (uses_none or not n_hidden(estimator)):
        lacks = f"head={estimator.head!r}" if uses_none else "hidden_layer_sizes=()"
        raise InvalidParameterError(
            f"output={estimator.output!r} needs a hidden layer, but there is none with {lacks}; "
            "use another output."
        )


def check_names(
    estimator: EmbeddingEstimator,
    tables: list[Floats],
    columns: EncodedColumns,
    n_outputs: int,
    beside: Sequence[str] = (),
) -> None:
    """Refuse names that collide and numbers that cannot be passed on, before any training."""
    output = output_of(estimator)
    if output.numbers:
        refuse_beyond_float32(columns.numbers, [columns.names[j] for j in columns.context])
    widths = (t.shape[2] for t in tables)
    embedded = list(zip(output_stems(columns.embedded, columns.crosses), widths, strict=True))
    passed = [columns.names[j] for j in columns.context]
    biased = HEADS[estimator.head].biased
    names = output_names(output, embedded, passed, n_hidden(estimator), n_outputs, biased)
    if both := [name for name in beside if name in names]:
        raise InvalidParameterError(
            f"`keep` names the column {both[0]!r}, but an output column has this name, too; "
            "rename it in the source."
        )
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise InvalidDataError(
            f"Output columns would share the names {repeated}; rename the columns of X they "
            "come from."
        )
