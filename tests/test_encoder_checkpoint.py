"""Fits that are stopped in any way go on from their checkpoint, and end as if nothing had been."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from filelock import FileLock
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, KFold

from benchmarks._scale_kills import kill_fits
from sk_entity_embed import EntityEmbeddingEncoder, _estimator, _writing
from sk_entity_embed.exceptions import (
    CheckpointWarning,
    InvalidFileError,
    InvalidParameterError,
    TrainingInterruptedWarning,
)
from sk_entity_embed.export import load, save
from sk_entity_embed.learning import checkpoints
from sk_entity_embed.learning.crossfit import CrossFitting
from tests.samples import make_encoder, make_rows

resource = pytest.importorskip("resource")  # limits, as Unix has them

X, Y = make_rows(240)
COLORS = pd.DataFrame(np.eye(3), index=["blue", "green", "red"])
NAME = "sk_entity_embed_1.ckpt"


class Stop(Exception):
    """Ends a fit in an iteration."""


def keeping(folder: Any, **parameters: Any) -> EntityEmbeddingEncoder:
    """An encoder with a checkpoint after each of six iterations."""
    settings = {"max_iter": 6, "checkpoint": folder, "checkpoint_interval": 0}
    return make_encoder(**{**settings, **parameters})


def results(encoder: EntityEmbeddingEncoder, x: Any = X, y: Any = Y) -> list[np.ndarray]:
    """Fit, and give all that a stop could change."""
    out = [encoder.fit_transform(x, y), encoder.transform(x[:9]), encoder.loss_curve_]
    return [*out, *(frame.to_numpy() for frame in encoder.embeddings_.values())]


def assert_same(found: list[np.ndarray], expected: list[np.ndarray]) -> None:
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


@contextmanager
def before_iteration(n: int, act: Callable[[], Any]) -> Iterator[None]:
    """Do something as the nth iteration begins, counted over all members."""
    original, begun = CrossFitting.iteration, []

    def counting(self: CrossFitting) -> Any:
        begun.append(None)
        if len(begun) == n:
            act()
        return original(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CrossFitting, "iteration", counting)
        yield


def stop() -> None:
    raise Stop


def leave_a_checkpoint(folder: Any, n: int = 4, **parameters: Any) -> Path:
    """Stop a fit in its nth iteration; the file that is left."""
    with before_iteration(n, stop), pytest.raises(Stop):
        keeping(folder, **parameters).fit(X, Y)
    (path,) = Path(folder).iterdir()
    return path


# Going on ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "n"),
    [
        ({}, 4),
        ({"early_stopping": False}, 4),
        ({"head": "dot", "n_iter_no_change": 1, "tol": 1.0}, 4),  # in the fall of the steps
        ({"n_members": 3}, 9),  # in the second
        ({"n_members": 2}, 7),  # between the two
    ],
    ids=str,
)
def test_a_fit_goes_on_where_it_was_stopped(
    parameters: dict[str, Any], n: int, tmp_path: Path
) -> None:
    expected = results(keeping(None, **parameters))
    folder = tmp_path / "new" / "checkpoints"
    with before_iteration(n, stop), pytest.raises(Stop):
        keeping(folder, **parameters).fit(X, Y)
    (folder / "notes.txt").write_text("not ours")
    (folder / f".{NAME}-abc.new").write_text("what a killed write leaves")
    with before_iteration(99, stop):
        again = keeping(str(folder), **parameters)
        assert_same(results(again), expected)
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("random_state", [None, np.random.RandomState(5)], ids=str)
def test_what_was_drawn_is_kept(random_state: Any, tmp_path: Path) -> None:
    written = []
    with before_iteration(4, stop), pytest.raises(Stop):
        keeping(tmp_path, random_state=random_state, n_members=2).fit(X, Y)
    copied = (tmp_path / NAME).read_bytes()
    for _ in range(2):
        (tmp_path / NAME).write_bytes(copied)
        written.append(results(keeping(tmp_path, random_state=random_state, n_members=2)))
    assert_same(*written)
    other = results(keeping(tmp_path, random_state=random_state, n_members=2))
    assert not np.array_equal(written[0][0], other[0])


def test_a_training_that_went_back_goes_on_as_carefully(tmp_path: Path) -> None:
    original = CrossFitting.validation_loss

    def fit(folder: Path | None, first: int, n: int) -> list[np.ndarray] | None:
        """Fit from an iteration on, and stop before the nth."""
        validated = [None] * first

        def broken(self: CrossFitting) -> np.ndarray:
            validated.append(None)
            return original(self) * (np.nan if len(validated) == 2 else 1.0)

        with pytest.MonkeyPatch.context() as patch, before_iteration(n - first, stop):
            patch.setattr(CrossFitting, "validation_loss", broken)
            if n < 7:
                with pytest.raises(Stop):
                    keeping(folder).fit(X, Y)
                return None
            with pytest.warns(ConvergenceWarning, match="iteration 2: .*a quarter of the step"):
                return results(keeping(folder))

    expected = fit(None, 0, 7)
    for n in (3, 4):  # just after, and later
        fit(tmp_path, 0, n)
        found = fit(tmp_path, n - 1, 7)
        assert found is not None
        assert expected is not None
        assert_same(found, expected)


def test_checkpoints_are_written_when_their_time_has_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    clock = iter(range(0, 10_000, 20))  # 20 seconds pass between two looks
    monkeypatch.setattr(checkpoints.time, "monotonic", lambda: next(clock))
    replaced, replace = [], os.replace
    monkeypatch.setattr(os, "replace", lambda a, b: (replaced.append(b), replace(a, b)))
    # looks: made, begun, due after each iteration, and the end of each writing
    with before_iteration(6, stop), pytest.raises(Stop):
        keeping(tmp_path, checkpoint_interval=60).fit(X, Y)
    assert len(replaced) == 1
    keeping(tmp_path, checkpoint_interval=1e9, verbose=1).fit(X, Y)
    assert len(replaced) == 1
    assert f"goes on after 3 iteration(s), from '{tmp_path / NAME}'" in capfd.readouterr().err
    with before_iteration(6, stop), pytest.raises(Stop):
        keeping(tmp_path, checkpoint_interval=1e9).fit(X, Y)
    assert [*tmp_path.iterdir()] == []


# Kills -------------------------------------------------------------------------------------


def kill_at(n: int, after: bool, original: Callable[..., Any], calls: list[None]) -> Any:
    """A function that kills its process at the nth call, before it or after it."""

    def killing(*args: Any, **options: Any) -> Any:
        calls.append(None)
        found = original(*args, **options) if after or len(calls) != n else None
        if len(calls) == n:
            os.kill(os.getpid(), signal.SIGKILL)
        return found

    return killing


PLACES: dict[str, tuple[Any, str, int, bool]] = {
    "reading": (_estimator, "encode_table", 1, True),
    "a step": (CrossFitting, "_step", 33, False),
    "a validation": (CrossFitting, "validation_loss", 4, False),
    "the first write": (checkpoints._Sink, "write", 3, True),
    "a later write": (checkpoints._Sink, "write", 120, True),
    "before a replacement": (os, "replace", 3, False),
    "after a replacement": (_writing, "_sync_folder", 3, False),
    "the building": (EntityEmbeddingEncoder, "_attributes", 1, False),
    "the removal": (Path, "unlink", 19, True),  # the first file of the two is gone
}
"""Where a fit is killed: a function, which of its calls, and whether after it."""


def fit_until_killed(place: str, encoder: EntityEmbeddingEncoder) -> None:
    """Fit in a process that is killed at a place."""
    home, name, n, after = PLACES[place]
    setattr(home, name, kill_at(n, after, getattr(home, name), []))
    encoder.fit(X, Y)


@pytest.mark.skipif(sys.platform != "linux", reason="kills as Linux does")
def test_a_fit_that_was_killed_anywhere_ends_in_the_same_bits(tmp_path: Path) -> None:
    two = {"n_members": 2, "max_iter": 4}
    expected, folder = results(keeping(None, **two)), tmp_path / "folder"
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    for place in PLACES:
        process = context.Process(target=fit_until_killed, args=(place, keeping(folder, **two)))
        process.start()
        process.join()
        assert process.exitcode == -signal.SIGKILL, place
        whole = sorted(path.name for path in folder.glob("*.ckpt"))
        for name in whole:
            checkpoints.read_header(folder / name)
        if place == "the removal":
            assert whole == [NAME.replace("1", "2")]
        writing = place in ("the first write", "a later write", "before a replacement")
        assert len([*folder.glob(".*.new")]) == writing
        assert_same(results(keeping(folder, **two)), expected)
        assert [*folder.iterdir()] == [], place


@pytest.mark.skipif(sys.platform != "linux", reason="kills as Linux does")
def test_fits_that_are_killed_at_random_moments_end_in_the_same_bits() -> None:
    counts = kill_fits(3, n_rows=300, names=["perceptron"])
    assert counts["kills"] == 3
    assert counts["fits with other bits"] == 0


# Ctrl-C, full disks ------------------------------------------------------------------------


def press_ctrl_c() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def test_an_interrupted_fit_keeps_its_checkpoint_for_the_next(tmp_path: Path) -> None:
    expected = results(keeping(None))
    encoder = keeping(tmp_path)
    with (
        before_iteration(4, press_ctrl_c),
        pytest.warns(TrainingInterruptedWarning, match="goes on from the files in") as caught,
    ):
        encoder.fit(X, Y)
    assert str(tmp_path) in str(caught[0].message)
    assert encoder.n_iter_ == 3
    assert_same(results(encoder), expected)
    assert [*tmp_path.iterdir()] == []
    none_yet = keeping(tmp_path, checkpoint_interval=1e9)
    with before_iteration(4, press_ctrl_c), pytest.warns(TrainingInterruptedWarning) as caught:
        none_yet.fit(X, Y)
    assert "files" not in str(caught[0].message)


def test_ctrl_c_within_a_write_leaves_the_file_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, synced = os.fsync, []

    def fsync(descriptor: int) -> None:
        synced.append(None)
        if len(synced) == 5:  # that of the third file; each is followed by that of the folder
            press_ctrl_c()
        original(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    encoder = keeping(tmp_path)
    with pytest.warns(TrainingInterruptedWarning, match=r"after 3 iteration\(s\)"):
        encoder.fit(X, Y)
    (path,) = tmp_path.iterdir()
    assert len(torch.load(path, weights_only=True)["state"]["iterations"]) == 2
    assert_same(results(encoder), results(keeping(None)))


@contextmanager
def no_room(n_bytes: int) -> Iterator[None]:
    """Let files be no larger than so: the system refuses to write more."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        yield resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, before[1]))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_fit_goes_on_where_its_checkpoint_cannot_be_written(tmp_path: Path) -> None:
    expected = results(keeping(None))
    no_file = pytest.warns(CheckpointWarning, match=r"none so far, and the fit goes on")
    with no_room(10_000), no_file as caught:
        found = results(keeping(tmp_path))
    assert len(caught) == 1  # of six writings
    assert f"{str(tmp_path)!r}: [Errno 27] File too large" in str(caught[0].message)
    assert_same(found, expected)
    assert [*tmp_path.iterdir()] == []


