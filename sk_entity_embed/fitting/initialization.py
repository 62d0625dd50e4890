"""Where training starts: widths, first vectors, frozen rows.

First vectors are normal numbers, the output of an encoder, or given ones.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
from numpy.random import RandomState
from numpy.typing import NDArray
from scipy import sparse
from sklearn import config_context
from sklearn.base import clone
from sklearn.utils import gen_batches, get_tags

from sk_entity_embed.exceptions import InvalidParameterError, UnmatchedCategoriesWarning
from sk_entity_embed.fitting.options import resolve_dimensions
from sk_entity_embed.fitting.preparation import EncodedColumns, FoldAssignment
from sk_entity_embed.input.crosses import AnyVocabulary
from sk_entity_embed.input.lists import Codes, Lists
from sk_entity_embed.input.messages import shown, typed, warn
from sk_entity_embed.input.table import object_array
from sk_entity_embed.input.target import Target
from sk_entity_embed.input.vocabulary import INFREQUENT, MISSING, UNKNOWN, Vocabulary
from sk_entity_embed.learning.problem import Floats, StartingPoint
from sk_entity_embed.model.heads import Head

CROSS_WIDTH = 3
"""Width of a cross at most, unless `dimensions` names it: it adds to what its columns say."""
INITIAL_SCALE = 0.02  # Standard deviation of initial vector entries.
_BITS = 60  # Exponents of a target that encoders, which square it, are given as it is.
_BLOCK = 16_384  # Rows to draw at a time, in double precision.
_FEW = 0.5  # Share of the cells, and of the given labels, below which a match looks like a mistake.


@dataclass(frozen=True, slots=True)
class InitialVectors:
    """Vectors of one column before training."""

    tables: NDArray[np.float32]  # One a fold, of shape (n_tables, n_rows, width) together.
    given: NDArray[np.bool_]  # Rows that ``freeze`` keeps: those of categories, or with a vector.


def starting_point(
    columns: EncodedColumns,
    target: Target,
    folds: FoldAssignment,
    *,
    head: type[Head],
    dimensions: Any,
    init: Any,
    freeze: bool | Collection[str],
    random_state: RandomState,
) -> tuple[list[Floats], StartingPoint]:
    """Return tables, of shape (n_tables, n_rows, width), and all else a first fit starts from."""
    vocabularies: Any = columns.vocabularies
    names = [v.name for v in vocabularies]
    frames = check_init(init, names)
    widths = _widths(dimensions, columns, frames, head)
    vectors = []
    for j, (vocabulary, width) in enumerate(zip(vocabularies, widths, strict=True)):
        try:
            first = normal_vectors(vocabulary.n_rows, width, folds.n_tables, random_state)
        except (MemoryError, ValueError) as error:
            raise InvalidParameterError(
                f"`dimensions` gives {width} for column {vocabulary.name!r}, whose tables then "
                "need more memory than there is; use a smaller number."
            ) from error
        if vocabulary.name in frames:
            vectors.append(given_vectors(frames[vocabulary.name], vocabulary, first))
        elif j >= len(columns.categorical):  # a cross: nothing is given, nor frozen
            vectors.append(InitialVectors(first, np.zeros(vocabulary.n_rows, dtype=bool)))
        elif isinstance(init, str | Mapping) or vocabulary.n_categories == 0:
            given = np.zeros(vocabulary.n_rows, dtype=bool)
            given[vocabulary.label_rows] = True
            vectors.append(InitialVectors(first, given))
        else:
            codes, targets, mask = _by_item(columns.codes[j], target, _train_mask(folds))
            vectors.append(
                encoder_vectors(init, vocabulary, codes, targets, mask, first, random_state)
            )
    frozen = frozen_columns(freeze, names)
    tables = [v.tables for v in vectors]
    if head.biased:  # each of zero, at the end of its vector
        tables = [np.pad(table, ((0, 0), (0, 0), (0, 1))) for table in tables]
    start = StartingPoint(
        fixed=tuple(v.given & (n in frozen) for v, n in zip(vectors, names, strict=True)),
        shrinks=tuple(
            n not in frames and (isinstance(init, (str, Mapping)) or j >= len(columns.categorical))
            for j, n in enumerate(names)
        ),
        head=None,
        poolings=(None,) * len(names),
    )
    return tables, start


def _by_item(
    codes: Codes, target: Target, train_mask: NDArray[np.bool_]
) -> tuple[NDArray[np.integer[Any]], Target, NDArray[np.bool_]]:
    """Return codes, target and train mask, one an item where the column holds lists."""
    if not isinstance(codes, Lists):
        return codes, target, train_mask
    rows = codes.rows
    return codes.items, replace(target, values=target.values[rows]), train_mask[:, rows]


def _widths(
    dimensions: Any, columns: EncodedColumns, frames: Mapping[str, pd.DataFrame], head: type[Head]
) -> list[int]:
    """Return the columns' widths; given vectors decide theirs unless `dimensions` does."""
    names = [v.name for v in columns.vocabularies]
    cardinalities = [v.cardinality for v in columns.vocabularies]
    positions: list[Any] = [*columns.categorical, *columns.crosses]
    widths = resolve_dimensions(dimensions, names, cardinalities, positions)
    given = {}
    for j, (name, position) in enumerate(zip(names, positions, strict=True)):
        decided = dimensions != "auto"
        if isinstance(dimensions, Mapping):
            decided = name in dimensions or position in dimensions
        if position in columns.crosses and not (isinstance(dimensions, Mapping) and decided):
            widths[j] = min(widths[j], CROSS_WIDTH)
        given[name] = decided or name in frames
        if name not in frames:
            continue
        width = frames[name].shape[1]
        if decided and width != widths[j]:
            raise InvalidParameterError(
                f"`init[{name!r}]` has {width} columns, but `dimensions` asks for {widths[j]}; "
                "make them equal or leave the column's dimensions to 'auto'."
            )
        widths[j] = width
    return head.widths(dict(zip(names, widths, strict=True)), given, cardinalities)


