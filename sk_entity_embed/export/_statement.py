"""The SELECT statement that looks vectors up: names, quoting, literals, joins."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from sk_entity_embed.exceptions import (
    InvalidDataError,
    InvalidParameterError,
    UnsupportedDataError,
)
from sk_entity_embed.export._dialects import DIALECTS, Dialect
from sk_entity_embed.export._served import Lookup
from sk_entity_embed.export._text import is_encodable
from sk_entity_embed.input.messages import shown
from sk_entity_embed.input.table import is_number

_LAST_SINGLE, _LAST_DOUBLE = 2**24, 2**53
"""Up to here every integer is a REAL, and a DOUBLE."""

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
    dialect: Dialect,
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
                f"{dialect.databases}. Rename a column before fit."
            )
    if bad := [name for name in keep if not _can_be_named(name)]:
        raise InvalidParameterError(f"`keep` has {shown(bad[0])}, {rule}. {_ADVICE}")
    for name in [*read, *outputs]:
        if why := dialect.refusal(name):
            raise InvalidDataError(f"The name {shown(name)} has {why}. Rename it before fit.")
    for name in keep:
        if why := dialect.refusal(name):
            raise InvalidParameterError(f"`keep` has {shown(name)}, a name with {why}. {_ADVICE}")
    if taken := [name for name in keep if name in outputs]:
        raise InvalidParameterError(
            f"`keep` has {shown(taken[0])}, which is also the name of an output column. {_ADVICE}"
        )
    if pair := _alike(keep, [*keep, *features, *outputs], dialect):
        meant = f" Write {shown(pair[1])} if you mean this column." if pair[1] in features else ""
        raise InvalidParameterError(
            f"`keep` has {shown(pair[0])}, and the query has {shown(pair[1])} already. They are "
            f"one name to {dialect.databases}.{meant} {_ADVICE}"
        )


def _can_be_named(name: Any) -> bool:
    """Whether databases take a name."""
    return isinstance(name, str) and name != "" and "\0" not in name and is_encodable(name)


def _alike(names: Sequence[str], others: Sequence[str], dialect: Dialect) -> tuple[str, str] | None:
    """Return the first of the names and of the others that are one to the dialect's databases."""
    by_fold = {dialect.fold(name): name for name in names}
    for other in others:
        if (name := by_fold.get(dialect.fold(other), other)) != other:
            return name, other
    return None


def statement(
    lookups: Sequence[Lookup],
    given: Sequence[Any],
    table: Any,
    keep: Sequence[str],
    passed: Sequence[str],
    dialect: Dialect,
) -> str:
    """Return the statement for the rows of `table`.

    It joins each look-up with the table `given` for it; None writes it into the query. It gives
    the columns `keep` as they are, first, and `passed` as numbers of the output, last.
    """
    rows = _relation(table, "table", dialect)
    relations = [None if r is None else _relation(r, "lookups", dialect) for r in given]
    names = [n for n in [table, *given] if not isinstance(n, os.PathLike | None)]
    taken = {part.casefold() for n in names for part in ([n] if isinstance(n, str) else n)}
    columns = [f"{dialect.column('r', name)} AS {dialect.identifier(name)}" for name in keep]
    common, joins = [], []
    for k, lookup in enumerate(lookups):
        if (relation := relations[k]) is None:
            name = f"lookup_{k}"
            while name in taken:
                name += "_"
            relation = dialect.identifier(name)
            common.append(f"{relation} {_values(lookup, dialect)}")
        columns += _outputs(k, lookup, dialect)
        joins += _joined(k, lookup, relation, dialect)
    # By way of DOUBLE, as in transform: large integers are rounded in the same two steps.
    for name in passed:
        number = f"CAST({dialect.column('r', name)} AS {dialect.double})"
        columns.append(f"CAST({number} AS REAL) AS {dialect.identifier(name)}")
    first = ["WITH " + ",\n".join(common)] if common else []
    listed = "  " + ",\n  ".join(columns)
    parts = [*first, "SELECT", listed, f"FROM {rows} AS {dialect.identifier('r')}", *joins]
    return dialect.written("\n".join(parts), pretty=not common)


