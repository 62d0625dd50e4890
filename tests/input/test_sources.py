"""Sources of blocks: what can be read, in which order and sizes, and what is refused."""

from __future__ import annotations

import os
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from sk_entity_embed.exceptions import (
    InvalidDataError,
    InvalidFileError,
    UnsupportedDataError,
)
from sk_entity_embed.input import sources
from sk_entity_embed.input.sources import open_source

N = 250


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(sources, "BLOCK_ROWS", 100)


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    city = rng.choice(["Lima", "Oslo", "Rome"], N)
    return pa.table({"row": np.arange(N), "city": city, "n": rng.standard_normal(N)})


@pytest.fixture
def folder(tmp_path, table):
    """Five files of 60 rows (the last has 10), and things that are no part of the table."""
    where = tmp_path / "rows"
    where.mkdir()
    for k in range(5):
        pq.write_table(table[60 * k : 60 * k + 60], where / f"part-{k}.parquet", row_group_size=17)
    (where / "_SUCCESS").touch()
    (where / ".part-9.parquet.crc").write_text("hidden")
    return where


def read(source, columns=None):
    """All blocks as one Arrow table, after a check of their sizes."""
    blocks = list(source.blocks(columns))
    frames = [block.frame for block in blocks]
    assert [len(frame) for frame in frames] == [block.n_rows for block in blocks]
    return pa.concat_tables(
        [f if isinstance(f, pa.Table) else pa.table(pl.DataFrame(f).to_arrow()) for f in frames],
        promote_options="permissive",
    ), [block.n_rows for block in blocks]


def of_kind(kind, table, folder):
    """The same rows in every kind of source."""
    batches = table.to_batches(max_chunksize=70)
    return {
        "file": lambda: folder.parent / "all.parquet",
        "folder": lambda: str(folder),
        "pattern": lambda: str(folder / "part-*.parquet"),
        "paths": lambda: [folder / f"part-{k}.parquet" for k in range(5)],
        "dataset": lambda: ds.dataset(folder),
        "filtered dataset": lambda: ds.dataset(folder).filter(ds.field("row") >= 0),
        "reader": lambda: pa.RecordBatchReader.from_batches(table.schema, batches),
        "arrow": lambda: table,
        "pandas": lambda: table.to_pandas(),
        "polars": lambda: pl.from_arrow(table),
        "lazy": lambda: pl.scan_parquet(folder / "*.parquet"),
        "relation": lambda: duckdb.sql(f"SELECT * FROM '{folder}/*.parquet' ORDER BY row"),
        "list": lambda: batches,
        "function": lambda: lambda: iter(batches),
        "frames": lambda: [batch.to_pandas() for batch in batches],
    }[kind]()


KINDS = [
    *("file", "folder", "pattern", "paths", "dataset", "filtered dataset", "reader", "arrow"),
    *("pandas", "polars", "lazy", "relation", "list", "function", "frames"),
]


@pytest.mark.parametrize("kind", KINDS)
def test_any_source_gives_the_same_blocks_again_and_again(kind, table, folder):
    pq.write_table(table, folder.parent / "all.parquet")
    with open_source(of_kind(kind, table, folder)) as source:
        assert source.names == ["row", "city", "n"]
        for _ in range(2):
            next(source.blocks())  # a pass that is given up leaves no trace
            found, sizes = read(source)
            assert sizes == [100, 100, 50]
            assert found.cast(table.schema).equals(table)
        chosen, sizes = read(source, ["n", "row"])
        assert sizes == [100, 100, 50]
        assert chosen.cast(table.select(["n", "row"]).schema).equals(table.select(["n", "row"]))
        assert source.n_rows == N


def test_places_name_files_blocks_and_rows(table, folder):
    assert [b.place for b in open_source(folder).blocks()] == [
        "file 'part-0.parquet' to file 'part-1.parquet'",
        "file 'part-1.parquet' to file 'part-3.parquet'",
        "file 'part-3.parquet' to file 'part-4.parquet'",
    ]
    places = [b.place for b in open_source([table[:100], table[100:]]).blocks()]
    assert places == ["block 1", "block 2", "block 2"]
    assert [b.place for b in open_source(table).blocks()][1] == "rows 100 to 199"


