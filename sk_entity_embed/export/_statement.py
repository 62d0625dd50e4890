"""The SELECT statement that looks vectors up: names, quoting, literals, joins."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Sequence
from datetime import date, datetime
from decimal import Decimal
from string import ascii_lowercase, ascii_uppercase
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from sk_entity_embed.exceptions import (
    InvalidDataError,
    InvalidParameterError,
    UnsupportedDataError,
)
from sk_entity_embed.export._served import Lookup
from sk_entity_embed.export._text import is_encodable
from sk_entity_embed.input.messages import shown
from sk_entity_embed.input.table import is_number

_LAST_SINGLE, _LAST_DOUBLE = 2**24, 2**53
"""Up to here every integer is a REAL, and a DOUBLE."""

DIALECTS = {
    "duckdb": "DuckDB, which ignores the case of ASCII letters in names",
    "standard": "databases that ignore upper and lower case in names, as most do",
}
"""Each dialect's databases, which take some different names for one."""

_ASCII_LOWER = str.maketrans(ascii_uppercase, ascii_lowercase)
_ADVICE = "Rename it in the table, or in a query or a view of it, or leave it out of `keep`."


def read_keep(keep: Any) -> list[Any]:
    """Return the names in the parameter `keep`: one, or any number of different ones."""
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

    The query reads some of the columns of fit, `features`, and gives `keep` and `outputs`.
    """
    rule = "a name that SQL does not allow: it must be text in UTF-8, not empty, without \\0"
    if bad := [name for name in read if not _can_be_named(name)]:
        raise InvalidDataError(f"Column {shown(bad[0])} has {rule}. Rename the column before fit.")
    for what, names, group in (
        ("Columns", read, features),
        ("Output columns", outputs, outputs),
    ):
        if pair := _alike(names, group, dialect):
            raise InvalidDataError(
                f"{what} {shown(pair[0])} and {shown(pair[1])} are one name to "
                f"{DIALECTS[dialect]}. Rename a column before fit."
            )
    if bad := [name for name in keep if not _can_be_named(name)]:
        raise InvalidParameterError(f"`keep` has {shown(bad[0])}, {rule}. {_ADVICE}")
    if taken := [name for name in keep if name in outputs]:
        raise InvalidParameterError(
            f"`keep` has {shown(taken[0])}, which is also the name of an output column. {_ADVICE}"
        )
    if pair := _alike(keep, [*keep, *features, *outputs], dialect):
        meant = f" Write {shown(pair[1])} if you mean this column." if pair[1] in features else ""
        raise InvalidParameterError(
            f"`keep` has {shown(pair[0])}, and the query has {shown(pair[1])} already. They are "
            f"one name to {DIALECTS[dialect]}.{meant} {_ADVICE}"
        )


def _can_be_named(name: Any) -> bool:
    """Whether databases take a name."""
    return isinstance(name, str) and name != "" and "\0" not in name and is_encodable(name)


def _alike(names: Sequence[str], others: Sequence[str], dialect: str) -> tuple[str, str] | None:
    """Return the first of the names and of the others that are one to the dialect's databases."""
    by_fold = {_fold(name, dialect): name for name in names}
    for other in others:
        if (name := by_fold.get(_fold(other, dialect), other)) != other:
            return name, other
    return None


def _fold(name: str, dialect: str) -> str:
    """Return what is equal for names that a database takes for one.

    DuckDB ignores the case of ASCII letters. Others ignore that of all letters, and compare one
    character with one, as Java does for Spark: "ss" is not the upper case of a sharp s to them.
    """
    if dialect == "duckdb":
        return name.translate(_ASCII_LOWER)
    return "".join(_simple(_simple(letter, str.upper), str.lower) for letter in name)


def _simple(letter: str, change: Callable[[str], str]) -> str:
    return changed if len(changed := change(letter)) == 1 else letter


def statement(
    lookups: Sequence[Lookup],
    given: Sequence[Any],
    table: Any,
    keep: Sequence[str],
    passed: Sequence[str],
    dialect: str,
) -> str:
    """Return the statement for the rows of `table`.

    It joins each look-up with the table `given` for it; None writes it into the query. It gives
    the columns `keep` as they are, first, and `passed` as numbers of the output, last.
    """
    rows = _relation(table, "table", dialect)
    relations = [None if r is None else _relation(r, "lookups", dialect) for r in given]
    names = [n for n in [table, *given] if not isinstance(n, os.PathLike | None)]
    taken = {part.casefold() for n in names for part in ([n] if isinstance(n, str) else n)}
    columns = [f"{_column('r', name)} AS {_identifier(name)}" for name in keep]
    common, joins = [], []
    for k, lookup in enumerate(lookups):
        if (relation := relations[k]) is None:
            name = f"lookup_{k}"
            while name in taken:
                name += "_"
            relation = _identifier(name)
            common.append(f"{relation} {_values(lookup, dialect)}")
        columns += _outputs(k, lookup, dialect)
        joins += _joined(k, lookup, relation, dialect)
    # By way of DOUBLE, as in transform: large integers are rounded in the same two steps.
    columns += [
        f"CAST(CAST({_column('r', name)} AS DOUBLE PRECISION) AS REAL) AS {_identifier(name)}"
        for name in passed
    ]
    first = ["WITH " + ",\n".join(common)] if common else []
    listed = "  " + ",\n  ".join(columns)
    return "\n".join([*first, "SELECT", listed, f"FROM {rows} AS {_identifier('r')}", *joins])


