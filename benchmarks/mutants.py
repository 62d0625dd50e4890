"""Mutants: three dozen small faults in the path of the data, and whether the tests notice them.

``python benchmarks/mutants.py`` copies the project, puts one fault at a time into the copy, and
runs the tests that should notice it; only if these pass, the wider ones. It prints the first test
that fails for each. ``--list`` shows the faults and checks that each still fits the code, ``--only
NAME`` runs some of them, ``--first`` leaves out the wider tests, and ``--write`` stores the table
in ``benchmarks/results/mutants.json`` as the one "after", beside the one "before" the last rebuild.
A mutant that its own tests notice takes some seconds, one that they miss as long as most of the
suite.

When code moves, `file`, `old`, `new` and `first` of its mutant move with it; what is broken stays.
Run ``--list`` in the same commit: a definition that no longer fits is named there. Where one place
now serves two purposes, `new` breaks only the one that is meant, and no more than before.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
STORED = ROOT / "benchmarks" / "results" / "mutants.json"
COPIED = ("sk_entity_embed", "tests", "benchmarks", "examples", "docs", "conftest.py")
COPIED += ("pyproject.toml", "README.md", "CONTRIBUTING.md", "CHANGELOG.md", "Makefile")

WIDER = ("sk_entity_embed", "tests/learning", "tests/input", "tests")
"""What is run, in this order, if a mutant's own tests pass."""
LEFT_OUT = (
    "tests/inspection/displays",
    "tests/inspection/test_explorer.py",
    "tests/inspection/test_explorer_browser.py",
    "tests/datasets",
    "tests/test_benchmarks.py",
    "tests/test_docs.py",
    "tests/test_example*.py",
)
"""Tests that have no part in the path of the data, and slow ones that only run it."""
FIRST_LIMIT, WIDER_LIMIT = 300, 2400
"""Seconds; a mutant that takes longer counts as noticed."""


@dataclass(frozen=True)
class Mutant:
    """A fault: `old` occurs once in `file` and becomes `new`."""

    area: str
    name: str
    broken: str
    file: str
    old: str
    new: str
    first: tuple[str, ...]


