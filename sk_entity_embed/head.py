"""The layers above the tables, as NumPy matrices: inference needs no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class MLPHead:
    """A multi-layer perceptron with rectified hidden layers.

    Attributes
    ----------
    weights : tuple of ndarray of float64 of shape (n_in, n_out)
        One matrix a layer; the last one gives the raw outputs.
    biases : tuple of ndarray of float64 of shape (n_out,)
        One vector a layer.
    """

    weights: tuple[NDArray[np.float64], ...]
    biases: tuple[NDArray[np.float64], ...]

    @property
    def n_hidden(self) -> int:
        """Width of the last hidden layer; 0 if there is none."""
        return self.weights[-1].shape[0] if len(self.weights) > 1 else 0

    @property
    def n_outputs(self) -> int:
        """Number of raw outputs."""
        return len(self.biases[-1])

    def hidden(
        self, vectors: NDArray[np.float32], context: NDArray[np.float32]
    ) -> NDArray[np.float64]:
        """The last hidden layer, after its activation.

        Parameters
        ----------
        vectors : ndarray of float32 of shape (n_samples, n_vectors)
            The columns' vectors side by side.
        context : ndarray of float32 of shape (n_samples, n_context)
            Scaled numbers.

        Returns
        -------
        ndarray of float64 of shape (n_samples, n_hidden)
            Sums run in float64, so that, rounded to float32, a row's result does not depend on
            the rows beside it.
        """
        return self._forward(vectors, context, len(self.weights) - 1)

    def raw(
        self, vectors: NDArray[np.float32], context: NDArray[np.float32]
    ) -> NDArray[np.float64]:
        """Raw outputs of shape (n_samples, n_outputs), before any link function."""
        return self._forward(vectors, context, len(self.weights))

    def _forward(
        self, vectors: NDArray[np.float32], context: NDArray[np.float32], n_layers: int
    ) -> NDArray[np.float64]:
        state = np.hstack([vectors, context]).astype(np.float64)
        last = len(self.weights) - 1
        for i in range(n_layers):
            state = state @ self.weights[i] + self.biases[i]
            if i < last:
                np.maximum(state, 0.0, out=state)
        return state


@dataclass(frozen=True, slots=True)
class DotHead:
    """Dot products of all pairs of vectors, a bias for each category and one for all.

    A column's vector ends with the category's bias. With ``v_j`` the axes before it and ``b_j``
    the bias of column j, numbers ``x``, and all other letters parameters, the one output is
    ``intercept + sum_j c_j b_j + sum_{j<k} sum_a w_a v_ja v_ka + u . x``: a factorisation machine
    whose terms have weights of their own.

    Attributes
    ----------
    axes : ndarray of float64 of shape (n_axes,)
        ``w``, never negative.
    bias_weights : ndarray of float64 of shape (n_columns,)
        ``c``.
    context_weights : ndarray of float64 of shape (n_context,)
        ``u``.
    intercept : float
        The bias of all rows.

    References
    ----------
    Rendle, "Factorization machines", ICDM 2010; Koren, Bell & Volinsky, "Matrix factorization
    techniques for recommender systems", Computer 42 (8), 2009.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_entity_embed.head import DotHead
    >>> head = DotHead(np.ones(2), np.ones(2), np.empty(0), 3.0)
    >>> user, movie = [1.0, 0.5, 0.2], [0.4, -2.0, -0.1]
    >>> head.raw(np.array([user + movie]), np.empty((1, 0))).round(6).tolist()
    [[2.5]]
    """

    axes: NDArray[np.float64]
    bias_weights: NDArray[np.float64]
    context_weights: NDArray[np.float64]
    intercept: float

    n_hidden = 0
    n_outputs = 1

    def hidden(
        self, vectors: NDArray[np.float32], context: NDArray[np.float32]
    ) -> NDArray[np.float64]:
        """An array without columns: there is no hidden layer."""
        return np.empty((len(vectors), 0))

    def raw(
        self, vectors: NDArray[np.float32], context: NDArray[np.float32]
    ) -> NDArray[np.float64]:
        """Raw outputs of shape (n_samples, 1), before any link function.

        Parameters
        ----------
        vectors : ndarray of float32 of shape (n_samples, n_columns * (n_axes + 1))
            The columns' vectors side by side, each with its bias last.
        context : ndarray of float32 of shape (n_samples, n_context)
            Scaled numbers.

        Returns
        -------
        ndarray of float64 of shape (n_samples, 1)
        """
        blocks = vectors.astype(np.float64).reshape(len(vectors), len(self.bias_weights), -1)
        axes = blocks[:, :, :-1]
        total = axes.sum(axis=1)
        # The sum over pairs is half of what the squared sum has beyond the squares.
        pairs = 0.5 * (total**2 - (axes**2).sum(axis=1)) @ self.axes
        biases = blocks[:, :, -1] @ self.bias_weights
        out: NDArray[np.float64] = pairs + biases + self.intercept
        if context.shape[1]:
            out = out + context.astype(np.float64) @ self.context_weights
        return out[:, None]


Head: TypeAlias = MLPHead | DotHead
"""What stands above the tables."""
