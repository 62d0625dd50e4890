"""What each database's SQL has its own way for: one value a dialect."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from string import ascii_lowercase, ascii_uppercase

_ASCII_LOWER = str.maketrans(ascii_uppercase, ascii_lowercase)


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a database writes names, texts, numbers and errors.

    Attributes
    ----------
    databases : str
        Who speaks it, and which different names they take for one.
    quote : str
        Stands around names.
    bytes_of : str or None
        Template of the bytes of a text, which are compared whatever the collation.
    error : str or None
        Function that ends the query with a message.
    nan : str or None
        Template of whether a cell is NaN, whatever its type; None where NULL alone is missing.
    double : str
        Name of the type of floats of 64 bits.
    escapes : bool
        Whether a backslash in a text begins an escape.
    ignores_ascii_only : bool
        Whether only the case of ASCII letters is ignored in names.
    file : callable or None
        Returns the relation of a Parquet file; None where its path cannot be written.
    rounds : bool
        Whether numbers of unlike types have to be kept from being compared after rounding.
    holds_all : bool
        Whether texts may hold a zero character, and floats be infinite.
    """

    databases: str
    quote: str = '"'
    bytes_of: str | None = None
    error: str | None = None
    nan: str | None = None
    double: str = "DOUBLE PRECISION"
    escapes: bool = False
    ignores_ascii_only: bool = False
    file: Callable[[str, bool], str | None] | None = None
    rounds: bool = False
    holds_all: bool = False

    def identifier(self, name: str) -> str:
        """Return a name in quotes."""
        return self.quote + name.replace(self.quote, 2 * self.quote) + self.quote

    def column(self, relation: str, name: str) -> str:
        """Return a name with that of its table."""
        return f"{self.identifier(relation)}.{self.identifier(name)}"

    def text(self, value: str) -> str:
        """Return a text as a literal."""
        value = value.replace("\\", "\\\\") if self.escapes else value
        return "'" + value.replace("'", "''") + "'"

    def fold(self, name: str) -> str:
        """Return what is equal for names that the database takes for one.

        DuckDB ignores the case of ASCII letters. Others ignore that of all letters, and compare one
        character with one, as Java does for Spark: "ss" is not the upper case of a sharp s to them.
        """
        if self.ignores_ascii_only:
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
        error="error",
        nan="typeof({0}) IN ('FLOAT', 'DOUBLE') AND CAST({0} AS VARCHAR) = 'nan'",
        ignores_ascii_only=True,
        file=_duckdb_file,
        rounds=True,
        holds_all=True,
    ),
    "spark": Dialect(
        "Spark, which ignores upper and lower case in names",
        quote="`",
        bytes_of="CAST({} AS BINARY)",
        error="raise_error",
        nan="typeof({0}) IN ('float', 'double') AND CAST({0} AS STRING) = 'NaN'",
        double="DOUBLE",
        escapes=True,
        file=_spark_file,
    ),
    "standard": Dialect("databases that ignore upper and lower case in names, as most do"),
}
"""By the value of the parameter `dialect`."""
