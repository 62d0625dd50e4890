"""Tables that need not fit into memory, as blocks of rows that can be read again and again.

Blocks do not depend on how the rows lie in files or batches: each has `BLOCK_ROWS` rows, but for
the last one, and the one before a change of types.
"""

from __future__ import annotations

import os
import sys
import weakref
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from glob import glob, has_magic
from itertools import chain
from pathlib import Path
from typing import Any, Protocol, Self, TypeAlias

import narwhals.stable.v2 as nw
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from sk_entity_embed.exceptions import (
    EntityEmbedError,
    InvalidDataError,
    InvalidFileError,
    InvalidParameterError,
    UnsupportedDataError,
)
from sk_entity_embed.input.folders import TemporaryFolder
from sk_entity_embed.input.frames import (
    Frame,
    KindOfType,
    as_frame,
    check_names,
    common_kind,
    dtypes_of,
    is_eager,
    is_same_kind,
    kind_of_arrow,
    kinds_of,
)
from sk_entity_embed.input.messages import shown

BLOCK_ROWS = 262_144
_READ_AHEAD = 2
"""Batches and files that Arrow may read before they are asked for."""
_BUFFER = 1 << 20
_Paths: TypeAlias = str | os.PathLike[str]

_KINDS_OF_SOURCES = (
    "a Parquet file or folder, a pyarrow dataset, table or reader of record batches, a frame of "
    "pandas or polars, a lazy frame of polars, a relation of DuckDB, a list of tables, or a "
    "function without arguments that returns a fresh iterator over tables"
)

_PARQUET_ONLY = (
    "Paths must be those of Parquet files, or of folders with Parquet files. For CSV files, give "
    "pyarrow.dataset.dataset(path, format='csv') in place of the path."
)


@dataclass(frozen=True, slots=True)
class Block:
    """Consecutive rows: a table as its library has it, and where it comes from in words."""

    frame: Any
    place: str
    n_rows: int


@contextmanager
def reading(place: str) -> Iterator[None]:
    """Say in errors of the package where in a source the rows are that caused them."""
    try:
        yield
    except EntityEmbedError as error:
        raise type(error)(f"{place[0].upper()}{place[1:]}: {error}") from error


@dataclass(frozen=True, slots=True)
class _Piece:
    """Rows as they come; the place is None where only their numbers tell it."""

    frame: Frame
    place: str | None


class _Origin(Protocol):
    """Where rows come from: it starts anew each time it is asked for pieces."""

    @property
    def names(self) -> list[Any]: ...

    @property
    def n_rows(self) -> int | None: ...

    def pieces(self, columns: list[Any]) -> Iterator[_Piece]: ...