MUTANTS = [
    Mutant(
        "leakage",
        "own-fold-teaches-table",
        "The tables' half of a step draws among all tables, the row's own fold's among them.",
        "learning/batches.py",
        "tables = self._drawn(folds, self.n_tables)",
        'shape, draws = folds.shape, {"generator": self.generator, "device": folds.device}\n'
        "        tables = torch.randint(0, self.n_tables, shape, **draws)",
        ("tests/learning/test_crossfit.py", "tests/test_encoder_fitting.py"),
    ),
    Mutant(
        "leakage",
        "hidden-layer-in-fold",
        "fit_transform takes the hidden layer of training rows from the mean table.",
        "model/fitted.py",
        "out[:, n_vectors : n_vectors + n_hidden], fold=fold)",
        "out[:, n_vectors : n_vectors + n_hidden], fold=None)",
        ("tests/test_encoder_fitting.py", "tests/test_encoder_output.py"),
    ),
    Mutant(
        "leakage",
        "predictions-in-fold",
        "fit_transform takes the predictions of training rows from the mean table and all heads.",
        "model/fitted.py",
        "= self.raw(rows, fold=fold)",
        "= self.raw(rows)",
        ("tests/test_encoder_stacking.py",),
    ),
    Mutant(
        "leakage",
        "validation-teaches-head",
        "Withheld rows teach the head too.",
        "learning/batches.py",
        "only_tables = rows.withheld",
        "only_tables = np.zeros_like(rows.withheld)",
        ("tests/learning/test_crossfit.py",),
    ),
    Mutant(
        "leakage",
        "own-head-learns",
        "Rows teach the head that serves their own fold instead of another one.",
        "learning/batches.py",
        "heads = self._drawn(heads, self.n_heads)",
        "heads = heads.clone()",
        ("tests/learning/test_crossfit.py", "tests/test_encoder_fitting.py"),
    ),
    Mutant(
        "leakage",
        "head-of-another-fold",
        "Where there are fewer heads than folds, rows get one that saw them.",
        "model/heads/perceptron.py",
        "return fold if self.folds is None else self.folds[fold]",
        "return fold % self.n_heads",
        ("tests/test_encoder_fitting.py",),
    ),
    Mutant(
        "leakage",
        "continued-heads-change-places",
        "A training that goes on with the same rows has as many heads as a new one.",
        "fitting/options.py",
        "before.n_folds == n_tables",
        "before.n_folds < 0",
        ("tests/test_encoder_fitting.py",),
    ),
    Mutant(
        "leakage",
        "table-through-other-head",
        "Rows teach another fold's table through the head of their own fold, not through its own.",
        "learning/batches.py",
        "of_tables, n_others = _dealt(self._head_of[tables], self.n_heads, n_steps)",
        "of_tables, n_others = _dealt(self._head_of[folds], self.n_heads, n_steps)",
        ("tests/learning/test_batches.py", "tests/learning/test_crossfit.py"),
    ),
    Mutant(
        "leakage",
        "heads-serve-other-folds",
        "What is saved says that heads serve the folds in turn, not runs of them.",
        "model/heads/base.py",
        "return np.arange(n_folds, dtype=np.int64) * n_heads // n_folds",
        "return np.arange(n_folds, dtype=np.int64) % n_heads",
        ("tests/model/test_heads.py",),
    ),
    Mutant(
        "leakage",
        "hidden-layer-of-all-heads",
        "Training rows get the mean of all heads, which saw them but for one.",
        "model/heads/perceptron.py",
        "if fold is None or self.n_heads == 1:",
        "if True:",
        ("tests/model/test_heads.py", "tests/test_encoder_fitting.py"),
    ),
    Mutant(
        "leakage",
        "dot-judged-by-its-own-rows",
        "With cross-fitting nothing is withheld from any head, also from one of all folds.",
        "_preparing.py",
        "not (cross_fits(estimator, columns) and HEADS[estimator.head].cross_fits)",
        "not cross_fits(estimator, columns)",
        ("tests/test_encoder_fitting.py",),
    ),
    Mutant(
        "leakage",
        "unknown-tells-the-fold",
        "The unknown vector of each fold's table stays its own.",
        "model/tables.py",
        "stack[:, UNKNOWN] = unknown",
        "pass",
        ("tests/model/test_tables.py", "tests/test_encoder_fitting.py"),
    ),
    Mutant(
        "leakage",
        "init-sees-own-fold",
        "An encoder given as init is fitted for each table on all rows, its own fold's included.",
        "fitting/initialization.py",
        "mask: NDArray[np.bool_] = folds.fold[None, :] != np.arange(folds.n_tables)[:, None]",
        "mask: NDArray[np.bool_] = np.ones((folds.n_tables, len(folds.fold)), dtype=bool)",
        ("tests/fitting/test_initialization.py", "tests/test_encoder_fitting.py"),
    ),
    Mutant(
        "folds",
        "groups-divided",
        "An integer cv divides groups between folds where there are no classes.",
        "input/folds.py",
        "splitter: Any = KFold if groups is None else GroupKFold",
        "splitter: Any = KFold",
        ("tests/input/test_folds.py", "tests/test_encoder_targets.py"),
    ),
    Mutant(
        "folds",
        "not-stratified",
        "Folds are stratified by class only where there are groups.",
        "input/folds.py",
        "    if strata is not None:\n        codes = np.unique(strata, return_inverse=True)[1]",
        "    if strata is not None and groups is not None:\n"
        "        codes = np.unique(strata, return_inverse=True)[1]",
        ("tests/input/test_folds.py", "tests/test_encoder_targets.py"),
    ),
    Mutant(
        "folds",
        "validation-divides-groups",
        "Under classification, validation rows are picked one by one although there are groups.",
        "input/folds.py",
        "    if groups is not None:\n        splitter = GroupShuffleSplit",
        "    if groups is not None and strata is None:\n        splitter = GroupShuffleSplit",
        ("tests/input/test_folds.py", "tests/test_encoder_targets.py"),
    ),
    Mutant(
        "unknowns",
        "unknown-not-trained",
        "Cells become unknown for the head, not for the tables: the unknown row learns nothing.",
        "learning/batches.py",
        "spared=own)",
        "spared=~own)",
        ("tests/learning/test_crossfit.py", "tests/test_encoder_unknowns.py"),
    ),
    Mutant(
        "unknowns",
        "unknown-rate-ignored",
        "The parameter unknown_rate is not handed on: training uses its default.",
        "_training.py",
        "unknown_rate=float(estimator.unknown_rate)",
        "unknown_rate=0.02",
        (
            "tests/test_encoder_unknowns.py",
            "tests/test_encoder_fitting.py",
            "tests/test_encoder_lists.py",
        ),
    ),
    Mutant(
        "unknowns",
        "unseen-category-kept",
        "A category that a fold's table never saw keeps its first vector there.",
        "model/tables.py",
        "filled[~known] = unknown",
        "pass",
        ("tests/model/test_tables.py", "tests/test_encoder_unknowns.py"),
    ),
    Mutant(
        "symmetry",
        "signs-not-fixed",
        "The axes of canonical coordinates keep the signs that the eigenvectors come with.",
        "model/coordinates.py",
        "axes = axes * signs(seen, share)",
        "axes = axes * 1.0",
        ("tests/model/test_coordinates.py",),
    ),
    Mutant(
        "symmetry",
        "sums-shifted",
        "Vectors of lists that are summed are centred, which no bias can make up for.",
        "model/coordinates.py",
        "shift = mean if symmetry.shift else np.zeros(width)",
        "shift = mean",
        ("tests/model/test_coordinates.py", "tests/test_encoder_lists.py"),
    ),
    Mutant(
        "symmetry",
        "align-leaves-gru",
        "align moves items, but the recurrent unit that reads them does not take the motion back.",
        "model/fitted.py",
        "p if p is None or m is None or p.items_symmetry is None else p.moved(m)",
        "p",
        ("tests/inspection/test_alignment.py",),
    ),
    Mutant(
        "symmetry",
        "dot-rotation-not-shared",
        "Tables of dot products are averaged over folds without a common orientation.",
        "model/heads/dot.py",
        "for _ in range(_ROUNDS if n_tables > 1 else 0):",
        "for _ in range(0):",
        ("tests/model/test_dot.py", "tests/test_encoder_dot.py"),
    ),
    Mutant(
        "weights",
        "validation-loss-unweighted",
        "The validation loss counts all rows alike in its sum.",
        "learning/crossfit.py",
        "total, weight = total + losses, weight + weights",
        "losses = self.loss.value(self.head(self.look_up(batch).inputs), batch.target)\n"
        "                counts = (batch.weights > 0).to(torch.float64)\n"
        "                losses = (losses * counts[:, None]).sum(0)\n"
        "                total, weight = total + losses, weight + weights",
        ("tests/learning/test_crossfit.py",),
    ),
    Mutant(
        "weights",
        "filling-rows-weigh",
        "Rows that fill the part of a head up, to as many as others have, weigh as others do.",
        "learning/batches.py",
        "weights.mul_(counts)\n        if self._silent",
        "if self._silent",
        ("tests/learning/test_batches.py", "tests/learning/test_crossfit.py"),
    ),
    Mutant(
        "weights",
        "target-width-unweighted",
        "Sample weights have no part in the width of a quantity.",
        "model/losses.py",
        "width = _width(target.values - mean, weights)",
        "width = _width(target.values - mean, np.ones_like(weights))",
        ("tests/model/test_losses.py", "tests/test_encoder_targets.py"),
    ),
    Mutant(
        "weights",
        "coordinates-unweighted",
        "Canonical coordinates count rows instead of adding up their weights.",
        "fitting/building.py",
        "np.bincount(codes, rows.weights[owners], minlength=vocabulary.n_rows)",
        "np.bincount(codes, minlength=vocabulary.n_rows)",
        (
            "tests/fitting/test_building.py",
            "tests/test_encoder_output.py",
            "tests/test_encoder_targets.py",
        ),
    ),
    Mutant(
        "weights",
        "shrinkage-unweighted",
        "The shrinkage of a category's vector counts rows instead of their weights.",
        "learning/batches.py",
        "np.bincount(codes[t], weights[t], n)",
        "np.bincount(codes[t], np.ones_like(weights[t]), n)",
        ("tests/learning/test_crossfit.py",),
    ),
    Mutant(
        "look-up",
        "lists-pooled-from-first",
        "A block of lists after the first one pools the items of the first.",
        "input/lists.py",
        "return Lists(self.items[offsets[0] : offsets[-1]], offsets - offsets[0])",
        "return Lists(self.items, offsets - offsets[0])",
        ("tests/input/test_lists.py", "tests/model/test_poolings.py", "tests/model/test_tables.py"),
    ),
    Mutant(
        "look-up",
        "max-length-takes-first",
        "max_length keeps the first items of a list instead of the last ones.",
        "input/table.py",
        "self._with_spans(np.maximum(starts, ends - n), ends, self.absent)",
        "self._with_spans(starts, np.minimum(ends, starts + n), self.absent)",
        ("tests/input/test_columns.py", "tests/test_encoder_lists.py"),
    ),
    Mutant(
        "stopping",
        "best-not-restored",
        "Training ends with the last state instead of the best one.",
        "learning/loop.py",
        "task.restore(state.best)\n    state.best = state.task = None",
        "task.restore(task.state())\n    state.best = state.task = None",
        ("tests/learning/test_loop.py", "tests/learning/test_learn.py"),
    ),
    Mutant(
        "stopping",
        "patience-not-renewed",
        "An improvement does not renew the patience.",
        "learning/loop.py",
        "self.iterations_without_change = 0 if enough else self.iterations_without_change + 1",
        "self.iterations_without_change += 0 if enough else 1",
        ("tests/learning/test_loop.py",),
    ),
    Mutant(
        "stopping",
        "pass-begins-again",
        "A training that goes on in the middle of a pass over the rows begins with another pass.",
        "learning/batches.py",
        'self._part = state["part"]',
        "self._part = 0",
        ("tests/learning/test_state.py", "tests/learning/test_batches.py"),
    ),
    Mutant(
        "losses",
        "huber-derivative",
        "The derivative of the Huber loss bends at two widths instead of one.",
        "learning/losses.py",
        "clamp_(-1.0, 1.0)",
        "clamp_(-2.0, 2.0)",
        ("tests/learning/test_losses.py",),
    ),
    Mutant(
        "losses",
        "poisson-derivative",
        "The derivative of the Poisson loss is taken in the mean instead of in its logarithm.",
        "learning/losses.py",
        "lambda raw, target: raw.exp() - target)",
        "lambda raw, target: 1 - target / raw.exp())",
        ("tests/learning/test_losses.py",),
    ),
    Mutant(
        "losses",
        "bounded-derivative",
        "The derivative between bounds forgets the gain of the sigmoid.",
        "learning/losses.py",
        "slope = (high - low) * gain * share * (1 - share)",
        "slope = (high - low) * share * (1 - share)",
        ("tests/learning/test_losses.py",),
    ),
    Mutant(
        "losses",
        "cross-entropy-derivative",
        "The derivative over exclusive classes is of a softmax over rows instead of classes.",
        "learning/losses.py",
        "raw.softmax(1)",
        "raw.softmax(0)",
        ("tests/learning/test_losses.py",),
    ),
    Mutant(
        "scales",
        "missing-number-in-a-bin",
        "A missing number is zero in its score, and that of the first value in its bins.",
        "input/context.py",
        "out[missing[:, j], start:end] = 0.0",
        "out[missing[:, j], start] = 0.0",
        ("tests/input/test_context.py",),
    ),
    Mutant(
        "scales",
        "rare-flag-unbounded",
        "Numbers of few values are standardised like others, however rare one of them is.",
        "input/context.py",
        "if len(distinct) < FEW_VALUES:",
        "if len(distinct) < 0:",
        ("tests/input/test_context.py",),
    ),
    Mutant(
        "scales",
        "hidden-scale-squared",
        "The hidden layer is scaled by the ratio of variances, not by its root.",
        "model/heads/perceptron.py",
        "np.sqrt(wanted / present)",
        "wanted / present",
        ("tests/model/test_heads.py", "tests/test_encoder_output.py"),
    ),
    Mutant(
        "serving",
        "unknown-zero-not-centre",
        "handle_unknown='zero' gives zeros where the column's mean vector is not zero.",
        "model/fitted.py",
        '"zero": lambda table: table.center,',
        '"zero": lambda table: np.zeros_like(table.center),',
        ("tests/test_encoder_unknowns.py", "tests/test_encoder_lists.py"),
    ),
    Mutant(
        "serving",
        "missing-nan-for-unknown",
        "handle_missing='nan' gives NaN for unknown cells instead of missing ones.",
        "model/fitted.py",
        "replace(t, missing=vector(t)) for t",
        "t if vector(t) is None else replace(t, unknown=vector(t)) for t",
        ("tests/test_encoder_unknowns.py",),
    ),
    Mutant(
        "serving",
        "bounds-without-link",
        "A regressor with y_range answers through the plain link, without the sigmoid.",
        "model/losses.py",
        "values: Float64 = self.low + (self.high - self.low) * expit(offset + gain * raw)",
        "values: Float64 = scale.restore(raw)",
        ("tests/test_encoder_dot.py", "tests/test_predictors.py"),
    ),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--first", action="store_true", help="leave out the wider tests")
    parser.add_argument("--write", nargs="?", const=STORED, type=Path, metavar="FILE")
    arguments = parser.parse_args()
    check(MUTANTS)
    chosen = [m for m in MUTANTS if not arguments.only or m.name in arguments.only]
    if unknown := set(arguments.only) - {m.name for m in chosen}:
        sys.exit(f"No mutants are called {sorted(unknown)}; see --list.")
    if arguments.list:
        for mutant in chosen:
            print(f"{mutant.area:9} {mutant.name:27} {mutant.broken}")
        return
    results: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        copy = Path(folder)
        copy_project(copy)
        for mutant in chosen:
            results[mutant.name] = try_mutant(mutant, copy, wider=not arguments.first)
            show(mutant, results[mutant.name])
            if arguments.write:
                write(arguments.write, results)
        false = failing_without_mutant(copy, results)
    n_killed = sum(r["killed"] for r in results.values())
    print(f"\n{n_killed} of {len(results)} mutants were noticed.")
    if false:
        sys.exit("These tests fail without a mutant, too:\n" + "\n".join(false))


def check(mutants: Sequence[Mutant]) -> None:
    """Refuse mutants that do not fit the code, all of them in one message."""
    wrong = []
    for m in mutants:
        file = ROOT / "sk_entity_embed" / m.file
        found = file.read_text().count(m.old) if file.exists() else -1
        if found != 1:
            where = "which is gone" if found < 0 else f"where it occurs {found} times"
            wrong.append(f"{m.name}: {m.old!r} must be once in {m.file}, {where}")
        wrong += [f"{m.name}: there is no {p}" for p in m.first if not (ROOT / p).exists()]
    names = [m.name for m in mutants]
    wrong += [f"{name}: two mutants have this name" for name in set(names) if names.count(name) > 1]
    if wrong:
        sys.exit("\n".join(wrong))


def copy_project(folder: Path) -> None:
    """Copy what the tests need."""
    skipped = shutil.ignore_patterns("__pycache__", ".*_cache", ".hypothesis", "_build", "cache")
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=skipped)
        else:
            shutil.copy2(source, folder / name)