def _train_mask(folds: FoldAssignment) -> NDArray[np.bool_]:
    """Return which rows each table learns from, of shape (n_tables, n_samples)."""
    if folds.n_tables == 1:
        return ~folds.withheld[None, :]
    mask: NDArray[np.bool_] = folds.fold[None, :] != np.arange(folds.n_tables)[:, None]
    return mask


def check_init(init: Any, names: Sequence[str]) -> dict[str, pd.DataFrame]:
    """Return the vectors given by the user, by column name; none for any other `init`."""
    if isinstance(init, str) or (hasattr(init, "fit") and hasattr(init, "transform")):
        return {}
    if not isinstance(init, Mapping):
        raise InvalidParameterError(
            "`init` must be 'normal', an encoder with fit and transform, or a mapping from "
            f"column names to data frames of vectors; got {shown(init)}."
        )
    for name, frame in init.items():
        if name not in names:
            raise InvalidParameterError(
                f"`init` names {shown(name)}, which is not a categorical column: "
                f"{shown(list(names))}."
            )
        if not isinstance(frame, pd.DataFrame) or 0 in frame.shape:
            raise InvalidParameterError(
                f"`init[{name!r}]` must be a pandas DataFrame with one category a row and one "
                "dimension a column."
            )
        if not frame.index.is_unique:
            raise InvalidParameterError(f"`init[{name!r}]` has a category more than once.")
        try:
            finite = np.isfinite(frame.to_numpy(dtype=np.float64)).all()
        except (TypeError, ValueError):
            finite = False
        if not finite:
            raise InvalidParameterError(f"`init[{name!r}]` must hold finite numbers only.")
    return dict(init)


def frozen_columns(freeze: bool | Collection[str], names: Sequence[str]) -> set[str]:
    """Return the names of the columns whose vectors stay as they start."""
    if isinstance(freeze, bool | np.bool_):
        return set(names) if freeze else set()
    unknown = [name for name in freeze if name not in names]
    if unknown:
        raise InvalidParameterError(
            f"`freeze` names {shown(unknown)}, which are not categorical columns: "
            f"{shown(list(names))}."
        )
    return set(freeze)


def normal_vectors(
    n_rows: int, width: int, n_tables: int, random_state: RandomState
) -> NDArray[np.float32]:
    """Return small normal vectors, equal in all tables, of shape (n_tables, n_rows, width)."""
    tables = np.empty((n_tables, n_rows, width), dtype=np.float32)
    for at in gen_batches(n_rows, _BLOCK):
        drawn = random_state.standard_normal((at.stop - at.start, width))
        tables[:, at] = drawn * INITIAL_SCALE
    return tables


def given_vectors(
    frame: pd.DataFrame, vocabulary: AnyVocabulary, start: NDArray[np.float32]
) -> InitialVectors:
    """Put the user's vectors, indexed by category, in place of the normal ones of `start`.

    Categories without one keep their normal vector around the mean of those given, and infrequent
    ones share the mean of theirs.
    """
    values = frame.to_numpy(dtype=np.float64)
    positions = _locate(frame.index, vocabulary)
    _check_matches(frame.index, positions, vocabulary)
    rows = vocabulary.rows_of(positions)
    tables = start + values.mean(axis=0).astype(np.float32)
    given = np.zeros(vocabulary.n_rows, dtype=bool)
    infrequent = rows == INFREQUENT
    if infrequent.any():
        tables[:, INFREQUENT], given[INFREQUENT] = values[infrequent].mean(axis=0), True
    own = (rows > INFREQUENT) | (rows == MISSING)
    tables[:, rows[own]] = values[own]
    given[rows[own]] = True
    return InitialVectors(tables, given)


