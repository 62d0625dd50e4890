"""Files that are whole or not there."""

from __future__ import annotations

import os
import stat

import pytest

from sk_entity_embed import _writing
from sk_entity_embed._writing import write_whole


def put(file):
    file.write(b"all of it")


def full(*_):
    raise OSError("No space left on device")


def interrupt(*_):
    raise KeyboardInterrupt


@pytest.mark.parametrize("step", ["fsync", "replace", "interrupt", "write"])
@pytest.mark.parametrize("there", [True, False])
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, step, there):
    path = tmp_path / "file"
    if there:
        path.write_bytes(b"before")
    if step in ("fsync", "interrupt"):
        monkeypatch.setattr(os, "fsync", full if step == "fsync" else interrupt)
    elif step == "replace":
        monkeypatch.setattr(os, "replace", full)
    else:
        opened = open

        def short(file, mode="r", *args, **kwargs):
            found = opened(file, mode, *args, **kwargs)
            if "x" in mode:
                found.write(b"half of i")
                found.close()
            return found

        monkeypatch.setattr(_writing, "open", short, raising=False)
    error = {"interrupt": KeyboardInterrupt, "write": ValueError}.get(step, OSError)
    with pytest.raises(error):
        write_whole(path, put)
    assert [p.name for p in tmp_path.iterdir()] == (["file"] if there else [])
    assert not there or path.read_bytes() == b"before"


def test_the_file_is_synced_before_it_takes_its_name_and_the_folder_after(tmp_path, monkeypatch):
    steps, fsync, replace = [], os.fsync, os.replace

    def note_sync(descriptor):
        steps.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        fsync(descriptor)

    def note_replace(*paths):
        steps.append("replace")
        replace(*paths)

    monkeypatch.setattr(os, "fsync", note_sync)
    monkeypatch.setattr(os, "replace", note_replace)
    write_whole(tmp_path / "file", put)
    assert steps == ["file", "replace", "folder"]


def test_folders_that_cannot_be_synced_do_no_harm(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "open", full)
    write_whole(tmp_path / "file", put)
    assert (tmp_path / "file").read_bytes() == b"all of it"


def test_an_existing_file_keeps_its_permissions_and_links_stay(tmp_path):
    path, link = tmp_path / "file", tmp_path / "link"
    path.write_bytes(b"before")
    path.chmod(0o640)
    link.symlink_to(path)
    write_whole(link, put)
    assert link.is_symlink()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert path.read_bytes() == b"all of it"


def test_a_new_file_has_the_permissions_of_any_other(tmp_path):
    (tmp_path / "other").write_bytes(b"")
    write_whole(tmp_path / "file", put)
    modes = {stat.S_IMODE((tmp_path / n).stat().st_mode) for n in ("file", "other")}
    assert len(modes) == 1


def test_folders_are_neither_made_nor_replaced(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such folder"):
        write_whole(tmp_path / "nothing" / "file", put)
    with pytest.raises(IsADirectoryError):
        write_whole(tmp_path, put)
    assert list(tmp_path.iterdir()) == []
