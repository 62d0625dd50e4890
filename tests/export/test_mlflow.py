"""MLflow: what is logged is loaded and served, in a process that has no torch."""

from __future__ import annotations

import asyncio
import importlib.metadata
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

import sk_entity_embed
from sk_entity_embed.exceptions import InvalidParameterError
from sk_entity_embed.export import SKOPS_TYPES, save, serving_requirements
from tests.samples import make_encoder, make_rows

PACKAGE = Path(sk_entity_embed.__file__).parent

WITHOUT_TORCH = """
import sys

class NoTorch:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            raise ModuleNotFoundError("No module named 'torch'", name="torch")

sys.meta_path.insert(0, NoTorch())
import mlflow
import pandas as pd
model = mlflow.pyfunc.load_model(sys.argv[1])
print(model.predict(pd.read_json(sys.argv[2])).tolist())
import sk_entity_embed
print(sk_entity_embed.__file__)
"""
"""Serves a model as if torch were not installed; the package comes with the model."""


@pytest.mark.filterwarnings("ignore")  # MLflow's own, of pydantic, its stores and file formats
def test_a_model_is_logged_loaded_and_served_without_torch(tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow", minversion="3")
    scoring_server = pytest.importorskip("mlflow.pyfunc.scoring_server")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.chdir(tmp_path)
    mlflow.set_tracking_uri((tmp_path / "runs").as_uri())
    X, y = make_rows(120)
    columns = ColumnTransformer(
        [("encoder", make_encoder(interactions=[("letter", "color")]), ["letter", "color"])],
        remainder="passthrough",
    )
    pipeline = make_pipeline(columns, LogisticRegression()).fit(X, y > 0)
    info = mlflow.sklearn.log_model(
        pipeline,
        name="model",
        signature=mlflow.models.infer_signature(X, pipeline.predict(X)),
        skops_trusted_types=SKOPS_TYPES,
        pip_requirements=serving_requirements("skops"),
        code_paths=[str(PACKAGE)],
    )
    folder = Path(mlflow.artifacts.download_artifacts(info.model_uri))
    lines = (folder / "requirements.txt").read_text().split()
    names = {line.split("==")[0] for line in lines}
    assert names == {*(r.split("==")[0] for r in serving_requirements("skops")), "mlflow"}

    expected = pipeline.predict(X)
    loaded = mlflow.pyfunc.load_model(info.model_uri)
    np.testing.assert_array_equal(loaded.predict(X), expected)
    assert posted(scoring_server.init(loaded), X) == expected.tolist()

    X.to_json(tmp_path / "rows.json")
    command = [sys.executable, "-c", WITHOUT_TORCH, str(folder), str(tmp_path / "rows.json")]
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    answer = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=kept)
    assert answer.returncode == 0, answer.stderr
    predicted, file = answer.stdout.splitlines()[-2:]
    assert json.loads(predicted.lower()) == expected.tolist()
    assert Path(file).is_relative_to(folder)


def posted(app, X):
    """The predictions that a scoring server answers to a request with rows."""
    body = json.dumps({"dataframe_split": json.loads(X.to_json(orient="split"))}).encode()
    sent = []

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message):
        sent.append(message)

    header = [(b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": "/invocations", "headers": header}
    scope |= {"query_string": b"", "http_version": "1.1", "asgi": {"version": "3.0"}}
    asyncio.run(app({**scope, "raw_path": b"/invocations", "root_path": ""}, receive, send))
    assert sent[0]["status"] == 200, sent
    return json.loads(b"".join(m.get("body", b"") for m in sent))["predictions"]


ONLY_LISTED = """
import re, sys
from importlib.metadata import packages_distributions, requires

file, folder, *listed = sys.argv[1:]
allowed, waiting = set(), ["sk-entity-embed", *(line.split("==")[0] for line in listed)]
while waiting:
    name = re.sub("[-_.]+", "-", waiting.pop()).lower()
    if name not in allowed:
        allowed.add(name)
        needed = [] if name == "sk-entity-embed" else requires(name) or []
        waiting += [re.match("[A-Za-z0-9._-]+", r)[0] for r in needed if ";" not in r]
owners = packages_distributions()

class Refuse:
    def find_spec(self, name, path=None, target=None):
        found = {re.sub("[-_.]+", "-", owner).lower() for owner in owners.get(name, [])}
        if found and not found & allowed:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Refuse())
import pandas as pd
from sk_entity_embed.export import load
encoder = load(file)
X = pd.DataFrame({"letter": ["a", "b"], "color": ["red", "blue"], "size": [0.0, 1.0]})
encoder.transform_batches(X, folder + "/out.parquet")
assert encoder.transform(X).shape == (2, 6)
for name in ("torch", "matplotlib", "category_encoders", "joblib"):
    try:
        __import__(name)
    except ModuleNotFoundError:
        print(name)
"""
"""Serves a file where no package can be imported but those listed, and those they require."""


def test_serving_needs_only_the_packages_listed(tmp_path):
    encoder = make_encoder(dimensions=3).fit(*make_rows(120))
    save(encoder, tmp_path / "encoder")
    listed = serving_requirements()
    versions = dict(line.split("==") for line in listed)
    published = (PACKAGE.parent / "docs" / "serving-requirements.txt").read_text()
    assert [*versions] == re.findall(r"^([\w-]+)>=", published, re.MULTILINE)
    assert all(importlib.metadata.version(name) == found for name, found in versions.items())
    command = [sys.executable, "-c", ONLY_LISTED, str(tmp_path / "encoder"), str(tmp_path), *listed]
    env = {**os.environ, "PYTHONPATH": str(PACKAGE.parent)}
    answer = subprocess.run(command, capture_output=True, text=True, env=env)
    assert answer.stdout.split() == ["torch", "matplotlib", "category_encoders"], answer.stderr


def test_packages_that_are_not_there_are_named():
    with pytest.raises(InvalidParameterError, match="'no-such-package'"):
        serving_requirements("no-such-package")
