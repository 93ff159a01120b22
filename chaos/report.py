"""From the results of `make chaos` to docs/reliability.md.

The page is written by people, but for what stands between `<!-- NAME -->` and `<!-- end -->`: that
is put there anew. NAME is `machine`, `summary` or a case. What was not tried this time stays as it
is, with the date and seed of its own run.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from chaos import ROOT
from chaos.trial import Row

PAGE = ROOT / "docs" / "reliability.md"

_MARKED = re.compile(r"<!-- (?P<name>[a-z0-9-]+) -->\n(?P<text>.*?)<!-- end -->", re.DOTALL)
_NAMED = re.compile(r"\| \[(?P<name>[a-z0-9-]+)\]\(")
_HEAD = ("| case | fault | checks | first line of `tenfold why` |", "|---|---|---|---|")


def filled(page: str, rows: Mapping[str, Row], names: Sequence[str]) -> str:
    """`page` with what `rows` (by case) say between its marks. `names` are all cases, in order.

    A mark that is neither a case's nor known is a KeyError.
    """

    def made(found: re.Match[str]) -> str:
        name, before = found["name"], found["text"]
        if name == "summary":
            text = summary(rows, names, before)
        elif name == "machine":
            text = machine(rows, before)
        elif name in names:
            text = case(rows[name]) if name in rows else before or "Not tried yet.\n"
        else:
            raise KeyError(name)
        return f"<!-- {name} -->\n{text}<!-- end -->"

    return _MARKED.sub(made, page)


def summary(rows: Mapping[str, Row], names: Sequence[str], before: str) -> str:
    """A line a case; those that were not tried now keep the line they had."""
    kept = {found["name"]: line for line in before.splitlines() if (found := _NAMED.match(line))}
    kept |= {name: _line(row) for name, row in rows.items()}
    lines = [kept[name] for name in names if name in kept]
    return "\n".join([*_HEAD, *lines]) + "\n"


def _line(row: Row) -> str:
    good = sum(one["ok"] for one in row["checks"])
    of = len(row["checks"])
    told = f"{good} of {of} held" if row["ok"] is not None else "not tried here"
    verdict = told if row["ok"] in (True, None) else f"**failed**: {told}"
    why = f"`{_cell(row['why'])}`" if row["why"] else ""
    name = row["case"]
    return f"| [{name}](#{name}) | {_cell(row['fault'])} | {verdict} | {why} |"


def case(row: Row) -> str:
    """Everything that was asked and measured."""
    if row["left_out"]:
        return f"Not tried on this machine: {row['left_out']}.\n"
    lines = ["| check | result | |", "|---|---|---|"]
    for one in row["checks"]:
        verdict = "held" if one["ok"] else "**failed**"
        lines.append(f"| {_cell(one['asked'])} | {_cell(one['measured'])} | {verdict} |")
    if row["error"]:
        lines.append(f"| goes through | {_cell(row['error'])} | **failed** |")
    form = "short form, " if row["quick"] else ""
    told = f"{row['machine']['date']}, {form}seed {row['seed']}, {row['seconds']:.0f} s"
    notes = "".join(f" {note}." for note in row["notes"])
    return "\n".join([*lines, "", f"*{told}.*{notes}"]) + "\n"


def machine(rows: Mapping[str, Row], before: str) -> str:
    """What it was tried on. Each case has the date of its own."""
    if not rows:
        return before
    newest = max(rows.values(), key=lambda row: str(row["machine"]["date"]))["machine"]
    lines = [f"| {what} | {words} |" for what, words in newest.items() if what != "date"]
    return "\n".join(["| | |", "|---|---|", *lines]) + "\n"


def _cell(words: object) -> str:
    """Text for one cell of a table."""
    return " ".join(str(words).split()).replace("|", "\\|")


def write(rows: Sequence[Row], names: Sequence[str], target: Path) -> None:
    """Put the page with these rows at `target`, made from the page in docs."""
    by_case = {row["case"]: row for row in rows}
    source = target if target.exists() and target == PAGE else PAGE
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(filled(source.read_text("utf-8"), by_case, names), encoding="utf-8")
