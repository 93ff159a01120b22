"""A run as HTML in a page that is not ours: everything escaped, no secret in it."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from tenfold.run.jsonfiles import write_json
from tenfold.run.logs import LogLine
from tenfold.run.rundir import RunDirectory, create
from tenfold.views.inline import logs_html, tasks_html, without_pages
from tenfold.views.status import status

EVIL = '<script>alert("1")</script>&\x1b[2J'


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    """A failed run whose texts would like to be more."""
    made = create(tmp_path, "c")
    tasks = [{"task": f"a/{n}", "job": "a", "index": n} for n in range(2)]
    write_json(made.plan, {"cluster": EVIL, "cell": "local", "tasks": tasks})
    write_json(made.status, {"state": "failed", "reason": EVIL, "started": 1.0, "ended": 3.0})
    for task in tasks:
        made.task(f"a-{task['index']}").path.mkdir()
    said = {"state": "failed", "signal": EVIL, "address": EVIL, "url": "http://127.0.0.1:1/"}
    write_json(made.task("a-0").status, said | {"started": 1.0, "ended": 2.0})
    made.task("a-0").token.write_text("secret\n")
    return made


class _Reader(HTMLParser):
    """The tags and the text of some HTML; fails for a tag that does not close."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(html)
        assert not self._open

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        del attrs
        self.tags.append(tag)
        self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_tasks_as_a_table(run: RunDirectory) -> None:
    read = _Reader(tasks_html(without_pages(status(run))))
    assert read.tags.count("tr") == 3
    assert "script" not in read.tags
    assert '<script>alert("1")</script>&␛[2J' in read.text
    assert "● failed" in read.text
    assert "● waiting" in read.text


def test_no_address_of_a_page_and_no_token(run: RunDirectory) -> None:
    now = without_pages(status(run))
    assert "secret" not in tasks_html(now)
    assert "secret" not in str(now)
    assert now.tasks[0].task == "a/0"


def test_damaged_files_are_named(run: RunDirectory) -> None:
    run.status.write_text("{")
    assert f"damaged: {run.status}" in _Reader(tasks_html(status(run))).text


def test_log_lines_are_escaped_in_html() -> None:
    lines = [
        LogLine(0.0, "a-0", "stdout", f"one\t\x1b[31mred\x1b[0m {EVIL}"),
        LogLine(0.0, "worker-10", "stderr", "two"),
    ]
    html = logs_html(lines, 9)
    read = _Reader(html)
    assert read.tags == ["pre", "span", "span"]
    assert read.text == 'a-0       | one\tred <script>alert("1")</script>&\nworker-10 | two\n'
    assert _Reader(logs_html([], 0)).text == ""