def test_empty_parts_are_skipped_and_types_may_grow(table, folder):
    nothing = pa.table({"other": pa.array([], pa.int8())})
    plain = table.set_column(0, "row", table["row"].cast(pa.int32()))
    null = table.set_column(1, "city", pa.nulls(N))
    levels = table.set_column(1, "city", table["city"].dictionary_encode())
    floats = table.set_column(0, "row", table["row"].cast(pa.float64()))
    parts = [nothing, null, plain, levels, nothing, floats]
    blocks = list(open_source(parts).blocks())
    assert [b.n_rows for b in blocks] == [100, 100, 50] * 4  # a change of types ends a block
    for k, part in enumerate(parts):
        pq.write_table(part, folder / f"part-{k}.parquet")
    assert [b.n_rows for b in open_source(folder).blocks()] == [100, 100, 50] * 4
    pandas = [pd.DataFrame({"a": ["x", None]}), pd.DataFrame({"a": pd.Categorical(["x", "y"])})]
    assert [b.n_rows for b in open_source(pandas).blocks()] == [2, 2]


def test_names_of_folders_make_columns(tmp_path, table):
    for month in (2, 10):
        (tmp_path / f"month={month}").mkdir()
        pq.write_table(table, tmp_path / f"month={month}" / "rows.parquet")
    source = open_source(tmp_path)
    assert source.names == ["row", "city", "n", "month"]
    found = read(source, ["month", "row"])[0]
    assert found["month"].to_pylist() == [10] * N + [2] * N  # by path, as text
    assert read(source, ["month"])[0].equals(found.select(["month"]))
    assert "month=10" in next(source.blocks()).place


@pytest.mark.parametrize("kind", ["files", "dataset", "list"])
def test_a_column_that_changes_its_type_is_refused_by_name_and_place(kind, table, folder):
    text = table[60:120].set_column(0, "row", table["row"][60:120].cast(pa.string()))
    pq.write_table(text, folder / "part-3.parquet")
    parts = [pq.read_table(folder / f"part-{k}.parquet") for k in range(5)]
    given = {"files": lambda: folder, "dataset": lambda: ds.dataset(folder), "list": lambda: parts}
    place = "block 4" if kind == "list" else "file 'part-3.parquet'"
    with pytest.raises(
        InvalidDataError, match=f"'row' holds text in {place}, but numbers (before|by)"
    ):
        list(open_source(given[kind]()).blocks())


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (["row", "city"], r"lacks \['n'\]"),
        (["row", "n", "city"], "in another order"),
    ],
)
def test_other_columns_are_refused_by_name_and_place(columns, message, table, folder):
    pq.write_table(table.select(columns), folder / "part-3.parquet")
    with pytest.raises(InvalidDataError, match=f"File 'part-3.parquet' has other.*{message}"):
        open_source(folder)
    parts = [table, table.select(columns).to_pandas()]
    with pytest.raises(InvalidDataError, match=f"Block 2 has other.*{message}"):
        list(open_source(parts).blocks())
    with pytest.raises(InvalidDataError, match=r"no column 'cty'. Did you mean 'city'\?"):
        next(open_source(table).blocks(["cty"]))


@pytest.mark.parametrize("damage", ["cut off", "empty", "text", "page"])
def test_a_damaged_file_is_named(damage, table, folder):
    path = folder / "part-3.parquet"
    pq.write_table(table, path, compression="zstd", write_page_checksum=True)
    content = path.read_bytes()
    middle = len(content) // 4
    path.write_bytes(
        {
            "cut off": content[:-100],
            "empty": b"",
            "text": b"row,city,n\n1,Lima,0.5\n",
            "page": content[:middle] + bytes(200) + content[middle + 200 :],
        }[damage]
    )
    with pytest.raises(InvalidFileError, match=r"(?i)file 'part-3\.parquet' cannot be read"):
        list(open_source(folder).blocks())
    if damage == "page":
        with pytest.raises(InvalidFileError, match=r"The dataset \(after .*'part-.*cannot be read"):
            list(open_source(ds.dataset(folder)).blocks())
    (folder / "part-0.parquet").write_bytes(path.read_bytes())  # the one that pyarrow looks at
    with pytest.raises(
        InvalidFileError, match=r"cannot be read: .*part-0\.parquet|part-0\.parquet' can"
    ):
        list(open_source(folder).blocks())


def test_errors_of_queries_tell_after_how_many_rows_they_came(table, folder):
    content = (folder / "part-3.parquet").read_bytes()
    lazy = pl.scan_parquet(folder / "*.parquet")
    relation = duckdb.sql(f"SELECT * FROM '{folder}/*.parquet'")
    (folder / "part-3.parquet").write_bytes(content[:-100])
    for query, what in ((lazy, "lazy frame"), (relation, "relation")):
        with pytest.raises(Exception, match=r"(?i)magic bytes") as caught:
            list(open_source(query).blocks())
        assert f"from the {what}, after " in caught.value.__notes__[0]


