"""``transform`` in polars and in pyarrow, without a join."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from sk_entity_embed._access import fitted_model
from sk_entity_embed.exceptions import InvalidDataError, UnsupportedDataError
from sk_entity_embed.export._served import Lookup, exported_lookups
from sk_entity_embed.input.columns import read_table
from sk_entity_embed.input.crosses import CrossVocabulary
from sk_entity_embed.input.lists import Codes, Lists
from sk_entity_embed.input.vocabulary import UNKNOWN
from sk_entity_embed.model.fitted import EmbeddingModel, Output
from sk_entity_embed.model.tables import gather

if TYPE_CHECKING:
    import polars as pl

__all__ = ["ArrowTransform", "polars_expressions", "pyarrow_transform"]

_LAST_WHOLE = 2.0**53
"""Below it every integer is a float."""


def polars_expressions(encoder: Any) -> list[pl.Expr]:
    """Return polars expressions that compute ``transform``, in memory, lazily or streaming.

    Parameters
    ----------
    encoder : EntityEmbeddingEncoder
        Fitted with ``output="embedding"``, or a fitted pipeline that holds one such step. Only this
        step is exported. The expressions take the columns that the step gets in the pipeline.

    Returns
    -------
    list of polars.Expr
        One expression for each output column, for ``select`` or ``with_columns``. They have the
        names of :meth:`~sk_entity_embed.EntityEmbeddingEncoder.get_feature_names_out` and the type
        Float32. They work without this package, and can be serialised.

    Raises
    ------
    ImportError
        If polars is not installed.
    InvalidParameterError
        If the encoder's output has a hidden layer or predictions, which cannot be looked up.
    UnsupportedDataError
        If a column holds lists, or its categories have mixed types or a type that cannot be a key.
    sklearn.exceptions.NotFittedError
        If the encoder is not fitted.

    Warns
    -----
    PartialExportWarning
        If you give a pipeline with other steps, which are not part of the expressions.

    See Also
    --------
    pyarrow_transform : Return ``transform`` as a function of Arrow tables.
    sql : Return ``transform`` as a query.

    Notes
    -----
    Columns must have the same kind of type as in fit: strings (or Categorical, Enum) for text, and
    any numbers for numbers. Otherwise polars raises an error when the expression runs. This
    includes text for numbers and numbers for text, which ``transform`` treats as unknown. It also
    includes floats for decimals and decimals for floats, which polars would round.

    With ``handle_unknown="error"`` or ``handle_missing="error"``, such a value ends the query with
    polars' error about an incomplete mapping. Numbers that are passed through stay null if they are
    null; those beyond the range of Float32 become infinite. A column that had only missing cells in
    fit takes any type, but NaN does not count as missing in it.

    Examples
    --------
    >>> import polars as pl
    >>> from sk_entity_embed import EntityEmbeddingEncoder
    >>> from sk_entity_embed.export import polars_expressions
    >>> X = pl.DataFrame({"city": ["Lima", "Oslo", "Rome"] * 40})
    >>> encoder = EntityEmbeddingEncoder(dimensions=2, max_iter=30, random_state=0)
    >>> expressions = polars_expressions(encoder.fit(X, [21.0, -5.0, 12.0, 23.0, -3.0, 14.0] * 20))
    >>> new = pl.LazyFrame({"city": ["Rome", "Oslo", None]})
    >>> out = new.select(expressions).collect()
    >>> out.columns
    ['city_0', 'city_1']
    >>> out.to_numpy()[:2].round(1)
    array([[-1. , -0.4],
           [ 1.1, -0.3]], dtype=float32)
    """
    try:
        import polars as pl
    except ImportError as error:
        raise ImportError(
            "polars_expressions needs polars; install it with: pip install polars"
        ) from error
    lookups, passed = exported_lookups(encoder, "The expressions")
    expressions = [
        expression.alias(output)
        for lookup in lookups
        for expression, output in zip(_mapped(pl, lookup, lookups), lookup.outputs, strict=True)
    ]
    # By way of Float64, as in transform: large integers are rounded in the same two steps.
    return expressions + [
        _named(pl, name).cast(pl.Float64).cast(pl.Float32).alias(name) for name in passed
    ]


def pyarrow_transform(encoder: Any) -> ArrowTransform:
    """Return ``transform`` as a function of Arrow tables and record batches.

    Apply it to the batches of a scanner. It is a function because Arrow's own expressions, as in
    the filters of a data set, cannot look up vectors.

    Parameters
    ----------
    encoder : EntityEmbeddingEncoder
        Fitted with ``output="embedding"``, or a fitted pipeline that holds one such step. Only this
        step is exported. The function takes the columns that the step gets in the pipeline.

    Returns
    -------
    ArrowTransform
        A function from a table or a record batch to one with the output columns, of type float32.
        It raises the errors and warnings of ``transform``. It can be pickled.

    Raises
    ------
    InvalidParameterError
        If the encoder's output has a hidden layer or predictions, which cannot be looked up.
    sklearn.exceptions.NotFittedError
        If the encoder is not fitted.

    Warns
    -----
    PartialExportWarning
        If you give a pipeline with other steps, which are not part of the function.

    See Also
    --------
    polars_expressions : Return ``transform`` as polars expressions.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from sk_entity_embed import EntityEmbeddingEncoder
    >>> from sk_entity_embed.export import pyarrow_transform
    >>> X = pa.table({"city": ["Lima", "Oslo", "Rome"] * 40})
    >>> encoder = EntityEmbeddingEncoder(dimensions=2, max_iter=30, random_state=0)
    >>> look_up = pyarrow_transform(encoder.fit(X, [21.0, -5.0, 12.0, 23.0, -3.0, 14.0] * 20))
    >>> new = pa.table({"city": ["Rome", "Oslo"], "fare": [3.0, 4.0]})
    >>> look_up(new).to_pandas().round(1)
       city_0  city_1
    0    -1.0    -0.4
    1     1.1    -0.3
    """
    lookups, passed = exported_lookups(encoder, "The function", lists=True)
    names = [lookup.name for lookup in lookups if lookup.sides is None]
    model = replace(
        fitted_model(encoder),
        names=tuple(names),
        categorical=tuple(range(len(names))),
        context=(),
        tables=tuple(replace(lookup.table, stack=lookup.table.stack[-1:]) for lookup in lookups),
        output=Output(),
        warm_start=None,
    )
    return ArrowTransform(model, tuple(passed))


@dataclass(frozen=True, slots=True)
class ArrowTransform:
    """``transform`` of Arrow data, made by :func:`pyarrow_transform`.

    Its `model` has the embedded columns only. Numbers `passed` through are null where they are.
    """

    model: EmbeddingModel
    passed: tuple[str, ...]

    def __call__(self, data: pa.Table | pa.RecordBatch) -> pa.Table | pa.RecordBatch:
        """Return the output columns of rows, in the container of `data`.

        It has the columns of fit by name; others do not matter. It is refused where it lacks one,
        is of another type, or has a value that ``transform`` refuses.
        """
        if not isinstance(data, pa.Table | pa.RecordBatch):
            raise UnsupportedDataError(
                f"`data` must be a pyarrow Table or RecordBatch, got {type(data).__name__}."
            )
        names, n_tables = self.model.names, len(self.model.tables)
        if absent := [n for n in [*names, *self.passed] if n not in data.schema.names]:
            raise InvalidDataError(f"`data` lacks the columns {absent}, which fit had.")
        codes: list[Codes] = [np.empty(0, dtype=np.int32)] * n_tables
        if data.num_rows and names:
            table = read_table(pa.table({name: data[name] for name in names}))
            codes = self.model.code(table).codes
        arrays: list[Any] = []
        columns = zip(self.model.tables, self.model.poolings, codes, strict=True)
        for embedded, pooling, coded in columns:
            if isinstance(coded, Lists):
                pooled = np.empty((len(coded), embedded.width), dtype=np.float32)
                gather([embedded.served], [coded], pooled, [pooling])
                vectors = np.ascontiguousarray(pooled.T)
            else:  # one output column after the other, as Arrow holds them
                vectors = np.take(np.ascontiguousarray(embedded.served.T), coded, axis=1)
            arrays += map(pa.array, vectors)
        for name in self.passed:
            arrays.append(pc.cast(pc.cast(data[name], pa.float64(), safe=False), pa.float32()))
        outputs = [*self.model.output_names(), *self.passed]
        return type(data).from_pydict(dict(zip(outputs, arrays, strict=True)))


def _mapped(pl: Any, lookup: Lookup, lookups: Sequence[Lookup]) -> list[pl.Expr]:
    """Return the expressions of one column, or of a pair of two."""
    if lookup.sides is None:
        return [_found(pl, lookup, numbers) for numbers in lookup.vectors.T]
    first, second = (lookups[j] for j in lookup.sides)
    pairs = cast(CrossVocabulary, lookup.vocabulary)
    number = _row(pl, first) * second.vocabulary.n_rows + _row(pl, second)
    # Two unknown sides are the number 0: a mapping needs a key.
    keys = pl.Series(np.append(np.int64(0), pairs.pairs))
    rows = np.append(np.int32(UNKNOWN), pairs.rows)
    return [
        number.replace_strict(
            keys,
            pl.Series(numbers[rows]),
            default=pl.lit(float(numbers[UNKNOWN]), dtype=pl.Float32),
            return_dtype=pl.Float32,
        )
        for numbers in lookup.vectors.T
    ]


def _row(pl: Any, lookup: Lookup) -> pl.Expr:
    """Return the table row of a column's cells."""
    return _found(pl, lookup, np.arange(lookup.vocabulary.n_rows, dtype=np.int64))


