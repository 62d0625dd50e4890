"""Progress bars where there is no widget for them."""

from __future__ import annotations

import subprocess
import sys

NOTEBOOK = """
import sys, types
shell = types.SimpleNamespace(config={"IPKernelApp": {}})
sys.modules["IPython"] = types.SimpleNamespace(get_ipython=lambda: shell)
sys.modules["ipykernel.zmqshell"] = sys.modules["IPython"]
sys.modules["ipywidgets"] = None
if sys.argv[1] == "ours":
    from sk_entity_embed._progress import tqdm
else:
    from tqdm.auto import tqdm
for _ in tqdm(range(2), desc="rows"):
    pass
"""


def run(whose: str) -> subprocess.CompletedProcess[str]:
    """Show a bar as in a notebook without ipywidgets."""
    command = [sys.executable, "-c", NOTEBOOK, whose]
    return subprocess.run(command, capture_output=True, text=True, check=True)


def test_a_notebook_without_widgets_shows_a_bar_of_text_and_no_warning() -> None:
    said = run("ours").stderr
    assert "IProgress" not in said
    assert "rows: 100%" in said
    assert "IProgress not found" in run("tqdm's").stderr  # what is kept from the user
