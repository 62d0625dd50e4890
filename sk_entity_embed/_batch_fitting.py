"""Fits of rows that come in blocks: in memory where they fit, else from files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from copy import deepcopy
from dataclasses import dataclass, replace
from numbers import Integral
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sk_entity_embed._batches import Folds, check_target, write_batches
from sk_entity_embed._checks import check_names, check_output
from sk_entity_embed._lazy import torch_import
from sk_entity_embed._preparing import (
    add_crosses,
    cross_fits,
    draw_folds,
    first_vectors,
    lengths_of_lists,
    poolings_of,
    withholds,
)
from sk_entity_embed._progress import tqdm
from sk_entity_embed._training import Trained, teller, training_config
from sk_entity_embed.exceptions import InvalidDataError, InvalidParameterError
from sk_entity_embed.fitting.building import build_member, build_model
from sk_entity_embed.fitting.checkpoints import Checkpoints, checkpoints_in
from sk_entity_embed.fitting.options import n_heads
from sk_entity_embed.fitting.outcome import honest_rows
from sk_entity_embed.fitting.preparation import EncodedColumns, FoldAssignment, Seeds, resolve_link
from sk_entity_embed.fitting.streaming import (
    MOST_JUDGED,
    Drawing,
    Spilled,
    Surveyed,
    conclude,
    encode_sample,
)
from sk_entity_embed.fitting.survey import Survey, TargetSurvey
from sk_entity_embed.input.blocks import BlockRows, Roles, read_block
from sk_entity_embed.input.folders import TemporaryFolder
from sk_entity_embed.input.folds import is_integer
from sk_entity_embed.input.joining import joined_tables
from sk_entity_embed.input.messages import shown
from sk_entity_embed.input.roles import check_roles
from sk_entity_embed.input.selection import select_categorical
from sk_entity_embed.input.sources import Source, open_source, reading
from sk_entity_embed.learning.problem import (
    Floats,
    Rows,
    StartingPoint,
    TrainingConfig,
    TrainingResult,
)
from sk_entity_embed.model.heads import HEADS

if TYPE_CHECKING:
    from sk_entity_embed._estimator import EmbeddingEstimator
    from sk_entity_embed.learning.checkpoints import Keeper


@dataclass(frozen=True, slots=True)
class _Blocks:
    """A source whose blocks are read as features, target, weights and groups."""

    source: Source
    roles: Roles
    verbose: bool

    def __iter__(self) -> Iterator[tuple[BlockRows, str]]:
        columns = [*self.roles.chosen(self.source.names), *self.roles.names]
        with closing(self.source.blocks(columns)) as blocks:  # type: ignore[type-var]
            for block in blocks:
                with reading(block.place):
                    rows = read_block(block.frame, self.roles)
                yield rows, block.place

    def told(self, what: str) -> Iterator[tuple[BlockRows, str]]:
        """Yield the same under a line that shows how far it is, if that is asked for."""
        with tqdm(
            total=self.source.n_rows,
            unit=" rows",
            unit_scale=True,
            disable=not self.verbose,
            desc=what,
        ) as bar:
            for rows, place in self:
                yield rows, place
                bar.update(len(rows))


@dataclass(frozen=True, slots=True)
class OutOfFold:
    """Where the vectors of training rows are to be written, and how; see ``write_batches``."""

    path: str | PathLike[str]
    keep: Sequence[str]
    rows_a_file: int
    compression: str | None

    def write(self, estimator: EmbeddingEstimator, source: Source, folds: Folds | None) -> Path:
        """Write vectors out of fold; those of all tables where there are no folds."""
        return write_batches(
            estimator,
            source,
            self.path,
            keep=self.keep,
            rows_a_file=self.rows_a_file,
            compression=self.compression,
            folds=folds,
        )


def fit_batches(
    estimator: EmbeddingEstimator,
    source: Any,
    y: str | Sequence[str],
    sample_weight: str | None,
    groups: str | None,
    features: Sequence[str] | None,
    rows_in_memory: int,
    spill_dir: str | PathLike[str] | None,
    out: OutOfFold | None = None,
) -> Path | None:
    """Fit an estimator, and write vectors of its rows if there is a place for them.

    See :meth:`BatchEstimator.fit_batches` and :meth:`BatchEstimator.fit_transform_batches`.
    """
    if not isinstance(rows_in_memory, Integral) or rows_in_memory < 1:
        raise InvalidParameterError(
            f"`rows_in_memory` must be a positive integer, got {shown(rows_in_memory)}."
        )
    if spill_dir is not None and not Path(spill_dir).is_dir():
        raise InvalidParameterError(
            f"`spill_dir`={shown(str(spill_dir))} is not a folder; create it first."
        )
    is_one = isinstance(y, Sequence) and not isinstance(y, str) and len(y) == 1
    roles = Roles(y[0] if is_one else y, sample_weight, groups, features)
    with open_source(source, spill_dir=spill_dir) as opened:
        roles.check(opened.names)
        if out is not None:
            check_target(opened, out.path, out.keep, out.rows_a_file, out.compression)
        blocks = _Blocks(opened, roles, bool(estimator.verbose))
        held, n_held = [], 0
        blocks_read = blocks.told("counting")
        for rows, place in blocks_read:
            # The container of the first block tells roles; others would take memory twice.
            held.append((replace(rows, X=None) if held else rows, place))
            n_held += len(rows)
            if n_held > rows_in_memory:
                break
        else:
            folds = _fit_in_memory(estimator, [rows for rows, _ in held], out)
            return None if out is None else out.write(estimator, opened, folds)
        with (
            checkpoints_in(
                estimator.checkpoint, estimator.checkpoint_interval, estimator._described()
            ) as kept,
            TemporaryFolder(spill_dir) as folder,
        ):
            streamed = Streamed(estimator, blocks, int(rows_in_memory), folder.path)
            folds = streamed.fit(held, blocks_read, kept, out)
            if out is None:
                return None
            written = out.write(estimator, opened, folds)
            if kept is not None:  # not before, so that nothing is lost if vectors are refused
                kept.remove()
            return written


def _interrupted() -> KeyboardInterrupt:
    """Return the error after which no vectors are written."""
    return KeyboardInterrupt(
        "Training was interrupted. The estimator has the best state so far, but no vectors of the "
        "training rows were written; fit again."
    )


def _fit_in_memory(
    estimator: EmbeddingEstimator, parts: list[BlockRows], out: OutOfFold | None
) -> Folds | None:
    """Fit blocks that fit in memory as one table; return the folds of its rows."""
    weights = [part.weights for part in parts if part.weights is not None]
    groups = [part.groups for part in parts if part.groups is not None]
    table, y = joined_tables([part.table for part in parts]), [part.y for part in parts]
    rows = estimator._fit(
        table,
        np.concatenate(y),
        np.concatenate(weights) if weights else None,
        np.concatenate(groups) if groups else None,
        frame=parts[0].X,
        beside=() if out is None else out.keep,
    )
    if rows is None:
        estimator._keep_earlier_fit(transforms=out is not None)
        return None
    names: list[str] = estimator.categorical_features_
    estimator.category_count_errors_ = dict.fromkeys(names, 0)
    if out is not None and rows.interrupted:
        raise _interrupted()
    fold: NDArray[np.int64] | None = estimator.fold_
    if fold is None:
        return None
    return lambda start, stop: fold[start:stop].reshape(stop - start, -1)


class Streamed:
    """A fit whose rows are in files."""

    def __init__(
        self, estimator: EmbeddingEstimator, blocks: _Blocks, window_rows: int, folder: Path
    ) -> None:
        self.estimator, self.blocks = estimator, blocks
        self.window_rows, self.folder = window_rows, folder
        self._check_parameters()

    def fit(
        self,
        held: list[tuple[BlockRows, str]],
        following: Iterator[tuple[BlockRows, str]],
        kept: Checkpoints | None,
        out: OutOfFold | None = None,
    ) -> Folds | None:
        """Fit blocks that are `held`, and those `following` them; return the folds of the rows."""
        e: Any = self.estimator
        check_output(e)
        decide = Seeds.numbers(e.random_state, 1)
        (seeds,) = Seeds.of(decide if kept is None else kept.seeds(decide))
        survey = self._survey(held, following, int(seeds.folds.randint(2**31 - 1)))
        found = conclude(survey, **self._loss_options())
        given, scale = found.given, found.scale
        link = resolve_link(getattr(e, "y_range", None), given, scale)
        columns = self._columns(found)
        drawn = draw_folds(e, given, columns, seeds)
        columns = add_crosses(e, given, columns, None, drawn, seeds)
        first, _ = first_vectors(e, given, columns, drawn, deepcopy(seeds))
        beside = () if out is None else out.keep
        check_names(e, first, columns, given.target.n_outputs, beside)
        del first
        with self._spilled(columns, found) as spilled:
            self._write(spilled, found, columns, self._drawing(survey, drawn))
            rows, columns = spilled.finish(
                columns,
                found,
                min_frequency=e.min_frequency,
                max_categories=e.max_categories,
                n_tables=drawn.n_tables,
                withholds=withholds(e, columns),
                window_rows=self.window_rows,
                judges=e.early_stopping,
            )
        # Now that all pairs have been counted: their tables have other sizes.
        tables, start = first_vectors(e, given, columns, drawn, seeds)
        heads = n_heads(rows.n_samples, drawn.n_tables, HEADS[e.head])
        config = training_config(e, given, columns, rows.n_samples, heads, scale, link, seeds)
        if kept is not None:
            kept.check_data(spilled.marks(columns, tables, self.window_rows))
        keeper = None if kept is None else kept.keeper(0, 1)
        result, known = self._learn(tables, rows, start, config, keeper)
        if not len(result.loss_curve):
            e._keep_earlier_fit(transforms=out is not None)
            return None
        member = build_member(tables, result, start, known, columns, scale, link)
        model = e._served(build_model([member], columns, scale, link))
        errors = {counter.name: counter.largest_error for counter in survey.counters}
        judged = honest_rows(known, rows.n_samples, result)
        trained = Trained([member], [result], None, judged)
        more = {"removes": out is None, "category_count_errors_": errors}
        e._become(model, trained, given, columns, kept, **more)
        if out is not None and result.interrupted:
            raise _interrupted()
        if not cross_fits(e, columns):
            return None
        return lambda start, stop: spilled.folds.read(start, stop).astype(np.int64)[:, None]

    def _learn(
        self,
        tables: list[Floats],
        rows: Rows,
        start: StartingPoint,
        config: TrainingConfig,
        keeper: Keeper | None,
    ) -> tuple[TrainingResult, Rows]:
        """Train, and return the result and rows that know what building a model takes."""
        with torch_import("Training"):
            from sk_entity_embed.learning.learn import learn
        tell = teller(self.estimator, config)
        return learn(tables, rows, start, config, keeper, tell), rows

    def _check_parameters(self) -> None:
        """Refuse parameters that need all rows in memory."""
        e: Any = self.estimator
        reasons = {
            "warm_start": e.warm_start,
            "n_members": e.n_members > 1,
            "cv": not is_integer(e.cv),
            "init": hasattr(e.init, "fit"),
        }
        for name, refused in reasons.items():
            if refused:
                raise InvalidParameterError(
                    f"`{name}`={shown(getattr(e, name))} needs all rows in memory, but "
                    f"{self._why_not(name)}"
                )

    def _why_not(self, name: str) -> str:
        """Say why rows are not in memory, and what to do."""
        return (
            f"the source has more than rows_in_memory={self.window_rows}. Give a larger "
            f"`rows_in_memory`, or leave `{name}` at its default."
        )

    def _loss_options(self) -> dict[str, Any]:
        options = self.estimator._target_options()
        return {name: options[name] for name in ("loss", "class_weight")}

    def _survey(
        self,
        held: list[tuple[BlockRows, str]],
        following: Iterator[tuple[BlockRows, str]],
        seed: int,
    ) -> Survey:
        """Count all rows. Roles of columns are those that the first block shows."""
        survey = self._empty_survey(*held[0], seed)
        number = 0
        while held:
            rows, place = held.pop(0)
            with reading(place):
                survey.add(rows, number)
            number += 1
        for rows, place in following:
            with reading(place):
                survey.add(rows, number)
            number += 1
        return survey

    def _empty_survey(self, first: BlockRows, place: str, seed: int) -> Survey:
        """Return a survey of no rows, of columns whose roles the first block shows."""
        e: Any = self.estimator
        with reading(place):
            categorical, context = select_categorical(
                e.categorical_features, first.table, first.X, required=e._needs_categories
            )
            lengths = lengths_of_lists(e, first.table, categorical)
        return Survey(
            categorical,
            context,
            lengths,
            e.max_categories,
            TargetSurvey(e._target_options()["target_type"]),
            seed,
        )

    def _columns(self, found: Surveyed) -> EncodedColumns:
        """Return columns with vocabularies of all rows; check their roles by the sample."""
        e: Any = self.estimator
        survey, table, target = found.survey, found.given.used, found.given.target
        chosen = e.categorical_features
        if isinstance(chosen, str):
            again, _ = select_categorical(chosen, table, table, required=e._needs_categories)
            if changed := set(again) ^ set(survey.categorical):
                names = [table.columns[j].name for j in sorted(changed)]
                raise InvalidDataError(
                    f"Columns {shown(names)} look categorical in some blocks and like quantities "
                    "in others; name the columns to embed in `categorical_features`."
                )
        poolings = poolings_of(e, table, survey.categorical, target)
        columns = encode_sample(
            found,
            min_frequency=e.min_frequency,
            max_categories=e.max_categories,
            handle_missing=e.handle_missing,
            poolings=poolings,
        )
        context = survey.context
        check_roles(chosen, table, survey.categorical, context, columns.codes, target)
        return columns

    def _drawing(self, survey: Survey, drawn: FoldAssignment) -> Drawing:
        e: Any = self.estimator
        n, share = survey.n_rows, float(e.validation_fraction)
        judged = min(share, MOST_JUDGED / n) if e.early_stopping else 0.0
        return Drawing(drawn.n_tables, judged, survey.seed)

    @contextmanager
    def _spilled(self, columns: EncodedColumns, found: Surveyed) -> Iterator[Spilled]:
        """Give files to write to; say where they are if there is no space."""
        spilled = Spilled.start(self.folder, columns, found.given.target)
        try:
            yield spilled
        except OSError as error:
            error.add_note(
                f"Coded rows are written to {str(self.folder.parent)!r}; give `spill_dir` a folder "
                "with more space."
            )
            raise
        finally:
            spilled.close()

    def _write(
        self, spilled: Spilled, found: Surveyed, columns: EncodedColumns, drawing: Drawing
    ) -> None:
        """Read the source once more and write coded rows."""
        y_range = getattr(self.estimator, "y_range", None)
        for number, (rows, place) in enumerate(self.blocks.told("coding")):
            with reading(place):
                spilled.add(rows, number, found, columns, drawing, y_range)