def _found(pl: Any, lookup: Lookup, numbers: NDArray[Any]) -> pl.Expr:
    """Return, of the numbers of the table rows, that of each cell."""
    kind = pl.Series(numbers[:0]).dtype
    unknown = pl.lit(numbers[UNKNOWN].item(), dtype=kind)
    missing = numbers[lookup.vocabulary.missing_row]
    if len(lookup.vocabulary.categories) == 0:
        return _found_none(pl, lookup, missing.item(), numbers[UNKNOWN].item(), kind)
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
    values = numbers[lookup.vocabulary.rows]
    if lookup.serves_missing:
        keys = keys.append(pl.Series([None], dtype=keys.dtype))
        values = np.append(values, missing)
    default = {}
    if lookup.serves_unknown or keys.dtype == pl.Decimal:
        default = {"default": unknown}
    found = cells.replace_strict(keys, pl.Series(values), return_dtype=kind, **default)
    if keys.dtype == pl.Decimal:
        # Floats are not searched for among decimals, so that polars refuses them here.
        is_first = _named(pl, lookup.name).is_in(keys[:1].to_list())
        found = pl.when(is_first).then(pl.lit(values[0].item(), dtype=kind)).otherwise(found)
        if not lookup.serves_unknown:
            found = pl.when(_all_known(pl, cells, keys)).then(found)
    if not lookup.serves_missing:  # True has no place in this mapping, which raises
        served = cells.is_null().replace_strict([False], [True], return_dtype=pl.Boolean)
        found = pl.when(served).then(found)
    return found


