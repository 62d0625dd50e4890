"""Addresses of the documentation."""

from __future__ import annotations

DOCS_URL = "https://sk-entity-embed.readthedocs.io/en/stable/"
"""Where the site is; the same as in ``pyproject.toml``."""

API_PAGE = f"{DOCS_URL}api/generated/sk_entity_embed.{{name}}.html"
"""The page of a public name, which may have modules in front."""
