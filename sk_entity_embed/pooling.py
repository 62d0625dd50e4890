"""Pooling: from the vectors of a list's items to one vector, in NumPy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sk_entity_embed.input.lists import Lists

Pooling: TypeAlias = Literal["mean", "sum", "max", "gru"]
POOLINGS: tuple[Pooling, ...] = ("mean", "sum", "max", "gru")

_GATHERED = 4_096  # Items gathered at a time for a mean: they stay in cache.
_STEPPED = 65_536  # Items a recurrent unit reads at a time: long enough for fast matrix products.

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class GRU:
    """A gated recurrent unit that reads a list from its first item on.

    With the three gates reset ``r``, update ``z`` and new ``n`` side by side, in this order, an
    item ``x`` turns the state ``h``, which is 0 at first, into ``(1 - z) * n + z * h``, where
    ``n = tanh(W_in x + b_in + r * (W_hn h + b_hn))``: the formula of :class:`torch.nn.GRU`.

    Attributes
    ----------
    input_weights : ndarray of float64 of shape (width, 3 * n_state)
        From an item to the gates.
    hidden_weights : ndarray of float64 of shape (n_state, 3 * n_state)
        From the state to the gates.
    input_bias, hidden_bias : ndarray of float64 of shape (3 * n_state,)
        Added to either.

    References
    ----------
    Cho et al., "Learning phrase representations using RNN encoder-decoder for statistical machine
    translation", EMNLP 2014.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_entity_embed.input.lists import Lists
    >>> from sk_entity_embed.pooling import GRU
    >>> unit = GRU(np.full((1, 3), 0.5), np.zeros((1, 3)), np.zeros(3), np.zeros(3))
    >>> lists = Lists(np.array([0, 1, 1]), np.array([0, 2, 3]))
    >>> unit(np.array([[0.0], [1.0]], dtype=np.float32), lists).round(3).tolist()
    [[0.174], [0.174]]
    """

    input_weights: Floats
    hidden_weights: Floats
    input_bias: Floats
    hidden_bias: Floats

    @property
    def n_state(self) -> int:
        """Numbers in the state."""
        return int(self.hidden_weights.shape[0])

    def __call__(self, source: NDArray[np.float32], lists: Lists) -> Floats:
        """State after the last item of each list.

        Parameters
        ----------
        source : ndarray of float32 of shape (n_rows, width)
            Vectors of the items.
        lists : Lists
            Rows of `source`; no list is empty.

        Returns
        -------
        ndarray of float64 of shape (n_lists, n_state)
            The states.
        """
        out = np.empty((len(lists), self.n_state))
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
        return out

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


Pooler: TypeAlias = Pooling | GRU
"""How lists become vectors; a name, or, for "gru", a unit that has learned."""


def pool(
    source: NDArray[np.float32],
    lists: Lists,
    pooling: Literal["mean", "sum", "max"],
    out: NDArray[np.float32],
) -> None:
    """Write the mean, sum or axis-wise maximum of each list's vectors.

    Parameters
    ----------
    source : ndarray of float32 of shape (n_rows, width)
        Vectors of the items.
    lists : Lists
        Rows of `source`; no list is empty.
    pooling : {"mean", "sum", "max"}
        What is written. Sums are in float64.
    out : ndarray of float32 of shape (n_lists, width)
        Filled in place, a block of lists at a time. NaN among a list's vectors is NaN here.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_entity_embed.input.lists import Lists
    >>> from sk_entity_embed.pooling import pool
    >>> source = np.array([[0.0, 1.0], [4.0, 3.0]], dtype=np.float32)
    >>> out = np.empty((2, 2), dtype=np.float32)
    >>> pool(source, Lists(np.array([0, 1, 1]), np.array([0, 2, 3])), "mean", out)
    >>> out.tolist()
    [[2.0, 2.0], [4.0, 3.0]]
    """
    for rows in _blocks(lists, _GATHERED):
        block = lists[rows]
        vectors, starts = source[block.items], block.offsets[:-1]
        if pooling == "max":
            out[rows] = np.maximum.reduceat(vectors, starts, axis=0)
            continue
        sums = np.add.reduceat(vectors, starts, axis=0, dtype=np.float64)
        out[rows] = sums / block.lengths[:, None] if pooling == "mean" else sums


def _blocks(lists: Lists, n_items: int) -> Iterator[slice]:
    """Runs of lists with no more than `n_items` items together, or of one longer list."""
    start, offsets = 0, lists.offsets
    while start < len(lists):
        fitting = int(np.searchsorted(offsets, offsets[start] + n_items, side="right")) - 1
        stop = max(start + 1, fitting)
        yield slice(start, stop)
        start = stop
