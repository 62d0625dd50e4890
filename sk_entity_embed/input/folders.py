"""Temporary folders for rows, which are removed even if the process that made them was killed."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Self

FOLDER, LOCK = "sk_entity_embed-rows-", "lock"
_NEW = 60
"""Seconds in which a folder may be without its lock, because it is being made."""


class TemporaryFolder:
    """A folder for rows. Its lock is given free when the process ends, in whatever way.

    Folders beside it whose locks nobody holds were left by killed processes, and are removed.
    """

    def __init__(self, parent: str | os.PathLike[str] | None) -> None:
        from filelock import FileLock

        place = Path(tempfile.gettempdir() if parent is None else parent)
        remove_left(place)
        self.path = Path(tempfile.mkdtemp(prefix=FOLDER, dir=place))
        self._lock = FileLock(self.path / LOCK)
        self._lock.acquire()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove the folder."""
        self._lock.release()
        shutil.rmtree(self.path, ignore_errors=True)


def remove_left(place: Path) -> None:
    """Remove the folders that killed processes have left."""
    from filelock import FileLock, Timeout

    for left in place.glob(f"{FOLDER}*"):
        with suppress(Timeout, OSError):
            if (left / LOCK).exists() or time.time() - left.stat().st_mtime > _NEW:
                with FileLock(left / LOCK, timeout=0):
                    shutil.rmtree(left, ignore_errors=True)
