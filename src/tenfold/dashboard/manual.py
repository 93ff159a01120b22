"""Pages of the documentation, so that a view's link works without the internet.

They are part of the package. In a source tree they are read from `docs/`.
"""

from __future__ import annotations

import html
import re
from pathlib import Path

from markdown_it import MarkdownIt

_PACKAGE = Path(__file__).parents[1]
PLACES = (_PACKAGE / "docs", _PACKAGE.parents[1] / "docs")

_HEAD = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title} – tenfold</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="../static/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="../static/app.css"><link rel="stylesheet" href="../static/manual.css">
</head><body class="manual"><main>
"""
_TAIL = "</main></body></html>\n"


def page(name: str) -> str | None:
    """A page of the documentation as HTML. None if there is no such page."""
    path = _pages().get(name)
    if path is None:
        return None
    text = path.read_text(encoding="utf-8")
    title = re.match(r"# (.+)", text)
    body = MarkdownIt("commonmark", {"html": False}).enable("table").render(text)
    return _HEAD.format(title=html.escape(title[1] if title else name)) + _linked(body) + _TAIL


def _pages() -> dict[str, Path]:
    """The pages by name, in the first place that has any."""
    for place in PLACES:
        if found := {path.stem: path for path in place.glob("*.md")}:
            return found
    return {}


def _linked(body: str) -> str:
    """Links between pages, as this server has them, and headings that they can name."""
    known = _pages()

    def link(found: re.Match[str]) -> str:
        name, part = found[1], found[2] or ""
        return f'href="{name}{part}"' if name in known else found[0]

    body = re.sub(r'href="([a-z-]+)\.md(#[^"]*)?"', link, body)
    return re.sub(r"<(h[1-4])>(.*?)</h", _heading, body)


def _heading(found: re.Match[str]) -> str:
    words = re.sub(r"<[^>]+>", "", found[2]).lower()
    place = re.sub(r"[^a-z0-9 -]", "", words).replace(" ", "-")
    return f'<{found[1]} id="{place}">{found[2]}</h'
