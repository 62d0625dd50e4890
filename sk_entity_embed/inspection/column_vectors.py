"""ColumnVectors: the categories of one column with their vectors and statistics, to look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from numbers import Integral, Real
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sk_entity_embed._access import check_column, fitted_step, table_of
from sk_entity_embed.exceptions import InvalidDataError, InvalidParameterError
from sk_entity_embed.input.messages import shown
from sk_entity_embed.input.table import object_array
from sk_entity_embed.model.tables import NOT_INFERRED

Source: TypeAlias = Any
"""A fitted estimator or a pipeline with one, a frame of vectors, or a mapping from columns to such.
"""

_FREQUENT = 20
"""Rows that make a category frequent, unless told otherwise."""

_MANY = 20_000
"""Names compared letter by letter to find those close to an unknown one."""


class Pair(tuple[Any, ...]):
    """A pair of categories, equal to the tuple, whose sides a picture puts around a cross."""

    __slots__ = ()

    def __str__(self) -> str:
        return " \N{MULTIPLICATION SIGN} ".join(map(text_of, self))


@dataclass(frozen=True, slots=True)
class ColumnVectors:
    """The vectors of one column, with its categories, counts and target means."""

    name: str
    labels: NDArray[Any]
    """Categories; NaN is the missing one."""
    vectors: NDArray[np.float32]
    """One for each category, without a bias."""
    counts: NDArray[np.int64] | None
    """Training rows of each, or items of lists; None where they are not known."""
    target_means: NDArray[np.float64] | None
    """Mean target of each, of shape (n_categories,) or (n_categories, n_outputs).

    In a column of lists it is that of the items; NaN for a missing category of which only whole
    lists were missing.
    """
    unit: str = "row"
    """"row" or "item": what the counts count."""

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def texts(self) -> list[str]:
        """The categories as they read in a picture."""
        return [text_of(label) for label in self.labels.tolist()]

    @property
    def weights(self) -> NDArray[np.float64]:
        """Weight of each category: its rows, or 1."""
        if self.counts is None or not self.counts.any():
            return np.ones(len(self))
        return self.counts.astype(np.float64)

    def take(self, positions: NDArray[np.intp]) -> ColumnVectors:
        """The categories at the given positions."""
        return replace(
            self,
            labels=self.labels[positions],
            vectors=self.vectors[positions],
            counts=None if self.counts is None else self.counts[positions],
            target_means=None if self.target_means is None else self.target_means[positions],
        )

    def locate(self, categories: Sequence[Any]) -> NDArray[np.intp]:
        """Return positions of categories, None and NaN as the missing one; refuse unknown ones."""
        asked = object_array([np.nan if _is_missing(c) else c for c in categories])
        try:
            index = _index(self.labels)
            found = index.get_indexer(_index(asked))
            pairs = [i for i in np.flatnonzero(found < 0) if isinstance(asked[i], tuple)]
            if pairs:  # not every pandas finds tuples, and none those with a missing side
                positions = {_sides(label): k for k, label in enumerate(self.labels)}
                found[pairs] = [positions.get(_sides(asked[i]), -1) for i in pairs]
        except TypeError as error:
            raise InvalidDataError(
                f"Categories of column {self.name!r} must be hashable: {error!s:.300}."
            ) from error
        if (found < 0).any():
            unknown = categories[int(np.argmax(found < 0))]
            raise InvalidDataError(
                f"{shown(unknown)} is not a category of column "
                f"{self.name!r}.{self._suggestion(unknown)}"
            )
        return found.astype(np.intp)

    def frequent(self, min_count: int | str | None) -> NDArray[np.intp]:
        """Return positions of categories with at least `min_count` rows; None takes all."""
        if min_count is None:
            return np.arange(len(self))
        if not isinstance(min_count, Real):
            raise InvalidParameterError(
                f"`min_count` must be a number or None, got {shown(min_count)}."
            )
        if self.counts is None:
            raise InvalidParameterError(
                "`min_count` needs counts, which vectors alone do not have; pass a fitted "
                "estimator, or min_count=None."
            )
        positions = np.flatnonzero(self.counts >= min_count)
        if len(positions) == 0:
            raise InvalidParameterError(
                f"No category of column {self.name!r} has `min_count`={min_count} "
                f"{self.unit}s; the most frequent one has {self.counts.max()}."
            )
        return positions

    def choose(self, categories: Sequence[Any] | None, k: int) -> NDArray[np.intp]:
        """Return positions of the given categories, or of the `k` most frequent ones."""
        if categories is None:
            check_count("k", k)
            return np.argsort(-self.weights, kind="stable")[: int(k)]
        if isinstance(categories, str) or not np.iterable(categories):
            raise InvalidParameterError(f"`categories` must be a list, got {shown(categories)}.")
        positions = self.locate(list(categories))
        if len(positions) == 0:
            raise InvalidParameterError("`categories` is empty; give one category at least.")
        if len(np.unique(positions)) < len(positions):
            raise InvalidDataError("`categories` has a category more than once.")
        return positions

    def _suggestion(self, unknown: Any) -> str:
        if _is_missing(unknown):
            return " No cell was missing in fit."
        texts = [str(label) for label in self.labels.tolist()]
        close = close_names(str(unknown), texts)
        if not close:
            return f" It has {len(self)} categories, such as {shown(self.labels[0])}."
        positions = {texts.index(name): None for name in close}
        return f" Did you mean {', '.join(shown(self.labels[i]) for i in positions)}?"


def usual_min_count(
    min_count: int | str | None, counts: NDArray[np.integer[Any]] | None
) -> int | str | None:
    """Return `min_count`; "auto" is 20, or None where no category has as many rows."""
    if not isinstance(min_count, str) or min_count != "auto":
        return min_count
    return _FREQUENT if counts is not None and (counts >= _FREQUENT).any() else None


def is_count(value: Any, least: int = 1) -> bool:
    """Return whether it is an integer of at least `least`, and no boolean."""
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= least


def check_count(name: str, value: Any, least: int = 1, also: str = "") -> None:
    """Raise InvalidParameterError unless a parameter is an integer of at least `least`."""
    if not is_count(value, least):
        kind = "a positive integer" if least == 1 else f"an integer of at least {least}"
        raise InvalidParameterError(f"`{name}` must be {kind}{also}, got {shown(value)}.")


def label_series(labels: NDArray[Any]) -> pd.Series:
    """Return categories as a column of a data frame."""
    try:
        return pd.Series(labels)
    except NOT_INFERRED:
        return pd.Series(labels, dtype=object)


def text_of(label: Any) -> str:
    """Return how a category reads in a picture."""
    if isinstance(label, tuple) and not label:
        return "(empty list)"
    return "(missing)" if _is_missing(label) else str(label)


def close_names(wanted: str, names: Sequence[str], n: int = 3) -> list[str]:
    """Return names like the wanted one, the most similar first; of very many, few are compared."""
    folded = wanted.casefold()
    if len(names) > _MANY:
        start = folded[:2]
        near = [s for s in names if s.casefold().startswith(start) or folded in s.casefold()]
        names = sorted(near, key=lambda s: abs(len(s) - len(wanted)))[:_MANY]
    by_fold: dict[str, str] = {}
    for name in names:
        by_fold.setdefault(name.casefold(), name)
    close = get_close_matches(folded, by_fold, n=n)
    return [by_fold[name] for name in close]


def source_of(source: Source) -> Any:
    """Return vectors as they are, or the fitted estimator of this package."""
    return (
        source
        if isinstance(source, ColumnVectors | pd.DataFrame | Mapping)
        else fitted_step(source)
    )


def column_vectors_of(source: Source, column: str | None) -> ColumnVectors:
    """Return the catalogue of a source's column, which may be None where there is only one."""
    source = source_of(source)
    if isinstance(source, ColumnVectors):
        return source
    if isinstance(source, pd.DataFrame):
        name = column or (str(source.index.name) if source.index.name is not None else "category")
        return _of_vectors(source, name)
    if isinstance(source, Mapping):
        name = check_column(column, list(source))
        return _of_vectors(source[name], name)
    table = table_of(source, column)
    vocabulary = table.vocabulary
    if len(vocabulary.labels) == 0:
        raise InvalidDataError(
            f"Column {vocabulary.name!r} has no categories to look at: all of its lists were empty "
            "in fit."
        )
    return ColumnVectors(
        name=vocabulary.name,
        labels=_paired(vocabulary.labels) if len(vocabulary.parts) > 1 else vocabulary.labels,
        vectors=table.vectors[vocabulary.label_rows, : table.n_axes],
        counts=vocabulary.label_counts,
        target_means=source.category_target_means_[vocabulary.name],
        unit="item" if vocabulary.is_list else "row",
    )


