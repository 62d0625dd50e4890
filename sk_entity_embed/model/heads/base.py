"""The base of heads: their answers, and their facts for training, coordinates and exports."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from sk_entity_embed.input.lists import Codes
from sk_entity_embed.model.poolings import Pooling, Steps
from sk_entity_embed.model.symmetry import NONE, Motion, Symmetry

Tables = list[NDArray[np.float32]]


@dataclass(slots=True)
class TrainedColumns:
    """Tables and poolings on their way from training to the fitted model, changed in place.

    `stacks`, of shape (n_tables + 1, n_rows, width) with the mean table last, `counts` (weights of
    their rows), `poolings` and `frozen` are by column. `codes`, `fold` and `context` are of some
    training rows; `numbers` says where in the latter each column of numbers that vary is, rather
    than flags. `unit` is what one of the head's output is in the target's units. `centered` marks
    the columns whose weighted mean vector is zero by construction.
    """

    stacks: Tables
    counts: Sequence[NDArray[np.float64]]
    poolings: list[Pooling | None]
    frozen: Sequence[bool]
    codes: Sequence[Codes]
    fold: NDArray[np.int64]
    context: NDArray[np.float32]
    numbers: Sequence[slice]
    unit: float
    centered: list[bool]


def heads_of_folds(n_folds: int, n_heads: int) -> NDArray[np.int64]:
    """Return which of several heads serves each fold: the one that learns from none of its rows.

    Each serves a run of folds, of about equal length.
    """
    return np.arange(n_folds, dtype=np.int64) * n_heads // n_folds


class Head(ABC):
    """The layers above the tables: a frozen value that answers in NumPy."""

    __slots__ = ()

    name: ClassVar[str]
    """Its name in the parameter `head`."""
    biased: ClassVar[bool] = False
    """Whether each vector ends with a bias."""
    crosses: ClassVar[bool] = True
    """Whether pairs of columns can have tables of their own beside those of the columns."""
    cross_fits: ClassVar[bool] = False
    """Whether there are several, each for folds whose rows it never sees, not one for all."""
    moves_together: ClassVar[bool] = False
    """Whether columns move all alike or not at all, so that a frozen one keeps all as they are."""
    step: ClassVar[float] = 1.0
    """Step sizes over those of a perceptron."""
    step_grows: ClassVar[bool] = True
    """Whether step sizes grow with the root of the rows a step."""
    prior_rows: ClassVar[float] = 3.0
    """Rows that the shrinkage of a category's vector towards zero counts for."""
    steps: ClassVar[Steps] = Steps()
    """Steps of training that it needs."""
    n_hidden: int = 0
    """Width of the last hidden layer; 0 if there is none."""
    layers: tuple[int, ...] = ()
    """Widths of all hidden layers."""
    n_heads: int = 1
    """How many there are side by side, each for some folds."""
    n_folds: int = 1
    """Number of folds that they serve; 1 for one that serves all."""

    @property
    @abstractmethod
    def n_outputs(self) -> int:
        """Number of raw outputs."""

    @abstractmethod
    def raw(
        self,
        vectors: NDArray[np.float32],
        context: NDArray[np.float32],
        fold: NDArray[np.int64] | None = None,
    ) -> NDArray[np.float64]:
        """Return raw outputs of shape (n_samples, n_outputs), before any link function.

        `vectors` are the columns' vectors side by side, `context` scaled numbers. With the `fold`
        of each training row they are those of the head that never saw the row, if there is one.
        """

    def hidden(
        self,
        vectors: NDArray[np.float32],
        context: NDArray[np.float32],
        fold: NDArray[np.int64] | None = None,
    ) -> NDArray[np.float64]:
        """Return the last hidden layer, of shape (n_samples, n_hidden).

        With the `fold` of each training row it is that of the head that never saw the row.
        """
        return np.empty((len(vectors), 0))

    @property
    def symmetry(self) -> Symmetry:
        """Motions of the vectors that it can follow."""
        return NONE

    def symmetry_below(self, pooling: Pooling | None) -> Symmetry:
        """Return the motions of a column's vectors that it can follow through a pooling, if any."""
        if pooling is None:
            return self.symmetry
        if pooling.items_symmetry is not None:
            return pooling.items_symmetry
        return self.symmetry & pooling.symmetry

    def moved(self, motions: Sequence[Motion | None], edges: Sequence[int]) -> Self:
        """Return the head that gives the same answers on vectors that have moved.

        Column j's vectors are between two `edges` of what it reads. A joint symmetry leaves the
        head as it is.
        """
        return self

    def with_context(self, matrix: NDArray[np.float64], offset: NDArray[np.float64]) -> Self | None:
        """Return the head that gives the same answers on other numbers; None if there is none.

        The numbers that it reads now are ``others @ matrix + offset``.
        """
        return None

    def with_outputs(self, factor: NDArray[np.float64], offset: NDArray[np.float64]) -> Self | None:
        """Return the head whose outputs are these times a positive factor, and an offset.

        Both have shape (n_outputs,); None if there is none.
        """
        return None

    @classmethod
    def hidden_sizes(cls, sizes: tuple[int, ...]) -> tuple[int, ...]:
        """Return those of the parameter `hidden_layer_sizes` that it uses."""
        return ()

    @classmethod  # noqa: B027
    def check(
        cls, names: Sequence[str], n_outputs: int, poolings: Mapping[str, type[Pooling]]
    ) -> None:
        """Raise an InvalidParameterError if it cannot stand above these columns and outputs."""

    @classmethod
    def widths(
        cls, widths: Mapping[str, int], given: Mapping[str, bool], cardinalities: Sequence[int]
    ) -> list[int]:
        """Return the columns' widths, from those that the parameters name or a rule proposes.

        `given` says which of them were named.
        """
        return list(widths.values())

    def align_folds(
        self,
        tables: Tables,
        seen: Sequence[NDArray[np.bool_]],
        counts: Sequence[NDArray[np.float64]],
        poolings: Sequence[Pooling | None],
    ) -> tuple[Tables, Self]:
        """Bring the folds' tables together where training may turn them away from each other.

        `seen` says which rows each table has learned from.
        """
        return tables, self

    def canonical(self, columns: TrainedColumns) -> Self:
        """Rewrite tables and poolings in canonical coordinates, and return the head for them."""
        return self

    @classmethod
    def joined(cls, heads: Sequence[Self]) -> Self:
        """Return one head of those of several trainings, whose vectors are in one space.

        Unless heads stand side by side, it is the mean of their parameters.
        """
        names = [field.name for field in fields(cls)]  # type: ignore[arg-type]
        means = {name: np.mean([getattr(h, name) for h in heads], axis=0) for name in names}
        return cls(**{n: mean if mean.ndim else float(mean) for n, mean in means.items()})

    def for_training(self, tables: Tables) -> tuple[Tables, Self]:
        """Return tables and head in the units that steps and shrinkage are made for."""
        return tables, self
