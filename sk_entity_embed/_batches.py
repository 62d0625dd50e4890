"""Vectors of more rows than memory holds: Parquet files, each of them whole or not there.

A folder gets ``part-00000.parquet``, ``part-00001.parquet``, ... of equally many rows. Each file
says in its metadata which model, columns and rows it was made of, so that a run which goes on after
a stop can tell the parts that are done from those of other models or rows.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import IO, Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from sk_entity_embed._progress import tqdm
from sk_entity_embed._summary.shares import SeenRows, remember
from sk_entity_embed._writing import write_whole
from sk_entity_embed.exceptions import InvalidDataError, InvalidFileError, InvalidParameterError
from sk_entity_embed.input.folds import is_integer
from sk_entity_embed.input.frames import as_frame
from sk_entity_embed.input.lists import Codes, Lists
from sk_entity_embed.input.messages import shown
from sk_entity_embed.input.sources import Block, Source, reading
from sk_entity_embed.model.fingerprint import fingerprint
from sk_entity_embed.model.fitted import CodedRows, EmbeddingModel

_COMPRESSIONS = ("zstd", "snappy", "gzip", "brotli", "lz4")
_KEY = b"sk_entity_embed"
_LAYOUT = 1
_NUMBERS = 2**24
"""Numbers of the output that are made at once."""
_ALIGNED = 8192
"""Rows that the model computes together: what is made at once starts at a multiple of it, so that
results are those of all rows at once, to the last bit."""

_Hash: TypeAlias = Any
Folds: TypeAlias = Callable[[int, int], NDArray[np.int64]]


@dataclass(frozen=True, slots=True)
class Written:
    """What a part has to agree with, beside its number and its rows."""

    model: str
    outputs: list[str]
    keep: list[str]
    rows_a_file: int
    out_of_fold: bool
    layout: int = _LAYOUT

    def differences(self, other: dict[str, Any]) -> list[str]:
        """Name what another part's metadata say differently."""
        what = {
            "model": "another model",
            "outputs": "other output columns",
            "keep": "another `keep`",
            "rows_a_file": "another `rows_a_file`",
            "out_of_fold": "what another method gives",
            "layout": "another version of the layout",
        }
        return [text for name, text in what.items() if other.get(name) != getattr(self, name)]


@dataclass
class _Chunk:
    """Rows of a block, looked up; their vectors are made when they are first asked for."""

    model: EmbeddingModel
    coded: CodedRows
    kept: list[pa.ChunkedArray]
    place: str
    folds: NDArray[np.int64] | None = None

    @cached_property
    def vectors(self) -> NDArray[np.float32]:
        with reading(self.place):
            if self.folds is None:
                return self.model.transform(self.coded)
            learned = self.folds[:, 0] >= 0
            if learned.all():
                return self.model.transform_training(self.coded, self.folds)
            out = self.model.transform(self.coded)
            at = np.flatnonzero(learned)
            numbers = self.coded.numbers[at]
            rows = CodedRows([codes.take(at) for codes in self.coded.codes], numbers)
            out[at] = self.model.transform_training(rows, self.folds[at])
            return out

    def __len__(self) -> int:
        return len(self.coded)


@dataclass
class _Slice:
    """The rows of a chunk that belong to one part."""

    chunk: _Chunk
    rows: slice

    @property
    def codes(self) -> list[Codes]:
        """The table rows of each column."""
        return [codes[self.rows] for codes in self.chunk.coded.codes]

    @property
    def numbers(self) -> NDArray[np.float64]:
        """The context columns."""
        return self.chunk.coded.numbers[self.rows]

    @property
    def kept(self) -> list[pa.ChunkedArray]:
        """The columns of the source that are passed on."""
        return [column[self.rows] for column in self.chunk.kept]

    def table(self, names: Sequence[str]) -> pa.Table:
        """The rows of the file: what is kept, and the vectors."""
        vectors = self.chunk.vectors[self.rows]
        columns = [pa.array(np.ascontiguousarray(column)) for column in vectors.T]
        return pa.Table.from_arrays([*self.kept, *columns], names=list(names))


@dataclass
class _Content:
    """A hash of rows, however they are divided into slices."""

    columns: list[_Hash] = field(default_factory=list)
    n_rows: int = 0

    def update(self, part: _Slice) -> None:
        """Add rows."""
        arrays: list[NDArray[Any]] = [part.numbers]
        for codes in part.codes:
            if isinstance(codes, Lists):
                arrays += [codes.items, np.diff(codes.offsets)]
            else:
                arrays.append(codes)
        if part.chunk.folds is not None:
            arrays.append(part.chunk.folds[part.rows])
        raw: list[Any] = [np.ascontiguousarray(a).data for a in arrays]
        raw += map(_bytes_of, part.kept)
        self.columns = self.columns or [hashlib.blake2b(digest_size=16) for _ in raw]
        for hasher, content in zip(self.columns, raw, strict=True):
            hasher.update(content)
        self.n_rows += part.rows.stop - part.rows.start

    def digest(self) -> str:
        """Return the hash."""
        return hashlib.blake2b(b"".join(h.digest() for h in self.columns)).hexdigest()[:32]


