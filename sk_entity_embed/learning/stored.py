"""Training rows in files: what does not fit in memory is written once and read in windows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from sk_entity_embed.input.lists import Codes, Lists, offsets_of
from sk_entity_embed.learning.problem import (
    Float64,
    Rows,
    TrainingRows,
    equally_spaced,
)

CHUNK_ROWS = 16_384
"""Rows next to each other that are read together, at least: a window is made of such chunks."""
BLOCK_ROWS = 262_144
"""Rows read at a time where all are gone through in order."""


class ArrayFile:
    """An array in a file, which grows by its first axis and is read in slices through a mapping.

    A mapping is opened for each read alone: its pages count as memory of the process.
    """

    def __init__(self, path: Path, dtype: Any, width: int | None = None) -> None:
        self.path, self.dtype = path, np.dtype(dtype)
        self._tail = () if width is None else (width,)
        self._file: BinaryIO | None = path.open("wb")
        self._hash = hashlib.blake2b(digest_size=16)

    def append(self, values: NDArray[Any]) -> None:
        """Write some more."""
        assert self._file is not None
        written = np.ascontiguousarray(values, dtype=self.dtype)
        self._hash.update(written.data if written.size else b"")
        self._file.write(written.data if written.size else b"")  # tofile hides why it fails

    @property
    def content(self) -> str:
        """A hash of all that has been written."""
        return self._hash.hexdigest()

    def close(self) -> None:
        """End the writing."""
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def __len__(self) -> int:
        return int(self.path.stat().st_size // max(1, self.dtype.itemsize * self._width))

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Return the values from one place up to another, copied."""
        if self._width == 0 or stop <= start:
            return np.empty((stop - start, *self._tail), dtype=self.dtype)
        return np.array(self._mapped()[start:stop])

    def take(self, at: NDArray[np.intp]) -> NDArray[Any]:
        """Return the values at some places."""
        if self._width == 0 or len(at) == 0:
            return np.empty((len(at), *self._tail), dtype=self.dtype)
        return np.array(self._mapped()[at])

    @property
    def _width(self) -> int:
        return self._tail[0] if self._tail else 1

    def _mapped(self) -> NDArray[Any]:
        mapped = np.memmap(self.path, self.dtype, mode="r")
        return mapped.reshape(-1, *self._tail)


class CodeFile:
    """The codes of a column in a file, or of its lists in two: all items, and where lists begin."""

    def __init__(self, folder: Path, number: int, n_rows: int, *, is_list: bool) -> None:
        dtype = np.min_scalar_type(-n_rows - 1)
        self._items = ArrayFile(folder / f"codes-{number}.bin", dtype)
        self._offsets = None
        self._end = 0
        if is_list:
            self._offsets = ArrayFile(folder / f"offsets-{number}.bin", np.int64)
            self._offsets.append(np.zeros(1))

    def append(self, codes: Codes) -> None:
        """Write the codes of some more rows."""
        if not isinstance(codes, Lists):
            self._items.append(codes)
            return
        assert self._offsets is not None
        self._items.append(codes.items)
        self._offsets.append(codes.offsets[1:] + self._end)
        self._end += int(codes.offsets[-1])

    def close(self) -> None:
        """End the writing."""
        self._items.close()
        if self._offsets is not None:
            self._offsets.close()

    @property
    def content(self) -> str:
        """A hash of all that has been written."""
        return self._items.content + ("" if self._offsets is None else self._offsets.content)

    @property
    def items_per_row(self) -> float:
        """Mean items of a row; 1 of single values."""
        if self._offsets is None:
            return 1.0
        return len(self._items) / (len(self._offsets) - 1)

    def read(self, start: int, stop: int) -> Codes:
        """Return the codes of the rows from one up to another."""
        if self._offsets is None:
            return self._items.read(start, stop)
        offsets = self._offsets.read(start, stop + 1)
        return Lists(self._items.read(offsets[0], offsets[-1]), offsets - offsets[0])

    def take(self, at: NDArray[np.intp]) -> Codes:
        """Return the codes of some rows."""
        if self._offsets is None:
            return self._items.take(at)
        starts, ends = self._offsets.take(at), self._offsets.take(at + 1)
        lists = [self._items.read(a, b) for a, b in zip(starts, ends, strict=True)]
        return Lists(np.concatenate(lists), offsets_of(ends - starts))


