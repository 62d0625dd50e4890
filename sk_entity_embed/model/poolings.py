"""Poolings: from the vectors of a list's items to one vector, a class for each kind.

A new kind is a class here, in ``POOLINGS``, and its torch side in ``learning/poolings.py``. What is
not said of it elsewhere, such as an ONNX form, is refused there.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar, NamedTuple, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sk_entity_embed.input.lists import Lists
from sk_entity_embed.model.coordinates import canonicalise
from sk_entity_embed.model.symmetry import AFFINE, LINEAR, NONE, PERMUTATION, Motion, Symmetry, undo

_GATHERED = 4_096  # Items gathered at a time: they stay in cache.
_STEPPED = 65_536  # Items a recurrent unit reads at a time: long enough for fast matrix products.

Floats: TypeAlias = NDArray[np.float64]


class Steps(NamedTuple):
    """Steps of training: how many there have to be, and how many before patience counts."""

    least: int = 0
    before_patience: int = 0


SLOW_START = Steps(3000, 750)
"""Of kinds that start near a saddle, where products of small numbers have small gradients."""


class Pooling(ABC):
    """One vector for each list of a column."""

    __slots__ = ()

    name: ClassVar[str]
    """Its name in the parameter `pooling`."""
    symmetry: ClassVar[Symmetry] = NONE
    """Motions of the items' vectors that the pooled vectors follow."""
    items_symmetry: ClassVar[Symmetry | None] = None
    """Motions of the items' vectors that the pooling itself takes back, in :meth:`moved`: the
    pooled vectors then stay as they are. None if it takes none back."""
    shares_gradient: ClassVar[bool] = False
    """Whether what a list tells is shared out among its items, so that each learns the less the
    longer the list is."""
    learns: ClassVar[bool] = False
    """Whether it has parameters, which all folds share, and several trainings do not."""
    steps: ClassVar[Steps] = Steps()
    """Steps of training that it needs."""

    @abstractmethod
    def __call__(self, source: NDArray[np.float32], lists: Lists, out: NDArray[np.float32]) -> None:
        """Write one vector a list into `out`, of shape (n_lists, width).

        `lists` hold rows of `source`, of shape (n_rows, width); no list is empty.
        """

    def moved(self, motion: Motion) -> Self:
        """Return the pooling that gives the same on items that have moved.

        Only those with an `items_symmetry` are asked.
        """
        raise NotImplementedError

    def canonical(
        self, stack: NDArray[np.float32], counts: Floats
    ) -> tuple[NDArray[np.float32], Self]:
        """Return the items' tables and the pooling in coordinates of its own.

        Those that take no motion back leave the coordinates to the head.
        """
        return stack, self


class _Reduction(Pooling):
    """A pooling without parameters, a run of lists at a time."""

    __slots__ = ()

    def __call__(self, source: NDArray[np.float32], lists: Lists, out: NDArray[np.float32]) -> None:
        for rows in _blocks(lists, _GATHERED):
            block = lists[rows]
            out[rows] = self._reduce(source[block.items], block)

    @abstractmethod
    def _reduce(self, vectors: NDArray[np.float32], lists: Lists) -> NDArray[np.floating]:
        """Return one vector a list, from all items' vectors one after the other."""


@dataclass(frozen=True, slots=True)
class Mean(_Reduction):
    """The mean of the items' vectors, summed in float64.

    >>> import numpy as np
    >>> from sk_entity_embed.input.lists import Lists
    >>> from sk_entity_embed.model.poolings import Mean
    >>> source = np.array([[0.0, 1.0], [4.0, 3.0]], dtype=np.float32)
    >>> out = np.empty((2, 2), dtype=np.float32)
    >>> Mean()(source, Lists(np.array([0, 1, 1]), np.array([0, 2, 3])), out)
    >>> out.tolist()
    [[2.0, 2.0], [4.0, 3.0]]
    """

    name = "mean"
    symmetry = AFFINE
    shares_gradient = True

    def _reduce(self, vectors: NDArray[np.float32], lists: Lists) -> NDArray[np.floating]:
        sums: Floats = np.add.reduceat(vectors, lists.offsets[:-1], axis=0, dtype=np.float64)
        return sums / lists.lengths[:, None]


@dataclass(frozen=True, slots=True)
class Sum(_Reduction):
    """The sum of the items' vectors, in float64. A shift would count once for each item."""

    name = "sum"
    symmetry = LINEAR

    def _reduce(self, vectors: NDArray[np.float32], lists: Lists) -> NDArray[np.floating]:
        sums: Floats = np.add.reduceat(vectors, lists.offsets[:-1], axis=0, dtype=np.float64)
        return sums


@dataclass(frozen=True, slots=True)
class Max(_Reduction):
    """The largest entry of the items' vectors, axis by axis; NaN where there is NaN."""

    name = "max"
    symmetry = PERMUTATION

    def _reduce(self, vectors: NDArray[np.float32], lists: Lists) -> NDArray[np.floating]:
        largest: NDArray[np.float32] = np.maximum.reduceat(vectors, lists.offsets[:-1], axis=0)
        return largest


