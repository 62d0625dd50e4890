"""Checkpoints of a fit: their folder, who may use it, and which fit its files belong to."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from importlib.metadata import version
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any

import joblib
import numpy as np

from sk_entity_embed._writing import remove_leftovers
from sk_entity_embed.exceptions import InvalidParameterError
from sk_entity_embed.fitting.preparation import CheckedInput, EncodedColumns, FoldAssignment
from sk_entity_embed.learning.problem import Floats
from sk_entity_embed.model.fitted import EmbeddingModel

if TYPE_CHECKING:
    from sk_entity_embed.learning.checkpoints import Keeper

_NAME, _NAMES = "sk_entity_embed_{}.ckpt", "sk_entity_embed_*.ckpt"
"""Files of a folder, one for each training of a fit. All others are left alone."""
_LOCK = "sk_entity_embed.lock"
_FREE = {"callbacks", "checkpoint", "checkpoint_interval", "device", "verbose"}
"""Parameters that do not decide the result; the device is compared when the state is read."""
_FOLDS = "the folds, which `cv` draws anew in each fit unless its random_state is a number"
_FEW, _SHORT = 20, 40
"""Items of what is compared as a text, and letters of a text that a message shows."""


@contextmanager
def checkpoints_in(
    folder: str | os.PathLike[str] | None, interval: float, parameters: Mapping[str, Any]
) -> Iterator[Checkpoints | None]:
    """Give the checkpoints of a fit with these `parameters`; None where there is no folder.

    The folder is made where it is missing, and nobody else may use it meanwhile. Files that a
    killed process has left half-written are removed. What is left of an earlier fit must be of the
    same one.

    Raises
    ------
    InvalidParameterError
        If the folder cannot be used, another fit uses it, or holds the checkpoint of a fit with
        other parameters or versions.
    InvalidFileError
        If a checkpoint is damaged or of another format.
    """
    if folder is None:
        yield None
        return
    path = Path(folder).absolute()
    with _locked(path):
        remove_leftovers(path, _NAMES)
        yield Checkpoints(path, interval, parameters)


class Checkpoints:
    """The checkpoints of one fit, in a folder.

    Ask for :meth:`seeds` before anything is drawn, say by :meth:`check_data` what is learned from,
    and give each training its :meth:`keeper`. After a fit that has ended, :meth:`remove` them.
    """

    def __init__(self, folder: Path, interval: float, parameters: Mapping[str, Any]) -> None:
        from sk_entity_embed.learning.checkpoints import read_header

        self.folder, self.interval = folder, interval
        self._header: dict[str, Any] = {
            "versions": {name: _version(name) for name in ("sk_entity_embed", "torch")},
            "parameters": _described(parameters),
        }
        self._found = {path: read_header(path) for path in self.files()}
        self._compare("versions", lambda name, there, now: f"{name} ({there} there, now {now})")
        self._compare("parameters", _difference)

    def files(self) -> list[Path]:
        """Return the files that there are."""
        return sorted(self.folder.glob(_NAMES))

    def seeds(self, drawn: list[list[int]]) -> list[list[int]]:
        """Return the numbers that decide all draws: those of the fit to go on with, if any."""
        for header in self._found.values():
            drawn = header["seeds"]
        self._header["seeds"] = drawn
        return drawn

    def check_data(self, marks: Mapping[str, str]) -> None:
        """Refuse to go on with other data; each mark is a hash, or another text, by a name.

        The mark "folds" is looked at where all others are equal.
        """
        self._header["data"] = dict(marks)
        self._compare("data", lambda name, there, now: None if name == "folds" else name)
        self._compare("data", lambda name, there, now: _FOLDS)

    def keeper(self, number: int, n_trainings: int) -> Keeper:
        """Return the keeper of a training, counted from zero, of so many."""
        from sk_entity_embed.learning.checkpoints import Keeper

        path = self.folder / _NAME.format(number + 1)
        more = number + 1 < n_trainings
        return Keeper(path, self._header, self.interval, more, self.remove)

    def remove(self) -> None:
        """Remove all checkpoints: the fit has ended, or has no result."""
        for path in self.files():
            with suppress(OSError):
                path.unlink()

    def _compare(self, part: str, say: Callable[[str, str, str], str | None]) -> None:
        """Refuse a checkpoint whose header says something else; `say` words each difference."""
        for path, header in self._found.items():
            there, now = header[part], self._header[part]
            names = [name for name in {**there, **now} if there.get(name) != now.get(name)]
            said = [say(name, there.get(name, "none"), now.get(name, "none")) for name in names]
            if differences := [text for text in said if text]:
                raise InvalidParameterError(
                    f"`checkpoint`={str(self.folder)!r} holds the checkpoint of another fit: "
                    f"{', '.join(differences)} differ(s). Repeat that fit to go on with it, give "
                    f"this one another folder, or delete {str(path)!r} to start over."
                )


def data_marks(
    given: CheckedInput,
    columns: EncodedColumns,
    folds: FoldAssignment,
    tables: Sequence[Floats],
    before: EmbeddingModel | None,
) -> dict[str, str]:
    """Return what tells the rows in memory, and what training starts from, from others."""
    target, weights = given.target, given.weights
    one = weights.strides == (0,)  # the weight of all rows
    labels = [vocabulary.labels for vocabulary in columns.vocabularies]
    parts: dict[str, Any] = {
        "X": (columns.names, columns.codes, columns.context_values, labels),
        "y": (target.kind, np.ascontiguousarray(target.values), target.classes),
        "sample_weight": (len(weights), weights[:1] if one else weights),
        "groups": given.groups,
        "the fit before": None if before is None else [table.stack for table in before.tables],
        "folds": (folds.fold, folds.validation),
    }
    marks = {name: str(joblib.hash(part)) for name, part in parts.items()}
    return {**marks, "the widths of vectors": str([table.shape for table in tables])}


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Make a folder and keep others from it. The system gives it free when the process ends."""
    from filelock import FileLock, Timeout

    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / _LOCK, timeout=0)
        lock.acquire()
    except Timeout as error:
        raise InvalidParameterError(
            f"`checkpoint`={str(folder)!r} is used by another fit at this moment. Give each fit a "
            "folder of its own; clones, such as those of a grid search, share theirs."
        ) from error
    except OSError as error:
        raise InvalidParameterError(
            f"`checkpoint`={str(folder)!r} cannot be used: {error}. Give a folder that can be "
            "written to."
        ) from error
    try:
        yield
    finally:
        with suppress(OSError):  # Windows removes none that is open
            (folder / _LOCK).unlink()  # before it is given free: who has opened it tries again
        lock.release()


