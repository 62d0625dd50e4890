"""Which columns are categorical and which are context."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from difflib import get_close_matches
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sk_entity_embed.exceptions import InvalidParameterError, UnsupportedDataError
from sk_entity_embed.input.columns import Column, Table
from sk_entity_embed.input.messages import shown


def select_categorical(
    selection: str | Sequence[Any] | Callable[[Any], Any],
    table: Table,
    X: Any,
    *,
    required: bool = True,
) -> tuple[list[int], list[int]]:
    """Split a table's columns into categorical and context ones.

    Parameters
    ----------
    selection : "auto", "all", sequence of names, indices or a mask, or callable
        See the parameter `categorical_features` of the encoder. A callable gets `X` itself.
    table : Table
        The table read from `X`.
    X : object
        The container the user gave.
    required : bool, default=True
        Whether there has to be a categorical column: then "auto" takes all columns where it finds
        none.

    Returns
    -------
    categorical, context : list of int
        Column positions, in the order of the table.

    Raises
    ------
    InvalidParameterError
        If the selection names a column that is not there, or, if one is required, no column.
    UnsupportedDataError
        If a column is neither categorical nor numeric, such as lists of fractions.

    Notes
    -----
    "auto" takes text, declared categories, booleans and lists, and where there are only numbers,
    those that are whole.
    """
    columns = table.columns
    if isinstance(selection, str) and selection == "all":
        return list(range(len(columns))), []
    if isinstance(selection, str) and selection == "auto":
        for column in columns:
            if column.kind == "other":
                raise UnsupportedDataError(
                    f"Column {column.name!r} is of type {column.dtype}, which is neither "
                    "categorical nor numeric. Derive numbers or strings from it, drop it, or "
                    "name it in `categorical_features` to embed each of its values."
                )
            if column.is_list and column.holds_fractions:
                raise UnsupportedDataError(
                    f"Column {column.name!r} holds lists of fractions, which look like vectors, "
                    "not like lists of categories. Make a column of each number, drop it, or name "
                    "it in `categorical_features` to embed each of its values."
                )
        chosen = [j for j, c in enumerate(columns) if c.kind in ("category", "list")]
        chosen = chosen or [j for j, c in enumerate(columns) if is_whole(c)]
        chosen = chosen or list(range(len(columns)) if required else [])
    else:
        chosen = _positions(selection(X) if callable(selection) else selection, table)
        if required and not chosen:
            raise InvalidParameterError("`categorical_features` selects no column of X.")
    context = [j for j in range(len(columns)) if j not in set(chosen)]
    for j in context:
        if columns[j].is_list:
            raise UnsupportedDataError(
                f"Column {columns[j].name!r} holds lists and is not among the "
                "`categorical_features`; lists cannot be context, only numbers can. Name it "
                "there, drop it, or derive numbers from it."
            )
        if not columns[j].holds_numbers:
            raise UnsupportedDataError(
                f"Column {columns[j].name!r} is of type {columns[j].dtype} and not among the "
                "`categorical_features`; only numbers can be context. Name it there or drop it."
            )
    return chosen, context


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
        f"`categorical_features` has {item!r}, which is no column of X: {names}."
    )


def check_column(column: str | None, names: list[str]) -> str:
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
            f"`column` must name one of the embedded columns: {shown(names)}."
        )
    if column not in names:
        close = get_close_matches(str(column), names, n=1)
        hint = f" Did you mean {shown(close[0])}?" if close else ""
        raise InvalidParameterError(
            f"`column` is {shown(column)}, but the embedded columns are {shown(names)}.{hint}"
        )
    return column
