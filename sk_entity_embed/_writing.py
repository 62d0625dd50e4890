"""Files that are whole or not there, alone or as a set.

New files are written beside their places, synced, and then renamed. While that goes on, hidden
files lie there: ``.NAME-TOKEN.new`` will be the file, and ``.NAME-TOKEN.old`` is what a file of a
set was before.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeAlias

Write: TypeAlias = Callable[[IO[bytes]], Any]
"""Writes to a binary file; if it raises, the old file stays as it was."""


def write_whole(path: str | os.PathLike[str], write: Write) -> None:
    """Write a file beside its place, then put it there; see :func:`write_set`."""
    write_set({Path(path): write})


def write_set(files: Mapping[Path, Write], *, make_folders: bool = False) -> None:
    """Write several files beside their places, then put all of them there.

    Links are followed, and the permissions of old files stay. After an error, all old files are
    back and folders that were made are gone. A reader may see some old and some new files while
    they are renamed. If the process is killed at that moment, they stay so: every file is whole,
    and writing the set again completes it. Hidden files of a killed process stay.

    Raises OSError if a folder is not there, a folder is in the way or a file cannot be written;
    ValueError if two paths lead to one file.
    """
    steps = [_step(Path(os.path.realpath(path))) for path in files]
    if len({os.path.normcase(step.target) for step in steps}) < len(steps):
        raise ValueError(f"Two of these paths are the same file: {[*map(str, files)]}.")
    folders = list(dict.fromkeys(step.target.parent for step in steps))
    with _folders(folders if make_folders else []):
        for step in steps:
            _check_place(step.target)
        try:
            for step, write in zip(steps, files.values(), strict=True):
                step.write(write)
            _replace(steps, folders)
        finally:
            for step in steps:
                _remove(step.new)


def remove_leftovers(folder: Path, names: str) -> None:
    """Remove hidden files that killed processes have left of files with such names, a pattern.

    Nobody may be writing one of these files at this moment.
    """
    for kind in ("new", "old"):
        for path in folder.glob(f".{names}-*.{kind}"):
            _remove(path)


@dataclass(frozen=True, slots=True)
class _Step:
    """One file of a set, and what lies beside its place."""

    target: Path
    new: Path
    old: Path

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

    def put_back(self, _: object, error: BaseException | None, __: object) -> None:
        """After an error, put the old file back, or nothing where there was none."""
        try:
            if self.new.exists():  # it was not replaced
                _remove(self.old)
            elif self.old.exists():
                os.replace(self.old, self.target)
            else:
                self.target.unlink(missing_ok=True)
        except OSError as reason:
            assert error is not None
            error.add_note(
                f"{str(self.target)!r} could not be put back ({reason}). What it was before "
                f"is in {str(self.old)!r}."
            )


def _step(target: Path) -> _Step:
    # A name of any length and alphabet, cut to fit.
    hidden = f".{target.name[:40]}-{secrets.token_hex(8)}"
    return _Step(target, *(target.parent / f"{hidden}.{kind}" for kind in ("new", "old")))


def _replace(steps: Sequence[_Step], folders: Sequence[Path]) -> None:
    """Rename all new files, or none."""
    with ExitStack() as undo:
        if len(steps) > 1:
            for step in steps:
                undo.push(step.put_back)
                step.keep_old()
        for step in steps:
            os.replace(step.new, step.target)
        for folder in folders:
            _sync_folder(folder)
        undo.pop_all()
    for step in steps:
        _remove(step.old)


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink(missing_ok=True)


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


def _sync_folder(folder: Path) -> None:
    """Make the new name last, where the system can."""
    with suppress(OSError):  # Windows opens no folders, some file systems sync none
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
