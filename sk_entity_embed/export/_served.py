"""Lookup: what ``transform`` gives each category of a column, to be written elsewhere."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from sk_entity_embed._access import exported_step, fitted_model, table_of
from sk_entity_embed.exceptions import InvalidParameterError, UnsupportedDataError
from sk_entity_embed.input.crosses import AnyVocabulary, CrossVocabulary
from sk_entity_embed.input.vocabulary import INFREQUENT, MISSING, UNKNOWN
from sk_entity_embed.model.tables import EmbeddingTable

_KEY_TYPES = re.compile(
    "(large_)?string|u?int|halffloat|float|double|decimal128|bool|date|timestamp|time|binary"
)
"""Beginnings of the names of Arrow's types that data bases compare as a key."""


@dataclass(frozen=True)
class Lookup:
    """The vectors of one column, of the items of its lists, or of a pair of columns.

    It says which cells get one. Of a pair `sides` are the places of its columns among all look-ups;
    `is_side` says whether a column is one.
    """

    table: EmbeddingTable
    serves_missing: bool
    serves_unknown: bool
    sides: tuple[int, int] | None = None
    is_side: bool = False

    @property
    def vocabulary(self) -> AnyVocabulary:
        """The categories and their rows."""
        return self.table.vocabulary

    @property
    def name(self) -> str:
        """Name of the column."""
        return self.vocabulary.name

    @property
    def outputs(self) -> list[str]:
        """Names of the output columns, those of ``get_feature_names_out``."""
        return self.table.names()

    @cached_property
    def vectors(self) -> NDArray[np.float32]:
        """The vectors of ``transform``, by table row."""
        return self.table.served

    @property
    def coordinates(self) -> NDArray[np.float32]:
        """The vectors without biases."""
        return self.vectors[:, : self.table.n_axes]

    @property
    def unknown(self) -> NDArray[np.float32]:
        """Vector of unknown categories, where they are served."""
        row: NDArray[np.float32] = self.vectors[UNKNOWN]
        return row

    @property
    def missing(self) -> NDArray[np.float32]:
        """Vector of missing cells, where they are served."""
        row: NDArray[np.float32] = self.vectors[self.vocabulary.missing_row]
        return row

    @property
    def has_type(self) -> bool:
        """Whether fit told the type of the categories: a column of missing cells may have none."""
        keys = self.vocabulary.keys
        typed = keys is not None and not pa.types.is_null(keys.type)
        return typed or len(self.vocabulary.categories) > 0

    def rows(self) -> tuple[list[str], NDArray[np.int32]]:
        """Return kinds and table rows: of the categories in order, then of the others.

        These are "missing", "empty" and "unknown", where they are served.
        """
        vocabulary, codes = self.vocabulary, self.vocabulary.rows.tolist()
        kinds = ["category"] * len(codes)
        if self.serves_missing:
            kinds.append("missing")
            codes.append(vocabulary.missing_row)
        # Where fit met no empty list, it is treated as an unknown item.
        if vocabulary.is_list and (vocabulary.empty_row != UNKNOWN or self.serves_unknown):
            kinds.append("empty")
            codes.append(vocabulary.empty_row)
        if self.serves_unknown:
            kinds.append("unknown")
            codes.append(UNKNOWN)
        return kinds, np.array(codes, dtype=np.int32)

    def sides_of(self, n_rows: int) -> dict[str, NDArray[np.int32]]:
        """Return what a pair is found by, the table rows of its columns; -1 after the pairs.

        Of a column that is a side of a pair, these are its own, and of others nothing.
        """
        if isinstance(self.vocabulary, CrossVocabulary):
            pad = np.full(n_rows - len(self.vocabulary.pairs), -1)
            parents = self.vocabulary.parents
            return {
                f"row_{k}": np.append(rows, pad).astype(np.int32) for k, rows in enumerate(parents)
            }
        return {"row": self.rows()[1]} if self.is_side else {}

    def shown(self) -> list[tuple[str, Any, int, int]]:
        """Return kind, category, table row and count of what a viewer shows: vectors without NaN.

        They are the categories in order, missing where it is a category, and unknown, if served.
        """
        vocabulary = self.vocabulary
        categories, counts = vocabulary.categories.tolist(), vocabulary.counts.tolist()
        found: list[tuple[str, Any, int, int]] = [
            ("infrequent" if row == INFREQUENT else "category", category, row, count)
            for category, row, count in zip(
                categories, vocabulary.rows.tolist(), counts, strict=True
            )
        ]
        if vocabulary.knows_missing and np.isfinite(self.missing).all():
            found.append(("missing", np.nan, vocabulary.missing_row, vocabulary.missing_count))
        if self.serves_unknown and np.isfinite(self.unknown).all():
            found.append(("unknown", None, UNKNOWN, 0))
        return found

    def keys(self) -> pa.Array:
        """Return the categories without missing as an Arrow array; strings where there are none.

        Raises
        ------
        UnsupportedDataError
            If they are of mixed type, or of one that is not a key in a data base.
        """
        if not self.has_type:
            return pa.array([], pa.large_string())
        if self.vocabulary.keys is not None:
            return self.vocabulary.keys[:-1]
        values = self.vocabulary.categories.tolist()
        types = {type(value) for value in values}
        if types == {int, Decimal}:
            values, types = [Decimal(value) for value in values], {Decimal}
        keys = _to_arrow(values) if len(types) == 1 else None
        if keys is None or not _KEY_TYPES.match(str(keys.type)):
            names = ", ".join(sorted(t.__name__ for t in types))
            raise UnsupportedDataError(
                f"The categories of column {self.name!r} cannot be keys of a table: they are of "
                f"type {names}. Keys are strings (of valid Unicode), integers of 64 bits, floats, "
                "decimals of up to 38 digits, booleans, dates, times or bytes, of one type in a "
                "column; make them strings before the fit, or use lookup_frames."
            )
        return keys


