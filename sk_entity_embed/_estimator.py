"""The base of the public estimators: fit, and vectors of the training rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import Tags
from sklearn.utils.validation import validate_data

from sk_entity_embed._answers import AnsweringEstimator
from sk_entity_embed._checks import CONSTRAINTS, check_names, check_output, output_of
from sk_entity_embed._parameters import fits
from sk_entity_embed._preparing import (
    add_crosses,
    cross_fits,
    draw_folds,
    encode_table,
    fingerprint_of,
    starting_state,
    warm_start_state,
)
from sk_entity_embed._state import attributes_of, twin
from sk_entity_embed._summary.shares import forget
from sk_entity_embed._training import Trained, Untrained, another_member, mean_loss, train
from sk_entity_embed.exceptions import InvalidParameterError, TrainingInterruptedWarning
from sk_entity_embed.fitting.building import build_model
from sk_entity_embed.fitting.checkpoints import Checkpoints, checkpoints_in, data_marks
from sk_entity_embed.fitting.outcome import record_of, warn_of_budget, warn_of_training
from sk_entity_embed.fitting.preparation import (
    CheckedInput,
    EncodedColumns,
    Seeds,
    check_input,
    resolve_link,
)
from sk_entity_embed.input.messages import warn
from sk_entity_embed.input.table import Table
from sk_entity_embed.model.fitted import CodedRows, EmbeddingModel

_INTERRUPTED_EARLY = "Training was interrupted before the end of its first iteration"


@dataclass(frozen=True, slots=True)
class _TrainingRows:
    """The training rows of a fit for ``fit_transform``: the table, and the rows that took part."""

    table: Table
    kept: NDArray[np.bool_]
    coded: CodedRows
    fold: NDArray[np.int64] | None
    interrupted: bool = False


class EmbeddingEstimator(AnsweringEstimator):
    """Fit of the cross-fitted embedding network; what is fitted answers as its bases say.

    Subclasses declare the parameters in their ``__init__``, as scikit-learn requires. They may have
    `output`, `remainder`, `y_range`, `target_type`, `loss` and `class_weight` among them, or say
    how ``y`` is read in :meth:`_target_options`. Beside parameters and public attributes a fitted
    estimator has its ``_model`` and its ``_record`` alone.
    """

    _needs_categories: ClassVar[bool] = True
    """Whether at least one column has to be embedded."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = CONSTRAINTS

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
        ImportError
            If torch, which training needs, is not installed.
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
        check_output(self)
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
        columns = encode_table(self, given, X if frame is None else frame, before, link)
        drawn = None if before else draw_folds(self, given, columns, seeds)
        columns = add_crosses(self, given, columns, before, drawn, seeds)
        mark = fingerprint_of(self, given, columns)
        folds, tables, start = starting_state(self, given, columns, before, mark, drawn, seeds)
        check_names(self, tables, columns, given.target.n_outputs, beside)
        if kept is not None:
            kept.check_data(data_marks(given, columns, folds, tables, before))
        output = output_of(self)
        if not (transforms and (output.reads_head or output.numbers)):  # as large as X
            columns = replace(columns, numbers=np.empty((given.table.n_rows, 0)))
        first = Untrained(seeds, folds, tables, start)
        members = (
            first if one is seeds else another_member(self, given, columns, folds, one)
            for one in (seeds, *others)
        )
        trained = train(self, members, given, columns, scale, link, kept)
        if trained is None:
            return None
        self._become(
            replace(
                self._served(build_model(trained.members, columns, scale, link)),
                warm_start=warm_start_state(self, mark, given, folds, start, link),
            ),
            trained,
            given,
            columns,
            kept,
        )
        numbers = columns.numbers if given.kept.all() else columns.numbers[given.kept]
        own = trained.fold if cross_fits(self, columns) else None
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
            model.with_output(output_of(self))
            .with_unknown(self.handle_unknown)
            .with_missing(self.handle_missing)
        )

    def _become(
        self,
        model: EmbeddingModel,
        trained: Trained,
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
        fitted = twin(self)
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

    def _check_input(self, X: Any, y: Any, sample_weight: Any, groups: Any) -> CheckedInput:
        """Read and check what ``fit`` is given."""
        if y is None:
            validate_data(twin(self), "no_validation", y)  # scikit-learn's own message
        given = check_input(X, y, sample_weight, groups, **self._target_options())
        validate_data(twin(self), given.table.header(), reset=True, skip_check_array=True)
        return given

    def _target_options(self) -> dict[str, Any]:
        """How the target is read."""
        return {name: getattr(self, name) for name in ("target_type", "loss", "class_weight")}

    def _attributes(
        self,
        model: EmbeddingModel,
        trained: Trained,
        given: CheckedInput,
        columns: EncodedColumns,
    ) -> dict[str, Any]:
        """The fitted attributes by name; the course of the training is that of the first member."""
        target, result = given.target, trained.results[0]
        fold = None
        if cross_fits(self, columns) and trained.fold is not None:
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
