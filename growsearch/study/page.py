"""The one page of a report: a template, its styles, its scripts and its data in one file."""

import base64
import hashlib
import json
import re
from importlib.resources import files
from typing import Any

_LINKED = re.compile(
    r'<link rel="stylesheet" href="(?P<style>[a-z_]+\.css)">'
    r'|<script src="(?P<script>[a-z_]+\.js)"></script>\n'
    r"|\{\{(?P<place>title|data)\}\}"
)
_INLINE = re.compile(r"<(script|style)>(.*?)</\1>", re.DOTALL)
_LIVE = "live.js"
"""The script that only a served page has."""


def fill_page(title: str, data: dict[str, Any]) -> str:
    """The page of `data`, which is in JSON's types. It loads nothing from elsewhere.

    The template page.html names its styles and scripts, as a page on a server would; here each is
    put in their place. With a key "live" in `data` the page follows its study, and must be served.
    """
    return fill_in(title, json_text(data), live="live" in data)


def json_text(data: dict[str, Any]) -> str:
    """`data` as JSON that may stand in a script element: no text in it can end the element."""
    return json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")


def fill_in(title: str, data: str, live: bool = False) -> str:
    """As `fill_page`, of the text of `json_text`."""
    places = {"title": title.replace("&", "&amp;").replace("<", "&lt;"), "data": data}

    def filled(found: re.Match[str]) -> str:
        if found["style"]:
            return f"<style>\n{_part(found['style'])}</style>"
        if found["script"]:
            if found["script"] == _LIVE and not live:
                return ""
            return f"<script>\n{_part(found['script'])}</script>\n"
        return places[found["place"]]

    # in one pass: a study may be named like a place of the template
    return _LINKED.sub(filled, _part("page.html"))


def content_policy() -> str:
    """The Content-Security-Policy of a served page: its own scripts and styles, by their hashes,
    and questions to its own server.
    """
    hashes: dict[str, list[str]] = {"script": [], "style": []}
    for kind, text in _INLINE.findall(fill_in("", "", live=True)):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        hashes[kind].append(f"'sha256-{digest}'")
    return (
        f"default-src 'none'; script-src {' '.join(hashes['script'])}; "
        f"style-src {' '.join(hashes['style'])}; connect-src 'self'; img-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _part(name: str) -> str:
    return files("growsearch.study").joinpath("page", name).read_text(encoding="utf-8")
