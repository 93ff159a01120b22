"""Findings about a machine: one line each, by area, with a command below.

The command fixes what was found.

The state stands in words beside its sign, so that it can be read without colour and be searched.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence

from tenfold.cells.probing.findings import Finding, State
from tenfold.errors import columns, printable
from tenfold.views.terminal import Terminal

_SIGNS: dict[State, tuple[str, str]] = {
    "ok": ("✓", "green"),
    "warning": ("!", "yellow"),
    "missing": ("✗", "dim"),
    "broken": ("✗", "bold red"),
}
_AREAS = {
    "machine": "this machine",
    "cell": "cells",
    "framework": "frameworks and pages",
    "gpu": "GPUs",
    "file": "this file",
}
_STATE = max(len(state) for state in _SIGNS) + 2
_NARROWEST = 30


def show_findings(out: Terminal, findings: Sequence[Finding], file: str | None = None) -> None:
    """Print findings by area. With `file`, they are about what that file needs.

    Sentences are wrapped on a terminal and whole anywhere else.
    """
    name = max((len(_name(finding)) for finding in findings), default=0)
    for number, (area, title) in enumerate(_AREAS.items()):
        some = [finding for finding in findings if finding.area == area]
        if some:
            out.print(("\n" if number else "") + out.paint(_title(area, title, file), "bold"))
        for finding in some:
            for line in _lines(out, finding, name, file is not None):
                out.print(line)


def _title(area: str, title: str, file: str | None) -> str:
    return printable(file) if area == "file" and file else title


def _name(finding: Finding) -> str:
    return f"GPU {finding.name}" if finding.name.isdecimal() else finding.name


def _lines(out: Terminal, finding: Finding, width: int, needed: bool) -> Iterator[str]:
    sign, style = _SIGNS[finding.state]
    if needed and finding.state == "missing" and finding.area != "gpu":
        style = "bold red"
    state = f"{sign} {finding.state}"
    start = f"  {out.paint(state, style)}{' ' * (_STATE - len(state))}  {_name(finding):<{width}}  "
    text = printable(
        f"{finding.version}, {finding.message}"
        if finding.version and finding.version not in finding.message
        else finding.message
    )
    indent = 2 + _STATE + 2 + width + 2
    first, *rest = _wrapped(out, text, indent)
    yield start + first
    yield from (" " * indent + line for line in rest)
    if finding.hint:
        yield _hint(out, printable(finding.hint))


def _hint(out: Terminal, hint: str) -> str:
    """In one piece, however long: it is there to be copied."""
    return " " * (2 + _STATE + 2) + out.paint(f"hint: {hint}", "cyan")


def _wrapped(out: Terminal, text: str, indent: int) -> list[str]:
    width = max(_NARROWEST, out.width - indent)
    if columns(text) <= width:
        return [text]
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False) or [""]


def verdict(out: Terminal, findings: Iterable[Finding], file: str, cell: str, ok: bool) -> None:
    """One line: whether the file can run on the cell."""
    warnings = [finding for finding in findings if finding.state == "warning"]
    words = f"{printable(file)} {'can run' if ok else 'cannot run'} on {cell}"
    if warnings:
        words += f", with {len(warnings)} warning{'' if len(warnings) == 1 else 's'}"
    out.print("\n" + out.paint(words, "bold green" if ok else "bold red"))
