"""Observed pairs to labelled tables: negatives are pairs that were not observed.

A line is laid out for each column, on which every value has a piece as long as its weight. An
entity draws a point of the other column's line after its own partners' pieces have been cut out,
so each draw is a negative at once: nothing is rejected and drawn again, however dense the pairs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.random import Generator, RandomState
from numpy.typing import NDArray
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import (
    Interval,
    StrOptions,
    validate_parameter_constraints,
    validate_params,
)

from sk_entity_embed.exceptions import InvalidDataError, UnsupportedDataError
from sk_entity_embed.input.columns import Column, read_table
from sk_entity_embed.input.vocabulary import count_missing, learn_vocabulary

__all__ = ["NegativeSampler", "sample_negatives"]

_Codes = NDArray[np.int64]
_Side = Literal["left", "right", "both"]
_Strategy = Literal["uniform", "popularity"]

_CONSTRAINTS: dict[str, list[Any]] = {
    "k": [Interval(Integral, 1, None, closed="left")],
    "strategy": [StrOptions({"uniform", "popularity"})],
    "alpha": [Interval(Real, 0, None, closed="left")],
    "side": [StrOptions({"left", "right", "both"})],
    "n_epochs": [Interval(Integral, 1, None, closed="left"), None],
    "shuffle": ["boolean"],
    "random_state": ["random_state"],
}


@validate_params(
    {name: allowed for name, allowed in _CONSTRAINTS.items() if name != "n_epochs"},
    prefer_skip_nested_validation=True,
)
def sample_negatives(
    pairs: Any,
    *,
    k: int = 1,
    strategy: _Strategy = "uniform",
    alpha: float = 0.75,
    side: _Side = "right",
    shuffle: bool = True,
    random_state: int | RandomState | None = None,
) -> tuple[pd.DataFrame, NDArray[np.int64]]:
    """Add negatives to observed pairs: a labelled table to train on.

    A negative is an observed pair with one of its two values replaced by another value of the
    same column, such that the new pair was never observed. That a pair was not observed does not
    make it false: some negatives are pairs that are still to come.

    Parameters
    ----------
    pairs : array-like of shape (n_pairs, 2)
        Observed pairs, in any container that the encoder takes. A pair that occurs several times
        stays so, and gets negatives each time.
    k : int, default=1
        Negatives for each pair. They are drawn independently and can be equal.
    strategy : {"uniform", "popularity"}, default="uniform"
        How often a value is drawn: all alike, or by its number of pairs to the power of `alpha`.
    alpha : float, default=0.75
        Power for "popularity"; 0 is the same as "uniform", 1 is by the number of pairs. The
        default is word2vec's [1]_.
    side : {"right", "left", "both"}, default="right"
        Column whose value is replaced: the second, the first, or one of them by the toss of a
        coin for each negative [2]_. With "both", an entity that is paired with everything leaves
        the replacing to its partner's side.
    shuffle : bool, default=True
        Whether to shuffle the rows. If not, all pairs come in their order and then the `k`
        negatives of the first, of the second, and so on.
    random_state : int, RandomState instance or None, default=None
        Decides draws and order. Pass an int for the same table every time.

    Returns
    -------
    X : DataFrame of shape (n_pairs * (1 + k), 2)
        Pairs under the names of the two columns, in their data types; columns of a container
        without names are called ``"x0"`` and ``"x1"``.
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
    sampler = NegativeSampler(
        pairs,
        k=k,
        strategy=strategy,
        alpha=alpha,
        side=side,
        shuffle=shuffle,
        random_state=random_state,
    )
    return sampler.epoch(0)


