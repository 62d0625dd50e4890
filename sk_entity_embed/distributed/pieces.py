"""A data set in pieces that tasks read: parts of Parquet files, or blocks of a Ray Dataset."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds

from sk_entity_embed.exceptions import InvalidDataError, InvalidFileError, UnsupportedDataError
from sk_entity_embed.input.sources import open_source

PIECE_ROWS = 262_144
"""Rows that are read at a time, about: row groups of a file are put together up to so many."""


@dataclass(frozen=True, slots=True)
class FilePart:
    """Some row groups of a Parquet file."""

    fragment: ds.ParquetFileFragment
    schema: pa.Schema
    place: str

    def read(self) -> pa.Table:
        """Read the rows."""
        try:
            return self.fragment.to_table(schema=self.schema)
        except (pa.ArrowException, OSError) as error:
            if isinstance(error, FileNotFoundError):
                error.add_note("On a cluster, all machines must be able to read the files.")
                raise
            raise InvalidFileError(
                f"It cannot be read: {str(error).rstrip('. ')}. It may be damaged or cut off; "
                "write it again, or leave it out."
            ) from error


@dataclass(frozen=True, slots=True)
class Pieces:
    """What tasks are given, one piece each, and the names of all columns.

    A piece is a :class:`FilePart`, or a reference to a table that Ray holds.
    """

    names: list[str]
    parts: Sequence[Any]
    n_rows: int


def table_of(piece: Any) -> pa.Table:
    """Return the rows of a piece that has come to a task."""
    return piece.read() if isinstance(piece, FilePart) else piece


def place_of(piece: Any, number: int) -> str:
    """Return where the rows of a piece are from, in words."""
    return piece.place if isinstance(piece, FilePart) else f"block {number} of the data set"


def find_pieces(ray: Any, dataset: Any) -> Pieces:
    """Divide anything that can be read on a cluster into pieces, always in the same way."""
    if are_paths(dataset):
        return _of_files([dataset] if isinstance(dataset, str | os.PathLike) else list(dataset))
    opened = open_dataset(ray, dataset).materialize()
    n_rows = opened.count()
    if n_rows == 0:
        raise InvalidDataError("The data set has no rows; at least one is needed.")
    blocks = opened.to_arrow_refs()
    count = ray.remote(_count)
    sizes = ray.get([count.remote(block) for block in blocks])
    parts = [block for block, size in zip(blocks, sizes, strict=True) if size]
    return Pieces(list(opened.schema().names), parts, n_rows)


def _count(table: pa.Table) -> int:
    return int(table.num_rows)


def are_paths(dataset: Any) -> bool:
    """Whether a data set is given by a path, or a list of them."""
    if isinstance(dataset, list | tuple):
        return bool(dataset) and all(isinstance(path, str | os.PathLike) for path in dataset)
    return isinstance(dataset, str | os.PathLike)


def open_dataset(ray: Any, dataset: Any) -> Any:
    """Return a Ray Dataset of anything that Ray reads, whose blocks keep their order."""
    library = type(dataset).__module__.partition(".")[0]
    if isinstance(dataset, ray.data.Dataset):
        opened = dataset
    elif are_paths(dataset):
        paths = [dataset] if isinstance(dataset, str | os.PathLike) else dataset
        opened = ray.data.read_parquet([os.fspath(path) for path in paths])
    elif library.startswith("dask"):
        opened = ray.data.from_dask(dataset)
    elif library == "pyspark":
        opened = ray.data.from_spark(dataset)
    elif library == "pandas" and hasattr(dataset, "columns"):
        opened = ray.data.from_pandas(dataset)
    elif isinstance(dataset, pa.Table):
        opened = ray.data.from_arrow(dataset)
    else:
        raise UnsupportedDataError(
            f"A data set of type {type(dataset).__name__} cannot be read on a cluster; give paths "
            "of Parquet files, a Ray Dataset, or a frame of Dask, Spark, pandas or pyarrow."
        )
    opened.context.execution_options.preserve_order = True
    return opened


def _of_files(paths: Sequence[str | os.PathLike[str]]) -> Pieces:
    """Divide Parquet files, in the order of their paths, after a check of their columns."""
    with open_source(paths) as source:
        names, n_all = list(source.names), source.n_rows
    parts: list[FilePart] = []
    for path in paths:
        files = ds.dataset(os.fspath(path), format="parquet", partitioning="hive")
        schema = files.schema
        for fragment in sorted(files.get_fragments(), key=lambda one: str(one.path)):
            place = f"file {fragment.path!r}"
            groups: list[int] = []
            n_rows = 0
            for group in fragment.row_groups:
                if groups and n_rows + group.num_rows > PIECE_ROWS:
                    parts.append(FilePart(fragment.subset(row_group_ids=groups), schema, place))
                    groups, n_rows = [], 0
                groups.append(group.id)
                n_rows += group.num_rows
            if n_rows:
                parts.append(FilePart(fragment.subset(row_group_ids=groups), schema, place))
    assert n_all is not None  # files tell it
    return Pieces(names, parts, n_all)
