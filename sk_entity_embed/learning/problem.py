"""What training is given and what it gives back: NumPy values, no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sk_entity_embed.head import Head
from sk_entity_embed.input.lists import Codes, Lists
from sk_entity_embed.input.target import Bounds
from sk_entity_embed.pooling import Pooler

Floats: TypeAlias = NDArray[np.float32]

_BLOCK = 16_384  # Items at a time, whose positions in stacked tables take 64 bits each.


@dataclass(frozen=True, slots=True)
class TrainingRows:
    """Coded training rows.

    Attributes
    ----------
    codes : sequence of ndarray of int32 of shape (n_samples,) or Lists of as many
        Table row of each cell, or of each item, column by column.
    context : ndarray of float32 of shape (n_samples, n_context)
        Scaled numbers; may have no column.
    target : ndarray of float32 of shape (n_samples, n_target_columns)
        Scaled quantities, 0/1 indicators, or class numbers.
    weights : ndarray of float32 of shape (n_samples,)
        Positive, of mean one.
    fold : ndarray of signed int of shape (n_samples,)
        Fold of each row, from 0 to ``n_tables - 1``; all zero without cross-fitting. The type is
        as small as it may be: sums and products need a larger one.
    validation : ndarray of bool of shape (n_samples,)
        Rows that the head never learns from.
    n_tables : int
        Tables a column; 1 means that cross-fitting is off.
    """

    codes: Sequence[Codes]
    context: Floats
    target: Floats
    weights: Floats
    fold: NDArray[np.signedinteger[Any]]
    validation: NDArray[np.bool_]
    n_tables: int

    @property
    def cross_fitted(self) -> bool:
        """Whether the tables that learn from a row are not the one it is looked up in."""
        return self.n_tables > 1

    def items(self, column: int) -> tuple[NDArray[np.integer[Any]], NDArray[np.intp] | slice]:
        """Table rows of all cells or items of a column, and the training row of each.

        Parameters
        ----------
        column : int
            Position of the column.

        Returns
        -------
        codes : ndarray of int32 of shape (n_items,)
            Table rows.
        owners : ndarray of int of shape (n_items,) or slice
            Positions in arrays by training row; a slice where cells and rows are the same.
        """
        codes = self.codes[column]
        if isinstance(codes, Lists):
            return codes.items, codes.rows
        return codes, slice(None)

    def met(self, column: int, n_rows: int) -> NDArray[np.bool_]:
        """Which categories each table learns from.

        Parameters
        ----------
        column : int
            Position of the column.
        n_rows : int
            Rows of its tables.

        Returns
        -------
        ndarray of bool of shape (n_tables, n_rows)
            The unknown row always counts as met.
        """
        codes, owners = self.items(column)
        met = np.zeros((self.n_tables, n_rows), dtype=bool)
        if not self.cross_fitted:
            met[0, codes[~self.validation[owners]]] = True
        else:
            inside, fold = met.reshape(-1), self.fold[owners]
            for first in range(0, len(codes), _BLOCK):
                at = slice(first, first + _BLOCK)
                inside[fold[at].astype(np.intp) * n_rows + codes[at]] = True
            n_folds = met.sum(axis=0, dtype=np.min_scalar_type(self.n_tables))
            np.greater(n_folds, met, out=met)  # a fold other than the table's own has them
        met[:, 0] = True
        return met


@dataclass(frozen=True, slots=True)
class StartingPoint:
    """Where the parameters start.

    Attributes
    ----------
    tables : list of ndarray of float32 of shape (n_tables, n_rows, width)
        Vectors of each column. Training takes them over and may change them in place.
    biased : bool
        Whether the last number of each vector is a bias.
    fixed : sequence of ndarray of bool of shape (n_rows,)
        Rows whose coordinates training leaves as they are; biases learn all the same.
    pulled : sequence of bool
        Columns whose vectors are pulled towards zero: not those that start from vectors given.
    head : Head or None
        An earlier head to go on from.
    pooling : sequence of {"mean", "sum", "max", "gru"}, GRU or None
        How each column's lists become one vector: a name, or an earlier unit to go on from; None
        for columns of single values.
    """

    tables: list[Floats]
    biased: bool
    fixed: Sequence[NDArray[np.bool_]]
    pulled: Sequence[bool]
    head: Head | None
    pooling: Sequence[Pooler | None]


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """Settings of network and training; the names are the encoder's.

    `bounds` are the lowest and the highest outputs in the network's units, with the sigmoid between
    them; None where there are none.
    """

    loss: str
    n_outputs: int
    multiclass: bool
    bounds: Bounds | None
    head: str
    hidden_layer_sizes: tuple[int, ...]
    dropout: float
    unknown_rate: float
    learning_rate_init: float
    alpha: float
    batch_size: int
    max_iter: int
    min_iter: int
    early_stopping: bool
    n_iter_no_change: int
    tol: float
    device: str
    seed: int
    verbose: bool


@dataclass(frozen=True, slots=True)
class Learned:
    """What training found.

    Attributes
    ----------
    tables : list of ndarray of float32 of shape (n_tables, n_rows, width)
        Vectors of each column, in the network's own coordinates; perhaps in the memory of those
        that it started from.
    head : Head
        The layers above them.
    pooling : tuple of {"mean", "sum", "max"}, GRU or None
        How each column's lists become one vector.
    loss_curve : ndarray of float64 of shape (n_iter, n_losses)
        Mean training loss of the head's pass in each epoch, by output, in the network's units.
    validation_loss_curve : ndarray of float64 of shape (n_iter, n_losses) or None
        The same on the validation rows, at the end of each epoch.
    best_iteration : int
        Epochs after which the state returned was reached.
    interrupted : bool
        Whether the user stopped it.
    """

    tables: list[Floats]
    head: Head
    pooling: tuple[Pooler | None, ...]
    loss_curve: NDArray[np.float64]
    validation_loss_curve: NDArray[np.float64] | None
    best_iteration: int
    interrupted: bool
