"""Names of columns where upper and lower case are one, as in most databases."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sk_entity_embed.exceptions import InvalidDataError, InvalidParameterError

_ADVICE = "Rename it in the table, or in a query or a view of it, or leave it out of `keep`."


def check_sql_names(
    features: Sequence[str], read: Sequence[str], keep: Sequence[str], outputs: Sequence[str]
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

    Raises
    ------
    InvalidDataError
        If the reason is in the columns of fit.
    InvalidParameterError
        If it is in `keep`.
    """
    if bad := [name for name in read if not can_be_named(name)]:
        raise InvalidDataError(
            f"Column {bad[0]!r} has a name that SQL does not allow: it must be text in UTF-8 "
            "without a zero character, and not empty. Rename the column before fit."
        )
    for group, what in ((features, "Columns"), (outputs, "Output columns")):
        if pair := _alike(read if group is features else outputs, group):
            raise InvalidDataError(
                f"{what} {pair[0]!r} and {pair[1]!r} differ in upper and lower case only, and most "
                "databases take them for one. Rename a column before fit."
            )
    if bad := [name for name in keep if not can_be_named(name)]:
        raise InvalidParameterError(
            f"`keep` has {bad[0]!r}, which SQL does not allow as a name: it must be text in UTF-8 "
            f"without a zero character, and not empty. {_ADVICE}"
        )
    if repeated := [name for k, name in enumerate(keep) if name in outputs or name in keep[:k]]:
        raise InvalidParameterError(f"`keep` would give columns {repeated} twice. {_ADVICE}")
    if pair := _alike(keep, [*keep, *features, *outputs]):
        meant = f" Write {pair[1]!r} if you mean this column." if pair[1] in features else ""
        raise InvalidParameterError(
            f"`keep` has {pair[0]!r}, and the query has {pair[1]!r} already. They differ in upper "
            f"and lower case only, and most databases take them for one.{meant} {_ADVICE}"
        )


def can_be_named(name: Any) -> bool:
    """Whether databases take a name: text without lone surrogates and zeros, not empty."""
    try:
        return isinstance(name, str) and name != "" and b"\0" not in name.encode()
    except UnicodeEncodeError:
        return False


def _alike(names: Sequence[str], others: Sequence[str]) -> tuple[str, str] | None:
    """The first of the names and of the others that differ in case only."""
    by_fold = {_fold(name): name for name in names}
    for other in others:
        if (name := by_fold.get(_fold(other), other)) != other:
            return name, other
    return None


def _fold(name: str) -> str:
    """What is equal for names that some database takes for one.

    DuckDB ignores the case of ASCII letters only, Spark that of all, by way of upper case.
    """
    return name.upper().casefold()
