"""The SELECT statement that looks vectors up: quoting, literals, joins."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from sk_entity_embed.exceptions import InvalidParameterError, UnsupportedDataError
from sk_entity_embed.export.names import can_be_named
from sk_entity_embed.export.served import Lookup
from sk_entity_embed.input.messages import shown
from sk_entity_embed.input.table import is_number

DIALECTS = ("duckdb", "standard")
_LAST_SINGLE, _LAST_DOUBLE = 2**24, 2**53
"""Up to here every integer is a REAL, and a DOUBLE."""


@dataclass(frozen=True, slots=True)
class Join:
    """One column's look-up and the table that holds it; None writes it into the query."""

    lookup: Lookup
    relation: Any


def statement(
    joins: Sequence[Join], table: Any, keep: Sequence[str], passed: Sequence[str], dialect: str
) -> str:
    """The whole statement.

    Parameters
    ----------
    joins : sequence of Join
        The embedded columns.
    table : str, sequence of str or path-like
        The rows.
    keep, passed : sequence of str
        Columns to give as they are, first, and as numbers of the output, last.
    dialect : str
        One of ``DIALECTS``.
    """
    rows = _relation(table, "table", dialect)
    given = [join.relation for join in joins]
    relations = [None if r is None else _relation(r, "lookups", dialect) for r in given]
    taken = _folded_names([table, *given])
    common = []
    for k, join in enumerate(joins):
        if relations[k] is None:
            relations[k] = _identifier(_unlike(f"lookup_{k}", taken))
            common.append(f"{relations[k]} {_values(join.lookup, dialect)}")
    columns = [f"{_column('r', name)} AS {_identifier(name)}" for name in keep]
    for k, join in enumerate(joins):
        columns += _outputs(k, join.lookup, dialect)
    # By way of DOUBLE, as in transform: large integers are rounded in the same two steps.
    columns += [
        f"CAST(CAST({_column('r', name)} AS DOUBLE PRECISION) AS REAL) AS {_identifier(name)}"
        for name in passed
    ]
    lines = ["WITH " + ",\n".join(common) if common else "", "SELECT"]
    lines += ["  " + ",\n  ".join(columns), f"FROM {rows} AS {_identifier('r')}"]
    for k, (join, relation) in enumerate(zip(joins, relations, strict=True)):
        lines += _joined(k, join.lookup, relation, dialect)
    return "\n".join(line for line in lines if line)


def _joined(k: int, lookup: Lookup, relation: str | None, dialect: str) -> list[str]:
    """Two joins by equality, which every data base does by hashing, of at most one row each."""
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


def _has_numbers(lookup: Lookup) -> bool:
    kind = lookup.keys().type
    return is_number(kind) or bool(pa.types.is_boolean(kind))


def _exactly(lookup: Lookup, cell: str, category: str) -> list[str]:
    """What else has to hold of equal numbers, since DuckDB rounds large integers to floats."""
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


def _unlike_types(lookup: Lookup, cell: str) -> str | None:
    """Whether a cell is of a type that DuckDB would round to the type of the categories."""
    kind = lookup.keys().type
    if pa.types.is_decimal(kind):
        return f"typeof({cell}) IN ('FLOAT', 'DOUBLE', 'VARCHAR')"
    if pa.types.is_floating(kind):
        return f"typeof({cell}) = 'VARCHAR' OR typeof({cell}) LIKE 'DECIMAL%'"
    return f"typeof({cell}) = 'VARCHAR'" if _has_numbers(lookup) else None


def _outputs(k: int, lookup: Lookup, dialect: str) -> list[str]:
    """The column's vector: that of its category, else that of missing or unknown cells."""
    found, other = _column(f"c{k}", "kind"), _column(f"f{k}", "kind")
    refuses = not (lookup.serves_missing and lookup.serves_unknown)
    first = otherwise = ""
    if dialect == "duckdb":
        cell = _column("r", lookup.name)
        if unlike := _unlike_types(lookup, cell):
            first = f"WHEN {unlike} THEN {_wrong_type(lookup)} "
        if refuses:
            otherwise = f"WHEN {other} IS NULL THEN {_refusal(lookup)} "
    columns = []
    for output in lookup.outputs:
        of_category, of_others = _column(f"c{k}", output), _column(f"f{k}", output)
        if otherwise:
            choice = f"WHEN {found} IS NOT NULL THEN {of_category} {otherwise}ELSE {of_others}"
        else:
            choice = f"WHEN {found} IS NULL THEN {of_others} ELSE {of_category}"
        columns.append(f"CAST(CASE {first}{choice} END AS REAL)\n    AS {_identifier(output)}")
    return columns


