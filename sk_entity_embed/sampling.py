"""Observed pairs to labelled tables: negatives are pairs that were not observed.

A line is laid out for each column, on which every value has a piece as long as its weight. An
entity draws a point of the other column's line after its own partners' pieces have been cut out,
so each draw is a negative at once: nothing is rejected and drawn again, however dense the pairs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.random import Generator, RandomState
from numpy.typing import NDArray
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import StrOptions

from sk_entity_embed._parameters import at_least, check_parameters
from sk_entity_embed.exceptions import InvalidDataError, UnsupportedDataError
from sk_entity_embed.input.columns import read_table
from sk_entity_embed.input.table import Column
from sk_entity_embed.input.vocabulary import count_missing, learn_vocabulary

__all__ = ["NegativeSampler", "sample_negatives"]

_Codes = NDArray[np.int64]
_Labelled = tuple[pd.DataFrame, NDArray[np.int64]]
_Replaced = Literal["left", "right", "both"]
_Strategy = Literal["uniform", "popularity"]

_checked = check_parameters(
    k=at_least(1),
    strategy=[StrOptions({"uniform", "popularity"})],
    alpha=at_least(0.0),
    side=[StrOptions({"left", "right", "both"})],
    n_epochs=[*at_least(1), None],
    shuffle=["boolean"],
    random_state=["random_state"],
)


@_checked
def sample_negatives(
    pairs: Any,
    *,
    k: int = 1,
    strategy: _Strategy = "uniform",
    alpha: float = 0.75,
    side: _Replaced = "right",
    shuffle: bool = True,
    random_state: int | RandomState | None = None,
) -> _Labelled:
    """Add negatives to observed pairs, which gives a labelled table to train on.

    A negative is a pair that was not observed. It is made from an observed pair: one of the two
    values is replaced by another value of the same column. Not observed does not mean false: some
    negatives may be observed later.

    Parameters
    ----------
    pairs : array-like of shape (n_pairs, 2)
        Observed pairs, such as users and the items they bought, in any container that the encoder
        takes. Pairs may repeat; each repetition gets its own negatives.
    k : int, default=1
        Number of negatives for each pair. They are drawn independently and can be equal.
    strategy : {"uniform", "popularity"}, default="uniform"
        How new values are drawn. "uniform" draws all values equally often. "popularity" draws a
        value in proportion to its number of pairs to the power of `alpha`.
    alpha : float, default=0.75
        Power for "popularity". 0 is the same as "uniform", 1 is proportional to the number of
        pairs. The default is that of word2vec [1]_.
    side : {"right", "left", "both"}, default="right"
        Column whose value is replaced: the second, the first, or one of the two chosen at random
        for each negative [2]_. With "both", if a value is paired with everything, that value itself
        is replaced.
    shuffle : bool, default=True
        True if the rows should be shuffled. If False, all pairs come first in their order, then the
        `k` negatives of the first pair, of the second, and so on.
    random_state : int, RandomState instance or None, default=None
        Controls the draws and the order. Pass an integer to get the same table every time.

    Returns
    -------
    X : DataFrame of shape (n_pairs * (1 + k), 2)
        Pairs with the names and data types of the two columns. If the container has no names, the
        columns are called ``"x0"`` and ``"x1"``.
    y : ndarray of int64 of shape (n_pairs * (1 + k),)
        1 for an observed pair, 0 for a negative.

    Raises
    ------
    InvalidDataError, ValueError
        If there are not two columns, a cell is missing, or a pair has no possible negative.
    UnsupportedDataError, TypeError
        If the container or the type of a column is not supported.

    See Also
    --------
    NegativeSampler : Fresh negatives for every epoch, in batches for big data.

    References
    ----------
    .. [1] Mikolov, T. et al. (2013). Distributed representations of words and phrases and their
       compositionality. Section 2.2. NeurIPS. https://arxiv.org/abs/1310.4546
    .. [2] Bordes, A. et al. (2013). Translating embeddings for modeling multi-relational data.
       NeurIPS.

    Examples
    --------
    >>> from sk_entity_embed.sampling import sample_negatives
    >>> pairs = [["Ann", "tea"], ["Ann", "milk"], ["Bob", "tea"]]
    >>> X, y = sample_negatives(pairs + [["Bob", "rum"]], shuffle=False, random_state=0)
    >>> X.assign(y=y)
        x0    x1  y
    0  Ann   tea  1
    1  Ann  milk  1
    2  Bob   tea  1
    3  Bob   rum  1
    4  Ann   rum  0
    5  Ann   rum  0
    6  Bob  milk  0
    7  Bob  milk  0
    """
    drawn: dict[str, Any] = {"k": k, "strategy": strategy, "alpha": alpha, "side": side}
    return NegativeSampler(pairs, **drawn, shuffle=shuffle, random_state=random_state).epoch(0)


class NegativeSampler:
    """Give labelled tables of observed pairs with fresh negatives, one table for each epoch.

    The pairs are read once. A loop over the sampler gives one epoch after another. Each epoch
    depends only on `random_state` and its number, so a second loop gives the same tables again.

    Parameters
    ----------
    pairs : array-like of shape (n_pairs, 2)
        Observed pairs, as in :func:`sample_negatives`.
    k : int, default=1
        Number of negatives for each pair.
    strategy : {"uniform", "popularity"}, default="uniform"
        How new values are drawn: all equally often, or in proportion to their number of pairs to
        the power of `alpha`.
    alpha : float, default=0.75
        Power for "popularity".
    side : {"right", "left", "both"}, default="right"
        Column whose value is replaced: the second, the first, or one of them at random.
    n_epochs : int or None, default=10
        Number of epochs in one loop. None never ends.
    shuffle : bool, default=True
        True if the rows of a table should be shuffled and, in :meth:`batches`, the pairs.
    random_state : int, RandomState instance or None, default=None
        Controls the draws and the order. Pass an integer to get the same tables every time.

    Raises
    ------
    InvalidDataError, ValueError
        If there are not two columns, a cell is missing, or a pair has no possible negative.
    UnsupportedDataError, TypeError
        If the container or the type of a column is not supported.

    See Also
    --------
    sample_negatives : Make one labelled table; explains the parameters in detail.

    Examples
    --------
    >>> from sk_entity_embed.sampling import NegativeSampler
    >>> pairs = [["Ann", "tea"], ["Ann", "milk"], ["Bob", "tea"], ["Bob", "rum"]]
    >>> sampler = NegativeSampler(pairs, k=2, n_epochs=3, random_state=0)
    >>> [(X.shape, int(y.sum())) for X, y in sampler]
    [((12, 2), 4), ((12, 2), 4), ((12, 2), 4)]
    >>> [len(X) for X, y in sampler.batches(3)]
    [9, 3, 9, 3, 9, 3]
    """

    @_checked
    def __init__(
        self,
        pairs: Any,
        *,
        k: int = 1,
        strategy: _Strategy = "uniform",
        alpha: float = 0.75,
        side: _Replaced = "right",
        n_epochs: int | None = 10,
        shuffle: bool = True,
        random_state: int | RandomState | None = None,
    ) -> None:
        self.k, self.side, self.n_epochs, self.shuffle = k, side, n_epochs, shuffle
        self._labels, *self._columns = _read_pairs(pairs)
        power = alpha if strategy == "popularity" else 0.0
        left, right = self._columns
        pairs_of_codes = ((right.codes, left.codes), (left.codes, right.codes))
        self._lines = [_lay_out(entities, values, power) for entities, values in pairs_of_codes]
        self._check_possible()
        self._seed = int(check_random_state(random_state).randint(np.iinfo(np.int32).max))

    def __len__(self) -> int:
        if self.n_epochs is None:
            raise TypeError("A NegativeSampler with n_epochs=None has no length.")
        return self.n_epochs

    def __iter__(self) -> Iterator[_Labelled]:
        return (self.epoch(number) for number in self._epochs())

    @check_parameters(number=at_least(0))
    def epoch(self, number: int) -> _Labelled:
        """Return one epoch by its number, for example to continue an interrupted training.

        Parameters
        ----------
        number : int
            Number of the epoch, from 0. It may be larger than `n_epochs`.

        Returns
        -------
        X : DataFrame of shape (n_pairs * (1 + k), 2)
            Observed pairs and negatives.
        y : ndarray of int64 of shape (n_pairs * (1 + k),)
            1 for an observed pair, 0 for a negative.

        Examples
        --------
        >>> from sk_entity_embed.sampling import NegativeSampler
        >>> pairs = [["Ann", "tea"], ["Ann", "milk"], ["Bob", "tea"], ["Bob", "rum"]]
        >>> sampler = NegativeSampler(pairs, shuffle=False, random_state=0)
        >>> X, y = sampler.epoch(7)
        >>> X[y == 0]
            x0    x1
        4  Ann   rum
        5  Ann   rum
        6  Bob  milk
        7  Bob  milk
        """
        rows = np.arange(len(self._columns[0].codes))
        return self._label(rows, np.random.default_rng([self._seed, number]))

    @check_parameters(batch_size=at_least(1))
    def batches(self, batch_size: int) -> Iterator[_Labelled]:
        """Return an iterator over all epochs in small tables, to save memory.

        Negatives are drawn batch by batch.

        Parameters
        ----------
        batch_size : int
            Number of observed pairs in a batch; the batch has ``1 + k`` times as many rows. The
            last batch of an epoch holds the rest.

        Returns
        -------
        iterator of (DataFrame, ndarray)
            Observed pairs and negatives, and their labels. In each epoch every observed pair
            occurs once. The negatives differ from those of :meth:`epoch`.

        Examples
        --------
        >>> from sk_entity_embed.sampling import NegativeSampler
        >>> pairs = [["Ann", "tea"], ["Ann", "milk"], ["Bob", "tea"], ["Bob", "rum"]]
        >>> sampler = NegativeSampler(pairs, k=2, n_epochs=1, random_state=0)
        >>> for X, y in sampler.batches(3):
        ...     print(len(X), "rows,", y.sum(), "of them observed")
        9 rows, 3 of them observed
        3 rows, 1 of them observed
        """
        n_pairs = len(self._columns[0].codes)
        for number in self._epochs():
            random = np.random.default_rng([self._seed, number, 1])
            order = random.permutation(n_pairs) if self.shuffle else np.arange(n_pairs)
            for start in range(0, n_pairs, batch_size):
                yield self._label(order[start : start + batch_size], random)

    def _epochs(self) -> Iterator[int]:
        return count() if self.n_epochs is None else iter(range(self.n_epochs))

    def _label(self, rows: NDArray[np.intp], random: Generator) -> _Labelled:
        """Some of the pairs and their negatives."""
        drawn = np.repeat(rows, self.k)
        replaced = self._choose_column(drawn, random)
        y = np.repeat(np.array([1, 0]), [len(rows), len(drawn)])
        values = [drawn.copy(), drawn.copy()]
        for this, other in ((1, 0), (0, 1)):
            here = replaced == this
            entities = self._columns[other].codes[drawn[here]]
            values[this][here] = self._columns[this].first[self._lines[this].draw(entities, random)]
        order = random.permutation(len(y)) if self.shuffle else slice(None)
        taken = [
            column.take(np.concatenate([rows, others])[order])
            for column, others in zip(self._columns, values, strict=True)
        ]
        X = pd.DataFrame(dict(enumerate(taken)))
        return X.set_axis(pd.Index(self._labels, tupleize_cols=False), axis=1), y[order]

    def _choose_column(self, drawn: NDArray[np.intp], random: Generator) -> NDArray[np.intp]:
        """Number of the column in which each negative has another value."""
        if self.side != "both":
            return np.full(len(drawn), int(self.side == "right"))
        left, right = (~full for full in self._full(drawn))
        coin = random.random(len(drawn)) < 0.5
        return ((coin | ~left) & right).astype(np.intp)

    def _full(self, rows: Any = slice(None)) -> list[NDArray[np.bool_]]:
        """For each column, whether none of its values makes a negative of each of the pairs."""
        others = reversed(self._columns)
        return [
            line.free[other.codes[rows]] == 0
            for line, other in zip(self._lines, others, strict=True)
        ]

    def _check_possible(self) -> None:
        """Refuse pairs that have no negative."""
        full = self._full()
        replaced = {"left": [0], "right": [1], "both": [0, 1]}[self.side]
        impossible = np.logical_and.reduce([full[this] for this in replaced])
        if not impossible.any():
            return
        row = int(impossible.argmax())
        names = [column.name for column in self._columns]
        told = [
            f"{self._columns[1 - this].value(row)!r} of column {names[1 - this]!r} is paired with "
            f"every value of column {names[this]!r}"
            for this in reversed(replaced)
        ]
        others = ", or replace the other column's value by side='both'"
        raise InvalidDataError(
            f"There are no negatives for row {row} of pairs: {' and '.join(told)}. Drop such rows"
            f"{'' if (full[0] & full[1]).any() else others}."
        )


@dataclass(frozen=True, slots=True)
class _Line:
    """Values of one column laid out by weight, and what each entity of the other cuts out.

    Entities' partners are distinct pairs, ordered by entity. `edges` has one entry more than there
    are values, `starts` one more than entities, `cut` one more than pairs.
    """

    edges: _Codes  # where each value's piece starts, and the length of the line
    starts: _Codes  # where each entity's partners start among the pairs
    cut: _Codes  # length that all earlier pairs cut out
    gaps: _Codes  # length left before each partner on its entity's line, lines end to end
    free: _Codes  # length left of each entity's line

    def draw(self, entities: _Codes, random: Generator) -> _Codes:
        """A value for each entity, never one of its partners."""
        points = random.integers(self.free[entities])
        passed = np.searchsorted(self.gaps, entities * self.edges[-1] + points, side="right")
        points += self.cut[passed] - self.cut[self.starts[entities]]
        return np.searchsorted(self.edges, points, side="right") - 1


def _lay_out(entities: _Codes, values: _Codes, power: float) -> _Line:
    """Cut each entity's partners out of the line of values."""
    n_entities = int(entities.max()) + 1
    weights = _weigh(np.bincount(values), power, n_entities)
    distinct = np.unique(entities * len(weights) + values)
    entity, partner = np.divmod(distinct, len(weights))
    edges = np.append(0, np.cumsum(weights))
    cut = np.append(0, np.cumsum(weights[partner]))
    starts = np.searchsorted(entity, np.arange(n_entities + 1))
    gaps = entity * edges[-1] + edges[partner] - (cut[:-1] - cut[starts[entity]])
    return _Line(edges, starts, cut, gaps, edges[-1] - np.diff(cut[starts]))


