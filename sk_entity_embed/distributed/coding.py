"""Tasks that read pieces of a data set: one counts, the next ones code."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sk_entity_embed.distributed.cluster import held
from sk_entity_embed.distributed.pieces import place_of, table_of
from sk_entity_embed.fitting.preparation import EncodedColumns, LabelSums
from sk_entity_embed.fitting.streaming import MOST_PAIRS, Drawing, Spilled, Surveyed
from sk_entity_embed.fitting.survey import Sample, Survey
from sk_entity_embed.input.blocks import BlockRows, Roles, read_block
from sk_entity_embed.input.crosses import CrossVocabulary, PairCounter
from sk_entity_embed.input.lists import Codes, Lists
from sk_entity_embed.input.sources import reading
from sk_entity_embed.input.target import class_factors
from sk_entity_embed.learning.problem import TrainingRows
from sk_entity_embed.learning.sharding import joined


@dataclass(slots=True)
class Coded:
    """Coded rows of a piece: codes by column, and all else that training needs, by name."""

    codes: list[Codes] = field(default_factory=list)
    numbers: dict[str, NDArray[Any]] = field(default_factory=dict)

    def append(self, codes: Sequence[Codes], **numbers: NDArray[Any]) -> None:
        """Take the rows, once."""
        self.codes = list(codes)
        types = {"weights": np.float32, "target": np.float32, "context": np.float32}
        self.numbers = {k: v.astype(types.get(k, v.dtype), copy=False) for k, v in numbers.items()}

    def __len__(self) -> int:
        return len(self.numbers["fold"])


@dataclass(slots=True)
class Totals:
    """What coded rows add up to."""

    n_samples: int
    weight: float
    n_judged: int
    folds_met: set[int]
    sums: list[LabelSums]


@dataclass(frozen=True, slots=True)
class Plan:
    """All that coding takes."""

    roles: Roles
    found: Surveyed
    columns: EncodedColumns
    drawing: Drawing
    y_range: Any

    @classmethod
    def of(
        cls,
        roles: Roles,
        found: Surveyed,
        columns: EncodedColumns,
        drawing: Drawing,
        y_range: Any,
    ) -> Plan:
        """Return a plan without what was sampled and counted, which is not needed any more."""
        given, some = found.given, np.arange(1)
        given = replace(
            given,
            table=given.table.take(some),
            used=given.used.take(some),
            kept=given.kept[some],
            target=replace(given.target, values=given.target.values[some]),
            sample_weight=given.sample_weight[some],
            weights=given.weights[some],
            groups=None,
        )
        survey = replace(found.survey, counters=[], sample=Sample(0))
        columns = replace(
            columns,
            codes=[],
            numbers=np.empty((0, 0)),
            context_values=np.empty((0, 0), dtype=np.float32),
        )
        return cls(roles, replace(found, given=given, survey=survey), columns, drawing, y_range)


def first_rows(piece: Any, roles: Roles, n: int) -> tuple[BlockRows, str]:
    """Read the beginning of the first piece."""
    place = place_of(piece, 0)
    with reading(place):
        return read_block(table_of(piece)[:n], roles), place


def survey_piece(piece: Any, number: int, roles: Roles, empty: Survey) -> Survey:
    """Count the rows of a piece."""
    survey = deepcopy(empty)  # what Ray gives cannot be written to
    with reading(place_of(piece, number)):
        survey.add(read_block(table_of(piece), roles), number)
    return survey


def merge_surveys(*found: Survey) -> Survey:
    """Return what several pieces of the data set told, in their order."""
    first = deepcopy(found[0])
    for other in found[1:]:
        first.merge(other)
    return first


def code_piece(piece: Any, number: int, plans: Sequence[Any]) -> tuple[Coded, Totals, int]:
    """Code the rows of a piece; return them, what they add up to, and how many they are."""
    plan: Plan = held(plans)
    columns = plan.columns
    coded = Coded()
    own = columns.vocabularies[: len(columns.categorical)]
    sums = [LabelSums(len(v.label_rows), plan.found.given.target) for v in own]
    files: Any = coded
    folds: Any = []
    spilled = Spilled(files, folds, sums)
    with reading(place_of(piece, number)):
        rows = read_block(table_of(piece), plan.roles)
        spilled.add(rows, number, plan.found, columns, plan.drawing, plan.y_range)
    n = len(coded)
    totals = Totals(n, spilled.total_weight, spilled.n_judged, spilled.folds_met, sums)
    return coded, totals, n


def merge_totals(*found: Totals) -> Totals:
    """Return what the rows of several pieces add up to."""
    first = deepcopy(found[0])
    for other in found[1:]:
        first.n_samples += other.n_samples
        first.weight += other.weight
        first.n_judged += other.n_judged
        first.folds_met |= other.folds_met
        _add_sums(first.sums, other.sums)
    return first


def count_crosses(
    coded: Coded, plans: Sequence[Any]
) -> list[tuple[NDArray[np.int64], NDArray[np.int64], int]]:
    """Count the pairs of each cross in coded rows."""
    columns = held(plans).columns
    found = []
    for pair in columns.crosses:
        counter = PairCounter([columns.vocabularies[j] for j in pair], MOST_PAIRS)
        counter.add(*_plain(coded, pair))
        found.append(counter.counted())
    return found


def code_crosses(
    coded: Coded, plans: Sequence[Any], crosses: Sequence[CrossVocabulary]
) -> tuple[Coded, list[LabelSums]]:
    """Return rows with the codes of crosses, and sums of the target by their labels."""
    plan: Plan = held(plans)
    found, numbers = plan.found, coded.numbers
    values = found.scale.restore(numbers["target"].astype(np.float64))
    rows = replace(found.given.target, values=values)
    own = numbers["weights"].astype(np.float64)
    if found.class_weight is not None:
        own /= class_factors(found.class_weight, rows)
    codes, sums = list(coded.codes), []
    for pair, cross in zip(plan.columns.crosses, crosses, strict=True):
        positions = cross.locate(*_plain(coded, pair))
        codes.append(cross.rows_of(positions))
        sums.append(LabelSums(len(cross.label_rows), found.given.target))
        sums[-1].add(positions, None, rows, own)
    return Coded(codes, numbers), sums


def merge_sums(*found: list[LabelSums]) -> list[LabelSums]:
    """Return the sums over several pieces."""
    first = deepcopy(found[0])
    for other in found[1:]:
        _add_sums(first, other)
    return first


def training_rows(
    parts: Sequence[tuple[Coded, int, int]],
    n_tables: int,
    n_rows: Sequence[int],
    mean_weight: float,
    withholds: bool,
) -> TrainingRows:
    """Return the rows of a worker: some of each part, from one number up to another."""
    found = []
    for coded, start, stop in parts:
        at = slice(start, stop)
        numbers = {name: values[at] for name, values in coded.numbers.items()}
        numbers["weights"] = numbers["weights"] / np.float32(mean_weight)
        judges = numbers["validation"]
        found.append(
            TrainingRows(
                codes=[codes[at] for codes in coded.codes],
                withheld=judges if withholds else np.zeros_like(judges),
                n_tables=n_tables,
                n_rows=n_rows,
                seen_by_all=[],
                **numbers,
            )
        )
    return replace(joined(found), seen_by_all=None)


def _add_sums(sums: Sequence[LabelSums], others: Sequence[LabelSums]) -> None:
    for own, other in zip(sums, others, strict=True):
        own.merge(other)


def _plain(coded: Coded, pair: tuple[int, int]) -> list[NDArray[np.int32]]:
    """Return the codes of two columns, none of lists."""
    both = [coded.codes[j] for j in pair]
    return [codes for codes in both if not isinstance(codes, Lists)]
