"""The layers above the tables, as NumPy matrices: inference needs no torch."""

from __future__ import annotations

from dataclasses import dataclass

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
