"""Lookup: what ``transform`` gives each category of a column, as a value to write elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from sk_entity_embed._access import fitted_model, table_of
from sk_entity_embed.exceptions import InvalidParameterError, UnsupportedDataError
from sk_entity_embed.input.vocabulary import MISSING, UNKNOWN, Vocabulary
from sk_entity_embed.model.poolings import Pooling
from sk_entity_embed.model.tables import EmbeddingTable

_KEY_TYPES = (
    pa.types.is_large_string,
    pa.types.is_string,
    pa.types.is_integer,
    pa.types.is_floating,
    pa.types.is_decimal128,
    pa.types.is_boolean,
    pa.types.is_date,
    pa.types.is_timestamp,
    pa.types.is_time,
    pa.types.is_binary,
)
"""What data bases compare as a key."""


@dataclass(frozen=True)
class Lookup:
    """The vectors of one column.

    Attributes
    ----------
    table : EmbeddingTable
        The column's vectors; of a column of lists, those of the items.
    serves_missing, serves_unknown : bool
        Whether missing cells and unknown categories get a vector, or are an error.
    pooling : Pooling or None
        How the vectors of a list's items become one; None for a column of single values.
    max_length : int or None
        How many of the last items of a list are used; None for all.
    """

    table: EmbeddingTable
    serves_missing: bool
    serves_unknown: bool
    pooling: Pooling | None
    max_length: int | None

    @property
    def vocabulary(self) -> Vocabulary:
        """The categories and their rows."""
        return self.table.vocabulary

    @cached_property
    def vectors(self) -> NDArray[np.float32]:
        """The vectors of ``transform``, reserved rows included."""
        return self.table.served

    @property
    def name(self) -> str:
        """Name of the column."""
        return self.vocabulary.name

    @property
    def outputs(self) -> list[str]:
        """Names of the output columns, those of ``get_feature_names_out``."""
        return self.table.names()

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
    def has_missing_category(self) -> bool:
        """Whether missing is a category with a vector of its own."""
        return self.vocabulary.knows_missing

    @property
    def shows_missing(self) -> bool:
        """Whether missing is a category with a vector that a viewer can show: no NaN."""
        return self.has_missing_category and bool(np.isfinite(self.missing).all())

    @property
    def has_type(self) -> bool:
        """Whether fit told the type of the categories: a column of missing cells may have none."""
        keys = self.vocabulary.keys
        typed = keys is not None and not pa.types.is_null(keys.type)
        return typed or len(self.vocabulary.categories) > 0

    @property
    def serves_empty(self) -> bool:
        """Whether an empty list gets a vector; False for a column of single values."""
        known = self.vocabulary.empty_row != UNKNOWN  # else it is treated as an unknown item
        return self.vocabulary.is_list and (known or self.serves_unknown)

    @property
    def shows_unknown(self) -> bool:
        """Whether there is an unknown vector that a viewer can show: served, and no NaN."""
        return self.serves_unknown and bool(np.isfinite(self.unknown).all())

    def rows(self) -> tuple[list[str], NDArray[np.float32]]:
        """Kinds and vectors of a table: the categories in order, then missing, empty, unknown."""
        kinds = ["category"] * len(self.vocabulary.categories)
        codes = self.vocabulary.rows.tolist()
        if self.serves_missing:
            kinds.append("missing")
            codes.append(self.vocabulary.missing_row)
        if self.serves_empty:
            kinds.append("empty")
            codes.append(self.vocabulary.empty_row)
        if self.serves_unknown:
            kinds.append("unknown")
            codes.append(UNKNOWN)
        return kinds, self.vectors[codes]

    def keys(self) -> pa.Array:
        """The categories as an Arrow array, without missing; strings where there are none.

        Raises
        ------
        UnsupportedDataError
            If they are of mixed type, or of one that is no key in a data base.
        """
        if not self.has_type:
            return pa.array([], pa.large_string())
        if self.vocabulary.keys is not None:
            return self.vocabulary.keys[:-1]
        values = self.vocabulary.categories.tolist()
        types = {type(value) for value in values}
        if types == {int, Decimal}:
            values, types = [Decimal(value) for value in values], {Decimal}
        names = ", ".join(sorted(t.__name__ for t in types))
        keys = _to_arrow(values) if len(types) == 1 else None
        if keys is None or not any(known(keys.type) for known in _KEY_TYPES):
            raise UnsupportedDataError(
                f"The categories of column {self.name!r} cannot be keys of a table: they are of "
                f"type {names}. Keys are strings (of valid Unicode), integers of 64 bits, floats, "
                "decimals of up to 38 digits, booleans, dates, times or bytes, of one type in a "
                "column; make them strings before the fit, or use lookup_frames."
            )
        return keys


def lookup_of(encoder: Any, column: str | None) -> Lookup:
    """The look-up of one column; None is the only one."""
    name = table_of(encoder, column).vocabulary.name
    return next(lookup for lookup in lookups_of(encoder) if lookup.name == name)


def lookups_of(encoder: Any) -> list[Lookup]:
    """The look-ups of all columns, in the order of the output.

    Raises
    ------
    InvalidParameterError
        If `encoder` is no estimator of this package.
    sklearn.exceptions.NotFittedError
        If it is not fitted.
    """
    model = fitted_model(encoder)
    columns = zip(model.tables, model.poolings, model.max_lengths, strict=True)
    lookups = []
    for table, pooling, max_length in columns:
        # A missing cell that is no category of its own is treated as an unknown one.
        known = not model.refuses_unknown or table.vocabulary.missing_row == MISSING
        serves_missing = known and not model.refuses_missing
        lookups.append(
            Lookup(table, serves_missing, not model.refuses_unknown, pooling, max_length)
        )
    return lookups


def refuse_lists(lookups: Sequence[Lookup], what: str) -> None:
    """Raise an UnsupportedDataError if a column holds lists, of which `what` makes nothing."""
    names = [lookup.name for lookup in lookups if lookup.pooling is not None]
    if names:
        raise UnsupportedDataError(
            f"{what} can look up single values only, but column {names[0]!r} holds lists, whose "
            "items' vectors are pooled. Use transform or pyarrow_transform, or write the items' "
            "vectors with to_parquet and pool them yourself."
        )


def passed_through(encoder: Any, what: str) -> list[str]:
    """Names of the context columns in the output, which must have no hidden layer.

    Parameters
    ----------
    encoder : estimator
        Fitted.
    what : str
        What is to be made of it, for the error.

    Raises
    ------
    InvalidParameterError
        If the hidden layer is part of the output: it depends on all columns at once.
    """
    model = fitted_model(encoder)
    if model.output.hidden:
        output = "both" if model.output.vectors else "hidden"
        raise InvalidParameterError(
            f"{what} equals transform for output='embedding' only, but the encoder has "
            f"output={output!r}: the hidden layer is computed from all columns and is no look-up. "
            "Fit with output='embedding', or take the vectors from lookup_frames or to_parquet."
        )
    if not model.output.numbers:
        return []
    return model.output_names()[model.edges[-1] :]


def _to_arrow(values: list[Any]) -> pa.Array | None:
    """Values in Arrow's type for them; None where there is none that keeps them."""
    try:
        made = pa.array(pd.Series(values) if isinstance(values[0], pd.Timestamp) else values)
        return made if made.to_pylist() == values else None
    except (pa.ArrowException, OverflowError, TypeError, UnicodeEncodeError, ValueError):
        return None
