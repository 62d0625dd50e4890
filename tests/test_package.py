"""What the package says of itself to installers and in bug reports."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np

from sk_entity_embed import __main__ as report
from sk_entity_embed import __version__

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_a_bug_report_names_all_versions_and_imports_nothing():
    code = "import sys, runpy; runpy.run_module('sk_entity_embed', run_name='__main__'); "
    code += "print(sorted({'numpy', 'torch', 'sklearn'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert f"sk-entity-embed  {__version__} in " in done.stdout
    assert re.search(rf"numpy +{re.escape(np.__version__)}\n", done.stdout)
    assert re.search(r"torch +\d\S+ \((CPU only|cuda .*|hip .*)\)\n", done.stdout)
    assert done.stdout.endswith("[]\n")


def test_packages_come_from_the_metadata_each_with_its_extra(monkeypatch):
    lines = [
        "numpy>=2",
        "Nothing-Here[a,b]>=1.0; extra == 'pair'",
        'sk-entity-embed[x]; extra == "all"',
    ]
    monkeypatch.setattr(report.metadata, "requires", lambda _: lines)
    assert report.required_packages() == {"numpy": np.__version__}
    assert report.optional_packages() == {"Nothing-Here": "not installed (pair)"}


def test_a_checkout_that_is_not_installed_is_reported_too(monkeypatch):
    def requires(_):
        raise report.metadata.PackageNotFoundError

    monkeypatch.setattr(report.metadata, "requires", requires)
    assert report.required_packages() == report.optional_packages() == {}


def test_serving_needs_all_but_what_learns_and_compares():
    lines = (ROOT / "docs" / "serving-requirements.txt").read_text().splitlines()
    served = {line for line in lines if line and not line.startswith("#")}
    left_out = {line for line in PROJECT["dependencies"] if line not in served}
    assert served < set(PROJECT["dependencies"])
    assert {re.split("[<>=]", line)[0] for line in left_out} == {"category-encoders", "torch"}


def test_the_oldest_versions_allowed_are_those_tested():
    text = (ROOT / "constraints-oldest.txt").read_text()
    tested = dict(re.findall(r"^([\w-]+)==(.+)$", text, re.MULTILINE))
    extras = {
        k: v for k, v in PROJECT["optional-dependencies"].items() if k not in ("all", "atlas")
    }
    for line in [*PROJECT["dependencies"], *(line for some in extras.values() for line in some)]:
        name, bound = re.fullmatch(r"([\w-]+)(?:\[.*\])?[>=]=(.*)", line).groups()
        if name != "torch":  # of which there is one build without CUDA
            assert f"{tested[name]}.".startswith(f"{bound}."), line
