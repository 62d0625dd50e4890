"""Temporary folders: removed at the end, and those of killed processes by the next one."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pyarrow as pa

from sk_entity_embed.input.folders import FOLDER, TemporaryFolder
from sk_entity_embed.input.sources import open_source

KILLED = """
import os, signal, sys
import pyarrow as pa
from sk_entity_embed.input.sources import open_source
source = open_source(pa.table({"a": [1]}).to_reader(), spill_dir=sys.argv[1])
next(source.blocks())
os.kill(os.getpid(), signal.SIGKILL)
"""


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def make_old(folder):
    then = time.time() - 3600
    for path in folder.glob(f"{FOLDER}*"):
        os.utime(path, (then, then))


def test_what_a_killed_process_leaves_is_removed_by_the_next(tmp_path):
    (tmp_path / "other").mkdir()
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
    (left,) = tmp_path.glob(f"{FOLDER}*")
    assert (left / "rows.parquet").exists()
    new = tmp_path / f"{FOLDER}new"
    new.mkdir()
    with TemporaryFolder(tmp_path):
        assert not left.exists()
        assert new.exists()  # one that is new may be about to be locked
    make_old(tmp_path)
    with TemporaryFolder(tmp_path) as mine:
        assert names(tmp_path) == sorted(["other", mine.path.name])
        make_old(tmp_path)
        with TemporaryFolder(tmp_path) as second:  # the first one is in use
            assert names(tmp_path) == sorted(["other", mine.path.name, second.path.name])
    assert names(tmp_path) == ["other"]


def test_a_source_removes_its_copy(tmp_path):
    with open_source(pa.table({"a": [1]}).to_reader(), spill_dir=tmp_path) as source:
        assert [block.n_rows for block in source.blocks()] == [1]
        assert len(names(tmp_path)) == 1
    assert names(tmp_path) == []
