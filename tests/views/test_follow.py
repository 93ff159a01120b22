"""Following a run: an interruption is noticed between lines, and none of them is lost."""

from __future__ import annotations

import io
from pathlib import Path

from tenfold.rundir import create, write_json
from tenfold.views.follow import Follower, Options
from tenfold.views.lines import Style
from tenfold.views.screen import Screen
from tenfold.views.terminal import Terminal

COUNT = 5_000


def test_an_interruption_does_not_wait_for_what_is_left(tmp_path: Path) -> None:
    run = create(tmp_path, "c")
    directory = run.task("chief-0")
    directory.path.mkdir()
    directory.log("stdout").write_text("".join(f"line {n}\n" for n in range(COUNT)))
    write_json(run.plan, {"cluster": "c", "tasks": [{"task": "chief/0", "job": "chief"}]})
    write_json(run.status, {"state": "succeeded"})
    out = io.StringIO()
    screen = Screen(Terminal(out, "never"), Terminal(io.StringIO(), "never"))
    style = Style(prefix=False)
    follower = Follower(run, screen, Options(["chief-0"], style, fold=False, talk=False))
    follower.follow(interrupted=lambda: True)
    first = len(out.getvalue().splitlines())
    assert 0 < first < COUNT
    follower.follow(until=lambda _: True)
    assert out.getvalue().splitlines() == [f"line {n}" for n in range(COUNT)]