def try_mutant(mutant: Mutant, folder: Path, *, wider: bool) -> dict[str, Any]:
    """Whether tests fail with a mutant, which one first, and the seconds it took."""
    file = folder / "sk_entity_embed" / mutant.file
    text = file.read_text()
    start = time.perf_counter()
    tests, test = "first", None
    try:
        file.write_text(text.replace(mutant.old, mutant.new))
        test = first_failure(folder, mutant.first, FIRST_LIMIT)
        if test is None and wider:
            tests = "wider"
            # What was run already passes again, and quickly enough.
            left_out = [f"--ignore-glob=*{path}" for path in LEFT_OUT]
            test = first_failure(folder, [*WIDER, *left_out], WIDER_LIMIT)
    finally:
        file.write_text(text)
    seconds = round(time.perf_counter() - start, 1)
    return {"killed": test is not None, "test": test, "tests": tests, "seconds": seconds}


def first_failure(folder: Path, paths: Sequence[str], limit: float) -> str | None:
    """The first test that fails, or what happened instead; None if all pass."""
    code, out = run_tests(folder, ["-x", *paths], limit)
    if code == 0:
        return None
    if code is None:
        return f"no answer within {limit:.0f} s"
    return next(iter(failures(out)), f"pytest ended with {code}")


def run_tests(folder: Path, arguments: Sequence[str], limit: float) -> tuple[int | None, str]:
    """Exit code, None beyond the time limit, and output."""
    environment = {**os.environ, "PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"}
    environment["PYTHONDONTWRITEBYTECODE"] = "1"  # files change within the second
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    with subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            out, _ = process.communicate(timeout=limit)
        except BaseException as error:
            os.killpg(process.pid, signal.SIGKILL)
            if isinstance(error, subprocess.TimeoutExpired):
                return None, ""
            raise
    return process.returncode, out


