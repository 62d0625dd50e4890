"""The code of the page on clusters runs, and so do the examples of the functions."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pandas as pd
import pytest

from sk_entity_embed.distributed import fit, fitting, transform
from tests.distributed.threads import train_in_threads

PAGE = Path(__file__).parents[2] / "docs" / "guide" / "cluster.md"


def test_the_code_of_the_page_runs(ray, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(fitting, "train", train_in_threads)  # which starts at once
    text = PAGE.read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    assert len(blocks) == 5
    namespace = {}
    for block in blocks:
        exec(compile(block, "cluster.md", "exec"), namespace)
    model, clicks = namespace["model"], namespace["clicks"]
    written = pd.read_parquet(tmp_path / "vectors")
    assert written.columns[0] == "clicked"
    expected = model.transform(clicks.drop(columns="clicked"))
    assert (written.drop(columns="clicked").to_numpy() == expected).all()
    assert set(namespace["search"].best_params_) == {"dropout"}


@pytest.mark.parametrize("function", [fit, transform])
def test_the_example_of_a_function_runs(ray, monkeypatch, function):
    monkeypatch.setattr(fitting, "train", train_in_threads)
    text = re.sub(r"  # doctest: \+SKIP", "", function.__doc__)
    example = doctest.DocTestParser().get_doctest(text, {}, function.__name__, None, None)
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    assert runner.run(example).failed == 0
