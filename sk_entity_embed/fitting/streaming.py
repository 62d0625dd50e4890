"""From blocks of rows that do not fit in memory to training rows in files.

The rows are read twice: once to count, once to code and to write what training needs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sk_entity_embed.exceptions import (
    InvalidDataError,
)
from sk_entity_embed.fitting.preparation import (
    CheckedInput,
    EncodedColumns,
    LabelSums,
    code_column,
    resolve_link,
    warn_of_empty_columns,
)
from sk_entity_embed.fitting.survey import Survey
from sk_entity_embed.input.blocks import BlockRows
from sk_entity_embed.input.context import fit_context, stack_numbers
from sk_entity_embed.input.crosses import AnyVocabulary, CrossVocabulary, PairCounter
from sk_entity_embed.input.identity import hash_groups, mixed
from sk_entity_embed.input.lists import Lists
from sk_entity_embed.input.table import Column, Table
from sk_entity_embed.input.target import Target, apply_class_weight, class_factors, target_like
from sk_entity_embed.input.vocabulary import Vocabulary
from sk_entity_embed.learning.problem import Floats
from sk_entity_embed.learning.stored import BLOCK_ROWS, ArrayFile, RowFiles, StoredRows
from sk_entity_embed.model.losses import Scale, resolve_loss
from sk_entity_embed.model.poolings import Pooling

MOST_JUDGED = 100_000
"""Rows that decide when to stop, at most, where there are more than fit in memory."""
MOST_PAIRS = 4_000_000
"""Pairs of a cross that are told apart, at most."""


@dataclass(frozen=True, slots=True)
class Surveyed:
    """What a survey found: the target's kind, units and loss, and the sample as checked input.

    `class_weight` are those of the classes, where "balanced" has been worked out. `unit` and
    `class_unit` are powers of two that weights of rows and of classes are divided by.
    """

    survey: Survey
    given: CheckedInput
    scale: Scale
    class_weight: Any
    unit: float
    class_unit: float

    def class_factors(self, target: Target) -> NDArray[np.float64] | float:
        """Return the weight of each row's class, in one unit for all rows."""
        if self.class_weight is None:
            return 1.0
        return class_factors(self.class_weight, target) / self.class_unit


def conclude(survey: Survey, *, loss: str, class_weight: Any) -> Surveyed:
    """Return what a survey of all rows found."""
    if survey.n_rows == 0:
        raise InvalidDataError(
            "All rows of the source have zero weight; at least one must have a weight above zero."
        )
    target = survey.target.target()
    resolved = resolve_loss(loss, target)
    like_all = (target, np.ones(len(target.values)))
    if not target.is_classification:
        like_all = survey.target.like_all(target)
    sample = survey.sample.rows()
    of_sample = target_like(target, sample.y)
    weights = np.ones(len(sample)) if sample.weights is None else sample.weights
    exponent = int(np.frexp(survey.largest_weight or 1.0)[1]) - 1
    weights = np.ldexp(weights, -exponent)
    by_class = survey.class_weight(class_weight, target)
    given = CheckedInput(
        table=sample.table,
        used=sample.table,
        kept=np.ones(len(sample), dtype=bool),
        target=of_sample,
        loss=resolved,
        sample_weight=weights,
        weights=apply_class_weight(by_class, of_sample, weights),
        groups=None if sample.groups is None else pd.factorize(sample.groups)[0],
    )
    class_unit = 1.0
    if by_class is not None:
        class_unit = 2.0 ** (np.frexp(class_factors(by_class, target).max())[1] - 1)
    return Surveyed(survey, given, resolved.scale(*like_all), by_class, 2.0**exponent, class_unit)


def encode_sample(
    found: Surveyed,
    *,
    min_frequency: float | int | None,
    max_categories: int | None,
    handle_missing: Any,
    poolings: Sequence[type[Pooling] | None],
) -> EncodedColumns:
    """Return the columns as fit has them, with vocabularies of all rows and codes of the sample.

    Means of the target are not known yet.
    """
    survey, table = found.survey, found.given.used
    vocabularies = tuple(
        counter.vocabulary(
            min_frequency=min_frequency, max_categories=max_categories, missing=handle_missing
        )
        for counter in survey.counters
    )
    numbers = stack_numbers([table.columns[j] for j in survey.context], table.n_rows)
    shares = survey.missing / survey.n_rows
    scaling = replace(fit_context(numbers), missing_shares=shares)
    empty = [j for j, v in zip(survey.categorical, vocabularies, strict=True) if not v.n_categories]
    empty += [survey.context[k] for k in np.flatnonzero(shares == 1.0).tolist()]
    warn_of_empty_columns([table.columns[j].name for j in sorted(empty)])
    cut = cut_columns(table, survey)
    codes = [v.encode(column) for column, v in zip(cut, vocabularies, strict=True)]
    for vocabulary in vocabularies:
        vocabulary.forget()
    return EncodedColumns(
        names=tuple(c.name for c in table.columns),
        categorical=tuple(survey.categorical),
        context=tuple(survey.context),
        vocabularies=vocabularies,
        scaling=scaling,
        codes=codes,
        numbers=numbers,
        context_values=scaling.apply(numbers),
        target_means=[],
        poolings=tuple(poolings),
        max_lengths=tuple(survey.max_lengths),
    )


