"""What a user's type checker sees of names that are imported when they are first used."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import sk_entity_embed

SCRIPT = """\
import sk_entity_embed
from sk_entity_embed import EntityEmbeddingEncoder, export, sampling
from sk_entity_embed.datasets import load_flights
from sk_entity_embed.export import laod
from sk_entity_embed.inspection import EmbeddingDisplay, nearest

reveal_type(sk_entity_embed.export.load)
reveal_type(export.to_onnx)
reveal_type(load_flights(10))
reveal_type(nearest)
reveal_type(EmbeddingDisplay.from_estimator)
reveal_type(sampling.NegativeSampler([]).epoch(0))
reveal_type(sk_entity_embed.EntityEmbeddingRegressor().predict([]))
reveal_type(sk_entity_embed.evaluation.encoding_report)
EntityEmbeddingEncoder(output="bth")
EntityEmbeddingEncoder(init="nomal")
EntityEmbeddingEncoder(max_iter="5")
EntityEmbeddingEncoder(callbacks=print)
EntityEmbeddingEncoder(callbacks=[lambda epoch, losses: losses["train"].upper()])
nearest({}, "city", "Oslo", k="3")
EmbeddingDisplay.from_estimator({}, method="pac")
EntityEmbeddingEncoder().fit([], [], sampel_weight=[])
EntityEmbeddingEncoder(callbacks=[lambda epoch, losses: print(epoch + 1, losses["train"] / 2)])
EntityEmbeddingEncoder(output="both", head="dot", pooling={"words": "gru"}, max_iter=5)
sk_entity_embed.EntityEmbeddingClassifier(handle_unknown="nan")
"""
EXPECTED = [
    'Module "sk_entity_embed.export" has no attribute "laod"',
    'Revealed type is "def (path: str | os.PathLike[str]) -> ',
    'Revealed type is "def (',
    'Revealed type is "tuple[',
    'Revealed type is "def (',
    "-> sk_entity_embed.inspection.displays.embedding.EmbeddingDisplay",
    'Revealed type is "tuple[',
    'Revealed type is "',
    'Revealed type is "def (estimator: sk_entity_embed.encoder.EntityEmbeddingEncoder, ',
    'Argument "output" to "EntityEmbeddingEncoder" has incompatible type "Literal[\'bth\']"',
    'Argument "init" to "EntityEmbeddingEncoder" has incompatible type',
    'Argument "max_iter" to "EntityEmbeddingEncoder" has incompatible type',
    'Argument "callbacks" to "EntityEmbeddingEncoder" has incompatible type',
    '"float" has no attribute "upper"',
    'Argument "k" to "nearest" has incompatible type "str"; expected "int | None"',
    'Argument "method" to "from_estimator" of "EmbeddingDisplay" has incompatible type',
    'Unexpected keyword argument "sampel_weight" for "fit"',
    '"fit" defined in',
    'Argument "handle_unknown" to "EntityEmbeddingClassifier" has incompatible type',
]
"""What mypy says, line after line, and nothing else."""


def test_types_and_slips_are_seen_by_mypy(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    (tmp_path / "script.py").write_text(SCRIPT)
    # Without the types of other libraries, which take mypy most of its time.
    options = ["--strict", "--no-site-packages", "--follow-imports=silent", "--no-error-summary"]
    options += ["--disable-error-code=import-not-found", "--cache-dir", str(tmp_path / "cache")]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *options, str(tmp_path / "script.py")],
        capture_output=True,
        text=True,
        check=False,
        env={"MYPYPATH": str(Path(sk_entity_embed.__file__).parents[1])},
    )
    said = done.stdout.splitlines()
    assert len(said) == len(EXPECTED), done.stdout + done.stderr
    for line, expected in zip(said, EXPECTED, strict=True):
        assert expected in line


RIGHT = """\
# pyright: strict
from pathlib import Path

import numpy as np
import pandas as pd

from sk_entity_embed import EntityEmbeddingClassifier, EntityEmbeddingEncoder, export, inspection


def log(epoch: int, losses: dict[str, float]) -> None:
    print(epoch, losses["train"])


X = pd.DataFrame({"city": ["Oslo", "Rome"] * 60})
y = np.arange(120) % 2
encoder: EntityEmbeddingEncoder = EntityEmbeddingEncoder(output="both", callbacks=[log]).fit(X, y)
vectors: np.ndarray = encoder.fit_transform(X, y)
table: pd.DataFrame = encoder.embeddings_["city"]
near: pd.DataFrame = inspection.nearest(encoder, "city", "Oslo", k=1, metric="dot")
ax = inspection.EmbeddingDisplay.from_estimator(encoder, "city", theme="dark").ax_
page: Path = inspection.explore(encoder, methods=["tsne"]).save("page.html")
statement: str = export.sql(encoder, "rows")
model: EntityEmbeddingClassifier = EntityEmbeddingClassifier().partial_fit(X, y, classes=[0, 1])
shares: np.ndarray = model.predict_proba(X)[:, model.classes_ == 1]
epochs: int = model.n_iter_
"""
WRONG = """\
# pyright: standard
from sk_entity_embed import EntityEmbeddingClassifier, EntityEmbeddingEncoder, export, inspection
e = EntityEmbeddingEncoder()
EntityEmbeddingEncoder(output="bth")
EntityEmbeddingEncoder(callbacks=print)
EntityEmbeddingEncoder(callbacks=[lambda epoch: None])
EntityEmbeddingEncoder(haed="dot")
EntityEmbeddingClassifier(output="both")
inspection.nearest(e, "city", "Oslo", k="3")
inspection.nearest(e, "city", "Oslo", metric="cosin")
inspection.explore(e, methods=["tsn"])
inspection.neerest(e, "city", "Oslo")
export.to_onx(e)
e.fit([], [], sampel_weight=[])
e.fit([], []).fit_transfrom([])
e.n_iterations_ + 1
"""
"""All lines from the fourth on are wrong."""


def test_pyright_passes_a_right_script_and_sees_slips(tmp_path: Path) -> None:
    pytest.importorskip("basedpyright")
    pytest.importorskip("numpy", "2.2", reason="older arrays have no default types")
    (tmp_path / "right.py").write_text(RIGHT)
    (tmp_path / "wrong.py").write_text(WRONG)
    root = str(Path(sk_entity_embed.__file__).parents[1])
    (tmp_path / "pyrightconfig.json").write_text(json.dumps({"extraPaths": [root]}))
    options = ["--outputjson", "--pythonpath", sys.executable, "--project", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-m", "basedpyright", *options],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    found = json.loads(done.stdout)["generalDiagnostics"]
    said = {"right": {}, "wrong": {}}
    for each in found:
        line = each["range"]["start"]["line"] + 1
        said[Path(each["file"]).stem][line] = each["message"]
    assert said["right"] == {}
    assert sorted(said["wrong"]) == list(range(4, len(WRONG.splitlines()) + 1))
