"""From the JSON of a `make bench` to docs/performance.md: its tables, its targets, its plots.

    python bench/report.py [--results DIRECTORY] [--page FILE]

docs/performance.md is written by people, but for what stands between `<!-- NAME -->` and
`<!-- end -->`: that is put there anew. NAME is `machine`, `targets` or a topic. With `--page`, the
same page with other figures goes there. Plots (plots.py) go beside it, into `performance/`. A topic
that was not measured is said to be missing.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import plots
from measure import Row, figure

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "performance.md"
TOPICS = ("launch", "train", "plan", "overhead", "scaling", "dashboard")

_MARKED = re.compile(r"<!-- (?P<name>[a-z]+) -->\n.*?<!-- end -->", re.DOTALL)


@dataclass(frozen=True)
class Target:
    """What has to be reached: the median of `metric` of the case that `case` matches whole.

    `most` tells whether `reach` and `hope` are upper limits (else they are lower ones).
    """

    what: str
    topic: str
    case: str
    metric: str
    reach: float
    hope: float | None = None
    most: bool = False


TARGETS = (
    Target(
        "13 servers, `up -d --wait`, against one `import tensorflow`",
        *("launch", "13 servers: tenfold / one import", "ratio", 2.0, 1.2, True),
    ),
    Target(
        "faster than one process each",
        *("launch", "13 servers: one process each / tenfold", "ratio", 5.0, 8.0),
    ),
    Target(
        "memory, against one process each",
        *("launch", "13 servers: tenfold / one process each, memory", "ratio", 0.333, 0.25, True),
    ),
    *(
        Target(
            f"word2vec, {words}: pairs a second against {other}",
            *("train", f"planted, window {window}, .*: ours / {case}.*, {metric}", "ratio"),
            *limits,
        )
        for window, other, case, limits in (
            (1, "the 2016 graph", "2016", (150.0, 350.0)),
            (1, "gensim on all cores", "gensim", (4.0, 8.0)),
            (5, "gensim on all cores", "gensim", (4.0, 8.0)),
        )
        for metric, words in (
            ("steady", f"window {window}, once compiled"),
            ("training", f"window {window}, compilation included"),
        )
    ),
    *(
        Target(
            f"word2vec, window {window}, {band} words: precision beyond gensim's",
            *("train", f"planted, window {window}, .*: ours − gensim.*", f"precision, {band}"),
            -0.02,
        )
        for window in (1, 5)
        for band in ("frequent", "middling", "rare")
    ),
    Target(
        "`tenfold up` to the first step, beyond the bare script",
        *("overhead", "one task to its first step: tenfold up − bare", "difference"),
        *(1.0, 0.3, True),
    ),
    Target(
        "supervision, logs and status; quiet training",
        *("overhead", "training, quiet logs: tenfold", "CPU of tenfold", 2.0, None, True),
    ),
    Target(
        "supervision, logs and status; chatty training",
        *("overhead", "training, chatty logs: tenfold", "CPU of tenfold", 2.0, None, True),
    ),
    Target(
        "step rate, supervised against not",
        *("overhead", "training, supervision stopped and continued in turn", "step rate", 0.99),
    ),
    Target(
        "log lines captured, 8 tasks, a write a line",
        *("overhead", "8 × printing a line at a time: tenfold, captured", "rate", 2e5, 1e6),
    ),
    Target("plan of 10,000 tasks", "plan", "10,000 tasks", "load + plan", 1.0, 0.3, True),
    Target(
        "the same, the whole command",
        *("plan", "10,000 tasks: tenfold plan --json", "whole command", 1.0, 0.3, True),
    ),
    Target("20 workers, simulated computation", "scaling", "20 workers", "speed-up", 15.6, 18.0),
    Target(
        "supervision of 13 tasks that all talk, traffic sampled",
        "overhead",
        "13 tasks that all talk to each other, sampled once a second",
        *("CPU of tenfold", 1.0, None, True),
    ),
    Target(
        "dashboard, 1,000 tasks: from the address to the map",
        *("dashboard", "1,000 tasks: first page", "map drawn", 2000.0, None, True),
    ),
    *(
        Target(
            f"dashboard, 1,000 tasks: an update in which {what}",
            *("dashboard", f"1,000 tasks: {what}", "server + page", 200.0, None, True),
        )
        for what in ("a task changes", "everything changes")
    ),
    Target(
        "an open dashboard, 100 tasks",
        *("dashboard", "100 tasks: a page is open", "CPU of the dashboard", 2.0, None, True),
    ),
    Target(
        "a log of 1 GiB on the page, at its end",
        *("dashboard", "a log of 1,024 MiB", "on the page", 1000.0, None, True),
    ),
)


def read(results: Path) -> dict[str, list[Row]]:
    """Rows by topic, of those that were measured."""
    found = {}
    for topic in TOPICS:
        path = results / f"{topic}.json"
        if path.exists():
            found[topic] = json.loads(path.read_text(encoding="utf-8"))
    return found


def machine(rows: dict[str, list[Row]]) -> str:
    """What it was measured on, as the rows say; of each value that differs, all."""
    seen: dict[str, list[str]] = {}
    for row in (row for topic in rows.values() for row in topic):
        for what, words in row["machine"].items():
            if words not in seen.setdefault(what, []):
                seen[what].append(words)
    seen["date"] = sorted(seen.get("date", []))[:: max(1, len(seen.get("date", [])) - 1)]
    lines = [f"| {what} | {' … '.join(words)} |" for what, words in seen.items()]
    return "\n".join(["| | |", "|---|---|", *lines])


def targets(rows: dict[str, list[Row]]) -> str:
    """Each target beside what was reached, and what fell short, by name."""
    lines = [
        "| what | target | stretch target | result | min – max | |",
        "|---|---|---|---|---|---|",
    ]
    short = []
    for target in TARGETS:
        row = _row(rows.get(target.topic, []), target)
        sign = "≤" if target.most else "≥"
        hope = f"{sign} {figure(target.hope)}" if target.hope is not None else ""
        told = f"| {target.what} | {sign} {figure(target.reach)} | {hope} |"
        if row is None:
            lines.append(f"{told} not measured | | |")
            continue
        verdict = _verdict(target, row)
        if verdict == "**missed**":
            short.append(target.what)
        spread = f"{figure(row['min'])} – {figure(row['max'])}"
        lines.append(f"{told} {figure(row['median'])} {row['unit']} | {spread} | {verdict} |")
    lines += ["", f"Missed targets: {'; '.join(short) if short else 'none'}."]
    return "\n".join(lines)


def _row(rows: Sequence[Row], target: Target) -> Row | None:
    for row in rows:
        same = row["metric"] == target.metric and row["median"] is not None
        if same and re.fullmatch(target.case, row["case"]):
            return row
    return None


def _verdict(target: Target, row: Row) -> str:
    def met(limit: float, value: float) -> bool:
        return value <= limit if target.most else value >= limit

    if not met(target.reach, row["median"]):
        return "**missed**"
    hoped = target.hope is not None and met(target.hope, row["median"])
    worst = row["max"] if target.most else row["min"]
    always = "" if met(target.reach, worst) else ", not every time"
    return ("stretch target reached" if hoped else "reached") + always


def table(rows: Sequence[Row]) -> str:
    """All rows of a topic in Markdown, notes below."""
    lines = ["| case | metric | median | min – max | n |", "|---|---|--:|--:|--:|"]
    before = None
    for row in rows:
        case = "" if row["case"] == before else row["case"]
        before = row["case"]
        middle = "left out" if row["median"] is None else f"{figure(row['median'])} {row['unit']}"
        spread = f"{figure(row['min'])} – {figure(row['max'])}" if row["n"] > 1 else ""
        lines.append(f"| {case} | {row['metric']} | {middle} | {spread} | {row['n']} |")
    notes: dict[str, list[str]] = {}
    for row in rows:
        if "note" in row and row["case"] not in notes.setdefault(row["note"], []):
            notes[row["note"]].append(row["case"])
    for words, cases in notes.items():
        lines += ["", f"*{', '.join(cases)}*: {words}."]
    return "\n".join(lines)


def filled(page: str, rows: dict[str, list[Row]]) -> str:
    """`page` with everything between its marks made anew. An unknown mark is a KeyError."""
    made = {"machine": machine(rows), "targets": targets(rows)}
    for topic in TOPICS:
        made[topic] = table(rows[topic]) if topic in rows else "Not measured in this run."
    return _MARKED.sub(lambda m: f"<!-- {m['name']} -->\n{made[m['name']]}\n<!-- end -->", page)


def main() -> int:
    """Write page and plots; exit code 0."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--results", type=Path, default=ROOT / ".tenfold" / "bench")
    parser.add_argument("--page", type=Path, default=PAGE)
    options = parser.parse_args()
    rows = read(options.results)
    options.page.write_text(filled(PAGE.read_text("utf-8"), rows), encoding="utf-8")
    for path in plots.draw(rows, options.page.parent / "performance"):
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
