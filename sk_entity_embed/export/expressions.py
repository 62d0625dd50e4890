"""``transform`` in polars and in pyarrow, without a join."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from sk_entity_embed._access import exported_step
from sk_entity_embed.exceptions import InvalidDataError, UnsupportedDataError
from sk_entity_embed.export.served import Lookup, lookups_of, passed_through, refuse_lists
from sk_entity_embed.input.columns import read_table
from sk_entity_embed.input.lists import Codes, Lists
from sk_entity_embed.input.table import Column
from sk_entity_embed.input.vocabulary import UNKNOWN
from sk_entity_embed.model.tables import gather

if TYPE_CHECKING:
    import polars as pl

__all__ = ["ArrowTransform", "polars_expressions", "pyarrow_transform"]

_LAST_WHOLE = 2.0**53
"""Below it every integer is a float."""


def polars_expressions(encoder: Any) -> list[pl.Expr]:
    """Polars expressions that compute ``transform``, in memory, lazily or streaming.

    Parameters
    ----------
    encoder : EntityEmbeddingEncoder
        Fitted with ``output="embedding"``, or a fitted pipeline that holds one such step. Of a
        pipeline the step alone is exported, and it takes the columns that the step is given.

    Returns
    -------
    list of polars.Expr
        One for each output column, named by
        :meth:`~sk_entity_embed.EntityEmbeddingEncoder.get_feature_names_out` and of type
        Float32, for ``select`` or ``with_columns``. They work without this package and are
        serialisable.

    Raises
    ------
    ImportError
        If polars is not installed.
    InvalidParameterError
        If the encoder's output has a hidden layer, which is no look-up.
    UnsupportedDataError
        If a column holds lists, or its categories are of mixed type, or of one that cannot be a
        key.
    sklearn.exceptions.NotFittedError
        If the encoder is not fitted.

    Warns
    -----
    PartialExportWarning
        If a pipeline is given that has other steps, which are no part of the expressions.

    See Also
    --------
    pyarrow_transform : The same for Arrow tables.

    Notes
    -----
    Columns are of the kind of type of fit: strings (or Categorical, Enum) where text was, any
    numbers where numbers were. Polars refuses others when the expression runs: text for numbers and
    numbers for text, which ``transform`` calls unknown, and decimals for floats and floats for
    decimals, of which polars would round one to the other. A value that ``transform`` refuses, by
    ``handle_unknown="error"`` or ``handle_missing="error"``, ends the query with polars' error of
    an incomplete mapping. Numbers passed through stay null where they are null; those beyond the
    range of Float32 become infinite. A column without a type, which had only missing cells in fit,
    takes any type, but NaN is no missing cell in it.

    Examples
    --------
    >>> import numpy as np
    >>> import polars as pl
    >>> from sk_entity_embed import EntityEmbeddingEncoder
    >>> from sk_entity_embed.export import polars_expressions
    >>> X = pl.DataFrame({"city": ["Oslo", "Rome"] * 50})
    >>> encoder = EntityEmbeddingEncoder(dimensions=2, max_iter=1, random_state=0)
    >>> expressions = polars_expressions(encoder.fit(X, np.arange(100) + 0.5))
    >>> new = pl.LazyFrame({"city": ["Rome", None, "Lima"]}).select(expressions).collect()
    >>> new.columns
    ['city_0', 'city_1']
    >>> bool(
    ...     (
    ...         new.to_numpy() == encoder.transform(pl.DataFrame({"city": ["Rome", None, "Lima"]}))
    ...     ).all()
    ... )
    True
    """
    try:
        import polars as pl
    except ImportError as error:
        raise ImportError(
            "polars_expressions needs polars; install it with: pip install polars"
        ) from error
    encoder = exported_step(encoder)
    lookups, passed = lookups_of(encoder), passed_through(encoder, "The expressions")
    refuse_lists(lookups, "The expressions")
    expressions = [expression for lookup in lookups for expression in _mapped(pl, lookup)]
    # By way of Float64, as in transform: large integers are rounded in the same two steps.
    return expressions + [
        _named(pl, name).cast(pl.Float64).cast(pl.Float32).alias(name) for name in passed
    ]


def pyarrow_transform(encoder: Any) -> ArrowTransform:
    """Compile ``transform`` to a function of Arrow tables and record batches.

    Arrow's own expressions, as in the filters of a data set, hold no gathering of values, so that
    this is a function; apply it to the batches of a scanner.

    Parameters
    ----------
    encoder : EntityEmbeddingEncoder
        Fitted with ``output="embedding"``, or a fitted pipeline that holds one such step. Of a
        pipeline the step alone is exported, and it takes the columns that the step is given.

    Returns
    -------
    ArrowTransform
        Maps a table, or a record batch, to one with the output columns, of type float32. It can
        be pickled and holds vectors and categories only; of columns of lists, also how they are
        pooled.

    Raises
    ------
    InvalidParameterError
        If the encoder's output has a hidden layer, which is no look-up.
    sklearn.exceptions.NotFittedError
        If the encoder is not fitted.

    Warns
    -----
    PartialExportWarning
        If a pipeline is given that has other steps, which are no part of the function.

    See Also
    --------
    polars_expressions : The same for polars.

    Examples
    --------
    >>> import numpy as np
    >>> import pyarrow as pa
    >>> from sk_entity_embed import EntityEmbeddingEncoder
    >>> from sk_entity_embed.export import pyarrow_transform
    >>> X = pa.table({"city": ["Oslo", "Rome"] * 50})
    >>> encoder = EntityEmbeddingEncoder(dimensions=2, max_iter=1, random_state=0)
    >>> look_up = pyarrow_transform(encoder.fit(X, np.arange(100) + 0.5))
    >>> look_up(pa.table({"city": ["Rome", None, "Lima"], "fare": [3.0, 4.0, 5.0]})).column_names
    ['city_0', 'city_1']
    """
    encoder = exported_step(encoder)
    passed = passed_through(encoder, "The function")
    return ArrowTransform(tuple(lookups_of(encoder)), tuple(passed))


@dataclass(frozen=True, slots=True)
class ArrowTransform:
    """``transform`` of Arrow data, made by :func:`pyarrow_transform`.

    Attributes
    ----------
    lookups : tuple of Lookup
        The embedded columns.
    passed : tuple of str
        Columns whose numbers are passed through; null where they are null.
    """

    lookups: tuple[Lookup, ...]
    passed: tuple[str, ...]

    def __call__(self, data: pa.Table | pa.RecordBatch) -> pa.Table | pa.RecordBatch:
        """Look the vectors up.

        Parameters
        ----------
        data : pyarrow.Table or pyarrow.RecordBatch
            Rows, of any number, with the columns of fit by name; others do not matter.

        Returns
        -------
        pyarrow.Table or pyarrow.RecordBatch
            As `data`, with the output columns.

        Raises
        ------
        InvalidDataError
            If a column is absent, or a value is one that ``transform`` refuses.
        UnsupportedDataError
            If `data` is of another type.
        """
        if not isinstance(data, pa.Table | pa.RecordBatch):
            raise UnsupportedDataError(
                f"`data` must be a pyarrow Table or RecordBatch, got {type(data).__name__}."
            )
        names = [lookup.name for lookup in self.lookups]
        if absent := [n for n in [*names, *self.passed] if n not in data.schema.names]:
            raise InvalidDataError(f"`data` lacks the columns {absent}, which fit had.")
        out: dict[str, Any] = {}
        for lookup in self.lookups:
            vectors = _looked_up(lookup, data)
            out |= dict(zip(lookup.outputs, map(pa.array, vectors), strict=True))
        for name in self.passed:
            out[name] = pc.cast(pc.cast(data[name], pa.float64(), safe=False), pa.float32())
        return type(data).from_pydict(out)


def _looked_up(lookup: Lookup, data: Any) -> NDArray[np.float32]:
    """The vectors of a column, of shape (width, n_samples)."""
    if data.num_rows == 0:
        return np.empty((lookup.vectors.shape[1], 0), dtype=np.float32)
    (column,) = read_table(pa.table({lookup.name: data[lookup.name]})).columns
    column = column if lookup.max_length is None else column.last(lookup.max_length)
    codes = lookup.vocabulary.encode(column)
    _check_served(lookup, column, codes)
    if isinstance(codes, Lists):
        out = np.empty((len(column), lookup.vectors.shape[1]), dtype=np.float32)
        gather([lookup.vectors], [codes], out, [lookup.pooling])
        return np.ascontiguousarray(out.T)
    return np.take(np.ascontiguousarray(lookup.vectors.T), codes, axis=1)


def _check_served(lookup: Lookup, column: Column, codes: Codes) -> None:
    """Refuse what transform does."""
    if lookup.serves_missing and lookup.serves_unknown:
        return
    missing = lookup.vocabulary.locate(column) == len(lookup.vocabulary.categories)
    if column.offsets is not None and column.absent is not None:
        missing = _rows_with(Lists(missing.astype(np.int32), column.offsets)) | column.absent
    if isinstance(codes, Lists):
        unknown = _rows_with(replace(codes, items=codes.items == UNKNOWN))
    else:
        unknown = codes == UNKNOWN
    refused = {"missing": (missing, lookup.serves_missing)}
    refused["unknown"] = (unknown & ~missing, lookup.serves_unknown)
    for kind, (rows, served) in refused.items():
        if not served and (count := int(rows.sum())):
            raise InvalidDataError(
                f"Column {column.name!r} has {count} {kind} value(s), the first one in row "
                f"{int(np.argmax(rows))}, which the encoder was told to refuse."
            )


def _rows_with(marked: Lists) -> NDArray[np.bool_]:
    """Which lists have a marked item."""
    rows = np.zeros(len(marked), dtype=bool)
    rows[marked.rows[marked.items != 0]] = True
    return rows


def _mapped(pl: Any, lookup: Lookup) -> list[pl.Expr]:
    """The expressions of one column."""
    if len(lookup.vocabulary.categories) == 0:
        return _mapped_to_none(pl, lookup)
    keys = pl.Series(lookup.keys())
    cells = _named(pl, lookup.name)
    if keys.dtype == pl.String:
        cells += pl.lit("", dtype=pl.String)  # also text: categories; but no numbers
    elif keys.dtype == pl.Boolean or keys.dtype.is_numeric():
        keys = keys.cast(pl.Int8) if keys.dtype == pl.Boolean else keys
        cells = _comparable(pl, cells, keys)
        if keys.dtype != pl.Decimal:
            is_nan = _named(pl, lookup.name).cast(pl.Float64).is_nan()
            cells = pl.when(is_nan).then(None).otherwise(cells)
    vectors = lookup.vectors[lookup.vocabulary.rows]
    if lookup.serves_missing:
        keys = keys.append(pl.Series([None], dtype=keys.dtype))
        vectors = np.vstack([vectors, lookup.missing])
    expressions = []
    for j, output in enumerate(lookup.outputs):
        default = {}
        if lookup.serves_unknown or keys.dtype == pl.Decimal:
            default = {"default": pl.lit(float(lookup.unknown[j]), dtype=pl.Float32)}
        values = pl.Series(np.ascontiguousarray(vectors[:, j]))
        found = cells.replace_strict(keys, values, return_dtype=pl.Float32, **default)
        if keys.dtype == pl.Decimal and len(lookup.vocabulary.categories):
            # Floats are not searched for among decimals, so that polars refuses them here.
            is_first = _named(pl, lookup.name).is_in(keys[:1].to_list())
            found = pl.when(is_first).then(pl.lit(values[0], dtype=pl.Float32)).otherwise(found)
            if not lookup.serves_unknown:
                found = pl.when(_all_known(pl, cells, keys)).then(found)
        if not lookup.serves_missing:  # True has no place in this mapping, which raises
            served = cells.is_null().replace_strict([False], [True], return_dtype=pl.Boolean)
            found = pl.when(served).then(found)
        expressions.append(found.alias(output))
    return expressions


def _all_known(pl: Any, cells: pl.Expr, keys: pl.Series) -> pl.Expr:
    """True where cells are missing or decimals among the keys; an error where one is neither.

    A mapping from decimals needs a default, since their types differ in scale.
    """
    known = pl.Series([True]).new_from_index(0, len(keys))
    found = cells.replace_strict(keys, known, default=False, return_dtype=pl.Boolean)
    return (found | cells.is_null()).replace_strict([True], [True], return_dtype=pl.Boolean)


def _comparable(pl: Any, cells: pl.Expr, keys: pl.Series) -> pl.Expr:
    """Numbers in a type in which they equal the keys that they equal in value, and no others.

    -0.0 becomes 0.0. Where polars would round decimals to floats, it is made to refuse them by a
    sum that is not defined for decimals and changes no other number.
    """
    zero, as_floats = pl.lit(0, dtype=keys.dtype), keys.cast(pl.Float64)
    if keys.dtype == pl.Decimal:
        return cells + zero
    if not keys.dtype.is_float() and (as_floats.abs() < _LAST_WHOLE).all():
        return cells + zero
    cells = cells + pl.lit(False)
    wide = cells + zero
    if (as_floats.abs() < _LAST_WHOLE).all():
        return wide
    # Numbers that are no integers, or are rounded on the way, become a number that is no key.
    whole = cells.cast(pl.Int128, strict=False)
    no_key = next(n for n in range(len(keys) + 1) if n not in set(keys.to_list()))
    if keys.dtype.is_float():
        same, none = whole.eq_missing(wide.cast(pl.Int128, strict=False)), pl.lit(float(no_key))
    else:
        same = cells.is_null() | (whole.cast(pl.Float64) == cells.cast(pl.Float64)).fill_null(False)
        wide, none = whole, pl.lit(no_key, dtype=pl.Int128)
    return pl.when(same).then(wide).otherwise(none)


def _mapped_to_none(pl: Any, lookup: Lookup) -> list[pl.Expr]:
    """The expressions of a column without categories, in which cells are missing or unknown."""
    cells = _named(pl, lookup.name)
    if lookup.vocabulary.categories.dtype.kind in "iuf":
        cells = cells.cast(pl.Float64).fill_nan(None)
    is_missing = cells.is_null()
    # What is refused has no place in the mapping, which raises.
    served = {True: lookup.missing} if lookup.serves_missing else {}
    served |= {False: lookup.unknown} if lookup.serves_unknown else {}
    return [
        is_missing.replace_strict(
            list(served), [float(v[j]) for v in served.values()], return_dtype=pl.Float32
        ).alias(output)
        for j, output in enumerate(lookup.outputs)
    ]


def _named(pl: Any, name: str) -> pl.Expr:
    """A column by its very name: ``pl.col`` reads some names as patterns."""
    return pl.selectors.by_name(name).as_expr()
