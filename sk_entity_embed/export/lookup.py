"""Look-up tables as data frames and Parquet files, and the SQL that joins them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from sk_entity_embed._access import fitted_model
from sk_entity_embed._writing import write_set
from sk_entity_embed.exceptions import InvalidParameterError
from sk_entity_embed.export._dialects import DIALECTS
from sk_entity_embed.export._served import Lookup, exported_lookups, lookups_of
from sk_entity_embed.export._statement import check_sql_names, read_keep, statement
from sk_entity_embed.export._text import PathLike, file_names
from sk_entity_embed.input.messages import shown
from sk_entity_embed.input.table import object_array
from sk_entity_embed.model.tables import NOT_INFERRED

__all__ = ["lookup_frames", "sql", "to_parquet"]

Relation: TypeAlias = str | os.PathLike[str] | Sequence[str]


def lookup_frames(encoder: Any) -> dict[str, pd.DataFrame]:
    """Return the vectors of ``transform`` as one look-up table for each categorical column.

    Parameters
    ----------
    encoder : EntityEmbeddingEncoder
        A fitted encoder, or a fitted pipeline that holds one such step.

    Returns
    -------
    dict of DataFrame
        One table for each column, by column name. It has a column "category" with the categories in
        their own type, a column "kind", and float32 columns with the names of
        :meth:`~sk_entity_embed.EntityEmbeddingEncoder.get_feature_names_out`. With ``head="dot"``
        the last one is the bias.

        Rows of kind "category" are the categories seen in fit. Infrequent ones are among them, each
        with the vector they share. Two rows without a category can follow. The row of kind
        "missing" is the vector for missing cells, according to `handle_missing`. The row of kind
        "unknown" is the vector for all other categories, according to `handle_unknown`. If fit had
        no missing cells, the two are equal. If a policy is "error", its row is left out.

    Raises
    ------
    InvalidParameterError
        If `encoder` is not an estimator of this package.
    sklearn.exceptions.NotFittedError
        If it is not fitted.

    See Also
    --------
    to_parquet : Write the same tables as files.
    sql : Return the query that joins them.

    Notes
    -----
    If you join with pandas, join the rows of kind "category" first, because pandas matches missing
    keys with each other. Then fill the rows without a match from the rows of the other kinds.

    The table of a pair of columns, called like ``"carrier:dest"``, has the columns "row_0" and
    "row_1" in place of "category". They hold row numbers of the tables of the two columns, which
    then have a column "row", also for missing and unknown cells. The row of kind "unknown" is for
    all other pairs; no policy raises an error for them.

    The table of a column of lists has one row for each item. Its row of kind "empty", before the
    unknown one, is for the empty list. A missing list counts as a list of one missing item. You do
    the pooling yourself: ``transform`` applies the encoder's `pooling` to the vectors of the last
    `max_length` items. The output of "gru" is not in the coordinates of the items.

    Examples
    --------
    >>> import pandas as pd
    >>> from sk_entity_embed import EntityEmbeddingEncoder
    >>> from sk_entity_embed.export import lookup_frames
    >>> X = pd.DataFrame({"city": ["Lima", "Oslo", "Rome"] * 40})
    >>> encoder = EntityEmbeddingEncoder(dimensions=2, max_iter=20, random_state=0)
    >>> frame = lookup_frames(encoder.fit(X, [22.0, -4.0, 12.0] * 40))["city"]
    >>> frame.head(3).round(1)
      category      kind  city_0  city_1
    0     Lima  category     1.1    -0.2
    1     Oslo  category    -0.4     0.8
    2     Rome  category    -0.7    -0.7
    >>> frame["kind"].tolist()
    ['category', 'category', 'category', 'missing', 'unknown']
    """
    return {lookup.name: _frame(lookup) for lookup in lookups_of(encoder)}


def to_parquet(encoder: Any, folder: PathLike) -> dict[str, Path]:
    """Write the look-up tables, one Parquet file for each categorical column.

    For a column of lists, the file is the table of their items. :func:`lookup_frames` explains how
    to pool them.

    Parameters
    ----------
    encoder : EntityEmbeddingEncoder
        A fitted encoder, or a fitted pipeline that holds one such step.
    folder : str or path-like
        Folder to write to; it is created if it does not exist. Files of the same name are replaced
        atomically. If there is an error, none of them is replaced.

    Returns
    -------
    dict of Path
        The file of each column, for `lookups` of :func:`sql`. Its name is that of the column with
        ``.parquet``. If that is not safe on every file system, unsafe characters are left out and a
        checksum is added.

    Raises
    ------
    UnsupportedDataError
        If the categories of a column have mixed types, or a type that cannot be a key. Then no file
        is written.
    InvalidParameterError
        If `encoder` is not an estimator of this package.
    sklearn.exceptions.NotFittedError
        If it is not fitted.

    See Also
    --------
    lookup_frames : Return the same tables; explains what they hold.
    sql : Return the query that joins them.

    Examples
    --------
    >>> import tempfile
    >>> import pandas as pd
    >>> from sk_entity_embed import EntityEmbeddingEncoder
    >>> from sk_entity_embed.export import to_parquet
    >>> X = pd.DataFrame({"city": ["Lima", "Oslo", "Rome"] * 40})
    >>> encoder = EntityEmbeddingEncoder(dimensions=2, max_iter=20, random_state=0)
    >>> encoder = encoder.fit(X, [22.0, -4.0, 12.0] * 40)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     files = to_parquet(encoder, folder)
    ...     frame = pd.read_parquet(files["city"])
    >>> files["city"].name
    'city.parquet'
    >>> frame.head(3).round(1)
      category      kind  city_0  city_1
    0     Lima  category     1.1    -0.2
    1     Oslo  category    -0.4     0.8
    2     Rome  category    -0.7    -0.7
    """
    tables = {lookup.name: _arrow_table(lookup) for lookup in lookups_of(encoder)}
    stems = file_names(list(tables))
    paths = {n: Path(folder, f"{stem}.parquet") for n, stem in zip(tables, stems, strict=True)}
    files = {paths[name]: partial(pq.write_table, table) for name, table in tables.items()}
    write_set(files, make_folders=True)
    return paths


def sql(
    encoder: Any,
    table: Relation,
    *,
    lookups: Mapping[str, Relation | None] | None = None,
    keep: Sequence[str] = (),
    dialect: Literal[
        "duckdb", "spark", "postgres", "bigquery", "snowflake", "sqlite", "standard"
    ] = "duckdb",
) -> str:
    """Return a query that computes ``transform`` by joins with the look-up tables.

    Parameters
    ----------
    encoder : EntityEmbeddingEncoder
        Fitted with ``output="embedding"``, or a fitted pipeline that holds one such step. Only this
        step is exported. The query takes the columns that the step gets in the pipeline.
    table : str, sequence of str or path-like
        The rows to encode: the name of a table or a view, a qualified name in parts, such as
        ``("sales", "flights")``, or a :class:`~pathlib.Path` of a Parquet file. Names are quoted.
        The columns must have the names and the kinds of type (text, numbers, ...) of fit.
    lookups : mapping, default=None
        The look-up table of each categorical column, in the same form: the paths that
        :func:`to_parquet` returns, or names of tables with the contents of these files or of
        :func:`lookup_frames`. None, for all columns or for one of them, writes the vectors into the
        query, which works well for up to a few thousand categories.
    keep : sequence of str, default=()
        Columns of `table` to put first, such as a key. You need one, since SQL guarantees no order
        of rows.
    dialect : {"duckdb", "spark", "postgres", "bigquery", "snowflake", "sqlite", "standard"}, \