def _locate(labels: pd.Index, vocabulary: AnyVocabulary) -> NDArray[np.integer[Any]]:
    """Return the position of each label; see :meth:`Vocabulary.locate`."""
    return vocabulary.locate_labels(object_array(labels.tolist()))


def _check_matches(
    labels: pd.Index, positions: NDArray[np.integer[Any]], vocabulary: AnyVocabulary
) -> None:
    """Refuse labels of which none is a category; warn where most on both sides are alone."""
    n, name = vocabulary.n_categories, vocabulary.name
    found, unknown = positions < n, positions > n
    absent = np.flatnonzero(np.bincount(positions, minlength=n)[:n] == 0)
    if not unknown.any() or not len(absent):
        return
    both = (
        f"the frame has labels like {typed(labels[int(np.argmax(unknown))])}, the column has "
        f"categories like {typed(vocabulary.categories[absent[0]])}"
    )
    if not found.any():
        raise InvalidParameterError(
            f"`init[{name!r}]` has no vector for any category of column {name!r}: {both}. "
            f"{_conversion(labels, vocabulary)}"
        )
    covered = vocabulary.counts[positions[found]].sum() / vocabulary.counts.sum()
    used = found.sum() / (found.sum() + unknown.sum())
    if covered < _FEW and used < _FEW:
        warn(
            f"`init[{name!r}]` has vectors for only {_percent(covered)} of the cells of column "
            f"{name!r}, and only {_percent(used)} of its labels are categories: {both}. Check "
            "that both are spelt alike. If they are, leave out the labels that are not categories.",
            UnmatchedCategoriesWarning,
        )


def _conversion(labels: pd.Index, vocabulary: AnyVocabulary) -> str:
    """Say how to make categories of the labels, where a change of their type does it."""
    categories = pd.Index(vocabulary.categories[:1000].tolist(), tupleize_cols=False)
    kind = "str" if isinstance(categories[0], str) else str(categories.dtype)
    way = f"astype({kind!r})"
    try:
        if isinstance(categories[0], Decimal):
            way, converted = "map(str).map(decimal.Decimal)", labels.map(str).map(Decimal)
        else:
            converted = labels.astype(kind)
        matched = _locate(converted, vocabulary) < vocabulary.n_categories
    except (ArithmeticError, TypeError, ValueError):
        converted, matched = labels, np.zeros(0, dtype=bool)
    if matched.any() and converted.is_unique:
        return f"Convert the labels: `frame.index = frame.index.{way}`."
    return "Both have to be equal in spelling and in type (`frame.index.astype` converts)."


def _percent(share: float) -> str:
    return f"{share:.1%}" if share < 0.1 else f"{share:.0%}"


def encoder_vectors(
    encoder: Any,
    vocabulary: Vocabulary,
    codes: NDArray[np.integer[Any]],
    target: Target,
    train_mask: NDArray[np.bool_],
    start: NDArray[np.float32],
    random_state: RandomState,
) -> InitialVectors:
    """Return vectors from an unfitted encoder of another library.

    One that needs `y` is fitted for each table, on the rows that `train_mask`, of shape (n_tables,
    n_samples), marks for it, so that nothing leaks; any other is fitted once. One random map brings
    all output to the width. A tenth of the vectors `start` remains, to tell equal encodings apart.
    """
    texts = _texts(vocabulary)
    seen = np.unique(codes)
    if _needs_target(encoder):
        outputs = _encode_with_target(
            encoder, vocabulary.name, texts, codes, seen, target, train_mask
        )
    else:
        output = _run(encoder, vocabulary.name, texts[codes], texts[seen], None)
        outputs, train_mask = [output] * len(train_mask), np.ones_like(train_mask)
    n_features, width = outputs[0].shape[1], start.shape[2]
    mapping = random_state.standard_normal((n_features, width))
    if n_features <= width:  # keep distances as they are
        mapping = np.linalg.qr(mapping.T)[0].T
    tables = start * np.float32(0.1)
    for g, output in enumerate(outputs):
        share = np.bincount(codes[train_mask[g]], minlength=vocabulary.n_rows)[seen].astype(float)
        tables[g, seen] += _standardise(output @ mapping, share)
    given = np.zeros(vocabulary.n_rows, dtype=bool)
    given[seen[seen != UNKNOWN]] = True
    return InitialVectors(tables, given)