def _wrong_type(lookup: Lookup) -> str:
    text = (
        f"Column {lookup.name!r} held numbers of Arrow's type {lookup.keys().type} in fit, and has "
        "a type that is not compared with them exactly; cast it to the type of fit."
    )
    return f"error({_text(text)})"


def _refusal(lookup: Lookup) -> str:
    refused = {"missing": lookup.serves_missing, "unknown": lookup.serves_unknown}
    what = " or ".join(kind for kind, served in refused.items() if not served)
    text = f"Column {lookup.name!r} has {what} values, which the encoder was told to refuse."
    return f"error({_text(text)})"


def _values(lookup: Lookup, dialect: str) -> str:
    """The look-up table itself, as the body of a common table expression."""
    kinds, vectors = lookup.rows()
    keys = [_literal(key, lookup, dialect) for key in _plain_keys(lookup)]
    keys += ["NULL"] * (len(kinds) - len(keys))
    header = ", ".join(map(_identifier, ["category", "kind", *lookup.outputs]))
    rows = [
        f"({key}, '{kind}', {', '.join(_number(number, dialect) for number in vector)})"
        for key, kind, vector in zip(keys, kinds, vectors.tolist(), strict=True)
    ]
    return f"({header}) AS (VALUES\n  " + ",\n  ".join(rows) + ")"


def _plain_keys(lookup: Lookup) -> list[Any]:
    """The categories as Python values of a type with literals."""
    keys = lookup.keys()
    if pa.types.is_time(keys.type) or pa.types.is_binary(keys.type):
        _refuse_literal(lookup)
    return keys.to_pylist()


def _literal(value: Any, lookup: Lookup, dialect: str) -> str:
    if isinstance(value, str):
        if dialect == "standard" and "\0" in value:
            _refuse_literal(lookup)
        return _text(value)
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, float):
        if dialect == "standard" and math.isinf(value):
            _refuse_literal(lookup)
        return _number(value, dialect)
    if isinstance(value, datetime):
        if value.tzinfo is not None or getattr(value, "nanosecond", False):
            _refuse_literal(lookup)
        return f"TIMESTAMP '{value.isoformat(sep=' ')}'"
    assert isinstance(value, date)
    return f"DATE '{value.isoformat()}'"


def _number(value: float, dialect: str) -> str:
    """A float as a literal of double precision: an exponent makes it one."""
    if math.isnan(value):
        return "CAST('NaN' AS DOUBLE)" if dialect == "duckdb" else "NULL"
    if math.isinf(value):
        return f"CAST('{value}' AS DOUBLE)"
    shortest = repr(value)
    return shortest if "e" in shortest else f"{shortest}e0"


def _refuse_literal(lookup: Lookup) -> None:
    raise UnsupportedDataError(
        f"The categories of column {lookup.name!r} cannot be written into a query; write them "
        "with to_parquet and pass its result as `lookups`."
    )


def _relation(given: Any, parameter: str, dialect: str) -> str:
    """A table by name or file, quoted."""
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
        if can_be_named(path):
            return f"read_parquet({_text(path)}{own})"
    parts = [given] if isinstance(given, str) else given
    named = isinstance(parts, Sequence) and all(isinstance(p, str) for p in parts)
    if not (named and parts and all(map(can_be_named, parts))):
        raise InvalidParameterError(
            f"`{parameter}` must be the name of a table, its parts, or a Path of a Parquet file, "
            f"in UTF-8 and without a zero character, got {shown(given)}."
        )
    return ".".join(map(_identifier, parts))


def _folded_names(relations: Sequence[Any]) -> set[str]:
    """What no table of the query's own may be called, in lower case."""
    names: set[str] = set()
    for given in relations:
        if not isinstance(given, os.PathLike | None):
            names.update(p.casefold() for p in ([given] if isinstance(given, str) else given))
    return names


def _unlike(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_"
    return name


def _column(relation: str, name: str) -> str:
    return f"{_identifier(relation)}.{_identifier(name)}"


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