default="duckdb"
        "spark" is for Spark SQL 3.4 or newer. "postgres", "bigquery" and "snowflake" are written
        by sqlglot, which must be installed (extra ``sql``). "standard" uses nothing but common SQL,
        for any other database. All but "duckdb" and "spark" take tables by name only.

    Returns
    -------
    str
        One SELECT statement without a semicolon. It gives each row of `table` once, with the
        columns of :meth:`~sk_entity_embed.EntityEmbeddingEncoder.get_feature_names_out` as
        REAL, equal to those of :meth:`~sk_entity_embed.EntityEmbeddingEncoder.transform`.
        Numbers passed through are NULL where they are missing. BigQuery, Snowflake and SQLite know
        double precision only: vectors are the same numbers there, and numbers passed through are
        not rounded to REAL.

    Raises
    ------
    ImportError
        If the dialect needs sqlglot, which is not installed.
    InvalidParameterError
        If `dialect` is none of these; the error lists them. If the encoder's output has a hidden
        layer or predictions, which cannot be looked up, or a look-up table is missing. Also if
        `keep` is not a list of different names, or if a name in it is empty, is the name of an
        output column, differs from another name of the query in case only, or is one that the
        database does not allow.
    InvalidDataError
        If the name of a column that the query reads is empty or holds a zero character, is longer
        than PostgreSQL keeps, or has a character that BigQuery does not allow. Also if two columns
        of fit, or two output columns, have names that differ in case only: most databases ignore
        case (DuckDB and SQLite ignore that of ASCII letters, PostgreSQL and Snowflake ignore none).
    UnsupportedDataError
        If a column holds lists, or its categories cannot be keys or cannot be written into a query.
    sklearn.exceptions.NotFittedError
        If the encoder is not fitted.

    Warns
    -----
    PartialExportWarning
        If you give a pipeline with other steps, which are not part of the query.

    See Also
    --------
    to_parquet : Write the look-up tables.
    lookup_frames : Return the look-up tables.

    Notes
    -----
    If ``transform`` would raise an error, because of ``handle_unknown="error"`` or
    ``handle_missing="error"``, the query fails in DuckDB, Spark, PostgreSQL and BigQuery, and gives
    NULL elsewhere. Infinite numbers pass through, although ``transform`` raises an error for them.

    In DuckDB text is compared byte by byte, whatever the collation, and NaN is missing, as in
    ``transform``. The query ends with an error where fit had numbers and the column is text, or
    one of the two has floats and the other decimals, which DuckDB would round: cast them first.
    In Spark, too, text is compared byte by byte, and NaN is missing. Numbers have to come in the
    type of fit: Spark compares large integers with floats, and decimals with floats, after
    rounding. A path may not have one of ``*?[]{}\\``.

    In PostgreSQL, BigQuery and Snowflake, too, text is compared byte by byte, and NaN is missing;
    numbers have to come in the type of fit. A column that had no value in fit may have NaN in
    PostgreSQL only. Times of fit without a zone are TIMESTAMP in PostgreSQL, DATETIME in BigQuery,
    TIMESTAMP_NTZ in Snowflake; cast the column if it is of another type. SQLite compares text byte
    by byte as well. It has no NaN, and NULL stands for one. It has no dates and exact decimals
    either: write such categories as a table.

    In standard SQL the collation has to tell case and trailing spaces apart, numbers have to come
    in the type of fit, only NULL is missing, and vectors of NaN are written as NULL.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from sk_entity_embed import EntityEmbeddingEncoder
    >>> from sk_entity_embed.export import sql
    >>> X = pd.DataFrame({"city": ["Oslo", "Rome"] * 50})
    >>> encoder = EntityEmbeddingEncoder(dimensions=1, max_iter=1, random_state=0)
    >>> query = sql(encoder.fit(X, np.arange(100) + 0.5), "trips", lookups={"city": "city_vectors"})
    >>> print(query)
    SELECT
      CAST(CASE WHEN "c0"."kind" IS NULL THEN "f0"."city_0" ELSE "c0"."city_0" END AS REAL)
        AS "city_0"
    FROM "trips" AS "r"
    LEFT JOIN (SELECT * FROM "city_vectors" WHERE "kind" = 'category') AS "c0"
      ON encode("c0"."category") = encode("r"."city")
    LEFT JOIN (SELECT * FROM "city_vectors" WHERE "kind" <> 'category') AS "f0"
      ON "f0"."kind" = CASE WHEN "r"."city" IS NULL THEN 'missing' ELSE 'unknown' END
    """
    if dialect not in tuple(DIALECTS):
        raise InvalidParameterError(
            f"`dialect` is {shown(dialect)}, but must be one of {tuple(DIALECTS)}."
        )
    found, passed = exported_lookups(encoder, "The query")
    names = [lookup.name for lookup in found]
    read = [lookup.name for lookup in found if lookup.sides is None]
    if lookups is not None and (absent := [name for name in names if name not in lookups]):
        raise InvalidParameterError(
            f"`lookups` lacks the columns {shown(absent)}; give each embedded column a table or "
            "None, or leave `lookups` out."
        )
    keep = read_keep(keep)
    outputs = [output for lookup in found for output in lookup.outputs] + passed
    check_sql_names(fitted_model(encoder).names, read + passed, keep, outputs, DIALECTS[dialect])
    given = [None if lookups is None else lookups[name] for name in names]
    return statement(found, given, table, keep, passed, DIALECTS[dialect])


def _frame(lookup: Lookup) -> pd.DataFrame:
    """Return the table of one column in memory, whatever its categories are."""
    kinds, codes = lookup.rows()
    keys = {} if lookup.sides else {"category": _category_series(lookup, len(kinds))}
    columns: dict[str, Any] = {**keys, **lookup.sides_of(len(kinds)), "kind": kinds}
    return pd.DataFrame(columns | dict(zip(lookup.outputs, lookup.vectors[codes].T, strict=True)))


def _category_series(lookup: Lookup, n_rows: int) -> pd.Series:
    """Return the categories, and nothing in the rows after them."""
    categories = lookup.vocabulary.categories
    n_others = n_rows - len(categories)
    if categories.dtype.kind == "f":
        return pd.Series(np.append(categories, np.full(n_others, np.nan, dtype=categories.dtype)))
    values = pd.Series(object_array([*categories.tolist(), *[None] * n_others]), dtype=object)
    if categories.dtype.kind == "b":
        return values.astype("boolean")
    if categories.dtype.kind in "iu":
        name = categories.dtype.name.replace("uint", "UInt").replace("int", "Int")
        return values.astype(pd.api.types.pandas_dtype(name))
    try:
        return values.infer_objects()
    except NOT_INFERRED:
        return values


def _arrow_table(lookup: Lookup) -> pa.Table:
    """Return the table of one column for a file."""
    kinds, codes = lookup.rows()
    columns: dict[str, Any] = {}
    if lookup.sides is None:
        keys = lookup.keys()
        keys = pa.concat_arrays([keys, pa.nulls(len(kinds) - len(keys), keys.type)])
        columns["category"] = keys
    columns |= lookup.sides_of(len(kinds))
    columns["kind"] = pa.array(kinds, type=pa.string())
    return pa.table(columns | dict(zip(lookup.outputs, lookup.vectors[codes].T, strict=True)))