def _joined(k: int, lookup: Lookup, relation: str, dialect: Dialect) -> list[str]:
    """Return two joins by equality, which data bases do by hashing, of at most one row each."""
    if lookup.sides is not None:
        return _joined_pair(k, lookup.sides, relation, dialect)
    cell, category = dialect.column("r", lookup.name), dialect.column(f"c{k}", "category")
    missing, equal = f"{cell} IS NULL", f"{category} = {cell}"
    if not lookup.has_type:
        missing += f" OR {dialect.nan.format(cell)}" if dialect.nan else ""
    elif pa.types.is_large_string(lookup.keys().type):
        if dialect.bytes_of:  # a collation that ignores case would find two rows for one
            equal = f"{dialect.bytes_of.format(category)} = {dialect.bytes_of.format(cell)}"
    elif _has_numbers(lookup):
        if dialect.is_nan and (dialect.flags_are_numbers or is_number(lookup.keys().type)):
            missing += f" OR {dialect.is_nan.format(cell)}"
        if dialect.rounds:
            equal = " AND ".join([equal, *_exactly(lookup, cell, category)])
    other = f"CASE WHEN {missing} THEN 'missing' ELSE 'unknown' END"
    if len(lookup.vocabulary.categories) == 0:  # never true, but an equality, as BigQuery demands
        equal = f"{dialect.column(f'c{k}', 'kind')} = {other}"
    return _two_joins(k, relation, equal, other, dialect)


def _joined_pair(k: int, sides: tuple[int, int], relation: str, dialect: Dialect) -> list[str]:
    """Return the joins of a pair, by the rows that its columns were found at."""
    column = dialect.column
    rows = [f"COALESCE({column(f'c{j}', 'row')}, {column(f'f{j}', 'row')})" for j in sides]
    equal = [f"{column(f'c{k}', f'row_{i}')} = {row}" for i, row in enumerate(rows)]
    return _two_joins(k, relation, " AND ".join(equal), "'unknown'", dialect)