def _needs_target(encoder: Any) -> bool:
    """Return whether an encoder or a pipeline's step requires `y`: a pipeline's tags hide it."""
    steps = [step for _, step in getattr(encoder, "steps", [("", encoder)])]
    return any(get_tags(s).target_tags.required for s in steps if s not in (None, "passthrough"))


def _texts(vocabulary: Vocabulary) -> NDArray[np.object_]:
    """Return the text of each table row; None for unknown and missing."""
    texts = np.empty(vocabulary.n_rows, dtype=object)
    texts[INFREQUENT] = "infrequent"
    if vocabulary.empty_row not in (None, UNKNOWN):
        texts[vocabulary.empty_row] = ""
    frequent = vocabulary.rows > INFREQUENT
    texts[vocabulary.rows[frequent]] = [str(c) for c in vocabulary.categories[frequent]]
    return texts


def _encode_with_target(
    encoder: Any,
    name: str,
    texts: NDArray[np.object_],
    codes: NDArray[np.integer[Any]],
    seen: NDArray[np.integer[Any]],
    target: Target,
    train_mask: NDArray[np.bool_],
) -> list[NDArray[np.float64]]:
    """Return one encoding a table, by the rows that it learns from.

    Encoders may refuse a class that none or all of these rows belong to: its numbers are zero.
    """
    indicators: Any = target.indicators()
    encoded: list[list[NDArray[np.float64] | None]] = []
    for rows in train_mask:
        ys = indicators[rows]
        ys = ys.toarray() if sparse.issparse(ys) else ys
        ys = ys.astype(int) if target.is_classification else _in_range(ys)
        varies = (ys != ys[:1]).any(axis=0) | (not target.is_classification)
        cells = texts[codes[rows]]
        encoded.append(
            [
                _run(encoder, name, cells, texts[seen], y) if used else None
                for y, used in zip(ys.T, varies, strict=True)
            ]
        )
    by_output = [_complete(blocks, len(seen)) for blocks in zip(*encoded, strict=True)]
    return [np.hstack(blocks) for blocks in zip(*by_output, strict=True)]


def _complete(
    blocks: Sequence[NDArray[np.float64] | None], n_rows: int
) -> list[NDArray[np.float64]]:
    """Return all tables' encodings of one output, zeros where a table has none."""
    width = max((block.shape[1] for block in blocks if block is not None), default=1)
    return [np.zeros((n_rows, width)) if block is None else block for block in blocks]


def _in_range(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return columns in units of their own where their numbers are too large or small to square."""
    _, exponent = np.frexp(np.abs(values).max(axis=0))
    return np.ldexp(values, np.where(np.abs(exponent) > _BITS, -exponent, 0))


def _run(
    encoder: Any,
    name: str,
    train: NDArray[np.object_],
    ask: NDArray[np.object_],
    y: NDArray[Any] | None,
) -> NDArray[np.float64]:
    """Fit a clone on one column of strings, and return its encodings of others.

    They are arrays, whatever containers scikit-learn is set to globally.
    """
    fitted = clone(encoder)
    frames: list[Any] = [pd.DataFrame({name: pd.Series(v, dtype=object)}) for v in (train, ask)]
    if hasattr(fitted, "__single_column_transformer__"):  # skrub's take a series
        frames = [f[name] for f in frames]
    try:
        with config_context(transform_output="default"):
            fitted.fit(frames[0], y)
            output = fitted.transform(frames[1])
        output = output.toarray() if sparse.issparse(output) else output
        values = np.asarray(output, dtype=np.float64).reshape(len(ask), -1)
    except (TypeError, ValueError) as error:
        raise InvalidParameterError(
            f"`init={encoder!r}` cannot encode column {name!r}, given as strings: {error!s:.300}"
        ) from error
    if not np.isfinite(values).all():
        raise InvalidParameterError(
            f"`init={encoder!r}` gives missing or infinite numbers for column {name!r}."
        )
    return values


def _standardise(vectors: NDArray[np.float64], share: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return vectors centered by the rows' shares, with the usual size of initial entries."""
    centered = vectors - np.average(vectors, axis=0, weights=share)
    size = np.sqrt(np.average(np.mean(centered**2, axis=1), weights=share))
    is_rounding = size <= 1e-10 * np.abs(vectors).max()
    return (centered * (0.0 if is_rounding else INITIAL_SCALE / size)).astype(np.float32)
