"""The split of columns into categories and context."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from difflib import get_close_matches
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sk_entity_embed.exceptions import InvalidParameterError, UnsupportedDataError
from sk_entity_embed.input.messages import shown
from sk_entity_embed.input.table import Column, Table


def select_categorical(
    selection: str | Sequence[Any] | Callable[[Any], Any],
    table: Table,
    X: Any,
    *,
    required: bool = True,
) -> tuple[list[int], list[int]]:
    """Positions of a table's categorical columns and of its context columns.

    "auto" takes text, declared categories, booleans and lists; of numbers alone the whole ones; and
    all columns where that finds none, but one is `required`.
    """
    columns = table.columns
    if isinstance(selection, str) and selection == "all":
        return list(range(len(columns))), []
    if isinstance(selection, str) and selection == "auto":
        chosen = _recognise(columns)
        chosen = chosen or list(range(len(columns)) if required else [])
    else:
        chosen = _positions(selection(X) if callable(selection) else selection, table)
        if required and not chosen:
            raise InvalidParameterError("`categorical_features` selects no column of X.")
    context = [j for j in range(len(columns)) if j not in set(chosen)]
    for column in (columns[j] for j in context):
        if not column.holds_numbers:
            what = "holds lists" if column.is_list else f"is of type {column.dtype}"
            raise UnsupportedDataError(
                f"Column {column.name!r} {what} and is not among the `categorical_features`; only "
                "numbers can be context. Name it there, drop it, or derive numbers from it."
            )
    return chosen, context


def _recognise(columns: Sequence[Column]) -> list[int]:
    """Positions of the columns that look like categories."""
    for column in columns:
        if column.kind == "other":
            raise UnsupportedDataError(
                f"Column {column.name!r} is of type {column.dtype}, which is neither categorical "
                "nor numeric. Derive numbers or strings from it, drop it, or name it in "
                "`categorical_features` to embed each of its values."
            )
        if column.is_list and column.holds_fractions:
            raise UnsupportedDataError(
                f"Column {column.name!r} holds lists of fractions, which look like vectors, not "
                "like lists of categories. Make a column of each number, drop it, or name it in "
                "`categorical_features` to embed each of its values."
            )
    chosen = [j for j, c in enumerate(columns) if c.kind in ("category", "list")]
    return chosen or [j for j, c in enumerate(columns) if is_whole(c)]


def is_whole(column: Column) -> bool:
    """Whether a column holds whole numbers only, and any at all; infinite ones are not whole."""
    if column.kind != "number" or not column.holds_numbers:
        return False
    cells = column.cells
    if isinstance(cells, pa.Array) and pa.types.is_integer(cells.type):
        return bool(cells.null_count < len(cells))
    if isinstance(cells, np.ndarray) or pa.types.is_decimal(cells.type):
        return not column.holds_fractions and bool(np.isfinite(column.to_numbers()).any())
    return bool(pc.all(pc.equal(pc.subtract(cells, pc.floor(cells)), 0.0)).as_py())


def _positions(selection: Any, table: Table) -> list[int]:
    names = [c.name for c in table.columns]
    items = list(np.atleast_1d(np.asarray(selection, dtype=object)))
    if items and all(isinstance(x, bool | np.bool_) for x in items):
        if len(items) != len(names):
            raise InvalidParameterError(
                f"`categorical_features` is a mask of {len(items)} values, but X has "
                f"{len(names)} columns."
            )
        positions = [j for j, chosen in enumerate(items) if chosen]
    else:
        positions = [_position(x, names, table.labels) for x in items]
    if len(set(positions)) < len(positions):
        raise InvalidParameterError("`categorical_features` selects a column more than once.")
    return sorted(positions)


def _position(item: Any, names: list[str], labels: list[Any] | None) -> int:
    if labels is not None and item in labels:
        return labels.index(item)
    if isinstance(item, str) and item in names:
        return names.index(item)
    if isinstance(item, int | np.integer) and -len(names) <= item < len(names):
        return int(item) % len(names)
    raise InvalidParameterError(
        f"`categorical_features` has {item!r}, which is not a column of X: {names}."
    )


def check_column(column: str | None, names: list[str], what: str = "`column`") -> str:
    """The name of a column that exists."""
    if not names:
        raise InvalidParameterError(
            "The estimator has no embedded columns: it was fitted on numbers alone. Name some in "
            "`categorical_features` before fit."
        )
    if column is None and len(names) == 1:
        return names[0]
    if column is None:
        raise InvalidParameterError(
            f"{what} must name one of the embedded columns: {shown(names)}."
        )
    if column not in names:
        close = get_close_matches(str(column), names, n=1)
        hint = f" Did you mean {shown(close[0])}?" if close else ""
        raise InvalidParameterError(
            f"{what} is {shown(column)}, but the embedded columns are {shown(names)}.{hint}"
        )
    return column