class Source:
    """Rows in blocks, in their order, from the start each time.

    Close it, or use it in ``with``, to remove the copy that a reader of record batches needs.
    """

    def __init__(self, origin: _Origin, folder: TemporaryFolder | None = None) -> None:
        self._origin = origin
        self._read: int | None = None  # rows of the first whole pass
        self._clean: Callable[[], Any] = lambda: None
        if folder is not None:
            self._clean = weakref.finalize(self, folder.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove temporary files."""
        self._clean()

    @cached_property
    def names(self) -> list[Any]:
        """Names of all columns."""
        return self._origin.names

    @property
    def n_rows(self) -> int | None:
        """Number of rows; None while it is not known."""
        return self._read if self._origin.n_rows is None else self._origin.n_rows

    def check_place(self, path: str | os.PathLike[str]) -> None:
        """Refuse to write to a folder of the source: files there would be rows of the next pass."""
        place = os.path.abspath(path)
        for root in getattr(self._origin, "roots", ()):
            if Path(place).is_relative_to(root):
                raise InvalidParameterError(
                    f"`path`={os.fspath(path)!r} is inside the folder {root!r} of the source; "
                    "give a folder outside it."
                )

    def check_columns(self, columns: Iterable[Any], what: str = "") -> None:
        """Refuse columns that the source does not have; `what` says what names them."""
        for name in columns:
            if name not in self.names:
                near = get_close_matches(str(name), [str(n) for n in self.names], n=1)
                hint = f" Did you mean {near[0]!r}?" if near else ""
                shown_names = ", ".join(repr(n) for n in self.names[:20])
                more = ", ..." if len(self.names) > 20 else ""
                raise InvalidDataError(
                    f"{what + ': ' if what else ''}The source has no column {name!r}.{hint} It "
                    f"has the columns {shown_names}{more}."
                )

    def blocks(self, columns: Sequence[Any] | None = None) -> Iterator[Block]:
        """Read the rows from the start, with all columns or those asked for, in that order.

        Raises InvalidDataError if there are no rows, or columns are missing, differ between the
        parts of the source or change the kind of their type; InvalidFileError if a file cannot be
        read.
        """
        chosen = list(self.names if columns is None else columns)
        self.check_columns(chosen)
        n_rows = 0
        with closing(self._origin.pieces(chosen)) as pieces:  # type: ignore[type-var]
            for block in _gather(_checked(pieces), BLOCK_ROWS):
                n_rows += block.n_rows
                yield block
        if not n_rows:
            raise InvalidDataError("The source has no rows; at least one is needed.")
        if self._read not in (None, n_rows):
            raise InvalidDataError(
                f"The source had {self._read} rows when it was read first, and {n_rows} rows "
                "when it was read again; it must give the same rows each time. A function must "
                "return a fresh iterator with every call, and files must not change meanwhile."
            )
        self._read = n_rows


def open_source(source: Any, *, spill_dir: _Paths | None = None, once: bool = False) -> Source:
    """Open anything that gives tables as blocks.

    Parquet files of a folder come in the order of their paths; hidden ones, and those that begin
    with ``_``, are left out; ``key=value`` in names of folders makes columns. A reader of record
    batches is copied to a temporary folder in `spill_dir` when it is first read. What is read
    `once` only is not copied, and may be an iterator.
    """
    if isinstance(source, Source):
        return source
    if isinstance(source, str | os.PathLike):
        return Source(_Files.of([source]))
    if isinstance(source, list | tuple) and _are_paths(source):
        return Source(_Files.of(source))
    if isinstance(source, pa.RecordBatchReader):
        if once:
            return Source(_Tables(source, names=list(source.schema.names)))
        folder = TemporaryFolder(spill_dir)
        return Source(_Once(source, os.path.join(folder.path, "rows.parquet")), folder)
    if isinstance(source, ds.Dataset):
        return Source(_Dataset(source))
    if _is_a(source, "duckdb", "DuckDBPyRelation"):
        return Source(_DuckDBRelation(source))
    if _is_a(source, "polars", "LazyFrame"):
        return Source(_PolarsQuery(source))
    if is_eager(source):
        return Source(_Tables([source], numbered=False))
    lazy = nw.from_native(source, pass_through=True)
    if isinstance(lazy, nw.LazyFrame):
        raise UnsupportedDataError(
            f"A lazy table of {lazy.implementation.name.lower()} cannot be read in blocks; write "
            "it to a folder of Parquet files and give its path."
        )
    if callable(source) and not isinstance(source, type):
        return Source(_Tables(source))
    if not isinstance(source, Iterable):
        raise UnsupportedDataError(
            f"A source of type {type(source).__name__} cannot be read; give {_KINDS_OF_SOURCES}."
        )
    if iter(source) is source:
        if once:
            return Source(_Tables.of_iterator(source))
        raise UnsupportedDataError(
            f"An iterator ({type(source).__name__}) can be read only once, but training reads its "
            "source several times. Give a list of tables, an object whose __iter__ returns a fresh "
            "iterator, or a function without arguments that does."
        )
    return Source(_Tables(source))


def _is_a(source: Any, library: str, name: str) -> bool:
    """Whether a source is of a library's class, without importing the library."""
    module = sys.modules.get(library)
    return module is not None and isinstance(source, getattr(module, name))


def _are_paths(source: Sequence[Any]) -> bool:
    return bool(source) and all(isinstance(path, str | os.PathLike) for path in source)


def _checked(pieces: Iterable[_Piece]) -> Iterator[_Piece]:
    """The pieces that have rows, after a check of the kinds of their types."""
    kinds: list[KindOfType] = []
    for n, piece in enumerate(pieces, start=1):
        if not len(piece.frame):
            continue
        found = kinds_of(piece.frame)
        kinds = kinds or found
        _check_kinds(piece.frame.columns, found, kinds, piece.place or f"batch {n}")
        kinds = [common_kind(old, new) for old, new in zip(kinds, found, strict=True)]
        yield piece


def _check_kinds(
    names: Sequence[Any],
    found: Sequence[KindOfType],
    before: Sequence[KindOfType],
    place: str,
    where: str = "before that",
) -> None:
    for name, new, old in zip(names, found, before, strict=True):
        if not is_same_kind(new, old):
            raise InvalidDataError(
                f"Column {name!r} holds {new} in {place}, but {old} {where}; give it one type in "
                "all parts of the source."
            )


def _gather(pieces: Iterable[_Piece], size: int) -> Iterator[Block]:
    """Join and divide pieces to blocks of `size` rows; a change of types ends a block."""
    held: list[_Piece] = []
    n_held = start = 0
    dtypes: list[Any] = []

    def block() -> Block:
        nonlocal start, n_held
        frames = [p.frame for p in held]
        joined = frames[0] if len(frames) == 1 else nw.concat(frames, how="vertical")
        made = Block(joined.to_native(), _place(held, start, n_held), n_held)
        start, n_held = start + n_held, 0
        held.clear()
        return made

    for piece in pieces:
        frame, new_dtypes = piece.frame, dtypes_of(piece.frame)
        if held and new_dtypes != dtypes:
            yield block()
        dtypes = new_dtypes
        while len(frame):
            part = frame[: size - n_held] if len(frame) > size - n_held else frame
            held.append(_Piece(part, piece.place))
            n_held += len(part)
            frame = frame[len(part) :]
            if n_held == size:
                yield block()
    if held:
        yield block()


def _place(pieces: Sequence[_Piece], start: int, n_rows: int) -> str:
    first, last = pieces[0].place, pieces[-1].place
    if first is None or last is None:
        return f"rows {start} to {start + n_rows - 1}"
    return first if first == last else f"{first} to {last}"


@dataclass(frozen=True, slots=True)
class _File:
    """A Parquet file, how it reads in messages, and the columns that its folders' names make."""

    filesystem: Any
    path: str
    place: str
    folders: dict[str, pa.Scalar]
    n_rows: int
    schema: pa.Schema

    @property
    def names(self) -> list[str]:
        """Names of all columns, those of the folders last."""
        return [*self.schema.names, *self.folders]

    def batches(self, columns: list[str]) -> Iterator[pa.Table]:
        """Read some columns, a batch of rows after the other."""
        own = [name for name in columns if name not in self.folders]
        with _readable(self.place), self.filesystem.open_input_file(self.path) as opened:
            file = _parquet(opened)
            for batch in file.iter_batches(BLOCK_ROWS, columns=own or self.schema.names[:1]):
                table = pa.Table.from_batches([batch])
                for name, value in self.folders.items():
                    table = table.append_column(name, pa.repeat(value, len(table)))
                yield table.select(columns)


def _parquet(opened: Any) -> pq.ParquetFile:
    """Open a Parquet file so that it is read page by page, whatever the size of its row groups."""
    return pq.ParquetFile(
        opened, buffer_size=_BUFFER, pre_buffer=False, page_checksum_verification=True
    )


@contextmanager
def _readable(place: str) -> Iterator[None]:
    """Say which file or block cannot be read."""
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        # What the system says has a number or a class of its own; damage, to Arrow, has neither.
        if isinstance(error, OSError) and (error.errno or type(error) is not OSError):
            error.add_note(f"This was {place}.")
            raise
        raise InvalidFileError(
            f"{place[0].upper()}{place[1:]} cannot be read: {str(error).rstrip('. ')}. Either it "
            "is damaged or cut off; then write it again, or leave it out. Or it is not a Parquet "
            f"file. {_PARQUET_ONLY}"
        ) from error


class _Files:
    """Parquet files, opened once beforehand to know their columns and rows."""

    def __init__(self, files: Sequence[_File], roots: Sequence[str] = ()) -> None:
        self.roots = [os.path.abspath(root) for root in roots]
        self._files = [file for file in files if file.n_rows]
        if not self._files:
            raise InvalidDataError(
                f"The source has no rows: {len(files)} Parquet file(s), all of them empty."
            )
        first = self._files[0]
        before: list[KindOfType] = [None] * len(first.names)
        for file in self._files:
            check_names(file.names, first.names, file.place, first.place)
            types = [*file.schema.types, *(value.type for value in file.folders.values())]
            found = [kind_of_arrow(dtype) for dtype in types]
            _check_kinds(file.names, found, before, file.place)
            before = [common_kind(old, new) for old, new in zip(before, found, strict=True)]

    @classmethod
    def of(cls, paths: Sequence[_Paths]) -> Self:
        """Find the files of several paths, folders or patterns."""
        files = [file for path in paths for file in _find(os.fspath(path))]
        return cls(files, [os.fspath(path) for path in paths if os.path.isdir(path)])

    @property
    def names(self) -> list[Any]:
        return self._files[0].names

    @property
    def n_rows(self) -> int:
        return sum(file.n_rows for file in self._files)

    def pieces(self, columns: list[Any]) -> Iterator[_Piece]:
        for file in self._files:
            for table in file.batches(columns):
                yield _Piece(as_frame(table, file.place), file.place)


def _find(path: str) -> Iterator[_File]:
    """The Parquet files at a path or pattern, in the order of their paths."""
    if has_magic(path) and not os.path.exists(path):
        found = sorted(glob(path, recursive=True))
        if not found:
            raise FileNotFoundError(
                f"No file or folder matches the pattern {path!r}. {_PARQUET_ONLY}"
            )
        for one in found:
            yield from _find(one)
        return
    try:
        with _readable(repr(path)):
            dataset = ds.dataset(path, format="parquet", partitioning="hive")
    except FileNotFoundError as error:
        raise FileNotFoundError(f"There is no file or folder {path!r}. {_PARQUET_ONLY}") from error
    fragments = sorted(dataset.get_fragments(), key=lambda fragment: fragment.path)
    if not fragments:
        raise InvalidDataError(f"The folder {path!r} has no Parquet files. {_PARQUET_ONLY}")
    types = {f.name: f.type for f in dataset.partitioning.schema} if dataset.partitioning else {}
    root = os.path.abspath(path)
    for fragment in fragments:
        full = os.path.abspath(fragment.path)
        inside = Path(full).is_relative_to(root) and os.path.isdir(root)
        name = os.path.relpath(full, root) if inside else os.fspath(path)
        place = f"file {(name if inside or '://' not in path else fragment.path)!r}"
        keys = ds.get_partition_keys(fragment.partition_expression)
        with _readable(place), fragment.filesystem.open_input_file(fragment.path) as opened:
            file = _parquet(opened)
            schema, n_rows = file.schema_arrow, file.metadata.num_rows
        if len(set(schema.names)) < len(schema.names):
            raise InvalidDataError(f"{place} repeats a column name; names must be unique.")
        folders = {
            key: pa.scalar(value, types.get(key))
            for key, value in keys.items()
            if key not in schema.names
        }
        yield _File(fragment.filesystem, fragment.path, place, folders, n_rows, schema)


class _Once:
    """A reader of record batches, copied to a Parquet file when it is first read."""

    def __init__(self, reader: pa.RecordBatchReader, path: str) -> None:
        self._reader, self._path = reader, path
        self._copy: _Files | None = None
        self._damaged = False

    @property
    def names(self) -> list[Any]:
        return list(self._reader.schema.names)

    @property
    def n_rows(self) -> int | None:
        return None if self._copy is None else self._copy.n_rows

    def pieces(self, columns: list[Any]) -> Iterator[_Piece]:
        if self._copy is None:
            self._copy = self._copied()
        for piece in self._copy.pieces(columns):
            yield _Piece(piece.frame, None)

    def _copied(self) -> _Files:
        if self._damaged:
            raise InvalidDataError(
                "The reader of record batches has failed before and cannot be read again; open "
                "a new one."
            )
        self._damaged = True  # until the copy is complete
        try:
            with pq.ParquetWriter(self._path, self._reader.schema) as writer:
                for batch in _numbered_batches(self._reader):
                    writer.write_batch(batch)
        except (OSError, pa.ArrowNotImplementedError) as error:
            error.add_note(
                "The rows of a reader are copied to a Parquet file in "
                f"{os.path.dirname(self._path)!r}, so that they can be read again. Choose "
                "another folder with `spill_dir`, or give a source that can be read several "
                "times."
            )
            raise
        self._damaged = False
        return _Files.of([self._path])


def _numbered_batches(reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    """The batches of a reader; an error of its own says after how many it came."""
    n = 0
    try:
        for batch in reader:
            n += 1
            yield batch
    except pa.ArrowInvalid as error:
        raise InvalidDataError(
            f"The reader of record batches failed after {n} batch(es): {error}"
        ) from error


class _Dataset:
    """A dataset of pyarrow, with the schema and the filter that it has."""

    def __init__(self, dataset: ds.Dataset) -> None:
        self._dataset = dataset

    @property
    def names(self) -> list[Any]:
        return list(self._dataset.schema.names)

    @cached_property
    def n_rows(self) -> int | None:
        """Of Parquet files, for their ends say it; others would have to be read."""
        return self._dataset.count_rows() if self._is_parquet else None

    @property
    def _is_parquet(self) -> bool:
        return isinstance(getattr(self._dataset, "format", None), ds.ParquetFileFormat)

    def pieces(self, columns: list[Any]) -> Iterator[_Piece]:
        self._check_files()
        options: dict[str, Any] = {}
        if self._is_parquet:  # page by page, not a row group at once
            options["fragment_scan_options"] = ds.ParquetFragmentScanOptions(
                use_buffered_stream=True, buffer_size=_BUFFER, pre_buffer=False
            )
        scanner = self._dataset.scanner(
            columns=columns,
            batch_size=BLOCK_ROWS,
            batch_readahead=_READ_AHEAD,
            fragment_readahead=_READ_AHEAD,
            **options,
        )
        last: str | None = None
        batches = scanner.scan_batches()
        while True:
            # Arrow does not say whose pages it could not read: it was the last one, or the next.
            with _readable(f"the dataset (after reading from {last})" if last else "the dataset"):
                tagged = next(batches, None)
            if tagged is None:
                return
            path = getattr(tagged.fragment, "path", None)
            last = f"file {os.path.basename(path)!r}" if path else None
            yield _Piece(as_frame(tagged.record_batch, "the dataset"), last)

    def _check_files(self) -> None:
        """Refuse files whose types are of another kind: pyarrow would convert what it can."""
        if not isinstance(self._dataset, ds.FileSystemDataset):
            return
        dataset, schema = self._dataset, self._dataset.schema
        for path in dataset.files:
            place = f"file {os.path.basename(path)!r}"
            with _readable(place):
                own = dataset.format.make_fragment(path, dataset.filesystem).physical_schema
            both = [name for name in own.names if name in schema.names]
            found = [kind_of_arrow(own.field(name).type) for name in both]
            wanted = [kind_of_arrow(schema.field(name).type) for name in both]
            _check_kinds(both, found, wanted, place, "by the schema of the dataset")


def _results(tables: Iterable[Any], what: str) -> Iterator[_Piece]:
    """The tables that a query gives; its own errors tell after how many rows they came."""
    n_rows, following = 0, iter(tables)
    while True:
        try:
            table = next(following, None)
        except Exception as error:
            error.add_note(f"This came from {what}, after {n_rows} rows of it.")
            raise
        if table is None:
            return
        frame = as_frame(table, what)
        n_rows += len(frame)
        yield _Piece(frame, None)


class _PolarsQuery:
    """A lazy frame of polars, run anew each time by its streaming engine."""

    n_rows = None

    def __init__(self, frame: Any) -> None:
        if not hasattr(frame, "collect_batches"):
            raise UnsupportedDataError(
                "A lazy frame is read in blocks by LazyFrame.collect_batches, which this version "
                "of polars lacks; install a newer one, or give a pyarrow dataset."
            )
        self._frame = frame

    @property
    def names(self) -> list[Any]:
        return list(self._frame.collect_schema().names())

    def pieces(self, columns: list[Any]) -> Iterator[_Piece]:
        query = self._frame.select(columns)
        frames = query.collect_batches(chunk_size=BLOCK_ROWS, maintain_order=True, lazy=True)
        yield from _results(frames, "the lazy frame")


class _DuckDBRelation:
    """A relation of DuckDB, run anew each time; its connection is busy meanwhile."""

    n_rows = None

    def __init__(self, relation: Any) -> None:
        self._relation = relation

    @property
    def names(self) -> list[Any]:
        return list(self._relation.columns)

    def pieces(self, columns: list[Any]) -> Iterator[_Piece]:
        with closing(self._batches(columns)) as batches:
            yield from _results(batches, "the relation")

    def _batches(self, columns: list[Any]) -> Generator[Any]:
        quoted = ", ".join('"' + name.replace('"', '""') + '"' for name in columns)
        query = self._relation.project(quoted)
        is_new = hasattr(query, "to_arrow_reader")
        start = query.to_arrow_reader if is_new else query.fetch_record_batch
        with closing(start(BLOCK_ROWS)) as reader:
            yield from reader


class _Tables:
    """Tables in memory, one after the other, from an iterable or a function."""

    n_rows: int | None = None

    def __init__(
        self,
        tables: Iterable[Any] | Callable[[], Iterable[Any]],
        *,
        numbered: bool = True,
        names: list[Any] | None = None,
    ) -> None:
        self._tables, self._numbered, self._names = tables, numbered, names
        if not numbered:
            self.n_rows = sum(len(as_frame(table, "the table")) for table in self._start())

    @classmethod
    def of_iterator(cls, tables: Iterator[Any]) -> Self:
        """Tables that come once only: the first one tells the names."""
        first = next(tables, None)
        if first is None:
            raise InvalidDataError("The source has no rows; at least one is needed.")
        names = list(as_frame(first, "block 1").columns)
        return cls(chain([first], tables), names=names)

    @cached_property
    def names(self) -> list[Any]:
        if self._names is not None:
            return self._names
        with closing(self._frames()) as frames:  # type: ignore[type-var]
            for frame, _ in frames:
                return list(frame.columns)
        raise InvalidDataError("The source has no rows; at least one is needed.")

    def pieces(self, columns: list[Any]) -> Iterator[_Piece]:
        for frame, place in self._frames():
            check_names(frame.columns, self.names, place, "the first block")
            yield _Piece(frame.select(columns), place if self._numbered else None)

    def _frames(self) -> Iterator[tuple[Frame, str]]:
        """The tables that have rows, from the start."""
        for n, table in enumerate(self._start(), start=1):
            place = f"block {n}" if self._numbered else "the table"
            frame = as_frame(table, place)
            if len(frame):
                yield frame, place

    def _start(self) -> Iterable[Any]:
        if not callable(self._tables):
            return self._tables
        tables = self._tables()
        if is_eager(tables):
            return [tables]
        if not isinstance(tables, Iterable):
            raise UnsupportedDataError(
                "A function that gives the source must return an iterator over tables, but "
                f"returned {shown(tables)}."
            )
        return tables
