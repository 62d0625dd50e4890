"""What a user's type checker sees of names that are imported when they are first used."""

from __future__ import annotations

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