@dataclass(slots=True)
class RowFiles:
    """The files of training rows while they are written.

    `n_rows` are the sizes of the columns' tables, and `of_lists` says which columns hold lists.
    """

    folder: Path
    n_rows: Sequence[int]
    of_lists: Sequence[bool]
    n_context: int
    n_targets: int
    n_samples: int = 0
    codes: list[CodeFile] = field(init=False)
    numbers: dict[str, ArrayFile] = field(init=False)

    def __post_init__(self) -> None:
        sizes = zip(self.n_rows, self.of_lists, strict=True)
        self.codes = [
            CodeFile(self.folder, j, n, is_list=is_list) for j, (n, is_list) in enumerate(sizes)
        ]
        kinds: dict[str, tuple[Any, int | None]] = {
            "context": (np.float32, self.n_context),
            "target": (np.float32, self.n_targets),
            "weights": (np.float32, None),
            "fold": (np.int16, None),
            "validation": (np.bool_, None),
        }
        self.numbers = {
            name: ArrayFile(self.folder / f"{name}.bin", dtype, width)
            for name, (dtype, width) in kinds.items()
        }

    def append(self, codes: Sequence[Codes], **numbers: NDArray[Any]) -> None:
        """Write some more rows."""
        for file, column in zip(self.codes, codes, strict=True):
            file.append(column)
        for name, values in self.numbers.items():
            values.append(numbers[name])
        self.n_samples += len(numbers["fold"])

    def new_column(self, n_rows: int) -> CodeFile:
        """Return the file of one more column, of single values, to be written in order."""
        file = CodeFile(self.folder, len(self.codes), n_rows, is_list=False)
        self.n_rows = [*self.n_rows, n_rows]
        self.of_lists = [*self.of_lists, False]
        self.codes.append(file)
        return file

    def close(self) -> None:
        """End the writing."""
        files: list[CodeFile | ArrayFile] = [*self.codes, *self.numbers.values()]
        for file in files:
            file.close()


