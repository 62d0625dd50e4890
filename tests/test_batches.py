"""``transform_batches``: the bits of ``transform``, in files that are whole, after any stop."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sk_entity_embed import (
    EntityEmbeddingClassifier,
    EntityEmbeddingEncoder,
    _batches,
    export,
)
from sk_entity_embed.exceptions import (
    InvalidDataError,
    InvalidFileError,
    InvalidParameterError,
    UnknownCategoriesWarning,
)
from sk_entity_embed.input import sources
from sk_entity_embed.model.fingerprint import fingerprint

resource = pytest.importorskip("resource")  # of Unix

N = 1000


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(0)
    words = [rng.choice(["a", "b", "c"], rng.integers(0, 4)).tolist() for _ in range(N)]
    frame = pd.DataFrame({"id": np.arange(N), "words": words})
    frame["city"] = rng.choice(["Lima", "Oslo", "Rome", None], N)
    frame["n"] = rng.standard_normal(N)
    return frame


@pytest.fixture(scope="module")
def encoder(frame):
    y = frame["n"] + (frame["city"] == "Oslo")
    settings = {"max_iter": 1, "cv": 2, "random_state": 0, "hidden_layer_sizes": (4,)}
    encoder = EntityEmbeddingEncoder(output="both", remainder="passthrough", **settings)
    return encoder.fit(frame[["n", "words", "city"]], y)


@pytest.fixture
def small(monkeypatch):
    """Blocks of 300 rows, made 100 at a time."""
    monkeypatch.setattr(sources, "BLOCK_ROWS", 300)
    monkeypatch.setattr(_batches, "_ALIGNED", 100)
    monkeypatch.setattr(_batches, "_NUMBERS", 1)


def expected(encoder, frame):
    return encoder.transform(frame[["n", "words", "city"]])


def numbers(table, encoder):
    columns = [table[name] for name in encoder.get_feature_names_out()]
    assert {column.type for column in columns} == {pa.float32()}
    return np.column_stack([column.to_numpy() for column in columns])


@pytest.mark.parametrize("kind", ["pandas", "file", "polars", "reader", "generator"])
def test_the_files_have_the_bits_of_transform(kind, encoder, frame, tmp_path, small):
    table = pa.table(frame[["city", "id", "words", "n"]])
    pq.write_table(table, tmp_path / "rows.parquet")
    batches = table.to_batches(max_chunksize=170)
    source = {
        "pandas": frame,
        "file": tmp_path / "rows.parquet",
        "polars": pl.from_arrow(table),
        "reader": pa.RecordBatchReader.from_batches(table.schema, batches),
        "generator": (batch for batch in batches),
    }[kind]
    folder = tmp_path / "new" / "vectors"
    assert (
        encoder.transform_batches(source, folder, keep=["id", "city"], rows_a_file=np.int64(270))
        == folder
    )
    assert sorted(os.listdir(folder)) == [f"part-0000{k}.parquet" for k in range(4)]
    written = pq.read_table(folder)
    assert written.column_names == ["id", "city", *encoder.get_feature_names_out()]
    assert written["id"].to_pylist() == list(range(N))
    assert written["city"].to_pylist() == table["city"].to_pylist()
    np.testing.assert_array_equal(numbers(written, encoder), expected(encoder, frame))
    rows = [pq.read_metadata(folder / name).num_rows for name in sorted(os.listdir(folder))]
    assert rows == [270, 270, 270, 190]


def test_predictors_write_batches_too(frame, tmp_path):
    X = frame[["city", "n"]]
    model = EntityEmbeddingClassifier(max_iter=1, cv=2, random_state=0).fit(X, frame["n"] > 0)
    folder = model.transform_batches(frame, tmp_path / "vectors", keep="id")
    written = pq.read_table(folder).to_pandas()
    np.testing.assert_array_equal(written.pop("id"), frame["id"])
    np.testing.assert_array_equal(written.to_numpy(), model.transform(X))


STOPPED = """
import os, pickle, sys, time
import pandas as pd
from sk_entity_embed import _batches
encoder, frame = pickle.load(open(sys.argv[1], "rb"))

def blocks():
    for k in range(10):
        if k == 7:
            print("waiting", flush=True)
            time.sleep(60)
        yield frame[100 * k : 100 * k + 100]