@dataclass(frozen=True, slots=True)
class GRU(Pooling):
    """A gated recurrent unit that reads a list from its first item on.

    With the three gates reset ``r``, update ``z`` and new ``n`` side by side, in this order, an
    item ``x`` turns the state ``h``, which is 0 at first, into ``(1 - z) * n + z * h``, where
    ``n = tanh(W_in x + b_in + r * (W_hn h + b_hn))``: the formula of :class:`torch.nn.GRU`.

    `input_weights` of shape (width, 3 * n_state) and `input_bias` lead from an item to the gates,
    `hidden_weights` of shape (n_state, 3 * n_state) and `hidden_bias` from the state; float64.

    References
    ----------
    Cho et al., "Learning phrase representations using RNN encoder-decoder for statistical machine
    translation", EMNLP 2014.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_entity_embed.input.lists import Lists
    >>> from sk_entity_embed.model.poolings import GRU
    >>> unit = GRU(np.full((1, 3), 0.5), np.zeros((1, 3)), np.zeros(3), np.zeros(3))
    >>> lists = Lists(np.array([0, 1, 1]), np.array([0, 2, 3]))
    >>> out = np.empty((2, 1), dtype=np.float32)
    >>> unit(np.array([[0.0], [1.0]], dtype=np.float32), lists, out)
    >>> out.round(3).tolist()
    [[0.17399999499320984], [0.17399999499320984]]
    """

    name = "gru"
    learns = True
    items_symmetry = AFFINE
    steps = SLOW_START

    input_weights: Floats
    hidden_weights: Floats
    input_bias: Floats
    hidden_bias: Floats

    @property
    def n_state(self) -> int:
        """Numbers in the state."""
        return int(self.hidden_weights.shape[0])

    def __call__(self, source: NDArray[np.float32], lists: Lists, out: NDArray[np.float32]) -> None:
        # What the gates get of an item is the same wherever it stands.
        known = self._gates_of(source) if len(source) <= _STEPPED else None
        for rows in _blocks(lists, _STEPPED):
            block = lists[rows]
            if known is not None:
                out[rows] = self._read(known, block)
            else:
                used, positions = np.unique(block.items, return_inverse=True)
                block = Lists(positions.reshape(-1), block.offsets)
                out[rows] = self._read(self._gates_of(source[used]), block)

    def moved(self, motion: Motion) -> Self:
        edges = [0, len(self.input_weights)]
        weights, bias = undo(self.input_weights, self.input_bias, edges, [motion])
        return replace(self, input_weights=weights, input_bias=bias)

    def canonical(
        self, stack: NDArray[np.float32], counts: Floats
    ) -> tuple[NDArray[np.float32], Self]:
        (moved,), weights, bias = canonicalise(
            [stack], [counts], self.input_weights, self.input_bias, [self.items_symmetry], [False]
        )
        return moved, replace(self, input_weights=weights, input_bias=bias)

    def _gates_of(self, vectors: NDArray[np.float32]) -> Floats:
        """The share of items in the gates."""
        gates: Floats = vectors.astype(np.float64) @ self.input_weights + self.input_bias
        return gates

    def _read(self, gates: Floats, lists: Lists) -> Floats:
        """State after the last item of each list, given the gates' share of each item."""
        # Sorted by length, the lists still going on at a step are the first ones.
        order = np.argsort(-lists.lengths, kind="stable")
        lengths, starts = lists.lengths[order], lists.offsets[:-1][order]
        n_going_on = np.searchsorted(-lengths, -np.arange(lengths.max(initial=0)), side="left")
        n = self.n_state
        state = np.zeros((len(lists), n))
        for step, count in enumerate(n_going_on):
            before = state[:count]
            given = gates[lists.items[starts[:count] + step]]
            kept = before @ self.hidden_weights + self.hidden_bias
            # sigmoid(x) = (1 + tanh(x / 2)) / 2 does not overflow
            reset, update = np.split(
                0.5 + 0.5 * np.tanh(0.5 * (given[:, : 2 * n] + kept[:, : 2 * n])), 2, axis=1
            )
            new = np.tanh(given[:, 2 * n :] + reset * kept[:, 2 * n :])
            state[:count] = new + update * (before - new)
        out = np.empty_like(state)
        out[order] = state
        return out


POOLINGS: dict[str, type[Pooling]] = {kind.name: kind for kind in (Mean, Sum, Max, GRU)}
"""The kinds by name."""


def _blocks(lists: Lists, n_items: int) -> Iterator[slice]:
    """Runs of lists with no more than `n_items` items together, or of one longer list."""
    start, offsets = 0, lists.offsets
    while start < len(lists):
        fitting = int(np.searchsorted(offsets, offsets[start] + n_items, side="right")) - 1
        stop = max(start + 1, fitting)
        yield slice(start, stop)
        start = stop
