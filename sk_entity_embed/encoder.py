"""EntityEmbeddingEncoder: categorical columns to dense vectors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import TransformerMixin, _fit_context
from sklearn.utils import Tags
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import check_array, check_is_fitted

from sk_entity_embed._base import BaseEntityEmbedding
from sk_entity_embed.exceptions import InvalidDataError, InvalidParameterError
from sk_entity_embed.input.columns import Table
from sk_entity_embed.learning.problem import StartingPoint
from sk_entity_embed.model import CodedRows
from sk_entity_embed.preparation import Columns

__all__ = ["EntityEmbeddingEncoder"]


class EntityEmbeddingEncoder(TransformerMixin, BaseEntityEmbedding):
    """DOC"""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseEntityEmbedding._parameter_constraints,
        "remainder": [StrOptions({"drop", "passthrough"})],
        "output": [StrOptions({"embedding", "hidden", "both"})],
        "handle_unknown": [StrOptions({"learned", "zero", "nan", "error"})],
    }

    def __init__(
        self,
        categorical_features: str | Sequence[Any] | Callable[[Any], Any] = "auto",
        *,
        remainder: str = "drop",
        dimensions: int | str | Mapping[Any, int] | Callable[[int], int] = "auto",
        output: str = "embedding",
        target_type: str = "auto",
        loss: str = "auto",
        class_weight: Mapping[Any, float] | Sequence[Any] | str | None = None,
        head: str = "mlp",
        hidden_layer_sizes: int | Sequence[int] = (128, 64),
        dropout: float = 0.1,
        cross_fit: bool = True,
        cv: Any = 5,
        min_frequency: int | float | None = None,
        max_categories: int | None = None,
        unknown_rate: float = 0.02,
        handle_unknown: str = "learned",
        handle_missing: str = "category",
        init: Any = "normal",
        freeze: bool | Collection[str] = False,
        max_iter: int = 20,
        batch_size: int | str = "auto",
        learning_rate_init: float = 2e-3,
        alpha: float = 1e-2,
        early_stopping: bool = True,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 4,
        tol: float = 1e-4,
        warm_start: bool = False,
        device: str = "auto",
        random_state: int | np.random.RandomState | None = None,
        verbose: int | bool = 0,
    ) -> None:
        self.categorical_features = categorical_features
        self.remainder = remainder
        self.dimensions = dimensions
        self.output = output
        self.target_type = target_type
        self.loss = loss
        self.class_weight = class_weight
        self.head = head
        self.hidden_layer_sizes = hidden_layer_sizes
        self.dropout = dropout
        self.cross_fit = cross_fit
        self.cv = cv
        self.min_frequency = min_frequency
        self.max_categories = max_categories
        self.unknown_rate = unknown_rate
        self.handle_unknown = handle_unknown
        self.handle_missing = handle_missing
        self.init = init
        self.freeze = freeze
        self.max_iter = max_iter
        self.batch_size = batch_size
        self.learning_rate_init = learning_rate_init
        self.alpha = alpha
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.warm_start = warm_start
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        groups: ArrayLike | None = None,
    ) -> Self:
        """Learn the vectors.

        To encode the training rows themselves use :meth:`fit_transform`: ``fit(X, y)`` followed
        by ``transform(X)`` gives every training row vectors that have seen its own target.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training rows, in any of the containers listed above.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Target.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights. They enter losses, target scaling and the canonical
            coordinates, not `min_frequency`. Rows of zero weight are dropped before anything is
            learned.
        groups : array-like of shape (n_samples,), default=None
            Group of each row; an integer `cv` never divides a group between folds, nor between
            training and validation.

        Returns
        -------
        EntityEmbeddingEncoder
            Fitted encoder.

        Raises
        ------
        ValueError
            If `X` or `y` hold what cannot be learned from, or a parameter does not fit them.
        TypeError
            If a container or the type of a column is not supported.
        """
        self._fit_encoder(X, y, sample_weight, groups)
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    def fit_transform(  # type: ignore[override]
        self,
        X: Any,
        y: ArrayLike,
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
            Target.
        sample_weight : array-like of shape (n_samples,), default=None
            See :meth:`fit`. Rows of zero weight get the vectors of :meth:`transform`.
        groups : array-like of shape (n_samples,), default=None
            See :meth:`fit`.

        Returns
        -------
        ndarray of float32 of shape (n_samples, n_features_out)
            C-contiguous; or the container chosen by ``set_output``.
        """
        table = self._fit_encoder(X, y, sample_weight, groups)
        rows = self._model.code(table, refuse_unknown=False, missing_is_error=False)
        return self._encode(rows, table, fold=self.fold_)

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
        table = self._read(X)
        rows = self._model.code(
            table,
            refuse_unknown=self._policies["handle_unknown"] == "error",
            missing_is_error=self._policies["handle_missing"] == "error",
        )
        return self._encode(rows, table, fold=None)

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
            exactly their category. Unknown categories are None, missing ones NaN and infrequent
            ones ``"infrequent_sklearn"``. Of dtype object unless all columns are numeric.

        Raises
        ------
        ValueError
            If the encoder's output has no embeddings (``output="hidden"``) or `X` has another
            width.
        """
        check_is_fitted(self)
        names = self.get_feature_names_out()
        if self._policies["output"] == "hidden":
            raise InvalidParameterError(
                "inverse_transform needs the embeddings in the output; use output='embedding' or "
                "'both'."
            )
        array = check_array(X, dtype=np.float32, ensure_all_finite=False, input_name="X")
        if array.shape[1] != len(names):
            raise InvalidDataError(
                f"X has {array.shape[1]} columns, but the encoder's output has {len(names)}."
            )
        model, edges = self._model, self._model.edges
        unknown = self._unknown or [t.vectors[0] for t in model.tables]
        columns = {
            position: table.nearest(
                array[:, edges[j] : edges[j + 1]], table.with_unknown(unknown[j])
            )
            for j, (position, table) in enumerate(zip(model.categorical, model.tables, strict=True))
        }
        if self._policies["remainder"] == "passthrough":
            passed = array[:, array.shape[1] - len(model.context) :]
            columns |= {position: passed[:, k] for k, position in enumerate(model.context)}
        ordered = [columns[position] for position in sorted(columns)]
        dtypes = {c.dtype for c in ordered}
        dtype = np.result_type(*dtypes) if all(d.kind in "iuf" for d in dtypes) else object
        out = np.empty(
            (len(array), len(ordered)), dtype=dtypes.pop() if len(dtypes) == 1 else dtype
        )
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
            self._policies,
        )
        return np.array(names, dtype=object)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []  # float32 out, whatever comes in
        return tags

    def _fit_encoder(self, X: Any, y: Any, sample_weight: Any, groups: Any) -> Table:
        if self.output != "embedding" and not self._hidden_sizes():
            raise InvalidParameterError(
                f"output={self.output!r} needs a hidden layer, but hidden_layer_sizes=()."
            )
        table = self._fit(X, y, sample_weight, groups)
        # Policies become data here: later changes of the parameters wait for the next fit.
        self._policies = self._read_policies()
        self._unknown = None
        if self.handle_unknown == "zero":
            self._unknown = [t.centre for t in self._model.tables]
        elif self.handle_unknown == "nan":
            self._unknown = [np.full_like(t.centre, np.nan) for t in self._model.tables]
        return table

    def _read_policies(self) -> dict[str, str]:
        names = ("output", "remainder", "handle_unknown", "handle_missing")
        return {name: getattr(self, name) for name in names}

    def _check_start(self, start: StartingPoint, columns: Columns, table: Table) -> None:
        """Refuse output names that collide, before any training."""
        sizes = self._hidden_sizes()
        names = _feature_names(
            [c.name for c in table.columns],
            columns.categorical,
            [t.shape[2] for t in start.tables],
            columns.context,
            sizes[-1] if sizes else 0,
            self._read_policies(),
        )
        repeated = [name for name, count in Counter(names).items() if count > 1]
        if repeated:
            raise InvalidDataError(
                f"Output columns would share the names {repeated}; rename the columns of X they "
                "come from."
            )

    def _encode(
        self, rows: CodedRows, table: Table, fold: NDArray[np.int64] | None
    ) -> NDArray[np.float32]:
        """Fill the output: vectors, hidden layer, numbers passed through."""
        model, policies = self._model, self._policies
        n_vectors = model.edges[-1] if policies["output"] != "hidden" else 0
        n_hidden = model.head.n_hidden if policies["output"] != "embedding" else 0
        n_passed = rows.numbers.shape[1] if policies["remainder"] == "passthrough" else 0
        out = np.empty((table.n_rows, n_vectors + n_hidden + n_passed), dtype=np.float32)
        if n_vectors:
            model.embed(rows.codes, out[:, :n_vectors], fold=fold, unknown=self._unknown)
        if n_hidden:
            model.hidden(rows, out[:, n_vectors : n_vectors + n_hidden], fold=fold)
        if n_passed:
            out[:, n_vectors + n_hidden :] = rows.numbers
        return out


def _feature_names(
    names: Sequence[str],
    categorical: Sequence[int],
    widths: Sequence[int],
    context: Sequence[int],
    n_hidden: int,
    policies: Mapping[str, str],
) -> list[str]:
    """Names of the output columns, in order."""
    out: list[str] = []
    if policies["output"] != "hidden":
        for position, width in zip(categorical, widths, strict=True):
            out += [f"{names[position]}_{i}" for i in range(width)]
    if policies["output"] != "embedding":
        out += [f"hidden_{i}" for i in range(n_hidden)]
    if policies["remainder"] == "passthrough":
        out += [names[position] for position in context]
    return out
