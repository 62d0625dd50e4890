"""What each database's SQL has its own way for: one value a dialect."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from string import ascii_lowercase, ascii_uppercase
from typing import Literal

_ASCII_LOWER = str.maketrans(ascii_uppercase, ascii_lowercase)


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a database writes names, texts, numbers and errors.

    A dialect that sqlglot writes has a value here only where its meaning differs from DuckDB's, in
    DuckDB's own spelling: types, quotes, escapes and rows of values are left to sqlglot.

    Attributes
    ----------
    databases : str
        Who speaks it, and which different names they take for one.
    quote : str
        Stands around names.
    bytes_of : str or None
        Template of the bytes of a text, which are compared whatever the collation.
    error : str or None
        Template of what ends the query with a message, for a cell that may be part of it.
    nan : str or None
        Template of whether a cell is NaN, whatever its type; None where NULL alone is missing.
    is_nan : str or None
        Template of whether a number is NaN; None where there is no NaN.
    flags_are_numbers : bool
        Whether a truth value can be cast to a number.
    double : str
        Name of the type of floats of 64 bits.
    escapes : bool
        Whether a backslash in a text begins an escape.
    ignores : str
        The case of which letters is ignored in names: "all", "ascii" or "none".
    longest : int or None
        How many bytes of a name the database keeps.
    forbidden : str
        Characters that the name of a column cannot have.
    file : callable or None
        Returns the relation of a Parquet file; None where its path cannot be written.
    rounds : bool
        Whether numbers of unlike types have to be kept from being compared after rounding.
    decimal : str or None
        Template of an exact number with a fraction; None where there is none.
    holds_zero, holds_infinity, holds_dates : bool
        Whether texts may hold a zero character, floats be infinite, and dates and times be written.
    names_in_values : bool
        Whether the names of a table of values stand with the values, not with its own name.
    sqlglot : str or None
        The dialect's name in sqlglot, where that writes it.
    """

    databases: str
    quote: str = '"'
    bytes_of: str | None = None
    error: str | None = None
    nan: str | None = None
    is_nan: str | None = None
    flags_are_numbers: bool = False
    double: str = "DOUBLE PRECISION"
    escapes: bool = False
    ignores: Literal["all", "ascii", "none"] = "all"
    longest: int | None = None
    forbidden: str = ""
    file: Callable[[str, bool], str | None] | None = None
    rounds: bool = False
    decimal: str | None = "{}"
    holds_zero: bool = False
    holds_infinity: bool = False
    holds_dates: bool = True
    names_in_values: bool = False
    sqlglot: str | None = None

    @property
    def name(self) -> str:
        """What the database is called."""
        return self.databases.partition(",")[0]

    def identifier(self, name: str) -> str:
        """Return a name in quotes."""
        return self.quote + name.replace(self.quote, 2 * self.quote) + self.quote

    def column(self, relation: str, name: str) -> str:
        """Return a name with that of its table."""
        return f"{self.identifier(relation)}.{self.identifier(name)}"

    def refusal(self, name: str) -> str | None:
        """Return what a name has that the database cannot hold, or None."""
        if self.longest is not None and len(name.encode()) > self.longest:
            return f"more than {self.longest} bytes, which {self.name} cuts off"
        if found := sorted(set(self.forbidden) & set(name)):
            return f"{found[0]!r}, which {self.name} does not allow"
        return None

    def written(self, query: str, pretty: bool) -> str:
        """Return a query, so far in DuckDB's spelling, in that of the dialect.

        `pretty` gives each number of a table of values a line of its own, too.
        """
        if self.sqlglot is None:
            return query
        try:
            import sqlglot
        except ImportError as error:
            raise ImportError(
                f"The dialect {self.sqlglot!r} needs sqlglot; install it with "
                "pip install 'sk-entity-embed[sql]'."
            ) from error
        level = sqlglot.ErrorLevel.RAISE
        (made,) = sqlglot.transpile(
            query, read="duckdb", write=self.sqlglot, pretty=pretty, unsupported_level=level
        )
        return made

    def text(self, value: str) -> str:
        """Return a text as a literal."""
        value = value.replace("\\", "\\\\") if self.escapes else value
        return "'" + value.replace("'", "''") + "'"

    def fold(self, name: str) -> str:
        """Return what is equal for names that the database takes for one.

        DuckDB ignores the case of ASCII letters. Others ignore that of all letters, and compare one
        character with one, as Java does for Spark: "ss" is not the upper case of a sharp s to them.
        """
        if self.ignores == "none":
            return name
        if self.ignores == "ascii":
            return name.translate(_ASCII_LOWER)
        return "".join(_simple(_simple(letter, str.upper), str.lower) for letter in name)