def _joined(k: int, lookup: Lookup, relation: str, dialect: str) -> list[str]:
    """Return two joins by equality, which data bases do by hashing, of at most one row each."""
    if lookup.sides is not None:
        return _joined_pair(k, lookup.sides, relation)
    cell, category = _column("r", lookup.name), _column(f"c{k}", "category")
    missing, equal = f"{cell} IS NULL", f"{category} = {cell}"
    if dialect == "duckdb" and not lookup.has_type:
        is_float = f"typeof({cell}) IN ('FLOAT', 'DOUBLE')"
        missing = f"{cell} IS NULL OR {is_float} AND CAST({cell} AS VARCHAR) = 'nan'"
    elif dialect == "duckdb" and pa.types.is_large_string(lookup.keys().type):
        # As bytes: a collation that ignores case would find two rows for one.
        equal = f"encode({category}) = encode({cell})"
    elif dialect == "duckdb" and _has_numbers(lookup):
        missing = f"{cell} IS NULL OR isnan(CAST({cell} AS DOUBLE))"
        equal = " AND ".join([equal, *_exactly(lookup, cell, category)])
    if len(lookup.vocabulary.categories) == 0:
        equal = "1 = 0"
    return [
        f'LEFT JOIN (SELECT * FROM {relation} WHERE "kind" = \'category\') AS "c{k}"',
        f"  ON {equal}",
        f'LEFT JOIN (SELECT * FROM {relation} WHERE "kind" <> \'category\') AS "f{k}"',
        f"  ON {_column(f'f{k}', 'kind')} = CASE WHEN {missing} THEN 'missing' ELSE 'unknown' END",
    ]


def _joined_pair(k: int, sides: tuple[int, int], relation: str) -> list[str]:
    """Return the joins of a pair, by the rows that its columns were found at."""
    rows = [f"COALESCE({_column(f'c{j}', 'row')}, {_column(f'f{j}', 'row')})" for j in sides]
    equal = [f"{_column(f'c{k}', f'row_{i}')} = {row}" for i, row in enumerate(rows)]
    return [
        f'LEFT JOIN (SELECT * FROM {relation} WHERE "kind" = \'category\') AS "c{k}"',
        f"  ON {' AND '.join(equal)}",
        f'LEFT JOIN (SELECT * FROM {relation} WHERE "kind" <> \'category\') AS "f{k}"',
        f"  ON {_column(f'f{k}', 'kind')} = 'unknown'",
    ]


def _has_numbers(lookup: Lookup) -> bool:
    kind = lookup.keys().type
    return is_number(kind) or bool(pa.types.is_boolean(kind))


def _exactly(lookup: Lookup, cell: str, category: str) -> list[str]:
    """Return what else must hold of equal numbers, since DuckDB rounds large integers to floats."""
    kind, values = lookup.keys().type, lookup.keys().cast(pa.float64(), safe=False)
    largest = pc.max(pc.abs(values)).as_py() or 0.0
    is_float, conditions = f"typeof({cell}) IN ('FLOAT', 'DOUBLE')", []
    if pa.types.is_integer(kind) and largest > _LAST_SINGLE:  # integers and REAL meet as REAL
        conditions.append(f"CAST({category} AS DOUBLE) = CAST({cell} AS DOUBLE)")
    if largest >= _LAST_DOUBLE and pa.types.is_integer(kind):
        rounded = f"TRY_CAST(CAST({category} AS DOUBLE) AS HUGEINT)"
        conditions.append(f"(NOT {is_float} OR {rounded} = CAST({category} AS HUGEINT))")
    elif largest >= _LAST_DOUBLE and pa.types.is_floating(kind):
        conditions.append(f"({is_float} OR TRY_CAST({category} AS HUGEINT) = {cell})")
    return conditions