@dataclass(frozen=True, slots=True)
class Drawing:
    """How rows are dealt to folds and validation: drawn, or by the hash of their group.

    Of rows in a stream nobody knows how many there will be. `n_tables` is 1 without folds, and
    `judged` the share of the rows that validate.
    """

    n_tables: int
    judged: float
    seed: int

    def draw(
        self, n: int, groups: NDArray[Any] | None, number: int
    ) -> tuple[NDArray[np.int16], NDArray[np.bool_]]:
        """Return fold of each row of the block of that number, and whether it validates."""
        if groups is None:
            random = np.random.default_rng([self.seed, number])
            fold = random.integers(self.n_tables, size=n, dtype=np.int16)
            return fold, random.random(n) < self.judged
        marks = mixed(hash_groups(groups), self.seed)
        low, high = marks & np.uint64(2**32 - 1), marks >> np.uint64(32)
        return (low % self.n_tables).astype(np.int16), high < self.judged * 2.0**32


@dataclass(slots=True)
class Spilled:
    """Rows as they are written: files of training rows, and the fold of each row of the source.

    Rows of zero weight have the fold -1, and are no training rows.
    """

    files: RowFiles
    folds: ArrayFile
    sums: list[LabelSums]
    total_weight: float = 0.0
    n_judged: int = 0
    folds_met: set[int] = field(default_factory=set)

    @classmethod
    def start(cls, folder: Path, columns: EncodedColumns, target: Target) -> Spilled:
        """Return the files, empty."""
        vocabularies = columns.vocabularies[: len(columns.categorical)]
        files = RowFiles(
            folder,
            [v.n_rows for v in vocabularies],
            [v.is_list for v in vocabularies],
            columns.scaling.n_context,
            target.values.shape[1],
        )
        sums = [LabelSums(len(v.label_rows), target) for v in vocabularies]
        return cls(files, ArrayFile(folder / "source-folds.bin", np.int16), sums)

    def add(
        self,
        rows: BlockRows,
        number: int,
        found: Surveyed,
        columns: EncodedColumns,
        drawing: Drawing,
        y_range: Any,
    ) -> None:
        """Code a block, the one of that number, and write it."""
        fold, judges = drawing.draw(len(rows), rows.groups, number)
        if rows.weights is not None:
            kept = rows.weights > 0
            fold[~kept] = -1
            rows, judges = rows.take(np.flatnonzero(kept)), judges[kept]
        self.folds.append(fold)
        fold = fold[fold >= 0]
        survey, scale = found.survey, found.scale
        target = target_like(found.given.target, rows.y)
        found.given.loss.check(target)
        own = np.ones(len(rows)) if rows.weights is None else rows.weights / found.unit
        resolve_link(y_range, replace(found.given, target=target), scale)
        weights = own * found.class_factors(target)
        vocabularies: Any = columns.vocabularies[: len(columns.categorical)]
        codes = []
        for column, vocabulary, sums in zip(
            cut_columns(rows.table, survey), vocabularies, self.sums, strict=True
        ):
            coded, positions, offsets = code_column(column, vocabulary)
            sums.add(positions, offsets, target, own)
            codes.append(coded)
        numbers = stack_numbers([rows.table.columns[j] for j in survey.context], len(rows))
        self.files.append(
            codes,
            context=columns.scaling.apply(numbers),
            target=scale.apply(target.values),
            weights=weights,
            fold=fold,
            validation=judges,
        )
        self.total_weight += float(weights.sum())
        self.n_judged += int(judges.sum())
        self.folds_met |= set(np.unique(fold).tolist())

    def finish(
        self,
        columns: EncodedColumns,
        found: Surveyed,
        *,
        min_frequency: float | int | None,
        max_categories: int | None,
        n_tables: int,
        withholds: bool,
        window_rows: int,
        judges: bool,
    ) -> tuple[StoredRows, EncodedColumns]:
        """Return the training rows, and the columns with crosses and target means of all rows."""
        refuse_few_groups(len(self.folds_met), n_tables, self.n_judged if judges else None)
        self.folds.close()
        parents: Any = columns.vocabularies[: len(columns.categorical)]
        means = [sums.means for sums in self.sums]
        vocabularies: list[AnyVocabulary] = list(parents)
        codes = list(columns.codes[: len(parents)])
        for pair in columns.crosses:
            cross, of_all = self._cross(
                pair, [parents[j] for j in pair], found, min_frequency, max_categories
            )
            vocabularies.append(cross)
            means.append(of_all)
            codes.append(cross.encode(*(codes[j] for j in pair)))  # type: ignore[arg-type]
        columns = replace(
            columns, vocabularies=tuple(vocabularies), codes=codes, target_means=means
        )
        rows = StoredRows(
            self.files,
            n_tables=n_tables,
            mean_weight=self.total_weight / self.files.n_samples,
            withholds=withholds,
            window_rows=window_rows,
        )
        return rows, columns

    def close(self) -> None:
        """End the writing, whatever it came to."""
        files: list[Any] = [self.folds, *self.files.codes, *self.files.numbers.values()]
        for file in files:
            with suppress(OSError):  # of what was left to write to a full disk
                file.close()

    def marks(
        self, columns: EncodedColumns, tables: Sequence[Floats], window_rows: int
    ) -> dict[str, str]:
        """Return what tells these rows, and what training starts from, from others."""
        files, numbers = self.files, self.files.numbers
        labels = joblib.hash([v.labels for v in columns.vocabularies])
        columns_of_x = [*(f.content for f in files.codes), numbers["context"].content, labels]
        return {
            "X": hashlib.blake2b("".join(columns_of_x).encode()).hexdigest(),
            "y": numbers["target"].content,
            "sample_weight": numbers["weights"].content,
            "folds": numbers["fold"].content + numbers["validation"].content,
            "the widths of vectors": str([table.shape for table in tables]),
            "`rows_in_memory`": str(window_rows),
        }

    def _cross(
        self,
        pair: tuple[int, int],
        parents: Sequence[Vocabulary],
        found: Surveyed,
        min_frequency: float | int | None,
        max_categories: int | None,
    ) -> tuple[CrossVocabulary, NDArray[np.float64]]:
        """Learn a cross from all rows and write its codes; return it and its target means."""
        self.files.close()
        counter = PairCounter(parents, MOST_PAIRS)
        for both in self._codes_of(pair):
            counter.add(*both)
        cross = counter.vocabulary(min_frequency=min_frequency, max_categories=max_categories)
        target = found.given.target
        sums, file = LabelSums(len(cross.label_rows), target), self.files.new_column(cross.n_rows)
        start = 0
        for both in self._codes_of(pair):
            at, start = (start, start + len(both[0])), start + len(both[0])
            positions = cross.locate(*both)
            file.append(cross.rows_of(positions))
            values = found.scale.restore(self.files.numbers["target"].read(*at).astype(np.float64))
            own = self.files.numbers["weights"].read(*at).astype(np.float64)
            rows = replace(target, values=values)
            sums.add(positions, None, rows, own / found.class_factors(rows))
        return cross, sums.means

    def _codes_of(self, pair: tuple[int, int]) -> Iterator[list[NDArray[Any]]]:
        """Yield the codes of two columns, some rows at a time."""
        n = self.files.n_samples
        for start in range(0, n, BLOCK_ROWS):
            at = start, min(start + BLOCK_ROWS, n)
            both = [self.files.codes[j].read(*at) for j in pair]
            yield [codes for codes in both if not isinstance(codes, Lists)]


def refuse_few_groups(n_folds: int, n_tables: int, n_judged: int | None) -> None:
    """Refuse rows of which none are left for other folds, or to judge; None if none has to."""
    if n_folds < min(2, n_tables) or n_judged == 0:
        raise InvalidDataError(
            "There are too few groups: none is left for some folds or for early stopping. Give "
            "more groups, a smaller `cv`, or early_stopping=False."
        )


def cut_columns(table: Table, survey: Survey) -> list[Column]:
    """Return the categorical columns of a table, of lists the last items that are used."""
    return [
        table.columns[j] if n is None else table.columns[j].last(n)
        for j, n in zip(survey.categorical, survey.max_lengths, strict=True)
    ]