def _bytes_of(column: pa.ChunkedArray) -> bytes:
    whole = pa.RecordBatch.from_arrays([pa.concat_arrays(column.chunks)], names=["kept"])
    serialized: bytes = whole.serialize().to_pybytes()
    return serialized


def write_batches(
    estimator: Any,
    source: Source,
    path: str | os.PathLike[str],
    *,
    keep: Sequence[str],
    rows_a_file: int,
    compression: str | None,
    folds: Folds | None = None,
) -> Path:
    """Write the vectors of all rows of a source to a folder; see ``transform_batches``.

    With `folds`, a function that gives the tables that never saw the rows from one place up to
    another, of shape (n, n_members) and -1 for rows that no table saw, they are out of fold.
    """
    keep = list(keep)
    _check_options(source, keep, rows_a_file, compression)
    rows_a_file = int(rows_a_file)
    model: EmbeddingModel = estimator._model
    outputs = model.output_names()
    columns = _columns(estimator, source, keep, outputs)
    source.check_place(path)
    folder = Path(path)
    plan = Written(fingerprint(model), outputs, keep, rows_a_file, folds is not None)
    done = _parts_in(folder, plan)
    total, unit = source.n_rows, {"unit": " rows", "unit_scale": True}
    with (
        closing(source.blocks([*columns, *(k for k in keep if k not in columns)])) as blocks,  # type: ignore[type-var]
        tqdm(total=total, disable=not estimator.verbose, desc="vectors", **unit) as progress,
    ):
        parts = _Parts(_chunks(estimator, blocks, columns, keep, folds), rows_a_file)
        n = 0
        while not parts.ended:
            target = folder / _name(n)
            if n in done:
                _check_rows(target, done[n], parts.next_part(progress))
            else:
                folder.mkdir(parents=True, exist_ok=True)
                _write_part(target, plan, parts.next_part(progress), compression)
            n += 1
    if max(done, default=-1) >= n:
        raise InvalidDataError(
            f"{str(folder)!r} has {max(done) + 1} parts, but the source has rows for {n} only: "
            "they are of another source. Give another folder, or remove this one."
        )
    return folder


def check_target(
    source: Source,
    path: str | os.PathLike[str],
    keep: Sequence[str],
    rows_a_file: Any,
    compression: Any,
) -> None:
    """Refuse what would be refused when files are written, before anything is learned for them."""
    _check_options(source, list(keep), rows_a_file, compression)
    source.check_place(path)
    _said_in(Path(path))


def _check_options(source: Source, keep: list[str], rows_a_file: Any, compression: Any) -> None:
    if not is_integer(rows_a_file) or rows_a_file < 1:
        raise InvalidParameterError(
            f"`rows_a_file` must be a positive integer, got {shown(rows_a_file)}."
        )
    if compression is not None and compression not in _COMPRESSIONS:
        raise InvalidParameterError(
            f"`compression` must be None or one of {_COMPRESSIONS}, got {shown(compression)}."
        )
    source.check_columns(keep, "`keep`")
    if len(set(keep)) < len(keep):
        raise InvalidParameterError(f"`keep` names a column twice: {keep}.")


def _columns(
    estimator: Any, source: Source, keep: Sequence[str], outputs: Sequence[str]
) -> list[str]:
    """Return the columns of fit, after a check that the source has them."""
    names = getattr(estimator, "feature_names_in_", None)
    if names is None:
        raise InvalidParameterError(
            "transform_batches finds the columns of fit by name, but fit was given a table without "
            "names; fit with a data frame."
        )
    source.check_columns(names, "transform_batches needs the columns of fit")
    if both := [name for name in keep if name in outputs]:
        raise InvalidParameterError(
            f"`keep` names the column {both[0]!r}, but an output column has this name, too; rename "
            "it in the source."
        )
    return list(names)


