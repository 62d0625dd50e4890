"""Vectors of rows: what the encoder and the predictors give by ``transform``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import TransformerMixin, _fit_context
from sklearn.utils import Tags
from sklearn.utils.validation import check_array, check_is_fitted

from sk_entity_embed._base import INTERRUPTED_EARLY, BaseEntityEmbedding
from sk_entity_embed.exceptions import InvalidDataError, InvalidParameterError
from sk_entity_embed.input.columns import Table
from sk_entity_embed.input.context import stack_numbers
from sk_entity_embed.input.vocabulary import MISSING, UNKNOWN
from sk_entity_embed.learning.problem import StartingPoint
from sk_entity_embed.model import CodedRows, EmbeddingModel
from sk_entity_embed.preparation import Columns
from sk_entity_embed.tables import Replaced, vector_names


class EmbeddingTransformer(TransformerMixin, BaseEntityEmbedding):
    """Fit, look-up of vectors and the way back to categories.

    Subclasses without the parameters `output` and `remainder` give the columns' vectors only.
    """

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: Any,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        groups: ArrayLike | None = None,
    ) -> Self:
        """Learn the vectors and the network above them.

        To encode the training rows themselves use :meth:`fit_transform`: ``fit(X, y)`` followed
        by ``transform(X)`` gives every training row vectors that have seen its own target.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training rows, in any of the containers listed above.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Target. It is required.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights. They enter losses, target scaling and the canonical
            coordinates, not `min_frequency`. Rows of zero weight are dropped before anything is
            learned.
        groups : array-like of shape (n_samples,), default=None
            Group of each row; an integer `cv` never divides a group between folds, nor between
            training and validation.

        Returns
        -------
        Self
            The fitted estimator.

        Raises
        ------
        ValueError
            If `X` or `y` hold what cannot be learned from, or a parameter does not fit them.
        TypeError
            If a container or the type of a column is not supported.
        KeyboardInterrupt
            If training is interrupted before the end of its first epoch and there is no earlier
            fit.

        Warns
        -----
        ColumnRoleWarning
            If ``categorical_features="auto"`` may have taken ids for quantities or the other way
            round.
        EmptyColumnWarning
            If columns have only missing values.
        FoldsReducedWarning
            If there are too few rows or groups for `cv` folds.
        LeakageWarning
            If rows have copies in other folds, or ``warm_start`` goes on with other rows.
        RareClassWarning
            If classes have fewer members than there are folds.
        UnmatchedCategoriesWarning
            If few vectors of `init` belong to categories, or ``warm_start`` finds none it knows.

        Notes
        -----
        An error leaves the estimator as it was before. Only warnings about a training that has
        ended come after its result is in place. Ctrl-C ends the training
        early: the best state so far is kept, with a warning. Before the end of the first epoch
        there is none, and an earlier fit stays, with a warning, too.
        """
        if self._fit(X, y, sample_weight, groups) is None:
            self._keep_earlier()
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    def fit_transform(
        self,
        X: Any,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        groups: ArrayLike | None = None,
    ) -> NDArray[np.float32]:
        """Learn the vectors and encode the training rows without leakage.

        With `cross_fit`, each row gets its vectors from the tables of its own fold, which never
        saw its target; the result differs from ``fit(X, y).transform(X)``.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training rows.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Target. It is required.
        sample_weight : array-like of shape (n_samples,), default=None
            See :meth:`fit`. Rows of zero weight get the vectors of :meth:`transform`.
        groups : array-like of shape (n_samples,), default=None
            See :meth:`fit`.

        Returns
        -------
        ndarray of float32 of shape (n_samples, n_features_out)
            C-contiguous; or the container chosen by ``set_output``.

        Raises
        ------
        ValueError, TypeError
            As :meth:`fit`.
        KeyboardInterrupt
            If training is interrupted before the end of its first epoch. An earlier fit stays, but
            has no vectors of these rows that are out of fold.
        """
        table = self._fit(X, y, sample_weight, groups)
        if table is None:  # vectors of an earlier fit would not be out of fold
            raise KeyboardInterrupt(f"{INTERRUPTED_EARLY}; there are no vectors of these rows.")
        rows = self._model.code(table, refuse_unknown=False, missing_is_error=False)
        out = self._encode(rows, fold=self.fold_)
        left_out = np.empty(0, int) if self.fold_ is None else np.flatnonzero(self.fold_ < 0)
        if len(left_out):
            out[left_out] = self._encode(rows.take(left_out), fold=None)
        return out

    def transform(self, X: Any) -> NDArray[np.float32]:
        """Encode new rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows with the columns of fit, in any supported container.

        Returns
        -------
        ndarray of float32 of shape (n_samples, n_features_out)
            C-contiguous; or the container chosen by ``set_output``.

        Raises
        ------
        ValueError
            If columns are missing, added or out of order, a context number is infinite, or a
            category is unknown and ``handle_unknown="error"``.
        """
        return self._encode(self._code(X), fold=None)

    def inverse_transform(self, X: Any) -> NDArray[Any]:
        """Category of the nearest vector, column by column.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features_out)
            Encoded rows, from :meth:`transform` or :meth:`fit_transform` or near them.

        Returns
        -------
        ndarray of shape (n_samples, n_columns)
            The categorical columns, and those passed through, in the order of the input; context
            columns that were dropped cannot be recovered. Vectors that came from a table give
            exactly their category, or None where that table never met it. Unknown categories are
            None, missing ones NaN and infrequent ones ``"infrequent_sklearn"``. A vector of NaN is
            that of missing cells under ``handle_missing="nan"``; with ``handle_unknown="nan"`` it
            may be either, and is None. Of dtype object unless all columns have one numeric dtype.

        Raises
        ------
        ValueError
            If the output has no embeddings (``output="hidden"``), a column holds lists, or `X`
            has another width.
        """
        check_is_fitted(self)
        names = self.get_feature_names_out()
        if self._policies["output"] == "hidden":
            raise InvalidParameterError(
                "inverse_transform needs the embeddings in the output; use output='embedding' or "
                "'both'."
            )
        for table, pooler in zip(self._model.tables, self._model.pooling, strict=True):
            if pooler is not None:
                raise InvalidParameterError(
                    "inverse_transform cannot take pooled lists apart, but column "
                    f"{table.vocabulary.name!r} holds lists."
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
        model, edges = self._model, self._model.edges
        columns = {
            position: table.nearest(array[:, start:end], replaced)
            for position, table, replaced, start, end in zip(
                model.categorical, model.tables, self._replaced(), edges, edges[1:], strict=False
            )
        }
        if self._policies["remainder"] == "passthrough":
            passed = array[:, array.shape[1] - len(model.context) :]
            columns |= {position: passed[:, k] for k, position in enumerate(model.context)}
        ordered = [columns[position] for position in sorted(columns)]
        dtypes = {c.dtype for c in ordered}
        dtype = dtypes.pop() if len(dtypes) == 1 else object
        out = np.empty((len(array), len(ordered)), dtype=dtype)
        for k, column in enumerate(ordered):
            out[:, k] = column
        return out

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> NDArray[np.object_]:
        """Names of the output columns.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the input columns; must equal ``feature_names_in_`` where that exists.

        Returns
        -------
        ndarray of object of shape (n_features_out,)
            ``carrier_0``, ``carrier_1``, ..., ``hidden_0``, ..., then passthrough names.
        """
        check_is_fitted(self)
        model = self._model
        names = _feature_names(
            self._check_feature_names(input_features),
            model.categorical,
            [t.width for t in model.tables],
            model.context,
            model.head.n_hidden,
            any(t.biased for t in model.tables),
            self._policies,
        )
        return np.array(names, dtype=object)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []  # float32 out, whatever comes in
        return tags

    def _check_parameters(self) -> None:
        """Refuse an output that the network does not have."""
        output = self._read_policies()["output"]
        if output != "embedding" and (self.head != "mlp" or not self._hidden_sizes()):
            lacks = "hidden_layer_sizes=()" if self.head == "mlp" else f"head={self.head!r}"
            raise InvalidParameterError(f"output={output!r} needs a hidden layer, but {lacks}.")

    def _state(self, model: EmbeddingModel, *found: Any) -> dict[str, Any]:
        # Policies become data here: later changes of the parameters wait for the next fit.
        unknown = None
        if self.handle_unknown == "zero":
            unknown = [t.centre for t in model.tables]
        elif self.handle_unknown == "nan":
            unknown = [np.full_like(t.centre, np.nan) for t in model.tables]
        policies = {"_policies": self._read_policies(), "_unknown": unknown}
        return {**super()._state(model, *found), **policies}

    def _read_policies(self) -> dict[str, str]:
        return {
            "output": getattr(self, "output", "embedding"),
            "remainder": getattr(self, "remainder", "drop"),
            "handle_unknown": self.handle_unknown,
            "handle_missing": self.handle_missing,
        }

    def _check_start(self, start: StartingPoint, columns: Columns, table: Table) -> None:
        """Refuse names that collide and numbers that cannot be passed on, before any training."""
        context = [table.columns[j] for j in columns.context]
        numbers = stack_numbers(context, table.n_rows)  # of rows of zero weight, too
        policies = self._read_policies()
        if policies["remainder"] == "passthrough":
            _check_float32(numbers, [c.name for c in context])
        sizes = self._hidden_sizes()
        names = _feature_names(
            [c.name for c in table.columns],
            columns.categorical,
            [t.shape[2] for t in start.tables],
            columns.context,
            sizes[-1] if sizes and self.head == "mlp" else 0,
            start.biased,
            policies,
        )
        repeated = [name for name, count in Counter(names).items() if count > 1]
        if repeated:
            raise InvalidDataError(
                f"Output columns would share the names {repeated}; rename the columns of X they "
                "come from."
            )

    def _replaced(self, *, unknown: bool = True) -> list[Replaced]:
        """Vectors given in place of rows of each column's table, `unknown` ones among them or not.

        Out of fold the unknown vector stays: it stands for categories that fit has met.
        """
        replaced: list[dict[int, NDArray[np.float32]]] = [{} for _ in self._model.tables]
        if unknown and self._unknown is not None:
            replaced = [{UNKNOWN: vector} for vector in self._unknown]
        if self._policies["handle_missing"] == "nan":
            for rows, table in zip(replaced, self._model.tables, strict=True):
                rows[MISSING] = np.full_like(table.centre, np.nan)
        return list(replaced)

    def _code(self, X: Any) -> CodedRows:
        """Read and look up new rows, by the policies of fit."""
        table = self._read(X)
        rows: CodedRows = self._model.code(
            table,
            refuse_unknown=self._policies["handle_unknown"] == "error",
            missing_is_error=self._policies["handle_missing"] == "error",
            tell_unknown=True,
        )
        return rows

    def _encode(self, rows: CodedRows, fold: NDArray[np.int64] | None) -> NDArray[np.float32]:
        """Fill the output: vectors, hidden layer, numbers passed through."""
        model, policies = self._model, self._policies
        n_vectors = model.edges[-1] if policies["output"] != "hidden" else 0
        n_hidden = model.head.n_hidden if policies["output"] != "embedding" else 0
        n_passed = rows.numbers.shape[1] if policies["remainder"] == "passthrough" else 0
        out = np.empty((len(rows), n_vectors + n_hidden + n_passed), dtype=np.float32)
        if n_vectors:
            replaced = self._replaced(unknown=fold is None)
            model.embed(rows.codes, out[:, :n_vectors], fold=fold, replaced=replaced)
        if n_hidden:
            model.hidden(rows, out[:, n_vectors : n_vectors + n_hidden], fold=fold)
        if n_passed:
            names = self._check_feature_names(None)
            _check_float32(rows.numbers, [names[j] for j in model.context])
            out[:, n_vectors + n_hidden :] = rows.numbers
        return out


def _check_float32(numbers: NDArray[np.float64], names: Sequence[str]) -> None:
    """Refuse numbers that would become infinite in the output."""
    too_large = (np.abs(numbers) > np.finfo(np.float32).max).any(axis=0)
    if too_large.any():
        raise InvalidDataError(
            f"Column {names[int(np.argmax(too_large))]!r} has numbers beyond the range of float32, "
            "the type of the output; scale it, or use remainder='drop'."
        )


def _feature_names(
    names: Sequence[str],
    categorical: Sequence[int],
    widths: Sequence[int],
    context: Sequence[int],
    n_hidden: int,
    biased: bool,
    policies: Mapping[str, str],
) -> list[str]:
    """Names of the output columns, in order."""
    out: list[str] = []
    if policies["output"] != "hidden":
        for position, width in zip(categorical, widths, strict=True):
            out += vector_names(names[position], width, biased=biased)
    if policies["output"] != "embedding":
        out += [f"hidden_{i}" for i in range(n_hidden)]
    if policies["remainder"] == "passthrough":
        out += [names[position] for position in context]
    return out
