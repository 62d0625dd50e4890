"""Checkpoints: the state of a training in a file, which is read without running code from it."""

from __future__ import annotations

import pickle
import time
import zipfile
import zlib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor

from sk_entity_embed._writing import write_whole
from sk_entity_embed.exceptions import (
    CheckpointWarning,
    InvalidFileError,
    InvalidParameterError,
)
from sk_entity_embed.input.messages import warn
from sk_entity_embed.learning.loop import TrainingState

FORMAT = 1
"""Of what the file holds. It rises with a change of the state that older versions cannot read, or
that this one cannot read of older ones."""

_KIND = "checkpoint of sk_entity_embed"
_UNREADABLE = (
    *(zipfile.BadZipFile, zlib.error, pickle.UnpicklingError, OSError, EOFError),
    *(RuntimeError, ValueError, KeyError, NotImplementedError),
)


class Keeper:
    """Keeps the state of one training in a file, so that a later one goes on from there.

    Parameters
    ----------
    path : Path
        The file. It is replaced as a whole.
    header : mapping
        What tells the training from others: numbers, texts, and lists and dicts of them.
    interval : float
        Seconds from the end of one writing to the next.
    keeps_end : bool
        Whether the end of the training is kept, too, since others follow before the fit has ended.
    forget : callable
        Removes all checkpoints of the fit, after a training that has no result.
    """

    def __init__(
        self,
        path: Path,
        header: Mapping[str, Any],
        interval: float,
        keeps_end: bool,
        forget: Callable[[], None],
    ) -> None:
        self.path, self.header, self.interval = path, dict(header), interval
        self.keeps_end, self.forget = keeps_end, forget
        self._device = torch.device("cpu")
        self._since = time.monotonic()
        self._failed = False

    def load(self, device: torch.device) -> TrainingState | None:
        """Return the state to go on from on a device, None where there is none."""
        self._device, self._since = device, time.monotonic()
        if not self.path.exists():
            return None
        content = _content(self.path)
        if content["device"] != device.type:
            raise InvalidParameterError(
                f"The checkpoint {str(self.path)!r} comes from a training on "
                f"device={content['device']!r}, but this one runs on {device.type!r}, where it "
                "would not give the same result. Set `device`, or delete the file to start over."
            )
        state = content["state"]
        # What the training takes over lies in memory of its own, not in the file.
        if state["best"] is not None:
            state["best"] = _copied(state["best"], device)
        if state["task"] is not None:
            state["task"]["batches"] = _copied(state["task"]["batches"])
        return TrainingState.of(state)

    def due(self) -> bool:
        """Return whether the state shall be written."""
        return time.monotonic() - self._since >= self.interval

    def save(self, state: TrainingState) -> None:
        """Write the state. Where that fails, training goes on, with a warning."""
        self._write(state.state_dict())

    def end(self, state: TrainingState, parameters: list[Tensor]) -> None:
        """Write the end of the training, if it is of use: its parameters are the best state."""
        if self.keeps_end:
            self._write({**state.state_dict(), "best": parameters, "ended": True})

    def _write(self, state: dict[str, Any]) -> None:
        content = {
            "kind": _KIND,
            "format": FORMAT,
            "header": self.header,
            "device": self._device.type,
            "state": state,
        }
        try:
            write_whole(self.path, partial(_save, content))
        except OSError as error:
            if not self._failed:
                left = "The last one stays" if self.path.exists() else "There is none so far"
                warn(
                    f"No checkpoint could be written to {str(self.path.parent)!r}: {error}. "
                    f"{left}, and the fit goes on and tries again later.",
                    CheckpointWarning,
                )
            self._failed = True
        self._since = time.monotonic()


def read_header(path: Path) -> dict[str, Any]:
    """Return the header of a file that is whole.

    InvalidFileError is raised if the file is damaged, of another format, or no checkpoint.
    """
    try:
        with zipfile.ZipFile(path) as archive:  # what torch writes, but does not check
            damaged = archive.testzip()
    except _UNREADABLE as error:
        raise _damaged(path, error) from error
    if damaged is not None:
        raise _damaged(path, f"the sum of its part {damaged!r} is wrong")
    content = _content(path)
    if content["format"] != FORMAT:
        raise InvalidFileError(
            f"The checkpoint {str(path)!r} has format {content['format']}, and this version of "
            f"sk_entity_embed writes and reads format {FORMAT}. Finish the fit with the version "
            "that began it, or delete the file to start over."
        )
    header: dict[str, Any] = content["header"]
    return header


def _content(path: Path) -> dict[str, Any]:
    """Return all that a file holds; its tensors are read when they are used."""
    try:
        content = torch.load(path, map_location="cpu", mmap=True, weights_only=True)
    except _UNREADABLE as error:
        raise _damaged(path, error) from error
    if not isinstance(content, dict) or content.get("kind") != _KIND:
        raise InvalidFileError(
            f"The file {str(path)!r} has the name of a checkpoint, but is not one. Move it, or "
            "give `checkpoint` another folder."
        )
    return content


def _damaged(path: Path, reason: object) -> InvalidFileError:
    return InvalidFileError(
        f"The checkpoint {str(path)!r} cannot be read: {reason!s:.200}. Delete it to start over."
    )


def _copied(tree: Any, device: torch.device | None = None) -> Any:
    """Return dicts, lists and tuples with copies of their tensors, perhaps on another device."""
    if isinstance(tree, Tensor):
        return tree.to(tree.device if device is None else device, copy=True)
    if isinstance(tree, dict):
        return {key: _copied(value, device) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return type(tree)(_copied(value, device) for value in tree)
    return tree


class _Sink:
    """A file for torch, which tells at the end what went wrong.

    Torch's writer puts errors of its own in the place of those that come in the middle.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.error: BaseException | None = None

    def write(self, data: Any) -> int:
        if self.error is None:
            try:
                self._file.write(data)
            except BaseException as error:
                self.error = error
        return memoryview(data).nbytes

    def flush(self) -> None: ...


def _save(content: dict[str, Any], file: IO[bytes]) -> None:
    sink = _Sink(file)
    torch.save(content, sink)  # type: ignore[arg-type]
    if sink.error is not None:
        raise sink.error