class StoredRows(Rows):
    """Training rows in files, of which windows of `window_rows` about are in memory.

    Weights are divided by their `mean_weight` as they are read. No head learns from validation rows
    if these are `withheld`.
    """

    def __init__(
        self,
        files: RowFiles,
        *,
        n_tables: int,
        mean_weight: float,
        withholds: bool,
        window_rows: int,
    ) -> None:
        files.close()
        self._files, self._mean_weight, self._withholds = files, mean_weight, withholds
        self.n_tables, self.n_rows = n_tables, files.n_rows
        self.n_windows = -(-files.n_samples // window_rows)
        a_window = max(1, files.n_samples // self.n_windows // CHUNK_ROWS)
        self.n_chunks = self.n_windows * a_window
        self.seen = []  # until all rows have been gone through
        self._by_fold = [np.zeros((n_tables, n)) for n in files.n_rows]
        self._taught = [np.zeros((1, n)) for n in files.n_rows] if withholds else []
        judging = [self._count(block) for block in self.blocks()]
        self.seen = self._seen()
        self._judges = self._joined(judging)

    @property
    def n_samples(self) -> int:
        return self._files.n_samples

    @property
    def n_withheld(self) -> int:
        return self._judges.n_samples if self._withholds else 0

    @property
    def n_context(self) -> int:
        return self._files.n_context

    @property
    def items_per_row(self) -> float:
        return max([1.0, *(file.items_per_row for file in self._files.codes)])

    def blocks(self) -> Iterator[TrainingRows]:
        for start in range(0, self.n_samples, BLOCK_ROWS):
            yield self._read([(start, min(start + BLOCK_ROWS, self.n_samples))])

    def window(self, order: NDArray[np.int64], number: int) -> TrainingRows:
        edges = np.linspace(0, self.n_samples, self.n_chunks + 1).astype(np.int64)
        chunks = np.split(order, self.n_windows)[number]
        return self._read([(int(edges[c]), int(edges[c + 1])) for c in chunks])

    def judges(self) -> tuple[TrainingRows, NDArray[np.intp]]:
        return self._judges, np.arange(self._judges.n_samples)

    def some(self, n: int) -> TrainingRows:
        at = equally_spaced(self.n_samples, n)
        numbers = {name: file.take(at) for name, file in self._files.numbers.items()}
        return self._rows([file.take(at) for file in self._files.codes], numbers)

    def table_weights(self) -> list[Float64]:
        if not self.cross_fitted:
            return self._taught if self._withholds else self._by_fold
        others = []
        for own in self._by_fold:  # not the total less the own: what is zero has to stay so
            others.append(
                np.stack([np.delete(own, f, axis=0).sum(axis=0) for f in range(len(own))])
            )
        return others

    def label_weights(self) -> list[Float64]:
        return [own.sum(axis=0) for own in self._by_fold]

    def _count(self, block: TrainingRows) -> TrainingRows:
        """Add up the weights of a block by fold and category; return its validation rows."""
        taught = ~block.withheld
        for j, own in enumerate(self._by_fold):
            codes, owners = block.items(j)
            weights, n = block.weights[owners], own.shape[1]
            at = block.fold[owners].astype(np.int64) * n + codes
            own += np.bincount(at, weights, own.size).reshape(own.shape)
            if self._taught:
                chosen = taught[owners]
                self._taught[j][0] += np.bincount(codes[chosen], weights[chosen], n)
        return block.take(np.flatnonzero(block.validation))

    def _seen(self) -> list[NDArray[np.bool_]]:
        """Return which categories each table learns from; see :class:`Rows`."""
        seen = [weights > 0 for weights in self.table_weights()]
        for own in seen:
            own[:, 0] = True
        return seen

    def _joined(self, parts: Sequence[TrainingRows]) -> TrainingRows:
        """Return the rows of several parts together."""
        joined = {
            name: np.concatenate([getattr(part, name) for part in parts])
            for name in ("context", "target", "weights", "fold", "validation", "withheld")
        }
        columns = zip(*(part.codes for part in parts), strict=True)
        return TrainingRows(
            codes=[joined_codes(codes) for codes in columns],
            n_tables=self.n_tables,
            n_rows=self.n_rows,
            seen_by_all=self.seen,
            **joined,
        )

    def _read(self, spans: Sequence[tuple[int, int]]) -> TrainingRows:
        """Return the rows of some spans, one after the other."""
        codes = [joined_codes([f.read(*span) for span in spans]) for f in self._files.codes]
        numbers = {
            name: np.concatenate([file.read(*span) for span in spans])
            for name, file in self._files.numbers.items()
        }
        return self._rows(codes, numbers)

    def _rows(self, codes: list[Codes], numbers: dict[str, NDArray[Any]]) -> TrainingRows:
        validation = numbers["validation"]
        numbers["weights"] /= np.float32(self._mean_weight)
        return TrainingRows(
            codes=codes,
            withheld=validation if self._withholds else np.zeros_like(validation),
            n_tables=self.n_tables,
            n_rows=self.n_rows,
            seen_by_all=self.seen,
            **numbers,
        )


def joined_codes(parts: Sequence[Codes]) -> Codes:
    """Return codes of some rows after others as those of all."""
    lists = [part for part in parts if isinstance(part, Lists)]
    if not lists:
        return np.concatenate([part for part in parts if not isinstance(part, Lists)])
    items = np.concatenate([part.items for part in lists])
    return Lists(items, offsets_of(np.concatenate([part.lengths for part in lists])))
