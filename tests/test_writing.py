"""Files that are whole or not there, alone and as a set."""

from __future__ import annotations

import os
import stat
import subprocess
import sys

import pytest

from sk_entity_embed import _writing
from sk_entity_embed._writing import write_set, write_whole

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="processes are forked and killed")


def put(file):
    file.write(b"all of it")


def put_half(file):
    file.write(b"half of i")
    raise OSError("No space left on device")


def full(*_):
    raise OSError("No space left on device")


def interrupt(*_):
    raise KeyboardInterrupt


def contents(folder):
    """All files below a folder."""
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()
    }


@pytest.fixture
def pair(tmp_path):
    """Two files that are there before."""
    (tmp_path / "a").write_bytes(b"old a")
    (tmp_path / "b").write_bytes(b"old b")
    return tmp_path / "a", tmp_path / "b"


@pytest.mark.parametrize("step", ["write", "fsync", "interrupt", "replace"])
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, step):
    path = tmp_path / "file"
    path.write_bytes(b"before")
    if step in ("fsync", "interrupt"):
        monkeypatch.setattr(os, "fsync", full if step == "fsync" else interrupt)
    elif step == "replace":
        monkeypatch.setattr(os, "replace", full)
    with pytest.raises(KeyboardInterrupt if step == "interrupt" else OSError):
        write_whole(path, put_half if step == "write" else put)
    assert contents(tmp_path) == {"file": b"before"}


def fail_at(monkeypatch, name, call, raised, *, after=False):
    """Let one call of a function of `os` fail, before or after it has done its work."""
    original, calls = getattr(os, name), []

    def counted(*args, **kwargs):
        calls.append(args)
        if len(calls) == call and not after:
            raise raised
        original(*args, **kwargs)
        if len(calls) == call and after:
            raise raised

    monkeypatch.setattr(os, name, counted)


FULL, STOP = OSError("No space left on device"), KeyboardInterrupt()


@pytest.mark.parametrize(
    ("name", "call", "after", "raised"),
    [
        ("replace", 1, False, FULL),
        ("replace", 2, True, STOP),
        ("replace", 3, False, STOP),
        ("replace", 3, True, FULL),
        ("fsync", 1, False, FULL),
        ("fsync", 3, True, STOP),
        ("fsync", 4, True, STOP),  # of a folder, when all files have their names
    ],
)
@pytest.mark.parametrize("there", ["a in/b", ""])
def test_a_set_changes_as_a_set(tmp_path, monkeypatch, name, call, after, raised, there):
    before = {path: f"old {path}".encode() for path in there.split()}
    for path, content in before.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(content)
    files = {tmp_path / path: put for path in ("a", "in/b", "c")}
    with monkeypatch.context() as patch:
        fail_at(patch, name, call, raised, after=after)
        with pytest.raises(type(raised)):
            write_set(files, make_folders=True)
    assert contents(tmp_path) == before
    assert (tmp_path / "in").exists() == ("in/b" in before)
    write_set(files, make_folders=True)
    assert contents(tmp_path) == dict.fromkeys(["a", "in/b", "c"], b"all of it")


def test_where_there_are_no_hard_links_old_files_are_copied(tmp_path, pair, monkeypatch):
    a, b = pair
    monkeypatch.setattr(os, "link", full)
    with monkeypatch.context() as patch:
        fail_at(patch, "replace", 2, OSError("No space left on device"))
        with pytest.raises(OSError, match="No space"):
            write_set({a: put, b: put})
    assert contents(tmp_path) == {"a": b"old a", "b": b"old b"}
    write_set({a: put, b: put})
    assert contents(tmp_path) == {"a": b"all of it", "b": b"all of it"}


def test_what_cannot_be_put_back_is_kept_and_named(tmp_path, pair, monkeypatch):
    a, b = pair
    replace, calls = os.replace, []

    def failing(*paths):
        calls.append(paths)
        return replace(*paths) if len(calls) == 1 else full()

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", failing)
        with pytest.raises(OSError, match="No space") as found:
            write_set({a: put, b: put})
    (note,) = found.value.__notes__
    (old,) = tmp_path.glob(".*.old")
    assert repr(str(a)) in note
    assert repr(str(old)) in note
    assert contents(tmp_path) == {"a": b"all of it", "b": b"old b", old.name: b"old a"}


