"""Estimators that learn from rows in parts: ``partial_fit`` and ``transform_training``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.random import RandomState
from numpy.typing import ArrayLike, NDArray
from sklearn.utils._set_output import _wrap_data_with_container
from sklearn.utils.validation import check_is_fitted, validate_data

from sk_entity_embed._batch_methods import BatchEstimator
from sk_entity_embed._checks import check_names, check_output, hidden_sizes
from sk_entity_embed._lazy import torch_import
from sk_entity_embed._parameters import fits
from sk_entity_embed._preparing import (
    add_crosses,
    cross_fits,
    encode_table,
    first_vectors,
    withholds,
)
from sk_entity_embed._state import twin
from sk_entity_embed._summary.shares import forget
from sk_entity_embed._training import Trained, teller, training_config
from sk_entity_embed.exceptions import InvalidDataError, InvalidParameterError
from sk_entity_embed.fitting import growing
from sk_entity_embed.fitting.building import build_member, build_model
from sk_entity_embed.fitting.growing import Block
from sk_entity_embed.fitting.initialization import check_init
from sk_entity_embed.fitting.options import n_heads
from sk_entity_embed.fitting.outcome import honest_rows, warn_of_training
from sk_entity_embed.fitting.preparation import (
    CheckedInput,
    EncodedColumns,
    FoldAssignment,
    Seeds,
    check_input,
    resolve_link,
    training_rows,
)
from sk_entity_embed.input.context import fit_context
from sk_entity_embed.input.duplicates import check_duplicates
from sk_entity_embed.input.folds import is_integer
from sk_entity_embed.input.target import TargetForm
from sk_entity_embed.learning.problem import Floats, StartingPoint
from sk_entity_embed.model.fitted import EmbeddingModel
from sk_entity_embed.model.growth import Growth, KeptRows
from sk_entity_embed.model.heads import HEADS
from sk_entity_embed.model.losses import Link, Scale
from sk_entity_embed.model.tables import take

_SEEDS = np.iinfo(np.int32).max
_SETTINGS = (
    *("categorical_features", "dimensions", "pooling", "max_length", "interactions", "head"),
    *("y_range", "hidden_layer_sizes", "loss", "target_type", "cross_fit", "cv"),
)
"""Parameters that decide shapes, folds, or what the outputs mean: they stay from call to call."""
_PASSES = 0.5
"""Passes of a call that goes on, as a share of those of a first one."""


@dataclass(frozen=True, slots=True)
class _Before:
    """What an estimator has come to before a call."""

    model: EmbeddingModel
    growth: Growth
    form: TargetForm
    target_means: list[NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class _Task:
    """A training of a block, and perhaps rows before: all that :func:`learn` is given.

    `seen` says what each table has learned from before, if the training goes on from another.
    `growth` is what is kept afterwards, and `row_weight` the mean number of rows that one stands
    for.
    """

    block: Block
    training: CheckedInput
    columns: EncodedColumns
    folds: FoldAssignment
    scale: Scale
    link: Link
    tables: list[Floats]
    start: StartingPoint
    growth: Growth
    seen: list[NDArray[np.bool_]] | None = None
    row_weight: float = 1.0

    @property
    def continues(self) -> bool:
        """Whether it goes on from an earlier training."""
        return self.seen is not None


class GrowingEstimator(BatchEstimator):
    """An embedding estimator that can go on with new rows."""

    _growth: Growth

    @fits
    def partial_fit(
        self,
        X: Any,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        classes: ArrayLike | None = None,
        groups: ArrayLike | None = None,
    ) -> Self:
        """Learn from a block of rows, and continue from the calls before.

        The first call decides the columns, the classes, the pairs of columns and the network's
        layers. Later calls continue: vocabularies, counts and target means grow, and new categories
        start from the unknown vector. Vectors move as little as the network allows. A model fitted
        on vectors of an earlier call therefore still works with those of a later one.

        Each block is trained on together with a sample of at most 100,000 earlier rows. The sample
        is weighted to stand for all of them, so the network does not forget what it learned before.

        To encode the rows of the block itself, use :meth:`transform_training`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows with the columns of the first call, in any of the containers listed above.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Target. It is required. A block need not hold all classes.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights, on the same scale in all calls. Rows of zero weight are dropped.
        classes : array-like of shape (n_classes,), default=None
            All classes that `y` may hold in any call. If `y` is one column of classes, the first
            call needs them; later calls may leave them out. Leave them out for quantities and
            indicator matrices.
        groups : array-like of shape (n_samples,), default=None
            Group of each row. All rows of a group are in the same fold, in all calls. See Notes.

        Returns
        -------
        Self
            The fitted estimator.

        Raises
        ------
        ValueError
            If `X` or `y` hold values that cannot be learned from, or that do not match the earlier
            calls: other columns, categories of another type, a class that is not one of `classes`,
            or changed parameters that must stay the same; if `classes` are needed and not given; if
            `n_members` is not 1, `cv` is not a number, or a `checkpoint` is asked for.
        TypeError
            If a container or the type of a column is not supported.
        KeyboardInterrupt
            If training is interrupted. The estimator has then learned nothing from the block.

        Warns
        -----
        ColumnRoleWarning, EmptyColumnWarning
            As :meth:`fit`, in the first call.
        LeakageWarning
            If rows of the block have copies in other folds.

        See Also
        --------
        transform_training : Encode the rows of the last call without leakage.
        fit_batches : Learn from rows that need not fit in memory, all at once.

        Notes
        -----
        Folds are drawn by a hash. A row that comes again therefore keeps its fold, and the tables
        and the head that encode it have never learned from it. The hash is that of the row's group
        if you pass `groups`, else of its content: its cells and its target. Content identifies a
        row only if rows differ. If more than one row in ten is expected to have a copy among the
        rows so far, a row is recognised within its block only. If rows come again and many are
        alike, pass `groups`, such as the number of the row.

        The first call trains as long as :meth:`fit`. Later calls train for half as many iterations
        as a fit of the block and the sample would, or for `max_iter`. ``interactions="auto"``
        chooses pairs from the first block. Name the pairs yourself if one block says little about
        them; for example, a single month cannot tell which pairs with the month matter.

        `partial_fit` after :meth:`fit` continues from that fit, but without a sample of its rows
        and without their folds. Rows of fit that come again are therefore not encoded out of fold.
        In target means, each row of that fit has a weight of one. :meth:`fit` always starts
        afresh.

        Examples
        --------
        >>> import numpy as np
        >>> import pandas as pd
        >>> from sk_entity_embed import EntityEmbeddingEncoder
        >>> rng = np.random.default_rng(0)
        >>> encoder = EntityEmbeddingEncoder(target_type="continuous", random_state=0)
        >>> for cities in (["Oslo", "Rome"], ["Oslo", "Rome", "Lima"]):
        ...     X = pd.DataFrame({"city": rng.choice(cities, 200)})
        ...     y = X["city"].map({"Lima": 22.0, "Oslo": -4.0, "Rome": 12.0})
        ...     encoder = encoder.partial_fit(X, y + rng.normal(size=200))
        ...     print(encoder.categories_["city"], encoder.category_counts_["city"])
        ['Oslo' 'Rome'] [ 89 111]
        ['Lima' 'Oslo' 'Rome'] [ 69 157 174]
        """
        self._validate_params()  # scikit-learn leaves it out of later calls
        before = self._before_growing()
        seeds = Seeds.draw(self.random_state)[0]
        given = self._check_block(X, y, sample_weight, groups, classes, before)
        owners = None if groups is None else growing.group_keys(groups, given.kept)
        check_output(self)
        if before is None:
            task = self._first_task(X, given, owners, seeds)
        else:
            task = self._next_task(given, owners, before)
        self.__dict__ = self._trained_on(given, task, before, seeds).__dict__
        forget(self)
        return self

    def transform_training(self, X: Any) -> NDArray[np.float32]:
        """Encode the rows of the last :meth:`partial_fit` without leakage.

        Call it after :meth:`partial_fit`, as you would use :meth:`fit_transform` instead of
        :meth:`fit`. The vectors, the hidden layer and the predictions of a row come from the table
        and the head of its fold, which never saw its target.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            All rows of the last call, in the same order.

        Returns
        -------
        ndarray of float32 of shape (n_samples, n_features_out)
            Encoded rows, C-contiguous, or in the container chosen with ``set_output``. Rows of zero
            weight get the vectors of :meth:`transform`.

        Raises
        ------
        ValueError
            If `X` holds other rows, or the estimator was not last fitted by :meth:`partial_fit`.

        See Also
        --------
        transform : Encode new rows.

        Examples
        --------
        The vectors of the training rows are near those of new rows, but not equal to them:

        >>> import numpy as np
        >>> from sk_entity_embed import EntityEmbeddingEncoder
        >>> X, y = [["Lima"], ["Oslo"], ["Rome"]] * 40, [21.0, -5.0, 12.0, 23.0, -3.0, 14.0] * 20
        >>> encoder = EntityEmbeddingEncoder(
        ...     dimensions=2, max_iter=30, target_type="continuous", random_state=0
        ... )
        >>> vectors = encoder.partial_fit(X, y).transform_training(X)
        >>> vectors.shape
        (120, 2)
        >>> encoder.inverse_transform(vectors[:3]).ravel().tolist()
        ['Lima', 'Oslo', 'Rome']
        """
        check_is_fitted(self)
        growth = getattr(self, "_growth", None)
        if growth is None or not growth.block:
            raise InvalidDataError(
                "transform_training encodes the rows of the last partial_fit, but there was "
                "none; use fit_transform to encode the rows of a fit."
            )
        table, model = self._read(X), self._model
        if growing.mark_of(table, model.categorical) != growth.block:
            raise InvalidDataError(
                "transform_training encodes the rows of the last partial_fit, in their order, "
                "but X has other rows; use transform to encode new rows."
            )
        rows = model.code(table, serving=False)
        if self.fold_ is None:
            vectors = model.transform(rows)
        else:  # -1 of rows without weight asks for the mean of tables, but for no head
            own = self.fold_ >= 0
            vectors = model.transform(rows, np.maximum(self.fold_, 0))
            if not own.all():
                vectors[~own] = model.transform(rows)[~own]
        out: NDArray[np.float32] = _wrap_data_with_container("transform", vectors, X, self)
        return out

    def _before_growing(self) -> _Before | None:
        """Return what there is to go on from; None before the first call."""
        if self.n_members > 1:
            raise InvalidParameterError(
                f"partial_fit continues a single training, but `n_members` is {self.n_members}; "
                "use n_members=1."
            )
        if getattr(self, "checkpoint", None) is not None:
            raise InvalidParameterError(
                "partial_fit writes no checkpoints, but `checkpoint` names a folder; set "
                "checkpoint=None, and save the estimator after each call."
            )
        if not is_integer(self.cv):
            raise InvalidParameterError(
                "partial_fit draws folds by a hash of each row, so that a row that comes again "
                f"keeps its fold, but `cv` is {self.cv!r}; give the number of folds. If rows "
                "belong together, pass `groups`."
            )
        if not hasattr(self, "_model"):
            return None
        model = self._model
        growth = getattr(self, "_growth", None) or self._after_fit(model)
        changed = set(self._settings()) - set(growth.settings)
        if changed:
            raise InvalidParameterError(
                "partial_fit continues the earlier calls, but these parameters have changed "
                f"since: {', '.join(sorted(changed))}. Set them back, or start over with fit or "
                "with a clone."
            )
        kind, n_outputs = self.target_type_, model.head.n_outputs
        several = kind in ("continuous", "multilabel-indicator")
        form = TargetForm(kind, getattr(self, "classes_", None), n_outputs if several else 1)
        return _Before(model, growth, form, list(self.category_target_means_.values()))

    def _after_fit(self, model: EmbeddingModel) -> Growth:
        """Return what a call can know of an earlier fit."""
        layers = HEADS[self.head].hidden_sizes(hidden_sizes(self))
        if (model.head.name, model.head.layers) != (self.head, layers):
            raise InvalidParameterError(
                "partial_fit continues the previous fit, but `head` or `hidden_layer_sizes` "
                "have changed since. Set them back, or start over with a clone."
            )
        names = [t.vocabulary.name for t in model.tables]
        frames = check_init(self.init, names)
        of_encoder = not isinstance(self.init, str | Mapping)
        shrinks = [
            n not in frames and (not of_encoder or j >= len(model.categorical))
            for j, n in enumerate(names)
        ]
        counts = [int(v.counts.sum()) + v.missing_count for v in model.vocabularies]
        n_rows = max(counts, default=0) if self.fold_ is None else len(self.fold_)
        multiclass = self.target_type_ == "multiclass"
        n_columns = 1 if multiclass else model.head.n_outputs
        seed = RandomState(Seeds.draw(self.random_state)[0].network)
        return growing.after_fit(model, shrinks, self._settings(), n_rows, n_columns, seed)

    def _settings(self) -> tuple[str, ...]:
        """Return the parameters that have to stay as they are, as text."""
        found = self.get_params(deep=False)
        texts = [f"{name}={found[name]!r}" for name in _SETTINGS if name in found]
        return tuple(re.sub(r" at 0x[0-9A-Fa-f]+", "", text) for text in texts)

    def _check_block(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        groups: Any,
        classes: Any,
        before: _Before | None,
    ) -> CheckedInput:
        """Read and check a block, by the calls before."""
        if y is None:
            validate_data(twin(self), "no_validation", y)  # scikit-learn's own message
        options = {**self._target_options(), "class_weight": None}

        def form(array: NDArray[Any]) -> TargetForm:
            if before is None:
                return TargetForm.of(array, classes, options["target_type"])
            if classes is not None:
                before.form.check_classes(classes)
            return before.form

        given = check_input(X, y, sample_weight, groups, form=form, **options)
        header, first = given.table.header(), before is None
        validate_data(twin(self), header, reset=first, skip_check_array=True)
        return growing.in_own_unit(given, sample_weight)

    def _first_task(
        self,
        X: Any,
        given: CheckedInput,
        owners: Any,
        seeds: Seeds,
    ) -> _Task:
        """Return the training of a first block."""
        scale = given.loss.scale(given.target, given.weights)
        link = resolve_link(getattr(self, "y_range", None), given, scale)
        columns = encode_table(self, given, X, None, link)
        block = growing.first_block(given, columns)
        n_folds = (5 if self.cv is None else int(self.cv)) if cross_fits(self, columns) else 1
        growth = growing.before_first(int(seeds.folds.randint(_SEEDS)), self._settings())
        names = growing.name_rows(block, given, owners, n_folds, growth)
        new = growing.as_kept(block, names, given)
        folds = self._assign(new, len(new), n_folds, columns, owners is not None)
        columns = add_crosses(self, given, columns, None, folds, seeds)
        block = growing.with_crosses(block, given, columns)
        class_rows = growing.class_rows(given.target)
        training = self._training_input(given, new, new.weights, class_rows)
        tables, start = first_vectors(self, training, columns, folds, seeds)
        kept = growing.sample(new, new.take(np.arange(0)), growth.seed)
        growth = growing.after_block(growth, block, names, given, kept, start, class_rows)
        return _Task(block, training, columns, folds, scale, link, tables, start, growth)

    def _next_task(self, given: CheckedInput, owners: Any, before: _Before) -> _Task:
        """Return the training of a further block, and of a sample of the rows before."""
        model, growth = before.model, before.growth
        block = growing.next_block(
            given,
            model,
            before.target_means,
            growth.label_weights,
            min_frequency=self.min_frequency,
            max_categories=self.max_categories,
            handle_missing=self.handle_missing,
        )
        n_folds = max(1, len(model.tables[0].stack) - 1) if model.tables else 1
        names = growing.name_rows(block, given, owners, n_folds, growth)
        new = growing.as_kept(block, names, given)
        earlier = growing.others(growth.kept, block, names)
        kept = growing.sample(new, earlier, growth.seed)
        rows, weights = growing.with_earlier(new, earlier)
        head, scaling = growing.with_numbers(
            model.head, kept.numbers, model.scaling, fit_context(kept.numbers)
        )
        target = replace(given.target, values=kept.target)
        scale = given.loss.scale(target, kept.weights)
        link = resolve_link(getattr(self, "y_range", None), given, scale)
        if link != model.link:
            raise InvalidParameterError(
                "partial_fit continues the previous fit, but `loss` or `y_range` have changed "
                "since. Set them back, or start over with a clone."
            )
        head, scale = growing.with_scale(head, model, scale, link)
        columns = growing.training_columns(block, rows, scaling)
        folds = self._assign(rows, len(new), n_folds, columns, owners is not None)
        class_rows = growing.class_rows(given.target)
        if class_rows is not None and growth.class_rows is not None:
            class_rows = class_rows + growth.class_rows
        training = self._training_input(given, rows, weights, class_rows)
        tables, start, seen = growing.growing_point(
            model, head, block, growth.fixed, growth.shrinks, n_folds, self.freeze
        )
        growth = growing.after_block(growth, block, names, given, kept, start, class_rows)
        return _Task(
            block,
            training,
            columns,
            folds,
            scale,
            link,
            tables,
            start,
            growth,
            seen,
            float(weights.sum() / rows.weights.sum()),
        )

    def _assign(
        self, rows: KeptRows, n_new: int, n_folds: int, columns: EncodedColumns, grouped: bool
    ) -> FoldAssignment:
        return growing.assign(
            rows,
            n_new,
            n_folds,
            early_stopping=self.early_stopping,
            validation_fraction=self.validation_fraction,
            withholds=withholds(self, columns),
            grouped=grouped,
        )

    def _training_input(
        self, given: CheckedInput, rows: KeptRows, weights: Any, class_rows: Any
    ) -> CheckedInput:
        class_weight = self._target_options()["class_weight"]
        chosen = growing.balanced(class_weight, class_rows, given.target)
        return growing.training_input(given, rows, weights, chosen)

    def _trained_on(
        self, given: CheckedInput, task: _Task, before: _Before | None, seeds: Seeds
    ) -> Self:
        """Train, and return an estimator that has."""
        with torch_import("Training"):
            from sk_entity_embed.learning.learn import learn

        block, training, columns, folds = task.block, task.training, task.columns, task.folds
        check_names(self, task.tables, block.columns, given.target.n_outputs)
        if folds.n_tables > 1:
            codes = [take(c, np.arange(given.used.n_rows)) for c in columns.codes]
            numbers, own = columns.context_values[: given.used.n_rows], folds.fold
            check_duplicates(codes, numbers, given.target, own[: given.used.n_rows])
        rows = training_rows(training, columns, folds, task.scale)
        if task.seen is not None:
            rows.add_seen(task.seen)
        n, scale, link = rows.n_samples, task.scale, task.link
        heads = n_heads(n, folds.n_tables, HEADS[self.head], task.start.head)
        config = training_config(self, training, columns, n, heads, scale, link, seeds)
        if task.continues and self.max_iter == "auto":
            config = replace(config, max_iter=max(1, round(_PASSES * config.max_iter)), min_iter=0)
        start = task.start
        if task.continues:  # shrinkage is that of rows, of which the weights have the mean of one
            start = replace(start, shrinks=tuple(s / task.row_weight for s in start.shrinks))
        result = learn(task.tables, rows, start, config, None, teller(self, config))
        if result.interrupted:
            raise KeyboardInterrupt(
                "partial_fit was interrupted; the estimator has learned nothing from this block."
            )
        member = build_member(task.tables, result, task.start, rows, columns, scale, link)
        model = build_model([member], columns, scale, link)
        if before is not None:
            model = growing.aligned(model, before.model, block, task.start.fixed)
        model = self._served(model)
        own = folds.fold[: given.used.n_rows].astype(np.int64)[:, None]
        judged = honest_rows(rows, n, result)
        trained = Trained([member], [result], own, judged)
        fitted = twin(self)
        if before is None:
            validate_data(fitted, given.table.header(), reset=True, skip_check_array=True)
        fitted.__dict__.pop("categories_", None)
        fitted.__dict__.update(self._attributes(model, trained, given, block.columns))
        fitted._growth = task.growth
        warn_of_training([result], 1)
        return fitted
