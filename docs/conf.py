"""Sphinx configuration; `make docs` builds with warnings as errors and every reference checked."""

from sk_entity_embed import __version__

project = "sk_entity_embed"
author = "the sk_entity_embed developers"
copyright = f"2026, {author}"
version = release = __version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
]
templates_path = ["_templates"]
exclude_patterns = ["_build"]
myst_enable_extensions = ["amsmath", "deflist", "dollarmath"]
myst_heading_anchors = 3

autosummary_generate = True
autodoc_typehints = "none"  # numpydoc docstrings state the types
numpydoc_show_class_members = False  # the class template lists them
numpydoc_xref_param_type = False

# The build needs no network, so there is no intersphinx: names of other projects stay unlinked.
nitpicky = True
nitpick_ignore_regex = [
    (
        r"py:.*",
        r"(category_encoders|matplotlib|narwhals|numpy|pandas|pathlib|polars|pyarrow|scipy|sklearn"
        r"|skrub|torch|urllib)\..*",
    ),
    (r"py:class", r"(Exception|ImportError|TypeError|UserWarning|ValueError)"),
    (r"py:exc", r"(Exception|ImportError|TypeError|UserWarning|ValueError)"),
    (r"py:obj", r"optional"),
    # Inherited scikit-learn docstrings point into scikit-learn's own user guide and glossary.
    (r"std:ref", r"(accuracy_score|df_output_transform|metadata_routing|r2_score|sphx_glr_.*)"),
    (r"std:term", r".*"),
]

html_theme = "pydata_sphinx_theme"
html_title = f"sk_entity_embed {release}"
html_theme_options = {"show_prev_next": False, "secondary_sidebar_items": ["page-toc"]}
html_show_sourcelink = False
