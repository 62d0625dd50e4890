"""What a fitted estimator answers: vectors of rows, the way back, and names of the output."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import TransformerMixin
from sklearn.utils.validation import check_array, check_is_fitted

from sk_entity_embed._state import FittedState
from sk_entity_embed.exceptions import InvalidDataError, InvalidParameterError


class AnsweringEstimator(TransformerMixin, FittedState):
    """Look-up of vectors by the model of a fit, and the way back."""

    def transform(self, X: Any) -> NDArray[np.float32]:
        """Encode new rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows with the columns of fit, in any supported container.

        Returns
        -------
        ndarray of float32 of shape (n_samples, n_features_out)
            Encoded rows, C-contiguous, or in the container chosen with ``set_output``.

        Raises
        ------
        ValueError
            If columns are missing, added or in another order, a context number is infinite, a
            category is unknown and ``handle_unknown="error"``, or a cell is missing and
            ``handle_missing="error"``.

        See Also
        --------
        fit_transform : Encode the training rows, without leakage.
        transform_batches : Encode rows that need not fit in memory.

        Examples
        --------
        >>> from sk_entity_embed import EntityEmbeddingEncoder
        >>> X, y = [["Lima"], ["Oslo"], ["Rome"]] * 40, [21.0, -5.0, 12.0, 23.0, -3.0, 14.0] * 20
        >>> encoder = EntityEmbeddingEncoder(dimensions=2, max_iter=30, random_state=0)
        >>> encoder = encoder.fit(X, y).set_output(transform="pandas")
        >>> encoder.transform([["Oslo"], ["Rome"], ["Oslo"], ["Atlantis"]]).round(1)
           x0_0  x0_1
        0   1.1  -0.3
        1  -1.0  -0.4
        2   1.1  -0.3
        3   0.0  -0.3
        """
        rows = self._code(X)  # first, for it says whether there is a fit
        return self._model.transform(rows)

    def inverse_transform(self, X: Any) -> NDArray[Any]:
        """Return the category of the nearest vector, column by column.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features_out)
            Encoded rows from :meth:`transform` or :meth:`fit_transform`, or rows near them.

        Returns
        -------
        ndarray of shape (n_samples, n_columns)
            Categories of the embedded columns, and the numbers that were passed through, in the
            order of the input. Context columns that were dropped cannot be recovered, and pairs of
            columns add nothing. The dtype is object unless all columns have one numeric dtype.

            A vector that came from a table gives exactly its category, or None if that table has
            not seen the category. Training rows of several members have mean vectors, which give
            the nearest category. Unknown categories are None, missing ones NaN and infrequent
            ones ``"infrequent_sklearn"``. A vector of NaN means a missing cell if
            ``handle_missing="nan"``. With ``handle_unknown="nan"`` it could be a missing or an
            unknown cell, and gives None.

        Raises
        ------
        ValueError
            If the output has no embeddings (``output="hidden"``), a column holds lists, or `X`
            has another number of columns.

        Examples
        --------
        >>> from sk_entity_embed import EntityEmbeddingEncoder
        >>> X, y = [["Lima"], ["Oslo"], ["Rome"]] * 40, [21.0, -5.0, 12.0, 23.0, -3.0, 14.0] * 20
        >>> encoder = EntityEmbeddingEncoder(dimensions=2, max_iter=30, random_state=0)
        >>> encoder = encoder.fit(X, y)
        >>> vectors = encoder.transform([["Rome"], ["Oslo"]])
        >>> encoder.inverse_transform(vectors + 0.01)
        array([['Rome'],
               ['Oslo']], dtype=object)
        """
        check_is_fitted(self)
        names = self.get_feature_names_out()
        model = self._model
        if not model.output.vectors:
            raise InvalidParameterError(
                "inverse_transform needs the embeddings in the output; use output='embedding', "
                "'both' or 'stacking'."
            )
        if lists := [t.vocabulary.name for t in model.tables if t.vocabulary.is_list]:
            raise InvalidParameterError(
                "inverse_transform cannot split pooled lists into their items, but column "
                f"{lists[0]!r} holds lists."
            )
        array = check_array(
            X,
            dtype=np.float32,
            ensure_all_finite=False,
            ensure_min_features=min(1, len(names)),
            input_name="X",
        )
        if array.shape[1] != len(names):
            raise InvalidDataError(
                f"X has {array.shape[1]} columns, but the encoder's output has {len(names)}."
            )
        blocks = zip(model.categorical, model.tables, pairwise(model.edges), strict=False)
        columns = {
            position: table.nearest(array[:, start:end]) for position, table, (start, end) in blocks
        }
        if model.output.numbers:
            passed = array[:, array.shape[1] - len(model.context) :]
            columns |= {position: passed[:, k] for k, position in enumerate(model.context)}
        dtypes = {c.dtype for c in columns.values()}
        dtype = dtypes.pop() if len(dtypes) == 1 else object
        out = np.empty((len(array), len(columns)), dtype=dtype)
        for k, position in enumerate(sorted(columns)):
            out[:, k] = columns[position]
        return out

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> NDArray[np.object_]:
        """Return the names of the output columns.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the input columns. They must equal ``feature_names_in_`` if that exists.

        Returns
        -------
        ndarray of object of shape (n_features_out,)
            ``carrier_0``, ``carrier_1``, ... for the vectors, then ``hidden_0``, ... for the hidden
            layer or ``prediction_0``, ... for predictions, then the names of columns that are
            passed through.

        Raises
        ------
        ValueError
            If `input_features` are not the names of the columns of fit.

        Examples
        --------
        >>> from sk_entity_embed import EntityEmbeddingEncoder
        >>> X, y = [["Lima", 2.5], ["Oslo", 1.5]] * 40, [22.0, -4.0] * 40
        >>> encoder = EntityEmbeddingEncoder(remainder="passthrough", dimensions=2, max_iter=1)
        >>> encoder = encoder.fit(X, y)
        >>> encoder.get_feature_names_out().tolist()
        ['x0_0', 'x0_1', 'x1']
        >>> encoder.get_feature_names_out(["city", "height"]).tolist()
        ['city_0', 'city_1', 'height']
        """
        check_is_fitted(self)
        names = tuple(self._check_feature_names(input_features))
        return np.array(replace(self._model, names=names).output_names(), dtype=object)

    def _check_feature_names(self, input_features: Any) -> list[str]:
        """Names of the input columns, after checking those the user gives."""
        names = getattr(self, "feature_names_in_", None)
        if input_features is None:
            return (
                list(names) if names is not None else [f"x{j}" for j in range(self.n_features_in_)]
            )
        given = np.asarray(input_features, dtype=object)
        if names is not None and not np.array_equal(names, given):
            raise InvalidDataError("input_features is not equal to feature_names_in_")
        if len(given) != self.n_features_in_:
            raise InvalidDataError(
                "input_features should have length equal to number of features "
                f"({self.n_features_in_}), got {len(given)}"
            )
        return [str(name) for name in given]
