"""Catalogue: the categories of one column with their vectors and statistics, to look at."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from numbers import Integral, Real
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sk_entity_embed._access import check_column, fitted_step, table_of
from sk_entity_embed.exceptions import InvalidDataError, InvalidParameterError
from sk_entity_embed.input.columns import object_array
from sk_entity_embed.input.messages import shown
from sk_entity_embed.model.tables import NOT_INFERRED

Source: TypeAlias = Any
"""A fitted estimator or a pipeline with one, a frame of vectors, or a mapping from columns to such.
"""

_FREQUENT = 20
"""Rows that make a category frequent, unless told otherwise."""

_MANY = 20_000
"""Names compared letter by letter to find those close to an unknown one."""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What there is to see of one column.

    Attributes
    ----------
    name : str
        The column.
    labels : ndarray of shape (n_categories,)
        Categories; NaN is the missing one.
    vectors : ndarray of float32 of shape (n_categories, width)
        Their vectors, without a bias.
    counts : ndarray of int64 of shape (n_categories,) or None
        Training rows of each, or items of lists; None where nobody knows.
    target_means : ndarray of float64 of shape (n_categories,) or (n_categories, n_outputs), or None
        Mean target of each, in a column of lists over its items; NaN for a missing category of
        which only whole lists were missing.
    unit : {"row", "item"}, default="row"
        What the counts count.
    """

    name: str
    labels: NDArray[Any]
    vectors: NDArray[np.float32]
    counts: NDArray[np.int64] | None
    target_means: NDArray[np.float64] | None
    unit: str = "row"

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def texts(self) -> list[str]:
        """How the categories read in a picture."""
        return [text_of(label) for label in self.labels.tolist()]

    @property
    def weights(self) -> NDArray[np.float64]:
        """Weight of each category: its rows, or 1."""
        if self.counts is None or not self.counts.any():
            return np.ones(len(self))
        return self.counts.astype(np.float64)

    def take(self, positions: NDArray[np.intp]) -> Catalogue:
        """The categories at the given positions."""
        return replace(
            self,
            labels=self.labels[positions],
            vectors=self.vectors[positions],
            counts=None if self.counts is None else self.counts[positions],
            target_means=None if self.target_means is None else self.target_means[positions],
        )

    def locate(self, categories: Sequence[Any]) -> NDArray[np.intp]:
        """Positions of categories.

        Parameters
        ----------
        categories : sequence
            Categories of the column; None and NaN are the missing one.

        Raises
        ------
        InvalidDataError
            If one is unknown; close names are suggested.
        """
        index = pd.Index(self.labels.astype(object), dtype=object, tupleize_cols=False)
        asked = object_array([np.nan if _is_missing(c) else c for c in categories])
        try:
            found = index.get_indexer(pd.Index(asked, dtype=object, tupleize_cols=False))
        except TypeError as error:
            raise InvalidDataError(
                f"Categories of column {self.name!r} must be hashable: {error!s:.300}."
            ) from error
        if (found < 0).any():
            unknown = categories[int(np.argmax(found < 0))]
            raise InvalidDataError(
                f"{shown(unknown)} is no category of column "
                f"{self.name!r}.{self._suggestion(unknown)}"
            )
        return found.astype(np.intp)

    def frequent(self, min_count: int | str | None) -> NDArray[np.intp]:
        """Positions of categories with at least `min_count` rows; None takes all.

        Raises
        ------
        InvalidParameterError
            If counts are not known, or no category has as many.
        """
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
        """Positions of the given categories, or of the k most frequent ones.

        Raises
        ------
        InvalidParameterError
            If `categories` is no list or empty, or `k` is no positive integer.
        InvalidDataError
            If a category is unknown or given twice.
        """
        if categories is None:
            if not isinstance(k, Integral) or isinstance(k, bool) or k < 1:
                raise InvalidParameterError(f"`k` must be a positive integer, got {shown(k)}.")
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
    """`min_count`, where "auto" is 20, or None where no category has as many rows.

    Parameters
    ----------
    min_count : int, "auto" or None
        What the user asks for; anything but "auto" is returned as it is.
    counts : ndarray of int of shape (n_categories,) or None
        Rows of each category; None where nobody knows.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_entity_embed.inspection.catalogue import usual_min_count
    >>> usual_min_count("auto", np.array([3, 20])), usual_min_count("auto", np.array([3, 19]))
    (20, None)
    """
    if not isinstance(min_count, str) or min_count != "auto":
        return min_count
    return _FREQUENT if counts is not None and (counts >= _FREQUENT).any() else None