class NegativeSampler:
    """Labelled tables of observed pairs with fresh negatives, one for every epoch.

    The pairs are read once. Iterating gives an epoch after the other; each depends on
    `random_state` and its own number only, so that a second loop gives the same tables again.

    Parameters
    ----------
    pairs : array-like of shape (n_pairs, 2)
        Observed pairs, as in :func:`sample_negatives`.
    k : int, default=1
        Negatives for each pair.
    strategy : {"uniform", "popularity"}, default="uniform"
        How often a value is drawn: all alike, or by its number of pairs to the power of `alpha`.
    alpha : float, default=0.75
        Power for "popularity".
    side : {"right", "left", "both"}, default="right"
        Column whose value is replaced.
    n_epochs : int or None, default=10
        Epochs of one loop; None goes on for ever.
    shuffle : bool, default=True
        Whether to shuffle the rows of a table and, in :meth:`batches`, the pairs.
    random_state : int, RandomState instance or None, default=None
        Decides draws and order.

    Raises
    ------
    InvalidDataError, ValueError
        If there are not two columns, a cell is missing, or a pair has no possible negative.
    UnsupportedDataError, TypeError
        If the container or the type of a column is not supported.

    See Also
    --------
    sample_negatives : One labelled table; what the parameters mean in detail.

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

    def __init__(
        self,
        pairs: Any,
        *,
        k: int = 1,
        strategy: _Strategy = "uniform",
        alpha: float = 0.75,
        side: _Side = "right",
        n_epochs: int | None = 10,
        shuffle: bool = True,
        random_state: int | RandomState | None = None,
    ) -> None:
        settings = {name: value for name, value in locals().items() if name in _CONSTRAINTS}
        validate_parameter_constraints(_CONSTRAINTS, settings, caller_name="NegativeSampler")
        self.k, self.side, self.n_epochs, self.shuffle = k, side, n_epochs, shuffle
        self._pairs = _read_pairs(pairs)
        power = alpha if strategy == "popularity" else 0.0
        self._lines = {s: self._pairs.line(s, power) for s in ("left", "right")}
        _check_possible(self._pairs, self._lines, side)
        self._seed = int(check_random_state(random_state).randint(np.iinfo(np.int32).max))

    def __len__(self) -> int:
        if self.n_epochs is None:
            raise TypeError("A NegativeSampler with n_epochs=None has no length.")
        return self.n_epochs

    def __iter__(self) -> Iterator[tuple[pd.DataFrame, NDArray[np.int64]]]:
        return (self.epoch(number) for number in self._epochs())

    @validate_params(
        {"number": [Interval(Integral, 0, None, closed="left")]},
        prefer_skip_nested_validation=True,
    )
    def epoch(self, number: int) -> tuple[pd.DataFrame, NDArray[np.int64]]:
        """One epoch by its number, for instance to go on with an interrupted training.

        Parameters
        ----------
        number : int
            Number of the epoch, from 0; it may be beyond `n_epochs`.

        Returns
        -------
        X : DataFrame of shape (n_pairs * (1 + k), 2)
            Observed pairs and negatives.
        y : ndarray of int64 of shape (n_pairs * (1 + k),)
            1 for an observed pair, 0 for a negative.
        """
        rows = np.arange(len(self._pairs.left))
        return self._label(rows, np.random.default_rng([self._seed, number]))

    @validate_params(
        {"batch_size": [Interval(Integral, 1, None, closed="left")]},
        prefer_skip_nested_validation=True,
    )
    def batches(self, batch_size: int) -> Iterator[tuple[pd.DataFrame, NDArray[np.int64]]]:
        """All epochs in small tables; negatives are drawn a batch at a time.

        Parameters
        ----------
        batch_size : int
            Observed pairs in a batch; it has ``1 + k`` times as many rows. The last batch of an
            epoch holds what is left.

        Returns
        -------
        iterator of (DataFrame, ndarray)
            Observed pairs and negatives, and their labels. In each epoch every observed pair
            comes once. The negatives are others than those of :meth:`epoch`.
        """
        return self._batches(batch_size)

    def _batches(self, size: int) -> Iterator[tuple[pd.DataFrame, NDArray[np.int64]]]:
        n_pairs = len(self._pairs.left)
        for number in self._epochs():
            random = np.random.default_rng([self._seed, number, 1])
            order = random.permutation(n_pairs) if self.shuffle else np.arange(n_pairs)
            for start in range(0, n_pairs, size):
                yield self._label(order[start : start + size], random)

    def _epochs(self) -> Iterator[int]:
        """Numbers of the epochs."""
        number = 0
        while self.n_epochs is None or number < self.n_epochs:
            yield number
            number += 1

    def _label(
        self, rows: NDArray[np.intp], random: Generator
    ) -> tuple[pd.DataFrame, NDArray[np.int64]]:
        """Some of the pairs and their negatives."""
        drawn = np.repeat(rows, self.k)
        to_right = self._replace_right(drawn, random)
        left, right = drawn.copy(), drawn.copy()
        pairs, lines = self._pairs, self._lines
        right[to_right] = pairs.first_right[
            lines["right"].draw(pairs.left[drawn[to_right]], random)
        ]
        left[~to_right] = pairs.first_left[
            lines["left"].draw(pairs.right[drawn[~to_right]], random)
        ]
        y = np.repeat(np.array([1, 0]), [len(rows), len(drawn)])
        order = random.permutation(len(y)) if self.shuffle else slice(None)
        takes = (np.concatenate([rows, left])[order], np.concatenate([rows, right])[order])
        return pairs.take(*takes), y[order]

    def _replace_right(self, drawn: NDArray[np.intp], random: Generator) -> NDArray[np.bool_]:
        """Whether each negative has another value on the right rather than on the left."""
        if self.side != "both":
            return np.full(len(drawn), self.side == "right")
        right_possible = self._lines["right"].free[self._pairs.left[drawn]] > 0
        left_possible = self._lines["left"].free[self._pairs.right[drawn]] > 0
        coin = random.random(len(drawn)) < 0.5
        return (coin | ~left_possible) & right_possible


@dataclass(frozen=True, slots=True)
class _Line:
    """Values of one column laid out by weight, and what each entity of the other cuts out.

    Attributes
    ----------
    edges : ndarray of int64 of shape (n_values + 1,)
        Where each value's piece starts, and the length of the line.
    starts : ndarray of int64 of shape (n_entities + 1,)
        Where each entity's partners start among the distinct pairs.
    cut : ndarray of int64 of shape (n_distinct + 1,)
        Length cut out by all pairs before each of the distinct pairs.
    gaps : ndarray of int64 of shape (n_distinct,)
        Length left before each partner on its entity's line, all lines one after the other.
    free : ndarray of int64 of shape (n_entities,)
        Length left of each entity's line.
    """

    edges: _Codes
    starts: _Codes
    cut: _Codes
    gaps: _Codes
    free: _Codes

    def draw(self, entities: _Codes, random: Generator) -> _Codes:
        """A value for each entity, never one of its partners."""
        points = random.integers(self.free[entities])
        passed = np.searchsorted(self.gaps, entities * self.edges[-1] + points, side="right")
        points += self.cut[passed] - self.cut[self.starts[entities]]
        return np.searchsorted(self.edges, points, side="right") - 1


def _make_line(entities: _Codes, values: _Codes, n_entities: int, weights: _Codes) -> _Line:
    """Cut each entity's partners out of the line of values."""
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
class _Pairs:
    """Observed pairs: their columns as the user gave them, and the codes of their values.

    `first_left` and `first_right` are, for each code, the first row that holds its value.
    """

    columns: tuple[Column, Column]
    labels: list[Any]
    cells: tuple[pd.Series, ...]
    left: _Codes
    right: _Codes
    first_left: NDArray[np.intp]
    first_right: NDArray[np.intp]

    def line(self, side: str, power: float) -> _Line:
        """Where values of one side are drawn from."""
        ends = (self.left, self.right) if side == "right" else (self.right, self.left)
        n_entities = int(ends[0].max()) + 1
        return _make_line(*ends, n_entities, _weigh(np.bincount(ends[1]), power, n_entities))

    def take(self, left: NDArray[np.intp], right: NDArray[np.intp]) -> pd.DataFrame:
        """Values of the left column at some rows beside those of the right one at others."""
        rows = (left, right)
        columns = [
            pd.Series(cells.array.take(r), dtype=cells.dtype)  # pandas would infer another one
            for cells, r in zip(self.cells, rows, strict=True)
        ]
        table = pd.DataFrame(dict(enumerate(columns)))
        return table.set_axis(pd.Index(self.labels, tupleize_cols=False), axis=1)

    def value(self, side: int, row: int) -> Any:
        """One cell, as Python shows it."""
        cell = self.cells[side].array[row]
        return cell.item() if isinstance(cell, np.generic) else cell


