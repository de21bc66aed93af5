"""The one page of a report: a template, its styles, its scripts and its data in one file."""

import json
import re
from importlib.resources import files
from typing import Any

_LINKED = re.compile(
    r'<link rel="stylesheet" href="(?P<style>[a-z_]+\.css)">'
    r'|<script src="(?P<script>[a-z_]+\.js)"></script>'
    r"|\{\{(?P<place>title|data)\}\}"
)


def fill_page(title: str, data: dict[str, Any]) -> str:
    """The page of `data`, which is in JSON's types. It loads nothing from elsewhere.

    The template page.html names its styles and scripts, as a page on a server would; here each is
    put in their place.
    """
    # "<" is escaped so that no text in the data can end the script element.
    text = json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")
    places = {"title": title.replace("&", "&amp;").replace("<", "&lt;"), "data": text}

    def filled(found: re.Match[str]) -> str:
        if found["style"]:
            return f"<style>\n{_part(found['style'])}</style>"
        if found["script"]:
            return f"<script>\n{_part(found['script'])}</script>"
        return places[found["place"]]

    # in one pass: a study may be named like a place of the template
    return _LINKED.sub(filled, _part("page.html"))


def _part(name: str) -> str:
    return files("growsearch.study").joinpath("page", name).read_text(encoding="utf-8")
