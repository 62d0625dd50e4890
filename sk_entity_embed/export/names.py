"""Names of columns where upper and lower case are one, as in most databases."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from sk_entity_embed.exceptions import InvalidDataError, InvalidParameterError
from sk_entity_embed.input.messages import shown

_ASCII_CAPITALS = re.compile("[A-Z]+")

_IGNORANT = {
    "duckdb": "DuckDB, which ignores the case of ASCII letters in names",
    "standard": "databases that ignore upper and lower case in names, as most do",
}
"""Who takes names for one, by dialect."""

_ADVICE = "Rename it in the table, or in a query or a view of it, or leave it out of `keep`."


def read_keep(keep: Any) -> list[Any]:
    """The names in the parameter `keep`: one, or any number of them.

    Raises
    ------
    InvalidParameterError
        If it is neither text nor anything with items, or names a column more than once.
    """
    if isinstance(keep, str):
        return [keep]
    try:
        names = list(keep)
    except TypeError as error:
        raise InvalidParameterError(
            f"`keep` must be a list of names of columns, got {shown(keep)}. Give () to keep none."
        ) from error
    if repeated := [name for k, name in enumerate(names) if name in names[:k]]:
        raise InvalidParameterError(
            f"`keep` has {shown(repeated[0])} more than once. Write it once."
        )
    return names


def check_sql_names(
    features: Sequence[str],
    read: Sequence[str],
    keep: Sequence[str],
    outputs: Sequence[str],
    dialect: str,
) -> None:
    """Refuse names that a database cannot hold, or would take for each other.

    Parameters
    ----------
    features : sequence of str
        Columns of fit.
    read : sequence of str
        Those of them that the query reads.
    keep : sequence of str
        Further columns of the table, which the query puts first.
    outputs : sequence of str
        Names of the numbers that follow them.
    dialect : {"duckdb", "standard"}
        The SQL of the query.

    Raises
    ------
    InvalidDataError
        If the reason is in the columns of fit.
    InvalidParameterError
        If it is in `keep`.
    """
    if bad := [name for name in read if not can_be_named(name)]:
        raise InvalidDataError(
            f"Column {shown(bad[0])} has a name that SQL does not allow: it must be text in UTF-8 "
            "without a zero character, and not empty. Rename the column before fit."
        )
    for group, what in ((features, "Columns"), (outputs, "Output columns")):
        if pair := _alike(read if group is features else outputs, group, dialect):
            raise InvalidDataError(
                f"{what} {shown(pair[0])} and {shown(pair[1])} are one name to "
                f"{_IGNORANT[dialect]}. Rename a column before fit."
            )
    if bad := [name for name in keep if not can_be_named(name)]:
        raise InvalidParameterError(
            f"`keep` has {shown(bad[0])}, which SQL does not allow as a name: it must be text in "
            f"UTF-8 without a zero character, and not empty. {_ADVICE}"
        )
    if taken := [name for name in keep if name in outputs]:
        raise InvalidParameterError(
            f"`keep` has {shown(taken[0])}, and so is an output column called. {_ADVICE}"
        )
    if pair := _alike(keep, [*keep, *features, *outputs], dialect):
        meant = f" Write {shown(pair[1])} if you mean this column." if pair[1] in features else ""
        raise InvalidParameterError(
            f"`keep` has {shown(pair[0])}, and the query has {shown(pair[1])} already. They are "
            f"one name to {_IGNORANT[dialect]}.{meant} {_ADVICE}"
        )


def can_be_named(name: Any) -> bool:
    """Whether databases take a name: text without lone surrogates and zeros, not empty."""
    try:
        return isinstance(name, str) and name != "" and b"\0" not in name.encode()
    except UnicodeEncodeError:
        return False


def _alike(names: Sequence[str], others: Sequence[str], dialect: str) -> tuple[str, str] | None:
    """The first of the names and of the others that are one to a database of the dialect."""
    by_fold = {_fold(name, dialect): name for name in names}
    for other in others:
        if (name := by_fold.get(_fold(other, dialect), other)) != other:
            return name, other
    return None


def _fold(name: str, dialect: str) -> str:
    """What is equal for names that a database takes for one.

    DuckDB ignores the case of ASCII letters. Others ignore that of all letters, and compare one
    character with one, as Java does for Spark: "ss" is not the upper case of a sharp s to them.
    """
    if dialect == "duckdb":
        return _ASCII_CAPITALS.sub(lambda found: found[0].lower(), name)
    return "".join(map(_simple_lower, map(_simple_upper, name)))


def _simple_upper(letter: str) -> str:
    return upper if len(upper := letter.upper()) == 1 else letter


def _simple_lower(letter: str) -> str:
    return lower if len(lower := letter.lower()) == 1 else letter