def _of_vectors(vectors: Any, name: str) -> ColumnVectors:
    """Return a catalogue of vectors made elsewhere: a frame indexed by category."""
    labels: Any = range(len(vectors))
    if isinstance(vectors, pd.DataFrame):
        labels = vectors.index.to_numpy(dtype=object)
    # One missing category, whatever it is called.
    labels = object_array([np.nan if _is_missing(label) else label for label in labels])
    if isinstance(vectors, pd.DataFrame) and vectors.index.nlevels > 1:
        labels = _paired(labels)
    what = f"The vectors of column {name!r}"
    try:
        numbers = np.asarray(vectors, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidDataError(f"{what} must be numbers: {error!s:.300}") from error
    with np.errstate(over="ignore"):
        array = numbers.astype(np.float32)
    if array.ndim != 2 or 0 in array.shape:
        raise InvalidDataError(
            f"{what} must be a table with one category a row, got shape {array.shape}."
        )
    if not np.isfinite(array).all():
        raise InvalidDataError(f"{what} must be finite, within the range of float32.")
    if _index(labels).has_duplicates:
        raise InvalidDataError(f"{what} have a category more than once.")
    return ColumnVectors(name, labels, array, counts=None, target_means=None)


def _paired(labels: NDArray[Any]) -> NDArray[Any]:
    return object_array(list(map(Pair, labels.tolist())))


def values_by_category(values: Any, catalogue: ColumnVectors, what: str) -> NDArray[Any]:
    """Return values in the catalogue's order: a series or mapping is matched by category."""
    if isinstance(values, Mapping):
        index = _index(object_array(list(values)))
        values = pd.Series(object_array(list(values.values())), index=index).infer_objects()
    if isinstance(values, pd.Series):
        index = _index(values.index.to_numpy(dtype=object))
        if index.has_duplicates:
            raise InvalidDataError(f"`{what}` has a category more than once.")
        found = index.get_indexer(_index(catalogue.labels))
        if (found < 0).all():
            raise InvalidDataError(
                f"`{what}` has none of the categories of column {catalogue.name!r}; index it by "
                f"category, such as {shown(catalogue.labels[0])}."
            )
        aligned: NDArray[Any] = values.take(np.maximum(found, 0)).where(found >= 0).to_numpy()
        return aligned
    array = np.asarray(values)
    if array.shape[:1] != (len(catalogue),):
        raise InvalidDataError(
            f"`{what}` has shape {array.shape}, but column {catalogue.name!r} has "
            f"{len(catalogue)} categories; pass a Series indexed by category."
        )
    return array


def _index(labels: NDArray[Any]) -> pd.Index:
    """Return labels of any types as an index of one level."""
    return pd.Index(labels.astype(object), dtype=object, tupleize_cols=False)


def _sides(label: Any) -> Any:
    """Return a label whose missing sides, if it is a pair, are equal to each other."""
    if not isinstance(label, tuple):
        return label
    return tuple(None if _is_missing(side) else side for side in label)


def _is_missing(value: Any) -> bool:
    return bool(pd.api.types.is_scalar(value) and pd.isna(value))
