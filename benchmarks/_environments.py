"""Environments of peers whose versions clash with ours, made once and kept in a folder."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

CONSTRAINTS = Path(__file__).parents[1] / "constraints.txt"


@dataclass(frozen=True, slots=True)
class Environment:
    """What pip is asked for.

    Attributes
    ----------
    name : str
        Name of the folder.
    requirements : tuple of str
        What is installed.
    constrained : tuple of str
        Packages that take the version of ``constraints.txt``, if they are installed at all.
    """

    name: str
    requirements: tuple[str, ...]
    constrained: tuple[str, ...] = ()


EMBEDDING_ENCODER = Environment(
    "embedding-encoder",
    (
        "embedding-encoder==0.0.4",
        "scikit-learn==1.2.2",
        "pandas==1.5.3",
        "numpy==1.26.4",
        "scipy==1.11.4",  # later ones are unknown to that scikit-learn
        "tensorflow-cpu==2.18.0",
    ),
)
SKORCH = Environment(
    "skorch",
    ("skorch==1.4.0", "torch", "numpy", "pandas", "scikit-learn"),
    ("torch", "numpy", "pandas", "scikit-learn", "scipy"),
)
# It wants pandas below 3, so that only torch can be ours.
PYTORCH_TABULAR = Environment(
    "pytorch-tabular",
    ("pytorch-tabular==1.2.0", "requests"),  # which it imports without saying so
    ("torch",),
)
# Whole models that a user would pick instead. They run with our versions of everything else.
WHOLE_MODELS = Environment(
    "rivals",
    (
        "catboost==1.2.10",
        "xgboost-cpu==3.2.0",
        "pytabkit==1.8.0",
        "tabm==0.0.3",
        "torch",
        "lightgbm",
        "pyarrow",
    ),
    (
        *("torch", "numpy", "pandas", "scikit-learn", "scipy", "lightgbm", "pyarrow"),
        *("matplotlib", "plotly", "joblib"),
    ),
)


class EnvironmentUnavailable(RuntimeError):
    """The packages are not to be had here."""


def python_of(environment: Environment, folder: Path) -> Path:
    """Interpreter of an environment in a folder, which is made there if it is missing.

    Raises
    ------
    EnvironmentUnavailable
        If pip cannot install it; the message says why.
    """
    home = folder.resolve() / environment.name
    python, done = home / "bin" / "python", home / ".installed"
    pins = pinned(CONSTRAINTS.read_text(), environment.constrained)
    wanted = "\n".join((*environment.requirements, *pins))
    mark = hashlib.sha256(wanted.encode()).hexdigest()
    if done.exists() and done.read_text() == mark:
        return python
    print(f"making the environment of {environment.name} ...", flush=True)
    shutil.rmtree(home, ignore_errors=True)
    _run([sys.executable, "-m", "venv", str(home)])
    constraints = home / "constraints.txt"
    constraints.write_text("\n".join(pins) + "\n")
    pip = [str(python), "-m", "pip", "install", "-q", "--only-binary=:all:"]
    _run([*pip, "-c", str(constraints), *environment.requirements])
    done.write_text(mark)
    return python


def pinned(constraints: str, packages: Sequence[str]) -> list[str]:
    """Lines of a constraints file that pin the given packages.

    Raises
    ------
    ValueError
        If one of them is not pinned: an unpinned torch would bring GPU packages along.
    """
    lines = [line.split("#")[0].strip() for line in constraints.splitlines()]
    found = {line.split("==")[0]: line for line in lines if "==" in line}
    missing = sorted(set(packages) - set(found))
    if missing:
        raise ValueError(f"constraints.txt does not pin {', '.join(missing)}")
    return [found[package] for package in packages]


def _run(command: Sequence[str]) -> None:
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        errors = [line for line in result.stderr.splitlines() if line.startswith("ERROR")]
        raise EnvironmentUnavailable(errors[-1] if errors else result.stderr[-300:])