def _simple(letter: str, change: Callable[[str], str]) -> str:
    return changed if len(changed := change(letter)) == 1 else letter


def _duckdb_file(path: str, is_lookup: bool) -> str:
    # DuckDB reads *, ? and [ as patterns of names.
    path = re.sub(r"([*?[])", r"[\1]", path).replace("'", "''")
    # It would also take a folder such as kind=7 for a column, before that of a look-up table.
    own = ", hive_partitioning = false" if is_lookup else ""
    return f"read_parquet('{path}'{own})"


def _spark_file(path: str, is_lookup: bool) -> str | None:
    # Spark reads these letters as patterns of names, and knows no way to write them.
    return None if set(path) & set("*?[]{}\\") else "parquet.`" + path.replace("`", "``") + "`"


DIALECTS = {
    "duckdb": Dialect(
        "DuckDB, which ignores the case of ASCII letters in names",
        bytes_of="encode({})",
        error="error({})",
        nan="typeof({0}) IN ('FLOAT', 'DOUBLE') AND CAST({0} AS VARCHAR) = 'nan'",
        is_nan="isnan(CAST({} AS DOUBLE))",
        flags_are_numbers=True,
        ignores="ascii",
        file=_duckdb_file,
        rounds=True,
        holds_zero=True,
        holds_infinity=True,
    ),
    "spark": Dialect(
        "Spark, which ignores upper and lower case in names",
        quote="`",
        bytes_of="CAST({} AS BINARY)",
        error="raise_error({})",
        nan="typeof({0}) IN ('float', 'double') AND CAST({0} AS STRING) = 'NaN'",
        is_nan="isnan(CAST({} AS DOUBLE))",
        flags_are_numbers=True,
        double="DOUBLE",
        escapes=True,
        file=_spark_file,
    ),
    "postgres": Dialect(
        "PostgreSQL",
        bytes_of='CAST({} AS TEXT) COLLATE "C"',
        # There is no function that raises. A text that is no number does, but has to depend on the
        # row: constants are cast before there are any.
        error="CAST({0} || ' Found: ' || COALESCE(CAST({1} AS TEXT), 'NULL') AS DOUBLE)",
        nan=(
            "CAST(PG_TYPEOF({0}) AS TEXT) IN ('real', 'double precision', 'numeric') "
            "AND CAST({0} AS TEXT) = 'NaN'"
        ),
        is_nan="CAST({} AS DOUBLE) = CAST('NaN' AS DOUBLE)",
        ignores="none",
        longest=63,
        holds_infinity=True,
        sqlglot="postgres",
    ),
    "bigquery": Dialect(
        "BigQuery, which ignores upper and lower case in names",
        bytes_of="CAST({} AS BLOB)",
        error="ERROR({})",
        is_nan="isnan(CAST({} AS DOUBLE))",
        forbidden='!"$()*,./;?@[\\]^`{}~\n\r',
        decimal="CAST('{}' AS BIGDECIMAL)",  # a number with a fraction is a float there
        holds_infinity=True,
        names_in_values=True,
        sqlglot="bigquery",
    ),
    "snowflake": Dialect(
        "Snowflake",
        bytes_of="TO_BINARY({}, 'UTF-8')",
        is_nan="CAST({} AS DOUBLE) = CAST('NaN' AS DOUBLE)",
        ignores="none",
        holds_infinity=True,
        sqlglot="snowflake",
    ),
    "sqlite": Dialect(
        "SQLite, which ignores the case of ASCII letters in names",
        bytes_of="{} COLLATE BINARY",
        ignores="ascii",
        double="REAL",
        decimal=None,
        holds_dates=False,
    ),
    "standard": Dialect("databases that ignore upper and lower case in names, as most do"),
}
"""By the value of the parameter `dialect`."""