def failures(out: str) -> list[str]:
    """Tests that failed, from the summary of pytest."""
    lines = [line.split(" ", 1) for line in out.splitlines()]
    found = [line[1] for line in lines if line[0] in ("FAILED", "ERROR") and len(line) == 2]
    return [test.split(" - ")[0].strip() for test in found]


def failing_without_mutant(folder: Path, results: dict[str, dict[str, Any]]) -> list[str]:
    """Of the tests that noticed a mutant, those that fail without one."""
    noticed = {r["test"] for r in results.values() if r["killed"]}
    noticed = {test for test in noticed if test.partition("::")[0].endswith(".py")}
    if not noticed:
        return []
    code, out = run_tests(folder, sorted(noticed), FIRST_LIMIT)
    return [] if code == 0 else failures(out) or [out[-2000:]]


def show(mutant: Mutant, result: dict[str, Any]) -> None:
    found = "killed" if result["killed"] else "SURVIVED"
    by = result["test"] or f"all {result['tests']} tests pass"
    print(f"{found:9}{result['seconds']:7.1f} s  {mutant.name:27} {by}", flush=True)


def write(path: Path, results: dict[str, dict[str, Any]]) -> None:
    """Store results, beside those of other mutants that are there and the table before."""
    tables = json.loads(path.read_text()) if path.exists() else {}
    known = {m["name"]: m for m in tables.get("after", {}).get("mutants", [])}
    for mutant in MUTANTS:
        if mutant.name in results:
            described = {k: asdict(mutant)[k] for k in ("name", "area", "broken", "file")}
            known[mutant.name] = {**described, **results[mutant.name]}
    mutants = [known[m.name] for m in MUTANTS if m.name in known]
    tables["after"] = {
        "python": platform.python_version(),
        "killed": sum(m["killed"] for m in mutants),
        "of": len(mutants),
        "mutants": mutants,
    }
    path.write_text(json.dumps(tables, indent=1) + "\n")


if __name__ == "__main__":
    main()