def test_a_failed_write_leaves_the_checkpoint_before(tmp_path: Path) -> None:
    expected = results(keeping(None))
    written = leave_a_checkpoint(tmp_path, 4).read_bytes()
    with (
        pytest.warns(CheckpointWarning, match="The last one stays"),
        before_iteration(3, stop),
        no_room(10_000),
        pytest.raises(Stop),
    ):
        keeping(tmp_path).fit(X, Y)
    assert [path.name for path in tmp_path.iterdir()] == [NAME]
    assert (tmp_path / NAME).read_bytes() == written
    assert_same(results(keeping(tmp_path)), expected)


def test_a_full_disk_ends_no_fit(tmp_path: Path) -> None:
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(tmp_path)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("a file system can be mounted by root alone")
    try:
        full = partial(pytest.warns, CheckpointWarning, match="No space left on device")
        with before_iteration(5, stop), pytest.raises(Stop), full():
            keeping(tmp_path).fit(X, Y)
        assert [path.name for path in tmp_path.iterdir()] == [NAME]  # that after one iteration
        with full():
            assert_same(results(keeping(tmp_path)), results(keeping(None)))
        assert [*tmp_path.iterdir()] == []
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


# Checkpoints that do not fit -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ({"max_iter": 7}, r"`max_iter` \(6 there, now 7\) differ"),
        ({"random_state": 1}, r"`random_state` \(0 there, now 1\)"),
        ({"random_state": None}, r"`random_state` \(0 there, now 'drawn'\)"),
        ({"tol": 0.5, "freeze": ["color"]}, r"`freeze` \(.*\), `tol` \(0.0001 there, now 0.5\)"),
        ({"init": {"color": COLORS}}, "fit: `init` differ"),
        ({"dimensions": {"letter": 3}}, r"`dimensions` \('auto' there, now \{'letter': 3\}\)"),
        ({"cv": KFold(4)}, "`cv`"),
    ],
)
def test_a_checkpoint_of_other_parameters_is_refused(
    parameters: dict[str, Any], named: str, tmp_path: Path
) -> None:
    written = leave_a_checkpoint(tmp_path).read_bytes()
    with pytest.raises(InvalidParameterError, match=named) as caught:
        keeping(tmp_path, **parameters).fit(X, Y)
    cure = f"give this one another folder, or delete '{tmp_path / NAME}' to start over"
    assert cure in str(caught.value)
    assert (tmp_path / NAME).read_bytes() == written