def lookups_of(encoder: Any) -> list[Lookup]:
    """Return the look-ups of all columns, in the order of the output."""
    model = fitted_model(encoder)
    serves_unknown = not model.refuses_unknown
    lookups = []
    sides = {side for pair in model.crosses for side in pair}
    for j, table in enumerate(model.column_tables):
        # A missing cell that is not a category of its own is treated as an unknown one.
        known = serves_unknown or table.vocabulary.missing_row == MISSING
        served = known and not model.refuses_missing, serves_unknown
        lookups.append(Lookup(table, *served, is_side=j in sides))
    for pair, table in zip(model.crosses, model.tables[len(lookups) :], strict=True):
        lookups.append(Lookup(table, False, True, pair))  # no policy refuses a pair
    return lookups


def lookup_of(encoder: Any, column: str | None) -> Lookup:
    """Return the look-up of one column; None is the only one."""
    name = table_of(encoder, column).vocabulary.name
    return next(lookup for lookup in lookups_of(encoder) if lookup.name == name)


def exported_lookups(
    encoder: Any, what: str, *, lists: bool = False
) -> tuple[list[Lookup], list[str]]:
    """Return look-ups that are all of ``transform``, and the numbers that it passes through.

    Raises
    ------
    InvalidParameterError
        If hidden layer or predictions are part of the output; `what` is to be made of it, for the
        error.
    UnsupportedDataError
        If a column holds lists, unless `lists` are looked up, too.

    Warns
    -----
    PartialExportWarning
        As :func:`exported_step`.
    """
    model = fitted_model(step := exported_step(encoder))
    if model.output.reads_head:
        raise InvalidParameterError(
            f"{what} can only compute output='embedding', but the encoder has "
            f"output={model.output.name!r}, which the network computes from all columns "
            "together. Fit with output='embedding', or take the vectors from lookup_frames or "
            "to_parquet."
        )
    lookups = lookups_of(step)
    for lookup in lookups:
        if lookup.vocabulary.is_list and not lists:
            raise UnsupportedDataError(
                f"{what} can look up single values only, but column {lookup.name!r} holds lists, "
                "whose items' vectors are pooled. Use transform or pyarrow_transform, or write the "
                "items' vectors with to_parquet and pool them yourself."
            )
    return lookups, [model.names[j] for j in model.context] if model.output.numbers else []


def _to_arrow(values: list[Any]) -> pa.Array | None:
    """Return values in Arrow's type for them; None where there is none that keeps them."""
    try:
        made = pa.array(pd.Series(values) if isinstance(values[0], pd.Timestamp) else values)
        return made if made.to_pylist() == values else None
    except (pa.ArrowException, OverflowError, TypeError, UnicodeEncodeError, ValueError):
        return None