def label_series(labels: NDArray[Any]) -> pd.Series:
    """Categories as a column of a data frame."""
    try:
        return pd.Series(labels)
    except NOT_INFERRED:
        return pd.Series(labels, dtype=object)


def text_of(label: Any) -> str:
    """How a category reads in a picture."""
    if isinstance(label, tuple) and not label:
        return "(empty list)"
    return "(missing)" if _is_missing(label) else str(label)


def close_names(wanted: str, names: Sequence[str], n: int = 3) -> list[str]:
    """Names like the wanted one, the most similar first.

    Of more than 20,000 names, only those that begin alike or contain the wanted one are compared
    letter by letter, so that the answer does not take longer than the question.
    """
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
    """What is to be looked at: vectors as they are, or the estimator of this package.

    Raises
    ------
    InvalidParameterError
        If it is neither, or a pipeline with several such estimators.
    sklearn.exceptions.NotFittedError
        If the estimator is not fitted.
    """
    return source if isinstance(source, Catalogue | pd.DataFrame | Mapping) else fitted_step(source)


def catalogue_of(source: Source, column: str | None) -> Catalogue:
    """The catalogue of a column.

    Parameters
    ----------
    source : estimator, DataFrame or mapping of DataFrame
        A fitted estimator of this package, or a fitted pipeline that holds one such step; or
        vectors made elsewhere, one category a row, indexed by category: a frame for one column, or
        a mapping from column names to frames.
    column : str or None
        Name of the column; may be None where there is only one.

    Raises
    ------
    InvalidParameterError
        If `source` is something else or there is no such column.
    InvalidDataError
        If a frame does not hold one finite vector for each of several distinct categories, or fit
        met nothing but empty lists.
    sklearn.exceptions.NotFittedError
        If the estimator is not fitted.
    """
    source = source_of(source)
    if isinstance(source, Catalogue):
        return source
    if isinstance(source, pd.DataFrame):
        name = column or (str(source.index.name) if source.index.name is not None else "category")
        return from_vectors(source, name=name)
    if isinstance(source, Mapping):
        name = check_column(column, list(source))
        return from_vectors(source[name], name=name)
    table = table_of(source, column)
    vocabulary = table.vocabulary
    if len(vocabulary.labels) == 0:
        raise InvalidDataError(
            f"Column {vocabulary.name!r} has no categories to look at: all of its lists were empty "
            "in fit."
        )
    return Catalogue(
        name=vocabulary.name,
        labels=vocabulary.labels,
        vectors=table.vectors[vocabulary.label_rows, : table.n_axes],
        counts=vocabulary.label_counts,
        target_means=source.category_target_means_[vocabulary.name],
        unit="item" if vocabulary.is_list else "row",
    )


