"""The multi-layer perceptron in NumPy: its answers and its canonical coordinates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Self

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import gen_batches

from sk_entity_embed.model.coordinates import NO_VARIANCE, canonicalise
from sk_entity_embed.model.heads.base import Head, TrainedColumns
from sk_entity_embed.model.symmetry import AFFINE, Motion, undo
from sk_entity_embed.model.tables import gather, shift

HIDDEN_VARIANCE = 3.0
"""Total variance of the hidden layer, relative to that of all that enters the head."""
NO_MOTION = 0.03
"""Standard deviation of a hidden unit, relative to that of the others, that counts as none."""
_BLOCK = 1024  # Rows at a time that hold a number for each hidden unit.


@dataclass(frozen=True, slots=True)
class MLPHead(Head):
    """Multi-layer perceptrons with rectified hidden layers, each for some folds, and their mean.

    All started from the same weights, those of other members too, so that their hidden units agree.

    Attributes
    ----------
    weights : tuple of ndarray of float64 of shape (n_heads, n_in, n_out)
        Matrices of each layer; the last one gives the raw outputs.
    biases : tuple of ndarray of float64 of shape (n_heads, n_out)
        Vectors of each layer.
    shift : ndarray of float64 of shape (n_heads, n_hidden) or None
        What brings the hidden layers of single heads to their common mean; None for nothing. In
        the mean over heads it is zero.
    folds : ndarray of int64 of shape (n_folds,) or None
        The perceptron of each fold, which has never seen its rows; None where each has its own.
    """

    weights: tuple[NDArray[np.float64], ...]
    biases: tuple[NDArray[np.float64], ...]
    shift: NDArray[np.float64] | None = None
    folds: NDArray[np.int64] | None = None

    name = "mlp"
    cross_fits = True
    symmetry = AFFINE

    @property
    def n_heads(self) -> int:  # type: ignore[override]
        """Number of perceptrons side by side."""
        return len(self.biases[-1])

    @property
    def n_folds(self) -> int:  # type: ignore[override]
        """Number of folds that they serve."""
        return self.n_heads if self.folds is None else len(self.folds)

    def _heads_of(self, fold: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the perceptron that has never seen the rows of a fold."""
        return fold if self.folds is None else self.folds[fold]

    @property
    def n_hidden(self) -> int:  # type: ignore[override]
        """Width of the last hidden layer; 0 if there is none."""
        return self.weights[-1].shape[1] if len(self.weights) > 1 else 0

    @property
    def layers(self) -> tuple[int, ...]:  # type: ignore[override]
        """Widths of all hidden layers."""
        return tuple(int(b.shape[1]) for b in self.biases[:-1])

    @property
    def n_outputs(self) -> int:
        """Number of raw outputs."""
        return int(self.biases[-1].shape[1])

    def hidden(
        self,
        vectors: NDArray[np.float32],
        context: NDArray[np.float32],
        fold: NDArray[np.int64] | None = None,
    ) -> NDArray[np.float64]:
        """Return the last hidden layer, after its activation.

        Sums run in float64, so that, rounded to float32, a row's result does not depend on the
        rows beside it.
        """
        hidden = self._answer(vectors, context, len(self.weights) - 1, fold)
        if fold is None or self.shift is None:
            return hidden
        return hidden + self.shift[self._heads_of(fold)]

    def raw(
        self,
        vectors: NDArray[np.float32],
        context: NDArray[np.float32],
        fold: NDArray[np.int64] | None = None,
    ) -> NDArray[np.float64]:
        return self._answer(vectors, context, len(self.weights), fold)

    def _answer(
        self,
        vectors: NDArray[np.float32],
        context: NDArray[np.float32],
        n_layers: int,
        fold: NDArray[np.int64] | None,
    ) -> NDArray[np.float64]:
        """Return the mean of all heads after so many layers, or the answer of each row's own."""
        state = np.hstack([vectors, context]).astype(np.float64)
        if fold is None or self.n_heads == 1:
            mean: NDArray[np.float64] = self._forward(state, n_layers, slice(None)).mean(axis=0)
            return mean
        width = self.biases[n_layers - 1].shape[1] if n_layers else state.shape[1]
        own = np.empty((len(state), width))
        heads = self._heads_of(fold)
        for g in range(self.n_heads):
            rows = np.flatnonzero(heads == g)
            own[rows] = self._forward(state[rows], n_layers, slice(g, g + 1))[0]
        return own

    def _forward(
        self, state: NDArray[np.float64], n_layers: int, heads: slice
    ) -> NDArray[np.float64]:
        last, states = len(self.weights) - 1, state[None]
        for i in range(n_layers):
            states = states @ self.weights[i][heads] + self.biases[i][heads, None]
            if i < last:
                np.maximum(states, 0.0, out=states)
        return states

    @classmethod
    def hidden_sizes(cls, sizes: tuple[int, ...]) -> tuple[int, ...]:
        return sizes

    @classmethod
    def joined(cls, heads: Sequence[Self]) -> Self:
        """Return all perceptrons side by side, before their answers have one mean."""
        weights = zip(*(head.weights for head in heads), strict=True)
        biases = zip(*(head.biases for head in heads), strict=True)
        before = accumulate((head.n_heads for head in heads), initial=0)
        folds = [h._heads_of(np.arange(h.n_folds)) + n for h, n in zip(heads, before, strict=False)]
        return cls(
            tuple(map(np.concatenate, weights)),
            tuple(map(np.concatenate, biases)),
            folds=np.concatenate(folds),
        )

    def moved(self, motions: Sequence[Motion | None], edges: Sequence[int]) -> Self:
        return self._with_first(*undo(*self._first(), edges, motions))

    def with_context(self, matrix: NDArray[np.float64], offset: NDArray[np.float64]) -> Self:
        first, bias = self._first()
        n = len(first) - len(offset)
        return self._with_first(
            np.vstack([first[:n], matrix @ first[n:]]), bias + offset @ first[n:]
        )

    def with_outputs(self, factor: NDArray[np.float64], offset: NDArray[np.float64]) -> Self:
        return replace(
            self,
            weights=(*self.weights[:-1], self.weights[-1] * factor),
            biases=(*self.biases[:-1], self.biases[-1] * factor + offset),
        )

    def _first(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the first layer of all heads as one."""
        return np.hstack(list(self.weights[0])), self.biases[0].ravel()

    def _with_first(self, weights: NDArray[np.float64], bias: NDArray[np.float64]) -> Self:
        split = np.stack(np.split(weights, self.n_heads, axis=1))
        biases = bias.reshape(self.n_heads, -1)
        return replace(self, weights=(split, *self.weights[1:]), biases=(biases, *self.biases[1:]))

    def canonical(self, columns: TrainedColumns) -> Self:
        """Rewrite the tables in the coordinates of the first layer, and scale the hidden layer."""
        stacks, poolings, pooled = columns.stacks, columns.poolings, {}
        for j, pooling in enumerate(poolings):
            if pooling is None:
                continue
            if not columns.frozen[j]:
                stacks[j], pooling = pooling.canonical(stacks[j], columns.counts[j])
            poolings[j] = pooling
            pooled[j] = np.empty((len(columns.fold), stacks[j].shape[2]), dtype=np.float32)
            gather([stacks[j][-1]], [columns.codes[j]], pooled[j], [pooling])
        columns.centered[:] = [
            p is None and not frozen for p, frozen in zip(poolings, columns.frozen, strict=True)
        ]
        columns.stacks, first, bias = canonicalise(
            stacks,
            columns.counts,
            *self._first(),
            [self.symmetry if p is None else self.symmetry & p.symmetry for p in poolings],
            columns.frozen,
            numbers=columns.numbers,
            context=columns.context,
            pooled=pooled,
        )
        head = replace(self._with_first(first, bias), shift=None)
        # The hidden layer's scale is taken from rows in their own fold's tables.
        sources = [stack.reshape(-1, stack.shape[2]) for stack in columns.stacks]
        codes = [
            shift(c, columns.fold, stack.shape[1])
            for c, stack in zip(columns.codes, columns.stacks, strict=True)
        ]
        vectors = np.empty((len(columns.fold), sum(s.shape[1] for s in sources)), np.float32)
        gather(sources, codes, vectors, poolings)
        context, n_numbers = columns.context, len(columns.numbers)
        head = head._with_equal_means(vectors, context)
        return head._with_hidden_scale(vectors, context, columns.fold, n_numbers)

    def _with_equal_means(self, vectors: NDArray[np.float32], context: NDArray[np.float32]) -> Self:
        """Give all heads the same mean answers on some rows: other ones would tell a row's fold.

        Means over heads stay as they are.
        """
        if self.n_heads == 1:
            return self
        total = 0.0
        for at in gen_batches(len(vectors), _BLOCK):
            state = np.hstack([vectors[at], context[at]]).astype(np.float64)
            total = total + self._forward(state, len(self.weights) - 1, slice(None)).sum(axis=1)
        mean: NDArray[np.float64] = np.broadcast_to(
            total / len(vectors), self.weights[-1].shape[:2]
        )
        *biases, last = self.biases
        mean_raw = np.einsum("kh,kho->ko", mean, self.weights[-1]) + last
        return replace(
            self,
            biases=(*biases, last + mean_raw.mean(axis=0) - mean_raw),
            shift=mean.mean(axis=0) - mean if self.n_hidden else None,
        )

    def _with_hidden_scale(
        self,
        vectors: NDArray[np.float32],
        context: NDArray[np.float32],
        fold: NDArray[np.int64],
        n_numbers: int,
    ) -> Self:
        """Scale the last hidden layer to a few times the total variance of what enters the head.

        Rectified units commute with positive factors, so that the next layer can undo the scaling.
        `vectors` and `context` are those of some rows, and `n_numbers` of the latter vary. Units
        that hardly ever move are taken out: standardised by the next model, they would be enormous
        in the first row that moves them. What they add in the mean goes into the output's offset.
        """
        if self.n_hidden == 0:
            return self
        wanted = HIDDEN_VARIANCE * (float(vectors.var(axis=0).sum()) + n_numbers)
        hidden = np.empty((len(vectors), self.n_hidden))
        for at in gen_batches(len(vectors), _BLOCK):
            hidden[at] = self.hidden(vectors[at], context[at], fold[at])
        mean = hidden.mean(axis=0)
        hidden -= mean
        hidden *= hidden
        variances = hidden.mean(axis=0)
        present = float(variances.sum())
        if not (wanted > 0 and present > NO_VARIANCE * float((mean**2).sum())):
            return self
        moving = variances > NO_MOTION**2 * variances.mean()
        scale = np.where(moving, np.sqrt(wanted / present), 0.0)
        *weights, last, output = self.weights
        *biases, bias, output_bias = self.biases
        shift = np.zeros((self.n_heads, self.n_hidden)) if self.shift is None else self.shift
        lost = np.where(moving, 0.0, mean - shift)
        output_bias = output_bias + np.einsum("kh,kho->ko", lost, output)
        return replace(
            self,
            weights=(*weights, last * scale, output / np.where(moving, scale, 1.0)[:, None]),
            biases=(*biases, bias * scale, output_bias),
            shift=None if self.shift is None else self.shift * scale,
        )