def test_what_does_not_decide_the_result_may_differ(tmp_path: Path) -> None:
    leave_a_checkpoint(tmp_path)
    other = {"verbose": 0.0, "checkpoint_interval": 5, "device": "cpu"}
    with before_iteration(4, stop):
        keeping(f"{tmp_path}/../{tmp_path.name}", **{**other, "verbose": False}).fit(X, Y)


def weighed(encoder: Any) -> Any:
    return encoder.fit(X, Y, sample_weight=np.arange(240) % 3 + 1)


@pytest.mark.parametrize(
    ("fit", "named"),
    [
        (lambda e: e.fit(X, np.r_[Y[:-1], 0.5]), "fit: y differ"),
        (lambda e: e.fit(X.assign(size=X["size"] + 1e-3 * (X.index == 3)), Y), "fit: X differ"),
        (lambda e: e.fit(X.rename(columns={"letter": "sign"}), Y), "fit: X differ"),
        (lambda e: e.fit(X.replace({"color": {"red": "rot"}}), Y), "fit: X differ"),
        (weighed, "fit: sample_weight differ"),
        (lambda e: e.fit(X, Y, groups=np.arange(240) // 2), "fit: groups differ"),
        (lambda e: e.fit(X[:200], Y[:200]), "fit: X, y, sample_weight differ"),
    ],
)
def test_a_checkpoint_of_other_data_is_refused(
    fit: Callable[[Any], Any], named: str, tmp_path: Path
) -> None:
    leave_a_checkpoint(tmp_path)
    with pytest.raises(InvalidParameterError, match=named):
        fit(keeping(tmp_path))


def test_what_a_function_gives_is_compared(tmp_path: Path) -> None:
    leave_a_checkpoint(tmp_path, dimensions=lambda n: 3)
    with pytest.raises(InvalidParameterError, match="fit: the widths of vectors differ"):
        keeping(tmp_path, dimensions=lambda n: 4).fit(X, Y)


def test_a_splitter_that_draws_other_folds_is_named(tmp_path: Path) -> None:
    cv = KFold(3, shuffle=True)
    leave_a_checkpoint(tmp_path, cv=cv)
    with pytest.raises(InvalidParameterError, match="the folds, which `cv` draws anew"):
        keeping(tmp_path, cv=cv).fit(X, Y)


def test_a_warm_start_from_another_fit_is_refused(tmp_path: Path) -> None:
    leave_a_checkpoint(tmp_path, warm_start=True)
    encoder = keeping(None, warm_start=True).fit(X, Y)
    with pytest.raises(InvalidParameterError, match="the fit before"):
        encoder.set_params(checkpoint=tmp_path).fit(X, Y)


def rewrite(path: Path, **changes: Any) -> None:
    """Change what a checkpoint says of itself."""
    content = torch.load(path, weights_only=True)
    content["header"].update({k: v for k, v in changes.items() if k in content["header"]})
    content.update({k: v for k, v in changes.items() if k in content})
    torch.save(content, path)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        (
            {"versions": {"sk_entity_embed": "0.0.1", "torch": "1.0"}},
            InvalidParameterError,
            r"sk_entity_embed \(0.0.1 there, now .*\), torch \(1.0 there",
        ),
        ({"format": 99}, InvalidFileError, "has format 99, and this version .* format 1.*delete"),
        ({"device": "cuda"}, InvalidParameterError, "device='cuda', but this one runs on 'cpu'"),
        ({"kind": "?"}, InvalidFileError, "has the name of a checkpoint, but is not one. Move it"),
    ],
)
def test_a_checkpoint_of_another_version_format_or_device_is_refused(
    changes: dict[str, Any], error: type[Exception], message: str, tmp_path: Path
) -> None:
    path = leave_a_checkpoint(tmp_path)
    rewrite(path, **changes)
    with pytest.raises(error, match=message) as caught:
        keeping(tmp_path).fit(X, Y)
    assert str(path) in str(caught.value)
    assert path.exists()


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    path = leave_a_checkpoint(tmp_path)
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1  # in a tensor
    for damaged in (b"", whole[:1000], whole[:-1], bytes(flipped), b"x" * 500):
        path.write_bytes(damaged)
        with pytest.raises(InvalidFileError, match=r"cannot be read: .*Delete it") as caught:
            keeping(tmp_path).fit(X, Y)
        assert repr(str(path)) in str(caught.value)
        assert path.read_bytes() == damaged
    path.write_bytes(whole)
    assert_same(results(keeping(tmp_path)), results(keeping(None)))


