"""What a model that learns from rows in parts keeps of those it has seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sk_entity_embed.input.lists import Codes, Lists


@dataclass(frozen=True, slots=True)
class KeptRows:
    """An evenly drawn sample of the rows seen so far: those of the lowest numbers, by their names.

    Attributes
    ----------
    keys : ndarray of uint64 of shape (n_kept,)
        Name of each row: its content, or with it the call that brought it.
    fold : ndarray of int64 of shape (n_kept,)
        Its fold.
    judges : ndarray of float64 of shape (n_kept,)
        A number from 0 to 1: rows of low ones judge the training.
    positions : tuple of ndarray of int32, or of Lists
        For each categorical column, which category each cell, or item, holds.
    numbers : ndarray of float64 of shape (n_kept, n_context)
        The context columns in their own units.
    target : ndarray of float64 of shape (n_kept, n_columns)
        Quantities in their own units, indicators, or class numbers.
    weights : ndarray of float64 of shape (n_kept,)
        Sample weights.
    share : float
        Share of the rows seen that are kept.
    """

    keys: NDArray[np.uint64]
    fold: NDArray[np.int64]
    judges: NDArray[np.float64]
    positions: tuple[Codes, ...]
    numbers: NDArray[np.float64]
    target: NDArray[np.float64]
    weights: NDArray[np.float64]
    share: float

    def __len__(self) -> int:
        return len(self.keys)

    def take(self, rows: NDArray[np.intp]) -> KeptRows:
        """Return some of the rows."""
        return KeptRows(
            self.keys[rows],
            self.fold[rows],
            self.judges[rows],
            tuple(p.take(rows) if isinstance(p, Lists) else p[rows] for p in self.positions),
            self.numbers[rows],
            self.target[rows],
            self.weights[rows],
            self.share,
        )


@dataclass(frozen=True, slots=True)
class Growth:
    """All that the next block of rows needs, beside the model.

    Attributes
    ----------
    seed : int
        Decides folds, judges and the sample, by the names of rows.
    n_calls, n_rows : int
        Blocks and rows so far.
    repeats, compared : float
        How often contents come again by chance, summed over blocks, and how many rows each row was
        compared with: their ratio is the chance that two rows have one content.
    class_rows : ndarray of float64 of shape (n_classes,) or None
        Rows of each class so far; None for quantities.
    label_weights : tuple of ndarray of float64
        Weight of the rows that held each label, by column, then by pair.
    settings : tuple of str
        Parameters that must stay, as text.
    fixed : tuple of ndarray of bool
        Rows of each column's tables that are frozen.
    shrinks : tuple of bool
        Which columns' vectors shrink towards zero.
    block : str
        A hash of the cells of the last block's rows; empty after a fit.
    kept : KeptRows
        A sample of the rows so far.
    """

    seed: int
    n_calls: int
    n_rows: int
    repeats: float
    compared: float
    class_rows: NDArray[np.float64] | None
    label_weights: tuple[NDArray[np.float64], ...]
    settings: tuple[str, ...]
    fixed: tuple[NDArray[np.bool_], ...]
    shrinks: tuple[bool, ...]
    block: str
    kept: KeptRows