encoder.transform_batches(blocks(), sys.argv[2], keep=["id"], rows_a_file=250)
"""


def test_a_killed_run_leaves_whole_files_and_goes_on(encoder, frame, tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "BLOCK_ROWS", 100)
    (tmp_path / "both").write_bytes(pickle.dumps((encoder, frame)))
    folder = tmp_path / "vectors"
    code = "from sk_entity_embed.input import sources\nsources.BLOCK_ROWS = 100\n" + STOPPED
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    process = subprocess.Popen(
        [sys.executable, "-c", code, tmp_path / "both", folder],
        env=environment,
        stdout=subprocess.PIPE,
    )
    with process:
        assert process.stdout.readline() == b"waiting\n"
        time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
    names = sorted(os.listdir(folder))
    assert len(names) == 3  # two parts, and half of one
    assert names[0].startswith(".part-00002.parquet-")
    whole = {name: os.stat(folder / name).st_mtime_ns for name in names[1:]}
    assert [pq.read_metadata(folder / name).num_rows for name in whole] == [250, 250]
    encoder.transform_batches(frame, folder, keep=["id"], rows_a_file=250)
    assert sorted(os.listdir(folder)) == [f"part-0000{k}.parquet" for k in range(4)]
    assert {name: os.stat(folder / name).st_mtime_ns for name in whole} == whole
    written = pq.read_table(folder)
    assert written["id"].to_pylist() == list(range(N))
    np.testing.assert_array_equal(numbers(written, encoder), expected(encoder, frame))


def test_parts_of_something_else_are_refused_and_left(encoder, frame, tmp_path, small):
    folder = tmp_path / "vectors"

    def run(frame=frame, encoder=encoder, **changes):
        given = {"keep": ["id"], "rows_a_file": 250, **changes}
        return encoder.transform_batches(frame, folder, **given)

    run()
    content = {name: (folder / name).read_bytes() for name in os.listdir(folder)}
    other = EntityEmbeddingEncoder(max_iter=1, cv=2, random_state=1)
    other.fit(frame[["n", "words", "city"]], frame["n"])
    with pytest.raises(InvalidFileError, match=r"part-00000.*with another model, other output"):
        run(encoder=other)
    with pytest.raises(InvalidFileError, match=r"with another `keep`;"):
        run(keep=[])
    with pytest.raises(InvalidFileError, match=r"with another `rows_a_file`;"):
        run(rows_a_file=300)
    moved = frame.assign(city=frame["city"].where(frame.index != 600, "Quito"))
    with pytest.raises(InvalidDataError, match=r"part-00002.*holds vectors of other rows"):
        run(moved)
    with pytest.raises(InvalidDataError, match=r"part-00001.*holds vectors of other rows"):
        run(frame.assign(id=frame["id"].where(frame.index != 300, -1)))
    with pytest.raises(InvalidDataError, match=r"part-00003.*holds vectors of other rows"):
        run(pd.concat([frame[:-1]]))
    with pytest.raises(InvalidDataError, match=r"has 4 files, but the source has rows for 3"):
        run(frame[:750])
    assert {name: (folder / name).read_bytes() for name in os.listdir(folder)} == content

    (folder / "part-00001.parquet").write_bytes(content["part-00001.parquet"][:-9])
    with pytest.raises(InvalidFileError, match=r"part-00001.*remove the file and repeat the call"):
        run()
    (folder / "part-00001.parquet").unlink()
    run()
    assert {name: (folder / name).read_bytes() for name in os.listdir(folder)} == content
    pq.write_table(pa.table({"a": [1]}), folder / "other.parquet")
    with pytest.raises(InvalidFileError, match=r"other.parquet' was not written by transform_b"):
        run()


def test_vectors_out_of_fold_are_never_taken_for_others(frame, tmp_path):
    settings = {"max_iter": 1, "cv": 2, "random_state": 0}
    encoder = EntityEmbeddingEncoder(["city"], **settings)
    rows, target = frame[["city", "n", "id"]], {"y": "n", "keep": ["id"]}
    encoder.fit_transform_batches(rows, tmp_path / "vectors", **target)
    with pytest.raises(InvalidFileError, match="with what another method gives;"):
        encoder.transform_batches(rows, tmp_path / "vectors", keep=["id"])
    encoder.transform_batches(rows, tmp_path / "others", keep=["id"])
    with pytest.raises(InvalidFileError, match="with what another method gives;"):
        encoder.fit_transform_batches(rows, tmp_path / "others", **target)


def test_bad_rows_name_their_place_and_write_no_half_part(encoder, frame, tmp_path, small):
    folder = tmp_path / "vectors"
    blocks = [frame[:300], frame[300:600].assign(n=np.inf), frame[600:]]
    with pytest.raises(InvalidDataError, match=r"Block 2: .*'n'.*infinit"):
        encoder.transform_batches(blocks, folder, rows_a_file=250)
    assert os.listdir(folder) == ["part-00000.parquet"]
    blocks = [frame[:300], frame[300:].assign(id="x")]
    with pytest.raises(InvalidDataError, match="'id' holds text in block 2, but numbers"):
        encoder.transform_batches(blocks, tmp_path / "ids", keep=["id"])
    assert os.listdir(tmp_path / "ids") == []
    blocks = [frame[:300], frame[300:].assign(id=0.5)]
    with pytest.raises(InvalidDataError, match=r"Block 2: column 'id' of `keep` is of type double"):
        encoder.transform_batches(blocks, tmp_path / "ids", keep=["id"])
    with pytest.raises(InvalidDataError, match=r"columns of fit: The source has no column 'city'"):
        encoder.transform_batches(frame.drop(columns="city"), tmp_path / "none")
    with pytest.raises(InvalidDataError, match="`keep`: The source has no column 'key'"):
        encoder.transform_batches(frame, tmp_path / "none", keep=["key"])
    with pytest.raises(InvalidParameterError, match="`keep` names the column 'n', but an output"):
        encoder.transform_batches(frame, tmp_path / "none", keep=["n"])
    with pytest.raises(InvalidParameterError, match="`keep` names a column twice"):
        encoder.transform_batches(frame, tmp_path / "none", keep=["id", "id"])
    with pytest.raises(InvalidParameterError, match="`rows_a_file` must be a positive integer"):
        encoder.transform_batches(frame, tmp_path / "none", rows_a_file=0)
    with pytest.raises(InvalidParameterError, match="`compression`"):
        encoder.transform_batches(frame, tmp_path / "none", compression="zip")
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError, match="has to be a folder"):
        encoder.transform_batches(frame, tmp_path / "file")
    nameless = EntityEmbeddingEncoder(max_iter=1, cv=2, random_state=0)
    nameless.fit(frame[["city"]].to_numpy(), frame["n"])
    with pytest.raises(InvalidParameterError, match="fit with a data frame"):
        nameless.transform_batches(frame, tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_a_folder_of_rows_gets_no_vectors(encoder, frame, tmp_path):
    pq.write_table(pa.table(frame), tmp_path / "rows.parquet")
    for place in (tmp_path, tmp_path / "vectors"):
        with pytest.raises(InvalidParameterError, match="is inside the folder"):
            encoder.transform_batches(tmp_path, place)
    with pytest.raises(InvalidFileError, match="was not written by transform_batches"):
        encoder.transform_batches(frame, tmp_path)


def test_a_full_disk_leaves_no_half_file(encoder, frame, tmp_path):
    whole = encoder.transform_batches(frame, tmp_path / "whole") / "part-00000.parquet"
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (whole.stat().st_size // 2, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            encoder.transform_batches(frame, tmp_path / "vectors")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    assert os.listdir(tmp_path / "vectors") == []
    encoder.transform_batches(frame, tmp_path / "vectors")
    assert (tmp_path / "vectors" / "part-00000.parquet").read_bytes() == whole.read_bytes()


def test_unknown_categories_are_told_once(encoder, frame, tmp_path, small):
    with pytest.warns(UnknownCategoriesWarning) as caught:
        encoder.transform_batches(frame.assign(city="Quito"), tmp_path / "vectors")
    assert len(caught) == 1


def test_the_progress_line_has_rows_a_second_and_time_left(frame, tmp_path, capsys):
    X = frame[["city"]]
    encoder = EntityEmbeddingEncoder(max_iter=1, cv=2, random_state=0).fit(X, frame["n"])
    encoder.transform_batches(frame, tmp_path / "silent")
    assert capsys.readouterr().err == ""
    encoder.set_params(verbose=1).transform_batches(frame, tmp_path / "told")
    last = capsys.readouterr().err.split("\r")[-1]
    assert "vectors: 100%" in last
    assert "1.00k/1.00k" in last
    assert "rows/s" in last


def test_fingerprints_are_of_answers(encoder, frame, tmp_path):
    mark = fingerprint(encoder._model)
    encoder.transform(frame[["n", "words", "city"]])
    assert fingerprint(encoder._model) == mark
    assert fingerprint(pickle.loads(pickle.dumps(encoder))._model) == mark
    export.save(encoder, tmp_path / "saved")
    code = (
        "import sys; from sk_entity_embed.export import load; "
        "from sk_entity_embed.model.fingerprint import fingerprint; "
        "print(fingerprint(load(sys.argv[1])._model), end='')"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    command = [sys.executable, "-c", code, tmp_path / "saved"]
    assert subprocess.check_output(command, text=True, env=environment) == mark
    assert fingerprint(encoder._model.with_unknown("zero")) != mark

    objects = [frozenset({"a", "b"}), ("a", 1), 1.5, "\ud800"] * 25
    X = pd.DataFrame({"mixed": pd.Series(objects, dtype=object)})
    other = EntityEmbeddingEncoder(max_iter=1, cv=2, random_state=0).fit(X, np.arange(100) + 0.5)
    again = pickle.loads(pickle.dumps(other))
    assert fingerprint(again._model) == fingerprint(other._model) != mark