def _outputs(k: int, lookup: Lookup, dialect: str) -> list[str]:
    """Return the column's vector: that of its category, else that of missing or unknown cells."""
    found, other = _column(f"c{k}", "kind"), _column(f"f{k}", "kind")
    served = {"missing": lookup.serves_missing, "unknown": lookup.serves_unknown}
    refused = " or ".join(kind for kind, is_served in served.items() if not is_served)
    first = otherwise = ""
    if dialect == "duckdb" and lookup.sides is None:
        if unlike := _unlike_types(lookup):
            error = (
                f"Column {lookup.name!r} held numbers of Arrow's type {lookup.keys().type} in fit, "
                "and has a type that is not compared with them exactly; cast it to the type of fit."
            )
            first = f"WHEN {unlike} THEN error({_text(error)}) "
        if refused:
            error = (
                f"Column {lookup.name!r} has {refused} values, which the encoder was told to "
                "refuse."
            )
            otherwise = f"WHEN {other} IS NULL THEN error({_text(error)}) "
    columns = []
    for output in lookup.outputs:
        of_category, of_others = _column(f"c{k}", output), _column(f"f{k}", output)
        if otherwise:
            choice = f"WHEN {found} IS NOT NULL THEN {of_category} {otherwise}ELSE {of_others}"
        else:
            choice = f"WHEN {found} IS NULL THEN {of_others} ELSE {of_category}"
        columns.append(f"CAST(CASE {first}{choice} END AS REAL)\n    AS {_identifier(output)}")
    return columns


def _unlike_types(lookup: Lookup) -> str | None:
    """Return whether a cell is of a type that DuckDB would round to the categories' type."""
    kind, cell = lookup.keys().type, _column("r", lookup.name)
    if pa.types.is_decimal(kind):
        return f"typeof({cell}) IN ('FLOAT', 'DOUBLE', 'VARCHAR')"
    if pa.types.is_floating(kind):
        return f"typeof({cell}) = 'VARCHAR' OR typeof({cell}) LIKE 'DECIMAL%'"
    return f"typeof({cell}) = 'VARCHAR'" if _has_numbers(lookup) else None


def _values(lookup: Lookup, dialect: str) -> str:
    """Return the look-up table itself, as the body of a common table expression."""
    kinds, codes = lookup.rows()
    columns = {}
    if lookup.sides is None:
        keys = [_literal(key, lookup, dialect) for key in lookup.keys().to_pylist()]
        columns["category"] = keys + ["NULL"] * (len(kinds) - len(keys))
    for name, numbers in lookup.sides_of(len(kinds)).items():
        columns[name] = list(map(str, numbers.tolist()))
    columns["kind"] = [f"'{kind}'" for kind in kinds]
    header = ", ".join(map(_identifier, [*columns, *lookup.outputs]))
    rows = [
        f"({', '.join([*found, *(_number(number, dialect) for number in vector)])})"
        for *found, vector in zip(*columns.values(), lookup.vectors[codes].tolist(), strict=True)
    ]
    return f"({header}) AS (VALUES\n  " + ",\n  ".join(rows) + ")"


def _literal(value: Any, lookup: Lookup, dialect: str) -> str:
    match value:
        case str() if dialect == "duckdb" or "\0" not in value:
            return _text(value)
        case bool():
            return "TRUE" if value else "FALSE"
        case int():
            return str(value)
        case Decimal():
            return format(value, "f")
        case float() if dialect == "duckdb" or not math.isinf(value):
            return _number(value, dialect)
        case datetime() if value.tzinfo is None and not getattr(value, "nanosecond", 0):
            return f"TIMESTAMP '{value.isoformat(sep=' ')}'"
        case date() if not isinstance(value, datetime):
            return f"DATE '{value.isoformat()}'"
    raise UnsupportedDataError(
        f"The categories of column {lookup.name!r} cannot be written into a query; write them "
        "with to_parquet and pass its result as `lookups`."
    )


def _number(value: float, dialect: str) -> str:
    """Return a float as a literal of double precision: an exponent makes it one."""
    if math.isnan(value):
        return "CAST('NaN' AS DOUBLE)" if dialect == "duckdb" else "NULL"
    if math.isinf(value):
        return f"CAST('{value}' AS DOUBLE)"
    shortest = repr(value)
    return shortest if "e" in shortest else f"{shortest}e0"


def _relation(given: Any, parameter: str, dialect: str) -> str:
    """Return a table by name or file, quoted."""
    if isinstance(given, os.PathLike):
        if dialect != "duckdb":
            raise InvalidParameterError(
                f"`{parameter}` is a file, which only dialect='duckdb' reads; load it into a table "
                "and give the table's name."
            )
        # DuckDB reads *, ? and [ as patterns of names.
        path = re.sub(r"([*?[])", r"[\1]", os.fsdecode(given))
        # It would also take a folder such as kind=7 for a column, before that of a look-up table.
        own = ", hive_partitioning = false" if parameter == "lookups" else ""
        if _can_be_named(path):
            return f"read_parquet({_text(path)}{own})"
    parts = [given] if isinstance(given, str) else given
    named = isinstance(parts, Sequence) and all(isinstance(p, str) for p in parts)
    if not (named and parts and all(map(_can_be_named, parts))):
        raise InvalidParameterError(
            f"`{parameter}` must be the name of a table, its parts, or a Path of a Parquet file, "
            f"in UTF-8 and without a zero character, got {shown(given)}."
        )
    return ".".join(map(_identifier, parts))


def _column(relation: str, name: str) -> str:
    return f"{_identifier(relation)}.{_identifier(name)}"


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
