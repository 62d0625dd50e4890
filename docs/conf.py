"""Sphinx configuration; `make docs` builds with warnings as errors and every reference checked."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # the helper modules beside this file

import _gallery
import _inventories

from sk_entity_embed import __version__

project = "sk_entity_embed"
author = "the sk_entity_embed developers"
copyright = f"2026, {author}"
version = release = __version__

extensions = [
    "myst_nb",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx.ext.mathjax",
    "sphinx_codeautolink",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
templates_path = ["_templates"]
exclude_patterns = ["_build", "**/_*.md", "gallery/*.ipynb"]
myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

# Pages with `file_format: mystnb` are notebooks. Their cells run at each build, in a temporary
# folder, so that what they show is what the code does; a cell that fails ends the build.
nb_execution_mode = "force"
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_execution_show_tb = True
nb_merge_streams = True
nb_mime_priority_overrides = [("html", "application/vnd.plotly.v1+json", 0)]
# Names in code are links, too. A page is one program, cell after cell.
codeautolink_concat_default = True
codeautolink_custom_blocks = {"ipython3": "sphinx_codeautolink.clean_ipython"}
suppress_warnings = [
    "codeautolink.match_block",  # doctest flags, which Sphinx leaves out of the page
    "codeautolink.match_name",  # the gallery's code, in which Sphinx-Gallery has made the links
    "config.cache",  # what codeautolink makes of its option
]

copybutton_exclude = ".linenos, .gp, .go"
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

autosummary_generate = True
autodoc_typehints = "none"  # numpydoc docstrings state the types
numpydoc_show_class_members = False  # the class template lists them
numpydoc_xref_param_type = False

# A build without a network takes the names of other projects from files beside this one.
intersphinx_mapping = _inventories.mapping(Path(__file__).parent / "_build" / "inventories")
intersphinx_timeout = 5
intersphinx_disabled_reftypes = ["std:*"]

sphinx_gallery_conf = _gallery.CONF

nitpicky = True
nitpick_ignore_regex = [
    # Types and functions that the local inventories leave out.
    (
        r"py:.*",
        r"(category_encoders|matplotlib|narwhals|numpy|pandas|pathlib|polars|pyarrow|scipy|sklearn"
        r"|skrub|torch|urllib)\..*",
    ),
    (r"py:(class|exc)", r"(Exception|ImportError|TypeError|UserWarning|ValueError)"),
    (r"py:obj", r"optional"),
    # Inherited scikit-learn docstrings point into scikit-learn's own user guide and glossary.
    (r"std:ref", r"(accuracy_score|df_output_transform|metadata_routing|r2_score|sphx_glr_.*)"),
    (r"std:term", r"(?!cross-fitting).*"),
]

html_theme = "pydata_sphinx_theme"
html_title = f"sk_entity_embed {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
toc_object_entries_show_parents = "hide"
html_theme_options = {
    "header_links_before_dropdown": 6,
    "logo": {"text": "sk_entity_embed"},
    "navbar_align": "left",
    "secondary_sidebar_items": ["page-toc"],
    "show_toc_level": 2,
    "icon_links": [
        {
            "name": "Source code",
            "url": "https://github.com/sk-entity-embed/sk-entity-embed",
            "icon": "fa-brands fa-github",
        }
    ],
}
html_sidebars = {"index": []}