def _version(package: str) -> str:
    """Return the version of the package itself or of a library."""
    if package == "sk_entity_embed":
        return str(import_module(package).__version__)
    return version(package)


def _described(parameters: Mapping[str, Any]) -> dict[str, str]:
    """Return parameters that decide the result as texts to be compared, by name."""
    found = {name: value for name, value in parameters.items() if name not in _FREE}
    seed = found.get("random_state")
    if not isinstance(seed, Integral):  # its draws are kept with the checkpoint
        found["random_state"] = "drawn"
    return {name: repr(_plain(value)) for name, value in found.items()}


def _plain(value: Any) -> Any:
    """Return a value of which equal ones are written equally, in any process."""
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple) and len(value) <= _FEW:
        return [_plain(item) for item in value]
    if isinstance(value, Mapping) and len(value) <= _FEW:
        return {_plain(key): _plain(item) for key, item in value.items()}
    with suppress(Exception):  # whatever pickling raises
        return f"{type(value).__name__} {joblib.hash(value)}"
    return re.sub(r" at 0x[0-9A-Fa-f]+", "", repr(value))


def _difference(name: str, there: str, now: str) -> str:
    shows = max(len(there), len(now)) <= _SHORT
    return f"`{name}` ({there} there, now {now})" if shows else f"`{name}`"