def _all_known(pl: Any, cells: pl.Expr, keys: pl.Series) -> pl.Expr:
    """Return True where cells are missing or decimals among the keys; fail where one is neither.

    A mapping from decimals needs a default, since their types differ in scale.
    """
    known = pl.Series([True]).new_from_index(0, len(keys))
    found = cells.replace_strict(keys, known, default=False, return_dtype=pl.Boolean)
    return (found | cells.is_null()).replace_strict([True], [True], return_dtype=pl.Boolean)


def _comparable(pl: Any, cells: pl.Expr, keys: pl.Series) -> pl.Expr:
    """Return numbers in a type in which they equal the keys of their value, and no others.

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
    # Numbers that are not integers, or are rounded on the way, become a number that is not a key.
    whole = cells.cast(pl.Int128, strict=False)
    no_key = next(n for n in range(len(keys) + 1) if n not in set(keys.to_list()))
    if keys.dtype.is_float():
        same, none = whole.eq_missing(wide.cast(pl.Int128, strict=False)), pl.lit(float(no_key))
    else:
        same = cells.is_null() | (whole.cast(pl.Float64) == cells.cast(pl.Float64)).fill_null(False)
        wide, none = whole, pl.lit(no_key, dtype=pl.Int128)
    return pl.when(same).then(wide).otherwise(none)


def _found_none(pl: Any, lookup: Lookup, missing: float, unknown: float, kind: Any) -> pl.Expr:
    """Return the number of cells of a column without categories: they are missing or unknown."""
    cells = _named(pl, lookup.name)
    if lookup.vocabulary.categories.dtype.kind in "iuf":
        cells = cells.cast(pl.Float64).fill_nan(None)
    # What is refused has no place in the mapping, which raises.
    served = {True: missing} if lookup.serves_missing else {}
    served |= {False: unknown} if lookup.serves_unknown else {}
    return cells.is_null().replace_strict(list(served), list(served.values()), return_dtype=kind)


def _named(pl: Any, name: str) -> pl.Expr:
    """Return a column by its very name: ``pl.col`` reads some names as patterns."""
    return pl.selectors.by_name(name).as_expr()