def _chunks(
    estimator: Any,
    blocks: Iterator[Block],
    columns: Sequence[str],
    keep: Sequence[str],
    folds: Folds | None,
) -> Iterator[_Chunk]:
    """Rows looked up, as many at once as give outputs of a moderate size."""
    model: EmbeddingModel = estimator._model
    width = max(1, len(model.output_names()))
    size = max(_ALIGNED, _NUMBERS // width // _ALIGNED * _ALIGNED)
    types: list[pa.DataType] | None = None
    told: set[str] = set()
    seen: SeenRows | None = None
    n = 0
    for block in blocks:
        frame = as_frame(block.frame, block.place)
        with reading(block.place):
            table = estimator._read(frame.select(list(columns)).to_native())
            coded = model.code(table, serving=folds is None, told=told)
            kept = _kept(frame.select(list(keep)).to_arrow(), types) if keep else []
        if folds is None:
            own_rows = SeenRows.of(coded.codes, len(coded))
            seen = own_rows if seen is None else seen + own_rows
            remember(estimator, seen)
        types = [column.type for column in kept]
        for start in range(0, len(coded), size):
            at = slice(start, min(start + size, len(coded)))
            part = CodedRows([codes[at] for codes in coded.codes], coded.numbers[at])
            own = None if folds is None else folds(n + at.start, n + at.stop)
            yield _Chunk(model, part, [column[at] for column in kept], block.place, own)
        n += len(coded)


def _kept(table: pa.Table, types: Sequence[pa.DataType] | None) -> list[pa.ChunkedArray]:
    """Return the columns of a table, of the types that they had before."""
    columns = list(table.columns)
    for j, (column, before) in enumerate(zip(columns, types or [], strict=types is not None)):
        if column.type != before:
            try:
                columns[j] = column.cast(before)
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
                raise InvalidDataError(
                    f"column {table.column_names[j]!r} of `keep` is of type {column.type}, but "
                    f"was of type {before} before ({error}); give it one type in the whole source."
                ) from error
    return columns


class _Parts:
    """Chunks divided to parts of equally many rows, but for the last one."""

    def __init__(self, chunks: Iterator[_Chunk], size: int) -> None:
        self._chunks, self._size = chunks, size
        self._chunk = next(chunks, None)
        self._start = 0

    @property
    def ended(self) -> bool:
        """Whether there are no more rows."""
        return self._chunk is None

    def next_part(self, progress: Any) -> Iterator[_Slice]:
        """Yield the rows of the next part, and count them."""
        wanted = self._size
        while wanted and self._chunk is not None:
            stop = min(self._start + wanted, len(self._chunk))
            n = stop - self._start
            yield _Slice(self._chunk, slice(self._start, stop))
            progress.update(n)
            wanted, self._start = wanted - n, stop
            if stop == len(self._chunk):
                self._chunk, self._start = next(self._chunks, None), 0


def _name(n: int) -> str:
    return f"part-{n:05d}.parquet"


def _write_part(
    target: Path, plan: Written, rows: Iterator[_Slice], compression: str | None
) -> None:
    """Write one file beside its place, and give it its name when it is complete."""

    def write(file: IO[bytes]) -> None:
        first, names = next(rows), [*plan.keep, *plan.outputs]
        table = first.table(names)
        content = _Content()
        with pq.ParquetWriter(file, table.schema, compression=compression or "none") as writer:
            writer.write_table(table)
            content.update(first)
            for part in rows:
                writer.write_table(part.table(names))
                content.update(part)
            said = {**asdict(plan), "n_rows": content.n_rows, "content": content.digest()}
            writer.add_key_value_metadata({_KEY: json.dumps(said).encode()})

    write_whole(target, write)


def _check_rows(target: Path, said: dict[str, Any], rows: Iterator[_Slice]) -> None:
    """Refuse a part that was made of other rows."""
    content = _Content()
    for part in rows:
        content.update(part)
    if (content.n_rows, content.digest()) != (said["n_rows"], said["content"]):
        raise InvalidDataError(
            f"{str(target)!r} holds vectors of other rows than the source has now in this place; "
            "give another folder, or remove this one."
        )


def _parts_in(folder: Path, plan: Written) -> dict[int, dict[str, Any]]:
    """Return what the complete parts of a folder say, by number; half ones of a stop are removed.

    Raises InvalidFileError if one is of another model or layout, or there are other Parquet files.
    """
    done = _said_in(folder)
    for n, said in done.items():
        if differences := plan.differences(said):
            raise InvalidFileError(
                f"{str(folder / _name(n))!r} was written with {', '.join(differences)}; give "
                "another folder, or remove this one to start over."
            )
    for left in folder.glob(".part-*.parquet-*.new") if folder.exists() else []:
        left.unlink(missing_ok=True)
    return done


def _said_in(folder: Path) -> dict[int, dict[str, Any]]:
    """Return what the parts of a folder say, by number, whatever they are of."""
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{str(folder)!r} is a file; `path` has to be a folder.")
    done: dict[int, dict[str, Any]] = {}
    for file in sorted(folder.glob("*.parquet")) if folder.exists() else []:
        found = re.fullmatch(r"part-(\d{5,})\.parquet", file.name)
        said = _metadata(file) if found else None
        if found is None or said is None:
            raise InvalidFileError(
                f"{str(file)!r} was not written by transform_batches; `path` has to be a new or "
                "empty folder, or one that it has begun to fill."
            )
        done[int(found[1])] = said
    return done


def _metadata(file: Path) -> dict[str, Any] | None:
    """Return what a part says of itself; None if it says nothing."""
    try:
        metadata = pq.read_metadata(file).metadata or {}
    except (pa.ArrowException, OSError) as error:
        raise InvalidFileError(
            f"{str(file)!r} cannot be read ({str(error).rstrip('. ')}); remove it, and it is "
            "written again."
        ) from error
    said: dict[str, Any] | None = json.loads(metadata[_KEY]) if _KEY in metadata else None
    return said
