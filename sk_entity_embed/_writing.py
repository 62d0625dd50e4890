"""Files that are whole or not there, alone or as a set.

New files are written beside their places, synced, and then renamed. While that goes on, hidden
files lie there: ``.TOKEN-0.new`` will be the first file of the set, ``.TOKEN-0.old`` is what it
was before, and ``.TOKEN-CHECK.writing``, the journal, lists the files of the set.

A writer holds a lock on its journal. The system drops the lock when the process ends, however it
ends, so a journal that can be locked belongs to a writer that is gone, and what it lists can be
cleared. The number of a process would prove less: another process may have it by now, and it
means nothing in another container that shares the folder.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import stat
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from platform import node
from typing import IO, Any, TypeAlias

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

Write: TypeAlias = Callable[[IO[bytes]], Any]

_JOURNAL = re.compile(r"\.([0-9a-f]{16})-([0-9a-f]{16})\.writing")


def write_whole(path: str | os.PathLike[str], write: Write) -> None:
    """Write a file beside its place, then put it there.

    Parameters
    ----------
    path : str or path-like
        Where to; a link is followed. What is there is replaced and hands on its permissions.
    write : callable
        Gets a binary file to write to. If it raises, the old file stays as it was.

    Raises
    ------
    OSError
        If the folder is not there, a folder is in the way or the file cannot be written.
    """
    write_set({Path(path): write})


def write_set(files: Mapping[Path, Write], *, make_folders: bool = False) -> None:
    """Write several files beside their places, then put all of them there.

    After an error, all old files are back and folders that were made are gone. A reader may still
    see some old and some new files while they are renamed. If the process is killed at that
    moment, they stay so: every file is whole, the old ones that were replaced are kept under their
    hidden names, and writing the set again completes it.

    After a success, what killed writers have left beside the last file is cleared: all their
    unfinished files, and the old ones of files in this set. Files of a writer that may be alive,
    or of another computer, stay.

    Parameters
    ----------
    files : mapping of callable
        For each path, what writes to a binary file; as in :func:`write_whole`.
    make_folders : bool, default=False
        Whether to make folders that are not there.

    Raises
    ------
    OSError
        If a folder is not there, a folder is in the way or a file cannot be written.
    ValueError
        If two paths lead to one file.
    """
    targets = [Path(os.path.realpath(path)) for path in files]
    if len({os.path.normcase(target) for target in targets}) < len(targets):
        raise ValueError(f"Two of these paths lead to one file: {[*map(str, files)]}.")
    if not targets:
        return
    folders = list(dict.fromkeys(target.parent for target in targets))
    with _folders(folders if make_folders else []):
        for target in targets:
            _check_place(target)
        with _steps(targets) as steps:
            for step, write in zip(steps, files.values(), strict=True):
                step.write(write)
            _replace(steps)
            for folder in folders:
                _sync_folder(folder)
    with suppress(OSError):  # the files are there, whether or not leftovers can be cleared
        _clear_leftovers(targets[-1].parent, targets)


@dataclass(slots=True)
class _Step:
    """One file of a set, and what lies beside its place."""

    target: Path
    new: Path
    old: Path
    lost: bool = False
    """Whether the old file has to be put back, and was not."""

    def write(self, write: Write) -> None:
        with open(self.new, "xb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileNotFoundError):
            self.new.chmod(stat.S_IMODE(self.target.stat().st_mode))

    def keep_old(self) -> None:
        """Give the old file a second name, or a copy where there are no hard links."""
        if self.target.exists():
            try:
                os.link(self.target, self.old)
            except OSError:
                shutil.copy2(self.target, self.old)

    def undo(self) -> None:
        """Put the old file back, or nothing where there was none."""
        if self.new.exists():
            return  # it was not replaced
        if self.old.exists():
            os.replace(self.old, self.target)
        else:
            self.target.unlink(missing_ok=True)

    def clear(self, *, old: bool) -> bool:
        """Remove the unfinished file, and the old one where asked; True if nothing is left."""
        for path in [self.new, self.old] if old else [self.new]:
            with suppress(OSError):
                path.unlink(missing_ok=True)
        return not (self.new.exists() or self.old.exists())


def _replace(steps: Sequence[_Step]) -> None:
    """Rename all new files, or none."""
    if len(steps) == 1:
        os.replace(steps[0].new, steps[0].target)
        return
    for step in steps:
        step.keep_old()
    try:
        for step in steps:
            os.replace(step.new, step.target)
    except BaseException as error:
        for step in steps:
            step.lost = True  # until it is back, should another interrupt come
        for step in steps:
            try:
                step.undo()
                step.lost = False
            except OSError as reason:
                error.add_note(
                    f"{str(step.target)!r} could not be put back ({reason}). What it was before "
                    f"is in {str(step.old)!r}."
                )
        raise


@contextmanager
def _folders(folders: Sequence[Path]) -> Iterator[None]:
    """Make folders, and remove them again after an error."""
    made = []
    try:
        for folder in folders:
            for part in [*reversed(folder.parents), folder]:
                with suppress(FileExistsError):
                    if not part.exists():
                        part.mkdir()
                        made.append(part)
        yield
    except BaseException:
        for part in reversed(made):
            with suppress(OSError):  # somebody else has put something there
                part.rmdir()
        raise


def _check_place(target: Path) -> None:
    folder = target.parent
    if not folder.exists():
        raise FileNotFoundError(errno.ENOENT, "There is no such folder", str(folder))
    if not folder.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, "A file is in the way of a folder", str(folder))
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, "A folder is in the way", str(target))


@contextmanager
def _steps(targets: Sequence[Path]) -> Iterator[list[_Step]]:
    """The files of a set under the lock of a journal; at the end nothing is left beside them."""
    folder = targets[-1].parent
    token, path, journal = _open_journal(folder)
    left = steps = [_step(target, token, i) for i, target in enumerate(targets)]
    try:
        with journal:
            try:
                journal.writelines(os.fsencode(_name_in(folder, t)) + b"\0" for t in targets)
                journal.flush()
                os.fsync(journal.fileno())  # before there is anything that it has to list
                yield steps
            finally:
                left = [step for step in steps if not step.clear(old=not step.lost)]
    finally:
        if not left:
            path.unlink(missing_ok=True)


def _step(target: Path, token: str, i: int) -> _Step:
    new, old = (target.parent / f".{token}-{i}.{kind}" for kind in ("new", "old"))
    return _Step(target, new, old)


def _name_in(folder: Path, target: Path) -> str:
    try:
        return os.path.relpath(target, folder)
    except ValueError:  # on another drive
        return str(target)


def _open_journal(folder: Path) -> tuple[str, Path, IO[bytes]]:
    """A journal of our own, locked where the file system has locks."""
    while True:
        token = secrets.token_hex(8)
        path = folder / f".{token}-{_checksum(token)}.writing"
        journal = open(path, "xb")
        try:
            locked = _lock(journal)
        except OSError:
            locked = True  # nobody else can lock it either, so that it stays
        if locked and path.exists():
            return token, path, journal
        journal.close()  # another writer took it for a leftover before it was locked
        path.unlink(missing_ok=True)


def _checksum(token: str) -> str:
    """What tells a journal written on this computer from files that look alike."""
    text = f"sk_entity_embed {node()} {token}"
    return sha256(text.encode(errors="backslashreplace")).hexdigest()[:16]


def _lock(journal: IO[bytes]) -> bool:
    """Take the lock of a journal until it is closed; False if another writer has it."""
    try:
        if sys.platform == "win32":
            msvcrt.locking(journal.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(journal, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True


def _clear_leftovers(folder: Path, written: Sequence[Path]) -> None:
    """Clear what writers that are gone have left."""
    for name in os.listdir(folder):
        found = _JOURNAL.fullmatch(name)
        if found and found[2] == _checksum(found[1]):
            with suppress(OSError):
                _clear_after(folder / name, found[1], set(written))


def _clear_after(path: Path, token: str, written: set[Path]) -> None:
    """Clear what one writer has left, if it is gone."""
    if not stat.S_ISREG(path.lstat().st_mode):
        return
    with open(path, "r+b") as journal:
        if not _lock(journal):
            return
        # A journal that was cut off lists too little, but then no file was begun.
        names = journal.read().split(b"\0")[:-1]
        targets = [Path(os.path.normpath(path.parent / os.fsdecode(name))) for name in names]
        steps = [_step(target, token, i) for i, target in enumerate(targets)]
        left = [step for step in steps if not step.clear(old=step.target in written)]
    if not left:
        path.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Make the new name last, where the system can."""
    with suppress(OSError):  # Windows opens no folders, some file systems sync none
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
