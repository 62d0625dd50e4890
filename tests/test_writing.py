"""Files that are whole or not there, alone and as a set, and what killed writers leave."""

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


@pytest.mark.parametrize("step", ["write", "fsync", "interrupt", "replace"])
@pytest.mark.parametrize("there", [True, False])
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, step, there):
    path = tmp_path / "file"
    if there:
        path.write_bytes(b"before")
    if step in ("fsync", "interrupt"):
        monkeypatch.setattr(os, "fsync", full if step == "fsync" else interrupt)
    elif step == "replace":
        monkeypatch.setattr(os, "replace", full)
    with pytest.raises(KeyboardInterrupt if step == "interrupt" else OSError):
        write_whole(path, put_half if step == "write" else put)
    assert contents(tmp_path) == ({"file": b"before"} if there else {})


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


@pytest.mark.parametrize("raised", [OSError("No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("call", [1, 2, 3])
@pytest.mark.parametrize("name", ["replace", "fsync"])
@pytest.mark.parametrize("there", ["a in/b c", "a c", "in/b", ""])
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


def test_where_there_are_no_hard_links_old_files_are_copied(tmp_path, monkeypatch):
    a, b = tmp_path / "a", tmp_path / "b"
    a.write_bytes(b"old a")
    b.write_bytes(b"old b")
    monkeypatch.setattr(os, "link", full)
    with monkeypatch.context() as patch:
        fail_at(patch, "replace", 2, OSError("No space left on device"))
        with pytest.raises(OSError, match="No space"):
            write_set({a: put, b: put})
    assert contents(tmp_path) == {"a": b"old a", "b": b"old b"}
    write_set({a: put, b: put})
    assert contents(tmp_path) == {"a": b"all of it", "b": b"all of it"}


def test_what_cannot_be_put_back_is_kept_and_named(tmp_path, monkeypatch):
    a, b = tmp_path / "a", tmp_path / "b"
    a.write_bytes(b"old a")
    b.write_bytes(b"old b")
    replace, calls = os.replace, []

    def failing(*paths):
        calls.append(paths)
        return replace(*paths) if len(calls) == 1 else full()

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", failing)
        with pytest.raises(OSError, match="No space") as found:
            write_set({a: put, b: put})
    (note,) = found.value.__notes__
    (old,) = tmp_path.glob("*.old")
    assert repr(str(a)) in note
    assert repr(str(old)) in note
    assert (a.read_bytes(), old.read_bytes(), b.read_bytes()) == (b"all of it", b"old a", b"old b")
    write_whole(b, put)  # does not replace a, whose old file stays
    assert old.read_bytes() == b"old a"
    write_set({a: put, b: put})
    assert contents(tmp_path) == {"a": b"all of it", "b": b"all of it"}


def test_an_interrupt_while_files_are_put_back_loses_none(tmp_path, monkeypatch):
    a, b = tmp_path / "a", tmp_path / "b"
    a.write_bytes(b"old a")
    b.write_bytes(b"old b")
    with monkeypatch.context() as patch:
        fail_at(patch, "replace", 2, KeyboardInterrupt())
        patch.setattr(_writing._Step, "undo", interrupt)
        with pytest.raises(KeyboardInterrupt):
            write_set({a: put, b: put})
    assert {p.read_bytes() for p in tmp_path.glob("*.old")} == {b"old a", b"old b"}
    write_set({a: put, b: put})
    assert contents(tmp_path) == {"a": b"all of it", "b": b"all of it"}


def test_paths_of_a_set_are_different_files(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "file")
    with pytest.raises(ValueError, match="lead to one file"):
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
    if event in ("open", "os.rename", "os.remove", "os.link", "os.mkdir", "fcntl.flock"):
        seen += 1
        if seen > point:
            os.kill(os.getpid(), signal.SIGKILL)

def write(content):
    write_set({folder / "a": put(content), folder / "in" / "b": put(content),
               folder / "c": put(content)}, make_folders=True)

write(b"old")
while True:
    child = os.fork()
    if child == 0:
        sys.addaudithook(kill)
        write(b"new")
        os._exit(0)
    if os.waitpid(child, 0)[1] == 0:
        break
    for name in ("a", "in/b", "c"):
        assert (folder / name).read_bytes() in (b"old", b"new"), (point, name)
    write(b"old")
    found = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*"))
    assert found == ["a", "c", "in", "in/b"], (point, found)
    point += 1
print(point)
"""


@POSIX
def test_what_a_killed_writer_leaves_is_cleared_wherever_it_was_killed(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path)], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 15  # points at which it was killed


SLOW = """
import sys
from pathlib import Path
from sk_entity_embed._writing import write_whole

def put(file):
    file.write(b"begun")
    file.flush()
    print("writing", flush=True)
    sys.stdin.read()

write_whole(Path(sys.argv[1]), put)
"""


@POSIX
def test_the_unfinished_file_of_a_live_writer_is_left_alone(tmp_path):
    path = tmp_path / "file"
    command = [sys.executable, "-c", SLOW, str(path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as live, subprocess.Popen(command, **pipes) as killed:
        assert live.stdout.readline() == killed.stdout.readline() == "writing\n"
        assert len(list(tmp_path.glob(".*.new"))) == 2
        killed.kill()
        killed.wait()
        write_whole(path, put)
        (unfinished,) = tmp_path.glob(".*.new")
        assert unfinished.read_bytes() == b"begun"
        live.communicate(timeout=60)
    assert live.returncode == 0
    assert contents(tmp_path) == {"file": b"begun"}


def test_files_that_merely_look_alike_stay(tmp_path):
    token = "0123456789abcdef"
    names = [f".{token}-0.new", f".{token}-0.old", f".{token}-{token}.writing", f".{token}.tmp"]
    for name in names:
        (tmp_path / name).write_bytes(b"file\0")
    own = tmp_path / f".{token}-{_writing._checksum(token)}.writing"
    own.mkdir()  # not even the right name is enough
    write_whole(tmp_path / "file", put)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([*names, own.name, "file"])


def test_leftovers_of_another_computer_stay(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(_writing, "node", lambda: "another")
        token, journal, file = _writing._open_journal(tmp_path)
    file.write(b"file\0")
    file.close()
    (tmp_path / f".{token}-0.new").write_bytes(b"half")
    write_whole(tmp_path / "file", put)
    assert journal.exists()
    assert (tmp_path / f".{token}-0.new").exists()


def test_a_journal_that_was_taken_for_a_leftover_is_replaced(tmp_path, monkeypatch):
    answers = iter([False, True])
    monkeypatch.setattr(_writing, "_lock", lambda _: next(answers))
    write_whole(tmp_path / "file", put)
    assert contents(tmp_path) == {"file": b"all of it"}


def test_locks_that_cannot_be_had_are_not_needed_to_write(tmp_path, monkeypatch):
    monkeypatch.setattr(_writing, "_lock", full)
    write_whole(tmp_path / "file", put)
    assert contents(tmp_path) == {"file": b"all of it"}


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
    assert steps == ["file", "file", "replace", "folder"]  # first, the journal


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
    (tmp_path / "other").write_bytes(b"")
    for make_folders in (True, False):
        with pytest.raises(NotADirectoryError):
            write_set({tmp_path / "other" / "file": put}, make_folders=make_folders)
    (tmp_path / "other").unlink()
    assert list(tmp_path.iterdir()) == []
