"""The explorer's page: one HTML file, or frames of a notebook that share plotly.

Nothing is loaded from elsewhere.
"""

from __future__ import annotations

import gzip
import json
import re
from base64 import b64encode
from functools import cache
from hashlib import sha256
from html import escape
from importlib.resources import files
from typing import Any

from sk_entity_embed.inspection.displays.theme import DARK, LIGHT

_SCRIPTS = ("library.js", "data.js", "colours.js", "combobox.js", "marks.js", "plot.js", "page.js")

_POLICY = (
    "default-src 'none'; script-src {scripts} 'unsafe-eval'; style-src 'unsafe-inline'; "
    "img-src data: blob:; connect-src 'none'; base-uri 'none'; form-action 'none'"
)
"""Only the page's own two scripts run. Plotly's WebGL library makes functions from its own code,
which is what 'unsafe-eval' lets it do; no data is ever evaluated."""


def build_page(payload: dict[str, Any], title: str, *, alone: bool = True) -> str:
    """Return the page as text, from what JSON can hold of its data.

    It has plotly unless it is not `alone`: then the page around its frame hands it over.
    """
    plotly = _script(plotly_source())
    constants = f"const LIBRARY = {json.dumps(_library_name(plotly))};\n{_palettes()}"
    own = _script(
        "\n".join(["(() => {", '"use strict";', constants, *map(_read, _SCRIPTS), "})();"])
    )
    parts = {
        "policy": escape(_POLICY.format(scripts=f"{_hash(plotly)} {_hash(own)}"), quote=True),
        "title": escape(_encodable(title)),
        "style": _read("page.css"),
        "data": json_for_html(payload),
        "plotly": plotly if alone else "",
        "script": own,
    }
    return _filled(_read("page.html"), parts)


def library_script() -> str:
    """Return the script by which the page around frames hands plotly over to them."""
    return f"<script>{_packed_library(_script(plotly_source()))}</script>"


@cache
def _packed_library(plotly: str) -> str:
    packed = b64encode(gzip.compress(plotly.encode("utf-8"), mtime=0)).decode("ascii")
    parts = {"name": json.dumps(_library_name(plotly)), "gzip": json.dumps(packed)}
    return _filled(_read("library_around.js"), parts)


def _library_name(plotly: str) -> str:
    return f"sk_entity_embed plotly {sha256(plotly.encode('utf-8')).hexdigest()[:16]}"


def _filled(template: str, parts: dict[str, str]) -> str:
    """Fill in parts. Split once: what is filled in is never searched for places to fill."""
    pieces = re.split(r"@(\w+)@", template)
    return "".join(parts[p] if i % 2 else p for i, p in enumerate(pieces))


def plotly_source() -> str:
    """Return the JavaScript of the installed plotly."""
    try:
        from plotly.offline import get_plotlyjs
    except ImportError as error:
        raise ImportError(
            "The explorer needs plotly: pip install 'sk-entity-embed[explore]'."
        ) from error
    return str(get_plotlyjs())


def json_for_html(value: Any) -> str:
    """Return JSON in ASCII that an HTML parser passes over: no tag or entity can begin in it."""
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def iframe(page: str, title: str, height: int) -> str:
    """Return a frame with the page, so that a notebook and it do not get in each other's way."""
    content = page.replace("&", "&amp;").replace("'", "&#39;")
    # In ASCII: read in another encoding, the scripts would not have their hashes.
    content = content.encode("ascii", "xmlcharrefreplace").decode("ascii")
    return (
        f'<iframe title="{escape(_encodable(title))}" sandbox="allow-scripts allow-downloads" '
        f'style="width:100%;height:{height}px;border:1px solid #80868b;border-radius:8px" '
        f"srcdoc='{content}'></iframe>"
    )


def _palettes() -> str:
    """Return the displays' colours of kinds, and the greys of other and of missing ones."""
    themes = {"light": LIGHT, "dark": DARK}
    kinds = {name: theme.categorical for name, theme in themes.items()}
    greys = {name: {"other": t.muted, "missing": t.grid} for name, t in themes.items()}
    return f"const KINDS = {json.dumps(kinds)};\nconst GREY = {json.dumps(greys)};"


def _read(name: str) -> str:
    return (files(__package__) / name).read_text(encoding="utf-8")


def _script(source: str) -> str:
    """Return a script as HTML's parser will hand it on, so that its hash agrees."""
    source = source.replace("\r\n", "\n").replace("\r", "\n")
    return source.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def _hash(script: str) -> str:
    return f"'sha256-{b64encode(sha256(script.encode('utf-8')).digest()).decode('ascii')}'"


def _encodable(text: str) -> str:
    """Return text without lone surrogates, which no file in UTF-8 can hold."""
    return text.encode("utf-8", "replace").decode("utf-8")