def test_an_interrupt_while_files_are_put_back_loses_none(tmp_path, pair, monkeypatch):
    a, b = pair
    replace, calls = os.replace, []

    def interrupted(*paths):
        calls.append(paths)
        return interrupt() if len(calls) in (3, 4) else replace(*paths)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", interrupted)  # two in place, none put back
        patch.setattr(_writing, "_sync_folder", interrupt)
        with pytest.raises(KeyboardInterrupt):
            write_set({a: put, b: put})
    assert sorted(p.read_bytes() for p in tmp_path.glob(".*.old")) == [b"old a", b"old b"]


def test_paths_of_a_set_are_different_files(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "file")
    with pytest.raises(ValueError, match="are the same file"):
        write_set({tmp_path / "link": put, tmp_path / "file": put})
    assert not (tmp_path / "file").exists()
    write_set({})


KILLED = """
import os, signal, sys
from pathlib import Path
from sk_entity_embed._writing import write_set

folder, seen, point = Path(sys.argv[1]), 0, 0

def put(name):
    return lambda file: file.write(name)

def kill(event, args):
    # Each time something is about to be done to the files.
    global seen
    if event in ("open", "os.rename", "os.remove", "os.link", "os.mkdir"):
        seen += 1
        if seen > point:
            os.kill(os.getpid(), signal.SIGKILL)

names = ("a", "in/b", "c")

def write(content):
    write_set({folder / name: put(content) for name in names}, make_folders=True)

write(b"old")
while True:
    child = os.fork()
    if child == 0:
        sys.addaudithook(kill)
        write(b"new")
        os._exit(0)
    if os.waitpid(child, 0)[1] == 0:
        break
    found = {name: (folder / name).read_bytes() for name in names}
    kept = [p.read_bytes() for p in folder.rglob("*.old")]
    assert all(content in (b"old", b"new") for content in found.values()), (point, found)
    assert len(set(found.values())) == 1 or b"old" in kept, (point, found)
    write(b"old")
    assert all((folder / name).read_bytes() == b"old" for name in names), point
    point += 1
print(point)
"""


@POSIX
def test_every_file_is_whole_wherever_a_writer_is_killed(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path)], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 12  # points at which it was killed


def test_hidden_files_tell_what_they_are_of_and_have_room_for_it(tmp_path):
    name = "é" * 120  # 240 of 255 bytes

    def put_and_look(file):
        (hidden,) = tmp_path.iterdir()
        assert hidden.name.startswith(".ééé")
        assert hidden.suffix == ".new"
        put(file)

    write_whole(tmp_path / name, put_and_look)
    assert contents(tmp_path) == {name: b"all of it"}


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
    monkeypatch.setattr(os, "open", full)  # where folders cannot be synced
    write_whole(tmp_path / "file", put)
    assert steps[3:] == ["file", "replace"]


def test_an_existing_file_keeps_its_permissions_and_links_stay(tmp_path):
    path, link = tmp_path / "file", tmp_path / "link"
    path.write_bytes(b"before")
    path.chmod(0o640)
    link.symlink_to(path)
    write_whole(link, put)
    assert link.is_symlink()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert path.read_bytes() == b"all of it"
    (tmp_path / "other").write_bytes(b"")  # a new file has the permissions of any other
    write_whole(tmp_path / "new", put)
    modes = {stat.S_IMODE((tmp_path / n).stat().st_mode) for n in ("new", "other")}
    assert len(modes) == 1


def test_folders_are_neither_made_nor_replaced(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such folder"):
        write_whole(tmp_path / "nothing" / "file", put)
    with pytest.raises(IsADirectoryError):
        write_whole(tmp_path, put)
    (tmp_path / "other").write_bytes(b"")
    for make_folders in (True, False):
        with pytest.raises(NotADirectoryError):
            write_set({tmp_path / "other" / "file": put}, make_folders=make_folders)
    (tmp_path / "other").unlink()
    assert list(tmp_path.iterdir()) == []
