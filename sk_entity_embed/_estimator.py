"""The base of the public estimators: parameters, fit, vectors of rows and the way back."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self

import numpy as np
import pandas as pd
from numpy.random import RandomState
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from sk_entity_embed._lazy import first_import
from sk_entity_embed._links import API_PAGE
from sk_entity_embed._parameters import ListOfFunctions, fits
from sk_entity_embed._summary.shares import forget, remember_codes
from sk_entity_embed.exceptions import (
    InvalidDataError,
    InvalidParameterError,
    LeakageWarning,
    TrainingInterruptedWarning,
)
from sk_entity_embed.fitting.building import Member, build_member, build_model
from sk_entity_embed.fitting.checkpoints import Checkpoints, checkpoints_in, data_marks
from sk_entity_embed.fitting.initialization import starting_point
from sk_entity_embed.fitting.interactions import choose_pairs
from sk_entity_embed.fitting.options import (
    RULES,
    max_iter,
    min_iter,
    n_heads,
    resolve_max_length,
    resolve_pooling,
    rows_a_step,
)
from sk_entity_embed.fitting.outcome import (
    honest_rows,
    record_of,
    warn_of_budget,
    warn_of_training,
)
from sk_entity_embed.fitting.preparation import (
    CheckedInput,
    EncodedColumns,
    FoldAssignment,
    Seeds,
    assign_rows,
    check_input,
    encode_columns,
    resolve_link,
    training_rows,
)
from sk_entity_embed.fitting.warm_start import check_continuation, continued_point, fingerprint
from sk_entity_embed.input.columns import read_table
from sk_entity_embed.input.duplicates import check_duplicates
from sk_entity_embed.input.folds import is_integer, warn_of_rare_classes
from sk_entity_embed.input.messages import shown, warn
from sk_entity_embed.input.roles import check_roles
from sk_entity_embed.input.selection import select_categorical
from sk_entity_embed.input.table import Table
from sk_entity_embed.input.target import Target, TargetKind
from sk_entity_embed.learning.problem import (
    Floats,
    StartingPoint,
    Tell,
    TrainingConfig,
    TrainingResult,
    TrainingRows,
)
from sk_entity_embed.model.fitted import (
    CodedRows,
    EmbeddingModel,
    Output,
    WarmStartState,
    embedded_names,
    output_names,
    output_stems,
    refuse_beyond_float32,
)
from sk_entity_embed.model.heads import HEADS, Head
from sk_entity_embed.model.losses import LOSSES, Link, Scale
from sk_entity_embed.model.poolings import Pooling
from sk_entity_embed.model.record import FitRecord
from sk_entity_embed.model.tables import EmbeddingFrames

if TYPE_CHECKING:
    from sk_entity_embed._summary.summary import Summary

_CONTINUED_ELSEWHERE = (
    "warm_start continues with other rows, folds or categories than the previous fit. All "
    "tables start from the mean table, so rows of the previous fit get vectors that have seen "
    "their targets, also in fit_transform. Encode training rows with a new encoder."
)

_HINT = (
    '<div style="font-size:12px;opacity:.75"><code>summary()</code> shows what was learned.</div>'
)
"""What the picture of a fitted estimator in a notebook ends with."""

_INTERRUPTED_EARLY = "Training was interrupted before the end of its first iteration"

_LARGEST = 1e30
"""Of what training multiplies with: products with it are numbers of its type, float32."""

TARGET_TYPES = {"auto", "continuous", "binary", "multiclass", "multilabel-indicator"}
QUANTITY_LOSSES = {name for name, loss in LOSSES.items() if not loss.of_classes}
CLASS_LOSSES = {*LOSSES} - QUANTITY_LOSSES
CLASS_WEIGHT = [dict, list, StrOptions({"balanced"}), None]


@dataclass(frozen=True, slots=True)
class _TrainingRows:
    """The training rows of a fit for ``fit_transform``: the table, and the rows that took part."""

    table: Table
    kept: NDArray[np.bool_]
    coded: CodedRows
    fold: NDArray[np.int64] | None
    interrupted: bool = False


class _Untrained(NamedTuple):
    """A member before its training."""

    seeds: Seeds
    folds: FoldAssignment
    tables: list[Floats]
    start: StartingPoint


@dataclass(frozen=True, slots=True)
class _Trained:
    """Members, what their trainings told, and the table of each row, of shape (n_used, n_members).

    Tables of all members are counted through; None stands for rows that are not in memory. Of a
    training that was interrupted in its first iteration there is a result alone. Rows that the
    first member has not learned from, if there are any, judge its columns.
    """

    members: list[Member]
    results: list[TrainingResult]
    fold: NDArray[np.int64] | None
    judged: TrainingRows | None


class EmbeddingEstimator(TransformerMixin, BaseEstimator):
    """Fit of the cross-fitted embedding network, look-up of vectors, and the way back.

    Subclasses declare the parameters in their ``__init__``, as scikit-learn requires. They may have
    `output`, `remainder`, `y_range`, `target_type`, `loss` and `class_weight` among them, or say
    how ``y`` is read in :meth:`_target_options`. Beside parameters and public attributes a fitted
    estimator has its ``_model`` and its ``_record`` alone.
    """

    _needs_categories: ClassVar[bool] = True
    """Whether at least one column has to be embedded."""
    _model: EmbeddingModel
    _record: FitRecord
    if TYPE_CHECKING:  # What a fit sets, for type checkers.
        best_iteration_: int
        categorical_features_: list[str]
        category_counts_: dict[str, NDArray[np.int64]]
        category_target_means_: dict[str, NDArray[np.float64]]
        classes_: NDArray[Any] | None
        dimensions_: dict[str, int]
        feature_names_in_: NDArray[np.object_]
        fold_: NDArray[np.int64] | None
        infrequent_categories_: dict[str, NDArray[Any] | None]
        loss_curve_: NDArray[np.float64]
        n_features_in_: int
        n_iter_: int
        target_type_: TargetKind
        validation_loss_curve_: NDArray[np.float64] | None

    # Where the HTML that stands for an estimator in a notebook leads.
    _doc_link_module = "sk_entity_embed"
    _doc_link_template = API_PAGE

    def _doc_link_url_param_generator(self) -> dict[str, str]:
        return {"name": type(self).__name__}

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
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

    @fits
    def fit(
        self,
        X: Any,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        groups: ArrayLike | None = None,
    ) -> Self:
        """Learn the vectors and the network above them.

        To encode the training rows themselves, use :meth:`fit_transform`. If you call
        ``fit(X, y)`` and then ``transform(X)``, every training row gets vectors that have seen its
        own target.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training rows, in any of the containers listed above.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Target. It is required.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights. The losses, the scale of the target and the canonical coordinates
            use them; `min_frequency` counts rows without them. Rows of zero weight are dropped
            before anything is learned.
        groups : array-like of shape (n_samples,), default=None
            Group of each row. With an integer `cv`, all rows of a group are in the same fold, and
            either all or none of them are validation rows.

        Returns
        -------
        Self
            The fitted estimator.

        Raises
        ------
        ValueError
            If `X` or `y` hold values that cannot be learned from, or a parameter does not fit the
            data; or if the folder `checkpoint` is in use, or holds the checkpoint of another fit
            or a damaged one.
        TypeError
            If a container or the type of a column is not supported.
        KeyboardInterrupt
            If training is interrupted before the end of its first iteration and the estimator was
            not fitted before.

        Warns
        -----
        CheckpointWarning
            If a checkpoint cannot be written; the fit goes on.
        ColumnRoleWarning
            If ``categorical_features="auto"`` may have taken ids for quantities, or quantities for
            ids.
        EmptyColumnWarning
            If columns have only missing values.
        FoldsReducedWarning
            If there are too few rows or groups for `cv` folds.
        ConvergenceWarning
            If the loss became infinite or NaN, and training returned to an earlier state.
        LeakageWarning
            If rows have copies in other folds, or ``warm_start`` continues with other rows.
        RareClassWarning
            If classes have fewer members than there are folds.
        UnfinishedTrainingWarning
            If `max_iter` ends a training whose validation loss is still falling.
        UnmatchedCategoriesWarning
            If few vectors of `init` belong to categories, or ``warm_start`` finds no category of
            the previous fit.

        See Also
        --------
        fit_transform : Fit, and encode the training rows without leakage.
        fit_batches : Learn from rows that need not fit in memory.
        partial_fit : Learn from one block of rows after another.

        Notes
        -----
        If `fit` raises an error, the estimator stays as it was. If warnings are turned into errors,
        those about a training that has ended come after its result is in place.

        Ctrl-C ends the training early, and you get a warning. The best state so far is kept. Before
        the end of the first iteration there is no such state, so an earlier fit is kept. A
        `checkpoint` stays after Ctrl-C, and the next fit of the same rows continues from it.

        Examples
        --------
        >>> from sk_entity_embed import EntityEmbeddingEncoder
        >>> X, y = [["Lima"], ["Oslo"], ["Rome"]] * 40, [21.0, -5.0, 12.0, 23.0, -3.0, 14.0] * 20
        >>> encoder = EntityEmbeddingEncoder(dimensions=2, max_iter=30, random_state=0)
        >>> encoder.fit(X, y)
        EntityEmbeddingEncoder(dimensions=2, max_iter=30, random_state=0)
        >>> encoder.categories_
        {'x0': array(['Lima', 'Oslo', 'Rome'], dtype=object)}
        >>> encoder.category_counts_
        {'x0': array([40, 40, 40])}
        """
        if self._fit(X, y, sample_weight, groups) is None:
            self._keep_earlier_fit()
        return self

    @fits
    def fit_transform(
        self,
        X: Any,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        groups: ArrayLike | None = None,
    ) -> NDArray[np.float32]:
        """Learn the vectors and encode the training rows without leakage.

        Train your next model on this output. With `cross_fit`, the vectors, the hidden layer and
        the predictions of a row come from the table and the head of its fold, which never saw its
        target (with ``head="dot"``, one head has seen all rows). The result differs from
        ``fit(X, y).transform(X)``.

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
            Encoded rows, C-contiguous, or in the container chosen with ``set_output``.

        Raises
        ------
        ValueError, TypeError
            As :meth:`fit`.
        KeyboardInterrupt
            If training is interrupted before the end of its first iteration. An earlier fit is
            kept, but it has no out-of-fold vectors of these rows.

        See Also
        --------
        transform : Encode new rows.
        fit_transform_batches : The same for rows that need not fit in memory.

        Examples
        --------
        Two training rows of the same city can get different vectors, because they are in different
        folds:

        >>> from sk_entity_embed import EntityEmbeddingEncoder
        >>> X, y = [["Lima"], ["Oslo"], ["Rome"]] * 40, [21.0, -5.0, 12.0, 23.0, -3.0, 14.0] * 20
        >>> encoder = EntityEmbeddingEncoder(dimensions=2, max_iter=30, random_state=0)
        >>> vectors = encoder.fit_transform(X, y)
        >>> vectors.shape
        (120, 2)
        >>> lima = vectors[::3]
        >>> folds = encoder.fold_[::3]
        >>> len(set(folds)), len(set(map(tuple, lima)))
        (5, 5)
        """
        fitted = self._fit(X, y, sample_weight, groups, transforms=True)
        if fitted is None:
            self._keep_earlier_fit(transforms=True)
        assert fitted is not None
        model, coded = self._model, fitted.coded
        own = fitted.fold
        vectors = model.transform(coded) if own is None else model.transform_training(coded, own)
        if fitted.kept.all():
            return vectors
        out = np.empty((len(fitted.kept), vectors.shape[1]), dtype=np.float32)
        out[fitted.kept] = vectors
        others = fitted.table.take(np.flatnonzero(~fitted.kept))
        out[~fitted.kept] = self._model.transform(self._model.code(others, serving=False))
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

    @cached_property
    def categories_(self) -> dict[str, NDArray[Any]]:
        """Categories of each column, NaN last if missing is one; made when first asked for."""
        check_is_fitted(self)
        return _categories_of(self._model)

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = super().__getstate__()
        if "_model" not in state:
            return state
        # What has been told belongs to the fit, and loggers can rarely be pickled.
        return {"categories_": _categories_of(state["_model"]), **state, "callbacks": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__({name: v for name, v in state.items() if name != "categories_"})

    def summary(self, X: Any = None, y: ArrayLike | None = None) -> Summary:
        """What was learned, at a glance.

        For each column it says how many categories there are and how wide their vectors are, how
        many cells are rare, missing or unknown, how much the predictions need the column, and which
        of its frequent categories are near each other. It shows the course of the training, and
        warns of what you may want to change.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), default=None
            Rows with the columns of fit, whose shares of rare, missing and unknown cells are shown.
            By default they are the rows of the last :meth:`transform` or ``predict`` in this
            process, if there were any.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Their target. If given, importances are measured on these rows, which the fit should not
            have seen.

        Returns
        -------
        Summary
            Print it, or let a notebook show it. It has ``to_dict`` and ``to_markdown``.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If the estimator is not fitted.
        ValueError
            If `X` does not have the columns of fit, `y` does not go with the rows or the target of
            fit, or there is a `y` without rows.

        See Also
        --------
        sk_entity_embed.inspection.report : The same as a page of HTML, also of pipelines.

        Notes
        -----
        The importance of a column is how much the loss rises where its vectors, and those of its
        pairs, are replaced by the vector of unknown categories. ``fit`` measures it on some
        of its rows that are out of fold: neither tables nor heads that predict a row have
        learned from it. There are none with ``early_stopping=False`` where one head learns from
        all rows: without `cross_fit`, under ``head="dot"`` or "gru" `pooling`. Give `X` and `y`
        then. Columns that tell the same can replace each other, so that each seems to be worth
        little.

        Examples
        --------
        >>> import numpy as np
        >>> import pandas as pd
        >>> from sk_entity_embed import EntityEmbeddingEncoder
        >>> rng = np.random.default_rng(0)
        >>> X = pd.DataFrame({"city": rng.choice(["Oslo", "Rome", "Lima"], 300)})
        >>> y = X["city"].map({"Oslo": -4.0, "Rome": 16.0, "Lima": 19.0}) + rng.normal(size=300)
        >>> summary = EntityEmbeddingEncoder(random_state=0).fit(X, y).summary()
        >>> print(str(summary).splitlines()[0])
        What EntityEmbeddingEncoder learned from 300 rows
        >>> summary.columns[0].name, summary.columns[0].cardinality
        ('city', 3)
        """
        check_is_fitted(self)
        from sk_entity_embed._summary.gathering import summarize

        return summarize(self, X, y)

    @property
    def embeddings_(self) -> Mapping[str, pd.DataFrame]:
        """Vectors of each categorical column, indexed by category."""
        check_is_fitted(self)
        return EmbeddingFrames(self._model.tables)

    @property
    def biases_(self) -> dict[str, pd.Series]:
        """Bias of each category, by column; there are some under ``head="dot"`` only."""
        check_is_fitted(self)
        tables = self._model.tables
        if not self._model.has_biases:
            raise AttributeError(
                f"{type(self).__name__} has no biases_ with head={self._model.head.name!r}; use "
                "a head that has biases, such as head='dot'."
            )
        return {t.vocabulary.name: t.biases() for t in tables}

    @property
    def interactions_(self) -> dict[tuple[str, str], float]:
        """The pairs of columns that have a table, and the gain of each, in order of choice."""
        check_is_fitted(self)
        names = self.categorical_features_
        pairs = [(names[a], names[b]) for a, b in self._model.crosses]
        return dict(zip(pairs, self._model.gains, strict=True))

    def _html_repr(self) -> str:
        """Return scikit-learn's picture of the estimator; a fitted one says where to look next."""
        picture: str = super()._html_repr()
        return f"{picture}{_HINT}" if hasattr(self, "_model") else picture

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.target_tags.multi_output = True
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        tags.transformer_tags.preserves_dtype = []  # float32 out, whatever comes in
        return tags

    def _fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        groups: Any,
        *,
        transforms: bool = False,
        frame: Any = None,
        beside: Sequence[str] = (),
    ) -> _TrainingRows | None:
        """Fit, and return the rows for ``fit_transform``; None where no whole iteration was run.

        A table that has been read comes with the `frame` it was, or a part of it. Columns `beside`
        the output have names of their own.

        The whole fit is built beside the estimator, which changes by one assignment: whatever is
        raised here, it has either the earlier state or the new one.
        """
        folder, interval = self.checkpoint, self.checkpoint_interval
        with checkpoints_in(folder, interval, self._described()) as kept:
            rows = (X, y, sample_weight, groups)
            return self._fit_kept(kept, *rows, transforms, frame, beside)

    def _fit_kept(
        self,
        kept: Checkpoints | None,
        X: Any,
        y: Any,
        sample_weight: Any,
        groups: Any,
        transforms: bool,
        frame: Any,
        beside: Sequence[str],
    ) -> _TrainingRows | None:
        """Fit, with checkpoints if there are any."""
        self._check_output()
        if self.warm_start and self.n_members > 1:
            raise InvalidParameterError(
                "warm_start=True continues a single training, but `n_members` is "
                f"{self.n_members}; use n_members=1 or warm_start=False."
            )
        decide = Seeds.numbers(self.random_state, self.n_members)
        seeds, *others = Seeds.of(decide if kept is None else kept.seeds(decide))
        given = self._check_input(X, y, sample_weight, groups)
        before = getattr(self, "_model", None) if self.warm_start else None
        if before is not None and before.warm_start is None:
            before = None
        scale = before.scale if before else given.loss.scale(given.target, given.weights)
        link = resolve_link(getattr(self, "y_range", None), given, scale)
        columns = self._encode_columns(given, X if frame is None else frame, before, link)
        drawn = None if before else self._draw_folds(given, columns, seeds)
        columns = self._cross(given, columns, before, drawn, seeds)
        mark = self._fingerprint(given, columns)
        folds, tables, start = self._start(given, columns, before, mark, drawn, seeds)
        self._check_names(tables, columns, given.target.n_outputs, beside)
        if kept is not None:
            kept.check_data(data_marks(given, columns, folds, tables, before))
        output = self._output()
        if not (transforms and (output.reads_head or output.numbers)):  # as large as X
            columns = replace(columns, numbers=np.empty((given.table.n_rows, 0)))
        first = _Untrained(seeds, folds, tables, start)
        members = (
            first if one is seeds else self._another(given, columns, folds, one)
            for one in (seeds, *others)
        )
        trained = self._train(members, given, columns, scale, link, kept)
        if trained is None:
            return None
        self._become(
            replace(
                self._served(build_model(trained.members, columns, scale, link)),
                warm_start=self._warm_start_state(mark, given, folds, start, link),
            ),
            trained,
            given,
            columns,
            kept,
        )
        numbers = columns.numbers if given.kept.all() else columns.numbers[given.kept]
        own = trained.fold if self._cross_fits(columns) else None
        coded, interrupted = CodedRows(columns.codes, numbers), trained.results[-1].interrupted
        return _TrainingRows(given.table, given.kept, coded, own, interrupted)

    def _described(self) -> dict[str, Any]:
        """Return what a checkpoint compares of the estimator."""
        return {"estimator": type(self).__name__, **self.get_params(deep=False)}

    def _keep_earlier_fit(self, *, transforms: bool = False) -> None:
        """Say that a training ended before there was anything to keep."""
        if transforms:  # vectors of an earlier fit would not be out of fold
            raise KeyboardInterrupt(f"{_INTERRUPTED_EARLY}; there are no vectors of these rows.")
        if not hasattr(self, "_model"):
            raise KeyboardInterrupt(f"{_INTERRUPTED_EARLY}; the estimator is not fitted.")
        warn(
            f"{_INTERRUPTED_EARLY}; the estimator keeps its earlier fit.",
            TrainingInterruptedWarning,
        )

    def _served(self, model: EmbeddingModel) -> EmbeddingModel:
        """Return the model that serves as the parameters say."""
        return (
            model.with_output(self._output())
            .with_unknown(self.handle_unknown)
            .with_missing(self.handle_missing)
        )

    def _become(
        self,
        model: EmbeddingModel,
        trained: _Trained,
        given: CheckedInput,
        columns: EncodedColumns,
        kept: Checkpoints | None,
        *,
        removes: bool = True,
        **more: Any,
    ) -> None:
        """Make a finished fit this estimator's, by one assignment; `more` are attributes.

        What was kept of the training is removed, unless somebody else `removes` it.
        """
        fitted = _twin(self)
        validate_data(fitted, given.table.header(), reset=True, skip_check_array=True)
        for name in ("categories_", "_growth", "category_count_errors_"):  # of the fit before
            fitted.__dict__.pop(name, None)
        fitted.__dict__.update(self._attributes(model, trained, given, columns), **more)
        self.__dict__ = fitted.__dict__
        forget(self)
        left = None
        if kept is not None and trained.results[-1].interrupted:
            left = str(kept.folder) if kept.files() else None
        elif kept is not None and removes:
            kept.remove()
        warn_of_training(trained.results, self.n_members, left)
        warn_of_budget(trained.results[0])

    def _train(
        self,
        members: Iterable[_Untrained],
        given: CheckedInput,
        columns: EncodedColumns,
        scale: Scale,
        link: Link,
        kept: Checkpoints | None,
    ) -> _Trained | None:
        """Train one member after the other; None where no whole iteration was run."""
        with first_import("torch"):
            from sk_entity_embed.learning.learn import learn

        found: list[Member] = []
        results: list[TrainingResult] = []
        own: list[NDArray[np.int64]] = []
        judged, n_tables = None, 0
        for i, (seeds, folds, tables, start) in enumerate(members):
            rows = training_rows(given, columns, folds, scale)
            heads = n_heads(given.used.n_rows, folds.n_tables, HEADS[self.head], start.head)
            n = given.used.n_rows
            config = self._training_config(given, columns, n, heads, scale, link, seeds)
            if self.n_members > 1:
                config = replace(config, label=f"member {i + 1} of {self.n_members}")
            keeper = None if kept is None else kept.keeper(i, self.n_members)
            tell = self._teller(config, sum(len(before.loss_curve) for before in results))
            result = learn(tables, rows, start, config, keeper, tell)
            results.append(result)
            if len(result.loss_curve):
                if not found:
                    judged = honest_rows(rows, given.used.n_rows, result)
                found.append(build_member(tables, result, start, rows, columns, scale, link))
                own.append(folds.fold.astype(np.int64) + n_tables)
                n_tables += folds.n_tables
            if result.interrupted:
                break
        return _Trained(found, results, np.stack(own, axis=1), judged) if found else None

    def _teller(self, config: TrainingConfig, first: int = 0) -> Tell | None:
        """Return what tells the callbacks of iterations, which are counted from the `first`."""
        if not self.callbacks:
            return None
        callbacks, units = tuple(self.callbacks), config.loss.units(config.scale)

        def tell(iteration: int, *losses: NDArray[np.float64]) -> None:
            means = [float(mean_loss(each, units)) for each in losses]
            for callback in callbacks:
                callback(first + iteration, dict(zip(("train", "validation"), means, strict=False)))

        return tell

    def _another(
        self, given: CheckedInput, columns: EncodedColumns, folds: FoldAssignment, seeds: Seeds
    ) -> _Untrained:
        """Return a further member before training: other folds, and the first vectors of all."""
        folds = self._assign_rows(given, columns, seeds, folds)
        return _Untrained(seeds, folds, *self._first_vectors(given, columns, folds, seeds))

    def _with_model(self, model: EmbeddingModel) -> Self:
        """A copy that answers by another model."""
        other = copy(self)
        if hasattr(self, "_sklearn_output_config"):  # set_output changes it in place
            other._sklearn_output_config = dict(self._sklearn_output_config)
        other.__dict__.pop("categories_", None)
        other.__dict__.update(attributes_of(model), _model=model)
        return other

    def _code(self, X: Any) -> CodedRows:
        """Read new rows with the columns of fit, and look them up by the policies of fit."""
        table = self._read(X)  # first, for it says whether there is a fit
        rows = self._model.code(table)
        remember_codes(self, rows.codes, len(rows))
        return rows

    def _read(self, X: Any) -> Table:
        """Read a table with the columns of fit."""
        check_is_fitted(self)
        table = read_table(X)
        validate_data(self, table.header(), reset=False, skip_check_array=True)
        return table

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

    def _output(self) -> Output:
        """Return the output of :meth:`transform` by the parameters."""
        return Output.of(getattr(self, "output", "embedding"), getattr(self, "remainder", "drop"))

    def _n_hidden(self) -> int:
        """Width of the last hidden layer, by the parameters."""
        sizes = HEADS[self.head].hidden_sizes(self._hidden_sizes())
        return sizes[-1] if sizes else 0

    def _check_output(self) -> None:
        """Refuse an output that the network does not have."""
        uses_none = not HEADS[self.head].hidden_sizes((1,))
        if self._output().hidden and (uses_none or not self._n_hidden()):
            lacks = f"head={self.head!r}" if uses_none else "hidden_layer_sizes=()"
            raise InvalidParameterError(
                f"output={self.output!r} needs a hidden layer, but there is none with {lacks}; "
                "use another output."
            )

    def _check_names(
        self,
        tables: list[Floats],
        columns: EncodedColumns,
        n_outputs: int,
        beside: Sequence[str] = (),
    ) -> None:
        """Refuse names that collide and numbers that cannot be passed on, before any training."""
        output = self._output()
        if output.numbers:
            refuse_beyond_float32(columns.numbers, [columns.names[j] for j in columns.context])
        widths = (t.shape[2] for t in tables)
        embedded = list(zip(output_stems(columns.embedded, columns.crosses), widths, strict=True))
        passed = [columns.names[j] for j in columns.context]
        biased = HEADS[self.head].biased
        names = output_names(output, embedded, passed, self._n_hidden(), n_outputs, biased)
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

    def _check_input(self, X: Any, y: Any, sample_weight: Any, groups: Any) -> CheckedInput:
        if y is None:
            validate_data(_twin(self), "no_validation", y)  # scikit-learn's own message
        given = check_input(X, y, sample_weight, groups, **self._target_options())
        validate_data(_twin(self), given.table.header(), reset=True, skip_check_array=True)
        return given

    def _target_options(self) -> dict[str, Any]:
        """How the target is read."""
        return {name: getattr(self, name) for name in ("target_type", "loss", "class_weight")}

    def _encode_columns(
        self, given: CheckedInput, X: Any, before: EmbeddingModel | None, link: Link
    ) -> EncodedColumns:
        categorical, context = select_categorical(
            self.categorical_features, given.used, X, required=self._needs_categories
        )
        names = tuple(c.name for c in given.table.columns)
        if before is not None:
            layers = self._layers(given, link)
            check_continuation(before, names, categorical, given.target, layers)
        table, target = given.used, given.target
        columns = encode_columns(
            given,
            categorical,
            context,
            min_frequency=self.min_frequency,
            max_categories=self.max_categories,
            handle_missing=self.handle_missing,
            scaling=None if before is None else before.scaling,
            poolings=self._poolings(table, categorical, target),
            max_lengths=self._lengths_of_lists(table, categorical),
        )
        chosen = self.categorical_features
        check_roles(chosen, table, categorical, context, columns.codes, target)
        return columns

    def _poolings(
        self, table: Table, categorical: Sequence[int], target: Target
    ) -> list[type[Pooling] | None]:
        """Return each categorical column's kind of pooling, None of single values."""
        lists = [j for j in categorical if table.columns[j].is_list]
        names = [c.name for c in table.columns]
        kinds = resolve_pooling(self.pooling, [names[j] for j in lists], lists)
        pooling = dict(zip(lists, kinds, strict=True))
        HEADS[self.head].check(
            [names[j] for j in categorical],
            target.n_outputs,
            {names[j]: kind for j, kind in pooling.items()},
        )
        for j, kind in pooling.items():
            if kind.learns and self.n_members > 1:
                raise InvalidParameterError(
                    f"With `n_members`={self.n_members} the vectors of all members are rotated "
                    f"into one space, but the output of `pooling`={kind.name!r} for column "
                    f"{names[j]!r} cannot be rotated; use n_members=1 or another pooling."
                )
        return [pooling.get(j) for j in categorical]

    def _lengths_of_lists(self, table: Table, categorical: Sequence[int]) -> list[int | None]:
        """Return how many last items of each categorical column's lists are used."""
        lists = [j for j in categorical if table.columns[j].is_list]
        named = resolve_max_length(self.max_length, [table.columns[j].name for j in lists], lists)
        lengths = dict(zip(lists, named, strict=True))
        return [lengths.get(j) for j in categorical]

    def _start(
        self,
        given: CheckedInput,
        columns: EncodedColumns,
        before: EmbeddingModel | None,
        mark: str,
        drawn: FoldAssignment | None,
        seeds: Seeds,
    ) -> tuple[FoldAssignment, list[Floats], StartingPoint]:
        """Folds and first vectors: new ones, or those of the fit before."""
        state = None if before is None else before.warm_start
        same_rows = state is not None and state.fingerprint == mark
        cross_fit = self._cross_fits(columns)
        withholds = self._withholds(columns)
        if state is not None and same_rows:
            folds = FoldAssignment.of(state.fold, state.validation, withholds)
        else:
            folds = self._draw_folds(given, columns, seeds) if drawn is None else drawn
        if before is not None:
            tables, start = continued_point(
                before, columns, folds.n_tables, same_rows=same_rows, freeze=self.freeze
            )
            if cross_fit and not same_rows:
                warn(_CONTINUED_ELSEWHERE, LeakageWarning)
            return folds, tables, start
        return folds, *self._first_vectors(given, columns, folds, seeds)

    def _first_vectors(
        self, given: CheckedInput, columns: EncodedColumns, folds: FoldAssignment, seeds: Seeds
    ) -> tuple[list[Floats], StartingPoint]:
        """New vectors, and all else that a first fit starts from."""
        tables, start = starting_point(
            columns,
            given.target,
            folds,
            head=HEADS[self.head],
            dimensions=self.dimensions,
            init=self.init,
            freeze=self.freeze,
            random_state=seeds.vectors,
        )
        if self.n_members > 1 and HEADS[self.head].moves_together and any(map(np.any, start.fixed)):
            raise InvalidParameterError(
                f"With `n_members`={self.n_members} the vectors of all members are rotated into "
                f"one space. head={self.head!r} rotates all columns together, so frozen vectors "
                "cannot stay as they are; use n_members=1 or freeze=False."
            )
        return tables, start

    def _withholds(self, columns: EncodedColumns) -> bool:
        """Whether validation rows are held back: layers that all folds share must not see them."""
        shared = any(pooling is not None and pooling.learns for pooling in columns.poolings)
        return shared or not (self._cross_fits(columns) and HEADS[self.head].cross_fits)

    def _draw_folds(
        self, given: CheckedInput, columns: EncodedColumns, seeds: Seeds
    ) -> FoldAssignment:
        """Draw folds and validation rows, and warn of copies in other folds."""
        folds = self._assign_rows(given, columns, seeds)
        target = given.target
        if self._cross_fits(columns):
            if is_integer(self.cv) and target.strata is not None and target.classes is not None:
                warn_of_rare_classes(folds.fold, target.strata, target.classes)
            check_duplicates(columns.codes, columns.context_values, target, folds.fold)
        return folds

    def _assign_rows(
        self,
        given: CheckedInput,
        columns: EncodedColumns,
        seeds: Seeds,
        of_first: FoldAssignment | None = None,
    ) -> FoldAssignment:
        """Draw folds and validation rows; those `of_first` where `cv` has folds of its own."""
        if of_first is not None and not is_integer(self.cv):
            return of_first
        return assign_rows(
            given,
            cross_fit=self._cross_fits(columns),
            cv=self.cv if of_first is None else of_first.n_tables,
            early_stopping=self.early_stopping,
            validation_fraction=self.validation_fraction,
            withholds=self._withholds(columns),
            random_state=seeds.folds,
        )

    def _cross(
        self,
        given: CheckedInput,
        columns: EncodedColumns,
        before: EmbeddingModel | None,
        drawn: FoldAssignment | None,
        seeds: Seeds,
    ) -> EncodedColumns:
        """Add crosses: new ones, or those of the fit before."""
        if before is not None:
            gains = dict(zip(before.crosses, before.gains, strict=True))
        else:
            assert drawn is not None
            head, source = HEADS[self.head], RandomState(seeds.network)
            gains = choose_pairs(self.interactions, columns, given, drawn, head, source)
        names = [columns.names[j] for j in columns.categorical]
        pairs = embedded_names(names, list(gains))[len(names) :]
        for k, name in enumerate(pairs):
            if name in pairs[:k]:
                raise InvalidParameterError(
                    f"Two pairs in `interactions` have the same name {name!r}; rename one of their "
                    "columns."
                )
            if name in columns.names:
                raise InvalidParameterError(
                    f"The pair {name!r} in `interactions` has the same name as a column of X; "
                    "rename the column."
                )
        return columns.crossed(
            gains, given, min_frequency=self.min_frequency, max_categories=self.max_categories
        )

    def _cross_fits(self, columns: EncodedColumns) -> bool:
        """Whether there are folds: without tables they would have no purpose."""
        return bool(self.cross_fit) and len(columns.categorical) > 0

    def _warm_start_state(
        self,
        mark: str,
        given: CheckedInput,
        folds: FoldAssignment,
        start: StartingPoint,
        link: Link,
    ) -> WarmStartState | None:
        """Return the state from which the next fit can go on; None unless it may."""
        if not self.warm_start:
            return None
        return WarmStartState(
            fingerprint=mark,
            fold=folds.fold.astype(np.int64),
            validation=folds.validation,
            classes=given.target.classes,
            layers=self._layers(given, link),
            fixed=start.fixed,
            shrinks=tuple(map(bool, start.shrinks)),
        )

    def _fingerprint(self, given: CheckedInput, columns: EncodedColumns) -> str:
        """Return a hash of the rows and folds, to tell whether the next fit has the same."""
        decides_folds = (self.cross_fit, self.cv, self.early_stopping, self.validation_fraction)
        return fingerprint(given, columns, decides_folds) if self.warm_start else ""

    def _hidden_sizes(self) -> tuple[int, ...]:
        sizes = self.hidden_layer_sizes
        sizes = (sizes,) if isinstance(sizes, Integral) else tuple(sizes)
        if any(isinstance(n, bool) or not isinstance(n, Integral) or n < 1 for n in sizes):
            raise InvalidParameterError(
                "`hidden_layer_sizes` must be positive integers, got "
                f"{shown(self.hidden_layer_sizes)}."
            )
        return tuple(int(n) for n in sizes)

    def _layers(self, given: CheckedInput, link: Link) -> tuple[str, ...]:
        """Return the settings that decide the network's shapes and the meaning of its outputs."""
        sizes = HEADS[self.head].hidden_sizes(self._hidden_sizes())
        parts = [self.dimensions, sizes, given.loss, given.target.n_outputs, self.head]
        parts += [self.pooling, self.max_length, link]
        parts += [] if self.interactions is None else [self.interactions]
        return tuple(repr(part) for part in parts)

    def _training_config(
        self,
        given: CheckedInput,
        columns: EncodedColumns,
        n: int,
        heads: int,
        scale: Scale,
        link: Link,
        seeds: Seeds,
    ) -> TrainingConfig:
        head = HEADS[self.head]
        batch_size = rows_a_step(self.batch_size, n)
        own = columns.vocabularies[: len(columns.categorical)]
        n_levels = max((v.cardinality for v in own), default=0)
        kinds: list[type[Head | Pooling]] = [head, *(p for p in columns.poolings if p is not None)]
        return TrainingConfig(
            head=head,
            poolings=columns.poolings,
            loss=given.loss,
            link=link,
            scale=scale,
            n_outputs=given.target.n_outputs,
            n_heads=heads,
            hidden_layer_sizes=head.hidden_sizes(self._hidden_sizes()),
            dropout=float(self.dropout),
            unknown_rate=float(self.unknown_rate),
            learning_rate_init=float(self.learning_rate_init),
            alpha=float(self.alpha),
            batch_size=batch_size,
            max_iter=max_iter(self.max_iter, n, n_levels, batch_size, kinds),
            min_iter=min_iter(n, batch_size, kinds),
            early_stopping=bool(self.early_stopping),
            n_iter_no_change=int(self.n_iter_no_change),
            tol=float(self.tol),
            device=self.device,
            seed=seeds.network,
            branch=seeds.branch,
            verbose=bool(self.verbose),
        )

    def _attributes(
        self,
        model: EmbeddingModel,
        trained: _Trained,
        given: CheckedInput,
        columns: EncodedColumns,
    ) -> dict[str, Any]:
        """The fitted attributes by name; the course of the training is that of the first member."""
        target, result = given.target, trained.results[0]
        fold = None
        if self._cross_fits(columns) and trained.fold is not None:
            own = trained.fold[:, 0] if trained.fold.shape[1] == 1 else trained.fold
            fold = np.full((given.table.n_rows, *own.shape[1:]), -1, dtype=np.int64)
            fold[given.kept] = own
        losses, validation_losses = result.loss_curve, result.validation_loss_curve
        units = given.loss.units(model.scale)
        names = [table.vocabulary.name for table in model.tables]
        return {
            "_model": model,
            "_record": record_of(result, trained.judged, model, given.loss),
            **attributes_of(model),
            "category_target_means_": dict(zip(names, columns.target_means, strict=True)),
            "target_type_": target.kind,
            "classes_": target.classes,
            "fold_": fold,
            "loss_curve_": mean_loss(losses, units),
            "validation_loss_curve_": (
                None if validation_losses is None else mean_loss(validation_losses, units)
            ),
            "best_iteration_": result.best_iteration,
            "n_iter_": len(losses),
        }


def attributes_of(model: EmbeddingModel) -> dict[str, Any]:
    """Return the public attributes that repeat the model, most of them by column name."""
    by_name = {t.vocabulary.name: t for t in model.tables}
    columns = [model.names[j] for j in model.categorical]
    return {
        "categorical_features_": columns,
        "dimensions_": {n: t.n_axes for n, t in by_name.items()},
        "category_counts_": {n: t.vocabulary.label_counts for n, t in by_name.items()},
        "infrequent_categories_": {n: t.vocabulary.infrequent for n, t in by_name.items()},
    }


def mean_loss(losses: NDArray[np.float64], units: Any) -> NDArray[np.float64]:
    """Return the mean over outputs, in the units of `y`."""
    mean: NDArray[np.float64] = (losses * units).mean(axis=-1)
    return mean


def _categories_of(model: EmbeddingModel) -> dict[str, NDArray[Any]]:
    return {t.vocabulary.name: t.vocabulary.labels for t in model.tables}


def _twin(estimator: EmbeddingEstimator) -> EmbeddingEstimator:
    """Another estimator with the same attributes; ``copy`` lacks those left out for pickling."""
    twin = object.__new__(type(estimator))
    twin.__dict__.update(estimator.__dict__)
    return twin