def _two_joins(k: int, relation: str, equal: str, other: str, dialect: Dialect) -> list[str]:
    """Return the join of what is equal to a category, and that of the kind of `other` cells."""
    kind = dialect.identifier("kind")
    found, others = dialect.identifier(f"c{k}"), dialect.identifier(f"f{k}")
    return [
        f"LEFT JOIN (SELECT * FROM {relation} WHERE {kind} = 'category') AS {found}",
        f"  ON {equal}",
        f"LEFT JOIN (SELECT * FROM {relation} WHERE {kind} <> 'category') AS {others}",
        f"  ON {dialect.column(f'f{k}', 'kind')} = {other}",
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


def _outputs(k: int, lookup: Lookup, dialect: Dialect) -> list[str]:
    """Return the column's vector: that of its category, else that of missing or unknown cells."""
    found, other = dialect.column(f"c{k}", "kind"), dialect.column(f"f{k}", "kind")
    served = {"missing": lookup.serves_missing, "unknown": lookup.serves_unknown}
    refused = " or ".join(kind for kind, is_served in served.items() if not is_served)
    first = otherwise = ""
    cell = dialect.column("r", lookup.name)
    if dialect.error and lookup.sides is None:
        if dialect.rounds and (unlike := _unlike_types(lookup, dialect)):
            error = (
                f"Column {lookup.name!r} held numbers of Arrow's type {lookup.keys().type} in fit, "
                "and has a type that is not compared with them exactly; cast it to the type of fit."
            )
            first = f"WHEN {unlike} THEN {dialect.error.format(dialect.text(error), cell)} "
        if refused:
            error = (
                f"Column {lookup.name!r} has {refused} values, which the encoder was told to "
                "refuse."
            )
            raised = dialect.error.format(dialect.text(error), cell)
            otherwise = f"WHEN {other} IS NULL THEN {raised} "
    columns = []
    for output in lookup.outputs:
        of_category = dialect.column(f"c{k}", output)
        of_others = dialect.column(f"f{k}", output)
        if otherwise:
            choice = f"WHEN {found} IS NOT NULL THEN {of_category} {otherwise}ELSE {of_others}"
        else:
            choice = f"WHEN {found} IS NULL THEN {of_others} ELSE {of_category}"
        columns.append(
            f"CAST(CASE {first}{choice} END AS REAL)\n    AS {dialect.identifier(output)}"
        )
    return columns


def _unlike_types(lookup: Lookup, dialect: Dialect) -> str | None:
    """Return whether a cell is of a type that DuckDB would round to the categories' type."""
    kind, cell = lookup.keys().type, dialect.column("r", lookup.name)
    if pa.types.is_decimal(kind):
        return f"typeof({cell}) IN ('FLOAT', 'DOUBLE', 'VARCHAR')"
    if pa.types.is_floating(kind):
        return f"typeof({cell}) = 'VARCHAR' OR typeof({cell}) LIKE 'DECIMAL%'"
    return f"typeof({cell}) = 'VARCHAR'" if _has_numbers(lookup) else None


def _values(lookup: Lookup, dialect: Dialect) -> str:
    """Return the look-up table itself, as the body of a common table expression."""
    kinds, codes = lookup.rows()
    columns = {}
    if lookup.sides is None:
        keys = [_literal(key, lookup, dialect) for key in lookup.keys().to_pylist()]
        columns["category"] = keys + ["NULL"] * (len(kinds) - len(keys))
    for name, numbers in lookup.sides_of(len(kinds)).items():
        columns[name] = list(map(str, numbers.tolist()))
    columns["kind"] = [f"'{kind}'" for kind in kinds]
    header = ", ".join(map(dialect.identifier, [*columns, *lookup.outputs]))
    rows = [
        f"({', '.join([*found, *(_number(number, dialect) for number in vector)])})"
        for *found, vector in zip(*columns.values(), lookup.vectors[codes].tolist(), strict=True)
    ]
    values = "VALUES\n  " + ",\n  ".join(rows)
    if dialect.names_in_values:
        return f"AS (SELECT * FROM ({values}) AS {dialect.identifier('v')} ({header}))"
    return f"({header}) AS ({values})"


def _literal(value: Any, lookup: Lookup, dialect: Dialect) -> str:
    match value:
        case str() if dialect.holds_zero or "\0" not in value:
            return dialect.text(value)
        case bool():
            return "TRUE" if value else "FALSE"
        case int():
            return str(value)
        case Decimal() if dialect.decimal:
            return dialect.decimal.format(format(value, "f"))
        case float() if dialect.holds_infinity or not math.isinf(value):
            return _number(value, dialect)
        case date() if not dialect.holds_dates:
            pass
        case datetime() if value.tzinfo is None and not getattr(value, "nanosecond", 0):
            return f"TIMESTAMP '{value.isoformat(sep=' ')}'"
        case date() if not isinstance(value, datetime):
            return f"DATE '{value.isoformat()}'"
    raise UnsupportedDataError(
        f"The categories of column {lookup.name!r} cannot be written into a query; write them "
        "with to_parquet and pass its result as `lookups`."
    )


def _number(value: float, dialect: Dialect) -> str:
    """Return a float as a literal of double precision: an exponent makes it one."""
    if math.isnan(value):
        return "CAST('NaN' AS DOUBLE)" if dialect.is_nan else "NULL"
    if math.isinf(value):
        return f"CAST('{value}' AS DOUBLE)"
    shortest = repr(value)
    return shortest if "e" in shortest else f"{shortest}e0"


def _relation(given: Any, parameter: str, dialect: Dialect) -> str:
    """Return a table by name or file, quoted."""
    if isinstance(given, os.PathLike):
        if dialect.file is None:
            readers = " and ".join(repr(n) for n, other in DIALECTS.items() if other.file)
            raise InvalidParameterError(
                f"`{parameter}` is a file, which only the dialects {readers} read; load it into a "
                "table and give the table's name."
            )
        path = os.fsdecode(given)
        if _can_be_named(path):
            if relation := dialect.file(path, parameter == "lookups"):
                return relation
            raise InvalidParameterError(
                f"`{parameter}` is the file {shown(path)}, whose path has letters that the "
                "database takes for a pattern; load it into a table and give the table's name."
            )
    parts = [given] if isinstance(given, str) else given
    named = isinstance(parts, Sequence) and all(isinstance(p, str) for p in parts)
    if not (named and parts and all(map(_can_be_named, parts))):
        raise InvalidParameterError(
            f"`{parameter}` must be the name of a table, its parts, or a Path of a Parquet file, "
            f"in UTF-8 and without a zero character, got {shown(given)}."
        )
    return ".".join(map(dialect.identifier, parts))