def test_no_code_is_run_that_a_file_holds(tmp_path: Path) -> None:
    torch.save({"kind": checkpoints._KIND, "format": 1, "header": Path("x")}, tmp_path / NAME)
    with pytest.raises(InvalidFileError, match="cannot be read"):
        keeping(tmp_path).fit(X, Y)


def test_a_training_without_a_result_leaves_no_checkpoint(tmp_path: Path) -> None:
    diverging = {"loss": "poisson", "early_stopping": False, "learning_rate_init": 1e30}
    with pytest.raises(InvalidParameterError, match="diverged"):
        keeping(tmp_path, **diverging).fit(X, np.exp(Y))
    assert [*tmp_path.iterdir()] == []


# The folder --------------------------------------------------------------------------------


def test_two_fits_do_not_share_a_folder(tmp_path: Path) -> None:
    def fit_another() -> None:
        with pytest.raises(InvalidParameterError, match=r"used by another fit.*grid search") as no:
            keeping(tmp_path).fit(X, Y)
        assert repr(str(tmp_path)) in str(no.value)

    with before_iteration(4, fit_another):
        found = results(keeping(tmp_path))
    assert_same(found, results(keeping(None)))
    assert [*tmp_path.iterdir()] == []
    FileLock(tmp_path / "sk_entity_embed.lock").acquire().lock.release()  # of one that was killed
    keeping(tmp_path).fit(X, Y)
    assert [*tmp_path.iterdir()] == []


def test_fits_one_after_the_other_share_a_folder(tmp_path: Path) -> None:
    search = GridSearchCV(keeping(tmp_path), {"tol": [0.1, 0.2]}, cv=2, scoring=lambda *_: 0.0)
    search.fit(X, Y)
    assert [*tmp_path.iterdir()] == []


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(InvalidParameterError, match=r"cannot be used: .*Give a folder") as no:
            keeping(folder).fit(X, Y)
        assert repr(str(folder)) in str(no.value)
    (tmp_path / "sk_entity_embed.lock").mkdir()
    with pytest.raises(InvalidParameterError, match="cannot be used"):
        keeping(tmp_path).fit(X, Y)


def test_a_saved_encoder_keeps_the_folder_as_text(tmp_path: Path) -> None:
    save(keeping(tmp_path / "kept").fit(X, Y), tmp_path / "saved")
    with warnings.catch_warnings(action="error"):
        assert load(tmp_path / "saved").checkpoint == str(tmp_path / "kept")