def _read_pairs(pairs: Any) -> _Pairs:
    """Read and check the two columns."""
    table = read_table(pairs)
    if len(table.columns) != 2:
        raise InvalidDataError(
            f"pairs must have two columns, got {len(table.columns)}; select the two whose values "
            "were observed together."
        )
    for column in table.columns:
        if column.is_list:
            raise UnsupportedDataError(
                f"Column {column.name!r} of pairs holds lists; make a row of each item, for pandas "
                f"with pairs.explode({column.name!r})."
            )
        n_missing = count_missing(column)
        if n_missing:
            raise InvalidDataError(
                f"Column {column.name!r} of pairs has {n_missing} missing value(s); drop these "
                "rows or fill them in."
            )
    # Values are handed back as the user's own cells, for which pandas knows every data type.
    frame = pairs.to_pandas() if hasattr(pairs, "to_pandas") else pd.DataFrame(pairs)
    labels = [c.name for c in table.columns] if table.labels is None else table.labels
    cells = tuple(series for _, series in frame.items())
    codes, firsts = zip(*(_encode(column) for column in table.columns), strict=True)
    left, right = table.columns
    return _Pairs((left, right), labels, cells, *codes, *firsts)


def _encode(column: Column) -> tuple[_Codes, NDArray[np.intp]]:
    """Codes of a column's values without gaps, and the first row of each."""
    codes = np.asarray(learn_vocabulary(column).locate(column), dtype=np.int64)
    return codes, np.unique(codes, return_index=True)[1]


def _check_possible(pairs: _Pairs, lines: dict[str, _Line], side: str) -> None:
    """Refuse pairs that have no negative."""
    left, right = pairs.columns
    full_left = lines["right"].free[pairs.left] == 0
    full_right = lines["left"].free[pairs.right] == 0
    full = {"right": full_left, "left": full_right, "both": full_left & full_right}[side]
    if not full.any():
        return
    row = int(full.argmax())
    full_values = [
        f"{pairs.value(i, row)!r} of column {own.name!r} is paired with every value of "
        f"column {other.name!r}"
        for i, own, other, is_full in (
            (0, left, right, side != "left"),
            (1, right, left, side != "right"),
        )
        if is_full
    ]
    others = ", or replace the other column's value by side='both'"
    if (full_left & full_right).any():
        others = ""
    raise InvalidDataError(
        f"There are no negatives for row {row} of pairs: {' and '.join(full_values)}. Drop such "
        f"rows{others}."
    )