def from_vectors(
    vectors: Any,
    *,
    categories: Iterable[Any] | None = None,
    counts: Any = None,
    target_means: Any = None,
    name: str = "category",
) -> Catalogue:
    """A catalogue of vectors made elsewhere.

    Parameters
    ----------
    vectors : DataFrame or array-like of shape (n_categories, width)
        One vector a category; a frame is indexed by category.
    categories : iterable, default=None
        The categories; by default the index of the frame, or 0, 1, ...
    counts : array-like of int of shape (n_categories,), or Series, default=None
        Rows of each category; a series is matched by its index.
    target_means : array-like of float of shape (n_categories,), or Series, default=None
        Mean target of each category.
    name : str, default="category"
        Name of the column.

    Raises
    ------
    InvalidDataError
        If shapes do not agree, a vector is not finite or a category is there twice.
    """
    labels: NDArray[Any]
    if categories is not None:
        labels = object_array(list(categories))
    elif isinstance(vectors, pd.DataFrame):
        labels = vectors.index.to_numpy(dtype=object)
    else:
        labels = np.arange(len(vectors))
    if labels.dtype == object:  # one missing category, whatever it is called
        labels = object_array([np.nan if _is_missing(label) else label for label in labels])
    numbers = _numbers(vectors, f"The vectors of column {name!r}", len(labels))
    with np.errstate(over="ignore"):
        array = numbers.astype(np.float32)
    if array.ndim != 2 or 0 in array.shape:
        raise InvalidDataError(
            f"The vectors of column {name!r} must be a table with one category a row, got shape "
            f"{array.shape}."
        )
    if not np.isfinite(array).all():
        raise InvalidDataError(
            f"The vectors of column {name!r} must be finite, within the range of float32."
        )
    if pd.Index(labels, dtype=object, tupleize_cols=False).has_duplicates:
        raise InvalidDataError(f"The vectors of column {name!r} have a category more than once.")
    if counts is not None:
        counts = _matched(counts, labels, "counts")
        if (counts < 0).any() or (counts != np.floor(counts)).any():
            raise InvalidDataError("`counts` must be whole numbers of rows.")
        counts = counts.astype(np.int64)
    if target_means is not None:
        target_means = _matched(target_means, labels, "target_means")
    return Catalogue(name, labels, array, counts, target_means)


def values_by_category(values: Any, catalogue: Catalogue, what: str) -> NDArray[Any]:
    """Values for each category of a catalogue, in its order.

    Parameters
    ----------
    values : Series, mapping or array-like of shape (n_categories,)
        A series or a mapping is matched by category, and those it lacks are missing; anything
        else has to be in the catalogue's order.
    catalogue : Catalogue
        The categories.
    what : str
        Name of the parameter, for errors.

    Raises
    ------
    InvalidDataError
        If lengths differ or no category is among those of a series.
    """
    if isinstance(values, Mapping):
        values = pd.Series(
            object_array(list(values.values())),
            index=pd.Index(object_array(list(values)), dtype=object, tupleize_cols=False),
        ).infer_objects()
    if isinstance(values, pd.Series):
        index = pd.Index(values.index.to_numpy(dtype=object), dtype=object, tupleize_cols=False)
        if index.has_duplicates:
            raise InvalidDataError(f"`{what}` has a category more than once.")
        wanted = pd.Index(catalogue.labels.astype(object), dtype=object, tupleize_cols=False)
        found = index.get_indexer(wanted)
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


def _matched(values: Any, labels: NDArray[Any], what: str) -> NDArray[np.float64]:
    """Finite numbers for each label; a series is matched by its index."""
    if isinstance(values, pd.Series):
        index = pd.Index(values.index.to_numpy(dtype=object), dtype=object, tupleize_cols=False)
        if index.has_duplicates:
            raise InvalidDataError(f"`{what}` has a category more than once.")
        found = index.get_indexer(pd.Index(labels, dtype=object, tupleize_cols=False))
        if (found < 0).any():
            raise InvalidDataError(f"`{what}` lacks {shown(labels[int(np.argmax(found < 0))])}.")
        values = values.to_numpy()[found]
    numbers = _numbers(values, f"`{what}`", len(labels))
    if not np.isfinite(numbers).all():
        raise InvalidDataError(f"`{what}` must be finite.")
    return numbers


def _numbers(values: Any, what: str, n: int) -> NDArray[np.float64]:
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidDataError(f"{what} must be numbers: {error!s:.300}") from error
    if array.shape[:1] != (n,):
        raise InvalidDataError(f"{what} must be {n}, one for each category; got {array.shape}.")
    return array


def _is_missing(value: Any) -> bool:
    return bool(pd.api.types.is_scalar(value) and pd.isna(value))