def test_what_cannot_be_started_again_is_refused_or_noticed(table):
    with pytest.raises(UnsupportedDataError, match=r"iterator \(generator\).*only once.*function"):
        open_source(part for part in [table])
    once = iter([table])
    source = open_source(lambda: once)
    assert source.names == ["row", "city", "n"]
    with pytest.raises(InvalidDataError, match="no rows"):
        list(source.blocks())
    growing = [table]
    source = open_source(growing)
    list(source.blocks())
    growing.append(table)
    with pytest.raises(InvalidDataError, match="had 250 rows when it was read first, and 500"):
        list(source.blocks())


def test_functions_may_return_a_table_and_sources_pass_through(table, monkeypatch):
    source = open_source(lambda: table)
    assert open_source(source) is source
    assert [block.n_rows for block in source.blocks()] == [100, 100, 50]
    with pytest.raises(UnsupportedDataError, match="iterator over tables, but returned 3"):
        list(open_source(lambda: 3).blocks())
    monkeypatch.delattr(pl.LazyFrame, "collect_batches")
    with pytest.raises(UnsupportedDataError, match="collect_batches, which this version of polars"):
        open_source(pl.from_arrow(table).lazy())


def test_sources_without_rows_or_of_other_kinds_are_refused(tmp_path, table):
    pq.write_table(table[:0], tmp_path / "none.parquet")
    for empty in (tmp_path, ds.dataset(tmp_path), table[:0], [], [table[:0]], lambda: iter(())):
        with pytest.raises(InvalidDataError, match="has no rows"):
            list(open_source(empty).blocks())
    with pytest.raises(FileNotFoundError, match=r"no file or folder .*nowhere'.*Parquet"):
        open_source(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match=r"matches the pattern '.*no-"):
        open_source(str(tmp_path / "no-*.parquet"))
    (tmp_path / "rows.csv").write_text("city,fare\nOslo,4.5\n")
    with pytest.raises(InvalidFileError, match=r"rows\.csv.* For CSV files, give pyarrow\.dataset"):
        open_source(tmp_path / "rows.csv")
    (read,) = open_source(ds.dataset(tmp_path / "rows.csv", format="csv")).blocks()
    assert read.frame.to_pylist() == [{"city": "Oslo", "fare": 4.5}]
    (tmp_path / "folder").mkdir()
    with pytest.raises(InvalidDataError, match="has no Parquet files"):
        open_source(tmp_path / "folder")
    with pytest.raises(UnsupportedDataError, match="type int cannot be read; give a Parquet"):
        open_source(3)
    with pytest.raises(UnsupportedDataError, match="block 1 is of type list"):
        list(open_source([[1, 2], [3, 4]]).blocks())
    with pytest.raises(InvalidDataError, match="block 1 repeats a column name"):
        list(open_source([pa.table([[1], [2]], names=["a", "a"])]).blocks())


def test_a_reader_is_copied_once_and_the_copy_removed(tmp_path, table):
    served = []

    def batches():
        for k in range(3):
            served.append(k)
            yield table[100 * k : 100 * k + 100].to_batches()[0]

    reader = pa.RecordBatchReader.from_batches(table.schema, batches())
    with open_source(reader, spill_dir=tmp_path) as source:
        assert source.names == ["row", "city", "n"]
        assert source.n_rows is None
        list(source.blocks())
        list(source.blocks())
        assert served == [0, 1, 2]
        assert len(os.listdir(tmp_path)) == 1
    assert os.listdir(tmp_path) == []
    dropped = open_source(table.to_reader(), spill_dir=tmp_path)
    list(dropped.blocks())
    del dropped
    assert os.listdir(tmp_path) == []


def test_a_reader_that_fails_is_never_taken_for_whole(tmp_path, table):
    def batches():
        yield table.to_batches()[0]
        raise ValueError("the network is down")

    source = open_source(
        pa.RecordBatchReader.from_batches(table.schema, batches()), spill_dir=tmp_path
    )
    with pytest.raises(ValueError, match="network is down"):
        list(source.blocks())
    with pytest.raises(InvalidDataError, match="has failed before"):
        list(source.blocks())
    source.close()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Needs a device that is always full.")
def test_a_full_disk_names_the_folder_and_the_parameter(tmp_path, table):
    source = open_source(table.to_reader(), spill_dir=tmp_path)
    os.symlink("/dev/full", next(tmp_path.iterdir()) / "rows.parquet")
    with pytest.raises(OSError, match="No space left") as caught:
        list(source.blocks())
    assert "spill_dir" in caught.value.__notes__[0]
    assert str(tmp_path) in caught.value.__notes__[0]
