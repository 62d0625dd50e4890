"""What Sphinx-Gallery is told about the scripts in ``examples/``."""

from __future__ import annotations

import tempfile
from pathlib import Path

# Rows of each script in a build of the site; `make examples` takes all of them.
ROWS = {
    "bigger_than_memory": 30_000,
    "flights": 40_000,
    "movie_reviews": 4_000,
    "movielens": 40_000,
    "similar_cars": 6_000,
    "student_sequences": 15_000,
    "token_effects": 20_000,
    "wiki_books": 400,
}


def reset_argv(gallery_conf: object, script_vars: dict[str, str]) -> list[str]:
    """Return a script's command line: fewer rows, and pictures to a folder that is thrown away."""
    rows = ROWS[Path(script_vars["src_file"]).stem]
    folder = Path(tempfile.gettempdir()) / "sk_entity_embed_gallery"
    return ["--rows", str(rows), "--output", str(folder)]


CONF = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "filename_pattern": r"\.py$",
    "ignore_pattern": r"(^|/)(_|gallery\.py$)",
    "within_subsection_order": "FileNameSortKey",
    "reset_argv": "_gallery.reset_argv",
    "backreferences_dir": "api/generated",
    "doc_module": ("sk_entity_embed",),
    "reference_url": {"sk_entity_embed": None},
    "abort_on_example_error": True,
    "download_all_examples": False,
    "show_memory": False,
    "show_signature": False,
    "write_computation_times": False,
    "min_reported_time": 10_000,
    "parallel": 2,
    "remove_config_comments": True,
}
