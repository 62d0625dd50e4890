"""The pages of the documentation keep what they promise: code that runs, and links to the API.

The cells of the pages run when the documentation is built; a cell that fails ends the build.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import sk_entity_embed
from sk_entity_embed import datasets, distributed, evaluation, export, inspection, sampling

DOCS = Path(__file__).parents[1] / "docs"
PAGES = sorted(
    path
    for folder in ("start", "guide", "background", "developing")
    for path in (DOCS / folder).glob("*.md")
    if not path.name.startswith("_")
)
# Code of a page that cannot run in a build, and why.
NOT_RUN = {
    "cluster.md": "starts a Ray cluster; tests/distributed runs it",
    "engines.md": "Spark and Dask; tests/test_engines.py runs it",
}
HOMES = (sk_entity_embed, datasets, distributed, evaluation, export, inspection, sampling)
PUBLIC = {name for home in HOMES for name in home.__all__ if callable(getattr(home, name))}
PUBLIC -= {"fit", "transform"}  # on most pages the methods, which are scikit-learn's words


def test_pages_are_found() -> None:
    assert len(PAGES) > 30
    assert len(PUBLIC) > 40


@pytest.mark.parametrize("page", PAGES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_code_of_a_page_is_run_when_it_is_built(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    if page.name not in NOT_RUN:
        assert not re.search(r"^```python", text, flags=re.MULTILINE)
    if re.search(r"^```\{code-cell\}", text, flags=re.MULTILINE):
        assert text.startswith("---\nfile_format: mystnb\n")


@pytest.mark.parametrize("page", PAGES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_page_links_the_functions_that_its_text_names(page: Path) -> None:
    """In code the build makes links of names by itself."""
    text = page.read_text(encoding="utf-8")
    text = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    roles = re.findall(r"\{(?:func|class|meth|obj|data)\}`~?([\w.]+)`", text)
    linked = {part for role in roles for part in role.split(".")}
    named = PUBLIC & set(re.findall(r"(?<![}\w])`(\w+)(?:\([^`]*)?`", text))
    assert named <= linked, f"name these by a role on {page.name}: {sorted(named - linked)}"
