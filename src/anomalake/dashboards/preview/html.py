"""Assembles the HTML file: the page's markup, style and script, Vega-Lite, and the data."""

import base64
import hashlib
import re
import zlib
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

import msgspec

_COMPRESSION_LEVEL = 5  # of zlib; level 9 takes twice the time for 2 % less
_SCRIPTS = ("data.js", "elements.js", "charts.js", "tables.js", "sheets.js")  # joined to one script, in this order


def build_html(title: str, content: Mapping[str, Any]) -> str:
    """Return the page with the content as compressed JSON.

    The content security policy allows the page's own scripts and style by their SHA-256 digests, and no connection.
    """
    data = zlib.compress(msgspec.json.encode(content), _COMPRESSION_LEVEL)
    folder = files(__package__) / "page"
    style = (folder / "page.css").read_text("utf-8")
    script = "\n".join((folder / name).read_text("utf-8") for name in _SCRIPTS)
    library = (folder / "vega_embed.js").read_text("utf-8")  # written by `make vega`
    script_digests = " ".join(f"'sha256-{_digest(text)}'" for text in (library, script))
    policy = (
        f"default-src 'none'; script-src {script_digests}; style-src 'sha256-{_digest(style)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    parts = {
        "policy": policy,
        "title": _escape(title),
        "style": style,
        "data": base64.b64encode(data).decode(),
        "library": library,
        "script": script,
    }
    template = (folder / "page.html").read_text("utf-8")
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], template)


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