def _weigh(counts: _Codes, power: float, n_entities: int) -> _Codes:
    """Counts to a power as whole lengths, the finest for which all lines fit 64 bits."""
    if power == 0:
        return np.ones(len(counts), dtype=np.int64)
    shares = (counts / counts.max()) ** power
    length = min(2**52, 2**61 // n_entities)
    return np.maximum(1, shares / shares.sum() * length).astype(np.int64)


@dataclass(frozen=True, slots=True)
class _Side:
    """One column of the pairs: the user's cells, their codes, and the first row of each code."""

    name: str
    cells: pd.Series
    codes: _Codes
    first: NDArray[np.intp]

    def take(self, rows: NDArray[np.intp]) -> pd.Series:
        # pandas would infer another data type
        return pd.Series(self.cells.array.take(rows), dtype=self.cells.dtype)

    def value(self, row: int) -> Any:
        """One cell, as Python shows it."""
        cell = self.cells.array[row]
        return cell.item() if isinstance(cell, np.generic) else cell


def _read_pairs(pairs: Any) -> tuple[list[Any], _Side, _Side]:
    """Labels and contents of the two columns."""
    table = read_table(pairs)
    if len(table.columns) != 2:
        raise InvalidDataError(
            f"pairs must have two columns, got {len(table.columns)}; select the two whose values "
            "were observed together."
        )
    # Values are handed back as the user's own cells, for which pandas knows every data type.
    frame = pairs.to_pandas() if hasattr(pairs, "to_pandas") else pd.DataFrame(pairs)
    labels = [c.name for c in table.columns] if table.labels is None else table.labels
    left, right = (_read_side(c, frame.iloc[:, j]) for j, c in enumerate(table.columns))
    return labels, left, right


def _read_side(column: Column, cells: pd.Series) -> _Side:
    if column.is_list:
        raise UnsupportedDataError(
            f"Column {column.name!r} of pairs holds lists; make a row of each item, for pandas "
            f"with pairs.explode({column.name!r})."
        )
    if n_missing := count_missing(column):
        raise InvalidDataError(
            f"Column {column.name!r} of pairs has {n_missing} missing value(s); drop these rows "
            "or fill them in."
        )
    codes = np.asarray(learn_vocabulary(column).locate(column), dtype=np.int64)
    return _Side(column.name, cells, codes, np.unique(codes, return_index=True)[1])
